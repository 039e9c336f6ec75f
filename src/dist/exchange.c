/* SPDX-License-Identifier: Apache-2.0 */
/* Deterministic reduction over logical workers.
 *
 *     own leaves ──push──► own maximal subtrees ──pieces.c──► owner of the slice: tree sum of the slice ──gather──► every rank
 *
 * Only whole subtrees leave a rank, so every addition is one of the fixed tree, on whichever rank it happens. The sum of the slice replaces that slice of
 * the rank's own first subtree, which no other rank reads.
 *
 * Invariants: `depth` buffers are in use, and hold the subtrees formed so far, in order; before ftmpi_exchange_reduce they are exactly the
 * maximal subtrees of the own range. While `are_read` is set, near ranks may still read the buffers, and this rank does not write them. */
#include <ftmpi/exchange.h>
#include <ftmpi/failpoint.h>
#include <ftmpi/hash.h>
#include <ftmpi/slice.h>

#include "dist/pieces.h"
#include "dist/tree.h"

#include <limits.h>
#include <string.h>

enum { MAX_SCALARS = 16, MAX_ARRAYS = 8, SLICE_UNIT = 16 };

struct ftmpi_exchange {
	const ftmpi_comm *comm;
	int n_workers, first, end;  /* logical workers: all, own range */
	int64_t n_elements, stride; /* stride: from one buffer to the next, whole cache lines */
	int *counts, *starts;       /* [size]: every rank's slice of the array */

	int depth, max_depth;         /* buffers in use; most in use */
	int next;                     /* own worker whose array comes next */
	struct ftmpi__copies buffers; /* [max_depth] arrays of n_elements */
	bool are_read, told_messages;
	struct ftmpi__copies arrays[MAX_ARRAYS]; /* those of ftmpi_exchange_array */
	int n_arrays;

	ftmpi__pieces *pieces;
	int n_scalars;   /* worker-major room in `scalars` */
	double *scalars; /* [n_workers · MAX_SCALARS] */
	int *scalar_counts, *scalar_starts;
};

static float *buffer(const ftmpi_exchange *ex, int i)
{
	return ex->buffers.mine + i * ex->stride;
}

static int first_worker(const ftmpi_exchange *ex, int rank)
{
	return (int)ftmpi_slice_start(ex->n_workers, ex->comm->size, rank);
}

/* Slices are cut at multiples of a cache line. */
static void plan_slices(ftmpi_exchange *ex)
{
	const int size = ex->comm->size;
	const int64_t n_units = (ex->n_elements + SLICE_UNIT - 1) / SLICE_UNIT;

	for (int rank = 0; rank < size; rank++) {
		const int64_t start = ftmpi_slice_start(n_units, size, rank) * SLICE_UNIT;
		const int64_t end = ftmpi_slice_start(n_units, size, rank + 1) * SLICE_UNIT;

		ex->starts[rank] = (int)(start < ex->n_elements ? start : ex->n_elements);
		ex->counts[rank] = (int)(end < ex->n_elements ? end : ex->n_elements) - ex->starts[rank];
	}
}

/* How many buffers the own range needs: push and merge without data. */
static void plan_depth(ftmpi_exchange *ex)
{
	int depth = 0;

	ex->max_depth = 1;
	for (int w = ex->first; w < ex->end; w++) {
		depth++;
		ex->max_depth = depth > ex->max_depth ? depth : ex->max_depth;
		depth -= ftmpi__tree_merges(ex->n_workers, ex->first, w);
	}
}

static ftmpi_status create_arrays(ftmpi_exchange *ex)
{
	ftmpi_status status = FTMPI_OK;
	const int size = ex->comm->size;

	FTMPI_TRY(FTMPI_ALLOC(size, &ex->counts));
	FTMPI_TRY(FTMPI_ALLOC(size, &ex->starts));
	FTMPI_TRY(FTMPI_ALLOC(size, &ex->scalar_counts));
	FTMPI_TRY(FTMPI_ALLOC(size, &ex->scalar_starts));
	FTMPI_TRY(FTMPI_ALLOC((int64_t)ex->n_workers * MAX_SCALARS, &ex->scalars));
	plan_slices(ex);
	plan_depth(ex);
done:
	return status;
}

static ftmpi_status check_arguments(const ftmpi_comm *comm, int n_workers, int64_t n_elements)
{
	ftmpi_status status = FTMPI_OK;

	if (n_workers < comm->size)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%d logical workers cannot feed %d ranks: start %d ranks at most",
			   n_workers, comm->size, n_workers);
	if (n_elements < 1 || n_elements > INT_MAX)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "a reduction of %lld elements: it must be 1 to %d", (long long)n_elements,
			   INT_MAX);
done:
	return status;
}

ftmpi_status ftmpi_exchange_create(const ftmpi_comm *comm, int n_workers, int64_t n_elements, ftmpi_exchange **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_exchange *ex = NULL;

	FTMPI_TRY(check_arguments(comm, n_workers, n_elements));
	FTMPI_TRY(ftmpi_agree(comm, FTMPI_ALLOC(1, &ex)));
	ex->comm = comm;
	ex->n_workers = n_workers;
	ex->n_elements = n_elements;
	ex->stride = (n_elements + SLICE_UNIT - 1) / SLICE_UNIT * SLICE_UNIT;
	ex->first = first_worker(ex, comm->rank);
	ex->end = first_worker(ex, comm->rank + 1);
	ex->next = ex->first;
	FTMPI_TRY(ftmpi_agree(comm, create_arrays(ex)));
	FTMPI_TRY(ftmpi__copies_create(comm, ex->max_depth * ex->stride, &ex->told_messages, &ex->buffers));
	FTMPI_TRY(ftmpi__pieces_create(&(struct ftmpi__reduction){.comm = comm,
								  .n_workers = n_workers,
								  .counts = ex->counts,
								  .starts = ex->starts,
								  .buffers = &ex->buffers,
								  .stride = ex->stride},
				       &ex->pieces));
	*out = ex;
	ex = NULL;
done:
	ftmpi_exchange_destroy(&ex);
	return status;
}

void ftmpi_exchange_destroy(ftmpi_exchange **exchange)
{
	ftmpi_exchange *ex = *exchange;

	if (ex == NULL)
		return;
	ftmpi__pieces_destroy(&ex->pieces);
	for (int i = 0; i < ex->n_arrays; i++)
		ftmpi__copies_clear(&ex->arrays[i]);
	ftmpi__copies_clear(&ex->buffers);
	ftmpi_free(ex->scalars);
	ftmpi_free(ex->scalar_counts);
	ftmpi_free(ex->scalar_starts);
	ftmpi_free(ex->counts);
	ftmpi_free(ex->starts);
	ftmpi_free(ex);
	*exchange = NULL;
}

void ftmpi_exchange_workers(const ftmpi_exchange *ex, int *first, int *end)
{
	*first = ex->first;
	*end = ex->end;
}

void ftmpi_exchange_slice(const ftmpi_exchange *ex, int64_t *first, int64_t *end)
{
	ftmpi_exchange_slice_of(ex, ex->comm->rank, first, end);
}

void ftmpi_exchange_slice_of(const ftmpi_exchange *ex, int rank, int64_t *first, int64_t *end)
{
	*first = ex->starts[rank];
	*end = *first + ex->counts[rank];
}

ftmpi_status ftmpi_exchange_array(ftmpi_exchange *ex, float **array)
{
	ftmpi_status status = FTMPI_OK;

	if (ex->n_arrays == MAX_ARRAYS)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "more than %d arrays of one exchange", MAX_ARRAYS);
	FTMPI_TRY(ftmpi__copies_create(ex->comm, ex->n_elements, &ex->told_messages, &ex->arrays[ex->n_arrays]));
	*array = ex->arrays[ex->n_arrays++].mine;
done:
	return status;
}

/* After this all ranks of the node have read what they wanted of one another's buffers. */
static ftmpi_status finish_reading(ftmpi_exchange *ex)
{
	ftmpi_status status = FTMPI_OK;

	if (ex->are_read)
		FTMPI_TRY(ftmpi__copies_sync(&ex->buffers));
	ex->are_read = false;
done:
	return status;
}

static void restart(ftmpi_exchange *ex)
{
	ex->depth = 0;
	ex->next = ex->first;
}

ftmpi_status ftmpi_exchange_begin(ftmpi_exchange *ex)
{
	restart(ex);
	return finish_reading(ex);
}

float *ftmpi_exchange_leaf(ftmpi_exchange *ex)
{
	return buffer(ex, ex->depth);
}

void ftmpi_exchange_push(ftmpi_exchange *ex)
{
	int merges = ftmpi__tree_merges(ex->n_workers, ex->first, ex->next++);

	for (ex->depth++; merges > 0; merges--, ex->depth--)
		ftmpi__tree_add(buffer(ex, ex->depth - 2), buffer(ex, ex->depth - 2), buffer(ex, ex->depth - 1),
				ex->n_elements);
}

ftmpi_status ftmpi_exchange_reduce(ftmpi_exchange *ex, float **sum)
{
	ftmpi_status status = FTMPI_OK;

	if (ex->next != ex->end)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "reduction with %d of %d own workers pushed", ex->next - ex->first,
			   ex->end - ex->first);
	ex->are_read = true;
	FTMPI_TRY(ftmpi__pieces_sum(ex->pieces, buffer(ex, 0) + ex->starts[ex->comm->rank]));
	restart(ex);
	*sum = buffer(ex, 0);
done:
	return status;
}

/* Every near rank's slice, from where it is. */
static ftmpi_status copy_slices(ftmpi_exchange *ex, struct ftmpi__copies *array)
{
	ftmpi_status status = FTMPI_OK;
	const int me = ex->comm->rank, size = ex->comm->size;

	FTMPI_TRY(ftmpi__copies_sync(array));
	ex->are_read = false; /* whoever is here has reduced */
	for (int i = 1; i < size; i++) {
		const int from = (me + i) % size;

		memcpy(array->mine + ex->starts[from], array->of[from] + ex->starts[from],
		       (size_t)ex->counts[from] * sizeof(float));
	}
	FTMPI_TRY(ftmpi__copies_sync(array));
done:
	return status;
}

/* The array, if all ranks' copies of it can be read from here; else NULL. */
static struct ftmpi__copies *find_near(ftmpi_exchange *ex, const float *array)
{
	for (int i = 0; i < ex->n_arrays; i++)
		if (ex->arrays[i].mine == array && ex->arrays[i].all_near)
			return &ex->arrays[i];
	return NULL;
}

ftmpi_status ftmpi_exchange_gather(ftmpi_exchange *ex, float *array)
{
	ftmpi_status status = FTMPI_OK;
	struct ftmpi__copies *near_array = find_near(ex, array);

	if (near_array != NULL) {
		FTMPI_TRY(copy_slices(ex, near_array));
		goto done;
	}
	FTMPI_TRY_WAIT(ex->comm->watch, MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, array, ex->counts,
						       ex->starts, MPI_FLOAT, ex->comm->all));
	ex->are_read = false; /* every slice is here, so every owner has what it needed */
done:
	return status;
}

ftmpi_status ftmpi_exchange_offer(ftmpi_exchange *ex, float *array, const float **of)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_comm *comm = ex->comm;
	const bool is_chief = ftmpi_comm_is_chief(comm);
	struct ftmpi__copies *near_array = find_near(ex, array);

	if (near_array != NULL)
		FTMPI_TRY(ftmpi__copies_sync(near_array));
	else if (comm->size > 1)
		FTMPI_TRY_WAIT(comm->watch, MPI_Gatherv(is_chief ? MPI_IN_PLACE : array + ex->starts[comm->rank],
							ex->counts[comm->rank], MPI_FLOAT, array, ex->counts,
							ex->starts, MPI_FLOAT, FTMPI_CHIEF, comm->all));
	for (int rank = 0; rank < comm->size && is_chief; rank++)
		of[rank] = near_array != NULL ? near_array->of[rank] : array;
done:
	return status;
}

/* Counts and places of every rank's scalars, made again only when `n` changes. */
static void plan_scalars(ftmpi_exchange *ex, int n)
{
	for (int rank = 0; rank < ex->comm->size && n != ex->n_scalars; rank++) {
		ex->scalar_starts[rank] = first_worker(ex, rank) * n;
		ex->scalar_counts[rank] = first_worker(ex, rank + 1) * n - ex->scalar_starts[rank];
	}
	ex->n_scalars = n;
}

ftmpi_status ftmpi_exchange_scalars(ftmpi_exchange *ex, const double *mine, int n, double *sum)
{
	ftmpi_status status = FTMPI_OK;

	if (n < 1 || n > MAX_SCALARS)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%d scalars at once: it must be 1 to %d", n, MAX_SCALARS);
	plan_scalars(ex, n);
	memcpy(ex->scalars + ex->scalar_starts[ex->comm->rank], mine,
	       (size_t)ex->scalar_counts[ex->comm->rank] * sizeof *mine);
	FTMPI_TRY_WAIT(ex->comm->watch,
		       MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, ex->scalars, ex->scalar_counts,
				      ex->scalar_starts, MPI_DOUBLE, ex->comm->all));
	for (int i = 0; i < n; i++)
		sum[i] = ftmpi__tree_sum_scalars(ex->scalars + i, n, 0, ex->n_workers);
done:
	return status;
}
