/* SPDX-License-Identifier: Apache-2.0 */
/* A training loop of one's own over the building blocks: a model that the library does not have, a damped oscillation fitted to measurements, with the same
 * bits on every number of ranks and from any checkpoint on; batches; flags; a gradient function that fails. */
#include "mpi/mpi_test.h"

#include <ftmpi/ftmpi.h>
#include <math.h>

enum { N_SAMPLES = 59, N_WORKERS = 4, N_STEPS = 40, STOP_AT = 17, COMPARE_STEPS = 13 };

/* y(t) = a · exp(−b·t) · cos(c·t + d), measured at N_SAMPLES times. */
struct oscillation {
	float t[N_SAMPLES], y[N_SAMPLES];
	int64_t n_calls, fail_at; /* fail_at: number of the call that fails; 0: none */
};

static void measure(struct oscillation *o)
{
	*o = (struct oscillation){.n_calls = 0};
	for (int i = 0; i < N_SAMPLES; i++) {
		o->t[i] = 0.1F * (float)i;
		o->y[i] = 1.5F * expf(-0.3F * o->t[i]) * cosf(2.0F * o->t[i] + 0.4F);
	}
}

/* Gradient of the mean of (model − y)² by (a, b, c, d), and the sum of squares. */
static ftmpi_status fit_gradient(void *context, const float *p, const ftmpi_worker_batch *batch, float *grads,
				 double *sums)
{
	struct oscillation *o = context;
	const float scale = 2.0F / (float)batch->global_samples;

	if (++o->n_calls == o->fail_at)
		return ftmpi_error_set(FTMPI_ERR_DATA, __FILE__, __LINE__, "the instrument is broken");
	memset(grads, 0, 64);
	for (int64_t i = 0; i < batch->n_samples; i++) {
		const float t = o->t[batch->samples[i]];
		const float decay = expf(-p[1] * t), phase = p[2] * t + p[3];
		const float error = p[0] * decay * cosf(phase) - o->y[batch->samples[i]];

		grads[0] += scale * error * decay * cosf(phase);
		grads[1] += scale * error * -t * p[0] * decay * cosf(phase);
		grads[2] += scale * error * -t * p[0] * decay * sinf(phase);
		grads[3] += scale * error * -p[0] * decay * sinf(phase);
		sums[0] += (double)error * (double)error;
	}
	return FTMPI_OK;
}

/* The whole of a program with a loop of its own. */
struct program {
	struct oscillation data;
	ftmpi_layout *layout;
	ftmpi_dataset *dataset;
	ftmpi_learner *learner;
	ftmpi_batches *batches;
	ftmpi_checkpoint *checkpoint;
	double first_loss, last_loss;
};

static void begin(struct program *p, const ftmpi_comm *comm)
{
	static const float start[4] = {1.0F, 0.1F, 1.9F, 0.0F};
	static int32_t no_labels[N_SAMPLES];
	const ftmpi_param param = {.layer = "oscillation", .n_dims = 1, .dims = {4}};
	const int64_t dims[] = {1};
	const ftmpi_learner_options options = {
		.n_workers = N_WORKERS, .seed = 1, .n_sums = 1, .n_flags = 2, .compare_steps = COMPARE_STEPS};
	ftmpi_batches_options how;
	ftmpi_dataset_options data_options;
	ftmpi_optimizer optimizer;

	*p = (struct program){.first_loss = NAN};
	measure(&p->data);
	ftmpi_optimizer_init(&optimizer, FTMPI_ADAM);
	optimizer.learning_rate = 0.05;
	ftmpi_dataset_options_init(&data_options);
	assert_ok(ftmpi_layout_create(&param, 1, &p->layout));
	assert_ok(ftmpi_dataset_from_memory(p->data.t, no_labels, N_SAMPLES, 1, dims, &data_options, &p->dataset));
	assert_ok(ftmpi_learner_create(comm, p->layout, &optimizer, &options, &p->learner));
	memcpy(ftmpi_learner_params(p->learner), start, sizeof start);
	ftmpi_batches_options_init(&how);
	how.batch_size = 10;
	assert_ok(ftmpi_batches_create(p->dataset, &how, &p->batches));
	assert_ok(ftmpi_checkpoint_create(comm, &p->checkpoint));
	assert_ok(ftmpi_learner_track(p->learner, NULL, p->checkpoint));
	assert_ok(ftmpi_batches_track(p->batches, p->checkpoint));
}

static void loop(struct program *p, int64_t until)
{
	while (ftmpi_learner_step_count(p->learner) < until) {
		const ftmpi_batch batch = ftmpi_batches_next(p->batches);
		double sum;

		assert_ok(ftmpi_learner_step(p->learner, &batch, fit_gradient, &p->data, &sum));
		p->last_loss = sum / (double)batch.n_samples;
		p->first_loss = isnan(p->first_loss) ? p->last_loss : p->first_loss;
	}
}

static void end(struct program *p, ftmpi_digest *digest)
{
	if (digest != NULL)
		assert_ok(ftmpi_checkpoint_state_digest(p->checkpoint, digest));
	ftmpi_checkpoint_destroy(&p->checkpoint);
	ftmpi_batches_destroy(&p->batches);
	ftmpi_learner_destroy(&p->learner);
	ftmpi_dataset_destroy(&p->dataset);
	ftmpi_layout_destroy(&p->layout);
}

/* State digest at the end on the first `n` ranks. @param path restored from first; NULL: from the beginning. */
static ftmpi_digest digest_on(int n, const char *path)
{
	ftmpi_comm *comm = NULL;
	ftmpi_digest digest = {0};
	struct program p;

	assert_ok(ftmpi_comm_create_first(world, n, &comm));
	if (comm != NULL) {
		begin(&p, comm);
		if (path != NULL) {
			assert_ok(ftmpi_checkpoint_restore(p.checkpoint, path, NULL));
			assert_int_equal(ftmpi_learner_step_count(p.learner), STOP_AT);
		}
		loop(&p, N_STEPS);
		end(&p, &digest);
		ftmpi_comm_destroy(&comm);
	}
	assert_ok(ftmpi_broadcast(world, &digest, sizeof digest, FTMPI_CHIEF));
	return digest;
}

static void test_own_model(void **state)
{
	struct program p;

	(void)state;
	begin(&p, world);
	loop(&p, 400);
	assert_true(p.last_loss < 0.01 * p.first_loss);
	end(&p, NULL);
}

static void test_same_bits(void **state)
{
	const ftmpi_digest one = digest_on(1, NULL);
	char path[FTMPI_PATH_MAX];
	struct program p;

	(void)state;
	begin(&p, world);
	loop(&p, STOP_AT);
	assert_ok(ftmpi_checkpoint_save(p.checkpoint, "own/ckpt", path));
	assert_string_equal(path, "own/ckpt-1.weights.h5");
	end(&p, NULL);
	for (int n = 1; n <= ftmpi_comm_size(world); n++) {
		assert_true(ftmpi_digest_equal(digest_on(n, NULL), one));
		assert_true(ftmpi_digest_equal(digest_on(n, path), one));
	}
}

/* A mark set on one rank is seen on all after the next gradients, once. */
static void test_flags(void **state)
{
	const int last = ftmpi_comm_size(world) - 1;
	struct program p;

	(void)state;
	begin(&p, world);
	loop(&p, 1);
	assert_int_equal(ftmpi_learner_raised(p.learner, 0), 0);
	if (ftmpi_comm_rank(world) == last)
		ftmpi_learner_raise(p.learner, 1);
	ftmpi_learner_raise(p.learner, 0);
	assert_int_equal(ftmpi_learner_raised(p.learner, 1), 0);
	loop(&p, 2);
	assert_int_equal(ftmpi_learner_raised(p.learner, 0), ftmpi_comm_size(world));
	assert_int_equal(ftmpi_learner_raised(p.learner, 1), 1);
	loop(&p, 3);
	assert_int_equal(ftmpi_learner_raised(p.learner, 0), 0);
	assert_int_equal(ftmpi_learner_raised(p.learner, 1), 0);
	end(&p, NULL);
}

/* The function fails on one rank: every rank gets the error, nothing has changed, and the loop can go on. */
static void test_failing_gradient(void **state)
{
	struct program p, q;
	ftmpi_digest failed, whole;
	ftmpi_batch batch;
	double sum = -1.0;

	(void)state;
	begin(&p, world);
	loop(&p, 3);
	batch = ftmpi_batches_next(p.batches);
	if (ftmpi_comm_rank(world) == ftmpi_comm_size(world) - 1)
		p.data.fail_at = p.data.n_calls + 1;
	assert_fails(ftmpi_learner_gradients(p.learner, &batch, fit_gradient, &p.data, &sum), FTMPI_ERR_DATA,
		     "instrument");
	assert_true(sum == -1.0);
	assert_ok(ftmpi_learner_step(p.learner, &batch, fit_gradient, &p.data, &sum));
	loop(&p, 9);
	end(&p, &failed);
	begin(&q, world);
	loop(&q, 9);
	end(&q, &whole);
	assert_true(ftmpi_digest_equal(failed, whole));
}

/* A rank whose copy differs is found in the steps that compare, and by a save. */
static void test_compare(void **state)
{
	const int size = ftmpi_comm_size(world), last = size - 1;
	const ftmpi_status expected = size > 1 ? FTMPI_ERR_REPLICA : FTMPI_OK;
	char path[FTMPI_PATH_MAX];
	struct program p;
	ftmpi_batch batch;
	double sum;

	(void)state;
	begin(&p, world);
	assert_ok(ftmpi_learner_compare(p.learner));
	loop(&p, COMPARE_STEPS);
	batch = ftmpi_batches_next(p.batches);
	if (ftmpi_comm_rank(world) == last)
		ftmpi_learner_set_learning_rate(p.learner, 0.25F);
	assert_int_equal(ftmpi_learner_gradients(p.learner, &batch, fit_gradient, &p.data, &sum), expected);
	assert_int_equal(ftmpi_checkpoint_write(p.checkpoint, "odd", path), expected);
	assert_int_equal(ftmpi_learner_compare(p.learner), expected);
	ftmpi_learner_set_learning_rate(p.learner, 0.25F);
	assert_ok(ftmpi_learner_compare(p.learner));
	loop(&p, COMPARE_STEPS + 1);
	if (ftmpi_comm_rank(world) == last)
		ftmpi_learner_params(p.learner)[1] += 1;
	assert_int_equal(ftmpi_learner_compare(p.learner), expected);
	end(&p, NULL);
}

/* Every sample once an epoch, in batches of which the last is short; a place that does not fit the data is refused. */
static void test_batches(void **state)
{
	struct program p;
	bool seen[N_SAMPLES] = {false};

	(void)state;
	begin(&p, world);
	assert_int_equal(ftmpi_batches_per_epoch(p.batches), 6);
	for (int i = 0; i < 6; i++) {
		const ftmpi_batch batch = ftmpi_batches_next(p.batches);
		int64_t samples[N_SAMPLES];

		assert_int_equal(batch.epoch, 0);
		assert_int_equal(batch.n_samples, i < 5 ? 10 : 9);
		assert_true(batch.ends_epoch == (i == 5));
		ftmpi_order_samples(&batch.order, batch.epoch, batch.first, batch.n_samples, samples);
		for (int64_t k = 0; k < batch.n_samples; k++) {
			assert_false(seen[samples[k]]);
			seen[samples[k]] = true;
		}
	}
	assert_int_equal(ftmpi_batches_epoch(p.batches), 1);
	assert_int_equal(ftmpi_batches_position(p.batches), 0);
	ftmpi_batches_seek(p.batches, 7);
	assert_int_equal(ftmpi_batches_next(p.batches).epoch, 7);
	end(&p, NULL);
}

static void test_refusals(void **state)
{
	struct program p;
	ftmpi_learner *learner = NULL;
	ftmpi_optimizer optimizer;
	char path[FTMPI_PATH_MAX];

	(void)state;
	begin(&p, world);
	ftmpi_optimizer_init(&optimizer, FTMPI_ADAM);
	assert_fails(
		ftmpi_learner_create(world, p.layout, &optimizer, &(ftmpi_learner_options){.n_workers = 0}, &learner),
		FTMPI_ERR_USAGE, "logical workers");
	assert_fails(ftmpi_learner_create(world, p.layout, &optimizer,
					  &(ftmpi_learner_options){.n_workers = N_WORKERS, .n_sums = 9}, &learner),
		     FTMPI_ERR_USAGE, "9 sums");
	assert_null(learner);
	ftmpi_learner_params(p.learner)[2] = INFINITY;
	assert_fails(ftmpi_checkpoint_write(p.checkpoint, "infinite", path), FTMPI_ERR_DIVERGED, "not finite");
	end(&p, NULL);
}

/* The slots of other ranks are read while these wait, or not at all. */
static void expect_refusals(struct program *p)
{
	const bool in_parts = ftmpi_comm_size(world) > 1;
	const ftmpi_status expected = in_parts ? FTMPI_ERR_USAGE : FTMPI_OK;
	const char *message = in_parts ? "'optimizer/vars/2' is spread over the ranks" : "";
	ftmpi_registry *r = ftmpi_checkpoint_registry(p->checkpoint);
	ftmpi_digest digest;

	if (ftmpi_comm_is_chief(world))
		assert_fails(ftmpi_registry_write(r, "alone.weights.h5"), expected, message);
	assert_fails(ftmpi_registry_state_digest(r, &digest), expected, message);
	ftmpi_error_clear();
}

static void test_parts_alone(void **state)
{
	struct program p;
	ftmpi_digest digest;

	(void)state;
	begin(&p, world);
	expect_refusals(&p);
	loop(&p, 2);
	assert_ok(ftmpi_checkpoint_save(p.checkpoint, "alone/ckpt", NULL));
	expect_refusals(&p);
	loop(&p, 4);
	expect_refusals(&p);
	assert_ok(ftmpi_checkpoint_state_digest(p.checkpoint, &digest));
	expect_refusals(&p);
	assert_ok(ftmpi_checkpoint_write(p.checkpoint, "together", NULL));
	expect_refusals(&p);
	ftmpi_learner_params(p.learner)[0] = INFINITY;
	assert_fails(ftmpi_checkpoint_write(p.checkpoint, "together", NULL), FTMPI_ERR_DIVERGED, "not finite");
	expect_refusals(&p);
	end(&p, NULL);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_own_model),        cmocka_unit_test(test_same_bits),   cmocka_unit_test(test_flags),
	cmocka_unit_test(test_failing_gradient), cmocka_unit_test(test_compare),     cmocka_unit_test(test_batches),
	cmocka_unit_test(test_refusals),         cmocka_unit_test(test_parts_alone),
};
FTMPI_TEST_MAIN(tests)
