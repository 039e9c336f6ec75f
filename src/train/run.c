/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: steps, the end of an epoch, saves.
 *
 * There is one place where a step's consequences end: an epoch that ends with the step is validated, recorded and rolled over first, and only then
 * is it asked whether to save. So every checkpoint holds a position from which the future is the same as without it. */
#include "train/trainer.h"

#include <ftmpi/failpoint.h>
#include <ftmpi/log.h>
#include <ftmpi/manager.h>

#include <math.h>
#include <string.h>

/* Call an observer's function, if there is one. */
#define OBSERVE(observer, function, ...)                                                                               \
	do {                                                                                                           \
		if ((observer) != NULL && (observer)->function != NULL)                                                \
			(observer)->function((observer)->context, __VA_ARGS__);                                        \
	} while (0)

/* The own slice of the parameters is finite: a checkpoint never holds anything else. */
static ftmpi_status check_finite(const ftmpi_trainer *t)
{
	ftmpi_status status = FTMPI_OK;
	int64_t first, end;

	ftmpi_exchange_slice(t->exchange, &first, &end);
	for (int64_t i = first; i < end; i++)
		if (!isfinite(t->state.params[i]))
			FTMPI_FAIL(
				FTMPI_ERR_DIVERGED,
				"model diverged: a parameter is not finite after step %lld, which is not saved; older "
				"checkpoints are good: try a smaller learning rate",
				(long long)t->state.step);
done:
	return status;
}

static ftmpi_status save(ftmpi_trainer *t, ftmpi_manager *manager, const ftmpi_observer *observer)
{
	ftmpi_status status = FTMPI_OK;
	const double now_s = ftmpi__now_s();
	const char *file = NULL;
	ftmpi_progress progress;

	FTMPI_TRY(ftmpi_agree(t->comm, check_finite(t)));
	FTMPI_TRY(ftmpi__gather_slots(t));
	t->wall_s += now_s - t->started_s;
	t->started_s = now_s;
	t->saved_at_s = ftmpi__calendar_s();
	FTMPI_TRY(ftmpi_manager_save(manager, &t->state.step, false, &file));
	t->saved_step = t->state.step;
	t->saved_s = ftmpi__now_s();
	progress = ftmpi_trainer_progress(t);
	OBSERVE(observer, saved, &progress, file);
done:
	return status;
}

static bool save_wanted(const ftmpi_trainer *t, bool epoch_ended)
{
	const ftmpi_trainer_options *o = &t->options;

	return t->save_due || (o->save_steps > 0 && t->state.step % o->save_steps == 0) ||
	       (o->save_epochs > 0 && epoch_ended && t->state.epoch % o->save_epochs == 0);
}

static ftmpi_status append_history(ftmpi_trainer *t)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_metrics train = ftmpi__metrics_of(t, t->state.sums);
	const double row[FTMPI__N_HISTORY] = {train.loss, train.accuracy, t->last_validation.loss,
					      t->last_validation.accuracy};

	for (int i = 0; i < FTMPI__N_HISTORY; i++)
		if (t->validation != NULL || i < FTMPI__HISTORY_VAL_LOSS)
			FTMPI_TRY(ftmpi_buffer_append(&t->state.history[i], &row[i], sizeof row[i]));
done:
	return status;
}

static ftmpi_status end_epoch(ftmpi_trainer *t, const ftmpi_observer *observer)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_progress progress;

	if (t->validation != NULL)
		FTMPI_TRY(ftmpi_evaluator_run(t->evaluator, t->state.params, t->validation, &t->last_validation));
	FTMPI_TRY(ftmpi_agree(t->comm, append_history(t)));
	progress = ftmpi_trainer_progress(t);
	OBSERVE(observer, epoch_end, &progress);
	memset(t->state.sums, 0, sizeof t->state.sums);
	t->state.position = 0;
	t->state.epoch++;
	(void)ftmpi_failpoint_hit(FTMPI_FP_EPOCH_END);
done:
	return status;
}

/* A step and all that follows from it. */
static ftmpi_status advance(ftmpi_trainer *t, ftmpi_manager *manager, const ftmpi_observer *observer)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_progress progress;
	bool epoch_ended;

	FTMPI_TRY(ftmpi__step(t));
	progress = ftmpi_trainer_progress(t);
	OBSERVE(observer, step_end, &progress);
	epoch_ended = t->state.position == ftmpi_dataset_n_samples(t->train);
	if (epoch_ended)
		FTMPI_TRY(end_epoch(t, observer));
	if (manager != NULL && save_wanted(t, epoch_ended))
		FTMPI_TRY(save(t, manager, observer));
done:
	return status;
}

ftmpi_status ftmpi_trainer_run(ftmpi_trainer *t, ftmpi_store *store, const ftmpi_observer *observer)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_manager *manager = NULL;
	bool saving = store != NULL, new_epoch = true;
	ftmpi_progress progress = ftmpi_trainer_progress(t);

	FTMPI_TRY(ftmpi_broadcast(t->comm, &saving, (int64_t)sizeof saving, FTMPI_CHIEF));
	if (saving)
		FTMPI_TRY(ftmpi_manager_create_on_store(t->checkpoint, store, NULL, &manager));
	OBSERVE(observer, train_begin, &progress);
	while (!ftmpi_trainer_finished(t)) {
		if (new_epoch) {
			progress = ftmpi_trainer_progress(t);
			OBSERVE(observer, epoch_begin, &progress);
		}
		FTMPI_TRY(advance(t, manager, observer));
		new_epoch = t->state.position == 0;
	}
	if (saving && t->saved_step != t->state.step)
		FTMPI_TRY(save(t, manager, observer));
	progress = ftmpi_trainer_progress(t);
	OBSERVE(observer, train_end, &progress);
done:
	ftmpi_manager_destroy(&manager);
	return status;
}
