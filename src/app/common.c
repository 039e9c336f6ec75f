/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands over MPI share: data, model, the checkpoint that was found, surplus ranks. */
#include "app/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HIDDEN = 128 };

/* Labels of how many classes; 0: rows of numbers, as the loss wants them. */
static int64_t n_classes(const struct app_context *app)
{
	ftmpi_compile compile;
	int64_t n = app->options.classes;
	ftmpi_model *model = NULL;

	if (app->keras == NULL)
		return n;
	app_compile(app, &compile);
	if (!ftmpi_loss_takes_labels(compile.loss))
		return 0;
	if (ftmpi_keras_model_create(app->keras, &model) == FTMPI_OK)
		n = ftmpi_model_n_outputs(model);
	ftmpi_model_destroy(&model);
	return n;
}

ftmpi_status app_open_data(const struct app_context *app, ftmpi_split split, ftmpi_dataset **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_dataset_options options;

	ftmpi_dataset_options_init(&options);
	options.n_classes = n_classes(app);
	options.input_scale = app->options.input_scale;
	FTMPI_TRY(ftmpi_dataset_open(app->world, app->options.data, split, &options, out));
done:
	return status;
}

/* The model that was taken; it must fit the data. */
static ftmpi_status build_taken_model(const struct app_context *app, const ftmpi_dataset *dataset, ftmpi_model **out)
{
	ftmpi_status status = FTMPI_OK;
	const long long n_features = ftmpi_dataset_n_features(dataset), n_targets = ftmpi_dataset_n_targets(dataset);
	ftmpi_model *model = NULL;

	FTMPI_TRY(ftmpi_keras_model_create(app->keras, &model));
	if (n_features != ftmpi_model_n_inputs(model))
		FTMPI_FAIL(FTMPI_ERR_DATA, "--data %s: a sample of the data has %lld numbers, the model takes %lld",
			   app->options.data, n_features, (long long)ftmpi_model_n_inputs(model));
	if (n_targets > 0 && n_targets != ftmpi_model_n_outputs(model))
		FTMPI_FAIL(FTMPI_ERR_DATA, "--data %s: a sample has %lld target values, the model %lld outputs",
			   app->options.data, n_targets, (long long)ftmpi_model_n_outputs(model));
	*out = model;
	model = NULL;
done:
	ftmpi_model_destroy(&model);
	return status;
}

/* Flatten, then for each hidden layer Dense and Dropout, then Dense without activation: the guide's model B. */
ftmpi_status app_build_model(const struct app_context *app, const ftmpi_dataset *dataset, ftmpi_model **out)
{
	ftmpi_status status = FTMPI_OK;
	const struct app_options *options = &app->options;
	ftmpi_layer_spec specs[2 * MAX_HIDDEN + 2] = {{.kind = FTMPI_FLATTEN}};
	ftmpi_activation activation;
	const char *at = options->hidden_units;
	ftmpi_model *model = NULL;
	const int64_t *dims;
	int n = 1, n_dims;

	if (app->keras != NULL)
		return build_taken_model(app, dataset, out);
	FTMPI_TRY(ftmpi_activation_parse(options->activation, &activation));
	while (*at != '\0' && strcmp(options->hidden_units, "none") != 0) {
		char *end;

		if (n + 2 >= 2 * MAX_HIDDEN + 2)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "--hidden-units: more than %d hidden layers", MAX_HIDDEN);
		specs[n++] = (ftmpi_layer_spec){
			.kind = FTMPI_DENSE, .units = strtoll(at, &end, 10), .activation = activation};
		if (options->dropout > 0)
			specs[n++] = (ftmpi_layer_spec){.kind = FTMPI_DROPOUT, .rate = options->dropout};
		at = *end == ',' ? end + 1 : end;
	}
	specs[n++] = (ftmpi_layer_spec){.kind = FTMPI_DENSE, .units = options->classes, .activation = FTMPI_LINEAR};
	n_dims = ftmpi_dataset_shape(dataset, &dims);
	FTMPI_TRY(ftmpi_model_create(dims, n_dims, specs, n, &model));
	if (ftmpi_model_layout(model)->n_elements > INT32_MAX)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--hidden-units %s: a model of %lld parameters; at most %d are possible",
			   options->hidden_units, (long long)ftmpi_model_layout(model)->n_trainable, INT32_MAX);
	*out = model;
	model = NULL;
done:
	ftmpi_model_destroy(&model);
	return status;
}

/* Plain facts of the checkpoint that was found. */
struct facts {
	bool found;
	bool look_only;
	int64_t step, epoch;
	char file[FTMPI_PATH_MAX];
};

static ftmpi_status read_facts(struct app_context *app, struct facts *facts)
{
	ftmpi_status status = FTMPI_OK;

	facts->look_only = app->look_only;
	facts->found = app->reader != NULL;
	if (app->reader == NULL)
		goto done;
	if (ftmpi_reader_find(app->reader, "ftmpi/config") == NULL)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s is no checkpoint of a training: it has no ftmpi/config",
			   ftmpi_reader_file(app->reader));
	FTMPI_TRY(ftmpi_reader_read(app->reader, APP_NUMBER_PATH, &facts->step, sizeof facts->step));
	FTMPI_TRY(ftmpi_reader_read(app->reader, "ftmpi/epoch", &facts->epoch, sizeof facts->epoch));
	FTMPI_TRY(ftmpi_reader_read_buffer(app->reader, "ftmpi/config", &app->saved_options));
	FTMPI_TRY(ftmpi_reader_read_buffer(app->reader, "ftmpi/data", &app->saved_data));
	FTMPI_TRY(ftmpi_reader_read_buffer(app->reader, "ftmpi/environment", &app->saved_environment));
	FTMPI_TRY(ftmpi_reader_read_buffer(app->reader, "ftmpi/model", &app->saved_model));
	(void)snprintf(facts->file, sizeof facts->file, "%s", ftmpi_reader_file(app->reader));
done:
	return status;
}

ftmpi_status app_share_checkpoint(struct app_context *app)
{
	ftmpi_status status = FTMPI_OK;
	struct facts facts = {0};

	if (ftmpi_comm_is_chief(app->world))
		status = read_facts(app, &facts);
	FTMPI_TRY(ftmpi_agree(app->world, status));
	FTMPI_TRY(ftmpi_broadcast(app->world, &facts, (int64_t)sizeof facts, FTMPI_CHIEF));
	FTMPI_TRY(ftmpi_broadcast_buffer(app->world, &app->saved_options, FTMPI_CHIEF));
	FTMPI_TRY(ftmpi_broadcast_buffer(app->world, &app->saved_data, FTMPI_CHIEF));
	FTMPI_TRY(ftmpi_broadcast_buffer(app->world, &app->saved_environment, FTMPI_CHIEF));
	FTMPI_TRY(ftmpi_broadcast_buffer(app->world, &app->saved_model, FTMPI_CHIEF));
	app->look_only = facts.look_only;
	app->found = facts.found;
	app->saved_step = facts.step;
	app->saved_epoch = facts.epoch;
	memcpy(app->saved_file, facts.file, sizeof facts.file);
done:
	return status;
}

ftmpi_status app_on_active_ranks(struct app_context *app, int n_workers,
				 ftmpi_status (*body)(struct app_context *app, const ftmpi_comm *comm, void *context),
				 void *context)
{
	ftmpi_status status = FTMPI_OK;
	const int size = ftmpi_comm_size(app->world);
	ftmpi_comm *active = NULL;

	if (size <= n_workers) {
		FTMPI_TRY(body(app, app->world, context));
		goto done;
	}
	ftmpi_log(FTMPI_LOG_INFO, "%d ranks for %d logical workers: ranks %d to %d stay idle", size, n_workers,
		  n_workers, size - 1);
	FTMPI_TRY(ftmpi_comm_create_first(app->world, n_workers, &active));
	if (active == NULL) {
		FTMPI_TRY(ftmpi_comm_sleep(app->world));
		goto done;
	}
	status = body(app, active, context);
	ftmpi_comm_destroy(&active);
	if (ftmpi_comm_is_chief(app->world)) {
		const ftmpi_status woken = ftmpi_comm_wake(app->world, n_workers, status);

		status = woken == FTMPI_OK ? status : woken;
	}
done:
	return status;
}
