/* SPDX-License-Identifier: Apache-2.0 */
/* What the shim writes for others to read, and what a test asks of it.
 *
 * The shim is put between a program and the C library (LD_PRELOAD). It writes down, with all data, each call that changes something below the
 * directory FTMPI_SHIM_ROOT (an absolute path), in the order in which they happened, over all processes, to the file FTMPI_SHIM_LOG: one record after
 * the other. And it makes the n-th call fail. */
#ifndef FTMPI_TESTS_FAULT_SHIM_H
#define FTMPI_TESTS_FAULT_SHIM_H

#include <stdint.h>

/** What happened. The paths of a record are relative to the root; a file is known by the number of its inode. */
enum shim_kind {
	SHIM_MAKE_DIRECTORY, /**< path */
	SHIM_CREATE,         /**< path, file: a new, empty file */
	SHIM_WRITE,          /**< file, offset, data */
	SHIM_TRUNCATE,       /**< file, offset: the new length */
	SHIM_SYNC,           /**< file */
	SHIM_SYNC_DIRECTORY, /**< path */
	SHIM_RENAME,         /**< path, to */
	SHIM_LINK,           /**< path, to */
	SHIM_REMOVE,         /**< path */
	SHIM_SAVE,           /**< number, digest of the state: a save begins */
	SHIM_SAVED,          /**< number, digest: it was announced */
	SHIM_RESTORED,       /**< number, digest: the program goes on from it */
	SHIM_FORGET,         /**< number: the test damaged it */
	SHIM_N_KINDS
};

/** Behind it: path, to, data. */
struct shim_record {
	uint64_t file;
	int64_t offset;
	int64_t number;
	unsigned char digest[16];
	uint32_t kind, path_bytes, to_bytes, data_bytes;
};

/** How a call fails. */
enum shim_failure {
	SHIM_ERROR,     /**< once, with the errno; nothing was done */
	SHIM_FROM_HERE, /**< so does every one after it: the device is gone */
	SHIM_SHORT,     /**< a write stores half of its bytes and says so; another call does what it should */
	SHIM_FULL       /**< … and every later write fails with ENOSPC */
};

/** Names of what the shim offers, for dlsym, and their types. */
#define SHIM_ARM_NAME    "shim_arm"
#define SHIM_CALLS_NAME  "shim_calls"
#define SHIM_FORGET_NAME "shim_forget"
/** From now on count the calls below the root; the n-th one (from 1) fails. n 0: none. */
typedef void shim_arm_function(int n, enum shim_failure failure, int error);
/** How many there were; *name is set to the failed one's, "" if none has failed. */
typedef int shim_calls_function(const char **name);
/** Write down SHIM_FORGET. */
typedef void shim_forget_function(int64_t number);

#endif
