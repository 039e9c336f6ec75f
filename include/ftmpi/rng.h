/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Counter-based random numbers: Philox of Random123 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
 * 1, 2, 3", SC11). A number is a pure function of (seed, purpose, stream, index, unit); there is no state to save, and it is the
 * same on whichever rank it is drawn.
 */
#ifndef FTMPI_RNG_H
#define FTMPI_RNG_H

#include <ftmpi/export.h>
#include <stdint.h>

FTMPI_BEGIN_DECLS

/** What a number is drawn for; part of the key, so that no two purposes share numbers. Values are part of the file format:
 * never renumber. */
typedef enum ftmpi_rng_purpose {
	FTMPI_RNG_INIT = 1,    /**< initial parameters */
	FTMPI_RNG_ORDER = 2,   /**< order of the samples */
	FTMPI_RNG_DROPOUT = 3, /**< dropout masks */
	FTMPI_RNG_USER = 4     /**< free for a program built on the library */
} ftmpi_rng_purpose;

/** Key of one stream of numbers. */
typedef struct ftmpi_rng {
	uint32_t key[2];
} ftmpi_rng;

/**
 * Key of the stream (seed, purpose, a, b), for instance a = step, b = layer. Local, a few nanoseconds. The key is 64 bits of
 * Philox4x64-10 with key (seed, purpose) and counter (a, b, 0, 0).
 */
FTMPI_API ftmpi_rng ftmpi_rng_stream(uint64_t seed, ftmpi_rng_purpose purpose, uint64_t a, uint64_t b);

/** Four words at (index, block): Philox4x32-10 with the stream's key and counter (index, block). Local. */
FTMPI_API void ftmpi_rng_block(ftmpi_rng rng, uint64_t index, uint32_t block, uint32_t out[4]);

/** Words 0 … n−1 of an index: word u is word u mod 4 of block u / 4. Local; the batch form of ftmpi_rng_block. */
FTMPI_API void ftmpi_rng_words(ftmpi_rng rng, uint64_t index, int64_t n, uint32_t *out);

/** A word as a float in [0, 1), from its upper 24 bits. Local. */
static inline float ftmpi_rng_unit(uint32_t word)
{
	return (float)(word >> 8) * 0x1p-24F;
}

FTMPI_END_DECLS

#endif
