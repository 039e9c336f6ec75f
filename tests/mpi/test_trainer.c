/* SPDX-License-Identifier: Apache-2.0 */
/* The trainer through its public functions: the same bits on every number of ranks, from any checkpoint on; evaluation; the observer; errors. */
#include "mpi/mpi_test.h"

#include <ftmpi/ftmpi.h>
#include <math.h>

enum { N_SAMPLES = 103, N_FEATURES = 12, N_CLASSES = 3, N_WORKERS = 4 };

static float inputs[N_SAMPLES * N_FEATURES];
static int32_t labels[N_SAMPLES];
static ftmpi_dataset *data;
static ftmpi_model *model;

static int setup(void **state)
{
	const int64_t dims[] = {3, 4};
	const ftmpi_layer_spec specs[] = {{.kind = FTMPI_FLATTEN},
					  {.kind = FTMPI_DENSE, .units = 7, .activation = FTMPI_RELU},
					  {.kind = FTMPI_DROPOUT, .rate = 0.25},
					  {.kind = FTMPI_DENSE, .units = N_CLASSES}};
	ftmpi_dataset_options options;

	(void)state;
	ftmpi_dataset_options_init(&options);
	options.n_classes = N_CLASSES;
	for (int i = 0; i < N_SAMPLES; i++) {
		labels[i] = i % N_CLASSES;
		for (int k = 0; k < N_FEATURES; k++)
			inputs[i * N_FEATURES + k] = sinf((float)(i * 7 + k * 3)) + (float)(k % N_CLASSES == labels[i]);
	}
	assert_ok(ftmpi_dataset_from_memory(inputs, labels, N_SAMPLES, 2, dims, &options, &data));
	assert_ok(ftmpi_model_create(dims, 2, specs, 4, &model));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ftmpi_dataset_destroy(&data);
	ftmpi_model_destroy(&model);
	return 0;
}

static ftmpi_trainer *create(const ftmpi_comm *comm, int64_t max_steps)
{
	ftmpi_trainer *trainer = NULL;
	ftmpi_trainer_options options;
	ftmpi_optimizer optimizer;

	ftmpi_trainer_options_init(&options);
	ftmpi_optimizer_init(&optimizer, FTMPI_ADAM);
	options.batch_size = 10;
	options.n_workers = N_WORKERS;
	options.n_epochs = 0;
	options.max_steps = max_steps;
	options.save_epochs = 0;
	assert_ok(ftmpi_trainer_create(comm, model, &optimizer, data, data, &options, &trainer));
	return trainer;
}

/* State digest after `max_steps` steps on the first `n` ranks. */
static ftmpi_digest digest_on(int n, int64_t max_steps)
{
	ftmpi_comm *comm = NULL;
	ftmpi_digest digest = {0};

	assert_ok(ftmpi_comm_create_first(world, n, &comm));
	if (comm != NULL) {
		ftmpi_trainer *trainer = create(comm, max_steps);

		assert_ok(ftmpi_trainer_run(trainer, NULL, NULL));
		assert_ok(ftmpi_trainer_state_digest(trainer, &digest));
		ftmpi_trainer_destroy(&trainer);
		ftmpi_comm_destroy(&comm);
	}
	assert_ok(ftmpi_broadcast(world, &digest, sizeof digest, FTMPI_CHIEF));
	return digest;
}

static void test_same_bits(void **state)
{
	const ftmpi_digest one = digest_on(1, 25), other = digest_on(1, 26);

	(void)state;
	assert_false(ftmpi_digest_equal(one, other));
	for (int n = 2; n <= ftmpi_comm_size(world); n++)
		assert_true(ftmpi_digest_equal(digest_on(n, 25), one));
}

/* Stop at step 13, in the middle of the second epoch; go on in a new trainer on `n` ranks. */
static ftmpi_digest digest_resumed_on(int n)
{
	const bool chief = ftmpi_comm_is_chief(world);
	ftmpi_trainer *trainer = create(world, 13);
	ftmpi_store *store = NULL;
	ftmpi_reader *reader = NULL;
	ftmpi_comm *comm = NULL;
	ftmpi_store_options options;
	ftmpi_digest digest = {0};
	char directory[32];

	(void)snprintf(directory, sizeof directory, "run-on-%d", n);
	ftmpi_store_options_init(&options);
	if (chief)
		assert_ok(ftmpi_store_open(directory, &options, &store));
	assert_ok(ftmpi_trainer_run(trainer, store, NULL));
	ftmpi_trainer_destroy(&trainer);
	if (chief)
		assert_ok(ftmpi_store_open_latest(store, &reader));
	assert_ok(ftmpi_comm_create_first(world, n, &comm));
	if (comm != NULL) {
		trainer = create(comm, 25);
		assert_ok(ftmpi_trainer_restore(trainer, reader));
		assert_int_equal(ftmpi_trainer_progress(trainer).step, 13);
		assert_int_equal(ftmpi_trainer_progress(trainer).epoch, 1);
		assert_int_equal(ftmpi_trainer_progress(trainer).batch, 2);
		assert_ok(ftmpi_trainer_run(trainer, NULL, NULL));
		assert_ok(ftmpi_trainer_state_digest(trainer, &digest));
		ftmpi_trainer_destroy(&trainer);
		ftmpi_comm_destroy(&comm);
	}
	ftmpi_reader_close(&reader);
	ftmpi_store_close(&store);
	assert_ok(ftmpi_broadcast(world, &digest, sizeof digest, FTMPI_CHIEF));
	return digest;
}

static void test_resume(void **state)
{
	const ftmpi_digest whole = digest_on(1, 25);

	(void)state;
	for (int n = 1; n <= ftmpi_comm_size(world); n++)
		assert_true(ftmpi_digest_equal(digest_resumed_on(n), whole));
}

static void test_evaluator(void **state)
{
	ftmpi_trainer *trainer = create(world, 15);
	ftmpi_evaluator *evaluator = NULL;
	ftmpi_metrics metrics, again;
	float *outputs = NULL;
	int n_correct = 0;

	(void)state;
	assert_ok(ftmpi_trainer_run(trainer, NULL, NULL));
	assert_ok(ftmpi_evaluator_create(world, model, N_WORKERS, &evaluator));
	assert_ok(ftmpi_evaluator_run(evaluator, ftmpi_trainer_params(trainer), data, &metrics));
	assert_ok(ftmpi_evaluator_run(evaluator, ftmpi_trainer_params(trainer), data, &again));
	assert_memory_equal(&metrics, &again, sizeof metrics);
	assert_int_equal(metrics.n_samples, N_SAMPLES);
	if (ftmpi_comm_is_chief(world))
		assert_ok(FTMPI_ALLOC((int64_t)N_SAMPLES * N_CLASSES, &outputs));
	assert_ok(ftmpi_evaluator_predict(evaluator, ftmpi_trainer_params(trainer), data, outputs));
	for (int i = 0; i < N_SAMPLES && outputs != NULL; i++) {
		const float *row = outputs + (ptrdiff_t)i * N_CLASSES;

		n_correct += row[labels[i]] >= fmaxf(row[0], fmaxf(row[1], row[2]));
	}
	if (outputs != NULL)
		assert_true(fabs(metrics.accuracy - n_correct / (double)N_SAMPLES) < 1e-12);
	ftmpi_free(outputs);
	ftmpi_evaluator_destroy(&evaluator);
	ftmpi_trainer_destroy(&trainer);
}

/* Letters of the calls, in order. */
struct journal {
	char text[128];
	size_t n;
};

static void note(void *context, char letter)
{
	struct journal *journal = context;

	journal->text[journal->n++] = letter;
}

static void on_train_begin(void *context, const ftmpi_progress *progress)
{
	assert_int_equal(progress->step, 0);
	note(context, '<');
}

static void on_epoch_begin(void *context, const ftmpi_progress *progress)
{
	assert_int_equal(progress->batch, 0);
	note(context, '(');
}

static void on_step_end(void *context, const ftmpi_progress *progress)
{
	assert_true(isfinite(progress->batch_loss));
	note(context, '.');
}

static void on_epoch_end(void *context, const ftmpi_progress *progress)
{
	assert_int_equal(progress->batch, progress->n_batches);
	assert_int_equal(progress->validation.n_samples, N_SAMPLES);
	note(context, ')');
}

static void on_saved(void *context, const ftmpi_progress *progress, const char *file)
{
	assert_int_equal(progress->step, 12);
	assert_string_equal(file, "observed/ckpt-12.weights.h5");
	note(context, 's');
}

static void on_train_end(void *context, const ftmpi_progress *progress)
{
	assert_int_equal(progress->step, 12);
	note(context, '>');
}

static void test_observer(void **state)
{
	struct journal journal = {.n = 0};
	const ftmpi_observer observer = {.context = &journal,
					 .train_begin = on_train_begin,
					 .epoch_begin = on_epoch_begin,
					 .step_end = on_step_end,
					 .epoch_end = on_epoch_end,
					 .saved = on_saved,
					 .train_end = on_train_end};
	const bool chief = ftmpi_comm_is_chief(world);
	ftmpi_trainer *trainer = create(world, 12);
	ftmpi_store *store = NULL;
	ftmpi_store_options options;

	(void)state;
	ftmpi_store_options_init(&options);
	if (chief)
		assert_ok(ftmpi_store_open("observed", &options, &store));
	assert_ok(ftmpi_trainer_run(trainer, store, chief ? &observer : NULL));
	assert_true(ftmpi_trainer_finished(trainer));
	if (chief)
		assert_string_equal(journal.text, "<(...........)(.s>");
	ftmpi_trainer_destroy(&trainer);
	ftmpi_store_close(&store);
}

static void test_errors(void **state)
{
	const int64_t dims[] = {5};
	const float x[5] = {0};
	const int32_t y[1] = {0};
	ftmpi_trainer *trainer = NULL;
	ftmpi_dataset *small = NULL;
	ftmpi_dataset_options dataset_options;
	ftmpi_trainer_options options;
	ftmpi_optimizer optimizer;

	(void)state;
	ftmpi_dataset_options_init(&dataset_options);
	ftmpi_trainer_options_init(&options);
	ftmpi_optimizer_init(&optimizer, FTMPI_SGD);
	options.n_workers = ftmpi_comm_size(world) - 1;
	assert_fails(ftmpi_trainer_create(world, model, &optimizer, data, NULL, &options, &trainer), FTMPI_ERR_USAGE,
		     "logical workers");
	options.n_workers = N_WORKERS;
	assert_ok(ftmpi_dataset_from_memory(x, y, 1, 1, dims, &dataset_options, &small));
	assert_fails(ftmpi_trainer_create(world, model, &optimizer, small, NULL, &options, &trainer), FTMPI_ERR_DATA,
		     "5 numbers");
	ftmpi_dataset_destroy(&small);
	options.n_epochs = 0;
	assert_fails(ftmpi_trainer_create(world, model, &optimizer, data, NULL, &options, &trainer), FTMPI_ERR_USAGE,
		     "ends");
	options.n_epochs = 1;
	options.batch_size = 0;
	assert_fails(ftmpi_trainer_create(world, model, &optimizer, data, NULL, &options, &trainer), FTMPI_ERR_USAGE,
		     "0 samples");
	options.batch_size = 10;
	optimizer.learning_rate = -1;
	assert_fails(ftmpi_trainer_create(world, model, &optimizer, data, NULL, &options, &trainer), FTMPI_ERR_USAGE,
		     "learning");
	assert_null(trainer);
}

/* A loss that overflows ends the training on every rank, before anything is saved. */
static void test_divergence(void **state)
{
	ftmpi_trainer *trainer = NULL;
	ftmpi_trainer_options options;
	ftmpi_optimizer optimizer;

	(void)state;
	ftmpi_trainer_options_init(&options);
	ftmpi_optimizer_init(&optimizer, FTMPI_SGD);
	options.n_workers = N_WORKERS;
	optimizer.learning_rate = 1e30;
	assert_ok(ftmpi_trainer_create(world, model, &optimizer, data, NULL, &options, &trainer));
	assert_fails(ftmpi_trainer_run(trainer, NULL, NULL), FTMPI_ERR_DIVERGED, "diverged");
	ftmpi_trainer_destroy(&trainer);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_same_bits, setup, teardown),
	cmocka_unit_test_setup_teardown(test_resume, setup, teardown),
	cmocka_unit_test_setup_teardown(test_evaluator, setup, teardown),
	cmocka_unit_test_setup_teardown(test_observer, setup, teardown),
	cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
	cmocka_unit_test_setup_teardown(test_divergence, setup, teardown),
};
FTMPI_TEST_MAIN(tests)
