/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of pointers sorted by path. Pointers are copied byte by byte out of the buffer that holds them, which says nothing about their type. */
#include "ckpt/path_list.h"

#include <string.h>

size_t ftmpi__list_count(const ftmpi_buffer *list)
{
	return list->n_bytes / sizeof(void *);
}

/* What the i-th pointer of a list points to. */
void *ftmpi__list_item(const ftmpi_buffer *list, size_t i)
{
	void *p;

	memcpy(&p, list->data + i * sizeof p, sizeof p);
	return p;
}

const char *ftmpi__list_path(const ftmpi_buffer *list, size_t i)
{
	return *(const char *const *)ftmpi__list_item(list, i);
}

/* Index of the first item of a sorted list whose path is not before `path` (its first `n_bytes` bytes). */
size_t ftmpi__list_lower_bound(const ftmpi_buffer *list, const char *path, size_t n_bytes)
{
	size_t low = 0, high = ftmpi__list_count(list);

	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const char *other = ftmpi__list_path(list, middle);
		const int order = strncmp(other, path, n_bytes);

		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The item with exactly this path, NULL when there is none. */
void *ftmpi__list_find(const ftmpi_buffer *list, const char *path, size_t n_bytes)
{
	const size_t i = ftmpi__list_lower_bound(list, path, n_bytes);

	if (i == ftmpi__list_count(list) || strncmp(ftmpi__list_path(list, i), path, n_bytes) != 0 ||
	    ftmpi__list_path(list, i)[n_bytes] != '\0')
		return NULL;
	return ftmpi__list_item(list, i);
}

/* `path` and a slash; returns the length. */
size_t ftmpi__list_prefix(const char *path, char prefix[FTMPI__ENTRY_PATH_MAX + 1])
{
	const size_t n_bytes = strlen(path) + 1;

	memcpy(prefix, path, n_bytes - 1);
	prefix[n_bytes - 1] = '/';
	return n_bytes;
}

/* Whether the list has an item below `path`. */
bool ftmpi__list_has_below(const ftmpi_buffer *list, const char *path)
{
	char prefix[FTMPI__ENTRY_PATH_MAX + 1];
	const size_t n_bytes = ftmpi__list_prefix(path, prefix), i = ftmpi__list_lower_bound(list, prefix, n_bytes);

	return i < ftmpi__list_count(list) && strncmp(ftmpi__list_path(list, i), prefix, n_bytes) == 0;
}

ftmpi_status ftmpi__list_insert(ftmpi_buffer *list, void *pointer, size_t i)
{
	ftmpi_status status = FTMPI_OK;
	char *at;

	FTMPI_TRY(ftmpi_buffer_append(list, &pointer, sizeof pointer));
	at = list->data + i * sizeof pointer;
	memmove(at + sizeof pointer, at, list->n_bytes - (i + 1) * sizeof pointer);
	memcpy(at, &pointer, sizeof pointer);
done:
	return status;
}
