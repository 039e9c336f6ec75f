/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint file as bytes in memory, built from a registry. */
#ifndef FTMPI_CKPT_IMAGE_H
#define FTMPI_CKPT_IMAGE_H

#include "base/file.h"

#include <ftmpi/registry.h>

/** Version of what is under /ftmpi; a reader refuses a larger one. */
#define FTMPI__FORMAT_VERSION 1

/** Names of ours in a file. */
#define FTMPI__GROUP          "ftmpi"
#define FTMPI__ATTR_VERSION   "format_version"
#define FTMPI__DIGESTS        "ftmpi/digests"
#define FTMPI__DIGESTS_PATHS  "ftmpi/digests/paths"
#define FTMPI__DIGESTS_HASHES "ftmpi/digests/xxh3_128"
#define FTMPI__DIGESTS_KINDS  "ftmpi/digests/kinds"
#define FTMPI__ATTR_STATE     "state_xxh3_128"
#define FTMPI__ATTR_TABLE     "table_xxh3_128"

/**
 * Build the file of a registry: the bytes that ftmpi__snapshot_take and ftmpi__image_seal give, in memory that is the caller's.
 * Errors: ERR_MEMORY, ERR_USAGE, ERR_INTERNAL (with HDF5's reason).
 */
ftmpi_status ftmpi__image_build(const ftmpi_registry *registry, ftmpi__image *out) FTMPI_CHECK_RESULT;

struct ftmpi__snapshot;

/**
 * Make the file of a snapshot, in the snapshot's own memory. All HDF5 calls of the layer are made here, on the calling thread, under HDF5's lock. The same
 * registry with the same values gives the same bytes. Peak memory: the snapshot and its metadata. @param out lies in the snapshot: not to be cleared.
 * Errors: ERR_MEMORY, ERR_INTERNAL (with HDF5's reason).
 */
ftmpi_status ftmpi__image_seal(struct ftmpi__snapshot *snapshot, ftmpi__image *out) FTMPI_CHECK_RESULT;

/** Have the HDF5 library begin, which calls MPI: on the main thread, before another one seals an image. Errors: ERR_INTERNAL. */
ftmpi_status ftmpi__image_prepare(void) FTMPI_CHECK_RESULT;

#endif
