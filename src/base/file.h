/* SPDX-License-Identifier: Apache-2.0 */
/* Files and directories: whole reads, durable writes. */
#ifndef FTMPI_BASE_FILE_H
#define FTMPI_BASE_FILE_H

#include <ftmpi/failpoint.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Bytes of a file. All zero is a valid empty image. */
typedef struct ftmpi__image {
	uint8_t *data;
	size_t n_bytes;
	void *memory; /**< what `data` lies in, if it does not begin there; NULL: it does */
} ftmpi__image;

/** Memory for an image, to be freed with free; NULL when there is none. Large ones get huge pages: half the cost of a save's first touch. */
void *ftmpi__image_memory(size_t n_bytes);

/** Free the bytes and make the image empty. */
void ftmpi__image_clear(ftmpi__image *image);

/** An open directory. Names are relative to `fd`, so a later chdir changes nothing; `path` is for messages. */
typedef struct ftmpi__directory {
	int fd;
	const char *path;
} ftmpi__directory;

/** Status of an errno: ERR_NO_SPACE, ERR_MEMORY, ERR_IO. */
ftmpi_status ftmpi__io_status(int error);

/** Pass a failpoint; true when the operation is to fail, with errno set. @param on false: no failpoint here. */
bool ftmpi__fault(bool on, ftmpi_failpoint point);

/** Write all at the file's position; false with errno on an error. */
bool ftmpi__write_fully(int fd, const void *data, size_t n_bytes);

/** What to check of a file before its bytes are taken. */
typedef ftmpi_status ftmpi__file_check(const uint8_t *start, size_t n_bytes, const char *file);

/** Who is shown a file piece by piece, in order, each as soon as it is read: its bytes are in the processor's cache then. */
typedef struct ftmpi__file_watcher {
	ftmpi_status (*take)(void *context, uint8_t *piece, size_t at, size_t n_bytes);
	void *context;
} ftmpi__file_watcher;

/**
 * Read a whole regular file; never waits for a fifo or a device. @param fd relative to which directory (AT_FDCWD). @param flags more flags
 * for openat. @param path for messages. @param start_bytes, check how many bytes of the start `check` sees before memory for the file is taken; NULL:
 * no check. @param watcher may change what is read; NULL: none. Errors: ERR_NOT_FOUND, ERR_DATA (not a regular file, cut off meanwhile), ERR_IO, ERR_MEMORY;
 * the watcher's.
 */
ftmpi_status ftmpi__file_read(int fd, const char *name, int flags, const char *path, size_t start_bytes,
			      ftmpi__file_check *check, const ftmpi__file_watcher *watcher,
			      ftmpi__image *out) FTMPI_CHECK_RESULT;

/**
 * Write a file that is not there yet: write, fsync, read back and compare. On any error it is removed. @param faults pass the SAVE_ failpoints.
 * @param watcher of what is read back, after it was compared; NULL: none. Errors: ERR_IO, ERR_NO_SPACE, ERR_MEMORY; the watcher's.
 */
ftmpi_status ftmpi__file_write(const ftmpi__directory *directory, const char *name, const void *data, size_t n_bytes,
			       bool faults, const ftmpi__file_watcher *watcher) FTMPI_CHECK_RESULT;

/** Rename within the directory, replacing. On failure `from` is removed. Errors: ERR_IO, ERR_NO_SPACE. */
ftmpi_status ftmpi__file_rename(const ftmpi__directory *directory, const char *from, const char *to,
				bool faults) FTMPI_CHECK_RESULT;

/** Cut a path into the directory ("." when there is none) and the name, which points into `path`. Errors: ERR_USAGE (no name, too long). */
ftmpi_status ftmpi__path_split(const char *path, char *directory, size_t directory_bytes,
			       const char **name) FTMPI_CHECK_RESULT;

/**
 * Write a file, replacing it atomically and durably: a temporary beside it, renamed over it. Errors: ERR_USAGE (no file's name), ERR_NOT_FOUND (no such
 * directory), ERR_IO, ERR_NO_SPACE, ERR_MEMORY.
 */
ftmpi_status ftmpi__file_replace(const char *file, const void *data, size_t n_bytes) FTMPI_CHECK_RESULT;

/** Remove a file, if it can be; for what is of no use any more. Leaves the error record alone. */
void ftmpi__file_remove(const ftmpi__directory *directory, const char *name);

/** Make what was renamed or removed in the directory durable. Errors: ERR_IO. */
ftmpi_status ftmpi__directory_sync(const ftmpi__directory *directory, bool faults) FTMPI_CHECK_RESULT;

/** Make a directory and its parents, durably. Errors: ERR_IO, ERR_NO_SPACE, ERR_MEMORY. */
ftmpi_status ftmpi__directory_make(const char *path) FTMPI_CHECK_RESULT;

/** Open a directory; close its fd. @param path must outlive it. Errors: ERR_NOT_FOUND, ERR_IO. */
ftmpi_status ftmpi__directory_open(const char *path, ftmpi__directory *out) FTMPI_CHECK_RESULT;

/** Hand each name in the directory to `take`, in no order, until it fails. Errors: its own, ERR_IO. */
ftmpi_status ftmpi__directory_list(const ftmpi__directory *directory,
				   ftmpi_status (*take)(void *context, const char *name),
				   void *context) FTMPI_CHECK_RESULT;

/** Check that `n_bytes` fit on the directory's file system. Errors: ERR_NO_SPACE (with both figures). */
ftmpi_status ftmpi__directory_check_room(const ftmpi__directory *directory, uint64_t n_bytes) FTMPI_CHECK_RESULT;

#endif
