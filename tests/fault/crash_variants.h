/* SPDX-License-Identifier: Apache-2.0 */
/* What a file may hold after a crash. */
#ifndef FTMPI_TESTS_FAULT_CRASH_VARIANTS_H
#define FTMPI_TESTS_FAULT_CRASH_VARIANTS_H

#include "crash_model.h"

/** Contents that are possible, each once. All zero is a valid empty set. */
typedef struct crash_variants {
	ftmpi_buffer *contents;
	ftmpi_digest *digests;
	int n, capacity;
} crash_variants;

/**
 * The contents of a file of which some was written and not synced: nothing of that, or all; in blocks of 512 and of 4096 bytes: the start of it
 * with the length cut there, with zeros or with garbage behind; the end of it behind zeros; one block missing, one block alone; and some drawn at
 * random, block by block: as it was, written, zero, garbage. A clean file has one. The first is what is durable, the second what was written.
 * Errors: ERR_MEMORY.
 */
ftmpi_status crash_variants_make(const model_file *file, uint64_t seed, crash_variants *out) FTMPI_CHECK_RESULT;
void crash_variants_clear(crash_variants *v);

/** A small generator, the same on every machine. */
uint32_t crash_draw(uint64_t *seed);

#endif
