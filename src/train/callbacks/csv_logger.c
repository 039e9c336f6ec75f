/* SPDX-License-Identifier: Apache-2.0 */
/* CSVLogger. A row is written when its epoch ends, before any checkpoint of that moment, so a relaunch may find rows from its future: it drops them.
 * Where a file has rows of earlier fits too, `begin` tells them apart. */
#include "train/callbacks/common.h"

#include "base/file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct csv_logger {
	char filename[FTMPI__TEXT_BYTES];
	ftmpi_csv_logger_options options;
	int64_t begin; /* of this fit's rows in the file, bytes; of the chief; saved */
	FILE *file;    /* chief, during a fit */
};

void ftmpi_csv_logger_options_init(ftmpi_csv_logger_options *options)
{
	*options = (ftmpi_csv_logger_options){.separator = ','};
}

/* About the run: rows decide nothing. */
static ftmpi_status attach(void *context, ftmpi_fit *fit)
{
	struct csv_logger *c = context;

	c->begin = 0;
	return ftmpi_registry_add_scalar(ftmpi_checkpoint_registry(ftmpi_fit_checkpoint(fit)),
					 "ftmpi/run/callbacks/csv_logger/begin", FTMPI_I64, &c->begin, FTMPI_RECORD);
}

/* Keep the head, what was there before this fit, and the rows of epochs before `epoch`; a last line without its end goes. */
static ftmpi_status drop_rows(const struct csv_logger *c, int64_t epoch, int64_t *n_kept)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__image old = {0};
	ftmpi_buffer kept = {0};
	size_t begin = 0;

	status = ftmpi__file_read(AT_FDCWD, c->filename, 0, c->filename, 0, NULL, NULL, &old);
	if (status == FTMPI_ERR_NOT_FOUND) {
		ftmpi_error_clear();
		*n_kept = 0;
		status = FTMPI_OK;
		goto done;
	}
	FTMPI_TRY(status);
	for (size_t i = 0; i < old.n_bytes; i++) {
		const char *line = (const char *)old.data + begin;

		if (old.data[i] != '\n')
			continue;
		if (begin == 0 || (int64_t)begin < c->begin || strtoll(line, NULL, 10) < epoch)
			FTMPI_TRY(ftmpi_buffer_append(&kept, line, i + 1 - begin));
		begin = i + 1;
	}
	if (kept.n_bytes != old.n_bytes)
		FTMPI_TRY(ftmpi__file_replace(c->filename, kept.data, kept.n_bytes));
	*n_kept = (int64_t)kept.n_bytes;
done:
	ftmpi_buffer_clear(&kept);
	ftmpi__image_clear(&old);
	return status;
}

/* @param goes_on after the rows of the epochs before. */
static ftmpi_status begin_on_chief(struct csv_logger *c, bool goes_on, int64_t epoch)
{
	ftmpi_status status = FTMPI_OK;
	const bool keeps = goes_on || c->options.append;
	int64_t n_kept = 0;

	if (keeps) {
		if (!goes_on)
			c->begin = INT64_MAX;
		FTMPI_TRY(drop_rows(c, epoch, &n_kept));
		if (!goes_on)
			c->begin = n_kept;
	}
	c->file = fopen(c->filename, keeps ? "ae" : "we");
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
			(void)fprintf(c->file, "%c%s", c->options.separator, logs->names[i]);
		(void)fprintf(c->file, "\n");
	}
	(void)fprintf(c->file, "%lld", (long long)epoch);
	for (int i = 0; i < logs->n; i++)
		(void)fprintf(c->file, "%c%.17g", c->options.separator, logs->values[i]);
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

ftmpi_status ftmpi_csv_logger_create(const char *filename, const ftmpi_csv_logger_options *options,
				     ftmpi_callback **out)
{
	ftmpi_status status = FTMPI_OK;
	struct csv_logger *c = NULL;

	if (options->separator == '\0' || options->separator == '\n')
		FTMPI_FAIL(FTMPI_ERR_USAGE, "CSV logger: the separator ends the %s",
			   options->separator == '\0' ? "text" : "line");
	if (isalnum((unsigned char)options->separator) || strchr("+-._", options->separator) != NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "CSV logger: the separator '%c' may be part of a name or number",
			   options->separator);
	FTMPI_TRY(FTMPI_ALLOC(1, &c));
	c->options = *options;
	FTMPI_TRY(ftmpi__copy_text(c->filename, sizeof c->filename, filename, "the CSV logger's file name"));
	FTMPI_TRY(ftmpi__callback_create(&(ftmpi_callback){.context = c,
							   .name = "csv_logger",
							   .attach = attach,
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
