/* SPDX-License-Identifier: Apache-2.0 */
/* Event files of earlier launches. */
#ifndef FTMPI_EVENTS_EARLIER_H
#define FTMPI_EVENTS_EARLIER_H

#include "base/file.h"

#include <ftmpi/memory.h>

/** Names of event files: of anyone's, and of ftmpi's own. The seconds between have 10 digits, so that names sort as times do. */
#define FTMPI__EVENTS_PREFIX "events.out.tfevents."
#define FTMPI__EVENTS_SUFFIX ".ftmpi"

/** First event of each file. */
#define FTMPI__EVENTS_VERSION "brain.Event:2"

/** Largest <seconds> of a name. */
#define FTMPI__EVENTS_MAX_S 9999999999

/**
 * Drop the events of steps > `step` from ftmpi's own files in a directory, each file atomically; −1: all. Removes what a crash left of that.
 * The version at a file's start stays. @param first_bytes length of the record with it: a shorter file holds no event.
 * @param newest_s set to the largest <seconds> in the name of an event file, whoever wrote it; −1: there is none.
 * Errors: ERR_IO, ERR_NO_SPACE, ERR_MEMORY.
 */
ftmpi_status ftmpi__earlier_drop(const ftmpi__directory *directory, int64_t step, size_t first_bytes,
				 int64_t *newest_s) FTMPI_CHECK_RESULT;

#endif
