/* SPDX-License-Identifier: Apache-2.0 */
/* Training an estimator: a fit with a restore, the Estimator's log, a saver, the way back, TensorBoard's scalars and the hooks, in this order.
 *
 * Steps and input are counted here, not in fit: `steps` counts from what was restored, and an input that came to its end begins anew with the next train, while
 * one that was interrupted goes on. For that its first epoch, and whether it ended, are part of the state. */
#include "train/estimator.h"

#include "base/clock.h"

#include <ftmpi/callbacks.h>
#include <ftmpi/display.h>
#include <ftmpi/log.h>
#include <ftmpi/rollback.h>

enum { MAX_HOOKS = 16, N_OWN = 5 };

struct training {
	ftmpi_estimator *estimator;
	const ftmpi_input *input;
	ftmpi_store *store;   /* chief */
	ftmpi_reader *reader; /* chief; what is restored */
	struct ftmpi__found found;
	int64_t first_epoch, ended; /* saved */
};

static ftmpi_status attach(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct training *t = context;
	ftmpi_registry *r = ftmpi_checkpoint_registry(ftmpi_fit_checkpoint(fit));

	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/input/first_epoch", FTMPI_I64, &t->first_epoch, FTMPI_STATE));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/input/ended", FTMPI_I64, &t->ended, FTMPI_STATE));
done:
	return status;
}

static ftmpi_status restore(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct training *t = context;
	ftmpi_batches *batches = ftmpi_fit_batches(fit);

	if (!t->found.is_there)
		goto done;
	ftmpi_log(FTMPI_LOG_INFO, "Restoring parameters from %s", t->found.prefix);
	FTMPI_TRY(ftmpi_checkpoint_restore_reader(ftmpi_fit_checkpoint(fit), t->reader));
	ftmpi_reader_close(&t->reader);
	if (t->ended == 0)
		goto done;
	t->ended = 0;
	t->first_epoch = ftmpi_batches_epoch(batches) + (ftmpi_batches_position(batches) > 0);
	ftmpi_batches_seek(batches, t->first_epoch);
done:
	return status;
}

static bool input_is_at_end(const struct training *t, const ftmpi_fit *fit)
{
	return t->input->num_epochs > 0 &&
	       ftmpi_batches_epoch(ftmpi_fit_batches(fit)) - t->first_epoch >= t->input->num_epochs;
}

/* Before the saver, so that what it saves knows of the end. */
static ftmpi_status settled(void *context, ftmpi_fit *fit)
{
	struct training *t = context;
	const ftmpi_progress p = ftmpi_fit_progress(fit);

	if (input_is_at_end(t, fit))
		ftmpi_fit_stop(fit);
	t->ended = ftmpi_fit_stopping(fit) || p.step >= p.max_steps;
	return FTMPI_OK;
}

/* Also when a hook asked for the end after the saver. */
static ftmpi_status train_end(void *context, ftmpi_fit *fit)
{
	struct training *t = context;

	(void)fit;
	t->ended = 1;
	return FTMPI_OK;
}

static ftmpi_callback callback_of(const ftmpi_hook *hook)
{
	return (ftmpi_callback){.context = hook->context,
				.name = "hook",
				.attach = hook->begin,
				.train_begin = hook->after_create_session,
				.batch_begin = hook->before_run,
				.settled = hook->after_run,
				.diverged = hook->diverged,
				.train_end = hook->end};
}

static bool saves(const ftmpi_run_config *c)
{
	return c->save_checkpoints_steps > 0 || c->save_checkpoints_secs != 0;
}

static ftmpi_status check_list(const char *what, const void *const *list, int n)
{
	ftmpi_status status = FTMPI_OK;

	if (n < 0 || n > MAX_HOOKS)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%d %s: 0 to %d are possible", n, what, MAX_HOOKS);
	for (int i = 0; i < n; i++)
		if (list == NULL || list[i] == NULL)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "%s: number %d of %d is NULL", what, i, n);
done:
	return status;
}

static ftmpi_status check_options(const ftmpi_estimator *e, const ftmpi_input *input, const ftmpi_train_options *o)
{
	ftmpi_status status = FTMPI_OK;

	if (o->steps != 0 && o->max_steps != 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "can not provide both steps and max_steps");
	if (o->steps < 0 || o->max_steps < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "must specify %s > 0, given: %lld", o->steps < 0 ? "steps" : "max_steps",
			   (long long)(o->steps < 0 ? o->steps : o->max_steps));
	if (input->num_epochs < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "num_epochs is %lld: give 0 (without end) or more",
			   (long long)input->num_epochs);
	if (input->num_epochs == 0 && o->steps == 0 && o->max_steps == 0 && o->n_hooks == 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE,
			   "neither the input, nor a number of steps, nor a hook says when the training ends");
	if (o->n_saving_listeners > 0 && !saves(&e->config))
		FTMPI_FAIL(FTMPI_ERR_USAGE,
			   "there are saving listeners, or evaluations, but no saves: give the RunConfig "
			   "save_checkpoints_steps or save_checkpoints_secs");
	FTMPI_TRY(check_list("hooks", (const void *const *)o->hooks, o->n_hooks));
	FTMPI_TRY(check_list("saving listeners", (const void *const *)o->saving_listeners, o->n_saving_listeners));
done:
	return status;
}

static ftmpi_status open_store(struct training *t)
{
	const ftmpi_run_config *c = &t->estimator->config;
	ftmpi_store_options options;

	ftmpi_store_options_init(&options);
	options.name = FTMPI__MODEL_CKPT;
	options.number_path = FTMPI__NUMBER_PATH;
	options.keep_max = c->keep_checkpoint_max;
	options.keep_every_n_hours = c->keep_checkpoint_every_n_hours;
	return ftmpi_store_open(c->model_dir, &options, &t->store);
}

static ftmpi_status create_saver(const struct training *t, const ftmpi_train_options *o, ftmpi_saver **out)
{
	const ftmpi_run_config *c = &t->estimator->config;
	const bool unset = c->save_checkpoints_secs < 0 && c->save_checkpoints_secs != FTMPI_SAVE_AUTO;
	const ftmpi_saver_options options = {.save_steps = c->save_checkpoints_steps,
					     .save_s = unset ? (c->save_checkpoints_steps > 0 ? 0 : 600)
							     : c->save_checkpoints_secs,
					     .overhead = c->save_checkpoints_overhead,
					     .at_begin = true,
					     .log = true,
					     .async = c->async_checkpoint,
					     .on_error = FTMPI_SAVE_ERROR_STOP,
					     .listeners = o->saving_listeners,
					     .n_listeners = o->n_saving_listeners};

	return ftmpi_saver_create(t->store, &options, out);
}

/* Everything that a rank makes by itself for a fit. */
struct parts {
	ftmpi_display *display;
	ftmpi_saver *saver;
	ftmpi_rollback *rollback;
	ftmpi_callback *summary;
	ftmpi_callback own, hooks[MAX_HOOKS];
	const ftmpi_callback *callbacks[N_OWN + MAX_HOOKS];
	int n_callbacks;
};

static ftmpi_status make_parts(struct parts *p, struct training *t, const ftmpi_train_options *o)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_run_config *c = &t->estimator->config;

	p->own = (ftmpi_callback){.context = t,
				  .name = "estimator",
				  .attach = attach,
				  .restore = restore,
				  .settled = settled,
				  .train_end = train_end,
				  .alike = true};
	p->callbacks[p->n_callbacks++] = &p->own;
	FTMPI_TRY(ftmpi_display_create(FTMPI_DISPLAY_LOG, c->log_step_count_steps, &p->display));
	p->callbacks[p->n_callbacks++] = ftmpi_display_callback(p->display);
	FTMPI_TRY(create_saver(t, o, &p->saver));
	if (saves(c))
		p->callbacks[p->n_callbacks++] = ftmpi_saver_callback(p->saver);
	if (c->max_rollbacks > 0) {
		FTMPI_TRY(ftmpi_rollback_create(p->saver, c->max_rollbacks, &p->rollback));
		p->callbacks[p->n_callbacks++] = ftmpi_rollback_callback(p->rollback);
	}
	if (c->save_summary_steps > 0) {
		const ftmpi_tensorboard_options summary = {.update_freq = c->save_summary_steps};

		FTMPI_TRY(ftmpi_tensorboard_create(c->model_dir, &summary, &p->summary));
		p->callbacks[p->n_callbacks++] = p->summary;
	}
	for (int i = 0; i < o->n_hooks; i++) {
		p->hooks[i] = callback_of(o->hooks[i]);
		p->callbacks[p->n_callbacks++] = &p->hooks[i];
	}
done:
	return status;
}

static void clear_parts(struct parts *p)
{
	ftmpi_callback_destroy(&p->summary);
	ftmpi_rollback_destroy(&p->rollback);
	ftmpi_saver_destroy(&p->saver);
	ftmpi_display_destroy(&p->display);
}

static ftmpi_status fit(struct training *t, const ftmpi_train_options *o)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_estimator *e = t->estimator;
	ftmpi_trainer_options options;
	ftmpi_fit_options how;
	ftmpi_trainer *trainer = NULL;
	struct parts parts = {.n_callbacks = 0};

	ftmpi_trainer_options_init(&options);
	options.n_workers = ftmpi__estimator_workers(e, &t->found);
	options.seed = e->config.tf_random_seed;
	options.loss_reduction = e->loss_reduction;
	FTMPI_TRY(ftmpi_agree(e->comm, make_parts(&parts, t, o)));
	FTMPI_TRY(ftmpi_trainer_create(e->comm, e->model, &e->compile, &options, &trainer));
	ftmpi_fit_options_init(&how);
	how.train = t->input->dataset;
	how.batch_size = t->input->batch_size;
	how.shuffle = t->input->shuffle;
	how.epochs = 0;
	how.max_steps = o->steps > 0 ? t->found.step + o->steps : o->max_steps > 0 ? o->max_steps : INT64_MAX;
	how.callbacks = parts.callbacks;
	how.n_callbacks = parts.n_callbacks;
	how.preemption = o->preemption;
	how.spike_factor = e->config.spike_factor;
	FTMPI_TRY(ftmpi_trainer_fit(trainer, &how));
done:
	ftmpi_trainer_destroy(&trainer);
	clear_parts(&parts);
	return status;
}

ftmpi_status ftmpi_estimator_train(ftmpi_estimator *e, const ftmpi_input *input, const ftmpi_train_options *options)
{
	ftmpi_status status = FTMPI_OK;
	static const ftmpi_train_options none;
	const ftmpi_train_options *o = options == NULL ? &none : options;
	struct training t = {.estimator = e, .input = input};

	FTMPI_TRY(ftmpi_agree(e->comm, check_options(e, input, o)));
	if (o->max_steps > 0) { /* without touching anything */
		FTMPI_TRY(ftmpi__estimator_find(e, NULL, NULL, &t.found, &t.reader));
		ftmpi_reader_close(&t.reader);
		if (t.found.is_there && t.found.step >= o->max_steps) {
			ftmpi_log(FTMPI_LOG_INFO, "Skipping training since max_steps has already saved.");
			goto done;
		}
	}
	if (ftmpi_comm_is_chief(e->comm))
		status = open_store(&t);
	FTMPI_TRY(ftmpi_agree(e->comm, status));
	FTMPI_TRY(ftmpi__estimator_find(e, NULL, t.store, &t.found, &t.reader));
	FTMPI_TRY(fit(&t, o));
done:
	ftmpi_reader_close(&t.reader);
	ftmpi_store_close(&t.store);
	return status;
}

/* Evaluation between saves. */
struct watcher {
	ftmpi_estimator *estimator;
	const ftmpi_input *input;
	double throttle_s, last_s;
	ftmpi_evaluation evaluation;
	int64_t step; /* of the evaluation; −1: none */
};

/* The chief's clock decides. */
static ftmpi_status evaluate_after_save(void *context, int64_t step, bool *stop)
{
	ftmpi_status status = FTMPI_OK;
	struct watcher *w = context;
	bool due = ftmpi__now_s() - w->last_s >= w->throttle_s;

	(void)stop;
	FTMPI_TRY(ftmpi_broadcast(w->estimator->comm, &due, (int64_t)sizeof due, FTMPI_CHIEF));
	if (!due || w->step == step)
		goto done;
	FTMPI_TRY(ftmpi_estimator_evaluate(w->estimator, w->input, NULL, &w->evaluation));
	w->step = step;
	w->last_s = ftmpi__now_s();
done:
	return status;
}

ftmpi_status ftmpi_estimator_train_and_evaluate(ftmpi_estimator *e, const ftmpi_input *train_input,
						const ftmpi_train_options *options, const ftmpi_input *eval_input,
						double throttle_s, ftmpi_evaluation *out)
{
	ftmpi_status status = FTMPI_OK;
	struct watcher watcher = {
		.estimator = e, .input = eval_input, .throttle_s = throttle_s, .last_s = ftmpi__now_s(), .step = -1};
	const ftmpi_saving_listener own = {.context = &watcher, .after_save = evaluate_after_save};
	const ftmpi_saving_listener *listeners[MAX_HOOKS] = {&own};
	ftmpi_train_options o = options == NULL ? (ftmpi_train_options){.steps = 0} : *options;

	FTMPI_TRY(check_list("saving listeners", (const void *const *)o.saving_listeners, o.n_saving_listeners));
	if (o.n_saving_listeners == MAX_HOOKS)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%d saving listeners: 0 to %d are possible", MAX_HOOKS, MAX_HOOKS - 1);
	if (!(throttle_s >= 0))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "throttle_s is %g: give 0 or more seconds", throttle_s);
	for (int i = 0; i < o.n_saving_listeners; i++)
		listeners[1 + i] = o.saving_listeners[i];
	o.saving_listeners = listeners;
	o.n_saving_listeners++;
	FTMPI_TRY(ftmpi_estimator_train(e, train_input, &o));
	FTMPI_TRY(ftmpi_estimator_evaluate(e, eval_input, NULL, out));
done:
	return status;
}
