/* SPDX-License-Identifier: Apache-2.0 */
/* Optimizer updates: one pass over a slice of the arena, elementwise, in float32.
 *
 * What depends on the step alone (the bias corrections of Adam and Nadam) is computed once, in double, and rounded once; what is
 * raised to a power is rounded to float32 first, as Keras has it. Weight decay is part of
 * every update; without it its factor is 0. An element whose weight, gradient and slots are 0 stays 0 (an accumulator keeps its
 * initial value), so the gaps of the arena need no exception.
 *
 * In the comments w, g: weight and gradient; m, v, s, a: slots; lr: learning rate. All arrays are [n]. */
#include "base/kernel.h"

#include <ftmpi/optimizer.h>
#include <math.h>

/* Per-step constants of all kinds. */
struct factors {
	float decay; /* weight_decay·lr */
	float rate;  /* lr; Adam: lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ) */
	float momentum, epsilon;
	float gain_1, gain_2; /* 1 − β₁, 1 − β₂; RMSprop: 1 − ρ in gain_2 */
	float rho;
	float beta_1, beta_2;      /* Lion */
	float share_m, share_g;    /* Nadam: of momentum and gradient in a step */
	float velocity_correction; /* Nadam: 1/(1 − β₂ᵗ) */
};

/* w = w − w·decay;  w −= lr·g */
FTMPI_KERNEL static void sgd(int64_t n, struct factors f, float *restrict w, const float *restrict g)
{
	for (int64_t i = 0; i < n; i++)
		w[i] = (w[i] - w[i] * f.decay) - f.rate * g[i];
}

/* w = w − w·decay;  m = μm − lr·g;  w += m */
FTMPI_KERNEL static void sgd_momentum(int64_t n, struct factors f, float *restrict w, const float *restrict g,
				      float *restrict m)
{
	for (int64_t i = 0; i < n; i++) {
		m[i] = f.momentum * m[i] - f.rate * g[i];
		w[i] = (w[i] - w[i] * f.decay) + m[i];
	}
}

/* w = w − w·decay;  m = μm − lr·g;  w += μm − lr·g */
FTMPI_KERNEL static void sgd_nesterov(int64_t n, struct factors f, float *restrict w, const float *restrict g,
				      float *restrict m)
{
	for (int64_t i = 0; i < n; i++) {
		const float step = f.rate * g[i];

		m[i] = f.momentum * m[i] - step;
		w[i] = (w[i] - w[i] * f.decay) + (f.momentum * m[i] - step);
	}
}

/* w = w − w·decay;  m += (g − m)·(1 − β₁);  v += (g² − v)·(1 − β₂);  w −= rate·m/(√v + ε)  (Kingma and Ba 2015; decay: Loshchilov and
 * Hutter 2019) */
FTMPI_KERNEL static void adam(int64_t n, struct factors f, float *restrict w, const float *restrict g,
			      float *restrict m, float *restrict v)
{
	for (int64_t i = 0; i < n; i++) {
		m[i] += (g[i] - m[i]) * f.gain_1;
		v[i] += (g[i] * g[i] - v[i]) * f.gain_2;
		w[i] = (w[i] - w[i] * f.decay) - f.rate * m[i] / (sqrtf(v[i]) + f.epsilon);
	}
}

/* v = ρv + (1 − ρ)·g² and the step lr·g/√(v + ε) */
static inline float rmsprop_step(struct factors f, float g, float *v)
{
	*v = f.rho * *v + f.gain_2 * (g * g);
	return f.rate * g / sqrtf(*v + f.epsilon);
}

/* The same with the variance v − a² under the root, a = ρa + (1 − ρ)·g. Rounding can take the variance below 0: then it is 0. */
static inline float rmsprop_centered_step(struct factors f, float g, float *v, float *a)
{
	float variance;

	*v = f.rho * *v + f.gain_2 * (g * g);
	*a = f.rho * *a + f.gain_2 * g;
	variance = *v - *a * *a;
	return f.rate * g / sqrtf((variance < 0.0F ? 0.0F : variance) + f.epsilon);
}

/* w = w − w·decay;  w −= step */
FTMPI_KERNEL static void rmsprop(int64_t n, struct factors f, float *restrict w, const float *restrict g,
				 float *restrict v)
{
	for (int64_t i = 0; i < n; i++)
		w[i] = (w[i] - w[i] * f.decay) - rmsprop_step(f, g[i], &v[i]);
}

FTMPI_KERNEL static void rmsprop_centered(int64_t n, struct factors f, float *restrict w, const float *restrict g,
					  float *restrict v, float *restrict a)
{
	for (int64_t i = 0; i < n; i++)
		w[i] = (w[i] - w[i] * f.decay) - rmsprop_centered_step(f, g[i], &v[i], &a[i]);
}

/* w = w − w·decay;  m = μm + step;  w −= m */
FTMPI_KERNEL static void rmsprop_momentum(int64_t n, struct factors f, float *restrict w, const float *restrict g,
					  float *restrict v, float *restrict m)
{
	for (int64_t i = 0; i < n; i++) {
		m[i] = f.momentum * m[i] + rmsprop_step(f, g[i], &v[i]);
		w[i] = (w[i] - w[i] * f.decay) - m[i];
	}
}

FTMPI_KERNEL static void rmsprop_momentum_centered(int64_t n, struct factors f, float *restrict w,
						   const float *restrict g, float *restrict v, float *restrict m,
						   float *restrict a)
{
	for (int64_t i = 0; i < n; i++) {
		m[i] = f.momentum * m[i] + rmsprop_centered_step(f, g[i], &v[i], &a[i]);
		w[i] = (w[i] - w[i] * f.decay) - m[i];
	}
}

/* w = w − w·decay;  s += g²;  w −= lr·g/√(s + ε)  (Duchi, Hazan and Singer 2011) */
FTMPI_KERNEL static void adagrad(int64_t n, struct factors f, float *restrict w, const float *restrict g,
				 float *restrict s)
{
	for (int64_t i = 0; i < n; i++) {
		s[i] += g[i] * g[i];
		w[i] = (w[i] - w[i] * f.decay) - f.rate * g[i] / sqrtf(s[i] + f.epsilon);
	}
}

/* w = w − w·decay;  m and v as Adam's;  w −= lr·(share_m·m + share_g·g)/(√(v·correction) + ε)  (Dozat 2016) */
FTMPI_KERNEL static void nadam(int64_t n, struct factors f, float *restrict w, const float *restrict g,
			       float *restrict m, float *restrict v)
{
	for (int64_t i = 0; i < n; i++) {
		float step;

		m[i] += (g[i] - m[i]) * f.gain_1;
		v[i] += (g[i] * g[i] - v[i]) * f.gain_2;
		step = f.rate * (f.share_m * m[i] + f.share_g * g[i]);
		w[i] = (w[i] - w[i] * f.decay) - step / (sqrtf(v[i] * f.velocity_correction) + f.epsilon);
	}
}

/* w = w − w·decay;  w −= lr·sign(β₁m + (1 − β₁)·g);  m = β₂m + (1 − β₂)·g  (Chen et al. 2023). The sign of a NaN is NaN. */
FTMPI_KERNEL static void lion(int64_t n, struct factors f, float *restrict w, const float *restrict g,
			      float *restrict m)
{
	for (int64_t i = 0; i < n; i++) {
		const float direction = f.beta_1 * m[i] + f.gain_1 * g[i];
		const float sign = direction > 0.0F ? 1.0F : (direction < 0.0F ? -1.0F : direction);

		w[i] = (w[i] - w[i] * f.decay) - f.rate * sign;
		m[i] = f.beta_2 * m[i] + f.gain_2 * g[i];
	}
}

/* x, rounded to float32. Through memory, since gcc 12 leaves the rounding out where it makes one vector operation of two of them. */
static double as_float32(double x)
{
	const volatile float rounded = (float)x;

	return (double)rounded;
}

static const double nadam_decay = (double)0.96F;

/* β₁ⁿ·∏(1 − 0.96ᵗ/2), t = 1 … n. The factors are 1 from t = 900 or so on. */
static double u_product(const ftmpi_optimizer *o, int64_t n)
{
	double product = pow(as_float32(o->beta_1), (double)n), power = 1.0, factor = 0.0;

	for (int64_t t = 1; t <= n && factor < 1.0; t++) {
		power *= nadam_decay;
		factor = 1.0 - 0.5 * power;
		product *= factor;
	}
	return product;
}

float ftmpi_optimizer_u_product(const ftmpi_optimizer *optimizer, int64_t iteration)
{
	return (float)u_product(optimizer, iteration);
}

/* Keras has β as a float32 in these two, so the gains are differences of float32. */
static void set_betas(const ftmpi_optimizer *o, struct factors *f)
{
	f->beta_1 = (float)o->beta_1;
	f->beta_2 = (float)o->beta_2;
	f->gain_1 = 1.0F - f->beta_1;
	f->gain_2 = 1.0F - f->beta_2;
}

static void set_nadam(const ftmpi_optimizer *o, double t, struct factors *f)
{
	const double beta_1 = as_float32(o->beta_1), beta_2 = as_float32(o->beta_2);
	const double u_now = beta_1 * (1.0 - 0.5 * pow(nadam_decay, t));
	const double u_next = beta_1 * (1.0 - 0.5 * pow(nadam_decay, t + 1.0));
	const double product = u_product(o, (int64_t)t);

	f->share_m = (float)(u_next / (1.0 - product * u_next));
	f->share_g = (float)((1.0 - u_now) / (1.0 - product));
	f->velocity_correction = (float)(1.0 / (1.0 - pow(beta_2, t)));
}

static struct factors factors_of(const ftmpi_optimizer *o, int64_t iteration)
{
	const double t = (double)iteration + 1.0;
	struct factors f = {
		.decay = (float)(o->weight_decay * o->learning_rate),
		.rate = (float)o->learning_rate,
		.momentum = (float)o->momentum,
		.epsilon = (float)o->epsilon,
		.rho = (float)o->rho,
		.gain_2 = (float)(1.0 - o->rho),
	};

	if (o->kind == FTMPI_ADAM || o->kind == FTMPI_ADAMW) {
		f.gain_1 = (float)(1.0 - o->beta_1);
		f.gain_2 = (float)(1.0 - o->beta_2);
		f.rate = (float)(o->learning_rate * sqrt(1.0 - pow(as_float32(o->beta_2), t)) /
				 (1.0 - pow(as_float32(o->beta_1), t)));
	}
	if (o->kind == FTMPI_NADAM || o->kind == FTMPI_LION)
		set_betas(o, &f);
	if (o->kind == FTMPI_NADAM)
		set_nadam(o, t, &f);
	return f;
}

/* The part of the arenas that an update works on. */
struct slice {
	int64_t first, n;
	float *w;
	const float *g;
	float *const *slots; /* whole arenas */
};

static float *slot(const struct slice *a, int i)
{
	return a->slots[i] + a->first;
}

static void apply_sgd(const ftmpi_optimizer *o, struct factors f, const struct slice *a)
{
	if (o->momentum <= 0)
		sgd(a->n, f, a->w, a->g);
	else if (o->nesterov)
		sgd_nesterov(a->n, f, a->w, a->g, slot(a, 0));
	else
		sgd_momentum(a->n, f, a->w, a->g, slot(a, 0));
}

static void apply_rmsprop(const ftmpi_optimizer *o, struct factors f, const struct slice *a)
{
	if (o->momentum > 0 && o->centered)
		rmsprop_momentum_centered(a->n, f, a->w, a->g, slot(a, 0), slot(a, 1), slot(a, 2));
	else if (o->momentum > 0)
		rmsprop_momentum(a->n, f, a->w, a->g, slot(a, 0), slot(a, 1));
	else if (o->centered)
		rmsprop_centered(a->n, f, a->w, a->g, slot(a, 0), slot(a, 1));
	else
		rmsprop(a->n, f, a->w, a->g, slot(a, 0));
}

void ftmpi_optimizer_apply(const ftmpi_optimizer *optimizer, int64_t iteration, int64_t first, int64_t end,
			   float *params, const float *grads, float *const *slots)
{
	const struct factors f = factors_of(optimizer, iteration);
	const struct slice a = {first, end - first, params + first, grads + first, slots};

	switch (optimizer->kind) {
	case FTMPI_SGD:
		apply_sgd(optimizer, f, &a);
		break;
	case FTMPI_ADAM:
	case FTMPI_ADAMW:
		adam(a.n, f, a.w, a.g, slot(&a, 0), slot(&a, 1));
		break;
	case FTMPI_RMSPROP:
		apply_rmsprop(optimizer, f, &a);
		break;
	case FTMPI_ADAGRAD:
		adagrad(a.n, f, a.w, a.g, slot(&a, 0));
		break;
	case FTMPI_NADAM:
		nadam(a.n, f, a.w, a.g, slot(&a, 0), slot(&a, 1));
		break;
	case FTMPI_LION:
		lion(a.n, f, a.w, a.g, slot(&a, 0));
		break;
	}
}
