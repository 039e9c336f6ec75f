/* SPDX-License-Identifier: Apache-2.0 */
/* The table of digests of a file against what the file holds. */
#ifndef FTMPI_CKPT_READER_TABLE_H
#define FTMPI_CKPT_READER_TABLE_H

#include "ckpt/reader_inside.h"

/**
 * Walk the bytes, check the version of the format, check every dataset against the table of digests, and the table against its own digest. Sets
 * `variables`, `n_variables` and `state_digest`. @param vouched the datasets' own bytes are known to match their digests: they are not looked at.
 * Errors: ERR_DATA, ERR_MEMORY.
 */
ftmpi_status ftmpi__reader_take_contents(ftmpi_reader *reader, const uint8_t *bytes, bool vouched) FTMPI_CHECK_RESULT;

#endif
