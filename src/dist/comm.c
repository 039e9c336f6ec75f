/* SPDX-License-Identifier: Apache-2.0 */
/* Communicators, broadcast, gather, sleeping ranks.
 *
 * Every communicator of ftmpi is a duplicate, so that its messages never meet those of the program, and returns errors instead of aborting. Counts
 * above INT_MAX are cut into pieces, since MPI 3 counts with int. */
#include "dist/comm_mpi.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAKE_TAG = 7001, PIECE_BYTES = 1 << 30 };

static bool initialised_here;

ftmpi_status ftmpi__mpi_check(int code, const char *what, const char *file, int line)
{
	char text[MPI_MAX_ERROR_STRING] = "";
	int length = 0;
	int n_name = 0;

	if (code == MPI_SUCCESS)
		return FTMPI_OK;
	(void)MPI_Error_string(code, text, &length);
	while (what[n_name] != '\0' && what[n_name] != '(')
		n_name++;
	return ftmpi_error_set(FTMPI_ERR_MPI, file, line, "%.*s failed: %s", n_name, what, text);
}

ftmpi_status ftmpi_init(int *argc, char ***argv)
{
	ftmpi_status status = FTMPI_OK;
	int done_already = 0, provided = 0;

	FTMPI_TRY_MPI(MPI_Initialized(&done_already));
	if (done_already)
		goto done;
	/* ftmpi has no use for shared file pointers; Open MPI's "lockedfile" kind writes a file beside every file opened with MPI-IO. */
	(void)setenv("OMPI_MCA_sharedfp", "^lockedfile", 0);
	FTMPI_TRY_MPI(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided));
	initialised_here = true;
	if (provided < MPI_THREAD_FUNNELED)
		FTMPI_FAIL(FTMPI_ERR_MPI, "this MPI does not allow threads beside the main one (MPI_THREAD_FUNNELED)");
done:
	return status;
}

void ftmpi_finalize(void)
{
	if (initialised_here)
		(void)MPI_Finalize();
	initialised_here = false;
}

/* Takes `all` over, also on failure. */
static ftmpi_status comm_wrap(MPI_Comm all, struct ftmpi__watch *watch, ftmpi_comm **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_comm *comm = NULL;

	FTMPI_TRY(FTMPI_ALLOC(1, &comm));
	comm->all = all;
	comm->node = MPI_COMM_NULL;
	comm->watch = watch;
	FTMPI_TRY_MPI(MPI_Comm_set_errhandler(all, MPI_ERRORS_RETURN));
	FTMPI_TRY_MPI(MPI_Comm_rank(all, &comm->rank));
	FTMPI_TRY_MPI(MPI_Comm_size(all, &comm->size));
	FTMPI_TRY_WAIT(watch, MPI_Comm_split_type(all, MPI_COMM_TYPE_SHARED, comm->rank, MPI_INFO_NULL, &comm->node));
	FTMPI_TRY_MPI(MPI_Comm_set_errhandler(comm->node, MPI_ERRORS_RETURN));
	FTMPI_TRY_MPI(MPI_Comm_rank(comm->node, &comm->node_rank));
	FTMPI_TRY_MPI(MPI_Comm_size(comm->node, &comm->node_size));
	*out = comm;
	comm = NULL;
done:
	ftmpi_comm_destroy(&comm);
	return status;
}

ftmpi_status ftmpi_comm_create(ftmpi_comm **out)
{
	ftmpi_status status = FTMPI_OK;
	MPI_Comm all;

	FTMPI_TRY_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &all));
	FTMPI_TRY(comm_wrap(all, NULL, out));
done:
	return status;
}

ftmpi_status ftmpi_comm_create_first(const ftmpi_comm *parent, int n, ftmpi_comm **out)
{
	ftmpi_status status = FTMPI_OK;
	MPI_Comm all;

	FTMPI_TRY_WAIT(parent->watch,
		       MPI_Comm_split(parent->all, parent->rank < n ? 0 : MPI_UNDEFINED, parent->rank, &all));
	if (all == MPI_COMM_NULL)
		*out = NULL;
	else
		FTMPI_TRY(comm_wrap(all, parent->watch, out));
done:
	return status;
}

void ftmpi_comm_destroy(ftmpi_comm **comm)
{
	if (*comm == NULL)
		return;
	if ((*comm)->node != MPI_COMM_NULL)
		(void)MPI_Comm_free(&(*comm)->node);
	(void)MPI_Comm_free(&(*comm)->all);
	ftmpi_free(*comm);
	*comm = NULL;
}

int ftmpi_comm_rank(const ftmpi_comm *comm)
{
	return comm->rank;
}

int ftmpi_comm_size(const ftmpi_comm *comm)
{
	return comm->size;
}

bool ftmpi_comm_is_chief(const ftmpi_comm *comm)
{
	return comm->rank == FTMPI_CHIEF;
}

int ftmpi_comm_node_rank(const ftmpi_comm *comm)
{
	return comm->node_rank;
}

int ftmpi_comm_node_size(const ftmpi_comm *comm)
{
	return comm->node_size;
}

ftmpi_status ftmpi_comm_barrier(const ftmpi_comm *comm)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY_WAIT(comm->watch, MPI_Barrier(comm->all));
done:
	return status;
}

ftmpi_status ftmpi_broadcast(const ftmpi_comm *comm, void *data, int64_t n_bytes, int root)
{
	ftmpi_status status = FTMPI_OK;
	char *p = data;

	while (n_bytes > 0) {
		const int n = n_bytes < PIECE_BYTES ? (int)n_bytes : PIECE_BYTES;

		FTMPI_TRY_WAIT(comm->watch, MPI_Bcast(p, n, MPI_BYTE, root, comm->all));
		p += n;
		n_bytes -= n;
	}
done:
	return status;
}

ftmpi_status ftmpi_broadcast_buffer(const ftmpi_comm *comm, ftmpi_buffer *buffer, int root)
{
	ftmpi_status status = FTMPI_OK;
	int64_t n_bytes = (int64_t)buffer->n_bytes;

	FTMPI_TRY(ftmpi_broadcast(comm, &n_bytes, (int64_t)sizeof n_bytes, root));
	FTMPI_TRY(ftmpi_agree(comm, ftmpi_buffer_resize(buffer, (size_t)n_bytes)));
	FTMPI_TRY(ftmpi_broadcast(comm, buffer->data, n_bytes, root));
done:
	return status;
}

/* Rank after rank, so that displacements never need more than an int. */
ftmpi_status ftmpi_comm_gather_rows(const ftmpi_comm *comm, const void *mine, const int64_t *n_rows, int64_t row_bytes,
				    void *all)
{
	ftmpi_status status = FTMPI_OK;
	const char *from = mine;
	char *to = all;

	for (int rank = 0; rank < comm->size; rank++) {
		const int64_t n_bytes = n_rows[rank] * row_bytes;

		if (comm->rank == FTMPI_CHIEF && rank == FTMPI_CHIEF && n_bytes > 0)
			memcpy(to, from, (size_t)n_bytes);
		for (int64_t at = 0; at < n_bytes && rank != FTMPI_CHIEF; at += PIECE_BYTES) {
			const int count = (int)(n_bytes - at < PIECE_BYTES ? n_bytes - at : PIECE_BYTES);

			if (comm->rank == FTMPI_CHIEF)
				FTMPI_TRY_WAIT(comm->watch, MPI_Recv(to + at, count, MPI_BYTE, rank, 0, comm->all,
								     MPI_STATUS_IGNORE));
			else if (comm->rank == rank)
				FTMPI_TRY_WAIT(comm->watch,
					       MPI_Send(from + at, count, MPI_BYTE, FTMPI_CHIEF, 0, comm->all));
		}
		if (comm->rank == FTMPI_CHIEF)
			to += n_bytes;
	}
done:
	return status;
}

ftmpi_status ftmpi_comm_sleep(const ftmpi_comm *comm)
{
	const struct timespec pause = {.tv_nsec = 10L * 1000 * 1000};
	ftmpi_status status = FTMPI_OK;
	int arrived = 0, result = FTMPI_OK;
	const ftmpi_mark before = ftmpi_watch_begin(comm, FTMPI_PHASE_IDLE, NULL);

	ftmpi__wait(comm->watch, true);
	/* MPI_Recv would spin on a core; between two looks this rank really sleeps. */
	for (;;) {
		FTMPI_TRY_MPI(MPI_Iprobe(FTMPI_CHIEF, WAKE_TAG, comm->all, &arrived, MPI_STATUS_IGNORE));
		if (arrived)
			break;
		(void)nanosleep(&pause, NULL);
	}
	FTMPI_TRY_MPI(MPI_Recv(&result, 1, MPI_INT, FTMPI_CHIEF, WAKE_TAG, comm->all, MPI_STATUS_IGNORE));
	status = (ftmpi_status)result;
done:
	ftmpi__wait(comm->watch, false);
	ftmpi_watch_end(comm, before);
	return status;
}

ftmpi_status ftmpi_comm_wake(const ftmpi_comm *comm, int first_surplus, ftmpi_status result)
{
	ftmpi_status status = FTMPI_OK;
	const int code = (int)result;

	for (int rank = first_surplus; rank < comm->size; rank++)
		FTMPI_TRY_MPI(MPI_Send(&code, 1, MPI_INT, rank, WAKE_TAG, comm->all));
done:
	return status;
}
