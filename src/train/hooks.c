/* SPDX-License-Identifier: Apache-2.0 */
/* The Estimator's ready-made hooks. */
#include <ftmpi/estimator.h>

#include "base/clock.h"

#include <ftmpi/log.h>

struct counter {
	int64_t every, last_step; /* last_step: −1: no line yet */
	double last_s;
};

static ftmpi_status create(const ftmpi_hook *functions, int64_t every, ftmpi_hook **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_hook *hook = NULL;
	struct counter *c = NULL;

	if (every < 1)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "a hook every %lld steps: it must be at least 1", (long long)every);
	FTMPI_TRY(FTMPI_ALLOC(1, &c));
	FTMPI_TRY(FTMPI_ALLOC(1, &hook));
	c->every = every;
	c->last_step = -1;
	*hook = *functions;
	hook->context = c;
	hook->destroy = ftmpi_free;
	*out = hook;
	c = NULL;
done:
	ftmpi_free(c);
	return status;
}

void ftmpi_hook_destroy(ftmpi_hook **hook)
{
	if (*hook == NULL)
		return;
	if ((*hook)->destroy != NULL)
		(*hook)->destroy((*hook)->context);
	ftmpi_free(*hook);
	*hook = NULL;
}

/* Whether a line is due: after the first step, then every so many. @param s set to the seconds since the last line. */
static bool is_due(struct counter *c, int64_t step, double *s)
{
	const double now_s = ftmpi__now_s();
	const bool due = c->last_step < 0 || step - c->last_step >= c->every;

	*s = c->last_step < 0 ? 0 : now_s - c->last_s;
	if (due)
		c->last_s = now_s;
	return due;
}

static ftmpi_status count_steps(void *context, ftmpi_fit *fit)
{
	struct counter *c = context;
	const int64_t step = ftmpi_fit_progress(fit).step;
	double s;

	if (!is_due(c, step, &s))
		return FTMPI_OK;
	if (s > 0)
		ftmpi_log(FTMPI_LOG_INFO, "global_step/sec: %g", (double)(step - c->last_step) / s);
	c->last_step = step;
	return FTMPI_OK;
}

ftmpi_status ftmpi_step_counter_hook_create(int64_t every_n_steps, ftmpi_hook **out)
{
	return create(&(ftmpi_hook){.after_run = count_steps}, every_n_steps, out);
}

/* The step's number is that before the update, as TensorFlow's hook shows it. */
static ftmpi_status log_loss(void *context, ftmpi_fit *fit)
{
	struct counter *c = context;
	const ftmpi_progress p = ftmpi_fit_progress(fit);
	double s;

	if (!is_due(c, p.step, &s))
		return FTMPI_OK;
	if (s > 0)
		ftmpi_log(FTMPI_LOG_INFO, "loss = %.7g, step = %lld (%.3f sec)", p.batch_loss, (long long)p.step - 1,
			  s);
	else
		ftmpi_log(FTMPI_LOG_INFO, "loss = %.7g, step = %lld", p.batch_loss, (long long)p.step - 1);
	c->last_step = p.step;
	return FTMPI_OK;
}

ftmpi_status ftmpi_logging_tensor_hook_create(int64_t every_n_iter, ftmpi_hook **out)
{
	return create(&(ftmpi_hook){.after_run = log_loss}, every_n_iter, out);
}

static ftmpi_status stop_on_nan(void *context, ftmpi_fit *fit)
{
	(void)context;
	if (ftmpi_comm_is_chief(ftmpi_fit_comm(fit)))
		ftmpi_log(FTMPI_LOG_WARNING, "Model diverged with loss = NaN.");
	ftmpi_fit_stop(fit);
	return FTMPI_OK;
}

ftmpi_status ftmpi_nan_tensor_hook_create(bool fail_on_nan_loss, ftmpi_hook **out)
{
	return create(&(ftmpi_hook){.diverged = fail_on_nan_loss ? NULL : stop_on_nan}, 1, out);
}

/* num_steps counts from where the training begins. */
static ftmpi_status begin_counting(void *context, ftmpi_fit *fit)
{
	struct counter *c = context;

	c->last_step = ftmpi_fit_progress(fit).step + c->every;
	return FTMPI_OK;
}

static ftmpi_status stop_at_step(void *context, ftmpi_fit *fit)
{
	const struct counter *c = context;
	const int64_t last_step = c->last_step >= 0 ? c->last_step : c->every;

	if (ftmpi_fit_progress(fit).step >= last_step)
		ftmpi_fit_stop(fit);
	return FTMPI_OK;
}

ftmpi_status ftmpi_stop_at_step_hook_create(int64_t num_steps, int64_t last_step, ftmpi_hook **out)
{
	ftmpi_status status = FTMPI_OK;
	const bool relative = num_steps > 0;

	if (relative == (last_step > 0) || num_steps < 0 || last_step < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "stop at step: give exactly one of num_steps and last_step");
	FTMPI_TRY(create(
		&(ftmpi_hook){.after_create_session = relative ? begin_counting : NULL, .after_run = stop_at_step},
		relative ? num_steps : last_step, out));
done:
	return status;
}
