/* SPDX-License-Identifier: Apache-2.0 */
/* What is really in the directory.
 *
 * The state file may be behind the files (a crash after the rename of a checkpoint) or ahead of them (a crash after a deletion), so the files
 * decide what there is. Only names that this store would write are looked at; what is no regular file is left alone. */
#include "ckpt/store_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <ftmpi/log.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Give an item that is there its path, or add it. */
static ftmpi_status take_checkpoint(ftmpi_store *store, const char *name, int64_t number)
{
	ftmpi_status status = FTMPI_OK;
	const int i = ftmpi__items_find(&store->state, number);
	ftmpi_store_item *item;
	struct stat st;

	if (fstatat(store->directory.fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT) /* gone since the directory was read */
			goto done;
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot look at '%s/%s': %s", store->path, name, strerror(errno));
	}
	if (!S_ISREG(st.st_mode)) {
		if (!store->quiet)
			ftmpi_log(FTMPI_LOG_WARNING, "'%s/%s' is not a regular file: ignored", store->path, name);
		goto done;
	}
	if (i >= 0) {
		item = ftmpi__items_get(&store->state, i);
	} else {
		FTMPI_TRY(ftmpi__items_insert(&store->state, number, &item));
		item->timestamp_s = ftmpi__time_round((double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec * 1e-9);
	}
	(void)snprintf(item->file, sizeof item->file, "%s/%s", store->path, name);
done:
	return status;
}

static void remove_temporary(const ftmpi_store *store, const char *name)
{
	if (!store->options.read_only && unlinkat(store->directory.fd, name, 0) != 0 && errno != ENOENT)
		ftmpi_log(FTMPI_LOG_WARNING, "cannot remove '%s/%s', left by an earlier crash: %s", store->path, name,
			  strerror(errno));
}

/* "<name>-<number>.weights.h5.bad", or with ".2", ".3", … behind it. */
static bool is_set_aside(const char *store_name, const char *name)
{
	char stem[FTMPI__FILE_NAME_MAX];
	const char *bad = strstr(name, FTMPI__SUFFIX FTMPI__BAD), *end;
	int64_t number, copy;

	if (bad == NULL || strlen(name) >= sizeof stem)
		return false;
	(void)snprintf(stem, sizeof stem, "%.*s", (int)(bad - name), name);
	end = bad + strlen(FTMPI__SUFFIX FTMPI__BAD);
	if (*end == '.')
		end = ftmpi__parse_number(end + 1, &copy);
	return end != NULL && *end == '\0' && ftmpi__file_number(store_name, stem, "", &number);
}

static ftmpi_status take_name(void *context, const char *name)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store *store = context;
	int64_t number;

	if (ftmpi__file_number(store->name, name, FTMPI__SUFFIX, &number))
		FTMPI_TRY(take_checkpoint(store, name, number));
	else if (ftmpi__file_number(store->name, name, FTMPI__SUFFIX FTMPI__TMP, &number) ||
		 strcmp(name, FTMPI__STATE_FILE_TMP) == 0)
		remove_temporary(store, name);
	else if (is_set_aside(store->name, name))
		store->n_bad++;
	else if (ftmpi__file_number(store->name, name, FTMPI__SUFFIX FTMPI__SUSPECT, &number))
		store->n_suspect++;
done:
	return status;
}

/* Drop the items without a path: their files are not there. After a crash between a deletion and the state file they are the oldest ones, and
 * nothing is wrong; a newest one that is gone is another matter. */
static void drop_vanished(ftmpi_store *store)
{
	const int newest = ftmpi__items_count(&store->state) - 1;

	for (int i = newest; i >= 0; i--) {
		const ftmpi_store_item *item = ftmpi__items_get(&store->state, i);

		if (item->file[0] != '\0')
			continue;
		if (i == newest && !store->options.read_only) /* beside a running training files come and go */
			ftmpi_log(FTMPI_LOG_WARNING, "'%s/%s' lists %s-%lld, but the file is gone", store->path,
				  FTMPI__STATE_FILE, store->name, (long long)item->number);
		ftmpi__items_remove(&store->state, i);
		store->n_vanished++;
	}
}

ftmpi_status ftmpi__store_scan(ftmpi_store *store)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi__directory_list(&store->directory, take_name, store));
	drop_vanished(store);
done:
	return status;
}
