/* SPDX-License-Identifier: Apache-2.0 */
/* Files that Keras made: weights and optimizer state to the last bit; files that cannot be right; and files for Keras. */
#include "unit/unit_test.h"

#include "keras/archive.h"
#include "keras_test.h"

#include <zip.h>

enum { ITERATION = 7 };

/* Element i of the optimizer's variable k, of a layer's variable k: make_fixtures.py has the rule. */
static float slot_value(int k, int64_t i)
{
	return (float)-k - (float)i / 64;
}

static float weight_value(int n_dense, int k, int64_t i)
{
	return (float)(10 * n_dense + k) + (float)i / 64;
}

static void assert_weights(const keras_state *s)
{
	const ftmpi_layout *layout = ftmpi_model_layout(s->model);

	for (int p = 0; p < layout->n_params; p++)
		for (int64_t i = 0; i < layout->params[p].n_elements; i++)
			assert_true(s->params[layout->params[p].offset + i] == weight_value(p / 2 + 1, p % 2, i));
}

static void assert_optimizer(const keras_state *s)
{
	const ftmpi_layout *layout = ftmpi_model_layout(s->model);
	const int n = ftmpi_optimizer_n_slots(&s->compile.optimizer) * layout->n_params;

	assert_int_equal(s->iteration, ITERATION);
	assert_true(s->learning_rate == (float)s->compile.optimizer.learning_rate);
	for (int k = 0; k < n; k++) {
		int slot, p;

		ftmpi_optimizer_keras_entry(&s->compile.optimizer, layout->n_params, k, &slot, &p);
		for (int64_t i = 0; i < layout->params[p].n_elements; i++)
			assert_true(s->slots[slot][layout->params[p].offset + i] == slot_value(k + 2, i));
	}
	if (s->compile.optimizer.kind == FTMPI_NADAM)
		assert_true(s->u_product == slot_value(n + 2, 0));
}

static void test_weights(void **state)
{
	static const char *const names[] = {"adam.keras",       "sgd.keras",        "nadam.keras",
					    "functional.keras", "regression.keras", "keras_3_0.keras",
					    "chunked.keras",    "growable.keras",   "iteration_int32.keras"};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		keras_state s;
		bool optimizer_loaded = false;

		print_message("%s\n", names[i]);
		assert_ok(keras_state_open(&s, fixture(names[i])));
		assert_true(ftmpi_keras_has_weights(s.keras));
		s.learning_rate = 5;
		assert_ok(ftmpi_keras_load_weights(s.keras, s.registry, &optimizer_loaded));
		assert_true(optimizer_loaded);
		assert_weights(&s);
		assert_optimizer(&s);
		keras_state_clear(&s);
	}
}

/* What cannot be read is named, and nothing is written before everything has been looked at. */
static void test_bad_weights(void **state)
{
	static const struct {
		const char *name, *says;
	} files[] = {
		{"bad_soft.keras", "layers/dense_1/vars/0 has only a soft link"},
		{"bad_external_link.keras", "'/layers/dense_1/vars' has links of another kind than h5py's default"},
		{"bad_external_data.keras", "layers/dense_1/vars/0 has data in another file"},
		{"bad_big_endian.keras",
		 "layers/dense_1/vars/0 has a type that is not supported: numbers must be little-endian"},
		{"bad_half.keras", "layers/dense_1/vars/0 has a type that is not supported"},
		{"bad_transposed.keras", "layers/dense_1/vars/0 is float32[3, 5], the model's is float32[5, 3]"},
		{"bad_missing.keras", "has no layers/dense_1/vars/0"},
		{"bad_surplus.keras", "has weights that the model does not have: layers/dense_1/vars/2"},
		{"bad_lzf.keras", "layers/dense_1/vars/0 has a filter that is not supported: only gzip"},
		{"bad_sparse_chunks.keras", "'/layers/dense_1/vars/0' has chunks that are missing"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		keras_state s;
		bool optimizer_loaded = true;
		ftmpi_digest before, after;

		assert_ok(keras_state_open(&s, fixture(files[i].name)));
		assert_ok(ftmpi_registry_state_digest(s.registry, &before));
		assert_fails(ftmpi_keras_load_weights(s.keras, s.registry, &optimizer_loaded), FTMPI_ERR_DATA,
			     files[i].says);
		assert_ok(ftmpi_registry_state_digest(s.registry, &after));
		assert_true(ftmpi_digest_equal(before, after));
		assert_true(optimizer_loaded);
		keras_state_clear(&s);
	}
}

/* The optimizer of the file is another one, or keeps other slots: its state is left out, the weights are not. */
static void test_other_optimizer(void **state)
{
	static const ftmpi_optimizer_kind kinds[] = {FTMPI_SGD, FTMPI_RMSPROP, FTMPI_NADAM, FTMPI_ADAMW};

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		keras_state source = {0}, s = {0};
		bool optimizer_loaded = true;
		char *text;
		ftmpi_buffer json = {0};

		assert_ok(keras_state_open(&source, fixture("adam.keras")));
		ftmpi_optimizer_init(&source.compile.optimizer, kinds[i]);
		assert_ok(ftmpi_keras_format(source.model, &source.compile, &json));
		text = edited(json.data, "\"ftmpi\"", "\"x\"");
		assert_ok(ftmpi_keras_parse(text, strlen(text), "x", &s.keras));
		assert_ok(keras_state_create(&s));
		assert_ok(ftmpi_keras_load_weights(source.keras, s.registry, &optimizer_loaded));
		assert_false(optimizer_loaded);
		assert_weights(&s);
		assert_int_equal(s.iteration, 0);
		free(text);
		ftmpi_buffer_clear(&json);
		keras_state_clear(&source);
		keras_state_clear(&s);
	}
}

static void test_entries_of_others_stay(void **state)
{
	keras_state s;
	int64_t mine = 5;
	bool optimizer_loaded = false;

	(void)state;
	assert_ok(keras_state_open(&s, fixture("adam.keras")));
	assert_ok(ftmpi_registry_add_scalar(s.registry, "ftmpi/epoch", FTMPI_I64, &mine, FTMPI_STATE));
	assert_ok(ftmpi_keras_load_weights(s.keras, s.registry, &optimizer_loaded));
	assert_int_equal(mine, 5);
	assert_weights(&s);
	keras_state_clear(&s);
}

static void test_text_alone(void **state)
{
	keras_state s;
	bool optimizer_loaded = false;

	(void)state;
	assert_ok(keras_state_open(&s, fixture("sequential.json")));
	assert_false(ftmpi_keras_has_weights(s.keras));
	assert_fails(ftmpi_keras_load_weights(s.keras, s.registry, &optimizer_loaded), FTMPI_ERR_DATA,
		     "has no weights");
	keras_state_clear(&s);
}

static void test_not_models(void **state)
{
	ftmpi_keras_model *keras = NULL;
	ftmpi_buffer big = {0};

	(void)state;
	assert_fails(ftmpi_keras_open("nothing.keras", &keras), FTMPI_ERR_NOT_FOUND, "'nothing.keras'");
	assert_fails(ftmpi_keras_open(".", &keras), FTMPI_ERR_DATA, "'.' is not a regular file");
	write_text("empty.keras", "");
	assert_fails(ftmpi_keras_open("empty.keras", &keras), FTMPI_ERR_DATA, "'empty.keras': not the JSON of a model");
	write_text("zip.keras", "PK\3\4");
	assert_fails(ftmpi_keras_open("zip.keras", &keras), FTMPI_ERR_DATA,
		     "'zip.keras' is no ZIP archive, or damaged");
	write_text("old.h5", "\x89HDF\r\n\x1a\n");
	assert_fails(ftmpi_keras_open("old.h5", &keras), FTMPI_ERR_DATA, "'old.h5' is an HDF5 file");
	assert_ok(ftmpi_buffer_resize(&big, 5 << 20));
	write_bytes("big.json", big.data, big.n_bytes);
	assert_fails(ftmpi_keras_open("big.json", &keras), FTMPI_ERR_DATA,
		     "'big.json' is neither a .keras archive nor");
	ftmpi_buffer_clear(&big);
	assert_null(keras);
}

/* Put members into an archive, packed. */
static void pack(const char *file, const ftmpi__member *members, int n, int method)
{
	int error;
	zip_t *zip = zip_open(file, ZIP_CREATE | ZIP_TRUNCATE, &error);

	assert_non_null(zip);
	for (int i = 0; i < n; i++) {
		zip_source_t *source = zip_source_buffer(zip, members[i].data, members[i].n_bytes, 0);
		const zip_int64_t index = zip_file_add(zip, members[i].name, source, 0);

		assert_true(index >= 0);
		assert_int_equal(zip_set_file_compression(zip, (zip_uint64_t)index, method, 0), 0);
	}
	assert_int_equal(zip_close(zip), 0);
}

/* Little data that unpacks to much is refused before memory is taken for it. */
static void test_bombs(void **state)
{
	ftmpi_buffer zeros = {0}, json = read_bytes(fixture("sequential.json"));
	ftmpi_keras_model *keras = NULL;
	ftmpi__member members[] = {{"config.json", json.data, json.n_bytes}, {"model.weights.h5", NULL, 0}};

	(void)state;
	assert_ok(ftmpi_buffer_resize(&zeros, 64 << 20));
	pack("bomb.keras", &(ftmpi__member){"config.json", zeros.data, zeros.n_bytes}, 1, ZIP_CM_DEFLATE);
	assert_fails(ftmpi_keras_open("bomb.keras", &keras), FTMPI_ERR_DATA,
		     "config.json would unpack to 67108864 bytes where at most 4194304 can be right");
	members[1].data = zeros.data;
	members[1].n_bytes = zeros.n_bytes;
	pack("bomb.keras", members, 2, ZIP_CM_DEFLATE);
	assert_fails(ftmpi_keras_open("bomb.keras", &keras), FTMPI_ERR_DATA,
		     "model.weights.h5 would unpack to 67108864 bytes where at most");
	pack("none.keras", members + 1, 1, ZIP_CM_DEFLATE);
	assert_fails(ftmpi_keras_open("none.keras", &keras), FTMPI_ERR_DATA,
		     "'none.keras' has no config.json: it is not a model that Keras saved");
	members[1].n_bytes = 1000;
	pack("bzip2.keras", members, 2, ZIP_CM_BZIP2);
	assert_fails(ftmpi_keras_open("bzip2.keras", &keras), FTMPI_ERR_DATA,
		     "config.json is compressed by a method that is not supported (12)");
	assert_null(keras);
	ftmpi_buffer_clear(&zeros);
	ftmpi_buffer_clear(&json);
}

/* A short archive that says of its last member that it unpacks to 3.9 GB, and a model that would have as many weights. */
static void test_claims(void **state)
{
	enum { LOCAL_SIZE = 22, CENTRAL_SIZE = 24 };
	static const uint8_t size[] = {0x00, 0x47, 0x75, 0xe8};
	static const int methods[] = {ZIP_CM_DEFLATE, ZIP_CM_STORE};
	ftmpi_buffer text = read_bytes(fixture("sequential.json"));
	char *large = edited(text.data, "\"units\": 5", "\"units\": 400000000");
	ftmpi__member members[] = {{"config.json", large, strlen(large)}, {"model.weights.h5", text.data, 1000}};
	ftmpi_keras_model *keras = NULL;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		ftmpi_buffer file;

		pack("claims.keras", members, 2, methods[i]);
		file = read_bytes("claims.keras");
		for (size_t at = file.n_bytes - 4, n_left = 2; n_left > 0; at--) /* the last of each comes first */
			if (memcmp(file.data + at, n_left == 2 ? "PK\1\2" : "PK\3\4", 4) == 0)
				memcpy(file.data + at + (n_left-- == 2 ? CENTRAL_SIZE : LOCAL_SIZE), size, sizeof size);
		write_bytes("claims.keras", file.data, file.n_bytes);
		assert_fails(ftmpi_keras_open("claims.keras", &keras), FTMPI_ERR_DATA,
			     "model.weights.h5 would unpack to 3900000000 bytes where at most");
		ftmpi_buffer_clear(&file);
	}
	assert_null(keras);
	ftmpi_buffer_clear(&text);
	free(large);
}

/* Weights in another form than HDF5's, which Keras can write too, are not taken for none. */
static void test_no_weights(void **state)
{
	ftmpi_buffer json = read_bytes(fixture("sequential.json"));
	const ftmpi__member members[] = {{"config.json", json.data, json.n_bytes}, {"model.weights.npz", "PK", 2}};
	ftmpi_keras_model *keras = NULL;

	(void)state;
	pack("npz.keras", members, 2, ZIP_CM_STORE);
	assert_fails(ftmpi_keras_open("npz.keras", &keras), FTMPI_ERR_DATA, "'npz.keras' has no model.weights.h5");
	assert_null(keras);
	ftmpi_buffer_clear(&json);
}

/* What was exported is read again to the last bit, and the same state gives the same file. */
static void test_export(void **state)
{
	static const char *const names[] = {"adam.keras", "sgd.keras", "nadam.keras", "functional.keras",
					    "regression.keras"};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		keras_state s, again;
		ftmpi_buffer first, second;
		bool optimizer_loaded = false;

		assert_ok(keras_state_open(&s, fixture(names[i])));
		assert_ok(ftmpi_keras_load_weights(s.keras, s.registry, &optimizer_loaded));
		write_text("out.keras", "what was there before");
		assert_ok(ftmpi_keras_export("out.keras", s.model, &s.compile, s.registry));
		first = read_bytes("out.keras");
		assert_ok(ftmpi_keras_export("./out.keras", s.model, &s.compile, s.registry));
		second = read_bytes("out.keras");
		assert_buffer_equal(&first, &second);
		assert_int_equal(count_names(".", "out.keras"), 1);

		assert_ok(keras_state_open(&again, "out.keras"));
		optimizer_loaded = false;
		assert_ok(ftmpi_keras_load_weights(again.keras, again.registry, &optimizer_loaded));
		assert_true(optimizer_loaded);
		assert_weights(&again);
		assert_optimizer(&again);
		ftmpi_buffer_clear(&first);
		ftmpi_buffer_clear(&second);
		keras_state_clear(&s);
		keras_state_clear(&again);
	}
}

/* Only what is Keras's is exported. */
static void test_export_selects(void **state)
{
	keras_state s;
	int64_t mine = 5;
	ftmpi_buffer file;
	bool found = false;

	(void)state;
	assert_ok(keras_state_open(&s, fixture("adam.keras")));
	assert_ok(ftmpi_registry_add_scalar(s.registry, "ftmpi/secret_epoch", FTMPI_I64, &mine, FTMPI_STATE));
	assert_ok(ftmpi_registry_add_scalar(s.registry, "layers_of_mine", FTMPI_I64, &mine, FTMPI_STATE));
	assert_ok(ftmpi_keras_export("selected.keras", s.model, NULL, s.registry));
	file = read_bytes("selected.keras");
	for (size_t i = 0; i + 12 < file.n_bytes; i++) {
		assert_int_not_equal(memcmp(file.data + i, "secret_epoch", 12), 0);
		assert_int_not_equal(memcmp(file.data + i, "layers_of_mi", 12), 0);
		found = found || memcmp(file.data + i, "layers/dense", 12) == 0;
	}
	assert_true(found);
	ftmpi_buffer_clear(&file);
	keras_state_clear(&s);
}

/* An array that is saved from elsewhere is exported from there. */
static void test_export_parts(void **state)
{
	keras_state s, back;
	bool optimizer_loaded = true;
	ftmpi_part parts[2] = {{0}};
	const ftmpi_entry *e;
	char *elsewhere;
	size_t n_bytes;

	(void)state;
	assert_ok(keras_state_open(&s, fixture("adam.keras")));
	assert_ok(ftmpi_keras_load_weights(s.keras, s.registry, &optimizer_loaded));
	e = ftmpi_registry_find(s.registry, "optimizer/vars/2");
	assert_non_null(e);
	n_bytes = ftmpi_entry_bytes(e);
	assert_ok(FTMPI_ALLOC((int64_t)n_bytes, &elsewhere));
	memcpy(elsewhere, e->data, n_bytes);
	memset(e->data, 0, n_bytes);
	parts[0] = (ftmpi_part){.data = elsewhere, .n_bytes = 8};
	parts[1] = (ftmpi_part){.data = elsewhere + 8, .n_bytes = n_bytes - 8, .owner = 1};
	assert_ok(ftmpi_registry_set_parts(s.registry, e->path, parts, 2));
	assert_ok(ftmpi_keras_export("parts.keras", s.model, &s.compile, s.registry));
	assert_ok(keras_state_open(&back, "parts.keras"));
	assert_ok(ftmpi_keras_load_weights(back.keras, back.registry, &optimizer_loaded));
	assert_true(optimizer_loaded);
	assert_optimizer(&back);
	keras_state_clear(&back);
	keras_state_clear(&s);
	ftmpi_free(elsewhere);
}

static void test_export_refused(void **state)
{
	keras_state s;

	(void)state;
	assert_ok(keras_state_open(&s, fixture("adam.keras")));
	assert_fails(ftmpi_keras_export("model.h5", s.model, NULL, s.registry), FTMPI_ERR_USAGE,
		     "'model.h5': the name of a file for Keras ends in .keras");
	assert_fails(ftmpi_keras_export(".keras", s.model, NULL, s.registry), FTMPI_ERR_USAGE, "ends in .keras");
	assert_fails(ftmpi_keras_export("nowhere/m.keras", s.model, NULL, s.registry), FTMPI_ERR_NOT_FOUND,
		     "there is no directory 'nowhere'");
	assert_int_equal(mkdir("folder.keras", 0777), 0);
	assert_fails(ftmpi_keras_export("folder.keras", s.model, NULL, s.registry), FTMPI_ERR_IO, "cannot rename");
	assert_int_equal(count_names(".", ".tmp"), 0);
	keras_state_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weights),         cmocka_unit_test(test_bad_weights),
		cmocka_unit_test(test_other_optimizer), cmocka_unit_test(test_entries_of_others_stay),
		cmocka_unit_test(test_text_alone),      cmocka_unit_test(test_not_models),
		cmocka_unit_test(test_bombs),           cmocka_unit_test(test_claims),
		cmocka_unit_test(test_no_weights),      cmocka_unit_test(test_export),
		cmocka_unit_test(test_export_selects),  cmocka_unit_test(test_export_parts),
		cmocka_unit_test(test_export_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
