/* SPDX-License-Identifier: Apache-2.0 */
/* The fixed binary tree over logical workers 0 … V−1. No MPI.
 *
 * The root is [0, V); a node [lo, hi) of more than one worker splits at lo + ⌈(hi − lo) / 2⌉. So V = m · 2^k gives 2^k equal subtrees at depth k: a
 * power-of-two number of ranks that divides V owns one whole subtree each. */
#ifndef FTMPI_DIST_TREE_H
#define FTMPI_DIST_TREE_H

#include <ftmpi/memory.h>

/** Sums that complete with worker `w` when workers come in order from `first`: nodes [lo, hi) with hi − 1 = w and lo ≥ first. */
int ftmpi__tree_merges(int n_workers, int first, int w);

/** Workers [lo, hi). */
struct ftmpi__range {
	int lo, hi;
};

/** Most subtrees that a range can need: two a level, and a level a bit of the number of workers. */
enum { FTMPI__TREE_COVER = 64 };

/** The maximal subtrees within the workers [first, end), in order. @param ranges [FTMPI__TREE_COVER], or NULL. @return their number. */
int ftmpi__tree_cover(int n_workers, int first, int end, struct ftmpi__range *ranges);

/**
 * The tree of a node's range. Its leaves are the maximal subtrees of the units [units[i], units[i + 1]), which cover the range, in order.
 */
typedef struct ftmpi__tree ftmpi__tree;

ftmpi_status ftmpi__tree_create(struct ftmpi__range range, const int *units, int n_units,
				ftmpi__tree **out) FTMPI_CHECK_RESULT;
void ftmpi__tree_destroy(ftmpi__tree **tree);
int ftmpi__tree_n_leaves(const ftmpi__tree *tree);

/** out[n] = tree sum of leaves[i][n]; `out` may be a leaf. */
void ftmpi__tree_sum(const ftmpi__tree *tree, const float *const *leaves, int64_t n, float *out);

/** Tree sum over workers [lo, hi) of values[w · stride]. */
double ftmpi__tree_sum_scalars(const double *values, int stride, int lo, int hi);

/** out[n] = a[n] + b[n]; `out` may be `a`. */
void ftmpi__tree_add(float *out, const float *a, const float *b, int64_t n);

#endif
