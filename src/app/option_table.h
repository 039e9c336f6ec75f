/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options: what each is, and setting and writing one value. */
#ifndef FTMPI_APP_OPTION_TABLE_H
#define FTMPI_APP_OPTION_TABLE_H

#include "app/options.h"

enum type { INTEGER, UNSIGNED, REAL, PART, FLAG, CHOICE, TEXT, UNITS }; /* PART: of a whole, 0.01 or 1% */

enum {
	MATH = 1,
	MODEL = 2,
	AUTO = 4
}; /* MODEL: evaluate and predict take it from the checkpoint; AUTO: may be left to a default */

struct row {
	const char *section, *name;
	enum type type;
	size_t offset, bytes;
	const char *value;   /* default; NULL with AUTO: none */
	double least, most;  /* numbers */
	bool open;           /* least and most themselves are out of range */
	const char *choices; /* CHOICE: "a|b" */
	int flags, commands;
	const char *metavar, *help;
};

extern const struct row *const app__rows;
extern const int app__n_rows;

/** The row of an option's name, `n` bytes; NULL: none. */
const struct row *app__find_row(const char *name, size_t n);

/** Set a value from text. @param origin where it comes from, for messages: "--" or "FILE, line 3: ". Errors: ERR_USAGE. */
ftmpi_status app__set_value(struct app_options *options, const struct row *row, const char *text,
			    const char *origin) FTMPI_CHECK_RESULT;

/** app__set_value of a row whose value lies at `field`: for tables of other options than these. */
ftmpi_status app__set_field(void *field, const struct row *row, const char *text,
			    const char *origin) FTMPI_CHECK_RESULT;

/** Print a row as --help shows it. */
void app__print_row(const struct row *row);

/** Write a value in its one canonical form. */
void app__format_value(const struct app_options *options, const struct row *row, char *text, size_t bytes);

/** The address of a row's value. */
void *app__field_of(struct app_options *options, const struct row *row);

/** Whether `text` is one of "a|b|c". */
bool app__is_choice(const char *choices, const char *text);

#endif
