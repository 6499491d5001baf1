/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: every message both ways, every limit from both sides.
 * links: core/parse/wire.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/parse/wire.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static const char name_63[] = "a23456789-123456789-123456789-123456789-123456789-123456789-123";
static const char text_64[] = "0123456789012345678901234567890123456789012345678901234567890123";
static uint8_t blob[WIRE_CERT_MAX + 1];
static char long_text[WIRE_TEXT_MAX + 2];

/* ---- helpers ---- */

static enum wire_status decode(const void *in, size_t len)
{
	struct wire_message m, before;
	size_t used = 4711;
	enum wire_status status;

	memset(&m, 0xa5, sizeof(m));
	before = m;
	status = wire_decode(in, len, &m, &used);
	if (status == WIRE_OK || status == WIRE_UNKNOWN_EXTENSION) {
		assert_true(used <= len);
	} else {
		assert_int_equal(used, 4711);
		assert_memory_equal(&m, &before, sizeof(m));
	}
	return status;
}

/* A frame of this body. */
static enum wire_status decode_body(uint8_t type, const void *body, size_t len)
{
	static uint8_t frame[WIRE_HEADER_BYTES + 65536];

	frame[0] = WIRE_VERSION;
	frame[1] = type;
	frame[2] = (uint8_t)(len >> 8);
	frame[3] = (uint8_t)len;
	memcpy(frame + WIRE_HEADER_BYTES, body, len);
	return decode(frame, WIRE_HEADER_BYTES + len);
}

#define BODY(type, literal) decode_body(type, literal, sizeof(literal) - 1)

/* Encodes; every prefix is SHORT; a body one byte longer or shorter is malformed; the whole
 * decodes and encodes to the same bytes. */
static void round_trip(const struct wire_message *m, struct wire_message *back)
{
	static uint8_t frame[WIRE_FRAME_MAX], again[WIRE_FRAME_MAX];
	size_t len = wire_encode(m, frame, sizeof(frame)), used;
	size_t body = len - WIRE_HEADER_BYTES;

	assert_in_range(len, WIRE_HEADER_BYTES, WIRE_FRAME_MAX);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(decode(frame, i), WIRE_SHORT);
		assert_int_equal(wire_encode(m, again, i), 0);
	}
	if (body > 0)
		assert_int_equal(decode_body(frame[1], frame + 4, body - 1), WIRE_MALFORMED);
	memset(again, 'a', sizeof(again));
	memcpy(again, frame + 4, body);
	assert_int_equal(decode_body(frame[1], again, body + 1), WIRE_MALFORMED);

	assert_int_equal(wire_decode(frame, len, back, &used), WIRE_OK);
	assert_int_equal(used, len);
	assert_int_equal(back->type, m->type);
	assert_int_equal(wire_encode(back, again, sizeof(again)), len);
	assert_memory_equal(frame, again, len);
}

static void assert_text(struct wire_bytes b, const char *text)
{
	assert_true(wire_bytes_equal(b, wire_text(text)));
}

static bool encodes(const struct wire_message *m)
{
	static uint8_t frame[WIRE_FRAME_MAX];

	return wire_encode(m, frame, sizeof(frame)) > 0;
}

/* ---- bytes ---- */

static void test_exact_bytes(void **state)
{
	static const uint8_t ping[] = {2, 0x07, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 0};
	static const uint8_t open[] = {2, 0x12, 0, 10, 4, 'h', 'o', 'm', 'e', 3, 's', 's', 'h', 0};
	static const uint8_t fail[] = {2, 0x15, 0, 6, 0, 9, 0, 2, 'n', 'o'};
	static const uint8_t ready[] = {2, 0x11, 0, 0};
	struct wire_message m = {.type = WIRE_PING, .ping.token = 0x0102030405060708};
	uint8_t out[64];
	size_t used;

	assert_int_equal(wire_encode(&m, out, sizeof(out)), sizeof(ping));
	assert_memory_equal(out, ping, sizeof(ping));
	m = (struct wire_message){.type = WIRE_OPEN, .open = {wire_text("home"), wire_text("ssh")}};
	assert_int_equal(wire_encode(&m, out, sizeof(out)), sizeof(open));
	assert_memory_equal(out, open, sizeof(open));
	m = (struct wire_message){.type = WIRE_FAIL, .fail = {9, wire_text("no")}};
	assert_int_equal(wire_encode(&m, out, sizeof(out)), sizeof(fail));
	assert_memory_equal(out, fail, sizeof(fail));
	assert_int_equal(wire_decode(ready, sizeof(ready), &m, &used), WIRE_OK);
	assert_int_equal(m.type, WIRE_READY);
	assert_int_equal(used, sizeof(ready));
}

static void test_header(void **state)
{
	assert_int_equal(decode("", 0), WIRE_SHORT);
	assert_int_equal(decode("G", 1), WIRE_BAD_VERSION);
	assert_int_equal(decode("\x00", 1), WIRE_BAD_VERSION);
	assert_int_equal(decode("\x01\x07\x00\x08", 4), WIRE_BAD_VERSION);
	assert_int_equal(decode("\x03\x07\x00\x08", 4), WIRE_BAD_VERSION);
	assert_int_equal(decode("\x02", 1), WIRE_SHORT);
	assert_int_equal(decode("\x02\x00", 2), WIRE_MALFORMED);
	assert_int_equal(decode("\x02\x1f", 2), WIRE_MALFORMED);
	assert_int_equal(decode("\x02\xff", 2), WIRE_MALFORMED);
	assert_int_equal(decode("\x02\x03\x30\x00", 4), WIRE_SHORT);
	assert_int_equal(decode("\x02\x03\x30\x01", 4), WIRE_MALFORMED);
	assert_int_equal(decode("\x02\x11\x00\x00\xff", 5), WIRE_OK); /* the next frame follows */
}

/* ---- messages ---- */

static void test_link_messages(void **state)
{
	struct wire_message back, m = {.type = WIRE_HELLO};

	m.hello.flags = WIRE_HELLO_TRANSIENT;
	m.hello.agent = wire_text(name_63);
	m.hello.software = wire_text(text_64);
	m.hello.certificate = (struct wire_bytes){blob, WIRE_CERT_MAX};
	m.hello.signature = (struct wire_bytes){blob, WIRE_SIGNATURE_MAX};
	round_trip(&m, &back);
	assert_int_equal(back.hello.flags, WIRE_HELLO_TRANSIENT);
	assert_text(back.hello.agent, name_63);
	assert_int_equal(back.hello.signature.len, WIRE_SIGNATURE_MAX);

	m = (struct wire_message){.type = WIRE_WELCOME};
	m.welcome.relay = wire_text("Zürich");
	m.welcome.your_address = wire_text("[2001:db8::7]:40112");
	m.welcome.link = UINT64_MAX;
	memset(m.welcome.leg_secret, 0x5a, WIRE_SECRET_BYTES);
	m.welcome.ping_interval_s = 25;
	m.welcome.max_legs = 64;
	m.welcome.max_sessions = 10000;
	round_trip(&m, &back);
	assert_text(back.welcome.relay, "Zürich");
	assert_true(back.welcome.link == UINT64_MAX);
	assert_memory_equal(back.welcome.leg_secret, m.welcome.leg_secret, WIRE_SECRET_BYTES);
	assert_int_equal(back.welcome.ping_interval_s, 25);
	assert_int_equal(back.welcome.max_legs, 64);
	assert_int_equal(back.welcome.max_sessions, 10000);

	m = (struct wire_message){.type = WIRE_REFUSE, .refuse = {77, 11, wire_text("no")}};
	round_trip(&m, &back);
	assert_int_equal(back.refuse.session, 77);
	assert_int_equal(back.refuse.reason, 11);
	m = (struct wire_message){.type = WIRE_PONG, .pong.token = 5};
	round_trip(&m, &back);
	assert_int_equal(back.pong.token, 5);
	m = (struct wire_message){.type = WIRE_DRAIN, .drain.reconnect_after_s = 300};
	round_trip(&m, &back);
	assert_int_equal(back.drain.reconnect_after_s, 300);
	m = (struct wire_message){.type = WIRE_BYE, .bye = {0, wire_text("")}};
	round_trip(&m, &back);
	assert_int_equal(back.bye.reason, 0);
}

static void test_publish(void **state)
{
	uint8_t many[2 + 2 * (WIRE_SERVICES_MAX + 1)] = {0, WIRE_SERVICES_MAX};
	struct wire_message back, m = {.type = WIRE_PUBLISH};

	round_trip(&m, &back); /* publishing nothing is how a service is withdrawn */
	assert_int_equal(back.publish.count, 0);
	m.publish.count = WIRE_SERVICES_MAX;
	for (size_t i = 0; i < WIRE_SERVICES_MAX; i++)
		m.publish.services[i] = wire_text(i % 2 ? name_63 : "web.internal/admin");
	round_trip(&m, &back);
	assert_int_equal(back.publish.count, WIRE_SERVICES_MAX);
	assert_text(back.publish.services[0], "web.internal/admin");
	assert_text(back.publish.services[127], name_63);
	m.publish.count = WIRE_SERVICES_MAX + 1;
	assert_false(encodes(&m));
	m.publish.count = 2;
	m.publish.services[1] = wire_text("");
	assert_false(encodes(&m));
	assert_int_equal(BODY(WIRE_PUBLISH, "\x00\x02\x01"
					    "a\x00"),
			 WIRE_MALFORMED);
	assert_int_equal(BODY(WIRE_PUBLISH, "\x00\x02\x01"
					    "a"),
			 WIRE_MALFORMED);
	assert_int_equal(BODY(WIRE_PUBLISH, "\x00\x81"), WIRE_MALFORMED);
	for (size_t i = 2; i < sizeof(many); i += 2)
		memcpy(many + i, "\1a", 2);
	assert_int_equal(decode_body(WIRE_PUBLISH, many, sizeof(many) - 2), WIRE_OK);
	many[1]++;
	assert_int_equal(decode_body(WIRE_PUBLISH, many, sizeof(many)), WIRE_MALFORMED);
	m = (struct wire_message){.type = WIRE_PUBLISHED, .published.count = 128};
	round_trip(&m, &back);
	assert_int_equal(back.published.count, 128);
}

static void test_offer(void **state)
{
	struct wire_message back, m = {.type = WIRE_OFFER};

	m.offer.session = 1;
	m.offer.kind = WIRE_OFFER_AGENT;
	m.offer.from = wire_text("laptop");
	m.offer.service = wire_text("ssh");
	m.offer.source = wire_text("198.51.100.7:40112");
	m.offer.local = wire_text("192.0.2.1:443");
	round_trip(&m, &back);
	assert_int_equal(back.offer.kind, WIRE_OFFER_AGENT);
	assert_text(back.offer.from, "laptop");
	assert_text(back.offer.local, "192.0.2.1:443");

	m.offer.kind = WIRE_OFFER_PUBLIC; /* no certificate vouches for a name there */
	assert_false(encodes(&m));
	m.offer.from = wire_text("");
	round_trip(&m, &back);
	assert_int_equal(back.offer.kind, WIRE_OFFER_PUBLIC);
	m.offer.kind = WIRE_OFFER_AGENT;
	assert_false(encodes(&m));
	assert_int_equal(BODY(WIRE_OFFER, "12345678\x02\x00\x01"
					  "a\x00\x00\x00"),
			 WIRE_MALFORMED);
	assert_int_equal(BODY(WIRE_OFFER, "12345678\x00\x00\x01"
					  "a\x00\x00\x00"),
			 WIRE_MALFORMED);
	assert_int_equal(BODY(WIRE_OFFER, "12345678\x01\x00\x01"
					  "a\x00\x00\x00"),
			 WIRE_OK);
}

static void test_leg_messages(void **state)
{
	struct wire_message back, m = {.type = WIRE_LEG, .leg.link = 3};

	memset(m.leg.proof, 0xc3, sizeof(m.leg.proof));
	round_trip(&m, &back);
	assert_int_equal(back.leg.link, 3);
	assert_memory_equal(back.leg.proof, m.leg.proof, sizeof(m.leg.proof));
	m = (struct wire_message){.type = WIRE_READY};
	round_trip(&m, &back);
	m = (struct wire_message){.type = WIRE_OPEN, .open = {wire_text("a"), wire_text("b/c")}};
	round_trip(&m, &back);
	assert_text(back.open.to, "a");
	assert_text(back.open.service, "b/c");
	m = (struct wire_message){.type = WIRE_ACCEPT, .accept.session = 1};
	round_trip(&m, &back);
	m = (struct wire_message){.type = WIRE_GO, .go.session = 1ull << 63};
	memset(m.go.secret, 0xa7, sizeof(m.go.secret));
	round_trip(&m, &back);
	assert_true(back.go.session == 1ull << 63);
	assert_memory_equal(back.go.secret, m.go.secret, sizeof(m.go.secret));
}

static void test_prove(void **state)
{
	struct wire_message back, m = {.type = WIRE_PROVE, .prove.session = 5};

	m.prove.certificate = (struct wire_bytes){blob, 900};
	m.prove.signature = (struct wire_bytes){blob, 71};
	round_trip(&m, &back);
	assert_true(back.prove.session == 5);
	assert_int_equal(back.prove.certificate.len, 900);
	assert_int_equal(back.prove.signature.len, 71);
	m.prove.certificate.len = WIRE_CERT_MAX;
	m.prove.signature.len = WIRE_SIGNATURE_MAX;
	assert_true(encodes(&m));
	m.prove.certificate.len++;
	assert_false(encodes(&m));
	m.prove.certificate.len = 0;
	assert_false(encodes(&m));
	m.prove.certificate.len = 1;
	m.prove.signature.len++;
	assert_false(encodes(&m));
	m.prove.signature.len = 0;
	assert_false(encodes(&m));
}

static void test_ended(void **state)
{
	struct wire_message back, m = {.type = WIRE_ENDED, .ended.session = 5};

	m.ended.cause = wire_text("F");
	round_trip(&m, &back);
	m.ended.text = wire_text("laptop: the certificate has expired");
	round_trip(&m, &back);
	assert_true(back.ended.session == 5);
	assert_text(back.ended.cause, "F");
	assert_text(back.ended.text, "laptop: the certificate has expired");
	m.ended.cause = wire_text("FF");
	assert_false(encodes(&m));
	m.ended.cause = wire_text("");
	assert_false(encodes(&m));
	m.ended.cause = wire_text("\n");
	assert_false(encodes(&m));
}

static void test_end_to_end_messages(void **state)
{
	struct wire_message back, m = {.type = WIRE_REQUEST};

	m.request.service = wire_text("ssh");
	round_trip(&m, &back);
	assert_int_equal(back.request.source.len, 0);
	m.request.source = wire_text("127.0.0.1:5");
	round_trip(&m, &back);
	assert_text(back.request.source, "127.0.0.1:5");
	m = (struct wire_message){.type = WIRE_RESULT, .result = {0, wire_text(""), {0}}};
	round_trip(&m, &back);
	assert_int_equal(back.result.reason, 0);
	assert_int_equal(back.result.candidates.count, 0);
}

#define SIX_CANDIDATES "\5tcp:a\5tcp:b\5tcp:c\5udp:d\5udp:e\5udp:f"

static void test_candidates(void **state)
{
	struct wire_message back, m = {.type = WIRE_REQUEST, .request.service = wire_text("ssh")};
	struct wire_candidates *c = &m.request.candidates;

	for (c->count = 0; c->count < WIRE_CANDIDATES_MAX; c->count++)
		c->items[c->count] =
			wire_text(c->count % 2 ? "tcp:203.0.113.7:443" : "udp:[2001:db8::7]:1");
	round_trip(&m, &back);
	assert_int_equal(back.request.candidates.count, WIRE_CANDIDATES_MAX);
	assert_text(back.request.candidates.items[1], "tcp:203.0.113.7:443");
	assert_text(back.request.candidates.items[4], "udp:[2001:db8::7]:1");
	c->count = WIRE_CANDIDATES_MAX + 1;
	assert_false(encodes(&m));
	c->count = 1;
	c->items[0] = wire_text("tcp:");
	assert_false(encodes(&m));
	c->items[0] = wire_text("sctp:203.0.113.7:443");
	assert_false(encodes(&m));
	c->items[0] = wire_text("tcp:203.0.113.7:4\n");
	assert_false(encodes(&m));
	/* As many as may be, and one more. */
	assert_int_equal(BODY(WIRE_RESULT, "\0\0\0\0\6" SIX_CANDIDATES "\0"), WIRE_OK);
	assert_int_equal(BODY(WIRE_RESULT, "\0\0\0\0\7" SIX_CANDIDATES "\5tcp:a\0"),
			 WIRE_MALFORMED);
	/* As many as a byte can say: far more than there is room for. */
	uint8_t body[5 + 255 * 6 + 1] = {0, 0, 0, 0, 255};
	for (size_t i = 0; i < 255; i++)
		memcpy(body + 5 + i * 6, "\5tcp:a", 6);
	assert_int_equal(decode_body(WIRE_RESULT, body, sizeof(body)), WIRE_MALFORMED);
}

/* ---- revocations ---- */

static void test_revocations(void **state)
{
	static const uint8_t exact[] = {2,   0x0b, 0, 17, 3, 0, 1, 1, 4, 'h', 'o',
					'm', 'e',  0, 0,  0, 0, 0, 0, 1, 2,   0};
	static const struct wire_revocation wrong[] = {
		{0, {(const uint8_t *)"home", 4}, 0},
		{4, {(const uint8_t *)"home", 4}, 0},
		{WIRE_REVOKED_NAME, {(const uint8_t *)"Home", 4}, 0},
		{WIRE_REVOKED_NAME, {(const uint8_t *)"", 0}, 0},
		{WIRE_REVOKED_NAME, {(const uint8_t *)"home", 4}, UINT64_MAX},
		{WIRE_REVOKED_SERIAL, {(const uint8_t *)"0A", 2}, 0},
		{WIRE_REVOKED_SERIAL, {(const uint8_t *)"0ab", 3}, 0},
		{WIRE_REVOKED_KEY, {(const uint8_t *)"0a", 2}, 0},
	};
	struct wire_message back, m = {.type = WIRE_REVOKED};
	char key[WIRE_REVOCATION_MAX + 1];
	uint8_t out[WIRE_FRAME_MAX];

	m.revoked.flags = WIRE_REVOKED_FIRST | WIRE_REVOKED_LAST;
	m.revoked.count = 1;
	m.revoked.items[0] = (struct wire_revocation){WIRE_REVOKED_NAME, wire_text("home"), 258};
	assert_int_equal(wire_encode(&m, out, sizeof(out)), sizeof(exact) - 1);
	assert_memory_equal(out, exact, sizeof(exact) - 1);
	memset(key, 'f', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	m.revoked.count = WIRE_REVOKED_MAX;
	for (size_t i = 0; i < WIRE_REVOKED_MAX; i++)
		m.revoked.items[i] = (struct wire_revocation){WIRE_REVOKED_KEY, wire_text(key), 0};
	m.revoked.items[1] = (struct wire_revocation){WIRE_REVOKED_SERIAL, wire_text("0a"), 7};
	round_trip(&m, &back);
	assert_int_equal(back.revoked.count, WIRE_REVOKED_MAX);
	assert_text(back.revoked.items[0].value, key);
	assert_text(back.revoked.items[1].value, "0a");
	assert_int_equal(back.revoked.items[1].before, 7);
	m.revoked.flags = 4;
	assert_int_equal(wire_encode(&m, out, sizeof(out)), 0);
	m.revoked.flags = 0;
	m.revoked.count = WIRE_REVOKED_MAX + 1;
	assert_int_equal(wire_encode(&m, out, sizeof(out)), 0);
	m.revoked.count = 1;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		m.revoked.items[0] = wrong[i];
		assert_int_equal(wire_encode(&m, out, sizeof(out)), 0);
	}
	assert_int_equal(decode_body(WIRE_REVOKED, "\4\0\0", 3), WIRE_MALFORMED);
	assert_int_equal(decode_body(WIRE_REVOKED, "\0\0\1", 3), WIRE_MALFORMED);
	assert_int_equal(decode_body(WIRE_REVOKED, "\0\0\101", 3), WIRE_MALFORMED);
}

/* ---- extensions ---- */

/* The least of each message: its body without extensions. */
static const struct {
	enum wire_type type;
	const char *body;
	size_t len;
	bool extends;
} least[] = {
#define LEAST(type, extends, literal)                                                              \
	{                                                                                          \
		WIRE_##type, literal, sizeof(literal) - 1, extends                                 \
	}
	LEAST(HELLO, true, "\0\1a\0\0\1c\0\1s"),
	LEAST(WELCOME, true,
	      "\0\0"
	      "12345678"
	      "0123456789abcdef0123456789abcdef"
	      "12"
	      "34"
	      "5678"),
	LEAST(PUBLISH, false, "\0\0"),
	LEAST(PUBLISHED, false, "\0\0"),
	LEAST(OFFER, true, "12345678\0\1a\1b\0\0"),
	LEAST(REFUSE, false, "12345678\0\1\0\0"),
	LEAST(PING, true, "12345678"),
	LEAST(PONG, true, "12345678"),
	LEAST(DRAIN, false, "12"),
	LEAST(BYE, false, "\0\0\0\0"),
	LEAST(REVOKED, false, "\0\0\0"),
	LEAST(SIGNED, false, "\0\1x"),
	LEAST(LEG, false,
	      "12345678"
	      "0123456789abcdef0123456789abcdef"),
	LEAST(READY, false, ""),
	LEAST(OPEN, true, "\1a\1b"),
	LEAST(ACCEPT, false, "12345678"),
	LEAST(GO, true,
	      "12345678"
	      "0123456789abcdef0123456789abcdef"),
	LEAST(FAIL, false, "\0\1\0\0"),
	LEAST(REQUEST, true, "\1b\0\0"),
	LEAST(RESULT, true, "\0\0\0\0\0"),
#undef LEAST
};

/* A frame of the i-th message whose body ends in these bytes. */
static size_t with_tail(size_t i, const uint8_t *tail, size_t len, uint8_t *frame)
{
	size_t body = least[i].len + len;

	frame[0] = WIRE_VERSION;
	frame[1] = (uint8_t)least[i].type;
	frame[2] = (uint8_t)(body >> 8);
	frame[3] = (uint8_t)body;
	memcpy(frame + 4, least[i].body, least[i].len);
	memcpy(frame + 4 + least[i].len, tail, len);
	return 4 + body;
}

/* Writes count extensions of len bytes each, ids from first on; returns the tail's length. */
static size_t make_tail(uint8_t *tail, size_t count, uint16_t first, size_t len)
{
	size_t at = 0;

	tail[at++] = (uint8_t)count;
	for (size_t i = 0; i < count; i++) {
		tail[at++] = (uint8_t)((first + i) >> 8);
		tail[at++] = (uint8_t)(first + i);
		tail[at++] = (uint8_t)(len >> 8);
		tail[at++] = (uint8_t)len;
		memset(tail + at, 'v', len);
		at += len;
	}
	return at;
}

static enum wire_status decode_tail(size_t i, const uint8_t *tail, size_t len)
{
	static uint8_t frame[WIRE_FRAME_MAX];

	return decode(frame, with_tail(i, tail, len, frame));
}

static void test_which_messages_extend(void **state)
{
	static const uint8_t none[] = {0};

	assert_int_equal(LENGTH(least), 20);
	for (size_t i = 0; i < LENGTH(least); i++) {
		assert_int_equal(wire_type_extends(least[i].type), least[i].extends);
		assert_int_equal(decode_tail(i, none, 0),
				 least[i].extends ? WIRE_MALFORMED : WIRE_OK);
		assert_int_equal(decode_tail(i, none, 1),
				 least[i].extends ? WIRE_OK : WIRE_MALFORMED);
	}
}

/* One, two and the most; read again, and cut at every byte, with the length that says so and
 * without. */
static void test_extensions_of_every_message(void **state)
{
	static const size_t counts[] = {1, 2, WIRE_EXTENSIONS_MAX};
	static uint8_t tail[WIRE_FRAME_MAX], frame[WIRE_FRAME_MAX], again[WIRE_FRAME_MAX];
	struct wire_message m;
	struct wire_bytes value;
	size_t used;

	for (size_t i = 0; i < LENGTH(least); i++)
		for (size_t n = 0; n < LENGTH(counts) && least[i].extends; n++) {
			size_t tail_len = make_tail(tail, counts[n], 0x7f00, n), len;

			for (size_t cut = 0; cut < tail_len; cut++)
				assert_int_equal(decode_tail(i, tail, cut), WIRE_MALFORMED);
			len = with_tail(i, tail, tail_len, frame);
			for (size_t cut = 0; cut < len; cut++)
				assert_int_equal(decode(frame, cut), WIRE_SHORT);
			assert_int_equal(wire_decode(frame, len, &m, &used), WIRE_OK);
			assert_int_equal(used, len);
			assert_int_equal(m.extensions.unknown, 0);
			assert_int_equal(m.extensions.count, counts[n]);
			assert_true(wire_extension_get(&m, 0x7f00, &value));
			assert_int_equal(value.len, n);
			assert_true(value.data > frame && value.data + n <= frame + len);
			assert_false(wire_extension_get(&m, 0x7eff, &value));
			assert_int_equal(wire_encode(&m, again, sizeof(again)), len);
			assert_memory_equal(frame, again, len);
		}
}

static void test_bad_extensions_of_every_message(void **state)
{
	static uint8_t tail[65536 + 8];
	size_t len;

	for (size_t i = 0; i < LENGTH(least); i++) {
		if (!least[i].extends)
			continue;
		len = make_tail(tail, WIRE_EXTENSIONS_MAX + 1, 1, 0);
		assert_int_equal(decode_tail(i, tail, len), WIRE_MALFORMED);
		len = make_tail(tail, 255, 1, 0); /* more than the message has room for */
		assert_int_equal(decode_tail(i, tail, len), WIRE_MALFORMED);
		len = make_tail(tail, 1, 1, WIRE_EXTENSIONS_BYTES - 4);
		assert_int_equal(decode_tail(i, tail, len), WIRE_OK);
		len = make_tail(tail, 1, 1, WIRE_EXTENSIONS_BYTES - 3);
		assert_int_equal(decode_tail(i, tail, len), WIRE_MALFORMED);
		len = make_tail(tail, 2, 1, WIRE_EXTENSIONS_BYTES / 2 - 3);
		assert_int_equal(decode_tail(i, tail, len), WIRE_MALFORMED);
		len = make_tail(tail, 3, 5, 2); /* the third again under the first's id */
		tail[1 + 2 * 6 + 1] = 5;
		assert_int_equal(decode_tail(i, tail, len), WIRE_MALFORMED);
		len = make_tail(tail, 2, 0xfffe, 2); /* unknown and twice: malformed */
		tail[2] = 0xff;
		assert_int_equal(decode_tail(i, tail, len), WIRE_MALFORMED);
	}
}

/* Below 0x8000 an unknown id is skipped, from there on it is refused by name. */
static void test_unknown_extensions(void **state)
{
	static uint8_t tail[64], frame[WIRE_FRAME_MAX];
	char text[WIRE_EXTENSION_TEXT_MAX], wanted[WIRE_EXTENSION_TEXT_MAX];
	struct wire_message m;
	size_t used, len;

	for (size_t i = 0; i < LENGTH(least); i++) {
		if (!least[i].extends)
			continue;
		len = with_tail(i, tail, make_tail(tail, 1, 0x7fff, 1), frame);
		assert_int_equal(wire_decode(frame, len, &m, &used), WIRE_OK);
		len = with_tail(i, tail, make_tail(tail, 3, 0x7ffe, 1), frame);
		assert_int_equal(wire_decode(frame, len, &m, &used), WIRE_UNKNOWN_EXTENSION);
		assert_int_equal(used, len);
		assert_int_equal(m.type, least[i].type);
		assert_int_equal(m.extensions.unknown, 0x8000);
		assert_int_equal(m.extensions.count, 3);
		assert_false(encodes(&m)); /* what is refused is not sent, either */
		wire_explain_extension(&m, "the publishing agent", text);
		snprintf(wanted, sizeof(wanted),
			 "the publishing agent does not know extension 0x8000 of %s; update it",
			 wire_type_name(least[i].type));
		assert_string_equal(text, wanted);
		if (least[i].type == WIRE_OFFER)
			assert_int_equal(m.offer.session, 0x3132333435363738);
	}
}

static void test_adding_extensions(void **state)
{
	struct wire_message back, m = {.type = WIRE_PING, .ping.token = 1};
	struct wire_bytes value = wire_text("untouched");

	assert_false(wire_extension_get(&m, 1, &value));
	assert_text(value, "untouched");
	for (uint16_t i = 0; i < WIRE_EXTENSIONS_MAX; i++)
		assert_true(wire_extension_add(&m, i, wire_text(i % 2 ? "" : "load")));
	assert_false(wire_extension_add(&m, 100, wire_text("")));
	round_trip(&m, &back);
	assert_true(wire_extension_get(&back, 14, &value));
	assert_text(value, "load");
	assert_true(wire_extension_get(&back, 15, &value));
	assert_text(value, "");
	m.extensions.items[3].id = 7; /* twice */
	assert_false(encodes(&m));
	m.extensions.items[3].id = 0x8001; /* unknown, to others as well as to us */
	assert_false(encodes(&m));
	m.extensions.items[3].id = 3;
	assert_true(encodes(&m));
	m.extensions.items[3].value = (struct wire_bytes){blob, SIZE_MAX};
	assert_false(encodes(&m));
	m.extensions.items[3].value = (struct wire_bytes){blob, WIRE_EXTENSIONS_BYTES};
	assert_false(encodes(&m));
	m.extensions.count = WIRE_EXTENSIONS_MAX + 1;
	assert_false(encodes(&m));
	m = (struct wire_message){.type = WIRE_READY}; /* has none */
	assert_true(wire_extension_add(&m, 1, wire_text("")));
	assert_false(encodes(&m));
}

/* PING and PONG differ in size, and the padding means nothing. */
static void test_padding(void **state)
{
	static const uint64_t numbers[] = {0, 1, WIRE_PAD_MAX, WIRE_PAD_MAX + 1, UINT64_MAX};
	static const size_t sizes[] = {0, 1, WIRE_PAD_MAX, 0, WIRE_PAD_MAX};
	struct wire_message m = {.type = WIRE_PONG, .pong.token = 9}, back;
	struct wire_bytes pad;
	uint8_t frame[512];
	size_t len, used;

	for (size_t i = 0; i < 5; i++) {
		wire_pad(&m, numbers[i]);
		len = wire_encode(&m, frame, sizeof(frame));
		assert_int_equal(len, WIRE_HEADER_BYTES + 8 + 1 + 4 + sizes[i]);
		assert_int_equal(wire_decode(frame, len, &back, &used), WIRE_OK);
		assert_int_equal(back.pong.token, 9);
		assert_true(wire_extension_get(&back, WIRE_EXTENSION_PAD, &pad));
		assert_int_equal(pad.len, sizes[i]);
	}
}

/* Every field and the extensions at their limits: still a message. */
static void test_longest_hello(void **state)
{
	struct wire_message back, m = {.type = WIRE_HELLO};

	m.hello.agent = wire_text(name_63);
	m.hello.software = wire_text(text_64);
	m.hello.certificate = (struct wire_bytes){blob, WIRE_CERT_MAX};
	m.hello.signature = (struct wire_bytes){blob, WIRE_SIGNATURE_MAX};
	assert_true(
		wire_extension_add(&m, 1, (struct wire_bytes){blob, WIRE_EXTENSIONS_BYTES - 4}));
	round_trip(&m, &back);
	assert_int_equal(back.extensions.items[0].value.len, WIRE_EXTENSIONS_BYTES - 4);
}

/* ---- limits ---- */

static void test_lengths(void **state)
{
	struct wire_message m = {.type = WIRE_HELLO};
	char name_64[65];

	memcpy(name_64, name_63, 63);
	memcpy(name_64 + 63, "4", 2);
	m.hello.agent = wire_text("a");
	m.hello.certificate = m.hello.signature = (struct wire_bytes){blob, 1};
	assert_true(encodes(&m));
	m.hello.agent = wire_text(name_64);
	assert_false(encodes(&m));
	m.hello.agent = wire_text("");
	assert_false(encodes(&m));
	m.hello.agent = wire_text("a");
	m.hello.certificate.len = 0;
	assert_false(encodes(&m));
	m.hello.certificate.len = WIRE_CERT_MAX + 1;
	assert_false(encodes(&m));
	m.hello.certificate.len = 1;
	m.hello.signature.len = WIRE_SIGNATURE_MAX + 1;
	assert_false(encodes(&m));
	m.hello.signature.len = 1;
	m.hello.flags = 4;
	assert_false(encodes(&m));

	assert_int_equal(BODY(WIRE_HELLO, "\x00\x01"
					  "a\x00\x00\x01"
					  "c\x00\x01s\x00"),
			 WIRE_OK);
	assert_int_equal(BODY(WIRE_HELLO, "\x04\x01"
					  "a\x00\x00\x01"
					  "c\x00\x01s\x00"),
			 WIRE_MALFORMED);
	assert_int_equal(BODY(WIRE_HELLO, "\x00\x00\x00\x00\x01"
					  "c\x00\x01s\x00"),
			 WIRE_MALFORMED);
	assert_int_equal(BODY(WIRE_HELLO, "\x00\x01"
					  "a\x00\x00\x00\x00\x01s\x00"),
			 WIRE_MALFORMED);
	assert_int_equal(BODY(WIRE_HELLO, "\x00\x01"
					  "a\x00\x00\x01"
					  "c\x00\x00\x00"),
			 WIRE_MALFORMED);
	assert_int_equal(BODY(WIRE_HELLO, "\x00\x02"
					  "a.\x00\x00\x01"
					  "c\x00\x01s\x00"),
			 WIRE_MALFORMED);
}

static void test_texts(void **state)
{
	static const char *const good[] = {"",
					   " ",
					   "~",
					   "caf\xc3\xa9",
					   "\xc2\xa0",
					   "\xed\x9f\xbf",
					   "\xe2\x82\xac",
					   "\xe2\x80\xa9",
					   "\xe2\x80\xaf",
					   "\xe2\x81\xa5",
					   "\xe2\x81\xaa",
					   "\xd8\x9b",
					   "\xf0\x9f\x9a\xaa",
					   "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {"\n",
					  "a\tb",
					  "\x1b[2J",
					  "\x7f",
					  "\x80",
					  "\xbf",
					  "\xc2",
					  "\xc2\x20",
					  "\xc2\x80",
					  "\xc2\x9b",
					  "\xc0\xaf",
					  "\xc1\xbf",
					  "\xe0\x80\xaf",
					  "\xe2\x82",
					  "\xe2\x80\x8e",
					  "\xe2\x80\x8f",
					  "\xe2\x80\xaa",
					  "a\xe2\x80\xae-",
					  "\xe2\x81\xa6",
					  "\xe2\x81\xa9",
					  "\xd8\x9c",
					  "\xed\xa0\x80",
					  "\xf0\x80\x80\xaf",
					  "\xf4\x90\x80\x80",
					  "\xf5\x80\x80\x80",
					  "\xff"};
	struct wire_message m = {.type = WIRE_BYE};

	for (size_t i = 0; i < LENGTH(good); i++) {
		m.bye.text = wire_text(good[i]);
		assert_true(encodes(&m));
	}
	for (size_t i = 0; i < LENGTH(bad); i++) {
		m.bye.text = wire_text(bad[i]);
		assert_false(encodes(&m));
	}
	m.bye.text = (struct wire_bytes){(const uint8_t *)"\0", 1};
	assert_false(encodes(&m));
	memset(long_text, 'x', WIRE_TEXT_MAX + 1);
	m.bye.text = (struct wire_bytes){(const uint8_t *)long_text, WIRE_TEXT_MAX};
	assert_true(encodes(&m));
	m.bye.text.len++;
	assert_false(encodes(&m));
	assert_int_equal(BODY(WIRE_BYE, "\x00\x00\x00\x01\n"), WIRE_MALFORMED);
	assert_int_equal(BODY(WIRE_BYE, "\x00\x00\x00\x01n"), WIRE_OK);
}

static void test_reasons(void **state)
{
	assert_int_equal(BODY(WIRE_BYE, "\x00\x00\x00\x00"), WIRE_OK);
	assert_int_equal(BODY(WIRE_RESULT, "\x00\x00\x00\x00\x00\x00"), WIRE_OK);
	assert_int_equal(BODY(WIRE_RESULT, "\x00\x00\x00\x00\x01\x04tcp:\x00"), WIRE_MALFORMED);
	assert_int_equal(BODY(WIRE_FAIL, "\x00\x00\x00\x00"), WIRE_MALFORMED);
	assert_int_equal(BODY(WIRE_REFUSE, "12345678\x00\x00\x00\x00"), WIRE_MALFORMED);
	assert_int_equal(BODY(WIRE_FAIL, "\x00\x63\x00\x00"), WIRE_OK); /* 99: a later version's */
	assert_int_equal(BODY(WIRE_FAIL, "\x00\x64\x00\x00"), WIRE_MALFORMED);
	assert_int_equal(BODY(WIRE_BYE, "\xff\xff\x00\x00"), WIRE_MALFORMED);
}

static void test_names(void **state)
{
	static const char *const agents[] = {"a", "0", "home", "a-b_c", "9-9", name_63};
	static const char *const services[] = {"a.b", "a/b", "web.internal/admin-2/x_y", "1.2.3"};
	static const char *const neither[] = {
		"",   "-a", "a-", "_",	"a b", "A",	      "a..b", "a//b", "a./b", "a/.b",
		".a", "a.", "/a", "a/", "a\n", "caf\xc3\xa9", "a:b",  "a@b",  "a\\b"};

	for (size_t i = 0; i < LENGTH(agents); i++) {
		struct wire_bytes n = wire_text(agents[i]);

		assert_true(wire_agent_name_ok(n.data, n.len));
		assert_true(wire_service_name_ok(n.data, n.len));
	}
	for (size_t i = 0; i < LENGTH(services); i++) {
		struct wire_bytes n = wire_text(services[i]);

		assert_false(wire_agent_name_ok(n.data, n.len));
		assert_true(wire_service_name_ok(n.data, n.len));
	}
	for (size_t i = 0; i < LENGTH(neither); i++) {
		struct wire_bytes n = wire_text(neither[i]);

		assert_false(wire_agent_name_ok(n.data, n.len));
		assert_false(wire_service_name_ok(n.data, n.len));
	}
	assert_false(wire_agent_name_ok((const uint8_t *)"a\0b", 3));
}

/* ---- helpers of the module ---- */

static void test_split_target(void **state)
{
	char agent[WIRE_NAME_MAX + 1] = "?", service[WIRE_NAME_MAX + 1] = "?";

	assert_false(wire_split_target("home", agent, service));
	assert_false(wire_split_target("/ssh", agent, service));
	assert_false(wire_split_target("home/", agent, service));
	assert_false(wire_split_target("home.lan/ssh", agent, service));
	assert_false(wire_split_target("home//ssh", agent, service));
	assert_string_equal(agent, "?");
	assert_string_equal(service, "?");
	assert_true(wire_split_target("home/web.internal/x", agent, service));
	assert_string_equal(agent, "home");
	assert_string_equal(service, "web.internal/x");
}

static void test_copy_and_compare(void **state)
{
	char out[8];

	wire_bytes_copy(wire_text("abc"), out, sizeof(out));
	assert_string_equal(out, "abc");
	wire_bytes_copy(wire_text("abcdefghi"), out, sizeof(out));
	assert_string_equal(out, "abcdefg");
	wire_bytes_copy(wire_text("abcdef\xc3\xa9"), out, sizeof(out));
	assert_string_equal(out, "abcdef");
	wire_bytes_copy((struct wire_bytes){NULL, 0}, out, 1);
	assert_string_equal(out, "");
	assert_true(wire_bytes_equal((struct wire_bytes){NULL, 0}, wire_text("")));
	assert_false(wire_bytes_equal(wire_text("a"), wire_text("ab")));
	assert_false(wire_bytes_equal(wire_text("a"), wire_text("b")));
	assert_string_equal(wire_type_name(WIRE_OPEN), "OPEN");
	assert_string_equal(wire_type_name(0x7f), "UNKNOWN");
}

static void test_unknown_type_does_not_encode(void **state)
{
	struct wire_message m = {.type = (enum wire_type)0x0f};

	assert_false(encodes(&m));
}

static void test_names_of_certificates(void **state)
{
	static const char *const good[] = {"a", "home", "home-2", "a_b", "0"};
	static const char *const bad[] = {"", "Home", "a.b", "-a", "a-", "a/b", "a b", "\xc3\xa9"};
	char name[65] = {0};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(wire_is_agent_name(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(wire_is_agent_name(bad[i]));
	memset(name, 'a', 63);
	assert_true(wire_is_agent_name(name));
	name[63] = 'a';
	assert_false(wire_is_agent_name(name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_certificates),
		cmocka_unit_test(test_exact_bytes),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_link_messages),
		cmocka_unit_test(test_revocations),
		cmocka_unit_test(test_publish),
		cmocka_unit_test(test_offer),
		cmocka_unit_test(test_leg_messages),
		cmocka_unit_test(test_ended),
		cmocka_unit_test(test_prove),
		cmocka_unit_test(test_end_to_end_messages),
		cmocka_unit_test(test_candidates),
		cmocka_unit_test(test_which_messages_extend),
		cmocka_unit_test(test_extensions_of_every_message),
		cmocka_unit_test(test_bad_extensions_of_every_message),
		cmocka_unit_test(test_unknown_extensions),
		cmocka_unit_test(test_adding_extensions),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_longest_hello),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_split_target),
		cmocka_unit_test(test_copy_and_compare),
		cmocka_unit_test(test_unknown_type_does_not_encode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
