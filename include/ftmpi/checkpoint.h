/* SPDX-License-Identifier: Apache-2.0 */
/** @file Saving and restoring over all ranks: the chief alone touches the file system. */
#ifndef FTMPI_CHECKPOINT_H
#define FTMPI_CHECKPOINT_H

#include <ftmpi/comm.h>
#include <ftmpi/store.h>

FTMPI_BEGIN_DECLS

/**
 * Save over all ranks: the chief saves, all ranks agree on the outcome. Collective.
 * @param store the chief's; NULL elsewhere. @param file as in ftmpi_store_save, chief only. Errors (agreed): as ftmpi_store_save, ERR_MPI.
 */
FTMPI_API ftmpi_status ftmpi_checkpoint_save(const ftmpi_comm *comm, ftmpi_store *store, const ftmpi_registry *registry,
					     int64_t number, char *file) FTMPI_CHECK_RESULT;

/**
 * Restore over all ranks: the chief loads its registry from the reader and broadcasts every array; each rank hashes what it
 * received, and the digests are compared over the ranks and with the file's. Collective.
 * @param reader the chief's; NULL elsewhere. @param registry the same entries, in the same order, on every rank.
 * Errors (agreed): ERR_DATA, ERR_MEMORY, ERR_MPI. When entries or shapes do not fit, nothing was written; after any later error the arrays hold
 * anything.
 */
FTMPI_API ftmpi_status ftmpi_checkpoint_restore(const ftmpi_comm *comm, const ftmpi_reader *reader,
						const ftmpi_registry *registry) FTMPI_CHECK_RESULT;

FTMPI_END_DECLS

#endif
