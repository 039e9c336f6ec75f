/* SPDX-License-Identifier: Apache-2.0 */
/* XXH3-128 through the xxHash library: with the widest vectors that the processor has, where the library can choose at run time. The digests are the
 * same. */
#include <ftmpi/hash.h>
#include <ftmpi/memory.h>

#include <stdio.h>
#include <string.h>
#include <xxhash.h>
#ifdef FTMPI_XXHASH_DISPATCH
#include <xxh_x86dispatch.h> /* gives the functions of xxhash.h other names */
#endif

static ftmpi_digest from_xxh(XXH128_hash_t h)
{
	return (ftmpi_digest){.low = h.low64, .high = h.high64};
}

ftmpi_digest ftmpi_hash(const void *data, size_t n_bytes)
{
	return from_xxh(XXH3_128bits(data, n_bytes));
}

struct ftmpi_hasher {
	XXH3_state_t *state;
};

ftmpi_status ftmpi_hasher_create(ftmpi_hasher **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_hasher *hasher = NULL;

	FTMPI_TRY(FTMPI_ALLOC(1, &hasher));
	hasher->state = XXH3_createState();
	if (hasher->state == NULL || XXH3_128bits_reset(hasher->state) != XXH_OK)
		FTMPI_FAIL(FTMPI_ERR_MEMORY, "out of memory for a hash state");
	*out = hasher;
	hasher = NULL;
done:
	ftmpi_hasher_destroy(&hasher);
	return status;
}

void ftmpi_hasher_update(ftmpi_hasher *hasher, const void *data, size_t n_bytes)
{
	if (n_bytes > 0)
		(void)XXH3_128bits_update(hasher->state, data, n_bytes);
}

ftmpi_digest ftmpi_hasher_digest(const ftmpi_hasher *hasher)
{
	return from_xxh(XXH3_128bits_digest(hasher->state));
}

void ftmpi_hasher_destroy(ftmpi_hasher **hasher)
{
	if (*hasher == NULL)
		return;
	(void)XXH3_freeState((*hasher)->state);
	ftmpi_free(*hasher);
	*hasher = NULL;
}

bool ftmpi_digest_equal(ftmpi_digest a, ftmpi_digest b)
{
	return a.low == b.low && a.high == b.high;
}

void ftmpi_digest_format(ftmpi_digest digest, char text[FTMPI_DIGEST_TEXT])
{
	(void)snprintf(text, FTMPI_DIGEST_TEXT, "%016llx%016llx", (unsigned long long)digest.high,
		       (unsigned long long)digest.low);
}

/* 16 hexadecimal digits; false on anything else. */
static bool parse_word(const char *text, uint64_t *out)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t word = 0;

	for (int i = 0; i < 16; i++) {
		const char *digit = text[i] == '\0' ? NULL : strchr(digits, text[i]);
		if (digit == NULL)
			return false;
		word = word << 4 | (uint64_t)(digit - digits);
	}
	*out = word;
	return true;
}

bool ftmpi_digest_parse(const char *text, ftmpi_digest *out)
{
	ftmpi_digest digest;

	if (!parse_word(text, &digest.high) || !parse_word(text + 16, &digest.low) || text[32] != '\0')
		return false;
	*out = digest;
	return true;
}
