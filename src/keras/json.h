/* SPDX-License-Identifier: Apache-2.0 */
/* JSON objects that are read with errors that say where: the file, the layer, the key, and what is there. */
#ifndef FTMPI_KERAS_JSON_H
#define FTMPI_KERAS_JSON_H

#include <ftmpi/status.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** An object, and how errors call it. */
typedef struct ftmpi__json {
	const json_t *object;
	const char *what; /**< the file */
	char where[128];  /**< "layer 'dense_1' (Dense)", "optimizer Adam"; "" for the model */
} ftmpi__json;

/** The same file, another object and place. @param object may be no object: it has no keys then. */
ftmpi__json ftmpi__json_inside(const ftmpi__json *at, const json_t *object, const char *where, ...) FTMPI_PRINTF(3, 4);

/** Record ERR_DATA "what: where: …", with control characters shown as '?'. Returns it. */
ftmpi_status ftmpi__json_fail(const ftmpi__json *at, const char *file, int line, const char *fmt, ...)
	FTMPI_PRINTF(4, 5) FTMPI_CHECK_RESULT;

#define FTMPI__JSON_FAIL(at, ...) FTMPI_TRY(ftmpi__json_fail((at), __FILE__, __LINE__, __VA_ARGS__))

/** "key is VALUE", cut short, in `text`; returns `text`. */
enum { FTMPI__JSON_TEXT = 160 };
const char *ftmpi__json_show(const ftmpi__json *at, const char *key, char text[FTMPI__JSON_TEXT]);

/** What a key may hold that is not looked at otherwise. */
typedef enum ftmpi__json_allowed {
	FTMPI__ANY,     /**< it is read elsewhere, or changes nothing */
	FTMPI__TRUE,    /**< true */
	FTMPI__EMPTY,   /**< null, [] or {} */
	FTMPI__OBJECT,  /**< null or {…} */
	FTMPI__ZERO,    /**< null or 0 */
	FTMPI__FLOAT32, /**< null, "float32", or a policy of that name */
	FTMPI__UNUSED   /**< null or false: a feature that is not used. So for every key that is in no list. */
} ftmpi__json_allowed;

typedef struct ftmpi__json_rule {
	const char *key;
	ftmpi__json_allowed allowed;
} ftmpi__json_rule;

/** Check each key of an object by the rule for it. @param rules ends with a NULL key. Errors: ERR_DATA, naming the key. */
ftmpi_status ftmpi__json_check(const ftmpi__json *at, const ftmpi__json_rule *rules) FTMPI_CHECK_RESULT;

/* Values of keys; a number or a truth value that is missing leaves the output as it is. Errors: ERR_DATA, naming the key. */
ftmpi_status ftmpi__json_number(const ftmpi__json *at, const char *key, double *out) FTMPI_CHECK_RESULT;
ftmpi_status ftmpi__json_bool(const ftmpi__json *at, const char *key, bool *out) FTMPI_CHECK_RESULT;
/** A whole number from 1 on, which must be there. */
ftmpi_status ftmpi__json_count(const ftmpi__json *at, const char *key, int64_t *out) FTMPI_CHECK_RESULT;

/** The text of a key; NULL when it is missing or no text. */
const char *ftmpi__json_text(const ftmpi__json *at, const char *key);

/**
 * The name of a thing that Keras made an object of: its class, or its name when it is a function or a plain text; NULL when it is none of these,
 * or not Keras's own. @param config set to the class's configuration, else to NULL.
 */
const char *ftmpi__json_name(const json_t *value, const json_t **config);

#endif
