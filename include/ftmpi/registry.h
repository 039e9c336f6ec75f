/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What a checkpoint holds: a list of named arrays that live in the program. Saving reads them, restoring writes them.
 */
#ifndef FTMPI_REGISTRY_H
#define FTMPI_REGISTRY_H

#include <ftmpi/hash.h>
#include <ftmpi/memory.h>

FTMPI_BEGIN_DECLS

/** The one list of element types: identifier, name, bytes. TEXT is UTF-8 bytes, a string in the file. */
#define FTMPI_DTYPE_LIST(X)                                                                                            \
	X(F32, "float32", 4)                                                                                           \
	X(F64, "float64", 8)                                                                                           \
	X(I32, "int32", 4)                                                                                             \
	X(I64, "int64", 8)                                                                                             \
	X(U8, "uint8", 1)                                                                                              \
	X(U64, "uint64", 8)                                                                                            \
	X(TEXT, "text", 1)

typedef enum ftmpi_dtype {
#define FTMPI_DTYPE_ENUM(id, name, bytes) FTMPI_##id,
	FTMPI_DTYPE_LIST(FTMPI_DTYPE_ENUM)
#undef FTMPI_DTYPE_ENUM
} ftmpi_dtype;

FTMPI_API const char *ftmpi_dtype_name(ftmpi_dtype dtype);
FTMPI_API size_t ftmpi_dtype_bytes(ftmpi_dtype dtype);

/** Most dimensions of an array. */
#define FTMPI_MAX_DIMS 8

/** Whether the future depends on an array. */
typedef enum ftmpi_entry_kind {
	FTMPI_STATE, /**< part of the state digest: equal state means an equal future */
	FTMPI_RECORD /**< about the run (wall time, relaunches, environment): saved, not in the state digest */
} ftmpi_entry_kind;

/** A part of an array that is saved from where it is. */
typedef struct ftmpi_part {
	const void *data;
	size_t n_bytes;
	int owner;           /**< rank that answers for it */
	bool vouched;        /**< the owner says what its bytes are: the copy is compared with `digest` */
	ftmpi_digest digest; /**< of the bytes; looked at after they were copied */
} ftmpi_part;

/** One array, or one growable buffer. */
typedef struct ftmpi_entry {
	const char *path; /**< HDF5 path without a leading slash: "layers/dense/vars/0" */
	ftmpi_dtype dtype;
	ftmpi_entry_kind kind;
	int n_dims; /**< 0: a scalar; a buffer has 1 */
	int64_t dims[FTMPI_MAX_DIMS];
	void *data;           /**< the array; NULL for a buffer */
	ftmpi_buffer *buffer; /**< length is part of what is saved; NULL for an array */
	bool chief_only;      /**< set by ftmpi_checkpoint_track: on other ranks `data` is not used and may be NULL */
	const ftmpi_part *parts; /**< set by ftmpi_registry_set_parts; NULL: what is saved is `data` */
	int n_parts;
} ftmpi_entry;

/** Bytes that an entry's array has now; 0 where `data` is NULL. Local. */
FTMPI_API size_t ftmpi_entry_bytes(const ftmpi_entry *entry);
/** The bytes of an entry now; of one that is saved in parts, where they are restored to. Local. */
FTMPI_API const void *ftmpi_entry_data(const ftmpi_entry *entry);

typedef struct ftmpi_registry ftmpi_registry;

FTMPI_API ftmpi_status ftmpi_registry_create(ftmpi_registry **out) FTMPI_CHECK_RESULT;
FTMPI_API void ftmpi_registry_destroy(ftmpi_registry **registry);

/**
 * Register an array. Local. `data` must outlive the registry.
 * @param path at most 1023 bytes and 32 parts; nothing below ftmpi/digests. @param n_dims 0 to 8; FTMPI_TEXT: 1, the number of bytes. @param data may
 * be NULL when there are no elements. Errors: ERR_USAGE (path empty, absolute, registered already, or in the way of another; shape), ERR_MEMORY.
 */
FTMPI_API ftmpi_status ftmpi_registry_add(ftmpi_registry *registry, const char *path, ftmpi_dtype dtype, int n_dims,
					  const int64_t *dims, void *data, ftmpi_entry_kind kind) FTMPI_CHECK_RESULT;

/** Register one number. Local. */
FTMPI_API ftmpi_status ftmpi_registry_add_scalar(ftmpi_registry *registry, const char *path, ftmpi_dtype dtype,
						 void *data, ftmpi_entry_kind kind) FTMPI_CHECK_RESULT;

/** Register a growable 1-D array or text. Local. */
FTMPI_API ftmpi_status ftmpi_registry_add_buffer(ftmpi_registry *registry, const char *path, ftmpi_dtype dtype,
						 ftmpi_buffer *buffer, ftmpi_entry_kind kind) FTMPI_CHECK_RESULT;

/**
 * Save an array from its parts, one after the other, instead of from `data`, which is where it is restored to. Local. @param parts not copied: they may change
 * until a save copies the arrays, their digests until it has. Those of a checkpoint's registry are read by the checkpoint's own functions, which all ranks call; a
 * store, ftmpi_registry_write, ftmpi_registry_state_digest and ftmpi_keras_export refuse to (ERR_USAGE), since other ranks may be changing them.
 * Errors: ERR_USAGE (no such array; the parts are shorter or longer than it).
 */
FTMPI_API ftmpi_status ftmpi_registry_set_parts(ftmpi_registry *registry, const char *path, const ftmpi_part *parts,
						int n_parts) FTMPI_CHECK_RESULT;

/** Ask for a group even if nothing is in it; `name` becomes its attribute "name" (Keras's layer name); NULL: none. Asking again with the same name
 * changes nothing. Local. Errors: ERR_USAGE, ERR_MEMORY. */
FTMPI_API ftmpi_status ftmpi_registry_add_group(ftmpi_registry *registry, const char *path,
						const char *name) FTMPI_CHECK_RESULT;

FTMPI_API int ftmpi_registry_n_entries(const ftmpi_registry *registry);
FTMPI_API const ftmpi_entry *ftmpi_registry_entry(const ftmpi_registry *registry, int i);
/** NULL when there is none. */
FTMPI_API const ftmpi_entry *ftmpi_registry_find(const ftmpi_registry *registry, const char *path);

/** Groups that were asked for, by path. */
FTMPI_API int ftmpi_registry_n_groups(const ftmpi_registry *registry);
FTMPI_API const char *ftmpi_registry_group(const ftmpi_registry *registry, int i, const char **name);

/** Digest of one array: of its path, type, shape and the bytes that ftmpi_entry_data gives. Local. Cost: memory speed; no allocation. */
FTMPI_API ftmpi_digest ftmpi_entry_digest(const ftmpi_entry *entry);

/** The state digest: of the digests of all FTMPI_STATE entries in the order of their paths, as they would be saved. Local. Errors: ERR_MEMORY,
 * ERR_USAGE (parts of a checkpoint's registry). */
FTMPI_API ftmpi_status ftmpi_registry_state_digest(const ftmpi_registry *registry,
						   ftmpi_digest *out) FTMPI_CHECK_RESULT;

/**
 * Write a registry to an HDF5 file, replacing it atomically: a file that reader.h opens. Local. Errors: ERR_IO, ERR_NO_SPACE, ERR_MEMORY, ERR_USAGE (parts of a
 * checkpoint's registry), ERR_REPLICA (a copy is not what the owner of a part vouches for).
 */
FTMPI_API ftmpi_status ftmpi_registry_write(const ftmpi_registry *registry, const char *file) FTMPI_CHECK_RESULT;

FTMPI_END_DECLS

#endif
