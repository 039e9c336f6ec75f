/* SPDX-License-Identifier: Apache-2.0 */
/* A layer between a program and the C library; shim.h says what for.
 *
 * A call is made and written down under one lock, so the log has the order in which things happened. Only what succeeded is in it. What the C library
 * does by itself (stdio) does not pass here: who reads the log must compare its end with the real directory. */
#include "shim_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The headers of the C library name parameters as only they may. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

shim_arm_function shim_arm;
shim_calls_function shim_calls;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
	int n_calls, fail_at; /* 0: count nothing */
	enum shim_failure failure;
	int error;
	bool no_space; /* SHIM_FULL has happened */
	const char *failed;
} plan = {.failed = ""};

EXPORT void shim_arm(int n, enum shim_failure failure, int error)
{
	plan.n_calls = 0;
	plan.fail_at = n;
	plan.failure = failure;
	plan.error = error;
	plan.no_space = false;
	plan.failed = "";
}

EXPORT int shim_calls(const char **name)
{
	*name = plan.failed;
	return plan.n_calls;
}

/* Count a call below the root; true when it is to fail, with errno set. */
static bool fails(const char *name)
{
	if (plan.fail_at == 0)
		return false;
	plan.n_calls++;
	if (plan.n_calls < plan.fail_at || (plan.n_calls > plan.fail_at && plan.failure != SHIM_FROM_HERE) ||
	    plan.failure == SHIM_SHORT || plan.failure == SHIM_FULL)
		return false;
	if (plan.n_calls == plan.fail_at)
		plan.failed = name;
	errno = plan.error;
	return true;
}

/* How much of a write is to be stored; −1: it fails, with errno set. */
static ssize_t allowed(const char *name, size_t n_bytes)
{
	if (plan.no_space) {
		errno = ENOSPC;
		return -1;
	}
	if (fails(name))
		return -1;
	if ((plan.failure != SHIM_SHORT && plan.failure != SHIM_FULL) || plan.fail_at == 0 ||
	    plan.n_calls != plan.fail_at || n_bytes < 2)
		return (ssize_t)n_bytes;
	plan.failed = name;
	plan.no_space = plan.failure == SHIM_FULL;
	return (ssize_t)(n_bytes / 2);
}

/* Opening. A file that was not there before is a new one. */
static int open_at(const char *call, int at, const char *name, int flags, mode_t mode)
{
	char relative[PATH_MAX];
	bool is_new;
	int fd = -1;

	if (!shim__find_name(at, name, relative))
		return (int)syscall(SYS_openat, at, name, flags, mode);
	(void)pthread_mutex_lock(&lock);
	is_new = (flags & O_CREAT) != 0 && faccessat(at, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
	if (!fails(call))
		fd = (int)syscall(SYS_openat, at, name, flags, mode);
	if (fd >= 0 && is_new)
		shim__put(&(struct shim_record){.kind = SHIM_CREATE, .file = shim__number_of(fd)}, relative, NULL, NULL,
			  0);
	else if (fd >= 0 && (flags & O_TRUNC) != 0)
		shim__put(&(struct shim_record){.kind = SHIM_TRUNCATE, .file = shim__number_of(fd)}, relative, NULL,
			  NULL, 0);
	(void)pthread_mutex_unlock(&lock);
	return fd;
}

/* The mode is there only with these flags. */
#define TAKE_MODE(flags, mode)                                                                                         \
	mode_t mode = 0;                                                                                               \
	if (((flags) & (O_CREAT | O_TMPFILE)) != 0) {                                                                  \
		va_list list_;                                                                                         \
		va_start(list_, flags);                                                                                \
		(mode) = va_arg(list_, mode_t);                                                                        \
		va_end(list_);                                                                                         \
	}

EXPORT int openat(int at, const char *name, int flags, ...)
{
	TAKE_MODE(flags, mode) /* NOLINT(clang-analyzer-valist.Uninitialized): the macro begins the list */
	return open_at("openat", at, name, flags, mode);
}

EXPORT int openat64(int at, const char *name, int flags, ...)
{
	TAKE_MODE(flags, mode) /* NOLINT(clang-analyzer-valist.Uninitialized): the macro begins the list */
	return open_at("openat", at, name, flags, mode);
}

EXPORT int open(const char *name, int flags, ...)
{
	TAKE_MODE(flags, mode) /* NOLINT(clang-analyzer-valist.Uninitialized): the macro begins the list */
	return open_at("open", AT_FDCWD, name, flags, mode);
}

EXPORT int open64(const char *name, int flags, ...)
{
	TAKE_MODE(flags, mode) /* NOLINT(clang-analyzer-valist.Uninitialized): the macro begins the list */
	return open_at("open", AT_FDCWD, name, flags, mode);
}

EXPORT int creat(const char *name, mode_t mode)
{
	return open_at("creat", AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

EXPORT ssize_t write(int fd, const void *data, size_t n_bytes)
{
	char relative[PATH_MAX];
	ssize_t n;
	off_t at;

	if (!shim__find_file(fd, relative))
		return syscall(SYS_write, fd, data, n_bytes);
	(void)pthread_mutex_lock(&lock);
	at = lseek(fd, 0, (fcntl(fd, F_GETFL) & O_APPEND) != 0 ? SEEK_END : SEEK_CUR);
	n = allowed("write", n_bytes);
	if (n >= 0)
		n = syscall(SYS_write, fd, data, n);
	if (n > 0)
		shim__put(&(struct shim_record){.kind = SHIM_WRITE, .file = shim__number_of(fd), .offset = at},
			  relative, NULL, data, (size_t)n);
	(void)pthread_mutex_unlock(&lock);
	return n;
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t n_bytes, off_t at)
{
	char relative[PATH_MAX];
	ssize_t n;

	if (!shim__find_file(fd, relative))
		return syscall(SYS_pwrite64, fd, data, n_bytes, at);
	(void)pthread_mutex_lock(&lock);
	n = allowed("pwrite", n_bytes);
	if (n >= 0)
		n = syscall(SYS_pwrite64, fd, data, n, at);
	if (n > 0)
		shim__put(&(struct shim_record){.kind = SHIM_WRITE, .file = shim__number_of(fd), .offset = at},
			  relative, NULL, data, (size_t)n);
	(void)pthread_mutex_unlock(&lock);
	return n;
}

EXPORT ssize_t pwrite64(int fd, const void *data, size_t n_bytes, off_t at)
{
	return pwrite(fd, data, n_bytes, at);
}

/* One by one: what comes after a short one is not written. */
EXPORT ssize_t writev(int fd, const struct iovec *parts, int n_parts)
{
	char relative[PATH_MAX];
	ssize_t total = 0;

	if (!shim__find_file(fd, relative))
		return syscall(SYS_writev, fd, parts, n_parts);
	for (int i = 0; i < n_parts; i++) {
		const ssize_t n = write(fd, parts[i].iov_base, parts[i].iov_len);

		if (n < 0)
			return total > 0 ? total : -1;
		total += n;
		if ((size_t)n < parts[i].iov_len)
			break;
	}
	return total;
}

EXPORT int ftruncate(int fd, off_t length)
{
	char relative[PATH_MAX];
	int code = -1;

	if (!shim__find_file(fd, relative))
		return (int)syscall(SYS_ftruncate, fd, length);
	(void)pthread_mutex_lock(&lock);
	if (!fails("ftruncate"))
		code = (int)syscall(SYS_ftruncate, fd, length);
	if (code == 0)
		shim__put(&(struct shim_record){.kind = SHIM_TRUNCATE, .file = shim__number_of(fd), .offset = length},
			  relative, NULL, NULL, 0);
	(void)pthread_mutex_unlock(&lock);
	return code;
}

EXPORT int ftruncate64(int fd, off_t length)
{
	return ftruncate(fd, length);
}

static int sync_fd(const char *call, int fd)
{
	char relative[PATH_MAX];
	struct stat st = {0};
	int code = -1;
	const bool here = shim__find_file(fd, relative);

	(void)pthread_mutex_lock(&lock);
	if (!here || !fails(call))
		code = (int)syscall(strcmp(call, "fsync") == 0 ? SYS_fsync : SYS_fdatasync, fd);
	if (here && code == 0 && fstat(fd, &st) == 0)
		shim__put(&(struct shim_record){.kind = S_ISDIR(st.st_mode) ? SHIM_SYNC_DIRECTORY : SHIM_SYNC,
						.file = (uint64_t)st.st_ino},
			  relative, NULL, NULL, 0);
	(void)pthread_mutex_unlock(&lock);
	return code;
}

EXPORT int fsync(int fd)
{
	return sync_fd("fsync", fd);
}

EXPORT int fdatasync(int fd)
{
	return sync_fd("fdatasync", fd);
}

/* Calls on two names. */
static int move(enum shim_kind kind, const char *call, int from_at, const char *from, int to_at, const char *to,
		unsigned flags)
{
	char from_path[PATH_MAX], to_path[PATH_MAX];
	int code = -1;
	const bool here = shim__find_name(from_at, from, from_path) && shim__find_name(to_at, to, to_path);

	(void)pthread_mutex_lock(&lock);
	if (!here || !fails(call))
		code = (int)(kind == SHIM_RENAME ? syscall(SYS_renameat2, from_at, from, to_at, to, flags)
						 : syscall(SYS_linkat, from_at, from, to_at, to, flags));
	if (here && code == 0)
		shim__put(&(struct shim_record){.kind = kind}, from_path, to_path, NULL, 0);
	(void)pthread_mutex_unlock(&lock);
	return code;
}

EXPORT int renameat(int from_at, const char *from, int to_at, const char *to)
{
	return move(SHIM_RENAME, "renameat", from_at, from, to_at, to, 0);
}

EXPORT int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
	return move(SHIM_RENAME, "renameat2", from_at, from, to_at, to, flags);
}

EXPORT int rename(const char *from, const char *to)
{
	return move(SHIM_RENAME, "rename", AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
	return move(SHIM_LINK, "linkat", from_at, from, to_at, to, (unsigned)flags);
}

EXPORT int link(const char *from, const char *to)
{
	return move(SHIM_LINK, "link", AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* Calls on one name. `argument`: flags or mode. */
static int change(enum shim_kind kind, const char *call, int at, const char *name, unsigned argument)
{
	char relative[PATH_MAX];
	int code = -1;
	const bool here = shim__find_name(at, name, relative);

	(void)pthread_mutex_lock(&lock);
	if (!here || !fails(call))
		code = (int)syscall(kind == SHIM_REMOVE ? SYS_unlinkat : SYS_mkdirat, at, name, argument);
	if (here && code == 0)
		shim__put(&(struct shim_record){.kind = kind}, relative, NULL, NULL, 0);
	(void)pthread_mutex_unlock(&lock);
	return code;
}

EXPORT int unlinkat(int at, const char *name, int flags)
{
	return change(SHIM_REMOVE, "unlinkat", at, name, (unsigned)flags);
}

EXPORT int unlink(const char *name)
{
	return change(SHIM_REMOVE, "unlink", AT_FDCWD, name, 0);
}

EXPORT int rmdir(const char *name)
{
	return change(SHIM_REMOVE, "rmdir", AT_FDCWD, name, AT_REMOVEDIR);
}

EXPORT int mkdir(const char *name, mode_t mode)
{
	return change(SHIM_MAKE_DIRECTORY, "mkdir", AT_FDCWD, name, mode);
}

EXPORT int mkdirat(int at, const char *name, mode_t mode)
{
	return change(SHIM_MAKE_DIRECTORY, "mkdirat", at, name, mode);
}

/* Calls that change nothing: they only fail. */
EXPORT ssize_t read(int fd, void *data, size_t n_bytes)
{
	char relative[PATH_MAX];

	if (plan.fail_at > 0 && shim__find_file(fd, relative) && fails("read"))
		return -1;
	return syscall(SYS_read, fd, data, n_bytes);
}

/* Linux has closed the file all the same. */
EXPORT int close(int fd)
{
	char relative[PATH_MAX];
	bool failing;
	int code;

	failing = plan.fail_at > 0 && shim__find_file(fd, relative) && fails("close");
	code = (int)syscall(SYS_close, fd);
	if (!failing)
		return code;
	errno = plan.error;
	return -1;
}

EXPORT int fstatvfs(int fd, struct statvfs *out)
{
	char relative[PATH_MAX];

	SHIM__REAL("fstatvfs", int(int, struct statvfs *))
	if (plan.fail_at > 0 && shim__find_file(fd, relative) && fails("fstatvfs"))
		return -1;
	return real(fd, out);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
