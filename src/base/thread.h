/* SPDX-License-Identifier: Apache-2.0 */
/* A thread beside the main one, with a mutex and a condition for what both see. */
#ifndef FTMPI_BASE_THREAD_H
#define FTMPI_BASE_THREAD_H

#include <ftmpi/status.h>
#include <pthread.h>
#include <stdbool.h>

/** All zero is a valid one that was not begun. */
struct ftmpi__thread {
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* waits by the monotonic clock */
	pthread_t id;
	bool has_mutex, has_changed, runs;
	bool stopping; /* under the mutex: the thread is to come to its end */
};

/** Make mutex and condition. To be cleared in any case. Errors: ERR_INTERNAL. */
ftmpi_status ftmpi__thread_init(struct ftmpi__thread *thread) FTMPI_CHECK_RESULT;

/** Begin the thread, with all signals blocked: they are for the main thread. @return 0, or an errno when the system gives no thread. */
int ftmpi__thread_start(struct ftmpi__thread *thread, void *(*run)(void *context), void *context);

/** Set `stopping`, wait for the thread, and free everything. */
void ftmpi__thread_clear(struct ftmpi__thread *thread);

#endif
