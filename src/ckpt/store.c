/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of checkpoints: opening it, and finding the newest good one.
 *
 * Opening:  1 directory  2 lock  3 fsync of the directory  4 state file  5 files: temporaries go, the list is brought in line with what is there
 * A process that died between a rename and its fsync left a name that only the cache may have. This run goes on from what it finds and deletes what
 * is older, so 3 makes it last before anything is built on it.
 * What the files are is decided late, when one is opened: by the digests of the state file where it lists them, else by those inside. A file that
 * proves bad is renamed, never deleted. An error of the machine (I/O, memory) says nothing about the file, and is returned. */
#include "ckpt/store_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <ftmpi/log.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void ftmpi_store_options_init(ftmpi_store_options *options)
{
	*options = (ftmpi_store_options){.name = "ckpt", .keep_max = 5, .lock_wait_s = 10};
}

bool ftmpi__name_is_good(const char *name)
{
	if (name == NULL || name[0] == '\0' || name[0] == '.' || strlen(name) >= FTMPI__NAME_MAX)
		return false;
	for (const char *at = name; *at != '\0'; at++)
		if ((unsigned char)*at <= 0x20 || *at == 0x7f || strchr("/\"\\", *at) != NULL)
			return false;
	return true;
}

static ftmpi_status check_options(const char *directory, const ftmpi_store_options *options)
{
	ftmpi_status status = FTMPI_OK;

	if (directory == NULL || directory[0] == '\0')
		FTMPI_FAIL(FTMPI_ERR_USAGE, "the checkpoint directory has no name");
	if (!ftmpi__name_is_good(options->name))
		FTMPI_FAIL(FTMPI_ERR_USAGE,
			   "bad checkpoint name '%s': 1 to %d bytes without blanks, quotes, '/' or '\\', not starting "
			   "with "
			   "'.'",
			   options->name == NULL ? "" : options->name, FTMPI__NAME_MAX - 1);
	if (strlen(directory) + FTMPI__FILE_NAME_MAX + 1 > FTMPI_PATH_MAX)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "the path of the checkpoint directory '%.60s…' is too long", directory);
	if (options->keep_max < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "keep_max is %lld: give 0 (keep all) or more",
			   (long long)options->keep_max);
	if (!(options->keep_every_n_hours >= 0) || isinf(options->keep_every_n_hours))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "keep_every_n_hours is %g: give 0 (never) or more",
			   options->keep_every_n_hours);
	if (!(options->lock_wait_s >= 0))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "lock_wait_s is %g: give 0 or more seconds", options->lock_wait_s);
done:
	return status;
}

static ftmpi_status create(const char *directory, const ftmpi_store_options *options, bool quiet, ftmpi_store **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store *store = NULL;
	size_t n_bytes = strlen(directory);

	FTMPI_TRY(FTMPI_ALLOC(1, &store));
	store->directory.fd = store->lock_fd = -1;
	FTMPI_TRY(FTMPI_ALLOC((int64_t)n_bytes + 1, &store->path));
	memcpy(store->path, directory, n_bytes);
	while (n_bytes > 1 && store->path[n_bytes - 1] == '/')
		store->path[--n_bytes] = '\0';
	store->directory.path = store->path;
	(void)snprintf(store->name, sizeof store->name, "%s", options->name);
	store->options = *options;
	store->options.name = store->name;
	store->quiet = quiet;
	*out = store;
	store = NULL;
done:
	ftmpi_store_close(&store);
	return status;
}

static ftmpi_status open_directory(ftmpi_store *store)
{
	ftmpi_status status = FTMPI_OK;

	if (!store->options.read_only)
		FTMPI_TRY(ftmpi__directory_make(store->path));
	FTMPI_TRY(ftmpi__directory_open(store->path, &store->directory));
done:
	return status;
}

/* Found out now, not at the first save: an old lock file can be open to writing in a directory that is not. */
static ftmpi_status check_writable(const ftmpi_store *store)
{
	ftmpi_status status = FTMPI_OK;

	if (faccessat(store->directory.fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot write to the directory '%s': %s", store->path,
			   strerror(errno));
done:
	return status;
}

/* Entries that are not newer than the last preserved one are preserved. A clock that went back must not make old ones look new. */
static void settle_times(ftmpi_store *store)
{
	ftmpi__state *state = &store->state;
	const double now_s = ftmpi__store_now(store);

	for (int i = 0; i < ftmpi__items_count(state); i++) {
		ftmpi_store_item *item = ftmpi__items_get(state, i);

		item->preserved = item->preserved || item->timestamp_s <= state->last_preserved_s;
		if (!store->options.read_only) /* one that only looks tells checkpoints apart by their times */
			item->timestamp_s = fmin(item->timestamp_s, now_s);
	}
	if (now_s < state->last_preserved_s && !store->options.read_only) {
		ftmpi_log(FTMPI_LOG_WARNING,
			  "the clock is %.0f s behind the last preserved checkpoint of '%s': counting from now",
			  state->last_preserved_s - now_s, store->path);
		state->last_preserved_s = now_s;
	}
}

/* Sets *found when there is a good state file. */
static ftmpi_status read_state(ftmpi_store *store, bool *found)
{
	ftmpi_status status = ftmpi__state_read(&store->directory, store->name, &store->state);

	*found = status == FTMPI_OK;
	if (status == FTMPI_ERR_DATA && !store->quiet)
		ftmpi_log(FTMPI_LOG_WARNING,
			  "the state file '%s/%s' is damaged (%s): taking the checkpoints from the directory",
			  store->path, FTMPI__STATE_FILE, ftmpi_error_message());
	if (status == FTMPI_ERR_DATA || status == FTMPI_ERR_NOT_FOUND)
		status = FTMPI_OK;
	if (*found)
		settle_times(store);
	return status;
}

/* State file and directory, as they are now. */
static ftmpi_status load(ftmpi_store *store, bool *has_state)
{
	ftmpi_status status = FTMPI_OK;

	ftmpi__state_clear(&store->state);
	store->n_bad = store->n_suspect = store->n_vanished = 0;
	FTMPI_TRY(read_state(store, has_state));
	FTMPI_TRY(ftmpi__store_scan(store));
done:
	return status;
}

ftmpi_status ftmpi__store_open(const char *directory, const ftmpi_store_options *options, bool quiet, ftmpi_store **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store *store = NULL;
	bool has_state;

	FTMPI_TRY(check_options(directory, options));
	FTMPI_TRY(create(directory, options, quiet, &store));
	FTMPI_TRY(open_directory(store));
	if (!options->read_only) {
		FTMPI_TRY(check_writable(store));
		FTMPI_TRY(ftmpi__lock_take(&store->directory, options->lock_wait_s, &store->lock_fd));
		FTMPI_TRY(ftmpi__directory_sync(&store->directory, false));
	}
	FTMPI_TRY(load(store, &has_state));
	if (store->lock_fd >= 0)
		store->n_failures = ftmpi__lock_failures(store->lock_fd, &store->state);
	/* A new directory: the first interval begins now. Files without a state file: nobody knows which were preserved, so the oldest one
	 * that is pushed out will be, and from it on the rule finds the same ones again. */
	if (!has_state && ftmpi__items_count(&store->state) == 0)
		store->state.last_preserved_s = ftmpi__time_round(ftmpi__store_now(store) - 1);
	*out = store;
	store = NULL;
done:
	ftmpi_store_close(&store);
	return status;
}

ftmpi_status ftmpi_store_open(const char *directory, const ftmpi_store_options *options, ftmpi_store **out)
{
	return ftmpi__store_open(directory, options, false, out);
}

void ftmpi_store_close(ftmpi_store **store)
{
	if (*store == NULL)
		return;
	ftmpi__saving_clear(*store);
	ftmpi__lock_release(&(*store)->lock_fd, (*store)->at_work);
	if ((*store)->directory.fd >= 0)
		(void)close((*store)->directory.fd);
	ftmpi__state_clear(&(*store)->state);
	ftmpi_free((*store)->path);
	ftmpi_free(*store);
	*store = NULL;
}

int64_t ftmpi_store_n_failures(const ftmpi_store *store)
{
	return store->n_failures;
}

void ftmpi_store_set_at_work(ftmpi_store *store, bool at_work)
{
	store->at_work = at_work;
}

const char *ftmpi_store_directory(const ftmpi_store *store)
{
	return store->path;
}

const char *ftmpi_store_name(const ftmpi_store *store)
{
	return store->name;
}

int ftmpi_store_n_items(const ftmpi_store *store)
{
	ftmpi__store_settle(store);
	return ftmpi__items_count(&store->state);
}

const ftmpi_store_item *ftmpi_store_get(const ftmpi_store *store, int i)
{
	ftmpi__store_settle(store);
	return ftmpi__items_get(&store->state, i);
}

int ftmpi_store_n_bad(const ftmpi_store *store)
{
	return store->n_bad;
}

int ftmpi_store_n_suspect(const ftmpi_store *store)
{
	return store->n_suspect;
}

/* A file under another's name is not what its name says. */
static ftmpi_status check_number(const ftmpi_store *store, const ftmpi_store_item *item, const ftmpi_reader *reader)
{
	ftmpi_status status = FTMPI_OK;
	const char *path = store->options.number_path;
	int64_t number;

	if (path == NULL)
		goto done;
	if (ftmpi_reader_find(reader, path) == NULL)
		FTMPI_FAIL(FTMPI_ERR_DATA, "checkpoint '%s' has no '%s'", item->file, path);
	FTMPI_TRY(ftmpi_reader_read(reader, path, &number, sizeof number));
	if (number != item->number)
		FTMPI_FAIL(FTMPI_ERR_DATA, "checkpoint '%s' holds %s %lld, not what its name says", item->file, path,
			   (long long)number);
done:
	return status;
}

ftmpi_status ftmpi_store_verify(const ftmpi_store *store, int i, ftmpi_reader **out)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_store_item *item = ftmpi_store_get(store, i);
	const ftmpi__expected expected = {.n_bytes = item->n_bytes, .digest = item->digest};
	ftmpi_reader *reader = NULL;
	char name[FTMPI__FILE_NAME_MAX];

	ftmpi__file_name(store->name, item->number, "", name);
	FTMPI_TRY(ftmpi__reader_open_at(store->directory.fd, name, O_NOFOLLOW, item->file,
					item->listed ? &expected : NULL, &reader));
	FTMPI_TRY(check_number(store, item, reader));
	if (out != NULL) {
		*out = reader;
		reader = NULL;
	}
done:
	ftmpi_reader_close(&reader);
	return status;
}

/* A name for a bad file that no other one has. */
static void bad_name(const ftmpi_store *store, int64_t number, char out[FTMPI__FILE_NAME_MAX])
{
	struct stat st;

	ftmpi__file_name(store->name, number, FTMPI__BAD, out);
	for (int copy = 2; fstatat(store->directory.fd, out, &st, AT_SYMLINK_NOFOLLOW) == 0; copy++) {
		char suffix[32];

		(void)snprintf(suffix, sizeof suffix, "%s.%d", FTMPI__BAD, copy);
		ftmpi__file_name(store->name, number, suffix, out);
	}
}

/* Rename a bad file; the reason is the error record's. The item goes, renamed or not. */
static void set_aside(ftmpi_store *store, int i)
{
	const ftmpi_store_item *item = ftmpi__items_get(&store->state, i);
	char name[FTMPI__FILE_NAME_MAX], bad[FTMPI__FILE_NAME_MAX];

	ftmpi__file_name(store->name, item->number, "", name);
	bad_name(store, item->number, bad);
	if (store->options.read_only)
		ftmpi_log(FTMPI_LOG_WARNING, "passing over a bad checkpoint: %s", ftmpi_error_message());
	else if (renameat(store->directory.fd, name, store->directory.fd, bad) == 0)
		ftmpi_log(FTMPI_LOG_WARNING, "set aside as '%s': %s", bad, ftmpi_error_message());
	else
		ftmpi_log(FTMPI_LOG_WARNING, "cannot rename '%s' (%s), passing over it: %s", name, strerror(errno),
			  ftmpi_error_message());
	store->n_bad++;
	ftmpi__items_remove(&store->state, i);
}

/* The state file without those that were set aside. It may fail: then it lists files that are gone, which the next opening bears. */
static void forget_set_aside(ftmpi_store *store)
{
	const int n_vanished = store->n_vanished;

	if (store->options.read_only)
		return;
	if (ftmpi__state_save(store) != FTMPI_OK)
		ftmpi_log(FTMPI_LOG_WARNING, "the state file still lists what was set aside: %s",
			  ftmpi_error_message());
	store->n_vanished = n_vanished;
}

/* There is no good checkpoint. Fine for a new directory; where there were some, starting over unasked would hide a loss. */
static ftmpi_status none_is_good(const ftmpi_store *store)
{
	ftmpi_status status = FTMPI_OK;

	if (store->n_bad > 0)
		FTMPI_FAIL(FTMPI_ERR_DATA,
			   "no good checkpoint in '%s': %d bad (%s-*%s%s*); to start over use another directory, or "
			   "remove these files",
			   store->path, store->n_bad, store->name, FTMPI__SUFFIX, FTMPI__BAD);
	if (store->n_suspect > 0)
		FTMPI_FAIL(FTMPI_ERR_DATA,
			   "no checkpoint in '%s' but %d set aside (%s-*%s%s): give one its name back to go on from "
			   "there; to start over use another directory",
			   store->path, store->n_suspect, store->name, FTMPI__SUFFIX, FTMPI__SUSPECT);
	if (store->n_vanished > 0)
		FTMPI_FAIL(FTMPI_ERR_DATA,
			   "no checkpoint in '%s', though its state file lists %d: they were moved or deleted; to "
			   "start over "
			   "use another directory, or remove '%s/%s'",
			   store->path, store->n_vanished, store->path, FTMPI__STATE_FILE);
done:
	return status;
}

/* Beside a run that saves a number again, the list that was read may speak of the file before it: then the verdict on the file is void. */
static bool list_is_outdated(const ftmpi_store *store, int i)
{
	const ftmpi_store_item *item = ftmpi__items_get(&store->state, i), *now;
	ftmpi__state state = {0};
	bool outdated = true;
	int at = -1;

	if (!store->options.read_only || !item->listed)
		return false;
	if (ftmpi__state_read(&store->directory, store->name, &state) == FTMPI_OK)
		at = ftmpi__items_find(&state, item->number);
	if (at >= 0) {
		now = ftmpi__items_get(&state, at);
		outdated = !now->listed || !ftmpi_digest_equal(now->digest, item->digest);
	}
	ftmpi__state_clear(&state);
	return outdated;
}

/* The newest good one of the items; NULL: none. Bad and vanished ones leave the list. */
static ftmpi_status find_latest(ftmpi_store *store, ftmpi_reader **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_reader *reader = NULL;
	int n_set_aside = 0;

	for (int i = ftmpi__items_count(&store->state) - 1; i >= 0 && reader == NULL; i--) {
		status = ftmpi_store_verify(store, i, &reader);
		if (status == FTMPI_ERR_DATA && list_is_outdated(store, i))
			status = FTMPI_ERR_NOT_FOUND;
		if (status == FTMPI_ERR_DATA) {
			set_aside(store, i);
			n_set_aside++;
		} else if (status == FTMPI_ERR_NOT_FOUND) {
			if (!store->options.read_only)
				ftmpi_log(FTMPI_LOG_WARNING, "a checkpoint is gone: %s", ftmpi_error_message());
			ftmpi__items_remove(&store->state, i);
			store->n_vanished++;
		} else {
			FTMPI_TRY(status);
		}
	}
	if (n_set_aside > 0)
		forget_set_aside(store);
	status = FTMPI_OK;
	*out = reader;
done:
	return status;
}

ftmpi_status ftmpi_store_open_latest(ftmpi_store *store, ftmpi_reader **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_reader *reader = NULL;
	bool has_state;

	ftmpi__store_settle(store);
	ftmpi__snapshot_clear(&store->saving.snapshot); /* memory for the file that is read */
	FTMPI_TRY(find_latest(store, &reader));
	/* Beside a run that saves and deletes, what was listed a moment ago may be gone: look again. */
	for (int look = 0;
	     look < FTMPI__MAX_LOOKS && reader == NULL && store->options.read_only && store->n_vanished > 0; look++) {
		FTMPI_TRY(load(store, &has_state));
		FTMPI_TRY(find_latest(store, &reader));
	}
	if (reader == NULL)
		FTMPI_TRY(none_is_good(store));
	*out = reader;
done:
	return status;
}
