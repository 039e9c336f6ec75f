/* SPDX-License-Identifier: Apache-2.0 */
/** @file What a person sees of a training: a callback that prints. */
#ifndef FTMPI_DISPLAY_H
#define FTMPI_DISPLAY_H

#include <ftmpi/callback.h>

FTMPI_BEGIN_DECLS

typedef enum ftmpi_display_style {
	FTMPI_DISPLAY_BAR,   /**< Keras's progress bar, redrawn in place */
	FTMPI_DISPLAY_LINES, /**< Keras's one line an epoch */
	FTMPI_DISPLAY_LOG    /**< the Estimator's lines: loss, step, steps a second */
} ftmpi_display_style;

typedef struct ftmpi_display ftmpi_display;

/**
 * Bar if what this process writes ends on a terminal, else lines. Local. mpirun gives rank 0 a pseudo-terminal whatever its own output is, so under
 * mpirun it is mpirun's standard output that is looked at.
 */
FTMPI_API ftmpi_display_style ftmpi_display_style_auto(void);

/** Local. @param log_steps steps between two lines of FTMPI_DISPLAY_LOG; ≥ 1. Errors: ERR_MEMORY. */
FTMPI_API ftmpi_status ftmpi_display_create(ftmpi_display_style style, int64_t log_steps,
					    ftmpi_display **out) FTMPI_CHECK_RESULT;
FTMPI_API void ftmpi_display_destroy(ftmpi_display **display);

/** The callback, Keras's ProgbarLogger; prints on the chief alone; lives as long as the display. Local. */
FTMPI_API const ftmpi_callback *ftmpi_display_callback(const ftmpi_display *display);

FTMPI_END_DECLS

#endif
