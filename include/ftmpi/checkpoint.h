/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A checkpoint object over named trackables, as tf.train.Checkpoint: what is tracked is saved and restored, over all ranks.
 *
 * Names become paths in the file. What Keras knows is registered where Keras looks for it (ftmpi_model_register on ftmpi_checkpoint_registry:
 * `layers/…`; an optimizer's slots: `optimizer/vars/…`); everything else lies below `ftmpi/`: the program's own arrays as `ftmpi/user/<name>`.
 *
 * All ranks track the same things in the same order. The chief alone touches the file system.
 */
#ifndef FTMPI_CHECKPOINT_H
#define FTMPI_CHECKPOINT_H

#include <ftmpi/comm.h>
#include <ftmpi/store.h>

FTMPI_BEGIN_DECLS

typedef struct ftmpi_checkpoint ftmpi_checkpoint;

/** @param comm must outlive the checkpoint. Local, alike on all ranks. Errors: ERR_MEMORY. */
FTMPI_API ftmpi_status ftmpi_checkpoint_create(const ftmpi_comm *comm, ftmpi_checkpoint **out) FTMPI_CHECK_RESULT;
/** What is tracked stays as it is. Local. NULLs the pointer; NULL is fine. */
FTMPI_API void ftmpi_checkpoint_destroy(ftmpi_checkpoint **checkpoint);

/**
 * Track an array of the program's own, at `ftmpi/user/<name>`. Local, alike on all ranks. `data` must outlive the checkpoint.
 * @param name may have parts: "physics/constants". @param n_dims, dims 0 dimensions: a scalar.
 * @param replicated true: the same on every rank; the chief's is saved, every rank's is restored. false: it belongs to the chief; on the other
 * ranks `data` is neither read nor written, and may be NULL. Errors: as ftmpi_registry_add.
 */
FTMPI_API ftmpi_status ftmpi_checkpoint_track(ftmpi_checkpoint *checkpoint, const char *name, ftmpi_dtype dtype,
					      int n_dims, const int64_t *dims, void *data,
					      bool replicated) FTMPI_CHECK_RESULT;

/** Track one replicated number. Local, alike on all ranks. Errors: as ftmpi_registry_add. */
FTMPI_API ftmpi_status ftmpi_checkpoint_track_scalar(ftmpi_checkpoint *checkpoint, const char *name, ftmpi_dtype dtype,
						     void *data) FTMPI_CHECK_RESULT;

/**
 * Functions of a trackable around saving and restoring; any may be NULL. All are called on every rank, in the order in which they were added; the first
 * error on any rank, agreed, ends the save or the restore. after_copy comes once all before_save went well: the chief has its copies, or failed to make them.
 */
typedef struct ftmpi_trackable {
	void *context;
	ftmpi_status (*before_save)(
		void *context); /**< have ready what is saved; it stays until it is copied. Collective. */
	ftmpi_status (*after_restore)(void *context); /**< check and take over what was restored. Local. */
	ftmpi_status (*after_copy)(void *context);    /**< bring the digests of parts. Collective. */
} ftmpi_trackable;

/** @param trackable copied. Local, alike on all ranks. Errors: ERR_MEMORY. */
FTMPI_API ftmpi_status ftmpi_checkpoint_add(ftmpi_checkpoint *checkpoint,
					    const ftmpi_trackable *trackable) FTMPI_CHECK_RESULT;

/** The registry behind it, for arrays at paths of one's choice. Local. */
FTMPI_API ftmpi_registry *ftmpi_checkpoint_registry(ftmpi_checkpoint *checkpoint);

/** Saves so far: restored with the rest; the counter inside `ckpt-N` that ftmpi_checkpoint_save or a manager without a number of its own wrote is N.
 * In the file: `ftmpi/run/save_counter`. Local. */
FTMPI_API int64_t ftmpi_checkpoint_save_counter(const ftmpi_checkpoint *checkpoint);

/**
 * Save as `<prefix>-<N>.weights.h5`, N the raised save counter, and list it in the state file of its folder, which is made if missing and locked
 * meanwhile; nothing is deleted. Collective. Nothing is overwritten either: where the folder has a checkpoint of this number or a higher one (that the
 * program did not restore), the counter goes on behind it. On an error the counter is as before.
 * @param path set to the file, FTMPI_PATH_MAX bytes, on every rank; NULL: not wanted.
 * Errors (agreed): as before_save and after_copy, ftmpi_store_open (ERR_BUSY too when a manager has the folder) and ftmpi_store_save.
 */
FTMPI_API ftmpi_status ftmpi_checkpoint_save(ftmpi_checkpoint *checkpoint, const char *prefix,
					     char *path) FTMPI_CHECK_RESULT;

/** Write `<prefix>.weights.h5`, replacing it atomically: no counter, no state file, no lock. The folder is made if missing. Collective. Parameters and
 * errors as ftmpi_checkpoint_save. */
FTMPI_API ftmpi_status ftmpi_checkpoint_write(ftmpi_checkpoint *checkpoint, const char *prefix,
					      char *path) FTMPI_CHECK_RESULT;

/** What a restore matched and what it did not; the same on every rank. */
typedef struct ftmpi_restore_status ftmpi_restore_status;

/**
 * Restore what the file and the program have in common, the save counter too. Collective. Two phases: the chief compares the file with the program and all
 * ranks agree on it; only then is anything written, and each rank compares what it received with the file's digests.
 * @param path a file, with or without `.weights.h5`; or a folder: its newest good checkpoint, bad ones passed over with a warning.
 * @param out NULL (the same on all ranks): everything in the program must be in the file (as ftmpi_restore_assert_existing_objects_matched), or nothing
 * is restored. Errors (agreed): ERR_NOT_FOUND, ERR_DATA (a bad file; entries that differ in type or shape, at most 10 named; another list of entries
 * on some rank), ERR_IO, ERR_MEMORY, ERR_MPI: nothing was restored then. ERR_DATA when a rank received other bits than the file has, ERR_MPI in the
 * second phase, or as after_restore: what is tracked holds anything.
 */
FTMPI_API ftmpi_status ftmpi_checkpoint_restore(ftmpi_checkpoint *checkpoint, const char *path,
						ftmpi_restore_status **out) FTMPI_CHECK_RESULT;

/** As ftmpi_checkpoint_restore, but the save counter stays. Collective. */
FTMPI_API ftmpi_status ftmpi_checkpoint_read(ftmpi_checkpoint *checkpoint, const char *path,
					     ftmpi_restore_status **out) FTMPI_CHECK_RESULT;

/** Restore everything from an open file. Collective. @param reader the chief's; NULL elsewhere. Errors: as ftmpi_checkpoint_restore with out NULL. */
FTMPI_API ftmpi_status ftmpi_checkpoint_restore_reader(ftmpi_checkpoint *checkpoint,
						       const ftmpi_reader *reader) FTMPI_CHECK_RESULT;

/** Everything in the file was used, and everything in the program was matched. Local. Errors: ERR_DATA, naming at most 10 paths of each kind. Paths below
 * `ftmpi/run` are about the run and never count. */
FTMPI_API ftmpi_status ftmpi_restore_assert_consumed(ftmpi_restore_status *restored) FTMPI_CHECK_RESULT;
/** Everything in the program was matched, but for paths below `ftmpi/run`. Local. Errors: ERR_DATA, naming at most 10 paths. */
FTMPI_API ftmpi_status ftmpi_restore_assert_existing_objects_matched(ftmpi_restore_status *restored) FTMPI_CHECK_RESULT;
/** No warning about what was not matched. Local. */
FTMPI_API void ftmpi_restore_expect_partial(ftmpi_restore_status *restored);
/** Warns once, on the chief, about what was not matched, unless that was expected or an assertion was made. Local. NULLs the pointer; NULL is fine. */
FTMPI_API void ftmpi_restore_status_destroy(ftmpi_restore_status **restored);

/** Digest of the state, as a checkpoint saved now would have it. Collective. Errors (agreed): as before_save and after_copy, ERR_MEMORY, ERR_MPI,
 * ERR_REPLICA (the chief reads other bits than the owner of a part vouches for). */
FTMPI_API ftmpi_status ftmpi_checkpoint_state_digest(ftmpi_checkpoint *checkpoint,
						     ftmpi_digest *out) FTMPI_CHECK_RESULT;

FTMPI_END_DECLS

#endif
