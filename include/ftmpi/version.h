/* SPDX-License-Identifier: Apache-2.0 */
/** @file Version of the library; the build takes it from here. */
#ifndef FTMPI_VERSION_H
#define FTMPI_VERSION_H

#define FTMPI_VERSION "0.1.0"

#endif
