/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A callback that goes back when the training diverges: to the newest checkpoint, and from there on without the batches that led astray.
 *
 * The first time only the batch is passed over whose loss was not finite or a spike, or whose update made a parameter infinite. When the training diverges
 * again less than five steps farther on, that was not enough: the n-th time in a row 2^(n−1) batches are passed over, those that end with the last one.
 * All of this is a function of the state alone, so all ranks do the same, and so does a relaunch; what is passed over is saved at once, under the number
 * of the checkpoint that the fit went back to. A checkpoint that was saved after the damage was done and before a loss showed it is gone back to in vain:
 * then the fit gives up.
 *
 * Callbacks hear of it (`rewound`) and take back what they wrote of later steps; but not a BackupAndRestore, whose later backups stay: use a saver instead.
 */
#ifndef FTMPI_ROLLBACK_H
#define FTMPI_ROLLBACK_H

#include <ftmpi/saver.h>

FTMPI_BEGIN_DECLS

typedef struct ftmpi_rollback ftmpi_rollback;

/**
 * Local. @param saver whose checkpoints are gone back to; its callback comes before this one; must outlive it. Let it save at the beginning too, so that
 * there always is one. @param max_rollbacks in a row, before the fit gives up; ≥ 1. Errors: ERR_USAGE, ERR_MEMORY.
 * The fit then ends with ERR_DIVERGED when it gives up, when there is no checkpoint, or when an epoch would have no batch left.
 */
FTMPI_API ftmpi_status ftmpi_rollback_create(ftmpi_saver *saver, int64_t max_rollbacks,
					     ftmpi_rollback **out) FTMPI_CHECK_RESULT;
FTMPI_API void ftmpi_rollback_destroy(ftmpi_rollback **rollback);

/** The callback; lives as long as the rollback. Local. */
FTMPI_API const ftmpi_callback *ftmpi_rollback_callback(const ftmpi_rollback *rollback);

FTMPI_END_DECLS

#endif
