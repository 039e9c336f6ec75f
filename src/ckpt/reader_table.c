/* SPDX-License-Identifier: Apache-2.0 */
/* What a file holds, checked against the table of digests in it.
 *
 * 1  walk the file: collect its datasets and our attributes
 * 2  version of the format: a newer one is refused before anything else is judged
 * 3  rows of the table: paths strictly ascending, digests well-formed; digest of the table; digest of the state
 * 4  datasets by path, one for each row and one row for each; digest of each, unless somebody else vouches for their bytes
 *
 * Memory: one record for each dataset, and their paths, which together must not be longer than the file. */
#include "ckpt/reader_table.h"
#include "ckpt/hdf5_parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A dataset of the file. Its path is in `contents.paths`; first an offset, since that buffer grows, then a pointer. */
struct found {
	size_t path_at;
	const char *path;
	ftmpi__hdf5_value value;
};

struct contents {
	const char *file;
	size_t n_bytes;
	ftmpi_buffer found; /* struct found */
	ftmpi_buffer paths; /* zero-terminated, one behind the other */
	ftmpi__hdf5_value column_paths, column_hashes, column_kinds;
	int64_t version; /* 0: none seen */
	bool vouched, has_state, has_table;
	ftmpi_digest state, table;
	ftmpi__digest_row *rows;
	int n_rows;
};

static ftmpi_status bad(const struct contents *c, const char *what, const char *path)
{
	(void)ftmpi_error_set(FTMPI_ERR_DATA, __FILE__, __LINE__, "checkpoint '%s': %s%s%s%s", c->file, what,
			      path == NULL ? "" : " '", path == NULL ? "" : path, path == NULL ? "" : "'");
	return FTMPI_ERR_DATA;
}

static ftmpi_status add_found(struct contents *c, const char *path, const ftmpi__hdf5_value *value)
{
	ftmpi_status status = FTMPI_OK;
	const struct found found = {.path_at = c->paths.n_bytes, .value = *value};

	FTMPI_TRY(ftmpi_buffer_append(&c->paths, path, strlen(path) + 1));
	if (c->paths.n_bytes > c->n_bytes)
		FTMPI_TRY(bad(c, "absurdly long paths", NULL));
	FTMPI_TRY(ftmpi_buffer_append(&c->found, &found, sizeof found));
done:
	return status;
}

/* The text of a digest that fills a string in the file. */
static bool parse_digest(const uint8_t *text, size_t n_bytes, ftmpi_digest *out)
{
	char copy[FTMPI_DIGEST_TEXT] = "";

	if (n_bytes != FTMPI_DIGEST_TEXT - 1)
		return false;
	memcpy(copy, text, n_bytes);
	return ftmpi_digest_parse(copy, out);
}

static void take_attribute(struct contents *c, const char *path, const char *name, const ftmpi__hdf5_value *value)
{
	const bool is_text = value->dtype == FTMPI_TEXT && value->n_dims == 0;

	if (strcmp(path, FTMPI__GROUP) == 0 && strcmp(name, FTMPI__ATTR_VERSION) == 0 && value->dtype == FTMPI_I32 &&
	    value->n_dims == 0) {
		int32_t version;

		memcpy(&version, value->data, sizeof version);
		c->version = version;
	}
	if (strcmp(path, FTMPI__DIGESTS) != 0 || !is_text)
		return;
	if (strcmp(name, FTMPI__ATTR_STATE) == 0)
		c->has_state = parse_digest(value->data, value->n_bytes, &c->state);
	if (strcmp(name, FTMPI__ATTR_TABLE) == 0)
		c->has_table = parse_digest(value->data, value->n_bytes, &c->table);
}

static ftmpi_status visit(void *context, const char *path, const char *attribute, const ftmpi__hdf5_value *value)
{
	struct contents *c = context;
	const size_t ours = strlen(FTMPI__DIGESTS);

	if (attribute != NULL)
		take_attribute(c, path, attribute, value);
	else if (strcmp(path, FTMPI__DIGESTS_PATHS) == 0)
		c->column_paths = *value;
	else if (strcmp(path, FTMPI__DIGESTS_HASHES) == 0)
		c->column_hashes = *value;
	else if (strcmp(path, FTMPI__DIGESTS_KINDS) == 0)
		c->column_kinds = *value;
	else if (strncmp(path, FTMPI__DIGESTS, ours) == 0 && (path[ours] == '/' || path[ours] == '\0'))
		return bad(c, "does not belong among the digests:", path);
	else
		return add_found(c, path, value);
	return FTMPI_OK;
}

static ftmpi_status check_version(const struct contents *c)
{
	ftmpi_status status = FTMPI_OK;

	if (c->version == 0)
		FTMPI_TRY(bad(c, "is not a checkpoint of ftmpi: it has no", FTMPI__GROUP "@" FTMPI__ATTR_VERSION));
	if (c->version < 0)
		FTMPI_TRY(bad(c, "has an absurd", FTMPI__GROUP "@" FTMPI__ATTR_VERSION));
	if (c->version > FTMPI__FORMAT_VERSION)
		FTMPI_FAIL(FTMPI_ERR_DATA,
			   "checkpoint '%s' has format version %lld, this ftmpi reads up to %d: use a newer ftmpi",
			   c->file, (long long)c->version, FTMPI__FORMAT_VERSION);
done:
	return status;
}

/* The three columns are there, of one length, of their types. An absent column is all zero: dtype FTMPI_F32. */
static ftmpi_status check_columns(const struct contents *c)
{
	const ftmpi__hdf5_value *paths = &c->column_paths, *hashes = &c->column_hashes, *kinds = &c->column_kinds;

	if (paths->dtype != FTMPI_TEXT || hashes->dtype != FTMPI_TEXT || kinds->dtype != FTMPI_U8 ||
	    paths->n_dims != 1 || hashes->n_dims != 1 || kinds->n_dims != 1 ||
	    hashes->element_bytes != FTMPI_DIGEST_TEXT - 1 || !c->has_state || !c->has_table)
		return bad(c, "has no table of digests in", FTMPI__DIGESTS);
	if (paths->dims[0] != hashes->dims[0] || paths->dims[0] != kinds->dims[0] ||
	    (uint64_t)paths->dims[0] != c->found.n_bytes / sizeof(struct found) || paths->dims[0] > INT32_MAX)
		return bad(c, "has another number of arrays than its table of digests", NULL);
	return FTMPI_OK;
}

/* A path fills its field up with zeros, one at least. */
static bool padded_with_zeros(const char *field, size_t width)
{
	const size_t n_bytes = strnlen(field, width);

	for (size_t i = n_bytes; i < width; i++)
		if (field[i] != '\0')
			return false;
	return n_bytes < width;
}

static ftmpi_status take_rows(struct contents *c)
{
	ftmpi_status status = FTMPI_OK;
	const size_t width = c->column_paths.element_bytes;

	FTMPI_TRY(check_columns(c));
	FTMPI_TRY(FTMPI_ALLOC(c->column_paths.dims[0], &c->rows));
	for (int64_t i = 0; i < c->column_paths.dims[0]; i++) {
		ftmpi__digest_row *row = &c->rows[i];
		const uint8_t kind = c->column_kinds.data[i];

		row->path = (const char *)c->column_paths.data + (size_t)i * width;
		row->kind = kind == FTMPI_STATE ? FTMPI_STATE : FTMPI_RECORD;
		if (!padded_with_zeros(row->path, width) || (kind != FTMPI_STATE && kind != FTMPI_RECORD) ||
		    !parse_digest(c->column_hashes.data + (size_t)i * (FTMPI_DIGEST_TEXT - 1), FTMPI_DIGEST_TEXT - 1,
				  &row->digest) ||
		    (i > 0 && strcmp(row[-1].path, row->path) >= 0))
			FTMPI_TRY(bad(c, "has a damaged table of digests in", FTMPI__DIGESTS));
		c->n_rows++;
	}
done:
	return status;
}

static ftmpi_status check_table(const struct contents *c)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_digest digest;

	FTMPI_TRY(ftmpi__table_digest(c->rows, c->n_rows, &digest));
	if (!ftmpi_digest_equal(digest, c->table))
		FTMPI_TRY(bad(c, "has a table of digests that does not match its own digest", NULL));
	FTMPI_TRY(ftmpi__state_digest(c->rows, c->n_rows, &digest));
	if (!ftmpi_digest_equal(digest, c->state))
		FTMPI_TRY(bad(c, "has a state digest that does not match the arrays' digests", NULL));
done:
	return status;
}

static int compare_found(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->path, ((const struct found *)b)->path);
}

/* The variable that a dataset is. A text has one byte behind it in the file, which is zero. */
static ftmpi_status take_variable(const struct contents *c, const struct found *found, const ftmpi__digest_row *row,
				  ftmpi__variable *out)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi__hdf5_value *value = &found->value;
	ftmpi_variable info = {.path = row->path,
			       .dtype = value->dtype,
			       .kind = row->kind,
			       .n_dims = value->n_dims,
			       .n_bytes = value->n_bytes,
			       .digest = row->digest};
	ftmpi__array array;

	memcpy(info.dims, value->dims, sizeof info.dims);
	if (info.dtype == FTMPI_TEXT) {
		if (info.n_dims != 0 || value->data[info.n_bytes - 1] != '\0')
			FTMPI_TRY(bad(c, "has a damaged text in", found->path));
		info.n_dims = 1;
		info.n_bytes--;
		info.dims[0] = (int64_t)info.n_bytes;
	}
	array = (ftmpi__array){info.path, info.dtype, info.n_dims, info.dims, value->data, info.n_bytes};
	if (!c->vouched && !ftmpi_digest_equal(ftmpi__array_digest(&array), info.digest))
		FTMPI_TRY(bad(c, "is damaged: bytes, type or shape do not match the digest of", found->path));
	*out = (ftmpi__variable){.info = info, .data = value->data};
done:
	return status;
}

static ftmpi_status take_variables(struct contents *c, ftmpi__variable **out)
{
	ftmpi_status status = FTMPI_OK;
	struct found *found = (struct found *)(void *)c->found.data;
	ftmpi__variable *variables = NULL;

	for (int i = 0; i < c->n_rows; i++)
		found[i].path = c->paths.data + found[i].path_at;
	if (c->n_rows > 0)
		qsort(found, (size_t)c->n_rows, sizeof *found, compare_found);
	FTMPI_TRY(FTMPI_ALLOC(c->n_rows, &variables));
	for (int i = 0; i < c->n_rows; i++) {
		if (strcmp(found[i].path, c->rows[i].path) != 0)
			FTMPI_TRY(bad(c, "has no digest for, or no",
				      strcmp(found[i].path, c->rows[i].path) < 0 ? found[i].path : c->rows[i].path));
		FTMPI_TRY(take_variable(c, &found[i], &c->rows[i], &variables[i]));
	}
	*out = variables;
	variables = NULL;
done:
	ftmpi_free(variables);
	return status;
}

ftmpi_status ftmpi__reader_take_contents(ftmpi_reader *reader, const uint8_t *bytes, bool vouched)
{
	ftmpi_status status = FTMPI_OK;
	struct contents c = {.file = reader->file, .n_bytes = reader->n_bytes, .vouched = vouched};

	FTMPI_TRY(ftmpi__hdf5_walk(bytes, reader->n_bytes, reader->file, visit, &c));
	FTMPI_TRY(check_version(&c));
	FTMPI_TRY(take_rows(&c));
	FTMPI_TRY(check_table(&c));
	FTMPI_TRY(take_variables(&c, &reader->variables));
	reader->n_variables = c.n_rows;
	reader->state_digest = c.state;
done:
	ftmpi_free(c.rows);
	ftmpi_buffer_clear(&c.found);
	ftmpi_buffer_clear(&c.paths);
	return status;
}
