/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of checkpoints. Most changes break a checksum, and the fuzzer would see little of what is behind: so every other time the checksums are
 * made right again. What passes is read to the last variable. */
#include "fuzz/fuzz.h"

#include "ckpt/reader_inside.h"
#include "damage.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n_bytes, size_t max_bytes, unsigned seed)
{
	n_bytes = LLVMFuzzerMutate(data, n_bytes, max_bytes);
	if (seed % 2 == 0)
		seal_all(data, n_bytes);
	return n_bytes;
}

/* Every variable is within the file and as long as it says. */
static void read_all(const ftmpi_reader *reader, size_t n_bytes)
{
	ftmpi_buffer buffer = {0}, report = {0};
	size_t total = 0;
	int64_t n_different = -1;

	for (int i = 0; i < ftmpi_reader_n_variables(reader); i++) {
		const ftmpi_variable *variable = ftmpi_reader_variable(reader, i);

		FUZZ_NEED(ftmpi_reader_find(reader, variable->path) == variable);
		FUZZ_NEED(ftmpi_reader_read_buffer(reader, variable->path, &buffer) == FTMPI_OK);
		FUZZ_NEED(buffer.n_bytes == variable->n_bytes);
		total += variable->n_bytes;
	}
	FUZZ_NEED(total <= n_bytes);
	FUZZ_NEED(ftmpi_reader_diff(reader, reader, &report, &n_different) == FTMPI_OK && n_different == 0);
	ftmpi_buffer_clear(&buffer);
	ftmpi_buffer_clear(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	ftmpi_reader *reader = NULL;
	const ftmpi_status status = ftmpi__reader_open_bytes(data, n_bytes, "x", false, &reader);

	if (status == FTMPI_OK) {
		read_all(reader, n_bytes);
		ftmpi_reader_close(&reader);
		return 0;
	}
	FUZZ_NEED(status == FTMPI_ERR_DATA && reader == NULL);
	FUZZ_NEED_MESSAGE(ftmpi_error_message());
	return 0;
}
