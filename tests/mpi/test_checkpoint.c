/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and restoring over all ranks. The chief alone has a store; every rank ends with the same status and, when it is good, the same bits. */
#include "mpi/mpi_test.h"

#include "store_test.h"

#include <ftmpi/checkpoint.h>
#include <ftmpi/failpoint.h>

/* A rank's arrays; on the chief the store and the newest checkpoint too. */
struct side {
	store_fixture f;
	ftmpi_reader *reader;
	bool chief;
};

static void side_create(struct side *s, const char *directory)
{
	*s = (struct side){.chief = ftmpi_comm_is_chief(world)};
	if (s->chief) {
		fixture_create(&s->f, directory);
	} else {
		sample_fill(&s->f.s, 0);
		s->f.registry = sample_register(&s->f.s);
	}
}

static void side_open_latest(struct side *s)
{
	ftmpi_reader_close(&s->reader);
	if (s->chief)
		assert_ok(ftmpi_store_open_latest(s->f.store, &s->reader));
}

static void side_destroy(struct side *s)
{
	ftmpi_reader_close(&s->reader);
	fixture_destroy(&s->f);
}

/* Save the sample of this seed over all ranks. */
static ftmpi_status side_save(struct side *s, int seed, char *file)
{
	sample_fill(&s->f.s, seed);
	return ftmpi_checkpoint_save(world, s->f.store, s->f.registry, seed, file);
}

static void assert_holds(const sample *s, int seed)
{
	sample expected = {0};

	sample_fill(&expected, seed);
	assert_sample_equal(&expected, s);
	sample_clear(&expected);
}

/* Every rank starts from other values and other lengths of the growable arrays. */
static void test_save_and_restore(void **state)
{
	struct side s;
	char file[FTMPI_PATH_MAX] = "";

	(void)state;
	side_create(&s, "plain");
	assert_ok(side_save(&s, 7, file));
	assert_string_equal(file, s.chief ? "plain/ckpt-7.weights.h5" : "");
	side_open_latest(&s);
	sample_fill(&s.f.s, 20 + ftmpi_comm_rank(world));
	assert_ok(ftmpi_checkpoint_restore(world, s.reader, s.f.registry));
	assert_holds(&s.f.s, 7);
	side_destroy(&s);
}

/* The chief alone fails; all know. */
static void test_failing_save(void **state)
{
	struct side s;

	(void)state;
	side_create(&s, "failing");
	assert_ok(side_save(&s, 1, NULL));
	assert_ok(ftmpi_failpoints_arm("save.write:short,rank=0", ftmpi_comm_rank(world)));
	assert_fails(side_save(&s, 2, NULL), FTMPI_ERR_NO_SPACE,
		     "No space left on device; older checkpoints are untouched");
	assert_ok(ftmpi_failpoints_arm(NULL, 0));
	assert_ok(side_save(&s, 3, NULL));
	if (s.chief)
		assert_items(s.f.store, "1 3");
	side_destroy(&s);
}

/* One bit of one array is wrong on one rank: every rank learns which, and none trains from it. */
static void test_corrupt_on_one_rank(void **state)
{
	struct side s;
	char spec[64], expected[128];

	(void)state;
	side_create(&s, "corrupt");
	assert_ok(side_save(&s, 5, NULL));
	side_open_latest(&s);
	for (int rank = 0; rank < ftmpi_comm_size(world); rank++) {
		for (int hit = 1; hit <= 3; hit++) {
			const char *path = ftmpi_registry_entry(s.f.registry, hit - 1)->path;

			(void)snprintf(spec, sizeof spec, "restore.received:corrupt,rank=%d,hit=%d", rank, hit);
			(void)snprintf(expected, sizeof expected, "rank %d received '%s' with other bits", rank, path);
			assert_ok(ftmpi_failpoints_arm(spec, ftmpi_comm_rank(world)));
			assert_fails(ftmpi_checkpoint_restore(world, s.reader, s.f.registry), FTMPI_ERR_DATA, expected);
		}
	}
	assert_ok(ftmpi_failpoints_arm(NULL, 0));
	assert_ok(ftmpi_checkpoint_restore(world, s.reader, s.f.registry));
	assert_holds(&s.f.s, 5);
	side_destroy(&s);
}

/* The program has an entry that the file lacks: the chief finds out, nobody's arrays change. */
static void test_mismatch(void **state)
{
	struct side s;
	double extra = 1.5;

	(void)state;
	side_create(&s, "mismatch");
	assert_ok(side_save(&s, 5, NULL));
	side_open_latest(&s);
	sample_fill(&s.f.s, 9);
	assert_ok(ftmpi_registry_add_scalar(s.f.registry, "extra", FTMPI_F64, &extra, FTMPI_STATE));
	assert_fails(ftmpi_checkpoint_restore(world, s.reader, s.f.registry), FTMPI_ERR_DATA,
		     "1 of 14 entries differ; 'extra' is not in the file");
	assert_holds(&s.f.s, 9);
	assert_true(extra == 1.5);
	side_destroy(&s);
}

/* The last rank has registered something else: found before anything is sent. */
static void test_other_registry(void **state)
{
	const int rank = ftmpi_comm_rank(world), size = ftmpi_comm_size(world);
	struct side s;
	double extra = 1.5;
	char expected[64];

	(void)state;
	if (size == 1)
		return;
	side_create(&s, "registries");
	assert_ok(side_save(&s, 5, NULL));
	side_open_latest(&s);
	if (rank == size - 1)
		assert_ok(ftmpi_registry_add_scalar(s.f.registry, "extra", FTMPI_F64, &extra, FTMPI_STATE));
	(void)snprintf(expected, sizeof expected, "list of checkpoint entries: rank %d", size - 1);
	assert_fails(ftmpi_checkpoint_restore(world, s.reader, s.f.registry), FTMPI_ERR_DATA, expected);
	side_destroy(&s);
}

/* A registry without entries, and one whose arrays take several pieces of a broadcast's usual size. */
static void test_empty_and_large(void **state)
{
	enum { N = 3 << 20 };
	const int64_t n = N;
	struct side s;
	ftmpi_registry *r = NULL, *none = NULL;
	float *x = NULL;

	(void)state;
	side_create(&s, "large");
	assert_ok(FTMPI_ALLOC(N, &x));
	for (int i = 0; s.chief && i < N; i++)
		x[i] = (float)i;
	assert_ok(ftmpi_registry_create(&none));
	assert_ok(ftmpi_registry_create(&r));
	assert_ok(ftmpi_registry_add(r, "x", FTMPI_F32, 1, &n, x, FTMPI_STATE));
	assert_ok(ftmpi_checkpoint_save(world, s.f.store, r, 1, NULL));
	side_open_latest(&s);
	if (s.chief)
		memset(x, 0, N * sizeof *x);
	assert_ok(ftmpi_checkpoint_restore(world, s.reader, r));
	for (int i = 0; i < N; i++)
		if (x[i] != (float)i)
			fail_msg("element %d is %g", i, (double)x[i]);
	assert_ok(ftmpi_checkpoint_restore(world, s.reader, none));
	ftmpi_registry_destroy(&r);
	ftmpi_registry_destroy(&none);
	ftmpi_free(x);
	side_destroy(&s);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_save_and_restore),    cmocka_unit_test(test_failing_save),
	cmocka_unit_test(test_corrupt_on_one_rank), cmocka_unit_test(test_mismatch),
	cmocka_unit_test(test_other_registry),      cmocka_unit_test(test_empty_and_large),
};

FTMPI_TEST_MAIN(tests)
