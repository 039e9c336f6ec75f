/* SPDX-License-Identifier: Apache-2.0 */
/* Files of Keras. An input is: one byte; then, if its bit 0 is not set, a file as such, archive or JSON. Else two bytes, the length of the
 * config.json; that text; the weights: the archive is made here, so that its checksums are right and the fuzzer sees what is behind them. */
#include "fuzz/fuzz.h"

#include "keras/archive.h"
#include "keras/model.h"
#include "keras_state.h"

enum { MAX_ELEMENTS = 1 << 18 };

static void refused(ftmpi_status status)
{
	FUZZ_NEED(status == FTMPI_ERR_DATA);
	FUZZ_NEED_MESSAGE(ftmpi_error_message());
}

static void write_archive(const uint8_t *data, size_t n_bytes)
{
	const size_t said = n_bytes >= 2 ? (size_t)data[0] | (size_t)data[1] << 8 : 0;
	const size_t rest = n_bytes >= 2 ? n_bytes - 2 : 0, n_config = said < rest ? said : rest;
	const uint8_t *config = data + (n_bytes >= 2 ? 2 : 0);
	const ftmpi__member members[] = {
		{FTMPI__KERAS_METADATA, "{}", 2},
		{FTMPI__KERAS_CONFIG, config, n_config},
		{FTMPI__KERAS_WEIGHTS, config + n_config, rest - n_config},
	};
	ftmpi__image image = {0};

	FUZZ_NEED(ftmpi__archive_build(members, 3, &image) == FTMPI_OK);
	fuzz_write("x", image.data, image.n_bytes);
	ftmpi__image_clear(&image);
}

/* What is written for a model is read as the same model. */
static void write_again(const keras_state *s)
{
	ftmpi_buffer text = {0}, again = {0};
	ftmpi_keras_model *keras = NULL;
	ftmpi_model *model = NULL;

	FUZZ_NEED(ftmpi_keras_format(s->model, ftmpi_keras_compile(s->keras), &text) == FTMPI_OK);
	FUZZ_NEED(ftmpi_keras_parse(text.data, text.n_bytes, "again", &keras) == FTMPI_OK);
	FUZZ_NEED(ftmpi_keras_model_create(keras, &model) == FTMPI_OK);
	FUZZ_NEED(ftmpi_keras_format(model, ftmpi_keras_compile(keras), &again) == FTMPI_OK);
	FUZZ_NEED(text.n_bytes == again.n_bytes && memcmp(text.data, again.data, text.n_bytes) == 0);
	ftmpi_model_destroy(&model);
	ftmpi_keras_close(&keras);
	ftmpi_buffer_clear(&text);
	ftmpi_buffer_clear(&again);
}

/* The arrays are the program's, which takes memory for them after it has seen how many there are. */
static void load(keras_state *s)
{
	bool optimizer_loaded = false;
	ftmpi_status status = keras_state_create(s);

	FUZZ_NEED(status == FTMPI_OK);
	write_again(s);
	if (!ftmpi_keras_has_weights(s->keras))
		return;
	status = ftmpi_keras_load_weights(s->keras, s->registry, &optimizer_loaded);
	if (status != FTMPI_OK)
		refused(status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	keras_state s = {0};
	ftmpi_model *model = NULL;
	ftmpi_status status;

	if (n_bytes == 0)
		return 0;
	if ((data[0] & 1) == 0)
		fuzz_write("x", data + 1, n_bytes - 1);
	else
		write_archive(data + 1, n_bytes - 1);
	status = ftmpi_keras_open("x", &s.keras);
	if (status == FTMPI_OK)
		status = ftmpi_keras_model_create(s.keras, &model);
	if (status != FTMPI_OK)
		refused(status);
	else if (ftmpi_model_layout(model)->n_elements <= MAX_ELEMENTS)
		load(&s);
	ftmpi_model_destroy(&model);
	keras_state_clear(&s);
	return 0;
}
