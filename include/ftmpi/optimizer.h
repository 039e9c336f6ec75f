/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Optimizers with the numerics of Keras 3. An update is elementwise, so any slice of the arena can be updated by itself, with the
 * same bits. Slots are arenas with the layout of the parameters.
 */
#ifndef FTMPI_OPTIMIZER_H
#define FTMPI_OPTIMIZER_H

#include <ftmpi/model.h>

FTMPI_BEGIN_DECLS

/** The one list of optimizers: identifier, Keras's snake-case name, Keras's class. */
#define FTMPI_OPTIMIZER_LIST(X)                                                                                        \
	X(SGD, "sgd", "SGD")                                                                                           \
	X(ADAM, "adam", "Adam")                                                                                        \
	X(ADAMW, "adamw", "AdamW")                                                                                     \
	X(RMSPROP, "rmsprop", "RMSprop")                                                                               \
	X(ADAGRAD, "adagrad", "Adagrad")                                                                               \
	X(NADAM, "nadam", "Nadam")                                                                                     \
	X(LION, "lion", "Lion")

typedef enum ftmpi_optimizer_kind {
#define FTMPI_OPTIMIZER_ENUM(id, name, class_name) FTMPI_##id,
	FTMPI_OPTIMIZER_LIST(FTMPI_OPTIMIZER_ENUM)
#undef FTMPI_OPTIMIZER_ENUM
} ftmpi_optimizer_kind;

/** Name in the list, and Keras's class; "unknown" for any other value. Local. */
FTMPI_API const char *ftmpi_optimizer_name(ftmpi_optimizer_kind kind);
FTMPI_API const char *ftmpi_optimizer_class(ftmpi_optimizer_kind kind);
/** Errors: ERR_USAGE, naming the known ones. Local. */
FTMPI_API ftmpi_status ftmpi_optimizer_parse(const char *name, ftmpi_optimizer_kind *out) FTMPI_CHECK_RESULT;

/** Hyperparameters; those that a kind does not have are ignored. */
typedef struct ftmpi_optimizer {
	ftmpi_optimizer_kind kind;
	double learning_rate;       /**< > 0; may change between updates */
	double momentum;            /**< SGD, RMSprop: in [0, 1) */
	bool nesterov;              /**< SGD, with momentum > 0 */
	double beta_1, beta_2;      /**< Adam, AdamW, Nadam, Lion: in [0, 1) */
	double rho;                 /**< RMSprop: in [0, 1) */
	bool centered;              /**< RMSprop */
	double epsilon;             /**< all but SGD and Lion: > 0 */
	double initial_accumulator; /**< Adagrad: ≥ 0 */
	double weight_decay;        /**< decoupled, of all parameters: w −= w·weight_decay·learning_rate; ≥ 0 */
} ftmpi_optimizer;

/** Keras's defaults of a kind. Local. */
FTMPI_API void ftmpi_optimizer_init(ftmpi_optimizer *optimizer, ftmpi_optimizer_kind kind);

/** Updates are in float32, so a value must be in its range as a float32 too. Errors: ERR_USAGE, naming the field. Local. */
FTMPI_API ftmpi_status ftmpi_optimizer_check(const ftmpi_optimizer *optimizer) FTMPI_CHECK_RESULT;

#define FTMPI_MAX_SLOTS 3

/** Number of slots: SGD 0, with momentum 1; Adam, AdamW, Nadam 2; RMSprop 1 to 3; Adagrad, Lion 1. Local. */
FTMPI_API int ftmpi_optimizer_n_slots(const ftmpi_optimizer *optimizer);

/** Keras's name of slot i ("momentum", "velocity", …), and the value that its elements start with. Local. */
FTMPI_API const char *ftmpi_optimizer_slot_name(const ftmpi_optimizer *optimizer, int i);
FTMPI_API float ftmpi_optimizer_slot_initial(const ftmpi_optimizer *optimizer, int i);

/**
 * Where Keras keeps the slots in its variable list after iteration and learning_rate: the k-th entry is slot *slot of parameter
 * *param. Adam and its kin interleave the slots per parameter, RMSprop groups them. Nadam's u_product follows the last. Local. @param k 0 … n_slots · n_params − 1.
 */
FTMPI_API void ftmpi_optimizer_keras_entry(const ftmpi_optimizer *optimizer, int n_params, int k, int *slot,
					   int *param);

/**
 * Nadam's u_product after `iteration` updates, which Keras keeps as a variable: the product of u_t = β₁·(1 − 0.96ᵗ/2), t from 1. It depends on
 * nothing else, so it is state in a file alone. Local.
 */
FTMPI_API float ftmpi_optimizer_u_product(const ftmpi_optimizer *optimizer, int64_t iteration);

/**
 * Update elements [first, end) of an arena. Local, no allocation. Order: weight decay, update. Gaps stay zero.
 * A learning rate that is saved, as Keras does, is a float32: whoever saves one passes that float32 from the first step on, for a relaunch to have
 * the same bits.
 * @param iteration updates made before this one, from 0. @param params, grads, slots whole arenas.
 */
FTMPI_API void ftmpi_optimizer_apply(const ftmpi_optimizer *optimizer, int64_t iteration, int64_t first, int64_t end,
				     float *params, const float *grads, float *const *slots);

FTMPI_END_DECLS

#endif
