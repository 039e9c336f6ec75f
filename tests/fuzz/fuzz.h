/* SPDX-License-Identifier: Apache-2.0 */
/* What libFuzzer calls, and what the targets share. A target is fed bytes; it must neither crash nor keep memory, and what it takes must be right. */
#ifndef FTMPI_TESTS_FUZZ_FUZZ_H
#define FTMPI_TESTS_FUZZ_FUZZ_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n_bytes, size_t max_bytes, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t n_bytes, size_t max_bytes);

/** A promise is broken: end, so that libFuzzer keeps the input. */
#define FUZZ_NEED(condition)                                                                                           \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			(void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                  \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

/** Every refusal says why, in one line. */
#define FUZZ_NEED_MESSAGE(message) FUZZ_NEED((message)[0] != '\0' && strchr((message), '\n') == NULL)

/** Replace a file in the current directory, which is the target's own. */
static inline void fuzz_write(const char *file, const void *data, size_t n_bytes)
{
	const int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	FUZZ_NEED(fd >= 0);
	FUZZ_NEED(write(fd, data, n_bytes) == (ssize_t)n_bytes);
	FUZZ_NEED(close(fd) == 0);
}

#endif
