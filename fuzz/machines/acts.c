/* SPDX-License-Identifier: Apache-2.0 */
/* acts: what players of the cast do, with what the script says. Messages are in messages.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "fuzz/machines/cast.h"
#include "tests/support/signed.h"

#define PROXIED_PORT 8443u

/* ---- connections ---- */

void act_time(void)
{
	cast_run(script_time());
}

void cast_forget(struct player *p)
{
	p->session = 0;
	p->wrote_len = p->read_len = 0;
	p->peer.link = p->asked = 0;
	p->given = 0;
	p->blurred = p->proven = p->waits = false;
	p->any = p->outer = p->given_end = p->ended = false;
}

/* By the plain listener, or by that behind a proxy, whose word says where it comes from. */
static bool connect_by(struct player *p, unsigned way)
{
	static const char *const sources[] = {"192.0.2.1", "192.0.2.2", "198.51.100.1"};
	char header[96];
	int n;

	cast_forget(p);
	if (way % 4 == 0)
		return peer_connect(&p->peer, cast_relay_host);
	if (!peer_connect_to(&p->peer, cast_relay_host, PROXIED_PORT))
		return false;
	n = snprintf(header, sizeof(header), "PROXY TCP4 %s 203.0.113.1 40000 443\r\n",
		     sources[way % 4 - 1]);
	if (way < 128)
		cast_say(p, header, (size_t)n);
	return true;
}

void act_connect(void)
{
	struct player *p = cast_player();

	(void)connect_by(p, script_byte());
}

/* With the handshake; what is said next begins with the tag, or without. */
void act_dial(void)
{
	struct player *p = cast_player();
	unsigned tag = script_below(3);

	cast_forget(p);
	if (!peer_dial(&p->peer, cast_relay_host))
		return;
	if (tag == 0)
		peer_say_no_tag(&p->peer);
	else if (tag == 1)
		p->peer.frame[script_below(TAG_BYTES)] ^= (uint8_t)script_byte();
}

/* ---- a ClientHello by hand ---- */

static SSL_CTX *hellos;
static struct identity *signers[2];

void acts_prepare(void)
{
	static const enum who who[] = {ADMIN, LAPTOP};
	char why[256];

	hellos = SSL_CTX_new(TLS_method());
	for (unsigned i = 0; i < 2; i++) {
		signers[i] = identity_new(world_ca.pem, world_pairs[who[i]].certificate,
					  world_pairs[who[i]].key, time(NULL), why, sizeof(why));
		if (!signers[i])
			world_broken("who signs: %s", why);
	}
}

static size_t make_hello(unsigned which, uint8_t *out, size_t room)
{
	static const char *const names[] = {"www.example", "relay-a", "nobody.example", NULL};
	const char *name = names[which % 4];
	const uint8_t *hello;
	struct tls *t;
	size_t len;

	t = tls_new(hellos, false);
	if (name && !SSL_set_tlsext_host_name(tls_ssl(t), name))
		world_broken("no name for a hello");
	(void)!tls_handshake(t);
	hello = tls_output(t, &len);
	len = len < room ? len : room;
	memcpy(out, hello, len);
	tls_free(t);
	return len;
}

/* One that a library has made, with some bytes changed, perhaps in many records, cut into pieces,
 * perhaps not whole; on a new connection. */
void act_hello_in_pieces(void)
{
	static uint8_t hello[4096];
	struct player *p = cast_player();
	unsigned way = script_byte(), changes = script_below(4), pieces = 1 + script_below(4);
	size_t len = make_hello(way >> 2, hello, sizeof(hello)), sent = 0;

	for (unsigned i = 0; i < changes; i++) {
		size_t at = script_word() % len;

		hello[at] ^= (uint8_t)script_byte();
	}
	if (!connect_by(p, way & 3))
		return;
	for (unsigned i = 0; i < pieces && sent < len; i++) {
		size_t n = 1 + script_word() % (len - sent);

		cast_say(p, hello + sent, n);
		sent += n;
		cast_run(10 * MS);
	}
	if (script_byte() & 1)
		cast_say(p, hello + sent, len - sent);
}

/* ---- bytes ---- */

void act_bytes(void)
{
	struct player *p = cast_player();
	struct wire_bytes b = script_bytes(1024);

	cast_say(p, b.data, b.len);
}

/* On the wire itself, past the session's TLS: a record of any type, its length right or wrong. */
void act_record(void)
{
	static const uint8_t types[] = {20, 21, 22, 23, 24, 0x80};
	struct player *p = cast_player();
	unsigned type = script_below(6), version = script_below(5), more = script_below(4) * 100;
	struct wire_bytes b = script_bytes(255);
	uint8_t record[5] = {types[type], 3, (uint8_t)version, (uint8_t)((b.len + more) >> 8),
			     (uint8_t)(b.len + more)};
	bool raw = p->peer.raw, mute = p->peer.mute;

	if (p->peer.fd < 0 || (p->session && !p->outer))
		return;
	p->peer.raw = p->peer.mute = true; /* what comes meanwhile is TLS */
	cast_say(p, record, sizeof(record));
	cast_say(p, b.data, b.len);
	p->peer.raw = raw;
	p->peer.mute = mute;
}

void act_request(void)
{
	static const char *const heads[] = {
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n0123456789",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		"GET /\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: ",
		"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=1-4,6-\r\nExpect: 100-continue\r\n\r\n",
		"0\r\n\r\n",
	};
	struct player *p = cast_player();
	const char *head = heads[script_below(sizeof(heads) / sizeof(heads[0]))];
	unsigned times = 1 + script_below(8);

	for (unsigned i = 0; i < times; i++)
		cast_say(p, head, strlen(head));
}

void act_stun(void)
{
	uint8_t request[20] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42};
	struct player *p = cast_player();
	unsigned times = 1 + script_below(100);

	for (unsigned i = 0; i < times; i++)
		cast_say(p, request, sizeof(request));
}

/* ---- ends ---- */

void act_half_close(void)
{
	struct player *p = cast_player();

	if (p->peer.fd < 0)
		return;
	k_enter(p->peer.program);
	shutdown(p->peer.fd, SHUT_WR);
	k_enter(NULL);
}

void act_close_tls(void)
{
	cast_close_tls(cast_player());
}

/* Other keys, once or many times, with a byte or a message under each. */
void act_update_keys(void)
{
	static const struct wire_message ping = {.type = WIRE_PING};
	struct player *p = cast_player();
	unsigned times = 1 + script_below(64), what = script_below(2);
	uint8_t bytes[64] = "\n";
	size_t len = what ? wire_encode(&ping, bytes, sizeof(bytes)) : 1;

	for (unsigned i = 0; i < times && p->peer.tls && !p->peer.raw; i++) {
		if (SSL_in_init(tls_ssl(p->peer.tls)) || !tls_update_keys(p->peer.tls))
			return;
		if (p->outer)
			cast_say_of_site(p, 1);
		else
			cast_say(p, bytes, len);
	}
}

static void end(struct player *p, bool reset)
{
	peer_close(&p->peer, reset);
	peer_say_no_tag(&p->peer);
	p->peer.eof = p->peer.reset = p->peer.raw = false;
	p->peer.got_len = p->peer.looked_at = p->peer.out_len = 0;
	cast_forget(p);
}

void act_close(void)
{
	end(cast_player(), false);
}

void act_reset(void)
{
	end(cast_player(), true);
}

/* Reads no more, or again. */
void act_mute(void)
{
	struct player *p = cast_player();

	p->peer.mute = !p->peer.mute;
	p->peer.pongs = !p->peer.mute;
}

void act_cable(void)
{
	struct player *p = cast_player();
	struct k_host *h = p->peer.program->host;

	k_cable_pull(cast_relay_host, h, !k_cable_pulled(cast_relay_host, h));
}

/* ---- who they are ---- */

/* On a connection of its own, whose handshake is through. */
static bool dialled(struct player *p)
{
	cast_forget(p);
	return peer_dial(&p->peer, cast_relay_host);
}

/* Damages one byte of what leaves next, behind the tag, or none. */
static void damage(struct player *p)
{
	unsigned at = script_word(), with = script_byte();

	if (p->peer.frame_len > TAG_BYTES)
		p->peer.frame[TAG_BYTES + at % (p->peer.frame_len - TAG_BYTES)] ^= (uint8_t)with;
}

void act_sign_in(void)
{
	struct player *p = cast_player();
	unsigned flags = script_below(4);

	if (!dialled(p))
		return;
	peer_frame_hello(&p->peer, (uint8_t)flags);
	damage(p);
	cast_flush(p);
}

void act_leg(void)
{
	struct player *p = cast_player(),
		      *link = &players[script_below(2) ? HOME_LINK : LAPTOP_LINK];

	if (!dialled(p))
		return;
	peer_frame_leg(&p->peer, &link->peer);
	damage(p);
	cast_flush(p);
	p->blurred = false; /* that was due */
}

size_t cast_signed(uint8_t object[REVOCATION_MAX], bool *revokes)
{
	static const char *const values[] = {
		"home",
		"laptop",
		"guest",
		"admin",
		"nobody",
		"0123456789abcdef0123",
		"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"};
	unsigned verb = 1 + script_below(2), which = script_below(7), by = script_below(4);
	unsigned damaged = script_byte(), counter = script_word();
	struct signed_revocation r = {.verb = (enum revocation_verb)verb,
				      .kind = which < 5	   ? WIRE_REVOKED_NAME
					      : which == 5 ? WIRE_REVOKED_SERIAL
							   : WIRE_REVOKED_KEY,
				      .value = wire_text(values[which])};
	size_t len;

	/* Within the last minute. */
	if (counter > 0)
		r.counter = (uint64_t)time(NULL) * 1000 - 65536 + counter;
	*revokes = r.verb == REVOCATION_REVOKE;
	len = by == 3 ? signed_make_by_ca(&world_ca, &r, object)
		      : signed_make(signers[by == 2], &r, object);
	if (damaged > 0)
		object[script_word() % len] ^= (uint8_t)damaged;
	return len;
}

/* ---- sessions ---- */

/* A session as it is meant to be: laptop asks, home is offered, and takes it. */
void act_pair(void)
{
	struct wire_message m = {.type = WIRE_OPEN};
	struct player *asks = &players[script_below(2) ? LAPTOP_LEG_1 : LAPTOP_LEG_2];
	struct player *takes = &players[script_below(2) ? HOME_LEG_1 : HOME_LEG_2];
	uint64_t before = cast_offered;

	m.open.to = wire_text("home");
	m.open.service = wire_text("talk");
	cast_say_in_turn(asks, &m);
	cast_run(40 * MS);
	if (cast_offered == before)
		return;
	m = (struct wire_message){.type = WIRE_ACCEPT, .accept.session = cast_offered};
	cast_say_in_turn(takes, &m);
	cast_run(40 * MS);
}

/* One of home's legs takes what was offered last, whoever asked. */
void act_accept(void)
{
	struct wire_message m = {.type = WIRE_ACCEPT, .accept.session = cast_offered};

	cast_say_in_turn(&players[script_below(2) ? HOME_LEG_1 : HOME_LEG_2], &m);
}

/* In a session: much, or little. */
void act_raw(void)
{
	static uint8_t bytes[16384];
	struct player *p = cast_player();
	size_t n = script_word() % sizeof(bytes);

	if (!p->session)
		return;
	memset(bytes, (int)script_byte(), n);
	cast_say(p, bytes, n);
}
