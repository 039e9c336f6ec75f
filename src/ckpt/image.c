/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a registry, written by HDF5 into memory.
 *
 * Objects are created in the order of their paths, without times, with all links of a group in its header: the bytes depend on the registry alone,
 * and the file keeps to the small part of the format that the reader (hdf5_parse.c) takes. Beside the caller's entries there
 * is the group ftmpi/digests: table of the digests of all other datasets, digest of the state, digest of the table.
 *
 * The digest of an entry is computed from the program's array, not from the copy in the image: what goes wrong on the way is found. */
#include "ckpt/image_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "arrays go to the file as they are, and it is little-endian");

/* Bytes of a superblock of version 3 up to the file's length, which is 8 bytes there. */
enum { SUPERBLOCK_LENGTH_AT = 28 };

static hid_t file_type(ftmpi_dtype dtype)
{
	switch (dtype) {
	case FTMPI_F32:
		return H5T_IEEE_F32LE;
	case FTMPI_F64:
		return H5T_IEEE_F64LE;
	case FTMPI_I32:
		return H5T_STD_I32LE;
	case FTMPI_I64:
		return H5T_STD_I64LE;
	case FTMPI_U8:
		return H5T_STD_U8LE;
	case FTMPI_U64:
		return H5T_STD_U64LE;
	case FTMPI_TEXT:
		break;
	}
	return -1;
}

/* A text is one string that is a byte longer than the text: HDF5 has no string of length 0, and so every byte comes back. */
static ftmpi_status put_text(ftmpi__builder *b, const ftmpi__array *array)
{
	ftmpi_status status = FTMPI_OK;
	hid_t type = -1;

	if (array->n_bytes >= UINT32_MAX)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%s': a text of %zu bytes does not fit in an HDF5 string",
			   array->path, array->n_bytes);
	FTMPI_TRY(ftmpi_buffer_resize(&b->scratch, 0));
	FTMPI_TRY(ftmpi_buffer_append(&b->scratch, array->data, array->n_bytes));
	type = ftmpi__string_type(array->n_bytes + 1, H5T_STR_NULLTERM);
	FTMPI__TRY_HDF5(b, type, array->path);
	FTMPI_TRY(ftmpi__put_dataset(b, array->path, type, 0, NULL, b->scratch.data));
done:
	if (type >= 0)
		(void)H5Tclose(type);
	return status;
}

static ftmpi_status put_entry(ftmpi__builder *b, const ftmpi_entry *entry, ftmpi__digest_row *row)
{
	ftmpi_status status = FTMPI_OK;
	int64_t dims[FTMPI_MAX_DIMS];
	const ftmpi__array array = ftmpi__entry_array(entry, dims);

	if (array.n_bytes % ftmpi_dtype_bytes(array.dtype) != 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%s': %zu bytes are not a whole number of %s", array.path,
			   array.n_bytes, ftmpi_dtype_name(array.dtype));
	row->path = array.path;
	row->digest = ftmpi__array_digest(&array);
	row->kind = entry->kind;
	if (array.dtype == FTMPI_TEXT)
		FTMPI_TRY(put_text(b, &array));
	else
		FTMPI_TRY(ftmpi__put_dataset(b, array.path, file_type(array.dtype), array.n_dims, dims, array.data));
done:
	return status;
}

static ftmpi_status put_group(const ftmpi__builder *b, const char *path, const char *name)
{
	ftmpi_status status = FTMPI_OK;
	hid_t group = -1;

	FTMPI_TRY(ftmpi__put_groups(b, path));
	if (name == NULL)
		goto done;
	group = H5Gopen2(b->file, path, H5P_DEFAULT);
	FTMPI__TRY_HDF5(b, group, path);
	FTMPI_TRY(ftmpi__put_text_attribute(b, group, "name", name));
done:
	if (group >= 0 && H5Gclose(group) < 0 && status == FTMPI_OK)
		status = ftmpi__builder_failed(b, path, __FILE__, __LINE__);
	return status;
}

/* A column of strings of one width, padded with zeros. */
static ftmpi_status put_strings(ftmpi__builder *b, const char *path, size_t width)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t n_rows = b->n_rows;
	const hid_t type = ftmpi__string_type(width, H5T_STR_NULLPAD);

	FTMPI__TRY_HDF5(b, type, path);
	FTMPI_TRY(ftmpi__put_dataset(b, path, type, 1, &n_rows, b->scratch.data));
done:
	if (type >= 0)
		(void)H5Tclose(type);
	return status;
}

/* The paths; every one has a zero behind it. */
static ftmpi_status put_path_column(ftmpi__builder *b)
{
	ftmpi_status status = FTMPI_OK;
	size_t width = 1;

	for (int i = 0; i < b->n_rows; i++)
		if (strlen(b->rows[i].path) >= width)
			width = strlen(b->rows[i].path) + 1;
	FTMPI_TRY(ftmpi_buffer_resize(&b->scratch, 0));
	FTMPI_TRY(ftmpi_buffer_resize(&b->scratch, (size_t)b->n_rows * width));
	for (int i = 0; i < b->n_rows; i++)
		memcpy(b->scratch.data + (size_t)i * width, b->rows[i].path, strlen(b->rows[i].path));
	FTMPI_TRY(put_strings(b, FTMPI__DIGESTS_PATHS, width));
done:
	return status;
}

static ftmpi_status put_digest_columns(ftmpi__builder *b)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t n_rows = b->n_rows;
	const size_t width = FTMPI_DIGEST_TEXT - 1;

	FTMPI_TRY(ftmpi_buffer_resize(&b->scratch, 0));
	for (int i = 0; i < b->n_rows; i++) {
		char text[FTMPI_DIGEST_TEXT];

		ftmpi_digest_format(b->rows[i].digest, text);
		FTMPI_TRY(ftmpi_buffer_append(&b->scratch, text, width));
	}
	FTMPI_TRY(put_strings(b, FTMPI__DIGESTS_HASHES, width));
	FTMPI_TRY(ftmpi_buffer_resize(&b->scratch, 0));
	for (int i = 0; i < b->n_rows; i++) {
		const uint8_t kind = (uint8_t)b->rows[i].kind;

		FTMPI_TRY(ftmpi_buffer_append(&b->scratch, &kind, sizeof kind));
	}
	FTMPI_TRY(ftmpi__put_dataset(b, FTMPI__DIGESTS_KINDS, H5T_STD_U8LE, 1, &n_rows, b->scratch.data));
done:
	return status;
}

/* Version of the format, digest of the state, digest of the table. */
static ftmpi_status put_our_attributes(const ftmpi__builder *b)
{
	ftmpi_status status = FTMPI_OK;
	const int32_t version = FTMPI__FORMAT_VERSION;
	hid_t group = -1, digests = -1;
	char text[FTMPI_DIGEST_TEXT];
	ftmpi_digest digest;

	group = H5Gopen2(b->file, FTMPI__GROUP, H5P_DEFAULT);
	FTMPI__TRY_HDF5(b, group, FTMPI__GROUP);
	FTMPI_TRY(ftmpi__put_attribute(b, group, FTMPI__ATTR_VERSION, H5T_STD_I32LE, &version));
	digests = H5Gopen2(b->file, FTMPI__DIGESTS, H5P_DEFAULT);
	FTMPI__TRY_HDF5(b, digests, FTMPI__DIGESTS);
	FTMPI_TRY(ftmpi__state_digest(b->rows, b->n_rows, &digest));
	ftmpi_digest_format(digest, text);
	FTMPI_TRY(ftmpi__put_text_attribute(b, digests, FTMPI__ATTR_STATE, text));
	FTMPI_TRY(ftmpi__table_digest(b->rows, b->n_rows, &digest));
	ftmpi_digest_format(digest, text);
	FTMPI_TRY(ftmpi__put_text_attribute(b, digests, FTMPI__ATTR_TABLE, text));
done:
	if (digests >= 0 && H5Gclose(digests) < 0 && status == FTMPI_OK)
		status = ftmpi__builder_failed(b, FTMPI__DIGESTS, __FILE__, __LINE__);
	if (group >= 0 && H5Gclose(group) < 0 && status == FTMPI_OK)
		status = ftmpi__builder_failed(b, FTMPI__GROUP, __FILE__, __LINE__);
	return status;
}

/* Upper bound of the file's size: the arrays, and for each object its header. Too low a number costs time, nothing else. */
static size_t estimate_bytes(const ftmpi_registry *registry)
{
	const int n = ftmpi_registry_n_entries(registry);
	size_t n_bytes = (size_t)64 * 1024 + (size_t)ftmpi_registry_n_groups(registry) * 1024, longest = 0;

	for (int i = 0; i < n; i++) {
		const ftmpi_entry *entry = ftmpi_registry_entry(registry, i);
		const size_t length = strlen(entry->path);

		n_bytes += ftmpi_entry_bytes(entry) + 1024 + length;
		longest = length > longest ? length : longest;
	}
	return n_bytes + (size_t)n * (longest + 64);
}

static ftmpi_status open_file(ftmpi__builder *b, size_t n_bytes)
{
	ftmpi_status status = FTMPI_OK;

	b->access = ftmpi__hdf5_memory_access(&b->memory, n_bytes);
	FTMPI__TRY_HDF5(b, b->access, "file access");
	b->creation = H5Pcreate(H5P_FILE_CREATE);
	FTMPI__TRY_HDF5(b, b->creation, "file creation");
	FTMPI__TRY_HDF5(b, H5Pset_obj_track_times(b->creation, 0), "file creation");
	FTMPI__TRY_HDF5(b, H5Pset_link_phase_change(b->creation, FTMPI__MAX_LINKS, 0), "file creation");
	b->group_properties = H5Pcreate(H5P_GROUP_CREATE);
	FTMPI__TRY_HDF5(b, b->group_properties, "group creation");
	FTMPI__TRY_HDF5(b, H5Pset_obj_track_times(b->group_properties, 0), "group creation");
	FTMPI__TRY_HDF5(b, H5Pset_link_phase_change(b->group_properties, FTMPI__MAX_LINKS, 0), "group creation");
	b->dataset_properties = H5Pcreate(H5P_DATASET_CREATE);
	FTMPI__TRY_HDF5(b, b->dataset_properties, "dataset creation");
	FTMPI__TRY_HDF5(b, H5Pset_obj_track_times(b->dataset_properties, 0), "dataset creation");
	FTMPI__TRY_HDF5(b, H5Pset_fill_time(b->dataset_properties, H5D_FILL_TIME_NEVER), "dataset creation");
	b->file = H5Fcreate("checkpoint", H5F_ACC_TRUNC, b->creation, b->access);
	FTMPI__TRY_HDF5(b, b->file, "file");
done:
	return status;
}

/* Close the file: its memory is the builder's from then on. */
static ftmpi_status close_file(ftmpi__builder *b)
{
	ftmpi_status status = FTMPI_OK;
	const hid_t file = b->file;

	b->file = -1;
	FTMPI__TRY_HDF5(b, H5Fflush(file, H5F_SCOPE_GLOBAL), "file");
	FTMPI__TRY_HDF5(b, H5Fclose(file), "file");
done:
	return status;
}

static void close_builder(ftmpi__builder *b)
{
	const hid_t lists[] = {b->access, b->creation, b->group_properties, b->dataset_properties};

	if (b->file >= 0)
		(void)H5Fclose(b->file);
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		if (lists[i] >= 0)
			(void)H5Pclose(lists[i]);
	free(b->memory.data);
	ftmpi_buffer_clear(&b->scratch);
	ftmpi_free(b->rows);
}

static ftmpi_status put_everything(ftmpi__builder *b, const ftmpi_registry *registry)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < b->n_rows; i++)
		FTMPI_TRY(put_entry(b, ftmpi__registry_sorted(registry, i), &b->rows[i]));
	for (int i = 0; i < ftmpi_registry_n_groups(registry); i++) {
		const char *name, *path = ftmpi_registry_group(registry, i, &name);

		FTMPI_TRY(put_group(b, path, name));
	}
	FTMPI_TRY(put_path_column(b));
	FTMPI_TRY(put_digest_columns(b));
	FTMPI_TRY(put_our_attributes(b));
done:
	return status;
}

ftmpi_status ftmpi__image_build(const ftmpi_registry *registry, ftmpi__image *out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__builder b = {.registry = registry,
			    .access = -1,
			    .creation = -1,
			    .file = -1,
			    .group_properties = -1,
			    .dataset_properties = -1};
	H5E_auto2_t print = NULL;
	void *print_context = NULL;
	uint64_t n_bytes;

	(void)H5Eget_auto2(H5E_DEFAULT, &print, &print_context);
	(void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
	b.n_rows = ftmpi_registry_n_entries(registry);
	FTMPI_TRY(FTMPI_ALLOC(b.n_rows, &b.rows));
	FTMPI_TRY(open_file(&b, estimate_bytes(registry)));
	FTMPI_TRY(put_everything(&b, registry));
	FTMPI_TRY(close_file(&b));
	if (b.memory.data == NULL)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "HDF5 did not give back the image of the checkpoint");
	memcpy(&n_bytes, (const char *)b.memory.data + SUPERBLOCK_LENGTH_AT, sizeof n_bytes);
	out->data = b.memory.data;
	out->n_bytes = (size_t)n_bytes;
	b.memory.data = NULL;
done:
	close_builder(&b);
	(void)H5Eset_auto2(H5E_DEFAULT, print, print_context);
	return status;
}
