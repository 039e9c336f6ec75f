/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A watchdog over ranks that stop: stopped by a signal, blocked in the kernel, in an endless loop.
 *
 * Each rank tells what it does and that it lives by stores into memory that the ranks of its node share. A thread of each rank looks at them about once a
 * second. Where a rank that the others wait for gives no sign of life for too long, it prints one line that says which, what it did last and in what
 * state its process is, and the ranks of the node end by SIGKILL: a launcher then ends the rest, and a relaunch goes on from the last checkpoint.
 *
 * A rank is late when it has given no sign of life for the limit of its phase; inside a collective call it waits, and is not late. The plain limit is the time
 * that was given, or else ten times the longest time between two signs of life of a step so far, at least 30 s. Phases that have no measure may take ten
 * times that (FTMPI_PHASE_LIST). Where the library itself reads or writes, processor time is a sign of life too. A process that is stopped or dead may be so
 * for the plain limit, whatever its phase. A rank sees its own node: when all ranks there wait and none is stopped, the culprit is on another node; after
 * 1.25 times the limit this node says so and ends the job too.
 */
#ifndef FTMPI_WATCHDOG_H
#define FTMPI_WATCHDOG_H

#include <ftmpi/comm.h>

FTMPI_BEGIN_DECLS

/** The one list of phases: identifier, text after "in", times the limit where a time was given, and where not; whether processor time is a sign of life. */
#define FTMPI_PHASE_LIST(X)                                                                                            \
	X(START, "the start", 10, 10, true)                                                                            \
	X(DATA, "reading the data", 10, 10, true)                                                                      \
	X(RESTORE, "a restore", 10, 10, true)                                                                          \
	X(FIRST_STEP, "the first step", 10, 10, false)                                                                 \
	X(STEP, "a step", 1, 1, false)                                                                                 \
	X(CALLBACK, "a callback", 1, 10, false)                                                                        \
	X(PROGRAM, "the program's own code", 1, 10, false)                                                             \
	X(SAVE, "a save", 10, 10, true)                                                                                \
	X(EVALUATE, "an evaluation", 10, 10, false)                                                                    \
	X(IDLE, "idleness", 10, 10, false)                                                                             \
	X(END, "the end", 10, 10, true)

typedef enum ftmpi_phase {
#define FTMPI_PHASE_ENUM(id, text, given, measured, cpu) FTMPI_PHASE_##id,
	FTMPI_PHASE_LIST(FTMPI_PHASE_ENUM)
#undef FTMPI_PHASE_ENUM
		FTMPI_N_PHASES
} ftmpi_phase;

typedef struct ftmpi_watchdog_options {
	double timeout_s; /**< limit in seconds; 0: from the measured steps */
} ftmpi_watchdog_options;

typedef struct ftmpi_watchdog ftmpi_watchdog;

/**
 * Watch over the ranks of a communicator, from now on; communicators that are made of it later are part of that. Collective; one watchdog a process.
 * @param comm must outlive the watchdog. @param options NULL: the defaults. Errors (agreed): ERR_USAGE, ERR_MEMORY, ERR_NO_SPACE, ERR_MPI, ERR_INTERNAL
 * (no thread).
 * Cost: some stores a step; a thread that wakes up once a second.
 */
FTMPI_API ftmpi_status ftmpi_watchdog_create(ftmpi_comm *comm, const ftmpi_watchdog_options *options,
					     ftmpi_watchdog **out) FTMPI_CHECK_RESULT;
/** Waits for all ranks, still watching, then stops. Collective. NULLs the pointer; NULL is fine. */
FTMPI_API void ftmpi_watchdog_destroy(ftmpi_watchdog **watchdog);

/* What this rank does. Local; next to nothing without a watchdog. */

/** What a rank was doing: to go back to. */
typedef struct ftmpi_mark {
	ftmpi_phase phase;
	const char *name;
} ftmpi_mark;

/** A phase begins. @param name for the line, at most 23 bytes are used; must outlive the phase; NULL: none. @return what was before. */
FTMPI_API ftmpi_mark ftmpi_watch_begin(const ftmpi_comm *comm, ftmpi_phase phase, const char *name);
/** It ends. @param before what its begin returned. */
FTMPI_API void ftmpi_watch_end(const ftmpi_comm *comm, ftmpi_mark before);
/** The step that is going on, for the line. */
FTMPI_API void ftmpi_watch_step(const ftmpi_comm *comm, int64_t step);
/** A sign of life: for callbacks and gradient functions that work for longer than the limit. */
FTMPI_API void ftmpi_watch_alive(const ftmpi_comm *comm);

FTMPI_END_DECLS

#endif
