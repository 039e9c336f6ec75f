/* SPDX-License-Identifier: Apache-2.0 */
/* keras_tool: what the library makes of Keras's files, for scripts that ask Keras the same. */
#include "keras_state.h"

#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: keras_tool config FILE               print the model's config.json as ftmpi writes it\n"
	"       keras_tool weights FILE OUT.h5       read weights and optimizer state, write them to an HDF5 file\n"
	"       keras_tool export FILE OUT.keras     the same, to a file for Keras\n"
	"       keras_tool predict FILE IN OUT       float32 rows of samples in IN, rows of outputs to OUT\n";

/* Open the file, and read its weights where it has some. */
static ftmpi_status load(keras_state *s, const char *file)
{
	ftmpi_status status = FTMPI_OK;
	bool optimizer_loaded = false;

	FTMPI_TRY(keras_state_open(s, file));
	if (!ftmpi_keras_has_weights(s->keras))
		goto done;
	FTMPI_TRY(ftmpi_keras_load_weights(s->keras, s->registry, &optimizer_loaded));
	(void)printf("optimizer %s\n", optimizer_loaded ? "loaded" : "not loaded");
done:
	return status;
}

static ftmpi_status print_config(const keras_state *s)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer json = {0};

	FTMPI_TRY(ftmpi_keras_format(s->model, ftmpi_keras_compile(s->keras), &json));
	(void)fputs(json.data, stdout);
done:
	ftmpi_buffer_clear(&json);
	return status;
}

static ftmpi_status read_rows(const char *file, ftmpi_buffer *rows)
{
	ftmpi_status status = FTMPI_OK;
	FILE *f = fopen(file, "rb");
	char block[4096];
	size_t n;

	if (f == NULL)
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "cannot open '%s'", file);
	while ((n = fread(block, 1, sizeof block, f)) > 0)
		FTMPI_TRY(ftmpi_buffer_append(rows, block, n));
done:
	if (f != NULL)
		(void)fclose(f);
	return status;
}

static ftmpi_status predict(const keras_state *s, const char *in, const char *out)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_pass pass = {.training = false};
	const int64_t n_inputs = ftmpi_model_n_inputs(s->model);
	ftmpi_workspace *workspace = NULL;
	ftmpi_buffer rows = {0};
	const float *outputs;
	float *x = NULL;
	FILE *f = NULL;
	int64_t n_rows;
	size_t n;

	FTMPI_TRY(read_rows(in, &rows));
	n_rows = (int64_t)(rows.n_bytes / sizeof(float)) / n_inputs;
	FTMPI_TRY(FTMPI_ALLOC(n_rows * n_inputs, &x));
	if (n_rows > 0)
		memcpy(x, rows.data, (size_t)(n_rows * n_inputs) * sizeof *x);
	FTMPI_TRY(ftmpi_workspace_create(s->model, n_rows, &workspace));
	outputs = ftmpi_model_forward(s->model, s->params, x, n_rows, &pass, workspace);
	f = fopen(out, "wb");
	n = (size_t)(n_rows * ftmpi_model_n_outputs(s->model));
	if (f == NULL || fwrite(outputs, sizeof *outputs, n, f) != n || fclose(f) != 0)
		FTMPI_FAIL(FTMPI_ERR_IO, "cannot write '%s'", out);
done:
	ftmpi_workspace_destroy(&workspace);
	ftmpi_buffer_clear(&rows);
	ftmpi_free(x);
	return status;
}

static ftmpi_status run(const char *command, char **args, int n_args)
{
	ftmpi_status status = FTMPI_OK;
	keras_state s = {0};

	if (strcmp(command, "config") == 0 && n_args == 1) {
		FTMPI_TRY(keras_state_open(&s, args[0]));
		FTMPI_TRY(print_config(&s));
	} else if (strcmp(command, "weights") == 0 && n_args == 2) {
		FTMPI_TRY(load(&s, args[0]));
		FTMPI_TRY(ftmpi_registry_write(s.registry, args[1]));
	} else if (strcmp(command, "export") == 0 && n_args == 2) {
		FTMPI_TRY(load(&s, args[0]));
		FTMPI_TRY(ftmpi_keras_export(args[1], s.model, &s.compile, s.registry));
	} else if (strcmp(command, "predict") == 0 && n_args == 3) {
		FTMPI_TRY(load(&s, args[0]));
		FTMPI_TRY(predict(&s, args[1], args[2]));
	} else {
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%s", usage);
	}
done:
	keras_state_clear(&s);
	return status;
}

int main(int argc, char **argv)
{
	const ftmpi_status status = argc < 3 ? FTMPI_ERR_USAGE : run(argv[1], argv + 2, argc - 2);

	if (status != FTMPI_OK)
		(void)fprintf(stderr, "keras_tool: %s\n", argc < 3 ? usage : ftmpi_error_message());
	return ftmpi_status_exit_code(status);
}
