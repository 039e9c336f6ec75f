/* SPDX-License-Identifier: Apache-2.0 */
/* BackupAndRestore: Keras's known defects, each shown to be absent, and what is left in the folder when. */
#include "mpi/callbacks_test.h"

#include <signal.h>
#include <unistd.h>

/* Crash at step 17 of 10-step epochs with a backup every 5 batches, whatever steps_per_execution is: 30 steps in all, not 36; twice in the same epoch too. */
static void test_exact_batch(void **state)
{
	ftmpi_trainer *trainer;
	ftmpi_callback *callback;
	struct script whole = {.fail_epoch = -1};
	static const int64_t per_execution[] = {1, 3, 10};

	(void)state;
	trainer = create();
	callback = backup("exact-whole", 5);
	assert_ok(fit_with(trainer, &whole, 3, 1, &callback, 1));
	ftmpi_trainer_destroy(&trainer);
	for (int i = 0; i < 3; i++) {
		struct script a = {.fail_epoch = -1, .fail_step = 17}, b = {.fail_epoch = -1, .fail_step = 18},
			      c = {.fail_epoch = -1};
		char dir[32];

		(void)snprintf(dir, sizeof dir, "exact-%d", i);
		trainer = create();
		callback = backup(dir, 5);
		assert_fails(fit_with(trainer, &a, 3, per_execution[i], &callback, 1), FTMPI_ERR_INTERNAL,
			     "interrupted");
		ftmpi_trainer_destroy(&trainer);
		trainer = create();
		callback = backup(dir, 5);
		assert_fails(fit_with(trainer, &b, 3, per_execution[i], &callback, 1), FTMPI_ERR_INTERNAL,
			     "interrupted");
		assert_int_equal(b.first_epoch, 1);
		assert_int_equal(b.first_batch, 5);
		ftmpi_trainer_destroy(&trainer);
		trainer = create();
		callback = backup(dir, 5);
		assert_ok(fit_with(trainer, &c, 3, per_execution[i], &callback, 1));
		assert_int_equal(c.n_steps, 15); /* 15 were in the backup: 30 in all */
		assert_int_equal(ftmpi_learner_step_count(ftmpi_trainer_learner(trainer)), 30);
		assert_true(ftmpi_digest_equal(c.digest, whole.digest));
		ftmpi_trainer_destroy(&trainer);
	}
}

/* A second crash in the first resumed epoch loses nothing that the first backup had. */
static void test_second_crash(void **state)
{
	struct script a = {.fail_epoch = 1}, b = {.fail_epoch = -1, .fail_step = 13}, c = {.fail_epoch = -1};
	ftmpi_trainer *trainer = create();
	ftmpi_callback *callback = backup("second", 0);

	(void)state;
	assert_fails(fit_with(trainer, &a, 4, 1, &callback, 1), FTMPI_ERR_INTERNAL, "interrupted");
	ftmpi_trainer_destroy(&trainer);
	trainer = create();
	callback = backup("second", 0);
	assert_fails(fit_with(trainer, &b, 4, 1, &callback, 1), FTMPI_ERR_INTERNAL, "interrupted");
	assert_int_equal(b.first_epoch, 1);
	ftmpi_trainer_destroy(&trainer);
	trainer = create();
	callback = backup("second", 0);
	assert_ok(fit_with(trainer, &c, 4, 1, &callback, 1));
	assert_int_equal(c.first_epoch, 1);
	assert_int_equal(c.n_epochs, 3);
	ftmpi_trainer_destroy(&trainer);
}

/* Done: the backups are gone, a relaunch trains nothing and has the weights; more epochs go on from there; another fit of the program is not touched by it. */
static void test_finished(void **state)
{
	struct script a = {.fail_epoch = -1}, b = a, c = a, d = a;
	ftmpi_trainer *trainer = create();
	ftmpi_callback *callback = backup("finished", 0);
	const double *losses;

	(void)state;
	assert_ok(fit_with(trainer, &a, 2, 1, &callback, 1));
	assert_false(exists("finished/backup-2.weights.h5"));
	assert_false(exists("finished/checkpoint"));
	assert_true(exists("finished/finished.weights.h5"));
	callback = backup("finished", 0);
	assert_ok(fit_with(trainer, &d, 2, 1, &callback, 1)); /* a second fit of the same program */
	assert_int_equal(d.n_steps, 20);
	ftmpi_trainer_destroy(&trainer);

	trainer = create();
	callback = backup("finished-again", 0);
	assert_ok(fit_with(trainer, &a, 2, 1, &callback, 1));
	ftmpi_trainer_destroy(&trainer);
	trainer = create();
	callback = backup("finished-again", 0);
	assert_ok(fit_with(trainer, &b, 2, 1, &callback, 1));
	assert_int_equal(b.n_steps, 0);
	assert_true(ftmpi_digest_equal(a.digest, b.digest));
	assert_int_equal(ftmpi_trainer_history(trainer, "loss", &losses), 2);
	ftmpi_trainer_destroy(&trainer);
	trainer = create();
	callback = backup("finished-again", 0);
	assert_ok(fit_with(trainer, &c, 3, 1, &callback, 1));
	assert_int_equal(c.n_steps, 10);
	ftmpi_trainer_destroy(&trainer);
}

/* A stop because the loss was not finite leaves the backups, which Keras deletes. */
static void test_nan_keeps_backups(void **state)
{
	struct script s = {.fail_epoch = -1};
	ftmpi_trainer *trainer = create();
	ftmpi_callback *callbacks[2] = {NULL};

	(void)state;
	callbacks[0] = backup("nan", 0);
	assert_ok(ftmpi_terminate_on_nan_create(&callbacks[1]));
	assert_ok(ftmpi_failpoints_arm("step.loss:nan,hit=15", ftmpi_comm_rank(world)));
	assert_ok(fit_with(trainer, &s, 3, 1, callbacks, 2));
	assert_ok(ftmpi_failpoints_arm(NULL, 0));
	assert_int_equal(s.n_steps, 14);
	assert_true(exists("nan/backup-1.weights.h5"));
	assert_false(exists("nan/finished.weights.h5"));
	ftmpi_trainer_destroy(&trainer);
}

/* Two fits of a program with one folder: the second one crashes; the relaunch of the first has nothing to do and leaves the second one's backups alone. */
static void test_two_fits(void **state)
{
	struct script a = {.fail_epoch = -1}, b = {.fail_epoch = -1, .fail_step = 35}, c = {.fail_epoch = -1},
		      whole = c;
	ftmpi_trainer *trainer = create();
	ftmpi_callback *callback = backup("two", 0);

	(void)state;
	assert_ok(fit_with(trainer, &a, 2, 1, &callback, 1));
	callback = backup("two", 0);
	assert_fails(fit_with(trainer, &b, 2, 1, &callback, 1), FTMPI_ERR_INTERNAL, "interrupted");
	ftmpi_trainer_destroy(&trainer);
	a.n_steps = 0;
	trainer = create();
	callback = backup("two", 0);
	assert_ok(fit_with(trainer, &a, 2, 1, &callback, 1));
	assert_int_equal(a.n_steps, 0);
	callback = backup("two", 0);
	assert_ok(fit_with(trainer, &c, 2, 1, &callback, 1));
	assert_int_equal(c.first_epoch, 1);
	assert_int_equal(c.n_steps, 10);
	ftmpi_trainer_destroy(&trainer);

	trainer = create();
	callback = backup("two-whole-1", 0);
	assert_ok(fit_with(trainer, &whole, 2, 1, &callback, 1));
	callback = backup("two-whole-2", 0);
	assert_ok(fit_with(trainer, &whole, 2, 1, &callback, 1));
	assert_true(ftmpi_digest_equal(c.digest, whole.digest));
	ftmpi_trainer_destroy(&trainer);
}

/* A backup that a fit with more steps left in the folder is passed over, and does not outlive the new ones. */
static void test_leftover(void **state)
{
	struct script a = {.fail_epoch = -1}, b = {.fail_epoch = -1, .fail_step = 28},
		      c = {.fail_epoch = -1, .fail_step = 8}, d = {.fail_epoch = -1};
	ftmpi_trainer *trainer = create();
	ftmpi_callback *callback = NULL;

	(void)state;
	assert_ok(fit_with(trainer, &a, 1, 1, NULL, 0));
	callback = backup("leftover", 5);
	assert_fails(fit_with(trainer, &b, 3, 1, &callback, 1), FTMPI_ERR_INTERNAL, "interrupted");
	ftmpi_trainer_destroy(&trainer);
	trainer = create();
	callback = backup("leftover", 5);
	assert_fails(fit_with(trainer, &c, 3, 1, &callback, 1), FTMPI_ERR_INTERNAL, "interrupted");
	assert_int_equal(c.first_epoch, 0);
	assert_int_equal(c.first_batch, 0);
	ftmpi_trainer_destroy(&trainer);
	trainer = create();
	callback = backup("leftover", 5);
	assert_ok(fit_with(trainer, &d, 3, 1, &callback, 1));
	assert_int_equal(d.first_epoch, 0);
	assert_int_equal(d.first_batch, 5);
	ftmpi_trainer_destroy(&trainer);
}

static void cut(const char *path)
{
	if (ftmpi_comm_is_chief(world))
		assert_int_equal(truncate(path, 1000), 0);
}

/* With two backups a damaged newest one costs an epoch, not the training; a damaged end alone is an error. */
static void test_damaged(void **state)
{
	struct script a = {.fail_epoch = -1, .fail_step = 35}, b = {.fail_epoch = -1}, c = b;
	ftmpi_trainer *trainer = create();
	ftmpi_backup_and_restore_options options;
	ftmpi_callback *callback = NULL;

	(void)state;
	ftmpi_backup_and_restore_options_init(&options);
	options.async = saves_async();
	options.double_checkpoint = true;
	assert_ok(ftmpi_backup_and_restore_create("damaged", &options, &callback));
	assert_fails(fit_with(trainer, &a, 4, 1, &callback, 1), FTMPI_ERR_INTERNAL, "interrupted");
	ftmpi_trainer_destroy(&trainer);
	assert_true(exists("damaged/backup-2.weights.h5") && exists("damaged/backup-3.weights.h5"));
	assert_false(exists("damaged/backup-1.weights.h5"));
	cut("damaged/backup-3.weights.h5");
	trainer = create();
	assert_ok(ftmpi_backup_and_restore_create("damaged", &options, &callback));
	assert_ok(fit_with(trainer, &b, 4, 1, &callback, 1));
	assert_int_equal(b.first_epoch, 2);
	ftmpi_trainer_destroy(&trainer);
	assert_true(exists("damaged/finished.weights.h5"));
	assert_false(exists("damaged/backup-2.weights.h5") || exists("damaged/checkpoint"));
	trainer = create();
	callback = backup("damaged-end", 0);
	assert_ok(fit_with(trainer, &c, 1, 1, &callback, 1));
	ftmpi_trainer_destroy(&trainer);
	cut("damaged-end/finished.weights.h5");
	trainer = create();
	callback = backup("damaged-end", 0);
	assert_fails(fit_with(trainer, &c, 1, 1, &callback, 1), FTMPI_ERR_DATA, "to train anew, delete it");
	ftmpi_trainer_destroy(&trainer);
}

/* delete_checkpoint false: the backup of the end stays, and is enough. */
static void test_kept(void **state)
{
	struct script a = {.fail_epoch = -1}, b = a, c = a;
	ftmpi_trainer *trainer = create();
	ftmpi_backup_and_restore_options options;
	ftmpi_callback *callback = NULL;

	(void)state;
	ftmpi_backup_and_restore_options_init(&options);
	options.async = saves_async();
	options.delete_checkpoint = false;
	options.save_freq = 15;
	assert_ok(ftmpi_backup_and_restore_create("kept", &options, &callback));
	assert_ok(fit_with(trainer, &a, 2, 1, &callback, 1));
	ftmpi_trainer_destroy(&trainer);
	assert_true(exists("kept/backup-2.weights.h5"));
	assert_false(exists("kept/finished.weights.h5"));
	trainer = create();
	assert_ok(ftmpi_backup_and_restore_create("kept", &options, &callback));
	assert_ok(fit_with(trainer, &b, 2, 1, &callback, 1));
	assert_int_equal(b.n_steps, 0);
	assert_true(ftmpi_digest_equal(a.digest, b.digest));
	ftmpi_trainer_destroy(&trainer);
	trainer = create();
	assert_ok(ftmpi_backup_and_restore_create("kept", &options, &callback));
	assert_ok(fit_with(trainer, &c, 3, 1, &callback, 1));
	assert_int_equal(c.n_steps, 10);
	ftmpi_trainer_destroy(&trainer);
}

/* A signal on the last rank after step 7: backed up after step 8, or not. */
static ftmpi_status send_signal(void *context, ftmpi_fit *fit)
{
	(void)context;
	if (ftmpi_fit_progress(fit).step == 7 && ftmpi_comm_rank(world) == ftmpi_comm_size(world) - 1)
		assert_int_equal(raise(SIGUSR1), 0);
	return FTMPI_OK;
}

static void test_options(void **state)
{
	ftmpi_backup_and_restore_options options;
	ftmpi_callback *callback = NULL;

	(void)state;
	ftmpi_backup_and_restore_options_init(&options);
	assert_fails(ftmpi_backup_and_restore_create("", &options, &callback), FTMPI_ERR_USAGE, "the backup folder");
	options.save_freq = -1;
	assert_fails(ftmpi_backup_and_restore_create("refused", &options, &callback), FTMPI_ERR_USAGE,
		     "save_freq is -1");
	options.save_freq = 0;
	options.lock_wait_s = -1;
	assert_fails(ftmpi_backup_and_restore_create("refused", &options, &callback), FTMPI_ERR_USAGE,
		     "lock_wait_s is -1");
}

static void test_preempted(void **state)
{
	const ftmpi_callback sender = {.settled = send_signal};
	ftmpi_preemption_options preemption_options;

	(void)state;
	ftmpi_preemption_options_init(&preemption_options);
	for (int saves = 0; saves < 2; saves++) {
		const char *dir = saves != 0 ? "preempted" : "preempted-unsaved";
		ftmpi_trainer *trainer = create();
		ftmpi_preemption *preemption = NULL;
		ftmpi_backup_and_restore_options options;
		ftmpi_callback *callback = NULL;
		ftmpi_fit_options fit;

		ftmpi_backup_and_restore_options_init(&options);
		options.async = saves_async();
		options.save_before_preemption = saves != 0;
		assert_ok(ftmpi_backup_and_restore_create(dir, &options, &callback));
		assert_ok(ftmpi_preemption_create(&preemption_options, &preemption));
		ftmpi_fit_options_init(&fit);
		fit.train = data;
		fit.batch_size = BATCH;
		fit.epochs = 2;
		fit.callbacks = (const ftmpi_callback *[]){callback, &sender};
		fit.n_callbacks = 2;
		fit.preemption = preemption;
		assert_fails(ftmpi_trainer_fit(trainer, &fit), FTMPI_STOPPED, "at step 8");
		ftmpi_preemption_destroy(&preemption);
		ftmpi_callback_destroy(&callback);
		ftmpi_trainer_destroy(&trainer);
		assert_true(exists(saves != 0 ? "preempted/backup-1.weights.h5" : "preempted-unsaved"));
		assert_false(exists("preempted-unsaved/backup-1.weights.h5"));
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_exact_batch, setup, teardown),
	cmocka_unit_test_setup_teardown(test_second_crash, setup, teardown),
	cmocka_unit_test_setup_teardown(test_finished, setup, teardown),
	cmocka_unit_test_setup_teardown(test_nan_keeps_backups, setup, teardown),
	cmocka_unit_test_setup_teardown(test_two_fits, setup, teardown),
	cmocka_unit_test_setup_teardown(test_leftover, setup, teardown),
	cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
	cmocka_unit_test_setup_teardown(test_options, setup, teardown),
	cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
	cmocka_unit_test_setup_teardown(test_preempted, setup, teardown),
};
FTMPI_TEST_MAIN(tests)
