/* SPDX-License-Identifier: Apache-2.0 */
/* The trainer's life: what it allocates, what it registers to be saved, restoring.
 *
 * Everything that the future depends on is in `struct ftmpi__state`, and register_state names all of it; a field that is added there and not here
 * breaks the promise of the same bits, and the fault tests notice. Facts about the run (wall time, relaunches) are saved beside it, outside the
 * state digest. */
#include "train/trainer.h"

#include <ftmpi/failpoint.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PATH_BYTES = 128 };

static const char *const history_paths[FTMPI__N_HISTORY] = {"ftmpi/history/loss", "ftmpi/history/accuracy",
							    "ftmpi/history/val_loss", "ftmpi/history/val_accuracy"};

static double read_clock(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double ftmpi__now_s(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

double ftmpi__calendar_s(void)
{
	return read_clock(CLOCK_REALTIME);
}

void ftmpi_trainer_options_init(ftmpi_trainer_options *options)
{
	*options = (ftmpi_trainer_options){
		.batch_size = 32, .n_workers = 1, .seed = 1, .shuffle = true, .n_epochs = 10, .save_epochs = 1};
}

static ftmpi_status check_options(const ftmpi_comm *comm, const ftmpi_trainer_options *options)
{
	ftmpi_status status = FTMPI_OK;

	if (options->batch_size < 1)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "a batch of %lld samples: it must be at least 1",
			   (long long)options->batch_size);
	if (options->n_workers < ftmpi_comm_size(comm))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%d logical workers cannot feed %d ranks", options->n_workers,
			   ftmpi_comm_size(comm));
	if (options->n_epochs < 0 || options->max_steps < 0 || options->save_steps < 0 || options->save_epochs < 0 ||
	    !(options->save_s >= 0))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "a number of epochs, steps or seconds is negative");
	if (options->n_epochs == 0 && options->max_steps == 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "neither a number of epochs nor of steps says when the training ends");
done:
	return status;
}

static ftmpi_status check_data(const ftmpi_model *model, const ftmpi_dataset *dataset)
{
	ftmpi_status status = FTMPI_OK;

	if (dataset != NULL && ftmpi_dataset_n_features(dataset) != ftmpi_model_n_inputs(model))
		FTMPI_FAIL(FTMPI_ERR_DATA, "a sample of the data has %lld numbers, the model takes %lld",
			   (long long)ftmpi_dataset_n_features(dataset), (long long)ftmpi_model_n_inputs(model));
done:
	return status;
}

static ftmpi_status allocate(ftmpi_trainer *t)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t n_elements = ftmpi_model_layout(t->model)->n_elements;
	const int64_t batch = t->options.batch_size, n_workers = t->options.n_workers;
	const int64_t usable = batch < ftmpi_dataset_n_samples(t->train) ? batch : ftmpi_dataset_n_samples(t->train);

	t->max_rows = (usable + n_workers - 1) / n_workers;
	FTMPI_TRY(FTMPI_ALLOC(n_elements, &t->state.params));
	FTMPI_TRY(FTMPI_ALLOC(n_elements, &t->grads));
	for (int i = 0; i < ftmpi_optimizer_n_slots(&t->optimizer); i++)
		FTMPI_TRY(FTMPI_ALLOC(n_elements, &t->state.slots[i]));
	FTMPI_TRY(FTMPI_ALLOC(t->max_rows * ftmpi_model_n_inputs(t->model), &t->x));
	FTMPI_TRY(FTMPI_ALLOC(t->max_rows * ftmpi_model_n_outputs(t->model), &t->d_outputs));
	FTMPI_TRY(FTMPI_ALLOC(t->max_rows, &t->labels));
	FTMPI_TRY(FTMPI_ALLOC(t->max_rows, &t->samples));
	FTMPI_TRY(FTMPI_ALLOC(n_workers * FTMPI__N_SCALARS, &t->worker_sums));
	FTMPI_TRY(ftmpi_workspace_create(t->model, t->max_rows, &t->workspace));
	FTMPI_TRY(ftmpi_checkpoint_create(t->comm, &t->checkpoint));
done:
	return status;
}

static void initialise_state(ftmpi_trainer *t)
{
	const int64_t n_elements = ftmpi_model_layout(t->model)->n_elements;

	ftmpi_model_init_params(t->model, t->options.seed, t->state.params);
	for (int i = 0; i < ftmpi_optimizer_n_slots(&t->optimizer); i++)
		for (int64_t k = 0; k < n_elements; k++)
			t->state.slots[i][k] = ftmpi_optimizer_slot_initial(&t->optimizer, i);
	t->state.seed = t->options.seed;
	t->state.n_workers = t->options.n_workers;
	t->state.learning_rate = (float)t->optimizer.learning_rate;
	t->saved_step = -1;
}

/* Iteration, learning rate and slots under the names that Keras gives them. */
static ftmpi_status register_optimizer(ftmpi_trainer *t)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_layout *layout = ftmpi_model_layout(t->model);
	const int n_entries = ftmpi_optimizer_n_slots(&t->optimizer) * layout->n_params;
	ftmpi_registry *r = ftmpi_checkpoint_registry(t->checkpoint);
	char path[PATH_BYTES];

	FTMPI_TRY(ftmpi_registry_add_group(r, "optimizer/vars", ftmpi_optimizer_name(t->optimizer.kind)));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "optimizer/vars/0", FTMPI_I64, &t->state.step, FTMPI_STATE));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "optimizer/vars/1", FTMPI_F32, &t->state.learning_rate, FTMPI_STATE));
	for (int k = 0; k < n_entries; k++) {
		const ftmpi_param *p;
		int slot, param;

		ftmpi_optimizer_keras_entry(&t->optimizer, layout->n_params, k, &slot, &param);
		p = &layout->params[param];
		(void)snprintf(path, sizeof path, "optimizer/vars/%d", k + 2);
		FTMPI_TRY(ftmpi_registry_add(r, path, FTMPI_F32, p->n_dims, p->dims, t->state.slots[slot] + p->offset,
					     FTMPI_STATE));
	}
	if (t->optimizer.kind == FTMPI_NADAM) {
		(void)snprintf(path, sizeof path, "optimizer/vars/%d", n_entries + 2);
		FTMPI_TRY(ftmpi_registry_add_scalar(t->registry, path, FTMPI_F32, &t->state.u_product, FTMPI_STATE));
	}
done:
	return status;
}

static ftmpi_status register_state(ftmpi_trainer *t)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_registry *r = ftmpi_checkpoint_registry(t->checkpoint);
	const int64_t n_sums = FTMPI__N_SUMS;

	FTMPI_TRY(ftmpi_model_register(t->model, t->state.params, r));
	FTMPI_TRY(register_optimizer(t));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/epoch", FTMPI_I64, &t->state.epoch, FTMPI_STATE));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/position", FTMPI_I64, &t->state.position, FTMPI_STATE));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/seed", FTMPI_U64, &t->state.seed, FTMPI_STATE));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/logical_workers", FTMPI_I64, &t->state.n_workers, FTMPI_STATE));
	FTMPI_TRY(ftmpi_registry_add(r, "ftmpi/metric_sums", FTMPI_F64, 1, &n_sums, t->state.sums, FTMPI_STATE));
	for (int i = 0; i < FTMPI__N_HISTORY; i++)
		FTMPI_TRY(ftmpi_registry_add_buffer(r, history_paths[i], FTMPI_F64, &t->state.history[i], FTMPI_STATE));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/run/wall_time_s", FTMPI_F64, &t->wall_s, FTMPI_RECORD));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/run/saved_at_s", FTMPI_F64, &t->saved_at_s, FTMPI_RECORD));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/run/relaunches", FTMPI_I64, &t->n_relaunches, FTMPI_RECORD));
done:
	return status;
}

/* What a rank does by itself. */
static ftmpi_status create_local(const ftmpi_comm *comm, const ftmpi_model *model, const ftmpi_optimizer *optimizer,
				 const ftmpi_dataset *train, const ftmpi_dataset *validation,
				 const ftmpi_trainer_options *options, ftmpi_trainer **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_trainer *t = NULL;

	FTMPI_TRY(check_options(comm, options));
	FTMPI_TRY(ftmpi_optimizer_check(optimizer));
	FTMPI_TRY(check_data(model, train));
	FTMPI_TRY(check_data(model, validation));
	FTMPI_TRY(FTMPI_ALLOC(1, &t));
	t->comm = comm;
	t->model = model;
	t->optimizer = *optimizer;
	t->train = train;
	t->validation = validation;
	t->options = *options;
	FTMPI_TRY(allocate(t));
	initialise_state(t);
	FTMPI_TRY(register_state(t));
	*out = t;
	t = NULL;
done:
	ftmpi_trainer_destroy(&t);
	return status;
}

ftmpi_status ftmpi_trainer_create(const ftmpi_comm *comm, const ftmpi_model *model, const ftmpi_optimizer *optimizer,
				  const ftmpi_dataset *train, const ftmpi_dataset *validation,
				  const ftmpi_trainer_options *options, ftmpi_trainer **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_trainer *t = NULL;

	FTMPI_TRY(ftmpi_agree(comm, create_local(comm, model, optimizer, train, validation, options, &t)));
	if (t == NULL)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "agreed on a trainer that is not there");
	FTMPI_TRY(ftmpi_exchange_create(comm, options->n_workers, ftmpi_model_layout(model)->n_elements, &t->exchange));
	FTMPI_TRY(ftmpi_evaluator_create(comm, model, options->n_workers, &t->evaluator));
	FTMPI_TRY(ftmpi_agree(comm, ftmpi_trainer_set_record(t, "environment", ftmpi_numeric_environment())));
	ftmpi_order_init(&t->order, t->state.seed, ftmpi_dataset_n_samples(train), options->shuffle);
	t->started_s = t->saved_s = ftmpi__now_s();
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
	ftmpi_exchange_destroy(&t->exchange);
	ftmpi_evaluator_destroy(&t->evaluator);
	ftmpi_workspace_destroy(&t->workspace);
	ftmpi_checkpoint_destroy(&t->checkpoint);
	ftmpi_free(t->state.params);
	for (int i = 0; i < FTMPI_MAX_SLOTS; i++)
		ftmpi_free(t->state.slots[i]);
	for (int i = 0; i < FTMPI__N_HISTORY; i++)
		ftmpi_buffer_clear(&t->state.history[i]);
	for (int i = 0; i < FTMPI__MAX_RECORDS; i++)
		ftmpi_buffer_clear(&t->records[i]);
	ftmpi_free(t->grads);
	ftmpi_free(t->x);
	ftmpi_free(t->d_outputs);
	ftmpi_free(t->labels);
	ftmpi_free(t->samples);
	ftmpi_free(t->worker_sums);
	ftmpi_free(t);
	*trainer = NULL;
}

ftmpi_status ftmpi_trainer_set_record(ftmpi_trainer *t, const char *name, const char *text)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_registry *r = ftmpi_checkpoint_registry(t->checkpoint);
	ftmpi_buffer *buffer;
	const ftmpi_entry *entry;
	char path[PATH_BYTES];

	(void)snprintf(path, sizeof path, "ftmpi/%s", name);
	entry = ftmpi_registry_find(r, path);
	if (entry == NULL && t->n_records == FTMPI__MAX_RECORDS)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "more than %d records", FTMPI__MAX_RECORDS);
	buffer = entry == NULL ? &t->records[t->n_records] : entry->buffer;
	if (buffer == NULL || (entry != NULL && entry->kind != FTMPI_RECORD))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "'%s' is not a record", path);
	FTMPI_TRY(ftmpi_buffer_resize(buffer, 0));
	FTMPI_TRY(ftmpi_buffer_printf(buffer, "%s", text));
	if (entry == NULL) {
		FTMPI_TRY(ftmpi_registry_add_buffer(r, path, FTMPI_TEXT, buffer, FTMPI_RECORD));
		t->n_records++;
	}
done:
	return status;
}

/* Negative controls of the fault tests: leave one thing out of the restore on purpose, and the end must differ. */
static void leave_out_on_purpose(ftmpi_trainer *t)
{
	if (ftmpi_failpoint_hit(FTMPI_FP_RESTORE_POSITION) == FTMPI_FAULT_SKIP)
		t->state.position = 0;
	if (ftmpi_failpoint_hit(FTMPI_FP_RESTORE_SLOT) == FTMPI_FAULT_SKIP && t->state.slots[0] != NULL)
		memset(t->state.slots[0], 0, (size_t)ftmpi_model_layout(t->model)->n_elements * sizeof(float));
	if (ftmpi_failpoint_hit(FTMPI_FP_RESTORE_RNG) == FTMPI_FAULT_SKIP)
		t->state.seed = 0;
	if (ftmpi_failpoint_hit(FTMPI_FP_RESTORE_METRICS) == FTMPI_FAULT_SKIP)
		memset(t->state.sums, 0, sizeof t->state.sums);
}

static ftmpi_status check_restored(const ftmpi_trainer *t)
{
	ftmpi_status status = FTMPI_OK;
	const struct ftmpi__state *s = &t->state;

	if (s->n_workers != t->options.n_workers)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "the checkpoint has %lld logical workers, this run %d",
			   (long long)s->n_workers, t->options.n_workers);
	if (s->step < 0 || s->epoch < 0 || s->position < 0 || s->position >= ftmpi_dataset_n_samples(t->train))
		FTMPI_FAIL(FTMPI_ERR_DATA,
			   "the checkpoint's position (step %lld, epoch %lld, sample %lld) does not fit the data",
			   (long long)s->step, (long long)s->epoch, (long long)s->position);
done:
	return status;
}

static void swap_buffers(ftmpi_buffer *a, ftmpi_buffer *b)
{
	const ftmpi_buffer c = *a;

	*a = *b;
	*b = c;
}

static ftmpi_status copy_records(const ftmpi_trainer *t, ftmpi_buffer *copies)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < t->n_records; i++)
		FTMPI_TRY(ftmpi_buffer_append(&copies[i], t->records[i].data, t->records[i].n_bytes));
done:
	return status;
}

ftmpi_status ftmpi_trainer_restore(ftmpi_trainer *t, const ftmpi_reader *reader)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer records[FTMPI__MAX_RECORDS] = {{0}};

	FTMPI_TRY(ftmpi_agree(t->comm, copy_records(t, records)));
	FTMPI_TRY(ftmpi_checkpoint_restore_reader(t->checkpoint, reader));
	for (int i = 0; i < t->n_records; i++) /* the texts speak of this launch, not of the one that saved */
		swap_buffers(&t->records[i], &records[i]);
	leave_out_on_purpose(t);
	FTMPI_TRY(ftmpi_agree(t->comm, check_restored(t)));
	ftmpi_order_init(&t->order, t->state.seed, ftmpi_dataset_n_samples(t->train), t->options.shuffle);
	t->n_relaunches++;
	t->saved_step = t->state.step;
	t->started_s = ftmpi__now_s();
	/* A run that is killed more often than it is due to save would never get on if the time began anew at each launch. */
	t->saved_s = t->started_s - fmin(fmax(ftmpi__calendar_s() - t->saved_at_s, 0.0), t->options.save_s);
done:
	for (int i = 0; i < FTMPI__MAX_RECORDS; i++)
		ftmpi_buffer_clear(&records[i]);
	return status;
}

ftmpi_status ftmpi__gather_slots(ftmpi_trainer *t)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < ftmpi_optimizer_n_slots(&t->optimizer); i++)
		FTMPI_TRY(ftmpi_exchange_gather(t->exchange, t->state.slots[i]));
	t->state.u_product = ftmpi_optimizer_u_product(&t->optimizer, t->state.step);
done:
	return status;
}

ftmpi_status ftmpi_trainer_state_digest(ftmpi_trainer *t, ftmpi_digest *out)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi__gather_slots(t));
	FTMPI_TRY(ftmpi_checkpoint_state_digest(t->checkpoint, out));
done:
	return status;
}

ftmpi_metrics ftmpi__metrics_of(const ftmpi_trainer *t, const double *sums)
{
	const bool mean = t->options.loss_reduction == FTMPI_REDUCE_MEAN;
	const double n = sums[FTMPI__SUM_SAMPLES], n_losses = mean ? n : sums[FTMPI__SUM_BATCHES];

	return (ftmpi_metrics){.loss = n_losses > 0 ? sums[FTMPI__SUM_LOSS] / n_losses : 0.0,
			       .accuracy = n > 0 ? sums[FTMPI__SUM_CORRECT] / n : 0.0,
			       .n_samples = (int64_t)n};
}

ftmpi_progress ftmpi_trainer_progress(const ftmpi_trainer *t)
{
	const int64_t batch = t->options.batch_size, n = ftmpi_dataset_n_samples(t->train);

	return (ftmpi_progress){.step = t->state.step,
				.max_steps = t->options.max_steps,
				.epoch = t->state.epoch,
				.n_epochs = t->options.n_epochs,
				.batch = (t->state.position + batch - 1) / batch,
				.n_batches = (n + batch - 1) / batch,
				.batch_loss = t->batch_loss,
				.train = ftmpi__metrics_of(t, t->state.sums),
				.has_validation = t->validation != NULL,
				.validation = t->last_validation};
}

bool ftmpi_trainer_finished(const ftmpi_trainer *t)
{
	return (t->options.n_epochs > 0 && t->state.epoch >= t->options.n_epochs) ||
	       (t->options.max_steps > 0 && t->state.step >= t->options.max_steps);
}

const float *ftmpi_trainer_params(const ftmpi_trainer *t)
{
	return t->state.params;
}

ftmpi_step_times ftmpi_trainer_times(const ftmpi_trainer *t)
{
	return t->times;
}
