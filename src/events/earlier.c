/* SPDX-License-Identifier: Apache-2.0 */
/* Event files of earlier launches, made to end where this launch goes on.
 *
 * Of each file the records that a reader could read count: from the first up to the one that is cut off or damaged, since no reader gets past
 * that. Those of steps that come again are dropped. What is left is written beside the file and renamed over it, so that at every moment the old or
 * the new file is there whole; one with nothing to drop is not touched. What is kept is copied byte by byte, so fields that this program does not
 * know stay. The version always does, and no file is removed: a TensorBoard that is reading one which vanishes would never go on to the next. The
 * temporary's name is none that TensorBoard takes for an event file. */
#include "events/earlier.h"

#include "events/record.h"

#include <fcntl.h>
#include <ftmpi/log.h>
#include <string.h>

#define TEMPORARY "ftmpi-events.tmp"

/* Names found in the directory, each with its terminating zero. */
struct names {
	ftmpi_buffer own;
	int64_t newest_s;
};

/* What is in a file. */
struct contents {
	ftmpi_buffer kept;  /* records that stay */
	size_t whole_bytes; /* length of the readable part */
	bool version;       /* it begins with the version */
};

/* <seconds> of an event file's name; −1: it is none. */
static int64_t name_seconds(const char *name)
{
	const size_t prefix = strlen(FTMPI__EVENTS_PREFIX);
	int64_t s = 0;

	if (strncmp(name, FTMPI__EVENTS_PREFIX, prefix) != 0)
		return -1;
	name += prefix;
	for (int i = 0; i < 10; i++, name++) {
		if (*name < '0' || *name > '9')
			return -1;
		s = 10 * s + (*name - '0');
	}
	return *name == '.' ? s : -1;
}

static ftmpi_status take_name(void *context, const char *name)
{
	ftmpi_status status = FTMPI_OK;
	struct names *names = context;
	const size_t n_bytes = strlen(name), suffix = strlen(FTMPI__EVENTS_SUFFIX);
	const int64_t s = name_seconds(name);

	if (s < 0)
		goto done;
	if (s > names->newest_s)
		names->newest_s = s;
	if (n_bytes > suffix && strcmp(name + n_bytes - suffix, FTMPI__EVENTS_SUFFIX) == 0)
		FTMPI_TRY(ftmpi_buffer_append(&names->own, name, n_bytes + 1));
done:
	return status;
}

/* Take the readable records of a file, one after the other. */
static ftmpi_status take_records(const ftmpi__image *file, int64_t step, struct contents *c)
{
	ftmpi_status status = FTMPI_OK;
	Ftmpi__Event *event = NULL;
	size_t n;

	while (ftmpi__record_find(file->data + c->whole_bytes, file->n_bytes - c->whole_bytes, &n)) {
		const uint8_t *record = file->data + c->whole_bytes;

		event = ftmpi__event__unpack(NULL, n - FTMPI__RECORD_HEAD - FTMPI__RECORD_TAIL,
					     record + FTMPI__RECORD_HEAD);
		if (event == NULL)
			break;
		if (c->whole_bytes == 0)
			c->version = event->what_case == FTMPI__EVENT__WHAT_FILE_VERSION &&
				     strcmp(event->file_version, FTMPI__EVENTS_VERSION) == 0;
		if (c->whole_bytes == 0 || event->step <= step)
			FTMPI_TRY(ftmpi_buffer_append(&c->kept, record, n));
		c->whole_bytes += n;
		ftmpi__event__free_unpacked(event, NULL);
		event = NULL;
	}
done:
	if (event != NULL)
		ftmpi__event__free_unpacked(event, NULL);
	return status;
}

/* Read a file; *gone: it is not there any more, or no regular file. */
static ftmpi_status read_file(const ftmpi__directory *directory, const char *name, ftmpi__image *file, bool *gone)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer path = {0};

	FTMPI_TRY(ftmpi_buffer_printf(&path, "%s/%s", directory->path, name));
	status = ftmpi__file_read(directory->fd, name, O_NOFOLLOW, path.data, 0, NULL, NULL, file);
	*gone = status == FTMPI_ERR_NOT_FOUND || status == FTMPI_ERR_DATA;
	if (status == FTMPI_ERR_DATA)
		ftmpi_log(FTMPI_LOG_WARNING, "%s: left alone", ftmpi_error_message());
	if (*gone)
		status = FTMPI_OK;
done:
	ftmpi_buffer_clear(&path);
	return status;
}

/* Sets *changed when the file was. */
static ftmpi_status drop_from(const ftmpi__directory *directory, const char *name, int64_t step, size_t first_bytes,
			      bool *changed)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__image file = {0};
	struct contents c = {0};
	bool gone;

	FTMPI_TRY(read_file(directory, name, &file, &gone));
	if (gone || file.n_bytes < first_bytes) /* a crash came before its first record was whole: nothing is in it */
		goto done;
	FTMPI_TRY(take_records(&file, step, &c));
	if (!c.version) {
		ftmpi_log(FTMPI_LOG_WARNING, "'%s/%s' is no event file: left alone", directory->path, name);
		goto done;
	}
	if (c.whole_bytes < file.n_bytes)
		ftmpi_log(FTMPI_LOG_WARNING, "'%s/%s' is readable up to byte %zu of %zu: the rest is dropped",
			  directory->path, name, c.whole_bytes, file.n_bytes);
	if (c.kept.n_bytes == file.n_bytes)
		goto done;
	FTMPI_TRY(ftmpi__file_write(directory, TEMPORARY, c.kept.data, c.kept.n_bytes, false, NULL));
	FTMPI_TRY(ftmpi__file_rename(directory, TEMPORARY, name, false));
	*changed = true;
done:
	ftmpi_buffer_clear(&c.kept);
	ftmpi__image_clear(&file);
	return status;
}

ftmpi_status ftmpi__earlier_drop(const ftmpi__directory *directory, int64_t step, size_t first_bytes, int64_t *newest_s)
{
	ftmpi_status status = FTMPI_OK;
	struct names names = {.newest_s = -1};
	bool changed = false;

	ftmpi__file_remove(directory, TEMPORARY);
	FTMPI_TRY(ftmpi__directory_list(directory, take_name, &names));
	for (size_t at = 0; at < names.own.n_bytes; at += strlen(names.own.data + at) + 1)
		FTMPI_TRY(drop_from(directory, names.own.data + at, step, first_bytes, &changed));
	if (changed)
		FTMPI_TRY(ftmpi__directory_sync(directory, false));
	*newest_s = names.newest_s;
done:
	ftmpi_buffer_clear(&names.own);
	return status;
}
