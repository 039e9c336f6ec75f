/* SPDX-License-Identifier: Apache-2.0 */
/* Optimizers: names, defaults, ranges, and slots. What a step does to the numbers is in update.c.
 *
 * One table holds what a kind has: which fields it looks at, its defaults and its slots. Slots are numbered in the order in which Keras creates them. */
#include <ftmpi/optimizer.h>

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

static const char *const names[] = {
#define FTMPI_OPTIMIZER_NAME(id, name, class_name) [FTMPI_##id] = name,
	FTMPI_OPTIMIZER_LIST(FTMPI_OPTIMIZER_NAME)
#undef FTMPI_OPTIMIZER_NAME
};

static const char *const classes[] = {
#define FTMPI_OPTIMIZER_CLASS(id, name, class_name) [FTMPI_##id] = class_name,
	FTMPI_OPTIMIZER_LIST(FTMPI_OPTIMIZER_CLASS)
#undef FTMPI_OPTIMIZER_CLASS
};

enum { N_NAMES = sizeof names / sizeof names[0] };

const char *ftmpi_optimizer_name(ftmpi_optimizer_kind kind)
{
	return (size_t)kind < N_NAMES ? names[kind] : "unknown";
}

const char *ftmpi_optimizer_class(ftmpi_optimizer_kind kind)
{
	return (size_t)kind < N_NAMES ? classes[kind] : "unknown";
}

ftmpi_status ftmpi_optimizer_parse(const char *name, ftmpi_optimizer_kind *out)
{
	for (int i = 0; i < N_NAMES; i++) {
		if (strcmp(name, names[i]) == 0) {
			*out = (ftmpi_optimizer_kind)i;
			return FTMPI_OK;
		}
	}
#define FTMPI_OPTIMIZER_TEXT(id, text, class_name) " " text
	return ftmpi_error_set(FTMPI_ERR_USAGE, __FILE__, __LINE__, "unknown optimizer '%s'; known are:%s", name,
			       FTMPI_OPTIMIZER_LIST(FTMPI_OPTIMIZER_TEXT));
#undef FTMPI_OPTIMIZER_TEXT
}

void ftmpi_optimizer_init(ftmpi_optimizer *optimizer, ftmpi_optimizer_kind kind)
{
	*optimizer = (ftmpi_optimizer){
		.kind = kind,
		.learning_rate = kind == FTMPI_SGD ? 0.01 : 0.001,
		.beta_1 = 0.9,
		.beta_2 = kind == FTMPI_LION ? 0.99 : 0.999,
		.rho = 0.9,
		.epsilon = 1e-7,
		.initial_accumulator = 0.1,
		.weight_decay = kind == FTMPI_ADAMW ? 0.004 : 0.0,
	};
}

/* First and second moment, side by side in Keras's list. */
static bool has_moments(ftmpi_optimizer_kind kind)
{
	return kind == FTMPI_ADAM || kind == FTMPI_ADAMW || kind == FTMPI_NADAM;
}

static bool has_momentum(const ftmpi_optimizer *o)
{
	return (o->kind == FTMPI_SGD || o->kind == FTMPI_RMSPROP) && o->momentum > 0;
}

/* The ranges that a field can have. The update is in float32, so a value must be in its range as a float32 too. NaN is in none. */
enum range { POSITIVE, NOT_NEGATIVE, FRACTION };

static ftmpi_status check_field(const ftmpi_optimizer *o, const char *field, double value, enum range range)
{
	static const char *const texts[] = {
		[POSITIVE] = "a positive number that a float32 can hold",
		[NOT_NEGATIVE] = "a number from 0 that a float32 can hold",
		[FRACTION] = "at least 0 and, as a float32, below 1",
	};
	bool good = false;

	switch (range) {
	case POSITIVE:
		good = value >= (double)FLT_MIN && value <= (double)FLT_MAX;
		break;
	case NOT_NEGATIVE:
		good = value >= 0 && value <= (double)FLT_MAX;
		break;
	case FRACTION:
		good = value >= 0 && (float)value < 1.0F;
		break;
	}
	if (good)
		return FTMPI_OK;
	return ftmpi_error_set(FTMPI_ERR_USAGE, __FILE__, __LINE__, "optimizer %s: %s is %g; it must be %s",
			       names[o->kind], field, value, texts[range]);
}

ftmpi_status ftmpi_optimizer_check(const ftmpi_optimizer *optimizer)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_optimizer *o = optimizer;
	const bool is_sgd = o->kind == FTMPI_SGD, is_rmsprop = o->kind == FTMPI_RMSPROP,
		   is_lion = o->kind == FTMPI_LION;

	if ((size_t)o->kind >= N_NAMES)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "optimizer kind %d is unknown; use a value of ftmpi_optimizer_kind",
			   (int)o->kind);
	FTMPI_TRY(check_field(o, "learning_rate", o->learning_rate, POSITIVE));
	FTMPI_TRY(check_field(o, "weight_decay", o->weight_decay, NOT_NEGATIVE));
	if (!is_sgd && !is_lion)
		FTMPI_TRY(check_field(o, "epsilon", o->epsilon, POSITIVE));
	if (is_sgd || is_rmsprop)
		FTMPI_TRY(check_field(o, "momentum", o->momentum, FRACTION));
	if (is_sgd && o->nesterov && o->momentum <= 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "optimizer sgd: nesterov has no effect without momentum; set momentum too");
	if (has_moments(o->kind) || is_lion) {
		FTMPI_TRY(check_field(o, "beta_1", o->beta_1, FRACTION));
		FTMPI_TRY(check_field(o, "beta_2", o->beta_2, FRACTION));
	}
	if (is_rmsprop)
		FTMPI_TRY(check_field(o, "rho", o->rho, FRACTION));
	if (o->kind == FTMPI_ADAGRAD)
		FTMPI_TRY(check_field(o, "initial_accumulator", o->initial_accumulator, NOT_NEGATIVE));
done:
	return status;
}

/* Names of the slots that an optimizer has; returns their number. */
static int list_slots(const ftmpi_optimizer *o, const char *slots[FTMPI_MAX_SLOTS])
{
	int n = 0;

	switch (o->kind) {
	case FTMPI_SGD:
		break;
	case FTMPI_ADAM:
	case FTMPI_ADAMW:
	case FTMPI_NADAM:
		slots[n++] = "momentum";
		slots[n++] = "velocity";
		break;
	case FTMPI_LION:
		slots[n++] = "momentum";
		break;
	case FTMPI_RMSPROP:
		slots[n++] = "velocity";
		break;
	case FTMPI_ADAGRAD:
		slots[n++] = "accumulator";
		break;
	}
	if (has_momentum(o))
		slots[n++] = "momentum";
	if (o->kind == FTMPI_RMSPROP && o->centered)
		slots[n++] = "average_gradient";
	return n;
}

int ftmpi_optimizer_n_slots(const ftmpi_optimizer *optimizer)
{
	const char *slots[FTMPI_MAX_SLOTS];

	return list_slots(optimizer, slots);
}

const char *ftmpi_optimizer_slot_name(const ftmpi_optimizer *optimizer, int i)
{
	const char *slots[FTMPI_MAX_SLOTS] = {NULL};

	assert(i >= 0 && i < ftmpi_optimizer_n_slots(optimizer));
	(void)list_slots(optimizer, slots);
	return slots[i];
}

float ftmpi_optimizer_slot_initial(const ftmpi_optimizer *optimizer, int i)
{
	assert(i >= 0 && i < ftmpi_optimizer_n_slots(optimizer));
	(void)i;
	return optimizer->kind == FTMPI_ADAGRAD ? (float)optimizer->initial_accumulator : 0.0F;
}

void ftmpi_optimizer_keras_entry(const ftmpi_optimizer *optimizer, int n_params, int k, int *slot, int *param)
{
	const int n_slots = ftmpi_optimizer_n_slots(optimizer);

	assert(k >= 0 && k < n_slots * n_params);
	if (has_moments(optimizer->kind)) {
		*slot = k % n_slots;
		*param = k / n_slots;
	} else {
		*slot = k / n_params;
		*param = k % n_params;
	}
}
