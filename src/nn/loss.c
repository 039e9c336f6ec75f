/* SPDX-License-Identifier: Apache-2.0 */
/* Losses with their gradients, and metrics.
 *
 * Each is a function of one row; the rows' values are added in order, in double. A NaN in a row makes its loss NaN, which is what the divergence
 * check looks for.
 *
 * Cross-entropy from logits subtracts the largest logit first, so no finite logit overflows; an infinite largest one gives NaN. The sum of
 * exponentials is kept in double: with a wide margin it is 1 plus very little, and the logarithm of that is the loss. */
#include <ftmpi/loss.h>

#include <assert.h>
#include <math.h>
#include <string.h>

struct loss_entry {
	const char *name, *class_name;
	bool takes_labels;
};

static const struct loss_entry losses[] = {
#define FTMPI_LOSS_ENTRY(id, name, class_name, labels) [FTMPI_LOSS_##id] = {name, class_name, labels},
	FTMPI_LOSS_LIST(FTMPI_LOSS_ENTRY)
#undef FTMPI_LOSS_ENTRY
};

struct metric_entry {
	const char *name;
	bool takes_labels;
};

static const struct metric_entry metrics[] = {
#define FTMPI_METRIC_ENTRY(id, name, labels) [FTMPI_METRIC_##id] = {name, labels},
	FTMPI_METRIC_LIST(FTMPI_METRIC_ENTRY)
#undef FTMPI_METRIC_ENTRY
};

enum { N_LOSSES = sizeof losses / sizeof losses[0], N_METRICS = sizeof metrics / sizeof metrics[0] };

/* What Keras clips probabilities to, as float32. */
static const float least_probability = 1e-7F, most_probability = 1.0F - 1e-7F;

const char *ftmpi_loss_name(ftmpi_loss loss)
{
	return (size_t)loss < N_LOSSES ? losses[loss].name : "unknown";
}

const char *ftmpi_loss_class(ftmpi_loss loss)
{
	return (size_t)loss < N_LOSSES ? losses[loss].class_name : "unknown";
}

bool ftmpi_loss_takes_labels(ftmpi_loss loss)
{
	return (size_t)loss < N_LOSSES && losses[loss].takes_labels;
}

const char *ftmpi_metric_name(ftmpi_metric metric)
{
	return (size_t)metric < N_METRICS ? metrics[metric].name : "unknown";
}

bool ftmpi_metric_takes_labels(ftmpi_metric metric)
{
	return (size_t)metric < N_METRICS && metrics[metric].takes_labels;
}

ftmpi_status ftmpi_metric_parse(const char *name, ftmpi_metric *out)
{
	for (int i = 0; i < N_METRICS; i++) {
		if (strcmp(name, metrics[i].name) == 0) {
			*out = (ftmpi_metric)i;
			return FTMPI_OK;
		}
	}
#define FTMPI_METRIC_TEXT(id, text, labels) " " text
	return ftmpi_error_set(FTMPI_ERR_USAGE, __FILE__, __LINE__, "unknown metric '%s'; known are:%s", name,
			       FTMPI_METRIC_LIST(FTMPI_METRIC_TEXT));
#undef FTMPI_METRIC_TEXT
}

/* First index of the largest of z[n]. A NaN is never larger. */
static int64_t largest(const float *z, int64_t n)
{
	int64_t best = 0;

	for (int64_t c = 1; c < n; c++)
		best = z[c] > z[best] ? c : best;
	return best;
}

/* One row: z[n] → d[n] = scale · (softmax(z) − onehot(label)) where wanted. */
static double cross_entropy_logits(const float *restrict z, int32_t label, int64_t n, float scale, float *restrict d)
{
	const int64_t best = largest(z, n);
	double sum = 0;

	for (int64_t c = 0; c < n; c++) {
		const float v = expf(z[c] - z[best]);

		sum += (double)v;
		if (d != NULL)
			d[c] = v;
	}
	if (d != NULL)
		for (int64_t c = 0; c < n; c++)
			d[c] = scale * (d[c] / (float)sum - (c == label ? 1.0F : 0.0F));
	return log(sum) - ((double)z[label] - (double)z[best]);
}

/* One row: p[n], q = p[label]/Σp → d[n] = scale · (1 − onehot(label)/q)/Σp where wanted; 0 if q was clipped. NaN is never clipped. */
static double cross_entropy(const float *restrict p, int32_t label, int64_t n, float scale, float *restrict d)
{
	const double least = (double)least_probability, most = (double)most_probability;
	double sum = 0, q;
	bool clipped;

	for (int64_t c = 0; c < n; c++)
		sum += (double)p[c];
	q = (double)p[label] / sum;
	clipped = q < least || q > most;
	if (d != NULL)
		for (int64_t c = 0; c < n; c++)
			d[c] = clipped ? 0.0F : scale * (float)((c == label ? 1.0 - 1.0 / q : 1.0) / sum);
	return -log(!clipped ? q : q < least ? least : most);
}

/* One row: (1/n)·Σ(y − t)², d[n] = scale · 2·(y − t)/n where wanted. */
static double mean_squared_error(const float *restrict y, const float *restrict t, int64_t n, float scale,
				 float *restrict d)
{
	double sum = 0;

	for (int64_t c = 0; c < n; c++) {
		const double error = (double)y[c] - (double)t[c];

		sum += error * error;
		if (d != NULL)
			d[c] = scale * (float)(2.0 * error / (double)n);
	}
	return sum / (double)n;
}

static double mean_absolute_error(const float *restrict y, const float *restrict t, int64_t n)
{
	double sum = 0;

	for (int64_t c = 0; c < n; c++)
		sum += fabs((double)y[c] - (double)t[c]);
	return sum / (double)n;
}

static double accuracy(const float *z, int32_t label, int64_t n)
{
	bool has_nan = false;

	for (int64_t c = 0; c < n; c++)
		has_nan = has_nan || isnan(z[c]);
	return !has_nan && largest(z, n) == label ? 1 : 0;
}

static int32_t label_of(const ftmpi_targets *targets, int64_t row, int64_t n_outputs)
{
	const int32_t label = targets->labels[row];

	assert(label >= 0 && label < n_outputs);
	(void)n_outputs;
	return label;
}

double ftmpi_loss_compute(ftmpi_loss loss, const float *outputs, const ftmpi_targets *targets, int64_t rows,
			  int64_t n_outputs, float scale, float *d_outputs)
{
	const int64_t n = n_outputs;
	double sum = 0;

	for (int64_t r = 0; r < rows; r++) {
		const float *const y = outputs + r * n;
		float *const d = d_outputs == NULL ? NULL : d_outputs + r * n;

		switch (loss) {
		case FTMPI_LOSS_SPARSE_CROSS_ENTROPY_LOGITS:
			sum += cross_entropy_logits(y, label_of(targets, r, n), n, scale, d);
			break;
		case FTMPI_LOSS_SPARSE_CROSS_ENTROPY:
			sum += cross_entropy(y, label_of(targets, r, n), n, scale, d);
			break;
		case FTMPI_LOSS_MEAN_SQUARED_ERROR:
			sum += mean_squared_error(y, targets->values + r * n, n, scale, d);
			break;
		}
	}
	return sum;
}

double ftmpi_metric_compute(ftmpi_metric metric, const float *outputs, const ftmpi_targets *targets, int64_t rows,
			    int64_t n_outputs)
{
	const int64_t n = n_outputs;
	double sum = 0;

	for (int64_t r = 0; r < rows; r++) {
		const float *const y = outputs + r * n;

		switch (metric) {
		case FTMPI_METRIC_ACCURACY:
			sum += accuracy(y, label_of(targets, r, n), n);
			break;
		case FTMPI_METRIC_MEAN_SQUARED_ERROR:
			sum += mean_squared_error(y, targets->values + r * n, n, 0, NULL);
			break;
		case FTMPI_METRIC_MEAN_ABSOLUTE_ERROR:
			sum += mean_absolute_error(y, targets->values + r * n, n);
			break;
		}
	}
	return sum;
}
