/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of checkpoints share: a program's worth of arrays of every type. Include after unit_test.h or mpi_test.h. */
#ifndef FTMPI_TESTS_CKPT_TEST_H
#define FTMPI_TESTS_CKPT_TEST_H

#include "file_test.h"

#include <ftmpi/registry.h>

/** Arrays of every type, scalars, texts, growable and empty ones. */
typedef struct sample {
	float kernel[2][3];
	double f64[4];
	int32_t i32[5];
	int64_t step;
	uint8_t u8[3];
	uint64_t u64[1];
	float rate;
	float none[1];
	char label[4];
	ftmpi_buffer text, empty_text, history, empty_history;
} sample;

enum { SAMPLE_ENTRIES = 13 };

/** Values that depend on `seed`; the growable ones get a length that does too. */
static inline void sample_fill(sample *s, int seed)
{
	for (int i = 0; i < 6; i++)
		s->kernel[i / 3][i % 3] = (float)seed + 0.25f * (float)i;
	for (int i = 0; i < 4; i++)
		s->f64[i] = 1.0 / (seed + i + 1);
	for (int i = 0; i < 5; i++)
		s->i32[i] = -seed * i;
	s->step = INT64_C(10000000000) + seed;
	memset(s->u8, seed, sizeof s->u8);
	s->u64[0] = UINT64_MAX - (uint64_t)seed;
	s->rate = 0.5f / (float)(seed + 1);
	memcpy(s->label, "a\0b", sizeof s->label);
	assert_ok(ftmpi_buffer_resize(&s->text, 0));
	assert_ok(ftmpi_buffer_printf(&s->text, "seed %d, h\xc3\xa9", seed));
	assert_ok(ftmpi_buffer_resize(&s->history, 0));
	for (int i = 0; i < seed % 5 + 1; i++) {
		const double x = seed * 10 + i;

		assert_ok(ftmpi_buffer_append(&s->history, &x, sizeof x));
	}
	assert_ok(ftmpi_buffer_resize(&s->empty_text, 0));
	assert_ok(ftmpi_buffer_resize(&s->empty_history, 0));
}

/** Add a sample's SAMPLE_ENTRIES arrays to a registry. */
static inline void sample_add(sample *s, ftmpi_registry *r)
{
	const int64_t two_three[] = {2, 3}, one = 1, three = 3, four = 4, five = 5, zero_seven[] = {0, 7};
	const int n_before = ftmpi_registry_n_entries(r);

	assert_ok(ftmpi_registry_add_group(r, "vars", "sequential"));
	assert_ok(ftmpi_registry_add_group(r, "layers/flatten/vars", "flatten"));
	assert_ok(ftmpi_registry_add_group(r, "layers/dense/vars", "dense"));
	assert_ok(ftmpi_registry_add(r, "layers/dense/vars/0", FTMPI_F32, 2, two_three, s->kernel, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_scalar(r, "optimizer/vars/0", FTMPI_I64, &s->step, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_scalar(r, "optimizer/vars/1", FTMPI_F32, &s->rate, FTMPI_STATE));
	assert_ok(ftmpi_registry_add(r, "ftmpi/f64", FTMPI_F64, 1, &four, s->f64, FTMPI_STATE));
	assert_ok(ftmpi_registry_add(r, "ftmpi/i32", FTMPI_I32, 1, &five, s->i32, FTMPI_STATE));
	assert_ok(ftmpi_registry_add(r, "ftmpi/u8", FTMPI_U8, 1, &three, s->u8, FTMPI_STATE));
	assert_ok(ftmpi_registry_add(r, "ftmpi/u64", FTMPI_U64, 1, &one, s->u64, FTMPI_STATE));
	assert_ok(ftmpi_registry_add(r, "ftmpi/none", FTMPI_F32, 2, zero_seven, s->none, FTMPI_STATE));
	assert_ok(ftmpi_registry_add(r, "ftmpi/label", FTMPI_TEXT, 1, &four, s->label, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_buffer(r, "ftmpi/text", FTMPI_TEXT, &s->text, FTMPI_RECORD));
	assert_ok(ftmpi_registry_add_buffer(r, "ftmpi/empty_text", FTMPI_TEXT, &s->empty_text, FTMPI_RECORD));
	assert_ok(ftmpi_registry_add_buffer(r, "ftmpi/history", FTMPI_F64, &s->history, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_buffer(r, "ftmpi/empty_history", FTMPI_F64, &s->empty_history, FTMPI_STATE));
	assert_int_equal(ftmpi_registry_n_entries(r) - n_before, SAMPLE_ENTRIES);
}

static inline ftmpi_registry *sample_register(sample *s)
{
	ftmpi_registry *r = NULL;

	assert_ok(ftmpi_registry_create(&r));
	sample_add(s, r);
	return r;
}

static inline void assert_buffer_equal(const ftmpi_buffer *a, const ftmpi_buffer *b)
{
	assert_int_equal(a->n_bytes, b->n_bytes);
	if (a->n_bytes > 0)
		assert_memory_equal(a->data, b->data, a->n_bytes);
}

/** Every bit of every array. */
static inline void assert_sample_equal(const sample *a, const sample *b)
{
	assert_memory_equal(a->kernel, b->kernel, sizeof a->kernel);
	assert_memory_equal(a->f64, b->f64, sizeof a->f64);
	assert_memory_equal(a->i32, b->i32, sizeof a->i32);
	assert_int_equal(a->step, b->step);
	assert_memory_equal(a->u8, b->u8, sizeof a->u8);
	assert_true(a->u64[0] == b->u64[0]);
	assert_memory_equal(&a->rate, &b->rate, sizeof a->rate);
	assert_memory_equal(a->label, b->label, sizeof a->label);
	assert_buffer_equal(&a->text, &b->text);
	assert_buffer_equal(&a->empty_text, &b->empty_text);
	assert_buffer_equal(&a->history, &b->history);
	assert_buffer_equal(&a->empty_history, &b->empty_history);
}

static inline void sample_clear(sample *s)
{
	ftmpi_buffer_clear(&s->text);
	ftmpi_buffer_clear(&s->empty_text);
	ftmpi_buffer_clear(&s->history);
	ftmpi_buffer_clear(&s->empty_history);
}

#endif
