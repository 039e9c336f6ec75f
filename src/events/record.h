/* SPDX-License-Identifier: Apache-2.0 */
/* TFRecords: how events lie in a file, one behind the other.
 *
 *     8 bytes  length n, little-endian
 *     4 bytes  masked CRC-32C of the length
 *     n bytes  the event, in protocol buffers' encoding
 *     4 bytes  masked CRC-32C of the event */
#ifndef FTMPI_EVENTS_RECORD_H
#define FTMPI_EVENTS_RECORD_H

#include "events/event.pb-c.h"

#include <ftmpi/memory.h>
#include <stdbool.h>

/** Bytes before and behind the event. */
enum { FTMPI__RECORD_HEAD = 12, FTMPI__RECORD_TAIL = 4 };

/** CRC-32C as TFRecords store it. */
uint32_t ftmpi__crc32c_masked(const void *data, size_t n_bytes);

/** Append an event as a record. Errors: ERR_MEMORY; the buffer is as it was then. */
ftmpi_status ftmpi__record_append(const Ftmpi__Event *event, ftmpi_buffer *out) FTMPI_CHECK_RESULT;

/**
 * The whole record at the start of `data` with right checksums; false: there is none.
 * @param record_bytes set to its length, head and tail included: the event is in between.
 */
bool ftmpi__record_find(const uint8_t *data, size_t n_bytes, size_t *record_bytes);

#endif
