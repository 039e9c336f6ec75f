/* SPDX-License-Identifier: Apache-2.0 */
/* EarlyStopping, after Keras 3's class of that name: the same order of tests. Waiting, the best value and the best weights are state. */
#include "train/callbacks/common.h"

#include <ftmpi/log.h>
#include <ftmpi/trainer.h>

#include <math.h>
#include <string.h>

#define NAME "early_stopping"

struct early_stopping {
	ftmpi_early_stopping_options options;
	struct ftmpi__monitor monitor;
	double best;
	int64_t wait, best_epoch,
		stopped_epoch; /* stopped_epoch: 0: not stopped, as in Keras, which never stops in epoch 0 */
	int64_t has_weights;
	float *weights; /* [n_elements], the best; with restore_best_weights */
	int64_t n_elements;
};

void ftmpi_early_stopping_options_init(ftmpi_early_stopping_options *options)
{
	*options = (ftmpi_early_stopping_options){.monitor = "val_loss", .baseline = NAN};
}

static ftmpi_status reserve_weights(struct early_stopping *s, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_layout *layout = ftmpi_model_layout(ftmpi_trainer_model(ftmpi_fit_trainer(fit)));

	ftmpi_free(s->weights);
	s->weights = NULL;
	s->n_elements = layout->n_elements;
	FTMPI_TRY(FTMPI_ALLOC(s->n_elements, &s->weights));
	FTMPI_TRY(ftmpi_registry_add(ftmpi_checkpoint_registry(ftmpi_fit_checkpoint(fit)),
				     "ftmpi/callbacks/" NAME "/best_weights", FTMPI_F32, 1, &s->n_elements, s->weights,
				     FTMPI_STATE));
done:
	return status;
}

static ftmpi_status attach(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct early_stopping *s = context;

	s->best = ftmpi__monitor_worst(&s->monitor);
	s->wait = s->best_epoch = s->stopped_epoch = s->has_weights = 0;
	FTMPI_TRY(ftmpi__callback_track(fit, NAME, "best", FTMPI_F64, &s->best));
	FTMPI_TRY(ftmpi__callback_track(fit, NAME, "wait", FTMPI_I64, &s->wait));
	FTMPI_TRY(ftmpi__callback_track(fit, NAME, "best_epoch", FTMPI_I64, &s->best_epoch));
	FTMPI_TRY(ftmpi__callback_track(fit, NAME, "stopped_epoch", FTMPI_I64, &s->stopped_epoch));
	FTMPI_TRY(ftmpi__callback_track(fit, NAME, "has_weights", FTMPI_I64, &s->has_weights));
	if (s->options.restore_best_weights)
		FTMPI_TRY(reserve_weights(s, fit));
done:
	return status;
}

/* Killed after the decision to stop: it stands. */
static ftmpi_status train_begin(void *context, ftmpi_fit *fit)
{
	const struct early_stopping *s = context;

	if (s->stopped_epoch > 0)
		ftmpi_fit_stop(fit);
	return FTMPI_OK;
}

static void keep(struct early_stopping *s, ftmpi_fit *fit, int64_t epoch)
{
	s->best_epoch = epoch;
	if (!s->options.restore_best_weights)
		return;
	memcpy(s->weights, ftmpi_learner_params(ftmpi_fit_learner(fit)), (size_t)s->n_elements * sizeof *s->weights);
	s->has_weights = 1;
}

static ftmpi_status epoch_end(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct early_stopping *s = context;
	const int64_t epoch = ftmpi_fit_progress(fit).epoch;
	double value;

	if (epoch < s->options.start_from_epoch)
		goto done;
	FTMPI_TRY(ftmpi__monitor_value(&s->monitor, fit, &value));
	if (s->options.restore_best_weights && s->has_weights == 0)
		keep(s, fit, epoch);
	s->wait++;
	if (ftmpi__monitor_better(&s->monitor, value, s->best)) {
		s->best = value;
		keep(s, fit, epoch);
		if (isnan(s->options.baseline) || ftmpi__monitor_better(&s->monitor, value, s->options.baseline))
			s->wait = 0;
	} else if (s->wait >= s->options.patience && epoch > 0) {
		s->stopped_epoch = epoch;
		ftmpi_fit_stop(fit);
	}
done:
	return status;
}

static ftmpi_status train_end(void *context, ftmpi_fit *fit)
{
	struct early_stopping *s = context;

	if (s->stopped_epoch > 0)
		ftmpi_log(FTMPI_LOG_INFO, "Epoch %lld: early stopping", (long long)s->stopped_epoch + 1);
	if (s->has_weights != 0) {
		ftmpi_log(FTMPI_LOG_INFO, "Restoring model weights from the end of the best epoch: %lld.",
			  (long long)s->best_epoch + 1);
		memcpy(ftmpi_learner_params(ftmpi_fit_learner(fit)), s->weights,
		       (size_t)s->n_elements * sizeof *s->weights);
	}
	return FTMPI_OK;
}

static void destroy(void *context)
{
	struct early_stopping *s = context;

	if (s != NULL)
		ftmpi_free(s->weights);
	ftmpi_free(s);
}

ftmpi_status ftmpi_early_stopping_create(const ftmpi_early_stopping_options *options, ftmpi_callback **out)
{
	ftmpi_status status = FTMPI_OK;
	struct early_stopping *s = NULL;

	FTMPI_TRY(FTMPI_ALLOC(1, &s));
	s->options = *options;
	FTMPI_TRY(ftmpi__monitor_init(&s->monitor, options->monitor, options->mode, options->min_delta));
	if (options->patience < 0 || options->start_from_epoch < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "early stopping: patience and start_from_epoch must be 0 or more");
	FTMPI_TRY(ftmpi__callback_create(&(ftmpi_callback){.context = s,
							   .name = NAME,
							   .attach = attach,
							   .train_begin = train_begin,
							   .epoch_end = epoch_end,
							   .train_end = train_end,
							   .destroy = destroy},
					 out));
	s = NULL;
done:
	destroy(s);
	return status;
}
