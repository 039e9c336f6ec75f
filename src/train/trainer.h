/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a trainer and of a fit. */
#ifndef FTMPI_TRAIN_TRAINER_H
#define FTMPI_TRAIN_TRAINER_H

#include "train/rows.h"

#include <ftmpi/manager.h>
#include <ftmpi/trainer.h>

enum {
	FTMPI__MAX_RECORDS = 8, /* texts that ftmpi_trainer_set_record takes */
	FTMPI__MAX_NAMES =
		2 * FTMPI__MAX_ROW_SUMS, /* entries of the history: "loss", the metrics, and the same with "val_" */
	FTMPI__MAX_EPOCH_SUMS = FTMPI__MAX_ROW_SUMS + 2 /* sums of an epoch: loss, metrics, samples, batches */
};

/** Flags that ride along with a step. */
enum { FTMPI__FLAG_SAVE, FTMPI__FLAG_STOP, FTMPI__FLAG_WRITTEN, FTMPI__N_FLAGS };

struct ftmpi_trainer {
	const ftmpi_comm *comm;
	const ftmpi_model *model;
	ftmpi_compile compile;
	ftmpi_trainer_options options;
	ftmpi_learner *learner;
	ftmpi_evaluator *evaluator;
	struct ftmpi__rows rows;
	const ftmpi_dataset *dataset; /* of the step that is going on */
	int n_sums;                   /* loss and metrics */

	char names[FTMPI__MAX_NAMES][48];
	ftmpi_buffer history[FTMPI__MAX_NAMES]; /* float64, one number an epoch */
	struct {
		char path[64];
		ftmpi_buffer text, saved; /* saved: what a checkpoint reads and a restore overwrites */
	} records[FTMPI__MAX_RECORDS];
	int n_records;
};

/** One training step. Collective. @param most loss above which it diverges. @param sums [n_sums] of the batch. @param loss of the batch, after the
 * options' reduction. */
ftmpi_status ftmpi__train_step(ftmpi_trainer *trainer, const ftmpi_dataset *dataset, const ftmpi_batch *batch,
			       double most, double *sums, double *loss) FTMPI_CHECK_RESULT;

struct ftmpi_fit {
	ftmpi_trainer *trainer;
	const ftmpi_fit_options *options;
	ftmpi_batches *batches;
	ftmpi_checkpoint *checkpoint;

	double sums[FTMPI__MAX_EPOCH_SUMS]; /* of the epoch so far; saved */
	double loss_mean[2];                /* of the last batches' losses, and how many they were; saved */
	double wall_s;                      /* of all launches up to the last save; saved */
	int64_t n_relaunches;               /* saved */
	double started_s;                   /* monotonic clock: when wall_s was last brought up to date */

	ftmpi_batch current;  /* that of the last step */
	int64_t epoch, batch; /* as callbacks see them */
	double batch_loss;
	ftmpi_logs logs;
	bool resumed, stopping, epoch_ended, diverged;
	bool begins;             /* the next batch is the first one since the beginning, or since the fit went back */
	bool rewinding, rewound; /* a callback restores an earlier state; it has done so */
	ftmpi_save_event last_save;
	double step_s; /* how long a step takes, the longest of the last ones */
};

/** Batches of the current epoch that lie before the place. */
int64_t ftmpi__fit_n_batches_done(const ftmpi_fit *fit);

/** Go back: restore the newest checkpoint of a manager, in the middle of the fit. Collective. @param path set to it; NULL: there is none. Errors (agreed):
 * as ftmpi_manager_restore_or_initialize. */
ftmpi_status ftmpi__fit_restore(ftmpi_fit *fit, ftmpi_manager *manager, const char **path) FTMPI_CHECK_RESULT;

/** For a callback that did so in `diverged`: the fit is to go on from there. @param ended_epoch the epoch that is over, because what was left of it is passed
 * over; −1: none. Local, alike on all ranks. */
void ftmpi__fit_rewind(ftmpi_fit *fit, int64_t ended_epoch);

/** Seconds spent training, over all launches; what was lost by failures does not count. Local. */
double ftmpi__fit_wall_s(const ftmpi_fit *fit);

/** As ftmpi_fit_saved, for a save of an earlier step that is durable by now. Local, alike on all ranks. */
void ftmpi__fit_take_save(ftmpi_fit *fit, ftmpi_save_event event);

/** On the chief, before a step: a save in flight is over. At the end of the step ftmpi__fit_written is true on every rank. Local. */
void ftmpi__fit_tell_written(ftmpi_fit *fit);
bool ftmpi__fit_written(const ftmpi_fit *fit);

/** What a fit saves beside the learner: its place, sums, history, facts about the run, the callbacks' state. Local. */
ftmpi_status ftmpi__fit_track(ftmpi_fit *fit) FTMPI_CHECK_RESULT;

#endif
