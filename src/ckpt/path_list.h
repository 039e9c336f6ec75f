/* SPDX-License-Identifier: Apache-2.0 */
/* A sorted list of things that have a path: pointers in a buffer, to structures whose first member is `const char *path`. */
#ifndef FTMPI_CKPT_PATH_LIST_H
#define FTMPI_CKPT_PATH_LIST_H

#include "ckpt/digests.h"

size_t ftmpi__list_count(const ftmpi_buffer *list);
/** What the i-th pointer points to. */
void *ftmpi__list_item(const ftmpi_buffer *list, size_t i);
const char *ftmpi__list_path(const ftmpi_buffer *list, size_t i);

/** Index of the first item whose path is not before the first `n_bytes` bytes of `path`. */
size_t ftmpi__list_lower_bound(const ftmpi_buffer *list, const char *path, size_t n_bytes);
/** The item with exactly this path of `n_bytes` bytes; NULL when there is none. */
void *ftmpi__list_find(const ftmpi_buffer *list, const char *path, size_t n_bytes);
/** Whether there is an item below `path`. */
bool ftmpi__list_has_below(const ftmpi_buffer *list, const char *path);
/** Set `prefix` to the path and a slash; returns their length. */
size_t ftmpi__list_prefix(const char *path, char prefix[FTMPI__ENTRY_PATH_MAX + 1]);

/** Put a pointer before the i-th. Errors: ERR_MEMORY. */
ftmpi_status ftmpi__list_insert(ftmpi_buffer *list, void *pointer, size_t i) FTMPI_CHECK_RESULT;

#endif
