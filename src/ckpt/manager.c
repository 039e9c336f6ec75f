/* SPDX-License-Identifier: Apache-2.0 */
/* The manager: TensorFlow's rules for when to save, under which number, and where to begin, over a store, which has those for what stays.
 *
 * The chief decides and tells; each rank keeps the list of files that the chief told last, so that asking for it needs no message. A number of the
 * manager's own lies above every number that the folder had at the opening or at a restore, or that was saved since: checkpoints are ordered
 * by number, so the last one saved is the newest, and none is overwritten. A save that failed counts for nothing: not for the counter, not for the
 * interval, not for the numbers. A save in flight counts when it is ended. */
#include "ckpt/checkpoint_inside.h"
#include "ckpt/store_inside.h"

#include <ftmpi/log.h>
#include <ftmpi/manager.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct ftmpi_manager {
	ftmpi_checkpoint *checkpoint;
	ftmpi_manager_options options;
	ftmpi_store *store; /* the chief's */
	bool owns_store;
	ftmpi_buffer directory, name; /* the store's, on every rank */
	int64_t highest;              /* number; −1: none */
	bool has_last;
	int64_t last_step;    /* of the last save or restore */
	ftmpi_buffer numbers; /* int64: the newest (−1: none), then the active set, oldest first */
	ftmpi_buffer files;   /* their paths, each in row_bytes */
	size_t row_bytes;
	char path[FTMPI_PATH_MAX]; /* the last answer */
	struct {
		bool is_there;
		int64_t number, old_counter, step;
	} flight;       /* the save in flight, the same on all ranks; step: the step counter's when it began */
	double write_s; /* of the last save that was in flight */
};

void ftmpi_manager_options_init(ftmpi_manager_options *options)
{
	*options = (ftmpi_manager_options){.max_to_keep = FTMPI_KEEP_ALL, .checkpoint_name = "ckpt", .lock_wait_s = 10};
}

static ftmpi_status check_options(const ftmpi_manager_options *options)
{
	ftmpi_status status = FTMPI_OK;

	if (options->max_to_keep <= 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "max_to_keep is %lld: give 1 or more, or FTMPI_KEEP_ALL",
			   (long long)options->max_to_keep);
	if (!(options->keep_checkpoint_every_n_hours >= 0) || isinf(options->keep_checkpoint_every_n_hours))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "keep_checkpoint_every_n_hours is %g: give 0 (none) or more",
			   options->keep_checkpoint_every_n_hours);
	if (options->checkpoint_interval < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint_interval is %lld: give 0 (none) or more steps",
			   (long long)options->checkpoint_interval);
	if (options->checkpoint_interval > 0 && options->step_counter == NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint_interval is %lld, but there is no step_counter",
			   (long long)options->checkpoint_interval);
done:
	return status;
}

/* What a rank does by itself. @param options NULL: the defaults. */
static ftmpi_status create(ftmpi_checkpoint *checkpoint, const ftmpi_manager_options *options, ftmpi_manager **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_manager *m = NULL;

	FTMPI_TRY(FTMPI_ALLOC(1, &m));
	m->checkpoint = checkpoint;
	ftmpi_manager_options_init(&m->options);
	if (options != NULL)
		m->options = *options;
	FTMPI_TRY(check_options(&m->options));
	*out = m;
	m = NULL;
done:
	ftmpi_manager_destroy(&m);
	return status;
}

static bool is_chief(const ftmpi_manager *m)
{
	return ftmpi_comm_is_chief(m->checkpoint->comm);
}

/* The path of a checkpoint, as the store has it. */
static void format_path(const ftmpi_manager *m, int64_t number, char *path, size_t path_bytes)
{
	char file[FTMPI__FILE_NAME_MAX];

	ftmpi__file_name(m->name.data, number, "", file);
	(void)snprintf(path, path_bytes, "%s/%s", m->directory.data, file);
}

/* On the chief: the store's list. */
static ftmpi_status list_numbers(ftmpi_manager *m)
{
	ftmpi_status status = FTMPI_OK;
	const int n = ftmpi_store_n_items(m->store);
	const int64_t newest = n > 0 ? ftmpi_store_get(m->store, n - 1)->number : -1;

	FTMPI_TRY(ftmpi_buffer_resize(&m->numbers, 0));
	FTMPI_TRY(ftmpi_buffer_append(&m->numbers, &newest, sizeof newest));
	for (int i = 0; i < n; i++) {
		const ftmpi_store_item *item = ftmpi_store_get(m->store, i);

		if (!item->preserved)
			FTMPI_TRY(ftmpi_buffer_append(&m->numbers, &item->number, sizeof item->number));
	}
done:
	return status;
}

static int64_t number_at(const ftmpi_manager *m, int i)
{
	return ((const int64_t *)(const void *)m->numbers.data)[i];
}

static int64_t newest_number(const ftmpi_manager *m)
{
	return number_at(m, 0);
}

static ftmpi_status list_files(ftmpi_manager *m)
{
	ftmpi_status status = FTMPI_OK;
	const int n = ftmpi_manager_n_checkpoints(m) + 1;

	FTMPI_TRY(ftmpi_buffer_resize(&m->files, (size_t)n * m->row_bytes));
	for (int i = 0; i < n; i++)
		format_path(m, number_at(m, i), m->files.data + (size_t)i * m->row_bytes, m->row_bytes);
done:
	return status;
}

/* The lists of all ranks become the chief's. Collective. */
static ftmpi_status refresh(ftmpi_manager *m)
{
	ftmpi_status status = FTMPI_OK;

	if (is_chief(m))
		status = list_numbers(m);
	FTMPI_TRY(ftmpi_agree(m->checkpoint->comm, status));
	FTMPI_TRY(ftmpi_broadcast_buffer(m->checkpoint->comm, &m->numbers, FTMPI_CHIEF));
	FTMPI_TRY(ftmpi_agree(m->checkpoint->comm, list_files(m)));
done:
	return status;
}

static ftmpi_status copy_names(ftmpi_manager *m)
{
	ftmpi_status status = FTMPI_OK;

	if (m->store == NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "the manager was given no store");
	FTMPI_TRY(ftmpi_buffer_printf(&m->directory, "%s", ftmpi_store_directory(m->store)));
	FTMPI_TRY(ftmpi_buffer_printf(&m->name, "%s", m->store->name));
done:
	return status;
}

/* The chief's store is open: tell all ranks about it. Collective. */
static ftmpi_status share_store(ftmpi_manager *m)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_comm *comm = m->checkpoint->comm;

	if (is_chief(m))
		status = copy_names(m);
	FTMPI_TRY(ftmpi_agree(comm, status));
	FTMPI_TRY(ftmpi_broadcast_buffer(comm, &m->directory, FTMPI_CHIEF));
	FTMPI_TRY(ftmpi_broadcast_buffer(comm, &m->name, FTMPI_CHIEF));
	m->row_bytes = m->directory.n_bytes + 1 + FTMPI__FILE_NAME_MAX;
	FTMPI_TRY(refresh(m));
	m->highest = newest_number(m);
done:
	return status;
}

static ftmpi_status open_store(const ftmpi_manager *m, const char *directory, ftmpi_store **out)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_manager_options *o = &m->options;
	ftmpi_store_options options;

	ftmpi_store_options_init(&options);
	options.name = o->checkpoint_name;
	options.keep_max = o->max_to_keep == FTMPI_KEEP_ALL ? 0 : o->max_to_keep;
	options.keep_every_n_hours = o->keep_checkpoint_every_n_hours;
	options.lock_wait_s = o->lock_wait_s;
	options.now = o->now;
	options.now_context = o->now_context;
	FTMPI_TRY(ftmpi_store_open(directory, &options, out));
done:
	return status;
}

/* @param directory of a store of the manager's own; else `store`, on the chief, is the program's. */
static ftmpi_status begin(ftmpi_checkpoint *checkpoint, const char *directory, ftmpi_store *store, bool owns_store,
			  const ftmpi_manager_options *options, ftmpi_manager **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_manager *m = NULL;

	FTMPI_TRY(ftmpi_agree(checkpoint->comm, create(checkpoint, options, &m)));
	if (m == NULL)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "agreed on a manager that is not there");
	m->owns_store = owns_store;
	m->store = is_chief(m) ? store : NULL;
	if (is_chief(m) && owns_store)
		status = open_store(m, directory, &m->store);
	FTMPI_TRY(ftmpi_agree(checkpoint->comm, status));
	FTMPI_TRY(share_store(m));
	*out = m;
	m = NULL;
done:
	ftmpi_manager_destroy(&m);
	return status;
}

ftmpi_status ftmpi_manager_create(ftmpi_checkpoint *checkpoint, const char *directory,
				  const ftmpi_manager_options *options, ftmpi_manager **out)
{
	return begin(checkpoint, directory, NULL, true, options, out);
}

ftmpi_status ftmpi_manager_create_on_store(ftmpi_checkpoint *checkpoint, ftmpi_store *store,
					   const ftmpi_manager_options *options, ftmpi_manager **out)
{
	return begin(checkpoint, NULL, store, false, options, out);
}

/* On the chief: the save becomes durable or does not, and nobody is there to hear of it. */
static void end_unasked(ftmpi_manager *m)
{
	ftmpi__wait_for_writer(m->checkpoint->comm, m->store);
	ftmpi__saving_abandon(m->store);
}

void ftmpi_manager_destroy(ftmpi_manager **manager)
{
	ftmpi_manager *m = *manager;

	if (m == NULL)
		return;
	if (m->flight.is_there && is_chief(m))
		end_unasked(m);
	if (m->owns_store)
		ftmpi_store_close(&m->store);
	ftmpi_buffer_clear(&m->directory);
	ftmpi_buffer_clear(&m->name);
	ftmpi_buffer_clear(&m->numbers);
	ftmpi_buffer_clear(&m->files);
	ftmpi_free(m);
	*manager = NULL;
}

static int64_t step_now(const ftmpi_manager *m)
{
	return m->options.checkpoint_interval == 0 ? 0 : *m->options.step_counter;
}

/* A step was saved or restored: the interval counts from it. */
static void note_step(ftmpi_manager *m, int64_t step)
{
	m->has_last = m->options.checkpoint_interval > 0;
	m->last_step = step;
}

static void note_save(ftmpi_manager *m, int64_t number, int64_t step)
{
	m->highest = number > m->highest ? number : m->highest;
	note_step(m, step);
}

static bool is_due(const ftmpi_manager *m, bool check_interval)
{
	int64_t step;

	if (m->options.checkpoint_interval == 0 || !m->has_last)
		return true;
	step = *m->options.step_counter;
	return step != m->last_step && !(check_interval && step - m->last_step < m->options.checkpoint_interval);
}

/* What the chief tells about a save. */
struct decision {
	int64_t is_due, number, counter;
};

/* On the chief. */
static struct decision decide(const ftmpi_manager *m, const int64_t *number, bool check_interval)
{
	const int64_t next = ftmpi__checkpoint_next(m->checkpoint, m->highest);

	if (number == NULL)
		return (struct decision){.is_due = is_due(m, check_interval), .number = next, .counter = next};
	return (struct decision){.is_due = is_due(m, check_interval),
				 .number = *number,
				 .counter = ftmpi__checkpoint_next(m->checkpoint, -1)};
}

static void warn_of_newer(const ftmpi_manager *m, const struct decision *d)
{
	if (is_chief(m) && d->number >= 0 && d->number < m->highest)
		ftmpi_log(FTMPI_LOG_WARNING,
			  "'%s' has checkpoint %lld: it stays the newest one, before %lld which is being saved",
			  m->directory.data, (long long)m->highest, (long long)d->number);
}

/* After a save: the lists, also after an error, since it may have deleted old ones to make room. */
static ftmpi_status conclude(ftmpi_manager *m, ftmpi_status saved, int64_t number, int64_t step)
{
	ftmpi_status status = FTMPI_OK;

	if (saved == FTMPI_OK)
		note_save(m, number, step);
	if (saved != FTMPI_ERR_MPI)
		FTMPI_TRY(refresh(m));
	FTMPI_TRY(saved);
done:
	return status;
}

/* End what is in flight, then decide whether to save. Collective. */
static ftmpi_status begin_save(ftmpi_manager *m, const int64_t *number, bool check_interval, struct decision *d)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi_manager_save_end(m, NULL));
	if (is_chief(m))
		*d = decide(m, number, check_interval);
	FTMPI_TRY(ftmpi_broadcast(m->checkpoint->comm, d, (int64_t)sizeof *d, FTMPI_CHIEF));
	if (d->is_due)
		warn_of_newer(m, d);
done:
	return status;
}

ftmpi_status ftmpi_manager_save(ftmpi_manager *m, const int64_t *checkpoint_number, bool check_interval,
				const char **path)
{
	ftmpi_status status = FTMPI_OK;
	struct decision d = {0};

	FTMPI_TRY(begin_save(m, checkpoint_number, check_interval, &d));
	if (d.is_due) {
		status = ftmpi__checkpoint_save(m->checkpoint, m->store, d.number, d.counter);
		FTMPI_TRY(conclude(m, status, d.number, step_now(m)));
		format_path(m, d.number, m->path, sizeof m->path);
	}
	if (path != NULL)
		*path = d.is_due ? m->path : NULL;
done:
	return status;
}

ftmpi_status ftmpi_manager_save_begin(ftmpi_manager *m, const int64_t *checkpoint_number, bool check_interval,
				      bool *begun)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t step = step_now(m);
	struct decision d = {0};
	int64_t old_counter;

	FTMPI_TRY(begin_save(m, checkpoint_number, check_interval, &d));
	old_counter = m->checkpoint->save_counter;
	if (d.is_due) {
		FTMPI_TRY(ftmpi__checkpoint_save_begin(m->checkpoint, m->store, d.number, d.counter));
		m->flight.is_there = true;
		m->flight.number = d.number;
		m->flight.old_counter = old_counter;
		m->flight.step = step;
	}
	if (begun != NULL)
		*begun = d.is_due;
done:
	return status;
}

bool ftmpi_manager_save_ready(const ftmpi_manager *m)
{
	return m->flight.is_there && is_chief(m) && ftmpi_store_save_wait(m->store, 0);
}

ftmpi_status ftmpi_manager_save_end(ftmpi_manager *m, const char **path)
{
	ftmpi_status status = FTMPI_OK;
	const bool is_there = m->flight.is_there;

	m->flight.is_there = false;
	if (is_there) {
		status = ftmpi__checkpoint_save_end(m->checkpoint, m->store, m->flight.old_counter, &m->write_s);
		FTMPI_TRY(conclude(m, status, m->flight.number, m->flight.step));
		format_path(m, m->flight.number, m->path, sizeof m->path);
	}
	if (path != NULL)
		*path = is_there ? m->path : NULL;
done:
	return status;
}

double ftmpi_manager_write_s(const ftmpi_manager *m)
{
	return m->write_s;
}

/* Open the newest good checkpoint. Collective. @param reader set on the chief. @param found whether there is one, on every rank. */
static ftmpi_status open_latest(ftmpi_manager *m, ftmpi_reader **reader, bool *found)
{
	ftmpi_status status = FTMPI_OK, opened;
	const ftmpi_comm *comm = m->checkpoint->comm;

	if (is_chief(m))
		status = ftmpi_store_open_latest(m->store, reader);
	opened = ftmpi_agree(comm, status);
	if (opened != FTMPI_ERR_MPI)
		FTMPI_TRY(refresh(m)); /* bad ones have left the list */
	FTMPI_TRY(opened);
	*found = *reader != NULL;
	FTMPI_TRY(ftmpi_broadcast(comm, found, (int64_t)sizeof *found, FTMPI_CHIEF));
done:
	return status;
}

static ftmpi_status initialize(const ftmpi_manager *m)
{
	if (m->options.init_fn == NULL)
		return FTMPI_OK;
	return ftmpi_agree(m->checkpoint->comm, m->options.init_fn(m->options.init_context));
}

ftmpi_status ftmpi_manager_restore_or_initialize(ftmpi_manager *m, const char **path)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_reader *reader = NULL;
	bool found = false;

	status = ftmpi_manager_save_end(m, NULL);
	if (status != FTMPI_OK && status != FTMPI_ERR_MPI && is_chief(m))
		ftmpi_log(FTMPI_LOG_WARNING, "%s", ftmpi_error_message());
	if (status == FTMPI_ERR_MPI)
		FTMPI_TRY(status);
	FTMPI_TRY(open_latest(m, &reader, &found));
	if (found) {
		FTMPI_TRY(ftmpi__checkpoint_restore(m->checkpoint, reader, true, NULL));
		format_path(m, newest_number(m), m->path, sizeof m->path);
		note_step(m, step_now(m));
	} else {
		FTMPI_TRY(initialize(m));
	}
	m->highest = newest_number(m);
	if (path != NULL)
		*path = found ? m->path : NULL;
done:
	ftmpi_reader_close(&reader);
	return status;
}

const char *ftmpi_manager_latest_checkpoint(const ftmpi_manager *m)
{
	return newest_number(m) < 0 ? NULL : m->files.data;
}

int ftmpi_manager_n_checkpoints(const ftmpi_manager *m)
{
	return (int)(m->numbers.n_bytes / sizeof(int64_t)) - 1;
}

const char *ftmpi_manager_checkpoint(const ftmpi_manager *m, int i)
{
	return m->files.data + (size_t)(i + 1) * m->row_bytes;
}

const char *ftmpi_manager_directory(const ftmpi_manager *m)
{
	return m->directory.data;
}

ftmpi_store *ftmpi_manager_store(ftmpi_manager *m)
{
	return m->store;
}
