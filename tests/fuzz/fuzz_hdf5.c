/* SPDX-License-Identifier: Apache-2.0 */
/* An HDF5 file of training data. HDF5's own library parses it. */
#include "fuzz/fuzz_data.h"

#include <mpi.h>

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	FUZZ_NEED(MPI_Init(NULL, NULL) == MPI_SUCCESS);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	fuzz_write("x.h5", data, n_bytes);
	if (!ftmpi__hdf5_probe("x.h5"))
		return 0;
	fuzz_data_read(&ftmpi__hdf5_source, "x.h5", FTMPI_TRAIN, n_bytes);
	fuzz_data_read(&ftmpi__hdf5_source, "x.h5", FTMPI_TEST, n_bytes);
	return 0;
}
