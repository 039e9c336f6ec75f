/* SPDX-License-Identifier: Apache-2.0 */
/* What the two readers of training data are asked for: open a split, and read all of its samples into memory of just that size. */
#ifndef FTMPI_TESTS_FUZZ_FUZZ_DATA_H
#define FTMPI_TESTS_FUZZ_FUZZ_DATA_H

#include "fuzz/fuzz.h"

#include "data/dataset.h"

/** What a split may take: some small multiple of the file, or the most that deflate can hide in it. */
static inline size_t fuzz_data_bytes(const ftmpi__split_info *info, size_t file_bytes)
{
	size_t n = (size_t)info->n_samples;

	FUZZ_NEED(info->n_samples > 0 && info->n_dims > 0 && info->n_dims <= FTMPI_SAMPLE_MAX_DIMS);
	for (int i = 0; i < info->n_dims; i++)
		FUZZ_NEED(info->dims[i] > 0 && !__builtin_mul_overflow(n, (size_t)info->dims[i], &n));
	FUZZ_NEED(n <= 1032 * file_bytes);
	return n;
}

static inline void fuzz_data_read(const ftmpi__source_ops *source, const char *path, ftmpi_split split,
				  size_t file_bytes)
{
	ftmpi__split_info info = {0};
	void *self = NULL;
	ftmpi_status status = source->open(path, split, true, &info, &self);

	if (status == FTMPI_OK && info.is_present) {
		const size_t n = fuzz_data_bytes(&info, file_bytes);
		void *inputs = malloc(n * (info.is_u8 ? 1 : sizeof(float)));
		int32_t *labels = malloc((size_t)info.n_samples * sizeof *labels);
		const ftmpi__sink sink = {.inputs = inputs,
					  .labels = labels,
					  .is_u8 = info.is_u8 != 0,
					  .n_features = (int64_t)n / info.n_samples,
					  .n_classes = 10,
					  .scale = 0.5};

		FUZZ_NEED(inputs != NULL && labels != NULL);
		status = source->read(self, 0, info.n_samples, &sink);
		for (int64_t i = 0; i < info.n_samples && status == FTMPI_OK; i++)
			FUZZ_NEED(labels[i] >= 0 && labels[i] < 10);
		free(labels);
		free(inputs);
	}
	FUZZ_NEED(status != FTMPI_ERR_MEMORY);
	if (status != FTMPI_OK)
		FUZZ_NEED_MESSAGE(ftmpi_error_message());
	source->close(self);
}

#endif
