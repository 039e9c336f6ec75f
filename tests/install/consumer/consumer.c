/* SPDX-License-Identifier: Apache-2.0 */
/* A small program on an installed ftmpi: the ranks find one another. */
#include <ftmpi/comm.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	ftmpi_comm *comm = NULL;
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi_init(&argc, &argv));
	FTMPI_TRY(ftmpi_comm_create(&comm));
	FTMPI_TRY(ftmpi_agree(comm, FTMPI_OK));
	if (ftmpi_comm_is_chief(comm))
		(void)printf("consumer: %d ranks\n", ftmpi_comm_size(comm));
done:
	if (status != FTMPI_OK)
		(void)fprintf(stderr, "%s\n", ftmpi_error_message());
	ftmpi_comm_destroy(&comm);
	ftmpi_finalize();
	return ftmpi_status_exit_code(status);
}
