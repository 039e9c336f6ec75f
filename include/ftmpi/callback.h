/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Callbacks of a fit: what a program does beside the training, at Keras's points. callbacks.h has the ready-made ones.
 *
 * Every function is called on every rank, in the order in which the callbacks were given, and may make collective calls. After each there is an agreement:
 * an error on one rank ends the fit on all. The points of a fit:
 *
 *     attach*                       set the state to its start; track what a checkpoint is to hold of it
 *     restore*                      bring back an earlier launch's state, if there is one
 *     train_begin*
 *       epoch_begin
 *         batch_begin               before an execution of steps_per_execution batches
 *         batch_end                 after it
 *         test_begin, test_end      around the validation
 *       epoch_end
 *       diverged                    the loss is not finite, or far too large: nothing has been changed by it; ftmpi_fit_diverged is true
 *       rewound                     the fit has gone back to an earlier state, restored from a checkpoint, and goes on from there; next comes
 *                                   settled, then epoch_begin. When nothing is left of the epoch, test_begin … epoch_end come before that
 *       settled                     after every batch, when all that follows from it is done: state and position fit together. Save here, nowhere else.
 *     saved                         a callback told of a save that is durable; at any point, local, and it cannot fail
 *     train_end*                    at a normal end; not after an error, nor after a preemption
 *     detach*                       always, also after an error
 *
 * (* once a fit). A fit that resumes in the middle of an epoch begins with that epoch's epoch_begin.
 */
#ifndef FTMPI_CALLBACK_H
#define FTMPI_CALLBACK_H

#include <ftmpi/checkpoint.h>
#include <ftmpi/learner.h>

FTMPI_BEGIN_DECLS

/** A fit that is going on. */
typedef struct ftmpi_fit ftmpi_fit;
typedef struct ftmpi_trainer ftmpi_trainer;

typedef ftmpi_status (*ftmpi_callback_fn)(void *context, ftmpi_fit *fit);

/** A save that is durable. */
typedef struct ftmpi_save_event {
	int64_t step;   /**< of what was saved; the training may be further */
	double save_s;  /**< how long the ranks waited for it */
	double write_s; /**< how long it took until it was durable */
} ftmpi_save_event;

/** A callback; any function may be NULL. */
typedef struct ftmpi_callback {
	void *context;
	const char *name; /**< for the watchdog's line; NULL: none; must outlive the fit */
	ftmpi_callback_fn attach, restore, train_begin, epoch_begin, batch_begin, batch_end, test_begin, test_end,
		epoch_end, diverged, rewound, settled, train_end;
	void (*saved)(void *context, const ftmpi_save_event *event);
	void (*detach)(void *context);
	void (*destroy)(
		void *context); /**< frees the context, in ftmpi_callback_destroy; a program's own callback leaves it NULL */
	bool alike; /**< its functions from epoch_begin to settled end alike on all ranks (they cannot fail, or agree themselves): no agreement after them */
} ftmpi_callback;

/** Most entries of the logs. */
#define FTMPI_MAX_LOGS 16

/** What Keras calls logs: names and numbers, the same bits on every rank. */
typedef struct ftmpi_logs {
	int n;
	const char *names[FTMPI_MAX_LOGS]; /**< "loss", "accuracy", "val_loss", … */
	double values[FTMPI_MAX_LOGS];
} ftmpi_logs;

/** Local. @return false when there is no such entry; *value is untouched then. */
FTMPI_API bool ftmpi_logs_find(const ftmpi_logs *logs, const char *name, double *value);

/** Where a fit is. */
typedef struct ftmpi_progress {
	int64_t step;      /**< updates made since the very first launch */
	int64_t max_steps; /**< 0: no such end */
	int64_t epoch,
		n_epochs; /**< current epoch from 0: in epoch_end the one that ends, in settled the one that is next; n_epochs 0: no such end */
	int64_t batch, n_batches; /**< batches done in the epoch; batches of an epoch */
	double batch_loss;        /**< loss of the last step's batch */
	bool resumed;             /**< the fit goes on from an earlier launch */
	int64_t n_relaunches;     /**< how often it did so far */
	bool epoch_ended;         /**< in settled: the batch was an epoch's last */
} ftmpi_progress;

/* For callbacks, local unless said otherwise. */

FTMPI_API const ftmpi_comm *ftmpi_fit_comm(const ftmpi_fit *fit);
FTMPI_API ftmpi_trainer *ftmpi_fit_trainer(const ftmpi_fit *fit);
FTMPI_API ftmpi_learner *ftmpi_fit_learner(const ftmpi_fit *fit);
/** Everything that the future depends on, the callbacks' tracked state too: save it, restore it. */
FTMPI_API ftmpi_checkpoint *ftmpi_fit_checkpoint(const ftmpi_fit *fit);
/** The place in the data. */
FTMPI_API ftmpi_batches *ftmpi_fit_batches(const ftmpi_fit *fit);
FTMPI_API ftmpi_progress ftmpi_fit_progress(const ftmpi_fit *fit);
/** In batch_end: running means of the epoch. In epoch_end: those of the epoch, and "val_…" where there is validation data. In test_end: the validation's,
 * without "val_". The callbacks may read it until their function returns. */
FTMPI_API const ftmpi_logs *ftmpi_fit_logs(const ftmpi_fit *fit);
/** In epoch_end, for callbacks behind: set an entry of the logs, as Keras's ReduceLROnPlateau does. Alike on all ranks. @param name must outlive the fit. */
FTMPI_API void ftmpi_fit_log(ftmpi_fit *fit, const char *name, double value);

/** End the training after this batch: Keras's model.stop_training. Alike on all ranks. */
FTMPI_API void ftmpi_fit_stop(ftmpi_fit *fit);
FTMPI_API bool ftmpi_fit_stopping(const ftmpi_fit *fit);

/** Tell every rank at the end of the next step that this rank wants a save: ftmpi_fit_save_wanted is true there in settled. */
FTMPI_API void ftmpi_fit_want_save(ftmpi_fit *fit);
FTMPI_API bool ftmpi_fit_save_wanted(const ftmpi_fit *fit);

/** A callback that saved the current step tells of it, alike on all ranks: a preemption plans with the time, and every callback's `saved` hears it. Local. */
FTMPI_API void ftmpi_fit_saved(ftmpi_fit *fit, double save_s);

/** The training ends because the loss was not finite: true in train_end too. */
FTMPI_API bool ftmpi_fit_diverged(const ftmpi_fit *fit);

/** In rewound, and in settled behind it: true. A callback that saves saves then, so that what is passed over stays passed over. */
FTMPI_API bool ftmpi_fit_rewound(const ftmpi_fit *fit);

/** The training is about to be stopped from outside (a signal, a deadline): in settled, true on every rank alike. Save now. */
FTMPI_API bool ftmpi_fit_preempted(const ftmpi_fit *fit);

FTMPI_END_DECLS

#endif
