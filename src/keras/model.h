/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the keras layer share. */
#ifndef FTMPI_KERAS_MODEL_H
#define FTMPI_KERAS_MODEL_H

#include "ckpt/image.h"
#include "keras/json.h"

#include <ftmpi/keras.h>

/** Names in a `.keras` file. */
#define FTMPI__KERAS_CONFIG   "config.json"
#define FTMPI__KERAS_METADATA "metadata.json"
#define FTMPI__KERAS_WEIGHTS  "model.weights.h5"

struct ftmpi_keras_model {
	char what[256]; /* the file, for messages */
	int64_t dims[FTMPI_MODEL_MAX_DIMS];
	int n_dims; /* of a sample; 0: no InputLayer yet */
	ftmpi_layer_spec *specs;
	int n_layers;
	char initializer[256]; /* of a layer that does not start as ftmpi's layers do; "": all do */
	bool is_compiled;
	ftmpi_compile compile;
	ftmpi__image weights; /* model.weights.h5; empty when there is none */
};

/** A layer of the file: appended to the model, or folded into its last layer. Errors: ERR_DATA, naming layer and key. */
ftmpi_status ftmpi__keras_take_layer(ftmpi_keras_model *model, const ftmpi__json *layer) FTMPI_CHECK_RESULT;

/** compile_config. Errors: ERR_DATA, naming the key. */
ftmpi_status ftmpi__keras_take_compile(ftmpi_keras_model *model, const ftmpi__json *config) FTMPI_CHECK_RESULT;

/** Model from the text of a config.json; its weights may follow. Errors: ERR_DATA, ERR_MEMORY. */
ftmpi_status ftmpi__keras_parse(const char *json, size_t n_bytes, const char *what,
				ftmpi_keras_model **out) FTMPI_CHECK_RESULT;

#endif
