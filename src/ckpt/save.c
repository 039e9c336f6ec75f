/* SPDX-License-Identifier: Apache-2.0 */
/* Saving in two parts: copy the arrays, then commit the copy. The second is done here and now, or by the store's writer while the caller goes on.
 *
 * One save is in flight at a time. From its beginning until it is ended the store's list is the writer's: whoever asks the store for anything waits for it
 * (ftmpi__store_settle). How it went is told once, by ftmpi_store_save_end: a save that is not ended is not announced. */
#include "base/clock.h"
#include "ckpt/store_inside.h"

#include <errno.h>
#include <ftmpi/log.h>
#include <string.h>

/* Copy the arrays, and see that the store may be changed at all. */
static ftmpi_status stage(ftmpi_store *store, const ftmpi_registry *registry, int64_t number, bool digests)
{
	ftmpi_status status = FTMPI_OK;

	if (store->saving.pending)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "a save into '%s' is in flight: end it before the next one", store->path);
	FTMPI_TRY(ftmpi__check_save(store, number));
	store->saving.number = number;
	if (ftmpi__fault(true, FTMPI_FP_SAVE_STAGE))
		status = ftmpi_error_set(ftmpi__io_status(errno), __FILE__, __LINE__, "cannot copy the arrays: %s",
					 strerror(errno));
	if (status == FTMPI_OK)
		status = ftmpi__snapshot_take(&store->saving.snapshot, registry, digests);
	if (status != FTMPI_OK)
		status = ftmpi__not_saved(store, number, status);
done:
	return status;
}

static ftmpi_status commit(void *context)
{
	ftmpi_store *store = context;
	struct ftmpi__saving *saving = &store->saving;

	return ftmpi__commit(store, &saving->snapshot, saving->number, &saving->facts, &saving->durable_s);
}

ftmpi_status ftmpi_store_save(ftmpi_store *store, const ftmpi_registry *registry, int64_t number, char *file)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(stage(store, registry, number, true));
	FTMPI_TRY(commit(store));
	if (file != NULL)
		memcpy(file, store->saving.facts.file, sizeof store->saving.facts.file);
done:
	if (store->saving.writer == NULL) /* nobody else saves here: the memory is for the training */
		ftmpi__snapshot_clear(&store->saving.snapshot);
	return status;
}

/* HDF5 begins on this thread, since it calls MPI then. */
static ftmpi_status prepare_writer(ftmpi_store *store)
{
	ftmpi_status status = FTMPI_OK;

	if (store->saving.writer != NULL)
		goto done;
	FTMPI_TRY(ftmpi__image_prepare());
	FTMPI_TRY(ftmpi__writer_create(&store->saving.writer));
done:
	return status;
}

ftmpi_status ftmpi_store_save_begin(ftmpi_store *store, const ftmpi_registry *registry, int64_t number)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(prepare_writer(store));
	FTMPI_TRY(stage(store, registry, number, false));
	store->saving.begin_s = ftmpi__now_s();
	store->saving.pending = true;
	ftmpi__writer_start(store->saving.writer, commit, store);
done:
	return status;
}

bool ftmpi_store_save_wait(ftmpi_store *store, double most_s)
{
	return !store->saving.pending || ftmpi__writer_wait(store->saving.writer, most_s);
}

double ftmpi_store_save_cpu_s(const ftmpi_store *store)
{
	return store->saving.writer == NULL ? 0 : ftmpi__writer_cpu_s(store->saving.writer);
}

ftmpi_status ftmpi_store_save_end(ftmpi_store *store, char *file, double *write_s)
{
	ftmpi_status status = FTMPI_OK;
	const struct ftmpi__saving *saving = &store->saving;

	if (!saving->pending)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "no save into '%s' is in flight", store->path);
	ftmpi__store_settle(store);
	store->saving.pending = false;
	FTMPI_TRY(ftmpi__writer_result(saving->writer));
	if (file != NULL)
		memcpy(file, saving->facts.file, sizeof saving->facts.file);
	if (write_s != NULL)
		*write_s = saving->durable_s - saving->begin_s;
done:
	return status;
}

void ftmpi__store_settle(const ftmpi_store *store)
{
	if (store->saving.pending)
		(void)ftmpi__writer_wait(store->saving.writer, -1);
}

/* The error record stays as it is: it may be just what the store is closed for. */
void ftmpi__saving_abandon(ftmpi_store *store)
{
	if (!store->saving.pending)
		return;
	ftmpi__store_settle(store);
	store->saving.pending = false;
	if (ftmpi__writer_message(store->saving.writer)[0] != '\0')
		ftmpi_log(FTMPI_LOG_WARNING, "%s", ftmpi__writer_message(store->saving.writer));
}

void ftmpi__saving_clear(ftmpi_store *store)
{
	ftmpi__saving_abandon(store);
	ftmpi__writer_destroy(&store->saving.writer);
	ftmpi__snapshot_clear(&store->saving.snapshot);
}
