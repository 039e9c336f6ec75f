/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Estimators, as tf.estimator: a model that lives in a folder. Training goes on from the folder's newest good checkpoint, so a relaunch is nothing but the same
 * program again. Built on fit (trainer.h), a saver and callbacks.
 */
#ifndef FTMPI_ESTIMATOR_H
#define FTMPI_ESTIMATOR_H

#include <ftmpi/saver.h>
#include <ftmpi/trainer.h>

FTMPI_BEGIN_DECLS

/**
 * RunConfig. Of TensorFlow's fields these mean something here:
 *
 * | field                          | default | here                                                                        |
 * |--------------------------------|---------|-----------------------------------------------------------------------------|
 * | model_dir                      | (none)  | must be given: there is no temporary folder that a relaunch could find      |
 * | tf_random_seed                 | 1       | of parameters, order and dropout; 1 where TensorFlow has none               |
 * | save_summary_steps             | 100     | TensorBoard scalars in model_dir; 0: none                                   |
 * | save_checkpoints_steps         | 0       | 0: by seconds                                                               |
 * | save_checkpoints_secs          | 600     | unless save_checkpoints_steps is given; giving both is an error; 0: none    |
 * | save_checkpoints_overhead      | 0.01    | with secs FTMPI_SAVE_AUTO, ftmpi's own: as in saver.h                       |
 * | keep_checkpoint_max            | 5       | 0: all                                                                      |
 * | keep_checkpoint_every_n_hours  | 10000   |                                                                             |
 * | log_step_count_steps           | 100     |                                                                             |
 *
 * async_checkpoint is ftmpi's own: checkpoints are written while the training goes on, as saver.h says, if no saving listener has an after_save.
 * session_config, device_fn, protocol, session_creation_timeout_secs and the strategies are about TensorFlow's runtime: mpirun and the number of ranks are
 * in their place. ftmpi's own are n_workers, the number of logical workers, fixed at the first launch; 0: its number of ranks; max_rollbacks, as rollback.h:
 * what a loss does that is not finite; 0: it ends the training with ERR_DIVERGED; and spike_factor, as ftmpi_fit_options. With rollbacks there must be
 * checkpoints, and a hook's `diverged` is told, but cannot stop.
 */
typedef struct ftmpi_run_config {
	const char *model_dir;
	uint64_t tf_random_seed;
	int64_t save_summary_steps;
	int64_t save_checkpoints_steps;
	double save_checkpoints_secs; /**< FTMPI_UNSET: 600 unless save_checkpoints_steps is given; FTMPI_SAVE_AUTO */
	double save_checkpoints_overhead;
	int64_t keep_checkpoint_max;
	double keep_checkpoint_every_n_hours;
	int64_t log_step_count_steps;
	int n_workers;
	int64_t max_rollbacks; /**< in a row; 0: none */
	double spike_factor;   /**< 0: no finite loss counts as diverged */
	bool async_checkpoint; /**< default false */
} ftmpi_run_config;

#define FTMPI_UNSET (-1.0)

FTMPI_API void ftmpi_run_config_init(ftmpi_run_config *config);

/** DNNClassifier and DNNRegressor: Dense with relu for each hidden layer, glorot_uniform kernels, zero biases, dropout after each hidden layer in training. */
typedef struct ftmpi_dnn_options {
	const int64_t *feature_dims; /**< shape of a sample: TensorFlow's numeric_column(shape=…) */
	int n_feature_dims;
	const int64_t *hidden_units;
	int n_hidden_units;
	int64_t n_classes;                   /**< classifier; 2 */
	int64_t label_dimension;             /**< regressor; 1 */
	ftmpi_optimizer optimizer;           /**< Adagrad with learning rate 0.05 */
	double dropout;                      /**< rate; 0: none */
	ftmpi_loss_reduction loss_reduction; /**< sum over the batch, as in TensorFlow 1 */
} ftmpi_dnn_options;

FTMPI_API void ftmpi_dnn_options_init(ftmpi_dnn_options *options);

typedef struct ftmpi_estimator ftmpi_estimator;

/** Collective. Options and config are copied with their texts and arrays. Errors (agreed): ERR_USAGE, ERR_MEMORY. */
FTMPI_API ftmpi_status ftmpi_dnn_classifier_create(const ftmpi_comm *comm, const ftmpi_dnn_options *options,
						   const ftmpi_run_config *config,
						   ftmpi_estimator **out) FTMPI_CHECK_RESULT;
FTMPI_API ftmpi_status ftmpi_dnn_regressor_create(const ftmpi_comm *comm, const ftmpi_dnn_options *options,
						  const ftmpi_run_config *config,
						  ftmpi_estimator **out) FTMPI_CHECK_RESULT;
/** Collective. NULLs the pointer; NULL is fine. */
FTMPI_API void ftmpi_estimator_destroy(ftmpi_estimator **estimator);

/** What an input_fn gives. The place in it is saved with the model, unlike in TensorFlow: an interrupted train goes on with the next batch, and the train
 * after one that ended begins the input anew. */
typedef struct ftmpi_input {
	const ftmpi_dataset *dataset;
	int64_t batch_size; /**< over all ranks; 128 */
	int64_t num_epochs; /**< 1; 0: without end */
	bool shuffle;
} ftmpi_input;

/** numpy_input_fn; TensorFlow's defaults are batch_size 128 and num_epochs 1, and shuffle has none. Local. */
FTMPI_API ftmpi_input ftmpi_numpy_input(const ftmpi_dataset *dataset, int64_t batch_size, int64_t num_epochs,
					bool shuffle);

/** A SessionRunHook; any function may be NULL. All are called on every rank, and an error of one of them ends the training on all, without `end` and without a
 * last save. ftmpi_fit_progress(fit) has step and batch_loss, ftmpi_fit_stop(fit) is request_stop. After a step the saver comes first, then the hooks. */
typedef struct ftmpi_hook {
	void *context;
	ftmpi_callback_fn begin;                /**< before anything is restored */
	ftmpi_callback_fn after_create_session; /**< the state is there: fresh or restored */
	ftmpi_callback_fn before_run, after_run;
	ftmpi_callback_fn end;
	ftmpi_callback_fn diverged; /**< the loss of a step is not finite: ftmpi_fit_stop makes that a normal end */
	void (*destroy)(void *context);
} ftmpi_hook;

/** Ready-made hooks, ended by ftmpi_hook_destroy. Local. Errors: ERR_USAGE, ERR_MEMORY. CheckpointSaverHook and SummarySaverHook are what the config says. */
FTMPI_API ftmpi_status ftmpi_step_counter_hook_create(int64_t every_n_steps, ftmpi_hook **out) FTMPI_CHECK_RESULT;
FTMPI_API ftmpi_status ftmpi_logging_tensor_hook_create(int64_t every_n_iter, ftmpi_hook **out) FTMPI_CHECK_RESULT;
/** @param fail_on_nan_loss true: an error, as without the hook; false: the training ends normally. */
FTMPI_API ftmpi_status ftmpi_nan_tensor_hook_create(bool fail_on_nan_loss, ftmpi_hook **out) FTMPI_CHECK_RESULT;
/** @param num_steps from where this train begins; 0: last_step is meant. @param last_step absolute. Exactly one of them. */
FTMPI_API ftmpi_status ftmpi_stop_at_step_hook_create(int64_t num_steps, int64_t last_step,
						      ftmpi_hook **out) FTMPI_CHECK_RESULT;
FTMPI_API void ftmpi_hook_destroy(ftmpi_hook **hook);

typedef struct ftmpi_train_options {
	const ftmpi_hook *const *hooks;
	int n_hooks;
	int64_t steps; /**< more steps in this call; 0: not given */
	int64_t max_steps; /**< steps in all; 0: not given; with neither, and an input without end, a hook must stop the training */
	const ftmpi_saving_listener *const *saving_listeners; /**< only where the config saves */
	int n_saving_listeners;
	ftmpi_preemption *preemption; /**< NULL: none */
} ftmpi_train_options;

/**
 * Train until the input ends or the steps are done. Collective. @param options NULL: none. When max_steps are done already: "Skipping training since max_steps has already saved.", and no
 * file is touched. Errors (agreed): ERR_USAGE (steps and max_steps, negative ones; no end; listeners without saves), as ftmpi_store_open, ftmpi_trainer_fit, hooks.
 */
FTMPI_API ftmpi_status ftmpi_estimator_train(ftmpi_estimator *estimator, const ftmpi_input *input,
					     const ftmpi_train_options *options) FTMPI_CHECK_RESULT;

/** What evaluate returns. */
typedef struct ftmpi_evaluation {
	double average_loss;
	double metric; /**< classifier: accuracy; regressor: mean squared error */
	int64_t n_samples, global_step;
} ftmpi_evaluation;

/** Evaluate the newest good checkpoint. Collective. @param checkpoint_path NULL: the newest. Errors (agreed): ERR_NOT_FOUND (none), ERR_DATA, ERR_IO … */
FTMPI_API ftmpi_status ftmpi_estimator_evaluate(ftmpi_estimator *estimator, const ftmpi_input *input,
						const char *checkpoint_path, ftmpi_evaluation *out) FTMPI_CHECK_RESULT;

/** Outputs (logits, values) for every sample, in order. Collective. @param outputs [n_samples, n_outputs], chief only. Errors: as ftmpi_estimator_evaluate. */
FTMPI_API ftmpi_status ftmpi_estimator_predict(ftmpi_estimator *estimator, const ftmpi_dataset *dataset,
					       const char *checkpoint_path, float *outputs) FTMPI_CHECK_RESULT;

/** Train to options' max_steps (TrainSpec), evaluate after checkpoints (EvalSpec) at least throttle_s apart, and at the end. Collective.
 * @param options NULL: none. @param throttle_s ≥ 0; TensorFlow's default is 600. @param out of the last evaluation. Errors: as train and evaluate. */
FTMPI_API ftmpi_status ftmpi_estimator_train_and_evaluate(ftmpi_estimator *estimator, const ftmpi_input *train_input,
							  const ftmpi_train_options *options,
							  const ftmpi_input *eval_input, double throttle_s,
							  ftmpi_evaluation *out) FTMPI_CHECK_RESULT;

FTMPI_END_DECLS

#endif
