/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile files that HDF5's library can make. Include after unit_test.h. */
#ifndef FTMPI_TESTS_DAMAGE_HDF5_H
#define FTMPI_TESTS_DAMAGE_HDF5_H

#include <hdf5.h>
#include <stdio.h>
#include <string.h>

static inline void add_group(hid_t f, const char *path)
{
	const hid_t group = H5Gcreate2(f, path, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);

	assert_true(group >= 0 && H5Gclose(group) >= 0);
}

/** Groups nested deeper than checkpoints may be. */
static inline void add_deep_groups(hid_t f)
{
	char path[128] = "d";

	for (int i = 0; i < 40; i++) {
		add_group(f, path);
		(void)snprintf(path + strlen(path), sizeof path - strlen(path), "/d");
	}
}

/** Each of 20 groups has the next one twice: a million paths. */
static inline void add_shared_subtrees(hid_t f)
{
	char path[64] = "s", twin[80];

	add_group(f, path);
	for (int i = 0; i < 20; i++) {
		(void)snprintf(twin, sizeof twin, "%s/b", path);
		(void)snprintf(path + strlen(path), sizeof path - strlen(path), "/a");
		add_group(f, path);
		assert_true(H5Lcreate_hard(f, path, f, twin, H5P_DEFAULT, H5P_DEFAULT) >= 0);
	}
}

/** Let a function change a checkpoint file through HDF5. */
static inline void change_file(const char *file, void (*change)(hid_t file))
{
	const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
	hid_t f;

	assert_true(H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0);
	f = H5Fopen(file, H5F_ACC_RDWR, access);
	assert_true(f >= 0);
	change(f);
	assert_true(H5Fclose(f) >= 0 && H5Pclose(access) >= 0);
}

#endif
