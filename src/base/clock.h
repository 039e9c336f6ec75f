/* SPDX-License-Identifier: Apache-2.0 */
/* The process's two clocks. */
#ifndef FTMPI_BASE_CLOCK_H
#define FTMPI_BASE_CLOCK_H

#include <time.h>

/** Monotonic clock in seconds. */
double ftmpi__now_s(void);

/** Seconds since 1970. */
double ftmpi__calendar_s(void);

/** The monotonic clock in so many seconds: when a wait ends. */
struct timespec ftmpi__later(double s);

/** Add the time since *since to *into, and begin anew. */
void ftmpi__lap(double *since, double *into);

#endif
