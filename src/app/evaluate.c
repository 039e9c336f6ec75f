/* SPDX-License-Identifier: Apache-2.0 */
/* `ftmpi evaluate` and `ftmpi predict`: a checkpoint's model on the test data. What describes the model comes from the checkpoint. */
#include "app/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CHECKPOINT_SUFFIX ".weights.h5"

/* What the two commands share. */
struct evaluation {
	ftmpi_dataset *test;
	ftmpi_model *model;
	ftmpi_compile compile;
	float *params; /* arena, filled from the checkpoint */
	ftmpi_status (*body)(struct app_context *app, struct evaluation *evaluation, const ftmpi_comm *comm,
			     ftmpi_evaluator *evaluator);
};

static ftmpi_status open_reader(struct app_context *app)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store_options options;

	if (app->options.checkpoint[0] != '\0') {
		FTMPI_TRY(ftmpi_reader_open(app->options.checkpoint, &app->reader));
		goto done;
	}
	ftmpi_store_options_init(&options);
	options.read_only = true;
	options.number_path = APP_NUMBER_PATH;
	status = ftmpi_store_open(app->options.model_dir, &options, &app->store);
	if (status != FTMPI_OK)
		FTMPI_FAIL(status, "--model-dir: %s", ftmpi_error_message());
	FTMPI_TRY(ftmpi_store_open_latest(app->store, &app->reader));
	if (app->reader == NULL)
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "--model-dir %s has no checkpoint", app->options.model_dir);
done:
	return status;
}

static ftmpi_status open_checkpoint(struct app_context *app)
{
	ftmpi_status status = FTMPI_OK;

	if (ftmpi_comm_is_chief(app->world))
		status = open_reader(app);
	FTMPI_TRY(ftmpi_agree(app->world, status));
	FTMPI_TRY(app_share_checkpoint(app));
	FTMPI_TRY(ftmpi_agree(app->world, app_options_adopt(&app->options, app->saved_options.data)));
	FTMPI_TRY(app_take_model(app, app->saved_model.data, app->saved_model.n_bytes, app->saved_file));
done:
	return status;
}

static ftmpi_status load_params(struct app_context *app, const ftmpi_comm *comm, struct evaluation *e)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_checkpoint *checkpoint = NULL;

	FTMPI_TRY(ftmpi_agree(comm, ftmpi_checkpoint_create(comm, &checkpoint)));
	FTMPI_TRY(ftmpi_agree(comm, FTMPI_ALLOC(ftmpi_model_layout(e->model)->n_elements, &e->params)));
	FTMPI_TRY(ftmpi_agree(comm, ftmpi_model_register(e->model, e->params, ftmpi_checkpoint_registry(checkpoint))));
	FTMPI_TRY(ftmpi_checkpoint_restore_reader(checkpoint, app->reader));
done:
	ftmpi_checkpoint_destroy(&checkpoint);
	return status;
}

static ftmpi_status on_active_ranks(struct app_context *app, const ftmpi_comm *comm, void *context)
{
	ftmpi_status status = FTMPI_OK;
	struct evaluation *e = context;
	ftmpi_evaluator *evaluator = NULL;

	app_compile(app, &e->compile);
	FTMPI_TRY(ftmpi_agree(comm, app_build_model(app, e->test, &e->model)));
	FTMPI_TRY(load_params(app, comm, e));
	FTMPI_TRY(ftmpi_evaluator_create(comm, e->model, &e->compile, (int)app->options.logical_workers, &evaluator));
	FTMPI_TRY(e->body(app, e, comm, evaluator));
done:
	ftmpi_evaluator_destroy(&evaluator);
	return status;
}

/* The data has samples of the kind that the model was trained on. */
static ftmpi_status check_features(const struct app_context *app, const ftmpi_dataset *test)
{
	ftmpi_status status = FTMPI_OK;
	const long long n_features = (long long)ftmpi_dataset_n_features(test);
	ftmpi_keyvalue pair;

	if (ftmpi_keyvalue_find(app->saved_data.data, "n-features", &pair) &&
	    strtoll(pair.value, NULL, 10) != n_features)
		FTMPI_FAIL(FTMPI_ERR_DATA, "--data %s: a sample has %lld numbers, the model of %s takes %s",
			   app->options.data, n_features, app->saved_file, pair.value);
done:
	return status;
}

static ftmpi_status run(struct app_context *app, struct evaluation *e)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(open_checkpoint(app));
	FTMPI_TRY(app_open_data(app, FTMPI_TEST, &e->test));
	if (e->test == NULL)
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "--data %s has no test data", app->options.data);
	FTMPI_TRY(ftmpi_agree(app->world, check_features(app, e->test)));
	FTMPI_TRY(app_on_active_ranks(app, (int)app->options.logical_workers, on_active_ranks, e));
done:
	ftmpi_free(e->params);
	ftmpi_model_destroy(&e->model);
	ftmpi_dataset_destroy(&e->test);
	return status;
}

static ftmpi_status evaluate(struct app_context *app, struct evaluation *e, const ftmpi_comm *comm,
			     ftmpi_evaluator *evaluator)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_metrics metrics;
	ftmpi_buffer text = {0};

	(void)comm;
	FTMPI_TRY(ftmpi_evaluator_run(evaluator, e->params, e->test, &metrics));
	for (int i = 0; i < e->compile.n_metrics; i++)
		FTMPI_TRY(ftmpi_buffer_printf(&text, "%s: %.4f - ", ftmpi_metric_name(e->compile.metrics[i]),
					      metrics.values[i]));
	ftmpi_log(FTMPI_LOG_INFO, "%sloss: %.4f (%lld samples, %s, step %lld)", text.data == NULL ? "" : text.data,
		  metrics.loss, (long long)metrics.n_samples, app->saved_file, (long long)app->saved_step);
done:
	ftmpi_buffer_clear(&text);
	return status;
}

static void find_classes(const float *outputs, int64_t n, int64_t n_outputs, int32_t *classes)
{
	for (int64_t i = 0; i < n; i++) {
		const float *row = outputs + i * n_outputs;
		int64_t best = 0;

		for (int64_t k = 1; k < n_outputs; k++)
			best = row[k] > row[best] ? k : best;
		classes[i] = (int32_t)best;
	}
}

static ftmpi_status write_predictions(const struct app_context *app, float *outputs, int64_t n, int64_t n_outputs)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_registry *registry = NULL;
	int32_t *classes = NULL;
	const int64_t dims[2] = {n, n_outputs};
	ftmpi_compile compile;
	char n_text[32];
	bool labels;

	app_compile(app, &compile);
	labels = ftmpi_loss_takes_labels(compile.loss);
	(void)snprintf(n_text, sizeof n_text, "[%lld]", (long long)n);
	FTMPI_TRY(FTMPI_ALLOC(n, &classes));
	find_classes(outputs, n, n_outputs, classes);
	FTMPI_TRY(ftmpi_registry_create(&registry));
	FTMPI_TRY(ftmpi_registry_add(registry, "predictions", FTMPI_F32, 2, dims, outputs, FTMPI_STATE));
	if (labels)
		FTMPI_TRY(ftmpi_registry_add(registry, "classes", FTMPI_I32, 1, dims, classes, FTMPI_STATE));
	FTMPI_TRY(ftmpi_registry_write(registry, app->options.output));
	ftmpi_log(FTMPI_LOG_INFO, "wrote %s: predictions [%lld, %lld]%s%s%s, from %s", app->options.output,
		  (long long)n, (long long)n_outputs,
		  compile.loss == FTMPI_LOSS_SPARSE_CROSS_ENTROPY_LOGITS ? " (logits)" : "", labels ? ", classes " : "",
		  labels ? n_text : "", app->saved_file);
done:
	ftmpi_registry_destroy(&registry);
	ftmpi_free(classes);
	return status;
}

static ftmpi_status predict(struct app_context *app, struct evaluation *e, const ftmpi_comm *comm,
			    ftmpi_evaluator *evaluator)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t n = ftmpi_dataset_n_samples(e->test), n_outputs = ftmpi_model_n_outputs(e->model);
	const bool chief = ftmpi_comm_is_chief(comm);
	float *outputs = NULL;

	if (chief)
		status = FTMPI_ALLOC(n * n_outputs, &outputs);
	FTMPI_TRY(ftmpi_agree(comm, status));
	FTMPI_TRY(ftmpi_evaluator_predict(evaluator, e->params, e->test, outputs));
	if (chief)
		status = write_predictions(app, outputs, n, n_outputs);
	FTMPI_TRY(ftmpi_agree(comm, status));
done:
	ftmpi_free(outputs);
	return status;
}

ftmpi_status app_evaluate(struct app_context *app)
{
	struct evaluation evaluation = {.body = evaluate};

	return run(app, &evaluation);
}

/* What would be replaced by the predictions is nothing, or predictions of an earlier run: never data, a checkpoint, a folder's state or a device. */
static ftmpi_status check_replaced(const char *output)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_reader *reader = NULL;
	struct stat info;

	if (lstat(output, &info) != 0) /* nothing is there; what else is wrong with the path shows when it is written */
		goto done;
	if (S_ISREG(info.st_mode) && ftmpi_reader_open(output, &reader) == FTMPI_OK &&
	    ftmpi_reader_find(reader, "predictions") != NULL)
		goto done;
	FTMPI_FAIL(FTMPI_ERR_USAGE,
		   "--output %s: there is something else than earlier predictions, which is not replaced; choose "
		   "another name, or remove it",
		   output);
done:
	ftmpi_reader_close(&reader);
	return status;
}

/* Before the work is done. The chief looks. Collective. */
static ftmpi_status check_output(const struct app_context *app)
{
	ftmpi_status status = FTMPI_OK;
	const char *output = app->options.output;
	const size_t n = strlen(output), n_suffix = strlen(CHECKPOINT_SUFFIX);

	if (n >= n_suffix && strcmp(output + n - n_suffix, CHECKPOINT_SUFFIX) == 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--output %s: that is a checkpoint's name; choose another", output);
	if (ftmpi_comm_is_chief(app->world))
		status = check_replaced(output);
	FTMPI_TRY(ftmpi_agree(app->world, status));
done:
	return status;
}

ftmpi_status app_predict(struct app_context *app)
{
	ftmpi_status status = FTMPI_OK;
	struct evaluation evaluation = {.body = predict};

	FTMPI_TRY(check_output(app));
	FTMPI_TRY(run(app, &evaluation));
done:
	return status;
}
