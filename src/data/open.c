/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a data set over all ranks.
 *
 *     step                                     who                         ends with
 *     options, path → kind of source           chief                       agree, broadcast
 *     headers found and checked                the ranks that read         agree
 *     what the headers say                     chief → all                 agree (nodes may have other files)
 *     the node's copy                          all                         agree
 *     samples read and checked                 the ranks that read         agree
 *     digest                                   first rank of a node        agree, compare
 *
 * Sources work without any collective call, so a rank that fails never leaves another in one: that is why each rank
 * opens an HDF5 file for itself. The node's copy is one piece of shared memory: digest, inputs, targets, each aligned to
 * FTMPI_ALIGNMENT. */
#include "data/convert.h"

#include <errno.h>
#include <ftmpi/slice.h>
#include <ftmpi/watchdog.h>
#include <string.h>
#include <sys/stat.h>

static const ftmpi__source_ops *const sources[] = {&ftmpi__idx_source, &ftmpi__hdf5_source};

/* Index into `sources`. */
static ftmpi_status find_source(const char *path, int *out)
{
	ftmpi_status status = FTMPI_OK;
	struct stat info;

	if (stat(path, &info) != 0)
		FTMPI_FAIL(errno == ENOENT || errno == ENOTDIR ? FTMPI_ERR_NOT_FOUND : FTMPI_ERR_IO,
			   "%s: %s; data is a folder with IDX files or one HDF5 file", path, strerror(errno));
	if (S_ISDIR(info.st_mode))
		*out = 0;
	else if (S_ISREG(info.st_mode) && ftmpi__hdf5_probe(path))
		*out = 1;
	else
		FTMPI_FAIL(FTMPI_ERR_DATA, "%s: neither a folder with IDX files nor an HDF5 file", path);
done:
	return status;
}

/* The chief decides. Collective. */
static ftmpi_status choose_source(const ftmpi_comm *comm, const char *path, const ftmpi_dataset_options *options,
				  const ftmpi__source_ops **out)
{
	ftmpi_status status = FTMPI_OK;
	int source = 0;

	status = ftmpi__dataset_check_options(options, 0);
	if (status == FTMPI_OK && ftmpi_comm_is_chief(comm))
		status = find_source(path, &source);
	FTMPI_TRY(ftmpi_agree(comm, status));
	FTMPI_TRY(ftmpi_broadcast(comm, &source, (int64_t)sizeof source, FTMPI_CHIEF));
	*out = sources[source];
done:
	return status;
}

/* The chief's headers for all; whoever has read headers too must have read the same. Collective. */
static ftmpi_status share_info(const ftmpi_comm *comm, const char *path, bool has_read, ftmpi__split_info *info)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi__split_info mine = *info;

	FTMPI_TRY(ftmpi_broadcast(comm, info, (int64_t)sizeof *info, FTMPI_CHIEF));
	if (has_read && memcmp(&mine, info, sizeof mine) != 0)
		status = ftmpi_error_set(
			FTMPI_ERR_DATA, __FILE__, __LINE__,
			"%s: rank %d finds other data there than the chief; is the path the same folder on every node?",
			path, ftmpi_comm_rank(comm));
	FTMPI_TRY(ftmpi_agree(comm, status));
done:
	return status;
}

static int64_t align(int64_t n_bytes)
{
	return (n_bytes + FTMPI_ALIGNMENT - 1) / FTMPI_ALIGNMENT * FTMPI_ALIGNMENT;
}

/* Take the node's memory and lay the arrays out in it. Collective. */
static ftmpi_status share_memory(const ftmpi_comm *comm, ftmpi_dataset *dataset, const ftmpi_dataset_options *options,
				 ftmpi__sink *sink)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t n = dataset->info.n_samples;
	const int64_t element_bytes = dataset->info.is_u8 ? (int64_t)sizeof(uint8_t) : (int64_t)sizeof(float);
	const int64_t inputs_at = align((int64_t)sizeof(ftmpi_digest));
	const int64_t targets_at = inputs_at + align(n * dataset->n_features * element_bytes);
	const int64_t n_targets = dataset->info.n_targets;
	const int64_t target_bytes = n_targets > 0 ? n_targets * (int64_t)sizeof(float) : (int64_t)sizeof(int32_t);
	char *base;
	void *targets;

	FTMPI_TRY(ftmpi_shared_create(comm, targets_at + align(n * target_bytes), &dataset->shared));
	base = ftmpi_shared_data(dataset->shared);
	targets = base + targets_at;
	*sink = (ftmpi__sink){.inputs = base + inputs_at,
			      .labels = n_targets > 0 ? NULL : targets,
			      .values = n_targets > 0 ? targets : NULL,
			      .is_u8 = dataset->info.is_u8,
			      .n_features = dataset->n_features,
			      .n_targets = n_targets,
			      .n_classes = options->n_classes,
			      .scale = dataset->scale};
	dataset->inputs = sink->inputs;
	dataset->labels = sink->labels;
	dataset->values = sink->values;
done:
	return status;
}

/* This rank's share of the samples. Local. */
static ftmpi_status read_share(const ftmpi_comm *comm, const ftmpi__source_ops *source, void *self,
			       const ftmpi__sink *sink, int64_t n_samples)
{
	const int64_t parts = source->all_ranks ? ftmpi_comm_node_size(comm) : 1;
	const int64_t part = ftmpi_comm_node_rank(comm);

	if (part >= parts)
		return FTMPI_OK;
	return source->read(self, ftmpi_slice_start(n_samples, parts, part),
			    ftmpi_slice_start(n_samples, parts, part + 1), sink);
}

/* Digest by each node's first rank; every node must have the same. Collective. */
static ftmpi_status seal(const ftmpi_comm *comm, ftmpi_dataset *dataset, const char *path)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_digest *const digest = ftmpi_shared_data(dataset->shared);

	FTMPI_TRY(ftmpi_shared_sync(dataset->shared));
	if (ftmpi_comm_node_rank(comm) == 0)
		status = ftmpi__dataset_hash(dataset, digest);
	FTMPI_TRY(ftmpi_agree(comm, status));
	FTMPI_TRY(ftmpi_shared_sync(dataset->shared));
	dataset->digest = *digest;
	FTMPI_TRY(ftmpi_comm_compare(comm, dataset->digest, path));
done:
	return status;
}

ftmpi_status ftmpi_dataset_open(const ftmpi_comm *comm, const char *path, ftmpi_split split,
				const ftmpi_dataset_options *options, ftmpi_dataset **out)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi__source_ops *source = NULL;
	ftmpi_dataset *dataset = NULL;
	void *self = NULL;
	ftmpi__split_info info = {0};
	ftmpi__sink sink;
	const ftmpi_mark before = ftmpi_watch_begin(comm, FTMPI_PHASE_DATA, NULL);
	bool reads;

	FTMPI_TRY(choose_source(comm, path, options, &source));
	reads = source->all_ranks || ftmpi_comm_node_rank(comm) == 0;
	if (reads)
		status = source->open(path, split, options->n_classes > 0, &info, &self);
	FTMPI_TRY(ftmpi_agree(comm, status));
	FTMPI_TRY(share_info(comm, path, reads, &info));
	if (info.is_present) {
		FTMPI_TRY(ftmpi_agree(comm, ftmpi__dataset_create(&info, options, &dataset)));
		FTMPI_TRY(share_memory(comm, dataset, options, &sink));
		FTMPI_TRY(ftmpi_agree(comm, read_share(comm, source, self, &sink, info.n_samples)));
		FTMPI_TRY(seal(comm, dataset, path));
	}
	*out = dataset;
	dataset = NULL;
done:
	ftmpi_watch_end(comm, before);
	if (source != NULL)
		source->close(self);
	ftmpi_dataset_destroy(&dataset);
	return status;
}
