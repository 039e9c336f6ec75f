/* SPDX-License-Identifier: Apache-2.0 */
/* Saving: a commit that no crash can break.
 *
 *  1  image: parts compared with what their owners vouch for; built in memory,
 *     then walked by the reader that restores use                                  a file that could not be restored is never written
 *  2  room on the file system
 *  3  temporary: write, fsync, read back, compare, digests of arrays and file      vouch.c
 *  4  if the state file may list this number already: state file without it        else a crash after 5 would condemn the new file by the old digest
 *  5  rename; fsync of the directory if one of this number, or none, was there     else a crash could leave the old file under the new digest, or an empty
 *                                                                                  directory with a list
 *  6  state file with the new one beside the old ones: temporary, fsync, rename    a crash may undo one rename without the other: the old ones are there
 *  7  fsync of the directory                                                       from here on the checkpoint is durable
 *  8  delete what retention drops
 *  9  state file without those
 *
 * Up to 5 an error leaves the directory as it was, but for the temporary, which is removed; from 5 on the new file is whole and stays. No old
 * checkpoint is touched before the new one is listed. HDF5 is used in 1 alone. All of it may be done by the store's writer (save.c): no MPI calls, and what
 * goes wrong is told by the status. */
#include "base/clock.h"
#include "ckpt/store_inside.h"
#include "ckpt/vouch.h"

#include <errno.h>
#include <ftmpi/log.h>
#include <stdio.h>
#include <string.h>

/* Room for the directory's growth, and for a second state file: what it says of one checkpoint. */
enum { SLACK_BYTES = 64 * 1024, ITEM_BYTES = 3 * FTMPI__NAME_MAX + 256 };

ftmpi_status ftmpi__check_save(const ftmpi_store *store, int64_t number)
{
	ftmpi_status status = FTMPI_OK;

	if (store->options.read_only)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "'%s' was opened to look only: it cannot be changed", store->path);
	if (store->lock_fd >= 0 && !ftmpi__lock_held(&store->directory, store->lock_fd))
		FTMPI_FAIL(FTMPI_ERR_BUSY,
			   "the lock file of '%s' was removed under this run, so another run may have it: nothing is "
			   "saved",
			   store->path);
	if (number < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint number %lld is negative", (long long)number);
done:
	return status;
}

/* Make the image, and see that its arrays can be found. @param out lies in the snapshot. */
static ftmpi_status build(ftmpi__snapshot *snapshot, const char *file, ftmpi__image *out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__image image = {0};
	ftmpi_reader *reader = NULL;

	if (ftmpi__fault(true, FTMPI_FP_SAVE_BEGIN))
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot begin: %s", strerror(errno));
	FTMPI_TRY(ftmpi__snapshot_check(snapshot));
	FTMPI_TRY(ftmpi__image_seal(snapshot, &image));
	status = ftmpi__reader_open_bytes(image.data, image.n_bytes, file, true, &reader); /* of the arrays: vouch.c */
	if (status == FTMPI_ERR_DATA)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "the image does not verify (faulty memory): %s", ftmpi_error_message());
	FTMPI_TRY(status);
	*out = image;
done:
	ftmpi_reader_close(&reader);
	return status;
}

/* The state file without the digest of the checkpoint that is about to be replaced, and without those of files that are gone: this may be one of them. */
static ftmpi_status unlist(ftmpi_store *store, int64_t number)
{
	ftmpi_status status = FTMPI_OK;
	const int i = ftmpi__items_find(&store->state, number);
	const bool is_listed = i >= 0 && ftmpi__items_get(&store->state, i)->listed;

	if (!is_listed && store->n_vanished == 0)
		goto done;
	if (is_listed)
		ftmpi__items_get(&store->state, i)->listed = false;
	FTMPI_TRY(ftmpi__state_save(store));
done:
	return status;
}

/* The list in memory has the new file, with its facts. A preserved one that is replaced stays preserved. Sets *beside when it
 * replaced none, and there are others. */
static ftmpi_status take_item(ftmpi_store *store, const ftmpi_store_item *facts, bool *beside)
{
	ftmpi_status status = FTMPI_OK;
	const int i = ftmpi__items_find(&store->state, facts->number);
	ftmpi_store_item *item;
	bool preserved = false;

	if (i >= 0) {
		item = ftmpi__items_get(&store->state, i);
		preserved = item->preserved;
	} else {
		FTMPI_TRY(ftmpi__items_insert(&store->state, facts->number, &item));
	}
	*item = *facts;
	item->preserved = preserved;
	*beside = i < 0 && ftmpi__items_count(&store->state) > 1;
done:
	return status;
}

/* Steps 2 to 4: the temporary is complete, and nothing says what the new file will contradict. */
static ftmpi_status prepare(ftmpi_store *store, const ftmpi__snapshot *snapshot, const ftmpi__image *image,
			    int64_t number, const char *temporary, ftmpi_digest *digest)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__vouch vouch;
	const ftmpi__file_watcher watcher = {.take = ftmpi__vouch_take, .context = &vouch};
	const uint64_t more = (uint64_t)(ftmpi__items_count(&store->state) + 1) * ITEM_BYTES + SLACK_BYTES;

	FTMPI_TRY(ftmpi__vouch_begin(&vouch, snapshot, image->n_bytes));
	FTMPI_TRY(ftmpi__directory_check_room(&store->directory, image->n_bytes + more));
	FTMPI_TRY(ftmpi__file_write(&store->directory, temporary, image->data, image->n_bytes, true, &watcher));
	*digest = vouch.digest;
	status = unlist(store, number);
	if (status != FTMPI_OK)
		ftmpi__file_remove(&store->directory, temporary);
done:
	ftmpi__vouch_clear(&vouch);
	return status;
}

/* Steps 5 to 7. Sets *renamed once the file has its name. */
static ftmpi_status publish(ftmpi_store *store, const ftmpi_store_item *facts, const char *temporary, const char *name,
			    bool *renamed)
{
	ftmpi_status status = FTMPI_OK;
	const bool was_unsynced = store->unsynced;
	bool beside = false;

	FTMPI_TRY(ftmpi__file_rename(&store->directory, temporary, name, true));
	*renamed = store->unsynced = true;
	(void)ftmpi_failpoint_hit(FTMPI_FP_SAVE_AFTER_RENAME);
	FTMPI_TRY(take_item(store, facts, &beside));
	if (!beside || was_unsynced)
		FTMPI_TRY(ftmpi__directory_sync(&store->directory, false));
	if (ftmpi__fault(true, FTMPI_FP_SAVE_STATE_FILE))
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot write '%s/%s': %s", store->path, FTMPI__STATE_FILE,
			   strerror(errno));
	FTMPI_TRY(ftmpi__state_replace(store));
	FTMPI_TRY(ftmpi__directory_sync(&store->directory, true));
	store->unsynced = false;
done:
	return status;
}

/* Steps 8 and 9. The new checkpoint is safe and listed, so nothing here is more than a warning. */
static void retain(ftmpi_store *store, int64_t number)
{
	const double last_preserved_s = store->state.last_preserved_s;
	int64_t n_deleted, n_failed;

	if (store->options.keep_max == 0)
		return;
	if (ftmpi__fault(true, FTMPI_FP_SAVE_RETENTION)) {
		ftmpi_log(FTMPI_LOG_WARNING, "cannot delete old checkpoints in '%s': %s", store->path, strerror(errno));
		return;
	}
	ftmpi__retention_sweep(store, store->options.keep_max, number, true, &n_deleted, &n_failed);
	if (n_deleted == 0 && store->state.last_preserved_s <= last_preserved_s)
		return;
	if (ftmpi__state_save(store) != FTMPI_OK)
		ftmpi_log(FTMPI_LOG_WARNING, "the state file still lists deleted checkpoints: %s",
			  ftmpi_error_message());
}

static void name_file(const ftmpi_store *store, int64_t number, ftmpi_store_item *facts)
{
	char name[FTMPI__FILE_NAME_MAX];

	ftmpi__file_name(store->name, number, "", name);
	*facts = (ftmpi_store_item){.number = number, .listed = true};
	(void)snprintf(facts->file, sizeof facts->file, "%s/%s", store->path, name);
}

static ftmpi_status explain(const char *file, ftmpi_status status, const char *what)
{
	return ftmpi_error_set(status, __FILE__, __LINE__, "checkpoint '%s' %s: %s; %s", file, what,
			       ftmpi_error_message(), "older checkpoints are untouched");
}

ftmpi_status ftmpi__not_saved(const ftmpi_store *store, int64_t number, ftmpi_status status)
{
	ftmpi_store_item facts;

	name_file(store, number, &facts);
	return explain(facts.file, status, "was not saved");
}

/* Steps 1 to 7. */
static ftmpi_status commit(ftmpi_store *store, ftmpi__snapshot *snapshot, int64_t number, ftmpi_store_item *facts)
{
	ftmpi_status status = FTMPI_OK;
	char name[FTMPI__FILE_NAME_MAX], temporary[FTMPI__FILE_NAME_MAX];
	ftmpi__image image = {0};
	bool renamed = false;

	ftmpi__file_name(store->name, number, "", name);
	ftmpi__file_name(store->name, number, FTMPI__TMP, temporary);
	name_file(store, number, facts);
	FTMPI_TRY(build(snapshot, facts->file, &image));
	facts->n_bytes = image.n_bytes;
	FTMPI_TRY(prepare(store, snapshot, &image, number, temporary, &facts->digest));
	facts->timestamp_s = ftmpi__store_now(store);
	if (store->n_failures > 0)
		ftmpi__lock_tell_failures(store->lock_fd, number);
	FTMPI_TRY(publish(store, facts, temporary, name, &renamed));
done:
	if (status != FTMPI_OK)
		status = explain(facts->file, status, renamed ? "is complete, but not announced" : "was not saved");
	return status;
}

/* What a lowered keep_max makes too many goes first: where the disk is full, the room for the new one comes from there. */
static void trim(ftmpi_store *store)
{
	int64_t n_deleted, n_failed;

	if (store->options.keep_max == 0)
		return;
	ftmpi__retention_sweep(store, store->options.keep_max, -1, true, &n_deleted, &n_failed);
	if (n_deleted > 0 && ftmpi__state_save(store) != FTMPI_OK)
		ftmpi_log(FTMPI_LOG_WARNING, "the state file still lists deleted checkpoints: %s",
			  ftmpi_error_message());
}

ftmpi_status ftmpi__commit(ftmpi_store *store, ftmpi__snapshot *snapshot, int64_t number, ftmpi_store_item *facts,
			   double *durable_s)
{
	ftmpi_status status = FTMPI_OK;

	trim(store);
	FTMPI_TRY(commit(store, snapshot, number, facts));
	*durable_s = ftmpi__now_s();
	if (store->n_failures > 0)
		ftmpi__lock_forget_failures(store->lock_fd);
	store->n_failures = 0;
	retain(store, number);
	(void)ftmpi_failpoint_hit(FTMPI_FP_SAVE_END);
done:
	return status;
}

/* The list goes first: a crash in between leaves files that are found, not a list of files that are gone. */
ftmpi_status ftmpi_store_clear(ftmpi_store *store)
{
	ftmpi_status status = FTMPI_OK;
	int64_t n = 0, n_failed = 0;

	ftmpi__store_settle(store);
	FTMPI_TRY(ftmpi__check_save(store, 0));
	ftmpi__file_remove(&store->directory, FTMPI__STATE_FILE);
	FTMPI_TRY(ftmpi__directory_sync(&store->directory, false));
	for (int i = 0; i < ftmpi__items_count(&store->state); i++)
		ftmpi__items_get(&store->state, i)->preserved = false;
	ftmpi__retention_sweep(store, 0, -1, false, &n, &n_failed);
	if (n_failed > 0)
		FTMPI_FAIL(FTMPI_ERR_IO, "%lld checkpoints in '%s' could not be deleted", (long long)n_failed,
			   store->path);
	FTMPI_TRY(ftmpi__directory_sync(&store->directory, false));
done:
	return status;
}

ftmpi_status ftmpi_store_prune(ftmpi_store *store, int64_t keep, int64_t *n_deleted)
{
	ftmpi_status status = FTMPI_OK;
	int64_t n = 0, n_failed = 0;

	ftmpi__store_settle(store);
	FTMPI_TRY(ftmpi__check_save(store, 0));
	if (keep < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "cannot keep %lld checkpoints: give 0 or more", (long long)keep);
	ftmpi__retention_sweep(store, keep, -1, false, &n, &n_failed);
	if (n > 0)
		FTMPI_TRY(ftmpi__state_save(store));
	if (n_failed > 0)
		FTMPI_FAIL(FTMPI_ERR_IO, "%lld checkpoints in '%s' could not be deleted", (long long)n_failed,
			   store->path);
	if (n_deleted != NULL)
		*n_deleted = n;
done:
	return status;
}
