/* SPDX-License-Identifier: Apache-2.0 */
/* usage: mpirun -np N bench_watch [BATCH [STEPS]]
 *
 * What being watched costs a training of the guide's model B on synthetic data: the time of a fit with a watchdog over that of one without, in ROUNDS
 * alternating pairs; and one comparison of the ranks' parameters over the steps between two of them. */
#include "bench/model_b.h"

#include <stdio.h>

enum { ROUNDS = 41, COMPARISONS = 100 };

enum { BARE, WATCHED, COMPARE, N_COLUMNS };

struct bench {
	ftmpi_comm *comm;
	ftmpi_model *model;
	ftmpi_dataset *data;
	int64_t batch;
	int steps;
};

/* Seconds a step of one fit. @param compare_s NULL, or set to the seconds of a comparison after it. */
static ftmpi_status time_fit(const struct bench *b, bool watched, double *step_s, double *compare_s)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_trainer_options options;
	ftmpi_fit_options how;
	ftmpi_compile compile;
	ftmpi_watchdog *watchdog = NULL;
	ftmpi_trainer *trainer = NULL;
	double begin_s;

	ftmpi_trainer_options_init(&options);
	options.n_workers = ftmpi_comm_size(b->comm);
	options.compare_steps = 0;
	ftmpi_compile_init(&compile);
	ftmpi_fit_options_init(&how);
	how.train = b->data;
	how.batch_size = b->batch;
	how.epochs = 0;
	how.max_steps = b->steps;
	if (watched)
		FTMPI_TRY(ftmpi_watchdog_create(b->comm, NULL, &watchdog));
	FTMPI_TRY(ftmpi_trainer_create(b->comm, b->model, &compile, &options, &trainer));
	FTMPI_TRY(ftmpi_comm_barrier(b->comm));
	begin_s = now_s();
	FTMPI_TRY(ftmpi_trainer_fit(trainer, &how));
	*step_s = (now_s() - begin_s) / b->steps;
	begin_s = now_s();
	for (int i = 0; i < COMPARISONS && compare_s != NULL; i++)
		FTMPI_TRY(ftmpi_learner_compare(ftmpi_trainer_learner(trainer)));
	if (compare_s != NULL)
		*compare_s = (now_s() - begin_s) / COMPARISONS;
done:
	ftmpi_trainer_destroy(&trainer);
	ftmpi_watchdog_destroy(&watchdog);
	return status;
}

/* @param part 0.5: the median. */
static double quantile(const double *values, double part)
{
	double sorted[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		sorted[i] = values[i];
	qsort(sorted, ROUNDS, sizeof sorted[0], compare_doubles);
	return sorted[(int)(part * (ROUNDS - 1) + 0.5)];
}

static double median(const double *values)
{
	return quantile(values, 0.5);
}

static void print_result(const struct bench *b, double columns[N_COLUMNS][ROUNDS])
{
	ftmpi_trainer_options defaults;
	double ratios[ROUNDS];

	ftmpi_trainer_options_init(&defaults);
	for (int i = 0; i < ROUNDS; i++)
		ratios[i] = columns[WATCHED][i] / columns[BARE][i];
	(void)printf("np %d, global batch %lld, %d pairs of %d steps; rank 0, medians\n", ftmpi_comm_size(b->comm),
		     (long long)b->batch, ROUNDS, b->steps);
	(void)printf("  step %.1f us without a watchdog, %.1f us with one: ratio %.4f (quartiles %.4f, %.4f)\n",
		     1e6 * median(columns[BARE]), 1e6 * median(columns[WATCHED]), median(ratios),
		     quantile(ratios, 0.25), quantile(ratios, 0.75));
	(void)printf("  comparison of %lld parameters %.1f us: every %lld steps %.4f %% of the time\n",
		     (long long)ftmpi_model_layout(b->model)->n_trainable, 1e6 * median(columns[COMPARE]),
		     (long long)defaults.compare_steps,
		     100 * median(columns[COMPARE]) / median(columns[BARE]) / (double)defaults.compare_steps);
}

/* The first pair warms up; who is first changes from pair to pair. */
static ftmpi_status run_rounds(const struct bench *b, double columns[N_COLUMNS][ROUNDS])
{
	ftmpi_status status = FTMPI_OK;

	for (int round = -1; round < ROUNDS; round++) {
		const int at = round < 0 ? 0 : round;

		for (int i = 0; i < 2; i++) {
			const bool watched = (i == 0) == (round % 2 == 0);

			FTMPI_TRY(time_fit(b, watched, &columns[watched ? WATCHED : BARE][at],
					   watched ? NULL : &columns[COMPARE][at]));
		}
	}
done:
	return status;
}

int main(int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;
	struct bench b = {.batch = argc > 1 ? strtoll(argv[1], NULL, 10) : 32,
			  .steps = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 200};
	double columns[N_COLUMNS][ROUNDS] = {{0}};
	float *x = NULL;
	int32_t *y = NULL;

	FTMPI_TRY(ftmpi_init(&argc, &argv));
	FTMPI_TRY(ftmpi_comm_create(&b.comm));
	FTMPI_TRY(make_data(&x, &y, &b.data));
	FTMPI_TRY(make_model(&b.model));
	FTMPI_TRY(run_rounds(&b, columns));
	if (ftmpi_comm_is_chief(b.comm))
		print_result(&b, columns);
done:
	if (status != FTMPI_OK)
		(void)fprintf(stderr, "bench_watch: %s\n", ftmpi_error_message());
	ftmpi_dataset_destroy(&b.data);
	ftmpi_model_destroy(&b.model);
	ftmpi_comm_destroy(&b.comm);
	ftmpi_free(x);
	ftmpi_free(y);
	ftmpi_finalize();
	return ftmpi_status_exit_code(status);
}
