/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel: two agents, home and laptop, at a relay that is played by hand. It does what a relay
 * does until the script makes it say something else, nothing, too much, cut, or change bytes of
 * sessions between the two. Applications at both ask for the other's service; home has a web site,
 * too, which the relay leads visitors to, or what it says are visitors. The agents' certificates
 * end within minutes, and are renewed or not.
 *
 * Whatever it does, an application hears nothing but what the service at the other end has said, in
 * order, from the beginning on; a session ends with the certificate that was proved for it, and
 * with a signed revocation; the agents keep little of it, stop when they are asked to, and leave
 * nothing.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "fuzz/machines/cast.h"
#include "tests/world/issuer.h"
#include "tests/world/people.h"

#define APPS	    3u
#define VISITED	    2u
#define SERVICES    4u
#define MEMORY_MOST (16u << 20) /* of one agent; an outbox may have 128 KiB, an envelope 1 MiB */
#define TALK_PORT   700u
#define SITE_PORT   701u
#define FORWARD	    800u
#define CERTIFIED_S 400 /* the first certificates last so long */
#define AT_ONCE_S   2	/* a second, and what a stalled machine takes */

static struct world_agent agents[2]; /* home, laptop */
static struct k_host *hosts[2];
static size_t memory_before[2];
static struct peer door;       /* listens, at the relay's host */
static struct peer targets[2]; /* listen, where the agents' services are */

/* An application, or a service's end: what it says is its number and a count, byte by byte. */
struct speaker {
	struct peer peer;
	uint8_t number; /* of the application that began it; 0: unknown yet */
	size_t said, heard;
};
static struct speaker apps[APPS], services[SERVICES];
static struct peer site, visited[VISITED]; /* of home's web site, whose visitors say anything */

static struct player *links[2];
static uint64_t offered, asker_of; /* the newest session, and its asker's place plus one */
static struct player *partner[PARTS];
static uint64_t visitor; /* the newest session that is a visitor's */
static bool outer;	 /* and stays in the leg's TLS */

/* ---- what the relay does by itself; bits of rude leave out one each ---- */

enum {
	RUDE_WELCOME = 1,
	RUDE_READY = 2,
	RUDE_OFFER = 4,
	RUDE_GO = 8,
	RUDE_PONG = 16,
	RUDE_PROVE = 32,
	RUDE_ALL = 64,
};

static unsigned rude;
static unsigned tamper; /* so many forwarded bytes from now one is changed; 0: none */
static uint8_t tamper_with;
static bool held; /* bytes of sessions are dropped */
static bool fin_passed[PARTS];

static size_t place_of(const struct player *p)
{
	return (size_t)(p - players);
}

static void say(struct player *p, const struct wire_message *m)
{
	static uint8_t out[WIRE_FRAME_MAX];

	if (p)
		cast_say(p, out, wire_encode(m, out, sizeof(out)));
}

static void welcome(struct player *p, const struct wire_message *hello)
{
	unsigned which = wire_bytes_equal(hello->hello.agent, wire_text("laptop"));
	struct wire_message m = {.type = WIRE_WELCOME};

	links[which] = p;
	m.welcome.relay = wire_text("by hand");
	m.welcome.your_address = wire_text("192.0.2.1:40000");
	m.welcome.link = 1 + which;
	memset(m.welcome.leg_secret, (int)(0x50 + which), sizeof(m.welcome.leg_secret));
	m.welcome.ping_interval_s = 15;
	m.welcome.max_legs = 4;
	m.welcome.max_sessions = 100;
	if (!(rude & RUDE_WELCOME))
		say(p, &m);
}

static void offer(struct player *p, const struct wire_message *open)
{
	unsigned to = wire_bytes_equal(open->open.to, wire_text("laptop"));
	struct wire_message m = {.type = WIRE_OFFER};

	asker_of = place_of(p) + 1;
	cast_offered = m.offer.session = ++offered;
	m.offer.from = wire_text(to ? "home" : "laptop");
	m.offer.service = open->open.service;
	m.offer.source = wire_text("192.0.2.1:40000");
	m.offer.local = wire_text("192.0.2.2:443");
	if (!(rude & RUDE_OFFER))
		say(links[to], &m);
}

/* From here on its bytes are a session's. */
static void cut_through(struct player *p, const struct wire_message *go)
{
	size_t len = 0;
	const uint8_t *early;

	say(p, go);
	if (p->peer.fd < 0 || !p->peer.tls)
		return;
	p->peer.raw = true;
	early = tls_unread(p->peer.tls, &len);
	if (len > 0 && len < PEER_KEPT - p->peer.got_len) {
		memcpy(p->peer.got + p->peer.got_len, early, len);
		p->peer.got_len += len;
	}
}

/* Nobody stands behind it but the script. */
static void pair_visitor(struct player *p)
{
	struct wire_message go = {.type = WIRE_GO, .go.session = visitor};

	memset(go.go.secret, 0x44, sizeof(go.go.secret));
	partner[place_of(p)] = NULL;
	visitor = 0;
	if (!outer) {
		cut_through(p, &go);
		return;
	}
	(void)!wire_extension_add(&go, WIRE_EXTENSION_OUTER_TLS, wire_text(""));
	say(p, &go);
}

static void pair(struct player *p, const struct wire_message *accept)
{
	struct player *asker = asker_of > 0 ? &players[asker_of - 1] : NULL;
	struct wire_message go = {.type = WIRE_GO};

	if (visitor && accept->accept.session == visitor && !p->peer.raw && !(rude & RUDE_GO)) {
		pair_visitor(p);
		return;
	}
	if (!asker || asker == p || asker->peer.raw || p->peer.raw || rude & RUDE_GO)
		return;
	go.go.session = accept->accept.session;
	memset(go.go.secret, 0x33, sizeof(go.go.secret));
	partner[place_of(p)] = asker;
	partner[place_of(asker)] = p;
	asker_of = 0;
	cut_through(asker, &go);
	cut_through(p, &go);
}

static void relay_hears(struct player *p, const struct wire_message *m)
{
	struct wire_message answer = {.type = WIRE_READY};

	switch (m->type) {
	case WIRE_HELLO:
		welcome(p, m);
		break;
	case WIRE_PUBLISH:
		answer.type = WIRE_PUBLISHED;
		answer.published.count = (uint16_t)m->publish.count;
		say(p, &answer);
		break;
	case WIRE_LEG:
		if (!(rude & RUDE_READY))
			say(p, &answer);
		break;
	case WIRE_OPEN:
		offer(p, m);
		break;
	case WIRE_ACCEPT:
		pair(p, m);
		break;
	case WIRE_PROVE:
		if (!(rude & RUDE_PROVE))
			say(links[p == links[0]], m);
		break;
	case WIRE_REFUSE:
		answer.type = WIRE_FAIL;
		answer.fail.reason = m->refuse.reason;
		answer.fail.text = m->refuse.text;
		say(asker_of > 0 ? &players[asker_of - 1] : NULL, &answer);
		asker_of = 0;
		break;
	case WIRE_PING:
		answer.type = WIRE_PONG;
		answer.pong.token = m->ping.token;
		if (!(rude & RUDE_PONG))
			say(p, &answer);
		break;
	default:
		break;
	}
}

static void relay_hears_raw(struct player *p)
{
	struct player *to = partner[place_of(p)];
	size_t len = p->peer.got_len;

	p->peer.got_len = p->peer.looked_at = 0;
	if (len == 0 || !to || !to->peer.raw || to->peer.fd < 0 || held ||
	    len > PEER_KEPT - to->peer.out_len)
		return;
	memcpy(to->peer.out + to->peer.out_len, p->peer.got, len);
	if (tamper > 0 && tamper <= len) {
		to->peer.out[to->peer.out_len + tamper - 1] ^= tamper_with;
		tamper = 0;
	} else if (tamper > 0) {
		tamper -= (unsigned)len;
	}
	to->peer.out_len += len;
}

/* ---- applications and services ---- */

static uint8_t byte_of(uint8_t number, size_t i, bool service)
{
	return (uint8_t)((unsigned)number << 5 | (i & 15) | (service ? 16u : 0));
}

static void speaker_work(struct speaker *s, bool service)
{
	if (s->peer.fd < 0)
		return;
	(void)peer_has(&s->peer, 0, 0);
	for (size_t i = 0; i < s->peer.got_len; i++, s->heard++) {
		uint8_t b = s->peer.got[i];

		if (service && s->number == 0)
			s->number = (uint8_t)(b >> 5);
		if (!world_check(s->number > 0 && b == byte_of(s->number, s->heard, !service),
				 "bytes", "%s hears 0x%02x as its byte %zu", s->peer.program->name,
				 b, s->heard))
			break;
	}
	s->peer.got_len = 0;
}

static void speaker_say(struct speaker *s, bool service, size_t len)
{
	static uint8_t bytes[8192];

	if (s->peer.fd < 0 || s->number == 0)
		return;
	for (size_t i = 0; i < len; i++)
		bytes[i] = byte_of(s->number, s->said++, service);
	peer_write(&s->peer, bytes, len);
}

/* ---- the whole ---- */

/* The end of one direction of a session, and then of the other. */
static void pass_the_end(struct player *p)
{
	struct player *to = partner[place_of(p)];

	if (!p->peer.raw || !p->peer.eof || fin_passed[place_of(p)])
		return;
	if (!to || !to->peer.raw || to->peer.fd < 0) {
		peer_close(&p->peer, false);
		return;
	}
	if (to->peer.out_len > 0)
		return;
	fin_passed[place_of(p)] = true;
	k_enter(to->peer.program);
	shutdown(to->peer.fd, SHUT_WR);
	k_enter(NULL);
	if (to != p && fin_passed[place_of(to)]) {
		peer_close(&p->peer, false);
		peer_close(&to->peer, false);
	}
}

static bool is_free(const struct player *p)
{
	return p->peer.fd < 0 || p->peer.reset || (p->peer.eof && !p->peer.raw);
}

static void take_what_comes(void)
{
	for (unsigned i = 0; i < PARTS; i++) {
		struct player *p = &players[i];

		if (i == CONSOLE || i == WITNESS)
			continue;
		pass_the_end(p);
		if (is_free(p) && peer_take(&p->peer, &door, true)) {
			partner[i] = NULL;
			fin_passed[i] = false;
			/* By a key that the script may have told. */
			p->peer.tag_due = false;
			p->skip = TAG_BYTES;
		}
	}
	for (unsigned i = 0; i < SERVICES; i++) {
		struct speaker *s = &services[i];

		if (s->peer.fd >= 0 && !s->peer.eof && !s->peer.reset)
			continue;
		for (unsigned k = 0; k < 2; k++)
			if (s->peer.program->host == hosts[k] &&
			    peer_take(&s->peer, &targets[k], false))
				s->number = 0, s->said = s->heard = 0;
	}
	for (unsigned i = 0; i < VISITED; i++) {
		struct peer *v = &visited[i];

		if (v->fd < 0 || v->eof || v->reset)
			(void)!peer_take(v, &site, false);
		(void)peer_has(v, 0, 0);
		v->got_len = 0;
	}
}

/* ---- what an agent may go on with ---- */

static const enum who who_of[] = {HOME, LAPTOP};
static char *newer[2][2];   /* certificates of each */
static bool renewed[2];	    /* it has had one of them */
static time_t ends;	    /* the first ones */
static time_t revoked_s[2]; /* since then one has a session with the other, which is revoked */

static void check_entitled(unsigned i)
{
	const struct revocations *signed_list = &agents[i].agent.links.signed_revocations.list;
	const char *other = who_name(who_of[!i]);
	bool revoked = false;
	time_t now = time(NULL);

	for (const struct agent_session *s = agents[i].agent.sessions.first; s; s = s->next) {
		if (!s->opened || s->over || strcmp(s->peer, other) != 0)
			continue;
		revoked = revoked ||
			  (s->proof.own && revocations_cover(signed_list, &s->proof.own->peer));
		world_check(renewed[!i] || now <= ends + AT_ONCE_S, "entitled",
			    "%s has a session with %s, whose certificate has ended",
			    agents[i].program->name, other);
	}
	if (!revoked)
		revoked_s[i] = 0;
	else if (revoked_s[i] == 0)
		revoked_s[i] = now;
	world_check(!revoked || now <= revoked_s[i] + AT_ONCE_S, "entitled",
		    "%s has a session with %s, and knows that it is revoked",
		    agents[i].program->name, other);
}

static void run(uint64_t us)
{
	uint64_t end = k_now_us + us;

	while (k_now_us < end) {
		uint64_t left = end - k_now_us, most = us > 2 * SECOND ? us / 24 : 5 * MS;

		world_run(left < most ? left : most);
		take_what_comes();
		cast_work();
		for (unsigned i = 0; i < APPS; i++)
			speaker_work(&apps[i], false);
		for (unsigned i = 0; i < SERVICES; i++)
			speaker_work(&services[i], true);
		for (unsigned i = 0; i < 2; i++)
			check_entitled(i);
	}
}

/* ---- acts ---- */

static void act_run(void)
{
	run(script_time());
}

static void act_rude(void)
{
	rude = script_below(RUDE_ALL);
}

static void act_tamper(void)
{
	tamper = 1 + script_word() % 4096;
	tamper_with = (uint8_t)script_byte();
}

static void act_hold(void)
{
	held = !held;
}

/* Both legs of a session are another's. */
static void act_cross(void)
{
	unsigned a = script_below(PARTS), b = script_below(PARTS);
	struct player *was = partner[a];

	partner[a] = partner[b];
	partner[b] = was;
}

static void act_app_comes(void)
{
	unsigned i = script_below(APPS);
	const struct addr to = k_address("127.0.0.1", FORWARD);

	if (!peer_connect_at(&apps[i].peer, &to))
		return;
	apps[i].said = apps[i].heard = 0;
	speaker_say(&apps[i], false, 1 + script_below(64));
	run(30 * MS);
}

static void act_app_says(void)
{
	struct speaker *s = &apps[script_below(APPS)];

	speaker_say(s, false, script_word() % 8192);
}

static void act_service_says(void)
{
	struct speaker *s = &services[script_below(SERVICES)];

	speaker_say(s, true, script_word() % 8192);
}

static void act_speaker_ends(void)
{
	unsigned i = script_below(APPS + SERVICES), how = script_below(3);
	struct speaker *s = i < APPS ? &apps[i] : &services[i - APPS];

	if (s->peer.fd < 0)
		return;
	if (how < 2) {
		peer_close(&s->peer, how == 1);
		return;
	}
	k_enter(s->peer.program);
	shutdown(s->peer.fd, SHUT_WR);
	k_enter(NULL);
}

static void act_speaker_mute(void)
{
	unsigned i = script_below(APPS + SERVICES);
	struct speaker *s = i < APPS ? &apps[i] : &services[i - APPS];

	s->peer.mute = !s->peer.mute;
}

static void act_pull(void)
{
	struct k_host *h = hosts[script_below(2)];

	k_cable_pull(cast_relay_host, h, !k_cable_pulled(cast_relay_host, h));
}

static void act_offer(void)
{
	struct wire_message m = {.type = WIRE_OPEN};

	m.open.to = wire_text(script_below(2) ? "home" : "laptop");
	m.open.service = wire_text("talk");
	offer(cast_player(), &m);
}

/* Of home's web site, or of a public name; the relay says so, and nobody can know. */
static void act_visitor(void)
{
	struct wire_message m = {.type = WIRE_OFFER, .offer.kind = WIRE_OFFER_PUBLIC};

	outer = script_below(2);
	cast_offered = visitor = m.offer.session = ++offered;
	m.offer.from = wire_text("");
	m.offer.service = wire_text(script_below(4) == 3 ? "talk" : "site");
	m.offer.source = wire_text("192.0.2.1:40000");
	m.offer.local = wire_text("192.0.2.2:443");
	if (outer)
		(void)!wire_extension_add(&m, WIRE_EXTENSION_OUTER_TLS, wire_text(""));
	say(links[0], &m);
	run(60 * MS);
}

static void act_visited_says(void)
{
	static uint8_t bytes[8192];
	struct peer *v = &visited[script_below(VISITED)];
	size_t len = script_word() % sizeof(bytes);

	if (v->fd >= 0 && !v->eof && !v->reset)
		peer_write(v, bytes, len);
}

static void act_visited_ends(void)
{
	peer_close(&visited[script_below(VISITED)], script_below(2));
}

static void act_signed(void)
{
	struct player *p = cast_player();
	struct wire_message m = {.type = WIRE_SIGNED};
	uint8_t object[REVOCATION_MAX];
	bool revokes;

	m.signed_revocation.object = (struct wire_bytes){object, cast_signed(object, &revokes)};
	say(p, &m);
}

static const char *const configs[] = {
	"relays:\n  - address: relay-a:443\nwarm_legs: 1\nengine: epoll\n"
	"publish:\n  - service: talk\n    target: 127.0.0.1:700\n"
	"  - service: site\n    target: 127.0.0.1:701\n    public: true\n"
	"forward:\n  - listen: 127.0.0.1:800\n    to: laptop/talk\n",
	"relays:\n  - address: relay-a:443\nwarm_legs: 1\nengine: io_uring\n"
	"publish:\n  - service: talk\n    target: 127.0.0.1:700\n"
	"forward:\n  - listen: 127.0.0.1:800\n    to: home/talk\n"};

/* Its file has another certificate, and it is told to look. */
static void act_renew(void)
{
	unsigned i = script_below(2);

	world_pairs[who_of[i]].certificate = newer[i][script_below(2)];
	world_agent_write(&agents[i], configs[i]);
	k_signal(agents[i].program, SIGHUP);
	renewed[i] = true;
}

/* ---- beginning and end ---- */

static void certify(void)
{
	ends = time(NULL) + CERTIFIED_S;
	for (unsigned i = 0; i < 2; i++) {
		enum who who = who_of[i];
		char *first = issuer_signs_again(who, CERTIFIED_S);

		newer[i][0] = issuer_signs_again(who, 2 * CERTIFIED_S);
		newer[i][1] = issuer_signs_again(who, 100 * CERTIFIED_S);
		free(world_pairs[who].certificate);
		world_pairs[who].certificate = first;
	}
}

static void agent_up(unsigned i)
{
	world_agent_start(&agents[i], who_of[i], hosts[i], configs[i]);
	agents[i].agent.worker.rekey_bytes = 20000;
	agents[i].agent.worker.rekey_ms = 5000;
}

static void speakers_up(void)
{
	for (unsigned i = 0; i < 2; i++) {
		peer_start(&targets[i], "target", HOME, hosts[i]);
		peer_listen(&targets[i], TALK_PORT);
	}
	for (unsigned i = 0; i < APPS; i++) {
		peer_start(&apps[i].peer, "app", HOME, hosts[(i + 1) % 2]);
		apps[i].number = (uint8_t)(i + 1);
	}
	for (unsigned i = 0; i < SERVICES; i++)
		peer_start(&services[i].peer, "service", HOME, hosts[i % 2]);
	peer_start(&site, "site", HOME, hosts[0]);
	peer_listen(&site, SITE_PORT);
	for (unsigned i = 0; i < VISITED; i++)
		peer_start(&visited[i], "visited", HOME, hosts[0]);
}

static void set(void)
{
	cast_hears = relay_hears;
	cast_hears_raw = relay_hears_raw;
	acts_prepare();
	certify();
	cast_relay_host = k_host_new("relay-a");
	hosts[0] = k_host_new("home");
	hosts[1] = k_host_new("laptop");
	for (unsigned i = 0; i < 2; i++)
		k_cable_set(cast_relay_host, hosts[i], 3000, 500);
	names_forget_all();
	names_set("relay-a", k_host_address(cast_relay_host));
	peer_start(&door, "door", RELAY_A, cast_relay_host);
	peer_listen(&door, 443);
	for (unsigned i = 0; i < PARTS; i++)
		peer_start(&players[i].peer, "relay", RELAY_A, cast_relay_host);
	speakers_up();
	cast_parts(HOME_LINK, STRANGER_4);
	for (unsigned i = 0; i < 2; i++)
		agent_up(i);
	run(5 * SECOND);
	for (unsigned i = 0; i < 2; i++) {
		world_check(world_agent_linked(&agents[i]), "links", "agent %u is not linked", i);
		memory_before[i] = agents[i].program->memory_bytes;
		agents[i].program->memory_most = memory_before[i];
	}
}

static void clear(void)
{
	run(2 * SECOND);
	for (unsigned i = 0; i < 2; i++) {
		world_check(agents[i].program->memory_most - memory_before[i] <= MEMORY_MOST,
			    "memory-bounded", "%s keeps %zu bytes more than before",
			    agents[i].program->name,
			    agents[i].program->memory_most - memory_before[i]);
		world_agent_stop(&agents[i]);
	}
	for (unsigned i = 0; i < PARTS; i++)
		peer_end(&players[i].peer);
	for (unsigned i = 0; i < APPS; i++)
		peer_end(&apps[i].peer);
	for (unsigned i = 0; i < SERVICES; i++)
		peer_end(&services[i].peer);
	for (unsigned i = 0; i < 2; i++)
		peer_end(&targets[i]);
	for (unsigned i = 0; i < VISITED; i++)
		peer_end(&visited[i]);
	peer_end(&site);
	peer_end(&door);
}

static const struct act acts[] = {
	{"time", act_run},
	{"time", act_run},
	{"an application comes", act_app_comes},
	{"an application comes", act_app_comes},
	{"an application says", act_app_says},
	{"a service says", act_service_says},
	{"one of them ends", act_speaker_ends},
	{"one of them does not read", act_speaker_mute},
	{"rude", act_rude},
	{"tamper", act_tamper},
	{"hold", act_hold},
	{"cross", act_cross},
	{"offer", act_offer},
	{"message", act_message},
	{"many messages", act_many_messages},
	{"a frame", act_frame},
	{"bytes", act_bytes},
	{"a record", act_record},
	{"half close", act_half_close},
	{"close tls", act_close_tls},
	{"close", act_close},
	{"reset", act_reset},
	{"mute", act_mute},
	{"cable", act_pull},
	{"visitor", act_visitor},
	{"the visited says", act_visited_says},
	{"the visited ends", act_visited_ends},
	{"update keys", act_update_keys},
	{"signed", act_signed},
	{"renew", act_renew},
	{NULL, NULL},
};

const struct machine machine_channel = {"channel", set, acts, clear, 48};
