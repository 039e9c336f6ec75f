/* SPDX-License-Identifier: Apache-2.0 */
/* The text of the state file: what is written, and that nothing but that is read. */
#include "unit/unit_test.h"

#include "ckpt/store_inside.h"
#include "ckpt_test.h"

#include <locale.h>

/* Items 1 (preserved), 3 (without facts) and 5. */
static ftmpi__state make_state(void)
{
	ftmpi__state state = {.last_preserved_s = 1588118744.1};
	ftmpi_store_item *item;

	assert_ok(ftmpi__items_insert(&state, 5, &item));
	item->timestamp_s = ftmpi__time_round(1588118749.9029932);
	item->listed = true;
	item->n_bytes = 7507;
	item->digest = (ftmpi_digest){.low = 5, .high = 0xabc};
	assert_ok(ftmpi__items_insert(&state, 1, &item));
	item->timestamp_s = ftmpi__time_round(1588118744.1);
	item->listed = item->preserved = true;
	item->n_bytes = 11;
	assert_ok(ftmpi__items_insert(&state, 3, &item));
	item->timestamp_s = 1588118745;
	return state;
}

#define BODY                                                                                                           \
	"model_checkpoint_path: \"ckpt-5\"\n"                                                                          \
	"all_model_checkpoint_paths: \"ckpt-3\"\n"                                                                     \
	"all_model_checkpoint_paths: \"ckpt-5\"\n"                                                                     \
	"all_model_checkpoint_timestamps: 1588118745.000000\n"                                                         \
	"all_model_checkpoint_timestamps: 1588118749.902993\n"                                                         \
	"last_preserved_timestamp: 1588118744.100000\n"                                                                \
	"# ftmpi ckpt-1 length=11 xxh3-128=00000000000000000000000000000000 preserved=1588118744.100000\n"             \
	"# ftmpi ckpt-5 length=7507 xxh3-128=0000000000000abc0000000000000005\n"

/* The text with its right last line. */
static void seal(const char *body, ftmpi_buffer *out)
{
	char digest[FTMPI_DIGEST_TEXT];

	assert_ok(ftmpi_buffer_resize(out, 0));
	ftmpi_digest_format(ftmpi_hash(body, strlen(body)), digest);
	assert_ok(ftmpi_buffer_printf(out, "%s# ftmpi xxh3-128=%s\n", body, digest));
}

static void test_format(void **state)
{
	ftmpi__state s = make_state();
	ftmpi_buffer text = {0}, expected = {0};

	(void)state;
	seal(BODY, &expected);
	assert_ok(ftmpi__state_format(&s, "ckpt", &text));
	assert_string_equal(text.data, expected.data);
	ftmpi__state_clear(&s);
	ftmpi_buffer_clear(&text);
	assert_ok(ftmpi__state_format(&s, "ckpt", &text));
	seal("last_preserved_timestamp: 0.000000\n", &expected);
	assert_string_equal(text.data, expected.data);
	ftmpi_buffer_clear(&text);
	ftmpi_buffer_clear(&expected);
}

/* Everything comes back, times to the last bit. */
static void test_round_trip(void **state)
{
	ftmpi__state s = make_state(), back = {0};
	ftmpi_buffer text = {0};

	(void)state;
	assert_ok(ftmpi__state_format(&s, "ckpt", &text));
	assert_ok(ftmpi__state_parse(text.data, text.n_bytes, "ckpt", &back));
	assert_true(back.last_preserved_s == s.last_preserved_s);
	assert_int_equal(ftmpi__items_count(&back), 3);
	for (int i = 0; i < 3; i++) {
		const ftmpi_store_item *a = ftmpi__items_get(&s, i), *b = ftmpi__items_get(&back, i);

		assert_int_equal(a->number, b->number);
		assert_true(a->timestamp_s == b->timestamp_s);
		assert_int_equal(a->listed, b->listed);
		assert_int_equal(a->preserved, b->preserved);
		assert_int_equal(a->n_bytes, b->n_bytes);
		assert_true(ftmpi_digest_equal(a->digest, b->digest));
	}
	ftmpi__state_clear(&s);
	ftmpi__state_clear(&back);
	ftmpi_buffer_clear(&text);
}

/* Every time that has a text comes back as the same number, whatever the locale's decimal point is. */
static void test_times(void **state)
{
	static const double times[] = {0, 0.000001, 1, 1588118749.9029932, 1700000000.123456, 999999999999.0};
	char text[FTMPI__TIME_TEXT];

	(void)state;
	(void)setlocale(LC_ALL, "de_DE.UTF-8");
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		const double t = ftmpi__time_round(times[i]);
		double back = -1;
		const char *end;

		ftmpi__time_format(t, text);
		end = ftmpi__time_parse(text, &back);
		assert_non_null(end);
		assert_int_equal(*end, '\0');
		assert_true(back == t);
	}
	(void)setlocale(LC_ALL, "C");
	assert_true(ftmpi__time_round(-5) == 0);
	assert_true(ftmpi__time_round(0.0 / 0.0) == 0);
	assert_true(ftmpi__time_round(1e300) == 999999999999.0);
}

/* Damage: the digest finds it. */
static void test_damaged(void **state)
{
	ftmpi_buffer text = {0};
	ftmpi__state out = {0};

	(void)state;
	seal(BODY, &text);
	for (size_t i = 0; i < text.n_bytes; i++) {
		const char old = text.data[i];

		text.data[i] ^= 1;
		assert_int_equal(ftmpi__state_parse(text.data, text.n_bytes, "ckpt", &out), FTMPI_ERR_DATA);
		text.data[i] = '\0';
		assert_int_equal(ftmpi__state_parse(text.data, text.n_bytes, "ckpt", &out), FTMPI_ERR_DATA);
		text.data[i] = old;
	}
	for (size_t n = 0; n < text.n_bytes; n++) {
		char *cut = strndup(text.data, n);

		assert_non_null(cut);
		assert_int_equal(ftmpi__state_parse(cut, n, "ckpt", &out), FTMPI_ERR_DATA);
		free(cut);
	}
	assert_ok(ftmpi__state_parse(text.data, text.n_bytes, "ckpt", &out));
	ftmpi__state_clear(&out);
	ftmpi_buffer_clear(&text);
}

/* Text with a right digest that this program would not have written. */
static void test_hostile(void **state)
{
#define PATHS "model_checkpoint_path: \"ckpt-5\"\nall_model_checkpoint_paths: \"ckpt-5\"\n"
#define TIMES "all_model_checkpoint_timestamps: 1.000000\n"
#define LAST  "last_preserved_timestamp: 0.000000\n"
	static const struct {
		const char *body, *message;
	} cases[] = {
		{PATHS TIMES LAST, NULL},
		{"", "the last preserved time"},
		{PATHS LAST, "the timestamps do not go with the paths"},
		{PATHS TIMES TIMES LAST, "the last preserved time"},
		{"all_model_checkpoint_paths: \"ckpt-5\"\n" TIMES LAST, "the latest path"},
		{"model_checkpoint_path: \"ckpt-4\"\nall_model_checkpoint_paths: \"ckpt-5\"\n" TIMES LAST,
		 "the latest path"},
		{"model_checkpoint_path: \"/tmp/ckpt-5\"\n" LAST, "the latest path is not as"},
		{"model_checkpoint_path: \"../ckpt-5\"\n" LAST, "the latest path is not as"},
		{"model_checkpoint_path: \"other-5\"\n" LAST, "the latest path is not as"},
		{"model_checkpoint_path: \"ckpt-99999999999999999999\"\n" LAST, "the latest path is not as"},
		{"model_checkpoint_path: \"ckpt-05\"\n" LAST, "the latest path is not as"},
		{"model_checkpoint_path: \"ckpt--5\"\n" LAST, "the latest path is not as"},
		{"model_checkpoint_path: \"ckpt-5/../x\"\n" LAST, "the latest path is not as"},
		{"model_checkpoint_path: \"ckpt-5\nall_model_checkpoint_paths: \"ckpt-5\"\n" TIMES LAST,
		 "the latest path"},
		{PATHS "all_model_checkpoint_paths: \"ckpt-5\"\n" TIMES TIMES LAST, "a path is not as"},
		{PATHS "all_model_checkpoint_paths: \"ckpt-4\"\n" TIMES TIMES LAST, "a path is not as"},
		{PATHS "all_model_checkpoint_timestamps: -1.000000\n" LAST, "the timestamps"},
		{PATHS "all_model_checkpoint_timestamps: 1e9\n" LAST, "the timestamps"},
		{PATHS "all_model_checkpoint_timestamps: nan\n" LAST, "the timestamps"},
		{PATHS "all_model_checkpoint_timestamps: 9999999999999.000000\n" LAST, "the timestamps"},
		{PATHS "all_model_checkpoint_timestamps: 1.0000000\n" LAST, "the timestamps"},
		{PATHS TIMES LAST "# a comment\n", "a line is unknown"},
		{PATHS TIMES LAST "# ftmpi x\n", "has no name"},
		{PATHS TIMES LAST "# ftmpi ckpt-5\n", "a line of facts is not as"},
		{PATHS TIMES LAST "# ftmpi ckpt-5 length=-1 xxh3-128=00000000000000000000000000000000\n", "a length"},
		{PATHS TIMES LAST "# ftmpi ckpt-5 length=1 xxh3-128=0000000000000000000000000000000\n", "a digest"},
		{PATHS TIMES LAST "# ftmpi ckpt-5 length=1 xxh3-128=00000000000000000000000000000000 x\n",
		 "of facts is"},
		{PATHS TIMES LAST "# ftmpi ckpt-4 length=1 xxh3-128=00000000000000000000000000000000\n", "to no path"},
		{PATHS TIMES LAST "# ftmpi ckpt-5 preserved=1.000000\n", "listed twice"},
		{PATHS TIMES LAST "# ftmpi ckpt-6 preserved=1.000000\n", "the latest path is not the newest"},
		{PATHS TIMES LAST "# ftmpi ckpt-4 preserved=1\n", "a line of facts is not as"},
	};
	ftmpi_buffer text = {0};
	ftmpi__state out = {0};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		seal(cases[i].body, &text);
		if (cases[i].message == NULL)
			assert_ok(ftmpi__state_parse(text.data, text.n_bytes, "ckpt", &out));
		else
			assert_fails(ftmpi__state_parse(text.data, text.n_bytes, "ckpt", &out), FTMPI_ERR_DATA,
				     cases[i].message);
		ftmpi__state_clear(&out);
	}
	ftmpi_buffer_clear(&text);
}

static void test_file_names(void **state)
{
	static const struct {
		const char *text;
		int64_t number; /* −1: not one of ours */
	} cases[] = {
		{"ckpt-0.weights.h5", 0},
		{"ckpt-12.weights.h5", 12},
		{"ckpt-9223372036854775807.weights.h5", INT64_MAX},
		{"ckpt-9223372036854775808.weights.h5", -1},
		{"ckpt-012.weights.h5", -1},
		{"ckpt-00.weights.h5", -1},
		{"ckpt--1.weights.h5", -1},
		{"ckpt-+1.weights.h5", -1},
		{"ckpt- 1.weights.h5", -1},
		{"ckpt-.weights.h5", -1},
		{"ckpt-1.weights.h5.tmp", -1},
		{"ckpt-1.weights.h5x", -1},
		{"ckpt-1.h5", -1},
		{"xckpt-1.weights.h5", -1},
		{"ckpt1.weights.h5", -1},
		{"", -1},
	};
	char name[FTMPI__FILE_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int64_t number = -1;

		assert_int_equal(ftmpi__file_number("ckpt", cases[i].text, ".weights.h5", &number),
				 cases[i].number >= 0);
		assert_int_equal(number, cases[i].number);
	}
	ftmpi__file_name("ckpt", 12, ".tmp", name);
	assert_string_equal(name, "ckpt-12.weights.h5.tmp");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),  cmocka_unit_test(test_round_trip), cmocka_unit_test(test_times),
		cmocka_unit_test(test_damaged), cmocka_unit_test(test_hostile),    cmocka_unit_test(test_file_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
