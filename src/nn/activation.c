/* SPDX-License-Identifier: Apache-2.0 */
/* Activations: name, value and derivative of each.
 *
 * Forward fuses the bias, backward the column sums that are its gradient, each in one pass over [B,N]. Column sums go row after row, so
 * their order does not depend on the vector width. NaN goes in and out: relu compares such that NaN stays. Exponentials are libm's. */
#include "base/kernel.h"
#include "nn/nn.h"

#include <ftmpi/memory.h>
#include <math.h>
#include <string.h>

static const float inv_sqrt_2 = 0x1.6a09e6p-1F;   /* 1/√2 */
static const float inv_sqrt_2pi = 0x1.988454p-2F; /* 1/√(2π) */

static const char *const names[] = {
#define FTMPI_ACTIVATION_NAME(id, name) [FTMPI_##id] = name,
	FTMPI_ACTIVATION_LIST(FTMPI_ACTIVATION_NAME)
#undef FTMPI_ACTIVATION_NAME
};

enum { N_NAMES = sizeof names / sizeof names[0] };

const char *ftmpi_activation_name(ftmpi_activation activation)
{
	return (size_t)activation < N_NAMES ? names[activation] : "unknown";
}

ftmpi_status ftmpi_activation_parse(const char *name, ftmpi_activation *out)
{
	for (int i = 0; i < N_NAMES; i++) {
		if (strcmp(name, names[i]) == 0) {
			*out = (ftmpi_activation)i;
			return FTMPI_OK;
		}
	}
#define FTMPI_ACTIVATION_TEXT(id, text) " " text
	return ftmpi_error_set(FTMPI_ERR_USAGE, __FILE__, __LINE__, "unknown activation '%s'; known are:%s", name,
			       FTMPI_ACTIVATION_LIST(FTMPI_ACTIVATION_TEXT));
#undef FTMPI_ACTIVATION_TEXT
}

/* y[B,N] += b[N] */
FTMPI_KERNEL static void forward_linear(int64_t rows, int64_t n, const float *restrict b, float *restrict y)
{
	for (int64_t r = 0; r < rows; r++)
		for (int64_t u = 0; u < n; u++)
			y[r * n + u] += b[u];
}

/* y[B,N] = max(y[B,N] + b[N], 0); NaN stays */
FTMPI_KERNEL static void forward_relu(int64_t rows, int64_t n, const float *restrict b, float *restrict y)
{
	for (int64_t r = 0; r < rows; r++) {
		for (int64_t u = 0; u < n; u++) {
			const float z = y[r * n + u] + b[u];

			y[r * n + u] = z < 0.0F ? 0.0F : z;
		}
	}
}

/* y[B,N] = 1 / (1 + exp(−(y[B,N] + b[N]))) */
static void forward_sigmoid(int64_t rows, int64_t n, const float *restrict b, float *restrict y)
{
	for (int64_t r = 0; r < rows; r++)
		for (int64_t u = 0; u < n; u++)
			y[r * n + u] = 1.0F / (1.0F + expf(-(y[r * n + u] + b[u])));
}

/* y[B,N] = tanh(y[B,N] + b[N]) */
static void forward_tanh(int64_t rows, int64_t n, const float *restrict b, float *restrict y)
{
	for (int64_t r = 0; r < rows; r++)
		for (int64_t u = 0; u < n; u++)
			y[r * n + u] = tanhf(y[r * n + u] + b[u]);
}

/* Φ(z) = (1 + erf(z/√2))/2, without the cancellation that this form has for z < 0 */
static inline float normal_cdf(float z)
{
	return 0.5F * erfcf(-z * inv_sqrt_2);
}

/* z[B,N] = y[B,N] + b[N]; y[B,N] = z·Φ(z), exact gelu (Hendrycks and Gimpel 2016) */
static void forward_gelu(int64_t rows, int64_t n, const float *restrict b, float *restrict y, float *restrict z)
{
	for (int64_t r = 0; r < rows; r++) {
		for (int64_t u = 0; u < n; u++) {
			const float t = y[r * n + u] + b[u];

			z[r * n + u] = t;
			y[r * n + u] = t * normal_cdf(t);
		}
	}
}

/* y[B,N] = exp(z − max z) / Σ exp(z − max z) over each row of z = y + b; a NaN makes its whole row NaN */
static void forward_softmax(int64_t rows, int64_t n, const float *restrict b, float *restrict y)
{
	for (int64_t r = 0; r < rows; r++) {
		float *row = y + r * n;
		float max = -INFINITY, sum = 0.0F;

		for (int64_t u = 0; u < n; u++) {
			row[u] += b[u];
			max = row[u] > max ? row[u] : max;
		}
		for (int64_t u = 0; u < n; u++) {
			row[u] = expf(row[u] - max);
			sum += row[u];
		}
		for (int64_t u = 0; u < n; u++)
			row[u] /= sum;
	}
}

void ftmpi__activation_forward(ftmpi_activation activation, int64_t rows, int64_t n, const float *b, float *y, float *z)
{
	switch (activation) {
	case FTMPI_LINEAR:
		forward_linear(rows, n, b, y);
		break;
	case FTMPI_RELU:
		forward_relu(rows, n, b, y);
		break;
	case FTMPI_SIGMOID:
		forward_sigmoid(rows, n, b, y);
		break;
	case FTMPI_TANH:
		forward_tanh(rows, n, b, y);
		break;
	case FTMPI_GELU:
		forward_gelu(rows, n, b, y, z);
		break;
	case FTMPI_SOFTMAX:
		forward_softmax(rows, n, b, y);
		break;
	}
}

/* db[N] += d[B,N], row after row */
FTMPI_KERNEL static void backward_linear(int64_t rows, int64_t n, const float *restrict d, float *restrict db)
{
	for (int64_t r = 0; r < rows; r++)
		for (int64_t u = 0; u < n; u++)
			db[u] += d[r * n + u];
}

/* d[B,N] = d[B,N] where y[B,N] > 0, else 0; db[N] += d[B,N] */
FTMPI_KERNEL static void backward_relu(int64_t rows, int64_t n, const float *restrict y, float *restrict d,
				       float *restrict db)
{
	for (int64_t r = 0; r < rows; r++) {
		for (int64_t u = 0; u < n; u++) {
			const float dz = y[r * n + u] > 0.0F ? d[r * n + u] : 0.0F;

			d[r * n + u] = dz;
			db[u] += dz;
		}
	}
}

/* d[B,N] *= y[B,N]·(1 − y[B,N]); db[N] += d[B,N] */
FTMPI_KERNEL static void backward_sigmoid(int64_t rows, int64_t n, const float *restrict y, float *restrict d,
					  float *restrict db)
{
	for (int64_t r = 0; r < rows; r++) {
		for (int64_t u = 0; u < n; u++) {
			const float v = y[r * n + u], dz = d[r * n + u] * (v * (1.0F - v));

			d[r * n + u] = dz;
			db[u] += dz;
		}
	}
}

/* d[B,N] *= 1 − y[B,N]²; db[N] += d[B,N] */
FTMPI_KERNEL static void backward_tanh(int64_t rows, int64_t n, const float *restrict y, float *restrict d,
				       float *restrict db)
{
	for (int64_t r = 0; r < rows; r++) {
		for (int64_t u = 0; u < n; u++) {
			const float v = y[r * n + u], dz = d[r * n + u] * (1.0F - v * v);

			d[r * n + u] = dz;
			db[u] += dz;
		}
	}
}

/* d[B,N] *= Φ(z) + z·φ(z), φ the normal density; db[N] += d[B,N] */
static void backward_gelu(int64_t rows, int64_t n, const float *restrict z, float *restrict d, float *restrict db)
{
	for (int64_t r = 0; r < rows; r++) {
		for (int64_t u = 0; u < n; u++) {
			const float t = z[r * n + u], density = inv_sqrt_2pi * expf(-0.5F * t * t);
			const float dz = d[r * n + u] * (normal_cdf(t) + t * density);

			d[r * n + u] = dz;
			db[u] += dz;
		}
	}
}

/* d[B,N] = y[B,N]·(d[B,N] − Σ_N d·y); db[N] += d[B,N] */
static void backward_softmax(int64_t rows, int64_t n, const float *restrict y, float *restrict d, float *restrict db)
{
	for (int64_t r = 0; r < rows; r++) {
		float dot = 0.0F;

		for (int64_t u = 0; u < n; u++)
			dot += d[r * n + u] * y[r * n + u];
		for (int64_t u = 0; u < n; u++) {
			const float dz = y[r * n + u] * (d[r * n + u] - dot);

			d[r * n + u] = dz;
			db[u] += dz;
		}
	}
}

void ftmpi__activation_backward(ftmpi_activation activation, int64_t rows, int64_t n, const float *y, const float *z,
				float *d, float *db)
{
	memset(db, 0, (size_t)n * sizeof *db);
	switch (activation) {
	case FTMPI_LINEAR:
		backward_linear(rows, n, d, db);
		break;
	case FTMPI_RELU:
		backward_relu(rows, n, y, d, db);
		break;
	case FTMPI_SIGMOID:
		backward_sigmoid(rows, n, y, d, db);
		break;
	case FTMPI_TANH:
		backward_tanh(rows, n, y, d, db);
		break;
	case FTMPI_GELU:
		backward_gelu(rows, n, z, d, db);
		break;
	case FTMPI_SOFTMAX:
		backward_softmax(rows, n, y, d, db);
		break;
	}
}
