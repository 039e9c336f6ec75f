/* SPDX-License-Identifier: Apache-2.0 */
/* A torn write: each block is one of four things, and the length is any up to the new one. */
#include "crash_variants.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_BLOCKS = 64, N_RANDOM = 12 };

/* What a block of the file is after the crash: of the bytes as they were, as they were written, zero, or of something else. */
enum block { OLD, NEW, ZERO, GARBAGE };

uint32_t crash_draw(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33);
}

/* One way to tear: what the blocks are, and how long the file is. */
struct tear {
	size_t block_bytes, length;
	enum block before, at, behind; /* blocks before, at and behind number `here` */
	size_t here;
	uint64_t *seed; /* NULL: not at random */
};

static char byte_of(const model_file *file, size_t i, enum block block)
{
	switch (block) {
	case OLD:
		return i < file->durable.n_bytes ? file->durable.data[i] : '\0';
	case NEW:
		return i < file->current.n_bytes ? file->current.data[i] : '\0';
	case ZERO:
		return '\0';
	case GARBAGE:
		return (char)(i * 37 + 11);
	}
	return '\0';
}

static ftmpi_status fill(const model_file *file, const struct tear *tear, ftmpi_buffer *out)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi_buffer_resize(out, tear->length));
	for (size_t start = 0, b = 0; start < tear->length; start += tear->block_bytes, b++) {
		const size_t end = start + tear->block_bytes < tear->length ? start + tear->block_bytes : tear->length;
		enum block block = b < tear->here ? tear->before : b == tear->here ? tear->at : tear->behind;

		if (tear->seed != NULL)
			block = (enum block)(crash_draw(tear->seed) % 4);
		for (size_t i = start; i < end; i++)
			out->data[i] = byte_of(file, i, block);
	}
done:
	return status;
}

/* Take the contents over, unless they are there already. */
static ftmpi_status add(crash_variants *v, ftmpi_buffer *contents)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_digest digest = ftmpi_hash(contents->data, contents->n_bytes);

	for (int i = 0; i < v->n; i++)
		if (ftmpi_digest_equal(v->digests[i], digest))
			goto done;
	if (v->n == v->capacity) {
		const int capacity = 2 * v->capacity + 16;
		ftmpi_buffer *more = realloc(v->contents, (size_t)capacity * sizeof *more);
		ftmpi_digest *digests;

		v->contents = more != NULL ? more : v->contents;
		digests = realloc(v->digests, (size_t)capacity * sizeof *digests);
		v->digests = digests != NULL ? digests : v->digests;
		if (more == NULL || digests == NULL)
			FTMPI_FAIL(FTMPI_ERR_MEMORY, "out of memory");
		v->capacity = capacity;
	}
	v->digests[v->n] = digest;
	v->contents[v->n++] = *contents;
	*contents = (ftmpi_buffer){0};
done:
	ftmpi_buffer_clear(contents);
	return status;
}

static ftmpi_status add_tear(crash_variants *v, const model_file *file, const struct tear *tear)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer contents = {0};

	FTMPI_TRY(fill(file, tear, &contents));
	FTMPI_TRY(add(v, &contents));
done:
	ftmpi_buffer_clear(&contents);
	return status;
}

/* All ways at one block. */
static ftmpi_status add_block(crash_variants *v, const model_file *file, size_t block_bytes, size_t here, size_t length)
{
	static const enum block ways[][3] = {
		{NEW, ZERO, ZERO}, {NEW, GARBAGE, GARBAGE}, {NEW, OLD, OLD}, {ZERO, NEW, NEW}, {OLD, NEW, NEW},
		{NEW, ZERO, NEW},  {NEW, GARBAGE, NEW},     {NEW, OLD, NEW}, {OLD, NEW, OLD},  {ZERO, NEW, ZERO},
	};
	ftmpi_status status = FTMPI_OK;
	struct tear tear = {.block_bytes = block_bytes, .here = here};
	const size_t cut = here * block_bytes;

	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		tear.length = length;
		tear.before = ways[i][0];
		tear.at = ways[i][1];
		tear.behind = ways[i][2];
		FTMPI_TRY(add_tear(v, file, &tear));
	}
	tear.before = tear.at = tear.behind = NEW;
	tear.length = cut < length ? cut : length;
	FTMPI_TRY(add_tear(v, file, &tear));
done:
	return status;
}

static ftmpi_status add_all(crash_variants *v, const model_file *file, uint64_t seed)
{
	ftmpi_status status = FTMPI_OK;
	const size_t was = file->durable.n_bytes, is = file->current.n_bytes, length = was > is ? was : is;

	for (size_t block_bytes = 512; block_bytes <= 4096; block_bytes *= 8) {
		const size_t n = (length + block_bytes - 1) / block_bytes, stride = (n + MAX_BLOCKS - 1) / MAX_BLOCKS;

		for (size_t here = 0; here < n; here += stride)
			FTMPI_TRY(add_block(v, file, block_bytes, here, length));
	}
	for (int i = 0; i < N_RANDOM; i++) {
		const struct tear tear = {.block_bytes = 512,
					  .length = i % 2 == 0 ? length : crash_draw(&seed) % (length + 1),
					  .seed = &seed};

		FTMPI_TRY(add_tear(v, file, &tear));
	}
done:
	return status;
}

ftmpi_status crash_variants_make(const model_file *file, uint64_t seed, crash_variants *out)
{
	ftmpi_status status = FTMPI_OK;
	struct tear tear = {
		.block_bytes = 4096, .before = OLD, .at = OLD, .behind = OLD, .length = file->durable.n_bytes};

	FTMPI_TRY(add_tear(out, file, &tear));
	if (!file->dirty)
		goto done;
	tear = (struct tear){
		.block_bytes = 4096, .before = NEW, .at = NEW, .behind = NEW, .length = file->current.n_bytes};
	FTMPI_TRY(add_tear(out, file, &tear));
	FTMPI_TRY(add_all(out, file, seed));
done:
	return status;
}

void crash_variants_clear(crash_variants *v)
{
	for (int i = 0; i < v->n; i++)
		ftmpi_buffer_clear(&v->contents[i]);
	free(v->contents);
	free(v->digests);
	*v = (crash_variants){0};
}
