/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Log lines. Each line leaves the process in one write, so lines of several ranks never mix. Information goes to standard
 * output and only from the chief; warnings and errors go to standard error from any rank.
 */
#ifndef FTMPI_LOG_H
#define FTMPI_LOG_H

#include <ftmpi/status.h>
#include <stdbool.h>

FTMPI_BEGIN_DECLS

typedef enum ftmpi_log_level { FTMPI_LOG_DEBUG, FTMPI_LOG_INFO, FTMPI_LOG_WARNING, FTMPI_LOG_ERROR } ftmpi_log_level;

/** Tell the log this process's rank (0 until told) and the lowest level that it prints (INFO until told). Local. */
FTMPI_API void ftmpi_log_configure(int rank, ftmpi_log_level level);

/** Print one line; the newline is added. DEBUG and INFO lines of ranks other than the chief are dropped. Local. */
FTMPI_API void ftmpi_log(ftmpi_log_level level, const char *fmt, ...) FTMPI_PRINTF(2, 3);

/**
 * Wait until standard output takes a line; after ftmpi_log_hurry do not wait. A launcher that is going down reads no more, and what it does not read
 * must not hold up the last save. Local. @return false: the line would wait, drop it.
 */
FTMPI_API bool ftmpi_log_ready(void);

/** From now on lines on standard output that would wait for a reader are dropped. Local; may be called in a signal handler. */
FTMPI_API void ftmpi_log_hurry(void);

FTMPI_END_DECLS

#endif
