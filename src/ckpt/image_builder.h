/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of a file that is being built: groups, datasets, attributes. */
#ifndef FTMPI_CKPT_IMAGE_BUILDER_H
#define FTMPI_CKPT_IMAGE_BUILDER_H

#include "ckpt/hdf5_memory.h"
#include "ckpt/snapshot.h"

/** A group keeps its links in its header up to this many, HDF5's limit; beyond, it would be a heap, which the reader refuses. */
enum { FTMPI__MAX_LINKS = 65535 };

/** A file that is being built: its metadata alone are in memory, its data are the snapshot's. */
typedef struct ftmpi__builder {
	const ftmpi__snapshot *snapshot;
	ftmpi__hdf5_memory memory;
	hid_t access, creation, file;
	hid_t group_properties, dataset_properties;
	bool places;      /**< give the datasets their places in the file; else they have none yet */
	bool knows_base;  /**< a dataset has its place */
	uint64_t base;    /**< where in the file the data begin */
	uint64_t n_bytes; /**< of the file, once it is closed */
} ftmpi__builder;

/** Record HDF5's error about the object `what`. Returns ERR_MEMORY or ERR_INTERNAL. */
ftmpi_status ftmpi__builder_failed(const ftmpi__builder *b, const char *what, const char *file, int line);

/** Call HDF5; on failure go to `done:`. */
#define FTMPI__TRY_HDF5(b, call, what)                                                                                 \
	FTMPI_TRY((call) >= 0 ? FTMPI_OK : ftmpi__builder_failed((b), (what), __FILE__, __LINE__))

/** UTF-8 of a fixed length; −1 on failure. */
hid_t ftmpi__string_type(size_t n_bytes, H5T_str_t padding);

/** An attribute of one element, at an open object. */
ftmpi_status ftmpi__put_attribute(const ftmpi__builder *b, hid_t object, const char *name, hid_t type,
				  const void *value) FTMPI_CHECK_RESULT;
ftmpi_status ftmpi__put_text_attribute(const ftmpi__builder *b, hid_t object, const char *name,
				       const char *text) FTMPI_CHECK_RESULT;

/** A group and all that it lies in, unless they are there. */
ftmpi_status ftmpi__put_groups(const ftmpi__builder *b, const char *path) FTMPI_CHECK_RESULT;

/**
 * A dataset whose bytes lie `at` in the snapshot's data, just as in the file, and the groups that it lies in. Errors: ERR_INTERNAL too when HDF5 puts them
 * elsewhere in the file.
 */
ftmpi_status ftmpi__put_dataset(ftmpi__builder *b, const char *path, hid_t type, int n_dims, const int64_t *dims,
				size_t at) FTMPI_CHECK_RESULT;

#endif
