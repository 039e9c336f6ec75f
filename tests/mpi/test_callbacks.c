/* SPDX-License-Identifier: Apache-2.0 */
/* The ready-made callbacks against hand-worked values, as Keras behaves. */
#include "mpi/callbacks_test.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static void test_early_stopping(void **state)
{
	static const double course[] = {1.0, 0.9, 0.95, 0.89, 0.9, 0.9, 0.9, 0.1};
	struct script s = {.val_loss = course, .fail_epoch = -1};
	ftmpi_trainer *trainer = create();
	ftmpi_early_stopping_options options;
	ftmpi_callback *callback = NULL, *pair[2] = {NULL};

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
	trainer = create();
	assert_ok(ftmpi_early_stopping_create(&options, &pair[0]));
	assert_ok(ftmpi_early_stopping_create(&options, &pair[1]));
	assert_fails(fit_with(trainer, &s, 8, 1, pair, 2), FTMPI_ERR_USAGE,
		     "two callbacks 'early_stopping' in one fit");
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

/* By epoch, and how many epochs are trained. */
static void test_early_stopping_rules(void **state)
{
	static const struct {
		const char *what;
		double course[8];
		ftmpi_early_stopping_options options;
		int64_t n_epochs;
	} rows[] = {
		{"patience 0", {1.0, 0.9, 0.9, 0.1}, {.baseline = NAN}, 3},
		{"not in the first epoch", {NAN, NAN, 0.5, 0.1}, {.baseline = NAN}, 2},
		{"min_delta", {1.0, 0.95, 0.92, 0.1}, {.min_delta = 0.1, .patience = 2, .baseline = NAN}, 3},
		{"min_delta, in steps",
		 {1.0, 0.95, 0.85, 0.8, 0.8},
		 {.min_delta = 0.1, .patience = 2, .baseline = NAN},
		 5},
		{"a baseline that is not reached", {1.0, 0.9, 0.8, 0.85, 0.1}, {.patience = 3, .baseline = 0.5}, 4},
		{"a baseline that is reached",
		 {1.0, 0.9, 0.4, 0.45, 0.45, 0.45, 0.1},
		 {.patience = 3, .baseline = 0.5},
		 6},
		{"start_from_epoch",
		 {0.1, 0.1, 1.0, 1.1, 1.1, 0.05},
		 {.patience = 2, .baseline = NAN, .start_from_epoch = 2},
		 5},
		{"upwards", {1, 2, 3, 2.5, 3, 4}, {.mode = FTMPI_MONITOR_MAX, .patience = 2, .baseline = NAN}, 5},
		{"never", {8, 7, 6, 5, 4, 3, 2, 1}, {.baseline = NAN}, 8},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct script s = {.val_loss = rows[i].course, .fail_epoch = -1};
		ftmpi_early_stopping_options options = rows[i].options;
		ftmpi_trainer *trainer = create();
		ftmpi_callback *callback = NULL;

		print_message("%s\n", rows[i].what);
		options.monitor = "val_loss";
		assert_ok(ftmpi_early_stopping_create(&options, &callback));
		assert_ok(fit_with(trainer, &s, 8, 1, &callback, 1));
		assert_int_equal(s.n_epochs, rows[i].n_epochs);
		ftmpi_trainer_destroy(&trainer);
	}
}

/* By epoch: the loss, and the learning rate that is left. */
static void test_plateau_rules(void **state)
{
	static const struct {
		const char *what;
		double course[5];
		ftmpi_reduce_lr_on_plateau_options options;
		float rates[5];
	} rows[] = {
		{"min_lr",
		 {1, 1, 1, 1, 1},
		 {.factor = 0.1, .patience = 1, .min_lr = 5e-4},
		 {1e-3F, 5e-4F, 5e-4F, 5e-4F, 5e-4F}},
		{"min_delta",
		 {1, 0.99, 0.98, 0.8, 0.9},
		 {.factor = 0.5, .patience = 2, .min_delta = 0.1},
		 {1e-3F, 1e-3F, 5e-4F, 5e-4F, 5e-4F}},
		{"upwards",
		 {1, 2, 1.5, 3, 3},
		 {.mode = FTMPI_MONITOR_MAX, .factor = 0.5, .patience = 1},
		 {1e-3F, 1e-3F, 5e-4F, 5e-4F, 2.5e-4F}},
		{"rest of two epochs",
		 {1, 1, 1, 1, 1},
		 {.factor = 0.5, .patience = 1, .cooldown = 2},
		 {1e-3F, 5e-4F, 5e-4F, 2.5e-4F, 2.5e-4F}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct script s = {.val_loss = rows[i].course, .fail_epoch = -1};
		ftmpi_reduce_lr_on_plateau_options options = rows[i].options;
		ftmpi_trainer *trainer = create();
		ftmpi_callback *callback = NULL;

		print_message("%s\n", rows[i].what);
		options.monitor = "val_loss";
		assert_ok(ftmpi_reduce_lr_on_plateau_create(&options, &callback));
		assert_ok(fit_with(trainer, &s, 5, 1, &callback, 1));
		for (int k = 0; k < 5; k++)
			assert_true(s.rates[k] == rows[i].rates[k]);
		ftmpi_trainer_destroy(&trainer);
	}
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

/* Every epoch, upwards, and the forms of fields. */
static void test_model_checkpoint_fields(void **state)
{
	static const double course[] = {1.0, 0.5, 1.25};
	static const char *const bad[] = {"{epoch:.2f}", "{epoch:2}", "{val_loss:d}",    "{val_loss:.2}",
					  "{}",          "{:02d}",    "{val_loss:.99f}", "{val_loss:x}"};
	struct script s = {.val_loss = course, .fail_epoch = -1};
	ftmpi_trainer *trainer = create();
	ftmpi_callback *callbacks[3] = {NULL};
	ftmpi_model_checkpoint_options options;
	char path[64];

	(void)state;
	ftmpi_model_checkpoint_options_init(&options);
	assert_ok(ftmpi_model_checkpoint_create("all/{epoch}.weights.h5", &options, &callbacks[0]));
	options.save_best_only = true;
	options.mode = FTMPI_MONITOR_MAX;
	assert_ok(ftmpi_model_checkpoint_create("all/{val_loss:07.3f}-{val_loss:.1e}-{epoch:3d}.weights.h5", &options,
						&callbacks[1]));
	options = (ftmpi_model_checkpoint_options){.monitor = "loss", .save_freq = 20};
	assert_ok(ftmpi_model_checkpoint_create("all/batch-{epoch:02d}.weights.h5", &options, &callbacks[2]));
	assert_ok(fit_with(trainer, &s, 3, 3, callbacks, 3));
	assert_true(exists("all/1.weights.h5") && exists("all/2.weights.h5") && exists("all/3.weights.h5"));
	assert_true(exists("all/001.000-1.0e+00-  1.weights.h5"));
	assert_false(exists("all/000.500-5.0e-01-  2.weights.h5"));
	assert_true(exists("all/001.250-1.2e+00-  3.weights.h5"));
	assert_true(exists("all/batch-02.weights.h5"));
	assert_false(exists("all/batch-01.weights.h5") || exists("all/batch-03.weights.h5"));
	ftmpi_trainer_destroy(&trainer);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		(void)snprintf(path, sizeof path, "%s.weights.h5", bad[i]);
		assert_fails(ftmpi_model_checkpoint_create(path, &options, &callbacks[0]), FTMPI_ERR_USAGE,
			     "the field {");
	}
	options.save_freq = 0;
	assert_fails(ftmpi_model_checkpoint_create("{epoch.weights.h5", &options, &callbacks[0]), FTMPI_ERR_USAGE,
		     "a '{' without its partner");
	assert_fails(ftmpi_model_checkpoint_create("{epoch}}.weights.h5", &options, &callbacks[0]), FTMPI_ERR_USAGE,
		     "a '}' without its partner");
	options.mode = (ftmpi_monitor_mode)9;
	assert_fails(ftmpi_model_checkpoint_create("best.weights.h5", &options, &callbacks[0]), FTMPI_ERR_USAGE,
		     "the mode of 'loss' is none of");
}

/* The file's first column. */
static void expect_epochs(const char *path, const char *expected)
{
	char line[512];
	ftmpi_buffer found = {0};
	FILE *file;

	if (!ftmpi_comm_is_chief(world))
		return;
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file) != NULL) {
		line[strcspn(line, ";\n")] = '\0';
		assert_ok(ftmpi_buffer_printf(&found, "%s ", line));
	}
	(void)fclose(file);
	assert_string_equal(found.data, expected);
	ftmpi_buffer_clear(&found);
}

static ftmpi_callback *csv_logger(bool append)
{
	const ftmpi_csv_logger_options options = {.separator = ';', .append = append};
	ftmpi_callback *callback = NULL;

	assert_ok(ftmpi_csv_logger_create("rows.csv", &options, &callback));
	return callback;
}

/* The rows have the history's numbers, all their digits. */
static void test_csv_logger(void **state)
{
	struct script s = {.fail_epoch = -1};
	ftmpi_trainer *trainer = create();
	ftmpi_csv_logger_options options;
	ftmpi_callback *callback = NULL;
	const double *values[4];
	char expected[512] = "epoch,accuracy,loss,val_accuracy,val_loss\n", found[512] = "";
	size_t n = strlen(expected);
	FILE *file;

	(void)state;
	ftmpi_csv_logger_options_init(&options);
	assert_ok(ftmpi_csv_logger_create("plain.csv", &options, &callback));
	assert_ok(fit_with(trainer, &s, 2, 1, &callback, 1));
	assert_int_equal(ftmpi_trainer_history(trainer, "accuracy", &values[0]), 2);
	assert_int_equal(ftmpi_trainer_history(trainer, "loss", &values[1]), 2);
	assert_int_equal(ftmpi_trainer_history(trainer, "val_accuracy", &values[2]), 2);
	assert_int_equal(ftmpi_trainer_history(trainer, "val_loss", &values[3]), 2);
	for (int i = 0; i < 2; i++)
		n += (size_t)snprintf(expected + n, sizeof expected - n, "%d,%.17g,%.17g,%.17g,%.17g\n", i,
				      values[0][i], values[1][i], values[2][i], values[3][i]);
	if (ftmpi_comm_is_chief(world)) {
		file = fopen("plain.csv", "r");
		assert_non_null(file);
		(void)fread(found, 1, sizeof found - 1, file);
		(void)fclose(file);
		assert_string_equal(found, expected);
	}
	ftmpi_trainer_destroy(&trainer);
	for (const char *c = "\n.5e-_"; *c != '\0'; c++) {
		options.separator = *c;
		assert_fails(ftmpi_csv_logger_create("plain.csv", &options, &callback), FTMPI_ERR_USAGE, "separator");
	}
}

/* Behind the rows of an earlier fit; a relaunch drops rows of its own fit alone, and a row that was cut off. */
static void test_csv_append(void **state)
{
	struct script a = {.fail_epoch = -1}, b = {.fail_epoch = 1}, c = {.fail_epoch = -1};
	ftmpi_trainer *trainer = create();
	ftmpi_callback *callbacks[2] = {csv_logger(false)};
	FILE *file;

	(void)state;
	assert_ok(fit_with(trainer, &a, 3, 1, callbacks, 1));
	ftmpi_trainer_destroy(&trainer);
	expect_epochs("rows.csv", "epoch 0 1 2 ");
	if (ftmpi_comm_is_chief(world)) {
		file = fopen("rows.csv", "a");
		assert_non_null(file);
		assert_true(fputs("3;0.2", file) >= 0);
		assert_int_equal(fclose(file), 0);
	}
	trainer = create();
	callbacks[0] = csv_logger(true);
	callbacks[1] = backup("rows", 0);
	assert_fails(fit_with(trainer, &b, 3, 1, callbacks, 2), FTMPI_ERR_INTERNAL, "interrupted");
	ftmpi_trainer_destroy(&trainer);
	expect_epochs("rows.csv", "epoch 0 1 2 0 1 "); /* the backup is that of epoch 0 */
	trainer = create();
	callbacks[0] = csv_logger(true);
	callbacks[1] = backup("rows", 0);
	assert_ok(fit_with(trainer, &c, 3, 1, callbacks, 2));
	assert_int_equal(c.first_epoch, 1);
	ftmpi_trainer_destroy(&trainer);
	expect_epochs("rows.csv", "epoch 0 1 2 0 1 2 ");
	trainer = create();
	callbacks[0] = csv_logger(false);
	assert_ok(fit_with(trainer, &a, 1, 1, callbacks, 1));
	ftmpi_trainer_destroy(&trainer);
	expect_epochs("rows.csv", "epoch 0 ");
}

/* For some steps no file of this process may grow, which is what a full disk or a quota does. */
static void limit_files(int64_t step)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	if (step == 3)
		limit.rlim_cur = 1;
	if (step == 6)
		limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* How often a tag of this length is in the event files of a folder: a value's tag is field 1 of it. */
static int n_tags(const char *folder, const char *tag)
{
	char path[512];
	static char bytes[1 << 16];
	int n = 0;
	DIR *directory = opendir(folder);
	const size_t length = strlen(tag);

	assert_non_null(directory);
	for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		(void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		FILE *file = fopen(path, "rbe");
		const size_t n_bytes = file == NULL ? 0 : fread(bytes, 1, sizeof bytes, file);

		for (size_t at = 0; at + length + 2 <= n_bytes; at++)
			n += bytes[at] == 10 && bytes[at + 1] == (char)length &&
			     memcmp(bytes + at + 2, tag, length) == 0;
		if (file != NULL)
			(void)fclose(file);
	}
	(void)closedir(directory);
	return n;
}

/* A log that cannot be written for a while ends no fit, and what waited is written when it can be; one that cannot be opened is none. */
static void test_tensorboard_without_room(void **state)
{
	struct script with = {.fail_epoch = -1, .at_step = limit_files}, without = {.fail_epoch = -1};
	ftmpi_tensorboard_options options;
	ftmpi_callback *callbacks[1];
	ftmpi_trainer *trainer = create();

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	ftmpi_tensorboard_options_init(&options);
	options.update_freq = 1;
	assert_ok(ftmpi_tensorboard_create("logs", &options, &callbacks[0]));
	assert_ok(fit_with(trainer, &with, 1, 1, callbacks, 1));
	ftmpi_trainer_destroy(&trainer);
	if (ftmpi_comm_is_chief(world))
		assert_int_equal(n_tags("logs", "batch_loss"), STEPS_AN_EPOCH);

	if (ftmpi_comm_is_chief(world)) {
		FILE *file = fopen("file", "we");
		assert_non_null(file);
		(void)fclose(file);
	}
	trainer = create();
	assert_ok(ftmpi_tensorboard_create("file/logs", &options, &callbacks[0]));
	assert_ok(fit_with(trainer, &without, 1, 1, callbacks, 1));
	ftmpi_trainer_destroy(&trainer);
	assert_memory_equal(&with.digest, &without.digest, sizeof with.digest);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_early_stopping, setup, teardown),
	cmocka_unit_test_setup_teardown(test_early_stopping_rules, setup, teardown),
	cmocka_unit_test_setup_teardown(test_best_weights, setup, teardown),
	cmocka_unit_test_setup_teardown(test_plateau, setup, teardown),
	cmocka_unit_test_setup_teardown(test_plateau_rules, setup, teardown),
	cmocka_unit_test_setup_teardown(test_schedule, setup, teardown),
	cmocka_unit_test_setup_teardown(test_model_checkpoint, setup, teardown),
	cmocka_unit_test_setup_teardown(test_model_checkpoint_fields, setup, teardown),
	cmocka_unit_test_setup_teardown(test_csv_logger, setup, teardown),
	cmocka_unit_test_setup_teardown(test_csv_append, setup, teardown),
	cmocka_unit_test_setup_teardown(test_tensorboard_without_room, setup, teardown),
};
FTMPI_TEST_MAIN(tests)
