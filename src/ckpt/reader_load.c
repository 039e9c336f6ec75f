/* SPDX-License-Identifier: Apache-2.0 */
/* Filling a registry from a checkpoint: all or nothing.
 *
 * 1  match: every entry is compared with the file: presence, type, shape
 * 2  copy buffers: memory for the growable ones is taken
 * 3  write: nothing can fail any more; arrays are copied, buffers are exchanged */
#include "ckpt/reader_load.h"

#include "ckpt/digests.h"

#include <stdio.h>
#include <string.h>

enum { SHAPE_TEXT = 160 };

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

bool ftmpi__about_run(const char *path)
{
	return strncmp(path, FTMPI__RUN "/", sizeof FTMPI__RUN) == 0;
}

static bool is_needed(const ftmpi_entry *entry, ftmpi__need need)
{
	return need == FTMPI__NEED_ALL || (need == FTMPI__NEED_STATE && !ftmpi__about_run(entry->path));
}

ftmpi_status ftmpi__match(const ftmpi_reader *reader, const ftmpi_registry *registry, ftmpi__need need,
			  const ftmpi__variable **found)
{
	ftmpi_status status = FTMPI_OK;
	const int n = ftmpi_registry_n_entries(registry);
	ftmpi_buffer report = {0};
	int n_wrong = 0;

	for (int i = 0; i < n; i++) {
		const ftmpi_entry *entry = ftmpi_registry_entry(registry, i);
		const size_t before = report.n_bytes;

		found[i] = ftmpi__reader_find(reader, entry->path);
		if (found[i] != NULL || is_needed(entry, need))
			FTMPI_TRY(compare_entry(entry, found[i] == NULL ? NULL : &found[i]->info, &report));
		if (report.n_bytes == before)
			continue;
		if (++n_wrong > FTMPI__MAX_NAMED)
			FTMPI_TRY(ftmpi_buffer_resize(&report, before));
	}
	if (n_wrong > FTMPI__MAX_NAMED)
		FTMPI_TRY(ftmpi_buffer_printf(&report, "; and %d more", n_wrong - FTMPI__MAX_NAMED));
	if (n_wrong > 0)
		FTMPI_FAIL(FTMPI_ERR_DATA, "checkpoint '%s' does not fit this program: %d of %d entries differ%s",
			   ftmpi_reader_file(reader), n_wrong, n, report.data);
done:
	ftmpi_buffer_clear(&report);
	return status;
}

ftmpi_status ftmpi__match_copy_buffers(const ftmpi_registry *registry, const ftmpi__variable *const *found,
				       ftmpi_buffer *buffers)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < ftmpi_registry_n_entries(registry); i++)
		if (found[i] != NULL && ftmpi_registry_entry(registry, i)->buffer != NULL)
			FTMPI_TRY(ftmpi_buffer_append(&buffers[i], found[i]->data, found[i]->info.n_bytes));
done:
	return status;
}

void ftmpi__match_write(const ftmpi_registry *registry, const ftmpi__variable *const *found, ftmpi_buffer *buffers)
{
	for (int i = 0; i < ftmpi_registry_n_entries(registry); i++) {
		const ftmpi_entry *entry = ftmpi_registry_entry(registry, i);

		if (found[i] == NULL)
			continue;
		if (entry->buffer != NULL)
			ftmpi__swap_buffers(entry->buffer, &buffers[i]);
		else if (found[i]->info.n_bytes > 0)
			memcpy(entry->data, found[i]->data, found[i]->info.n_bytes);
	}
}

void ftmpi__swap_buffers(ftmpi_buffer *a, ftmpi_buffer *b)
{
	const ftmpi_buffer c = *a;

	*a = *b;
	*b = c;
}

void ftmpi__free_buffers(ftmpi_buffer *buffers, int n)
{
	for (int i = 0; buffers != NULL && i < n; i++)
		ftmpi_buffer_clear(&buffers[i]);
	ftmpi_free(buffers);
}

ftmpi_status ftmpi_reader_load(const ftmpi_reader *reader, const ftmpi_registry *registry)
{
	ftmpi_status status = FTMPI_OK;
	const int n = ftmpi_registry_n_entries(registry);
	const ftmpi__variable **found = NULL;
	ftmpi_buffer *buffers = NULL;

	FTMPI_TRY(FTMPI_ALLOC(n, &found));
	FTMPI_TRY(ftmpi__match(reader, registry, FTMPI__NEED_ALL, found));
	FTMPI_TRY(FTMPI_ALLOC(n, &buffers));
	FTMPI_TRY(ftmpi__match_copy_buffers(registry, found, buffers));
	ftmpi__match_write(registry, found, buffers);
done:
	ftmpi__free_buffers(buffers, n);
	ftmpi_free(found);
	return status;
}
