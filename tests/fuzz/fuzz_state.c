/* SPDX-License-Identifier: Apache-2.0 */
/* The state file. Its last line is the digest of the others, which every other time is made right again. What passes must come out as the same
 * text. */
#include "fuzz/fuzz.h"

#include "ckpt/store_inside.h"

#define DIGEST_LINE "# ftmpi xxh3-128="

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n_bytes, size_t max_bytes, unsigned seed)
{
	const size_t line_bytes = strlen(DIGEST_LINE) + FTMPI_DIGEST_TEXT;
	char text[FTMPI_DIGEST_TEXT], line[sizeof DIGEST_LINE + FTMPI_DIGEST_TEXT];

	if (seed % 2 != 0 || n_bytes < line_bytes || max_bytes < line_bytes)
		return LLVMFuzzerMutate(data, n_bytes, max_bytes);
	n_bytes = LLVMFuzzerMutate(data, n_bytes - line_bytes, max_bytes - line_bytes);
	ftmpi_digest_format(ftmpi_hash(data, n_bytes), text);
	(void)snprintf(line, sizeof line, DIGEST_LINE "%s", text);
	memcpy(data + n_bytes, line, line_bytes);
	data[n_bytes + line_bytes - 1] = '\n';
	return n_bytes + line_bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	char *text = malloc(n_bytes + 1);
	ftmpi__state state = {0};
	ftmpi_buffer again = {0};
	ftmpi_status status;

	FUZZ_NEED(text != NULL);
	memcpy(text, data, n_bytes);
	text[n_bytes] = '\0';
	status = ftmpi__state_parse(text, n_bytes, "ckpt", &state);
	if (status == FTMPI_OK) {
		FUZZ_NEED(ftmpi__state_format(&state, "ckpt", &again) == FTMPI_OK);
		FUZZ_NEED(again.n_bytes == n_bytes && memcmp(again.data, text, n_bytes) == 0);
	} else {
		FUZZ_NEED(status == FTMPI_ERR_DATA && state.items.n_bytes == 0);
		FUZZ_NEED_MESSAGE(ftmpi_error_message());
	}
	ftmpi_buffer_clear(&again);
	ftmpi__state_clear(&state);
	free(text);
	return 0;
}
