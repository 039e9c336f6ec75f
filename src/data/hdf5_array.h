/* SPDX-License-Identifier: Apache-2.0 */
/* One numeric array of an HDF5 file that is not trusted. */
#ifndef FTMPI_DATA_HDF5_ARRAY_H
#define FTMPI_DATA_HDF5_ARRAY_H

#include "data/dataset.h"

#include <hdf5.h>

/** Longest name of an array in messages: "FILE.h5: x_train". */
#define FTMPI__ARRAY_NAME 1100

typedef struct ftmpi__array {
	hid_t set;                    /**< dataset; negative: not open */
	char name[FTMPI__ARRAY_NAME]; /**< for messages */
	bool is_u8;
	int n_dims;
	int64_t dims[FTMPI__ARRAY_MAX_DIMS];
	int64_t most[FTMPI__ARRAY_MAX_DIMS]; /**< extents that the array can grow to */
	int64_t row_values;                  /**< values of one row: all dimensions but the first */
} ftmpi__array;

/** HDF5 prints nothing between the two, and what the program had set is restored. Local. */
typedef struct ftmpi__hdf5_silence {
	H5E_auto2_t print;
	void *data;
} ftmpi__hdf5_silence;

void ftmpi__hdf5_silence_begin(ftmpi__hdf5_silence *silence);
void ftmpi__hdf5_silence_end(const ftmpi__hdf5_silence *silence);

/** ERR_DATA with HDF5's innermost reason if `code` is negative. Local. @param what the file or array. */
ftmpi_status ftmpi__hdf5_check(int64_t code, const char *what) FTMPI_CHECK_RESULT;

/**
 * Open an array of the root group, and check its kind: a hard link to a dataset of integers or floats, stored in the
 * file itself, 1 to FTMPI__ARRAY_MAX_DIMS dimensions, none 0, and no larger than the file's length can hold. Local.
 * @param file_bytes real length of the file. Errors: ERR_DATA.
 */
ftmpi_status ftmpi__array_open(hid_t file, const char *path, const char *name, int64_t file_bytes,
			       ftmpi__array *array) FTMPI_CHECK_RESULT;
void ftmpi__array_close(ftmpi__array *array);

/** Read rows first … first + n − 1 as `type` into `to`. Local. Errors: ERR_DATA. */
ftmpi_status ftmpi__array_read(const ftmpi__array *array, int64_t first, int64_t n, hid_t type,
			       void *to) FTMPI_CHECK_RESULT;

#endif
