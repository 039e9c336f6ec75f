/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a data set through a model: the part that training and evaluation share. */
#ifndef FTMPI_TRAIN_ROWS_H
#define FTMPI_TRAIN_ROWS_H

#include <ftmpi/compile.h>
#include <ftmpi/dataset.h>
#include <ftmpi/model.h>

/** Sums of a pass: the loss, then the metrics. */
enum { FTMPI__MAX_ROW_SUMS = 1 + FTMPI_MAX_METRICS };

/** Room for up to max_rows rows. All zero is valid and empty. */
struct ftmpi__rows {
	const ftmpi_model *model;
	const ftmpi_compile *compile;
	int64_t max_rows;
	ftmpi_workspace *workspace;
	float *x;         /* [max_rows, n_inputs] */
	float *d_outputs; /* [max_rows, n_outputs] */
	float *values;    /* [max_rows, n_outputs]: float targets */
	int32_t *labels;  /* [max_rows] */
};

/** Make room. Cheap when it is there. Errors: ERR_MEMORY; what was there stays then. */
ftmpi_status ftmpi__rows_reserve(struct ftmpi__rows *rows, int64_t max_rows) FTMPI_CHECK_RESULT;
void ftmpi__rows_clear(struct ftmpi__rows *rows);

/** Inputs and targets of samples of a data set, n ≤ max_rows. */
void ftmpi__rows_fetch(struct ftmpi__rows *rows, const ftmpi_dataset *dataset, const int64_t *samples, int64_t n);

/** Add loss and metrics of the outputs of the rows fetched last. @param d_outputs as in ftmpi_loss_compute. */
void ftmpi__rows_score(struct ftmpi__rows *rows, const float *outputs, int64_t n, float scale, float *d_outputs,
		       double *sums);

/** Shapes and kinds of targets: does this data fit model and loss? Errors: ERR_DATA. */
ftmpi_status ftmpi__rows_check(const ftmpi_model *model, const ftmpi_compile *compile,
			       const ftmpi_dataset *dataset) FTMPI_CHECK_RESULT;

#endif
