/* SPDX-License-Identifier: Apache-2.0 */
/* The ready-made callbacks against hand-worked values, and Keras's known defects of BackupAndRestore, each shown to be absent. The validation data's loss is made
 * to go as a test wants it by a callback that sets it. */
#include "mpi/mpi_test.h"

#include <ftmpi/ftmpi.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

enum { N_SAMPLES = 40, N_FEATURES = 6, N_WORKERS = 4, BATCH = 4, STEPS_AN_EPOCH = 10 };

static float inputs[N_SAMPLES * N_FEATURES];
static int32_t labels[N_SAMPLES];
static ftmpi_dataset *data;
static ftmpi_model *model;

static int setup(void **state)
{
	const int64_t dims[] = {N_FEATURES};
	const ftmpi_layer_spec specs[] = {{.kind = FTMPI_DENSE, .units = 5, .activation = FTMPI_RELU},
					  {.kind = FTMPI_DROPOUT, .rate = 0.25},
					  {.kind = FTMPI_DENSE, .units = 2}};
	ftmpi_dataset_options options;

	(void)state;
	ftmpi_dataset_options_init(&options);
	options.n_classes = 2;
	for (int i = 0; i < N_SAMPLES; i++) {
		labels[i] = i % 2;
		for (int k = 0; k < N_FEATURES; k++)
			inputs[i * N_FEATURES + k] = sinf((float)(i * 5 + k)) + (float)(k % 2 == labels[i]);
	}
	assert_ok(ftmpi_dataset_from_memory(inputs, labels, N_SAMPLES, 1, dims, &options, &data));
	assert_ok(ftmpi_model_create(dims, 1, specs, 3, &model));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ftmpi_dataset_destroy(&data);
	ftmpi_model_destroy(&model);
	return 0;
}

static ftmpi_trainer *create(void)
{
	ftmpi_trainer *trainer = NULL;
	ftmpi_trainer_options options;
	ftmpi_compile compile;

	ftmpi_trainer_options_init(&options);
	options.n_workers = N_WORKERS;
	ftmpi_compile_init(&compile);
	assert_ok(ftmpi_trainer_create(world, model, &compile, &options, &trainer));
	return trainer;
}

/* A callback of the tests: gives val_loss a course, counts, interrupts. */
struct script {
	const double *val_loss; /* [n], by epoch */
	int64_t fail_epoch;     /* fail at the end of this epoch; −1: never */
	int64_t fail_step;      /* fail in the batch_end of this step; 0: never */
	int64_t n_steps, first_epoch, first_batch, n_epochs;
	ftmpi_digest digest;
	float rates[32]; /* learning rate at the end of each epoch */
};

static ftmpi_status begin_script(void *context, ftmpi_fit *fit)
{
	struct script *s = context;

	s->first_epoch = ftmpi_fit_progress(fit).epoch;
	s->first_batch = ftmpi_fit_progress(fit).batch;
	return FTMPI_OK;
}

static ftmpi_status count_step(void *context, ftmpi_fit *fit)
{
	struct script *s = context;

	s->n_steps++;
	if (s->fail_step > 0 && ftmpi_fit_progress(fit).step == s->fail_step)
		return ftmpi_error_set(FTMPI_ERR_INTERNAL, __FILE__, __LINE__, "interrupted");
	return FTMPI_OK;
}

static ftmpi_status set_val_loss(void *context, ftmpi_fit *fit)
{
	const struct script *s = context;

	if (s->val_loss != NULL)
		ftmpi_fit_log(fit, "val_loss", s->val_loss[ftmpi_fit_progress(fit).epoch]);
	return FTMPI_OK;
}

static ftmpi_status end_script(void *context, ftmpi_fit *fit)
{
	struct script *s = context;

	return ftmpi_checkpoint_state_digest(ftmpi_fit_checkpoint(fit), &s->digest);
}

/* After the others: the learning rate that they leave, and the interruption. */
static ftmpi_status end_epoch(void *context, ftmpi_fit *fit)
{
	struct script *s = context;
	const int64_t epoch = ftmpi_fit_progress(fit).epoch;

	s->n_epochs++;
	if (epoch < 32)
		s->rates[epoch] = ftmpi_learner_learning_rate(ftmpi_fit_learner(fit));
	if (epoch == s->fail_epoch)
		return ftmpi_error_set(FTMPI_ERR_INTERNAL, __FILE__, __LINE__, "interrupted");
	return FTMPI_OK;
}

/* Fit with the script's first half, the callbacks, its second half. Takes the callbacks over. */
static ftmpi_status fit_with(ftmpi_trainer *trainer, struct script *s, int64_t epochs, int64_t per_execution,
			     ftmpi_callback **own, int n_own)
{
	const ftmpi_callback first = {.context = s, .train_begin = begin_script, .epoch_end = set_val_loss};
	const ftmpi_callback last = {
		.context = s, .settled = count_step, .epoch_end = end_epoch, .train_end = end_script};
	const ftmpi_callback *callbacks[8] = {&first};
	ftmpi_fit_options options;
	ftmpi_status status;

	for (int i = 0; i < n_own; i++)
		callbacks[1 + i] = own[i];
	callbacks[1 + n_own] = &last;
	ftmpi_fit_options_init(&options);
	options.train = options.validation = data;
	options.batch_size = BATCH;
	options.epochs = epochs;
	options.steps_per_execution = per_execution;
	options.callbacks = callbacks;
	options.n_callbacks = n_own + 2;
	status = ftmpi_trainer_fit(trainer, &options);
	for (int i = 0; i < n_own; i++)
		ftmpi_callback_destroy(&own[i]);
	return status;
}

static bool exists(const char *path)
{
	struct stat st;
	bool found = ftmpi_comm_is_chief(world) && stat(path, &st) == 0;

	assert_ok(ftmpi_broadcast(world, &found, sizeof found, FTMPI_CHIEF));
	return found;
}

static ftmpi_callback *backup(const char *dir, int64_t save_freq)
{
	ftmpi_callback *callback = NULL;
	ftmpi_backup_and_restore_options options;

	ftmpi_backup_and_restore_options_init(&options);
	options.save_freq = save_freq;
	assert_ok(ftmpi_backup_and_restore_create(dir, &options, &callback));
	return callback;
}

static void test_early_stopping(void **state)
{
	static const double course[] = {1.0, 0.9, 0.95, 0.89, 0.9, 0.9, 0.9, 0.1};
	struct script s = {.val_loss = course, .fail_epoch = -1};
	ftmpi_trainer *trainer = create();
	ftmpi_early_stopping_options options;
	ftmpi_callback *callback = NULL;

	(void)state;
	ftmpi_early_stopping_options_init(&options);
	options.patience = 2;
	options.restore_best_weights = true;
	assert_ok(ftmpi_early_stopping_create(&options, &callback));
	assert_ok(fit_with(trainer, &s, 8, 1, &callback, 1));
	assert_int_equal(s.n_epochs, 6); /* the best is epoch 3; epochs 4 and 5 are no better */
	ftmpi_trainer_destroy(&trainer);
	options.monitor = "val_los";
	trainer = create();
	assert_ok(ftmpi_early_stopping_create(&options, &callback));
	assert_fails(fit_with(trainer, &s, 8, 1, &callback, 1), FTMPI_ERR_USAGE, "no 'val_los' to monitor");
	ftmpi_trainer_destroy(&trainer);
	options.patience = -1;
	assert_fails(ftmpi_early_stopping_create(&options, &callback), FTMPI_ERR_USAGE, "patience");
}

/* Weights of the best epoch come back. */
static void test_best_weights(void **state)
{
	static const double course[] = {1.0, 0.5, 2.0, 2.0, 2.0};
	struct script s = {.val_loss = course, .fail_epoch = -1}, two = s;
	ftmpi_trainer *stopped = create(), *reference = create();
	const int64_t n = ftmpi_model_layout(model)->n_elements;
	ftmpi_early_stopping_options options;
	ftmpi_callback *callback = NULL;

	(void)state;
	ftmpi_early_stopping_options_init(&options);
	options.patience = 3;
	options.restore_best_weights = true;
	assert_ok(ftmpi_early_stopping_create(&options, &callback));
	assert_ok(fit_with(stopped, &s, 5, 1, &callback, 1));
	assert_ok(fit_with(reference, &two, 2, 1, NULL, 0));
	assert_memory_equal(ftmpi_learner_params(ftmpi_trainer_learner(stopped)),
			    ftmpi_learner_params(ftmpi_trainer_learner(reference)), (size_t)n * sizeof(float));
	ftmpi_trainer_destroy(&stopped);
	ftmpi_trainer_destroy(&reference);
}

static void test_plateau(void **state)
{
	static const double course[] = {1, 1, 1, 1, 1, 1, 1, 0.5};
	struct script s = {.val_loss = course, .fail_epoch = -1};
	ftmpi_trainer *trainer = create();
	ftmpi_reduce_lr_on_plateau_options options;
	ftmpi_callback *callback = NULL;
	const float half = (float)((double)0.001F * 0.5), quarter = (float)((double)half * 0.5);

	(void)state;
	ftmpi_reduce_lr_on_plateau_options_init(&options);
	options.patience = 2;
	options.factor = 0.5;
	options.cooldown = 1;
	assert_ok(ftmpi_reduce_lr_on_plateau_create(&options, &callback));
	assert_ok(fit_with(trainer, &s, 8, 1, &callback, 1));
	assert_true(s.rates[1] == 0.001F); /* waited once */
	assert_true(s.rates[2] == half);   /* waited twice: reduced, rest of one epoch */
	assert_true(s.rates[3] == half);   /* the rest is over, waited once */
	assert_true(s.rates[4] == quarter);
	ftmpi_trainer_destroy(&trainer);
}

static float decay(void *context, int64_t epoch, float lr)
{
	(void)context;
	return epoch < 2 ? lr : lr * 0.5F;
}

/* The rate of an epoch is asked for once, also when a relaunch goes on within it. */
static void test_schedule(void **state)
{
	struct script s = {.fail_epoch = -1, .fail_step = 34}, t = {.fail_epoch = -1}, whole = {.fail_epoch = -1};
	ftmpi_trainer *trainer = create();
	ftmpi_callback *callbacks[2] = {NULL};

	(void)state;
	assert_ok(ftmpi_learning_rate_scheduler_create(decay, NULL, &callbacks[0]));
	callbacks[1] = backup("schedule", 1);
	assert_fails(fit_with(trainer, &s, 5, 1, callbacks, 2), FTMPI_ERR_INTERNAL, "interrupted");
	ftmpi_trainer_destroy(&trainer);
	trainer = create();
	assert_ok(ftmpi_learning_rate_scheduler_create(decay, NULL, &callbacks[0]));
	callbacks[1] = backup("schedule", 1);
	assert_ok(fit_with(trainer, &t, 5, 1, callbacks, 2));
	assert_int_equal(t.first_epoch, 3);
	assert_int_equal(t.first_batch, 4);
	assert_true(t.rates[3] == 0.00025F && t.rates[4] == 0.000125F);
	ftmpi_trainer_destroy(&trainer);
	trainer = create();
	assert_ok(ftmpi_learning_rate_scheduler_create(decay, NULL, &callbacks[0]));
	callbacks[1] = backup("schedule-whole", 1);
	assert_ok(fit_with(trainer, &whole, 5, 1, callbacks, 2));
	assert_true(ftmpi_digest_equal(whole.digest, t.digest));
	ftmpi_trainer_destroy(&trainer);
}

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

static void test_model_checkpoint(void **state)
{
	static const double course[] = {1.0, 0.5, 0.75, 0.25};
	struct script s = {.val_loss = course, .fail_epoch = -1};
	ftmpi_trainer *trainer = create();
	ftmpi_callback *callbacks[2] = {NULL};
	ftmpi_model_checkpoint_options options;

	(void)state;
	ftmpi_model_checkpoint_options_init(&options);
	options.save_best_only = true;
	assert_ok(
		ftmpi_model_checkpoint_create("best/e{epoch:02d}-{val_loss:.2f}.weights.h5", &options, &callbacks[0]));
	options = (ftmpi_model_checkpoint_options){.monitor = "loss", .save_freq = 15};
	assert_ok(ftmpi_model_checkpoint_create("best/every.weights.h5", &options, &callbacks[1]));
	assert_ok(fit_with(trainer, &s, 4, 4, callbacks, 2));
	assert_true(exists("best/e01-1.00.weights.h5"));
	assert_true(exists("best/e02-0.50.weights.h5"));
	assert_false(exists("best/e03-0.75.weights.h5"));
	assert_true(exists("best/e04-0.25.weights.h5"));
	assert_true(exists("best/every.weights.h5"));
	ftmpi_trainer_destroy(&trainer);
	assert_fails(ftmpi_model_checkpoint_create("best.h5", &options, &callbacks[0]), FTMPI_ERR_USAGE,
		     "does not end in");
	trainer = create();
	assert_ok(ftmpi_model_checkpoint_create("best/{nothing}.weights.h5", &options, &callbacks[0]));
	assert_fails(fit_with(trainer, &s, 2, 1, callbacks, 1), FTMPI_ERR_USAGE, "no 'nothing'");
	ftmpi_trainer_destroy(&trainer);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_early_stopping, setup, teardown),
	cmocka_unit_test_setup_teardown(test_best_weights, setup, teardown),
	cmocka_unit_test_setup_teardown(test_plateau, setup, teardown),
	cmocka_unit_test_setup_teardown(test_schedule, setup, teardown),
	cmocka_unit_test_setup_teardown(test_exact_batch, setup, teardown),
	cmocka_unit_test_setup_teardown(test_second_crash, setup, teardown),
	cmocka_unit_test_setup_teardown(test_finished, setup, teardown),
	cmocka_unit_test_setup_teardown(test_nan_keeps_backups, setup, teardown),
	cmocka_unit_test_setup_teardown(test_model_checkpoint, setup, teardown),
};
FTMPI_TEST_MAIN(tests)
