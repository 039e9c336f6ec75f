/* SPDX-License-Identifier: Apache-2.0 */
/* The deterministic reduction gives, on any number of ranks, the bits of a tree sum that is written down here independently. */
#include "mpi/mpi_test.h"

#include <ftmpi/exchange.h>
#include <ftmpi/rng.h>
#include <math.h>

/* Values of widely different size, so that another order of additions gives other bits. */
static float value_of(int worker, int64_t element)
{
	uint32_t words[4];

	ftmpi_rng_block(ftmpi_rng_stream(7, FTMPI_RNG_USER, (uint64_t)worker, 0), (uint64_t)element, 0, words);
	return (ftmpi_rng_unit(words[0]) - 0.5F) * powf(2.0F, (float)(words[1] % 24));
}

static float reference_sum(int lo, int hi, int64_t element)
{
	const int mid = lo + (hi - lo + 1) / 2;

	if (hi - lo == 1)
		return value_of(lo, element);
	return reference_sum(lo, mid, element) + reference_sum(mid, hi, element);
}

static void fill_and_push(ftmpi_exchange *ex, int64_t n)
{
	int first, end;

	ftmpi_exchange_workers(ex, &first, &end);
	for (int w = first; w < end; w++) {
		float *leaf = ftmpi_exchange_leaf(ex);

		for (int64_t i = 0; i < n; i++)
			leaf[i] = value_of(w, i);
		ftmpi_exchange_push(ex);
	}
}

/* The own slice of `array` is the tree sum; with `everywhere` all of it is, else the rest is 0. */
static void expect_sum(const ftmpi_exchange *ex, int n_workers, int64_t n, const float *array, bool everywhere)
{
	int64_t first, end;

	ftmpi_exchange_slice(ex, &first, &end);
	for (int64_t i = 0; i < n; i++) {
		const float expected = everywhere || (i >= first && i < end) ? reference_sum(0, n_workers, i) : 0.0F;

		assert_memory_equal(&array[i], &expected, sizeof expected);
	}
}

/* On the chief: every rank's slice is where it was said to be. */
static void expect_offered(ftmpi_exchange *ex, int n_workers, float *array)
{
	const float *of[16] = {NULL};

	assert_true(ftmpi_comm_size(world) <= 16);
	assert_ok(ftmpi_exchange_offer(ex, array, of));
	for (int rank = 0; rank < ftmpi_comm_size(world) && ftmpi_comm_is_chief(world); rank++) {
		int64_t first, end;

		ftmpi_exchange_slice_of(ex, rank, &first, &end);
		for (int64_t i = first; i < end; i++) {
			const float expected = reference_sum(0, n_workers, i);

			assert_memory_equal(&of[rank][i], &expected, sizeof expected);
		}
	}
}

/* Reduce, put the sum of the own slice into `array`, offer it, gather it. */
static void check_round(ftmpi_exchange *ex, int n_workers, int64_t n, float *array)
{
	int64_t first, end;
	float *sum = NULL;

	memset(array, 0, (size_t)n * sizeof *array);
	fill_and_push(ex, n);
	assert_ok(ftmpi_exchange_reduce(ex, &sum));
	ftmpi_exchange_slice(ex, &first, &end);
	memcpy(array + first, sum + first, (size_t)(end - first) * sizeof *array);
	expect_sum(ex, n_workers, n, array, false);
	expect_offered(ex, n_workers, array);
	assert_ok(ftmpi_exchange_gather(ex, array));
	expect_sum(ex, n_workers, n, array, true);
}

static void check_reduce(int n_workers, int64_t n)
{
	ftmpi_exchange *ex = NULL;
	float *own = NULL, *shared = NULL, *sum = NULL;

	assert_ok(FTMPI_ALLOC(n, &own));
	assert_ok(ftmpi_exchange_create(world, n_workers, n, &ex));
	assert_ok(ftmpi_exchange_array(ex, &shared));
	check_round(ex, n_workers, n, shared);
	check_round(ex, n_workers, n, own);
	fill_and_push(ex, n);
	assert_ok(ftmpi_exchange_reduce(ex, &sum)); /* and no gather */
	assert_ok(ftmpi_exchange_begin(ex));
	check_round(ex, n_workers, n, shared);
	ftmpi_exchange_destroy(&ex);
	assert_null(ex);
	ftmpi_free(own);
}

/* Every number of workers, powers of two and not; arrays shorter than the ranks' slices, and longer than a block. */
static void test_reduce(void **state)
{
	const int64_t lengths[] = {1, 17, 64, 1000, 5000};

	(void)state;
	for (int v = ftmpi_comm_size(world); v <= 13; v++)
		for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
			check_reduce(v, lengths[i]);
	check_reduce(64, 333);
}

static double scalar_of(int worker, int i)
{
	return value_of(worker, i) / 3.0;
}

static double reference_scalar(int lo, int hi, int i)
{
	const int mid = lo + (hi - lo + 1) / 2;

	return hi - lo == 1 ? scalar_of(lo, i) : reference_scalar(lo, mid, i) + reference_scalar(mid, hi, i);
}

static void test_scalars(void **state)
{
	(void)state;
	for (int v = ftmpi_comm_size(world); v <= 9; v++) {
		ftmpi_exchange *ex = NULL;
		int first, end;

		assert_ok(ftmpi_exchange_create(world, v, 8, &ex));
		ftmpi_exchange_workers(ex, &first, &end);
		for (int n = 1; n <= 3; n++) {
			double mine[9 * 3], sum[3];

			for (int w = first; w < end; w++)
				for (int i = 0; i < n; i++)
					mine[(w - first) * n + i] = scalar_of(w, i);
			assert_ok(ftmpi_exchange_scalars(ex, mine, n, sum));
			for (int i = 0; i < n; i++)
				assert_true(sum[i] == reference_scalar(0, v, i));
		}
		ftmpi_exchange_destroy(&ex);
	}
}

static void test_errors(void **state)
{
	ftmpi_exchange *ex = NULL;
	double scalars[32] = {0};
	float *sum = NULL;

	(void)state;
	assert_fails(ftmpi_exchange_create(world, ftmpi_comm_size(world) - 1, 8, &ex), FTMPI_ERR_USAGE,
		     "logical workers");
	assert_fails(ftmpi_exchange_create(world, 8, 0, &ex), FTMPI_ERR_USAGE, "0 elements");
	assert_fails(ftmpi_exchange_create(world, 8, INT64_C(1) << 40, &ex), FTMPI_ERR_USAGE, "elements");
	assert_null(ex);
	assert_ok(ftmpi_exchange_create(world, 8, 8, &ex));
	assert_fails(ftmpi_exchange_reduce(ex, &sum), FTMPI_ERR_INTERNAL, "0 of");
	assert_fails(ftmpi_exchange_scalars(ex, scalars, 17, scalars), FTMPI_ERR_USAGE, "17 scalars");
	ftmpi_exchange_destroy(&ex);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_reduce),
	cmocka_unit_test(test_scalars),
	cmocka_unit_test(test_errors),
};
FTMPI_TEST_MAIN(tests)
