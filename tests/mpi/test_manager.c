/* SPDX-License-Identifier: Apache-2.0 */
/* The manager: when it saves, under which number, what stays, where it begins; the same on every rank. */
#include "mpi/checkpoint_test.h"

#include <ftmpi/manager.h>
#include <math.h>

/* A program under a manager, with a clock at 1000 and a step counter that is saved with the rest. */
struct managed {
	side s;
	double now_s;
	int64_t step;
	ftmpi_manager_options options;
	char directory[32];
	ftmpi_manager *manager;
};

static void managed_open(struct managed *m)
{
	assert_null(m->manager);
	assert_ok(ftmpi_manager_create(m->s.checkpoint, m->directory, &m->options, &m->manager));
}

static void managed_create(struct managed *m, const char *directory)
{
	memset(m, 0, sizeof *m);
	m->now_s = 1000;
	(void)snprintf(m->directory, sizeof m->directory, "%s", directory);
	side_create(&m->s);
	assert_ok(ftmpi_checkpoint_track_scalar(m->s.checkpoint, "step", FTMPI_I64, &m->step));
	ftmpi_manager_options_init(&m->options);
	assert_true(m->options.max_to_keep == FTMPI_KEEP_ALL && m->options.lock_wait_s == 10);
	assert_string_equal(m->options.checkpoint_name, "ckpt");
	m->options.lock_wait_s = 0;
	m->options.now = fixture_now;
	m->options.now_context = &m->now_s;
}

static void managed_destroy(struct managed *m)
{
	ftmpi_manager_destroy(&m->manager);
	assert_null(m->manager);
	side_destroy(&m->s);
}

/* As a relaunch: a new program. */
static void managed_relaunch(struct managed *m)
{
	ftmpi_manager_destroy(&m->manager);
	side_destroy(&m->s);
	side_create(&m->s);
	m->step = 0;
	assert_ok(ftmpi_checkpoint_track_scalar(m->s.checkpoint, "step", FTMPI_I64, &m->step));
	managed_open(m);
}

/* Expect the active set, "2 3", and the newest file, 0: none; on every rank. */
static void assert_active(const struct managed *m, const char *numbers, int newest)
{
	char text[256] = "", expected[64];
	size_t used = 0;
	const int n = ftmpi_manager_n_checkpoints(m->manager);

	for (int i = 0; i < n; i++) {
		const char *path = ftmpi_manager_checkpoint(m->manager, i);
		int number = -1;

		(void)snprintf(expected, sizeof expected, "%s/%s-%%d.weights.h5", m->directory,
			       m->options.checkpoint_name);
		assert_int_equal(sscanf(path, expected, &number), 1);
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%d", i > 0 ? " " : "", number);
		if (m->s.chief)
			assert_true(file_exists(path));
	}
	assert_string_equal(text, numbers);
	(void)snprintf(expected, sizeof expected, "%s/%s-%d.weights.h5", m->directory, m->options.checkpoint_name,
		       newest);
	if (newest == 0)
		assert_null(ftmpi_manager_latest_checkpoint(m->manager));
	else
		assert_string_equal(ftmpi_manager_latest_checkpoint(m->manager), expected);
}

/* Save the sample of this seed under a number of the manager's; expect the file. */
static void save(struct managed *m, int seed, int number)
{
	const char *path = NULL;
	char expected[64];

	sample_fill(&m->s.s, seed);
	assert_ok(ftmpi_manager_save(m->manager, NULL, true, &path));
	(void)snprintf(expected, sizeof expected, "%s/%s-%d.weights.h5", m->directory, m->options.checkpoint_name,
		       number);
	assert_string_equal(path, expected);
	assert_int_equal(ftmpi_checkpoint_save_counter(m->s.checkpoint), number);
}

static void save_at(struct managed *m, int number, double now_s)
{
	m->now_s = now_s;
	save(m, number, number);
}

static void expect_not_saved(struct managed *m, bool check_interval)
{
	const char *path = "x";

	assert_ok(ftmpi_manager_save(m->manager, NULL, check_interval, &path));
	assert_null(path);
}

static void assert_refused(struct managed *m, const char *text)
{
	assert_fails(ftmpi_manager_create(m->s.checkpoint, m->directory, &m->options, &m->manager), FTMPI_ERR_USAGE,
		     text);
	assert_null(m->manager);
	ftmpi_manager_options_init(&m->options);
}

static void test_options(void **state)
{
	struct managed m;

	(void)state;
	managed_create(&m, "refused");
	m.options.max_to_keep = 0;
	assert_refused(&m, "max_to_keep is 0");
	m.options.max_to_keep = -2;
	assert_refused(&m, "max_to_keep is -2");
	m.options.checkpoint_interval = 3;
	assert_refused(&m, "checkpoint_interval is 3, but there is no step_counter");
	m.options.step_counter = &m.step;
	m.options.checkpoint_interval = -1;
	assert_refused(&m, "checkpoint_interval is -1");
	m.options.checkpoint_interval = 0;
	m.options.keep_checkpoint_every_n_hours = -1;
	assert_refused(&m, "keep_checkpoint_every_n_hours is -1");
	m.options.keep_checkpoint_every_n_hours = NAN;
	assert_refused(&m, "keep_checkpoint_every_n_hours is nan");
	m.options.keep_checkpoint_every_n_hours = 0;
	m.options.checkpoint_name = "a/b";
	assert_refused(&m, "bad checkpoint name 'a/b'");
	assert_fails(ftmpi_manager_create(m.s.checkpoint, "", NULL, &m.manager), FTMPI_ERR_USAGE, "has no name");
	assert_fails(ftmpi_manager_create_on_store(m.s.checkpoint, NULL, NULL, &m.manager), FTMPI_ERR_USAGE,
		     "no store");
	if (m.s.chief)
		assert_false(file_exists("refused"));
	/* NULL: the defaults. */
	assert_ok(ftmpi_manager_create(m.s.checkpoint, "defaults//", NULL, &m.manager));
	assert_string_equal(ftmpi_manager_directory(m.manager), "defaults");
	assert_true((ftmpi_manager_store(m.manager) != NULL) == m.s.chief);
	assert_int_equal(ftmpi_manager_n_checkpoints(m.manager), 0);
	assert_null(ftmpi_manager_latest_checkpoint(m.manager));
	managed_destroy(&m);
}

/* The newest max_to_keep stay, under the program's own name. */
static void test_max_to_keep(void **state)
{
	static const struct {
		int64_t keep;
		const char *after[4];
	} cases[] = {{FTMPI_KEEP_ALL, {"1", "1 2", "1 2 3", "1 2 3 4"}},
		     {1, {"1", "2", "3", "4"}},
		     {2, {"1", "1 2", "2 3", "3 4"}},
		     {9, {"1", "1 2", "1 2 3", "1 2 3 4"}}};
	struct managed m;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char directory[32];

		(void)snprintf(directory, sizeof directory, "keep%zu", i);
		managed_create(&m, directory);
		m.options.max_to_keep = cases[i].keep;
		m.options.checkpoint_name = "model.x";
		managed_open(&m);
		assert_active(&m, "", 0);
		for (int n = 1; n <= 4; n++) {
			save(&m, n, n);
			assert_active(&m, cases[i].after[n - 1], n);
			if (m.s.chief)
				assert_int_equal(count_names(directory, ".weights.h5"),
						 ftmpi_manager_n_checkpoints(m.manager));
		}
		managed_relaunch(&m);
		assert_active(&m, cases[i].after[3], 4);
		managed_destroy(&m);
	}
}

/* The rule of TensorFlow: one that is pushed out stays for good if it is at least an hour after the last one that did, first after the
 * folder's beginning (999). The active set is without those. A re-opening changes nothing. */
static void test_keep_every_n_hours(void **state)
{
	static const struct {
		int number;
		double now_s;
		const char *active;
		int n_files;
	} saves[] = {
		{1, 1000, "1", 1},    {2, 2000, "1 2", 2},     {3, 4600, "2 3", 2},      {4, 5000, "3 4", 2},
		{5, 6000, "4 5", 3},  {6, 9000, "5 6", 3},     {7, 9001, "6 7", 3},      {8, 9002, "7 8", 4},
		{9, 99999, "8 9", 4}, {10, 100000, "9 10", 4}, {11, 100001, "10 11", 5},
	};
	struct managed m;

	(void)state;
	for (int reopening = 0; reopening < 2; reopening++) {
		managed_create(&m, reopening ? "hourly_reopened" : "hourly");
		m.options.max_to_keep = 2;
		m.options.keep_checkpoint_every_n_hours = 1;
		managed_open(&m);
		for (size_t i = 0; i < sizeof saves / sizeof saves[0]; i++) {
			save_at(&m, saves[i].number, saves[i].now_s);
			if (reopening) {
				managed_relaunch(&m);
				assert_active(&m, saves[i].active, saves[i].number);
				assert_ok(ftmpi_manager_restore_or_initialize(m.manager, NULL));
				assert_holds(&m.s, saves[i].number, saves[i].number);
			}
			assert_active(&m, saves[i].active, saves[i].number);
			if (m.s.chief)
				assert_int_equal(count_names(m.directory, ".weights.h5"), saves[i].n_files);
		}
		managed_destroy(&m);
	}
}

/* The lines that TensorFlow reads, in their order. */
static void test_state_file(void **state)
{
	static const char expected[] = "model_checkpoint_path: \"ckpt-3\"\n"
				       "all_model_checkpoint_paths: \"ckpt-2\"\n"
				       "all_model_checkpoint_paths: \"ckpt-3\"\n"
				       "all_model_checkpoint_timestamps: 5001.500000\n"
				       "all_model_checkpoint_timestamps: 5002.000000\n"
				       "last_preserved_timestamp: 5000.000000\n";
	struct managed m;
	ftmpi_buffer text;

	(void)state;
	managed_create(&m, "state");
	m.options.max_to_keep = 2;
	m.options.keep_checkpoint_every_n_hours = 1;
	managed_open(&m);
	save_at(&m, 1, 5000);
	save_at(&m, 2, 5001.5);
	save_at(&m, 3, 5002);
	assert_active(&m, "2 3", 3);
	if (m.s.chief) {
		text = read_bytes("state/checkpoint");
		assert_memory_equal(text.data, expected, strlen(expected));
		ftmpi_buffer_clear(&text);
	}
	managed_destroy(&m);
}

/* A clock that went back must not keep everything, nor delete everything. */
static void test_clock_behind(void **state)
{
	struct managed m;
	int saved;

	(void)state;
	managed_create(&m, "clock");
	m.options.max_to_keep = 1;
	m.options.keep_checkpoint_every_n_hours = 1;
	managed_open(&m);
	save_at(&m, 1, 10000);
	save_at(&m, 2, 10001);
	m.now_s = 500;
	saved = listen_begin();
	managed_relaunch(&m);
	listen_end(saved, 1, "the clock is 9500 s behind the last preserved checkpoint of 'clock'");
	assert_active(&m, "2", 2);
	assert_ok(ftmpi_manager_restore_or_initialize(m.manager, NULL));
	save_at(&m, 3, 501);
	assert_active(&m, "3", 3);
	if (m.s.chief)
		assert_int_equal(count_names("clock", ".weights.h5"), 2);
	managed_destroy(&m);
}

/* Not at the step of the last save, nor before the interval is over, unless that is not to be checked. */
static void test_interval(void **state)
{
	struct managed m;

	(void)state;
	managed_create(&m, "interval");
	m.options.step_counter = &m.step;
	m.options.checkpoint_interval = 3;
	managed_open(&m);
	m.step = 1;
	save(&m, 1, 1);
	expect_not_saved(&m, true);
	expect_not_saved(&m, false);
	m.step = 3;
	expect_not_saved(&m, true);
	m.step = 4;
	save(&m, 4, 2);
	m.step = 5;
	expect_not_saved(&m, true);
	assert_ok(ftmpi_manager_save(m.manager, NULL, false, NULL));
	assert_int_equal(ftmpi_checkpoint_save_counter(m.s.checkpoint), 3);
	m.step = 7;
	expect_not_saved(&m, true);
	m.step = 8;
	save(&m, 8, 4);
	/* A relaunch that restores counts from the restored step; one that does not saves at once. */
	managed_relaunch(&m);
	assert_ok(ftmpi_manager_restore_or_initialize(m.manager, NULL));
	assert_int_equal(m.step, 8);
	expect_not_saved(&m, false);
	m.step = 10;
	expect_not_saved(&m, true);
	m.step = 11;
	save(&m, 11, 5);
	managed_relaunch(&m);
	m.step = 11;
	save(&m, 11, 6);
	managed_destroy(&m);
}

/* Without an interval every call saves, at the same step too. */
static void test_no_interval(void **state)
{
	struct managed m;

	(void)state;
	managed_create(&m, "no_interval");
	m.options.step_counter = &m.step;
	managed_open(&m);
	save(&m, 1, 1);
	save(&m, 1, 2);
	managed_destroy(&m);
}

/* A save that fails for whatever reason counts for nothing: not for the counter, the interval, the numbers, nor the list. */
static void test_failing_save(void **state)
{
	static const char *const faults[] = {"save.begin:error=EIO",     "save.open:error=EACCES",
					     "save.write:error=ENOSPC",  "save.write:short",
					     "save.write:corrupt",       "save.fsync:error=EIO",
					     "save.verify:error=EIO",    "save.before-rename:error=EIO",
					     "save.dir-fsync:error=EIO", "save.state-file:error=EDQUOT"};
	struct managed m;
	char spec[64];

	(void)state;
	managed_create(&m, "failing");
	m.options.max_to_keep = 2;
	m.options.step_counter = &m.step;
	m.options.checkpoint_interval = 5;
	managed_open(&m);
	for (int i = 0; i < (int)(sizeof faults / sizeof faults[0]); i++) {
		const char *path = "unchanged";
		const bool renamed = i >= 8;

		m.step = INT64_C(5) * i;
		save(&m, i, i + 1);
		m.step = INT64_C(5) * i + 4;
		expect_not_saved(&m, true);
		m.step = INT64_C(5) * i + 5;
		(void)snprintf(spec, sizeof spec, "%s,rank=0", faults[i]);
		arm(spec);
		sample_fill(&m.s.s, 50 + i);
		assert_fails(ftmpi_manager_save(m.manager, NULL, true, &path),
			     i == 2 || i == 3 || i == 9 ? FTMPI_ERR_NO_SPACE : FTMPI_ERR_IO,
			     renamed ? "is complete, but not announced" : "was not saved");
		arm(NULL);
		assert_string_equal(path, "unchanged");
		assert_int_equal(ftmpi_checkpoint_save_counter(m.s.checkpoint), i + 1);
		if (!renamed) /* else it is there, and known */
			assert_string_equal(
				ftmpi_manager_checkpoint(m.manager, ftmpi_manager_n_checkpoints(m.manager) - 1),
				ftmpi_manager_latest_checkpoint(m.manager));
		/* The next round saves the same number at the same step. */
	}
	managed_relaunch(&m);
	assert_ok(ftmpi_manager_restore_or_initialize(m.manager, NULL));
	managed_destroy(&m);
}

/* How a program is begun: rank by rank, with a failure on one of them. */
struct beginning {
	int n_calls;
	int fails_on; /* rank; −1: none */
};

static ftmpi_status begin(void *context)
{
	ftmpi_status status = FTMPI_OK;
	struct beginning *b = context;

	b->n_calls++;
	if (b->fails_on == ftmpi_comm_rank(world))
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "no file to begin with");
done:
	return status;
}

static void test_restore_or_initialize(void **state)
{
	struct managed m;
	struct beginning b = {.fails_on = ftmpi_comm_size(world) - 1};
	const char *path = "x";

	(void)state;
	managed_create(&m, "beginning");
	m.options.init_fn = begin;
	m.options.init_context = &b;
	managed_open(&m);
	assert_fails(ftmpi_manager_restore_or_initialize(m.manager, &path), FTMPI_ERR_NOT_FOUND,
		     "no file to begin with");
	assert_string_equal(path, "x");
	b.fails_on = -1;
	assert_ok(ftmpi_manager_restore_or_initialize(m.manager, &path));
	assert_null(path);
	assert_int_equal(b.n_calls, 2);
	save(&m, 8, 1);
	managed_relaunch(&m);
	side_scramble(&m.s);
	assert_ok(ftmpi_manager_restore_or_initialize(m.manager, &path));
	assert_string_equal(path, "beginning/ckpt-1.weights.h5");
	assert_int_equal(b.n_calls, 2);
	assert_holds(&m.s, 8, 1);
	m.options.init_fn = NULL;
	(void)snprintf(m.directory, sizeof m.directory, "beginning_without");
	managed_relaunch(&m);
	assert_ok(ftmpi_manager_restore_or_initialize(m.manager, &path));
	assert_null(path);
	managed_destroy(&m);
}

static void cut_off(const char *path)
{
	struct stat st;

	if (!ftmpi_comm_is_chief(world))
		return;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size / 2), 0);
}

/* The newest is cut off: the one before is restored, the counter is its, and its successor gets the number again. */
static void test_fallback(void **state)
{
	struct managed m;
	const char *path = NULL;
	int saved;

	(void)state;
	managed_create(&m, "fallback");
	m.options.max_to_keep = 3;
	managed_open(&m);
	for (int n = 1; n <= 5; n++)
		save(&m, n, n);
	cut_off(ftmpi_manager_latest_checkpoint(m.manager));
	managed_relaunch(&m);
	assert_active(&m, "3 4 5", 5);
	saved = listen_begin();
	assert_ok(ftmpi_manager_restore_or_initialize(m.manager, &path));
	listen_end(saved, 1, "set aside as 'ckpt-5.weights.h5.bad'");
	assert_string_equal(path, "fallback/ckpt-4.weights.h5");
	assert_holds(&m.s, 4, 4);
	assert_active(&m, "3 4", 4);
	save(&m, 55, 5);
	assert_active(&m, "3 4 5", 5);
	if (m.s.chief)
		assert_true(file_exists("fallback/ckpt-5.weights.h5.bad"));
	managed_relaunch(&m);
	assert_ok(ftmpi_manager_restore_or_initialize(m.manager, NULL));
	assert_holds(&m.s, 55, 5);
	managed_destroy(&m);
}

/* All are bad: beginning anew unasked would hide the loss. */
static void test_none_is_good(void **state)
{
	struct managed m;
	struct beginning b = {.fails_on = -1};
	const char *path = "x";

	(void)state;
	managed_create(&m, "none_good");
	m.options.init_fn = begin;
	m.options.init_context = &b;
	managed_open(&m);
	save(&m, 1, 1);
	save(&m, 2, 2);
	cut_off("none_good/ckpt-1.weights.h5");
	cut_off("none_good/ckpt-2.weights.h5");
	managed_relaunch(&m);
	side_scramble(&m.s);
	assert_fails(ftmpi_manager_restore_or_initialize(m.manager, &path), FTMPI_ERR_DATA,
		     "no good checkpoint in 'none_good': 2 bad");
	assert_string_equal(path, "x");
	assert_int_equal(b.n_calls, 0);
	assert_active(&m, "", 0);
	assert_scrambled(&m.s);
	managed_destroy(&m);
}

/* Good files of another program: named, nothing is changed, nothing is set aside. */
static void test_other_program(void **state)
{
	struct managed m;
	double extra = 4;

	(void)state;
	managed_create(&m, "other");
	managed_open(&m);
	save(&m, 1, 1);
	managed_relaunch(&m);
	assert_ok(ftmpi_checkpoint_track_scalar(m.s.checkpoint, "extra", FTMPI_F64, &extra));
	side_scramble(&m.s);
	assert_fails(ftmpi_manager_restore_or_initialize(m.manager, NULL), FTMPI_ERR_DATA,
		     "1 of 16 entries differ; 'ftmpi/user/extra' is not in the file");
	assert_scrambled(&m.s);
	assert_active(&m, "1", 1);
	assert_true(extra == 4);
	managed_destroy(&m);
}

static void save_as(struct managed *m, int64_t number, const char *expected)
{
	const char *path = NULL;

	assert_ok(ftmpi_manager_save(m->manager, &number, true, &path));
	assert_string_equal(path, expected);
}

/* Numbers of the program's own: the counter goes on by itself. A lower one is not the newest, which is said. */
static void test_own_numbers(void **state)
{
	const int64_t negative = -1;
	struct managed m;
	int saved;

	(void)state;
	managed_create(&m, "numbers");
	m.options.max_to_keep = 2;
	managed_open(&m);
	sample_fill(&m.s.s, 1);
	save_as(&m, 100, "numbers/ckpt-100.weights.h5");
	save_as(&m, 200, "numbers/ckpt-200.weights.h5");
	save_as(&m, 200, "numbers/ckpt-200.weights.h5");
	assert_active(&m, "100 200", 200);
	assert_holds(&m.s, 1, 3);
	saved = listen_begin();
	assert_fails(ftmpi_manager_save(m.manager, &negative, true, NULL), FTMPI_ERR_USAGE, "-1 is negative");
	listen_end(saved, 0, "");
	assert_holds(&m.s, 1, 3);
	saved = listen_begin();
	save_as(&m, 150, "numbers/ckpt-150.weights.h5");
	listen_end(saved, 1, "'numbers' has checkpoint 200: it stays the newest one, before 150");
	assert_active(&m, "150 200", 200);
	managed_relaunch(&m);
	assert_ok(ftmpi_manager_restore_or_initialize(m.manager, NULL));
	assert_holds(&m.s, 1, 3);
	save(&m, 2, 201);
	managed_destroy(&m);
}

/* A program that did not restore, or restored an older one, overwrites nothing, and what it saves is the newest. */
static void test_old_folder(void **state)
{
	struct managed m;

	(void)state;
	managed_create(&m, "old");
	managed_open(&m);
	for (int n = 1; n <= 3; n++)
		save(&m, n, n);
	managed_relaunch(&m);
	save(&m, 30, 4);
	assert_active(&m, "1 2 3 4", 4);
	assert_ok(ftmpi_checkpoint_restore(m.s.checkpoint, "old/ckpt-2", NULL));
	assert_holds(&m.s, 2, 2);
	save(&m, 31, 5);
	managed_relaunch(&m);
	assert_ok(ftmpi_manager_restore_or_initialize(m.manager, NULL));
	assert_holds(&m.s, 31, 5);
	managed_destroy(&m);
}

/* Complete files that the state file does not list are found; a damaged state file loses no history. */
static void test_directory_scan(void **state)
{
	struct managed m;
	int saved;

	(void)state;
	managed_create(&m, "scan");
	m.options.max_to_keep = 3;
	managed_open(&m);
	for (int n = 1; n <= 3; n++)
		save(&m, n, n);
	ftmpi_manager_destroy(&m.manager);
	if (m.s.chief)
		write_text("scan/checkpoint", "model_checkpoint_path: \"ckpt-1\"\n");
	saved = listen_begin();
	managed_open(&m);
	listen_end(saved, 1, "the state file 'scan/checkpoint' is damaged");
	assert_active(&m, "1 2 3", 3);
	assert_ok(ftmpi_manager_restore_or_initialize(m.manager, NULL));
	assert_holds(&m.s, 3, 3);
	save(&m, 4, 4);
	assert_active(&m, "2 3 4", 4);
	managed_destroy(&m);
}

/* One manager a folder, until it is destroyed. */
static void test_lock(void **state)
{
	struct managed m;
	ftmpi_manager *second = NULL;

	(void)state;
	managed_create(&m, "locked");
	managed_open(&m);
	save(&m, 1, 1);
	assert_fails(ftmpi_manager_create(m.s.checkpoint, "locked", &m.options, &second), FTMPI_ERR_BUSY,
		     "'locked' is in use by process");
	assert_null(second);
	/* Looking needs no lock. */
	assert_ok(ftmpi_checkpoint_restore(m.s.checkpoint, "locked", NULL));
	ftmpi_manager_destroy(&m.manager);
	assert_ok(ftmpi_manager_create(m.s.checkpoint, "locked", &m.options, &second));
	ftmpi_manager_destroy(&second);
	managed_destroy(&m);
}

/* A store of the program's: its options hold, and it stays open. */
static void test_on_store(void **state)
{
	struct managed m;
	ftmpi_store *store = NULL;
	ftmpi_store_options options;
	int64_t number = 7;

	(void)state;
	managed_create(&m, "on_store");
	ftmpi_store_options_init(&options);
	options.keep_max = 2;
	options.number_path = "ftmpi/user/step";
	if (m.s.chief)
		assert_ok(ftmpi_store_open("on_store", &options, &store));
	m.options.max_to_keep = 1;
	m.options.step_counter = &m.step;
	m.options.checkpoint_interval = 2;
	assert_ok(ftmpi_manager_create_on_store(m.s.checkpoint, store, &m.options, &m.manager));
	assert_ptr_equal(ftmpi_manager_store(m.manager), store);
	for (m.step = 7; m.step < 13; m.step++, number++)
		assert_ok(ftmpi_manager_save(m.manager, &number, true, NULL));
	assert_active(&m, "9 11", 11);
	assert_int_equal(ftmpi_checkpoint_save_counter(m.s.checkpoint), 3);
	m.step = 0;
	assert_ok(ftmpi_manager_restore_or_initialize(m.manager, NULL));
	assert_int_equal(m.step, 11);
	ftmpi_manager_destroy(&m.manager);
	if (m.s.chief)
		assert_items(store, "9 11");
	ftmpi_store_close(&store);
	managed_destroy(&m);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_options),
	cmocka_unit_test(test_max_to_keep),
	cmocka_unit_test(test_keep_every_n_hours),
	cmocka_unit_test(test_state_file),
	cmocka_unit_test(test_clock_behind),
	cmocka_unit_test(test_interval),
	cmocka_unit_test(test_no_interval),
	cmocka_unit_test(test_failing_save),
	cmocka_unit_test(test_restore_or_initialize),
	cmocka_unit_test(test_fallback),
	cmocka_unit_test(test_none_is_good),
	cmocka_unit_test(test_other_program),
	cmocka_unit_test(test_own_numbers),
	cmocka_unit_test(test_old_folder),
	cmocka_unit_test(test_directory_scan),
	cmocka_unit_test(test_lock),
	cmocka_unit_test(test_on_store),
};

FTMPI_TEST_MAIN(tests)
