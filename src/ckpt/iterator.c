/* SPDX-License-Identifier: Apache-2.0 */
/* New checkpoints as they come.
 *
 * A look is cheap (the state file and the names in the folder), so there are several a second; a file is opened only when the newest one is another than at
 * the last look. A checkpoint is newer than the last one that was given out if its number is higher, or if it was saved later: a training that
 * fell back, or began anew, counts from lower numbers again. */
#include "base/clock.h"
#include "ckpt/store_inside.h"

#include <ftmpi/manager.h>
#include <math.h>
#include <string.h>

#define PAUSE_S 0.2

/* What tells one checkpoint from another. */
struct mark {
	int64_t number; /* −1: none */
	double timestamp_s;
	ftmpi_digest digest; /* of the file; zero where it is not known */
};

struct ftmpi_checkpoints_iterator {
	char *directory;
	double min_interval_s, timeout_s;
	bool (*stop)(void *context);
	void *context;
	struct mark newest;  /* at the last look */
	struct mark given;   /* the last one given out */
	double not_before_s; /* monotonic clock: when the next one may be given out */
};

ftmpi_status ftmpi_checkpoints_iterator_create(const char *directory, double min_interval_s, double timeout_s,
					       bool (*stop)(void *context), void *context,
					       ftmpi_checkpoints_iterator **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_checkpoints_iterator *it = NULL;

	if (directory == NULL || directory[0] == '\0')
		FTMPI_FAIL(FTMPI_ERR_USAGE, "the checkpoint directory has no name");
	if (!(min_interval_s >= 0) || isinf(min_interval_s))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "min_interval_s is %g: give 0 or more seconds", min_interval_s);
	if (isnan(timeout_s))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "timeout_s is not a number of seconds");
	FTMPI_TRY(FTMPI_ALLOC(1, &it));
	FTMPI_TRY(FTMPI_ALLOC((int64_t)strlen(directory) + 1, &it->directory));
	memcpy(it->directory, directory, strlen(directory) + 1);
	it->min_interval_s = min_interval_s;
	it->timeout_s = timeout_s < 0 ? INFINITY : timeout_s;
	it->stop = stop;
	it->context = context;
	it->newest.number = it->given.number = -1;
	it->not_before_s = ftmpi__now_s();
	*out = it;
	it = NULL;
done:
	ftmpi_checkpoints_iterator_destroy(&it);
	return status;
}

void ftmpi_checkpoints_iterator_destroy(ftmpi_checkpoints_iterator **iterator)
{
	if (*iterator == NULL)
		return;
	ftmpi_free((*iterator)->directory);
	ftmpi_free(*iterator);
	*iterator = NULL;
}

/* The newest checkpoint of a store. */
static struct mark mark_of(const ftmpi_store *store)
{
	const int n = ftmpi_store_n_items(store);
	const ftmpi_store_item *item;

	if (n == 0)
		return (struct mark){.number = -1};
	item = ftmpi_store_get(store, n - 1);
	return (struct mark){.number = item->number, .timestamp_s = item->timestamp_s, .digest = item->digest};
}

static bool is_same(const struct mark *a, const struct mark *b)
{
	return a->number == b->number && ftmpi_digest_equal(a->digest, b->digest);
}

static bool is_newer(const struct mark *mark, const struct mark *given)
{
	return !is_same(mark, given) && (mark->number > given->number || mark->timestamp_s > given->timestamp_s);
}

/* Open the newest good checkpoint of a folder in which something is new. *reader stays NULL if that is not newer than the last one given out. */
static ftmpi_status open_newer(ftmpi_checkpoints_iterator *it, ftmpi_store *store, ftmpi_reader **reader)
{
	ftmpi_status status = FTMPI_OK;
	const struct mark newest = mark_of(store);
	struct mark opened;

	status = ftmpi_store_open_latest(store, reader);
	if (status == FTMPI_ERR_DATA) /* none is good now; the next one may be */
		status = FTMPI_OK;
	FTMPI_TRY(status);
	it->newest = newest;
	if (*reader == NULL)
		goto done;
	opened = mark_of(store);
	opened.digest = ftmpi_reader_file_digest(*reader);
	if (is_newer(&opened, &it->given))
		it->given = opened;
	else
		ftmpi_reader_close(reader);
done:
	return status;
}

static ftmpi_status look(ftmpi_checkpoints_iterator *it, ftmpi_reader **reader)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store *store = NULL;
	struct mark newest;

	status = ftmpi__look_open(it->directory, NULL, true, &store);
	if (status == FTMPI_ERR_NOT_FOUND) { /* no folder yet, or nothing in it */
		status = FTMPI_OK;
		goto done;
	}
	FTMPI_TRY(status);
	newest = mark_of(store);
	if (newest.number >= 0 && (!is_same(&newest, &it->newest) || newest.timestamp_s != it->newest.timestamp_s))
		FTMPI_TRY(open_newer(it, store, reader));
done:
	ftmpi_store_close(&store);
	return status;
}

/* Sleep a little, at most until a time. False when that is over, or `stop` says so. */
static bool wait_a_little(const ftmpi_checkpoints_iterator *it, double until_s)
{
	const double s = fmin(until_s - ftmpi__now_s(), PAUSE_S);
	struct timespec pause;

	if (s <= 0 || (it->stop != NULL && it->stop(it->context)))
		return false;
	pause = (struct timespec){.tv_nsec = (long)(s * 1e9)};
	(void)nanosleep(&pause, NULL);
	return true;
}

ftmpi_status ftmpi_checkpoints_iterator_next(ftmpi_checkpoints_iterator *it, ftmpi_reader **reader)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_reader *found = NULL;
	double until_s;

	while (wait_a_little(it, it->not_before_s))
		continue;
	if (ftmpi__now_s() >= it->not_before_s) { /* else `stop` said so */
		until_s = ftmpi__now_s() + it->timeout_s;
		do
			FTMPI_TRY(look(it, &found));
		while (found == NULL && wait_a_little(it, until_s));
	}
	if (found != NULL)
		it->not_before_s = ftmpi__now_s() + it->min_interval_s;
	*reader = found;
done:
	return status;
}
