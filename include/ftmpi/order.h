/* SPDX-License-Identifier: Apache-2.0 */
/** @file The order of the samples: a pure function of (seed, epoch, position), in constant memory. */
#ifndef FTMPI_ORDER_H
#define FTMPI_ORDER_H

#include <ftmpi/export.h>
#include <stdbool.h>
#include <stdint.h>

FTMPI_BEGIN_DECLS

/** An order of `n_samples` samples; all fields are set by ftmpi_order_init. */
typedef struct ftmpi_order {
	uint64_t seed;
	int64_t n_samples;
	int bits; /**< least b with 2^b ≥ n_samples, at least 2 */
	bool shuffle;
} ftmpi_order;

/** Local. @param n_samples at least 1. @param shuffle false: the order is the identity. */
FTMPI_API void ftmpi_order_init(ftmpi_order *order, uint64_t seed, int64_t n_samples, bool shuffle);

/**
 * Samples at positions first … first + n − 1 of an epoch; over a whole epoch each sample comes once. Local. A Feistel
 * network over 2^bits with Philox as its round function, walked until it falls below n_samples (Black and Rogaway,
 * "Ciphers with arbitrary finite domains", CT-RSA 2002). Cost: about 8 to 16 Philox blocks a sample, 32 to 64 below 129
 * samples.
 * @param first, n 0 ≤ first, first + n ≤ n_samples. @param out n sample indices.
 */
FTMPI_API void ftmpi_order_samples(const ftmpi_order *order, int64_t epoch, int64_t first, int64_t n, int64_t *out);

FTMPI_END_DECLS

#endif
