/* SPDX-License-Identifier: Apache-2.0 */
/* An HDF5 file in memory whose bytes outlive it.
 *
 * The core driver takes its memory through these callbacks. When the file is closed it gives the memory back, and here it is kept instead of
 * freed, where H5Fget_file_image would copy it. It reaches to the last byte that was written: data at the end of the file that nobody writes take no
 * memory. */
#include "ckpt/hdf5_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the memory grows by. */
enum { INCREMENT_BYTES = 64 * 1024 };

static void *image_malloc(size_t n_bytes, H5FD_file_image_op_t op, void *udata)
{
	ftmpi__hdf5_memory *memory = udata;
	void *p = malloc(n_bytes);

	(void)op;
	if (p == NULL)
		memory->exhausted = true;
	else
		memory->n_bytes = n_bytes;
	return p;
}

static void *image_memcpy(void *to, const void *from, size_t n_bytes, H5FD_file_image_op_t op, void *udata)
{
	(void)op;
	(void)udata;
	return memcpy(to, from, n_bytes);
}

static void *image_realloc(void *old, size_t n_bytes, H5FD_file_image_op_t op, void *udata)
{
	ftmpi__hdf5_memory *memory = udata;
	void *p = realloc(old, n_bytes);

	(void)op;
	if (p == NULL)
		memory->exhausted = true;
	else
		memory->n_bytes = n_bytes;
	return p;
}

/* The last owner of a closed file's memory is the builder. */
static herr_t image_free(void *p, H5FD_file_image_op_t op, void *udata)
{
	ftmpi__hdf5_memory *memory = udata;

	if (op == H5FD_FILE_IMAGE_OP_FILE_CLOSE && memory->data == NULL)
		memory->data = p;
	else
		free(p);
	return 0;
}

static void *udata_copy(void *udata)
{
	return udata;
}

static herr_t udata_free(void *udata)
{
	(void)udata;
	return 0;
}

hid_t ftmpi__hdf5_memory_access(ftmpi__hdf5_memory *memory, uint64_t metadata_bytes)
{
	H5FD_file_image_callbacks_t callbacks = {.image_malloc = image_malloc,
						 .image_memcpy = image_memcpy,
						 .image_realloc = image_realloc,
						 .image_free = image_free,
						 .udata_copy = udata_copy,
						 .udata_free = udata_free,
						 .udata = memory};
	const hid_t access = H5Pcreate(H5P_FILE_ACCESS);

	if (access < 0)
		return -1;
	/* The format is pinned: "latest" would be another one with the next HDF5. Blocks of data of size 0: no gaps between the objects, whose bytes nothing
	 * would vouch for. */
	if (H5Pset_fapl_core(access, INCREMENT_BYTES, 0) < 0 || H5Pset_file_image_callbacks(access, &callbacks) < 0 ||
	    H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) < 0 ||
	    H5Pset_meta_block_size(access, metadata_bytes) < 0 || H5Pset_small_data_block_size(access, 0) < 0) {
		(void)H5Pclose(access);
		return -1;
	}
	return access;
}

struct reason {
	char *text;
	size_t text_bytes;
};

/* Walking upward, the first record is the innermost. */
static herr_t take_reason(unsigned n, const H5E_error2_t *record, void *context)
{
	const struct reason *reason = context;

	(void)n;
	if (reason->text[0] == '\0' && record->desc != NULL)
		(void)snprintf(reason->text, reason->text_bytes, "%s", record->desc);
	return 0;
}

const char *ftmpi__hdf5_reason(char *text, size_t text_bytes)
{
	struct reason reason = {text, text_bytes};

	text[0] = '\0';
	(void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_reason, &reason);
	if (text[0] == '\0')
		(void)snprintf(text, text_bytes, "no reason given");
	return text;
}
