/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of Keras's files share: a program's arrays for the model of a file, registered where Keras has them. */
#ifndef FTMPI_TESTS_KERAS_STATE_H
#define FTMPI_TESTS_KERAS_STATE_H

#include <ftmpi/keras.h>
#include <stdio.h>

typedef struct keras_state {
	ftmpi_keras_model *keras;
	ftmpi_model *model;
	ftmpi_compile compile; /**< of the file, or the default */
	float *params, *slots[FTMPI_MAX_SLOTS];
	int64_t iteration;
	float learning_rate, u_product;
	ftmpi_registry *registry;
} keras_state;

static inline void keras_state_clear(keras_state *s)
{
	ftmpi_registry_destroy(&s->registry);
	ftmpi_free(s->params);
	for (int i = 0; i < FTMPI_MAX_SLOTS; i++)
		ftmpi_free(s->slots[i]);
	ftmpi_model_destroy(&s->model);
	ftmpi_keras_close(&s->keras);
	*s = (keras_state){0};
}

static inline FTMPI_CHECK_RESULT ftmpi_status keras_state_register_layers(keras_state *s)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_layout *layout = ftmpi_model_layout(s->model);
	char path[128];

	FTMPI_TRY(ftmpi_registry_add_group(s->registry, "vars", "sequential"));
	for (int i = 0; i < ftmpi_model_n_layers(s->model); i++) {
		const char *name = ftmpi_model_layer_name(s->model, i);

		(void)snprintf(path, sizeof path, "layers/%s/vars", name);
		FTMPI_TRY(ftmpi_registry_add_group(s->registry, path, name));
	}
	for (int i = 0; i < layout->n_params; i++) {
		const ftmpi_param *p = &layout->params[i];

		(void)snprintf(path, sizeof path, "layers/%s/vars/%d", p->layer, p->index);
		FTMPI_TRY(ftmpi_registry_add(s->registry, path, FTMPI_F32, p->n_dims, p->dims, s->params + p->offset,
					     FTMPI_STATE));
	}
done:
	return status;
}

static inline FTMPI_CHECK_RESULT ftmpi_status keras_state_register_optimizer(keras_state *s)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_layout *layout = ftmpi_model_layout(s->model);
	const ftmpi_optimizer *o = &s->compile.optimizer;
	const int n = ftmpi_optimizer_n_slots(o) * layout->n_params;
	char path[128];

	FTMPI_TRY(ftmpi_registry_add_group(s->registry, "optimizer/vars", ftmpi_optimizer_name(o->kind)));
	FTMPI_TRY(ftmpi_registry_add_scalar(s->registry, "optimizer/vars/0", FTMPI_I64, &s->iteration, FTMPI_STATE));
	FTMPI_TRY(
		ftmpi_registry_add_scalar(s->registry, "optimizer/vars/1", FTMPI_F32, &s->learning_rate, FTMPI_STATE));
	for (int k = 0; k < n; k++) {
		const ftmpi_param *p;
		int slot, param;

		ftmpi_optimizer_keras_entry(o, layout->n_params, k, &slot, &param);
		p = &layout->params[param];
		(void)snprintf(path, sizeof path, "optimizer/vars/%d", k + 2);
		FTMPI_TRY(ftmpi_registry_add(s->registry, path, FTMPI_F32, p->n_dims, p->dims,
					     s->slots[slot] + p->offset, FTMPI_STATE));
	}
	(void)snprintf(path, sizeof path, "optimizer/vars/%d", n + 2);
	if (o->kind == FTMPI_NADAM)
		FTMPI_TRY(ftmpi_registry_add_scalar(s->registry, path, FTMPI_F32, &s->u_product, FTMPI_STATE));
done:
	return status;
}

/** Arrays of a model that is open in s->keras, with initial values. On failure all is cleared. */
static inline FTMPI_CHECK_RESULT ftmpi_status keras_state_create(keras_state *s)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi_keras_model_create(s->keras, &s->model));
	if (ftmpi_keras_compile(s->keras) != NULL)
		s->compile = *ftmpi_keras_compile(s->keras);
	else
		ftmpi_compile_init(&s->compile);
	FTMPI_TRY(FTMPI_ALLOC(ftmpi_model_layout(s->model)->n_elements, &s->params));
	for (int i = 0; i < ftmpi_optimizer_n_slots(&s->compile.optimizer); i++)
		FTMPI_TRY(FTMPI_ALLOC(ftmpi_model_layout(s->model)->n_elements, &s->slots[i]));
	ftmpi_model_init_params(s->model, 1, s->params);
	s->learning_rate = (float)s->compile.optimizer.learning_rate;
	s->u_product = 1;
	FTMPI_TRY(ftmpi_registry_create(&s->registry));
	FTMPI_TRY(keras_state_register_layers(s));
	FTMPI_TRY(keras_state_register_optimizer(s));
done:
	if (status != FTMPI_OK)
		keras_state_clear(s);
	return status;
}

/** Open a file and make arrays for it; its weights are not read yet. */
static inline FTMPI_CHECK_RESULT ftmpi_status keras_state_open(keras_state *s, const char *file)
{
	ftmpi_status status = FTMPI_OK;

	*s = (keras_state){0};
	FTMPI_TRY(ftmpi_keras_open(file, &s->keras));
	FTMPI_TRY(keras_state_create(s));
done:
	return status;
}

#endif
