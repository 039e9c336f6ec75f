/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * XXH3-128 digests (xxHash library). They detect accidents of hardware and software, not an adversary.
 */
#ifndef FTMPI_HASH_H
#define FTMPI_HASH_H

#include <ftmpi/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FTMPI_BEGIN_DECLS

/** A 128-bit digest. */
typedef struct ftmpi_digest {
	uint64_t low, high;
} ftmpi_digest;

/** Length of a digest's text, 32 hexadecimal digits and the terminating zero. */
#define FTMPI_DIGEST_TEXT 33

/** Digest of `n_bytes` bytes; `data` may be NULL when there are none. Local. */
FTMPI_API ftmpi_digest ftmpi_hash(const void *data, size_t n_bytes);

/** A digest fed piece by piece. */
typedef struct ftmpi_hasher ftmpi_hasher;

/** Local. Errors: ERR_MEMORY. */
FTMPI_API ftmpi_status ftmpi_hasher_create(ftmpi_hasher **out) FTMPI_CHECK_RESULT;
FTMPI_API void ftmpi_hasher_update(ftmpi_hasher *hasher, const void *data, size_t n_bytes);
FTMPI_API ftmpi_digest ftmpi_hasher_digest(const ftmpi_hasher *hasher);
FTMPI_API void ftmpi_hasher_destroy(ftmpi_hasher **hasher);

FTMPI_API bool ftmpi_digest_equal(ftmpi_digest a, ftmpi_digest b);

/** Text of a digest: the canonical order of xxHash, as `xxh128sum` prints it. Local. */
FTMPI_API void ftmpi_digest_format(ftmpi_digest digest, char text[FTMPI_DIGEST_TEXT]);

/** Read the text of a digest; false if it is not 32 hexadecimal digits. Local. */
FTMPI_API bool ftmpi_digest_parse(const char *text, ftmpi_digest *out);

FTMPI_END_DECLS

#endif
