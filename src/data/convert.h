/* SPDX-License-Identifier: Apache-2.0 */
/* Values from a file or the program into the form in which they are kept, checked on the way. */
#ifndef FTMPI_DATA_CONVERT_H
#define FTMPI_DATA_CONVERT_H

#include "data/dataset.h"

/** The one rule of scaling, for every storage type: multiplied in double, rounded once. */
static inline float ftmpi__scaled(double value, double scale)
{
	return (float)(value * scale);
}

/** ftmpi__scaled of an 8-bit value in float arithmetic, which takes half the time in vector lanes. */
static inline float ftmpi__scaled_u8(uint8_t value, ftmpi__scale_parts scale)
{
	return (float)value * scale.high + (float)value * scale.low;
}

/** Cut a scale in two. @return whether all 256 values come out with the bits of the one rule; of a thousand scales some do not. */
bool ftmpi__scale_split(double scale, ftmpi__scale_parts *out);

/** Inputs must be finite, scaled too. @param first index of x[0] in the whole array. @param name of the array, for
 * errors. */
ftmpi_status ftmpi__inputs_check(const char *name, const float *x, int64_t first, int64_t n, int64_t n_features,
				 double scale) FTMPI_CHECK_RESULT;

/** Check and keep n values of an array. @param first index of values[0] in the whole array. @param name of the array,
 * for errors. */
typedef ftmpi_status ftmpi__store_function(const char *name, const double *values, int64_t first, int64_t n,
					   const ftmpi__sink *sink) FTMPI_CHECK_RESULT;

/** Inputs and targets that are numbers: rounded to float32. Labels: those of samples first … first + n − 1. */
ftmpi__store_function ftmpi__inputs_store, ftmpi__labels_store, ftmpi__values_store;

/** How the targets of a sink are kept. */
static inline ftmpi__store_function *ftmpi__targets_store(const ftmpi__sink *sink)
{
	return sink->labels != NULL ? ftmpi__labels_store : ftmpi__values_store;
}

/** Targets that are numbers must be finite. @param first index of y[0] in the whole array. */
ftmpi_status ftmpi__values_check(const char *name, const float *y, int64_t first, int64_t n,
				 int64_t n_targets) FTMPI_CHECK_RESULT;

/** A label must be a whole number in 0 … n_classes − 1. */
ftmpi_status ftmpi__label_check(const char *name, double value, int64_t sample, int64_t n_classes) FTMPI_CHECK_RESULT;

/** What an array of inputs says of its split: the first dimension counts samples, the others are their shape, (1) if
 * there are none. */
ftmpi__split_info ftmpi__info_of_array(int n_dims, const int64_t *dims, bool is_u8);

/**
 * Train and test data must fit one model: same shape, same storage, since that decides the scale, and targets alike.
 * @param name, other_name of the arrays, for errors.
 */
ftmpi_status ftmpi__info_check_same(const char *name, const ftmpi__split_info *info, const char *other_name,
				    const ftmpi__split_info *other) FTMPI_CHECK_RESULT;

/**
 * Elements of an array, and whether a source of `bound_bytes` bytes can hold them: false if not, or if they do not fit.
 */
bool ftmpi__count_elements(int n_dims, const int64_t *dims, size_t element_bytes, int64_t bound_bytes, int64_t *out);

/** Most bytes that `n_bytes` of deflate data can expand to: at most 1032 : 1 (a match of 258 bytes in 2 bits). */
static inline int64_t ftmpi__deflate_bound(int64_t n_bytes)
{
	return n_bytes > INT64_MAX / 1032 ? INT64_MAX : n_bytes * 1032;
}

#endif
