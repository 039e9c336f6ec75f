/* SPDX-License-Identifier: Apache-2.0 */
/* BackupAndRestore: the whole state in one file, so that no crash can leave weights of one moment beside the counter of another.
 *
 * Where a fit goes on:  1  `finished.weights.h5`, the end of an earlier launch     2  the newest good backup     whichever is further, if it is of this fit: the step
 * at which a fit begins is part of its state, and tells it from other fits of the program.
 * At a normal end:  1  finished.weights.h5     2  the backups are deleted     a crash in between leaves both, which is as good as 1 alone. */
#include "train/callbacks/common.h"

#include "train/clock.h"

#include <ftmpi/log.h>
#include <ftmpi/manager.h>

#include <stdio.h>

#define NAME     "backup_and_restore"
#define FINISHED "finished"

struct backup {
	char directory[FTMPI__TEXT_BYTES - 64];
	ftmpi_backup_and_restore_options options;
	ftmpi_manager *manager;
	int64_t begin_step; /* of this fit; saved */
	int64_t ended;      /* the training was ended by a callback before epochs and steps were done; saved */
	int64_t saved_step;
};

void ftmpi_backup_and_restore_options_init(ftmpi_backup_and_restore_options *options)
{
	*options = (ftmpi_backup_and_restore_options){
		.delete_checkpoint = true, .save_before_preemption = true, .lock_wait_s = 10};
}

static ftmpi_status attach(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct backup *b = context;

	b->begin_step = ftmpi_fit_progress(fit).step;
	b->ended = 0;
	b->saved_step = -1;
	FTMPI_TRY(ftmpi__callback_track(fit, NAME, "begin_step", FTMPI_I64, &b->begin_step));
	FTMPI_TRY(ftmpi__callback_track(fit, NAME, "ended", FTMPI_I64, &b->ended));
done:
	return status;
}

static ftmpi_status open_folder(struct backup *b, ftmpi_fit *fit)
{
	ftmpi_manager_options options;

	ftmpi_manager_options_init(&options);
	options.max_to_keep = b->options.double_checkpoint ? 2 : 1;
	options.checkpoint_name = "backup";
	options.lock_wait_s = b->options.lock_wait_s;
	return ftmpi_manager_create(ftmpi_fit_checkpoint(fit), b->directory, &options, &b->manager);
}

/* Close a reader that is not of this fit. @param step of the reader; −1: none. Errors: none but of memory. */
static ftmpi_status check_fit(const struct backup *b, ftmpi_reader **reader, int64_t *step)
{
	ftmpi_status status = FTMPI_OK;
	const char *path = "ftmpi/callbacks/" NAME "/begin_step";
	int64_t begin_step = -1;

	*step = -1;
	if (*reader == NULL)
		goto done;
	if (ftmpi_reader_find(*reader, path) != NULL)
		FTMPI_TRY(ftmpi_reader_read(*reader, path, &begin_step, sizeof begin_step));
	if (begin_step == b->begin_step) {
		FTMPI_TRY(ftmpi_reader_read(*reader, "optimizer/vars/0", step, sizeof *step));
		goto done;
	}
	ftmpi_log(FTMPI_LOG_WARNING, "passing over '%s': it is of another fit", ftmpi_reader_file(*reader));
	ftmpi_reader_close(reader);
done:
	return status;
}

/* On the chief: from where to go on; NULL: from the beginning. */
static ftmpi_status choose(struct backup *b, ftmpi_reader **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_reader *finished = NULL, *backup = NULL;
	char path[FTMPI__TEXT_BYTES];
	int64_t finished_step, backup_step;

	(void)snprintf(path, sizeof path, "%s/" FINISHED ".weights.h5", b->directory);
	status = ftmpi_reader_open(path, &finished);
	if (status == FTMPI_ERR_DATA)
		ftmpi_log(FTMPI_LOG_WARNING, "passing over a bad file: %s", ftmpi_error_message());
	else if (status != FTMPI_ERR_NOT_FOUND)
		FTMPI_TRY(status);
	status = ftmpi_store_open_latest(ftmpi_manager_store(b->manager), &backup);
	if (status != FTMPI_ERR_DATA || finished == NULL)
		FTMPI_TRY(status);
	FTMPI_TRY(check_fit(b, &finished, &finished_step));
	FTMPI_TRY(check_fit(b, &backup, &backup_step));
	*out = backup_step > finished_step ? backup : finished;
	if (*out == backup)
		backup = NULL;
	else
		finished = NULL;
done:
	ftmpi_reader_close(&finished);
	ftmpi_reader_close(&backup);
	return status;
}

static ftmpi_status restore(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct backup *b = context;
	const ftmpi_comm *comm = ftmpi_fit_comm(fit);
	ftmpi_reader *reader = NULL;
	bool found;

	FTMPI_TRY(open_folder(b, fit));
	if (ftmpi_comm_is_chief(comm))
		status = choose(b, &reader);
	FTMPI_TRY(ftmpi_agree(comm, status));
	found = reader != NULL;
	FTMPI_TRY(ftmpi_broadcast(comm, &found, (int64_t)sizeof found, FTMPI_CHIEF));
	if (!found)
		goto done;
	FTMPI_TRY(ftmpi_checkpoint_restore_reader(ftmpi_fit_checkpoint(fit), reader));
	if (reader != NULL)
		ftmpi_log(FTMPI_LOG_INFO, "Restored from '%s'.", ftmpi_reader_file(reader));
done:
	ftmpi_reader_close(&reader);
	return status;
}

static ftmpi_status train_begin(void *context, ftmpi_fit *fit)
{
	struct backup *b = context;
	const ftmpi_progress p = ftmpi_fit_progress(fit);

	b->saved_step = p.resumed ? p.step : -1;
	if (b->ended != 0)
		ftmpi_fit_stop(fit);
	return FTMPI_OK;
}

static ftmpi_status save(struct backup *b, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	const double begin_s = ftmpi__now_s();
	const int64_t step = ftmpi_fit_progress(fit).step;

	FTMPI_TRY(ftmpi_manager_save(b->manager, &step, false, NULL));
	b->saved_step = step;
	ftmpi_fit_saved(fit, ftmpi__now_s() - begin_s);
done:
	return status;
}

static ftmpi_status settled(void *context, ftmpi_fit *fit)
{
	struct backup *b = context;
	const ftmpi_progress p = ftmpi_fit_progress(fit);
	const int64_t freq = b->options.save_freq;
	const bool wanted = freq > 0 ? (p.step - b->begin_step) % freq == 0 : p.epoch_ended;

	return wanted || (ftmpi_fit_preempted(fit) && b->options.save_before_preemption) ? save(b, fit) : FTMPI_OK;
}

/* On the chief: what is left of a training that is done. */
static ftmpi_status delete_backups(struct backup *b)
{
	return ftmpi_store_clear(ftmpi_manager_store(b->manager));
}

static ftmpi_status train_end(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct backup *b = context;
	char path[FTMPI__TEXT_BYTES];

	if (ftmpi_fit_diverged(fit)) /* the backups are what one goes back to */
		goto done;
	b->ended = ftmpi_fit_stopping(fit);
	if (!b->options.delete_checkpoint) {
		if (b->saved_step != ftmpi_fit_progress(fit).step || b->ended != 0)
			FTMPI_TRY(save(b, fit));
		goto done;
	}
	(void)snprintf(path, sizeof path, "%s/" FINISHED, b->directory);
	FTMPI_TRY(ftmpi_checkpoint_write(ftmpi_fit_checkpoint(fit), path, NULL));
	if (ftmpi_comm_is_chief(ftmpi_fit_comm(fit)))
		status = delete_backups(b);
	FTMPI_TRY(ftmpi_agree(ftmpi_fit_comm(fit), status));
done:
	return status;
}

static void detach(void *context)
{
	struct backup *b = context;

	ftmpi_manager_destroy(&b->manager);
}

ftmpi_status ftmpi_backup_and_restore_create(const char *backup_dir, const ftmpi_backup_and_restore_options *options,
					     ftmpi_callback **out)
{
	ftmpi_status status = FTMPI_OK;
	struct backup *b = NULL;

	if (options->save_freq < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "backup and restore: save_freq is %lld: give 0 (epochs) or more",
			   (long long)options->save_freq);
	FTMPI_TRY(FTMPI_ALLOC(1, &b));
	b->options = *options;
	FTMPI_TRY(ftmpi__copy_text(b->directory, sizeof b->directory, backup_dir, "the backup folder"));
	FTMPI_TRY(ftmpi__callback_create(&(ftmpi_callback){.context = b,
							   .name = NAME,
							   .attach = attach,
							   .restore = restore,
							   .train_begin = train_begin,
							   .settled = settled,
							   .train_end = train_end,
							   .detach = detach,
							   .destroy = ftmpi_free,
							   .alike = true},
					 out));
	b = NULL;
done:
	ftmpi_free(b);
	return status;
}
