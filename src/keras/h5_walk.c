/* SPDX-License-Identifier: Apache-2.0 */
/* Walk over the objects of an HDF5 file in memory.
 *
 * Why not HDF5's library: damaged metadata makes 1.10.8 crash or never return, in one file of some hundred with a few bytes changed; and what comes
 * from elsewhere must not end a run. Keras writes through h5py, with HDF5's defaults: superblock 0, object headers of version 1, groups as symbol
 * tables. That is what is read here, contiguous or in chunks; a file of superblock 3 is taken if it keeps to what ftmpi itself writes.
 *
 * Bounds: all bytes come through cursors, and the bytes of all headers and groups together must not be more than the file has: this ends cycles,
 * and keeps the time linear. Only hard links are followed; nothing outside the file is ever opened. */
#include "keras/h5.h"

#include <ctype.h>
#include <ftmpi/registry.h>
#include <stdio.h>
#include <string.h>

enum { MAX_DEPTH = 32 };

static ftmpi_status walk_object(ftmpi__h5_file *file, uint64_t address);

ftmpi_status ftmpi__h5_bad(const ftmpi__h5_file *file, const char *what)
{
	return ftmpi_error_set(FTMPI_ERR_DATA, __FILE__, __LINE__,
			       "'%s' is damaged or not as Keras writes it: '/%s' has %s", file->name, file->path, what);
}

ftmpi_status ftmpi__h5_open(ftmpi__h5_file *file, uint64_t address, uint64_t n_bytes, ftmpi__cursor *out)
{
	if (address > file->image->n_bytes || n_bytes > file->image->n_bytes - address)
		return ftmpi__h5_bad(file, "a header beyond the end of the file");
	if (n_bytes > file->bytes_left)
		return ftmpi__h5_bad(file, "an object that is linked twice");
	file->bytes_left -= n_bytes;
	*out = (ftmpi__cursor){.at = file->image->data + address, .left = (size_t)n_bytes};
	return FTMPI_OK;
}

/* A cursor behind a signature and a version. */
static ftmpi_status open_signed(ftmpi__h5_file *file, uint64_t address, uint64_t n_bytes, const char *signature,
				unsigned version, ftmpi__cursor *out)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi__h5_open(file, address, n_bytes, out));
	if (memcmp(ftmpi__cursor_take(out, 4), signature, 4) != 0 || ftmpi__cursor_number(out, 1) != version)
		FTMPI_TRY(ftmpi__h5_bad(file, "links that are not where it says"));
done:
	return status;
}

ftmpi_status ftmpi__h5_node_open(ftmpi__h5_file *file, uint64_t address, unsigned type, size_t key_bytes, int *level,
				 int *n_children, ftmpi__cursor *out)
{
	enum { HEAD_BYTES = 24, SIGNATURE_BYTES = 4 };
	ftmpi_status status = FTMPI_OK;
	ftmpi__cursor head = {0}, rest = {0};
	uint64_t n;

	FTMPI_TRY(ftmpi__h5_open(file, address, HEAD_BYTES, &head));
	if (memcmp(ftmpi__cursor_take(&head, SIGNATURE_BYTES), "TREE", SIGNATURE_BYTES) != 0 ||
	    ftmpi__cursor_number(&head, 1) != type)
		FTMPI_TRY(ftmpi__h5_bad(file, "a tree that is not where it says"));
	*level = (int)ftmpi__cursor_number(&head, 1);
	n = ftmpi__cursor_number(&head, 2);
	/* Keys and children in turn, and a key at the end. */
	FTMPI_TRY(ftmpi__h5_open(file, address + HEAD_BYTES, n * (key_bytes + 8) + key_bytes, &rest));
	*n_children = (int)n;
	*out = rest;
done:
	return status;
}

/* Names end up in messages: they have no slash and no control character. */
static bool is_good_name(const char *name, size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes; i++)
		if (name[i] == '/' || iscntrl((unsigned char)name[i]))
			return false;
	return n_bytes > 0;
}

/* Go down one link: the child's path is the parent's with the name behind it. A soft link is shown, not followed. */
static ftmpi_status walk_link(ftmpi__h5_file *file, const char *name, size_t name_bytes, uint64_t address, bool is_soft)
{
	static const ftmpi__h5_array soft_link = {.wrong = "only a soft link"};
	ftmpi_status status = FTMPI_OK;
	const size_t parent_bytes = file->path_bytes;

	if (!is_good_name(name, name_bytes))
		FTMPI_TRY(ftmpi__h5_bad(file, "a link with a bad name"));
	if (file->depth == MAX_DEPTH || parent_bytes + 1 + name_bytes >= sizeof file->path)
		FTMPI_TRY(ftmpi__h5_bad(file, "groups nested too deep"));
	if (parent_bytes > 0)
		file->path[file->path_bytes++] = '/';
	memcpy(file->path + file->path_bytes, name, name_bytes);
	file->path_bytes += name_bytes;
	file->path[file->path_bytes] = '\0';
	file->depth++;
	if (is_soft)
		FTMPI_TRY(file->visit(file->context, file->path, &soft_link));
	else
		FTMPI_TRY(walk_object(file, address));
	file->depth--;
	file->path_bytes = parent_bytes;
	file->path[parent_bytes] = '\0';
done:
	return status;
}

/* A leaf of the tree of links: entries of 40 bytes. */
static ftmpi_status walk_links(ftmpi__h5_file *file, uint64_t address, const ftmpi__cursor *names)
{
	enum { HEAD_BYTES = 8, ENTRY_BYTES = 40, SOFT = 2 };
	ftmpi_status status = FTMPI_OK;
	ftmpi__cursor c = {0};
	uint64_t n;

	FTMPI_TRY(open_signed(file, address, HEAD_BYTES, "SNOD", 1, &c));
	(void)ftmpi__cursor_take(&c, 1);
	n = ftmpi__cursor_number(&c, 2);
	FTMPI_TRY(ftmpi__h5_open(file, address + HEAD_BYTES, n * ENTRY_BYTES, &c));
	for (uint64_t i = 0; i < n; i++) {
		const uint64_t name_at = ftmpi__cursor_number(&c, 8), object = ftmpi__cursor_number(&c, 8);
		const bool is_soft = ftmpi__cursor_number(&c, 4) == SOFT;
		const size_t left = name_at < names->left ? names->left - (size_t)name_at : 0;
		const char *name = (const char *)names->at + (left > 0 ? name_at : 0);
		const size_t name_bytes = strnlen(name, left);

		(void)ftmpi__cursor_take(&c, 20);
		if (name_bytes == left) /* no end */
			FTMPI_TRY(ftmpi__h5_bad(file, "a link without a name"));
		FTMPI_TRY(walk_link(file, name, name_bytes, object, is_soft));
	}
done:
	return status;
}

/* A node of the tree of links; keys are places of names. @param above one more than the highest level that may be here. */
static ftmpi_status walk_tree(ftmpi__h5_file *file, uint64_t address, int above, const ftmpi__cursor *names)
{
	enum { KEY_BYTES = 8 };
	ftmpi_status status = FTMPI_OK;
	int level = 0, n = 0;
	ftmpi__cursor c = {0};

	FTMPI_TRY(ftmpi__h5_node_open(file, address, 0, KEY_BYTES, &level, &n, &c));
	if (level >= above)
		FTMPI_TRY(ftmpi__h5_bad(file, "a tree that goes in circles"));
	for (int i = 0; i < n; i++) {
		uint64_t child;

		(void)ftmpi__cursor_take(&c, KEY_BYTES);
		child = ftmpi__cursor_number(&c, 8);
		if (level == 0)
			FTMPI_TRY(walk_links(file, child, names));
		else
			FTMPI_TRY(walk_tree(file, child, level, names));
	}
done:
	return status;
}

static ftmpi_status walk_group(ftmpi__h5_file *file, const ftmpi__h5_object *group)
{
	enum { HEAD_BYTES = 32 };
	ftmpi_status status = FTMPI_OK;
	uint64_t n_bytes, address;
	ftmpi__cursor c = {0};

	FTMPI_TRY(open_signed(file, group->names, HEAD_BYTES, "HEAP", 0, &c));
	(void)ftmpi__cursor_take(&c, 3);
	n_bytes = ftmpi__cursor_number(&c, 8);
	(void)ftmpi__cursor_take(&c, 8); /* its first free block */
	address = ftmpi__cursor_number(&c, 8);
	FTMPI_TRY(ftmpi__h5_open(file, address, n_bytes, &c));
	FTMPI_TRY(walk_tree(file, group->links, MAX_DEPTH, &c));
done:
	return status;
}

static ftmpi_status walk_object(ftmpi__h5_file *file, uint64_t address)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__h5_object object;

	FTMPI_TRY(ftmpi__h5_object_read(file, address, &object));
	if (object.is_dataset)
		FTMPI_TRY(file->visit(file->context, file->path, &object.array));
	else if (object.is_group)
		FTMPI_TRY(walk_group(file, &object));
	else if (object.array.wrong != NULL)
		FTMPI_TRY(ftmpi__h5_bad(file, object.array.wrong));
done:
	return status;
}

/* A file of ftmpi's own: the walk of checkpoints takes it. */
struct own_walk {
	ftmpi__h5_visit *visit;
	void *context;
};

static ftmpi_status visit_own(void *context, const char *path, const char *attribute, const ftmpi__hdf5_value *value)
{
	const struct own_walk *walk = context;
	const ftmpi__h5_array array = {.value = *value};

	return attribute == NULL ? walk->visit(walk->context, path, &array) : FTMPI_OK;
}

static ftmpi_status walk_own(const ftmpi__image *image, const char *file, ftmpi__h5_visit *visit, void *context)
{
	struct own_walk walk = {visit, context};

	return ftmpi__hdf5_walk(image->data, image->n_bytes, file, visit_own, &walk);
}

ftmpi_status ftmpi__h5_walk(const ftmpi__image *image, const char *file, ftmpi__h5_visit *visit, void *context)
{
	enum { SIGNATURE_BYTES = 8, SUPERBLOCK_BYTES = 96, OLD = 2 };
	static const uint8_t signature[SIGNATURE_BYTES] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
	ftmpi_status status = FTMPI_OK;
	ftmpi__cursor c = {.at = image->data, .left = image->n_bytes};
	uint64_t version, address_bytes, length_bytes, base, end, root;
	ftmpi__h5_file walk = {
		.image = image, .name = file, .bytes_left = image->n_bytes, .visit = visit, .context = context};

	if (image->n_bytes < SUPERBLOCK_BYTES ||
	    memcmp(ftmpi__cursor_take(&c, SIGNATURE_BYTES), signature, SIGNATURE_BYTES) != 0)
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s' is not an HDF5 file", file);
	version = ftmpi__cursor_number(&c, 1);
	if (version >= OLD) {
		FTMPI_TRY(walk_own(image, file, visit, context));
		goto done;
	}
	(void)ftmpi__cursor_take(&c, 4);
	address_bytes = ftmpi__cursor_number(&c, 1);
	length_bytes = ftmpi__cursor_number(&c, 1);
	(void)ftmpi__cursor_take(&c, version == 0 ? 9 : 13);
	base = ftmpi__cursor_number(&c, 8);
	(void)ftmpi__cursor_take(&c, 8);
	end = ftmpi__cursor_number(&c, 8);
	(void)ftmpi__cursor_take(&c, 16);
	root = ftmpi__cursor_number(&c, 8);
	if (address_bytes != 8 || length_bytes != 8 || base != 0 || end > image->n_bytes)
		FTMPI_FAIL(FTMPI_ERR_DATA,
			   "'%s' is cut off, damaged or of a kind that is not supported: HDF5 superblock", file);
	FTMPI_TRY(walk_object(&walk, root));
done:
	return status;
}
