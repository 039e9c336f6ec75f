/* SPDX-License-Identifier: Apache-2.0 */
/* `ftmpi export`: a checkpoint as a model that keras.saving.load_model opens, compiled, with weights and optimizer state. Without MPI. */
#include "app/app.h"

#include <stdio.h>
#include <string.h>

void app_export_help(void)
{
	(void)printf("usage: ftmpi export DIR|FILE.weights.h5 OUT.keras\n\n"
		     "  A checkpoint (of a folder: the newest good one) as a model of Keras 3, with its weights and "
		     "the state of\n"
		     "  its optimizer: keras.saving.load_model(\"OUT.keras\") opens it, compiled. An OUT.keras that is "
		     "there is replaced.\n");
}

/* The arrays of a checkpoint below layers/ and optimizer/, as a registry with memory of its own. */
struct arrays {
	ftmpi_registry *registry;
	void **data; /* [n_data] */
	int n_data;
};

static ftmpi_status add_groups(const ftmpi_model *model, const ftmpi_compile *compile, ftmpi_registry *registry)
{
	ftmpi_status status = FTMPI_OK;
	char path[128];

	FTMPI_TRY(ftmpi_registry_add_group(registry, "vars", "sequential"));
	for (int i = 0; i < ftmpi_model_n_layers(model); i++) {
		(void)snprintf(path, sizeof path, "layers/%s/vars", ftmpi_model_layer_name(model, i));
		FTMPI_TRY(ftmpi_registry_add_group(registry, path, ftmpi_model_layer_name(model, i)));
	}
	FTMPI_TRY(ftmpi_registry_add_group(registry, "optimizer/vars", ftmpi_optimizer_name(compile->optimizer.kind)));
done:
	return status;
}

static ftmpi_status read_arrays(const ftmpi_reader *reader, struct arrays *out)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(FTMPI_ALLOC(ftmpi_reader_n_variables(reader), &out->data));
	for (int i = 0; i < ftmpi_reader_n_variables(reader); i++) {
		const ftmpi_variable *v = ftmpi_reader_variable(reader, i);

		if (strncmp(v->path, "layers/", 7) != 0 && strncmp(v->path, "optimizer/", 10) != 0)
			continue;
		FTMPI_TRY(ftmpi_alloc((int64_t)v->n_bytes, 1, &out->data[out->n_data]));
		FTMPI_TRY(ftmpi_registry_add(out->registry, v->path, v->dtype, v->n_dims, v->dims,
					     out->data[out->n_data], FTMPI_STATE));
		out->n_data++;
	}
	FTMPI_TRY(ftmpi_reader_load(reader, out->registry));
done:
	return status;
}

static ftmpi_status export(const char *from, const char *to)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_reader *reader = NULL;
	ftmpi_buffer text = {0};
	ftmpi_keras_model *keras = NULL;
	ftmpi_model *model = NULL;
	struct arrays arrays = {.n_data = 0};

	FTMPI_TRY(ftmpi_load_checkpoint(from, &reader));
	if (ftmpi_reader_find(reader, "ftmpi/model") == NULL)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s does not describe its model (it has no ftmpi/model)",
			   ftmpi_reader_file(reader));
	FTMPI_TRY(ftmpi_reader_read_buffer(reader, "ftmpi/model", &text));
	FTMPI_TRY(ftmpi_keras_parse(text.data, text.n_bytes, ftmpi_reader_file(reader), &keras));
	FTMPI_TRY(ftmpi_keras_model_create(keras, &model));
	FTMPI_TRY(ftmpi_registry_create(&arrays.registry));
	FTMPI_TRY(add_groups(model, ftmpi_keras_compile(keras), arrays.registry));
	FTMPI_TRY(read_arrays(reader, &arrays));
	FTMPI_TRY(ftmpi_keras_export(to, model, ftmpi_keras_compile(keras), arrays.registry));
	(void)printf("wrote %s from %s\n", to, ftmpi_reader_file(reader));
done:
	ftmpi_registry_destroy(&arrays.registry);
	for (int i = 0; arrays.data != NULL && i <= arrays.n_data && i < ftmpi_reader_n_variables(reader); i++)
		ftmpi_free(arrays.data[i]);
	ftmpi_free(arrays.data);
	ftmpi_model_destroy(&model);
	ftmpi_keras_close(&keras);
	ftmpi_buffer_clear(&text);
	ftmpi_reader_close(&reader);
	return status;
}

ftmpi_status app_export(int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < argc; i++)
		if (argv[i][0] == '-' && argv[i][1] != '\0')
			FTMPI_FAIL(FTMPI_ERR_USAGE, "unknown option %s (ftmpi export --help)", argv[i]);
	if (argc != 2)
		FTMPI_FAIL(FTMPI_ERR_USAGE,
			   "export takes a checkpoint's folder or file and OUT.keras (ftmpi export --help)");
	FTMPI_TRY(export(argv[0], argv[1]));
done:
	return status;
}
