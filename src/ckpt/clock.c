/* SPDX-License-Identifier: Apache-2.0 */
/* Times of checkpoints: seconds since 1970 in whole microseconds. They are written and read with integers, so that what comes back from the
 * state file is the same number, in every locale. */
#include "base/clock.h"
#include "ckpt/store_inside.h"

#include <math.h>
#include <stdio.h>

enum { MICROSECONDS = 1000000, FRACTION_DIGITS = 6 };

/* Largest number of seconds: 12 digits, 31 000 years. */
#define MAX_SECONDS INT64_C(999999999999)

double ftmpi__time_round(double time_s)
{
	if (!(time_s > 0))
		return 0;
	if (time_s > (double)MAX_SECONDS)
		return (double)MAX_SECONDS;
	return (double)llround(time_s * MICROSECONDS) / MICROSECONDS;
}

double ftmpi__store_now(const ftmpi_store *store)
{
	return ftmpi__time_round(store->options.now != NULL ? store->options.now(store->options.now_context)
							    : ftmpi__calendar_s());
}

void ftmpi__time_format(double time_s, char text[FTMPI__TIME_TEXT])
{
	const long long us = llround(ftmpi__time_round(time_s) * MICROSECONDS);

	(void)snprintf(text, FTMPI__TIME_TEXT, "%lld.%06lld", us / MICROSECONDS, us % MICROSECONDS);
}

const char *ftmpi__time_parse(const char *text, double *time_s)
{
	int64_t seconds, us = 0;
	const char *at = ftmpi__parse_number(text, &seconds);

	if (at == NULL || seconds > MAX_SECONDS || *at != '.')
		return NULL;
	at++;
	for (int i = 0; i < FRACTION_DIGITS; i++, at++) {
		if (*at < '0' || *at > '9')
			return NULL;
		us = us * 10 + (*at - '0');
	}
	*time_s = (double)(seconds * MICROSECONDS + us) / MICROSECONDS;
	return at;
}
