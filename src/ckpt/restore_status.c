/* SPDX-License-Identifier: Apache-2.0 */
/* What a restore left out, on either side. The chief finds it, all ranks know it.
 *
 * What lies below ftmpi/run tells about the run and never counts: a checkpoint of another program, or a program that looks at a checkpoint, need
 * not have it. */
#include "ckpt/checkpoint_inside.h"

#include <ftmpi/log.h>

struct ftmpi_restore_status {
	bool warns; /* on the chief, until it was expected or asked for */
	ftmpi_buffer file;
	ftmpi_buffer missing,
		unused; /* paths of the program that the file lacks, and the reverse: "'a', 'b' and 3 more" */
	int64_t n_missing, n_unused;
};

ftmpi_status ftmpi__restore_status_create(ftmpi_restore_status **out)
{
	return FTMPI_ALLOC(1, out);
}

static void destroy(ftmpi_restore_status **restored)
{
	ftmpi_buffer_clear(&(*restored)->file);
	ftmpi_buffer_clear(&(*restored)->missing);
	ftmpi_buffer_clear(&(*restored)->unused);
	ftmpi_free(*restored);
	*restored = NULL;
}

/* One more path of a list. */
static ftmpi_status add_path(ftmpi_buffer *list, int64_t *n, const char *path)
{
	++*n;
	if (*n > FTMPI__MAX_NAMED)
		return FTMPI_OK;
	return ftmpi_buffer_printf(list, "%s'%s'", *n > 1 ? ", " : "", path);
}

static ftmpi_status end_list(ftmpi_buffer *list, int64_t n)
{
	if (n <= FTMPI__MAX_NAMED)
		return FTMPI_OK;
	return ftmpi_buffer_printf(list, " and %lld more", (long long)(n - FTMPI__MAX_NAMED));
}

ftmpi_status ftmpi__restore_status_fill(ftmpi_restore_status *r, const ftmpi_reader *reader,
					const ftmpi_registry *registry)
{
	ftmpi_status status = FTMPI_OK;

	r->warns = true;
	FTMPI_TRY(ftmpi_buffer_printf(&r->file, "%s", ftmpi_reader_file(reader)));
	for (int i = 0; i < ftmpi_registry_n_entries(registry); i++) {
		const char *path = ftmpi_registry_entry(registry, i)->path;

		if (!ftmpi__about_run(path) && ftmpi_reader_find(reader, path) == NULL)
			FTMPI_TRY(add_path(&r->missing, &r->n_missing, path));
	}
	FTMPI_TRY(end_list(&r->missing, r->n_missing));
	for (int i = 0; i < ftmpi_reader_n_variables(reader); i++) {
		const char *path = ftmpi_reader_variable(reader, i)->path;

		if (!ftmpi__about_run(path) && ftmpi_registry_find(registry, path) == NULL)
			FTMPI_TRY(add_path(&r->unused, &r->n_unused, path));
	}
	FTMPI_TRY(end_list(&r->unused, r->n_unused));
done:
	return status;
}

ftmpi_status ftmpi__restore_status_share(ftmpi_restore_status *r, const ftmpi_comm *comm)
{
	ftmpi_status status = FTMPI_OK;
	int64_t counts[] = {r->n_missing, r->n_unused};

	FTMPI_TRY(ftmpi_broadcast(comm, counts, (int64_t)sizeof counts, FTMPI_CHIEF));
	FTMPI_TRY(ftmpi_broadcast_buffer(comm, &r->file, FTMPI_CHIEF));
	FTMPI_TRY(ftmpi_broadcast_buffer(comm, &r->missing, FTMPI_CHIEF));
	FTMPI_TRY(ftmpi_broadcast_buffer(comm, &r->unused, FTMPI_CHIEF));
	r->n_missing = counts[0];
	r->n_unused = counts[1];
done:
	return status;
}

/* Append what was not matched to a sentence. */
static ftmpi_status describe(const ftmpi_restore_status *r, bool with_unused, ftmpi_buffer *text)
{
	ftmpi_status status = FTMPI_OK;

	if (r->n_missing > 0)
		FTMPI_TRY(ftmpi_buffer_printf(text, "; in the program and not in the file (%lld): %s",
					      (long long)r->n_missing, r->missing.data));
	if (with_unused && r->n_unused > 0)
		FTMPI_TRY(ftmpi_buffer_printf(text, "; in the file and not in the program (%lld): %s",
					      (long long)r->n_unused, r->unused.data));
done:
	return status;
}

static ftmpi_status check(ftmpi_restore_status *r, bool with_unused)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer text = {0};

	r->warns = false;
	FTMPI_TRY(describe(r, with_unused, &text));
	if (text.n_bytes > 0)
		FTMPI_FAIL(FTMPI_ERR_DATA, "checkpoint '%s' does not fit this program%s", r->file.data, text.data);
done:
	ftmpi_buffer_clear(&text);
	return status;
}

ftmpi_status ftmpi_restore_assert_consumed(ftmpi_restore_status *restored)
{
	return check(restored, true);
}

ftmpi_status ftmpi_restore_assert_existing_objects_matched(ftmpi_restore_status *restored)
{
	return check(restored, false);
}

void ftmpi_restore_expect_partial(ftmpi_restore_status *restored)
{
	restored->warns = false;
}

void ftmpi_restore_status_destroy(ftmpi_restore_status **restored)
{
	ftmpi_restore_status *r = *restored;
	ftmpi_buffer text = {0};

	if (r == NULL)
		return;
	if (r->warns && describe(r, true, &text) == FTMPI_OK && text.n_bytes > 0)
		ftmpi_log(FTMPI_LOG_WARNING, "checkpoint '%s' was restored in part%s", r->file.data, text.data);
	ftmpi_buffer_clear(&text);
	destroy(restored);
}
