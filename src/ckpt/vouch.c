/* SPDX-License-Identifier: Apache-2.0 */
/* What was read back from the disk, against the digests that are in it; and the digest of the whole.
 *
 * Both are taken of one piece after the other while it is in the processor's cache, so they cost no pass over the memory. After it the file's digest says
 * as much as the arrays' digests together: who finds the file to have it need not look at the arrays. */
#include "ckpt/vouch.h"

ftmpi_status ftmpi__vouch_begin(ftmpi__vouch *v, const ftmpi__snapshot *snapshot, size_t n_bytes)
{
	*v = (ftmpi__vouch){.snapshot = snapshot, .head_bytes = n_bytes - snapshot->data_bytes, .n_bytes = n_bytes};
	return ftmpi_hasher_create(&v->file);
}

void ftmpi__vouch_clear(ftmpi__vouch *v)
{
	ftmpi_hasher_destroy(&v->file);
	ftmpi_hasher_destroy(&v->array);
}

/* @param bytes digest of the bytes of array `next`, which has ended. */
static ftmpi_status check_array(ftmpi__vouch *v, ftmpi_digest bytes)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi__array array = ftmpi__snapshot_array(v->snapshot, v->next);

	if (!ftmpi_digest_equal(ftmpi__array_digest_of(&array, bytes), v->snapshot->rows[v->next].digest))
		FTMPI_FAIL(FTMPI_ERR_INTERNAL,
			   "the file does not verify (faulty memory, or arrays that changed meanwhile): '%s' does not "
			   "match its digest",
			   array.path);
	ftmpi_hasher_destroy(&v->array);
	v->next++;
done:
	return status;
}

/* The part of array `next` that is in the piece. Sets *ended when the array ends in it. */
static ftmpi_status take_part(ftmpi__vouch *v, const uint8_t *piece, size_t at, size_t n_bytes, bool *ended)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi__staged *array = &v->snapshot->arrays[v->next];
	const size_t begin = v->head_bytes + array->at, end = begin + array->n_bytes;
	const size_t from = begin > at ? begin - at : 0;

	*ended = end <= at + n_bytes;
	if (*ended && begin >= at) {
		FTMPI_TRY(check_array(v, ftmpi_hash(piece + from, array->n_bytes)));
		goto done;
	}
	if (begin >= at + n_bytes)
		goto done;
	if (v->array == NULL)
		FTMPI_TRY(ftmpi_hasher_create(&v->array));
	ftmpi_hasher_update(v->array, piece + from, (*ended ? end - at : n_bytes) - from);
	if (*ended)
		FTMPI_TRY(check_array(v, ftmpi_hasher_digest(v->array)));
done:
	return status;
}

ftmpi_status ftmpi__vouch_take(void *context, uint8_t *piece, size_t at, size_t n_bytes)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__vouch *v = context;
	bool ended = true;

	ftmpi_hasher_update(v->file, piece, n_bytes);
	while (ended && v->next < v->snapshot->n)
		FTMPI_TRY(take_part(v, piece, at, n_bytes, &ended));
	if (at + n_bytes == v->n_bytes)
		v->digest = ftmpi_hasher_digest(v->file);
done:
	return status;
}
