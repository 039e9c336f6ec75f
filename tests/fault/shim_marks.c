/* SPDX-License-Identifier: Apache-2.0 */
/* The shim's marks: the calls of ftmpi that announce a checkpoint. They are wrapped where the program has them from the shared library. */
#include "shim_inside.h"

#include <ftmpi/store.h>
#include <stdlib.h>

shim_forget_function shim_forget;

static void put_number(enum shim_kind kind, int64_t number, ftmpi_digest digest)
{
	struct shim_record record = {.kind = kind, .number = number};

	memcpy(record.digest, &digest, sizeof record.digest);
	shim__put(&record, NULL, NULL, NULL, 0);
}

EXPORT void shim_forget(int64_t number)
{
	put_number(SHIM_FORGET, number, (ftmpi_digest){0});
}

static ftmpi_status state_digest(const ftmpi_registry *registry, ftmpi_digest *out)
{
	SHIM__REAL("ftmpi_registry_state_digest", ftmpi_status(const ftmpi_registry *, ftmpi_digest *))
	return real(registry, out);
}

EXPORT ftmpi_status ftmpi_store_save(ftmpi_store *store, const ftmpi_registry *registry, int64_t number, char *file)
{
	ftmpi_status status;
	ftmpi_digest digest = {0};

	SHIM__REAL("ftmpi_store_save", ftmpi_status(ftmpi_store *, const ftmpi_registry *, int64_t, char *))
	if (state_digest(registry, &digest) == FTMPI_OK)
		put_number(SHIM_SAVE, number, digest);
	status = real(store, registry, number, file);
	if (status == FTMPI_OK)
		put_number(SHIM_SAVED, number, digest);
	return status;
}

/* A save in flight is announced when it is ended. One store of a process at a time. */
static struct {
	int64_t number;
	ftmpi_digest digest;
} flight;

EXPORT ftmpi_status ftmpi_store_save_begin(ftmpi_store *store, const ftmpi_registry *registry, int64_t number)
{
	SHIM__REAL("ftmpi_store_save_begin", ftmpi_status(ftmpi_store *, const ftmpi_registry *, int64_t))
	flight.number = number;
	if (state_digest(registry, &flight.digest) == FTMPI_OK)
		put_number(SHIM_SAVE, number, flight.digest);
	return real(store, registry, number);
}

EXPORT ftmpi_status ftmpi_store_save_end(ftmpi_store *store, char *file, double *write_s)
{
	ftmpi_status status;

	SHIM__REAL("ftmpi_store_save_end", ftmpi_status(ftmpi_store *, char *, double *))
	status = real(store, file, write_s);
	if (status == FTMPI_OK)
		put_number(SHIM_SAVED, flight.number, flight.digest);
	return status;
}

static int64_t reader_number(const ftmpi_reader *reader)
{
	const char *dash;

	SHIM__REAL("ftmpi_reader_file", const char *(const ftmpi_reader *))
	dash = strrchr(real(reader), '-');
	return dash == NULL ? -1 : strtoll(dash + 1, NULL, 10);
}

static ftmpi_digest reader_digest(const ftmpi_reader *reader)
{
	SHIM__REAL("ftmpi_reader_state_digest", ftmpi_digest(const ftmpi_reader *))
	return real(reader);
}

EXPORT ftmpi_status ftmpi_store_open_latest(ftmpi_store *store, ftmpi_reader **out)
{
	ftmpi_status status;

	SHIM__REAL("ftmpi_store_open_latest", ftmpi_status(ftmpi_store *, ftmpi_reader **))
	status = real(store, out);
	if (status == FTMPI_OK && *out != NULL)
		put_number(SHIM_RESTORED, reader_number(*out), reader_digest(*out));
	return status;
}
