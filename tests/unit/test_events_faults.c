/* SPDX-License-Identifier: Apache-2.0 */
/* Event files when the system fails: at each call in turn an error, or the end of the process. The calls go through wrappers (the linker's
 * --wrap), which count them. */
#include "unit/unit_test.h"

#include "unit/events_test.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

enum fault { NONE, FAIL, DIE };

static struct {
	enum fault fault;
	int at; /* which call of those that are wrapped, from 0 */
	int n_calls;
} wrapped;

/* Whether this call is to fail. A write that fails or dies has written half. */
static bool meets_fault(void)
{
	if (wrapped.fault == NONE || wrapped.n_calls++ != wrapped.at)
		return false;
	errno = ENOSPC;
	return true;
}

static int failed(void)
{
	if (wrapped.fault == DIE)
		(void)raise(SIGKILL);
	errno = ENOSPC;
	return -1;
}

/* The linker gives these names. */
/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl51-cpp) */
ssize_t __real_write(int fd, const void *data, size_t n_bytes);
ssize_t __wrap_write(int fd, const void *data, size_t n_bytes);
ssize_t __real_read(int fd, void *data, size_t n_bytes);
ssize_t __wrap_read(int fd, void *data, size_t n_bytes);
int __real_openat(int directory, const char *name, int flags, mode_t mode);
int __wrap_openat(int directory, const char *name, int flags, mode_t mode);
int __real_renameat(int from_directory, const char *from, int to_directory, const char *to);
int __wrap_renameat(int from_directory, const char *from, int to_directory, const char *to);
int __real_unlinkat(int directory, const char *name, int flags);
int __wrap_unlinkat(int directory, const char *name, int flags);
int __real_fsync(int fd);
int __wrap_fsync(int fd);

ssize_t __wrap_write(int fd, const void *data, size_t n_bytes)
{
	if (meets_fault()) {
		(void)__real_write(fd, data, n_bytes / 2);
		return failed();
	}
	return __real_write(fd, data, n_bytes);
}

ssize_t __wrap_read(int fd, void *data, size_t n_bytes)
{
	return meets_fault() ? failed() : __real_read(fd, data, n_bytes);
}

int __wrap_openat(int directory, const char *name, int flags, mode_t mode)
{
	return meets_fault() ? failed() : __real_openat(directory, name, flags, mode);
}

int __wrap_renameat(int from_directory, const char *from, int to_directory, const char *to)
{
	return meets_fault() ? failed() : __real_renameat(from_directory, from, to_directory, to);
}

int __wrap_unlinkat(int directory, const char *name, int flags)
{
	return meets_fault() ? failed() : __real_unlinkat(directory, name, flags);
}

int __wrap_fsync(int fd)
{
	return meets_fault() ? failed() : __real_fsync(fd);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl51-cpp) */

static void arm(enum fault fault, int at)
{
	wrapped.fault = fault;
	wrapped.at = at;
	wrapped.n_calls = 0;
}

/* A folder with files of three launches: a relaunch at step 4 leaves the first alone and rewrites the other two. */
static void make_folder(const char *directory)
{
	write_launch(directory, -1, 1, 2, 10);
	write_launch(directory, 2, 3, 5, 20);
	write_launch(directory, 5, 6, 7, 30);
}

#define KEPT "version; start 0; loss 1 10.0625; loss 2 10.125; version; start 3; loss 3 20.1875; loss 4 20.25; "

#define NEXT "start 5; loss 5 40.3125; "

/* Whatever happened at the relaunch: nothing up to step 4 is lost or doubled, and the next one has the folder as it should be. */
static void assert_recovers(const char *directory)
{
	ftmpi_buffer text = log_text(directory);
	const char *at;

	if (strncmp(text.data, KEPT, strlen(KEPT)) != 0)
		fail_msg("the log lost events: %s", text.data);
	ftmpi_buffer_clear(&text);
	write_launch(directory, 4, 5, 5, 40);
	text = log_text(directory);
	assert_memory_equal(text.data, KEPT, strlen(KEPT));
	for (at = text.data + strlen(KEPT); strncmp(at, "version; ", 9) == 0;)
		at += 9;
	assert_string_equal(at, NEXT);
	ftmpi_buffer_clear(&text);
	assert_int_equal(count_names(directory, ".tmp"), 0);
}

/* Each call fails in turn. A few errors change nothing (a temporary that cannot be removed); all others are told. */
static void test_relaunch_errors(void **state)
{
	int n_failed = 0;

	(void)state;
	for (int at = 0;; at++) {
		ftmpi_events *events = NULL;
		ftmpi_status status;
		char directory[32];
		bool reached;

		(void)snprintf(directory, sizeof directory, "errors_%d", at);
		make_folder(directory);
		arm(FAIL, at);
		status = ftmpi_events_open(directory, 4, &events);
		reached = wrapped.n_calls > at;
		arm(NONE, 0);
		if (status == FTMPI_OK) {
			assert_non_null(events);
			ftmpi_events_close(&events);
		} else {
			assert_int_equal(status, FTMPI_ERR_NO_SPACE);
			assert_null(events);
			assert_non_null(strstr(ftmpi_error_message(), directory));
			assert_int_equal(count_names(directory, ".tmp"), 0);
			n_failed++;
		}
		assert_recovers(directory);
		if (!reached) {
			assert_true(n_failed >= at - 1 && n_failed > 15);
			return;
		}
	}
}

/* The process ends at each call in turn. */
static void test_relaunch_deaths(void **state)
{
	(void)state;
	for (int at = 0;; at++) {
		char directory[32];
		int code = 0;
		pid_t child;

		(void)snprintf(directory, sizeof directory, "deaths_%d", at);
		make_folder(directory);
		child = fork();
		if (child == 0) {
			ftmpi_events *events = NULL;
			ftmpi_status status;

			arm(DIE, at);
			status = ftmpi_events_open(directory, 4, &events);
			ftmpi_events_close(&events);
			_exit(status == FTMPI_OK ? 0 : 1);
		}
		assert_int_equal(waitpid(child, &code, 0), child);
		assert_recovers(directory);
		if (WIFEXITED(code)) {
			assert_int_equal(WEXITSTATUS(code), 0);
			assert_true(at > 15);
			return;
		}
		assert_int_equal(WTERMSIG(code), SIGKILL);
	}
}

/* A full disk under a running training: what was added is kept, and written once there is room. */
static void test_flush_error(void **state)
{
	ftmpi_events *events = NULL;
	ftmpi_buffer text;
	int saved;

	(void)state;
	assert_ok(ftmpi_events_open("flush", -1, &events));
	assert_ok(ftmpi_events_add_scalar(events, "loss", 1, 1));
	assert_ok(ftmpi_events_flush(events));
	for (int i = 2; i < 5; i++) {
		assert_ok(ftmpi_events_add_scalar(events, "loss", i, i));
		arm(FAIL, 0);
		assert_fails(ftmpi_events_flush(events), FTMPI_ERR_NO_SPACE, "bytes to 'flush/events.out.tfevents.");
		arm(NONE, 0);
		text = log_text("flush");
		assert_memory_equal(text.data, "version; start 0; loss 1 1; ", 28);
		ftmpi_buffer_clear(&text);
	}
	assert_ok(ftmpi_events_flush(events));
	assert_log("flush", "version; start 0; loss 1 1; loss 2 2; loss 3 3; loss 4 4; ");
	assert_ok(ftmpi_events_add_scalar(events, "loss", 5, 5));
	(void)ftmpi_error_set(FTMPI_ERR_IO, __FILE__, __LINE__, "why it is closed");
	saved = capture_begin();
	arm(FAIL, 0);
	ftmpi_events_close(&events);
	arm(NONE, 0);
	text = capture_end(saved);
	assert_captured(&text, 1, "the last events are lost: cannot write");
	assert_string_equal(ftmpi_error_message(), "why it is closed");
	assert_null(events);
}

/* While the disk stays full, memory does not grow, and the scalar that is refused is not added. */
static void test_add_error(void **state)
{
	ftmpi_events *events = NULL;
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer text;
	char last[64];
	int n = 0;

	(void)state;
	assert_ok(ftmpi_events_open("add", -1, &events));
	arm(FAIL, 0);
	while (status == FTMPI_OK && n < 100000) {
		status = ftmpi_events_add_scalar(events, "loss", n, n);
		n += status == FTMPI_OK;
	}
	assert_int_equal(status, FTMPI_ERR_NO_SPACE);
	assert_true(n > 100 && n < 10000);
	arm(FAIL, 0);
	assert_fails(ftmpi_events_add_scalar(events, "loss", n, n), FTMPI_ERR_NO_SPACE, "cannot write");
	arm(NONE, 0);
	assert_ok(ftmpi_events_add_scalar(events, "last", n, n));
	ftmpi_events_close(&events);
	text = log_text("add");
	(void)snprintf(last, sizeof last, "; loss %d %d; last %d %d; ", n - 1, n - 1, n, n);
	assert_non_null(strstr(text.data, last));
	assert_string_equal(strstr(text.data, last), last);
	ftmpi_buffer_clear(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_relaunch_errors),
		cmocka_unit_test(test_relaunch_deaths),
		cmocka_unit_test(test_flush_error),
		cmocka_unit_test(test_add_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
