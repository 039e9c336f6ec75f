/* SPDX-License-Identifier: Apache-2.0 */
/* The board: what each rank of a node does, in memory that they share; and the watcher that looks at it. No MPI. */
#ifndef FTMPI_DIST_WATCH_H
#define FTMPI_DIST_WATCH_H

#include <ftmpi/watchdog.h>

#include <stdatomic.h>

enum { FTMPI__NAME_WORDS = 3, FTMPI__NAME_BYTES = 8 * FTMPI__NAME_WORDS };

/** A thread, as the kernel sees it. */
struct ftmpi__process {
	char state;    /* as in /proc/PID/stat; 0: there is no such thread */
	uint64_t cpu;  /* clock ticks of processor time */
	uint64_t born; /* when it began, in clock ticks: tells it from a later one of the same number */
};

struct ftmpi__process ftmpi__process_read(int pid, int tid);

/** A rank's record. Its main thread alone writes it, every watcher of the node reads it. */
struct ftmpi__life {
	_Alignas(FTMPI_ALIGNMENT) _Atomic uint64_t beat; /* another one with each sign of life */
	_Atomic int64_t step;                            /* −1: none yet */
	_Atomic uint32_t phase;
	_Atomic uint32_t waiting; /* 1: inside a collective call */
	_Atomic uint64_t name[FTMPI__NAME_WORDS];
	/* set once, before anybody looks */
	int32_t rank, pid, tid;
	uint64_t born;
};

struct ftmpi__board {
	_Atomic uint32_t claimed; /* 1: a watchdog has found a hang, and speaks */
	struct ftmpi__life lives[];
};

/** This process's end of the board. */
struct ftmpi__watch {
	struct ftmpi__life *life;
	ftmpi_mark now;
};

/** Begin a record for the calling thread. */
void ftmpi__life_begin(struct ftmpi__life *life, int rank);

static inline void ftmpi__beat(struct ftmpi__life *life)
{
	const uint64_t beat = atomic_load_explicit(&life->beat, memory_order_relaxed);

	atomic_store_explicit(&life->beat, beat + 1, memory_order_release);
}

/** Before and after a call that may wait for other ranks. @param watch NULL: nobody watches. */
static inline void ftmpi__wait(struct ftmpi__watch *watch, bool begins)
{
	if (watch == NULL)
		return;
	atomic_store_explicit(&watch->life->waiting, begins, memory_order_relaxed);
	ftmpi__beat(watch->life);
}

/** What a watcher has seen of a rank. */
struct ftmpi__sight {
	/* as the board had it */
	uint64_t beat;
	int64_t step;
	ftmpi_phase phase;
	bool waiting;
	char name[FTMPI__NAME_BYTES];
	/* as the kernel had it; asked only about quiet ranks */
	struct ftmpi__process process;
	bool hidden; /* in another name space of processes */
	/* in the watcher's own time */
	double quiet_s;   /* without a sign of life */
	double stopped_s; /* stopped or gone */
};

/** Its time is the sum of what passes between two looks, each at most twice what is planned: a watcher that was itself stopped for a while, with its
 * node perhaps, has not seen the others hang. */
struct ftmpi__watcher {
	const struct ftmpi__board *board;
	int n, n_ranks;   /* ranks of the node, of the job */
	double timeout_s; /* 0: from the steps */
	double period_s;  /* between two looks */
	double slowest_s; /* longest quiet time of a step that went on */
	struct ftmpi__sight *sights;
};

/** Errors: ERR_MEMORY. */
ftmpi_status ftmpi__watcher_init(struct ftmpi__watcher *watcher, const struct ftmpi__board *board, int n, int n_ranks,
				 double timeout_s) FTMPI_CHECK_RESULT;
void ftmpi__watcher_clear(struct ftmpi__watcher *watcher);

/** Look, so long after the last look. @return whether the ranks hang. */
bool ftmpi__watcher_look(struct ftmpi__watcher *watcher, double elapsed_s);

/** Whether a rank of the node is to blame, now that they hang. */
bool ftmpi__watcher_blames(const struct ftmpi__watcher *watcher, int i);

/** Why they hang, as one line without a newline. */
void ftmpi__watcher_describe(const struct ftmpi__watcher *watcher, const char *host, char *line, size_t line_bytes);

#endif
