/* SPDX-License-Identifier: Apache-2.0 */
/* messages: what players say in Postern's own protocol, right or wrong, once or many times. */
#include <string.h>

#include "fuzz/machines/cast.h"

/* ---- fields ---- */

static struct wire_bytes a_text(void)
{
	static const char *const words[] = {"home", "laptop", "guest",		 "talk",      "web",
					    "",	    "admin",  "postern/control", "home/talk", "*"};
	unsigned which = script_byte();

	if (which % 16 < sizeof(words) / sizeof(words[0]))
		return wire_text(words[which % 16]);
	return script_bytes(70);
}

static uint64_t a_session(void)
{
	unsigned which = script_byte();

	if (which % 4 < 2)
		return cast_offered;
	return which % 4 == 2 ? cast_offered + which : (uint64_t)which << 50 | script_word();
}

static uint64_t a_link(void)
{
	unsigned which = script_byte();

	return which % 3 == 0	? players[HOME_LINK].peer.link
	       : which % 3 == 1 ? players[LAPTOP_LINK].peer.link
				: script_word();
}

static uint16_t a_reason(void)
{
	return (uint16_t)(script_byte() % 64);
}

static void a_secret(uint8_t out[WIRE_SECRET_BYTES])
{
	memset(out, (int)script_byte(), WIRE_SECRET_BYTES);
}

static void some_revocations(struct wire_revocations *r)
{
	r->flags = (uint8_t)script_below(4);
	r->count = script_below(WIRE_REVOKED_MAX + 1);
	for (size_t i = 0; i < r->count; i++)
		r->items[i] = (struct wire_revocation){WIRE_REVOKED_NAME, wire_text("somebody"), i};
	r->items[0].before = script_word();
	r->items[0].value = a_text();
}

static void some_extensions(struct wire_message *m)
{
	unsigned n = script_byte();

	if (!wire_type_extends(m->type) || n % 4 != 0)
		return;
	for (n = n / 4 % (WIRE_EXTENSIONS_MAX + 1); n > 0; n--) {
		uint16_t id = (uint16_t)script_word();

		(void)!wire_extension_add(m, id, script_bytes(20));
	}
}

/* ---- messages ---- */

void cast_message(struct wire_message *m)
{
	static const uint8_t types[] = {
#define X(number, name) number,
		WIRE_MESSAGES(X)
#undef X
	};

	memset(m, 0, sizeof(*m));
	m->type = types[script_below(sizeof(types))];
	switch (m->type) {
	case WIRE_HELLO:
		m->hello.flags = (uint8_t)script_below(4);
		m->hello.agent = a_text();
		m->hello.software = a_text();
		m->hello.certificate = script_bytes(200);
		m->hello.signature = script_bytes(80);
		break;
	case WIRE_WELCOME:
		m->welcome.relay = m->welcome.your_address = wire_text("relay");
		m->welcome.link = a_link();
		a_secret(m->welcome.leg_secret);
		m->welcome.ping_interval_s = (uint16_t)script_word();
		m->welcome.max_legs = (uint16_t)script_byte();
		m->welcome.max_sessions = script_word();
		break;
	case WIRE_PUBLISH:
		m->publish.count = script_below(5);
		for (size_t i = 0; i < m->publish.count; i++)
			m->publish.services[i] = a_text();
		break;
	case WIRE_PUBLISHED:
		m->published.count = (uint16_t)script_byte();
		break;
	case WIRE_OFFER:
		m->offer.session = a_session();
		m->offer.kind = (enum wire_offer_kind)script_below(2);
		m->offer.from = m->offer.kind == WIRE_OFFER_PUBLIC ? wire_text("") : a_text();
		m->offer.service = a_text();
		m->offer.source = wire_text("192.0.2.1:40000");
		m->offer.local = wire_text("192.0.2.2:443");
		break;
	case WIRE_REFUSE:
		m->refuse.session = a_session();
		m->refuse.reason = a_reason();
		m->refuse.text = a_text();
		break;
	case WIRE_PING:
	case WIRE_PONG:
		m->ping.token = script_word();
		break;
	case WIRE_DRAIN:
		m->drain.reconnect_after_s = (uint16_t)script_word();
		break;
	case WIRE_BYE:
	case WIRE_FAIL:
		m->bye.reason = a_reason();
		m->bye.text = a_text();
		break;
	case WIRE_REVOKED:
		some_revocations(&m->revoked);
		break;
	case WIRE_TAGKEY:
		a_secret(m->tagkey.key);
		break;
	case WIRE_SIGNED:
		m->signed_revocation.object = script_bytes(400);
		break;
	case WIRE_PROVE:
		m->prove.session = a_session();
		m->prove.certificate = script_bytes(200);
		m->prove.signature = script_bytes(80);
		break;
	case WIRE_ENDED:
		m->ended.session = a_session();
		m->ended.cause = script_bytes(1);
		m->ended.text = a_text();
		break;
	case WIRE_LEG:
		m->leg.link = a_link();
		a_secret(m->leg.proof);
		break;
	case WIRE_READY:
		break;
	case WIRE_OPEN:
		m->open.to = a_text();
		m->open.service = a_text();
		break;
	case WIRE_ACCEPT:
		m->accept.session = a_session();
		break;
	case WIRE_GO:
		m->go.session = a_session();
		a_secret(m->go.secret);
		break;
	case WIRE_REQUEST:
		m->request.service = a_text();
		m->request.source = wire_text("192.0.2.1:40000");
		break;
	case WIRE_RESULT:
		m->result.reason = a_reason();
		m->result.text = a_text();
		break;
	}
	some_extensions(m);
}

/* Puts a message to what leaves next, unless it is one that cannot be put into bytes. */
static void frame(struct player *p)
{
	struct wire_message m;
	size_t n;

	cast_message(&m);
	if (sizeof(p->peer.frame) - p->peer.frame_len < WIRE_FRAME_MAX)
		cast_flush(p);
	n = wire_encode(&m, p->peer.frame + p->peer.frame_len, WIRE_FRAME_MAX);
	p->peer.frame_len += n;
	world_tell("%s says %s%s", p->peer.program->name, wire_type_name(m.type),
		   n ? "" : ", which cannot be said");
}

void act_message(void)
{
	struct player *p = cast_player();

	frame(p);
	cast_flush(p);
}

/* With its own certificate, and a signature that is none: for somebody's session, once or often. */
void act_prove(void)
{
	struct player *p = cast_player(), *of = cast_player();
	struct wire_message m = {.type = WIRE_PROVE};
	uint8_t out[WIRE_FRAME_MAX];

	m.prove.session = of->session ? of->session : cast_offered;
	identity_certificate_der(p->peer.identity, &m.prove.certificate.data,
				 &m.prove.certificate.len);
	m.prove.signature = (struct wire_bytes){m.prove.certificate.data, 64};
	world_tell("%s says PROVE for a session of %s", p->peer.program->name,
		   of->peer.program->name);
	for (unsigned times = 1 + script_byte() * 2u; times > 0; times--)
		cast_say(p, out, wire_encode(&m, out, sizeof(out)));
}

/* The same again and again, in one record each time. */
void act_many_messages(void)
{
	static uint8_t many[16000];
	struct player *p = cast_player();
	unsigned records = 1 + script_below(32);
	size_t n = 0, each;

	cast_flush(p);
	frame(p);
	each = p->peer.frame_len;
	if (each == 0)
		return;
	while (n + each <= sizeof(many)) {
		memcpy(many + n, p->peer.frame, each);
		n += each;
	}
	p->peer.frame_len = 0;
	for (unsigned i = 0; i < records; i++)
		cast_say(p, many, n);
}

/* A frame of any body, whose length is right or not. */
void act_frame(void)
{
	struct player *p = cast_player();
	unsigned type = script_byte(), wrong = script_below(4);
	struct wire_bytes body = script_bytes(600);
	size_t len = body.len + (wrong == 3 ? 5 : 0);
	uint8_t head[WIRE_HEADER_BYTES] = {wrong == 2 ? 9 : WIRE_VERSION, (uint8_t)type,
					   (uint8_t)(len >> 8), (uint8_t)len};

	cast_flush(p);
	cast_say(p, head, sizeof(head));
	cast_say(p, body.data, body.len);
}
