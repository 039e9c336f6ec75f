/* SPDX-License-Identifier: Apache-2.0 */
/* usage: mpirun -np N hang_callback DIR STEPS [RANK STEP]
 *
 * A program with a callback of its own, which on one rank never comes back from its call after a step. A small model on made-up data, a watchdog of two
 * seconds, a checkpoint after every fifth step in DIR; a launch goes on from the newest. Prints where it went on and the state digest at the end. */
#include "fault/fit_program.h"

#include <stdlib.h>

struct program {
	ftmpi_store *store;
	int64_t steps;
	int64_t hang_rank, hang_step; /* hang_step 0: none */
	ftmpi_digest digest;
};

static ftmpi_status restore(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct program *p = context;
	ftmpi_manager *manager = NULL;
	const char *path = NULL;

	FTMPI_TRY(ftmpi_manager_create_on_store(ftmpi_fit_checkpoint(fit), p->store, NULL, &manager));
	FTMPI_TRY(ftmpi_manager_restore_or_initialize(manager, &path));
	ftmpi_log(FTMPI_LOG_INFO, "begins at step %lld", (long long)ftmpi_learner_step_count(ftmpi_fit_learner(fit)));
done:
	ftmpi_manager_destroy(&manager);
	return status;
}

static ftmpi_status batch_end(void *context, ftmpi_fit *fit)
{
	const struct program *p = context;
	volatile int64_t n = 0;

	while (p->hang_step == ftmpi_fit_progress(fit).step && p->hang_rank == ftmpi_comm_rank(ftmpi_fit_comm(fit)))
		n++;
	return FTMPI_OK;
}

static ftmpi_status train_end(void *context, ftmpi_fit *fit)
{
	struct program *p = context;

	return ftmpi_checkpoint_state_digest(ftmpi_fit_checkpoint(fit), &p->digest);
}

static ftmpi_status fit(void *context, const ftmpi_comm *comm, ftmpi_trainer *trainer, const ftmpi_dataset *data)
{
	ftmpi_status status = FTMPI_OK;
	struct program *p = context;
	const ftmpi_callback own = {
		.context = p, .name = "loop", .restore = restore, .batch_end = batch_end, .train_end = train_end};
	const ftmpi_callback *callbacks[2] = {&own};
	const ftmpi_saver_options save = {.save_steps = 5};
	ftmpi_fit_options options;
	ftmpi_saver *saver = NULL;

	FTMPI_TRY(ftmpi_agree(comm, ftmpi_saver_create(p->store, &save, &saver)));
	callbacks[1] = ftmpi_saver_callback(saver);
	ftmpi_fit_options_init(&options);
	options.train = data;
	options.batch_size = 10;
	options.epochs = 0;
	options.max_steps = p->steps;
	options.callbacks = callbacks;
	options.n_callbacks = 2;
	FTMPI_TRY(ftmpi_trainer_fit(trainer, &options));
done:
	ftmpi_saver_destroy(&saver);
	return status;
}

static ftmpi_status run(const ftmpi_comm *comm, const char *directory, struct program *p)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store_options store_options;

	ftmpi_store_options_init(&store_options);
	if (ftmpi_comm_is_chief(comm))
		status = ftmpi_store_open(directory, &store_options, &p->store);
	FTMPI_TRY(ftmpi_agree(comm, status));
	FTMPI_TRY(fit_program(comm, fit, p));
done:
	ftmpi_store_close(&p->store);
	return status;
}

int main(int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_watchdog_options options = {.timeout_s = 2};
	struct program p = {.store = NULL};
	char digest[FTMPI_DIGEST_TEXT];
	ftmpi_watchdog *watchdog = NULL;
	ftmpi_comm *comm = NULL;

	if (argc != 3 && argc != 5)
		return EXIT_FAILURE;
	p.steps = strtoll(argv[2], NULL, 10);
	p.hang_rank = argc > 3 ? strtoll(argv[3], NULL, 10) : 0;
	p.hang_step = argc > 3 ? strtoll(argv[4], NULL, 10) : 0;
	FTMPI_TRY(ftmpi_init(NULL, NULL));
	FTMPI_TRY(ftmpi_comm_create(&comm));
	ftmpi_log_configure(ftmpi_comm_rank(comm), FTMPI_LOG_INFO);
	FTMPI_TRY(ftmpi_watchdog_create(comm, &options, &watchdog));
	FTMPI_TRY(run(comm, argv[1], &p));
	ftmpi_digest_format(p.digest, digest);
	ftmpi_log(FTMPI_LOG_INFO, "state digest: %s", digest);
done:
	if (status != FTMPI_OK)
		ftmpi_log(FTMPI_LOG_ERROR, "%s", ftmpi_error_message());
	ftmpi_watchdog_destroy(&watchdog);
	ftmpi_comm_destroy(&comm);
	ftmpi_finalize();
	return ftmpi_status_exit_code(status);
}
