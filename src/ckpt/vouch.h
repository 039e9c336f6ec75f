/* SPDX-License-Identifier: Apache-2.0 */
/* The digests of a file that is read back piece by piece. */
#ifndef FTMPI_CKPT_VOUCH_H
#define FTMPI_CKPT_VOUCH_H

#include "ckpt/snapshot.h"

typedef struct ftmpi__vouch {
	const ftmpi__snapshot *snapshot;
	size_t head_bytes, n_bytes; /* of the file */
	ftmpi_hasher *file;
	ftmpi_hasher *array; /* of the array that began in an earlier piece; NULL: none did */
	int next;            /* array that has not ended yet */
	ftmpi_digest digest; /* of the file, once all of it is there */
} ftmpi__vouch;

/** Begin with the file of a sealed snapshot. To be cleared in any case. Errors: ERR_MEMORY. */
ftmpi_status ftmpi__vouch_begin(ftmpi__vouch *vouch, const ftmpi__snapshot *snapshot,
				size_t n_bytes) FTMPI_CHECK_RESULT;

/**
 * The next piece, as for ftmpi__file_watcher. @param context the ftmpi__vouch. Errors: ERR_INTERNAL (an array does not match the digest in the file),
 * ERR_MEMORY.
 */
ftmpi_status ftmpi__vouch_take(void *context, uint8_t *piece, size_t at, size_t n_bytes) FTMPI_CHECK_RESULT;

void ftmpi__vouch_clear(ftmpi__vouch *vouch);

#endif
