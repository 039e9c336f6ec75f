/* SPDX-License-Identifier: Apache-2.0 */
/* The shim's log: what belongs to the root, and the records. Whether a call concerns the root is asked of the kernel (/proc/self/fd), so nothing must
 * be remembered of descriptors. */
#include "shim_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

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
