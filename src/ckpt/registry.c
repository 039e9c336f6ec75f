/* SPDX-License-Identifier: Apache-2.0 */
/* The registry: named arrays that live in the program, and groups.
 *
 * Entries are kept twice, as pointers: in the order of registration, and sorted by path. The sorted order is the one of everything that
 * leaves the program (file, digests), so that two programs that register the same arrays in another order write the same bytes.
 * Invariant: the paths of entries and groups form a tree; no entry is an ancestor of an entry or a group. */
#include "ckpt/digests.h"
#include "ckpt/path_list.h"

#include <string.h>

struct group {
	const char *path; /* first member, as in ftmpi_entry: path_list.h relies on it */
	const char *name; /* NULL: none */
};

struct ftmpi_registry {
	ftmpi_buffer entries;           /* ftmpi_entry *, in the order of registration */
	ftmpi_buffer sorted;            /* the same, by path */
	ftmpi_buffer groups;            /* struct group *, by path */
	ftmpi_status (*copied)(void *); /* NULL: none */
	void *copied_context;
	bool withholds_parts; /* they are not to be read now */
};

static const struct dtype_info {
	const char *name;
	size_t bytes;
} dtype_infos[] = {
#define FTMPI_DTYPE_INFO(id, name, bytes) {name, bytes},
	FTMPI_DTYPE_LIST(FTMPI_DTYPE_INFO)
#undef FTMPI_DTYPE_INFO
};

static bool dtype_known(ftmpi_dtype dtype)
{
	return (size_t)dtype < sizeof dtype_infos / sizeof dtype_infos[0];
}

const char *ftmpi_dtype_name(ftmpi_dtype dtype)
{
	return dtype_known(dtype) ? dtype_infos[dtype].name : "unknown";
}

size_t ftmpi_dtype_bytes(ftmpi_dtype dtype)
{
	return dtype_known(dtype) ? dtype_infos[dtype].bytes : 0;
}

size_t ftmpi_entry_bytes(const ftmpi_entry *entry)
{
	size_t n_bytes = ftmpi_dtype_bytes(entry->dtype);

	if (entry->buffer != NULL)
		return entry->buffer->n_bytes;
	if (entry->data == NULL)
		return 0;
	for (int i = 0; i < entry->n_dims; i++)
		n_bytes *= (size_t)entry->dims[i];
	return n_bytes;
}

const void *ftmpi_entry_data(const ftmpi_entry *entry)
{
	return entry->buffer != NULL ? entry->buffer->data : entry->data;
}

ftmpi__array ftmpi__entry_array(const ftmpi_entry *entry, int64_t *dims)
{
	const size_t n_bytes = ftmpi_entry_bytes(entry), width = ftmpi_dtype_bytes(entry->dtype);

	memcpy(dims, entry->dims, sizeof entry->dims);
	if (entry->buffer != NULL && width > 0)
		dims[0] = (int64_t)(n_bytes / width);
	return (ftmpi__array){.path = entry->path,
			      .dtype = entry->dtype,
			      .n_dims = entry->n_dims,
			      .dims = dims,
			      .data = ftmpi_entry_data(entry),
			      .n_bytes = n_bytes};
}

ftmpi_digest ftmpi_entry_digest(const ftmpi_entry *entry)
{
	int64_t dims[FTMPI_MAX_DIMS];
	const ftmpi__array array = ftmpi__entry_array(entry, dims);

	return ftmpi__array_digest(&array);
}

int ftmpi__registry_count_children(const ftmpi_registry *registry, const char *path, size_t *longest)
{
	char prefix[FTMPI__ENTRY_PATH_MAX + 1];
	const size_t n_bytes = ftmpi__list_prefix(path, prefix);
	const char *last = "";
	size_t last_bytes = 0;
	int n = 0;

	*longest = 0;
	for (size_t i = ftmpi__list_lower_bound(&registry->sorted, prefix, n_bytes);
	     i < ftmpi__list_count(&registry->sorted); i++) {
		const char *child = ftmpi__list_path(&registry->sorted, i);
		size_t child_bytes;

		if (strncmp(child, prefix, n_bytes) != 0)
			break;
		child += n_bytes;
		child_bytes = strcspn(child, "/");
		if (child_bytes == last_bytes && strncmp(child, last, child_bytes) == 0)
			continue;
		n++;
		last = child;
		last_bytes = child_bytes;
		*longest = child_bytes > *longest ? child_bytes : *longest;
	}
	return n;
}

/* Each component is a proper name, and what is ours alone is not touched. */
static ftmpi_status check_path(const char *path)
{
	ftmpi_status status = FTMPI_OK;
	const size_t n_bytes = path == NULL ? 0 : strlen(path);
	int n_parts = 0;

	if (n_bytes == 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "the path of a checkpoint entry is empty");
	if (n_bytes >= FTMPI__ENTRY_PATH_MAX)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%.40s…': the path is longer than %d bytes", path,
			   FTMPI__ENTRY_PATH_MAX - 1);
	for (size_t i = 0; i < n_bytes; i++)
		if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%s': the path has a control character", path);
	for (const char *at = path, *end; at != NULL; at = end == NULL ? NULL : end + 1) {
		size_t length;

		end = strchr(at, '/');
		length = end == NULL ? strlen(at) : (size_t)(end - at);
		if (length == 0)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%s': the path is absolute or has an empty part",
				   path);
		if (strncmp(at, "..", length) == 0 && length <= 2)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%s': the path has the part '%.*s'", path,
				   (int)length, at);
		if (++n_parts > FTMPI__ENTRY_MAX_PARTS)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%s': the path has more than %d parts", path,
				   FTMPI__ENTRY_MAX_PARTS);
	}
	if (strncmp(path, "ftmpi/digests", 13) == 0 && (path[13] == '/' || path[13] == '\0'))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%s': ftmpi/digests is reserved", path);
done:
	return status;
}

/* No entry may be what `path` lies in. */
static ftmpi_status check_ancestors(const ftmpi_registry *registry, const char *path)
{
	ftmpi_status status = FTMPI_OK;

	for (const char *end = strchr(path, '/'); end != NULL; end = strchr(end + 1, '/'))
		if (ftmpi__list_find(&registry->sorted, path, (size_t)(end - path)) != NULL)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%s': '%.*s' is an array, not a group", path,
				   (int)(end - path), path);
done:
	return status;
}

/* Number of elements; −1 when there is a negative dimension or the bytes do not fit. */
static int64_t count_elements(int n_dims, const int64_t *dims, size_t element_bytes)
{
	int64_t n = (int64_t)element_bytes;

	for (int i = 0; i < n_dims; i++)
		if (dims[i] < 0)
			return -1;
	for (int i = 0; i < n_dims; i++)
		if (dims[i] == 0)
			return 0;
	for (int i = 0; i < n_dims; i++)
		if (__builtin_mul_overflow(n, dims[i], &n))
			return -1;
	return n / (int64_t)element_bytes;
}

static ftmpi_status check_entry(const ftmpi_registry *registry, const ftmpi_entry *entry, bool data_needed)
{
	ftmpi_status status = FTMPI_OK;
	const char *path = entry->path;
	int64_t n;

	FTMPI_TRY(check_path(path));
	if (ftmpi__list_find(&registry->sorted, path, strlen(path)) != NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%s' is registered already", path);
	if (ftmpi__list_find(&registry->groups, path, strlen(path)) != NULL ||
	    ftmpi__list_has_below(&registry->groups, path) || ftmpi__list_has_below(&registry->sorted, path))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%s' is a group already", path);
	FTMPI_TRY(check_ancestors(registry, path));
	if (!dtype_known(entry->dtype) || (entry->kind != FTMPI_STATE && entry->kind != FTMPI_RECORD))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%s': unknown type or kind", path);
	if (entry->n_dims < 0 || entry->n_dims > FTMPI_MAX_DIMS || (entry->dtype == FTMPI_TEXT && entry->n_dims != 1))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%s': %d dimensions, allowed: %s", path, entry->n_dims,
			   entry->dtype == FTMPI_TEXT ? "1 for text" : "0 to 8");
	n = count_elements(entry->n_dims, entry->dims, ftmpi_dtype_bytes(entry->dtype));
	if (n < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%s': the shape is negative or too large", path);
	if (data_needed && entry->buffer == NULL && entry->data == NULL && n > 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%s' has no array", path);
done:
	return status;
}

ftmpi_status ftmpi__entry_set_shape(ftmpi_entry *entry, int n_dims, const int64_t *dims)
{
	ftmpi_status status = FTMPI_OK;

	entry->n_dims = n_dims;
	if (n_dims > 0 && n_dims <= FTMPI_MAX_DIMS) {
		if (dims == NULL)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%s': %d dimensions, but no list of them",
				   entry->path, n_dims);
		memcpy(entry->dims, dims, (size_t)n_dims * sizeof *dims);
	}
done:
	return status;
}

/* The entry's path is copied behind it. */
ftmpi_status ftmpi__registry_add_entry(ftmpi_registry *registry, const ftmpi_entry *entry, bool data_needed)
{
	ftmpi_status status = FTMPI_OK;
	char *memory = NULL, *path;
	size_t path_bytes;
	ftmpi_entry *own;

	FTMPI_TRY(check_entry(registry, entry, data_needed));
	path_bytes = strlen(entry->path) + 1;
	FTMPI_TRY(FTMPI_ALLOC((int64_t)(sizeof *own + path_bytes), &memory));
	own = (ftmpi_entry *)(void *)memory;
	path = memory + sizeof *own;
	memcpy(path, entry->path, path_bytes);
	*own = *entry;
	own->path = path;
	FTMPI_TRY(ftmpi__list_insert(&registry->entries, own, ftmpi__list_count(&registry->entries)));
	status = ftmpi__list_insert(&registry->sorted, own,
				    ftmpi__list_lower_bound(&registry->sorted, path, path_bytes));
	if (status != FTMPI_OK) {
		registry->entries.n_bytes -= sizeof(void *);
		goto done;
	}
	memory = NULL;
done:
	ftmpi_free(memory);
	return status;
}

ftmpi_status ftmpi_registry_create(ftmpi_registry **out)
{
	return FTMPI_ALLOC(1, out);
}

static void free_items(ftmpi_buffer *list)
{
	for (size_t i = 0; i < ftmpi__list_count(list); i++)
		ftmpi_free(ftmpi__list_item(list, i));
	ftmpi_buffer_clear(list);
}

void ftmpi_registry_destroy(ftmpi_registry **registry)
{
	if (*registry == NULL)
		return;
	free_items(&(*registry)->entries);
	free_items(&(*registry)->groups);
	ftmpi_buffer_clear(&(*registry)->sorted);
	ftmpi_free(*registry);
	*registry = NULL;
}

ftmpi_status ftmpi_registry_add(ftmpi_registry *registry, const char *path, ftmpi_dtype dtype, int n_dims,
				const int64_t *dims, void *data, ftmpi_entry_kind kind)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_entry entry = {.path = path, .dtype = dtype, .kind = kind, .data = data};

	FTMPI_TRY(ftmpi__entry_set_shape(&entry, n_dims, dims));
	FTMPI_TRY(ftmpi__registry_add_entry(registry, &entry, true));
done:
	return status;
}

ftmpi_status ftmpi_registry_add_scalar(ftmpi_registry *registry, const char *path, ftmpi_dtype dtype, void *data,
				       ftmpi_entry_kind kind)
{
	return ftmpi_registry_add(registry, path, dtype, 0, NULL, data, kind);
}

ftmpi_status ftmpi_registry_add_buffer(ftmpi_registry *registry, const char *path, ftmpi_dtype dtype,
				       ftmpi_buffer *buffer, ftmpi_entry_kind kind)
{
	const ftmpi_entry entry = {.path = path, .dtype = dtype, .kind = kind, .n_dims = 1, .buffer = buffer};

	return ftmpi__registry_add_entry(registry, &entry, true);
}

/* A group that was asked for before may be asked for again, with the same name or without one. */
static ftmpi_status check_group(const ftmpi_registry *registry, const char *path, const char *name, bool *known)
{
	ftmpi_status status = FTMPI_OK;
	const struct group *group;

	FTMPI_TRY(check_path(path));
	FTMPI_TRY(check_ancestors(registry, path));
	if (ftmpi__list_find(&registry->sorted, path, strlen(path)) != NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint group '%s' is an array already", path);
	if (name != NULL && strlen(name) >= FTMPI__ENTRY_PATH_MAX)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint group '%s': the name is longer than %d bytes", path,
			   FTMPI__ENTRY_PATH_MAX - 1);
	group = ftmpi__list_find(&registry->groups, path, strlen(path));
	if (group != NULL && name != NULL && (group->name == NULL || strcmp(group->name, name) != 0))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint group '%s' is registered already under another name", path);
	*known = group != NULL;
done:
	return status;
}

ftmpi_status ftmpi_registry_add_group(ftmpi_registry *registry, const char *path, const char *name)
{
	ftmpi_status status = FTMPI_OK;
	const size_t name_bytes = name == NULL ? 0 : strlen(name) + 1;
	char *memory = NULL, *text;
	size_t path_bytes;
	struct group *group;
	bool known = false;

	FTMPI_TRY(check_group(registry, path, name, &known));
	if (known)
		goto done;
	path_bytes = strlen(path) + 1;
	FTMPI_TRY(FTMPI_ALLOC((int64_t)(sizeof *group + path_bytes + name_bytes), &memory));
	group = (struct group *)(void *)memory;
	text = memory + sizeof *group;
	memcpy(text, path, path_bytes);
	group->path = text;
	if (name != NULL)
		group->name = memcpy(text + path_bytes, name, name_bytes);
	FTMPI_TRY(ftmpi__list_insert(&registry->groups, group,
				     ftmpi__list_lower_bound(&registry->groups, path, path_bytes)));
	memory = NULL;
done:
	ftmpi_free(memory);
	return status;
}

int ftmpi_registry_n_entries(const ftmpi_registry *registry)
{
	return (int)ftmpi__list_count(&registry->entries);
}

const ftmpi_entry *ftmpi_registry_entry(const ftmpi_registry *registry, int i)
{
	return ftmpi__list_item(&registry->entries, (size_t)i);
}

const ftmpi_entry *ftmpi__registry_sorted(const ftmpi_registry *registry, int i)
{
	return ftmpi__list_item(&registry->sorted, (size_t)i);
}

const ftmpi_entry *ftmpi_registry_find(const ftmpi_registry *registry, const char *path)
{
	return ftmpi__list_find(&registry->sorted, path, strlen(path));
}

ftmpi_status ftmpi_registry_set_parts(ftmpi_registry *registry, const char *path, const ftmpi_part *parts, int n_parts)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_entry *entry = ftmpi__list_find(&registry->sorted, path, strlen(path));
	size_t n_bytes = 0;

	for (int i = 0; i < n_parts; i++)
		n_bytes += parts[i].n_bytes;
	if (entry == NULL || entry->buffer != NULL || n_bytes != ftmpi_entry_bytes(entry))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoint entry '%s': no array of the %zu bytes of its parts", path,
			   n_bytes);
	entry->parts = parts;
	entry->n_parts = n_parts;
done:
	return status;
}

void ftmpi__registry_on_copied(ftmpi_registry *registry, ftmpi_status (*function)(void *), void *context)
{
	registry->copied = function;
	registry->copied_context = context;
}

ftmpi_status ftmpi__registry_copied(const ftmpi_registry *registry)
{
	return registry->copied == NULL ? FTMPI_OK : registry->copied(registry->copied_context);
}

void ftmpi__registry_withhold_parts(ftmpi_registry *registry, bool withhold)
{
	registry->withholds_parts = withhold;
}

ftmpi_status ftmpi__registry_can_read(const ftmpi_registry *registry, const ftmpi_entry *entry)
{
	ftmpi_status status = FTMPI_OK;

	if (entry->parts != NULL && registry->withholds_parts)
		FTMPI_FAIL(FTMPI_ERR_USAGE,
			   "checkpoint entry '%s' is spread over the ranks: all of them save it together, with the "
			   "checkpoint that has it",
			   entry->path);
done:
	return status;
}

int ftmpi_registry_n_groups(const ftmpi_registry *registry)
{
	return (int)ftmpi__list_count(&registry->groups);
}

const char *ftmpi_registry_group(const ftmpi_registry *registry, int i, const char **name)
{
	const struct group *group = ftmpi__list_item(&registry->groups, (size_t)i);

	if (name != NULL)
		*name = group->name;
	return group->path;
}

/* As it would be saved. */
static ftmpi_status digest_to_save(const ftmpi_entry *entry, ftmpi_digest *out)
{
	ftmpi_status status = FTMPI_OK;
	int64_t dims[FTMPI_MAX_DIMS];
	const ftmpi__array array = ftmpi__entry_array(entry, dims);
	ftmpi_hasher *hasher = NULL;

	if (entry->parts == NULL) {
		*out = ftmpi_entry_digest(entry);
		goto done;
	}
	FTMPI_TRY(ftmpi_hasher_create(&hasher));
	for (int i = 0; i < entry->n_parts; i++)
		ftmpi_hasher_update(hasher, entry->parts[i].data, entry->parts[i].n_bytes);
	*out = ftmpi__array_digest_of(&array, ftmpi_hasher_digest(hasher));
done:
	ftmpi_hasher_destroy(&hasher);
	return status;
}

ftmpi_status ftmpi_registry_state_digest(const ftmpi_registry *registry, ftmpi_digest *out)
{
	ftmpi_status status = FTMPI_OK;
	const int n = ftmpi_registry_n_entries(registry);
	ftmpi__digest_row *rows = NULL;

	FTMPI_TRY(FTMPI_ALLOC(n, &rows));
	for (int i = 0; i < n; i++) {
		const ftmpi_entry *entry = ftmpi__registry_sorted(registry, i);

		rows[i].path = entry->path;
		rows[i].kind = entry->kind;
		if (entry->kind != FTMPI_STATE)
			continue;
		FTMPI_TRY(ftmpi__registry_can_read(registry, entry));
		FTMPI_TRY(digest_to_save(entry, &rows[i].digest));
	}
	FTMPI_TRY(ftmpi__state_digest(rows, n, out));
done:
	ftmpi_free(rows);
	return status;
}
