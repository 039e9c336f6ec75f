/* SPDX-License-Identifier: Apache-2.0 */
/* To be preloaded: counts a process's requests for memory, and prints "allocations: N" on standard error at its end. */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_long n_allocations;

/* The C library's function of this name; a data pointer that becomes a function pointer, as POSIX has it. */
#define FIND(real, name)                                                                                               \
	do {                                                                                                           \
		atomic_fetch_add(&n_allocations, 1);                                                                   \
		*(void **)(&(real)) = dlsym(RTLD_NEXT, name);                                                          \
		if ((real) == NULL)                                                                                    \
			abort();                                                                                       \
	} while (0)

void *malloc(size_t size)
{
	void *(*real)(size_t);

	FIND(real, "malloc");
	return real(size);
}

void *realloc(void *ptr, size_t size)
{
	void *(*real)(void *, size_t);

	FIND(real, "realloc");
	return real(ptr, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	void *(*real)(size_t, size_t);

	FIND(real, "aligned_alloc");
	return real(alignment, size);
}

int posix_memalign(void **memptr, size_t alignment, size_t size)
{
	int (*real)(void **, size_t, size_t);

	FIND(real, "posix_memalign");
	return real(memptr, alignment, size);
}

__attribute__((destructor)) static void print_count(void)
{
	(void)fprintf(stderr, "allocations: %ld\n", atomic_load(&n_allocations));
}
