/* SPDX-License-Identifier: Apache-2.0 */
/* When the training is to stop by itself: signals, and the end of the time that it was given.
 *
 * The chief alone knows the end of time: --max-wall-time from the start of this launch, and under Slurm the job's end, from SLURM_JOB_END_TIME or, where
 * Slurm is too old to set it, from squeue. The nearer one counts. */
#include "app/app.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
	const char *name;
	int number;
} known_signals[] = {{"TERM", SIGTERM}, {"INT", SIGINT},   {"USR1", SIGUSR1}, {"USR2", SIGUSR2},
		     {"HUP", SIGHUP},   {"XCPU", SIGXCPU}, {"CONT", SIGCONT}};

enum { N_KNOWN = sizeof known_signals / sizeof known_signals[0] };

/* The number of a signal named by `n` bytes, "TERM" or "SIGTERM"; 0: it is none that can be asked for. */
static int find_signal(const char *name, size_t n)
{
	if (n > 3 && strncmp(name, "SIG", 3) == 0) {
		name += 3;
		n -= 3;
	}
	for (int i = 0; i < N_KNOWN; i++)
		if (strlen(known_signals[i].name) == n && strncmp(known_signals[i].name, name, n) == 0)
			return known_signals[i].number;
	return 0;
}

static ftmpi_status parse_signals(const char *text, ftmpi_preemption_options *out)
{
	ftmpi_status status = FTMPI_OK;
	const char *at = text;

	out->n_signals = 0;
	while (strcmp(text, "none") != 0 && *at != '\0') {
		const size_t n = strcspn(at, ",");
		const int number = find_signal(at, n);

		if (number == 0 || out->n_signals == FTMPI_MAX_SIGNALS)
			FTMPI_FAIL(
				FTMPI_ERR_USAGE,
				"--signals: '%s' is not a list of at most %d of TERM, INT, USR1, USR2, HUP, XCPU, CONT",
				text, FTMPI_MAX_SIGNALS);
		out->signals[out->n_signals++] = number;
		at += n + (at[n] == ',');
	}
done:
	return status;
}

/* "90", "1:30:00", "2-00:00:00": seconds, or as Slurm's --time with seconds. @return −1: it is none of these. */
static double parse_duration(const char *text)
{
	const char *at = text;
	double total = 0.0;
	char *end;
	long days = 0;
	int n_parts = 0;

	if (strchr(text, '-') != NULL) {
		days = strtol(text, &end, 10);
		if (end == text || *end != '-' || days < 0)
			return -1;
		at = end + 1;
	}
	for (;; at++) {
		const long part = strtol(at, &end, 10);

		if (end == at || part < 0 || *at == '+' || *at == ' ' || ++n_parts > 3)
			return -1;
		total = total * 60 + (double)part;
		at = end;
		if (*at != ':')
			break;
	}
	if (*at != '\0' || (days > 0 && n_parts != 3))
		return -1;
	return total + 86400.0 * (double)days;
}

ftmpi_status app_check_preemption(const struct app_options *options)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_preemption_options preemption;
	const char *time = options->max_wall_time;

	if (time[0] != '\0' && !(parse_duration(time) > 0))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--max-wall-time: '%s' is neither seconds nor [DAYS-]HOURS:MINUTES:SECONDS",
			   time);
	FTMPI_TRY(parse_signals(options->signals, &preemption));
done:
	return status;
}

/* What squeue says of the end of a job, in seconds since 1970. 0: nothing. */
static double ask_squeue(const char *job)
{
	char command[128], line[64] = "", *end;
	double end_s;
	FILE *pipe;

	if (strspn(job, "0123456789") != strlen(job) || strlen(job) > 20)
		return 0;
	(void)snprintf(command, sizeof command,
		       "SLURM_TIME_FORMAT=%%s timeout 10 squeue --noheader --jobs=%s --format=%%e 2>/dev/null", job);
	pipe = popen(command, "re"); /* NOLINT(cert-env33-c): a fixed command and a checked number */
	if (pipe == NULL)
		return 0;
	if (fgets(line, sizeof line, pipe) == NULL)
		line[0] = '\0';
	(void)pclose(pipe);
	end_s = strtod(line, &end);
	return strcmp(end, "\n") == 0 ? end_s : 0;
}

static double slurm_end_s(void)
{
	const char *end = getenv("SLURM_JOB_END_TIME"), *job = getenv("SLURM_JOB_ID");

	if (end != NULL && strtod(end, NULL) > 0)
		return strtod(end, NULL);
	return job == NULL ? 0 : ask_squeue(job);
}

double app_calendar_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double app_deadline(const struct app_options *options, double now_s)
{
	double deadline_s = slurm_end_s();

	if (options->max_wall_time[0] != '\0') {
		const double end_s = now_s + parse_duration(options->max_wall_time);

		deadline_s = deadline_s > 0 && deadline_s < end_s ? deadline_s : end_s;
	}
	return deadline_s;
}

ftmpi_status app_create_preemption(const struct app_options *options, bool chief, ftmpi_preemption **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_preemption_options preemption;
	const double now_s = app_calendar_s();

	ftmpi_preemption_options_init(&preemption);
	FTMPI_TRY(parse_signals(options->signals, &preemption));
	if (chief)
		preemption.deadline_s = app_deadline(options, now_s);
	if (preemption.deadline_s > 0)
		ftmpi_log(FTMPI_LOG_INFO, "time ends in %.0f s: saving and stopping before",
			  preemption.deadline_s - now_s);
	FTMPI_TRY(ftmpi_preemption_create(&preemption, out));
done:
	return status;
}
