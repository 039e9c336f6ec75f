/* SPDX-License-Identifier: Apache-2.0 */
/* What is tracked, and what a restore does when file and program are not the same: all or nothing, or what they have in common. */
#include "mpi/checkpoint_test.h"

/* A program with arrays of its own: one of each type. */
struct own {
	ftmpi_checkpoint *checkpoint;
	float f32[2][3];
	double f64[4];
	int32_t i32[5];
	int64_t i64[1];
	uint8_t u8[3];
	uint64_t u64[2];
	char text[4];
	double scalar;
	float none[1];
	int32_t deep[2][1][1][1][1][1][1][2];
};

static void own_fill(struct own *o, int seed)
{
	unsigned char *bytes[] = {(unsigned char *)o->f32,
				  (unsigned char *)o->f64,
				  (unsigned char *)o->i32,
				  (unsigned char *)o->i64,
				  o->u8,
				  (unsigned char *)o->u64,
				  (unsigned char *)o->text,
				  (unsigned char *)&o->scalar,
				  (unsigned char *)o->deep};
	const size_t n_bytes[] = {sizeof o->f32, sizeof o->f64,  sizeof o->i32,    sizeof o->i64, sizeof o->u8,
				  sizeof o->u64, sizeof o->text, sizeof o->scalar, sizeof o->deep};

	/* Every bit pattern: a NaN is an array's content like any other. */
	for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++)
		for (size_t k = 0; k < n_bytes[i]; k++)
			bytes[i][k] = (unsigned char)(seed * 37 + (int)i * 101 + (int)k * 13);
}

static void own_create(struct own *o)
{
	const int64_t two_three[] = {2, 3}, two = 2, three = 3, four = 4, five = 5, zero_seven[] = {0, 7},
		      deep[] = {2, 1, 1, 1, 1, 1, 1, 2};
	ftmpi_checkpoint *c = NULL;

	memset(o, 0, sizeof *o);
	assert_ok(ftmpi_checkpoint_create(world, &c));
	assert_ok(ftmpi_checkpoint_track(c, "f32", FTMPI_F32, 2, two_three, o->f32, true));
	assert_ok(ftmpi_checkpoint_track(c, "f64", FTMPI_F64, 1, &four, o->f64, true));
	assert_ok(ftmpi_checkpoint_track(c, "ints/i32", FTMPI_I32, 1, &five, o->i32, true));
	assert_ok(ftmpi_checkpoint_track(c, "ints/i64", FTMPI_I64, 0, NULL, o->i64, true));
	assert_ok(ftmpi_checkpoint_track(c, "ints/small/u8", FTMPI_U8, 1, &three, o->u8, true));
	assert_ok(ftmpi_checkpoint_track(c, "ints/u64", FTMPI_U64, 1, &two, o->u64, true));
	assert_ok(ftmpi_checkpoint_track(c, "text", FTMPI_TEXT, 1, &four, o->text, true));
	assert_ok(ftmpi_checkpoint_track_scalar(c, "scalar", FTMPI_F64, &o->scalar));
	assert_ok(ftmpi_checkpoint_track(c, "none", FTMPI_F32, 2, zero_seven, NULL, true));
	assert_ok(ftmpi_checkpoint_track(c, "deep", FTMPI_I32, 8, deep, o->deep, true));
	o->checkpoint = c;
}

static void assert_own(const struct own *o, int seed)
{
	struct own expected;

	memset(&expected, 0, sizeof expected);
	own_fill(&expected, seed);
	expected.checkpoint = o->checkpoint;
	assert_memory_equal(&expected, o, sizeof expected);
}

static void test_every_dtype(void **state)
{
	static const struct {
		const char *path, *dtype;
		int n_dims;
	} variables[] = {{"ftmpi/run/save_counter", "int64", 0},
			 {"ftmpi/user/deep", "int32", 8},
			 {"ftmpi/user/f32", "float32", 2},
			 {"ftmpi/user/f64", "float64", 1},
			 {"ftmpi/user/ints/i32", "int32", 1},
			 {"ftmpi/user/ints/i64", "int64", 0},
			 {"ftmpi/user/ints/small/u8", "uint8", 1},
			 {"ftmpi/user/ints/u64", "uint64", 1},
			 {"ftmpi/user/none", "float32", 2},
			 {"ftmpi/user/scalar", "float64", 0},
			 {"ftmpi/user/text", "text", 1}};
	struct own o;
	ftmpi_reader *reader = NULL;

	(void)state;
	own_create(&o);
	own_fill(&o, 1);
	assert_ok(ftmpi_checkpoint_write(o.checkpoint, "own", NULL));
	own_fill(&o, 2 + ftmpi_comm_rank(world));
	assert_ok(ftmpi_checkpoint_read(o.checkpoint, "own", NULL));
	assert_own(&o, 1);
	if (ftmpi_comm_is_chief(world)) {
		assert_ok(ftmpi_reader_open("own.weights.h5", &reader));
		assert_int_equal(ftmpi_reader_n_variables(reader), sizeof variables / sizeof variables[0]);
		for (int i = 0; i < ftmpi_reader_n_variables(reader); i++) {
			assert_string_equal(ftmpi_reader_variable(reader, i)->path, variables[i].path);
			assert_string_equal(ftmpi_dtype_name(ftmpi_reader_variable(reader, i)->dtype),
					    variables[i].dtype);
			assert_int_equal(ftmpi_reader_variable(reader, i)->n_dims, variables[i].n_dims);
		}
		ftmpi_reader_close(&reader);
	}
	ftmpi_checkpoint_destroy(&o.checkpoint);
}

/* What cannot be tracked is refused on all ranks alike. */
static void test_track_errors(void **state)
{
	static const char *const names[] = {"", "/x", "a//b", "a/../b", "x/", "dup", "dup/below", "tab\t"};
	ftmpi_checkpoint *c = NULL;
	char *longest = calloc(1, 2000);
	double x = 0;

	(void)state;
	assert_non_null(longest);
	memset(longest, 'n', 1999);
	assert_ok(ftmpi_checkpoint_create(world, &c));
	assert_ok(ftmpi_checkpoint_track_scalar(c, "dup", FTMPI_F64, &x));
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_fails(ftmpi_checkpoint_track_scalar(c, names[i], FTMPI_F64, &x), FTMPI_ERR_USAGE, "ftmpi/user/");
	assert_fails(ftmpi_checkpoint_track_scalar(c, NULL, FTMPI_F64, &x), FTMPI_ERR_USAGE, "ftmpi/user/");
	assert_fails(ftmpi_checkpoint_track_scalar(c, longest, FTMPI_F64, &x), FTMPI_ERR_USAGE, "is longer than 1023");
	assert_fails(ftmpi_checkpoint_track_scalar(c, "null", FTMPI_F64, NULL), FTMPI_ERR_USAGE, "has no array");
	assert_fails(ftmpi_checkpoint_track(c, "nine", FTMPI_F64, 9, NULL, &x, true), FTMPI_ERR_USAGE, "9 dimensions");
	assert_int_equal(ftmpi_registry_n_entries(ftmpi_checkpoint_registry(c)), 2);
	ftmpi_checkpoint_destroy(&c);
	free(longest);
}

/* The chief's own: saved from it, restored to it, and nobody else's is touched. */
static void test_chief_only(void **state)
{
	const int rank = ftmpi_comm_rank(world);
	const int64_t four = 4;
	const bool chief = ftmpi_comm_is_chief(world);
	double shared[4] = {rank, 1, 2, 3}, own[4] = {10 + rank, 11, 12, 13}, large[4] = {5, 6, 7, 8};
	ftmpi_checkpoint *c = NULL;
	ftmpi_digest digest, chiefs;

	(void)state;
	assert_ok(ftmpi_checkpoint_create(world, &c));
	assert_ok(ftmpi_checkpoint_track(c, "shared", FTMPI_F64, 1, &four, shared, true));
	assert_ok(ftmpi_checkpoint_track(c, "own", FTMPI_F64, 1, &four, own, false));
	assert_ok(ftmpi_checkpoint_track(c, "large", FTMPI_F64, 1, &four, chief ? large : NULL, false));
	if (chief)
		assert_fails(ftmpi_checkpoint_track(c, "absent", FTMPI_F64, 1, &four, NULL, false), FTMPI_ERR_USAGE,
			     "has no array");
	assert_ok(ftmpi_checkpoint_save(c, "owned/ckpt", NULL));
	assert_ok(ftmpi_checkpoint_state_digest(c, &digest));
	chiefs = digest;
	assert_ok(ftmpi_broadcast(world, &chiefs, (int64_t)sizeof chiefs, FTMPI_CHIEF));
	assert_true(ftmpi_digest_equal(digest, chiefs));
	for (int i = 0; i < 4; i++) {
		shared[i] = own[i] = 100 + rank;
		large[i] = -1;
	}
	assert_ok(ftmpi_checkpoint_restore(c, "owned", NULL));
	assert_true(shared[0] == 0 && shared[3] == 3);
	assert_true(own[0] == (chief ? 10 : 100 + rank) && own[3] == (chief ? 13 : 100 + rank));
	assert_true(large[0] == (chief ? 5 : -1));
	/* What the chief itself got wrong is found. */
	arm("restore.received:corrupt,rank=0,hit=3");
	assert_fails(ftmpi_checkpoint_restore(c, "owned", NULL), FTMPI_ERR_DATA, "rank 0 received 'ftmpi/user/own'");
	arm(NULL);
	ftmpi_checkpoint_destroy(&c);
}

/* A trackable that holds a part on every rank, and counts its calls. */
struct part {
	double values[8];
	const char *name;
	char *calls;                 /* "a" for before_save, "1" for after_copy, "A" for after_restore … */
	int fails_on, copy_fails_on; /* rank; −1: none */
};

static ftmpi_status call(struct part *p, char what)
{
	ftmpi_status status = FTMPI_OK;
	const size_t n = strlen(p->calls);

	p->calls[n] = what;
	p->calls[n + 1] = '\0';
	if (p->fails_on == ftmpi_comm_rank(world))
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s does not like it", p->name);
done:
	return status;
}

static ftmpi_status part_before_save(void *context)
{
	ftmpi_status status = FTMPI_OK;
	struct part *p = context;

	for (int i = 0; i < 8; i++)
		FTMPI_TRY(ftmpi_broadcast(world, &p->values[i], (int64_t)sizeof p->values[i],
					  i % ftmpi_comm_size(world)));
	FTMPI_TRY(call(p, p->name[0]));
done:
	return status;
}

static ftmpi_status part_after_restore(void *context)
{
	struct part *p = context;

	return call(p, (char)(p->name[0] - 'a' + 'A'));
}

static ftmpi_status part_after_copy(void *context)
{
	ftmpi_status status = FTMPI_OK;
	struct part *p = context;

	FTMPI_TRY(call(p, (char)(p->name[0] - 'a' + '1')));
	if (p->copy_fails_on == ftmpi_comm_rank(world))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%s cannot answer for it", p->name);
done:
	return status;
}

static void part_set(struct part *p)
{
	for (int i = 0; i < 8; i++)
		p->values[i] = i % ftmpi_comm_size(world) == ftmpi_comm_rank(world) ? 1000 + i : -1;
}

static void test_trackables(void **state)
{
	const int last = ftmpi_comm_size(world) - 1;
	const int64_t eight = 8;
	char calls[64] = "";
	struct part a = {.name = "a", .calls = calls, .fails_on = -1, .copy_fails_on = -1},
		    b = {.name = "b", .calls = calls, .fails_on = -1, .copy_fails_on = -1};
	const ftmpi_trackable parts[] = {{&a, part_before_save, part_after_restore, part_after_copy},
					 {NULL, NULL, NULL, NULL},
					 {&b, part_before_save, part_after_restore, part_after_copy}};
	ftmpi_checkpoint *c = NULL;
	ftmpi_digest before, after;

	(void)state;
	assert_ok(ftmpi_checkpoint_create(world, &c));
	assert_ok(ftmpi_checkpoint_track(c, "a", FTMPI_F64, 1, &eight, a.values, true));
	assert_ok(ftmpi_checkpoint_track(c, "b", FTMPI_F64, 1, &eight, b.values, true));
	for (int i = 0; i < 3; i++)
		assert_ok(ftmpi_checkpoint_add(c, &parts[i]));
	part_set(&a);
	part_set(&b);
	assert_ok(ftmpi_checkpoint_save(c, "parts/ckpt", NULL));
	assert_string_equal(calls, "ab12");
	memset(a.values, 0, sizeof a.values);
	assert_ok(ftmpi_checkpoint_restore(c, "parts", NULL));
	assert_string_equal(calls, "ab12AB");
	for (int i = 0; i < 8; i++)
		assert_true(a.values[i] == 1000 + i && b.values[i] == 1000 + i);
	assert_ok(ftmpi_checkpoint_state_digest(c, &before));
	part_set(&a);
	assert_ok(ftmpi_checkpoint_state_digest(c, &after));
	assert_true(ftmpi_digest_equal(before, after));
	assert_ok(ftmpi_checkpoint_write(c, "parts_written", NULL));
	assert_string_equal(calls, "ab12ABab12ab12ab12");
	/* One rank alone fails: all know, nothing was saved, nobody went on. */
	calls[0] = '\0';
	a.fails_on = last;
	assert_fails(ftmpi_checkpoint_save(c, "parts/ckpt", NULL), FTMPI_ERR_DATA, "a does not like it");
	assert_int_equal(ftmpi_checkpoint_save_counter(c), 1);
	assert_fails(ftmpi_checkpoint_restore(c, "parts", NULL), FTMPI_ERR_DATA, "a does not like it");
	assert_string_equal(calls, "aA");
	/* The same after the copying, whether or not the chief could copy: status and message are one rank's. */
	calls[0] = '\0';
	a.fails_on = -1;
	a.copy_fails_on = last;
	for (int i = 0; i < 2; i++) {
		assert_ok(ftmpi_failpoints_arm(i == 0 ? "" : "save.stage:error=EIO", ftmpi_comm_rank(world)));
		assert_fails(ftmpi_checkpoint_save(c, "parts/ckpt", NULL), FTMPI_ERR_USAGE, "a cannot answer for it");
		assert_int_equal(ftmpi_checkpoint_save_counter(c), 1);
	}
	a.copy_fails_on = -1;
	assert_ok(ftmpi_failpoints_arm("save.stage:error=EIO", ftmpi_comm_rank(world)));
	assert_fails(ftmpi_checkpoint_save(c, "parts/ckpt", NULL), FTMPI_ERR_IO, "cannot copy the arrays");
	assert_ok(ftmpi_failpoints_arm("", ftmpi_comm_rank(world)));
	assert_string_equal(calls, "ab1ab1ab12");
	if (ftmpi_comm_is_chief(world))
		assert_int_equal(count_names("parts", ".weights.h5"), 1);
	ftmpi_checkpoint_destroy(&c);
}

/* File: a, b, c0 … c11. Program: what is asked for. */
static ftmpi_checkpoint *make_program(bool with_b, int n_c, int n_d, double *values)
{
	ftmpi_checkpoint *c = NULL;
	char name[16];
	int at = 0;

	assert_ok(ftmpi_checkpoint_create(world, &c));
	assert_ok(ftmpi_checkpoint_track_scalar(c, "a", FTMPI_F64, &values[at++]));
	if (with_b)
		assert_ok(ftmpi_checkpoint_track_scalar(c, "b", FTMPI_F64, &values[at++]));
	for (int i = 0; i < n_c + n_d; i++) {
		(void)snprintf(name, sizeof name, "%c%d", i < n_c ? 'c' : 'd', i < n_c ? i : i - n_c);
		assert_ok(ftmpi_checkpoint_track_scalar(c, name, FTMPI_F64, &values[at++]));
	}
	return c;
}

enum { MANY = 12, N_VALUES = 64 };

static void write_many(const char *prefix)
{
	double values[N_VALUES];
	ftmpi_checkpoint *c;

	for (int i = 0; i < N_VALUES; i++)
		values[i] = 500 + i;
	c = make_program(true, MANY, 0, values);
	assert_ok(ftmpi_checkpoint_write(c, prefix, NULL));
	ftmpi_checkpoint_destroy(&c);
}

/* Every rank has the status, names the same paths, at most ten of each kind. */
static void test_partial(void **state)
{
	double values[N_VALUES] = {0};
	ftmpi_checkpoint *c;
	ftmpi_restore_status *restored = NULL;
	int saved;

	(void)state;
	write_many("many");
	c = make_program(false, 0, MANY, values);
	assert_ok(ftmpi_checkpoint_restore(c, "many", &restored));
	assert_true(values[0] == 500 && values[1] == 0 && values[MANY] == 0);
	assert_fails(
		ftmpi_restore_assert_existing_objects_matched(restored), FTMPI_ERR_DATA,
		"checkpoint 'many.weights.h5' does not fit this program; in the program and not in the file (12): "
		"'ftmpi/user/d0', 'ftmpi/user/d1', 'ftmpi/user/d2', 'ftmpi/user/d3', 'ftmpi/user/d4', 'ftmpi/user/d5', "
		"'ftmpi/user/d6', 'ftmpi/user/d7', 'ftmpi/user/d8', 'ftmpi/user/d9' and 2 more");
	assert_null(strstr(ftmpi_error_message(), "ftmpi/user/c0"));
	assert_fails(
		ftmpi_restore_assert_consumed(restored), FTMPI_ERR_DATA,
		"'ftmpi/user/d9' and 2 more; in the file and not in the program (13): 'ftmpi/user/b', 'ftmpi/user/c0', "
		"'ftmpi/user/c1', 'ftmpi/user/c10', 'ftmpi/user/c11', 'ftmpi/user/c2', 'ftmpi/user/c3', "
		"'ftmpi/user/c4', 'ftmpi/user/c5', 'ftmpi/user/c6' and 3 more");
	assert_null(strstr(ftmpi_error_message(), "save_counter"));
	saved = listen_begin();
	ftmpi_restore_status_destroy(&restored);
	listen_end(saved, 0, "");
	assert_null(restored);
	/* Nothing asked, nothing expected: one warning. */
	assert_ok(ftmpi_checkpoint_read(c, "many", &restored));
	saved = listen_begin();
	ftmpi_restore_status_destroy(&restored);
	listen_end(saved, 1, "warning: checkpoint 'many.weights.h5' was restored in part; in the program and not");
	assert_ok(ftmpi_checkpoint_read(c, "many", &restored));
	saved = listen_begin();
	ftmpi_restore_expect_partial(restored);
	ftmpi_restore_status_destroy(&restored);
	listen_end(saved, 0, "");
	ftmpi_restore_status_destroy(&restored);
	ftmpi_checkpoint_destroy(&c);
}

static void test_matched(void **state)
{
	double values[N_VALUES] = {0};
	ftmpi_checkpoint *c;
	ftmpi_restore_status *restored = NULL;
	int saved;

	(void)state;
	write_many("matched");
	/* The file has more. */
	c = make_program(true, 2, 0, values);
	assert_ok(ftmpi_checkpoint_restore(c, "matched", &restored));
	assert_true(values[0] == 500 && values[3] == 503);
	assert_ok(ftmpi_restore_assert_existing_objects_matched(restored));
	assert_fails(ftmpi_restore_assert_consumed(restored), FTMPI_ERR_DATA,
		     "does not fit this program; in the file and not in the program (10): 'ftmpi/user/c10', ");
	ftmpi_restore_status_destroy(&restored);
	assert_ok(ftmpi_checkpoint_restore(c, "matched", NULL));
	ftmpi_checkpoint_destroy(&c);
	/* Both have the same: no warning. */
	c = make_program(true, MANY, 0, values);
	assert_ok(ftmpi_checkpoint_restore(c, "matched", &restored));
	saved = listen_begin();
	ftmpi_restore_status_destroy(&restored);
	listen_end(saved, 0, "");
	assert_ok(ftmpi_checkpoint_restore(c, "matched", &restored));
	assert_ok(ftmpi_restore_assert_consumed(restored));
	ftmpi_restore_status_destroy(&restored);
	ftmpi_checkpoint_destroy(&c);
}

/* Everything is wanted and something is missing, on whichever side: named, and nobody's arrays change. */
static void test_strict(void **state)
{
	double values[N_VALUES] = {0};
	ftmpi_checkpoint *c;

	(void)state;
	write_many("strict");
	c = make_program(true, MANY, MANY, values);
	for (int i = 0; i < N_VALUES; i++)
		values[i] = -1;
	assert_fails(ftmpi_checkpoint_restore(c, "strict", NULL), FTMPI_ERR_DATA,
		     "12 of 27 entries differ; 'ftmpi/user/d0' is not in the file; ");
	assert_non_null(strstr(ftmpi_error_message(), "'ftmpi/user/d9' is not in the file; and 2 more"));
	for (int i = 0; i < N_VALUES; i++)
		assert_true(values[i] == -1);
	ftmpi_checkpoint_destroy(&c);
}

/* Another type or shape is an error in any case. */
static void test_other_shapes(void **state)
{
	const int64_t two = 2;
	side s;
	float b[2] = {1, 2};
	double values[N_VALUES] = {0}, a[2] = {3, 4};
	ftmpi_restore_status *restored = NULL;
	ftmpi_checkpoint *c = NULL;

	(void)state;
	side_create(&s);
	write_many("shapes");
	assert_ok(ftmpi_checkpoint_create(world, &c));
	assert_ok(ftmpi_checkpoint_track_scalar(c, "c0", FTMPI_F64, &values[0]));
	assert_ok(ftmpi_checkpoint_track(c, "a", FTMPI_F64, 1, &two, a, true));
	assert_ok(ftmpi_checkpoint_track_scalar(c, "b", FTMPI_F32, &b[0]));
	assert_ok(ftmpi_checkpoint_track_scalar(c, "missing", FTMPI_F32, &b[1]));
	assert_fails(
		ftmpi_checkpoint_restore(c, "shapes", &restored), FTMPI_ERR_DATA,
		"2 of 5 entries differ; 'ftmpi/user/a' is float64 in the file and float64[2] here; 'ftmpi/user/b' is "
		"float64 in the file and float32 here");
	assert_null(strstr(ftmpi_error_message(), "missing"));
	assert_null(restored);
	assert_fails(ftmpi_checkpoint_restore(c, "shapes", NULL), FTMPI_ERR_DATA,
		     "3 of 5 entries differ; 'ftmpi/user/a' is");
	assert_true(values[0] == 0 && a[0] == 3 && a[1] == 4 && b[0] == 1 && b[1] == 2);
	ftmpi_checkpoint_destroy(&c);
	side_destroy(&s);
}

/* What tells about the run need not be there, on either side; growable ones keep what they have. */
static void test_about_the_run(void **state)
{
	side s;
	double wall_s = 5, late = 7;
	ftmpi_buffer log = {0};
	ftmpi_registry *r;
	ftmpi_restore_status *restored = NULL;

	(void)state;
	side_create(&s);
	sample_fill(&s.s, 6);
	if (s.chief) {
		r = sample_register(&s.s);
		assert_ok(ftmpi_registry_add_scalar(r, "ftmpi/run/wall_time_s", FTMPI_F64, &wall_s, FTMPI_RECORD));
		assert_ok(ftmpi_registry_write(r, "run.weights.h5"));
		ftmpi_registry_destroy(&r);
	}
	r = ftmpi_checkpoint_registry(s.checkpoint);
	assert_ok(ftmpi_buffer_printf(&log, "rank %d", ftmpi_comm_rank(world)));
	assert_ok(ftmpi_registry_add_scalar(r, "ftmpi/run/late_s", FTMPI_F64, &late, FTMPI_RECORD));
	assert_ok(ftmpi_registry_add_buffer(r, "ftmpi/run/log", FTMPI_TEXT, &log, FTMPI_RECORD));
	side_scramble(&s);
	assert_ok(ftmpi_checkpoint_restore(s.checkpoint, "run", &restored));
	assert_ok(ftmpi_restore_assert_consumed(restored));
	ftmpi_restore_status_destroy(&restored);
	side_scramble(&s);
	assert_ok(ftmpi_checkpoint_restore(s.checkpoint, "run", NULL));
	assert_holds(&s, 6, 0);
	assert_true(late == 7 && log.n_bytes == 6 && log.data[5] == (char)('0' + ftmpi_comm_rank(world)));
	ftmpi_buffer_clear(&log);
	side_destroy(&s);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_every_dtype), cmocka_unit_test(test_track_errors), cmocka_unit_test(test_chief_only),
	cmocka_unit_test(test_trackables),  cmocka_unit_test(test_partial),      cmocka_unit_test(test_matched),
	cmocka_unit_test(test_strict),      cmocka_unit_test(test_other_shapes), cmocka_unit_test(test_about_the_run),
};

FTMPI_TEST_MAIN(tests)
