/* SPDX-License-Identifier: Apache-2.0 */
/* The arrays of a registry as they were at one moment, in the memory that becomes the file's image. */
#ifndef FTMPI_CKPT_SNAPSHOT_H
#define FTMPI_CKPT_SNAPSHOT_H

#include "ckpt/digests.h"
#include "ckpt/image.h"

/** One array of a snapshot. */
typedef struct ftmpi__staged {
	ftmpi_dtype dtype;
	int n_dims;
	int64_t dims[FTMPI_MAX_DIMS];
	size_t n_bytes; /**< of the array; a text has a zero more in the file */
	size_t at;      /**< in the data */
	bool in_parts;  /**< its digest is taken of the copy, once its parts are found to be right */
} ftmpi__staged;

/** The copy of a part. */
typedef struct ftmpi__staged_part {
	ftmpi_part part; /**< without its data */
	int array;
	size_t at; /**< in the data */
} ftmpi__staged_part;

/**
 * A snapshot. All zero is a valid empty one; its memory is used again by the next ftmpi__snapshot_take.
 *
 * memory: [head_bytes: room for the file's metadata, at the end of it][data_bytes: all arrays in the order of their paths, then the table of digests].
 */
typedef struct ftmpi__snapshot {
	const ftmpi_registry
		*registry; /**< for paths and groups, which do not change; its arrays are not looked at any more */
	uint8_t *memory;
	size_t capacity_bytes, head_bytes, data_bytes;
	ftmpi__staged *arrays;   /**< [n] */
	ftmpi__digest_row *rows; /**< [n], as the table has them */
	int n, max_n;
	ftmpi_buffer parts; /**< ftmpi__staged_part: those that are vouched for */
	bool has_digests;
	size_t path_width;                    /**< of the table's column of paths */
	size_t paths_at, hashes_at, kinds_at; /**< in the data */
} ftmpi__snapshot;

/**
 * Copy all arrays of a registry. Local but for what ftmpi__registry_copied calls. @param digests compute the arrays' digests from the program's arrays, so that
 * what goes wrong in copying is found; else the image's builder does it from the copies. Cost: one pass over the arrays, two with digests; memory is taken when
 * they have grown. Errors: ERR_MEMORY, ERR_USAGE (an array that is no whole number of elements, a text that is too long, parts that are
 * withheld), those of ftmpi__registry_copied; it is empty then.
 */
ftmpi_status ftmpi__snapshot_take(ftmpi__snapshot *snapshot, const ftmpi_registry *registry,
				  bool digests) FTMPI_CHECK_RESULT;
void ftmpi__snapshot_clear(ftmpi__snapshot *snapshot);
/** The copies of parts are what their owners vouch for. Cost: a pass over them. Errors: ERR_REPLICA. */
ftmpi_status ftmpi__snapshot_check(const ftmpi__snapshot *snapshot) FTMPI_CHECK_RESULT;

/** Where the data begin. */
uint8_t *ftmpi__snapshot_data(const ftmpi__snapshot *snapshot);
/** An array of it: `dims` and `data` point into the snapshot. */
ftmpi__array ftmpi__snapshot_array(const ftmpi__snapshot *snapshot, int i);
/** Make the room for metadata at least so large. Errors: ERR_MEMORY. */
ftmpi_status ftmpi__snapshot_widen(ftmpi__snapshot *snapshot, size_t head_bytes) FTMPI_CHECK_RESULT;

#endif
