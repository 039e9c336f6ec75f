/* SPDX-License-Identifier: Apache-2.0 */
/* The guide's third mechanism, a loop of one's own with Checkpoint and CheckpointManager: five epochs of five full-batch steps, a checkpoint after each step, two
 * of them kept. Interrupted after the third epoch and launched again, the loop goes on with the fourth.
 *
 *     mpirun -np 4 custom_loop DATA DIRECTORY [interrupt]          run it twice: first with "interrupt" */
#include <ftmpi/ftmpi.h>

#include <stdio.h>
#include <string.h>

enum { EPOCHS = 5, STEPS_PER_EPOCH = 5, STEPS = EPOCHS * STEPS_PER_EPOCH, INTERRUPTED_AFTER = 3 * STEPS_PER_EPOCH };

static ftmpi_status create_trainer(const ftmpi_comm *comm, const ftmpi_model *model, ftmpi_trainer **trainer)
{
	ftmpi_compile compile;
	ftmpi_trainer_options options;

	ftmpi_compile_init(&compile);
	ftmpi_optimizer_init(&compile.optimizer, FTMPI_SGD); /* tf.keras.optimizers.SGD(learning_rate=0.001) */
	compile.optimizer.learning_rate = 0.001;
	ftmpi_trainer_options_init(&options);
	options.n_workers = 4;
	return ftmpi_trainer_create(comm, model, &compile, &options, trainer);
}

/* for epoch in range(epochs): for step in range(steps_per_epoch): train_step(); manager.save() */
static ftmpi_status loop(ftmpi_trainer *trainer, const ftmpi_dataset *data, ftmpi_batches *batches,
			 ftmpi_manager *manager, bool interrupted)
{
	ftmpi_status status = FTMPI_OK;
	const char *save_path;
	ftmpi_metrics metrics;
	ftmpi_reader *reader = NULL;

	while (ftmpi_batches_epoch(batches) < STEPS) {
		const int64_t step = ftmpi_batches_epoch(batches); /* a full batch is an epoch of the data */
		const ftmpi_batch batch = ftmpi_batches_next(batches);

		FTMPI_TRY(ftmpi_trainer_train_on_batch(trainer, data, &batch, &metrics));
		FTMPI_TRY(ftmpi_manager_save(manager, NULL, true, &save_path));
		ftmpi_log(FTMPI_LOG_INFO, "Checkpoint saved to %s: epoch %lld, step %lld, loss %.4f", save_path,
			  (long long)(step / STEPS_PER_EPOCH), (long long)(step % STEPS_PER_EPOCH), metrics.loss);
		if (interrupted && step + 1 == INTERRUPTED_AFTER)
			FTMPI_FAIL(FTMPI_ERR_INTERNAL, "Interruption");
	}
	/* tf.train.load_checkpoint(save_path) only opens a reader: here too; what restores is restore_or_initialize. */
	FTMPI_TRY(ftmpi_load_checkpoint(ftmpi_manager_latest_checkpoint(manager), &reader));
	ftmpi_log(FTMPI_LOG_INFO, "The last one has %d variables.", ftmpi_reader_n_variables(reader));
done:
	ftmpi_reader_close(&reader);
	return status;
}

int main(int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_layer_spec layers[] = {{.kind = FTMPI_FLATTEN},
					   {.kind = FTMPI_DENSE, .units = 512, .activation = FTMPI_RELU},
					   {.kind = FTMPI_DROPOUT, .rate = 0.2},
					   {.kind = FTMPI_DENSE, .units = 10}};
	ftmpi_comm *comm = NULL;
	ftmpi_dataset *data = NULL;
	ftmpi_dataset_options data_options;
	ftmpi_model *model = NULL;
	ftmpi_trainer *trainer = NULL;
	ftmpi_batches_options how;
	ftmpi_batches *batches = NULL;
	ftmpi_checkpoint *checkpoint = NULL;
	ftmpi_manager_options keep;
	ftmpi_manager *manager = NULL;
	const int64_t *dims;
	const char *restored;
	int n_dims, rank = 0;

	FTMPI_TRY(ftmpi_init(&argc, &argv));
	FTMPI_TRY(ftmpi_comm_create(&comm));
	rank = ftmpi_comm_rank(comm);
	ftmpi_log_configure(rank, FTMPI_LOG_INFO);
	if (argc < 3)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "usage: custom_loop DATA DIRECTORY [interrupt]");
	ftmpi_dataset_options_init(&data_options);
	FTMPI_TRY(ftmpi_dataset_open(comm, argv[1], FTMPI_TRAIN, &data_options, &data));
	n_dims = ftmpi_dataset_shape(data, &dims);
	FTMPI_TRY(ftmpi_model_create(dims, n_dims, layers, 4, &model));
	FTMPI_TRY(create_trainer(comm, model, &trainer));
	ftmpi_batches_options_init(&how);
	how.batch_size = ftmpi_dataset_n_samples(data);
	FTMPI_TRY(ftmpi_batches_create(data, &how, &batches));

	/* checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, …); manager = CheckpointManager(checkpoint, …, max_to_keep=2) */
	FTMPI_TRY(ftmpi_checkpoint_create(comm, &checkpoint));
	FTMPI_TRY(ftmpi_trainer_track(trainer, checkpoint));
	FTMPI_TRY(ftmpi_batches_track(batches, checkpoint));
	ftmpi_manager_options_init(&keep);
	keep.max_to_keep = 2;
	FTMPI_TRY(ftmpi_manager_create(checkpoint, argv[2], &keep, &manager));
	FTMPI_TRY(ftmpi_manager_restore_or_initialize(manager, &restored));
	ftmpi_log(FTMPI_LOG_INFO, restored == NULL ? "Initializing from scratch.%s" : "Restored from %s",
		  restored == NULL ? "" : restored);
	FTMPI_TRY(loop(trainer, data, batches, manager, argc > 3 && strcmp(argv[3], "interrupt") == 0));
done:
	if (status != FTMPI_OK && rank == FTMPI_CHIEF)
		ftmpi_log(FTMPI_LOG_ERROR, "%s", ftmpi_error_message());
	ftmpi_manager_destroy(&manager);
	ftmpi_checkpoint_destroy(&checkpoint);
	ftmpi_batches_destroy(&batches);
	ftmpi_trainer_destroy(&trainer);
	ftmpi_model_destroy(&model);
	ftmpi_dataset_destroy(&data);
	ftmpi_comm_destroy(&comm);
	ftmpi_finalize();
	return ftmpi_status_exit_code(status);
}
