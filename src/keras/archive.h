/* SPDX-License-Identifier: Apache-2.0 */
/* ZIP archives in memory. */
#ifndef FTMPI_KERAS_ARCHIVE_H
#define FTMPI_KERAS_ARCHIVE_H

#include "ckpt/image.h"

typedef struct ftmpi__archive ftmpi__archive;

/** Open an archive. @param image must outlive it. @param what names the file in errors. Errors: ERR_DATA, ERR_MEMORY. */
ftmpi_status ftmpi__archive_open(const ftmpi__image *image, const char *what, ftmpi__archive **out) FTMPI_CHECK_RESULT;
void ftmpi__archive_close(ftmpi__archive **archive);

/** Unpack a member, whose checksum is verified. @param max_bytes a longer one is refused before memory is taken, and so is one that is longer than
 * what the archive could unpack to. Errors: ERR_DATA, ERR_MEMORY. */
ftmpi_status ftmpi__archive_read(const ftmpi__archive *archive, const char *name, uint64_t max_bytes,
				 ftmpi__image *out) FTMPI_CHECK_RESULT;

/** A member to be. */
typedef struct ftmpi__member {
	const char *name;
	const void *data;
	size_t n_bytes;
} ftmpi__member;

/** Build an archive; the same members give the same bytes. Nothing is compressed. Errors: ERR_MEMORY, ERR_INTERNAL. */
ftmpi_status ftmpi__archive_build(const ftmpi__member *members, int n_members, ftmpi__image *out) FTMPI_CHECK_RESULT;

#endif
