/* SPDX-License-Identifier: Apache-2.0 */
/* envelope: seals and opens the start of an inner TLS stream; docs/protocol.md gives the rules. */
#include "core/engine/envelope.h"

#include <assert.h>
#include <string.h>
#include <openssl/bytestring.h>
#include <openssl/chacha.h>
#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/hkdf.h>
#include <openssl/mem.h>

#define TYPE_CHANGE_CIPHER_SPEC 20
#define TYPE_APPLICATION_DATA	23
#define OUTER_VERSION		0x0303
/* RFC 5246 section 6.2.3; TLS 1.3 allows fewer, but a passthrough client may speak 1.2. */
#define INNER_BODY_MAX (16384 + 2048)
#define BLOCK_BYTES    64u /* of ChaCha20 */
#define NONCE_BYTES    12u

/* The key of a direction enciphers its bodies, and draws the sizes of its records. */
static const uint8_t nonce_bodies[NONCE_BYTES] = {0}, nonce_sizes[NONCE_BYTES] = {1};

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

bool envelope_init(struct envelope *e, const uint8_t secret[ENVELOPE_SECRET_BYTES],
		   enum envelope_side side)
{
	static const char *const labels[] = {"postern/2 asking", "postern/2 publishing"};
	struct envelope fresh = {.side = (uint8_t)side};
	const char *label = labels[side];

	if (!HKDF(fresh.key, sizeof(fresh.key), EVP_sha256(), secret, ENVELOPE_SECRET_BYTES, NULL,
		  0, (const uint8_t *)label, strlen(label))) {
		ERR_clear_error();
		return false;
	}
	*e = fresh;
	return true;
}

/* Enciphers or deciphers the next len bytes of bodies, in place. ENVELOPE_SEALED_MAX keeps the
 * position below what the cipher's counter can hold. */
static void cipher(struct envelope *e, uint8_t *bytes, size_t len)
{
	size_t skip = e->at % BLOCK_BYTES;

	if (skip > 0) { /* the rest of a block begun before */
		uint8_t block[BLOCK_BYTES] = {0};
		size_t n = least(BLOCK_BYTES - skip, len);

		memcpy(block + skip, bytes, n);
		CRYPTO_chacha_20(block, block, sizeof(block), e->key, nonce_bodies,
				 e->at / BLOCK_BYTES);
		memcpy(bytes, block + skip, n);
		e->at += (uint32_t)n;
		bytes += n;
		len -= n;
	}
	if (len == 0)
		return;
	CRYPTO_chacha_20(bytes, bytes, len, e->key, nonce_bodies, e->at / BLOCK_BYTES);
	e->at += (uint32_t)len;
}

/* ---- the inner stream ---- */

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
	while (CBS_len(&cbs) > 0 && !e->inner_over) {
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
		e->inner_over = e->inner_left == 0 && e->inner_is_data;
	}
	*taken = len - CBS_len(&cbs);
	return true;
}

/* Nothing is enciphered from here on. */
static void become_raw(struct envelope *e)
{
	e->raw = true;
	OPENSSL_cleanse(e->key, sizeof(e->key));
}

/* ---- sealing ---- */

/* Bodies of records as web sites have them, each band as frequent as the others: requests with
 * their cookies, and pages with what belongs to them. */
struct band {
	uint16_t least, most;
};
static const struct band bands[][4] = {
	[ENVELOPE_ASKING] = {{380, 640}, {520, 960}, {760, 1500}, {1200, 2600}},
	[ENVELOPE_PUBLISHING] = {{700, 1500}, {1400, 3200}, {2800, 5600}, {4600, 8100}},
};
#define BANDS	   (sizeof(bands[0]) / sizeof(bands[0][0]))
#define SLACK	   256u	 /* at least so wide is the range of sizes for one need */
#define BEYOND_MAX 2048u /* what is larger than every band grows by so much at most */

/* The size of a body that has need bytes to carry. */
static size_t draw_size(const struct envelope *e, size_t need)
{
	uint8_t drawn[8] = {0};
	uint32_t which, where;
	size_t from = need, to = need + BEYOND_MAX;
	CBS cbs;

	CRYPTO_chacha_20(drawn, drawn, sizeof(drawn), e->key, nonce_sizes, e->padded);
	CBS_init(&cbs, drawn, sizeof(drawn));
	if (!CBS_get_u32(&cbs, &which) || !CBS_get_u32(&cbs, &where))
		return need;
	for (size_t i = which % BANDS; i < BANDS; i++) {
		const struct band *b = &bands[e->side][i];

		if (b->most < need + SLACK)
			continue;
		from = b->least > need ? b->least : need;
		to = b->most;
		break;
	}
	return least(from + where % (to - from + 1), ENVELOPE_BODY_MAX);
}

/* Writes one outer record around piece, padded by at most spare bytes; returns its size. Not by
 * CBB, whose older versions allocate: this runs for every segment of a handshake. 0: it is too
 * much. */
static size_t put_outer(struct envelope *e, uint8_t *out, const CBS *piece, size_t spare)
{
	size_t len = CBS_len(piece), need = ENVELOPE_LENGTH_BYTES + len, body = need;
	uint8_t *at = out + ENVELOPE_HEADER_BYTES;

	if (e->padded < ENVELOPE_PADDED) {
		body = least(draw_size(e, need), need + spare);
		e->padded++;
	}
	if (body > ENVELOPE_SEALED_MAX - e->at)
		return 0;
	const uint8_t header[ENVELOPE_HEADER_BYTES] = {TYPE_APPLICATION_DATA, OUTER_VERSION >> 8,
						       OUTER_VERSION & 0xff, (uint8_t)(body >> 8),
						       (uint8_t)body};

	memcpy(out, header, sizeof(header));
	at[0] = (uint8_t)(len >> 8);
	at[1] = (uint8_t)len;
	memcpy(at + ENVELOPE_LENGTH_BYTES, CBS_data(piece), len);
	memset(at + need, 0, body - need);
	cipher(e, at, body);
	return sizeof(header) + body;
}

enum envelope_status envelope_seal(struct envelope *e, const uint8_t *in, size_t len, uint8_t *out,
				   size_t room, size_t *out_len)
{
	struct envelope next = *e;
	size_t spare, sealed, size = 0;
	CBS cbs, head, piece;

	assert(room >= ENVELOPE_SEAL_ROOM(len));
	spare = room - ENVELOPE_SEAL_ROOM(len);
	CBS_init(&cbs, in, len);
	if (!follow_inner(&next, in, len, &sealed) || !CBS_get_bytes(&cbs, &head, sealed))
		return ENVELOPE_MALFORMED;
	while (CBS_get_bytes(&head, &piece, least(CBS_len(&head), ENVELOPE_CHUNK_MAX)) &&
	       CBS_len(&piece) > 0) {
		size_t n = put_outer(&next, out + size, &piece, spare);

		if (n == 0)
			return ENVELOPE_MALFORMED;
		spare -= n - ENVELOPE_HEADER_BYTES - ENVELOPE_LENGTH_BYTES - CBS_len(&piece);
		size += n;
	}
	if (CBS_len(&cbs) > 0)
		memcpy(out + size, CBS_data(&cbs), CBS_len(&cbs));
	if (next.inner_over)
		become_raw(&next);
	*e = next;
	*out_len = size + CBS_len(&cbs);
	return ENVELOPE_OK;
}

/* ---- opening ---- */

/* The outer record's header is complete. */
static bool begin_outer(struct envelope *e)
{
	uint8_t type;
	uint16_t version, length;

	if (!read_header(e->outer, &type, &version, &length))
		return false;
	if (type != TYPE_APPLICATION_DATA || version != OUTER_VERSION ||
	    length <= ENVELOPE_LENGTH_BYTES || length > ENVELOPE_BODY_MAX ||
	    length > ENVELOPE_SEALED_MAX - e->at)
		return false;
	e->outer_left = length;
	e->outer_len = 0;
	e->length_len = 0;
	return true;
}

/* The body's first bytes: how many inner bytes it holds. False: none, or more than it is long. */
static bool open_length(struct envelope *e, CBS *in)
{
	uint8_t byte;
	uint16_t length;
	CBS cbs;

	if (!CBS_get_u8(in, &byte))
		return false;
	cipher(e, &byte, 1);
	e->outer_left--;
	e->length[e->length_len++] = byte;
	if (e->length_len < ENVELOPE_LENGTH_BYTES)
		return true;
	CBS_init(&cbs, e->length, sizeof(e->length));
	if (!CBS_get_u16(&cbs, &length) || length == 0 || length > e->outer_left)
		return false;
	e->data_left = length;
	return true;
}

/* Deciphers what there is of the inner bytes to out. The first application-data record must end
 * where the inner bytes of an outer record end: otherwise raw bytes would have to come out of a
 * record half read. */
static bool open_data(struct envelope *e, CBS *in, uint8_t *out, size_t *n)
{
	size_t taken;

	*n = least(e->data_left, CBS_len(in));
	memmove(out, CBS_data(in), *n); /* out may be in */
	cipher(e, out, *n);
	if (!CBS_skip(in, *n) || !follow_inner(e, out, *n, &taken) || taken != *n)
		return false;
	e->data_left -= (uint32_t)*n;
	e->outer_left -= (uint32_t)*n;
	return true;
}

static bool open_padding(struct envelope *e, CBS *in)
{
	uint8_t piece[256], any = 0;
	size_t n = least(least(e->outer_left, CBS_len(in)), sizeof(piece));

	if (!CBS_copy_bytes(in, piece, n))
		return false;
	cipher(e, piece, n);
	for (size_t i = 0; i < n; i++)
		any |= piece[i];
	e->outer_left -= (uint32_t)n;
	return any == 0;
}

/* The next part of an outer record, whichever it is. *n: inner bytes that came out. */
static bool open_step(struct envelope *e, CBS *in, uint8_t *out, size_t *n)
{
	*n = 0;
	if (e->outer_left == 0)
		return !gather_header(in, e->outer, &e->outer_len) || begin_outer(e);
	if (e->length_len < ENVELOPE_LENGTH_BYTES)
		return open_length(e, in);
	if (e->data_left > 0 ? !open_data(e, in, out, n) : !open_padding(e, in))
		return false;
	if (e->inner_over && e->outer_left == 0)
		become_raw(e);
	return true;
}

enum envelope_status envelope_open(struct envelope *e, const uint8_t *in, size_t len, uint8_t *out,
				   size_t *out_len)
{
	struct envelope next = *e;
	size_t size = 0, n;
	CBS cbs;

	CBS_init(&cbs, in, len);
	while (CBS_len(&cbs) > 0 && !next.raw) {
		if (!open_step(&next, &cbs, out + size, &n))
			return ENVELOPE_MALFORMED;
		size += n;
	}
	if (CBS_len(&cbs) > 0)
		memmove(out + size, CBS_data(&cbs), CBS_len(&cbs));
	*e = next;
	*out_len = size + CBS_len(&cbs);
	return ENVELOPE_OK;
}
