/* SPDX-License-Identifier: Apache-2.0 */
/* Every system call of a save fails in turn, in every way; and a directory that becomes read-only, vanishes, or is on a full disk. Afterwards
 * all older checkpoints are, to the last byte, what they were, nothing is left over, and the next save works. */
#include "unit/unit_test.h"

#include "fault/shim.h"
#include "store_test.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

enum { MIN_CALLS = 30, MAX_CALLS = 200 };

shim_arm_function shim_arm;
shim_calls_function shim_calls;

static int set_up(void **state)
{
	char root[FTMPI_PATH_MAX];

	(void)state;
	assert_non_null(getcwd(root, sizeof root));
	assert_int_equal(setenv("FTMPI_SHIM_ROOT", root, 1), 0);
	return 0;
}

/* How a call fails, and what the save may say then. */
struct way {
	const char *name;
	enum shim_failure failure;
	int error;
	ftmpi_status status;
};

/* Two checkpoints of which the first goes with the third. */
static void create_two(store_fixture *f, const char *directory)
{
	fixture_create(f, directory);
	f->options.keep_max = 2;
	fixture_reopen(f);
	assert_ok(fixture_save(f, 1));
	assert_ok(fixture_save(f, 2));
}

static void assert_file(const store_fixture *f, int number, const ftmpi_buffer *expected)
{
	char file[128];
	ftmpi_buffer now = read_bytes(fixture_file(f, number, "", file));

	assert_buffer_equal(expected, &now);
	ftmpi_buffer_clear(&now);
}

static void assert_all_verify(const store_fixture *f)
{
	for (int i = 0; i < ftmpi_store_n_items(f->store); i++)
		assert_ok(ftmpi_store_verify(f->store, i, NULL));
}

/* A save that failed says so in one line, and the older ones are there. */
static void check_failed(const store_fixture *f, const struct way *way, ftmpi_status status, const ftmpi_buffer *one)
{
	assert_int_equal(status, way->status);
	assert_non_null(strstr(ftmpi_error_message(), "older checkpoints are untouched"));
	assert_null(strchr(ftmpi_error_message(), '\n'));
	assert_file(f, 1, one);
}

/* What may not fail at all: calls that are made again, and writes that go on. */
static bool must_succeed(const struct way *way, const char *call)
{
	return way->failure == SHIM_SHORT ||
	       (way->error == EINTR && strcmp(call, "renameat") != 0 && strcmp(call, "unlinkat") != 0);
}

/* The n-th call of the third save fails. Returns false when it cannot fail in this way. @param n_forgiven counts the calls of fsync whose failure the
 * save bears. @param n_calls set to the number of calls, once it is known. */
static bool fail_one(const struct way *way, int n, int *n_forgiven, int *n_calls)
{
	store_fixture f;
	ftmpi_buffer one, two;
	char file[128], call[32], directory[64];
	const char *name;
	ftmpi_status status;

	(void)snprintf(directory, sizeof directory, "%s-%d", way->name, n);
	create_two(&f, directory);
	one = read_bytes(fixture_file(&f, 1, "", file));
	two = read_bytes(fixture_file(&f, 2, "", file));
	sample_fill(&f.s, 3);
	shim_arm(n, way->failure, way->error);
	status = save_in_mode(f.store, f.registry, 3);
	*n_calls = shim_calls(&name) > n || status == FTMPI_OK ? shim_calls(&name) : MAX_CALLS;
	(void)snprintf(call, sizeof call, "%s", name);
	shim_arm(0, SHIM_ERROR, 0);
	if (status != FTMPI_OK)
		check_failed(&f, way, status, &one);
	if (must_succeed(way, call))
		assert_int_equal(status, FTMPI_OK);
	*n_forgiven += status == FTMPI_OK && strcmp(call, "fsync") == 0;
	assert_file(&f, 2, &two);
	assert_all_verify(&f);
	if (way->failure == SHIM_FROM_HERE) /* the temporary could not be removed either: the next opening does it */
		fixture_reopen(&f);
	assert_int_equal(count_names(directory, ".tmp"), 0);
	assert_ok(fixture_save(&f, 4));
	fixture_reopen(&f);
	assert_latest(&f, 4);
	assert_all_verify(&f);
	assert_int_equal(count_names(directory, ".tmp") + ftmpi_store_n_bad(f.store), 0);
	assert_int_equal(ftmpi_store_n_items(f.store), 2);
	ftmpi_buffer_clear(&one);
	ftmpi_buffer_clear(&two);
	fixture_destroy(&f);
	return call[0] != '\0';
}

static void test_every_call(void **state)
{
	static const struct way ways[] = {
		{"eio", SHIM_ERROR, EIO, FTMPI_ERR_IO},
		{"enospc", SHIM_ERROR, ENOSPC, FTMPI_ERR_NO_SPACE},
		{"edquot", SHIM_ERROR, EDQUOT, FTMPI_ERR_NO_SPACE},
		{"eintr", SHIM_ERROR, EINTR, FTMPI_ERR_IO},
		{"gone", SHIM_FROM_HERE, EIO, FTMPI_ERR_IO},
		{"readonly", SHIM_FROM_HERE, EROFS, FTMPI_ERR_IO},
		{"short", SHIM_SHORT, 0, FTMPI_OK},
		{"full", SHIM_FULL, 0, FTMPI_ERR_NO_SPACE},
	};
	const int devnull = capture_begin();
	ftmpi_buffer text;
	char report[1024] = "";
	size_t used = 0;

	(void)state;
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		int n_failed = 0, n_forgiven = 0, n_calls = MAX_CALLS;

		/* A short write is one of a write: some calls cannot fail so, but the last one is past all of them. */
		for (int n = 1; n <= MAX_CALLS && n <= n_calls; n++)
			n_failed += fail_one(&ways[i], n, &n_forgiven, &n_calls);
		used += (size_t)snprintf(report + used, sizeof report - used, "%s: %d calls failed in turn\n",
					 ways[i].name, n_failed);
		assert_in_range(n_failed, ways[i].error == 0 ? 6 : MIN_CALLS, MAX_CALLS - 1);
		/* A file whose fsync failed is not trusted, and the save fails: but for the last list, which may be the old one. */
		if (ways[i].failure == SHIM_ERROR && ways[i].error != EINTR)
			assert_int_equal(n_forgiven, 2);
	}
	text = capture_end(devnull);
	ftmpi_buffer_clear(&text);
	print_message("%s", report);
}

/* The directory goes while the store is open: an error, and nothing is made in its place. */
static void test_directory_removed(void **state)
{
	store_fixture f;

	(void)state;
	create_two(&f, "removed");
	assert_int_equal(rename("removed", "elsewhere"), 0);
	assert_ok(fixture_save(&f, 3)); /* it has only another name */
	empty_directory("elsewhere");
	assert_int_equal(rmdir("elsewhere"), 0);
	assert_fails(fixture_save(&f, 4), FTMPI_ERR_BUSY, "the lock file of 'removed' was removed under this run");
	assert_false(file_exists("removed"));
	fixture_destroy(&f);
}

/* The rest is for a process with file systems of its own. */

#define NEED(condition, code)                                                                                          \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			return (code);                                                                                 \
	} while (0)

static bool mount_small(const char *directory, const char *size)
{
	return unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mkdir(directory, 0777) == 0 && mount("tmpfs", directory, "tmpfs", 0, size) == 0;
}

/* A registry of one array of these bytes. */
static ftmpi_registry *register_bytes(uint8_t *bytes, int64_t n)
{
	ftmpi_registry *r = NULL;

	return ftmpi_registry_create(&r) == FTMPI_OK &&
			       ftmpi_registry_add(r, "bytes", FTMPI_U8, 1, &n, bytes, FTMPI_STATE) == FTMPI_OK
		       ? r
		       : NULL;
}

static bool latest_is(ftmpi_store *store, const char *end)
{
	ftmpi_reader *reader = NULL;
	bool right = ftmpi_store_open_latest(store, &reader) == FTMPI_OK && reader != NULL &&
		     strstr(ftmpi_reader_file(reader), end) != NULL;

	ftmpi_reader_close(&reader);
	return right;
}

static int become_read_only(void)
{
	static uint8_t bytes[1000];
	ftmpi_store_options o;
	ftmpi_store *store = NULL;
	ftmpi_registry *r = register_bytes(bytes, 1000);

	ftmpi_store_options_init(&o);
	NEED(mount_small("readonly", "size=1m"), 77);
	NEED(r != NULL && ftmpi_store_open("readonly/run", &o, &store) == FTMPI_OK, 1);
	NEED(save_in_mode(store, r, 1) == FTMPI_OK, 2);
	/* The lock file is open for writing, so a remount under the run is refused: only an error of the device does that, as the way `readonly` above. */
	NEED(mount(NULL, "readonly", NULL, MS_REMOUNT | MS_RDONLY, NULL) != 0 && errno == EBUSY, 10);
	ftmpi_store_close(&store);
	NEED(mount(NULL, "readonly", NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0, 3);
	NEED(ftmpi_store_open("readonly/run", &o, &store) == FTMPI_ERR_IO, 4);
	NEED(strstr(ftmpi_error_message(), "Read-only file system") != NULL, 5);
	o.read_only = true;
	NEED(ftmpi_store_open("readonly/run", &o, &store) == FTMPI_OK && latest_is(store, "ckpt-1."), 6);
	ftmpi_store_close(&store);
	o.read_only = false;
	NEED(mount(NULL, "readonly", NULL, MS_REMOUNT, NULL) == 0, 7);
	NEED(ftmpi_store_open("readonly/run", &o, &store) == FTMPI_OK, 8);
	NEED(save_in_mode(store, r, 2) == FTMPI_OK && latest_is(store, "ckpt-2."), 9);
	return 0;
}

/* Fill the file system up to `n_bytes`. */
static bool fill(const char *directory, long n_bytes)
{
	static const char zeros[4096];
	char path[64];
	struct statvfs fs;
	int fd;
	bool right = true;

	(void)snprintf(path, sizeof path, "%s/filler", directory);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	while (right && fstatvfs(fd, &fs) == 0 && (long)(fs.f_bavail * fs.f_frsize) >= n_bytes + 4096)
		right = write(fd, zeros, sizeof zeros) == (ssize_t)sizeof zeros;
	return right && close(fd) == 0;
}

/* Room is looked for before anything is written: for the image, the state file, and some more. */
static int run_out_of_room(void)
{
	enum { IMAGE = 100000 };
	static uint8_t bytes[IMAGE];
	ftmpi_store_options o;
	ftmpi_store *store = NULL;
	ftmpi_registry *r = register_bytes(bytes, IMAGE);

	ftmpi_store_options_init(&o);
	o.keep_max = 0;
	NEED(mount_small("small", "size=8m"), 77);
	NEED(r != NULL && ftmpi_store_open("small/run", &o, &store) == FTMPI_OK, 1);
	for (int i = 1; i <= 40; i++)
		NEED(save_in_mode(store, r, i) == FTMPI_OK, 2);
	NEED(fill("small", IMAGE + 70000), 3); /* the image and the slack, but no state file of 40 */
	NEED(save_in_mode(store, r, 41) == FTMPI_ERR_NO_SPACE, 4);
	NEED(strstr(ftmpi_error_message(), "no room in 'small/run': ") != NULL, 5);
	NEED(count_names("small/run", "ckpt-") == 40 && latest_is(store, "ckpt-40."), 6);
	NEED(unlink("small/filler") == 0 && fill("small", IMAGE + 110000), 7);
	NEED(save_in_mode(store, r, 41) == FTMPI_OK && latest_is(store, "ckpt-41."), 8);
	/* Full to the last byte. */
	NEED(fill("small", 0), 9);
	NEED(save_in_mode(store, r, 42) == FTMPI_ERR_NO_SPACE, 10);
	NEED(count_names("small/run", ".tmp") == 0 && latest_is(store, "ckpt-41."), 11);
	/* Another run's file goes: the next save works. */
	NEED(unlink("small/filler") == 0 && save_in_mode(store, r, 43) == FTMPI_OK, 12);
	return 0;
}

static void run_apart(int (*function)(void))
{
	int status = 0;
	const pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(function());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("SKIP: this process may not mount a tmpfs\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_read_only(void **state)
{
	(void)state;
	run_apart(become_read_only);
}

static void test_no_room(void **state)
{
	(void)state;
	run_apart(run_out_of_room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_call),
		cmocka_unit_test(test_directory_removed),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
