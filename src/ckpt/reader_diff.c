/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing two checkpoints: their FTMPI_STATE variables, bit for bit. Both lists are sorted by path, so one pass goes through both. */
#include "ckpt/reader_inside.h"

#include "ckpt/digests.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SHAPE_TEXT = 160 };

struct difference {
	int64_t n_elements;
	double largest;
	bool has_nan;
};

static double element(const ftmpi__variable *variable, int64_t i)
{
	double wide;
	float narrow;

	if (variable->info.dtype == FTMPI_F64) {
		memcpy(&wide, variable->data + (size_t)i * sizeof wide, sizeof wide);
		return wide;
	}
	memcpy(&narrow, variable->data + (size_t)i * sizeof narrow, sizeof narrow);
	return narrow;
}

/* Elements whose bits differ; for floats the largest absolute difference too. */
static struct difference compare_elements(const ftmpi__variable *a, const ftmpi__variable *b)
{
	struct difference d = {0};
	const size_t width = ftmpi_dtype_bytes(a->info.dtype);
	const bool is_float = a->info.dtype == FTMPI_F32 || a->info.dtype == FTMPI_F64;

	for (int64_t i = 0; i < (int64_t)(a->info.n_bytes / width); i++) {
		double distance;

		if (memcmp(a->data + (size_t)i * width, b->data + (size_t)i * width, width) == 0)
			continue;
		d.n_elements++;
		if (!is_float)
			continue;
		distance = fabs(element(a, i) - element(b, i));
		d.has_nan = d.has_nan || isnan(distance);
		if (distance > d.largest)
			d.largest = distance;
	}
	return d;
}

static bool same_shape(const ftmpi_variable *a, const ftmpi_variable *b)
{
	return a->dtype == b->dtype && a->n_dims == b->n_dims &&
	       memcmp(a->dims, b->dims, (size_t)a->n_dims * sizeof a->dims[0]) == 0;
}

static ftmpi_status report_elements(const ftmpi__variable *a, const ftmpi__variable *b, ftmpi_buffer *report)
{
	ftmpi_status status = FTMPI_OK;
	const struct difference d = compare_elements(a, b);
	const size_t n = a->info.n_bytes / ftmpi_dtype_bytes(a->info.dtype);

	FTMPI_TRY(ftmpi_buffer_printf(report, "%s: %lld of %zu elements differ", a->info.path, (long long)d.n_elements,
				      n));
	if (a->info.dtype == FTMPI_F32 || a->info.dtype == FTMPI_F64)
		FTMPI_TRY(ftmpi_buffer_printf(report, ", largest absolute difference %.9g%s", d.largest,
					      d.has_nan ? ", some not a number" : ""));
	FTMPI_TRY(ftmpi_buffer_append(report, "\n", 1));
done:
	return status;
}

/* One line about a pair of one path; either may be NULL. */
static ftmpi_status report_pair(const ftmpi__variable *a, const ftmpi__variable *b, ftmpi_buffer *report)
{
	ftmpi_status status = FTMPI_OK;
	char shape_a[SHAPE_TEXT], shape_b[SHAPE_TEXT];

	if (report == NULL)
		goto done;
	if (a == NULL || b == NULL) {
		FTMPI_TRY(ftmpi_buffer_printf(report, "%s: only in the %s checkpoint\n",
					      a == NULL ? b->info.path : a->info.path, a == NULL ? "second" : "first"));
	} else if (!same_shape(&a->info, &b->info)) {
		ftmpi__shape_format(a->info.dtype, a->info.n_dims, a->info.dims, shape_a, sizeof shape_a);
		ftmpi__shape_format(b->info.dtype, b->info.n_dims, b->info.dims, shape_b, sizeof shape_b);
		FTMPI_TRY(ftmpi_buffer_printf(report, "%s: %s in the first, %s in the second\n", a->info.path, shape_a,
					      shape_b));
	} else {
		FTMPI_TRY(report_elements(a, b, report));
	}
done:
	return status;
}

/* The next state variable from `*i` on, NULL at the end. */
static const ftmpi__variable *next_state(const ftmpi_reader *reader, int *i)
{
	while (*i < reader->n_variables && reader->variables[*i].info.kind != FTMPI_STATE)
		++*i;
	return *i < reader->n_variables ? &reader->variables[*i] : NULL;
}

/* Equal by their digests, which are of path, type, shape and bytes and were verified when the files were opened. */
static bool equal(const ftmpi__variable *a, const ftmpi__variable *b)
{
	return a != NULL && b != NULL && ftmpi_digest_equal(a->info.digest, b->info.digest);
}

ftmpi_status ftmpi_reader_diff(const ftmpi_reader *a, const ftmpi_reader *b, ftmpi_buffer *report, int64_t *n_different)
{
	ftmpi_status status = FTMPI_OK;
	int64_t n = 0;
	int i = 0, j = 0;

	for (;;) {
		const ftmpi__variable *x = next_state(a, &i), *y = next_state(b, &j);
		int order;

		if (x == NULL && y == NULL)
			break;
		order = x == NULL ? 1 : y == NULL ? -1 : strcmp(x->info.path, y->info.path);
		if (order < 0)
			y = NULL;
		if (order > 0)
			x = NULL;
		i += x != NULL;
		j += y != NULL;
		if (equal(x, y))
			continue;
		n++;
		FTMPI_TRY(report_pair(x, y, report));
	}
	*n_different = n;
done:
	return status;
}
