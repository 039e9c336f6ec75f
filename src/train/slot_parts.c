/* SPDX-License-Identifier: Apache-2.0 */
/* Slots are cut by parameter, as the file has them, and each of these by rank, as the exchange has them. The chief copies a part straight from its owner's
 * memory where it can; meanwhile the owner takes the digest that the copy is compared with, so that nothing that goes wrong between the two gets into a
 * checkpoint. For what is the chief's own there is nobody else to ask.
 *
 * Every rank has the same list of parts, those of an entry side by side. */
#include "train/slot_parts.h"

/* Where a part is. */
struct place {
	int slot;
	int64_t first; /* in the arena */
};

struct ftmpi__slot_parts {
	struct ftmpi__slots slots;
	int n_entries;
	int *starts;               /* [n_entries + 1]: the parts of an entry */
	ftmpi_part *parts;         /* [starts[n_entries]] */
	struct place *places;      /* of each part */
	int64_t *n_vouched, *next; /* [size]: parts that a rank vouches for; which of them comes next */
	const float **of;          /* [size], of one slot at a time */
	ftmpi_digest *digests;     /* room for those of all parts, rank after rank */
};

/* The parts of entry k; counts them where there is no room yet. */
static int plan_entry(ftmpi__slot_parts *p, int k, int at)
{
	const struct ftmpi__slots *s = &p->slots;
	const ftmpi_param *param;
	int slot, index;

	ftmpi_optimizer_keras_entry(s->optimizer, s->layout->n_params, k, &slot, &index);
	param = &s->layout->params[index];
	for (int rank = 0; rank < ftmpi_comm_size(s->comm); rank++) {
		int64_t first, end;

		ftmpi_exchange_slice_of(s->exchange, rank, &first, &end);
		first = first > param->offset ? first : param->offset;
		end = end < param->offset + param->n_elements ? end : param->offset + param->n_elements;
		if (first >= end)
			continue;
		if (p->parts != NULL) {
			p->parts[at] = (ftmpi_part){.n_bytes = (size_t)(end - first) * sizeof(float), .owner = rank};
			p->places[at] = (struct place){.slot = slot, .first = first};
			p->n_vouched[rank] += rank != FTMPI_CHIEF;
		}
		at++;
	}
	return at;
}

static void plan(ftmpi__slot_parts *p)
{
	for (int k = 0; k < p->n_entries; k++)
		p->starts[k + 1] = plan_entry(p, k, p->starts[k]);
}

ftmpi_status ftmpi__slot_parts_create(const struct ftmpi__slots *slots, ftmpi__slot_parts **out)
{
	ftmpi_status status = FTMPI_OK;
	const int size = ftmpi_comm_size(slots->comm);
	ftmpi__slot_parts *p = NULL;

	FTMPI_TRY(FTMPI_ALLOC(1, &p));
	p->slots = *slots;
	p->n_entries = ftmpi_optimizer_n_slots(slots->optimizer) * slots->layout->n_params;
	FTMPI_TRY(FTMPI_ALLOC(p->n_entries + 1, &p->starts));
	FTMPI_TRY(FTMPI_ALLOC(size, &p->n_vouched));
	FTMPI_TRY(FTMPI_ALLOC(size, &p->next));
	FTMPI_TRY(FTMPI_ALLOC(size, &p->of));
	plan(p);
	FTMPI_TRY(FTMPI_ALLOC(p->starts[p->n_entries] + 1, &p->places));
	FTMPI_TRY(FTMPI_ALLOC(p->starts[p->n_entries] + 1, &p->digests));
	FTMPI_TRY(FTMPI_ALLOC(p->starts[p->n_entries] + 1, &p->parts));
	plan(p);
	*out = p;
	p = NULL;
done:
	ftmpi__slot_parts_destroy(&p);
	return status;
}

void ftmpi__slot_parts_destroy(ftmpi__slot_parts **parts)
{
	ftmpi__slot_parts *p = *parts;

	if (p == NULL)
		return;
	ftmpi_free(p->starts);
	ftmpi_free(p->parts);
	ftmpi_free(p->places);
	ftmpi_free(p->n_vouched);
	ftmpi_free(p->next);
	ftmpi_free(p->of);
	ftmpi_free(p->digests);
	ftmpi_free(p);
	*parts = NULL;
}

ftmpi_status ftmpi__slot_parts_register(const ftmpi__slot_parts *p, int k, ftmpi_registry *registry, const char *path)
{
	if (ftmpi_comm_size(p->slots.comm) == 1)
		return FTMPI_OK;
	return ftmpi_registry_set_parts(registry, path, p->parts + p->starts[k], p->starts[k + 1] - p->starts[k]);
}

/* Where the chief finds the parts of a slot. */
static void locate(ftmpi__slot_parts *p, int slot)
{
	for (int i = 0; i < p->starts[p->n_entries]; i++) {
		if (p->places[i].slot != slot)
			continue;
		p->parts[i].data = p->of[p->parts[i].owner] + p->places[i].first;
		p->parts[i].vouched = false;
	}
}

ftmpi_status ftmpi__slot_parts_offer(ftmpi__slot_parts *p)
{
	ftmpi_status status = FTMPI_OK;
	const struct ftmpi__slots *s = &p->slots;

	for (int i = 0; i < ftmpi_optimizer_n_slots(s->optimizer) && ftmpi_comm_size(s->comm) > 1; i++) {
		FTMPI_TRY(ftmpi_exchange_offer(s->exchange, s->arenas[i], p->of));
		if (ftmpi_comm_is_chief(s->comm))
			locate(p, i);
	}
done:
	return status;
}

/* Digests of the own parts, in order. */
static void digest_own(ftmpi__slot_parts *p)
{
	const int me = ftmpi_comm_rank(p->slots.comm);
	int n = 0;

	for (int i = 0; i < p->starts[p->n_entries]; i++)
		if (p->parts[i].owner == me)
			p->digests[n++] = ftmpi_hash(p->slots.arenas[p->places[i].slot] + p->places[i].first,
						     p->parts[i].n_bytes);
}

/* On the chief: what the others said, rank after rank. */
static void hand_out(ftmpi__slot_parts *p)
{
	int64_t at = 0;

	for (int rank = 0; rank < ftmpi_comm_size(p->slots.comm); rank++) {
		p->next[rank] = at;
		at += p->n_vouched[rank];
	}
	for (int i = 0; i < p->starts[p->n_entries]; i++) {
		ftmpi_part *part = &p->parts[i];

		part->vouched = part->owner != FTMPI_CHIEF;
		if (part->vouched)
			part->digest = p->digests[p->next[part->owner]++];
	}
}

ftmpi_status ftmpi__slot_parts_vouch(ftmpi__slot_parts *p)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_comm *comm = p->slots.comm;
	const bool is_chief = ftmpi_comm_is_chief(comm);

	if (!is_chief)
		digest_own(p);
	FTMPI_TRY(ftmpi_comm_gather_rows(comm, p->digests, p->n_vouched, (int64_t)sizeof *p->digests, p->digests));
	if (is_chief)
		hand_out(p);
done:
	return status;
}
