/* SPDX-License-Identifier: Apache-2.0 */
/* Chaos: injects the faults of the plan while a training runs.
 *
 * Where the training is, its own lines say: it runs with a log line for each step, which is not passed on. A rank that is stopped stops them all, so when no
 * line comes for too long the attempt hangs and is killed.
 *
 * No fault is injected that would exhaust --max-restarts: after so many restarts in a row without a new checkpoint the plan waits for one, so a chaos
 * run always ends. What ends an attempt without a fault counts as it does without chaos. */
#include "app/launch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a start takes where none was measured yet. */
#define FIRST_START_S 0.5

/* A start may take so many times as long as a step before it counts as a hang. */
#define STALL_AT_START 10.0

/* How often to look for a new checkpoint. */
#define LOOK_S 0.2

#define DISK_FAULT "save.write:error=ENOSPC,rank=0"
#define DISK_FIRED "ftmpi: failpoint save.write fired"

/* Whether the attempt may be made to die: there would be another one. */
static bool may_die(const struct launch *l, const struct launch_attempt *a)
{
	return a->saved > l->highest || l->streak < l->options->max_restarts;
}

/* Another number of ranks than that of the attempt before. */
static int other_np(const struct launch *l)
{
	const int n_before = launch__n_attempts(l) - 1;
	const int64_t least = l->options->min_np, n_choices = l->np - least; /* without the one before */
	int64_t np;

	if (n_before == 0 || n_choices < 1)
		return l->np;
	np = least + launch__draw_below(l->chaos->plan, n_before, LAUNCH_DRAW_NP, n_choices);
	return (int)(np + (np >= launch__attempt(l, n_before - 1)->np));
}

static void draw_next(struct launch_chaos *c)
{
	c->next = launch__draw_kind(c->plan, c->index);
	c->drawn_s = launch__now_s();
}

/* A fault was injected. */
static void note(struct launch_chaos *c, struct launch_attempt *a, enum launch_fault fault)
{
	c->counts[fault]++;
	c->index++;
	c->next = LAUNCH_NO_FAULT;
	a->fault = fault;
	a->fault_s = launch__now_s();
}

void launch__chaos_begin(struct launch *l, struct launch_attempt *a, const char **fault)
{
	struct launch_chaos *c = l->chaos;

	if (c->plan->other_np)
		a->np = other_np(l);
	c->in_recovery = c->recovery_next && may_die(l, a);
	c->recovery_next = false;
	if (c->next == LAUNCH_NO_FAULT && !c->in_recovery)
		draw_next(c);
	c->disk_armed = c->next == LAUNCH_FAULT_DISK && may_die(l, a);
	*fault = c->disk_armed ? DISK_FAULT : NULL;
}

/* The number after `key`; -1: there is none. */
static int64_t number_after(const char *line, const char *key)
{
	const char *at = strstr(line, key);
	char *end;
	long long value;

	if (at == NULL)
		return -1;
	value = strtoll(at + strlen(key), &end, 10);
	return end == at + strlen(key) ? -1 : value;
}

/* The step's line names it by its number, from 0. */
static void hear_step(struct launch_chaos *c, struct launch_attempt *a, int64_t step)
{
	a->last_step_s = a->last_line_s;
	if (a->first_step_s <= 0) {
		a->first_step_s = a->last_step_s;
		c->start_s = a->first_step_s - a->began_s;
	}
	a->resumed = a->resumed < 0 ? step : a->resumed;
	a->reached = step + 1;
}

bool launch__chaos_hear(struct launch *l, struct launch_attempt *a, const char *line, bool is_error)
{
	struct launch_chaos *c = l->chaos;
	int64_t number;

	a->last_line_s = launch__now_s();
	if (is_error && c->disk_armed && strncmp(line, DISK_FIRED, strlen(DISK_FIRED)) == 0) {
		c->disk_armed = false;
		note(c, a, LAUNCH_FAULT_DISK);
		draw_next(c); /* the training may go on without that save */
	}
	if (is_error)
		return true;
	if (strncmp(line, "resuming from ", 14) == 0 && (number = number_after(line, ": step ")) >= 0)
		a->resumed = a->reached = number;
	if (strncmp(line, "loss = ", 7) == 0 && (number = number_after(line, ", step = ")) >= 0) {
		hear_step(c, a, number);
		return false;
	}
	return strncmp(line, "global_step/sec: ", 17) != 0;
}

static void announce(const struct launch *l, const struct launch_attempt *a, const char *what, pid_t pid)
{
	char where[64] = "before its first step";

	if (a->reached >= 0)
		(void)snprintf(where, sizeof where, "after step %lld", (long long)a->reached);
	ftmpi_log(FTMPI_LOG_INFO, "chaos: fault %lld: %s (process %ld) in attempt %d on %d ranks, %s",
		  (long long)l->chaos->index, what, (long)pid, launch__n_attempts(l), a->np, where);
}

static void hit_mpirun(const struct launch *l, const struct launch_attempt *a)
{
	announce(l, a, "SIGKILL to mpirun", l->pid);
	(void)kill(l->pid, SIGKILL);
}

static void hit_rank(const struct launch *l, const struct launch_attempt *a, const struct launch_rank *rank, int number)
{
	char what[64];

	(void)snprintf(what, sizeof what, "SIG%s to rank %d", sigabbrev_np(number), rank->rank);
	announce(l, a, what, rank->pid);
	(void)kill(rank->pid, number);
}

/* Whom a fault hits: mpirun where there is no rank yet, or none on this host. */
static void hit(const struct launch *l, const struct launch_attempt *a, enum launch_fault fault,
		const struct launch_rank *ranks, int64_t n)
{
	const struct launch_plan *plan = l->chaos->plan;
	const int64_t index = l->chaos->index;
	const int64_t first = launch__draw_below(plan, index, LAUNCH_DRAW_VICTIM, n);
	const int number = fault == LAUNCH_FAULT_STOP ? SIGSTOP : fault == LAUNCH_FAULT_SEGV ? SIGSEGV : SIGKILL;

	if (n == 0 || fault == LAUNCH_FAULT_MPIRUN) {
		hit_mpirun(l, a);
		return;
	}
	hit_rank(l, a, &ranks[first], number);
	if (fault == LAUNCH_FAULT_DOUBLE && n > 1)
		hit_rank(l, a, &ranks[(first + 1 + launch__draw_below(plan, index, LAUNCH_DRAW_SECOND, n - 1)) % n],
			 number);
}

static ftmpi_status inject(struct launch *l, struct launch_attempt *a, enum launch_fault fault)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer ranks = {0};

	FTMPI_TRY(launch__find_ranks(l->pid, &ranks));
	hit(l, a, fault, (const struct launch_rank *)(const void *)ranks.data,
	    (int64_t)(ranks.n_bytes / sizeof(struct launch_rank)));
	note(l->chaos, a, fault);
done:
	ftmpi_buffer_clear(&ranks);
	return status;
}

/* While the plan waits for a new checkpoint, look for one now and then. @param until_s lowered to when to look again. */
static ftmpi_status look_for_checkpoint(const struct launch *l, struct launch_attempt *a, double *until_s)
{
	ftmpi_status status = FTMPI_OK;
	const double now_s = launch__now_s();

	if (may_die(l, a))
		goto done;
	if (now_s - a->looked_s >= LOOK_S) {
		FTMPI_TRY(launch__newest(l->model_dir, &a->saved));
		a->looked_s = now_s;
	}
	*until_s = fmin(*until_s, a->looked_s + LOOK_S);
done:
	return status;
}

/* When the next fault is due; INFINITY: not before something happens. */
static double due_s(const struct launch *l, const struct launch_attempt *a)
{
	const struct launch_chaos *c = l->chaos;

	if (!may_die(l, a))
		return INFINITY;
	if (c->in_recovery)
		return a->began_s + launch__draw(c->plan, c->index, LAUNCH_DRAW_MOMENT) *
					    (c->start_s > 0 ? c->start_s : FIRST_START_S);
	if (c->next == LAUNCH_NO_FAULT || c->next == LAUNCH_FAULT_DISK || a->first_step_s <= 0)
		return INFINITY;
	return fmax(a->first_step_s, c->drawn_s) -
	       c->plan->mtbf_s * log1p(-launch__draw(c->plan, c->index, LAUNCH_DRAW_TIME)); /* exponential */
}

/* The kill during a recovery is two: this one, and one of the next attempt while it starts, which is the one that counts. */
static ftmpi_status inject_due(struct launch *l, struct launch_attempt *a)
{
	ftmpi_status status = FTMPI_OK;
	struct launch_chaos *c = l->chaos;
	enum launch_fault kind = c->in_recovery ? LAUNCH_FAULT_RECOVERY : c->next;

	if (!c->in_recovery && kind == LAUNCH_FAULT_RECOVERY) {
		c->recovery_next = true;
		kind = LAUNCH_FAULT_KILL;
	}
	c->in_recovery = false;
	FTMPI_TRY(inject(l, a, kind));
done:
	return status;
}

ftmpi_status launch__chaos_tick(struct launch *l, struct launch_attempt *a, double *until_s)
{
	ftmpi_status status = FTMPI_OK;
	const double limit_s = l->chaos->plan->stall_s * (a->first_step_s > 0 ? 1 : STALL_AT_START);
	const double now_s = launch__now_s(), hangs_s = a->last_line_s + limit_s;

	if (l->stop_signal != 0 || a->stalled)
		goto done;
	if (now_s >= hangs_s) {
		a->stalled = true;
		ftmpi_log(FTMPI_LOG_INFO, "chaos: nothing from the training for %g s: it hangs, and is killed",
			  limit_s);
		(void)kill(l->pid, SIGKILL);
		goto done;
	}
	FTMPI_TRY(look_for_checkpoint(l, a, until_s));
	if (now_s >= due_s(l, a))
		FTMPI_TRY(inject_due(l, a));
	*until_s = fmin(*until_s, fmin(hangs_s, fmax(due_s(l, a), now_s)));
done:
	return status;
}
