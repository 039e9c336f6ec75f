/* SPDX-License-Identifier: Apache-2.0 */
/* One numeric array of an HDF5 file that is not trusted.
 *
 * HDF5 believes a file's dimensions, so they are held against the file's real length before anything is allocated: a
 * contiguous array must lie within the file, and a chunked one can be at most 1032 times as large as its stored chunks,
 * which is the most that deflate expands. (MPI-IO reads zeros behind the end of a file without a word, which is why the
 * bound is checked even where nothing is allocated.) The chunk cache is made large enough for one row of chunks, so
 * that reading rows in order decompresses each chunk once. */
#include "data/hdf5_array.h"

#include "data/convert.h"

#include <stdio.h>
#include <string.h>

void ftmpi__hdf5_silence_begin(ftmpi__hdf5_silence *silence)
{
	silence->print = NULL;
	silence->data = NULL;
	(void)H5Eget_auto2(H5E_DEFAULT, &silence->print, &silence->data);
	(void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void ftmpi__hdf5_silence_end(const ftmpi__hdf5_silence *silence)
{
	(void)H5Eset_auto2(H5E_DEFAULT, silence->print, silence->data);
}

/* The innermost entry comes first. */
static herr_t copy_reason(unsigned n, const H5E_error2_t *entry, void *reason)
{
	if (n == 0 && entry->desc != NULL)
		(void)snprintf(reason, 256, "%s", entry->desc);
	return 0;
}

ftmpi_status ftmpi__hdf5_check(int64_t code, const char *what)
{
	ftmpi_status status = FTMPI_OK;
	char reason[256] = "HDF5 gives no reason";

	if (code >= 0)
		goto done;
	(void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, copy_reason, reason);
	FTMPI_FAIL(FTMPI_ERR_DATA, "%s: %s", what, reason);
done:
	return status;
}

/* IEEE half precision, which HDF5 has no name for. */
static hid_t half_type(hid_t float_type)
{
	const hid_t type = H5Tcopy(float_type);

	if (type >= 0 &&
	    (H5Tset_fields(type, 15, 10, 5, 0, 10) < 0 || H5Tset_size(type, 2) < 0 || H5Tset_ebias(type, 15) < 0)) {
		(void)H5Tclose(type);
		return H5I_INVALID_HID;
	}
	return type;
}

/* The types that are read: HDF5 can describe integers and floats of any layout, but its conversions do not survive
 * every layout that a file can claim. */
static ftmpi_status check_type(ftmpi__array *array)
{
	ftmpi_status status = FTMPI_OK;
	const hid_t halves[] = {half_type(H5T_IEEE_F32LE), half_type(H5T_IEEE_F32BE)};
	const hid_t known[] = {H5T_STD_U8LE,  H5T_STD_U8BE,   H5T_STD_I8LE,   H5T_STD_I8BE,   H5T_STD_U16LE,
			       H5T_STD_U16BE, H5T_STD_I16LE,  H5T_STD_I16BE,  H5T_STD_U32LE,  H5T_STD_U32BE,
			       H5T_STD_I32LE, H5T_STD_I32BE,  H5T_STD_U64LE,  H5T_STD_U64BE,  H5T_STD_I64LE,
			       H5T_STD_I64BE, H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64LE, H5T_IEEE_F64BE,
			       halves[0],     halves[1]};
	const hid_t type = H5Dget_type(array->set);
	size_t i = 0;

	FTMPI_TRY(ftmpi__hdf5_check(type, array->name));
	while (i < sizeof known / sizeof known[0] && H5Tequal(type, known[i]) <= 0)
		i++;
	if (i == sizeof known / sizeof known[0])
		FTMPI_FAIL(FTMPI_ERR_DATA,
			   "%s: elements are neither integers nor floating-point numbers of a usual format",
			   array->name);
	array->is_u8 = i < 2;
done:
	for (i = 0; i < 2; i++)
		if (halves[i] >= 0)
			(void)H5Tclose(halves[i]);
	if (type >= 0)
		(void)H5Tclose(type);
	return status;
}

static ftmpi_status read_shape(ftmpi__array *array)
{
	ftmpi_status status = FTMPI_OK;
	const hid_t space = H5Dget_space(array->set);
	hsize_t dims[H5S_MAX_RANK], most[H5S_MAX_RANK];

	FTMPI_TRY(ftmpi__hdf5_check(space, array->name));
	array->n_dims = H5Sget_simple_extent_type(space) == H5S_SIMPLE ? H5Sget_simple_extent_ndims(space) : 0;
	if (array->n_dims < 1 || array->n_dims > FTMPI__ARRAY_MAX_DIMS)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: has %d dimensions; 1 to %d are possible", array->name, array->n_dims,
			   FTMPI__ARRAY_MAX_DIMS);
	FTMPI_TRY(ftmpi__hdf5_check(H5Sget_simple_extent_dims(space, dims, most), array->name));
	array->row_values = 1;
	for (int d = 0; d < array->n_dims; d++) {
		if (dims[d] == 0)
			FTMPI_FAIL(FTMPI_ERR_DATA, "%s: holds no samples: dimension %d is 0", array->name, d);
		array->dims[d] = dims[d] > INT64_MAX ? INT64_MAX : (int64_t)dims[d];
		array->most[d] = most[d] > INT64_MAX ? INT64_MAX : (int64_t)most[d];
	}
done:
	if (space >= 0)
		(void)H5Sclose(space);
	return status;
}

/* Bytes that the array's stored data can stand for; see the top. */
static ftmpi_status storage_bound(const ftmpi__array *array, hid_t plist, int64_t file_bytes, int64_t *bound)
{
	ftmpi_status status = FTMPI_OK;
	const H5D_layout_t layout = H5Pget_layout(plist);
	const hsize_t stored = H5Dget_storage_size(array->set);
	const haddr_t at = layout == H5D_CONTIGUOUS ? H5Dget_offset(array->set) : 0;

	if ((layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED) ||
	    H5Pget_external_count(plist) != 0)
		FTMPI_FAIL(FTMPI_ERR_DATA,
			   "%s: its data is in other files (external or virtual); copy it into one file", array->name);
	if (stored == 0)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: holds no data: it was never written", array->name);
	if (stored > (hsize_t)file_bytes || at > (hsize_t)file_bytes - stored)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: its data lies outside the file's %lld bytes", array->name,
			   (long long)file_bytes);
	*bound = (int64_t)stored;
	if (layout == H5D_CHUNKED && H5Pget_nfilters(plist) > 0)
		*bound = ftmpi__deflate_bound(*bound);
done:
	return status;
}

/* Compressed with something that this HDF5 does not have? HDF5 itself says no more than that it finds no plug-in. */
static ftmpi_status check_filters(const ftmpi__array *array, hid_t plist)
{
	ftmpi_status status = FTMPI_OK;
	const int n = H5Pget_nfilters(plist);

	for (int i = 0; i < n; i++) {
		size_t n_values = 0;
		/* nothing is asked but the number: the rest fails for a filter that is missing */
		const H5Z_filter_t filter = H5Pget_filter2(plist, (unsigned)i, NULL, &n_values, NULL, 0, NULL, NULL);

		if (filter < 0 || H5Zfilter_avail(filter) <= 0)
			FTMPI_FAIL(FTMPI_ERR_DATA,
				   "%s: is stored with HDF5 filter %d, which is not installed here; store it with gzip "
				   "or uncompressed",
				   array->name, filter);
	}
done:
	return status;
}

static ftmpi_status check_size(ftmpi__array *array, hid_t plist, int64_t file_bytes)
{
	ftmpi_status status = FTMPI_OK;
	const hid_t type = H5Dget_type(array->set);
	int64_t bound = 0, n_values;

	FTMPI_TRY(ftmpi__hdf5_check(type, array->name));
	FTMPI_TRY(storage_bound(array, plist, file_bytes, &bound));
	if (!ftmpi__count_elements(array->n_dims, array->dims, H5Tget_size(type), bound, &n_values))
		FTMPI_FAIL(FTMPI_ERR_DATA,
			   "%s: its shape stands for more data than the file can hold, at most %lld bytes", array->name,
			   (long long)bound);
	array->row_values = n_values / array->dims[0];
done:
	if (type >= 0)
		(void)H5Tclose(type);
	return status;
}

/* Chunks that lie side by side in one row of chunks, and the bytes of all of them; false if no file of this length has
 * such chunks: they do not fit below the bound, or are larger than the array can ever be, which HDF5 does not check
 * when it opens a file. */
static bool chunk_row(const ftmpi__array *array, const hsize_t *chunk, size_t element_bytes, int64_t bound,
		      int64_t *n_chunks, int64_t *n_bytes)
{
	int64_t dims[FTMPI__ARRAY_MAX_DIMS], n_values;

	*n_chunks = 1;
	for (int d = 0; d < array->n_dims; d++) {
		const int64_t extent = (int64_t)chunk[d];
		int64_t n = 1;

		if (extent < 1 || extent > array->most[d])
			return false;
		if (d > 0)
			n = array->dims[d] / extent + (array->dims[d] % extent != 0);
		*n_chunks *= n;
		if (__builtin_mul_overflow(n, extent, &dims[d]))
			return false;
	}
	if (!ftmpi__count_elements(array->n_dims, dims, element_bytes, bound, &n_values))
		return false;
	*n_bytes = n_values * (int64_t)element_bytes;
	return true;
}

/* Open again with a chunk cache of one row of chunks. */
static ftmpi_status enlarge_cache(ftmpi__array *array, hid_t file, const char *name, int64_t n_chunks, int64_t n_bytes)
{
	ftmpi_status status = FTMPI_OK;
	const size_t n_slots = n_chunks < 100000 ? (size_t)n_chunks * 10 + 521 : 1000003;
	const hid_t access = H5Pcreate(H5P_DATASET_ACCESS);

	FTMPI_TRY(ftmpi__hdf5_check(access, array->name));
	FTMPI_TRY(ftmpi__hdf5_check(H5Pset_chunk_cache(access, n_slots, (size_t)n_bytes + (1 << 20), 1), array->name));
	ftmpi__array_close(array);
	array->set = H5Dopen2(file, name, access);
	FTMPI_TRY(ftmpi__hdf5_check(array->set, array->name));
done:
	if (access >= 0)
		(void)H5Pclose(access);
	return status;
}

static ftmpi_status prepare_chunks(ftmpi__array *array, hid_t plist, hid_t file, const char *name, int64_t file_bytes)
{
	ftmpi_status status = FTMPI_OK;
	const hid_t type = H5Dget_type(array->set);
	hsize_t chunk[FTMPI__ARRAY_MAX_DIMS];
	int64_t bound = 0, n_chunks = 0, n_bytes = 0;

	FTMPI_TRY(ftmpi__hdf5_check(type, array->name));
	FTMPI_TRY(storage_bound(array, plist, file_bytes, &bound));
	if (H5Pget_chunk(plist, array->n_dims, chunk) != array->n_dims)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: its chunks do not have %d dimensions", array->name, array->n_dims);
	if (!chunk_row(array, chunk, H5Tget_size(type), bound, &n_chunks, &n_bytes))
		FTMPI_FAIL(FTMPI_ERR_DATA,
			   "%s: its chunks stand for more data than the array or the file can hold, at most %lld bytes",
			   array->name, (long long)bound);
	FTMPI_TRY(enlarge_cache(array, file, name, n_chunks, n_bytes));
done:
	if (type >= 0)
		(void)H5Tclose(type);
	return status;
}

static ftmpi_status check_storage(ftmpi__array *array, hid_t file, const char *name, int64_t file_bytes)
{
	ftmpi_status status = FTMPI_OK;
	const hid_t plist = H5Dget_create_plist(array->set);

	FTMPI_TRY(ftmpi__hdf5_check(plist, array->name));
	FTMPI_TRY(check_filters(array, plist));
	FTMPI_TRY(check_size(array, plist, file_bytes));
	if (H5Pget_layout(plist) == H5D_CHUNKED)
		FTMPI_TRY(prepare_chunks(array, plist, file, name, file_bytes));
done:
	if (plist >= 0)
		(void)H5Pclose(plist);
	return status;
}

ftmpi_status ftmpi__array_open(hid_t file, const char *path, const char *name, int64_t file_bytes, ftmpi__array *array)
{
	ftmpi_status status = FTMPI_OK;
	H5L_info_t link;

	array->set = H5I_INVALID_HID;
	(void)snprintf(array->name, sizeof array->name, "%.1000s: %s", path, name);
	FTMPI_TRY(ftmpi__hdf5_check(H5Lget_info(file, name, &link, H5P_DEFAULT), array->name));
	if (link.type != H5L_TYPE_HARD)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: is a soft or external link; the array itself must be there",
			   array->name);
	array->set = H5Dopen2(file, name, H5P_DEFAULT);
	FTMPI_TRY(ftmpi__hdf5_check(array->set, array->name));
	FTMPI_TRY(check_type(array));
	FTMPI_TRY(read_shape(array));
	FTMPI_TRY(check_storage(array, file, name, file_bytes));
done:
	if (status != FTMPI_OK)
		ftmpi__array_close(array);
	return status;
}

void ftmpi__array_close(ftmpi__array *array)
{
	if (array->set >= 0)
		(void)H5Dclose(array->set);
	array->set = H5I_INVALID_HID;
}

ftmpi_status ftmpi__array_read(const ftmpi__array *array, int64_t first, int64_t n, hid_t type, void *to)
{
	ftmpi_status status = FTMPI_OK;
	hsize_t start[FTMPI__ARRAY_MAX_DIMS] = {(hsize_t)first}, count[FTMPI__ARRAY_MAX_DIMS] = {(hsize_t)n};
	const hid_t in_file = H5Dget_space(array->set);
	hid_t in_memory = H5I_INVALID_HID;

	for (int d = 1; d < array->n_dims; d++)
		count[d] = (hsize_t)array->dims[d];
	FTMPI_TRY(ftmpi__hdf5_check(in_file, array->name));
	FTMPI_TRY(
		ftmpi__hdf5_check(H5Sselect_hyperslab(in_file, H5S_SELECT_SET, start, NULL, count, NULL), array->name));
	in_memory = H5Screate_simple(array->n_dims, count, NULL);
	FTMPI_TRY(ftmpi__hdf5_check(in_memory, array->name));
	FTMPI_TRY(ftmpi__hdf5_check(H5Dread(array->set, type, in_memory, in_file, H5P_DEFAULT, to), array->name));
done:
	if (in_memory >= 0)
		(void)H5Sclose(in_memory);
	if (in_file >= 0)
		(void)H5Sclose(in_file);
	return status;
}
