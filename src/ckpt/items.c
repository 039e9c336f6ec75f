/* SPDX-License-Identifier: Apache-2.0 */
/* The list of a store's checkpoints, by number, and the names of their files. */
#include "ckpt/store_inside.h"

#include <stdio.h>
#include <string.h>

int ftmpi__items_count(const ftmpi__state *state)
{
	return (int)(state->items.n_bytes / sizeof(ftmpi_store_item));
}

ftmpi_store_item *ftmpi__items_get(const ftmpi__state *state, int i)
{
	return (ftmpi_store_item *)(void *)state->items.data + i;
}

/* Index of the first item whose number is not below `number`. */
static int lower_bound(const ftmpi__state *state, int64_t number)
{
	int i = ftmpi__items_count(state);

	while (i > 0 && ftmpi__items_get(state, i - 1)->number >= number)
		i--;
	return i;
}

int ftmpi__items_find(const ftmpi__state *state, int64_t number)
{
	const int i = lower_bound(state, number);

	return i < ftmpi__items_count(state) && ftmpi__items_get(state, i)->number == number ? i : -1;
}

ftmpi_status ftmpi__items_insert(ftmpi__state *state, int64_t number, ftmpi_store_item **out)
{
	ftmpi_status status = FTMPI_OK;
	const int n = ftmpi__items_count(state), i = lower_bound(state, number);
	ftmpi_store_item *item;

	FTMPI_TRY(ftmpi_buffer_resize(&state->items, (size_t)(n + 1) * sizeof *item));
	item = ftmpi__items_get(state, i);
	memmove(item + 1, item, (size_t)(n - i) * sizeof *item);
	memset(item, 0, sizeof *item);
	item->number = number;
	*out = item;
done:
	return status;
}

void ftmpi__items_remove(ftmpi__state *state, int i)
{
	ftmpi_store_item *item = ftmpi__items_get(state, i);

	memmove(item, item + 1, (size_t)(ftmpi__items_count(state) - i - 1) * sizeof *item);
	state->items.n_bytes -= sizeof *item;
}

void ftmpi__state_clear(ftmpi__state *state)
{
	ftmpi_buffer_clear(&state->items);
	state->last_preserved_s = 0;
}

void ftmpi__file_name(const char *name, int64_t number, const char *suffix, char out[FTMPI__FILE_NAME_MAX])
{
	(void)snprintf(out, FTMPI__FILE_NAME_MAX, "%s-%lld%s%s", name, (long long)number, FTMPI__SUFFIX, suffix);
}

const char *ftmpi__parse_number(const char *text, int64_t *number)
{
	int64_t n = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *at - '0', &n))
			return NULL;
	if (at == text || (*text == '0' && at > text + 1))
		return NULL;
	*number = n;
	return at;
}

bool ftmpi__file_number(const char *name, const char *text, const char *rest, int64_t *number)
{
	const size_t name_bytes = strlen(name);
	const char *end;
	int64_t n;

	if (strncmp(text, name, name_bytes) != 0 || text[name_bytes] != '-')
		return false;
	end = ftmpi__parse_number(text + name_bytes + 1, &n);
	if (end == NULL || strcmp(end, rest) != 0)
		return false;
	*number = n;
	return true;
}
