/* SPDX-License-Identifier: Apache-2.0 */
/** @file Visibility of the public functions (everything else is hidden in the shared library), and their linkage in C++. */
#ifndef FTMPI_EXPORT_H
#define FTMPI_EXPORT_H

#if defined(__GNUC__)
#define FTMPI_API __attribute__((visibility("default")))
#else
#define FTMPI_API
#endif

/** Around the declarations of a header, so that C++ programs link them. */
#ifdef __cplusplus
#define FTMPI_BEGIN_DECLS extern "C" {
#define FTMPI_END_DECLS   }
#else
#define FTMPI_BEGIN_DECLS
#define FTMPI_END_DECLS
#endif

#endif
