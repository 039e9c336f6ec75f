/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of a model: the keys that Keras 3.0 has had and needs; all else is its default. */
#include "keras/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The shortest text that is this double again, and a float to Python. */
static ftmpi_status put_number(ftmpi_buffer *out, double x)
{
	char text[32];

	for (int n_digits = 1; n_digits <= 17; n_digits++) {
		(void)snprintf(text, sizeof text, "%.*g", n_digits, x);
		if (strtod(text, NULL) == x)
			break;
	}
	return ftmpi_buffer_printf(out, "%s%s", text, strpbrk(text, ".e") == NULL ? ".0" : "");
}

/* ,"key":1.0 */
static ftmpi_status put_key(ftmpi_buffer *out, const char *key, double x)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi_buffer_printf(out, ",\"%s\":", key));
	FTMPI_TRY(put_number(out, x));
done:
	return status;
}

/* {"module":…,"class_name":…,"config":{"name":…   The object is left open. */
static ftmpi_status begin_object(ftmpi_buffer *out, const char *module, const char *class_name, const char *name)
{
	return ftmpi_buffer_printf(out, "{\"module\":\"%s\",\"class_name\":\"%s\",\"config\":{\"name\":\"%s\"", module,
				   class_name, name);
}

static ftmpi_status end_object(ftmpi_buffer *out)
{
	return ftmpi_buffer_printf(out, "},\"registered_name\":null}");
}

static ftmpi_status put_input(ftmpi_buffer *out, const ftmpi_model *model)
{
	ftmpi_status status = FTMPI_OK;
	int n_dims;
	const int64_t *dims = ftmpi_model_dims(model, &n_dims);

	FTMPI_TRY(begin_object(out, "keras.layers", "InputLayer", "input_layer"));
	FTMPI_TRY(ftmpi_buffer_printf(out, ",\"dtype\":\"float32\",\"batch_shape\":[null"));
	for (int i = 0; i < n_dims; i++)
		FTMPI_TRY(ftmpi_buffer_printf(out, ",%lld", (long long)dims[i]));
	FTMPI_TRY(ftmpi_buffer_printf(out, "]"));
	FTMPI_TRY(end_object(out));
done:
	return status;
}

static ftmpi_status put_layer(ftmpi_buffer *out, const ftmpi_layer_spec *spec, const char *name)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi_buffer_printf(out, ",\n"));
	switch (spec->kind) {
	case FTMPI_FLATTEN:
		FTMPI_TRY(begin_object(out, "keras.layers", "Flatten", name));
		break;
	case FTMPI_DENSE:
		FTMPI_TRY(begin_object(out, "keras.layers", "Dense", name));
		FTMPI_TRY(ftmpi_buffer_printf(out, ",\"units\":%lld,\"activation\":\"%s\"", (long long)spec->units,
					      ftmpi_activation_name(spec->activation)));
		break;
	case FTMPI_DROPOUT:
		FTMPI_TRY(begin_object(out, "keras.layers", "Dropout", name));
		FTMPI_TRY(put_key(out, "rate", spec->rate));
		break;
	}
	FTMPI_TRY(end_object(out));
done:
	return status;
}

/* The hyperparameters that a kind has, whatever their values. */
static ftmpi_status put_hyperparameters(ftmpi_buffer *out, const ftmpi_optimizer *o)
{
	ftmpi_status status = FTMPI_OK;
	const bool is_rmsprop = o->kind == FTMPI_RMSPROP, is_sgd = o->kind == FTMPI_SGD,
		   is_lion = o->kind == FTMPI_LION;
	const bool is_adagrad = o->kind == FTMPI_ADAGRAD;

	FTMPI_TRY(put_key(out, "learning_rate", o->learning_rate));
	if (o->weight_decay > 0 || o->kind == FTMPI_ADAMW)
		FTMPI_TRY(put_key(out, "weight_decay", o->weight_decay));
	if (is_sgd || is_rmsprop)
		FTMPI_TRY(put_key(out, "momentum", o->momentum));
	if (is_sgd)
		FTMPI_TRY(ftmpi_buffer_printf(out, ",\"nesterov\":%s", o->nesterov ? "true" : "false"));
	if (is_rmsprop)
		FTMPI_TRY(ftmpi_buffer_printf(out, ",\"centered\":%s", o->centered ? "true" : "false"));
	if (is_rmsprop)
		FTMPI_TRY(put_key(out, "rho", o->rho));
	if (!is_sgd && !is_rmsprop && !is_adagrad) {
		FTMPI_TRY(put_key(out, "beta_1", o->beta_1));
		FTMPI_TRY(put_key(out, "beta_2", o->beta_2));
	}
	if (is_adagrad)
		FTMPI_TRY(put_key(out, "initial_accumulator_value", o->initial_accumulator));
	if (!is_sgd && !is_lion)
		FTMPI_TRY(put_key(out, "epsilon", o->epsilon));
done:
	return status;
}

static ftmpi_status put_metrics(ftmpi_buffer *out, const ftmpi_compile *compile)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi_buffer_printf(out, ",\n \"metrics\":["));
	for (int i = 0; i < compile->n_metrics; i++)
		FTMPI_TRY(
			ftmpi_buffer_printf(out, "%s\"%s\"", i > 0 ? "," : "", ftmpi_metric_name(compile->metrics[i])));
	FTMPI_TRY(ftmpi_buffer_printf(out, "]"));
done:
	return status;
}

static ftmpi_status put_compile(ftmpi_buffer *out, const ftmpi_compile *compile)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_optimizer_kind kind = compile->optimizer.kind;
	const bool is_sparse = ftmpi_loss_takes_labels(compile->loss);
	const char *loss = ftmpi_loss_name(is_sparse ? FTMPI_LOSS_SPARSE_CROSS_ENTROPY : compile->loss);

	FTMPI_TRY(ftmpi_buffer_printf(out, ",\n\"compile_config\":{\"optimizer\":\n "));
	FTMPI_TRY(begin_object(out, "keras.optimizers", ftmpi_optimizer_class(kind), ftmpi_optimizer_name(kind)));
	FTMPI_TRY(put_hyperparameters(out, &compile->optimizer));
	FTMPI_TRY(end_object(out));
	FTMPI_TRY(ftmpi_buffer_printf(out, ",\n \"loss\":"));
	FTMPI_TRY(begin_object(out, "keras.losses", ftmpi_loss_class(compile->loss), loss));
	if (is_sparse)
		FTMPI_TRY(ftmpi_buffer_printf(out, ",\"from_logits\":%s",
					      compile->loss == FTMPI_LOSS_SPARSE_CROSS_ENTROPY_LOGITS ? "true"
												      : "false"));
	FTMPI_TRY(end_object(out));
	FTMPI_TRY(put_metrics(out, compile));
	FTMPI_TRY(ftmpi_buffer_printf(out, "}"));
done:
	return status;
}

ftmpi_status ftmpi_keras_format(const ftmpi_model *model, const ftmpi_compile *compile, ftmpi_buffer *json)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer text = {0};

	FTMPI_TRY(begin_object(&text, "keras", "Sequential", "ftmpi"));
	FTMPI_TRY(ftmpi_buffer_printf(&text, ",\"layers\":[\n"));
	FTMPI_TRY(put_input(&text, model));
	for (int i = 0; i < ftmpi_model_n_layers(model); i++)
		FTMPI_TRY(put_layer(&text, ftmpi_model_layer_spec(model, i), ftmpi_model_layer_name(model, i)));
	FTMPI_TRY(ftmpi_buffer_printf(&text, "]},\"registered_name\":null"));
	if (compile != NULL)
		FTMPI_TRY(put_compile(&text, compile));
	FTMPI_TRY(ftmpi_buffer_printf(&text, "}\n"));
	FTMPI_TRY(ftmpi_buffer_append(json, text.data, text.n_bytes));
done:
	ftmpi_buffer_clear(&text);
	return status;
}
