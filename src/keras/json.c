/* SPDX-License-Identifier: Apache-2.0 */
/* Reading of JSON objects. Everything that is there is either taken, or known to change nothing, or an error. */
#include "keras/json.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ftmpi__json ftmpi__json_inside(const ftmpi__json *at, const json_t *object, const char *where, ...)
{
	ftmpi__json inside = {.object = object, .what = at->what};
	va_list args;

	va_start(args, where);
	(void)vsnprintf(inside.where, sizeof inside.where, where, args);
	va_end(args);
	return inside;
}

ftmpi_status ftmpi__json_fail(const ftmpi__json *at, const char *file, int line, const char *fmt, ...)
{
	char text[1024], where[sizeof at->where + 2] = "";
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	if (at->where[0] != '\0')
		(void)snprintf(where, sizeof where, "%s: ", at->where);
	for (char *c = where; *c != '\0'; c++)
		*c = (char)(iscntrl((unsigned char)*c) ? '?' : *c);
	for (char *c = text; *c != '\0'; c++)
		*c = (char)(iscntrl((unsigned char)*c) ? '?' : *c);
	return ftmpi_error_set(FTMPI_ERR_DATA, file, line, "'%s': %s%s", at->what, where, text);
}

const char *ftmpi__json_show(const ftmpi__json *at, const char *key, char text[FTMPI__JSON_TEXT])
{
	const json_t *value = json_object_get(at->object, key);
	char *dump = value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);

	(void)snprintf(text, FTMPI__JSON_TEXT, "%.60s is %.60s%s", key, dump != NULL ? dump : "missing",
		       dump != NULL && strlen(dump) > 60 ? "…" : "");
	free(dump);
	return text;
}

/* "float32", or a policy of this name. */
static bool is_float32(const json_t *value)
{
	if (json_is_object(value))
		value = json_object_get(json_object_get(value, "config"), "name");
	return json_is_string(value) && strcmp(json_string_value(value), "float32") == 0;
}

static bool is_allowed(ftmpi__json_allowed allowed, const json_t *value)
{
	switch (allowed) {
	case FTMPI__ANY:
		return true;
	case FTMPI__TRUE:
		return json_is_true(value);
	case FTMPI__EMPTY:
		return json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0) ||
		       (json_is_object(value) && json_object_size(value) == 0);
	case FTMPI__OBJECT:
		return json_is_null(value) || json_is_object(value);
	case FTMPI__ZERO:
		return json_is_null(value) || (json_is_number(value) && json_number_value(value) == 0);
	case FTMPI__FLOAT32:
		return json_is_null(value) || is_float32(value);
	case FTMPI__UNUSED:
		return json_is_null(value) || json_is_false(value);
	}
	return false;
}

static const char *wanted(ftmpi__json_allowed allowed)
{
	switch (allowed) {
	case FTMPI__TRUE:
		return "true";
	case FTMPI__OBJECT:
		return "an object";
	case FTMPI__ZERO:
		return "0";
	case FTMPI__FLOAT32:
		return "float32";
	default:
		return "null";
	}
}

ftmpi_status ftmpi__json_check(const ftmpi__json *at, const ftmpi__json_rule *rules)
{
	ftmpi_status status = FTMPI_OK;
	char text[FTMPI__JSON_TEXT];
	const char *key;
	const json_t *value;

	json_object_foreach((json_t *)at->object, key, value)
	{
		const ftmpi__json_rule *rule = rules;

		while (rule->key != NULL && strcmp(rule->key, key) != 0)
			rule++;
		if (rule->key == NULL && !is_allowed(FTMPI__UNUSED, value))
			FTMPI__JSON_FAIL(at, "%s: this key is not supported", ftmpi__json_show(at, key, text));
		if (rule->key != NULL && !is_allowed(rule->allowed, value))
			FTMPI__JSON_FAIL(at, "%s: only %s is supported", ftmpi__json_show(at, key, text),
					 wanted(rule->allowed));
	}
done:
	return status;
}

/* An error unless `holds`. */
static ftmpi_status require(const ftmpi__json *at, const char *key, bool holds, const char *what)
{
	ftmpi_status status = FTMPI_OK;
	char text[FTMPI__JSON_TEXT];

	if (!holds)
		FTMPI__JSON_FAIL(at, "%s: it must be %s", ftmpi__json_show(at, key, text), what);
done:
	return status;
}

ftmpi_status ftmpi__json_number(const ftmpi__json *at, const char *key, double *out)
{
	const json_t *value = json_object_get(at->object, key);

	if (json_is_number(value))
		*out = json_number_value(value);
	return require(at, key, value == NULL || json_is_number(value), "a number");
}

ftmpi_status ftmpi__json_bool(const ftmpi__json *at, const char *key, bool *out)
{
	const json_t *value = json_object_get(at->object, key);

	if (json_is_boolean(value))
		*out = json_is_true(value);
	return require(at, key, value == NULL || json_is_boolean(value), "true or false");
}

ftmpi_status ftmpi__json_count(const ftmpi__json *at, const char *key, int64_t *out)
{
	const json_t *value = json_object_get(at->object, key);
	const bool is_count = json_is_integer(value) && json_integer_value(value) >= 1;

	if (is_count)
		*out = json_integer_value(value);
	return require(at, key, is_count, "a whole number from 1 on");
}

const char *ftmpi__json_text(const ftmpi__json *at, const char *key)
{
	return json_string_value(json_object_get(at->object, key));
}

const char *ftmpi__json_name(const json_t *value, const json_t **config)
{
	const json_t *inner = json_object_get(value, "config");
	const char *name = json_string_value(json_object_get(value, "class_name"));
	const char *module = json_string_value(json_object_get(value, "module"));

	*config = NULL;
	if (json_is_string(value))
		return json_string_value(value);
	if (name == NULL || module == NULL)
		return NULL;
	if (strcmp(name, "function") == 0)
		return json_string_value(inner);
	if (strcmp(module, "keras") != 0 && strncmp(module, "keras.", 6) != 0)
		return NULL;
	*config = inner;
	return name;
}
