/* SPDX-License-Identifier: Apache-2.0 */
/* Names of parameters in a checkpoint, as Keras has them. */
#ifndef FTMPI_TRAIN_NAMES_H
#define FTMPI_TRAIN_NAMES_H

#include <ftmpi/model.h>
#include <ftmpi/registry.h>

/** Room for a path. */
enum { FTMPI__PATH_BYTES = 192 };

/** The groups of a model's layers, also of those without parameters. */
ftmpi_status ftmpi__register_groups(const ftmpi_model *model, ftmpi_registry *registry) FTMPI_CHECK_RESULT;

/** The parameters of a layout, in an arena. */
ftmpi_status ftmpi__register_params(const ftmpi_layout *layout, float *params,
				    ftmpi_registry *registry) FTMPI_CHECK_RESULT;

#endif
