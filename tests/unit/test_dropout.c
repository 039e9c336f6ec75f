/* SPDX-License-Identifier: Apache-2.0 */
/* Dropout: which units, what values, and what the mask depends on. A dense layer with the identity as its kernel makes its outputs visible. */
#include "unit/nn_test.h"

enum { ROWS = 5, N = 37 };

static const int64_t n_inputs = N;

struct net {
	ftmpi_model *model;
	ftmpi_workspace *workspace;
	float params[2048];
	float x[ROWS * N];
	int64_t samples[ROWS];
	ftmpi_pass pass;
};

/* identity → dropout, all inputs 1 … so that no output is 0 by itself. */
static void open_net(struct net *net, double rate)
{
	const ftmpi_layer_spec specs[] = {DENSE_LAYER(N, FTMPI_LINEAR), DROPOUT_LAYER(rate)};
	const ftmpi_param *kernel;

	memset(net, 0, sizeof *net);
	assert_ok(ftmpi_model_create(&n_inputs, 1, specs, 2, &net->model));
	assert_ok(ftmpi_workspace_create(net->model, ROWS, &net->workspace));
	kernel = ftmpi_model_layout(net->model)->params;
	for (int64_t i = 0; i < N; i++)
		net->params[kernel->offset + i * N + i] = 1.0F;
	for (int i = 0; i < ROWS * N; i++)
		net->x[i] = 1.0F + (float)(i % N) / 3.0F;
	for (int r = 0; r < ROWS; r++)
		net->samples[r] = 5 + 10 * (int64_t)r;
	net->pass = (ftmpi_pass){.training = true, .seed = 3, .step = 4, .samples = net->samples};
}

static void close_net(struct net *net)
{
	ftmpi_workspace_destroy(&net->workspace);
	ftmpi_model_destroy(&net->model);
}

static const float *forward(struct net *net)
{
	return ftmpi_model_forward(net->model, net->params, net->x, ROWS, &net->pass, net->workspace);
}

/* A word equal to rate·2³² is kept, the next smaller one is not: rates made from the first word of the first sample. */
static void test_threshold(void **state)
{
	static struct net net;
	uint32_t word;

	(void)state;
	ftmpi_rng_words(ftmpi_rng_stream(3, FTMPI_RNG_DROPOUT, 4, 1), 5, 1, &word);
	open_net(&net, (double)word * 0x1p-32);
	assert_true(forward(&net)[0] != 0.0F);
	close_net(&net);
	open_net(&net, ((double)word + 0.001) * 0x1p-32);
	assert_true(forward(&net)[0] == 0.0F);
	close_net(&net);
}

/* Every bit of every output, from the words of the generator. */
static void test_values(void **state)
{
	static const double rates[] = {0.2, 0.5, 0.999, 1e-9, 0.99999999999};

	(void)state;
	for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
		const ftmpi_rng rng = ftmpi_rng_stream(3, FTMPI_RNG_DROPOUT, 4, 1);
		const float scale = (float)(1.0 / (1.0 - rates[i]));
		static struct net net;
		const float *y;

		open_net(&net, rates[i]);
		y = forward(&net);
		for (int64_t r = 0; r < ROWS; r++) {
			uint32_t words[N];

			ftmpi_rng_words(rng, (uint64_t)net.samples[r], N, words);
			for (int64_t u = 0; u < N; u++) {
				const bool keep = (double)words[u] >= rates[i] * 0x1p32;

				assert_true(y[r * N + u] == (keep ? net.x[r * N + u] * scale : 0.0F));
			}
		}
		close_net(&net);
	}
}

/* The share of kept units over many masks. */
static void test_share(void **state)
{
	static struct net net;
	int n_kept = 0;

	(void)state;
	open_net(&net, 0.2);
	for (int step = 0; step < 200; step++) {
		const float *y;

		net.pass.step = step;
		y = forward(&net);
		for (int i = 0; i < ROWS * N; i++)
			n_kept += y[i] != 0.0F;
	}
	/* 37000 draws: six standard deviations are 0.0125 */
	assert_true(fabs((double)n_kept / (200.0 * ROWS * N) - 0.8) < 0.0125);
	close_net(&net);
}

static void test_off(void **state)
{
	static struct net net;

	(void)state;
	open_net(&net, 0.5);
	net.pass = (ftmpi_pass){.training = false};
	assert_memory_equal(forward(&net), net.x, sizeof net.x);
	close_net(&net);
	open_net(&net, 0.0);
	assert_memory_equal(forward(&net), net.x, sizeof net.x);
	close_net(&net);
}

/* The mask follows the sample, not its row; it changes with sample, step, seed and layer. */
static void test_key(void **state)
{
	static struct net net;
	float first[ROWS * N];
	const float *y;

	(void)state;
	open_net(&net, 0.5);
	memcpy(first, forward(&net), sizeof first);
	for (int r = 1; r < ROWS; r++)
		assert_memory_not_equal(first, first + (ptrdiff_t)r * N, N * sizeof *first);
	for (int r = 0; r < ROWS; r++)
		net.samples[r] = 5 + 10 * (int64_t)(ROWS - 1 - r);
	y = forward(&net);
	for (int r = 0; r < ROWS; r++)
		assert_memory_equal(y + (ptrdiff_t)r * N, first + (ptrdiff_t)(ROWS - 1 - r) * N, N * sizeof *y);
	for (int r = 0; r < ROWS; r++)
		net.samples[r] = 5 + 10 * (int64_t)r;
	net.pass.step++;
	assert_memory_not_equal(forward(&net), first, sizeof first);
	net.pass.step--;
	net.pass.seed++;
	assert_memory_not_equal(forward(&net), first, sizeof first);
	net.pass.seed--;
	assert_memory_equal(forward(&net), first, sizeof first);
	close_net(&net);
}

/* A unit whose value is 0 but which is kept passes its gradient on. */
static void test_gradient_of_zero_outputs(void **state)
{
	static struct net net;
	static float grads[2048];
	float d[ROWS * N], d_copy[ROWS * N];
	const ftmpi_param *bias;
	double expected[N] = {0};

	(void)state;
	open_net(&net, 0.5);
	fill_numbers(1, 1.0F, (int64_t)ROWS * N, d);
	memcpy(d_copy, d, sizeof d);
	for (int i = 0; i < ROWS * N; i++)
		expected[i % N] += forward(&net)[i] != 0.0F ? 2.0 * (double)d[i] : 0.0;
	memset(net.x, 0, sizeof net.x);
	for (int i = 0; i < ROWS * N; i++)
		assert_true(forward(&net)[i] == 0.0F);
	ftmpi_model_backward(net.model, net.params, net.x, ROWS, &net.pass, net.workspace, d_copy, grads);
	bias = &ftmpi_model_layout(net.model)->params[1];
	check_near("bias gradient", grads + bias->offset, expected, N, 1e-6);
	close_net(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threshold), cmocka_unit_test(test_values),
		cmocka_unit_test(test_share),     cmocka_unit_test(test_off),
		cmocka_unit_test(test_key),       cmocka_unit_test(test_gradient_of_zero_outputs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
