/* SPDX-License-Identifier: Apache-2.0 */
/* One array of floats for each rank, which the ranks of its node can read in place. */
#ifndef FTMPI_DIST_COPIES_H
#define FTMPI_DIST_COPIES_H

#include "dist/comm_mpi.h"

struct ftmpi__copies {
	float *mine;
	const float **of; /* [size] a rank's array; NULL: it is on another node, or this node shares no memory */
	bool all_near;    /* of[] has every rank */
	ftmpi_shared *shared;
	float *alone; /* where no memory is shared */
};

/**
 * Make the arrays, all zero. Collective. @param n_elements of the own array; may differ from rank to rank. Where a node has no room to share, every
 * rank's array is its own memory, and the log says why. @param told whether it has said so already, alike on all ranks; set when it does. Errors (agreed):
 * ERR_MEMORY, ERR_MPI.
 */
ftmpi_status ftmpi__copies_create(const ftmpi_comm *comm, int64_t n_elements, bool *told,
				  struct ftmpi__copies *out) FTMPI_CHECK_RESULT;

/** Collective. All zero is fine. */
void ftmpi__copies_clear(struct ftmpi__copies *copies);

/** What the ranks of the node wrote before this call, each of them sees after it. Collective; does nothing where no memory is shared. */
ftmpi_status ftmpi__copies_sync(struct ftmpi__copies *copies) FTMPI_CHECK_RESULT;

#endif
