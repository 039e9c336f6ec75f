/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a checkpoint object. */
#ifndef FTMPI_CKPT_CHECKPOINT_INSIDE_H
#define FTMPI_CKPT_CHECKPOINT_INSIDE_H

#include "ckpt/reader_load.h"

#include <ftmpi/checkpoint.h>

struct ftmpi_checkpoint {
	const ftmpi_comm *comm;
	ftmpi_registry *registry;
	int64_t save_counter;    /* registered, at FTMPI__SAVE_COUNTER */
	ftmpi_buffer trackables; /* ftmpi_trackable */
	bool is_ready;           /* before_save was called, after_copy not yet */
};

#define FTMPI__SAVE_COUNTER FTMPI__RUN "/save_counter"

/* checkpoint.c */

int ftmpi__checkpoint_n_trackables(const ftmpi_checkpoint *checkpoint);
const ftmpi_trackable *ftmpi__checkpoint_trackable(const ftmpi_checkpoint *checkpoint, int i);

/** The save counter raised by one, beyond `newest`. It stops at the largest number. */
int64_t ftmpi__checkpoint_next(const ftmpi_checkpoint *checkpoint, int64_t newest);

/** Save into the chief's store as `number`, with the save counter set to `counter` and put back on an error. Collective. Errors: as before_save and
 * ftmpi_store_save. */
ftmpi_status ftmpi__checkpoint_save(ftmpi_checkpoint *checkpoint, ftmpi_store *store, int64_t number,
				    int64_t counter) FTMPI_CHECK_RESULT;

/** Begin the same with the store's writer. Collective. After an error the counter is as before, and nothing is in flight. Errors: as before_save and
 * ftmpi_store_save_begin. */
ftmpi_status ftmpi__checkpoint_save_begin(ftmpi_checkpoint *checkpoint, ftmpi_store *store, int64_t number,
					  int64_t counter) FTMPI_CHECK_RESULT;
/** End it: wait for the writer, agree on how it went. Collective. @param old_counter what the save counter becomes on an error. @param write_s set to the
 * seconds from its begin until it was over, on every rank. Errors: as ftmpi_store_save_end. */
ftmpi_status ftmpi__checkpoint_save_end(ftmpi_checkpoint *checkpoint, ftmpi_store *store, int64_t old_counter,
					double *write_s) FTMPI_CHECK_RESULT;
/** On the chief: wait for the writer, and show the watchdog that it is at work. Local. */
void ftmpi__wait_for_writer(const ftmpi_comm *comm, ftmpi_store *store);

/* restore.c */

/** Restore from the chief's reader, as ftmpi_checkpoint_restore says. Collective. @param with_counter whether the save counter is restored too. */
ftmpi_status ftmpi__checkpoint_restore(ftmpi_checkpoint *checkpoint, const ftmpi_reader *reader, bool with_counter,
				       ftmpi_restore_status **out) FTMPI_CHECK_RESULT;

/* restore_status.c */

ftmpi_status ftmpi__restore_status_create(ftmpi_restore_status **out) FTMPI_CHECK_RESULT;
/** On the chief: what of the program is not in the file, and what of the file is not in the program. Errors: ERR_MEMORY. */
ftmpi_status ftmpi__restore_status_fill(ftmpi_restore_status *restored, const ftmpi_reader *reader,
					const ftmpi_registry *registry) FTMPI_CHECK_RESULT;
/** From the chief to all. Collective. Errors (agreed): ERR_MEMORY, ERR_MPI. */
ftmpi_status ftmpi__restore_status_share(ftmpi_restore_status *restored, const ftmpi_comm *comm) FTMPI_CHECK_RESULT;

#endif
