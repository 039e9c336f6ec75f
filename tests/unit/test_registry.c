/* SPDX-License-Identifier: Apache-2.0 */
/* The registry: what it takes, what it refuses, and the digests of entries and state. */
#include "unit/unit_test.h"

#include "ckpt_test.h"

static void test_dtypes(void **state)
{
	(void)state;
	assert_string_equal(ftmpi_dtype_name(FTMPI_F32), "float32");
	assert_string_equal(ftmpi_dtype_name(FTMPI_TEXT), "text");
	assert_string_equal(ftmpi_dtype_name((ftmpi_dtype)77), "unknown");
	assert_int_equal(ftmpi_dtype_bytes(FTMPI_F64), 8);
	assert_int_equal(ftmpi_dtype_bytes(FTMPI_U8), 1);
	assert_int_equal(ftmpi_dtype_bytes((ftmpi_dtype)77), 0);
}

static void test_bad_paths(void **state)
{
	static const struct {
		const char *path, *message;
	} cases[] = {
		{"", "is empty"},
		{"/a", "absolute or has an empty part"},
		{"a//b", "absolute or has an empty part"},
		{"a/", "absolute or has an empty part"},
		{"a/./b", "has the part '.'"},
		{"../b", "has the part '..'"},
		{"a\nb", "control character"},
		{"ftmpi/digests", "is reserved"},
		{"ftmpi/digests/paths", "is reserved"},
		{"a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", "more than 32 parts"},
	};
	ftmpi_registry *r = NULL;
	int64_t x = 0;
	char *longest;

	(void)state;
	assert_ok(ftmpi_registry_create(&r));
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_fails(ftmpi_registry_add_scalar(r, cases[i].path, FTMPI_I64, &x, FTMPI_STATE), FTMPI_ERR_USAGE,
			     cases[i].message);
		assert_fails(ftmpi_registry_add_group(r, cases[i].path, NULL), FTMPI_ERR_USAGE, cases[i].message);
	}
	longest = calloc(1, 1100);
	assert_non_null(longest);
	memset(longest, 'x', 1024);
	assert_fails(ftmpi_registry_add_scalar(r, longest, FTMPI_I64, &x, FTMPI_STATE), FTMPI_ERR_USAGE, "longer than");
	longest[1023] = '\0';
	assert_ok(ftmpi_registry_add_scalar(r, longest, FTMPI_I64, &x, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_scalar(r, "ftmpi/digest", FTMPI_I64, &x, FTMPI_STATE));
	assert_int_equal(ftmpi_registry_n_entries(r), 2);
	free(longest);
	ftmpi_registry_destroy(&r);
	assert_null(r);
}

static void test_tree(void **state)
{
	ftmpi_registry *r = NULL;
	int64_t x = 0;
	const char *name;

	(void)state;
	assert_ok(ftmpi_registry_create(&r));
	assert_ok(ftmpi_registry_add_scalar(r, "a/b", FTMPI_I64, &x, FTMPI_STATE));
	assert_fails(ftmpi_registry_add_scalar(r, "a/b", FTMPI_I64, &x, FTMPI_STATE), FTMPI_ERR_USAGE,
		     "'a/b' is registered already");
	assert_fails(ftmpi_registry_add(r, "c", FTMPI_I64, 1, NULL, &x, FTMPI_STATE), FTMPI_ERR_USAGE,
		     "'c': 1 dimensions, but no list of them");
	assert_fails(ftmpi_registry_add_scalar(r, "a", FTMPI_I64, &x, FTMPI_STATE), FTMPI_ERR_USAGE,
		     "is a group already");
	assert_fails(ftmpi_registry_add_scalar(r, "a/b/c", FTMPI_I64, &x, FTMPI_STATE), FTMPI_ERR_USAGE,
		     "'a/b' is an array");
	assert_fails(ftmpi_registry_add_group(r, "a/b", NULL), FTMPI_ERR_USAGE, "is an array already");
	assert_fails(ftmpi_registry_add_group(r, "a/b/c", NULL), FTMPI_ERR_USAGE, "'a/b' is an array");
	assert_ok(ftmpi_registry_add_group(r, "a", "first"));
	assert_ok(ftmpi_registry_add_group(r, "a", "first"));
	assert_ok(ftmpi_registry_add_group(r, "a", NULL));
	assert_fails(ftmpi_registry_add_group(r, "a", "second"), FTMPI_ERR_USAGE, "under another name");
	assert_ok(ftmpi_registry_add_group(r, "g/h", NULL));
	assert_fails(ftmpi_registry_add_scalar(r, "g", FTMPI_I64, &x, FTMPI_STATE), FTMPI_ERR_USAGE,
		     "is a group already");
	assert_fails(ftmpi_registry_add_scalar(r, "g/h", FTMPI_I64, &x, FTMPI_STATE), FTMPI_ERR_USAGE,
		     "is a group already");
	/* Neighbours in the sorted order that are no relatives. */
	assert_ok(ftmpi_registry_add_scalar(r, "a-b", FTMPI_I64, &x, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_scalar(r, "ab", FTMPI_I64, &x, FTMPI_STATE));
	assert_int_equal(ftmpi_registry_n_groups(r), 2);
	assert_string_equal(ftmpi_registry_group(r, 0, &name), "a");
	assert_string_equal(name, "first");
	assert_string_equal(ftmpi_registry_group(r, 1, &name), "g/h");
	assert_null(name);
	ftmpi_registry_destroy(&r);
}

static void test_bad_shapes(void **state)
{
	static const struct {
		ftmpi_dtype dtype;
		int n_dims;
		int64_t dims[2];
		const char *message;
	} cases[] = {
		{FTMPI_F32, -1, {0}, "allowed: 0 to 8"},
		{FTMPI_F32, 9, {0}, "allowed: 0 to 8"},
		{FTMPI_F32, 2, {3, -1}, "negative or too large"},
		{FTMPI_F32, 2, {INT64_C(1) << 40, INT64_C(1) << 40}, "negative or too large"},
		{FTMPI_F64, 1, {INT64_MAX / 4}, "negative or too large"},
		{FTMPI_TEXT, 0, {0}, "allowed: 1 for text"},
		{FTMPI_TEXT, 2, {1, 1}, "allowed: 1 for text"},
		{(ftmpi_dtype)77, 1, {1}, "unknown type"},
	};
	const int64_t two = 2, zero = 0;
	ftmpi_registry *r = NULL;
	double x[2] = {0};

	(void)state;
	assert_ok(ftmpi_registry_create(&r));
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_fails(ftmpi_registry_add(r, "x", cases[i].dtype, cases[i].n_dims, cases[i].dims, x, FTMPI_STATE),
			     FTMPI_ERR_USAGE, cases[i].message);
	assert_fails(ftmpi_registry_add(r, "x", FTMPI_F64, 1, &two, x, (ftmpi_entry_kind)9), FTMPI_ERR_USAGE,
		     "or kind");
	assert_fails(ftmpi_registry_add(r, "x", FTMPI_F64, 1, &two, NULL, FTMPI_STATE), FTMPI_ERR_USAGE,
		     "has no array");
	assert_int_equal(ftmpi_registry_n_entries(r), 0);
	assert_ok(ftmpi_registry_add(r, "x", FTMPI_F64, 1, &zero, NULL, FTMPI_STATE));
	ftmpi_registry_destroy(&r);
	ftmpi_registry_destroy(&r);
}

static void test_entries(void **state)
{
	sample s = {0};
	ftmpi_registry *r;
	const ftmpi_entry *e;

	(void)state;
	sample_fill(&s, 3);
	r = sample_register(&s);
	assert_string_equal(ftmpi_registry_entry(r, 0)->path, "layers/dense/vars/0");
	assert_int_equal(ftmpi_entry_bytes(ftmpi_registry_entry(r, 0)), 24);
	assert_ptr_equal(ftmpi_entry_data(ftmpi_registry_entry(r, 0)), s.kernel);
	e = ftmpi_registry_find(r, "ftmpi/history");
	assert_non_null(e);
	assert_int_equal(ftmpi_entry_bytes(e), 4 * sizeof(double));
	assert_ptr_equal(ftmpi_entry_data(e), s.history.data);
	assert_int_equal(ftmpi_entry_bytes(ftmpi_registry_find(r, "ftmpi/none")), 0);
	assert_null(ftmpi_registry_find(r, "ftmpi"));
	assert_null(ftmpi_registry_find(r, "ftmpi/histor"));
	assert_null(ftmpi_registry_find(r, "zz"));
	ftmpi_registry_destroy(&r);
	sample_clear(&s);
}

/* A digest is of path, type, shape and bytes, and of nothing else. */
static void test_entry_digest(void **state)
{
	float x[4] = {1, 2, 3, 4}, same[4] = {1, 2, 3, 4};
	ftmpi_entry base = {.path = "a/b", .dtype = FTMPI_F32, .n_dims = 2, .dims = {2, 2}, .data = x}, other;
	char text[FTMPI_DIGEST_TEXT];

	(void)state;
	ftmpi_digest_format(ftmpi_entry_digest(&base), text);
	assert_string_equal(text, "d0e04b2374f4aec208292576ecb41468"); /* the file format: must never change */
#define EXPECT_EQUAL(change, expected)                                                                                 \
	do {                                                                                                           \
		other = base;                                                                                          \
		change;                                                                                                \
		assert_int_equal(ftmpi_digest_equal(ftmpi_entry_digest(&base), ftmpi_entry_digest(&other)), expected); \
	} while (0)
	EXPECT_EQUAL(other.data = same, true);
	EXPECT_EQUAL(other.kind = FTMPI_RECORD, true);
	EXPECT_EQUAL(other.path = "a/c", false);
	EXPECT_EQUAL(other.dtype = FTMPI_I32, false);
	EXPECT_EQUAL((other.n_dims = 1, other.dims[0] = 4), false);
	EXPECT_EQUAL((other.dims[0] = 1, other.dims[1] = 4), false);
	same[3] = 5;
	EXPECT_EQUAL(other.data = same, false);
#undef EXPECT_EQUAL
}

static void test_state_digest(void **state)
{
	ftmpi_registry *r = NULL, *reversed = NULL;
	int64_t a = 1, b = 2;
	ftmpi_buffer c = {0};
	ftmpi_digest first, second;

	(void)state;
	assert_ok(ftmpi_buffer_printf(&c, "wall time"));
	assert_ok(ftmpi_registry_create(&r));
	assert_ok(ftmpi_registry_add_scalar(r, "a", FTMPI_I64, &a, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_scalar(r, "b", FTMPI_I64, &b, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_buffer(r, "c", FTMPI_TEXT, &c, FTMPI_RECORD));
	assert_ok(ftmpi_registry_create(&reversed));
	assert_ok(ftmpi_registry_add_scalar(reversed, "b", FTMPI_I64, &b, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_scalar(reversed, "a", FTMPI_I64, &a, FTMPI_STATE));
	assert_ok(ftmpi_registry_state_digest(r, &first));
	assert_ok(ftmpi_registry_state_digest(reversed, &second));
	assert_true(ftmpi_digest_equal(first, second));
	assert_ok(ftmpi_buffer_printf(&c, " more"));
	assert_ok(ftmpi_registry_state_digest(r, &second));
	assert_true(ftmpi_digest_equal(first, second));
	b = 3;
	assert_ok(ftmpi_registry_state_digest(r, &second));
	assert_false(ftmpi_digest_equal(first, second));
	ftmpi_registry_destroy(&r);
	ftmpi_registry_destroy(&reversed);
	ftmpi_buffer_clear(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dtypes),       cmocka_unit_test(test_bad_paths),
		cmocka_unit_test(test_tree),         cmocka_unit_test(test_bad_shapes),
		cmocka_unit_test(test_entries),      cmocka_unit_test(test_entry_digest),
		cmocka_unit_test(test_state_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
