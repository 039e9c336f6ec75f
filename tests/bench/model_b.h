/* SPDX-License-Identifier: Apache-2.0 */
/* What the benches share: the guide's model B, synthetic data for it, a clock, and an order for medians. */
#ifndef FTMPI_BENCH_MODEL_B_H
#define FTMPI_BENCH_MODEL_B_H

#include <ftmpi/ftmpi.h>

#include <stdlib.h>
#include <time.h>

enum { N_SAMPLES = 20000, N_INPUTS = 784, N_HIDDEN = 512, N_CLASSES = 10 };

static double now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static ftmpi_status make_data(float **x, int32_t **y, ftmpi_dataset **out)
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
		for (int64_t k = 0; k < N_INPUTS; k++)
			(*x)[i * N_INPUTS + k] = (float)((i * 31 + k * 7 + (int64_t)(*y)[i] * 13) % 256) / 255.0F;
	}
	FTMPI_TRY(ftmpi_dataset_from_memory(*x, *y, N_SAMPLES, 2, dims, &options, out));
done:
	return status;
}

static int compare_doubles(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static ftmpi_status make_model(ftmpi_model **out)
{
	const int64_t dims[] = {28, 28};
	const ftmpi_layer_spec specs[] = {{.kind = FTMPI_FLATTEN},
					  {.kind = FTMPI_DENSE, .units = N_HIDDEN, .activation = FTMPI_RELU},
					  {.kind = FTMPI_DROPOUT, .rate = 0.2},
					  {.kind = FTMPI_DENSE, .units = N_CLASSES}};

	return ftmpi_model_create(dims, 2, specs, 4, out);
}

#endif
