/* SPDX-License-Identifier: Apache-2.0 */
/* Which checkpoints stay: TensorFlow's rule.
 *
 * The newest `keep_max` stay. One that is pushed out of them is kept for good if it is at least `keep_every_n_hours` younger than the last one
 * that was; the others are deleted, all of them, however many a lowered keep_max makes too many. */
#include "ckpt/store_inside.h"

#include <errno.h>
#include <ftmpi/log.h>
#include <string.h>
#include <unistd.h>

/* False when the file is still there. */
static bool delete_file(const ftmpi_store *store, const ftmpi_store_item *item)
{
	char name[FTMPI__FILE_NAME_MAX];
	int error;

	ftmpi__file_name(store->name, item->number, "", name);
	if (unlinkat(store->directory.fd, name, 0) == 0)
		return true;
	error = errno;
	ftmpi_log(FTMPI_LOG_WARNING, "cannot delete the old checkpoint '%s': %s", item->file, strerror(error));
	return error == ENOENT;
}

/* An older one may go only when the newer ones cannot be lost any more. */
static bool names_are_durable(ftmpi_store *store)
{
	if (store->unsynced && ftmpi__directory_sync(&store->directory, false) != FTMPI_OK) {
		ftmpi_log(FTMPI_LOG_WARNING, "no old checkpoint is deleted: %s", ftmpi_error_message());
		return false;
	}
	store->unsynced = false;
	return true;
}

static int64_t count_active(const ftmpi__state *state)
{
	int64_t n = 0;

	for (int i = 0; i < ftmpi__items_count(state); i++)
		n += !ftmpi__items_get(state, i)->preserved;
	return n;
}

void ftmpi__retention_sweep(ftmpi_store *store, int64_t keep, int64_t keep_number, bool preserve, int64_t *n_deleted,
			    int64_t *n_failed)
{
	const double interval_s = store->options.keep_every_n_hours * 3600;
	int64_t excess = count_active(&store->state) - keep;

	*n_deleted = *n_failed = 0;
	if (excess > 0 && !names_are_durable(store)) {
		*n_failed = excess;
		return;
	}
	for (int i = 0; i < ftmpi__items_count(&store->state) && excess > 0;) {
		ftmpi_store_item *item = ftmpi__items_get(&store->state, i);

		if (item->preserved || item->number == keep_number) {
			i++;
			continue;
		}
		excess--;
		if (preserve && interval_s > 0 && item->timestamp_s - interval_s >= store->state.last_preserved_s) {
			store->state.last_preserved_s = item->timestamp_s;
			item->preserved = true;
			i++;
		} else if (delete_file(store, item)) {
			ftmpi__items_remove(&store->state, i);
			++*n_deleted;
		} else {
			++*n_failed;
			i++;
		}
	}
}
