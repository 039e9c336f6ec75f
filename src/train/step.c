/* SPDX-License-Identifier: Apache-2.0 */
/* One optimizer step.
 *
 *     1  each own logical worker: its rows of the batch, forward, loss, backward into a leaf of the tree
 *     2  loss and metric sums of all workers, in tree order; a loss that is not finite ends the training here
 *     3  reduce the gradients: the own slice
 *     4  update the own slice of parameters and slots
 *     5  gather the parameters
 *
 * A worker's rows depend on (step, worker) alone, so its pass has the same shape, and the same bits, on whichever rank it runs. */
#include "train/trainer.h"

#include <ftmpi/failpoint.h>
#include <ftmpi/loss.h>
#include <ftmpi/slice.h>

#include <math.h>
#include <string.h>

/* What a worker adds to the step's scalars; the chief's wish for a save rides along with worker 0, which is always the chief's. */
enum { SCALAR_LOSS, SCALAR_CORRECT, SCALAR_SAVE, N_SCALARS = FTMPI__N_SCALARS };

int64_t ftmpi__batch_rows(const ftmpi_trainer *t)
{
	const int64_t left = ftmpi_dataset_n_samples(t->train) - t->state.position;

	return left < t->options.batch_size ? left : t->options.batch_size;
}

/* Add the time since *since to *into, and begin anew. */
static void lap(double *since, double *into)
{
	const double now = ftmpi__now_s();

	*into += now - *since;
	*since = now;
}

/* Gradient, loss and accuracy sums of one worker's rows of the batch. */
static void run_worker(ftmpi_trainer *t, int worker, int64_t batch_rows, double *clock_s, float *grads, double *scalars)
{
	const int64_t first = ftmpi_slice_start(batch_rows, t->options.n_workers, worker);
	const int64_t rows = ftmpi_slice_start(batch_rows, t->options.n_workers, worker + 1) - first;
	const float scale = t->options.loss_reduction == FTMPI_REDUCE_MEAN ? 1.0F / (float)batch_rows : 1.0F;
	const ftmpi_pass pass = {.training = true, .seed = t->state.seed, .step = t->state.step, .samples = t->samples};
	double loss = 0, correct = 0;

	if (rows > 0) {
		const int64_t n_outputs = ftmpi_model_n_outputs(t->model);
		const ftmpi_targets targets = {.labels = t->labels};
		const float *outputs;

		ftmpi_order_samples(&t->order, t->state.epoch, t->state.position + first, rows, t->samples);
		ftmpi_dataset_gather(t->train, t->samples, rows, t->x, t->labels);
		lap(clock_s, &t->times.data_s);
		outputs = ftmpi_model_forward(t->model, t->state.params, t->x, rows, &pass, t->workspace);
		loss = ftmpi_loss_compute(FTMPI_LOSS_SPARSE_CROSS_ENTROPY_LOGITS, outputs, &targets, rows, n_outputs,
					  scale, t->d_outputs);
		correct = ftmpi_metric_compute(FTMPI_METRIC_ACCURACY, outputs, &targets, rows, n_outputs);
		ftmpi_model_backward(t->model, t->state.params, t->x, rows, &pass, t->workspace, t->d_outputs, grads);
	} else { /* a last batch shorter than the number of workers */
		memset(grads, 0, (size_t)ftmpi_model_layout(t->model)->n_elements * sizeof *grads);
	}
	scalars[SCALAR_LOSS] = loss;
	scalars[SCALAR_CORRECT] = correct;
	scalars[SCALAR_SAVE] = 0.0;
}

static void run_own_workers(ftmpi_trainer *t, int64_t batch_rows, double *clock_s)
{
	int first, end;

	ftmpi_exchange_workers(t->exchange, &first, &end);
	for (int w = first; w < end; w++) {
		run_worker(t, w, batch_rows, clock_s, ftmpi_exchange_leaf(t->exchange),
			   t->worker_sums + (int64_t)(w - first) * N_SCALARS);
		ftmpi_exchange_push(t->exchange);
		lap(clock_s, &t->times.compute_s);
	}
	if (ftmpi_failpoint_hit(FTMPI_FP_STEP_LOSS) == FTMPI_FAULT_NAN)
		t->worker_sums[SCALAR_LOSS] = NAN;
	if (ftmpi_comm_is_chief(t->comm) && t->options.save_s > 0)
		t->worker_sums[SCALAR_SAVE] = *clock_s - t->saved_s >= t->options.save_s;
}

/* Batch loss and metrics; the loss is checked before anything changes. */
static ftmpi_status reduce_scalars(ftmpi_trainer *t, int64_t batch_rows, double *sums)
{
	ftmpi_status status = FTMPI_OK;
	double loss;

	FTMPI_TRY(ftmpi_exchange_scalars(t->exchange, t->worker_sums, N_SCALARS, sums));
	loss = t->options.loss_reduction == FTMPI_REDUCE_MEAN ? sums[SCALAR_LOSS] / (double)batch_rows
							      : sums[SCALAR_LOSS];
	if (!isfinite(loss))
		FTMPI_FAIL(FTMPI_ERR_DIVERGED,
			   "model diverged with loss = %s at step %lld; checkpoints before it are good: try a smaller "
			   "learning rate",
			   isnan(loss) ? "NaN" : "Inf", (long long)t->state.step);
	t->batch_loss = loss;
done:
	return status;
}

static void advance(ftmpi_trainer *t, int64_t batch_rows, const double *sums)
{
	t->state.sums[FTMPI__SUM_LOSS] += sums[SCALAR_LOSS];
	t->state.sums[FTMPI__SUM_CORRECT] += sums[SCALAR_CORRECT];
	t->state.sums[FTMPI__SUM_SAMPLES] += (double)batch_rows;
	t->state.sums[FTMPI__SUM_BATCHES] += 1.0;
	t->save_due = sums[SCALAR_SAVE] > 0;
	t->state.step++;
	t->state.position += batch_rows;
	t->times.n_steps++;
}

ftmpi_status ftmpi__step(ftmpi_trainer *t)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t batch_rows = ftmpi__batch_rows(t);
	double sums[N_SCALARS], clock_s = ftmpi__now_s();
	int64_t first, end;

	(void)ftmpi_failpoint_hit(FTMPI_FP_STEP_BEGIN);
	run_own_workers(t, batch_rows, &clock_s);
	FTMPI_TRY(reduce_scalars(t, batch_rows, sums));
	(void)ftmpi_failpoint_hit(FTMPI_FP_STEP_BEFORE_REDUCE);
	FTMPI_TRY(ftmpi_exchange_reduce(t->exchange, t->grads));
	lap(&clock_s, &t->times.exchange_s);
	(void)ftmpi_failpoint_hit(FTMPI_FP_STEP_BEFORE_APPLY);
	ftmpi_exchange_slice(t->exchange, &first, &end);
	ftmpi_optimizer_apply(&t->optimizer, t->state.step, first, end, t->state.params, t->grads, t->state.slots);
	lap(&clock_s, &t->times.optimizer_s);
	FTMPI_TRY(ftmpi_exchange_gather(t->exchange, t->state.params));
	lap(&clock_s, &t->times.exchange_s);
	advance(t, batch_rows, sums);
	(void)ftmpi_failpoint_hit(FTMPI_FP_STEP_END);
done:
	return status;
}
