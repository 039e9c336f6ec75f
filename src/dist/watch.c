/* SPDX-License-Identifier: Apache-2.0 */
/* Signs of life: what a rank writes on the board.
 *
 * Plain stores without a clock, since they are made several times a step; how old a sign is, those who look find out by themselves. */
#include "dist/comm_mpi.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Fields of /proc/PID/task/TID/stat, from 1: "pid (name) state parent …". */
enum { STATE = 3, USER_TIME = 14, SYSTEM_TIME = 15, START_TIME = 22, MAX_FIELDS };

/* The name may hold anything, so count from its end. @return whether all fields are there. */
static bool split_fields(char *text, const char *fields[MAX_FIELDS])
{
	char *save = NULL, *end = strrchr(text, ')');
	int n = STATE;

	for (char *word = end == NULL ? NULL : strtok_r(end + 1, " ", &save); word != NULL && n < MAX_FIELDS;
	     word = strtok_r(NULL, " ", &save))
		fields[n++] = word;
	return n == MAX_FIELDS;
}

struct ftmpi__process ftmpi__process_read(int pid, int tid)
{
	const char *fields[MAX_FIELDS];
	char path[64], text[1024];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return (struct ftmpi__process){.state = '\0'};
	n = read(fd, text, sizeof text - 1);
	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	if (!split_fields(text, fields))
		return (struct ftmpi__process){.state = '\0'};
	return (struct ftmpi__process){.state = fields[STATE][0],
				       .cpu = strtoull(fields[USER_TIME], NULL, 10) +
					      strtoull(fields[SYSTEM_TIME], NULL, 10),
				       .born = strtoull(fields[START_TIME], NULL, 10)};
}

void ftmpi__life_begin(struct ftmpi__life *life, int rank)
{
	memset(life, 0, sizeof *life);
	atomic_store(&life->step, -1);
	life->rank = rank;
	life->pid = (int32_t)getpid();
	life->tid = (int32_t)gettid();
	life->born = ftmpi__process_read(life->pid, life->tid).born;
}

static void mark(struct ftmpi__watch *watch, ftmpi_mark now)
{
	struct ftmpi__life *life = watch->life;
	uint64_t words[FTMPI__NAME_WORDS] = {0};

	watch->now = now;
	if (now.name != NULL)
		memcpy(words, now.name, strnlen(now.name, sizeof words - 1));
	atomic_store_explicit(&life->phase, (uint32_t)now.phase, memory_order_relaxed);
	for (int i = 0; i < FTMPI__NAME_WORDS; i++)
		atomic_store_explicit(&life->name[i], words[i], memory_order_relaxed);
	ftmpi__beat(life);
}

ftmpi_mark ftmpi_watch_begin(const ftmpi_comm *comm, ftmpi_phase phase, const char *name)
{
	ftmpi_mark before = {.phase = phase};

	if (comm->watch == NULL)
		return before;
	before = comm->watch->now;
	mark(comm->watch, (ftmpi_mark){.phase = phase, .name = name});
	return before;
}

void ftmpi_watch_end(const ftmpi_comm *comm, ftmpi_mark before)
{
	if (comm->watch != NULL)
		mark(comm->watch, before);
}

void ftmpi_watch_step(const ftmpi_comm *comm, int64_t step)
{
	if (comm->watch != NULL)
		atomic_store_explicit(&comm->watch->life->step, step, memory_order_relaxed);
}

void ftmpi_watch_alive(const ftmpi_comm *comm)
{
	if (comm->watch != NULL)
		ftmpi__beat(comm->watch->life);
}
