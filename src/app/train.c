/* SPDX-License-Identifier: Apache-2.0 */
/* `ftmpi train`: look at the data, then at the folder, then train.
 *
 * Nothing is created or changed before options and data are known to be good. */
#include "app/app.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the parts of this command hand on. */
struct training {
	ftmpi_dataset *train, *validation;
	ftmpi_model *model;
	ftmpi_compile compile;
	ftmpi_buffer config, data; /* key = value texts for the checkpoint: the options, and facts of the data */
	ftmpi_buffer model_text;   /* the model in Keras's words */
	int n_workers;
	int64_t max_steps;
	ftmpi_digest digest; /* of the state at the end */
};

static ftmpi_status open_store(struct app_context *app)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store_options options;

	ftmpi_store_options_init(&options);
	options.number_path = APP_NUMBER_PATH;
	options.keep_max = app->options.keep_max;
	options.keep_every_n_hours = app->options.keep_hours;
	options.lock_wait_s = app->options.lock_wait_s;
	options.read_only = app->look_only;
	FTMPI_TRY(ftmpi_store_open(app->options.model_dir, &options, &app->store));
	FTMPI_TRY(ftmpi_store_open_latest(app->store, &app->reader));
done:
	return status;
}

/* A folder that cannot be written (an archive, a snapshot) is looked at all the same: its run may be finished. */
static ftmpi_status open_store_or_look(struct app_context *app)
{
	const ftmpi_status status = open_store(app);

	if (status != FTMPI_ERR_IO)
		return status;
	(void)snprintf(app->blocked, sizeof app->blocked, "%s", ftmpi_error_message());
	ftmpi_store_close(&app->store);
	app->look_only = true;
	if (open_store(app) == FTMPI_OK && app->reader != NULL)
		return FTMPI_OK;
	return ftmpi_error_set(status, __FILE__, __LINE__, "%s", app->blocked);
}

/* On the chief: a run that is not finished needs a folder that can be written. */
static ftmpi_status check_writable(const struct app_context *app)
{
	if (!app->look_only || !ftmpi_comm_is_chief(app->world))
		return FTMPI_OK;
	return ftmpi_error_set(FTMPI_ERR_IO, __FILE__, __LINE__, "%s", app->blocked);
}

static ftmpi_status open_checkpoints(struct app_context *app)
{
	ftmpi_status status = FTMPI_OK;

	if (ftmpi_comm_is_chief(app->world))
		status = open_store_or_look(app);
	FTMPI_TRY(ftmpi_agree(app->world, status));
	FTMPI_TRY(app_share_checkpoint(app));
done:
	return status;
}

/* V: what the checkpoint says, else the option, else the number of ranks. */
static ftmpi_status choose_workers(struct app_context *app)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_keyvalue pair;

	if (app_options_given(&app->options, "logical-workers"))
		goto done;
	app->options.logical_workers = ftmpi_comm_size(app->world);
	if (app->found && ftmpi_keyvalue_find(app->saved_options.data, "logical-workers", &pair))
		app->options.logical_workers = strtoll(pair.value, NULL, 10);
	if (app->options.logical_workers < 1 || app->options.logical_workers > 65536)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: %lld logical workers", app->saved_file,
			   (long long)app->options.logical_workers);
done:
	return status;
}

/* Digests of the data, as text. */
static ftmpi_status describe_data(const struct training *training, ftmpi_buffer *text)
{
	ftmpi_status status = FTMPI_OK;
	char digest[FTMPI_DIGEST_TEXT];

	ftmpi_digest_format(ftmpi_dataset_digest(training->train), digest);
	FTMPI_TRY(ftmpi_buffer_printf(text, "n-features = %lld\ntraining data = %s\n",
				      (long long)ftmpi_dataset_n_features(training->train), digest));
	if (training->validation != NULL)
		ftmpi_digest_format(ftmpi_dataset_digest(training->validation), digest);
	FTMPI_TRY(ftmpi_buffer_printf(text, "test data = %s\n", training->validation == NULL ? "none" : digest));
done:
	return status;
}

/* The data is that with which the run began. */
static ftmpi_status compare_data(const struct app_context *app, const char *now_text)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_keyvalue now = {.line = 0}, then;
	bool found = true;

	while (ftmpi_keyvalue_next(&now_text, &now, &found) == FTMPI_OK && found)
		if (ftmpi_keyvalue_find(app->saved_data.data, now.key, &then) && strcmp(then.value, now.value) != 0)
			FTMPI_FAIL(FTMPI_ERR_USAGE,
				   "--data %s is not the data of this run: the digest of its %s was %s when the run "
				   "began and is %s "
				   "now; give the same data, or another --model-dir for a new run",
				   app->options.data, now.key, then.value, now.value);
done:
	return status;
}

/* The model is that with which the run began; the options that describe one are compared by name before. */
static ftmpi_status compare_model(const struct app_context *app, const ftmpi_buffer *now)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_keyvalue then;
	const bool had_file = ftmpi_keyvalue_find(app->saved_options.data, "model", &then) && then.value[0] != '\0';

	if (now->n_bytes != app->saved_model.n_bytes || memcmp(now->data, app->saved_model.data, now->n_bytes) != 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE,
			   "--model was %s when this run began and is %s now, and describes another model; give the "
			   "same, or another --model-dir for a new run",
			   had_file ? then.value : "not given",
			   app->options.model[0] == '\0' ? "not given" : app->options.model);
done:
	return status;
}

/* A key of the saved environment that tells of an environment before it: "before: blas". */
#define BEFORE "before: "

/* Say where this rank's numbers may differ from those of `baseline`; with --strict, refuse. @param before what differs is added to it, as lines that
 * the next checkpoints keep; NULL: not wanted. */
static ftmpi_status compare_environment(const struct app_context *app, const char *baseline, const char *whose,
					ftmpi_buffer *before)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_keyvalue here, there = {.line = 0};
	bool found = true;

	while (ftmpi_keyvalue_next(&baseline, &there, &found) == FTMPI_OK && found) {
		const bool earlier = strncmp(there.key, BEFORE, sizeof BEFORE - 1) == 0;
		const char *key = earlier ? there.key + sizeof BEFORE - 1 : there.key;

		if (!ftmpi_keyvalue_find(ftmpi_numeric_environment(), key, &here) ||
		    strcmp(there.value, here.value) == 0)
			continue;
		if (app->options.strict)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "--strict: not bit-exact because %s %s '%s' and is '%s' here", key,
				   whose, there.value, here.value);
		if (!earlier)
			ftmpi_log(FTMPI_LOG_WARNING, "not bit-exact because %s %s '%s' and is '%s' here", key, whose,
				  there.value, here.value);
		if (before != NULL)
			FTMPI_TRY(ftmpi_buffer_printf(before, BEFORE "%s = %s\n", key, there.value));
	}
done:
	return status;
}

/* The chief with the run so far, the other ranks with the chief. Collective. @param record set to what the next checkpoints keep, on every rank. */
static ftmpi_status compare_environments(const struct app_context *app, const ftmpi_comm *comm, ftmpi_buffer *record)
{
	ftmpi_status status = FTMPI_OK;
	const bool chief = ftmpi_comm_is_chief(comm);

	if (chief)
		status = ftmpi_buffer_printf(record, "%s", ftmpi_numeric_environment());
	if (chief && status == FTMPI_OK && app->found)
		status = compare_environment(app, app->saved_environment.data, "was", record);
	FTMPI_TRY(ftmpi_agree(comm, status));
	FTMPI_TRY(ftmpi_broadcast_buffer(comm, record, FTMPI_CHIEF));
	if (!chief)
		status = compare_environment(app, record->data, "on the chief is", NULL);
	FTMPI_TRY(ftmpi_agree(comm, status));
done:
	return status;
}

/* Everything that can be wrong with going on, and the text that the next checkpoints keep. */
static ftmpi_status prepare(struct app_context *app, struct training *training)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(choose_workers(app));
	app_compile(app, &training->compile);
	FTMPI_TRY(app_options_optimizer(&app->options, &training->compile.optimizer));
	FTMPI_TRY(ftmpi_keras_format(training->model, &training->compile, &training->model_text));
	FTMPI_TRY(describe_data(training, &training->data));
	if (app->found) {
		FTMPI_TRY(app_options_compare(&app->options, app->saved_options.data));
		FTMPI_TRY(
			compare_data(app, training->data.data)); /* first: another shape of data is another model too */
		FTMPI_TRY(compare_model(app, &training->model_text));
	}
	FTMPI_TRY(app_options_format(&app->options, &training->config));
	training->n_workers = (int)app->options.logical_workers;
	training->max_steps = app->options.steps > 0 ? app->saved_step + app->options.steps : app->options.max_steps;
done:
	return status;
}

static bool is_finished(const struct app_context *app, const struct training *training)
{
	const int64_t epochs = app->options.epochs;

	return app->found && ((epochs > 0 && app->saved_epoch >= epochs) ||
			      (training->max_steps > 0 && app->saved_step >= training->max_steps));
}

static void print_digest(ftmpi_digest digest)
{
	char text[FTMPI_DIGEST_TEXT];

	ftmpi_digest_format(digest, text);
	ftmpi_log(FTMPI_LOG_INFO, "state digest: %s", text);
}

/* What callbacks of this command work with. */
struct launch {
	struct app_context *app;
	struct training *training;
};

static ftmpi_status restore(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	const struct launch *launch = context;
	struct app_context *app = launch->app;

	if (!app->found)
		return app_load_weights(app, ftmpi_fit_comm(fit), ftmpi_checkpoint_registry(ftmpi_fit_checkpoint(fit)));
	FTMPI_TRY(ftmpi_checkpoint_restore_reader(ftmpi_fit_checkpoint(fit), app->reader));
	ftmpi_reader_close(&app->reader);
done:
	return status;
}

static ftmpi_status announce(void *context, ftmpi_fit *fit)
{
	const struct launch *launch = context;
	const struct app_context *app = launch->app;
	const ftmpi_progress p = ftmpi_fit_progress(fit);

	if (p.resumed)
		ftmpi_log(FTMPI_LOG_INFO,
			  "resuming from %s: step %lld, epoch %lld, batch %lld of %lld (np %d, %d logical workers)",
			  app->saved_file, (long long)p.step, (long long)p.epoch + 1, (long long)p.batch,
			  (long long)p.n_batches, ftmpi_comm_size(ftmpi_fit_comm(fit)),
			  (int)app->options.logical_workers);
	return FTMPI_OK;
}

static ftmpi_status take_digest(void *context, ftmpi_fit *fit)
{
	const struct launch *launch = context;

	return ftmpi_checkpoint_state_digest(ftmpi_fit_checkpoint(fit), &launch->training->digest);
}

static ftmpi_display_style display_style(const char *name)
{
	if (strcmp(name, "bar") == 0)
		return FTMPI_DISPLAY_BAR;
	if (strcmp(name, "lines") == 0)
		return FTMPI_DISPLAY_LINES;
	return strcmp(name, "log") == 0 ? FTMPI_DISPLAY_LOG : ftmpi_display_style_auto();
}

static bool rolls_back(const struct app_options *o)
{
	return strcmp(o->on_divergence, "rollback") == 0;
}

/* Where there is to be a way back, there is one from the beginning on. */
static ftmpi_status create_saver(const struct app_context *app, ftmpi_saver **out)
{
	const struct app_options *o = &app->options;
	const ftmpi_saver_options options = {
		.save_steps = o->save_steps,
		.save_epochs = o->save_epochs,
		.save_s = o->checkpoint_interval[0] != '\0' ? FTMPI_SAVE_AUTO : o->save_s,
		.overhead = o->checkpoint_overhead,
		.at_begin = rolls_back(o) && !app->found,
		.log = strcmp(o->progress, "log") == 0,
		.async = o->async_checkpoint,
		.on_error = strcmp(o->on_save_error, "stop") == 0 ? FTMPI_SAVE_ERROR_STOP : FTMPI_SAVE_ERROR_CONTINUE};

	return ftmpi_saver_create(app->store, &options, out);
}

/* Everything that a rank makes by itself for a fit. */
struct parts {
	ftmpi_callback own;
	ftmpi_display *display;
	ftmpi_saver *saver;
	ftmpi_rollback *rollback;
	ftmpi_callback *summary;
	ftmpi_preemption *preemption;
	const ftmpi_callback *callbacks[5];
	int n_callbacks;
};

static ftmpi_status make_parts(struct parts *p, const struct app_context *app, bool chief, struct launch *launch)
{
	ftmpi_status status = FTMPI_OK;
	const struct app_options *o = &app->options;
	const ftmpi_tensorboard_options summary = {.update_freq = o->summary_steps};

	p->own = (ftmpi_callback){.context = launch,
				  .name = "ftmpi",
				  .restore = restore,
				  .train_begin = announce,
				  .train_end = take_digest};
	p->callbacks[p->n_callbacks++] = &p->own;
	FTMPI_TRY(create_saver(app, &p->saver));
	p->callbacks[p->n_callbacks++] = ftmpi_saver_callback(p->saver);
	FTMPI_TRY(ftmpi_display_create(display_style(o->progress), o->log_steps, &p->display));
	p->callbacks[p->n_callbacks++] = ftmpi_display_callback(p->display);
	if (o->summary_steps > 0) {
		FTMPI_TRY(ftmpi_tensorboard_create(o->model_dir, &summary, &p->summary));
		p->callbacks[p->n_callbacks++] = p->summary;
	}
	if (rolls_back(o)) {
		FTMPI_TRY(ftmpi_rollback_create(p->saver, o->max_rollbacks, &p->rollback));
		p->callbacks[p->n_callbacks++] = ftmpi_rollback_callback(p->rollback);
	}
	FTMPI_TRY(app_create_preemption(o, chief, &p->preemption));
done:
	return status;
}

static void clear_parts(struct parts *p)
{
	ftmpi_preemption_destroy(&p->preemption);
	ftmpi_rollback_destroy(&p->rollback);
	ftmpi_callback_destroy(&p->summary);
	ftmpi_saver_destroy(&p->saver);
	ftmpi_display_destroy(&p->display);
}

static ftmpi_status fit(struct app_context *app, const ftmpi_comm *comm, struct training *training,
			ftmpi_trainer *trainer)
{
	ftmpi_status status = FTMPI_OK;
	const struct app_options *o = &app->options;
	struct launch launch = {.app = app, .training = training};
	struct parts parts = {.n_callbacks = 0};
	ftmpi_fit_options options;

	FTMPI_TRY(ftmpi_agree(comm, make_parts(&parts, app, ftmpi_comm_is_chief(comm), &launch)));
	ftmpi_fit_options_init(&options);
	options.train = training->train;
	options.validation = training->validation;
	options.batch_size = o->batch_size;
	options.shuffle = o->shuffle;
	options.epochs = o->epochs;
	options.max_steps = training->max_steps;
	options.callbacks = parts.callbacks;
	options.n_callbacks = parts.n_callbacks;
	options.spike_factor = o->spike_factor;
	options.preemption = parts.preemption;
	FTMPI_TRY(ftmpi_trainer_fit(trainer, &options));
	print_digest(training->digest);
done:
	clear_parts(&parts);
	return status;
}

/* On the ranks that have logical workers. */
static ftmpi_status train_on(struct app_context *app, const ftmpi_comm *comm, void *context)
{
	ftmpi_status status = FTMPI_OK;
	struct training *training = context;
	const ftmpi_trainer_options options = {.n_workers = training->n_workers,
					       .seed = app->options.seed,
					       .compare_steps = app->options.compare_steps,
					       .loss_reduction = strcmp(app->options.loss_reduction, "sum") == 0
									 ? FTMPI_REDUCE_SUM
									 : FTMPI_REDUCE_MEAN};
	ftmpi_trainer *trainer = NULL;
	ftmpi_buffer environment = {0};

	FTMPI_TRY(ftmpi_trainer_create(comm, training->model, &training->compile, &options, &trainer));
	FTMPI_TRY(ftmpi_agree(comm, ftmpi_trainer_set_record(trainer, "config", training->config.data)));
	FTMPI_TRY(ftmpi_agree(comm, ftmpi_trainer_set_record(trainer, "data", training->data.data)));
	FTMPI_TRY(ftmpi_agree(comm, ftmpi_trainer_set_record(trainer, "model", training->model_text.data)));
	FTMPI_TRY(compare_environments(app, comm, &environment));
	FTMPI_TRY(ftmpi_agree(comm, ftmpi_trainer_set_record(trainer, "environment", environment.data)));
	FTMPI_TRY(fit(app, comm, training, trainer));
done:
	ftmpi_buffer_clear(&environment);
	ftmpi_trainer_destroy(&trainer);
	return status;
}

ftmpi_status app_train(struct app_context *app)
{
	ftmpi_status status = FTMPI_OK;
	struct training training = {0};

	FTMPI_TRY(app_open_model_file(app));
	FTMPI_TRY(app_open_data(app, FTMPI_TRAIN, &training.train));
	FTMPI_TRY(app_open_data(app, FTMPI_TEST, &training.validation));
	FTMPI_TRY(ftmpi_agree(app->world, app_build_model(app, training.train, &training.model)));
	FTMPI_TRY(open_checkpoints(app));
	FTMPI_TRY(ftmpi_agree(app->world, prepare(app, &training)));
	if (is_finished(app, &training)) {
		ftmpi_log(FTMPI_LOG_INFO,
			  "finished already: %s is at step %lld with %lld epochs done; raise --epochs or --max-steps "
			  "to go on",
			  app->saved_file, (long long)app->saved_step, (long long)app->saved_epoch);
		if (ftmpi_comm_is_chief(app->world))
			print_digest(ftmpi_reader_state_digest(app->reader));
		goto done;
	}
	FTMPI_TRY(ftmpi_agree(app->world, check_writable(app)));
	FTMPI_TRY(app_on_active_ranks(app, training.n_workers, train_on, &training));
done:
	ftmpi_buffer_clear(&training.config);
	ftmpi_buffer_clear(&training.data);
	ftmpi_buffer_clear(&training.model_text);
	ftmpi_model_destroy(&training.model);
	ftmpi_dataset_destroy(&training.validation);
	ftmpi_dataset_destroy(&training.train);
	return status;
}
