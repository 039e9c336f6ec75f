/* SPDX-License-Identifier: Apache-2.0 */
/* The guide's first mechanism, tf.estimator with RunConfig: a DNNClassifier that is interrupted in its sixth step and, launched again, goes on to its tenth.
 *
 *     mpirun -np 4 estimator MODEL_DIR [interrupt]          run it twice: first with "interrupt" */
#include <ftmpi/ftmpi.h>

#include <stdio.h>
#include <string.h>

enum { N_SAMPLES = 500, SIDE = 28, N_PIXELS = SIDE * SIDE, N_CLASSES = 10 };

static const int64_t shape[] = {SIDE, SIDE}, hidden[] = {256, 32};
static float x_train[N_SAMPLES][N_PIXELS];
static int32_t y_train[N_SAMPLES];

/* Images of a bar that stands further right for each class, with some noise. */
static void make_images(void)
{
	for (int i = 0; i < N_SAMPLES; i++) {
		const ftmpi_rng rng = ftmpi_rng_stream(7, FTMPI_RNG_USER, (uint64_t)i, 0);
		uint32_t noise[N_PIXELS];

		y_train[i] = i % N_CLASSES;
		ftmpi_rng_words(rng, 0, N_PIXELS, noise);
		for (int k = 0; k < N_PIXELS; k++)
			x_train[i][k] = 0.5F * ftmpi_rng_unit(noise[k]) + (k % SIDE / 3 == y_train[i] ? 0.5F : 0.0F);
	}
}

/* class InterruptHook(tf.estimator.SessionRunHook): after_run of the sixth step raises. */
static ftmpi_status interrupt(void *context, ftmpi_fit *fit)
{
	(void)context;
	if (ftmpi_fit_progress(fit).step == 6)
		return ftmpi_error_set(FTMPI_ERR_INTERNAL, __FILE__, __LINE__, "Interruption");
	return FTMPI_OK;
}

static ftmpi_status train(const ftmpi_comm *comm, const ftmpi_dataset *data, const char *model_dir, bool interrupted)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_hook hook = {.after_run = interrupt};
	const ftmpi_hook *const hooks[] = {&hook};
	ftmpi_estimator *classifier = NULL;
	ftmpi_run_config config;
	ftmpi_dnn_options options;

	/* tf.estimator.RunConfig(save_summary_steps=1, save_checkpoints_steps=1) */
	ftmpi_run_config_init(&config);
	config.model_dir = model_dir;
	config.save_summary_steps = 1;
	config.save_checkpoints_steps = 1;

	/* tf.estimator.DNNClassifier(hidden_units=[256, 32], optimizer=Adam(0.001), n_classes=10, dropout=0.2, …) */
	ftmpi_dnn_options_init(&options);
	options.feature_dims = shape;
	options.n_feature_dims = 2;
	options.hidden_units = hidden;
	options.n_hidden_units = 2;
	ftmpi_optimizer_init(&options.optimizer, FTMPI_ADAM);
	options.optimizer.learning_rate = 0.001;
	options.n_classes = N_CLASSES;
	options.dropout = 0.2;
	FTMPI_TRY(ftmpi_dnn_classifier_create(comm, &options, &config, &classifier));

	/* classifier.train(numpy_input_fn(…, batch_size=50, num_epochs=10, shuffle=True), max_steps=10, hooks=[…]) */
	const ftmpi_input input = ftmpi_numpy_input(data, 50, 10, true);
	const ftmpi_train_options how = {.max_steps = 10, .hooks = hooks, .n_hooks = interrupted ? 1 : 0};
	FTMPI_TRY(ftmpi_estimator_train(classifier, &input, &how));
done:
	ftmpi_estimator_destroy(&classifier);
	return status;
}

int main(int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_comm *comm = NULL;
	ftmpi_dataset *data = NULL;
	ftmpi_dataset_options options;
	int rank = 0;

	FTMPI_TRY(ftmpi_init(&argc, &argv));
	FTMPI_TRY(ftmpi_comm_create(&comm));
	rank = ftmpi_comm_rank(comm);
	ftmpi_log_configure(rank, FTMPI_LOG_INFO);
	if (argc < 2)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "usage: estimator MODEL_DIR [interrupt]");
	make_images();
	ftmpi_dataset_options_init(&options);
	FTMPI_TRY(ftmpi_dataset_from_memory(x_train[0], y_train, N_SAMPLES, 2, shape, &options, &data));
	FTMPI_TRY(train(comm, data, argv[1], argc > 2 && strcmp(argv[2], "interrupt") == 0));
done:
	if (status != FTMPI_OK && rank == FTMPI_CHIEF)
		ftmpi_log(FTMPI_LOG_ERROR, "%s", ftmpi_error_message());
	ftmpi_dataset_destroy(&data);
	ftmpi_comm_destroy(&comm);
	ftmpi_finalize();
	return ftmpi_status_exit_code(status);
}
