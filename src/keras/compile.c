/* SPDX-License-Identifier: Apache-2.0 */
/* compile_config: optimizer, loss and metrics, each a name, a class with its configuration, or a function. */
#include "keras/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A list of one thing is that thing: one output. */
static const json_t *unwrap(const json_t *value)
{
	return json_array_size(value) == 1 ? json_array_get(value, 0) : value;
}

/* Keras writes a learning rate as the double of its float32: 0.001 as 0.0010000000474974513. Back to the shortest number that is the same float32. */
static double shortest_of_float(double x)
{
	char text[32];

	if ((double)(float)x != x)
		return x;
	for (int n_digits = 1; n_digits <= 9; n_digits++) {
		double shorter;

		(void)snprintf(text, sizeof text, "%.*g", n_digits, x);
		shorter = strtod(text, NULL);
		if ((float)shorter == (float)x)
			return shorter;
	}
	return x;
}

static ftmpi_status take_learning_rate(const ftmpi__json *config, double *out)
{
	ftmpi_status status = FTMPI_OK;
	const json_t *value = json_object_get(config->object, "learning_rate"), *inner;
	const char *name = ftmpi__json_name(value, &inner);

	if (json_is_object(value))
		FTMPI__JSON_FAIL(config, "learning_rate is a schedule (%.60s): only a number is supported",
				 name != NULL ? name : "of its own");
	FTMPI_TRY(ftmpi__json_number(config, "learning_rate", out));
	*out = shortest_of_float(*out);
done:
	return status;
}

/* Keys that every optimizer has, beside the numbers and truth values that are read below. */
#define EVERY_OPTIMIZER                                                                                                \
	{"name", FTMPI__ANY}, {"learning_rate", FTMPI__ANY}, {"weight_decay", FTMPI__ANY},                             \
	{                                                                                                              \
		"ema_momentum", FTMPI__ANY                                                                             \
	}

static const ftmpi__json_rule sgd_rules[] = {
	EVERY_OPTIMIZER, {"momentum", FTMPI__ANY}, {"nesterov", FTMPI__ANY}, {NULL, FTMPI__ANY}};
static const ftmpi__json_rule adam_rules[] = {
	EVERY_OPTIMIZER, {"beta_1", FTMPI__ANY}, {"beta_2", FTMPI__ANY}, {"epsilon", FTMPI__ANY}, {NULL, FTMPI__ANY}};
static const ftmpi__json_rule rmsprop_rules[] = {EVERY_OPTIMIZER,          {"rho", FTMPI__ANY},
						 {"momentum", FTMPI__ANY}, {"epsilon", FTMPI__ANY},
						 {"centered", FTMPI__ANY}, {NULL, FTMPI__ANY}};
static const ftmpi__json_rule adagrad_rules[] = {
	EVERY_OPTIMIZER, {"initial_accumulator_value", FTMPI__ANY}, {"epsilon", FTMPI__ANY}, {NULL, FTMPI__ANY}};
static const ftmpi__json_rule lion_rules[] = {
	EVERY_OPTIMIZER, {"beta_1", FTMPI__ANY}, {"beta_2", FTMPI__ANY}, {NULL, FTMPI__ANY}};

static const ftmpi__json_rule *rules_of(ftmpi_optimizer_kind kind)
{
	switch (kind) {
	case FTMPI_SGD:
		return sgd_rules;
	case FTMPI_ADAM:
	case FTMPI_ADAMW:
	case FTMPI_NADAM:
		return adam_rules;
	case FTMPI_RMSPROP:
		return rmsprop_rules;
	case FTMPI_ADAGRAD:
		return adagrad_rules;
	case FTMPI_LION:
		return lion_rules;
	}
	return NULL;
}

/* Each key is there only where the rules of the kind have it. */
static ftmpi_status take_hyperparameters(const ftmpi__json *config, ftmpi_optimizer *optimizer)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_optimizer *o = optimizer;

	FTMPI_TRY(ftmpi__json_check(config, rules_of(o->kind)));
	FTMPI_TRY(take_learning_rate(config, &o->learning_rate));
	if (o->kind == FTMPI_ADAMW || !json_is_null(json_object_get(config->object, "weight_decay")))
		FTMPI_TRY(ftmpi__json_number(config, "weight_decay", &o->weight_decay));
	FTMPI_TRY(ftmpi__json_number(config, "momentum", &o->momentum));
	FTMPI_TRY(ftmpi__json_bool(config, "nesterov", &o->nesterov));
	FTMPI_TRY(ftmpi__json_number(config, "beta_1", &o->beta_1));
	FTMPI_TRY(ftmpi__json_number(config, "beta_2", &o->beta_2));
	FTMPI_TRY(ftmpi__json_number(config, "rho", &o->rho));
	FTMPI_TRY(ftmpi__json_bool(config, "centered", &o->centered));
	FTMPI_TRY(ftmpi__json_number(config, "epsilon", &o->epsilon));
	FTMPI_TRY(ftmpi__json_number(config, "initial_accumulator_value", &o->initial_accumulator));
	if (o->momentum == 0) /* Keras lets it stand there without effect */
		o->nesterov = false;
done:
	return status;
}

/* The kind of a class, or of a name in any case. */
static bool find_optimizer(const char *name, ftmpi_optimizer_kind *out)
{
#define TRY_OPTIMIZER(id, text, class_name)                                                                            \
	if (strcasecmp(name, class_name) == 0) {                                                                       \
		*out = FTMPI_##id;                                                                                     \
		return true;                                                                                           \
	}
	FTMPI_OPTIMIZER_LIST(TRY_OPTIMIZER)
#undef TRY_OPTIMIZER
	return false;
}

static ftmpi_status take_optimizer(const ftmpi__json *compile, ftmpi_optimizer *out)
{
	ftmpi_status status = FTMPI_OK;
	const json_t *config;
	const char *name = ftmpi__json_name(json_object_get(compile->object, "optimizer"), &config);
	ftmpi_optimizer_kind kind = FTMPI_SGD;
	char text[FTMPI__JSON_TEXT];
	ftmpi__json inside;

	if (name == NULL || !find_optimizer(name, &kind))
#define OPTIMIZER_CLASS(id, text, class_name) " " class_name
		FTMPI__JSON_FAIL(compile,
				 "%s: this optimizer is not supported; supported are Keras's own" FTMPI_OPTIMIZER_LIST(
					 OPTIMIZER_CLASS),
				 ftmpi__json_show(compile, "optimizer", text));
#undef OPTIMIZER_CLASS
	ftmpi_optimizer_init(out, kind);
	inside = ftmpi__json_inside(compile, config, "optimizer %s", ftmpi_optimizer_class(kind));
	FTMPI_TRY(take_hyperparameters(&inside, out));
done:
	return status;
}

/* The mean over the batch is the only reduction; with and without weights of the samples it is the same here. */
static ftmpi_status check_reduction(const ftmpi__json *config)
{
	ftmpi_status status = FTMPI_OK;
	const json_t *value = json_object_get(config->object, "reduction");
	const char *is = json_string_value(value);
	char text[FTMPI__JSON_TEXT];

	if (value == NULL)
		goto done;
	if (is == NULL || (strcmp(is, "sum_over_batch_size") != 0 && strcmp(is, "mean") != 0 &&
			   strcmp(is, "mean_with_sample_weight") != 0))
		FTMPI__JSON_FAIL(config, "%s: only sum_over_batch_size is supported",
				 ftmpi__json_show(config, "reduction", text));
done:
	return status;
}

static ftmpi_status take_loss_config(const ftmpi__json *config, ftmpi_loss *loss)
{
	static const ftmpi__json_rule rules[] = {{"name", FTMPI__ANY},
						 {"reduction", FTMPI__ANY},
						 {"from_logits", FTMPI__ANY},
						 {"dtype", FTMPI__FLOAT32},
						 {NULL, FTMPI__ANY}};
	ftmpi_status status = FTMPI_OK;
	bool from_logits = false;

	FTMPI_TRY(ftmpi__json_check(config, rules));
	FTMPI_TRY(check_reduction(config));
	FTMPI_TRY(ftmpi__json_bool(config, "from_logits", &from_logits));
	if (from_logits && *loss != FTMPI_LOSS_SPARSE_CROSS_ENTROPY)
		FTMPI__JSON_FAIL(config, "from_logits is true: this loss has no logits");
	if (from_logits)
		*loss = FTMPI_LOSS_SPARSE_CROSS_ENTROPY_LOGITS;
done:
	return status;
}

static ftmpi_status take_loss(const ftmpi__json *compile, ftmpi_loss *out)
{
	static const struct {
		const char *name;
		ftmpi_loss loss;
	} names[] = {
		{"sparse_categorical_crossentropy", FTMPI_LOSS_SPARSE_CROSS_ENTROPY},
		{"SparseCategoricalCrossentropy", FTMPI_LOSS_SPARSE_CROSS_ENTROPY},
		{"mean_squared_error", FTMPI_LOSS_MEAN_SQUARED_ERROR},
		{"MeanSquaredError", FTMPI_LOSS_MEAN_SQUARED_ERROR},
		{"mse", FTMPI_LOSS_MEAN_SQUARED_ERROR},
		{"MSE", FTMPI_LOSS_MEAN_SQUARED_ERROR},
	};
	ftmpi_status status = FTMPI_OK;
	const json_t *config;
	const char *name = ftmpi__json_name(unwrap(json_object_get(compile->object, "loss")), &config);
	char text[FTMPI__JSON_TEXT];
	size_t i = 0;
	ftmpi__json inside;

	while (name != NULL && i < sizeof names / sizeof names[0] && strcmp(name, names[i].name) != 0)
		i++;
	if (name == NULL || i == sizeof names / sizeof names[0])
		FTMPI__JSON_FAIL(compile,
				 "%s: this loss is not supported; supported are Keras's own "
				 "SparseCategoricalCrossentropy and MeanSquaredError",
				 ftmpi__json_show(compile, "loss", text));
	*out = names[i].loss;
	inside = ftmpi__json_inside(compile, config, "loss %s", name);
	FTMPI_TRY(take_loss_config(&inside, out));
done:
	return status;
}

/* False when there is no such metric. The class Accuracy is another one: it compares predictions with labels as they are. */
static bool find_metric(const char *name, bool is_class, ftmpi_metric *out)
{
	static const struct {
		const char *name;
		ftmpi_metric metric;
	} names[] = {
		{"sparse_categorical_accuracy", FTMPI_METRIC_ACCURACY},
		{"SparseCategoricalAccuracy", FTMPI_METRIC_ACCURACY},
		{"mean_squared_error", FTMPI_METRIC_MEAN_SQUARED_ERROR},
		{"MeanSquaredError", FTMPI_METRIC_MEAN_SQUARED_ERROR},
		{"mse", FTMPI_METRIC_MEAN_SQUARED_ERROR},
		{"MSE", FTMPI_METRIC_MEAN_SQUARED_ERROR},
		{"mean_absolute_error", FTMPI_METRIC_MEAN_ABSOLUTE_ERROR},
		{"MeanAbsoluteError", FTMPI_METRIC_MEAN_ABSOLUTE_ERROR},
		{"mae", FTMPI_METRIC_MEAN_ABSOLUTE_ERROR},
		{"MAE", FTMPI_METRIC_MEAN_ABSOLUTE_ERROR},
	};

	if (!is_class && (strcasecmp(name, "accuracy") == 0 || strcasecmp(name, "acc") == 0)) {
		*out = FTMPI_METRIC_ACCURACY;
		return true;
	}
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(name, names[i].name) == 0) {
			*out = names[i].metric;
			return true;
		}
	return false;
}

static ftmpi_status take_metric(const ftmpi__json *compile, const json_t *value, ftmpi_metric *out)
{
	static const ftmpi__json_rule rules[] = {{"name", FTMPI__ANY}, {"dtype", FTMPI__FLOAT32}, {NULL, FTMPI__ANY}};
	ftmpi_status status = FTMPI_OK;
	const json_t *config;
	const char *name = ftmpi__json_name(value, &config);
	ftmpi__json inside;

	if (name == NULL || !find_metric(name, config != NULL, out))
		FTMPI__JSON_FAIL(compile,
				 "metric '%.60s' is not supported; supported are Keras's own accuracy (sparse "
				 "categorical), mean_squared_error and mean_absolute_error",
				 name != NULL ? name : "?");
	inside = ftmpi__json_inside(compile, config, "metric %.60s", name);
	FTMPI_TRY(ftmpi__json_check(&inside, rules));
done:
	return status;
}

static ftmpi_status take_metrics(const ftmpi__json *compile, ftmpi_compile *out)
{
	ftmpi_status status = FTMPI_OK;
	const json_t *list = json_object_get(compile->object, "metrics"), *value;
	char text[FTMPI__JSON_TEXT];
	size_t i;

	out->n_metrics = 0;
	if (list == NULL || json_is_null(list))
		goto done;
	if (json_is_array(unwrap(list)))
		list = unwrap(list);
	if (!json_is_array(list) || json_array_size(list) > FTMPI_MAX_METRICS)
		FTMPI__JSON_FAIL(compile, "%s: only a list of up to %d metrics is supported",
				 ftmpi__json_show(compile, "metrics", text), FTMPI_MAX_METRICS);
	json_array_foreach(list, i, value) FTMPI_TRY(take_metric(compile, value, &out->metrics[i]));
	out->n_metrics = (int)json_array_size(list);
done:
	return status;
}

ftmpi_status ftmpi__keras_take_compile(ftmpi_keras_model *model, const ftmpi__json *config)
{
	/* What only says how Keras runs the model changes nothing. */
	static const ftmpi__json_rule rules[] = {{"optimizer", FTMPI__ANY},
						 {"loss", FTMPI__ANY},
						 {"metrics", FTMPI__ANY},
						 {"loss_weights", FTMPI__EMPTY},
						 {"weighted_metrics", FTMPI__EMPTY},
						 {"run_eagerly", FTMPI__ANY},
						 {"steps_per_execution", FTMPI__ANY},
						 {"jit_compile", FTMPI__ANY},
						 {"auto_scale_loss", FTMPI__ANY},
						 {NULL, FTMPI__ANY}};
	ftmpi_status status = FTMPI_OK;
	ftmpi_compile compile;

	ftmpi_compile_init(&compile);
	FTMPI_TRY(ftmpi__json_check(config, rules));
	FTMPI_TRY(take_optimizer(config, &compile.optimizer));
	FTMPI_TRY(take_loss(config, &compile.loss));
	FTMPI_TRY(take_metrics(config, &compile));
	status = ftmpi_compile_check(&compile);
	if (status != FTMPI_OK)
		FTMPI__JSON_FAIL(config, "%s", ftmpi_error_message());
	model->compile = compile;
	model->is_compiled = true;
done:
	return status;
}
