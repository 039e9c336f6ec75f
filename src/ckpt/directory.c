/* SPDX-License-Identifier: Apache-2.0 */
/* Directories: made durably, synced, and asked for room. */
#include "ckpt/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftmpi/store.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

ftmpi_status ftmpi__directory_sync(const ftmpi__directory *directory, bool faults)
{
	ftmpi_status status = FTMPI_OK;
	int code;

	do
		code = ftmpi__fault(faults, FTMPI_FP_SAVE_DIR_FSYNC) ? -1 : fsync(directory->fd);
	while (code != 0 && errno == EINTR);
	/* EINVAL: a file system that has no fsync of directories, and does not need one or cannot be helped. */
	if (code != 0 && errno != EINVAL)
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot fsync the directory '%s': %s", directory->path,
			   strerror(errno));
done:
	return status;
}

/* Sync the directory that `path` is in. */
static ftmpi_status sync_parent(const char *path)
{
	ftmpi_status status = FTMPI_OK;
	char parent[FTMPI_PATH_MAX];
	const char *slash = strrchr(path, '/');
	ftmpi__directory directory = {.fd = -1, .path = parent};

	if (slash == NULL)
		(void)snprintf(parent, sizeof parent, ".");
	else
		(void)snprintf(parent, sizeof parent, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	directory.fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory.fd < 0 && errno == EACCES) /* one may enter and write it, but not list it */
		goto done;
	if (directory.fd < 0)
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot open the directory '%s': %s", parent, strerror(errno));
	FTMPI_TRY(ftmpi__directory_sync(&directory, false));
done:
	if (directory.fd >= 0)
		(void)close(directory.fd);
	return status;
}

ftmpi_status ftmpi__directory_make(const char *path)
{
	ftmpi_status status = FTMPI_OK;
	char prefix[FTMPI_PATH_MAX];
	struct stat st;
	size_t n_bytes = strlen(path);
	int error;

	if (n_bytes >= sizeof prefix)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "the path of the directory '%.60s…' is too long", path);
	while (n_bytes > 1 && path[n_bytes - 1] == '/')
		n_bytes--;
	for (size_t i = 1; i <= n_bytes; i++) {
		if (i < n_bytes && path[i] != '/')
			continue;
		(void)snprintf(prefix, sizeof prefix, "%.*s", (int)i, path);
		if (mkdir(prefix, 0777) == 0) {
			FTMPI_TRY(sync_parent(prefix));
			continue;
		}
		error = errno;
		if (error != EEXIST && (stat(prefix, &st) != 0 || !S_ISDIR(st.st_mode)))
			FTMPI_FAIL(ftmpi__io_status(error), "cannot make the directory '%s': %s", prefix,
				   strerror(error));
	}
done:
	return status;
}

ftmpi_status ftmpi__directory_check_room(const ftmpi__directory *directory, uint64_t n_bytes)
{
	ftmpi_status status = FTMPI_OK;
	struct statvfs fs;
	uint64_t room;

	/* A file system that does not say how large it is does not say how much is left. */
	if (fstatvfs(directory->fd, &fs) != 0 || fs.f_blocks == 0)
		goto done;
	if (__builtin_mul_overflow((uint64_t)fs.f_bavail, (uint64_t)fs.f_frsize, &room))
		room = UINT64_MAX;
	if (room < n_bytes)
		FTMPI_FAIL(FTMPI_ERR_NO_SPACE, "no room in '%s' for a checkpoint of %llu bytes: %llu bytes are free",
			   directory->path, (unsigned long long)n_bytes, (unsigned long long)room);
done:
	return status;
}
