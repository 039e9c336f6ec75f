/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Samples with their targets (class labels, or rows of numbers for regression) in memory: one copy per node, inputs in
 * the type in which the file has them where that is 8-bit, else float32.
 *
 * Sources: a folder with the four IDX files of MNIST under their usual names, plain or gzipped; one HDF5 file with
 * x_train, y_train and, optionally, x_test, y_test; arrays of the program.
 */
#ifndef FTMPI_DATASET_H
#define FTMPI_DATASET_H

#include <ftmpi/comm.h>

FTMPI_BEGIN_DECLS

typedef struct ftmpi_dataset ftmpi_dataset;

typedef enum ftmpi_split { FTMPI_TRAIN, FTMPI_TEST } ftmpi_split;

/** Most dimensions of one sample. */
#define FTMPI_SAMPLE_MAX_DIMS 7

typedef struct ftmpi_dataset_options {
	int64_t n_classes; /**< labels must be in 0 … n_classes − 1; 0: the targets are rows of numbers, not labels */
	double input_scale; /**< inputs are multiplied by this; 0: 1/255 for 8-bit unsigned data, else 1 */
} ftmpi_dataset_options;

/** 10 classes, scale chosen by the data's type. Local. */
FTMPI_API void ftmpi_dataset_options_init(ftmpi_dataset_options *options);

/**
 * Read one split of a folder or an HDF5 file. Collective.
 *
 * IDX: the first rank of each node reads. Values of any IDX type; the first dimension counts samples, the others are a
 * sample's shape. HDF5: each rank of a node reads its share of the rows with the MPI-IO driver, independently. Integers
 * of 8 to 64 bits and floats of 16 to 64 bits in either byte order, stored in the file itself. Labels: y is [n] or
 * [n, 1], IDX's of integers, HDF5's also of floats that are whole numbers. Rows of numbers (n_classes 0): y is [n] or
 * [n, n_targets] of numbers of any of these types, for IDX [n].
 * Values other than 8-bit unsigned inputs and labels are rounded to float32 when they are read.
 * Train and test data must have the same shape and storage. Headers are checked against the file's real length before
 * memory is taken; labels are checked, and inputs, scaled too, and numbers to be predicted must be finite.
 * @param path folder or file; the same on all ranks.
 * @param out the data set; NULL when `split` is FTMPI_TEST and the source has no test data at all.
 * Errors (agreed): ERR_USAGE (options), ERR_NOT_FOUND, ERR_DATA (names the file, array and sample), ERR_IO, ERR_MEMORY,
 * ERR_NO_SPACE, ERR_MPI.
 */
FTMPI_API ftmpi_status ftmpi_dataset_open(const ftmpi_comm *comm, const char *path, ftmpi_split split,
					  const ftmpi_dataset_options *options, ftmpi_dataset **out) FTMPI_CHECK_RESULT;

/**
 * A data set of the program's own arrays, which must outlive it and be the same on every rank. Local.
 * @param x float32 [n_samples, dims…]. @param y int32 [n_samples]. @param n_dims, dims shape of one sample; n_dims ≥ 1.
 * Errors: ERR_DATA (label out of range, input not finite), ERR_MEMORY, ERR_USAGE (shape, options).
 */
FTMPI_API ftmpi_status ftmpi_dataset_from_memory(const float *x, const int32_t *y, int64_t n_samples, int n_dims,
						 const int64_t *dims, const ftmpi_dataset_options *options,
						 ftmpi_dataset **out) FTMPI_CHECK_RESULT;

/**
 * The same with rows of numbers as targets; options' n_classes is not used. Local.
 * @param y float32 [n_samples, n_targets]. @param n_targets at least 1. Other parameters as ftmpi_dataset_from_memory.
 * Errors: ERR_DATA (input or target not finite), ERR_MEMORY, ERR_USAGE (shape, options).
 */
FTMPI_API ftmpi_status ftmpi_dataset_from_memory_values(const float *x, const float *y, int64_t n_samples,
							int64_t n_targets, int n_dims, const int64_t *dims,
							const ftmpi_dataset_options *options,
							ftmpi_dataset **out) FTMPI_CHECK_RESULT;

/** Collective. NULLs the pointer; NULL is fine. */
FTMPI_API void ftmpi_dataset_destroy(ftmpi_dataset **dataset);

FTMPI_API int64_t ftmpi_dataset_n_samples(const ftmpi_dataset *dataset);

/** Elements of one sample. */
FTMPI_API int64_t ftmpi_dataset_n_features(const ftmpi_dataset *dataset);

/** Numbers to be predicted for each sample; 0: the targets are class labels. */
FTMPI_API int64_t ftmpi_dataset_n_targets(const ftmpi_dataset *dataset);

/** Number of classes that the labels may be of; 0 with float targets. Local. */
FTMPI_API int64_t ftmpi_dataset_n_classes(const ftmpi_dataset *dataset);

/** Shape of one sample: returns the number of dimensions, sets *dims to them. Scalar samples have shape (1). */
FTMPI_API int ftmpi_dataset_shape(const ftmpi_dataset *dataset, const int64_t **dims);

/** Digest of shape, inputs, scale and targets; the same on any number of ranks. */
FTMPI_API ftmpi_digest ftmpi_dataset_digest(const ftmpi_dataset *dataset);

/**
 * Copy samples out, scaled, as float32: (float)((double)value * scale) for every storage. Local. @param samples n
 * indices. @param x [n, n_features], or NULL. @param y labels [n], or NULL; NULL where the targets are no labels.
 */
FTMPI_API void ftmpi_dataset_gather(const ftmpi_dataset *dataset, const int64_t *samples, int64_t n, float *x,
				    int32_t *y);

/** Copy rows of numbers out. Local. @param samples n indices. @param y [n, n_targets], n_targets at least 1. */
FTMPI_API void ftmpi_dataset_gather_values(const ftmpi_dataset *dataset, const int64_t *samples, int64_t n, float *y);

FTMPI_END_DECLS

#endif
