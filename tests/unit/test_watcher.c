/* SPDX-License-Identifier: Apache-2.0 */
/* What a watcher makes of a board: who is late, who waits, what a phase may take, processes that are stopped or dead, and the line. Time is told by the
 * test. */
#include "unit/unit_test.h"

#include "dist/watch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 3 };

struct scene {
	struct ftmpi__board *board;
	struct ftmpi__watch ranks[N];
	struct ftmpi__watcher watcher;
	char line[1024];
};

/* All ranks are this process, working in a step. */
static void begin(struct scene *s, int n_ranks, double timeout_s)
{
	memset(s, 0, sizeof *s);
	assert_ok(ftmpi_alloc(1, sizeof *s->board + N * sizeof s->board->lives[0], &s->board));
	for (int i = 0; i < N; i++) {
		s->ranks[i].life = &s->board->lives[i];
		ftmpi__life_begin(s->ranks[i].life, i);
		atomic_store(&s->ranks[i].life->phase, FTMPI_PHASE_STEP);
	}
	assert_ok(ftmpi__watcher_init(&s->watcher, s->board, N, n_ranks, timeout_s));
}

static void end(struct scene *s)
{
	ftmpi__watcher_clear(&s->watcher);
	ftmpi_free(s->board);
}

static void beat(struct scene *s, int rank)
{
	ftmpi__beat(s->ranks[rank].life);
}

static void all_wait_but(struct scene *s, int rank)
{
	for (int i = 0; i < N; i++)
		ftmpi__wait(&s->ranks[i], i != rank);
}

static void set_phase(struct scene *s, int rank, ftmpi_phase phase)
{
	atomic_store(&s->ranks[rank].life->phase, phase);
	beat(s, rank);
}

/* Looks until it finds a hang, at most so long. @return the time when it did; −1: it did not. */
static double watch(struct scene *s, double most_s)
{
	const int n = (int)(most_s / s->watcher.period_s + 1e-9);

	for (int i = 1; i <= n; i++)
		if (ftmpi__watcher_look(&s->watcher, s->watcher.period_s))
			return i * s->watcher.period_s;
	return -1;
}

/* A hang is found within the limit, and not long before. */
static void expect_hang_within(struct scene *s, double limit_s)
{
	const double period_s = s->watcher.period_s;
	double found_s;

	assert_false(ftmpi__watcher_look(&s->watcher, 0));
	found_s = watch(s, 2 * limit_s);
	if (found_s > limit_s + 1e-9 || found_s < limit_s - 2.1 * period_s)
		fail_msg("found after %g s where the limit is %g s", found_s, limit_s);
	ftmpi__watcher_describe(&s->watcher, "here", s->line, sizeof s->line);
}

static void expect_line(const struct scene *s, const char *text)
{
	if (strstr(s->line, text) == NULL)
		fail_msg("'%s' lacks '%s'", s->line, text);
}

static void test_life_goes_on(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, N, 2);
	for (int i = 0; i < 1000; i++) {
		beat(&s, 0);
		beat(&s, 2);
		if (i % 5 == 0)
			ftmpi__wait(&s.ranks[1], i % 2 == 0);
		assert_false(ftmpi__watcher_look(&s.watcher, s.watcher.period_s));
	}
	end(&s);
}

/* The one that works is late; those that wait for it are not. */
static void test_late(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, N, 5);
	all_wait_but(&s, 1);
	atomic_store(&s.ranks[1].life->step, 37);
	assert_true(watch(&s, 0.5) < 0);
	beat(&s, 1);
	expect_hang_within(&s, 5.5);
	assert_false(ftmpi__watcher_blames(&s.watcher, 0));
	assert_true(ftmpi__watcher_blames(&s.watcher, 1));
	assert_false(ftmpi__watcher_blames(&s.watcher, 2));
	expect_line(&s, "hang: rank 1 (host here, process ");
	expect_line(&s, "is running, in a step (step 37) without a sign of life for 4.");
	expect_line(&s, "; waiting: 0, 2; ending the job");
	end(&s);
}

/* By default a limit never falls below 30 s, and grows with the steps. */
static void test_default_limit(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, N, 0);
	all_wait_but(&s, 0);
	expect_hang_within(&s, 30);
	end(&s);

	begin(&s, N, 0);
	all_wait_but(&s, 0);
	assert_false(ftmpi__watcher_look(&s.watcher, 0));
	assert_true(watch(&s, 8) < 0);
	beat(&s, 0); /* a step that took 8 s */
	expect_hang_within(&s, 80);
	end(&s);
}

static void test_phases(void **state)
{
	static const struct {
		ftmpi_phase phase;
		double timeout_s, limit_s;
	} rows[] = {{FTMPI_PHASE_FIRST_STEP, 5, 50}, {FTMPI_PHASE_SAVE, 5, 50},      {FTMPI_PHASE_EVALUATE, 5, 50},
		    {FTMPI_PHASE_CALLBACK, 5, 5},    {FTMPI_PHASE_CALLBACK, 0, 300}, {FTMPI_PHASE_SAVE, 0, 300},
		    {FTMPI_PHASE_FIRST_STEP, 0, 300}};
	struct scene s;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		begin(&s, N, rows[i].timeout_s);
		s.watcher.sights[2].hidden = true; /* no processor time */
		all_wait_but(&s, 2);
		set_phase(&s, 2, rows[i].phase);
		expect_hang_within(&s, rows[i].limit_s);
		end(&s);
	}
}

/* Nobody is late, and yet nothing goes on: the message is lost, or another node is late. */
static void test_all_wait(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, N, 5);
	all_wait_but(&s, -1);
	expect_hang_within(&s, 5);
	expect_line(&s, "all ranks of host here wait in a step for ");
	expect_line(&s, "s, for nobody;");
	end(&s);

	begin(&s, N + 1, 4);
	all_wait_but(&s, -1);
	expect_hang_within(&s, 5);
	expect_line(&s, "none of them is late: look at the other hosts");
	end(&s);

	begin(&s, N + 1, 0); /* there a callback may go on */
	all_wait_but(&s, -1);
	expect_hang_within(&s, 375);
	end(&s);
}

/* Ranks without work wait for ever; they do not hide those that hang. */
static void test_idle(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, N, 5);
	for (int i = 0; i < N; i++) {
		set_phase(&s, i, FTMPI_PHASE_IDLE);
		ftmpi__wait(&s.ranks[i], true);
	}
	assert_true(watch(&s, 500) < 0);
	set_phase(&s, 1, FTMPI_PHASE_STEP);
	expect_hang_within(&s, 5);
	end(&s);
}

/* A watcher that did not run for an hour has seen nothing of it. */
static void test_own_pause(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, N, 5);
	all_wait_but(&s, 0);
	assert_false(ftmpi__watcher_look(&s.watcher, s.watcher.period_s));
	assert_false(ftmpi__watcher_look(&s.watcher, 3600));
	expect_hang_within(&s, 5 - 3 * s.watcher.period_s);
	end(&s);
}

/* Processor time is a sign of life where the library reads and writes, and nowhere else. */
static void test_processor_time(void **state)
{
	struct scene s;

	(void)state;
	for (int phase = 0; phase < 2; phase++) {
		uint64_t ticks;
		bool hang = false;

		begin(&s, N, 1);
		all_wait_but(&s, 0);
		set_phase(&s, 0, phase == 0 ? FTMPI_PHASE_SAVE : FTMPI_PHASE_STEP);
		(void)ftmpi__watcher_look(&s.watcher, s.watcher.period_s);
		for (int i = 0; i < 150 && !hang; i++) {
			ticks = s.watcher.sights[0].process.cpu;
			while (ftmpi__process_read((int)getpid(), (int)getpid()).cpu == ticks)
				; /* reading takes processor time */
			hang = ftmpi__watcher_look(&s.watcher, s.watcher.period_s);
		}
		assert_int_equal(hang, phase == 1);
		end(&s);
	}
}

/* Rank 2 is another process. @param later by how much the board has it born later than it was: another number than 0 hides it. */
static pid_t begin_with_process(struct scene *s, uint64_t later)
{
	const pid_t child = fork();

	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves none behind */
		for (;;)
			(void)pause();
	}
	assert_true(child > 0);
	begin(s, N, 5);
	s->ranks[2].life->pid = s->ranks[2].life->tid = (int32_t)child;
	s->ranks[2].life->born = ftmpi__process_read(child, child).born + later;
	ftmpi__watcher_clear(&s->watcher);
	assert_ok(ftmpi__watcher_init(&s->watcher, s->board, N, N, 5));
	return child;
}

static void wait_for_state(pid_t child, char process_state)
{
	while (ftmpi__process_read(child, child).state != process_state)
		(void)usleep(1000);
}

static void end_process(pid_t child)
{
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
}

/* Stopped while it waits, or in a phase that may take long: the limit is the plain one, from when it was stopped. */
static void test_stopped(void **state)
{
	struct scene s;
	pid_t child;

	(void)state;
	child = begin_with_process(&s, 0);
	for (int waits = 0; waits < 2; waits++) {
		all_wait_but(&s, 1); /* which goes on saving */
		ftmpi__wait(&s.ranks[2], waits != 0);
		set_phase(&s, 1, FTMPI_PHASE_SAVE);
		set_phase(&s, 2, FTMPI_PHASE_SAVE);
		assert_true(watch(&s, 20) < 0);
		(void)kill(child, SIGSTOP);
		wait_for_state(child, 'T');
		assert_true(watch(&s, 3) < 0);
		(void)kill(child, SIGCONT);
		wait_for_state(child, 'S');
		assert_true(watch(&s, 3) < 0);
		(void)kill(child, SIGSTOP);
		wait_for_state(child, 'T');
		expect_hang_within(&s, 5);
		expect_line(&s, "rank 2 (host here, process ");
		expect_line(&s,
			    waits ? "is stopped by a signal, waiting in a save" : "is stopped by a signal, in a save");
		assert_false(ftmpi__watcher_blames(&s.watcher, 0));
		assert_false(ftmpi__watcher_blames(&s.watcher, 1));
		(void)kill(child, SIGCONT);
		wait_for_state(child, 'S');
	}
	end_process(child);
	end(&s);
}

/* Who is stopped when the hang is found is named, however short that is. */
static void test_stopped_later(void **state)
{
	struct scene s;
	pid_t child;

	(void)state;
	child = begin_with_process(&s, 0);
	all_wait_but(&s, 1);
	assert_true(watch(&s, 3) < 0);
	(void)kill(child, SIGSTOP);
	wait_for_state(child, 'T');
	expect_hang_within(&s, 2);
	expect_line(&s, "hang: rank 1 (host here, process ");
	expect_line(&s, "; rank 2 (host here, process ");
	expect_line(&s, "is stopped by a signal, waiting in a step");
	expect_line(&s, "; waiting: 0; ending the job");
	end_process(child);
	end(&s);
}

/* Dead is one too, but only where its process could be seen before. */
static void test_dead(void **state)
{
	struct scene s;

	(void)state;
	for (int hidden = 0; hidden < 2; hidden++) {
		const pid_t child = begin_with_process(&s, (uint64_t)hidden);

		all_wait_but(&s, 0);
		set_phase(&s, 0, FTMPI_PHASE_SAVE);
		s.watcher.sights[0].hidden = true;
		end_process(child);
		expect_hang_within(&s, hidden ? 50 : 5);
		expect_line(&s, hidden ? "rank 0 (host here" : "rank 2 (host here");
		expect_line(&s, hidden ? "is in an unknown state, in a save" : "is dead, waiting in a step");
		end(&s);
	}
}

/* The line is one line, and fits. */
static void test_line(void **state)
{
	struct scene s;
	char little[40];

	(void)state;
	begin(&s, N, 5);
	memcpy(&s.ranks[0].life->name, "a name of 23 bytes, all", FTMPI__NAME_BYTES);
	set_phase(&s, 0, FTMPI_PHASE_CALLBACK);
	expect_hang_within(&s, 5);
	expect_line(&s, "in a callback 'a name of 23 bytes, all' without a sign");
	expect_line(&s, "; rank 2 (");
	assert_null(strstr(s.line, "waiting"));
	assert_null(strchr(s.line, '\n'));
	ftmpi__watcher_describe(&s.watcher, "here", little, sizeof little);
	assert_int_equal(strlen(little), sizeof little - 1);
	end(&s);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_life_goes_on),   cmocka_unit_test(test_late),     cmocka_unit_test(test_default_limit),
	cmocka_unit_test(test_phases),         cmocka_unit_test(test_all_wait), cmocka_unit_test(test_idle),
	cmocka_unit_test(test_own_pause),      cmocka_unit_test(test_stopped),  cmocka_unit_test(test_dead),
	cmocka_unit_test(test_processor_time), cmocka_unit_test(test_line),     cmocka_unit_test(test_stopped_later),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
