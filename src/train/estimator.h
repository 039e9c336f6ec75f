/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of an estimator. */
#ifndef FTMPI_TRAIN_ESTIMATOR_H
#define FTMPI_TRAIN_ESTIMATOR_H

#include <ftmpi/estimator.h>

#define FTMPI__MODEL_CKPT "model.ckpt"
/** The variable whose value is a checkpoint's number. */
#define FTMPI__NUMBER_PATH "optimizer/vars/0"

struct ftmpi_estimator {
	const ftmpi_comm *comm;
	ftmpi_model *model;
	ftmpi_compile compile;
	ftmpi_run_config config;
	char model_dir[FTMPI_PATH_MAX];
	ftmpi_loss_reduction loss_reduction;
};

/** What the folder holds; the same on every rank. */
struct ftmpi__found {
	bool is_there;
	int64_t step, n_workers;
	char prefix[FTMPI_PATH_MAX]; /* path without the suffix */
};

/**
 * Look for the newest good checkpoint. Collective. @param path a file; NULL: that of the folder. @param store the chief's, open; NULL: look only.
 * @param reader set on the chief; NULL: none. Errors (agreed).
 */
ftmpi_status ftmpi__estimator_find(const ftmpi_estimator *estimator, const char *path, ftmpi_store *store,
				   struct ftmpi__found *found, ftmpi_reader **reader) FTMPI_CHECK_RESULT;

/** Logical workers for what was found. */
int ftmpi__estimator_workers(const ftmpi_estimator *estimator, const struct ftmpi__found *found);

#endif
