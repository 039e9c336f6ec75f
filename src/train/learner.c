/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters, slots and one step.
 *
 *     1  each own logical worker: its rows of the batch, the gradient function into a leaf of the tree
 *     2  sums of all workers, in tree order, with the ranks' flags
 *     3  reduce the gradients: the own slice
 *     4  update the own slice of parameters and slots
 *     5  gather the parameters
 *
 * A worker's rows depend on (batch, worker) alone, so its gradient has the same shape, and the same bits, on whichever rank it runs. Between saves
 * only the own slice of the slots is up to date. */
#include <ftmpi/exchange.h>
#include <ftmpi/failpoint.h>
#include <ftmpi/learner.h>
#include <ftmpi/slice.h>
#include <ftmpi/watchdog.h>

#include "train/clock.h"
#include "train/names.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_FLAGS = 3 };

struct ftmpi_learner {
	const ftmpi_comm *comm;
	const ftmpi_layout *layout;
	ftmpi_optimizer optimizer;
	ftmpi_exchange *exchange;
	int n_sums, n_flags, n_scalars; /* of a worker: sums, failure, flags */
	int64_t compare_steps;

	float *params, *grads;                  /* arenas; the own slice of grads holds the reduced gradient */
	float *slots[FTMPI_MAX_SLOTS];          /* arenas */
	int64_t step, n_workers, saved_workers; /* saved_workers: as a checkpoint has it */
	uint64_t seed;
	float learning_rate, u_product;

	int64_t *samples; /* [max_samples], of one worker */
	int64_t max_samples;
	double *scalars; /* [own workers, n_scalars] */
	bool flags[MAX_FLAGS];
	int raised[MAX_FLAGS];
	ftmpi_step_times times;
};

static ftmpi_status check_options(const ftmpi_comm *comm, const ftmpi_learner_options *options)
{
	ftmpi_status status = FTMPI_OK;

	if (options->n_workers < ftmpi_comm_size(comm))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%d logical workers cannot feed %d ranks", options->n_workers,
			   ftmpi_comm_size(comm));
	if (options->n_sums < 0 || options->n_sums > FTMPI_MAX_SUMS)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%d sums: 0 to %d are possible", options->n_sums, FTMPI_MAX_SUMS);
	if (options->n_flags < 0 || options->n_flags > MAX_FLAGS)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%d flags: 0 to %d are possible", options->n_flags, MAX_FLAGS);
	if (options->compare_steps < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%lld steps between comparisons: give 0 or more",
			   (long long)options->compare_steps);
done:
	return status;
}

static ftmpi_status allocate(ftmpi_learner *l)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t n = l->layout->n_elements;

	FTMPI_TRY(FTMPI_ALLOC(n, &l->params));
	FTMPI_TRY(FTMPI_ALLOC(n, &l->grads));
	FTMPI_TRY(FTMPI_ALLOC(l->n_workers * l->n_scalars, &l->scalars));
	for (int i = 0; i < ftmpi_optimizer_n_slots(&l->optimizer); i++) {
		const float initial = ftmpi_optimizer_slot_initial(&l->optimizer, i);

		FTMPI_TRY(FTMPI_ALLOC(n, &l->slots[i]));
		for (int64_t k = 0; k < n; k++)
			l->slots[i][k] = initial;
	}
done:
	return status;
}

static ftmpi_status create_local(const ftmpi_comm *comm, const ftmpi_layout *layout, const ftmpi_optimizer *optimizer,
				 const ftmpi_learner_options *options, ftmpi_learner **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_learner *l = NULL;

	FTMPI_TRY(check_options(comm, options));
	FTMPI_TRY(ftmpi_optimizer_check(optimizer));
	FTMPI_TRY(FTMPI_ALLOC(1, &l));
	l->comm = comm;
	l->layout = layout;
	l->optimizer = *optimizer;
	l->n_workers = l->saved_workers = options->n_workers;
	l->seed = options->seed;
	l->n_sums = options->n_sums;
	l->n_flags = options->n_flags;
	l->compare_steps = options->compare_steps;
	l->n_scalars = options->n_sums + 1 + options->n_flags;
	l->learning_rate = (float)optimizer->learning_rate;
	FTMPI_TRY(allocate(l));
	*out = l;
	l = NULL;
done:
	ftmpi_learner_destroy(&l);
	return status;
}

ftmpi_status ftmpi_learner_create(const ftmpi_comm *comm, const ftmpi_layout *layout, const ftmpi_optimizer *optimizer,
				  const ftmpi_learner_options *options, ftmpi_learner **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_learner *l = NULL;

	FTMPI_TRY(ftmpi_agree(comm, create_local(comm, layout, optimizer, options, &l)));
	FTMPI_TRY(ftmpi_exchange_create(comm, options->n_workers, layout->n_elements, &l->exchange));
	*out = l;
	l = NULL;
done:
	ftmpi_learner_destroy(&l);
	return status;
}

void ftmpi_learner_destroy(ftmpi_learner **learner)
{
	ftmpi_learner *l = *learner;

	if (l == NULL)
		return;
	ftmpi_exchange_destroy(&l->exchange);
	ftmpi_free(l->params);
	ftmpi_free(l->grads);
	for (int i = 0; i < FTMPI_MAX_SLOTS; i++)
		ftmpi_free(l->slots[i]);
	ftmpi_free(l->samples);
	ftmpi_free(l->scalars);
	ftmpi_free(l);
	*learner = NULL;
}

float *ftmpi_learner_params(ftmpi_learner *l)
{
	return l->params;
}

int64_t ftmpi_learner_step_count(const ftmpi_learner *l)
{
	return l->step;
}

float ftmpi_learner_learning_rate(const ftmpi_learner *l)
{
	return l->learning_rate;
}

void ftmpi_learner_set_learning_rate(ftmpi_learner *l, float learning_rate)
{
	l->learning_rate = learning_rate;
}

/* Room for the sample indices of the largest worker of a batch. */
static ftmpi_status reserve_samples(ftmpi_learner *l, const ftmpi_batch *batch)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t largest = (batch->n_samples - 1) / l->n_workers + 1;
	int64_t *samples = NULL;

	if (largest <= l->max_samples)
		goto done;
	FTMPI_TRY(FTMPI_ALLOC(largest, &samples));
	ftmpi_free(l->samples);
	l->samples = samples;
	l->max_samples = largest;
done:
	return status;
}

static ftmpi_status run_worker(ftmpi_learner *l, const ftmpi_batch *batch, int worker, ftmpi_gradient_fn gradient,
			       void *context, double *scalars)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t first = ftmpi_slice_start(batch->n_samples, l->n_workers, worker);
	const int64_t n = ftmpi_slice_start(batch->n_samples, l->n_workers, worker + 1) - first;
	float *grads = ftmpi_exchange_leaf(l->exchange);
	const ftmpi_worker_batch part = {.n_samples = n,
					 .samples = l->samples,
					 .global_samples = batch->n_samples,
					 .step = l->step,
					 .seed = l->seed};

	if (n == 0) { /* a last batch shorter than the number of workers */
		memset(grads, 0, (size_t)l->layout->n_elements * sizeof *grads);
		goto done;
	}
	ftmpi_order_samples(&batch->order, batch->epoch, batch->first + first, n, l->samples);
	FTMPI_TRY(gradient(context, l->params, &part, grads, scalars));
done:
	return status;
}

static ftmpi_status run_own_workers(ftmpi_learner *l, const ftmpi_batch *batch, ftmpi_gradient_fn gradient,
				    void *context)
{
	ftmpi_status status = FTMPI_OK;
	int first, end;

	ftmpi_exchange_begin(l->exchange);
	ftmpi_exchange_workers(l->exchange, &first, &end);
	memset(l->scalars, 0, (size_t)((int64_t)(end - first) * l->n_scalars) * sizeof *l->scalars);
	FTMPI_TRY(reserve_samples(l, batch));
	for (int w = first; w < end; w++) {
		FTMPI_TRY(run_worker(l, batch, w, gradient, context, l->scalars + (int64_t)(w - first) * l->n_scalars));
		ftmpi_exchange_push(l->exchange);
		ftmpi_watch_alive(l->comm);
	}
	if (l->n_sums > 0 && ftmpi_failpoint_hit(FTMPI_FP_STEP_LOSS) == FTMPI_FAULT_NAN)
		l->scalars[0] = NAN;
done:
	return status;
}

/* Sums of all workers; a failure and the flags of a rank ride along with its first worker. */
static ftmpi_status add_scalars(ftmpi_learner *l, ftmpi_status local, double *sums)
{
	ftmpi_status status = FTMPI_OK;
	double all[FTMPI_MAX_SUMS + 1 + MAX_FLAGS];

	l->scalars[l->n_sums] = local != FTMPI_OK;
	for (int i = 0; i < l->n_flags; i++)
		l->scalars[l->n_sums + 1 + i] = l->flags[i];
	FTMPI_TRY(ftmpi_exchange_scalars(l->exchange, l->scalars, l->n_scalars, all));
	if (all[l->n_sums] > 0)
		FTMPI_TRY(ftmpi_agree(l->comm, local));
	for (int i = 0; i < l->n_flags; i++) {
		l->raised[i] = (int)all[l->n_sums + 1 + i];
		l->flags[i] = false;
	}
	for (int i = 0; i < l->n_sums; i++)
		sums[i] = all[i];
done:
	return status;
}

/* One bit of this rank's copy: the highest of a fraction, in the middle of the first parameter. */
static void corrupt_on_purpose(ftmpi_learner *l, ftmpi_failpoint point)
{
	float *victim = l->params + l->layout->params[0].offset + l->layout->params[0].n_elements / 2;
	uint32_t bits;

	if (ftmpi_failpoint_hit(point) != FTMPI_FAULT_CORRUPT)
		return;
	memcpy(&bits, victim, sizeof bits);
	bits ^= 1U << 22;
	memcpy(victim, &bits, sizeof bits);
}

static ftmpi_digest hash_arena(const ftmpi_learner *l, const float *arena)
{
	return ftmpi_hash(arena, (size_t)l->layout->n_elements * sizeof *arena);
}

ftmpi_status ftmpi_learner_compare(const ftmpi_learner *l)
{
	const struct {
		ftmpi_digest params;
		int64_t step;
		uint64_t seed;
		double learning_rate;
	} copy = {hash_arena(l, l->params), l->step, l->seed, (double)l->learning_rate};
	char what[64];

	(void)snprintf(what, sizeof what, "the parameters at step %lld", (long long)l->step);
	return ftmpi_comm_compare_copies(l->comm, ftmpi_hash(&copy, sizeof copy), what);
}

ftmpi_status ftmpi_learner_gradients(ftmpi_learner *l, const ftmpi_batch *batch, ftmpi_gradient_fn gradient,
				     void *context, double *sums)
{
	ftmpi_status status = FTMPI_OK;
	double clock_s = ftmpi__now_s();

	ftmpi_watch_step(l->comm, l->step);
	(void)ftmpi_watch_begin(l->comm, l->times.n_steps == 0 ? FTMPI_PHASE_FIRST_STEP : FTMPI_PHASE_STEP, NULL);
	(void)ftmpi_failpoint_hit(FTMPI_FP_STEP_BEGIN);
	corrupt_on_purpose(l, FTMPI_FP_STEP_PARAMS);
	status = run_own_workers(l, batch, gradient, context);
	ftmpi__lap(&clock_s, &l->times.compute_s);
	FTMPI_TRY(add_scalars(l, status, sums));
	if (l->compare_steps > 0 && l->step % l->compare_steps == 0)
		FTMPI_TRY(ftmpi_learner_compare(l));
	ftmpi__lap(&clock_s, &l->times.exchange_s);
done:
	return status;
}

ftmpi_status ftmpi_learner_reduce(ftmpi_learner *l)
{
	ftmpi_status status = FTMPI_OK;
	double clock_s = ftmpi__now_s();

	(void)ftmpi_failpoint_hit(FTMPI_FP_STEP_BEFORE_REDUCE);
	FTMPI_TRY(ftmpi_exchange_reduce(l->exchange, l->grads));
	ftmpi__lap(&clock_s, &l->times.exchange_s);
done:
	return status;
}

void ftmpi_learner_apply(ftmpi_learner *l)
{
	double clock_s = ftmpi__now_s();
	int64_t first, end;

	(void)ftmpi_failpoint_hit(FTMPI_FP_STEP_BEFORE_APPLY);
	ftmpi_exchange_slice(l->exchange, &first, &end);
	l->optimizer.learning_rate = (double)l->learning_rate;
	ftmpi_optimizer_apply(&l->optimizer, l->step, first, end, l->params, l->grads, l->slots);
	l->step++;
	l->times.n_steps++;
	ftmpi__lap(&clock_s, &l->times.optimizer_s);
}

ftmpi_status ftmpi_learner_gather(ftmpi_learner *l)
{
	ftmpi_status status = FTMPI_OK;
	double clock_s = ftmpi__now_s();

	FTMPI_TRY(ftmpi_exchange_gather(l->exchange, l->params));
	(void)ftmpi_watch_begin(l->comm, FTMPI_PHASE_PROGRAM, NULL);
	ftmpi__lap(&clock_s, &l->times.exchange_s);
done:
	return status;
}

ftmpi_status ftmpi_learner_step(ftmpi_learner *l, const ftmpi_batch *batch, ftmpi_gradient_fn gradient, void *context,
				double *sums)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi_learner_gradients(l, batch, gradient, context, sums));
	FTMPI_TRY(ftmpi_learner_reduce(l));
	ftmpi_learner_apply(l);
	FTMPI_TRY(ftmpi_learner_gather(l));
done:
	return status;
}

void ftmpi_learner_raise(ftmpi_learner *l, int flag)
{
	l->flags[flag] = true;
}

int ftmpi_learner_raised(const ftmpi_learner *l, int flag)
{
	return l->raised[flag];
}

ftmpi_step_times ftmpi_learner_times(const ftmpi_learner *l)
{
	return l->times;
}

void ftmpi_learner_count_data(ftmpi_learner *l, double data_s)
{
	l->times.data_s += data_s;
	l->times.compute_s -= data_s;
}

/* The own slice of the parameters is finite: a checkpoint never holds anything else. */
static ftmpi_status check_slice(const ftmpi_learner *l)
{
	ftmpi_status status = FTMPI_OK;
	int64_t first, end;

	ftmpi_exchange_slice(l->exchange, &first, &end);
	for (int64_t i = first; i < end; i++)
		if (!isfinite(l->params[i]))
			FTMPI_FAIL(
				FTMPI_ERR_DIVERGED,
				"model diverged: a parameter is not finite after step %lld, which is not saved; older "
				"checkpoints are good: try a smaller learning rate",
				(long long)l->step);
done:
	return status;
}

ftmpi_status ftmpi__learner_check_finite(const ftmpi_learner *l)
{
	return ftmpi_agree(l->comm, check_slice(l));
}

static ftmpi_status before_save(void *context)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_learner *l = context;

	corrupt_on_purpose(l, FTMPI_FP_SAVE_PARAMS);
	FTMPI_TRY(ftmpi_learner_compare(l));
	FTMPI_TRY(ftmpi__learner_check_finite(l));
	l->u_product = ftmpi_optimizer_u_product(&l->optimizer, l->step);
	for (int i = 0; i < ftmpi_optimizer_n_slots(&l->optimizer); i++) {
		FTMPI_TRY(ftmpi_exchange_gather(l->exchange, l->slots[i]));
		FTMPI_TRY(ftmpi_comm_compare_copies(l->comm, hash_arena(l, l->slots[i]), "the optimizer's slots"));
	}
done:
	return status;
}

/* Negative controls of the fault tests: leave one thing out of the restore on purpose, and the end must differ. */
static void leave_out_on_purpose(ftmpi_learner *l)
{
	if (ftmpi_failpoint_hit(FTMPI_FP_RESTORE_SLOT) == FTMPI_FAULT_SKIP && l->slots[0] != NULL)
		memset(l->slots[0], 0, (size_t)l->layout->n_elements * sizeof *l->slots[0]);
	if (ftmpi_failpoint_hit(FTMPI_FP_RESTORE_RNG) == FTMPI_FAULT_SKIP)
		l->seed = 0;
}

/* A restore brings back the parameters alone; an infinite update has spoilt the gaps too. */
static void clear_gaps(ftmpi_learner *l)
{
	int64_t at = 0;

	for (int i = 0; i < l->layout->n_params; i++) {
		const ftmpi_param *p = &l->layout->params[i];

		memset(l->params + at, 0, (size_t)(p->offset - at) * sizeof *l->params);
		at = p->offset + p->n_elements;
	}
	memset(l->params + at, 0, (size_t)(l->layout->n_elements - at) * sizeof *l->params);
}

static ftmpi_status after_restore(void *context)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_learner *l = context;
	const int64_t saved_workers = l->saved_workers;

	clear_gaps(l);
	leave_out_on_purpose(l);
	l->saved_workers = l->n_workers;
	if (saved_workers != l->n_workers)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "the checkpoint has %lld logical workers, this run %lld",
			   (long long)saved_workers, (long long)l->n_workers);
	if (l->step < 0)
		FTMPI_FAIL(FTMPI_ERR_DATA, "the checkpoint is at step %lld", (long long)l->step);
	if (!(l->learning_rate >= 0) || !isfinite(l->learning_rate))
		FTMPI_FAIL(FTMPI_ERR_DATA, "the checkpoint has the learning rate %g", (double)l->learning_rate);
done:
	return status;
}

/* Iteration, learning rate and slots under the names that Keras gives them. */
static ftmpi_status register_optimizer(ftmpi_learner *l, ftmpi_registry *r)
{
	ftmpi_status status = FTMPI_OK;
	const int n_entries = ftmpi_optimizer_n_slots(&l->optimizer) * l->layout->n_params;

	FTMPI_TRY(ftmpi_registry_add_group(r, "optimizer/vars", ftmpi_optimizer_name(l->optimizer.kind)));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "optimizer/vars/0", FTMPI_I64, &l->step, FTMPI_STATE));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "optimizer/vars/1", FTMPI_F32, &l->learning_rate, FTMPI_STATE));
	for (int k = 0; k < n_entries; k++) {
		const ftmpi_param *p;
		char path[FTMPI__PATH_BYTES];
		int slot, param;

		ftmpi_optimizer_keras_entry(&l->optimizer, l->layout->n_params, k, &slot, &param);
		p = &l->layout->params[param];
		(void)snprintf(path, sizeof path, "optimizer/vars/%d", k + 2);
		FTMPI_TRY(ftmpi_registry_add(r, path, FTMPI_F32, p->n_dims, p->dims, l->slots[slot] + p->offset,
					     FTMPI_STATE));
	}
	if (l->optimizer.kind == FTMPI_NADAM) {
		char path[FTMPI__PATH_BYTES];

		(void)snprintf(path, sizeof path, "optimizer/vars/%d", n_entries + 2);
		FTMPI_TRY(ftmpi_registry_add_scalar(r, path, FTMPI_F32, &l->u_product, FTMPI_STATE));
	}
done:
	return status;
}

ftmpi_status ftmpi_learner_track(ftmpi_learner *l, const ftmpi_model *model, ftmpi_checkpoint *checkpoint)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_registry *r = ftmpi_checkpoint_registry(checkpoint);
	const ftmpi_trackable trackable = {.context = l, .before_save = before_save, .after_restore = after_restore};

	if (model != NULL)
		FTMPI_TRY(ftmpi__register_groups(model, r));
	FTMPI_TRY(ftmpi__register_params(l->layout, l->params, r));
	FTMPI_TRY(register_optimizer(l, r));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/seed", FTMPI_U64, &l->seed, FTMPI_STATE));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/logical_workers", FTMPI_I64, &l->saved_workers, FTMPI_STATE));
	FTMPI_TRY(ftmpi_checkpoint_add(checkpoint, &trackable));
done:
	return status;
}
