/* SPDX-License-Identifier: Apache-2.0 */
/* The base layer: error record, memory, digests, random numbers, slices, failpoints. */
#include "unit/unit_test.h"

#include <errno.h>
#include <ftmpi/failpoint.h>
#include <ftmpi/hash.h>
#include <ftmpi/keyvalue.h>
#include <ftmpi/memory.h>
#include <ftmpi/rng.h>
#include <ftmpi/slice.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void test_exit_codes(void **state)
{
	(void)state;
	assert_int_equal(ftmpi_status_exit_code(FTMPI_OK), 0);
	assert_int_equal(ftmpi_status_exit_code(FTMPI_ERR_USAGE), 64);
	assert_int_equal(ftmpi_status_exit_code(FTMPI_ERR_DATA), 65);
	assert_int_equal(ftmpi_status_exit_code(FTMPI_ERR_NOT_FOUND), 66);
	assert_int_equal(ftmpi_status_exit_code(FTMPI_ERR_MPI), 70);
	assert_int_equal(ftmpi_status_exit_code(FTMPI_ERR_REPLICA), 75);
	assert_int_equal(ftmpi_status_exit_code(FTMPI_ERR_NO_SPACE), 74);
	assert_int_equal(ftmpi_status_exit_code(FTMPI_STOPPED), 75);
	assert_int_equal(ftmpi_status_exit_code(FTMPI_ERR_DIVERGED), 76);
	assert_string_equal(ftmpi_status_name(FTMPI_ERR_IO), "ERR_IO");
	assert_string_equal(ftmpi_status_name((ftmpi_status)99), "ERR_INTERNAL");
}

static ftmpi_status inner(void)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_FAIL(FTMPI_ERR_IO, "line one\nline %d", 2);
done:
	return status;
}

static ftmpi_status outer(void)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(inner());
done:
	return status;
}

static void test_error_record(void **state)
{
	(void)state;
	assert_int_equal(outer(), FTMPI_ERR_IO);
	assert_string_equal(ftmpi_error_message(), "line one line 2");
	assert_non_null(strchr(strchr(ftmpi_error_trace(), '\n') + 1, '\n'));
	assert_int_equal(ftmpi_error_set(FTMPI_ERR_DATA, "f", 1, "again: %s", ftmpi_error_message()), FTMPI_ERR_DATA);
	assert_string_equal(ftmpi_error_message(), "again: line one line 2");
	ftmpi_error_clear();
	assert_string_equal(ftmpi_error_message(), "");
}

static void test_memory(void **state)
{
	double *p = NULL;

	(void)state;
	assert_fails(FTMPI_ALLOC(INT64_MAX / 4, &p), FTMPI_ERR_MEMORY, "does not fit");
	assert_fails(FTMPI_ALLOC(-1, &p), FTMPI_ERR_MEMORY, "does not fit");
	assert_null(p);
	assert_ok(FTMPI_ALLOC(0, &p));
	assert_non_null(p);
	ftmpi_free(p);
	assert_ok(FTMPI_ALLOC(1000, &p));
	assert_int_equal((uintptr_t)p % FTMPI_ALIGNMENT, 0);
	for (int i = 0; i < 1000; i++)
		assert_true(p[i] == 0.0);
	ftmpi_free(p);
}

static void test_buffer(void **state)
{
	ftmpi_buffer buffer = {0};

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_ok(ftmpi_buffer_printf(&buffer, "%02d,", i));
	assert_int_equal(buffer.n_bytes, 300);
	assert_memory_equal(buffer.data + 297, "99,", 4);
	assert_ok(ftmpi_buffer_resize(&buffer, 2));
	assert_string_equal(buffer.data, "00");
	assert_ok(ftmpi_buffer_resize(&buffer, 4));
	assert_memory_equal(buffer.data, "00\0\0", 5);
	assert_fails(ftmpi_buffer_resize(&buffer, SIZE_MAX), FTMPI_ERR_MEMORY, "does not fit");
	assert_fails(ftmpi_buffer_append(&buffer, "", SIZE_MAX - 1), FTMPI_ERR_MEMORY, "does not fit");
	assert_int_equal(buffer.n_bytes, 4);
	ftmpi_buffer_clear(&buffer);
}

/* The expected text is what `printf abc | xxh128sum` prints. */
static void test_digest(void **state)
{
	char text[FTMPI_DIGEST_TEXT];
	ftmpi_hasher *hasher = NULL;
	ftmpi_digest digest = ftmpi_hash("abc", 3), parsed;

	(void)state;
	ftmpi_digest_format(digest, text);
	assert_string_equal(text, "06b05ab6733a618578af5f94892f3950");
	assert_true(ftmpi_digest_parse(text, &parsed) && ftmpi_digest_equal(parsed, digest));
	text[5] = 'g';
	assert_false(ftmpi_digest_parse(text, &parsed));
	assert_false(ftmpi_digest_parse("06b0", &parsed));
	assert_false(ftmpi_digest_parse("06b05ab6733a618578af5f94892f39500", &parsed));
	assert_ok(ftmpi_hasher_create(&hasher));
	ftmpi_hasher_update(hasher, "a", 1);
	ftmpi_hasher_update(hasher, NULL, 0);
	ftmpi_hasher_update(hasher, "bc", 2);
	assert_true(ftmpi_digest_equal(ftmpi_hasher_digest(hasher), digest));
	ftmpi_hasher_destroy(&hasher);
}

/* Known answers of Random123's kat_vectors for philox4x32-10, and pinned ones: they are part of what a checkpoint means. */
static void test_rng(void **state)
{
	const ftmpi_rng zero = {{0, 0}};
	const ftmpi_rng a = ftmpi_rng_stream(1, FTMPI_RNG_DROPOUT, 2, 3);
	const ftmpi_rng others[] = {
		ftmpi_rng_stream(0, FTMPI_RNG_DROPOUT, 2, 3), ftmpi_rng_stream(1, FTMPI_RNG_ORDER, 2, 3),
		ftmpi_rng_stream(1, FTMPI_RNG_DROPOUT, 1, 3), ftmpi_rng_stream(1, FTMPI_RNG_DROPOUT, 2, 2)};
	const uint32_t known[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
	uint32_t block[4], words[7];

	(void)state;
	ftmpi_rng_block(zero, 0, 0, block);
	assert_memory_equal(block, known, sizeof known);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_memory_not_equal(&others[i], &a, sizeof a);
	ftmpi_rng_words(a, UINT64_C(1) << 40, 7, words);
	ftmpi_rng_block(a, UINT64_C(1) << 40, 0, block);
	assert_memory_equal(words, block, sizeof block);
	ftmpi_rng_block(a, UINT64_C(1) << 40, 1, block);
	assert_memory_equal(words + 4, block, 3 * sizeof block[0]);
	assert_true(ftmpi_rng_unit(0) == 0.0F && ftmpi_rng_unit(UINT32_MAX) < 1.0F);
}

static void test_slice(void **state)
{
	const int64_t totals[] = {0, 1, 5, 60000, INT64_MAX / 2};

	(void)state;
	for (size_t t = 0; t < sizeof totals / sizeof totals[0]; t++)
		for (int64_t parts = 1; parts < 20; parts++) {
			assert_int_equal(ftmpi_slice_start(totals[t], parts, 0), 0);
			assert_int_equal(ftmpi_slice_start(totals[t], parts, parts), totals[t]);
			for (int64_t i = 0; i < parts; i++) {
				const int64_t n = ftmpi_slice_start(totals[t], parts, i + 1) -
						  ftmpi_slice_start(totals[t], parts, i);
				assert_true(n == totals[t] / parts || n == totals[t] / parts + 1);
			}
		}
}

static void test_keyvalue(void **state)
{
	const char *text = "# comment\n\n  a = 1\r\nb=\n c d = x = y \nlast = z";
	static const struct {
		const char *key, *value;
		int line;
	} expected[] = {{"a", "1", 3}, {"b", "", 4}, {"c d", "x = y", 5}, {"last", "z", 6}};
	ftmpi_keyvalue pair = {.line = 0};
	const char *at = text;
	bool found;

	(void)state;
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		assert_ok(ftmpi_keyvalue_next(&at, &pair, &found));
		assert_true(found);
		assert_string_equal(pair.key, expected[i].key);
		assert_string_equal(pair.value, expected[i].value);
		assert_int_equal(pair.line, expected[i].line);
	}
	assert_ok(ftmpi_keyvalue_next(&at, &pair, &found));
	assert_false(found);
	assert_true(ftmpi_keyvalue_find(text, "c d", &pair));
	assert_false(ftmpi_keyvalue_find(text, "d", &pair));
	assert_false(ftmpi_keyvalue_find("", "d", &pair));
}

static void test_keyvalue_errors(void **state)
{
	static const char *const bad[] = {"\nno equals", "\n= value",
					  "\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = 1"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		ftmpi_keyvalue pair = {.line = 0};
		const char *at = bad[i];
		bool found;

		assert_fails(ftmpi_keyvalue_next(&at, &pair, &found), FTMPI_ERR_USAGE, "line 2 is");
	}
}

static void test_failpoint_errors(void **state)
{
	static const struct {
		const char *spec, *message;
	} cases[] = {
		{"nonsense", "'nonsense' is not point:action"},
		{"step.nowhere:kill", "no failpoint 'step.nowhere'"},
		{"step.end:explode", "no action 'explode'"},
		{"step.end:", "no action"},
		{"step.end:skip", "step.end cannot do 'skip'"},
		{"step.end:kill=3", "takes no value"},
		{"step.end:exit", "not a number from 0 to 255"},
		{"step.end:exit=256", "not a number from 0 to 255"},
		{"step.end:stall=0", "'0' is not a number"},
		{"step.end:stop=1", "takes no value"},
		{"save.open:error=EWHAT", "errno's name"},
		{"step.end:kill,hit=0", "'0' is not a number"},
		{"step.end:kill,when=now", "neither rank=R nor hit=N"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_fails(ftmpi_failpoints_arm(cases[i].spec, 0), FTMPI_ERR_USAGE, cases[i].message);
		assert_int_equal(ftmpi__failpoints_armed, 0);
	}
}

static void test_failpoint_hits(void **state)
{
	(void)state;
	assert_ok(ftmpi_failpoints_arm("save.open:error=ENOSPC,hit=2;restore.slot:skip,rank=1;save.write:short", 0));
	assert_int_equal(ftmpi_failpoint_hit(FTMPI_FP_SAVE_OPEN), FTMPI_FAULT_NONE);
	errno = 0;
	assert_int_equal(ftmpi_failpoint_hit(FTMPI_FP_SAVE_OPEN), FTMPI_FAULT_ERROR);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(ftmpi_failpoint_hit(FTMPI_FP_SAVE_OPEN), FTMPI_FAULT_NONE);
	assert_int_equal(ftmpi_failpoint_hit(FTMPI_FP_RESTORE_SLOT), FTMPI_FAULT_NONE);
	assert_int_equal(ftmpi_failpoint_hit(FTMPI_FP_SAVE_WRITE), FTMPI_FAULT_SHORT);
	assert_ok(ftmpi_failpoints_arm(NULL, 0));
	assert_int_equal(ftmpi__failpoints_armed, 0);
}

/* Run a failpoint in a child; its wait status. */
static int status_of_child(const char *spec)
{
	int status = 0;
	const pid_t child = fork();

	if (child == 0) {
		if (ftmpi_failpoints_arm(spec, 0) == FTMPI_OK)
			(void)ftmpi_failpoint_hit(FTMPI_FP_STEP_END);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void test_failpoint_deaths(void **state)
{
	int status;

	(void)state;
	status = status_of_child("step.end:kill");
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	status = status_of_child("step.end:exit=3");
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

/* Stopped until it is told to go on; asleep for a while, or for ever; then the passage is like any other. */
static void test_failpoint_pauses(void **state)
{
	int status = 0;
	pid_t child = fork();
	time_t begin;

	(void)state;
	if (child == 0) {
		if (ftmpi_failpoints_arm("step.end:stop;step.begin:stall", 0) != FTMPI_OK ||
		    ftmpi_failpoint_hit(FTMPI_FP_STEP_END) != FTMPI_FAULT_NONE)
			_exit(1);
		(void)alarm(1); /* the end of the second one */
		(void)ftmpi_failpoint_hit(FTMPI_FP_STEP_BEGIN);
		_exit(2);
	}
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	(void)kill(child, SIGCONT);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);

	begin = time(NULL);
	assert_ok(ftmpi_failpoints_arm("step.end:stall=2", 0));
	assert_int_equal(ftmpi_failpoint_hit(FTMPI_FP_STEP_END), FTMPI_FAULT_NONE);
	assert_true(time(NULL) > begin);
	assert_ok(ftmpi_failpoints_arm(NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_error_record),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_buffer),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_rng),
		cmocka_unit_test(test_slice),
		cmocka_unit_test(test_keyvalue),
		cmocka_unit_test(test_keyvalue_errors),
		cmocka_unit_test(test_failpoint_errors),
		cmocka_unit_test(test_failpoint_hits),
		cmocka_unit_test(test_failpoint_deaths),
		cmocka_unit_test(test_failpoint_pauses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
