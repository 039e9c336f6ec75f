/* SPDX-License-Identifier: Apache-2.0 */
/* usage: mpirun -np N bench_checkpoint [--json FILE] [--dir DIR] [MEGABYTES…]
 *
 * What a checkpoint costs, for states of about 5 and 600 MB or of these sizes (2000 takes 12 GB of memory on the chief and two ranks), each beside the floor
 * that the machine sets: all of a row is measured in the same run, in ROUNDS alternating rounds; medians, ratios first.
 *
 *     stall      of the training by a save, synchronous and asynchronous      floor: memcpy of the state
 *     copy       the part of the asynchronous stall that is the store's
 *     durable    seconds until the checkpoint is durable                      floor: write and fsync of the same bytes, verified by nobody
 *     restore    from the disk, cache dropped                                 floor: read of the same bytes, and broadcast
 *     run        of model B's training, saving every 100 steps                floor: the same without saving
 *
 * DIR (default: the current directory) decides which disk it is. */
#include "bench/model_b.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 5, RUN_STEPS = 300, RUN_SAVE_STEPS = 100, WIDTH_STEP = 64, LARGE_MB = 50 };

enum { MEMCPY, SYNC, ASYNC, COPY, SYNC_DURABLE, ASYNC_DURABLE, RAW_WRITE, RESTORE, RAW_READ, N_COLUMNS };

struct bench {
	const ftmpi_comm *comm;
	const char *directory;
	FILE *json; /* NULL: not wanted */
	ftmpi_model *model;
	ftmpi_trainer *trainer;
	ftmpi_checkpoint *checkpoint;
	ftmpi_store *store; /* the chief's */
	ftmpi_manager *manager;
	size_t n_bytes; /* of the state */
	uint8_t *a, *b; /* [n_bytes], the chief's; a alone elsewhere */
	double columns[N_COLUMNS][ROUNDS];
};

/* Dense layers of one width whose parameters and two slots take about so many bytes; about 5 MB: model B. */
static ftmpi_status make_state_model(int64_t megabytes, ftmpi_model **out)
{
	const int64_t dims[] = {28, 28};
	int64_t width = WIDTH_STEP;
	ftmpi_layer_spec specs[] = {{.kind = FTMPI_FLATTEN},
				    {.kind = FTMPI_DENSE, .activation = FTMPI_RELU},
				    {.kind = FTMPI_DENSE, .activation = FTMPI_RELU},
				    {.kind = FTMPI_DENSE, .activation = FTMPI_RELU},
				    {.kind = FTMPI_DENSE, .units = N_CLASSES}};

	if (megabytes < LARGE_MB)
		return make_model(out);
	while (12 * width * (N_INPUTS + 2 * width) < megabytes * 1000000)
		width += WIDTH_STEP;
	specs[1].units = specs[2].units = specs[3].units = width;
	return ftmpi_model_create(dims, 2, specs, 5, out);
}

static ftmpi_status open_state(struct bench *b, int64_t megabytes)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_trainer_options options;
	ftmpi_compile compile;
	ftmpi_store_options store;

	ftmpi_trainer_options_init(&options);
	options.n_workers = ftmpi_comm_size(b->comm);
	ftmpi_compile_init(&compile);
	ftmpi_store_options_init(&store);
	store.keep_max = 1;
	FTMPI_TRY(make_state_model(megabytes, &b->model));
	FTMPI_TRY(ftmpi_trainer_create(b->comm, b->model, &compile, &options, &b->trainer));
	FTMPI_TRY(ftmpi_checkpoint_create(b->comm, &b->checkpoint));
	FTMPI_TRY(ftmpi_trainer_track(b->trainer, b->checkpoint));
	if (ftmpi_comm_is_chief(b->comm))
		FTMPI_TRY(ftmpi_store_open(b->directory, &store, &b->store));
	FTMPI_TRY(ftmpi_manager_create_on_store(b->checkpoint, b->store, NULL, &b->manager));
	b->n_bytes = (size_t)ftmpi_model_layout(b->model)->n_trainable * 3 * sizeof(float);
	FTMPI_TRY(FTMPI_ALLOC((int64_t)b->n_bytes, &b->a));
	if (ftmpi_comm_is_chief(b->comm))
		FTMPI_TRY(FTMPI_ALLOC((int64_t)b->n_bytes, &b->b));
done:
	return status;
}

static void close_state(struct bench *b)
{
	ftmpi_manager_destroy(&b->manager);
	ftmpi_store_close(&b->store);
	ftmpi_checkpoint_destroy(&b->checkpoint);
	ftmpi_trainer_destroy(&b->trainer);
	ftmpi_model_destroy(&b->model);
	ftmpi_free(b->a);
	ftmpi_free(b->b);
	b->a = b->b = NULL;
}

static double time_memcpy(struct bench *b)
{
	const double begin_s = now_s();

	memcpy(b->b, b->a, b->n_bytes);
	return now_s() - begin_s;
}

/* The chief's arrays of the same sizes: those of a checkpoint are all ranks' to save. */
static ftmpi_status list_arrays(ftmpi_registry *all, ftmpi_registry **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_registry *r = NULL;

	FTMPI_TRY(ftmpi_registry_create(&r));
	for (int i = 0; i < ftmpi_registry_n_entries(all); i++) {
		const ftmpi_entry *e = ftmpi_registry_entry(all, i);

		if (e->buffer != NULL)
			FTMPI_TRY(ftmpi_registry_add_buffer(r, e->path, e->dtype, e->buffer, e->kind));
		else
			FTMPI_TRY(ftmpi_registry_add(r, e->path, e->dtype, e->n_dims, e->dims, e->data, e->kind));
	}
	*out = r;
	r = NULL;
done:
	ftmpi_registry_destroy(&r);
	return status;
}

/* The store's part alone; the newest checkpoint is saved again. */
static ftmpi_status time_copy(struct bench *b, double *s)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t number = ftmpi_store_get(b->store, ftmpi_store_n_items(b->store) - 1)->number;
	ftmpi_registry *arrays = NULL;
	double begin_s;

	FTMPI_TRY(list_arrays(ftmpi_checkpoint_registry(b->checkpoint), &arrays));
	begin_s = now_s();
	FTMPI_TRY(ftmpi_store_save_begin(b->store, arrays, number));
	*s = now_s() - begin_s;
	FTMPI_TRY(ftmpi_store_save_end(b->store, NULL, NULL));
done:
	ftmpi_registry_destroy(&arrays);
	return status;
}

static ftmpi_status time_saves(struct bench *b, int round)
{
	ftmpi_status status = FTMPI_OK;
	double begin_s;

	FTMPI_TRY(ftmpi_comm_barrier(b->comm));
	begin_s = now_s();
	FTMPI_TRY(ftmpi_manager_save(b->manager, NULL, false, NULL));
	b->columns[SYNC][round] = b->columns[SYNC_DURABLE][round] = now_s() - begin_s;
	FTMPI_TRY(ftmpi_comm_barrier(b->comm));
	begin_s = now_s();
	FTMPI_TRY(ftmpi_manager_save_begin(b->manager, NULL, false, NULL));
	b->columns[ASYNC][round] = now_s() - begin_s;
	FTMPI_TRY(ftmpi_manager_save_end(b->manager, NULL));
	b->columns[ASYNC_DURABLE][round] = b->columns[ASYNC][round] + ftmpi_manager_write_s(b->manager);
done:
	return status;
}

/* Take a file out of the cache. */
static void drop(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)fsync(fd);
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		(void)close(fd);
	}
}

static ftmpi_status move_bytes(int fd, uint8_t *data, size_t n_bytes, bool writes)
{
	ftmpi_status status = FTMPI_OK;

	for (size_t at = 0; at < n_bytes;) {
		const ssize_t n = writes ? write(fd, data + at, n_bytes - at) : read(fd, data + at, n_bytes - at);

		if (n <= 0)
			FTMPI_FAIL(FTMPI_ERR_IO, "cannot move bytes: %s", strerror(errno));
		at += (size_t)n;
	}
done:
	return status;
}

/* On the chief: the same bytes to a file and back. */
static ftmpi_status time_raw(struct bench *b, int round)
{
	ftmpi_status status = FTMPI_OK;
	char path[FTMPI_PATH_MAX];
	double begin_s;
	int fd;

	(void)snprintf(path, sizeof path, "%s/raw", b->directory);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		FTMPI_FAIL(FTMPI_ERR_IO, "cannot create '%s': %s", path, strerror(errno));
	begin_s = now_s();
	FTMPI_TRY(move_bytes(fd, b->a, b->n_bytes, true));
	if (fsync(fd) != 0)
		FTMPI_FAIL(FTMPI_ERR_IO, "cannot fsync '%s': %s", path, strerror(errno));
	b->columns[RAW_WRITE][round] = now_s() - begin_s;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	(void)lseek(fd, 0, SEEK_SET);
	begin_s = now_s();
	FTMPI_TRY(move_bytes(fd, b->a, b->n_bytes, false));
	b->columns[RAW_READ][round] = now_s() - begin_s;
done:
	if (fd >= 0)
		(void)close(fd);
	(void)unlink(path);
	return status;
}

static ftmpi_status time_restore(struct bench *b, int round)
{
	ftmpi_status status = FTMPI_OK;
	double begin_s;

	if (ftmpi_comm_is_chief(b->comm))
		drop(ftmpi_manager_latest_checkpoint(b->manager));
	FTMPI_TRY(ftmpi_comm_barrier(b->comm));
	begin_s = now_s();
	FTMPI_TRY(ftmpi_manager_restore_or_initialize(b->manager, NULL));
	b->columns[RESTORE][round] = now_s() - begin_s;
	begin_s = now_s();
	FTMPI_TRY(ftmpi_broadcast(b->comm, b->a, (int64_t)b->n_bytes, FTMPI_CHIEF));
	b->columns[RAW_READ][round] += now_s() - begin_s;
done:
	return status;
}

static ftmpi_status run_round(struct bench *b, int round)
{
	ftmpi_status status = FTMPI_OK;
	const bool chief = ftmpi_comm_is_chief(b->comm);

	if (chief)
		b->columns[MEMCPY][round] = time_memcpy(b);
	FTMPI_TRY(time_saves(b, round));
	if (chief)
		status = time_copy(b, &b->columns[COPY][round]);
	if (chief && status == FTMPI_OK)
		status = time_raw(b, round);
	FTMPI_TRY(ftmpi_agree(b->comm, status));
	FTMPI_TRY(time_restore(b, round));
done:
	return status;
}

static double median(double *values, int n)
{
	qsort(values, (size_t)n, sizeof *values, compare_doubles);
	return values[n / 2];
}

/* Most memory that this process has had, in bytes. */
static double peak_bytes(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	double kb = 0;

	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		if (strncmp(line, "VmHWM:", 6) == 0)
			kb = strtod(line + 6, NULL);
	if (file != NULL)
		(void)fclose(file);
	return kb * 1024;
}

static const char *const names[N_COLUMNS] = {"memcpy",        "stall_sync", "stall_async", "copy",    "durable_sync",
					     "durable_async", "raw_write",  "restore",     "raw_read"};

/* All rounds, in their order. */
static void write_state(const struct bench *b)
{
	if (b->json == NULL)
		return;
	(void)fprintf(b->json, "{\"bench\": \"checkpoint\", \"np\": %d, \"state_bytes\": %zu, \"peak_bytes\": %.0f",
		      ftmpi_comm_size(b->comm), b->n_bytes, peak_bytes());
	for (int i = 0; i < N_COLUMNS; i++) {
		(void)fprintf(b->json, ", \"%s_s\": [", names[i]);
		for (int round = 0; round < ROUNDS; round++)
			(void)fprintf(b->json, "%s%.9f", round == 0 ? "" : ", ", b->columns[i][round]);
		(void)fprintf(b->json, "]");
	}
	(void)fprintf(b->json, "}\n");
}

/* Sorts the rounds. */
static void print_state(struct bench *b)
{
	const double megabytes = (double)b->n_bytes / 1e6;
	double m[N_COLUMNS];

	for (int i = 0; i < N_COLUMNS; i++)
		m[i] = median(b->columns[i], ROUNDS);
	(void)printf("state of %.1f MB, np %d\n", megabytes, ftmpi_comm_size(b->comm));
	(void)printf("  async stall / memcpy   %7.2f   (the store's copy alone %.2f; sync %.1f)\n",
		     m[ASYNC] / m[MEMCPY], m[COPY] / m[MEMCPY], m[SYNC] / m[MEMCPY]);
	(void)printf("  raw write / durable    %7.2f   (sync %.2f)\n", m[RAW_WRITE] / m[ASYNC_DURABLE],
		     m[RAW_WRITE] / m[SYNC_DURABLE]);
	(void)printf("  raw read / restore     %7.2f\n", m[RAW_READ] / m[RESTORE]);
	for (int i = 0; i < N_COLUMNS; i++)
		(void)printf("  %-14s %10.3f ms  (%.3f to %.3f)\n", names[i], 1e3 * m[i], 1e3 * b->columns[i][0],
			     1e3 * b->columns[i][ROUNDS - 1]);
	(void)printf("  peak memory of the chief so far: %.1f MB, the bench's own %.1f MB included\n",
		     peak_bytes() / 1e6, 2 * megabytes);
}

/* @param megabytes of the state. */
static ftmpi_status bench_state(struct bench *b, int64_t megabytes)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(open_state(b, megabytes));
	for (int round = -1; round < ROUNDS; round++) /* the first one warms up */
		FTMPI_TRY(run_round(b, round < 0 ? 0 : round));
	if (ftmpi_comm_is_chief(b->comm)) {
		write_state(b);
		print_state(b);
	}
done:
	close_state(b);
	return status;
}

enum { PLAIN, SYNC_RUN, ASYNC_RUN, N_RUNS };

/* Seconds of a training of model B. @param how whether and how it saves. */
static ftmpi_status time_run(const struct bench *b, const ftmpi_dataset *data, int how, double *s)
{
	ftmpi_status status = FTMPI_OK;
	const bool chief = ftmpi_comm_is_chief(b->comm);
	ftmpi_saver_options saves;
	ftmpi_store_options folder;
	ftmpi_trainer_options options;
	ftmpi_fit_options fit;
	ftmpi_compile compile;
	ftmpi_model *model = NULL;
	ftmpi_trainer *trainer = NULL;
	ftmpi_store *store = NULL;
	ftmpi_saver *saver = NULL;
	const ftmpi_callback *callback;
	double begin_s;

	ftmpi_saver_options_init(&saves);
	saves.save_epochs = 0;
	saves.save_steps = RUN_SAVE_STEPS;
	saves.async = how == ASYNC_RUN;
	ftmpi_store_options_init(&folder);
	ftmpi_trainer_options_init(&options);
	options.n_workers = ftmpi_comm_size(b->comm);
	ftmpi_compile_init(&compile);
	ftmpi_fit_options_init(&fit);
	fit.train = data;
	fit.batch_size = 256;
	fit.epochs = 0;
	fit.max_steps = RUN_STEPS + RUN_SAVE_STEPS / 2; /* the last save of all is not what this is about */
	FTMPI_TRY(make_model(&model));
	FTMPI_TRY(ftmpi_trainer_create(b->comm, model, &compile, &options, &trainer));
	if (chief)
		FTMPI_TRY(ftmpi_store_open(b->directory, &folder, &store));
	FTMPI_TRY(ftmpi_saver_create(store, &saves, &saver));
	callback = ftmpi_saver_callback(saver);
	fit.callbacks = &callback;
	fit.n_callbacks = how != PLAIN;
	FTMPI_TRY(ftmpi_comm_barrier(b->comm));
	begin_s = now_s();
	FTMPI_TRY(ftmpi_trainer_fit(trainer, &fit));
	*s = now_s() - begin_s;
	if (chief)
		FTMPI_TRY(ftmpi_store_clear(store));
done:
	ftmpi_saver_destroy(&saver);
	ftmpi_store_close(&store);
	ftmpi_trainer_destroy(&trainer);
	ftmpi_model_destroy(&model);
	return status;
}

static ftmpi_status bench_run(struct bench *b)
{
	ftmpi_status status = FTMPI_OK;
	double s[N_RUNS][ROUNDS], m[N_RUNS];
	ftmpi_dataset *data = NULL;
	float *x = NULL;
	int32_t *y = NULL;

	FTMPI_TRY(make_data(&x, &y, &data));
	for (int round = -1; round < ROUNDS; round++)
		for (int how = 0; how < N_RUNS; how++)
			FTMPI_TRY(time_run(b, data, how, &s[how][round < 0 ? 0 : round]));
	for (int how = 0; how < N_RUNS; how++)
		m[how] = median(s[how], ROUNDS);
	if (!ftmpi_comm_is_chief(b->comm))
		goto done;
	(void)printf("model B, %d steps of batch 256, saving every %d and at the end, np %d\n",
		     RUN_STEPS + RUN_SAVE_STEPS / 2, RUN_SAVE_STEPS, ftmpi_comm_size(b->comm));
	(void)printf("  async / without saving %7.3f   (sync %.3f)\n", m[ASYNC_RUN] / m[PLAIN], m[SYNC_RUN] / m[PLAIN]);
	(void)printf("  without %.3f s, sync %.3f s, async %.3f s\n", m[PLAIN], m[SYNC_RUN], m[ASYNC_RUN]);
	if (b->json != NULL)
		(void)fprintf(b->json,
			      "{\"bench\": \"checkpoint_run\", \"np\": %d, \"steps\": %d, \"save_steps\": %d, "
			      "\"plain_s\": %.6f, "
			      "\"sync_s\": %.6f, \"async_s\": %.6f}\n",
			      ftmpi_comm_size(b->comm), RUN_STEPS + RUN_SAVE_STEPS / 2, RUN_SAVE_STEPS, m[PLAIN],
			      m[SYNC_RUN], m[ASYNC_RUN]);
done:
	ftmpi_dataset_destroy(&data);
	ftmpi_free(x);
	ftmpi_free(y);
	return status;
}

/* The options come first. */
static ftmpi_status run(struct bench *b, int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;
	int i = 1;

	for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
		if (strcmp(argv[i], "--dir") == 0)
			b->directory = argv[i + 1];
		else if (ftmpi_comm_is_chief(b->comm))
			b->json = fopen(argv[i + 1], "ae");
	}
	FTMPI_TRY(bench_run(b));
	if (i == argc) {
		FTMPI_TRY(bench_state(b, 5));
		FTMPI_TRY(bench_state(b, 600));
	}
	for (; i < argc; i++)
		FTMPI_TRY(bench_state(b, strtoll(argv[i], NULL, 10)));
done:
	if (b->json != NULL)
		(void)fclose(b->json);
	return status;
}

int main(int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;
	struct bench b = {.directory = "bench-checkpoints"};
	ftmpi_comm *comm = NULL;

	FTMPI_TRY(ftmpi_init(&argc, &argv));
	FTMPI_TRY(ftmpi_comm_create(&comm));
	b.comm = comm;
	FTMPI_TRY(run(&b, argc, argv));
done:
	if (status != FTMPI_OK)
		(void)fprintf(stderr, "bench_checkpoint: %s\n", ftmpi_error_message());
	ftmpi_comm_destroy(&comm);
	ftmpi_finalize();
	return ftmpi_status_exit_code(status);
}
