/* SPDX-License-Identifier: Apache-2.0 */
/* TFRecords. The checksum is CRC-32C, "masked" by a rotation and a constant so that the CRC of data which itself holds CRCs stays a good one. */
#include "events/record.h"

#include <isa-l.h>
#include <string.h>

/* No event is as long; the library counts bytes with an int. */
enum { MAX_EVENT_BYTES = 1 << 30 };

uint32_t ftmpi__crc32c_masked(const void *data, size_t n_bytes)
{
	/* The library wants the start value and leaves the final inversion to the caller; it does not write to the buffer. */
	const uint32_t crc = ~crc32_iscsi((unsigned char *)data, (int)n_bytes, UINT32_MAX);

	return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

static void put_le(uint8_t *at, uint64_t value, int n_bytes)
{
	for (int i = 0; i < n_bytes; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le(const uint8_t *at, int n_bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < n_bytes; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return value;
}

ftmpi_status ftmpi__record_append(const Ftmpi__Event *event, ftmpi_buffer *out)
{
	ftmpi_status status = FTMPI_OK;
	const size_t start = out->n_bytes, n_bytes = ftmpi__event__get_packed_size(event);
	uint8_t *at;

	if (n_bytes > MAX_EVENT_BYTES)
		FTMPI_FAIL(FTMPI_ERR_MEMORY, "an event of %zu bytes does not fit in an event file", n_bytes);
	FTMPI_TRY(ftmpi_buffer_resize(out, start + FTMPI__RECORD_HEAD + n_bytes + FTMPI__RECORD_TAIL));
	at = (uint8_t *)out->data + start;
	put_le(at, n_bytes, 8);
	put_le(at + 8, ftmpi__crc32c_masked(at, 8), 4);
	(void)ftmpi__event__pack(event, at + FTMPI__RECORD_HEAD);
	put_le(at + FTMPI__RECORD_HEAD + n_bytes, ftmpi__crc32c_masked(at + FTMPI__RECORD_HEAD, n_bytes), 4);
done:
	return status;
}

bool ftmpi__record_find(const uint8_t *data, size_t n_bytes, size_t *record_bytes)
{
	uint64_t event_bytes;

	if (n_bytes < FTMPI__RECORD_HEAD + FTMPI__RECORD_TAIL || get_le(data + 8, 4) != ftmpi__crc32c_masked(data, 8))
		return false;
	event_bytes = get_le(data, 8);
	if (event_bytes > MAX_EVENT_BYTES || event_bytes > n_bytes - FTMPI__RECORD_HEAD - FTMPI__RECORD_TAIL)
		return false;
	data += FTMPI__RECORD_HEAD;
	if (get_le(data + event_bytes, 4) != ftmpi__crc32c_masked(data, event_bytes))
		return false;
	*record_bytes = FTMPI__RECORD_HEAD + event_bytes + FTMPI__RECORD_TAIL;
	return true;
}
