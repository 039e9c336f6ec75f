/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded reader of the part of HDF5's file format that checkpoints use, on bytes in memory. */
#ifndef FTMPI_CKPT_HDF5_PARSE_H
#define FTMPI_CKPT_HDF5_PARSE_H

#include "ckpt/digests.h"

/** Bytes from the start of a file that ftmpi__hdf5_check_start wants: the superblock. */
#define FTMPI__HDF5_START_BYTES 48

/** A dataset's or an attribute's value, in the file's bytes. */
typedef struct ftmpi__hdf5_value {
	ftmpi_dtype dtype;    /**< FTMPI_TEXT: fixed-length strings */
	size_t element_bytes; /**< of a string: its length in the file */
	int n_dims;
	int64_t dims[FTMPI_MAX_DIMS];
	const uint8_t *data; /**< not aligned; NULL when there are no bytes */
	size_t n_bytes;
} ftmpi__hdf5_value;

/** Called for each dataset (`attribute` NULL) and each attribute of a type that checkpoints use. `path` is valid during the call. */
typedef ftmpi_status ftmpi__hdf5_visit(void *context, const char *path, const char *attribute,
				       const ftmpi__hdf5_value *value);

/**
 * Check the first bytes of a file of `n_bytes`: superblock of version 3, whole, closed properly, of just this length.
 * @param start FTMPI__HDF5_START_BYTES bytes, or the whole file if it is shorter. @param file for messages. Errors: ERR_DATA.
 */
ftmpi_status ftmpi__hdf5_check_start(const uint8_t *start, size_t n_bytes, const char *file) FTMPI_CHECK_RESULT;

/** Walk all objects, in the order in which the file has them. Allocates nothing. Errors: ERR_DATA; what `visit` returns. */
ftmpi_status ftmpi__hdf5_walk(const uint8_t *image, size_t n_bytes, const char *file, ftmpi__hdf5_visit *visit,
			      void *context) FTMPI_CHECK_RESULT;

/** Bob Jenkins's lookup3, which HDF5 uses for its metadata. Local. */
uint32_t ftmpi__lookup3(const uint8_t *bytes, size_t n_bytes);

#endif
