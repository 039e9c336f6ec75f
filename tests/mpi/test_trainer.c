/* SPDX-License-Identifier: Apache-2.0 */
/* The trainer through its public functions: the same bits on every number of ranks, from any checkpoint on; evaluation; callbacks; errors. */
#include "mpi/trainer_test.h"

static ftmpi_trainer *create(const ftmpi_comm *comm)
{
	ftmpi_trainer *trainer = NULL;
	ftmpi_trainer_options options;
	ftmpi_compile compile;

	ftmpi_trainer_options_init(&options);
	ftmpi_compile_init(&compile);
	options.n_workers = N_WORKERS;
	assert_ok(ftmpi_trainer_create(comm, model, &compile, &options, &trainer));
	return trainer;
}

/* What the callbacks of these tests work with. */
struct own {
	const ftmpi_reader *reader; /* restored from, chief only; with `resumes` */
	bool resumes;
	ftmpi_digest digest; /* of the end */
};

static ftmpi_status restore(void *context, ftmpi_fit *fit)
{
	const struct own *own = context;

	return own->resumes ? ftmpi_checkpoint_restore_reader(ftmpi_fit_checkpoint(fit), own->reader) : FTMPI_OK;
}

static ftmpi_status take_digest(void *context, ftmpi_fit *fit)
{
	struct own *own = context;

	return ftmpi_checkpoint_state_digest(ftmpi_fit_checkpoint(fit), &own->digest);
}

static ftmpi_fit_options fit_options(int64_t max_steps)
{
	ftmpi_fit_options options;

	ftmpi_fit_options_init(&options);
	options.train = options.validation = data;
	options.batch_size = 10;
	options.epochs = 0;
	options.max_steps = max_steps;
	return options;
}

/* Fit with `own` and, where there is one, another callback. */
static ftmpi_status fit(ftmpi_trainer *trainer, int64_t max_steps, struct own *own, const ftmpi_callback *other)
{
	const ftmpi_callback callback = {.context = own, .restore = restore, .train_end = take_digest};
	const ftmpi_callback *callbacks[] = {&callback, other};
	ftmpi_fit_options options = fit_options(max_steps);

	options.callbacks = callbacks;
	options.n_callbacks = other == NULL ? 1 : 2;
	return ftmpi_trainer_fit(trainer, &options);
}

/* State digest after `max_steps` steps on the first `n` ranks. */
static ftmpi_digest digest_on(int n, int64_t max_steps)
{
	ftmpi_comm *comm = NULL;
	struct own own = {.resumes = false};

	assert_ok(ftmpi_comm_create_first(world, n, &comm));
	if (comm != NULL) {
		ftmpi_trainer *trainer = create(comm);

		assert_ok(fit(trainer, max_steps, &own, NULL));
		ftmpi_trainer_destroy(&trainer);
		ftmpi_comm_destroy(&comm);
	}
	assert_ok(ftmpi_broadcast(world, &own.digest, sizeof own.digest, FTMPI_CHIEF));
	return own.digest;
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
	ftmpi_trainer *trainer = create(world);
	ftmpi_store *store = NULL;
	ftmpi_reader *reader = NULL;
	ftmpi_saver *saver = NULL;
	ftmpi_comm *comm = NULL;
	ftmpi_store_options options;
	ftmpi_saver_options saver_options;
	struct own own = {.resumes = false};
	char directory[32];

	(void)snprintf(directory, sizeof directory, "run-on-%d", n);
	ftmpi_store_options_init(&options);
	ftmpi_saver_options_init(&saver_options);
	if (chief)
		assert_ok(ftmpi_store_open(directory, &options, &store));
	assert_ok(ftmpi_saver_create(store, &saver_options, &saver));
	assert_ok(fit(trainer, 13, &own, ftmpi_saver_callback(saver)));
	ftmpi_trainer_destroy(&trainer);
	if (chief)
		assert_ok(ftmpi_store_open_latest(store, &reader));
	assert_ok(ftmpi_comm_create_first(world, n, &comm));
	if (comm != NULL) {
		trainer = create(comm);
		own = (struct own){.reader = reader, .resumes = true};
		assert_ok(fit(trainer, 25, &own, NULL));
		assert_int_equal(ftmpi_learner_step_count(ftmpi_trainer_learner(trainer)), 25);
		assert_int_equal(ftmpi_learner_times(ftmpi_trainer_learner(trainer)).n_steps, 12);
		ftmpi_trainer_destroy(&trainer);
		ftmpi_comm_destroy(&comm);
	}
	ftmpi_saver_destroy(&saver);
	ftmpi_reader_close(&reader);
	ftmpi_store_close(&store);
	assert_ok(ftmpi_broadcast(world, &own.digest, sizeof own.digest, FTMPI_CHIEF));
	return own.digest;
}

static void test_resume(void **state)
{
	const ftmpi_digest whole = digest_on(1, 25);

	(void)state;
	for (int n = 1; n <= ftmpi_comm_size(world); n++)
		assert_true(ftmpi_digest_equal(digest_resumed_on(n), whole));
}

static void test_evaluate(void **state)
{
	ftmpi_trainer *trainer = create(world);
	ftmpi_metrics metrics, again;
	struct own own = {.resumes = false};
	float *outputs = NULL;
	int n_correct = 0;

	(void)state;
	assert_ok(fit(trainer, 15, &own, NULL));
	assert_ok(ftmpi_trainer_evaluate(trainer, data, &metrics));
	assert_ok(ftmpi_trainer_evaluate(trainer, data, &again));
	assert_memory_equal(&metrics, &again, sizeof metrics);
	assert_int_equal(metrics.n_samples, N_SAMPLES);
	if (ftmpi_comm_is_chief(world))
		assert_ok(FTMPI_ALLOC((int64_t)N_SAMPLES * N_CLASSES, &outputs));
	assert_ok(ftmpi_trainer_predict(trainer, data, outputs));
	for (int i = 0; i < N_SAMPLES && outputs != NULL; i++) {
		const float *row = outputs + (ptrdiff_t)i * N_CLASSES;

		n_correct += row[labels[i]] >= fmaxf(row[0], fmaxf(row[1], row[2]));
	}
	if (outputs != NULL)
		assert_true(fabs(metrics.values[0] - n_correct / (double)N_SAMPLES) < 1e-12);
	ftmpi_free(outputs);
	ftmpi_trainer_destroy(&trainer);
}

/* Letters of the calls, in order. */
struct journal {
	char text[256];
	size_t n;
	int64_t stop_at; /* step at which to stop the training; 0: never */
	bool fails;      /* the last rank fails at the end of the first epoch */
};

static ftmpi_status note(struct journal *journal, char letter)
{
	journal->text[journal->n++] = letter;
	return FTMPI_OK;
}

static ftmpi_status on_attach(void *context, ftmpi_fit *f)
{
	assert_ptr_equal(ftmpi_fit_comm(f), world);
	return note(context, 'a');
}

static ftmpi_status on_train_begin(void *context, ftmpi_fit *f)
{
	assert_false(ftmpi_fit_progress(f).resumed);
	return note(context, '<');
}

static ftmpi_status on_epoch_begin(void *context, ftmpi_fit *f)
{
	assert_int_equal(ftmpi_fit_progress(f).batch, 0);
	return note(context, '(');
}

static ftmpi_status on_batch_begin(void *context, ftmpi_fit *f)
{
	(void)f;
	return note(context, 'b');
}

static ftmpi_status on_batch_end(void *context, ftmpi_fit *f)
{
	struct journal *journal = context;
	double loss = NAN, accuracy = NAN;

	assert_true(isfinite(ftmpi_fit_progress(f).batch_loss));
	assert_true(ftmpi_logs_find(ftmpi_fit_logs(f), "loss", &loss) && isfinite(loss));
	assert_true(ftmpi_logs_find(ftmpi_fit_logs(f), "accuracy", &accuracy) && accuracy >= 0 && accuracy <= 1);
	assert_false(ftmpi_logs_find(ftmpi_fit_logs(f), "val_loss", &loss));
	if (ftmpi_fit_progress(f).step == journal->stop_at)
		ftmpi_fit_stop(f);
	return note(journal, '.');
}

static ftmpi_status on_test_begin(void *context, ftmpi_fit *f)
{
	(void)f;
	return note(context, '[');
}

static ftmpi_status on_test_end(void *context, ftmpi_fit *f)
{
	assert_int_equal(ftmpi_fit_logs(f)->n, 2);
	return note(context, ']');
}

static ftmpi_status on_epoch_end(void *context, ftmpi_fit *f)
{
	struct journal *journal = context;
	const ftmpi_logs *logs = ftmpi_fit_logs(f);

	assert_int_equal(ftmpi_fit_progress(f).batch, ftmpi_fit_progress(f).n_batches);
	assert_int_equal(ftmpi_fit_progress(f).epoch, 0);
	assert_int_equal(logs->n, 4);
	assert_string_equal(logs->names[0], "accuracy");
	assert_string_equal(logs->names[3], "val_loss");
	if (journal->fails && ftmpi_comm_rank(world) == ftmpi_comm_size(world) - 1)
		return ftmpi_error_set(FTMPI_ERR_IO, __FILE__, __LINE__, "the callback's own trouble");
	return note(journal, ')');
}

static ftmpi_status on_settled(void *context, ftmpi_fit *f)
{
	assert_int_equal(ftmpi_fit_progress(f).epoch, ftmpi_fit_progress(f).step >= 11);
	return note(context, 's');
}

static ftmpi_status on_train_end(void *context, ftmpi_fit *f)
{
	(void)f;
	return note(context, '>');
}

static void on_detach(void *context)
{
	(void)note(context, 'd');
}

static ftmpi_callback journal_callback(struct journal *journal)
{
	return (ftmpi_callback){.context = journal,
				.attach = on_attach,
				.train_begin = on_train_begin,
				.epoch_begin = on_epoch_begin,
				.batch_begin = on_batch_begin,
				.batch_end = on_batch_end,
				.test_begin = on_test_begin,
				.test_end = on_test_end,
				.epoch_end = on_epoch_end,
				.settled = on_settled,
				.train_end = on_train_end,
				.detach = on_detach};
}

static ftmpi_status fit_with_journal(struct journal *journal, int64_t steps_per_execution, const double **losses,
				     int64_t *n)
{
	const ftmpi_callback callback = journal_callback(journal);
	const ftmpi_callback *const callbacks[] = {&callback};
	ftmpi_trainer *trainer = create(world);
	ftmpi_fit_options options = fit_options(12);
	ftmpi_status status;
	static double kept[4];

	options.callbacks = callbacks;
	options.n_callbacks = 1;
	options.steps_per_execution = steps_per_execution;
	status = ftmpi_trainer_fit(trainer, &options);
	*n = ftmpi_trainer_history(trainer, "val_loss", losses);
	assert_true(*n <= 4);
	memcpy(kept, *losses == NULL ? kept : *losses, (size_t)*n * sizeof *kept);
	*losses = kept;
	ftmpi_trainer_destroy(&trainer);
	return status;
}

/* The points in their order, whatever steps_per_execution is; the results do not depend on it. */
static void test_callbacks(void **state)
{
	struct journal each = {.n = 0}, by_five = {.n = 0};
	const double *losses = NULL;
	double loss;
	int64_t n;

	(void)state;
	assert_ok(fit_with_journal(&each, 1, &losses, &n));
	assert_int_equal(n, 1);
	loss = losses[0];
	assert_string_equal(each.text, "a<(b.sb.sb.sb.sb.sb.sb.sb.sb.sb.sb.[])s(b.s>d");
	assert_ok(fit_with_journal(&by_five, 5, &losses, &n));
	assert_true(losses[0] == loss);
	assert_string_equal(by_five.text, "a<(bssss.sbssss.sb.[])s(b.s>d");
}

static void test_stop(void **state)
{
	struct journal journal = {.stop_at = 4};
	const double *losses = NULL;
	int64_t n;

	(void)state;
	assert_ok(fit_with_journal(&journal, 1, &losses, &n));
	assert_int_equal(n, 0);
	assert_string_equal(journal.text, "a<(b.sb.sb.sb.s>d");
}

/* A callback that fails on one rank ends the fit on all, with its message; train_end does not run. */
static void test_failing_callback(void **state)
{
	struct journal journal = {.fails = true};
	const double *losses = NULL;
	int64_t n;

	(void)state;
	assert_fails(fit_with_journal(&journal, 1, &losses, &n), FTMPI_ERR_IO, "the callback's own trouble");
	assert_int_equal(journal.text[journal.n - 1], 'd');
	assert_null(strchr(journal.text, '>'));
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
	ftmpi_fit_options how = fit_options(0);
	ftmpi_compile compile;
	const ftmpi_callback *const forgotten[] = {NULL};

	(void)state;
	ftmpi_dataset_options_init(&dataset_options);
	ftmpi_trainer_options_init(&options);
	ftmpi_compile_init(&compile);
	options.n_workers = ftmpi_comm_size(world) - 1;
	assert_fails(ftmpi_trainer_create(world, model, &compile, &options, &trainer), FTMPI_ERR_USAGE,
		     "logical workers");
	options.n_workers = N_WORKERS;
	compile.optimizer.learning_rate = -1;
	assert_fails(ftmpi_trainer_create(world, model, &compile, &options, &trainer), FTMPI_ERR_USAGE, "learning");
	assert_null(trainer);
	trainer = create(world);
	assert_fails(ftmpi_trainer_fit(trainer, &how), FTMPI_ERR_USAGE, "ends");
	how.epochs = 1;
	how.batch_size = 0;
	assert_fails(ftmpi_trainer_fit(trainer, &how), FTMPI_ERR_USAGE, "0 samples");
	how.batch_size = 10;
	how.steps_per_execution = 0;
	assert_fails(ftmpi_trainer_fit(trainer, &how), FTMPI_ERR_USAGE, "0 steps");
	how.steps_per_execution = 1;
	how.n_callbacks = -1;
	assert_fails(ftmpi_trainer_fit(trainer, &how), FTMPI_ERR_USAGE, "-1 callbacks, but no list of them");
	how.n_callbacks = 1;
	assert_fails(ftmpi_trainer_fit(trainer, &how), FTMPI_ERR_USAGE, "1 callbacks, but no list of them");
	how.callbacks = forgotten;
	assert_fails(ftmpi_trainer_fit(trainer, &how), FTMPI_ERR_USAGE, "callback 0 is NULL");
	how.callbacks = NULL;
	how.n_callbacks = 0;
	assert_ok(ftmpi_dataset_from_memory(x, y, 1, 1, dims, &dataset_options, &small));
	how.train = small;
	assert_fails(ftmpi_trainer_fit(trainer, &how), FTMPI_ERR_DATA, "5 numbers");
	ftmpi_dataset_destroy(&small);
	ftmpi_trainer_destroy(&trainer);
}

static ftmpi_status stop_when_diverged(void *context, ftmpi_fit *f)
{
	bool *called = context;

	*called = true;
	ftmpi_fit_stop(f);
	return FTMPI_OK;
}

/* A loss that overflows ends the training on every rank, before anything is changed by it; a callback may make that a normal end. */
static void test_divergence(void **state)
{
	ftmpi_trainer *trainer = NULL;
	ftmpi_trainer_options options;
	ftmpi_fit_options how = fit_options(40);
	ftmpi_compile compile;
	bool called = false;
	const ftmpi_callback callback = {.context = &called, .diverged = stop_when_diverged};
	const ftmpi_callback *const callbacks[] = {&callback};

	(void)state;
	ftmpi_trainer_options_init(&options);
	ftmpi_compile_init(&compile);
	ftmpi_optimizer_init(&compile.optimizer, FTMPI_SGD);
	options.n_workers = N_WORKERS;
	compile.optimizer.learning_rate = 1e30;
	assert_ok(ftmpi_trainer_create(world, model, &compile, &options, &trainer));
	assert_fails(ftmpi_trainer_fit(trainer, &how), FTMPI_ERR_DIVERGED, "diverged");
	ftmpi_trainer_destroy(&trainer);
	assert_ok(ftmpi_trainer_create(world, model, &compile, &options, &trainer));
	how.callbacks = callbacks;
	how.n_callbacks = 1;
	assert_ok(ftmpi_trainer_fit(trainer, &how));
	assert_true(called);
	ftmpi_trainer_destroy(&trainer);
}

/* A rank whose copy of the parameters makes the loss NaN is no training that diverges. */
static void test_faulty_rank(void **state)
{
	const bool alone = ftmpi_comm_size(world) == 1;
	ftmpi_trainer *trainer = NULL;
	ftmpi_trainer_options options;
	ftmpi_fit_options how = fit_options(40);
	ftmpi_compile compile;

	(void)state;
	ftmpi_trainer_options_init(&options);
	ftmpi_compile_init(&compile);
	options.n_workers = N_WORKERS;
	options.compare_steps = 0;
	assert_ok(ftmpi_trainer_create(world, model, &compile, &options, &trainer));
	if (ftmpi_comm_rank(world) == 0)
		ftmpi_learner_params(ftmpi_trainer_learner(trainer))[0] = NAN;
	assert_fails(ftmpi_trainer_fit(trainer, &how), alone ? FTMPI_ERR_DIVERGED : FTMPI_ERR_REPLICA,
		     alone ? "diverged" : "the parameters at step 0");
	ftmpi_trainer_destroy(&trainer);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_same_bits, setup, teardown),
	cmocka_unit_test_setup_teardown(test_resume, setup, teardown),
	cmocka_unit_test_setup_teardown(test_evaluate, setup, teardown),
	cmocka_unit_test_setup_teardown(test_callbacks, setup, teardown),
	cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
	cmocka_unit_test_setup_teardown(test_failing_callback, setup, teardown),
	cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
	cmocka_unit_test_setup_teardown(test_divergence, setup, teardown),
	cmocka_unit_test_setup_teardown(test_faulty_rank, setup, teardown),
};
FTMPI_TEST_MAIN(tests)
