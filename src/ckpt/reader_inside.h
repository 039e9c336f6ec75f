/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a reader. */
#ifndef FTMPI_CKPT_READER_INSIDE_H
#define FTMPI_CKPT_READER_INSIDE_H

#include "ckpt/image.h"

#include <ftmpi/reader.h>

/** A variable and where its bytes are. */
typedef struct ftmpi__variable {
	ftmpi_variable info;
	const uint8_t *data; /**< in the image, not aligned; NULL when there are none */
} ftmpi__variable;

struct ftmpi_reader {
	char *file;
	ftmpi__image image; /**< empty when the bytes are another's */
	size_t n_bytes;
	ftmpi_digest file_digest, state_digest;
	ftmpi__variable *variables; /**< by path; the paths are in the image */
	int n_variables;
};

/** What is known of a file from elsewhere. */
typedef struct ftmpi__expected {
	size_t n_bytes;
	ftmpi_digest digest;
} ftmpi__expected;

/**
 * Open a checkpoint in a directory. @param fd, name as for openat. @param flags more flags for openat. @param file path, for messages. @param expected
 * NULL: nothing is known. Errors: as ftmpi_reader_open.
 */
ftmpi_status ftmpi__reader_open_at(int fd, const char *name, int flags, const char *file,
				   const ftmpi__expected *expected, ftmpi_reader **out) FTMPI_CHECK_RESULT;

/** Verify bytes in memory, which must outlive the reader; it has no digest of the file. @param vouched somebody else compares the arrays' own bytes with their
 * digests. Errors: ERR_DATA, ERR_MEMORY. */
ftmpi_status ftmpi__reader_open_bytes(const uint8_t *bytes, size_t n_bytes, const char *file, bool vouched,
				      ftmpi_reader **out) FTMPI_CHECK_RESULT;

/** NULL when there is none. */
const ftmpi__variable *ftmpi__reader_find(const ftmpi_reader *reader, const char *path);

#endif
