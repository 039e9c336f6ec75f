/* SPDX-License-Identifier: Apache-2.0 */
/* `ftmpi launch`: runs mpirun with the training, and again when it dies.
 *
 *  1  read all options, those of the training too
 *  2  start mpirun; pass on signals and output until it ends         launch_process.c
 *  3  kill what is left of it
 *  4  what its end means; maybe fewer ranks, maybe a checkpoint back  launch_policy.c
 *  5  wait, and from 2 again
 *
 * In chaos the same is done twice: undisturbed in the reference's folder, then with faults (launch_chaos.c); at the end the two are compared. */
#include "app/launch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* How often to look for ranks until one was seen, and for how long. */
#define LOOK_S      0.2
#define LOOK_LONG_S 60.0

#ifndef FTMPI_MPIRUN
#define FTMPI_MPIRUN "mpirun"
#endif

int launch__n_attempts(const struct launch *l)
{
	return (int)(l->attempts.n_bytes / sizeof(struct launch_attempt));
}

struct launch_attempt *launch__attempt(const struct launch *l, int i)
{
	return (struct launch_attempt *)(void *)l->attempts.data + i;
}

/* A command's words: pointers into a copy of its text. */
struct words {
	ftmpi_buffer pointers, texts[2];
};

static ftmpi_status add_word(struct words *words, const char *word)
{
	return ftmpi_buffer_append(&words->pointers, &word, sizeof word);
}

/* Words between blanks. @param copy keeps them. */
static ftmpi_status split(struct words *words, const char *text, ftmpi_buffer *copy)
{
	ftmpi_status status = FTMPI_OK;
	char *save = NULL;

	FTMPI_TRY(ftmpi_buffer_append(copy, text, strlen(text)));
	for (char *word = strtok_r(copy->data, " \t", &save); word != NULL; word = strtok_r(NULL, " \t", &save))
		FTMPI_TRY(add_word(words, word));
done:
	return status;
}

static const char *default_mpirun(void)
{
	return access(FTMPI_MPIRUN, X_OK) == 0 ? FTMPI_MPIRUN : "mpirun";
}

/* Arguments of the launcher's own. */
struct additions {
	char np[16], workers[48], folder[APP_TEXT_BYTES + 16], time[48];
};

/* mpirun … -n NP … ftmpi train …. What the launcher adds comes last, so it wins. */
static ftmpi_status make_command(const struct launch *l, const struct launch_attempt *a, struct words *words,
				 struct additions *add)
{
	ftmpi_status status = FTMPI_OK;
	const struct launch_options *o = l->options;
	const char *const chaos[] = {"--progress=log", "--log-step-count-steps=1"};

	(void)snprintf(add->np, sizeof add->np, "%d", a->np);
	(void)snprintf(add->workers, sizeof add->workers, "--logical-workers=%lld", (long long)o->np);
	(void)snprintf(add->folder, sizeof add->folder, "--model-dir=%s", l->model_dir);
	(void)snprintf(add->time, sizeof add->time, "--max-wall-time=%.0f",
		       fmax(1, floor(l->deadline_s - app_calendar_s())));
	FTMPI_TRY(split(words, o->mpirun[0] == '\0' ? default_mpirun() : o->mpirun, &words->texts[0]));
	FTMPI_TRY(add_word(words, "-n"));
	FTMPI_TRY(add_word(words, add->np));
	FTMPI_TRY(split(words, o->mpirun_args, &words->texts[1]));
	FTMPI_TRY(add_word(words, l->program));
	FTMPI_TRY(add_word(words, "train"));
	for (int i = 0; i < o->n_train; i++)
		FTMPI_TRY(add_word(words, o->train[i]));
	if (l->model_dir != o->training.model_dir)
		FTMPI_TRY(add_word(words, add->folder));
	/* Whatever attempt saves first, the number of workers is that of the first attempt. */
	if (a->from < 0 && !app_options_given(&o->training, "logical-workers"))
		FTMPI_TRY(add_word(words, add->workers));
	if (launch__n_attempts(l) > 1 && o->training.max_wall_time[0] != '\0') /* it counts from each start */
		FTMPI_TRY(add_word(words, add->time));
	for (size_t i = 0; i < sizeof chaos / sizeof chaos[0] && l->chaos != NULL; i++)
		FTMPI_TRY(add_word(words, chaos[i]));
	FTMPI_TRY(add_word(words, NULL));
done:
	return status;
}

static ftmpi_status start(struct launch *l, struct launch_attempt *a)
{
	ftmpi_status status = FTMPI_OK;
	struct words words = {0};
	struct additions additions;
	const char *fault = NULL;

	if (l->chaos != NULL)
		launch__chaos_begin(l, a, &fault);
	FTMPI_TRY(make_command(l, a, &words, &additions));
	a->began_s = a->last_line_s = launch__now_s();
	FTMPI_TRY(launch__start(l, (char *const *)(void *)words.pointers.data, fault));
done:
	ftmpi_buffer_clear(&words.pointers);
	ftmpi_buffer_clear(&words.texts[0]);
	ftmpi_buffer_clear(&words.texts[1]);
	return status;
}

/* Whether ranks run at all, which tells mpirun's refusal from an end of the training. @param until_s lowered to when to look again. */
static ftmpi_status look_for_ranks(const struct launch *l, struct launch_attempt *a, double *until_s)
{
	ftmpi_status status = FTMPI_OK;
	const double now_s = launch__now_s();
	ftmpi_buffer ranks = {0};

	if (l->ever_ran || a->ranks_seen || now_s - a->began_s > LOOK_LONG_S)
		goto done;
	FTMPI_TRY(launch__find_ranks(l->pid, &ranks));
	a->ranks_seen = ranks.n_bytes > 0;
	*until_s = fmin(*until_s, now_s + LOOK_S);
done:
	ftmpi_buffer_clear(&ranks);
	return status;
}

/* A node whose power goes closes no connection. Its ranks are waited for until the watchdog ends the others, or one of those dies, but mpirun goes on waiting
 * for the node itself, as long as the kernel sends again what has no answer: for a quarter of an hour. */
static void end_hanging_mpirun(const struct launch *l, struct launch_attempt *a, double *until_s)
{
	if (a->ending_s <= 0 || a->node_lost)
		return;
	if (launch__now_s() < a->ending_s + a->patience_s) {
		*until_s = fmin(*until_s, a->ending_s + a->patience_s);
		return;
	}
	a->node_lost = true;
	ftmpi_log(FTMPI_LOG_WARNING,
		  "mpirun has not ended %g s after the ranks: it waits for a node that is gone, and is killed",
		  a->patience_s);
	(void)kill(l->pid, SIGKILL);
}

static ftmpi_status run_attempt(struct launch *l)
{
	ftmpi_status status = FTMPI_OK, cleaned;
	struct launch_attempt fresh = {
		.np = l->np, .to = -1, .resumed = -1, .reached = -1, .saved = -1, .fault = LAUNCH_NO_FAULT};
	struct launch_attempt *a;

	FTMPI_TRY(launch__newest(l->model_dir, &fresh.from));
	l->highest = fresh.from > l->highest ? fresh.from : l->highest;
	FTMPI_TRY(ftmpi_buffer_append(&l->attempts, &fresh, sizeof fresh));
	a = launch__attempt(l, launch__n_attempts(l) - 1);
	FTMPI_TRY(start(l, a));
	while (l->pid > 0) {
		double until_s = INFINITY;

		FTMPI_TRY(look_for_ranks(l, a, &until_s));
		if (l->chaos != NULL)
			FTMPI_TRY(launch__chaos_tick(l, a, &until_s));
		end_hanging_mpirun(l, a, &until_s);
		FTMPI_TRY(launch__wait(l, until_s));
	}
	a->ended_s = launch__now_s();
	a->killed = WIFSIGNALED(l->wait_status);
	a->code = a->killed ? 128 + WTERMSIG(l->wait_status) : WEXITSTATUS(l->wait_status);
done:
	cleaned = launch__clean_up(l);
	return status == FTMPI_OK ? cleaned : status;
}

/* Until the training is done, or is not to be started again. */
static ftmpi_status supervise(struct launch *l, const char *model_dir, struct launch_chaos *chaos)
{
	ftmpi_status status = FTMPI_OK;
	bool again = true;

	FTMPI_TRY(ftmpi_buffer_resize(&l->attempts, 0));
	l->model_dir = model_dir;
	l->chaos = chaos;
	l->np = (int)l->options->np;
	l->highest = l->aside = -1;
	l->streak = l->n_progress = l->n_without = l->n_deaths_here = 0;
	l->went_back = false;
	while (again && l->stop_signal == 0) {
		double delay_s, until_s;

		FTMPI_TRY(run_attempt(l));
		FTMPI_TRY(launch__decide(l, &again, &delay_s));
		until_s = launch__now_s() + delay_s;
		while (again && l->stop_signal == 0 && launch__now_s() < until_s)
			FTMPI_TRY(launch__wait(l, until_s));
	}
done:
	return status;
}

/* The summary, and in a word why it ended when that was not the training's or mpirun's to say. */
static void conclude(const struct launch *l)
{
	const struct launch_attempt *a;
	char end[128];

	if (launch__n_attempts(l) == 0)
		return;
	a = launch__attempt(l, launch__n_attempts(l) - 1);
	if (launch__n_attempts(l) > 1)
		launch__print_summary(l);
	launch__describe_end(a, end, sizeof end);
	if (l->gave_up != NULL)
		ftmpi_log(FTMPI_LOG_ERROR, "gave up after %d attempt%s (%s): the last one %s", launch__n_attempts(l),
			  launch__n_attempts(l) == 1 ? "" : "s", l->gave_up, end);
	else if (a->end == LAUNCH_REFUSED)
		ftmpi_log(FTMPI_LOG_ERROR, "no rank ran: mpirun %s, and says above why", end);
}

static ftmpi_status run_chaos(struct launch *l, struct launch_chaos *chaos)
{
	ftmpi_status status = FTMPI_OK;
	const struct launch_plan *plan = chaos->plan;

	ftmpi_log(FTMPI_LOG_INFO, "chaos: first the uninterrupted run, in %s", plan->reference);
	FTMPI_TRY(supervise(l, plan->reference, NULL));
	if (l->stop_signal != 0 || launch__attempt(l, launch__n_attempts(l) - 1)->end != LAUNCH_DONE) {
		conclude(l);
		goto done;
	}
	ftmpi_log(FTMPI_LOG_INFO, "chaos: now with faults, in %s", l->options->training.model_dir);
	FTMPI_TRY(supervise(l, l->options->training.model_dir, chaos));
	conclude(l);
	if (launch__n_attempts(l) > 0)
		FTMPI_TRY(launch__report_chaos(l));
done:
	return status;
}

ftmpi_status app_launch(int argc, char **argv, int *exit_code)
{
	ftmpi_status status = FTMPI_OK;
	struct launch_options *options = NULL;
	struct launch l = {.signals = -1};
	struct launch_chaos chaos = {.next = LAUNCH_NO_FAULT};

	FTMPI_TRY(FTMPI_ALLOC(1, &options));
	FTMPI_TRY(launch__parse(options, argc, argv));
	if (getenv("OMPI_COMM_WORLD_RANK") != NULL || getenv("PMIX_RANK") != NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "launch starts mpirun itself: run it without");
	l.options = options;
	l.began_s = app_calendar_s();
	l.deadline_s = app_deadline(&options->training, l.began_s);
	chaos.plan = &options->plan;
	FTMPI_TRY(launch__open(&l));
	if (options->chaos[0] != '\0') {
		FTMPI_TRY(run_chaos(&l, &chaos));
	} else {
		FTMPI_TRY(supervise(&l, options->training.model_dir, NULL));
		conclude(&l);
	}
	*exit_code = launch__exit_code(&l);
done:
	launch__close(&l);
	ftmpi_free(options);
	return status;
}

void app_launch_help(void)
{
	launch__print_help();
}
