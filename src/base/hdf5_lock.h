/* SPDX-License-Identifier: Apache-2.0 */
/* One lock for the HDF5 library, which is built without locks of its own: every use of it, in whatever layer, lies between the two. The library itself is
 * not needed here. */
#ifndef FTMPI_BASE_HDF5_LOCK_H
#define FTMPI_BASE_HDF5_LOCK_H

/** Wait until no other thread uses HDF5. Not to be entered twice by one thread. */
void ftmpi__hdf5_lock(void);
void ftmpi__hdf5_unlock(void);

#endif
