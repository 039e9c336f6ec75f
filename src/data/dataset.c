/* SPDX-License-Identifier: Apache-2.0 */
/* A data set in memory: options, arrays of the program, access, digest.
 *
 * Inputs stay in the type in which the source has them where that is 8-bit (a quarter of the memory), else they are
 * float32; both are scaled when they are gathered, by one rule: multiplied in double, rounded once to float32.
 * Everything here is read-only once the data set exists. */
#include "base/kernel.h"
#include "data/convert.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void ftmpi_dataset_options_init(ftmpi_dataset_options *options)
{
	*options = (ftmpi_dataset_options){.n_classes = 10, .input_scale = 0};
}

ftmpi_status ftmpi__dataset_check_options(const ftmpi_dataset_options *options, int64_t least_classes)
{
	ftmpi_status status = FTMPI_OK;

	if (options->n_classes < least_classes || options->n_classes > INT32_MAX)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "number of classes is %lld; it must be from %lld to %d",
			   (long long)options->n_classes, (long long)least_classes, INT32_MAX);
	if (!isfinite(options->input_scale) || options->input_scale < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "input scale is %g; it must be finite and above 0, or 0 for the type's own",
			   options->input_scale);
done:
	return status;
}

ftmpi_status ftmpi__dataset_create(const ftmpi__split_info *info, const ftmpi_dataset_options *options,
				   ftmpi_dataset **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_dataset *dataset = NULL;

	FTMPI_TRY(FTMPI_ALLOC(1, &dataset));
	dataset->info = *info;
	dataset->n_classes = options->n_classes;
	dataset->n_features = 1;
	for (int64_t d = 0; d < info->n_dims; d++)
		dataset->n_features *= info->dims[d];
	dataset->scale = options->input_scale;
	if (options->input_scale == 0)
		dataset->scale = info->is_u8 ? 1.0 / 255 : 1;
	dataset->scale_splits = ftmpi__scale_split(dataset->scale, &dataset->scale_parts);
	*out = dataset;
done:
	return status;
}

void ftmpi_dataset_destroy(ftmpi_dataset **dataset)
{
	if (*dataset == NULL)
		return;
	ftmpi_shared_destroy(&(*dataset)->shared);
	ftmpi_free(*dataset);
	*dataset = NULL;
}

static size_t input_bytes(const ftmpi_dataset *dataset)
{
	const size_t element_bytes = dataset->info.is_u8 ? sizeof(uint8_t) : sizeof(float);

	return (size_t)dataset->info.n_samples * (size_t)dataset->n_features * element_bytes;
}

ftmpi_status ftmpi__dataset_hash(const ftmpi_dataset *dataset, ftmpi_digest *out)
{
	ftmpi_status status = FTMPI_OK;
	const size_t n = (size_t)dataset->info.n_samples, n_targets = (size_t)dataset->info.n_targets;
	ftmpi_hasher *hasher = NULL;

	FTMPI_TRY(ftmpi_hasher_create(&hasher));
	ftmpi_hasher_update(hasher, &dataset->info, offsetof(ftmpi__split_info, n_targets));
	ftmpi_hasher_update(hasher, &dataset->scale, sizeof dataset->scale);
	ftmpi_hasher_update(hasher, dataset->inputs, input_bytes(dataset));
	if (n_targets == 0) {
		ftmpi_hasher_update(hasher, dataset->labels, n * sizeof *dataset->labels);
	} else {
		ftmpi_hasher_update(hasher, &dataset->info.n_targets, sizeof dataset->info.n_targets);
		ftmpi_hasher_update(hasher, dataset->values, n * n_targets * sizeof *dataset->values);
	}
	*out = ftmpi_hasher_digest(hasher);
done:
	ftmpi_hasher_destroy(&hasher);
	return status;
}

/* Shape of the program's arrays; all products that are formed later fit. */
static ftmpi_status info_from_memory(int64_t n_samples, int n_dims, const int64_t *dims, ftmpi__split_info *info)
{
	ftmpi_status status = FTMPI_OK;
	int64_t n_features = 0, n_elements;

	if (n_samples < 1)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "a data set needs at least one sample, not %lld", (long long)n_samples);
	if (n_dims < 1 || n_dims > FTMPI_SAMPLE_MAX_DIMS)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "samples have %d dimensions; 1 to %d are possible", n_dims,
			   FTMPI_SAMPLE_MAX_DIMS);
	if (!ftmpi__count_elements(n_dims, dims, sizeof(float), INT64_MAX, &n_features) || n_features < 1 ||
	    !ftmpi__count_elements(2, (int64_t[]){n_samples, n_features}, sizeof(float), INT64_MAX, &n_elements))
		FTMPI_FAIL(FTMPI_ERR_USAGE,
			   "shape of the samples: every dimension must be at least 1, and all must fit in memory");
	*info = (ftmpi__split_info){.is_present = 1, .n_samples = n_samples, .n_dims = n_dims};
	memcpy(info->dims, dims, (size_t)n_dims * sizeof *dims);
done:
	return status;
}

static const char memory_name[] = "data in memory";

/* A data set of the program's inputs, without targets and digest. */
static ftmpi_status create_from_memory(const ftmpi__split_info *info, const ftmpi_dataset_options *options,
				       const float *x, ftmpi_dataset **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_dataset *dataset = NULL;

	FTMPI_TRY(ftmpi__dataset_create(info, options, &dataset));
	FTMPI_TRY(ftmpi__inputs_check(memory_name, x, 0, info->n_samples * dataset->n_features, dataset->n_features,
				      dataset->scale));
	dataset->inputs = x;
	*out = dataset;
	dataset = NULL;
done:
	ftmpi_dataset_destroy(&dataset);
	return status;
}

ftmpi_status ftmpi_dataset_from_memory(const float *x, const int32_t *y, int64_t n_samples, int n_dims,
				       const int64_t *dims, const ftmpi_dataset_options *options, ftmpi_dataset **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_dataset *dataset = NULL;
	ftmpi__split_info info = {0};

	FTMPI_TRY(ftmpi__dataset_check_options(options, 1));
	FTMPI_TRY(info_from_memory(n_samples, n_dims, dims, &info));
	FTMPI_TRY(create_from_memory(&info, options, x, &dataset));
	for (int64_t i = 0; i < n_samples; i++)
		FTMPI_TRY(ftmpi__label_check(memory_name, y[i], i, options->n_classes));
	dataset->labels = y;
	FTMPI_TRY(ftmpi__dataset_hash(dataset, &dataset->digest));
	*out = dataset;
	dataset = NULL;
done:
	ftmpi_dataset_destroy(&dataset);
	return status;
}

ftmpi_status ftmpi_dataset_from_memory_values(const float *x, const float *y, int64_t n_samples, int64_t n_targets,
					      int n_dims, const int64_t *dims, const ftmpi_dataset_options *options,
					      ftmpi_dataset **out)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_dataset_options no_classes = {.input_scale = options->input_scale};
	ftmpi_dataset *dataset = NULL;
	ftmpi__split_info info = {0};
	int64_t n_values = 0;

	FTMPI_TRY(ftmpi__dataset_check_options(&no_classes, 0));
	FTMPI_TRY(info_from_memory(n_samples, n_dims, dims, &info));
	if (n_targets < 1 ||
	    !ftmpi__count_elements(2, (int64_t[]){n_samples, n_targets}, sizeof(float), INT64_MAX, &n_values))
		FTMPI_FAIL(FTMPI_ERR_USAGE,
			   "%lld targets of a sample: there must be at least 1, and all must fit in memory",
			   (long long)n_targets);
	info.n_targets = n_targets;
	FTMPI_TRY(create_from_memory(&info, &no_classes, x, &dataset));
	FTMPI_TRY(ftmpi__values_check(memory_name, y, 0, n_values, n_targets));
	dataset->values = y;
	FTMPI_TRY(ftmpi__dataset_hash(dataset, &dataset->digest));
	*out = dataset;
	dataset = NULL;
done:
	ftmpi_dataset_destroy(&dataset);
	return status;
}

int64_t ftmpi_dataset_n_samples(const ftmpi_dataset *dataset)
{
	return dataset->info.n_samples;
}

int64_t ftmpi_dataset_n_features(const ftmpi_dataset *dataset)
{
	return dataset->n_features;
}

int64_t ftmpi_dataset_n_targets(const ftmpi_dataset *dataset)
{
	return dataset->info.n_targets;
}

int64_t ftmpi_dataset_n_classes(const ftmpi_dataset *dataset)
{
	return dataset->n_classes;
}

int ftmpi_dataset_shape(const ftmpi_dataset *dataset, const int64_t **dims)
{
	*dims = dataset->info.dims;
	return (int)dataset->info.n_dims;
}

ftmpi_digest ftmpi_dataset_digest(const ftmpi_dataset *dataset)
{
	return dataset->digest;
}

/* Ask for inputs before they are needed: samples come in no order that a processor foresees. */
static inline void prefetch(const void *from, size_t n_bytes)
{
	for (size_t at = 0; at < n_bytes; at += FTMPI_ALIGNMENT)
		__builtin_prefetch((const char *)from + at);
}

/* Elements at a time; how far before they are written, in elements, and read, in samples, their place is asked for: what a core's misses under way cover. */
enum { BLOCK = 64, BEFORE = 256, AHEAD = 2 };

/* x[n] = f(from[n]), a few cache lines after the other; each time as many are asked for of the sample whose turn comes soon, `ahead`[n], and of x, where
 * `room` ≥ n floats are to be written in the end. */
#define COPY_SAMPLE(name, type, scale_type, f)                                                                         \
	FTMPI_KERNEL static void name(int64_t n, const type *restrict from, const type *ahead, scale_type scale,       \
				      int64_t room, float *restrict x)                                                 \
	{                                                                                                              \
		int64_t at = 0;                                                                                        \
                                                                                                                       \
		(void)scale;                                                                                           \
		for (; at + BLOCK <= n; at += BLOCK) {                                                                 \
			prefetch(ahead + at, BLOCK * sizeof *ahead);                                                   \
			if (at + BEFORE + BLOCK <= room)                                                               \
				prefetch(x + at + BEFORE, BLOCK * sizeof *x);                                          \
			for (int i = 0; i < BLOCK; i++)                                                                \
				x[at + i] = f(from[at + i], scale);                                                    \
		}                                                                                                      \
		prefetch(ahead + at, (size_t)(n - at) * sizeof *ahead);                                                \
		for (; at < n; at++)                                                                                   \
			x[at] = f(from[at], scale);                                                                    \
	}

#define AS_IT_IS(value, scale) (value)
#define SCALED(value, scale)   ftmpi__scaled((double)(value), scale)

COPY_SAMPLE(copy_float, float, double, AS_IT_IS)
COPY_SAMPLE(scale_float, float, double, SCALED)
COPY_SAMPLE(scale_u8, uint8_t, double, SCALED)
COPY_SAMPLE(scale_u8_parts, uint8_t, ftmpi__scale_parts, ftmpi__scaled_u8)

/* @param ahead a sample that is wanted soon. @param room floats at x. */
static void copy_sample(const ftmpi_dataset *dataset, int64_t sample, int64_t ahead, int64_t room, float *x)
{
	const int64_t n = dataset->n_features, at = sample * n, ahead_at = ahead * n;
	const uint8_t *u8 = dataset->inputs;
	const float *f = dataset->inputs;

	if (dataset->info.is_u8 && dataset->scale_splits)
		scale_u8_parts(n, u8 + at, u8 + ahead_at, dataset->scale_parts, room, x);
	else if (dataset->info.is_u8)
		scale_u8(n, u8 + at, u8 + ahead_at, dataset->scale, room, x);
	else if (dataset->scale != 1)
		scale_float(n, f + at, f + ahead_at, dataset->scale, room, x);
	else
		copy_float(n, f + at, f + ahead_at, dataset->scale, room, x);
}

void ftmpi_dataset_gather(const ftmpi_dataset *dataset, const int64_t *samples, int64_t n, float *x, int32_t *y)
{
	assert(y == NULL || dataset->labels != NULL);
	for (int64_t i = 0; i < n; i++) {
		assert(samples[i] >= 0 && samples[i] < dataset->info.n_samples);
		if (x != NULL)
			copy_sample(dataset, samples[i], samples[i + AHEAD < n ? i + AHEAD : n - 1],
				    (n - i) * dataset->n_features, x + i * dataset->n_features);
		if (y != NULL)
			y[i] = dataset->labels[samples[i]];
	}
}

void ftmpi_dataset_gather_values(const ftmpi_dataset *dataset, const int64_t *samples, int64_t n, float *y)
{
	const int64_t n_targets = dataset->info.n_targets;

	assert(dataset->values != NULL);
	for (int64_t i = 0; i < n; i++) {
		assert(samples[i] >= 0 && samples[i] < dataset->info.n_samples);
		memcpy(y + i * n_targets, dataset->values + samples[i] * n_targets, (size_t)n_targets * sizeof *y);
	}
}
