/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: what every one of ftmpi's needs to begin and to end. */
#include "base/thread.h"

#include <signal.h>

ftmpi_status ftmpi__thread_init(struct ftmpi__thread *t)
{
	ftmpi_status status = FTMPI_OK;
	pthread_condattr_t attributes;

	t->has_mutex = pthread_mutex_init(&t->mutex, NULL) == 0;
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	t->has_changed = pthread_cond_init(&t->changed, &attributes) == 0;
	(void)pthread_condattr_destroy(&attributes);
	if (!t->has_mutex || !t->has_changed)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "the system gives no mutex for a thread");
done:
	return status;
}

int ftmpi__thread_start(struct ftmpi__thread *t, void *(*run)(void *context), void *context)
{
	sigset_t all, before;
	int code;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	code = pthread_create(&t->id, NULL, run, context);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	t->runs = code == 0;
	return code;
}

void ftmpi__thread_clear(struct ftmpi__thread *t)
{
	if (t->runs) {
		(void)pthread_mutex_lock(&t->mutex);
		t->stopping = true;
		(void)pthread_cond_broadcast(&t->changed);
		(void)pthread_mutex_unlock(&t->mutex);
		(void)pthread_join(t->id, NULL);
	}
	if (t->has_changed)
		(void)pthread_cond_destroy(&t->changed);
	if (t->has_mutex)
		(void)pthread_mutex_destroy(&t->mutex);
	*t = (struct ftmpi__thread){.runs = false};
}
