/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a saver. */
#ifndef FTMPI_TRAIN_SAVER_H
#define FTMPI_TRAIN_SAVER_H

#include <ftmpi/saver.h>

/** The manager of its folder, from train_begin to detach. */
ftmpi_manager *ftmpi__saver_manager(ftmpi_saver *saver);

/** End a save in flight: it is announced, or a failure is dealt with. Collective. Errors (agreed): as ftmpi_manager_save_end, when the fit is to end with it; what a
 * listener returns. */
ftmpi_status ftmpi__saver_finish(ftmpi_saver *saver, ftmpi_fit *fit) FTMPI_CHECK_RESULT;

#endif
