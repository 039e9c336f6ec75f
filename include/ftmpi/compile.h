/* SPDX-License-Identifier: Apache-2.0 */
/** @file How a model is trained: what Keras's compile() is told. */
#ifndef FTMPI_COMPILE_H
#define FTMPI_COMPILE_H

#include <ftmpi/loss.h>
#include <ftmpi/optimizer.h>

FTMPI_BEGIN_DECLS

/** Most metrics of a compiled model. */
#define FTMPI_MAX_METRICS 4

typedef struct ftmpi_compile {
	ftmpi_optimizer optimizer;
	ftmpi_loss loss;
	ftmpi_metric metrics[FTMPI_MAX_METRICS];
	int n_metrics;
} ftmpi_compile;

/** Adam, sparse categorical cross-entropy from logits, accuracy. Local. */
FTMPI_API void ftmpi_compile_init(ftmpi_compile *compile);

/** Local. Errors: ERR_USAGE: the optimizer's values; a loss or metric that is none; a metric twice, or one that takes other targets than the loss. */
FTMPI_API ftmpi_status ftmpi_compile_check(const ftmpi_compile *compile) FTMPI_CHECK_RESULT;

FTMPI_END_DECLS

#endif
