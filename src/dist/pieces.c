/* SPDX-License-Identifier: Apache-2.0 */
/* The way of the subtree sums to the owners of slices.
 *
 *     1  near ranks' subtrees are read where they are
 *     2  a node adds them up to the maximal subtrees of the node; each of its ranks does that for some of the far slices, and sends them
 *     3  the owner of a slice adds near ranks' subtrees and far nodes' subtrees in tree order
 *
 * So a slice comes from a far node once, not once for each of its ranks. Where the ranks of nodes do not lie side by side (mpirun --map-by node), a
 * node's subtrees are no larger than its ranks', and each rank sends for itself. Messages go from and to the same places in every step: the
 * requests are persistent. */
#include "dist/pieces.h"

#include "dist/tree.h"
#include <ftmpi/slice.h>

enum { PIECE_TAG = 7100 };

/* A message of one subtree's slice. */
struct parcel {
	int subtree, to;
	float *sum; /* NULL: the subtree is there already, and sent from where it is */
};

struct ftmpi__pieces {
	struct ftmpi__reduction what;
	int *group_of; /* [size + 1] the first rank of the group with which a rank sends: its node, or the rank alone; the last one is size */

	/* the way out: maximal subtrees of the own group, over those of its ranks */
	int n_outgoing, n_parcels;
	ftmpi__tree *outgoing[FTMPI__TREE_COVER];
	const float **leaves,
		**parts; /* [leaves of all outgoing] of the group, in order; and with the start of a slice */
	struct parcel *parcels;
	float *sums;

	/* the way in: all subtrees, near ranks' and far groups' */
	ftmpi__tree *tree;
	const float **subtrees; /* [leaves of the tree] the own slice of each */
	float *received;

	MPI_Request *requests; /* receives, then the parcels */
	int n_receives, n_requests;
};

static int first_worker(const ftmpi__pieces *p, int rank)
{
	return (int)ftmpi_slice_start(p->what.n_workers, p->what.comm->size, rank);
}

static bool is_near(const ftmpi__pieces *p, int rank)
{
	return p->what.buffers->of[rank] != NULL;
}

/* The rank after the last one of a group that begins with `first`. */
static int group_end(const ftmpi__pieces *p, int first)
{
	int end = first;

	while (p->group_of[end] == first)
		end++;
	return end;
}

/* Which rank of a group sends what belongs to `to`, of another group: all send about as much. */
static int sender(const ftmpi__pieces *p, int first, int to)
{
	const int n = group_end(p, first) - first, n_others = p->what.comm->size - n;
	const int index = to < first ? to : to - n;

	return first + (int)((int64_t)index * n / n_others);
}

static int cover_of(const ftmpi__pieces *p, int first, struct ftmpi__range *ranges)
{
	return ftmpi__tree_cover(p->what.n_workers, first_worker(p, first), first_worker(p, group_end(p, first)),
				 ranges);
}

/* Ranks of a node form a group if all nodes' ranks lie side by side. Collective. */
static ftmpi_status find_groups(ftmpi__pieces *p)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_comm *comm = p->what.comm;
	int node = comm->rank;
	bool side_by_side = p->what.buffers->shared != NULL;

	FTMPI_TRY(ftmpi_agree(comm, FTMPI_ALLOC(comm->size + 1, &p->group_of)));
	FTMPI_TRY_WAIT(comm->watch, MPI_Bcast(&node, 1, MPI_INT, 0, comm->node)); /* its lowest rank */
	FTMPI_TRY_WAIT(comm->watch, MPI_Allgather(&node, 1, MPI_INT, p->group_of, 1, MPI_INT, comm->all));
	for (int rank = 1; rank < comm->size; rank++)
		side_by_side &= p->group_of[rank] == p->group_of[rank - 1] || p->group_of[rank] == rank;
	for (int rank = 0; rank < comm->size && !side_by_side; rank++)
		p->group_of[rank] = rank;
	p->group_of[comm->size] = comm->size;
done:
	return status;
}

/* The subtrees of the own group's ranks, and the trees over them. */
static ftmpi_status plan_outgoing(ftmpi__pieces *p)
{
	ftmpi_status status = FTMPI_OK;
	const int first = p->group_of[p->what.comm->rank], end = group_end(p, first);
	struct ftmpi__range ranges[FTMPI__TREE_COVER];
	int n_leaves = 0, n = 0, *units = NULL;

	for (int rank = first; rank < end; rank++)
		n_leaves +=
			ftmpi__tree_cover(p->what.n_workers, first_worker(p, rank), first_worker(p, rank + 1), NULL);
	FTMPI_TRY(FTMPI_ALLOC(n_leaves, &p->leaves));
	FTMPI_TRY(FTMPI_ALLOC(n_leaves, &p->parts));
	FTMPI_TRY(FTMPI_ALLOC(end - first + 1, &units));
	for (int rank = first; rank <= end; rank++)
		units[rank - first] = first_worker(p, rank);
	for (int rank = first; rank < end; rank++) {
		const int k =
			ftmpi__tree_cover(p->what.n_workers, first_worker(p, rank), first_worker(p, rank + 1), NULL);

		for (int i = 0; i < k; i++)
			p->leaves[n++] = p->what.buffers->of[rank] + i * p->what.stride;
	}
	n = cover_of(p, first, ranges);
	for (; p->n_outgoing < n; p->n_outgoing++)
		FTMPI_TRY(ftmpi__tree_create(ranges[p->n_outgoing], units, end - first, &p->outgoing[p->n_outgoing]));
done:
	ftmpi_free(units);
	return status;
}

/* Leaves of the own group before those of an outgoing subtree. */
static int leaves_before(const ftmpi__pieces *p, int subtree)
{
	int n = 0;

	for (int i = 0; i < subtree; i++)
		n += ftmpi__tree_n_leaves(p->outgoing[i]);
	return n;
}

/* What this rank sends, and room for the sums. */
static ftmpi_status plan_parcels(ftmpi__pieces *p)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_comm *comm = p->what.comm;
	const int first = p->group_of[comm->rank];
	int64_t n_sums = 0;

	FTMPI_TRY(FTMPI_ALLOC((int64_t)comm->size * p->n_outgoing, &p->parcels));
	for (int i = 1; i < comm->size; i++) { /* begin with the next rank, so that not all send to rank 0 first */
		const int to = (comm->rank + i) % comm->size;

		for (int k = 0; !is_near(p, to) && sender(p, first, to) == comm->rank && k < p->n_outgoing; k++) {
			p->parcels[p->n_parcels++] = (struct parcel){.subtree = k, .to = to};
			if (ftmpi__tree_n_leaves(p->outgoing[k]) > 1)
				n_sums += p->what.counts[to];
		}
	}
	FTMPI_TRY(FTMPI_ALLOC(n_sums, &p->sums));
	n_sums = 0;
	for (int i = 0; i < p->n_parcels; i++) {
		struct parcel *parcel = &p->parcels[i];

		if (ftmpi__tree_n_leaves(p->outgoing[parcel->subtree]) == 1)
			continue;
		parcel->sum = p->sums + n_sums;
		n_sums += p->what.counts[parcel->to];
	}
done:
	return status;
}

/* The tree of the own slice: its leaves are near ranks' subtrees and far groups'. */
static ftmpi_status plan_tree(ftmpi__pieces *p)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_comm *comm = p->what.comm;
	int n_units = 0, *units = NULL;
	int64_t n_received = 0, n_leaves;

	FTMPI_TRY(FTMPI_ALLOC(comm->size + 1, &units));
	for (int rank = 0; rank < comm->size; rank = is_near(p, rank) ? rank + 1 : group_end(p, rank)) {
		units[n_units++] = first_worker(p, rank);
		if (!is_near(p, rank))
			n_received += (int64_t)cover_of(p, rank, NULL) * p->what.counts[comm->rank];
	}
	units[n_units] = p->what.n_workers;
	FTMPI_TRY(ftmpi__tree_create((struct ftmpi__range){0, p->what.n_workers}, units, n_units, &p->tree));
	n_leaves = ftmpi__tree_n_leaves(p->tree);
	FTMPI_TRY(FTMPI_ALLOC(n_leaves, &p->subtrees));
	FTMPI_TRY(FTMPI_ALLOC(n_received, &p->received));
	FTMPI_TRY(FTMPI_ALLOC(n_leaves + p->n_parcels, &p->requests));
done:
	ftmpi_free(units);
	return status;
}

/* Where each leaf of the tree is, and the receives of those that come. */
static ftmpi_status plan_receives(ftmpi__pieces *p)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_comm *comm = p->what.comm;
	const int count = p->what.counts[comm->rank];
	float *at = p->received;
	int leaf = 0;

	for (int rank = 0; rank < comm->size;) {
		const int end = is_near(p, rank) ? rank + 1 : group_end(p, rank);
		const int n = ftmpi__tree_cover(p->what.n_workers, first_worker(p, rank), first_worker(p, end), NULL);

		for (int k = 0; k < n; k++, leaf++) {
			if (is_near(p, rank)) {
				p->subtrees[leaf] =
					p->what.buffers->of[rank] + k * p->what.stride + p->what.starts[comm->rank];
				continue;
			}
			p->subtrees[leaf] = at;
			FTMPI_TRY_MPI(MPI_Recv_init(at, count, MPI_FLOAT, sender(p, rank, comm->rank), PIECE_TAG + k,
						    comm->all, &p->requests[p->n_requests]));
			p->n_requests++;
			at += count;
		}
		rank = end;
	}
	p->n_receives = p->n_requests;
done:
	return status;
}

static ftmpi_status plan_sends(ftmpi__pieces *p)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_comm *comm = p->what.comm;

	for (int i = 0; i < p->n_parcels; i++) {
		const struct parcel *parcel = &p->parcels[i];
		const float *from = parcel->sum != NULL
					    ? parcel->sum
					    : p->leaves[leaves_before(p, parcel->subtree)] + p->what.starts[parcel->to];

		FTMPI_TRY_MPI(MPI_Send_init(from, p->what.counts[parcel->to], MPI_FLOAT, parcel->to,
					    PIECE_TAG + parcel->subtree, comm->all, &p->requests[p->n_requests]));
		p->n_requests++;
	}
done:
	return status;
}

static ftmpi_status plan_local(ftmpi__pieces *p)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(plan_outgoing(p));
	FTMPI_TRY(plan_parcels(p));
	FTMPI_TRY(plan_tree(p));
	FTMPI_TRY(plan_receives(p));
	FTMPI_TRY(plan_sends(p));
done:
	return status;
}

ftmpi_status ftmpi__pieces_create(const struct ftmpi__reduction *reduction, ftmpi__pieces **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__pieces *p = NULL;

	FTMPI_TRY(ftmpi_agree(reduction->comm, FTMPI_ALLOC(1, &p)));
	p->what = *reduction;
	FTMPI_TRY(find_groups(p));
	FTMPI_TRY(ftmpi_agree(reduction->comm, plan_local(p)));
	*out = p;
	p = NULL;
done:
	ftmpi__pieces_destroy(&p);
	return status;
}

void ftmpi__pieces_destroy(ftmpi__pieces **pieces)
{
	ftmpi__pieces *p = *pieces;

	if (p == NULL)
		return;
	for (int i = 0; i < p->n_requests; i++)
		(void)MPI_Request_free(&p->requests[i]);
	for (int i = 0; i < p->n_outgoing; i++)
		ftmpi__tree_destroy(&p->outgoing[i]);
	ftmpi__tree_destroy(&p->tree);
	ftmpi_free(p->group_of);
	ftmpi_free(p->leaves);
	ftmpi_free(p->parts);
	ftmpi_free(p->parcels);
	ftmpi_free(p->sums);
	ftmpi_free(p->subtrees);
	ftmpi_free(p->received);
	ftmpi_free(p->requests);
	ftmpi_free(p);
	*pieces = NULL;
}

/* Step 2 for one parcel. */
static void add_up(ftmpi__pieces *p, const struct parcel *parcel)
{
	const ftmpi__tree *tree = p->outgoing[parcel->subtree];
	const int before = leaves_before(p, parcel->subtree);

	for (int i = 0; i < ftmpi__tree_n_leaves(tree); i++)
		p->parts[i] = p->leaves[before + i] + p->what.starts[parcel->to];
	ftmpi__tree_sum(tree, p->parts, p->what.counts[parcel->to], parcel->sum);
}

ftmpi_status ftmpi__pieces_sum(ftmpi__pieces *p, float *out)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_comm *comm = p->what.comm;

	FTMPI_TRY_MPI(MPI_Startall(p->n_receives, p->requests));
	FTMPI_TRY(ftmpi__copies_sync(p->what.buffers));
	for (int i = 0; i < p->n_parcels; i++) {
		if (p->parcels[i].sum != NULL)
			add_up(p, &p->parcels[i]);
		FTMPI_TRY_MPI(MPI_Start(&p->requests[p->n_receives + i]));
	}
	FTMPI_TRY_WAIT(comm->watch, MPI_Waitall(p->n_requests, p->requests, MPI_STATUSES_IGNORE));
	ftmpi__tree_sum(p->tree, p->subtrees, p->what.counts[comm->rank], out);
done:
	return status;
}
