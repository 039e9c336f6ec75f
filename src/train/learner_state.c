/* SPDX-License-Identifier: Apache-2.0 */
/* What a learner saves, and what must hold before it is saved: all ranks have the same parameters, and they are finite.
 *
 * Of the slots only the own slice is up to date; the chief, who saves them, has the others' slices from their owners (slot_parts.h). */
#include "train/learner.h"

#include "base/kernel.h"
#include "train/names.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Elements that fit in a core's cache. */
enum { BLOCK = 1 << 15 };

/* One bit of this rank's copy: the highest of a fraction, in the middle of the first parameter. */
void ftmpi__learner_corrupt(ftmpi_learner *l, ftmpi_failpoint point)
{
	float *victim = l->params + l->layout->params[0].offset + l->layout->params[0].n_elements / 2;
	uint32_t bits;

	if (ftmpi_failpoint_hit(point) != FTMPI_FAULT_CORRUPT)
		return;
	memcpy(&bits, victim, sizeof bits);
	bits ^= 1U << 22;
	memcpy(victim, &bits, sizeof bits);
}

/* @param params digest of the parameters; that of nothing where there is nobody to compare them with. */
static ftmpi_status compare(const ftmpi_learner *l, ftmpi_digest params)
{
	const struct {
		ftmpi_digest params;
		int64_t step;
		uint64_t seed;
		double learning_rate;
	} copy = {params, l->step, l->seed, (double)l->learning_rate};
	char what[64];

	(void)snprintf(what, sizeof what, "the parameters at step %lld", (long long)l->step);
	return ftmpi_comm_compare_copies(l->comm, ftmpi_hash(&copy, sizeof copy), what);
}

ftmpi_status ftmpi_learner_compare(const ftmpi_learner *l)
{
	ftmpi_digest params = {0};

	if (ftmpi_comm_size(l->comm) > 1)
		params = ftmpi_hash(l->params, (size_t)l->layout->n_elements * sizeof *l->params);
	return compare(l, params);
}

/* Whether x[0 … n−1] has an infinity or a NaN. On the bits and without a branch, so that it runs as fast as the memory. */
FTMPI_KERNEL static uint32_t any_not_finite(const float *x, int64_t n)
{
	const uint32_t exponent = UINT32_C(0x7f800000);
	uint32_t found = 0;

	for (int64_t i = 0; i < n; i++) {
		uint32_t bits;

		memcpy(&bits, &x[i], sizeof bits);
		found |= (bits & exponent) == exponent;
	}
	return found;
}

static bool is_finite(const ftmpi_learner *l, int64_t first, int64_t end)
{
	int64_t slice_first, slice_end;

	ftmpi_exchange_slice(l->exchange, &slice_first, &slice_end);
	first = first > slice_first ? first : slice_first;
	end = end < slice_end ? end : slice_end;
	return any_not_finite(l->params + first, end - first) == 0;
}

/* The own slice of the parameters is finite: a checkpoint never holds anything else. */
static ftmpi_status report_finite(const ftmpi_learner *l, bool finite)
{
	ftmpi_status status = FTMPI_OK;

	if (!finite)
		FTMPI_FAIL(FTMPI_ERR_DIVERGED,
			   "model diverged: a parameter is not finite after step %lld, which is not saved; older "
			   "checkpoints are good: try a smaller learning rate",
			   (long long)l->step);
done:
	return ftmpi_agree(l->comm, status);
}

ftmpi_status ftmpi__learner_check_finite(const ftmpi_learner *l)
{
	return report_finite(l, is_finite(l, 0, l->layout->n_elements));
}

/* Both in one pass over the memory. */
static ftmpi_status examine_params(const ftmpi_learner *l, ftmpi_digest *digest, bool *finite)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t n = l->layout->n_elements;
	ftmpi_hasher *hasher = NULL;

	FTMPI_TRY(ftmpi_hasher_create(&hasher));
	*finite = true;
	for (int64_t first = 0; first < n; first += BLOCK) {
		const int64_t end = first + BLOCK < n ? first + BLOCK : n;

		if (ftmpi_comm_size(l->comm) > 1)
			ftmpi_hasher_update(hasher, l->params + first, (size_t)(end - first) * sizeof *l->params);
		*finite = is_finite(l, first, end) && *finite;
	}
	*digest = ftmpi_hasher_digest(hasher);
done:
	ftmpi_hasher_destroy(&hasher);
	return status;
}

static ftmpi_status before_save(void *context)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_learner *l = context;
	ftmpi_digest params = {0};
	bool finite = false;

	ftmpi__learner_corrupt(l, FTMPI_FP_SAVE_PARAMS);
	FTMPI_TRY(ftmpi_agree(l->comm, examine_params(l, &params, &finite)));
	FTMPI_TRY(compare(l, params));
	FTMPI_TRY(report_finite(l, finite));
	l->u_product = ftmpi_optimizer_u_product(&l->optimizer, l->step);
	FTMPI_TRY(ftmpi__slot_parts_offer(l->slot_parts));
done:
	return status;
}

static ftmpi_status after_copy(void *context)
{
	const ftmpi_learner *l = context;

	return ftmpi__slot_parts_vouch(l->slot_parts);
}

/* Negative controls of the fault tests: leave one thing out of the restore on purpose, and the end must differ. */
static void leave_out_on_purpose(ftmpi_learner *l)
{
	if (ftmpi_failpoint_hit(FTMPI_FP_RESTORE_SLOT) == FTMPI_FAULT_SKIP && l->slots[0] != NULL)
		memset(l->slots[0], 0, (size_t)l->layout->n_elements * sizeof *l->slots[0]);
	if (ftmpi_failpoint_hit(FTMPI_FP_RESTORE_RNG) == FTMPI_FAULT_SKIP)
		l->seed = 0;
}

/* A restore brings back the parameters alone; an infinite update has spoilt the gaps too. */
static void clear_gaps(ftmpi_learner *l)
{
	int64_t at = 0;

	for (int i = 0; i < l->layout->n_params; i++) {
		const ftmpi_param *p = &l->layout->params[i];

		memset(l->params + at, 0, (size_t)(p->offset - at) * sizeof *l->params);
		at = p->offset + p->n_elements;
	}
	memset(l->params + at, 0, (size_t)(l->layout->n_elements - at) * sizeof *l->params);
}

static ftmpi_status after_restore(void *context)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_learner *l = context;
	const int64_t saved_workers = l->saved_workers;

	clear_gaps(l);
	leave_out_on_purpose(l);
	l->saved_workers = l->n_workers;
	if (saved_workers != l->n_workers)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "the checkpoint has %lld logical workers, this run %lld",
			   (long long)saved_workers, (long long)l->n_workers);
	if (l->step < 0)
		FTMPI_FAIL(FTMPI_ERR_DATA, "the checkpoint is at step %lld", (long long)l->step);
	if (!(l->learning_rate >= 0) || !isfinite(l->learning_rate))
		FTMPI_FAIL(FTMPI_ERR_DATA, "the checkpoint has the learning rate %g", (double)l->learning_rate);
done:
	return status;
}

/* Iteration, learning rate and slots under the names that Keras gives them. */
static ftmpi_status register_optimizer(ftmpi_learner *l, ftmpi_registry *r)
{
	ftmpi_status status = FTMPI_OK;
	const int n_entries = ftmpi_optimizer_n_slots(&l->optimizer) * l->layout->n_params;

	FTMPI_TRY(ftmpi_registry_add_group(r, "optimizer/vars", ftmpi_optimizer_name(l->optimizer.kind)));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "optimizer/vars/0", FTMPI_I64, &l->step, FTMPI_STATE));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "optimizer/vars/1", FTMPI_F32, &l->learning_rate, FTMPI_STATE));
	for (int k = 0; k < n_entries; k++) {
		const ftmpi_param *p;
		char path[FTMPI__PATH_BYTES];
		int slot, param;

		ftmpi_optimizer_keras_entry(&l->optimizer, l->layout->n_params, k, &slot, &param);
		p = &l->layout->params[param];
		(void)snprintf(path, sizeof path, "optimizer/vars/%d", k + 2);
		FTMPI_TRY(ftmpi_registry_add(r, path, FTMPI_F32, p->n_dims, p->dims, l->slots[slot] + p->offset,
					     FTMPI_STATE));
		FTMPI_TRY(ftmpi__slot_parts_register(l->slot_parts, k, r, path));
	}
	if (l->optimizer.kind == FTMPI_NADAM) {
		char path[FTMPI__PATH_BYTES];

		(void)snprintf(path, sizeof path, "optimizer/vars/%d", n_entries + 2);
		FTMPI_TRY(ftmpi_registry_add_scalar(r, path, FTMPI_F32, &l->u_product, FTMPI_STATE));
	}
done:
	return status;
}

ftmpi_status ftmpi_learner_track(ftmpi_learner *l, const ftmpi_model *model, ftmpi_checkpoint *checkpoint)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_registry *r = ftmpi_checkpoint_registry(checkpoint);
	const ftmpi_trackable trackable = {
		.context = l, .before_save = before_save, .after_restore = after_restore, .after_copy = after_copy};

	if (model != NULL)
		FTMPI_TRY(ftmpi__register_groups(model, r));
	FTMPI_TRY(ftmpi__register_params(l->layout, l->params, r));
	FTMPI_TRY(register_optimizer(l, r));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/seed", FTMPI_U64, &l->seed, FTMPI_STATE));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/logical_workers", FTMPI_I64, &l->saved_workers, FTMPI_STATE));
	FTMPI_TRY(ftmpi_checkpoint_add(checkpoint, &trackable));
done:
	return status;
}
