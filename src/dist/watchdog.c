/* SPDX-License-Identifier: Apache-2.0 */
/* The watchdog's thread: looks, and ends the job when the ranks hang.
 *
 * It makes no MPI calls (MPI_THREAD_FUNNELED) and takes no lock that the main thread may hold: no stdio, no memory. The first watchdog of a node that
 * finds a hang claims it on the board, prints the line, kills the ranks that are to blame and then its own process; a timer does that if the line does not
 * go out. The others give it a while, and go the same way. SIGKILL ends stopped processes too, and nothing in a process can hold it up; a launcher and a
 * scheduler take it for what it is, a death. */
#include "dist/comm_mpi.h"

#include <errno.h>
#include <pthread.h>
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

	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t stop;
	bool has_thread, has_mutex, has_stop, stopping;
};

static struct timespec now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t;
}

static double seconds_between(struct timespec from, struct timespec to)
{
	return (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
}

static struct timespec later(struct timespec t, double s)
{
	const double whole = (double)t.tv_nsec * 1e-9 + s;

	t.tv_sec += (time_t)whole;
	t.tv_nsec = (long)((whole - (double)(time_t)whole) * 1e9);
	return t;
}

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
	const struct timespec until = later(now(), w->watcher.period_s);
	bool over;

	(void)pthread_mutex_lock(&w->mutex);
	while (!w->stopping && pthread_cond_timedwait(&w->stop, &w->mutex, &until) != ETIMEDOUT)
		;
	over = w->stopping;
	(void)pthread_mutex_unlock(&w->mutex);
	return !over;
}

static void *look_on(void *context)
{
	ftmpi_watchdog *w = context;
	struct timespec last = now();

	while (sleep_on(w)) {
		const struct timespec this = now();
		const bool hang = ftmpi__watcher_look(&w->watcher, seconds_between(last, this));
		uint32_t unclaimed = 0;

		last = this;
		if (atomic_load(&w->board->claimed) != 0)
			end(w, false);
		if (hang)
			end(w, atomic_compare_exchange_strong(&w->board->claimed, &unclaimed, 1));
	}
	return NULL;
}

/* All signals are for the main thread. */
static ftmpi_status start_thread(ftmpi_watchdog *w)
{
	ftmpi_status status = FTMPI_OK;
	pthread_condattr_t attributes;
	sigset_t all, before;
	int code;

	w->has_mutex = pthread_mutex_init(&w->mutex, NULL) == 0;
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	w->has_stop = pthread_cond_init(&w->stop, &attributes) == 0;
	(void)pthread_condattr_destroy(&attributes);
	if (!w->has_mutex || !w->has_stop)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "no mutex for the watchdog");
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	code = pthread_create(&w->thread, NULL, look_on, w);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code != 0)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "no thread for the watchdog: %s", strerror(code));
	w->has_thread = true;
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

static void stop_thread(ftmpi_watchdog *w)
{
	(void)pthread_mutex_lock(&w->mutex);
	w->stopping = true;
	(void)pthread_cond_signal(&w->stop);
	(void)pthread_mutex_unlock(&w->mutex);
	(void)pthread_join(w->thread, NULL);
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
	if (w->has_thread)
		stop_thread(w);
	if (w->has_stop)
		(void)pthread_cond_destroy(&w->stop);
	if (w->has_mutex)
		(void)pthread_mutex_destroy(&w->mutex);
	ftmpi__watcher_clear(&w->watcher);
	ftmpi_shared_destroy(&w->shared);
	ftmpi_free(w);
	*watchdog = NULL;
}
