/* SPDX-License-Identifier: Apache-2.0 */
/* usage: mpirun -np N bench_exchange [--rounds N] [--json FILE]
 *
 * The exchange of a step, with and without Adam, against MPI_Allreduce of the same bytes, with and without Adam over all parameters on every rank. One
 * logical worker a rank; alternately in one run, medians over the rounds. A round's gradients are written before it is timed, on both sides, as a
 * backward pass would; the exchange's times are the learner's own, behind a barrier.
 *
 * The JSON has one line a row: {"bytes", "optimizer": with Adam or not, "ours": [seconds of each round], "theirs": […]}. */
#include "bench/model_b.h"

#include <mpi.h>
#include <stdio.h>
#include <string.h>

enum { MAX_ROUNDS = 99 };

enum { EXCHANGE, WITH_ADAM, N_COLUMNS };

struct bench {
	ftmpi_comm *comm;
	int64_t n;
	int rounds;
	FILE *json; /* chief; NULL: none */
	ftmpi_optimizer adam;
	ftmpi_layout *layout;
	ftmpi_learner *learner;
	float *params, *grads, *slots[2], *sum; /* of MPI_Allreduce's side */
	double ours[N_COLUMNS][MAX_ROUNDS], theirs[N_COLUMNS][MAX_ROUNDS];
};

static void fill(int64_t n, float *grads)
{
	for (int64_t i = 0; i < n; i++)
		grads[i] = 1e-3F * (float)(i % 11);
}

/* Ends with a barrier: no rank's exchange waits for another's gradient. */
static ftmpi_status fake_gradient(void *context, const float *params, const ftmpi_worker_batch *batch, float *grads,
				  double *sums)
{
	const struct bench *b = context;

	(void)params;
	(void)batch;
	(void)sums;
	fill(b->n, grads);
	return ftmpi_comm_barrier(b->comm);
}

static ftmpi_status time_ours(struct bench *b, int repeats, int round)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_batch batch = {.n_samples = ftmpi_comm_size(b->comm)};
	const ftmpi_step_times before = ftmpi_learner_times(b->learner);
	ftmpi_step_times after;
	double none[FTMPI_MAX_SUMS];

	ftmpi_order_init(&batch.order, 1, batch.n_samples, false);
	for (int i = 0; i < repeats; i++)
		FTMPI_TRY(ftmpi_learner_step(b->learner, &batch, fake_gradient, b, none));
	after = ftmpi_learner_times(b->learner);
	b->ours[EXCHANGE][round] = (after.exchange_s - before.exchange_s) / repeats;
	b->ours[WITH_ADAM][round] = b->ours[EXCHANGE][round] + (after.optimizer_s - before.optimizer_s) / repeats;
done:
	return status;
}

static void time_theirs(struct bench *b, int repeats, int round)
{
	double exchange_s = 0, optimizer_s = 0;

	for (int i = 0; i < repeats; i++) {
		double begin_s, reduced_s;

		fill(b->n, b->grads);
		(void)MPI_Barrier(MPI_COMM_WORLD);
		begin_s = MPI_Wtime();
		(void)MPI_Allreduce(b->grads, b->sum, (int)b->n, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
		reduced_s = MPI_Wtime();
		ftmpi_optimizer_apply(&b->adam, i, 0, b->n, b->params, b->sum, b->slots);
		exchange_s += reduced_s - begin_s;
		optimizer_s += MPI_Wtime() - reduced_s;
	}
	b->theirs[EXCHANGE][round] = exchange_s / repeats;
	b->theirs[WITH_ADAM][round] = (exchange_s + optimizer_s) / repeats;
}

static void print_json(const struct bench *b, int column)
{
	if (b->json == NULL)
		return;
	(void)fprintf(b->json, "{\"bytes\": %lld, \"optimizer\": %s, \"ours\": [", 4 * (long long)b->n,
		      column == WITH_ADAM ? "true" : "false");
	for (int i = 0; i < b->rounds; i++)
		(void)fprintf(b->json, "%s%.9g", i > 0 ? ", " : "", b->ours[column][i]);
	(void)fprintf(b->json, "], \"theirs\": [");
	for (int i = 0; i < b->rounds; i++)
		(void)fprintf(b->json, "%s%.9g", i > 0 ? ", " : "", b->theirs[column][i]);
	(void)fprintf(b->json, "]}\n");
}

static void print_row(struct bench *b, int column)
{
	double *ours = b->ours[column], *theirs = b->theirs[column], ratios[MAX_ROUNDS];
	const size_t n = (size_t)b->rounds;

	print_json(b, column);
	for (int i = 0; i < b->rounds; i++)
		ratios[i] = ours[i] / theirs[i];
	qsort(ours, n, sizeof ours[0], compare_doubles);
	qsort(theirs, n, sizeof theirs[0], compare_doubles);
	qsort(ratios, n, sizeof ratios[0], compare_doubles);
	(void)printf("  %8.2f MB %-13s %9.1f us  %9.1f us  %.2f  (%.2f to %.2f)\n", 4e-6 * (double)b->n,
		     column == WITH_ADAM ? "with Adam" : "exchange alone", 1e6 * ours[n / 2], 1e6 * theirs[n / 2],
		     ratios[n / 2], ratios[0], ratios[n - 1]);
}

static ftmpi_status create(struct bench *b)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_param param = {.layer = "all", .n_dims = 1, .dims = {b->n}};
	const ftmpi_learner_options options = {.n_workers = ftmpi_comm_size(b->comm)};

	ftmpi_optimizer_init(&b->adam, FTMPI_ADAM);
	FTMPI_TRY(ftmpi_layout_create(&param, 1, &b->layout));
	FTMPI_TRY(ftmpi_learner_create(b->comm, b->layout, &b->adam, &options, &b->learner));
	FTMPI_TRY(FTMPI_ALLOC(b->n, &b->params));
	FTMPI_TRY(FTMPI_ALLOC(b->n, &b->grads));
	FTMPI_TRY(FTMPI_ALLOC(b->n, &b->sum));
	for (int i = 0; i < 2; i++)
		FTMPI_TRY(FTMPI_ALLOC(b->n, &b->slots[i]));
done:
	return status;
}

static void destroy(struct bench *b)
{
	ftmpi_learner_destroy(&b->learner);
	ftmpi_layout_destroy(&b->layout);
	ftmpi_free(b->params);
	ftmpi_free(b->grads);
	ftmpi_free(b->sum);
	for (int i = 0; i < 2; i++)
		ftmpi_free(b->slots[i]);
	b->params = b->grads = b->sum = b->slots[0] = b->slots[1] = NULL;
}

/* Small exchanges are repeated more often, for a round of some milliseconds. */
static ftmpi_status compare(struct bench *b, int64_t n)
{
	ftmpi_status status = FTMPI_OK;
	const int repeats = n < 1 << 20 ? 50 : 5;

	b->n = n;
	FTMPI_TRY(create(b));
	for (int round = -1; round < b->rounds; round++) { /* the first one warms up */
		FTMPI_TRY(time_ours(b, repeats, round < 0 ? 0 : round));
		time_theirs(b, repeats, round < 0 ? 0 : round);
	}
	if (ftmpi_comm_is_chief(b->comm)) {
		print_row(b, EXCHANGE);
		print_row(b, WITH_ADAM);
	}
done:
	destroy(b);
	return status;
}

static ftmpi_status parse(int argc, char **argv, struct bench *b)
{
	ftmpi_status status = FTMPI_OK;

	b->rounds = 9;
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--rounds") == 0)
			b->rounds = (int)strtol(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--json") == 0 && ftmpi_comm_is_chief(b->comm))
			b->json = fopen(argv[i + 1], "w");
	}
	if (b->rounds < 1 || b->rounds > MAX_ROUNDS)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--rounds: 1 to %d", MAX_ROUNDS);
done:
	return status;
}

int main(int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t sizes[] = {1 << 12, 1 << 16, 407552, 1 << 19, 1 << 21, 1 << 24};
	static struct bench b;

	FTMPI_TRY(ftmpi_init(&argc, &argv));
	FTMPI_TRY(ftmpi_comm_create(&b.comm));
	FTMPI_TRY(parse(argc, argv, &b));
	if (ftmpi_comm_is_chief(b.comm))
		(void)printf("np %d: ftmpi, MPI_Allreduce, ratio: median (least to greatest) of %d rounds\n",
			     ftmpi_comm_size(b.comm), b.rounds);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		FTMPI_TRY(compare(&b, sizes[i]));
done:
	if (status != FTMPI_OK)
		(void)fprintf(stderr, "bench_exchange: %s\n", ftmpi_error_message());
	if (b.json != NULL)
		(void)fclose(b.json);
	ftmpi_comm_destroy(&b.comm);
	ftmpi_finalize();
	return ftmpi_status_exit_code(status);
}
