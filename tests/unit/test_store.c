/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of checkpoints: opening it in every condition, and finding the newest good checkpoint. */
#include "unit/unit_test.h"

#include "store_test.h"

#include <errno.h>
#include <ftmpi/failpoint.h>

static void test_bad_options(void **state)
{
	static const char *const names[] = {"", ".x", "a/b", "a b", "a\"", "a\\", "a\n"};
	ftmpi_store_options o;
	ftmpi_store *store = NULL;
	char *longest = calloc(1, FTMPI_PATH_MAX + 1);

	(void)state;
	assert_non_null(longest);
	ftmpi_store_options_init(&o);
	assert_string_equal(o.name, "ckpt");
	assert_int_equal(o.keep_max, 5);
	assert_true(o.lock_wait_s == 10);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		o.name = names[i];
		assert_fails(ftmpi_store_open("d", &o, &store), FTMPI_ERR_USAGE, "bad checkpoint name");
	}
	ftmpi_store_options_init(&o);
	o.keep_max = -1;
	assert_fails(ftmpi_store_open("d", &o, &store), FTMPI_ERR_USAGE, "keep_max is -1");
	ftmpi_store_options_init(&o);
	o.keep_every_n_hours = -1;
	assert_fails(ftmpi_store_open("d", &o, &store), FTMPI_ERR_USAGE, "keep_every_n_hours is -1");
	ftmpi_store_options_init(&o);
	o.lock_wait_s = -1;
	assert_fails(ftmpi_store_open("d", &o, &store), FTMPI_ERR_USAGE, "lock_wait_s is -1");
	ftmpi_store_options_init(&o);
	assert_fails(ftmpi_store_open("", &o, &store), FTMPI_ERR_USAGE, "has no name");
	memset(longest, 'x', FTMPI_PATH_MAX);
	assert_fails(ftmpi_store_open(longest, &o, &store), FTMPI_ERR_USAGE, "is too long");
	assert_false(file_exists("d"));
	free(longest);
}

/* Parents are made; a trailing slash is no part of a path; what is in the way is named. */
static void test_directory(void **state)
{
	store_fixture f;
	ftmpi_store *store = NULL;
	char file[FTMPI_PATH_MAX];

	(void)state;
	fixture_create(&f, "a/b//c/");
	assert_string_equal(ftmpi_store_directory(f.store), "a/b//c");
	assert_int_equal(ftmpi_store_n_items(f.store), 0);
	sample_fill(&f.s, 4);
	assert_ok(ftmpi_store_save(f.store, f.registry, 4, file));
	assert_string_equal(file, "a/b//c/ckpt-4.weights.h5");
	assert_true(file_exists(file));
	assert_latest(&f, 4);
	write_text("plain", "x");
	assert_fails(ftmpi_store_open("plain", &f.options, &store), FTMPI_ERR_IO, "cannot open the directory 'plain'");
	assert_fails(ftmpi_store_open("plain/sub", &f.options, &store), FTMPI_ERR_IO, "cannot make the directory");
	fixture_destroy(&f);
}

/* A program that changes its working directory keeps its checkpoints together. */
static void test_chdir(void **state)
{
	store_fixture f;

	(void)state;
	fixture_create(&f, "here");
	assert_int_equal(mkdir("elsewhere", 0777), 0);
	assert_int_equal(chdir("elsewhere"), 0);
	assert_ok(fixture_save(&f, 1));
	assert_latest(&f, 1);
	assert_int_equal(chdir(".."), 0);
	assert_true(file_exists("here/ckpt-1.weights.h5"));
	fixture_destroy(&f);
}

static void test_new_directory(void **state)
{
	store_fixture f;
	ftmpi_reader *reader = (ftmpi_reader *)&f;

	(void)state;
	fixture_create(&f, "new");
	assert_ok(ftmpi_store_open_latest(f.store, &reader));
	assert_null(reader);
	assert_int_equal(ftmpi_store_n_bad(f.store), 0);
	fixture_destroy(&f);
}

static void test_save_and_reopen(void **state)
{
	store_fixture f;
	const ftmpi_store_item *item;
	ftmpi_buffer bytes;

	(void)state;
	fixture_create(&f, "plain_reopen");
	f.now_s = 1234.5678914;
	assert_ok(fixture_save(&f, 1));
	assert_ok(fixture_save(&f, 10));
	assert_ok(fixture_save(&f, 9));
	fixture_reopen(&f);
	assert_items(f.store, "1 9 10");
	item = ftmpi_store_get(f.store, 2);
	bytes = read_bytes(item->file);
	assert_true(item->timestamp_s == 1234.567891);
	assert_int_equal(item->n_bytes, bytes.n_bytes);
	assert_true(ftmpi_digest_equal(item->digest, ftmpi_hash(bytes.data, bytes.n_bytes)));
	ftmpi_buffer_clear(&bytes);
	for (int i = 0; i < 3; i++)
		assert_ok(ftmpi_store_verify(f.store, i, NULL));
	assert_latest(&f, 10);
	fixture_destroy(&f);
}

static void test_read_only(void **state)
{
	store_fixture f;
	ftmpi_store *look = NULL;
	ftmpi_reader *reader = NULL;
	ftmpi_buffer lines;
	int n_names, captured;

	(void)state;
	fixture_create(&f, "looked_at");
	f.options.read_only = true;
	assert_fails(ftmpi_store_open("nowhere", &f.options, &look), FTMPI_ERR_NOT_FOUND,
		     "there is no directory 'nowhere'");
	assert_false(file_exists("nowhere"));
	assert_ok(fixture_save(&f, 1));
	assert_ok(fixture_save(&f, 2));
	fixture_damage(&f, 2);
	write_text("looked_at/ckpt-3.weights.h5.tmp", "x");
	n_names = count_names("looked_at", "");
	/* The writer still holds the lock. */
	assert_ok(ftmpi_store_open("looked_at", &f.options, &look));
	assert_items(look, "1 2");
	captured = capture_begin();
	assert_ok(ftmpi_store_open_latest(look, &reader));
	lines = capture_end(captured);
	assert_captured(&lines, 1,
			"passing over a bad checkpoint: checkpoint 'looked_at/ckpt-2.weights.h5' was altered");
	assert_reader_holds(&reader, 1);
	assert_fails(ftmpi_store_save(look, f.registry, 3, NULL), FTMPI_ERR_USAGE, "opened to look only");
	assert_fails(ftmpi_store_prune(look, 1, NULL), FTMPI_ERR_USAGE, "opened to look only");
	ftmpi_store_close(&look);
	assert_int_equal(count_names("looked_at", ""), n_names);
	fixture_destroy(&f);
}

/* The first byte, the middle, the last byte; a cut; more bytes: every change of a listed file is found. */
static void test_verify_finds_every_change(void **state)
{
	store_fixture f;
	ftmpi_buffer bytes;
	char file[128];

	(void)state;
	fixture_create(&f, "changed");
	assert_ok(fixture_save(&f, 1));
	bytes = read_bytes(fixture_file(&f, 1, "", file));
	for (size_t i = 0; i < bytes.n_bytes; i += 7) {
		bytes.data[i] ^= 4;
		write_bytes(file, bytes.data, bytes.n_bytes);
		assert_int_equal(ftmpi_store_verify(f.store, 0, NULL), FTMPI_ERR_DATA);
		bytes.data[i] ^= 4;
	}
	for (size_t n = 0; n < bytes.n_bytes; n += 97) {
		write_bytes(file, bytes.data, n);
		assert_int_equal(ftmpi_store_verify(f.store, 0, NULL), FTMPI_ERR_DATA);
	}
	bytes.data[bytes.n_bytes] = 'x'; /* in place of the zero behind the buffer */
	write_bytes(file, bytes.data, bytes.n_bytes + 1);
	assert_int_equal(ftmpi_store_verify(f.store, 0, NULL), FTMPI_ERR_DATA);
	write_bytes(file, bytes.data, bytes.n_bytes);
	assert_ok(ftmpi_store_verify(f.store, 0, NULL));
	ftmpi_buffer_clear(&bytes);
	fixture_destroy(&f);
}

/* Another good checkpoint under a listed name is not what was announced. */
static void test_verify_finds_a_replacement(void **state)
{
	store_fixture f;

	(void)state;
	fixture_create(&f, "replaced");
	assert_ok(fixture_save(&f, 1));
	assert_ok(fixture_save(&f, 6));
	assert_int_equal(rename("replaced/ckpt-1.weights.h5", "replaced/ckpt-6.weights.h5"), 0);
	assert_fails(ftmpi_store_verify(f.store, 1, NULL), FTMPI_ERR_DATA, "where the state file says");
	assert_fails(ftmpi_store_verify(f.store, 0, NULL), FTMPI_ERR_NOT_FOUND, "replaced/ckpt-1.weights.h5");
	fixture_destroy(&f);
}

static void test_set_aside(void **state)
{
	store_fixture f;
	ftmpi_buffer lines;
	ftmpi_reader *reader = NULL;
	int captured;

	(void)state;
	fixture_create(&f, "aside");
	for (int i = 1; i <= 4; i++)
		assert_ok(fixture_save(&f, i));
	fixture_damage(&f, 4);
	write_text("aside/ckpt-3.weights.h5", "short");
	write_text("aside/ckpt-4.weights.h5.bad", "an earlier one");
	fixture_reopen(&f);
	assert_int_equal(ftmpi_store_n_bad(f.store), 1);
	captured = capture_begin();
	assert_ok(ftmpi_store_open_latest(f.store, &reader));
	lines = capture_end(captured);
	assert_non_null(strstr(lines.data,
			       "set aside as 'ckpt-4.weights.h5.bad.2': checkpoint 'aside/ckpt-4.weights.h5' was "
			       "altered: its digest is "));
	assert_captured(&lines, 2,
			"set aside as 'ckpt-3.weights.h5.bad': checkpoint 'aside/ckpt-3.weights.h5' has 5 bytes where "
			"the state file says ");
	assert_reader_holds(&reader, 2);
	assert_int_equal(ftmpi_store_n_bad(f.store), 3);
	assert_items(f.store, "1 2");
	assert_true(file_exists("aside/ckpt-4.weights.h5.bad.2"));
	assert_false(file_exists("aside/ckpt-4.weights.h5"));
	/* The state file knows: no warning about files that are gone. */
	captured = capture_begin();
	fixture_reopen(&f);
	lines = capture_end(captured);
	assert_captured(&lines, 0, "");
	assert_items(f.store, "1 2");
	assert_int_equal(ftmpi_store_n_bad(f.store), 3);
	/* The numbers are free again. */
	assert_ok(fixture_save(&f, 3));
	assert_latest(&f, 3);
	fixture_destroy(&f);
}

/* A good checkpoint that is set aside on request, and its way back. */
static void test_suspect(void **state)
{
	store_fixture f;
	ftmpi_buffer lines;
	ftmpi_reader *reader = NULL;
	int64_t number = -1;
	int captured;

	(void)state;
	fixture_create(&f, "suspect");
	assert_fails(ftmpi_store_set_aside(f.store, &number), FTMPI_ERR_NOT_FOUND, "no older good checkpoint");
	for (int i = 1; i <= 3; i++)
		assert_ok(fixture_save(&f, i));
	assert_ok(ftmpi_store_set_aside(f.store, &number));
	assert_int_equal(number, 3);
	assert_true(file_exists("suspect/ckpt-3.weights.h5.suspect"));
	assert_items(f.store, "1 2");
	assert_latest(&f, 2);
	captured = capture_begin();
	fixture_reopen(&f);
	lines = capture_end(captured);
	assert_captured(&lines, 0, "");
	assert_items(f.store, "1 2");
	assert_int_equal(ftmpi_store_n_suspect(f.store), 1);
	assert_int_equal(ftmpi_store_n_bad(f.store), 0);
	assert_fails(ftmpi_store_put_back(f.store, 4), FTMPI_ERR_NOT_FOUND, "cannot rename");
	assert_ok(ftmpi_store_put_back(f.store, 3));
	fixture_reopen(&f);
	assert_items(f.store, "1 2 3");
	assert_latest(&f, 3);
	/* Once only: what comes to the same number again is not set aside over the first one, and that one does not replace it. */
	assert_ok(ftmpi_store_set_aside(f.store, &number));
	assert_ok(fixture_save(&f, 3));
	assert_fails(ftmpi_store_set_aside(f.store, &number), FTMPI_ERR_USAGE, "was set aside once already");
	assert_fails(ftmpi_store_put_back(f.store, 3), FTMPI_ERR_USAGE, "is there already");
	assert_items(f.store, "1 2 3");
	/* There is nothing to go back to where the older ones are bad. */
	assert_int_equal(unlink("suspect/ckpt-3.weights.h5.suspect"), 0);
	fixture_damage(&f, 1);
	fixture_damage(&f, 2);
	assert_fails(ftmpi_store_set_aside(f.store, &number), FTMPI_ERR_NOT_FOUND, "no older good checkpoint");
	assert_latest(&f, 3);
	/* A folder with nothing but what was set aside does not look new. */
	assert_int_equal(rename("suspect/ckpt-3.weights.h5", "suspect/ckpt-3.weights.h5.suspect"), 0);
	assert_int_equal(unlink("suspect/ckpt-1.weights.h5") + unlink("suspect/ckpt-2.weights.h5"), 0);
	fixture_reopen(&f);
	assert_fails(ftmpi_store_open_latest(f.store, &reader), FTMPI_ERR_DATA,
		     "no checkpoint in 'suspect' but 1 set aside (ckpt-*.weights.h5.suspect)");
	f.options.read_only = true;
	fixture_reopen(&f);
	assert_fails(ftmpi_store_set_aside(f.store, &number), FTMPI_ERR_USAGE, "opened to look only");
	assert_fails(ftmpi_store_put_back(f.store, 3), FTMPI_ERR_USAGE, "opened to look only");
	fixture_destroy(&f);
}

static void test_all_bad(void **state)
{
	store_fixture f;
	ftmpi_reader *reader = NULL;

	(void)state;
	fixture_create(&f, "all_bad");
	assert_ok(fixture_save(&f, 1));
	assert_ok(fixture_save(&f, 2));
	fixture_damage(&f, 1);
	fixture_damage(&f, 2);
	assert_fails(ftmpi_store_open_latest(f.store, &reader), FTMPI_ERR_DATA,
		     "no good checkpoint in 'all_bad': 2 bad (ckpt-*.weights.h5.bad*); to start over use another "
		     "directory, or "
		     "remove these files");
	fixture_reopen(&f);
	assert_items(f.store, "");
	assert_fails(ftmpi_store_open_latest(f.store, &reader), FTMPI_ERR_DATA,
		     "no good checkpoint in 'all_bad': 2 bad");
	assert_null(reader);
	assert_int_equal(unlink("all_bad/ckpt-1.weights.h5.bad") + unlink("all_bad/ckpt-2.weights.h5.bad"), 0);
	assert_int_equal(unlink("all_bad/checkpoint"), 0);
	fixture_reopen(&f);
	assert_ok(ftmpi_store_open_latest(f.store, &reader));
	assert_null(reader);
	fixture_destroy(&f);
}

/* An error of the machine condemns no file. */
static void test_transient_error(void **state)
{
	store_fixture f;
	ftmpi_reader *reader = NULL;

	(void)state;
	fixture_create(&f, "transient");
	assert_ok(fixture_save(&f, 1));
	assert_ok(fixture_save(&f, 2));
	assert_ok(ftmpi_failpoints_arm("restore.read:error=EIO", 0));
	assert_fails(ftmpi_store_open_latest(f.store, &reader), FTMPI_ERR_IO, "transient/ckpt-2.weights.h5");
	assert_ok(ftmpi_failpoints_arm("restore.read:error=ENOMEM", 0));
	assert_fails(ftmpi_store_open_latest(f.store, &reader), FTMPI_ERR_MEMORY, "transient/ckpt-2.weights.h5");
	assert_null(reader);
	assert_items(f.store, "1 2");
	assert_latest(&f, 2);
	assert_ok(ftmpi_failpoints_arm("restore.read:corrupt", 0));
	assert_latest(&f, 1);
	assert_true(file_exists("transient/ckpt-2.weights.h5.bad"));
	assert_ok(ftmpi_failpoints_arm(NULL, 0));
	fixture_destroy(&f);
}

static void test_vanished(void **state)
{
	store_fixture f;
	ftmpi_reader *reader = NULL;
	ftmpi_buffer lines;
	int captured;

	(void)state;
	fixture_create(&f, "vanished");
	for (int i = 1; i <= 3; i++)
		assert_ok(fixture_save(&f, i));
	/* While the store is open. */
	assert_int_equal(unlink("vanished/ckpt-3.weights.h5"), 0);
	captured = capture_begin();
	assert_ok(ftmpi_store_open_latest(f.store, &reader));
	lines = capture_end(captured);
	assert_captured(&lines, 1, "a checkpoint is gone: 'vanished/ckpt-3.weights.h5'");
	assert_reader_holds(&reader, 2);
	/* Between two runs: the newest is worth a warning, an old one (a crash in the middle of retention) is not. */
	assert_int_equal(unlink("vanished/ckpt-1.weights.h5"), 0);
	captured = capture_begin();
	fixture_reopen(&f);
	lines = capture_end(captured);
	assert_captured(&lines, 1, "'vanished/checkpoint' lists ckpt-3, but the file is gone");
	assert_items(f.store, "2");
	assert_int_equal(unlink("vanished/ckpt-2.weights.h5"), 0);
	fixture_reopen(&f);
	assert_fails(ftmpi_store_open_latest(f.store, &reader), FTMPI_ERR_DATA,
		     "no checkpoint in 'vanished', though its state file lists 3");
	fixture_destroy(&f);
}

/* A store opened to look, beside a run that saves and deletes: what it listed is gone when it looks, but there is a newer one. */
static void test_vanished_while_looking(void **state)
{
	store_fixture f;
	ftmpi_store_options look;
	ftmpi_store *looking = NULL;
	ftmpi_reader *reader = NULL;

	(void)state;
	fixture_create(&f, "looking");
	f.options.keep_max = 1;
	fixture_reopen(&f);
	assert_ok(fixture_save(&f, 1));
	ftmpi_store_options_init(&look);
	look.read_only = true;
	assert_ok(ftmpi_store_open("looking", &look, &looking));
	assert_ok(fixture_save(&f, 2));
	assert_ok(ftmpi_store_open_latest(looking, &reader));
	assert_reader_holds(&reader, 2);
	ftmpi_store_close(&looking);
	fixture_destroy(&f);
}

/* … or the same number was saved again: the list that was read speaks of the file before, which condemns nothing. */
static void test_replaced_while_looking(void **state)
{
	store_fixture f;
	ftmpi_store_options look;
	ftmpi_store *looking = NULL;
	ftmpi_reader *reader = NULL;
	ftmpi_buffer lines;
	int captured;

	(void)state;
	fixture_create(&f, "resaved");
	assert_ok(fixture_save(&f, 1));
	ftmpi_store_options_init(&look);
	look.read_only = true;
	assert_ok(ftmpi_store_open("resaved", &look, &looking));
	sample_fill(&f.s, 11);
	assert_ok(ftmpi_store_save(f.store, f.registry, 1, NULL));
	captured = capture_begin();
	assert_ok(ftmpi_store_open_latest(looking, &reader));
	assert_reader_holds(&reader, 11);
	/* A file that is bad under the list of now is bad. */
	fixture_damage(&f, 1);
	assert_fails(ftmpi_store_open_latest(looking, &reader), FTMPI_ERR_DATA, "no good checkpoint in 'resaved'");
	lines = capture_end(captured);
	assert_captured(&lines, 1, "passing over a bad checkpoint: checkpoint 'resaved/ckpt-1.weights.h5' was altered");
	ftmpi_store_close(&looking);
	fixture_destroy(&f);
}

/* A checkpoint copied under a higher number would be taken again and again: the number inside counts. */
static void test_wrong_number(void **state)
{
	store_fixture f;
	ftmpi_reader *reader = NULL;
	ftmpi_buffer lines;
	int captured;
	int64_t step = 0;

	(void)state;
	fixture_create(&f, "renamed");
	f.options.number_path = "optimizer/vars/0";
	fixture_reopen(&f);
	f.s.step = 7;
	assert_ok(ftmpi_store_save(f.store, f.registry, 7, NULL));
	assert_int_equal(link("renamed/ckpt-7.weights.h5", "renamed/ckpt-90.weights.h5"), 0);
	fixture_reopen(&f);
	captured = capture_begin();
	assert_ok(ftmpi_store_open_latest(f.store, &reader));
	lines = capture_end(captured);
	assert_captured(&lines, 1, "holds optimizer/vars/0 7, not what its name says");
	assert_ok(ftmpi_reader_read(reader, "optimizer/vars/0", &step, sizeof step));
	assert_int_equal(step, 7);
	ftmpi_reader_close(&reader);
	assert_items(f.store, "7");
	fixture_destroy(&f);
}

/* Complete files that the state file does not list are checkpoints. */
static void test_orphans(void **state)
{
	store_fixture f;
	ftmpi_buffer old_state;

	(void)state;
	fixture_create(&f, "orphans");
	assert_ok(fixture_save(&f, 1));
	old_state = read_bytes("orphans/checkpoint");
	assert_ok(fixture_save(&f, 2));
	write_bytes("orphans/checkpoint", old_state.data, old_state.n_bytes);
	fixture_reopen(&f);
	assert_items(f.store, "1 2u");
	assert_latest(&f, 2);
	assert_int_equal(unlink("orphans/checkpoint"), 0);
	fixture_reopen(&f);
	assert_items(f.store, "1u 2u");
	assert_ok(fixture_save(&f, 3));
	fixture_reopen(&f);
	assert_items(f.store, "1u 2u 3");
	/* One that is damaged is found by what is inside it. */
	fixture_damage(&f, 2);
	assert_int_equal(unlink("orphans/ckpt-3.weights.h5"), 0);
	fixture_reopen(&f);
	assert_latest(&f, 1);
	ftmpi_buffer_clear(&old_state);
	fixture_destroy(&f);
}

static void test_other_names_are_left_alone(void **state)
{
	static const char *const ours[] = {"ckpt-7.weights.h5.tmp", "ckpt-0.weights.h5.tmp", "checkpoint.tmp"};
	static const char *const others[] = {"other-7.weights.h5.tmp",  "ckpt-7.weights.h5.tmp2",
					     "ckpt-07.weights.h5",      "ckpt-x.weights.h5",
					     "ckpt-7.weights.h5.badly", "events.tmp",
					     "checkpoint.tmp2",         "ckpt-8.h5"};
	store_fixture f;
	char path[128];

	(void)state;
	fixture_create(&f, "names");
	assert_ok(fixture_save(&f, 1));
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
		(void)snprintf(path, sizeof path, "names/%s", ours[i]);
		write_text(path, "x");
	}
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		(void)snprintf(path, sizeof path, "names/%s", others[i]);
		write_text(path, "x");
	}
	fixture_reopen(&f);
	assert_items(f.store, "1");
	assert_int_equal(ftmpi_store_n_bad(f.store), 0);
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
		(void)snprintf(path, sizeof path, "names/%s", ours[i]);
		assert_false(file_exists(path));
	}
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		(void)snprintf(path, sizeof path, "names/%s", others[i]);
		assert_true(file_exists(path));
	}
	fixture_destroy(&f);
}

/* Fifos, folders and links under the names of checkpoints and of the state file: passed over at once. */
static void test_not_regular(void **state)
{
	store_fixture f;
	ftmpi_buffer lines;
	int captured;

	(void)state;
	fixture_create(&f, "odd");
	assert_ok(fixture_save(&f, 1));
	assert_int_equal(mkfifo("odd/ckpt-7.weights.h5", 0666), 0);
	assert_int_equal(mkdir("odd/ckpt-8.weights.h5", 0777), 0);
	assert_int_equal(symlink("ckpt-1.weights.h5", "odd/ckpt-9.weights.h5"), 0);
	captured = capture_begin();
	fixture_reopen(&f);
	lines = capture_end(captured);
	assert_captured(&lines, 3, "'odd/ckpt-7.weights.h5' is not a regular file: ignored");
	assert_items(f.store, "1");
	assert_latest(&f, 1);
	assert_int_equal(unlink("odd/checkpoint"), 0);
	assert_int_equal(mkfifo("odd/checkpoint", 0666), 0);
	fixture_reopen(&f);
	assert_items(f.store, "1u");
	assert_ok(fixture_save(&f, 2));
	fixture_reopen(&f);
	assert_items(f.store, "1u 2");
	fixture_destroy(&f);
}

static void test_damaged_state_file(void **state)
{
	static const char *const texts[] = {"", "x", "model_checkpoint_path: \"ckpt-2\"\n", "# ftmpi xxh3-128=\n"};
	store_fixture f;
	ftmpi_buffer lines;
	int captured;

	(void)state;
	fixture_create(&f, "damaged_state");
	assert_ok(fixture_save(&f, 1));
	assert_ok(fixture_save(&f, 2));
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		write_text("damaged_state/checkpoint", texts[i]);
		captured = capture_begin();
		fixture_reopen(&f);
		lines = capture_end(captured);
		assert_captured(&lines, 1, "the state file 'damaged_state/checkpoint' is damaged (");
		assert_items(f.store, "1u 2u");
		assert_latest(&f, 2);
	}
	assert_int_equal(truncate("damaged_state/checkpoint", INT64_C(1) << 40), 0);
	fixture_reopen(&f);
	assert_items(f.store, "1u 2u");
	assert_ok(fixture_save(&f, 3));
	fixture_reopen(&f);
	assert_items(f.store, "1u 2u 3");
	fixture_destroy(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_chdir),
		cmocka_unit_test(test_new_directory),
		cmocka_unit_test(test_save_and_reopen),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_verify_finds_every_change),
		cmocka_unit_test(test_verify_finds_a_replacement),
		cmocka_unit_test(test_set_aside),
		cmocka_unit_test(test_suspect),
		cmocka_unit_test(test_all_bad),
		cmocka_unit_test(test_transient_error),
		cmocka_unit_test(test_vanished),
		cmocka_unit_test(test_vanished_while_looking),
		cmocka_unit_test(test_replaced_while_looking),
		cmocka_unit_test(test_wrong_number),
		cmocka_unit_test(test_orphans),
		cmocka_unit_test(test_other_names_are_left_alone),
		cmocka_unit_test(test_not_regular),
		cmocka_unit_test(test_damaged_state_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
