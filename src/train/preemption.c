/* SPDX-License-Identifier: Apache-2.0 */
/* Signals and deadlines as marks that the training looks at.
 *
 * The handler does what a handler may: it sets a mark, and at the second signal it puts the default action back and raises the signal again. The mark is
 * the one variable of a process that a handler can reach. */
#include <ftmpi/preemption.h>

#include "base/clock.h"

#include <ftmpi/log.h>
#include <ftmpi/memory.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t caught;

struct ftmpi_preemption {
	ftmpi_preemption_options options;
	struct sigaction before[FTMPI_MAX_SIGNALS];
	int n_installed;
	bool deadline_near; /* stays so */
};

void ftmpi_preemption_options_init(ftmpi_preemption_options *options)
{
	*options = (ftmpi_preemption_options){.signals = {SIGTERM, SIGINT, SIGUSR1}, .n_signals = 3};
}

static void on_signal(int number)
{
	if (caught == 0) {
		caught = number;
		ftmpi_log_hurry();
		return;
	}
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

static ftmpi_status install(ftmpi_preemption *p)
{
	ftmpi_status status = FTMPI_OK;
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_NODEFER};

	(void)sigemptyset(&action.sa_mask);
	for (int i = 0; i < p->options.n_signals; i++) {
		if (sigaction(p->options.signals[i], &action, &p->before[i]) != 0)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "signal %d cannot be caught: %s", p->options.signals[i],
				   strerror(errno));
		p->n_installed++;
	}
done:
	return status;
}

ftmpi_status ftmpi_preemption_create(const ftmpi_preemption_options *options, ftmpi_preemption **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_preemption *p = NULL;

	if (options->n_signals < 0 || options->n_signals > FTMPI_MAX_SIGNALS)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%d signals: 0 to %d are possible", options->n_signals, FTMPI_MAX_SIGNALS);
	FTMPI_TRY(FTMPI_ALLOC(1, &p));
	p->options = *options;
	caught = 0;
	FTMPI_TRY(install(p));
	*out = p;
	p = NULL;
done:
	ftmpi_preemption_destroy(&p);
	return status;
}

void ftmpi_preemption_destroy(ftmpi_preemption **preemption)
{
	ftmpi_preemption *p = *preemption;

	if (p == NULL)
		return;
	for (int i = 0; i < p->n_installed; i++)
		(void)sigaction(p->options.signals[i], &p->before[i], NULL);
	ftmpi_free(p);
	*preemption = NULL;
}

bool ftmpi_preemption_due(ftmpi_preemption *p, double needed_s)
{
	if (p->options.deadline_s > 0 && ftmpi__calendar_s() + needed_s >= p->options.deadline_s)
		p->deadline_near = true;
	return caught != 0 || p->deadline_near;
}

const char *ftmpi_preemption_reason(const ftmpi_preemption *p)
{
	static _Thread_local char text[64];

	if (caught != 0)
		(void)snprintf(text, sizeof text, "signal SIG%s", sigabbrev_np(caught));
	else
		(void)snprintf(text, sizeof text, "the deadline in %.0f s",
			       p->options.deadline_s - ftmpi__calendar_s());
	return text;
}
