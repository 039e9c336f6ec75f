/* SPDX-License-Identifier: Apache-2.0 */
/* `key = value` text: as such, as a configuration file of the program, and as what a checkpoint says of the options of its run. */
#include "fuzz/fuzz.h"

#include "app/options.h"

/* Every pair is in the text, and the first of its key is found. */
static void read_pairs(const char *text)
{
	const char *at = text;
	ftmpi_keyvalue pair = {.line = 0}, first;
	bool found = true;
	ftmpi_status status;

	while ((status = ftmpi_keyvalue_next(&at, &pair, &found)) == FTMPI_OK && found) {
		FUZZ_NEED(strstr(text, pair.key) != NULL && strstr(text, pair.value) != NULL);
		FUZZ_NEED(ftmpi_keyvalue_find(text, pair.key, &first));
		FUZZ_NEED(first.line <= pair.line);
	}
	if (status != FTMPI_OK) {
		FUZZ_NEED(status == FTMPI_ERR_USAGE);
		FUZZ_NEED_MESSAGE(ftmpi_error_message());
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	char *text = malloc(n_bytes + 1), config[] = "--config", file[] = "x";
	char *arguments[] = {config, file};
	static struct app_options options, saved;
	ftmpi_buffer again = {0};

	FUZZ_NEED(text != NULL);
	memcpy(text, data, n_bytes);
	text[n_bytes] = '\0';
	read_pairs(text);
	fuzz_write(file, data, n_bytes);
	if (app_options_parse(&options, APP_TRAIN, 2, arguments) == FTMPI_OK)
		FUZZ_NEED(app_options_format(&options, &again) == FTMPI_OK &&
			  app_options_compare(&options, again.data) == FTMPI_OK);
	else
		FUZZ_NEED_MESSAGE(ftmpi_error_message());
	FUZZ_NEED(app_options_parse(&saved, APP_TRAIN, 0, NULL) == FTMPI_OK);
	(void)app_options_compare(&saved, text);
	(void)app_options_adopt(&saved, text);
	ftmpi_buffer_clear(&again);
	free(text);
	return 0;
}
