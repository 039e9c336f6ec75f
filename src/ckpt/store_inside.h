/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a store: the directory of checkpoints. */
#ifndef FTMPI_CKPT_STORE_INSIDE_H
#define FTMPI_CKPT_STORE_INSIDE_H

#include "ckpt/reader_inside.h"
#include "ckpt/snapshot.h"
#include "ckpt/writer.h"

#include <ftmpi/store.h>

#define FTMPI__STATE_FILE     "checkpoint"
#define FTMPI__STATE_FILE_TMP "checkpoint.tmp"
#define FTMPI__LOCK_FILE      ".ftmpi.lock"
#define FTMPI__SUFFIX         ".weights.h5"
#define FTMPI__TMP            ".tmp"
#define FTMPI__BAD            ".bad"
#define FTMPI__SUSPECT        ".suspect"

/** Longest name of a store, and of a file in its directory with the terminating zero. */
enum { FTMPI__NAME_MAX = FTMPI_STORE_NAME_MAX, FTMPI__FILE_NAME_MAX = 256 };

/** Largest state file that is read: some 80 000 checkpoints. */
enum { FTMPI__STATE_MAX_BYTES = 16 << 20 };

/** What the state file says. The same in memory while a store is open. */
typedef struct ftmpi__state {
	ftmpi_buffer items; /**< ftmpi_store_item, by number */
	double last_preserved_s;
} ftmpi__state;

/** The save that is going on, or the last one. */
struct ftmpi__saving {
	ftmpi__writer *writer; /**< NULL: none was needed yet */
	ftmpi__snapshot snapshot;
	int64_t number;
	bool pending;              /**< with the writer, and not ended by save_end */
	ftmpi_store_item facts;    /**< of the new checkpoint */
	double begin_s, durable_s; /**< monotonic */
};

struct ftmpi_store {
	ftmpi__directory directory;
	char *path; /**< what directory.path points to */
	char name[FTMPI__NAME_MAX];
	ftmpi_store_options options;
	bool quiet;         /**< no warnings about the directory: for one that looks again and again */
	int lock_fd;        /**< −1: no lock */
	int64_t n_failures; /**< that were found with the lock, and that no checkpoint followed */
	bool at_work;       /**< closing now is a failure */
	ftmpi__state state;
	int n_bad, n_suspect;
	int n_vanished; /**< files that the state file lists and that are not there */
	bool unsynced;  /**< a checkpoint has its name, but the fsync of the directory failed: the name may be lost */
	struct ftmpi__saving saving;
};

/* store.c */

/** As ftmpi_store_open. @param quiet no warnings about the directory. */
ftmpi_status ftmpi__store_open(const char *directory, const ftmpi_store_options *options, bool quiet,
			       ftmpi_store **out) FTMPI_CHECK_RESULT;
/** Whether checkpoints can have this name: it is part of file names and of the state file, where it must need no quoting. */
bool ftmpi__name_is_good(const char *name);

/* look.c */

/** How often one that looks without a lock looks again when files vanish under it. */
enum { FTMPI__MAX_LOOKS = 20 };
/** Open a directory to look only. @param name NULL: that of its checkpoints. Errors: ERR_NOT_FOUND (no directory; no checkpoints in it), ERR_USAGE,
 * ERR_IO, ERR_MEMORY. */
ftmpi_status ftmpi__look_open(const char *directory, const char *name, bool quiet,
			      ftmpi_store **out) FTMPI_CHECK_RESULT;

/* items.c */

int ftmpi__items_count(const ftmpi__state *state);
ftmpi_store_item *ftmpi__items_get(const ftmpi__state *state, int i);
/** Index of the item with this number; −1 when there is none. */
int ftmpi__items_find(const ftmpi__state *state, int64_t number);
/** Make room for the item with this number, which is new, in its place. Sets `number`. Errors: ERR_MEMORY. */
ftmpi_status ftmpi__items_insert(ftmpi__state *state, int64_t number, ftmpi_store_item **out) FTMPI_CHECK_RESULT;
void ftmpi__items_remove(ftmpi__state *state, int i);

/** "ckpt-7.weights.h5" and `suffix`. */
void ftmpi__file_name(const char *name, int64_t number, const char *suffix, char out[FTMPI__FILE_NAME_MAX]);
/** The number of "<name>-<number>" followed by exactly `rest`: digits alone, no leading zeros, no overflow. */
bool ftmpi__file_number(const char *name, const char *text, const char *rest, int64_t *number);
/** Digits of `text` as a number: no sign, no leading zeros, no overflow. Returns what follows; NULL when there is no number. */
const char *ftmpi__parse_number(const char *text, int64_t *number);

/* clock.c */

/** Seconds since 1970, in whole microseconds, which the state file keeps exactly. */
double ftmpi__store_now(const ftmpi_store *store);
/** "1588118745.120000". */
enum { FTMPI__TIME_TEXT = 32 };
void ftmpi__time_format(double time_s, char text[FTMPI__TIME_TEXT]);
/** Returns what follows; NULL when there is no time. */
const char *ftmpi__time_parse(const char *text, double *time_s);
/** Seconds in whole microseconds, between 0 and the largest time that has a text. */
double ftmpi__time_round(double time_s);

/* state_file.c */

/** Append the text of a state. Errors: ERR_MEMORY. */
ftmpi_status ftmpi__state_format(const ftmpi__state *state, const char *name, ftmpi_buffer *out) FTMPI_CHECK_RESULT;
/** Read the text of a state; the items' `file` stays empty. Errors: ERR_DATA (says what is wrong), ERR_MEMORY. */
ftmpi_status ftmpi__state_parse(const char *text, size_t n_bytes, const char *name,
				ftmpi__state *out) FTMPI_CHECK_RESULT;
/** Read the state file of a directory, as ftmpi__state_parse does. Errors: ERR_NOT_FOUND, ERR_DATA, ERR_IO, ERR_MEMORY. */
ftmpi_status ftmpi__state_read(const ftmpi__directory *directory, const char *name,
			       ftmpi__state *out) FTMPI_CHECK_RESULT;
/** The name of the checkpoints that the state file of a directory lists. Errors: as ftmpi__state_read; ERR_NOT_FOUND when it lists none. */
ftmpi_status ftmpi__state_name(const ftmpi__directory *directory, char name[FTMPI__NAME_MAX]) FTMPI_CHECK_RESULT;
/** Write the state file as a checkpoint is written; its name is durable after a fsync of the directory. Errors: ERR_IO, ERR_NO_SPACE, ERR_MEMORY. */
ftmpi_status ftmpi__state_replace(ftmpi_store *store) FTMPI_CHECK_RESULT;
/** The same, and durable. */
ftmpi_status ftmpi__state_save(ftmpi_store *store) FTMPI_CHECK_RESULT;
void ftmpi__state_clear(ftmpi__state *state);

/* lock.c */

/** Take the lock of a directory. Errors: ERR_BUSY, ERR_IO, ERR_NO_SPACE. Where the file system has no locks there is a warning. */
ftmpi_status ftmpi__lock_take(const ftmpi__directory *directory, double wait_s, int *fd) FTMPI_CHECK_RESULT;
/** Whether the file that is locked is still the one in the directory: a lock on another keeps nobody out. */
bool ftmpi__lock_held(const ftmpi__directory *directory, int fd);
/** How many holders failed since the last checkpoint. @param state what is in the directory. */
int64_t ftmpi__lock_failures(int fd, const ftmpi__state *state);
/** A checkpoint that knows of the failures so far is about to get its name: once it is there, they are not counted again. */
void ftmpi__lock_tell_failures(int fd, int64_t number);
/** A checkpoint is saved: the count of failures begins anew. */
void ftmpi__lock_forget_failures(int fd);
/** Give the lock back. @param failed the holder has failed, though it is alive. */
void ftmpi__lock_release(int *fd, bool failed);

/* scan.c */

/**
 * Bring a store's items in line with the files that are there: set their paths, add those that the state file does not list, drop those
 * that are gone; count what was set aside; remove temporaries unless read-only. Errors: ERR_IO, ERR_MEMORY.
 */
ftmpi_status ftmpi__store_scan(ftmpi_store *store) FTMPI_CHECK_RESULT;

/* commit.c */

/** Whether a store may be changed, and may get a checkpoint of this number. Errors: ERR_USAGE, ERR_BUSY (its lock was lost). */
ftmpi_status ftmpi__check_save(const ftmpi_store *store, int64_t number) FTMPI_CHECK_RESULT;

/** Commit a snapshot as checkpoint `number`. On any thread. @param facts set to what the list has of it. @param durable_s set to when no
 * crash could take it away any more: what retention deletes comes after that. Errors: as ftmpi_store_save. */
ftmpi_status ftmpi__commit(ftmpi_store *store, ftmpi__snapshot *snapshot, int64_t number, ftmpi_store_item *facts,
			   double *durable_s) FTMPI_CHECK_RESULT;
/** An error before the commit, told as one of the commit. @return status. */
ftmpi_status ftmpi__not_saved(const ftmpi_store *store, int64_t number, ftmpi_status status);

/* save.c */

/** Wait for a save in flight: the list is the caller's then. */
void ftmpi__store_settle(const ftmpi_store *store);
/** End a save in flight that nobody asks for any more: a failure is a warning. Leaves the error record alone. */
void ftmpi__saving_abandon(ftmpi_store *store);
/** The same, and free what saving has. */
void ftmpi__saving_clear(ftmpi_store *store);

/* retention.c */

/** Delete what is too many, once the names of those that stay are durable; `keep_number` stays in any case. @param preserve whether keep_every_n_hours applies. @param n_deleted, n_failed set. */
void ftmpi__retention_sweep(ftmpi_store *store, int64_t keep, int64_t keep_number, bool preserve, int64_t *n_deleted,
			    int64_t *n_failed);

#endif
