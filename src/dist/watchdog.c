/* SPDX-License-Identifier: Apache-2.0 */
/* The watchdog's thread: looks, and ends the job when the ranks hang.
 *
 * It makes no MPI calls (MPI_THREAD_FUNNELED) and takes no lock that the main thread may hold: no stdio, no memory. The first watchdog of a node that
 * finds a hang claims it on the board, prints the line, kills the ranks that are to blame and then its own process; a timer does that if the line does not
 * go out. The others give it a while, and go the same way. SIGKILL ends stopped processes too, and nothing in a process can hold it up; a launcher and a
 * scheduler take it for what it is, a death. */
#include "base/clock.h"
#include "base/thread.h"
#include "dist/comm_mpi.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* For the line to go out, and for the others to end after the one that speaks. */
enum { SPEAKING_S = 2, OTHERS_S = 4 };

struct ftmpi_watchdog {
	ftmpi_comm *comm;
	ftmpi_shared *shared;
	struct ftmpi__board *board;
	struct ftmpi__watch watch;
	struct ftmpi__watcher watcher;
	char host[64], line[2048];

	struct ftmpi__thread thread;
};

/* The process is killed in a while even if the line does not go out. */
static void print_line(ftmpi_watchdog *w)
{
	static const char prefix[] = "ftmpi: error: ";
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
	const struct itimerspec when = {.it_value.tv_sec = SPEAKING_S};
	size_t used = sizeof prefix - 1;
	timer_t timer;

	memcpy(w->line, prefix, used);
	ftmpi__watcher_describe(&w->watcher, w->host, w->line + used, sizeof w->line - used - 1);
	used = strlen(w->line);
	memcpy(w->line + used, "\n", 2);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0)
		(void)timer_settime(timer, 0, &when, NULL);
	(void)!write(STDERR_FILENO, w->line, used + 1);
}

static void kill_blamed(const ftmpi_watchdog *w)
{
	for (int i = 0; i < w->watcher.n; i++) {
		const struct ftmpi__life *life = &w->board->lives[i];

		if (ftmpi__watcher_blames(&w->watcher, i) && !w->watcher.sights[i].hidden && life != w->watch.life &&
		    ftmpi__process_read(life->pid, life->tid).born == life->born)
			(void)kill(life->pid, SIGKILL);
	}
}

/* Does not return. */
static void end(ftmpi_watchdog *w, bool speaks)
{
	const struct timespec others = {.tv_sec = OTHERS_S};

	if (speaks)
		print_line(w);
	else
		(void)nanosleep(&others, NULL);
	kill_blamed(w);
	(void)kill(getpid(), SIGKILL);
	for (;;)
		(void)pause();
}

/* Sleep for a period. @return false when the watch is over. */
static bool sleep_on(ftmpi_watchdog *w)
{
	const struct timespec until = ftmpi__later(w->watcher.period_s);
	bool over;

	(void)pthread_mutex_lock(&w->thread.mutex);
	while (!w->thread.stopping && pthread_cond_timedwait(&w->thread.changed, &w->thread.mutex, &until) != ETIMEDOUT)
		;
	over = w->thread.stopping;
	(void)pthread_mutex_unlock(&w->thread.mutex);
	return !over;
}

static void *look_on(void *context)
{
	ftmpi_watchdog *w = context;
	double last_s = ftmpi__now_s();

	while (sleep_on(w)) {
		const double now_s = ftmpi__now_s();
		const bool hang = ftmpi__watcher_look(&w->watcher, now_s - last_s);
		uint32_t unclaimed = 0;

		last_s = now_s;
		if (atomic_load(&w->board->claimed) != 0)
			end(w, false);
		if (hang)
			end(w, atomic_compare_exchange_strong(&w->board->claimed, &unclaimed, 1));
	}
	return NULL;
}

static ftmpi_status start_thread(ftmpi_watchdog *w)
{
	ftmpi_status status = FTMPI_OK;
	int code;

	FTMPI_TRY(ftmpi__thread_init(&w->thread));
	code = ftmpi__thread_start(&w->thread, look_on, w);
	if (code != 0)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "no thread for the watchdog: %s", strerror(code));
done:
	return status;
}

/* What a rank does by itself, once the board is there. */
static ftmpi_status start(ftmpi_watchdog *w, double timeout_s)
{
	ftmpi_status status = FTMPI_OK;

	if (gethostname(w->host, sizeof w->host - 1) != 0)
		(void)snprintf(w->host, sizeof w->host, "unknown");
	FTMPI_TRY(ftmpi__watcher_init(&w->watcher, w->board, w->comm->node_size, w->comm->size, timeout_s));
	FTMPI_TRY(start_thread(w));
done:
	return status;
}

static ftmpi_status check_options(const ftmpi_watchdog_options *options)
{
	ftmpi_status status = FTMPI_OK;

	if (options != NULL && !(options->timeout_s >= 0 && options->timeout_s < 1e9))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "a watchdog's limit of %g s: give 0 or more", options->timeout_s);
done:
	return status;
}

ftmpi_status ftmpi_watchdog_create(ftmpi_comm *comm, const ftmpi_watchdog_options *options, ftmpi_watchdog **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_watchdog *w = NULL;
	const int64_t n_bytes = (int64_t)(sizeof *w->board + (size_t)comm->node_size * sizeof(struct ftmpi__life));

	FTMPI_TRY(ftmpi_agree(comm, check_options(options)));
	FTMPI_TRY(ftmpi_agree(comm, FTMPI_ALLOC(1, &w)));
	w->comm = comm;
	FTMPI_TRY(ftmpi_shared_create(comm, n_bytes, &w->shared));
	w->board = ftmpi_shared_data(w->shared);
	w->watch.life = &w->board->lives[comm->node_rank];
	if (comm->node_rank == 0)
		atomic_store(&w->board->claimed, 0);
	ftmpi__life_begin(w->watch.life, comm->rank);
	FTMPI_TRY(ftmpi_shared_sync(w->shared));
	FTMPI_TRY(ftmpi_agree(comm, start(w, options == NULL ? 0 : options->timeout_s)));
	comm->watch = &w->watch;
	*out = w;
	w = NULL;
done:
	ftmpi_watchdog_destroy(&w);
	return status;
}

void ftmpi_watchdog_destroy(ftmpi_watchdog **watchdog)
{
	ftmpi_watchdog *w = *watchdog;

	if (w == NULL)
		return;
	if (w->comm->watch == &w->watch) {
		(void)ftmpi_watch_begin(w->comm, FTMPI_PHASE_END, NULL);
		(void)!ftmpi_comm_barrier(w->comm);
	}
	w->comm->watch = NULL;
	ftmpi__thread_clear(&w->thread);
	ftmpi__watcher_clear(&w->watcher);
	ftmpi_shared_destroy(&w->shared);
	ftmpi_free(w);
	*watchdog = NULL;
}
