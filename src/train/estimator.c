/* SPDX-License-Identifier: Apache-2.0 */
/* Estimators: the model, what its folder holds, evaluation and prediction. estimator_train.c has the training. */
#include "train/estimator.h"

#include <ftmpi/log.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SUFFIX ".weights.h5"

enum { MAX_HIDDEN = 64 };

void ftmpi_run_config_init(ftmpi_run_config *config)
{
	*config = (ftmpi_run_config){.tf_random_seed = 1,
				     .save_summary_steps = 100,
				     .save_checkpoints_secs = FTMPI_UNSET,
				     .save_checkpoints_overhead = 0.01,
				     .keep_checkpoint_max = 5,
				     .keep_checkpoint_every_n_hours = 10000,
				     .log_step_count_steps = 100};
}

void ftmpi_dnn_options_init(ftmpi_dnn_options *options)
{
	*options = (ftmpi_dnn_options){.n_classes = 2, .label_dimension = 1, .loss_reduction = FTMPI_REDUCE_SUM};
	ftmpi_optimizer_init(&options->optimizer, FTMPI_ADAGRAD);
	options->optimizer.learning_rate = 0.05;
}

ftmpi_input ftmpi_numpy_input(const ftmpi_dataset *dataset, int64_t batch_size, int64_t num_epochs, bool shuffle)
{
	return (ftmpi_input){
		.dataset = dataset, .batch_size = batch_size, .num_epochs = num_epochs, .shuffle = shuffle};
}

static ftmpi_status check_count(const char *field, int64_t value, int64_t least)
{
	ftmpi_status status = FTMPI_OK;

	if (value < least)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%s is %lld: give %lld or more", field, (long long)value, (long long)least);
done:
	return status;
}

static ftmpi_status check_cadence(const ftmpi_run_config *c)
{
	ftmpi_status status = FTMPI_OK;
	const double secs = c->save_checkpoints_secs, overhead = c->save_checkpoints_overhead;
	const bool finds_out = secs == FTMPI_SAVE_AUTO;

	FTMPI_TRY(check_count("RunConfig: save_checkpoints_steps", c->save_checkpoints_steps, 0));
	if (c->save_checkpoints_steps > 0 && (secs > 0 || finds_out))
		FTMPI_FAIL(FTMPI_ERR_USAGE,
			   "RunConfig: give save_checkpoints_steps or save_checkpoints_secs, not both");
	if (!finds_out && secs != FTMPI_UNSET && (!(secs >= 0) || isinf(secs)))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "RunConfig: save_checkpoints_secs is %g: give 0 (none) or more", secs);
	if (finds_out && !(overhead > 0 && overhead <= 1))
		FTMPI_FAIL(FTMPI_ERR_USAGE,
			   "RunConfig: save_checkpoints_overhead is %g: it must be above 0 and at most 1", overhead);
done:
	return status;
}

static ftmpi_status check_config(const ftmpi_comm *comm, const ftmpi_run_config *c)
{
	ftmpi_status status = FTMPI_OK;
	const double hours = c->keep_checkpoint_every_n_hours;

	if (c->model_dir == NULL || c->model_dir[0] == '\0' || strlen(c->model_dir) >= FTMPI_PATH_MAX - 64)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "RunConfig: model_dir must be given, and not be too long");
	FTMPI_TRY(check_count("RunConfig: save_summary_steps", c->save_summary_steps, 0));
	FTMPI_TRY(check_count("RunConfig: keep_checkpoint_max", c->keep_checkpoint_max, 0));
	FTMPI_TRY(check_count("RunConfig: log_step_count_steps", c->log_step_count_steps, 1));
	FTMPI_TRY(check_cadence(c));
	if (!(hours >= 0) || isinf(hours))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "RunConfig: keep_checkpoint_every_n_hours is %g: give 0 (none) or more",
			   hours);
	FTMPI_TRY(check_count("RunConfig: max_rollbacks", c->max_rollbacks, 0));
	if (c->max_rollbacks > 0 && c->save_checkpoints_steps == 0 && c->save_checkpoints_secs == 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "RunConfig: max_rollbacks needs checkpoints to go back to");
	if (!(c->spike_factor >= 0))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "RunConfig: spike_factor is %g: give 0 (none) or more", c->spike_factor);
	if (c->n_workers != 0)
		FTMPI_TRY(check_count("RunConfig: n_workers", c->n_workers, ftmpi_comm_size(comm)));
done:
	return status;
}

static ftmpi_status check_dnn(const ftmpi_dnn_options *o, bool classifier)
{
	ftmpi_status status = FTMPI_OK;

	if (o->feature_dims == NULL || o->n_feature_dims < 1)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "feature_dims, the shape of a sample, must be given");
	if (o->n_hidden_units < 0 || o->n_hidden_units > MAX_HIDDEN)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%d hidden layers: 0 to %d are possible", o->n_hidden_units, MAX_HIDDEN);
	if (o->n_hidden_units > 0 && o->hidden_units == NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%d hidden layers, but no hidden_units", o->n_hidden_units);
	if (!(o->dropout >= 0 && o->dropout < 1))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "dropout is %g: give 0 (none) or more, below 1", o->dropout);
	if (o->loss_reduction != FTMPI_REDUCE_SUM && o->loss_reduction != FTMPI_REDUCE_MEAN)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "loss_reduction is neither the mean nor the sum");
	FTMPI_TRY(classifier ? check_count("n_classes", o->n_classes, 2)
			     : check_count("label_dimension", o->label_dimension, 1));
done:
	return status;
}

/* Flatten, then Dense and Dropout for each hidden layer, then the outputs. */
static ftmpi_status build_model(const ftmpi_dnn_options *o, int64_t n_outputs, ftmpi_model **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_layer_spec specs[2 * MAX_HIDDEN + 2] = {{.kind = FTMPI_FLATTEN}};
	int n = 1;

	for (int i = 0; i < o->n_hidden_units; i++) {
		specs[n++] =
			(ftmpi_layer_spec){.kind = FTMPI_DENSE, .units = o->hidden_units[i], .activation = FTMPI_RELU};
		if (o->dropout > 0)
			specs[n++] = (ftmpi_layer_spec){.kind = FTMPI_DROPOUT, .rate = o->dropout};
	}
	specs[n++] = (ftmpi_layer_spec){.kind = FTMPI_DENSE, .units = n_outputs};
	FTMPI_TRY(ftmpi_model_create(o->feature_dims, o->n_feature_dims, specs, n, out));
done:
	return status;
}

static ftmpi_status create_local(const ftmpi_comm *comm, const ftmpi_dnn_options *options,
				 const ftmpi_run_config *config, bool classifier, ftmpi_estimator **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_estimator *e = NULL;

	FTMPI_TRY(check_config(comm, config));
	FTMPI_TRY(check_dnn(options, classifier));
	FTMPI_TRY(FTMPI_ALLOC(1, &e));
	e->comm = comm;
	e->config = *config;
	(void)snprintf(e->model_dir, sizeof e->model_dir, "%s", config->model_dir);
	e->config.model_dir = e->model_dir;
	e->loss_reduction = options->loss_reduction;
	e->compile = (ftmpi_compile){.optimizer = options->optimizer,
				     .loss = classifier ? FTMPI_LOSS_SPARSE_CROSS_ENTROPY_LOGITS
							: FTMPI_LOSS_MEAN_SQUARED_ERROR,
				     .metrics = {classifier ? FTMPI_METRIC_ACCURACY : FTMPI_METRIC_MEAN_SQUARED_ERROR},
				     .n_metrics = 1};
	FTMPI_TRY(ftmpi_compile_check(&e->compile));
	FTMPI_TRY(build_model(options, classifier ? options->n_classes : options->label_dimension, &e->model));
	*out = e;
	e = NULL;
done:
	ftmpi_estimator_destroy(&e);
	return status;
}

static ftmpi_status create(const ftmpi_comm *comm, const ftmpi_dnn_options *options, const ftmpi_run_config *config,
			   bool classifier, ftmpi_estimator **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_estimator *e = NULL;

	FTMPI_TRY(ftmpi_agree(comm, create_local(comm, options, config, classifier, &e)));
	*out = e;
	e = NULL;
done:
	ftmpi_estimator_destroy(&e);
	return status;
}

ftmpi_status ftmpi_dnn_classifier_create(const ftmpi_comm *comm, const ftmpi_dnn_options *options,
					 const ftmpi_run_config *config, ftmpi_estimator **out)
{
	return create(comm, options, config, true, out);
}

ftmpi_status ftmpi_dnn_regressor_create(const ftmpi_comm *comm, const ftmpi_dnn_options *options,
					const ftmpi_run_config *config, ftmpi_estimator **out)
{
	return create(comm, options, config, false, out);
}

void ftmpi_estimator_destroy(ftmpi_estimator **estimator)
{
	if (*estimator == NULL)
		return;
	ftmpi_model_destroy(&(*estimator)->model);
	ftmpi_free(*estimator);
	*estimator = NULL;
}

/* On the chief: a reader of the file, or of the folder's newest good one; NULL: there is none. */
static ftmpi_status open_reader(const ftmpi_estimator *e, const char *path, ftmpi_store *store, ftmpi_reader **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store_options options;
	ftmpi_store *look = NULL;

	if (path != NULL)
		return ftmpi_load_checkpoint(path, out);
	if (store != NULL)
		return ftmpi_store_open_latest(store, out);
	ftmpi_store_options_init(&options);
	options.name = FTMPI__MODEL_CKPT;
	options.number_path = FTMPI__NUMBER_PATH;
	options.read_only = true;
	status = ftmpi_store_open(e->model_dir, &options, &look);
	if (status == FTMPI_ERR_NOT_FOUND)
		return FTMPI_OK;
	FTMPI_TRY(status);
	FTMPI_TRY(ftmpi_store_open_latest(look, out));
done:
	ftmpi_store_close(&look);
	return status;
}

static ftmpi_status describe(const ftmpi_reader *reader, struct ftmpi__found *found)
{
	ftmpi_status status = FTMPI_OK;

	if (reader == NULL)
		goto done;
	found->is_there = true;
	FTMPI_TRY(ftmpi_reader_read(reader, FTMPI__NUMBER_PATH, &found->step, sizeof found->step));
	FTMPI_TRY(ftmpi_reader_read(reader, "ftmpi/logical_workers", &found->n_workers, sizeof found->n_workers));
	(void)snprintf(found->prefix, sizeof found->prefix, "%s", ftmpi_reader_file(reader));
	if (strlen(found->prefix) > sizeof SUFFIX)
		found->prefix[strlen(found->prefix) - (sizeof SUFFIX - 1)] = '\0';
done:
	return status;
}

ftmpi_status ftmpi__estimator_find(const ftmpi_estimator *e, const char *path, ftmpi_store *store,
				   struct ftmpi__found *found, ftmpi_reader **reader)
{
	ftmpi_status status = FTMPI_OK;

	*found = (struct ftmpi__found){.step = 0};
	if (ftmpi_comm_is_chief(e->comm)) {
		status = open_reader(e, path, store, reader);
		if (status == FTMPI_OK)
			status = describe(*reader, found);
	}
	FTMPI_TRY(ftmpi_agree(e->comm, status));
	FTMPI_TRY(ftmpi_broadcast(e->comm, found, (int64_t)sizeof *found, FTMPI_CHIEF));
done:
	return status;
}

int ftmpi__estimator_workers(const ftmpi_estimator *e, const struct ftmpi__found *found)
{
	if (e->config.n_workers > 0)
		return e->config.n_workers;
	return found->is_there ? (int)found->n_workers : ftmpi_comm_size(e->comm);
}

/* The parameters of a checkpoint, and an evaluator for them. */
static ftmpi_status load(const ftmpi_estimator *e, const char *path, struct ftmpi__found *found, float *params,
			 ftmpi_evaluator **evaluator)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_checkpoint *checkpoint = NULL;
	ftmpi_reader *reader = NULL;

	FTMPI_TRY(ftmpi__estimator_find(e, path, NULL, found, &reader));
	if (!found->is_there)
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "could not find a trained model in model_dir: %s", e->model_dir);
	FTMPI_TRY(ftmpi_agree(e->comm, ftmpi_checkpoint_create(e->comm, &checkpoint)));
	FTMPI_TRY(ftmpi_agree(e->comm, ftmpi_model_register(e->model, params, ftmpi_checkpoint_registry(checkpoint))));
	FTMPI_TRY(ftmpi_checkpoint_restore_reader(checkpoint, reader));
	FTMPI_TRY(
		ftmpi_evaluator_create(e->comm, e->model, &e->compile, ftmpi__estimator_workers(e, found), evaluator));
done:
	ftmpi_checkpoint_destroy(&checkpoint);
	ftmpi_reader_close(&reader);
	return status;
}

ftmpi_status ftmpi_estimator_evaluate(ftmpi_estimator *e, const ftmpi_input *input, const char *checkpoint_path,
				      ftmpi_evaluation *out)
{
	ftmpi_status status = FTMPI_OK;
	struct ftmpi__found found;
	ftmpi_evaluator *evaluator = NULL;
	ftmpi_metrics metrics;
	float *params = NULL;

	FTMPI_TRY(ftmpi_agree(e->comm, FTMPI_ALLOC(ftmpi_model_layout(e->model)->n_elements, &params)));
	FTMPI_TRY(load(e, checkpoint_path, &found, params, &evaluator));
	FTMPI_TRY(ftmpi_evaluator_run(evaluator, params, input->dataset, &metrics));
	*out = (ftmpi_evaluation){.average_loss = metrics.loss,
				  .metric = metrics.values[0],
				  .n_samples = metrics.n_samples,
				  .global_step = found.step};
	ftmpi_log(FTMPI_LOG_INFO,
		  "Saving dict for global step %lld: %s = %.7g, average_loss = %.7g, global_step = %lld",
		  (long long)found.step, ftmpi_metric_name(e->compile.metrics[0]), out->metric, out->average_loss,
		  (long long)found.step);
done:
	ftmpi_evaluator_destroy(&evaluator);
	ftmpi_free(params);
	return status;
}

ftmpi_status ftmpi_estimator_predict(ftmpi_estimator *e, const ftmpi_dataset *dataset, const char *checkpoint_path,
				     float *outputs)
{
	ftmpi_status status = FTMPI_OK;
	struct ftmpi__found found;
	ftmpi_evaluator *evaluator = NULL;
	float *params = NULL;

	FTMPI_TRY(ftmpi_agree(e->comm, FTMPI_ALLOC(ftmpi_model_layout(e->model)->n_elements, &params)));
	FTMPI_TRY(load(e, checkpoint_path, &found, params, &evaluator));
	FTMPI_TRY(ftmpi_evaluator_predict(evaluator, params, dataset, outputs));
done:
	ftmpi_evaluator_destroy(&evaluator);
	ftmpi_free(params);
	return status;
}
