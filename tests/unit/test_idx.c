/* SPDX-License-Identifier: Apache-2.0 */
/* IDX folders: every type and spelling, and every way in which a file can be wrong; how 8-bit values are scaled. */
#include "unit/unit_test.h"

#include "data/convert.h"
#include "data_file.h"

#include <ftmpi/rng.h>
#include <math.h>
#include <stdio.h>

/* What a folder was read into. */
struct loaded {
	ftmpi__split_info info;
	void *inputs;
	int32_t labels[16];
};

/* Read a split whole, 10 classes, scale 1. */
static ftmpi_status load(const char *folder, ftmpi_split split, struct loaded *loaded)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__sink sink = {.n_features = 1, .n_classes = 10, .scale = 1, .labels = loaded->labels};
	void *self = NULL;

	memset(loaded, 0, sizeof *loaded);
	FTMPI_TRY(ftmpi__idx_source.open(folder, split, true, &loaded->info, &self));
	if (!loaded->info.is_present)
		goto done;
	for (int64_t d = 0; d < loaded->info.n_dims; d++)
		sink.n_features *= loaded->info.dims[d];
	FTMPI_TRY(ftmpi_alloc(loaded->info.n_samples * sink.n_features, sizeof(float), &loaded->inputs));
	sink.inputs = loaded->inputs;
	sink.is_u8 = loaded->info.is_u8;
	FTMPI_TRY(ftmpi__idx_source.read(self, 0, loaded->info.n_samples, &sink));
done:
	ftmpi__idx_source.close(self);
	if (status != FTMPI_OK)
		ftmpi_free(loaded->inputs);
	return status;
}

static const int64_t image_dims[] = {3, 2, 2}, label_dims[] = {3};
static const double image_values[12] = {0, 1, 2, 3, 128, 254, 255, 7, 100, 101, 102, 103};
static const double label_values[3] = {0, 9, 4};

/* A fresh folder `d`. */
static void fresh_folder(void)
{
	assert_ok(remove_tree("d"));
	assert_int_equal(mkdir("d", 0777), 0);
}

static void write_good(const char *prefix, const char *image_end, const char *label_end)
{
	char path[64];

	(void)snprintf(path, sizeof path, "d/%s-images%s", prefix, image_end);
	assert_ok(idx_write(path, DATA_U8, 3, image_dims, image_values));
	(void)snprintf(path, sizeof path, "d/%s-labels%s", prefix, label_end);
	assert_ok(idx_write(path, DATA_U8, 1, label_dims, label_values));
}

static void assert_good(const struct loaded *loaded)
{
	assert_int_equal(loaded->info.is_u8, 1);
	assert_int_equal(loaded->info.n_samples, 3);
	assert_int_equal(loaded->info.n_dims, 2);
	assert_int_equal(loaded->info.dims[0], 2);
	assert_int_equal(loaded->info.dims[1], 2);
	for (int i = 0; i < 12; i++)
		assert_int_equal(((const uint8_t *)loaded->inputs)[i], image_values[i]);
	for (int i = 0; i < 3; i++)
		assert_int_equal(loaded->labels[i], label_values[i]);
}

static void test_spellings(void **state)
{
	static const char *const ends[][2] = {{"-idx3-ubyte", "-idx1-ubyte"},
					      {"-idx3-ubyte.gz", "-idx1-ubyte.gz"},
					      {".idx3-ubyte", ".idx1-ubyte"},
					      {".idx3-ubyte.gz", ".idx1-ubyte.gz"},
					      {"-idx3-ubyte", ".idx1-ubyte.gz"}};
	struct loaded loaded;

	(void)state;
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		for (int split = FTMPI_TRAIN; split <= FTMPI_TEST; split++) {
			fresh_folder();
			write_good(split == FTMPI_TRAIN ? "train" : "t10k", ends[i][0], ends[i][1]);
			assert_ok(load("d", (ftmpi_split)split, &loaded));
			assert_good(&loaded);
			ftmpi_free(loaded.inputs);
		}
}

/* Values at the ends of each type's range, as float32. Big-endian, signed, rounded once. */
static void test_types(void **state)
{
	static const struct {
		data_type type;
		double values[4];
	} cases[] = {{DATA_I8, {-128, -1, 0, 127}},
		     {DATA_I16, {-32768, -2, 258, 32767}},
		     {DATA_I32, {-2147483648.0, -3, 16777217, 2147483647}},
		     {DATA_F32, {-1.5, 0x1p-126, 3.25e20, 0.1F}},
		     {DATA_F64, {-1.5, 0.1, 1e-300, 16777217}}};
	struct loaded loaded;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		fresh_folder();
		assert_ok(idx_write("d/train-images-idx3-ubyte.gz", cases[i].type, 2, (int64_t[]){2, 2},
				    cases[i].values));
		assert_ok(idx_write("d/train-labels-idx1-ubyte", DATA_U8, 1, (int64_t[]){2}, label_values));
		assert_ok(load("d", FTMPI_TRAIN, &loaded));
		assert_int_equal(loaded.info.is_u8, 0);
		for (int v = 0; v < 4; v++)
			assert_true(((const float *)loaded.inputs)[v] == (float)cases[i].values[v]);
		ftmpi_free(loaded.inputs);
	}
}

static void test_label_types(void **state)
{
	static const data_type types[] = {DATA_U8, DATA_I8, DATA_I16, DATA_I32};
	struct loaded loaded;

	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		fresh_folder();
		write_good("train", "-idx3-ubyte", "-idx1-ubyte");
		assert_ok(idx_write("d/train-labels-idx1-ubyte", types[i], 1, label_dims, label_values));
		assert_ok(load("d", FTMPI_TRAIN, &loaded));
		assert_good(&loaded);
		ftmpi_free(loaded.inputs);
	}
}

/* One dimension: scalar samples of shape (1). Eight: the most. More values than one block of the decoder. */
static void test_shapes(void **state)
{
	static const int64_t dims[8] = {3, 2, 1, 1, 1, 1, 1, 2};
	enum { MANY = 20000 };
	struct loaded loaded;
	double *values = NULL;

	(void)state;
	fresh_folder();
	write_good("train", "-idx3-ubyte", "-idx1-ubyte");
	assert_ok(idx_write("d/train-images-idx3-ubyte", DATA_U8, 1, dims, image_values));
	assert_ok(load("d", FTMPI_TRAIN, &loaded));
	assert_int_equal(loaded.info.n_dims, 1);
	assert_int_equal(loaded.info.dims[0], 1);
	ftmpi_free(loaded.inputs);
	assert_ok(idx_write("d/train-images-idx3-ubyte", DATA_U8, 8, dims, image_values));
	assert_ok(load("d", FTMPI_TRAIN, &loaded));
	assert_int_equal(loaded.info.n_dims, 7);
	assert_memory_equal(loaded.info.dims, dims + 1, 7 * sizeof *dims);
	ftmpi_free(loaded.inputs);
	assert_ok(FTMPI_ALLOC((int64_t)MANY * 3, &values));
	for (int i = 0; i < MANY * 3; i++)
		values[i] = i % 1000;
	assert_ok(idx_write("d/train-images-idx3-ubyte.gz", DATA_I16, 2, (int64_t[]){3, MANY}, values));
	assert_int_equal(remove("d/train-images-idx3-ubyte"), 0);
	assert_ok(load("d", FTMPI_TRAIN, &loaded));
	for (int i = 0; i < MANY * 3; i++)
		assert_true(((const float *)loaded.inputs)[i] == (float)(i % 1000));
	ftmpi_free(loaded.inputs);
	ftmpi_free(values);
}

/* The two good files as bytes, which a case bends: images 4 + 3 · 4 + 12 bytes, labels 4 + 4 + 3. */
struct files {
	ftmpi_buffer images, labels;
};

static void remake(ftmpi_buffer *buffer, data_type type, int n_dims, const int64_t *dims, int n, const double *values)
{
	assert_ok(ftmpi_buffer_resize(buffer, 0));
	assert_ok(idx_append_header(buffer, type, n_dims, dims));
	for (int i = 0; i < n; i++)
		assert_ok(idx_append_value(buffer, type, values[i]));
}

static void bend_none(struct files *files)
{
	(void)files;
}
static void bend_magic(struct files *files)
{
	files->images.data[0] = 1;
}
static void bend_type(struct files *files)
{
	files->images.data[2] = 0x0A;
}
static void bend_dims_none(struct files *files)
{
	files->images.data[3] = 0;
}
static void bend_dims_many(struct files *files)
{
	files->images.data[3] = 9;
}
static void bend_cut(struct files *files)
{
	assert_ok(ftmpi_buffer_resize(&files->images, files->images.n_bytes - 1));
}
static void bend_cut_header(struct files *files)
{
	assert_ok(ftmpi_buffer_resize(&files->images, 7));
}
static void bend_empty(struct files *files)
{
	assert_ok(ftmpi_buffer_resize(&files->images, 0));
}
static void bend_append(struct files *files)
{
	assert_ok(ftmpi_buffer_append(&files->images, "x", 1));
}
static void bend_append_labels(struct files *files)
{
	assert_ok(ftmpi_buffer_append(&files->labels, "x", 1));
}
static void bend_no_samples(struct files *files)
{
	remake(&files->images, DATA_U8, 3, (int64_t[]){0, 2, 2}, 0, NULL);
	remake(&files->labels, DATA_U8, 1, (int64_t[]){0}, 0, NULL);
}
static void bend_no_features(struct files *files)
{
	remake(&files->images, DATA_U8, 3, (int64_t[]){3, 0, 2}, 0, NULL);
}
static void bend_huge(struct files *files)
{
	remake(&files->images, DATA_F64, 3, (int64_t[]){0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, 0, NULL);
}
static void bend_large(struct files *files)
{
	remake(&files->images, DATA_F64, 3, (int64_t[]){3, 0xFFFF, 0xFFFF}, 0, NULL);
}
static void bend_label_count(struct files *files)
{
	remake(&files->labels, DATA_U8, 1, (int64_t[]){2}, 2, label_values);
}
static void bend_label_high(struct files *files)
{
	files->labels.data[8 + 1] = 10;
}
static void bend_label_negative(struct files *files)
{
	remake(&files->labels, DATA_I16, 1, label_dims, 3, (double[]){0, 1, -1});
}
static void bend_label_float(struct files *files)
{
	remake(&files->labels, DATA_F32, 1, label_dims, 3, label_values);
}
static void bend_label_dims(struct files *files)
{
	remake(&files->labels, DATA_U8, 2, (int64_t[]){3, 1}, 3, label_values);
}
static void bend_nan(struct files *files)
{
	double values[12] = {0};

	values[6] = (double)NAN;
	remake(&files->images, DATA_F32, 3, image_dims, 12, values);
}
static void bend_overflow(struct files *files)
{
	double values[12] = {0};

	values[11] = -1e39;
	remake(&files->images, DATA_F64, 3, image_dims, 12, values);
}

static const struct wrong_case {
	void (*bend)(struct files *);
	const char *plain, *gzip; /* message for plain files and for gzipped ones; NULL: no error */
} wrong_cases[] = {
	{bend_none, NULL, NULL},
	{bend_magic, "images-idx3-ubyte: not an IDX file: begins with 01 00 08 03", "not an IDX file"},
	{bend_type, "not an IDX file: begins with 00 00 0a 03", "not an IDX file"},
	{bend_dims_none, "has 0 dimensions; 1 to 8 are possible", "has 0 dimensions"},
	{bend_dims_many, "has 9 dimensions; 1 to 8 are possible", "has 9 dimensions"},
	{bend_cut, "is 27 bytes long, but its header stands for 28", "truncated: ends at byte "},
	{bend_cut_header, "truncated: ends at byte ", "truncated: ends at byte "},
	{bend_empty, "truncated: ends at byte 0", "truncated: ends at byte 0"},
	{bend_append, "is 29 bytes long, but its header stands for 28", "has more bytes than the 28"},
	{bend_append_labels, "is 12 bytes long, but its header stands for 11", "has more bytes than the 11"},
	{bend_no_samples, "holds no samples: dimension 0 is 0", "holds no samples: dimension 0 is 0"},
	{bend_no_features, "dimension 1 is 0", "dimension 1 is 0"},
	{bend_huge, "dimensions of the header do not fit any file", "dimensions of the header do not fit any file"},
	{bend_large, "is 16 bytes long, but its header stands for 103076069416",
	 "bytes cannot expand to the 103076069416"},
	{bend_label_count, "has 2 labels, but d/train-images-idx3-ubyte has 3 images", "has 2 labels, but"},
	{bend_label_high, "labels-idx1-ubyte: label 10 of sample 1 is outside 0 to 9; --classes",
	 "label 10 of sample 1"},
	{bend_label_negative, "label -1 of sample 2 is outside 0 to 9", "label -1 of sample 2"},
	{bend_label_float, "labels must be one-dimensional whole numbers", "labels must be one-dimensional"},
	{bend_label_dims, "labels must be one-dimensional whole numbers", "labels must be one-dimensional"},
	{bend_nan, "input 2 of sample 1 is nan", "input 2 of sample 1 is nan"},
	{bend_overflow, "input 3 of sample 2 is -inf", "input 3 of sample 2 is -inf"},
};

static void test_wrong_files(void **state)
{
	static const char *const names[][2] = {{"d/train-images-idx3-ubyte", "d/train-labels-idx1-ubyte"},
					       {"d/train-images-idx3-ubyte.gz", "d/train-labels-idx1-ubyte.gz"}};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof wrong_cases / sizeof wrong_cases[0]; i++) {
		const struct wrong_case *c = &wrong_cases[i / 2];
		const char *message = i % 2 == 0 ? c->plain : c->gzip;
		struct files files = {{0}, {0}};
		struct loaded loaded;

		fresh_folder();
		remake(&files.images, DATA_U8, 3, image_dims, 12, image_values);
		remake(&files.labels, DATA_U8, 1, label_dims, 3, label_values);
		c->bend(&files);
		assert_ok(write_file(names[i % 2][0], files.images.data, files.images.n_bytes));
		assert_ok(write_file(names[i % 2][1], files.labels.data, files.labels.n_bytes));
		if (message != NULL) {
			assert_fails(load("d", FTMPI_TRAIN, &loaded), FTMPI_ERR_DATA, message);
		} else {
			assert_ok(load("d", FTMPI_TRAIN, &loaded));
			ftmpi_free(loaded.inputs);
		}
		ftmpi_buffer_clear(&files.images);
		ftmpi_buffer_clear(&files.labels);
	}
}

/* The gzipped images as they are on disk. */
static void read_gzipped(ftmpi_buffer *buffer)
{
	FILE *file = fopen("d/train-images-idx3-ubyte.gz", "rb");

	assert_non_null(file);
	assert_ok(ftmpi_buffer_resize(buffer, 4096));
	assert_ok(ftmpi_buffer_resize(buffer, fread(buffer->data, 1, 4096, file)));
	assert_int_equal(fclose(file), 0);
}

static void assert_gzip(const ftmpi_buffer *bytes, size_t n_bytes, const char *message)
{
	struct loaded loaded;

	assert_ok(write_plain("d/train-images-idx3-ubyte.gz", bytes->data, n_bytes));
	if (message != NULL) {
		assert_fails(load("d", FTMPI_TRAIN, &loaded), FTMPI_ERR_DATA, message);
		return;
	}
	assert_ok(load("d", FTMPI_TRAIN, &loaded));
	assert_good(&loaded);
	ftmpi_free(loaded.inputs);
}

/* Damage to the compressed bytes themselves: every length but the whole, every byte of the trailer, something behind
 * it. */
static void test_wrong_gzip(void **state)
{
	ftmpi_buffer bytes = {0};

	(void)state;
	fresh_folder();
	write_good("train", "-idx3-ubyte.gz", "-idx1-ubyte.gz");
	read_gzipped(&bytes);
	assert_gzip(&bytes, bytes.n_bytes, NULL);
	for (size_t n = 0; n < bytes.n_bytes; n++)
		assert_gzip(&bytes, n, "truncated gzip data");
	for (size_t i = bytes.n_bytes - 8; i < bytes.n_bytes; i++) {
		bytes.data[i] ^= 0x10;
		assert_gzip(&bytes, bytes.n_bytes,
			    i < bytes.n_bytes - 4 ? "incorrect data check" : "incorrect length check");
		bytes.data[i] ^= 0x10;
	}
	assert_ok(ftmpi_buffer_append(&bytes, "garbage", 7));
	assert_gzip(&bytes, bytes.n_bytes, "damaged gzip data behind byte 28 of its content: incorrect header check");
	assert_ok(ftmpi_buffer_resize(&bytes, 0));
	assert_ok(ftmpi_buffer_printf(&bytes, "plain text under the name of a gzipped file"));
	assert_gzip(&bytes, bytes.n_bytes, "incorrect header check");
	ftmpi_buffer_clear(&bytes);
}

/* A gzip file may be several, one behind the other. */
static void test_gzip_members(void **state)
{
	ftmpi_buffer whole = {0}, part = {0}, images = {0};

	(void)state;
	fresh_folder();
	write_good("train", "-idx3-ubyte.gz", "-idx1-ubyte.gz");
	remake(&images, DATA_U8, 3, image_dims, 12, image_values);
	for (size_t at = 0; at < 28; at += 7) {
		assert_ok(write_gzip("d/train-images-idx3-ubyte.gz", images.data + at, 7));
		read_gzipped(&part);
		assert_ok(ftmpi_buffer_append(&whole, part.data, part.n_bytes));
	}
	assert_gzip(&whole, whole.n_bytes, NULL);
	assert_gzip(&whole, whole.n_bytes - part.n_bytes, "truncated: ends at byte 21");
	ftmpi_buffer_clear(&whole);
	ftmpi_buffer_clear(&part);
	ftmpi_buffer_clear(&images);
}

static void test_missing(void **state)
{
	static const struct {
		const char *file, *message;
		ftmpi_split split;
	} cases[] = {
		{NULL, "d: no train-images-idx3-ubyte and train-labels-idx1-ubyte (plain or .gz)", FTMPI_TRAIN},
		{NULL, "d: no train-images-idx3-ubyte and train-labels-idx1-ubyte (plain or .gz)", FTMPI_TEST},
		{"d/train-images-idx3-ubyte", "has train-images-idx3-ubyte, but no train-labels-idx1-ubyte",
		 FTMPI_TRAIN},
		{"d/train-images-idx3-ubyte", "has train-images-idx3-ubyte, but no train-labels-idx1-ubyte",
		 FTMPI_TEST},
		{"d/train.labels", "no train-images-idx3-ubyte and", FTMPI_TRAIN},
		{"d/train-labels.idx1-ubyte.gz", "has train-labels.idx1-ubyte.gz, but no train-images-idx3",
		 FTMPI_TRAIN},
		{"d/t10k-images-idx3-ubyte", "has t10k-images-idx3-ubyte, but no t10k-labels-idx1-ubyte", FTMPI_TEST},
		{"d/t10k-labels-idx1-ubyte", "has t10k-labels-idx1-ubyte, but no t10k-images-idx3-ubyte", FTMPI_TEST},
	};
	struct loaded loaded;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		fresh_folder();
		if (cases[i].file != NULL)
			assert_ok(write_plain(cases[i].file, "", 0));
		assert_fails(load("d", cases[i].split, &loaded), FTMPI_ERR_NOT_FOUND, cases[i].message);
	}
}

static void test_splits(void **state)
{
	struct loaded loaded;

	(void)state;
	fresh_folder();
	write_good("train", "-idx3-ubyte", "-idx1-ubyte");
	assert_ok(load("d", FTMPI_TEST, &loaded));
	assert_int_equal(loaded.info.is_present, 0);
	write_good("t10k", "-idx3-ubyte", "-idx1-ubyte");
	assert_ok(load("d", FTMPI_TEST, &loaded));
	assert_good(&loaded);
	ftmpi_free(loaded.inputs);
	assert_ok(idx_write("d/t10k-images-idx3-ubyte", DATA_U8, 3, (int64_t[]){3, 2, 1}, image_values));
	assert_fails(
		load("d", FTMPI_TEST, &loaded), FTMPI_ERR_DATA,
		"d/t10k-images-idx3-ubyte: samples have shape 2x1, but those of d/train-images-idx3-ubyte have 2x2");
	assert_fails(load("d", FTMPI_TRAIN, &loaded), FTMPI_ERR_DATA, "samples have shape 2x2");
	assert_ok(idx_write("d/t10k-images-idx3-ubyte", DATA_I16, 3, image_dims, image_values));
	assert_fails(load("d", FTMPI_TRAIN, &loaded), FTMPI_ERR_DATA, "inputs are 8-bit unsigned, but those of d/t10k");
	assert_fails(load("d", FTMPI_TEST, &loaded), FTMPI_ERR_DATA,
		     "inputs are not 8-bit unsigned, but those of d/train");
}

/* A pipe or a folder under a file's name is refused, not waited for. */
static void test_not_regular(void **state)
{
	struct loaded loaded;

	(void)state;
	fresh_folder();
	write_good("train", "-idx3-ubyte", "-idx1-ubyte");
	assert_int_equal(remove("d/train-images-idx3-ubyte"), 0);
	assert_int_equal(mkfifo("d/train-images-idx3-ubyte", 0666), 0);
	assert_fails(load("d", FTMPI_TRAIN, &loaded), FTMPI_ERR_DATA, "train-images-idx3-ubyte: not a regular file");
	assert_int_equal(remove("d/train-images-idx3-ubyte"), 0);
	assert_int_equal(mkdir("d/train-images-idx3-ubyte", 0777), 0);
	assert_fails(load("d", FTMPI_TRAIN, &loaded), FTMPI_ERR_DATA, "train-images-idx3-ubyte: not a regular file");
}

/* Scales that come in use, and some of any size: where the two parts are said to give the same, they do; and both happens. */
static void test_scale_split(void **state)
{
	static const double usual[] = {1, 1.0 / 255, 1.0 / 256, 2.0 / 255, 0.5, 1e-3};
	int n_split = 0, n_whole = 0;
	ftmpi__scale_parts parts;
	uint32_t words[4];

	(void)state;
	for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
		assert_true(ftmpi__scale_split(usual[i], &parts));
	for (uint64_t i = 0; i < 3000; i++) {
		ftmpi_rng_block(ftmpi_rng_stream(1, FTMPI_RNG_USER, 0, 0), i, 0, words);
		const double scale =
			ldexp(1 + (double)words[0] * 0x1p-32 + (double)words[1] * 0x1p-64, (int)(words[2] % 40) - 30);
		const bool splits = ftmpi__scale_split(scale, &parts);

		for (int u = 0; u < 256 && splits; u++)
			assert_true(ftmpi__scaled_u8((uint8_t)u, parts) == (float)(u * scale));
		n_split += splits;
		n_whole += !splits;
	}
	assert_true(n_split > n_whole && n_whole > 0);
	assert_false(ftmpi__scale_split(1e-44, &parts));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spellings),    cmocka_unit_test(test_types),
		cmocka_unit_test(test_label_types),  cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_wrong_files),  cmocka_unit_test(test_wrong_gzip),
		cmocka_unit_test(test_gzip_members), cmocka_unit_test(test_missing),
		cmocka_unit_test(test_splits),       cmocka_unit_test(test_not_regular),
		cmocka_unit_test(test_scale_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
