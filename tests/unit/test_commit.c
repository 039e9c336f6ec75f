/* SPDX-License-Identifier: Apache-2.0 */
/* Saves that die or fail at every point: the newest checkpoint is then the announced one or the complete newer one, older ones are
 * untouched, nothing is left over, and the next save works. */
#include "unit/unit_test.h"

#include "store_test.h"

#include <errno.h>
#include <ftmpi/failpoint.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { PUBLISHED = 1, LISTED = 2, RETAINED = 4 };

/* The points of a save, and what is done when it ends there. */
static const struct point {
	const char *name;
	int done;
} points[] = {
	{"save.stage", 0},
	{"save.begin", 0},
	{"save.open", 0},
	{"save.write", 0},
	{"save.fsync", 0},
	{"save.verify", 0},
	{"save.before-rename", 0},
	{"save.after-rename", PUBLISHED},
	{"save.dir-fsync", PUBLISHED},
	{"save.state-file", PUBLISHED},
	{"save.retention", PUBLISHED | LISTED},
	{"save.end", PUBLISHED | LISTED | RETAINED},
};

enum { N_POINTS = sizeof points / sizeof points[0] };

/* Every failpoint of a store's save is in the table above; save.params, save.slots and save.wait are passed outside of the store. */
static void test_points_are_complete(void **state)
{
	(void)state;
	for (int i = 0; i < FTMPI_FP_COUNT; i++) {
		const char *name = ftmpi_failpoint_name((ftmpi_failpoint)i);
		bool known = strncmp(name, "save.", 5) != 0 || strcmp(name, "save.params") == 0 ||
			     strcmp(name, "save.slots") == 0 || strcmp(name, "save.wait") == 0;

		for (int j = 0; j < N_POINTS; j++)
			known = known || strcmp(points[j].name, name) == 0;
		if (!known)
			fail_msg("%s has no row here", name);
	}
}

/* Two good saves under keep_max 2; checkpoint N holds sample N. */
static void create_two(store_fixture *f, const char *directory)
{
	fixture_create(f, directory);
	f->options.keep_max = 2;
	fixture_reopen(f);
	assert_ok(fixture_save(f, 1));
	assert_ok(fixture_save(f, 2));
}

/* Fork a process that opens the fixture's directory, arms `spec` and saves sample `seed` as checkpoint `number`. Returns its wait status. */
static int save_in_child(store_fixture *f, const char *spec, int number, int seed)
{
	int status = 0;
	pid_t pid;

	ftmpi_store_close(&f->store);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		ftmpi_store *store = NULL;

		sample_fill(&f->s, seed);
		if (ftmpi_store_open(f->directory, &f->options, &store) != FTMPI_OK ||
		    ftmpi_failpoints_arm(spec, 0) != FTMPI_OK)
			_exit(100);
		_exit(save_in_mode(store, f->registry, number) == FTMPI_OK ? 0 : 101);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void test_killed(void **state)
{
	(void)state;
	for (int i = 0; i < N_POINTS; i++) {
		store_fixture f;
		char spec[64], directory[64], file[128];
		int status;

		(void)snprintf(directory, sizeof directory, "kill_%s", points[i].name);
		(void)snprintf(spec, sizeof spec, "%s:kill", points[i].name);
		create_two(&f, directory);
		status = save_in_child(&f, spec, 3, 3);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGKILL);
		assert_int_equal(file_exists(fixture_file(&f, 3, "", file)), (points[i].done & PUBLISHED) != 0);
		assert_int_equal(file_exists(fixture_file(&f, 1, "", file)), (points[i].done & RETAINED) == 0);
		fixture_open(&f);
		assert_int_equal(count_names(directory, ".tmp"), 0);
		assert_latest(&f, points[i].done & PUBLISHED ? 3 : 2);
		assert_int_equal(ftmpi_store_n_bad(f.store), 0);
		/* The next saves are as if nothing had been. */
		assert_ok(fixture_save(&f, 3));
		assert_ok(fixture_save(&f, 4));
		assert_items(f.store, "3 4");
		assert_latest(&f, 4);
		fixture_destroy(&f);
	}
}

/* What a death in the middle of writing leaves is half a file, and it goes at the next opening. */
static void test_torn_temporary(void **state)
{
	store_fixture f;
	struct stat torn, whole;
	char file[128];

	(void)state;
	create_two(&f, "torn");
	assert_true(WIFSIGNALED(save_in_child(&f, "save.write:kill", 3, 3)));
	assert_int_equal(stat(fixture_file(&f, 3, ".tmp", file), &torn), 0);
	fixture_open(&f);
	assert_ok(fixture_save(&f, 3));
	assert_int_equal(stat(fixture_file(&f, 3, "", file), &whole), 0);
	assert_int_equal(torn.st_size, whole.st_size / 2);
	fixture_destroy(&f);
}

/* A checkpoint is saved again under its number: whenever the process dies, the old one or the new one is there, and good. */
static void test_killed_while_replacing(void **state)
{
	(void)state;
	for (int i = 0; i < N_POINTS; i++) {
		store_fixture f;
		char spec[64], directory[64];

		(void)snprintf(directory, sizeof directory, "replace_%s", points[i].name);
		(void)snprintf(spec, sizeof spec, "%s:kill", points[i].name);
		create_two(&f, directory);
		f.options.keep_max = 1;
		assert_true(WIFSIGNALED(save_in_child(&f, spec, 2, 7)));
		fixture_open(&f);
		assert_latest(&f, points[i].done & PUBLISHED ? 7 : 2);
		assert_int_equal(ftmpi_store_n_bad(f.store), 0);
		fixture_destroy(&f);
	}
}

/* A power loss took the newest checkpoint, which the state file lists: it is saved again, and the process dies. What the list says of the lost one
 * condemns no new one. */
static void test_killed_after_a_loss(void **state)
{
	(void)state;
	for (int i = 0; i < N_POINTS; i++) {
		store_fixture f;
		char spec[64], directory[64], file[128];

		(void)snprintf(directory, sizeof directory, "loss_%s", points[i].name);
		(void)snprintf(spec, sizeof spec, "%s:kill", points[i].name);
		create_two(&f, directory);
		assert_int_equal(unlink(fixture_file(&f, 2, "", file)), 0);
		assert_true(WIFSIGNALED(save_in_child(&f, spec, 2, 7)));
		fixture_open(&f);
		assert_latest(&f, points[i].done & PUBLISHED ? 7 : 1);
		assert_int_equal(ftmpi_store_n_bad(f.store), 0);
		fixture_destroy(&f);
	}
}

/* What is injected, and how the third save ends. */
static const struct failure {
	const char *spec;
	ftmpi_status status;
	bool published; /* the new file stays */
	const char *message;
} failures[] = {
	{"save.stage:error=ENOMEM", FTMPI_ERR_MEMORY, false, "was not saved: cannot copy the arrays: Cannot allocate"},
	{"save.begin:error=EIO", FTMPI_ERR_IO, false, "was not saved: cannot begin: Input/output error; older"},
	{"save.open:error=EACCES", FTMPI_ERR_IO, false, "cannot create 'failing/ckpt-3.weights.h5.tmp': Permission"},
	{"save.open:error=ENOSPC", FTMPI_ERR_NO_SPACE, false, "No space left on device; older checkpoints are untouch"},
	{"save.open:error=EINTR", FTMPI_OK, true, ""},
	{"save.write:error=EIO", FTMPI_ERR_IO, false, "ckpt-3.weights.h5.tmp': Input/output error; older"},
	{"save.write:error=EDQUOT", FTMPI_ERR_NO_SPACE, false, "Disk quota exceeded; older checkpoints are untouched"},
	{"save.write:error=EINTR", FTMPI_OK, true, ""},
	{"save.write:short", FTMPI_ERR_NO_SPACE, false, "No space left on device; older checkpoints are untouched"},
	{"save.write:corrupt", FTMPI_ERR_IO, false, "was read back with other bytes than were written"},
	{"save.fsync:error=EIO", FTMPI_ERR_IO, false, "cannot fsync 'failing/ckpt-3.weights.h5.tmp': Input/output"},
	{"save.fsync:error=ENOSPC", FTMPI_ERR_NO_SPACE, false, "cannot fsync"},
	{"save.fsync:error=EINTR", FTMPI_OK, true, ""},
	{"save.verify:error=EIO", FTMPI_ERR_IO, false, "cannot read back 'failing/ckpt-3.weights.h5.tmp': Input"},
	{"save.before-rename:error=EIO", FTMPI_ERR_IO, false, "cannot rename 'failing/ckpt-3.weights.h5.tmp' to"},
	{"save.dir-fsync:error=EIO", FTMPI_ERR_IO, true, "'failing/ckpt-3.weights.h5' is complete, but not announced"},
	{"save.dir-fsync:error=EINTR", FTMPI_OK, true, ""},
	{"save.state-file:error=ENOSPC", FTMPI_ERR_NO_SPACE, true, "is complete, but not announced: cannot write"},
	{"save.retention:error=EIO", FTMPI_OK, true, ""},
};

static void test_failing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
		store_fixture f;
		ftmpi_buffer one, two, now;
		char file[128];

		create_two(&f, "failing");
		one = read_bytes(fixture_file(&f, 1, "", file));
		two = read_bytes(fixture_file(&f, 2, "", file));
		f.options.keep_max = 9;
		fixture_reopen(&f);
		assert_ok(ftmpi_failpoints_arm(failures[i].spec, 0));
		if (failures[i].status == FTMPI_OK)
			assert_ok(fixture_save(&f, 3));
		else
			assert_fails(fixture_save(&f, 3), failures[i].status, failures[i].message);
		assert_ok(ftmpi_failpoints_arm(NULL, 0));
		assert_int_equal(count_names("failing", ".tmp"), 0);
		assert_items(f.store, failures[i].published ? "1 2 3" : "1 2");
		now = read_bytes(fixture_file(&f, 1, "", file));
		assert_buffer_equal(&one, &now);
		ftmpi_buffer_clear(&now);
		now = read_bytes(fixture_file(&f, 2, "", file));
		assert_buffer_equal(&two, &now);
		ftmpi_buffer_clear(&now);
		assert_latest(&f, failures[i].published ? 3 : 2);
		/* The same number again, and after a new opening. */
		assert_ok(fixture_save(&f, 3));
		fixture_reopen(&f);
		assert_items(f.store, "1 2 3");
		assert_latest(&f, 3);
		assert_ok(ftmpi_store_prune(f.store, 0, NULL));
		ftmpi_buffer_clear(&one);
		ftmpi_buffer_clear(&two);
		fixture_destroy(&f);
	}
}

/* A state file that cannot be written: no old checkpoint goes, and one that is to be replaced is not touched. */
static void test_state_file_in_the_way(void **state)
{
	store_fixture f;
	ftmpi_buffer two, now;
	char file[128];

	(void)state;
	create_two(&f, "barred");
	two = read_bytes(fixture_file(&f, 2, "", file));
	assert_int_equal(mkdir("barred/checkpoint.tmp", 0777), 0);
	assert_fails(fixture_save(&f, 3), FTMPI_ERR_IO,
		     "checkpoint 'barred/ckpt-3.weights.h5' is complete, but not announced: cannot create "
		     "'barred/checkpoint.tmp': Is a directory; older checkpoints are untouched");
	assert_items(f.store, "1 2 3");
	sample_fill(&f.s, 7);
	assert_fails(save_in_mode(f.store, f.registry, 2), FTMPI_ERR_IO,
		     "checkpoint 'barred/ckpt-2.weights.h5' was not saved: cannot create 'barred/checkpoint.tmp'");
	now = read_bytes(fixture_file(&f, 2, "", file));
	assert_buffer_equal(&two, &now);
	assert_int_equal(rmdir("barred/checkpoint.tmp"), 0);
	assert_int_equal(count_names("barred", ".tmp"), 0);
	fixture_reopen(&f);
	assert_latest(&f, 3);
	assert_ok(fixture_save(&f, 4));
	assert_items(f.store, "3u 4");
	ftmpi_buffer_clear(&two);
	ftmpi_buffer_clear(&now);
	fixture_destroy(&f);
}

static void test_negative_number(void **state)
{
	store_fixture f;

	(void)state;
	fixture_create(&f, "negative");
	assert_fails(fixture_save(&f, -1), FTMPI_ERR_USAGE, "checkpoint number -1 is negative");
	assert_ok(fixture_save(&f, 0));
	assert_latest(&f, 0);
	fixture_destroy(&f);
}

/* A leftover under the temporary's name, of any kind that can be removed, is no obstacle. */
static void test_leftover_temporary(void **state)
{
	store_fixture f;

	(void)state;
	fixture_create(&f, "leftover");
	write_text("leftover/ckpt-1.weights.h5.tmp", "x");
	assert_ok(fixture_save(&f, 1));
	assert_int_equal(symlink("/nowhere/at/all", "leftover/ckpt-2.weights.h5.tmp"), 0);
	assert_ok(fixture_save(&f, 2));
	assert_int_equal(mkfifo("leftover/ckpt-3.weights.h5.tmp", 0666), 0);
	assert_ok(fixture_save(&f, 3));
	assert_int_equal(mkdir("leftover/ckpt-4.weights.h5.tmp", 0777), 0);
	assert_fails(fixture_save(&f, 4), FTMPI_ERR_IO,
		     "cannot create 'leftover/ckpt-4.weights.h5.tmp': Is a directory");
	assert_items(f.store, "1 2 3");
	fixture_destroy(&f);
}

/* The limit of a file's length (ulimit -f): the write fails, and so does nothing else. */
static void test_file_size_limit(void **state)
{
	store_fixture f;
	int status = 0;
	pid_t pid;

	(void)state;
	create_two(&f, "limited");
	ftmpi_store_close(&f.store);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit limit = {4096, 4096};
		ftmpi_store *store = NULL;

		(void)signal(SIGXFSZ, SIG_IGN);
		if (ftmpi_store_open(f.directory, &f.options, &store) != FTMPI_OK ||
		    setrlimit(RLIMIT_FSIZE, &limit) != 0)
			_exit(100);
		if (save_in_mode(store, f.registry, 3) != FTMPI_ERR_IO ||
		    strstr(ftmpi_error_message(), "File too large; older checkpoints are untouched") == NULL)
			_exit(101);
		_exit(file_exists("limited/ckpt-3.weights.h5.tmp") ? 102 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	fixture_open(&f);
	assert_items(f.store, "1 2");
	assert_latest(&f, 2);
	fixture_destroy(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_points_are_complete), cmocka_unit_test(test_killed),
		cmocka_unit_test(test_torn_temporary),      cmocka_unit_test(test_killed_while_replacing),
		cmocka_unit_test(test_killed_after_a_loss), cmocka_unit_test(test_failing),
		cmocka_unit_test(test_negative_number),     cmocka_unit_test(test_state_file_in_the_way),
		cmocka_unit_test(test_leftover_temporary),  cmocka_unit_test(test_file_size_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
