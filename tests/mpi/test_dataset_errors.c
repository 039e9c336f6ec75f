/* SPDX-License-Identifier: Apache-2.0 */
/* Data that is wrong: every rank returns the same status and the same message, whoever met the error, and nothing is
 * left open. Files that lie about their size are refused before memory is taken. */
#include "mpi/dataset_test.h"

#include <dirent.h>
#include <math.h>

/* ---- IDX ---- */

static ftmpi_status make_truncated_idx(void)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(make_idx("bad", DATA_U8, ""));
	if (truncate("bad/train-images-idx3-ubyte", 100) != 0)
		FTMPI_FAIL(FTMPI_ERR_IO, "cannot truncate");
done:
	return status;
}

static ftmpi_status make_wrong_magic(void)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(make_idx("bad", DATA_U8, ""));
	FTMPI_TRY(write_file("bad/train-images-idx3-ubyte", "\0\0\x0a\x03", 4));
done:
	return status;
}

static ftmpi_status make_bad_label_idx(void)
{
	ys[5] = 11;
	return make_idx("bad", DATA_U8, "");
}

static ftmpi_status make_nan_idx(void)
{
	xs[N * FEATURES - 1] = (double)NAN;
	return make_idx("bad", DATA_F32, "");
}

static ftmpi_status make_empty_folder(void)
{
	return mkdir("empty", 0777) == 0 ? FTMPI_OK : FTMPI_ERR_IO;
}

/* ---- files that are not HDF5, or no longer ---- */

static ftmpi_status make_nothing(void)
{
	return FTMPI_OK;
}

static ftmpi_status make_empty_file(void)
{
	return write_file("bad.h5", "", 0);
}

/* HDF5's signature, and then noise. */
static ftmpi_status make_garbage(void)
{
	static const unsigned char signature[] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1A, '\n'};
	unsigned char bytes[5000];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(i * 151 % 256);
	memcpy(bytes, signature, sizeof signature);
	return write_file("bad.h5", bytes, sizeof bytes);
}

static ftmpi_status make_text(void)
{
	return write_file("bad.h5", "this is not HDF5, whatever its name says", 40);
}

static ftmpi_status make_pipe(void)
{
	return mkfifo("bad.h5", 0666) == 0 ? FTMPI_OK : FTMPI_ERR_IO;
}

static ftmpi_status make_truncated_hdf5(void)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(make_hdf5("bad.h5", (hdf5_storage){.type = H5T_STD_U8LE}, H5T_STD_U8LE, 1, 0));
	if (truncate("bad.h5", 20000) != 0)
		FTMPI_FAIL(FTMPI_ERR_IO, "cannot truncate");
done:
	return status;
}

/* ---- all cases that are one file or folder ---- */

/* Open on every rank, and expect the same failure on every rank. */
static void assert_open_fails(const char *path, ftmpi_status status, const char *message)
{
	ftmpi_dataset *dataset = NULL;

	assert_fails(open_with(path, FTMPI_TRAIN, 0, &dataset), status, message);
	assert_null(dataset);
	assert_int_equal(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
}

static void remove_old(void)
{
	static const char *const paths[] = {"bad", "bad.h5", "empty"};

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		made(chief() ? remove_tree(paths[i]) : FTMPI_OK);
	fill_values();
}

static void test_files(void **state)
{
	static const struct {
		ftmpi_status (*make)(void);
		const char *path;
		ftmpi_status status;
		const char *message;
	} cases[] = {
		{make_truncated_idx, "bad", FTMPI_ERR_DATA, "bad/train-images-idx3-ubyte: is 100 bytes long"},
		{make_wrong_magic, "bad", FTMPI_ERR_DATA, "bad/train-images-idx3-ubyte: not an IDX file"},
		{make_bad_label_idx, "bad", FTMPI_ERR_DATA,
		 "bad/train-labels-idx1-ubyte: label 11 of sample 5 is outside 0 to 9"},
		{make_nan_idx, "bad", FTMPI_ERR_DATA, "bad/train-images-idx3-ubyte: input 14 of sample 2000 is nan"},
		{make_empty_folder, "empty", FTMPI_ERR_NOT_FOUND, "empty: no train-images-idx3-ubyte"},
		{make_nothing, "bad", FTMPI_ERR_NOT_FOUND, "bad: No such file or directory"},
		{make_nothing, "bad.h5", FTMPI_ERR_NOT_FOUND, "bad.h5: No such file or directory"},
		{make_empty_file, "bad.h5", FTMPI_ERR_DATA, "bad.h5: neither a folder with IDX files nor an HDF5 file"},
		{make_text, "bad.h5", FTMPI_ERR_DATA, "bad.h5: neither a folder with IDX files nor an HDF5 file"},
		{make_pipe, "bad.h5", FTMPI_ERR_DATA, "bad.h5: neither a folder with IDX files nor an HDF5 file"},
		{make_garbage, "bad.h5", FTMPI_ERR_DATA, "bad.h5: bad superblock version number"},
		{make_truncated_hdf5, "bad.h5", FTMPI_ERR_DATA, "bad.h5: truncated file: eof = 20000"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		remove_old();
		made(chief() ? cases[i].make() : FTMPI_OK);
		assert_open_fails(cases[i].path, cases[i].status, cases[i].message);
	}
}

/* ---- HDF5 files with arrays of the wrong type, shape or values ---- */

struct shape {
	int n_dims; /* 0: no such array; negative: a scalar */
	int64_t dims[9];
};

static const struct shape_case {
	struct shape x, y, x_test;
	double *bend; /* this value is `bent` */
	double bent;
	bool y_float;
	const char *message;
} shape_cases[] = {
	{.message = "bad.h5: has no x_train; there must be x_train and y_train, and there may be x_test and y_test; "
		    "it has: nothing"},
	{.x = {3, {N, H, W}}, .message = "bad.h5: has no y_train; there must be"},
	{.y = {1, {N}}, .message = "there may be x_test and y_test; it has: y_train"},
	{.x = {-1, {0}}, .y = {1, {N}}, .message = "bad.h5: x_train: has 0 dimensions; 1 to 8 are possible"},
	{.x = {9, {9, 1, 1, 1, 1, 1, 1, 1, 1}}, .y = {1, {9}}, .message = "bad.h5: x_train: has 9 dimensions; 1 to 8"},
	{.x = {2, {0, 5}}, .y = {1, {0}}, .message = "bad.h5: x_train: holds no samples: dimension 0 is 0"},
	{.x = {2, {5, 0}}, .y = {1, {5}}, .message = "bad.h5: x_train: holds no samples: dimension 1 is 0"},
	{.x = {2, {6, 5}},
	 .y = {1, {5}},
	 .message = "bad.h5: y_train: has 5 labels, but bad.h5: x_train has 6 samples"},
	{.x = {2, {6, 5}},
	 .y = {2, {6, 2}},
	 .message =
		 "y_train: labels must have shape [n] or [n, 1]; this has 2 dimensions and 2 values for each sample"},
	{.x = {2, {6, 5}},
	 .y = {3, {6, 1, 1}},
	 .message = "y_train: labels must have shape [n] or [n, 1]; this has 3 dimensions and 1 values"},
	{.x = {2, {6, 5}},
	 .y = {1, {6}},
	 .x_test = {2, {6, 4}},
	 .message = "bad.h5: x_train: samples have shape 5, but those of bad.h5: x_test have 4"},
	{.x = {2, {6, 5}},
	 .y = {1, {6}},
	 .bend = &xs[8],
	 .bent = (double)NAN,
	 .message = "bad.h5: x_train: input 3 of sample 1 is nan"},
	{.x = {2, {6, 5}},
	 .y = {1, {6}},
	 .bend = &xs[29],
	 .bent = -(double)INFINITY,
	 .message = "bad.h5: x_train: input 4 of sample 5 is -inf"},
	{.x = {2, {6, 5}},
	 .y = {1, {6}},
	 .bend = &ys[5],
	 .bent = 11,
	 .message = "y_train: label 11 of sample 5 is outside 0 to 9; --classes, or the outputs of --model, set the "
		    "number of classes"},
	{.x = {2, {6, 5}},
	 .y = {1, {6}},
	 .bend = &ys[0],
	 .bent = -1,
	 .message = "y_train: label -1 of sample 0 is outside 0 to 9"},
	{.x = {2, {6, 5}},
	 .y = {1, {6}},
	 .bend = &ys[1],
	 .bent = 2.5,
	 .y_float = true,
	 .message = "y_train: label 2.5 of sample 1 is not a whole number"},
	{.x = {2, {6, 5}},
	 .y = {1, {6}},
	 .bend = &ys[1],
	 .bent = (double)NAN,
	 .y_float = true,
	 .message = "y_train: label nan of sample 1 is outside 0 to 9"},
};

/* Files whose targets are read as rows of numbers. y_train is of float64. */
static const struct value_case {
	struct shape y, y_test;
	double bent; /* the value of y_train at 5, if not 0 */
	const char *message;
} value_cases[] = {
	{.y = {3, {6, 2, 1}},
	 .message = "bad.h5: y_train: targets must have shape [n] or [n, n_targets]; this has 3 dimensions"},
	{.y = {1, {5}}, .message = "bad.h5: y_train: has 5 rows, but bad.h5: x_train has 6 samples"},
	{.y = {2, {6, 2}},
	 .bent = (double)NAN,
	 .message = "bad.h5: y_train: target 1 of sample 2 is nan; targets must be finite"},
	{.y = {1, {6}}, .bent = 1e39, .message = "bad.h5: y_train: target 0 of sample 5 is inf"},
	{.y = {2, {6, 2}},
	 .y_test = {2, {6, 3}},
	 .message = "bad.h5: x_train: samples have 2 targets, but those of bad.h5: x_test have 3"},
	{.y = {2, {6, 2}}, .y_test = {-1, {0}}, .message = "bad.h5: y_test: has 0 dimensions"},
};

static ftmpi_status put(hid_t file, const char *name, hid_t type, const struct shape *shape, const double *values)
{
	if (shape->n_dims == 0)
		return FTMPI_OK;
	return hdf5_write(file, name, (hdf5_storage){.type = type}, shape->n_dims < 0 ? 0 : shape->n_dims, shape->dims,
			  values);
}

static ftmpi_status make_shape_case(const struct shape_case *c)
{
	ftmpi_status status = FTMPI_OK;
	const hid_t file = H5Fcreate("bad.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);

	if (c->bend != NULL)
		*c->bend = c->bent;
	FTMPI_TRY(put(file, "x_train", H5T_IEEE_F32LE, &c->x, xs));
	FTMPI_TRY(put(file, "y_train", c->y_float ? H5T_IEEE_F64LE : H5T_STD_I16LE, &c->y, ys));
	FTMPI_TRY(put(file, "x_test", H5T_IEEE_F32LE, &c->x_test, xs));
done:
	(void)H5Fclose(file);
	return status;
}

static void test_shapes_and_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof shape_cases / sizeof shape_cases[0]; i++) {
		remove_old();
		made(chief() ? make_shape_case(&shape_cases[i]) : FTMPI_OK);
		assert_open_fails("bad.h5", FTMPI_ERR_DATA, shape_cases[i].message);
	}
}

static ftmpi_status make_value_case(const struct value_case *c)
{
	static const struct shape x = {2, {6, 5}};
	ftmpi_status status = FTMPI_OK;
	const hid_t file = H5Fcreate("bad.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);

	if (c->bent != 0)
		ys[5] = c->bent;
	FTMPI_TRY(put(file, "x_train", H5T_IEEE_F32LE, &x, xs));
	FTMPI_TRY(put(file, "y_train", H5T_IEEE_F64LE, &c->y, ys));
	if (c->y_test.n_dims != 0)
		FTMPI_TRY(put(file, "x_test", H5T_IEEE_F32LE, &x, xs));
	FTMPI_TRY(put(file, "y_test", H5T_IEEE_F64LE, &c->y_test, ys));
done:
	(void)H5Fclose(file);
	return status;
}

static void test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof value_cases / sizeof value_cases[0]; i++) {
		ftmpi_dataset *dataset = NULL;

		remove_old();
		made(chief() ? make_value_case(&value_cases[i]) : FTMPI_OK);
		assert_fails(open_values("bad.h5", FTMPI_TRAIN, &dataset), FTMPI_ERR_DATA, value_cases[i].message);
		assert_null(dataset);
		assert_int_equal(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
	}
	remove_old();
	made(chief() ? make_idx("bad", DATA_U8, "") : FTMPI_OK);
	ys[5] = (double)NAN;
	made(chief() ? idx_write("bad/train-labels-idx1-ubyte", DATA_F32, 1, y_dims, ys) : FTMPI_OK);
	assert_fails(open_values("bad", FTMPI_TRAIN, &(ftmpi_dataset *){NULL}), FTMPI_ERR_DATA,
		     "bad/train-labels-idx1-ubyte: target 0 of sample 5 is nan");
	fill_values();
	made(chief() ? idx_write("bad/train-labels-idx1-ubyte", DATA_U8, 2, (int64_t[]){N, 1}, ys) : FTMPI_OK);
	assert_fails(open_values("bad", FTMPI_TRAIN, &(ftmpi_dataset *){NULL}), FTMPI_ERR_DATA,
		     "labels must be one-dimensional numbers; these have type 08 and 2 dimensions");
}

/* ---- HDF5 files whose x_train is something else; y_train [8] is good ---- */

static const struct shape good_y = {1, {8}};

static herr_t fill_control_characters(hid_t file)
{
	return H5Lcreate_soft("y_train", file, "x\n\033[1m", H5P_DEFAULT, H5P_DEFAULT);
}

static herr_t fill_group(hid_t file)
{
	return H5Gclose(H5Gcreate2(file, "x_train", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
}

static herr_t fill_soft_link(hid_t file)
{
	return H5Lcreate_soft("y_train", file, "x_train", H5P_DEFAULT, H5P_DEFAULT);
}

static herr_t fill_external_link(hid_t file)
{
	return H5Lcreate_external("other.h5", "x_train", file, "x_train", H5P_DEFAULT, H5P_DEFAULT);
}

static herr_t fill_type(hid_t file, hid_t type)
{
	const hid_t space = H5Screate_simple(2, (hsize_t[]){8, 4}, NULL);
	const hid_t set = H5Dcreate2(file, "x_train", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);

	(void)H5Tclose(type);
	(void)H5Sclose(space);
	return H5Dclose(set);
}

static herr_t fill_strings(hid_t file)
{
	const hid_t type = H5Tcopy(H5T_C_S1);

	(void)H5Tset_size(type, H5T_VARIABLE);
	return fill_type(file, type);
}

/* As h5py stores complex numbers. */
static herr_t fill_compound(hid_t file)
{
	const hid_t type = H5Tcreate(H5T_COMPOUND, 16);

	(void)H5Tinsert(type, "r", 0, H5T_NATIVE_DOUBLE);
	(void)H5Tinsert(type, "i", 8, H5T_NATIVE_DOUBLE);
	return fill_type(file, type);
}

/* As h5py stores booleans. */
static herr_t fill_enum(hid_t file)
{
	const hid_t type = H5Tenum_create(H5T_STD_I8LE);
	const signed char zero = 0;

	(void)H5Tenum_insert(type, "FALSE", &zero);
	return fill_type(file, type);
}

/* HDF5 itself can convert this one; with a forged precision it does not survive that. */
static herr_t fill_odd_integers(hid_t file)
{
	const hid_t type = H5Tcopy(H5T_STD_I32LE);

	(void)H5Tset_precision(type, 20);
	return fill_type(file, type);
}

static herr_t fill_external_storage(hid_t file)
{
	const hid_t plist = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, (hsize_t[]){8, 4}, NULL);
	hid_t set;

	(void)H5Pset_external(plist, "/etc/passwd", 0, 128);
	set = H5Dcreate2(file, "x_train", H5T_STD_I32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
	(void)H5Sclose(space);
	(void)H5Pclose(plist);
	return H5Dclose(set);
}

static herr_t fill_virtual(hid_t file)
{
	const hid_t plist = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, (hsize_t[]){8, 4}, NULL);
	hid_t set;

	(void)H5Pset_virtual(plist, space, "other.h5", "x", space);
	set = H5Dcreate2(file, "x_train", H5T_STD_I32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
	(void)H5Sclose(space);
	(void)H5Pclose(plist);
	return H5Dclose(set);
}

static herr_t fill_unwritten(hid_t file)
{
	return fill_type(file, H5Tcopy(H5T_IEEE_F32LE));
}

/* x_train [rows, 4], filtered in chunks, of which the one at row `at` is stored as these bytes. */
static herr_t fill_chunk(hid_t file, H5Z_filter_t filter, hsize_t rows, hsize_t chunk_rows, hsize_t at,
			 const void *bytes, size_t n_bytes)
{
	const hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
	const hid_t space = H5Screate_simple(2, (hsize_t[]){rows, 4}, (hsize_t[]){H5S_UNLIMITED, 4});
	const hsize_t start[2] = {at, 0};
	hid_t set;
	herr_t code;

	(void)H5Pset_chunk(plist, 2, (hsize_t[]){chunk_rows, 4});
	(void)H5Pset_filter(plist, filter, H5Z_FLAG_MANDATORY, 1, (unsigned[]){1});
	set = H5Dcreate2(file, "x_train", H5T_IEEE_F32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
	code = H5Dwrite_chunk(set, H5P_DEFAULT, 0, start, n_bytes, bytes);
	(void)H5Sclose(space);
	(void)H5Pclose(plist);
	return H5Dclose(set) < 0 ? -1 : code;
}

static herr_t fill_damaged_chunk(hid_t file)
{
	return fill_chunk(file, H5Z_FILTER_DEFLATE, 8, 1, 7, "this is not deflated", 20);
}

static size_t no_filter(unsigned flags, size_t n_values, const unsigned *values, size_t n_bytes, size_t *buffer_bytes,
			void **buffer)
{
	(void)flags;
	(void)n_values;
	(void)values;
	(void)buffer_bytes;
	(void)buffer;
	return n_bytes;
}

/* A filter that is there while the file is written, and not when it is read. */
static herr_t fill_unknown_filter(hid_t file)
{
	const H5Z_class2_t filter = {H5Z_CLASS_T_VERS, 299, 1, 1, "test", NULL, NULL, no_filter};
	herr_t code;

	(void)H5Zregister(&filter);
	code = fill_chunk(file, 299, 8, 8, 0, "any", 3);
	return H5Zunregister(299) < 0 ? -1 : code;
}

/* A few bytes that claim to be 2^40 rows. */
static herr_t fill_huge_shape(hid_t file)
{
	return fill_chunk(file, H5Z_FILTER_DEFLATE, (hsize_t)1 << 40, 4, 0, "tiny", 4);
}

/* A shape that is believable, in a chunk of 2 GiB. */
static herr_t fill_huge_chunk(hid_t file)
{
	return fill_chunk(file, H5Z_FILTER_DEFLATE, 8, (hsize_t)1 << 27, 0, "tiny", 4);
}

static const struct other_case {
	herr_t (*fill)(hid_t file);
	const char *message;
} other_cases[] = {
	{fill_control_characters, "bad.h5: has no x_train; there must be x_train and y_train, and there may be x_test "
				  "and y_test; it has: x??[1m, y_train"},
	{fill_group, "bad.h5: x_train: not a dataset"},
	{fill_soft_link, "bad.h5: x_train: is a soft or external link"},
	{fill_external_link, "bad.h5: x_train: is a soft or external link"},
	{fill_strings, "bad.h5: x_train: elements are neither integers nor floating-point numbers of a usual format"},
	{fill_compound, "bad.h5: x_train: elements are neither integers nor floating-point numbers of a usual format"},
	{fill_enum, "bad.h5: x_train: elements are neither integers nor floating-point numbers of a usual format"},
	{fill_odd_integers,
	 "bad.h5: x_train: elements are neither integers nor floating-point numbers of a usual format"},
	{fill_external_storage, "bad.h5: x_train: its data is in other files"},
	{fill_virtual, "bad.h5: x_train: its data is in other files"},
	{fill_unwritten, "bad.h5: x_train: holds no data: it was never written"},
	{fill_damaged_chunk, "bad.h5: x_train: inflate() failed"},
	{fill_unknown_filter, "bad.h5: x_train: is stored with HDF5 filter 299, which is not installed here"},
	{fill_huge_shape, "bad.h5: x_train: its shape stands for more data than the file can hold, at most 4128 bytes"},
	{fill_huge_chunk,
	 "bad.h5: x_train: its chunks stand for more data than the array or the file can hold, at most 4128 bytes"},
};

static ftmpi_status make_other_case(const struct other_case *c)
{
	ftmpi_status status = FTMPI_OK;
	const hid_t file = H5Fcreate("bad.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);

	FTMPI_TRY(put(file, "y_train", H5T_STD_U8LE, &good_y, ys));
	if (c->fill(file) < 0)
		FTMPI_FAIL(FTMPI_ERR_IO, "cannot make the file of '%s'", c->message);
done:
	(void)H5Fclose(file);
	return status;
}

static void test_other_arrays(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof other_cases / sizeof other_cases[0]; i++) {
		remove_old();
		made(chief() ? make_other_case(&other_cases[i]) : FTMPI_OK);
		assert_open_fails("bad.h5", FTMPI_ERR_DATA, other_cases[i].message);
	}
}

/* ---- the rest ---- */

static void test_options(void **state)
{
	static const struct {
		ftmpi_dataset_options options;
		const char *message;
	} cases[] = {
		{{-1, 0}, "number of classes is -1"},
		{{INT64_C(1) << 31, 0}, "number of classes is 2147483648"},
		{{10, -1}, "input scale is -1"},
		{{10, (double)NAN}, "input scale is nan"},
		{{10, (double)INFINITY}, "input scale is inf"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ftmpi_dataset *dataset = NULL;

		assert_fails(ftmpi_dataset_open(world, "anything", FTMPI_TRAIN, &cases[i].options, &dataset),
			     FTMPI_ERR_USAGE, cases[i].message);
		assert_null(dataset);
	}
}

/* An input that is finite and overflows once scaled. */
static void test_scale_overflow(void **state)
{
	ftmpi_dataset *dataset = NULL;

	(void)state;
	remove_old();
	made(chief() ? make_hdf5("bad.h5", (hdf5_storage){.type = H5T_IEEE_F32LE}, H5T_STD_U8LE, 1, 0) : FTMPI_OK);
	assert_fails(open_with("bad.h5", FTMPI_TRAIN, 1e38, &dataset), FTMPI_ERR_DATA, "and inf once scaled by 1e+38");
}

static int n_open_files(void)
{
	DIR *const folder = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(folder);
	while (readdir(folder) != NULL)
		n++;
	assert_int_equal(closedir(folder), 0);
	return n;
}

/* Last test: all the failures before have closed their files, and what the program asked of HDF5's messages is as it
 * was. */
static void test_nothing_left_behind(void **state)
{
	const int n_before = n_open_files();
	H5E_auto2_t print = NULL;
	void *data = NULL;

	(void)state;
	test_files(state);
	test_other_arrays(state);
	assert_int_equal(n_open_files(), n_before);
	assert_true(H5Eget_auto2(H5E_DEFAULT, &print, &data) >= 0);
	assert_true(print == (H5E_auto2_t)H5Eprint2);
	assert_ptr_equal(data, stderr);
}

static int print_to_stderr(void **state)
{
	(void)state;
	return H5Eset_auto2(H5E_DEFAULT, (H5E_auto2_t)H5Eprint2, stderr);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup(test_files, print_to_stderr),
	cmocka_unit_test(test_shapes_and_values),
	cmocka_unit_test(test_values),
	cmocka_unit_test(test_other_arrays),
	cmocka_unit_test(test_options),
	cmocka_unit_test(test_scale_overflow),
	cmocka_unit_test(test_nothing_left_behind),
};
FTMPI_TEST_MAIN(tests)
