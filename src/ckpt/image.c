/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a snapshot: HDF5 writes its metadata, before the data that are there already.
 *
 *     1  digests of the arrays, the table of digests behind the data
 *     2  a file whose datasets have no place yet: how long the metadata are
 *     3  the file with the metadata in one block of just that length, and each dataset's place behind it; HDF5 writes none of the data
 *     4  the metadata, copied before the data
 *
 * Objects are created in the order of their paths, without times, with all links of a group in its header: the bytes depend on the registry alone,
 * and the file keeps to the small part of the format that the reader (hdf5_parse.c) takes. Beside the caller's entries there
 * is the group ftmpi/digests: table of the digests of all other datasets, digest of the state, digest of the table. Nothing here looks at the program's
 * arrays. */
#include "ckpt/image_builder.h"

#include "base/hdf5_lock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "arrays go to the file as they are, and it is little-endian");

/* Bytes of a superblock of version 3 up to the file's length, which is 8 bytes there. */
enum { SUPERBLOCK_LENGTH_AT = 28, SUPERBLOCK_BYTES = 48 };

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
static ftmpi_status put_text(ftmpi__builder *b, const char *path, const ftmpi__staged *text)
{
	ftmpi_status status = FTMPI_OK;
	const hid_t type = ftmpi__string_type(text->n_bytes + 1, H5T_STR_NULLTERM);

	FTMPI__TRY_HDF5(b, type, path);
	FTMPI_TRY(ftmpi__put_dataset(b, path, type, 0, NULL, text->at));
done:
	if (type >= 0)
		(void)H5Tclose(type);
	return status;
}

static ftmpi_status put_array(ftmpi__builder *b, int i)
{
	const ftmpi__staged *array = &b->snapshot->arrays[i];
	const char *path = b->snapshot->rows[i].path;

	if (array->dtype == FTMPI_TEXT)
		return put_text(b, path, array);
	return ftmpi__put_dataset(b, path, file_type(array->dtype), array->n_dims, array->dims, array->at);
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
static ftmpi_status put_strings(ftmpi__builder *b, const char *path, size_t width, size_t at)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t n = b->snapshot->n;
	const hid_t type = ftmpi__string_type(width, H5T_STR_NULLPAD);

	FTMPI__TRY_HDF5(b, type, path);
	FTMPI_TRY(ftmpi__put_dataset(b, path, type, 1, &n, at));
done:
	if (type >= 0)
		(void)H5Tclose(type);
	return status;
}

static ftmpi_status put_table(ftmpi__builder *b)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi__snapshot *s = b->snapshot;
	const int64_t n = s->n;

	FTMPI_TRY(put_strings(b, FTMPI__DIGESTS_PATHS, s->path_width, s->paths_at));
	FTMPI_TRY(put_strings(b, FTMPI__DIGESTS_HASHES, FTMPI_DIGEST_TEXT - 1, s->hashes_at));
	FTMPI_TRY(ftmpi__put_dataset(b, FTMPI__DIGESTS_KINDS, H5T_STD_U8LE, 1, &n, s->kinds_at));
done:
	return status;
}

/* Version of the format, digest of the state, digest of the table. */
static ftmpi_status put_our_attributes(const ftmpi__builder *b)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi__snapshot *s = b->snapshot;
	const int32_t version = FTMPI__FORMAT_VERSION;
	hid_t group = -1, digests = -1;
	char text[FTMPI_DIGEST_TEXT];
	ftmpi_digest digest;

	group = H5Gopen2(b->file, FTMPI__GROUP, H5P_DEFAULT);
	FTMPI__TRY_HDF5(b, group, FTMPI__GROUP);
	FTMPI_TRY(ftmpi__put_attribute(b, group, FTMPI__ATTR_VERSION, H5T_STD_I32LE, &version));
	digests = H5Gopen2(b->file, FTMPI__DIGESTS, H5P_DEFAULT);
	FTMPI__TRY_HDF5(b, digests, FTMPI__DIGESTS);
	FTMPI_TRY(ftmpi__state_digest(s->rows, s->n, &digest));
	ftmpi_digest_format(digest, text);
	FTMPI_TRY(ftmpi__put_text_attribute(b, digests, FTMPI__ATTR_STATE, text));
	FTMPI_TRY(ftmpi__table_digest(s->rows, s->n, &digest));
	ftmpi_digest_format(digest, text);
	FTMPI_TRY(ftmpi__put_text_attribute(b, digests, FTMPI__ATTR_TABLE, text));
done:
	if (digests >= 0 && H5Gclose(digests) < 0 && status == FTMPI_OK)
		status = ftmpi__builder_failed(b, FTMPI__DIGESTS, __FILE__, __LINE__);
	if (group >= 0 && H5Gclose(group) < 0 && status == FTMPI_OK)
		status = ftmpi__builder_failed(b, FTMPI__GROUP, __FILE__, __LINE__);
	return status;
}

/* Without a place a dataset gets none before it is written, which never happens. */
static ftmpi_status open_file(ftmpi__builder *b, uint64_t metadata_bytes)
{
	ftmpi_status status = FTMPI_OK;
	const H5D_alloc_time_t when = b->places ? H5D_ALLOC_TIME_EARLY : H5D_ALLOC_TIME_LATE;

	b->access = ftmpi__hdf5_memory_access(&b->memory, metadata_bytes);
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
	FTMPI__TRY_HDF5(b, H5Pset_alloc_time(b->dataset_properties, when), "dataset creation");
	b->file = H5Fcreate("checkpoint", H5F_ACC_TRUNC, b->creation, b->access);
	FTMPI__TRY_HDF5(b, b->file, "file");
done:
	return status;
}

/* Close the file: its memory is the builder's from then on. Not flushed before, which would stretch the memory to the file's whole length. */
static ftmpi_status close_file(ftmpi__builder *b)
{
	ftmpi_status status = FTMPI_OK;
	const hid_t file = b->file;

	b->file = -1;
	FTMPI__TRY_HDF5(b, H5Fclose(file), "file");
	if (b->memory.data == NULL || b->memory.n_bytes < SUPERBLOCK_BYTES)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "HDF5 did not give back the image of the checkpoint");
	memcpy(&b->n_bytes, (const char *)b->memory.data + SUPERBLOCK_LENGTH_AT, sizeof b->n_bytes);
	if (!b->knows_base)
		b->base = b->n_bytes;
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
}

static ftmpi_status put_everything(ftmpi__builder *b)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_registry *registry = b->snapshot->registry;

	for (int i = 0; i < b->snapshot->n; i++)
		FTMPI_TRY(put_array(b, i));
	for (int i = 0; i < ftmpi_registry_n_groups(registry); i++) {
		const char *name, *path = ftmpi_registry_group(registry, i, &name);

		FTMPI_TRY(put_group(b, path, name));
	}
	FTMPI_TRY(put_table(b));
	FTMPI_TRY(put_our_attributes(b));
done:
	return status;
}

/* Steps 2 and 3. @param metadata_bytes 0: step 2. @param out to be closed in any case. */
static ftmpi_status build(const ftmpi__snapshot *s, uint64_t metadata_bytes, ftmpi__builder *out)
{
	ftmpi_status status = FTMPI_OK;

	*out = (ftmpi__builder){.snapshot = s,
				.access = -1,
				.creation = -1,
				.file = -1,
				.group_properties = -1,
				.dataset_properties = -1,
				.places = metadata_bytes > 0};
	FTMPI_TRY(open_file(out, metadata_bytes));
	FTMPI_TRY(put_everything(out));
	FTMPI_TRY(close_file(out));
done:
	return status;
}

/* Under HDF5's lock. @param out to be closed in any case. */
static ftmpi_status build_metadata(const ftmpi__snapshot *s, ftmpi__builder *out)
{
	ftmpi_status status = FTMPI_OK;
	H5E_auto2_t print = NULL;
	void *print_context = NULL;
	uint64_t metadata_bytes;

	(void)H5Eget_auto2(H5E_DEFAULT, &print, &print_context);
	(void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
	FTMPI_TRY(build(s, 0, out));
	metadata_bytes = out->n_bytes;
	close_builder(out);
	FTMPI_TRY(build(s, metadata_bytes, out));
	if (out->n_bytes != out->base + s->data_bytes)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "HDF5 made a file of %llu bytes where %llu were expected",
			   (unsigned long long)out->n_bytes, (unsigned long long)(out->base + s->data_bytes));
done:
	(void)H5Eset_auto2(H5E_DEFAULT, print, print_context);
	return status;
}

/* Step 1. */
static void fill_table(ftmpi__snapshot *s)
{
	uint8_t *data = ftmpi__snapshot_data(s);

	memset(data + s->paths_at, 0, s->hashes_at - s->paths_at);
	for (int i = 0; i < s->n; i++) {
		const ftmpi__array array = ftmpi__snapshot_array(s, i);
		char text[FTMPI_DIGEST_TEXT];

		if (!s->has_digests || s->arrays[i].in_parts)
			s->rows[i].digest = ftmpi__array_digest(&array);
		ftmpi_digest_format(s->rows[i].digest, text);
		memcpy(data + s->paths_at + (size_t)i * s->path_width, array.path, strlen(array.path));
		memcpy(data + s->hashes_at + (size_t)i * (sizeof text - 1), text, sizeof text - 1);
		data[s->kinds_at + (size_t)i] = (uint8_t)s->rows[i].kind;
	}
	s->has_digests = true;
}

ftmpi_status ftmpi__image_seal(ftmpi__snapshot *s, ftmpi__image *out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__builder b;
	size_t head_bytes, n_bytes;
	uint8_t *head;

	fill_table(s);
	ftmpi__hdf5_lock();
	status = build_metadata(s, &b);
	FTMPI_TRY(status);
	head_bytes = (size_t)b.base;
	FTMPI_TRY(ftmpi__snapshot_widen(s, head_bytes));
	head = ftmpi__snapshot_data(s) - head_bytes;
	n_bytes = b.memory.n_bytes < head_bytes ? b.memory.n_bytes : head_bytes;
	memcpy(head, b.memory.data, n_bytes);
	memset(head + n_bytes, 0, head_bytes - n_bytes);
	*out = (ftmpi__image){.data = head, .n_bytes = head_bytes + s->data_bytes};
done:
	close_builder(&b);
	ftmpi__hdf5_unlock();
	return status;
}

ftmpi_status ftmpi__image_build(const ftmpi_registry *registry, ftmpi__image *out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__snapshot snapshot = {0};
	ftmpi__image image;

	FTMPI_TRY(ftmpi__snapshot_take(&snapshot, registry, true));
	FTMPI_TRY(ftmpi__snapshot_check(&snapshot));
	FTMPI_TRY(ftmpi__image_seal(&snapshot, &image));
	image.memory = snapshot.memory;
	snapshot.memory = NULL;
	*out = image;
done:
	ftmpi__snapshot_clear(&snapshot);
	return status;
}

ftmpi_status ftmpi__image_prepare(void)
{
	ftmpi_status status = FTMPI_OK;

	ftmpi__hdf5_lock();
	if (H5open() < 0)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "the HDF5 library does not begin");
done:
	ftmpi__hdf5_unlock();
	return status;
}
