/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the log, and what is durable after each of its operations. */
#include "crash_model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ftmpi_status read_file(const char *file, ftmpi_buffer *out)
{
	ftmpi_status status = FTMPI_OK;
	FILE *f = fopen(file, "rb");
	struct stat st;

	if (f == NULL || fstat(fileno(f), &st) != 0)
		FTMPI_FAIL(FTMPI_ERR_IO, "cannot read '%s': %s", file, strerror(errno));
	FTMPI_TRY(ftmpi_buffer_resize(out, (size_t)st.st_size));
	if (fread(out->data, 1, out->n_bytes, f) != out->n_bytes)
		FTMPI_FAIL(FTMPI_ERR_IO, "cannot read '%s' to its end", file);
done:
	if (f != NULL)
		(void)fclose(f);
	return status;
}

/* The record at `at`; returns where the next one begins, 0 when it is cut off. */
static size_t take_record(const ftmpi_buffer *bytes, size_t at, crash_op *out)
{
	const struct shim_record *r = &out->record;
	const char *p = bytes->data + at + sizeof *r;

	if (bytes->n_bytes - at < sizeof *r)
		return 0;
	memcpy(&out->record, bytes->data + at, sizeof *r);
	if (r->kind >= SHIM_N_KINDS ||
	    bytes->n_bytes - at - sizeof *r < (size_t)r->path_bytes + r->to_bytes + r->data_bytes)
		return 0;
	out->path = r->path_bytes > 0 ? p : "";
	out->to = r->to_bytes > 0 ? p + r->path_bytes : "";
	out->data = p + r->path_bytes + r->to_bytes;
	return at + sizeof *r + r->path_bytes + r->to_bytes + r->data_bytes;
}

/* Whether a file is the store's: a run keeps others beside them, of which nothing was promised. */
static bool is_of_store(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;

	return strncmp(name, "ckpt-", 5) == 0 || strncmp(name, "checkpoint", 10) == 0 ||
	       strcmp(name, ".ftmpi.lock") == 0;
}

static bool is_taken(const crash_op *op)
{
	return op->record.kind >= SHIM_SAVE || op->record.kind == SHIM_MAKE_DIRECTORY ||
	       op->record.kind == SHIM_SYNC_DIRECTORY || is_of_store(op->path);
}

ftmpi_status crash_log_read(const char *file, crash_log *out)
{
	ftmpi_status status = FTMPI_OK;
	crash_op op = {0};

	*out = (crash_log){0};
	FTMPI_TRY(read_file(file, &out->bytes));
	for (int pass = 0; pass < 2; pass++) {
		int n = 0;

		if (pass == 1)
			FTMPI_TRY(FTMPI_ALLOC(out->n_ops, &out->ops));
		for (size_t at = 0; at < out->bytes.n_bytes;) {
			at = take_record(&out->bytes, at, &op);
			if (at == 0)
				FTMPI_FAIL(FTMPI_ERR_DATA, "'%s' is not a log of the shim", file);
			if (is_taken(&op) && pass == 1)
				out->ops[n] = op;
			n += is_taken(&op);
		}
		out->n_ops = n;
	}
done:
	if (status != FTMPI_OK)
		crash_log_clear(out);
	return status;
}

void crash_log_clear(crash_log *log)
{
	ftmpi_buffer_clear(&log->bytes);
	ftmpi_free(log->ops);
	*log = (crash_log){0};
}

void crash_op_describe(const crash_op *op, char *text, size_t text_bytes)
{
	static const char *const names[SHIM_N_KINDS] = {"mkdir",           "create",   "write", "truncate", "fsync",
							"fsync directory", "rename",   "link",  "remove",   "save",
							"saved",           "restored", "forget"};
	const struct shim_record *r = &op->record;

	if (r->kind >= SHIM_SAVE)
		(void)snprintf(text, text_bytes, "%s %lld", names[r->kind], (long long)r->number);
	else if (r->kind == SHIM_WRITE || r->kind == SHIM_TRUNCATE)
		(void)snprintf(text, text_bytes, "%s %s at %lld, %u bytes", names[r->kind], op->path,
			       (long long)r->offset, r->data_bytes);
	else
		(void)snprintf(text, text_bytes, "%s %s%s%s%s", names[r->kind], op->path,
			       op->to[0] != '\0' ? " to " : "", op->to, op->dropped ? " (dropped)" : "");
}

ftmpi_status model_create(model **out)
{
	return FTMPI_ALLOC(1, out);
}

void model_destroy(model **m)
{
	if (*m == NULL)
		return;
	for (int i = 0; i < (*m)->n_files; i++) {
		ftmpi_buffer_clear(&(*m)->files[i].durable);
		ftmpi_buffer_clear(&(*m)->files[i].current);
	}
	ftmpi_free(*m);
	*m = NULL;
}

int model_find(const model_names *names, const char *path)
{
	for (int i = 0; i < names->n; i++)
		if (strcmp(names->items[i].path, path) == 0)
			return i;
	return -1;
}

static void names_set(model_names *names, const char *path, int file)
{
	int i = model_find(names, path);

	if (i < 0)
		i = names->n++;
	(void)snprintf(names->items[i].path, sizeof names->items[i].path, "%s", path);
	names->items[i].file = file;
}

static void names_remove(model_names *names, const char *path)
{
	const int i = model_find(names, path);

	if (i >= 0)
		names->items[i] = names->items[--names->n];
}

/* Do a change to some names; what it moves may not be there, where an earlier change was lost. */
static void names_change(model_names *names, const model_change *change, enum model_outcome outcome)
{
	if (outcome == MODEL_LOST)
		return;
	switch (change->kind) {
	case SHIM_CREATE:
	case SHIM_MAKE_DIRECTORY:
		names_set(names, change->path, change->file);
		break;
	case SHIM_RENAME:
		if (outcome == MODEL_DONE)
			names_remove(names, change->path);
		names_set(names, change->to, change->file);
		break;
	case SHIM_LINK:
		names_set(names, change->to, change->file);
		break;
	default:
		names_remove(names, change->path);
		break;
	}
}

/* The directory that a path is in; "" is the root. */
static void parent_of(const char *path, char parent[MODEL_PATH])
{
	const char *slash = strrchr(path, '/');

	(void)snprintf(parent, MODEL_PATH, "%.*s", slash == NULL ? 0 : (int)(slash - path), path);
}

static ftmpi_status add_change(model *m, const crash_op *op, int file, int index)
{
	ftmpi_status status = FTMPI_OK;
	model_change *change = &m->pending[m->n_pending];

	if (m->n_pending == MODEL_PENDING || m->current.n + 1 >= MODEL_NAMES || m->durable.n + 1 >= MODEL_NAMES ||
	    strlen(op->path) >= MODEL_PATH || strlen(op->to) >= MODEL_PATH)
		FTMPI_FAIL(FTMPI_ERR_DATA, "too many names, or too long ones: '%s'", op->path);
	*change = (model_change){.kind = (enum shim_kind)op->record.kind, .file = file, .op = index};
	(void)snprintf(change->path, sizeof change->path, "%s", op->path);
	(void)snprintf(change->to, sizeof change->to, "%s", op->to);
	m->n_pending++;
	names_change(&m->current, change, MODEL_DONE);
done:
	return status;
}

/* What was changed in a directory is durable now. */
static void sync_directory(model *m, const char *path)
{
	char parent[MODEL_PATH];
	int n = 0;

	for (int i = 0; i < m->n_pending; i++) {
		parent_of(m->pending[i].path, parent);
		if (strcmp(parent, path) == 0)
			names_change(&m->durable, &m->pending[i], MODEL_DONE);
		else
			m->pending[n++] = m->pending[i];
	}
	m->n_pending = n;
}

/* The file with this inode: the newest one, since numbers are used again. */
static model_file *file_of(model *m, uint64_t inode)
{
	for (int i = m->n_files - 1; i >= 0; i--)
		if (m->files[i].inode == inode)
			return &m->files[i];
	return NULL;
}

static ftmpi_status create_file(model *m, const crash_op *op, int index)
{
	ftmpi_status status = FTMPI_OK;

	if (m->n_files == MODEL_FILES)
		FTMPI_FAIL(FTMPI_ERR_DATA, "too many files");
	m->files[m->n_files].inode = op->record.file;
	m->n_files++;
	FTMPI_TRY(add_change(m, op, m->n_files - 1, index));
done:
	return status;
}

/* A write, a truncation or a sync of a file. */
static ftmpi_status change_file(model *m, const crash_op *op)
{
	ftmpi_status status = FTMPI_OK;
	const struct shim_record *r = &op->record;
	const size_t at = (size_t)r->offset, end = at + r->data_bytes;
	model_file *file = file_of(m, r->file);

	if (file == NULL)
		FTMPI_FAIL(FTMPI_ERR_DATA, "the log changes '%s', which it never made", op->path);
	if (r->kind == SHIM_SYNC) {
		FTMPI_TRY(ftmpi_buffer_resize(&file->durable, 0));
		FTMPI_TRY(ftmpi_buffer_append(&file->durable, file->current.data, file->current.n_bytes));
		file->dirty = false;
		goto done;
	}
	file->dirty = true;
	if (r->kind == SHIM_TRUNCATE || end > file->current.n_bytes)
		FTMPI_TRY(ftmpi_buffer_resize(&file->current, r->kind == SHIM_TRUNCATE ? at : end));
	if (r->kind == SHIM_WRITE && r->data_bytes > 0)
		memcpy(file->current.data + at, op->data, r->data_bytes);
done:
	return status;
}

ftmpi_status model_apply(model *m, const crash_op *op, int index)
{
	ftmpi_status status = FTMPI_OK;
	int i;

	if (op->dropped)
		goto done;
	switch ((enum shim_kind)op->record.kind) {
	case SHIM_MAKE_DIRECTORY:
		FTMPI_TRY(add_change(m, op, MODEL_DIRECTORY, index));
		break;
	case SHIM_CREATE:
		FTMPI_TRY(create_file(m, op, index));
		break;
	case SHIM_WRITE:
	case SHIM_TRUNCATE:
	case SHIM_SYNC:
		FTMPI_TRY(change_file(m, op));
		break;
	case SHIM_SYNC_DIRECTORY:
		sync_directory(m, op->path);
		break;
	case SHIM_RENAME:
	case SHIM_LINK:
	case SHIM_REMOVE:
		i = model_find(&m->current, op->path);
		if (i < 0)
			FTMPI_FAIL(FTMPI_ERR_DATA, "the log moves or removes '%s', which it never made", op->path);
		FTMPI_TRY(add_change(m, op, m->current.items[i].file, index));
		break;
	default:
		break;
	}
done:
	return status;
}

int model_n_outcomes(const model_change *change)
{
	return change->kind == SHIM_RENAME ? 3 : 2;
}

void model_names_after(const model *m, const uint8_t *outcomes, model_names *out)
{
	char parent[MODEL_PATH];
	bool changed = true;

	*out = m->durable;
	for (int i = 0; i < m->n_pending; i++)
		names_change(out, &m->pending[i], (enum model_outcome)outcomes[i]);
	while (changed) {
		changed = false;
		for (int i = 0; i < out->n && !changed; i++) {
			parent_of(out->items[i].path, parent);
			changed = parent[0] != '\0' && model_find(out, parent) < 0;
			if (changed)
				out->items[i] = out->items[--out->n];
		}
	}
}

ftmpi_status model_put_file(const char *root, const char *path, const void *data, size_t n_bytes)
{
	ftmpi_status status = FTMPI_OK;
	char file[2 * MODEL_PATH + 8];
	ssize_t n = -1;
	int fd;

	(void)snprintf(file, sizeof file, "%s/%s", root, path);
	for (char *at = file + strlen(root) + 1; (at = strchr(at, '/')) != NULL; *at++ = '/') {
		*at = '\0';
		(void)mkdir(file, 0777);
	}
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd >= 0)
		n = write(fd, data, n_bytes);
	if (fd >= 0)
		(void)close(fd);
	if (n != (ssize_t)n_bytes)
		FTMPI_FAIL(FTMPI_ERR_IO, "cannot write '%s': %s", file, strerror(errno));
done:
	return status;
}

/* Number of directories and of the store's files in a directory and below; −1 when it cannot be listed. */
static int count_names(const char *directory)
{
	DIR *listing = opendir(directory);
	const struct dirent *entry;
	char path[2 * MODEL_PATH + 8];
	struct stat st;
	int n = 0;

	if (listing == NULL)
		return -1;
	while ((entry = readdir(listing)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
		if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
			n += 1 + count_names(path);
		else
			n += is_of_store(path);
	}
	(void)closedir(listing);
	return n;
}

ftmpi_status model_compare(const model *m, const char *root)
{
	ftmpi_status status = FTMPI_OK;
	char path[2 * MODEL_PATH + 8];
	ftmpi_buffer bytes = {0};

	for (int i = 0; i < m->current.n; i++) {
		const int file = m->current.items[i].file;

		if (file == MODEL_DIRECTORY)
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", root, m->current.items[i].path);
		FTMPI_TRY(read_file(path, &bytes));
		if (bytes.n_bytes != m->files[file].current.n_bytes ||
		    (bytes.n_bytes > 0 && memcmp(bytes.data, m->files[file].current.data, bytes.n_bytes) != 0))
			FTMPI_FAIL(FTMPI_ERR_DATA, "'%s' is not what the log says", path);
	}
	if (count_names(root) != m->current.n)
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s' has %d names where the log says %d", root, count_names(root),
			   m->current.n);
done:
	ftmpi_buffer_clear(&bytes);
	return status;
}
