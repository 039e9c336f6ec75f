/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a registry: what the reader gets back, what HDF5's own library sees, and that the bytes depend on the registry alone. */
#include "unit/unit_test.h"

#include "ckpt/image.h"
#include "ckpt/vouch.h"
#include "ckpt_test.h"

#include <ftmpi/reader.h>
#include <hdf5.h>

static void save_image(const ftmpi_registry *registry, const char *file)
{
	ftmpi__image image = {0};

	assert_ok(ftmpi__image_build(registry, &image));
	write_bytes(file, image.data, image.n_bytes);
	ftmpi__image_clear(&image);
}

static void test_round_trip(void **state)
{
	sample out = {0}, in = {0};
	ftmpi_registry *r, *target;
	ftmpi_reader *reader = NULL;
	ftmpi_digest digest;

	(void)state;
	sample_fill(&out, 7);
	sample_fill(&in, 1);
	r = sample_register(&out);
	target = sample_register(&in);
	save_image(r, "a.weights.h5");
	assert_ok(ftmpi_reader_open("a.weights.h5", &reader));
	assert_int_equal(ftmpi_reader_n_variables(reader), SAMPLE_ENTRIES);
	assert_ok(ftmpi_reader_load(reader, target));
	assert_sample_equal(&out, &in);
	assert_ok(ftmpi_registry_state_digest(r, &digest));
	assert_true(ftmpi_digest_equal(digest, ftmpi_reader_state_digest(reader)));
	ftmpi_reader_close(&reader);
	assert_null(reader);
	ftmpi_registry_destroy(&r);
	ftmpi_registry_destroy(&target);
	sample_clear(&out);
	sample_clear(&in);
}

/* Three elements and two, of another array than the one that is registered. */
static void test_parts(void **state)
{
	const float whole[5] = {1, 2, 3, 4, 5}, front[3] = {1, 2, 3}, back[2] = {4, 5};
	float data[5] = {0}, plain[5];
	const int64_t five = 5;
	ftmpi_part parts[] = {{.data = front, .n_bytes = sizeof front},
			      {.data = back, .n_bytes = sizeof back, .owner = 2, .vouched = true}};
	ftmpi_registry *r = NULL, *other = NULL;
	ftmpi_reader *reader = NULL;
	ftmpi_digest digest, expected;

	(void)state;
	memcpy(plain, whole, sizeof plain);
	assert_ok(ftmpi_registry_create(&r));
	assert_ok(ftmpi_registry_create(&other));
	assert_ok(ftmpi_registry_add(r, "x", FTMPI_F32, 1, &five, data, FTMPI_STATE));
	assert_ok(ftmpi_registry_add(other, "x", FTMPI_F32, 1, &five, plain, FTMPI_STATE));
	assert_fails(ftmpi_registry_set_parts(r, "y", parts, 2), FTMPI_ERR_USAGE, "'y'");
	assert_fails(ftmpi_registry_set_parts(r, "x", parts, 1), FTMPI_ERR_USAGE, "12 bytes");
	assert_ok(ftmpi_registry_set_parts(r, "x", parts, 2));
	assert_fails(ftmpi_registry_write(r, "parts.weights.h5"), FTMPI_ERR_REPLICA,
		     "'x': the chief has other bits than rank 2");
	parts[1].digest = ftmpi_hash(back, sizeof back);
	assert_ok(ftmpi_registry_write(r, "parts.weights.h5"));
	assert_ok(ftmpi_registry_state_digest(r, &digest));
	assert_ok(ftmpi_registry_state_digest(other, &expected));
	assert_true(ftmpi_digest_equal(digest, expected));
	assert_ok(ftmpi_reader_open("parts.weights.h5", &reader));
	assert_true(ftmpi_digest_equal(ftmpi_reader_state_digest(reader), expected));
	assert_ok(ftmpi_reader_load(reader, r));
	assert_memory_equal(data, whole, sizeof whole);
	ftmpi_reader_close(&reader);
	ftmpi_registry_destroy(&other);
	ftmpi_registry_destroy(&r);
}

/* How the file of a snapshot fares when it comes in pieces of so many bytes. */
static ftmpi_status vouch_for(const ftmpi__snapshot *snapshot, const ftmpi__image *image, size_t piece_bytes,
			      ftmpi_digest *digest)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__vouch vouch;

	FTMPI_TRY(ftmpi__vouch_begin(&vouch, snapshot, image->n_bytes));
	for (size_t at = 0; at < image->n_bytes; at += piece_bytes) {
		const size_t left = image->n_bytes - at;

		FTMPI_TRY(ftmpi__vouch_take(&vouch, image->data + at, at, left < piece_bytes ? left : piece_bytes));
	}
	*digest = vouch.digest;
done:
	ftmpi__vouch_clear(&vouch);
	return status;
}

/* A byte of any array that is another than its digest says is found, whatever the pieces; the metadata are the reader's business. */
static void test_vouching(void **state)
{
	static const size_t pieces[] = {1, 7, 64, 1000, 1 << 20};
	sample s = {0};
	ftmpi_registry *r;
	ftmpi__snapshot snapshot = {0};
	ftmpi__image image;

	(void)state;
	sample_fill(&s, 5);
	r = sample_register(&s);
	assert_ok(ftmpi__snapshot_take(&snapshot, r, true));
	assert_ok(ftmpi__image_seal(&snapshot, &image));
	for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++) {
		ftmpi_digest digest = {0};

		assert_ok(vouch_for(&snapshot, &image, pieces[k], &digest));
		assert_true(ftmpi_digest_equal(digest, ftmpi_hash(image.data, image.n_bytes)));
		for (int i = 0; i < snapshot.n; i++) {
			uint8_t *bytes = ftmpi__snapshot_data(&snapshot) + snapshot.arrays[i].at;

			if (snapshot.arrays[i].n_bytes == 0)
				continue;
			bytes[snapshot.arrays[i].n_bytes - 1] ^= 1;
			assert_fails(vouch_for(&snapshot, &image, pieces[k], &digest), FTMPI_ERR_INTERNAL,
				     snapshot.rows[i].path);
			bytes[snapshot.arrays[i].n_bytes - 1] ^= 1;
		}
	}
	ftmpi__snapshot_clear(&snapshot);
	ftmpi_registry_destroy(&r);
	sample_clear(&s);
}

static void test_variables(void **state)
{
	sample s = {0};
	ftmpi_registry *r;
	ftmpi_reader *reader = NULL;
	const ftmpi_variable *v;
	ftmpi_buffer bytes = {0};
	ftmpi_buffer whole;
	double x;

	(void)state;
	sample_fill(&s, 4);
	r = sample_register(&s);
	save_image(r, "a.weights.h5");
	assert_ok(ftmpi_reader_open("a.weights.h5", &reader));
	assert_string_equal(ftmpi_reader_file(reader), "a.weights.h5");
	whole = read_bytes("a.weights.h5");
	assert_int_equal(ftmpi_reader_n_bytes(reader), whole.n_bytes);
	assert_true(ftmpi_digest_equal(ftmpi_reader_file_digest(reader), ftmpi_hash(whole.data, whole.n_bytes)));
	for (int i = 1; i < ftmpi_reader_n_variables(reader); i++)
		assert_true(strcmp(ftmpi_reader_variable(reader, i - 1)->path, ftmpi_reader_variable(reader, i)->path) <
			    0);
	v = ftmpi_reader_find(reader, "layers/dense/vars/0");
	assert_non_null(v);
	assert_int_equal(v->dtype, FTMPI_F32);
	assert_int_equal(v->kind, FTMPI_STATE);
	assert_int_equal(v->n_dims, 2);
	assert_int_equal(v->dims[0], 2);
	assert_int_equal(v->dims[1], 3);
	assert_int_equal(v->n_bytes, 24);
	assert_int_equal(ftmpi_reader_find(reader, "ftmpi/text")->kind, FTMPI_RECORD);
	assert_int_equal(ftmpi_reader_find(reader, "optimizer/vars/0")->n_dims, 0);
	assert_int_equal(ftmpi_reader_find(reader, "ftmpi/label")->n_bytes, 4);
	assert_int_equal(ftmpi_reader_find(reader, "ftmpi/empty_text")->dims[0], 0);
	assert_null(ftmpi_reader_find(reader, "ftmpi/digests/paths"));
	assert_fails(ftmpi_reader_read(reader, "absent", &x, 8), FTMPI_ERR_NOT_FOUND, "'a.weights.h5' has no 'absent'");
	assert_fails(ftmpi_reader_read(reader, "ftmpi/f64", &x, 8), FTMPI_ERR_DATA, "has 32 bytes, not 8");
	assert_ok(ftmpi_reader_read_buffer(reader, "ftmpi/text", &bytes));
	assert_buffer_equal(&bytes, &s.text);
	assert_ok(ftmpi_reader_read_buffer(reader, "ftmpi/empty_history", &bytes));
	assert_int_equal(bytes.n_bytes, 0);
	ftmpi_buffer_clear(&bytes);
	ftmpi_buffer_clear(&whole);
	ftmpi_reader_close(&reader);
	ftmpi_registry_destroy(&r);
	sample_clear(&s);
}

/* Fresh memory that holds other garbage each time must not show in the file. */
static void test_same_bytes(void **state)
{
	sample s = {0};
	ftmpi_registry *r, *again, *reversed = NULL;
	ftmpi_buffer a, b;

	(void)state;
	sample_fill(&s, 2);
	r = sample_register(&s);
	again = sample_register(&s);
	save_image(r, "a.weights.h5");
	a = read_bytes("a.weights.h5");
	for (int i = 0; i < 20; i++) {
		void *garbage = malloc((size_t)i * 1000 + 1);

		memset(garbage, 0xa0 + i, (size_t)i * 1000 + 1);
		free(garbage);
		save_image(i % 2 ? r : again, "b.weights.h5");
		b = read_bytes("b.weights.h5");
		assert_buffer_equal(&a, &b);
		ftmpi_buffer_clear(&b);
	}
	assert_ok(ftmpi_registry_create(&reversed));
	for (int i = SAMPLE_ENTRIES - 1; i >= 0; i--) {
		const ftmpi_entry *e = ftmpi_registry_entry(r, i);

		if (e->buffer != NULL)
			assert_ok(ftmpi_registry_add_buffer(reversed, e->path, e->dtype, e->buffer, e->kind));
		else
			assert_ok(
				ftmpi_registry_add(reversed, e->path, e->dtype, e->n_dims, e->dims, e->data, e->kind));
	}
	for (int i = ftmpi_registry_n_groups(r) - 1; i >= 0; i--) {
		const char *name, *path = ftmpi_registry_group(r, i, &name);

		assert_ok(ftmpi_registry_add_group(reversed, path, name));
	}
	save_image(reversed, "b.weights.h5");
	b = read_bytes("b.weights.h5");
	assert_buffer_equal(&a, &b);
	ftmpi_buffer_clear(&a);
	ftmpi_buffer_clear(&b);
	ftmpi_registry_destroy(&r);
	ftmpi_registry_destroy(&again);
	ftmpi_registry_destroy(&reversed);
	sample_clear(&s);
}

/* The whole of a dataset through HDF5's library. */
static void read_with_hdf5(hid_t file, const char *path, hid_t type, void *data)
{
	const hid_t dataset = H5Dopen2(file, path, H5P_DEFAULT);

	assert_true(dataset >= 0);
	assert_true(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
	assert_true(H5Dclose(dataset) >= 0);
}

static hid_t string_of(hid_t object, bool is_attribute)
{
	return is_attribute ? H5Aget_type(object) : H5Dget_type(object);
}

static void assert_attribute_text(hid_t file, const char *path, const char *name, const char *expected)
{
	const hid_t attribute = H5Aopen_by_name(file, path, name, H5P_DEFAULT, H5P_DEFAULT);
	hid_t type;
	char text[64] = "";

	assert_true(attribute >= 0);
	type = string_of(attribute, true);
	assert_true(H5Tget_size(type) < sizeof text);
	assert_true(H5Aread(attribute, type, text) >= 0);
	assert_string_equal(text, expected);
	assert_true(H5Tclose(type) >= 0 && H5Aclose(attribute) >= 0);
}

static void test_hdf5_sees_the_same(void **state)
{
	sample s = {0}, in = {0};
	ftmpi_registry *r;
	hid_t file, type, dataset;
	H5G_info_t info;
	ftmpi_buffer bytes;
	char text[64] = "";

	(void)state;
	sample_fill(&s, 9);
	r = sample_register(&s);
	save_image(r, "a.weights.h5");
	bytes = read_bytes("a.weights.h5");
	assert_memory_equal(bytes.data, "\x89HDF\r\n\x1a\n\x03\x08\x08\x00", 12); /* superblock 3, closed */
	ftmpi_buffer_clear(&bytes);
	file = H5Fopen("a.weights.h5", H5F_ACC_RDONLY, H5P_DEFAULT);
	assert_true(file >= 0);
	read_with_hdf5(file, "layers/dense/vars/0", H5T_NATIVE_FLOAT, in.kernel);
	assert_memory_equal(in.kernel, s.kernel, sizeof s.kernel);
	read_with_hdf5(file, "ftmpi/f64", H5T_NATIVE_DOUBLE, in.f64);
	assert_memory_equal(in.f64, s.f64, sizeof s.f64);
	read_with_hdf5(file, "ftmpi/i32", H5T_NATIVE_INT32, in.i32);
	assert_memory_equal(in.i32, s.i32, sizeof s.i32);
	read_with_hdf5(file, "optimizer/vars/0", H5T_NATIVE_INT64, &in.step);
	assert_int_equal(in.step, s.step);
	read_with_hdf5(file, "ftmpi/u8", H5T_NATIVE_UINT8, in.u8);
	assert_memory_equal(in.u8, s.u8, sizeof s.u8);
	read_with_hdf5(file, "ftmpi/u64", H5T_NATIVE_UINT64, in.u64);
	assert_true(in.u64[0] == s.u64[0]);
	dataset = H5Dopen2(file, "ftmpi/text", H5P_DEFAULT);
	type = string_of(dataset, false);
	assert_int_equal(H5Tget_cset(type), H5T_CSET_UTF8);
	read_with_hdf5(file, "ftmpi/text", type, text);
	assert_string_equal(text, s.text.data);
	assert_true(H5Tclose(type) >= 0 && H5Dclose(dataset) >= 0);
	assert_attribute_text(file, "layers/dense/vars", "name", "dense");
	assert_attribute_text(file, "vars", "name", "sequential");
	assert_true(H5Gget_info_by_name(file, "layers/flatten/vars", &info, H5P_DEFAULT) >= 0);
	assert_int_equal(info.nlinks, 0);
	assert_true(H5Gget_info_by_name(file, "layers/dense/vars", &info, H5P_DEFAULT) >= 0);
	assert_int_equal(info.nlinks, 1); /* Keras refuses any key of ours here */
	assert_true(H5Fclose(file) >= 0);
	ftmpi_registry_destroy(&r);
	sample_clear(&s);
}

/* A header in many pieces, and groups beyond what HDF5 keeps in a header by default. */
static void test_many_entries(void **state)
{
	enum { N = 3000 };
	static int64_t values[N];
	ftmpi_registry *r = NULL;
	ftmpi_reader *reader = NULL;
	char path[64];

	(void)state;
	assert_ok(ftmpi_registry_create(&r));
	for (int i = 0; i < N; i++) {
		values[i] = i;
		(void)snprintf(path, sizeof path, "group/a variable with a longer name %d", i);
		assert_ok(ftmpi_registry_add_scalar(r, path, FTMPI_I64, &values[i], FTMPI_STATE));
	}
	save_image(r, "a.weights.h5");
	assert_ok(ftmpi_reader_open("a.weights.h5", &reader));
	assert_int_equal(ftmpi_reader_n_variables(reader), N);
	memset(values, 0, sizeof values);
	assert_ok(ftmpi_reader_load(reader, r));
	for (int i = 0; i < N; i++)
		assert_int_equal(values[i], i);
	ftmpi_reader_close(&reader);
	ftmpi_registry_destroy(&r);
}

static void test_empty_registry(void **state)
{
	ftmpi_registry *r = NULL;
	ftmpi_reader *reader = NULL;

	(void)state;
	assert_ok(ftmpi_registry_create(&r));
	save_image(r, "a.weights.h5");
	assert_ok(ftmpi_reader_open("a.weights.h5", &reader));
	assert_int_equal(ftmpi_reader_n_variables(reader), 0);
	ftmpi_reader_close(&reader);
	ftmpi_registry_destroy(&r);
}

static void test_uneven_buffer(void **state)
{
	ftmpi_registry *r = NULL;
	ftmpi_buffer b = {0};
	ftmpi__image image = {0};

	(void)state;
	assert_ok(ftmpi_buffer_resize(&b, 9));
	assert_ok(ftmpi_registry_create(&r));
	assert_ok(ftmpi_registry_add_buffer(r, "x", FTMPI_F64, &b, FTMPI_STATE));
	assert_fails(ftmpi__image_build(r, &image), FTMPI_ERR_USAGE, "'x': 9 bytes are not a whole number of float64");
	assert_null(image.data);
	ftmpi_registry_destroy(&r);
	ftmpi_buffer_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vouching),      cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_parts),         cmocka_unit_test(test_variables),
		cmocka_unit_test(test_same_bytes),    cmocka_unit_test(test_hdf5_sees_the_same),
		cmocka_unit_test(test_many_entries),  cmocka_unit_test(test_empty_registry),
		cmocka_unit_test(test_uneven_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
