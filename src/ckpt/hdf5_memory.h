/* SPDX-License-Identifier: Apache-2.0 */
/* An HDF5 file that lives in memory alone and whose bytes outlive it, and HDF5's reason for an error. */
#ifndef FTMPI_CKPT_HDF5_MEMORY_H
#define FTMPI_CKPT_HDF5_MEMORY_H

#include "ckpt/image.h"

#include <hdf5.h>

/** The memory of a file while it is written, and what is left of it after the file is closed: up to the last byte that was written, and some more. */
typedef struct ftmpi__hdf5_memory {
	void *data;
	size_t n_bytes; /**< of `data` */
	bool exhausted; /**< an allocation failed: HDF5 itself cannot say so */
} ftmpi__hdf5_memory;

/** File access properties of a file in `memory`; −1 on failure. @param metadata_bytes put metadata together in blocks of so many bytes; 0: each by itself. */
hid_t ftmpi__hdf5_memory_access(ftmpi__hdf5_memory *memory, uint64_t metadata_bytes);

/** Innermost reason on HDF5's error stack, in `text`. Returns `text`. */
const char *ftmpi__hdf5_reason(char *text, size_t text_bytes);

#endif
