/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a file, plain or gzipped, from front to back. */
#ifndef FTMPI_DATA_STREAM_H
#define FTMPI_DATA_STREAM_H

#include <ftmpi/memory.h>
#include <sys/types.h>

/**
 * Open a regular file for reading. Local. @param length its bytes; NULL: not wanted.
 * Errors: ERR_NOT_FOUND, ERR_IO, ERR_DATA (not a regular file).
 */
ftmpi_status ftmpi__file_open(const char *path, int *fd, int64_t *length) FTMPI_CHECK_RESULT;

typedef struct ftmpi__stream ftmpi__stream;

/** Open; a name that ends in ".gz" is decompressed. Local. Errors: as ftmpi__file_open, ERR_MEMORY. */
ftmpi_status ftmpi__stream_open(const char *path, ftmpi__stream **out) FTMPI_CHECK_RESULT;
void ftmpi__stream_close(ftmpi__stream **stream);
const char *ftmpi__stream_path(const ftmpi__stream *stream);

/**
 * Can the content be `n_bytes` long? A plain file must be exactly that long; a gzipped one must be long enough to
 * expand to it. Local.
 * Errors: ERR_DATA.
 */
ftmpi_status ftmpi__stream_check_length(const ftmpi__stream *stream, int64_t n_bytes) FTMPI_CHECK_RESULT;

/** The next n_bytes bytes. Local. Errors: ERR_DATA (damaged, or the content ends before), ERR_IO, ERR_MEMORY. */
ftmpi_status ftmpi__stream_read(ftmpi__stream *stream, void *to, size_t n_bytes) FTMPI_CHECK_RESULT;

/** The content must end here; for gzip this also checks the last checksum. Local. Errors: ERR_DATA, ERR_IO. */
ftmpi_status ftmpi__stream_end(ftmpi__stream *stream) FTMPI_CHECK_RESULT;

#endif
