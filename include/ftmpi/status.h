/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Status codes, the error record, and the macros that carry an error to the caller.
 *
 * Every fallible function returns an ftmpi_status. What went wrong, where, and what to do about it is one line of text in a
 * record of the calling thread (ftmpi_error_message), written by the function that found the error. A function has one
 * `done:` label that frees everything; FTMPI_TRY and FTMPI_FAIL go there. Output parameters are untouched on failure.
 */
#ifndef FTMPI_STATUS_H
#define FTMPI_STATUS_H

#include <ftmpi/export.h>

FTMPI_BEGIN_DECLS

/** The one list of status codes: name, exit code of the program, text. */
#define FTMPI_STATUS_LIST(X)                                                                                           \
	X(OK, 0, "success")                                                                                            \
	X(STOPPED, 75, "stopped after saving; relaunch to go on")                                                      \
	X(ERR_USAGE, 64, "bad option or argument")                                                                     \
	X(ERR_DATA, 65, "bad or corrupt input")                                                                        \
	X(ERR_NOT_FOUND, 66, "input not found")                                                                        \
	X(ERR_MEMORY, 70, "out of memory")                                                                             \
	X(ERR_INTERNAL, 70, "internal error")                                                                          \
	X(ERR_MPI, 70, "MPI error")                                                                                    \
	X(ERR_BUSY, 74, "directory in use by another run")                                                             \
	X(ERR_NO_SPACE, 74, "no space left")                                                                           \
	X(ERR_IO, 74, "input/output error")                                                                            \
	X(ERR_DIVERGED, 76, "model diverged")                                                                          \
	X(ERR_REPLICA, 75, "the ranks' copies of the state differ; relaunch to go on")

typedef enum ftmpi_status {
#define FTMPI_STATUS_ENUM(name, exit_code, text) FTMPI_##name,
	FTMPI_STATUS_LIST(FTMPI_STATUS_ENUM)
#undef FTMPI_STATUS_ENUM
} ftmpi_status;

#if defined(__GNUC__)
#define FTMPI_CHECK_RESULT      __attribute__((warn_unused_result))
#define FTMPI_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define FTMPI_CHECK_RESULT
#define FTMPI_PRINTF(fmt, args)
#endif

/** Name of a status ("ERR_IO"). Local. Never NULL. */
FTMPI_API const char *ftmpi_status_name(ftmpi_status status);

/** One-phrase text of a status. Local. Never NULL. */
FTMPI_API const char *ftmpi_status_text(ftmpi_status status);

/** Exit code that the program documents for a status (sysexits.h where it has one). Local. */
FTMPI_API int ftmpi_status_exit_code(ftmpi_status status);

/** The calling thread's last error as one line without a newline; "" after ftmpi_error_clear. Local. */
FTMPI_API const char *ftmpi_error_message(void);

/** Source positions that the last error passed through, innermost first, one a line; "" when there are none. Local. */
FTMPI_API const char *ftmpi_error_trace(void);

/** Forget the calling thread's last error. Local. */
FTMPI_API void ftmpi_error_clear(void);

/** Record an error; returns `status` so that it can be assigned. Local. Use FTMPI_FAIL. */
FTMPI_API ftmpi_status ftmpi_error_set(ftmpi_status status, const char *file, int line, const char *fmt, ...)
	FTMPI_PRINTF(4, 5);

/** Record that an error passed through here. Local. Use FTMPI_TRY. */
FTMPI_API void ftmpi_error_pass(const char *file, int line);

/** Fail with a message: sets the function's `status` and goes to its `done:` label. */
#define FTMPI_FAIL(code, ...)                                                                                          \
	do {                                                                                                           \
		status = ftmpi_error_set((code), __FILE__, __LINE__, __VA_ARGS__);                                     \
		goto done;                                                                                             \
	} while (0)

/** Call a fallible function; on failure record the position and go to `done:` with its status. */
#define FTMPI_TRY(expr)                                                                                                \
	do {                                                                                                           \
		status = (expr);                                                                                       \
		if (status != FTMPI_OK) {                                                                              \
			ftmpi_error_pass(__FILE__, __LINE__);                                                          \
			goto done;                                                                                     \
		}                                                                                                      \
	} while (0)

FTMPI_END_DECLS

#endif
