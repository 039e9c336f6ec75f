/* SPDX-License-Identifier: Apache-2.0 */
/* What the unit tests share: cmocka in the order that it wants its headers, and assertions on statuses. */
#ifndef FTMPI_TESTS_UNIT_TEST_H
#define FTMPI_TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftmpi/status.h>
#include <string.h>

/** Expect success; on failure the message and the positions are printed. */
#define assert_ok(expr)                                                                                                \
	do {                                                                                                           \
		const ftmpi_status status_ = (expr);                                                                   \
		if (status_ != FTMPI_OK)                                                                               \
			print_error("%s: %s\n%s", ftmpi_status_name(status_), ftmpi_error_message(),                   \
				    ftmpi_error_trace());                                                              \
		assert_int_equal(status_, FTMPI_OK);                                                                   \
	} while (0)

/** Expect this status and a message that contains `text`. */
#define assert_fails(expr, expected, text)                                                                             \
	do {                                                                                                           \
		const ftmpi_status status_ = (expr);                                                                   \
		assert_int_equal(status_, expected);                                                                   \
		if (strstr(ftmpi_error_message(), text) == NULL)                                                       \
			fail_msg("message '%s' lacks '%s'", ftmpi_error_message(), text);                              \
	} while (0)

#endif
