/* SPDX-License-Identifier: Apache-2.0 */
/* How long to go between two saves: arithmetic alone, of the cost of a save and of how often failures come.
 *
 * With δ what a save costs and M the mean time between failures, the least time is lost to saves, and to work that failures undo, when saves begin P apart:
 *
 *     P ≈ sqrt(2 δ M)                                                      for small δ     [1]
 *     P ≈ sqrt(2 δ M) · (1 + sqrt(δ / 2M) / 3 + (δ / 2M) / 9)              for δ < 2M      [2], eq. 37
 *     P = M + δ                                                            else            [2]
 *
 * [2] gives the time from the end of a save to the beginning of the next one, which is P − δ. The optimum is flat: a P that is wrong by a factor of 2, that is an M
 * wrong by a factor of 4, costs a quarter more than the best one.
 *
 * [1] J. W. Young, A first order approximation to the optimum checkpoint interval, Communications of the ACM 17 (9), 1974, 530–531
 * [2] J. T. Daly, A higher order estimate of the optimum checkpoint interval for restart dumps, Future Generation Computer Systems 22 (3), 2006, 303–312 */
#ifndef FTMPI_TRAIN_INTERVAL_H
#define FTMPI_TRAIN_INTERVAL_H

#include <stddef.h>
#include <stdint.h>

/** What is known. */
struct ftmpi__interval_facts {
	double cost_s;      /* of a save: how long the training waits for it; ≥ 0 */
	int64_t n_failures; /* ≥ 0 */
	double observed_s;  /* time spent training, in which they came; ≥ 0 */
	double overhead;    /* most of the time that saves may take, 0 … 1, not 0 */
	double write_s;     /* from the beginning of a save to when it is durable; ≥ 0; 0: not known */
};

/** What follows. Times between the beginnings of two saves. */
struct ftmpi__interval {
	double mtbf_s;    /* mean time between failures */
	double optimum_s; /* Young/Daly */
	double least_s;   /* saves more often than this take more than `overhead` of the time */
	double interval_s; /* the largest one of these two and the facts' write_s: the budget wins, and no save waits for the one before */
};

/** Longest text of ftmpi__interval_describe. */
enum { FTMPI__INTERVAL_TEXT = 320 };

/** Mean time between failures that is assumed before the first one: a day. Local. */
#define FTMPI__PRIOR_MTBF_S 86400.0

/**
 * Mean time between failures. With n ≥ 1 of them in T seconds T / n, the maximum of the likelihood when they come independently at a constant rate. With none
 * it is 2 T, as if there had been half a failure: the mean rate of Jeffreys's prior after T without one, Gamma(1/2, T). But at least a day: a job on some
 * nodes of a shared cluster meets something about once a day (an end of time, a preemption, a node that dies), a guess four times too small or too large
 * costs little (see above), and the first failure ends the guessing. Time whose work a failure undid is not in T, which makes M too small by about half an
 * interval: the safe side.
 */
double ftmpi__interval_mtbf(int64_t n_failures, double observed_s);

/** Young/Daly. 0 when saves cost nothing, or when failures come without pause. */
double ftmpi__interval_optimum(double cost_s, double mtbf_s);

struct ftmpi__interval ftmpi__interval_choose(const struct ftmpi__interval_facts *facts);

/** The median of those of n costs that are above 0 and finite; 0: there are none. @param n at most FTMPI__MAX_COSTS. */
enum { FTMPI__MAX_COSTS = 15 };
double ftmpi__interval_cost(const double *costs_s, int n);

/** One line that says what was chosen and why. @param step_s how long a step takes; 0: not known. */
void ftmpi__interval_describe(const struct ftmpi__interval_facts *facts, const struct ftmpi__interval *interval,
			      double step_s, char text[FTMPI__INTERVAL_TEXT]);

#endif
