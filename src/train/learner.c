/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters, slots and one step.
 *
 *     1  each own logical worker: its rows of the batch, the gradient function into a leaf of the tree
 *     2  sums of all workers, in tree order, with the ranks' flags
 *     3  reduce the gradients: the own slice
 *     4  update the own slice of parameters and slots
 *     5  gather the parameters
 *
 * A worker's rows depend on (batch, worker) alone, so its gradient has the same shape, and the same bits, on whichever rank it runs. Only the own slice
 * of the slots is up to date. */
#include "train/learner.h"

#include "base/clock.h"

#include <ftmpi/slice.h>
#include <ftmpi/watchdog.h>

#include <math.h>
#include <string.h>

static ftmpi_status check_options(const ftmpi_learner_options *options)
{
	ftmpi_status status = FTMPI_OK;

	if (options->n_sums < 0 || options->n_sums > FTMPI_MAX_SUMS)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%d sums: 0 to %d are possible", options->n_sums, FTMPI_MAX_SUMS);
	if (options->n_flags < 0 || options->n_flags > FTMPI__MAX_FLAGS)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%d flags: 0 to %d are possible", options->n_flags, FTMPI__MAX_FLAGS);
	if (options->compare_steps < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%lld steps between comparisons: give 0 or more",
			   (long long)options->compare_steps);
done:
	return status;
}

/* How the slots are saved. */
static ftmpi_status plan_slots(ftmpi_learner *l)
{
	const struct ftmpi__slots slots = {.comm = l->comm,
					   .layout = l->layout,
					   .optimizer = &l->optimizer,
					   .exchange = l->exchange,
					   .arenas = l->slots};

	return ftmpi__slot_parts_create(&slots, &l->slot_parts);
}

/* Parameters and slots. Collective. */
static ftmpi_status create_arenas(ftmpi_learner *l)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi_exchange_create(l->comm, (int)l->n_workers, l->layout->n_elements, &l->exchange));
	FTMPI_TRY(ftmpi_exchange_array(l->exchange, &l->params));
	for (int i = 0; i < ftmpi_optimizer_n_slots(&l->optimizer); i++) {
		const float initial = ftmpi_optimizer_slot_initial(&l->optimizer, i);

		FTMPI_TRY(ftmpi_exchange_array(l->exchange, &l->slots[i]));
		for (int64_t k = 0; k < l->layout->n_elements; k++)
			l->slots[i][k] = initial;
	}
	FTMPI_TRY(ftmpi_agree(l->comm, plan_slots(l)));
done:
	return status;
}

static ftmpi_status create_local(const ftmpi_comm *comm, const ftmpi_layout *layout, const ftmpi_optimizer *optimizer,
				 const ftmpi_learner_options *options, ftmpi_learner **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_learner *l = NULL;

	FTMPI_TRY(check_options(options));
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
	FTMPI_TRY(FTMPI_ALLOC(l->n_workers * l->n_scalars, &l->scalars));
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
	if (l == NULL)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "agreed on a learner that is not there");
	FTMPI_TRY(create_arenas(l));
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
	ftmpi__slot_parts_destroy(&l->slot_parts);
	ftmpi_exchange_destroy(&l->exchange);
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

	FTMPI_TRY(ftmpi_exchange_begin(l->exchange));
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
	double all[FTMPI_MAX_SUMS + 1 + FTMPI__MAX_FLAGS];

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

ftmpi_status ftmpi_learner_gradients(ftmpi_learner *l, const ftmpi_batch *batch, ftmpi_gradient_fn gradient,
				     void *context, double *sums)
{
	ftmpi_status status = FTMPI_OK;
	double clock_s = ftmpi__now_s();

	ftmpi_watch_step(l->comm, l->step);
	(void)ftmpi_watch_begin(l->comm, l->times.n_steps == 0 ? FTMPI_PHASE_FIRST_STEP : FTMPI_PHASE_STEP, NULL);
	(void)ftmpi_failpoint_hit(FTMPI_FP_STEP_BEGIN);
	ftmpi__learner_corrupt(l, FTMPI_FP_STEP_PARAMS);
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
	FTMPI_TRY(ftmpi_exchange_reduce(l->exchange, &l->grads));
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
