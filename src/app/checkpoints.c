/* SPDX-License-Identifier: Apache-2.0 */
/* `ftmpi checkpoints list|show|verify|diff|prune`: looks at checkpoints without MPI and, but for prune, without touching anything. */
#include "app/app.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static bool is_directory(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static ftmpi_status open_read_only(const char *directory, ftmpi_store **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store_options options;
	char name[FTMPI_STORE_NAME_MAX];

	FTMPI_TRY(ftmpi_store_find_name(directory, name));
	ftmpi_store_options_init(&options);
	options.name = name;
	options.read_only = true;
	FTMPI_TRY(ftmpi_store_open(directory, &options, out));
done:
	return status;
}

/* A file, or the newest good checkpoint of a folder. */
static ftmpi_status open_path(const char *path, ftmpi_reader **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store *store = NULL;
	ftmpi_reader *reader = NULL;

	if (!is_directory(path)) {
		FTMPI_TRY(ftmpi_reader_open(path, out));
		goto done;
	}
	FTMPI_TRY(open_read_only(path, &store));
	FTMPI_TRY(ftmpi_store_open_latest(store, &reader));
	if (reader == NULL)
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "%s has no checkpoint", path);
	*out = reader;
done:
	ftmpi_store_close(&store);
	return status;
}

static void print_item(const ftmpi_store_item *item)
{
	char when[32] = "", digest[FTMPI_DIGEST_TEXT] = "not listed";
	const time_t seconds = (time_t)item->timestamp_s;
	struct tm local;

	if (localtime_r(&seconds, &local) != NULL)
		(void)strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local);
	if (item->listed)
		ftmpi_digest_format(item->digest, digest);
	(void)printf("%12" PRId64 "  %s  %-32s  %s%s\n", item->number, when, digest, item->file,
		     item->preserved ? "  (kept for good)" : "");
}

static ftmpi_status list(char **argv)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store *store = NULL;

	FTMPI_TRY(open_read_only(argv[0], &store));
	(void)printf("%12s  %-19s  %-32s  %s\n", "number", "saved", "xxh3-128", "file");
	for (int i = 0; i < ftmpi_store_n_items(store); i++)
		print_item(ftmpi_store_get(store, i));
	if (ftmpi_store_n_bad(store) > 0)
		(void)printf("%d set aside as .bad\n", ftmpi_store_n_bad(store));
	if (ftmpi_store_n_suspect(store) > 0)
		(void)printf("%d set aside as .suspect\n", ftmpi_store_n_suspect(store));
done:
	ftmpi_store_close(&store);
	return status;
}

static void print_variable(const ftmpi_variable *v)
{
	char shape[160] = "(", digest[FTMPI_DIGEST_TEXT];
	size_t used = 1;

	for (int i = 0; i < v->n_dims; i++)
		used += (size_t)snprintf(shape + used, sizeof shape - used, "%s%" PRId64, i > 0 ? ", " : "",
					 v->dims[i]);
	(void)snprintf(shape + used, sizeof shape - used, ")");
	ftmpi_digest_format(v->digest, digest);
	(void)printf("  %-32s %-8s %-16s %s%s\n", v->path, ftmpi_dtype_name(v->dtype), shape, digest,
		     v->kind == FTMPI_STATE ? "" : "  (not part of the state)");
}

static ftmpi_status print_scalar(const ftmpi_reader *reader, const char *path, const char *label)
{
	ftmpi_status status = FTMPI_OK;
	int64_t value;

	if (ftmpi_reader_find(reader, path) == NULL)
		goto done;
	FTMPI_TRY(ftmpi_reader_read(reader, path, &value, sizeof value));
	(void)printf("%s: %" PRId64 "\n", label, value);
done:
	return status;
}

static ftmpi_status print_text(const ftmpi_reader *reader, const char *path)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer text = {0};

	if (ftmpi_reader_find(reader, path) == NULL)
		goto done;
	FTMPI_TRY(ftmpi_reader_read_buffer(reader, path, &text));
	(void)printf("%s:\n", path);
	for (const char *at = text.data; at != NULL && *at != '\0';) {
		const size_t n = strcspn(at, "\n");

		(void)printf("  %.*s\n", (int)n, at);
		at += n + (at[n] == '\n');
	}
done:
	ftmpi_buffer_clear(&text);
	return status;
}

static ftmpi_status show(char **argv)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_reader *reader = NULL;
	char digest[FTMPI_DIGEST_TEXT];

	FTMPI_TRY(open_path(argv[0], &reader));
	(void)printf("file: %s\n", ftmpi_reader_file(reader));
	FTMPI_TRY(print_scalar(reader, "optimizer/vars/0", "step"));
	FTMPI_TRY(print_scalar(reader, "ftmpi/epoch", "epochs done"));
	FTMPI_TRY(print_scalar(reader, "ftmpi/position", "samples of the epoch done"));
	FTMPI_TRY(print_scalar(reader, "ftmpi/logical_workers", "logical workers"));
	FTMPI_TRY(print_scalar(reader, "ftmpi/run/relaunches", "relaunches"));
	FTMPI_TRY(print_scalar(reader, "ftmpi/run/failures", "failures"));
	FTMPI_TRY(print_text(reader, "ftmpi/config"));
	FTMPI_TRY(print_text(reader, "ftmpi/data"));
	FTMPI_TRY(print_text(reader, "ftmpi/environment"));
	(void)printf("variables:\n");
	for (int i = 0; i < ftmpi_reader_n_variables(reader); i++)
		print_variable(ftmpi_reader_variable(reader, i));
	ftmpi_digest_format(ftmpi_reader_state_digest(reader), digest);
	(void)printf("state digest: %s\n", digest);
done:
	ftmpi_reader_close(&reader);
	return status;
}

static ftmpi_status verify_file(const char *path)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_reader *reader = NULL;

	FTMPI_TRY(ftmpi_reader_open(path, &reader));
	(void)printf("good  %s\n", path);
done:
	ftmpi_reader_close(&reader);
	return status;
}

/* One checkpoint of a folder: a line about it. An error of the machine says nothing about the file. */
static ftmpi_status verify_item(const ftmpi_store *store, int i)
{
	const ftmpi_status status = ftmpi_store_verify(store, i, NULL);
	const char *file = ftmpi_store_get(store, i)->file;

	if (status == FTMPI_OK)
		(void)printf("good  %s\n", file);
	else if (status == FTMPI_ERR_NOT_FOUND) /* deleted meanwhile by the run that has the folder */
		(void)printf("gone  %s\n", file);
	else
		(void)printf("%s   %s: %s\n", status == FTMPI_ERR_DATA ? "BAD" : "???", file, ftmpi_error_message());
	return status == FTMPI_ERR_NOT_FOUND ? FTMPI_OK : status;
}

/* Every checkpoint of a folder; where some are bad and some cannot be read, the bad ones decide the status. */
static ftmpi_status verify_directory(const char *path)
{
	ftmpi_status status = FTMPI_OK, unread = FTMPI_OK;
	ftmpi_store *store = NULL;
	int n_bad = 0, n_unread = 0;

	FTMPI_TRY(open_read_only(path, &store));
	for (int i = 0; i < ftmpi_store_n_items(store); i++) {
		const ftmpi_status found = verify_item(store, i);

		n_bad += found == FTMPI_ERR_DATA;
		n_unread += found != FTMPI_OK && found != FTMPI_ERR_DATA;
		if (found != FTMPI_OK && found != FTMPI_ERR_DATA)
			unread = found;
	}
	(void)fflush(stdout);
	if (ftmpi_store_n_items(store) == 0)
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "%s has no checkpoint", path);
	if (n_bad > 0)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: %d of %d checkpoints are bad", path, n_bad, ftmpi_store_n_items(store));
	if (n_unread > 0)
		FTMPI_FAIL(unread, "%s: %d of %d checkpoints could not be read", path, n_unread,
			   ftmpi_store_n_items(store));
done:
	ftmpi_store_close(&store);
	return status;
}

static ftmpi_status verify(char **argv)
{
	return is_directory(argv[0]) ? verify_directory(argv[0]) : verify_file(argv[0]);
}

static ftmpi_status diff(char **argv)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_reader *a = NULL, *b = NULL;
	ftmpi_buffer report = {0};
	int64_t n_different = 0;

	FTMPI_TRY(open_path(argv[0], &a));
	FTMPI_TRY(open_path(argv[1], &b));
	FTMPI_TRY(ftmpi_reader_diff(a, b, &report, &n_different));
	if (n_different > 0) {
		(void)printf("%s", report.data);
		(void)fflush(stdout);
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s and %s differ in %" PRId64 " variables", ftmpi_reader_file(a),
			   ftmpi_reader_file(b), n_different);
	}
	(void)printf("bit-identical: %s and %s\n", ftmpi_reader_file(a), ftmpi_reader_file(b));
done:
	ftmpi_buffer_clear(&report);
	ftmpi_reader_close(&a);
	ftmpi_reader_close(&b);
	return status;
}

/* "--keep N" or "--keep=N" among the arguments; the other one is the folder. */
static ftmpi_status parse_prune(char **argv, const char **directory, int64_t *keep)
{
	ftmpi_status status = FTMPI_OK;
	const char *number = NULL;
	char *end = NULL;
	long long value;

	*directory = NULL;
	for (char **arg = argv; *arg != NULL; arg++) {
		if (strncmp(*arg, "--keep=", 7) == 0)
			number = *arg + 7;
		else if (strcmp(*arg, "--keep") == 0 && arg[1] != NULL)
			number = *++arg;
		else if (*directory == NULL && strncmp(*arg, "--", 2) != 0)
			*directory = *arg;
		else
			FTMPI_FAIL(FTMPI_ERR_USAGE,
				   "checkpoints prune: '%s' is not expected; usage: prune DIR --keep N", *arg);
	}
	if (*directory == NULL || number == NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "usage: ftmpi checkpoints prune DIR --keep N");
	errno = 0;
	value = strtoll(number, &end, 10);
	if (number[strspn(number, "0123456789")] != '\0' || end == number || errno != 0 || value < 1)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "checkpoints prune: --keep %s: it must be a whole number, at least 1",
			   number);
	*keep = value;
done:
	return status;
}

static ftmpi_status prune(char **argv)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_store *store = NULL;
	ftmpi_store_options options;
	int64_t n_deleted = 0, keep = 0;
	const char *directory;
	char name[FTMPI_STORE_NAME_MAX];
	int n_items;

	FTMPI_TRY(parse_prune(argv, &directory, &keep));
	FTMPI_TRY(open_read_only(directory, &store)); /* nothing is made in a folder that has no checkpoint */
	n_items = ftmpi_store_n_items(store);
	ftmpi_store_close(&store);
	if (n_items == 0)
		FTMPI_FAIL(FTMPI_ERR_NOT_FOUND, "%s has no checkpoint", directory);
	FTMPI_TRY(ftmpi_store_find_name(directory, name));
	ftmpi_store_options_init(&options);
	options.name = name;
	options.lock_wait_s = 0;
	FTMPI_TRY(ftmpi_store_open(directory, &options, &store));
	FTMPI_TRY(ftmpi_store_prune(store, keep, &n_deleted));
	(void)printf("deleted %" PRId64 ", %d left\n", n_deleted, ftmpi_store_n_items(store));
done:
	ftmpi_store_close(&store);
	return status;
}

static const struct subcommand {
	const char *name;
	int n_arguments; /* -1: the command sees for itself */
	ftmpi_status (*run)(char **argv);
	const char *usage, *help;
} subcommands[] = {
	{"list", 1, list, "list DIR", "number, time, digest and file of each checkpoint, oldest first"},
	{"show", 1, show, "show FILE|DIR", "step, configuration, environment, every variable, the state digest"},
	{"verify", 1, verify, "verify FILE|DIR",
	 "read everything and compare with the digests; exit 65 if anything is bad"},
	{"diff", 2, diff, "diff A B", "compare the state bit for bit; exit 0 if identical, 65 if not"},
	{"prune", -1, prune, "prune DIR --keep N", "delete all but the newest N"},
};

enum { N_SUBCOMMANDS = sizeof subcommands / sizeof subcommands[0] };

void app_checkpoints_help(void)
{
	(void)printf("usage: ftmpi checkpoints COMMAND      (without mpirun)\n\n");
	for (int i = 0; i < N_SUBCOMMANDS; i++)
		(void)printf("  %-20s %s\n", subcommands[i].usage, subcommands[i].help);
	(void)printf("\nA DIR where a file is wanted stands for its newest good checkpoint.\n");
}

ftmpi_status app_checkpoints(int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < N_SUBCOMMANDS && argc > 0; i++) {
		if (strcmp(argv[0], subcommands[i].name) != 0)
			continue;
		if (subcommands[i].n_arguments >= 0 && argc - 1 != subcommands[i].n_arguments)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "usage: ftmpi checkpoints %s", subcommands[i].usage);
		FTMPI_TRY(subcommands[i].run(argv + 1));
		goto done;
	}
	FTMPI_FAIL(FTMPI_ERR_USAGE,
		   "ftmpi checkpoints: %s is not list, show, verify, diff or prune (--help explains them)",
		   argc > 0 ? argv[0] : "nothing");
done:
	return status;
}
