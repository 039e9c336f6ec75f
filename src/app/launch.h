/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of `ftmpi launch`: what its parts share. No MPI: the launcher starts mpirun and is no rank of anything. */
#ifndef FTMPI_APP_LAUNCH_H
#define FTMPI_APP_LAUNCH_H

#include "app/app.h"

#include <signal.h>
#include <sys/types.h>

/** Kinds of faults: identifier, name, what is done. */
#define LAUNCH_FAULT_LIST(X)                                                                                           \
	X(KILL, "kill", "SIGKILL to a rank")                                                                           \
	X(STOP, "stop", "SIGSTOP to a rank")                                                                           \
	X(SEGV, "segv", "SIGSEGV to a rank")                                                                           \
	X(DOUBLE, "double", "SIGKILL to two ranks at once")                                                            \
	X(MPIRUN, "mpirun", "SIGKILL to mpirun")                                                                       \
	X(RECOVERY, "recovery", "SIGKILL to a rank, and to one more while the next attempt starts")                    \
	X(DISK, "disk", "the next save finds the disk full")

enum launch_fault {
#define LAUNCH_FAULT_ENUM(id, name, what) LAUNCH_FAULT_##id,
	LAUNCH_FAULT_LIST(LAUNCH_FAULT_ENUM)
#undef LAUNCH_FAULT_ENUM
		LAUNCH_N_FAULTS,
	LAUNCH_NO_FAULT = LAUNCH_N_FAULTS
};

/** `--chaos`, read. */
struct launch_plan {
	uint64_t seed;
	double mtbf_s;  /* mean training time between two faults */
	double stall_s; /* without a line of the training for so long it hangs */
	char modes[128], reference[APP_TEXT_BYTES];
	bool kinds[LAUNCH_N_FAULTS];
	bool other_np; /* another number of ranks each time */
};

struct launch_options {
	int64_t np, min_np; /* ranks at first, and at least */
	int64_t n_per_node; /* ranks that go when a node goes */
	int64_t max_restarts;
	double backoff_s;
	char nnodes[64], mpirun[APP_TEXT_BYTES], mpirun_args[APP_TEXT_BYTES], chaos[APP_TEXT_BYTES];
	struct launch_plan plan; /* if chaos is not "" */
	char **train;            /* arguments of the training */
	int n_train;
	struct app_options training; /* … read */
};

/** How an attempt ended, for what follows from it. */
enum launch_end {
	LAUNCH_DONE,
	LAUNCH_FAILED,   /* an error that would only come again */
	LAUNCH_REFUSED,  /* by mpirun: no rank ever ran */
	LAUNCH_STOPPED,  /* by a signal that was passed on */
	LAUNCH_SAVED,    /* stopped after saving */
	LAUNCH_DIED,     /* killed, or an error that may have been the death of something else */
	LAUNCH_NO_SLOTS, /* mpirun has not enough slots for as many ranks */
};

/** One run of mpirun. Times are seconds of the monotonic clock; 0: not yet. */
struct launch_attempt {
	int np;
	int64_t from, to; /* step of the newest checkpoint before and after; -1: none */
	double began_s, ended_s;
	int code;    /* exit code, as a shell has it */
	bool killed; /* mpirun itself ended by a signal */
	enum launch_end end;
	bool ranks_seen, no_slots, node_lost;
	double ending_s,
		patience_s; /* when a rank or mpirun said that the job ends, and how long mpirun may take from then; 0: nobody did */
	/* In chaos, as the training's own lines say. */
	int64_t resumed, reached; /* step it went on from, steps done when it last said so; -1: never said */
	int64_t saved;            /* step of the newest checkpoint, when it was looked for; -1: none, or not looked */
	double looked_s;
	double first_step_s, last_step_s, last_line_s;
	enum launch_fault fault; /* the last one */
	double fault_s;
	bool stalled; /* ended because it hung */
};

/** Output of mpirun that passes through the launcher. */
struct launch_stream {
	int fd; /* -1: none */
	bool is_error;
	ftmpi_buffer line; /* not yet complete */
};

/** Where the plan of faults is. */
struct launch_chaos {
	const struct launch_plan *plan;
	int64_t index;          /* of the fault that comes next */
	enum launch_fault next; /* its kind; LAUNCH_NO_FAULT: nothing more in this attempt */
	double drawn_s;         /* when it was drawn: it comes after that */
	bool disk_armed;
	bool in_recovery, recovery_next; /* this attempt, the next one is to be hit while it starts */
	double start_s;                  /* what the last start took */
	int64_t counts[LAUNCH_N_FAULTS];
};

/** A training under supervision. */
struct launch {
	const struct launch_options *options;
	const char *model_dir;
	char program[FTMPI_PATH_MAX];
	int signals; /* signalfd */
	sigset_t old_mask;
	int stop_signal; /* the last one that was passed on; 0: none */
	int n_ends;      /* SIGTERM and SIGINT so far */
	pid_t pid;       /* mpirun; 0: not running */
	int wait_status;
	ftmpi_buffer others; /* pid_t: children from before this program, as of a shell that became it */
	struct launch_stream out, err;
	double deadline_s, began_s; /* seconds since 1970: when time ends, 0: never; when the launch began */
	struct launch_chaos *chaos; /* NULL: no faults */
	ftmpi_buffer attempts;      /* struct launch_attempt; the last one is running */
	int np;                     /* of the next attempt */
	bool ever_ran;              /* a rank was seen, in any attempt */
	/* restarts */
	int64_t highest;               /* largest step of a checkpoint so far; -1: none */
	int64_t streak;                /* restarts without progress in a row */
	int64_t n_progress, n_without; /* restarts with and without */
	int n_deaths_here;             /* deaths in a row at the newest checkpoint */
	bool went_back;                /* … which was set aside, or could not be */
	int64_t aside;                 /* its number; -1: none */
	const char *gave_up;           /* why; NULL: it did not */
};

struct launch_rank {
	pid_t pid;
	int rank;
};

/* launch_options.c */

/** Read the command line. Errors: ERR_USAGE, and those of app_options_parse. */
ftmpi_status launch__parse(struct launch_options *options, int argc, char **argv) FTMPI_CHECK_RESULT;
void launch__print_help(void);

/* launch_process.c */

/** Take the signals, and the orphans of what will be started. Errors: ERR_IO, ERR_INTERNAL. */
ftmpi_status launch__open(struct launch *l) FTMPI_CHECK_RESULT;
void launch__close(struct launch *l);
/** Start a command; its error output is read, its output only in chaos. @param fault value of FTMPI_FAULT; NULL: as it is. Errors: ERR_NOT_FOUND, ERR_IO. */
ftmpi_status launch__start(struct launch *l, char *const *argv, const char *fault) FTMPI_CHECK_RESULT;
/** Wait for the next event, at most until a time, and deal with it. Errors: ERR_IO, ERR_MEMORY. */
ftmpi_status launch__wait(struct launch *l, double until_s) FTMPI_CHECK_RESULT;
/** Kill what is left of an attempt, and read the last of its output. Errors: ERR_IO, ERR_MEMORY. */
ftmpi_status launch__clean_up(struct launch *l) FTMPI_CHECK_RESULT;
double launch__now_s(void);

/* launch_ranks.c */

/** The ranks on this host: descendants of a process that run this program. @param ranks struct launch_rank, by rank. Errors: ERR_IO, ERR_MEMORY. */
ftmpi_status launch__find_ranks(pid_t ancestor, ftmpi_buffer *ranks) FTMPI_CHECK_RESULT;
/** The children of this process, but for those only to be waited for. @param children pid_t. Errors: ERR_IO, ERR_MEMORY. */
ftmpi_status launch__find_children(ftmpi_buffer *children) FTMPI_CHECK_RESULT;

/* launch_policy.c */

/** What the end of the last attempt means, and whether there is another one. Sets its `to` and `end`. @param delay_s set to the back-off.
 * Errors: those of the store. */
ftmpi_status launch__decide(struct launch *l, bool *again, double *delay_s) FTMPI_CHECK_RESULT;
/** Step of the newest checkpoint in a folder; -1: none. Errors: those of the store. */
ftmpi_status launch__newest(const char *directory, int64_t *step) FTMPI_CHECK_RESULT;
/** A line of mpirun's error output. */
void launch__hear(struct launch_attempt *a, const char *line);
/** Exit code of the launcher after the last attempt. */
int launch__exit_code(const struct launch *l);

/* launch_plan.c */

/** Read --chaos. Errors: ERR_USAGE. */
ftmpi_status launch__parse_plan(const char *text, struct launch_plan *plan) FTMPI_CHECK_RESULT;
void launch__print_plan_help(void);
const char *launch__fault_name(enum launch_fault fault);

/** What a number of the plan is drawn for. */
enum launch_draw {
	LAUNCH_DRAW_KIND,
	LAUNCH_DRAW_TIME,
	LAUNCH_DRAW_MOMENT,
	LAUNCH_DRAW_VICTIM,
	LAUNCH_DRAW_SECOND,
	LAUNCH_DRAW_NP
};

/** A uniform number in [0, 1), a pure function of (seed, index, what); the same as a whole number in [0, n). */
double launch__draw(const struct launch_plan *plan, int64_t index, enum launch_draw what);
int64_t launch__draw_below(const struct launch_plan *plan, int64_t index, enum launch_draw what, int64_t n);
/** One of the plan's kinds. */
enum launch_fault launch__draw_kind(const struct launch_plan *plan, int64_t index);

/* launch_chaos.c */

/** Before an attempt: its number of ranks. @param fault set to the value of FTMPI_FAULT, or NULL. */
void launch__chaos_begin(struct launch *l, struct launch_attempt *a, const char **fault);
/** Injects what is due. @param until_s lowered to when to ask again. Errors: ERR_IO, ERR_MEMORY. */
ftmpi_status launch__chaos_tick(struct launch *l, struct launch_attempt *a, double *until_s) FTMPI_CHECK_RESULT;
/** A line of the training. Returns whether it is passed on. */
bool launch__chaos_hear(struct launch *l, struct launch_attempt *a, const char *line, bool is_error);

/* launch_report.c */

/** "killed by signal 9 (Killed)". */
void launch__describe_end(const struct launch_attempt *a, char *text, size_t n_bytes);
/** What happened at each attempt. */
void launch__print_summary(const struct launch *l);
/** What chaos did and what it cost, and whether the end is that of the uninterrupted run. Errors: those of the store; ERR_DATA: it is another. */
ftmpi_status launch__report_chaos(const struct launch *l) FTMPI_CHECK_RESULT;

/** The attempts so far. */
int launch__n_attempts(const struct launch *l);
struct launch_attempt *launch__attempt(const struct launch *l, int i);

#endif
