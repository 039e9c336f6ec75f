/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of arrays, of the state, and of a file's table of digests.
 *
 * Everything that is hashed beside an array's own bytes is written in one byte order (numbers as 64-bit little-endian, digests in
 * xxHash's canonical order), so that a digest means the same on every machine. An array's digest takes its bytes through their own digest first: both
 * hashes are then one-shot and need no memory. */
#include "ckpt/digests.h"

#include <stdio.h>
#include <string.h>

/* Header of an array: path, type, number of dimensions, dimensions, digest of the bytes. */
enum { DIGEST_BYTES = 16, HEADER_BYTES = FTMPI__ENTRY_PATH_MAX + 32 + 8 + 8 * FTMPI_MAX_DIMS + DIGEST_BYTES };

static unsigned char *put_number(unsigned char *at, uint64_t number)
{
	for (int i = 0; i < 8; i++)
		*at++ = (unsigned char)(number >> (8 * i));
	return at;
}

static unsigned char *put_digest(unsigned char *at, ftmpi_digest digest)
{
	for (int i = 0; i < 8; i++)
		*at++ = (unsigned char)(digest.high >> (56 - 8 * i));
	for (int i = 0; i < 8; i++)
		*at++ = (unsigned char)(digest.low >> (56 - 8 * i));
	return at;
}

static unsigned char *put_text(unsigned char *at, const char *text, size_t max_bytes)
{
	const size_t n_bytes = strnlen(text, max_bytes - 1);

	memcpy(at, text, n_bytes);
	at[n_bytes] = '\0';
	return at + n_bytes + 1;
}

ftmpi_digest ftmpi__array_digest(const ftmpi__array *array)
{
	return ftmpi__array_digest_of(array, ftmpi_hash(array->data, array->n_bytes));
}

ftmpi_digest ftmpi__array_digest_of(const ftmpi__array *array, ftmpi_digest bytes)
{
	unsigned char header[HEADER_BYTES], *at = header;

	at = put_text(at, array->path, FTMPI__ENTRY_PATH_MAX);
	at = put_text(at, ftmpi_dtype_name(array->dtype), 32);
	at = put_number(at, (uint64_t)array->n_dims);
	for (int i = 0; i < array->n_dims; i++)
		at = put_number(at, (uint64_t)array->dims[i]);
	at = put_digest(at, bytes);
	return ftmpi_hash(header, (size_t)(at - header));
}

ftmpi_status ftmpi__state_digest(const ftmpi__digest_row *rows, int n_rows, ftmpi_digest *out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_hasher *hasher = NULL;

	FTMPI_TRY(ftmpi_hasher_create(&hasher));
	for (int i = 0; i < n_rows; i++) {
		unsigned char bytes[DIGEST_BYTES];

		if (rows[i].kind != FTMPI_STATE)
			continue;
		(void)put_digest(bytes, rows[i].digest);
		ftmpi_hasher_update(hasher, bytes, sizeof bytes);
	}
	*out = ftmpi_hasher_digest(hasher);
done:
	ftmpi_hasher_destroy(&hasher);
	return status;
}

ftmpi_status ftmpi__table_digest(const ftmpi__digest_row *rows, int n_rows, ftmpi_digest *out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_hasher *hasher = NULL;

	FTMPI_TRY(ftmpi_hasher_create(&hasher));
	for (int i = 0; i < n_rows; i++) {
		unsigned char bytes[DIGEST_BYTES + 8];

		(void)put_number(put_digest(bytes, rows[i].digest), (uint64_t)rows[i].kind);
		ftmpi_hasher_update(hasher, rows[i].path, strlen(rows[i].path) + 1);
		ftmpi_hasher_update(hasher, bytes, sizeof bytes);
	}
	*out = ftmpi_hasher_digest(hasher);
done:
	ftmpi_hasher_destroy(&hasher);
	return status;
}

ftmpi_status ftmpi__part_check(const char *path, const ftmpi_part *part, const void *bytes)
{
	ftmpi_status status = FTMPI_OK;

	if (part->vouched && !ftmpi_digest_equal(ftmpi_hash(bytes, part->n_bytes), part->digest))
		FTMPI_FAIL(FTMPI_ERR_REPLICA,
			   "'%s': the chief has other bits than rank %d gave it: the memory of one of them, or the "
			   "network, is faulty; relaunch to go on from the last checkpoint",
			   path, part->owner);
done:
	return status;
}

ftmpi_status ftmpi__parts_check(const ftmpi_registry *registry)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < ftmpi_registry_n_entries(registry); i++) {
		const ftmpi_entry *entry = ftmpi__registry_sorted(registry, i);

		for (int k = 0; k < entry->n_parts; k++)
			FTMPI_TRY(ftmpi__part_check(entry->path, &entry->parts[k], entry->parts[k].data));
	}
done:
	return status;
}

const char *ftmpi__shape_format(ftmpi_dtype dtype, int n_dims, const int64_t *dims, char *text, size_t text_bytes)
{
	size_t used = (size_t)snprintf(text, text_bytes, "%s", ftmpi_dtype_name(dtype));

	for (int i = 0; i < n_dims && used < text_bytes; i++)
		used += (size_t)snprintf(text + used, text_bytes - used, "%s%lld%s", i == 0 ? "[" : ", ",
					 (long long)dims[i], i == n_dims - 1 ? "]" : "");
	return text;
}
