/* SPDX-License-Identifier: Apache-2.0 */
/* A position in bytes that nobody vouches for. Reading beyond the end gives zeros and sets `bad`, so that a decoder is
 * checked once, at its end. */
#ifndef FTMPI_CKPT_HDF5_CURSOR_H
#define FTMPI_CKPT_HDF5_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ftmpi__cursor {
	const uint8_t *at;
	size_t left;
	bool bad;
} ftmpi__cursor;

/** The next `n_bytes` bytes; NULL beyond the end. */
static inline const uint8_t *ftmpi__cursor_take(ftmpi__cursor *c, size_t n_bytes)
{
	const uint8_t *at = c->at;

	if (c->bad || n_bytes > c->left) {
		c->bad = true;
		return NULL;
	}
	c->at += n_bytes;
	c->left -= n_bytes;
	return at;
}

/** The next little-endian number of 1 to 8 bytes; 0 beyond the end. */
static inline uint64_t ftmpi__cursor_number(ftmpi__cursor *c, size_t width)
{
	const uint8_t *at = ftmpi__cursor_take(c, width);
	uint64_t number = 0;

	for (size_t i = 0; at != NULL && i < width; i++)
		number |= (uint64_t)at[i] << (8 * i);
	return number;
}

#endif
