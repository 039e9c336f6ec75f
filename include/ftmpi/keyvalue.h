/* SPDX-License-Identifier: Apache-2.0 */
/** @file Text of `key = value` lines: configuration files, and what a checkpoint says of its run. `#` begins a comment line. */
#ifndef FTMPI_KEYVALUE_H
#define FTMPI_KEYVALUE_H

#include <ftmpi/status.h>
#include <stdbool.h>

FTMPI_BEGIN_DECLS

/** One line, without the blanks around key and value. */
typedef struct ftmpi_keyvalue {
	char key[64];
	char value[4096];
	int line; /**< from 1; 0 before the first */
} ftmpi_keyvalue;

/**
 * Read the next pair. Local. @param text moves on; begin with the start of the text. @param pair zeroed before the first call.
 * @param found false at the end. Errors: ERR_USAGE, with the line's number: no `=`, an empty key, something too long.
 */
FTMPI_API ftmpi_status ftmpi_keyvalue_next(const char **text, ftmpi_keyvalue *pair, bool *found) FTMPI_CHECK_RESULT;

/** Find the first pair of a key; false when there is none or the text is not of this form. Local. */
FTMPI_API bool ftmpi_keyvalue_find(const char *text, const char *key, ftmpi_keyvalue *pair);

FTMPI_END_DECLS

#endif
