/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the checkpoint directory share. Include after unit_test.h or mpi_test.h. */
#ifndef FTMPI_TESTS_STORE_TEST_H
#define FTMPI_TESTS_STORE_TEST_H

#include "ckpt_test.h"
#include "save_mode.h"

#include <ftmpi/store.h>

/** A store under test: checkpoint N holds the sample of seed N. */
typedef struct store_fixture {
	char directory[64];
	ftmpi_store_options options;
	ftmpi_store *store;
	sample s;
	ftmpi_registry *registry;
	double now_s;
} store_fixture;

static inline double fixture_now(void *context)
{
	return *(const double *)context;
}

static inline void fixture_open(store_fixture *f)
{
	assert_null(f->store);
	assert_ok(ftmpi_store_open(f->directory, &f->options, &f->store));
}

/** A store in a new directory, with a clock of its own at 1000. */
static inline void fixture_create(store_fixture *f, const char *directory)
{
	*f = (store_fixture){.now_s = 1000};
	(void)snprintf(f->directory, sizeof f->directory, "%s", directory);
	ftmpi_store_options_init(&f->options);
	f->options.lock_wait_s = 0;
	f->options.now = fixture_now;
	f->options.now_context = &f->now_s;
	sample_fill(&f->s, 0);
	f->registry = sample_register(&f->s);
	fixture_open(f);
}

static inline void fixture_reopen(store_fixture *f)
{
	ftmpi_store_close(&f->store);
	fixture_open(f);
}

static inline void fixture_destroy(store_fixture *f)
{
	ftmpi_store_close(&f->store);
	ftmpi_registry_destroy(&f->registry);
	sample_clear(&f->s);
}

/** Save the sample of seed `number` as checkpoint `number`. */
static inline ftmpi_status fixture_save(store_fixture *f, int number)
{
	sample_fill(&f->s, number);
	return save_in_mode(f->store, f->registry, number);
}

static inline const char *fixture_file(const store_fixture *f, int number, const char *suffix, char file[128])
{
	(void)snprintf(file, 128, "%s/ckpt-%d.weights.h5%s", f->directory, number, suffix);
	return file;
}

/** Flip a bit in the middle of a checkpoint. */
static inline void fixture_damage(const store_fixture *f, int number)
{
	char file[128];
	ftmpi_buffer bytes = read_bytes(fixture_file(f, number, "", file));

	bytes.data[bytes.n_bytes / 2] ^= 1;
	write_bytes(file, bytes.data, bytes.n_bytes);
	ftmpi_buffer_clear(&bytes);
}

/** Expect the numbers of the store's items, as text: "1 2 5p"; p: preserved, u: not listed. */
static inline void assert_items(const ftmpi_store *store, const char *expected)
{
	char text[1024] = "";
	size_t used = 0;

	for (int i = 0; i < ftmpi_store_n_items(store); i++) {
		const ftmpi_store_item *item = ftmpi_store_get(store, i);

		used += (size_t)snprintf(text + used, sizeof text - used, "%s%lld%s%s", i > 0 ? " " : "",
					 (long long)item->number, item->preserved ? "p" : "", item->listed ? "" : "u");
		assert_true(file_exists(item->file));
	}
	assert_string_equal(text, expected);
}

/** Expect a reader of the sample of this seed; close it. */
static inline void assert_reader_holds(ftmpi_reader **reader, int seed)
{
	sample expected = {0}, loaded = {0};
	ftmpi_registry *target;

	assert_non_null(*reader);
	sample_fill(&expected, seed);
	sample_fill(&loaded, seed + 1);
	target = sample_register(&loaded);
	assert_ok(ftmpi_reader_load(*reader, target));
	assert_sample_equal(&expected, &loaded);
	ftmpi_registry_destroy(&target);
	sample_clear(&expected);
	sample_clear(&loaded);
	ftmpi_reader_close(reader);
}

/** Expect the newest good checkpoint to hold this sample. */
static inline void assert_latest(store_fixture *f, int seed)
{
	ftmpi_reader *reader = NULL;

	assert_ok(ftmpi_store_open_latest(f->store, &reader));
	assert_reader_holds(&reader, seed);
}

#endif
