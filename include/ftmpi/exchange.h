/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Deterministic reduction over logical workers.
 *
 * The arrays of V logical workers are added in one fixed binary tree over 0 … V−1 (a node [lo, hi) splits at lo + ⌈(hi−lo)/2⌉), so the
 * sum has the same bits on any number of ranks. Each rank owns a contiguous range of workers and a contiguous slice of the array:
 *
 *     ftmpi_exchange_begin(ex)
 *     for each own worker w, in order:  fill ftmpi_exchange_leaf(ex);  ftmpi_exchange_push(ex)
 *     ftmpi_exchange_reduce(ex, &sum)         the owner of a slice gets the tree sum of that slice
 *     …update the slice of an array…
 *     ftmpi_exchange_gather(ex, array)        every rank gets every slice
 *     ftmpi_exchange_offer(ex, array, of)     or the chief alone can read them
 *
 * Ranks of one node read from one another's memory. Between nodes, reduce and gather together move the bytes of a ring allreduce when V is a multiple of a
 * power-of-two number of ranks.
 */
#ifndef FTMPI_EXCHANGE_H
#define FTMPI_EXCHANGE_H

#include <ftmpi/comm.h>

FTMPI_BEGIN_DECLS

typedef struct ftmpi_exchange ftmpi_exchange;

/**
 * Plan a reduction. Collective. @param n_workers V ≥ number of ranks. @param n_elements length of a worker's array.
 * Memory: one array for each own subtree that is being formed (at most the tree's depth), in memory that the node shares, and the pieces of the own slice
 * that come from other nodes. Errors (agreed): ERR_MEMORY, ERR_MPI, ERR_USAGE.
 */
FTMPI_API ftmpi_status ftmpi_exchange_create(const ftmpi_comm *comm, int n_workers, int64_t n_elements,
					     ftmpi_exchange **out) FTMPI_CHECK_RESULT;
/** Collective. NULLs the pointer; NULL is fine. */
FTMPI_API void ftmpi_exchange_destroy(ftmpi_exchange **ex);

/** Own logical workers: [*first, *end). Local. */
FTMPI_API void ftmpi_exchange_workers(const ftmpi_exchange *ex, int *first, int *end);

/** Own slice of the array: [*first, *end), multiples of 16 elements but for the last end. Local. */
FTMPI_API void ftmpi_exchange_slice(const ftmpi_exchange *ex, int64_t *first, int64_t *end);
/** The same of any rank. Local. */
FTMPI_API void ftmpi_exchange_slice_of(const ftmpi_exchange *ex, int rank, int64_t *first, int64_t *end);

/**
 * An array of n_elements floats, zeroed, that ftmpi_exchange_gather copies from neighbour to neighbour inside a node; it takes any other array too, by
 * messages. Collective. At most 8; they live as long as the exchange. Errors (agreed): ERR_MEMORY, ERR_MPI, ERR_USAGE.
 */
FTMPI_API ftmpi_status ftmpi_exchange_array(ftmpi_exchange *ex, float **array) FTMPI_CHECK_RESULT;

/** Begin anew with the first own worker: what was pushed and not reduced is forgotten. Collective after a reduce without a gather, else local. Errors:
 * ERR_MPI. */
FTMPI_API ftmpi_status ftmpi_exchange_begin(ftmpi_exchange *ex) FTMPI_CHECK_RESULT;

/** Where the next own worker's array goes; n_elements floats with whatever they held before. Local. */
FTMPI_API float *ftmpi_exchange_leaf(ftmpi_exchange *ex);

/** The leaf is filled: add it to what forms a whole subtree with it. Local. Cost: amortised one addition of arrays. */
FTMPI_API void ftmpi_exchange_push(ftmpi_exchange *ex);

/**
 * Sum of all workers' arrays for the own slice. Collective; every own worker must have been pushed.
 * @param sum set to an array of n_elements floats that belongs to the exchange; its own slice is the sum until the next leaf is filled, the rest is
 * not defined. Errors: ERR_MPI, ERR_INTERNAL.
 */
FTMPI_API ftmpi_status ftmpi_exchange_reduce(ftmpi_exchange *ex, float **sum) FTMPI_CHECK_RESULT;

/** Every rank's slice of `array` to every rank, in place. Collective. @param array n_elements floats. Errors: ERR_MPI. */
FTMPI_API ftmpi_status ftmpi_exchange_gather(ftmpi_exchange *ex, float *array) FTMPI_CHECK_RESULT;

/**
 * Let the chief read every rank's slice of `array`: where it is, inside a node, or else in the chief's array, to which it is sent. Collective. No rank changes its
 * slice before the chief has told that it is done. @param array n_elements floats. @param of [size], chief only: set to the array that has a rank's slice,
 * in its place. Errors: ERR_MPI.
 */
FTMPI_API ftmpi_status ftmpi_exchange_offer(ftmpi_exchange *ex, float *array, const float **of) FTMPI_CHECK_RESULT;

/**
 * Tree sum of `n` double scalars of every worker, the same bits on every rank. Collective.
 * @param mine (own workers) · n, worker-major. @param n at most 16. @param sum n doubles. Errors: ERR_MPI, ERR_USAGE.
 */
FTMPI_API ftmpi_status ftmpi_exchange_scalars(ftmpi_exchange *ex, const double *mine, int n,
					      double *sum) FTMPI_CHECK_RESULT;

FTMPI_END_DECLS

#endif
