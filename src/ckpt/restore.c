/* SPDX-License-Identifier: Apache-2.0 */
/* Restoring over all ranks, in two phases.
 *
 * Prepare:  1  all ranks ask for the same: the same entries, in the same order
 *           2  the chief compares the file with the registry and copies the growable arrays; agree
 *           3  the chief tells which entries come, their lengths and digests; the others take memory for the growable ones; agree
 * Write:    4  the chief's arrays are filled, and each is broadcast but for the chief's own
 *           5  each rank hashes what it has now and compares it with the file's digests; agree
 *           6  the trackables' own checks; agree
 * Up to 3 nothing that is tracked changes. The chief too hashes its arrays: what it sent must be what the file holds. */
#include "ckpt/checkpoint_inside.h"

#include <ftmpi/failpoint.h>
#include <ftmpi/manager.h>
#include <ftmpi/watchdog.h>
#include <string.h>

/* What the chief tells about each entry. */
struct notice {
	int64_t n_bytes; /* −1: it stays as it is */
	ftmpi_digest digest;
};

/* One restore. The arrays have one element for each entry. */
struct restore {
	const ftmpi_comm *comm;
	const ftmpi_registry *registry;
	int n;
	struct notice *notices;
	ftmpi_buffer *buffers;          /* new contents of the growable entries */
	const ftmpi__variable **found;  /* chief only */
	ftmpi_restore_status *restored; /* NULL: everything must be matched */
};

/* Digest of what is asked for: the entries' names, types, kinds and shapes, without their contents; and how they are restored. */
static ftmpi_status describe(const ftmpi_registry *registry, bool with_counter, bool partial, ftmpi_digest *out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_hasher *hasher = NULL;
	const int64_t how[] = {with_counter, partial};

	FTMPI_TRY(ftmpi_hasher_create(&hasher));
	ftmpi_hasher_update(hasher, how, sizeof how);
	for (int i = 0; i < ftmpi_registry_n_entries(registry); i++) {
		const ftmpi_entry *entry = ftmpi_registry_entry(registry, i);
		int64_t facts[5 + FTMPI_MAX_DIMS] = {entry->dtype, entry->kind, entry->n_dims, entry->buffer != NULL,
						     entry->chief_only};

		memcpy(facts + 5, entry->dims, sizeof entry->dims);
		ftmpi_hasher_update(hasher, entry->path, strlen(entry->path) + 1);
		ftmpi_hasher_update(hasher, facts, sizeof facts);
	}
	*out = ftmpi_hasher_digest(hasher);
done:
	ftmpi_hasher_destroy(&hasher);
	return status;
}

static ftmpi_status compare_ranks(const struct restore *r, bool with_counter, bool partial)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_digest digest = {0};

	FTMPI_TRY(ftmpi_agree(r->comm, describe(r->registry, with_counter, partial, &digest)));
	FTMPI_TRY(ftmpi_comm_compare(r->comm, digest, "list of checkpoint entries"));
done:
	return status;
}

static void clear(struct restore *r)
{
	if (r->restored != NULL) /* the restore failed, which is told otherwise */
		ftmpi_restore_expect_partial(r->restored);
	ftmpi_restore_status_destroy(&r->restored);
	ftmpi__free_buffers(r->buffers, r->n);
	ftmpi_free(r->notices);
	ftmpi_free(r->found);
}

static ftmpi_status allocate(struct restore *r, bool partial)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(FTMPI_ALLOC(r->n, &r->notices));
	FTMPI_TRY(FTMPI_ALLOC(r->n, &r->buffers));
	FTMPI_TRY(FTMPI_ALLOC(r->n, &r->found));
	if (partial)
		FTMPI_TRY(ftmpi__restore_status_create(&r->restored));
done:
	return status;
}

/* A counter that no program wrote would give files without a name. */
static ftmpi_status check_counter(const ftmpi_reader *reader, const ftmpi__variable *variable)
{
	ftmpi_status status = FTMPI_OK;
	int64_t counter = 0;

	if (variable != NULL)
		memcpy(&counter, variable->data, sizeof counter);
	if (counter < 0)
		FTMPI_FAIL(FTMPI_ERR_DATA, "checkpoint '%s': '%s' is %lld", ftmpi_reader_file(reader),
			   FTMPI__SAVE_COUNTER, (long long)counter);
done:
	return status;
}

/* On the chief: what the file has for which entry, and what to tell about it. */
static ftmpi_status plan(struct restore *r, const ftmpi_reader *reader, const int64_t *counter, bool with_counter)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi__match(reader, r->registry, r->restored != NULL ? FTMPI__NEED_NONE : FTMPI__NEED_STATE,
			       r->found));
	if (r->restored != NULL)
		FTMPI_TRY(ftmpi__restore_status_fill(r->restored, reader, r->registry));
	for (int i = 0; i < r->n; i++) {
		if (ftmpi_registry_entry(r->registry, i)->data == counter) {
			FTMPI_TRY(check_counter(reader, r->found[i]));
			if (!with_counter)
				r->found[i] = NULL;
		}
		r->notices[i].n_bytes = -1;
		if (r->found[i] != NULL)
			r->notices[i] = (struct notice){.n_bytes = (int64_t)r->found[i]->info.n_bytes,
							.digest = r->found[i]->info.digest};
	}
	FTMPI_TRY(ftmpi__match_copy_buffers(r->registry, r->found, r->buffers));
done:
	return status;
}

/* Whether this rank's array is restored. */
static bool is_wanted(const struct restore *r, int i)
{
	return r->notices[i].n_bytes >= 0 &&
	       (ftmpi_comm_is_chief(r->comm) || !ftmpi_registry_entry(r->registry, i)->chief_only);
}

static ftmpi_status make_room(const struct restore *r)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < r->n; i++)
		if (is_wanted(r, i) && ftmpi_registry_entry(r->registry, i)->buffer != NULL)
			FTMPI_TRY(ftmpi_buffer_resize(&r->buffers[i], (size_t)r->notices[i].n_bytes));
done:
	return status;
}

static ftmpi_status prepare(struct restore *r)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi_broadcast(r->comm, r->notices, r->n * (int64_t)sizeof *r->notices, FTMPI_CHIEF));
	if (r->restored != NULL)
		FTMPI_TRY(ftmpi__restore_status_share(r->restored, r->comm));
	FTMPI_TRY(ftmpi_agree(r->comm, make_room(r)));
done:
	return status;
}

/* The entry's memory, to be written. */
static char *bytes_of(const ftmpi_entry *entry)
{
	return entry->buffer != NULL ? entry->buffer->data : entry->data;
}

/* The growable arrays get their lengths; on the chief everything gets its contents. */
static void fill(const struct restore *r)
{
	if (ftmpi_comm_is_chief(r->comm)) {
		ftmpi__match_write(r->registry, r->found, r->buffers);
		return;
	}
	for (int i = 0; i < r->n; i++) {
		const ftmpi_entry *entry = ftmpi_registry_entry(r->registry, i);

		if (is_wanted(r, i) && entry->buffer != NULL)
			ftmpi__swap_buffers(entry->buffer, &r->buffers[i]);
	}
}

static ftmpi_status broadcast_all(const struct restore *r)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < r->n; i++) {
		const ftmpi_entry *entry = ftmpi_registry_entry(r->registry, i);
		const int64_t n_bytes = r->notices[i].n_bytes;

		if (n_bytes <= 0 || !is_wanted(r, i))
			continue;
		if (!entry->chief_only)
			FTMPI_TRY(ftmpi_broadcast(r->comm, bytes_of(entry), n_bytes, FTMPI_CHIEF));
		if (ftmpi_failpoint_hit(FTMPI_FP_RESTORE_RECEIVED) == FTMPI_FAULT_CORRUPT)
			bytes_of(entry)[n_bytes / 2] ^= 1;
	}
done:
	return status;
}

/* What this rank has now against the file's digests. */
static ftmpi_status check_received(const struct restore *r)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < r->n; i++) {
		const ftmpi_entry *entry = ftmpi_registry_entry(r->registry, i);

		if (is_wanted(r, i) && !ftmpi_digest_equal(ftmpi_entry_digest(entry), r->notices[i].digest))
			FTMPI_FAIL(FTMPI_ERR_DATA,
				   "rank %d received '%s' with other bits than the checkpoint has: its memory or the "
				   "network is faulty",
				   ftmpi_comm_rank(r->comm), entry->path);
	}
done:
	return status;
}

static ftmpi_status after_restore(const ftmpi_checkpoint *c)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < ftmpi__checkpoint_n_trackables(c); i++) {
		const ftmpi_trackable *trackable = ftmpi__checkpoint_trackable(c, i);

		if (trackable->after_restore != NULL)
			FTMPI_TRY(ftmpi_agree(c->comm, trackable->after_restore(trackable->context)));
	}
done:
	return status;
}

ftmpi_status ftmpi__checkpoint_restore(ftmpi_checkpoint *c, const ftmpi_reader *reader, bool with_counter,
				       ftmpi_restore_status **out)
{
	ftmpi_status status = FTMPI_OK;
	struct restore r = {.comm = c->comm, .registry = c->registry, .n = ftmpi_registry_n_entries(c->registry)};
	const ftmpi_mark before = ftmpi_watch_begin(c->comm, FTMPI_PHASE_RESTORE, NULL);

	(void)ftmpi_failpoint_hit(FTMPI_FP_RESTORE_BEGIN);
	FTMPI_TRY(compare_ranks(&r, with_counter, out != NULL));
	status = allocate(&r, out != NULL);
	if (status == FTMPI_OK && ftmpi_comm_is_chief(c->comm))
		status = plan(&r, reader, &c->save_counter, with_counter);
	FTMPI_TRY(ftmpi_agree(c->comm, status));
	(void)ftmpi_failpoint_hit(FTMPI_FP_RESTORE_BEFORE_BROADCAST);
	FTMPI_TRY(prepare(&r));
	fill(&r);
	FTMPI_TRY(broadcast_all(&r));
	FTMPI_TRY(ftmpi_agree(c->comm, check_received(&r)));
	FTMPI_TRY(after_restore(c));
	(void)ftmpi_failpoint_hit(FTMPI_FP_RESTORE_END);
	if (out != NULL) {
		*out = r.restored;
		r.restored = NULL;
	}
done:
	clear(&r);
	ftmpi_watch_end(c->comm, before);
	return status;
}

static ftmpi_status restore_path(ftmpi_checkpoint *c, const char *path, bool with_counter, ftmpi_restore_status **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_reader *reader = NULL;

	if (ftmpi_comm_is_chief(c->comm))
		status = ftmpi_load_checkpoint(path, &reader);
	FTMPI_TRY(ftmpi_agree(c->comm, status));
	FTMPI_TRY(ftmpi__checkpoint_restore(c, reader, with_counter, out));
done:
	ftmpi_reader_close(&reader);
	return status;
}

ftmpi_status ftmpi_checkpoint_restore(ftmpi_checkpoint *c, const char *path, ftmpi_restore_status **out)
{
	return restore_path(c, path, true, out);
}

ftmpi_status ftmpi_checkpoint_read(ftmpi_checkpoint *c, const char *path, ftmpi_restore_status **out)
{
	return restore_path(c, path, false, out);
}

ftmpi_status ftmpi_checkpoint_restore_reader(ftmpi_checkpoint *c, const ftmpi_reader *reader)
{
	return ftmpi__checkpoint_restore(c, reader, true, NULL);
}
