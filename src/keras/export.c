/* SPDX-License-Identifier: Apache-2.0 */
/* A .keras file: config.json, metadata.json, and the weights as a checkpoint has them. The same state gives the same bytes: nothing in it says when
 * it was written. */
#include "base/file.h"
#include "ckpt/digests.h"
#include "keras/archive.h"
#include "keras/model.h"

#include <string.h>

/* What Keras asks for, and the oldest version whose keys these are. */
static const char metadata[] = "{\"keras_version\": \"3.0.0\"}\n";

static bool is_of_keras(const char *path)
{
	static const char *const groups[] = {"layers", "vars", "optimizer"};

	for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
		const size_t n = strlen(groups[i]);

		if (strncmp(path, groups[i], n) == 0 && (path[n] == '/' || path[n] == '\0'))
			return true;
	}
	return false;
}

/* The registry without what is not Keras's. */
static ftmpi_status select_entries(const ftmpi_registry *registry, ftmpi_registry *out)
{
	ftmpi_status status = FTMPI_OK;

	for (int i = 0; i < ftmpi_registry_n_entries(registry); i++) {
		const ftmpi_entry *e = ftmpi_registry_entry(registry, i);

		if (!is_of_keras(e->path) || e->buffer != NULL)
			continue;
		FTMPI_TRY(ftmpi__registry_can_read(registry, e));
		FTMPI_TRY(ftmpi__registry_add_entry(out, e, true));
	}
	for (int i = 0; i < ftmpi_registry_n_groups(registry); i++) {
		const char *name, *path = ftmpi_registry_group(registry, i, &name);

		if (is_of_keras(path))
			FTMPI_TRY(ftmpi_registry_add_group(out, path, name));
	}
done:
	return status;
}

static ftmpi_status build_weights(const ftmpi_registry *registry, ftmpi__image *out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_registry *selected = NULL;

	FTMPI_TRY(ftmpi_registry_create(&selected));
	FTMPI_TRY(select_entries(registry, selected));
	FTMPI_TRY(ftmpi__image_build(selected, out));
done:
	ftmpi_registry_destroy(&selected);
	return status;
}

ftmpi_status ftmpi_keras_export(const char *file, const ftmpi_model *model, const ftmpi_compile *compile,
				const ftmpi_registry *registry)
{
	static const char suffix[] = ".keras";
	ftmpi_status status = FTMPI_OK;
	const size_t length = strlen(file), suffix_bytes = strlen(suffix);
	ftmpi__image weights = {0}, archive = {0};
	ftmpi_buffer config = {0};

	if (length <= suffix_bytes || strcmp(file + length - suffix_bytes, suffix) != 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "'%.200s': the name of a file for Keras ends in %s", file, suffix);
	FTMPI_TRY(ftmpi_keras_format(model, compile, &config));
	FTMPI_TRY(build_weights(registry, &weights));
	FTMPI_TRY(ftmpi__archive_build((ftmpi__member[]){{FTMPI__KERAS_METADATA, metadata, strlen(metadata)},
							 {FTMPI__KERAS_CONFIG, config.data, config.n_bytes},
							 {FTMPI__KERAS_WEIGHTS, weights.data, weights.n_bytes}},
				       3, &archive));
	ftmpi__image_clear(&weights);
	FTMPI_TRY(ftmpi__file_replace(file, archive.data, archive.n_bytes));
done:
	ftmpi__image_clear(&archive);
	ftmpi__image_clear(&weights);
	ftmpi_buffer_clear(&config);
	return status;
}
