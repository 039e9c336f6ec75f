/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of saving run in two modes: with FTMPI_ASYNC_CHECKPOINT=true a writer does each save that need not be durable at once. */
#ifndef FTMPI_TESTS_SAVE_MODE_H
#define FTMPI_TESTS_SAVE_MODE_H

#include <ftmpi/store.h>
#include <stdlib.h>
#include <string.h>

static inline bool saves_async(void)
{
	const char *mode = getenv("FTMPI_ASYNC_CHECKPOINT");

	return mode != NULL && strcmp(mode, "true") == 0;
}

/** ftmpi_store_save, in the mode that the environment says. */
static inline ftmpi_status save_in_mode(ftmpi_store *store, const ftmpi_registry *registry, int64_t number)
{
	ftmpi_status status;

	if (!saves_async())
		return ftmpi_store_save(store, registry, number, NULL);
	status = ftmpi_store_save_begin(store, registry, number);
	return status == FTMPI_OK ? ftmpi_store_save_end(store, NULL, NULL) : status;
}

#endif
