/* SPDX-License-Identifier: Apache-2.0 */
/* What a model is trained with: defaults, and what is refused. */
#include "unit/unit_test.h"

#include <ftmpi/compile.h>

static void test_defaults(void **state)
{
	ftmpi_compile compile;

	(void)state;
	ftmpi_compile_init(&compile);
	assert_ok(ftmpi_compile_check(&compile));
	assert_int_equal(compile.optimizer.kind, FTMPI_ADAM);
	assert_true(compile.optimizer.learning_rate == 0.001);
	assert_int_equal(compile.loss, FTMPI_LOSS_SPARSE_CROSS_ENTROPY_LOGITS);
	assert_int_equal(compile.n_metrics, 1);
	assert_int_equal(compile.metrics[0], FTMPI_METRIC_ACCURACY);
}

static void test_accepted(void **state)
{
	ftmpi_compile compile;

	(void)state;
	ftmpi_compile_init(&compile);
	compile.n_metrics = 0;
	assert_ok(ftmpi_compile_check(&compile));
	compile.loss = FTMPI_LOSS_SPARSE_CROSS_ENTROPY;
	compile.n_metrics = 1;
	assert_ok(ftmpi_compile_check(&compile));
	compile.loss = FTMPI_LOSS_MEAN_SQUARED_ERROR;
	compile.metrics[0] = FTMPI_METRIC_MEAN_ABSOLUTE_ERROR;
	compile.metrics[1] = FTMPI_METRIC_MEAN_SQUARED_ERROR;
	compile.n_metrics = 2;
	assert_ok(ftmpi_compile_check(&compile));
}

static void test_refused(void **state)
{
	ftmpi_compile compile, bad;

	(void)state;
	ftmpi_compile_init(&compile);
	bad = compile;
	bad.optimizer.learning_rate = -1;
	assert_fails(ftmpi_compile_check(&bad), FTMPI_ERR_USAGE, "learning_rate is -1");
	bad = compile;
	bad.loss = (ftmpi_loss)99;
	assert_fails(ftmpi_compile_check(&bad), FTMPI_ERR_USAGE, "loss 99 is unknown");
	bad = compile;
	bad.metrics[0] = (ftmpi_metric)99;
	assert_fails(ftmpi_compile_check(&bad), FTMPI_ERR_USAGE, "metric 99 is unknown");
	bad = compile;
	bad.metrics[1] = FTMPI_METRIC_ACCURACY;
	bad.n_metrics = 2;
	assert_fails(ftmpi_compile_check(&bad), FTMPI_ERR_USAGE, "metric accuracy is given twice");
	bad.metrics[1] = FTMPI_METRIC_MEAN_SQUARED_ERROR;
	assert_fails(ftmpi_compile_check(&bad), FTMPI_ERR_USAGE,
		     "metric mean_squared_error takes rows of numbers, but loss "
		     "sparse_categorical_crossentropy_from_logits takes class labels");
	bad = compile;
	bad.loss = FTMPI_LOSS_MEAN_SQUARED_ERROR;
	assert_fails(ftmpi_compile_check(&bad), FTMPI_ERR_USAGE,
		     "metric accuracy takes class labels, but loss mean_squared_error takes rows of numbers");
	bad = compile;
	bad.n_metrics = FTMPI_MAX_METRICS + 1;
	assert_fails(ftmpi_compile_check(&bad), FTMPI_ERR_USAGE, "5 metrics: there can be 0 to 4");
	bad.n_metrics = -1;
	assert_fails(ftmpi_compile_check(&bad), FTMPI_ERR_USAGE, "-1 metrics");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
