/* SPDX-License-Identifier: Apache-2.0 */
/* The place in the data: an epoch and a number of samples, from which everything else follows.
 *
 * The place always stands before the next batch, never at an epoch's end: position < number of samples. */
#include <ftmpi/batches.h>

#include <ftmpi/failpoint.h>

struct ftmpi_batches {
	ftmpi_order order;
	int64_t batch_size, epoch, position;
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
	ftmpi_free(*batches);
	*batches = NULL;
}

ftmpi_batch ftmpi_batches_next(ftmpi_batches *b)
{
	const int64_t left = b->order.n_samples - b->position;
	const ftmpi_batch batch = {.order = b->order,
				   .epoch = b->epoch,
				   .first = b->position,
				   .n_samples = left < b->batch_size ? left : b->batch_size,
				   .ends_epoch = left <= b->batch_size};

	b->position = batch.ends_epoch ? 0 : b->position + batch.n_samples;
	b->epoch += batch.ends_epoch;
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
	FTMPI_TRY(ftmpi_checkpoint_add(checkpoint, &trackable));
done:
	return status;
}
