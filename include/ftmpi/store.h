/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A directory of checkpoints with TensorFlow's state file, retention, a lock, and a commit that no crash can break.
 * Local: only the chief opens a store. checkpoint.h has the collective side.
 *
 * Files: `<name>-<N>.weights.h5`, the state file `checkpoint`, `<name>-<N>.weights.h5.tmp` while one is written, `….bad` set aside as bad,
 * `….suspect` set aside on request, and `.ftmpi.lock`.
 */
#ifndef FTMPI_STORE_H
#define FTMPI_STORE_H

#include <ftmpi/reader.h>

FTMPI_BEGIN_DECLS

typedef struct ftmpi_store ftmpi_store;

/** Longest path of a checkpoint, with the terminating zero. */
#define FTMPI_PATH_MAX 4096

typedef struct ftmpi_store_options {
	const char *name; /**< file prefix, "ckpt" */
	const char *
		number_path; /**< int64 variable that is the checkpoint's number; a file that says otherwise is bad. NULL: none;
				    * else it must outlive the store */
	int64_t keep_max;          /**< newest checkpoints kept; 0: all */
	double keep_every_n_hours; /**< beside those, keep one for good this often; 0: never */
	double lock_wait_s;        /**< how long to wait for the lock of a run that is going down */
	bool read_only;            /**< look only: no lock, nothing removed, renamed or created */
	double (*now)(void *);     /**< seconds since 1970; NULL: the system clock */
	void *now_context;
} ftmpi_store_options;

/** name "ckpt", keep_max 5, keep_every_n_hours 0, lock_wait_s 10. */
FTMPI_API void ftmpi_store_options_init(ftmpi_store_options *options);

/**
 * Open a directory, made if it is missing (not when read-only: ERR_NOT_FOUND). Takes the lock, which dies with the process; removes temporaries of an
 * earlier crash; reads the state file and the directory. A damaged state file is rebuilt from the directory, with a warning.
 * Errors: ERR_BUSY (names the holder's host and process), ERR_IO, ERR_NO_SPACE, ERR_NOT_FOUND, ERR_USAGE, ERR_MEMORY.
 */
FTMPI_API ftmpi_status ftmpi_store_open(const char *directory, const ftmpi_store_options *options,
					ftmpi_store **out) FTMPI_CHECK_RESULT;
FTMPI_API void ftmpi_store_close(ftmpi_store **store);

/**
 * How many runs failed in the directory before this one and after the last save: those whose process died with the store open, and those that closed it at
 * work. A save sets it to 0, here and in the directory: what is to last longer belongs in the checkpoint. A death between the two
 * counts nothing twice. Local. @return 0 for a store that only looks.
 */
FTMPI_API int64_t ftmpi_store_n_failures(const ftmpi_store *store);

/** Say whether closing the store now would be a failure: work since the last checkpoint would be lost. Not so at first. Local. */
FTMPI_API void ftmpi_store_set_at_work(ftmpi_store *store, bool at_work);

/** Longest name of a store, with the terminating zero. */
#define FTMPI_STORE_NAME_MAX 128

/**
 * What the checkpoints of a directory are called: as its state file says, else as the youngest file is; "ckpt" where there is neither. Local.
 * Errors: ERR_NOT_FOUND (no directory), ERR_IO, ERR_MEMORY.
 */
FTMPI_API ftmpi_status ftmpi_store_find_name(const char *directory, char name[FTMPI_STORE_NAME_MAX]) FTMPI_CHECK_RESULT;

FTMPI_API const char *ftmpi_store_directory(const ftmpi_store *store);
/** The files' prefix: "ckpt". Local. */
FTMPI_API const char *ftmpi_store_name(const ftmpi_store *store);

/** One checkpoint of a store. */
typedef struct ftmpi_store_item {
	int64_t number;
	char file[FTMPI_PATH_MAX]; /**< path */
	double timestamp_s; /**< when it was saved, seconds since 1970; the file's time where the state file does not list it */
	bool listed;         /**< length and digest are known, from the state file or because this store saved it */
	bool preserved;      /**< kept for good by keep_every_n_hours */
	size_t n_bytes;      /**< listed only */
	ftmpi_digest digest; /**< of the whole file; listed only */
} ftmpi_store_item;

/** Checkpoints by number, oldest first. Local. An item is valid until the next call that changes the store. */
FTMPI_API int ftmpi_store_n_items(const ftmpi_store *store);
FTMPI_API const ftmpi_store_item *ftmpi_store_get(const ftmpi_store *store, int i);

/** Files that were set aside in the directory, as `….bad` and as `….suspect`. Local. */
FTMPI_API int ftmpi_store_n_bad(const ftmpi_store *store);
FTMPI_API int ftmpi_store_n_suspect(const ftmpi_store *store);

/**
 * Save a registry as checkpoint `number`: build the image, write a temporary, fsync, read back and verify, rename, fsync the directory, list it in
 * the state file, delete what retention drops, list again. On any error the temporary is removed and every older checkpoint stays.
 * A checkpoint of the same number is replaced atomically.
 * @param file set to the path, FTMPI_PATH_MAX bytes; NULL: not wanted.
 * Errors: ERR_IO, ERR_NO_SPACE, ERR_MEMORY, ERR_USAGE, ERR_BUSY (the lock was lost), ERR_REPLICA (a copy is not what the owner of a part vouches
 * for), ERR_INTERNAL (the image does not verify). When the error comes after the rename, the new
 * checkpoint is complete and stays; the message says so. Once it is listed, a failing deletion is only a warning.
 */
FTMPI_API ftmpi_status ftmpi_store_save(ftmpi_store *store, const ftmpi_registry *registry, int64_t number,
					char *file) FTMPI_CHECK_RESULT;

/**
 * Begin to save a registry as checkpoint `number`: its arrays are copied, and a thread of the store does the rest of ftmpi_store_save while the caller goes
 * on and may change them. One save at a time: ftmpi_store_save_end comes before the next one. Until then every other function of the store waits for it.
 * The registry must stay as it is, but for the values of its arrays. On the thread that called ftmpi_init, which must not be left to others: HDF5 begins here.
 * Memory: the copy, which becomes the file's image; it is kept for the next save. Errors: ERR_USAGE, ERR_MEMORY, ERR_BUSY, ERR_INTERNAL: nothing is in flight.
 */
FTMPI_API ftmpi_status ftmpi_store_save_begin(ftmpi_store *store, const ftmpi_registry *registry,
					      int64_t number) FTMPI_CHECK_RESULT;

/** Wait for the save in flight, at most so many seconds; 0: only look; negative: for ever. @return whether it is over, or there is none. */
FTMPI_API bool ftmpi_store_save_wait(ftmpi_store *store, double most_s);

/** Processor seconds that the store's thread has used: a sign that it is at work. */
FTMPI_API double ftmpi_store_save_cpu_s(const ftmpi_store *store);

/** Wait for the save in flight; how it went. Only now it counts as saved. @param file as for ftmpi_store_save. @param write_s set to the seconds from its
 * begin until it was durable; NULL: not wanted. Errors: as ftmpi_store_save; ERR_USAGE when none is in flight. */
FTMPI_API ftmpi_status ftmpi_store_save_end(ftmpi_store *store, char *file, double *write_s) FTMPI_CHECK_RESULT;

/**
 * Open the newest good checkpoint. Those that do not verify are renamed to `….bad` (read-only: passed over) with one warning line each that
 * says why. @param out set to NULL when there is no checkpoint and none was lost: a new directory, or one that was pruned of all.
 * Errors: ERR_DATA when there were checkpoints and none is good (`….bad` files of earlier runs and files that the state file lists but that are
 * gone count); ERR_IO, ERR_MEMORY: the file may be good, it is not set aside.
 */
FTMPI_API ftmpi_status ftmpi_store_open_latest(ftmpi_store *store, ftmpi_reader **out) FTMPI_CHECK_RESULT;

/** Verify one checkpoint: against length and digest of the state file if it is listed, then as ftmpi_reader_open. Local.
 * @param out the open reader; NULL: not wanted. Errors: as ftmpi_reader_open. */
FTMPI_API ftmpi_status ftmpi_store_verify(const ftmpi_store *store, int i, ftmpi_reader **out) FTMPI_CHECK_RESULT;

/** Delete every checkpoint and the state file: the directory is as new, but for what was set aside. A crash in between loses none that is still wanted later:
 * those that are left are found at the next opening. Errors: ERR_IO, ERR_USAGE (read-only), ERR_BUSY. */
FTMPI_API ftmpi_status ftmpi_store_clear(ftmpi_store *store) FTMPI_CHECK_RESULT;

/** Delete all but the newest `keep` checkpoints (0: all; preserved ones stay), then list what is left. Errors: ERR_IO, ERR_USAGE.
 * @param n_deleted NULL: not wanted. */
FTMPI_API ftmpi_status ftmpi_store_prune(ftmpi_store *store, int64_t keep, int64_t *n_deleted) FTMPI_CHECK_RESULT;

/**
 * Set the newest checkpoint aside as `….suspect`: the file is good, but what goes on from it dies. It is not restored from any more, and only where an
 * older one verifies. @param number set to its number.
 * Errors: ERR_NOT_FOUND (there is no older good one), ERR_USAGE (read-only; one of this number was set aside before), ERR_IO, ERR_NO_SPACE, ERR_MEMORY.
 */
FTMPI_API ftmpi_status ftmpi_store_set_aside(ftmpi_store *store, int64_t *number) FTMPI_CHECK_RESULT;

/** Give a checkpoint that was set aside so its name back. Errors: ERR_NOT_FOUND, ERR_USAGE (there is another of this number; read-only), ERR_DATA (it does
 * not verify any more), ERR_IO, ERR_NO_SPACE, ERR_MEMORY. */
FTMPI_API ftmpi_status ftmpi_store_put_back(ftmpi_store *store, int64_t number) FTMPI_CHECK_RESULT;

FTMPI_END_DECLS

#endif
