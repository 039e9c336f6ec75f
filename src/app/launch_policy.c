/* SPDX-License-Identifier: Apache-2.0 */
/* What follows from the end of an attempt.
 *
 *     0                            done
 *     64 65 66 74 76               the training's own verdict: it would only come again
 *     75                           stopped after saving                                       restart
 *     128 + n, or mpirun killed    death                                                      restart
 *     70                           an MPI or internal error: often the echo of a death        restart
 *     not enough slots             fewer ranks, down to --min-np; there, as a death           restart
 *     any other                    mpirun's own: a death if a rank ever ran, else its refusal
 *
 * Progress is a checkpoint of a larger step than any before, so going back and coming again is none. Restarts after progress are free: each
 * is paid for by at least one checkpoint. Those without count in a row, and make the back-off double. */
#include "app/launch.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define LONGEST_BACKOFF_S 60.0

/* A stop after saving is for the end of time when that is no more than this away, or no more than this share of all time. */
#define NEAR_S     120.0
#define NEAR_SHARE 0.1

/* mpirun says it when it loses a node. */
enum { CODE_NODE_LOST = 205, DEATHS_TO_GO_BACK = 2 };

void launch__hear(struct launch_attempt *a, const char *line)
{
	static const char *const no_slots[] = {"There are not enough slots available in the system",
					       "More processors requested than permitted"};
	static const char *const node_lost[] = {"lost communication with a remote daemon",
						"unable to reliably start one or more daemons"};
	/* The ranks are gone when a hang ends the job; mpirun has yet to end them when one of them died. */
	static const struct {
		const char *text;
		double patience_s;
	} ends[] = {{"ftmpi: error: hang: ", 20}, {"Per user-direction, the job has been aborted", 60}};

	for (size_t i = 0; i < 2; i++) {
		a->no_slots = a->no_slots || strstr(line, no_slots[i]) != NULL;
		a->node_lost = a->node_lost || strstr(line, node_lost[i]) != NULL;
	}
	for (size_t i = 0; i < sizeof ends / sizeof ends[0] && a->ending_s <= 0; i++) {
		if (strstr(line, ends[i].text) == NULL)
			continue;
		a->ending_s = launch__now_s();
		a->patience_s = ends[i].patience_s;
	}
}

ftmpi_status launch__newest(const char *directory, int64_t *step)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store_options options;
	ftmpi_store *store = NULL;
	int n = 0;

	ftmpi_store_options_init(&options);
	options.read_only = true;
	status = ftmpi_store_open(directory, &options, &store);
	if (status != FTMPI_ERR_NOT_FOUND) /* a new folder has none */
		FTMPI_TRY(status);
	status = FTMPI_OK;
	if (store != NULL)
		n = ftmpi_store_n_items(store);
	*step = n == 0 ? -1 : ftmpi_store_get(store, n - 1)->number;
done:
	ftmpi_store_close(&store);
	return status;
}

static bool is_verdict(int code)
{
	static const ftmpi_status verdicts[] = {FTMPI_ERR_USAGE, FTMPI_ERR_DATA, FTMPI_ERR_NOT_FOUND, FTMPI_ERR_IO,
						FTMPI_ERR_DIVERGED};

	for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++)
		if (code == ftmpi_status_exit_code(verdicts[i]))
			return true;
	return false;
}

static enum launch_end classify(const struct launch *l, const struct launch_attempt *a)
{
	const bool injected = a->fault == LAUNCH_FAULT_DISK && a->code == ftmpi_status_exit_code(FTMPI_ERR_IO);

	if (a->code == 0)
		return LAUNCH_DONE;
	if (l->stop_signal != 0)
		return LAUNCH_STOPPED;
	if (a->no_slots)
		return LAUNCH_NO_SLOTS;
	if (is_verdict(a->code) && !injected)
		return LAUNCH_FAILED;
	if (a->code == ftmpi_status_exit_code(FTMPI_STOPPED))
		return LAUNCH_SAVED;
	if (injected || a->killed || a->code == ftmpi_status_exit_code(FTMPI_ERR_MPI) ||
	    (a->code > 128 && a->code <= 128 + SIGRTMAX))
		return LAUNCH_DIED;
	return l->ever_ran ? LAUNCH_DIED : LAUNCH_REFUSED;
}

/* The newest checkpoint is set aside; where that cannot be, it stays, with a warning. Not tried again before there is progress. */
static void go_back(struct launch *l)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store_options options;
	ftmpi_store *store = NULL;

	l->went_back = true;
	ftmpi_store_options_init(&options);
	options.number_path = APP_NUMBER_PATH;
	options.lock_wait_s = l->options->training.lock_wait_s;
	FTMPI_TRY(ftmpi_store_open(l->model_dir, &options, &store));
	FTMPI_TRY(ftmpi_store_set_aside(store, &l->aside));
	ftmpi_log(FTMPI_LOG_WARNING,
		  "it died %d times at checkpoint %lld: that is set aside as .suspect, going back to the one before",
		  l->n_deaths_here, (long long)l->aside);
done:
	ftmpi_store_close(&store);
	if (status != FTMPI_OK)
		ftmpi_log(FTMPI_LOG_WARNING, "it died %d times at the same step, and cannot go back: %s",
			  l->n_deaths_here, ftmpi_error_message());
}

/* It did not help to go back: the checkpoint was not to blame, and a later launch may have it. */
static void put_back(struct launch *l)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store_options options;
	ftmpi_store *store = NULL;
	int64_t newest;

	if (l->aside < 0)
		goto done;
	FTMPI_TRY(launch__newest(l->model_dir, &newest));
	if (newest >= l->aside)
		goto done;
	ftmpi_store_options_init(&options);
	options.number_path = APP_NUMBER_PATH;
	options.lock_wait_s = l->options->training.lock_wait_s;
	FTMPI_TRY(ftmpi_store_open(l->model_dir, &options, &store));
	FTMPI_TRY(ftmpi_store_put_back(store, l->aside));
	ftmpi_log(FTMPI_LOG_WARNING, "going back did not help: checkpoint %lld has its name again",
		  (long long)l->aside);
done:
	ftmpi_store_close(&store);
	if (status != FTMPI_OK)
		ftmpi_log(FTMPI_LOG_WARNING, "checkpoint %lld stays set aside: %s", (long long)l->aside,
			  ftmpi_error_message());
}

/* Fewer ranks, if there may be. */
static bool shrink(struct launch *l)
{
	const int64_t fewer = l->np - l->options->n_per_node;

	if (fewer < l->options->min_np)
		return false;
	l->np = (int)fewer;
	return true;
}

static void announce(const struct launch *l, const struct launch_attempt *a, bool progress, double delay_s)
{
	char end[128], what[96];

	launch__describe_end(a, end, sizeof end);
	if (progress)
		(void)snprintf(what, sizeof what, "a restart after a new checkpoint");
	else
		(void)snprintf(what, sizeof what, "restart %lld of at most %lld without a new checkpoint",
			       (long long)l->streak, (long long)l->options->max_restarts);
	ftmpi_log(FTMPI_LOG_WARNING, "attempt %d on %d ranks %s after %.1f s; starting again in %g s (%s)",
		  launch__n_attempts(l), a->np, end, a->ended_s - a->began_s, delay_s, what);
}

/* Whether the attempt ended because time does: it saves and stops some time before. A death is gone on from as long as there is time at all. */
static bool time_is_up(const struct launch *l, const struct launch_attempt *a)
{
	const double left_s = l->deadline_s - app_calendar_s();
	const double near_s = fmax(NEAR_S, NEAR_SHARE * (l->deadline_s - l->began_s));

	return l->deadline_s > 0 && left_s < (a->end == LAUNCH_SAVED ? near_s : 1);
}

/* After a death, or a stop that is to be gone on from. */
static bool restart(struct launch *l, const struct launch_attempt *a, bool progress, double *delay_s)
{
	const bool injected = a->fault != LAUNCH_NO_FAULT || a->stalled;

	if (progress) {
		l->streak = l->n_deaths_here = 0;
		l->went_back = false;
		l->aside = -1;
	} else if (a->end == LAUNCH_DIED && !injected) {
		l->n_deaths_here++;
	}
	if (l->options->max_restarts == 0 || l->streak >= l->options->max_restarts) {
		l->gave_up = l->options->max_restarts == 0 ? "--max-restarts 0" : "too many without a new checkpoint";
		put_back(l);
		return false;
	}
	if (time_is_up(l, a)) {
		ftmpi_log(FTMPI_LOG_WARNING, "time ends: not started again, the same command goes on from here");
		return false;
	}
	*delay_s =
		fmin(l->options->backoff_s * pow(2, (double)l->streak), fmax(l->options->backoff_s, LONGEST_BACKOFF_S));
	l->streak += !progress;
	l->n_progress += progress;
	l->n_without += !progress;
	announce(l, a, progress, *delay_s);
	if ((a->node_lost || a->code == CODE_NODE_LOST) && shrink(l))
		ftmpi_log(FTMPI_LOG_WARNING, "a node was lost: going on with %d ranks", l->np);
	if (l->n_deaths_here >= DEATHS_TO_GO_BACK && !l->went_back && l->highest >= 0)
		go_back(l);
	return true;
}

ftmpi_status launch__decide(struct launch *l, bool *again, double *delay_s)
{
	ftmpi_status status = FTMPI_OK;
	struct launch_attempt *a = launch__attempt(l, launch__n_attempts(l) - 1);
	bool progress;

	FTMPI_TRY(launch__newest(l->model_dir, &a->to));
	l->ever_ran = l->ever_ran || a->ranks_seen || a->to > a->from;
	a->end = classify(l, a);
	progress = a->to > l->highest;
	l->highest = progress ? a->to : l->highest;
	*again = false;
	*delay_s = 0;
	if (a->end != LAUNCH_SAVED && a->end != LAUNCH_DIED && a->end != LAUNCH_NO_SLOTS)
		goto done;
	if (a->end == LAUNCH_NO_SLOTS && shrink(l)) {
		ftmpi_log(FTMPI_LOG_WARNING, "not enough slots for %d ranks: trying %d", a->np, l->np);
		*again = true;
	} else {
		*again = restart(l, a, progress, delay_s);
	}
done:
	return status;
}

/* After a signal that was passed on mpirun's own code says little; the training's are kept. */
int launch__exit_code(const struct launch *l)
{
	const struct launch_attempt *a;

	if (launch__n_attempts(l) == 0)
		return l->stop_signal == 0 ? 0 : 128 + l->stop_signal;
	a = launch__attempt(l, launch__n_attempts(l) - 1);
	if (l->stop_signal == 0 || a->code == 0 || a->code == ftmpi_status_exit_code(FTMPI_STOPPED) ||
	    is_verdict(a->code))
		return a->code;
	return 128 + l->stop_signal;
}
