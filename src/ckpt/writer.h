/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that runs one job after the other, beside the thread that owns it. */
#ifndef FTMPI_CKPT_WRITER_H
#define FTMPI_CKPT_WRITER_H

#include <ftmpi/status.h>
#include <stdbool.h>

typedef struct ftmpi__writer ftmpi__writer;
typedef ftmpi_status ftmpi__job(void *context);

/** Where the system gives no thread, jobs run in ftmpi__writer_start. Errors: ERR_MEMORY, ERR_INTERNAL. */
ftmpi_status ftmpi__writer_create(ftmpi__writer **out) FTMPI_CHECK_RESULT;
/** Waits for a job that runs. NULLs the pointer; NULL is fine. */
void ftmpi__writer_destroy(ftmpi__writer **writer);

/** Run a job. The last one must have ended. @param context what both threads use of it is the job's until that has ended. */
void ftmpi__writer_start(ftmpi__writer *writer, ftmpi__job *job, void *context);

/** Wait for the end of the job, at most so many seconds; 0: only look; negative: for ever. @return whether it has ended, or there is none. */
bool ftmpi__writer_wait(ftmpi__writer *writer, double most_s);

/** How the last job ended; its message becomes the calling thread's. It must have ended. */
ftmpi_status ftmpi__writer_result(const ftmpi__writer *writer) FTMPI_CHECK_RESULT;

/** The message of the last job, "" if it went well; it must have ended. */
const char *ftmpi__writer_message(const ftmpi__writer *writer);

/** Processor time of the thread so far, in seconds: it goes on while the job does. */
double ftmpi__writer_cpu_s(const ftmpi__writer *writer);

#endif
