/* SPDX-License-Identifier: Apache-2.0 */
/** @file Passes that train nothing: loss and metrics of a data set, predictions; no dropout; the same bits on any number of ranks. */
#ifndef FTMPI_EVALUATOR_H
#define FTMPI_EVALUATOR_H

#include <ftmpi/comm.h>
#include <ftmpi/compile.h>
#include <ftmpi/dataset.h>
#include <ftmpi/model.h>
#include <ftmpi/registry.h>

FTMPI_BEGIN_DECLS

/** Means over a number of samples. */
typedef struct ftmpi_metrics {
	double loss;
	double values[FTMPI_MAX_METRICS]; /**< the compiled metrics, in their order */
	int64_t n_samples;
} ftmpi_metrics;

typedef struct ftmpi_evaluator ftmpi_evaluator;

/** Collective. What is handed in must outlive the evaluator. @param compile its loss and metrics are used. @param n_workers logical workers ≥ number of
 * ranks. Errors (agreed): ERR_USAGE, ERR_MEMORY, ERR_MPI. */
FTMPI_API ftmpi_status ftmpi_evaluator_create(const ftmpi_comm *comm, const ftmpi_model *model,
					      const ftmpi_compile *compile, int n_workers,
					      ftmpi_evaluator **out) FTMPI_CHECK_RESULT;
/** Collective. NULLs the pointer; NULL is fine. */
FTMPI_API void ftmpi_evaluator_destroy(ftmpi_evaluator **evaluator);

/** Mean loss and metrics, the same on every rank. Collective. @param params arena. Errors (agreed): ERR_DATA (model and data do not fit), ERR_MPI. */
FTMPI_API ftmpi_status ftmpi_evaluator_run(ftmpi_evaluator *evaluator, const float *params,
					   const ftmpi_dataset *dataset, ftmpi_metrics *out) FTMPI_CHECK_RESULT;

/** The model's outputs for every sample, in order. Collective. @param outputs [n_samples, n_outputs], chief only.
 * Errors (agreed): ERR_DATA, ERR_MEMORY, ERR_MPI. */
FTMPI_API ftmpi_status ftmpi_evaluator_predict(ftmpi_evaluator *evaluator, const float *params,
					       const ftmpi_dataset *dataset, float *outputs) FTMPI_CHECK_RESULT;

/** Register a model's parameters under the names that Keras gives them, so that a checkpoint can be saved or loaded. Local. */
FTMPI_API ftmpi_status ftmpi_model_register(const ftmpi_model *model, float *params,
					    ftmpi_registry *registry) FTMPI_CHECK_RESULT;

FTMPI_END_DECLS

#endif
