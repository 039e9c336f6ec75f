/* SPDX-License-Identifier: Apache-2.0 */
/* HDF5's state is the process's, so its lock is too. */
#include "base/hdf5_lock.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void ftmpi__hdf5_lock(void)
{
	(void)pthread_mutex_lock(&lock);
}

void ftmpi__hdf5_unlock(void)
{
	(void)pthread_mutex_unlock(&lock);
}
