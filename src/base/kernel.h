/* SPDX-License-Identifier: Apache-2.0 */
/* FTMPI_KERNEL: compile an elementwise function for several vector instruction sets and choose at load time.
 *
 * The choice changes no bit: every operation is a correctly rounded IEEE operation on one element (square root and division too), and
 * -ffp-contract=off keeps the compiler from fusing two of them where an instruction set has a fused one (avx512f does). Without
 * -ffast-math the compiler may not reorder a sum either, so a kernel may add rows to an array of column sums, row after row; but a sum
 * along the vector would stay scalar, and does not belong in a kernel.
 *
 * A kernel must be static: clang names the chosen version `f.ifunc`, so another file that calls `f` does not link. */
#ifndef FTMPI_BASE_KERNEL_H
#define FTMPI_BASE_KERNEL_H

#include <stdint.h> /* defines __GLIBC__ where it is; musl has no load-time resolver */

/* Sanitizers do not mix with the load-time resolver. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FTMPI_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define FTMPI_SANITIZED 1
#endif
#endif

#if defined(__x86_64__) && defined(__ELF__) && defined(__GNUC__) && defined(__GLIBC__) && !defined(FTMPI_SANITIZED)
#define FTMPI_KERNEL __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FTMPI_KERNEL
#endif

#endif
