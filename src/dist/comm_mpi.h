/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a communicator. */
#ifndef FTMPI_DIST_COMM_MPI_H
#define FTMPI_DIST_COMM_MPI_H

#include "dist/watch.h"

#include <ftmpi/comm.h>
#include <mpi.h>

struct ftmpi_comm {
	MPI_Comm all, node;
	int rank, size;
	int node_rank, node_size;
	struct ftmpi__watch *watch; /* NULL: nobody watches */
};

/** Turn MPI's return code into a status with MPI's text; `what` names the call. */
ftmpi_status ftmpi__mpi_check(int code, const char *what, const char *file, int line) FTMPI_CHECK_RESULT;

/** Call MPI; on failure go to `done:` with ERR_MPI. */
#define FTMPI_TRY_MPI(call) FTMPI_TRY(ftmpi__mpi_check((call), #call, __FILE__, __LINE__))

/** Call MPI where that may wait for other ranks. */
#define FTMPI_TRY_WAIT(watch, call)                                                                                    \
	do {                                                                                                           \
		int code_;                                                                                             \
                                                                                                                       \
		ftmpi__wait((watch), true);                                                                            \
		code_ = (call);                                                                                        \
		ftmpi__wait((watch), false);                                                                           \
		FTMPI_TRY(ftmpi__mpi_check(code_, #call, __FILE__, __LINE__));                                         \
	} while (0)

#endif
