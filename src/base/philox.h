/* SPDX-License-Identifier: Apache-2.0 */
/* Philox4x32-10 written out, for loops that are to become vector code: Random123's own function does not. */
#ifndef FTMPI_BASE_PHILOX_H
#define FTMPI_BASE_PHILOX_H

#include <ftmpi/rng.h>

#include <Random123/philox.h>

/** The four words of ftmpi_rng_block. */
static inline __attribute__((always_inline)) void ftmpi__philox(ftmpi_rng rng, uint64_t index, uint32_t block,
								uint32_t out[4])
{
	uint32_t key_0 = rng.key[0], key_1 = rng.key[1];
	uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = block, c3 = 0;

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
	out[0] = c0;
	out[1] = c1;
	out[2] = c2;
	out[3] = c3;
}

#endif
