/* SPDX-License-Identifier: Apache-2.0 */
/* One HDF5 file with x_train, y_train, x_test, y_test.
 *
 * Each rank opens the file for itself, with the MPI-IO driver over MPI_COMM_SELF, and reads its share of the rows
 * independently. Reads are as parallel as over one communicator, but no call is collective: a node that cannot open or
 * read the file fails alone, and the ranks agree on that later, where with a common open the others would wait for it
 * for ever. It also keeps clear of collective metadata reads, which are broken in HDF5 1.10.5 to 1.10.8.
 *
 * 8-bit unsigned inputs go straight to the node's copy; all others pass through a block of doubles. */
#include "base/hdf5_lock.h"
#include "data/convert.h"
#include "data/hdf5_array.h"
#include "data/stream.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

/* Values that are read at a time, at least one row. */
enum { BLOCK_VALUES = 1 << 20 };

struct hdf5_split {
	ftmpi__hdf5_silence silence;
	const char *path;
	int64_t file_bytes;
	hid_t file;
	ftmpi__array inputs, targets;
	bool has_labels; /* else the targets are rows of numbers */
};

static const char *const input_names[] = {[FTMPI_TRAIN] = "x_train", [FTMPI_TEST] = "x_test"};
static const char *const target_names[] = {[FTMPI_TRAIN] = "y_train", [FTMPI_TEST] = "y_test"};

bool ftmpi__hdf5_probe(const char *path)
{
	ftmpi__hdf5_silence silence;
	bool is_hdf5;

	ftmpi__hdf5_lock();
	ftmpi__hdf5_silence_begin(&silence);
	is_hdf5 = H5Fis_hdf5(path) > 0;
	ftmpi__hdf5_silence_end(&silence);
	ftmpi__hdf5_unlock();
	return is_hdf5;
}

/* Length of the file, and a clear error where it cannot be opened at all. */
static ftmpi_status measure(const char *path, int64_t *n_bytes)
{
	ftmpi_status status = FTMPI_OK;
	int fd = -1;

	FTMPI_TRY(ftmpi__file_open(path, &fd, n_bytes));
done:
	if (fd >= 0)
		(void)close(fd);
	return status;
}

static ftmpi_status file_open(struct hdf5_split *self)
{
	ftmpi_status status = FTMPI_OK;
	const hid_t access = H5Pcreate(H5P_FILE_ACCESS);

	FTMPI_TRY(ftmpi__hdf5_check(access, self->path));
	FTMPI_TRY(ftmpi__hdf5_check(H5Pset_fapl_mpio(access, MPI_COMM_SELF, MPI_INFO_NULL), self->path));
	FTMPI_TRY(measure(self->path, &self->file_bytes));
	self->file = H5Fopen(self->path, H5F_ACC_RDONLY, access);
	FTMPI_TRY(ftmpi__hdf5_check(self->file, self->path));
done:
	if (access >= 0)
		(void)H5Pclose(access);
	return status;
}

static bool has(const struct hdf5_split *self, const char *name)
{
	return H5Lexists(self->file, name, H5P_DEFAULT) > 0;
}

/* Append ", name", with whatever is not printable shown as '?'; stops the iteration when the list is long enough. */
static herr_t list_name(hid_t group, const char *name, const H5L_info_t *link, void *context)
{
	ftmpi_buffer *list = context;
	const size_t start = list->n_bytes;

	(void)group;
	(void)link;
	if (start > 200)
		return ftmpi_buffer_printf(list, ", ...") == FTMPI_OK ? 1 : -1;
	if (ftmpi_buffer_printf(list, "%s%.60s", start > 0 ? ", " : "", name) != FTMPI_OK)
		return -1;
	for (size_t i = start; i < list->n_bytes; i++)
		if (!isprint((unsigned char)list->data[i]))
			list->data[i] = '?';
	return 0;
}

/* An array is missing: say what there is. */
static ftmpi_status fail_missing(const struct hdf5_split *self, const char *name)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer list = {0};

	(void)H5Literate(self->file, H5_INDEX_NAME, H5_ITER_INC, NULL, list_name, &list);
	FTMPI_FAIL(FTMPI_ERR_DATA,
		   "%s: has no %s; there must be x_train and y_train, and there may be x_test and y_test; it has: %s",
		   self->path, name, list.n_bytes > 0 ? list.data : "nothing");
done:
	ftmpi_buffer_clear(&list);
	return status;
}

/* Is the split there? Half of it, or none where one is needed, is an error. */
static ftmpi_status find_split(const struct hdf5_split *self, ftmpi_split split, bool *is_present)
{
	ftmpi_status status = FTMPI_OK;
	const bool has_x = has(self, input_names[split]), has_y = has(self, target_names[split]);
	bool has_train = true;

	if (has_x != has_y)
		FTMPI_TRY(fail_missing(self, has_x ? target_names[split] : input_names[split]));
	if (!has_x && split == FTMPI_TEST)
		FTMPI_TRY(find_split(self, FTMPI_TRAIN, &has_train));
	if (!has_x && split == FTMPI_TRAIN)
		FTMPI_TRY(fail_missing(self, input_names[split]));
	*is_present = has_x;
done:
	return status;
}

/* y [n] or [n, 1], of numbers [n, n_targets] */
static ftmpi_status check_targets(const struct hdf5_split *self)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi__array *targets = &self->targets, *inputs = &self->inputs;

	if (self->has_labels && (targets->row_values != 1 || targets->n_dims > 2))
		FTMPI_FAIL(FTMPI_ERR_DATA,
			   "%s: labels must have shape [n] or [n, 1]; this has %d dimensions and %lld values for each "
			   "sample",
			   targets->name, targets->n_dims, (long long)targets->row_values);
	if (targets->n_dims > 2)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: targets must have shape [n] or [n, n_targets]; this has %d dimensions",
			   targets->name, targets->n_dims);
	if (targets->dims[0] != inputs->dims[0])
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: has %lld %s, but %s has %lld samples", targets->name,
			   (long long)targets->dims[0], self->has_labels ? "labels" : "rows", inputs->name,
			   (long long)inputs->dims[0]);
done:
	return status;
}

static ftmpi__split_info info_of(const ftmpi__array *inputs)
{
	return ftmpi__info_of_array(inputs->n_dims, inputs->dims, inputs->is_u8);
}

/* Open one of the other split's arrays; its set stays invalid if it is not there. */
static ftmpi_status open_other(const struct hdf5_split *self, const char *name, ftmpi__array *array)
{
	array->set = H5I_INVALID_HID;
	return has(self, name) ? ftmpi__array_open(self->file, self->path, name, self->file_bytes, array) : FTMPI_OK;
}

/* Where the other split is there too, its samples must have the same shape, and as many numbers as targets. */
static ftmpi_status check_other(const struct hdf5_split *self, ftmpi_split split, const ftmpi__split_info *info)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_split other_split = split == FTMPI_TRAIN ? FTMPI_TEST : FTMPI_TRAIN;
	ftmpi__split_info other_info;
	ftmpi__array other = {.set = H5I_INVALID_HID}, other_targets = {.set = H5I_INVALID_HID};

	FTMPI_TRY(open_other(self, input_names[other_split], &other));
	if (other.set < 0)
		goto done;
	other_info = info_of(&other);
	other_info.n_targets = info->n_targets;
	if (!self->has_labels)
		FTMPI_TRY(open_other(self, target_names[other_split], &other_targets));
	if (other_targets.set >= 0)
		other_info.n_targets = other_targets.row_values;
	FTMPI_TRY(ftmpi__info_check_same(self->inputs.name, info, other.name, &other_info));
done:
	ftmpi__array_close(&other_targets);
	ftmpi__array_close(&other);
	return status;
}

/* What the source's three functions do; here the lock of HDF5 is held. */

static void close_split(struct hdf5_split *self)
{
	if (self == NULL)
		return;
	ftmpi__array_close(&self->inputs);
	ftmpi__array_close(&self->targets);
	if (self->file >= 0)
		(void)H5Fclose(self->file);
	ftmpi__hdf5_silence_end(&self->silence);
	ftmpi_free(self);
}

static ftmpi_status create(const char *path, bool has_labels, struct hdf5_split **out)
{
	ftmpi_status status = FTMPI_OK;
	struct hdf5_split *self;

	FTMPI_TRY(FTMPI_ALLOC(1, &self));
	self->path = path;
	self->has_labels = has_labels;
	self->file = self->inputs.set = self->targets.set = H5I_INVALID_HID;
	ftmpi__hdf5_silence_begin(&self->silence);
	*out = self;
done:
	return status;
}

static ftmpi_status open_split(const char *path, ftmpi_split split, bool has_labels, ftmpi__split_info *info,
			       void **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__split_info found = {0};
	struct hdf5_split *self = NULL;
	bool is_present = false;

	FTMPI_TRY(create(path, has_labels, &self));
	FTMPI_TRY(file_open(self));
	FTMPI_TRY(find_split(self, split, &is_present));
	if (!is_present) {
		*info = found;
		goto done;
	}
	FTMPI_TRY(ftmpi__array_open(self->file, path, input_names[split], self->file_bytes, &self->inputs));
	FTMPI_TRY(ftmpi__array_open(self->file, path, target_names[split], self->file_bytes, &self->targets));
	FTMPI_TRY(check_targets(self));
	found = info_of(&self->inputs);
	found.n_targets = has_labels ? 0 : self->targets.row_values;
	FTMPI_TRY(check_other(self, split, &found));
	*info = found;
	*out = self;
	self = NULL;
done:
	close_split(self);
	return status;
}

static int64_t block_rows(const ftmpi__array *array)
{
	return array->row_values > BLOCK_VALUES ? 1 : BLOCK_VALUES / array->row_values;
}

/* Rows first … end − 1 through a block of doubles. */
static ftmpi_status read_values(const ftmpi__array *array, int64_t first, int64_t end, ftmpi__store_function *store,
				const ftmpi__sink *sink)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t most = block_rows(array) < end - first ? block_rows(array) : end - first;
	double *block = NULL;

	FTMPI_TRY(FTMPI_ALLOC(most * array->row_values, &block));
	for (int64_t row = first; row < end; row += most) {
		const int64_t n = end - row < most ? end - row : most;

		FTMPI_TRY(ftmpi__array_read(array, row, n, H5T_NATIVE_DOUBLE, block));
		FTMPI_TRY(store(array->name, block, row * array->row_values, n * array->row_values, sink));
	}
done:
	ftmpi_free(block);
	return status;
}

/* Rows first … end − 1 of 8-bit values straight to where they stay. */
static ftmpi_status read_bytes(const ftmpi__array *array, int64_t first, int64_t end, const ftmpi__sink *sink)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t most = block_rows(array);

	for (int64_t row = first; row < end; row += most)
		FTMPI_TRY(ftmpi__array_read(array, row, end - row < most ? end - row : most, H5T_NATIVE_UINT8,
					    (uint8_t *)sink->inputs + row * array->row_values));
done:
	return status;
}

static ftmpi_status read_split(const struct hdf5_split *self, int64_t first, int64_t end, const ftmpi__sink *sink)
{
	ftmpi_status status = FTMPI_OK;

	if (sink->is_u8)
		FTMPI_TRY(read_bytes(&self->inputs, first, end, sink));
	else
		FTMPI_TRY(read_values(&self->inputs, first, end, ftmpi__inputs_store, sink));
	FTMPI_TRY(read_values(&self->targets, first, end, ftmpi__targets_store(sink), sink));
done:
	return status;
}

static ftmpi_status hdf5_open(const char *path, ftmpi_split split, bool has_labels, ftmpi__split_info *info, void **out)
{
	ftmpi_status status;

	ftmpi__hdf5_lock();
	status = open_split(path, split, has_labels, info, out);
	ftmpi__hdf5_unlock();
	return status;
}

static ftmpi_status hdf5_read(void *context, int64_t first, int64_t end, const ftmpi__sink *sink)
{
	ftmpi_status status;

	ftmpi__hdf5_lock();
	status = read_split(context, first, end, sink);
	ftmpi__hdf5_unlock();
	return status;
}

static void hdf5_close(void *context)
{
	ftmpi__hdf5_lock();
	close_split(context);
	ftmpi__hdf5_unlock();
}

const ftmpi__source_ops ftmpi__hdf5_source = {
	.open = hdf5_open, .read = hdf5_read, .close = hdf5_close, .all_ranks = true};
