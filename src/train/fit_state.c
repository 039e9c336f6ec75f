/* SPDX-License-Identifier: Apache-2.0 */
/* What a fit saves, and what it does around a save and a restore.
 *
 * Everything that the future depends on is tracked here, by the learner, by the batches or by a callback; what is added to a fit and forgotten here breaks
 * the promise of the same bits, and the fault tests notice. Facts about the run are saved beside it, outside the state digest. */
#include "train/trainer.h"

#include "base/clock.h"

#include <ftmpi/failpoint.h>

#include <stdio.h>
#include <string.h>

static ftmpi_status before_save(void *context)
{
	ftmpi_fit *f = context;

	ftmpi__lap(&f->started_s, &f->wall_s);
	return FTMPI_OK;
}

double ftmpi__fit_wall_s(const ftmpi_fit *f)
{
	return f->wall_s + ftmpi__now_s() - f->started_s;
}

/* The records are those of this launch: a restore brings back those of an earlier one. */
static ftmpi_status renew_records(ftmpi_trainer *t)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < t->n_records; i++) {
		FTMPI_TRY(ftmpi_buffer_resize(&t->records[i].saved, 0));
		FTMPI_TRY(
			ftmpi_buffer_append(&t->records[i].saved, t->records[i].text.data, t->records[i].text.n_bytes));
	}
done:
	return status;
}

static ftmpi_status after_restore(void *context)
{
	ftmpi_fit *f = context;

	if (ftmpi_failpoint_hit(FTMPI_FP_RESTORE_METRICS) == FTMPI_FAULT_SKIP)
		memset(f->sums, 0, sizeof f->sums);
	if (!f->rewinding) {
		f->n_relaunches++;
		f->resumed = true;
	}
	return renew_records(f->trainer);
}

static ftmpi_status track_history(ftmpi_trainer *t, ftmpi_registry *r)
{
	ftmpi_status status = FTMPI_OK;
	char path[sizeof t->names[0] + 16];

	for (int i = 0; i < 2 * t->n_sums; i++) {
		(void)snprintf(path, sizeof path, "ftmpi/history/%s", t->names[i]);
		FTMPI_TRY(ftmpi_registry_add_buffer(r, path, FTMPI_F64, &t->history[i], FTMPI_STATE));
	}
done:
	return status;
}

ftmpi_status ftmpi__fit_track(ftmpi_fit *f)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_trainer *t = f->trainer;
	ftmpi_registry *r = ftmpi_checkpoint_registry(f->checkpoint);
	const ftmpi_trackable trackable = {.context = f, .before_save = before_save, .after_restore = after_restore};
	const int64_t n_sums = t->n_sums + 2, two = 2;

	FTMPI_TRY(ftmpi_trainer_track(t, f->checkpoint));
	FTMPI_TRY(ftmpi_batches_track(f->batches, f->checkpoint));
	FTMPI_TRY(ftmpi_registry_add(r, "ftmpi/metric_sums", FTMPI_F64, 1, &n_sums, f->sums, FTMPI_STATE));
	FTMPI_TRY(ftmpi_registry_add(r, "ftmpi/loss_mean", FTMPI_F64, 1, &two, f->loss_mean, FTMPI_STATE));
	FTMPI_TRY(track_history(t, r));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/run/wall_time_s", FTMPI_F64, &f->wall_s, FTMPI_RECORD));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/run/relaunches", FTMPI_I64, &f->n_relaunches, FTMPI_RECORD));
	for (int i = 0; i < t->n_records; i++)
		FTMPI_TRY(ftmpi_registry_add_buffer(r, t->records[i].path, FTMPI_TEXT, &t->records[i].saved,
						    FTMPI_RECORD));
	FTMPI_TRY(renew_records(t));
	FTMPI_TRY(ftmpi_checkpoint_add(f->checkpoint, &trackable));
done:
	return status;
}

int64_t ftmpi__fit_n_batches_done(const ftmpi_fit *f)
{
	const int64_t batch_size = f->options->batch_size;

	return (ftmpi_batches_position(f->batches) + batch_size - 1) / batch_size;
}

ftmpi_status ftmpi__fit_restore(ftmpi_fit *f, ftmpi_manager *manager, const char **path)
{
	ftmpi_status status = FTMPI_OK;

	f->rewinding = true;
	FTMPI_TRY(ftmpi_manager_restore_or_initialize(manager, path));
done:
	f->rewinding = false;
	return status;
}

void ftmpi__fit_rewind(ftmpi_fit *f, int64_t ended_epoch)
{
	f->rewound = true;
	f->epoch_ended = ended_epoch >= 0;
	f->epoch = f->epoch_ended ? ended_epoch : ftmpi_batches_epoch(f->batches);
	f->batch = f->epoch_ended ? ftmpi_batches_per_epoch(f->batches) : ftmpi__fit_n_batches_done(f);
}
