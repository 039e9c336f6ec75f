/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the trainer share: a little data set and a model for it. */
#ifndef FTMPI_TESTS_TRAINER_TEST_H
#define FTMPI_TESTS_TRAINER_TEST_H

#include "mpi/mpi_test.h"

#include <ftmpi/ftmpi.h>
#include <math.h>

enum { N_SAMPLES = 103, N_FEATURES = 12, N_CLASSES = 3, N_WORKERS = 4 };

static float inputs[N_SAMPLES * N_FEATURES];
static int32_t labels[N_SAMPLES];
static ftmpi_dataset *data;
static ftmpi_model *model;

static int setup(void **state)
{
	const int64_t dims[] = {3, 4};
	const ftmpi_layer_spec specs[] = {{.kind = FTMPI_FLATTEN},
					  {.kind = FTMPI_DENSE, .units = 7, .activation = FTMPI_RELU},
					  {.kind = FTMPI_DROPOUT, .rate = 0.25},
					  {.kind = FTMPI_DENSE, .units = N_CLASSES}};
	ftmpi_dataset_options options;

	(void)state;
	ftmpi_dataset_options_init(&options);
	options.n_classes = N_CLASSES;
	for (int i = 0; i < N_SAMPLES; i++) {
		labels[i] = i % N_CLASSES;
		for (int k = 0; k < N_FEATURES; k++)
			inputs[i * N_FEATURES + k] = sinf((float)(i * 7 + k * 3)) + (float)(k % N_CLASSES == labels[i]);
	}
	assert_ok(ftmpi_dataset_from_memory(inputs, labels, N_SAMPLES, 2, dims, &options, &data));
	assert_ok(ftmpi_model_create(dims, 2, specs, 4, &model));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ftmpi_dataset_destroy(&data);
	ftmpi_model_destroy(&model);
	return 0;
}

#endif
