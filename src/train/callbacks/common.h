/* SPDX-License-Identifier: Apache-2.0 */
/* What the ready-made callbacks share. */
#ifndef FTMPI_TRAIN_CALLBACKS_COMMON_H
#define FTMPI_TRAIN_CALLBACKS_COMMON_H

#include <ftmpi/callbacks.h>

/** Room for a path or the name of a monitored entry. */
enum { FTMPI__TEXT_BYTES = 4096, FTMPI__MONITOR_BYTES = 64 };

/** A callback around a context: both are the callback's from here on; on failure neither is. Errors: ERR_MEMORY. */
ftmpi_status ftmpi__callback_create(const ftmpi_callback *functions, ftmpi_callback **out) FTMPI_CHECK_RESULT;

/** Copy a text that must be there and fit. @param what for the message. Errors: ERR_USAGE. */
ftmpi_status ftmpi__copy_text(char *to, size_t to_bytes, const char *text, const char *what) FTMPI_CHECK_RESULT;

/** Register one number of a callback's state, at ftmpi/callbacks/<callback>/<name>. */
ftmpi_status ftmpi__callback_track(ftmpi_fit *fit, const char *callback, const char *name, ftmpi_dtype dtype,
				   void *data) FTMPI_CHECK_RESULT;

/** A value that is watched. */
struct ftmpi__monitor {
	char name[FTMPI__MONITOR_BYTES];
	bool up; /* more is better */
	double min_delta;
};

/** Errors: ERR_USAGE. */
ftmpi_status ftmpi__monitor_init(struct ftmpi__monitor *monitor, const char *name, ftmpi_monitor_mode mode,
				 double min_delta) FTMPI_CHECK_RESULT;
/** The worst value. */
double ftmpi__monitor_worst(const struct ftmpi__monitor *monitor);
/** Whether a value is better than another by more than min_delta. */
bool ftmpi__monitor_better(const struct ftmpi__monitor *monitor, double value, double than);
/** The value in the logs. Errors: ERR_USAGE, naming what there is. */
ftmpi_status ftmpi__monitor_value(const struct ftmpi__monitor *monitor, const ftmpi_fit *fit,
				  double *value) FTMPI_CHECK_RESULT;

#endif
