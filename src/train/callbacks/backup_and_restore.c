/* SPDX-License-Identifier: Apache-2.0 */
/* BackupAndRestore: the whole state in one file, so that no crash can leave weights of one moment beside the counter of another.
 *
 * Where a fit goes on:  1  `finished.weights.h5`, the end of an earlier launch     2  the newest good backup     whichever is further, if it is of this
 * fit: the step at which a fit begins is part of its state, and tells it from other fits of the program.
 * At a normal end:  1  finished.weights.h5, when the last batch has settled     2  the backups are deleted, in train_end     a crash in between leaves
 * both, which is as good as 1 alone. What callbacks do to the state in train_end (the best weights, put back) is not in it: a relaunch with more epochs
 * goes on from the state that the longer training would have had, and one that trains nothing calls train_end too.
 * Backups are numbered by the save counter, not by the step: the last one saved is the newest, whatever another fit left, and after going back. */
#include "train/callbacks/common.h"

#include "base/clock.h"
#include "train/trainer.h"

#include <ftmpi/log.h>
#include <ftmpi/manager.h>

#include <math.h>
#include <stdio.h>

#define NAME     "backup_and_restore"
#define FINISHED "finished"

/* Where a fit began. */
enum source { FROM_NOTHING, FROM_BACKUP, FROM_FINISHED };

struct backup {
	char directory[FTMPI__TEXT_BYTES - 64];
	ftmpi_backup_and_restore_options options;
	ftmpi_manager *manager;
	int64_t begin_step; /* of this fit; saved */
	int64_t ended;      /* the training was ended by a callback before epochs and steps were done; saved */
	int64_t source;     /* enum source */
	int64_t kept_step;  /* the end at this step is in the folder; −1: none is */
	bool was_done;      /* there was nothing to train */
	bool has_others;    /* on the chief: the newest backup was of another fit */
	struct {
		bool is_there;
		ftmpi_save_event event; /* as far as it is known */
	} flight;                       /* the backup in flight, alike on all ranks */
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
	b->kept_step = -1;
	b->source = FROM_NOTHING;
	b->was_done = b->has_others = b->flight.is_there = false;
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

/* @param why set to what is wrong with a bad file. */
static ftmpi_status open_finished(const struct backup *b, ftmpi_reader **out, char *why, size_t why_bytes)
{
	ftmpi_status status = FTMPI_OK;
	char path[FTMPI__TEXT_BYTES];

	(void)snprintf(path, sizeof path, "%s/" FINISHED ".weights.h5", b->directory);
	status = ftmpi_reader_open(path, out);
	if (status == FTMPI_ERR_DATA)
		(void)snprintf(why, why_bytes, "%s", ftmpi_error_message());
	else if (status != FTMPI_ERR_NOT_FOUND)
		FTMPI_TRY(status);
	ftmpi_error_clear();
	status = FTMPI_OK;
done:
	return status;
}

/* On the chief: from where to go on; NULL: from the beginning. */
static ftmpi_status choose(struct backup *b, ftmpi_reader **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_reader *finished = NULL, *backup = NULL, **chosen;
	char why[512] = "";
	int64_t finished_step, backup_step;

	FTMPI_TRY(open_finished(b, &finished, why, sizeof why));
	FTMPI_TRY(check_fit(b, &finished, &finished_step));
	status = ftmpi_store_open_latest(ftmpi_manager_store(b->manager), &backup);
	if (status != FTMPI_ERR_DATA || finished == NULL)
		FTMPI_TRY(status);
	b->has_others = backup != NULL;
	FTMPI_TRY(check_fit(b, &backup, &backup_step));
	b->has_others = b->has_others && backup == NULL;
	if (finished == NULL && backup == NULL && why[0] != '\0')
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s; to train anew, delete it", why);
	if (why[0] != '\0')
		ftmpi_log(FTMPI_LOG_WARNING, "passing over a bad file: %s", why);
	chosen = backup_step > finished_step ? &backup : &finished;
	b->source = *chosen == NULL ? FROM_NOTHING : chosen == &backup ? FROM_BACKUP : FROM_FINISHED;
	*out = *chosen;
	*chosen = NULL;
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

	FTMPI_TRY(open_folder(b, fit));
	if (ftmpi_comm_is_chief(comm))
		status = choose(b, &reader);
	FTMPI_TRY(ftmpi_agree(comm, status));
	FTMPI_TRY(ftmpi_broadcast(comm, &b->source, (int64_t)sizeof b->source, FTMPI_CHIEF));
	if (b->source == FROM_NOTHING)
		goto done;
	FTMPI_TRY(ftmpi_checkpoint_restore_reader(ftmpi_fit_checkpoint(fit), reader));
	if (reader != NULL)
		ftmpi_log(FTMPI_LOG_INFO, "Restored from '%s'.", ftmpi_reader_file(reader));
done:
	ftmpi_reader_close(&reader);
	return status;
}

static bool is_end(const ftmpi_fit *fit)
{
	const ftmpi_progress p = ftmpi_fit_progress(fit);

	return ftmpi_fit_stopping(fit) || (p.n_epochs > 0 && p.epoch >= p.n_epochs) ||
	       (p.max_steps > 0 && p.step >= p.max_steps);
}

/* The backup in flight is there, or the fit ends. Collective. */
static ftmpi_status finish(struct backup *b, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	const double begin_s = ftmpi__now_s();

	if (!b->flight.is_there)
		goto done;
	b->flight.is_there = false;
	FTMPI_TRY(ftmpi_manager_save_end(b->manager, NULL));
	b->flight.event.save_s += ftmpi__now_s() - begin_s;
	b->flight.event.write_s = ftmpi_manager_write_s(b->manager);
	ftmpi__fit_take_save(fit, b->flight.event);
done:
	return status;
}

/* A backup that is written while the training goes on. Collective. */
static ftmpi_status begin_backup(struct backup *b, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	const double begin_s = ftmpi__now_s();

	FTMPI_TRY(ftmpi_manager_save_begin(b->manager, NULL, false, NULL));
	b->flight.is_there = true;
	b->flight.event = (ftmpi_save_event){.step = ftmpi_fit_progress(fit).step, .save_s = ftmpi__now_s() - begin_s};
done:
	return status;
}

/* A backup, or the end. Collective. @param may_fly a backup need not be durable yet. */
static ftmpi_status save(struct backup *b, ftmpi_fit *fit, bool finished, bool may_fly)
{
	ftmpi_status status = FTMPI_OK;
	double begin_s;
	char path[FTMPI__TEXT_BYTES];

	FTMPI_TRY(finish(b, fit));
	if (may_fly && b->options.async) {
		FTMPI_TRY(begin_backup(b, fit));
		goto done;
	}
	begin_s = ftmpi__now_s();
	if (finished) {
		(void)snprintf(path, sizeof path, "%s/" FINISHED, b->directory);
		FTMPI_TRY(ftmpi_checkpoint_write(ftmpi_fit_checkpoint(fit), path, NULL));
	} else {
		FTMPI_TRY(ftmpi_manager_save(b->manager, NULL, false, NULL));
	}
	ftmpi_fit_saved(fit, ftmpi__now_s() - begin_s);
done:
	return status;
}

/* Keep the end of the training, once: as a backup where these stay. Collective. */
static ftmpi_status keep_end(struct backup *b, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t step = ftmpi_fit_progress(fit).step, ended = ftmpi_fit_stopping(fit), ended_before = b->ended;

	if (b->kept_step == step && b->ended == ended)
		goto done;
	b->ended = ended;
	status = save(b, fit, b->options.delete_checkpoint, false);
	if (status == FTMPI_OK)
		b->kept_step = step;
	else
		b->ended = ended_before;
done:
	return status;
}

/* At its end already: it is kept as such before the callbacks' train_end. */
static ftmpi_status train_begin(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct backup *b = context;

	if (b->ended != 0)
		ftmpi_fit_stop(fit);
	if (b->source == FROM_NOTHING || !is_end(fit))
		goto done;
	b->was_done = true;
	if (b->source == FROM_FINISHED || !b->options.delete_checkpoint)
		b->kept_step = ftmpi_fit_progress(fit).step;
	FTMPI_TRY(keep_end(b, fit));
done:
	return status;
}

/* The chief's writer; heard at the end of the step. */
static ftmpi_status batch_begin(void *context, ftmpi_fit *fit)
{
	const struct backup *b = context;

	if (b->flight.is_there && ftmpi_manager_save_ready(b->manager))
		ftmpi__fit_tell_written(fit);
	return FTMPI_OK;
}

static ftmpi_status settled(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct backup *b = context;
	const ftmpi_progress p = ftmpi_fit_progress(fit);
	const int64_t freq = b->options.save_freq;
	const bool wanted = freq > 0 ? (p.step - b->begin_step) % freq == 0 : p.epoch_ended;
	const bool needed = (ftmpi_fit_preempted(fit) && b->options.save_before_preemption) || ftmpi_fit_rewound(fit);

	if (ftmpi__fit_written(fit))
		FTMPI_TRY(finish(b, fit));
	if (is_end(fit))
		FTMPI_TRY(keep_end(b, fit));
	else if (wanted || needed)
		FTMPI_TRY(save(b, fit, false, !needed));
	else if (ftmpi_fit_preempted(fit))
		FTMPI_TRY(finish(b, fit));
done:
	return status;
}

/* After a divergence the backups are what one goes back to. Those of a later fit of the program stay when this one had nothing to do. */
static ftmpi_status train_end(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct backup *b = context;

	FTMPI_TRY(finish(b, fit));
	if (ftmpi_fit_diverged(fit))
		goto done;
	FTMPI_TRY(keep_end(b, fit));
	if (!b->options.delete_checkpoint)
		goto done;
	if (ftmpi_comm_is_chief(ftmpi_fit_comm(fit)) && !(b->was_done && b->has_others))
		status = ftmpi_store_clear(ftmpi_manager_store(b->manager));
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
	if (!(options->lock_wait_s >= 0) || isinf(options->lock_wait_s))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "backup and restore: lock_wait_s is %g: give 0 or more seconds",
			   options->lock_wait_s);
	FTMPI_TRY(FTMPI_ALLOC(1, &b));
	b->options = *options;
	FTMPI_TRY(ftmpi__copy_text(b->directory, sizeof b->directory, backup_dir, "the backup folder"));
	FTMPI_TRY(ftmpi__callback_create(&(ftmpi_callback){.context = b,
							   .name = NAME,
							   .attach = attach,
							   .restore = restore,
							   .train_begin = train_begin,
							   .batch_begin = batch_begin,
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
