/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The trainer: data-parallel training of a model on a data set, from any checkpoint on, with the same bits on any number of ranks.
 *
 * The global batch of a step is cut into V contiguous slices, one per logical worker; each worker's pass has a shape that depends on the
 * worker alone; the workers' gradients, losses and metrics are added in the fixed tree of exchange.h; each rank updates its slice of the
 * parameters and the slots, and the parameters are gathered.
 */
#ifndef FTMPI_TRAINER_H
#define FTMPI_TRAINER_H

#include <ftmpi/checkpoint.h>
#include <ftmpi/dataset.h>
#include <ftmpi/evaluator.h>
#include <ftmpi/model.h>
#include <ftmpi/optimizer.h>

FTMPI_BEGIN_DECLS

typedef enum ftmpi_loss_reduction {
	FTMPI_REDUCE_MEAN, /**< mean over the global batch */
	FTMPI_REDUCE_SUM   /**< sum over the global batch */
} ftmpi_loss_reduction;

/** How to train. */
typedef struct ftmpi_trainer_options {
	int64_t batch_size; /**< samples of one step over all ranks; ≥ 1 */
	int n_workers;      /**< logical workers V ≥ number of ranks */
	uint64_t seed;
	bool shuffle;
	ftmpi_loss_reduction loss_reduction;
	int64_t n_epochs;    /**< train until this many epochs are done; 0: no such end */
	int64_t max_steps;   /**< train until this many steps are done; 0: no such end */
	int64_t save_steps;  /**< save when the step is a multiple of this; 0: never for that reason */
	int64_t save_epochs; /**< save at the end of every so many epochs; 0: never for that reason */
	double save_s; /**< save when the chief's clock says so many seconds since the last save; 0: never for that reason */
} ftmpi_trainer_options;

/** 32 samples, 1 worker, seed 1, shuffled, mean, 10 epochs, a save every epoch. Local. */
FTMPI_API void ftmpi_trainer_options_init(ftmpi_trainer_options *options);

/** Where a training is; what an observer sees. */
typedef struct ftmpi_progress {
	int64_t step;             /**< steps done since the very first launch */
	int64_t max_steps;        /**< 0: none */
	int64_t epoch, n_epochs;  /**< current epoch from 0; n_epochs 0: no such end */
	int64_t batch, n_batches; /**< batches done in the epoch; batches of an epoch */
	double batch_loss;        /**< loss of the last step's batch */
	ftmpi_metrics
		train; /**< running means of the epoch; with FTMPI_REDUCE_SUM the loss is a mean over batches of their sums */
	bool has_validation;
	ftmpi_metrics validation; /**< at the end of an epoch */
} ftmpi_progress;

/** Functions called on the chief while a training goes on; any may be NULL. */
typedef struct ftmpi_observer {
	void *context;
	void (*train_begin)(void *context, const ftmpi_progress *progress);
	void (*epoch_begin)(void *context, const ftmpi_progress *progress);
	void (*step_end)(void *context, const ftmpi_progress *progress);
	void (*epoch_end)(void *context, const ftmpi_progress *progress);
	void (*saved)(void *context, const ftmpi_progress *progress, const char *file);
	void (*train_end)(void *context, const ftmpi_progress *progress);
} ftmpi_observer;

/** Seconds spent in the parts of the steps so far, on this rank. */
typedef struct ftmpi_step_times {
	int64_t n_steps;
	double data_s, compute_s, exchange_s, optimizer_s;
} ftmpi_step_times;

typedef struct ftmpi_trainer ftmpi_trainer;

/**
 * A trainer with fresh parameters. Collective. What is handed in must outlive the trainer. @param validation NULL: none.
 * Errors (agreed): ERR_USAGE, ERR_DATA (model and data do not fit), ERR_MEMORY, ERR_MPI.
 */
FTMPI_API ftmpi_status ftmpi_trainer_create(const ftmpi_comm *comm, const ftmpi_model *model,
					    const ftmpi_optimizer *optimizer, const ftmpi_dataset *train,
					    const ftmpi_dataset *validation, const ftmpi_trainer_options *options,
					    ftmpi_trainer **out) FTMPI_CHECK_RESULT;
/** Collective. NULLs the pointer; NULL is fine. */
FTMPI_API void ftmpi_trainer_destroy(ftmpi_trainer **trainer);

/** Attach text about the run to every checkpoint, at "ftmpi/<name>", in place of an earlier one; it is not part of the state digest. Local, same on all
 * ranks. The trainer itself sets "environment" to ftmpi_numeric_environment(). */
FTMPI_API ftmpi_status ftmpi_trainer_set_record(ftmpi_trainer *trainer, const char *name,
						const char *text) FTMPI_CHECK_RESULT;

/** Restore the whole state. Collective. @param reader chief only. Errors: as ftmpi_checkpoint_restore_reader. */
FTMPI_API ftmpi_status ftmpi_trainer_restore(ftmpi_trainer *trainer, const ftmpi_reader *reader) FTMPI_CHECK_RESULT;

/** Whether the end that the options name is reached. Local, same on all ranks. */
FTMPI_API bool ftmpi_trainer_finished(const ftmpi_trainer *trainer);

/**
 * Train until the end that the options name. Collective. Saves into the store as the options say, and at the end.
 * @param store the chief's; NULL elsewhere; NULL on the chief: no checkpoints. @param observer chief only; NULL: none.
 * Errors (agreed): ERR_DIVERGED when a loss or a parameter is not finite, found before anything of it is saved; as ftmpi_manager_save.
 */
FTMPI_API ftmpi_status ftmpi_trainer_run(ftmpi_trainer *trainer, ftmpi_store *store,
					 const ftmpi_observer *observer) FTMPI_CHECK_RESULT;

/** Where the training is. Local. */
FTMPI_API ftmpi_progress ftmpi_trainer_progress(const ftmpi_trainer *trainer);

/** Digest of the whole state, as a checkpoint saved now would have it. Collective. */
FTMPI_API ftmpi_status ftmpi_trainer_state_digest(ftmpi_trainer *trainer, ftmpi_digest *out) FTMPI_CHECK_RESULT;

/** The parameters, an arena. Local. */
FTMPI_API const float *ftmpi_trainer_params(const ftmpi_trainer *trainer);

/** Local. */
FTMPI_API ftmpi_step_times ftmpi_trainer_times(const ftmpi_trainer *trainer);

/** The numeric environment as key = value lines: all that bits depend on beside configuration and data. Local. */
FTMPI_API const char *ftmpi_numeric_environment(void);

FTMPI_END_DECLS

#endif
