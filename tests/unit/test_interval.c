/* SPDX-License-Identifier: Apache-2.0 */
/* The interval between saves: Young's and Daly's formulas, their limits, the budget, and what is said of it. */
#include "unit/unit_test.h"

#include "train/interval.h"

#include <math.h>

enum { HOUR = 3600 };

static void assert_near(double a, double b, double relative)
{
	assert_true(fabs(a - b) <= relative * fabs(b));
}

/* Golden values: [2], eq. 37, worked out by hand. */
static void test_golden(void **state)
{
	(void)state;
	/* δ = 2, M = 100: x = 0.01, 20 · (1 + 0.1 / 3 + 0.01 / 9) */
	assert_near(ftmpi__interval_optimum(2, 100), 20.0 * (1 + 1 / 30.0 + 1 / 900.0), 1e-15);
	/* δ = 50, M = 100: x = 1/4, 100 · (1 + 1/6 + 1/36) */
	assert_near(ftmpi__interval_optimum(50, 100), 100.0 * 43 / 36, 1e-15);
	/* Young's is the limit for cheap saves. */
	assert_near(ftmpi__interval_optimum(1e-6, 5e5), 1, 1e-5);
}

static void test_limits(void **state)
{
	double below, above;

	(void)state;
	assert_true(ftmpi__interval_optimum(0, 100) == 0);
	assert_true(ftmpi__interval_optimum(0, 0) == 0);
	assert_true(ftmpi__interval_optimum(3, 0) == 3);
	/* A save that costs more than two failures lie apart: M from the end of one save to the beginning of the next. */
	assert_true(ftmpi__interval_optimum(200, 100) == 300);
	assert_true(ftmpi__interval_optimum(500, 100) == 600);
	below = ftmpi__interval_optimum(199.999, 100);
	above = ftmpi__interval_optimum(200.001, 100);
	assert_near(below, 200.0 * 13 / 9, 1e-4);
	assert_true(below < above);
}

/* Expected time for a second of work, [2], eq. 20 without the constant factor of the restart: (e^((τ+δ)/M) − 1) M / τ. */
static double expected_time(double period_s, double cost_s, double mtbf_s)
{
	return expm1(period_s / mtbf_s) * mtbf_s / (period_s - cost_s);
}

/* Nothing near is better by more than a thousandth: the formula is that of the model. */
static void test_is_optimum(void **state)
{
	static const double costs_s[] = {1e-3, 1e-2, 0.1, 1, 5, 20, 50};
	const double mtbf_s = 100;

	(void)state;
	for (size_t i = 0; i < sizeof costs_s / sizeof costs_s[0]; i++) {
		const double period_s = ftmpi__interval_optimum(costs_s[i], mtbf_s);
		const double here = expected_time(period_s, costs_s[i], mtbf_s);

		assert_true(period_s > costs_s[i]);
		for (int k = -140; k <= 140; k++) { /* a quarter of it to four times */
			const double other_s = period_s * pow(1.01, k);

			if (other_s > costs_s[i])
				assert_true(here <= 1.001 * expected_time(other_s, costs_s[i], mtbf_s));
		}
		assert_true(here < expected_time(period_s * 2, costs_s[i], mtbf_s));
	}
}

static void test_mtbf(void **state)
{
	(void)state;
	assert_true(ftmpi__interval_mtbf(0, 0) == 24 * HOUR);
	assert_true(ftmpi__interval_mtbf(0, 12 * HOUR) == 24 * HOUR);
	assert_true(ftmpi__interval_mtbf(0, 50 * HOUR) == 100 * HOUR);
	assert_true(ftmpi__interval_mtbf(1, 50 * HOUR) == 50 * HOUR);
	assert_true(ftmpi__interval_mtbf(2, 58 * HOUR) == 29 * HOUR);
	assert_true(ftmpi__interval_mtbf(3, 0) == 0);
}

static struct ftmpi__interval choose(double cost_s, int64_t n_failures, double observed_s, double overhead)
{
	const struct ftmpi__interval_facts facts = {cost_s, n_failures, observed_s, overhead, 0};

	return ftmpi__interval_choose(&facts);
}

static void test_budget(void **state)
{
	struct ftmpi__interval i;

	(void)state;
	i = choose(0.8, 2, 58 * HOUR, 0.01);
	assert_near(i.optimum_s, 408.9, 1e-3);
	assert_near(i.least_s, 80, 1e-15);
	assert_true(i.interval_s == i.optimum_s);
	/* Failures every minute ask for a save every 10 s; the budget has the last word. */
	i = choose(0.8, 60, HOUR, 0.01);
	assert_near(i.optimum_s, 10.1, 1e-2);
	assert_true(i.interval_s == i.least_s);
	assert_near(0.8 / i.interval_s, 0.01, 1e-15);
	assert_true(choose(0.8, 60, HOUR, 0.5).interval_s == i.optimum_s);
	/* Failures before anything was saved: as often as the budget allows. */
	i = choose(0.8, 3, 0, 0.01);
	assert_true(i.interval_s == i.least_s);
	/* At the very least nothing but saves. */
	assert_true(choose(300, 5, 500, 1).interval_s == 400);
	/* Saves for nothing: all the time. */
	assert_true(choose(0, 0, 0, 0.01).interval_s == 0);
	/* More failures, or dearer saves, never the other way round. */
	for (int64_t n = 1; n < 100; n++)
		assert_true(choose(0.8, n + 1, 58 * HOUR, 0.01).interval_s <=
			    choose(0.8, n, 58 * HOUR, 0.01).interval_s);
	for (int k = 0; k < 200; k++)
		assert_true(choose(1e-3 * pow(1.1, k), 5, HOUR, 0.01).interval_s <
			    choose(1e-3 * pow(1.1, k + 1), 5, HOUR, 0.01).interval_s);
}

static void test_cost(void **state)
{
	const double costs_s[] = {3, 0, 1, 50, INFINITY, 2, NAN, -1, 4};

	(void)state;
	assert_true(ftmpi__interval_cost(costs_s, 0) == 0);
	assert_true(ftmpi__interval_cost(costs_s + 1, 1) == 0);
	assert_true(ftmpi__interval_cost(costs_s, 1) == 3);
	assert_true(ftmpi__interval_cost(costs_s, 3) == 2);
	assert_true(ftmpi__interval_cost(costs_s, 9) == 3);
}

static void expect_text(double cost_s, int64_t n_failures, double observed_s, double overhead, double step_s,
			const char *expected)
{
	const struct ftmpi__interval_facts facts = {cost_s, n_failures, observed_s, overhead, 0};
	const struct ftmpi__interval interval = ftmpi__interval_choose(&facts);
	char text[FTMPI__INTERVAL_TEXT];

	ftmpi__interval_describe(&facts, &interval, step_s, text);
	assert_string_equal(text, expected);
}

/* A save that is written longer than the optimum and the budget ask for keeps the next one away; one that is not does not matter. */
static void test_write(void **state)
{
	struct ftmpi__interval_facts facts = {0.001, 60, HOUR, 0.01, 100};
	struct ftmpi__interval interval = ftmpi__interval_choose(&facts);
	char text[FTMPI__INTERVAL_TEXT];

	(void)state;
	assert_true(interval.optimum_s < 1 && interval.interval_s == 100);
	ftmpi__interval_describe(&facts, &interval, 0, text);
	assert_string_equal(text, "Checkpoint every 100 s: a save costs 1 ms, a failure every 60 s (60 in 60 min); "
				  "Young/Daly 0.35 s, but it is that long until one is durable");
	facts.write_s = 0.2;
	interval = ftmpi__interval_choose(&facts);
	assert_true(interval.interval_s == interval.optimum_s);
}

static void test_text(void **state)
{
	(void)state;
	expect_text(0.8, 2, 58 * HOUR, 0.01, 0.08,
		    "Checkpoint every 409 s (~5100 steps): a save costs 0.8 s, a failure every 29 h (2 in 58 h); "
		    "Young/Daly 409 s, the budget of 1% asks for at least 80 s");
	expect_text(0.8, 60, HOUR, 0.01, 0,
		    "Checkpoint every 80 s: a save costs 0.8 s, a failure every 60 s (60 in 60 min); "
		    "Young/Daly 10 s, but the budget of 1% allows one every 80 s at most");
	expect_text(
		0.012, 0, 40, 0.025, 1000,
		"Checkpoint every 46 s (~1 steps): a save costs 12 ms, no failure in 40 s, so one in 24 h is assumed; "
		"Young/Daly 46 s, the budget of 2.5% asks for at least 0.48 s");
	expect_text(2000, 0, 60 * 24 * HOUR, 1, 1e-300,
		    "Checkpoint every 57 h (~1000000000000000 steps): a save costs 33 min, no failure in 60 days, so "
		    "one in "
		    "120 days is assumed; Young/Daly 57 h, the budget of 100% asks for at least 33 min");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden), cmocka_unit_test(test_limits), cmocka_unit_test(test_is_optimum),
		cmocka_unit_test(test_mtbf),   cmocka_unit_test(test_budget), cmocka_unit_test(test_cost),
		cmocka_unit_test(test_write),  cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
