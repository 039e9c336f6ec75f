/* SPDX-License-Identifier: Apache-2.0 */
/* The floor of a data-parallel step with Adam: parts that no program can leave out, each at the speed that this machine has for it in the same
 * process, over arrays of the same sizes.
 *
 *     sgemm      forward, weight gradients, input gradients (none for the first layer) of all layers, one thread a rank, all ranks at once
 *     optimizer  reads gradient, parameters and two slots, writes the latter three, with one addition each: the traffic of Adam on a rank's share
 *     exchange   2 (size − 1) times size-th parts of the gradient, each rank to the next: the bytes of a reduce-scatter and an allgather
 *
 * Biases, activations, dropout and losses are left out. Invariant: nothing here is read by anything; only the clock is. */
#include "bench/floor.h"

#include "base/kernel.h"

#include <ftmpi/memory.h>

#include <cblas.h>
#include <mpi.h>

enum { N_ARENAS = 4, GRADS = 3, TAG = 1 };

struct bench_floor {
	int size, rank;
	int n_layers, rows, n_passes;
	int widths[FLOOR_MAX_LAYERS + 1];
	int64_t n_params;
	float *arenas[N_ARENAS];                                                 /* parameters, two slots, gradient */
	float *activations[FLOOR_MAX_LAYERS + 1], *deltas[FLOOR_MAX_LAYERS + 1]; /* [rows, width] */
};

static ftmpi_status create_local(bench_floor *f)
{
	ftmpi_status status = FTMPI_OK;

	for (int l = 0; l < f->n_layers; l++)
		f->n_params += (int64_t)f->widths[l] * f->widths[l + 1];
	for (int i = 0; i < N_ARENAS; i++) {
		FTMPI_TRY(FTMPI_ALLOC(f->n_params, &f->arenas[i]));
		for (int64_t k = 0; k < f->n_params; k++)
			f->arenas[i][k] = 1e-3F * (float)(k % 7);
	}
	for (int l = 0; l <= f->n_layers; l++) {
		FTMPI_TRY(FTMPI_ALLOC((int64_t)f->rows * f->widths[l], &f->activations[l]));
		FTMPI_TRY(FTMPI_ALLOC((int64_t)f->rows * f->widths[l], &f->deltas[l]));
		for (int64_t k = 0; k < (int64_t)f->rows * f->widths[l]; k++)
			f->activations[l][k] = f->deltas[l][k] = 1e-3F * (float)(k % 5);
	}
done:
	return status;
}

ftmpi_status bench_floor_create(const ftmpi_comm *comm, const int *widths, int n_layers, int rows, int n_passes,
				bench_floor **out)
{
	ftmpi_status status = FTMPI_OK;
	bench_floor *f = NULL;

	FTMPI_TRY(FTMPI_ALLOC(1, &f));
	f->size = ftmpi_comm_size(comm);
	f->rank = ftmpi_comm_rank(comm);
	f->n_layers = n_layers;
	f->rows = rows;
	f->n_passes = n_passes;
	for (int l = 0; l <= n_layers; l++)
		f->widths[l] = widths[l];
	FTMPI_TRY(ftmpi_agree(comm, create_local(f)));
	*out = f;
	f = NULL;
done:
	bench_floor_destroy(&f);
	return status;
}

void bench_floor_destroy(bench_floor **floor)
{
	bench_floor *f = *floor;

	if (f == NULL)
		return;
	for (int i = 0; i < N_ARENAS; i++)
		ftmpi_free(f->arenas[i]);
	for (int l = 0; l <= FLOOR_MAX_LAYERS; l++) {
		ftmpi_free(f->activations[l]);
		ftmpi_free(f->deltas[l]);
	}
	ftmpi_free(f);
	*floor = NULL;
}

/* Forward:   a[l+1][R,N] = a[l][R,K] · w[l][K,N]
 * Backward:  dw[l][K,N] = a[l]ᵀ · d[l+1];   d[l][R,K] = d[l+1] · w[l]ᵀ for l > 0
 * A beta of 0: what is there is overwritten, so that no number grows from step to step. */
static void run_products(bench_floor *f)
{
	const float *w = f->arenas[0];
	int64_t offset = 0;

	for (int l = 0; l < f->n_layers; l++) {
		const int k = f->widths[l], n = f->widths[l + 1];

		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, f->rows, n, k, 1, f->activations[l], k,
			    w + offset, n, 0, f->activations[l + 1], n);
		offset += (int64_t)k * n;
	}
	for (int l = f->n_layers - 1; l >= 0; l--) {
		const int k = f->widths[l], n = f->widths[l + 1];

		offset -= (int64_t)k * n;
		cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, k, n, f->rows, 1, f->activations[l], k,
			    f->deltas[l + 1], n, 0, f->arenas[GRADS] + offset, n);
		if (l > 0)
			cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, f->rows, k, n, 1, f->deltas[l + 1], n,
				    w + offset, n, 0, f->deltas[l], k);
	}
}

FTMPI_KERNEL static void add_to_three(int64_t n, const float *restrict g, float *restrict p, float *restrict m,
				      float *restrict v)
{
	for (int64_t i = 0; i < n; i++) {
		p[i] = g[i] - p[i];
		m[i] = g[i] - m[i];
		v[i] = g[i] - v[i];
	}
}

static void run_pass(const bench_floor *f)
{
	const int64_t n = f->n_params / f->size, first = n * f->rank;

	add_to_three(n, f->arenas[GRADS] + first, f->arenas[0] + first, f->arenas[1] + first, f->arenas[2] + first);
}

static void run_messages(const bench_floor *f)
{
	const int n = (int)(f->n_params / f->size);
	const int next = (f->rank + 1) % f->size, previous = (f->rank + f->size - 1) % f->size;

	for (int i = 0; i < 2 * (f->size - 1); i++)
		(void)MPI_Sendrecv(f->arenas[GRADS], n, MPI_FLOAT, next, TAG, f->arenas[0] + (int64_t)n, n, MPI_FLOAT,
				   previous, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

ftmpi_status bench_floor_measure(bench_floor *f, int steps, floor_times *out)
{
	double mine[3] = {0}, slowest[3];

	(void)MPI_Barrier(MPI_COMM_WORLD);
	for (int s = 0; s < steps; s++) {
		const double begin_s = MPI_Wtime();
		double products_s, pass_s;

		for (int i = 0; i < f->n_passes; i++)
			run_products(f);
		products_s = MPI_Wtime();
		run_pass(f);
		pass_s = MPI_Wtime();
		(void)MPI_Barrier(MPI_COMM_WORLD); /* waiting for a slower rank is no message */
		mine[0] += products_s - begin_s;
		mine[1] += pass_s - products_s;
		pass_s = MPI_Wtime();
		run_messages(f);
		mine[2] += MPI_Wtime() - pass_s;
	}
	if (MPI_Allreduce(mine, slowest, 3, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD) != MPI_SUCCESS)
		return ftmpi_error_set(FTMPI_ERR_MPI, __FILE__, __LINE__, "MPI_Allreduce failed");
	*out = (floor_times){
		.sgemm_s = slowest[0] / steps, .optimizer_s = slowest[1] / steps, .exchange_s = slowest[2] / steps};
	return FTMPI_OK;
}
