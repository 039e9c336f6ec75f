/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks of layer train. */
#ifndef FTMPI_TRAIN_CLOCK_H
#define FTMPI_TRAIN_CLOCK_H

/** Monotonic clock in seconds. */
double ftmpi__now_s(void);

/** Seconds since 1970. */
double ftmpi__calendar_s(void);

/** Add the time since *since to *into, and begin anew. */
void ftmpi__lap(double *since, double *into);

#endif
