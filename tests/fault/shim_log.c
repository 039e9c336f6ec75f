/* SPDX-License-Identifier: Apache-2.0 */
/* The shim's log: what belongs to the root, the records, and the marks of the calls of ftmpi that announce a checkpoint. Those are wrapped where the
 * program has them from the shared library. Whether a call concerns the root is asked of the kernel (/proc/self/fd), so nothing must be
 * remembered of descriptors. */
#include "shim_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <ftmpi/store.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

shim_forget_function shim_forget;

/* A path relative to the root; false: not below it. "" is the root itself. */
static bool below_root(const char *absolute, char relative[PATH_MAX])
{
	const char *root = getenv("FTMPI_SHIM_ROOT");
	const size_t n_bytes = root == NULL ? 0 : strlen(root);

	if (n_bytes == 0 || strncmp(absolute, root, n_bytes) != 0 ||
	    (absolute[n_bytes] != '/' && absolute[n_bytes] != '\0'))
		return false;
	(void)snprintf(relative, PATH_MAX, "%s", absolute[n_bytes] == '/' ? absolute + n_bytes + 1 : "");
	return true;
}

/* Absolute path of an open file. */
static bool path_of(int fd, char path[PATH_MAX])
{
	char link[64];
	ssize_t n;

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	return true;
}

bool shim__find_name(int fd, const char *name, char relative[PATH_MAX])
{
	char path[PATH_MAX] = "", absolute[2 * PATH_MAX];

	if (name[0] != '/' && (fd == AT_FDCWD ? getcwd(path, sizeof path) == NULL : !path_of(fd, path)))
		return false;
	(void)snprintf(absolute, sizeof absolute, "%s%s%s", path, name[0] == '/' ? "" : "/", name);
	return below_root(absolute, relative);
}

bool shim__find_file(int fd, char relative[PATH_MAX])
{
	const int saved = errno;
	char path[PATH_MAX];
	const bool found = path_of(fd, path) && below_root(path, relative);

	errno = saved;
	return found;
}

uint64_t shim__number_of(int fd)
{
	struct stat st = {0};

	(void)fstat(fd, &st);
	return (uint64_t)st.st_ino;
}

void shim__put(struct shim_record *record, const char *path, const char *to, const void *data, size_t n_bytes)
{
	const char *log = getenv("FTMPI_SHIM_LOG");
	const int saved = errno;
	char *all, *end;
	size_t total;
	long fd = -1;

	if (log == NULL)
		return;
	record->path_bytes = path == NULL ? 0 : (uint32_t)strlen(path) + 1;
	record->to_bytes = to == NULL ? 0 : (uint32_t)strlen(to) + 1;
	record->data_bytes = (uint32_t)n_bytes;
	total = sizeof *record + record->path_bytes + record->to_bytes + n_bytes;
	all = malloc(total);
	if (all != NULL) {
		end = mempcpy(all, record, sizeof *record);
		end = mempcpy(end, path == NULL ? "" : path, record->path_bytes);
		end = mempcpy(end, to == NULL ? "" : to, record->to_bytes);
		memcpy(end, data == NULL ? "" : data, n_bytes);
		fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	}
	if (fd < 0 || syscall(SYS_write, fd, all, total) != (long)total)
		(void)fprintf(stderr, "shim: cannot write the log '%s'\n", log);
	if (fd >= 0)
		(void)syscall(SYS_close, fd);
	free(all);
	errno = saved;
}

/* What announces checkpoints. */
static void put_number(enum shim_kind kind, int64_t number, ftmpi_digest digest)
{
	struct shim_record record = {.kind = kind, .number = number};

	memcpy(record.digest, &digest, sizeof record.digest);
	shim__put(&record, NULL, NULL, NULL, 0);
}

EXPORT void shim_forget(int64_t number)
{
	put_number(SHIM_FORGET, number, (ftmpi_digest){0});
}

static ftmpi_status state_digest(const ftmpi_registry *registry, ftmpi_digest *out)
{
	SHIM__REAL("ftmpi_registry_state_digest", ftmpi_status(const ftmpi_registry *, ftmpi_digest *))
	return real(registry, out);
}

EXPORT ftmpi_status ftmpi_store_save(ftmpi_store *store, const ftmpi_registry *registry, int64_t number, char *file)
{
	ftmpi_status status;
	ftmpi_digest digest = {0};

	SHIM__REAL("ftmpi_store_save", ftmpi_status(ftmpi_store *, const ftmpi_registry *, int64_t, char *))
	if (state_digest(registry, &digest) == FTMPI_OK)
		put_number(SHIM_SAVE, number, digest);
	status = real(store, registry, number, file);
	if (status == FTMPI_OK)
		put_number(SHIM_SAVED, number, digest);
	return status;
}

static int64_t reader_number(const ftmpi_reader *reader)
{
	const char *dash;

	SHIM__REAL("ftmpi_reader_file", const char *(const ftmpi_reader *))
	dash = strrchr(real(reader), '-');
	return dash == NULL ? -1 : strtoll(dash + 1, NULL, 10);
}

static ftmpi_digest reader_digest(const ftmpi_reader *reader)
{
	SHIM__REAL("ftmpi_reader_state_digest", ftmpi_digest(const ftmpi_reader *))
	return real(reader);
}

EXPORT ftmpi_status ftmpi_store_open_latest(ftmpi_store *store, ftmpi_reader **out)
{
	ftmpi_status status;

	SHIM__REAL("ftmpi_store_open_latest", ftmpi_status(ftmpi_store *, ftmpi_reader **))
	status = real(store, out);
	if (status == FTMPI_OK && *out != NULL)
		put_number(SHIM_RESTORED, reader_number(*out), reader_digest(*out));
	return status;
}
