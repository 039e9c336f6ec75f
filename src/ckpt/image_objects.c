/* SPDX-License-Identifier: Apache-2.0 */
/* Groups, datasets and attributes of a file that is being built. Every object is closed where it was opened, and closing is checked: HDF5
 * may find out only then that something could not be written. */
#include "ckpt/image_builder.h"

#include <stdio.h>
#include <string.h>

ftmpi_status ftmpi__builder_failed(const ftmpi__builder *b, const char *what, const char *file, int line)
{
	char reason[256];

	if (b->memory.exhausted)
		return ftmpi_error_set(FTMPI_ERR_MEMORY, file, line, "out of memory for the image of a checkpoint");
	return ftmpi_error_set(FTMPI_ERR_INTERNAL, file, line, "HDF5 cannot build the checkpoint at '%s': %s", what,
			       ftmpi__hdf5_reason(reason, sizeof reason));
}

/* UTF-8 of a fixed length; −1 on failure. */
hid_t ftmpi__string_type(size_t n_bytes, H5T_str_t padding)
{
	const hid_t type = H5Tcopy(H5T_C_S1);

	if (type < 0)
		return -1;
	if (H5Tset_size(type, n_bytes) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0 ||
	    H5Tset_strpad(type, padding) < 0) {
		(void)H5Tclose(type);
		return -1;
	}
	return type;
}

/* An attribute of one element, at an open object. */
ftmpi_status ftmpi__put_attribute(const ftmpi__builder *b, hid_t object, const char *name, hid_t type,
				  const void *value)
{
	ftmpi_status status = FTMPI_OK;
	hid_t space, attribute = -1;

	space = H5Screate(H5S_SCALAR);
	FTMPI__TRY_HDF5(b, space, name);
	attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
	FTMPI__TRY_HDF5(b, attribute, name);
	FTMPI__TRY_HDF5(b, H5Awrite(attribute, type, value), name);
done:
	if (attribute >= 0 && H5Aclose(attribute) < 0 && status == FTMPI_OK)
		status = ftmpi__builder_failed(b, name, __FILE__, __LINE__);
	if (space >= 0)
		(void)H5Sclose(space);
	return status;
}

ftmpi_status ftmpi__put_text_attribute(const ftmpi__builder *b, hid_t object, const char *name, const char *text)
{
	ftmpi_status status = FTMPI_OK;
	const hid_t type = ftmpi__string_type(strlen(text) > 0 ? strlen(text) : 1, H5T_STR_NULLPAD);

	FTMPI__TRY_HDF5(b, type, name);
	FTMPI_TRY(ftmpi__put_attribute(b, object, name, type, text));
done:
	if (type >= 0)
		(void)H5Tclose(type);
	return status;
}

/* Make one group, its header as long as its links will need: adding link by link to a short one takes HDF5 quadratic time. */
static ftmpi_status put_one_group(const ftmpi__builder *b, const char *path)
{
	ftmpi_status status = FTMPI_OK;
	size_t longest = 0;
	int n_links = ftmpi__registry_count_children(b->snapshot->registry, path, &longest);
	hid_t properties, group = -1;

	n_links = n_links > FTMPI__MAX_LINKS ? FTMPI__MAX_LINKS : n_links;
	properties = H5Pcopy(b->group_properties);
	FTMPI__TRY_HDF5(b, properties, path);
	if (n_links > 0)
		FTMPI__TRY_HDF5(b, H5Pset_est_link_info(properties, (unsigned)n_links, (unsigned)longest), path);
	group = H5Gcreate2(b->file, path, H5P_DEFAULT, properties, H5P_DEFAULT);
	FTMPI__TRY_HDF5(b, group, path);
done:
	if (group >= 0 && H5Gclose(group) < 0 && status == FTMPI_OK)
		status = ftmpi__builder_failed(b, path, __FILE__, __LINE__);
	if (properties >= 0)
		(void)H5Pclose(properties);
	return status;
}

/* Make a group and all that it lies in, unless they are there. */
ftmpi_status ftmpi__put_groups(const ftmpi__builder *b, const char *path)
{
	ftmpi_status status = FTMPI_OK;
	char prefix[FTMPI__ENTRY_PATH_MAX];

	for (const char *end = path; end != NULL && *end != '\0';) {
		htri_t exists;

		end = strchr(end + 1, '/');
		(void)snprintf(prefix, sizeof prefix, "%.*s", end == NULL ? (int)strlen(path) : (int)(end - path),
			       path);
		exists = H5Lexists(b->file, prefix, H5P_DEFAULT);
		FTMPI__TRY_HDF5(b, exists, prefix);
		if (exists == 0)
			FTMPI_TRY(put_one_group(b, prefix));
	}
done:
	return status;
}

/* The group that an object's path is in. */
static ftmpi_status put_parents(const ftmpi__builder *b, const char *path)
{
	char parent[FTMPI__ENTRY_PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return FTMPI_OK;
	(void)snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
	return ftmpi__put_groups(b, parent);
}

/* Data lie in the file as in the snapshot, one array right behind the other. */
static ftmpi_status check_place(ftmpi__builder *b, hid_t dataset, const char *path, size_t at)
{
	ftmpi_status status = FTMPI_OK;
	const haddr_t place = H5Dget_offset(dataset);

	if (place == HADDR_UNDEF)
		FTMPI_TRY(ftmpi__builder_failed(b, path, __FILE__, __LINE__));
	if (!b->knows_base) {
		b->knows_base = true;
		b->base = place - at;
	}
	if (place < at || place - at != b->base)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "HDF5 puts '%s' at byte %llu of the file where %llu was expected", path,
			   (unsigned long long)place, (unsigned long long)(b->base + at));
done:
	return status;
}

ftmpi_status ftmpi__put_dataset(ftmpi__builder *b, const char *path, hid_t type, int n_dims, const int64_t *dims,
				size_t at)
{
	ftmpi_status status = FTMPI_OK;
	hsize_t extent[FTMPI_MAX_DIMS];
	hid_t space = -1, dataset = -1;
	bool empty = false;

	FTMPI_TRY(put_parents(b, path));
	for (int i = 0; i < n_dims; i++) {
		extent[i] = (hsize_t)dims[i];
		empty = empty || dims[i] == 0;
	}
	space = n_dims == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(n_dims, extent, NULL);
	FTMPI__TRY_HDF5(b, space, path);
	dataset = H5Dcreate2(b->file, path, type, space, H5P_DEFAULT, b->dataset_properties, H5P_DEFAULT);
	FTMPI__TRY_HDF5(b, dataset, path);
	if (b->places && !empty)
		FTMPI_TRY(check_place(b, dataset, path, at));
done:
	if (dataset >= 0 && H5Dclose(dataset) < 0 && status == FTMPI_OK)
		status = ftmpi__builder_failed(b, path, __FILE__, __LINE__);
	if (space >= 0)
		(void)H5Sclose(space);
	return status;
}
