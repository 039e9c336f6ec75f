/* SPDX-License-Identifier: Apache-2.0 */
/* Passes that train nothing.
 *
 * The data set is cut into V contiguous slices like a batch, each gone through in passes of at most PASS_ROWS rows; sums are added in row order
 * within a worker and in tree order over the workers, so they have the same bits on any number of ranks. */
#include <ftmpi/evaluator.h>
#include <ftmpi/exchange.h>
#include <ftmpi/failpoint.h>
#include <ftmpi/slice.h>
#include <ftmpi/watchdog.h>

#include "train/rows.h"

#include <string.h>

enum { PASS_ROWS = 256 };

struct ftmpi_evaluator {
	const ftmpi_comm *comm;
	int n_workers, n_sums;
	ftmpi_exchange *exchange; /* for its scalars alone */
	struct ftmpi__rows rows;
	int64_t samples[PASS_ROWS];
	double *worker_sums; /* [own workers, n_sums] */
	int64_t *n_rows;     /* [size] */
};

static ftmpi_status create_local(const ftmpi_comm *comm, const ftmpi_model *model, const ftmpi_compile *compile,
				 int n_workers, ftmpi_evaluator **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_evaluator *e = NULL;

	if (n_workers < 1)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%d logical workers: there must be at least 1", n_workers);
	FTMPI_TRY(ftmpi_compile_check(compile));
	FTMPI_TRY(FTMPI_ALLOC(1, &e));
	e->comm = comm;
	e->n_workers = n_workers;
	e->n_sums = 1 + compile->n_metrics;
	e->rows = (struct ftmpi__rows){.model = model, .compile = compile};
	FTMPI_TRY(FTMPI_ALLOC((int64_t)n_workers * e->n_sums, &e->worker_sums));
	FTMPI_TRY(FTMPI_ALLOC(ftmpi_comm_size(comm), &e->n_rows));
	FTMPI_TRY(ftmpi__rows_reserve(&e->rows, PASS_ROWS));
	*out = e;
	e = NULL;
done:
	ftmpi_evaluator_destroy(&e);
	return status;
}

ftmpi_status ftmpi_evaluator_create(const ftmpi_comm *comm, const ftmpi_model *model, const ftmpi_compile *compile,
				    int n_workers, ftmpi_evaluator **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_evaluator *e = NULL;

	FTMPI_TRY(ftmpi_agree(comm, create_local(comm, model, compile, n_workers, &e)));
	FTMPI_TRY(ftmpi_exchange_create(comm, n_workers, 1, &e->exchange));
	*out = e;
	e = NULL;
done:
	ftmpi_evaluator_destroy(&e);
	return status;
}

void ftmpi_evaluator_destroy(ftmpi_evaluator **evaluator)
{
	ftmpi_evaluator *e = *evaluator;

	if (e == NULL)
		return;
	ftmpi_exchange_destroy(&e->exchange);
	ftmpi__rows_clear(&e->rows);
	ftmpi_free(e->worker_sums);
	ftmpi_free(e->n_rows);
	ftmpi_free(e);
	*evaluator = NULL;
}

/* A worker's samples of a data set: [*first, *end). */
static void worker_samples(const ftmpi_evaluator *e, const ftmpi_dataset *dataset, int worker, int64_t *first,
			   int64_t *end)
{
	const int64_t n = ftmpi_dataset_n_samples(dataset);

	*first = ftmpi_slice_start(n, e->n_workers, worker);
	*end = ftmpi_slice_start(n, e->n_workers, worker + 1);
}

static int64_t pass_rows(int64_t left)
{
	return left < PASS_ROWS ? left : PASS_ROWS;
}

/* Samples [first, first + rows) through the model: outputs [rows, n_outputs], in the workspace. */
static const float *forward(ftmpi_evaluator *e, const float *params, const ftmpi_dataset *dataset, int64_t first,
			    int64_t rows)
{
	const ftmpi_pass pass = {.training = false};

	for (int64_t i = 0; i < rows; i++)
		e->samples[i] = first + i;
	ftmpi_watch_alive(e->comm);
	(void)ftmpi_failpoint_hit(FTMPI_FP_EVALUATE_PASS);
	ftmpi__rows_fetch(&e->rows, dataset, e->samples, rows);
	return ftmpi_model_forward(e->rows.model, params, e->rows.x, rows, &pass, e->rows.workspace);
}

static void evaluate_worker(ftmpi_evaluator *e, const float *params, const ftmpi_dataset *dataset, int worker,
			    double *sums)
{
	int64_t first, end;

	memset(sums, 0, (size_t)e->n_sums * sizeof *sums);
	worker_samples(e, dataset, worker, &first, &end);
	for (; first < end; first += PASS_ROWS) {
		const int64_t rows = pass_rows(end - first);

		ftmpi__rows_score(&e->rows, forward(e, params, dataset, first, rows), rows, 1.0F, NULL, sums);
	}
}

ftmpi_status ftmpi_evaluator_run(ftmpi_evaluator *e, const float *params, const ftmpi_dataset *dataset,
				 ftmpi_metrics *out)
{
	ftmpi_status status = FTMPI_OK;
	const double n = (double)ftmpi_dataset_n_samples(dataset);
	const ftmpi_mark before = ftmpi_watch_begin(e->comm, FTMPI_PHASE_EVALUATE, NULL);
	double sums[FTMPI__MAX_ROW_SUMS];
	int first, end;

	FTMPI_TRY(ftmpi__rows_check(e->rows.model, e->rows.compile, dataset));
	ftmpi_exchange_workers(e->exchange, &first, &end);
	for (int w = first; w < end; w++)
		evaluate_worker(e, params, dataset, w, e->worker_sums + (int64_t)(w - first) * e->n_sums);
	FTMPI_TRY(ftmpi_exchange_scalars(e->exchange, e->worker_sums, e->n_sums, sums));
	*out = (ftmpi_metrics){.loss = sums[0] / n, .n_samples = ftmpi_dataset_n_samples(dataset)};
	for (int i = 0; i < e->rows.compile->n_metrics; i++)
		out->values[i] = sums[1 + i] / n;
done:
	ftmpi_watch_end(e->comm, before);
	return status;
}

/* Samples of every rank: those of its logical workers. */
static void count_rows(ftmpi_evaluator *e, int64_t n)
{
	const int size = ftmpi_comm_size(e->comm);

	for (int rank = 0; rank < size; rank++)
		e->n_rows[rank] = ftmpi_slice_start(n, e->n_workers, ftmpi_slice_start(e->n_workers, size, rank + 1)) -
				  ftmpi_slice_start(n, e->n_workers, ftmpi_slice_start(e->n_workers, size, rank));
}

static float *predict_worker(ftmpi_evaluator *e, const float *params, const ftmpi_dataset *dataset, int worker,
			     float *into)
{
	const int64_t n_outputs = ftmpi_model_n_outputs(e->rows.model);
	int64_t first, end;

	worker_samples(e, dataset, worker, &first, &end);
	for (; first < end; first += PASS_ROWS) {
		const int64_t rows = pass_rows(end - first);

		memcpy(into, forward(e, params, dataset, first, rows), (size_t)(rows * n_outputs) * sizeof *into);
		into += rows * n_outputs;
	}
	return into;
}

ftmpi_status ftmpi_evaluator_predict(ftmpi_evaluator *e, const float *params, const ftmpi_dataset *dataset,
				     float *outputs)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t n_outputs = ftmpi_model_n_outputs(e->rows.model);
	const ftmpi_mark before = ftmpi_watch_begin(e->comm, FTMPI_PHASE_EVALUATE, NULL);
	float *mine = NULL, *at;
	int first, end;

	FTMPI_TRY(ftmpi__rows_check(e->rows.model, e->rows.compile, dataset));
	count_rows(e, ftmpi_dataset_n_samples(dataset));
	FTMPI_TRY(ftmpi_agree(e->comm, FTMPI_ALLOC(e->n_rows[ftmpi_comm_rank(e->comm)] * n_outputs, &mine)));
	at = mine;
	ftmpi_exchange_workers(e->exchange, &first, &end);
	for (int w = first; w < end; w++)
		at = predict_worker(e, params, dataset, w, at);
	FTMPI_TRY(ftmpi_comm_gather_rows(e->comm, mine, e->n_rows, n_outputs * (int64_t)sizeof *mine, outputs));
done:
	ftmpi_free(mine);
	ftmpi_watch_end(e->comm, before);
	return status;
}
