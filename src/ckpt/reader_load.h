/* SPDX-License-Identifier: Apache-2.0 */
/* The steps in which a registry is filled from a checkpoint, for those who do something between them. */
#ifndef FTMPI_CKPT_READER_LOAD_H
#define FTMPI_CKPT_READER_LOAD_H

#include "ckpt/reader_inside.h"

/** Most paths that a message names. */
enum { FTMPI__MAX_NAMED = 10 };

/** What lies below it tells about the run; a checkpoint fits a program with or without it. */
#define FTMPI__RUN "ftmpi/run"

bool ftmpi__about_run(const char *path);

/** Which entries must be in the file. */
typedef enum ftmpi__need {
	FTMPI__NEED_NONE,
	FTMPI__NEED_STATE /**< all but those about the run */,
	FTMPI__NEED_ALL
} ftmpi__need;

/** Find each entry's variable. @param found one for each entry; NULL where the file has none. Errors: ERR_DATA (missing, another type or shape: named),
 * ERR_MEMORY. */
ftmpi_status ftmpi__match(const ftmpi_reader *reader, const ftmpi_registry *registry, ftmpi__need need,
			  const ftmpi__variable **found) FTMPI_CHECK_RESULT;

/** Copy the growable variables that were found. @param buffers one for each entry, empty. Errors: ERR_MEMORY. */
ftmpi_status ftmpi__match_copy_buffers(const ftmpi_registry *registry, const ftmpi__variable *const *found,
				       ftmpi_buffer *buffers) FTMPI_CHECK_RESULT;

/** Write what was found into the program's arrays, and exchange its buffers with these. */
void ftmpi__match_write(const ftmpi_registry *registry, const ftmpi__variable *const *found, ftmpi_buffer *buffers);

void ftmpi__swap_buffers(ftmpi_buffer *a, ftmpi_buffer *b);
/** Clear `n` buffers and free the array of them; NULL is fine. */
void ftmpi__free_buffers(ftmpi_buffer *buffers, int n);

#endif
