/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold after a crash: what was promised until then, and the question whether the real store keeps it. */
#ifndef FTMPI_TESTS_FAULT_CRASH_CHECK_H
#define FTMPI_TESTS_FAULT_CRASH_CHECK_H

#include "crash_model.h"

enum { PROMISE_NUMBERS = 256, PROMISE_DIGESTS = 32, PROBLEM_TEXT = 512 };

/** What was said of one checkpoint. */
typedef struct promise {
	int64_t number;
	bool announced;  /* as saved, or because the program went on from it */
	bool is_listed;  /* it is to be in the state file with its digest */
	bool is_removed; /* its removal has begun: it may be there or not */
	bool is_damaged; /* by the test, not by a crash */
	ftmpi_digest digests
		[PROMISE_DIGESTS]; /* states that it may have: the announced one, and those of saves that have begun since */
	int n_digests;
} promise;

typedef struct promises {
	promise items[PROMISE_NUMBERS];
	int n;
	int n_damaged;
	int version; /* another number: other promises */
} promises;

/** The directory under test. */
typedef struct crash_place {
	const char *root, *store; /* the store's directory is root/store */
	const char *number_path;  /* in its checkpoints */
} crash_place;

/** Take an operation's part in the promises. Errors: ERR_DATA. */
ftmpi_status promises_apply(promises *p, const crash_op *op) FTMPI_CHECK_RESULT;

/** The number of a checkpoint's path; −1: it is none. */
int64_t checkpoint_number(const char *path);

/** Open the store that a crash left and look whether every promise is kept. @param and_save save one more too. Returns false with the reason. */
bool crash_check(const crash_place *place, const promises *p, bool and_save, char problem[PROBLEM_TEXT]);

#endif
