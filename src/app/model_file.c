/* SPDX-License-Identifier: Apache-2.0 */
/* Models in Keras's words: read from --model FILE at the beginning of a run, kept in every checkpoint as the record ftmpi/model, and built from there by whoever
 * evaluates, predicts or exports. The chief alone opens files; the other ranks receive the text. */
#include "app/app.h"

#include "app/option_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Set an option that was not given. */
static ftmpi_status fill_in(struct app_options *o, const char *name, const char *value)
{
	return app_options_given(o, name) ? FTMPI_OK
					  : app__set_value(o, app__find_row(name, strlen(name)), value, "--model: ");
}

static ftmpi_status fill_in_real(struct app_options *o, const char *name, double value)
{
	char text[64];

	(void)snprintf(text, sizeof text, "%.17g", value);
	return fill_in(o, name, text);
}

static ftmpi_status fill_in_optimizer(struct app_options *o, const ftmpi_optimizer *from)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(fill_in(o, "optimizer", ftmpi_optimizer_name(from->kind)));
	if (strcmp(o->optimizer, ftmpi_optimizer_name(from->kind)) != 0)
		goto done; /* another optimizer was asked for: nothing of the file's is of use */
	FTMPI_TRY(fill_in_real(o, "learning-rate", from->learning_rate));
	FTMPI_TRY(fill_in_real(o, "momentum", from->momentum));
	FTMPI_TRY(fill_in(o, "nesterov", from->nesterov ? "true" : "false"));
	FTMPI_TRY(fill_in_real(o, "beta-1", from->beta_1));
	FTMPI_TRY(fill_in_real(o, "beta-2", from->beta_2));
	FTMPI_TRY(fill_in_real(o, "rho", from->rho));
	FTMPI_TRY(fill_in(o, "centered", from->centered ? "true" : "false"));
	FTMPI_TRY(fill_in_real(o, "epsilon", from->epsilon));
	FTMPI_TRY(fill_in_real(o, "weight-decay", from->weight_decay));
	FTMPI_TRY(fill_in_real(o, "initial-accumulator", from->initial_accumulator));
done:
	return status;
}

ftmpi_status app_options_adopt_model(struct app_options *o)
{
	ftmpi_status status = FTMPI_OK;
	static const char *const described[] = {"hidden-units", "activation", "dropout", "classes"};
	ftmpi_keras_model *keras = NULL;

	if (o->model[0] == '\0')
		goto done;
	for (size_t i = 0; i < sizeof described / sizeof described[0]; i++)
		if (app_options_given(o, described[i]))
			FTMPI_FAIL(FTMPI_ERR_USAGE, "--%s cannot be given with --model: the file says it",
				   described[i]);
	FTMPI_TRY(ftmpi_keras_open(o->model, &keras));
	if (ftmpi_keras_compile(keras) != NULL)
		FTMPI_TRY(fill_in_optimizer(o, &ftmpi_keras_compile(keras)->optimizer));
done:
	ftmpi_keras_close(&keras);
	return status;
}

/* The file's weights fit its model: found out before anything is made. */
static ftmpi_status check_weights(const ftmpi_keras_model *keras, const ftmpi_model *model)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_registry *registry = NULL;
	float *params = NULL;
	bool optimizer_loaded;

	if (!ftmpi_keras_has_weights(keras))
		goto done;
	FTMPI_TRY(FTMPI_ALLOC(ftmpi_model_layout(model)->n_elements, &params));
	FTMPI_TRY(ftmpi_registry_create(&registry));
	FTMPI_TRY(ftmpi_model_register(model, params, registry));
	FTMPI_TRY(ftmpi_keras_load_weights(keras, registry, &optimizer_loaded));
done:
	ftmpi_registry_destroy(&registry);
	ftmpi_free(params);
	return status;
}

/* On the chief: the file, and its model as a text. */
static ftmpi_status read_model(const char *file, ftmpi_keras_model **keras, ftmpi_buffer *text)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_model *model = NULL;

	FTMPI_TRY(ftmpi_keras_open(file, keras));
	FTMPI_TRY(ftmpi_keras_model_create(*keras, &model));
	FTMPI_TRY(check_weights(*keras, model));
	FTMPI_TRY(ftmpi_keras_format(model, ftmpi_keras_compile(*keras), text));
done:
	ftmpi_model_destroy(&model);
	return status;
}

ftmpi_status app_open_model_file(struct app_context *app)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer text = {0};

	if (app->options.model[0] == '\0')
		goto done;
	if (ftmpi_comm_is_chief(app->world))
		status = read_model(app->options.model, &app->keras_file, &text);
	FTMPI_TRY(ftmpi_agree(app->world, status));
	FTMPI_TRY(ftmpi_broadcast_buffer(app->world, &text, FTMPI_CHIEF));
	FTMPI_TRY(app_take_model(app, text.data, text.n_bytes, app->options.model));
done:
	ftmpi_buffer_clear(&text);
	return status;
}

ftmpi_status app_take_model(struct app_context *app, const char *text, size_t n_bytes, const char *what)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi_agree(app->world, ftmpi_keras_parse(text, n_bytes, what, &app->keras)));
done:
	return status;
}

/* What the options say of loss and metrics where no file does. */
void app_compile(const struct app_context *app, ftmpi_compile *out)
{
	ftmpi_compile_init(out);
	if (app->keras != NULL && ftmpi_keras_compile(app->keras) != NULL)
		*out = *ftmpi_keras_compile(app->keras);
}

/* The entries that a .keras file has. */
static bool is_of_model(const ftmpi_entry *entry)
{
	return strncmp(entry->path, "layers/", 7) == 0 || strncmp(entry->path, "optimizer/", 10) == 0;
}

ftmpi_status app_load_weights(struct app_context *app, const ftmpi_comm *comm, const ftmpi_registry *registry)
{
	ftmpi_status status = FTMPI_OK;
	bool optimizer_loaded = true;

	if (app->options.model[0] == '\0')
		goto done;
	if (ftmpi_comm_is_chief(comm) && ftmpi_keras_has_weights(app->keras_file))
		status = ftmpi_keras_load_weights(app->keras_file, registry, &optimizer_loaded);
	FTMPI_TRY(ftmpi_agree(comm, status));
	for (int i = 0; i < ftmpi_registry_n_entries(registry); i++) {
		const ftmpi_entry *entry = ftmpi_registry_entry(registry, i);

		if (!is_of_model(entry))
			continue;
		FTMPI_TRY(ftmpi_broadcast(comm, entry->data, (int64_t)ftmpi_entry_bytes(entry), FTMPI_CHIEF));
		FTMPI_TRY(ftmpi_comm_compare(comm, ftmpi_entry_digest(entry), entry->path));
	}
	if (ftmpi_comm_is_chief(comm))
		ftmpi_log(FTMPI_LOG_INFO, "starting from %s: %s", app->options.model,
			  !ftmpi_keras_has_weights(app->keras_file) ? "fresh weights"
			  : optimizer_loaded                        ? "its weights and optimizer state"
								    : "its weights, with a fresh optimizer");
done:
	return status;
}
