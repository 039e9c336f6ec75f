/* SPDX-License-Identifier: Apache-2.0 */
/* Dense: y = f(x·w + b), and its gradients. One product of matrices a direction, and one pass over the outputs for all that is elementwise. */
#include "nn/nn.h"

void ftmpi__dense_forward(const struct ftmpi__dense_args *args, struct ftmpi__trace *trace)
{
	const struct ftmpi__matrix x = {args->x, false}, w = {args->w, false};

	/* y[B,N] = x[B,K] · w[K,N] */
	ftmpi__blas_multiply(args->rows, args->n_outputs, args->n_inputs, x, w, trace->y);
	/* y[B,N] = f(y[B,N] + b[N]) */
	ftmpi__activation_forward(args->activation, args->rows, args->n_outputs, args->b, trace->y, trace->z);
	trace->out = trace->y;
}

void ftmpi__dense_backward(const struct ftmpi__dense_args *args, const struct ftmpi__trace *trace, float *d, float *dw,
			   float *db, float *dx)
{
	const struct ftmpi__matrix x_t = {args->x, true}, w_t = {args->w, true}, dy = {d, false};

	/* d[B,N] *= f'; db[N] = Σ_B d[B,N] */
	ftmpi__activation_backward(args->activation, args->rows, args->n_outputs, trace->y, trace->z, d, db);
	/* dw[K,N] = x[B,K]ᵀ · d[B,N] */
	ftmpi__blas_multiply(args->n_inputs, args->n_outputs, args->rows, x_t, dy, dw);
	/* dx[B,K] = d[B,N] · w[K,N]ᵀ */
	if (dx != NULL)
		ftmpi__blas_multiply(args->rows, args->n_inputs, args->n_outputs, dy, w_t, dx);
}
