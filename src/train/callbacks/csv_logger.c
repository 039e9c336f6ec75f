/* SPDX-License-Identifier: Apache-2.0 */
/* CSVLogger. A row is written when its epoch ends, before any checkpoint of that moment, so a relaunch may find rows from its future: it drops them. */
#include "train/callbacks/common.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct csv_logger {
	char filename[FTMPI__TEXT_BYTES];
	char separator;
	FILE *file; /* chief, during a fit */
};

/* Keep the head and the rows of epochs before `epoch`; a last line without its end goes. */
static ftmpi_status drop_rows(const struct csv_logger *c, int64_t epoch)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__image old = {0};
	ftmpi_buffer kept = {0};
	size_t begin = 0;

	status = ftmpi__file_read(AT_FDCWD, c->filename, 0, c->filename, 0, NULL, &old);
	if (status == FTMPI_ERR_NOT_FOUND) {
		status = FTMPI_OK;
		goto done;
	}
	FTMPI_TRY(status);
	for (size_t i = 0; i < old.n_bytes; i++) {
		const char *line = (const char *)old.data + begin;

		if (old.data[i] != '\n')
			continue;
		if (begin == 0 || strtoll(line, NULL, 10) < epoch)
			FTMPI_TRY(ftmpi_buffer_append(&kept, line, i + 1 - begin));
		begin = i + 1;
	}
	FTMPI_TRY(ftmpi__file_replace(c->filename, kept.data, kept.n_bytes));
done:
	ftmpi_buffer_clear(&kept);
	ftmpi__image_clear(&old);
	return status;
}

/* @param goes_on after the rows of the epochs before. */
static ftmpi_status begin_on_chief(struct csv_logger *c, bool goes_on, int64_t epoch)
{
	ftmpi_status status = FTMPI_OK;

	if (goes_on)
		FTMPI_TRY(drop_rows(c, epoch));
	c->file = fopen(c->filename, goes_on ? "ae" : "we");
	if (c->file == NULL)
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot open '%s': %s", c->filename, strerror(errno));
done:
	return status;
}

static ftmpi_status train_begin(void *context, ftmpi_fit *fit)
{
	const ftmpi_progress p = ftmpi_fit_progress(fit);

	return ftmpi_comm_is_chief(ftmpi_fit_comm(fit)) ? begin_on_chief(context, p.resumed, p.epoch) : FTMPI_OK;
}

static void detach(void *context)
{
	struct csv_logger *c = context;

	if (c->file != NULL)
		(void)fclose(c->file);
	c->file = NULL;
}

static ftmpi_status rewound(void *context, ftmpi_fit *fit)
{
	detach(context);
	return ftmpi_comm_is_chief(ftmpi_fit_comm(fit)) ? begin_on_chief(context, true, ftmpi_fit_progress(fit).epoch)
							: FTMPI_OK;
}

static void write_row(const struct csv_logger *c, const ftmpi_logs *logs, int64_t epoch)
{
	if (ftell(c->file) == 0) {
		(void)fprintf(c->file, "epoch");
		for (int i = 0; i < logs->n; i++)
			(void)fprintf(c->file, "%c%s", c->separator, logs->names[i]);
		(void)fprintf(c->file, "\n");
	}
	(void)fprintf(c->file, "%lld", (long long)epoch);
	for (int i = 0; i < logs->n; i++)
		(void)fprintf(c->file, "%c%.17g", c->separator, logs->values[i]);
	(void)fprintf(c->file, "\n");
}

static ftmpi_status epoch_end(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct csv_logger *c = context;

	if (c->file == NULL)
		goto done;
	errno = 0;
	(void)fseek(c->file, 0, SEEK_END);
	write_row(c, ftmpi_fit_logs(fit), ftmpi_fit_progress(fit).epoch);
	if (fflush(c->file) != 0 || ferror(c->file) || fsync(fileno(c->file)) != 0)
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot write '%s': %s", c->filename, strerror(errno));
done:
	return status;
}

ftmpi_status ftmpi_csv_logger_create(const char *filename, char separator, ftmpi_callback **out)
{
	ftmpi_status status = FTMPI_OK;
	struct csv_logger *c = NULL;

	FTMPI_TRY(FTMPI_ALLOC(1, &c));
	c->separator = separator == '\0' ? ',' : separator;
	FTMPI_TRY(ftmpi__copy_text(c->filename, sizeof c->filename, filename, "the CSV logger's file name"));
	FTMPI_TRY(ftmpi__callback_create(&(ftmpi_callback){.context = c,
							   .name = "csv_logger",
							   .train_begin = train_begin,
							   .epoch_end = epoch_end,
							   .rewound = rewound,
							   .detach = detach,
							   .destroy = ftmpi_free},
					 out));
	c = NULL;
done:
	ftmpi_free(c);
	return status;
}
