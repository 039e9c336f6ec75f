/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the shim: the calls (shim.c) on its log (shim_log.c). */
#ifndef FTMPI_TESTS_FAULT_SHIM_INSIDE_H
#define FTMPI_TESTS_FAULT_SHIM_INSIDE_H

#include "shim.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

/** Declare `real`, the function of this name that comes after this one. POSIX wants the copying. What is a call of the kernel is made as one. */
#define SHIM__REAL(name, type)                                                                                         \
	static __typeof__(type) *real;                                                                                 \
	if (real == NULL) {                                                                                            \
		void *symbol_ = dlsym(RTLD_NEXT, name);                                                                \
		memcpy(&real, &symbol_, sizeof real);                                                                  \
	}

/** The path of a name as the …at calls take it, relative to the root; false: it is not below it. "" is the root itself. */
bool shim__find_name(int at, const char *name, char relative[PATH_MAX]);
/** The same of an open file. */
bool shim__find_file(int fd, char relative[PATH_MAX]);
/** The number of an open file's inode. */
uint64_t shim__number_of(int fd);
/** Append a record in one call, so that those of several processes do not mix. Leaves errno alone. */
void shim__put(struct shim_record *record, const char *path, const char *to, const void *data, size_t n_bytes);

#endif
