/* SPDX-License-Identifier: Apache-2.0 */
/* usage: driver DIRECTORY: what a long life brings to a directory of checkpoints, through the public functions alone. It is run under the shim,
 * which writes down what a power loss at any moment would have found.
 *
 * Saves, retention, checkpoints kept for good, replacement of the newest and of an older one; deaths of the process in the middle of saves, after
 * which the next process goes on with what it finds; fewer checkpoints kept than before; a save that fails; a damaged file that is set aside. The
 * clock is the driver's own, so that each run does the same. */
#include "save_mode.h"
#include "shim.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <ftmpi/failpoint.h>
#include <ftmpi/log.h>
#include <ftmpi/store.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N_VALUES = 600 };

struct life {
	ftmpi_store_options options;
	const char *directory;
	ftmpi_store *store;
	ftmpi_registry *registry;
	float values[N_VALUES];
	int64_t number;
	int64_t n_saves; /* part of what is saved: no two saves hold the same */
	double now_s;
};

#define NEED(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			(void)fprintf(stderr, "driver: line %d: not so: %s (%s)\n", __LINE__, #condition,              \
				      ftmpi_error_message());                                                          \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

static double now(void *context)
{
	return *(const double *)context;
}

static void begin(struct life *life, const char *directory)
{
	const int64_t n = N_VALUES;

	*life = (struct life){.directory = directory, .now_s = 1000};
	ftmpi_store_options_init(&life->options);
	life->options.number_path = "number";
	life->options.now = now;
	life->options.now_context = &life->now_s;
	life->options.lock_wait_s = 0;
	NEED(ftmpi_registry_create(&life->registry) == FTMPI_OK);
	NEED(ftmpi_registry_add(life->registry, "values", FTMPI_F32, 1, &n, life->values, FTMPI_STATE) == FTMPI_OK);
	NEED(ftmpi_registry_add_scalar(life->registry, "number", FTMPI_I64, &life->number, FTMPI_STATE) == FTMPI_OK);
	NEED(ftmpi_registry_add_scalar(life->registry, "saves", FTMPI_I64, &life->n_saves, FTMPI_STATE) == FTMPI_OK);
}

static void open_store(struct life *life, int64_t keep_max)
{
	life->options.keep_max = keep_max;
	NEED(ftmpi_store_open(life->directory, &life->options, &life->store) == FTMPI_OK);
}

/* As a launch does: go on from the newest good one, which must be this one; 0: there is none. */
static void resume(struct life *life, int64_t keep_max, int64_t expected)
{
	ftmpi_reader *reader = NULL;

	open_store(life, keep_max);
	NEED(ftmpi_store_open_latest(life->store, &reader) == FTMPI_OK);
	NEED((reader != NULL) == (expected > 0));
	if (reader != NULL)
		NEED(ftmpi_reader_read(reader, "number", &life->number, sizeof life->number) == FTMPI_OK);
	NEED(reader == NULL || life->number == expected);
	ftmpi_reader_close(&reader);
}

static ftmpi_status try_save(struct life *life, int64_t number)
{
	life->number = number;
	life->n_saves++;
	life->now_s += 100;
	for (int i = 0; i < N_VALUES; i++)
		life->values[i] = (float)(life->n_saves * 1000 + i);
	return save_in_mode(life->store, life->registry, number);
}

static void save(struct life *life, int64_t number)
{
	NEED(try_save(life, number) == FTMPI_OK);
}

/* A process that opens the store, saves, and dies at a failpoint. The next one saves something else. */
static void die_saving(struct life *life, int64_t keep_max, int64_t number, const char *fault)
{
	int status = 0;
	const pid_t pid = fork();

	NEED(pid >= 0);
	if (pid == 0) {
		open_store(life, keep_max);
		NEED(ftmpi_failpoints_arm(fault, 0) == FTMPI_OK);
		(void)try_save(life, number);
		exit(1);
	}
	NEED(waitpid(pid, &status, 0) == pid);
	NEED(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	life->n_saves++;
}

/* Flip a bit of a checkpoint for good. */
static void damage(const struct life *life, int64_t number)
{
	shim_forget_function *forget;
	void *symbol = dlsym(RTLD_DEFAULT, SHIM_FORGET_NAME);
	char file[FTMPI_PATH_MAX];
	unsigned char byte;
	int fd;

	if (symbol != NULL) {
		memcpy(&forget, &symbol, sizeof forget);
		forget(number);
	}
	(void)snprintf(file, sizeof file, "%s/ckpt-%lld.weights.h5", life->directory, (long long)number);
	fd = open(file, O_RDWR | O_CLOEXEC);
	NEED(fd >= 0 && pread(fd, &byte, 1, 3000) == 1);
	byte ^= 1;
	NEED(pwrite(fd, &byte, 1, 3000) == 1 && fsync(fd) == 0 && close(fd) == 0);
}

static void first_run(struct life *life)
{
	life->options.keep_every_n_hours = 250.0 / 3600;
	resume(life, 2, 0);
	for (int64_t number = 1; number <= 5; number++)
		save(life, number);
	save(life, 5); /* again: the newest */
	save(life, 5);
	save(life, 4); /* again: an older one */
	save(life, 6);
	ftmpi_store_close(&life->store);
	life->options.keep_every_n_hours = 0;
}

/* Each death leaves something else; 9 and 11 have their names. Afterwards fewer are kept, so the old ones go at once. */
static void deaths(struct life *life)
{
	die_saving(life, 2, 7, "save.write:kill");
	resume(life, 2, 6);
	save(life, 7);
	ftmpi_store_close(&life->store);
	die_saving(life, 2, 8, "save.before-rename:kill");
	die_saving(life, 2, 9, "save.after-rename:kill");
	resume(life, 1, 9);
	save(life, 10);
	ftmpi_store_close(&life->store);
	die_saving(life, 1, 11, "save.dir-fsync:kill");
	open_store(life, 1);
	NEED(ftmpi_store_prune(life->store, 1, NULL) == FTMPI_OK);
	ftmpi_store_close(&life->store);
	die_saving(life, 1, 11, "save.after-rename:kill");
	resume(life, 1, 11);
	ftmpi_store_close(&life->store);
	die_saving(life, 1, 12, "save.state-file:kill");
	die_saving(life, 1, 13, "save.retention:kill");
	resume(life, 1, 13);
	save(life, 13);
	save(life, 14);
	save(life, 14);
	ftmpi_store_close(&life->store);
}

/* Errors of the system, with the newest checkpoint the only one. */
static void failures(struct life *life)
{
	resume(life, 1, 14);
	NEED(ftmpi_failpoints_arm("save.fsync:error=EIO", 0) == FTMPI_OK);
	NEED(try_save(life, 15) == FTMPI_ERR_IO);
	NEED(ftmpi_failpoints_arm("save.dir-fsync:error=EIO", 0) == FTMPI_OK);
	NEED(try_save(life, 16) == FTMPI_ERR_IO);
	save(life, 17);
	NEED(ftmpi_failpoints_arm("save.state-file:error=EIO", 0) == FTMPI_OK);
	NEED(try_save(life, 18) == FTMPI_ERR_IO);
	save(life, 18);
	ftmpi_store_close(&life->store);
}

static void set_aside(struct life *life)
{
	resume(life, 3, 18);
	save(life, 19);
	save(life, 20);
	ftmpi_store_close(&life->store);
	damage(life, 20);
	resume(life, 3, 19);
	save(life, 20);
	NEED(ftmpi_store_prune(life->store, 1, NULL) == FTMPI_OK);
	ftmpi_store_close(&life->store);
}

int main(int argc, char **argv)
{
	struct life life;

	if (argc != 2) {
		(void)fprintf(stderr, "usage: driver DIRECTORY\n");
		return 64;
	}
	ftmpi_log_configure(0, FTMPI_LOG_ERROR);
	begin(&life, argv[1]);
	first_run(&life);
	deaths(&life);
	failures(&life);
	set_aside(&life);
	ftmpi_registry_destroy(&life.registry);
	return 0;
}
