/* SPDX-License-Identifier: Apache-2.0 */
/* Writing an event file.
 *
 * Opening:  1 directory  2 earlier files end at the step  3 a new file, its version, and the mark of a relaunch
 * The mark (a session's start, with the first step that comes) makes a TensorBoard that has read the dropped steps forget them.
 *
 * TensorBoard reads the files of a folder in the order of their names and does not come back to one, so <seconds> is larger than in every name that
 * is there: clocks of several machines differ, and a relaunch can come within the same second.
 *
 * A write that failed half-way is repeated from its first byte at the same place, so the file never has anything but whole records and at most a
 * last one that is cut off. */
#include "base/clock.h"
#include "base/file.h"
#include "events/earlier.h"
#include "events/record.h"

#include <errno.h>
#include <fcntl.h>
#include <ftmpi/events.h>
#include <ftmpi/log.h>
#include <string.h>
#include <unistd.h>

/* What waits for a flush at most, but for one event. */
enum { PENDING_BYTES = 64 * 1024, HOST_MAX = 64 };

struct ftmpi_events {
	int fd;
	ftmpi_buffer path; /* for messages */
	off_t n_written;   /* length of the file's good part */
	ftmpi_buffer pending;
};

static ftmpi_status append_version(ftmpi_buffer *out)
{
	Ftmpi__Event event = FTMPI__EVENT__INIT;

	event.wall_time = ftmpi__calendar_s();
	event.what_case = FTMPI__EVENT__WHAT_FILE_VERSION;
	event.file_version = (char *)FTMPI__EVENTS_VERSION; /* packing only reads */
	return ftmpi__record_append(&event, out);
}

static ftmpi_status append_start(int64_t step, ftmpi_buffer *out)
{
	Ftmpi__SessionLog session = FTMPI__SESSION_LOG__INIT;
	Ftmpi__Event event = FTMPI__EVENT__INIT;

	session.status = FTMPI__SESSION_LOG__SESSION_STATUS__START;
	event.wall_time = ftmpi__calendar_s();
	event.step = step;
	event.what_case = FTMPI__EVENT__WHAT_SESSION_LOG;
	event.session_log = &session;
	return ftmpi__record_append(&event, out);
}

/* The host's name, of characters that a file's name may have. */
static void host_name(char host[HOST_MAX])
{
	memset(host, 0, HOST_MAX);
	if (gethostname(host, HOST_MAX - 1) != 0 || host[0] == '\0')
		memcpy(host, "unknown", sizeof "unknown");
	for (char *at = host; *at != '\0'; at++)
		if (strchr("-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz", *at) == NULL)
			*at = '-';
}

/* Begin a file of a name that is not there yet with what is pending. */
static ftmpi_status begin_file(const ftmpi__directory *directory, int64_t newest_s, ftmpi_events *events)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer name = {0};
	char host[HOST_MAX];
	int64_t s = (int64_t)ftmpi__calendar_s();

	if (s <= newest_s)
		s = newest_s + 1;
	if (s > FTMPI__EVENTS_MAX_S)
		s = FTMPI__EVENTS_MAX_S;
	host_name(host);
	for (int n = 0; events->fd < 0; n++) {
		FTMPI_TRY(ftmpi_buffer_resize(&name, 0));
		FTMPI_TRY(ftmpi_buffer_printf(&name, FTMPI__EVENTS_PREFIX "%010lld.%s.%ld.%d" FTMPI__EVENTS_SUFFIX,
					      (long long)s, host, (long)getpid(), n));
		events->fd = openat(directory->fd, name.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (events->fd < 0 && errno != EEXIST && errno != EINTR)
			FTMPI_FAIL(ftmpi__io_status(errno), "cannot create '%s/%s': %s", directory->path, name.data,
				   strerror(errno));
	}
	status = ftmpi_buffer_printf(&events->path, "%s/%s", directory->path, name.data);
	if (status == FTMPI_OK)
		status = ftmpi_events_flush(events);
	if (status != FTMPI_OK)
		ftmpi__file_remove(directory, name.data);
done:
	ftmpi_buffer_clear(&name);
	return status;
}

/* Free what there is; a file that is still open gets nothing more. */
static void free_events(ftmpi_events *events)
{
	if (events == NULL)
		return;
	if (events->fd >= 0)
		(void)close(events->fd);
	ftmpi_buffer_clear(&events->path);
	ftmpi_buffer_clear(&events->pending);
	ftmpi_free(events);
}

ftmpi_status ftmpi_events_open(const char *directory, int64_t step, ftmpi_events **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__directory folder = {.fd = -1};
	ftmpi_events *events = NULL;
	int64_t newest_s = -1;

	FTMPI_TRY(FTMPI_ALLOC(1, &events));
	events->fd = -1;
	FTMPI_TRY(append_version(&events->pending));
	FTMPI_TRY(ftmpi__directory_make(directory));
	FTMPI_TRY(ftmpi__directory_open(directory, &folder));
	FTMPI_TRY(ftmpi__earlier_drop(&folder, step, events->pending.n_bytes, &newest_s));
	FTMPI_TRY(append_start(step < INT64_MAX ? step + 1 : step, &events->pending));
	FTMPI_TRY(begin_file(&folder, newest_s, events));
	*out = events;
	events = NULL;
done:
	if (folder.fd >= 0)
		(void)close(folder.fd);
	free_events(events);
	return status;
}

ftmpi_status ftmpi_events_add_scalar(ftmpi_events *events, const char *tag, int64_t step, double value)
{
	ftmpi_status status = FTMPI_OK;
	Ftmpi__Summary__Value scalar = FTMPI__SUMMARY__VALUE__INIT, *scalars[] = {&scalar};
	Ftmpi__Summary summary = FTMPI__SUMMARY__INIT;
	Ftmpi__Event event = FTMPI__EVENT__INIT;

	if (events->pending.n_bytes >= PENDING_BYTES)
		FTMPI_TRY(ftmpi_events_flush(events));
	scalar.tag = (char *)tag; /* packing only reads */
	scalar.value_case = FTMPI__SUMMARY__VALUE__VALUE_SIMPLE_VALUE;
	scalar.simple_value = (float)value;
	summary.n_value = 1;
	summary.value = scalars;
	event.wall_time = ftmpi__calendar_s();
	event.step = step;
	event.what_case = FTMPI__EVENT__WHAT_SUMMARY;
	event.summary = &summary;
	FTMPI_TRY(ftmpi__record_append(&event, &events->pending));
done:
	return status;
}

/* False with errno on an error; all is tried again by the next call. */
static bool write_pending(ftmpi_events *events)
{
	const size_t n_bytes = events->pending.n_bytes;

	if (n_bytes == 0)
		return true;
	if (lseek(events->fd, events->n_written, SEEK_SET) < 0 ||
	    !ftmpi__write_fully(events->fd, events->pending.data, n_bytes))
		return false;
	events->n_written += (off_t)n_bytes;
	events->pending.n_bytes = 0;
	return true;
}

ftmpi_status ftmpi_events_flush(ftmpi_events *events)
{
	ftmpi_status status = FTMPI_OK;

	if (!write_pending(events))
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot write %zu bytes to '%s': %s", events->pending.n_bytes,
			   events->path.data, strerror(errno));
done:
	return status;
}

/* The error record stays as it is: it may be just what the log is closed for. */
void ftmpi_events_close(ftmpi_events **events)
{
	ftmpi_events *e = *events;

	if (e == NULL)
		return;
	if (!write_pending(e))
		ftmpi_log(FTMPI_LOG_WARNING, "the last events are lost: cannot write %zu bytes to '%s': %s",
			  e->pending.n_bytes, e->path.data, strerror(errno));
	if (close(e->fd) != 0)
		ftmpi_log(FTMPI_LOG_WARNING, "cannot close '%s': %s", e->path.data, strerror(errno));
	e->fd = -1;
	free_events(e);
	*events = NULL;
}
