/* SPDX-License-Identifier: Apache-2.0 */
/* What a model is trained with: defaults, and what goes together. */
#include <ftmpi/compile.h>

#include <string.h>

void ftmpi_compile_init(ftmpi_compile *compile)
{
	*compile = (ftmpi_compile){
		.loss = FTMPI_LOSS_SPARSE_CROSS_ENTROPY_LOGITS,
		.metrics = {FTMPI_METRIC_ACCURACY},
		.n_metrics = 1,
	};
	ftmpi_optimizer_init(&compile->optimizer, FTMPI_ADAM);
}

static ftmpi_status check_metric(const ftmpi_compile *compile, int i)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_metric metric = compile->metrics[i];
	const char *name = ftmpi_metric_name(metric);
	const bool labels = ftmpi_loss_takes_labels(compile->loss);

	if (strcmp(name, "unknown") == 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "metric %d is unknown; use a value of ftmpi_metric", (int)metric);
	for (int j = 0; j < i; j++)
		if (compile->metrics[j] == metric)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "metric %s is given twice", name);
	if (ftmpi_metric_takes_labels(metric) != labels)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "metric %s takes %s, but loss %s takes %s", name,
			   labels ? "rows of numbers" : "class labels", ftmpi_loss_name(compile->loss),
			   labels ? "class labels" : "rows of numbers");
done:
	return status;
}

ftmpi_status ftmpi_compile_check(const ftmpi_compile *compile)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi_optimizer_check(&compile->optimizer));
	if (strcmp(ftmpi_loss_name(compile->loss), "unknown") == 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "loss %d is unknown; use a value of ftmpi_loss", (int)compile->loss);
	if (compile->n_metrics < 0 || compile->n_metrics > FTMPI_MAX_METRICS)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%d metrics: there can be 0 to %d", compile->n_metrics, FTMPI_MAX_METRICS);
	for (int i = 0; i < compile->n_metrics; i++)
		FTMPI_TRY(check_metric(compile, i));
done:
	return status;
}
