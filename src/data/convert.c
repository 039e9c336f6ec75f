/* SPDX-License-Identifier: Apache-2.0 */
/* Checks and conversions that all sources share.
 *
 * Whatever the type in the file, a value passes through double and is rounded to float32 once, so that the same numbers
 * give the same bits from every format. What is kept has been checked: inputs finite after scaling, labels in range,
 * other targets finite. */
#include "data/convert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool ftmpi__scale_split(double scale, ftmpi__scale_parts *out)
{
	enum { HIGH_BITS = 16 };
	int exponent;
	const double mantissa = frexp(scale, &exponent);

	out->high = (float)ldexp(rint(ldexp(mantissa, HIGH_BITS)), exponent - HIGH_BITS);
	out->low = (float)(scale - (double)out->high);
	for (int u = 0; u <= UINT8_MAX; u++)
		if (ftmpi__scaled_u8((uint8_t)u, *out) != ftmpi__scaled(u, scale))
			return false;
	return true;
}

ftmpi_status ftmpi__inputs_check(const char *name, const float *x, int64_t first, int64_t n, int64_t n_features,
				 double scale)
{
	ftmpi_status status = FTMPI_OK;

	for (int64_t i = 0; i < n; i++)
		if (!isfinite(ftmpi__scaled((double)x[i], scale)))
			FTMPI_FAIL(
				FTMPI_ERR_DATA,
				"%s: input %lld of sample %lld is %g, and %g once scaled by %g; inputs must be finite",
				name, (long long)((first + i) % n_features), (long long)((first + i) / n_features),
				(double)x[i], (double)ftmpi__scaled((double)x[i], scale), scale);
done:
	return status;
}

ftmpi_status ftmpi__inputs_store(const char *name, const double *values, int64_t first, int64_t n,
				 const ftmpi__sink *sink)
{
	float *const to = (float *)sink->inputs + first;

	for (int64_t i = 0; i < n; i++)
		to[i] = (float)values[i];
	return ftmpi__inputs_check(name, to, first, n, sink->n_features, sink->scale);
}

ftmpi_status ftmpi__label_check(const char *name, double value, int64_t sample, int64_t n_classes)
{
	ftmpi_status status = FTMPI_OK;

	if (!(value >= 0 && value < (double)n_classes))
		FTMPI_FAIL(FTMPI_ERR_DATA,
			   "%s: label %.15g of sample %lld is outside 0 to %lld; --classes, or the outputs of --model, "
			   "set the number of classes",
			   name, value, (long long)sample, (long long)n_classes - 1);
	if (value != floor(value))
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: label %.15g of sample %lld is not a whole number", name, value,
			   (long long)sample);
done:
	return status;
}

ftmpi_status ftmpi__labels_store(const char *name, const double *values, int64_t first, int64_t n,
				 const ftmpi__sink *sink)
{
	ftmpi_status status = FTMPI_OK;

	for (int64_t i = 0; i < n; i++) {
		FTMPI_TRY(ftmpi__label_check(name, values[i], first + i, sink->n_classes));
		sink->labels[first + i] = (int32_t)values[i];
	}
done:
	return status;
}

ftmpi_status ftmpi__values_check(const char *name, const float *y, int64_t first, int64_t n, int64_t n_targets)
{
	ftmpi_status status = FTMPI_OK;

	for (int64_t i = 0; i < n; i++)
		if (!isfinite(y[i]))
			FTMPI_FAIL(FTMPI_ERR_DATA, "%s: target %lld of sample %lld is %g; targets must be finite", name,
				   (long long)((first + i) % n_targets), (long long)((first + i) / n_targets),
				   (double)y[i]);
done:
	return status;
}

ftmpi_status ftmpi__values_store(const char *name, const double *values, int64_t first, int64_t n,
				 const ftmpi__sink *sink)
{
	float *const to = sink->values + first;

	for (int64_t i = 0; i < n; i++)
		to[i] = (float)values[i];
	return ftmpi__values_check(name, to, first, n, sink->n_targets);
}

ftmpi__split_info ftmpi__info_of_array(int n_dims, const int64_t *dims, bool is_u8)
{
	ftmpi__split_info info = {.is_present = 1, .is_u8 = is_u8, .n_samples = dims[0], .n_dims = 1, .dims = {1}};

	if (n_dims > 1) {
		info.n_dims = n_dims - 1;
		memcpy(info.dims, dims + 1, (size_t)info.n_dims * sizeof *info.dims);
	}
	return info;
}

/* "28x28" */
static void format_shape(const ftmpi__split_info *info, char *text, size_t text_bytes)
{
	size_t used = 0;

	text[0] = '\0';
	for (int64_t d = 0; d < info->n_dims && used < text_bytes; d++)
		used += (size_t)snprintf(text + used, text_bytes - used, "%s%lld", d > 0 ? "x" : "",
					 (long long)info->dims[d]);
}

ftmpi_status ftmpi__info_check_same(const char *name, const ftmpi__split_info *info, const char *other_name,
				    const ftmpi__split_info *other)
{
	ftmpi_status status = FTMPI_OK;
	char shape[160], other_shape[160];
	bool same = info->n_dims == other->n_dims;

	for (int64_t d = 0; same && d < info->n_dims; d++)
		same = info->dims[d] == other->dims[d];
	format_shape(info, shape, sizeof shape);
	format_shape(other, other_shape, sizeof other_shape);
	if (!same)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: samples have shape %s, but those of %s have %s", name, shape,
			   other_name, other_shape);
	if (info->is_u8 != other->is_u8)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: inputs are %s, but those of %s are not; store both alike", name,
			   info->is_u8 ? "8-bit unsigned" : "not 8-bit unsigned", other_name);
	if (info->n_targets != other->n_targets)
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: samples have %lld targets, but those of %s have %lld", name,
			   (long long)info->n_targets, other_name, (long long)other->n_targets);
done:
	return status;
}

bool ftmpi__count_elements(int n_dims, const int64_t *dims, size_t element_bytes, int64_t bound_bytes, int64_t *out)
{
	int64_t n = 1, n_bytes;

	for (int d = 0; d < n_dims; d++)
		if (dims[d] < 0 || __builtin_mul_overflow(n, dims[d], &n))
			return false;
	if (__builtin_mul_overflow(n, (int64_t)element_bytes, &n_bytes) || n_bytes > bound_bytes)
		return false;
	*out = n;
	return true;
}
