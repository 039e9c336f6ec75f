/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the program's table of failpoints: a line for each, its name and every action that it can do. */
#include <ftmpi/failpoint.h>

#include <stdio.h>

static const char *const names[] = {"kill", "exit", "error", "short", "corrupt", "nan", "skip", "stop", "stall"};

int main(void)
{
	for (int point = 0; point < FTMPI_FP_COUNT; point++) {
		(void)printf("%s", ftmpi_failpoint_name((ftmpi_failpoint)point));
		for (int i = 0; ftmpi_failpoint_actions((ftmpi_failpoint)point) >> i != 0; i++)
			if ((ftmpi_failpoint_actions((ftmpi_failpoint)point) >> i & 1) != 0)
				(void)printf(" %s", names[i]);
		(void)printf("\n");
	}
	return 0;
}
