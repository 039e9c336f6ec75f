/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `ftmpi launch`: its own options, then "--", then those of the training, which are read too, so that a mistake in them is found
 * before anything is started. The names are torchrun's where it has them; as there, '_' is as good as '-'. */
#include "app/launch.h"
#include "app/option_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(f) offsetof(struct launch_options, f), sizeof(((struct launch_options *)0)->f)

static const struct row rows[] = {
	{"Ranks", "np", INTEGER, FIELD(np), NULL, 1, 65536, 0, NULL, AUTO, 0, "N", "ranks; -np N and -n N too"},
	{"Ranks", "min-np", INTEGER, FIELD(min_np), NULL, 1, 65536, 0, NULL, AUTO, 0, "N",
	 "go on with fewer ranks, down to N, when mpirun has not enough slots or a node is lost; default: as many as "
	 "-np"},
	{"Ranks", "nnodes", TEXT, FIELD(nnodes), "", 0, 0, 0, NULL, 0, 0, "MIN:MAX",
	 "instead of these two: MAX nodes at first, MIN at least, each with as many ranks as --nproc-per-node says"},
	{"Ranks", "nproc-per-node", INTEGER, FIELD(n_per_node), "1", 1, 65536, 0, NULL, 0, 0, "N",
	 "ranks of a node: so many fewer at a time"},

	{"Restarts", "max-restarts", INTEGER, FIELD(max_restarts), "3", 0, 1000000, 0, NULL, 0, 0, "N",
	 "give up after N restarts in a row that brought no new checkpoint; 0: never restart"},
	{"Restarts", "backoff-secs", REAL, FIELD(backoff_s), "1", 0, 3600, 0, NULL, 0, 0, "S",
	 "wait before a restart; doubles with each one that brought no new checkpoint, to 60 s at most"},

	{"mpirun", "mpirun", TEXT, FIELD(mpirun), "", 0, 0, 0, NULL, 0, 0, "COMMAND",
	 "the program that starts the ranks, with options; default: that of the MPI library of this build, else "
	 "mpirun"},
	{"mpirun", "mpirun-args", TEXT, FIELD(mpirun_args), "", 0, 0, 0, NULL, 0, 0, "WORDS", "more options for it"},

	{"Chaos", "chaos", TEXT, FIELD(chaos), "", 0, 0, 0, NULL, 0, 0, "SPEC",
	 "break the training on purpose, see how it recovers, and compare the end with an uninterrupted run"},
};

enum { N_ROWS = sizeof rows / sizeof rows[0] };

static ftmpi_status set_defaults(struct launch_options *options)
{
	ftmpi_status status = FTMPI_OK;

	memset(options, 0, sizeof *options);
	for (int i = 0; i < N_ROWS; i++)
		if (rows[i].value != NULL)
			FTMPI_TRY(app__set_field((char *)options + rows[i].offset, &rows[i], rows[i].value, "--"));
done:
	return status;
}

/* The row of "--max-restarts", "--max_restarts", "-np"; NULL: none. @param n bytes of the name, its dashes included. */
static const struct row *find_row(const char *argument, size_t n)
{
	char name[32];

	if ((n == 2 && strncmp(argument, "-n", n) == 0) || (n == 3 && strncmp(argument, "-np", n) == 0))
		return &rows[0];
	if (strncmp(argument, "--", 2) != 0 || n - 2 >= sizeof name)
		return NULL;
	(void)snprintf(name, sizeof name, "%.*s", (int)(n - 2), argument + 2);
	for (char *p = name; (p = strchr(p, '_')) != NULL;)
		*p = '-';
	for (int i = 0; i < N_ROWS; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

/* The launcher's own options. @param used set to the number of arguments before "--", and that. */
static ftmpi_status read_arguments(struct launch_options *options, int argc, char **argv, int *used)
{
	ftmpi_status status = FTMPI_OK;
	int i = 0;

	while (i < argc && strcmp(argv[i], "--") != 0) {
		const size_t n = strcspn(argv[i], "=");
		const struct row *row = find_row(argv[i], n);
		const char *value = argv[i][n] == '=' ? argv[i] + n + 1 : NULL;

		if (row == NULL)
			FTMPI_FAIL(FTMPI_ERR_USAGE,
				   "launch: '%.*s' is no option of it (ftmpi launch --help lists them); options of the "
				   "training "
				   "come after '--'",
				   (int)n, argv[i]);
		i++;
		if (value == NULL && (i == argc || strcmp(argv[i], "--") == 0))
			FTMPI_FAIL(FTMPI_ERR_USAGE, "--%s needs a value", row->name);
		if (value == NULL)
			value = argv[i++];
		FTMPI_TRY(app__set_field((char *)options + row->offset, row, value, "--"));
	}
	*used = i + (i < argc);
done:
	return status;
}

/* "2:4" or "4". */
static ftmpi_status read_nodes(const struct launch_options *o, int64_t *least, int64_t *most)
{
	ftmpi_status status = FTMPI_OK;
	char *end;

	*least = *most = strtoll(o->nnodes, &end, 10);
	if (end != o->nnodes && *end == ':')
		*most = strtoll(end + 1, &end, 10);
	if (o->nnodes[strspn(o->nnodes, "0123456789:")] != '\0' || *end != '\0' || *least < 1 || *most < *least ||
	    *most > 65536)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--nnodes: '%s' is not MIN:MAX, two numbers of nodes, nor one number",
			   o->nnodes);
done:
	return status;
}

/* How many ranks, by the one or the other way to say it. */
static ftmpi_status check_ranks(struct launch_options *o)
{
	ftmpi_status status = FTMPI_OK;
	int64_t least, most;

	if (o->nnodes[0] != '\0' && (o->np > 0 || o->min_np > 0))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--nnodes and %s cannot both be given", o->np > 0 ? "-np" : "--min-np");
	if (o->nnodes[0] != '\0') {
		FTMPI_TRY(read_nodes(o, &least, &most));
		o->np = most * o->n_per_node;
		o->min_np = least * o->n_per_node;
	}
	if (o->np == 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "launch: give the number of ranks, -np N");
	if (o->np > 65536)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--nnodes %s with %lld ranks each: more than 65536 ranks", o->nnodes,
			   (long long)o->n_per_node);
	if (o->min_np == 0)
		o->min_np = o->plan.other_np ? 1 : o->np;
	if (o->min_np > o->np)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--min-np %lld is more than -np %lld", (long long)o->min_np,
			   (long long)o->np);
done:
	return status;
}

static ftmpi_status check_plan(struct launch_options *o)
{
	ftmpi_status status = FTMPI_OK;
	const struct launch_plan *plan = &o->plan;

	if (o->chaos[0] == '\0')
		goto done;
	FTMPI_TRY(launch__parse_plan(o->chaos, &o->plan));
	if (o->max_restarts < 1)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--chaos needs restarts: --max-restarts of at least 1");
	if (plan->reference[0] == '\0' && snprintf(o->plan.reference, sizeof plan->reference, "%s.reference",
						   o->training.model_dir) >= (int)sizeof plan->reference)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--model-dir: too long for --chaos without reference=DIR");
	if (strcmp(plan->reference, o->training.model_dir) == 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--chaos: reference=%s is the folder of the training itself",
			   plan->reference);
done:
	return status;
}

ftmpi_status launch__parse(struct launch_options *o, int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;
	int used = 0;

	FTMPI_TRY(set_defaults(o));
	FTMPI_TRY(read_arguments(o, argc, argv, &used));
	if (used < argc && strcmp(argv[used], "train") == 0)
		used++;
	o->train = argv + used;
	o->n_train = argc - used;
	FTMPI_TRY(app_options_parse(&o->training, APP_TRAIN, o->n_train, o->train));
	if (o->training.steps > 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE,
			   "launch: --steps counts from where each start begins, so restarts would add to it; give "
			   "--max-steps");
	FTMPI_TRY(check_plan(o));
	FTMPI_TRY(check_ranks(o));
done:
	return status;
}

void launch__print_help(void)
{
	const char *section = "";

	(void)printf("usage: ftmpi launch -np N [OPTIONS] -- [OPTIONS OF THE TRAINING]      (without mpirun)\n"
		     "  run 'mpirun -n N ftmpi train ...', and again when it dies, until the training is done\n");
	for (int i = 0; i < N_ROWS; i++) {
		if (strcmp(section, rows[i].section) != 0)
			(void)printf("\n%s\n", rows[i].section);
		section = rows[i].section;
		app__print_row(&rows[i]);
	}
	launch__print_plan_help();
	(void)printf(
		"\nIt starts the training again after death by a signal (of a rank or of mpirun), after exit code 75\n"
		"(stopped after saving), after 70 and after an end of mpirun's own, not after 64, 65, 66, 74 and 76.\n"
		"Two deaths in a row at the same checkpoint: it goes back to the one before, once.\n"
		"SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 are passed on to mpirun, and nothing is started again; a second\n"
		"SIGTERM or SIGINT kills everything at once.\n"
		"Exit code: that of the last attempt; 128 + the signal where one ended it.\n");
}
