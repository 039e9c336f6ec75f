/* SPDX-License-Identifier: Apache-2.0 */
/* The numeric environment: what the bits of a result depend on beside configuration, data and logical workers.
 *
 * BLAS kernels differ by library, version and core type; expf, tanhf and erff by C library; compilers may differ in what they do with a constant. So a
 * relaunch elsewhere can be told that it is not bit-exact, and why. */
#include <ftmpi/trainer.h>

#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>

/* Meaning of the numbers themselves: raised when ftmpi changes any arithmetic, order or random stream. */
enum { NUMERICS_VERSION = 1 };

#define STRINGIFY_(x) #x
#define STRINGIFY(x)  STRINGIFY_(x)

#if defined(__clang__)
#define COMPILER "clang " STRINGIFY(__clang_major__)
#elif defined(__GNUC__)
#define COMPILER "gcc " STRINGIFY(__GNUC__)
#else
#define COMPILER "unknown"
#endif

static void read_cpu(char *name, size_t name_bytes)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	(void)snprintf(name, name_bytes, "unknown");
	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		if (strncmp(line, "model name", 10) == 0 && strstr(line, ": ") != NULL) {
			(void)snprintf(name, name_bytes, "%.*s", (int)strcspn(strstr(line, ": ") + 2, "\n"),
				       strstr(line, ": ") + 2);
			break;
		}
	if (file != NULL)
		(void)fclose(file);
}

const char *ftmpi_numeric_environment(void)
{
	static _Thread_local char text[1024];
	char cpu[128];

	read_cpu(cpu, sizeof cpu);
	(void)snprintf(text, sizeof text,
		       "numerics = %d\nblas = %s\ncpu = %s\ncompiler = %s\nfp-contract = off\nlibc = glibc %s\n",
		       NUMERICS_VERSION, ftmpi_blas_description(), cpu, COMPILER, gnu_get_libc_version());
	return text;
}
