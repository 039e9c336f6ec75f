/* SPDX-License-Identifier: Apache-2.0 */
/* How the subtree sums of all ranks come to the owner of a slice: the plan of a reduction, made once. */
#ifndef FTMPI_DIST_PIECES_H
#define FTMPI_DIST_PIECES_H

#include "dist/copies.h"

/** What is reduced. All of it outlives the plan. */
struct ftmpi__reduction {
	const ftmpi_comm *comm;
	int n_workers;
	const int *counts, *starts;    /* [size] every rank's slice */
	struct ftmpi__copies *buffers; /* a rank's maximal subtrees, in order */
	int64_t stride;                /* from one subtree to the next */
};

typedef struct ftmpi__pieces ftmpi__pieces;

/** Errors (agreed): ERR_MEMORY, ERR_MPI. Collective. */
ftmpi_status ftmpi__pieces_create(const struct ftmpi__reduction *reduction, ftmpi__pieces **out) FTMPI_CHECK_RESULT;
void ftmpi__pieces_destroy(ftmpi__pieces **pieces);

/** out[count] = the tree sum of the own slice; `out` may be the slice of an own subtree. Collective: every rank's buffers are filled. */
ftmpi_status ftmpi__pieces_sum(ftmpi__pieces *pieces, float *out) FTMPI_CHECK_RESULT;

#endif
