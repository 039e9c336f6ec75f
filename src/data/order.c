/* SPDX-License-Identifier: Apache-2.0 */
/* The order of the samples, as arithmetic.
 *
 * A permutation of 0 … n − 1 that is never stored: position p of an epoch is encrypted by a small block cipher over
 * b-bit numbers, 2^b ≥ n, and encrypted again until the result is below n. That a cipher is one-to-one makes the order
 * a permutation; that it has no state makes a relaunch in the middle of an epoch, on any number of ranks, a matter of
 * one integer.
 *
 *     step   value = (high, low), bits − ⌊bits/2⌋ and ⌊bits/2⌋ bits
 *     0      low  ^= F(0, high)
 *     1      high ^= F(1, low)          … 8 steps in all, 32 for b < 8
 *     end    value ≥ n_samples: again from step 0 with this value
 *
 * Eight steps mix pairs of samples to within 10⁻³ from b = 8 on. Below that a half has so few values that they do not:
 * of six samples, some pairs would come first 40 % too often. There the steps cost nothing, so there are more of them.
 *
 * F(step, half) is word 0 of Philox at index step · 2^40 + half, keyed by (seed, order, epoch). Checkpoints hold
 * positions, not orders: what is computed here is part of the file format and must never change. */
#include <ftmpi/order.h>
#include <ftmpi/rng.h>

#include <assert.h>

enum { ROUNDS = 8, ROUNDS_SMALL = 32, SMALL_BITS = 8, ROUND_SHIFT = 40 };

/* Word of the round function. */
static uint64_t round_word(ftmpi_rng rng, int round, uint64_t half)
{
	uint32_t words[4];

	ftmpi_rng_block(rng, (uint64_t)round << ROUND_SHIFT | half, 0, words);
	return words[0];
}

/* One pass of the cipher over `bits` bits. */
static uint64_t encrypt(ftmpi_rng rng, int bits, uint64_t value)
{
	const int low_bits = bits / 2;
	const uint64_t low_mask = (UINT64_C(1) << low_bits) - 1;
	const uint64_t high_mask = (UINT64_C(1) << (bits - low_bits)) - 1;
	const int n_rounds = bits < SMALL_BITS ? ROUNDS_SMALL : ROUNDS;
	uint64_t low = value & low_mask, high = value >> low_bits;

	for (int round = 0; round < n_rounds; round += 2) {
		low ^= round_word(rng, round, high) & low_mask;
		high ^= round_word(rng, round + 1, low) & high_mask;
	}
	return high << low_bits | low;
}

void ftmpi_order_init(ftmpi_order *order, uint64_t seed, int64_t n_samples, bool shuffle)
{
	int bits = 2;

	assert(n_samples >= 1);
	while (bits < 63 && INT64_C(1) << bits < n_samples)
		bits++;
	*order = (ftmpi_order){.seed = seed, .n_samples = n_samples, .bits = bits, .shuffle = shuffle};
}

void ftmpi_order_samples(const ftmpi_order *order, int64_t epoch, int64_t first, int64_t n, int64_t *out)
{
	const ftmpi_rng rng = ftmpi_rng_stream(order->seed, FTMPI_RNG_ORDER, (uint64_t)epoch, 0);

	assert(first >= 0 && n >= 0 && first <= order->n_samples - n);
	for (int64_t i = 0; i < n; i++) {
		uint64_t value = (uint64_t)(first + i);

		if (order->shuffle)
			do
				value = encrypt(rng, order->bits, value);
			while (value >= (uint64_t)order->n_samples);
		out[i] = (int64_t)value;
	}
}
