/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets over ranks: the same samples and digest from every format on any number of ranks, and one copy a node. */
#include "mpi/dataset_test.h"

#include "data/dataset.h"

#include <math.h>

/* Samples in an odd order, some twice, against the numbers that were written. */
static void assert_samples(const ftmpi_dataset *dataset, int64_t n_samples, double scale)
{
	enum { BATCH = 37 };
	float x[BATCH * FEATURES];
	int32_t y[BATCH];
	int64_t samples[BATCH];

	for (int64_t at = 0; at < n_samples; at += BATCH) {
		for (int64_t i = 0; i < BATCH; i++)
			samples[i] = (at + i) * 7 % n_samples;
		ftmpi_dataset_gather(dataset, samples, BATCH, x, y);
		for (int64_t i = 0; i < BATCH; i++) {
			assert_int_equal(y[i], label(samples[i]));
			for (int64_t f = 0; f < FEATURES; f++)
				assert_true(x[i * FEATURES + f] == (float)(input(samples[i], f) * scale));
		}
	}
}

static void assert_shape(const ftmpi_dataset *dataset, int64_t n_samples)
{
	const int64_t *dims;

	assert_int_equal(ftmpi_dataset_n_samples(dataset), n_samples);
	assert_int_equal(ftmpi_dataset_n_features(dataset), FEATURES);
	assert_int_equal(ftmpi_dataset_shape(dataset, &dims), 2);
	assert_int_equal(dims[0], H);
	assert_int_equal(dims[1], W);
}

static void assert_digest(ftmpi_digest digest, const char *expected)
{
	char text[FTMPI_DIGEST_TEXT];

	ftmpi_digest_format(digest, text);
	assert_string_equal(text, expected);
}

/* Digests are pinned: they must be the same on every number of ranks, and in every version. 8-bit data has one, all
 * else, being float32, the other. */
static const char *const digest_u8 = "ba55ffe724bcf05bf266a41e50a13228", *const digest_float =
										 "5573f71c661320957d2d655389dd3933";

static void check_file(const char *path, bool is_u8)
{
	ftmpi_dataset *train = NULL, *test = NULL;

	assert_ok(open_with(path, FTMPI_TRAIN, 0, &train));
	assert_shape(train, N);
	assert_samples(train, N, is_u8 ? 1.0 / 255 : 1);
	assert_digest(ftmpi_dataset_digest(train), is_u8 ? digest_u8 : digest_float);
	assert_ok(open_with(path, FTMPI_TEST, 0.125, &test));
	assert_shape(test, N_TEST);
	assert_samples(test, N_TEST, 0.125);
	ftmpi_dataset_destroy(&test);
	ftmpi_dataset_destroy(&train);
	assert_null(train);
}

static void test_idx(void **state)
{
	(void)state;
	made(chief() ? make_idx("idx-u8", DATA_U8, "") : FTMPI_OK);
	check_file("idx-u8", true);
	made(chief() ? make_idx("idx-u8-gz", DATA_U8, ".gz") : FTMPI_OK);
	check_file("idx-u8-gz", true);
	made(chief() ? make_idx("idx-i16", DATA_I16, ".gz") : FTMPI_OK);
	check_file("idx-i16", false);
	made(chief() ? make_idx("idx-f64", DATA_F64, "") : FTMPI_OK);
	check_file("idx-f64", false);
}

/* IEEE half precision, which has all of 0 … 255. */
static hid_t half_type(void)
{
	const hid_t type = H5Tcopy(H5T_IEEE_F32LE);

	(void)H5Tset_fields(type, 15, 10, 5, 0, 10);
	(void)H5Tset_size(type, 2);
	(void)H5Tset_ebias(type, 15);
	return type;
}

static void test_hdf5(void **state)
{
	const hid_t half = half_type();
	const struct {
		hid_t type;
		int64_t chunk_rows, chunk_columns;
		hid_t y_type;
		int y_n_dims;
		bool deflate;
	} cases[] = {
		{H5T_STD_U8LE, 0, 0, H5T_STD_U8LE, 1, false},     {H5T_STD_U8LE, 64, 2, H5T_STD_I64LE, 2, true},
		{H5T_STD_U8BE, N, 0, H5T_STD_U64BE, 1, true},     {H5T_STD_I16LE, 0, 0, H5T_STD_I32LE, 1, false},
		{H5T_STD_I16BE, 100, 0, H5T_STD_I8LE, 1, false},  {H5T_STD_U32BE, 7, 0, H5T_STD_U16LE, 2, true},
		{H5T_STD_I64LE, 0, 0, H5T_STD_I64BE, 1, false},   {half, 0, 0, half, 1, false},
		{H5T_IEEE_F32LE, 0, 0, H5T_STD_U8LE, 1, false},   {H5T_IEEE_F32LE, 500, 3, H5T_IEEE_F32LE, 2, true},
		{H5T_IEEE_F64BE, 0, 0, H5T_IEEE_F64BE, 1, false}, {H5T_IEEE_F64LE, 33, 0, H5T_STD_U8LE, 1, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const hdf5_storage storage = {cases[i].type, cases[i].chunk_rows, cases[i].chunk_columns,
					      cases[i].deflate};

		made(chief() ? make_hdf5("types.h5", storage, cases[i].y_type, cases[i].y_n_dims, N_TEST) : FTMPI_OK);
		check_file("types.h5", i < 3);
	}
	(void)H5Tclose(half);
}

static ftmpi_status make_wide(data_type type, const int64_t *dims, const double *values)
{
	ftmpi_status status = FTMPI_OK;
	const hid_t file = H5Fcreate("wide.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);

	FTMPI_TRY(hdf5_write(file, "x_train", (hdf5_storage){.type = hdf5_type(type)}, 2, dims, values));
	FTMPI_TRY(hdf5_write(file, "y_train", (hdf5_storage){.type = H5T_STD_U8LE}, 1, dims, ys));
done:
	(void)H5Fclose(file);
	return status;
}

/* Rows so long that a rank reads its share in several blocks. */
static void test_hdf5_blocks(void **state)
{
	enum { ROWS = 7, WIDE = 400001 };
	static const data_type types[] = {DATA_U8, DATA_I16};
	const int64_t dims[] = {ROWS, WIDE};
	double *values = NULL;
	float *x = NULL;

	(void)state;
	assert_ok(FTMPI_ALLOC((int64_t)ROWS * WIDE, &values));
	assert_ok(FTMPI_ALLOC(WIDE, &x));
	for (int64_t i = 0; i < (int64_t)ROWS * WIDE; i++)
		values[i] = (double)(i * 7 % 251);
	for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
		ftmpi_dataset *dataset = NULL;

		made(chief() ? make_wide(types[t], dims, values) : FTMPI_OK);
		assert_ok(open_with("wide.h5", FTMPI_TRAIN, 1, &dataset));
		for (int64_t s = 0; s < ROWS; s++) {
			int32_t y;

			ftmpi_dataset_gather(dataset, &s, 1, x, &y);
			assert_int_equal(y, label(s));
			for (int64_t f = 0; f < WIDE; f++)
				if (x[f] != (float)values[s * WIDE + f])
					fail_msg("type %zu, sample %d, input %d", t, (int)s, (int)f);
		}
		ftmpi_dataset_destroy(&dataset);
	}
	ftmpi_free(values);
	ftmpi_free(x);
}

/* ---- targets that are numbers ---- */

enum { MAX_TARGETS = 3 };

/* Number t of sample s's target; every type holds these. */
static double target(int64_t s, int64_t t, int64_t n_targets)
{
	return n_targets == 1 ? label(s) : (double)((s * 13 + t * 7) % 120);
}

/* Digests of the numbers above, one and three of them a sample, with float inputs. Pinned. */
static const char *const digest_values[] = {"8c0938c4c7a72239760b8217a19cda65", "942cbcfbd290ebe6303edcb79b1e0bbd"};

static void assert_targets(const ftmpi_dataset *dataset, int64_t n_samples, int64_t n_targets)
{
	assert_int_equal(ftmpi_dataset_n_targets(dataset), n_targets);
	for (int64_t s = 0; s < n_samples; s++) {
		const int64_t samples[] = {n_samples - 1 - s, s};
		float x[2 * FEATURES], y[2 * MAX_TARGETS] = {0};

		ftmpi_dataset_gather(dataset, samples, 2, x, NULL);
		ftmpi_dataset_gather_values(dataset, samples, 2, y);
		assert_true(x[FEATURES + 1] == (float)input(s, 1));
		for (int64_t t = 0; t < n_targets; t++) {
			assert_true(y[t] == (float)target(samples[0], t, n_targets));
			assert_true(y[n_targets + t] == (float)target(s, t, n_targets));
		}
	}
}

static ftmpi_status make_values(hid_t type, int n_dims, int64_t n_targets)
{
	static double values[N * MAX_TARGETS];
	ftmpi_status status = FTMPI_OK;
	const hdf5_storage x_storage = {.type = H5T_IEEE_F32LE};
	const hdf5_storage y_storage = {.type = type, .chunk_rows = n_dims == 2 ? 100 : 0, .deflate = n_dims == 2};
	const hid_t file = H5Fcreate("values.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);

	for (int64_t i = 0; i < N * n_targets; i++)
		values[i] = target(i / n_targets, i % n_targets, n_targets);
	FTMPI_TRY(hdf5_write(file, "x_train", x_storage, 3, x_dims, xs));
	FTMPI_TRY(hdf5_write(file, "y_train", y_storage, n_dims, (int64_t[]){N, n_targets}, values));
	FTMPI_TRY(hdf5_write(file, "x_test", x_storage, 3, test_dims, xs));
	FTMPI_TRY(hdf5_write(file, "y_test", (hdf5_storage){.type = type}, n_dims, (int64_t[]){N_TEST, n_targets},
			     values));
done:
	(void)H5Fclose(file);
	return status;
}

static void check_values_file(const char *path, int64_t n_targets, const char *digest)
{
	ftmpi_dataset *train = NULL, *test = NULL;

	assert_ok(open_values(path, FTMPI_TRAIN, &train));
	assert_shape(train, N);
	assert_targets(train, N, n_targets);
	assert_digest(ftmpi_dataset_digest(train), digest);
	assert_ok(open_values(path, FTMPI_TEST, &test));
	assert_shape(test, N_TEST);
	assert_targets(test, N_TEST, n_targets);
	ftmpi_dataset_destroy(&test);
	ftmpi_dataset_destroy(&train);
}

static void test_values_hdf5(void **state)
{
	const hid_t half = half_type();
	const struct {
		hid_t type;
		int n_dims;
		int64_t n_targets;
	} cases[] = {
		{H5T_STD_U8LE, 1, 1},   {H5T_STD_U8LE, 2, 3},   {H5T_STD_I8LE, 2, 1},
		{H5T_STD_I64BE, 2, 3},  {half, 2, 3},           {H5T_IEEE_F32LE, 1, 1},
		{H5T_IEEE_F32BE, 2, 3}, {H5T_IEEE_F64LE, 2, 1}, {H5T_IEEE_F64BE, 2, 3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		made(chief() ? make_values(cases[i].type, cases[i].n_dims, cases[i].n_targets) : FTMPI_OK);
		check_values_file("values.h5", cases[i].n_targets, digest_values[cases[i].n_targets == 3]);
	}
	(void)H5Tclose(half);
}

/* Labels taken as numbers. */
static void test_values_idx(void **state)
{
	static const data_type types[] = {DATA_U8, DATA_I16, DATA_F32, DATA_F64};

	(void)state;
	made(chief() ? make_idx("idx-values", DATA_F32, "") : FTMPI_OK);
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		made(chief() ? idx_write("idx-values/train-labels-idx1-ubyte", types[i], 1, y_dims, ys) : FTMPI_OK);
		check_values_file("idx-values", 1, digest_values[0]);
	}
}

static void test_values_memory(void **state)
{
	static float x[N * FEATURES], y[N * MAX_TARGETS];
	const int64_t dims[] = {H, W};
	const ftmpi_dataset_options options = {.n_classes = -7};
	ftmpi_dataset *dataset = NULL;

	(void)state;
	for (int64_t i = 0; i < (int64_t)N * FEATURES; i++)
		x[i] = (float)xs[i];
	for (int64_t n_targets = 1; n_targets <= MAX_TARGETS; n_targets += 2) {
		for (int64_t i = 0; i < N * n_targets; i++)
			y[i] = (float)target(i / n_targets, i % n_targets, n_targets);
		assert_ok(ftmpi_dataset_from_memory_values(x, y, N, n_targets, 2, dims, &options, &dataset));
		assert_shape(dataset, N);
		assert_targets(dataset, N, n_targets);
		assert_digest(ftmpi_dataset_digest(dataset), digest_values[n_targets == 3]);
		ftmpi_dataset_destroy(&dataset);
	}
	y[7 * MAX_TARGETS + 2] = -INFINITY;
	assert_fails(ftmpi_dataset_from_memory_values(x, y, N, 3, 2, dims, &options, &dataset), FTMPI_ERR_DATA,
		     "data in memory: target 2 of sample 7 is -inf; targets must be finite");
	x[5 * FEATURES + 3] = NAN;
	assert_fails(ftmpi_dataset_from_memory_values(x, y, N, 3, 2, dims, &options, &dataset), FTMPI_ERR_DATA,
		     "input 3 of sample 5 is nan");
	assert_fails(ftmpi_dataset_from_memory_values(x, y, N, 0, 2, dims, &options, &dataset), FTMPI_ERR_USAGE,
		     "0 targets of a sample");
	assert_fails(ftmpi_dataset_from_memory_values(x, y, N, INT64_MAX / 4, 2, dims, &options, &dataset),
		     FTMPI_ERR_USAGE, "must fit in memory");
	assert_fails(ftmpi_dataset_from_memory_values(x, y, 0, 3, 2, dims, &options, &dataset), FTMPI_ERR_USAGE,
		     "at least one sample");
	assert_fails(ftmpi_dataset_from_memory_values(x, y, N, 3, 2, dims, &(ftmpi_dataset_options){.input_scale = -1},
						      &dataset),
		     FTMPI_ERR_USAGE, "input scale is -1");
	assert_null(dataset);
}

/* One number of a target, how many there are to a sample, and whether it is a number or a label are in the digest. */
static void test_values_digest(void **state)
{
	static const float x[12];
	static const int32_t labels[6];
	const int64_t dims[] = {1};
	const ftmpi_dataset_options options = {.n_classes = 1};
	float y[12] = {0};
	ftmpi_digest digests[5];

	(void)state;
	for (int c = 0; c < 5; c++) {
		ftmpi_dataset *dataset = NULL;

		y[5] = c == 1 ? 0x1p-100F : 0;
		if (c == 2)
			assert_ok(ftmpi_dataset_from_memory(x, labels, 6, 1, dims, &options, &dataset));
		else
			assert_ok(
				ftmpi_dataset_from_memory_values(x, y, 6, c == 3 ? 2 : 1, 1, dims, &options, &dataset));
		assert_int_equal(ftmpi_dataset_n_targets(dataset), c == 2 ? 0 : c == 3 ? 2 : 1);
		digests[c] = ftmpi_dataset_digest(dataset);
		ftmpi_dataset_destroy(&dataset);
		for (int before = 0; before < c; before++)
			assert_int_equal(ftmpi_digest_equal(digests[c], digests[before]), c == 4 && before == 0);
	}
}

/* The program's own arrays, the same numbers: the same digest as from a file. */
static void test_memory(void **state)
{
	static float x[N * FEATURES];
	static int32_t y[N];
	const int64_t dims[] = {H, W};
	ftmpi_dataset_options options;
	ftmpi_dataset *dataset = NULL;

	(void)state;
	for (int64_t i = 0; i < (int64_t)N * FEATURES; i++)
		x[i] = (float)xs[i];
	for (int64_t s = 0; s < N; s++)
		y[s] = label(s);
	ftmpi_dataset_options_init(&options);
	assert_ok(ftmpi_dataset_from_memory(x, y, N, 2, dims, &options, &dataset));
	assert_shape(dataset, N);
	assert_samples(dataset, N, 1);
	assert_digest(ftmpi_dataset_digest(dataset), digest_float);
	ftmpi_dataset_destroy(&dataset);
	options.n_classes = 0;
	assert_fails(ftmpi_dataset_from_memory(x, y, N, 2, dims, &options, &dataset), FTMPI_ERR_USAGE,
		     "number of classes is 0; it must be from 1");
	options.n_classes = 10;
	y[1234] = 10;
	assert_fails(ftmpi_dataset_from_memory(x, y, N, 2, dims, &options, &dataset), FTMPI_ERR_DATA,
		     "label 10 of sample 1234 is outside 0 to 9");
	x[5 * FEATURES + 3] = INFINITY;
	assert_fails(ftmpi_dataset_from_memory(x, y, N, 2, dims, &options, &dataset), FTMPI_ERR_DATA,
		     "input 3 of sample 5 is inf");
	assert_fails(ftmpi_dataset_from_memory(x, y, 0, 2, dims, &options, &dataset), FTMPI_ERR_USAGE,
		     "at least one sample");
	assert_fails(ftmpi_dataset_from_memory(x, y, N, 0, dims, &options, &dataset), FTMPI_ERR_USAGE, "0 dimensions");
	assert_fails(ftmpi_dataset_from_memory(x, y, N, 8, dims, &options, &dataset), FTMPI_ERR_USAGE, "8 dimensions");
	assert_fails(ftmpi_dataset_from_memory(x, y, N, 1, (int64_t[]){INT64_MAX / 4}, &options, &dataset),
		     FTMPI_ERR_USAGE, "fit in memory");
	assert_null(dataset);
}

/* The digest is of everything that training sees: one input, one label, the scale, the shape. */
static void test_digest_sees_all(void **state)
{
	static float x[24];
	static int32_t y[6];
	ftmpi_dataset_options options;
	ftmpi_digest digests[6];

	(void)state;
	for (int c = 0; c < 6; c++) {
		const int64_t dims[] = {c == 3 ? 4 : 2, c == 3 ? 1 : 2};
		ftmpi_dataset *dataset = NULL;

		ftmpi_dataset_options_init(&options);
		x[23] = c == 1 ? 0x1p-100F : 0;
		y[5] = c == 2;
		options.input_scale = c == 4 ? 0.5 : 0;
		assert_ok(ftmpi_dataset_from_memory(x, y, 6, 2, dims, &options, &dataset));
		digests[c] = ftmpi_dataset_digest(dataset);
		ftmpi_dataset_destroy(&dataset);
		for (int before = 0; before < c; before++)
			assert_int_equal(ftmpi_digest_equal(digests[c], digests[before]), c == 5 && before == 0);
	}
}

/* Gather of labels or of inputs alone. */
static void test_gather_parts(void **state)
{
	ftmpi_dataset *dataset = NULL;
	const int64_t samples[] = {N - 1, 0};
	float x[2 * FEATURES] = {0};
	int32_t y[2] = {0};

	(void)state;
	assert_ok(open_with("idx-u8", FTMPI_TRAIN, 1, &dataset));
	ftmpi_dataset_gather(dataset, samples, 2, NULL, y);
	assert_int_equal(y[0], label(N - 1));
	assert_int_equal(y[1], label(0));
	ftmpi_dataset_gather(dataset, samples, 2, x, NULL);
	assert_true(x[FEATURES - 1] == (float)input(N - 1, FEATURES - 1));
	assert_true(x[FEATURES] == (float)input(0, 0));
	ftmpi_dataset_gather(dataset, samples, 0, x, y);
	ftmpi_dataset_destroy(&dataset);
}

/* One copy of the targets, too. */
static void test_values_one_copy(void **state)
{
	const int64_t sample = N - 1;
	ftmpi_dataset *dataset = NULL;
	float y[MAX_TARGETS];

	(void)state;
	made(chief() ? make_values(H5T_IEEE_F32LE, 2, 3) : FTMPI_OK);
	assert_ok(open_values("values.h5", FTMPI_TRAIN, &dataset));
	if (ftmpi_comm_node_rank(world) == ftmpi_comm_node_size(world) - 1) {
		char *const base = ftmpi_shared_data(dataset->shared);
		const float written = 0.25F;

		memcpy(base + ((const char *)(dataset->values + sample * 3 + 2) - base), &written, sizeof written);
	}
	assert_ok(ftmpi_shared_sync(dataset->shared));
	ftmpi_dataset_gather_values(dataset, &sample, 1, y);
	assert_true(y[2] == 0.25F && y[1] == (float)target(sample, 1, 3));
	assert_ok(ftmpi_shared_sync(dataset->shared));
	ftmpi_dataset_destroy(&dataset);
}

/* One copy a node: what the node's last rank writes into it, every rank gathers. */
static void test_one_copy(void **state)
{
	static const char *const paths[] = {"idx-u8", "types.h5"};
	const int64_t sample = N - 1;

	(void)state;
	made(chief() ? make_hdf5("types.h5", (hdf5_storage){.type = H5T_STD_U8LE}, H5T_STD_U8LE, 1, 0) : FTMPI_OK);
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		ftmpi_dataset *dataset = NULL;
		float x[FEATURES];
		int32_t y;

		assert_ok(open_with(paths[i], FTMPI_TRAIN, 1, &dataset));
		assert_non_null(dataset->shared);
		if (ftmpi_comm_node_rank(world) == ftmpi_comm_node_size(world) - 1) {
			char *const base = ftmpi_shared_data(dataset->shared);
			const ptrdiff_t inputs_at = (const char *)dataset->inputs - base;
			const ptrdiff_t labels_at = (const char *)(dataset->labels + sample) - base;
			const int32_t written = 88;

			base[inputs_at + (ptrdiff_t)N * FEATURES - 1] = 77;
			memcpy(base + labels_at, &written, sizeof written);
		}
		assert_ok(ftmpi_shared_sync(dataset->shared));
		ftmpi_dataset_gather(dataset, &sample, 1, x, &y);
		assert_true(x[FEATURES - 1] == 77);
		assert_int_equal(y, 88);
		assert_ok(ftmpi_shared_sync(dataset->shared));
		ftmpi_dataset_destroy(&dataset);
	}
}

static void test_no_test_split(void **state)
{
	ftmpi_dataset *dataset = NULL;

	(void)state;
	made(chief() ? make_hdf5("train.h5", (hdf5_storage){.type = H5T_STD_U8LE}, H5T_STD_U8LE, 1, 0) : FTMPI_OK);
	assert_ok(open_with("train.h5", FTMPI_TEST, 0, &dataset));
	assert_null(dataset);
}

static int set_up(void **state)
{
	(void)state;
	fill_values();
	return 0;
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup(test_idx, set_up), cmocka_unit_test(test_hdf5),
	cmocka_unit_test(test_hdf5_blocks),       cmocka_unit_test(test_memory),
	cmocka_unit_test(test_digest_sees_all),   cmocka_unit_test(test_gather_parts),
	cmocka_unit_test(test_one_copy),          cmocka_unit_test(test_no_test_split),
	cmocka_unit_test(test_values_hdf5),       cmocka_unit_test(test_values_idx),
	cmocka_unit_test(test_values_memory),     cmocka_unit_test(test_values_digest),
	cmocka_unit_test(test_values_one_copy),
};
FTMPI_TEST_MAIN(tests)
