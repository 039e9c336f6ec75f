/* SPDX-License-Identifier: Apache-2.0 */
/* Callbacks that change the learning rate: ReduceLROnPlateau and LearningRateScheduler, after Keras 3. The rate itself is part of the learner's state. */
#include "train/callbacks/common.h"

#include <ftmpi/log.h>

#include <math.h>

#define PLATEAU "reduce_lr_on_plateau"

struct plateau {
	ftmpi_reduce_lr_on_plateau_options options;
	struct ftmpi__monitor monitor;
	double best;
	int64_t wait, cooldown;
};

void ftmpi_reduce_lr_on_plateau_options_init(ftmpi_reduce_lr_on_plateau_options *options)
{
	*options = (ftmpi_reduce_lr_on_plateau_options){
		.monitor = "val_loss", .factor = 0.1, .patience = 10, .min_delta = 1e-4};
}

static ftmpi_status attach_plateau(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct plateau *p = context;

	p->best = ftmpi__monitor_worst(&p->monitor);
	p->wait = p->cooldown = 0;
	FTMPI_TRY(ftmpi__callback_track(fit, PLATEAU, "best", FTMPI_F64, &p->best));
	FTMPI_TRY(ftmpi__callback_track(fit, PLATEAU, "wait", FTMPI_I64, &p->wait));
	FTMPI_TRY(ftmpi__callback_track(fit, PLATEAU, "cooldown", FTMPI_I64, &p->cooldown));
done:
	return status;
}

static void reduce(struct plateau *p, ftmpi_learner *learner, int64_t epoch)
{
	const float before = ftmpi_learner_learning_rate(learner);

	if (!(before > (float)p->options.min_lr))
		return;
	ftmpi_learner_set_learning_rate(learner, (float)fmax((double)before * p->options.factor, p->options.min_lr));
	ftmpi_log(FTMPI_LOG_INFO, "Epoch %lld: ReduceLROnPlateau reducing learning rate to %.9g.", (long long)epoch + 1,
		  (double)ftmpi_learner_learning_rate(learner));
	p->cooldown = p->options.cooldown;
	p->wait = 0;
}

static ftmpi_status end_plateau_epoch(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct plateau *p = context;
	ftmpi_learner *learner = ftmpi_fit_learner(fit);
	double value;

	ftmpi_fit_log(fit, "learning_rate", (double)ftmpi_learner_learning_rate(learner));
	FTMPI_TRY(ftmpi__monitor_value(&p->monitor, fit, &value));
	if (p->cooldown > 0) {
		p->cooldown--;
		p->wait = 0;
	}
	if (ftmpi__monitor_better(&p->monitor, value, p->best)) {
		p->best = value;
		p->wait = 0;
	} else if (p->cooldown == 0 && ++p->wait >= p->options.patience) {
		reduce(p, learner, ftmpi_fit_progress(fit).epoch);
	}
done:
	return status;
}

ftmpi_status ftmpi_reduce_lr_on_plateau_create(const ftmpi_reduce_lr_on_plateau_options *options, ftmpi_callback **out)
{
	ftmpi_status status = FTMPI_OK;
	struct plateau *p = NULL;

	FTMPI_TRY(FTMPI_ALLOC(1, &p));
	p->options = *options;
	FTMPI_TRY(ftmpi__monitor_init(&p->monitor, options->monitor, options->mode, options->min_delta));
	if (!(options->factor > 0 && options->factor < 1) || !(options->min_lr >= 0) || options->patience < 0 ||
	    options->cooldown < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE,
			   "reduce learning rate on plateau: factor must be between 0 and 1, and patience, "
			   "cooldown and min_lr 0 or more");
	FTMPI_TRY(ftmpi__callback_create(&(ftmpi_callback){.context = p,
							   .name = PLATEAU,
							   .attach = attach_plateau,
							   .epoch_end = end_plateau_epoch,
							   .destroy = ftmpi_free},
					 out));
	p = NULL;
done:
	ftmpi_free(p);
	return status;
}

struct scheduler {
	ftmpi_lr_schedule schedule;
	void *context;
};

/* A relaunch within an epoch has the epoch's rate from the checkpoint. */
static ftmpi_status begin_scheduled_epoch(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	const struct scheduler *s = context;
	ftmpi_learner *learner = ftmpi_fit_learner(fit);
	const ftmpi_progress p = ftmpi_fit_progress(fit);
	float lr;

	if (p.batch > 0)
		goto done;
	lr = s->schedule(s->context, p.epoch, ftmpi_learner_learning_rate(learner));
	if (!(lr >= 0) || !isfinite(lr))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "the schedule gives the learning rate %g for epoch %lld", (double)lr,
			   (long long)p.epoch + 1);
	ftmpi_learner_set_learning_rate(learner, lr);
done:
	return status;
}

static ftmpi_status end_scheduled_epoch(void *context, ftmpi_fit *fit)
{
	(void)context;
	ftmpi_fit_log(fit, "learning_rate", (double)ftmpi_learner_learning_rate(ftmpi_fit_learner(fit)));
	return FTMPI_OK;
}

ftmpi_status ftmpi_learning_rate_scheduler_create(ftmpi_lr_schedule schedule, void *context, ftmpi_callback **out)
{
	ftmpi_status status = FTMPI_OK;
	struct scheduler *s = NULL;

	if (schedule == NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "there is no schedule");
	FTMPI_TRY(FTMPI_ALLOC(1, &s));
	*s = (struct scheduler){.schedule = schedule, .context = context};
	FTMPI_TRY(ftmpi__callback_create(&(ftmpi_callback){.context = s,
							   .name = "learning_rate_scheduler",
							   .epoch_begin = begin_scheduled_epoch,
							   .epoch_end = end_scheduled_epoch,
							   .destroy = ftmpi_free},
					 out));
	s = NULL;
done:
	ftmpi_free(s);
	return status;
}
