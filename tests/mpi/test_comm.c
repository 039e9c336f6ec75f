/* SPDX-License-Identifier: Apache-2.0 */
/* Agreement, comparison, broadcast, gather, shared memory, sleeping ranks. */
#include "mpi/mpi_test.h"

#include <math.h>

static int me(void)
{
	return ftmpi_comm_rank(world);
}

static int size(void)
{
	return ftmpi_comm_size(world);
}

static void test_agree(void **state)
{
	(void)state;
	assert_ok(ftmpi_agree(world, FTMPI_OK));
	for (int bad = 0; bad < size(); bad++) {
		char expected[64];
		ftmpi_status local = FTMPI_OK;

		(void)snprintf(expected, sizeof expected, "rank %d is unwell", bad);
		if (me() == bad)
			local = ftmpi_error_set(FTMPI_ERR_DATA, __FILE__, __LINE__, "rank %d is unwell", bad);
		assert_fails(ftmpi_agree(world, local), FTMPI_ERR_DATA, expected);
	}
}

/* The worst status wins over a lower rank. */
static void test_agree_worst(void **state)
{
	const int last = size() - 1;
	ftmpi_status local;

	(void)state;
	local = ftmpi_error_set(me() == last ? FTMPI_ERR_IO : FTMPI_ERR_USAGE, __FILE__, __LINE__, "from %d", me());
	if (last == 0)
		assert_fails(ftmpi_agree(world, local), FTMPI_ERR_IO, "from 0");
	else {
		char expected[32];

		(void)snprintf(expected, sizeof expected, "from %d", last);
		assert_fails(ftmpi_agree(world, local), FTMPI_ERR_IO, expected);
	}
}

static void test_compare(void **state)
{
	ftmpi_digest digest = {.low = 1, .high = 2};

	(void)state;
	assert_ok(ftmpi_comm_compare(world, digest, "numbers"));
	if (size() == 1)
		return;
	digest.high += me() == size() - 1;
	{
		char expected[64];

		(void)snprintf(expected, sizeof expected, "numbers: rank %d has other bits", size() - 1);
		assert_fails(ftmpi_comm_compare(world, digest, "numbers"), FTMPI_ERR_DATA, expected);
	}
}

/* The odd one is whoever differs from the majority, the chief too; of two nobody can tell. */
static void test_compare_copies(void **state)
{
	(void)state;
	assert_ok(ftmpi_comm_compare_copies(world, (ftmpi_digest){.low = 5}, "numbers"));
	for (int odd = 0; odd < size() && size() > 1; odd++) {
		const ftmpi_digest digest = {.low = 1, .high = 2 + (uint64_t)(me() == odd)};
		char expected[64];

		(void)snprintf(expected, sizeof expected, "numbers: rank %d has other bits than the majority", odd);
		assert_fails(ftmpi_comm_compare_copies(world, digest, "numbers"), FTMPI_ERR_REPLICA,
			     size() == 2 ? "numbers: ranks 0 to 1 do not agree" : expected);
	}
	if (size() == 4)
		assert_fails(ftmpi_comm_compare_copies(world, (ftmpi_digest){.low = (uint64_t)me() / 2}, "numbers"),
			     FTMPI_ERR_REPLICA, "none of their copies has a majority");
}

static void test_broadcast_buffer(void **state)
{
	const int root = size() - 1;
	ftmpi_buffer buffer = {0};

	(void)state;
	assert_ok(
		ftmpi_buffer_printf(&buffer, me() == root ? "from the root" : "something longer than the root's text"));
	assert_ok(ftmpi_broadcast_buffer(world, &buffer, root));
	assert_int_equal(buffer.n_bytes, 13);
	assert_string_equal(buffer.data, "from the root");
	ftmpi_buffer_clear(&buffer);
	assert_ok(ftmpi_broadcast_buffer(world, &buffer, root));
	assert_int_equal(buffer.n_bytes, 0);
	ftmpi_buffer_clear(&buffer);
}

/* Rank r sends r + 1 rows of 3. */
static void test_gather_rows(void **state)
{
	float mine[5 * 3], all[15 * 3] = {0};
	int64_t n_rows[5];
	int at = 0;

	(void)state;
	for (int r = 0; r < size(); r++)
		n_rows[r] = r + 1;
	for (int i = 0; i < (me() + 1) * 3; i++)
		mine[i] = (float)(100 * me() + i);
	assert_ok(ftmpi_comm_gather_rows(world, mine, n_rows, 3 * (int64_t)sizeof *mine, all));
	for (int r = 0; r < size() && me() == FTMPI_CHIEF; r++)
		for (int i = 0; i < (r + 1) * 3; i++)
			assert_true(all[at++] == (float)(100 * r + i));
}

static void test_shared(void **state)
{
	const int64_t n_bytes = 100000;
	ftmpi_shared *shared = NULL;
	unsigned char *data;

	(void)state;
	assert_ok(ftmpi_shared_create(world, n_bytes, &shared));
	data = ftmpi_shared_data(shared);
	assert_int_equal((uintptr_t)data % FTMPI_ALIGNMENT, 0);
	for (int64_t i = ftmpi_comm_node_rank(world); i < n_bytes; i += ftmpi_comm_node_size(world))
		data[i] = (unsigned char)(i % 251);
	assert_ok(ftmpi_shared_sync(shared));
	for (int64_t i = 0; i < n_bytes; i++)
		assert_int_equal(data[i], i % 251);
	assert_ok(ftmpi_shared_sync(shared));
	ftmpi_shared_destroy(&shared);
	assert_null(shared);
}

/* The surplus sleeps while the first ranks work in a communicator of their own. */
static void test_sleep_and_wake(void **state)
{
	const int n_first = size() / 2 + size() % 2;
	ftmpi_comm *first = NULL;

	(void)state;
	assert_ok(ftmpi_comm_create_first(world, n_first, &first));
	assert_int_equal(first != NULL, me() < n_first);
	if (first == NULL) {
		assert_int_equal(ftmpi_comm_sleep(world), FTMPI_STOPPED);
		return;
	}
	assert_int_equal(ftmpi_comm_size(first), n_first);
	assert_int_equal(ftmpi_comm_rank(first), me());
	assert_ok(ftmpi_comm_barrier(first));
	if (ftmpi_comm_is_chief(first))
		assert_ok(ftmpi_comm_wake(world, n_first, FTMPI_STOPPED));
	ftmpi_comm_destroy(&first);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_agree),
	cmocka_unit_test(test_agree_worst),
	cmocka_unit_test(test_compare),
	cmocka_unit_test(test_compare_copies),
	cmocka_unit_test(test_broadcast_buffer),
	cmocka_unit_test(test_gather_rows),
	cmocka_unit_test(test_shared),
	cmocka_unit_test(test_sleep_and_wake),
};
FTMPI_TEST_MAIN(tests)
