/* SPDX-License-Identifier: Apache-2.0 */
/* Sparse categorical cross-entropy: value, gradient, extremes, ties and NaN. */
#include "unit/nn_test.h"

enum { ROWS = 7, CLASSES = 5 };

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
	float logits[ROWS * CLASSES], d[ROWS * CLASSES];
	double expected_d[ROWS * CLASSES], loss = 0, correct = 0;
	int32_t labels[ROWS];
	ftmpi_loss_sums sums, without;

	(void)state;
	fill_numbers(1, 4.0F, (int64_t)ROWS * CLASSES, logits);
	for (int r = 0; r < ROWS; r++) {
		const float *z = logits + (ptrdiff_t)r * CLASSES;
		double sum = 0;
		int best = 0;

		for (int c = 0; c < CLASSES; c++) {
			sum += exp((double)z[c]);
			best = z[c] > z[best] ? c : best;
		}
		labels[r] = r % 3 == 0 ? best : (best + r) % CLASSES;
		loss += twin_loss(z, labels[r]);
		correct += best == labels[r];
		for (int c = 0; c < CLASSES; c++)
			expected_d[r * CLASSES + c] = 0.25 * (exp((double)z[c]) / sum - (c == labels[r]));
	}
	ftmpi_sparse_cross_entropy(logits, labels, ROWS, CLASSES, 0.25F, d, &sums);
	check_close("loss", sums.loss, loss, 1e-6);
	assert_true(correct > 0 && correct < ROWS);
	assert_true(sums.correct == correct);
	check_near("d_logits", d, expected_d, (int64_t)ROWS * CLASSES, 1e-6);
	ftmpi_sparse_cross_entropy(logits, labels, ROWS, CLASSES, 0.25F, NULL, &without);
	assert_memory_equal(&without, &sums, sizeof sums);
}

/* The loss is in double, so its differences are exact enough for a narrow tolerance. */
static void test_gradient(void **state)
{
	float logits[CLASSES], d[CLASSES];
	const int32_t label = 2;
	const float eps = 0x1p-7F;
	ftmpi_loss_sums sums;

	(void)state;
	fill_numbers(2, 2.0F, CLASSES, logits);
	ftmpi_sparse_cross_entropy(logits, &label, 1, CLASSES, 1.0F, d, &sums);
	for (int c = 0; c < CLASSES; c++) {
		const float z = logits[c];
		ftmpi_loss_sums up, down;

		logits[c] = z + eps;
		ftmpi_sparse_cross_entropy(logits, &label, 1, CLASSES, 1.0F, NULL, &up);
		logits[c] = z - eps;
		ftmpi_sparse_cross_entropy(logits, &label, 1, CLASSES, 1.0F, NULL, &down);
		logits[c] = z;
		assert_true(fabs((up.loss - down.loss) / (2.0 * (double)eps) - (double)d[c]) < 1e-4);
	}
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
		ftmpi_loss_sums sums;
		float d[3];

		ftmpi_sparse_cross_entropy(cases[i].logits, &cases[i].label, 1, 3, 1.0F, d, &sums);
		if (isinf(cases[i].loss))
			assert_true(isinf(sums.loss) && sums.loss > 0);
		else
			assert_true(fabs(sums.loss - cases[i].loss) <= 2e-7 * cases[i].loss);
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
		{{1.0F, 1.0F, 0.0F}, 0, 1, false}, {{1.0F, 1.0F, 0.0F}, 1, 0, false},
		{{0.0F, 1.0F, 1.0F}, 1, 1, false}, {{0.0F, 1.0F, 1.0F}, 2, 0, false},
		{{NAN, 1.0F, 0.0F}, 0, 0, true},   {{NAN, 1.0F, 0.0F}, 1, 0, true},
		{{0.0F, NAN, 1.0F}, 1, 0, true},   {{0.0F, 1.0F, NAN}, 1, 0, true},
		{{NAN, NAN, NAN}, 0, 0, true},     {{INFINITY, 1.0F, 0.0F}, 0, 0, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const float rows[6] = {cases[i].logits[0], cases[i].logits[1], cases[i].logits[2], 9.0F, 0.0F, 0.0F};
		const int32_t labels[2] = {cases[i].label, 0};
		ftmpi_loss_sums sums;
		float d[6];

		ftmpi_sparse_cross_entropy(rows, labels, 2, 3, 1.0F, d, &sums);
		assert_true(sums.correct == cases[i].correct + 1);
		assert_int_equal(isnan(sums.loss), cases[i].is_nan);
		assert_int_equal(isnan(d[0]), cases[i].is_nan);
		assert_true(isfinite(d[3]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_twin),
		cmocka_unit_test(test_gradient),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_ties_and_nan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
