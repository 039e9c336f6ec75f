/* SPDX-License-Identifier: Apache-2.0 */
/* The digests of a checkpoint, computed in one place for the side that writes and the side that reads. */
#ifndef FTMPI_CKPT_DIGESTS_H
#define FTMPI_CKPT_DIGESTS_H

#include <ftmpi/registry.h>

/** Longest path of an entry or a group, with the terminating zero. */
#define FTMPI__ENTRY_PATH_MAX 1024

/** Most parts of a path: how deep groups nest. */
#define FTMPI__ENTRY_MAX_PARTS 32

/** An array, wherever it lies. */
typedef struct ftmpi__array {
	const char *path;
	ftmpi_dtype dtype;
	int n_dims;
	const int64_t *dims;
	const void *data;
	size_t n_bytes;
} ftmpi__array;

/** Digest of an array: of its path, type, shape and of the digest of its bytes. Local, no allocation. */
ftmpi_digest ftmpi__array_digest(const ftmpi__array *array);
/** The same when the digest of the array's bytes is known; they are not looked at. */
ftmpi_digest ftmpi__array_digest_of(const ftmpi__array *array, ftmpi_digest bytes);

/** One row of a file's table of digests. */
typedef struct ftmpi__digest_row {
	const char *path;
	ftmpi_digest digest;
	ftmpi_entry_kind kind;
} ftmpi__digest_row;

/** Digest of the digests of the FTMPI_STATE rows; the rows are in the order of their paths. Local. Errors: ERR_MEMORY. */
ftmpi_status ftmpi__state_digest(const ftmpi__digest_row *rows, int n_rows, ftmpi_digest *out) FTMPI_CHECK_RESULT;

/** Digest of a table: of all its paths, digests and kinds. Local. Errors: ERR_MEMORY. */
ftmpi_status ftmpi__table_digest(const ftmpi__digest_row *rows, int n_rows, ftmpi_digest *out) FTMPI_CHECK_RESULT;

/** The entry as an array, with the length that a buffer has now. @param dims FTMPI_MAX_DIMS numbers that the array refers to. */
ftmpi__array ftmpi__entry_array(const ftmpi_entry *entry, int64_t *dims);

/** "float32[784, 512]", "int64" for a scalar; cut off where `text` ends. Local. Returns `text`. */
const char *ftmpi__shape_format(ftmpi_dtype dtype, int n_dims, const int64_t *dims, char *text, size_t text_bytes);

/** Set an entry's shape, its path being there. Errors: ERR_USAGE (dimensions, but `dims` is NULL). What else is wrong with it is found when it is added. */
ftmpi_status ftmpi__entry_set_shape(ftmpi_entry *entry, int n_dims, const int64_t *dims) FTMPI_CHECK_RESULT;

/** Register an entry, copied; otherwise as ftmpi_registry_add. @param data_needed false: it may have no array on this rank. */
ftmpi_status ftmpi__registry_add_entry(ftmpi_registry *registry, const ftmpi_entry *entry,
				       bool data_needed) FTMPI_CHECK_RESULT;

/** What ftmpi__registry_copied calls on the chief. */
void ftmpi__registry_on_copied(ftmpi_registry *registry, ftmpi_status (*function)(void *), void *context);
/** The arrays are copied: have the digests of their parts. Errors: the function's. */
ftmpi_status ftmpi__registry_copied(const ftmpi_registry *registry) FTMPI_CHECK_RESULT;
/** Whether its entries with parts are refused instead of read: the other ranks may be changing them. */
void ftmpi__registry_withhold_parts(ftmpi_registry *registry, bool withhold);
/** Errors: ERR_USAGE (an entry in parts, and they are withheld). */
ftmpi_status ftmpi__registry_can_read(const ftmpi_registry *registry, const ftmpi_entry *entry) FTMPI_CHECK_RESULT;
/** Compare the bytes of a part, or of its copy, with what its owner vouches for. Local. Errors: ERR_REPLICA. */
ftmpi_status ftmpi__part_check(const char *path, const ftmpi_part *part, const void *bytes) FTMPI_CHECK_RESULT;
/** Compare all parts of a registry with it. Local. Errors: ERR_REPLICA. */
ftmpi_status ftmpi__parts_check(const ftmpi_registry *registry) FTMPI_CHECK_RESULT;

/** The i-th entry in the order of the paths. Local. */
const ftmpi_entry *ftmpi__registry_sorted(const ftmpi_registry *registry, int i);

/** Number of things that lie directly in a group, and the length of their longest name. Local. Cost: the entries below it. */
int ftmpi__registry_count_children(const ftmpi_registry *registry, const char *path, size_t *longest);

#endif
