/* SPDX-License-Identifier: Apache-2.0 */
/* usage: mpirun -np N bench_step [BATCH [STEPS]]
 *
 * Time per step of the guide's model B (784 → 512 relu, dropout 0.2 → 10, Adam) on synthetic data in memory, split into data, compute, exchange and
 * optimizer, beside the floor of the same shapes (floor.h) and its parts. All of a row is measured in the same run, in ROUNDS alternating rounds;
 * medians over the rounds, with the least and the greatest. */
#include "bench/floor.h"
#include "bench/model_b.h"

#include <stdio.h>

enum { ROUNDS = 7 };

enum { DATA, COMPUTE, EXCHANGE, OPTIMIZER, STEP, SGEMM, PASS, MESSAGES, FLOOR, N_COLUMNS };

static void print_columns(double columns[N_COLUMNS][ROUNDS])
{
	static const char *const names[N_COLUMNS] = {"data",       "compute",   "exchange",      "optimizer", "step",
						     "bare sgemm", "bare pass", "bare messages", "floor"};
	double step;

	for (int i = 0; i < N_COLUMNS; i++)
		qsort(columns[i], ROUNDS, sizeof columns[i][0], compare_doubles);
	step = columns[STEP][ROUNDS / 2];
	for (int i = 0; i < N_COLUMNS; i++)
		(void)printf("  %-13s %9.1f us  (%.1f to %.1f)  %5.1f %% of the step\n", names[i],
			     1e6 * columns[i][ROUNDS / 2], 1e6 * columns[i][0], 1e6 * columns[i][ROUNDS - 1],
			     100 * columns[i][ROUNDS / 2] / step);
	(void)printf("  step / floor = %.2f\n", step / columns[FLOOR][ROUNDS / 2]);
}

static ftmpi_status run_rounds(const ftmpi_comm *comm, const ftmpi_model *model, const ftmpi_dataset *data,
			       int64_t batch, int steps, double columns[N_COLUMNS][ROUNDS])
{
	ftmpi_status status = FTMPI_OK;
	const int widths[] = {N_INPUTS, N_HIDDEN, N_CLASSES};
	const int size = ftmpi_comm_size(comm), rows = (int)((batch + size - 1) / size);
	ftmpi_trainer_options options;
	ftmpi_fit_options how;
	ftmpi_compile compile;
	ftmpi_trainer *trainer = NULL;
	bench_floor *bare = NULL;

	ftmpi_trainer_options_init(&options);
	options.n_workers = size;
	ftmpi_compile_init(&compile);
	ftmpi_fit_options_init(&how);
	how.train = data;
	how.batch_size = batch;
	how.epochs = 0;
	how.max_steps = steps;
	FTMPI_TRY(bench_floor_create(comm, widths, 2, rows, 1, &bare));
	for (int round = -1; round < ROUNDS; round++) { /* the first one warms up */
		ftmpi_step_times t;
		floor_times least;
		double begin_s, elapsed_s;

		FTMPI_TRY(ftmpi_trainer_create(comm, model, &compile, &options, &trainer));
		FTMPI_TRY(ftmpi_comm_barrier(comm));
		begin_s = now_s();
		FTMPI_TRY(ftmpi_trainer_fit(trainer, &how));
		elapsed_s = now_s() - begin_s;
		t = ftmpi_learner_times(ftmpi_trainer_learner(trainer));
		ftmpi_trainer_destroy(&trainer);
		if (round < 0)
			continue;
		columns[DATA][round] = t.data_s / steps;
		columns[COMPUTE][round] = t.compute_s / steps;
		columns[EXCHANGE][round] = t.exchange_s / steps;
		columns[OPTIMIZER][round] = t.optimizer_s / steps;
		columns[STEP][round] = elapsed_s / steps;
		FTMPI_TRY(bench_floor_measure(bare, steps, &least));
		columns[SGEMM][round] = least.sgemm_s;
		columns[PASS][round] = least.optimizer_s;
		columns[MESSAGES][round] = least.exchange_s;
		columns[FLOOR][round] = least.sgemm_s + least.optimizer_s + least.exchange_s;
	}
done:
	ftmpi_trainer_destroy(&trainer);
	bench_floor_destroy(&bare);
	return status;
}

int main(int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t batch = argc > 1 ? strtoll(argv[1], NULL, 10) : 256;
	const int steps = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 200;
	double columns[N_COLUMNS][ROUNDS] = {{0}};
	ftmpi_comm *comm = NULL;
	ftmpi_model *model = NULL;
	ftmpi_dataset *data = NULL;
	float *x = NULL;
	int32_t *y = NULL;

	FTMPI_TRY(ftmpi_init(&argc, &argv));
	FTMPI_TRY(ftmpi_comm_create(&comm));
	FTMPI_TRY(make_data(&x, &y, &data));
	FTMPI_TRY(make_model(&model));
	FTMPI_TRY(run_rounds(comm, model, data, batch, steps, columns));
	if (ftmpi_comm_is_chief(comm)) {
		(void)printf("np %d, global batch %lld, %d rounds of %d steps; rank 0, median (least to greatest)\n",
			     ftmpi_comm_size(comm), (long long)batch, ROUNDS, steps);
		print_columns(columns);
	}
done:
	if (status != FTMPI_OK)
		(void)fprintf(stderr, "bench_step: %s\n", ftmpi_error_message());
	ftmpi_dataset_destroy(&data);
	ftmpi_model_destroy(&model);
	ftmpi_comm_destroy(&comm);
	ftmpi_free(x);
	ftmpi_free(y);
	ftmpi_finalize();
	return ftmpi_status_exit_code(status);
}
