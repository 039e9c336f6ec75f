/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at the board, and judging what is seen.
 *
 * A rank is to blame when it is stopped or gone for too long, whatever it did; or when it works, so does not wait for others, without a sign of life for
 * longer than its phase may take. Once one is, whoever is stopped or gone by then is to blame too. When nobody is and yet all wait, what they wait for is
 * elsewhere. */
#include "dist/watch.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LEAST_TIMEOUT_S 30.0

/* A step may take so many times what the slowest one took; another node's ranks get so much more, for they know better. */
#define STEPS_TIMEOUT 10.0
#define ELSEWHERE     1.25

enum { LISTED_RANKS = 8 };

static const struct phase_info {
	const char *text;
	double given, measured; /* times the plain limit */
	bool cpu;
} phases[FTMPI_N_PHASES] = {
#define FTMPI_PHASE_INFO(id, text, given, measured, cpu) {text, given, measured, cpu},
	FTMPI_PHASE_LIST(FTMPI_PHASE_INFO)
#undef FTMPI_PHASE_INFO
};

ftmpi_status ftmpi__watcher_init(struct ftmpi__watcher *w, const struct ftmpi__board *board, int n, int n_ranks,
				 double timeout_s)
{
	ftmpi_status status = FTMPI_OK;

	*w = (struct ftmpi__watcher){.board = board, .n = n, .n_ranks = n_ranks, .timeout_s = timeout_s};
	w->period_s = timeout_s > 0 ? fmin(fmax(timeout_s / 10, 0.02), 1.0) : 1.0;
	FTMPI_TRY(FTMPI_ALLOC(n, &w->sights));
	for (int i = 0; i < n; i++) {
		const struct ftmpi__life *life = &board->lives[i];

		w->sights[i].hidden = life->born == 0 || ftmpi__process_read(life->pid, life->tid).born != life->born;
	}
done:
	return status;
}

void ftmpi__watcher_clear(struct ftmpi__watcher *w)
{
	ftmpi_free(w->sights);
	*w = (struct ftmpi__watcher){.board = NULL};
}

static double plain_s(const struct ftmpi__watcher *w)
{
	return w->timeout_s > 0 ? w->timeout_s : fmax(LEAST_TIMEOUT_S, STEPS_TIMEOUT * w->slowest_s);
}

static double limit_s(const struct ftmpi__watcher *w, ftmpi_phase phase)
{
	return plain_s(w) * (w->timeout_s > 0 ? phases[phase].given : phases[phase].measured);
}

/* Whether a time reaches a limit, at the latest before the next look. */
static bool reaches(const struct ftmpi__watcher *w, double time_s, double limit)
{
	return time_s + w->period_s >= limit;
}

static void copy_record(struct ftmpi__sight *s, const struct ftmpi__life *life)
{
	const uint32_t phase = atomic_load_explicit(&life->phase, memory_order_relaxed);
	uint64_t words[FTMPI__NAME_WORDS];

	for (int i = 0; i < FTMPI__NAME_WORDS; i++)
		words[i] = atomic_load_explicit(&life->name[i], memory_order_relaxed);
	memcpy(s->name, words, sizeof words);
	s->name[sizeof words - 1] = '\0';
	s->phase = phase < FTMPI_N_PHASES ? (ftmpi_phase)phase : FTMPI_PHASE_START;
	s->step = atomic_load_explicit(&life->step, memory_order_relaxed);
	s->waiting = atomic_load_explicit(&life->waiting, memory_order_relaxed) != 0;
}

/* What the kernel says of a quiet rank. */
static void ask_kernel(struct ftmpi__sight *s, const struct ftmpi__life *life, double elapsed_s)
{
	const uint64_t cpu = s->process.cpu;

	if (s->hidden)
		return;
	s->process = ftmpi__process_read(life->pid, life->tid);
	if (s->process.born != life->born)
		s->process.state = '\0';
	if (s->process.state == 'T' || s->process.state == 'Z' || s->process.state == 'X' || s->process.state == '\0')
		s->stopped_s += elapsed_s;
	else
		s->stopped_s = 0;
	if (phases[s->phase].cpu && !s->waiting && s->process.cpu != cpu)
		s->quiet_s = 0;
}

static void look_at(struct ftmpi__watcher *w, int i, double elapsed_s)
{
	const struct ftmpi__life *life = &w->board->lives[i];
	const uint64_t beat = atomic_load_explicit(&life->beat, memory_order_acquire);
	struct ftmpi__sight *s = &w->sights[i];

	if (beat != s->beat) {
		if (s->phase == FTMPI_PHASE_STEP && !s->waiting)
			w->slowest_s = fmax(w->slowest_s, s->quiet_s);
		s->beat = beat;
		s->quiet_s = s->stopped_s = 0;
		copy_record(s, life);
		return;
	}
	s->quiet_s += elapsed_s;
	copy_record(s, life);
	ask_kernel(s, life, elapsed_s);
}

static bool is_late(const struct ftmpi__watcher *w, int i)
{
	const struct ftmpi__sight *s = &w->sights[i];

	if (s->stopped_s > 0 && reaches(w, s->stopped_s, plain_s(w)))
		return true;
	return !s->waiting && reaches(w, s->quiet_s, limit_s(w, s->phase));
}

bool ftmpi__watcher_blames(const struct ftmpi__watcher *w, int i)
{
	return w->sights[i].stopped_s > 0 || is_late(w, i);
}

static bool is_any(const struct ftmpi__watcher *w, bool (*is)(const struct ftmpi__watcher *, int))
{
	for (int i = 0; i < w->n; i++)
		if (is(w, i))
			return true;
	return false;
}

/* The rank that began to wait last, when all wait that are not idle; −1: some work, or all are idle. */
static int last_to_wait(const struct ftmpi__watcher *w)
{
	int last = -1;

	for (int i = 0; i < w->n; i++) {
		const struct ftmpi__sight *s = &w->sights[i];

		if (!s->waiting)
			return -1;
		if (s->phase != FTMPI_PHASE_IDLE && (last < 0 || s->quiet_s < w->sights[last].quiet_s))
			last = i;
	}
	return last;
}

static bool all_wait_too_long(const struct ftmpi__watcher *w)
{
	const int last = last_to_wait(w);
	double limit;

	if (last < 0)
		return false;
	limit = limit_s(w, w->sights[last].phase);
	if (w->n < w->n_ranks)
		limit = ELSEWHERE * fmax(limit, limit_s(w, FTMPI_PHASE_CALLBACK));
	return reaches(w, w->sights[last].quiet_s, limit);
}

bool ftmpi__watcher_look(struct ftmpi__watcher *w, double elapsed_s)
{
	const double own_s = fmin(elapsed_s, 2 * w->period_s);

	for (int i = 0; i < w->n; i++)
		look_at(w, i, own_s);
	return is_any(w, is_late) || all_wait_too_long(w);
}

static const char *state_text(const struct ftmpi__sight *s)
{
	if (s->hidden)
		return "in an unknown state";
	switch (s->process.state) {
	case 'R':
		return "running";
	case 'S':
		return "sleeping";
	case 'D':
		return "blocked in the kernel (uninterruptible)";
	case 'T':
		return "stopped by a signal";
	case 't':
		return "stopped by a debugger";
	case 'Z':
	case 'X':
	case '\0':
		return "dead";
	default:
		return "in an unknown state";
	}
}

/* A line that grows; what does not fit is cut off. */
struct text {
	char *data;
	size_t bytes, used;
};

FTMPI_PRINTF(2, 3) static void add(struct text *t, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(t->data + t->used, t->bytes - t->used, fmt, args);
	va_end(args);
	if (n > 0)
		t->used = t->used + (size_t)n < t->bytes ? t->used + (size_t)n : t->bytes - 1;
}

/* "in a callback 'name' (step 7)". */
static void add_doing(struct text *t, const struct ftmpi__sight *s)
{
	add(t, "in %s", phases[s->phase].text);
	if (s->name[0] != '\0')
		add(t, " '%s'", s->name);
	if (s->step >= 0)
		add(t, " (step %lld)", (long long)s->step);
}

static void add_blamed(struct text *t, const struct ftmpi__watcher *w, const char *host)
{
	int n = 0;

	for (int i = 0; i < w->n; i++) {
		const struct ftmpi__sight *s = &w->sights[i];
		const struct ftmpi__life *life = &w->board->lives[i];

		if (!ftmpi__watcher_blames(w, i) || ++n > LISTED_RANKS)
			continue;
		add(t, "%srank %d (host %s, process %d) is %s, %s", n > 1 ? "; " : "", (int)life->rank, host,
		    (int)life->pid, state_text(s), s->waiting ? "waiting " : "");
		add_doing(t, s);
		add(t, " without a sign of life for %.3g s", s->quiet_s);
	}
	if (n > LISTED_RANKS)
		add(t, "; and %d more", n - LISTED_RANKS);
}

/* "; ranks 0, 2, 3 wait". */
static void add_waiting(struct text *t, const struct ftmpi__watcher *w)
{
	int n = 0;

	for (int i = 0; i < w->n; i++)
		if (w->sights[i].waiting && !ftmpi__watcher_blames(w, i) && ++n <= LISTED_RANKS)
			add(t, "%s%d", n == 1 ? "; waiting: " : ", ", (int)w->board->lives[i].rank);
	if (n > LISTED_RANKS)
		add(t, " and %d more", n - LISTED_RANKS);
}

void ftmpi__watcher_describe(const struct ftmpi__watcher *w, const char *host, char *line, size_t line_bytes)
{
	struct text t = {.data = line, .bytes = line_bytes};
	const int last = last_to_wait(w);

	add(&t, "hang: ");
	if (is_any(w, ftmpi__watcher_blames)) {
		add_blamed(&t, w, host);
		add_waiting(&t, w);
	} else if (last >= 0) {
		add(&t, "all ranks of host %s wait ", host);
		add_doing(&t, &w->sights[last]);
		add(&t, " for %.3g s, %s", w->sights[last].quiet_s,
		    w->n < w->n_ranks ? "none of them is late: look at the other hosts" : "for nobody");
	}
	add(&t, "; ending the job: relaunch to go on from the last checkpoint");
}
