/* SPDX-License-Identifier: Apache-2.0 */
/* usage: fuzz_store ROUNDS: damage a directory of checkpoints in every way, and open it. Each round draws one to three of the mutations below for
 * files of five checkpoints, the state file, the lock file and leftovers.
 *
 *  - Nothing crashes. What is restored is, to the last bit, a state that this run saved under that number.
 *  - No good checkpoint is passed over: the newest file that is as it was is restored, or a newer one. (Unless the state file was forged, digest and
 *    all: then a good file may be called bad, never a bad one good.)
 *  - Bad files are set aside, not deleted. Every refusal has one line that says why. The next save works.
 *
 * A file of a terabyte that no state file lists is refused as more than the memory, until it is taken away; it is not known to be bad.
 * Without a good state file nothing tells whose run a checkpoint is from: then one of another run, whole and under its number, is taken. */
#include "unit/unit_test.h"

#include "ckpt/store_inside.h"
#include "damage.h"
#include "damage_hdf5.h"
#include "store_test.h"

#include <ftmpi/log.h>

enum { N_CHECKPOINTS = 5, MAX_FILES = 40, OTHER_RUN = 50, N_HOSTILE = 2, HEADERS = 64, N_VALUES = 2000 };

/** What is under a name. */
enum type { A_FILE, A_DIRECTORY, A_LINK, A_FIFO, NOTHING };

struct file {
	char name[80];
	enum type type;
	uint8_t *bytes;
	size_t n_bytes;
	off_t sparse_bytes; /* 0: as long as its bytes */
};

struct folder {
	struct file files[MAX_FILES];
	int n;
};

static struct fuzz {
	int n_rounds;
	char directory[64];
	struct folder mine, others, damaged;
	struct file hostile[N_HOSTILE];
	ftmpi_digest digests[2][N_CHECKPOINTS + 1]; /* of the states: this run's, the other's */
	sample s;
	float values[N_VALUES]; /* so that most of a checkpoint is data */
	int64_t number;
	ftmpi_registry *registry;
	int64_t n_restored, n_older, n_none, n_refused, n_bad;
} fuzz;

static void copy_bytes(struct file *to, const uint8_t *bytes, size_t n_bytes)
{
	uint8_t *copy = malloc(n_bytes + 1);

	assert_non_null(copy);
	if (n_bytes > 0)
		memcpy(copy, bytes, n_bytes);
	free(to->bytes);
	to->bytes = copy;
	to->n_bytes = n_bytes;
}

static struct file *add_file(struct folder *folder, const char *name, const void *bytes, size_t n_bytes)
{
	struct file *file = &folder->files[folder->n];

	for (int i = 0; i < folder->n; i++)
		if (strcmp(folder->files[i].name, name) == 0)
			file = &folder->files[i];
	if (file == &folder->files[folder->n]) {
		if (folder->n == MAX_FILES - 1)
			return &folder->files[0];
		*file = (struct file){.type = A_FILE};
		(void)snprintf(file->name, sizeof file->name, "%s", name); /* NOLINT: the process ends */
		folder->n++;
	}
	copy_bytes(file, bytes, n_bytes);
	return file;
}

static void clear_folder(struct folder *folder)
{
	for (int i = 0; i < folder->n; i++)
		free(folder->files[i].bytes);
	folder->n = 0;
}

static void read_folder(const char *directory, struct folder *folder)
{
	DIR *listing = opendir(directory);
	const struct dirent *entry;
	char path[512];

	assert_non_null(listing);
	while ((entry = readdir(listing)) != NULL) {
		ftmpi_buffer bytes;

		if (entry->d_type != DT_REG)
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
		bytes = read_bytes(path);
		(void)add_file(folder, entry->d_name, bytes.data, bytes.n_bytes);
		ftmpi_buffer_clear(&bytes);
	}
	(void)closedir(listing);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

static ftmpi_store_options store_options(void)
{
	ftmpi_store_options o;

	ftmpi_store_options_init(&o);
	o.number_path = "number";
	o.lock_wait_s = 0;
	return o;
}

/* A run of five saves, and its folder; `which` 1: the other run. */
static void make_run(int which, struct folder *folder)
{
	const ftmpi_store_options o = store_options();
	ftmpi_store *store = NULL;

	assert_ok(ftmpi_store_open(fuzz.directory, &o, &store));
	for (fuzz.number = 1; fuzz.number <= N_CHECKPOINTS; fuzz.number++) {
		sample_fill(&fuzz.s, (int)fuzz.number + which * OTHER_RUN);
		for (int i = 0; i < N_VALUES; i++)
			fuzz.values[i] = (float)(i + fuzz.number * N_VALUES) / (float)(which + 1);
		assert_ok(ftmpi_registry_state_digest(fuzz.registry, &fuzz.digests[which][fuzz.number]));
		assert_ok(ftmpi_store_save(store, fuzz.registry, fuzz.number, NULL));
	}
	ftmpi_store_close(&store);
	read_folder(fuzz.directory, folder);
	/* A directory's order is its file system's: the same names at the same places everywhere. */
	qsort(folder->files, (size_t)folder->n, sizeof folder->files[0], by_name);
	empty_directory(fuzz.directory);
}

static void make_hostile(struct file *file, void (*change)(hid_t f))
{
	ftmpi_buffer bytes;

	write_bytes("x.weights.h5", fuzz.mine.files[2].bytes, fuzz.mine.files[2].n_bytes);
	change_file("x.weights.h5", change);
	bytes = read_bytes("x.weights.h5");
	copy_bytes(file, (const uint8_t *)bytes.data, bytes.n_bytes);
	ftmpi_buffer_clear(&bytes);
}

static int set_up(void **state)
{
	const int64_t n = N_VALUES;

	(void)state;
	(void)snprintf(fuzz.directory, sizeof fuzz.directory, "/dev/shm/ftmpi.XXXXXX");
	if (mkdtemp(fuzz.directory) == NULL) {
		(void)snprintf(fuzz.directory, sizeof fuzz.directory, "fuzz.XXXXXX");
		assert_non_null(mkdtemp(fuzz.directory));
	}
	ftmpi_log_configure(0, FTMPI_LOG_ERROR);
	sample_fill(&fuzz.s, 0);
	fuzz.registry = sample_register(&fuzz.s);
	assert_ok(ftmpi_registry_add_scalar(fuzz.registry, "number", FTMPI_I64, &fuzz.number, FTMPI_STATE));
	assert_ok(ftmpi_registry_add(fuzz.registry, "values", FTMPI_F32, 1, &n, fuzz.values, FTMPI_STATE));
	make_run(0, &fuzz.mine);
	make_run(1, &fuzz.others);
	(void)add_file(&fuzz.mine, "ckpt-6.weights.h5.tmp", "half", 4);
	(void)add_file(&fuzz.mine, "ckpt-2.weights.h5.bad", "an old one", 10);
	(void)add_file(&fuzz.mine, "notes.txt", "mine", 4);
	make_hostile(&fuzz.hostile[0], add_deep_groups);
	make_hostile(&fuzz.hostile[1], add_shared_subtrees);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	empty_directory(fuzz.directory);
	(void)rmdir(fuzz.directory);
	clear_folder(&fuzz.mine);
	clear_folder(&fuzz.others);
	for (int i = 0; i < N_HOSTILE; i++)
		free(fuzz.hostile[i].bytes);
	ftmpi_registry_destroy(&fuzz.registry);
	sample_clear(&fuzz.s);
	return 0;
}

static struct file *find(struct folder *folder, const char *name)
{
	for (int i = 0; i < folder->n; i++)
		if (strcmp(folder->files[i].name, name) == 0)
			return &folder->files[i];
	return &folder->files[0];
}

/* Every other time the newest checkpoint: most depends on it. */
static struct file *any_file(struct folder *folder, uint64_t *seed)
{
	if (draw(seed) % 2 == 0)
		return find(folder, "ckpt-5.weights.h5");
	return &folder->files[folder->n > 0 ? draw(seed) % (uint32_t)folder->n : 0];
}

/* Mutations. Each changes a file of the folder, or adds one. */
typedef void mutation(struct folder *folder, struct file *file, uint64_t *seed);

static void flip_bits(struct folder *folder, struct file *file, uint64_t *seed)
{
	(void)folder;
	for (uint32_t i = draw(seed) % 8 + 1; i > 0 && file->n_bytes > 0; i--)
		file->bytes[draw(seed) % file->n_bytes] ^= (uint8_t)(1u << draw(seed) % 8);
}

static void set_bytes(struct folder *folder, struct file *file, uint64_t *seed)
{
	const size_t at = file->n_bytes > 0 ? draw(seed) % file->n_bytes : 0;

	(void)folder;
	for (size_t i = at; i < file->n_bytes && i < at + 64; i++)
		file->bytes[i] = (uint8_t)draw(seed);
}

static void zero_page(struct folder *folder, struct file *file, uint64_t *seed)
{
	const size_t page = draw(seed) % 2 == 0 ? 512 : 4096, at = draw(seed) % (file->n_bytes / page + 1) * page;

	(void)folder;
	if (at < file->n_bytes)
		memset(file->bytes + at, 0, file->n_bytes - at < page ? file->n_bytes - at : page);
}

static void zero_tail(struct folder *folder, struct file *file, uint64_t *seed)
{
	const size_t at = draw(seed) % (file->n_bytes + 1);

	(void)folder;
	memset(file->bytes + at, 0, file->n_bytes - at);
}

static void truncate_file(struct folder *folder, struct file *file, uint64_t *seed)
{
	(void)folder;
	file->n_bytes = draw(seed) % 8 == 0 ? 0 : draw(seed) % (file->n_bytes + 1);
}

static void append_junk(struct folder *folder, struct file *file, uint64_t *seed)
{
	const size_t more = draw(seed) % 5000 + 1, n_bytes = file->n_bytes + more;
	const bool zeros = draw(seed) % 2 == 0;
	uint8_t *longer = malloc(n_bytes);

	(void)folder;
	assert_non_null(longer);
	memcpy(longer, file->bytes, file->n_bytes);
	for (size_t i = file->n_bytes; i < n_bytes; i++)
		longer[i] = zeros ? 0 : (uint8_t)draw(seed);
	copy_bytes(file, longer, n_bytes);
	free(longer);
}

static void swap_contents(struct folder *folder, struct file *file, uint64_t *seed)
{
	struct file *other = any_file(folder, seed);
	uint8_t *bytes = file->bytes;
	const size_t n_bytes = file->n_bytes;

	file->bytes = other->bytes;
	file->n_bytes = other->n_bytes;
	other->bytes = bytes;
	other->n_bytes = n_bytes;
}

static void copy_another(struct folder *folder, struct file *file, uint64_t *seed)
{
	const struct file *other = any_file(folder, seed);

	if (other != file)
		copy_bytes(file, other->bytes, other->n_bytes);
}

/* The file that another run has under this name, or under any. */
static void take_from_other_run(struct folder *folder, struct file *file, uint64_t *seed)
{
	const struct file *other = any_file(&fuzz.others, seed);

	(void)folder;
	for (int i = 0; i < fuzz.others.n && draw(seed) % 4 != 0; i++)
		if (strcmp(fuzz.others.files[i].name, file->name) == 0)
			other = &fuzz.others.files[i];
	copy_bytes(file, other->bytes, other->n_bytes);
}

static void remove_file(struct folder *folder, struct file *file, uint64_t *seed)
{
	(void)folder;
	(void)seed;
	file->type = NOTHING;
}

static void become_other_type(struct folder *folder, struct file *file, uint64_t *seed)
{
	static const enum type types[] = {A_DIRECTORY, A_LINK, A_FIFO};

	(void)folder;
	file->type = types[draw(seed) % 3];
}

/* A copy under a name that no store gives, or that is absurd. */
static void add_odd_name(struct folder *folder, struct file *file, uint64_t *seed)
{
	static const char *const names[] = {"ckpt-9223372036854775807.weights.h5",
					    "ckpt-9223372036854775808.weights.h5",
					    "ckpt-007.weights.h5",
					    "ckpt--1.weights.h5",
					    "ckpt-7.weights.h5",
					    "ckpt-0.weights.h5",
					    "ckpt-5.weights.h5.bad.2",
					    "ckpt-99999.weights.h5.tmp",
					    "checkpoint.tmp",
					    "ckpt-.weights.h5",
					    "other-5.weights.h5"};
	const size_t n = sizeof names / sizeof names[0];

	(void)add_file(folder, names[draw(seed) % n], file->bytes, file->n_bytes);
}

static void be_hostile(struct folder *folder, struct file *file, uint64_t *seed)
{
	const struct file *hostile = &fuzz.hostile[draw(seed) % N_HOSTILE];

	(void)folder;
	copy_bytes(file, hostile->bytes, hostile->n_bytes);
}

/* Bytes of one header are changed, some to numbers that are absurdly large, and the checksum is right again. */
static void forge_header(struct folder *folder, struct file *file, uint64_t *seed)
{
	size_t starts[HEADERS], ends[HEADERS];
	uint32_t n = 0, h;

	(void)folder;
	for (size_t at = 0; at < file->n_bytes && n < HEADERS; at++)
		if (file->bytes[at] == 'O' && find_header(file->bytes, file->n_bytes, at, &ends[n]))
			starts[n++] = at;
	if (n == 0)
		return;
	h = draw(seed) % n;
	for (uint32_t i = draw(seed) % 3 + 1; i > 0; i--) {
		const size_t at = starts[h] + 4 + draw(seed) % (ends[h] - starts[h] - 4);
		const size_t width = draw(seed) % 2 == 0 ? 1 : 8;

		for (size_t j = at; j < at + width && j < ends[h]; j++)
			file->bytes[j] = width == 8 ? 0x7f : (uint8_t)draw(seed);
	}
	seal(file->bytes, starts[h], ends[h]);
}

/* A file of a terabyte, all but its start a hole; its header may say so too. */
static void be_huge(struct folder *folder, struct file *file, uint64_t *seed)
{
	(void)folder;
	file->sparse_bytes = (off_t)1 << 40;
	if (draw(seed) % 2 == 0 || file->n_bytes < FTMPI__HDF5_START_BYTES)
		return;
	for (int i = 0; i < 8; i++)
		file->bytes[28 + i] = (uint8_t)((uint64_t)file->sparse_bytes >> (8 * i));
	seal(file->bytes, 0, FTMPI__HDF5_START_BYTES - 4);
}

/* The state file says something else, under a right digest. */
static void forge_state(struct folder *folder, struct file *file, uint64_t *seed)
{
	static const char digest_line[] = "# ftmpi xxh3-128=";
	struct file *state = find(folder, FTMPI__STATE_FILE);
	const size_t line_bytes = sizeof digest_line - 1 + FTMPI_DIGEST_TEXT;
	char text[FTMPI_DIGEST_TEXT];
	size_t body;

	(void)file;
	if (state->n_bytes <= line_bytes)
		return;
	body = state->n_bytes - line_bytes;
	for (uint32_t i = draw(seed) % 3 + 1; i > 0; i--) {
		uint8_t *at = &state->bytes[draw(seed) % body];

		/* A digit stays one, so that most of what is forged is read. */
		*at = *at >= '0' && *at <= '9' ? (uint8_t)('0' + draw(seed) % 10) : draw(seed) % 4 == 0 ? '9' : *at;
	}
	ftmpi_digest_format(ftmpi_hash(state->bytes, body), text);
	memcpy(state->bytes + body, digest_line, sizeof digest_line - 1);
	memcpy(state->bytes + body + sizeof digest_line - 1, text, FTMPI_DIGEST_TEXT - 1);
	state->bytes[state->n_bytes - 1] = '\n';
}

static mutation *const mutations[] = {
	flip_bits,    flip_bits,     set_bytes,    zero_page,           zero_tail,   truncate_file,
	append_junk,  swap_contents, copy_another, take_from_other_run, remove_file, become_other_type,
	add_odd_name, be_hostile,    forge_header, forge_header,        be_huge,     forge_state,
};

static void write_folder(const struct folder *folder)
{
	char path[256];

	for (int i = 0; i < folder->n; i++) {
		const struct file *file = &folder->files[i];

		(void)snprintf(path, sizeof path, "%s/%s", fuzz.directory, file->name);
		if (file->type == A_FILE)
			write_bytes(path, file->bytes, file->n_bytes);
		if (file->type == A_FILE && file->sparse_bytes > 0)
			assert_int_equal(truncate(path, file->sparse_bytes), 0);
		if (file->type == A_DIRECTORY)
			assert_int_equal(mkdir(path, 0777), 0);
		if (file->type == A_LINK)
			assert_int_equal(symlink("ckpt-3.weights.h5", path), 0);
		if (file->type == A_FIFO)
			assert_int_equal(mkfifo(path, 0666), 0);
	}
}

/* What the round is about, when it fails. */
static void describe(int round, const char *what)
{
	fail_msg("round %d: %s; last error: %s", round, what, ftmpi_error_message());
}

static bool is_whole(const struct file *file, const char *name)
{
	const struct file *was = find(&fuzz.mine, name);

	return file->type == A_FILE && file->sparse_bytes == 0 && file->n_bytes == was->n_bytes &&
	       memcmp(file->bytes, was->bytes, was->n_bytes) == 0;
}

/* Number of the newest checkpoint that is as it was; 0: none. */
static int newest_whole(struct folder *folder)
{
	char name[80];

	for (int i = N_CHECKPOINTS; i > 0; i--) {
		(void)snprintf(name, sizeof name, "ckpt-%d.weights.h5", i);
		if (is_whole(find(folder, name), name))
			return i;
	}
	return 0;
}

/* The state file: as it was, forged so that it can be read, or of no use. */
enum state_file { STATE_WHOLE, STATE_FORGED, STATE_NONE };

static enum state_file state_of(struct folder *folder)
{
	const struct file *file = find(folder, FTMPI__STATE_FILE);
	ftmpi__state state = {0};
	ftmpi_status status;

	if (strcmp(file->name, FTMPI__STATE_FILE) != 0 || file->type != A_FILE || file->sparse_bytes > 0)
		return STATE_NONE;
	if (is_whole(file, FTMPI__STATE_FILE))
		return STATE_WHOLE;
	file->bytes[file->n_bytes] = 0;
	status = ftmpi__state_parse((const char *)file->bytes, file->n_bytes, "ckpt", &state);
	ftmpi__state_clear(&state);
	return status == FTMPI_OK ? STATE_FORGED : STATE_NONE;
}

/* Regular files that are checkpoints by their names, set aside or not. */
static int count_checkpoints(void)
{
	DIR *listing = opendir(fuzz.directory);
	const struct dirent *entry;
	int n = 0;

	assert_non_null(listing);
	while ((entry = readdir(listing)) != NULL)
		n += entry->d_type == DT_REG && strncmp(entry->d_name, "ckpt-", 5) == 0 &&
		     strstr(entry->d_name, FTMPI__TMP) == NULL;
	(void)closedir(listing);
	return n;
}

static void check_restored(int round, const ftmpi_reader *reader, enum state_file state, int whole)
{
	const char *dash = strrchr(ftmpi_reader_file(reader), '-');
	const long number = strtol(dash + 1, NULL, 10);
	ftmpi_digest digest, loaded;
	bool mine, others;

	if (number < 1 || number > N_CHECKPOINTS) {
		describe(round, "a checkpoint was restored that nobody saved");
		return;
	}
	assert_ok(ftmpi_reader_load(reader, fuzz.registry));
	assert_ok(ftmpi_registry_state_digest(fuzz.registry, &loaded));
	digest = ftmpi_reader_state_digest(reader);
	mine = ftmpi_digest_equal(loaded, fuzz.digests[0][number]);
	others = ftmpi_digest_equal(loaded, fuzz.digests[1][number]);
	if (!ftmpi_digest_equal(digest, loaded) || !(mine || (others && state != STATE_WHOLE)))
		describe(round, "another state was restored than was saved under its number");
	if (state != STATE_FORGED && number < whole)
		describe(round, "a good checkpoint was passed over");
	fuzz.n_restored++;
	fuzz.n_older += number < N_CHECKPOINTS;
}

/* A refusal is right when there is nothing good, or when something is in the way that no state of the files explains. */
static void check_refused(int round, ftmpi_status status, struct folder *folder, enum state_file state, int whole)
{
	bool in_the_way = strcmp(find(folder, FTMPI__LOCK_FILE)->name, FTMPI__LOCK_FILE) == 0 &&
			  find(folder, FTMPI__LOCK_FILE)->type != A_FILE;

	/* A file larger than the memory says nothing of itself: an error, until someone takes it away. Where it is listed its length is known. */
	in_the_way = in_the_way || status == FTMPI_ERR_MEMORY;
	if (ftmpi_error_message()[0] == '\0' || strchr(ftmpi_error_message(), '\n') != NULL)
		describe(round, "no message, or not one line");
	if (state != STATE_FORGED && whole > 0 && !in_the_way)
		describe(round, "refused, though there is a good checkpoint");
	if (status != FTMPI_ERR_DATA && !in_the_way)
		describe(round, "another error than ERR_DATA");
	fuzz.n_refused++;
}

/* The next save works, unless something that is no file has its names. */
static void check_saving(int round, ftmpi_store *store, const struct folder *folder)
{
	ftmpi_reader *reader = NULL;

	for (int i = 0; i < folder->n; i++)
		if (folder->files[i].type == A_DIRECTORY)
			return;
	fuzz.number = 1000;
	if (ftmpi_store_save(store, fuzz.registry, fuzz.number, NULL) != FTMPI_OK ||
	    ftmpi_store_open_latest(store, &reader) != FTMPI_OK || reader == NULL)
		describe(round, "the next save failed");
	ftmpi_reader_close(&reader);
}

static void look(int round, struct folder *folder)
{
	const ftmpi_store_options o = store_options();
	const enum state_file state = state_of(folder);
	const int whole = newest_whole(folder), n_before = count_checkpoints();
	ftmpi_store *store = NULL;
	ftmpi_reader *reader = NULL;
	ftmpi_status status = ftmpi_store_open(fuzz.directory, &o, &store);

	fuzz.n_bad -= store != NULL ? ftmpi_store_n_bad(store) : 0;
	if (status == FTMPI_OK)
		status = ftmpi_store_open_latest(store, &reader);
	if (status != FTMPI_OK)
		check_refused(round, status, folder, state, whole);
	else if (reader != NULL)
		check_restored(round, reader, state, whole);
	else if (whole > 0 && state != STATE_FORGED)
		describe(round, "no checkpoint, though there is a good one");
	fuzz.n_none += status == FTMPI_OK && reader == NULL;
	if (count_checkpoints() != n_before)
		describe(round, "a file was deleted");
	if (store != NULL) {
		fuzz.n_bad += ftmpi_store_n_bad(store);
		if (status != FTMPI_ERR_MEMORY)
			check_saving(round, store, folder);
	}
	ftmpi_reader_close(&reader);
	ftmpi_store_close(&store);
}

/* One round's folder: as this run left it, and then damaged. */
static void damage_folder(struct folder *folder, uint64_t *seed)
{
	for (int i = 0; i < fuzz.mine.n; i++)
		(void)add_file(folder, fuzz.mine.files[i].name, fuzz.mine.files[i].bytes, fuzz.mine.files[i].n_bytes);
	for (uint32_t i = draw(seed) % 3 + 1; i > 0; i--)
		mutations[draw(seed) % (sizeof mutations / sizeof mutations[0])](folder, any_file(folder, seed), seed);
}

static void test_rounds(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (int round = 0; round < fuzz.n_rounds; round++) {
		damage_folder(&fuzz.damaged, &seed);
		write_folder(&fuzz.damaged);
		look(round, &fuzz.damaged);
		empty_directory(fuzz.directory);
		clear_folder(&fuzz.damaged);
	}
	print_message("%d damaged directories: %lld restored (%lld from an older checkpoint), %lld without any, %lld "
		      "refused; "
		      "%lld files set aside\n",
		      fuzz.n_rounds, (long long)fuzz.n_restored, (long long)fuzz.n_older, (long long)fuzz.n_none,
		      (long long)fuzz.n_refused, (long long)fuzz.n_bad);
	assert_true(fuzz.n_older > fuzz.n_rounds / 20);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rounds)};

	fuzz.n_rounds = argc == 2 ? (int)strtol(argv[1], NULL, 10) : 4000;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
