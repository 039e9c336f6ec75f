/* SPDX-License-Identifier: Apache-2.0 */
/* Philox through Random123's C interface.
 *
 * Two stages: the wide Philox4x64 maps (seed, purpose, a, b) to the 64-bit key of a stream, once per stream; the narrow Philox4x32, whose
 * 32-bit multiplications fit vector lanes, makes the numbers. */
#include "base/kernel.h"

#include <ftmpi/rng.h>

#include <Random123/philox.h>
#include <string.h>

ftmpi_rng ftmpi_rng_stream(uint64_t seed, ftmpi_rng_purpose purpose, uint64_t a, uint64_t b)
{
	const philox4x64_key_t key = {{seed, (uint64_t)purpose}};
	const philox4x64_ctr_t counter = {{a, b, 0, 0}};
	const philox4x64_ctr_t out = philox4x64(counter, key);

	return (ftmpi_rng){{(uint32_t)out.v[0], (uint32_t)(out.v[0] >> 32)}};
}

static philox4x32_ctr_t block_at(ftmpi_rng rng, uint64_t index, uint32_t block)
{
	const philox4x32_key_t key = {{rng.key[0], rng.key[1]}};
	const philox4x32_ctr_t counter = {{(uint32_t)index, (uint32_t)(index >> 32), block, 0}};

	return philox4x32(counter, key);
}

void ftmpi_rng_block(ftmpi_rng rng, uint64_t index, uint32_t block, uint32_t out[4])
{
	const philox4x32_ctr_t words = block_at(rng, index, block);

	memcpy(out, words.v, sizeof words.v);
}

/* Whole blocks 0 … n_blocks − 1 of an index: the rounds of philox4x32 written out, so that the loop over blocks becomes vector code. */
FTMPI_KERNEL static void fill_blocks(ftmpi_rng rng, uint64_t index, int64_t n_blocks, uint32_t *restrict out)
{
	for (int64_t b = 0; b < n_blocks; b++) {
		uint32_t key_0 = rng.key[0], key_1 = rng.key[1];
		uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = (uint32_t)b, c3 = 0;

#pragma GCC unroll 10
		for (int round = 0; round < philox4x32_rounds; round++) {
			const uint64_t p0 = (uint64_t)PHILOX_M4x32_0 * c0, p1 = (uint64_t)PHILOX_M4x32_1 * c2;

			c0 = (uint32_t)(p1 >> 32) ^ c1 ^ key_0;
			c1 = (uint32_t)p1;
			c2 = (uint32_t)(p0 >> 32) ^ c3 ^ key_1;
			c3 = (uint32_t)p0;
			key_0 += PHILOX_W32_0;
			key_1 += PHILOX_W32_1;
		}
		out[4 * b] = c0;
		out[4 * b + 1] = c1;
		out[4 * b + 2] = c2;
		out[4 * b + 3] = c3;
	}
}

void ftmpi_rng_words(ftmpi_rng rng, uint64_t index, int64_t n, uint32_t *out)
{
	const int64_t n_blocks = n / 4, left = n % 4;

	fill_blocks(rng, index, n_blocks, out);
	if (left > 0) {
		const philox4x32_ctr_t words = block_at(rng, index, (uint32_t)n_blocks);

		memcpy(out + 4 * n_blocks, words.v, (size_t)left * sizeof *out);
	}
}
