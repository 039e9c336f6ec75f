/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The building blocks of a training loop of one's own: parameters, their gradient over logical workers, the deterministic reduction, the update.
 *
 *     for each batch:
 *         ftmpi_learner_gradients(learner, &batch, gradient, context, sums)     collective: each rank runs its logical workers
 *         ftmpi_learner_reduce(learner)                                         collective: a rank's slice of the summed gradient
 *         ftmpi_learner_apply(learner)                                          local: the update of that slice
 *         ftmpi_learner_gather(learner)                                         collective: the parameters whole again on every rank
 *
 * or ftmpi_learner_step, which is these four. The gradient is any C function of (parameters, samples): a worker's rows depend on the batch and the
 * worker alone, and the workers' gradients and sums are added in one fixed tree, so the result has the same bits on any number of ranks and after any
 * restore, provided that the function is itself a pure function of its arguments.
 */
#ifndef FTMPI_LEARNER_H
#define FTMPI_LEARNER_H

#include <ftmpi/batches.h>
#include <ftmpi/model.h>
#include <ftmpi/optimizer.h>

FTMPI_BEGIN_DECLS

/** Most sums that a gradient function adds up. */
#define FTMPI_MAX_SUMS 8

typedef struct ftmpi_learner_options {
	int n_workers; /**< logical workers V ≥ number of ranks */
	uint64_t seed; /**< of the random numbers that the gradient function draws */
	int n_sums;  /**< scalars that the gradient function sums over samples (loss, metrics); 0 … FTMPI_MAX_SUMS */
	int n_flags; /**< wishes of single ranks that ride along with a step, see ftmpi_learner_flags; 0 … 3 */
	int64_t compare_steps; /**< in every so many steps compare the ranks' copies, see ftmpi_learner_compare; 0: only at saves */
} ftmpi_learner_options;

typedef struct ftmpi_learner ftmpi_learner;

/**
 * Parameters (zero) and slots (at their start) for a layout. Collective. @param layout of ftmpi_model_layout or ftmpi_layout_create; must outlive the
 * learner. Errors (agreed): ERR_USAGE, ERR_MEMORY, ERR_MPI.
 */
FTMPI_API ftmpi_status ftmpi_learner_create(const ftmpi_comm *comm, const ftmpi_layout *layout,
					    const ftmpi_optimizer *optimizer, const ftmpi_learner_options *options,
					    ftmpi_learner **out) FTMPI_CHECK_RESULT;
/** Collective. NULLs the pointer; NULL is fine. */
FTMPI_API void ftmpi_learner_destroy(ftmpi_learner **learner);

/** The parameter arena: set it, alike on all ranks, before the first step (ftmpi_model_init_params). Local. */
FTMPI_API float *ftmpi_learner_params(ftmpi_learner *learner);

/** Updates made so far. Local. */
FTMPI_API int64_t ftmpi_learner_step_count(const ftmpi_learner *learner);

/** The optimizer's learning rate, part of the state. Setting it: alike on all ranks, between steps. Local. */
FTMPI_API float ftmpi_learner_learning_rate(const ftmpi_learner *learner);
FTMPI_API void ftmpi_learner_set_learning_rate(ftmpi_learner *learner, float learning_rate);

/** What a gradient function is given: one logical worker's part of a global batch. */
typedef struct ftmpi_worker_batch {
	int64_t n_samples;      /**< of this worker; ≥ 1 */
	const int64_t *samples; /**< [n_samples] their indices in the data set */
	int64_t global_samples; /**< of the whole batch: divide by it for a mean */
	int64_t step;           /**< updates before this one: part of the key of random numbers */
	uint64_t seed;          /**< of the learner's options, or of the checkpoint */
} ftmpi_worker_batch;

/**
 * Fill the gradient arena of one worker. @param params arena, read only. @param grads arena, overwritten in all elements, gaps with 0.
 * @param sums [n_sums], zero at the call: add to them. Errors: any; agreed over the ranks.
 */
typedef ftmpi_status (*ftmpi_gradient_fn)(void *context, const float *params, const ftmpi_worker_batch *batch,
					  float *grads, double *sums);

/**
 * Run the own logical workers and add up their sums, in tree order. Collective. Workers without samples (a short batch) are left out.
 * @param sums [n_sums], the same bits on every rank; untouched on failure. Errors (agreed): of the gradient function; ERR_REPLICA; ERR_MPI.
 */
FTMPI_API ftmpi_status ftmpi_learner_gradients(ftmpi_learner *learner, const ftmpi_batch *batch,
					       ftmpi_gradient_fn gradient, void *context,
					       double *sums) FTMPI_CHECK_RESULT;

/** The own slice of the summed gradient. Collective; after ftmpi_learner_gradients. Errors: ERR_MPI. */
FTMPI_API ftmpi_status ftmpi_learner_reduce(ftmpi_learner *learner) FTMPI_CHECK_RESULT;

/**
 * Check that all ranks have the same parameters, learning rate, seed and step. Collective. With compare_steps it is called by itself, at the end of
 * ftmpi_learner_gradients in step 0, compare_steps, 2 · compare_steps …: then what the gradients were computed from is compared, before it is overwritten
 * by the update. A difference that comes and goes between two such steps is not seen; it acts as one wrong gradient. Every save compares too, and
 * the chief's copies of the others' slots with what they have, so a checkpoint holds what all ranks had.
 * Errors (agreed): ERR_REPLICA with the odd ranks. Cost: the parameters are hashed, at memory speed; 16 bytes a rank are sent.
 */
FTMPI_API ftmpi_status ftmpi_learner_compare(const ftmpi_learner *learner) FTMPI_CHECK_RESULT;

/** Update the own slice of parameters and slots; counts a step. Local, on every rank; after ftmpi_learner_reduce. */
FTMPI_API void ftmpi_learner_apply(ftmpi_learner *learner);

/** The parameters whole again on every rank. Collective; after ftmpi_learner_apply. Errors: ERR_MPI. */
FTMPI_API ftmpi_status ftmpi_learner_gather(ftmpi_learner *learner) FTMPI_CHECK_RESULT;

/** Gradients, reduce, apply, gather. Collective. Errors: as these. */
FTMPI_API ftmpi_status ftmpi_learner_step(ftmpi_learner *learner, const ftmpi_batch *batch, ftmpi_gradient_fn gradient,
					  void *context, double *sums) FTMPI_CHECK_RESULT;

/**
 * Wishes of single ranks, agreed at no cost: set one on any rank, and after the next ftmpi_learner_gradients every rank sees on how many ranks it was
 * set; that call clears it. Local. @param flag 0 … n_flags − 1.
 */
FTMPI_API void ftmpi_learner_raise(ftmpi_learner *learner, int flag);
FTMPI_API int ftmpi_learner_raised(const ftmpi_learner *learner, int flag);

/**
 * Save and restore the learner with a checkpoint, under the names that Keras gives: `layers/<layer>/vars/<i>`, `optimizer/vars/…`; number of logical
 * workers and seed at `ftmpi/logical_workers`, `ftmpi/seed`. Local, alike on all ranks. A save takes each rank's slice of
 * the slots from where it is: where there is more than one rank, they are in parts that only the checkpoint reads (ftmpi_registry_set_parts). It refuses copies
 * that differ over the ranks (ERR_REPLICA) and parameters that are not finite (ERR_DIVERGED); a restore refuses another number of logical workers (ERR_USAGE).
 * @param model whose layers' groups the file has, also those of layers without parameters; NULL: those of the layout.
 */
FTMPI_API ftmpi_status ftmpi_learner_track(ftmpi_learner *learner, const ftmpi_model *model,
					   ftmpi_checkpoint *checkpoint) FTMPI_CHECK_RESULT;

/** Seconds spent in the parts of the steps so far, on this rank. */
typedef struct ftmpi_step_times {
	int64_t n_steps;
	double data_s, compute_s, exchange_s,
		optimizer_s; /**< data_s: told by ftmpi_learner_count_data, part of no other */
} ftmpi_step_times;

/** Local. */
FTMPI_API ftmpi_step_times ftmpi_learner_times(const ftmpi_learner *learner);
/** A gradient function tells how long it fetched data: taken out of compute_s. Local. */
FTMPI_API void ftmpi_learner_count_data(ftmpi_learner *learner, double data_s);

FTMPI_END_DECLS

#endif
