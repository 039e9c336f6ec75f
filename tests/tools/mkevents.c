/* SPDX-License-Identifier: Apache-2.0 */
/* mkevents DIR STEP FIRST LAST LAUNCH [kill]: a launch that goes on from STEP and writes event files in DIR.
 *
 * For each step from FIRST to LAST the scalars "epoch_loss" = LAUNCH + step / 16 and "validation/accuracy" = −step, flushed after the step. With
 * `kill` one more step is added, and the process kills itself before that is flushed. */
#include <ftmpi/events.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ftmpi_status add_step(ftmpi_events *events, int64_t step, double launch)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi_events_add_scalar(events, "epoch_loss", step, launch + (double)step / 16));
	FTMPI_TRY(ftmpi_events_add_scalar(events, "validation/accuracy", step, -(double)step));
done:
	return status;
}

int main(int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_events *events = NULL;
	int64_t numbers[4];

	if (argc != 6 && argc != 7)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "usage: mkevents DIR STEP FIRST LAST LAUNCH [kill]");
	for (int i = 0; i < 4; i++)
		numbers[i] = strtoll(argv[i + 2], NULL, 10);
	FTMPI_TRY(ftmpi_events_open(argv[1], numbers[0], &events));
	for (int64_t step = numbers[1]; step <= numbers[2]; step++) {
		FTMPI_TRY(add_step(events, step, (double)numbers[3]));
		FTMPI_TRY(ftmpi_events_flush(events));
	}
	if (argc == 7 && strcmp(argv[6], "kill") == 0) {
		FTMPI_TRY(add_step(events, numbers[2] + 1, (double)numbers[3]));
		(void)raise(SIGKILL);
	}
done:
	ftmpi_events_close(&events);
	if (status != FTMPI_OK)
		(void)fprintf(stderr, "mkevents: %s\n", ftmpi_error_message());
	return ftmpi_status_exit_code(status);
}
