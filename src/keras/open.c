/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a file that Keras saved: the text of a model, or an archive of text and weights.
 *
 * Memory is taken for the file itself, for a text of limited length, and for weights that are not longer than the model's can be. */
#include "base/file.h"
#include "keras/archive.h"
#include "keras/model.h"

#include <fcntl.h>
#include <string.h>

/* Text of a thousand layers is about 1 MB. */
enum { MAX_CONFIG_BYTES = 4 << 20 };

static bool is_archive(const uint8_t *start)
{
	return memcmp(start, "PK\3\4", 4) == 0;
}

static ftmpi_status check_start(const uint8_t *start, size_t n_bytes, const char *file)
{
	ftmpi_status status = FTMPI_OK;

	if (memcmp(start, "\x89HDF", 4) == 0)
		FTMPI_FAIL(FTMPI_ERR_DATA,
			   "'%s' is an HDF5 file: weights alone, or a model of Keras 2; save the model as .keras",
			   file);
	if (!is_archive(start) && n_bytes > MAX_CONFIG_BYTES)
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s' is neither a .keras archive nor the JSON of a model", file);
done:
	return status;
}

/* Bytes that the weights may unpack to: those of all parameters and slots as float64, and what HDF5 puts around them; a file that is hardly packed
 * at all may be longer. */
static uint64_t max_weight_bytes(const ftmpi_model *model, size_t file_bytes)
{
	enum { OBJECT_BYTES = 8192, MAX_GROWTH = 4 };
	const ftmpi_layout *layout = ftmpi_model_layout(model);
	const uint64_t n_arrays = 1 + FTMPI_MAX_SLOTS;
	const uint64_t n_objects = (uint64_t)ftmpi_model_n_layers(model) + (uint64_t)layout->n_params * n_arrays + 16;
	const uint64_t n_bytes = (uint64_t)layout->n_trainable * n_arrays * sizeof(double) + n_objects * OBJECT_BYTES;

	return n_bytes > MAX_GROWTH * (uint64_t)file_bytes ? n_bytes : MAX_GROWTH * (uint64_t)file_bytes;
}

static ftmpi_status unpack(const ftmpi__image *image, const char *file, ftmpi_keras_model **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__archive *archive = NULL;
	ftmpi__image config = {0};
	ftmpi_keras_model *keras = NULL;
	ftmpi_model *model = NULL;

	FTMPI_TRY(ftmpi__archive_open(image, file, &archive));
	FTMPI_TRY(ftmpi__archive_read(archive, FTMPI__KERAS_CONFIG, MAX_CONFIG_BYTES, &config));
	FTMPI_TRY(ftmpi__keras_parse((const char *)config.data, config.n_bytes, file, &keras));
	FTMPI_TRY(ftmpi_keras_model_create(keras, &model));
	FTMPI_TRY(ftmpi__archive_read(archive, FTMPI__KERAS_WEIGHTS, max_weight_bytes(model, image->n_bytes),
				      &keras->weights));
	*out = keras;
	keras = NULL;
done:
	ftmpi_model_destroy(&model);
	ftmpi_keras_close(&keras);
	ftmpi__image_clear(&config);
	ftmpi__archive_close(&archive);
	return status;
}

ftmpi_status ftmpi_keras_open(const char *file, ftmpi_keras_model **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__image image = {0};

	FTMPI_TRY(ftmpi__file_read(AT_FDCWD, file, 0, file, 4, check_start, NULL, &image));
	if (image.n_bytes >= 4 && is_archive(image.data))
		FTMPI_TRY(unpack(&image, file, out));
	else
		FTMPI_TRY(ftmpi_keras_parse((const char *)image.data, image.n_bytes, file, out));
done:
	ftmpi__image_clear(&image);
	return status;
}
