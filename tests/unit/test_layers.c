/* SPDX-License-Identifier: Apache-2.0 */
/* Every layer and activation: against a naive twin in double, and its gradients against finite differences. */
#include "unit/nn_test.h"

enum { MAX_ROWS = 9, MAX_WIDTH = 40, MAX_LAYERS = 6, MAX_ARENA = 4096, SEED = 77, STEP = 12 };

/* A model with its arenas. */
struct net {
	ftmpi_model *model;
	ftmpi_workspace *workspace;
	const ftmpi_layout *layout;
	float params[MAX_ARENA], grads[MAX_ARENA];
	int64_t rows, n_in, n_out, samples[MAX_ROWS];
	float x[MAX_ROWS * MAX_WIDTH], d[MAX_ROWS * MAX_WIDTH];
	ftmpi_pass pass;
};

static void open_net(struct net *net, int64_t n_inputs, const ftmpi_layer_spec *specs, int n_layers, int64_t rows)
{
	memset(net, 0, sizeof *net);
	assert_ok(ftmpi_model_create(&n_inputs, 1, specs, n_layers, &net->model));
	assert_ok(ftmpi_workspace_create(net->model, rows + 2, &net->workspace));
	net->layout = ftmpi_model_layout(net->model);
	assert_true(net->layout->n_elements <= MAX_ARENA);
	net->rows = rows;
	net->n_in = ftmpi_model_n_inputs(net->model);
	net->n_out = ftmpi_model_n_outputs(net->model);
	fill_numbers(1, 1.0F, net->rows * net->n_in, net->x);
	fill_numbers(2, 1.0F, net->rows * net->n_out, net->d);
	for (int p = 0; p < net->layout->n_params; p++)
		fill_numbers(3 + (uint64_t)p, 0.8F, net->layout->params[p].n_elements,
			     net->params + net->layout->params[p].offset);
	for (int r = 0; r < MAX_ROWS; r++)
		net->samples[r] = 1000 + (int64_t)r * 37;
	net->pass = (ftmpi_pass){.training = true, .seed = SEED, .step = STEP, .samples = net->samples};
}

static void close_net(struct net *net)
{
	ftmpi_workspace_destroy(&net->workspace);
	ftmpi_model_destroy(&net->model);
}

static const float *forward(struct net *net)
{
	return ftmpi_model_forward(net->model, net->params, net->x, net->rows, &net->pass, net->workspace);
}

/* Gradients of Σ d·y; d stays as it is. Whatever the gradient arena held must not matter. */
static void backward(struct net *net)
{
	float d[MAX_ROWS * MAX_WIDTH];

	memcpy(d, net->d, sizeof d);
	for (int i = 0; i < MAX_ARENA; i++)
		net->grads[i] = NAN;
	ftmpi_model_backward(net->model, net->params, net->x, net->rows, &net->pass, net->workspace, d, net->grads);
}

/* The twin: activations of every layer in double, and the gradients. */
struct twin {
	double y[MAX_LAYERS + 1][MAX_ROWS * MAX_WIDTH], z[MAX_LAYERS][MAX_ROWS * MAX_WIDTH], grads[MAX_ARENA];
};

static double twin_activation(ftmpi_activation f, double z)
{
	switch (f) {
	case FTMPI_RELU:
		return z > 0 ? z : 0;
	case FTMPI_SIGMOID:
		return 1 / (1 + exp(-z));
	case FTMPI_TANH:
		return tanh(z);
	case FTMPI_GELU:
		return z * 0.5 * (1 + erf(z / sqrt(2.0)));
	case FTMPI_LINEAR:
	case FTMPI_SOFTMAX:
		break;
	}
	return z;
}

/* d f / d z by central differences in double: no formula shared with the kernels. */
static double twin_slope(ftmpi_activation f, double z)
{
	return (twin_activation(f, z + 1e-6) - twin_activation(f, z - 1e-6)) / 2e-6;
}

static void twin_softmax(int64_t n, const double *z, double *y)
{
	double sum = 0;

	for (int64_t j = 0; j < n; j++)
		sum += exp(z[j]);
	for (int64_t j = 0; j < n; j++)
		y[j] = exp(z[j]) / sum;
}

/* The kernel of the layer's parameters is at index p of the table, the bias at p + 1. */
static void twin_dense(const struct net *net, const ftmpi_layer_spec *spec, int p, int64_t k, const double *x,
		       double *z, double *y)
{
	const float *w = net->params + net->layout->params[p].offset,
		    *b = net->params + net->layout->params[p + 1].offset;
	const int64_t n = spec->units;

	for (int64_t r = 0; r < net->rows; r++) {
		for (int64_t j = 0; j < n; j++) {
			z[r * n + j] = (double)b[j];
			for (int64_t i = 0; i < k; i++)
				z[r * n + j] += x[r * k + i] * (double)w[i * n + j];
			y[r * n + j] = twin_activation(spec->activation, z[r * n + j]);
		}
		if (spec->activation == FTMPI_SOFTMAX)
			twin_softmax(n, z + r * n, y + r * n);
	}
}

/* Factor of unit u of row r in dropout layer `index`. */
static double twin_mask(const struct net *net, const ftmpi_layer_spec *spec, int index, int64_t r, int64_t u)
{
	const ftmpi_rng rng =
		ftmpi_rng_stream(net->pass.seed, FTMPI_RNG_DROPOUT, (uint64_t)net->pass.step, (uint64_t)index);
	uint32_t words[4];

	if (!net->pass.training)
		return 1;
	ftmpi_rng_block(rng, (uint64_t)net->samples[r], (uint32_t)(u / 4), words);
	return (double)words[u % 4] / 4294967296.0 >= spec->rate ? 1 / (1 - spec->rate) : 0;
}

static void twin_forward(const struct net *net, struct twin *twin)
{
	int64_t k = net->n_in;
	int p = 0;

	for (int64_t i = 0; i < net->rows * k; i++)
		twin->y[0][i] = (double)net->x[i];
	for (int l = 0; l < ftmpi_model_n_layers(net->model); l++) {
		const ftmpi_layer_spec *spec = ftmpi_model_layer_spec(net->model, l);

		if (spec->kind == FTMPI_DENSE) {
			twin_dense(net, spec, p, k, twin->y[l], twin->z[l], twin->y[l + 1]);
			k = spec->units;
			p += 2;
			continue;
		}
		for (int64_t i = 0; i < net->rows * k; i++)
			twin->y[l + 1][i] = twin->y[l][i] *
					    (spec->kind == FTMPI_DROPOUT ? twin_mask(net, spec, l, i / k, i % k) : 1);
	}
}

/* d[rows, n] by y → d by z. */
static void twin_activation_gradient(const ftmpi_layer_spec *spec, int64_t rows, const double *z, const double *y,
				     double *d)
{
	const int64_t n = spec->units;

	for (int64_t r = 0; r < rows; r++) {
		double dot = 0;

		for (int64_t j = 0; j < n; j++)
			dot += d[r * n + j] * y[r * n + j];
		for (int64_t j = r * n; j < (r + 1) * n; j++)
			d[j] = spec->activation == FTMPI_SOFTMAX ? y[j] * (d[j] - dot)
								 : d[j] * twin_slope(spec->activation, z[j]);
	}
}

/* d[rows, n] by z → the parameters' gradients, and d[rows, k] by x. */
static void twin_dense_gradient(const struct net *net, struct twin *twin, int p, const double *x, double *d)
{
	const ftmpi_param *kernel = &net->layout->params[p];
	const int64_t k = kernel->dims[0], n = kernel->dims[1];
	const float *w = net->params + kernel->offset;
	double *dw = twin->grads + kernel->offset, *db = twin->grads + net->layout->params[p + 1].offset;
	double dx[MAX_ROWS * MAX_WIDTH] = {0};

	for (int64_t r = 0; r < net->rows; r++) {
		for (int64_t j = 0; j < n; j++) {
			db[j] += d[r * n + j];
			for (int64_t i = 0; i < k; i++) {
				dw[i * n + j] += x[r * k + i] * d[r * n + j];
				dx[r * k + i] += d[r * n + j] * (double)w[i * n + j];
			}
		}
	}
	memcpy(d, dx, sizeof dx);
}

static void twin_backward(const struct net *net, struct twin *twin)
{
	double d[MAX_ROWS * MAX_WIDTH] = {0};
	int p = net->layout->n_params;
	int64_t k = net->n_out;

	memset(twin->grads, 0, sizeof twin->grads);
	for (int64_t i = 0; i < net->rows * k; i++)
		d[i] = (double)net->d[i];
	for (int l = ftmpi_model_n_layers(net->model) - 1; l >= 0; l--) {
		const ftmpi_layer_spec *spec = ftmpi_model_layer_spec(net->model, l);

		if (spec->kind == FTMPI_DENSE) {
			p -= 2;
			twin_activation_gradient(spec, net->rows, twin->z[l], twin->y[l + 1], d);
			twin_dense_gradient(net, twin, p, twin->y[l], d);
			k = net->layout->params[p].dims[0];
		} else if (spec->kind == FTMPI_DROPOUT) {
			for (int64_t i = 0; i < net->rows * k; i++)
				d[i] *= twin_mask(net, spec, l, i / k, i % k);
		}
	}
}

/* The models that are checked: every activation in a hidden and in the last layer, and dropout in each place. */
static const struct net_case {
	const char *name;
	int64_t n_inputs;
	int n_layers;
	ftmpi_layer_spec specs[MAX_LAYERS];
} cases[] = {
	{"linear", 5, 2, {DENSE_LAYER(7, FTMPI_LINEAR), DENSE_LAYER(4, FTMPI_LINEAR)}},
	{"relu", 5, 2, {DENSE_LAYER(33, FTMPI_RELU), DENSE_LAYER(4, FTMPI_RELU)}},
	{"sigmoid", 5, 2, {DENSE_LAYER(18, FTMPI_SIGMOID), DENSE_LAYER(4, FTMPI_SIGMOID)}},
	{"tanh", 5, 2, {DENSE_LAYER(18, FTMPI_TANH), DENSE_LAYER(4, FTMPI_TANH)}},
	{"gelu", 5, 2, {DENSE_LAYER(18, FTMPI_GELU), DENSE_LAYER(4, FTMPI_GELU)}},
	{"softmax", 5, 2, {DENSE_LAYER(7, FTMPI_SOFTMAX), DENSE_LAYER(4, FTMPI_SOFTMAX)}},
	{"one unit", 1, 1, {DENSE_LAYER(1, FTMPI_LINEAR)}},
	{"dropout first", 21, 2, {DROPOUT_LAYER(0.3), DENSE_LAYER(4, FTMPI_LINEAR)}},
	{"dropout last", 5, 2, {DENSE_LAYER(19, FTMPI_TANH), DROPOUT_LAYER(0.5)}},
	{"dropout twice",
	 5,
	 4,
	 {DENSE_LAYER(17, FTMPI_RELU), DROPOUT_LAYER(0.2), DROPOUT_LAYER(0.4), DENSE_LAYER(4, FTMPI_LINEAR)}},
	{"deep",
	 6,
	 6,
	 {FLATTEN_LAYER, DENSE_LAYER(16, FTMPI_GELU), DROPOUT_LAYER(0.25), DENSE_LAYER(40, FTMPI_SIGMOID),
	  DENSE_LAYER(9, FTMPI_TANH), DENSE_LAYER(3, FTMPI_SOFTMAX)}},
};

enum { N_CASES = sizeof cases / sizeof cases[0] };

static void check_case(const struct net_case *c, int64_t rows, bool training)
{
	static struct net net;
	static struct twin twin;

	open_net(&net, c->n_inputs, c->specs, c->n_layers, rows);
	net.pass.training = training;
	twin_forward(&net, &twin);
	twin_backward(&net, &twin);
	check_near(c->name, forward(&net), twin.y[c->n_layers], rows * net.n_out, 1e-5);
	backward(&net);
	check_gaps(c->name, net.layout, net.grads);
	for (int p = 0; p < net.layout->n_params; p++)
		check_near(c->name, net.grads + net.layout->params[p].offset, twin.grads + net.layout->params[p].offset,
			   net.layout->params[p].n_elements, 1e-5);
	close_net(&net);
}

static void test_twin(void **state)
{
	(void)state;
	for (int i = 0; i < N_CASES; i++) {
		check_case(&cases[i], 1, true);
		check_case(&cases[i], MAX_ROWS, true);
		check_case(&cases[i], 6, false);
	}
}

static double objective(struct net *net)
{
	const float *y = forward(net);
	double sum = 0;

	for (int64_t i = 0; i < net->rows * net->n_out; i++)
		sum += (double)net->d[i] * (double)y[i];
	return sum;
}

/* Difference quotient of Σ d·y by one parameter. False where the quotients of the two sides disagree: a kink of relu is between them. */
static bool difference(struct net *net, int64_t at, double *slope)
{
	const float eps = 0x1p-8F, value = net->params[at];
	double mid, up, down;

	mid = objective(net);
	net->params[at] = value + eps;
	up = objective(net);
	net->params[at] = value - eps;
	down = objective(net);
	net->params[at] = value;
	*slope = (up - down) / (2.0 * (double)eps);
	return fabs(up - 2 * mid + down) <= 0.01 * (double)eps * fmax(1, fabs(*slope));
}

/* float32 leaves an error of about 1e-7/eps beside the eps² of the central difference. */
static void check_differences(const struct net_case *c, bool training)
{
	static struct net net;
	int64_t n_kinks = 0;

	open_net(&net, c->n_inputs, c->specs, c->n_layers, 5);
	net.pass.training = training;
	(void)forward(&net);
	backward(&net);
	for (int p = 0; p < net.layout->n_params; p++) {
		for (int64_t i = 0; i < net.layout->params[p].n_elements; i++) {
			const int64_t at = net.layout->params[p].offset + i;
			double slope;

			if (!difference(&net, at, &slope))
				n_kinks++;
			else if (!(fabs((double)net.grads[at] - slope) <= 0.01 * fabs(slope) + 5e-4))
				fail_msg("%s: parameter %d[%lld]: gradient %.6g, difference %.6g", c->name, p,
					 (long long)i, (double)net.grads[at], slope);
		}
	}
	assert_true(n_kinks * 20 <= net.layout->n_trainable);
	close_net(&net);
}

static void test_finite_differences(void **state)
{
	(void)state;
	for (int i = 0; i < N_CASES; i++) {
		check_differences(&cases[i], true);
		check_differences(&cases[i], false);
	}
}

/* Same arguments, same bits: forward and backward again, and in a workspace of another size. */
static void test_repeatable(void **state)
{
	static struct net net;
	float y[MAX_ROWS * MAX_WIDTH], grads[MAX_ARENA];
	ftmpi_workspace *other = NULL;

	(void)state;
	open_net(&net, 6, cases[N_CASES - 1].specs, 6, 7);
	memcpy(y, forward(&net), (size_t)(7 * net.n_out) * sizeof *y);
	backward(&net);
	memcpy(grads, net.grads, sizeof grads);
	backward(&net);
	assert_memory_equal(grads, net.grads, sizeof grads);
	assert_ok(ftmpi_workspace_create(net.model, 7, &other));
	ftmpi_workspace_destroy(&net.workspace);
	net.workspace = other;
	assert_memory_equal(y, forward(&net), (size_t)(7 * net.n_out) * sizeof *y);
	backward(&net);
	assert_memory_equal(grads, net.grads, sizeof grads);
	close_net(&net);
}

/* A NaN in a sample reaches its outputs and no other sample's. */
static void test_nan_reaches_outputs(void **state)
{
	(void)state;
	for (int f = FTMPI_LINEAR; f <= FTMPI_SOFTMAX; f++) {
		const ftmpi_layer_spec specs[] = {DENSE_LAYER(19, (ftmpi_activation)f),
						  DENSE_LAYER(3, (ftmpi_activation)f)};
		static struct net net;
		const float *y;

		open_net(&net, 5, specs, 2, 3);
		net.x[5] = NAN; /* row 1 */
		y = forward(&net);
		for (int j = 0; j < 3; j++) {
			assert_true(isfinite(y[j]) && isfinite(y[6 + j]));
			assert_true(isnan(y[3 + j]));
		}
		close_net(&net);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_twin),
		cmocka_unit_test(test_finite_differences),
		cmocka_unit_test(test_repeatable),
		cmocka_unit_test(test_nan_reaches_outputs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
