/* SPDX-License-Identifier: Apache-2.0 */
/* Setting a good checkpoint aside, and putting it back: for whoever finds that training dies each time it goes on from there.
 *
 * The state file forgets the checkpoint before it loses its name, so that it never lists a file that is not there; a crash in between leaves an
 * unlisted checkpoint, which the next opening takes again. Nothing is set aside unless an older one verifies: a training never starts over for this. */
#include "ckpt/store_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool exists(const ftmpi_store *store, const char *name)
{
	struct stat st;

	return fstatat(store->directory.fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Rename, durably. Unlike ftmpi__file_rename it loses nothing when it fails. */
static ftmpi_status move(const ftmpi_store *store, const char *from, const char *to)
{
	ftmpi_status status = FTMPI_OK;

	if (exists(store, to))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "'%s/%s' is there already", store->path, to);
	if (renameat(store->directory.fd, from, store->directory.fd, to) != 0)
		FTMPI_FAIL(errno == ENOENT ? FTMPI_ERR_NOT_FOUND : ftmpi__io_status(errno),
			   "cannot rename '%s/%s' to '%s': %s", store->path, from, to, strerror(errno));
	FTMPI_TRY(ftmpi__directory_sync(&store->directory, false));
done:
	return status;
}

/* An older checkpoint than the newest that can be restored. */
static ftmpi_status check_older(const ftmpi_store *store)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = ftmpi__items_count(&store->state) - 2; i >= 0; i--)
		if (ftmpi_store_verify(store, i, NULL) == FTMPI_OK)
			goto done;
	FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "'%s' has no older good checkpoint to go back to", store->path);
done:
	return status;
}

ftmpi_status ftmpi_store_set_aside(ftmpi_store *store, int64_t *number)
{
	ftmpi_status status = FTMPI_OK;
	char name[FTMPI__FILE_NAME_MAX], aside[FTMPI__FILE_NAME_MAX];
	ftmpi_store_item item;
	int newest;

	ftmpi__store_settle(store);
	newest = ftmpi__items_count(&store->state) - 1;
	FTMPI_TRY(ftmpi__check_save(store, 0));
	FTMPI_TRY(check_older(store));
	item = *ftmpi__items_get(&store->state, newest);
	ftmpi__file_name(store->name, item.number, "", name);
	ftmpi__file_name(store->name, item.number, FTMPI__SUSPECT, aside);
	if (exists(store, aside))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "'%s/%s' was set aside once already", store->path, aside);
	ftmpi__items_remove(&store->state, newest);
	FTMPI_TRY(ftmpi__state_save(store));
	FTMPI_TRY(move(store, name, aside));
	store->n_suspect++;
	*number = item.number;
done:
	return status;
}

/* List a file that has its name: it verifies, and its digest is known from then on. */
static ftmpi_status take_in(ftmpi_store *store, int64_t number, const char *name)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store_item *item;
	ftmpi_reader *reader = NULL;
	struct stat st;

	if (fstatat(store->directory.fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot look at '%s/%s': %s", store->path, name, strerror(errno));
	FTMPI_TRY(ftmpi__items_insert(&store->state, number, &item));
	(void)snprintf(item->file, sizeof item->file, "%s/%s", store->path, name);
	item->timestamp_s = ftmpi__time_round((double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec * 1e-9);
	FTMPI_TRY(ftmpi_store_verify(store, ftmpi__items_find(&store->state, number), &reader));
	item->n_bytes = ftmpi_reader_n_bytes(reader);
	item->digest = ftmpi_reader_file_digest(reader);
	item->listed = true;
	FTMPI_TRY(ftmpi__state_save(store));
done:
	ftmpi_reader_close(&reader);
	return status;
}

ftmpi_status ftmpi_store_put_back(ftmpi_store *store, int64_t number)
{
	ftmpi_status status = FTMPI_OK;
	char name[FTMPI__FILE_NAME_MAX], aside[FTMPI__FILE_NAME_MAX];

	ftmpi__store_settle(store);
	FTMPI_TRY(ftmpi__check_save(store, number));
	ftmpi__file_name(store->name, number, "", name);
	ftmpi__file_name(store->name, number, FTMPI__SUSPECT, aside);
	FTMPI_TRY(move(store, aside, name));
	store->n_suspect--;
	FTMPI_TRY(take_in(store, number, name));
done:
	return status;
}
