/* SPDX-License-Identifier: Apache-2.0 */
/* lookup3, the hash with which HDF5 protects its metadata (Bob Jenkins, "lookup3.c", May 2006, public domain: hashlittle with an
 * initial value of 0), for bytes at any alignment. */
#include "ckpt/hdf5_parse.h"

#include <string.h>

static uint32_t rotate(uint32_t x, int k)
{
	return x << k | x >> (32 - k);
}

static uint32_t word(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* One step of the mixing: (x, y, z) with rotation k. */
static void mix(uint32_t *x, uint32_t *y, uint32_t *z, int k)
{
	*x -= *z;
	*x ^= rotate(*z, k);
	*z += *y;
}

/* One step of the end: x with y and rotation k. */
static void finish(uint32_t *x, uint32_t y, int k)
{
	*x ^= y;
	*x -= rotate(y, k);
}

uint32_t ftmpi__lookup3(const uint8_t *bytes, size_t n_bytes)
{
	uint32_t a = 0xdeadbeef + (uint32_t)n_bytes, b = a, c = a;
	uint8_t tail[12] = {0};

	for (; n_bytes > 12; n_bytes -= 12, bytes += 12) {
		a += word(bytes);
		b += word(bytes + 4);
		c += word(bytes + 8);
		mix(&a, &b, &c, 4);
		mix(&b, &c, &a, 6);
		mix(&c, &a, &b, 8);
		mix(&a, &b, &c, 16);
		mix(&b, &c, &a, 19);
		mix(&c, &a, &b, 4);
	}
	if (n_bytes == 0)
		return c;
	memcpy(tail, bytes, n_bytes);
	a += word(tail);
	b += word(tail + 4);
	c += word(tail + 8);
	finish(&c, b, 14);
	finish(&a, c, 11);
	finish(&b, a, 25);
	finish(&c, b, 16);
	finish(&a, c, 4);
	finish(&b, a, 14);
	finish(&c, b, 24);
	return c;
}
