/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of event files share: a log folder as text. Include after unit_test.h. */
#ifndef FTMPI_TESTS_EVENTS_TEST_H
#define FTMPI_TESTS_EVENTS_TEST_H

#include "events/earlier.h"
#include "events/record.h"
#include "file_test.h"

#include <ftmpi/events.h>

enum { MAX_LOG_FILES = 16 };

/** Paths of the event files in a folder, in the order of their names. */
typedef struct log_files {
	char path[MAX_LOG_FILES][512];
	int n;
} log_files;

static inline int compare_paths(const void *a, const void *b)
{
	return strcmp(a, b);
}

static inline log_files list_log(const char *directory)
{
	log_files files = {.n = 0};
	DIR *listing = opendir(directory);
	const struct dirent *entry;

	assert_non_null(listing);
	while ((entry = readdir(listing)) != NULL) {
		if (strstr(entry->d_name, "tfevents") == NULL)
			continue;
		assert_true(files.n < MAX_LOG_FILES);
		(void)snprintf(files.path[files.n++], sizeof files.path[0], "%s/%s", directory, entry->d_name);
	}
	assert_int_equal(closedir(listing), 0);
	qsort(files.path, (size_t)files.n, sizeof files.path[0], compare_paths);
	return files;
}

/** Append an event as text: "version", "start 6", "loss 5 0.25". */
static inline void event_text(const Ftmpi__Event *event, ftmpi_buffer *text)
{
	switch (event->what_case) {
	case FTMPI__EVENT__WHAT_FILE_VERSION:
		assert_string_equal(event->file_version, "brain.Event:2");
		assert_int_equal(event->step, 0);
		assert_ok(ftmpi_buffer_printf(text, "version; "));
		break;
	case FTMPI__EVENT__WHAT_SESSION_LOG:
		assert_int_equal(event->session_log->status, FTMPI__SESSION_LOG__SESSION_STATUS__START);
		assert_ok(ftmpi_buffer_printf(text, "start %lld; ", (long long)event->step));
		break;
	case FTMPI__EVENT__WHAT_SUMMARY:
		assert_int_equal(event->summary->n_value, 1);
		assert_ok(ftmpi_buffer_printf(text, "%s %lld %g; ", event->summary->value[0]->tag,
					      (long long)event->step, (double)event->summary->value[0]->simple_value));
		break;
	default:
		fail_msg("an event of kind %d", (int)event->what_case);
	}
}

/** Bytes of the whole records of a file, appended as text. */
static inline size_t file_text(const char *path, ftmpi_buffer *text)
{
	ftmpi_buffer bytes = read_bytes(path);
	const uint8_t *data = (const uint8_t *)bytes.data;
	size_t at = 0, n;

	while (ftmpi__record_find(data + at, bytes.n_bytes - at, &n)) {
		Ftmpi__Event *event = ftmpi__event__unpack(NULL, n - FTMPI__RECORD_HEAD - FTMPI__RECORD_TAIL,
							   data + at + FTMPI__RECORD_HEAD);

		assert_non_null(event);
		assert_true(event->wall_time > 1.5e9);
		event_text(event, text);
		ftmpi__event__free_unpacked(event, NULL);
		at += n;
	}
	ftmpi_buffer_clear(&bytes);
	return at;
}

/** All event files of a folder as text, one after the other; clear it. */
static inline ftmpi_buffer log_text(const char *directory)
{
	const log_files files = list_log(directory);
	ftmpi_buffer text = {0};

	assert_ok(ftmpi_buffer_resize(&text, 0));
	for (int i = 0; i < files.n; i++)
		(void)file_text(files.path[i], &text);
	return text;
}

static inline void assert_log(const char *directory, const char *expected)
{
	ftmpi_buffer text = log_text(directory);

	assert_string_equal(text.data, expected);
	ftmpi_buffer_clear(&text);
}

/** A launch that goes on from `step` and writes "loss" for `first` … `last` with values `launch` + step / 16. */
static inline void write_launch(const char *directory, int64_t step, int64_t first, int64_t last, int launch)
{
	ftmpi_events *events = NULL;

	assert_ok(ftmpi_events_open(directory, step, &events));
	for (int64_t i = first; i <= last; i++)
		assert_ok(ftmpi_events_add_scalar(events, "loss", i, launch + (double)i / 16));
	ftmpi_events_close(&events);
	assert_null(events);
}

#endif
