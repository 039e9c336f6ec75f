/* SPDX-License-Identifier: Apache-2.0 */
/* Object headers of version 1, after the specification "HDF5 File Format Specification Version 3.0", sections IV.A.1.a and IV.A.2.
 *
 * What cannot be read of a dataset is said in its description, since it matters only if the dataset is wanted; a header that is no header is an
 * error. All bytes come through cursors. */
#include "keras/h5.h"

#include <string.h>

enum { MAX_PENDING = 64 };

struct header {
	ftmpi__h5_object *object;
	bool has_type, has_shape;
	struct {
		uint64_t address, n_bytes;
	} pending[MAX_PENDING]; /* further blocks of messages */
	int n_pending;
};

static const char *take_type(ftmpi__cursor c, ftmpi__hdf5_value *value)
{
	return ftmpi__hdf5_decode_type(c, value) == NULL
		       ? NULL
		       : "a type that is not supported: numbers must be little-endian "
			 "float32, float64, int32 or int64";
}

/* Address of the tree, and the shape of a chunk, whose last number is an element's size. */
static const char *take_chunked(ftmpi__cursor c, ftmpi__h5_array *array)
{
	const int n = (int)ftmpi__cursor_number(&c, 1) - 1;

	array->chunks = ftmpi__cursor_number(&c, 8);
	if (n < 1 || n > FTMPI_MAX_DIMS)
		return "chunks of a shape that is not supported";
	for (int i = 0; i < n; i++)
		array->chunk[i] = (int64_t)ftmpi__cursor_number(&c, 4);
	array->is_chunked = true;
	return c.bad ? "a cut-off layout" : NULL;
}

static const char *take_layout(ftmpi__cursor c, const ftmpi__h5_file *file, ftmpi__h5_array *array)
{
	enum { COMPACT, CONTIGUOUS, CHUNKED };
	ftmpi__cursor rest = c;
	const uint64_t version = ftmpi__cursor_number(&rest, 1), layout_class = ftmpi__cursor_number(&rest, 1);
	const ftmpi__image *image = file->image;
	ftmpi__hdf5_layout layout;
	const char *wrong;

	if (version != 3)
		return "a layout of another version than h5py's default";
	if (layout_class == CHUNKED)
		return take_chunked(rest, array);
	if (layout_class == COMPACT) {
		array->value.n_bytes = (size_t)ftmpi__cursor_number(&rest, 2);
		array->value.data = ftmpi__cursor_take(&rest, array->value.n_bytes);
		return rest.bad ? "a cut-off layout" : NULL;
	}
	wrong = ftmpi__hdf5_decode_layout(c, &layout);
	if (wrong != NULL)
		return wrong;
	array->value.n_bytes = 0;
	if (layout.address == FTMPI__HDF5_NOWHERE) /* nothing was written yet */
		return NULL;
	if (layout.address > image->n_bytes || layout.n_bytes > image->n_bytes - layout.address)
		return "data beyond the end of the file";
	array->value.data = image->data + layout.address;
	array->value.n_bytes = (size_t)layout.n_bytes;
	return NULL;
}

static const char *take_filters(ftmpi__cursor c, ftmpi__h5_array *array)
{
	const uint64_t version = ftmpi__cursor_number(&c, 1), n = ftmpi__cursor_number(&c, 1);

	if (version != 1)
		return "filters of another version than h5py's default";
	if (n > FTMPI__H5_MAX_FILTERS)
		return "too many filters";
	(void)ftmpi__cursor_take(&c, 6);
	for (uint64_t i = 0; i < n; i++) {
		const uint64_t id = ftmpi__cursor_number(&c, 2), name_bytes = ftmpi__cursor_number(&c, 2);
		uint64_t n_values;

		(void)ftmpi__cursor_take(&c, 2);
		n_values = ftmpi__cursor_number(&c, 2);
		(void)ftmpi__cursor_take(&c, (size_t)((name_bytes + 7) / 8 * 8 + (n_values + n_values % 2) * 4));
		if (id != FTMPI__H5_DEFLATE && id != FTMPI__H5_SHUFFLE && id != FTMPI__H5_FLETCHER32)
			return "a filter that is not supported: only gzip, shuffle and fletcher32 are";
		array->filters[i] = (int)id;
	}
	array->n_filters = (int)n;
	return c.bad ? "cut-off filters" : NULL;
}

static void take_symbol_table(ftmpi__cursor c, ftmpi__h5_object *object)
{
	object->links = ftmpi__cursor_number(&c, 8);
	object->names = ftmpi__cursor_number(&c, 8);
	object->is_group = true;
}

static ftmpi_status take_continuation(const ftmpi__h5_file *file, struct header *header, ftmpi__cursor c)
{
	const uint64_t address = ftmpi__cursor_number(&c, 8), n_bytes = ftmpi__cursor_number(&c, 8);

	if (c.bad || header->n_pending == MAX_PENDING)
		return ftmpi__h5_bad(file, "a header in too many pieces");
	header->pending[header->n_pending].address = address;
	header->pending[header->n_pending].n_bytes = n_bytes;
	header->n_pending++;
	return FTMPI_OK;
}

/* One message. Types that are not named here (fill value, times, attributes, …) change nothing of what is read. */
static ftmpi_status take_message(const ftmpi__h5_file *file, struct header *header, unsigned type, bool is_shared,
				 ftmpi__cursor c)
{
	ftmpi__h5_array *array = &header->object->array;
	const char *wrong = NULL;

	switch (type) {
	case FTMPI__MSG_CONTINUATION:
		return take_continuation(file, header, c);
	case FTMPI__MSG_SYMBOL_TABLE:
		take_symbol_table(c, header->object);
		break;
	case FTMPI__MSG_LINK_INFO:
	case FTMPI__MSG_LINK:
		wrong = "links of another kind than h5py's default; they are not followed";
		break;
	case FTMPI__MSG_DATATYPE:
		header->has_type = true;
		wrong = is_shared ? "a type that is kept elsewhere" : take_type(c, &array->value);
		break;
	case FTMPI__MSG_DATASPACE:
		header->has_shape = true;
		wrong = is_shared ? "a shape that is kept elsewhere" : ftmpi__hdf5_decode_shape(c, &array->value);
		break;
	case FTMPI__MSG_LAYOUT:
		header->object->is_dataset = true;
		wrong = take_layout(c, file, array);
		break;
	case FTMPI__MSG_FILTERS:
		wrong = take_filters(c, array);
		break;
	case FTMPI__MSG_EXTERNAL:
		wrong = "data in another file";
		break;
	default:
		break;
	}
	if (array->wrong == NULL)
		array->wrong = wrong;
	return FTMPI_OK;
}

/* All messages of one block; what is too short for a message's head is a gap. */
static ftmpi_status take_messages(const ftmpi__h5_file *file, struct header *header, ftmpi__cursor c)
{
	enum { HEAD_BYTES = 8, SHARED = 2 };
	ftmpi_status status = FTMPI_OK;

	while (c.left >= HEAD_BYTES) {
		const unsigned type = (unsigned)ftmpi__cursor_number(&c, 2);
		const size_t n_bytes = (size_t)ftmpi__cursor_number(&c, 2);
		const unsigned flags = (unsigned)ftmpi__cursor_number(&c, 1);
		const uint8_t *at;

		(void)ftmpi__cursor_take(&c, 3);
		at = ftmpi__cursor_take(&c, n_bytes);
		if (at == NULL)
			FTMPI_TRY(ftmpi__h5_bad(file, "a message beyond the end of its header"));
		FTMPI_TRY(take_message(file, header, type, (flags & SHARED) != 0,
				       (ftmpi__cursor){.at = at, .left = n_bytes}));
	}
done:
	return status;
}

/* A chunk's size; and that the chunks, which may stand out beyond the dataset, are together not much longer: unpacking them is work. */
static const char *check_chunked(ftmpi__h5_array *array)
{
	enum { SLACK_BYTES = 4 << 20, MAX_GROWTH = 4 };
	const ftmpi__hdf5_value *value = &array->value;
	ftmpi__hdf5_value chunk = *value, all = *value;

	if (!ftmpi__hdf5_count_bytes(&array->value, PTRDIFF_MAX / 8))
		return "an absurd size";
	if (value->n_bytes == 0)
		return NULL;
	for (int i = 0; i < value->n_dims; i++) {
		if (array->chunk[i] < 1)
			return "chunks without elements";
		chunk.dims[i] = array->chunk[i];
		all.dims[i] = ((value->dims[i] - 1) / array->chunk[i] + 1) * array->chunk[i];
	}
	if (!ftmpi__hdf5_count_bytes(&all, MAX_GROWTH * value->n_bytes + SLACK_BYTES) ||
	    !ftmpi__hdf5_count_bytes(&chunk, all.n_bytes))
		return "chunks of an absurd size";
	array->chunk_bytes = chunk.n_bytes;
	return value->n_dims == 0 ? "chunks of a single number" : NULL;
}

static const char *check_dataset(const struct header *header, ftmpi__h5_array *array)
{
	const size_t stored_bytes = array->value.n_bytes;

	if (!header->has_type || !header->has_shape || header->object->is_group)
		return "no whole description";
	if (array->is_chunked)
		return check_chunked(array);
	if (array->n_filters > 0)
		return "filters without chunks";
	if (!ftmpi__hdf5_count_bytes(&array->value, stored_bytes))
		return "fewer bytes than its shape says";
	return NULL;
}

ftmpi_status ftmpi__h5_object_read(ftmpi__h5_file *file, uint64_t address, ftmpi__h5_object *out)
{
	enum { PREFIX_BYTES = 16 };
	ftmpi_status status = FTMPI_OK;
	struct header header = {.object = out};
	ftmpi__cursor c = {0};
	uint64_t version, n_bytes;

	*out = (ftmpi__h5_object){0};
	FTMPI_TRY(ftmpi__h5_open(file, address, PREFIX_BYTES, &c));
	version = ftmpi__cursor_number(&c, 1);
	(void)ftmpi__cursor_take(&c, 7);
	n_bytes = ftmpi__cursor_number(&c, 4);
	if (version != 1)
		FTMPI_TRY(ftmpi__h5_bad(file, "a header of another version than h5py's default"));
	FTMPI_TRY(ftmpi__h5_open(file, address + PREFIX_BYTES, n_bytes, &c));
	FTMPI_TRY(take_messages(file, &header, c));
	while (header.n_pending > 0) {
		header.n_pending--;
		FTMPI_TRY(ftmpi__h5_open(file, header.pending[header.n_pending].address,
					 header.pending[header.n_pending].n_bytes, &c));
		FTMPI_TRY(take_messages(file, &header, c));
	}
	if (out->is_dataset && out->array.wrong == NULL)
		out->array.wrong = check_dataset(&header, &out->array);
done:
	return status;
}
