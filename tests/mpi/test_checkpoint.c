/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and restoring a checkpoint object over all ranks. The chief alone touches files; every rank ends with the same status and, when it is
 * good, the same bits. */
#include "mpi/checkpoint_test.h"

#include <ftmpi/manager.h>

static int64_t counter_in(const char *file)
{
	ftmpi_reader *reader = NULL;
	int64_t counter = -1;

	assert_ok(ftmpi_reader_open(file, &reader));
	assert_ok(ftmpi_reader_read(reader, "ftmpi/run/save_counter", &counter, sizeof counter));
	ftmpi_reader_close(&reader);
	return counter;
}

/* Every rank starts from other values. A path may be the file, what save was given with the number, or the folder. */
static void test_save_and_restore(void **state)
{
	static const char *const paths[] = {"plain/sub/ckpt-1.weights.h5", "plain/sub/ckpt-1", "plain/sub",
					    "plain/sub/"};
	side s;
	char path[FTMPI_PATH_MAX] = "";
	ftmpi_digest digest;

	(void)state;
	side_create(&s);
	assert_int_equal(ftmpi_checkpoint_save_counter(s.checkpoint), 0);
	sample_fill(&s.s, 7);
	assert_ok(ftmpi_checkpoint_state_digest(s.checkpoint, &digest));
	assert_ok(ftmpi_checkpoint_save(s.checkpoint, "plain/sub/ckpt", path));
	assert_string_equal(path, "plain/sub/ckpt-1.weights.h5");
	assert_int_equal(ftmpi_checkpoint_save_counter(s.checkpoint), 1);
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		side_scramble(&s);
		assert_ok(ftmpi_checkpoint_restore(s.checkpoint, paths[i], NULL));
		assert_holds(&s, 7, 1);
	}
	if (s.chief) {
		ftmpi_reader *reader = NULL;

		assert_int_equal(counter_in("plain/sub/ckpt-1.weights.h5"), 1);
		assert_ok(ftmpi_load_checkpoint("plain/sub", &reader));
		assert_true(ftmpi_digest_equal(ftmpi_reader_state_digest(reader), digest));
		ftmpi_reader_close(&reader);
		assert_true(file_exists("plain/sub/checkpoint"));
	}
	side_destroy(&s);
}

/* N goes up by one with every save, is in the file, and comes back. What was not restored is not overwritten. */
static void test_save_counter(void **state)
{
	side s;
	char path[FTMPI_PATH_MAX] = "";

	(void)state;
	side_create(&s);
	for (int n = 1; n <= 3; n++) {
		sample_fill(&s.s, n);
		assert_ok(ftmpi_checkpoint_save(s.checkpoint, "counted/model", path));
		assert_int_equal(ftmpi_checkpoint_save_counter(s.checkpoint), n);
		if (s.chief)
			assert_int_equal(counter_in(path), n);
	}
	assert_string_equal(path, "counted/model-3.weights.h5");
	assert_ok(ftmpi_checkpoint_read(s.checkpoint, "counted/model-1", NULL));
	assert_holds(&s, 1, 3);
	assert_ok(ftmpi_checkpoint_restore(s.checkpoint, "counted/model-1", NULL));
	assert_holds(&s, 1, 1);
	assert_ok(ftmpi_checkpoint_save(s.checkpoint, "counted/model", path));
	assert_string_equal(path, "counted/model-4.weights.h5");
	assert_holds(&s, 1, 4);
	if (s.chief)
		assert_int_equal(count_names("counted", ".weights.h5"), 4);
	assert_ok(ftmpi_checkpoint_restore(s.checkpoint, "counted", NULL));
	assert_holds(&s, 1, 4);
	side_destroy(&s);
}

/* No counter, no state file; the file is replaced. */
static void test_write_and_read(void **state)
{
	side s;
	char path[FTMPI_PATH_MAX] = "";

	(void)state;
	side_create(&s);
	for (int seed = 3; seed <= 4; seed++) {
		sample_fill(&s.s, seed);
		assert_ok(ftmpi_checkpoint_write(s.checkpoint, "written/a/best", path));
		assert_string_equal(path, "written/a/best.weights.h5");
		assert_int_equal(ftmpi_checkpoint_save_counter(s.checkpoint), 0);
	}
	if (s.chief)
		assert_int_equal(count_names("written/a", ""), 3); /* with "." and ".." */
	side_scramble(&s);
	assert_ok(ftmpi_checkpoint_read(s.checkpoint, "written/a/best", NULL));
	assert_holds(&s, 4, 0);
	assert_fails(ftmpi_checkpoint_write(s.checkpoint, "written/", NULL), FTMPI_ERR_USAGE, "is not a file's name");
	assert_fails(ftmpi_checkpoint_write(s.checkpoint, "written/a/best.weights.h5/x", NULL), FTMPI_ERR_IO,
		     "Not a directory");
	assert_fails(ftmpi_checkpoint_read(s.checkpoint, "written/a/worst", NULL), FTMPI_ERR_NOT_FOUND,
		     "'written/a/worst'");
	assert_fails(ftmpi_checkpoint_restore(s.checkpoint, "nowhere", NULL), FTMPI_ERR_NOT_FOUND, "'nowhere'");
	assert_fails(ftmpi_checkpoint_restore(s.checkpoint, "written", NULL), FTMPI_ERR_NOT_FOUND,
		     "'written' has no checkpoint");
	assert_holds(&s, 4, 0);
	side_destroy(&s);
}

/* The chief alone fails; all know, and nothing counts. */
static void test_failing_save(void **state)
{
	static const char *const faults[] = {"save.begin:error=EIO", "save.write:short", "save.before-rename:error=EIO",
					     "save.state-file:error=EIO"};
	side s;

	(void)state;
	side_create(&s);
	assert_ok(ftmpi_checkpoint_save(s.checkpoint, "failing/ckpt", NULL));
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		char spec[64];

		(void)snprintf(spec, sizeof spec, "%s,rank=0", faults[i]);
		arm(spec);
		assert_fails(ftmpi_checkpoint_save(s.checkpoint, "failing/ckpt", NULL),
			     i == 1 ? FTMPI_ERR_NO_SPACE : FTMPI_ERR_IO, "older checkpoints are untouched");
		arm(NULL);
		assert_int_equal(ftmpi_checkpoint_save_counter(s.checkpoint), 1);
	}
	assert_fails(ftmpi_checkpoint_save(s.checkpoint, "failing/bad name", NULL), FTMPI_ERR_USAGE,
		     "bad checkpoint name 'bad name'");
	assert_int_equal(ftmpi_checkpoint_save_counter(s.checkpoint), 1);
	assert_ok(ftmpi_checkpoint_save(s.checkpoint, "failing/ckpt", NULL));
	side_destroy(&s);
}

/* One bit of one array is wrong on one rank: every rank learns which, and none trains from it. */
static void test_corrupt_on_one_rank(void **state)
{
	side s;
	char spec[64], expected[128];

	(void)state;
	side_create(&s);
	sample_fill(&s.s, 5);
	assert_ok(ftmpi_checkpoint_save(s.checkpoint, "corrupt/ckpt", NULL));
	for (int rank = 0; rank < ftmpi_comm_size(world); rank++) {
		for (int hit = 1; hit <= 3; hit++) {
			const char *path = ftmpi_registry_entry(ftmpi_checkpoint_registry(s.checkpoint), hit - 1)->path;

			(void)snprintf(spec, sizeof spec, "restore.received:corrupt,rank=%d,hit=%d", rank, hit);
			(void)snprintf(expected, sizeof expected, "rank %d received '%s' with other bits", rank, path);
			arm(spec);
			assert_fails(ftmpi_checkpoint_restore(s.checkpoint, "corrupt", NULL), FTMPI_ERR_DATA, expected);
		}
	}
	arm(NULL);
	assert_ok(ftmpi_checkpoint_restore(s.checkpoint, "corrupt", NULL));
	assert_holds(&s, 5, 1);
	side_destroy(&s);
}

/* The last rank has registered something else: found before anything is sent. */
static void test_other_registry(void **state)
{
	const int rank = ftmpi_comm_rank(world), size = ftmpi_comm_size(world);
	side s;
	double extra = 1.5;
	char expected[64];

	(void)state;
	if (size == 1)
		return;
	side_create(&s);
	assert_ok(ftmpi_checkpoint_save(s.checkpoint, "registries/ckpt", NULL));
	if (rank == size - 1)
		assert_ok(ftmpi_checkpoint_track_scalar(s.checkpoint, "extra", FTMPI_F64, &extra));
	(void)snprintf(expected, sizeof expected, "list of checkpoint entries: rank %d", size - 1);
	side_scramble(&s);
	assert_fails(ftmpi_checkpoint_restore(s.checkpoint, "registries", NULL), FTMPI_ERR_DATA, expected);
	assert_scrambled(&s);
	side_destroy(&s);
}

/* A checkpoint without entries of the program's, and one whose arrays take several pieces of a broadcast's usual size. */
static void test_empty_and_large(void **state)
{
	enum { N = 3 << 20 };
	const int64_t n = N;
	const bool chief = ftmpi_comm_is_chief(world);
	ftmpi_checkpoint *c = NULL, *none = NULL;
	float *x = NULL;

	(void)state;
	assert_ok(FTMPI_ALLOC(N, &x));
	for (int i = 0; chief && i < N; i++)
		x[i] = (float)i;
	assert_ok(ftmpi_checkpoint_create(world, &none));
	assert_ok(ftmpi_checkpoint_create(world, &c));
	assert_ok(ftmpi_checkpoint_track(c, "x", FTMPI_F32, 1, &n, x, true));
	assert_ok(ftmpi_checkpoint_write(c, "large", NULL));
	if (chief)
		memset(x, 0, N * sizeof *x);
	assert_ok(ftmpi_checkpoint_read(c, "large", NULL));
	for (int i = 0; i < N; i++)
		if (x[i] != (float)i)
			fail_msg("element %d is %g", i, (double)x[i]);
	assert_ok(ftmpi_checkpoint_restore(none, "large", NULL));
	assert_ok(ftmpi_checkpoint_write(none, "none", NULL));
	assert_ok(ftmpi_checkpoint_restore(none, "none", NULL));
	ftmpi_checkpoint_destroy(&c);
	ftmpi_checkpoint_destroy(&none);
	ftmpi_free(x);
}

/* A bad file is passed over in a folder, and refused by its own name; nothing is renamed. */
static void test_bad_files(void **state)
{
	side s;
	char path[FTMPI_PATH_MAX];
	int saved;

	(void)state;
	side_create(&s);
	for (int n = 1; n <= 2; n++) {
		sample_fill(&s.s, n);
		assert_ok(ftmpi_checkpoint_save(s.checkpoint, "bad/ckpt", path));
	}
	if (s.chief)
		assert_int_equal(truncate(path, 3000), 0);
	saved = listen_begin();
	assert_ok(ftmpi_checkpoint_restore(s.checkpoint, "bad", NULL));
	listen_end(saved, 1, "passing over a bad checkpoint");
	assert_holds(&s, 1, 1);
	side_scramble(&s);
	assert_fails(ftmpi_checkpoint_restore(s.checkpoint, "bad/ckpt-2", NULL), FTMPI_ERR_DATA, "bad/ckpt-2");
	assert_scrambled(&s);
	if (s.chief)
		assert_int_equal(count_names("bad", ".bad"), 0);
	side_destroy(&s);
}

/* A counter that no program wrote. */
static void test_negative_counter(void **state)
{
	side s;

	(void)state;
	side_create(&s);
	if (s.chief) {
		int64_t counter = -3;
		ftmpi_registry *r = sample_register(&s.s);

		assert_ok(ftmpi_registry_add_scalar(r, "ftmpi/run/save_counter", FTMPI_I64, &counter, FTMPI_RECORD));
		assert_ok(ftmpi_registry_write(r, "negative.weights.h5"));
		ftmpi_registry_destroy(&r);
	}
	side_scramble(&s);
	assert_fails(ftmpi_checkpoint_restore(s.checkpoint, "negative", NULL), FTMPI_ERR_DATA, "save_counter' is -3");
	assert_scrambled(&s);
	side_destroy(&s);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_save_and_restore),    cmocka_unit_test(test_save_counter),
	cmocka_unit_test(test_write_and_read),      cmocka_unit_test(test_failing_save),
	cmocka_unit_test(test_corrupt_on_one_rank), cmocka_unit_test(test_other_registry),
	cmocka_unit_test(test_empty_and_large),     cmocka_unit_test(test_bad_files),
	cmocka_unit_test(test_negative_counter),
};

FTMPI_TEST_MAIN(tests)
