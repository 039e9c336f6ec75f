/* SPDX-License-Identifier: Apache-2.0 */
/* What a step would cost of bare parts: the matrix products, one pass over the optimizer's arrays, and messages of the same bytes from rank to rank, each the slowest
 * rank's. Ranks that share memory can be faster than the messages. What bench_step and bench_serve measure beside the step. */
#ifndef FTMPI_BENCH_FLOOR_H
#define FTMPI_BENCH_FLOOR_H

#include <ftmpi/comm.h>

enum { FLOOR_MAX_LAYERS = 8 };

typedef struct floor_times {
	double sgemm_s;     /* the matrix products of a rank's rows */
	double optimizer_s; /* one pass over the rank's slice of parameters, gradient and two slots */
	double exchange_s;  /* the bytes of a reduce-scatter and an allgather, point to point */
} floor_times;

typedef struct bench_floor bench_floor;

/**
 * Collective. @param widths [n_layers + 1] inputs, hidden layers, outputs. @param rows of this rank in a step, at least 1.
 * @param n_passes times that a rank runs these rows in a step: its logical workers. Errors (agreed): ERR_MEMORY.
 */
ftmpi_status bench_floor_create(const ftmpi_comm *comm, const int *widths, int n_layers, int rows, int n_passes,
				bench_floor **out) FTMPI_CHECK_RESULT;
void bench_floor_destroy(bench_floor **f);

/** Seconds a step of each part, of the slowest rank. Collective. Errors: ERR_MPI. */
ftmpi_status bench_floor_measure(bench_floor *f, int steps, floor_times *out) FTMPI_CHECK_RESULT;

#endif
