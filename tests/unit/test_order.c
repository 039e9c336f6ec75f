/* SPDX-License-Identifier: Apache-2.0 */
/* The order of the samples: a permutation, uniform, independent of how it is cut, and the same for ever. */
#include "unit/unit_test.h"

#include <ftmpi/memory.h>
#include <ftmpi/order.h>

#include <stdio.h>

static ftmpi_order order_of(uint64_t seed, int64_t n_samples)
{
	ftmpi_order order;

	ftmpi_order_init(&order, seed, n_samples, true);
	return order;
}

static int64_t *whole_epoch(const ftmpi_order *order, int64_t epoch)
{
	int64_t *samples = NULL;

	assert_ok(FTMPI_ALLOC(order->n_samples, &samples));
	ftmpi_order_samples(order, epoch, 0, order->n_samples, samples);
	return samples;
}

static void test_bits(void **state)
{
	static const struct {
		int64_t n_samples;
		int bits;
	} cases[] = {{1, 2},
		     {2, 2},
		     {3, 2},
		     {4, 2},
		     {5, 3},
		     {8, 3},
		     {9, 4},
		     {60000, 16},
		     {65536, 16},
		     {65537, 17},
		     {INT64_C(1) << 40, 40},
		     {(INT64_C(1) << 40) + 1, 41},
		     {INT64_MAX, 63}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(order_of(1, cases[i].n_samples).bits, cases[i].bits);
}

static void test_permutation(void **state)
{
	static const int64_t sizes[] = {1, 2, 3, 4, 5, 7, 10, 31, 32, 33, 60000, 65537};

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		for (int64_t epoch = 0; epoch < (sizes[i] < 1000 ? 3 : 1); epoch++) {
			const ftmpi_order order = order_of(42, sizes[i]);
			int64_t *samples = whole_epoch(&order, epoch);
			unsigned char *seen = NULL;

			assert_ok(FTMPI_ALLOC(sizes[i], &seen));
			for (int64_t p = 0; p < sizes[i]; p++) {
				assert_in_range(samples[p], 0, sizes[i] - 1);
				assert_int_equal(seen[samples[p]]++, 0);
			}
			ftmpi_free(seen);
			ftmpi_free(samples);
		}
}

static void test_identity_without_shuffle(void **state)
{
	ftmpi_order order;
	int64_t samples[100];

	(void)state;
	ftmpi_order_init(&order, 42, 1000, false);
	ftmpi_order_samples(&order, 3, 900, 100, samples);
	for (int64_t i = 0; i < 100; i++)
		assert_int_equal(samples[i], 900 + i);
}

/* How many positions have the same sample in two epochs; one is expected for random permutations. */
static int64_t n_common(const ftmpi_order *a, int64_t epoch_a, const ftmpi_order *b, int64_t epoch_b)
{
	int64_t *samples_a = whole_epoch(a, epoch_a), *samples_b = whole_epoch(b, epoch_b);
	int64_t n = 0;

	for (int64_t p = 0; p < a->n_samples; p++)
		n += samples_a[p] == samples_b[p];
	ftmpi_free(samples_a);
	ftmpi_free(samples_b);
	return n;
}

static void test_epochs_and_seeds_differ(void **state)
{
	enum { n = 10000 };
	const ftmpi_order order = order_of(1, n), other = order_of(2, n);
	const ftmpi_order high = order_of(1 + (UINT64_C(1) << 32), n);
	ftmpi_order identity;

	(void)state;
	ftmpi_order_init(&identity, 1, n, false);
	assert_in_range(n_common(&order, 0, &order, 1), 0, 10);
	assert_in_range(n_common(&order, 0, &order, INT64_C(1) << 32), 0, 10);
	assert_in_range(n_common(&order, 0, &other, 0), 0, 10);
	assert_in_range(n_common(&order, 0, &high, 0), 0, 10);
	assert_in_range(n_common(&order, 0, &identity, 0), 0, 10);
	assert_int_equal(n_common(&order, 5, &order, 5), n);
}

static void test_chunks(void **state)
{
	static const int64_t chunks[] = {1, 2, 7, 32, 999, 1000};
	const ftmpi_order order = order_of(7, 1000);
	int64_t *whole = whole_epoch(&order, 4);

	(void)state;
	for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++)
		for (int64_t first = 0; first < 1000; first += chunks[i]) {
			const int64_t n = 1000 - first < chunks[i] ? 1000 - first : chunks[i];
			int64_t part[1000];

			ftmpi_order_samples(&order, 4, first, n, part);
			assert_memory_equal(part, whole + first, (size_t)n * sizeof *part);
		}
	ftmpi_free(whole);
}

/* χ² of counts that should be equal. */
static double chi_square(const int64_t *counts, int n, int64_t n_draws)
{
	const double expected = (double)n_draws / n;
	double sum = 0;

	for (int i = 0; i < n; i++)
		sum += ((double)counts[i] - expected) * ((double)counts[i] - expected) / expected;
	return sum;
}

/* Over many epochs each sample comes equally often at each position. Bounds: χ² exceeds them once in a million by
 * chance; seeds are fixed. */
static void test_positions_are_uniform(void **state)
{
	static const struct {
		int64_t n_samples;
		double bound; /* for n − 1 degrees of freedom */
	} cases[] = {{2, 24.0}, {3, 27.7}, {5, 33.4}, {10, 45.1}, {16, 56.5}};
	enum { EPOCHS = 1000 };

	(void)state;
	for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
		const ftmpi_order order = order_of(c, cases[c].n_samples);
		int64_t counts[16][16] = {{0}}, samples[16];

		for (int64_t epoch = 0; epoch < EPOCHS; epoch++) {
			ftmpi_order_samples(&order, epoch, 0, order.n_samples, samples);
			for (int64_t p = 0; p < order.n_samples; p++)
				counts[p][samples[p]]++;
		}
		for (int64_t p = 0; p < order.n_samples; p++)
			assert_true(chi_square(counts[p], (int)order.n_samples, EPOCHS) < cases[c].bound);
	}
}

/* So do pairs: every ordered pair at the first two positions. Small numbers are the hard ones for a Feistel network. */
static void test_pairs_are_uniform(void **state)
{
	static const struct {
		int64_t n_samples;
		double bound; /* for n (n − 1) − 1 degrees of freedom */
	} cases[] = {{3, 37.5}, {5, 64.4}, {6, 81.1}};
	enum { EPOCHS = 8000 };

	(void)state;
	for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
		const ftmpi_order order = order_of(10 + c, cases[c].n_samples);
		const int n = (int)order.n_samples;
		int64_t counts[30] = {0}, s[2];

		for (int64_t epoch = 0; epoch < EPOCHS; epoch++) {
			ftmpi_order_samples(&order, epoch, 0, 2, s);
			counts[s[0] * (n - 1) + s[1] - (s[1] > s[0])]++;
		}
		assert_true(chi_square(counts, n * (n - 1), EPOCHS) < cases[c].bound);
	}
}

/* Checkpoints hold positions, so these numbers are part of the file format. */
static void test_golden(void **state)
{
	static const struct {
		uint64_t seed;
		int64_t n_samples, epoch, first;
		int64_t samples[4];
	} cases[] = {
		{1, 10, 0, 0, {8, 3, 5, 7}},
		{1, 10, 0, 6, {1, 6, 4, 0}},
		{1, 60000, 0, 0, {38495, 11244, 1946, 50936}},
		{1, 60000, 9, 59996, {3608, 45754, 5005, 56133}},
		{UINT64_C(0xfedcba9876543210), 65537, 123456789, 40000, {59109, 30472, 37165, 56968}},
		{3,
		 INT64_C(0x10000000000),
		 0,
		 INT64_C(0xfffffffffc),
		 {INT64_C(23036313766), INT64_C(418533960390), INT64_C(75500863154), INT64_C(168605230631)}},
		{4,
		 INT64_C(0x7fffffffffffffff),
		 1,
		 INT64_C(0x4000000000000000),
		 {INT64_C(8074824651364838259), INT64_C(3588199097852237340), INT64_C(7421922858573973626),
		  INT64_C(5473559699230147142)}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const ftmpi_order order = order_of(cases[i].seed, cases[i].n_samples);
		int64_t samples[4];

		ftmpi_order_samples(&order, cases[i].epoch, cases[i].first, 4, samples);
		for (int k = 0; k < 4; k++)
			if (samples[k] != cases[i].samples[k])
				fail_msg("case %zu, position %d: %lld", i, k, (long long)samples[k]);
	}
}

/* 2^40 samples take no memory, and distinct positions still give distinct samples. */
static void test_huge(void **state)
{
	const ftmpi_order order = order_of(3, INT64_C(1) << 40);
	int64_t samples[256], high = 0;

	(void)state;
	ftmpi_order_samples(&order, 0, (INT64_C(1) << 40) - 256, 256, samples);
	for (int i = 0; i < 256; i++) {
		assert_true(samples[i] >= 0 && samples[i] < INT64_C(1) << 40);
		high += samples[i] >> 39;
		for (int j = 0; j < i; j++)
			assert_int_not_equal(samples[i], samples[j]);
	}
	assert_in_range(high, 80, 176); /* half of them in the upper half, ± 6 sigma */
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_permutation),
		cmocka_unit_test(test_identity_without_shuffle),
		cmocka_unit_test(test_epochs_and_seeds_differ),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_positions_are_uniform),
		cmocka_unit_test(test_pairs_are_uniform),
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_huge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
