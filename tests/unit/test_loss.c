/* SPDX-License-Identifier: Apache-2.0 */
/* Losses: values against naive twins and Keras's numbers, gradients against finite differences, extremes, clipping, ties and NaN. Metrics. */
#include "unit/nn_test.h"

#include <ftmpi/loss.h>

enum { ROWS = 7, CLASSES = 5, N_ELEMENTS = ROWS * CLASSES };

static const ftmpi_loss logits_loss = FTMPI_LOSS_SPARSE_CROSS_ENTROPY_LOGITS;
static const ftmpi_loss probabilities_loss = FTMPI_LOSS_SPARSE_CROSS_ENTROPY;

/* Loss of one row, labels alone. */
static double label_loss(ftmpi_loss loss, const float *outputs, int32_t label, int64_t n, float *d)
{
	return ftmpi_loss_compute(loss, outputs, &(ftmpi_targets){.labels = &label}, 1, n, 1.0F, d);
}

/* Naive twin in double: loss of one row. */
static double twin_loss(const float *z, int32_t label)
{
	double sum = 0;

	for (int c = 0; c < CLASSES; c++)
		sum += exp((double)z[c]);
	return log(sum) - (double)z[label];
}

static void test_twin(void **state)
{
	float logits[N_ELEMENTS], d[N_ELEMENTS];
	double expected_d[N_ELEMENTS], expected = 0, expected_correct = 0, sum, without;
	int32_t labels[ROWS];
	const ftmpi_targets targets = {.labels = labels};

	(void)state;
	fill_numbers(1, 4.0F, N_ELEMENTS, logits);
	for (int r = 0; r < ROWS; r++) {
		const float *z = logits + (ptrdiff_t)r * CLASSES;
		double exponentials = 0;
		int best = 0;

		for (int c = 0; c < CLASSES; c++) {
			exponentials += exp((double)z[c]);
			best = z[c] > z[best] ? c : best;
		}
		labels[r] = r % 3 == 0 ? best : (best + r) % CLASSES;
		expected += twin_loss(z, labels[r]);
		expected_correct += best == labels[r];
		for (int c = 0; c < CLASSES; c++)
			expected_d[r * CLASSES + c] = 0.25 * (exp((double)z[c]) / exponentials - (c == labels[r]));
	}
	sum = ftmpi_loss_compute(logits_loss, logits, &targets, ROWS, CLASSES, 0.25F, d);
	check_close("loss", sum, expected, 1e-6);
	check_near("d_outputs", d, expected_d, N_ELEMENTS, 1e-6);
	without = ftmpi_loss_compute(logits_loss, logits, &targets, ROWS, CLASSES, 0.25F, NULL);
	assert_memory_equal(&without, &sum, sizeof sum);
	assert_true(expected_correct > 0 && expected_correct < ROWS);
	assert_true(ftmpi_metric_compute(FTMPI_METRIC_ACCURACY, logits, &targets, ROWS, CLASSES) == expected_correct);
}

/* Losses are in double, so their differences are exact enough for a narrow tolerance. */
static void check_gradient(ftmpi_loss loss, float *outputs, const ftmpi_targets *targets, float eps)
{
	const float scale = 0.5F;
	float d[N_ELEMENTS];

	(void)ftmpi_loss_compute(loss, outputs, targets, ROWS, CLASSES, scale, d);
	for (int i = 0; i < N_ELEMENTS; i++) {
		const float y = outputs[i], above = y + eps, below = y - eps;
		double difference;

		outputs[i] = above;
		difference = ftmpi_loss_compute(loss, outputs, targets, ROWS, CLASSES, 1.0F, NULL);
		outputs[i] = below;
		difference -= ftmpi_loss_compute(loss, outputs, targets, ROWS, CLASSES, 1.0F, NULL);
		outputs[i] = y;
		difference *= (double)scale / ((double)above - (double)below);
		if (!(fabs(difference - (double)d[i]) < 1e-4))
			fail_msg("%s: d_outputs[%d] is %.9g, expected %.9g", ftmpi_loss_name(loss), i, (double)d[i],
				 difference);
	}
}

static void test_gradients(void **state)
{
	static const int32_t labels[ROWS] = {0, 1, 2, 3, 4, 0, 2};
	float outputs[N_ELEMENTS], values[N_ELEMENTS];
	const ftmpi_targets targets = {labels, values};

	(void)state;
	fill_numbers(2, 2.0F, N_ELEMENTS, outputs);
	fill_numbers(3, 2.0F, N_ELEMENTS, values);
	check_gradient(FTMPI_LOSS_SPARSE_CROSS_ENTROPY_LOGITS, outputs, &targets, 0x1p-7F);
	check_gradient(FTMPI_LOSS_MEAN_SQUARED_ERROR, outputs, &targets, 0x1p-7F);
	for (int i = 0; i < N_ELEMENTS; i++) /* probabilities need not have the sum 1 */
		outputs[i] = 0.5F + 0.2F * outputs[i];
	check_gradient(FTMPI_LOSS_SPARSE_CROSS_ENTROPY, outputs, &targets, 0x1p-12F);
}

static void test_extremes(void **state)
{
	static const struct {
		float logits[3];
		int32_t label;
		double loss;
	} cases[] = {
		{{1e4F, -1e4F, 0.0F}, 0, 0.0},          {{1e4F, -1e4F, 0.0F}, 1, 2e4},
		{{1e4F, -1e4F, 0.0F}, 2, 1e4},          {{-1e4F, -1e4F, -1e4F}, 1, 1.0986122886681098},
		{{3e38F, -3e38F, 0.0F}, 2, 3e38},       {{20.0F, 0.0F, -INFINITY}, 0, 2.0611536e-9},
		{{0.0F, -INFINITY, 0.0F}, 1, INFINITY},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		float d[3];
		const double loss = label_loss(logits_loss, cases[i].logits, cases[i].label, 3, d);

		if (isinf(cases[i].loss))
			assert_true(isinf(loss) && loss > 0);
		else
			assert_true(fabs(loss - cases[i].loss) <= 2e-7 * cases[i].loss);
		for (int c = 0; c < 3; c++)
			assert_true(isfinite(d[c]) && fabsf(d[c]) <= 1.0F);
	}
}

static void test_ties_and_nan(void **state)
{
	static const struct {
		float logits[3];
		int32_t label;
		double correct;
		bool is_nan;
	} cases[] = {
		{{1.0F, 1.0F, 0.0F}, 0, 1, false},    {{1.0F, 1.0F, 0.0F}, 1, 0, false},
		{{0.0F, 1.0F, 1.0F}, 1, 1, false},    {{0.0F, 1.0F, 1.0F}, 2, 0, false},
		{{NAN, 1.0F, 0.0F}, 0, 0, true},      {{NAN, 1.0F, 0.0F}, 1, 0, true},
		{{0.0F, NAN, 1.0F}, 1, 0, true},      {{0.0F, NAN, 1.0F}, 2, 0, true},
		{{0.0F, 1.0F, NAN}, 1, 0, true},      {{NAN, NAN, NAN}, 0, 0, true},
		{{INFINITY, 1.0F, 0.0F}, 0, 1, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const float rows[6] = {cases[i].logits[0], cases[i].logits[1], cases[i].logits[2], 9.0F, 0.0F, 0.0F};
		const int32_t labels[2] = {cases[i].label, 0};
		const ftmpi_targets targets = {.labels = labels};
		float d[6];
		const double loss = ftmpi_loss_compute(logits_loss, rows, &targets, 2, 3, 1.0F, d);

		assert_true(ftmpi_metric_compute(FTMPI_METRIC_ACCURACY, rows, &targets, 2, 3) == cases[i].correct + 1);
		assert_int_equal(isnan(loss), cases[i].is_nan);
		assert_int_equal(isnan(d[0]), cases[i].is_nan);
		assert_true(isfinite(d[3]));
	}
}

/* Probabilities are divided by their sum; what is left of Keras's bounds, in float32, is clipped, and has no gradient. */
static void test_probabilities(void **state)
{
	static const struct {
		float p[3];
		int32_t label;
		double loss, d[3];
	} cases[] = {
		{{0.2F, 0.5F, 0.3F}, 1, 0.69314718056, {1, -1, 1}},
		{{0.2F, 0.5F, 0.3F}, 0, 1.60943791243, {-4, 1, 1}},
		{{1.0F, 2.0F, 1.0F}, 1, 0.69314718056, {0.25, -0.25, 0.25}},
		{{1.0F, 0.0F, 0.0F}, 0, 1.1920929665621e-07, {0, 0, 0}},
		{{1.0F, 0.0F, 0.0F}, 1, 16.11809565095832, {0, 0, 0}},
		{{1.0F, 1e-9F, 0.0F}, 1, 16.11809565095832, {0, 0, 0}},
		{{0.5F, 1.5F, -1.0F}, 2, 16.11809565095832, {0, 0, 0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		float d[3];

		check_close("loss", label_loss(probabilities_loss, cases[i].p, cases[i].label, 3, d), cases[i].loss,
			    1e-7);
		check_near("d_outputs", d, cases[i].d, 3, 3e-7);
	}
}

static void test_probabilities_nan(void **state)
{
	static const float cases[][3] = {
		{NAN, 0.5F, 0.5F}, {0.5F, NAN, 0.5F}, {INFINITY, 0.0F, 0.0F}, {0.0F, 0.0F, 0.0F}, {1.0F, -1.0F, 0.0F}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		float d[3];
		const double loss = label_loss(probabilities_loss, cases[i], 0, 3, d);

		if (i == 4) /* 1/0 is too large, and clipped */
			check_close("loss", loss, 1.1920929665621e-07, 1e-7);
		else
			assert_true(isnan(loss) && isnan(d[0]));
	}
}

/* Numbers worked out by hand: errors (1, −2), (0, 3), (−0.5, 0.5). */
static void test_regression(void **state)
{
	static const float outputs[6] = {2, 0, 1, 4, 0, 1}, values[6] = {1, 2, 1, 1, 0.5F, 0.5F};
	static const double expected_d[6] = {0.25, -0.5, 0, 0.75, -0.125, 0.125};
	const ftmpi_targets targets = {.values = values};
	float d[6], bad[6];

	(void)state;
	assert_true(ftmpi_loss_compute(FTMPI_LOSS_MEAN_SQUARED_ERROR, outputs, &targets, 3, 2, 0.25F, d) == 7.25);
	check_near("d_outputs", d, expected_d, 6, 0);
	assert_true(ftmpi_metric_compute(FTMPI_METRIC_MEAN_SQUARED_ERROR, outputs, &targets, 3, 2) == 7.25);
	assert_true(ftmpi_metric_compute(FTMPI_METRIC_MEAN_ABSOLUTE_ERROR, outputs, &targets, 3, 2) == 3.5);
	memcpy(bad, outputs, sizeof bad);
	bad[2] = NAN;
	assert_true(isnan(ftmpi_loss_compute(FTMPI_LOSS_MEAN_SQUARED_ERROR, bad, &targets, 3, 2, 0.25F, d)));
	assert_true(isnan(d[2]) && d[1] == -0.5F && d[3] == 0.75F);
	assert_true(isnan(ftmpi_metric_compute(FTMPI_METRIC_MEAN_SQUARED_ERROR, bad, &targets, 3, 2)));
	assert_true(isnan(ftmpi_metric_compute(FTMPI_METRIC_MEAN_ABSOLUTE_ERROR, bad, &targets, 3, 2)));
	bad[2] = -INFINITY;
	assert_true(isinf(ftmpi_loss_compute(FTMPI_LOSS_MEAN_SQUARED_ERROR, bad, &targets, 3, 2, 0.25F, NULL)));
}

static void test_names(void **state)
{
	ftmpi_metric metric = FTMPI_METRIC_ACCURACY;

	(void)state;
	assert_string_equal(ftmpi_loss_name(FTMPI_LOSS_MEAN_SQUARED_ERROR), "mean_squared_error");
	assert_string_equal(ftmpi_loss_class(logits_loss), "SparseCategoricalCrossentropy");
	assert_true(ftmpi_loss_takes_labels(logits_loss) && ftmpi_loss_takes_labels(probabilities_loss));
	assert_false(ftmpi_loss_takes_labels(FTMPI_LOSS_MEAN_SQUARED_ERROR));
	assert_string_equal(ftmpi_loss_name((ftmpi_loss)99), "unknown");
	assert_string_equal(ftmpi_loss_class((ftmpi_loss)99), "unknown");
	assert_true(ftmpi_metric_takes_labels(FTMPI_METRIC_ACCURACY));
	assert_false(ftmpi_metric_takes_labels(FTMPI_METRIC_MEAN_SQUARED_ERROR));
	assert_string_equal(ftmpi_metric_name((ftmpi_metric)99), "unknown");
	assert_ok(ftmpi_metric_parse("mean_absolute_error", &metric));
	assert_int_equal(metric, FTMPI_METRIC_MEAN_ABSOLUTE_ERROR);
	assert_fails(ftmpi_metric_parse("auc", &metric), FTMPI_ERR_USAGE,
		     "unknown metric 'auc'; known are: accuracy mean_squared_error mean_absolute_error");
	assert_int_equal(metric, FTMPI_METRIC_MEAN_ABSOLUTE_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_twin),          cmocka_unit_test(test_gradients),
		cmocka_unit_test(test_extremes),      cmocka_unit_test(test_ties_and_nan),
		cmocka_unit_test(test_probabilities), cmocka_unit_test(test_probabilities_nan),
		cmocka_unit_test(test_regression),    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
