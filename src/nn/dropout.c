/* SPDX-License-Identifier: Apache-2.0 */
/* Dropout, in training only: a unit is kept with probability 1 − rate, and then scaled by 1/(1 − rate).
 *
 * Unit u of a sample takes word u of the stream (seed, FTMPI_RNG_DROPOUT, step, layer) at the sample's index in the data set, so the mask
 * does not depend on the rank, the row or the batch in which the sample is. It is kept iff word ≥ ⌈rate·2³²⌉, in integers. The mask
 * is stored for the backward pass: an output of 0 does not mean that a unit was dropped. */
#include "base/kernel.h"
#include "nn/nn.h"

#include <assert.h>
#include <ftmpi/rng.h>
#include <math.h>

bool ftmpi__dropout_active(const struct ftmpi__layer *layer, const ftmpi_pass *pass)
{
	return layer->spec.kind == FTMPI_DROPOUT && pass->training && layer->spec.rate > 0;
}

/* Least word that is kept. A rate so near to 1 that the threshold would be 2³² keeps one word in 2³². */
static uint32_t threshold_of(double rate)
{
	const double threshold = ceil(rate * 0x1p32);

	return threshold > (double)UINT32_MAX ? UINT32_MAX : (uint32_t)threshold;
}

static float scale_of(double rate)
{
	return (float)(1.0 / (1.0 - rate));
}

/* y[N] = x[N]·scale where words[N] ≥ threshold, else 0; mask[N] = kept */
FTMPI_KERNEL static void drop_row(int64_t n, const uint32_t *restrict words, uint32_t threshold, float scale,
				  const float *restrict x, float *restrict y, uint8_t *restrict mask)
{
	for (int64_t u = 0; u < n; u++) {
		const bool keep = words[u] >= threshold;

		y[u] = keep ? x[u] * scale : 0.0F;
		mask[u] = keep;
	}
}

/* d[n] = d[n]·scale where mask[n], else 0 */
FTMPI_KERNEL static void drop_gradient(int64_t n, const uint8_t *restrict mask, float scale, float *restrict d)
{
	for (int64_t u = 0; u < n; u++)
		d[u] = mask[u] != 0 ? d[u] * scale : 0.0F;
}

void ftmpi__dropout_forward(const struct ftmpi__layer *layer, int index, int64_t rows, const ftmpi_pass *pass,
			    const float *x, uint32_t *words, struct ftmpi__trace *trace)
{
	const int64_t n = layer->n_outputs;
	const uint32_t threshold = threshold_of(layer->spec.rate);
	const float scale = scale_of(layer->spec.rate);
	const ftmpi_rng rng = ftmpi_rng_stream(pass->seed, FTMPI_RNG_DROPOUT, (uint64_t)pass->step, (uint64_t)index);

	assert(pass->samples != NULL);
	for (int64_t r = 0; r < rows; r++) {
		ftmpi_rng_words(rng, (uint64_t)pass->samples[r], n, words);
		drop_row(n, words, threshold, scale, x + r * n, trace->y + r * n, trace->mask + r * n);
	}
	trace->out = trace->y;
}

void ftmpi__dropout_backward(const struct ftmpi__layer *layer, int64_t rows, const struct ftmpi__trace *trace, float *d)
{
	drop_gradient(rows * layer->n_outputs, trace->mask, scale_of(layer->spec.rate), d);
}
