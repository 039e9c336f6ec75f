/* SPDX-License-Identifier: Apache-2.0 */
/* Where options come from, and what they mean together. The table of options is in option_table.c. */
#include "app/option_table.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ftmpi_status give(struct app_options *options, const struct row *row, const char *text, enum app_source source,
			 const char *origin)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(app__set_value(options, row, text, origin));
	options->given[row - app__rows] = (uint8_t)source;
done:
	return status;
}

static ftmpi_status set_default(struct app_options *options, const struct row *row)
{
	ftmpi_status status = FTMPI_OK;
	const double none = NAN;

	options->given[row - app__rows] = APP_DEFAULT;
	if (row->value != NULL)
		FTMPI_TRY(app__set_value(options, row, row->value, "--"));
	else if (row->type == REAL)
		memcpy(app__field_of(options, row), &none, sizeof none);
	else
		memset(app__field_of(options, row), 0, row->bytes);
done:
	return status;
}

static ftmpi_status set_defaults(struct app_options *options)
{
	ftmpi_status status = FTMPI_OK;

	memset(options, 0, sizeof *options);
	for (int i = 0; i < app__n_rows; i++)
		FTMPI_TRY(set_default(options, &app__rows[i]));
done:
	return status;
}

static ftmpi_status read_file(const char *path, ftmpi_buffer *text)
{
	ftmpi_status status = FTMPI_OK;
	FILE *file = fopen(path, "re");
	char piece[4096];
	size_t n;

	if (file == NULL)
		FTMPI_FAIL(errno == ENOENT ? FTMPI_ERR_NOT_FOUND : FTMPI_ERR_IO, "--config %s: %s", path,
			   strerror(errno));
	while ((n = fread(piece, 1, sizeof piece, file)) > 0) {
		FTMPI_TRY(ftmpi_buffer_append(text, piece, n));
		if (text->n_bytes > (1U << 20))
			FTMPI_FAIL(FTMPI_ERR_USAGE, "--config %s: longer than 1 MiB, so no configuration", path);
	}
	if (ferror(file))
		FTMPI_FAIL(FTMPI_ERR_IO, "--config %s: %s", path, strerror(errno));
	if (memchr(text->data == NULL ? "" : text->data, '\0', text->n_bytes) != NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--config %s: not a text", path);
done:
	if (file != NULL)
		(void)fclose(file);
	return status;
}

static ftmpi_status read_config(struct app_options *options, enum app_command command, const char *path)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer text = {0};
	ftmpi_keyvalue pair = {.line = 0};
	char origin[APP_TEXT_BYTES + 32];
	const char *at;
	bool found = true;

	FTMPI_TRY(read_file(path, &text));
	for (at = text.data == NULL ? "" : text.data;;) {
		const struct row *row;

		if (ftmpi_keyvalue_next(&at, &pair, &found) != FTMPI_OK)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "%s: %s", path, ftmpi_error_message());
		if (!found)
			break;
		row = app__find_row(pair.key, strlen(pair.key));
		if (row == NULL)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "%s, line %d: there is no option '%s'", path, pair.line, pair.key);
		(void)snprintf(origin, sizeof origin, "%.900s, line %d: ", path, pair.line);
		if (row->commands & (int)command)
			FTMPI_TRY(give(options, row, pair.value, APP_FILE, origin));
	}
done:
	ftmpi_buffer_clear(&text);
	return status;
}

/* FTMPI_BATCH_SIZE for batch-size. */
static ftmpi_status read_environment(struct app_options *options, enum app_command command)
{
	ftmpi_status status = FTMPI_OK;
	char name[64], origin[80];

	for (int i = 0; i < app__n_rows; i++) {
		const char *value;
		size_t n = (size_t)snprintf(name, sizeof name, "FTMPI_%s", app__rows[i].name);

		for (size_t k = 0; k < n; k++)
			name[k] = name[k] == '-' ? '_' : (char)toupper((unsigned char)name[k]);
		value = getenv(name);
		(void)snprintf(origin, sizeof origin, "environment %s: ", name);
		if (value != NULL && (app__rows[i].commands & (int)command))
			FTMPI_TRY(give(options, &app__rows[i], value, APP_ENVIRONMENT, origin));
	}
done:
	return status;
}

/* One argument, and the next one where that is its value. @param used set to 1 or 2. */
static ftmpi_status read_argument(struct app_options *options, enum app_command command, char **argv, int *used)
{
	ftmpi_status status = FTMPI_OK;
	const char *name = argv[0] + 2, *value = strchr(argv[0], '=');
	const size_t n = value == NULL ? strlen(name) : (size_t)(value - name);
	const bool negated = strncmp(name, "no-", 3) == 0;
	const struct row *row = app__find_row(name, n);

	*used = 1;
	if (row == NULL && negated && value == NULL && (row = app__find_row(name + 3, n - 3)) != NULL &&
	    row->type == FLAG)
		value = "=false";
	else if (row != NULL && row->type == FLAG && value == NULL)
		value = "=true";
	if (row != NULL && !(row->commands & (int)command))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--%s is not an option of this command (--help lists them)", row->name);
	if (row == NULL || (negated && row->type != FLAG))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "unknown option %.*s (--help lists the options)", (int)(n + 2), argv[0]);
	if (value == NULL) {
		if (argv[1] == NULL)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "--%s needs a value", row->name);
		*used = 2;
	}
	FTMPI_TRY(give(options, row, value == NULL ? argv[1] : value + 1, APP_COMMAND_LINE, "--"));
done:
	return status;
}

/* Twice: first only for --config, whose values the others override. */
static ftmpi_status read_arguments(struct app_options *options, enum app_command command, int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;
	const char *config = getenv("FTMPI_CONFIG");

	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "--config=", 9) == 0)
			config = argv[i] + 9;
		else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
			config = argv[i + 1];
	}
	if (config != NULL)
		FTMPI_TRY(read_config(options, command, config));
	FTMPI_TRY(read_environment(options, command));
	for (int i = 0, used = 0; i < argc; i += used) {
		if (strncmp(argv[i], "--", 2) != 0 || argv[i][2] == '\0')
			FTMPI_FAIL(FTMPI_ERR_USAGE, "'%s' is not an option (--help lists the options)", argv[i]);
		if (strncmp(argv[i], "--config=", 9) == 0)
			used = 1;
		else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
			used = 2;
		else if (strcmp(argv[i], "--config") == 0)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "--config needs a value");
		else
			FTMPI_TRY(read_argument(options, command, argv + i, &used));
	}
done:
	return status;
}

bool app_options_given(const struct app_options *options, const char *name)
{
	const struct row *row = app__find_row(name, strlen(name));

	return row != NULL && options->given[row - app__rows] != APP_DEFAULT;
}

/* Options of which at most one may be given; one from the command line puts those from the environment and the file out of force. */
static ftmpi_status check_exclusive(struct app_options *options, const char *const *names, int n)
{
	ftmpi_status status = FTMPI_OK;
	const struct row *winner = NULL;

	for (int i = 0; i < n; i++) {
		const struct row *row = app__find_row(names[i], strlen(names[i]));
		const uint8_t source = options->given[row - app__rows];

		if (source != APP_DEFAULT && winner != NULL && source == options->given[winner - app__rows])
			FTMPI_FAIL(FTMPI_ERR_USAGE, "--%s and --%s cannot both be given", winner->name, row->name);
		if (source != APP_DEFAULT && (winner == NULL || source > options->given[winner - app__rows]))
			winner = row;
	}
	for (int i = 0; i < n; i++) {
		const struct row *row = app__find_row(names[i], strlen(names[i]));

		if (row != winner)
			FTMPI_TRY(set_default(options, row));
	}
done:
	return status;
}

/* The optimizers that have an option; NULL: all. */
static const char *owners_of(const struct row *row)
{
	static const struct {
		const char *name, *optimizers;
	} owners[] = {
		{"momentum", "sgd|rmsprop"},
		{"nesterov", "sgd"},
		{"beta-1", "adam|adamw|nadam|lion"},
		{"beta-2", "adam|adamw|nadam|lion"},
		{"rho", "rmsprop"},
		{"centered", "rmsprop"},
		{"epsilon", "adam|adamw|rmsprop|adagrad|nadam"},
		{"initial-accumulator", "adagrad"},
	};

	for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++)
		if (strcmp(row->name, owners[i].name) == 0)
			return owners[i].optimizers;
	return NULL;
}

static bool means_something(const struct app_options *options, const struct row *row)
{
	const char *owners = owners_of(row);

	return owners == NULL || app__is_choice(owners, options->optimizer);
}

/* An option that the chosen optimizer does not have would change nothing: that is a mistake, not a wish. Saying no to it is none. */
static ftmpi_status check_optimizer_options(struct app_options *o)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < app__n_rows; i++) {
		const struct row *row = &app__rows[i];
		const bool refused = row->type == FLAG && !*(const bool *)app__field_of(o, row);

		if (o->given[i] != APP_DEFAULT && !refused && !means_something(o, row))
			FTMPI_FAIL(FTMPI_ERR_USAGE, "--%s means nothing to --optimizer %s (%s)", row->name,
				   o->optimizer, owners_of(row));
	}
	if (o->nesterov && !(o->momentum > 0))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--nesterov needs --momentum above 0");
done:
	return status;
}

static void fill(double *value, double fallback)
{
	if (isnan(*value))
		*value = fallback;
}

/* When to save. A part of the time that bounds nothing is a mistake, but for one in a file, which may hold more than this run needs. */
static ftmpi_status finish_saving(struct app_options *o)
{
	ftmpi_status status = FTMPI_OK;
	static const char *const saves[] = {"save-checkpoints-steps", "save-checkpoints-secs",
					    "save-checkpoints-epochs", "checkpoint-interval"};
	static const char overhead[] = "checkpoint-overhead";
	const struct row *row = app__find_row(overhead, sizeof overhead - 1);

	if (o->given[row - app__rows] > APP_FILE && !app_options_given(o, "checkpoint-interval"))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--%s means nothing without --checkpoint-interval auto", overhead);
	FTMPI_TRY(check_exclusive(o, saves, 4));
	fill(&o->save_s, 0);
	if (o->save_steps == 0 && o->save_s == 0 && o->save_epochs == 0 && o->checkpoint_interval[0] == '\0')
		o->save_epochs = 1;
done:
	return status;
}

static ftmpi_status finish_training(struct app_options *o)
{
	ftmpi_status status = FTMPI_OK;
	static const char *const lengths[] = {"max-steps", "steps"};
	ftmpi_optimizer_kind kind;
	ftmpi_optimizer defaults, optimizer;

	FTMPI_TRY(app_options_adopt_model(o));
	FTMPI_TRY(check_exclusive(o, lengths, 2));
	FTMPI_TRY(finish_saving(o));
	FTMPI_TRY(check_optimizer_options(o));
	FTMPI_TRY(ftmpi_optimizer_parse(o->optimizer, &kind));
	ftmpi_optimizer_init(&defaults, kind);
	fill(&o->learning_rate, defaults.learning_rate);
	fill(&o->momentum, defaults.momentum);
	fill(&o->beta_1, defaults.beta_1);
	fill(&o->beta_2, defaults.beta_2);
	fill(&o->rho, defaults.rho);
	fill(&o->epsilon, defaults.epsilon);
	fill(&o->weight_decay, defaults.weight_decay);
	fill(&o->initial_accumulator, defaults.initial_accumulator);
	FTMPI_TRY(app_options_optimizer(o, &optimizer)); /* for its checks, before anything is touched */
	FTMPI_TRY(app_check_preemption(o));
	fill(&o->keep_hours, 0);
	fill(&o->spike_factor, 0);
	if ((o->max_steps > 0 || o->steps > 0) && !app_options_given(o, "epochs"))
		o->epochs = 0;
done:
	return status;
}

ftmpi_status app_options_parse(struct app_options *options, enum app_command command, int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(set_defaults(options));
	FTMPI_TRY(read_arguments(options, command, argc, argv));
	if (command == APP_TRAIN)
		FTMPI_TRY(finish_training(options));
done:
	return status;
}

/* Whether a row says anything: a value that cannot be given stands for "not set". */
static bool is_set(const struct app_options *options, const struct row *row)
{
	const void *field = (const char *)options + row->offset;

	if (row->type == INTEGER && *(const int64_t *)field == 0 && row->least > 0)
		return false;
	if (row->type == CHOICE && *(const char *)field == '\0')
		return false;
	if (row->type == REAL && (isnan(*(const double *)field) || (*(const double *)field == 0 && row->open)))
		return false;
	return (row->commands & APP_TRAIN) && means_something(options, row);
}

ftmpi_status app_options_format(const struct app_options *options, ftmpi_buffer *text)
{
	ftmpi_status status = FTMPI_OK;
	char value[APP_TEXT_BYTES];

	for (int i = 0; i < app__n_rows; i++) {
		if (!is_set(options, &app__rows[i]))
			continue;
		app__format_value(options, &app__rows[i], value, sizeof value);
		FTMPI_TRY(ftmpi_buffer_printf(text, "%s = %s\n", app__rows[i].name, value));
	}
done:
	return status;
}

ftmpi_status app_options_compare(const struct app_options *options, const char *saved)
{
	ftmpi_status status = FTMPI_OK;
	char value[APP_TEXT_BYTES];
	ftmpi_keyvalue pair;

	for (int i = 0; i < app__n_rows; i++) {
		if (!(app__rows[i].flags & MATH) || !ftmpi_keyvalue_find(saved, app__rows[i].name, &pair))
			continue;
		app__format_value(options, &app__rows[i], value, sizeof value);
		if (strcmp(value, pair.value) != 0)
			FTMPI_FAIL(FTMPI_ERR_USAGE,
				   "--%s was %s when this run began and is %s now, which would change the result; give "
				   "--%s %s, or "
				   "another --model-dir for a new run",
				   app__rows[i].name, pair.value, value, app__rows[i].name, pair.value);
	}
done:
	return status;
}

ftmpi_status app_options_adopt(struct app_options *options, const char *saved)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_keyvalue pair;

	for (int i = 0; i < app__n_rows; i++) {
		const bool wanted = (app__rows[i].flags & MODEL) || strcmp(app__rows[i].name, "logical-workers") == 0;

		if (!wanted)
			continue;
		if (!ftmpi_keyvalue_find(saved, app__rows[i].name, &pair))
			FTMPI_FAIL(FTMPI_ERR_DATA, "the checkpoint does not say what %s was", app__rows[i].name);
		FTMPI_TRY(app__set_value(options, &app__rows[i], pair.value, "checkpoint: "));
	}
done:
	return status;
}

ftmpi_status app_options_optimizer(const struct app_options *o, ftmpi_optimizer *out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_optimizer_kind kind;

	FTMPI_TRY(ftmpi_optimizer_parse(o->optimizer, &kind));
	ftmpi_optimizer_init(out, kind);
	out->learning_rate = o->learning_rate;
	out->momentum = o->momentum;
	out->nesterov = o->nesterov;
	out->beta_1 = o->beta_1;
	out->beta_2 = o->beta_2;
	out->rho = o->rho;
	out->centered = o->centered;
	out->epsilon = o->epsilon;
	out->weight_decay = o->weight_decay;
	out->initial_accumulator = o->initial_accumulator;
	FTMPI_TRY(ftmpi_optimizer_check(out));
done:
	return status;
}

enum { HELP_COLUMN = 42, HELP_WIDTH = 100 };

/* Print text from HELP_COLUMN on, words that would pass HELP_WIDTH on a line of their own. @param column where the line stands. */
static void print_wrapped(const char *text, int column)
{
	for (const char *at = text; *at != '\0';) {
		const int n = (int)strcspn(at, " ");

		if (column >= HELP_COLUMN && column + 1 + n > HELP_WIDTH && column > HELP_COLUMN)
			column = printf("\n") - 1;
		if (column < HELP_COLUMN)
			column += printf("%*s", HELP_COLUMN - column, "");
		else if (column > HELP_COLUMN)
			column += printf(" ");
		column += printf("%.*s", n, at);
		at += n;
		at += strspn(at, " ");
	}
	(void)printf("\n");
}

void app__print_row(const struct row *row)
{
	char left[64], text[512];
	size_t used;
	int column;

	if (row->type == FLAG)
		(void)snprintf(left, sizeof left, "--%s, --no-%s", row->name, row->name);
	else
		(void)snprintf(left, sizeof left, "--%s %s", row->name, row->metavar);
	column = printf("  %s", left);
	if (column >= HELP_COLUMN)
		column = printf("\n") - 1;
	used = (size_t)snprintf(text, sizeof text, "%s", row->help);
	if (row->type == CHOICE && strcmp(row->metavar, row->choices) != 0)
		used += (size_t)snprintf(text + used, sizeof text - used, ": %s", row->choices);
	if (row->value != NULL && row->value[0] != '\0' && strcmp(row->value, "false") != 0)
		(void)snprintf(text + used, sizeof text - used, " [%s]",
			       strcmp(row->value, "true") == 0 ? "on" : row->value);
	print_wrapped(text, column);
}

void app_options_help(enum app_command command)
{
	const char *section = "";

	for (int i = 0; i < app__n_rows; i++) {
		if (!(app__rows[i].commands & (int)command))
			continue;
		if (strcmp(section, app__rows[i].section) != 0)
			(void)printf("\n%s\n", app__rows[i].section);
		section = app__rows[i].section;
		app__print_row(&app__rows[i]);
	}
	(void)printf("\nEvery option may also come from a file of 'name = value' lines, --config FILE, or from the "
		     "environment\n"
		     "(FTMPI_BATCH_SIZE for --batch-size); the command line wins over the environment, that over the "
		     "file.\n");
}
