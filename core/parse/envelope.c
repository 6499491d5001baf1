/* SPDX-License-Identifier: Apache-2.0 */
/* envelope: seals and opens the start of an inner TLS stream; docs/protocol.md gives the rules. */
#include "core/parse/envelope.h"

#include <string.h>
#include <openssl/bytestring.h>

#define TYPE_CHANGE_CIPHER_SPEC 20
#define TYPE_APPLICATION_DATA	23
#define OUTER_VERSION		0x0303
/* RFC 5246 section 6.2.3; TLS 1.3 allows fewer, but a passthrough client may speak 1.2. */
#define INNER_BODY_MAX (16384 + 2048)

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Adds to a record header that may arrive in pieces; true when it is complete. */
static bool gather_header(CBS *in, uint8_t header[ENVELOPE_HEADER_BYTES], uint8_t *have)
{
	size_t n = least(ENVELOPE_HEADER_BYTES - *have, CBS_len(in));

	if (!CBS_copy_bytes(in, header + *have, n))
		return false;
	*have = (uint8_t)(*have + n);
	return *have == ENVELOPE_HEADER_BYTES;
}

static bool read_header(const uint8_t header[ENVELOPE_HEADER_BYTES], uint8_t *type,
			uint16_t *version, uint16_t *length)
{
	CBS cbs;

	CBS_init(&cbs, header, ENVELOPE_HEADER_BYTES);
	return CBS_get_u8(&cbs, type) && CBS_get_u16(&cbs, version) && CBS_get_u16(&cbs, length);
}

/* The inner record's header is complete: what does it announce? An encrypted record is never empty,
 * and no version has empty handshake records (RFC 8446 section 5.1). */
static bool begin_inner(struct envelope *e)
{
	uint8_t type;
	uint16_t version, length;

	if (!read_header(e->header, &type, &version, &length))
		return false;
	if (type < TYPE_CHANGE_CIPHER_SPEC || type > TYPE_APPLICATION_DATA || version >> 8 != 3 ||
	    length == 0 || length > INNER_BODY_MAX)
		return false;
	e->inner_is_data = type == TYPE_APPLICATION_DATA;
	e->inner_left = length;
	e->header_len = 0;
	return true;
}

/* Follows inner bytes up to the end of the first application-data record, or of in. False when they
 * are not TLS records. *taken: bytes passed. */
static bool follow_inner(struct envelope *e, const uint8_t *in, size_t len, size_t *taken)
{
	CBS cbs;

	CBS_init(&cbs, in, len);
	while (CBS_len(&cbs) > 0 && !e->raw) {
		size_t n;

		if (e->inner_left == 0) {
			if (gather_header(&cbs, e->header, &e->header_len) && !begin_inner(e))
				return false;
			continue;
		}
		n = least(e->inner_left, CBS_len(&cbs));
		if (!CBS_skip(&cbs, n))
			return false;
		e->inner_left -= (uint32_t)n;
		e->raw = e->inner_left == 0 && e->inner_is_data;
	}
	*taken = len - CBS_len(&cbs);
	return true;
}

/* Writes one outer record around piece and returns its size. Not by CBB, whose older versions
 * allocate: this runs for every segment of a handshake. */
static size_t put_outer(uint8_t *out, const CBS *piece)
{
	size_t len = CBS_len(piece);
	const uint8_t header[ENVELOPE_HEADER_BYTES] = {TYPE_APPLICATION_DATA, OUTER_VERSION >> 8,
						       OUTER_VERSION & 0xff, (uint8_t)(len >> 8),
						       (uint8_t)len};

	memcpy(out, header, sizeof(header));
	memcpy(out + sizeof(header), CBS_data(piece), len);
	return sizeof(header) + len;
}

enum envelope_status envelope_seal(struct envelope *e, const uint8_t *in, size_t len, uint8_t *out,
				   size_t *out_len)
{
	struct envelope next = *e;
	size_t sealed, size = 0;
	CBS cbs, head, piece;

	CBS_init(&cbs, in, len);
	if (!follow_inner(&next, in, len, &sealed) || !CBS_get_bytes(&cbs, &head, sealed))
		return ENVELOPE_MALFORMED;
	while (CBS_get_bytes(&head, &piece, least(CBS_len(&head), ENVELOPE_CHUNK_MAX)) &&
	       CBS_len(&piece) > 0)
		size += put_outer(out + size, &piece);
	if (CBS_len(&cbs) > 0)
		memcpy(out + size, CBS_data(&cbs), CBS_len(&cbs));
	*e = next;
	*out_len = size + CBS_len(&cbs);
	return ENVELOPE_OK;
}

/* The outer record's header is complete. */
static bool begin_outer(struct envelope *e)
{
	uint8_t type;
	uint16_t version, length;

	if (!read_header(e->outer, &type, &version, &length))
		return false;
	if (type != TYPE_APPLICATION_DATA || version != OUTER_VERSION || length == 0 ||
	    length > ENVELOPE_CHUNK_MAX)
		return false;
	e->outer_left = length;
	e->outer_len = 0;
	return true;
}

/* Passes one piece of an outer record's body. The first application-data record must end where the
 * outer record ends: otherwise raw bytes would have to come out of a record half read. */
static bool open_body(struct envelope *e, CBS *in, CBS *piece)
{
	size_t taken;

	if (!CBS_get_bytes(in, piece, least(e->outer_left, CBS_len(in))) ||
	    !follow_inner(e, CBS_data(piece), CBS_len(piece), &taken))
		return false;
	e->outer_left -= (uint32_t)taken;
	return !e->raw || e->outer_left == 0;
}

enum envelope_status envelope_open(struct envelope *e, const uint8_t *in, size_t len, uint8_t *out,
				   size_t *out_len)
{
	struct envelope next = *e;
	size_t size = 0;
	CBS cbs, piece;

	CBS_init(&cbs, in, len);
	while (CBS_len(&cbs) > 0) {
		if (next.raw) {
			if (!CBS_get_bytes(&cbs, &piece, CBS_len(&cbs)))
				return ENVELOPE_MALFORMED;
		} else if (next.outer_left == 0) {
			if (gather_header(&cbs, next.outer, &next.outer_len) && !begin_outer(&next))
				return ENVELOPE_MALFORMED;
			continue;
		} else if (!open_body(&next, &cbs, &piece)) {
			return ENVELOPE_MALFORMED;
		}
		memmove(out + size, CBS_data(&piece), CBS_len(&piece)); /* out may be in */
		size += CBS_len(&piece);
	}
	*e = next;
	*out_len = size;
	return ENVELOPE_OK;
}
