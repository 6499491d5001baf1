/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope_fuzz: the bytes once as an inner stream, sealed and opened in random pieces, and once as
 * wire bytes of another maker.
 * links: core/parse/envelope.c
 */
#include "core/parse/envelope.h"
#include "fuzz/prefix.h"

#define INPUT_MAX 65536u
#define WIRE_MAX  (INPUT_MAX * (1 + ENVELOPE_HEADER_BYTES))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Passes in through step in pieces (random NULL: all at once), each in memory of its own size. On
 * OK, *out_len is what came out. */
static enum envelope_status pass(enum envelope_status (*step)(struct envelope *, const uint8_t *,
							      size_t, uint8_t *, size_t *),
				 const uint8_t *in, size_t len, uint32_t *random, uint8_t *out,
				 size_t *out_len, struct envelope *e)
{
	size_t total = 0;

	memset(e, 0, sizeof(*e));
	for (size_t at = 0, n; at < len; at += n) {
		size_t room, made = 4711;
		enum envelope_status status;
		uint8_t *piece, *result;

		n = random ? 1 + fuzz_random(random) % (fuzz_random(random) % 4 ? 40 : 5000) : len;
		if (n > len - at)
			n = len - at;
		room = step == envelope_seal ? ENVELOPE_SEAL_ROOM(n) : n;
		piece = malloc(n);
		result = malloc(room);
		assert(piece && result);
		memcpy(piece, in + at, n);
		status = step(e, piece, n, result, &made);
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

	whole = pass(envelope_seal, data, len, NULL, wire, &wire_len, &sealing);
	pieces = pass(envelope_seal, data, len, random, wire, &wire_len, &sealing);
	assert(whole == pieces);
	if (pieces != ENVELOPE_OK)
		return;
	assert(pass(envelope_open, wire, wire_len, random, back, &back_len, &opening) ==
	       ENVELOPE_OK);
	assert(back_len == len && memcmp(back, data, len) == 0);
	assert(opening.raw == sealing.raw && opening.inner_left == sealing.inner_left);
	assert(pass(envelope_open, wire, wire_len, NULL, back, &back_len, &opening) == ENVELOPE_OK);
	assert(back_len == len && memcmp(back, data, len) == 0);
	memset(&opening, 0, sizeof(opening));
	assert(envelope_open(&opening, wire, wire_len, wire, &back_len) == ENVELOPE_OK);
	assert(back_len == len && memcmp(wire, data, len) == 0);
}

/* However it is cut, the same answer and the same inner bytes; and they seal again. */
static void open_any(const uint8_t *data, size_t len, uint32_t *random)
{
	static uint8_t whole[WIRE_MAX], pieces[WIRE_MAX], wire[WIRE_MAX];
	size_t whole_len, pieces_len, wire_len;
	struct envelope e;

	if (pass(envelope_open, data, len, NULL, whole, &whole_len, &e) != ENVELOPE_OK) {
		assert(pass(envelope_open, data, len, random, pieces, &pieces_len, &e) !=
		       ENVELOPE_OK);
		return;
	}
	assert(pass(envelope_open, data, len, random, pieces, &pieces_len, &e) == ENVELOPE_OK);
	assert(whole_len == pieces_len && memcmp(whole, pieces, whole_len) == 0);
	assert(pass(envelope_seal, whole, whole_len, random, wire, &wire_len, &e) == ENVELOPE_OK);
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
