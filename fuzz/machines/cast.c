/* SPDX-License-Identifier: Apache-2.0 */
/* cast: the relay and its players, and what is owed to them at the end. */
#include "fuzz/machines/cast.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "relay/control/control.h"

#define WITNESS_MOST_US SECOND
/* After it no one who has proved nothing is there any more: 60 s of the first request's head, 75 s
 * between two, and as long as a stalled machine takes. */
#define STRANGERS_MOST_US (150 * SECOND)
#define TURN_US		  (20 * MS)
#define CONFIG_BYTES	  4096u

struct world_relay cast_relay;
struct k_host *cast_relay_host;
struct player players[PARTS];
uint64_t cast_offered;
void (*cast_hears)(struct player *p, const struct wire_message *m);
void (*cast_hears_raw)(struct player *p);
void (*cast_console_hears)(const uint8_t *bytes, size_t len);

static struct k_host *hosts[4]; /* home's, laptop's, the console's and the witness's, strangers' */
static enum part first_part, last_part;
static size_t memory_before;

static const struct {
	const char *name;
	enum who who;
	unsigned host;
} parts[PARTS] = {
	[HOME_LINK] = {"home", HOME, 0},	  [HOME_LEG_1] = {"home-leg-1", HOME, 0},
	[HOME_LEG_2] = {"home-leg-2", HOME, 0},	  [LAPTOP_LINK] = {"laptop", LAPTOP, 1},
	[LAPTOP_LEG_1] = {"laptop-1", LAPTOP, 1}, [LAPTOP_LEG_2] = {"laptop-2", LAPTOP, 1},
	[CONSOLE] = {"console", ADMIN, 2},	  [STRANGER_1] = {"stranger-1", LAPTOP, 3},
	[STRANGER_2] = {"stranger-2", HOME, 3},	  [STRANGER_3] = {"stranger-3", ADMIN, 3},
	[STRANGER_4] = {"stranger-4", GUEST, 3},  [WITNESS] = {"witness", GUEST, 2},
};

/* ---- what comes ---- */

/* The other end of p's session, or NULL. */
static struct player *other_of(const struct player *p)
{
	for (unsigned i = 0; i < PARTS; i++)
		if (&players[i] != p && p->session && players[i].session == p->session)
			return &players[i];
	return NULL;
}

/* ---- the web site ---- */

/* The i-th byte that a site says in a session. */
static uint8_t site_byte(uint64_t session, size_t i)
{
	return (uint8_t)(0x80 | ((session * 37 + i * 7 + (i >> 8)) & 0x7f));
}

/* The visitor whom home was offered: the relay says where it comes from. */
static void note_visitor(const struct wire_message *m)
{
	struct wire_bytes none;

	if (!wire_extension_get(m, WIRE_EXTENSION_OUTER_TLS, &none))
		return;
	for (unsigned i = STRANGER_1; i <= STRANGER_4; i++) {
		struct addr at = {.len = sizeof(at.v6)};
		char text[ADDR_TEXT_BYTES];

		if (players[i].peer.fd < 0 || !players[i].peer.tls)
			continue;
		k_enter(players[i].peer.program);
		(void)getsockname(players[i].peer.fd, &at.sa, &at.len);
		k_enter(NULL);
		addr_format(&at, text);
		if (wire_bytes_equal(m->offer.source, wire_text(text)))
			players[i].asked = m->offer.session;
	}
}

static struct player *visitor_of(const struct player *leg)
{
	for (unsigned i = STRANGER_1; i <= STRANGER_4; i++)
		if (players[i].asked == leg->session)
			return &players[i];
	return NULL;
}

/* What a leg of the site's says is not known any more. */
static void spoil(struct player *p)
{
	struct player *visitor = visitor_of(p);

	p->any = true;
	if (visitor)
		visitor->any = true;
}

/* By close_notify, and not by an alert. */
static bool has_ended(struct player *p)
{
	uint8_t byte;
	size_t n;

	return (SSL_get_shutdown(tls_ssl(p->peer.tls)) & SSL_RECEIVED_SHUTDOWN) &&
	       tls_read(p->peer.tls, &byte, 1, &n) == TLS_CLOSED;
}

/* All that a leg of the site's has heard is a part of what one visitor has said. */
static void hear_visitor(struct player *p)
{
	const struct player *visitor = visitor_of(p);
	size_t len = p->peer.got_len, room = CAST_RAW_MOST - p->read_len;

	len = len < room ? len : room;
	memcpy(p->heard + p->read_len, p->peer.got, len);
	p->read_len += len;
	p->peer.got_len = p->peer.looked_at = 0;
	if (!visitor || visitor->any || p->any)
		return;
	world_check(memmem(visitor->wrote, visitor->wrote_len, p->heard, p->read_len), "bytes",
		    "a site hears what its visitor has not said");
	if (has_ended(p))
		world_check(visitor->ended, "cut-for-end",
			    "a site sees the end of a visitor that has not ended");
}

static void hear_site(struct player *p)
{
	for (size_t i = 0; i < p->peer.got_len && !p->any; i++) {
		uint8_t b = p->peer.got[i];

		if (p->read_len == 0 && b < 0x80)
			continue; /* the relay's own answers */
		if (!world_check(p->read_len < p->given && b == site_byte(p->asked, p->read_len),
				 "bytes", "%s hears 0x%02x as byte %zu of %zu that the site said",
				 p->peer.program->name, b, p->read_len, p->given))
			break;
		p->read_len++;
	}
	p->peer.got_len = p->peer.looked_at = 0;
	if (p->read_len > 0 && !p->any && has_ended(p))
		world_check(p->given_end && p->read_len == p->given, "cut-for-end",
			    "%s sees the end of a site that has said %zu bytes%s after %zu",
			    p->peer.program->name, p->given, p->given_end ? " and its end" : "",
			    p->read_len);
}

/* ---- sessions ---- */

/* Bytes of a session are the other side's, in order. */
static void hear_raw(struct player *p)
{
	const struct player *other = other_of(p);

	if (p->peer.got_len > 0)
		world_tell("%s hears %zu bytes", p->peer.program->name, p->peer.got_len);
	if (cast_hears_raw) {
		cast_hears_raw(p);
		return;
	}
	if (other && p->peer.got_len > 0 && !other->blurred)
		world_check(p->read_len + p->peer.got_len <= other->wrote_len &&
				    memcmp(p->peer.got, other->wrote + p->read_len,
					   p->peer.got_len) == 0,
			    "bytes", "%s hears in its session what %s has not said",
			    p->peer.program->name, other->peer.program->name);
	p->read_len += p->peer.got_len;
	p->peer.got_len = p->peer.looked_at = 0;
}

static void hear_message(struct player *p, const struct wire_message *m)
{
	struct wire_message pong = {.type = WIRE_PONG};
	struct wire_bytes none;
	uint8_t answer[64];

	world_tell("%s hears %s", p->peer.program->name, wire_type_name(m->type));
	if (cast_hears) {
		cast_hears(p, m);
		return;
	}
	p->told = true;
	switch (m->type) {
	case WIRE_TAGKEY:
		p->tag_key = m->tagkey.key[0];
		break;
	case WIRE_SIGNED:
		p->told_signed++;
		break;
	case WIRE_READY:
		p->waits = false;
		p->proven = true;
		break;
	case WIRE_FAIL:
	case WIRE_BYE:
		p->waits = false;
		p->failed = (enum reason)m->fail.reason;
		break;
	case WIRE_WELCOME:
		p->proven = true;
		p->peer.link = m->welcome.link;
		memcpy(p->peer.secret, m->welcome.leg_secret, sizeof(p->peer.secret));
		break;
	case WIRE_OFFER:
		if (p == &players[HOME_LINK])
			cast_offered = m->offer.session;
		note_visitor(m);
		break;
	case WIRE_PROVE:
		world_check(p->peer.who == HOME || p->peer.who == LAPTOP, "proof",
			    "%s, who has no sessions, hears PROVE", p->peer.program->name);
		break;
	case WIRE_PING:
		pong.pong.token = m->ping.token;
		if (p->peer.pongs)
			cast_say(p, answer, wire_encode(&pong, answer, sizeof(answer)));
		break;
	case WIRE_GO: {
		const uint8_t *early;
		size_t len = 0;

		p->session = m->go.session;
		p->wrote_len = p->read_len = 0;
		if (wire_extension_get(m, WIRE_EXTENSION_OUTER_TLS, &none)) {
			p->outer = true;
			p->any = false;
			if (p->blurred)
				spoil(p);
			break;
		}
		p->peer.raw = true;
		early = tls_unread(p->peer.tls, &len);
		if (len > 0)
			memcpy(p->peer.got + p->peer.got_len, early, len);
		p->peer.got_len += len;
		break;
	}
	default:
		break;
	}
}

static bool talks_by_messages(const struct player *p)
{
	return p->peer.tls && !p->peer.raw && !p->outer && p != &players[CONSOLE] &&
	       !SSL_in_init(tls_ssl(p->peer.tls));
}

static void work_one(struct player *p)
{
	struct wire_message m;

	(void)peer_has(&p->peer, 0, 0);
	if (p->skip > 0 && p->peer.got_len >= p->skip) {
		p->peer.got_len -= p->skip;
		memmove(p->peer.got, p->peer.got + p->skip, p->peer.got_len);
		p->peer.looked_at = p->skip = 0;
	}
	if (p->peer.tls && !p->peer.raw && p->asked)
		hear_site(p);
	if (talks_by_messages(p) && p->skip == 0) {
		while (!p->peer.raw && !p->outer && peer_hear(&p->peer, &m, 0))
			hear_message(p, &m);
		/* What is no message, of a site for instance, and the beginning of one. */
		if (!p->peer.raw && p->peer.got_len > WIRE_FRAME_MAX)
			p->peer.got_len = p->peer.looked_at = 0;
	}
	if (p == &players[CONSOLE] && cast_console_hears && p->peer.got_len > 0)
		cast_console_hears(p->peer.got, p->peer.got_len);
	if (p->outer)
		hear_visitor(p);
	else if (p->peer.raw && (p->session || cast_hears_raw))
		hear_raw(p);
	else if (!talks_by_messages(p) && p->skip == 0)
		p->peer.got_len = p->peer.looked_at = 0;
}

void cast_work(void)
{
	for (unsigned i = 0; i < PARTS; i++)
		if (players[i].peer.fd >= 0)
			work_one(&players[i]);
}

void cast_run(uint64_t us)
{
	uint64_t end = k_now_us + us;

	while (k_now_us < end) {
		uint64_t left = end - k_now_us, most = us > SECOND ? us / 8 : TURN_US;

		world_run(left < most ? left : most);
		cast_work();
	}
}

/* ---- what goes ---- */

/* Whether bytes can still be said on p. */
static bool can_say(const struct player *p)
{
	if (p->peer.fd < 0 || p->peer.reset)
		return false;
	return p->peer.raw || !p->peer.tls ||
	       (!SSL_in_init(tls_ssl(p->peer.tls)) &&
		!(SSL_get_shutdown(tls_ssl(p->peer.tls)) & SSL_SENT_SHUTDOWN));
}

static void say(struct player *p, const void *bytes, size_t len)
{
	if (!can_say(p) || len == 0)
		return;
	if (p->peer.tls && !p->peer.raw) {
		p->blurred = true;
		p->any = p->any || !p->wrote || len > CAST_RAW_MOST - p->wrote_len;
		if (!p->any) {
			memcpy(p->wrote + p->wrote_len, bytes, len);
			p->wrote_len += len;
		}
		/* Its session may have ended by an alert. */
		(void)!tls_write(p->peer.tls, bytes, len);
	} else {
		if (len > PEER_KEPT - p->peer.out_len)
			return;
		if (p->session && !p->outer) {
			if (len > CAST_RAW_MOST - p->wrote_len)
				return;
			memcpy(p->wrote + p->wrote_len, bytes, len);
			p->wrote_len += len;
		}
		memcpy(p->peer.out + p->peer.out_len, bytes, len);
		p->peer.out_len += len;
	}
	work_one(p);
}

void cast_say(struct player *p, const void *bytes, size_t len)
{
	if (p->outer)
		spoil(p);
	say(p, bytes, len);
}

void cast_say_of_site(struct player *p, size_t len)
{
	static uint8_t bytes[CAST_RAW_MOST];
	struct player *visitor = p->outer ? visitor_of(p) : NULL;

	if (!visitor || !can_say(p) || len > sizeof(bytes) - visitor->given)
		return;
	for (size_t i = 0; i < len; i++)
		bytes[i] = site_byte(p->session, visitor->given + i);
	visitor->given += len;
	p->wrote_len = 0;
	say(p, bytes, len);
}

void cast_close_tls(struct player *p)
{
	struct player *visitor = p->outer ? visitor_of(p) : NULL;

	if (!p->peer.tls || p->peer.raw || SSL_in_init(tls_ssl(p->peer.tls)))
		return;
	p->blurred = p->ended = true;
	if (visitor)
		visitor->given_end = true;
	tls_close_write(p->peer.tls);
}

void cast_flush(struct player *p)
{
	cast_say(p, p->peer.frame, p->peer.frame_len);
	p->peer.frame_len = 0;
}

void cast_say_in_turn(struct player *p, const struct wire_message *m)
{
	bool was = p->blurred;
	uint8_t out[512];

	if (p->session)
		return;
	cast_say(p, out, wire_encode(m, out, sizeof(out)));
	/* A second one while the first waits is more than is due. */
	p->blurred = was || p->waits;
	p->waits = m->type == WIRE_OPEN || m->type == WIRE_ACCEPT;
}

void cast_parts(enum part first, enum part last)
{
	first_part = first;
	last_part = last;
}

struct player *cast_player(void)
{
	return &players[first_part + script_below(last_part - first_part + 1)];
}

/* ---- beginning and end ---- */

static void leg_up(struct player *p, const struct player *link)
{
	p->proven = peer_leg(&p->peer, cast_relay_host, &link->peer);
}

static void all_sign_in(void)
{
	struct wire_message publish = {.type = WIRE_PUBLISH, .publish.count = 2}, heard;

	(void)peer_sign_in(&players[HOME_LINK].peer, cast_relay_host, 0);
	publish.publish.services[0] = wire_text("talk");
	publish.publish.services[1] = wire_text("web");
	peer_say(&players[HOME_LINK].peer, &publish);
	(void)peer_expect(&players[HOME_LINK].peer, WIRE_PUBLISHED, &heard);
	(void)peer_sign_in(&players[LAPTOP_LINK].peer, cast_relay_host, 0);
	(void)peer_sign_in(&players[CONSOLE].peer, cast_relay_host, WIRE_HELLO_CONSOLE);
	(void)peer_sign_in(&players[WITNESS].peer, cast_relay_host, WIRE_HELLO_TRANSIENT);
	leg_up(&players[HOME_LEG_1], &players[HOME_LINK]);
	leg_up(&players[HOME_LEG_2], &players[HOME_LINK]);
	leg_up(&players[LAPTOP_LEG_1], &players[LAPTOP_LINK]);
	leg_up(&players[LAPTOP_LEG_2], &players[LAPTOP_LINK]);
	players[CONSOLE].peer.got_len = 0;
}

static void whole_config(const char *config, char out[CONFIG_BYTES])
{
	snprintf(out, CONFIG_BYTES,
		 "listen:\n  - address: 0.0.0.0:443\n  - address: 0.0.0.0:8443\n"
		 "    proxy_protocol: true\n"
		 "public:\n  - name: www.example\n    to: home/web\n"
		 "stun:\n  enabled: true\ndrain: 5s\n%s",
		 config);
}

void cast_reload(const char *config)
{
	char text[CONFIG_BYTES];

	whole_config(config, text);
	world_relay_write(&cast_relay, text);
	k_signal(cast_relay.program, SIGHUP);
	cast_run(TURN_US);
}

void cast_set(const char *config)
{
	static const char *const names[] = {"home", "away", "office", "outside"};
	char text[CONFIG_BYTES];

	whole_config(config, text);
	acts_prepare();
	cast_relay_host = k_host_new("relay");
	for (unsigned i = 0; i < 4; i++) {
		hosts[i] = k_host_new(names[i]);
		k_cable_set(cast_relay_host, hosts[i], 3000, 500);
	}
	world_relay_start(&cast_relay, RELAY_A, cast_relay_host, text);
	for (unsigned i = 0; i < PARTS; i++) {
		peer_start(&players[i].peer, parts[i].name, parts[i].who, hosts[parts[i].host]);
		players[i].wrote = malloc(CAST_RAW_MOST);
		players[i].heard = malloc(CAST_RAW_MOST);
	}
	all_sign_in();
	world_run(2 * SECOND);
	cast_work();
	memory_before = cast_relay.program->memory_bytes;
	cast_relay.program->memory_most = memory_before;
}

void cast_witness_comes(void)
{
	struct peer *w = &players[WITNESS].peer;
	uint64_t began;

	peer_close(w, false);
	began = k_now_us;
	if (peer_sign_in(w, cast_relay_host, WIRE_HELLO_TRANSIENT))
		world_check(k_now_us - began < WITNESS_MOST_US, "proven-in-time",
			    "a sign-in takes %.3f s", (double)(k_now_us - began) / SECOND);
}

static void strangers_are_let_go(void)
{
	for (unsigned i = STRANGER_1; i <= STRANGER_4; i++) {
		struct player *p = &players[i];

		if (p->peer.fd < 0 || p->session || p->proven)
			continue;
		p->peer.mute = false;
		world_check(peer_gone(&p->peer, 1), "ends", "%s is still there after %u s",
			    p->peer.program->name, (unsigned)(STRANGERS_MOST_US / SECOND));
	}
}

void cast_clear(bool leave, size_t memory_most)
{
	size_t most = cast_relay.program->memory_most;

	world_check(most - memory_before <= memory_most, "memory-bounded",
		    "the relay keeps %zu bytes more than before", most - memory_before);
	for (unsigned i = 0; i < 4; i++)
		k_cable_pull(cast_relay_host, hosts[i], false);
	if (!leave) {
		for (unsigned i = 0; i < PARTS; i++)
			players[i].peer.mute = false;
		cast_run(STRANGERS_MOST_US);
		strangers_are_let_go();
	}
	for (unsigned i = 0; i < PARTS; i++) {
		peer_end(&players[i].peer);
		free(players[i].wrote);
		free(players[i].heard);
		players[i].wrote = players[i].heard = NULL;
	}
	world_run(150 * SECOND); /* what was cut off without a word is noticed by keep-alive */
	world_relay_check_quiet(&cast_relay);
	world_relay_kill(&cast_relay);
}
