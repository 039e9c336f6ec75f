/* SPDX-License-Identifier: Apache-2.0 */
/* The guide's second mechanism, Model.fit with BackupAndRestore: ten epochs, interrupted at the end of the fifth; launched again, fit goes on with the sixth.
 *
 *     mpirun -np 4 backup_and_restore DATA BACKUP_DIR [interrupt]          run it twice: first with "interrupt" */
#include <ftmpi/ftmpi.h>

#include <stdio.h>
#include <string.h>

/* class InterruptingCallback(tf.keras.callbacks.Callback): on_epoch_end of epoch 4 raises. By then the backup of the epoch is written. */
static ftmpi_status interrupt(void *context, ftmpi_fit *fit)
{
	(void)context;
	if (ftmpi_fit_progress(fit).epoch_ended && ftmpi_fit_progress(fit).epoch == 5)
		return ftmpi_error_set(FTMPI_ERR_INTERNAL, __FILE__, __LINE__, "Interruption");
	return FTMPI_OK;
}

/* Sequential([Flatten(input_shape=(28, 28)), Dense(512, activation='relu'), Dropout(0.2), Dense(10)]) */
static ftmpi_status create_model(const ftmpi_dataset *data, ftmpi_model **model)
{
	const ftmpi_layer_spec layers[] = {{.kind = FTMPI_FLATTEN},
					   {.kind = FTMPI_DENSE, .units = 512, .activation = FTMPI_RELU},
					   {.kind = FTMPI_DROPOUT, .rate = 0.2},
					   {.kind = FTMPI_DENSE, .units = 10}};
	const int64_t *dims;
	const int n_dims = ftmpi_dataset_shape(data, &dims);

	return ftmpi_model_create(dims, n_dims, layers, 4, model);
}

static ftmpi_status fit(ftmpi_trainer *trainer, const ftmpi_dataset *train, const ftmpi_dataset *test,
			const char *backup_dir, bool interrupted)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_callback interrupting = {.settled = interrupt};
	ftmpi_callback *backup = NULL;
	ftmpi_display *progress = NULL;
	ftmpi_backup_and_restore_options how;
	ftmpi_fit_options options;

	/* tf.keras.callbacks.BackupAndRestore(backup_dir) */
	ftmpi_backup_and_restore_options_init(&how);
	FTMPI_TRY(ftmpi_backup_and_restore_create(backup_dir, &how, &backup));
	FTMPI_TRY(ftmpi_display_create(ftmpi_display_style_auto(), 100, &progress));
	const ftmpi_callback *callbacks[] = {ftmpi_display_callback(progress), backup, &interrupting};

	/* model.fit(x_train, y_train, epochs=10, validation_data=(x_test, y_test), callbacks=[…]) */
	ftmpi_fit_options_init(&options);
	options.train = train;
	options.validation = test;
	options.epochs = 10;
	options.steps_per_execution = 10;
	options.callbacks = callbacks;
	options.n_callbacks = interrupted ? 3 : 2;
	FTMPI_TRY(ftmpi_trainer_fit(trainer, &options));
done:
	ftmpi_display_destroy(&progress);
	ftmpi_callback_destroy(&backup);
	return status;
}

int main(int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_comm *comm = NULL;
	ftmpi_dataset *train = NULL, *test = NULL;
	ftmpi_dataset_options data_options;
	ftmpi_model *model = NULL;
	ftmpi_compile compile;
	ftmpi_trainer_options options;
	ftmpi_trainer *trainer = NULL;
	int rank = 0;

	FTMPI_TRY(ftmpi_init(&argc, &argv));
	FTMPI_TRY(ftmpi_comm_create(&comm));
	rank = ftmpi_comm_rank(comm);
	ftmpi_log_configure(rank, FTMPI_LOG_INFO);
	if (argc < 3)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "usage: backup_and_restore DATA BACKUP_DIR [interrupt]");
	ftmpi_dataset_options_init(&data_options);
	FTMPI_TRY(ftmpi_dataset_open(comm, argv[1], FTMPI_TRAIN, &data_options, &train));
	FTMPI_TRY(ftmpi_dataset_open(comm, argv[1], FTMPI_TEST, &data_options, &test));
	FTMPI_TRY(create_model(train, &model));

	/* model.compile(optimizer='adam', loss=SparseCategoricalCrossentropy(from_logits=True), metrics=['accuracy']) */
	ftmpi_compile_init(&compile);
	ftmpi_trainer_options_init(&options);
	options.n_workers = 4;
	FTMPI_TRY(ftmpi_trainer_create(comm, model, &compile, &options, &trainer));
	FTMPI_TRY(fit(trainer, train, test, argv[2], argc > 3 && strcmp(argv[3], "interrupt") == 0));
done:
	if (status != FTMPI_OK && rank == FTMPI_CHIEF)
		ftmpi_log(FTMPI_LOG_ERROR, "%s", ftmpi_error_message());
	ftmpi_trainer_destroy(&trainer);
	ftmpi_model_destroy(&model);
	ftmpi_dataset_destroy(&test);
	ftmpi_dataset_destroy(&train);
	ftmpi_comm_destroy(&comm);
	ftmpi_finalize();
	return ftmpi_status_exit_code(status);
}
