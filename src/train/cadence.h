/* SPDX-License-Identifier: Apache-2.0 */
/* The interval between saves that a saver finds out by itself: what saves cost and how often runs fail, kept over relaunches.
 *
 * The facts are gathered whether or not anyone asks for the interval: a relaunch may. The chief's are saved, and the chief alone decides by them; no bit of
 * the training depends on it. */
#ifndef FTMPI_TRAIN_CADENCE_H
#define FTMPI_TRAIN_CADENCE_H

#include <ftmpi/callback.h>

enum { FTMPI__N_COSTS = 5 };

struct ftmpi__cadence {
	double overhead;   /* most of the time that saves may take; 0: nobody asks */
	double interval_s; /* what was chosen; 0: no save was measured yet */

	int64_t n_failures;             /* runs that ended with work that no checkpoint has; saved */
	double costs_s[FTMPI__N_COSTS]; /* of the last saves, the newest first; 0: none; saved */

	int64_t n_failures_known; /* n_failures, when a restore in the middle of the fit brings back an older one */
	double writes_s
		[FTMPI__N_COSTS]; /* of this launch's last saves: how long until they were durable; the newest first; 0: none */
	double told_s;            /* the interval that was logged last; 0: none */
	bool tried;               /* the early save was asked for */
	int64_t first_step;  /* where this launch begins */
	int64_t timed_step;  /* steps are timed from here */
	double timed_from_s; /* … and then; 0: not yet */
};

/** Begin anew, and track. Local. @param overhead 0: only gather the facts. Errors: as ftmpi_registry_add. */
ftmpi_status ftmpi__cadence_attach(struct ftmpi__cadence *cadence, double overhead, ftmpi_fit *fit) FTMPI_CHECK_RESULT;

/** The state is there. Local. @param n_failures those that no checkpoint knows of. */
void ftmpi__cadence_begin(struct ftmpi__cadence *cadence, const ftmpi_fit *fit, int64_t n_failures);

/** The fit has gone back. Local. */
void ftmpi__cadence_rewound(struct ftmpi__cadence *cadence);

/** Whether a save is due, so many seconds after the last one, or the last try. On the chief, before a step; true is heeded. */
bool ftmpi__cadence_is_due(struct ftmpi__cadence *cadence, const ftmpi_fit *fit, double since_s);

/** A save made the training wait so long, and was durable so long after it began. Local. */
void ftmpi__cadence_saved(struct ftmpi__cadence *cadence, const ftmpi_fit *fit, double cost_s, double write_s);

#endif
