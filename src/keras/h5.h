/* SPDX-License-Identifier: Apache-2.0 */
/* HDF5 files as h5py and Keras write them, and as ftmpi does, read from memory without HDF5's library. */
#ifndef FTMPI_KERAS_H5_H
#define FTMPI_KERAS_H5_H

#include "ckpt/hdf5_messages.h"
#include "ckpt/image.h"

/** Most filters that a dataset's chunks went through. */
#define FTMPI__H5_MAX_FILTERS 4

/** The filters that can be undone, by HDF5's numbers. */
enum { FTMPI__H5_DEFLATE = 1, FTMPI__H5_SHUFFLE = 2, FTMPI__H5_FLETCHER32 = 3 };

/** A dataset, or a link that leads to none. */
typedef struct ftmpi__h5_array {
	const char *wrong;       /**< why it cannot be read; the rest says nothing then. NULL: it can */
	ftmpi__hdf5_value value; /**< `data` is NULL when there are no bytes or they are in chunks */
	bool is_chunked;
	uint64_t chunks;               /**< address of the tree of chunks */
	int64_t chunk[FTMPI_MAX_DIMS]; /**< shape of a chunk */
	size_t chunk_bytes;            /**< of a chunk before the filters */
	int n_filters;                 /**< applied in this order when it was written */
	int filters[FTMPI__H5_MAX_FILTERS];
} ftmpi__h5_array;

/** Called for each dataset, and for each link that is not followed. `path` is without a leading slash and valid during the call. */
typedef ftmpi_status ftmpi__h5_visit(void *context, const char *path, const ftmpi__h5_array *array);

/** Walk all objects. Allocates nothing. @param file for messages. Errors: ERR_DATA; what `visit` returns. */
ftmpi_status ftmpi__h5_walk(const ftmpi__image *image, const char *file, ftmpi__h5_visit *visit,
			    void *context) FTMPI_CHECK_RESULT;

/**
 * Read a dataset that is in chunks. Allocates two chunks, each not much longer than the dataset.
 * @param out value.n_bytes bytes, in the file's types. Errors: ERR_DATA, ERR_MEMORY.
 */
ftmpi_status ftmpi__h5_read_chunks(const ftmpi__image *image, const char *file, const char *path,
				   const ftmpi__h5_array *array, uint8_t *out) FTMPI_CHECK_RESULT;

/* Inside h5_*.c. */

/** A walk over a file of HDF5's first format. */
typedef struct ftmpi__h5_file {
	const ftmpi__image *image;
	const char *name;    /**< of the file */
	uint64_t bytes_left; /**< of the file, not yet taken for headers and groups */
	char path[1024];     /**< of the object being walked; "" for the root */
	size_t path_bytes;
	int depth;
	ftmpi__h5_visit *visit;
	void *context;
} ftmpi__h5_file;

/** What an object's header says: a group, a dataset, or neither. */
typedef struct ftmpi__h5_object {
	bool is_group, is_dataset;
	uint64_t names, links; /**< of a group: addresses of the heap of names and of the tree of links */
	ftmpi__h5_array array; /**< of a dataset */
} ftmpi__h5_object;

/** Record that the file is damaged. Returns ERR_DATA. */
ftmpi_status ftmpi__h5_bad(const ftmpi__h5_file *file, const char *what) FTMPI_CHECK_RESULT;

/** A cursor over `n_bytes` bytes of headers, which are counted: so none is walked twice for long. Errors: ERR_DATA. */
ftmpi_status ftmpi__h5_open(ftmpi__h5_file *file, uint64_t address, uint64_t n_bytes,
			    ftmpi__cursor *out) FTMPI_CHECK_RESULT;

/** Read an object's header. Errors: ERR_DATA. */
ftmpi_status ftmpi__h5_object_read(ftmpi__h5_file *file, uint64_t address, ftmpi__h5_object *out) FTMPI_CHECK_RESULT;

/** Head of a node of a tree of this type (0 links, 1 chunks): its level and number of children. Errors: ERR_DATA. */
ftmpi_status ftmpi__h5_node_open(ftmpi__h5_file *file, uint64_t address, unsigned type, size_t key_bytes, int *level,
				 int *n_children, ftmpi__cursor *out) FTMPI_CHECK_RESULT;

#endif
