/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of IDX files under MNIST's names, plain or gzipped.
 *
 *     file = 0, 0, type, number of dimensions; each dimension as a big-endian 32-bit number; the values, big-endian
 *
 * (Y. LeCun, C. Cortes, C. Burges: "The MNIST database of handwritten digits", which defines the format.) Nothing in a
 * header is believed before the file's length bears it out, and a file must end where its header says. The inputs'
 * first dimension counts the samples, the others are a sample's shape. */
#include "data/convert.h"
#include "data/stream.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Values that are decoded at a time. */
enum { BLOCK_VALUES = 8192, TYPE_MAX_BYTES = 8 };

typedef enum idx_type {
	IDX_U8 = 0x08,
	IDX_I8 = 0x09,
	IDX_I16 = 0x0B,
	IDX_I32 = 0x0C,
	IDX_F32 = 0x0D,
	IDX_F64 = 0x0E
} idx_type;

/* One open file, behind its header. */
struct idx_file {
	ftmpi__stream *stream;
	idx_type type;
	int n_dims;
	int64_t dims[FTMPI__ARRAY_MAX_DIMS];
	int64_t n_values;
};

struct idx_split {
	struct idx_file images, labels;
};

static const char *const split_prefixes[] = {[FTMPI_TRAIN] = "train", [FTMPI_TEST] = "t10k"};

static size_t type_bytes(idx_type type)
{
	switch (type) {
	case IDX_U8:
	case IDX_I8:
		return 1;
	case IDX_I16:
		return 2;
	case IDX_I32:
	case IDX_F32:
		return 4;
	case IDX_F64:
		return 8;
	}
	return 0;
}

/* A big-endian value of the file. */
static double decode_value(idx_type type, const unsigned char *p, size_t n_bytes)
{
	uint64_t bits = 0;
	uint32_t low;
	float f;
	double d;

	for (size_t i = 0; i < n_bytes; i++)
		bits = bits << 8 | p[i];
	low = (uint32_t)bits;
	switch (type) {
	case IDX_U8:
		return (double)low;
	case IDX_I8:
		return (double)(int8_t)low;
	case IDX_I16:
		return (double)(int16_t)low;
	case IDX_I32:
		return (double)(int32_t)low;
	case IDX_F32:
		memcpy(&f, &low, sizeof f);
		return (double)f;
	case IDX_F64:
		break;
	}
	memcpy(&d, &bits, sizeof d);
	return d;
}

static ftmpi_status header_read(struct idx_file *file)
{
	ftmpi_status status = FTMPI_OK;
	const char *path = ftmpi__stream_path(file->stream);
	unsigned char magic[4], size[4];

	FTMPI_TRY(ftmpi__stream_read(file->stream, magic, sizeof magic));
	if (magic[0] != 0 || magic[1] != 0 || type_bytes((idx_type)magic[2]) == 0)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: not an IDX file: begins with %02x %02x %02x %02x", path, magic[0],
			   magic[1], magic[2], magic[3]);
	if (magic[3] < 1 || magic[3] > FTMPI__ARRAY_MAX_DIMS)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: has %d dimensions; 1 to %d are possible", path, magic[3],
			   FTMPI__ARRAY_MAX_DIMS);
	file->type = (idx_type)magic[2];
	file->n_dims = magic[3];
	for (int d = 0; d < file->n_dims; d++) {
		FTMPI_TRY(ftmpi__stream_read(file->stream, size, sizeof size));
		file->dims[d] = (int64_t)size[0] << 24 | size[1] << 16 | size[2] << 8 | size[3];
		if (file->dims[d] == 0)
			FTMPI_FAIL(FTMPI_ERR_DATA, "%s: holds no samples: dimension %d is 0", path, d);
	}
done:
	return status;
}

/* Does the length of the file bear out what the header says? */
static ftmpi_status header_check(struct idx_file *file)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t header_bytes = 4 + 4 * (int64_t)file->n_dims;
	const size_t element_bytes = type_bytes(file->type);

	if (!ftmpi__count_elements(file->n_dims, file->dims, element_bytes, INT64_MAX - header_bytes, &file->n_values))
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: dimensions of the header do not fit any file",
			   ftmpi__stream_path(file->stream));
	FTMPI_TRY(ftmpi__stream_check_length(file->stream, header_bytes + file->n_values * (int64_t)element_bytes));
done:
	return status;
}

static ftmpi_status file_open(const char *path, struct idx_file *file)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi__stream_open(path, &file->stream));
	FTMPI_TRY(header_read(file));
	FTMPI_TRY(header_check(file));
done:
	return status;
}

/* Path of "train-images-idx3-ubyte" in one of its spellings; empty when there is none. */
static ftmpi_status find_file(const char *folder, ftmpi_split split, const char *kind, int n_dims, ftmpi_buffer *path)
{
	static const struct {
		char joint;
		const char *end;
	} spellings[] = {{'-', ""}, {'-', ".gz"}, {'.', ""}, {'.', ".gz"}};
	ftmpi_status status = FTMPI_OK;

	for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
		FTMPI_TRY(ftmpi_buffer_resize(path, 0));
		FTMPI_TRY(ftmpi_buffer_printf(path, "%s/%s-%s%cidx%d-ubyte%s", folder, split_prefixes[split], kind,
					      spellings[i].joint, n_dims, spellings[i].end));
		if (access(path->data, F_OK) == 0)
			goto done;
		if (errno != ENOENT)
			FTMPI_FAIL(FTMPI_ERR_IO, "%s: %s", path->data, strerror(errno));
	}
	FTMPI_TRY(ftmpi_buffer_resize(path, 0));
done:
	return status;
}

static ftmpi_status find_split(const char *folder, ftmpi_split split, ftmpi_buffer *images, ftmpi_buffer *labels)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(find_file(folder, split, "images", 3, images));
	FTMPI_TRY(find_file(folder, split, "labels", 1, labels));
	if ((images->n_bytes == 0) != (labels->n_bytes == 0))
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "%s: has %s, but no %s-%s-ubyte (plain or .gz)", folder,
			   images->n_bytes > 0 ? strrchr(images->data, '/') + 1 : strrchr(labels->data, '/') + 1,
			   split_prefixes[split], images->n_bytes == 0 ? "images-idx3" : "labels-idx1");
done:
	return status;
}

/* One number for each image: as a label a whole one, else of any type. */
static ftmpi_status check_labels(const struct idx_split *idx, bool has_labels)
{
	ftmpi_status status = FTMPI_OK;
	const struct idx_file *labels = &idx->labels;
	const bool is_float = labels->type == IDX_F32 || labels->type == IDX_F64;
	const char *path = ftmpi__stream_path(labels->stream);

	if (labels->n_dims != 1 || (has_labels && is_float))
		FTMPI_FAIL(FTMPI_ERR_DATA,
			   "%s: labels must be one-dimensional %snumbers; these have type %02x and %d dimensions", path,
			   has_labels ? "whole " : "", labels->type, labels->n_dims);
	if (labels->dims[0] != idx->images.dims[0])
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: has %lld labels, but %s has %lld images", path,
			   (long long)labels->dims[0], ftmpi__stream_path(idx->images.stream),
			   (long long)idx->images.dims[0]);
done:
	return status;
}

static ftmpi__split_info info_of(const struct idx_file *images, bool has_labels)
{
	ftmpi__split_info info = ftmpi__info_of_array(images->n_dims, images->dims, images->type == IDX_U8);

	info.n_targets = has_labels ? 0 : 1;
	return info;
}

/* Where the other split is there too, its samples must have the same shape. */
static ftmpi_status check_other(const char *folder, ftmpi_split split, const char *name, const ftmpi__split_info *info)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__split_info other_info;
	ftmpi_buffer path = {0};
	struct idx_file other = {0};

	FTMPI_TRY(find_file(folder, split == FTMPI_TRAIN ? FTMPI_TEST : FTMPI_TRAIN, "images", 3, &path));
	if (path.n_bytes == 0)
		goto done;
	FTMPI_TRY(file_open(path.data, &other));
	other_info = info_of(&other, info->n_targets == 0);
	FTMPI_TRY(ftmpi__info_check_same(name, info, path.data, &other_info));
done:
	ftmpi__stream_close(&other.stream);
	ftmpi_buffer_clear(&path);
	return status;
}

static void idx_close(void *self)
{
	struct idx_split *idx = self;

	if (idx == NULL)
		return;
	ftmpi__stream_close(&idx->images.stream);
	ftmpi__stream_close(&idx->labels.stream);
	ftmpi_free(idx);
}

/* A folder without the split: fine if it is the test split of a folder with train data. */
static ftmpi_status check_absent(const char *folder, ftmpi_split split)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer images = {0}, labels = {0};

	if (split == FTMPI_TEST)
		FTMPI_TRY(find_split(folder, FTMPI_TRAIN, &images, &labels));
	if (images.n_bytes == 0)
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND,
			   "%s: no train-images-idx3-ubyte and train-labels-idx1-ubyte (plain or .gz) in this folder",
			   folder);
done:
	ftmpi_buffer_clear(&images);
	ftmpi_buffer_clear(&labels);
	return status;
}

static ftmpi_status idx_open(const char *path, ftmpi_split split, bool has_labels, ftmpi__split_info *info, void **self)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__split_info found = {0};
	ftmpi_buffer images = {0}, labels = {0};
	struct idx_split *idx = NULL;

	FTMPI_TRY(find_split(path, split, &images, &labels));
	if (images.n_bytes == 0) {
		FTMPI_TRY(check_absent(path, split));
		*info = found;
		goto done;
	}
	FTMPI_TRY(FTMPI_ALLOC(1, &idx));
	FTMPI_TRY(file_open(images.data, &idx->images));
	FTMPI_TRY(file_open(labels.data, &idx->labels));
	FTMPI_TRY(check_labels(idx, has_labels));
	found = info_of(&idx->images, has_labels);
	FTMPI_TRY(check_other(path, split, ftmpi__stream_path(idx->images.stream), &found));
	*info = found;
	*self = idx;
	idx = NULL;
done:
	idx_close(idx);
	ftmpi_buffer_clear(&images);
	ftmpi_buffer_clear(&labels);
	return status;
}

/* Space for one block of values. */
struct block {
	unsigned char raw[BLOCK_VALUES * TYPE_MAX_BYTES];
	double values[BLOCK_VALUES];
};

/* All values of a file, decoded and stored. */
static ftmpi_status read_values(struct idx_file *file, ftmpi__store_function *store, const ftmpi__sink *sink)
{
	ftmpi_status status = FTMPI_OK;
	const size_t element_bytes = type_bytes(file->type);
	struct block *block = NULL;

	FTMPI_TRY(FTMPI_ALLOC(1, &block));
	for (int64_t first = 0; first < file->n_values; first += BLOCK_VALUES) {
		const int64_t left = file->n_values - first;
		const int64_t n = left < BLOCK_VALUES ? left : BLOCK_VALUES;

		FTMPI_TRY(ftmpi__stream_read(file->stream, block->raw, (size_t)n * element_bytes));
		for (int64_t i = 0; i < n; i++)
			block->values[i] =
				decode_value(file->type, block->raw + (size_t)i * element_bytes, element_bytes);
		FTMPI_TRY(store(ftmpi__stream_path(file->stream), block->values, first, n, sink));
	}
	FTMPI_TRY(ftmpi__stream_end(file->stream));
done:
	ftmpi_free(block);
	return status;
}

/* Always the whole split: one rank reads it. */
static ftmpi_status idx_read(void *self, int64_t first, int64_t end, const ftmpi__sink *sink)
{
	ftmpi_status status = FTMPI_OK;
	struct idx_split *idx = self;

	assert(first == 0 && end == idx->images.dims[0]);
	(void)first;
	(void)end;
	if (sink->is_u8) {
		FTMPI_TRY(ftmpi__stream_read(idx->images.stream, sink->inputs, (size_t)idx->images.n_values));
		FTMPI_TRY(ftmpi__stream_end(idx->images.stream));
	} else {
		FTMPI_TRY(read_values(&idx->images, ftmpi__inputs_store, sink));
	}
	FTMPI_TRY(read_values(&idx->labels, ftmpi__targets_store(sink), sink));
done:
	return status;
}

const ftmpi__source_ops ftmpi__idx_source = {.open = idx_open, .read = idx_read, .close = idx_close};
