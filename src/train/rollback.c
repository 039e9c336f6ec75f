/* SPDX-License-Identifier: Apache-2.0 */
/* Going back when the training diverges.
 *
 *     1  restore the newest checkpoint                       everything that is tracked, the list of what is passed over too
 *     2  count: has it gone well for a while since the last time?    what is known from before the restore counts, should the file not have it
 *     3  pass over 2^(n−1) batches more
 *     4  tell the fit, which tells the other callbacks and lets the saver save
 *
 * A death before that save leaves the checkpoint as it was: the relaunch meets the same batch, and decides the same. */
#include <ftmpi/rollback.h>

#include "train/saver.h"
#include "train/trainer.h"

#include <ftmpi/failpoint.h>
#include <ftmpi/log.h>

#include <stdio.h>
#include <string.h>

enum { STEP, COUNT, N_FACTS, MOST_ROLLBACKS = 30 };

/* Steps beyond the last divergence after which the next one is another matter. */
enum { STEPS_OF_ONE = 5 };

struct ftmpi_rollback {
	ftmpi_saver *saver;
	int64_t max_rollbacks;
	ftmpi_callback callback;
	int64_t last[N_FACTS]; /* step that diverged last, and how often in a row; saved */
};

static ftmpi_status attach(void *context, ftmpi_fit *fit)
{
	ftmpi_rollback *r = context;
	const int64_t n = N_FACTS;

	r->last[STEP] = -1;
	r->last[COUNT] = 0;
	return ftmpi_registry_add(ftmpi_checkpoint_registry(ftmpi_fit_checkpoint(fit)), "ftmpi/run/rollback", FTMPI_I64,
				  1, &n, r->last, FTMPI_RECORD);
}

/* A place in the order of batches. */
struct place {
	int64_t epoch, first;
};

static bool is_before(struct place a, struct place b)
{
	return a.epoch < b.epoch || (a.epoch == b.epoch && a.first < b.first);
}

static struct place previous(const ftmpi_fit *fit, struct place p)
{
	const int64_t batch_size = fit->options->batch_size;

	if (p.first >= batch_size)
		return (struct place){p.epoch, p.first - batch_size};
	return (struct place){p.epoch - 1, (ftmpi_batches_per_epoch(fit->batches) - 1) * batch_size};
}

/* Pass over `n` batches, those from `at` backwards to where the fit stands; the first of them without fail. @param n_done set to how many. @param ended set
 * to the epoch that ends by it; −1: none. */
static ftmpi_status pass_over(ftmpi_fit *fit, struct place at, int64_t n, int64_t step, int64_t *n_done, int64_t *ended)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_batches *b = fit->batches;
	const struct place here = {ftmpi_batches_epoch(b), ftmpi_batches_position(b)};

	*n_done = 0;
	*ended = -1;
	for (; *n_done < n && !is_before(at, here); at = previous(fit, at)) {
		bool ends_epoch = false;

		if (ftmpi_batches_skips(b, at.epoch, at.first))
			continue;
		status = ftmpi_batches_skip(b, at.epoch, at.first, step, &ends_epoch);
		if (status == FTMPI_ERR_USAGE && *n_done > 0) {
			status = FTMPI_OK;
			break;
		}
		FTMPI_TRY(status);
		*n_done += 1;
		*ended = ends_epoch ? here.epoch : *ended;
	}
done:
	return status;
}

/* @param last what was known before the restore. @param why for the message. */
static ftmpi_status count(ftmpi_rollback *r, const int64_t *last, int64_t diverged_at, const char *why)
{
	ftmpi_status status = FTMPI_OK;
	const bool again = last[COUNT] > 0 && diverged_at < last[STEP] + STEPS_OF_ONE;

	if (again && last[COUNT] >= r->max_rollbacks)
		FTMPI_FAIL(FTMPI_ERR_DIVERGED,
			   "%s; gone back %lld times in a row already, in vain: try a smaller learning rate", why,
			   (long long)last[COUNT]);
	r->last[STEP] = diverged_at;
	r->last[COUNT] = again ? last[COUNT] + 1 : 1;
done:
	return status;
}

/* After the restore. */
static ftmpi_status go_on(ftmpi_rollback *r, ftmpi_fit *fit, int64_t diverged_at, const char *why, const char *path)
{
	ftmpi_status status = FTMPI_OK;
	const struct place last = {fit->current.epoch, fit->current.first};
	int64_t n_done, ended;

	status = pass_over(fit, last, INT64_C(1) << (r->last[COUNT] - 1), diverged_at, &n_done, &ended);
	if (status == FTMPI_ERR_USAGE)
		FTMPI_FAIL(FTMPI_ERR_DIVERGED, "%s; %s: try a smaller learning rate", why, ftmpi_error_message());
	FTMPI_TRY(status);
	if (ftmpi_comm_is_chief(ftmpi_fit_comm(fit)))
		ftmpi_log(
			FTMPI_LOG_WARNING,
			"%s: going back to %s, and from there on without %lld batch%s, the last one of them at sample "
			"%lld of epoch %lld (rollback %lld of at most %lld in a row)",
			why, path, (long long)n_done, n_done == 1 ? "" : "es", (long long)last.first,
			(long long)last.epoch + 1, (long long)r->last[COUNT], (long long)r->max_rollbacks);
	ftmpi__fit_rewind(fit, ended);
done:
	return status;
}

static ftmpi_status diverged(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_rollback *r = context;
	const int64_t last[N_FACTS] = {r->last[STEP], r->last[COUNT]};
	const int64_t diverged_at = ftmpi_fit_progress(fit).step;
	const char *path = NULL, *message = ftmpi_error_message();
	char why[256];

	(void)snprintf(why, sizeof why, "%.*s", (int)strcspn(message, ";"), message);
	ftmpi_error_clear();
	(void)ftmpi_failpoint_hit(FTMPI_FP_ROLLBACK_BEGIN);
	FTMPI_TRY(ftmpi__saver_finish(r->saver, fit));
	FTMPI_TRY(ftmpi__fit_restore(fit, ftmpi__saver_manager(r->saver), &path));
	if (path == NULL)
		FTMPI_FAIL(FTMPI_ERR_DIVERGED, "%s; there is no checkpoint to go back to", why);
	FTMPI_TRY(count(r, last, diverged_at, why));
	FTMPI_TRY(go_on(r, fit, diverged_at, why, path));
	(void)ftmpi_failpoint_hit(FTMPI_FP_ROLLBACK_END);
done:
	return status;
}

ftmpi_status ftmpi_rollback_create(ftmpi_saver *saver, int64_t max_rollbacks, ftmpi_rollback **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_rollback *r = NULL;

	if (max_rollbacks < 1 || max_rollbacks > MOST_ROLLBACKS)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%lld rollbacks in a row: 1 to %d are possible", (long long)max_rollbacks,
			   MOST_ROLLBACKS);
	FTMPI_TRY(FTMPI_ALLOC(1, &r));
	r->saver = saver;
	r->max_rollbacks = max_rollbacks;
	r->callback = (ftmpi_callback){.context = r, .name = "rollback", .attach = attach, .diverged = diverged};
	*out = r;
done:
	return status;
}

void ftmpi_rollback_destroy(ftmpi_rollback **rollback)
{
	ftmpi_free(*rollback);
	*rollback = NULL;
}

const ftmpi_callback *ftmpi_rollback_callback(const ftmpi_rollback *r)
{
	return &r->callback;
}
