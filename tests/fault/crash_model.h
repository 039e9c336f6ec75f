/* SPDX-License-Identifier: Apache-2.0 */
/* A file system that forgets whatever it may, fed with the shim's log.
 *
 * It knows, after each call, what is durable and what only the page cache has. A file's data is durable after fsync of the file, a name (created,
 * renamed, linked or removed) after fsync of its directory; nothing else makes anything durable. That is what POSIX promises, and less than any file
 * system of Linux gives: ext4 keeps the order of names, and syncs the name of a new file along with it. */
#ifndef FTMPI_TESTS_FAULT_CRASH_MODEL_H
#define FTMPI_TESTS_FAULT_CRASH_MODEL_H

#include "shim.h"

#include <ftmpi/hash.h>
#include <ftmpi/memory.h>
#include <stdbool.h>

enum { MODEL_PATH = 256, MODEL_NAMES = 256, MODEL_PENDING = 128, MODEL_FILES = 2048, MODEL_DIRECTORY = -2 };

/** One record of the log. */
typedef struct crash_op {
	struct shim_record record;
	const char *path, *to; /* "" when there is none */
	const char *data;
	bool dropped; /* a sync that is taken not to have happened */
} crash_op;

/** The log, to be freed with crash_log_clear. */
typedef struct crash_log {
	ftmpi_buffer bytes;
	crash_op *ops;
	int n_ops;
} crash_log;

/** A file: what the disk has for sure, and what the program has written. */
typedef struct model_file {
	ftmpi_buffer durable, current;
	bool dirty;
	uint64_t inode;
} model_file;

/** The names of a file system. A directory has the file MODEL_DIRECTORY. */
typedef struct model_names {
	struct {
		char path[MODEL_PATH];
		int file;
	} items[MODEL_NAMES];
	int n;
} model_names;

/** A change of names that may be lost. */
typedef struct model_change {
	enum shim_kind kind;
	char path[MODEL_PATH], to[MODEL_PATH];
	int file; /* created */
	int op;   /* index in the log */
} model_change;

typedef struct model {
	model_file files[MODEL_FILES];
	int n_files;
	model_names durable, current;
	model_change pending[MODEL_PENDING]; /* in the order in which they were made */
	int n_pending;
} model;

/** Whether a change of names happened. A rename that was caught in the middle has left both names. */
enum model_outcome { MODEL_LOST, MODEL_DONE, MODEL_BOTH_NAMES };

/** Read what the shim's log says of directories and of the store's files. Errors: ERR_IO, ERR_DATA. */
ftmpi_status crash_log_read(const char *file, crash_log *out) FTMPI_CHECK_RESULT;
void crash_log_clear(crash_log *log);
/** What an operation is, in words. */
void crash_op_describe(const crash_op *op, char *text, size_t text_bytes);

/** An empty file system. Errors: ERR_MEMORY. */
ftmpi_status model_create(model **out) FTMPI_CHECK_RESULT;
void model_destroy(model **m);
/** Let an operation happen. Errors: ERR_DATA: the log is not of this kind; ERR_MEMORY. */
ftmpi_status model_apply(model *m, const crash_op *op, int index) FTMPI_CHECK_RESULT;

/** Index of the name; −1: there is none. */
int model_find(const model_names *names, const char *path);
/** Number of outcomes that a pending change may have. */
int model_n_outcomes(const model_change *change);
/** The names after a crash in which each pending change had this outcome. Those in a directory that is not there are not there. */
void model_names_after(const model *m, const uint8_t *outcomes, model_names *out);

/** Write a file below a directory, with the directories on the way. Errors: ERR_IO. */
ftmpi_status model_put_file(const char *root, const char *path, const void *data, size_t n_bytes) FTMPI_CHECK_RESULT;
/** The real directory is what the log says: the names and all bytes. Errors: ERR_DATA (what differs), ERR_IO, ERR_MEMORY. */
ftmpi_status model_compare(const model *m, const char *root) FTMPI_CHECK_RESULT;

#endif
