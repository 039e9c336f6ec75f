/* SPDX-License-Identifier: Apache-2.0 */
/* What is told at the end: each attempt, and in chaos what the faults were and what they cost.
 *
 *     detect     from the fault to the end of mpirun                 relaunch   from there to the start of the next mpirun
 *     restore    from there to the end of the first step: MPI's start, data, verifying and reading the checkpoint
 *     steps repeated: those done more than once
 *     effective training time ratio: time of steps whose results survived, over all time since the first start. The steps of an attempt are taken to be
 *     of equal length, saves among them. */
#include "app/launch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void launch__describe_end(const struct launch_attempt *a, char *text, size_t n_bytes)
{
	const int number = a->code - 128;

	if (a->stalled)
		(void)snprintf(text, n_bytes, "hung and was killed");
	else if (a->killed)
		(void)snprintf(text, n_bytes, "lost mpirun by signal %d (%s)", number, strsignal(number));
	else if (a->no_slots && a->code != 0)
		(void)snprintf(text, n_bytes, "found not enough slots (exit code %d)", a->code);
	else if (number > 0 && number <= SIGRTMAX)
		(void)snprintf(text, n_bytes, "died by signal %d (%s)", number, strsignal(number));
	else if (a->code == 0)
		(void)snprintf(text, n_bytes, "was done");
	else if (a->code == ftmpi_status_exit_code(FTMPI_STOPPED))
		(void)snprintf(text, n_bytes, "stopped after saving (exit code %d)", a->code);
	else
		(void)snprintf(text, n_bytes, "ended with exit code %d", a->code);
}

/* A step, or "-" where there is none. */
static const char *step_text(int64_t step, char text[24])
{
	(void)snprintf(text, 24, "%lld", (long long)step);
	return step < 0 ? "-" : text;
}

void launch__print_summary(const struct launch *l)
{
	char end[128], from[24], to[24];

	ftmpi_log(FTMPI_LOG_INFO, "%d attempts; restarts: %lld after a new checkpoint, %lld without",
		  launch__n_attempts(l), (long long)l->n_progress, (long long)l->n_without);
	ftmpi_log(FTMPI_LOG_INFO, "%8s %6s %10s %10s %9s  %s", "attempt", "ranks", "from step", "to step", "seconds",
		  "it");
	for (int i = 0; i < launch__n_attempts(l); i++) {
		const struct launch_attempt *a = launch__attempt(l, i);

		launch__describe_end(a, end, sizeof end);
		ftmpi_log(FTMPI_LOG_INFO, "%8d %6d %10s %10s %9.1f  %s", i + 1, a->np, step_text(a->from, from),
			  step_text(a->to, to), a->ended_s - a->began_s, end);
	}
}

/* Seconds of one kind. */
struct times {
	int n;
	double sum_s, most_s;
};

struct costs {
	struct times detect, relaunch, restore, detect_by_fault[LAUNCH_N_FAULTS + 1];
	int64_t n_done, n_repeated, last_step;
	int n_unexplained;
	double productive_s, total_s;
};

static void add_time(struct times *times, double s)
{
	times->n++;
	times->sum_s += s;
	times->most_s = fmax(times->most_s, s);
}

static double mean_of(const struct times *times)
{
	return times->n == 0 ? 0 : times->sum_s / times->n;
}

static void add_times(const struct launch *l, int i, struct costs *costs)
{
	const struct launch_attempt *a = launch__attempt(l, i);

	if (a->fault != LAUNCH_NO_FAULT && a->end != LAUNCH_DONE) {
		add_time(&costs->detect, a->ended_s - a->fault_s);
		add_time(&costs->detect_by_fault[a->fault], a->ended_s - a->fault_s);
	}
	if (i > 0)
		add_time(&costs->relaunch, a->began_s - launch__attempt(l, i - 1)->ended_s);
	if (i > 0 && a->first_step_s > 0)
		add_time(&costs->restore, a->first_step_s - a->began_s);
	if (a->fault == LAUNCH_NO_FAULT &&
	    (a->end == LAUNCH_DIED || a->end == LAUNCH_FAILED || a->end == LAUNCH_REFUSED))
		costs->n_unexplained++;
}

/* Backwards: what survives of an attempt is what the next one that got so far went on from. */
static void measure(const struct launch *l, struct costs *costs)
{
	const int n = launch__n_attempts(l);
	int64_t kept_to = -1, first_step = 0;

	*costs = (struct costs){.total_s = launch__attempt(l, n - 1)->ended_s - launch__attempt(l, 0)->began_s};
	for (int i = n - 1; i >= 0; i--) {
		const struct launch_attempt *a = launch__attempt(l, i);
		const int64_t n_steps = a->resumed < 0 ? 0 : a->reached - a->resumed;
		int64_t n_kept;

		add_times(l, i, costs);
		if (a->resumed < 0)
			continue;
		if (kept_to < 0)
			kept_to = costs->last_step = a->reached;
		n_kept = kept_to < a->resumed ? 0 : kept_to > a->reached ? n_steps : kept_to - a->resumed;
		costs->n_done += n_steps;
		if (n_steps > 0)
			costs->productive_s += (a->last_step_s - a->first_step_s) * (double)n_kept / (double)n_steps;
		kept_to = first_step = a->resumed;
	}
	costs->n_repeated = costs->n_done - (costs->last_step - first_step);
}

/* "kill 3, stop 1" */
static void list_faults(const struct launch_chaos *c, const char *form, const char *between, char *text, size_t n_bytes)
{
	size_t used = 0;

	text[0] = '\0';
	for (int i = 0; i < LAUNCH_N_FAULTS && used < n_bytes; i++) {
		if (c->counts[i] == 0)
			continue;
		used += (size_t)snprintf(text + used, n_bytes - used, "%s", used == 0 ? "" : between);
		used += (size_t)snprintf(text + used, n_bytes - used, form, launch__fault_name((enum launch_fault)i),
					 (long long)c->counts[i]);
	}
}

static void print_costs(const struct launch *l, const struct costs *costs)
{
	char text[256];

	list_faults(l->chaos, "%s %lld", ", ", text, sizeof text);
	ftmpi_log(FTMPI_LOG_INFO, "chaos: faults: %s; ends without a fault: %d", text[0] == '\0' ? "none" : text,
		  costs->n_unexplained);
	ftmpi_log(FTMPI_LOG_INFO, "chaos: %lld steps done, %lld of them repeated", (long long)costs->n_done,
		  (long long)costs->n_repeated);
	ftmpi_log(FTMPI_LOG_INFO,
		  "chaos: seconds, mean and most: to detect %.2f %.2f, to relaunch %.2f %.2f, to restore %.2f %.2f",
		  mean_of(&costs->detect), costs->detect.most_s, mean_of(&costs->relaunch), costs->relaunch.most_s,
		  mean_of(&costs->restore), costs->restore.most_s);
	for (int i = 0; i < LAUNCH_N_FAULTS; i++)
		if (costs->detect_by_fault[i].n > 0)
			ftmpi_log(FTMPI_LOG_INFO, "chaos:   to detect %-8s %.2f %.2f",
				  launch__fault_name((enum launch_fault)i), mean_of(&costs->detect_by_fault[i]),
				  costs->detect_by_fault[i].most_s);
	ftmpi_log(FTMPI_LOG_INFO, "chaos: effective training time ratio %.3f (%.1f s of %.1f s)",
		  costs->productive_s / fmax(costs->total_s, 1e-9), costs->productive_s, costs->total_s);
}

/* The same for machines, on one line. @param bits "true", "false" or "null". */
static void print_json(const struct launch *l, const struct costs *costs, const char *bits, const char *digest)
{
	char faults[256];

	list_faults(l->chaos, "\"%s\":%lld", ",", faults, sizeof faults);
	ftmpi_log(FTMPI_LOG_INFO,
		  "chaos-report: {\"seed\":%llu,\"attempts\":%d,\"faults\":{%s},\"unexplained\":%d,\"steps_done\":%lld,"
		  "\"steps_repeated\":%lld,\"detect_mean_s\":%.3f,\"detect_max_s\":%.3f,\"relaunch_mean_s\":%.3f,"
		  "\"relaunch_max_s\":%.3f,\"restore_mean_s\":%.3f,\"restore_max_s\":%.3f,\"total_s\":%.3f,"
		  "\"effective_training_time_ratio\":%.4f,\"exit_code\":%d,\"bits_equal\":%s,\"state_digest\":\"%s\"}",
		  (unsigned long long)l->chaos->plan->seed, launch__n_attempts(l), faults, costs->n_unexplained,
		  (long long)costs->n_done, (long long)costs->n_repeated, mean_of(&costs->detect), costs->detect.most_s,
		  mean_of(&costs->relaunch), costs->relaunch.most_s, mean_of(&costs->restore), costs->restore.most_s,
		  costs->total_s, costs->productive_s / fmax(costs->total_s, 1e-9), launch__exit_code(l), bits, digest);
}

static ftmpi_status open_end(const char *directory, ftmpi_reader **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store_options options;
	ftmpi_store *store = NULL;

	ftmpi_store_options_init(&options);
	options.read_only = true;
	options.number_path = APP_NUMBER_PATH;
	FTMPI_TRY(ftmpi_store_open(directory, &options, &store));
	FTMPI_TRY(ftmpi_store_open_latest(store, out));
	if (*out == NULL)
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "%s has no checkpoint", directory);
done:
	ftmpi_store_close(&store);
	return status;
}

/* Reports with the comparison of the two ends. */
static ftmpi_status compare(const struct launch *l, const struct costs *costs)
{
	ftmpi_status status = FTMPI_OK;
	const char *reference = l->options->plan.reference;
	ftmpi_reader *ours = NULL, *theirs = NULL;
	char digest[FTMPI_DIGEST_TEXT];
	bool equal;

	FTMPI_TRY(open_end(l->model_dir, &ours));
	FTMPI_TRY(open_end(reference, &theirs));
	equal = ftmpi_digest_equal(ftmpi_reader_state_digest(ours), ftmpi_reader_state_digest(theirs));
	ftmpi_digest_format(ftmpi_reader_state_digest(ours), digest);
	ftmpi_log(FTMPI_LOG_INFO, "chaos: the end is %s of the uninterrupted run (%s and %s)",
		  equal ? "bit for bit that" : "NOT that", ftmpi_reader_file(ours), ftmpi_reader_file(theirs));
	print_json(l, costs, equal ? "true" : "false", digest);
	if (!equal)
		FTMPI_FAIL(FTMPI_ERR_DATA, "chaos: %s and %s differ ('ftmpi checkpoints diff' says where)",
			   ftmpi_reader_file(ours), ftmpi_reader_file(theirs));
done:
	ftmpi_reader_close(&ours);
	ftmpi_reader_close(&theirs);
	return status;
}

ftmpi_status launch__report_chaos(const struct launch *l)
{
	ftmpi_status status = FTMPI_OK;
	struct costs costs;

	measure(l, &costs);
	print_costs(l, &costs);
	if (launch__attempt(l, launch__n_attempts(l) - 1)->end == LAUNCH_DONE)
		FTMPI_TRY(compare(l, &costs));
	else
		print_json(l, &costs, "null", "");
done:
	return status;
}
