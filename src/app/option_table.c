/* SPDX-License-Identifier: Apache-2.0 */
/* One table of options.
 *
 * A row names the option, where its value lies, what it may be, and which commands have it. Values are kept as parsed and written back in one
 * canonical form, so that "1e-3" and "0.001" are the same. */
#include "app/option_table.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(f) offsetof(struct app_options, f), sizeof(((struct app_options *)0)->f)
#define ALL      (APP_TRAIN | APP_EVALUATE | APP_PREDICT)
#define BIG      9007199254740992.0 /* 2^53 */

static const struct row rows[] = {
	{"Data", "data", TEXT, FIELD(data), "/usr/share/datasets/fashion-mnist", 0, 0, 0, NULL, 0, ALL, "DIR|FILE.h5",
	 "the four IDX files of MNIST and its like, plain or gzipped; or HDF5 with x_train, y_train, x_test, y_test"},
	{"Data", "batch-size", INTEGER, FIELD(batch_size), "32", 1, 2147483647, 0, NULL, MATH, APP_TRAIN, "N",
	 "samples of one step over all ranks"},
	{"Data", "shuffle", FLAG, FIELD(shuffle), "true", 0, 0, 0, NULL, MATH, APP_TRAIN, NULL,
	 "new order of the samples in every epoch"},
	{"Data", "seed", UNSIGNED, FIELD(seed), "1", 0, 0, 0, NULL, MATH, APP_TRAIN, "N",
	 "of parameters, order and dropout"},
	{"Data", "classes", INTEGER, FIELD(classes), "10", 2, 16777216, 0, NULL, MATH | MODEL, APP_TRAIN, "N",
	 "number of classes: labels are 0 ... N-1"},
	{"Data", "input-scale", REAL, FIELD(input_scale), "0", 0, 1e30, 0, NULL, MATH | MODEL, APP_TRAIN, "X",
	 "factor of the inputs; 0: 1/255 for 8-bit images, else 1"},

	{"Model", "model", TEXT, FIELD(model), "", 0, 0, 0, NULL, 0, APP_TRAIN, "FILE.keras|FILE.json",
	 "a model made by Keras 3, with its optimizer, loss, metrics and, of .keras, weights to start from"},
	{"Model", "hidden-units", UNITS, FIELD(hidden_units), "512", 1, 16777216, 0, NULL, MATH | MODEL, APP_TRAIN,
	 "N[,N...]", "units of the hidden layers; 'none': a linear model"},
	{"Model", "activation", CHOICE, FIELD(activation), "relu", 0, 0, 0, "linear|relu|sigmoid|tanh|gelu|softmax",
	 MATH | MODEL, APP_TRAIN, "NAME", "of the hidden layers"},
	{"Model", "dropout", REAL, FIELD(dropout), "0.2", 0, 0.999, 0, NULL, MATH | MODEL, APP_TRAIN, "RATE",
	 "after each hidden layer; 0: none"},

	{"Optimizer", "optimizer", CHOICE, FIELD(optimizer), "adam", 0, 0, 0,
	 "sgd|adam|adamw|rmsprop|adagrad|nadam|lion", MATH, APP_TRAIN, "NAME", "with the numerics of Keras 3"},
	{"Optimizer", "learning-rate", REAL, FIELD(learning_rate), NULL, 0, 1e6, 1, NULL, MATH | AUTO, APP_TRAIN, "X",
	 "default: Keras's (0.001; sgd 0.01)"},
	{"Optimizer", "momentum", REAL, FIELD(momentum), NULL, 0, 0.999999999, 0, NULL, MATH | AUTO, APP_TRAIN, "X",
	 "sgd, rmsprop"},
	{"Optimizer", "nesterov", FLAG, FIELD(nesterov), "false", 0, 0, 0, NULL, MATH, APP_TRAIN, NULL,
	 "sgd with momentum"},
	{"Optimizer", "beta-1", REAL, FIELD(beta_1), NULL, 0, 0.999999999, 0, NULL, MATH | AUTO, APP_TRAIN, "X",
	 "adam, adamw, nadam, lion"},
	{"Optimizer", "beta-2", REAL, FIELD(beta_2), NULL, 0, 0.999999999, 0, NULL, MATH | AUTO, APP_TRAIN, "X",
	 "adam, adamw, nadam, lion"},
	{"Optimizer", "rho", REAL, FIELD(rho), NULL, 0, 0.999999999, 0, NULL, MATH | AUTO, APP_TRAIN, "X", "rmsprop"},
	{"Optimizer", "centered", FLAG, FIELD(centered), "false", 0, 0, 0, NULL, MATH, APP_TRAIN, NULL, "rmsprop"},
	{"Optimizer", "epsilon", REAL, FIELD(epsilon), NULL, 0, 1e6, 1, NULL, MATH | AUTO, APP_TRAIN, "X",
	 "default: Keras's (1e-7)"},
	{"Optimizer", "weight-decay", REAL, FIELD(weight_decay), NULL, 0, 1e6, 0, NULL, MATH | AUTO, APP_TRAIN, "X",
	 "decoupled; default 0, adamw 0.004"},
	{"Optimizer", "initial-accumulator", REAL, FIELD(initial_accumulator), NULL, 0, 1e6, 0, NULL, MATH | AUTO,
	 APP_TRAIN, "X", "adagrad"},
	{"Optimizer", "loss-reduction", CHOICE, FIELD(loss_reduction), "mean", 0, 0, 0, "mean|sum", MATH, APP_TRAIN,
	 "mean|sum", "over the batch"},

	{"Length", "epochs", INTEGER, FIELD(epochs), "10", 1, BIG, 0, NULL, 0, APP_TRAIN, "N",
	 "train until N epochs are done"},
	{"Length", "max-steps", INTEGER, FIELD(max_steps), NULL, 1, BIG, 0, NULL, AUTO, APP_TRAIN, "N",
	 "train until N steps are done, however many epochs that takes"},
	{"Length", "steps", INTEGER, FIELD(steps), NULL, 1, BIG, 0, NULL, AUTO, APP_TRAIN, "N",
	 "train N steps more in this launch"},
	{"Length", "max-wall-time", TEXT, FIELD(max_wall_time), "", 0, 0, 0, NULL, 0, APP_TRAIN, "TIME",
	 "save and stop so as to be gone by then: seconds or [DAYS-]HOURS:MINUTES:SECONDS; under Slurm the job's end "
	 "counts too"},

	{"Checkpoints", "model-dir", TEXT, FIELD(model_dir), "ftmpi-run", 0, 0, 0, NULL, 0, ALL, "DIR",
	 "where checkpoints are, one run to a folder"},
	{"Checkpoints", "save-checkpoints-steps", INTEGER, FIELD(save_steps), NULL, 1, BIG, 0, NULL, AUTO, APP_TRAIN,
	 "N", "save every N steps"},
	{"Checkpoints", "save-checkpoints-secs", REAL, FIELD(save_s), NULL, 0, 1e9, 1, NULL, AUTO, APP_TRAIN, "S",
	 "save every S seconds"},
	{"Checkpoints", "save-checkpoints-epochs", INTEGER, FIELD(save_epochs), NULL, 1, BIG, 0, NULL, AUTO, APP_TRAIN,
	 "N", "save every N epochs; default: every epoch"},
	{"Checkpoints", "checkpoint-interval", CHOICE, FIELD(checkpoint_interval), NULL, 0, 0, 0, "auto", AUTO,
	 APP_TRAIN, "auto",
	 "instead of these: find the interval that loses the least time, from the measured cost of a save and how "
	 "often this run failed so far (Young/Daly)"},
	{"Checkpoints", "checkpoint-overhead", PART, FIELD(checkpoint_overhead), "1%", 0, 1, 1, NULL, 0, APP_TRAIN,
	 "PART", "with auto: most of the time that saves may take, 1% or 0.01"},
	{"Checkpoints", "keep-checkpoint-max", INTEGER, FIELD(keep_max), "5", 0, BIG, 0, NULL, 0, APP_TRAIN, "N",
	 "newest checkpoints that are kept; 0: all"},
	{"Checkpoints", "keep-checkpoint-every-n-hours", REAL, FIELD(keep_hours), NULL, 0, 1e9, 1, NULL, AUTO,
	 APP_TRAIN, "H", "beside those, keep one for good every H hours"},
	{"Checkpoints", "lock-wait-secs", REAL, FIELD(lock_wait_s), "10", 0, 1e9, 0, NULL, 0, APP_TRAIN, "S",
	 "how long to wait for a run that is going down in the same folder"},
	{"Checkpoints", "async-checkpoint", FLAG, FIELD(async_checkpoint), "true", 0, 0, 0, NULL, 0, APP_TRAIN, NULL,
	 "go on with the training while a checkpoint is written"},
	{"Checkpoints", "on-save-error", CHOICE, FIELD(on_save_error), "continue", 0, 0, 0, "continue|stop", 0,
	 APP_TRAIN, "continue|stop", "disk full or the like: go on and try again at the next save, or stop"},

	{"Divergence", "on-divergence", CHOICE, FIELD(on_divergence), "stop", 0, 0, 0, "stop|rollback", 0, APP_TRAIN,
	 "stop|rollback",
	 "a loss that is not finite or a spike: stop, or go back to the last checkpoint and on without the batches "
	 "that "
	 "led there"},
	{"Divergence", "spike-factor", REAL, FIELD(spike_factor), NULL, 1, 1e30, 1, NULL, AUTO, APP_TRAIN, "X",
	 "a loss above X times the mean of those before is a spike; default: none is"},
	{"Divergence", "max-rollbacks", INTEGER, FIELD(max_rollbacks), "3", 1, 30, 0, NULL, 0, APP_TRAIN, "N",
	 "in a row before giving up; the n-th passes over 2^(n-1) batches"},

	{"Logging", "progress", CHOICE, FIELD(progress), "auto", 0, 0, 0, "auto|bar|lines|log", 0, APP_TRAIN,
	 "auto|bar|lines|log", "bar on a terminal, else lines; log: the Estimator's lines"},
	{"Logging", "log-step-count-steps", INTEGER, FIELD(log_steps), "100", 1, BIG, 0, NULL, 0, APP_TRAIN, "N",
	 "steps between two lines of the log"},
	{"Logging", "save-summary-steps", INTEGER, FIELD(summary_steps), "100", 0, BIG, 0, NULL, 0, APP_TRAIN, "N",
	 "steps between two points of TensorBoard's log in --model-dir; 0: no log"},

	{"Parallel", "logical-workers", INTEGER, FIELD(logical_workers), NULL, 1, 65536, 0, NULL, MATH | AUTO,
	 APP_TRAIN, "V", "slices of the batch, fixed at the first launch; default: its number of ranks"},
	{"Parallel", "strict", FLAG, FIELD(strict), "false", 0, 0, 0, NULL, 0, APP_TRAIN, NULL,
	 "refuse to go on where the result would not be bit-exact"},

	{"Parallel", "signals", TEXT, FIELD(signals), "TERM,INT,USR1", 0, 0, 0, NULL, 0, APP_TRAIN, "NAME[,NAME...]",
	 "on these save, and end with 75; 'none': on none; a second one ends at once"},

	{"Parallel", "check-replicas-steps", INTEGER, FIELD(compare_steps), "200", 0, BIG, 0, NULL, 0, APP_TRAIN, "N",
	 "compare the ranks' copies of the parameters every N steps and at every save; 0: only there"},
	{"Parallel", "hang-timeout", REAL, FIELD(hang_timeout), NULL, 0, 1e9, 0, NULL, AUTO, ALL, "SECONDS",
	 "end the job when a rank is stuck for so long, ten times that in saves and the like; 0: never; default: ten "
	 "times the slowest step, at least 30"},
	{"Input and output", "checkpoint", TEXT, FIELD(checkpoint), "", 0, 0, 0, NULL, 0, APP_EVALUATE | APP_PREDICT,
	 "FILE", "a checkpoint file; default: the newest good one of --model-dir"},
	{"Input and output", "output", TEXT, FIELD(output), "predictions.h5", 0, 0, 0, NULL, 0, APP_PREDICT, "FILE.h5",
	 "where the predictions go"},
};

_Static_assert(sizeof rows / sizeof rows[0] <= (size_t)APP_MAX_OPTIONS, "given[] is too short");

const int app__n_rows = (int)(sizeof rows / sizeof rows[0]);
const struct row *const app__rows = rows;

void *app__field_of(struct app_options *options, const struct row *row)
{
	return (char *)options + row->offset;
}

static const void *const_field_of(const struct app_options *options, const struct row *row)
{
	return (const char *)options + row->offset;
}

const struct row *app__find_row(const char *name, size_t n)
{
	for (int i = 0; i < app__n_rows; i++)
		if (strlen(rows[i].name) == n && strncmp(rows[i].name, name, n) == 0)
			return &rows[i];
	return NULL;
}

/* Decimal and finite, and nothing behind it. */
static bool read_number(const char *text, double *out)
{
	char *end;

	errno = 0;
	*out = strtod(text, &end);
	return text[strspn(text, "+-.0123456789eE")] == '\0' && end != text && *end == '\0' && isfinite(*out) &&
	       !(errno == ERANGE && fabs(*out) > 1);
}

static bool is_in_range(const struct row *row, double value)
{
	return value >= row->least && value <= row->most && !(row->open && value <= row->least);
}

static ftmpi_status parse_real(const struct row *row, const char *text, const char *origin, double *out)
{
	ftmpi_status status = FTMPI_OK;
	double value;

	if (!read_number(text, &value))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%s%s: '%s' is not a number", origin, row->name, text);
	if (!is_in_range(row, value))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%s%s: %s is out of range: it must be %s %g and at most %g", origin,
			   row->name, text, row->open ? "above" : "at least", row->least, row->most);
	*out = value;
done:
	return status;
}

/* "1%" or "0.01". */
static ftmpi_status parse_part(const struct row *row, const char *text, const char *origin, double *out)
{
	ftmpi_status status = FTMPI_OK;
	const size_t n = strlen(text);
	const bool percent = n > 0 && text[n - 1] == '%';
	char number[64];
	double value;

	(void)snprintf(number, sizeof number, "%.*s", (int)(percent ? n - 1 : n), text);
	if (n >= sizeof number || !read_number(number, &value))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%s%s: '%s' is neither a number nor a percentage", origin, row->name, text);
	value = percent ? value / 100 : value;
	if (!is_in_range(row, value))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%s%s: %s is out of range: it must be %s %g%% and at most %g%%", origin,
			   row->name, text, row->open ? "above" : "at least", 100 * row->least, 100 * row->most);
	*out = value;
done:
	return status;
}

static ftmpi_status parse_integer(const struct row *row, const char *text, const char *origin, int64_t *out)
{
	ftmpi_status status = FTMPI_OK;
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (end == text || *end != '\0' || isspace((unsigned char)text[0]))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%s%s: '%s' is not a whole number", origin, row->name, text);
	if (errno == ERANGE || (double)value < row->least || (double)value > row->most)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%s%s: %s is out of range: it must be %.0f to %.0f", origin, row->name,
			   text, row->least, row->most);
	*out = value;
done:
	return status;
}

static ftmpi_status parse_unsigned(const struct row *row, const char *text, const char *origin, uint64_t *out)
{
	ftmpi_status status = FTMPI_OK;
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno == ERANGE)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%s%s: '%s' is not a whole number from 0 to 18446744073709551615", origin,
			   row->name, text);
	*out = value;
done:
	return status;
}

static ftmpi_status parse_flag(const struct row *row, const char *text, const char *origin, bool *out)
{
	ftmpi_status status = FTMPI_OK;

	if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0)
		*out = true;
	else if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
		*out = false;
	else
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%s%s: '%s' is neither true nor false", origin, row->name, text);
done:
	return status;
}

bool app__is_choice(const char *choices, const char *text)
{
	const size_t n = strchr(text, '|') == NULL ? strlen(text) : 0;

	for (const char *p = choices; n > 0 && p != NULL; p = strchr(p, '|')) {
		p += *p == '|';
		if (strncmp(p, text, n) == 0 && (p[n] == '|' || p[n] == '\0'))
			return true;
	}
	return false;
}

/* "256,32" or "none" in its one form. Every number is checked here, so that nobody else has to. */
static ftmpi_status parse_units(const struct row *row, const char *text, const char *origin, char *out,
				size_t out_bytes)
{
	ftmpi_status status = FTMPI_OK;
	size_t used = 0;
	char word[32];

	(void)snprintf(out, out_bytes, "%s", text);
	for (const char *p = text; strcmp(text, "none") != 0; p++) {
		const size_t n = strcspn(p, ",");
		int64_t units = 0;
		bool good = n < sizeof word;

		(void)snprintf(word, sizeof word, "%.*s", (int)(good ? n : 0), p);
		good = good && parse_integer(row, word, origin, &units) == FTMPI_OK && used < out_bytes;
		if (!good)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "%s%s: '%s' is not a list of whole numbers from %.0f to %.0f",
				   origin, row->name, text, row->least, row->most);
		used += (size_t)snprintf(out + used, out_bytes - used, "%s%lld", used > 0 ? "," : "", (long long)units);
		p += n;
		if (*p == '\0')
			break;
	}
done:
	return status;
}

static ftmpi_status set_text(const struct row *row, const char *text, const char *origin, char *out)
{
	ftmpi_status status = FTMPI_OK;
	char units[APP_TEXT_BYTES];

	if (row->type == CHOICE && !app__is_choice(row->choices, text))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%s%s: '%s' is none of %s", origin, row->name, text, row->choices);
	if (row->type == TEXT && text[0] == '\0' && row->value[0] != '\0')
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%s%s: is empty", origin, row->name);
	if (strlen(text) >= row->bytes || strpbrk(text, "\n\r") != NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%s%s: the value is too long or has a line break in it", origin, row->name);
	if (row->type == UNITS)
		FTMPI_TRY(parse_units(row, text, origin, units, sizeof units));
	memset(out, 0, row->bytes);
	(void)snprintf(out, row->bytes, "%s", row->type == UNITS ? units : text);
done:
	return status;
}

ftmpi_status app__set_value(struct app_options *options, const struct row *row, const char *text, const char *origin)
{
	return app__set_field(app__field_of(options, row), row, text, origin);
}

ftmpi_status app__set_field(void *field, const struct row *row, const char *text, const char *origin)
{
	switch (row->type) {
	case INTEGER:
		return parse_integer(row, text, origin, field);
	case UNSIGNED:
		return parse_unsigned(row, text, origin, field);
	case REAL:
		return parse_real(row, text, origin, field);
	case PART:
		return parse_part(row, text, origin, field);
	case FLAG:
		return parse_flag(row, text, origin, field);
	case CHOICE:
	case TEXT:
	case UNITS:
		break;
	}
	return set_text(row, text, origin, field);
}

/* The shortest text that reads back as the same number; without an exponent where that is no longer than 15 digits. */
static void format_real(double value, char *text, size_t bytes)
{
	if (value == floor(value) && fabs(value) < 1e15) {
		(void)snprintf(text, bytes, "%.0f", value);
		return;
	}
	for (int digits = 1; digits <= 17; digits++) {
		(void)snprintf(text, bytes, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
}

/* "1%" for 0.01; as a number where the percentage has many digits. */
static void format_part(double value, char *text, size_t bytes)
{
	char percent[64] = "";

	format_real(value, text, bytes);
	for (int digits = 1; digits <= 17; digits++) {
		(void)snprintf(percent, sizeof percent, "%.*g", digits, 100 * value);
		if (strtod(percent, NULL) / 100 == value)
			break;
	}
	format_real(strtod(percent, NULL), percent, sizeof percent);
	if (strtod(percent, NULL) / 100 == value && strlen(percent) <= strlen(text) + 2)
		(void)snprintf(text, bytes, "%s%%", percent);
}

void app__format_value(const struct app_options *options, const struct row *row, char *text, size_t bytes)
{
	const void *field = const_field_of(options, row);

	switch (row->type) {
	case INTEGER:
		(void)snprintf(text, bytes, "%lld", (long long)*(const int64_t *)field);
		break;
	case UNSIGNED:
		(void)snprintf(text, bytes, "%llu", (unsigned long long)*(const uint64_t *)field);
		break;
	case REAL:
		format_real(*(const double *)field, text, bytes);
		break;
	case PART:
		format_part(*(const double *)field, text, bytes);
		break;
	case FLAG:
		(void)snprintf(text, bytes, "%s", *(const bool *)field ? "true" : "false");
		break;
	case CHOICE:
	case TEXT:
	case UNITS:
		(void)snprintf(text, bytes, "%s", (const char *)field);
		break;
	}
}
