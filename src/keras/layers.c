/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of a Keras model. A class has a list of the keys that are read or change nothing; any other key is an error unless its
 * value says that it is not used. An activation layer right after a Dense layer becomes that layer's activation: the same numbers. */
#include "keras/model.h"

#include <stdio.h>
#include <string.h>

/* Keys of every layer's configuration. */
#define EVERY_LAYER                                                                                                    \
	{"name", FTMPI__ANY}, {"trainable", FTMPI__TRUE},                                                              \
	{                                                                                                              \
		"dtype", FTMPI__FLOAT32                                                                                \
	}

static ftmpi_status take_input(ftmpi_keras_model *model, const ftmpi__json *config)
{
	static const ftmpi__json_rule rules[] = {
		{"name", FTMPI__ANY}, {"dtype", FTMPI__FLOAT32}, {"batch_shape", FTMPI__ANY}, {NULL, FTMPI__ANY}};
	ftmpi_status status = FTMPI_OK;
	const json_t *shape = json_object_get(config->object, "batch_shape"), *dim;
	const size_t n = json_array_size(shape);
	char text[FTMPI__JSON_TEXT];
	size_t i;

	if (model->n_dims > 0 || model->n_layers > 0)
		FTMPI__JSON_FAIL(config, "only one input, as the first layer, is supported");
	FTMPI_TRY(ftmpi__json_check(config, rules));
	if (n < 2 || n > FTMPI_MODEL_MAX_DIMS + 1 || !json_is_null(json_array_get(shape, 0)))
		FTMPI__JSON_FAIL(config, "%s: it must be null (the batch) and 1 to %d dimensions",
				 ftmpi__json_show(config, "batch_shape", text), FTMPI_MODEL_MAX_DIMS);
	json_array_foreach(shape, i, dim)
	{
		if (i > 0 && (!json_is_integer(dim) || json_integer_value(dim) < 1))
			FTMPI__JSON_FAIL(config, "%s: the dimensions of a sample must be fixed",
					 ftmpi__json_show(config, "batch_shape", text));
		if (i > 0)
			model->dims[i - 1] = json_integer_value(dim);
	}
	model->n_dims = (int)n - 1;
done:
	return status;
}

/* The model's next layer. There is room: take_layers counted them. */
static ftmpi_layer_spec *append(ftmpi_keras_model *model, ftmpi_layer_kind kind)
{
	ftmpi_layer_spec *spec = &model->specs[model->n_layers++];

	spec->kind = kind;
	return spec;
}

static ftmpi_status take_flatten(ftmpi_keras_model *model, const ftmpi__json *config)
{
	static const ftmpi__json_rule rules[] = {EVERY_LAYER, {"data_format", FTMPI__ANY}, {NULL, FTMPI__ANY}};
	ftmpi_status status = FTMPI_OK;
	const char *format = ftmpi__json_text(config, "data_format");
	char text[FTMPI__JSON_TEXT];

	FTMPI_TRY(ftmpi__json_check(config, rules));
	if (format != NULL && strcmp(format, "channels_last") != 0)
		FTMPI__JSON_FAIL(config, "%s: only channels_last is supported",
				 ftmpi__json_show(config, "data_format", text));
	(void)append(model, FTMPI_FLATTEN);
done:
	return status;
}

static ftmpi_status take_dropout(ftmpi_keras_model *model, const ftmpi__json *config)
{
	static const ftmpi__json_rule rules[] = {EVERY_LAYER,
						 {"rate", FTMPI__ANY},
						 {"seed", FTMPI__ANY}, /* ftmpi's masks come from its own seed */
						 {NULL, FTMPI__ANY}};
	ftmpi_status status = FTMPI_OK;
	ftmpi_layer_spec *spec;
	double rate = -1;

	FTMPI_TRY(ftmpi__json_check(config, rules));
	FTMPI_TRY(ftmpi__json_number(config, "rate", &rate));
	spec = append(model, FTMPI_DROPOUT);
	spec->rate = rate;
done:
	return status;
}

/* The two classes that are activations with options of their own. */
static ftmpi_status take_relu(const ftmpi__json *config, ftmpi_activation *out)
{
	static const ftmpi__json_rule rules[] = {
		EVERY_LAYER, {"negative_slope", FTMPI__ZERO}, {"threshold", FTMPI__ZERO}, {NULL, FTMPI__ANY}};
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi__json_check(config, rules));
	*out = FTMPI_RELU;
done:
	return status;
}

static ftmpi_status take_softmax(const ftmpi__json *config, ftmpi_activation *out)
{
	static const ftmpi__json_rule rules[] = {EVERY_LAYER, {"axis", FTMPI__ANY}, {NULL, FTMPI__ANY}};
	ftmpi_status status = FTMPI_OK;
	const json_t *axis = json_object_get(config->object, "axis");
	char text[FTMPI__JSON_TEXT];

	FTMPI_TRY(ftmpi__json_check(config, rules));
	if (axis != NULL &&
	    (!json_is_integer(axis) || (json_integer_value(axis) != -1 && json_integer_value(axis) != 1)))
		FTMPI__JSON_FAIL(config, "%s: only the last axis is supported", ftmpi__json_show(config, "axis", text));
	*out = FTMPI_SOFTMAX;
done:
	return status;
}

/* The key "activation": null, a name, or an object of one of the two classes. */
static ftmpi_status take_activation(const ftmpi__json *config, ftmpi_activation *out)
{
	ftmpi_status status = FTMPI_OK;
	const json_t *value = json_object_get(config->object, "activation"), *inner;
	const char *name = ftmpi__json_name(value, &inner);
	char text[FTMPI__JSON_TEXT];
	ftmpi__json inside;

	if (value == NULL || json_is_null(value)) {
		*out = FTMPI_LINEAR;
		goto done;
	}
	inside = ftmpi__json_inside(config, inner, "%s: activation %.30s", config->where, name == NULL ? "" : name);
	if (name != NULL && inner != NULL && strcmp(name, "ReLU") == 0)
		FTMPI_TRY(take_relu(&inside, out));
	else if (name != NULL && inner != NULL && strcmp(name, "Softmax") == 0)
		FTMPI_TRY(take_softmax(&inside, out));
	else if (name == NULL || inner != NULL || ftmpi_activation_parse(name, out) != FTMPI_OK)
		FTMPI__JSON_FAIL(config, "%s: %s", ftmpi__json_show(config, "activation", text),
				 name == NULL || inner != NULL ? "not supported" : ftmpi_error_message());
done:
	return status;
}

/* Remember the first layer that starts otherwise than ftmpi's: it matters only when there are no weights. */
static void note_initializer(ftmpi_keras_model *model, const ftmpi__json *config, const char *key,
			     const char *class_name, const char *name)
{
	const json_t *value = json_object_get(config->object, key), *inner;
	const char *is = ftmpi__json_name(value, &inner);

	if (value == NULL || model->initializer[0] != '\0' ||
	    (is != NULL && (strcmp(is, class_name) == 0 || strcmp(is, name) == 0)))
		return;
	(void)snprintf(model->initializer, sizeof model->initializer, "%s: %s is %.60s", config->where, key,
		       is != NULL ? is : "one of its own");
}

static ftmpi_status take_dense(ftmpi_keras_model *model, const ftmpi__json *config)
{
	static const ftmpi__json_rule rules[] = {EVERY_LAYER,
						 {"units", FTMPI__ANY},
						 {"activation", FTMPI__ANY},
						 {"use_bias", FTMPI__TRUE},
						 {"kernel_initializer", FTMPI__ANY},
						 {"bias_initializer", FTMPI__ANY},
						 {NULL, FTMPI__ANY}};
	ftmpi_status status = FTMPI_OK;
	ftmpi_layer_spec *spec;
	ftmpi_activation activation = FTMPI_LINEAR;
	int64_t units;

	FTMPI_TRY(ftmpi__json_check(config, rules));
	FTMPI_TRY(ftmpi__json_count(config, "units", &units));
	FTMPI_TRY(take_activation(config, &activation));
	note_initializer(model, config, "kernel_initializer", "GlorotUniform", "glorot_uniform");
	note_initializer(model, config, "bias_initializer", "Zeros", "zeros");
	spec = append(model, FTMPI_DENSE);
	spec->units = units;
	spec->activation = activation;
done:
	return status;
}

/* An activation layer: into the Dense layer before it. */
static ftmpi_status fold(ftmpi_keras_model *model, const ftmpi__json *config, ftmpi_activation activation)
{
	ftmpi_layer_spec *last = model->n_layers > 0 ? &model->specs[model->n_layers - 1] : NULL;

	if (last == NULL || last->kind != FTMPI_DENSE || last->activation != FTMPI_LINEAR)
		return ftmpi__json_fail(config, __FILE__, __LINE__,
					"an activation layer is supported only right after a Dense layer without an "
					"activation of its own");
	last->activation = activation;
	return FTMPI_OK;
}

static ftmpi_status take_activation_key(const ftmpi__json *config, ftmpi_activation *out)
{
	static const ftmpi__json_rule rules[] = {EVERY_LAYER, {"activation", FTMPI__ANY}, {NULL, FTMPI__ANY}};
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi__json_check(config, rules));
	FTMPI_TRY(take_activation(config, out));
done:
	return status;
}

/* A class is a layer of its own, or an activation. */
static const struct layer_class {
	const char *name;
	ftmpi_status (*take)(ftmpi_keras_model *model, const ftmpi__json *config);
	ftmpi_status (*take_activation)(const ftmpi__json *config, ftmpi_activation *out);
} classes[] = {
	{"InputLayer", take_input, NULL}, {"Flatten", take_flatten, NULL},           {"Dense", take_dense, NULL},
	{"Dropout", take_dropout, NULL},  {"Activation", NULL, take_activation_key}, {"ReLU", NULL, take_relu},
	{"Softmax", NULL, take_softmax},
};

ftmpi_status ftmpi__keras_take_layer(ftmpi_keras_model *model, const ftmpi__json *layer)
{
	static const ftmpi__json_rule rules[] = {
		{"module", FTMPI__ANY},          {"class_name", FTMPI__ANY},       {"config", FTMPI__ANY},
		{"registered_name", FTMPI__ANY}, {"build_config", FTMPI__ANY},     {"name", FTMPI__ANY},
		{"inbound_nodes", FTMPI__ANY},   {"shared_object_id", FTMPI__ANY}, {NULL, FTMPI__ANY}};
	ftmpi_status status = FTMPI_OK;
	const json_t *config;
	const char *name = ftmpi__json_name(layer->object, &config);
	const struct layer_class *class = NULL;
	ftmpi_activation activation = FTMPI_LINEAR;
	ftmpi__json inside;

	for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
		if (name != NULL && config != NULL && strcmp(name, classes[i].name) == 0)
			class = &classes[i];
	if (class == NULL)
		FTMPI__JSON_FAIL(layer,
				 "this layer is not supported; supported are Keras's InputLayer, Flatten, Dense, "
				 "Dropout, and Activation, ReLU and Softmax after a Dense layer");
	FTMPI_TRY(ftmpi__json_check(layer, rules));
	inside = ftmpi__json_inside(layer, config, "%s", layer->where);
	if (class->take != take_input && model->n_dims == 0)
		FTMPI__JSON_FAIL(layer,
				 "there is no InputLayer before it: give the model an Input, or build it, before it is "
				 "saved");
	if (class->take != NULL) {
		FTMPI_TRY(class->take(model, &inside));
	} else {
		FTMPI_TRY(class->take_activation(&inside, &activation));
		FTMPI_TRY(fold(model, &inside, activation));
	}
done:
	return status;
}
