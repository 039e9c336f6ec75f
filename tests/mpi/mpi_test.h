/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests under mpirun share: one communicator for the whole program, and a main that fails on every rank if any rank's tests fail. */
#ifndef FTMPI_TESTS_MPI_TEST_H
#define FTMPI_TESTS_MPI_TEST_H

#include "unit/unit_test.h"

#include <ftmpi/comm.h>
#include <ftmpi/log.h>
#include <stdio.h>
#include <stdlib.h>

/** The communicator of all ranks; set by FTMPI_TEST_MAIN before the tests run. */
static ftmpi_comm *world;

/** Run a group of tests on every rank. A rank that fails alone may leave others waiting; the test's time-out ends them. */
#define FTMPI_TEST_MAIN(tests)                                                                                         \
	int main(int argc, char **argv)                                                                                \
	{                                                                                                              \
		int n_failed;                                                                                          \
		if (ftmpi_init(&argc, &argv) != FTMPI_OK || ftmpi_comm_create(&world) != FTMPI_OK)                     \
			return EXIT_FAILURE;                                                                           \
		ftmpi_log_configure(ftmpi_comm_rank(world), FTMPI_LOG_INFO);                                           \
		n_failed = cmocka_run_group_tests(tests, NULL, NULL);                                                  \
		if (n_failed > 0)                                                                                      \
			_Exit(EXIT_FAILURE);                                                                           \
		ftmpi_comm_destroy(&world);                                                                            \
		ftmpi_finalize();                                                                                      \
		return EXIT_SUCCESS;                                                                                   \
	}

#endif
