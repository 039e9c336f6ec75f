/* SPDX-License-Identifier: Apache-2.0 */
/* Agreement over the ranks: on an error, and on a digest.
 *
 * A rank that returns early while its peers are in a collective hangs them for ever; so whatever ranks can do apart ends here. MPI_MAXLOC gives the
 * worst status and, among the ranks that have it, the lowest; that rank's message goes to all. */
#include "dist/comm_mpi.h"

#include <stdio.h>
#include <string.h>

enum { MESSAGE_BYTES = 2048 };

ftmpi_status ftmpi_agree(const ftmpi_comm *comm, ftmpi_status local)
{
	ftmpi_status status = FTMPI_OK;
	struct {
		int value, rank;
	} mine = {(int)local, comm->rank}, worst = {0, 0};
	char message[MESSAGE_BYTES] = "";

	FTMPI_TRY_WAIT(comm->watch, MPI_Allreduce(&mine, &worst, 1, MPI_2INT, MPI_MAXLOC, comm->all));
	if (worst.value == FTMPI_OK)
		goto done;
	if (comm->rank == worst.rank)
		(void)snprintf(message, sizeof message, "%s", ftmpi_error_message());
	FTMPI_TRY_WAIT(comm->watch, MPI_Bcast(message, MESSAGE_BYTES, MPI_CHAR, worst.rank, comm->all));
	if (comm->rank == worst.rank)
		status = local;
	else
		FTMPI_FAIL((ftmpi_status)worst.value, "%s", message);
done:
	return status;
}

/* "1, 3" of the ranks whose digest is not `right`; at most as many as fit. */
static int list_odd_ranks(const ftmpi_digest *all, int size, ftmpi_digest right, char *text, size_t text_bytes)
{
	int n_odd = 0;
	size_t used = 0;

	text[0] = '\0';
	for (int rank = 0; rank < size; rank++) {
		if (ftmpi_digest_equal(all[rank], right))
			continue;
		n_odd++;
		if (used + 16 < text_bytes)
			used += (size_t)snprintf(text + used, text_bytes - used, "%s%d", used > 0 ? ", " : "", rank);
	}
	return n_odd;
}

/* The digests of all ranks, to be freed. Collective. */
static ftmpi_status gather_digests(const ftmpi_comm *comm, ftmpi_digest digest, ftmpi_digest **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_digest *all = NULL;

	FTMPI_TRY(ftmpi_agree(comm, FTMPI_ALLOC(comm->size, &all)));
	FTMPI_TRY_WAIT(comm->watch,
		       MPI_Allgather(&digest, sizeof digest, MPI_BYTE, all, sizeof digest, MPI_BYTE, comm->all));
	*out = all;
	all = NULL;
done:
	ftmpi_free(all);
	return status;
}

ftmpi_status ftmpi_comm_compare(const ftmpi_comm *comm, ftmpi_digest digest, const char *what)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_digest *all = NULL;
	char ranks[256];

	FTMPI_TRY(gather_digests(comm, digest, &all));
	if (list_odd_ranks(all, comm->size, all[FTMPI_CHIEF], ranks, sizeof ranks) > 0)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: rank %s has other bits than the chief", what, ranks);
done:
	ftmpi_free(all);
	return status;
}

/* The rank whose digest more than half have; −1: there is none. Boyer and Moore's vote, and a count. */
static int find_majority(const ftmpi_digest *all, int size)
{
	int candidate = 0, lead = 0, n = 0;

	for (int rank = 0; rank < size; rank++) {
		if (lead == 0)
			candidate = rank;
		lead += ftmpi_digest_equal(all[rank], all[candidate]) ? 1 : -1;
	}
	for (int rank = 0; rank < size; rank++)
		n += ftmpi_digest_equal(all[rank], all[candidate]);
	return 2 * n > size ? candidate : -1;
}

ftmpi_status ftmpi_comm_compare_copies(const ftmpi_comm *comm, ftmpi_digest digest, const char *what)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_digest *all = NULL;
	char ranks[256];
	int majority;

	if (comm->size == 1)
		goto done;
	FTMPI_TRY(gather_digests(comm, digest, &all));
	if (list_odd_ranks(all, comm->size, all[0], ranks, sizeof ranks) == 0)
		goto done;
	majority = find_majority(all, comm->size);
	if (majority < 0)
		FTMPI_FAIL(FTMPI_ERR_REPLICA,
			   "%s: ranks 0 to %d do not agree, and none of their copies has a majority: the memory of one "
			   "of them, or the network, is faulty; relaunch to go on from the last checkpoint",
			   what, comm->size - 1);
	(void)list_odd_ranks(all, comm->size, all[majority], ranks, sizeof ranks);
	FTMPI_FAIL(FTMPI_ERR_REPLICA,
		   "%s: rank %s has other bits than the majority: its memory or the network is faulty; relaunch to go "
		   "on from the last checkpoint",
		   what, ranks);
done:
	ftmpi_free(all);
	return status;
}
