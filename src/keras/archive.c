/* SPDX-License-Identifier: Apache-2.0 */
/* ZIP archives through libzip, on bytes in memory: what is read was read from the file once, and what is written is handed over whole. */
#include "keras/archive.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

/* DEFLATE makes at most 258 bytes of two bits. */
enum { MAX_GROWTH = 258 * 4 };

struct ftmpi__archive {
	zip_t *zip;
	uint64_t n_bytes; /* of the whole file */
	const char *what;
};

static ftmpi_status zip_failed(zip_error_t *error, const char *what)
{
	return ftmpi_error_set(zip_error_code_zip(error) == ZIP_ER_MEMORY ? FTMPI_ERR_MEMORY : FTMPI_ERR_DATA, __FILE__,
			       __LINE__, "'%s' is no ZIP archive, or damaged: %s", what, zip_error_strerror(error));
}

ftmpi_status ftmpi__archive_open(const ftmpi__image *image, const char *what, ftmpi__archive **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__archive *archive = NULL;
	zip_source_t *source = NULL;
	zip_error_t error;

	zip_error_init(&error);
	FTMPI_TRY(FTMPI_ALLOC(1, &archive));
	archive->what = what;
	archive->n_bytes = image->n_bytes;
	source = zip_source_buffer_create(image->data, image->n_bytes, 0, &error);
	if (source == NULL)
		FTMPI_TRY(zip_failed(&error, what));
	archive->zip = zip_open_from_source(source, ZIP_RDONLY, &error);
	if (archive->zip == NULL)
		FTMPI_TRY(zip_failed(&error, what));
	source = NULL; /* the archive's now */
	*out = archive;
	archive = NULL;
done:
	if (source != NULL)
		zip_source_free(source);
	ftmpi__archive_close(&archive);
	zip_error_fini(&error);
	return status;
}

void ftmpi__archive_close(ftmpi__archive **archive)
{
	if (*archive == NULL)
		return;
	if ((*archive)->zip != NULL)
		zip_discard((*archive)->zip);
	ftmpi_free(*archive);
	*archive = NULL;
}

/* Length of a member once unpacked. Only the methods that Keras uses: others may want much memory for little data. @param max_bytes lowered to
 * what the whole file could unpack to by the member's method: its length is only what the archive says. */
static ftmpi_status measure(const ftmpi__archive *archive, const char *name, uint64_t *n_bytes, uint64_t *max_bytes)
{
	ftmpi_status status = FTMPI_OK;
	const zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD;
	uint64_t possible_bytes;
	zip_stat_t stat;

	if (zip_stat(archive->zip, name, 0, &stat) != 0 || (stat.valid & needed) != needed)
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s' has no %s: it is not a model that Keras saved", archive->what, name);
	if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE)
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s': %s is compressed by a method that is not supported (%d)",
			   archive->what, name, (int)stat.comp_method);
	possible_bytes = stat.comp_method == ZIP_CM_STORE ? archive->n_bytes : MAX_GROWTH * archive->n_bytes;
	if (possible_bytes < *max_bytes)
		*max_bytes = possible_bytes;
	*n_bytes = stat.size;
done:
	return status;
}

/* The whole member, and no more: the last read is where the checksum is verified. */
static ftmpi_status read_member(const ftmpi__archive *archive, const char *name, uint8_t *data, size_t n_bytes)
{
	ftmpi_status status = FTMPI_OK;
	zip_file_t *member = zip_fopen(archive->zip, name, 0);
	size_t done_bytes = 0;
	zip_int64_t n = 1;
	char beyond;

	if (member == NULL)
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s': cannot unpack %s: %s", archive->what, name,
			   zip_strerror(archive->zip));
	while (n > 0 && done_bytes < n_bytes) {
		n = zip_fread(member, data + done_bytes, n_bytes - done_bytes);
		done_bytes += n > 0 ? (size_t)n : 0;
	}
	if (n >= 0 && done_bytes == n_bytes)
		n = zip_fread(member, &beyond, 1);
	if (n < 0)
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s': cannot unpack %s: %s", archive->what, name,
			   zip_error_strerror(zip_file_get_error(member)));
	if (n > 0 || done_bytes != n_bytes)
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s': %s has another length than the archive says", archive->what, name);
done:
	if (member != NULL)
		(void)zip_fclose(member);
	return status;
}

ftmpi_status ftmpi__archive_read(const ftmpi__archive *archive, const char *name, uint64_t max_bytes, ftmpi__image *out)
{
	ftmpi_status status = FTMPI_OK;
	uint8_t *data = NULL;
	uint64_t n_bytes = 0;

	FTMPI_TRY(measure(archive, name, &n_bytes, &max_bytes));
	if (n_bytes > max_bytes)
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s': %s would unpack to %llu bytes where at most %llu can be right",
			   archive->what, name, (unsigned long long)n_bytes, (unsigned long long)max_bytes);
	data = ftmpi__image_memory((size_t)n_bytes + 1);
	if (data == NULL)
		FTMPI_FAIL(FTMPI_ERR_MEMORY, "out of memory for %s of '%s': %llu bytes", name, archive->what,
			   (unsigned long long)n_bytes);
	FTMPI_TRY(read_member(archive, name, data, (size_t)n_bytes));
	data[n_bytes] = 0;
	*out = (ftmpi__image){.data = data, .n_bytes = (size_t)n_bytes};
	data = NULL;
done:
	free(data);
	return status;
}

/* Add one member. Its time is fixed: ZIP's first day. */
static ftmpi_status add_member(zip_t *zip, const ftmpi__member *member)
{
	enum { FIRST_DAY = 1 << 5 | 1 };
	ftmpi_status status = FTMPI_OK;
	zip_source_t *source = zip_source_buffer(zip, member->data, member->n_bytes, 0);
	zip_int64_t index = -1;

	if (source != NULL)
		index = zip_file_add(zip, member->name, source, ZIP_FL_ENC_UTF_8);
	if (source != NULL && index < 0)
		zip_source_free(source);
	if (index < 0 || zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) != 0 ||
	    zip_file_set_dostime(zip, (zip_uint64_t)index, 0, FIRST_DAY, 0) != 0)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "cannot add %s to the archive: %s", member->name, zip_strerror(zip));
done:
	return status;
}

/* Copy the archive out of its source. */
static ftmpi_status take_bytes(zip_source_t *source, ftmpi__image *out)
{
	ftmpi_status status = FTMPI_OK;
	uint8_t *data = NULL;
	zip_stat_t stat;
	bool is_open = false;

	if (zip_source_stat(source, &stat) != 0 || zip_source_open(source) != 0)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "cannot read the archive back");
	is_open = true;
	data = ftmpi__image_memory((size_t)stat.size);
	if (data == NULL)
		FTMPI_FAIL(FTMPI_ERR_MEMORY, "out of memory for an archive of %llu bytes",
			   (unsigned long long)stat.size);
	if (zip_source_read(source, data, stat.size) != (zip_int64_t)stat.size)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "cannot read the archive back");
	*out = (ftmpi__image){.data = data, .n_bytes = (size_t)stat.size};
	data = NULL;
done:
	if (is_open)
		(void)zip_source_close(source);
	free(data);
	return status;
}

ftmpi_status ftmpi__archive_build(const ftmpi__member *members, int n_members, ftmpi__image *out)
{
	ftmpi_status status = FTMPI_OK;
	zip_source_t *source = NULL;
	zip_t *zip = NULL;
	zip_error_t error;

	zip_error_init(&error);
	source = zip_source_buffer_create(NULL, 0, 0, &error);
	if (source == NULL)
		FTMPI_FAIL(FTMPI_ERR_MEMORY, "cannot make an archive: %s", zip_error_strerror(&error));
	zip = zip_open_from_source(source, ZIP_TRUNCATE, &error);
	if (zip == NULL)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "cannot make an archive: %s", zip_error_strerror(&error));
	zip_source_keep(source); /* beyond the archive's end */
	for (int i = 0; i < n_members; i++)
		FTMPI_TRY(add_member(zip, &members[i]));
	if (zip_close(zip) != 0)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "cannot make an archive: %s", zip_strerror(zip));
	zip = NULL;
	FTMPI_TRY(take_bytes(source, out));
done:
	if (zip != NULL)
		zip_discard(zip);
	if (source != NULL)
		zip_source_free(source);
	zip_error_fini(&error);
	return status;
}
