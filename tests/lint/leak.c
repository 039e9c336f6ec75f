/* SPDX-License-Identifier: Apache-2.0 */
/* usage: leak [N_BYTES]: start and stop MPI, and lose a block of N_BYTES. The proof that what checks memory under mpirun is quiet about
 * Open MPI's own leaks and not about the project's. */
#include <ftmpi/comm.h>
#include <stdio.h>
#include <stdlib.h>

static void leak_on_purpose(size_t n_bytes)
{
	char *volatile block = malloc(n_bytes);

	if (block != NULL)
		block[0] = 1;
} /* NOLINT(clang-analyzer-unix.Malloc): it is meant */

int main(int argc, char **argv)
{
	ftmpi_comm *comm = NULL;
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi_init(&argc, &argv));
	FTMPI_TRY(ftmpi_comm_create(&comm));
	FTMPI_TRY(ftmpi_comm_barrier(comm));
	if (argc > 1)
		leak_on_purpose(strtoul(argv[1], NULL, 10));
done:
	if (status != FTMPI_OK)
		(void)fprintf(stderr, "%s\n", ftmpi_error_message());
	ftmpi_comm_destroy(&comm);
	ftmpi_finalize();
	return ftmpi_status_exit_code(status);
}
