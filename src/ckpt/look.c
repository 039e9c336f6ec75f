/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at checkpoints from outside: no MPI, no lock, nothing is changed.
 *
 * A run may be saving and deleting at the same time, so nothing that was seen a moment ago has to be there still: what vanishes is looked for anew. Only
 * when the folder, looked at again and again, has no checkpoint is there none. */
#include "ckpt/store_inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftmpi/manager.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The youngest checkpoint file so far, and its name without number and suffix; "" as long as there is none. */
struct youngest {
	char name[FTMPI__NAME_MAX];
	struct timespec time;
};

/* The name in "<name>-<number>.weights.h5"; false when the file is called otherwise. */
static bool take_stem(const char *file, char name[FTMPI__NAME_MAX])
{
	const char *dash = strrchr(file, '-');
	int64_t number;

	if (dash == NULL || dash - file >= FTMPI__NAME_MAX)
		return false;
	(void)snprintf(name, FTMPI__NAME_MAX, "%.*s", (int)(dash - file), file);
	return ftmpi__name_is_good(name) && ftmpi__file_number(name, file, FTMPI__SUFFIX, &number);
}

static void take_file(int fd, const char *file, struct youngest *youngest)
{
	char name[FTMPI__NAME_MAX];
	struct stat st;

	if (!take_stem(file, name) || fstatat(fd, file, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return;
	if (youngest->name[0] != '\0' &&
	    (st.st_mtim.tv_sec < youngest->time.tv_sec ||
	     (st.st_mtim.tv_sec == youngest->time.tv_sec && st.st_mtim.tv_nsec <= youngest->time.tv_nsec)))
		return;
	memcpy(youngest->name, name, sizeof name);
	youngest->time = st.st_mtim;
}

static ftmpi_status find_youngest(const ftmpi__directory *directory, char name[FTMPI__NAME_MAX])
{
	ftmpi_status status = FTMPI_OK;
	struct youngest youngest = {{0}, {0}};
	const struct dirent *entry;
	DIR *listing = opendir(directory->path);

	if (listing == NULL)
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot list the directory '%s': %s", directory->path,
			   strerror(errno));
	while ((errno = 0, entry = readdir(listing)) != NULL)
		take_file(directory->fd, entry->d_name, &youngest);
	if (errno != 0)
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot list the directory '%s': %s", directory->path,
			   strerror(errno));
	if (youngest.name[0] == '\0')
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "'%s' has no checkpoint", directory->path);
	memcpy(name, youngest.name, sizeof youngest.name);
done:
	if (listing != NULL)
		(void)closedir(listing);
	return status;
}

/* What the checkpoints of a folder are called: as the state file says, else as the youngest file is. */
static ftmpi_status find_name(const char *path, char name[FTMPI__NAME_MAX])
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__directory directory = {.fd = -1, .path = path};

	FTMPI_TRY(ftmpi__directory_open(path, &directory));
	status = ftmpi__state_name(&directory, name);
	if (status == FTMPI_ERR_NOT_FOUND || status == FTMPI_ERR_DATA)
		status = find_youngest(&directory, name);
	FTMPI_TRY(status);
done:
	if (directory.fd >= 0)
		(void)close(directory.fd);
	return status;
}

ftmpi_status ftmpi_store_find_name(const char *directory, char name[FTMPI_STORE_NAME_MAX])
{
	ftmpi_status status = FTMPI_OK;
	struct stat st;
	char found[FTMPI__NAME_MAX] = "";

	status = find_name(directory, found);
	if (status == FTMPI_ERR_NOT_FOUND && stat(directory, &st) == 0)
		status = FTMPI_OK;
	else
		FTMPI_TRY(status);
	(void)snprintf(name, FTMPI_STORE_NAME_MAX, "%s", status == FTMPI_OK && found[0] != '\0' ? found : "ckpt");
done:
	return status;
}

ftmpi_status ftmpi__look_open(const char *directory, const char *name, bool quiet, ftmpi_store **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store_options options;
	char found[FTMPI__NAME_MAX];

	ftmpi_store_options_init(&options);
	options.read_only = true;
	options.name = name;
	if (name == NULL) {
		FTMPI_TRY(find_name(directory, found));
		options.name = found;
	}
	FTMPI_TRY(ftmpi__store_open(directory, &options, quiet, out));
done:
	return status;
}

ftmpi_status ftmpi_latest_checkpoint(const char *directory, const char *name, char *path)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store *store = NULL;
	bool look_again = true;
	int n = 0;

	for (int look = 0; look < FTMPI__MAX_LOOKS && n == 0 && look_again; look++) {
		ftmpi_store_close(&store);
		FTMPI_TRY(ftmpi__look_open(directory, name, true, &store));
		n = ftmpi_store_n_items(store);
		look_again = store->n_vanished > 0;
	}
	if (n == 0)
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "'%s' has no checkpoint", directory);
	(void)snprintf(path, FTMPI_PATH_MAX, "%s", ftmpi_store_get(store, n - 1)->file);
done:
	ftmpi_store_close(&store);
	return status;
}

static ftmpi_status load_from_folder(const char *directory, ftmpi_reader **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store *store = NULL;
	ftmpi_reader *reader = NULL;

	FTMPI_TRY(ftmpi__look_open(directory, NULL, false, &store));
	FTMPI_TRY(ftmpi_store_open_latest(store, &reader));
	if (reader == NULL)
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "'%s' has no checkpoint", directory);
	*out = reader;
done:
	ftmpi_store_close(&store);
	return status;
}

ftmpi_status ftmpi_load_checkpoint(const char *path, ftmpi_reader **out)
{
	ftmpi_status status = FTMPI_OK;
	char file[FTMPI_PATH_MAX];
	struct stat st;

	if (path == NULL || strlen(path) + sizeof FTMPI__SUFFIX > sizeof file)
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "'%.80s' is no path of a checkpoint", path == NULL ? "" : path);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		FTMPI_TRY(load_from_folder(path, out));
		goto done;
	}
	(void)snprintf(file, sizeof file, "%s%s", path, FTMPI__SUFFIX);
	if (stat(path, &st) != 0 && stat(file, &st) == 0)
		FTMPI_TRY(ftmpi_reader_open(file, out));
	else
		FTMPI_TRY(ftmpi_reader_open(path, out));
done:
	return status;
}
