/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A chain of layers over one flat parameter arena. No MPI, no files: a pure function of (parameters, inputs, pass).
 * Numerics follow Keras 3; layouts are row-major.
 */
#ifndef FTMPI_MODEL_H
#define FTMPI_MODEL_H

#include <ftmpi/memory.h>
#include <stdbool.h>
#include <stdint.h>

FTMPI_BEGIN_DECLS

typedef enum ftmpi_layer_kind { FTMPI_FLATTEN, FTMPI_DENSE, FTMPI_DROPOUT } ftmpi_layer_kind;

/** The one list of activations: identifier, Keras's name. */
#define FTMPI_ACTIVATION_LIST(X)                                                                                       \
	X(LINEAR, "linear")                                                                                            \
	X(RELU, "relu")                                                                                                \
	X(SIGMOID, "sigmoid")                                                                                          \
	X(TANH, "tanh")                                                                                                \
	X(GELU, "gelu")                                                                                                \
	X(SOFTMAX, "softmax")

typedef enum ftmpi_activation {
#define FTMPI_ACTIVATION_ENUM(id, name) FTMPI_##id,
	FTMPI_ACTIVATION_LIST(FTMPI_ACTIVATION_ENUM)
#undef FTMPI_ACTIVATION_ENUM
} ftmpi_activation;

FTMPI_API const char *ftmpi_activation_name(ftmpi_activation activation);

/** Errors: ERR_USAGE, naming the known ones. Local. */
FTMPI_API ftmpi_status ftmpi_activation_parse(const char *name, ftmpi_activation *out) FTMPI_CHECK_RESULT;

/** What a layer is. Fields of other kinds are ignored. */
typedef struct ftmpi_layer_spec {
	ftmpi_layer_kind kind;
	int64_t units;               /**< Dense: outputs, at least 1 */
	ftmpi_activation activation; /**< Dense */
	double rate;                 /**< Dropout: share of units set to 0, in [0, 1) */
} ftmpi_layer_spec;

/** Most dimensions of a parameter. */
#define FTMPI_PARAM_MAX_DIMS 4

/** One parameter in the arena. */
typedef struct ftmpi_param {
	char layer[48]; /**< layer group as Keras names it: "dense", "dense_1" */
	int index;      /**< place among the layer's parameters: 0 kernel, 1 bias */
	int n_dims;
	int64_t dims[FTMPI_PARAM_MAX_DIMS];
	int64_t offset; /**< first element in the arena, a multiple of 16 */
	int64_t n_elements;
} ftmpi_param;

/** The table of an arena. Gaps between parameters are zero in every arena and stay so. */
typedef struct ftmpi_layout {
	const ftmpi_param *params;
	int n_params;
	int64_t n_elements;  /**< length of the arena, gaps included */
	int64_t n_trainable; /**< numbers that are parameters */
} ftmpi_layout;

/**
 * A layout for parameters of one's own, in this order; offsets and n_elements are filled in. Local.
 * @param params layer, index, n_dims (0: a scalar) and dims are used; copied. @param n_params at least 1.
 * Errors: ERR_USAGE (names the parameter: its shape, its name, or a name twice), ERR_MEMORY.
 */
FTMPI_API ftmpi_status ftmpi_layout_create(const ftmpi_param *params, int n_params,
					   ftmpi_layout **out) FTMPI_CHECK_RESULT;
FTMPI_API void ftmpi_layout_destroy(ftmpi_layout **layout);

typedef struct ftmpi_model ftmpi_model;

/** Most dimensions of one sample. */
#define FTMPI_MODEL_MAX_DIMS 7

/**
 * Local. Sets BLAS to one thread in the whole process: the number of threads changes the bits.
 * @param dims shape of one sample, `n_dims` of them, 1 … FTMPI_MODEL_MAX_DIMS. @param specs the layers, first to last; copied. At least
 * one is Dense. A Dense layer takes flat input: samples of more dimensions go through a Flatten layer first.
 * Errors: ERR_USAGE (names the layer), ERR_MEMORY.
 */
FTMPI_API ftmpi_status ftmpi_model_create(const int64_t *dims, int n_dims, const ftmpi_layer_spec *specs, int n_layers,
					  ftmpi_model **out) FTMPI_CHECK_RESULT;
FTMPI_API void ftmpi_model_destroy(ftmpi_model **model);

FTMPI_API const ftmpi_layout *ftmpi_model_layout(const ftmpi_model *model);
/** Shape of one sample, as ftmpi_model_create was given it; valid as long as the model. */
FTMPI_API const int64_t *ftmpi_model_dims(const ftmpi_model *model, int *n_dims);
FTMPI_API int64_t ftmpi_model_n_inputs(const ftmpi_model *model);
FTMPI_API int64_t ftmpi_model_n_outputs(const ftmpi_model *model);

/** Number of layers, and the group name that Keras gives layer i ("flatten", "dense", "dropout", "dense_1"). */
FTMPI_API int ftmpi_model_n_layers(const ftmpi_model *model);
FTMPI_API const char *ftmpi_model_layer_name(const ftmpi_model *model, int i);
FTMPI_API const ftmpi_layer_spec *ftmpi_model_layer_spec(const ftmpi_model *model, int i);

/** Initial parameters: kernels glorot_uniform (Glorot and Bengio 2010, limit √(6/(fan_in + fan_out))), biases 0; gaps 0. Local. */
FTMPI_API void ftmpi_model_init_params(const ftmpi_model *model, uint64_t seed, float *params);

/** Room for one pass of at most `max_rows` rows: activations, masks, and the gradients between layers. */
typedef struct ftmpi_workspace ftmpi_workspace;

/** Local. @param max_rows at least 1. Errors: ERR_USAGE, ERR_MEMORY. */
FTMPI_API ftmpi_status ftmpi_workspace_create(const ftmpi_model *model, int64_t max_rows,
					      ftmpi_workspace **out) FTMPI_CHECK_RESULT;
FTMPI_API void ftmpi_workspace_destroy(ftmpi_workspace **workspace);

/** What a pass depends on beside parameters and inputs. */
typedef struct ftmpi_pass {
	bool training;          /**< dropout drops */
	uint64_t seed;          /**< of the dropout masks */
	int64_t step;           /**< global step: part of the mask's key */
	const int64_t *samples; /**< data set index of each row: the mask's counter; NULL when not training */
} ftmpi_pass;

/**
 * Forward pass. Local, no allocation. @param x [rows, n_inputs]. @param rows 1 … max_rows.
 * @return the outputs [rows, n_outputs], in the workspace until the next pass.
 */
FTMPI_API const float *ftmpi_model_forward(const ftmpi_model *model, const float *params, const float *x, int64_t rows,
					   const ftmpi_pass *pass, ftmpi_workspace *workspace);

/**
 * Backward pass after ftmpi_model_forward with the same arguments. Local, no allocation; can be repeated.
 * @param d_outputs gradient of the loss by the outputs [rows, n_outputs]; overwritten.
 * @param grads gradient arena, overwritten, its gaps included.
 */
FTMPI_API void ftmpi_model_backward(const ftmpi_model *model, const float *params, const float *x, int64_t rows,
				    const ftmpi_pass *pass, ftmpi_workspace *workspace, float *d_outputs, float *grads);

/**
 * Name of the BLAS in use, its core type and its thread count now, one line: part of the numeric environment. Call it after
 * ftmpi_model_create, which sets the thread count. The text is valid until the calling thread's next call. Local.
 */
FTMPI_API const char *ftmpi_blas_description(void);

FTMPI_END_DECLS

#endif
