/* SPDX-License-Identifier: Apache-2.0 */
/* Header messages of HDF5's file format (version 3.0 of its specification): type, shape, place, link, attribute. */
#ifndef FTMPI_CKPT_HDF5_MESSAGES_H
#define FTMPI_CKPT_HDF5_MESSAGES_H

#include "ckpt/hdf5_cursor.h"
#include "ckpt/hdf5_parse.h"

/** Message types that matter here. */
enum {
	FTMPI__MSG_DATASPACE = 0x01,
	FTMPI__MSG_LINK_INFO = 0x02,
	FTMPI__MSG_DATATYPE = 0x03,
	FTMPI__MSG_LINK = 0x06,
	FTMPI__MSG_EXTERNAL = 0x07,
	FTMPI__MSG_LAYOUT = 0x08,
	FTMPI__MSG_FILTERS = 0x0B,
	FTMPI__MSG_ATTRIBUTE = 0x0C,
	FTMPI__MSG_CONTINUATION = 0x10,
	FTMPI__MSG_SYMBOL_TABLE = 0x11
};

/** Address that means "nowhere". */
#define FTMPI__HDF5_NOWHERE UINT64_MAX

typedef struct ftmpi__hdf5_layout {
	uint64_t address, n_bytes;
} ftmpi__hdf5_layout;

typedef struct ftmpi__hdf5_link {
	const uint8_t *name; /**< no zero behind it */
	size_t name_bytes;
	uint64_t address;
} ftmpi__hdf5_link;

/* Each decoder returns NULL, or what is wrong, and writes its output only when it returns NULL. */

/** Type: sets dtype and element_bytes. */
const char *ftmpi__hdf5_decode_type(ftmpi__cursor c, ftmpi__hdf5_value *value);
/** Shape: sets n_dims and dims. */
const char *ftmpi__hdf5_decode_shape(ftmpi__cursor c, ftmpi__hdf5_value *value);
/** Contiguous layout. */
const char *ftmpi__hdf5_decode_layout(ftmpi__cursor c, ftmpi__hdf5_layout *layout);
/** Link info: nothing but whether the links are in the header. */
const char *ftmpi__hdf5_decode_link_info(ftmpi__cursor c);
/** Hard link. */
const char *ftmpi__hdf5_decode_link(ftmpi__cursor c, ftmpi__hdf5_link *link);
/** Attribute: `*name` is zero-terminated, in the message. */
const char *ftmpi__hdf5_decode_attribute(ftmpi__cursor c, const char **name, ftmpi__hdf5_value *value);

/** Bytes of a value of this shape and type, into n_bytes; false when they are more than `max_bytes`. */
bool ftmpi__hdf5_count_bytes(ftmpi__hdf5_value *value, uint64_t max_bytes);

#endif
