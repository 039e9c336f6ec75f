/* SPDX-License-Identifier: Apache-2.0 */
/* TerminateOnNaN: a loss that is not finite ends the training normally. */
#include "train/callbacks/common.h"

#include <ftmpi/log.h>

static ftmpi_status diverged(void *context, ftmpi_fit *fit)
{
	(void)context;
	ftmpi_log(FTMPI_LOG_INFO, "Batch %lld: Invalid loss, terminating training",
		  (long long)ftmpi_fit_progress(fit).batch);
	ftmpi_fit_stop(fit);
	return FTMPI_OK;
}

ftmpi_status ftmpi_terminate_on_nan_create(ftmpi_callback **out)
{
	return ftmpi__callback_create(
		&(ftmpi_callback){.name = "terminate_on_nan", .diverged = diverged, .alike = true}, out);
}
