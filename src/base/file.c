/* SPDX-License-Identifier: Apache-2.0 */
/* Reading whole files, and writing them so that they are there after a crash.
 *
 * Every call's result is looked at, fsync's and close's too: an error that the kernel kept from an earlier write is told only there, and only
 * once. So a file whose fsync failed is never trusted again, it is removed. EINTR is repeated, partial reads and writes go on. What was
 * written is read back and compared with what was meant; the pages are dropped from the cache first where the system does that.
 *
 * Large files go in pieces, so that the disk and the processor work at the same time: what is written is handed to the disk at once, and what is read is
 * looked at while the disk reads on. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftmpi/memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* One call of read or write moves at most this much on Linux. A piece that is looked at fits in a core's cache; a stretch keeps the disk busy. */
enum { MAX_TRANSFER = 1 << 30, PIECE_BYTES = 1 << 19, STRETCH_BYTES = 1 << 23 };

void *ftmpi__image_memory(size_t n_bytes)
{
	const size_t page_bytes = (size_t)2 << 20, n_pages = n_bytes / page_bytes + 1;
	void *p;

	if (n_pages < 8 || n_bytes > SIZE_MAX - page_bytes)
		return malloc(n_bytes + (n_bytes == 0));
	p = aligned_alloc(page_bytes, n_pages * page_bytes);
	if (p != NULL)
		(void)madvise(p, n_pages * page_bytes, MADV_HUGEPAGE); /* advice: may do nothing */
	return p;
}

void ftmpi__image_clear(ftmpi__image *image)
{
	free(image->memory != NULL ? image->memory : image->data);
	*image = (ftmpi__image){0};
}

ftmpi_status ftmpi__io_status(int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
		return FTMPI_ERR_NO_SPACE;
	case ENOMEM:
		return FTMPI_ERR_MEMORY;
	default:
		return FTMPI_ERR_IO;
	}
}

bool ftmpi__fault(bool on, ftmpi_failpoint point)
{
	return on && (ftmpi_failpoint_hit(point) & (FTMPI_FAULT_ERROR | FTMPI_FAULT_SHORT)) != 0;
}

/* Read up to n_bytes, less only at the end of the file; −1 with errno on an error. */
static ssize_t read_fully(int fd, void *data, size_t n_bytes)
{
	size_t done = 0;

	while (done < n_bytes) {
		const size_t want = n_bytes - done < MAX_TRANSFER ? n_bytes - done : MAX_TRANSFER;
		const ssize_t n = read(fd, (char *)data + done, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

bool ftmpi__write_fully(int fd, const void *data, size_t n_bytes)
{
	size_t done = 0;

	while (done < n_bytes) {
		const size_t want = n_bytes - done < MAX_TRANSFER ? n_bytes - done : MAX_TRANSFER;
		const ssize_t n = write(fd, (const char *)data + done, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0) {
			errno = EIO;
			return false;
		}
		done += (size_t)n;
	}
	return true;
}

/* Open for reading and make sure that it is a regular file. Not waiting at the open is what O_NONBLOCK is for. */
static ftmpi_status open_regular(int directory_fd, const char *name, int flags, const char *path, int *out_fd,
				 size_t *out_bytes)
{
	ftmpi_status status = FTMPI_OK;
	struct stat st;
	int fd;

	do
		fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
	while (fd < 0 && errno == EINTR);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "'%s': %s", path, strerror(errno));
	if (fd < 0 && (errno == ELOOP || errno == ENXIO))
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s' is not a regular file", path);
	if (fd < 0)
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot open '%s': %s", path, strerror(errno));
	if (fstat(fd, &st) != 0)
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot look at '%s': %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s' is not a regular file", path);
	*out_bytes = (size_t)st.st_size;
	*out_fd = fd;
	fd = -1;
done:
	if (fd >= 0)
		(void)close(fd);
	return status;
}

/* Show the first bytes to `check`, and go back to the start. */
static ftmpi_status check_start(int fd, const char *path, size_t n_bytes, size_t start_bytes, ftmpi__file_check *check)
{
	ftmpi_status status = FTMPI_OK;
	uint8_t start[256] = {0};
	ssize_t n;

	n = read_fully(fd, start, start_bytes < sizeof start ? start_bytes : sizeof start);
	if (n < 0 || lseek(fd, 0, SEEK_SET) != 0)
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot read '%s': %s", path, strerror(errno));
	FTMPI_TRY(check(start, n_bytes, path));
done:
	return status;
}

/* Fill `data` with the file. */
static ftmpi_status read_pieces(int fd, const char *path, uint8_t *data, size_t n_bytes,
				const ftmpi__file_watcher *watcher)
{
	ftmpi_status status = FTMPI_OK;

	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* advice: the disk reads further ahead */
	for (size_t at = 0; at < n_bytes; at += PIECE_BYTES) {
		const size_t want = n_bytes - at < PIECE_BYTES ? n_bytes - at : PIECE_BYTES;
		ssize_t n;

		n = read_fully(fd, data + at, want);
		if (n < 0)
			FTMPI_FAIL(ftmpi__io_status(errno), "cannot read '%s': %s", path, strerror(errno));
		if ((size_t)n != want)
			FTMPI_FAIL(FTMPI_ERR_DATA, "'%s' ended after %zu of %zu bytes while it was read", path,
				   at + (size_t)n, n_bytes);
		if (watcher != NULL)
			FTMPI_TRY(watcher->take(watcher->context, data + at, at, want));
	}
done:
	return status;
}

ftmpi_status ftmpi__file_read(int fd, const char *name, int flags, const char *path, size_t start_bytes,
			      ftmpi__file_check *check, const ftmpi__file_watcher *watcher, ftmpi__image *out)
{
	ftmpi_status status = FTMPI_OK;
	uint8_t *data = NULL;
	size_t n_bytes = 0;
	int file = -1;

	FTMPI_TRY(open_regular(fd, name, flags, path, &file, &n_bytes));
	if (check != NULL)
		FTMPI_TRY(check_start(file, path, n_bytes, start_bytes, check));
	data = ftmpi__image_memory(n_bytes + 1);
	if (data == NULL)
		FTMPI_FAIL(FTMPI_ERR_MEMORY, "out of memory for '%s' of %zu bytes", path, n_bytes);
	FTMPI_TRY(read_pieces(file, path, data, n_bytes, watcher));
	data[n_bytes] = 0;
	*out = (ftmpi__image){.data = data, .n_bytes = n_bytes};
	data = NULL;
done:
	free(data);
	if (file >= 0)
		(void)close(file);
	return status;
}

/* Open a new file; one of this name is a leftover of a save that failed, and goes. −1 with errno on an error. */
static int create_file(const ftmpi__directory *directory, const char *name, bool faults)
{
	int fd;

	if (unlinkat(directory->fd, name, 0) != 0 && errno != ENOENT)
		return -1;
	do
		fd = ftmpi__fault(faults, FTMPI_FP_SAVE_OPEN)
			     ? -1
			     : openat(directory->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
	while (fd < 0 && errno == EINTR);
	return fd;
}

/* Write at `at`, where the file's position is; the disk begins with each stretch while the next one is copied. What goes wrong there is told by fsync. */
static bool write_stretches(int fd, const char *data, size_t at, size_t n_bytes)
{
	while (n_bytes > STRETCH_BYTES) {
		if (!ftmpi__write_fully(fd, data + at, STRETCH_BYTES))
			return false;
		(void)sync_file_range(fd, (off_t)at, STRETCH_BYTES, SYNC_FILE_RANGE_WRITE);
		at += STRETCH_BYTES;
		n_bytes -= STRETCH_BYTES;
	}
	return ftmpi__write_fully(fd, data + at, n_bytes);
}

/* Write in two halves, so that what a failpoint does between them leaves a torn file. False with errno on an error. */
static bool write_halves(int fd, const char *data, size_t n_bytes, bool faults)
{
	const size_t half = n_bytes / 2 > STRETCH_BYTES ? n_bytes / 2 / STRETCH_BYTES * STRETCH_BYTES : n_bytes / 2;
	ftmpi_fault_action action;

	if (!write_stretches(fd, data, 0, half))
		return false;
	do
		action = faults ? ftmpi_failpoint_hit(FTMPI_FP_SAVE_WRITE) : FTMPI_FAULT_NONE;
	while (action == FTMPI_FAULT_ERROR && errno == EINTR);
	if (action == FTMPI_FAULT_ERROR || action == FTMPI_FAULT_SHORT ||
	    !write_stretches(fd, data, half, n_bytes - half))
		return false;
	if (action == FTMPI_FAULT_CORRUPT && half < n_bytes) {
		const char flipped = (char)(data[half] ^ 1);

		return lseek(fd, (off_t)half, SEEK_SET) >= 0 && ftmpi__write_fully(fd, &flipped, 1);
	}
	return true;
}

static bool sync_file(int fd, bool faults)
{
	int code;

	do
		code = ftmpi__fault(faults, FTMPI_FP_SAVE_FSYNC) ? -1 : fsync(fd);
	while (code != 0 && errno == EINTR);
	if (code == 0)
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* advice: may do nothing */
	return code == 0;
}

static ftmpi_status compare_contents(int fd, const ftmpi__directory *directory, const char *name, const char *data,
				     size_t n_bytes, bool faults, const ftmpi__file_watcher *watcher)
{
	ftmpi_status status = FTMPI_OK;
	uint8_t *piece = NULL;
	size_t at = 0;
	ssize_t n;

	FTMPI_TRY(FTMPI_ALLOC(PIECE_BYTES, &piece));
	do {
		do
			n = ftmpi__fault(faults, FTMPI_FP_SAVE_VERIFY) ? -1 : read_fully(fd, piece, PIECE_BYTES);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			FTMPI_FAIL(ftmpi__io_status(errno), "cannot read back '%s/%s': %s", directory->path, name,
				   strerror(errno));
		if ((size_t)n > n_bytes - at || memcmp(piece, data + at, (size_t)n) != 0)
			FTMPI_FAIL(FTMPI_ERR_IO,
				   "'%s/%s' was read back with other bytes than were written (from byte %zu on): the "
				   "storage "
				   "or the memory is faulty",
				   directory->path, name, at);
		if (watcher != NULL && n > 0)
			FTMPI_TRY(watcher->take(watcher->context, piece, at, (size_t)n));
		at += (size_t)n;
	} while (n == PIECE_BYTES);
	if (at != n_bytes)
		FTMPI_FAIL(FTMPI_ERR_IO, "'%s/%s' was read back with %zu bytes where %zu were written", directory->path,
			   name, at, n_bytes);
done:
	ftmpi_free(piece);
	return status;
}

static ftmpi_status read_back(const ftmpi__directory *directory, const char *name, const char *data, size_t n_bytes,
			      bool faults, const ftmpi__file_watcher *watcher)
{
	ftmpi_status status = FTMPI_OK;
	int fd;

	do
		fd = openat(directory->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot read back '%s/%s': %s", directory->path, name,
			   strerror(errno));
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	FTMPI_TRY(compare_contents(fd, directory, name, data, n_bytes, faults, watcher));
done:
	if (fd >= 0)
		(void)close(fd);
	return status;
}

ftmpi_status ftmpi__file_write(const ftmpi__directory *directory, const char *name, const void *data, size_t n_bytes,
			       bool faults, const ftmpi__file_watcher *watcher)
{
	ftmpi_status status = FTMPI_OK;
	bool created;
	int fd, code;

	fd = create_file(directory, name, faults);
	created = fd >= 0;
	if (!created)
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot create '%s/%s': %s", directory->path, name,
			   strerror(errno));
	if (!write_halves(fd, data, n_bytes, faults))
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot write %zu bytes to '%s/%s': %s", n_bytes, directory->path,
			   name, strerror(errno));
	if (!sync_file(fd, faults))
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot fsync '%s/%s': %s", directory->path, name, strerror(errno));
	code = close(fd);
	fd = -1;
	if (code != 0 && errno != EINTR) /* then it is closed all the same, and its data is safe already */
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot close '%s/%s': %s", directory->path, name, strerror(errno));
	FTMPI_TRY(read_back(directory, name, data, n_bytes, faults, watcher));
done:
	if (fd >= 0)
		(void)close(fd);
	if (status != FTMPI_OK && created)
		ftmpi__file_remove(directory, name);
	return status;
}

void ftmpi__file_remove(const ftmpi__directory *directory, const char *name)
{
	(void)unlinkat(directory->fd, name, 0);
}

ftmpi_status ftmpi__file_rename(const ftmpi__directory *directory, const char *from, const char *to, bool faults)
{
	ftmpi_status status = FTMPI_OK;

	if (ftmpi__fault(faults, FTMPI_FP_SAVE_BEFORE_RENAME) ||
	    renameat(directory->fd, from, directory->fd, to) != 0) {
		status = ftmpi_error_set(ftmpi__io_status(errno), __FILE__, __LINE__,
					 "cannot rename '%s/%s' to '%s': %s", directory->path, from, to,
					 strerror(errno));
		ftmpi__file_remove(directory, from);
	}
	return status;
}
