/* SPDX-License-Identifier: Apache-2.0 */
/* TensorBoard: scalars over the global step, through layer events, which takes care of relaunches. */
#include "train/callbacks/common.h"

#include "train/clock.h"

#include <ftmpi/events.h>
#include <ftmpi/trainer.h>

#include <stdio.h>

struct tensorboard {
	char log_dir[FTMPI__TEXT_BYTES];
	int64_t update_freq;
	ftmpi_events *events; /* chief, during a fit */
	int64_t last_step;    /* of the last global_step/sec */
	int64_t last_save;
	double last_s;
};

static ftmpi_status begin_on_chief(struct tensorboard *t, const ftmpi_progress *p)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi_events_open(t->log_dir, p->resumed || p->step > 0 ? p->step : -1, &t->events));
	FTMPI_TRY(ftmpi_events_add_scalar(t->events, "restarts", p->step, (double)p->n_relaunches));
	FTMPI_TRY(ftmpi_events_flush(t->events));
	t->last_step = p->step;
	t->last_save = p->step;
	t->last_s = ftmpi__now_s();
done:
	return status;
}

static ftmpi_status train_begin(void *context, ftmpi_fit *fit)
{
	const ftmpi_progress p = ftmpi_fit_progress(fit);

	return ftmpi_comm_is_chief(ftmpi_fit_comm(fit)) ? begin_on_chief(context, &p) : FTMPI_OK;
}

/* What was said of the steps that are taken back is dropped, as at a relaunch. */
static ftmpi_status rewound(void *context, ftmpi_fit *fit)
{
	struct tensorboard *t = context;
	const ftmpi_progress p = ftmpi_fit_progress(fit);

	if (t->events == NULL)
		return FTMPI_OK;
	ftmpi_events_close(&t->events);
	return begin_on_chief(t, &p);
}

static ftmpi_status add_rate(struct tensorboard *t, int64_t step)
{
	const double now_s = ftmpi__now_s(), s = now_s - t->last_s;
	const int64_t n_steps = step - t->last_step;

	t->last_step = step;
	t->last_s = now_s;
	return n_steps > 0 && s > 0 ? ftmpi_events_add_scalar(t->events, "global_step/sec", step, (double)n_steps / s)
				    : FTMPI_OK;
}

static ftmpi_status add_batch(struct tensorboard *t, const ftmpi_progress *p)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi_events_add_scalar(t->events, "batch_loss", p->step, p->batch_loss));
	FTMPI_TRY(add_rate(t, p->step));
	FTMPI_TRY(ftmpi_events_flush(t->events));
done:
	return status;
}

static ftmpi_status batch_end(void *context, ftmpi_fit *fit)
{
	struct tensorboard *t = context;
	const ftmpi_progress p = ftmpi_fit_progress(fit);

	return t->events != NULL && t->update_freq > 0 && p.step - t->last_step >= t->update_freq ? add_batch(t, &p)
												  : FTMPI_OK;
}

static ftmpi_status epoch_end(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct tensorboard *t = context;
	const ftmpi_logs *logs = ftmpi_fit_logs(fit);
	const int64_t step = ftmpi_fit_progress(fit).step;
	char tag[96];

	if (t->events == NULL)
		goto done;
	for (int i = 0; i < logs->n; i++) {
		(void)snprintf(tag, sizeof tag, "epoch_%s", logs->names[i]);
		FTMPI_TRY(ftmpi_events_add_scalar(t->events, tag, step, logs->values[i]));
	}
	FTMPI_TRY(ftmpi_events_add_scalar(t->events, "epoch_learning_rate", step,
					  (double)ftmpi_learner_learning_rate(ftmpi_fit_learner(fit))));
	if (t->update_freq == 0)
		FTMPI_TRY(add_rate(t, step));
	FTMPI_TRY(ftmpi_events_flush(t->events));
done:
	return status;
}

/* What was saved since the last look. */
static ftmpi_status settled(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct tensorboard *t = context;
	const ftmpi_save_event save = ftmpi_fit_last_save(fit);

	if (t->events == NULL || save.step <= t->last_save)
		goto done;
	t->last_save = save.step;
	FTMPI_TRY(ftmpi_events_add_scalar(t->events, "checkpoint_sec", save.step, save.save_s));
done:
	return status;
}

static void detach(void *context)
{
	struct tensorboard *t = context;

	ftmpi_events_close(&t->events);
}

ftmpi_status ftmpi_tensorboard_create(const char *log_dir, int64_t update_freq, ftmpi_callback **out)
{
	ftmpi_status status = FTMPI_OK;
	struct tensorboard *t = NULL;

	if (update_freq < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "TensorBoard: update_freq is %lld: give 0 (epochs) or more",
			   (long long)update_freq);
	FTMPI_TRY(FTMPI_ALLOC(1, &t));
	t->update_freq = update_freq;
	FTMPI_TRY(ftmpi__copy_text(t->log_dir, sizeof t->log_dir, log_dir, "TensorBoard's folder"));
	FTMPI_TRY(ftmpi__callback_create(&(ftmpi_callback){.context = t,
							   .name = "tensorboard",
							   .train_begin = train_begin,
							   .batch_end = batch_end,
							   .epoch_end = epoch_end,
							   .rewound = rewound,
							   .settled = settled,
							   .detach = detach,
							   .destroy = ftmpi_free},
					 out));
	t = NULL;
done:
	ftmpi_free(t);
	return status;
}
