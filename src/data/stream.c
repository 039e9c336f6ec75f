/* SPDX-License-Identifier: Apache-2.0 */
/* Plain and gzipped files behind one read.
 *
 * zlib's own gzread passes over garbage behind the last member; here inflate is called directly, so that every byte of
 * the file is accounted for: checksums and lengths of all members, and nothing behind them. Memory: one block
 * of input. */
#include "data/stream.h"

#include "data/convert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { BLOCK_BYTES = 1 << 16, PIECE_BYTES = 1 << 30 };

struct ftmpi__stream {
	int fd;
	int64_t length; /* of the file */
	int64_t n_read; /* of the content */
	bool is_gzip, inflating, between_members;
	z_stream z;
	char *path;
	unsigned char block[BLOCK_BYTES];
};

ftmpi_status ftmpi__file_open(const char *path, int *fd, int64_t *length)
{
	ftmpi_status status = FTMPI_OK;
	struct stat info;
	/* O_NONBLOCK: a pipe of that name must not stop the program */
	int f = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (f < 0)
		FTMPI_FAIL(errno == ENOENT || errno == ENOTDIR ? FTMPI_ERR_NOT_FOUND : FTMPI_ERR_IO,
			   "%s: cannot open: %s", path, strerror(errno));
	if (fstat(f, &info) != 0)
		FTMPI_FAIL(FTMPI_ERR_IO, "%s: cannot read its length: %s", path, strerror(errno));
	if (!S_ISREG(info.st_mode))
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: not a regular file", path);
	*fd = f;
	f = -1;
	if (length != NULL)
		*length = (int64_t)info.st_size;
done:
	if (f >= 0)
		(void)close(f);
	return status;
}

static bool ends_with(const char *text, const char *end)
{
	const size_t n = strlen(text), n_end = strlen(end);

	return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

ftmpi_status ftmpi__stream_open(const char *path, ftmpi__stream **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__stream *stream = NULL;

	FTMPI_TRY(FTMPI_ALLOC(1, &stream));
	stream->fd = -1;
	FTMPI_TRY(FTMPI_ALLOC((int64_t)strlen(path) + 1, &stream->path));
	memcpy(stream->path, path, strlen(path));
	FTMPI_TRY(ftmpi__file_open(path, &stream->fd, &stream->length));
	stream->is_gzip = ends_with(path, ".gz");
	if (stream->is_gzip) {
		if (inflateInit2(&stream->z, 16 + MAX_WBITS) != Z_OK)
			FTMPI_FAIL(FTMPI_ERR_MEMORY, "%s: out of memory for decompression", path);
		stream->inflating = true;
	}
	*out = stream;
	stream = NULL;
done:
	ftmpi__stream_close(&stream);
	return status;
}

void ftmpi__stream_close(ftmpi__stream **stream)
{
	if (*stream == NULL)
		return;
	if ((*stream)->inflating)
		(void)inflateEnd(&(*stream)->z);
	if ((*stream)->fd >= 0)
		(void)close((*stream)->fd);
	ftmpi_free((*stream)->path);
	ftmpi_free(*stream);
	*stream = NULL;
}

const char *ftmpi__stream_path(const ftmpi__stream *stream)
{
	return stream->path;
}

ftmpi_status ftmpi__stream_check_length(const ftmpi__stream *stream, int64_t n_bytes)
{
	ftmpi_status status = FTMPI_OK;

	if (!stream->is_gzip && n_bytes != stream->length)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: is %lld bytes long, but its header stands for %lld", stream->path,
			   (long long)stream->length, (long long)n_bytes);
	if (stream->is_gzip && n_bytes > ftmpi__deflate_bound(stream->length))
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: its %lld bytes cannot expand to the %lld that its header stands for",
			   stream->path, (long long)stream->length, (long long)n_bytes);
done:
	return status;
}

/* Some bytes of the file; *n_read is 0 at its end. */
static ftmpi_status read_file(ftmpi__stream *stream, void *to, size_t n_bytes, size_t *n_read)
{
	ftmpi_status status = FTMPI_OK;
	ssize_t n;

	do
		n = read(stream->fd, to, n_bytes);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		FTMPI_FAIL(FTMPI_ERR_IO, "%s: cannot read: %s", stream->path, strerror(errno));
	*n_read = (size_t)n;
done:
	return status;
}

/* One call of inflate: some bytes of content, or a step towards them. */
static ftmpi_status inflate_step(ftmpi__stream *stream)
{
	ftmpi_status status = FTMPI_OK;
	z_stream *const z = &stream->z;
	int code;

	if (stream->between_members && inflateReset(z) != Z_OK)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "%s: cannot reset the decompression", stream->path);
	stream->between_members = false;
	code = inflate(z, Z_NO_FLUSH);
	if (code == Z_MEM_ERROR)
		FTMPI_FAIL(FTMPI_ERR_MEMORY, "%s: out of memory for decompression", stream->path);
	if (code != Z_OK && code != Z_BUF_ERROR && code != Z_STREAM_END)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: damaged gzip data behind byte %lld of its content: %s", stream->path,
			   (long long)stream->n_read, z->msg != NULL ? z->msg : zError(code));
	stream->between_members = code == Z_STREAM_END;
done:
	return status;
}

/* Some bytes of a gzipped file's content; *n_read is 0 at its end. */
static ftmpi_status read_gzip(ftmpi__stream *stream, void *to, size_t n_bytes, size_t *n_read)
{
	ftmpi_status status = FTMPI_OK;
	z_stream *const z = &stream->z;
	const uInt wanted = n_bytes < PIECE_BYTES ? (uInt)n_bytes : PIECE_BYTES;
	size_t n_in = 0;

	z->next_out = to;
	z->avail_out = wanted;
	while (z->avail_out == wanted) {
		if (z->avail_in == 0) {
			FTMPI_TRY(read_file(stream, stream->block, sizeof stream->block, &n_in));
			if (n_in == 0 && !stream->between_members)
				FTMPI_FAIL(FTMPI_ERR_DATA, "%s: truncated gzip data", stream->path);
			if (n_in == 0)
				break;
			z->next_in = stream->block;
			z->avail_in = (uInt)n_in;
		}
		FTMPI_TRY(inflate_step(stream));
	}
	*n_read = wanted - z->avail_out;
done:
	return status;
}

static ftmpi_status read_some(ftmpi__stream *stream, void *to, size_t n_bytes, size_t *n_read)
{
	return stream->is_gzip ? read_gzip(stream, to, n_bytes, n_read) : read_file(stream, to, n_bytes, n_read);
}

ftmpi_status ftmpi__stream_read(ftmpi__stream *stream, void *to, size_t n_bytes)
{
	ftmpi_status status = FTMPI_OK;
	char *p = to;
	size_t n = 0;

	while (n_bytes > 0) {
		FTMPI_TRY(read_some(stream, p, n_bytes, &n));
		if (n == 0)
			FTMPI_FAIL(FTMPI_ERR_DATA, "%s: truncated: ends at byte %lld of its content", stream->path,
				   (long long)stream->n_read);
		p += n;
		n_bytes -= n;
		stream->n_read += (int64_t)n;
	}
done:
	return status;
}

ftmpi_status ftmpi__stream_end(ftmpi__stream *stream)
{
	ftmpi_status status = FTMPI_OK;
	char one;
	size_t n = 0;

	FTMPI_TRY(read_some(stream, &one, 1, &n));
	if (n > 0)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: has more bytes than the %lld that its header stands for", stream->path,
			   (long long)stream->n_read);
done:
	return status;
}
