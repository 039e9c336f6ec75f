/* SPDX-License-Identifier: Apache-2.0 */
/* An interval between saves from what this run has seen.
 *
 * The first save comes early, so that its cost is known; each one after it makes the interval anew. What costs count is how long the training waited, whatever
 * the save went on to do beside it; the median of the last ones, since a file system has moods. What a save does beside the training only keeps the next one
 * away: two that overlap would be a wait that the interval is to avoid, and a cost that says nothing of the next. */
#include "train/cadence.h"

#include "base/clock.h"
#include "train/interval.h"
#include "train/trainer.h"

#include <ftmpi/log.h>

#include <math.h>
#include <string.h>

/* Steps of a launch before its first save, when no cost is known: the very first ones are slow, and a save among them would be too. */
enum { FIRST_STEPS = 10 };

/* Between two tries as long as no save has succeeded. */
static const double retry_s = 60;

/* What changes the interval by less is not worth a line. */
static const double noticeable = 1.2;

/* More than any run sees, and few enough to be added to. */
static const int64_t most_failures = INT64_C(1) << 40;

ftmpi_status ftmpi__cadence_attach(struct ftmpi__cadence *c, double overhead, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_registry *r = ftmpi_checkpoint_registry(ftmpi_fit_checkpoint(fit));
	const int64_t n_costs = FTMPI__N_COSTS;

	*c = (struct ftmpi__cadence){.overhead = overhead};
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/run/failures", FTMPI_I64, &c->n_failures, FTMPI_RECORD));
	FTMPI_TRY(ftmpi_registry_add(r, "ftmpi/run/save_costs_s", FTMPI_F64, 1, &n_costs, c->costs_s, FTMPI_RECORD));
done:
	return status;
}

/* How long a step takes, with all that comes with it; 0: not known. */
static double step_s(const struct ftmpi__cadence *c, const ftmpi_fit *fit)
{
	const int64_t n_steps = ftmpi_fit_progress(fit).step - c->timed_step;

	return c->timed_from_s > 0 && n_steps > 0 ? (ftmpi__now_s() - c->timed_from_s) / (double)n_steps : 0;
}

static void tell(struct ftmpi__cadence *c, const ftmpi_fit *fit, const struct ftmpi__interval_facts *facts,
		 const struct ftmpi__interval *interval)
{
	const double now_s = interval->interval_s, before_s = c->told_s;
	char text[FTMPI__INTERVAL_TEXT];

	if (before_s > 0 && now_s <= noticeable * before_s && before_s <= noticeable * now_s)
		return;
	ftmpi__interval_describe(facts, interval, step_s(c, fit), text);
	if (ftmpi_comm_is_chief(ftmpi_fit_comm(fit)))
		ftmpi_log(FTMPI_LOG_INFO, "%s", text);
	c->told_s = now_s;
}

static void choose(struct ftmpi__cadence *c, const ftmpi_fit *fit)
{
	const struct ftmpi__interval_facts facts = {.cost_s = ftmpi__interval_cost(c->costs_s, FTMPI__N_COSTS),
						    .n_failures = c->n_failures,
						    .observed_s = fmax(0, ftmpi__fit_wall_s(fit)),
						    .overhead = c->overhead,
						    .write_s = ftmpi__interval_cost(c->writes_s, FTMPI__N_COSTS)};
	struct ftmpi__interval interval;

	if (!(c->overhead > 0) || !(facts.cost_s > 0))
		return;
	interval = ftmpi__interval_choose(&facts);
	c->interval_s = interval.interval_s;
	tell(c, fit, &facts, &interval);
}

void ftmpi__cadence_begin(struct ftmpi__cadence *c, const ftmpi_fit *fit, int64_t n_failures)
{
	const int64_t saved = c->n_failures < 0 ? 0 : c->n_failures;

	c->n_failures = c->n_failures_known = (saved < most_failures ? saved : most_failures) + n_failures;
	c->first_step = ftmpi_fit_progress(fit).step;
	choose(c, fit);
}

void ftmpi__cadence_rewound(struct ftmpi__cadence *c)
{
	c->n_failures = c->n_failures_known;
	c->timed_from_s = 0;
}

/* Steps are timed from the second one on. */
bool ftmpi__cadence_is_due(struct ftmpi__cadence *c, const ftmpi_fit *fit, double since_s)
{
	const int64_t step = ftmpi_fit_progress(fit).step;

	if (c->timed_from_s == 0 && step > c->first_step) {
		c->timed_from_s = ftmpi__now_s();
		c->timed_step = step;
	}
	if (c->interval_s > 0)
		return since_s >= c->interval_s;
	if (since_s < retry_s && (c->tried || step - c->first_step < FIRST_STEPS - 1))
		return false;
	c->tried = true;
	return true;
}

static void push(double *times_s, double s)
{
	memmove(times_s + 1, times_s, (FTMPI__N_COSTS - 1) * sizeof *times_s);
	times_s[0] = s;
}

void ftmpi__cadence_saved(struct ftmpi__cadence *c, const ftmpi_fit *fit, double cost_s, double write_s)
{
	push(c->costs_s, cost_s);
	push(c->writes_s, write_s);
	choose(c, fit);
}
