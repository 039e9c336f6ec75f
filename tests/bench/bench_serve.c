/* SPDX-License-Identifier: Apache-2.0 */
/* usage: mpirun -np N bench_serve [FOLDER] <COMMANDS
 *
 * FOLDER: the training data are written there as Fashion-MNIST is, 8-bit IDX files, and read from there; else they are arrays in memory.
 *
 * Measures rounds of ftmpi and of its floor when told to: one command a line on rank 0's standard input, one line of JSON as the answer. So that a driver
 * (driver/bench.py) can let programs take turns, a rank that waits for a command sleeps; it does not spin as MPI would.
 *
 *     setup SLOT UNITS BATCH V [float32]
 *                                slot 0 … 7: a fresh trainer of 784 → UNITS ("512" or "256,128": relu, dropout 0.2 after each) → 10, Adam, on V workers;
 *                                float32: on the arrays although there is a FOLDER
 *     step SLOT STEPS            seconds a step of a fit that goes on for STEPS, and its parts on rank 0
 *     floor SLOT STEPS           seconds a step of the floor's parts for the same shapes
 *     loss SLOT                  loss on the whole training data, and a digest of the parameters
 *     describe                   the BLAS in use
 *     data FILE                  write the training data there: float32 [20480, 784], then int32 [20480]
 *     drop SLOT                  free it
 */
#include "bench/floor.h"
#include "bench/model_b.h"
#include "data_file.h"

#include <math.h>
#include <string.h>

enum { N_SLOTS = 8, LINE = 4096, MAX_WORDS = 6, MAX_HIDDEN = MAX_DENSE - 1 };

struct slot {
	ftmpi_model *model;
	ftmpi_trainer *trainer;
	bench_floor *floor;
	const ftmpi_dataset *data;
	int64_t batch;
};

struct serve {
	ftmpi_comm *comm;
	ftmpi_dataset *data, *data_u8; /* of x and y; of the IDX files, NULL: there are none */
	float *x;
	int32_t *y;
	struct slot slots[N_SLOTS];
	bool quit;
};

static void drop(struct slot *s)
{
	ftmpi_trainer_destroy(&s->trainer);
	ftmpi_model_destroy(&s->model);
	bench_floor_destroy(&s->floor);
}

/* @param widths [MAX_HIDDEN + 2] inputs, hidden, outputs. @return number of dense layers, 0 for a bad list. */
static int parse_units(const char *text, int *widths)
{
	int n = 1;

	widths[0] = N_INPUTS;
	while (n <= MAX_HIDDEN) {
		char *end;

		widths[n] = (int)strtol(text, &end, 10);
		if (end == text || widths[n] < 1)
			return 0;
		n++;
		if (*end == '\0')
			break;
		text = end + 1;
	}
	widths[n] = N_CLASSES;
	return n;
}

static ftmpi_status setup(const struct serve *serve, struct slot *s, const char *units, int64_t batch, int n_workers,
			  bool float32)
{
	ftmpi_status status = FTMPI_OK;
	const int size = ftmpi_comm_size(serve->comm);
	int widths[MAX_DENSE + 1];
	const int n_dense = parse_units(units, widths);
	ftmpi_trainer_options options;
	ftmpi_compile compile;

	drop(s);
	if (n_dense == 0 || batch < n_workers || n_workers % size != 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE,
			   "setup %s: units from 1 on, at least a sample a worker, as many workers on each rank",
			   units);
	ftmpi_trainer_options_init(&options);
	options.n_workers = n_workers;
	ftmpi_compile_init(&compile);
	s->batch = batch;
	s->data = float32 || serve->data_u8 == NULL ? serve->data : serve->data_u8;
	FTMPI_TRY(make_layers(widths, n_dense, &s->model));
	FTMPI_TRY(ftmpi_trainer_create(serve->comm, s->model, &compile, &options, &s->trainer));
	FTMPI_TRY(bench_floor_create(serve->comm, widths, n_dense, (int)((batch + n_workers - 1) / n_workers),
				     n_workers / size, &s->floor));
	if (ftmpi_comm_is_chief(serve->comm))
		(void)printf("{\"parameters\": %lld}\n", (long long)ftmpi_model_layout(s->model)->n_trainable);
done:
	return status;
}

static ftmpi_status run_steps(const struct serve *serve, const struct slot *s, int steps)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_learner *learner = ftmpi_trainer_learner(s->trainer);
	const ftmpi_step_times before = ftmpi_learner_times(learner);
	ftmpi_step_times t;
	ftmpi_fit_options how;
	double begin_s, elapsed_s;

	ftmpi_fit_options_init(&how);
	how.train = s->data;
	how.batch_size = s->batch;
	how.epochs = 0;
	how.max_steps = ftmpi_learner_step_count(learner) + steps;
	FTMPI_TRY(ftmpi_comm_barrier(serve->comm));
	begin_s = now_s();
	FTMPI_TRY(ftmpi_trainer_fit(s->trainer, &how));
	elapsed_s = now_s() - begin_s;
	t = ftmpi_learner_times(learner);
	if (ftmpi_comm_is_chief(serve->comm))
		(void)printf("{\"seconds\": %.9g, \"data\": %.9g, \"compute\": %.9g, \"exchange\": %.9g, "
			     "\"optimizer\": %.9g}\n",
			     elapsed_s / steps, (t.data_s - before.data_s) / steps,
			     (t.compute_s - before.compute_s) / steps, (t.exchange_s - before.exchange_s) / steps,
			     (t.optimizer_s - before.optimizer_s) / steps);
done:
	return status;
}

static ftmpi_status run_floor(const struct serve *serve, const struct slot *s, int steps)
{
	ftmpi_status status = FTMPI_OK;
	floor_times t;

	FTMPI_TRY(bench_floor_measure(s->floor, steps, &t));
	if (ftmpi_comm_is_chief(serve->comm))
		(void)printf("{\"seconds\": %.9g, \"sgemm\": %.9g, \"optimizer\": %.9g, \"exchange\": %.9g}\n",
			     t.sgemm_s + t.optimizer_s + t.exchange_s, t.sgemm_s, t.optimizer_s, t.exchange_s);
done:
	return status;
}

static ftmpi_status print_loss(const struct serve *serve, const struct slot *s)
{
	ftmpi_status status = FTMPI_OK;
	const float *params = ftmpi_learner_params(ftmpi_trainer_learner(s->trainer));
	char digest[FTMPI_DIGEST_TEXT];
	ftmpi_metrics metrics;

	FTMPI_TRY(ftmpi_trainer_evaluate(s->trainer, s->data, &metrics));
	ftmpi_digest_format(ftmpi_hash(params, (size_t)ftmpi_model_layout(s->model)->n_elements * sizeof *params),
			    digest);
	if (ftmpi_comm_is_chief(serve->comm))
		(void)printf("{\"loss\": %.9g, \"digest\": \"%s\"}\n", metrics.loss, digest);
done:
	return status;
}

static void drop_and_tell(const struct serve *serve, struct slot *s)
{
	drop(s);
	if (ftmpi_comm_is_chief(serve->comm))
		(void)printf("{}\n");
}

/* Of a model, which sets the number of threads. */
static ftmpi_status describe(const struct serve *serve)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_model *model = NULL;

	FTMPI_TRY(make_model(&model));
	if (ftmpi_comm_is_chief(serve->comm))
		(void)printf("{\"blas\": \"%s\"}\n", ftmpi_blas_description());
done:
	ftmpi_model_destroy(&model);
	return status;
}

static ftmpi_status write_data(const struct serve *serve, const char *path)
{
	ftmpi_status status = FTMPI_OK;
	FILE *file = NULL;

	if (!ftmpi_comm_is_chief(serve->comm))
		goto done;
	file = fopen(path, "wb");
	if (file == NULL || fwrite(serve->x, sizeof *serve->x, (size_t)N_SAMPLES * N_INPUTS, file) == 0 ||
	    fwrite(serve->y, sizeof *serve->y, N_SAMPLES, file) == 0)
		FTMPI_FAIL(FTMPI_ERR_IO, "%s cannot be written", path);
	(void)printf("{\"samples\": %d}\n", N_SAMPLES);
done:
	if (file != NULL && fclose(file) != 0)
		status = FTMPI_ERR_IO;
	return status;
}

static ftmpi_status write_idx(const struct serve *serve, const char *folder)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t dims[] = {N_SAMPLES, 28, 28};
	char path[FTMPI_PATH_MAX];
	double *values = NULL;

	if (!ftmpi_comm_is_chief(serve->comm))
		goto done;
	FTMPI_TRY(FTMPI_ALLOC((int64_t)N_SAMPLES * N_INPUTS, &values));
	for (int64_t i = 0; i < (int64_t)N_SAMPLES * N_INPUTS; i++)
		values[i] = round(255 * (double)serve->x[i]);
	(void)mkdir(folder, 0777);
	(void)snprintf(path, sizeof path, "%s/train-images-idx3-ubyte", folder);
	FTMPI_TRY(idx_write(path, DATA_U8, 3, dims, values));
	for (int64_t i = 0; i < N_SAMPLES; i++)
		values[i] = serve->y[i];
	(void)snprintf(path, sizeof path, "%s/train-labels-idx1-ubyte", folder);
	FTMPI_TRY(idx_write(path, DATA_U8, 1, dims, values));
done:
	ftmpi_free(values);
	return status;
}

static ftmpi_status open_idx(struct serve *serve, const char *folder)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_dataset_options options;

	ftmpi_dataset_options_init(&options);
	FTMPI_TRY(ftmpi_agree(serve->comm, write_idx(serve, folder)));
	FTMPI_TRY(ftmpi_dataset_open(serve->comm, folder, FTMPI_TRAIN, &options, &serve->data_u8));
done:
	return status;
}

/* An empty slot is an error for all commands but setup. */
static ftmpi_status serve_slot(struct serve *serve, const char *const words[MAX_WORDS])
{
	ftmpi_status status = FTMPI_OK;
	const char *command = words[0], *second = words[2];
	const int number = (int)strtol(words[1], NULL, 10), steps = (int)strtol(second, NULL, 10);
	struct slot *s = number >= 0 && number < N_SLOTS ? &serve->slots[number] : NULL;

	if (s == NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%s: there are slots 0 to %d", command, N_SLOTS - 1);
	if (s->trainer == NULL && strcmp(command, "setup") != 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%s: nothing was set up in slot %d", command, number);
	if (strcmp(command, "setup") == 0)
		FTMPI_TRY(setup(serve, s, second, strtoll(words[3], NULL, 10), (int)strtol(words[4], NULL, 10),
				strcmp(words[5], "float32") == 0));
	else if (strcmp(command, "step") == 0 && steps > 0)
		FTMPI_TRY(run_steps(serve, s, steps));
	else if (strcmp(command, "floor") == 0 && steps > 0)
		FTMPI_TRY(run_floor(serve, s, steps));
	else if (strcmp(command, "loss") == 0)
		FTMPI_TRY(print_loss(serve, s));
	else if (strcmp(command, "drop") == 0)
		drop_and_tell(serve, s);
	else
		FTMPI_FAIL(FTMPI_ERR_USAGE, "unknown command: %s %s", command, second);
done:
	return status;
}

/* Words of a line, which is cut up; missing ones are empty. */
static void split(char *line, const char *words[MAX_WORDS])
{
	char *rest = NULL;

	for (int i = 0; i < MAX_WORDS; i++) {
		const char *word = strtok_r(i == 0 ? line : NULL, " \n", &rest);

		words[i] = word != NULL ? word : "";
	}
}

static ftmpi_status serve_line(struct serve *serve, char *line)
{
	ftmpi_status status = FTMPI_OK;
	const char *words[MAX_WORDS];

	split(line, words);
	if (words[0][0] == '\0')
		serve->quit = true;
	else if (strcmp(words[0], "describe") == 0)
		FTMPI_TRY(describe(serve));
	else if (strcmp(words[0], "data") == 0)
		FTMPI_TRY(write_data(serve, words[1]));
	else
		FTMPI_TRY(serve_slot(serve, words));
done:
	return status;
}

/* The next line from rank 0 to all ranks, empty at the end of the input. */
static ftmpi_status next_line(const struct serve *serve, char line[LINE])
{
	ftmpi_status status = FTMPI_OK;

	memset(line, 0, LINE);
	if (!ftmpi_comm_is_chief(serve->comm)) {
		FTMPI_TRY(ftmpi_comm_sleep(serve->comm));
	} else {
		if (fgets(line, LINE, stdin) == NULL)
			line[0] = '\0';
		FTMPI_TRY(ftmpi_comm_wake(serve->comm, 1, FTMPI_OK));
	}
	FTMPI_TRY(ftmpi_broadcast(serve->comm, line, LINE, 0));
done:
	return status;
}

int main(int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;
	struct serve serve = {0};
	char line[LINE];

	FTMPI_TRY(ftmpi_init(&argc, &argv));
	FTMPI_TRY(ftmpi_comm_create(&serve.comm));
	FTMPI_TRY(make_data(&serve.x, &serve.y, &serve.data));
	if (argc > 1)
		FTMPI_TRY(open_idx(&serve, argv[1]));
	while (!serve.quit) {
		FTMPI_TRY(next_line(&serve, line));
		FTMPI_TRY(serve_line(&serve, line));
		(void)fflush(stdout);
	}
done:
	if (status != FTMPI_OK)
		(void)fprintf(stderr, "bench_serve: %s\n", ftmpi_error_message());
	for (int i = 0; i < N_SLOTS; i++)
		drop(&serve.slots[i]);
	ftmpi_dataset_destroy(&serve.data);
	ftmpi_dataset_destroy(&serve.data_u8);
	ftmpi_comm_destroy(&serve.comm);
	ftmpi_free(serve.x);
	ftmpi_free(serve.y);
	ftmpi_finalize();
	return ftmpi_status_exit_code(status);
}
