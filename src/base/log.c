/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines: one write a line.
 *
 * Holds the process's rank and level: with the failpoints the only state that is not in an object, because a log line must be possible
 * anywhere. Warnings and errors go to standard error unbuffered; information shares stdio's buffer with the progress display, so
 * that the two stay in order. */
#include <ftmpi/log.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
	int rank;
	ftmpi_log_level level;
	volatile sig_atomic_t hurried;
} log_state = {0, FTMPI_LOG_INFO, 0};

/* How often a wait for a reader looks whether to give up, in milliseconds. */
enum { LOOK_MS = 50 };

void ftmpi_log_configure(int rank, ftmpi_log_level level)
{
	log_state.rank = rank;
	log_state.level = level;
}

void ftmpi_log_hurry(void)
{
	log_state.hurried = 1;
}

bool ftmpi_log_ready(void)
{
	struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};

	for (;;) {
		const int n = poll(&output, 1, log_state.hurried ? 0 : LOOK_MS);

		if (n > 0 || (n < 0 && errno != EINTR))
			return true;
		if (log_state.hurried)
			return false;
	}
}

/* A write that fails has nowhere to be reported. */
static void write_all(int fd, const char *text, size_t n_bytes)
{
	while (n_bytes > 0) {
		const ssize_t n = write(fd, text, n_bytes);
		if (n <= 0)
			return;
		text += n;
		n_bytes -= (size_t)n;
	}
}

void ftmpi_log(ftmpi_log_level level, const char *fmt, ...)
{
	static const char *const prefixes[] = {"ftmpi: debug: ", "", "ftmpi: warning: ", "ftmpi: error: "};
	char line[4096];
	size_t used;
	va_list args;
	int n;

	if (level < log_state.level || (level < FTMPI_LOG_WARNING && log_state.rank != 0))
		return;
	used = (size_t)snprintf(line, sizeof line, "%s", prefixes[level]);
	if (level >= FTMPI_LOG_WARNING && log_state.rank != 0)
		used += (size_t)snprintf(line + used, sizeof line - used, "rank %d: ", log_state.rank);
	va_start(args, fmt);
	n = vsnprintf(line + used, sizeof line - used - 1, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	used = strlen(line);
	line[used++] = '\n';
	if (level >= FTMPI_LOG_WARNING) {
		(void)fflush(stdout);
		write_all(STDERR_FILENO, line, used);
	} else if (ftmpi_log_ready()) {
		(void)fwrite(line, 1, used, stdout);
		(void)fflush(stdout);
	}
}
