/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters under the names that Keras gives them: layers/<layer>/vars/<index>. */
#include "train/names.h"

#include <ftmpi/evaluator.h>

#include <stdio.h>

ftmpi_status ftmpi__register_groups(const ftmpi_model *model, ftmpi_registry *registry)
{
	ftmpi_status status = FTMPI_OK;
	char path[FTMPI__PATH_BYTES];

	FTMPI_TRY(ftmpi_registry_add_group(registry, "vars", "sequential"));
	for (int i = 0; i < ftmpi_model_n_layers(model); i++) {
		const char *name = ftmpi_model_layer_name(model, i);

		(void)snprintf(path, sizeof path, "layers/%s/vars", name);
		FTMPI_TRY(ftmpi_registry_add_group(registry, path, name));
	}
done:
	return status;
}

ftmpi_status ftmpi__register_params(const ftmpi_layout *layout, float *params, ftmpi_registry *registry)
{
	ftmpi_status status = FTMPI_OK;
	char path[FTMPI__PATH_BYTES];

	for (int i = 0; i < layout->n_params; i++) {
		const ftmpi_param *p = &layout->params[i];

		(void)snprintf(path, sizeof path, "layers/%s/vars/%d", p->layer, p->index);
		FTMPI_TRY(ftmpi_registry_add(registry, path, FTMPI_F32, p->n_dims, p->dims, params + p->offset,
					     FTMPI_STATE));
	}
done:
	return status;
}

ftmpi_status ftmpi_model_register(const ftmpi_model *model, float *params, ftmpi_registry *registry)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi__register_groups(model, registry));
	FTMPI_TRY(ftmpi__register_params(ftmpi_model_layout(model), params, registry));
done:
	return status;
}
