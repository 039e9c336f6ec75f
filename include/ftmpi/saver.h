/* SPDX-License-Identifier: Apache-2.0 */
/** @file A callback that keeps a folder of checkpoints while a fit goes on: by steps, seconds or epochs, at the end, and when the training is preempted. */
#ifndef FTMPI_SAVER_H
#define FTMPI_SAVER_H

#include <ftmpi/callback.h>
#include <ftmpi/manager.h>

FTMPI_BEGIN_DECLS

/** Functions around each save, called on every rank: Estimator's saving listeners; any may be NULL. */
typedef struct ftmpi_saving_listener {
	void *context;
	ftmpi_status (*begin)(void *context);
	ftmpi_status (*before_save)(void *context, int64_t step);
	ftmpi_status (*after_save)(void *context, int64_t step,
				   bool *stop); /**< *stop: set it to ask for the end of the training */
	ftmpi_status (*end)(void *context, int64_t step);
} ftmpi_saving_listener;

/** What to do when a save fails for want of room or another error of the file system. */
typedef enum ftmpi_on_save_error {
	FTMPI_SAVE_ERROR_CONTINUE, /**< warn, go on, try again at the next save; an error only at the last one */
	FTMPI_SAVE_ERROR_STOP      /**< end the fit with the error */
} ftmpi_on_save_error;

/** save_s: find out. */
#define FTMPI_SAVE_AUTO (-2.0)

typedef struct ftmpi_saver_options {
	int64_t save_steps;  /**< save when the step is a multiple of this; 0: never for that reason */
	int64_t save_epochs; /**< save at the end of every so many epochs; 0: never for that reason */
	/** Save when the chief's clock says so many seconds since the last save, over relaunches too; 0: never for that reason. FTMPI_SAVE_AUTO: as many as lose the
	 * least time by the formula of Young (1974) and Daly (2006), from what saves cost and how often runs in this folder failed so far, both measured and
	 * kept over relaunches; what is chosen, and why, is logged when it changes by more than a fifth. The first save then comes after 10 steps. A run failed
	 * if it ended with work that no checkpoint has, but for divergence. */
	double save_s;
	double overhead; /**< FTMPI_SAVE_AUTO: most of the time that saves may make the training wait, above 0 and at most 1; wins over the formula */
	bool at_begin;   /**< save before the first step, at the step that the fit begins or goes on with */
	bool log;        /**< print the Estimator's lines */
	/**
	 * Let a thread of the chief write each checkpoint while the training goes on. How it went is told at the end of the step in which it was over; it is
	 * waited for before the next save, a restore and the end of the fit, and at once where nothing must happen without it (a preemption, the last save).
	 * Where a listener has an after_save, every save is waited for: the step at which it asks for the end must not depend on the disk.
	 */
	bool async;
	ftmpi_on_save_error on_error;
	const ftmpi_saving_listener *const *listeners;
	int n_listeners;
} ftmpi_saver_options;

/** A save every epoch; overhead 0.01; goes on after a failed save. Local. */
FTMPI_API void ftmpi_saver_options_init(ftmpi_saver_options *options);

typedef struct ftmpi_saver ftmpi_saver;

/**
 * A saver over an open store. Checkpoints are numbered by the step. It does not restore: that is for another callback. Local.
 * @param store the chief's; NULL elsewhere; must outlive the saver. Errors: ERR_USAGE, ERR_MEMORY.
 */
FTMPI_API ftmpi_status ftmpi_saver_create(ftmpi_store *store, const ftmpi_saver_options *options,
					  ftmpi_saver **out) FTMPI_CHECK_RESULT;
FTMPI_API void ftmpi_saver_destroy(ftmpi_saver **saver);

/** The callback; lives as long as the saver. Local. */
FTMPI_API const ftmpi_callback *ftmpi_saver_callback(const ftmpi_saver *saver);

FTMPI_END_DECLS

#endif
