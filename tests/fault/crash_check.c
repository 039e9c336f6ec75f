/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle.
 *
 *  1  the store opens, and the newest checkpoint with it
 *  2  that is the last one that was announced, even if it was to be deleted since, or a newer one whose save had begun; its state is, to the last
 *     bit, one that was saved under its number
 *  3  every other checkpoint that was announced, and that nobody began to delete, is there and verifies, with its state
 *  4  nothing was set aside as bad, and the state file is whole: a crash is no reason for either
 *  5  what was announced as saved is listed with its digest
 *  6  no temporary is left, and the next save is made and found again */
#include "crash_check.h"

#include "ckpt/store_inside.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t checkpoint_number(const char *path)
{
	const char *slash = strrchr(path, '/');
	int64_t number;

	return ftmpi__file_number("ckpt", slash == NULL ? path : slash + 1, FTMPI__SUFFIX, &number) ? number : -1;
}

static promise *find(promises *p, int64_t number)
{
	for (int i = 0; i < p->n; i++)
		if (p->items[i].number == number)
			return &p->items[i];
	if (p->n == PROMISE_NUMBERS)
		return NULL;
	p->items[p->n] = (promise){.number = number};
	return &p->items[p->n++];
}

ftmpi_status promises_apply(promises *p, const crash_op *op)
{
	ftmpi_status status = FTMPI_OK;
	const struct shim_record *r = &op->record;
	const int64_t number = r->kind >= SHIM_SAVE ? r->number : checkpoint_number(op->path);
	promise *item;

	if (number < 0 || (r->kind < SHIM_SAVE && r->kind != SHIM_REMOVE))
		goto done;
	item = find(p, number);
	if (item == NULL || item->n_digests == PROMISE_DIGESTS)
		FTMPI_FAIL(FTMPI_ERR_DATA, "too many checkpoints in the log");
	p->version++;
	if (r->kind == SHIM_REMOVE)
		item->is_removed = true;
	if (r->kind == SHIM_FORGET) {
		item->is_damaged = true;
		p->n_damaged++;
	}
	if (r->kind == SHIM_SAVE)
		item->is_listed = false;
	if (r->kind == SHIM_SAVED || r->kind == SHIM_RESTORED) {
		item->announced = true;
		item->is_removed = item->is_damaged = false;
		item->n_digests = 0;
	}
	if (r->kind == SHIM_SAVED)
		item->is_listed = true;
	if (r->kind != SHIM_REMOVE && r->kind != SHIM_FORGET)
		memcpy(&item->digests[item->n_digests++], r->digest, sizeof r->digest);
done:
	return status;
}

static bool may_be(const promise *item, ftmpi_digest digest)
{
	for (int i = 0; i < item->n_digests; i++)
		if (ftmpi_digest_equal(item->digests[i], digest))
			return true;
	return false;
}

#define PROBLEM(...)                                                                                                   \
	do {                                                                                                           \
		(void)snprintf(problem, PROBLEM_TEXT, __VA_ARGS__);                                                    \
		return false;                                                                                          \
	} while (0)

/* 2 */
static bool check_latest(const promises *p, const ftmpi_reader *reader, char problem[PROBLEM_TEXT])
{
	int64_t newest = -1;
	const int64_t number = reader == NULL ? -1 : checkpoint_number(ftmpi_reader_file(reader));

	for (int i = 0; i < p->n; i++)
		if (p->items[i].announced && !p->items[i].is_damaged && p->items[i].number > newest)
			newest = p->items[i].number;
	if (number < newest)
		PROBLEM("checkpoint %lld was announced, and %lld is the newest (-1: none)", (long long)newest,
			(long long)number);
	for (int i = 0; i < p->n && reader != NULL; i++)
		if (p->items[i].number == number)
			return may_be(&p->items[i], ftmpi_reader_state_digest(reader)) ||
			       (snprintf(problem, PROBLEM_TEXT, "checkpoint %lld holds another state",
					 (long long)number),
				false);
	if (reader != NULL)
		PROBLEM("checkpoint %lld was never saved", (long long)number);
	return true;
}

/* 3 and 5, of one. */
static bool check_item(const ftmpi_store *store, const promise *item, char problem[PROBLEM_TEXT])
{
	ftmpi_reader *reader = NULL;
	bool right;

	for (int i = 0; i < ftmpi_store_n_items(store); i++) {
		if (ftmpi_store_get(store, i)->number != item->number)
			continue;
		if (ftmpi_store_verify(store, i, &reader) != FTMPI_OK)
			PROBLEM("checkpoint %lld does not verify: %s", (long long)item->number, ftmpi_error_message());
		right = may_be(item, ftmpi_reader_state_digest(reader));
		ftmpi_reader_close(&reader);
		if (!right)
			PROBLEM("checkpoint %lld holds another state", (long long)item->number);
		if (item->is_listed && !ftmpi_store_get(store, i)->listed)
			PROBLEM("checkpoint %lld was announced, but is not listed", (long long)item->number);
		return true;
	}
	PROBLEM("checkpoint %lld was announced and is not there", (long long)item->number);
}

/* 4: the state file as the crash left it. */
static bool check_state_file(const char *directory, char problem[PROBLEM_TEXT])
{
	char path[2 * MODEL_PATH + 16];
	ftmpi__image text = {0};
	ftmpi__state state = {0};
	ftmpi_status status;

	(void)snprintf(path, sizeof path, "%s/" FTMPI__STATE_FILE, directory);
	status = ftmpi__file_read(AT_FDCWD, path, 0, path, 1, NULL, NULL, &text);
	if (status == FTMPI_OK)
		status = ftmpi__state_parse((const char *)text.data, text.n_bytes, "ckpt", &state);
	ftmpi__image_clear(&text);
	ftmpi__state_clear(&state);
	if (status != FTMPI_OK && status != FTMPI_ERR_NOT_FOUND)
		PROBLEM("the state file is damaged: %s", ftmpi_error_message());
	return true;
}

/* 1 to 5, on an open store. @param reader set to the newest one. */
static bool check_open(ftmpi_store *store, const promises *p, ftmpi_reader **reader, char problem[PROBLEM_TEXT])
{
	if (ftmpi_store_open_latest(store, reader) != FTMPI_OK)
		PROBLEM("no checkpoint: %s", ftmpi_error_message());
	if (!check_latest(p, *reader, problem))
		return false;
	if (ftmpi_store_n_bad(store) > 2 * p->n_damaged) /* one may have both its names */
		PROBLEM("%d checkpoints were set aside", ftmpi_store_n_bad(store));
	for (int i = 0; i < p->n; i++) {
		const promise *item = &p->items[i];

		if (item->announced && !item->is_removed && !item->is_damaged && !check_item(store, item, problem))
			return false;
	}
	return true;
}

/* 6: one more save, of a registry that has nothing but the number. */
static bool check_saving(ftmpi_store *store, const char *number_path, int64_t number, char problem[PROBLEM_TEXT])
{
	ftmpi_registry *registry = NULL;
	ftmpi_reader *reader = NULL;
	bool saved;

	saved = ftmpi_registry_create(&registry) == FTMPI_OK &&
		ftmpi_registry_add_scalar(registry, number_path, FTMPI_I64, &number, FTMPI_STATE) == FTMPI_OK &&
		ftmpi_store_save(store, registry, number, NULL) == FTMPI_OK &&
		ftmpi_store_open_latest(store, &reader) == FTMPI_OK && reader != NULL &&
		checkpoint_number(ftmpi_reader_file(reader)) == number;
	ftmpi_reader_close(&reader);
	ftmpi_registry_destroy(&registry);
	if (!saved)
		PROBLEM("the next save failed: %s", ftmpi_error_message());
	return true;
}

static bool has_temporary(const char *directory)
{
	DIR *listing = opendir(directory);
	const struct dirent *entry;
	bool found = false;

	while (listing != NULL && (entry = readdir(listing)) != NULL)
		found = found || strstr(entry->d_name, FTMPI__TMP) != NULL;
	if (listing != NULL)
		(void)closedir(listing);
	return found;
}

bool crash_check(const crash_place *place, const promises *p, bool and_save, char problem[PROBLEM_TEXT])
{
	char directory[2 * MODEL_PATH];
	ftmpi_store_options options;
	ftmpi_store *store = NULL;
	ftmpi_reader *reader = NULL;
	bool right;

	(void)snprintf(directory, sizeof directory, "%s/%s", place->root, place->store);
	if (!check_state_file(directory, problem))
		return false;
	ftmpi_store_options_init(&options);
	options.number_path = place->number_path;
	options.lock_wait_s = 0;
	if (ftmpi_store_open(directory, &options, &store) != FTMPI_OK)
		PROBLEM("the store does not open: %s", ftmpi_error_message());
	right = check_open(store, p, &reader, problem);
	if (right && and_save)
		right = check_saving(store, place->number_path,
				     reader == NULL ? 0 : checkpoint_number(ftmpi_reader_file(reader)) + 1, problem);
	ftmpi_reader_close(&reader);
	ftmpi_store_close(&store);
	if (right && has_temporary(directory))
		PROBLEM("a temporary is left");
	return right;
}
