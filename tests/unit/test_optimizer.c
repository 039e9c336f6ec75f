/* SPDX-License-Identifier: Apache-2.0 */
/* Optimizers: golden vectors of Keras, a naive twin, slices, gaps, slots, and ranges. */
#include "unit/nn_test.h"

#include <ftmpi/optimizer.h>

enum { N = 133 };

/* All variants of an update. */
static const ftmpi_optimizer variants[] = {
	{.kind = FTMPI_SGD, .learning_rate = 0.1},
	{.kind = FTMPI_SGD, .learning_rate = 0.1, .momentum = 0.9},
	{.kind = FTMPI_SGD, .learning_rate = 0.1, .momentum = 0.9, .nesterov = true},
	{.kind = FTMPI_ADAM, .learning_rate = 0.01, .beta_1 = 0.9, .beta_2 = 0.999, .epsilon = 1e-7},
	{.kind = FTMPI_ADAMW,
	 .learning_rate = 0.01,
	 .beta_1 = 0.9,
	 .beta_2 = 0.999,
	 .epsilon = 1e-7,
	 .weight_decay = 0.004},
	{.kind = FTMPI_RMSPROP, .learning_rate = 0.01, .rho = 0.9, .epsilon = 1e-7},
	{.kind = FTMPI_RMSPROP, .learning_rate = 0.01, .rho = 0.9, .epsilon = 1e-7, .momentum = 0.9},
	{.kind = FTMPI_RMSPROP, .learning_rate = 0.01, .rho = 0.9, .epsilon = 1e-7, .centered = true},
	{.kind = FTMPI_RMSPROP, .learning_rate = 0.01, .rho = 0.9, .epsilon = 1e-7, .momentum = 0.9, .centered = true},
	{.kind = FTMPI_ADAGRAD, .learning_rate = 0.01, .initial_accumulator = 0.1, .epsilon = 1e-7},
	{.kind = FTMPI_NADAM, .learning_rate = 0.01, .beta_1 = 0.9, .beta_2 = 0.999, .epsilon = 1e-7},
	{.kind = FTMPI_LION, .learning_rate = 0.01, .beta_1 = 0.9, .beta_2 = 0.99},
	{.kind = FTMPI_NADAM,
	 .learning_rate = 0.01,
	 .beta_1 = 0.7,
	 .beta_2 = 0.95,
	 .epsilon = 1e-3,
	 .weight_decay = 0.1},
	{.kind = FTMPI_LION, .learning_rate = 0.01, .beta_1 = 0.7, .beta_2 = 0.8, .weight_decay = 0.1},
};

enum { N_VARIANTS = sizeof variants / sizeof variants[0] };

/* Arenas of one run. */
struct run {
	float w[N], g[N], slots[FTMPI_MAX_SLOTS][N];
	float *slot_list[FTMPI_MAX_SLOTS];
};

static void start(const ftmpi_optimizer *o, struct run *run)
{
	memset(run, 0, sizeof *run);
	for (int s = 0; s < FTMPI_MAX_SLOTS; s++)
		run->slot_list[s] = run->slots[s];
	for (int s = 0; s < ftmpi_optimizer_n_slots(o); s++)
		for (int i = 0; i < N; i++)
			run->slots[s][i] = ftmpi_optimizer_slot_initial(o, s);
}

/* w = [1, −2], b = [.5]; three steps with g_w = [0.1k, −0.5], g_b = 0.2. Values of Keras 3. */
static void test_golden(void **state)
{
	static const struct {
		int variant;
		double expected[3];
	} rows[] = {
		{0, {0.94, -1.8500001, 0.43999997}},        {1, {0.90490001, -1.7195001, 0.38779998}},
		{2, {0.85440999, -1.5975502, 0.33901995}},  {3, {0.97076887, -1.9700004, 0.47000057}},
		{4, {0.97065008, -1.9697616, 0.46994177}},  {5, {0.91390139, -1.9262261, 0.42622682}},
		{8, {0.82041419, -1.8387363, 0.33873785}},  {9, {0.98569721, -1.9796702, 0.48567671}},
		{10, {0.97067696, -1.9745229, 0.47452304}}, {11, {0.97000003, -1.97, 0.47000003}},
		{12, {0.96322846, -1.9643176, 0.46890166}}, {13, {0.96703303, -1.9640360, 0.46853152}},
	};

	(void)state;
	for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
		const ftmpi_optimizer *o = &variants[rows[r].variant];
		struct run run;

		assert_ok(ftmpi_optimizer_check(o));
		start(o, &run);
		memcpy(run.w, (const float[]){1.0F, -2.0F, 0.5F}, 3 * sizeof(float));
		for (int k = 1; k <= 3; k++) {
			memcpy(run.g, (const float[]){0.1F * (float)k, -0.5F, 0.2F}, 3 * sizeof(float));
			ftmpi_optimizer_apply(o, k - 1, 0, 3, run.w, run.g, run.slot_list);
		}
		for (int i = 0; i < 3; i++)
			check_close(ftmpi_optimizer_name(o->kind), (double)run.w[i], rows[r].expected[i], 1e-6);
	}
}

/* x, rounded to float32: through memory, since gcc 12 leaves the rounding out where it makes one vector operation of two of them. */
static double as_float32(double x)
{
	const volatile float rounded = (float)x;

	return (double)rounded;
}

/* Nadam's u_t, and the product of the first t of them. */
static double twin_u(const ftmpi_optimizer *o, int t)
{
	return as_float32(o->beta_1) * (1 - pow((double)0.96F, t) / 2);
}

static double twin_u_product(const ftmpi_optimizer *o, int t)
{
	return t == 0 ? 1 : twin_u_product(o, t - 1) * twin_u(o, t);
}

/* Naive twin: one step of one weight in double, written from the formulas. s: slots in Keras's order. */
static void twin_step(const ftmpi_optimizer *o, int t, double *w, double g, double s[FTMPI_MAX_SLOTS])
{
	const double lr = o->learning_rate, beta_1 = as_float32(o->beta_1), beta_2 = as_float32(o->beta_2);
	double variance, step, *last = &s[1];

	*w -= *w * o->weight_decay * lr;
	switch (o->kind) {
	case FTMPI_SGD:
		s[0] = o->momentum * s[0] - lr * g;
		*w += o->nesterov ? o->momentum * s[0] - lr * g : s[0];
		break;
	case FTMPI_ADAM:
	case FTMPI_ADAMW:
		s[0] = o->beta_1 * s[0] + (1 - o->beta_1) * g;
		s[1] = o->beta_2 * s[1] + (1 - o->beta_2) * g * g;
		*w -= lr * sqrt(1 - pow(o->beta_2, t)) / (1 - pow(o->beta_1, t)) * s[0] / (sqrt(s[1]) + o->epsilon);
		break;
	case FTMPI_RMSPROP:
		s[0] = o->rho * s[0] + (1 - o->rho) * g * g;
		variance = s[0];
		if (o->momentum > 0)
			last = &s[2];
		if (o->centered) {
			*last = o->rho * *last + (1 - o->rho) * g;
			variance -= *last * *last;
		}
		step = lr * g / sqrt(variance + o->epsilon);
		if (o->momentum > 0)
			step = s[1] = o->momentum * s[1] + step;
		*w -= step;
		break;
	case FTMPI_ADAGRAD:
		s[0] += g * g;
		*w -= lr * g / sqrt(s[0] + o->epsilon);
		break;
	case FTMPI_NADAM:
		s[0] = beta_1 * s[0] + (1 - beta_1) * g;
		s[1] = beta_2 * s[1] + (1 - beta_2) * g * g;
		step = twin_u(o, t + 1) * s[0] / (1 - twin_u_product(o, t + 1));
		step += (1 - twin_u(o, t)) * g / (1 - twin_u_product(o, t));
		*w -= lr * step / (sqrt(s[1] / (1 - pow(beta_2, t))) + o->epsilon);
		break;
	case FTMPI_LION:
		step = beta_1 * s[0] + (1 - beta_1) * g;
		*w -= lr * ((step > 0) - (step < 0));
		s[0] = beta_2 * s[0] + (1 - beta_2) * g;
		break;
	}
}

static void check_twin(const ftmpi_optimizer *o)
{
	struct run run;
	double w[N], s[N][FTMPI_MAX_SLOTS], column[N];

	start(o, &run);
	fill_numbers(1, 1.0F, N, run.w);
	for (int i = 0; i < N; i++) {
		w[i] = (double)run.w[i];
		for (int j = 0; j < FTMPI_MAX_SLOTS; j++)
			s[i][j] = j < ftmpi_optimizer_n_slots(o) ? (double)ftmpi_optimizer_slot_initial(o, j) : 0;
	}
	for (int k = 0; k < 5; k++) {
		fill_numbers(10 + (uint64_t)k, 1.0F, N, run.g);
		ftmpi_optimizer_apply(o, k, 0, N, run.w, run.g, run.slot_list);
		for (int i = 0; i < N; i++)
			twin_step(o, k + 1, &w[i], (double)run.g[i], s[i]);
	}
	check_near(ftmpi_optimizer_name(o->kind), run.w, w, N, 1e-5);
	for (int j = 0; j < ftmpi_optimizer_n_slots(o); j++) {
		for (int i = 0; i < N; i++)
			column[i] = s[i][j];
		check_near(ftmpi_optimizer_slot_name(o, j), run.slots[j], column, N, 1e-5);
	}
}

static void test_twin(void **state)
{
	(void)state;
	for (int v = 0; v < N_VARIANTS; v++) {
		ftmpi_optimizer o = variants[v];

		check_twin(&o);
		o.weight_decay = 0.5;
		check_twin(&o);
	}
}

/* Adam in scalar float32 gives the bits of the kernel, whatever vector width the kernel was built for. */
static void test_scalar_bits(void **state)
{
	const ftmpi_optimizer *o = &variants[4];
	struct run run, scalar;

	(void)state;
	start(o, &run);
	fill_numbers(1, 1.0F, N, run.w);
	scalar = run;
	for (int k = 0; k < 4; k++) {
		const double power_1 = pow(as_float32(o->beta_1), k + 1), power_2 = pow(as_float32(o->beta_2), k + 1);
		const double lr = o->learning_rate, rate = lr * sqrt(1 - power_2) / (1 - power_1);
		const float decay = (float)(o->weight_decay * lr);

		fill_numbers(20 + (uint64_t)k, 1.0F, N, run.g);
		ftmpi_optimizer_apply(o, k, 0, N, run.w, run.g, run.slot_list);
		for (int i = 0; i < N; i++) {
			float *m = &scalar.slots[0][i], *v = &scalar.slots[1][i], *w = &scalar.w[i], g = run.g[i];

			*m += (g - *m) * (float)(1 - o->beta_1);
			*v += (g * g - *v) * (float)(1 - o->beta_2);
			*w = (*w - *w * decay) - (float)rate * *m / (sqrtf(*v) + (float)o->epsilon);
		}
	}
	assert_memory_equal(run.w, scalar.w, sizeof run.w);
	assert_memory_equal(run.slots, scalar.slots, sizeof run.slots);
}

/* Keras has 0.11397993 after three steps. Far out it is the product still, without a loop as long as the training. */
static void test_u_product(void **state)
{
	static const int iterations[] = {1, 2, 3, 50, 400, 1000, 1500};
	ftmpi_optimizer o = variants[10];

	(void)state;
	assert_true(ftmpi_optimizer_u_product(&o, 0) == 1.0F);
	check_close("u_product", (double)ftmpi_optimizer_u_product(&o, 3), 0.11397992819547653, 2e-7);
	assert_true(ftmpi_optimizer_u_product(&o, INT64_MAX) == 0.0F);
	o.beta_1 = 0.999;
	for (size_t i = 0; i < sizeof iterations / sizeof iterations[0]; i++)
		check_close("u_product", (double)ftmpi_optimizer_u_product(&o, iterations[i]),
			    twin_u_product(&o, iterations[i]), 1e-7);
	o.beta_1 = 0;
	assert_true(ftmpi_optimizer_u_product(&o, 0) == 1.0F && ftmpi_optimizer_u_product(&o, 1) == 0.0F);
}

/* In Nadam's first step the second moment is g² whatever β₂ is, if its gain and its correction are of one and the same β₂. */
static void test_nadam_first_step(void **state)
{
	const ftmpi_optimizer *o = &variants[10];
	const double u_1 = twin_u(o, 1), u_2 = twin_u(o, 2), beta_1 = as_float32(o->beta_1);
	const double expected = o->learning_rate * (u_2 * (1 - beta_1) / (1 - u_1 * u_2) + 1);
	struct run run;

	(void)state;
	start(o, &run);
	run.g[0] = -1000;
	ftmpi_optimizer_apply(o, 0, 0, 1, run.w, run.g, run.slot_list);
	check_close("step", (double)run.w[0], expected, 5e-7);
}

/* Lion: momentum and gradient that cancel move nothing. */
static void test_lion_of_zero(void **state)
{
	struct run run;

	(void)state;
	start(&variants[11], &run);
	run.w[0] = 2;
	run.w[1] = 3;
	run.g[1] = -1e-30F;
	ftmpi_optimizer_apply(&variants[11], 0, 0, 2, run.w, run.g, run.slot_list);
	assert_true(run.w[0] == 2.0F && run.w[1] == 3.01F);
}

/* The learning rate of each update is the one that is set then, in the weight decay too. */
static void test_learning_rate(void **state)
{
	const ftmpi_optimizer sgd = {.kind = FTMPI_SGD, .learning_rate = 0.5, .weight_decay = 0.25};
	ftmpi_optimizer changed = sgd;
	struct run run;

	(void)state;
	start(&sgd, &run);
	run.w[0] = 8;
	run.g[0] = 1;
	ftmpi_optimizer_apply(&changed, 0, 0, 1, run.w, run.g, run.slot_list);
	assert_true(run.w[0] == 8.0F - 1.0F - 0.5F);
	changed.learning_rate = 0.25;
	ftmpi_optimizer_apply(&changed, 1, 0, 1, run.w, run.g, run.slot_list);
	assert_true(run.w[0] == 6.5F - 0.40625F - 0.25F);
}

static void test_slices(void **state)
{
	static const int cuts[] = {0, 1, 2, 5, 12, 29, 29, 64, 65, 99, 132, N};

	(void)state;
	for (int v = 0; v < N_VARIANTS; v++) {
		struct run whole, sliced;

		start(&variants[v], &whole);
		start(&variants[v], &sliced);
		fill_numbers(1, 1.0F, N, whole.w);
		memcpy(sliced.w, whole.w, sizeof whole.w);
		for (int k = 0; k < 3; k++) {
			fill_numbers(30 + (uint64_t)k, 1.0F, N, whole.g);
			memcpy(sliced.g, whole.g, sizeof whole.g);
			ftmpi_optimizer_apply(&variants[v], k, 0, N, whole.w, whole.g, whole.slot_list);
			for (size_t c = 0; c + 1 < sizeof cuts / sizeof cuts[0]; c++)
				ftmpi_optimizer_apply(&variants[v], k, cuts[c], cuts[c + 1], sliced.w, sliced.g,
						      sliced.slot_list);
		}
		assert_memory_equal(whole.w, sliced.w, sizeof whole.w);
		assert_memory_equal(whole.g, sliced.g, sizeof whole.g);
		assert_memory_equal(whole.slots, sliced.slots, sizeof whole.slots);
	}
}

/* A gap: weight and gradient 0, slots at their initial value. */
static void test_gaps(void **state)
{
	static const float zeros[N];

	(void)state;
	for (int v = 0; v < N_VARIANTS; v++) {
		ftmpi_optimizer o = variants[v];
		struct run run, before;

		o.weight_decay = 0.01;
		o.initial_accumulator = v % 2 == 0 ? 0 : 0.1;
		start(&o, &run);
		before = run;
		for (int k = 0; k < 3; k++)
			ftmpi_optimizer_apply(&o, k, 0, N, run.w, run.g, run.slot_list);
		assert_memory_equal(run.w, zeros, sizeof run.w);
		assert_memory_equal(run.slots, before.slots, sizeof run.slots);
	}
}

/* A constant gradient drives the centered variance to 0, where rounding makes it negative. */
static void test_centered_stays_finite(void **state)
{
	struct run run;

	(void)state;
	start(&variants[7], &run);
	fill_numbers(3, 1000.0F, N, run.g);
	for (int k = 0; k < 300; k++)
		ftmpi_optimizer_apply(&variants[7], k, 0, N, run.w, run.g, run.slot_list);
	for (int i = 0; i < N; i++)
		assert_true(isfinite(run.w[i]));
}

static void test_nan_stays(void **state)
{
	(void)state;
	for (int v = 0; v < N_VARIANTS; v++) {
		struct run run;

		start(&variants[v], &run);
		run.g[17] = NAN;
		ftmpi_optimizer_apply(&variants[v], 0, 0, N, run.w, run.g, run.slot_list);
		assert_true(isnan(run.w[17]));
		assert_true(isfinite(run.w[16]));
	}
}

static void test_defaults(void **state)
{
	static const struct {
		const char *name;
		ftmpi_optimizer expected;
	} cases[] = {
#define COMMON .beta_1 = 0.9, .beta_2 = 0.999, .rho = 0.9, .epsilon = 1e-7, .initial_accumulator = 0.1
		{"sgd", {.kind = FTMPI_SGD, .learning_rate = 0.01, COMMON}},
		{"adam", {.kind = FTMPI_ADAM, .learning_rate = 0.001, COMMON}},
		{"adamw", {.kind = FTMPI_ADAMW, .learning_rate = 0.001, .weight_decay = 0.004, COMMON}},
		{"rmsprop", {.kind = FTMPI_RMSPROP, .learning_rate = 0.001, COMMON}},
		{"adagrad", {.kind = FTMPI_ADAGRAD, .learning_rate = 0.001, COMMON}},
		{"nadam", {.kind = FTMPI_NADAM, .learning_rate = 0.001, COMMON}},
#undef COMMON
		{"lion",
		 {.kind = FTMPI_LION,
		  .learning_rate = 0.001,
		  .beta_1 = 0.9,
		  .beta_2 = 0.99,
		  .rho = 0.9,
		  .epsilon = 1e-7,
		  .initial_accumulator = 0.1}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const ftmpi_optimizer *e = &cases[i].expected;
		ftmpi_optimizer_kind kind;
		ftmpi_optimizer o;

		assert_ok(ftmpi_optimizer_parse(cases[i].name, &kind));
		assert_int_equal(kind, e->kind);
		assert_string_equal(ftmpi_optimizer_name(kind), cases[i].name);
		ftmpi_optimizer_init(&o, kind);
		assert_ok(ftmpi_optimizer_check(&o));
		assert_true(o.learning_rate == e->learning_rate && o.weight_decay == e->weight_decay);
		assert_true(o.beta_1 == e->beta_1 && o.beta_2 == e->beta_2 && o.rho == e->rho);
		assert_true(o.epsilon == e->epsilon && o.initial_accumulator == e->initial_accumulator);
		assert_true(o.momentum == 0 && !o.nesterov && !o.centered);
	}
}

static void test_parse_errors(void **state)
{
	ftmpi_optimizer_kind kind = FTMPI_ADAGRAD;

	(void)state;
	assert_fails(ftmpi_optimizer_parse("adamax", &kind), FTMPI_ERR_USAGE, "unknown optimizer 'adamax'");
	assert_fails(ftmpi_optimizer_parse("", &kind), FTMPI_ERR_USAGE, "sgd adam adamw rmsprop adagrad nadam lion");
	assert_int_equal(kind, FTMPI_ADAGRAD);
	assert_string_equal(ftmpi_optimizer_name((ftmpi_optimizer_kind)77), "unknown");
	assert_string_equal(ftmpi_optimizer_class((ftmpi_optimizer_kind)77), "unknown");
	assert_string_equal(ftmpi_optimizer_class(FTMPI_SGD), "SGD");
	assert_string_equal(ftmpi_optimizer_class(FTMPI_RMSPROP), "RMSprop");
}

/* Slots of each variant, and where Keras keeps them for two parameters: (slot, param) in the order of its list. */
static void test_slots(void **state)
{
	static const struct {
		int n;
		const char *names[FTMPI_MAX_SLOTS];
		int entries[6][2];
	} expected[N_VARIANTS] = {
		[0] = {0, {NULL}, {{0}}},
		[1] = {1, {"momentum"}, {{0, 0}, {0, 1}}},
		[2] = {1, {"momentum"}, {{0, 0}, {0, 1}}},
		[3] = {2, {"momentum", "velocity"}, {{0, 0}, {1, 0}, {0, 1}, {1, 1}}},
		[4] = {2, {"momentum", "velocity"}, {{0, 0}, {1, 0}, {0, 1}, {1, 1}}},
		[5] = {1, {"velocity"}, {{0, 0}, {0, 1}}},
		[6] = {2, {"velocity", "momentum"}, {{0, 0}, {0, 1}, {1, 0}, {1, 1}}},
		[7] = {2, {"velocity", "average_gradient"}, {{0, 0}, {0, 1}, {1, 0}, {1, 1}}},
		[8] = {3,
		       {"velocity", "momentum", "average_gradient"},
		       {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {2, 0}, {2, 1}}},
		[9] = {1, {"accumulator"}, {{0, 0}, {0, 1}}},
		[10] = {2, {"momentum", "velocity"}, {{0, 0}, {1, 0}, {0, 1}, {1, 1}}},
		[11] = {1, {"momentum"}, {{0, 0}, {0, 1}}},
		[12] = {2, {"momentum", "velocity"}, {{0, 0}, {1, 0}, {0, 1}, {1, 1}}},
		[13] = {1, {"momentum"}, {{0, 0}, {0, 1}}},
	};

	(void)state;
	for (int v = 0; v < N_VARIANTS; v++) {
		assert_int_equal(ftmpi_optimizer_n_slots(&variants[v]), expected[v].n);
		for (int s = 0; s < expected[v].n; s++) {
			assert_string_equal(ftmpi_optimizer_slot_name(&variants[v], s), expected[v].names[s]);
			assert_true(ftmpi_optimizer_slot_initial(&variants[v], s) == (v == 9 ? 0.1F : 0.0F));
		}
		for (int k = 0; k < 2 * expected[v].n; k++) {
			int slot = -1, param = -1;

			ftmpi_optimizer_keras_entry(&variants[v], 2, k, &slot, &param);
			assert_int_equal(slot, expected[v].entries[k][0]);
			assert_int_equal(param, expected[v].entries[k][1]);
		}
	}
}

static void test_check(void **state)
{
	static const struct {
		int variant;
		size_t field;
		double value;
		const char *text; /* NULL: accepted */
	} cases[] = {
#define FIELD(name) offsetof(ftmpi_optimizer, name)
		{0, FIELD(learning_rate), 0, "optimizer sgd: learning_rate is 0"},
		{3, FIELD(learning_rate), -0.1, "optimizer adam: learning_rate is -0.1"},
		{3, FIELD(learning_rate), NAN, "learning_rate is nan"},
		{3, FIELD(learning_rate), INFINITY, "learning_rate is inf"},
		{3, FIELD(learning_rate), 1e39, "learning_rate is 1e+39"},
		{3, FIELD(learning_rate), 1e-46, "learning_rate is 1e-46"},
		{1, FIELD(momentum), 1, "momentum is 1; it must be at least 0 and, as a float32, below 1"},
		{6, FIELD(momentum), -0.1, "optimizer rmsprop: momentum is -0.1"},
		{3, FIELD(momentum), 7, NULL},
		{2, FIELD(momentum), 0, "nesterov"},
		{3, FIELD(beta_1), 1, "beta_1 is 1"},
		{4, FIELD(beta_2), NAN, "optimizer adamw: beta_2 is nan"},
		{3, FIELD(beta_2), 0.99999999, "beta_2 is 1; it must"},
		{3, FIELD(beta_1), 0, NULL},
		{0, FIELD(beta_1), 2, NULL},
		{5, FIELD(rho), 1.5, "rho is 1.5"},
		{9, FIELD(rho), 1.5, NULL},
		{5, FIELD(epsilon), 0, "epsilon is 0"},
		{3, FIELD(epsilon), 1e-60, "epsilon is 1e-60"},
		{0, FIELD(epsilon), 0, NULL},
		{9, FIELD(initial_accumulator), -1, "initial_accumulator is -1"},
		{9, FIELD(initial_accumulator), 0, NULL},
		{3, FIELD(initial_accumulator), -1, NULL},
		{10, FIELD(beta_1), 1, "optimizer nadam: beta_1 is 1"},
		{11, FIELD(beta_2), -1, "optimizer lion: beta_2 is -1"},
		{10, FIELD(epsilon), 0, "epsilon is 0"},
		{11, FIELD(epsilon), 0, NULL},
		{4, FIELD(weight_decay), -0.1, "weight_decay is -0.1"},
		{0, FIELD(weight_decay), 0.1, NULL},
#undef FIELD
	};
	ftmpi_optimizer unknown = variants[0];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ftmpi_optimizer o = variants[cases[i].variant];

		memcpy((char *)&o + cases[i].field, &cases[i].value, sizeof cases[i].value);
		if (cases[i].text == NULL)
			assert_ok(ftmpi_optimizer_check(&o));
		else
			assert_fails(ftmpi_optimizer_check(&o), FTMPI_ERR_USAGE, cases[i].text);
	}
	unknown.kind = (ftmpi_optimizer_kind)77;
	assert_fails(ftmpi_optimizer_check(&unknown), FTMPI_ERR_USAGE, "optimizer kind 77 is unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_twin),
		cmocka_unit_test(test_scalar_bits),
		cmocka_unit_test(test_slices),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_centered_stays_finite),
		cmocka_unit_test(test_nan_stays),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_parse_errors),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_u_product),
		cmocka_unit_test(test_nadam_first_step),
		cmocka_unit_test(test_lion_of_zero),
		cmocka_unit_test(test_learning_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
