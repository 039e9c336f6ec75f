/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * An open checkpoint file: read into memory once, verified there, read from there, so that what was verified is what is used.
 * No MPI, no HDF5 library; local. Takes files that nobody vouches for: it never crashes, and never allocates more than a small multiple of the
 * file's size. Takes what ftmpi writes and nothing else: superblock 3, links and attributes in the headers, contiguous little-endian data. An open
 * reader does not change: threads may share it.
 */
#ifndef FTMPI_READER_H
#define FTMPI_READER_H

#include <ftmpi/registry.h>

FTMPI_BEGIN_DECLS

typedef struct ftmpi_reader ftmpi_reader;

/**
 * Read and verify a checkpoint: HDF5 structure, presence of digests, each dataset against its digest.
 * Errors: ERR_NOT_FOUND, ERR_IO, ERR_MEMORY, ERR_DATA (says what is wrong with the file).
 */
FTMPI_API ftmpi_status ftmpi_reader_open(const char *file, ftmpi_reader **out) FTMPI_CHECK_RESULT;
FTMPI_API void ftmpi_reader_close(ftmpi_reader **reader);

FTMPI_API const char *ftmpi_reader_file(const ftmpi_reader *reader);

/** Whole-file length and digest. */
FTMPI_API size_t ftmpi_reader_n_bytes(const ftmpi_reader *reader);
FTMPI_API ftmpi_digest ftmpi_reader_file_digest(const ftmpi_reader *reader);

/** State digest, as ftmpi_registry_state_digest gave it at the save. */
FTMPI_API ftmpi_digest ftmpi_reader_state_digest(const ftmpi_reader *reader);

/** One array of the file. */
typedef struct ftmpi_variable {
	const char *path;
	ftmpi_dtype dtype;
	ftmpi_entry_kind kind;
	int n_dims;
	int64_t dims[FTMPI_MAX_DIMS];
	size_t n_bytes;
	ftmpi_digest digest;
} ftmpi_variable;

/** Variables in the order of their paths. */
FTMPI_API int ftmpi_reader_n_variables(const ftmpi_reader *reader);
FTMPI_API const ftmpi_variable *ftmpi_reader_variable(const ftmpi_reader *reader, int i);
/** NULL when there is none. */
FTMPI_API const ftmpi_variable *ftmpi_reader_find(const ftmpi_reader *reader, const char *path);

/** Copy a variable's bytes. @param n_bytes must be the variable's. Errors: ERR_NOT_FOUND, ERR_DATA, ERR_MEMORY. */
FTMPI_API ftmpi_status ftmpi_reader_read(const ftmpi_reader *reader, const char *path, void *data,
					 size_t n_bytes) FTMPI_CHECK_RESULT;

/** Copy a variable of any length into a buffer. Errors: as ftmpi_reader_read. */
FTMPI_API ftmpi_status ftmpi_reader_read_buffer(const ftmpi_reader *reader, const char *path,
						ftmpi_buffer *buffer) FTMPI_CHECK_RESULT;

/**
 * Fill a registry: every entry must be in the file with its type and shape (a buffer: any length). All names and shapes are checked before the first
 * array is written. Errors: ERR_DATA, naming at most 10 entries that do not fit; ERR_MEMORY.
 */
FTMPI_API ftmpi_status ftmpi_reader_load(const ftmpi_reader *reader, const ftmpi_registry *registry) FTMPI_CHECK_RESULT;

/**
 * Compare two checkpoints' FTMPI_STATE variables bit for bit. @param report one line a difference is appended (path, what differs; for float arrays the
 * number of differing elements and the largest absolute difference); NULL: none. @param n_different set to the number of
 * differing variables. Errors: ERR_MEMORY, ERR_DATA.
 */
FTMPI_API ftmpi_status ftmpi_reader_diff(const ftmpi_reader *a, const ftmpi_reader *b, ftmpi_buffer *report,
					 int64_t *n_different) FTMPI_CHECK_RESULT;

FTMPI_END_DECLS

#endif
