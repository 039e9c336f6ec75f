/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Being stopped from outside: signals and deadlines. One process has at most one preemption at a time.
 *
 * A signal only sets a mark. A fit looks at it at every step; the ranks agree on it with the step's sums, save, and the fit returns STOPPED. A second
 * signal ends the process at once, as if it had not been caught.
 */
#ifndef FTMPI_PREEMPTION_H
#define FTMPI_PREEMPTION_H

#include <ftmpi/status.h>
#include <stdbool.h>
#include <stdint.h>

FTMPI_BEGIN_DECLS

/** Most signals that are caught. */
#define FTMPI_MAX_SIGNALS 8

typedef struct ftmpi_preemption_options {
	int signals[FTMPI_MAX_SIGNALS];
	int n_signals;
	double deadline_s; /**< when the process must be gone, seconds since 1970; 0: none */
} ftmpi_preemption_options;

/** SIGTERM, SIGINT, SIGUSR1; no deadline. Local. */
FTMPI_API void ftmpi_preemption_options_init(ftmpi_preemption_options *options);

typedef struct ftmpi_preemption ftmpi_preemption;

/** Catch the signals. Local. Errors: ERR_USAGE (a signal that cannot be caught), ERR_MEMORY. */
FTMPI_API ftmpi_status ftmpi_preemption_create(const ftmpi_preemption_options *options,
					       ftmpi_preemption **out) FTMPI_CHECK_RESULT;
/** The signals do again what they did before. Local. NULLs the pointer; NULL is fine. */
FTMPI_API void ftmpi_preemption_destroy(ftmpi_preemption **preemption);

/** Whether it is time to stop: a signal came, or the deadline is nearer than `needed_s`; once true it stays so. Local. @param needed_s how long a step
 * and a save take. */
FTMPI_API bool ftmpi_preemption_due(ftmpi_preemption *preemption, double needed_s);

/** Why, for one line: "signal SIGTERM", "the deadline in 12 s". Local. Valid until the calling thread's next call. */
FTMPI_API const char *ftmpi_preemption_reason(const ftmpi_preemption *preemption);

FTMPI_END_DECLS

#endif
