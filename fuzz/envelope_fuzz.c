/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope_fuzz: the bytes once as an inner stream, sealed and opened in random pieces, and once as
 * wire bytes of another maker, whose bodies are enciphered here, so that lengths and padding are
 * the fuzzer's.
 * links: core/engine/envelope.c
 */
#include <openssl/chacha.h>

#include "core/engine/envelope.h"
#include "fuzz/prefix.h"

#define INPUT_MAX 65536u
#define WIRE_MAX                                                                                   \
	(INPUT_MAX * (1 + ENVELOPE_HEADER_BYTES + ENVELOPE_LENGTH_BYTES) +                         \
	 ENVELOPE_PADDED * ENVELOPE_BODY_MAX)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum way { SEAL, OPEN };

static void start(struct envelope *e)
{
	static const uint8_t secret[ENVELOPE_SECRET_BYTES];

	assert(envelope_init(e, secret, ENVELOPE_PUBLISHING));
}

/* Passes in through in pieces (random NULL: all at once), each in memory of its own size. On OK,
 * *out_len is what came out. */
static enum envelope_status pass(enum way way, const uint8_t *in, size_t len, uint32_t *random,
				 uint8_t *out, size_t *out_len, struct envelope *e)
{
	size_t total = 0;

	start(e);
	for (size_t at = 0, n; at < len; at += n) {
		size_t room, made = 4711;
		enum envelope_status status;
		uint8_t *piece, *result;

		n = random ? 1 + fuzz_random(random) % (fuzz_random(random) % 4 ? 40 : 5000) : len;
		if (n > len - at)
			n = len - at;
		room = way == OPEN ? n : ENVELOPE_SEAL_ROOM(n);
		if (way == SEAL && random)
			room += fuzz_random(random) % ENVELOPE_BODY_MAX;
		piece = malloc(n);
		result = malloc(room);
		assert(piece && result);
		memcpy(piece, in + at, n);
		status = way == SEAL ? envelope_seal(e, piece, n, result, room, &made)
				     : envelope_open(e, piece, n, result, &made);
		assert(status == ENVELOPE_OK ? made <= room : made == 4711);
		if (status == ENVELOPE_OK) {
			assert(total + made <= WIRE_MAX);
			memcpy(out + total, result, made);
			total += made;
		}
		free(piece);
		free(result);
		if (status != ENVELOPE_OK)
			return status;
	}
	*out_len = total;
	return ENVELOPE_OK;
}

static void seal_and_open(const uint8_t *data, size_t len, uint32_t *random)
{
	static uint8_t wire[WIRE_MAX], back[WIRE_MAX];
	struct envelope sealing, opening;
	enum envelope_status whole, pieces;
	size_t wire_len, back_len;

	whole = pass(SEAL, data, len, NULL, wire, &wire_len, &sealing);
	pieces = pass(SEAL, data, len, random, wire, &wire_len, &sealing);
	assert(whole == pieces);
	if (pieces != ENVELOPE_OK)
		return;
	assert(pass(OPEN, wire, wire_len, random, back, &back_len, &opening) == ENVELOPE_OK);
	assert(back_len == len && memcmp(back, data, len) == 0);
	assert(opening.raw == sealing.raw && opening.inner_left == sealing.inner_left);
	assert(pass(OPEN, wire, wire_len, NULL, back, &back_len, &opening) == ENVELOPE_OK);
	assert(back_len == len && memcmp(back, data, len) == 0);
	start(&opening);
	assert(envelope_open(&opening, wire, wire_len, wire, &back_len) == ENVELOPE_OK);
	assert(back_len == len && memcmp(wire, data, len) == 0);
}

/* What would be a record's body is enciphered, up to the end. */
static void encipher_bodies(uint8_t *wire, size_t len)
{
	static const uint8_t nonce[12];
	static uint8_t stream[INPUT_MAX];
	struct envelope e;
	size_t used = 0;

	start(&e);
	memset(stream, 0, sizeof(stream));
	CRYPTO_chacha_20(stream, stream, sizeof(stream), e.key, nonce, 0);
	for (size_t at = 0; at + ENVELOPE_HEADER_BYTES <= len;) {
		size_t body = (size_t)(wire[at + 3] << 8 | wire[at + 4]);

		at += ENVELOPE_HEADER_BYTES;
		for (size_t end = at + body; at < end && at < len; at++)
			wire[at] ^= stream[used++];
	}
}

/* However it is cut, the same answer and the same inner bytes; and they seal again. */
static void open_any(const uint8_t *data, size_t len, uint32_t *random)
{
	static uint8_t in[INPUT_MAX], whole[WIRE_MAX], pieces[WIRE_MAX], wire[WIRE_MAX];
	size_t whole_len, pieces_len, wire_len;
	struct envelope e;

	memcpy(in, data, len);
	encipher_bodies(in, len);
	if (pass(OPEN, in, len, NULL, whole, &whole_len, &e) != ENVELOPE_OK) {
		assert(pass(OPEN, in, len, random, pieces, &pieces_len, &e) != ENVELOPE_OK);
		return;
	}
	assert(pass(OPEN, in, len, random, pieces, &pieces_len, &e) == ENVELOPE_OK);
	assert(whole_len == pieces_len && memcmp(whole, pieces, whole_len) == 0);
	assert(pass(SEAL, whole, whole_len, random, wire, &wire_len, &e) == ENVELOPE_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint32_t random = fuzz_seed(data, len);

	if (len > INPUT_MAX)
		return 0;
	seal_and_open(data, len, &random);
	open_any(data, len, &random);
	return 0;
}
