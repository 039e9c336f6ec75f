/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: one table of options gives parsing, checking, help, the configuration file, the environment and what a checkpoint keeps. */
#ifndef FTMPI_APP_OPTIONS_H
#define FTMPI_APP_OPTIONS_H

#include <ftmpi/ftmpi.h>

enum { APP_TEXT_BYTES = 1024, APP_MAX_OPTIONS = 64 };

/** Commands, as bits of the set that an option belongs to. */
enum app_command { APP_TRAIN = 1, APP_EVALUATE = 2, APP_PREDICT = 4 };

/** Where a value comes from; a later one wins. */
enum app_source { APP_DEFAULT, APP_FILE, APP_ENVIRONMENT, APP_COMMAND_LINE };

/** All options' values. Plain bytes: the chief parses, the other ranks receive. */
struct app_options {
	/* data */
	char data[APP_TEXT_BYTES];
	int64_t batch_size, classes;
	bool shuffle;
	uint64_t seed;
	double input_scale; /* 0: by the data's type */
	/* model */
	char model[APP_TEXT_BYTES];
	char hidden_units[APP_TEXT_BYTES];
	double dropout;
	char activation[32];
	/* optimizer; NaN: its own default */
	char optimizer[32];
	double learning_rate, momentum, beta_1, beta_2, rho, epsilon, weight_decay, initial_accumulator;
	bool nesterov, centered;
	char loss_reduction[32];
	/* length */
	int64_t epochs, max_steps, steps;
	/* checkpoints */
	char model_dir[APP_TEXT_BYTES];
	int64_t save_steps, save_epochs, keep_max;
	double save_s, keep_hours, lock_wait_s;
	char checkpoint_interval[32]; /* "auto", or empty */
	double checkpoint_overhead;
	bool async_checkpoint;
	char on_save_error[32];
	/* divergence */
	char on_divergence[32];
	double spike_factor;
	int64_t max_rollbacks;
	/* logging */
	int64_t log_steps, summary_steps;
	char progress[32];
	/* parallel */
	int64_t compare_steps;
	int64_t logical_workers; /* 0: the number of ranks of the first launch */
	bool strict;
	char signals[APP_TEXT_BYTES], max_wall_time[32];
	double hang_timeout; /* NaN: from the measured steps; 0: off */
	/* other */
	char output[APP_TEXT_BYTES], checkpoint[APP_TEXT_BYTES];

	uint8_t given[APP_MAX_OPTIONS]; /* by table index: where the value comes from, an `enum app_source` */
};

/**
 * Parse: command line over environment (FTMPI_BATCH_SIZE …) over `--config FILE` over defaults; check; fill in what depends on other options.
 * @param argv the arguments after the command. Errors: ERR_USAGE, ERR_NOT_FOUND, ERR_IO: names the option, the value and where it came from.
 */
ftmpi_status app_options_parse(struct app_options *options, enum app_command command, int argc,
			       char **argv) FTMPI_CHECK_RESULT;

/** Whether an option was given anywhere, so is not at its default. */
bool app_options_given(const struct app_options *options, const char *name);

/** The options of `train` that are set, as key = value text: what a checkpoint keeps; it can be given as --config again. */
ftmpi_status app_options_format(const struct app_options *options, ftmpi_buffer *text) FTMPI_CHECK_RESULT;

/** Refuse options that change the mathematics of a run that is under way. @param saved text of app_options_format.
 * Errors: ERR_USAGE: the option, its old and its new value. */
ftmpi_status app_options_compare(const struct app_options *options, const char *saved) FTMPI_CHECK_RESULT;

/** Take over what describes the model and its data from a checkpoint's text; options given otherwise must agree. Errors: ERR_USAGE. */
ftmpi_status app_options_adopt(struct app_options *options, const char *saved) FTMPI_CHECK_RESULT;

/** Optimizer, as the options say. */
ftmpi_status app_options_optimizer(const struct app_options *options, ftmpi_optimizer *out) FTMPI_CHECK_RESULT;

/** Whether --signals and --max-wall-time can be understood. Errors: ERR_USAGE. */
ftmpi_status app_check_preemption(const struct app_options *options) FTMPI_CHECK_RESULT;

/** With --model: refuse options that describe the model too, and take the optimizer from the file where no option says otherwise.
 * Errors: ERR_USAGE, as ftmpi_keras_open. */
ftmpi_status app_options_adopt_model(struct app_options *options) FTMPI_CHECK_RESULT;

/** Print the options of a command. */
void app_options_help(enum app_command command);

#endif
