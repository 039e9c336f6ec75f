/* SPDX-License-Identifier: Apache-2.0 */
/** @file Contiguous, balanced slices: the one rule by which ftmpi divides samples, logical workers and arenas. */
#ifndef FTMPI_SLICE_H
#define FTMPI_SLICE_H

#include <ftmpi/export.h>
#include <stdint.h>

FTMPI_BEGIN_DECLS

/** First element of slice `i` of `n` elements cut into `parts` slices; slice i is [start(i), start(i + 1)). Lengths differ by at
 * most one. @param i 0 … parts. */
static inline int64_t ftmpi_slice_start(int64_t n, int64_t parts, int64_t i)
{
	return n / parts * i + n % parts * i / parts;
}

FTMPI_END_DECLS

#endif
