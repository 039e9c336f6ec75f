/* SPDX-License-Identifier: Apache-2.0 */
/* Event files: their bytes, relaunches in the same folder, and files that are cut off, damaged or not ours. */
#include "unit/unit_test.h"

#include "unit/events_test.h"

#include <math.h>
#include <regex.h>
#include <signal.h>
#include <sys/wait.h>

static uint32_t unmask(uint32_t masked)
{
	const uint32_t rotated = masked - 0xa282ead8U;

	return (rotated >> 17) | (rotated << 15);
}

/* CRC-32C bit by bit: reflected polynomial 0x1EDC6F41. */
static uint32_t crc32c_slowly(const uint8_t *data, size_t n_bytes)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n_bytes; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0);
	}
	return ~crc;
}

/* The vectors of RFC 3720 (B.4), the check value of the catalogues, and every length and alignment beside a slow twin. */
static void test_crc(void **state)
{
	uint8_t zeros[32] = {0}, ones[32], up[32], down[32], bytes[512];

	(void)state;
	for (int i = 0; i < 32; i++) {
		ones[i] = 0xff;
		up[i] = (uint8_t)i;
		down[i] = (uint8_t)(31 - i);
	}
	assert_int_equal(unmask(ftmpi__crc32c_masked("123456789", 9)), 0xe3069283);
	assert_int_equal(unmask(ftmpi__crc32c_masked(zeros, 32)), 0x8a9136aa);
	assert_int_equal(unmask(ftmpi__crc32c_masked(ones, 32)), 0x62a8ab43);
	assert_int_equal(unmask(ftmpi__crc32c_masked(up, 32)), 0x46dd794e);
	assert_int_equal(unmask(ftmpi__crc32c_masked(down, 32)), 0x113fdb5c);
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * i * 31 + i);
	for (size_t start = 0; start < 16; start++)
		for (size_t n = 0; n <= sizeof bytes - start; n++)
			assert_int_equal(unmask(ftmpi__crc32c_masked(bytes + start, n)),
					 crc32c_slowly(bytes + start, n));
}

/* A file of TensorFlow begins with these twelve bytes, and so does one of ftmpi. */
static void test_bytes(void **state)
{
	static const uint8_t head[] = {0x18, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22, 0x09};
	log_files files;
	ftmpi_buffer bytes;

	(void)state;
	write_launch("bytes", -1, 1, 1, 0);
	files = list_log("bytes");
	bytes = read_bytes(files.path[0]);
	assert_memory_equal(bytes.data, head, sizeof head);
	assert_memory_equal(bytes.data + 21,
			    "\x1a\x0d"
			    "brain.Event:2",
			    15);
	ftmpi_buffer_clear(&bytes);
}

/* Folder and parents are made, the file has TensorBoard's name, and a flush writes what was added. */
static void test_write(void **state)
{
	ftmpi_events *events = NULL;
	log_files files;
	regex_t pattern;

	(void)state;
	assert_ok(ftmpi_events_open("write/a/b", -1, &events));
	files = list_log("write/a/b");
	assert_int_equal(files.n, 1);
	assert_int_equal(regcomp(&pattern,
				 "^write/a/b/events\\.out\\.tfevents\\.[0-9]{10}\\.[-.A-Za-z0-9_]+\\.[0-9]+\\.0\\."
				 "ftmpi$",
				 REG_EXTENDED | REG_NOSUB),
			 0);
	assert_int_equal(regexec(&pattern, files.path[0], 0, NULL, 0), 0);
	regfree(&pattern);
	assert_log("write/a/b", "version; start 0; ");
	assert_ok(ftmpi_events_add_scalar(events, "loss", 0, 0.25));
	assert_ok(ftmpi_events_add_scalar(events, "val/h\xc3\xa9", INT64_MAX, -2));
	assert_log("write/a/b", "version; start 0; ");
	assert_ok(ftmpi_events_flush(events));
	assert_log("write/a/b", "version; start 0; loss 0 0.25; val/h\xc3\xa9 9223372036854775807 -2; ");
	assert_ok(ftmpi_events_flush(events));
	assert_ok(ftmpi_events_add_scalar(events, "zero", 3, 0));
	assert_ok(ftmpi_events_add_scalar(events, "big", 3, 1e300));
	assert_ok(ftmpi_events_add_scalar(events, "nan", 3, fabs((double)NAN)));
	ftmpi_events_close(&events);
	assert_null(events);
	ftmpi_events_close(&events);
	assert_log("write/a/b", "version; start 0; loss 0 0.25; val/h\xc3\xa9 9223372036854775807 -2; zero 3 0; "
				"big 3 inf; nan 3 nan; ");
}

/* What waits for a flush is bounded. */
static void test_pending(void **state)
{
	ftmpi_events *events = NULL;
	ftmpi_buffer text = {0};
	log_files files;
	size_t written, all;

	(void)state;
	assert_ok(ftmpi_events_open("pending", -1, &events));
	files = list_log("pending");
	for (int i = 0; i < 20000; i++)
		assert_ok(ftmpi_events_add_scalar(events, "loss", i, i));
	written = file_text(files.path[0], &text);
	ftmpi_events_close(&events);
	assert_ok(ftmpi_buffer_resize(&text, 0));
	all = file_text(files.path[0], &text);
	assert_true(written < all && all - written < (size_t)70 * 1024);
	assert_non_null(strstr(text.data, "start 0; loss 0 0; loss 1 1; "));
	assert_non_null(strstr(text.data, "loss 19998 19998; loss 19999 19999; "));
	ftmpi_buffer_clear(&text);
}

/* Each step is there once, with the value of the launch that went on from it. */
static void test_relaunch(void **state)
{
	struct stat before, after;
	log_files files;

	(void)state;
	write_launch("relaunch", -1, 0, 4, 100);
	write_launch("relaunch", 2, 3, 6, 200);
	assert_log("relaunch", "version; start 0; loss 0 100; loss 1 100.062; loss 2 100.125; "
			       "version; start 3; loss 3 200.188; loss 4 200.25; loss 5 200.312; loss 6 200.375; ");
	files = list_log("relaunch");
	assert_int_equal(stat(files.path[0], &before), 0);
	write_launch("relaunch", 4, 5, 5, 300);
	assert_int_equal(stat(files.path[0], &after), 0);
	assert_int_equal(before.st_ino, after.st_ino); /* nothing to drop: not rewritten */
	assert_log("relaunch", "version; start 0; loss 0 100; loss 1 100.062; loss 2 100.125; "
			       "version; start 3; loss 3 200.188; loss 4 200.25; version; start 5; loss 5 300.312; ");
	write_launch("relaunch", 1, 2, 2, 400); /* two files have nothing left */
	assert_log("relaunch", "version; start 0; loss 0 100; loss 1 100.062; version; version; "
			       "version; start 2; loss 2 400.125; ");
	write_text("relaunch/ftmpi-events.tmp", "of a crash");
	write_launch("relaunch", INT64_MAX, 9, 9, 500); /* nothing is dropped */
	assert_int_equal(count_names("relaunch", ".tmp"), 0);
	assert_log("relaunch",
		   "version; start 0; loss 0 100; loss 1 100.062; version; version; "
		   "version; start 2; loss 2 400.125; version; start 9223372036854775807; loss 9 500.562; ");
	write_launch("relaunch", -1, 0, 0, 600);
	assert_log("relaunch", "version; version; version; version; version; version; start 0; loss 0 600; ");
	assert_int_equal(count_names("relaunch", "tfevents"), count_names("relaunch", "") - 2);
}

/* A launch that was killed leaves what it had flushed, which may be nothing. */
static void test_killed(void **state)
{
	(void)state;
	for (int64_t launch = 0; launch < 3; launch++) {
		const pid_t child = fork();
		ftmpi_events *events = NULL;
		int code = 0;

		if (child == 0) {
			if (ftmpi_events_open("killed", 3 * launch - 1, &events) != FTMPI_OK ||
			    (launch != 1 && (ftmpi_events_add_scalar(events, "loss", 3 * launch, 1) != FTMPI_OK ||
					     ftmpi_events_flush(events) != FTMPI_OK)) ||
			    ftmpi_events_add_scalar(events, "loss", 3 * launch + 1, 2) != FTMPI_OK)
				_exit(1);
			(void)raise(SIGKILL);
		}
		assert_int_equal(waitpid(child, &code, 0), child);
		assert_true(WIFSIGNALED(code));
	}
	assert_log("killed", "version; start 0; loss 0 1; version; start 3; version; start 6; loss 6 1; ");
	write_launch("killed", 6, 7, 7, 3);
	assert_log("killed", "version; start 0; loss 0 1; version; start 3; version; start 6; loss 6 1; version; start "
			     "7; loss 7 3.4375; ");
}

/* An event file of three scalars, alone in a folder. */
static ftmpi_buffer sample_file(const char *directory, char *path)
{
	write_launch(directory, -1, 1, 3, 0);
	(void)snprintf(path, 512, "%s", list_log(directory).path[0]);
	return read_bytes(path);
}

/* Where each record of a file ends. */
static int record_ends(const ftmpi_buffer *bytes, size_t ends[8])
{
	const uint8_t *data = (const uint8_t *)bytes->data;
	size_t at = 0, n;
	int n_ends = 0;

	while (n_ends < 8 && ftmpi__record_find(data + at, bytes->n_bytes - at, &n))
		ends[n_ends++] = at += n;
	assert_int_equal(at, bytes->n_bytes);
	return n_ends;
}

/* Expect that a launch at step 9 leaves these bytes of a file, alone in a folder; take the launch's own file away again. */
static void assert_leaves(const char *directory, const char *path, const char *expected, size_t n_bytes)
{
	ftmpi_events *events = NULL;
	ftmpi_buffer left;

	assert_ok(ftmpi_events_open(directory, 9, &events));
	ftmpi_events_close(&events);
	left = read_bytes(path);
	assert_int_equal(left.n_bytes, n_bytes);
	assert_memory_equal(left.data, expected, n_bytes);
	ftmpi_buffer_clear(&left);
	assert_int_equal(list_log(directory).n, 2);
	assert_string_equal(list_log(directory).path[0], path);
	assert_int_equal(unlink(list_log(directory).path[1]), 0);
}

/* Bytes of the records that a file still has whole, and none after one that is not. */
static size_t whole_records(const ftmpi_buffer *whole, const size_t ends[5], const char *data, size_t n_bytes)
{
	size_t left = 0;

	for (int i = 0; i < 5 && ends[i] <= n_bytes && memcmp(data, whole->data, ends[i]) == 0; i++)
		left = ends[i];
	return left;
}

/* Cut off after every number of bytes, and with zeros where the rest was: a record that ends with a zero is whole without its last byte then. */
static void test_torn(void **state)
{
	char path[512];
	ftmpi_buffer whole = sample_file("torn", path), zeroed = {0};
	size_t ends[8] = {0};

	(void)state;
	assert_int_equal(record_ends(&whole, ends), 5);
	for (size_t n = 0; n <= whole.n_bytes; n++) {
		const size_t left = whole_records(&whole, ends, whole.data, n);

		write_bytes(path, whole.data, n);
		assert_leaves("torn", path, whole.data, left == 0 ? n : left);
		if (left == 0) /* with zeros it is no event file */
			continue;
		assert_ok(ftmpi_buffer_resize(&zeroed, 0));
		assert_ok(ftmpi_buffer_append(&zeroed, whole.data, n));
		assert_ok(ftmpi_buffer_resize(&zeroed, whole.n_bytes));
		write_bytes(path, zeroed.data, zeroed.n_bytes);
		assert_leaves("torn", path, whole.data, whole_records(&whole, ends, zeroed.data, zeroed.n_bytes));
	}
	ftmpi_buffer_clear(&whole);
	ftmpi_buffer_clear(&zeroed);
}

/* A flipped bit anywhere: what is before its record stays, and the user is told. In the first record it makes the file none of ours. */
static void test_damaged(void **state)
{
	char path[512];
	ftmpi_buffer whole = sample_file("damaged", path), text;
	size_t ends[8] = {0};
	int saved;

	(void)state;
	assert_int_equal(record_ends(&whole, ends), 5);
	for (size_t at = 0; at < whole.n_bytes; at++) {
		int n_left = 0;

		while (ends[n_left] <= at)
			n_left++;
		whole.data[at] ^= 1 << (at % 8);
		write_bytes(path, whole.data, whole.n_bytes);
		saved = capture_begin();
		assert_leaves("damaged", path, whole.data, n_left == 0 ? whole.n_bytes : ends[n_left - 1]);
		text = capture_end(saved);
		assert_captured(&text, 1, n_left == 0 ? "is no event file: left alone" : "the rest is dropped");
		whole.data[at] ^= 1 << (at % 8);
	}
	ftmpi_buffer_clear(&whole);
}

/* Right checksums around something that is no event, and a length that no file has. */
static void test_hostile(void **state)
{
	char path[512];
	ftmpi_buffer whole = sample_file("hostile", path), bytes = {0};
	uint8_t record[20] = {4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
	uint32_t crc = ftmpi__crc32c_masked(record, 8);

	(void)state;
	memcpy(record + 8, &crc, 4); /* a little-endian machine: as the library's own code */
	crc = ftmpi__crc32c_masked(record + 12, 4);
	memcpy(record + 16, &crc, 4);
	assert_ok(ftmpi_buffer_append(&bytes, whole.data, whole.n_bytes));
	assert_ok(ftmpi_buffer_append(&bytes, record, sizeof record));
	assert_ok(ftmpi_buffer_append(&bytes, whole.data, whole.n_bytes));
	write_bytes(path, bytes.data, bytes.n_bytes);
	assert_leaves("hostile", path, whole.data, whole.n_bytes);
	memset(record, 0xff, 8);
	crc = ftmpi__crc32c_masked(record, 8);
	memcpy(record + 8, &crc, 4);
	memcpy(bytes.data + whole.n_bytes, record, sizeof record);
	write_bytes(path, bytes.data, bytes.n_bytes);
	assert_leaves("hostile", path, whole.data, whole.n_bytes);
	ftmpi_buffer_clear(&whole);
	ftmpi_buffer_clear(&bytes);
}

/* Other programs' files, and what only has a name of ftmpi's. */
static void test_foreign(void **state)
{
#define NAME(rest) "foreign/events.out.tfevents." rest
	static const char *const others[] = {NAME("1000000000.host.1.0.v2"), NAME("1000000000.host"),
					     "foreign/notes.ftmpi", NAME("100.host.1.0.ftmpi"),
					     NAME("10000000000.host.1.0.ftmpi")};
	static const char *const strange[] = {NAME("1000000000.text.ftmpi"), NAME("1000000000.directory.ftmpi"),
					      NAME("1000000000.link.ftmpi"), NAME("1000000000.fifo.ftmpi")};
	char path[512];
	ftmpi_buffer whole = sample_file("foreign", path), text;
	const int saved = capture_begin();

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		write_bytes(others[i], whole.data, whole.n_bytes);
	write_text(strange[0], "notes on the third run, longer than any event file begins");
	assert_int_equal(mkdir(strange[1], 0777), 0);
	assert_int_equal(symlink("events.out.tfevents.1000000000.host", strange[2]), 0);
	assert_int_equal(mkfifo(strange[3], 0666), 0);
	write_launch("foreign", -1, 0, 0, 0);
	text = capture_end(saved);
	assert_non_null(strstr(text.data, "text.ftmpi' is no event file: left alone"));
	assert_non_null(strstr(text.data, "directory.ftmpi' is not a regular file: left alone"));
	assert_captured(&text, 4, "link.ftmpi' is not a regular file: left alone");
	text = read_bytes(path);
	assert_int_equal(text.n_bytes, 40); /* the version */
	ftmpi_buffer_clear(&text);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		text = read_bytes(others[i]);
		assert_int_equal(text.n_bytes, whole.n_bytes);
		assert_memory_equal(text.data, whole.data, whole.n_bytes);
		ftmpi_buffer_clear(&text);
	}
	for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++)
		assert_true(file_exists(strange[i]));
	ftmpi_buffer_clear(&whole);
}

/* A new file's name comes after all others, whatever the clock says and whoever wrote them. */
static void test_order(void **state)
{
	log_files files;

	(void)state;
	for (int i = 0; i < 5; i++)
		write_launch("order", i - 1, i, i, 0);
	assert_log("order",
		   "version; start 0; loss 0 0; version; start 1; loss 1 0.0625; version; start 2; loss 2 0.125; "
		   "version; start 3; loss 3 0.1875; version; start 4; loss 4 0.25; ");
	write_text("order/events.out.tfevents.8000000000.z.v2", "");
	write_launch("order", 4, 5, 5, 0);
	files = list_log("order");
	assert_int_equal(files.n, 7);
	assert_non_null(strstr(files.path[6], "tfevents.8000000001."));
	write_text("order/events.out.tfevents.9999999999.-.v2", "");
	write_launch("order", 5, 6, 6, 0);
	write_launch("order", 6, 7, 7, 0);
	files = list_log("order");
	assert_int_equal(files.n, 10);
	assert_non_null(strstr(files.path[8], ".0.ftmpi"));
	assert_non_null(strstr(files.path[9], ".1.ftmpi"));
}

/* What is in the way is named, and the handle stays as it was. */
static void test_errors(void **state)
{
	ftmpi_events *events = NULL;

	(void)state;
	write_text("plain", "x");
	assert_fails(ftmpi_events_open("plain", -1, &events), FTMPI_ERR_IO, "cannot open the directory 'plain'");
	assert_fails(ftmpi_events_open("plain/sub", -1, &events), FTMPI_ERR_IO,
		     "cannot make the directory 'plain/sub'");
	assert_null(events);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc),     cmocka_unit_test(test_bytes),    cmocka_unit_test(test_write),
		cmocka_unit_test(test_pending), cmocka_unit_test(test_relaunch), cmocka_unit_test(test_killed),
		cmocka_unit_test(test_torn),    cmocka_unit_test(test_damaged),  cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_foreign), cmocka_unit_test(test_order),    cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
