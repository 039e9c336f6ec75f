/* SPDX-License-Identifier: Apache-2.0 */
/* Sparse categorical cross-entropy from logits, its gradient, and the number of right answers.
 *
 * The largest logit is subtracted first, so no finite logit overflows. The sum of exponentials is kept in double: with a wide margin it is 1
 * plus very little, and the logarithm of that is the loss. A NaN or an infinite largest logit makes the row's loss NaN, which is what
 * the divergence check looks for. */
#include "nn/nn.h"

#include <assert.h>
#include <math.h>

struct row_result {
	double loss;
	bool correct;
};

/* One row: z[n] → e[n] = exp(z − max z) where wanted, and the loss at `label`. */
static struct row_result row_loss(const float *restrict z, int64_t n, int32_t label, float *restrict e, double *sum_out)
{
	int64_t best = 0;
	double sum = 0;

	for (int64_t c = 1; c < n; c++)
		best = z[c] > z[best] ? c : best;
	for (int64_t c = 0; c < n; c++) {
		const float v = expf(z[c] - z[best]);

		sum += (double)v;
		if (e != NULL)
			e[c] = v;
	}
	*sum_out = sum;
	return (struct row_result){log(sum) - ((double)z[label] - (double)z[best]), best == label && !isnan(sum)};
}

void ftmpi_sparse_cross_entropy(const float *logits, const int32_t *labels, int64_t rows, int64_t n_classes,
				float scale, float *d_logits, ftmpi_loss_sums *sums)
{
	ftmpi_loss_sums total = {0, 0};

	for (int64_t r = 0; r < rows; r++) {
		float *d = d_logits == NULL ? NULL : d_logits + r * n_classes;
		const int32_t label = labels[r];
		struct row_result row;
		double sum;

		assert(label >= 0 && label < n_classes);
		row = row_loss(logits + r * n_classes, n_classes, label, d, &sum);
		total.loss += row.loss;
		total.correct += row.correct ? 1 : 0;
		if (d == NULL)
			continue;
		/* d[C] = scale · (softmax(z) − onehot(label)) */
		for (int64_t c = 0; c < n_classes; c++)
			d[c] = scale * (d[c] / (float)sum - (c == label ? 1.0F : 0.0F));
	}
	*sums = total;
}
