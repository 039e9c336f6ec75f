/* SPDX-License-Identifier: Apache-2.0 */
/* Files of tests/keras in unit tests. Include after unit_test.h. */
#ifndef FTMPI_TESTS_KERAS_TEST_H
#define FTMPI_TESTS_KERAS_TEST_H

#include "ckpt_test.h"
#include "keras_state.h"

/** Path of a file in tests/keras, until the next call. */
static inline const char *fixture(const char *name)
{
	static char path[4096];
	const char *top = getenv("FTMPI_SOURCE_DIR");

	assert_non_null(top);
	(void)snprintf(path, sizeof path, "%s/tests/keras/%s", top, name);
	return path;
}

/** A text with the first `from` replaced, which must be there; free it. */
static inline char *edited(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	const size_t room = strlen(text) + strlen(to) + 1;
	char *out = malloc(room);

	if (at == NULL)
		fail_msg("no '%s' to replace", from);
	assert_non_null(out);
	(void)snprintf(out, room, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	return out;
}

#endif
