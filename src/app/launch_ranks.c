/* SPDX-License-Identifier: Apache-2.0 */
/* The processes below the launcher, from /proc: its children, and which of its descendants are ranks. */
#include "app/launch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct process {
	pid_t pid, parent;
};

/* False when it is gone, or only not yet waited for. */
static bool read_process(pid_t pid, struct process *out)
{
	char path[64], text[1024] = "";
	const char *at;
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	if (fgets(text, sizeof text, file) == NULL)
		text[0] = '\0';
	(void)fclose(file);
	at = strrchr(text, ')'); /* "pid (name) state parent ...": the name may hold anything */
	if (at == NULL || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X' || at[3] != ' ')
		return false;
	*out = (struct process){.pid = pid, .parent = (pid_t)strtol(at + 4, NULL, 10)};
	return true;
}

/* All processes, as struct process. */
static ftmpi_status read_processes(ftmpi_buffer *out)
{
	ftmpi_status status = FTMPI_OK;
	DIR *listing = opendir("/proc");
	const struct dirent *entry;
	struct process process;

	if (listing == NULL)
		FTMPI_FAIL(FTMPI_ERR_IO, "cannot list /proc: %s", strerror(errno));
	while ((entry = readdir(listing)) != NULL) {
		const long pid = strtol(entry->d_name, NULL, 10);

		if (pid > 0 && read_process((pid_t)pid, &process))
			FTMPI_TRY(ftmpi_buffer_append(out, &process, sizeof process));
	}
done:
	if (listing != NULL)
		(void)closedir(listing);
	return status;
}

static pid_t parent_of(const struct process *processes, size_t n, pid_t pid)
{
	for (size_t i = 0; i < n; i++)
		if (processes[i].pid == pid)
			return processes[i].parent;
	return 0;
}

static bool descends_from(const struct process *processes, size_t n, pid_t pid, pid_t ancestor)
{
	for (int level = 0; level < 64 && pid > 1; level++) {
		pid = parent_of(processes, n, pid);
		if (pid == ancestor)
			return true;
	}
	return false;
}

static bool runs_this_program(pid_t pid)
{
	char path[64];
	struct stat mine, its;

	(void)snprintf(path, sizeof path, "/proc/%ld/exe", (long)pid);
	return stat("/proc/self/exe", &mine) == 0 && stat(path, &its) == 0 && mine.st_dev == its.st_dev &&
	       mine.st_ino == its.st_ino;
}

/* From the environment that its launcher gave it; -1: it has none. */
static int rank_of(pid_t pid)
{
	static const char *const names[] = {"OMPI_COMM_WORLD_RANK=", "PMIX_RANK=", "PMI_RANK=", "SLURM_PROCID="};
	char path[64], *pair = NULL;
	size_t capacity = 0;
	int rank = -1;
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/%ld/environ", (long)pid);
	file = fopen(path, "re");
	while (file != NULL && rank < 0 && getdelim(&pair, &capacity, '\0', file) > 0)
		for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
			if (strncmp(pair, names[i], strlen(names[i])) == 0)
				rank = (int)strtol(pair + strlen(names[i]), NULL, 10);
	free(pair);
	if (file != NULL)
		(void)fclose(file);
	return rank;
}

static int by_rank(const void *a, const void *b)
{
	const struct launch_rank *x = a, *y = b;

	return (x->rank > y->rank) - (x->rank < y->rank);
}

ftmpi_status launch__find_ranks(pid_t ancestor, ftmpi_buffer *ranks)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer table = {0};
	const struct process *processes;
	size_t n;

	FTMPI_TRY(ftmpi_buffer_resize(ranks, 0));
	FTMPI_TRY(read_processes(&table));
	processes = (const struct process *)(const void *)table.data;
	n = table.n_bytes / sizeof *processes;
	for (size_t i = 0; i < n; i++) {
		struct launch_rank rank = {.pid = processes[i].pid};

		if (!descends_from(processes, n, rank.pid, ancestor) || !runs_this_program(rank.pid))
			continue;
		rank.rank = rank_of(rank.pid);
		if (rank.rank >= 0)
			FTMPI_TRY(ftmpi_buffer_append(ranks, &rank, sizeof rank));
	}
	if (ranks->n_bytes > 0)
		qsort(ranks->data, ranks->n_bytes / sizeof(struct launch_rank), sizeof(struct launch_rank), by_rank);
done:
	ftmpi_buffer_clear(&table);
	return status;
}

ftmpi_status launch__find_children(ftmpi_buffer *children)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer table = {0};
	const struct process *processes;

	FTMPI_TRY(ftmpi_buffer_resize(children, 0));
	FTMPI_TRY(read_processes(&table));
	processes = (const struct process *)(const void *)table.data;
	for (size_t i = 0; i < table.n_bytes / sizeof *processes; i++)
		if (processes[i].parent == getpid())
			FTMPI_TRY(ftmpi_buffer_append(children, &processes[i].pid, sizeof processes[i].pid));
done:
	ftmpi_buffer_clear(&table);
	return status;
}
