/* SPDX-License-Identifier: Apache-2.0 */
/* Saves with the writer: what is saved is what was there at the beginning, whatever comes afterwards; a failure is told where the save is ended, and only
 * there; whoever asks the store meanwhile waits. */
#include "unit/unit_test.h"

#include "ckpt/store_inside.h"
#include "store_test.h"

#include <ftmpi/failpoint.h>
#include <ftmpi/log.h>
#include <pthread.h>
#include <signal.h>

static void begin(store_fixture *f, int number)
{
	sample_fill(&f->s, number);
	assert_ok(ftmpi_store_save_begin(f->store, f->registry, number));
}

/* Both modes write the same bytes, and the arrays may change as soon as the save has begun. */
static void test_what_was_there(void **state)
{
	store_fixture f, plain;
	ftmpi_buffer a, b;
	char path[FTMPI_PATH_MAX], file[128];
	double write_s = -1;

	(void)state;
	fixture_create(&f, "begun");
	fixture_create(&plain, "plain");
	sample_fill(&plain.s, 7);
	assert_ok(ftmpi_store_save(plain.store, plain.registry, 7, NULL));
	assert_ok(ftmpi_failpoints_arm("save.begin:stall=1",
				       0)); /* so that a writer that reads the arrays reads the wrong ones */
	begin(&f, 7);
	sample_fill(&f.s, 8);
	assert_ok(ftmpi_store_save_end(f.store, path, &write_s));
	assert_ok(ftmpi_failpoints_arm(NULL, 0));
	assert_string_equal(path, fixture_file(&f, 7, "", file));
	assert_true(write_s > 0);
	assert_latest(&f, 7);
	a = read_bytes(fixture_file(&f, 7, "", file));
	b = read_bytes(fixture_file(&plain, 7, "", file));
	assert_buffer_equal(&a, &b);
	ftmpi_buffer_clear(&a);
	ftmpi_buffer_clear(&b);
	fixture_destroy(&plain);
	fixture_destroy(&f);
}

/* One after the other, in the memory of the first. */
static void test_memory_is_used_again(void **state)
{
	store_fixture f;
	const uint8_t *memory = NULL;

	(void)state;
	fixture_create(&f, "again");
	for (int i = 1; i <= 20; i++) {
		begin(&f, 4); /* of the same size each time */
		if (i > 1)
			assert_ptr_equal(f.store->saving.snapshot.memory, memory);
		memory = f.store->saving.snapshot.memory;
		assert_ok(ftmpi_store_save_end(f.store, NULL, NULL));
	}
	for (int i = 21; i <= 29; i++) { /* growing and shrinking */
		begin(&f, i);
		assert_ok(ftmpi_store_save_end(f.store, NULL, NULL));
		assert_latest(&f, i);
	}
	fixture_destroy(&f);
}

static void test_one_in_flight(void **state)
{
	store_fixture f;

	(void)state;
	fixture_create(&f, "flight");
	assert_true(ftmpi_store_save_wait(f.store, 0));
	assert_fails(ftmpi_store_save_end(f.store, NULL, NULL), FTMPI_ERR_USAGE, "no save into 'flight' is in flight");
	begin(&f, 1);
	assert_fails(ftmpi_store_save_begin(f.store, f.registry, 2), FTMPI_ERR_USAGE, "is in flight: end it before");
	assert_fails(ftmpi_store_save(f.store, f.registry, 2, NULL), FTMPI_ERR_USAGE, "is in flight: end it before");
	assert_true(ftmpi_store_save_wait(f.store, -1));
	assert_true(ftmpi_store_save_cpu_s(f.store) > 0);
	assert_ok(ftmpi_store_save_end(f.store, NULL, NULL));
	assert_ok(fixture_save(&f, 2));
	assert_items(f.store, "1 2");
	fixture_destroy(&f);
}

/* A look that comes too early sees that it is not over; every question waits. */
static void test_questions_wait(void **state)
{
	static const char *const questions[] = {"items", "latest", "prune", "clear", "set aside", "close"};

	(void)state;
	for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
		store_fixture f;
		int64_t number;

		fixture_create(&f, "questions");
		assert_ok(ftmpi_store_clear(f.store));
		assert_ok(fixture_save(&f, 1));
		assert_ok(ftmpi_failpoints_arm("save.begin:stall=1", 0));
		begin(&f, 2);
		assert_false(ftmpi_store_save_wait(f.store, 0));
		switch (i) {
		case 0:
			assert_items(f.store, "1 2");
			break;
		case 1:
			assert_latest(&f, 2);
			break;
		case 2:
			assert_ok(ftmpi_store_prune(f.store, 1, NULL));
			assert_items(f.store, "2");
			break;
		case 3:
			assert_ok(ftmpi_store_clear(f.store));
			assert_items(f.store, "");
			break;
		case 4:
			assert_ok(ftmpi_store_set_aside(f.store, &number));
			assert_int_equal(number, 2);
			assert_ok(ftmpi_store_put_back(f.store, 2));
			break;
		default:
			fixture_reopen(&f);
			assert_items(f.store, "1 2");
			break;
		}
		if (i < 5)
			assert_ok(ftmpi_store_save_end(f.store, NULL, NULL));
		assert_ok(ftmpi_failpoints_arm(NULL, 0));
		fixture_destroy(&f);
	}
}

/* The message is that of the writer, on the thread that ends the save; the next save is as if nothing had been. */
static void test_failure(void **state)
{
	store_fixture f;

	(void)state;
	fixture_create(&f, "failing");
	assert_ok(fixture_save(&f, 1));
	assert_ok(ftmpi_failpoints_arm("save.fsync:error=EIO", 0));
	begin(&f, 2);
	assert_true(ftmpi_store_save_wait(f.store, -1));
	ftmpi_error_clear();
	assert_fails(
		ftmpi_store_save_end(f.store, NULL, NULL), FTMPI_ERR_IO,
		"checkpoint 'failing/ckpt-2.weights.h5' was not saved: cannot fsync 'failing/ckpt-2.weights.h5.tmp': "
		"Input/output error; older checkpoints are untouched");
	assert_items(f.store, "1");
	begin(&f, 3);
	assert_ok(ftmpi_store_save_end(f.store, NULL, NULL));
	assert_items(f.store, "1 3");
	assert_latest(&f, 3);
	fixture_destroy(&f);
}

/* What nobody asked about is a warning at the close. */
static void test_unasked_failure(void **state)
{
	store_fixture f;
	ftmpi_buffer text;
	int devnull;

	(void)state;
	fixture_create(&f, "unasked");
	assert_ok(ftmpi_failpoints_arm("save.verify:error=EIO", 0));
	begin(&f, 1);
	devnull = capture_begin();
	ftmpi_store_close(&f.store);
	text = capture_end(devnull);
	assert_non_null(strstr(text.data, "ftmpi: warning: checkpoint 'unasked/ckpt-1.weights.h5' was not saved: "));
	ftmpi_buffer_clear(&text);
	fixture_open(&f);
	assert_items(f.store, "");
	fixture_destroy(&f);
}

/* Two stores, so two writers, beside a file that the main thread builds: HDF5 sees one at a time. */
static void test_beside_each_other(void **state)
{
	store_fixture a, b;

	(void)state;
	fixture_create(&a, "beside-a");
	fixture_create(&b, "beside-b");
	for (int i = 1; i <= 30; i++) {
		begin(&a, i);
		begin(&b, i);
		assert_ok(ftmpi_registry_write(a.registry, "beside.weights.h5"));
		assert_ok(ftmpi_store_save_end(a.store, NULL, NULL));
		assert_ok(ftmpi_store_save_end(b.store, NULL, NULL));
	}
	assert_latest(&a, 30);
	assert_latest(&b, 30);
	fixture_destroy(&a);
	fixture_destroy(&b);
}

struct seen {
	pthread_t thread;
	sigset_t blocked;
};

static ftmpi_status look_around(void *context)
{
	struct seen *seen = context;

	seen->thread = pthread_self();
	(void)pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
	return ftmpi_error_set(FTMPI_ERR_BUSY, __FILE__, __LINE__, "seen");
}

/* It is another thread, no signal reaches it, and the caller's signals are as before. */
static void test_thread(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGUSR1, SIGCHLD, SIGALRM};
	ftmpi__writer *w = NULL;
	struct seen seen;
	sigset_t own;

	(void)state;
	assert_ok(ftmpi__writer_create(&w));
	assert_true(ftmpi__writer_wait(w, -1));
	ftmpi__writer_start(w, look_around, &seen);
	assert_true(ftmpi__writer_wait(w, 60));
	assert_fails(ftmpi__writer_result(w), FTMPI_ERR_BUSY, "seen");
	assert_false(pthread_equal(seen.thread, pthread_self()));
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &own), 0);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		assert_true(sigismember(&seen.blocked, signals[i]));
		assert_false(sigismember(&own, signals[i]));
	}
	ftmpi__writer_destroy(&w);
	assert_null(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_there),    cmocka_unit_test(test_memory_is_used_again),
		cmocka_unit_test(test_one_in_flight),     cmocka_unit_test(test_questions_wait),
		cmocka_unit_test(test_failure),           cmocka_unit_test(test_unasked_failure),
		cmocka_unit_test(test_beside_each_other), cmocka_unit_test(test_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
