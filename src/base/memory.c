/* SPDX-License-Identifier: Apache-2.0 */
/* Aligned arrays and growable buffers. Sizes are checked before they are multiplied or added. */
#include <ftmpi/memory.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ftmpi_status ftmpi_alloc(int64_t n, size_t element_bytes, void *pointer)
{
	ftmpi_status status = FTMPI_OK;
	size_t n_bytes;
	void *p;

	if (n < 0 || __builtin_mul_overflow((size_t)n, element_bytes, &n_bytes) ||
	    n_bytes > PTRDIFF_MAX - FTMPI_ALIGNMENT)
		FTMPI_FAIL(FTMPI_ERR_MEMORY, "an array of %lld elements of %zu bytes does not fit in memory",
			   (long long)n, element_bytes);
	n_bytes = (n_bytes + FTMPI_ALIGNMENT) / FTMPI_ALIGNMENT * FTMPI_ALIGNMENT;
	p = aligned_alloc(FTMPI_ALIGNMENT, n_bytes);
	if (p == NULL)
		FTMPI_FAIL(FTMPI_ERR_MEMORY, "out of memory: %zu bytes", n_bytes);
	memset(p, 0, n_bytes);
	memcpy(pointer, &p, sizeof p); /* pointers to objects share one representation on POSIX */
done:
	return status;
}

void ftmpi_free(void *p)
{
	free(p);
}

ftmpi_status ftmpi_buffer_resize(ftmpi_buffer *buffer, size_t n_bytes)
{
	ftmpi_status status = FTMPI_OK;

	if (n_bytes >= buffer->capacity_bytes) {
		size_t capacity = buffer->capacity_bytes < 64 ? 64 : buffer->capacity_bytes;
		char *data;

		if (n_bytes > PTRDIFF_MAX / 4)
			FTMPI_FAIL(FTMPI_ERR_MEMORY, "a buffer of %zu bytes does not fit in memory", n_bytes);
		while (capacity <= n_bytes)
			capacity += capacity / 2;
		data = realloc(buffer->data, capacity);
		if (data == NULL)
			FTMPI_FAIL(FTMPI_ERR_MEMORY, "out of memory: %zu bytes", capacity);
		buffer->data = data;
		buffer->capacity_bytes = capacity;
	}
	if (n_bytes > buffer->n_bytes)
		memset(buffer->data + buffer->n_bytes, 0, n_bytes - buffer->n_bytes);
	buffer->data[n_bytes] = '\0';
	buffer->n_bytes = n_bytes;
done:
	return status;
}

ftmpi_status ftmpi_buffer_append(ftmpi_buffer *buffer, const void *data, size_t n_bytes)
{
	ftmpi_status status = FTMPI_OK;
	const size_t old_bytes = buffer->n_bytes;

	if (n_bytes > PTRDIFF_MAX / 4)
		FTMPI_FAIL(FTMPI_ERR_MEMORY, "a buffer of %zu more bytes does not fit in memory", n_bytes);
	FTMPI_TRY(ftmpi_buffer_resize(buffer, old_bytes + n_bytes));
	if (n_bytes > 0)
		memcpy(buffer->data + old_bytes, data, n_bytes);
done:
	return status;
}

ftmpi_status ftmpi_buffer_printf(ftmpi_buffer *buffer, const char *fmt, ...)
{
	ftmpi_status status = FTMPI_OK;
	const size_t old_bytes = buffer->n_bytes;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "cannot format text");
	FTMPI_TRY(ftmpi_buffer_resize(buffer, old_bytes + (size_t)n));
	va_start(args, fmt);
	(void)vsnprintf(buffer->data + old_bytes, (size_t)n + 1, fmt, args);
	va_end(args);
done:
	return status;
}

void ftmpi_buffer_clear(ftmpi_buffer *buffer)
{
	free(buffer->data);
	*buffer = (ftmpi_buffer){0};
}
