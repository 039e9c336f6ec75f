/* SPDX-License-Identifier: Apache-2.0 */
/* Passing over batches, and going back when a fit diverges: the end is that of a training that never saw them, to the last bit. */
#include "mpi/trainer_test.h"

enum { BATCH = 10, N_BATCHES = 11, MAX_SKIPPED = 16 };

static ftmpi_trainer *create(double learning_rate)
{
	ftmpi_trainer *trainer = NULL;
	ftmpi_trainer_options options;
	ftmpi_compile compile;

	ftmpi_trainer_options_init(&options);
	ftmpi_compile_init(&compile);
	ftmpi_optimizer_init(&compile.optimizer, FTMPI_SGD);
	compile.optimizer.learning_rate = learning_rate;
	options.n_workers = N_WORKERS;
	assert_ok(ftmpi_trainer_create(world, model, &compile, &options, &trainer));
	return trainer;
}

/* One fit that can go back, and what a callback of its own sees of it. */
struct run {
	ftmpi_fit_options how;
	ftmpi_saver_options save;
	int64_t max_rollbacks;
	double learning_rate;
	const char *fault;
	int64_t jump_at; /* after this step the learning rate is another one, once; 0: never */
	float jump_to;
	char directory[64];
	const ftmpi_callback *more[2]; /* NULL: none */

	ftmpi_trainer *trainer;
	bool just_rewound;
	int n_diverged, n_rewound, n_epochs;
	char journal[16];       /* the calls after going back until the next batch_begin */
	ftmpi_progress rewound; /* as it was then */
};

static struct run options_of(const char *name, int64_t max_steps, int64_t save_steps)
{
	struct run r = {.save = {.save_steps = save_steps, .at_begin = true},
			.max_rollbacks = 3,
			.learning_rate = 0.1,
			.jump_to = 100};

	ftmpi_fit_options_init(&r.how);
	r.how.train = r.how.validation = data;
	r.how.batch_size = BATCH;
	r.how.epochs = 0;
	r.how.max_steps = max_steps;
	(void)snprintf(r.directory, sizeof r.directory, "%s", name);
	return r;
}

static void note(struct run *r, char letter)
{
	const size_t n = strlen(r->journal);

	if (r->n_rewound == 1 && (n == 0 || r->journal[n - 1] != 'b') && n + 1 < sizeof r->journal)
		r->journal[n] = letter;
}

static ftmpi_status on_epoch_begin(void *context, ftmpi_fit *f)
{
	(void)f;
	note(context, '(');
	return FTMPI_OK;
}

static ftmpi_status on_batch_begin(void *context, ftmpi_fit *f)
{
	(void)f;
	note(context, 'b');
	return FTMPI_OK;
}

static ftmpi_status on_batch_end(void *context, ftmpi_fit *f)
{
	struct run *r = context;

	if (r->jump_at > 0 && ftmpi_fit_progress(f).step == r->jump_at) {
		ftmpi_learner_set_learning_rate(ftmpi_fit_learner(f), r->jump_to);
		r->jump_at = 0;
	}
	return FTMPI_OK;
}

static ftmpi_status on_epoch_end(void *context, ftmpi_fit *f)
{
	struct run *r = context;

	(void)f;
	r->n_epochs++;
	note(r, ')');
	return FTMPI_OK;
}

static ftmpi_status on_diverged(void *context, ftmpi_fit *f)
{
	struct run *r = context;

	assert_true(ftmpi_fit_diverged(f));
	r->n_diverged++;
	return FTMPI_OK;
}

static ftmpi_status on_rewound(void *context, ftmpi_fit *f)
{
	struct run *r = context;

	assert_true(ftmpi_fit_rewound(f));
	r->rewound = ftmpi_fit_progress(f);
	r->n_rewound++;
	r->just_rewound = true;
	note(r, 'r');
	return FTMPI_OK;
}

static ftmpi_status on_settled(void *context, ftmpi_fit *f)
{
	struct run *r = context;

	assert_true(ftmpi_fit_rewound(f) == r->just_rewound);
	r->just_rewound = false;
	note(r, 's');
	return FTMPI_OK;
}

/* The trainer stays, to be looked at. */
static ftmpi_status run(struct run *r)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_callback own = {.context = r,
				    .epoch_begin = on_epoch_begin,
				    .batch_begin = on_batch_begin,
				    .batch_end = on_batch_end,
				    .epoch_end = on_epoch_end,
				    .diverged = on_diverged,
				    .rewound = on_rewound,
				    .settled = on_settled};
	const ftmpi_callback *callbacks[5] = {&own, NULL, NULL, r->more[0], r->more[1]};
	ftmpi_fit_options how = r->how;
	ftmpi_store_options store_options;
	ftmpi_store *store = NULL;
	ftmpi_saver *saver = NULL;
	ftmpi_rollback *rollback = NULL;

	ftmpi_store_options_init(&store_options);
	if (ftmpi_comm_is_chief(world))
		assert_ok(ftmpi_store_open(r->directory, &store_options, &store));
	assert_ok(ftmpi_saver_create(store, &r->save, &saver));
	assert_ok(ftmpi_rollback_create(saver, r->max_rollbacks, &rollback));
	callbacks[1] = ftmpi_saver_callback(saver);
	callbacks[2] = ftmpi_rollback_callback(rollback);
	how.callbacks = callbacks;
	how.n_callbacks = r->more[0] == NULL ? 3 : r->more[1] == NULL ? 4 : 5;
	r->trainer = create(r->learning_rate);
	assert_ok(ftmpi_failpoints_arm(r->fault, ftmpi_comm_rank(world)));
	status = ftmpi_trainer_fit(r->trainer, &how);
	assert_ok(ftmpi_failpoints_arm(NULL, 0));
	ftmpi_rollback_destroy(&rollback);
	ftmpi_saver_destroy(&saver);
	ftmpi_store_close(&store);
	return status;
}

/* The list of what is passed over in the newest checkpoint: pairs of epoch and number of the batch. @return how many. */
static int read_skipped(const char *directory, int64_t (*skipped)[2])
{
	ftmpi_reader *reader = NULL;
	ftmpi_buffer buffer = {0};
	const int64_t *numbers;
	int n;

	assert_ok(ftmpi_load_checkpoint(directory, &reader));
	assert_ok(ftmpi_reader_read_buffer(reader, "ftmpi/history/skipped", &buffer));
	numbers = (const int64_t *)(const void *)buffer.data;
	n = (int)(buffer.n_bytes / (3 * sizeof *numbers));
	assert_in_range(n, 0, MAX_SKIPPED);
	for (int i = 0; i < n; i++, numbers += 3) {
		skipped[i][0] = numbers[0];
		skipped[i][1] = numbers[1] / BATCH;
	}
	ftmpi_buffer_clear(&buffer);
	ftmpi_reader_close(&reader);
	return n;
}

static void expect_skipped(const char *directory, int n, const int64_t (*expected)[2])
{
	int64_t skipped[MAX_SKIPPED][2];

	assert_int_equal(read_skipped(directory, skipped), n);
	for (int i = 0; i < n; i++) {
		assert_int_equal(skipped[i][0], expected[i][0]);
		assert_int_equal(skipped[i][1], expected[i][1]);
	}
}

/* A loop of one's own that never sees these batches ends with the same parameters. */
static void expect_as_without(const struct run *r, int n, const int64_t (*skipped)[2])
{
	ftmpi_trainer *trainer = create(r->learning_rate);
	ftmpi_learner *learner = ftmpi_trainer_learner(trainer);
	const ftmpi_batches_options how = {.batch_size = BATCH, .shuffle = true, .seed = 1};
	ftmpi_batches *batches = NULL;

	assert_ok(ftmpi_batches_create(data, &how, &batches));
	for (int i = 0; i < n; i++)
		assert_ok(ftmpi_batches_skip(batches, skipped[i][0], skipped[i][1] * BATCH, 0, NULL));
	while (ftmpi_learner_step_count(learner) < r->how.max_steps) {
		const ftmpi_batch batch = ftmpi_batches_next(batches);

		assert_ok(ftmpi_trainer_train_on_batch(trainer, data, &batch, NULL));
	}
	assert_memory_equal(ftmpi_learner_params(learner), ftmpi_learner_params(ftmpi_trainer_learner(r->trainer)),
			    (size_t)ftmpi_model_layout(model)->n_elements * sizeof(float));
	ftmpi_batches_destroy(&batches);
	ftmpi_trainer_destroy(&trainer);
}

/* In the middle of an epoch, its first and its last batch; the checkpoint right before it, or some steps earlier. */
static void test_same_as_without(void **state)
{
	static const struct {
		int64_t step, save_steps, back_to; /* the step whose loss is NaN */
		const char *journal;
		int n_epochs; /* ends of epochs that callbacks see in 35 steps */
	} rows[] = {{16, 4, 16, "rs(b", 3},  {16, 7, 14, "rs(b", 3}, {10, 4, 8, "rs(b", 3},   {10, 5, 10, "r)s(b", 3},
		    {11, 11, 11, "rs(b", 3}, {0, 50, 0, "rs(b", 3},  {21, 3, 21, "r)s(b", 3}, {13, 50, 0, "rs(b", 4}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const int64_t skipped[][2] = {{rows[i].step / N_BATCHES, rows[i].step % N_BATCHES}};
		const double *history;
		struct run r;
		char name[32], fault[64];

		(void)snprintf(name, sizeof name, "same-%d", (int)i);
		(void)snprintf(fault, sizeof fault, "step.loss:nan,rank=%d,hit=%d", ftmpi_comm_size(world) - 1,
			       (int)rows[i].step + 1);
		r = options_of(name, 35, rows[i].save_steps);
		r.fault = fault;
		assert_ok(run(&r));
		assert_int_equal(r.n_diverged, 1);
		assert_int_equal(r.n_rewound, 1);
		assert_int_equal(r.rewound.step, rows[i].back_to);
		assert_string_equal(r.journal, rows[i].journal);
		assert_int_equal(r.n_epochs, rows[i].n_epochs);
		assert_int_equal(ftmpi_trainer_history(r.trainer, "val_loss", &history), 3);
		expect_skipped(name, 1, skipped);
		expect_as_without(&r, 1, skipped);
		ftmpi_trainer_destroy(&r.trainer);
	}
}

/* Each time in a row twice as many batches are passed over, back to where it stands; then the fit gives up. */
static void test_gives_up(void **state)
{
	static const int64_t skipped[][2] = {{0, 1}, {0, 2}, {0, 0}, {0, 4}, {0, 3}};
	struct run r = options_of("gives-up", 35, 4);

	(void)state;
	r.learning_rate = 1e30;
	assert_fails(run(&r), FTMPI_ERR_DIVERGED, "gone back 3 times in a row already, in vain");
	assert_int_equal(r.n_diverged, 4);
	assert_int_equal(r.n_rewound, 3);
	expect_skipped("gives-up", 5, skipped);
	ftmpi_trainer_destroy(&r.trainer);
}

/* Some steps farther on the count begins anew. */
static void test_counts_in_a_row(void **state)
{
	struct run r = options_of("counts", 40, 4);

	(void)state;
	r.max_rollbacks = 1;
	r.fault = "step.loss:nan,hit=6";
	r.jump_at = 29;
	r.how.spike_factor = 3;
	assert_ok(run(&r));
	assert_int_equal(r.n_rewound, 2);
	assert_int_equal(r.rewound.step, 28);
	ftmpi_trainer_destroy(&r.trainer);
}

static void test_no_way_back(void **state)
{
	struct run r = options_of("no-checkpoint", 35, 50);

	(void)state;
	r.save.at_begin = false;
	r.fault = "step.loss:nan,hit=3";
	assert_fails(run(&r), FTMPI_ERR_DIVERGED, "there is no checkpoint to go back to");
	ftmpi_trainer_destroy(&r.trainer);

	r = options_of("one-batch", 35, 1);
	r.how.batch_size = N_SAMPLES;
	r.fault = "step.loss:nan,hit=3";
	assert_fails(run(&r), FTMPI_ERR_DIVERGED, "epoch 2 would have no batch left");
	ftmpi_trainer_destroy(&r.trainer);
}

/* A finite loss that is far too large: nothing by itself, with a factor it diverges, and going back helps. */
static void test_spike(void **state)
{
	int64_t skipped[MAX_SKIPPED][2] = {{0}};
	struct run r = options_of("no-spike", 40, 4);

	(void)state;
	r.jump_at = 30;
	assert_ok(run(&r));
	assert_int_equal(r.n_diverged, 0);
	ftmpi_trainer_destroy(&r.trainer);

	r = options_of("spike", 40, 4);
	r.jump_at = 30;
	r.how.spike_factor = 3;
	assert_ok(run(&r));
	assert_int_equal(r.n_diverged, 1);
	assert_int_equal(r.rewound.step, 28);
	assert_int_equal(read_skipped("spike", skipped), 1);
	expect_as_without(&r, 1, (const int64_t(*)[2])skipped);
	ftmpi_trainer_destroy(&r.trainer);

	r = options_of("spike-stops", 40, 4);
	r.jump_at = 30;
	r.how.spike_factor = 3;
	r.max_rollbacks = 1;
	r.save.at_begin = false;
	r.save.save_steps = 50;
	assert_fails(run(&r), FTMPI_ERR_DIVERGED, "model diverged with loss = ");
	ftmpi_trainer_destroy(&r.trainer);
}

/* Parameters that are not finite: found by a save, and at the end, where no further loss shows it. */
static void test_infinite_parameters(void **state)
{
	static const struct {
		const char *name;
		int64_t max_steps, save_steps, back_to;
	} rows[] = {{"inf-save", 40, 5, 25}, {"inf-end", 30, 12, 24}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t skipped[MAX_SKIPPED][2] = {{0}};
		struct run r = options_of(rows[i].name, rows[i].max_steps, rows[i].save_steps);

		r.jump_at = 29;
		r.jump_to = INFINITY;
		assert_ok(run(&r));
		assert_int_equal(r.n_rewound, 1);
		assert_int_equal(r.rewound.step, rows[i].back_to);
		assert_int_equal(read_skipped(rows[i].name, skipped), 1);
		assert_int_equal(skipped[0][0] * N_BATCHES + skipped[0][1], 29);
		expect_as_without(&r, 1, (const int64_t(*)[2])skipped);
		ftmpi_trainer_destroy(&r.trainer);
	}
}

/* What callbacks wrote of the epochs and steps that are taken back is taken back too. */
static void test_other_callbacks(void **state)
{
	struct run r = options_of("callbacks", 35, 50);
	const ftmpi_tensorboard_options board_options = {.update_freq = 1};
	ftmpi_csv_logger_options csv_options;
	ftmpi_callback *csv = NULL, *tensorboard = NULL;
	char line[256];
	FILE *file;

	(void)state;
	ftmpi_csv_logger_options_init(&csv_options);
	assert_ok(ftmpi_csv_logger_create("epochs.csv", &csv_options, &csv));
	assert_ok(ftmpi_tensorboard_create("events", &board_options, &tensorboard));
	r.more[0] = csv;
	r.more[1] = tensorboard;
	r.fault = "step.loss:nan,hit=14";
	assert_ok(run(&r));
	assert_int_equal(r.n_epochs, 4); /* the first one twice */
	ftmpi_callback_destroy(&csv);
	ftmpi_callback_destroy(&tensorboard);
	ftmpi_trainer_destroy(&r.trainer);
	if (!ftmpi_comm_is_chief(world))
		return;
	file = fopen("epochs.csv", "r");
	assert_non_null(file);
	assert_non_null(fgets(line, sizeof line, file));
	for (long epoch = 0; epoch < 3; epoch++) {
		assert_non_null(fgets(line, sizeof line, file));
		assert_int_equal(strtol(line, NULL, 10), epoch);
	}
	assert_null(fgets(line, sizeof line, file));
	(void)fclose(file);
}

/* Batches that do not come any more, wherever they are. */
static void test_batches(void **state)
{
	const ftmpi_batches_options how = {.batch_size = BATCH};
	static const int64_t expected[][2] = {{0, 2}, {0, 3}, {0, 4}, {0, 6}, {0, 7}, {0, 8}, {0, 9}, {1, 1}, {1, 2}};
	ftmpi_batches *b = NULL;
	bool ended = true;

	(void)state;
	assert_ok(ftmpi_batches_create(data, &how, &b));
	assert_ok(ftmpi_batches_skip(b, 0, 0, 7, &ended));
	assert_false(ended);
	assert_int_equal(ftmpi_batches_position(b), 10);
	assert_ok(ftmpi_batches_skip(b, 0, 10, 7, NULL));
	assert_ok(ftmpi_batches_skip(b, 0, 50, 7, NULL));
	assert_ok(ftmpi_batches_skip(b, 0, 100, 7, &ended)); /* the last one */
	assert_false(ended);
	assert_ok(ftmpi_batches_skip(b, 1, 0, 7, NULL));
	assert_true(ftmpi_batches_skips(b, 0, 50));
	assert_false(ftmpi_batches_skips(b, 1, 50));
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		const ftmpi_batch batch = ftmpi_batches_next(b);

		assert_int_equal(batch.epoch, expected[i][0]);
		assert_int_equal(batch.first, expected[i][1] * BATCH);
		assert_true(batch.ends_epoch == (expected[i][0] == 0 && expected[i][1] == 9));
	}
	ftmpi_batches_seek(b, 0);
	assert_int_equal(ftmpi_batches_position(b), 20);
	ftmpi_batches_seek(b, 3);
	for (int64_t i = 0; i < N_BATCHES - 1; i++)
		(void)ftmpi_batches_next(b);
	assert_ok(ftmpi_batches_skip(b, 3, 100, 7, &ended)); /* where the place stands */
	assert_true(ended);
	assert_int_equal(ftmpi_batches_epoch(b), 4);
	assert_fails(ftmpi_batches_skip(b, 3, 100, 7, NULL), FTMPI_ERR_USAGE, "no batch begins at sample 100");
	assert_fails(ftmpi_batches_skip(b, 3, 103, 7, NULL), FTMPI_ERR_USAGE, "no batch begins at sample 103");
	for (int64_t i = 0; i < N_BATCHES - 1; i++)
		assert_ok(ftmpi_batches_skip(b, 9, i * BATCH, 7, NULL));
	assert_fails(ftmpi_batches_skip(b, 9, 100, 7, NULL), FTMPI_ERR_USAGE, "epoch 9 would have no batch left");
	ftmpi_batches_destroy(&b);
}

/* Lists that no training wrote. */
static void test_damaged_list(void **state)
{
	static const int64_t lists[][6] = {
		{-1, 0, 0, 0, 10, 0}, {0, -10, 0, 0, 10, 0}, {0, 103, 0, 0, 10, 0}, {0, 0, 0, 0, 10, 0}};
	const ftmpi_batches_options how = {.batch_size = BATCH};

	(void)state;
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		const int64_t six = 6;
		ftmpi_checkpoint *checkpoint = NULL;
		ftmpi_batches *b = NULL;
		int64_t epoch = 0, position = 0;
		uint64_t seed = 1;
		int64_t list[6];
		ftmpi_registry *r;
		char path[FTMPI_PATH_MAX];

		memcpy(list, lists[i], sizeof list);
		assert_ok(ftmpi_checkpoint_create(world, &checkpoint));
		r = ftmpi_checkpoint_registry(checkpoint);
		assert_ok(ftmpi_registry_add_scalar(r, "ftmpi/epoch", FTMPI_I64, &epoch, FTMPI_STATE));
		assert_ok(ftmpi_registry_add_scalar(r, "ftmpi/position", FTMPI_I64, &position, FTMPI_STATE));
		assert_ok(ftmpi_registry_add_scalar(r, "ftmpi/order_seed", FTMPI_U64, &seed, FTMPI_STATE));
		assert_ok(ftmpi_registry_add(r, "ftmpi/history/skipped", FTMPI_I64, 1, &six, list, FTMPI_STATE));
		assert_ok(ftmpi_checkpoint_write(checkpoint, "list", path));
		ftmpi_checkpoint_destroy(&checkpoint);

		assert_ok(ftmpi_checkpoint_create(world, &checkpoint));
		assert_ok(ftmpi_batches_create(data, &how, &b));
		assert_ok(ftmpi_batches_track(b, checkpoint));
		assert_fails(ftmpi_checkpoint_restore(checkpoint, path, NULL), FTMPI_ERR_DATA,
			     i < 3 ? "does not fit the data" : "stands before a batch that it passes over");
		ftmpi_checkpoint_destroy(&checkpoint);
		ftmpi_batches_destroy(&b);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_batches, setup, teardown),
	cmocka_unit_test_setup_teardown(test_damaged_list, setup, teardown),
	cmocka_unit_test_setup_teardown(test_same_as_without, setup, teardown),
	cmocka_unit_test_setup_teardown(test_gives_up, setup, teardown),
	cmocka_unit_test_setup_teardown(test_counts_in_a_row, setup, teardown),
	cmocka_unit_test_setup_teardown(test_no_way_back, setup, teardown),
	cmocka_unit_test_setup_teardown(test_spike, setup, teardown),
	cmocka_unit_test_setup_teardown(test_infinite_parameters, setup, teardown),
	cmocka_unit_test_setup_teardown(test_other_callbacks, setup, teardown),
};
FTMPI_TEST_MAIN(tests)
