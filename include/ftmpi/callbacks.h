/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Ready-made callbacks of fit, under Keras's names. What one of them remembers between epochs is part of a checkpoint (at `ftmpi/callbacks/<name>/…`), so a
 * relaunch goes on with it. Each is made by a function of its own and ended by ftmpi_callback_destroy; a fit has at most one of each kind, but for
 * ftmpi_model_checkpoint, whose file path tells several apart. All of it is local unless said otherwise, and alike on all ranks.
 *
 * Every create function: @param options copied with its texts. Errors: ERR_USAGE (names the option), ERR_MEMORY. In a fit, an entry of the logs that is to be
 * monitored and is not there is ERR_USAGE.
 */
#ifndef FTMPI_CALLBACKS_H
#define FTMPI_CALLBACKS_H

#include <ftmpi/callback.h>

FTMPI_BEGIN_DECLS

/** NULLs the pointer; NULL is fine. Not during a fit. */
FTMPI_API void ftmpi_callback_destroy(ftmpi_callback **callback);

typedef struct ftmpi_backup_and_restore_options {
	int64_t save_freq;      /**< batches between two backups, whatever steps_per_execution is; 0: every epoch */
	bool double_checkpoint; /**< keep the last two backups instead of one */
	bool delete_checkpoint; /**< after a normal end delete the backups; `finished.weights.h5` stays; default true */
	bool save_before_preemption; /**< back up when a preemption stops the fit; default true */
	bool async; /**< write backups while the training goes on, as saver.h says; an error ends the fit at the next step; default false */
	double lock_wait_s; /**< how long to wait for the folder's lock; default 10 */
} ftmpi_backup_and_restore_options;

FTMPI_API void ftmpi_backup_and_restore_options_init(ftmpi_backup_and_restore_options *options);

/**
 * Backups of the whole state in a folder, from which a relaunch goes on with the exact next batch, with a line that says from which file. After a
 * normal end the backups are deleted and the end is kept as `finished.weights.h5`: a relaunch takes it from there instead of training again, and goes
 * on if `epochs` or `max_steps` was raised, with the bits of a longer training; one that a callback had stopped stays stopped. Backups stay after an
 * error, a preemption, and a stop because the loss was not finite. A folder belongs to one fit: what another fit of the program left in it, told by
 * the step at which that began, is passed over with a warning, and the first backups replace it. Errors of a fit (agreed): ERR_DATA (there were
 * backups or an end, and none is good), as ftmpi_manager_create, ftmpi_checkpoint_restore_reader, ftmpi_manager_save.
 */
FTMPI_API ftmpi_status ftmpi_backup_and_restore_create(const char *backup_dir,
						       const ftmpi_backup_and_restore_options *options,
						       ftmpi_callback **out) FTMPI_CHECK_RESULT;

/** Which direction of a monitored entry is better; AUTO: up for names with "acc" in them, else down. */
typedef enum ftmpi_monitor_mode { FTMPI_MONITOR_AUTO, FTMPI_MONITOR_MIN, FTMPI_MONITOR_MAX } ftmpi_monitor_mode;

typedef struct ftmpi_model_checkpoint_options {
	const char *monitor; /**< "val_loss" */
	ftmpi_monitor_mode mode;
	bool save_best_only;
	int64_t save_freq; /**< batches between two saves; 0: every epoch */
} ftmpi_model_checkpoint_options;

FTMPI_API void ftmpi_model_checkpoint_options_init(ftmpi_model_checkpoint_options *options);

/**
 * Files that Keras's load_weights takes. @param filepath ends in ".weights.h5"; may have fields: {epoch} (from 1), {epoch:02d}, and entries of the
 * logs as {val_loss:.4f} (a width, a precision, and f, e or g). Its folder is made if missing. A file that was due when a launch died is written by
 * the relaunch.
 * Errors: also ERR_USAGE for a field's form. Errors of a fit (agreed): ERR_USAGE (a field that the logs do not have), as ftmpi_checkpoint_write.
 */
FTMPI_API ftmpi_status ftmpi_model_checkpoint_create(const char *filepath,
						     const ftmpi_model_checkpoint_options *options,
						     ftmpi_callback **out) FTMPI_CHECK_RESULT;

typedef struct ftmpi_early_stopping_options {
	const char *monitor; /**< "val_loss" */
	ftmpi_monitor_mode mode;
	double min_delta; /**< least change that counts as better; ≥ 0 */
	int64_t patience; /**< epochs without anything better before the training stops; ≥ 0 */
	double baseline;  /**< patience ends only with values better than this; NaN: none */
	bool restore_best_weights;
	int64_t start_from_epoch;
} ftmpi_early_stopping_options;

FTMPI_API void ftmpi_early_stopping_options_init(ftmpi_early_stopping_options *options);
FTMPI_API ftmpi_status ftmpi_early_stopping_create(const ftmpi_early_stopping_options *options,
						   ftmpi_callback **out) FTMPI_CHECK_RESULT;

typedef struct ftmpi_reduce_lr_on_plateau_options {
	const char *monitor; /**< "val_loss" */
	ftmpi_monitor_mode mode;
	double factor;    /**< in (0, 1); 0.1 */
	int64_t patience; /**< 10 */
	double min_delta; /**< 1e-4 */
	int64_t cooldown; /**< epochs of rest after a reduction */
	double min_lr;
} ftmpi_reduce_lr_on_plateau_options;

FTMPI_API void ftmpi_reduce_lr_on_plateau_options_init(ftmpi_reduce_lr_on_plateau_options *options);
FTMPI_API ftmpi_status ftmpi_reduce_lr_on_plateau_create(const ftmpi_reduce_lr_on_plateau_options *options,
							 ftmpi_callback **out) FTMPI_CHECK_RESULT;

/** Learning rate of an epoch. @param lr that of the epoch before. A pure function of its arguments, or a relaunch gives other bits. */
typedef float (*ftmpi_lr_schedule)(void *context, int64_t epoch, float lr);

/** The schedule is asked once at the beginning of each epoch, not again when a relaunch goes on within one. */
FTMPI_API ftmpi_status ftmpi_learning_rate_scheduler_create(ftmpi_lr_schedule schedule, void *context,
							    ftmpi_callback **out) FTMPI_CHECK_RESULT;

/** A loss that is not finite ends the training as if it were done, instead of with ERR_DIVERGED; the batch changes nothing. */
FTMPI_API ftmpi_status ftmpi_terminate_on_nan_create(ftmpi_callback **out) FTMPI_CHECK_RESULT;

typedef struct ftmpi_csv_logger_options {
	char separator; /**< ',' */
	bool append;    /**< a fit that begins puts its rows behind those that are there; false: it begins a new file */
} ftmpi_csv_logger_options;

FTMPI_API void ftmpi_csv_logger_options_init(ftmpi_csv_logger_options *options);

/**
 * One row an epoch: epoch (from 0), then the logs in the order of the alphabet; written by the chief, synced. A fit that resumes drops its own rows
 * from the epoch on that it resumes in, and a row that a crash cut off, and goes on behind the others. Errors of a fit (agreed): ERR_IO, ERR_NO_SPACE,
 * ERR_MEMORY.
 */
FTMPI_API ftmpi_status ftmpi_csv_logger_create(const char *filename, const ftmpi_csv_logger_options *options,
					       ftmpi_callback **out) FTMPI_CHECK_RESULT;

typedef struct ftmpi_tensorboard_options {
	int64_t update_freq; /**< batches between two values of batch_loss and global_step/sec; 1: every batch; 0: with the epochs */
} ftmpi_tensorboard_options;

FTMPI_API void ftmpi_tensorboard_options_init(ftmpi_tensorboard_options *options);

/**
 * TensorBoard's scalars over the global step, written by the chief: epoch_loss, epoch_accuracy, epoch_val_loss and so on, epoch_learning_rate at the
 * end of epochs; batch_loss at multiples of update_freq and global_step/sec there (0: with the epochs, without batch_loss); checkpoint_sec for each
 * save; restarts with each launch's first batch. A fit that resumes goes on in the same folder without doubled steps. What cannot be written (disk full) is a
 * warning and ends no fit; it is tried again with the next values.
 */
FTMPI_API ftmpi_status ftmpi_tensorboard_create(const char *log_dir, const ftmpi_tensorboard_options *options,
						ftmpi_callback **out) FTMPI_CHECK_RESULT;

FTMPI_END_DECLS

#endif
