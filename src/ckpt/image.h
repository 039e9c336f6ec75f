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
 * Build the file of a registry. All HDF5 calls of the layer are made here, on the calling thread. The same registry with the same values
 * gives the same bytes. Peak memory: the image and little more. Errors: ERR_MEMORY, ERR_USAGE, ERR_INTERNAL (with HDF5's reason).
 */
ftmpi_status ftmpi__image_build(const ftmpi_registry *registry, ftmpi__image *out) FTMPI_CHECK_RESULT;

#endif
