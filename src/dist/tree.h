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

/** Number of maximal subtrees that cover the workers [first, end). */
int ftmpi__tree_n_leaves_of(int n_workers, int first, int end);

/** The top of the tree: its leaves are the maximal subtrees of `size` ranks' contiguous ranges, in order. */
typedef struct ftmpi__tree ftmpi__tree;

ftmpi_status ftmpi__tree_create(int n_workers, int size, ftmpi__tree **out) FTMPI_CHECK_RESULT;
void ftmpi__tree_destroy(ftmpi__tree **tree);
int ftmpi__tree_n_leaves(const ftmpi__tree *tree);

/** out[n] = tree sum of leaves[i][n]; `out` may be a leaf. */
void ftmpi__tree_sum(const ftmpi__tree *tree, const float *const *leaves, int64_t n, float *out);

/** Tree sum over workers [lo, hi) of values[w · stride]. */
double ftmpi__tree_sum_scalars(const double *values, int stride, int lo, int hi);

/** out[n] = a[n] + b[n]; `out` may be `a`. */
void ftmpi__tree_add(float *out, const float *a, const float *b, int64_t n);

#endif
