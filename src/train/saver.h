/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a saver. */
#ifndef FTMPI_TRAIN_SAVER_H
#define FTMPI_TRAIN_SAVER_H

#include <ftmpi/saver.h>

/** The manager of its folder, from train_begin to detach. */
ftmpi_manager *ftmpi__saver_manager(ftmpi_saver *saver);

#endif
