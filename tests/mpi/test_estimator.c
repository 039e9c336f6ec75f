/* SPDX-License-Identifier: Apache-2.0 */
/* The Estimator: order of hooks and listeners, steps and max_steps, the input's place over interruptions, a regressor that learns, errors. */
#include "mpi/mpi_test.h"

#include "file_test.h"

#include <ftmpi/ftmpi.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

enum { N_SAMPLES = 60, N_FEATURES = 4, BATCH = 10, STEPS_AN_EPOCH = 6 };

static const int64_t dims[] = {N_FEATURES}, hidden[] = {8};
static float x[N_SAMPLES * N_FEATURES], values[N_SAMPLES];
static int32_t labels[N_SAMPLES];
static ftmpi_dataset *data, *targets;

static int setup(void **state)
{
	ftmpi_dataset_options options;

	(void)state;
	ftmpi_dataset_options_init(&options);
	options.n_classes = 3;
	for (int i = 0; i < N_SAMPLES; i++) {
		for (int k = 0; k < N_FEATURES; k++)
			x[i * N_FEATURES + k] = sinf((float)(i * 3 + k * 5));
		labels[i] = i % 3;
		values[i] = 0.5F * sinf((float)(i * 3)) - 0.25F * sinf((float)(i * 3 + 5)) + 0.1F;
	}
	assert_ok(ftmpi_dataset_from_memory(x, labels, N_SAMPLES, 1, dims, &options, &data));
	assert_ok(ftmpi_dataset_from_memory_values(x, values, N_SAMPLES, 1, 1, dims, &options, &targets));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ftmpi_dataset_destroy(&data);
	ftmpi_dataset_destroy(&targets);
	return 0;
}

static ftmpi_estimator *create_with(const char *dir, bool classifier, double save_s, int64_t max_rollbacks)
{
	ftmpi_estimator *estimator = NULL;
	ftmpi_dnn_options options;
	ftmpi_run_config config;

	ftmpi_dnn_options_init(&options);
	options.feature_dims = dims;
	options.n_feature_dims = 1;
	options.hidden_units = hidden;
	options.n_hidden_units = 1;
	options.n_classes = 3;
	ftmpi_run_config_init(&config);
	config.model_dir = dir;
	config.save_checkpoints_steps = save_s == FTMPI_UNSET ? 4 : 0;
	config.save_checkpoints_secs = save_s;
	config.save_summary_steps = 0;
	config.n_workers = 4;
	config.max_rollbacks = max_rollbacks;
	assert_ok((classifier ? ftmpi_dnn_classifier_create : ftmpi_dnn_regressor_create)(world, &options, &config,
											  &estimator));
	return estimator;
}

static ftmpi_estimator *create(const char *dir, bool classifier)
{
	return create_with(dir, classifier, FTMPI_UNSET, 0);
}

/* Letters of the calls, in order. */
struct journal {
	char text[128];
	size_t n;
	int64_t fail_at, stop_at; /* steps */
};

static ftmpi_status note(struct journal *journal, char letter)
{
	journal->text[journal->n++] = letter;
	return FTMPI_OK;
}

static ftmpi_status on_begin(void *context, ftmpi_fit *fit)
{
	(void)fit;
	return note(context, 'b');
}

static ftmpi_status on_session(void *context, ftmpi_fit *fit)
{
	(void)fit;
	return note(context, 's');
}

static ftmpi_status on_before_run(void *context, ftmpi_fit *fit)
{
	(void)fit;
	return note(context, '(');
}

static ftmpi_status on_after_run(void *context, ftmpi_fit *fit)
{
	struct journal *journal = context;

	if (journal->fail_at > 0 && ftmpi_fit_progress(fit).step == journal->fail_at)
		return ftmpi_error_set(FTMPI_ERR_INTERNAL, __FILE__, __LINE__, "interrupted");
	return note(journal, ')');
}

static ftmpi_status on_end(void *context, ftmpi_fit *fit)
{
	(void)fit;
	return note(context, 'e');
}

static ftmpi_status on_before_save(void *context, int64_t step)
{
	(void)step;
	return note(context, '[');
}

static ftmpi_status on_after_save(void *context, int64_t step, bool *stop)
{
	struct journal *journal = context;

	*stop = journal->stop_at > 0 && step == journal->stop_at;
	return note(journal, ']');
}

static ftmpi_status train(ftmpi_estimator *e, struct journal *journal, int64_t num_epochs, int64_t steps,
			  int64_t max_steps)
{
	const ftmpi_hook hook = {.context = journal,
				 .begin = on_begin,
				 .after_create_session = on_session,
				 .before_run = on_before_run,
				 .after_run = on_after_run,
				 .end = on_end};
	const ftmpi_saving_listener listener = {
		.context = journal, .before_save = on_before_save, .after_save = on_after_save};
	const ftmpi_hook *const hooks[] = {&hook};
	const ftmpi_saving_listener *const listeners[] = {&listener};
	const ftmpi_input input = ftmpi_numpy_input(data, BATCH, num_epochs, true);
	const ftmpi_train_options options = {.hooks = hooks,
					     .n_hooks = 1,
					     .steps = steps,
					     .max_steps = max_steps,
					     .saving_listeners = listeners,
					     .n_saving_listeners = 1};

	return ftmpi_estimator_train(e, &input, &options);
}

static void test_order(void **state)
{
	struct journal whole = {.n = 0}, stopped = {.stop_at = 4}, none = {.n = 0};
	ftmpi_estimator *e = create("order", true);

	(void)state;
	assert_ok(train(e, &whole, 1, 0, 0)); /* one epoch: 6 steps, saved at 0, 4 and the end */
	assert_string_equal(whole.text, "b[]s()()()([])()()[]e");
	assert_ok(train(e, &none, 1, 0, 6));
	assert_string_equal(none.text, ""); /* skipped */
	ftmpi_estimator_destroy(&e);
	e = create("listener", true);
	assert_ok(train(e, &stopped, 1, 0, 0));
	assert_string_equal(stopped.text, "b[]s()()()([])e");
	ftmpi_estimator_destroy(&e);
}

/* A train that was interrupted goes on in its input; one that ended is followed by a new pass. steps is relative, max_steps absolute. */
static void test_steps(void **state)
{
	struct journal a = {.fail_at = 5}, b = {.n = 0}, c = {.n = 0}, d = {.n = 0};
	ftmpi_estimator *e = create("steps", true);
	ftmpi_evaluation evaluation;
	const ftmpi_input all = ftmpi_numpy_input(data, BATCH, 1, false),
			  endless = ftmpi_numpy_input(data, BATCH, 0, false);

	(void)state;
	assert_fails(train(e, &a, 2, 0, 0), FTMPI_ERR_INTERNAL, "interrupted");
	assert_null(strchr(a.text, 'e'));
	assert_ok(train(e, &b, 2, 0, 0)); /* from step 4 to the end of the second epoch */
	assert_ok(ftmpi_estimator_evaluate(e, &all, NULL, &evaluation));
	assert_int_equal(evaluation.global_step, 12);
	assert_int_equal(evaluation.n_samples, N_SAMPLES);
	assert_ok(train(e, &c, 1, 3, 0));
	assert_ok(ftmpi_estimator_evaluate(e, &all, NULL, &evaluation));
	assert_int_equal(evaluation.global_step, 15);
	assert_ok(train(e, &d, 0, 0, 20));
	assert_ok(ftmpi_estimator_evaluate(e, &all, "steps/model.ckpt-16", &evaluation));
	assert_int_equal(evaluation.global_step, 16);
	assert_fails(train(e, &d, 1, 1, 1), FTMPI_ERR_USAGE, "both steps and max_steps");
	assert_fails(train(e, &d, 1, -1, 0), FTMPI_ERR_USAGE, "steps > 0");
	assert_fails(ftmpi_estimator_train(e, &endless, &(ftmpi_train_options){.n_hooks = 0}), FTMPI_ERR_USAGE,
		     "when the training ends");
	assert_fails(ftmpi_estimator_train_and_evaluate(e, &endless, NULL, &all, 0, &evaluation), FTMPI_ERR_USAGE,
		     "when the training ends");
	assert_fails(ftmpi_estimator_train(e, &all, &(ftmpi_train_options){.n_hooks = 1}), FTMPI_ERR_USAGE,
		     "hooks: number 0 of 1 is NULL");
	assert_fails(ftmpi_estimator_train(e, &all, &(ftmpi_train_options){.n_saving_listeners = -1}), FTMPI_ERR_USAGE,
		     "-1 saving listeners");
	ftmpi_estimator_destroy(&e);
}

static void test_standard_hooks(void **state)
{
	ftmpi_estimator *e = create("hooks", true);
	const ftmpi_input input = ftmpi_numpy_input(data, BATCH, 0, true),
			  all = ftmpi_numpy_input(data, BATCH, 1, false);
	ftmpi_hook *hooks[4] = {NULL};
	ftmpi_evaluation evaluation;
	int saved = -1;

	(void)state;
	assert_ok(ftmpi_stop_at_step_hook_create(5, 0, &hooks[0]));
	assert_ok(ftmpi_step_counter_hook_create(2, &hooks[1]));
	assert_ok(ftmpi_logging_tensor_hook_create(2, &hooks[2]));
	assert_ok(ftmpi_nan_tensor_hook_create(false, &hooks[3]));
	const ftmpi_hook *const all_hooks[] = {hooks[0], hooks[1], hooks[2], hooks[3]};
	const ftmpi_train_options options = {.hooks = all_hooks, .n_hooks = 4};
	assert_ok(ftmpi_estimator_train(e, &input, &options));
	assert_ok(ftmpi_estimator_evaluate(e, &all, NULL, &evaluation));
	assert_int_equal(evaluation.global_step, 5);
	assert_ok(ftmpi_estimator_train(e, &input, &options)); /* five more */
	assert_ok(ftmpi_estimator_evaluate(e, &all, NULL, &evaluation));
	assert_int_equal(evaluation.global_step, 10);
	assert_ok(ftmpi_failpoints_arm("step.loss:nan,hit=2", ftmpi_comm_rank(world)));
	if (ftmpi_comm_rank(world) == 1)
		saved = capture_begin();
	assert_ok(ftmpi_estimator_train(e, &input, &options)); /* a NaN is a normal end, and is not saved */
	if (ftmpi_comm_rank(world) == 1) {                     /* the chief alone tells of it */
		ftmpi_buffer text = capture_end(saved);

		assert_captured(&text, 1, "failpoint step.loss fired");
	}
	assert_ok(ftmpi_failpoints_arm(NULL, 0));
	assert_ok(ftmpi_estimator_evaluate(e, &all, NULL, &evaluation));
	assert_int_equal(evaluation.global_step, 10);
	for (int i = 0; i < 4; i++)
		ftmpi_hook_destroy(&hooks[i]);
	assert_fails(ftmpi_stop_at_step_hook_create(5, 5, &hooks[0]), FTMPI_ERR_USAGE, "exactly one");
	ftmpi_estimator_destroy(&e);
}

static void test_regressor(void **state)
{
	ftmpi_estimator *e = create("regressor", false);
	const ftmpi_input input = ftmpi_numpy_input(targets, BATCH, 0, true),
			  all = ftmpi_numpy_input(targets, BATCH, 1, false);
	const ftmpi_train_options options = {.max_steps = 600};
	ftmpi_evaluation evaluation;
	float outputs[N_SAMPLES];
	double worst = 0;

	(void)state;
	assert_fails(ftmpi_estimator_train_and_evaluate(e, &input, &options, &all, -1, &evaluation), FTMPI_ERR_USAGE,
		     "throttle_s is -1");
	assert_fails(ftmpi_estimator_train_and_evaluate(e, &input, NULL, &all, -1, &evaluation), FTMPI_ERR_USAGE,
		     "throttle_s is -1");
	assert_ok(ftmpi_estimator_train_and_evaluate(e, &input, &options, &all, 1e9, &evaluation));
	assert_int_equal(evaluation.global_step, 600);
	assert_true(evaluation.average_loss < 1e-3);
	assert_ok(ftmpi_estimator_predict(e, targets, NULL, outputs));
	if (ftmpi_comm_is_chief(world))
		for (int i = 0; i < N_SAMPLES; i++)
			worst = fmax(worst, fabs((double)(outputs[i] - values[i])));
	assert_true(worst < 0.2);
	ftmpi_estimator_destroy(&e);
}

/* Failures that the newest checkpoint of a folder knows of. */
static int64_t n_failures(const char *dir)
{
	ftmpi_reader *reader = NULL;
	int64_t n = -1;

	if (ftmpi_comm_is_chief(world)) {
		assert_ok(ftmpi_load_checkpoint(dir, &reader));
		assert_ok(ftmpi_reader_read(reader, "ftmpi/run/failures", &n, sizeof n));
		ftmpi_reader_close(&reader);
	}
	assert_ok(ftmpi_broadcast(world, &n, (int64_t)sizeof n, FTMPI_CHIEF));
	return n;
}

/* An interval that is found out. A train that an error ended in the middle of its work failed; one that ended did not. */
static void test_interval(void **state)
{
	struct journal failed = {.fail_at = 5}, ended = {.n = 0}, again = {.n = 0};
	ftmpi_estimator *e = create_with("interval", true, FTMPI_SAVE_AUTO, 0);

	(void)state;
	assert_fails(train(e, &failed, 1, 0, 0), FTMPI_ERR_INTERNAL, "interrupted");
	assert_string_equal(failed.text, "b[]s()()()()("); /* one save: that of the beginning tells what it costs */
	assert_ok(train(e, &ended, 1, 0, 0));
	assert_int_equal(n_failures("interval"), 1);
	assert_ok(train(e, &again, 1, 0, 0));
	assert_int_equal(n_failures("interval"), 1);
	ftmpi_estimator_destroy(&e);
}

/* Digest of the state after 15 steps; the same on all ranks. */
static ftmpi_digest end_of(const char *dir)
{
	ftmpi_digest digest = {0};
	char path[FTMPI_PATH_MAX];

	if (ftmpi_comm_is_chief(world)) {
		ftmpi_reader *reader = NULL;

		(void)snprintf(path, sizeof path, "%s/model.ckpt-15.weights.h5", dir);
		assert_ok(ftmpi_reader_open(path, &reader));
		digest = ftmpi_reader_state_digest(reader);
		ftmpi_reader_close(&reader);
	}
	assert_ok(ftmpi_broadcast(world, &digest, sizeof digest, FTMPI_CHIEF));
	return digest;
}

/* Train to step 15, with a loss that is NaN once or not. @param fail_at a hook fails there, and a second train goes on; 0: not. */
static ftmpi_digest train_to_15(const char *dir, const char *fault, int64_t max_rollbacks, int64_t fail_at)
{
	struct journal first = {.fail_at = fail_at}, second = {.n = 0};
	ftmpi_estimator *e = create_with(dir, true, FTMPI_UNSET, max_rollbacks);

	assert_ok(ftmpi_failpoints_arm(fault, ftmpi_comm_rank(world)));
	if (fail_at > 0)
		assert_fails(train(e, &first, 0, 0, 15), FTMPI_ERR_INTERNAL, "interrupted");
	assert_ok(train(e, &second, 0, 0, 15));
	assert_ok(ftmpi_failpoints_arm(NULL, 0));
	ftmpi_estimator_destroy(&e);
	return end_of(dir);
}

/* With rollbacks a loss that is NaN once makes the training go back to the last checkpoint and on without that batch, to one end, interrupted or not. A hook
 * that would make the NaN a normal end does not. Without them it is an error. */
static void test_rollback(void **state)
{
	const char *fault = "step.loss:nan,hit=7";
	const ftmpi_digest gone_back = train_to_15("rollback", fault, 3, 0);
	const ftmpi_input input = ftmpi_numpy_input(data, BATCH, 0, true);
	ftmpi_hook *hook = NULL;
	ftmpi_estimator *e = NULL;

	(void)state;
	assert_true(ftmpi_digest_equal(train_to_15("interrupted", fault, 3, 10), gone_back));
	assert_false(ftmpi_digest_equal(train_to_15("smooth", NULL, 3, 0), gone_back));

	assert_ok(ftmpi_nan_tensor_hook_create(false, &hook));
	const ftmpi_hook *const hooks[] = {hook};
	const ftmpi_train_options options = {.hooks = hooks, .n_hooks = 1, .max_steps = 15};
	e = create_with("hook", true, FTMPI_UNSET, 3);
	assert_ok(ftmpi_failpoints_arm(fault, ftmpi_comm_rank(world)));
	assert_ok(ftmpi_estimator_train(e, &input, &options));
	assert_true(ftmpi_digest_equal(end_of("hook"), gone_back));
	ftmpi_hook_destroy(&hook);
	ftmpi_estimator_destroy(&e);

	e = create("diverged", true);
	assert_ok(ftmpi_failpoints_arm(fault, ftmpi_comm_rank(world)));
	assert_fails(ftmpi_estimator_train(e, &input, &(ftmpi_train_options){.max_steps = 15}), FTMPI_ERR_DIVERGED,
		     "NaN");
	assert_ok(ftmpi_failpoints_arm(NULL, 0));
	ftmpi_estimator_destroy(&e);
}

static void test_errors(void **state)
{
	ftmpi_estimator *e = NULL;
	ftmpi_dnn_options options;
	ftmpi_run_config config;
	ftmpi_evaluation evaluation;
	const ftmpi_input all = ftmpi_numpy_input(data, BATCH, 1, false);

	(void)state;
	ftmpi_dnn_options_init(&options);
	options.feature_dims = dims;
	options.n_feature_dims = 1;
	ftmpi_run_config_init(&config);
	assert_fails(ftmpi_dnn_classifier_create(world, &options, &config, &e), FTMPI_ERR_USAGE, "model_dir");
	config.model_dir = "errors";
	config.save_checkpoints_steps = 5;
	config.save_checkpoints_secs = 5;
	assert_fails(ftmpi_dnn_classifier_create(world, &options, &config, &e), FTMPI_ERR_USAGE, "not both");
	config.save_checkpoints_secs = FTMPI_SAVE_AUTO;
	assert_fails(ftmpi_dnn_classifier_create(world, &options, &config, &e), FTMPI_ERR_USAGE, "not both");
	config.save_checkpoints_steps = 0;
	config.save_checkpoints_overhead = 0;
	assert_fails(ftmpi_dnn_classifier_create(world, &options, &config, &e), FTMPI_ERR_USAGE, "overhead");
	config.save_checkpoints_secs = 0;
	config.max_rollbacks = 1;
	assert_fails(ftmpi_dnn_classifier_create(world, &options, &config, &e), FTMPI_ERR_USAGE,
		     "checkpoints to go back to");
	e = create("errors", true);
	assert_fails(ftmpi_estimator_evaluate(e, &all, NULL, &evaluation), FTMPI_ERR_NOT_FOUND, "errors");
	ftmpi_estimator_destroy(&e);
}

/* What is wrong with a configuration is said when the estimator is made, with the field's name. */
static void test_config(void **state)
{
	const int n = ftmpi_comm_size(world);
	ftmpi_run_config good, config;
	ftmpi_dnn_options options;

	(void)state;
	ftmpi_dnn_options_init(&options);
	options.feature_dims = dims;
	options.n_feature_dims = 1;
	ftmpi_run_config_init(&good);
	good.model_dir = "config";
	good.save_checkpoints_secs = 0;
#define REFUSES(field, value, says)                                                                                    \
	do {                                                                                                           \
		ftmpi_estimator *e = NULL;                                                                             \
		config = good;                                                                                         \
		config.field = (value);                                                                                \
		assert_fails(ftmpi_dnn_classifier_create(world, &options, &config, &e), FTMPI_ERR_USAGE, says);        \
	} while (0)
	REFUSES(save_summary_steps, -1, "save_summary_steps is -1");
	REFUSES(save_checkpoints_steps, -2, "save_checkpoints_steps is -2");
	REFUSES(save_checkpoints_secs, -5, "save_checkpoints_secs is -5");
	REFUSES(save_checkpoints_secs, NAN, "save_checkpoints_secs is nan");
	REFUSES(keep_checkpoint_max, -3, "keep_checkpoint_max is -3");
	REFUSES(keep_checkpoint_every_n_hours, -1, "keep_checkpoint_every_n_hours is -1");
	REFUSES(keep_checkpoint_every_n_hours, NAN, "keep_checkpoint_every_n_hours is nan");
	REFUSES(log_step_count_steps, 0, "log_step_count_steps is 0");
	REFUSES(n_workers, -1, "n_workers is -1");
	if (n > 1)
		REFUSES(n_workers, n - 1, "RunConfig: n_workers is");
#undef REFUSES
	assert_int_equal(access("config", F_OK), -1);
}

static void test_dnn_options(void **state)
{
	ftmpi_run_config config;
	ftmpi_dnn_options good, options;

	(void)state;
	ftmpi_run_config_init(&config);
	config.model_dir = "options";
	ftmpi_dnn_options_init(&good);
	good.feature_dims = dims;
	good.n_feature_dims = 1;
	good.hidden_units = hidden;
	good.n_hidden_units = 1;
#define REFUSES(kind, field, value, says)                                                                              \
	do {                                                                                                           \
		ftmpi_estimator *e = NULL;                                                                             \
		options = good;                                                                                        \
		options.field = (value);                                                                               \
		assert_fails(ftmpi_dnn_##kind##_create(world, &options, &config, &e), FTMPI_ERR_USAGE, says);          \
	} while (0)
	REFUSES(classifier, feature_dims, NULL, "feature_dims, the shape of a sample, must be given");
	REFUSES(classifier, n_feature_dims, 0, "feature_dims");
	REFUSES(classifier, hidden_units, NULL, "1 hidden layers, but no hidden_units");
	REFUSES(classifier, n_hidden_units, -1, "-1 hidden layers");
	REFUSES(classifier, dropout, -0.1, "dropout is -0.1");
	REFUSES(classifier, dropout, NAN, "dropout is nan");
	REFUSES(classifier, dropout, 1, "dropout is 1");
	REFUSES(classifier, n_classes, 1, "n_classes is 1: give 2 or more");
	REFUSES(classifier, loss_reduction, (ftmpi_loss_reduction)7, "loss_reduction");
	REFUSES(classifier, optimizer.learning_rate, -1, "learning_rate");
	REFUSES(regressor, label_dimension, 0, "label_dimension is 0: give 1 or more");
#undef REFUSES
}

/* Without saves a listener would never be called, and an evaluation would find nothing: said before the training, not after it. */
static void test_no_saves(void **state)
{
	ftmpi_run_config config;
	ftmpi_dnn_options options;
	ftmpi_estimator *e = NULL;
	ftmpi_evaluation evaluation;
	struct journal steps = {.n = 0};
	const ftmpi_input input = ftmpi_numpy_input(targets, BATCH, 1, false);
	const ftmpi_hook hook = {.context = &steps, .after_run = on_after_run};
	const ftmpi_hook *const hooks[] = {&hook};
	const ftmpi_train_options how = {.hooks = hooks, .n_hooks = 1};

	(void)state;
	ftmpi_dnn_options_init(&options);
	options.feature_dims = dims;
	options.n_feature_dims = 1;
	ftmpi_run_config_init(&config);
	config.model_dir = "no_saves";
	config.save_checkpoints_secs = 0;
	assert_ok(ftmpi_dnn_regressor_create(world, &options, &config, &e));
	assert_fails(ftmpi_estimator_train_and_evaluate(e, &input, &how, &input, 0, &evaluation), FTMPI_ERR_USAGE,
		     "no saves: give the RunConfig save_checkpoints_steps or save_checkpoints_secs");
	assert_int_equal(steps.n, 0);
	assert_ok(ftmpi_estimator_train(e, &input, &how));
	assert_int_equal(steps.n, STEPS_AN_EPOCH);
	ftmpi_estimator_destroy(&e);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_order, setup, teardown),
	cmocka_unit_test_setup_teardown(test_steps, setup, teardown),
	cmocka_unit_test_setup_teardown(test_standard_hooks, setup, teardown),
	cmocka_unit_test_setup_teardown(test_regressor, setup, teardown),
	cmocka_unit_test_setup_teardown(test_interval, setup, teardown),
	cmocka_unit_test_setup_teardown(test_rollback, setup, teardown),
	cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
	cmocka_unit_test_setup_teardown(test_no_saves, setup, teardown),
	cmocka_unit_test_setup_teardown(test_config, setup, teardown),
	cmocka_unit_test_setup_teardown(test_dnn_options, setup, teardown),
};
FTMPI_TEST_MAIN(tests)
