/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at a folder from outside: the latest checkpoint, opening it, new ones as they come; also beside a process that saves and deletes. */
#include "unit/unit_test.h"

#include "store_test.h"

#include <ftmpi/failpoint.h>
#include <ftmpi/manager.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

static void expect_latest(const char *directory, const char *name, const char *expected)
{
	char path[FTMPI_PATH_MAX] = "";

	assert_ok(ftmpi_latest_checkpoint(directory, name, path));
	assert_string_equal(path, expected);
}

static void expect_no_latest(const char *directory, const char *name, const char *text)
{
	char path[FTMPI_PATH_MAX] = "untouched";

	assert_fails(ftmpi_latest_checkpoint(directory, name, path), FTMPI_ERR_NOT_FOUND, text);
	assert_string_equal(path, "untouched");
}

static void test_latest(void **state)
{
	store_fixture f;

	(void)state;
	expect_no_latest("latest", NULL, "there is no directory 'latest'");
	fixture_create(&f, "latest");
	expect_no_latest("latest", NULL, "'latest' has no checkpoint");
	expect_no_latest("latest", "ckpt", "'latest' has no checkpoint");
	assert_ok(fixture_save(&f, 9));
	assert_ok(fixture_save(&f, 10));
	expect_latest("latest", NULL, "latest/ckpt-10.weights.h5");
	expect_latest("latest/", "ckpt", "latest/ckpt-10.weights.h5");
	expect_no_latest("latest", "model", "'latest' has no checkpoint");
	/* The data must exist, but need not be good. */
	fixture_damage(&f, 10);
	expect_latest("latest", NULL, "latest/ckpt-10.weights.h5");
	assert_int_equal(unlink("latest/ckpt-10.weights.h5"), 0);
	expect_latest("latest", NULL, "latest/ckpt-9.weights.h5");
	fixture_destroy(&f);
}

/* The name comes from the state file; without a good one from the youngest file. */
static void test_names(void **state)
{
	static const struct timespec old[] = {{.tv_sec = 1000}, {.tv_sec = 1000}},
				     older[] = {{.tv_sec = 10}, {.tv_sec = 10}};
	store_fixture f, g;

	(void)state;
	fixture_create(&f, "names");
	ftmpi_store_close(&f.store);
	f.options.name = "a-b.c";
	fixture_open(&f);
	assert_ok(fixture_save(&f, 3));
	expect_latest("names", NULL, "names/a-b.c-3.weights.h5");
	write_text("names/zz-7.weights.h5", "x");
	write_text("names/ckpt-07.weights.h5", "x");
	write_text("names/a b-7.weights.h5", "x");
	write_text("names/-7.weights.h5", "x");
	write_text("names/7.weights.h5", "x");
	assert_int_equal(mkdir("names/dir-8.weights.h5", 0777), 0);
	expect_latest("names", NULL, "names/a-b.c-3.weights.h5");
	assert_int_equal(utimensat(AT_FDCWD, "names/zz-7.weights.h5", old, 0), 0);
	write_text("names/checkpoint", "model_checkpoint_path: \"zz-7\"\n");
	expect_latest("names", NULL, "names/a-b.c-3.weights.h5");
	assert_int_equal(utimensat(AT_FDCWD, "names/a-b.c-3.weights.h5", older, 0), 0);
	assert_int_equal(unlink("names/checkpoint"), 0);
	expect_latest("names", NULL, "names/zz-7.weights.h5");
	expect_latest("names", "a-b.c", "names/a-b.c-3.weights.h5");
	fixture_destroy(&f);
	/* A state file that lists nothing. */
	fixture_create(&g, "pruned");
	assert_ok(fixture_save(&g, 1));
	assert_ok(ftmpi_store_prune(g.store, 0, NULL));
	expect_no_latest("pruned", NULL, "'pruned' has no checkpoint");
	fixture_destroy(&g);
}

static void expect_load(const char *path, int seed)
{
	ftmpi_reader *reader = NULL;

	assert_ok(ftmpi_load_checkpoint(path, &reader));
	assert_reader_holds(&reader, seed);
}

static void test_load(void **state)
{
	store_fixture f;
	ftmpi_reader *reader = NULL;
	ftmpi_buffer lines;
	char *longest = calloc(1, FTMPI_PATH_MAX + 1);
	int captured;

	(void)state;
	assert_non_null(longest);
	memset(longest, 'x', FTMPI_PATH_MAX);
	fixture_create(&f, "load");
	assert_fails(ftmpi_load_checkpoint("load", &reader), FTMPI_ERR_NOT_FOUND, "'load' has no checkpoint");
	for (int n = 1; n <= 3; n++)
		assert_ok(fixture_save(&f, n));
	expect_load("load/ckpt-1.weights.h5", 1);
	expect_load("load/ckpt-2", 2);
	expect_load("load", 3);
	expect_load("load/", 3);
	assert_fails(ftmpi_load_checkpoint("load/ckpt-4", &reader), FTMPI_ERR_NOT_FOUND, "'load/ckpt-4'");
	assert_fails(ftmpi_load_checkpoint("", &reader), FTMPI_ERR_NOT_FOUND, "''");
	assert_fails(ftmpi_load_checkpoint(NULL, &reader), FTMPI_ERR_NOT_FOUND, "is no path");
	assert_fails(ftmpi_load_checkpoint(longest, &reader), FTMPI_ERR_NOT_FOUND, "is no path");
	assert_fails(ftmpi_load_checkpoint("load/checkpoint", &reader), FTMPI_ERR_DATA, "load/checkpoint");
	fixture_damage(&f, 3);
	captured = capture_begin();
	expect_load("load", 2);
	lines = capture_end(captured);
	assert_captured(&lines, 1, "passing over a bad checkpoint: checkpoint 'load/ckpt-3.weights.h5' was altered");
	assert_fails(ftmpi_load_checkpoint("load/ckpt-3", &reader), FTMPI_ERR_DATA, "load/ckpt-3");
	fixture_damage(&f, 1);
	fixture_damage(&f, 2);
	assert_fails(ftmpi_load_checkpoint("load", &reader), FTMPI_ERR_DATA, "no good checkpoint in 'load'");
	assert_null(reader);
	assert_int_equal(count_names("load", ".bad"), 0);
	fixture_destroy(&f);
	free(longest);
}

/* What can be asked of a reader: names, shapes, types, values. */
static void test_variables(void **state)
{
	store_fixture f;
	ftmpi_reader *reader = NULL;
	const ftmpi_variable *kernel;
	float values[6];

	(void)state;
	fixture_create(&f, "variables");
	assert_ok(fixture_save(&f, 1));
	assert_ok(ftmpi_load_checkpoint("variables", &reader));
	assert_int_equal(ftmpi_reader_n_variables(reader), SAMPLE_ENTRIES);
	for (int i = 1; i < SAMPLE_ENTRIES; i++)
		assert_true(strcmp(ftmpi_reader_variable(reader, i - 1)->path, ftmpi_reader_variable(reader, i)->path) <
			    0);
	kernel = ftmpi_reader_find(reader, "layers/dense/vars/0");
	assert_non_null(kernel);
	assert_true(kernel->dtype == FTMPI_F32 && kernel->n_dims == 2 && kernel->dims[0] == 2 && kernel->dims[1] == 3);
	assert_null(ftmpi_reader_find(reader, "layers/dense/vars/1"));
	assert_ok(ftmpi_reader_read(reader, "layers/dense/vars/0", values, sizeof values));
	assert_memory_equal(values, f.s.kernel, sizeof values);
	ftmpi_reader_close(&reader);
	fixture_destroy(&f);
}

static ftmpi_checkpoints_iterator *iterate(const char *directory, double timeout_s)
{
	ftmpi_checkpoints_iterator *it = NULL;

	assert_ok(ftmpi_checkpoints_iterator_create(directory, 0, timeout_s, NULL, NULL, &it));
	return it;
}

static void expect_next(ftmpi_checkpoints_iterator *it, int seed)
{
	ftmpi_reader *reader = NULL;

	assert_ok(ftmpi_checkpoints_iterator_next(it, &reader));
	assert_reader_holds(&reader, seed);
}

static void expect_none(ftmpi_checkpoints_iterator *it)
{
	ftmpi_reader *reader = (ftmpi_reader *)(void *)it;

	assert_ok(ftmpi_checkpoints_iterator_next(it, &reader));
	assert_null(reader);
}

/* The newest only, each once; also if the folder comes later. */
static void test_iterator(void **state)
{
	store_fixture f;
	ftmpi_checkpoints_iterator *it = iterate("coming", 0);

	(void)state;
	expect_none(it);
	fixture_create(&f, "coming");
	expect_none(it);
	assert_ok(fixture_save(&f, 1));
	expect_next(it, 1);
	expect_none(it);
	assert_ok(fixture_save(&f, 2));
	assert_ok(fixture_save(&f, 3));
	expect_next(it, 3);
	expect_none(it);
	/* The state file is lost, so the time of the last one is the file's: that makes it no other. */
	assert_int_equal(unlink("coming/checkpoint"), 0);
	expect_none(it);
	ftmpi_checkpoints_iterator_destroy(&it);
	assert_null(it);
	ftmpi_checkpoints_iterator_destroy(&it);
	/* A new one begins with what is there. */
	it = iterate("coming", 0);
	expect_next(it, 3);
	ftmpi_checkpoints_iterator_destroy(&it);
	fixture_destroy(&f);
}

/* A training that lost its newest one goes back, and saves the same number again; the older one is not given out a second time. */
static void test_iterator_fallback(void **state)
{
	store_fixture f;
	ftmpi_reader *reader = NULL;
	ftmpi_checkpoints_iterator *it = iterate("back", 0);

	(void)state;
	fixture_create(&f, "back");
	for (int n = 4; n <= 5; n++) {
		f.now_s = 1000 + n;
		assert_ok(fixture_save(&f, n));
		expect_next(it, n);
	}
	fixture_damage(&f, 5);
	fixture_reopen(&f);
	assert_ok(ftmpi_store_open_latest(f.store, &reader));
	assert_reader_holds(&reader, 4);
	expect_none(it);
	f.now_s = 2000;
	sample_fill(&f.s, 55);
	assert_ok(ftmpi_store_save(f.store, f.registry, 5, NULL));
	expect_next(it, 55);
	expect_none(it);
	/* Everything anew, from lower numbers. */
	assert_ok(ftmpi_store_prune(f.store, 0, NULL));
	expect_none(it);
	f.now_s = 3000;
	assert_ok(fixture_save(&f, 1));
	expect_next(it, 1);
	expect_none(it);
	ftmpi_checkpoints_iterator_destroy(&it);
	fixture_destroy(&f);
}

/* A bad newest one is passed over, with one warning however often is looked. */
static void test_iterator_bad(void **state)
{
	store_fixture f;
	ftmpi_buffer lines;
	ftmpi_checkpoints_iterator *it = iterate("bad", 0);
	int captured;

	(void)state;
	fixture_create(&f, "bad");
	assert_ok(fixture_save(&f, 1));
	assert_ok(fixture_save(&f, 2));
	fixture_damage(&f, 2);
	captured = capture_begin();
	expect_next(it, 1);
	for (int i = 0; i < 10; i++)
		expect_none(it);
	fixture_damage(&f, 1);
	for (int i = 0; i < 10; i++)
		expect_none(it);
	lines = capture_end(captured);
	assert_captured(&lines, 1, "passing over a bad checkpoint: checkpoint 'bad/ckpt-2.weights.h5' was altered");
	/* None is good any more: a new iterator waits for the next. */
	ftmpi_checkpoints_iterator_destroy(&it);
	it = iterate("bad", 0);
	expect_none(it);
	assert_ok(fixture_save(&f, 3));
	expect_next(it, 3);
	ftmpi_checkpoints_iterator_destroy(&it);
	fixture_destroy(&f);
}

/* An error of the machine says nothing about the file: the next call opens it. */
static void test_iterator_error(void **state)
{
	store_fixture f;
	ftmpi_reader *reader = NULL;
	ftmpi_checkpoints_iterator *it = iterate("flaky", 0);

	(void)state;
	fixture_create(&f, "flaky");
	assert_ok(fixture_save(&f, 1));
	assert_ok(ftmpi_failpoints_arm("restore.read:error=EIO", 0));
	assert_fails(ftmpi_checkpoints_iterator_next(it, &reader), FTMPI_ERR_IO, "flaky/ckpt-1.weights.h5");
	assert_null(reader);
	assert_ok(ftmpi_failpoints_arm(NULL, 0));
	expect_next(it, 1);
	ftmpi_checkpoints_iterator_destroy(&it);
	fixture_destroy(&f);
}

static void test_iterator_arguments(void **state)
{
	ftmpi_checkpoints_iterator *it = NULL;

	(void)state;
	assert_fails(ftmpi_checkpoints_iterator_create("", 0, 0, NULL, NULL, &it), FTMPI_ERR_USAGE, "no name");
	assert_fails(ftmpi_checkpoints_iterator_create(NULL, 0, 0, NULL, NULL, &it), FTMPI_ERR_USAGE, "no name");
	assert_fails(ftmpi_checkpoints_iterator_create("x", -1, 0, NULL, NULL, &it), FTMPI_ERR_USAGE,
		     "min_interval_s is -1");
	assert_fails(ftmpi_checkpoints_iterator_create("x", INFINITY, 0, NULL, NULL, &it), FTMPI_ERR_USAGE,
		     "min_interval_s is inf");
	assert_fails(ftmpi_checkpoints_iterator_create("x", 0, NAN, NULL, NULL, &it), FTMPI_ERR_USAGE, "timeout_s");
	assert_null(it);
}

/* Asked while waiting; saves at the second call, stops at the fourth. */
struct stopping {
	store_fixture f;
	int n_calls, save_at, stop_at;
};

static bool stop(void *context)
{
	struct stopping *s = context;

	s->n_calls++;
	if (s->n_calls == s->save_at)
		assert_ok(fixture_save(&s->f, s->save_at));
	return s->n_calls >= s->stop_at;
}

/* Waiting for ever, or through the interval: a checkpoint that comes meanwhile ends it, and so does `stop`. */
static void test_iterator_waits(void **state)
{
	struct stopping s = {.save_at = 2, .stop_at = 1000};
	ftmpi_checkpoints_iterator *it = NULL;

	(void)state;
	fixture_create(&s.f, "waiting");
	assert_ok(ftmpi_checkpoints_iterator_create("waiting", 1e6, -1, stop, &s, &it));
	expect_next(it, 2);
	assert_int_equal(s.n_calls, 2);
	/* A new one is there, but the interval is not over. */
	assert_ok(fixture_save(&s.f, 3));
	s.stop_at = 4;
	expect_none(it);
	assert_int_equal(s.n_calls, 4);
	ftmpi_checkpoints_iterator_destroy(&it);
	/* Without an interval, nothing comes. */
	assert_ok(ftmpi_checkpoints_iterator_create("waiting", 0, INFINITY, stop, &s, &it));
	expect_next(it, 3);
	s.stop_at = 7;
	expect_none(it);
	assert_int_equal(s.n_calls, 7);
	ftmpi_checkpoints_iterator_destroy(&it);
	/* A time-out and a short interval. */
	assert_ok(ftmpi_checkpoints_iterator_create("waiting", 0.01, 0.05, NULL, NULL, &it));
	expect_next(it, 3);
	expect_none(it);
	ftmpi_checkpoints_iterator_destroy(&it);
	fixture_destroy(&s.f);
}

/* A process that saves without end, keeping one checkpoint: each of a new number, or all of one number. It ends with this one, should a test fail.
 * @param saves a byte comes there for each save. */
static pid_t start_saving(const char *directory, bool new_numbers, int *saves)
{
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		store_fixture f;

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		fixture_create(&f, directory);
		ftmpi_store_close(&f.store);
		f.options.keep_max = 1;
		fixture_open(&f);
		for (int n = 1;; n++) {
			f.now_s += 1;
			sample_fill(&f.s, n);
			if (ftmpi_store_save(f.store, f.registry, new_numbers ? n : 1, NULL) != FTMPI_OK ||
			    write(ends[1], "x", 1) != 1)
				_exit(1);
		}
	}
	assert_int_equal(close(ends[1]), 0);
	*saves = ends[0];
	return pid;
}

/* What a process that looks has seen. */
struct seen {
	int64_t step;
	long n;
};

/* Take what was opened, if anything was: it must not be older than what was seen before. */
static bool take(const char *what, ftmpi_status status, ftmpi_reader **reader, int64_t more, struct seen *seen)
{
	int64_t step = 0;

	if (status == FTMPI_OK && *reader == NULL)
		return true;
	if (status == FTMPI_OK)
		status = ftmpi_reader_read(*reader, "optimizer/vars/0", &step, sizeof step);
	ftmpi_reader_close(reader);
	if (status != FTMPI_OK || step < seen->step + more) {
		(void)fprintf(stderr, "%s: %s, step %lld after %lld\n", what,
			      status == FTMPI_OK ? "old" : ftmpi_error_message(), (long long)step,
			      (long long)seen->step);
		return false;
	}
	*seen = (struct seen){.step = step, .n = seen->n + 1};
	return true;
}

/* Look in all ways until `end` says so. */
static bool look_until(const char *directory, int end)
{
	struct pollfd ended = {.fd = end, .events = POLLIN};
	ftmpi_checkpoints_iterator *it = NULL;
	struct seen given = {0}, loaded = {0};
	ftmpi_reader *reader = NULL;
	char path[FTMPI_PATH_MAX];
	bool good = ftmpi_checkpoints_iterator_create(directory, 0, 0, NULL, NULL, &it) == FTMPI_OK;

	while (good && poll(&ended, 1, 0) == 0) {
		good = take("next", ftmpi_checkpoints_iterator_next(it, &reader), &reader, 1, &given) &&
		       take("load", ftmpi_load_checkpoint(directory, &reader), &reader, 0, &loaded);
		if (good && ftmpi_latest_checkpoint(directory, NULL, path) != FTMPI_OK) {
			(void)fprintf(stderr, "latest: %s\n", ftmpi_error_message());
			good = false;
		}
	}
	ftmpi_checkpoints_iterator_destroy(&it);
	return good && given.n > 0 && loaded.n > 0;
}

/* @param end closing it ends the process, with 0 if it saw nothing wrong. */
static pid_t start_looking(const char *directory, int *end)
{
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(ends[1]);
		_exit(look_until(directory, ends[0]) ? 0 : 1);
	}
	assert_int_equal(close(ends[0]), 0);
	*end = ends[1];
	return pid;
}

/* Wait until this many saves have ended from now on. */
static void await_saves(int saves, int n)
{
	struct pollfd ready = {.fd = saves, .events = POLLIN};
	char bytes[4096];

	while (poll(&ready, 1, 0) > 0)
		assert_true(read(saves, bytes, sizeof bytes) > 0);
	for (int i = 0; i < n; i++)
		assert_int_equal(read(saves, bytes, 1), 1);
}

/* The process stands still, wherever it is, while what it saw last is replaced and deleted. False when it has ended. */
static bool freeze(pid_t pid, int saves)
{
	int status;

	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	if (!WIFSTOPPED(status))
		return false;
	await_saves(saves, 2);
	assert_int_equal(kill(pid, SIGCONT), 0);
	return true;
}

enum { N_FREEZES = 150, LONGEST_PAUSE_US = 1500 };

static void look_beside(const char *directory, bool new_numbers)
{
	ftmpi_buffer lines;
	int saves, end, status = 0;
	const int captured = capture_begin();
	const pid_t saving = start_saving(directory, new_numbers, &saves);
	pid_t looking;

	await_saves(saves, 1);
	looking = start_looking(directory, &end);
	for (int i = 0; i < N_FREEZES; i++) {
		/* Anywhere in what it does; the pauses decide nothing else. */
		const struct timespec pause = {.tv_nsec = 1000L * (i * 397 % LONGEST_PAUSE_US)};

		(void)nanosleep(&pause, NULL);
		if (!freeze(looking, saves))
			break;
	}
	assert_int_equal(kill(saving, SIGKILL), 0);
	assert_int_equal(waitpid(saving, &status, 0), saving);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(close(end) + close(saves), 0);
	if (waitpid(looking, &status, 0) == looking)
		assert_int_equal(status, 0);
	lines = capture_end(captured);
	assert_captured(&lines, 0, "");
}

/* Files vanish all the time; that is no error, and nothing to warn of. */
static void test_beside_a_trainer(void **state)
{
	(void)state;
	look_beside("beside", true);
}

/* The state file that was read a moment ago speaks of the file before: that condemns nothing. */
static void test_beside_one_that_replaces(void **state)
{
	(void)state;
	look_beside("replaced", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_latest),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_iterator),
		cmocka_unit_test(test_iterator_fallback),
		cmocka_unit_test(test_iterator_bad),
		cmocka_unit_test(test_iterator_error),
		cmocka_unit_test(test_iterator_arguments),
		cmocka_unit_test(test_iterator_waits),
		cmocka_unit_test(test_beside_a_trainer),
		cmocka_unit_test(test_beside_one_that_replaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
