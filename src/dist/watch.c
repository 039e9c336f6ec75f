/* SPDX-License-Identifier: Apache-2.0 */
/* Signs of life: what a rank writes on the board.
 *
 * Plain stores without a clock, since they are made several times a step; how old a sign is, those who look find out by themselves. */
#include "dist/comm_mpi.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "pid (name) state parent …"; the name may hold anything, so count from its end. Fields 14 and 15 are the times, 22 is the beginning. */
struct ftmpi__process ftmpi__process_read(int pid, int tid)
{
	struct ftmpi__process process = {.state = '\0'};
	unsigned long long user = 0, system = 0, born = 0;
	char path[64], text[1024];
	ssize_t n;
	const char *end;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return process;
	n = read(fd, text, sizeof text - 1);
	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	end = strrchr(text, ')');
	if (end == NULL ||
	    sscanf(end, ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu %*s %*s %*s %*s %*s %*s %llu",
		   &process.state, &user, &system, &born) != 4)
		return (struct ftmpi__process){.state = '\0'};
	process.cpu = user + system;
	process.born = born;
	return process;
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
