/* SPDX-License-Identifier: Apache-2.0 */
/* Failpoints: parsing of FTMPI_FAULT and firing.
 *
 * State is per process: one armed fault per point, with a countdown of passages. A specification is parsed whole before anything is
 * armed. The line that a firing prints is written before the action, so that a test can tell "fired" from "died of something else". */
#include <ftmpi/failpoint.h>
#include <ftmpi/log.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct fault {
	ftmpi_fault_action action;
	int value;      /* exit code, errno or seconds; 0 seconds: for ever */
	long hits_left; /* 0: not armed, or fired already */
	long hit;
};

static const struct point_info {
	const char *name, *where;
	int actions;
} points[FTMPI_FP_COUNT] = {
#define FTMPI_FAILPOINT_INFO(id, name, actions, where) {name, where, actions},
	FTMPI_FAILPOINT_LIST(FTMPI_FAILPOINT_INFO)
#undef FTMPI_FAILPOINT_INFO
};

static const struct action_info {
	const char *name;
	ftmpi_fault_action action;
} actions[] = {
	{"kill", FTMPI_FAULT_KILL},   {"exit", FTMPI_FAULT_EXIT},       {"error", FTMPI_FAULT_ERROR},
	{"short", FTMPI_FAULT_SHORT}, {"corrupt", FTMPI_FAULT_CORRUPT}, {"nan", FTMPI_FAULT_NAN},
	{"skip", FTMPI_FAULT_SKIP},   {"stop", FTMPI_FAULT_STOP},       {"stall", FTMPI_FAULT_STALL},
};

static const struct errno_info {
	const char *name;
	int value;
} errnos[] = {
	{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EINTR", EINTR},
	{"EACCES", EACCES}, {"EROFS", EROFS},   {"ENOENT", ENOENT}, {"ENOMEM", ENOMEM},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

int ftmpi__failpoints_armed = 0;
static struct fault faults[FTMPI_FP_COUNT];
static int process_rank;

const char *ftmpi_failpoint_name(ftmpi_failpoint point)
{
	return points[point].name;
}

const char *ftmpi_failpoint_where(ftmpi_failpoint point)
{
	return points[point].where;
}

int ftmpi_failpoint_actions(ftmpi_failpoint point)
{
	return points[point].actions | FTMPI_FAULT_ANYWHERE;
}

/* A decimal number in [least, most] that is the whole text. */
static ftmpi_status parse_number(const char *text, long least, long most, long *out)
{
	ftmpi_status status = FTMPI_OK;
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value < least || value > most)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "FTMPI_FAULT: '%s' is not a number from %ld to %ld", text, least, most);
	*out = value;
done:
	return status;
}

static ftmpi_status find_point(const char *name, ftmpi_failpoint *out)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < FTMPI_FP_COUNT; i++)
		if (strcmp(name, points[i].name) == 0) {
			*out = (ftmpi_failpoint)i;
			goto done;
		}
	FTMPI_FAIL(FTMPI_ERR_USAGE, "FTMPI_FAULT: there is no failpoint '%s'", name);
done:
	return status;
}

/* The value after '=': an exit code, seconds or the name of an errno. */
static ftmpi_status parse_value(ftmpi_fault_action action, const char *text, int *out)
{
	ftmpi_status status = FTMPI_OK;
	long number = 0;

	if (action == FTMPI_FAULT_EXIT) {
		FTMPI_TRY(parse_number(text == NULL ? "" : text, 0, 255, &number));
		*out = (int)number;
	} else if (action == FTMPI_FAULT_STALL && text != NULL) {
		FTMPI_TRY(parse_number(text, 1, 1000000, &number));
		*out = (int)number;
	} else if (action == FTMPI_FAULT_ERROR) {
		for (size_t i = 0; i < COUNT(errnos) && text != NULL; i++)
			if (strcmp(text, errnos[i].name) == 0) {
				*out = errnos[i].value;
				goto done;
			}
		FTMPI_FAIL(FTMPI_ERR_USAGE, "FTMPI_FAULT: 'error' needs an errno's name such as EIO, not '%s'",
			   text == NULL ? "" : text);
	} else if (text != NULL) {
		FTMPI_FAIL(FTMPI_ERR_USAGE, "FTMPI_FAULT: this action takes no value ('%s')", text);
	}
done:
	return status;
}

static ftmpi_status parse_action(char *text, ftmpi_failpoint point, struct fault *fault)
{
	ftmpi_status status = FTMPI_OK;
	char *value = strchr(text, '=');

	if (value != NULL)
		*value++ = '\0';
	for (size_t i = 0; i < COUNT(actions); i++)
		if (strcmp(text, actions[i].name) == 0)
			fault->action = actions[i].action;
	if (fault->action == FTMPI_FAULT_NONE)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "FTMPI_FAULT: there is no action '%s'", text);
	if (((int)fault->action & ftmpi_failpoint_actions(point)) == 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "FTMPI_FAULT: failpoint %s cannot do '%s'", points[point].name, text);
	FTMPI_TRY(parse_value(fault->action, value, &fault->value));
done:
	return status;
}

/* One "point:action[,rank=R][,hit=N]"; the text is cut up. */
static ftmpi_status parse_fault(char *text, int rank, struct fault *into)
{
	ftmpi_status status = FTMPI_OK;
	struct fault fault = {.hit = 1};
	ftmpi_failpoint point = FTMPI_FP_COUNT;
	long wanted_rank = rank;
	char *save = NULL, *word, *colon = strchr(text, ':');

	if (colon == NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "FTMPI_FAULT: '%s' is not point:action[,rank=R][,hit=N]", text);
	*colon = '\0';
	FTMPI_TRY(find_point(text, &point));
	word = strtok_r(colon + 1, ",", &save);
	FTMPI_TRY(parse_action(word == NULL ? colon : word, point, &fault));
	while ((word = strtok_r(NULL, ",", &save)) != NULL) {
		if (strncmp(word, "rank=", 5) == 0)
			FTMPI_TRY(parse_number(word + 5, 0, 1 << 30, &wanted_rank));
		else if (strncmp(word, "hit=", 4) == 0)
			FTMPI_TRY(parse_number(word + 4, 1, 1 << 30, &fault.hit));
		else
			FTMPI_FAIL(FTMPI_ERR_USAGE, "FTMPI_FAULT: '%s' is neither rank=R nor hit=N", word);
	}
	fault.hits_left = fault.hit;
	if (wanted_rank == rank)
		into[point] = fault;
done:
	return status;
}

ftmpi_status ftmpi_failpoints_arm(const char *spec, int rank)
{
	ftmpi_status status = FTMPI_OK;
	struct fault parsed[FTMPI_FP_COUNT] = {{0}};
	char *copy = NULL, *save = NULL;

	copy = strdup(spec == NULL ? "" : spec);
	if (copy == NULL)
		FTMPI_FAIL(FTMPI_ERR_MEMORY, "out of memory");
	for (char *word = strtok_r(copy, ";", &save); word != NULL; word = strtok_r(NULL, ";", &save))
		FTMPI_TRY(parse_fault(word, rank, parsed));
	memcpy(faults, parsed, sizeof faults);
	process_rank = rank;
	ftmpi__failpoints_armed = 0;
	for (int i = 0; i < FTMPI_FP_COUNT; i++)
		ftmpi__failpoints_armed |= faults[i].hits_left > 0;
done:
	free(copy);
	return status;
}

/* The announcement goes out by one write, before anything else happens. */
static void announce(ftmpi_failpoint point, const struct fault *fault)
{
	char line[160];
	const char *name = "";

	for (size_t i = 0; i < COUNT(actions); i++)
		if (actions[i].action == fault->action)
			name = actions[i].name;
	(void)snprintf(line, sizeof line, "ftmpi: failpoint %s fired: %s (rank %d, hit %ld)\n", points[point].name,
		       name, process_rank, fault->hit);
	(void)!write(STDERR_FILENO, line, strlen(line));
}

/* @param s 0: for ever. */
static void stall(int s)
{
	struct timespec left = {.tv_sec = s};

	if (s == 0)
		for (;;)
			(void)pause();
	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

ftmpi_fault_action ftmpi__failpoint_fire(ftmpi_failpoint point)
{
	struct fault *fault = &faults[point];
	long left = __atomic_load_n(&fault->hits_left, __ATOMIC_RELAXED);

	/* Points of a save are passed by its writer too. */
	do
		if (left == 0)
			return FTMPI_FAULT_NONE;
	while (!__atomic_compare_exchange_n(&fault->hits_left, &left, left - 1, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED));
	if (left > 1)
		return FTMPI_FAULT_NONE;
	announce(point, fault);
	if (fault->action == FTMPI_FAULT_KILL) {
		(void)kill(getpid(), SIGKILL);
		for (;;)
			(void)pause();
	}
	if (fault->action == FTMPI_FAULT_EXIT)
		_exit(fault->value);
	if (fault->action == FTMPI_FAULT_STOP)
		(void)kill(getpid(), SIGSTOP);
	else if (fault->action == FTMPI_FAULT_STALL)
		stall(fault->value);
	if (((int)fault->action & FTMPI_FAULT_ANYWHERE) != 0)
		return FTMPI_FAULT_NONE;
	errno = fault->action == FTMPI_FAULT_SHORT ? ENOSPC : fault->value;
	return fault->action;
}
