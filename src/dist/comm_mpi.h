/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a communicator. */
#ifndef FTMPI_DIST_COMM_MPI_H
#define FTMPI_DIST_COMM_MPI_H

#include <ftmpi/comm.h>
#include <mpi.h>

struct ftmpi_comm {
	MPI_Comm all, node;
	int rank, size;
	int node_rank, node_size;
};

/** Turn MPI's return code into a status with MPI's text; `what` names the call. */
ftmpi_status ftmpi__mpi_check(int code, const char *what, const char *file, int line) FTMPI_CHECK_RESULT;

/** Call MPI; on failure go to `done:` with ERR_MPI. */
#define FTMPI_TRY_MPI(call) FTMPI_TRY(ftmpi__mpi_check((call), #call, __FILE__, __LINE__))

#endif
