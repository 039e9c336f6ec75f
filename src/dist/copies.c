/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays that the ranks of a node read in place: one piece of shared memory a node, cut into pages for its ranks.
 *
 * Each rank writes zeros into its own pages first, so that the kernel takes them from the memory next to that rank's core. A node without room
 * to share is no error: messages do the same work with the same bits. */
#include "dist/copies.h"

#include <ftmpi/log.h>
#include <string.h>

enum { PAGE_BYTES = 4096 };

/* Bytes of each rank of the node, whole pages; and which rank of the job it is. */
struct place {
	int64_t n_bytes;
	int64_t rank;
};

/* places[node_size]; *total_bytes of the node; *shares: some node has more than one rank. Collective. */
static ftmpi_status gather_places(const ftmpi_comm *comm, int64_t n_elements, struct place *places,
				  int64_t *total_bytes, bool *shares)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t n_bytes = n_elements * (int64_t)sizeof(float);
	const struct place mine = {(n_bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES, comm->rank};
	int largest = comm->node_size;

	FTMPI_TRY_WAIT(comm->watch,
		       MPI_Allgather(&mine, sizeof mine, MPI_BYTE, places, sizeof mine, MPI_BYTE, comm->node));
	FTMPI_TRY_WAIT(comm->watch, MPI_Allreduce(MPI_IN_PLACE, &largest, 1, MPI_INT, MPI_MAX, comm->all));
	*total_bytes = 0;
	for (int i = 0; i < comm->node_size; i++)
		*total_bytes += places[i].n_bytes;
	*shares = largest > 1;
done:
	return status;
}

/* Where every near rank's array begins. */
static void lay_out(const ftmpi_comm *comm, const struct place *places, struct ftmpi__copies *copies)
{
	char *at = ftmpi_shared_data(copies->shared);

	copies->all_near = comm->node_size == comm->size;
	for (int i = 0; i < comm->node_size; i++) {
		float *array = (float *)(void *)at;

		copies->of[places[i].rank] = array;
		if (places[i].rank == comm->rank)
			copies->mine = array;
		at += places[i].n_bytes;
	}
}

static ftmpi_status allocate_alone(const ftmpi_comm *comm, int64_t n_elements, struct ftmpi__copies *copies)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi_agree(comm, FTMPI_ALLOC(n_elements, &copies->alone)));
	copies->mine = copies->alone;
	copies->of[comm->rank] = copies->alone;
	copies->all_near = comm->size == 1;
done:
	return status;
}

/* Once is enough. */
static void tell(const ftmpi_comm *comm, bool *told)
{
	if (!*told && ftmpi_comm_is_chief(comm))
		ftmpi_log(FTMPI_LOG_WARNING, "The ranks of a node exchange gradients by messages, which is slower: %s",
			  ftmpi_error_message());
	ftmpi_error_clear();
	*told = true;
}

ftmpi_status ftmpi__copies_create(const ftmpi_comm *comm, int64_t n_elements, bool *told, struct ftmpi__copies *out)
{
	ftmpi_status status = FTMPI_OK;
	struct ftmpi__copies copies = {0};
	struct place *places = NULL;
	int64_t total_bytes;
	bool shares;

	FTMPI_TRY(ftmpi_agree(comm, FTMPI_ALLOC(comm->size, &copies.of)));
	FTMPI_TRY(ftmpi_agree(comm, FTMPI_ALLOC(comm->node_size, &places)));
	FTMPI_TRY(gather_places(comm, n_elements, places, &total_bytes, &shares));
	if (shares && ftmpi_shared_create(comm, total_bytes, &copies.shared) != FTMPI_OK)
		tell(comm, told);
	if (copies.shared == NULL) {
		FTMPI_TRY(allocate_alone(comm, n_elements, &copies));
	} else {
		lay_out(comm, places, &copies);
		memset(copies.mine, 0, (size_t)n_elements * sizeof *copies.mine);
	}
	*out = copies;
	copies = (struct ftmpi__copies){0};
done:
	ftmpi_free(places);
	ftmpi__copies_clear(&copies);
	return status;
}

void ftmpi__copies_clear(struct ftmpi__copies *copies)
{
	ftmpi_shared_destroy(&copies->shared);
	ftmpi_free(copies->alone);
	ftmpi_free(copies->of);
	*copies = (struct ftmpi__copies){0};
}

ftmpi_status ftmpi__copies_sync(struct ftmpi__copies *copies)
{
	return copies->shared != NULL ? ftmpi_shared_sync(copies->shared) : FTMPI_OK;
}
