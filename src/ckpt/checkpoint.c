/* SPDX-License-Identifier: Apache-2.0 */
/* The checkpoint object: what is tracked, and saving it. restore.c has the way back.
 *
 * The registry holds what the file holds, on every rank the same list; the save counter is its first entry. The chief saves, all ranks agree on the
 * outcome. Invariant: the counter changes only with a save that succeeded or is in flight, or by a restore. */
#include "ckpt/checkpoint_inside.h"
#include "ckpt/digests.h"
#include "ckpt/store_inside.h"

#include <ftmpi/failpoint.h>
#include <ftmpi/watchdog.h>
#include <stdio.h>
#include <string.h>

#define USER "ftmpi/user/"

/* How long a wait for the writer takes no look at whether it is at work. */
#define LOOK_S 0.1

int ftmpi__checkpoint_n_trackables(const ftmpi_checkpoint *c)
{
	return (int)(c->trackables.n_bytes / sizeof(ftmpi_trackable));
}

const ftmpi_trackable *ftmpi__checkpoint_trackable(const ftmpi_checkpoint *c, int i)
{
	return (const ftmpi_trackable *)(const void *)c->trackables.data + i;
}

/* Once for each before_save, on the chief as soon as it has copied the arrays. Collective; the status is agreed, so that nothing is saved that a rank does not
 * answer for. */
static ftmpi_status after_copy(void *context)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_checkpoint *c = context;
	const bool is_ready = c->is_ready;

	c->is_ready = false;
	for (int i = 0; i < ftmpi__checkpoint_n_trackables(c) && is_ready; i++) {
		const ftmpi_trackable *trackable = ftmpi__checkpoint_trackable(c, i);

		if (trackable->after_copy != NULL)
			FTMPI_TRY(ftmpi_agree(c->comm, trackable->after_copy(trackable->context)));
	}
done:
	return status;
}

ftmpi_status ftmpi_checkpoint_create(const ftmpi_comm *comm, ftmpi_checkpoint **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_checkpoint *c = NULL;

	FTMPI_TRY(FTMPI_ALLOC(1, &c));
	c->comm = comm;
	FTMPI_TRY(ftmpi_registry_create(&c->registry));
	FTMPI_TRY(
		ftmpi_registry_add_scalar(c->registry, FTMPI__SAVE_COUNTER, FTMPI_I64, &c->save_counter, FTMPI_RECORD));
	ftmpi__registry_on_copied(c->registry, after_copy, c);
	ftmpi__registry_withhold_parts(c->registry, true);
	*out = c;
	c = NULL;
done:
	ftmpi_checkpoint_destroy(&c);
	return status;
}

void ftmpi_checkpoint_destroy(ftmpi_checkpoint **checkpoint)
{
	if (*checkpoint == NULL)
		return;
	ftmpi_registry_destroy(&(*checkpoint)->registry);
	ftmpi_buffer_clear(&(*checkpoint)->trackables);
	ftmpi_free(*checkpoint);
	*checkpoint = NULL;
}

ftmpi_status ftmpi_checkpoint_track(ftmpi_checkpoint *c, const char *name, ftmpi_dtype dtype, int n_dims,
				    const int64_t *dims, void *data, bool replicated)
{
	ftmpi_status status = FTMPI_OK;
	char path[FTMPI__ENTRY_PATH_MAX + sizeof USER];
	ftmpi_entry entry = {
		.path = path, .dtype = dtype, .kind = FTMPI_STATE, .data = data, .chief_only = !replicated};

	/* What is cut off here is too long by itself. */
	(void)snprintf(path, sizeof path, USER "%s", name == NULL ? "" : name);
	FTMPI_TRY(ftmpi__entry_set_shape(&entry, n_dims, dims));
	FTMPI_TRY(ftmpi__registry_add_entry(c->registry, &entry, replicated || ftmpi_comm_is_chief(c->comm)));
done:
	return status;
}

ftmpi_status ftmpi_checkpoint_track_scalar(ftmpi_checkpoint *c, const char *name, ftmpi_dtype dtype, void *data)
{
	return ftmpi_checkpoint_track(c, name, dtype, 0, NULL, data, true);
}

ftmpi_status ftmpi_checkpoint_add(ftmpi_checkpoint *c, const ftmpi_trackable *trackable)
{
	return ftmpi_buffer_append(&c->trackables, trackable, sizeof *trackable);
}

ftmpi_registry *ftmpi_checkpoint_registry(ftmpi_checkpoint *c)
{
	return c->registry;
}

int64_t ftmpi_checkpoint_save_counter(const ftmpi_checkpoint *c)
{
	return c->save_counter;
}

int64_t ftmpi__checkpoint_next(const ftmpi_checkpoint *c, int64_t newest)
{
	const int64_t last = newest > c->save_counter ? newest : c->save_counter;

	return last < INT64_MAX ? last + 1 : last;
}

/* Have ready what is tracked. */
static ftmpi_status before_save(ftmpi_checkpoint *c)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < ftmpi__checkpoint_n_trackables(c); i++) {
		const ftmpi_trackable *trackable = ftmpi__checkpoint_trackable(c, i);

		if (trackable->before_save != NULL)
			FTMPI_TRY(ftmpi_agree(c->comm, trackable->before_save(trackable->context)));
	}
	c->is_ready = true;
	ftmpi__registry_withhold_parts(c->registry, false);
done:
	return status;
}

/* What the chief did is over, or this is not the chief. Collective. */
static ftmpi_status agree_on_save(ftmpi_checkpoint *c, ftmpi_status status)
{
	const ftmpi_status told = after_copy(c);

	ftmpi__registry_withhold_parts(c->registry, true);
	return ftmpi_agree(c->comm, told == FTMPI_OK ? status : told); /* the message is that of the later one */
}

/* Save, or begin to. */
static ftmpi_status save(ftmpi_checkpoint *c, ftmpi_store *store, int64_t number, int64_t counter, bool begin_only)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t old_counter = c->save_counter;
	ftmpi_mark before;

	FTMPI_TRY(before_save(c));
	before = ftmpi_watch_begin(c->comm, FTMPI_PHASE_SAVE, NULL);
	c->save_counter = counter;
	if (ftmpi_comm_is_chief(c->comm))
		status = begin_only ? ftmpi_store_save_begin(store, c->registry, number)
				    : ftmpi_store_save(store, c->registry, number, NULL);
	status = agree_on_save(c, status);
	ftmpi_watch_end(c->comm, before);
	if (status != FTMPI_OK)
		c->save_counter = old_counter;
	FTMPI_TRY(status);
done:
	return status;
}

ftmpi_status ftmpi__checkpoint_save(ftmpi_checkpoint *c, ftmpi_store *store, int64_t number, int64_t counter)
{
	return save(c, store, number, counter, false);
}

ftmpi_status ftmpi__checkpoint_save_begin(ftmpi_checkpoint *c, ftmpi_store *store, int64_t number, int64_t counter)
{
	return save(c, store, number, counter, true);
}

void ftmpi__wait_for_writer(const ftmpi_comm *comm, ftmpi_store *store)
{
	const ftmpi_mark before = ftmpi_watch_begin(comm, FTMPI_PHASE_SAVE, NULL);
	double cpu_s = 0;

	if (!ftmpi_store_save_wait(store, 0))
		(void)ftmpi_failpoint_hit(FTMPI_FP_SAVE_WAIT);
	while (!ftmpi_store_save_wait(store, LOOK_S)) {
		const double now_s = ftmpi_store_save_cpu_s(store);

		if (now_s > cpu_s)
			ftmpi_watch_alive(comm);
		cpu_s = now_s;
	}
	ftmpi_watch_end(comm, before);
}

ftmpi_status ftmpi__checkpoint_save_end(ftmpi_checkpoint *c, ftmpi_store *store, int64_t old_counter, double *write_s)
{
	ftmpi_status status = FTMPI_OK;

	if (ftmpi_comm_is_chief(c->comm)) {
		ftmpi__wait_for_writer(c->comm, store);
		status = ftmpi_store_save_end(store, NULL, write_s);
	}
	status = ftmpi_agree(c->comm, status);
	if (status != FTMPI_OK)
		c->save_counter = old_counter;
	FTMPI_TRY(status);
	FTMPI_TRY(ftmpi_broadcast(c->comm, write_s, (int64_t)sizeof *write_s, FTMPI_CHIEF));
done:
	return status;
}

/* On the chief: the store of a prefix, and the number of its next checkpoint. */
static ftmpi_status open_folder(const ftmpi_checkpoint *c, const char *prefix, ftmpi_store **out, int64_t *number)
{
	ftmpi_status status = FTMPI_OK;
	char directory[FTMPI_PATH_MAX];
	ftmpi_store_options options;
	ftmpi_store *store = NULL;
	int n;

	ftmpi_store_options_init(&options);
	options.keep_max = 0;
	FTMPI_TRY(ftmpi__path_split(prefix, directory, sizeof directory, &options.name));
	FTMPI_TRY(ftmpi_store_open(directory, &options, &store));
	n = ftmpi_store_n_items(store);
	*number = ftmpi__checkpoint_next(c, n > 0 ? ftmpi_store_get(store, n - 1)->number : -1);
	*out = store;
done:
	return status;
}

ftmpi_status ftmpi_checkpoint_save(ftmpi_checkpoint *c, const char *prefix, char *path)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store *store = NULL;
	int64_t number = 0;

	if (ftmpi_comm_is_chief(c->comm))
		status = open_folder(c, prefix, &store, &number);
	FTMPI_TRY(ftmpi_agree(c->comm, status));
	FTMPI_TRY(ftmpi_broadcast(c->comm, &number, (int64_t)sizeof number, FTMPI_CHIEF));
	FTMPI_TRY(ftmpi__checkpoint_save(c, store, number, number));
	if (path != NULL)
		(void)snprintf(path, FTMPI_PATH_MAX, "%s-%lld%s", prefix, (long long)number, FTMPI__SUFFIX);
done:
	ftmpi_store_close(&store);
	return status;
}

/* On the chief. */
static ftmpi_status write_file(const ftmpi_checkpoint *c, const char *prefix)
{
	ftmpi_status status = FTMPI_OK;
	char directory[FTMPI_PATH_MAX], file[FTMPI_PATH_MAX + sizeof FTMPI__SUFFIX];
	const char *name;

	FTMPI_TRY(ftmpi__path_split(prefix, directory, sizeof directory, &name));
	FTMPI_TRY(ftmpi__directory_make(directory));
	(void)snprintf(file, sizeof file, "%s%s", prefix, FTMPI__SUFFIX);
	FTMPI_TRY(ftmpi_registry_write(c->registry, file));
done:
	return status;
}

ftmpi_status ftmpi_checkpoint_write(ftmpi_checkpoint *c, const char *prefix, char *path)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_mark before;

	FTMPI_TRY(before_save(c));
	before = ftmpi_watch_begin(c->comm, FTMPI_PHASE_SAVE, NULL);
	if (ftmpi_comm_is_chief(c->comm))
		status = write_file(c, prefix);
	status = agree_on_save(c, status);
	ftmpi_watch_end(c->comm, before);
	FTMPI_TRY(status);
	if (path != NULL)
		(void)snprintf(path, FTMPI_PATH_MAX, "%s%s", prefix, FTMPI__SUFFIX);
done:
	return status;
}

/* On the chief. */
static ftmpi_status digest_state(const ftmpi_registry *registry, ftmpi_digest *out)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi__parts_check(registry));
	FTMPI_TRY(ftmpi_registry_state_digest(registry, out));
done:
	return status;
}

ftmpi_status ftmpi_checkpoint_state_digest(ftmpi_checkpoint *c, ftmpi_digest *out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_digest digest = {0};

	FTMPI_TRY(before_save(c));
	status = after_copy(c);
	if (ftmpi_comm_is_chief(c->comm) && status == FTMPI_OK)
		status = digest_state(c->registry, &digest);
	ftmpi__registry_withhold_parts(c->registry, true);
	FTMPI_TRY(ftmpi_agree(c->comm, status));
	FTMPI_TRY(ftmpi_broadcast(c->comm, &digest, (int64_t)sizeof digest, FTMPI_CHIEF));
	*out = digest;
done:
	return status;
}
