/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the nn layer share: the model, the workspace, and the passes of each kind of layer.
 *
 * Shapes in comments: B rows of a pass, K inputs and N outputs of a layer. All arrays are row-major and dense. */
#ifndef FTMPI_NN_NN_H
#define FTMPI_NN_NN_H

#include <ftmpi/model.h>

/* Elements that a parameter's place in the arena is a multiple of: one cache line of float32. */
enum { FTMPI__ARENA_STEP = 16 };

struct ftmpi__layer {
	ftmpi_layer_spec spec;
	char name[sizeof((ftmpi_param *)0)->layer];
	int64_t n_inputs, n_outputs; /* per row */
	int param;                   /* Dense: its kernel's place in the table, the bias follows; else −1 */
};

struct ftmpi_model {
	int64_t dims[FTMPI_MODEL_MAX_DIMS]; /* of one sample */
	int n_dims;
	struct ftmpi__layer *layers;
	int n_layers;
	int first_dense;   /* no layer below it needs a gradient */
	int64_t max_width; /* widest input or output of a layer */
	ftmpi_layout *layout;
};

/* One layer's part of the workspace. What a layer does not need is NULL. */
struct ftmpi__trace {
	float *y;         /* Dense, Dropout: outputs [B,N] */
	float *z;         /* Dense with gelu: values before the activation [B,N] */
	uint8_t *mask;    /* Dropout: 1 where kept [B,N] */
	const float *out; /* outputs of the last pass: y, or the layer's input where it passes that on */
};

struct ftmpi_workspace {
	int64_t max_rows;
	int64_t rows; /* of the last pass */
	int n_layers;
	struct ftmpi__trace *traces;
	uint32_t *words; /* random words of one row */
	float *d[2];     /* gradients between layers [B,max_width], used in turn */
};

/* Dense. x[B,K], w[K,N], b[N]. */
struct ftmpi__dense_args {
	ftmpi_activation activation;
	int64_t rows, n_inputs, n_outputs;
	const float *x, *w, *b;
};

void ftmpi__dense_forward(const struct ftmpi__dense_args *args, struct ftmpi__trace *trace);

/* d[B,N] is the gradient by the outputs and becomes that by the values before the activation; dx[B,K] may be NULL. */
void ftmpi__dense_backward(const struct ftmpi__dense_args *args, const struct ftmpi__trace *trace, float *d, float *dw,
			   float *db, float *dx);

/* y[B,N] = f(y[B,N] + b[N]), in place; gelu leaves y + b in z. */
void ftmpi__activation_forward(ftmpi_activation activation, int64_t rows, int64_t n, const float *b, float *y,
			       float *z);

/* d[B,N] *= f'(…), in place; db[N] = column sums of the result, rows added in order. */
void ftmpi__activation_backward(ftmpi_activation activation, int64_t rows, int64_t n, const float *y, const float *z,
				float *d, float *db);

/* Whether a layer does anything in this pass. */
bool ftmpi__dropout_active(const struct ftmpi__layer *layer, const ftmpi_pass *pass);

/* y[B,N] = x[B,N]·mask/(1 − rate). `words` holds N random words. */
void ftmpi__dropout_forward(const struct ftmpi__layer *layer, int index, int64_t rows, const ftmpi_pass *pass,
			    const float *x, uint32_t *words, struct ftmpi__trace *trace);

/* dx[B,N] = dy[B,N]·mask/(1 − rate), in place. */
void ftmpi__dropout_backward(const struct ftmpi__layer *layer, int64_t rows, const struct ftmpi__trace *trace,
			     float *d);

/* BLAS on one thread from here on, in the whole process: the number of threads changes the bits. */
void ftmpi__blas_single_thread(void);

/* c[M,N] = op(a)[M,K] · op(b)[K,N], op: the transpose where asked for. c is overwritten, whatever it held. */
struct ftmpi__matrix {
	const float *data;
	bool transposed;
};
void ftmpi__blas_multiply(int64_t m, int64_t n, int64_t k, struct ftmpi__matrix a, struct ftmpi__matrix b, float *c);

#endif
