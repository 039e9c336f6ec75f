/* SPDX-License-Identifier: Apache-2.0 */
/* Damaging checkpoint files so that their checksums still hold; for the tests of damage and the fuzzers. */
#ifndef FTMPI_TESTS_DAMAGE_H
#define FTMPI_TESTS_DAMAGE_H

#include "ckpt/hdf5_parse.h"

#include <stdbool.h>
#include <string.h>

/** A small generator, the same on every machine. */
static inline uint32_t draw(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33);
}

/** Where an object header begins and ends (at its checksum); false when none begins at `at`. */
static inline bool find_header(const uint8_t *bytes, size_t n_bytes, size_t at, size_t *end)
{
	size_t head = 6, size = 0, width;

	if (at > n_bytes || n_bytes - at < 32 || memcmp(bytes + at, "OHDR", 4) != 0)
		return false;
	width = (size_t)1 << (bytes[at + 5] & 3);
	if (bytes[at + 5] & 32)
		head += 16;
	if (bytes[at + 5] & 16)
		head += 4;
	if (at + head + width > n_bytes)
		return false;
	for (size_t i = 0; i < width; i++)
		size |= (size_t)bytes[at + head + i] << (8 * i);
	*end = at + head + width + size;
	return size <= n_bytes && *end + 4 <= n_bytes;
}

/** Put the checksum of start … end − 1 behind them. */
static inline void seal(uint8_t *bytes, size_t start, size_t end)
{
	const uint32_t sum = ftmpi__lookup3(bytes + start, end - start);

	for (int i = 0; i < 4; i++)
		bytes[end + (size_t)i] = (uint8_t)(sum >> (8 * i));
}

/** Make the superblock's length and checksum right, and the checksums of all headers. */
static inline void seal_all(uint8_t *bytes, size_t n_bytes)
{
	size_t end;

	if (n_bytes < FTMPI__HDF5_START_BYTES)
		return;
	for (int i = 0; i < 8; i++)
		bytes[28 + i] = (uint8_t)((uint64_t)n_bytes >> (8 * i));
	seal(bytes, 0, FTMPI__HDF5_START_BYTES - 4);
	for (size_t at = FTMPI__HDF5_START_BYTES; at + 4 <= n_bytes; at++)
		if (bytes[at] == 'O' && find_header(bytes, n_bytes, at, &end))
			seal(bytes, at, end);
}

#endif
