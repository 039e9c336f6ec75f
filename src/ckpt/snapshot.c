/* SPDX-License-Identifier: Apache-2.0 */
/* Copying a registry's arrays, once, to where the file wants them.
 *
 * What is copied here is the raw data of the file: the metadata go before it later, into room that is left for them, so a save needs the memory of its
 * image and no more. Training goes on with the arrays as soon as they are copied. */
#include "ckpt/snapshot.h"

#include <ftmpi/failpoint.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_BYTES = 4096 };

static ftmpi_status reserve_rows(ftmpi__snapshot *s, int n)
{
	ftmpi_status status = FTMPI_OK;

	if (n <= s->max_n)
		goto done;
	ftmpi_free(s->arrays);
	ftmpi_free(s->rows);
	s->arrays = NULL;
	s->rows = NULL;
	s->max_n = 0;
	FTMPI_TRY(FTMPI_ALLOC(n, &s->arrays));
	FTMPI_TRY(FTMPI_ALLOC(n, &s->rows));
	s->max_n = n;
done:
	return status;
}

/* Memory of at least so many bytes; what was in it is lost. */
static ftmpi_status reserve_memory(ftmpi__snapshot *s, size_t n_bytes)
{
	ftmpi_status status = FTMPI_OK;

	if (n_bytes <= s->capacity_bytes)
		goto done;
	free(s->memory);
	s->capacity_bytes = 0;
	s->memory = ftmpi__image_memory(n_bytes);
	if (s->memory == NULL)
		FTMPI_FAIL(FTMPI_ERR_MEMORY, "out of memory for the image of a checkpoint: %zu bytes", n_bytes);
	s->capacity_bytes = n_bytes;
done:
	return status;
}

/* Upper bound of the metadata, in whole pages: for each object its header, and its name in the group's. Too low a number costs time, nothing else. */
static size_t estimate_head(const ftmpi_registry *registry)
{
	const int n = ftmpi_registry_n_entries(registry);
	size_t n_bytes = (size_t)64 * 1024 + (size_t)ftmpi_registry_n_groups(registry) * 1024, longest = 0;

	for (int i = 0; i < n; i++) {
		const size_t length = strlen(ftmpi_registry_entry(registry, i)->path);

		n_bytes += 1024 + length;
		longest = length > longest ? length : longest;
	}
	return (n_bytes + (size_t)n * (longest + 64)) / PAGE_BYTES * PAGE_BYTES;
}

/* The shape of an entry as it is now. */
static ftmpi_status describe(const ftmpi_entry *entry, ftmpi__staged *out, ftmpi__digest_row *row)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi__array array = ftmpi__entry_array(entry, out->dims);

	if (array.n_bytes % ftmpi_dtype_bytes(array.dtype) != 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%s': %zu bytes are not a whole number of %s", array.path,
			   array.n_bytes, ftmpi_dtype_name(array.dtype));
	if (array.dtype == FTMPI_TEXT && array.n_bytes >= UINT32_MAX)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%s': a text of %zu bytes does not fit in an HDF5 string",
			   array.path, array.n_bytes);
	out->dtype = array.dtype;
	out->n_dims = array.n_dims;
	out->n_bytes = array.n_bytes;
	out->in_parts = entry->parts != NULL;
	row->path = array.path;
	row->kind = entry->kind;
done:
	return status;
}

/* Where everything goes: arrays, then the table's columns. */
static ftmpi_status lay_out(ftmpi__snapshot *s)
{
	ftmpi_status status = FTMPI_OK;
	size_t at = 0;

	s->path_width = 1;
	for (int i = 0; i < s->n; i++) {
		const ftmpi_entry *entry = ftmpi__registry_sorted(s->registry, i);

		FTMPI_TRY(ftmpi__registry_can_read(s->registry, entry));
		FTMPI_TRY(describe(entry, &s->arrays[i], &s->rows[i]));
		s->arrays[i].at = at;
		at += s->arrays[i].n_bytes + (s->arrays[i].dtype == FTMPI_TEXT);
		if (strlen(s->rows[i].path) >= s->path_width)
			s->path_width = strlen(s->rows[i].path) + 1;
	}
	s->paths_at = at;
	s->hashes_at = s->paths_at + (size_t)s->n * s->path_width;
	s->kinds_at = s->hashes_at + (size_t)s->n * (FTMPI_DIGEST_TEXT - 1);
	s->data_bytes = s->kinds_at + (size_t)s->n;
done:
	return status;
}

static void copy_parts(const ftmpi_entry *entry, uint8_t *to)
{
	for (int i = 0; i < entry->n_parts; i++) {
		const ftmpi_part *part = &entry->parts[i];

		if (part->n_bytes > 0)
			memcpy(to, part->data, part->n_bytes);
		to += part->n_bytes;
	}
}

static void copy_array(ftmpi__snapshot *s, int i, bool digests)
{
	const ftmpi_entry *entry = ftmpi__registry_sorted(s->registry, i);
	const ftmpi__staged *array = &s->arrays[i];
	uint8_t *to = ftmpi__snapshot_data(s) + array->at;

	if (array->in_parts) {
		copy_parts(entry, to);
		return;
	}
	if (digests)
		s->rows[i].digest = ftmpi_entry_digest(entry);
	if (array->n_bytes > 0)
		memcpy(to, ftmpi_entry_data(entry), array->n_bytes);
	if (array->dtype == FTMPI_TEXT)
		to[array->n_bytes] = 0;
}

/* What the copies of the parts must be. @param digests what nobody vouches for must be what it is here. */
static ftmpi_status note_parts(ftmpi__snapshot *s, int i, bool digests)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_entry *entry = ftmpi__registry_sorted(s->registry, i);
	ftmpi__staged_part staged = {.array = i, .at = s->arrays[i].at};

	for (int k = 0; k < entry->n_parts; k++) {
		staged.part = entry->parts[k];
		if (digests && !staged.part.vouched) {
			staged.part.digest = ftmpi_hash(staged.part.data, staged.part.n_bytes);
			staged.part.vouched = true;
		}
		staged.part.data = NULL;
		if (staged.part.vouched)
			FTMPI_TRY(ftmpi_buffer_append(&s->parts, &staged, sizeof staged));
		staged.at += staged.part.n_bytes;
	}
done:
	return status;
}

static int n_staged_parts(const ftmpi__snapshot *s)
{
	return (int)(s->parts.n_bytes / sizeof(ftmpi__staged_part));
}

static const ftmpi__staged_part *staged_part(const ftmpi__snapshot *s, int i)
{
	return (const ftmpi__staged_part *)(const void *)s->parts.data + i;
}

/* A bit of the last part. */
static void corrupt_on_purpose(const ftmpi__snapshot *s)
{
	const int n = n_staged_parts(s);

	if (n > 0 && ftmpi_failpoint_hit(FTMPI_FP_SAVE_SLOTS) == FTMPI_FAULT_CORRUPT)
		ftmpi__snapshot_data(s)[staged_part(s, n - 1)->at] ^= 1;
}

static ftmpi_status take_parts(ftmpi__snapshot *s, bool digests)
{
	ftmpi_status status = FTMPI_OK;

	s->parts.n_bytes = 0;
	FTMPI_TRY(ftmpi__registry_copied(s->registry));
	for (int i = 0; i < s->n; i++)
		if (s->arrays[i].in_parts)
			FTMPI_TRY(note_parts(s, i, digests));
	corrupt_on_purpose(s);
done:
	return status;
}

ftmpi_status ftmpi__snapshot_take(ftmpi__snapshot *s, const ftmpi_registry *registry, bool digests)
{
	ftmpi_status status = FTMPI_OK;

	s->registry = registry;
	s->has_digests = digests;
	s->n = ftmpi_registry_n_entries(registry);
	FTMPI_TRY(reserve_rows(s, s->n));
	FTMPI_TRY(lay_out(s));
	s->head_bytes = estimate_head(registry);
	FTMPI_TRY(reserve_memory(s, s->head_bytes + s->data_bytes));
	for (int i = 0; i < s->n; i++)
		copy_array(s, i, digests);
	FTMPI_TRY(take_parts(s, digests));
done:
	if (status != FTMPI_OK)
		s->n = 0;
	return status;
}

void ftmpi__snapshot_clear(ftmpi__snapshot *s)
{
	free(s->memory);
	ftmpi_free(s->arrays);
	ftmpi_free(s->rows);
	ftmpi_buffer_clear(&s->parts);
	*s = (ftmpi__snapshot){0};
}

ftmpi_status ftmpi__snapshot_check(const ftmpi__snapshot *s)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < n_staged_parts(s); i++) {
		const ftmpi__staged_part *staged = staged_part(s, i);

		FTMPI_TRY(ftmpi__part_check(s->rows[staged->array].path, &staged->part,
					    ftmpi__snapshot_data(s) + staged->at));
	}
done:
	return status;
}

uint8_t *ftmpi__snapshot_data(const ftmpi__snapshot *s)
{
	return s->memory + s->head_bytes;
}

ftmpi__array ftmpi__snapshot_array(const ftmpi__snapshot *s, int i)
{
	const ftmpi__staged *array = &s->arrays[i];

	return (ftmpi__array){.path = s->rows[i].path,
			      .dtype = array->dtype,
			      .n_dims = array->n_dims,
			      .dims = array->dims,
			      .data = ftmpi__snapshot_data(s) + array->at,
			      .n_bytes = array->n_bytes};
}

ftmpi_status ftmpi__snapshot_widen(ftmpi__snapshot *s, size_t head_bytes)
{
	ftmpi_status status = FTMPI_OK;
	uint8_t *memory;

	if (head_bytes <= s->head_bytes)
		goto done;
	memory = ftmpi__image_memory(head_bytes + s->data_bytes);
	if (memory == NULL)
		FTMPI_FAIL(FTMPI_ERR_MEMORY, "out of memory for the image of a checkpoint: %zu bytes",
			   head_bytes + s->data_bytes);
	memcpy(memory + head_bytes, ftmpi__snapshot_data(s), s->data_bytes);
	free(s->memory);
	s->memory = memory;
	s->capacity_bytes = head_bytes + s->data_bytes;
	s->head_bytes = head_bytes;
done:
	return status;
}
