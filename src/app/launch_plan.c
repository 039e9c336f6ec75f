/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of the faults: what --chaos says, and the random numbers that follow from it.
 *
 * Fault k is a pure function of (seed, k): its kind, how much training passes before it comes (exponential, mean mtbf), whom it hits. How far the training
 * is when it comes depends on the machine. */
#include "app/launch.h"
#include "app/option_table.h"

#include <ftmpi/rng.h>
#include <stdio.h>
#include <string.h>

#define FIELD(f) offsetof(struct launch_plan, f), sizeof(((struct launch_plan *)0)->f)

#define MODE_OTHER_NP "np"

static const struct row rows[] = {
	{NULL, "seed", UNSIGNED, FIELD(seed), "1", 0, 0, 0, NULL, 0, 0, "N", "another seed, another plan"},
	{NULL, "mtbf", REAL, FIELD(mtbf_s), "30", 0, 1e9, 1, NULL, 0, 0, "S",
	 "mean seconds of training between two faults"},
	{NULL, "modes", TEXT, FIELD(modes), "kill+stop+segv+double+mpirun+recovery+disk+np", 0, 0, 0, NULL, 0, 0,
	 "A+B+...", "kinds of faults:"},
	{NULL, "stall", REAL, FIELD(stall_s), "60", 0, 1e9, 1, NULL, 0, 0, "S",
	 "no step for S seconds, ten times that at the start: it hangs, and is killed"},
	{NULL, "reference", TEXT, FIELD(reference), "", 0, 0, 0, NULL, 0, 0, "DIR",
	 "folder of the uninterrupted run, made first unless it is there; default: --model-dir with .reference"},
};

enum { N_ROWS = sizeof rows / sizeof rows[0] };

static const struct {
	const char *name, *what;
} faults[LAUNCH_N_FAULTS] = {
#define LAUNCH_FAULT_INFO(id, name, what) {name, what},
	LAUNCH_FAULT_LIST(LAUNCH_FAULT_INFO)
#undef LAUNCH_FAULT_INFO
};

const char *launch__fault_name(enum launch_fault fault)
{
	return faults[fault].name;
}

/* "kill+stop+np" */
static ftmpi_status parse_modes(struct launch_plan *plan)
{
	ftmpi_status status = FTMPI_OK;
	bool any = false;

	for (const char *word = plan->modes; *word != '\0';) {
		const size_t n = strcspn(word, "+");
		bool known = strlen(MODE_OTHER_NP) == n && strncmp(word, MODE_OTHER_NP, n) == 0;

		plan->other_np = plan->other_np || known;
		for (int i = 0; i < LAUNCH_N_FAULTS; i++)
			if (strlen(faults[i].name) == n && strncmp(word, faults[i].name, n) == 0)
				known = any = plan->kinds[i] = true;
		if (!known)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "--chaos: there is no mode '%.*s' (ftmpi launch --help lists them)",
				   (int)n, word);
		word += n + (word[n] == '+');
	}
	if (!any)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--chaos: modes=%s names no kind of fault", plan->modes);
done:
	return status;
}

static ftmpi_status set(struct launch_plan *plan, const char *name, size_t n, const char *value)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < N_ROWS; i++)
		if (strlen(rows[i].name) == n && strncmp(rows[i].name, name, n) == 0) {
			FTMPI_TRY(app__set_field((char *)plan + rows[i].offset, &rows[i], value, "--chaos "));
			goto done;
		}
	FTMPI_FAIL(FTMPI_ERR_USAGE, "--chaos: '%.*s' is none of seed, mtbf, modes, stall, reference", (int)n, name);
done:
	return status;
}

ftmpi_status launch__parse_plan(const char *text, struct launch_plan *plan)
{
	ftmpi_status status = FTMPI_OK;
	char copy[APP_TEXT_BYTES], *save = NULL;

	memset(plan, 0, sizeof *plan);
	for (int i = 0; i < N_ROWS; i++)
		FTMPI_TRY(set(plan, rows[i].name, strlen(rows[i].name), rows[i].value));
	(void)snprintf(copy, sizeof copy, "%s", text);
	for (char *word = strtok_r(copy, ",", &save); word != NULL; word = strtok_r(NULL, ",", &save)) {
		const size_t n = strcspn(word, "=");

		if (word[n] != '=')
			FTMPI_FAIL(FTMPI_ERR_USAGE, "--chaos: '%s' is not NAME=VALUE (seed=1,mtbf=30,modes=kill+stop)",
				   word);
		FTMPI_TRY(set(plan, word, n, word + n + 1));
	}
	FTMPI_TRY(parse_modes(plan));
done:
	return status;
}

void launch__print_plan_help(void)
{
	char left[64];

	(void)printf("\nSPEC of --chaos: NAME=VALUE, with commas between them\n");
	for (int i = 0; i < N_ROWS; i++) {
		const bool shows_default = rows[i].type != TEXT;

		(void)snprintf(left, sizeof left, "%s=%s", rows[i].name, rows[i].metavar);
		(void)printf("  %-15s %s%s%s%s\n", left, rows[i].help, shows_default ? " [" : "",
			     shows_default ? rows[i].value : "", shows_default ? "]" : "");
		for (int k = 0; k < LAUNCH_N_FAULTS && rows[i].offset == offsetof(struct launch_plan, modes); k++)
			(void)printf("    %-13s %s\n", faults[k].name, faults[k].what);
		if (rows[i].offset == offsetof(struct launch_plan, modes))
			(void)printf("    %-13s another number of ranks each time, from --min-np (here 1) to -np\n",
				     MODE_OTHER_NP);
	}
}

double launch__draw(const struct launch_plan *plan, int64_t index, enum launch_draw what)
{
	uint32_t words[4];

	ftmpi_rng_block(ftmpi_rng_stream(plan->seed, FTMPI_RNG_USER, (uint64_t)index, (uint64_t)what), 0, 0, words);
	return (double)ftmpi_rng_unit(words[0]);
}

int64_t launch__draw_below(const struct launch_plan *plan, int64_t index, enum launch_draw what, int64_t n)
{
	return (int64_t)(launch__draw(plan, index, what) * (double)n);
}

enum launch_fault launch__draw_kind(const struct launch_plan *plan, int64_t index)
{
	int64_t n = 0, chosen;

	for (int i = 0; i < LAUNCH_N_FAULTS; i++)
		n += plan->kinds[i];
	chosen = launch__draw_below(plan, index, LAUNCH_DRAW_KIND, n);
	for (int i = 0; i < LAUNCH_N_FAULTS; i++)
		if (plan->kinds[i] && chosen-- == 0)
			return (enum launch_fault)i;
	return LAUNCH_NO_FAULT;
}
