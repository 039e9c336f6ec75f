/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks: one that only goes forward, for durations, and one that means something after a relaunch. */
#include "base/clock.h"

static double read_clock(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double ftmpi__now_s(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

double ftmpi__calendar_s(void)
{
	return read_clock(CLOCK_REALTIME);
}

struct timespec ftmpi__later(double s)
{
	struct timespec t;
	double whole;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	whole = (double)t.tv_nsec * 1e-9 + s;
	t.tv_sec += (time_t)whole;
	t.tv_nsec = (long)((whole - (double)(time_t)whole) * 1e9);
	return t;
}

void ftmpi__lap(double *since, double *into)
{
	const double now = ftmpi__now_s();

	*into += now - *since;
	*since = now;
}
