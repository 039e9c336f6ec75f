/* SPDX-License-Identifier: Apache-2.0 */
/* fit: steps, the ends of epochs, and the callbacks' points.
 *
 * There is one place where a step's consequences end: an epoch that ends with the step is validated and recorded, callbacks have seen it, sums are
 * cleared, and only then is `settled` called, in which callbacks save. So every checkpoint holds a position from which the future is the same as
 * without it. */
#include "train/trainer.h"

#include "base/clock.h"
#include "train/learner.h"

#include <ftmpi/failpoint.h>
#include <ftmpi/watchdog.h>

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

void ftmpi_fit_options_init(ftmpi_fit_options *options)
{
	*options = (ftmpi_fit_options){.batch_size = 32, .shuffle = true, .epochs = 1, .steps_per_execution = 1};
}

static ftmpi_status check_options(const ftmpi_trainer *t, const ftmpi_fit_options *o)
{
	ftmpi_status status = FTMPI_OK;

	if (o->train == NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "there is no data to train on");
	if (o->epochs < 0 || o->initial_epoch < 0 || o->max_steps < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "a number of epochs or steps is negative");
	if (o->epochs == 0 && o->max_steps == 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "neither a number of epochs nor of steps says when the training ends");
	if (!(o->spike_factor >= 0))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "a factor of %g for spikes of the loss: give 0 or more", o->spike_factor);
	if (o->steps_per_execution < 1)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%lld steps an execution: there must be at least 1",
			   (long long)o->steps_per_execution);
	if (o->n_callbacks < 0 || (o->n_callbacks > 0 && o->callbacks == NULL))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%d callbacks, but no list of them", o->n_callbacks);
	for (int i = 0; i < o->n_callbacks; i++)
		if (o->callbacks[i] == NULL)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "callback %d is NULL", i);
	FTMPI_TRY(ftmpi__rows_check(t->model, &t->compile, o->train));
	if (o->validation != NULL)
		FTMPI_TRY(ftmpi__rows_check(t->model, &t->compile, o->validation));
done:
	return status;
}

/* What a rank does by itself. */
static ftmpi_status begin_local(ftmpi_fit *f)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_trainer *t = f->trainer;
	const ftmpi_batches_options batches = {
		.batch_size = f->options->batch_size, .shuffle = f->options->shuffle, .seed = t->options.seed};

	FTMPI_TRY(check_options(t, f->options));
	FTMPI_TRY(ftmpi_batches_create(f->options->train, &batches, &f->batches));
	ftmpi_batches_seek(f->batches, f->options->initial_epoch);
	for (int i = 0; i < FTMPI__MAX_NAMES; i++)
		FTMPI_TRY(ftmpi_buffer_resize(&t->history[i], 0));
	FTMPI_TRY(ftmpi_checkpoint_create(t->comm, &f->checkpoint));
	FTMPI_TRY(ftmpi__fit_track(f));
done:
	return status;
}

/* A point that comes once a fit, where an agreement costs nothing. */
static bool is_rare(size_t point)
{
	return point == offsetof(ftmpi_callback, attach) || point == offsetof(ftmpi_callback, restore) ||
	       point == offsetof(ftmpi_callback, train_begin) || point == offsetof(ftmpi_callback, train_end);
}

/* Call one function of every callback. @param point its offset in ftmpi_callback. Collective. */
static ftmpi_status call(ftmpi_fit *f, size_t point)
{
	ftmpi_status status = FTMPI_OK;
	const bool rare = is_rare(point);
	const ftmpi_comm *comm = f->trainer->comm;
	const ftmpi_mark before = ftmpi_watch_begin(comm, FTMPI_PHASE_PROGRAM, NULL);

	for (int i = 0; i < f->options->n_callbacks; i++) {
		const ftmpi_callback *callback = f->options->callbacks[i];
		ftmpi_callback_fn function;

		memcpy(&function, (const char *)callback + point, sizeof function);
		if (function == NULL)
			continue;
		(void)ftmpi_watch_begin(comm, FTMPI_PHASE_CALLBACK, callback->name);
		status = function(callback->context, f);
		FTMPI_TRY(callback->alike && !rare ? status : ftmpi_agree(comm, status));
	}
done:
	ftmpi_watch_end(comm, before);
	return status;
}

#define CALL(fit, point) call((fit), offsetof(ftmpi_callback, point))

static bool is_finished(const ftmpi_fit *f)
{
	const ftmpi_fit_options *o = f->options;

	return f->stopping || (o->epochs > 0 && ftmpi_batches_epoch(f->batches) >= o->epochs) ||
	       (o->max_steps > 0 && ftmpi_learner_step_count(f->trainer->learner) >= o->max_steps);
}

static void clear_logs(ftmpi_fit *f)
{
	f->logs.n = 0;
}

/* Means of the epoch so far: [n_sums]. */
static void epoch_means(const ftmpi_fit *f, double *means)
{
	const int n = f->trainer->n_sums;
	const double n_samples = f->sums[n], n_batches = f->sums[n + 1];
	const bool mean = f->trainer->options.loss_reduction == FTMPI_REDUCE_MEAN;

	means[0] = f->sums[0] / (mean ? n_samples : n_batches);
	for (int i = 1; i < n; i++)
		means[i] = f->sums[i] / n_samples;
}

static void log_epoch_means(ftmpi_fit *f)
{
	double means[FTMPI__MAX_ROW_SUMS];

	clear_logs(f);
	epoch_means(f, means);
	for (int i = 0; i < f->trainer->n_sums; i++)
		ftmpi_fit_log(f, f->trainer->names[i], means[i]);
}

static void log_validation(ftmpi_fit *f, const ftmpi_metrics *m, int first_name)
{
	for (int i = 0; i < f->trainer->n_sums; i++)
		ftmpi_fit_log(f, f->trainer->names[first_name + i], i == 0 ? m->loss : m->values[i - 1]);
}

static ftmpi_status append_history(ftmpi_fit *f)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_trainer *t = f->trainer;
	double value;

	for (int i = 0; i < 2 * t->n_sums; i++)
		if (ftmpi_logs_find(&f->logs, t->names[i], &value))
			FTMPI_TRY(ftmpi_buffer_append(&t->history[i], &value, sizeof value));
done:
	return status;
}

static ftmpi_status validate(ftmpi_fit *f, ftmpi_metrics *metrics)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(CALL(f, test_begin));
	FTMPI_TRY(ftmpi_trainer_evaluate(f->trainer, f->options->validation, metrics));
	clear_logs(f);
	log_validation(f, metrics, 0);
	FTMPI_TRY(CALL(f, test_end));
done:
	return status;
}

/* Epoch and batch as they are when the next batch is the first one of something. */
static void begin_at_place(ftmpi_fit *f)
{
	f->epoch = ftmpi_batches_epoch(f->batches);
	f->batch = ftmpi__fit_n_batches_done(f);
	f->begins = true;
}

static ftmpi_status end_epoch(ftmpi_fit *f)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_metrics metrics = {.n_samples = 0};

	if (f->options->validation != NULL)
		FTMPI_TRY(validate(f, &metrics));
	log_epoch_means(f);
	if (f->options->validation != NULL)
		log_validation(f, &metrics, f->trainer->n_sums);
	FTMPI_TRY(ftmpi_agree(f->trainer->comm, append_history(f)));
	FTMPI_TRY(CALL(f, epoch_end));
	memset(f->sums, 0, sizeof f->sums);
	begin_at_place(f);
	(void)ftmpi_failpoint_hit(FTMPI_FP_EPOCH_END);
done:
	return status;
}

/* Time for one more step, with the wait for a save in flight and the beginning of another behind it; then for a step, the wait for that, and the last save;
 * on the safe side. */
static double needed_s(const ftmpi_fit *f)
{
	return 3.0 * f->step_s + 3.0 * f->last_save.write_s + 1.0;
}

enum { MEAN_LOSSES = 50, LEAST_LOSSES = 20 };

/* The loss above which a step diverges. */
static double most_loss(const ftmpi_fit *f)
{
	const double mean = f->loss_mean[0], n = f->loss_mean[1];

	return f->options->spike_factor > 0 && n >= LEAST_LOSSES && mean > 0 ? f->options->spike_factor * mean
									     : INFINITY;
}

static void count_step(ftmpi_fit *f, const double *sums)
{
	const int n = f->trainer->n_sums;

	for (int i = 0; i < n; i++)
		f->sums[i] += sums[i];
	f->sums[n] += (double)f->current.n_samples;
	f->sums[n + 1] += 1.0;
	f->loss_mean[1] += 1.0;
	f->loss_mean[0] += (f->batch_loss - f->loss_mean[0]) / fmin(f->loss_mean[1], MEAN_LOSSES);
	f->batch = f->current.ends_epoch ? ftmpi_batches_per_epoch(f->batches) : ftmpi__fit_n_batches_done(f);
}

static ftmpi_status step(ftmpi_fit *f)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_trainer *t = f->trainer;
	const double begin_s = ftmpi__now_s();
	double sums[FTMPI__MAX_ROW_SUMS];

	if (f->options->preemption != NULL && ftmpi_preemption_due(f->options->preemption, needed_s(f)))
		ftmpi_learner_raise(t->learner, FTMPI__FLAG_STOP);
	FTMPI_TRY(ftmpi__train_step(t, f->options->train, &f->current, most_loss(f), sums, &f->batch_loss));
	count_step(f, sums);
	f->step_s = fmax(0.9 * f->step_s, ftmpi__now_s() - begin_s);
	(void)ftmpi_failpoint_hit(FTMPI_FP_STEP_END);
done:
	return status;
}

/* Whether batch_begin (batch_end) is due before (after) the epoch's batch of this number, from 0. */
static bool begins_execution(const ftmpi_fit *f, int64_t batch)
{
	return batch % f->options->steps_per_execution == 0;
}

/* A callback has restored an earlier state; what came after it is as if it had never been. The epoch may be over there, when the rest of it is passed
 * over. */
static ftmpi_status go_back(ftmpi_fit *f)
{
	ftmpi_status status = FTMPI_OK;

	f->diverged = f->stopping = false;
	f->begins = true;
	FTMPI_TRY(CALL(f, rewound));
	if (f->epoch_ended)
		FTMPI_TRY(end_epoch(f));
	FTMPI_TRY(CALL(f, settled));
	f->rewound = false;
done:
	return status;
}

/* The same on all ranks. An error, unless a callback stops the training or goes back. */
static ftmpi_status handle_divergence(ftmpi_fit *f)
{
	ftmpi_status status = FTMPI_OK;
	char message[512];

	(void)snprintf(message, sizeof message, "%s", ftmpi_error_message());
	f->diverged = true;
	FTMPI_TRY(CALL(f, diverged));
	if (f->rewound)
		FTMPI_TRY(go_back(f));
	else if (!f->stopping)
		FTMPI_FAIL(FTMPI_ERR_DIVERGED, "%s", message);
done:
	return status;
}

/* A step and all that follows from it. What is not finite at the end would be found at the last save, when there is no way back any more. */
static ftmpi_status advance(ftmpi_fit *f)
{
	ftmpi_status status = FTMPI_OK;

	if (f->begins || begins_execution(f, f->batch))
		FTMPI_TRY(CALL(f, batch_begin));
	f->begins = false;
	f->current = ftmpi_batches_next(f->batches);
	FTMPI_TRY(step(f));
	f->epoch_ended = f->current.ends_epoch;
	if (is_finished(f))
		FTMPI_TRY(ftmpi__learner_check_finite(f->trainer->learner));
	if (f->epoch_ended || begins_execution(f, f->batch) || is_finished(f) || ftmpi_fit_preempted(f)) {
		log_epoch_means(f);
		FTMPI_TRY(CALL(f, batch_end));
	}
	if (f->epoch_ended)
		FTMPI_TRY(end_epoch(f));
	FTMPI_TRY(CALL(f, settled));
done:
	return status;
}

/* The fit ends here, after its callbacks have saved; the message is that of a rank that knows why. */
static ftmpi_status stop_preempted(const ftmpi_fit *f)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_preemption *p = f->options->preemption;
	const long long at = ftmpi_learner_step_count(f->trainer->learner);
	const bool saved = f->last_save.step == at;

	if (p != NULL && ftmpi_preemption_due(p, needed_s(f)))
		FTMPI_FAIL(FTMPI_STOPPED, "stopped by %s %s at step %lld: relaunch to go on",
			   ftmpi_preemption_reason(p), saved ? "after saving" : "without a checkpoint", at);
done:
	return ftmpi_agree(f->trainer->comm, status);
}

static ftmpi_status run(ftmpi_fit *f)
{
	ftmpi_status status = FTMPI_OK;

	while (!is_finished(f)) {
		if (f->begins)
			FTMPI_TRY(CALL(f, epoch_begin));
		status = advance(f);
		FTMPI_TRY(status == FTMPI_ERR_DIVERGED ? handle_divergence(f) : status);
		if (ftmpi_fit_preempted(f) && !is_finished(f))
			FTMPI_TRY(stop_preempted(f));
	}
done:
	return status;
}

ftmpi_status ftmpi_trainer_fit(ftmpi_trainer *t, const ftmpi_fit_options *options)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_fit f = {.trainer = t, .options = options, .last_save.step = -1, .started_s = ftmpi__now_s()};
	int n_attached = 0;

	FTMPI_TRY(ftmpi_agree(t->comm, begin_local(&f)));
	n_attached = options->n_callbacks;
	FTMPI_TRY(CALL(&f, attach));
	FTMPI_TRY(CALL(&f, restore));
	begin_at_place(&f);
	FTMPI_TRY(CALL(&f, train_begin));
	FTMPI_TRY(run(&f));
	FTMPI_TRY(CALL(&f, train_end));
done:
	for (int i = 0; i < n_attached; i++)
		if (options->callbacks[i]->detach != NULL)
			options->callbacks[i]->detach(options->callbacks[i]->context);
	ftmpi_checkpoint_destroy(&f.checkpoint);
	ftmpi_batches_destroy(&f.batches);
	return status;
}
