/* SPDX-License-Identifier: Apache-2.0 */
/* What callbacks may ask of a fit, and tell it. */
#include "train/trainer.h"

#include <string.h>

/* Keep the order of the alphabet, in which Keras prints. */
void ftmpi_fit_log(ftmpi_fit *f, const char *name, double value)
{
	ftmpi_logs *logs = &f->logs;
	int i = logs->n;

	for (int k = 0; k < logs->n; k++)
		if (strcmp(logs->names[k], name) == 0) {
			logs->values[k] = value;
			return;
		}
	if (logs->n == FTMPI_MAX_LOGS)
		return;
	for (; i > 0 && strcmp(logs->names[i - 1], name) > 0; i--) {
		logs->names[i] = logs->names[i - 1];
		logs->values[i] = logs->values[i - 1];
	}
	logs->names[i] = name;
	logs->values[i] = value;
	logs->n++;
}

bool ftmpi_logs_find(const ftmpi_logs *logs, const char *name, double *value)
{
	for (int i = 0; i < logs->n; i++)
		if (strcmp(logs->names[i], name) == 0) {
			*value = logs->values[i];
			return true;
		}
	return false;
}

const ftmpi_comm *ftmpi_fit_comm(const ftmpi_fit *f)
{
	return f->trainer->comm;
}

ftmpi_trainer *ftmpi_fit_trainer(const ftmpi_fit *f)
{
	return f->trainer;
}

ftmpi_learner *ftmpi_fit_learner(const ftmpi_fit *f)
{
	return f->trainer->learner;
}

ftmpi_batches *ftmpi_fit_batches(const ftmpi_fit *f)
{
	return f->batches;
}

ftmpi_checkpoint *ftmpi_fit_checkpoint(const ftmpi_fit *f)
{
	return f->checkpoint;
}

ftmpi_progress ftmpi_fit_progress(const ftmpi_fit *f)
{
	return (ftmpi_progress){.step = ftmpi_learner_step_count(f->trainer->learner),
				.max_steps = f->options->max_steps,
				.epoch = f->epoch,
				.n_epochs = f->options->epochs,
				.batch = f->batch,
				.n_batches = ftmpi_batches_per_epoch(f->batches),
				.batch_loss = f->batch_loss,
				.resumed = f->resumed,
				.n_relaunches = f->n_relaunches,
				.epoch_ended = f->epoch_ended};
}

const ftmpi_logs *ftmpi_fit_logs(const ftmpi_fit *f)
{
	return &f->logs;
}

void ftmpi_fit_stop(ftmpi_fit *f)
{
	f->stopping = true;
}

bool ftmpi_fit_stopping(const ftmpi_fit *f)
{
	return f->stopping;
}

void ftmpi_fit_want_save(ftmpi_fit *f)
{
	ftmpi_learner_raise(f->trainer->learner, FTMPI__FLAG_SAVE);
}

bool ftmpi_fit_save_wanted(const ftmpi_fit *f)
{
	return ftmpi_learner_raised(f->trainer->learner, FTMPI__FLAG_SAVE) > 0;
}

void ftmpi_fit_saved(ftmpi_fit *f, double save_s)
{
	ftmpi__fit_take_save(f, (ftmpi_save_event){.step = ftmpi_learner_step_count(f->trainer->learner),
						   .save_s = save_s,
						   .write_s = save_s});
}

void ftmpi__fit_take_save(ftmpi_fit *f, ftmpi_save_event event)
{
	f->last_save = event;
	for (int i = 0; i < f->options->n_callbacks; i++)
		if (f->options->callbacks[i]->saved != NULL)
			f->options->callbacks[i]->saved(f->options->callbacks[i]->context, &event);
}

void ftmpi__fit_tell_written(ftmpi_fit *f)
{
	ftmpi_learner_raise(f->trainer->learner, FTMPI__FLAG_WRITTEN);
}

bool ftmpi__fit_written(const ftmpi_fit *f)
{
	return ftmpi_learner_raised(f->trainer->learner, FTMPI__FLAG_WRITTEN) > 0;
}

bool ftmpi_fit_diverged(const ftmpi_fit *f)
{
	return f->diverged;
}

bool ftmpi_fit_rewound(const ftmpi_fit *f)
{
	return f->rewound;
}

bool ftmpi_fit_preempted(const ftmpi_fit *f)
{
	return ftmpi_learner_raised(f->trainer->learner, FTMPI__FLAG_STOP) > 0;
}
