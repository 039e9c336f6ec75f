/* SPDX-License-Identifier: Apache-2.0 */
/* The state file `checkpoint`: TensorFlow's CheckpointState as a text proto, and facts of ours in comments, which its readers skip.
 *
 *     model_checkpoint_path: "ckpt-3"
 *     all_model_checkpoint_paths: "ckpt-2"              one for each, by number; those that are preserved are not among them
 *     all_model_checkpoint_paths: "ckpt-3"
 *     all_model_checkpoint_timestamps: 1588118745.120000
 *     all_model_checkpoint_timestamps: 1588118749.900000
 *     last_preserved_timestamp: 1588118744.100000
 *     # ftmpi ckpt-1 length=7507 xxh3-128=… preserved=1588118744.100000
 *     # ftmpi ckpt-3 length=7507 xxh3-128=…             where length and digest are known
 *     # ftmpi xxh3-128=…                                of all lines above
 *
 * The file is small and written as a whole; one that is not just as this program writes it is damaged, and the store is rebuilt from the
 * directory. So the parser is strict and guesses nothing. */
#include "ckpt/store_inside.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define KEY_LATEST    "model_checkpoint_path: "
#define KEY_PATH      "all_model_checkpoint_paths: "
#define KEY_TIME      "all_model_checkpoint_timestamps: "
#define KEY_PRESERVED "last_preserved_timestamp: "
#define KEY_FACTS     "# ftmpi "
#define KEY_DIGEST    "# ftmpi xxh3-128="

static ftmpi_status format_facts(const ftmpi_store_item *item, const char *name, ftmpi_buffer *out)
{
	ftmpi_status status = FTMPI_OK;
	char digest[FTMPI_DIGEST_TEXT], time[FTMPI__TIME_TEXT];

	if (!item->listed && !item->preserved)
		goto done;
	FTMPI_TRY(ftmpi_buffer_printf(out, KEY_FACTS "%s-%lld", name, (long long)item->number));
	if (item->listed) {
		ftmpi_digest_format(item->digest, digest);
		FTMPI_TRY(ftmpi_buffer_printf(out, " length=%zu xxh3-128=%s", item->n_bytes, digest));
	}
	if (item->preserved) {
		ftmpi__time_format(item->timestamp_s, time);
		FTMPI_TRY(ftmpi_buffer_printf(out, " preserved=%s", time));
	}
	FTMPI_TRY(ftmpi_buffer_append(out, "\n", 1));
done:
	return status;
}

/* The lines that TensorFlow reads. */
static ftmpi_status format_proto(const ftmpi__state *state, const char *name, ftmpi_buffer *out)
{
	ftmpi_status status = FTMPI_OK;
	const int n = ftmpi__items_count(state);
	char time[FTMPI__TIME_TEXT];

	if (n > 0)
		FTMPI_TRY(ftmpi_buffer_printf(out, KEY_LATEST "\"%s-%lld\"\n", name,
					      (long long)ftmpi__items_get(state, n - 1)->number));
	for (int i = 0; i < n; i++)
		if (!ftmpi__items_get(state, i)->preserved)
			FTMPI_TRY(ftmpi_buffer_printf(out, KEY_PATH "\"%s-%lld\"\n", name,
						      (long long)ftmpi__items_get(state, i)->number));
	for (int i = 0; i < n; i++) {
		if (ftmpi__items_get(state, i)->preserved)
			continue;
		ftmpi__time_format(ftmpi__items_get(state, i)->timestamp_s, time);
		FTMPI_TRY(ftmpi_buffer_printf(out, KEY_TIME "%s\n", time));
	}
	ftmpi__time_format(state->last_preserved_s, time);
	FTMPI_TRY(ftmpi_buffer_printf(out, KEY_PRESERVED "%s\n", time));
done:
	return status;
}

ftmpi_status ftmpi__state_format(const ftmpi__state *state, const char *name, ftmpi_buffer *out)
{
	ftmpi_status status = FTMPI_OK;
	const size_t start = out->n_bytes;
	char digest[FTMPI_DIGEST_TEXT];

	FTMPI_TRY(format_proto(state, name, out));
	for (int i = 0; i < ftmpi__items_count(state); i++)
		FTMPI_TRY(format_facts(ftmpi__items_get(state, i), name, out));
	ftmpi_digest_format(ftmpi_hash(out->data + start, out->n_bytes - start), digest);
	FTMPI_TRY(ftmpi_buffer_printf(out, KEY_DIGEST "%s\n", digest));
done:
	return status;
}

/* Reading: position in the text, which ends with a zero. */
struct parser {
	const char *at;
	const char *name;
	ftmpi__state state;
	int n_paths;
	int64_t last_facts; /* number of the last line of facts */
};

/* Go over `text` if it comes next. */
static bool skip(struct parser *p, const char *text)
{
	const size_t n_bytes = strlen(text);

	if (strncmp(p->at, text, n_bytes) != 0)
		return false;
	p->at += n_bytes;
	return true;
}

/* "<name>-<number>" */
static bool take_prefix(struct parser *p, int64_t *number)
{
	const char *end;

	*number = -1;
	if (!skip(p, p->name) || !skip(p, "-"))
		return false;
	end = ftmpi__parse_number(p->at, number);
	if (end == NULL)
		return false;
	p->at = end;
	return true;
}

static bool take_time(struct parser *p, double *time_s)
{
	const char *end = ftmpi__time_parse(p->at, time_s);

	if (end == NULL)
		return false;
	p->at = end;
	return true;
}

static bool take_digest(struct parser *p, ftmpi_digest *digest)
{
	char text[FTMPI_DIGEST_TEXT] = "";

	memcpy(text, p->at, strnlen(p->at, sizeof text - 1));
	if (!ftmpi_digest_parse(text, digest))
		return false;
	p->at += sizeof text - 1;
	return true;
}

static ftmpi_status bad(const char *what)
{
	(void)ftmpi_error_set(FTMPI_ERR_DATA, __FILE__, __LINE__, "%s", what);
	return FTMPI_ERR_DATA;
}

/* An item whose number is larger than those before. */
static ftmpi_status add_item(struct parser *p, int64_t number, ftmpi_store_item **out)
{
	ftmpi_status status = FTMPI_OK;

	if (ftmpi__items_find(&p->state, number) >= 0)
		FTMPI_TRY(bad("a checkpoint is listed twice"));
	FTMPI_TRY(ftmpi__items_insert(&p->state, number, out));
done:
	return status;
}

static ftmpi_status take_paths(struct parser *p)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store_item *item;
	int64_t number, last = -1;

	while (skip(p, KEY_PATH "\"")) {
		if (!take_prefix(p, &number) || !skip(p, "\"\n") || number <= last)
			FTMPI_TRY(bad("a path is not as it should be"));
		FTMPI_TRY(add_item(p, number, &item));
		last = number;
		p->n_paths++;
	}
	for (int i = 0; i < p->n_paths; i++)
		if (!skip(p, KEY_TIME) || !take_time(p, &ftmpi__items_get(&p->state, i)->timestamp_s) || !skip(p, "\n"))
			FTMPI_TRY(bad("the timestamps do not go with the paths"));
done:
	return status;
}

/* " length=… xxh3-128=…" and " preserved=…"; at least one of them. */
static ftmpi_status take_facts(struct parser *p)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store_item facts = {0}, *item = NULL;
	int64_t length;
	int i;

	if (!take_prefix(p, &facts.number) || facts.number <= p->last_facts)
		FTMPI_TRY(bad("a line of facts has no name, or is out of order"));
	p->last_facts = facts.number;
	if (skip(p, " length=")) {
		const char *end = ftmpi__parse_number(p->at, &length);

		if (end == NULL)
			FTMPI_TRY(bad("a length is not as it should be"));
		p->at = end;
		if (!skip(p, " xxh3-128=") || !take_digest(p, &facts.digest))
			FTMPI_TRY(bad("a digest is not as it should be"));
		facts.n_bytes = (size_t)length;
		facts.listed = true;
	}
	facts.preserved = skip(p, " preserved=");
	if ((facts.preserved && !take_time(p, &facts.timestamp_s)) || (!facts.preserved && !facts.listed) ||
	    !skip(p, "\n"))
		FTMPI_TRY(bad("a line of facts is not as it should be"));
	i = ftmpi__items_find(&p->state, facts.number);
	if (!facts.preserved && (i < 0 || ftmpi__items_get(&p->state, i)->listed))
		FTMPI_TRY(bad("a line of facts belongs to no path"));
	if (facts.preserved) {
		FTMPI_TRY(add_item(p, facts.number, &item));
	} else {
		item = ftmpi__items_get(&p->state, i);
		facts.timestamp_s = item->timestamp_s;
	}
	*item = facts;
done:
	return status;
}

/* The last line: digest of all before it. */
static ftmpi_status check_digest(const char *text, size_t n_bytes, size_t *body_bytes)
{
	ftmpi_status status = FTMPI_OK;
	const size_t line_bytes = strlen(KEY_DIGEST) + FTMPI_DIGEST_TEXT;
	struct parser p = {.at = text};
	ftmpi_digest digest = {0};

	if (n_bytes < line_bytes || strlen(text) != n_bytes)
		FTMPI_TRY(bad("it is cut off or not text"));
	p.at = text + n_bytes - line_bytes;
	if (!skip(&p, KEY_DIGEST) || !take_digest(&p, &digest) || strcmp(p.at, "\n") != 0)
		FTMPI_TRY(bad("its last line is not the digest of the others"));
	*body_bytes = n_bytes - line_bytes;
	if (!ftmpi_digest_equal(ftmpi_hash(text, *body_bytes), digest))
		FTMPI_TRY(bad("it does not match its digest"));
done:
	return status;
}

static ftmpi_status take_lines(struct parser *p, const char *end)
{
	ftmpi_status status = FTMPI_OK;
	int64_t latest = -1;
	int n;

	if (skip(p, KEY_LATEST "\"") && (!take_prefix(p, &latest) || !skip(p, "\"\n")))
		FTMPI_TRY(bad("the latest path is not as it should be"));
	FTMPI_TRY(take_paths(p));
	if (!skip(p, KEY_PRESERVED) || !take_time(p, &p->state.last_preserved_s) || !skip(p, "\n"))
		FTMPI_TRY(bad("the last preserved time is not as it should be"));
	while (p->at < end) {
		if (!skip(p, KEY_FACTS))
			FTMPI_TRY(bad("a line is unknown"));
		FTMPI_TRY(take_facts(p));
	}
	n = ftmpi__items_count(&p->state);
	if (p->at != end || latest != (n == 0 ? -1 : ftmpi__items_get(&p->state, n - 1)->number))
		FTMPI_TRY(bad("the latest path is not the newest one"));
done:
	return status;
}

ftmpi_status ftmpi__state_parse(const char *text, size_t n_bytes, const char *name, ftmpi__state *out)
{
	ftmpi_status status = FTMPI_OK;
	struct parser p = {.at = text, .name = name, .last_facts = -1};
	size_t body_bytes = 0;

	FTMPI_TRY(check_digest(text, n_bytes, &body_bytes));
	FTMPI_TRY(take_lines(&p, text + body_bytes));
	*out = p.state;
	p.state = (ftmpi__state){0};
done:
	ftmpi__state_clear(&p.state);
	return status;
}

static ftmpi_status check_size(const uint8_t *start, size_t n_bytes, const char *file)
{
	(void)start;
	(void)file;
	return n_bytes > FTMPI__STATE_MAX_BYTES ? bad("it is absurdly long") : FTMPI_OK;
}

static ftmpi_status read_text(const ftmpi__directory *directory, ftmpi__image *out)
{
	char path[FTMPI_PATH_MAX];

	(void)snprintf(path, sizeof path, "%s/%s", directory->path, FTMPI__STATE_FILE);
	return ftmpi__file_read(directory->fd, FTMPI__STATE_FILE, O_NOFOLLOW, path, 1, check_size, NULL, out);
}

ftmpi_status ftmpi__state_read(const ftmpi__directory *directory, const char *name, ftmpi__state *out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__image text = {0};

	FTMPI_TRY(read_text(directory, &text));
	FTMPI_TRY(ftmpi__state_parse((const char *)text.data, text.n_bytes, name, out));
done:
	ftmpi__image_clear(&text);
	return status;
}

ftmpi_status ftmpi__state_name(const ftmpi__directory *directory, char name[FTMPI__NAME_MAX])
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__image text = {0};
	struct parser p = {0};
	size_t n_bytes;

	FTMPI_TRY(read_text(directory, &text));
	p.at = (const char *)text.data;
	FTMPI_TRY(check_digest(p.at, text.n_bytes, &n_bytes));
	if (!skip(&p, KEY_LATEST "\""))
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "'%s/%s' lists no checkpoint", directory->path, FTMPI__STATE_FILE);
	n_bytes = strcspn(p.at, "\"\n");
	while (n_bytes > 0 && p.at[n_bytes - 1] != '-')
		n_bytes--;
	if (n_bytes < 2 || n_bytes > FTMPI__NAME_MAX)
		FTMPI_TRY(bad("the latest path is not as it should be"));
	(void)snprintf(name, FTMPI__NAME_MAX, "%.*s", (int)n_bytes - 1, p.at);
done:
	ftmpi__image_clear(&text);
	return status;
}

ftmpi_status ftmpi__state_replace(ftmpi_store *store)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer text = {0};

	FTMPI_TRY(ftmpi__state_format(&store->state, store->name, &text));
	FTMPI_TRY(ftmpi__file_write(&store->directory, FTMPI__STATE_FILE_TMP, text.data, text.n_bytes, false, NULL));
	FTMPI_TRY(ftmpi__file_rename(&store->directory, FTMPI__STATE_FILE_TMP, FTMPI__STATE_FILE, false));
	store->n_vanished = 0;
done:
	ftmpi_buffer_clear(&text);
	return status;
}

ftmpi_status ftmpi__state_save(ftmpi_store *store)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi__state_replace(store));
	FTMPI_TRY(ftmpi__directory_sync(&store->directory, false));
done:
	return status;
}
