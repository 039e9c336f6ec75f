/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Communicator: the only door to MPI's collectives. Every MPI call's error is returned as a status. "Collective" means: every
 * rank of the communicator calls it, in the same order.
 */
#ifndef FTMPI_COMM_H
#define FTMPI_COMM_H

#include <ftmpi/hash.h>
#include <ftmpi/memory.h>
#include <stdint.h>

FTMPI_BEGIN_DECLS

typedef struct ftmpi_comm ftmpi_comm;

/** The chief: the rank that writes checkpoints and speaks. */
#define FTMPI_CHIEF 0

/** Initialise MPI (MPI_THREAD_FUNNELED) unless the program did. Collective over the job. Errors: ERR_MPI. */
FTMPI_API ftmpi_status ftmpi_init(int *argc, char ***argv) FTMPI_CHECK_RESULT;

/** Finalise MPI if ftmpi_init initialised it. Collective over the job. */
FTMPI_API void ftmpi_finalize(void);

/** A communicator of all ranks of the job. Collective. Errors: ERR_MPI, ERR_MEMORY. */
FTMPI_API ftmpi_status ftmpi_comm_create(ftmpi_comm **out) FTMPI_CHECK_RESULT;

/**
 * A communicator of the first `n` ranks of `parent`. Collective over `parent`. @param out NULL on the ranks that are not in it.
 * Errors: ERR_MPI, ERR_MEMORY.
 */
FTMPI_API ftmpi_status ftmpi_comm_create_first(const ftmpi_comm *parent, int n, ftmpi_comm **out) FTMPI_CHECK_RESULT;

/** Collective. NULLs the pointer; NULL is fine. */
FTMPI_API void ftmpi_comm_destroy(ftmpi_comm **comm);

FTMPI_API int ftmpi_comm_rank(const ftmpi_comm *comm);
FTMPI_API int ftmpi_comm_size(const ftmpi_comm *comm);
FTMPI_API bool ftmpi_comm_is_chief(const ftmpi_comm *comm);

/** Rank within the node (the ranks that share memory), and number of ranks there. Local. */
FTMPI_API int ftmpi_comm_node_rank(const ftmpi_comm *comm);
FTMPI_API int ftmpi_comm_node_size(const ftmpi_comm *comm);

FTMPI_API ftmpi_status ftmpi_comm_barrier(const ftmpi_comm *comm) FTMPI_CHECK_RESULT;

/**
 * Agree on an error: every rank returns the most severe status of all ranks (the largest of FTMPI_STATUS_LIST), with the message
 * of the lowest rank that has it. Collective; ends every phase in which ranks can fail apart. Cost: one small allreduce, and a
 * broadcast if anyone failed. Errors: what was agreed; ERR_MPI.
 */
FTMPI_API ftmpi_status ftmpi_agree(const ftmpi_comm *comm, ftmpi_status local) FTMPI_CHECK_RESULT;

/** Broadcast bytes from `root`; any size. Collective. Errors: ERR_MPI. */
FTMPI_API ftmpi_status ftmpi_broadcast(const ftmpi_comm *comm, void *data, int64_t n_bytes,
				       int root) FTMPI_CHECK_RESULT;

/** Broadcast a buffer from `root`, its length with it. Collective. Errors: ERR_MPI, ERR_MEMORY (agreed). */
FTMPI_API ftmpi_status ftmpi_broadcast_buffer(const ftmpi_comm *comm, ftmpi_buffer *buffer,
					      int root) FTMPI_CHECK_RESULT;

/**
 * Check that a digest is the same on every rank. Collective. @param what names the data in the error. Errors (agreed): ERR_DATA
 * with the ranks that differ from the chief.
 */
FTMPI_API ftmpi_status ftmpi_comm_compare(const ftmpi_comm *comm, ftmpi_digest digest,
					  const char *what) FTMPI_CHECK_RESULT;

/**
 * Check that a digest is the same on every rank, where no rank knows better than another. Collective. @param what names the data in the error. Errors
 * (agreed): ERR_REPLICA with the ranks that differ from the majority; where more than half do not agree, with all.
 */
FTMPI_API ftmpi_status ftmpi_comm_compare_copies(const ftmpi_comm *comm, ftmpi_digest digest,
						 const char *what) FTMPI_CHECK_RESULT;

/**
 * Gather rows on the chief, rank after rank. Collective. @param mine n_mine rows of row_bytes. @param all the rows of all ranks, chief only. @param n_rows
 * number of rows of each rank, same on all ranks. Errors: ERR_MPI.
 */
FTMPI_API ftmpi_status ftmpi_comm_gather_rows(const ftmpi_comm *comm, const void *mine, const int64_t *n_rows,
					      int64_t row_bytes, void *all) FTMPI_CHECK_RESULT;

/**
 * Surplus ranks sleep here until the chief calls ftmpi_comm_wake, and return what it says. Collective over `comm` in the sense
 * that every surplus rank waits and the chief wakes; the others call neither. A waiting rank takes no processor time to speak of.
 * @param first_surplus ranks from here on wait.
 */
FTMPI_API ftmpi_status ftmpi_comm_sleep(const ftmpi_comm *comm) FTMPI_CHECK_RESULT;
FTMPI_API ftmpi_status ftmpi_comm_wake(const ftmpi_comm *comm, int first_surplus,
				       ftmpi_status result) FTMPI_CHECK_RESULT;

/** One copy of an array per node, in memory that all its ranks see. */
typedef struct ftmpi_shared ftmpi_shared;

/** Collective. Aligned to FTMPI_ALIGNMENT; the contents are undefined, and pages are taken when they are written. Errors (agreed): ERR_MPI, ERR_NO_SPACE when /dev/shm is too small. */
FTMPI_API ftmpi_status ftmpi_shared_create(const ftmpi_comm *comm, int64_t n_bytes,
					   ftmpi_shared **out) FTMPI_CHECK_RESULT;

/** The node's copy. Local. */
FTMPI_API void *ftmpi_shared_data(const ftmpi_shared *shared);

/** What any rank of the node wrote before is seen by all of them after. Collective. Errors: ERR_MPI. */
FTMPI_API ftmpi_status ftmpi_shared_sync(ftmpi_shared *shared) FTMPI_CHECK_RESULT;

/** Collective. NULLs the pointer; NULL is fine. */
FTMPI_API void ftmpi_shared_destroy(ftmpi_shared **shared);

FTMPI_END_DECLS

#endif
