/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of a file that is being built: groups, datasets, attributes. */
#ifndef FTMPI_CKPT_IMAGE_BUILDER_H
#define FTMPI_CKPT_IMAGE_BUILDER_H

#include "ckpt/digests.h"
#include "ckpt/hdf5_memory.h"

/** A group keeps its links in its header up to this many, HDF5's limit; beyond, it would be a heap, which the reader refuses. */
enum { FTMPI__MAX_LINKS = 65535 };

typedef struct ftmpi__builder {
	const ftmpi_registry *registry;
	ftmpi__hdf5_memory memory;
	hid_t access, creation, file;
	hid_t group_properties, dataset_properties;
	ftmpi__digest_row *rows; /**< in the order of the paths */
	int n_rows;
	ftmpi_buffer scratch;
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

/** A dataset whose bytes are in memory just as in the file, and the groups that it lies in. */
ftmpi_status ftmpi__put_dataset(const ftmpi__builder *b, const char *path, hid_t type, int n_dims, const int64_t *dims,
				const void *data) FTMPI_CHECK_RESULT;

#endif
