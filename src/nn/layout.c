/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a parameter arena: checks, and places.
 *
 * Invariants: every parameter starts at a multiple of FTMPI__ARENA_STEP elements and the arena's length is one too, so that slices of the
 * arena can be cut at cache lines. The table and its entries are one allocation. */
#include "nn/nn.h"

#include <string.h>

struct table {
	ftmpi_layout layout;
	ftmpi_param params[];
};

/* Number of elements of a shape. */
static ftmpi_status count_elements(const ftmpi_param *param, int64_t *out)
{
	ftmpi_status status = FTMPI_OK;
	int64_t n = 1;

	if (param->n_dims < 0 || param->n_dims > FTMPI_PARAM_MAX_DIMS)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "parameter %s/%d has %d dimensions; it can have 0 to %d", param->layer,
			   param->index, param->n_dims, FTMPI_PARAM_MAX_DIMS);
	for (int i = 0; i < param->n_dims; i++) {
		if (param->dims[i] < 1)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "parameter %s/%d: dimension %d is %lld; it must be at least 1",
				   param->layer, param->index, i, (long long)param->dims[i]);
		if (__builtin_mul_overflow(n, param->dims[i], &n))
			FTMPI_FAIL(FTMPI_ERR_USAGE, "parameter %s/%d does not fit in memory", param->layer,
				   param->index);
	}
	*out = n;
done:
	return status;
}

static ftmpi_status check_name(const ftmpi_layout *layout, const ftmpi_param *param, int i)
{
	ftmpi_status status = FTMPI_OK;

	if (param->layer[0] == '\0' || memchr(param->layer, '\0', sizeof param->layer) == NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "parameter %d: the name of its layer must have 1 to %d bytes", i,
			   (int)sizeof param->layer - 1);
	if (param->index < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "parameter %s/%d: the index must be at least 0", param->layer,
			   param->index);
	for (int j = 0; j < layout->n_params; j++)
		if (layout->params[j].index == param->index && strcmp(layout->params[j].layer, param->layer) == 0)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "parameter %s/%d is there twice", param->layer, param->index);
done:
	return status;
}

/* Give the next parameter its place. Fails when the arena grows too long. */
static ftmpi_status add(struct table *table, const ftmpi_param *from)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_layout *layout = &table->layout;
	ftmpi_param *param = &table->params[layout->n_params];
	int64_t end;

	FTMPI_TRY(check_name(layout, from, layout->n_params));
	*param = (ftmpi_param){.index = from->index, .n_dims = from->n_dims, .offset = layout->n_elements};
	memcpy(param->layer, from->layer, sizeof param->layer);
	FTMPI_TRY(count_elements(from, &param->n_elements));
	memcpy(param->dims, from->dims, (size_t)from->n_dims * sizeof *param->dims);
	if (__builtin_add_overflow(param->offset, param->n_elements, &end) ||
	    end > PTRDIFF_MAX / (int64_t)sizeof(float) - FTMPI__ARENA_STEP)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "parameter %s/%d: the parameters up to here do not fit in memory",
			   param->layer, param->index);
	layout->n_params++;
	layout->n_elements = (end + FTMPI__ARENA_STEP - 1) / FTMPI__ARENA_STEP * FTMPI__ARENA_STEP;
	layout->n_trainable += param->n_elements;
done:
	return status;
}

ftmpi_status ftmpi_layout_create(const ftmpi_param *params, int n_params, ftmpi_layout **out)
{
	ftmpi_status status = FTMPI_OK;
	struct table *table = NULL;

	if (n_params < 1)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "a layout of %d parameters: it needs at least 1", n_params);
	FTMPI_TRY(ftmpi_alloc((int64_t)(sizeof *table + (size_t)n_params * sizeof *params), 1, &table));
	table->layout.params = table->params;
	for (int i = 0; i < n_params; i++)
		FTMPI_TRY(add(table, &params[i]));
	*out = &table->layout;
	table = NULL;
done:
	ftmpi_free(table);
	return status;
}

void ftmpi_layout_destroy(ftmpi_layout **layout)
{
	ftmpi_free(*layout); /* the first member of its table */
	*layout = NULL;
}
