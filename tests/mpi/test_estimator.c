/* SPDX-License-Identifier: Apache-2.0 */
/* The Estimator: order of hooks and listeners, steps and max_steps, the input's place over interruptions, a regressor that learns, errors. */
#include "mpi/mpi_test.h"

#include <ftmpi/ftmpi.h>
#include <math.h>
#include <sys/stat.h>

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

static ftmpi_estimator *create(const char *dir, bool classifier)
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
	config.save_checkpoints_steps = 4;
	config.save_summary_steps = 0;
	config.n_workers = 4;
	assert_ok((classifier ? ftmpi_dnn_classifier_create : ftmpi_dnn_regressor_create)(world, &options, &config,
											  &estimator));
	return estimator;
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
	const ftmpi_input all = ftmpi_numpy_input(data, BATCH, 1, false);

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
	assert_fails(train(e, &d, 0, 0, 0), FTMPI_ERR_USAGE, "when the training ends");
	ftmpi_estimator_destroy(&e);
}

static void test_standard_hooks(void **state)
{
	ftmpi_estimator *e = create("hooks", true);
	const ftmpi_input input = ftmpi_numpy_input(data, BATCH, 0, true),
			  all = ftmpi_numpy_input(data, BATCH, 1, false);
	ftmpi_hook *hooks[4] = {NULL};
	ftmpi_evaluation evaluation;

	(void)state;
	assert_ok(ftmpi_stop_at_step_hook_create(5, 0, &hooks[0]));
	assert_ok(ftmpi_step_counter_hook_create(2, &hooks[1]));
	assert_ok(ftmpi_logging_tensor_hook_create(2, &hooks[2]));
	assert_ok(ftmpi_nan_tensor_hook_create(false, &hooks[3]));
	const ftmpi_hook *const all_hooks[] = {hooks[0], hooks[1], hooks[2], hooks[3]};
	const ftmpi_train_options options = {.hooks = all_hooks, .n_hooks = 4, .max_steps = 100};
	assert_ok(ftmpi_estimator_train(e, &input, &options));
	assert_ok(ftmpi_estimator_evaluate(e, &all, NULL, &evaluation));
	assert_int_equal(evaluation.global_step, 5);
	assert_ok(ftmpi_estimator_train(e, &input, &options)); /* five more */
	assert_ok(ftmpi_estimator_evaluate(e, &all, NULL, &evaluation));
	assert_int_equal(evaluation.global_step, 10);
	assert_ok(ftmpi_failpoints_arm("step.loss:nan,hit=2", ftmpi_comm_rank(world)));
	assert_ok(ftmpi_estimator_train(e, &input, &options)); /* a NaN is a normal end, and is not saved */
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
	e = create("errors", true);
	assert_fails(ftmpi_estimator_evaluate(e, &all, NULL, &evaluation), FTMPI_ERR_NOT_FOUND, "errors");
	ftmpi_estimator_destroy(&e);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_order, setup, teardown),
	cmocka_unit_test_setup_teardown(test_steps, setup, teardown),
	cmocka_unit_test_setup_teardown(test_standard_hooks, setup, teardown),
	cmocka_unit_test_setup_teardown(test_regressor, setup, teardown),
	cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
};
FTMPI_TEST_MAIN(tests)
