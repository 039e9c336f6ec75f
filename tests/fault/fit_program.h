/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs of the fault tests share: a small model on made-up data, and its trainer. Batches of 10 are ten an epoch. */
#ifndef FTMPI_TESTS_FIT_PROGRAM_H
#define FTMPI_TESTS_FIT_PROGRAM_H

#include <ftmpi/ftmpi.h>

enum { N_SAMPLES = 97, N_FEATURES = 12, N_CLASSES = 3, N_WORKERS = 4 };

typedef ftmpi_status (*fit_fn)(void *context, const ftmpi_comm *comm, ftmpi_trainer *trainer,
			       const ftmpi_dataset *data);

static ftmpi_status make_data(float *x, int32_t *y, ftmpi_dataset **out)
{
	const int64_t dims[] = {N_FEATURES};
	ftmpi_dataset_options options;

	ftmpi_dataset_options_init(&options);
	options.n_classes = N_CLASSES;
	for (int i = 0; i < N_SAMPLES; i++) {
		y[i] = i % N_CLASSES;
		for (int k = 0; k < N_FEATURES; k++)
			x[i * N_FEATURES + k] = (float)((i * 31 + k * 7 + y[i] * 13) % 64) / 64.0F;
	}
	return ftmpi_dataset_from_memory(x, y, N_SAMPLES, 1, dims, &options, out);
}

/* Call a function with a trainer and its data. Collective. */
static ftmpi_status fit_program(const ftmpi_comm *comm, fit_fn fit, void *context)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_layer_spec specs[] = {{.kind = FTMPI_DENSE, .units = 16, .activation = FTMPI_RELU},
					  {.kind = FTMPI_DROPOUT, .rate = 0.2},
					  {.kind = FTMPI_DENSE, .units = N_CLASSES}};
	const int64_t dims[] = {N_FEATURES};
	float x[N_SAMPLES * N_FEATURES];
	int32_t y[N_SAMPLES];
	ftmpi_trainer_options options;
	ftmpi_compile compile;
	ftmpi_dataset *data = NULL;
	ftmpi_model *model = NULL;
	ftmpi_trainer *trainer = NULL;

	ftmpi_trainer_options_init(&options);
	options.n_workers = N_WORKERS;
	ftmpi_compile_init(&compile);
	FTMPI_TRY(ftmpi_agree(comm, make_data(x, y, &data)));
	FTMPI_TRY(ftmpi_agree(comm, ftmpi_model_create(dims, 1, specs, 3, &model)));
	FTMPI_TRY(ftmpi_trainer_create(comm, model, &compile, &options, &trainer));
	FTMPI_TRY(fit(context, comm, trainer, data));
done:
	ftmpi_trainer_destroy(&trainer);
	ftmpi_model_destroy(&model);
	ftmpi_dataset_destroy(&data);
	return status;
}

#endif
