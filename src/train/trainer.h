/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a trainer: the state (all that a checkpoint holds), and the room that a step works in. */
#ifndef FTMPI_TRAIN_TRAINER_H
#define FTMPI_TRAIN_TRAINER_H

#include <ftmpi/exchange.h>
#include <ftmpi/order.h>
#include <ftmpi/trainer.h>

/** Metric accumulators, as doubles: sums over the samples of an epoch so far. */
enum { FTMPI__SUM_LOSS, FTMPI__SUM_CORRECT, FTMPI__SUM_SAMPLES, FTMPI__SUM_BATCHES, FTMPI__N_SUMS };

/** Scalars that a logical worker adds to a step. */
enum { FTMPI__N_SCALARS = 3 };

/** What history keeps of each epoch. */
enum {
	FTMPI__HISTORY_LOSS,
	FTMPI__HISTORY_ACCURACY,
	FTMPI__HISTORY_VAL_LOSS,
	FTMPI__HISTORY_VAL_ACCURACY,
	FTMPI__N_HISTORY
};

/** Most texts that ftmpi_trainer_set_record takes. */
enum { FTMPI__MAX_RECORDS = 8 };

/** Everything that the future of a training depends on. All of it is registered, under the names in trainer.c. */
struct ftmpi__state {
	float *params;                 /* arena */
	float *slots[FTMPI_MAX_SLOTS]; /* arenas; between saves only the own slice is up to date */
	int64_t step, epoch, position; /* position: samples of the epoch already used */
	uint64_t seed;
	int64_t n_workers;
	float learning_rate;
	float u_product; /* Nadam's: for the file alone, set when a rank's part of the slots is made whole */
	double sums[FTMPI__N_SUMS];
	ftmpi_buffer history[FTMPI__N_HISTORY]; /* float64, one number an epoch */
};

struct ftmpi_trainer {
	const ftmpi_comm *comm;
	const ftmpi_model *model;
	ftmpi_optimizer optimizer;
	const ftmpi_dataset *train, *validation;
	ftmpi_trainer_options options;
	ftmpi_checkpoint *checkpoint;

	struct ftmpi__state state;
	double wall_s;     /* of all launches up to the last save; saved */
	double saved_at_s; /* when the last save was, seconds since 1970: the phase of save_s; saved */
	int64_t n_relaunches;
	ftmpi_buffer records[FTMPI__MAX_RECORDS];
	int n_records;

	ftmpi_order order;
	ftmpi_exchange *exchange;
	ftmpi_evaluator *evaluator;
	ftmpi_workspace *workspace;
	int64_t max_rows;
	float *grads;         /* arena; the own slice holds the reduced gradient */
	float *x, *d_outputs; /* [max_rows, n_inputs], [max_rows, n_outputs] */
	int32_t *labels;      /* [max_rows] */
	int64_t *samples;     /* [max_rows] */
	double *worker_sums;  /* [own workers, FTMPI__N_SCALARS] */
	double batch_loss;
	ftmpi_metrics last_validation;
	ftmpi_step_times times;
	double started_s, saved_s; /* monotonic clock: when wall_s was last brought up to date; last save */
	int64_t saved_step;        /* step of the last save or restore; -1: none */
	bool save_due;             /* agreed in the step: the chief's clock wants a save */
};

/** Monotonic clock in seconds. */
double ftmpi__now_s(void);

/** Seconds since 1970. */
double ftmpi__calendar_s(void);

/** One optimizer step. Collective. Errors (agreed): ERR_DIVERGED, ERR_MPI. */
ftmpi_status ftmpi__step(ftmpi_trainer *trainer) FTMPI_CHECK_RESULT;

/** Samples of the next step: the batch size, or what is left of the epoch. */
int64_t ftmpi__batch_rows(const ftmpi_trainer *trainer);

/** Slots complete on every rank, as a save needs them. Collective. */
ftmpi_status ftmpi__gather_slots(ftmpi_trainer *trainer) FTMPI_CHECK_RESULT;

/** Means of accumulators. */
ftmpi_metrics ftmpi__metrics_of(const ftmpi_trainer *trainer, const double *sums);

#endif
