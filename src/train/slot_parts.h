/* SPDX-License-Identifier: Apache-2.0 */
/* The optimizer's slots as they are saved: each rank's slice from where that rank has it. */
#ifndef FTMPI_TRAIN_SLOT_PARTS_H
#define FTMPI_TRAIN_SLOT_PARTS_H

#include <ftmpi/exchange.h>
#include <ftmpi/model.h>
#include <ftmpi/optimizer.h>
#include <ftmpi/registry.h>

/** Whose slots. All of it outlives the parts. */
struct ftmpi__slots {
	const ftmpi_comm *comm;
	const ftmpi_layout *layout;
	const ftmpi_optimizer *optimizer;
	ftmpi_exchange *exchange;
	float *const *arenas; /* [slots] arrays of the exchange */
};

typedef struct ftmpi__slot_parts ftmpi__slot_parts;

/** Plan them. Local. Errors: ERR_MEMORY. */
ftmpi_status ftmpi__slot_parts_create(const struct ftmpi__slots *slots, ftmpi__slot_parts **out) FTMPI_CHECK_RESULT;
void ftmpi__slot_parts_destroy(ftmpi__slot_parts **parts);

/** Where the k-th entry of the optimizer (ftmpi_optimizer_keras_entry) is saved from, where there is more than one rank. Local. Errors: ERR_USAGE. */
ftmpi_status ftmpi__slot_parts_register(const ftmpi__slot_parts *parts, int k, ftmpi_registry *registry,
					const char *path) FTMPI_CHECK_RESULT;

/** The chief can read them: until it has, no rank changes its slots. Collective. Errors: ERR_MPI. */
ftmpi_status ftmpi__slot_parts_offer(ftmpi__slot_parts *parts) FTMPI_CHECK_RESULT;
/** What they are, from each owner to the chief. Collective. Cost: an owner reads its slices. Errors: ERR_MPI. */
ftmpi_status ftmpi__slot_parts_vouch(ftmpi__slot_parts *parts) FTMPI_CHECK_RESULT;

#endif
