/* SPDX-License-Identifier: Apache-2.0 */
/* ftmpi: the program. Chooses the command, starts MPI where the command needs it, and turns a status into one line and an exit code.
 *
 * Only the chief reads arguments, files and environment; the other ranks receive the result. A status that all ranks have agreed on is printed by the
 * chief alone, and all end with the same exit code. An MPI or internal error may have hit one rank alone: that rank prints it and ends the job. */
#include "app/app.h"

#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct command {
	const char *name;
	enum app_command id;
	ftmpi_status (*run)(struct app_context *app);
	const char *help;
};

static const struct command commands[] = {
	{"train", APP_TRAIN, app_train, "train, or go on from the newest good checkpoint (the default command)"},
	{"evaluate", APP_EVALUATE, app_evaluate, "loss and accuracy of a checkpoint on the test data"},
	{"predict", APP_PREDICT, app_predict, "outputs of a checkpoint for the test data, to an HDF5 file"},
};

/* Commands without MPI. */
struct local_command {
	const char *name;
	ftmpi_status (*run)(int argc, char **argv, int *exit_code);
	void (*print_help)(void);
	const char *help;
};

static ftmpi_status run_checkpoints(int argc, char **argv, int *exit_code)
{
	(void)exit_code;
	return app_checkpoints(argc, argv);
}

static ftmpi_status run_export(int argc, char **argv, int *exit_code)
{
	(void)exit_code;
	return app_export(argc, argv);
}

static const struct local_command local_commands[] = {
	{"launch", app_launch, app_launch_help, "run mpirun with the training, and again when it dies"},
	{"export", run_export, app_export_help, "a checkpoint as a model that Keras opens"},
	{"checkpoints", run_checkpoints, app_checkpoints_help, "list, show, verify, diff or prune checkpoints"},
};

enum {
	N_COMMANDS = sizeof commands / sizeof commands[0],
	N_LOCAL_COMMANDS = sizeof local_commands / sizeof local_commands[0]
};

/* Under a launcher every rank would print the help; one is enough. Before MPI is started, only the launchers' variables tell. */
static bool speaks_before_mpi(void)
{
	static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const char *rank = getenv(names[i]);

		if (rank != NULL)
			return strcmp(rank, "0") == 0;
	}
	return true;
}

static void print_overview(void)
{
	(void)printf("ftmpi %s: fault-tolerant, data-parallel training of neural networks over MPI\n\n"
		     "usage: mpirun -np N ftmpi [COMMAND] [OPTIONS]\n\n",
		     FTMPI_VERSION);
	for (int i = 0; i < N_COMMANDS; i++)
		(void)printf("  %-12s %s\n", commands[i].name, commands[i].help);
	for (int i = 0; i < N_LOCAL_COMMANDS; i++)
		(void)printf("  %-12s %s (without mpirun)\n", local_commands[i].name, local_commands[i].help);
	(void)printf("\n  --help after a command lists its options; --version tells the version\n");
}

static void print_help(const struct command *command, bool named)
{
	if (!named)
		print_overview();
	(void)printf("%susage: mpirun -np N ftmpi %s [OPTIONS]\n", named ? "" : "\n", command->name);
	(void)printf("  %s\n", command->help);
	app_options_help(command->id);
	if (command->id == APP_TRAIN)
		(void)printf("\nExit codes: 0 done, 64 usage, 65 bad or corrupt input, 66 input not found, 70 internal "
			     "or MPI error,\n"
			     "74 input/output error, 75 stopped after saving, or by a rank with faulty memory: "
			     "relaunch to go "
			     "on, 76 diverged.\nA rank that hangs ends the job by SIGKILL, which is 137 under mpirun: "
			     "relaunch "
			     "to go on.\n");
}

static bool has_argument(int argc, char **argv, const char *a, const char *b)
{
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], a) == 0 || strcmp(argv[i], b) == 0)
			return true;
	return false;
}

/* The chief parses, all receive. */
static ftmpi_status parse_options(struct app_context *app, const struct command *command, int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;

	if (ftmpi_comm_is_chief(app->world))
		status = app_options_parse(&app->options, command->id, argc, argv);
	FTMPI_TRY(ftmpi_agree(app->world, status));
	FTMPI_TRY(ftmpi_broadcast(app->world, &app->options, (int64_t)sizeof app->options, FTMPI_CHIEF));
	FTMPI_TRY(ftmpi_agree(app->world, ftmpi_failpoints_arm(getenv("FTMPI_FAULT"), ftmpi_comm_rank(app->world))));
done:
	return status;
}

static ftmpi_status start_watchdog(struct app_context *app)
{
	const double timeout_s = app->options.hang_timeout;
	const ftmpi_watchdog_options options = {.timeout_s = isnan(timeout_s) ? 0 : timeout_s};

	return timeout_s == 0 ? FTMPI_OK : ftmpi_watchdog_create(app->world, &options, &app->watchdog);
}

static void close_context(struct app_context *app)
{
	ftmpi_reader_close(&app->reader);
	ftmpi_store_close(&app->store);
	ftmpi_buffer_clear(&app->saved_options);
	ftmpi_buffer_clear(&app->saved_data);
	ftmpi_buffer_clear(&app->saved_environment);
	ftmpi_buffer_clear(&app->saved_model);
	ftmpi_keras_close(&app->keras);
	ftmpi_keras_close(&app->keras_file);
	ftmpi_watchdog_destroy(&app->watchdog);
	ftmpi_comm_destroy(&app->world);
}

static void print_error(ftmpi_status status)
{
	ftmpi_log(status == FTMPI_STOPPED ? FTMPI_LOG_WARNING : FTMPI_LOG_ERROR, "%s",
		  ftmpi_error_message()[0] != '\0' ? ftmpi_error_message() : ftmpi_status_text(status));
	if (getenv("FTMPI_TRACE") != NULL)
		(void)fprintf(stderr, "%s", ftmpi_error_trace());
}

/* @param command NULL: the name is unknown. An error too goes through MPI: a rank that ended before the chief has spoken would silence it. */
static int run_over_mpi(const struct command *command, const char *name, int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;
	struct app_context app = {0};
	bool speaks = true;

	FTMPI_TRY(ftmpi_init(NULL, NULL));
	FTMPI_TRY(ftmpi_comm_create(&app.world));
	ftmpi_log_configure(ftmpi_comm_rank(app.world), FTMPI_LOG_INFO);
	speaks = ftmpi_comm_is_chief(app.world);
	if (command == NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "there is no command '%s' (ftmpi --help lists them)", name);
	FTMPI_TRY(parse_options(&app, command, argc, argv));
	FTMPI_TRY(start_watchdog(&app));
	FTMPI_TRY(command->run(&app));
done:
	if (status == FTMPI_ERR_MPI || status == FTMPI_ERR_INTERNAL) {
		print_error(status);
		(void)MPI_Abort(MPI_COMM_WORLD, ftmpi_status_exit_code(status));
	}
	if (status != FTMPI_OK && speaks)
		print_error(status);
	close_context(&app);
	ftmpi_finalize();
	return ftmpi_status_exit_code(status);
}

static int run_locally(const struct local_command *command, int argc, char **argv)
{
	int exit_code = EXIT_SUCCESS;
	const ftmpi_status status = command->run(argc, argv, &exit_code);

	if (status == FTMPI_OK)
		return exit_code;
	print_error(status);
	return ftmpi_status_exit_code(status);
}

/* NULL: there is none of this name. */
static const struct command *find_command(const char *name)
{
	for (int i = 0; i < N_COMMANDS; i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

static const struct local_command *find_local_command(const char *name)
{
	for (int i = 0; i < N_LOCAL_COMMANDS; i++)
		if (strcmp(name, local_commands[i].name) == 0)
			return &local_commands[i];
	return NULL;
}

static int run(int argc, char **argv)
{
	const bool named = argc > 1 && argv[1][0] != '-';
	const int skip = named ? 2 : 1;
	const struct local_command *local = named ? find_local_command(argv[1]) : NULL;
	const struct command *command = named ? find_command(argv[1]) : &commands[0];

	if (has_argument(argc - 1, argv + 1, "--version", "-V")) {
		if (speaks_before_mpi())
			(void)printf("ftmpi %s\n", FTMPI_VERSION);
		return EXIT_SUCCESS;
	}
	if (has_argument(argc - 1, argv + 1, "--help", "-h") && (local != NULL || command != NULL)) {
		if (speaks_before_mpi() && local != NULL)
			local->print_help();
		else if (speaks_before_mpi())
			print_help(command, named);
		return EXIT_SUCCESS;
	}
	if (local != NULL) /* under a launcher one rank does the work */
		return speaks_before_mpi() ? run_locally(local, argc - skip, argv + skip) : EXIT_SUCCESS;
	return run_over_mpi(command, named ? argv[1] : "train", argc - skip, argv + skip);
}

/* What was printed has really gone out: an answer that nobody can read is no success. */
int main(int argc, char **argv)
{
	const int code = run(argc, argv);

	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return code;
	ftmpi_log(FTMPI_LOG_ERROR, "cannot write to standard output: what was printed is not complete");
	return code != EXIT_SUCCESS ? code : ftmpi_status_exit_code(FTMPI_ERR_IO);
}
