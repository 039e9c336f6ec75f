/* SPDX-License-Identifier: Apache-2.0 */
/* Young's and Daly's interval between saves; interval.h has the formulas and their sources. No state, no clock. */
#include "train/interval.h"

#include <math.h>
#include <stdio.h>

double ftmpi__interval_mtbf(int64_t n_failures, double observed_s)
{
	return n_failures > 0 ? observed_s / (double)n_failures : fmax(FTMPI__PRIOR_MTBF_S, 2 * observed_s);
}

double ftmpi__interval_optimum(double cost_s, double mtbf_s)
{
	const double x = cost_s / (2 * mtbf_s);

	if (!(cost_s > 0) || !(mtbf_s > 0))
		return cost_s > 0 ? cost_s : 0;
	if (x >= 1)
		return mtbf_s + cost_s;
	return sqrt(2 * cost_s * mtbf_s) * (1 + sqrt(x) / 3 + x / 9);
}

struct ftmpi__interval ftmpi__interval_choose(const struct ftmpi__interval_facts *f)
{
	struct ftmpi__interval i = {.mtbf_s = ftmpi__interval_mtbf(f->n_failures, f->observed_s)};

	i.optimum_s = ftmpi__interval_optimum(f->cost_s, i.mtbf_s);
	i.least_s = f->cost_s / f->overhead;
	i.interval_s = fmax(fmax(i.optimum_s, i.least_s), f->write_s);
	return i;
}

double ftmpi__interval_cost(const double *costs_s, int n)
{
	double sorted[FTMPI__MAX_COSTS];
	int n_sorted = 0;

	for (int i = 0; i < n; i++) {
		int at = n_sorted;

		if (!(costs_s[i] > 0) || isinf(costs_s[i]))
			continue;
		for (; at > 0 && sorted[at - 1] > costs_s[i]; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = costs_s[i];
		n_sorted++;
	}
	return n_sorted == 0 ? 0 : (sorted[(n_sorted - 1) / 2] + sorted[n_sorted / 2]) / 2;
}

/* "12 ms", "0.8 s", "412 s", "90 min", "29 h", "60 days". */
static const char *format_time(double s, char text[32])
{
	static const struct {
		double below_s, unit_s;
		const char *name;
	} units[] = {
		{0.1, 1e-3, "ms"}, {1000, 1, "s"}, {7200, 60, "min"}, {360000, 3600, "h"}, {INFINITY, 86400, "days"}};
	size_t i = 0;

	while (s >= units[i].below_s && i + 1 < sizeof units / sizeof units[0])
		i++;
	(void)snprintf(text, 32, s / units[i].unit_s < 9.95 ? "%.2g %s" : "%.0f %s", s / units[i].unit_s,
		       units[i].name);
	return text;
}

/* Two digits: it is an estimate. */
static double round_steps(double steps)
{
	const double unit = pow(10, fmax(0, floor(log10(fmax(1, steps))) - 1));

	return fmin(fmax(1, rint(steps / unit) * unit), 1e15);
}

/* What the optimum had to give way to, or what it was compared with. */
static void explain(const struct ftmpi__interval_facts *f, const struct ftmpi__interval *i, char *why, size_t why_bytes)
{
	char least[32];

	(void)format_time(i->least_s, least);
	if (f->write_s > fmax(i->optimum_s, i->least_s))
		(void)snprintf(why, why_bytes, "but it is that long until one is durable");
	else
		(void)snprintf(why, why_bytes,
			       i->least_s > i->optimum_s ? "but the budget of %.3g%% allows one every %s at most"
							 : "the budget of %.3g%% asks for at least %s",
			       100 * f->overhead, least);
}

void ftmpi__interval_describe(const struct ftmpi__interval_facts *f, const struct ftmpi__interval *i, double step_s,
			      char text[FTMPI__INTERVAL_TEXT])
{
	char a[32], b[32], c[32], steps[48] = "", failures[112], why[96];

	if (step_s > 0)
		(void)snprintf(steps, sizeof steps, " (~%.0f steps)", round_steps(i->interval_s / step_s));
	(void)format_time(i->mtbf_s, a);
	(void)format_time(f->observed_s, b);
	if (f->n_failures > 0)
		(void)snprintf(failures, sizeof failures, "a failure every %s (%lld in %s)", a,
			       (long long)f->n_failures, b);
	else
		(void)snprintf(failures, sizeof failures, "no failure in %s, so one in %s is assumed", b, a);
	explain(f, i, why, sizeof why);
	(void)snprintf(text, FTMPI__INTERVAL_TEXT, "Checkpoint every %s%s: a save costs %s, %s; Young/Daly %s, %s",
		       format_time(i->interval_s, b), steps, format_time(f->cost_s, c), failures,
		       format_time(i->optimum_s, (char[32]){0}), why);
}
