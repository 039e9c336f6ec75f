/* SPDX-License-Identifier: Apache-2.0 */
/** @file Aligned, zeroed, overflow-checked memory, and a growable byte buffer. */
#ifndef FTMPI_MEMORY_H
#define FTMPI_MEMORY_H

#include <ftmpi/status.h>
#include <stddef.h>
#include <stdint.h>

FTMPI_BEGIN_DECLS

/** Alignment in bytes of every array that ftmpi allocates: one cache line, one AVX-512 vector. */
#define FTMPI_ALIGNMENT 64

/**
 * Allocate `n` elements of `element_bytes`, zeroed, aligned to FTMPI_ALIGNMENT. Local. Use FTMPI_ALLOC, which gives the size.
 * @param n at least 0; an array of no elements is a valid pointer all the same.
 * @param pointer address of a pointer of any object type, set to the array; free with ftmpi_free.
 * Errors: ERR_MEMORY, also when n · element_bytes does not fit.
 */
FTMPI_API ftmpi_status ftmpi_alloc(int64_t n, size_t element_bytes, void *pointer) FTMPI_CHECK_RESULT;

/** ftmpi_alloc of the type that `*p` points to: `FTMPI_TRY(FTMPI_ALLOC(n, &p))`. */
#define FTMPI_ALLOC(n, p) ftmpi_alloc((n), sizeof **(p), (p))

/** Free an array of ftmpi_alloc; NULL is fine. Local. */
FTMPI_API void ftmpi_free(void *p);

/** A growable array of bytes. All zero is a valid empty buffer. */
typedef struct ftmpi_buffer {
	char *data;
	size_t n_bytes;
	size_t capacity_bytes;
} ftmpi_buffer;

/** Set the length; new bytes are zero, and one zero byte always follows the last. Local. Errors: ERR_MEMORY. */
FTMPI_API ftmpi_status ftmpi_buffer_resize(ftmpi_buffer *buffer, size_t n_bytes) FTMPI_CHECK_RESULT;

/** Append bytes. Local. Errors: ERR_MEMORY. */
FTMPI_API ftmpi_status ftmpi_buffer_append(ftmpi_buffer *buffer, const void *data, size_t n_bytes) FTMPI_CHECK_RESULT;

/** Append formatted text. Local. Errors: ERR_MEMORY. */
FTMPI_API ftmpi_status ftmpi_buffer_printf(ftmpi_buffer *buffer, const char *fmt, ...)
	FTMPI_PRINTF(2, 3) FTMPI_CHECK_RESULT;

/** Free the bytes and make the buffer empty. Local. */
FTMPI_API void ftmpi_buffer_clear(ftmpi_buffer *buffer);

FTMPI_END_DECLS

#endif
