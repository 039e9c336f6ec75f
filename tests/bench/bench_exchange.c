/* SPDX-License-Identifier: Apache-2.0 */
/* usage: mpirun -np N bench_exchange
 *
 * The deterministic reduction (reduce and gather) against MPI_Allreduce of the same bytes, alternately in one run; medians over ROUNDS rounds. The
 * workers' arrays are there already: what is timed is the exchange alone. */
#include <ftmpi/ftmpi.h>

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 9, REPEATS = 20 };

static int compare_doubles(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static ftmpi_status time_exchange(const ftmpi_comm *comm, ftmpi_exchange *ex, float *array, double *out)
{
	ftmpi_status status = FTMPI_OK;
	double total_s = 0;
	float *sum;

	for (int i = 0; i < REPEATS; i++) {
		double begin_s;

		ftmpi_exchange_push(ex);
		FTMPI_TRY(ftmpi_comm_barrier(comm));
		begin_s = MPI_Wtime();
		FTMPI_TRY(ftmpi_exchange_reduce(ex, &sum));
		FTMPI_TRY(ftmpi_exchange_gather(ex, array));
		total_s += MPI_Wtime() - begin_s;
	}
	*out = total_s / REPEATS;
done:
	return status;
}

static double time_allreduce(const float *mine, float *sum, int n)
{
	double total_s = 0;

	for (int i = 0; i < REPEATS; i++) {
		double begin_s;

		(void)MPI_Barrier(MPI_COMM_WORLD);
		begin_s = MPI_Wtime();
		(void)MPI_Allreduce(mine, sum, n, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
		total_s += MPI_Wtime() - begin_s;
	}
	return total_s / REPEATS;
}

static ftmpi_status compare(const ftmpi_comm *comm, int64_t n)
{
	ftmpi_status status = FTMPI_OK;
	double ours[ROUNDS], theirs[ROUNDS], ratios[ROUNDS];
	ftmpi_exchange *ex = NULL;
	float *a = NULL, *b = NULL, *shared;

	FTMPI_TRY(FTMPI_ALLOC(n, &a));
	FTMPI_TRY(FTMPI_ALLOC(n, &b));
	FTMPI_TRY(ftmpi_exchange_create(comm, ftmpi_comm_size(comm), n, &ex));
	FTMPI_TRY(ftmpi_exchange_array(ex, &shared));
	for (int round = -1; round < ROUNDS; round++) {
		const int k = round < 0 ? 0 : round;

		FTMPI_TRY(time_exchange(comm, ex, shared, &ours[k]));
		theirs[k] = time_allreduce(a, b, (int)n);
		ratios[k] = ours[k] / theirs[k];
	}
	qsort(ours, ROUNDS, sizeof ours[0], compare_doubles);
	qsort(theirs, ROUNDS, sizeof theirs[0], compare_doubles);
	qsort(ratios, ROUNDS, sizeof ratios[0], compare_doubles);
	if (ftmpi_comm_is_chief(comm))
		(void)printf("  %10.2f MB  %9.1f us  %9.1f us  %.2f  (%.2f to %.2f)\n", 4e-6 * (double)n,
			     1e6 * ours[ROUNDS / 2], 1e6 * theirs[ROUNDS / 2], ratios[ROUNDS / 2], ratios[0],
			     ratios[ROUNDS - 1]);
done:
	ftmpi_exchange_destroy(&ex);
	ftmpi_free(a);
	ftmpi_free(b);
	return status;
}

int main(int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t sizes[] = {1 << 12, 1 << 16, 407552, 1 << 21, 1 << 24};
	ftmpi_comm *comm = NULL;

	FTMPI_TRY(ftmpi_init(&argc, &argv));
	FTMPI_TRY(ftmpi_comm_create(&comm));
	if (ftmpi_comm_is_chief(comm))
		(void)printf("np %d: reduce + gather, MPI_Allreduce, ratio: median (least to greatest) of %d rounds\n",
			     ftmpi_comm_size(comm), ROUNDS);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		FTMPI_TRY(compare(comm, sizes[i]));
done:
	if (status != FTMPI_OK)
		(void)fprintf(stderr, "bench_exchange: %s\n", ftmpi_error_message());
	ftmpi_comm_destroy(&comm);
	ftmpi_finalize();
	return ftmpi_status_exit_code(status);
}
