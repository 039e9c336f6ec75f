/* SPDX-License-Identifier: Apache-2.0 */
/* The place in the data: an epoch and a number of samples, from which everything else follows.
 *
 * The place always stands before the next batch, never at an epoch's end nor before a batch that is passed over: position < number of samples. No
 * epoch is passed over as a whole, so an epoch ends with each step across its end. */
#include <ftmpi/batches.h>

#include <ftmpi/failpoint.h>

/* More is no training any more. Also bounds the time that a damaged checkpoint's list can take. */
enum { MAX_SKIPPED = 4096 };

struct ftmpi_batches {
	ftmpi_order order;
	int64_t batch_size, epoch, position;
	ftmpi_buffer skipped; /* struct skipped */
};

/* As a checkpoint has it. */
struct skipped {
	int64_t epoch, first, step;
};

void ftmpi_batches_options_init(ftmpi_batches_options *options)
{
	*options = (ftmpi_batches_options){.batch_size = 32, .shuffle = true, .seed = 1};
}

ftmpi_status ftmpi_batches_create(const ftmpi_dataset *dataset, const ftmpi_batches_options *options,
				  ftmpi_batches **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_batches *b = NULL;

	if (options->batch_size < 1)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "a batch of %lld samples: it must be at least 1",
			   (long long)options->batch_size);
	FTMPI_TRY(FTMPI_ALLOC(1, &b));
	b->batch_size = options->batch_size;
	ftmpi_order_init(&b->order, options->seed, ftmpi_dataset_n_samples(dataset), options->shuffle);
	*out = b;
done:
	return status;
}

void ftmpi_batches_destroy(ftmpi_batches **batches)
{
	if (*batches == NULL)
		return;
	ftmpi_buffer_clear(&(*batches)->skipped);
	ftmpi_free(*batches);
	*batches = NULL;
}

static int64_t n_skipped(const ftmpi_batches *b)
{
	return (int64_t)(b->skipped.n_bytes / sizeof(struct skipped));
}

static const struct skipped *skipped_at(const ftmpi_batches *b, int64_t i)
{
	return (const struct skipped *)(const void *)b->skipped.data + i;
}

bool ftmpi_batches_skips(const ftmpi_batches *b, int64_t epoch, int64_t first)
{
	for (int64_t i = 0; i < n_skipped(b); i++)
		if (skipped_at(b, i)->epoch == epoch && skipped_at(b, i)->first == first)
			return true;
	return false;
}

/* Move to the next batch that is not passed over, `by` samples or more. @return whether the epoch has ended. */
static bool move(ftmpi_batches *b, int64_t by)
{
	bool ended = false;

	while (by > 0) {
		b->position += by;
		if (b->position >= b->order.n_samples) {
			b->position = 0;
			b->epoch++;
			ended = true;
		}
		by = ftmpi_batches_skips(b, b->epoch, b->position) ? b->batch_size : 0;
	}
	return ended;
}

ftmpi_batch ftmpi_batches_next(ftmpi_batches *b)
{
	const int64_t left = b->order.n_samples - b->position;
	ftmpi_batch batch = {.order = b->order,
			     .epoch = b->epoch,
			     .first = b->position,
			     .n_samples = left < b->batch_size ? left : b->batch_size};

	batch.ends_epoch = move(b, b->batch_size);
	return batch;
}

int64_t ftmpi_batches_epoch(const ftmpi_batches *b)
{
	return b->epoch;
}

int64_t ftmpi_batches_position(const ftmpi_batches *b)
{
	return b->position;
}

int64_t ftmpi_batches_per_epoch(const ftmpi_batches *b)
{
	return (b->order.n_samples - 1) / b->batch_size + 1;
}

void ftmpi_batches_seek(ftmpi_batches *b, int64_t epoch)
{
	b->epoch = epoch;
	b->position = 0;
	if (ftmpi_batches_skips(b, epoch, 0))
		(void)move(b, b->batch_size);
}

/* Of the first `n` that are passed over. */
static int64_t n_skipped_in(const ftmpi_batches *b, int64_t n, int64_t epoch)
{
	int64_t count = 0;

	for (int64_t i = 0; i < n; i++)
		count += skipped_at(b, i)->epoch == epoch;
	return count;
}

ftmpi_status ftmpi_batches_skip(ftmpi_batches *b, int64_t epoch, int64_t first, int64_t step, bool *ends_epoch)
{
	ftmpi_status status = FTMPI_OK;
	const struct skipped skipped = {epoch, first, step};
	bool ended = false;

	if (epoch < 0 || first < 0 || first >= b->order.n_samples || ftmpi_batches_skips(b, epoch, first))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "no batch begins at sample %lld of epoch %lld", (long long)first,
			   (long long)epoch);
	if (n_skipped_in(b, n_skipped(b), epoch) + 1 >= ftmpi_batches_per_epoch(b))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "epoch %lld would have no batch left", (long long)epoch);
	if (n_skipped(b) == MAX_SKIPPED)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%d batches are passed over already", MAX_SKIPPED);
	FTMPI_TRY(ftmpi_buffer_append(&b->skipped, &skipped, sizeof skipped));
	if (b->epoch == epoch && b->position == first)
		ended = move(b, b->batch_size);
	if (ends_epoch != NULL)
		*ends_epoch = ended;
done:
	return status;
}

static ftmpi_status check_skipped(const ftmpi_batches *b)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t n = n_skipped(b);

	if (b->skipped.n_bytes % sizeof(struct skipped) != 0 || n > MAX_SKIPPED)
		FTMPI_FAIL(FTMPI_ERR_DATA, "the checkpoint's list of batches that are passed over is damaged");
	for (int64_t i = 0; i < n; i++) {
		const struct skipped *s = skipped_at(b, i);

		if (s->epoch < 0 || s->first < 0 || s->first >= b->order.n_samples ||
		    n_skipped_in(b, i, s->epoch) + 1 >= ftmpi_batches_per_epoch(b))
			FTMPI_FAIL(FTMPI_ERR_DATA,
				   "the checkpoint passes over a batch (epoch %lld, sample %lld) that does not fit the "
				   "data",
				   (long long)s->epoch, (long long)s->first);
	}
done:
	return status;
}

static ftmpi_status after_restore(void *context)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_batches *b = context;

	if (ftmpi_failpoint_hit(FTMPI_FP_RESTORE_POSITION) == FTMPI_FAULT_SKIP)
		b->position = 0;
	if (b->epoch < 0 || b->position < 0 || b->position >= b->order.n_samples)
		FTMPI_FAIL(FTMPI_ERR_DATA, "the checkpoint's position (epoch %lld, sample %lld) does not fit the data",
			   (long long)b->epoch, (long long)b->position);
	FTMPI_TRY(check_skipped(b));
	if (ftmpi_batches_skips(b, b->epoch, b->position))
		FTMPI_FAIL(FTMPI_ERR_DATA, "the checkpoint stands before a batch that it passes over");
done:
	return status;
}

ftmpi_status ftmpi_batches_track(ftmpi_batches *b, ftmpi_checkpoint *checkpoint)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_registry *r = ftmpi_checkpoint_registry(checkpoint);
	const ftmpi_trackable trackable = {.context = b, .after_restore = after_restore};

	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/epoch", FTMPI_I64, &b->epoch, FTMPI_STATE));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/position", FTMPI_I64, &b->position, FTMPI_STATE));
	FTMPI_TRY(ftmpi_registry_add_scalar(r, "ftmpi/order_seed", FTMPI_U64, &b->order.seed, FTMPI_STATE));
	FTMPI_TRY(ftmpi_registry_add_buffer(r, "ftmpi/history/skipped", FTMPI_I64, &b->skipped, FTMPI_STATE));
	FTMPI_TRY(ftmpi_checkpoint_add(checkpoint, &trackable));
done:
	return status;
}
