/* SPDX-License-Identifier: Apache-2.0 */
/* Filling a registry from a checkpoint: all or nothing.
 *
 * 1  every entry is compared with the file: presence, type, shape
 * 2  memory for the growable buffers is taken
 * 3  nothing can fail any more: arrays are copied, buffers are exchanged */
#include "ckpt/reader_inside.h"

#include "ckpt/digests.h"

#include <stdio.h>
#include <string.h>

enum { MAX_NAMED = 10, SHAPE_TEXT = 160 };

/* What does not fit an entry, appended to `report`; nothing when it fits. */
static ftmpi_status compare_entry(const ftmpi_entry *entry, const ftmpi_variable *variable, ftmpi_buffer *report)
{
	ftmpi_status status = FTMPI_OK;
	char here[SHAPE_TEXT], there[SHAPE_TEXT];
	const bool any_length = entry->buffer != NULL;

	if (variable == NULL) {
		FTMPI_TRY(ftmpi_buffer_printf(report, "; '%s' is not in the file", entry->path));
		goto done;
	}
	if (variable->dtype == entry->dtype && variable->n_dims == entry->n_dims &&
	    (any_length || memcmp(variable->dims, entry->dims, (size_t)entry->n_dims * sizeof entry->dims[0]) == 0))
		goto done;
	ftmpi__shape_format(variable->dtype, variable->n_dims, variable->dims, there, sizeof there);
	ftmpi__shape_format(entry->dtype, entry->n_dims, entry->dims, here, sizeof here);
	FTMPI_TRY(ftmpi_buffer_printf(report, "; '%s' is %s in the file and %s%s here", entry->path, there,
				      any_length ? "any length of " : "",
				      any_length ? ftmpi_dtype_name(entry->dtype) : here));
done:
	return status;
}

static ftmpi_status compare_all(const ftmpi_reader *reader, const ftmpi_registry *registry)
{
	ftmpi_status status = FTMPI_OK;
	const int n = ftmpi_registry_n_entries(registry);
	ftmpi_buffer report = {0};
	int n_wrong = 0;

	for (int i = 0; i < n; i++) {
		const ftmpi_entry *entry = ftmpi_registry_entry(registry, i);
		const size_t before = report.n_bytes;

		FTMPI_TRY(compare_entry(entry, ftmpi_reader_find(reader, entry->path), &report));
		if (report.n_bytes == before)
			continue;
		if (++n_wrong > MAX_NAMED)
			FTMPI_TRY(ftmpi_buffer_resize(&report, before));
	}
	if (n_wrong > MAX_NAMED)
		FTMPI_TRY(ftmpi_buffer_printf(&report, "; and %d more", n_wrong - MAX_NAMED));
	if (n_wrong > 0)
		FTMPI_FAIL(FTMPI_ERR_DATA, "checkpoint '%s' does not fit this program: %d of %d entries differ%s",
			   ftmpi_reader_file(reader), n_wrong, n, report.data);
done:
	ftmpi_buffer_clear(&report);
	return status;
}

/* Copies of the growable variables, one for each entry; those of arrays stay empty. */
static ftmpi_status read_buffers(const ftmpi_reader *reader, const ftmpi_registry *registry, ftmpi_buffer *buffers)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < ftmpi_registry_n_entries(registry); i++) {
		const ftmpi_entry *entry = ftmpi_registry_entry(registry, i);

		if (entry->buffer != NULL)
			FTMPI_TRY(ftmpi_reader_read_buffer(reader, entry->path, &buffers[i]));
	}
done:
	return status;
}

static void write_entry(const ftmpi_reader *reader, const ftmpi_entry *entry, ftmpi_buffer *copy)
{
	const ftmpi__variable *variable = ftmpi__reader_find(reader, entry->path);
	const ftmpi_buffer old = entry->buffer != NULL ? *entry->buffer : (ftmpi_buffer){0};

	if (entry->buffer != NULL) {
		*entry->buffer = *copy;
		*copy = old;
	} else if (variable->info.n_bytes > 0) {
		memcpy(entry->data, variable->data, variable->info.n_bytes);
	}
}

ftmpi_status ftmpi_reader_load(const ftmpi_reader *reader, const ftmpi_registry *registry)
{
	ftmpi_status status = FTMPI_OK;
	const int n = ftmpi_registry_n_entries(registry);
	ftmpi_buffer *buffers = NULL;

	FTMPI_TRY(compare_all(reader, registry));
	FTMPI_TRY(FTMPI_ALLOC(n, &buffers));
	FTMPI_TRY(read_buffers(reader, registry, buffers));
	for (int i = 0; i < n; i++)
		write_entry(reader, ftmpi_registry_entry(registry, i), &buffers[i]);
done:
	for (int i = 0; buffers != NULL && i < n; i++)
		ftmpi_buffer_clear(&buffers[i]);
	ftmpi_free(buffers);
	return status;
}
