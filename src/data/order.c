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
 * positions, not orders: what is computed here is part of the file format and must never change.
 *
 * Positions go through the cipher in groups, a step of a whole group at a time, which fills vector lanes. Who is not below n yet goes again, with the
 * others of its group that are not. */
#include "base/kernel.h"
#include "base/philox.h"

#include <ftmpi/order.h>

#include <assert.h>

enum { ROUNDS = 8, ROUNDS_SMALL = 32, SMALL_BITS = 8, ROUND_SHIFT = 40, GROUP = 256 };

/* Values on their way through the cipher, cut in two: a half has at most 32 bits, since there are at most 63. */
struct group {
	int n;
	uint32_t high[GROUP], low[GROUP];
	int place[GROUP]; /* of the result */
};

/* part[n] ^= F(step, half[n]) & mask */
FTMPI_KERNEL static void mix(ftmpi_rng rng, int step, int64_t n, const uint32_t *restrict half, uint32_t mask,
			     uint32_t *restrict part)
{
	for (int64_t i = 0; i < n; i++) {
		uint32_t words[4];

		ftmpi__philox(rng, (uint64_t)step << ROUND_SHIFT | half[i], 0, words);
		part[i] ^= words[0] & mask;
	}
}

/* One pass of the cipher over numbers of `bits` bits. */
static void encrypt(ftmpi_rng rng, int bits, struct group *group)
{
	const int low_bits = bits / 2;
	const uint32_t low_mask = (uint32_t)((UINT64_C(1) << low_bits) - 1);
	const uint32_t high_mask = (uint32_t)((UINT64_C(1) << (bits - low_bits)) - 1);
	const int n_rounds = bits < SMALL_BITS ? ROUNDS_SMALL : ROUNDS;

	for (int round = 0; round < n_rounds; round += 2) {
		mix(rng, round, group->n, group->high, low_mask, group->low);
		mix(rng, round + 1, group->n, group->low, high_mask, group->high);
	}
}

static void put(struct group *group, int i, uint64_t value, int low_bits, int place)
{
	group->high[i] = (uint32_t)(value >> low_bits);
	group->low[i] = (uint32_t)(value & ((UINT64_C(1) << low_bits) - 1));
	group->place[i] = place;
}

/* Sample indices at positions first … first + n − 1. @param n up to GROUP. */
static void shuffle_group(const ftmpi_order *order, ftmpi_rng rng, int64_t first, int n, int64_t *out)
{
	const int low_bits = order->bits / 2;
	struct group group = {.n = n};

	for (int i = 0; i < n; i++)
		put(&group, i, (uint64_t)(first + i), low_bits, i);
	while (group.n > 0) {
		int n_left = 0;

		encrypt(rng, order->bits, &group);
		for (int i = 0; i < group.n; i++) {
			const uint64_t value = (uint64_t)group.high[i] << low_bits | group.low[i];

			if (value < (uint64_t)order->n_samples)
				out[group.place[i]] = (int64_t)value;
			else
				put(&group, n_left++, value, low_bits, group.place[i]);
		}
		group.n = n_left;
	}
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
	for (int64_t i = 0; i < n && !order->shuffle; i++)
		out[i] = first + i;
	for (int64_t i = 0; i < n && order->shuffle; i += GROUP)
		shuffle_group(order, rng, first + i, n - i < GROUP ? (int)(n - i) : GROUP, out + i);
}
