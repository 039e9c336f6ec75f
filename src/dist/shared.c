/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that the ranks of a node share: an MPI-3 shared-memory window that the node's first rank allocates.
 *
 * The window stays locked for all (a passive epoch) from creation to the end, so that loads and stores need only MPI_Win_sync and a barrier. */
#include "dist/comm_mpi.h"

#include <sys/statvfs.h>

/* Where Open MPI and MPICH keep shared windows on Linux, and what a rank's message buffers there may grow to (Open MPI's vader: 4 MiB). */
#define SHARED_FOLDER "/dev/shm"
enum { RANK_BYTES = 4 << 20 };

struct ftmpi_shared {
	MPI_Win window;
	MPI_Comm node;
	struct ftmpi__watch *watch;
	char *data;
	bool locked;
};

/* Aligned start inside the first rank's segment. */
static ftmpi_status locate(ftmpi_shared *shared)
{
	ftmpi_status status = FTMPI_OK;
	MPI_Aint segment_bytes = 0;
	int unit = 0;
	char *base = NULL;

	FTMPI_TRY_MPI(MPI_Win_shared_query(shared->window, 0, &segment_bytes, &unit, &base));
	shared->data = base + (FTMPI_ALIGNMENT - (uintptr_t)base % FTMPI_ALIGNMENT) % FTMPI_ALIGNMENT;
done:
	return status;
}

/* The first rank of a node asks for room before MPI does: MPI would fail on that rank alone, with the others waiting inside the call for ever. */
static ftmpi_status check_room(const ftmpi_comm *comm, int64_t n_bytes)
{
	ftmpi_status status = FTMPI_OK;
	const uint64_t needed = (uint64_t)n_bytes + (uint64_t)comm->node_size * RANK_BYTES;
	struct statvfs fs;

	if (comm->node_rank != 0 || comm->node_size == 1 || statvfs(SHARED_FOLDER, &fs) != 0)
		goto done;
	if ((uint64_t)fs.f_bavail * fs.f_frsize < needed)
		FTMPI_FAIL(FTMPI_ERR_NO_SPACE,
			   "%s has %llu bytes free, what the node's ranks share and their messages need %llu: enlarge "
			   "it (mount -o remount,size=...)",
			   SHARED_FOLDER, (unsigned long long)fs.f_bavail * fs.f_frsize, (unsigned long long)needed);
done:
	return status;
}

ftmpi_status ftmpi_shared_create(const ftmpi_comm *comm, int64_t n_bytes, ftmpi_shared **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_shared *shared = NULL;
	const bool first = comm->node_rank == 0;
	const MPI_Aint my_bytes = first ? (MPI_Aint)n_bytes + FTMPI_ALIGNMENT : 0;
	char *base = NULL;

	FTMPI_TRY(ftmpi_agree(comm, check_room(comm, n_bytes)));
	FTMPI_TRY(ftmpi_agree(comm, FTMPI_ALLOC(1, &shared)));
	shared->window = MPI_WIN_NULL;
	shared->node = comm->node;
	shared->watch = comm->watch;
	FTMPI_TRY(ftmpi_agree(comm, ftmpi__mpi_check(MPI_Win_allocate_shared(my_bytes, 1, MPI_INFO_NULL, comm->node,
									     &base, &shared->window),
						     "MPI_Win_allocate_shared", __FILE__, __LINE__)));
	FTMPI_TRY(locate(shared));
	FTMPI_TRY_MPI(MPI_Win_lock_all(MPI_MODE_NOCHECK, shared->window));
	shared->locked = true;
	FTMPI_TRY(ftmpi_shared_sync(shared));
	*out = shared;
	shared = NULL;
done:
	ftmpi_shared_destroy(&shared);
	return status;
}

void *ftmpi_shared_data(const ftmpi_shared *shared)
{
	return shared->data;
}

ftmpi_status ftmpi_shared_sync(ftmpi_shared *shared)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY_MPI(MPI_Win_sync(shared->window));
	FTMPI_TRY_WAIT(shared->watch, MPI_Barrier(shared->node));
	FTMPI_TRY_MPI(MPI_Win_sync(shared->window));
done:
	return status;
}

void ftmpi_shared_destroy(ftmpi_shared **shared)
{
	if (*shared == NULL)
		return;
	if ((*shared)->locked)
		(void)MPI_Win_unlock_all((*shared)->window);
	if ((*shared)->window != MPI_WIN_NULL)
		(void)MPI_Win_free(&(*shared)->window);
	ftmpi_free(*shared);
	*shared = NULL;
}
