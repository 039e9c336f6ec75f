/* SPDX-License-Identifier: Apache-2.0 */
/* The one file that calls BLAS: a row-major product of dense matrices, on one thread.
 *
 * OpenBLAS's bits depend on the number of threads, on the core type and on the shape of the call; with one thread and one shape they are
 * stable. The model's creation fixes the thread count; the caller fixes the shape. */
#include "nn/nn.h"

#include <cblas.h>
#include <stdio.h>

void ftmpi__blas_single_thread(void)
{
	openblas_set_num_threads(1);
}

const char *ftmpi_blas_description(void)
{
	static _Thread_local char text[256];

	(void)snprintf(text, sizeof text, "%s; core %s; threads %d", openblas_get_config(), openblas_get_corename(),
		       openblas_get_num_threads());
	return text;
}

void ftmpi__blas_multiply(int64_t m, int64_t n, int64_t k, struct ftmpi__matrix a, struct ftmpi__matrix b, float *c)
{
	/* A row-major matrix has its own number of columns as its stride: a is [M,K], or [K,M] when transposed. */
	cblas_sgemm(CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans, b.transposed ? CblasTrans : CblasNoTrans,
		    (int)m, (int)n, (int)k, 1.0F, a.data, (int)(a.transposed ? m : k), b.data,
		    (int)(b.transposed ? k : n), 0.0F, c, (int)n);
}
