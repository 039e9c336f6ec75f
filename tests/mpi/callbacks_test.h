/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the ready-made callbacks share: a fit of ten batches an epoch, in which a callback of the tests gives the validation data's loss
 * the course that a test wants, counts, and interrupts. */
#ifndef FTMPI_TESTS_CALLBACKS_TEST_H
#define FTMPI_TESTS_CALLBACKS_TEST_H

#include "mpi/mpi_test.h"
#include "save_mode.h"

#include <ftmpi/ftmpi.h>
#include <math.h>
#include <sys/stat.h>

enum { N_SAMPLES = 40, N_FEATURES = 6, N_WORKERS = 4, BATCH = 4, STEPS_AN_EPOCH = 10 };

static float inputs[N_SAMPLES * N_FEATURES];
static int32_t labels[N_SAMPLES];
static ftmpi_dataset *data;
static ftmpi_model *model;

static int setup(void **state)
{
	const int64_t dims[] = {N_FEATURES};
	const ftmpi_layer_spec specs[] = {{.kind = FTMPI_DENSE, .units = 5, .activation = FTMPI_RELU},
					  {.kind = FTMPI_DROPOUT, .rate = 0.25},
					  {.kind = FTMPI_DENSE, .units = 2}};
	ftmpi_dataset_options options;

	(void)state;
	ftmpi_dataset_options_init(&options);
	options.n_classes = 2;
	for (int i = 0; i < N_SAMPLES; i++) {
		labels[i] = i % 2;
		for (int k = 0; k < N_FEATURES; k++)
			inputs[i * N_FEATURES + k] = sinf((float)(i * 5 + k)) + (float)(k % 2 == labels[i]);
	}
	assert_ok(ftmpi_dataset_from_memory(inputs, labels, N_SAMPLES, 1, dims, &options, &data));
	assert_ok(ftmpi_model_create(dims, 1, specs, 3, &model));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ftmpi_dataset_destroy(&data);
	ftmpi_model_destroy(&model);
	return 0;
}

static ftmpi_trainer *create(void)
{
	ftmpi_trainer *trainer = NULL;
	ftmpi_trainer_options options;
	ftmpi_compile compile;

	ftmpi_trainer_options_init(&options);
	options.n_workers = N_WORKERS;
	ftmpi_compile_init(&compile);
	assert_ok(ftmpi_trainer_create(world, model, &compile, &options, &trainer));
	return trainer;
}

/* A callback of the tests: gives val_loss a course, counts, interrupts. */
struct script {
	const double *val_loss;        /* [n], by epoch */
	void (*at_step)(int64_t step); /* called before each step; NULL: nothing */
	int64_t fail_epoch;            /* fail at the end of this epoch; −1: never */
	int64_t fail_step;             /* fail in the batch_end of this step; 0: never */
	int64_t n_steps, first_epoch, first_batch, n_epochs;
	ftmpi_digest digest;
	float rates[32]; /* learning rate at the end of each epoch */
};

static ftmpi_status begin_script(void *context, ftmpi_fit *fit)
{
	struct script *s = context;

	s->first_epoch = ftmpi_fit_progress(fit).epoch;
	s->first_batch = ftmpi_fit_progress(fit).batch;
	return FTMPI_OK;
}

static ftmpi_status begin_step(void *context, ftmpi_fit *fit)
{
	const struct script *s = context;

	if (s->at_step != NULL)
		s->at_step(ftmpi_fit_progress(fit).step);
	return FTMPI_OK;
}

static ftmpi_status count_step(void *context, ftmpi_fit *fit)
{
	struct script *s = context;

	s->n_steps++;
	if (s->fail_step > 0 && ftmpi_fit_progress(fit).step == s->fail_step)
		return ftmpi_error_set(FTMPI_ERR_INTERNAL, __FILE__, __LINE__, "interrupted");
	return FTMPI_OK;
}

static ftmpi_status set_val_loss(void *context, ftmpi_fit *fit)
{
	const struct script *s = context;

	if (s->val_loss != NULL)
		ftmpi_fit_log(fit, "val_loss", s->val_loss[ftmpi_fit_progress(fit).epoch]);
	return FTMPI_OK;
}

static ftmpi_status end_script(void *context, ftmpi_fit *fit)
{
	struct script *s = context;

	return ftmpi_checkpoint_state_digest(ftmpi_fit_checkpoint(fit), &s->digest);
}

/* After the others: the learning rate that they leave, and the interruption. */
static ftmpi_status end_epoch(void *context, ftmpi_fit *fit)
{
	struct script *s = context;
	const int64_t epoch = ftmpi_fit_progress(fit).epoch;

	s->n_epochs++;
	if (epoch < 32)
		s->rates[epoch] = ftmpi_learner_learning_rate(ftmpi_fit_learner(fit));
	if (epoch == s->fail_epoch)
		return ftmpi_error_set(FTMPI_ERR_INTERNAL, __FILE__, __LINE__, "interrupted");
	return FTMPI_OK;
}

/* Fit with the script's first half, the callbacks, its second half. Takes the callbacks over. */
static ftmpi_status fit_with(ftmpi_trainer *trainer, struct script *s, int64_t epochs, int64_t per_execution,
			     ftmpi_callback **own, int n_own)
{
	const ftmpi_callback first = {
		.context = s, .train_begin = begin_script, .batch_begin = begin_step, .epoch_end = set_val_loss};
	const ftmpi_callback last = {
		.context = s, .settled = count_step, .epoch_end = end_epoch, .train_end = end_script};
	const ftmpi_callback *callbacks[8] = {&first};
	ftmpi_fit_options options;
	ftmpi_status status;

	for (int i = 0; i < n_own; i++)
		callbacks[1 + i] = own[i];
	callbacks[1 + n_own] = &last;
	ftmpi_fit_options_init(&options);
	options.train = options.validation = data;
	options.batch_size = BATCH;
	options.epochs = epochs;
	options.steps_per_execution = per_execution;
	options.callbacks = callbacks;
	options.n_callbacks = n_own + 2;
	status = ftmpi_trainer_fit(trainer, &options);
	for (int i = 0; i < n_own; i++)
		ftmpi_callback_destroy(&own[i]);
	return status;
}

static bool exists(const char *path)
{
	struct stat st;
	bool found = ftmpi_comm_is_chief(world) && stat(path, &st) == 0;

	assert_ok(ftmpi_broadcast(world, &found, sizeof found, FTMPI_CHIEF));
	return found;
}

static ftmpi_callback *backup(const char *dir, int64_t save_freq)
{
	ftmpi_callback *callback = NULL;
	ftmpi_backup_and_restore_options options;

	ftmpi_backup_and_restore_options_init(&options);
	options.save_freq = save_freq;
	options.async = saves_async();
	assert_ok(ftmpi_backup_and_restore_create(dir, &options, &callback));
	return callback;
}

#endif
