/* SPDX-License-Identifier: Apache-2.0 */
/* The program's commands, and what they share. */
#ifndef FTMPI_APP_APP_H
#define FTMPI_APP_APP_H

#include "app/options.h"

/** What a command that runs over MPI works with. */
struct app_context {
	ftmpi_comm *world;
	ftmpi_watchdog *watchdog;
	struct app_options options; /* the same on every rank */
	ftmpi_store *store;         /* chief only */
	ftmpi_reader *reader;       /* chief only: the checkpoint that was found; NULL: none */
	bool found;                 /* whether there is one */
	ftmpi_buffer saved_options, saved_data, saved_environment, saved_model; /* its texts */
	ftmpi_keras_model *keras;      /* the model, from a file or from a checkpoint; NULL: the options describe it */
	ftmpi_keras_model *keras_file; /* chief only: --model, open, with its weights */
	int64_t saved_step, saved_epoch;
	char saved_file[FTMPI_PATH_MAX];
	bool look_only;     /* the folder cannot be written: enough for a run that is finished */
	char blocked[1024]; /* … and why, chief only */
};

/** The variable whose value is a checkpoint's number: the optimizer's iteration, which is the step. */
#define APP_NUMBER_PATH "optimizer/vars/0"

/** Commands over MPI. Collective; the status is agreed. */
ftmpi_status app_train(struct app_context *app) FTMPI_CHECK_RESULT;
ftmpi_status app_evaluate(struct app_context *app) FTMPI_CHECK_RESULT;
ftmpi_status app_predict(struct app_context *app) FTMPI_CHECK_RESULT;

/** Command without MPI: `ftmpi checkpoints …`. */
ftmpi_status app_checkpoints(int argc, char **argv) FTMPI_CHECK_RESULT;
void app_checkpoints_help(void);
ftmpi_status app_export(int argc, char **argv) FTMPI_CHECK_RESULT;
void app_export_help(void);

/** Open --model, if it was given. Collective. Sets keras and, on the chief, keras_file. */
ftmpi_status app_open_model_file(struct app_context *app) FTMPI_CHECK_RESULT;
/** Take the model from its text, the same on every rank. Collective. @param what names it in errors. */
ftmpi_status app_take_model(struct app_context *app, const char *text, size_t n_bytes,
			    const char *what) FTMPI_CHECK_RESULT;
/** Optimizer, loss and metrics of the model that was taken, else the defaults. */
void app_compile(const struct app_context *app, ftmpi_compile *out);
/** Start from the weights and the optimizer's state of --model: fill a registry on every rank. Collective. */
ftmpi_status app_load_weights(struct app_context *app, const ftmpi_comm *comm,
			      const ftmpi_registry *registry) FTMPI_CHECK_RESULT;

/** The calendar's time, seconds since 1970. Local. */
double app_calendar_s(void);
/** When this launch must be over, seconds since 1970: --max-wall-time from `now_s`, or the end of Slurm's job; 0: never. Local. */
double app_deadline(const struct app_options *options, double now_s);
/** Catch the signals that the options name; on the chief find out when time ends. Errors: ERR_USAGE, ERR_MEMORY. */
ftmpi_status app_create_preemption(const struct app_options *options, bool chief,
				   ftmpi_preemption **out) FTMPI_CHECK_RESULT;

/** Command without MPI: `ftmpi launch …`. @param exit_code set to that of what was launched. */
ftmpi_status app_launch(int argc, char **argv, int *exit_code) FTMPI_CHECK_RESULT;
void app_launch_help(void);

/** Tell all ranks what the chief's reader holds. Collective. */
ftmpi_status app_share_checkpoint(struct app_context *app) FTMPI_CHECK_RESULT;

/** The model that was taken, or that the options describe, for samples of this data set. Local. */
ftmpi_status app_build_model(const struct app_context *app, const ftmpi_dataset *dataset,
			     ftmpi_model **out) FTMPI_CHECK_RESULT;

/** Open one split of the data. Collective. */
ftmpi_status app_open_data(const struct app_context *app, ftmpi_split split, ftmpi_dataset **out) FTMPI_CHECK_RESULT;

/**
 * Run `body` on the first V ranks, where there are more ranks than logical workers; the others sleep and return its status. Collective.
 * @param body collective over `comm`, its status agreed there.
 */
ftmpi_status app_on_active_ranks(struct app_context *app, int n_workers,
				 ftmpi_status (*body)(struct app_context *app, const ftmpi_comm *comm, void *context),
				 void *context) FTMPI_CHECK_RESULT;

#endif
