/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders of HDF5's header messages, after the specification "HDF5 File Format Specification Version 3.0", section IV.A.2.
 *
 * Every decoder takes its bytes through a cursor and never looks outside it; sizes are checked before they are multiplied. */
#include "ckpt/hdf5_messages.h"

#include <string.h>

/* How the file has our number types: class and version byte (version 1; 3 means the same here), bit field, size, properties. */
static const struct number_type {
	ftmpi_dtype dtype;
	uint8_t type_class;
	uint8_t bits[3];
	uint8_t n_bytes;
	uint8_t n_properties;
	uint8_t properties[12];
} number_types[] = {
	{FTMPI_F32, 1, {0x20, 31, 0}, 4, 12, {0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0}},
	{FTMPI_F64, 1, {0x20, 63, 0}, 8, 12, {0, 0, 64, 0, 52, 11, 0, 52, 0xff, 3, 0, 0}},
	{FTMPI_I32, 0, {0x08, 0, 0}, 4, 4, {0, 0, 32, 0}},
	{FTMPI_I64, 0, {0x08, 0, 0}, 8, 4, {0, 0, 64, 0}},
	{FTMPI_U8, 0, {0x00, 0, 0}, 1, 4, {0, 0, 8, 0}},
	{FTMPI_U64, 0, {0x00, 0, 0}, 8, 4, {0, 0, 64, 0}},
};

enum { CLASS_STRING = 3 };

static const char *number_type(unsigned type_class, const uint8_t *bits, uint64_t n_bytes, ftmpi__cursor c,
			       ftmpi__hdf5_value *value)
{
	for (size_t i = 0; i < sizeof number_types / sizeof number_types[0]; i++) {
		const struct number_type *type = &number_types[i];

		if (type->type_class != type_class || memcmp(type->bits, bits, sizeof type->bits) != 0 ||
		    type->n_bytes != n_bytes || c.left < type->n_properties ||
		    memcmp(type->properties, c.at, type->n_properties) != 0)
			continue;
		value->dtype = type->dtype;
		value->element_bytes = type->n_bytes;
		return NULL;
	}
	return "a type that checkpoints do not have";
}

const char *ftmpi__hdf5_decode_type(ftmpi__cursor c, ftmpi__hdf5_value *value)
{
	const unsigned head = (unsigned)ftmpi__cursor_number(&c, 1);
	const uint8_t *bits = ftmpi__cursor_take(&c, 3);
	const uint64_t n_bytes = ftmpi__cursor_number(&c, 4);

	if (c.bad)
		return "a cut-off type";
	if (head >> 4 != 1 && head >> 4 != 3)
		return "a type of an unknown version";
	if ((head & 15) != CLASS_STRING)
		return number_type(head & 15, bits, n_bytes, c, value);
	if (n_bytes == 0)
		return "strings of length 0";
	value->dtype = FTMPI_TEXT;
	value->element_bytes = (size_t)n_bytes;
	return NULL;
}

const char *ftmpi__hdf5_decode_shape(ftmpi__cursor c, ftmpi__hdf5_value *value)
{
	enum { SCALAR, SIMPLE };
	const uint64_t version = ftmpi__cursor_number(&c, 1), n_dims = ftmpi__cursor_number(&c, 1);
	const uint64_t flags = ftmpi__cursor_number(&c, 1);
	uint64_t type = ftmpi__cursor_number(&c, 1);
	int64_t dims[FTMPI_MAX_DIMS];

	(void)flags; /* largest dimensions may follow; they say nothing about the data that is there */
	if (version == 1) {
		type = n_dims > 0 ? SIMPLE : SCALAR;
		(void)ftmpi__cursor_take(&c, 4);
	}
	if (c.bad || version < 1 || version > 2)
		return "a shape of an unknown version";
	if (n_dims > FTMPI_MAX_DIMS || (type == SCALAR && n_dims != 0) || type > SIMPLE ||
	    (type == SIMPLE && n_dims == 0))
		return "a shape that checkpoints do not have";
	for (uint64_t i = 0; i < n_dims; i++) {
		const uint64_t dim = ftmpi__cursor_number(&c, 8);

		if (dim > INT64_MAX)
			return "an absurd dimension";
		dims[i] = (int64_t)dim;
	}
	if (c.bad)
		return "a cut-off shape";
	value->n_dims = (int)n_dims;
	memcpy(value->dims, dims, (size_t)n_dims * sizeof dims[0]);
	return NULL;
}

const char *ftmpi__hdf5_decode_layout(ftmpi__cursor c, ftmpi__hdf5_layout *layout)
{
	enum { CONTIGUOUS = 1 };
	const uint64_t version = ftmpi__cursor_number(&c, 1), layout_class = ftmpi__cursor_number(&c, 1);
	const uint64_t address = ftmpi__cursor_number(&c, 8), n_bytes = ftmpi__cursor_number(&c, 8);

	if (version != 3 && version != 4)
		return "a layout of an unknown version";
	if (layout_class != CONTIGUOUS)
		return "storage that is not contiguous";
	if (c.bad)
		return "a cut-off layout";
	*layout = (ftmpi__hdf5_layout){.address = address, .n_bytes = n_bytes};
	return NULL;
}

const char *ftmpi__hdf5_decode_link_info(ftmpi__cursor c)
{
	enum { TRACKS_ORDER = 1 };
	const uint64_t version = ftmpi__cursor_number(&c, 1), flags = ftmpi__cursor_number(&c, 1);
	uint64_t heap;

	if (flags & TRACKS_ORDER)
		(void)ftmpi__cursor_take(&c, 8);
	heap = ftmpi__cursor_number(&c, 8);
	if (c.bad || version != 0)
		return "link information of an unknown version";
	if (heap != FTMPI__HDF5_NOWHERE)
		return "links outside the header";
	return NULL;
}

const char *ftmpi__hdf5_decode_link(ftmpi__cursor c, ftmpi__hdf5_link *link)
{
	enum { NAME_WIDTH = 3, HAS_ORDER = 4, HAS_TYPE = 8, HAS_CHARSET = 16, HARD = 0 };
	const uint64_t version = ftmpi__cursor_number(&c, 1), flags = ftmpi__cursor_number(&c, 1);
	uint64_t type = HARD, name_bytes, address;
	const uint8_t *name;

	if (flags & HAS_TYPE)
		type = ftmpi__cursor_number(&c, 1);
	if (flags & HAS_ORDER)
		(void)ftmpi__cursor_take(&c, 8);
	if (flags & HAS_CHARSET)
		(void)ftmpi__cursor_take(&c, 1);
	name_bytes = ftmpi__cursor_number(&c, (size_t)1 << (flags & NAME_WIDTH));
	name = ftmpi__cursor_take(&c, (size_t)name_bytes);
	if (c.bad || version != 1)
		return "a link of an unknown version";
	if (type != HARD)
		return "a soft or external link";
	address = ftmpi__cursor_number(&c, 8);
	if (c.bad || name_bytes == 0)
		return "a cut-off link";
	*link = (ftmpi__hdf5_link){.name = name, .name_bytes = (size_t)name_bytes, .address = address};
	return NULL;
}

bool ftmpi__hdf5_count_bytes(ftmpi__hdf5_value *value, uint64_t max_bytes)
{
	uint64_t n_bytes = value->element_bytes;

	for (int i = 0; i < value->n_dims; i++)
		if (__builtin_mul_overflow(n_bytes, (uint64_t)value->dims[i], &n_bytes))
			return false;
	if (n_bytes > max_bytes)
		return false;
	value->n_bytes = (size_t)n_bytes;
	return true;
}

const char *ftmpi__hdf5_decode_attribute(ftmpi__cursor c, const char **name, ftmpi__hdf5_value *value)
{
	ftmpi__hdf5_value found = {0};
	const uint64_t version = ftmpi__cursor_number(&c, 1), flags = ftmpi__cursor_number(&c, 1);
	const size_t name_bytes = (size_t)ftmpi__cursor_number(&c, 2), type_bytes = (size_t)ftmpi__cursor_number(&c, 2);
	const size_t shape_bytes = (size_t)ftmpi__cursor_number(&c, 2);
	const uint8_t *text, *type, *shape;
	const char *wrong;

	(void)ftmpi__cursor_take(&c, 1); /* character set of the name */
	text = ftmpi__cursor_take(&c, name_bytes);
	type = ftmpi__cursor_take(&c, type_bytes);
	shape = ftmpi__cursor_take(&c, shape_bytes);
	if (c.bad || version != 3 || flags != 0)
		return "an attribute of an unknown version";
	if (name_bytes == 0 || text[name_bytes - 1] != '\0')
		return "an attribute whose name has no end";
	wrong = ftmpi__hdf5_decode_type((ftmpi__cursor){.at = type, .left = type_bytes}, &found);
	if (wrong == NULL)
		wrong = ftmpi__hdf5_decode_shape((ftmpi__cursor){.at = shape, .left = shape_bytes}, &found);
	if (wrong != NULL)
		return wrong;
	if (!ftmpi__hdf5_count_bytes(&found, c.left))
		return "an attribute that is longer than its message";
	found.data = c.at;
	*name = (const char *)text;
	*value = found;
	return NULL;
}
