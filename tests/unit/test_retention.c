/* SPDX-License-Identifier: Apache-2.0 */
/* Which checkpoints stay. Times are those of a clock that the tests set. */
#include "unit/unit_test.h"

#include "store_test.h"

#include <ftmpi/failpoint.h>

static void save_at(store_fixture *f, int number, double now_s)
{
	f->now_s = now_s;
	assert_ok(fixture_save(f, number));
}

static void test_keep_max(void **state)
{
	static const struct {
		int keep_max;
		const char *after[5]; /* each of five saves */
	} cases[] = {
		{0, {"1", "1 2", "1 2 3", "1 2 3 4", "1 2 3 4 5"}},
		{1, {"1", "2", "3", "4", "5"}},
		{3, {"1", "1 2", "1 2 3", "2 3 4", "3 4 5"}},
		{9, {"1", "1 2", "1 2 3", "1 2 3 4", "1 2 3 4 5"}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		store_fixture f;
		char directory[16];

		(void)snprintf(directory, sizeof directory, "keep%d", cases[i].keep_max);
		fixture_create(&f, directory);
		f.options.keep_max = cases[i].keep_max;
		fixture_reopen(&f);
		for (int n = 1; n <= 5; n++) {
			assert_ok(fixture_save(&f, n));
			assert_items(f.store, cases[i].after[n - 1]);
			assert_int_equal(count_names(directory, ".weights.h5"), ftmpi_store_n_items(f.store));
		}
		fixture_reopen(&f);
		assert_items(f.store, cases[i].after[4]);
		fixture_destroy(&f);
	}
}

/* One kept for good every hour, beside the newest two. Hours count from the last one kept, first from the directory's making (999). */
static void test_keep_every_n_hours(void **state)
{
	static const struct {
		int number;
		double now_s;
		const char *after;
	} saves[] = {
		{1, 1000, "1"},
		{2, 2000, "1 2"},
		{3, 4600, "2 3"},
		{4, 5000, "3 4"},
		{5, 6000, "3p 4 5"},
		{6, 9000, "3p 5 6"},
		{7, 9001, "3p 6 7"},
		{8, 9002, "3p 6p 7 8"},
		{9, 99999, "3p 6p 8 9"},
		{10, 100000, "3p 6p 9 10"},
		{11, 100001, "3p 6p 9p 10 11"},
	};
	store_fixture f;

	(void)state;
	for (int reopening = 0; reopening < 2; reopening++) {
		fixture_create(&f, reopening ? "hourly_reopened" : "hourly");
		f.options.keep_max = 2;
		f.options.keep_every_n_hours = 1;
		fixture_reopen(&f);
		for (size_t i = 0; i < sizeof saves / sizeof saves[0]; i++) {
			save_at(&f, saves[i].number, saves[i].now_s);
			assert_items(f.store, saves[i].after);
			if (reopening)
				fixture_reopen(&f);
			assert_items(f.store, saves[i].after);
		}
		/* What is preserved stays, also when nothing is to be preserved any more. */
		f.options.keep_every_n_hours = 0;
		f.options.keep_max = 1;
		fixture_reopen(&f);
		save_at(&f, 12, 200000);
		assert_items(f.store, "3p 6p 9p 12");
		assert_latest(&f, 12);
		fixture_destroy(&f);
	}
}

/* A lowered keep_max takes effect at once, not one file at a time. */
static void test_lowered(void **state)
{
	store_fixture f;
	int64_t n_deleted = -1;

	(void)state;
	fixture_create(&f, "lowered");
	f.options.keep_max = 0;
	fixture_reopen(&f);
	for (int i = 1; i <= 8; i++)
		assert_ok(fixture_save(&f, i));
	f.options.keep_max = 2;
	fixture_reopen(&f);
	assert_items(f.store, "1 2 3 4 5 6 7 8");
	assert_ok(fixture_save(&f, 9));
	assert_items(f.store, "8 9");
	assert_ok(ftmpi_store_prune(f.store, 5, &n_deleted));
	assert_int_equal(n_deleted, 0);
	assert_ok(ftmpi_store_prune(f.store, 1, &n_deleted));
	assert_int_equal(n_deleted, 1);
	assert_fails(ftmpi_store_prune(f.store, -1, &n_deleted), FTMPI_ERR_USAGE, "cannot keep -1");
	fixture_reopen(&f);
	assert_items(f.store, "9");
	fixture_destroy(&f);
}

/* … before the next save writes anything: a full disk gets room by it, whether the save succeeds or not. */
static void test_lowered_on_a_full_disk(void **state)
{
	store_fixture f;

	(void)state;
	fixture_create(&f, "full");
	for (int i = 1; i <= 4; i++)
		assert_ok(fixture_save(&f, i));
	f.options.keep_max = 2;
	fixture_reopen(&f);
	assert_ok(ftmpi_failpoints_arm("save.write:error=ENOSPC", 0));
	assert_fails(fixture_save(&f, 5), FTMPI_ERR_NO_SPACE, "older checkpoints are untouched");
	assert_ok(ftmpi_failpoints_arm(NULL, 0));
	assert_items(f.store, "3 4");
	assert_int_equal(count_names("full", ".weights.h5"), 2);
	assert_latest(&f, 4);
	fixture_destroy(&f);
}

/* All deleted on purpose is no loss: the directory is as new. */
static void test_prune_all(void **state)
{
	store_fixture f;
	ftmpi_reader *reader = NULL;

	(void)state;
	fixture_create(&f, "pruned");
	f.options.keep_max = 2;
	f.options.keep_every_n_hours = 1;
	fixture_reopen(&f);
	save_at(&f, 1, 9000);
	save_at(&f, 2, 9001);
	assert_ok(ftmpi_store_prune(f.store, 0, NULL));
	assert_items(f.store, "");
	assert_ok(ftmpi_store_open_latest(f.store, &reader));
	assert_null(reader);
	fixture_reopen(&f);
	assert_ok(ftmpi_store_open_latest(f.store, &reader));
	assert_null(reader);
	/* Preserved ones stay. */
	for (int i = 3; i <= 5; i++)
		save_at(&f, i, 20000 + i);
	assert_items(f.store, "3p 4 5");
	assert_ok(ftmpi_store_prune(f.store, 0, NULL));
	assert_items(f.store, "3p");
	fixture_reopen(&f);
	assert_items(f.store, "3p");
	assert_latest(&f, 3);
	fixture_destroy(&f);
}

/* The one that was just saved stays, whatever its number is. */
static void test_lower_number(void **state)
{
	store_fixture f;

	(void)state;
	fixture_create(&f, "numbers");
	f.options.keep_max = 2;
	fixture_reopen(&f);
	assert_ok(fixture_save(&f, 100));
	assert_ok(fixture_save(&f, 101));
	assert_ok(fixture_save(&f, 1));
	assert_items(f.store, "1 101");
	assert_ok(fixture_save(&f, 2));
	assert_items(f.store, "2 101");
	fixture_destroy(&f);
}

static void test_clock_behind(void **state)
{
	store_fixture f;
	ftmpi_buffer lines;
	int captured;

	(void)state;
	fixture_create(&f, "clock");
	f.options.keep_max = 1;
	f.options.keep_every_n_hours = 1;
	fixture_reopen(&f);
	save_at(&f, 1, 10000);
	save_at(&f, 2, 10001);
	assert_items(f.store, "1p 2");
	f.now_s = 500;
	captured = capture_begin();
	fixture_reopen(&f);
	lines = capture_end(captured);
	assert_captured(&lines, 1, "the clock is 9500 s behind the last preserved checkpoint of 'clock'");
	assert_items(f.store, "1p 2");
	assert_true(ftmpi_store_get(f.store, 1)->timestamp_s == 500);
	/* Hours count from now. */
	save_at(&f, 3, 501);
	assert_items(f.store, "1p 3");
	save_at(&f, 4, 4101);
	assert_items(f.store, "1p 4");
	save_at(&f, 5, 4102);
	assert_items(f.store, "1p 4p 5");
	fixture_destroy(&f);
}

/* Without a state file nobody knows what was preserved: the oldest that is pushed out is, and hours count from it. */
static void test_lost_state_file(void **state)
{
	store_fixture f;

	(void)state;
	fixture_create(&f, "lost");
	f.options.keep_max = 2;
	f.options.keep_every_n_hours = 1;
	fixture_reopen(&f);
	save_at(&f, 1, 5000);
	save_at(&f, 2, 5001);
	save_at(&f, 3, 5002);
	assert_items(f.store, "1p 2 3");
	assert_int_equal(unlink("lost/checkpoint"), 0);
	f.options.now = NULL; /* files have real times */
	fixture_reopen(&f);
	assert_items(f.store, "1u 2u 3u");
	assert_ok(fixture_save(&f, 4));
	assert_items(f.store, "1pu 3u 4");
	fixture_destroy(&f);
}

/* A file that is gone, or cannot be deleted, is a warning for a save. */
static void test_failing_deletion(void **state)
{
	store_fixture f;
	ftmpi_buffer lines;
	int captured;
	int64_t n_deleted = 77;

	(void)state;
	fixture_create(&f, "undeletable");
	f.options.keep_max = 2;
	fixture_reopen(&f);
	assert_ok(fixture_save(&f, 1));
	assert_ok(fixture_save(&f, 2));
	assert_int_equal(unlink("undeletable/ckpt-1.weights.h5"), 0);
	captured = capture_begin();
	assert_ok(fixture_save(&f, 3));
	lines = capture_end(captured);
	assert_captured(&lines, 1, "cannot delete the old checkpoint 'undeletable/ckpt-1.weights.h5': No such file");
	assert_items(f.store, "2 3");
	assert_int_equal(unlink("undeletable/ckpt-2.weights.h5"), 0);
	assert_int_equal(mkdir("undeletable/ckpt-2.weights.h5", 0777), 0);
	captured = capture_begin();
	assert_ok(fixture_save(&f, 4));
	lines = capture_end(captured);
	assert_captured(&lines, 1, "cannot delete the old checkpoint 'undeletable/ckpt-2.weights.h5': Is a directory");
	assert_items(f.store, "2 3 4");
	assert_fails(ftmpi_store_prune(f.store, 1, &n_deleted), FTMPI_ERR_IO,
		     "1 checkpoints in 'undeletable' could not");
	assert_int_equal(n_deleted, 77);
	assert_items(f.store, "2 4");
	fixture_destroy(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keep_max),         cmocka_unit_test(test_keep_every_n_hours),
		cmocka_unit_test(test_lowered),          cmocka_unit_test(test_lowered_on_a_full_disk),
		cmocka_unit_test(test_prune_all),        cmocka_unit_test(test_lower_number),
		cmocka_unit_test(test_clock_behind),     cmocka_unit_test(test_lost_state_file),
		cmocka_unit_test(test_failing_deletion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
