/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a data set through a model. Room grows to the largest pass and stays, so a step allocates nothing. */
#include "train/rows.h"

static ftmpi_status allocate(struct ftmpi__rows *r, int64_t max_rows)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t n_outputs = ftmpi_model_n_outputs(r->model);

	FTMPI_TRY(ftmpi_workspace_create(r->model, max_rows, &r->workspace));
	FTMPI_TRY(FTMPI_ALLOC(max_rows * ftmpi_model_n_inputs(r->model), &r->x));
	FTMPI_TRY(FTMPI_ALLOC(max_rows * n_outputs, &r->d_outputs));
	if (ftmpi_loss_takes_labels(r->compile->loss))
		FTMPI_TRY(FTMPI_ALLOC(max_rows, &r->labels));
	else
		FTMPI_TRY(FTMPI_ALLOC(max_rows * n_outputs, &r->values));
	r->max_rows = max_rows;
done:
	return status;
}

ftmpi_status ftmpi__rows_reserve(struct ftmpi__rows *r, int64_t max_rows)
{
	ftmpi_status status = FTMPI_OK;
	struct ftmpi__rows larger = {.model = r->model, .compile = r->compile};

	if (max_rows <= r->max_rows)
		return FTMPI_OK;
	FTMPI_TRY(allocate(&larger, max_rows));
	ftmpi__rows_clear(r);
	*r = larger;
	return FTMPI_OK;
done:
	ftmpi__rows_clear(&larger);
	return status;
}

void ftmpi__rows_clear(struct ftmpi__rows *r)
{
	ftmpi_workspace_destroy(&r->workspace);
	ftmpi_free(r->x);
	ftmpi_free(r->d_outputs);
	ftmpi_free(r->values);
	ftmpi_free(r->labels);
	*r = (struct ftmpi__rows){.model = r->model, .compile = r->compile};
}

void ftmpi__rows_fetch(struct ftmpi__rows *r, const ftmpi_dataset *dataset, const int64_t *samples, int64_t n)
{
	ftmpi_dataset_gather(dataset, samples, n, r->x, r->labels);
	if (r->values != NULL)
		ftmpi_dataset_gather_values(dataset, samples, n, r->values);
}

void ftmpi__rows_score(struct ftmpi__rows *r, const float *outputs, int64_t n, float scale, float *d_outputs,
		       double *sums)
{
	const ftmpi_compile *c = r->compile;
	const ftmpi_targets targets = {.labels = r->labels, .values = r->values};
	const int64_t n_outputs = ftmpi_model_n_outputs(r->model);

	sums[0] += ftmpi_loss_compute(c->loss, outputs, &targets, n, n_outputs, scale, d_outputs);
	for (int i = 0; i < c->n_metrics; i++)
		sums[1 + i] += ftmpi_metric_compute(c->metrics[i], outputs, &targets, n, n_outputs);
}

ftmpi_status ftmpi__rows_check(const ftmpi_model *model, const ftmpi_compile *compile, const ftmpi_dataset *dataset)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t n_outputs = ftmpi_model_n_outputs(model), n_targets = ftmpi_dataset_n_targets(dataset);
	const bool labels = ftmpi_loss_takes_labels(compile->loss);

	if (ftmpi_dataset_n_features(dataset) != ftmpi_model_n_inputs(model))
		FTMPI_FAIL(FTMPI_ERR_DATA, "a sample of the data has %lld numbers, the model takes %lld",
			   (long long)ftmpi_dataset_n_features(dataset), (long long)ftmpi_model_n_inputs(model));
	if (labels && n_targets > 0)
		FTMPI_FAIL(FTMPI_ERR_DATA, "the loss %s takes class labels, the data has %lld numbers a sample",
			   ftmpi_loss_name(compile->loss), (long long)n_targets);
	if (labels && ftmpi_dataset_n_classes(dataset) > n_outputs)
		FTMPI_FAIL(FTMPI_ERR_DATA, "the data has labels of %lld classes, the model %lld outputs",
			   (long long)ftmpi_dataset_n_classes(dataset), (long long)n_outputs);
	if (!labels && n_targets != n_outputs)
		FTMPI_FAIL(FTMPI_ERR_DATA, "the data has %lld target values a sample, the model %lld outputs",
			   (long long)n_targets, (long long)n_outputs);
done:
	return status;
}
