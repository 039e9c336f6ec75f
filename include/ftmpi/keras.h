/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Models in the files of Keras 3: `.keras` (a ZIP of config.json, metadata.json and model.weights.h5) and `model.to_json()`. Local; only the
 * chief touches files. What Keras writes and ftmpi does not support is an error that names the layer and the key, never passed over; a key that ftmpi
 * does not know is taken only if its value is null or false: a feature that is not used.
 *
 * Supported: Sequential, and Functional models that are one chain; InputLayer, Flatten, Dense, Dropout (and Activation, ReLU, Softmax right after a
 * Dense layer without an activation of its own, folded into it); the optimizers, losses and metrics of optimizer.h and loss.h. A seed of Dropout is
 * passed over: masks come from ftmpi's own. An initializer matters only in a text without weights: there GlorotUniform and Zeros are ftmpi's, and
 * others are an error.
 *
 * Files are not trusted: they are read without HDF5's library, links are not followed, and nothing makes these functions crash, or take more memory
 * than is said here.
 */
#ifndef FTMPI_KERAS_H
#define FTMPI_KERAS_H

#include <ftmpi/compile.h>
#include <ftmpi/model.h>
#include <ftmpi/registry.h>

FTMPI_BEGIN_DECLS

/** A model as Keras describes it. */
typedef struct ftmpi_keras_model ftmpi_keras_model;

/**
 * Parse the text of `model.to_json()` or of a config.json. @param what names the text in errors.
 * Errors: ERR_DATA (no JSON, no model; a layer or key that is not supported, named; an initializer of its own), ERR_MEMORY.
 */
FTMPI_API ftmpi_status ftmpi_keras_parse(const char *json, size_t n_bytes, const char *what,
					 ftmpi_keras_model **out) FTMPI_CHECK_RESULT;

/**
 * Open FILE.keras or FILE.json (told apart by content). Never allocates more than a small multiple of the file's size and of 4 MB, plus what its
 * weights unpack to where their size is that of the model, and the file is long enough for it.
 * Errors: ERR_NOT_FOUND, ERR_IO, ERR_DATA (as ftmpi_keras_parse; a damaged archive; sizes that cannot be right), ERR_MEMORY.
 */
FTMPI_API ftmpi_status ftmpi_keras_open(const char *file, ftmpi_keras_model **out) FTMPI_CHECK_RESULT;
FTMPI_API void ftmpi_keras_close(ftmpi_keras_model **keras);

/** The model for ftmpi; the caller's. Errors: as ftmpi_model_create. */
FTMPI_API ftmpi_status ftmpi_keras_model_create(const ftmpi_keras_model *keras, ftmpi_model **out) FTMPI_CHECK_RESULT;

/** How it was compiled; NULL: it was not. */
FTMPI_API const ftmpi_compile *ftmpi_keras_compile(const ftmpi_keras_model *keras);

/** Whether the file has weights: .keras has, .json has not. */
FTMPI_API bool ftmpi_keras_has_weights(const ftmpi_keras_model *keras);

/**
 * Copy the weights, and the optimizer's state if the file has it for this optimizer, into a registry's arrays of the same paths (`layers/…`,
 * `optimizer/vars/…`); other entries stay. All are checked before the first is written. float64 is cast, and so is an int32 iteration.
 * @param optimizer_loaded set to whether the optimizer's state was there: false when the file has none, other variables, or that of another
 * optimizer than the registry's group `optimizer/vars` is named after. Errors: ERR_DATA (names what is missing, too many, or has another shape or
 * type), ERR_MEMORY.
 */
FTMPI_API ftmpi_status ftmpi_keras_load_weights(const ftmpi_keras_model *keras, const ftmpi_registry *registry,
						bool *optimizer_loaded) FTMPI_CHECK_RESULT;

/** Append config.json of a model: only keys that every Keras 3 knows. @param compile NULL: not compiled.
 * Errors: ERR_MEMORY. The text is the same for equal models: two can be compared by it. */
FTMPI_API ftmpi_status ftmpi_keras_format(const ftmpi_model *model, const ftmpi_compile *compile,
					  ftmpi_buffer *json) FTMPI_CHECK_RESULT;

/**
 * Write FILE.keras atomically. @param registry its entries below `layers/`, `vars` and `optimizer/` become model.weights.h5; others are left out.
 * The same state gives the same bytes.
 * Errors: ERR_USAGE (the name does not end in .keras; parts of a checkpoint's registry), ERR_NOT_FOUND (no such directory), ERR_IO, ERR_NO_SPACE, ERR_MEMORY.
 */
FTMPI_API ftmpi_status ftmpi_keras_export(const char *file, const ftmpi_model *model, const ftmpi_compile *compile,
					  const ftmpi_registry *registry) FTMPI_CHECK_RESULT;

FTMPI_END_DECLS

#endif
