/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a Keras model: Sequential, or Functional where each layer takes what the one before it gives. */
#include "keras/model.h"

#include <stdio.h>
#include <string.h>

static const char *layer_name(const json_t *layer)
{
	const char *name = json_string_value(json_object_get(json_object_get(layer, "config"), "name"));

	return name != NULL ? name : "?";
}

/* [NAME, 0, 0], or that in a list. */
static bool is_first_output(const json_t *value, const char *name)
{
	const char *of;

	if (json_array_size(value) == 1)
		value = json_array_get(value, 0);
	of = json_string_value(json_array_get(value, 0));
	return json_array_size(value) == 3 && of != NULL && strcmp(of, name) == 0 &&
	       json_is_integer(json_array_get(value, 1)) && json_integer_value(json_array_get(value, 1)) == 0 &&
	       json_is_integer(json_array_get(value, 2)) && json_integer_value(json_array_get(value, 2)) == 0;
}

/* Called with one tensor, the output of the layer before. */
static bool is_called_with(const json_t *nodes, const char *before)
{
	const json_t *args = json_object_get(json_array_get(nodes, 0), "args");
	const json_t *history = json_object_get(json_object_get(json_array_get(args, 0), "config"), "keras_history");

	return json_array_size(nodes) == 1 && json_array_size(args) == 1 && is_first_output(history, before);
}

/* Layer i of a Functional model is where a chain has it. Arguments beside the tensor are not used: Keras writes them as null, and Dropout's `training` as
 * false, which fit and evaluate overrule. */
static ftmpi_status check_chain(const ftmpi__json *layer, const json_t *layers, size_t i)
{
	static const ftmpi__json_rule rules[] = {{NULL, FTMPI__ANY}};
	ftmpi_status status = FTMPI_OK;
	const json_t *nodes = json_object_get(layer->object, "inbound_nodes");
	const json_t *kwargs = json_object_get(json_array_get(nodes, 0), "kwargs");
	const ftmpi__json arguments = ftmpi__json_inside(layer, kwargs, "the call of %s", layer->where);

	if (i == 0 ? json_array_size(nodes) != 0 : !is_called_with(nodes, layer_name(json_array_get(layers, i - 1))))
		FTMPI__JSON_FAIL(layer, "its inbound_nodes are not one call with the output of the layer before it: "
					"only a single chain of layers is supported");
	FTMPI_TRY(ftmpi__json_check(&arguments, rules));
done:
	return status;
}

static ftmpi_status take_layers(ftmpi_keras_model *model, const ftmpi__json *config, bool is_functional)
{
	ftmpi_status status = FTMPI_OK;
	const json_t *layers = json_object_get(config->object, "layers"), *value;
	const size_t n = json_array_size(layers);
	size_t i;

	if (n == 0)
		FTMPI__JSON_FAIL(config, "layers is not a list of layers");
	FTMPI_TRY(FTMPI_ALLOC((int64_t)n, &model->specs));
	json_array_foreach(layers, i, value)
	{
		const char *class_name = json_string_value(json_object_get(value, "class_name"));
		const ftmpi__json layer = ftmpi__json_inside(config, value, "layer '%.60s' (%.40s)", layer_name(value),
							     class_name != NULL ? class_name : "no class");

		FTMPI_TRY(ftmpi__keras_take_layer(model, &layer));
		if (is_functional)
			FTMPI_TRY(check_chain(&layer, layers, i));
	}
done:
	return status;
}

static ftmpi_status take_sequential(ftmpi_keras_model *model, const ftmpi__json *config)
{
	static const ftmpi__json_rule rules[] = {
		{"name", FTMPI__ANY},   {"trainable", FTMPI__TRUE},        {"dtype", FTMPI__FLOAT32},
		{"layers", FTMPI__ANY}, {"build_input_shape", FTMPI__ANY}, {NULL, FTMPI__ANY}};
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi__json_check(config, rules));
	FTMPI_TRY(take_layers(model, config, false));
done:
	return status;
}

static ftmpi_status take_functional(ftmpi_keras_model *model, const ftmpi__json *config)
{
	static const ftmpi__json_rule rules[] = {
		{"name", FTMPI__ANY},   {"trainable", FTMPI__TRUE},   {"dtype", FTMPI__FLOAT32},
		{"layers", FTMPI__ANY}, {"input_layers", FTMPI__ANY}, {"output_layers", FTMPI__ANY},
		{NULL, FTMPI__ANY}};
	ftmpi_status status = FTMPI_OK;
	const json_t *layers = json_object_get(config->object, "layers");
	const size_t n = json_array_size(layers);
	char text[FTMPI__JSON_TEXT];

	FTMPI_TRY(ftmpi__json_check(config, rules));
	FTMPI_TRY(take_layers(model, config, true));
	if (!is_first_output(json_object_get(config->object, "input_layers"), layer_name(json_array_get(layers, 0))))
		FTMPI__JSON_FAIL(config, "%s: it must be the first layer",
				 ftmpi__json_show(config, "input_layers", text));
	if (!is_first_output(json_object_get(config->object, "output_layers"),
			     layer_name(json_array_get(layers, n - 1))))
		FTMPI__JSON_FAIL(config, "%s: it must be the last layer",
				 ftmpi__json_show(config, "output_layers", text));
done:
	return status;
}

/* The layers go together: what ftmpi_model_create finds wrong is wrong in the file. */
static ftmpi_status check_model(const ftmpi_keras_model *model, const ftmpi__json *at)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_model *created = NULL;

	status = ftmpi_keras_model_create(model, &created);
	if (status == FTMPI_ERR_USAGE)
		FTMPI__JSON_FAIL(at, "%s", ftmpi_error_message());
	FTMPI_TRY(status);
done:
	ftmpi_model_destroy(&created);
	return status;
}

static ftmpi_status take_model(ftmpi_keras_model *model, const ftmpi__json *at)
{
	static const ftmpi__json_rule rules[] = {{"module", FTMPI__ANY},
						 {"class_name", FTMPI__ANY},
						 {"config", FTMPI__ANY},
						 {"registered_name", FTMPI__ANY},
						 {"build_config", FTMPI__ANY},
						 {"compile_config", FTMPI__OBJECT},
						 {NULL, FTMPI__ANY}};
	ftmpi_status status = FTMPI_OK;
	const json_t *config, *compile = json_object_get(at->object, "compile_config");
	const char *name = ftmpi__json_name(at->object, &config);
	ftmpi__json inside = ftmpi__json_inside(at, config, "%s", "");

	if (json_object_get(at->object, "keras_version") != NULL)
		FTMPI__JSON_FAIL(at, "the model was saved by Keras 2; save it with Keras 3");
	if (name != NULL && config != NULL && strcmp(name, "Sequential") == 0)
		FTMPI_TRY(take_sequential(model, &inside));
	else if (name != NULL && config != NULL && strcmp(name, "Functional") == 0)
		FTMPI_TRY(take_functional(model, &inside));
	else
		FTMPI__JSON_FAIL(
			at,
			"class_name is not Keras's Sequential or Functional but '%.60s': only these models are "
			"supported",
			name != NULL ? name : "nothing");
	FTMPI_TRY(ftmpi__json_check(at, rules));
	FTMPI_TRY(check_model(model, at));
	inside = ftmpi__json_inside(at, compile, "compile_config");
	if (json_object_size(compile) > 0)
		FTMPI_TRY(ftmpi__keras_take_compile(model, &inside));
done:
	return status;
}

ftmpi_status ftmpi__keras_parse(const char *json, size_t n_bytes, const char *what, ftmpi_keras_model **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_keras_model *model = NULL;
	json_error_t error;
	json_t *root = NULL;
	ftmpi__json at = {.what = what};

	FTMPI_TRY(FTMPI_ALLOC(1, &model));
	(void)snprintf(model->what, sizeof model->what, "%s", what);
	root = json_loadb(json, n_bytes, JSON_REJECT_DUPLICATES, &error);
	at.object = root;
	if (root == NULL && json_error_code(&error) == json_error_out_of_memory)
		FTMPI_FAIL(FTMPI_ERR_MEMORY, "out of memory for the JSON of '%s'", what);
	if (root == NULL)
		FTMPI__JSON_FAIL(&at, "not the JSON of a model: line %d: %s", error.line, error.text);
	FTMPI_TRY(take_model(model, &at));
	*out = model;
	model = NULL;
done:
	json_decref(root);
	ftmpi_keras_close(&model);
	return status;
}

ftmpi_status ftmpi_keras_parse(const char *json, size_t n_bytes, const char *what, ftmpi_keras_model **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_keras_model *model = NULL;

	FTMPI_TRY(ftmpi__keras_parse(json, n_bytes, what, &model));
	if (model->initializer[0] != '\0')
		FTMPI_FAIL(
			FTMPI_ERR_DATA,
			"'%s': %s, and there are no weights: only GlorotUniform and Zeros are supported then; save the "
			"whole model as .keras, with its weights",
			what, model->initializer);
	*out = model;
	model = NULL;
done:
	ftmpi_keras_close(&model);
	return status;
}

void ftmpi_keras_close(ftmpi_keras_model **keras)
{
	if (*keras == NULL)
		return;
	ftmpi__image_clear(&(*keras)->weights);
	ftmpi_free((*keras)->specs);
	ftmpi_free(*keras);
	*keras = NULL;
}

ftmpi_status ftmpi_keras_model_create(const ftmpi_keras_model *keras, ftmpi_model **out)
{
	return ftmpi_model_create(keras->dims, keras->n_dims, keras->specs, keras->n_layers, out);
}

const ftmpi_compile *ftmpi_keras_compile(const ftmpi_keras_model *keras)
{
	return keras->is_compiled ? &keras->compile : NULL;
}

bool ftmpi_keras_has_weights(const ftmpi_keras_model *keras)
{
	return keras->weights.n_bytes > 0;
}
