/* SPDX-License-Identifier: Apache-2.0 */
/* Directories: made durably, listed, synced, and asked for room. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftmpi/memory.h>
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
	const char *slash = strrchr(path, '/');
	ftmpi_buffer parent = {0};
	ftmpi__directory directory = {.fd = -1};

	if (slash == NULL)
		FTMPI_TRY(ftmpi_buffer_append(&parent, ".", 1));
	else
		FTMPI_TRY(ftmpi_buffer_append(&parent, path, slash == path ? 1 : (size_t)(slash - path)));
	directory.path = parent.data;
	directory.fd = open(parent.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory.fd < 0 && errno == EACCES) /* one may enter and write it, but not list it */
		goto done;
	if (directory.fd < 0)
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot open the directory '%s': %s", parent.data, strerror(errno));
	FTMPI_TRY(ftmpi__directory_sync(&directory, false));
done:
	ftmpi_buffer_clear(&parent);
	if (directory.fd >= 0)
		(void)close(directory.fd);
	return status;
}

ftmpi_status ftmpi__directory_make(const char *path)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer prefix = {0};
	struct stat st;
	size_t n_bytes = strlen(path);
	int error;

	while (n_bytes > 1 && path[n_bytes - 1] == '/')
		n_bytes--;
	for (size_t i = 1; i <= n_bytes; i++) {
		if (i < n_bytes && path[i] != '/')
			continue;
		FTMPI_TRY(ftmpi_buffer_resize(&prefix, 0));
		FTMPI_TRY(ftmpi_buffer_append(&prefix, path, i));
		if (mkdir(prefix.data, 0777) == 0) {
			FTMPI_TRY(sync_parent(prefix.data));
			continue;
		}
		error = errno;
		if (error != EEXIST && (stat(prefix.data, &st) != 0 || !S_ISDIR(st.st_mode)))
			FTMPI_FAIL(ftmpi__io_status(error), "cannot make the directory '%s': %s", prefix.data,
				   strerror(error));
	}
done:
	ftmpi_buffer_clear(&prefix);
	return status;
}

ftmpi_status ftmpi__directory_open(const char *path, ftmpi__directory *out)
{
	ftmpi_status status = FTMPI_OK;
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "there is no directory '%s'", path);
	if (fd < 0)
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot open the directory '%s': %s", path, strerror(errno));
	*out = (ftmpi__directory){.fd = fd, .path = path};
done:
	return status;
}

ftmpi_status ftmpi__directory_list(const ftmpi__directory *directory,
				   ftmpi_status (*take)(void *context, const char *name), void *context)
{
	ftmpi_status status = FTMPI_OK;
	DIR *listing = NULL;
	const struct dirent *entry;
	int fd;

	fd = openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		listing = fdopendir(fd);
	if (listing == NULL)
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot list the directory '%s': %s", directory->path,
			   strerror(errno));
	while ((errno = 0, entry = readdir(listing)) != NULL)
		FTMPI_TRY(take(context, entry->d_name));
	if (errno != 0)
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot list the directory '%s': %s", directory->path,
			   strerror(errno));
done:
	if (listing != NULL)
		(void)closedir(listing);
	else if (fd >= 0)
		(void)close(fd);
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
		FTMPI_FAIL(FTMPI_ERR_NO_SPACE, "no room in '%s': %llu bytes are needed, %llu are free", directory->path,
			   (unsigned long long)n_bytes, (unsigned long long)room);
done:
	return status;
}
