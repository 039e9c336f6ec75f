/* SPDX-License-Identifier: Apache-2.0 */
/* An open checkpoint: the file's bytes, and pointers into them.
 *
 * The file is read once, and its digest is taken of each piece as it comes; what was verified is what is used, whatever happens to the file afterwards.
 * A state file lists a digest only when the arrays in the file have matched theirs: a file that has it needs no second look at them. Variables are not copied before they are
 * asked for, so a reader takes the file's size in memory and little more. A reader is not changed after it is open: threads may share it. */
#include "ckpt/hdf5_parse.h"
#include "ckpt/reader_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A reader of `file` without contents. */
static ftmpi_status create(const char *file, ftmpi_reader **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_reader *reader = NULL;
	const size_t n_bytes = strlen(file) + 1;

	FTMPI_TRY(FTMPI_ALLOC(1, &reader));
	FTMPI_TRY(FTMPI_ALLOC((int64_t)n_bytes, &reader->file));
	memcpy(reader->file, file, n_bytes);
	*out = reader;
	reader = NULL;
done:
	ftmpi_reader_close(&reader);
	return status;
}

static ftmpi_status check_length(const char *file, size_t n_bytes, const ftmpi__expected *expected)
{
	ftmpi_status status = FTMPI_OK;

	if (n_bytes != expected->n_bytes)
		FTMPI_FAIL(FTMPI_ERR_DATA, "checkpoint '%s' has %zu bytes where the state file says %zu", file, n_bytes,
			   expected->n_bytes);
done:
	return status;
}

/* The file is the one that was listed. */
static ftmpi_status check_expected(const ftmpi_reader *reader, const ftmpi__expected *expected)
{
	ftmpi_status status = FTMPI_OK;
	char is[FTMPI_DIGEST_TEXT], should[FTMPI_DIGEST_TEXT];

	FTMPI_TRY(check_length(reader->file, reader->n_bytes, expected));
	ftmpi_digest_format(reader->file_digest, is);
	ftmpi_digest_format(expected->digest, should);
	if (!ftmpi_digest_equal(reader->file_digest, expected->digest))
		FTMPI_FAIL(FTMPI_ERR_DATA, "checkpoint '%s' was altered: its digest is %s where the state file says %s",
			   reader->file, is, should);
done:
	return status;
}

/* A file that is being read. */
struct reading {
	const char *file;
	ftmpi_hasher *hasher;
};

/* Take the digest of a piece. The failpoint of reading: an error, or one bit in the middle of the first piece. */
static ftmpi_status take_piece(void *context, uint8_t *piece, size_t at, size_t n_bytes)
{
	ftmpi_status status = FTMPI_OK;
	const struct reading *reading = context;
	const ftmpi_fault_action action = at == 0 ? ftmpi_failpoint_hit(FTMPI_FP_RESTORE_READ) : FTMPI_FAULT_NONE;

	if (action == FTMPI_FAULT_ERROR)
		FTMPI_FAIL(ftmpi__io_status(errno), "cannot read '%s': %s", reading->file, strerror(errno));
	if (action == FTMPI_FAULT_CORRUPT)
		piece[n_bytes / 2] ^= 1;
	ftmpi_hasher_update(reading->hasher, piece, n_bytes);
done:
	return status;
}

static ftmpi_status read_file(ftmpi_reader *reader, int fd, const char *name, int flags)
{
	ftmpi_status status = FTMPI_OK;
	struct reading reading = {.file = reader->file};
	const ftmpi__file_watcher watcher = {.take = take_piece, .context = &reading};

	FTMPI_TRY(ftmpi_hasher_create(&reading.hasher));
	FTMPI_TRY(ftmpi__file_read(fd, name, flags, reader->file, FTMPI__HDF5_START_BYTES, ftmpi__hdf5_check_start,
				   &watcher, &reader->image));
	reader->n_bytes = reader->image.n_bytes;
	reader->file_digest = ftmpi_hasher_digest(reading.hasher);
done:
	ftmpi_hasher_destroy(&reading.hasher);
	return status;
}

ftmpi_status ftmpi__reader_open_at(int fd, const char *name, int flags, const char *file,
				   const ftmpi__expected *expected, ftmpi_reader **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_reader *reader = NULL;
	struct stat st;

	/* Before its bytes are read: a file of another length may be larger than the memory. */
	if (expected != NULL && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
		FTMPI_TRY(check_length(file, (size_t)st.st_size, expected));
	FTMPI_TRY(create(file, &reader));
	FTMPI_TRY(read_file(reader, fd, name, flags));
	if (expected != NULL)
		FTMPI_TRY(check_expected(reader, expected));
	FTMPI_TRY(ftmpi__reader_take_contents(reader, reader->image.data, expected != NULL));
	*out = reader;
	reader = NULL;
done:
	ftmpi_reader_close(&reader);
	return status;
}

ftmpi_status ftmpi__reader_open_bytes(const uint8_t *bytes, size_t n_bytes, const char *file, bool vouched,
				      ftmpi_reader **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_reader *reader = NULL;

	FTMPI_TRY(create(file, &reader));
	reader->n_bytes = n_bytes;
	FTMPI_TRY(ftmpi__reader_take_contents(reader, bytes, vouched));
	*out = reader;
	reader = NULL;
done:
	ftmpi_reader_close(&reader);
	return status;
}

ftmpi_status ftmpi_reader_open(const char *file, ftmpi_reader **out)
{
	return ftmpi__reader_open_at(AT_FDCWD, file, 0, file, NULL, out);
}

void ftmpi_reader_close(ftmpi_reader **reader)
{
	if (*reader == NULL)
		return;
	ftmpi__image_clear(&(*reader)->image);
	ftmpi_free((*reader)->variables);
	ftmpi_free((*reader)->file);
	ftmpi_free(*reader);
	*reader = NULL;
}

const char *ftmpi_reader_file(const ftmpi_reader *reader)
{
	return reader->file;
}

size_t ftmpi_reader_n_bytes(const ftmpi_reader *reader)
{
	return reader->n_bytes;
}

ftmpi_digest ftmpi_reader_file_digest(const ftmpi_reader *reader)
{
	return reader->file_digest;
}

ftmpi_digest ftmpi_reader_state_digest(const ftmpi_reader *reader)
{
	return reader->state_digest;
}

int ftmpi_reader_n_variables(const ftmpi_reader *reader)
{
	return reader->n_variables;
}

const ftmpi_variable *ftmpi_reader_variable(const ftmpi_reader *reader, int i)
{
	return &reader->variables[i].info;
}

const ftmpi__variable *ftmpi__reader_find(const ftmpi_reader *reader, const char *path)
{
	int low = 0, high = reader->n_variables;

	while (low < high) {
		const int middle = low + (high - low) / 2;
		const int order = strcmp(reader->variables[middle].info.path, path);

		if (order == 0)
			return &reader->variables[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const ftmpi_variable *ftmpi_reader_find(const ftmpi_reader *reader, const char *path)
{
	const ftmpi__variable *variable = ftmpi__reader_find(reader, path);

	return variable == NULL ? NULL : &variable->info;
}

/* The variable, or an error that names the file. */
static ftmpi_status need(const ftmpi_reader *reader, const char *path, const ftmpi__variable **out)
{
	ftmpi_status status = FTMPI_OK;

	*out = ftmpi__reader_find(reader, path);
	if (*out == NULL)
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "checkpoint '%s' has no '%s'", reader->file, path);
done:
	return status;
}

ftmpi_status ftmpi_reader_read(const ftmpi_reader *reader, const char *path, void *data, size_t n_bytes)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi__variable *variable;

	FTMPI_TRY(need(reader, path, &variable));
	if (variable->info.n_bytes != n_bytes)
		FTMPI_FAIL(FTMPI_ERR_DATA, "checkpoint '%s': '%s' has %zu bytes, not %zu", reader->file, path,
			   variable->info.n_bytes, n_bytes);
	if (n_bytes > 0)
		memcpy(data, variable->data, n_bytes);
done:
	return status;
}

ftmpi_status ftmpi_reader_read_buffer(const ftmpi_reader *reader, const char *path, ftmpi_buffer *buffer)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi__variable *variable;

	FTMPI_TRY(need(reader, path, &variable));
	FTMPI_TRY(ftmpi_buffer_resize(buffer, variable->info.n_bytes));
	if (variable->info.n_bytes > 0)
		memcpy(buffer->data, variable->data, variable->info.n_bytes);
done:
	return status;
}
