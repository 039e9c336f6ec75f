/* SPDX-License-Identifier: Apache-2.0 */
/* Datasets in chunks: the tree that finds them (HDF5's version 1 B-tree), and the filters that they went through.
 *
 * A tree of chunks is in the order of the chunks' places. Each must lie behind the one before it and all must be there: so none is unpacked
 * twice, and the work is that of the dataset's size, whatever the file says. */
#include "keras/h5.h"

#include <string.h>
#include <zlib.h>

/* Checksums and the like that a filter may add to a chunk. */
enum { SLACK_BYTES = 64, CHECKSUM_BYTES = 4 };

struct reading {
	ftmpi__h5_file file; /* counts the bytes of the tree */
	const ftmpi__h5_array *array;
	uint8_t *out;
	uint8_t *buffers[2]; /* chunk_bytes + SLACK_BYTES each */
	int64_t n_chunks;    /* there must be */
	int64_t n_read;      /* the next one's number */
};

/* Fletcher's checksum of big-endian 16-bit words, as HDF5 computes it. */
static uint32_t fletcher32(const uint8_t *bytes, size_t n_bytes)
{
	enum { MAX_WORDS = 360 }; /* so many sums fit in 32 bits */
	uint32_t a = 0, b = 0;
	size_t i = 0;

	while (i + 1 < n_bytes) {
		for (int n = 0; n < MAX_WORDS && i + 1 < n_bytes; n++, i += 2) {
			a += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
			b += a;
		}
		a = (a & 0xffff) + (a >> 16);
		b = (b & 0xffff) + (b >> 16);
	}
	if (i < n_bytes) {
		a += (uint32_t)bytes[i] << 8;
		b += a;
		a = (a & 0xffff) + (a >> 16);
		b = (b & 0xffff) + (b >> 16);
	}
	a = (a & 0xffff) + (a >> 16);
	b = (b & 0xffff) + (b >> 16);
	return b << 16 | a;
}

/* to[n, size] = from[size, n] transposed; what is left over stays at the end. */
static void unshuffle(const uint8_t *from, size_t n_bytes, size_t element_bytes, uint8_t *to)
{
	const size_t n = n_bytes / element_bytes;

	for (size_t k = 0; k < element_bytes; k++)
		for (size_t i = 0; i < n; i++)
			to[i * element_bytes + k] = from[k * n + i];
	memcpy(to + n * element_bytes, from + n * element_bytes, n_bytes - n * element_bytes);
}

/* Undo one filter: from `*at` to `to`, which has room for chunk_bytes + SLACK_BYTES. Returns NULL, or what is wrong. */
static const char *undo_filter(const struct reading *r, int filter, uint8_t *to, ftmpi__cursor *at)
{
	uLongf n_bytes = r->array->chunk_bytes + SLACK_BYTES;
	ftmpi__cursor sum;

	switch (filter) {
	case FTMPI__H5_DEFLATE:
		if (uncompress(to, &n_bytes, at->at, at->left) != Z_OK)
			return "a compressed chunk that is damaged";
		*at = (ftmpi__cursor){.at = to, .left = n_bytes};
		return NULL;
	case FTMPI__H5_SHUFFLE:
		if (at->left > n_bytes)
			return "a chunk that is too long";
		unshuffle(at->at, at->left, r->array->value.element_bytes, to);
		at->at = to;
		return NULL;
	default:
		if (at->left < CHECKSUM_BYTES)
			return "a chunk without its checksum";
		at->left -= CHECKSUM_BYTES;
		sum = (ftmpi__cursor){.at = at->at + at->left, .left = CHECKSUM_BYTES};
		return fletcher32(at->at, at->left) == ftmpi__cursor_number(&sum, CHECKSUM_BYTES)
			       ? NULL
			       : "a chunk with a wrong checksum";
	}
}

/* Undo the filters, the last one first; a bit of `skipped` is set for each that was not applied. */
static ftmpi_status undo_filters(const struct reading *r, uint64_t skipped, ftmpi__cursor *at)
{
	ftmpi_status status = FTMPI_OK;
	int turn = 0;

	for (int i = r->array->n_filters - 1; i >= 0; i--) {
		const char *wrong;

		if ((skipped >> i & 1) != 0)
			continue;
		wrong = undo_filter(r, r->array->filters[i], r->buffers[turn], at);
		if (wrong != NULL)
			FTMPI_TRY(ftmpi__h5_bad(&r->file, wrong));
		turn = 1 - turn;
	}
	if (at->left != r->array->chunk_bytes)
		FTMPI_TRY(ftmpi__h5_bad(&r->file, "a chunk of a wrong length"));
done:
	return status;
}

/* Copy the part of a chunk that is inside of the dataset, row by row. @param first place of its first element. */
static void copy_chunk(const struct reading *r, const int64_t *first, const uint8_t *chunk)
{
	const ftmpi__hdf5_value *value = &r->array->value;
	const int last = value->n_dims - 1;
	const int64_t left = value->dims[last] - first[last], width = r->array->chunk[last];
	const size_t n_bytes = (size_t)(left < width ? left : width) * value->element_bytes;
	int64_t at[FTMPI_MAX_DIMS] = {0}; /* of the row in the chunk */
	int d = 0;

	for (const uint8_t *row = chunk; d >= 0; row += (size_t)width * value->element_bytes) {
		int64_t place = 0;
		bool is_inside = true;

		for (int i = 0; i <= last; i++) {
			is_inside = is_inside && first[i] + at[i] < value->dims[i];
			place = place * value->dims[i] + first[i] + at[i];
		}
		if (is_inside)
			memcpy(r->out + (size_t)place * value->element_bytes, row, n_bytes);
		for (d = last - 1; d >= 0 && ++at[d] == r->array->chunk[d]; d--)
			at[d] = 0;
	}
}

/* Number of the chunk at a place, in the order of the tree; −1 when there is none. */
static int64_t chunk_number(const struct reading *r, const int64_t *first)
{
	const ftmpi__hdf5_value *value = &r->array->value;
	int64_t number = 0;

	for (int i = 0; i < value->n_dims; i++) {
		const int64_t n = (value->dims[i] - 1) / r->array->chunk[i] + 1;

		if (first[i] < 0 || first[i] >= value->dims[i] || first[i] % r->array->chunk[i] != 0)
			return -1;
		number = number * n + first[i] / r->array->chunk[i];
	}
	return number;
}

/* A chunk after its key: stored length, skipped filters, place (and 0 for the place in an element). */
static ftmpi_status read_chunk(struct reading *r, ftmpi__cursor *key, uint64_t address)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi__image *image = r->file.image;
	const uint64_t n_bytes = ftmpi__cursor_number(key, 4), skipped = ftmpi__cursor_number(key, 4);
	int64_t first[FTMPI_MAX_DIMS] = {0};
	ftmpi__cursor at;

	for (int i = 0; i < r->array->value.n_dims; i++)
		first[i] = (int64_t)ftmpi__cursor_number(key, 8);
	if (r->n_read == r->n_chunks || chunk_number(r, first) != r->n_read)
		FTMPI_TRY(ftmpi__h5_bad(&r->file, "chunks that are missing or out of order"));
	r->n_read++;
	if (address > image->n_bytes || n_bytes > image->n_bytes - address)
		FTMPI_TRY(ftmpi__h5_bad(&r->file, "data beyond the end of the file"));
	at = (ftmpi__cursor){.at = image->data + address, .left = (size_t)n_bytes};
	FTMPI_TRY(undo_filters(r, skipped, &at));
	copy_chunk(r, first, at.at);
done:
	return status;
}

static ftmpi_status read_tree(struct reading *r, uint64_t address, int above)
{
	ftmpi_status status = FTMPI_OK;
	const size_t key_bytes = 8 + 8 * ((size_t)r->array->value.n_dims + 1);
	ftmpi__cursor c = {0};
	int level = 0, n = 0;

	FTMPI_TRY(ftmpi__h5_node_open(&r->file, address, 1, key_bytes, &level, &n, &c));
	if (level >= above)
		FTMPI_TRY(ftmpi__h5_bad(&r->file, "a tree that goes in circles"));
	for (int i = 0; i < n; i++) {
		ftmpi__cursor key = {.at = ftmpi__cursor_take(&c, key_bytes), .left = key_bytes};
		const uint64_t child = ftmpi__cursor_number(&c, 8);

		if (level == 0)
			FTMPI_TRY(read_chunk(r, &key, child));
		else
			FTMPI_TRY(read_tree(r, child, level));
	}
done:
	return status;
}

ftmpi_status ftmpi__h5_read_chunks(const ftmpi__image *image, const char *file, const char *path,
				   const ftmpi__h5_array *array, uint8_t *out)
{
	enum { MAX_LEVELS = 32 };
	ftmpi_status status = FTMPI_OK;
	struct reading r = {.file = {.image = image, .name = file, .bytes_left = image->n_bytes},
			    .array = array,
			    .out = out,
			    .n_chunks = 1};
	const size_t path_bytes = strlen(path);

	memcpy(r.file.path, path, path_bytes < sizeof r.file.path ? path_bytes : sizeof r.file.path - 1);
	if (array->value.n_bytes == 0)
		goto done;
	for (int i = 0; i < array->value.n_dims; i++)
		r.n_chunks *= (array->value.dims[i] - 1) / array->chunk[i] + 1;
	for (int i = 0; i < 2; i++)
		FTMPI_TRY(FTMPI_ALLOC((int64_t)(array->chunk_bytes + SLACK_BYTES), &r.buffers[i]));
	FTMPI_TRY(read_tree(&r, array->chunks, MAX_LEVELS));
	if (r.n_read != r.n_chunks)
		FTMPI_TRY(ftmpi__h5_bad(&r.file, "chunks that are missing or out of order"));
done:
	ftmpi_free(r.buffers[0]);
	ftmpi_free(r.buffers[1]);
	return status;
}
