/* SPDX-License-Identifier: Apache-2.0 */
/* Walk over the objects of a checkpoint file in memory.
 *
 * Why not HDF5 itself: its library is written for files that one trusts (forged metadata crashed 1.10.8 here), copies
 * the image and then each dataset, and must be called from one thread. What ftmpi writes is a small part of the format: superblock 3, object
 * headers of version 2, links and attributes in the headers, contiguous data. This walk takes that part and refuses all else, allocates
 * nothing, and hands out pointers into the image.
 *
 * Bounds: all bytes come through cursors. The bytes of all headers and all datasets together must not be more than the file has: so none is taken
 * twice for long, which ends cycles and the blow-up of shared subtrees, keeps the time linear, and limits what a caller
 * can be made to copy. Nesting is limited to what the registry takes. */
#include "ckpt/hdf5_parse.h"
#include "ckpt/hdf5_messages.h"

#include <stdio.h>
#include <string.h>

enum { MAX_PENDING = 64, CHECKSUM_BYTES = 4, SIGNATURE_BYTES = 4 };

struct walk {
	const uint8_t *image;
	size_t n_bytes;
	const char *file;
	ftmpi__hdf5_visit *visit;
	void *context;
	uint64_t bytes_left;              /* of the file, not yet taken for a header or data */
	char path[FTMPI__ENTRY_PATH_MAX]; /* of the object being walked; "" for the root */
	size_t path_bytes;
	int depth;
};

/* What the messages of one object have said so far. */
struct object {
	bool is_group, has_type, has_shape, has_layout;
	ftmpi__hdf5_value value;
	ftmpi__hdf5_layout layout;
	struct {
		uint64_t address, n_bytes;
	} pending[MAX_PENDING]; /* further chunks of the header */
	int n_pending;
	bool tracks_order; /* each message is two bytes longer */
};

static ftmpi_status walk_object(struct walk *w, uint64_t address);

static ftmpi_status bad(const struct walk *w, const char *what)
{
	(void)ftmpi_error_set(FTMPI_ERR_DATA, __FILE__, __LINE__,
			      "checkpoint '%s' is damaged or not ftmpi's: '/%s' has %s", w->file, w->path, what);
	return FTMPI_ERR_DATA;
}

ftmpi_status ftmpi__hdf5_check_start(const uint8_t *start, size_t n_bytes, const char *file)
{
	ftmpi_status status = FTMPI_OK;
	static const uint8_t signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
	ftmpi__cursor c = {.at = start, .left = FTMPI__HDF5_START_BYTES};
	uint64_t version, address_bytes, length_bytes, flags, base, length;

	if (n_bytes < FTMPI__HDF5_START_BYTES)
		FTMPI_FAIL(FTMPI_ERR_DATA, "checkpoint '%s' is cut off: it has %zu bytes", file, n_bytes);
	if (memcmp(ftmpi__cursor_take(&c, sizeof signature), signature, sizeof signature) != 0)
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s' is not an HDF5 file", file);
	version = ftmpi__cursor_number(&c, 1);
	address_bytes = ftmpi__cursor_number(&c, 1);
	length_bytes = ftmpi__cursor_number(&c, 1);
	flags = ftmpi__cursor_number(&c, 1);
	base = ftmpi__cursor_number(&c, 8);
	(void)ftmpi__cursor_number(&c, 8); /* superblock extension: nothing that matters here */
	length = ftmpi__cursor_number(&c, 8);
	(void)ftmpi__cursor_number(&c, 8); /* root group */
	if (version != 3 || address_bytes != 8 || length_bytes != 8)
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s' is an HDF5 file, but not a checkpoint that ftmpi wrote (superblock)",
			   file);
	if (ftmpi__lookup3(start, FTMPI__HDF5_START_BYTES - CHECKSUM_BYTES) != ftmpi__cursor_number(&c, CHECKSUM_BYTES))
		FTMPI_FAIL(FTMPI_ERR_DATA, "checkpoint '%s' is damaged: checksum of the superblock", file);
	if (flags != 0)
		FTMPI_FAIL(FTMPI_ERR_DATA, "checkpoint '%s' was not closed by the program that wrote to it", file);
	if (base != 0)
		FTMPI_FAIL(FTMPI_ERR_DATA, "'%s' is an HDF5 file, but not a checkpoint that ftmpi wrote (offset)",
			   file);
	if (length != n_bytes)
		FTMPI_FAIL(FTMPI_ERR_DATA,
			   "checkpoint '%s' has %zu bytes where its header says %llu: it is cut off or damaged", file,
			   n_bytes, (unsigned long long)length);
done:
	return status;
}

/* A cursor over bytes of the file that hold headers; counted, so that none is walked twice. */
static ftmpi_status open_header(struct walk *w, uint64_t address, uint64_t n_bytes, ftmpi__cursor *out)
{
	if (address > w->n_bytes || n_bytes > w->n_bytes - address)
		return bad(w, "a header beyond the end of the file");
	if (n_bytes > w->bytes_left)
		return bad(w, "an object that is linked twice");
	w->bytes_left -= n_bytes;
	*out = (ftmpi__cursor){.at = w->image + address, .left = (size_t)n_bytes};
	return FTMPI_OK;
}

/* The chunk from `start` ends with a checksum of all before it; take the checksum off. */
static ftmpi_status check_chunk(const struct walk *w, const uint8_t *start, ftmpi__cursor *messages)
{
	const size_t body = messages->left - CHECKSUM_BYTES;
	const uint8_t *end = messages->at + body;
	ftmpi__cursor sum = {.at = end, .left = CHECKSUM_BYTES};

	if (ftmpi__lookup3(start, (size_t)(end - start)) != ftmpi__cursor_number(&sum, CHECKSUM_BYTES))
		return bad(w, "a header with a wrong checksum");
	messages->left = body;
	return FTMPI_OK;
}

/* First chunk of an object header of version 2: `*messages` is set to its messages. */
static ftmpi_status open_object(struct walk *w, uint64_t address, struct object *object, ftmpi__cursor *messages)
{
	enum { WIDTH_BITS = 3, TRACKS_ORDER = 4, HAS_PHASE_CHANGE = 16, HAS_TIMES = 32 };
	ftmpi_status status = FTMPI_OK;
	ftmpi__cursor c, whole;
	uint64_t flags, chunk_bytes;
	size_t prefix_bytes;

	if (address >= w->n_bytes)
		FTMPI_TRY(bad(w, "a header beyond the end of the file"));
	c = (ftmpi__cursor){.at = w->image + address, .left = w->n_bytes - (size_t)address};
	whole = c;
	if (c.left < SIGNATURE_BYTES || memcmp(ftmpi__cursor_take(&c, SIGNATURE_BYTES), "OHDR", SIGNATURE_BYTES) != 0 ||
	    ftmpi__cursor_number(&c, 1) != 2)
		FTMPI_TRY(bad(w, "no header of version 2"));
	flags = ftmpi__cursor_number(&c, 1);
	(void)ftmpi__cursor_take(&c, (flags & HAS_TIMES ? 16 : 0) + (flags & HAS_PHASE_CHANGE ? 4 : 0));
	chunk_bytes = ftmpi__cursor_number(&c, (size_t)1 << (flags & WIDTH_BITS));
	if (c.bad || c.left < CHECKSUM_BYTES || chunk_bytes > c.left - CHECKSUM_BYTES)
		FTMPI_TRY(bad(w, "a header beyond the end of the file"));
	prefix_bytes = (size_t)(c.at - whole.at);
	FTMPI_TRY(open_header(w, address, prefix_bytes + chunk_bytes + CHECKSUM_BYTES, &whole));
	*messages = (ftmpi__cursor){.at = whole.at + prefix_bytes, .left = (size_t)chunk_bytes + CHECKSUM_BYTES};
	FTMPI_TRY(check_chunk(w, whole.at, messages));
	object->tracks_order = (flags & TRACKS_ORDER) != 0;
done:
	return status;
}

/* A further chunk of an object header. */
static ftmpi_status open_continuation(struct walk *w, struct object *object, ftmpi__cursor *messages)
{
	ftmpi_status status = FTMPI_OK;
	const uint8_t *start;

	object->n_pending--;
	FTMPI_TRY(open_header(w, object->pending[object->n_pending].address, object->pending[object->n_pending].n_bytes,
			      messages));
	start = messages->at;
	if (messages->left < SIGNATURE_BYTES + CHECKSUM_BYTES ||
	    memcmp(ftmpi__cursor_take(messages, SIGNATURE_BYTES), "OCHK", SIGNATURE_BYTES) != 0)
		FTMPI_TRY(bad(w, "a header that is not continued where it says"));
	FTMPI_TRY(check_chunk(w, start, messages));
done:
	return status;
}

/* Go down one link: the child's path is the parent's with the name behind it. */
static ftmpi_status walk_link(struct walk *w, ftmpi__cursor message)
{
	ftmpi_status status = FTMPI_OK;
	const size_t parent_bytes = w->path_bytes;
	ftmpi__hdf5_link link;
	const char *wrong = ftmpi__hdf5_decode_link(message, &link);

	if (wrong != NULL)
		FTMPI_TRY(bad(w, wrong));
	if (memchr(link.name, '/', link.name_bytes) != NULL || memchr(link.name, '\0', link.name_bytes) != NULL)
		FTMPI_TRY(bad(w, "a link with a bad name"));
	if (w->depth == FTMPI__ENTRY_MAX_PARTS || parent_bytes + 1 + link.name_bytes >= sizeof w->path)
		FTMPI_TRY(bad(w, "groups nested too deep"));
	if (parent_bytes > 0)
		w->path[w->path_bytes++] = '/';
	memcpy(w->path + w->path_bytes, link.name, link.name_bytes);
	w->path_bytes += link.name_bytes;
	w->path[w->path_bytes] = '\0';
	w->depth++;
	FTMPI_TRY(walk_object(w, link.address));
	w->depth--;
	w->path_bytes = parent_bytes;
	w->path[parent_bytes] = '\0';
done:
	return status;
}

static ftmpi_status take_attribute(const struct walk *w, ftmpi__cursor message)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__hdf5_value value;
	const char *name;

	if (ftmpi__hdf5_decode_attribute(message, &name, &value) == NULL)
		FTMPI_TRY(w->visit(w->context, w->path, name, &value));
done:
	return status;
}

static ftmpi_status take_continuation(const struct walk *w, struct object *object, ftmpi__cursor message)
{
	const uint64_t address = ftmpi__cursor_number(&message, 8), n_bytes = ftmpi__cursor_number(&message, 8);

	if (message.bad || object->n_pending == MAX_PENDING)
		return bad(w, "a header in too many pieces");
	object->pending[object->n_pending].address = address;
	object->pending[object->n_pending].n_bytes = n_bytes;
	object->n_pending++;
	return FTMPI_OK;
}

/* One message. Types that are not named here (fill value, times, …) change nothing of what is read. */
static ftmpi_status take_message(struct walk *w, struct object *object, unsigned type, ftmpi__cursor message)
{
	const char *wrong = NULL;

	switch (type) {
	case FTMPI__MSG_DATASPACE:
		object->has_shape = true;
		wrong = ftmpi__hdf5_decode_shape(message, &object->value);
		break;
	case FTMPI__MSG_DATATYPE:
		object->has_type = true;
		wrong = ftmpi__hdf5_decode_type(message, &object->value);
		break;
	case FTMPI__MSG_LAYOUT:
		object->has_layout = true;
		wrong = ftmpi__hdf5_decode_layout(message, &object->layout);
		break;
	case FTMPI__MSG_LINK_INFO:
		object->is_group = true;
		wrong = ftmpi__hdf5_decode_link_info(message);
		break;
	case FTMPI__MSG_LINK:
		object->is_group = true;
		return walk_link(w, message);
	case FTMPI__MSG_ATTRIBUTE:
		return take_attribute(w, message);
	case FTMPI__MSG_CONTINUATION:
		return take_continuation(w, object, message);
	case FTMPI__MSG_EXTERNAL:
		wrong = "data in another file";
		break;
	case FTMPI__MSG_FILTERS:
		wrong = "compressed data";
		break;
	case FTMPI__MSG_SYMBOL_TABLE:
		wrong = "links outside the header";
		break;
	default:
		break;
	}
	return wrong == NULL ? FTMPI_OK : bad(w, wrong);
}

/* All messages of one chunk; what is too short for a message's head is a gap. */
static ftmpi_status take_messages(struct walk *w, struct object *object, ftmpi__cursor c)
{
	enum { SHARED = 2 };
	ftmpi_status status = FTMPI_OK;
	const size_t head_bytes = object->tracks_order ? 6 : 4;

	while (c.left >= head_bytes) {
		const unsigned type = (unsigned)ftmpi__cursor_number(&c, 1);
		const size_t n_bytes = (size_t)ftmpi__cursor_number(&c, 2);
		const unsigned flags = (unsigned)ftmpi__cursor_number(&c, 1);
		const uint8_t *at;

		(void)ftmpi__cursor_take(&c, head_bytes - 4);
		at = ftmpi__cursor_take(&c, n_bytes);
		if (at == NULL)
			FTMPI_TRY(bad(w, "a message beyond the end of its header"));
		if (type != 0 && (flags & SHARED) != 0)
			FTMPI_TRY(bad(w, "a shared message"));
		FTMPI_TRY(take_message(w, object, type, (ftmpi__cursor){.at = at, .left = n_bytes}));
	}
done:
	return status;
}

/* The object is a dataset: find its bytes. */
static ftmpi_status take_dataset(struct walk *w, struct object *object)
{
	ftmpi__hdf5_value *value = &object->value;

	if (!object->has_type || !object->has_shape || object->is_group)
		return bad(w, "no whole description");
	if (!ftmpi__hdf5_count_bytes(value, w->bytes_left))
		return bad(w, "more data than the file holds");
	w->bytes_left -= value->n_bytes;
	value->data = NULL;
	if (value->n_bytes > 0) {
		if (object->layout.n_bytes != value->n_bytes || object->layout.address > w->n_bytes ||
		    value->n_bytes > w->n_bytes - object->layout.address)
			return bad(w, "data beyond the end of the file");
		value->data = w->image + object->layout.address;
	}
	return w->visit(w->context, w->path, NULL, value);
}

static ftmpi_status walk_object(struct walk *w, uint64_t address)
{
	ftmpi_status status = FTMPI_OK;
	struct object object = {0};
	ftmpi__cursor messages;

	FTMPI_TRY(open_object(w, address, &object, &messages));
	FTMPI_TRY(take_messages(w, &object, messages));
	while (object.n_pending > 0) {
		FTMPI_TRY(open_continuation(w, &object, &messages));
		FTMPI_TRY(take_messages(w, &object, messages));
	}
	if (object.has_layout)
		FTMPI_TRY(take_dataset(w, &object));
	else if (!object.is_group)
		FTMPI_TRY(bad(w, "neither links nor data"));
done:
	return status;
}

ftmpi_status ftmpi__hdf5_walk(const uint8_t *image, size_t n_bytes, const char *file, ftmpi__hdf5_visit *visit,
			      void *context)
{
	ftmpi_status status = FTMPI_OK;
	struct walk w = {.image = image,
			 .n_bytes = n_bytes,
			 .file = file,
			 .visit = visit,
			 .context = context,
			 .bytes_left = n_bytes};
	ftmpi__cursor root = {.at = image + 36, .left = 8};

	FTMPI_TRY(ftmpi__hdf5_check_start(image, n_bytes, file));
	FTMPI_TRY(walk_object(&w, ftmpi__cursor_number(&root, 8)));
done:
	return status;
}
