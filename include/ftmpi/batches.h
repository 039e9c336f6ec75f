/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Global batches of a data set, epoch after epoch. The order is a pure function of (seed, epoch, position), and the place in it is two integers that a
 * checkpoint holds. Local; all ranks keep the same place by making the same calls.
 */
#ifndef FTMPI_BATCHES_H
#define FTMPI_BATCHES_H

#include <ftmpi/checkpoint.h>
#include <ftmpi/dataset.h>
#include <ftmpi/order.h>

FTMPI_BEGIN_DECLS

typedef struct ftmpi_batches_options {
	int64_t batch_size; /**< samples of a batch over all ranks; ≥ 1; the last batch of an epoch may be shorter */
	bool shuffle;
	uint64_t seed; /**< of the order */
} ftmpi_batches_options;

/** 32 samples, shuffled, seed 1. Local. */
FTMPI_API void ftmpi_batches_options_init(ftmpi_batches_options *options);

typedef struct ftmpi_batches ftmpi_batches;

/** Local. @param dataset must outlive the batches. Errors: ERR_USAGE, ERR_MEMORY. */
FTMPI_API ftmpi_status ftmpi_batches_create(const ftmpi_dataset *dataset, const ftmpi_batches_options *options,
					    ftmpi_batches **out) FTMPI_CHECK_RESULT;
FTMPI_API void ftmpi_batches_destroy(ftmpi_batches **batches);

/** One global batch: positions first … first + n_samples − 1 of an epoch's order. */
typedef struct ftmpi_batch {
	ftmpi_order order;
	int64_t epoch; /**< from 0 */
	int64_t first;
	int64_t n_samples;
	bool ends_epoch;
} ftmpi_batch;

/** The next batch; the place moves behind it, after an epoch's last batch to the start of the next epoch. Local. */
FTMPI_API ftmpi_batch ftmpi_batches_next(ftmpi_batches *batches);

/** Epochs that are complete, and samples already used of the current one: 0 … number of samples − 1. Local. */
FTMPI_API int64_t ftmpi_batches_epoch(const ftmpi_batches *batches);
FTMPI_API int64_t ftmpi_batches_position(const ftmpi_batches *batches);
/** Batches of one epoch. Local. */
FTMPI_API int64_t ftmpi_batches_per_epoch(const ftmpi_batches *batches);
/** Go to the start of an epoch. Local. @param epoch ≥ 0. */
FTMPI_API void ftmpi_batches_seek(ftmpi_batches *batches, int64_t epoch);

/**
 * Pass over a batch from now on: it does not come any more, and an epoch of which it is the last one ends with the one before. Local, alike on all ranks.
 * @param first its first position in the epoch. @param step when it was found out, for the record. @param ends_epoch set to whether the place stood before
 * it and all that was left of the epoch is passed over: then the epoch has ended now. NULL: not wanted.
 * Errors: ERR_USAGE (no such batch; the epoch would have no batch left), ERR_MEMORY.
 */
FTMPI_API ftmpi_status ftmpi_batches_skip(ftmpi_batches *batches, int64_t epoch, int64_t first, int64_t step,
					  bool *ends_epoch) FTMPI_CHECK_RESULT;
/** Whether a batch is passed over. Local. */
FTMPI_API bool ftmpi_batches_skips(const ftmpi_batches *batches, int64_t epoch, int64_t first);

/** Save and restore the place with a checkpoint, at `ftmpi/epoch`, `ftmpi/position` and `ftmpi/order_seed`, and what is passed over at
 * `ftmpi/history/skipped`: int64, three numbers a batch, its epoch, its first position and the step. Local. Errors: as ftmpi_registry_add; at the restore
 * ERR_DATA when the place does not fit the data. */
FTMPI_API ftmpi_status ftmpi_batches_track(ftmpi_batches *batches, ftmpi_checkpoint *checkpoint) FTMPI_CHECK_RESULT;

FTMPI_END_DECLS

#endif
