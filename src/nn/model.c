/* SPDX-License-Identifier: Apache-2.0 */
/* The model: its layers, their names and shapes, and its parameters.
 *
 * Invariants: every size that BLAS takes as an int fits in one; the parameters are in the order of the layers, kernel before bias. */
#include "nn/nn.h"

#include <assert.h>
#include <ftmpi/rng.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What the next layer gets: the shape of one row as far as layers care. */
struct row_shape {
	int n_dims;
	int64_t n_elements;
};

static const char *kind_name(ftmpi_layer_kind kind)
{
	switch (kind) {
	case FTMPI_FLATTEN:
		return "flatten";
	case FTMPI_DENSE:
		return "dense";
	case FTMPI_DROPOUT:
		return "dropout";
	}
	return NULL;
}

static ftmpi_status check_inputs(const int64_t *dims, int n_dims, struct row_shape *out)
{
	ftmpi_status status = FTMPI_OK;
	int64_t n = 1;

	if (n_dims < 1 || n_dims > FTMPI_MODEL_MAX_DIMS)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "a sample has %d dimensions; a model takes 1 to %d", n_dims,
			   FTMPI_MODEL_MAX_DIMS);
	for (int i = 0; i < n_dims; i++) {
		if (dims[i] < 1)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "dimension %d of a sample is %lld; it must be at least 1", i,
				   (long long)dims[i]);
		if (__builtin_mul_overflow(n, dims[i], &n) || n > INT_MAX)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "a sample has more than %d elements; use smaller samples", INT_MAX);
	}
	*out = (struct row_shape){n_dims, n};
done:
	return status;
}

static ftmpi_status check_dense(const ftmpi_layer_spec *spec, const char *name, int i, const struct row_shape *shape)
{
	ftmpi_status status = FTMPI_OK;

	if (spec->units < 1 || spec->units > INT_MAX)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "layer %d (%s): units is %lld; it must be 1 to %d", i, name,
			   (long long)spec->units, INT_MAX);
	if (strcmp(ftmpi_activation_name(spec->activation), "unknown") == 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "layer %d (%s): activation %d is unknown; use a value of ftmpi_activation",
			   i, name, (int)spec->activation);
	if (shape->n_dims != 1)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "layer %d (%s): its input has %d dimensions; put a flatten layer before it",
			   i, name, shape->n_dims);
done:
	return status;
}

/* Give layer i its spec, name and sizes; *shape goes from its input to its output. */
static ftmpi_status set_layer(ftmpi_model *model, int i, const ftmpi_layer_spec *spec, struct row_shape *shape)
{
	ftmpi_status status = FTMPI_OK;
	struct ftmpi__layer *layer = &model->layers[i];
	const char *kind = kind_name(spec->kind);
	int n_before = 0;

	if (kind == NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "layer %d: kind %d is unknown; use a value of ftmpi_layer_kind", i,
			   (int)spec->kind);
	for (int j = 0; j < i; j++)
		n_before += model->layers[j].spec.kind == spec->kind;
	if (n_before == 0)
		(void)snprintf(layer->name, sizeof layer->name, "%s", kind);
	else
		(void)snprintf(layer->name, sizeof layer->name, "%s_%d", kind, n_before);

	if (spec->kind == FTMPI_DENSE)
		FTMPI_TRY(check_dense(spec, layer->name, i, shape));
	if (spec->kind == FTMPI_DROPOUT && !(spec->rate >= 0 && spec->rate < 1))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "layer %d (%s): rate is %g; it must be at least 0 and below 1", i,
			   layer->name, spec->rate);
	layer->spec = *spec;
	layer->param = -1;
	layer->n_inputs = shape->n_elements;
	if (spec->kind == FTMPI_DENSE)
		*shape = (struct row_shape){1, spec->units};
	else if (spec->kind == FTMPI_FLATTEN)
		shape->n_dims = 1;
	layer->n_outputs = shape->n_elements;
done:
	return status;
}

/* The two parameters of a dense layer. */
static void describe_params(const struct ftmpi__layer *layer, ftmpi_param params[2])
{
	params[0] = (ftmpi_param){.index = 0, .n_dims = 2, .dims = {layer->n_inputs, layer->n_outputs}};
	params[1] = (ftmpi_param){.index = 1, .n_dims = 1, .dims = {layer->n_outputs}};
	for (int i = 0; i < 2; i++)
		memcpy(params[i].layer, layer->name, sizeof params[i].layer);
}

static ftmpi_status set_params(ftmpi_model *model)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_param *params = NULL;
	int n = 0;

	model->first_dense = -1;
	FTMPI_TRY(FTMPI_ALLOC(2 * (int64_t)model->n_layers, &params));
	for (int i = 0; i < model->n_layers; i++) {
		struct ftmpi__layer *layer = &model->layers[i];

		if (layer->spec.kind != FTMPI_DENSE)
			continue;
		if (model->first_dense < 0)
			model->first_dense = i;
		layer->param = n;
		describe_params(layer, params + n);
		n += 2;
	}
	if (n == 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "the model has no parameters: add a dense layer");
	FTMPI_TRY(ftmpi_layout_create(params, n, &model->layout));
done:
	ftmpi_free(params);
	return status;
}

ftmpi_status ftmpi_model_create(const int64_t *dims, int n_dims, const ftmpi_layer_spec *specs, int n_layers,
				ftmpi_model **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_model *model = NULL;
	struct row_shape shape = {0, 0};

	FTMPI_TRY(check_inputs(dims, n_dims, &shape));
	if (n_layers < 1)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "a model has %d layers; it needs at least 1", n_layers);
	FTMPI_TRY(FTMPI_ALLOC(1, &model));
	FTMPI_TRY(FTMPI_ALLOC(n_layers, &model->layers));
	model->n_layers = n_layers;
	model->max_width = shape.n_elements;
	model->n_dims = n_dims;
	memcpy(model->dims, dims, (size_t)n_dims * sizeof dims[0]);
	for (int i = 0; i < n_layers; i++) {
		FTMPI_TRY(set_layer(model, i, &specs[i], &shape));
		if (shape.n_elements > model->max_width)
			model->max_width = shape.n_elements;
	}
	FTMPI_TRY(set_params(model));
	ftmpi__blas_single_thread();
	*out = model;
	model = NULL;
done:
	ftmpi_model_destroy(&model);
	return status;
}

void ftmpi_model_destroy(ftmpi_model **model)
{
	if (*model == NULL)
		return;
	ftmpi_layout_destroy(&(*model)->layout);
	ftmpi_free((*model)->layers);
	ftmpi_free(*model);
	*model = NULL;
}

const ftmpi_layout *ftmpi_model_layout(const ftmpi_model *model)
{
	return model->layout;
}

const int64_t *ftmpi_model_dims(const ftmpi_model *model, int *n_dims)
{
	*n_dims = model->n_dims;
	return model->dims;
}

int64_t ftmpi_model_n_inputs(const ftmpi_model *model)
{
	return model->layers[0].n_inputs;
}

int64_t ftmpi_model_n_outputs(const ftmpi_model *model)
{
	return model->layers[model->n_layers - 1].n_outputs;
}

int ftmpi_model_n_layers(const ftmpi_model *model)
{
	return model->n_layers;
}

const char *ftmpi_model_layer_name(const ftmpi_model *model, int i)
{
	assert(i >= 0 && i < model->n_layers);
	return model->layers[i].name;
}

const ftmpi_layer_spec *ftmpi_model_layer_spec(const ftmpi_model *model, int i)
{
	assert(i >= 0 && i < model->n_layers);
	return &model->layers[i].spec;
}

/* w[K,N] uniform in [−limit, limit). Row k is index k of the stream (seed, FTMPI_RNG_INIT, layer, 0), column j is its word j. */
static void init_kernel(const struct ftmpi__layer *layer, int index, uint64_t seed, float *w)
{
	const int64_t n_rows = layer->n_inputs, n = layer->n_outputs;
	const float limit = (float)sqrt(6.0 / (double)(n_rows + n));
	const ftmpi_rng rng = ftmpi_rng_stream(seed, FTMPI_RNG_INIT, (uint64_t)index, 0);

	for (int64_t k = 0; k < n_rows; k++) {
		for (int64_t j = 0; j < n; j += 4) {
			uint32_t words[4];

			ftmpi_rng_block(rng, (uint64_t)k, (uint32_t)(j / 4), words);
			for (int64_t u = j; u < n && u < j + 4; u++)
				w[k * n + u] = limit * (2.0F * ftmpi_rng_unit(words[u - j]) - 1.0F);
		}
	}
}

void ftmpi_model_init_params(const ftmpi_model *model, uint64_t seed, float *params)
{
	memset(params, 0, (size_t)model->layout->n_elements * sizeof *params);
	for (int i = 0; i < model->n_layers; i++) {
		const struct ftmpi__layer *layer = &model->layers[i];

		if (layer->param >= 0)
			init_kernel(layer, i, seed, params + model->layout->params[layer->param].offset);
	}
}
