/* SPDX-License-Identifier: Apache-2.0 */
/* Writing data files: IDX, plain or gzipped, and HDF5. For mkdata and for the tests, which also cut and bend the bytes
 * before they are written. */
#ifndef FTMPI_TESTS_DATA_FILE_H
#define FTMPI_TESTS_DATA_FILE_H

#include <errno.h>
#include <fcntl.h>
#include <ftmpi/memory.h>
#include <ftw.h>
#include <hdf5.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/** Element types that a file can be written with: name, IDX code, bytes. */
#define DATA_TYPE_LIST(X)                                                                                              \
	X(U8, "u8", 0x08, 1)                                                                                           \
	X(I8, "i8", 0x09, 1)                                                                                           \
	X(I16, "i16", 0x0B, 2)                                                                                         \
	X(I32, "i32", 0x0C, 4)                                                                                         \
	X(F32, "f32", 0x0D, 4)                                                                                         \
	X(F64, "f64", 0x0E, 8)

typedef enum data_type {
#define DATA_TYPE_ENUM(id, name, code, n_bytes) DATA_##id,
	DATA_TYPE_LIST(DATA_TYPE_ENUM)
#undef DATA_TYPE_ENUM
		DATA_TYPE_COUNT
} data_type;

static const struct data_type_info {
	const char *name;
	int code;
	size_t n_bytes;
} data_types[DATA_TYPE_COUNT] = {
#define DATA_TYPE_INFO(id, name, code, n_bytes) {name, code, n_bytes},
	DATA_TYPE_LIST(DATA_TYPE_INFO)
#undef DATA_TYPE_INFO
};

/** The lowest n_bytes bytes of a number, highest first. */
static inline ftmpi_status append_big_endian(ftmpi_buffer *buffer, uint64_t bits, size_t n_bytes)
{
	unsigned char bytes[8];

	for (size_t i = 0; i < n_bytes; i++)
		bytes[i] = (unsigned char)(bits >> 8 * (n_bytes - 1 - i));
	return ftmpi_buffer_append(buffer, bytes, n_bytes);
}

static inline ftmpi_status idx_append_header(ftmpi_buffer *buffer, data_type type, int n_dims, const int64_t *dims)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(append_big_endian(buffer, (uint64_t)(data_types[type].code << 8 | n_dims), 4));
	for (int d = 0; d < n_dims; d++)
		FTMPI_TRY(append_big_endian(buffer, (uint64_t)dims[d], 4));
done:
	return status;
}

/** A value as the type has it; the caller sees to it that it fits. */
static inline ftmpi_status idx_append_value(ftmpi_buffer *buffer, data_type type, double value)
{
	const float f = (float)value;
	uint32_t float_bits;
	uint64_t bits;

	memcpy(&float_bits, &f, sizeof f);
	memcpy(&bits, &value, sizeof value);
	if (type == DATA_F32)
		bits = float_bits;
	else if (type != DATA_F64)
		bits = (uint64_t)(int64_t)value;
	return append_big_endian(buffer, bits, data_types[type].n_bytes);
}

static inline ftmpi_status write_plain(const char *path, const void *data, size_t n_bytes)
{
	ftmpi_status status = FTMPI_OK;
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	const char *p = data;

	if (fd < 0)
		FTMPI_FAIL(FTMPI_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
	while (n_bytes > 0) {
		const ssize_t n = write(fd, p, n_bytes);

		if (n <= 0)
			FTMPI_FAIL(FTMPI_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
		p += n;
		n_bytes -= (size_t)n;
	}
done:
	if (fd >= 0 && close(fd) != 0 && status == FTMPI_OK)
		status = ftmpi_error_set(FTMPI_ERR_IO, __FILE__, __LINE__, "%s: %s", path, strerror(errno));
	return status;
}

static inline ftmpi_status write_gzip(const char *path, const void *data, size_t n_bytes)
{
	ftmpi_status status = FTMPI_OK;
	gzFile file = gzopen(path, "wb");

	if (file == NULL)
		FTMPI_FAIL(FTMPI_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
	if (n_bytes > 0 && gzwrite(file, data, (unsigned)n_bytes) != (int)n_bytes)
		status = ftmpi_error_set(FTMPI_ERR_IO, __FILE__, __LINE__, "%s: cannot write", path);
	if (gzclose(file) != Z_OK && status == FTMPI_OK)
		FTMPI_FAIL(FTMPI_ERR_IO, "%s: cannot write", path);
done:
	return status;
}

static inline int remove_entry(const char *path, const struct stat *info, int type, struct FTW *place)
{
	(void)info;
	(void)type;
	(void)place;
	return remove(path);
}

/** Remove a file or a folder with all that is in it; fine if there is none. */
static inline ftmpi_status remove_tree(const char *path)
{
	if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
		return FTMPI_OK;
	return ftmpi_error_set(FTMPI_ERR_IO, __FILE__, __LINE__, "%s: cannot remove: %s", path, strerror(errno));
}

/** Write a whole file; gzipped if its name ends in ".gz". */
static inline ftmpi_status write_file(const char *path, const void *data, size_t n_bytes)
{
	const size_t n = strlen(path);

	if (n > 3 && strcmp(path + n - 3, ".gz") == 0)
		return write_gzip(path, data, n_bytes);
	return write_plain(path, data, n_bytes);
}

/** One IDX file of doubles. */
static inline ftmpi_status idx_write(const char *path, data_type type, int n_dims, const int64_t *dims,
				     const double *values)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer buffer = {0};
	int64_t n = 1;

	FTMPI_TRY(idx_append_header(&buffer, type, n_dims, dims));
	for (int d = 0; d < n_dims; d++)
		n *= dims[d];
	for (int64_t i = 0; i < n; i++)
		FTMPI_TRY(idx_append_value(&buffer, type, values[i]));
	FTMPI_TRY(write_file(path, buffer.data, buffer.n_bytes));
done:
	ftmpi_buffer_clear(&buffer);
	return status;
}

/** How an HDF5 array is stored. */
typedef struct hdf5_storage {
	hid_t type;
	int64_t chunk_rows;    /**< 0: contiguous */
	int64_t chunk_columns; /**< of the last dimension; 0: all */
	bool deflate;
} hdf5_storage;

/** HDF5's type of an element type, little-endian. */
static inline hid_t hdf5_type(data_type type)
{
	switch (type) {
	case DATA_U8:
		return H5T_STD_U8LE;
	case DATA_I8:
		return H5T_STD_I8LE;
	case DATA_I16:
		return H5T_STD_I16LE;
	case DATA_I32:
		return H5T_STD_I32LE;
	case DATA_F32:
		return H5T_IEEE_F32LE;
	default:
		return H5T_IEEE_F64LE;
	}
}

/** One array of doubles in the root group of an open file; HDF5 converts. */
static inline ftmpi_status hdf5_write(hid_t file, const char *name, hdf5_storage storage, int n_dims,
				      const int64_t *dims, const double *values)
{
	ftmpi_status status = FTMPI_OK;
	hsize_t extent[H5S_MAX_RANK] = {0}, chunk[H5S_MAX_RANK] = {0};
	hid_t space, plist = H5Pcreate(H5P_DATASET_CREATE), set;

	for (int d = 0; d < n_dims; d++)
		chunk[d] = extent[d] = (hsize_t)dims[d];
	chunk[0] = (hsize_t)storage.chunk_rows;
	if (storage.chunk_columns > 0)
		chunk[n_dims - 1] = (hsize_t)storage.chunk_columns;
	space = H5Screate_simple(n_dims, extent, NULL);
	if (storage.chunk_rows > 0)
		(void)H5Pset_chunk(plist, n_dims, chunk);
	if (storage.deflate)
		(void)H5Pset_deflate(plist, 4);
	set = H5Dcreate2(file, name, storage.type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
	if (set < 0 || H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
		status = ftmpi_error_set(FTMPI_ERR_IO, __FILE__, __LINE__, "%s: cannot write", name);
	(void)H5Dclose(set);
	(void)H5Pclose(plist);
	(void)H5Sclose(space);
	return status;
}

#endif
