/* SPDX-License-Identifier: Apache-2.0 */
/* The model: names, layout, initial parameters, what is refused, and a training run of Keras end to end. */
#include "unit/nn_test.h"

#include <ftmpi/loss.h>
#include <ftmpi/optimizer.h>
#include <limits.h>

static void test_layout(void **state)
{
	const int64_t dims[] = {28, 28};
	const ftmpi_layer_spec specs[] = {FLATTEN_LAYER, DENSE_LAYER(512, FTMPI_RELU), DROPOUT_LAYER(0.2),
					  DENSE_LAYER(10, FTMPI_LINEAR)};
	static const char *const names[] = {"flatten", "dense", "dropout", "dense_1"};
	static const ftmpi_param expected[] = {
		{"dense", 0, 2, {784, 512}, 0, 401408},
		{"dense", 1, 1, {512}, 401408, 512},
		{"dense_1", 0, 2, {512, 10}, 401920, 5120},
		{"dense_1", 1, 1, {10}, 407040, 10},
	};
	ftmpi_model *model = NULL;
	const ftmpi_layout *layout;
	int n_dims = 0;

	(void)state;
	assert_ok(ftmpi_model_create(dims, 2, specs, 4, &model));
	assert_memory_equal(ftmpi_model_dims(model, &n_dims), dims, sizeof dims);
	assert_int_equal(n_dims, 2);
	assert_int_equal(ftmpi_model_n_inputs(model), 784);
	assert_int_equal(ftmpi_model_n_outputs(model), 10);
	assert_int_equal(ftmpi_model_n_layers(model), 4);
	for (int i = 0; i < 4; i++) {
		assert_string_equal(ftmpi_model_layer_name(model, i), names[i]);
		assert_int_equal(ftmpi_model_layer_spec(model, i)->kind, specs[i].kind);
	}
	assert_true(ftmpi_model_layer_spec(model, 2)->rate == 0.2);
	layout = ftmpi_model_layout(model);
	assert_int_equal(layout->n_params, 4);
	assert_int_equal(layout->n_elements, 407056);
	assert_int_equal(layout->n_trainable, 407050);
	for (int i = 0; i < 4; i++) {
		assert_string_equal(layout->params[i].layer, expected[i].layer);
		assert_int_equal(layout->params[i].index, expected[i].index);
		assert_int_equal(layout->params[i].n_dims, expected[i].n_dims);
		assert_memory_equal(layout->params[i].dims, expected[i].dims, sizeof expected[i].dims);
		assert_int_equal(layout->params[i].offset, expected[i].offset);
		assert_int_equal(layout->params[i].n_elements, expected[i].n_elements);
	}
	ftmpi_model_destroy(&model);
	assert_null(model);
	ftmpi_model_destroy(&model);
}

/* Parameters of the program's own, among them a scalar. */
static void test_own_layout(void **state)
{
	static const ftmpi_param params[] = {
		{.layer = "encoder", .index = 0, .n_dims = 3, .dims = {2, 3, 5, 77}, .offset = 9, .n_elements = 9},
		{.layer = "scale", .index = 0, .n_dims = 0},
		{.layer = "encoder", .index = 2, .n_dims = 1, .dims = {16}},
	};
	static const int64_t offsets[] = {0, 32, 48}, n_elements[] = {30, 1, 16};
	ftmpi_layout *layout = NULL;

	(void)state;
	assert_ok(ftmpi_layout_create(params, 3, &layout));
	assert_int_equal(layout->n_params, 3);
	assert_int_equal(layout->n_elements, 64);
	assert_int_equal(layout->n_trainable, 47);
	for (int i = 0; i < 3; i++) {
		assert_string_equal(layout->params[i].layer, params[i].layer);
		assert_int_equal(layout->params[i].index, params[i].index);
		assert_int_equal(layout->params[i].n_dims, params[i].n_dims);
		assert_memory_equal(layout->params[i].dims, params[i].dims, (size_t)params[i].n_dims * sizeof(int64_t));
		assert_int_equal(layout->params[i].offset, offsets[i]);
		assert_int_equal(layout->params[i].n_elements, n_elements[i]);
	}
	assert_int_equal(layout->params[0].dims[3], 0);
	ftmpi_layout_destroy(&layout);
	assert_null(layout);
	ftmpi_layout_destroy(&layout);
}

static void test_own_layout_refused(void **state)
{
	static const struct {
		int n_params;
		ftmpi_param params[2];
		const char *text;
	} cases[] = {
		{0, {{.layer = "a"}}, "a layout of 0 parameters"},
		{-1, {{.layer = "a"}}, "a layout of -1 parameters"},
		{2, {{.layer = "a"}, {.layer = ""}}, "parameter 1: the name of its layer must have 1 to 47 bytes"},
		{1,
		 {{.layer = {'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a',
			     'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a',
			     'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a'}}},
		 "parameter 0: the name of its layer must have 1 to 47 bytes"},
		{1, {{.layer = "a", .index = -1}}, "parameter a/-1: the index must be at least 0"},
		{2, {{.layer = "a", .index = 1}, {.layer = "a", .index = 1}}, "parameter a/1 is there twice"},
		{1, {{.layer = "a", .n_dims = -1}}, "parameter a/0 has -1 dimensions; it can have 0 to 4"},
		{1, {{.layer = "a", .n_dims = 5}}, "parameter a/0 has 5 dimensions"},
		{1, {{.layer = "a", .n_dims = 2, .dims = {3}}}, "parameter a/0: dimension 1 is 0"},
		{1, {{.layer = "a", .n_dims = 1, .dims = {-3}}}, "parameter a/0: dimension 0 is -3"},
		{1, {{.layer = "a", .n_dims = 2, .dims = {INT64_MAX, 3}}}, "parameter a/0 does not fit in memory"},
		{2,
		 {{.layer = "a"}, {.layer = "b", .n_dims = 1, .dims = {INT64_MAX / 4}}},
		 "parameter b/0: the parameters up to here do not fit in memory"},
		{2,
		 {{.layer = "a"}, {.layer = "b", .n_dims = 1, .dims = {INT64_MAX}}},
		 "parameter b/0: the parameters up to here do not fit in memory"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ftmpi_layout *layout = NULL;

		ftmpi_error_clear();
		assert_fails(ftmpi_layout_create(cases[i].params, cases[i].n_params, &layout), FTMPI_ERR_USAGE,
			     cases[i].text);
		assert_null(layout);
	}
}

static void test_unique_names(void **state)
{
	const int64_t dim = 3;
	const ftmpi_layer_spec specs[] = {
		DENSE_LAYER(3, FTMPI_RELU), DROPOUT_LAYER(0), DENSE_LAYER(3, FTMPI_RELU),
		DROPOUT_LAYER(0),           FLATTEN_LAYER,    FLATTEN_LAYER,
		DENSE_LAYER(3, FTMPI_RELU), DROPOUT_LAYER(0),
	};
	static const char *const names[] = {"dense",   "dropout",   "dense_1", "dropout_1",
					    "flatten", "flatten_1", "dense_2", "dropout_2"};
	ftmpi_model *model = NULL;

	(void)state;
	assert_ok(ftmpi_model_create(&dim, 1, specs, 8, &model));
	for (int i = 0; i < 8; i++)
		assert_string_equal(ftmpi_model_layer_name(model, i), names[i]);
	ftmpi_model_destroy(&model);
}

static void test_refused(void **state)
{
	static const struct {
		int n_dims, n_layers;
		int64_t dims[8];
		ftmpi_layer_spec specs[3];
		const char *text;
	} cases[] = {
		{1, 0, {4}, {FLATTEN_LAYER}, "a model has 0 layers"},
		{1, -1, {4}, {FLATTEN_LAYER}, "a model has -1 layers"},
		{0, 1, {4}, {DENSE_LAYER(1, FTMPI_RELU)}, "0 dimensions"},
		{8, 2, {1, 1, 1, 1, 1, 1, 1, 1}, {FLATTEN_LAYER, DENSE_LAYER(1, FTMPI_RELU)}, "8 dimensions"},
		{2, 2, {4, 0}, {FLATTEN_LAYER, DENSE_LAYER(1, FTMPI_RELU)}, "dimension 1 of a sample is 0"},
		{2, 2, {INT_MAX, 2}, {FLATTEN_LAYER, DENSE_LAYER(1, FTMPI_RELU)}, "more than 2147483647 elements"},
		{3, 2, {INT64_MAX, 4, 4}, {FLATTEN_LAYER, DENSE_LAYER(1, FTMPI_RELU)}, "more than 2147483647"},
		{1, 2, {4}, {FLATTEN_LAYER, DROPOUT_LAYER(0.1)}, "add a dense layer"},
		{1, 2, {4}, {DENSE_LAYER(3, FTMPI_RELU), DENSE_LAYER(0, FTMPI_RELU)}, "layer 1 (dense_1): units is 0"},
		{1, 1, {4}, {DENSE_LAYER(-5, FTMPI_RELU)}, "layer 0 (dense): units is -5"},
		{1, 1, {4}, {DENSE_LAYER((int64_t)INT_MAX + 1, FTMPI_RELU)}, "units is 2147483648"},
		{1, 1, {4}, {DENSE_LAYER(2, (ftmpi_activation)99)}, "activation 99"},
		{1, 1, {4}, {{.kind = (ftmpi_layer_kind)42}}, "layer 0: kind 42"},
		{2, 1, {4, 4}, {DENSE_LAYER(2, FTMPI_RELU)}, "put a flatten layer before it"},
		{2, 2, {4, 4}, {DROPOUT_LAYER(0.1), DENSE_LAYER(2, FTMPI_RELU)}, "layer 1 (dense): its input has 2"},
		{1, 2, {4}, {DENSE_LAYER(2, FTMPI_RELU), DROPOUT_LAYER(1)}, "layer 1 (dropout): rate is 1"},
		{1, 2, {4}, {DENSE_LAYER(2, FTMPI_RELU), DROPOUT_LAYER(-0.1)}, "rate is -0.1"},
		{1, 2, {4}, {DENSE_LAYER(2, FTMPI_RELU), DROPOUT_LAYER(NAN)}, "rate is nan"},
		{1,
		 2,
		 {INT_MAX},
		 {DENSE_LAYER(INT_MAX, FTMPI_RELU), DENSE_LAYER(2, FTMPI_RELU)},
		 "parameter dense/0: the parameters up to here do not fit in memory"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ftmpi_model *model = NULL;

		ftmpi_error_clear();
		assert_fails(
			ftmpi_model_create(cases[i].dims, cases[i].n_dims, cases[i].specs, cases[i].n_layers, &model),
			FTMPI_ERR_USAGE, cases[i].text);
		assert_null(model);
	}
}

static void test_workspace(void **state)
{
	const int64_t dim = 1;
	const ftmpi_layer_spec small[] = {DENSE_LAYER(2, FTMPI_RELU)}, wide[] = {DENSE_LAYER(INT_MAX, FTMPI_RELU)};
	ftmpi_workspace *workspace = NULL;
	ftmpi_model *model = NULL;

	(void)state;
	assert_ok(ftmpi_model_create(&dim, 1, small, 1, &model));
	assert_fails(ftmpi_workspace_create(model, 0, &workspace), FTMPI_ERR_USAGE, "a pass of 0 rows");
	assert_fails(ftmpi_workspace_create(model, (int64_t)INT_MAX + 1, &workspace), FTMPI_ERR_USAGE,
		     "a pass of 2147483648 rows");
	assert_null(workspace);
	assert_ok(ftmpi_workspace_create(model, 1, &workspace));
	ftmpi_workspace_destroy(&workspace);
	assert_null(workspace);
	ftmpi_workspace_destroy(&workspace);
	ftmpi_model_destroy(&model);

	assert_ok(ftmpi_model_create(&dim, 1, wide, 1, &model));
	assert_fails(ftmpi_workspace_create(model, INT_MAX, &workspace), FTMPI_ERR_MEMORY, "does not fit in memory");
	assert_null(workspace);
	ftmpi_model_destroy(&model);
}

enum { INIT_INPUTS = 150, INIT_UNITS = 50 };

static void check_init(const ftmpi_layout *layout, const float *params)
{
	for (int p = 0; p < layout->n_params; p++) {
		const ftmpi_param *param = &layout->params[p];
		const double limit = param->index == 1 ? 0 : sqrt(6.0 / (double)(param->dims[0] + param->dims[1]));
		double sum = 0, squares = 0, largest = 0;

		for (int64_t i = param->offset; i < param->offset + param->n_elements; i++) {
			const double w = (double)params[i];

			assert_true(w >= -limit * 1.000001 && w <= limit);
			sum += w;
			squares += w * w;
			largest = fmax(largest, fabs(w));
		}
		/* uniform: mean 0, variance limit²/3, and the extremes are nearly reached */
		assert_true(fabs(sum) <= 6 * limit * sqrt((double)param->n_elements / 3));
		assert_true(fabs(squares / (double)param->n_elements - limit * limit / 3) <= 0.05 * limit * limit);
		assert_true(largest >= 0.99 * limit);
	}
}

static void test_init_params(void **state)
{
	const int64_t dim = INIT_INPUTS;
	const ftmpi_layer_spec specs[] = {DENSE_LAYER(INIT_UNITS, FTMPI_RELU), DENSE_LAYER(INIT_UNITS, FTMPI_RELU),
					  DENSE_LAYER(INIT_UNITS, FTMPI_RELU)};
	const ftmpi_layout *layout;
	ftmpi_model *model = NULL;
	float *params = NULL, *again = NULL;
	size_t n_bytes;
	uint32_t words[INIT_UNITS];

	(void)state;
	assert_ok(ftmpi_model_create(&dim, 1, specs, 3, &model));
	layout = ftmpi_model_layout(model);
	n_bytes = (size_t)layout->n_elements * sizeof *params;
	assert_ok(FTMPI_ALLOC(layout->n_elements, &params));
	assert_ok(FTMPI_ALLOC(layout->n_elements, &again));
	memset(params, 0xff, n_bytes);
	ftmpi_model_init_params(model, 9, params);
	check_gaps("initial parameters", layout, params);
	check_init(layout, params);
	/* two layers of one shape differ, so do two seeds; one seed gives one result */
	assert_memory_not_equal(params + layout->params[2].offset, params + layout->params[4].offset,
				(size_t)layout->params[4].n_elements * sizeof *params);
	ftmpi_model_init_params(model, 9, again);
	assert_memory_equal(params, again, n_bytes);
	ftmpi_model_init_params(model, 10, again);
	assert_memory_not_equal(params, again, n_bytes);
	/* row 2 of the first kernel, from the generator */
	ftmpi_rng_words(ftmpi_rng_stream(9, FTMPI_RNG_INIT, 0, 0), 2, INIT_UNITS, words);
	for (int j = 0; j < INIT_UNITS; j++)
		assert_true(params[2 * INIT_UNITS + j] ==
			    (float)sqrt(6.0 / (INIT_INPUTS + INIT_UNITS)) * (2.0F * ftmpi_rng_unit(words[j]) - 1.0F));
	ftmpi_free(params);
	ftmpi_free(again);
	ftmpi_model_destroy(&model);
}

static void test_activation_names(void **state)
{
	static const char *const names[] = {"linear", "relu", "sigmoid", "tanh", "gelu", "softmax"};
	ftmpi_activation activation = FTMPI_TANH;

	(void)state;
	assert_fails(ftmpi_activation_parse("swish", &activation), FTMPI_ERR_USAGE, "unknown activation 'swish'");
	assert_fails(ftmpi_activation_parse("", &activation), FTMPI_ERR_USAGE, "linear relu sigmoid tanh gelu softmax");
	assert_int_equal(activation, FTMPI_TANH);
	for (int i = 0; i < 6; i++) {
		assert_ok(ftmpi_activation_parse(names[i], &activation));
		assert_int_equal(activation, i);
		assert_string_equal(ftmpi_activation_name((ftmpi_activation)i), names[i]);
	}
	assert_string_equal(ftmpi_activation_name((ftmpi_activation)99), "unknown");
}

static void test_blas_description(void **state)
{
	const int64_t dim = 1;
	const ftmpi_layer_spec specs[] = {DENSE_LAYER(2, FTMPI_RELU)};
	ftmpi_model *model = NULL;

	(void)state;
	assert_ok(ftmpi_model_create(&dim, 1, specs, 1, &model));
	assert_non_null(strstr(ftmpi_blas_description(), "OpenBLAS"));
	assert_non_null(strstr(ftmpi_blas_description(), "; core "));
	assert_non_null(strstr(ftmpi_blas_description(), "; threads 1"));
	assert_null(strchr(ftmpi_blas_description(), '\n'));
	ftmpi_model_destroy(&model);
}

enum { GOLDEN_ROWS = 4, GOLDEN_ARENA = 64 };

static const float golden_x[GOLDEN_ROWS][2] = {{1, 2}, {-1, 0.5F}, {0.3F, -0.7F}, {2, 1}};
static const int32_t golden_y[GOLDEN_ROWS] = {0, 1, 1, 0};
static const ftmpi_targets golden_targets = {.labels = golden_y};

/* One full-batch step; returns the sum of the losses before the update. */
static double golden_step(const ftmpi_model *model, ftmpi_workspace *workspace, const ftmpi_optimizer *adam,
			  int64_t step, float *params, float *const *slots)
{
	const ftmpi_pass pass = {.training = true, .step = step};
	const int64_t n = ftmpi_model_layout(model)->n_elements;
	float d[GOLDEN_ROWS * 2], grads[GOLDEN_ARENA];
	const float *outputs = ftmpi_model_forward(model, params, golden_x[0], GOLDEN_ROWS, &pass, workspace);
	const double loss = ftmpi_loss_compute(FTMPI_LOSS_SPARSE_CROSS_ENTROPY_LOGITS, outputs, &golden_targets,
					       GOLDEN_ROWS, 2, 1.0F / GOLDEN_ROWS, d);

	ftmpi_model_backward(model, params, golden_x[0], GOLDEN_ROWS, &pass, workspace, d, grads);
	ftmpi_optimizer_apply(adam, step, 0, n, params, grads, slots);
	return loss;
}

/* 2 → 3 relu → 2, Adam 0.01, three full-batch steps, then an evaluation. Numbers of Keras 3.10. */
static void test_golden_training(void **state)
{
	const int64_t dim = 2;
	const ftmpi_layer_spec specs[] = {DENSE_LAYER(3, FTMPI_RELU), DENSE_LAYER(2, FTMPI_LINEAR)};
	const ftmpi_pass evaluation = {.training = false};
	static const double losses[] = {0.846647024, 0.83650142, 0.826951921};
	float params[GOLDEN_ARENA] = {0.1F, -0.2F, 0.3F, 0.4F, 0.5F, -0.6F}, m[GOLDEN_ARENA] = {0},
	      v[GOLDEN_ARENA] = {0};
	float *const slots[] = {m, v};
	ftmpi_workspace *workspace = NULL;
	ftmpi_model *model = NULL;
	ftmpi_optimizer adam;
	const float *outputs;
	double running = 0;

	(void)state;
	ftmpi_optimizer_init(&adam, FTMPI_ADAM);
	adam.learning_rate = 0.01;
	assert_ok(ftmpi_model_create(&dim, 1, specs, 2, &model));
	assert_ok(ftmpi_workspace_create(model, GOLDEN_ROWS, &workspace));
	assert_int_equal(ftmpi_model_layout(model)->n_elements, GOLDEN_ARENA);
	memcpy(params + ftmpi_model_layout(model)->params[2].offset,
	       (const float[]){0.1F, 0.2F, -0.3F, 0.4F, 0.5F, -0.6F}, 6 * sizeof(float));
	for (int step = 0; step < 3; step++) {
		running += golden_step(model, workspace, &adam, step, params, slots);
		check_close("running loss", running / (GOLDEN_ROWS * (step + 1)), losses[step], 1e-6);
		check_gaps("parameters", ftmpi_model_layout(model), params);
	}
	outputs = ftmpi_model_forward(model, params, golden_x[0], GOLDEN_ROWS, &evaluation, workspace);
	check_close("evaluation loss",
		    ftmpi_loss_compute(FTMPI_LOSS_SPARSE_CROSS_ENTROPY_LOGITS, outputs, &golden_targets, GOLDEN_ROWS, 2,
				       0, NULL) /
			    GOLDEN_ROWS,
		    0.79259926, 1e-6);
	assert_true(ftmpi_metric_compute(FTMPI_METRIC_ACCURACY, outputs, &golden_targets, GOLDEN_ROWS, 2) == 2);
	check_close("bias 0", (double)params[48], 0.0288818, 2e-6);
	check_close("bias 1", (double)params[49], -0.0288818, 2e-6);
	ftmpi_workspace_destroy(&workspace);
	ftmpi_model_destroy(&model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_own_layout),
		cmocka_unit_test(test_own_layout_refused),
		cmocka_unit_test(test_unique_names),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_workspace),
		cmocka_unit_test(test_init_params),
		cmocka_unit_test(test_activation_names),
		cmocka_unit_test(test_blas_description),
		cmocka_unit_test(test_golden_training),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
