/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of checkpoint objects and managers share. */
#ifndef FTMPI_TESTS_CHECKPOINT_TEST_H
#define FTMPI_TESTS_CHECKPOINT_TEST_H

#include "mpi/mpi_test.h"

#include "store_test.h"

#include <ftmpi/checkpoint.h>
#include <ftmpi/failpoint.h>

/** A rank's program: a sample, tracked. */
typedef struct side {
	sample s;
	ftmpi_checkpoint *checkpoint;
	bool chief;
} side;

static inline void side_create(side *s)
{
	*s = (side){.chief = ftmpi_comm_is_chief(world)};
	assert_ok(ftmpi_checkpoint_create(world, &s->checkpoint));
	sample_fill(&s->s, 0);
	sample_add(&s->s, ftmpi_checkpoint_registry(s->checkpoint));
}

static inline void side_destroy(side *s)
{
	ftmpi_checkpoint_destroy(&s->checkpoint);
	assert_null(s->checkpoint);
	sample_clear(&s->s);
}

/** Other values and other lengths of the growable arrays on every rank. */
static inline void side_scramble(side *s)
{
	sample_fill(&s->s, 20 + ftmpi_comm_rank(world));
}

static inline void assert_scrambled(const side *s)
{
	sample expected = {0};

	sample_fill(&expected, 20 + ftmpi_comm_rank(world));
	assert_sample_equal(&expected, &s->s);
	sample_clear(&expected);
}

/** Expect the sample of this seed and this save counter. */
static inline void assert_holds(const side *s, int seed, int64_t counter)
{
	sample expected = {0};

	sample_fill(&expected, seed);
	assert_sample_equal(&expected, &s->s);
	assert_int_equal(ftmpi_checkpoint_save_counter(s->checkpoint), counter);
	sample_clear(&expected);
}

static inline void arm(const char *spec)
{
	assert_ok(ftmpi_failpoints_arm(spec, ftmpi_comm_rank(world)));
}

/** On the chief, which alone warns: standard error goes to a file until listen_end. */
static inline int listen_begin(void)
{
	return ftmpi_comm_is_chief(world) ? capture_begin() : -1;
}

/** Expect so many lines on the chief, the text among them. */
static inline void listen_end(int saved, int n_lines, const char *part)
{
	ftmpi_buffer text;

	if (!ftmpi_comm_is_chief(world))
		return;
	text = capture_end(saved);
	assert_captured(&text, n_lines, part);
}

#endif
