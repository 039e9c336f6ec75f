/* SPDX-License-Identifier: Apache-2.0 */
/* A callback that prints: Keras's bar, Keras's lines, or the Estimator's log lines.
 *
 * Printing never decides anything and costs next to nothing: the bar is redrawn at most ten times a second. Everything goes through stdio's
 * standard output, like ftmpi_log's information, so that the order stays. */
#include <ftmpi/display.h>
#include <ftmpi/log.h>

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BAR_CELLS = 20 };

#define REDRAW_S 0.1

struct ftmpi_display {
	ftmpi_display_style style;
	int64_t log_steps;
	ftmpi_callback callback;
	double epoch_start_s, step_s, drawn_s, log_s; /* step_s: when the last step ended */
	int64_t epoch_first_batch;                    /* done before this launch */
	int64_t log_step;                             /* step of the last log line; -1: none */
	bool drawn;                                   /* an unfinished bar stands on the line */
	double last_loss;
};

/* Whether an ancestor of this process is mpirun; then whether its standard output is a terminal. */
static bool find_launcher(bool *on_terminal)
{
	char path[64], target[512], stat[512];
	long pid = (long)getppid();

	for (int level = 0; level < 8 && pid > 1; level++) {
		const char *name;
		ssize_t n;
		FILE *file;

		(void)snprintf(path, sizeof path, "/proc/%ld/exe", pid);
		n = readlink(path, target, sizeof target - 1);
		target[n > 0 ? n : 0] = '\0';
		name = strrchr(target, '/') == NULL ? target : strrchr(target, '/') + 1;
		if (strcmp(name, "orterun") == 0 || strcmp(name, "prterun") == 0 || strcmp(name, "mpirun") == 0) {
			(void)snprintf(path, sizeof path, "/proc/%ld/fd/1", pid);
			n = readlink(path, target, sizeof target - 1);
			target[n > 0 ? n : 0] = '\0';
			*on_terminal = strncmp(target, "/dev/pts/", 9) == 0 || strncmp(target, "/dev/tty", 8) == 0;
			return true;
		}
		(void)snprintf(path, sizeof path, "/proc/%ld/stat", pid);
		file = fopen(path, "re");
		stat[0] = '\0';
		if (file != NULL) {
			if (fgets(stat, sizeof stat, file) == NULL)
				stat[0] = '\0';
			(void)fclose(file);
		}
		/* "pid (name) state parent …"; the name may hold anything, so look from its end */
		pid = strrchr(stat, ')') == NULL ? 0 : strtol(strrchr(stat, ')') + 3, NULL, 10);
	}
	return false;
}

ftmpi_display_style ftmpi_display_style_auto(void)
{
	bool on_terminal = false;

	if (!isatty(STDOUT_FILENO))
		return FTMPI_DISPLAY_LINES;
	if (getenv("OMPI_COMM_WORLD_RANK") != NULL && (!find_launcher(&on_terminal) || !on_terminal))
		return FTMPI_DISPLAY_LINES;
	return FTMPI_DISPLAY_BAR;
}

/* "3ms/step", as Keras writes it. */
static void format_step_time(double s, char *text, size_t bytes)
{
	if (s >= 1 || s <= 0)
		(void)snprintf(text, bytes, "%.0fs/step", s);
	else if (s >= 1e-3)
		(void)snprintf(text, bytes, "%.0fms/step", s * 1e3);
	else
		(void)snprintf(text, bytes, "%.0fus/step", s * 1e6);
}

/* "5s", "2:05", "1:02:05". */
static void format_duration(double s, char *text, size_t bytes)
{
	const long total = lround(s);

	if (total >= 3600)
		(void)snprintf(text, bytes, "%ld:%02ld:%02ld", total / 3600, total / 60 % 60, total % 60);
	else if (total >= 60)
		(void)snprintf(text, bytes, "%ld:%02ld", total / 60, total % 60);
	else
		(void)snprintf(text, bytes, "%lds", total);
}

static void print_metric(const char *name, double value)
{
	(void)printf(fabs(value) > 1e-3 || value == 0 ? " - %s: %.4f" : " - %s: %.4e", name, value);
}

static void print_metrics(const ftmpi_logs *logs)
{
	for (int i = 0; i < logs->n; i++)
		print_metric(logs->names[i], logs->values[i]);
}

static int digits_of(int64_t n)
{
	int digits = 1;

	for (; n >= 10; n /= 10)
		digits++;
	return digits;
}

static void draw_bar(ftmpi_display *d, const ftmpi_progress *p, const ftmpi_logs *logs, bool epoch_ended)
{
	const double elapsed_s = (epoch_ended ? ftmpi__now_s() : d->step_s) - d->epoch_start_s;
	const int64_t n_done = p->batch - d->epoch_first_batch;
	const double step_s = n_done > 0 ? elapsed_s / (double)n_done : 0.0;
	const int n_cells = (int)(BAR_CELLS * p->batch / p->n_batches);
	char step_text[32], time_text[32];

	format_step_time(step_s, step_text, sizeof step_text);
	format_duration(epoch_ended ? elapsed_s : step_s * (double)(p->n_batches - p->batch), time_text,
			sizeof time_text);
	(void)printf("\r\033[K\033[1m%*lld/%lld\033[0m \033[32m", digits_of(p->n_batches), (long long)p->batch,
		     (long long)p->n_batches);
	for (int i = 0; i < BAR_CELLS; i++)
		(void)printf("%s━", i == n_cells ? "\033[37m" : "");
	(void)printf("\033[0m \033[1m%s\033[0m %s", time_text, step_text);
	print_metrics(logs);
	if (epoch_ended)
		(void)printf("\n");
	(void)fflush(stdout);
	d->drawn = !epoch_ended;
	d->drawn_s = ftmpi__now_s();
}

static void print_epoch_line(const ftmpi_display *d, const ftmpi_progress *p, const ftmpi_logs *logs, bool epoch_ended)
{
	const double elapsed_s = (epoch_ended ? ftmpi__now_s() : d->step_s) - d->epoch_start_s;
	const int64_t n_done = p->batch - d->epoch_first_batch;
	char step_text[32], time_text[32];

	format_step_time(n_done > 0 ? elapsed_s / (double)n_done : 0.0, step_text, sizeof step_text);
	format_duration(elapsed_s, time_text, sizeof time_text);
	(void)printf("%lld/%lld - %s - %s", (long long)p->batch, (long long)p->n_batches, time_text, step_text);
	print_metrics(logs);
	(void)printf("\n");
	(void)fflush(stdout);
}

static void print_epoch(ftmpi_display *d, const ftmpi_progress *p)
{
	d->epoch_start_s = d->step_s = ftmpi__now_s();
	d->epoch_first_batch = p->batch;
	if (d->style == FTMPI_DISPLAY_LOG || p->n_epochs == 1) /* Keras does not count to one */
		return;
	if (p->n_epochs > 0)
		(void)printf("Epoch %lld/%lld\n", (long long)p->epoch + 1, (long long)p->n_epochs);
	else
		(void)printf("Epoch %lld\n", (long long)p->epoch + 1);
	(void)fflush(stdout);
}

/* The step's number is that before the update, as the Estimator counts. */
static void log_step(ftmpi_display *d, const ftmpi_progress *p)
{
	const int64_t step = p->step - 1;

	d->last_loss = p->batch_loss;
	if (d->log_step < 0) {
		ftmpi_log(FTMPI_LOG_INFO, "loss = %.7g, step = %lld", p->batch_loss, (long long)step);
	} else if (step - d->log_step >= d->log_steps) {
		const double s = ftmpi__now_s() - d->log_s;

		ftmpi_log(FTMPI_LOG_INFO, "global_step/sec: %g", (double)(step - d->log_step) / s);
		ftmpi_log(FTMPI_LOG_INFO, "loss = %.7g, step = %lld (%.3f sec)", p->batch_loss, (long long)step, s);
	} else {
		return;
	}
	d->log_step = step;
	d->log_s = ftmpi__now_s();
}

static ftmpi_status epoch_begin(void *context, ftmpi_fit *fit)
{
	const ftmpi_progress p = ftmpi_fit_progress(fit);

	if (ftmpi_comm_is_chief(ftmpi_fit_comm(fit)) && ftmpi_log_ready())
		print_epoch(context, &p);
	return FTMPI_OK;
}

static ftmpi_status batch_end(void *context, ftmpi_fit *fit)
{
	ftmpi_display *d = context;
	const ftmpi_progress p = ftmpi_fit_progress(fit);

	if (!ftmpi_comm_is_chief(ftmpi_fit_comm(fit)))
		return FTMPI_OK;
	d->step_s = ftmpi__now_s();
	if (d->style == FTMPI_DISPLAY_LOG)
		log_step(d, &p);
	else if (d->style == FTMPI_DISPLAY_BAR && p.batch < p.n_batches && d->step_s - d->drawn_s >= REDRAW_S &&
		 ftmpi_log_ready())
		draw_bar(d, &p, ftmpi_fit_logs(fit), false);
	return FTMPI_OK;
}

static void print_line(ftmpi_display *d, ftmpi_fit *fit, bool epoch_ended)
{
	const ftmpi_progress p = ftmpi_fit_progress(fit);

	if (!ftmpi_log_ready())
		return;
	if (d->style == FTMPI_DISPLAY_BAR)
		draw_bar(d, &p, ftmpi_fit_logs(fit), epoch_ended);
	else if (d->style == FTMPI_DISPLAY_LINES)
		print_epoch_line(d, &p, ftmpi_fit_logs(fit), epoch_ended);
}

static ftmpi_status epoch_end(void *context, ftmpi_fit *fit)
{
	if (ftmpi_comm_is_chief(ftmpi_fit_comm(fit)))
		print_line(context, fit, true);
	return FTMPI_OK;
}

/* A training that ends in the middle of an epoch shows how far it came. */
static ftmpi_status train_end(void *context, ftmpi_fit *fit)
{
	ftmpi_display *d = context;

	if (!ftmpi_comm_is_chief(ftmpi_fit_comm(fit)))
		return FTMPI_OK;
	if (ftmpi_fit_progress(fit).batch > 0)
		print_line(d, fit, false);
	if (d->style == FTMPI_DISPLAY_LOG && d->log_step >= 0)
		ftmpi_log(FTMPI_LOG_INFO, "Loss for final step: %.7g.", d->last_loss);
	return FTMPI_OK;
}

/* Whatever is printed next begins a line of its own. */
static void leave_bar(ftmpi_display *d)
{
	if (d->drawn)
		(void)printf("\n");
	d->drawn = false;
	(void)fflush(stdout);
}

static void detach(void *context)
{
	leave_bar(context);
}

/* The warning comes next. */
static ftmpi_status diverged(void *context, ftmpi_fit *fit)
{
	(void)fit;
	leave_bar(context);
	return FTMPI_OK;
}

/* Steps are counted from here. */
static ftmpi_status rewound(void *context, ftmpi_fit *fit)
{
	ftmpi_display *d = context;

	(void)fit;
	d->log_step = -1;
	return FTMPI_OK;
}

ftmpi_status ftmpi_display_create(ftmpi_display_style style, int64_t log_steps, ftmpi_display **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_display *d = NULL;

	FTMPI_TRY(FTMPI_ALLOC(1, &d));
	d->style = style;
	d->log_steps = log_steps;
	d->log_step = -1;
	d->callback = (ftmpi_callback){.context = d,
				       .name = "display",
				       .epoch_begin = epoch_begin,
				       .batch_end = batch_end,
				       .epoch_end = epoch_end,
				       .diverged = diverged,
				       .rewound = rewound,
				       .train_end = train_end,
				       .detach = detach,
				       .alike = true};
	*out = d;
done:
	return status;
}

void ftmpi_display_destroy(ftmpi_display **display)
{
	ftmpi_free(*display);
	*display = NULL;
}

const ftmpi_callback *ftmpi_display_callback(const ftmpi_display *display)
{
	return &display->callback;
}
