/* SPDX-License-Identifier: Apache-2.0 */
/* What the benches share: the guide's model B, synthetic data for it (whole batches of 2048 an epoch), a clock, and an order for medians. */
#ifndef FTMPI_BENCH_MODEL_B_H
#define FTMPI_BENCH_MODEL_B_H

#include <ftmpi/ftmpi.h>

#include <stdlib.h>
#include <time.h>

enum { N_SAMPLES = 20480, N_INPUTS = 784, N_HIDDEN = 512, N_CLASSES = 10, MAX_DENSE = 8 };

static inline double now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A pattern of the class under noise. With every fifth label drawn anew there is something to learn, and no loss of 0. */
static inline void fill_sample(uint64_t i, int32_t class, float *x)
{
	uint32_t words[4] = {0};

	for (int k = 0; k < N_INPUTS; k++) {
		if (k % 4 == 0)
			ftmpi_rng_block(ftmpi_rng_stream(1, FTMPI_RNG_USER, 1, 0), i, (uint32_t)(k / 4), words);
		x[k] = (float)((k * (2 * class + 3)) % 64 + (int)(words[k % 4] % 192)) / 255.0F;
	}
}

static inline ftmpi_status make_data(float **x, int32_t **y, ftmpi_dataset **out)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t dims[] = {28, 28};
	ftmpi_dataset_options options;

	ftmpi_dataset_options_init(&options);
	FTMPI_TRY(FTMPI_ALLOC((int64_t)N_SAMPLES * N_INPUTS, x));
	FTMPI_TRY(FTMPI_ALLOC(N_SAMPLES, y));
	for (int64_t i = 0; i < N_SAMPLES; i++) {
		uint32_t words[4];

		ftmpi_rng_block(ftmpi_rng_stream(1, FTMPI_RNG_USER, 0, 0), (uint64_t)i, 0, words);
		(*y)[i] = (int32_t)(words[0] % N_CLASSES);
		fill_sample((uint64_t)i, (*y)[i], *x + i * N_INPUTS);
		if (words[1] % 5 == 0)
			(*y)[i] = (int32_t)(words[2] % N_CLASSES);
	}
	FTMPI_TRY(ftmpi_dataset_from_memory(*x, *y, N_SAMPLES, 2, dims, &options, out));
done:
	return status;
}

static inline int compare_doubles(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* @param widths [n_dense + 1] inputs (784), hidden layers (relu, dropout 0.2 after each), outputs. @param n_dense up to MAX_DENSE. */
static inline ftmpi_status make_layers(const int *widths, int n_dense, ftmpi_model **out)
{
	const int64_t dims[] = {28, 28};
	ftmpi_layer_spec specs[2 * MAX_DENSE] = {{.kind = FTMPI_FLATTEN}};
	int n = 1;

	for (int l = 1; l < n_dense; l++) {
		specs[n++] = (ftmpi_layer_spec){.kind = FTMPI_DENSE, .units = widths[l], .activation = FTMPI_RELU};
		specs[n++] = (ftmpi_layer_spec){.kind = FTMPI_DROPOUT, .rate = 0.2};
	}
	specs[n++] = (ftmpi_layer_spec){.kind = FTMPI_DENSE, .units = widths[n_dense]};
	return ftmpi_model_create(dims, 2, specs, n, out);
}

static inline ftmpi_status make_model(ftmpi_model **out)
{
	const int widths[] = {N_INPUTS, N_HIDDEN, N_CLASSES};

	return make_layers(widths, 2, out);
}

#endif
