/* SPDX-License-Identifier: Apache-2.0 */
/* Philox through Random123's C interface.
 *
 * Two stages: the wide Philox4x64 maps (seed, purpose, a, b) to the 64-bit key of a stream, once per stream; the narrow Philox4x32, whose
 * 32-bit multiplications fit vector lanes, makes the numbers. */
#include "base/kernel.h"
#include "base/philox.h"

#include <string.h>

ftmpi_rng ftmpi_rng_stream(uint64_t seed, ftmpi_rng_purpose purpose, uint64_t a, uint64_t b)
{
	const philox4x64_key_t key = {{seed, (uint64_t)purpose}};
	const philox4x64_ctr_t counter = {{a, b, 0, 0}};
	const philox4x64_ctr_t out = philox4x64(counter, key);

	return (ftmpi_rng){{(uint32_t)out.v[0], (uint32_t)(out.v[0] >> 32)}};
}

void ftmpi_rng_block(ftmpi_rng rng, uint64_t index, uint32_t block, uint32_t out[4])
{
	const philox4x32_key_t key = {{rng.key[0], rng.key[1]}};
	const philox4x32_ctr_t counter = {{(uint32_t)index, (uint32_t)(index >> 32), block, 0}};
	const philox4x32_ctr_t words = philox4x32(counter, key);

	memcpy(out, words.v, sizeof words.v);
}

/* Whole blocks 0 … n_blocks − 1 of an index. */
FTMPI_KERNEL static void fill_blocks(ftmpi_rng rng, uint64_t index, int64_t n_blocks, uint32_t *restrict out)
{
	for (int64_t b = 0; b < n_blocks; b++)
		ftmpi__philox(rng, index, (uint32_t)b, out + 4 * b);
}

void ftmpi_rng_words(ftmpi_rng rng, uint64_t index, int64_t n, uint32_t *out)
{
	const int64_t n_blocks = n / 4, left = n % 4;

	fill_blocks(rng, index, n_blocks, out);
	if (left > 0) {
		uint32_t words[4];

		ftmpi_rng_block(rng, index, (uint32_t)n_blocks, words);
		memcpy(out + 4 * n_blocks, words, (size_t)left * sizeof *out);
	}
}
