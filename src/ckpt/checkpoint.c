/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and restoring over all ranks.
 *
 * Restore:  1  the chief loads its registry from the reader; agree
 *           2  all ranks have the same entries
 *           3  the chief sends the lengths of the growable buffers and the digests of the file; buffers are made as long; agree
 *           4  each array is broadcast
 *           5  each rank hashes what it has now and compares it with the file's digests; agree
 * The chief too hashes its arrays: what it sent must be what the file holds. */
#include <ftmpi/checkpoint.h>

#include "ckpt/digests.h"

#include <ftmpi/failpoint.h>
#include <string.h>

ftmpi_status ftmpi_checkpoint_save(const ftmpi_comm *comm, ftmpi_store *store, const ftmpi_registry *registry,
				   int64_t number, char *file)
{
	ftmpi_status status = FTMPI_OK;

	if (ftmpi_comm_is_chief(comm))
		status = ftmpi_store_save(store, registry, number, file);
	return ftmpi_agree(comm, status);
}

/* One row of what the chief tells about each entry. */
struct notice {
	int64_t n_bytes;
	ftmpi_digest digest;
};

/* Digest of the entries' names, types, kinds and shapes, without their contents. */
static ftmpi_status describe(const ftmpi_registry *registry, ftmpi_digest *out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_hasher *hasher = NULL;

	FTMPI_TRY(ftmpi_hasher_create(&hasher));
	for (int i = 0; i < ftmpi_registry_n_entries(registry); i++) {
		const ftmpi_entry *entry = ftmpi_registry_entry(registry, i);
		int64_t facts[4 + FTMPI_MAX_DIMS] = {entry->dtype, entry->kind, entry->n_dims, entry->buffer != NULL};

		memcpy(facts + 4, entry->dims, sizeof entry->dims);
		ftmpi_hasher_update(hasher, entry->path, strlen(entry->path) + 1);
		ftmpi_hasher_update(hasher, facts, sizeof facts);
	}
	*out = ftmpi_hasher_digest(hasher);
done:
	ftmpi_hasher_destroy(&hasher);
	return status;
}

static ftmpi_status compare_registries(const ftmpi_comm *comm, const ftmpi_registry *registry)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_digest digest = {0};

	FTMPI_TRY(ftmpi_agree(comm, describe(registry, &digest)));
	FTMPI_TRY(ftmpi_comm_compare(comm, digest, "list of checkpoint entries"));
done:
	return status;
}

/* The chief's arrays, and what it will tell about them. */
static ftmpi_status load(const ftmpi_reader *reader, const ftmpi_registry *registry, struct notice *notices)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi_reader_load(reader, registry));
	for (int i = 0; i < ftmpi_registry_n_entries(registry); i++) {
		const ftmpi_variable *variable = ftmpi_reader_find(reader, ftmpi_registry_entry(registry, i)->path);

		notices[i] = (struct notice){.n_bytes = (int64_t)variable->n_bytes, .digest = variable->digest};
	}
done:
	return status;
}

static ftmpi_status resize_buffers(const ftmpi_registry *registry, const struct notice *notices)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < ftmpi_registry_n_entries(registry); i++) {
		const ftmpi_entry *entry = ftmpi_registry_entry(registry, i);

		if (entry->buffer != NULL)
			FTMPI_TRY(ftmpi_buffer_resize(entry->buffer, (size_t)notices[i].n_bytes));
	}
done:
	return status;
}

/* The entry's memory, to be written. */
static char *bytes_of(const ftmpi_entry *entry)
{
	return entry->buffer != NULL ? entry->buffer->data : entry->data;
}

static ftmpi_status broadcast_all(const ftmpi_comm *comm, const ftmpi_registry *registry)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < ftmpi_registry_n_entries(registry); i++) {
		const ftmpi_entry *entry = ftmpi_registry_entry(registry, i);
		const size_t n_bytes = ftmpi_entry_bytes(entry);

		if (n_bytes == 0)
			continue;
		FTMPI_TRY(ftmpi_broadcast(comm, bytes_of(entry), (int64_t)n_bytes, FTMPI_CHIEF));
		if (ftmpi_failpoint_hit(FTMPI_FP_RESTORE_RECEIVED) == FTMPI_FAULT_CORRUPT)
			bytes_of(entry)[n_bytes / 2] ^= 1;
	}
done:
	return status;
}

/* What this rank has now against the file's digests. */
static ftmpi_status check_received(const ftmpi_comm *comm, const ftmpi_registry *registry, const struct notice *notices)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < ftmpi_registry_n_entries(registry); i++) {
		const ftmpi_entry *entry = ftmpi_registry_entry(registry, i);

		if (!ftmpi_digest_equal(ftmpi_entry_digest(entry), notices[i].digest))
			FTMPI_FAIL(FTMPI_ERR_DATA,
				   "rank %d received '%s' with other bits than the checkpoint has: its memory or the "
				   "network "
				   "is faulty",
				   ftmpi_comm_rank(comm), entry->path);
	}
done:
	return status;
}

ftmpi_status ftmpi_checkpoint_restore(const ftmpi_comm *comm, const ftmpi_reader *reader,
				      const ftmpi_registry *registry)
{
	ftmpi_status status = FTMPI_OK;
	const int n = ftmpi_registry_n_entries(registry);
	struct notice *notices = NULL;

	(void)ftmpi_failpoint_hit(FTMPI_FP_RESTORE_BEGIN);
	FTMPI_TRY(compare_registries(comm, registry));
	status = FTMPI_ALLOC(n, &notices);
	if (status == FTMPI_OK && ftmpi_comm_is_chief(comm))
		status = load(reader, registry, notices);
	FTMPI_TRY(ftmpi_agree(comm, status));
	(void)ftmpi_failpoint_hit(FTMPI_FP_RESTORE_BEFORE_BROADCAST);
	FTMPI_TRY(ftmpi_broadcast(comm, notices, n * (int64_t)sizeof *notices, FTMPI_CHIEF));
	FTMPI_TRY(ftmpi_agree(comm, resize_buffers(registry, notices)));
	FTMPI_TRY(broadcast_all(comm, registry));
	FTMPI_TRY(ftmpi_agree(comm, check_received(comm, registry, notices)));
	(void)ftmpi_failpoint_hit(FTMPI_FP_RESTORE_END);
done:
	ftmpi_free(notices);
	return status;
}
