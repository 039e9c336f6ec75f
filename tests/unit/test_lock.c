/* SPDX-License-Identifier: Apache-2.0 */
/* One writer per directory, between processes. */
#include "unit/unit_test.h"

#include "store_test.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

/* A process that holds the lock of a directory until it is killed. Returns when it has it. */
static pid_t start_holder(const char *directory)
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		ftmpi_store_options o;
		ftmpi_store *store = NULL;

		ftmpi_store_options_init(&o);
		if (ftmpi_store_open(directory, &o, &store) != FTMPI_OK || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_int_equal(close(ready[1]), 0);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(close(ready[0]), 0);
	return pid;
}

static void end_holder(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void test_second_writer(void **state)
{
	ftmpi_store_options o;
	ftmpi_store *store = NULL, *look = NULL;
	char host[256] = "", expected[512];
	pid_t pid;

	(void)state;
	pid = start_holder("busy");
	assert_int_equal(gethostname(host, sizeof host - 1), 0);
	(void)snprintf(
		expected, sizeof expected,
		"'busy' is in use by process %ld on host %s (its lock did not come free within 0 s): wait for that run "
		"to end, or use another directory",
		(long)pid, host);
	ftmpi_store_options_init(&o);
	o.lock_wait_s = 0;
	assert_fails(ftmpi_store_open("busy", &o, &store), FTMPI_ERR_BUSY, expected);
	assert_null(store);
	o.read_only = true;
	assert_ok(ftmpi_store_open("busy", &o, &look));
	ftmpi_store_close(&look);
	o.read_only = false;
	assert_fails(ftmpi_store_open("busy", &o, &store), FTMPI_ERR_BUSY, expected);
	end_holder(pid);
	assert_ok(ftmpi_store_open("busy", &o, &store));
	/* Within one process too. */
	assert_fails(ftmpi_store_open("busy", &o, &look), FTMPI_ERR_BUSY, "'busy' is in use by process");
	ftmpi_store_close(&store);
	assert_ok(ftmpi_store_open("busy", &o, &store));
	ftmpi_store_close(&store);
}

/* A process that waits for a line on `fd`, prints it, and then kills `victim`. */
static pid_t start_killer(int fd, pid_t victim)
{
	const pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct pollfd line = {.fd = fd, .events = POLLIN};
		char text[1024];
		ssize_t n;

		if (poll(&line, 1, 50000) != 1)
			_exit(1);
		n = read(fd, text, sizeof text - 1);
		if (n <= 0)
			_exit(2);
		text[n] = '\0';
		_exit(strstr(text, "waiting up to 60 s for the lock of 'waited', held by process ") != NULL &&
				      kill(victim, SIGKILL) == 0
			      ? 0
			      : 3);
	}
	return pid;
}

/* The holder goes down while one waits: the line that says so is what triggers it. */
static void test_waiting(void **state)
{
	ftmpi_store_options o;
	ftmpi_store *store = NULL;
	int lines[2], saved, status;
	pid_t holder, killer;

	(void)state;
	holder = start_holder("waited");
	assert_int_equal(pipe(lines), 0);
	killer = start_killer(lines[0], holder);
	ftmpi_store_options_init(&o);
	o.lock_wait_s = 60;
	saved = dup(STDERR_FILENO);
	assert_true(dup2(lines[1], STDERR_FILENO) >= 0);
	assert_ok(ftmpi_store_open("waited", &o, &store));
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	assert_int_equal(close(saved) + close(lines[0]) + close(lines[1]), 0);
	assert_int_equal(waitpid(killer, &status, 0), killer);
	assert_int_equal(status, 0);
	assert_int_equal(waitpid(holder, &status, 0), holder);
	ftmpi_store_close(&store);
}

/* What the lock file says is shown only when it looks like what this program writes. */
static void test_holder_text(void **state)
{
	ftmpi_store_options o;
	ftmpi_store *store = NULL;
	pid_t pid;

	(void)state;
	pid = start_holder("odd");
	ftmpi_store_options_init(&o);
	o.lock_wait_s = 0;
	write_text("odd/.ftmpi.lock", "\033[31m evil\n");
	assert_fails(ftmpi_store_open("odd", &o, &store), FTMPI_ERR_BUSY, "'odd' is in use by another process (");
	write_text("odd/.ftmpi.lock", "host");
	assert_fails(ftmpi_store_open("odd", &o, &store), FTMPI_ERR_BUSY, "'odd' is in use by another process (");
	write_text("odd/.ftmpi.lock", "node7 42\n");
	assert_fails(ftmpi_store_open("odd", &o, &store), FTMPI_ERR_BUSY, "in use by process 42 on host node7 (");
	end_holder(pid);
}

/* A lock file that is no file, and one that was removed while it was locked. */
static void test_lock_file(void **state)
{
	ftmpi_store_options o;
	ftmpi_store *store = NULL;

	(void)state;
	ftmpi_store_options_init(&o);
	o.lock_wait_s = 0;
	assert_int_equal(mkdir("barred", 0777) + mkdir("barred/.ftmpi.lock", 0777), 0);
	assert_fails(ftmpi_store_open("barred", &o, &store), FTMPI_ERR_IO,
		     "cannot open the lock file 'barred/.ftmpi.lock'");
	assert_int_equal(rmdir("barred/.ftmpi.lock"), 0);
	assert_ok(ftmpi_store_open("barred", &o, &store));
	ftmpi_store_close(&store);
}

/* Without its lock file a directory may be another run's: nothing more is written there. */
static void test_lock_file_removed(void **state)
{
	store_fixture f;

	(void)state;
	fixture_create(&f, "unlocked");
	assert_ok(fixture_save(&f, 1));
	assert_int_equal(unlink("unlocked/.ftmpi.lock"), 0);
	assert_fails(fixture_save(&f, 2), FTMPI_ERR_BUSY, "the lock file of 'unlocked' was removed under this run");
	assert_items(f.store, "1");
	fixture_reopen(&f);
	assert_ok(fixture_save(&f, 2));
	fixture_destroy(&f);
}

/* Open the directory, expect this many failures, and close it, at work or not. */
static void expect_failures(const char *directory, int64_t n, bool at_work)
{
	ftmpi_store_options o;
	ftmpi_store *store = NULL;

	ftmpi_store_options_init(&o);
	assert_ok(ftmpi_store_open(directory, &o, &store));
	assert_int_equal(ftmpi_store_n_failures(store), n);
	ftmpi_store_set_at_work(store, true);
	ftmpi_store_set_at_work(store, at_work);
	ftmpi_store_close(&store);
}

/* Who dies with the lock, or closes at work, is counted until a checkpoint is saved; who ends in order is not. */
static void test_failures(void **state)
{
	ftmpi_store_options o;
	ftmpi_store *look = NULL;
	store_fixture f;

	(void)state;
	expect_failures("failing", 0, false);
	expect_failures("failing", 0, true);
	expect_failures("failing", 1, false);
	end_holder(start_holder("failing"));
	end_holder(start_holder("failing"));
	expect_failures("failing", 3, false);
	expect_failures("failing", 3, true);
	ftmpi_store_options_init(&o);
	o.read_only = true;
	assert_ok(ftmpi_store_open("failing", &o, &look));
	assert_int_equal(ftmpi_store_n_failures(look), 0);
	ftmpi_store_close(&look);
	fixture_create(&f, "failing");
	assert_int_equal(ftmpi_store_n_failures(f.store), 4);
	assert_ok(fixture_save(&f, 1));
	assert_int_equal(ftmpi_store_n_failures(f.store), 0);
	fixture_destroy(&f);
	expect_failures("failing", 0, false);
	end_holder(start_holder("failing"));
	expect_failures("failing", 1, false);
}

/* What the lock file of an earlier version says, and what nothing has written. */
static void test_failures_text(void **state)
{
	static const struct {
		const char *text;
		int64_t n;
	} cases[] = {{"", 0},
		     {"node7 42\n", 1},
		     {"node7 42 3\n", 4},
		     {"- 0 3\n", 3},
		     {"- 0\n", 0},
		     {"- 0 -3\n", 0},
		     {"node7 42 9223372036854775807\n", 1000000},
		     {"node7 42 99999999999999999999\n", 1},
		     {"- 0 3 7 2\n", 3}, /* there is no checkpoint 7 */
		     {"node7 42 3 7\n", 4},
		     {"node7 42 3 x 2\n", 4},
		     {"node7 42 3 7 9223372036854775807\n", 4},
		     {"\033[31m evil\n", 1}};

	(void)state;
	expect_failures("told", 0, false);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		write_text("told/.ftmpi.lock", cases[i].text);
		expect_failures("told", cases[i].n, false);
		expect_failures("told", cases[i].n, false);
	}
}

/* A checkpoint that got its name just before its process died knows of the failures before it: they count once. */
static void test_failures_told(void **state)
{
	store_fixture f;

	(void)state;
	fixture_create(&f, "known");
	assert_ok(fixture_save(&f, 7));
	fixture_destroy(&f);
	write_text("known/.ftmpi.lock", "node7 42 5 7 5\n");
	expect_failures("known", 1, false);
	expect_failures("known", 1, false);
	write_text("known/.ftmpi.lock", "node7 42 5 7 4\n");
	expect_failures("known", 2, false);
	write_text("known/.ftmpi.lock", "- 0 5 8 5\n");
	expect_failures("known", 5, false);
	write_text("known/.ftmpi.lock", "- 0 5 7 9\n");
	expect_failures("known", 0, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_second_writer),     cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_holder_text),       cmocka_unit_test(test_lock_file),
		cmocka_unit_test(test_lock_file_removed), cmocka_unit_test(test_failures),
		cmocka_unit_test(test_failures_text),     cmocka_unit_test(test_failures_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
