/* SPDX-License-Identifier: Apache-2.0 */
/* Using an open checkpoint: filling a registry, comparing two files, and files that cannot be read at all. */
#include "unit/unit_test.h"

#include "ckpt/image.h"
#include "ckpt_test.h"

#include <errno.h>
#include <ftmpi/failpoint.h>
#include <ftmpi/reader.h>

static void save_image(const ftmpi_registry *registry, const char *file)
{
	ftmpi__image image = {0};

	assert_ok(ftmpi__image_build(registry, &image));
	write_bytes(file, image.data, image.n_bytes);
	ftmpi__image_clear(&image);
}

/* A sample's file, open. */
static ftmpi_reader *open_sample(int seed, const char *file)
{
	sample s = {0};
	ftmpi_registry *r;
	ftmpi_reader *reader = NULL;

	sample_fill(&s, seed);
	r = sample_register(&s);
	save_image(r, file);
	ftmpi_registry_destroy(&r);
	sample_clear(&s);
	assert_ok(ftmpi_reader_open(file, &reader));
	return reader;
}

/* What does not fit is named with both shapes, and nothing is written then. */
static void test_load_mismatch(void **state)
{
	ftmpi_reader *reader = open_sample(3, "a.weights.h5");
	ftmpi_registry *r = NULL;
	const int64_t two_four[] = {2, 4};
	float kernel[8] = {42};
	int32_t step = 42;
	int64_t right_step = 42;
	ftmpi_buffer history = {0};

	(void)state;
	assert_ok(ftmpi_registry_create(&r));
	assert_ok(ftmpi_registry_add_scalar(r, "optimizer/vars/0", FTMPI_I64, &right_step, FTMPI_STATE));
	assert_ok(ftmpi_registry_add(r, "layers/dense/vars/0", FTMPI_F32, 2, two_four, kernel, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_scalar(r, "optimizer/vars/1", FTMPI_I32, &step, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_buffer(r, "ftmpi/history", FTMPI_F32, &history, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_scalar(r, "new", FTMPI_I32, &step, FTMPI_STATE));
	assert_fails(
		ftmpi_reader_load(reader, r), FTMPI_ERR_DATA,
		"checkpoint 'a.weights.h5' does not fit this program: 4 of 5 entries differ; 'layers/dense/vars/0' is "
		"float32[2, 3] in the file and float32[2, 4] here; 'optimizer/vars/1' is float32 in the file and int32 "
		"here; 'ftmpi/history' is float64[4] in the file and any length of float32 here; 'new' is not in the "
		"file");
	assert_int_equal(right_step, 42);
	assert_true(kernel[0] == 42);
	assert_int_equal(history.n_bytes, 0);
	ftmpi_registry_destroy(&r);
	ftmpi_reader_close(&reader);
}

static void test_load_names_ten(void **state)
{
	ftmpi_reader *reader = open_sample(3, "a.weights.h5");
	ftmpi_registry *r = NULL;
	int64_t x = 0;
	char path[16];

	(void)state;
	assert_ok(ftmpi_registry_create(&r));
	for (int i = 0; i < 25; i++) {
		(void)snprintf(path, sizeof path, "absent%02d", i);
		assert_ok(ftmpi_registry_add_scalar(r, path, FTMPI_I64, &x, FTMPI_STATE));
	}
	assert_fails(ftmpi_reader_load(reader, r), FTMPI_ERR_DATA, "25 of 25 entries differ; 'absent00' is not");
	assert_non_null(strstr(ftmpi_error_message(), "'absent09' is not in the file; and 15 more"));
	assert_null(strstr(ftmpi_error_message(), "absent10"));
	ftmpi_registry_destroy(&r);
	ftmpi_reader_close(&reader);
}

/* A program may want less than the file has. */
static void test_load_part(void **state)
{
	ftmpi_reader *reader = open_sample(3, "a.weights.h5");
	ftmpi_registry *r = NULL;
	ftmpi_buffer history = {0};
	int64_t step = 0;

	(void)state;
	assert_ok(ftmpi_buffer_resize(&history, 1000));
	assert_ok(ftmpi_registry_create(&r));
	assert_ok(ftmpi_registry_add_scalar(r, "optimizer/vars/0", FTMPI_I64, &step, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_buffer(r, "ftmpi/history", FTMPI_F64, &history, FTMPI_STATE));
	assert_ok(ftmpi_reader_load(reader, r));
	assert_int_equal(step, INT64_C(10000000003));
	assert_int_equal(history.n_bytes, 32);
	ftmpi_buffer_clear(&history);
	ftmpi_registry_destroy(&r);
	ftmpi_reader_close(&reader);
}

static void test_diff_equal(void **state)
{
	ftmpi_reader *a = open_sample(3, "a.weights.h5"), *b = open_sample(3, "b.weights.h5");
	ftmpi_buffer report = {0};
	int64_t n = -1;

	(void)state;
	assert_ok(ftmpi_reader_diff(a, b, &report, &n));
	assert_int_equal(n, 0);
	assert_int_equal(report.n_bytes, 0);
	ftmpi_reader_close(&a);
	ftmpi_reader_close(&b);
}

/* Records do not count; the lines come in the order of the paths. */
static void test_diff_report(void **state)
{
	static const char expected[] = "a: only in the first checkpoint\n"
				       "f32: 2 of 4 elements differ, largest absolute difference 2.5\n"
				       "i64: 1 of 1 elements differ\n"
				       "nan: 1 of 2 elements differ, largest absolute difference 0, some not a number\n"
				       "shape: float32[4] in the first, float32[2, 2] in the second\n"
				       "z: only in the second checkpoint\n";
	float x[4] = {1, 2, 3, 4}, y[4] = {1, 4.5f, 3, 4}, nan_x[2] = {0, 1}, nan_y[2] = {0, 1};
	const int64_t four = 4, two = 2, two_two[] = {2, 2};
	int64_t i = 1, j = 2;
	ftmpi_registry *r = NULL, *q = NULL;
	ftmpi_reader *a = NULL, *b = NULL;
	ftmpi_buffer report = {0};
	int64_t n = 0;
	const uint32_t nan_bits = 0x7fc00000;

	(void)state;
	y[3] = -y[3] + 8.5f; /* 4.5 */
	memcpy(&nan_y[1], &nan_bits, sizeof nan_bits);
	assert_ok(ftmpi_registry_create(&r));
	assert_ok(ftmpi_registry_create(&q));
	assert_ok(ftmpi_registry_add_scalar(r, "a", FTMPI_I64, &i, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_scalar(q, "z", FTMPI_I64, &i, FTMPI_STATE));
	assert_ok(ftmpi_registry_add(r, "f32", FTMPI_F32, 1, &four, x, FTMPI_STATE));
	assert_ok(ftmpi_registry_add(q, "f32", FTMPI_F32, 1, &four, y, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_scalar(r, "i64", FTMPI_I64, &i, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_scalar(q, "i64", FTMPI_I64, &j, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_scalar(r, "record", FTMPI_I64, &i, FTMPI_RECORD));
	assert_ok(ftmpi_registry_add_scalar(q, "record", FTMPI_I64, &j, FTMPI_RECORD));
	assert_ok(ftmpi_registry_add_scalar(r, "same", FTMPI_I64, &i, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_scalar(q, "same", FTMPI_I64, &i, FTMPI_STATE));
	assert_ok(ftmpi_registry_add(r, "nan", FTMPI_F32, 1, &two, nan_x, FTMPI_STATE));
	assert_ok(ftmpi_registry_add(q, "nan", FTMPI_F32, 1, &two, nan_y, FTMPI_STATE));
	assert_ok(ftmpi_registry_add(r, "shape", FTMPI_F32, 1, &four, x, FTMPI_STATE));
	assert_ok(ftmpi_registry_add(q, "shape", FTMPI_F32, 2, two_two, x, FTMPI_STATE));
	save_image(r, "a.weights.h5");
	save_image(q, "b.weights.h5");
	assert_ok(ftmpi_reader_open("a.weights.h5", &a));
	assert_ok(ftmpi_reader_open("b.weights.h5", &b));
	assert_ok(ftmpi_reader_diff(a, b, &report, &n));
	assert_string_equal(report.data, expected);
	assert_int_equal(n, 6);
	assert_ok(ftmpi_reader_diff(a, b, NULL, &n));
	assert_int_equal(n, 6);
	ftmpi_buffer_clear(&report);
	ftmpi_reader_close(&a);
	ftmpi_reader_close(&b);
	ftmpi_registry_destroy(&r);
	ftmpi_registry_destroy(&q);
}

/* What is no file of bytes: an answer at once, never a wait. */
static void test_not_a_file(void **state)
{
	ftmpi_reader *reader = NULL;
	char big[4096];

	(void)state;
	assert_fails(ftmpi_reader_open("absent.weights.h5", &reader), FTMPI_ERR_NOT_FOUND, "'absent.weights.h5'");
	assert_int_equal(mkfifo("fifo", 0666), 0);
	assert_fails(ftmpi_reader_open("fifo", &reader), FTMPI_ERR_DATA, "is not a regular file");
	assert_int_equal(mkdir("folder", 0777), 0);
	assert_fails(ftmpi_reader_open("folder", &reader), FTMPI_ERR_DATA, "is not a regular file");
	assert_fails(ftmpi_reader_open("/dev/zero", &reader), FTMPI_ERR_DATA, "is not a regular file");
	write_bytes("empty", "", 0);
	assert_fails(ftmpi_reader_open("empty", &reader), FTMPI_ERR_DATA, "is cut off: it has 0 bytes");
	memset(big, 'x', sizeof big);
	write_bytes("text", big, sizeof big);
	assert_fails(ftmpi_reader_open("text", &reader), FTMPI_ERR_DATA, "is not an HDF5 file");
	/* 4 TB of nothing, and 4 TB behind a good start: no memory is taken. */
	assert_int_equal(truncate("text", INT64_C(1) << 42), 0);
	assert_fails(ftmpi_reader_open("text", &reader), FTMPI_ERR_DATA, "is not an HDF5 file");
	reader = open_sample(1, "a.weights.h5");
	ftmpi_reader_close(&reader);
	assert_int_equal(truncate("a.weights.h5", INT64_C(1) << 42), 0);
	assert_fails(ftmpi_reader_open("a.weights.h5", &reader), FTMPI_ERR_DATA,
		     "4398046511104 bytes where its header says");
	assert_null(reader);
}

static void test_failpoint(void **state)
{
	ftmpi_reader *reader = open_sample(1, "a.weights.h5");

	(void)state;
	ftmpi_reader_close(&reader);
	assert_ok(ftmpi_failpoints_arm("restore.read:error=EIO", 0));
	assert_fails(ftmpi_reader_open("a.weights.h5", &reader), FTMPI_ERR_IO,
		     "cannot read 'a.weights.h5': Input/output");
	assert_ok(ftmpi_reader_open("a.weights.h5", &reader));
	ftmpi_reader_close(&reader);
	assert_ok(ftmpi_failpoints_arm(NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load_mismatch), cmocka_unit_test(test_load_names_ten),
		cmocka_unit_test(test_load_part),     cmocka_unit_test(test_diff_equal),
		cmocka_unit_test(test_diff_report),   cmocka_unit_test(test_not_a_file),
		cmocka_unit_test(test_failpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
