/* SPDX-License-Identifier: Apache-2.0 */
/** @file Losses and metrics over the rows of a batch. Local, no allocation; rows are added in order, in double. Numerics follow Keras 3. */
#ifndef FTMPI_LOSS_H
#define FTMPI_LOSS_H

#include <ftmpi/status.h>
#include <stdbool.h>
#include <stdint.h>

FTMPI_BEGIN_DECLS

/** The one list of losses: identifier, Keras's name, Keras's class, whether the targets are class labels (else float rows). */
#define FTMPI_LOSS_LIST(X)                                                                                             \
	X(SPARSE_CROSS_ENTROPY_LOGITS, "sparse_categorical_crossentropy_from_logits", "SparseCategoricalCrossentropy", \
	  true)                                                                                                        \
	X(SPARSE_CROSS_ENTROPY, "sparse_categorical_crossentropy", "SparseCategoricalCrossentropy", true)              \
	X(MEAN_SQUARED_ERROR, "mean_squared_error", "MeanSquaredError", false)

typedef enum ftmpi_loss {
#define FTMPI_LOSS_ENUM(id, name, class_name, labels) FTMPI_LOSS_##id,
	FTMPI_LOSS_LIST(FTMPI_LOSS_ENUM)
#undef FTMPI_LOSS_ENUM
} ftmpi_loss;

/** The one list of metrics: identifier, Keras's name, whether the targets are class labels. */
#define FTMPI_METRIC_LIST(X)                                                                                           \
	X(ACCURACY, "accuracy", true)                                                                                  \
	X(MEAN_SQUARED_ERROR, "mean_squared_error", false)                                                             \
	X(MEAN_ABSOLUTE_ERROR, "mean_absolute_error", false)

typedef enum ftmpi_metric {
#define FTMPI_METRIC_ENUM(id, name, labels) FTMPI_METRIC_##id,
	FTMPI_METRIC_LIST(FTMPI_METRIC_ENUM)
#undef FTMPI_METRIC_ENUM
} ftmpi_metric;

/** Name in the list, and Keras's class; "unknown" for any other value. Local. */
FTMPI_API const char *ftmpi_loss_name(ftmpi_loss loss);
FTMPI_API const char *ftmpi_loss_class(ftmpi_loss loss);
/** Whether the targets are class labels; else rows of as many floats as the model has outputs. Local. */
FTMPI_API bool ftmpi_loss_takes_labels(ftmpi_loss loss);

/** Local. */
FTMPI_API const char *ftmpi_metric_name(ftmpi_metric metric);
FTMPI_API bool ftmpi_metric_takes_labels(ftmpi_metric metric);
/** Errors: ERR_USAGE, naming the known ones. Local. */
FTMPI_API ftmpi_status ftmpi_metric_parse(const char *name, ftmpi_metric *out) FTMPI_CHECK_RESULT;

/** What the outputs of some rows are compared with. */
typedef struct ftmpi_targets {
	const int32_t *labels; /**< [rows], in range; for losses and metrics that take labels */
	const float *values;   /**< [rows, n_outputs]; for the others */
} ftmpi_targets;

/**
 * Sum of the rows' losses. Local. A NaN in a row makes its loss NaN.
 * Sparse cross-entropy from logits: log Σ exp(z − max z) − (z[label] − max z), finite for all finite logits. From probabilities: p divided by its
 * sum, q = p/Σp, clipped to float32's [1e-7, 1 − 1e-7], −log q[label]; the gradient goes through both, so it is 0 where the clipping acted.
 * Mean squared error: the mean of (output − value)² over a row's outputs.
 * @param outputs [rows, n_outputs]. @param scale factor of the gradient (1 / global batch for a mean).
 * @param d_outputs [rows, n_outputs]: set to scale · d loss / d outputs; NULL: not wanted; may not be `outputs`.
 */
FTMPI_API double ftmpi_loss_compute(ftmpi_loss loss, const float *outputs, const ftmpi_targets *targets, int64_t rows,
				    int64_t n_outputs, float scale, float *d_outputs);

/**
 * Sum of a metric over rows: divided by the number of rows it is the metric. Local. Accuracy: rows whose largest output is at the label (of equal
 * ones the first counts; a row with a NaN never counts). Mean squared and absolute error: the mean over a row's outputs.
 * @param outputs [rows, n_outputs].
 */
FTMPI_API double ftmpi_metric_compute(ftmpi_metric metric, const float *outputs, const ftmpi_targets *targets,
				      int64_t rows, int64_t n_outputs);

FTMPI_END_DECLS

#endif
