/* SPDX-License-Identifier: Apache-2.0 */
/* Breaking the order of a commit on purpose, in the log: as if the program had not called one kind of fsync, or had done two things in the other
 * order. */
#ifndef FTMPI_TESTS_FAULT_CRASH_CONTROLS_H
#define FTMPI_TESTS_FAULT_CRASH_CONTROLS_H

#include "crash_model.h"

typedef struct crash_control {
	const char *name;
	bool swaps;      /* else it drops syncs */
	bool is_noticed; /* the explorer must find a state that breaks a promise; else it must find none */
	const char *why; /* nothing is noticed */
} crash_control;

int crash_n_controls(void);
const crash_control *crash_control_get(int i);

/** The control that an operation belongs to; −1: it is no sync. */
int crash_control_of(const crash_log *log, int op);

/** Apply a control to a log; returns the number of places. Undo by reading the log again. */
int crash_control_apply(int control, crash_log *log);

#endif
