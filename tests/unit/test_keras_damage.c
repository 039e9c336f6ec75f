/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged and forged files of Keras: random bytes changed in the archive, in its text and in its weights, the latter two behind right checksums.
 * Nothing crashes, runs on, or takes memory for what a file only claims. FTMPI_DAMAGE_ROUNDS in the environment: rounds per file. */
#include "unit/unit_test.h"

#include "keras/model.h"
#include "keras_test.h"

#include <ftmpi/rng.h>
#include <sys/resource.h>

static const char *const names[] = {"adam.keras", "functional.keras", "chunked.keras", "growable.keras",
				    "keras_3_0.keras"};
enum { N_NAMES = sizeof names / sizeof names[0], MAX_GROWTH_KB = 128 * 1024 };

static int rounds(void)
{
	const char *text = getenv("FTMPI_DAMAGE_ROUNDS");

	return text == NULL ? 2000 : (int)strtol(text, NULL, 10);
}

/* A copy that ends with its memory, so that reading beyond it is seen, with a few bytes changed, nearly all of them where there is something. */
static uint8_t *damaged(const uint8_t *data, size_t n_bytes, uint64_t which, int round)
{
	const ftmpi_rng rng = ftmpi_rng_stream(20, FTMPI_RNG_USER, which, 0);
	uint8_t *copy = malloc(n_bytes);
	uint32_t words[4];

	assert_non_null(copy);
	memcpy(copy, data, n_bytes);
	ftmpi_rng_block(rng, (uint64_t)round, 0, words);
	for (uint32_t i = 0; i <= words[0] % 4; i++) {
		uint32_t change[4];
		size_t at;

		ftmpi_rng_block(rng, (uint64_t)round, i + 1, change);
		at = change[0] % n_bytes;
		while (change[1] % 16 != 0 && data[at] == 0)
			at = (at + 1) % n_bytes;
		switch (change[2] % 4) {
		case 0:
			copy[at] ^= (uint8_t)(1u << change[3] % 8);
			break;
		case 1:
			copy[at] = (uint8_t)change[3];
			break;
		case 2:
			copy[at] = (change[3] & 1) != 0 ? 0xff : 0;
			break;
		default: /* a number of several bytes */
			memcpy(copy + at, &change[3], n_bytes - at < 4 ? n_bytes - at : 4);
		}
	}
	return copy;
}

static void assert_memory_kept(const struct rusage *before)
{
#if !defined(__SANITIZE_ADDRESS__)
	struct rusage now;

	assert_int_equal(getrusage(RUSAGE_SELF, &now), 0);
	assert_true(now.ru_maxrss - before->ru_maxrss < MAX_GROWTH_KB);
#else
	(void)before;
#endif
}

static void assert_harmless(ftmpi_status status, int *n_taken)
{
	if (status != FTMPI_OK && status != FTMPI_ERR_DATA)
		fail_msg("%s: %s", ftmpi_status_name(status), ftmpi_error_message());
	*n_taken += status == FTMPI_OK;
}

static void test_archives(void **state)
{
	struct rusage before;

	(void)state;
	assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
	for (uint64_t f = 0; f < N_NAMES; f++) {
		ftmpi_buffer file = read_bytes(fixture(names[f]));
		int n_taken = 0;

		for (int i = 0; i < rounds() / 10; i++) {
			uint8_t *copy = damaged((const uint8_t *)file.data, file.n_bytes, f, i);
			ftmpi_keras_model *keras = NULL;

			write_bytes("damaged.keras", copy, file.n_bytes);
			assert_harmless(ftmpi_keras_open("damaged.keras", &keras), &n_taken);
			ftmpi_keras_close(&keras);
			free(copy);
		}
		print_message("%s: %d of %d damaged archives were taken\n", names[f], n_taken, rounds() / 10);
		ftmpi_buffer_clear(&file);
	}
	assert_memory_kept(&before);
}

static void test_cuts(void **state)
{
	ftmpi_buffer file = read_bytes(fixture("chunked.keras"));
	ftmpi_keras_model *keras = NULL;

	(void)state;
	for (size_t n = 0; n < file.n_bytes; n += 7) {
		write_bytes("cut.keras", file.data, n);
		assert_int_equal(ftmpi_keras_open("cut.keras", &keras), FTMPI_ERR_DATA);
	}
	ftmpi_buffer_clear(&file);
}

/* Try other weights than the file's: a copy, with as right a checksum as the archive's would be. */
static ftmpi_status load(keras_state *s, uint8_t *data, size_t n_bytes)
{
	ftmpi_keras_model forged = *s->keras;
	bool optimizer_loaded;

	forged.weights = (ftmpi__image){.data = data, .n_bytes = n_bytes};
	return ftmpi_keras_load_weights(&forged, s->registry, &optimizer_loaded);
}

static void test_weights(void **state)
{
	struct rusage before;

	(void)state;
	assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
	for (uint64_t f = 0; f < N_NAMES; f++) {
		keras_state s;
		int n_taken = 0;

		assert_ok(keras_state_open(&s, fixture(names[f])));
		for (int i = 0; s.keras != NULL && i < rounds(); i++) {
			const ftmpi__image *good = &s.keras->weights;
			uint8_t *copy = damaged(good->data, good->n_bytes, 100 + f, i);

			assert_harmless(load(&s, copy, good->n_bytes), &n_taken);
			free(copy);
		}
		print_message("%s: %d of %d damaged weights were taken\n", names[f], n_taken, rounds());
		keras_state_clear(&s);
	}
	assert_memory_kept(&before);
}

static void test_weights_cut(void **state)
{
	keras_state s;

	(void)state;
	assert_ok(keras_state_open(&s, fixture("chunked.keras")));
	for (size_t n = 1; s.keras != NULL && n < s.keras->weights.n_bytes; n += 13) {
		uint8_t *copy = malloc(n);

		assert_non_null(copy);
		memcpy(copy, s.keras->weights.data, n);
		assert_int_equal(load(&s, copy, n), FTMPI_ERR_DATA);
		free(copy);
	}
	keras_state_clear(&s);
}

/* Where a pattern is for the n-th time, from 1 on. */
static uint8_t *find(uint8_t *data, size_t n_bytes, const void *pattern, size_t pattern_bytes, int n)
{
	for (uint8_t *at = data; (size_t)(at - data) + pattern_bytes <= n_bytes; at++)
		if (memcmp(at, pattern, pattern_bytes) == 0 && --n == 0)
			return at;
	fail_msg("nothing to forge");
	return data;
}

static void put(uint8_t *at, uint64_t number, int n_bytes)
{
	for (int i = 0; i < n_bytes; i++)
		at[i] = (uint8_t)(number >> (8 * i));
}

/* A tree whose node is its own child. */
static void forge_tree(uint8_t *data, size_t n_bytes)
{
	uint8_t *node = find(data, n_bytes, "TREE", 4, 2);

	node[5] = 5;                                /* its level */
	put(node + 32, (uint64_t)(node - data), 8); /* its first child */
}

/* A group that contains the root. */
static void forge_group(uint8_t *data, size_t n_bytes)
{
	uint8_t *leaf = find(data, n_bytes, "SNOD", 4, 2);

	put(leaf + 16, 96, 8); /* object of the first link: the root's header, behind the superblock */
}

/* Chunks far larger than the dataset, and many of them: layout of version 3, chunked, 2 + 1 dimensions, tree, 3 by 2 elements of 8 bytes. */
static void forge_chunks(uint8_t *data, size_t n_bytes)
{
	static const uint8_t chunk[] = {3, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0};
	uint8_t *at = find(data, n_bytes, chunk, sizeof chunk, 1);

	put(at + 4, 1 << 24, 4);
}

static void forge_chunks_empty(uint8_t *data, size_t n_bytes)
{
	static const uint8_t chunk[] = {3, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0};

	put(find(data, n_bytes, chunk, sizeof chunk, 1), 0, 4);
}

/* A name that begins beyond its heap, and a heap that ends beyond the file. */
static void forge_name(uint8_t *data, size_t n_bytes)
{
	put(find(data, n_bytes, "SNOD", 4, 1) + 8, UINT64_MAX - 7, 8);
}

static void forge_heap(uint8_t *data, size_t n_bytes)
{
	put(find(data, n_bytes, "HEAP", 4, 1) + 8, UINT64_MAX - 7, 8);
}

static void test_forged(void **state)
{
	static const struct {
		void (*forge)(uint8_t *data, size_t n_bytes);
		const char *says;
	} forgeries[] = {
		{forge_tree, "a tree that goes in circles"}, {forge_group, "groups nested too deep"},
		{forge_chunks, "chunks of an absurd size"},  {forge_chunks_empty, "chunks without elements"},
		{forge_name, "a link without a name"},       {forge_heap, "a header beyond the end of the file"},
	};
	keras_state s;

	(void)state;
	assert_ok(keras_state_open(&s, fixture("chunked.keras")));
	for (size_t i = 0; s.keras != NULL && i < sizeof forgeries / sizeof forgeries[0]; i++) {
		const ftmpi__image *good = &s.keras->weights;
		uint8_t *copy = malloc(good->n_bytes);

		assert_non_null(copy);
		memcpy(copy, good->data, good->n_bytes);
		forgeries[i].forge(copy, good->n_bytes);
		assert_fails(load(&s, copy, good->n_bytes), FTMPI_ERR_DATA, forgeries[i].says);
		free(copy);
	}
	keras_state_clear(&s);
}

static void test_texts(void **state)
{
	struct rusage before;

	(void)state;
	assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
	for (uint64_t f = 0; f < 2; f++) {
		ftmpi_buffer text = read_bytes(fixture(f == 0 ? "sequential.json" : "functional.json"));
		int n_taken = 0;

		for (int i = 0; i < rounds(); i++) {
			char *copy = (char *)damaged((const uint8_t *)text.data, text.n_bytes, 200 + f, i);
			ftmpi_keras_model *keras = NULL;

			assert_harmless(ftmpi_keras_parse(copy, text.n_bytes, "text", &keras), &n_taken);
			ftmpi_keras_close(&keras);
			free(copy);
		}
		print_message("%d of %d damaged texts were taken\n", n_taken, rounds());
		ftmpi_buffer_clear(&text);
	}
	assert_memory_kept(&before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_archives),    cmocka_unit_test(test_cuts),   cmocka_unit_test(test_weights),
		cmocka_unit_test(test_weights_cut), cmocka_unit_test(test_forged), cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
