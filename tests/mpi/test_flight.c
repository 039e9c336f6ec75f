/* SPDX-License-Identifier: Apache-2.0 */
/* A manager's saves in flight: nothing counts before it is ended, what was there at the beginning is what is saved, and an error is every rank's. */
#include "mpi/checkpoint_test.h"

#include <ftmpi/manager.h>
#include <unistd.h>

struct flight {
	side s;
	int64_t step;
	ftmpi_manager_options options;
	ftmpi_manager *manager;
};

static void create(struct flight *f, const char *directory)
{
	memset(f, 0, sizeof *f);
	side_create(&f->s);
	assert_ok(ftmpi_checkpoint_track_scalar(f->s.checkpoint, "step", FTMPI_I64, &f->step));
	ftmpi_manager_options_init(&f->options);
	f->options.lock_wait_s = 0;
	f->options.step_counter = &f->step;
	f->options.checkpoint_interval = 5;
	assert_ok(ftmpi_manager_create(f->s.checkpoint, directory, &f->options, &f->manager));
}

static void destroy(struct flight *f)
{
	ftmpi_manager_destroy(&f->manager);
	side_destroy(&f->s);
}

/* Begin to save the sample of this seed; it is gone afterwards. */
static void begin(struct flight *f, int seed)
{
	bool begun = false;

	sample_fill(&f->s.s, seed);
	assert_ok(ftmpi_manager_save_begin(f->manager, NULL, false, &begun));
	assert_true(begun);
	side_scramble(&f->s);
}

static void assert_newest(const struct flight *f, int n_checkpoints, const char *newest)
{
	assert_int_equal(ftmpi_manager_n_checkpoints(f->manager), n_checkpoints);
	if (newest == NULL)
		assert_null(ftmpi_manager_latest_checkpoint(f->manager));
	else
		assert_string_equal(ftmpi_manager_latest_checkpoint(f->manager), newest);
}

static void test_counts_when_it_is_ended(void **state)
{
	struct flight f;
	const char *path = "";
	bool begun = true;

	(void)state;
	create(&f, "ended");
	assert_ok(ftmpi_manager_save_end(f.manager, &path));
	assert_null(path);
	assert_false(ftmpi_manager_save_ready(f.manager));
	f.step = 10;
	arm("save.begin:stall=1,rank=0"); /* a writer that looked at the arrays would see others */
	begin(&f, 1);
	assert_newest(&f, 0, NULL);
	assert_ok(ftmpi_manager_save_end(f.manager, &path));
	arm(NULL);
	assert_string_equal(path, "ended/ckpt-1.weights.h5");
	assert_true(ftmpi_manager_write_s(f.manager) > 0);
	assert_newest(&f, 1, "ended/ckpt-1.weights.h5");
	/* The interval counts from the step at which it began. */
	f.step = 14;
	assert_ok(ftmpi_manager_save_begin(f.manager, NULL, true, &begun));
	assert_false(begun);
	f.step = 15;
	begin(&f, 2);
	f.step = 19;
	assert_ok(ftmpi_manager_save_end(f.manager, NULL));
	assert_ok(ftmpi_manager_save_begin(f.manager, NULL, true, &begun));
	assert_false(begun);
	assert_ok(ftmpi_manager_restore_or_initialize(f.manager, &path));
	assert_string_equal(path, "ended/ckpt-2.weights.h5");
	assert_holds(&f.s, 2, 2);
	destroy(&f);
}

/* Each function that saves or restores ends what is in flight. */
static void test_one_after_the_other(void **state)
{
	struct flight f;
	const char *path = NULL;

	(void)state;
	create(&f, "after");
	for (int i = 1; i <= 5; i++) {
		f.step = 10 * (int64_t)i;
		begin(&f, i);
	}
	assert_newest(&f, 4, "after/ckpt-4.weights.h5");
	f.step = 60;
	sample_fill(&f.s.s, 6);
	assert_ok(ftmpi_manager_save(f.manager, NULL, false, &path));
	assert_string_equal(path, "after/ckpt-6.weights.h5");
	assert_newest(&f, 6, "after/ckpt-6.weights.h5");
	f.step = 70;
	begin(&f, 7);
	assert_ok(ftmpi_manager_restore_or_initialize(f.manager, &path));
	assert_string_equal(path, "after/ckpt-7.weights.h5");
	assert_holds(&f.s, 7, 7);
	destroy(&f);
}

/* The same error on every rank; counter, interval and numbers are as before. */
static void test_failure(void **state)
{
	struct flight f;
	const char *path = NULL;
	bool begun = false;
	int saved;

	(void)state;
	create(&f, "failing");
	f.step = 10;
	sample_fill(&f.s.s, 1);
	assert_ok(ftmpi_manager_save(f.manager, NULL, false, NULL));
	f.step = 20;
	arm("save.fsync:error=ENOSPC,rank=0");
	begin(&f, 2);
	assert_int_equal(ftmpi_checkpoint_save_counter(f.s.checkpoint), 2);
	assert_fails(ftmpi_manager_save_end(f.manager, &path), FTMPI_ERR_NO_SPACE,
		     "checkpoint 'failing/ckpt-2.weights.h5' was not saved: cannot fsync");
	assert_int_equal(ftmpi_checkpoint_save_counter(f.s.checkpoint), 1);
	assert_newest(&f, 1, "failing/ckpt-1.weights.h5");
	assert_ok(ftmpi_manager_save_begin(f.manager, NULL, true, &begun)); /* it is still due */
	assert_true(begun);
	assert_ok(ftmpi_manager_save_end(f.manager, &path));
	assert_string_equal(path, "failing/ckpt-2.weights.h5");
	/* An error of the copy begins nothing; one in flight is told by the next save, which begins nothing either. */
	f.step = 30;
	arm("save.stage:error=EIO,rank=0");
	assert_fails(ftmpi_manager_save_begin(f.manager, NULL, false, NULL), FTMPI_ERR_IO, "cannot copy the arrays");
	assert_ok(ftmpi_manager_save_end(f.manager, &path));
	assert_null(path);
	arm("save.verify:error=EIO,rank=0");
	begin(&f, 3);
	assert_fails(ftmpi_manager_save(f.manager, NULL, false, NULL), FTMPI_ERR_IO, "cannot read back");
	assert_newest(&f, 2, "failing/ckpt-2.weights.h5");
	/* A restore warns, and goes back to what there is. */
	sample_fill(&f.s.s, 3);
	assert_ok(ftmpi_manager_save(f.manager, NULL, false, NULL));
	f.step = 40;
	arm("save.open:error=EIO,rank=0");
	begin(&f, 4);
	while (f.s.chief && !ftmpi_manager_save_ready(f.manager)) /* the failpoint has said its line */
		(void)usleep(1000);
	saved = listen_begin();
	assert_ok(ftmpi_manager_restore_or_initialize(f.manager, &path));
	listen_end(saved, 1, "ftmpi: warning: checkpoint 'failing/ckpt-4.weights.h5' was not saved: ");
	arm(NULL);
	assert_string_equal(path, "failing/ckpt-3.weights.h5");
	assert_holds(&f.s, 3, 3);
	destroy(&f);
}

/* Nobody ends it: it becomes durable all the same, and the error record is left alone. */
static void test_abandoned(void **state)
{
	struct flight f;
	const char *path = NULL;

	(void)state;
	create(&f, "abandoned");
	begin(&f, 1);
	(void)ftmpi_error_set(FTMPI_ERR_USAGE, __FILE__, __LINE__, "what this ends with");
	ftmpi_manager_destroy(&f.manager);
	assert_string_equal(ftmpi_error_message(), "what this ends with");
	assert_ok(ftmpi_manager_create(f.s.checkpoint, "abandoned", &f.options, &f.manager));
	assert_ok(ftmpi_manager_restore_or_initialize(f.manager, &path));
	assert_string_equal(path, "abandoned/ckpt-1.weights.h5");
	assert_holds(&f.s, 1, 1);
	destroy(&f);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_counts_when_it_is_ended),
	cmocka_unit_test(test_one_after_the_other),
	cmocka_unit_test(test_failure),
	cmocka_unit_test(test_abandoned),
};

FTMPI_TEST_MAIN(tests)
