/* SPDX-License-Identifier: Apache-2.0 */
/* usage: mpirun -np N fit_callbacks EPOCHS PATIENCE STEPS_PER_EXECUTION
 *
 * A fit with the ready-made callbacks, all that they write in the current directory: backup/, best.weights.h5, epochs.csv, events/. Ten batches an
 * epoch, a backup after every fifth. The validation loss follows a course: the third epoch is the best, none of the others up to the ninth is better.
 * Prints where the fit begins, how many steps it makes, and the state digest at the end. BackupAndRestore stands between the callbacks, so that some of
 * them act before a backup and some behind it. */
#include "fault/fit_program.h"

#include <stdlib.h>

enum { MAX_CALLBACKS = 9 };

static const double course[] = {1.0, 0.8, 0.5, 0.6, 0.55, 0.6, 0.52, 0.7, 0.65};

struct program {
	int64_t epochs, patience, per_execution, n_steps;
	ftmpi_digest digest;
};

static ftmpi_status train_begin(void *context, ftmpi_fit *fit)
{
	const ftmpi_progress p = ftmpi_fit_progress(fit);

	(void)context;
	ftmpi_log(FTMPI_LOG_INFO, "begins at step %lld: epoch %lld, batch %lld", (long long)p.step, (long long)p.epoch,
		  (long long)p.batch);
	return FTMPI_OK;
}

static ftmpi_status epoch_end(void *context, ftmpi_fit *fit)
{
	(void)context;
	ftmpi_fit_log(fit, "val_loss", course[ftmpi_fit_progress(fit).epoch]);
	return FTMPI_OK;
}

static ftmpi_status settled(void *context, ftmpi_fit *fit)
{
	struct program *p = context;

	(void)fit;
	p->n_steps++;
	return FTMPI_OK;
}

static ftmpi_status train_end(void *context, ftmpi_fit *fit)
{
	struct program *p = context;

	return ftmpi_checkpoint_state_digest(ftmpi_fit_checkpoint(fit), &p->digest);
}

/* The ready-made callbacks, in the order of their calls. */
static ftmpi_status create_callbacks(const struct program *p, ftmpi_callback **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_early_stopping_options stopping;
	ftmpi_reduce_lr_on_plateau_options plateau;
	ftmpi_backup_and_restore_options backup;
	ftmpi_model_checkpoint_options best;
	ftmpi_csv_logger_options csv;
	const ftmpi_tensorboard_options board = {.update_freq = 3};

	ftmpi_early_stopping_options_init(&stopping);
	stopping.patience = p->patience;
	stopping.restore_best_weights = true;
	FTMPI_TRY(ftmpi_early_stopping_create(&stopping, &out[0]));
	ftmpi_reduce_lr_on_plateau_options_init(&plateau);
	plateau.patience = 2;
	plateau.factor = 0.5;
	FTMPI_TRY(ftmpi_reduce_lr_on_plateau_create(&plateau, &out[1]));
	ftmpi_backup_and_restore_options_init(&backup);
	backup.save_freq = 5;
	FTMPI_TRY(ftmpi_backup_and_restore_create("backup", &backup, &out[2]));
	ftmpi_model_checkpoint_options_init(&best);
	best.save_best_only = true;
	FTMPI_TRY(ftmpi_model_checkpoint_create("best.weights.h5", &best, &out[3]));
	ftmpi_csv_logger_options_init(&csv);
	FTMPI_TRY(ftmpi_csv_logger_create("epochs.csv", &csv, &out[4]));
	FTMPI_TRY(ftmpi_tensorboard_create("events", &board, &out[5]));
	FTMPI_TRY(ftmpi_terminate_on_nan_create(&out[6]));
done:
	return status;
}

static ftmpi_status fit(void *context, const ftmpi_comm *comm, ftmpi_trainer *trainer, const ftmpi_dataset *data)
{
	ftmpi_status status = FTMPI_OK;
	struct program *p = context;
	const ftmpi_callback first = {.context = p, .train_begin = train_begin, .epoch_end = epoch_end};
	const ftmpi_callback last = {.context = p, .settled = settled, .train_end = train_end};
	ftmpi_callback *own[MAX_CALLBACKS - 2] = {NULL};
	const ftmpi_callback *callbacks[MAX_CALLBACKS] = {&first};
	ftmpi_fit_options options;

	FTMPI_TRY(ftmpi_agree(comm, create_callbacks(p, own)));
	for (int i = 0; i < MAX_CALLBACKS - 2; i++)
		callbacks[1 + i] = own[i];
	callbacks[MAX_CALLBACKS - 1] = &last;
	ftmpi_fit_options_init(&options);
	options.train = options.validation = data;
	options.batch_size = 10;
	options.epochs = p->epochs;
	options.steps_per_execution = p->per_execution;
	options.callbacks = callbacks;
	options.n_callbacks = MAX_CALLBACKS;
	FTMPI_TRY(ftmpi_trainer_fit(trainer, &options));
done:
	for (int i = 0; i < MAX_CALLBACKS - 2; i++)
		ftmpi_callback_destroy(&own[i]);
	return status;
}

int main(int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;
	struct program p = {.n_steps = 0};
	char digest[FTMPI_DIGEST_TEXT];
	ftmpi_comm *comm = NULL;

	if (argc != 4)
		return EXIT_FAILURE;
	p.epochs = strtoll(argv[1], NULL, 10);
	p.patience = strtoll(argv[2], NULL, 10);
	p.per_execution = strtoll(argv[3], NULL, 10);
	FTMPI_TRY(ftmpi_init(NULL, NULL));
	FTMPI_TRY(ftmpi_comm_create(&comm));
	ftmpi_log_configure(ftmpi_comm_rank(comm), FTMPI_LOG_INFO);
	FTMPI_TRY(ftmpi_failpoints_arm(getenv("FTMPI_FAULT"), ftmpi_comm_rank(comm)));
	FTMPI_TRY(fit_program(comm, fit, &p));
	ftmpi_digest_format(p.digest, digest);
	ftmpi_log(FTMPI_LOG_INFO, "steps made: %lld", (long long)p.n_steps);
	ftmpi_log(FTMPI_LOG_INFO, "state digest: %s", digest);
done:
	if (status != FTMPI_OK)
		ftmpi_log(FTMPI_LOG_ERROR, "%s", ftmpi_error_message());
	ftmpi_comm_destroy(&comm);
	ftmpi_finalize();
	return ftmpi_status_exit_code(status);
}
