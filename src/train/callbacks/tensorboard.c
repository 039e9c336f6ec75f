/* SPDX-License-Identifier: Apache-2.0 */
/* TensorBoard: scalars over the global step, through layer events, which takes care of relaunches: what was said of steps behind the one that a
 * relaunch goes on from is dropped. So a launch says of itself nothing before its first step, or a relaunch from the same step would say it again.
 *
 * The chief alone writes, and no failure of it ends a training that has its checkpoints: what cannot be written is one warning, and is tried again with
 * what comes next, until layer events has no more room for what waits. A log that cannot be opened is none for this launch. */
#include "train/callbacks/common.h"

#include "base/clock.h"

#include <ftmpi/events.h>
#include <ftmpi/log.h>
#include <ftmpi/trainer.h>

#include <stdio.h>
#include <string.h>

struct tensorboard {
	char log_dir[FTMPI__TEXT_BYTES];
	ftmpi_tensorboard_options options;
	ftmpi_events *events; /* chief, during a fit; NULL: could not be opened */
	bool failing;         /* the last write failed, and a warning said so */
	int64_t last_batch;   /* step of the last batch_end; saved */
	int64_t rate_step;    /* of the last global_step/sec */
	double rate_s;        /* monotonic clock, at that */
	int64_t save_step;    /* of the last checkpoint_sec */
	bool has_begun;       /* a step of this launch has been made */
};

void ftmpi_tensorboard_options_init(ftmpi_tensorboard_options *options)
{
	*options = (ftmpi_tensorboard_options){.update_freq = 0};
}

/* About the run: scalars decide nothing. */
static ftmpi_status attach(void *context, ftmpi_fit *fit)
{
	struct tensorboard *t = context;

	t->last_batch = ftmpi_fit_progress(fit).step;
	return ftmpi_registry_add_scalar(ftmpi_checkpoint_registry(ftmpi_fit_checkpoint(fit)),
					 "ftmpi/run/callbacks/tensorboard/last_batch", FTMPI_I64, &t->last_batch,
					 FTMPI_RECORD);
}

/* How a write ended; several failures in a row are one warning. */
static void tell(struct tensorboard *t, ftmpi_status status)
{
	if (status != FTMPI_OK && !t->failing)
		ftmpi_log(FTMPI_LOG_WARNING, "TensorBoard's log: %s; the training goes on without it",
			  ftmpi_error_message());
	if (status != FTMPI_OK)
		ftmpi_error_clear();
	t->failing = status != FTMPI_OK;
}

static void open_log(struct tensorboard *t, ftmpi_fit *fit)
{
	const ftmpi_progress p = ftmpi_fit_progress(fit);

	t->rate_step = t->save_step = p.step;
	t->rate_s = ftmpi__now_s();
	t->has_begun = false;
	if (ftmpi_comm_is_chief(ftmpi_fit_comm(fit)))
		tell(t, ftmpi_events_open(t->log_dir, p.resumed || p.step > 0 ? p.step : -1, &t->events));
}

static ftmpi_status train_begin(void *context, ftmpi_fit *fit)
{
	open_log(context, fit);
	return FTMPI_OK;
}

/* As at a relaunch. */
static ftmpi_status rewound(void *context, ftmpi_fit *fit)
{
	struct tensorboard *t = context;

	ftmpi_events_close(&t->events);
	open_log(t, fit);
	return FTMPI_OK;
}

/* On the chief; nothing elsewhere. */
static ftmpi_status add(const struct tensorboard *t, const char *tag, int64_t step, double value)
{
	return t->events == NULL ? FTMPI_OK : ftmpi_events_add_scalar(t->events, tag, step, value);
}

static ftmpi_status flush(const struct tensorboard *t)
{
	return t->events == NULL ? FTMPI_OK : ftmpi_events_flush(t->events);
}

static ftmpi_status add_rate(struct tensorboard *t, int64_t step)
{
	const double now_s = ftmpi__now_s(), s = now_s - t->rate_s;
	const int64_t n_steps = step - t->rate_step;

	t->rate_step = step;
	t->rate_s = now_s;
	return n_steps > 0 && s > 0 ? add(t, "global_step/sec", step, (double)n_steps / s) : FTMPI_OK;
}

/* @param begins the launch's first. */
static ftmpi_status add_batch(struct tensorboard *t, const ftmpi_progress *p, bool begins, bool due)
{
	ftmpi_status status = FTMPI_OK;

	if (begins)
		FTMPI_TRY(add(t, "restarts", p->step, (double)p->n_relaunches));
	if (due) {
		FTMPI_TRY(add(t, "batch_loss", p->step, p->batch_loss));
		FTMPI_TRY(add_rate(t, p->step));
	}
	FTMPI_TRY(flush(t));
done:
	return status;
}

/* Due when one of the multiples of update_freq has been reached since the last call. */
static ftmpi_status batch_end(void *context, ftmpi_fit *fit)
{
	struct tensorboard *t = context;
	const ftmpi_progress p = ftmpi_fit_progress(fit);
	const int64_t freq = t->options.update_freq, before = t->last_batch;
	const bool begins = !t->has_begun, due = freq > 0 && p.step / freq > before / freq;

	t->last_batch = p.step;
	t->has_begun = true;
	if (begins || due)
		tell(t, add_batch(t, &p, begins, due));
	return FTMPI_OK;
}

/* The learning rate is the one that is next, whatever the callbacks before this one said of it. */
static ftmpi_status add_epoch(struct tensorboard *t, const ftmpi_logs *logs, int64_t step, double learning_rate)
{
	ftmpi_status status = FTMPI_OK;
	char tag[96];

	for (int i = 0; i < logs->n; i++) {
		if (strcmp(logs->names[i], "learning_rate") == 0)
			continue;
		(void)snprintf(tag, sizeof tag, "epoch_%s", logs->names[i]);
		FTMPI_TRY(add(t, tag, step, logs->values[i]));
	}
	FTMPI_TRY(add(t, "epoch_learning_rate", step, learning_rate));
	if (t->options.update_freq == 0)
		FTMPI_TRY(add_rate(t, step));
	FTMPI_TRY(flush(t));
done:
	return status;
}

static ftmpi_status epoch_end(void *context, ftmpi_fit *fit)
{
	struct tensorboard *t = context;

	tell(t, add_epoch(t, ftmpi_fit_logs(fit), ftmpi_fit_progress(fit).step,
			  (double)ftmpi_learner_learning_rate(ftmpi_fit_learner(fit))));
	return FTMPI_OK;
}

static ftmpi_status add_save(const struct tensorboard *t, const ftmpi_save_event *save)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(add(t, "checkpoint_sec", save->step, save->save_s));
	FTMPI_TRY(flush(t));
done:
	return status;
}

/* The save that a relaunch went on from, and one before the first step, were told of already. */
static void saved(void *context, const ftmpi_save_event *save)
{
	struct tensorboard *t = context;

	if (save->step <= t->save_step)
		return;
	t->save_step = save->step;
	tell(t, add_save(t, save));
}

static void detach(void *context)
{
	struct tensorboard *t = context;

	ftmpi_events_close(&t->events);
}

ftmpi_status ftmpi_tensorboard_create(const char *log_dir, const ftmpi_tensorboard_options *options,
				      ftmpi_callback **out)
{
	ftmpi_status status = FTMPI_OK;
	struct tensorboard *t = NULL;

	if (options->update_freq < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "TensorBoard: update_freq is %lld: give 0 (epochs) or more",
			   (long long)options->update_freq);
	FTMPI_TRY(FTMPI_ALLOC(1, &t));
	t->options = *options;
	FTMPI_TRY(ftmpi__copy_text(t->log_dir, sizeof t->log_dir, log_dir, "TensorBoard's folder"));
	FTMPI_TRY(ftmpi__callback_create(&(ftmpi_callback){.context = t,
							   .name = "tensorboard",
							   .attach = attach,
							   .train_begin = train_begin,
							   .batch_end = batch_end,
							   .epoch_end = epoch_end,
							   .rewound = rewound,
							   .saved = saved,
							   .detach = detach,
							   .destroy = ftmpi_free,
							   .alike = true},
					 out));
	t = NULL;
done:
	ftmpi_free(t);
	return status;
}
