/* SPDX-License-Identifier: Apache-2.0 */
/* Status codes and the error record.
 *
 * The record is one per thread, because an error belongs to the call chain that met it. It is written by the function that finds
 * the error and read by whoever reports it; in between only positions are added. */
#include <ftmpi/status.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_BYTES = 2048, TRACE_BYTES = 2048 };

struct error_record {
	char message[MESSAGE_BYTES];
	char trace[TRACE_BYTES];
};

static _Thread_local struct error_record record;

static const struct status_info {
	const char *name, *text;
	int exit_code;
} infos[] = {
#define FTMPI_STATUS_INFO(name, exit_code, text) {#name, text, exit_code},
	FTMPI_STATUS_LIST(FTMPI_STATUS_INFO)
#undef FTMPI_STATUS_INFO
};

static const struct status_info *info_of(ftmpi_status status)
{
	const size_t n = sizeof infos / sizeof infos[0];

	return (size_t)status < n ? &infos[status] : &infos[FTMPI_ERR_INTERNAL];
}

const char *ftmpi_status_name(ftmpi_status status)
{
	return info_of(status)->name;
}

const char *ftmpi_status_text(ftmpi_status status)
{
	return info_of(status)->text;
}

int ftmpi_status_exit_code(ftmpi_status status)
{
	return info_of(status)->exit_code;
}

const char *ftmpi_error_message(void)
{
	return record.message;
}

const char *ftmpi_error_trace(void)
{
	return record.trace;
}

void ftmpi_error_clear(void)
{
	record.message[0] = '\0';
	record.trace[0] = '\0';
}

void ftmpi_error_pass(const char *file, int line)
{
	const size_t used = strlen(record.trace);

	(void)snprintf(record.trace + used, TRACE_BYTES - used, "%s:%d\n", file, line);
}

ftmpi_status ftmpi_error_set(ftmpi_status status, const char *file, int line, const char *fmt, ...)
{
	char text[MESSAGE_BYTES]; /* the arguments may point into the record */
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	for (char *p = text; *p != '\0'; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	memcpy(record.message, text, sizeof text);
	record.trace[0] = '\0';
	ftmpi_error_pass(file, line);
	return status;
}
