/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Many checkpoints of one training in one folder, as tf.train.CheckpointManager, which this follows in names and behaviour. Beyond it: one writer at a
 * time (a lock that dies with its process), files in the folder that the state file does not list are found, a checkpoint that does not verify is
 * set aside and the next older one is restored, and a failed save does not use up the interval.
 */
#ifndef FTMPI_MANAGER_H
#define FTMPI_MANAGER_H

#include <ftmpi/checkpoint.h>

FTMPI_BEGIN_DECLS

typedef struct ftmpi_manager ftmpi_manager;

/** max_to_keep: all of them (TensorFlow's None). */
#define FTMPI_KEEP_ALL INT64_MAX

typedef struct ftmpi_manager_options {
	int64_t max_to_keep;                  /**< newest checkpoints kept; ≤ 0 is an error; default FTMPI_KEEP_ALL */
	double keep_checkpoint_every_n_hours; /**< beside those, one for good this often; 0: none */
	const char *checkpoint_name;          /**< "ckpt" */
	const int64_t *step_counter;          /**< of the program, which tracks it; the chief's counts; NULL: none */
	int64_t checkpoint_interval;          /**< least steps between two saves; 0: none; needs step_counter */
	/** Called on every rank by restore_or_initialize when there is no checkpoint, its result agreed; NULL: nothing to do. */
	ftmpi_status (*init_fn)(void *context);
	void *init_context;
	double lock_wait_s;    /**< how long to wait for the folder's lock; 10 */
	double (*now)(void *); /**< seconds since 1970, for tests; NULL: the system clock */
	void *now_context;
} ftmpi_manager_options;

/** Local. */
FTMPI_API void ftmpi_manager_options_init(ftmpi_manager_options *options);

/**
 * Open a folder for a checkpoint object: it is made if missing, and locked until the manager is destroyed. Collective.
 * @param checkpoint must outlive the manager. @param options alike on all ranks; NULL: the defaults.
 * Errors (agreed): ERR_USAGE (an option), and as ftmpi_store_open.
 */
FTMPI_API ftmpi_status ftmpi_manager_create(ftmpi_checkpoint *checkpoint, const char *directory,
					    const ftmpi_manager_options *options,
					    ftmpi_manager **out) FTMPI_CHECK_RESULT;

/**
 * The same over a store that is open already, whose options hold; the manager does not close it. Collective.
 * @param store the chief's; NULL elsewhere. @param options step_counter, checkpoint_interval and init_fn are used; NULL: none of them.
 * Errors (agreed): ERR_USAGE (an option; no store), ERR_MEMORY, ERR_MPI.
 */
FTMPI_API ftmpi_status ftmpi_manager_create_on_store(ftmpi_checkpoint *checkpoint, ftmpi_store *store,
						     const ftmpi_manager_options *options,
						     ftmpi_manager **out) FTMPI_CHECK_RESULT;
/** Collective. NULLs the pointer; NULL is fine. */
FTMPI_API void ftmpi_manager_destroy(ftmpi_manager **manager);

/**
 * Save, unless it is not time. Collective. With a checkpoint_interval: not at the step of the last save or restore, and with `check_interval` not
 * before that step + interval.
 * @param checkpoint_number NULL: the raised save counter; where the folder has that number or a higher one, which the program did not restore, the counter
 * goes on behind it. A number of the program's own replaces a checkpoint of that number; the highest number is the newest checkpoint, and a save
 * below it warns. @param path set to the file, valid until the next call, or to NULL when nothing was saved; on every rank. NULL: not wanted.
 * Errors (agreed): as before_save, after_copy and ftmpi_store_save; counter and interval are as before then.
 */
FTMPI_API ftmpi_status ftmpi_manager_save(ftmpi_manager *manager, const int64_t *checkpoint_number, bool check_interval,
					  const char **path) FTMPI_CHECK_RESULT;

/**
 * Begin to save, unless it is not time: the state is copied, and written by a thread of the chief while the training goes on. Collective. It is a checkpoint only
 * once ftmpi_manager_save_end says so; a save that is in flight already is ended first, and if it failed its error is returned and nothing is begun.
 * @param checkpoint_number, check_interval as for ftmpi_manager_save. @param begun set to whether a save is in flight now; NULL: not wanted.
 * Errors (agreed): as before_save, after_copy and ftmpi_store_save_begin, and of the save before.
 * Cost: one pass over the state on the chief beside before_save; memory for one copy of it, kept for the next save.
 */
FTMPI_API ftmpi_status ftmpi_manager_save_begin(ftmpi_manager *manager, const int64_t *checkpoint_number,
						bool check_interval, bool *begun) FTMPI_CHECK_RESULT;

/** Whether the save in flight is over, so that ftmpi_manager_save_end does not wait: on the chief; false elsewhere. Local. */
FTMPI_API bool ftmpi_manager_save_ready(const ftmpi_manager *manager);

/**
 * Wait for the save in flight, and bring the lists up to date. Collective. Every function that saves or restores does so first; a restore takes the error for
 * a warning. @param path set to the new checkpoint's file, valid until the next call, or to NULL when none was in flight; on every rank. NULL: not wanted.
 * Errors (agreed): as ftmpi_store_save; counter and interval are as before the save then.
 */
FTMPI_API ftmpi_status ftmpi_manager_save_end(ftmpi_manager *manager, const char **path) FTMPI_CHECK_RESULT;

/** Seconds from the begin of the last save that was in flight until it was durable. Local, the same on all ranks. */
FTMPI_API double ftmpi_manager_write_s(const ftmpi_manager *manager);

/**
 * Restore the newest good checkpoint, setting bad ones aside, or call init_fn when there is none. Collective. Everything in the program must be in the
 * file. The next save continues its numbers: after a fallback from a bad ckpt-5 to ckpt-4 comes a new ckpt-5.
 * @param path set to the file, valid until the next call, or to NULL when there was none; on every rank. NULL: not wanted.
 * Errors (agreed): ERR_DATA when there were checkpoints and none is good, or the newest good one does not fit the program; as ftmpi_checkpoint_restore
 * with out NULL; as init_fn.
 */
FTMPI_API ftmpi_status ftmpi_manager_restore_or_initialize(ftmpi_manager *manager,
							   const char **path) FTMPI_CHECK_RESULT;

/** The newest checkpoint's file, not verified; NULL: none. Local, the same on all ranks; valid until the next call that saves or restores. */
FTMPI_API const char *ftmpi_manager_latest_checkpoint(const ftmpi_manager *manager);

/** The active set, oldest first: without those that are kept for good. Local, the same on all ranks. */
FTMPI_API int ftmpi_manager_n_checkpoints(const ftmpi_manager *manager);
/** The i-th one's file. Local, the same on all ranks; valid until the next call that saves or restores. */
FTMPI_API const char *ftmpi_manager_checkpoint(const ftmpi_manager *manager, int i);

FTMPI_API const char *ftmpi_manager_directory(const ftmpi_manager *manager);

/** The chief's store; NULL elsewhere. Local. */
FTMPI_API ftmpi_store *ftmpi_manager_store(ftmpi_manager *manager);

/* Looking from outside, without MPI and without a lock. */

/** Path of the newest checkpoint of a folder that is there: the highest number in the state file or in the folder. Local. It is not verified.
 * @param name file prefix ("ckpt"); NULL: that of the state file; where there is none, of the youngest file. @param path FTMPI_PATH_MAX bytes.
 * Errors: ERR_NOT_FOUND, ERR_USAGE (the name), ERR_IO, ERR_MEMORY. */
FTMPI_API ftmpi_status ftmpi_latest_checkpoint(const char *directory, const char *name, char *path) FTMPI_CHECK_RESULT;

/**
 * Open a checkpoint to look into it, as tf.train.load_checkpoint; reader.h has what can be asked of it. Nothing is restored. Local.
 * @param path a file, with or without `.weights.h5`; or a folder: its newest good checkpoint; a file that retention removes meanwhile is no error.
 * Errors: ERR_NOT_FOUND, ERR_DATA, ERR_IO, ERR_MEMORY.
 */
FTMPI_API ftmpi_status ftmpi_load_checkpoint(const char *path, ftmpi_reader **out) FTMPI_CHECK_RESULT;

/** New checkpoints of a folder as they come, as tf.train.checkpoints_iterator: for an evaluator beside a running trainer. */
typedef struct ftmpi_checkpoints_iterator ftmpi_checkpoints_iterator;

/**
 * Local. @param min_interval_s least seconds between two of them. @param timeout_s how long to wait for the next once that is over; negative: for ever; 0:
 * not at all.
 * @param stop asked several times a second while waiting; true ends the wait; NULL: never. Errors: ERR_USAGE, ERR_MEMORY.
 */
FTMPI_API ftmpi_status ftmpi_checkpoints_iterator_create(const char *directory, double min_interval_s, double timeout_s,
							 bool (*stop)(void *context), void *context,
							 ftmpi_checkpoints_iterator **out) FTMPI_CHECK_RESULT;
FTMPI_API void ftmpi_checkpoints_iterator_destroy(ftmpi_checkpoints_iterator **iterator);

/**
 * Wait for a checkpoint newer than the last one (a higher number, or saved later) and open it: verified and read into memory, so a removal of the file
 * does not matter any more. Only the newest good one is given out; one that vanishes meanwhile is passed over, a bad one with a warning. The
 * folder need not be there yet. Local.
 * @param reader set to the open checkpoint, the caller's; NULL when the time is over or `stop` said so. Errors: ERR_IO, ERR_MEMORY.
 */
FTMPI_API ftmpi_status ftmpi_checkpoints_iterator_next(ftmpi_checkpoints_iterator *iterator,
						       ftmpi_reader **reader) FTMPI_CHECK_RESULT;

FTMPI_END_DECLS

#endif
