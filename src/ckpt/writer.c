/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's thread.
 *
 * It makes no MPI calls. One mutex guards what both threads see; a job's own data change hands with it.
 * The error record is a thread's own, so the message of a job that failed is carried over by hand. */
#include "ckpt/writer.h"

#include "base/clock.h"
#include "base/thread.h"

#include <ftmpi/memory.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>

enum { MESSAGE_BYTES = 2048 };

struct ftmpi__writer {
	struct ftmpi__thread thread;
	/* under its mutex */
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

	(void)pthread_mutex_unlock(&w->thread.mutex);
	status = job(context);
	(void)pthread_mutex_lock(&w->thread.mutex);
	w->status = status;
	(void)snprintf(w->message, sizeof w->message, "%s", status == FTMPI_OK ? "" : ftmpi_error_message());
	w->job = NULL;
	(void)pthread_cond_broadcast(&w->thread.changed);
}

/* Where there is no core to spare, the training goes on when the writer wakes up, and gives way when its time slice ends. A hint: may do nothing. */
static void be_patient(void)
{
	struct sched_param parameters;
	int policy;

	if (pthread_getschedparam(pthread_self(), &policy, &parameters) == 0 && policy == SCHED_OTHER)
		(void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &parameters);
}

static void *work(void *context)
{
	ftmpi__writer *w = context;

	be_patient();
	(void)pthread_mutex_lock(&w->thread.mutex);
	for (;;) {
		while (w->job == NULL && !w->thread.stopping)
			(void)pthread_cond_wait(&w->thread.changed, &w->thread.mutex);
		if (w->job == NULL)
			break;
		run(w);
	}
	(void)pthread_mutex_unlock(&w->thread.mutex);
	return NULL;
}

ftmpi_status ftmpi__writer_create(ftmpi__writer **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__writer *w = NULL;

	FTMPI_TRY(FTMPI_ALLOC(1, &w));
	FTMPI_TRY(ftmpi__thread_init(&w->thread));
	(void)ftmpi__thread_start(&w->thread, work, w);
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
	ftmpi__thread_clear(&w->thread);
	ftmpi_free(w);
	*writer = NULL;
}

void ftmpi__writer_start(ftmpi__writer *w, ftmpi__job *job, void *context)
{
	(void)pthread_mutex_lock(&w->thread.mutex);
	w->job = job;
	w->context = context;
	if (w->thread.runs)
		(void)pthread_cond_broadcast(&w->thread.changed);
	else
		run(w);
	(void)pthread_mutex_unlock(&w->thread.mutex);
}

bool ftmpi__writer_wait(ftmpi__writer *w, double most_s)
{
	struct timespec until = {0};
	bool ended;
	int code = 0;

	if (most_s > 0)
		until = ftmpi__later(most_s);
	(void)pthread_mutex_lock(&w->thread.mutex);
	while (w->job != NULL && most_s != 0 && code != ETIMEDOUT)
		code = most_s < 0 ? pthread_cond_wait(&w->thread.changed, &w->thread.mutex)
				  : pthread_cond_timedwait(&w->thread.changed, &w->thread.mutex, &until);
	ended = w->job == NULL;
	(void)pthread_mutex_unlock(&w->thread.mutex);
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

	if (w->thread.runs && pthread_getcpuclockid(w->thread.id, &clock) == 0)
		(void)clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
