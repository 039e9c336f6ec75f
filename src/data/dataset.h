/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a data set, and what its sources have in common. */
#ifndef FTMPI_DATA_DATASET_H
#define FTMPI_DATA_DATASET_H

#include <ftmpi/dataset.h>

/** Most dimensions of an input array: the samples' and their own. */
#define FTMPI__ARRAY_MAX_DIMS (FTMPI_SAMPLE_MAX_DIMS + 1)

/** What a source says of a split before a sample is read. All 64-bit and no gaps: it is broadcast and compared as
 * bytes. */
typedef struct ftmpi__split_info {
	int64_t is_present; /**< 0: the source has no such split, and nothing else here is set */
	int64_t is_u8;      /**< inputs are stored as 8-bit unsigned, else as float32 */
	int64_t n_samples;
	int64_t n_dims;
	int64_t dims[FTMPI_SAMPLE_MAX_DIMS];
	int64_t n_targets; /**< numbers of a sample's target; 0: a class label. Last: it is digested apart */
} ftmpi__split_info;

/** Where a source puts the samples that it reads, and what it checks them against. */
typedef struct ftmpi__sink {
	void *inputs;    /**< [n_samples, n_features], uint8_t or float */
	int32_t *labels; /**< [n_samples]; NULL: values instead */
	float *values;   /**< [n_samples, n_targets]; NULL: labels instead */
	bool is_u8;
	int64_t n_features;
	int64_t n_targets;
	int64_t n_classes;
	double scale;
} ftmpi__sink;

/** A scale as the sum of two floats. `high` has so few bits that its product with an 8-bit value is exact. */
typedef struct ftmpi__scale_parts {
	float high, low;
} ftmpi__scale_parts;

struct ftmpi_dataset {
	ftmpi_shared *shared;  /* the node's copy; NULL: the program's own arrays */
	const void *inputs;    /* uint8_t or float */
	const int32_t *labels; /* NULL: values instead */
	const float *values;   /* [n_samples, n_targets]; NULL: labels instead */
	ftmpi__split_info info;
	int64_t n_features, n_classes;
	double scale;
	ftmpi__scale_parts scale_parts;
	bool scale_splits; /* of 8-bit inputs: ftmpi__scale_split said so */
	ftmpi_digest digest;
};

/** A kind of source; `self` is what its open made. */
typedef struct ftmpi__source_ops {
	/** Find the split and check its headers. Local. @param has_labels else the targets are rows of numbers. @param self
	 * untouched on failure. */
	ftmpi_status (*open)(const char *path, ftmpi_split split, bool has_labels, ftmpi__split_info *info,
			     void **self);
	/** Read samples first … end − 1. Local. */
	ftmpi_status (*read)(void *self, int64_t first, int64_t end, const ftmpi__sink *sink);
	/** Local; NULL is fine. */
	void (*close)(void *self);
	bool all_ranks; /**< each rank of a node opens and reads its share; else the node's first reads everything */
} ftmpi__source_ops;

extern const ftmpi__source_ops ftmpi__idx_source, ftmpi__hdf5_source;

/** Is the file HDF5, by its signature? Local. */
bool ftmpi__hdf5_probe(const char *path);

/** Errors: ERR_USAGE. Local. @param least_classes of the number of classes. */
ftmpi_status ftmpi__dataset_check_options(const ftmpi_dataset_options *options,
					  int64_t least_classes) FTMPI_CHECK_RESULT;

/** A data set without arrays and digest. Local. */
ftmpi_status ftmpi__dataset_create(const ftmpi__split_info *info, const ftmpi_dataset_options *options,
				   ftmpi_dataset **out) FTMPI_CHECK_RESULT;

/** Digest of what the data set holds. Local. Cost: reads everything once. */
ftmpi_status ftmpi__dataset_hash(const ftmpi_dataset *dataset, ftmpi_digest *out) FTMPI_CHECK_RESULT;

#endif
