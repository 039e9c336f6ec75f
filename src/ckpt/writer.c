/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's thread.
 *
 * It blocks all signals, which are for the main thread, and makes no MPI calls. One mutex guards what both threads see; a job's own data change hands with it.
 * The error record is a thread's own, so the message of a job that failed is carried over by hand. */
#include "ckpt/writer.h"

#include <ftmpi/memory.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

enum { MESSAGE_BYTES = 2048 };

struct ftmpi__writer {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool has_mutex, has_changed, has_thread;
	/* under the mutex */
	bool stopping;
	ftmpi__job *job; /* NULL: none runs */
	void *context;
	ftmpi_status status; /* of the last job */
	char message[MESSAGE_BYTES];
};

/* Run the job; the mutex is held before and after. */
static void run(ftmpi__writer *w)
{
	ftmpi__job *job = w->job;
	void *context = w->context;
	ftmpi_status status;

	(void)pthread_mutex_unlock(&w->mutex);
	status = job(context);
	(void)pthread_mutex_lock(&w->mutex);
	w->status = status;
	(void)snprintf(w->message, sizeof w->message, "%s", status == FTMPI_OK ? "" : ftmpi_error_message());
	w->job = NULL;
	(void)pthread_cond_broadcast(&w->changed);
}

static void *work(void *context)
{
	ftmpi__writer *w = context;

	(void)pthread_mutex_lock(&w->mutex);
	for (;;) {
		while (w->job == NULL && !w->stopping)
			(void)pthread_cond_wait(&w->changed, &w->mutex);
		if (w->job == NULL)
			break;
		run(w);
	}
	(void)pthread_mutex_unlock(&w->mutex);
	return NULL;
}

static ftmpi_status begin(ftmpi__writer *w)
{
	ftmpi_status status = FTMPI_OK;
	pthread_condattr_t attributes;
	sigset_t all, before;

	w->has_mutex = pthread_mutex_init(&w->mutex, NULL) == 0;
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	w->has_changed = pthread_cond_init(&w->changed, &attributes) == 0;
	(void)pthread_condattr_destroy(&attributes);
	if (!w->has_mutex || !w->has_changed)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "no mutex for the writer of checkpoints");
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	w->has_thread = pthread_create(&w->thread, NULL, work, w) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
done:
	return status;
}

ftmpi_status ftmpi__writer_create(ftmpi__writer **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__writer *w = NULL;

	FTMPI_TRY(FTMPI_ALLOC(1, &w));
	FTMPI_TRY(begin(w));
	*out = w;
	w = NULL;
done:
	ftmpi__writer_destroy(&w);
	return status;
}

void ftmpi__writer_destroy(ftmpi__writer **writer)
{
	ftmpi__writer *w = *writer;

	if (w == NULL)
		return;
	if (w->has_thread) {
		(void)pthread_mutex_lock(&w->mutex);
		w->stopping = true;
		(void)pthread_cond_broadcast(&w->changed);
		(void)pthread_mutex_unlock(&w->mutex);
		(void)pthread_join(w->thread, NULL);
	}
	if (w->has_changed)
		(void)pthread_cond_destroy(&w->changed);
	if (w->has_mutex)
		(void)pthread_mutex_destroy(&w->mutex);
	ftmpi_free(w);
	*writer = NULL;
}

void ftmpi__writer_start(ftmpi__writer *w, ftmpi__job *job, void *context)
{
	(void)pthread_mutex_lock(&w->mutex);
	w->job = job;
	w->context = context;
	if (w->has_thread)
		(void)pthread_cond_broadcast(&w->changed);
	else
		run(w);
	(void)pthread_mutex_unlock(&w->mutex);
}

static struct timespec later(double s)
{
	struct timespec t;
	double sum;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	sum = (double)t.tv_nsec * 1e-9 + s;
	t.tv_sec += (time_t)sum;
	t.tv_nsec = (long)((sum - (double)(time_t)sum) * 1e9);
	return t;
}

bool ftmpi__writer_wait(ftmpi__writer *w, double most_s)
{
	struct timespec until = {0};
	bool ended;
	int code = 0;

	if (most_s > 0)
		until = later(most_s);
	(void)pthread_mutex_lock(&w->mutex);
	while (w->job != NULL && most_s != 0 && code != ETIMEDOUT)
		code = most_s < 0 ? pthread_cond_wait(&w->changed, &w->mutex)
				  : pthread_cond_timedwait(&w->changed, &w->mutex, &until);
	ended = w->job == NULL;
	(void)pthread_mutex_unlock(&w->mutex);
	return ended;
}

ftmpi_status ftmpi__writer_result(const ftmpi__writer *w)
{
	return w->status == FTMPI_OK ? FTMPI_OK : ftmpi_error_set(w->status, __FILE__, __LINE__, "%s", w->message);
}

const char *ftmpi__writer_message(const ftmpi__writer *w)
{
	return w->message;
}

double ftmpi__writer_cpu_s(const ftmpi__writer *w)
{
	struct timespec t = {0};
	clockid_t clock;

	if (w->has_thread && pthread_getcpuclockid(w->thread, &clock) == 0)
		(void)clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
