/* SPDX-License-Identifier: Apache-2.0 */
/* Weights and optimizer state from model.weights.h5 into a program's arrays.
 *
 *  1  one walk over the file: each dataset that an entry of the registry wants is noted, each that none wants is counted
 *  2  all that is wanted is there, with its shape and a type that it can be made from; what is in chunks is unpacked beside
 *  3  copied into the arrays, which cannot fail
 *
 * The optimizer's state is all or nothing: of another optimizer, or of one that never made a step, it is left out, as Keras does. */
#include "ckpt/digests.h"
#include "keras/h5.h"
#include "keras/model.h"

#include <stdlib.h>
#include <string.h>

#define LAYERS    "layers/"
#define VARS      "vars/"
#define OPTIMIZER "optimizer/"

/* One entry of the registry, and what the file has for it. */
struct source {
	const ftmpi_entry *entry;
	bool is_found;
	ftmpi__h5_array array;
	uint8_t *unpacked; /* what was in chunks */
};

struct loading {
	const ftmpi_keras_model *keras;
	struct source *sources; /* in the order of the paths */
	int n_sources;
	int n_surplus; /* of the optimizer, wanted by no entry */
};

static bool is_below(const char *path, const char *group)
{
	return strncmp(path, group, strlen(group)) == 0;
}

static bool is_ours(const char *path)
{
	return is_below(path, LAYERS) || is_below(path, VARS) || is_below(path, OPTIMIZER);
}

static int compare_path(const void *path, const void *source)
{
	return strcmp(path, ((const struct source *)source)->entry->path);
}

/* Step 1. */
static ftmpi_status visit(void *context, const char *path, const ftmpi__h5_array *array)
{
	ftmpi_status status = FTMPI_OK;
	struct loading *l = context;
	struct source *source = bsearch(path, l->sources, (size_t)l->n_sources, sizeof l->sources[0], compare_path);

	if (source == NULL && is_below(path, OPTIMIZER))
		l->n_surplus++;
	else if (source == NULL && is_ours(path))
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s' has weights that the model does not have: %s", l->keras->what, path);
	if (source != NULL) {
		source->array = *array;
		source->is_found = true;
	}
done:
	return status;
}

static ftmpi_status begin(struct loading *l, const ftmpi_registry *registry)
{
	ftmpi_status status = FTMPI_OK;
	const int n = ftmpi_registry_n_entries(registry);

	FTMPI_TRY(FTMPI_ALLOC(n, &l->sources));
	for (int i = 0; i < n; i++) {
		const ftmpi_entry *entry = ftmpi__registry_sorted(registry, i);

		if (entry->buffer == NULL && is_ours(entry->path))
			l->sources[l->n_sources++].entry = entry;
	}
done:
	return status;
}

/* Whether values of a type in the file can be made values of an entry's type. */
static bool converts(ftmpi_dtype from, ftmpi_dtype to)
{
	switch (to) {
	case FTMPI_F32:
	case FTMPI_F64:
		return from == FTMPI_F32 || from == FTMPI_F64;
	case FTMPI_I64:
		return from == FTMPI_I32 || from == FTMPI_I64;
	default:
		return from == to;
	}
}

static bool has_shape(const ftmpi__hdf5_value *value, const ftmpi_entry *entry)
{
	if (value->n_dims != entry->n_dims)
		return false;
	for (int i = 0; i < value->n_dims; i++)
		if (value->dims[i] != entry->dims[i])
			return false;
	return true;
}

static ftmpi_status check_source(const struct loading *l, const struct source *source)
{
	enum { TEXT_BYTES = 200 };
	ftmpi_status status = FTMPI_OK;
	const ftmpi_entry *entry = source->entry;
	const ftmpi__hdf5_value *value = &source->array.value;
	char has[TEXT_BYTES], wants[TEXT_BYTES];

	if (!source->is_found)
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s' has no %s", l->keras->what, entry->path);
	if (source->array.wrong != NULL)
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s': %s has %s", l->keras->what, entry->path, source->array.wrong);
	if (!has_shape(value, entry) || !converts(value->dtype, entry->dtype))
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s': %s is %s, the model's is %s", l->keras->what, entry->path,
			   ftmpi__shape_format(value->dtype, value->n_dims, value->dims, has, sizeof has),
			   ftmpi__shape_format(entry->dtype, entry->n_dims, entry->dims, wants, sizeof wants));
done:
	return status;
}

/* Whether the registry's optimizer, where it says which, is another one than the file's: slots of the same shapes mean something else then. */
static bool is_other_optimizer(const ftmpi_keras_model *keras, const ftmpi_registry *registry)
{
	for (int i = 0; i < ftmpi_registry_n_groups(registry); i++) {
		const char *name, *path = ftmpi_registry_group(registry, i, &name);

		if (keras->is_compiled && name != NULL && strcmp(path, OPTIMIZER "vars") == 0)
			return strcmp(name, ftmpi_optimizer_name(keras->compile.optimizer.kind)) != 0;
	}
	return false;
}

/* Whether the file has the state of just this optimizer. */
static bool has_optimizer(const struct loading *l, const ftmpi_registry *registry)
{
	bool wanted = false;

	if (l->n_surplus > 0 || is_other_optimizer(l->keras, registry))
		return false;
	for (int i = 0; i < l->n_sources; i++) {
		const struct source *source = &l->sources[i];

		if (!is_below(source->entry->path, OPTIMIZER))
			continue;
		wanted = true;
		if (!source->is_found)
			return false;
	}
	return wanted;
}

/* Leave the entries of the optimizer as they are. */
static void drop_optimizer(struct loading *l)
{
	int n = 0;

	for (int i = 0; i < l->n_sources; i++)
		if (!is_below(l->sources[i].entry->path, OPTIMIZER))
			l->sources[n++] = l->sources[i];
	l->n_sources = n;
}

/* Step 2. */
static ftmpi_status prepare(const struct loading *l)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < l->n_sources; i++)
		FTMPI_TRY(check_source(l, &l->sources[i]));
	for (int i = 0; i < l->n_sources; i++) {
		struct source *source = &l->sources[i];

		if (!source->array.is_chunked)
			continue;
		FTMPI_TRY(FTMPI_ALLOC((int64_t)source->array.value.n_bytes, &source->unpacked));
		FTMPI_TRY(ftmpi__h5_read_chunks(&l->keras->weights, l->keras->what, source->entry->path, &source->array,
						source->unpacked));
		source->array.value.data = source->unpacked;
	}
done:
	return status;
}

/* Element i of a number array, which need not be aligned. */
static double read_float(const ftmpi__hdf5_value *value, size_t i)
{
	float narrow;
	double wide;

	if (value->dtype == FTMPI_F64) {
		memcpy(&wide, value->data + i * sizeof wide, sizeof wide);
		return wide;
	}
	memcpy(&narrow, value->data + i * sizeof narrow, sizeof narrow);
	return (double)narrow;
}

/* Step 3. */
static void copy(const struct source *source)
{
	const ftmpi__hdf5_value *value = &source->array.value;
	const ftmpi_entry *entry = source->entry;
	const size_t n = value->n_bytes / value->element_bytes;
	int32_t narrow;

	if (value->dtype == entry->dtype) {
		if (value->n_bytes > 0)
			memcpy(entry->data, value->data, value->n_bytes);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (entry->dtype == FTMPI_F32) {
			((float *)entry->data)[i] = (float)read_float(value, i);
		} else if (entry->dtype == FTMPI_F64) {
			((double *)entry->data)[i] = read_float(value, i);
		} else {
			memcpy(&narrow, value->data + i * sizeof narrow, sizeof narrow);
			((int64_t *)entry->data)[i] = narrow;
		}
	}
}

ftmpi_status ftmpi_keras_load_weights(const ftmpi_keras_model *keras, const ftmpi_registry *registry,
				      bool *optimizer_loaded)
{
	ftmpi_status status = FTMPI_OK;
	struct loading l = {.keras = keras};
	bool with_optimizer;

	if (!ftmpi_keras_has_weights(keras))
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s' has no weights", keras->what);
	FTMPI_TRY(begin(&l, registry));
	FTMPI_TRY(ftmpi__h5_walk(&keras->weights, keras->what, visit, &l));
	with_optimizer = has_optimizer(&l, registry);
	if (!with_optimizer)
		drop_optimizer(&l);
	FTMPI_TRY(prepare(&l));
	for (int i = 0; i < l.n_sources; i++)
		copy(&l.sources[i]);
	*optimizer_loaded = with_optimizer;
done:
	for (int i = 0; i < l.n_sources; i++)
		ftmpi_free(l.sources[i].unpacked);
	ftmpi_free(l.sources);
	return status;
}
