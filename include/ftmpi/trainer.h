/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A compiled model and `fit`, with the same bits on any number of ranks and from any checkpoint on. Built on learner.h, batches.h and checkpoint.h: what it
 * does can be done with these in a loop of one's own.
 */
#ifndef FTMPI_TRAINER_H
#define FTMPI_TRAINER_H

#include <ftmpi/callback.h>
#include <ftmpi/compile.h>
#include <ftmpi/evaluator.h>
#include <ftmpi/preemption.h>

FTMPI_BEGIN_DECLS

typedef enum ftmpi_loss_reduction {
	FTMPI_REDUCE_MEAN, /**< mean over the global batch */
	FTMPI_REDUCE_SUM   /**< sum over the global batch */
} ftmpi_loss_reduction;

typedef struct ftmpi_trainer_options {
	int n_workers; /**< logical workers V ≥ number of ranks */
	uint64_t seed; /**< of parameters, order and dropout */
	ftmpi_loss_reduction loss_reduction;
	int64_t compare_steps; /**< as in ftmpi_learner_options */
} ftmpi_trainer_options;

/** 1 worker, seed 1, mean, copies compared every 200 steps. Local. */
FTMPI_API void ftmpi_trainer_options_init(ftmpi_trainer_options *options);

/**
 * A trainer with fresh parameters: Keras's model.compile. Collective. @param model must outlive the trainer.
 * Errors (agreed): ERR_USAGE, ERR_MEMORY, ERR_MPI.
 */
FTMPI_API ftmpi_status ftmpi_trainer_create(const ftmpi_comm *comm, const ftmpi_model *model,
					    const ftmpi_compile *compile, const ftmpi_trainer_options *options,
					    ftmpi_trainer **out) FTMPI_CHECK_RESULT;
/** Collective. NULLs the pointer; NULL is fine. */
FTMPI_API void ftmpi_trainer_destroy(ftmpi_trainer **trainer);

/** Attach text about the run to every checkpoint, at "ftmpi/<name>", in place of an earlier one; it is not part of the state digest. Local, alike on all
 * ranks, not during a fit. The trainer itself sets "environment" to ftmpi_numeric_environment(). Errors: ERR_USAGE, ERR_MEMORY. */
FTMPI_API ftmpi_status ftmpi_trainer_set_record(ftmpi_trainer *trainer, const char *name,
						const char *text) FTMPI_CHECK_RESULT;

/** How to fit: the arguments of Keras's fit. */
typedef struct ftmpi_fit_options {
	const ftmpi_dataset *train;
	const ftmpi_dataset *validation; /**< NULL: none */
	int64_t batch_size;              /**< samples of a step over all ranks; ≥ 1 */
	bool shuffle;
	int64_t epochs; /**< train until this many epochs are done, those before initial_epoch counted; 0: no such end */
	int64_t initial_epoch; /**< number of the first epoch */
	int64_t max_steps;     /**< train until the trainer has made this many updates; 0: no such end */
	int64_t steps_per_execution; /**< batches between two calls of batch_begin and batch_end; ≥ 1; changes nothing else */
	const ftmpi_callback *const *callbacks;
	int n_callbacks;
	ftmpi_preemption *preemption; /**< ends the fit early; NULL: none */
	double spike_factor; /**< a loss above so many times the mean of those before counts as diverged; 0: none does; the mean is taken
			      * over the last 50 steps or so, and counts from the 20th on */
} ftmpi_fit_options;

/** 32 samples, shuffled, 1 epoch, steps_per_execution 1. Local. */
FTMPI_API void ftmpi_fit_options_init(ftmpi_fit_options *options);

/**
 * Train. Collective. Position and history begin anew, unless a callback restores them; parameters, slots and step go on from where they are. A fit that a restore
 * finds at its end trains nothing.
 * Errors (agreed): ERR_USAGE, ERR_DATA (model and data do not fit), ERR_REPLICA (a rank has other parameters), ERR_DIVERGED (a loss that is not finite, found before anything is changed by it), STOPPED
 * (preempted; the state was saved by the callbacks that save), those of callbacks, ERR_MEMORY, ERR_MPI.
 */
FTMPI_API ftmpi_status ftmpi_trainer_fit(ftmpi_trainer *trainer, const ftmpi_fit_options *options) FTMPI_CHECK_RESULT;

/** The last fit's history of an entry of the epochs' logs ("loss", "val_accuracy"). Local. @param values [n], one an epoch, valid until the next fit.
 * @return n; 0 when there is no such entry. */
FTMPI_API int64_t ftmpi_trainer_history(const ftmpi_trainer *trainer, const char *name, const double **values);

/** Loss and metrics on a data set. Collective. Errors (agreed): ERR_DATA, ERR_MPI. */
FTMPI_API ftmpi_status ftmpi_trainer_evaluate(ftmpi_trainer *trainer, const ftmpi_dataset *dataset,
					      ftmpi_metrics *out) FTMPI_CHECK_RESULT;
/** The model's outputs for every sample, in order. Collective. @param outputs [n_samples, n_outputs], chief only. Errors: as ftmpi_trainer_evaluate. */
FTMPI_API ftmpi_status ftmpi_trainer_predict(ftmpi_trainer *trainer, const ftmpi_dataset *dataset,
					     float *outputs) FTMPI_CHECK_RESULT;

/** Track model and optimizer, without the position of a fit: what a loop of one's own saves. Local, alike on all ranks. Errors: as ftmpi_learner_track. */
FTMPI_API ftmpi_status ftmpi_trainer_track(ftmpi_trainer *trainer, ftmpi_checkpoint *checkpoint) FTMPI_CHECK_RESULT;

/** One training step of a loop of one's own: forward, loss, backward, reduce, update. Collective. @param dataset of the batch. @param out loss and metrics
 * of the batch, as they were before the update; NULL: not wanted. Errors (agreed): ERR_DATA, ERR_DIVERGED, ERR_MPI. */
FTMPI_API ftmpi_status ftmpi_trainer_train_on_batch(ftmpi_trainer *trainer, const ftmpi_dataset *dataset,
						    const ftmpi_batch *batch, ftmpi_metrics *out) FTMPI_CHECK_RESULT;

/** Parts of a trainer. Local. */
FTMPI_API ftmpi_learner *ftmpi_trainer_learner(ftmpi_trainer *trainer);
FTMPI_API const ftmpi_model *ftmpi_trainer_model(const ftmpi_trainer *trainer);

/** The numeric environment as key = value lines: all that bits depend on beside configuration and data. Local. */
FTMPI_API const char *ftmpi_numeric_environment(void);

FTMPI_END_DECLS

#endif
