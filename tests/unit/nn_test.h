/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the nn layer share: short names for layer specs, test numbers, and comparisons of arrays. */
#ifndef FTMPI_TESTS_NN_TEST_H
#define FTMPI_TESTS_NN_TEST_H

#include "unit/unit_test.h"

#include <ftmpi/model.h>
#include <ftmpi/rng.h>
#include <math.h>

#define FLATTEN_LAYER                                                                                                  \
	{                                                                                                              \
		.kind = FTMPI_FLATTEN                                                                                  \
	}
#define DENSE_LAYER(n, function)                                                                                       \
	{                                                                                                              \
		.kind = FTMPI_DENSE, .units = (n), .activation = (function)                                            \
	}
#define DROPOUT_LAYER(share)                                                                                           \
	{                                                                                                              \
		.kind = FTMPI_DROPOUT, .rate = (share)                                                                 \
	}

/* values[n] = numbers in [−scale, scale), different for each `stream`. */
static inline void fill_numbers(uint64_t stream, float scale, int64_t n, float *values)
{
	const ftmpi_rng rng = ftmpi_rng_stream(2024, FTMPI_RNG_USER, stream, 0);

	for (int64_t i = 0; i < n; i++) {
		uint32_t words[4];

		ftmpi_rng_block(rng, (uint64_t)i, 0, words);
		values[i] = scale * (2.0F * ftmpi_rng_unit(words[0]) - 1.0F);
	}
}

/* |got − expected| ≤ tolerance · max |expected|, element by element; NaN is never near. */
static inline void check_near(const char *what, const float *got, const double *expected, int64_t n, double tolerance)
{
	double scale = 1e-30;

	for (int64_t i = 0; i < n; i++)
		scale = fmax(scale, fabs(expected[i]));
	for (int64_t i = 0; i < n; i++)
		if (!(fabs((double)got[i] - expected[i]) <= tolerance * scale))
			fail_msg("%s[%lld] is %.9g, expected %.9g", what, (long long)i, (double)got[i], expected[i]);
}

/* Each element within a relative error. */
static inline void check_close(const char *what, double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance * fabs(expected)))
		fail_msg("%s is %.9g, expected %.9g", what, got, expected);
}

/* All gaps of an arena are +0. */
static inline void check_gaps(const char *what, const ftmpi_layout *layout, const float *arena)
{
	for (int64_t i = 0; i < layout->n_elements; i++) {
		bool in_param = false;
		uint32_t bits;

		for (int p = 0; p < layout->n_params; p++)
			in_param = in_param || (i >= layout->params[p].offset &&
						i < layout->params[p].offset + layout->params[p].n_elements);
		memcpy(&bits, &arena[i], sizeof bits);
		if (!in_param && bits != 0)
			fail_msg("%s: the gap at %lld is %g", what, (long long)i, (double)arena[i]);
	}
}

#endif
