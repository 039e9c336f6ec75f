/* SPDX-License-Identifier: Apache-2.0 */
/* What the data-set tests share: one set of numbers, and files of it in every format. */
#ifndef FTMPI_TESTS_DATASET_TEST_H
#define FTMPI_TESTS_DATASET_TEST_H

#include "mpi/mpi_test.h"

#include "data_file.h"

#include <ftmpi/dataset.h>
#include <sys/stat.h>

/* Several blocks of the IDX decoder, and a number of rows that no number of ranks divides. */
enum { N = 2001, H = 3, W = 5, FEATURES = H * W, N_TEST = 7 };

static const int64_t x_dims[] = {N, H, W}, y_dims[] = {N}, test_dims[] = {N_TEST, H, W};

/* Input f of sample s; all formats hold these numbers. */
static inline double input(int64_t s, int64_t f)
{
	return (double)((s * 31 + f * 17 + s * f) % 256);
}

static inline int32_t label(int64_t s)
{
	return (int32_t)(s * s % 10);
}

static double xs[N * FEATURES], ys[N];

static inline bool chief(void)
{
	return ftmpi_comm_is_chief(world);
}

/* The chief has made a file; no rank goes on before that. */
static inline void made(ftmpi_status status)
{
	assert_ok(ftmpi_agree(world, status));
}

static inline ftmpi_status open_with(const char *path, ftmpi_split split, double scale, ftmpi_dataset **out)
{
	ftmpi_dataset_options options;

	ftmpi_dataset_options_init(&options);
	options.input_scale = scale;
	return ftmpi_dataset_open(world, path, split, &options, out);
}

/* The same with rows of numbers as targets. */
static inline ftmpi_status open_values(const char *path, ftmpi_split split, ftmpi_dataset **out)
{
	const ftmpi_dataset_options options = {.n_classes = 0};

	return ftmpi_dataset_open(world, path, split, &options, out);
}

/* xs and ys as they should be. */
static inline void fill_values(void)
{
	for (int64_t s = 0; s < N; s++) {
		ys[s] = label(s);
		for (int64_t f = 0; f < FEATURES; f++)
			xs[s * FEATURES + f] = input(s, f);
	}
}

/* An HDF5 file with train data, and test data if n_test is not 0. */
static inline ftmpi_status make_hdf5(const char *path, hdf5_storage storage, hid_t y_type, int y_n_dims, int64_t n_test)
{
	ftmpi_status status = FTMPI_OK;
	const hdf5_storage y_storage = {.type = y_type};
	const int64_t y_shape[] = {N, 1}, y_test_shape[] = {n_test, 1};
	const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);

	if (file < 0)
		return ftmpi_error_set(FTMPI_ERR_IO, __FILE__, __LINE__, "%s: cannot create", path);
	FTMPI_TRY(hdf5_write(file, "x_train", storage, 3, x_dims, xs));
	FTMPI_TRY(hdf5_write(file, "y_train", y_storage, y_n_dims, y_shape, ys));
	if (n_test > 0) {
		storage.chunk_rows = 0;
		storage.deflate = false;
		FTMPI_TRY(hdf5_write(file, "x_test", storage, 3, (int64_t[]){n_test, H, W}, xs));
		FTMPI_TRY(hdf5_write(file, "y_test", y_storage, y_n_dims, y_test_shape, ys));
	}
done:
	(void)H5Fclose(file);
	return status;
}

static inline ftmpi_status make_idx(const char *folder, data_type type, const char *end)
{
	ftmpi_status status = FTMPI_OK;
	char path[128];

	(void)mkdir(folder, 0777);
	(void)snprintf(path, sizeof path, "%s/train-images-idx3-ubyte%s", folder, end);
	FTMPI_TRY(idx_write(path, type, 3, x_dims, xs));
	(void)snprintf(path, sizeof path, "%s/train-labels-idx1-ubyte%s", folder, end);
	FTMPI_TRY(idx_write(path, DATA_U8, 1, y_dims, ys));
	(void)snprintf(path, sizeof path, "%s/t10k-images-idx3-ubyte%s", folder, end);
	FTMPI_TRY(idx_write(path, type, 3, test_dims, xs));
	(void)snprintf(path, sizeof path, "%s/t10k-labels-idx1-ubyte%s", folder, end);
	FTMPI_TRY(idx_write(path, DATA_I32, 1, test_dims, ys));
done:
	return status;
}

#endif
