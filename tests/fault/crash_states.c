/* SPDX-License-Identifier: Apache-2.0 */
/* usage: crash_states [--thorough] [--controls | --each] LOG ROOT STORE WORK NUMBER-PATH
 *
 * Build every directory that a power loss may have left at any moment of a run that the shim wrote down, and open it with the real store.
 *
 *   LOG, ROOT      what the shim wrote, and the directory as the run left it, which must be what the log says
 *   STORE          the store's path below ROOT
 *   WORK           where the directories are built; best in memory
 *   NUMBER-PATH    variable that is a checkpoint's number
 *   --controls     afterwards the same with each of the controls (crash_controls.h), which must be noticed or not as is written there
 *   --each         afterwards with every single sync left out: how many of each kind are noticed
 *   --thorough     larger bounds
 *
 * After each operation: every outcome of every change of names that is not durable (if there are at most MAX_NAMES combinations of them, else all but
 * one, all but two, one, two, and some drawn at random), times every content of every file with data that is not durable (all combinations if
 * there are at most `bound` of them, else each file's contents beside the others whole and beside the others lost, and some at random). Two changes
 * of names in the other order leave what one of these outcomes leaves. A directory with the same promises is built once. */
#include "crash_check.h"
#include "crash_controls.h"
#include "crash_variants.h"

#include <dirent.h>
#include <ftmpi/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_NAMES = 729, N_RANDOM_NAMES = 200, SEEN_SLOTS = 1 << 21, SAVE_EVERY = 16, MAX_DIRTY = 64, MAX_SHOWN = 5 };

struct explorer {
	crash_place place;
	const char *log_file, *final_root;
	int64_t bound, n_random;
	bool stop_at_first, is_quiet;
	/* one exploration */
	crash_log log;
	model *m;
	promises promises;
	ftmpi_digest *seen; /* [SEEN_SLOTS], open addressing; all zero: free */
	int64_t n_states, n_violations, n_saves, n_sampled;
	int op; /* the last one that happened */
	uint64_t seed;
	char first[PROBLEM_TEXT + 1024];
};

/* A directory that is about to be built: names, and which content each dirty file has. */
struct state {
	const model_names *names;
	const uint8_t *outcomes;
	crash_variants *variants; /* [n_files of the model] */
	int dirty[MAX_DIRTY], n_dirty;
	int choice[MAX_DIRTY];
};

static int remove_below(const char *directory)
{
	DIR *listing = opendir(directory);
	const struct dirent *entry;
	char path[1024];
	int code = 0;

	if (listing == NULL)
		return -1;
	while ((entry = readdir(listing)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
		if (entry->d_type == DT_DIR)
			code |= remove_below(path) | rmdir(path);
		else
			code |= unlink(path);
	}
	(void)closedir(listing);
	return code;
}

static int choice_of(const struct state *s, int file)
{
	for (int i = 0; i < s->n_dirty; i++)
		if (s->dirty[i] == file)
			return s->choice[i];
	return 0;
}

/* Digest of names, contents and promises; the order of the names does not matter. */
static ftmpi_digest state_key(const struct explorer *e, const struct state *s)
{
	ftmpi_digest sum = {0};

	for (int i = 0; i < s->names->n; i++) {
		struct {
			char path[MODEL_PATH];
			ftmpi_digest content;
		} item = {.path = ""};
		const int file = s->names->items[i].file;
		uint64_t words[2], more[2];
		ftmpi_digest digest;

		(void)snprintf(item.path, sizeof item.path, "%s", s->names->items[i].path);
		if (file != MODEL_DIRECTORY)
			item.content = s->variants[file].digests[choice_of(s, file)];
		digest = ftmpi_hash(&item, sizeof item);
		memcpy(words, &digest, sizeof words);
		memcpy(more, &sum, sizeof more);
		more[0] += words[0];
		more[1] ^= words[1];
		memcpy(&sum, more, sizeof sum);
	}
	{
		const struct {
			ftmpi_digest sum;
			int64_t version;
		} whole = {sum, e->promises.version};

		return ftmpi_hash(&whole, sizeof whole);
	}
}

/* Whether the key is new; it is not afterwards. */
static bool is_new(struct explorer *e, ftmpi_digest key)
{
	static const ftmpi_digest none = {0};
	uint64_t slot;

	memcpy(&slot, &key, sizeof slot);
	for (slot %= SEEN_SLOTS; !ftmpi_digest_equal(e->seen[slot], none); slot = (slot + 1) % SEEN_SLOTS)
		if (ftmpi_digest_equal(e->seen[slot], key))
			return false;
	e->seen[slot] = key;
	return e->n_states < SEEN_SLOTS / 2;
}

static ftmpi_status build(const struct explorer *e, const struct state *s)
{
	ftmpi_status status = FTMPI_OK;
	char path[1024];

	if (remove_below(e->place.root) != 0)
		FTMPI_FAIL(FTMPI_ERR_IO, "cannot empty '%s'", e->place.root);
	for (int i = 0; i < s->names->n; i++) {
		const int file = s->names->items[i].file;
		const ftmpi_buffer *content;

		if (file == MODEL_DIRECTORY) {
			(void)snprintf(path, sizeof path, "%s/%s", e->place.root, s->names->items[i].path);
			(void)mkdir(path, 0777);
			continue;
		}
		content = &s->variants[file].contents[choice_of(s, file)];
		FTMPI_TRY(model_put_file(e->place.root, s->names->items[i].path, content->data, content->n_bytes));
	}
done:
	return status;
}

static void report(struct explorer *e, const struct state *s, const char *problem)
{
	static const char *const words[] = {"lost", "done", "both names"};
	char text[512];
	size_t used;

	crash_op_describe(&e->log.ops[e->op], text, sizeof text);
	used = (size_t)snprintf(e->first, sizeof e->first, "%s; after operation %d (%s)", problem, e->op, text);
	for (int i = 0; i < e->m->n_pending && used < sizeof e->first; i++) {
		crash_op_describe(&e->log.ops[e->m->pending[i].op], text, sizeof text);
		used += (size_t)snprintf(e->first + used, sizeof e->first - used, ", %s: %s", text,
					 words[s->outcomes[i]]);
	}
	for (int i = 0; i < s->n_dirty && used < sizeof e->first; i++)
		used += (size_t)snprintf(e->first + used, sizeof e->first - used, ", data of file %d: variant %d",
					 s->dirty[i], s->choice[i]);
	e->n_violations++;
	if (!e->is_quiet && e->n_violations <= MAX_SHOWN)
		(void)printf("VIOLATION: %s\n", e->first);
}

/* One directory: build it and look. */
static ftmpi_status try_state(struct explorer *e, const struct state *s)
{
	ftmpi_status status = FTMPI_OK;
	char problem[PROBLEM_TEXT];
	bool saves;

	if (!is_new(e, state_key(e, s)))
		goto done;
	FTMPI_TRY(build(e, s));
	saves = e->n_states++ % SAVE_EVERY == 0;
	e->n_saves += saves;
	if (!crash_check(&e->place, &e->promises, saves, problem))
		report(e, s, problem);
done:
	return status;
}

static bool enough(const struct explorer *e)
{
	return e->stop_at_first && e->n_violations > 0;
}

/* All combinations of contents; the first file's changes fastest. */
static ftmpi_status try_product(struct explorer *e, struct state *s)
{
	ftmpi_status status = FTMPI_OK;
	int i;

	memset(s->choice, 0, sizeof s->choice);
	do {
		FTMPI_TRY(try_state(e, s));
		for (i = 0; i < s->n_dirty; i++) {
			if (++s->choice[i] < s->variants[s->dirty[i]].n)
				break;
			s->choice[i] = 0;
		}
	} while (i < s->n_dirty && !enough(e));
done:
	return status;
}

/* Each file's contents beside the others lost (0) and whole (1), and some at random. */
static ftmpi_status try_sample(struct explorer *e, struct state *s)
{
	ftmpi_status status = FTMPI_OK;

	e->n_sampled++;
	for (int others = 0; others < 2; others++)
		for (int i = 0; i < s->n_dirty; i++)
			for (int c = 0; c < s->variants[s->dirty[i]].n && !enough(e); c++) {
				for (int j = 0; j < s->n_dirty; j++)
					s->choice[j] = others < s->variants[s->dirty[j]].n ? others : 0;
				s->choice[i] = c;
				FTMPI_TRY(try_state(e, s));
			}
	for (int64_t r = 0; r < e->n_random && !enough(e); r++) {
		for (int j = 0; j < s->n_dirty; j++)
			s->choice[j] = (int)(crash_draw(&e->seed) % (uint32_t)s->variants[s->dirty[j]].n);
		FTMPI_TRY(try_state(e, s));
	}
done:
	return status;
}

/* One outcome of the names, with all contents. */
static ftmpi_status try_names(struct explorer *e, const uint8_t *outcomes, crash_variants *variants)
{
	ftmpi_status status = FTMPI_OK;
	model_names names;
	struct state s = {.names = &names, .outcomes = outcomes, .variants = variants};
	int64_t product = 1;

	model_names_after(e->m, outcomes, &names);
	for (int i = 0; i < names.n; i++) {
		const int file = names.items[i].file;
		bool known = file == MODEL_DIRECTORY || variants[file].n == 1;

		for (int j = 0; j < s.n_dirty; j++)
			known = known || s.dirty[j] == file;
		if (known)
			continue;
		if (s.n_dirty == MAX_DIRTY)
			FTMPI_FAIL(FTMPI_ERR_DATA, "too many files with data that is not durable");
		s.dirty[s.n_dirty++] = file;
		product = product > e->bound ? product : product * variants[file].n;
	}
	FTMPI_TRY(product <= e->bound ? try_product(e, &s) : try_sample(e, &s));
done:
	return status;
}

/* Outcomes when there are too many to try all: with up to two changes unlike the others, which all happened or were all lost; and at random. */
static ftmpi_status sample_names(struct explorer *e, crash_variants *variants)
{
	ftmpi_status status = FTMPI_OK;
	uint8_t outcomes[MODEL_PENDING];
	const int n = e->m->n_pending;

	e->n_sampled++;
	for (int most = MODEL_LOST; most <= MODEL_DONE; most++)
		for (int i = 0; i < n; i++)
			for (int j = i; j < n && !enough(e); j++) {
				memset(outcomes, most, sizeof outcomes);
				FTMPI_TRY(try_names(e, outcomes, variants));
				outcomes[i] = outcomes[j] = (uint8_t)(1 - most);
				FTMPI_TRY(try_names(e, outcomes, variants));
			}
	for (int r = 0; r < N_RANDOM_NAMES && !enough(e); r++) {
		for (int i = 0; i < n; i++)
			outcomes[i] = (uint8_t)(crash_draw(&e->seed) % (uint32_t)model_n_outcomes(&e->m->pending[i]));
		FTMPI_TRY(try_names(e, outcomes, variants));
	}
done:
	return status;
}

/* The power goes now. */
static ftmpi_status crash_here(struct explorer *e)
{
	ftmpi_status status = FTMPI_OK;
	uint8_t outcomes[MODEL_PENDING] = {0};
	crash_variants *variants = NULL;
	int64_t product = 1;
	int i = 0;

	FTMPI_TRY(FTMPI_ALLOC(e->m->n_files, &variants));
	for (int f = 0; f < e->m->n_files; f++)
		FTMPI_TRY(crash_variants_make(&e->m->files[f], (uint64_t)f, &variants[f]));
	for (int p = 0; p < e->m->n_pending; p++)
		product = product > MAX_NAMES ? product : product * model_n_outcomes(&e->m->pending[p]);
	if (product > MAX_NAMES) {
		FTMPI_TRY(sample_names(e, variants));
		goto done;
	}
	do {
		FTMPI_TRY(try_names(e, outcomes, variants));
		for (i = 0; i < e->m->n_pending; i++) {
			if (++outcomes[i] < model_n_outcomes(&e->m->pending[i]))
				break;
			outcomes[i] = 0;
		}
	} while (i < e->m->n_pending && !enough(e));
done:
	for (int f = 0; variants != NULL && f < e->m->n_files; f++)
		crash_variants_clear(&variants[f]);
	ftmpi_free(variants);
	return status;
}

/* The whole of the log, with whatever was dropped or moved in it. */
static ftmpi_status explore(struct explorer *e)
{
	ftmpi_status status = FTMPI_OK;

	memset(e->seen, 0, SEEN_SLOTS * sizeof *e->seen);
	memset(&e->promises, 0, sizeof e->promises);
	e->n_states = e->n_violations = e->n_saves = e->n_sampled = 0;
	e->seed = 1;
	FTMPI_TRY(model_create(&e->m));
	for (e->op = 0; e->op < e->log.n_ops && !enough(e); e->op++) {
		FTMPI_TRY(model_apply(e->m, &e->log.ops[e->op], e->op));
		FTMPI_TRY(promises_apply(&e->promises, &e->log.ops[e->op]));
		FTMPI_TRY(crash_here(e));
	}
	if (!enough(e))
		FTMPI_TRY(model_compare(e->m, e->final_root));
	if (e->n_states >= SEEN_SLOTS / 2)
		FTMPI_FAIL(FTMPI_ERR_DATA, "too many states");
done:
	model_destroy(&e->m);
	return status;
}

/* One control. Returns whether it came out as it should. */
static ftmpi_status try_control(struct explorer *e, int control, bool *as_expected)
{
	ftmpi_status status = FTMPI_OK;
	const crash_control *c = crash_control_get(control);
	int n_places;

	crash_log_clear(&e->log);
	FTMPI_TRY(crash_log_read(e->log_file, &e->log));
	n_places = crash_control_apply(control, &e->log);
	if (n_places > 0)
		FTMPI_TRY(explore(e));
	*as_expected = n_places > 0 && (e->n_violations > 0) == c->is_noticed;
	(void)printf("%s  %s%s: %d places, %s after %lld states%s%s\n", *as_expected ? "ok  " : "FAIL",
		     c->swaps ? "order: " : "without ", c->name, n_places,
		     n_places > 0 && e->n_violations > 0 ? "noticed" : "not noticed", (long long)e->n_states,
		     e->n_violations > 0 ? ": "
		     : c->why != NULL    ? ": "
					 : "",
		     e->n_violations > 0 ? e->first
		     : c->why != NULL    ? c->why
					 : "");
done:
	return status;
}

/* Every sync alone. Some are of use only together with others: a new name that is not durable yet becomes so with the next sync of the directory,
 * before anything is announced. */
static ftmpi_status try_each(struct explorer *e)
{
	enum { MAX_CONTROLS = 32 };
	ftmpi_status status = FTMPI_OK;
	int n[MAX_CONTROLS] = {0}, n_noticed[MAX_CONTROLS] = {0};

	for (int i = 0; i < e->log.n_ops; i++) {
		const int control = crash_control_of(&e->log, i);

		if (control < 0)
			continue;
		e->log.ops[i].dropped = true;
		FTMPI_TRY(explore(e));
		e->log.ops[i].dropped = false;
		n[control]++;
		n_noticed[control] += e->n_violations > 0;
	}
	for (int c = 0; c < crash_n_controls(); c++)
		if (n[c] > 0)
			(void)printf("alone without %s: noticed in %d of %d places\n", crash_control_get(c)->name,
				     n_noticed[c], n[c]);
done:
	return status;
}

static ftmpi_status run(struct explorer *e, bool controls, bool each, int *n_wrong)
{
	ftmpi_status status = FTMPI_OK;
	bool as_expected;

	FTMPI_TRY(crash_log_read(e->log_file, &e->log));
	FTMPI_TRY(explore(e));
	(void)printf("%d operations, %lld crash states (%lld of them saved once more; %lld times sampled), %lld "
		     "violations\n",
		     e->log.n_ops, (long long)e->n_states, (long long)e->n_saves, (long long)e->n_sampled,
		     (long long)e->n_violations);
	*n_wrong = e->n_violations > 0;
	e->stop_at_first = e->is_quiet = true;
	e->bound /= 30; /* a control has much more that is not durable */
	if (each)
		FTMPI_TRY(try_each(e));
	for (int i = 0; controls && i < crash_n_controls(); i++) {
		FTMPI_TRY(try_control(e, i, &as_expected));
		*n_wrong += !as_expected;
	}
done:
	crash_log_clear(&e->log);
	return status;
}

int main(int argc, char **argv)
{
	static const char usage[] =
		"usage: crash_states [--thorough] [--controls | --each] LOG ROOT STORE WORK NUMBER-PATH\n";
	struct explorer e = {.bound = 3000, .n_random = 40};
	bool controls = false, each = false;
	int n_wrong = 0;
	ftmpi_status status;

	for (; argc > 1 && strncmp(argv[1], "--", 2) == 0; argc--, argv++) {
		controls = controls || strcmp(argv[1], "--controls") == 0;
		each = each || strcmp(argv[1], "--each") == 0;
		if (strcmp(argv[1], "--thorough") == 0) {
			e.bound = 60000;
			e.n_random = 1000;
		}
	}
	if (argc != 6) {
		(void)fputs(usage, stderr);
		return 64;
	}
	e.log_file = argv[1];
	e.final_root = argv[2];
	e.place = (crash_place){.root = argv[4], .store = argv[3], .number_path = argv[5]};
	ftmpi_log_configure(0, FTMPI_LOG_ERROR);
	status = FTMPI_ALLOC(SEEN_SLOTS, &e.seen);
	if (status == FTMPI_OK)
		status = run(&e, controls, each, &n_wrong);
	if (status != FTMPI_OK)
		(void)fprintf(stderr, "crash_states: %s\n%s", ftmpi_error_message(), ftmpi_error_trace());
	ftmpi_free(e.seen);
	return status == FTMPI_OK && n_wrong == 0 ? 0 : 1;
}
