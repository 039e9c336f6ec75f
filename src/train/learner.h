/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a learner. */
#ifndef FTMPI_TRAIN_LEARNER_H
#define FTMPI_TRAIN_LEARNER_H

#include "train/slot_parts.h"

#include <ftmpi/exchange.h>
#include <ftmpi/failpoint.h>
#include <ftmpi/learner.h>

enum { FTMPI__MAX_FLAGS = 3 };

struct ftmpi_learner {
	const ftmpi_comm *comm;
	const ftmpi_layout *layout;
	ftmpi_optimizer optimizer;
	ftmpi_exchange *exchange;
	int n_sums, n_flags, n_scalars; /* of a worker: sums, failure, flags */
	int64_t compare_steps;

	float *params, *slots[FTMPI_MAX_SLOTS]; /* arenas of the exchange */
	ftmpi__slot_parts *slot_parts;          /* how a checkpoint has the slots */
	float *grads;                           /* after a reduce: the own slice holds the sum */
	int64_t step, n_workers, saved_workers; /* saved_workers: as a checkpoint has it */
	uint64_t seed;
	float learning_rate, u_product;

	int64_t *samples; /* [max_samples], of one worker */
	int64_t max_samples;
	double *scalars; /* [own workers, n_scalars] */
	bool flags[FTMPI__MAX_FLAGS];
	int raised[FTMPI__MAX_FLAGS];
	ftmpi_step_times times;
};

/** The parameters are finite. Collective. Errors (agreed): ERR_DIVERGED. */
ftmpi_status ftmpi__learner_check_finite(const ftmpi_learner *learner) FTMPI_CHECK_RESULT;

/** Flip a bit of this rank's parameters where a failpoint says so. */
void ftmpi__learner_corrupt(ftmpi_learner *learner, ftmpi_failpoint point);

#endif
