/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged and hostile files: flipped bits, cuts, garbage, files that HDF5 finds good but ftmpi did not write, and headers forged with
 * right checksums. A file is refused with ERR_DATA, or what is read from it is bit for bit what was saved. */
#include "unit/unit_test.h"

#include "ckpt/image.h"
#include "ckpt/reader_inside.h"
#include "ckpt_test.h"
#include "damage.h"
#include "damage_hdf5.h"

/* One saved sample for all tests, and another to load into. */
static struct fixture {
	sample saved, loaded;
	ftmpi_registry *source, *target;
	ftmpi__image image;
} fixture;

static int set_up(void **state)
{
	(void)state;
	sample_fill(&fixture.saved, 6);
	sample_fill(&fixture.loaded, 1);
	fixture.source = sample_register(&fixture.saved);
	fixture.target = sample_register(&fixture.loaded);
	assert_ok(ftmpi__image_build(fixture.source, &fixture.image));

	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ftmpi__image_clear(&fixture.image);
	ftmpi_registry_destroy(&fixture.source);
	ftmpi_registry_destroy(&fixture.target);
	sample_clear(&fixture.saved);
	sample_clear(&fixture.loaded);
	return 0;
}

/* A copy of the image that ends with its memory, so that reading beyond it is seen. */
static uint8_t *copy_image(size_t n_bytes)
{
	uint8_t *copy = malloc(n_bytes + (n_bytes == 0));

	assert_non_null(copy);
	memcpy(copy, fixture.image.data, n_bytes);
	return copy;
}

/* True when the bytes were refused. Else what was loaded must be what was saved. */
static bool is_refused(const uint8_t *bytes, size_t n_bytes)
{
	ftmpi_reader *reader = NULL;
	const ftmpi_status status = ftmpi__reader_open_bytes(bytes, n_bytes, "x", false, &reader);

	if (status != FTMPI_OK) {
		assert_int_equal(status, FTMPI_ERR_DATA);
		assert_null(reader);
		return true;
	}
	memset(fixture.loaded.kernel, 0, sizeof fixture.loaded.kernel);
	assert_ok(ftmpi_reader_load(reader, fixture.target));
	assert_sample_equal(&fixture.saved, &fixture.loaded);
	ftmpi_reader_close(&reader);
	return false;
}

/* Every byte of the file, one bit each. What passes is in gaps that HDF5 may leave between objects (1.10.8 leaves none), and changes nothing. */
static void test_flips(void **state)
{
	const size_t n = fixture.image.n_bytes;
	uint8_t *copy = copy_image(n);
	size_t n_passed = 0;

	(void)state;
	assert_false(is_refused(copy, n));
	for (size_t i = 0; i < n; i++) {
		copy[i] ^= (uint8_t)(1u << (i % 8));
		n_passed += !is_refused(copy, n);
		copy[i] ^= (uint8_t)(1u << (i % 8));
	}
	print_message("%zu of %zu flipped bits change nothing of what is read\n", n_passed, n);
	assert_true(n_passed <= n / 100);
	free(copy);
}

static void test_cuts(void **state)
{
	(void)state;
	for (size_t n = 0; n < fixture.image.n_bytes; n += n < 100 ? 1 : 13) {
		uint8_t *copy = copy_image(n);

		assert_true(is_refused(copy, n));
		free(copy);
	}
}

/* A file of full length whose tail, or a page of it, was never written. */
static void test_zeroed_pages(void **state)
{
	const size_t n = fixture.image.n_bytes;

	(void)state;
	for (size_t at = 0; at < n; at += 512) {
		uint8_t *copy = copy_image(n);

		memset(copy + at, 0, n - at < 512 ? n - at : 512);
		(void)is_refused(copy, n);
		memset(copy + at, 0, n - at);
		assert_true(is_refused(copy, n) || memcmp(copy, fixture.image.data, n) == 0);
		free(copy);
	}
}

static void test_garbage(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (int i = 0; i < 200; i++) {
		const size_t n = draw(&seed) % 3000, keep = i % 2 ? FTMPI__HDF5_START_BYTES : 0;
		uint8_t *bytes = malloc(n + 64);

		assert_non_null(bytes);
		for (size_t j = 0; j < n; j++)
			bytes[j] = (uint8_t)draw(&seed);
		if (n > keep)
			memcpy(bytes, fixture.image.data, keep);
		assert_true(is_refused(bytes, n));
		free(bytes);
	}
}

/* Forged headers: some bytes are changed, and the checksum is right again. */
static void test_forged_headers(void **state)
{
	enum { MAX_HEADERS = 100, ROUNDS = 20000 };
	const size_t n = fixture.image.n_bytes;
	size_t starts[MAX_HEADERS], ends[MAX_HEADERS], n_headers = 0;
	uint8_t *copy = copy_image(n);
	uint64_t seed = 2;
	int n_passed = 0;

	(void)state;
	for (size_t at = 0; at < n && n_headers < MAX_HEADERS; at++)
		if (find_header(copy, n, at, &ends[n_headers]))
			starts[n_headers++] = at;
	if (n_headers < SAMPLE_ENTRIES || n_headers == MAX_HEADERS) {
		free(copy);
		fail_msg("%zu headers", n_headers);
		return;
	}
	for (int i = 0; i < ROUNDS; i++) {
		const size_t h = draw(&seed) % n_headers, length = ends[h] - starts[h];

		memcpy(copy, fixture.image.data, n);
		for (uint32_t j = draw(&seed) % 3 + 1; j > 0; j--)
			copy[starts[h] + 4 + draw(&seed) % (length - 4)] = (uint8_t)draw(&seed);
		seal(copy, starts[h], ends[h]);
		n_passed += !is_refused(copy, n);
	}
	print_message("%d of %d forged headers change nothing of what is read\n", n_passed, ROUNDS);
	assert_in_range(n_passed, 1, ROUNDS * 3 / 4); /* most of a header is room for attributes */
	free(copy);
}

/* The header of layers/dense/vars/0, which has the shape [2, 3]. */
static void find_kernel(const uint8_t *bytes, size_t *start, size_t *end)
{
	static const uint8_t shape[] = {2, 2, 1, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0};
	const size_t n = fixture.image.n_bytes;

	for (*start = 0; *start < n; ++*start)
		if (find_header(bytes, n, *start, end) &&
		    memmem(bytes + *start, *end - *start, shape, sizeof shape) != NULL)
			return;
	fail_msg("no header with the shape [2, 3]");
}

/* Numbers in a header that are absurd, under a right checksum. */
static void test_absurd_numbers(void **state)
{
	static const struct {
		const char *what;
		size_t after_bytes, at;
		const char *message;
		uint8_t after[6]; /* what the bytes that are changed come behind */
		uint8_t value;
	} cases[] = {
		{"rank", 5, 0, "a shape that checkpoints do not have", {1, 0x24, 0, 0, 2}, 9},
		{"kind of shape", 6, 1, "a shape that checkpoints do not have", {1, 0x24, 0, 0, 2, 2}, 2},
		{"dimension", 4, 5, "more data than the file holds", {2, 2, 1, 1}, 1},
		{"product that overflows", 4, 7, "more data than the file holds", {2, 2, 1, 1}, 0x7f},
		{"negative dimension", 4, 7, "an absurd dimension", {2, 2, 1, 1}, 0x80},
		{"address", 6, 3, "data beyond the end of the file", {8, 0x12, 0, 1, 4, 1}, 1},
		{"address that overflows", 6, 7, "data beyond the end of the file", {8, 0x12, 0, 1, 4, 1}, 0xff},
		{"length of the data", 6, 8, "data beyond the end of the file", {8, 0x12, 0, 1, 4, 1}, 25},
		{"class of the layout", 5, 0, "storage that is not contiguous", {8, 0x12, 0, 1, 4}, 2},
		{"message length", 2, 0, "a message beyond the end of its header", {8, 0x12}, 0x7f},
		{"shared message", 3, 0, "a shared message", {8, 0x12, 0}, 2},
		{"continuation", 0, 0, "a header beyond the end of the file", {8, 0x12, 0, 1}, 0x10},
	};
	const size_t n = fixture.image.n_bytes;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const size_t after_bytes = cases[i].after_bytes > 0 ? cases[i].after_bytes : 4;
		uint8_t *copy = copy_image(n), *at;
		size_t start, end = 0;
		ftmpi_reader *reader = NULL;

		print_message("%s\n", cases[i].what);
		find_kernel(copy, &start, &end);
		at = memmem(copy + start, end - start, cases[i].after, after_bytes);
		assert_non_null(at);
		at[cases[i].after_bytes + cases[i].at] = cases[i].value;
		seal(copy, start, end);
		assert_fails(ftmpi__reader_open_bytes(copy, n, "x", false, &reader), FTMPI_ERR_DATA, cases[i].message);
		free(copy);
	}
}

/* What HDF5's library can make of a checkpoint. */
static void add_soft_link(hid_t f)
{
	assert_true(H5Lcreate_soft("/vars", f, "soft", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void add_external_link(hid_t f)
{
	assert_true(H5Lcreate_external("other.h5", "/", f, "external", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void add_cycle(hid_t f)
{
	assert_true(H5Lcreate_hard(f, "/", f, "layers/dense/loop", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void add_second_link(hid_t f)
{
	assert_true(H5Lcreate_hard(f, "layers", f, "again", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void add_dataset(hid_t f, const char *path, hid_t type, int n_dims, hid_t properties)
{
	const hsize_t dims[9] = {4, 1, 1, 1, 1, 1, 1, 1, 1};
	const hid_t space = H5Screate_simple(n_dims, dims, NULL);
	const hid_t dataset = H5Dcreate2(f, path, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
	const double zeros[4] = {0};

	assert_true(dataset >= 0);
	assert_true(H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros) >= 0);
	assert_true(H5Dclose(dataset) >= 0 && H5Sclose(space) >= 0);
}

static void add_unknown_dataset(hid_t f)
{
	add_dataset(f, "unknown", H5T_IEEE_F32LE, 1, H5P_DEFAULT);
}

static void add_big_endian(hid_t f)
{
	add_dataset(f, "big", H5T_IEEE_F32BE, 1, H5P_DEFAULT);
}

static void add_nine_dimensions(hid_t f)
{
	add_dataset(f, "nine", H5T_IEEE_F32LE, 9, H5P_DEFAULT);
}

static void add_to_digests(hid_t f)
{
	add_dataset(f, "ftmpi/digests/more", H5T_IEEE_F32LE, 1, H5P_DEFAULT);
}

static void add_chunked(hid_t f)
{
	const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
	const hsize_t chunk = 2;

	assert_true(H5Pset_chunk(properties, 1, &chunk) >= 0);
	add_dataset(f, "chunked", H5T_IEEE_F32LE, 1, properties);
	assert_true(H5Pclose(properties) >= 0);
}

static void add_compact(hid_t f)
{
	const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);

	assert_true(H5Pset_layout(properties, H5D_COMPACT) >= 0);
	add_dataset(f, "compact", H5T_IEEE_F32LE, 1, properties);
	assert_true(H5Pclose(properties) >= 0);
}

static void add_external_data(hid_t f)
{
	const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);

	assert_true(H5Pset_external(properties, "data.bin", 0, 16) >= 0);
	add_dataset(f, "outside", H5T_IEEE_F32LE, 1, properties);
	assert_true(H5Pclose(properties) >= 0);
}

static void add_named_type(hid_t f)
{
	const hid_t type = H5Tcopy(H5T_IEEE_F32LE);

	assert_true(H5Tcommit2(f, "type", type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT) >= 0);
	assert_true(H5Tclose(type) >= 0);
}

static void add_large_group(hid_t f)
{
	char path[32];

	add_group(f, "large");
	for (int i = 0; i < 20; i++) {
		(void)snprintf(path, sizeof path, "large/%d", i);
		add_group(f, path);
	}
}

static void remove_dataset(hid_t f)
{
	assert_true(H5Ldelete(f, "ftmpi/u8", H5P_DEFAULT) >= 0);
}

static void rename_dataset(hid_t f)
{
	assert_true(H5Lmove(f, "ftmpi/u8", f, "ftmpi/u9", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void swap_datasets(hid_t f)
{
	assert_true(H5Lmove(f, "optimizer/vars/0", f, "x", H5P_DEFAULT, H5P_DEFAULT) >= 0);
	assert_true(H5Lmove(f, "optimizer/vars/1", f, "optimizer/vars/0", H5P_DEFAULT, H5P_DEFAULT) >= 0);
	assert_true(H5Lmove(f, "x", f, "optimizer/vars/1", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void change_data(hid_t f)
{
	const hid_t dataset = H5Dopen2(f, "layers/dense/vars/0", H5P_DEFAULT);
	const float zeros[6] = {0};

	assert_true(H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros) >= 0);
	assert_true(H5Dclose(dataset) >= 0);
}

static void change_kinds(hid_t f)
{
	const hid_t dataset = H5Dopen2(f, "ftmpi/digests/kinds", H5P_DEFAULT);
	const uint8_t records[SAMPLE_ENTRIES] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

	assert_true(H5Dwrite(dataset, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, records) >= 0);
	assert_true(H5Dclose(dataset) >= 0);
}

/* HDF5 1.10.8 cannot write to an attribute that was opened by the name of its object. */
static void set_attribute(hid_t f, const char *path, const char *name, const void *value)
{
	const hid_t group = H5Gopen2(f, path, H5P_DEFAULT);
	const hid_t attribute = H5Aopen(group, name, H5P_DEFAULT), type = H5Aget_type(attribute);

	assert_true(H5Awrite(attribute, type, value) >= 0);
	assert_true(H5Tclose(type) >= 0 && H5Aclose(attribute) >= 0 && H5Gclose(group) >= 0);
}

static void set_version(hid_t f, int32_t version)
{
	set_attribute(f, "ftmpi", "format_version", &version);
}

static void set_newer_version(hid_t f)
{
	set_version(f, 2);
}

static void set_absurd_version(hid_t f)
{
	set_version(f, -1);
}

static void remove_version(hid_t f)
{
	assert_true(H5Adelete_by_name(f, "ftmpi", "format_version", H5P_DEFAULT) >= 0);
}

static void change_state_digest(hid_t f)
{
	set_attribute(f, "ftmpi/digests", "state_xxh3_128", "00000000000000000000000000000000");
}

static void remove_table(hid_t f)
{
	assert_true(H5Ldelete(f, "ftmpi/digests/kinds", H5P_DEFAULT) >= 0);
}

static void change_nothing(hid_t f)
{
	(void)f;
}

static void test_files_of_hdf5(void **state)
{
	static const struct {
		const char *what;
		void (*change)(hid_t file);
		const char *message; /* NULL: the file is still good */
	} cases[] = {
		{"nothing", change_nothing, NULL},
		{"soft link", add_soft_link, "'/' has a soft or external link"},
		{"external link", add_external_link, "'/' has a soft or external link"},
		{"cycle", add_cycle, "an object that is linked twice"},
		{"second link", add_second_link, "an object that is linked twice"},
		{"shared subtrees", add_shared_subtrees, "an object that is linked twice"},
		{"unknown dataset", add_unknown_dataset, "another number of arrays than its table"},
		{"big-endian", add_big_endian, "'/big' has a type that checkpoints do not have"},
		{"nine dimensions", add_nine_dimensions, "'/nine' has a shape that checkpoints do not have"},
		{"among the digests", add_to_digests, "does not belong among the digests: 'ftmpi/digests/more'"},
		{"chunked", add_chunked, "'/chunked' has storage that is not contiguous"},
		{"compact", add_compact, "'/compact' has storage that is not contiguous"},
		{"data elsewhere", add_external_data, "'/outside' has data in another file"},
		{"named type", add_named_type, "'/type' has neither links nor data"},
		{"large group", add_large_group, "'/large' has links outside the header"},
		{"deep groups", add_deep_groups, "groups nested too deep"},
		{"removed dataset", remove_dataset, "another number of arrays than its table"},
		{"renamed dataset", rename_dataset, "has no digest for, or no 'ftmpi/u8'"},
		{"swapped datasets", swap_datasets, "is damaged: bytes, type or shape do not match the digest of"},
		{"changed data", change_data, "do not match the digest of 'layers/dense/vars/0'"},
		{"changed kinds", change_kinds, "does not match its own digest"},
		{"changed state digest", change_state_digest, "a state digest that does not match"},
		{"newer version", set_newer_version,
		 "has format version 2, this ftmpi reads up to 1: use a newer ftmpi"},
		{"absurd version", set_absurd_version, "has an absurd 'ftmpi@format_version'"},
		{"no version", remove_version, "is not a checkpoint of ftmpi"},
		{"no table", remove_table, "has no table of digests"},
	};
	ftmpi_reader *reader = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		print_message("%s\n", cases[i].what);
		write_bytes("x.weights.h5", fixture.image.data, fixture.image.n_bytes);
		change_file("x.weights.h5", cases[i].change);
		if (cases[i].message == NULL)
			assert_ok(ftmpi_reader_open("x.weights.h5", &reader));
		else
			assert_fails(ftmpi_reader_open("x.weights.h5", &reader), FTMPI_ERR_DATA, cases[i].message);
		ftmpi_reader_close(&reader);
	}
}

/* Files that other programs write, and one whose writer died. */
static void test_other_superblocks(void **state)
{
	const size_t n = fixture.image.n_bytes;
	uint8_t *copy = copy_image(n);
	ftmpi_reader *reader = NULL;
	const hid_t f = H5Fcreate("old.weights.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);

	(void)state;
	add_unknown_dataset(f);
	assert_true(H5Fclose(f) >= 0);
	assert_fails(ftmpi_reader_open("old.weights.h5", &reader), FTMPI_ERR_DATA,
		     "is an HDF5 file, but not a checkpoint that ftmpi wrote (superblock)");
	copy[11] = 1; /* open for writing */
	seal(copy, 0, FTMPI__HDF5_START_BYTES - 4);
	assert_fails(ftmpi__reader_open_bytes(copy, n, "x", false, &reader), FTMPI_ERR_DATA,
		     "'x' was not closed by the program");
	copy[11] = 0;
	copy[12] = 8; /* base address */
	seal(copy, 0, FTMPI__HDF5_START_BYTES - 4);
	assert_fails(ftmpi__reader_open_bytes(copy, n, "x", false, &reader), FTMPI_ERR_DATA, "(offset)");
	copy[12] = 0;
	copy[40] = 0xff; /* root group beyond the end */
	seal(copy, 0, FTMPI__HDF5_START_BYTES - 4);
	assert_fails(ftmpi__reader_open_bytes(copy, n, "x", false, &reader), FTMPI_ERR_DATA, "a header beyond the end");
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flips),          cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_zeroed_pages),   cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_forged_headers), cmocka_unit_test(test_absurd_numbers),
		cmocka_unit_test(test_files_of_hdf5),  cmocka_unit_test(test_other_superblocks),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
