/* SPDX-License-Identifier: Apache-2.0 */
/* The text of Keras's models: what is taken from it, what is refused and how that is said, and the text that ftmpi writes. */
#include "unit/unit_test.h"

#include "keras_test.h"

static ftmpi_buffer sequential, functional;

static int set_up(void **state)
{
	(void)state;
	sequential = read_bytes(fixture("sequential.json"));
	functional = read_bytes(fixture("functional.json"));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ftmpi_buffer_clear(&sequential);
	ftmpi_buffer_clear(&functional);
	return 0;
}

static ftmpi_status parse(const char *text, ftmpi_keras_model **out)
{
	return ftmpi_keras_parse(text, strlen(text), "m.json", out);
}

static ftmpi_buffer format(const ftmpi_keras_model *keras)
{
	ftmpi_buffer json = {0};
	ftmpi_model *model = NULL;

	assert_ok(ftmpi_keras_model_create(keras, &model));
	assert_ok(ftmpi_keras_format(model, ftmpi_keras_compile(keras), &json));
	ftmpi_model_destroy(&model);
	return json;
}

static void assert_layer(const ftmpi_model *model, int i, ftmpi_layer_kind kind, int64_t units,
			 ftmpi_activation activation, double rate)
{
	const ftmpi_layer_spec *spec = ftmpi_model_layer_spec(model, i);

	assert_int_equal(spec->kind, kind);
	assert_int_equal(spec->units, units);
	assert_int_equal(spec->activation, activation);
	assert_true(spec->rate == rate);
}

static void test_sequential(void **state)
{
	ftmpi_keras_model *keras = NULL;
	ftmpi_model *model = NULL;
	const ftmpi_compile *compile;
	const int64_t *dims;
	int n_dims;

	(void)state;
	assert_ok(parse(sequential.data, &keras));
	assert_false(ftmpi_keras_has_weights(keras));
	assert_ok(ftmpi_keras_model_create(keras, &model));
	dims = ftmpi_model_dims(model, &n_dims);
	assert_int_equal(n_dims, 2);
	assert_int_equal(dims[0], 3);
	assert_int_equal(dims[1], 2);
	assert_int_equal(ftmpi_model_n_layers(model), 4);
	assert_layer(model, 0, FTMPI_FLATTEN, 0, FTMPI_LINEAR, 0);
	assert_layer(model, 1, FTMPI_DENSE, 5, FTMPI_RELU, 0);
	assert_layer(model, 2, FTMPI_DROPOUT, 0, FTMPI_LINEAR, 0.25);
	assert_layer(model, 3, FTMPI_DENSE, 3, FTMPI_LINEAR, 0);
	compile = ftmpi_keras_compile(keras);
	assert_non_null(compile);
	assert_int_equal(compile->optimizer.kind, FTMPI_ADAM);
	assert_true(compile->optimizer.learning_rate == 0.001); /* the file has 0.0010000000474974513 */
	assert_int_equal(compile->loss, FTMPI_LOSS_SPARSE_CROSS_ENTROPY_LOGITS);
	assert_int_equal(compile->n_metrics, 1);
	assert_int_equal(compile->metrics[0], FTMPI_METRIC_ACCURACY);
	ftmpi_model_destroy(&model);
	ftmpi_keras_close(&keras);
	assert_null(keras);
}

/* A chain, with activations in layers of their own. */
static void test_functional(void **state)
{
	ftmpi_keras_model *keras = NULL;
	ftmpi_model *model = NULL;
	const ftmpi_compile *compile;

	(void)state;
	assert_ok(parse(functional.data, &keras));
	assert_ok(ftmpi_keras_model_create(keras, &model));
	assert_int_equal(ftmpi_model_n_inputs(model), 6);
	assert_int_equal(ftmpi_model_n_layers(model), 2);
	assert_layer(model, 0, FTMPI_DENSE, 5, FTMPI_TANH, 0);
	assert_layer(model, 1, FTMPI_DENSE, 3, FTMPI_SOFTMAX, 0);
	compile = ftmpi_keras_compile(keras);
	assert_int_equal(compile->optimizer.kind, FTMPI_SGD);
	assert_true(compile->optimizer.learning_rate == 0.1);
	assert_true(compile->optimizer.momentum == 0.9);
	assert_true(compile->optimizer.nesterov);
	assert_int_equal(compile->loss, FTMPI_LOSS_SPARSE_CROSS_ENTROPY);
	assert_int_equal(compile->metrics[0], FTMPI_METRIC_ACCURACY);
	ftmpi_model_destroy(&model);
	ftmpi_keras_close(&keras);
}

struct edit {
	const char *from, *to;
	const char *says; /* NULL: it is taken */
};

static void assert_edits(const ftmpi_buffer *text, const struct edit *edits, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *json = edited(text->data, edits[i].from, edits[i].to);
		ftmpi_keras_model *keras = NULL;
		const ftmpi_status status = parse(json, &keras);

		if (edits[i].says == NULL && status != FTMPI_OK)
			fail_msg("%s: %s", edits[i].to, ftmpi_error_message());
		if (edits[i].says != NULL && (status != FTMPI_ERR_DATA || keras != NULL))
			fail_msg("%s: %s was taken", edits[i].from, edits[i].to);
		if (edits[i].says != NULL && strstr(ftmpi_error_message(), edits[i].says) == NULL)
			fail_msg("message '%s' lacks '%s'", ftmpi_error_message(), edits[i].says);
		if (edits[i].says != NULL)
			assert_int_equal(strncmp(ftmpi_error_message(), "'m.json': ", 10), 0);
		ftmpi_keras_close(&keras);
		free(json);
	}
}

#define ASSERT_EDITS(text, edits) assert_edits(&(text), edits, sizeof(edits) / sizeof(edits)[0])

static void test_layers_refused(void **state)
{
	static const struct edit edits[] = {
		{"\"class_name\": \"Dense\"", "\"class_name\": \"Conv2D\"",
		 "layer 'dense' (Conv2D): this layer is not supported; supported are Keras's InputLayer, Flatten"},
		{"\"module\": \"keras.layers\", \"class_name\": \"Dense\"",
		 "\"module\": null, \"class_name\": \"Dense\"", "layer 'dense' (Dense): this layer is not supported"},
		{"\"module\": \"keras.layers\", \"class_name\": \"Dense\"",
		 "\"module\": \"mine\", \"class_name\": \"Dense\"",
		 "layer 'dense' (Dense): this layer is not supported"},
		{"\"use_bias\": true", "\"use_bias\": false",
		 "layer 'dense' (Dense): use_bias is false: only true is supported"},
		{"\"kernel_regularizer\": null", "\"kernel_regularizer\": {\"class_name\": \"L2\"}",
		 "layer 'dense' (Dense): kernel_regularizer is {\"class_name\":\"L2\"}: this key is not supported"},
		{"\"bias_constraint\": null", "\"bias_constraint\": 1",
		 "bias_constraint is 1: this key is not supported"},
		{"\"units\": 5", "\"units\": 5, \"activity_regularizer\": \"l1\"", "activity_regularizer is \"l1\""},
		{"\"units\": 5", "\"units\": 5, \"lora_rank\": 4", "lora_rank is 4: this key is not supported"},
		{"\"name\": \"dense\"", "\"name\": \"d\\u001b[1m\", \"lora_rank\": 4",
		 "layer 'd?[1m' (Dense): lora_rank is 4: this key is not supported"},
		{"\"units\": 5", "\"units\": 5.0", "units is 5.0: it must be a whole number from 1 on"},
		{"\"units\": 5", "\"units\": 0", "units is 0: it must be a whole number from 1 on"},
		{"\"units\": 5", "\"units\": 3000000000",
		 "layer 1 (dense): units is 3000000000; it must be 1 to 2147483647"},
		{"\"units\": 5, ", "", "layer 'dense' (Dense): units is missing"},
		{"\"activation\": \"relu\"", "\"activation\": \"swish\"",
		 "activation is \"swish\": unknown activation 'swish'"},
		{"\"activation\": \"relu\"", "\"activation\": 5", "activation is 5: not supported"},
		{"\"activation\": \"relu\"",
		 "\"activation\": {\"module\": \"keras.layers\", \"class_name\": \"ReLU\", \"config\": "
		 "{\"negative_slope\": 0.5}}",
		 "layer 'dense' (Dense): activation ReLU: negative_slope is 0.5: only 0 is supported"},
		{"\"name\": \"dense\", \"trainable\": true", "\"name\": \"dense\", \"trainable\": false",
		 "layer 'dense' (Dense): trainable is false: only true is supported"},
		{"\"data_format\": \"channels_last\"", "\"data_format\": \"channels_first\"",
		 "layer 'flatten' (Flatten): data_format is \"channels_first\": only channels_last is supported"},
		{"\"noise_shape\": null", "\"noise_shape\": [null, 1]",
		 "layer 'dropout' (Dropout): noise_shape is [null,1]"},
		{"\"rate\": 0.25", "\"rate\": 1", "layer 2 (dropout): rate is 1; it must be at least 0 and below 1"},
		{"\"rate\": 0.25", "\"rate\": \"a\"", "layer 'dropout' (Dropout): rate is \"a\": it must be a number"},
		{"\"batch_shape\": [null, 3, 2], \"dtype\": \"float32\"",
		 "\"batch_shape\": [null, 3, 2], \"dtype\": \"uint8\"",
		 "layer 'input_layer' (InputLayer): dtype is \"uint8\": only float32 is supported"},
		{"\"batch_shape\": [null, 3, 2]", "\"batch_shape\": [32, 3, 2]",
		 "batch_shape is [32,3,2]: it must be null (the batch) and 1 to 7 dimensions"},
		{"\"batch_shape\": [null, 3, 2]", "\"batch_shape\": [null, null, 2]",
		 "batch_shape is [null,null,2]: the dimensions of a sample must be fixed"},
		{"\"batch_shape\": [null, 3, 2]", "\"batch_shape\": [null]", "batch_shape is [null]: it must be null"},
		{"\"batch_shape\": [null, 3, 2]", "\"batch_shape\": [null, 2000000000, 2]", "a sample has more than"},
		{"\"sparse\": false", "\"sparse\": true", "layer 'input_layer' (InputLayer): sparse is true"},
		{"\"class_name\": \"Flatten\"", "\"class_name\": \"Softmax\"",
		 "data_format is \"channels_last\": this key"},
	};

	(void)state;
	ASSERT_EDITS(sequential, edits);
}

/* Forms of other versions of Keras, and features that are there but not used. */
static void test_layers_taken(void **state)
{
	static const struct edit edits[] = {
		{"\"units\": 5", "\"units\": 5, \"of_the_future\": null, \"another\": false", NULL},
		{"\"seed\": null", "\"seed\": 7", NULL},
		{"\"rate\": 0.25", "\"rate\": 0", NULL},
		{"\"activation\": \"relu\"", "\"activation\": null", NULL},
		{"\"activation\": \"relu\", ", "", NULL},
		{"\"activation\": \"relu\"",
		 "\"activation\": {\"module\": \"keras.layers\", \"class_name\": \"Softmax\", \"config\": {\"axis\": "
		 "-1}}",
		 NULL},
		{"\"data_format\": \"channels_last\"", "\"shared_object_id\": null", NULL},
		{"\"module\": \"keras.layers\", \"class_name\": \"Dense\"",
		 "\"module\": \"keras.src.layers.core.dense\", \"class_name\": \"Dense\"", NULL},
	};

	(void)state;
	ASSERT_EDITS(sequential, edits);
}

static void test_models_refused(void **state)
{
	static const struct edit edits[] = {
		{"{\"module\": \"keras\", \"class_name\": \"Sequential\"",
		 "{\"module\": \"keras\", \"class_name\": \"Model\"",
		 "class_name is not Keras's Sequential or Functional but 'Model'"},
		{"{\"module\": \"keras\"", "{\"keras_version\": \"2.15.0\", \"module\": \"keras\"", "saved by Keras 2"},
		{"{\"module\": \"keras\"", "{\"of_the_future\": 1, \"module\": \"keras\"",
		 "of_the_future is 1: this key is not supported"},
		{"\"name\": \"sequential\", \"trainable\": true", "\"name\": \"sequential\", \"trainable\": false",
		 "trainable is false: only true is supported"},
		{"\"build_input_shape\"", "\"what\"", "what is [null,3,2]: this key is not supported"},
		{"\"class_name\": \"InputLayer\"", "\"class_name\": \"Flatten\"",
		 "layer 'input_layer' (Flatten): there is no InputLayer before it"},
		{"\"class_name\": \"Flatten\"", "\"class_name\": \"InputLayer\"",
		 "only one input, as the first layer, is supported"},
		{"\"layers\": [", "\"layers\": [5, ", "layer '?' (no class): this layer is not supported"},
		{"{", "[", "not the JSON of a model: line 1"},
		{"\"trainable\": true", "\"trainable\": NaN", "not the JSON of a model"},
		{"\"compile_config\": {", "\"compile_config\": [], \"registered_name\": {", "duplicate"},
	};
	char deep[5001];
	ftmpi_keras_model *keras = NULL;

	(void)state;
	ASSERT_EDITS(sequential, edits);
	memset(deep, '[', sizeof deep - 1);
	deep[sizeof deep - 1] = '\0';
	assert_fails(parse(deep, &keras), FTMPI_ERR_DATA, "not the JSON of a model");
	assert_fails(parse("", &keras), FTMPI_ERR_DATA, "not the JSON of a model");
	assert_fails(parse("[]", &keras), FTMPI_ERR_DATA, "but 'nothing'");
	assert_fails(parse("{}", &keras), FTMPI_ERR_DATA, "but 'nothing'");
	assert_fails(
		parse("{\"module\": \"keras\", \"class_name\": \"Sequential\", \"config\": {\"layers\": []}}", &keras),
		FTMPI_ERR_DATA, "layers is not a list of layers");
	assert_null(keras);
}

/* The sequential model without a layer, up to where another one begins. */
static ftmpi_status parse_without(const char *layer, const char *next)
{
	const char *start = strstr(sequential.data, layer), *end = strstr(sequential.data, next);
	ftmpi_keras_model *keras = NULL;
	ftmpi_buffer text = {0};
	ftmpi_status status;

	assert_true(start != NULL && end != NULL);
	assert_ok(ftmpi_buffer_append(&text, sequential.data, (size_t)(start - sequential.data)));
	assert_ok(ftmpi_buffer_printf(&text, "%s", end));
	status = parse(text.data, &keras);
	assert_null(keras);
	ftmpi_buffer_clear(&text);
	return status;
}

#define LAYER "{\"module\": \"keras.layers\", \"class_name\": "

/* Layers that do not go together are the file's error. */
static void test_layers_missing(void **state)
{
	(void)state;
	assert_fails(parse_without(LAYER "\"Flatten\"", LAYER "\"Dense\""), FTMPI_ERR_DATA,
		     "'m.json': layer 0 (dense): its input has 2 dimensions; put a flatten layer before it");
	assert_fails(parse_without(LAYER "\"InputLayer\"", LAYER "\"Flatten\""), FTMPI_ERR_DATA,
		     "layer 'flatten' (Flatten): there is no InputLayer before it: give the model an Input");
}

static void test_chains_refused(void **state)
{
	static const struct edit edits[] = {
		{"\"inbound_nodes\": []", "\"inbound_nodes\": [1]", "only a single chain of layers is supported"},
		{"\"keras_history\": [\"input_layer\"", "\"keras_history\": [\"dense_1\"",
		 "layer 'dense' (Dense): its inbound_nodes"},
		{"\"keras_history\": [\"dense\", 0, 0]", "\"keras_history\": [\"dense\", 1, 0]", "only a single chain"},
		{"\"keras_history\": [\"dense\", 0, 0]", "\"keras_history\": [\"dense\", 0, 1]", "only a single chain"},
		{"\"kwargs\": {}", "\"kwargs\": {\"training\": true}",
		 "the call of layer 'dense' (Dense): training is true: this key is not supported"},
		{"\"kwargs\": {}", "\"kwargs\": {\"training\": false}", NULL},
		{"\"args\": [{", "\"args\": [1, {", "only a single chain"},
		{"\"inbound_nodes\": [{", "\"inbound_nodes\": [{}, {", "only a single chain"},
		{"\"output_layers\": [\"softmax\"", "\"output_layers\": [\"dense\"", "it must be the last layer"},
		{"\"output_layers\": [\"softmax\", 0, 0]", "\"output_layers\": {\"a\": [\"softmax\", 0, 0]}",
		 "it must be the last layer"},
		{"\"input_layers\": [\"input_layer\"", "\"input_layers\": [\"dense\"", "it must be the first layer"},
		{"\"activation\": \"tanh\"", "\"activation\": \"linear\"", NULL},
		{"\"activation\": \"linear\"", "\"activation\": \"relu\"",
		 "layer 'activation' (Activation): an activation layer is supported only right after a Dense layer"},
		{"\"axis\": -1", "\"axis\": 0",
		 "layer 'softmax' (Softmax): axis is 0: only the last axis is supported"},
		{"\"axis\": -1", "\"axis\": [-1]", "axis is [-1]: only the last axis is supported"},
		{"\"output_layers\": [\"softmax\", 0, 0]", "\"output_layers\": [[\"softmax\", 0, 0]]", NULL},
		{"\"kwargs\": {\"mask\": null}", "\"kwargs\": {}", NULL},
		{"\"registered_name\": \"Functional\"", "\"registered_name\": null", NULL},
	};

	(void)state;
	ASSERT_EDITS(functional, edits);
}

static void test_compile_refused(void **state)
{
	static const struct edit edits[] = {
		{"\"clipnorm\": null", "\"clipnorm\": 1.0",
		 "optimizer Adam: clipnorm is 1.0: this key is not supported"},
		{"\"amsgrad\": false", "\"amsgrad\": true",
		 "optimizer Adam: amsgrad is true: this key is not supported"},
		{"\"use_ema\": false", "\"use_ema\": true", "optimizer Adam: use_ema is true"},
		{"\"gradient_accumulation_steps\": null", "\"gradient_accumulation_steps\": 2",
		 "gradient_accumulation_steps is 2"},
		{"\"loss_scale_factor\": null", "\"loss_scale_factor\": 2.0", "loss_scale_factor is 2.0"},
		{"\"beta_1\": 0.9", "\"beta_1\": 1.5", "compile_config: optimizer adam: beta_1"},
		{"\"beta_1\": 0.9", "\"beta_1\": \"x\"", "optimizer Adam: beta_1 is \"x\": it must be a number"},
		{"\"epsilon\": 1e-07", "\"momentum\": 0.5", "momentum is 0.5: this key is not supported"},
		{"\"learning_rate\": 0.0010000000474974513",
		 "\"learning_rate\": {\"module\": \"keras.optimizers.schedules\", \"class_name\": \"CosineDecay\", "
		 "\"config\": {}}",
		 "optimizer Adam: learning_rate is a schedule (CosineDecay): only a number is supported"},
		{"\"class_name\": \"Adam\"", "\"class_name\": \"Ftrl\"",
		 "this optimizer is not supported; supported are Keras's own SGD Adam AdamW RMSprop Adagrad Nadam "
		 "Lion"},
		{"\"class_name\": \"Adam\"", "\"class_name\": \"LossScaleOptimizer\"",
		 "this optimizer is not supported"},
		{"\"optimizer\": {\"module\": \"keras.optimizers\"", "\"optimizer\": {\"module\": \"mine\"",
		 "this optimizer is not"},
		{"\"from_logits\": true", "\"from_logits\": 1", "from_logits is 1: it must be true or false"},
		{"\"reduction\": \"sum_over_batch_size\"", "\"reduction\": \"sum\"",
		 "loss SparseCategoricalCrossentropy: reduction is \"sum\": only sum_over_batch_size is supported"},
		{"\"ignore_class\": null", "\"ignore_class\": 3", "ignore_class is 3: this key is not supported"},
		{"\"class_name\": \"SparseCategoricalCrossentropy\"", "\"class_name\": \"CategoricalCrossentropy\"",
		 "this loss is not supported; supported are Keras's own SparseCategoricalCrossentropy and "
		 "MeanSquaredError"},
		{"\"class_name\": \"SparseCategoricalCrossentropy\"", "\"class_name\": \"MeanSquaredError\"",
		 "loss MeanSquaredError: from_logits is true: this loss has no logits"},
		{"\"loss_weights\": null", "\"loss_weights\": [0.5]",
		 "compile_config: loss_weights is [0.5]: only null is supported"},
		{"\"weighted_metrics\": null", "\"weighted_metrics\": [\"acc\"]", "weighted_metrics is [\"acc\"]"},
		{"[\"accuracy\"]", "[\"top_k_categorical_accuracy\"]",
		 "metric 'top_k_categorical_accuracy' is not supported; supported are Keras's own accuracy"},
		{"[\"accuracy\"]", "[{\"module\": \"keras.metrics\", \"class_name\": \"Accuracy\", \"config\": {}}]",
		 "metric 'Accuracy' is not supported"},
		{"[\"accuracy\"]", "[\"accuracy\", \"acc\"]", "compile_config: metric accuracy is given twice"},
		{"[\"accuracy\"]", "[\"mse\"]", "compile_config: metric mean_squared_error takes"},
		{"[\"accuracy\"]", "[\"acc\", \"acc\", \"acc\", \"acc\", \"acc\"]",
		 "only a list of up to 4 metrics is supported"},
		{"[\"accuracy\"]", "{\"dense\": \"acc\"}", "metrics is {\"dense\":\"acc\"}: only a list"},
		{"[\"accuracy\"]", "[null]", "metric '?' is not supported"},
		{"\"jit_compile\"", "\"jitter\": 1, \"jit_compile\"",
		 "compile_config: jitter is 1: this key is not supported"},
	};

	(void)state;
	ASSERT_EDITS(sequential, edits);
}

/* What an edit of the compiled model is read as. */
static ftmpi_compile compile_of(const char *from, const char *to)
{
	char *json = edited(sequential.data, from, to);
	ftmpi_keras_model *keras = NULL;
	ftmpi_compile compile;

	assert_ok(parse(json, &keras));
	assert_non_null(ftmpi_keras_compile(keras));
	compile = *ftmpi_keras_compile(keras);
	ftmpi_keras_close(&keras);
	free(json);
	return compile;
}

static void test_compile_forms(void **state)
{
	const char *end = strstr(sequential.data, "\"optimizer\": {");
	ftmpi_compile c;
	char optimizer[1024];

	(void)state;
	assert_non_null(end);
	(void)snprintf(optimizer, sizeof optimizer, "%.*s", (int)(strstr(end, ", \"loss\"") - end), end);
	c = compile_of(optimizer, "\"optimizer\": \"rmsprop\"");
	assert_int_equal(c.optimizer.kind, FTMPI_RMSPROP);
	assert_true(c.optimizer.rho == 0.9);
	c = compile_of(optimizer, "\"optimizer\": \"SGD\"");
	assert_int_equal(c.optimizer.kind, FTMPI_SGD);
	c = compile_of(optimizer,
		       "\"optimizer\": {\"module\": \"keras.optimizers\", \"class_name\": \"SGD\", \"config\": "
		       "{\"nesterov\": true, \"weight_decay\": 0.25, \"learning_rate\": 1}}");
	assert_false(c.optimizer.nesterov); /* without momentum it has no effect */
	assert_true(c.optimizer.weight_decay == 0.25);
	assert_true(c.optimizer.learning_rate == 1);
	c = compile_of(optimizer,
		       "\"optimizer\": {\"module\": \"keras.optimizers\", \"class_name\": \"AdamW\", \"config\": {}}");
	assert_true(c.optimizer.weight_decay == 0.004);
	c = compile_of(optimizer,
		       "\"optimizer\": {\"module\": \"keras.optimizers\", \"class_name\": \"Adagrad\", \"config\": "
		       "{\"initial_accumulator_value\": 0.5}}");
	assert_true(c.optimizer.initial_accumulator == 0.5);
	c = compile_of(optimizer,
		       "\"optimizer\": {\"module\": \"keras.optimizers\", \"class_name\": \"Lion\", \"config\": "
		       "{\"beta_2\": 0.5, \"learning_rate\": 0.123456789}}");
	assert_int_equal(c.optimizer.kind, FTMPI_LION);
	assert_true(c.optimizer.beta_2 == 0.5);
	assert_true(c.optimizer.learning_rate == 0.123456789);
	c = compile_of("\"from_logits\": true", "\"from_logits\": false");
	assert_int_equal(c.loss, FTMPI_LOSS_SPARSE_CROSS_ENTROPY);
}

static void test_losses_and_metrics(void **state)
{
	static const char *const forms[] = {
		"\"mse\"",
		"\"MSE\"",
		"\"mean_squared_error\"",
		"\"MeanSquaredError\"",
		"[\"mse\"]",
		"{\"module\": \"builtins\", \"class_name\": \"function\", \"config\": \"mean_squared_error\"}",
		"{\"module\": \"keras\", \"class_name\": \"MeanSquaredError\", \"config\": {\"reduction\": \"mean\"}}",
	};
	static const char objects[] = "[{\"module\": \"keras.metrics\", \"class_name\": \"MeanAbsoluteError\", "
				      "\"config\": {\"name\": \"a\", \"dtype\": "
				      "\"float32\"}}, {\"module\": \"builtins\", \"class_name\": \"function\", "
				      "\"config\": \"mean_squared_error\"}]";
	const char *const metrics[] = {"[\"mae\", \"mse\"]", "[[\"MAE\", \"MSE\"]]", objects};

	(void)state;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		for (size_t k = 0; k < sizeof metrics / sizeof metrics[0]; k++) {
			char text[1024];
			ftmpi_keras_model *keras = NULL;
			const ftmpi_compile *c;

			(void)snprintf(
				text, sizeof text,
				"{\"module\": \"keras\", \"class_name\": \"Sequential\", \"config\": {\"layers\": ["
				"{\"module\": \"keras.layers\", \"class_name\": \"InputLayer\", \"config\": "
				"{\"batch_shape\": "
				"[null, 2]}}, {\"module\": \"keras.layers\", \"class_name\": \"Dense\", \"config\": "
				"{\"units\": "
				"1}}]}, \"compile_config\": {\"optimizer\": \"adam\", \"loss\": %s, \"metrics\": %s}}",
				forms[i], metrics[k]);
			assert_ok(parse(text, &keras));
			c = ftmpi_keras_compile(keras);
			assert_int_equal(c->loss, FTMPI_LOSS_MEAN_SQUARED_ERROR);
			assert_int_equal(c->n_metrics, 2);
			assert_int_equal(c->metrics[0], FTMPI_METRIC_MEAN_ABSOLUTE_ERROR);
			assert_int_equal(c->metrics[1], FTMPI_METRIC_MEAN_SQUARED_ERROR);
			ftmpi_keras_close(&keras);
		}
	}
}

static void test_not_compiled(void **state)
{
	char text[512];
	static const char *const forms[] = {"", ", \"compile_config\": null", ", \"compile_config\": {}"};

	(void)state;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		ftmpi_keras_model *keras = NULL;

		(void)snprintf(
			text, sizeof text,
			"{\"module\": \"keras\", \"class_name\": \"Sequential\", \"config\": {\"layers\": ["
			"{\"module\": \"keras.layers\", \"class_name\": \"InputLayer\", \"config\": {\"batch_shape\": "
			"[null, 2]}}, {\"module\": \"keras.layers\", \"class_name\": \"Dense\", \"config\": "
			"{\"units\": "
			"1}}]}%s}",
			forms[i]);
		assert_ok(parse(text, &keras));
		assert_null(ftmpi_keras_compile(keras));
		ftmpi_keras_close(&keras);
	}
}

/* Without weights a model starts from ftmpi's initial values, or not at all. */
static void test_initializers(void **state)
{
	static const struct edit edits[] = {
		{"\"class_name\": \"GlorotUniform\"", "\"class_name\": \"HeNormal\"",
		 "layer 'dense' (Dense): kernel_initializer is HeNormal, and there are no weights"},
		{"\"class_name\": \"Zeros\"", "\"class_name\": \"Ones\"",
		 "bias_initializer is Ones, and there are no weights"},
	};

	(void)state;
	ASSERT_EDITS(sequential, edits);
}

/* The text for a model is what it is, down to the last byte. */
static void test_format(void **state)
{
	static const char expected[] =
		"{\"module\":\"keras\",\"class_name\":\"Sequential\",\"config\":{\"name\":\"ftmpi\",\"layers\":[\n"
		"{\"module\":\"keras.layers\",\"class_name\":\"InputLayer\",\"config\":{\"name\":\"input_layer\","
		"\"dtype\":\"float32\","
		"\"batch_shape\":[null,3,2]},\"registered_name\":null},\n"
		"{\"module\":\"keras.layers\",\"class_name\":\"Flatten\",\"config\":{\"name\":\"flatten\"},"
		"\"registered_name\":null},\n"
		"{\"module\":\"keras.layers\",\"class_name\":\"Dense\",\"config\":{\"name\":\"dense\",\"units\":5,"
		"\"activation\":\"relu\"},\"registered_name\":null},\n"
		"{\"module\":\"keras.layers\",\"class_name\":\"Dropout\",\"config\":{\"name\":\"dropout\",\"rate\":0."
		"25},"
		"\"registered_name\":null},\n"
		"{\"module\":\"keras.layers\",\"class_name\":\"Dense\",\"config\":{\"name\":\"dense_1\",\"units\":3,"
		"\"activation\":\"linear\"},\"registered_name\":null}]},\"registered_name\":null,\n"
		"\"compile_config\":{\"optimizer\":\n"
		" {\"module\":\"keras.optimizers\",\"class_name\":\"Adam\",\"config\":{\"name\":\"adam\",\"learning_"
		"rate\":0.001,"
		"\"beta_1\":0.9,\"beta_2\":0.999,\"epsilon\":1e-07},\"registered_name\":null},\n"
		" \"loss\":{\"module\":\"keras.losses\",\"class_name\":\"SparseCategoricalCrossentropy\",\"config\":{"
		"\"name\":\"sparse_categorical_crossentropy\",\"from_logits\":true},\"registered_name\":null},\n"
		" \"metrics\":[\"accuracy\"]}}\n";
	ftmpi_keras_model *keras = NULL;
	ftmpi_buffer json;

	(void)state;
	assert_ok(parse(sequential.data, &keras));
	json = format(keras);
	assert_string_equal(json.data, expected);
	ftmpi_buffer_clear(&json);
	ftmpi_keras_close(&keras);
}

static void assert_round_trip(const ftmpi_model *model, const ftmpi_compile *compile)
{
	ftmpi_keras_model *keras = NULL;
	ftmpi_buffer json = {0}, again;

	assert_ok(ftmpi_buffer_printf(&json, "before "));
	assert_ok(ftmpi_keras_format(model, compile, &json));
	assert_ok(parse(json.data + strlen("before "), &keras));
	assert_int_equal(ftmpi_keras_compile(keras) != NULL, compile != NULL);
	again = format(keras);
	assert_string_equal(again.data, json.data + strlen("before "));
	ftmpi_buffer_clear(&again);
	ftmpi_buffer_clear(&json);
	ftmpi_keras_close(&keras);
}

/* All optimizers, losses, metrics and activations, with numbers of every form. */
static void test_round_trip(void **state)
{
	static const ftmpi_activation activations[] = {
#define ACTIVATION(id, name) FTMPI_##id,
		FTMPI_ACTIVATION_LIST(ACTIVATION)
#undef ACTIVATION
	};
	static const ftmpi_optimizer_kind kinds[] = {
#define KIND(id, name, class_name) FTMPI_##id,
		FTMPI_OPTIMIZER_LIST(KIND)
#undef KIND
	};
	static const ftmpi_loss losses[] = {
#define LOSS(id, name, class_name, labels) FTMPI_LOSS_##id,
		FTMPI_LOSS_LIST(LOSS)
#undef LOSS
	};
	static const double rates[] = {1, 0.1, 1.0 / 3, 1e-30, 123456789, 0.0010000000474974513};
	const int64_t dims[] = {2, 1, 3};

	(void)state;
	for (size_t a = 0; a < sizeof activations / sizeof activations[0]; a++) {
		const ftmpi_layer_spec specs[] = {{.kind = FTMPI_FLATTEN},
						  {.kind = FTMPI_DENSE, .units = 4, .activation = activations[a]},
						  {.kind = FTMPI_DROPOUT, .rate = 1.0 / 3},
						  {.kind = FTMPI_DENSE, .units = 2}};
		ftmpi_model *model = NULL;

		assert_ok(ftmpi_model_create(dims, 3, specs, 4, &model));
		assert_round_trip(model, NULL);
		for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
			for (size_t l = 0; l < sizeof losses / sizeof losses[0]; l++) {
				ftmpi_compile compile = {.loss = losses[l], .n_metrics = 0};

				ftmpi_optimizer_init(&compile.optimizer, kinds[k]);
				compile.optimizer.learning_rate = rates[(k + l) % 5];
				compile.optimizer.weight_decay = l == 1 ? 0.125 : 0;
				if (kinds[k] == FTMPI_SGD || kinds[k] == FTMPI_RMSPROP)
					compile.optimizer.momentum = 0.75;
				compile.optimizer.nesterov = kinds[k] == FTMPI_SGD;
				compile.optimizer.centered = kinds[k] == FTMPI_RMSPROP;
				if (ftmpi_loss_takes_labels(losses[l]))
					compile.metrics[compile.n_metrics++] = FTMPI_METRIC_ACCURACY;
				else
					compile.metrics[compile.n_metrics++] = FTMPI_METRIC_MEAN_ABSOLUTE_ERROR;
				assert_ok(ftmpi_compile_check(&compile));
				assert_round_trip(model, &compile);
			}
		}
		ftmpi_model_destroy(&model);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequential),     cmocka_unit_test(test_functional),
		cmocka_unit_test(test_layers_refused), cmocka_unit_test(test_layers_taken),
		cmocka_unit_test(test_models_refused), cmocka_unit_test(test_layers_missing),
		cmocka_unit_test(test_chains_refused), cmocka_unit_test(test_compile_refused),
		cmocka_unit_test(test_compile_forms),  cmocka_unit_test(test_losses_and_metrics),
		cmocka_unit_test(test_not_compiled),   cmocka_unit_test(test_initializers),
		cmocka_unit_test(test_format),         cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
