/* SPDX-License-Identifier: Apache-2.0 */
/* Workspace, forward and backward pass.
 *
 * A layer that only passes its input on (flatten; dropout outside training) costs nothing: its output is its input's address. Every
 * other layer's output keeps its place until the next pass, which makes the backward pass repeatable. Going down, the gradient between
 * two layers lives in one of two buffers: a dense layer reads one and writes the other; dropout works in place. */
#include "nn/nn.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

static ftmpi_status create_trace(const struct ftmpi__layer *layer, int64_t max_rows, struct ftmpi__trace *trace)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t n = max_rows * layer->n_outputs; /* each fits in an int */

	if (layer->spec.kind == FTMPI_DENSE || layer->spec.kind == FTMPI_DROPOUT)
		FTMPI_TRY(FTMPI_ALLOC(n, &trace->y));
	if (layer->spec.kind == FTMPI_DENSE && layer->spec.activation == FTMPI_GELU)
		FTMPI_TRY(FTMPI_ALLOC(n, &trace->z));
	if (layer->spec.kind == FTMPI_DROPOUT)
		FTMPI_TRY(FTMPI_ALLOC(n, &trace->mask));
done:
	return status;
}

ftmpi_status ftmpi_workspace_create(const ftmpi_model *model, int64_t max_rows, ftmpi_workspace **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_workspace *workspace = NULL;

	if (max_rows < 1 || max_rows > INT_MAX)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "a pass of %lld rows: the number of rows must be 1 to %d",
			   (long long)max_rows, INT_MAX);
	FTMPI_TRY(FTMPI_ALLOC(1, &workspace));
	FTMPI_TRY(FTMPI_ALLOC(model->n_layers, &workspace->traces));
	workspace->n_layers = model->n_layers;
	workspace->max_rows = max_rows;
	for (int i = 0; i < model->n_layers; i++)
		FTMPI_TRY(create_trace(&model->layers[i], max_rows, &workspace->traces[i]));
	FTMPI_TRY(FTMPI_ALLOC(model->max_width, &workspace->words));
	for (int i = 0; i < 2; i++)
		FTMPI_TRY(FTMPI_ALLOC(max_rows * model->max_width, &workspace->d[i]));
	*out = workspace;
	workspace = NULL;
done:
	ftmpi_workspace_destroy(&workspace);
	return status;
}

void ftmpi_workspace_destroy(ftmpi_workspace **workspace)
{
	ftmpi_workspace *ws = *workspace;

	if (ws == NULL)
		return;
	for (int i = 0; i < ws->n_layers; i++) {
		ftmpi_free(ws->traces[i].y);
		ftmpi_free(ws->traces[i].z);
		ftmpi_free(ws->traces[i].mask);
	}
	ftmpi_free(ws->traces);
	ftmpi_free(ws->words);
	ftmpi_free(ws->d[0]);
	ftmpi_free(ws->d[1]);
	ftmpi_free(ws);
	*workspace = NULL;
}

static const float *layer_input(const ftmpi_workspace *workspace, int i, const float *x)
{
	return i == 0 ? x : workspace->traces[i - 1].out;
}

static struct ftmpi__dense_args dense_args(const ftmpi_model *model, const struct ftmpi__layer *layer,
					   const float *params, const float *x, int64_t rows)
{
	return (struct ftmpi__dense_args){
		.activation = layer->spec.activation,
		.rows = rows,
		.n_inputs = layer->n_inputs,
		.n_outputs = layer->n_outputs,
		.x = x,
		.w = params + model->layout->params[layer->param].offset,
		.b = params + model->layout->params[layer->param + 1].offset,
	};
}

const float *ftmpi_model_forward(const ftmpi_model *model, const float *params, const float *x, int64_t rows,
				 const ftmpi_pass *pass, ftmpi_workspace *workspace)
{
	assert(rows >= 1 && rows <= workspace->max_rows);
	workspace->rows = rows;
	for (int i = 0; i < model->n_layers; i++) {
		const struct ftmpi__layer *layer = &model->layers[i];
		struct ftmpi__trace *trace = &workspace->traces[i];
		const float *input = layer_input(workspace, i, x);

		if (layer->spec.kind == FTMPI_DENSE) {
			const struct ftmpi__dense_args args = dense_args(model, layer, params, input, rows);

			ftmpi__dense_forward(&args, trace);
		} else if (ftmpi__dropout_active(layer, pass)) {
			ftmpi__dropout_forward(layer, i, rows, pass, input, workspace->words, trace);
		} else {
			trace->out = input;
		}
	}
	return workspace->traces[model->n_layers - 1].out;
}

/* The dense layers write all parameters; what is left of the arena is zero. */
static void clear_gaps(const ftmpi_layout *layout, float *arena)
{
	for (int i = 0; i < layout->n_params; i++) {
		const int64_t end = layout->params[i].offset + layout->params[i].n_elements;
		const int64_t next = i + 1 < layout->n_params ? layout->params[i + 1].offset : layout->n_elements;

		memset(arena + end, 0, (size_t)(next - end) * sizeof *arena);
	}
}

void ftmpi_model_backward(const ftmpi_model *model, const float *params, const float *x, int64_t rows,
			  const ftmpi_pass *pass, ftmpi_workspace *workspace, float *d_outputs, float *grads)
{
	float *d = d_outputs;
	int next = 0;

	assert(rows == workspace->rows);
	clear_gaps(model->layout, grads);
	for (int i = model->n_layers - 1; i >= model->first_dense; i--) {
		const struct ftmpi__layer *layer = &model->layers[i];
		const struct ftmpi__trace *trace = &workspace->traces[i];

		if (layer->spec.kind == FTMPI_DENSE) {
			const struct ftmpi__dense_args args =
				dense_args(model, layer, params, layer_input(workspace, i, x), rows);
			float *dx = i > model->first_dense ? workspace->d[next] : NULL;

			ftmpi__dense_backward(&args, trace, d, grads + model->layout->params[layer->param].offset,
					      grads + model->layout->params[layer->param + 1].offset, dx);
			d = dx;
			next = 1 - next;
		} else if (ftmpi__dropout_active(layer, pass)) {
			ftmpi__dropout_backward(layer, rows, trace, d);
		}
	}
}
