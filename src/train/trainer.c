/* SPDX-License-Identifier: Apache-2.0 */
/* A compiled model: learner, evaluator, and the gradient of the loss by the parameters. */
#include "train/trainer.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void ftmpi_trainer_options_init(ftmpi_trainer_options *options)
{
	*options = (ftmpi_trainer_options){.n_workers = 1, .seed = 1, .compare_steps = 200};
}

/* "loss" and the metrics, then the same with "val_", each half in the order of the alphabet, as Keras prints them. */
static void name_history(ftmpi_trainer *t)
{
	for (int i = 0; i < t->n_sums; i++) {
		const char *name = i == 0 ? "loss" : ftmpi_metric_name(t->compile.metrics[i - 1]);

		(void)snprintf(t->names[i], sizeof t->names[i], "%s", name);
		(void)snprintf(t->names[t->n_sums + i], sizeof t->names[0], "val_%s", name);
	}
}

static ftmpi_status create_local(const ftmpi_comm *comm, const ftmpi_model *model, const ftmpi_compile *compile,
				 const ftmpi_trainer_options *options, ftmpi_trainer **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_trainer *t = NULL;

	FTMPI_TRY(ftmpi_compile_check(compile));
	FTMPI_TRY(FTMPI_ALLOC(1, &t));
	t->comm = comm;
	t->model = model;
	t->compile = *compile;
	t->options = *options;
	t->n_sums = 1 + compile->n_metrics;
	t->rows = (struct ftmpi__rows){.model = model, .compile = &t->compile};
	name_history(t);
	FTMPI_TRY(ftmpi_trainer_set_record(t, "environment", ftmpi_numeric_environment()));
	*out = t;
	t = NULL;
done:
	ftmpi_trainer_destroy(&t);
	return status;
}

ftmpi_status ftmpi_trainer_create(const ftmpi_comm *comm, const ftmpi_model *model, const ftmpi_compile *compile,
				  const ftmpi_trainer_options *options, ftmpi_trainer **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_trainer *t = NULL;
	const ftmpi_learner_options learner_options = {.n_workers = options->n_workers,
						       .seed = options->seed,
						       .n_sums = 1 + compile->n_metrics,
						       .n_flags = FTMPI__N_FLAGS,
						       .compare_steps = options->compare_steps};

	FTMPI_TRY(ftmpi_agree(comm, create_local(comm, model, compile, options, &t)));
	if (t == NULL)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "agreed on a trainer that is not there");
	FTMPI_TRY(ftmpi_learner_create(comm, ftmpi_model_layout(model), &compile->optimizer, &learner_options,
				       &t->learner));
	FTMPI_TRY(ftmpi_evaluator_create(comm, model, &t->compile, options->n_workers, &t->evaluator));
	ftmpi_model_init_params(model, options->seed, ftmpi_learner_params(t->learner));
	*out = t;
	t = NULL;
done:
	ftmpi_trainer_destroy(&t);
	return status;
}

void ftmpi_trainer_destroy(ftmpi_trainer **trainer)
{
	ftmpi_trainer *t = *trainer;

	if (t == NULL)
		return;
	ftmpi_learner_destroy(&t->learner);
	ftmpi_evaluator_destroy(&t->evaluator);
	ftmpi__rows_clear(&t->rows);
	for (int i = 0; i < FTMPI__MAX_NAMES; i++)
		ftmpi_buffer_clear(&t->history[i]);
	for (int i = 0; i < FTMPI__MAX_RECORDS; i++) {
		ftmpi_buffer_clear(&t->records[i].text);
		ftmpi_buffer_clear(&t->records[i].saved);
	}
	ftmpi_free(t);
	*trainer = NULL;
}

ftmpi_status ftmpi_trainer_set_record(ftmpi_trainer *t, const char *name, const char *text)
{
	ftmpi_status status = FTMPI_OK;
	char path[sizeof t->records[0].path];
	int i = 0;

	if ((size_t)snprintf(path, sizeof path, "ftmpi/%s", name) >= sizeof path)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "the record's name '%s' is too long", name);
	while (i < t->n_records && strcmp(t->records[i].path, path) != 0)
		i++;
	if (i == FTMPI__MAX_RECORDS)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "more than %d records", FTMPI__MAX_RECORDS);
	FTMPI_TRY(ftmpi_buffer_resize(&t->records[i].text, 0));
	FTMPI_TRY(ftmpi_buffer_printf(&t->records[i].text, "%s", text));
	(void)snprintf(t->records[i].path, sizeof path, "%s", path);
	t->n_records = i < t->n_records ? t->n_records : i + 1;
done:
	return status;
}

/* The gradient function of a compiled model: forward, loss and metrics, backward. */
static ftmpi_status run_rows(void *context, const float *params, const ftmpi_worker_batch *batch, float *grads,
			     double *sums)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_trainer *t = context;
	struct ftmpi__rows *r = &t->rows;
	const float scale = t->options.loss_reduction == FTMPI_REDUCE_MEAN ? 1.0F / (float)batch->global_samples : 1.0F;
	const ftmpi_pass pass = {.training = true, .seed = batch->seed, .step = batch->step, .samples = batch->samples};
	double clock_s = ftmpi__now_s(), data_s = 0.0;

	FTMPI_TRY(ftmpi__rows_reserve(r, batch->n_samples));
	ftmpi__rows_fetch(r, t->dataset, batch->samples, batch->n_samples);
	ftmpi__lap(&clock_s, &data_s);
	ftmpi_learner_count_data(t->learner, data_s);
	ftmpi__rows_score(r, ftmpi_model_forward(t->model, params, r->x, batch->n_samples, &pass, r->workspace),
			  batch->n_samples, scale, r->d_outputs, sums);
	ftmpi_model_backward(t->model, params, r->x, batch->n_samples, &pass, r->workspace, r->d_outputs, grads);
done:
	return status;
}

/* A rank with faulty memory must not pass for a training that diverges. */
static ftmpi_status check_loss(const ftmpi_learner *l, double loss, double most)
{
	ftmpi_status status = FTMPI_OK;
	const long long step = (long long)ftmpi_learner_step_count(l);

	if (isfinite(loss) && loss <= most)
		goto done;
	FTMPI_TRY(ftmpi_learner_compare(l));
	if (isfinite(loss))
		FTMPI_FAIL(FTMPI_ERR_DIVERGED,
			   "model diverged with loss = %.6g at step %lld, above %.6g; checkpoints before it are good: "
			   "try a smaller learning rate, or a larger factor",
			   loss, step, most);
	FTMPI_FAIL(FTMPI_ERR_DIVERGED,
		   "model diverged with loss = %s at step %lld; checkpoints before it are good: try a smaller "
		   "learning rate",
		   isnan(loss) ? "NaN" : "Inf", step);
done:
	return status;
}

/* The loss is checked before anything changes. */
ftmpi_status ftmpi__train_step(ftmpi_trainer *t, const ftmpi_dataset *dataset, const ftmpi_batch *batch, double most,
			       double *sums, double *loss)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_learner *l = t->learner;
	double reduced;

	t->dataset = dataset;
	FTMPI_TRY(ftmpi_learner_gradients(l, batch, run_rows, t, sums));
	reduced = t->options.loss_reduction == FTMPI_REDUCE_MEAN ? sums[0] / (double)batch->n_samples : sums[0];
	FTMPI_TRY(check_loss(l, reduced, most));
	FTMPI_TRY(ftmpi_learner_reduce(l));
	ftmpi_learner_apply(l);
	FTMPI_TRY(ftmpi_learner_gather(l));
	*loss = reduced;
done:
	return status;
}

ftmpi_status ftmpi_trainer_train_on_batch(ftmpi_trainer *t, const ftmpi_dataset *dataset, const ftmpi_batch *batch,
					  ftmpi_metrics *out)
{
	ftmpi_status status = FTMPI_OK;
	double sums[FTMPI__MAX_ROW_SUMS], loss;

	FTMPI_TRY(ftmpi_agree(t->comm, ftmpi__rows_check(t->model, &t->compile, dataset)));
	FTMPI_TRY(ftmpi__train_step(t, dataset, batch, INFINITY, sums, &loss));
	if (out == NULL)
		goto done;
	*out = (ftmpi_metrics){.loss = loss, .n_samples = batch->n_samples};
	for (int i = 0; i < t->compile.n_metrics; i++)
		out->values[i] = sums[1 + i] / (double)batch->n_samples;
done:
	return status;
}

int64_t ftmpi_trainer_history(const ftmpi_trainer *t, const char *name, const double **values)
{
	for (int i = 0; i < 2 * t->n_sums; i++)
		if (strcmp(t->names[i], name) == 0) {
			*values = (const double *)(const void *)t->history[i].data;
			return (int64_t)(t->history[i].n_bytes / sizeof **values);
		}
	return 0;
}

ftmpi_status ftmpi_trainer_evaluate(ftmpi_trainer *t, const ftmpi_dataset *dataset, ftmpi_metrics *out)
{
	return ftmpi_evaluator_run(t->evaluator, ftmpi_learner_params(t->learner), dataset, out);
}

ftmpi_status ftmpi_trainer_predict(ftmpi_trainer *t, const ftmpi_dataset *dataset, float *outputs)
{
	return ftmpi_evaluator_predict(t->evaluator, ftmpi_learner_params(t->learner), dataset, outputs);
}

ftmpi_status ftmpi_trainer_track(ftmpi_trainer *t, ftmpi_checkpoint *checkpoint)
{
	return ftmpi_learner_track(t->learner, t->model, checkpoint);
}

ftmpi_learner *ftmpi_trainer_learner(ftmpi_trainer *t)
{
	return t->learner;
}

const ftmpi_model *ftmpi_trainer_model(const ftmpi_trainer *t)
{
	return t->model;
}
