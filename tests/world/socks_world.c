/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socks_world: an agent's SOCKS5 server: talks through it, and clients that are played by hand: who
 * ask for what is not there, who speak in pieces, who stop in the middle, who are too many.
 */
#include <stdio.h>
#include <string.h>

#include "agent/entrance/socks5.h"
#include "core/parse/socks5.h"
#include "tests/world/peer.h"
#include "tests/world/stage.h"
#include "tests/world/worlds.h"

#define SOCKS_PORT   1080u
#define CLIENTS_MOST 6u		   /* max_sessions of laptop's agent */
#define DEADLINE_US  (10 * SECOND) /* SOCKS_NEGOTIATE_MS */
/* Its descriptors are counted: it asks nothing by STUN meanwhile. */
#define LAPTOP_REST                                                                                \
	"relays:\n  - address: relay-a:443\nstun: false\n"                                         \
	"socks5:\n  listen: 127.0.0.1:1080\nmax_sessions: 6\n"
#define HOME_REST                                                                                  \
	"relays:\n  - address: relay-a:443\n"                                                      \
	"publish:\n  - service: talk\n    target: 127.0.0.1:700\n"                                 \
	"  - service: nobody\n    target: 127.0.0.1:701\n"                                         \
	"  - service: nameless\n    target: no-such-name:700\n"                                    \
	"  - service: db.main\n    target: 127.0.0.1:700\n    allow: [guest]\n"

_Static_assert(DEADLINE_US == SOCKS_NEGOTIATE_MS * 1000ull, "the server's");

static struct peer clients[CLIENTS_MOST + 1];

/* ---- what clients say ---- */

static const uint8_t greeting[] = {5, 2, 2, 0}; /* by password, or by nothing */
static const uint8_t accepted[] = {5, 0};
static const uint8_t succeeded[] = {5, 0, 0, 1, 0, 0, 0, 0, 0, 0};

/* A request by name: its length. */
static size_t by_name(const char *name, uint8_t command, uint8_t *out)
{
	size_t len = strlen(name);
	const uint8_t head[] = {5, command, 0, 3, (uint8_t)len};

	memcpy(out, head, sizeof(head));
	memcpy(out + sizeof(head), name, len);
	out[sizeof(head) + len] = TALK_PORT >> 8;
	out[sizeof(head) + len + 1] = TALK_PORT & 0xff;
	return sizeof(head) + len + 2;
}

static struct addr server(void)
{
	return k_address("127.0.0.1", SOCKS_PORT);
}

/* Byte for byte, or all at once; never for longer than the server waits. */
static void say(struct peer *p, const uint8_t *bytes, size_t len)
{
	size_t most = dice_chance(&world_dice, 500) ? len : 1 + dice_below(&world_dice, 4);

	for (size_t at = 0; at < len; at += most) {
		peer_write(p, bytes + at, len - at < most ? len - at : most);
		world_run(dice_below(&world_dice, 20 * MS));
	}
}

static bool hears(struct peer *p, const uint8_t *bytes, size_t len, const char *what)
{
	bool ok = peer_has(p, len, 30 * SECOND) && memcmp(p->got, bytes, len) == 0;

	world_check(ok, "answers", "%s: %zu bytes come of %zu", what, p->got_len, len);
	p->got_len = 0;
	return ok;
}

/* A client that has greeted and was answered. */
static bool greet(struct peer *p)
{
	const struct addr to = server();

	if (!world_check(peer_connect_at(p, &to), "answers", "the SOCKS5 server is not there"))
		return false;
	say(p, greeting, sizeof(greeting));
	return hears(p, accepted, sizeof(accepted), "a greeting");
}

/* ---- refusals ---- */

static void expect_code(const uint8_t *request, size_t len, enum socks5_reply code,
			const char *what)
{
	struct peer *p = &clients[0];
	uint8_t reply[sizeof(succeeded)];

	memcpy(reply, succeeded, sizeof(reply));
	reply[1] = (uint8_t)code;
	if (!greet(p))
		return;
	say(p, request, len);
	world_check(peer_gone(p, 40 * SECOND), "ends", "%s is refused, and still connected", what);
	world_check(!p->reset, "answers", "%s: a reset comes instead of an answer", what);
	world_check(p->got_len == sizeof(reply) && memcmp(p->got, reply, sizeof(reply)) == 0,
		    "answers", "%s: %zu bytes come, the code is %u instead of %u", what, p->got_len,
		    p->got_len > 1 ? p->got[1] : 255u, code);
	peer_close(p, false);
}

static void expect_name(const char *name, enum socks5_reply code)
{
	uint8_t request[TALK_PRELUDE_MOST];

	expect_code(request, by_name(name, 1, request), code, name);
}

static void refused_requests(void)
{
	static const uint8_t v4[] = {5, 1, 0, 1, 10, 0, 0, 3, 2, 188},
			     v6[] = {5, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0,
				     0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 188},
			     unknown[] = {5, 1, 0, 2, 10};
	uint8_t request[TALK_PRELUDE_MOST];
	size_t len;

	expect_code(v4, sizeof(v4), SOCKS5_NOT_ALLOWED, "an IPv4 address");
	expect_code(v6, sizeof(v6), SOCKS5_NOT_ALLOWED, "an IPv6 address");
	expect_code(unknown, sizeof(unknown), SOCKS5_ADDRESS_UNSUPPORTED, "an unknown address");
	len = by_name("talk.home.postern", 2, request);
	expect_code(request, len, SOCKS5_COMMAND_UNSUPPORTED, "BIND");
	len = by_name("talk.home.postern", 3, request);
	expect_code(request, len, SOCKS5_COMMAND_UNSUPPORTED, "UDP ASSOCIATE");
	expect_name("www.example.org", SOCKS5_NOT_ALLOWED);
	expect_name("talk.nowhere.postern", SOCKS5_HOST_UNREACHABLE);
	expect_name("print.home.postern", SOCKS5_HOST_UNREACHABLE);
	expect_name("nameless.home.postern", SOCKS5_HOST_UNREACHABLE);
	expect_name("nobody.home.postern", SOCKS5_REFUSED);
	expect_name("db.main.home.postern", SOCKS5_NOT_ALLOWED); /* allow */
	expect_name("talk.guest.postern", SOCKS5_NOT_ALLOWED);	 /* policy */
}

/* The far agent, then the relay, cannot be reached, and neither end knows. */
static void requests_in_vain(void)
{
	k_cable_pull(stage.relay_hosts[0], stage.home_host, true);
	expect_name("talk.home.postern", SOCKS5_TTL_EXPIRED);
	k_cable_pull(stage.relay_hosts[0], stage.home_host, false);
	k_cable_pull(stage.relay_hosts[0], stage.laptop_host, true);
	world_run(120 * SECOND);
	world_check(!world_agent_linked(&stage.laptop), "links",
		    "laptop's cable is pulled, and it has a link");
	expect_name("talk.home.postern", SOCKS5_NETWORK_UNREACHABLE);
	k_cable_pull(stage.relay_hosts[0], stage.laptop_host, false);
	world_check(world_until(stage_linked, NULL, 300 * SECOND), "links",
		    "the cables are back, and the links are not");
	world_run(2 * SECOND);
}

static void refused_greetings(void)
{
	static const uint8_t by_password[] = {5, 1, 2}, none[] = {5, 0xff}, old[] = {4, 1, 2, 188};
	const struct addr to = server();
	struct peer *p = &clients[0];

	(void)peer_connect_at(p, &to);
	say(p, by_password, sizeof(by_password));
	world_check(peer_gone(p, 2 * SECOND), "ends",
		    "a client that wants a password is kept when it has been answered");
	(void)hears(p, none, sizeof(none), "a client that wants a password");
	(void)peer_connect_at(p, &to);
	peer_write(p, old, sizeof(old));
	world_check(peer_gone(p, 2 * SECOND) && p->got_len == 0, "ends",
		    "a client of another version is kept, or gets %zu bytes", p->got_len);
	peer_close(p, false);
}

/* ---- clients that stop ---- */

static size_t negotiate_until(struct peer *p, unsigned how_far)
{
	const struct addr to = server();
	uint8_t request[TALK_PRELUDE_MOST];
	size_t len = by_name("talk.home.postern", 1, request);

	(void)peer_connect_at(p, &to);
	if (how_far > 0)
		peer_write(p, greeting, how_far == 1 ? 1 : sizeof(greeting));
	if (how_far > 2)
		(void)peer_has(p, sizeof(accepted), SECOND);
	if (how_far > 3)
		peer_write(p, request, how_far == 4 ? 3 : len - 1);
	return how_far > 1 ? sizeof(accepted) : 0;
}

/* A client that says nothing, or not all, has ten seconds; as many as that are all that may be
 * there. */
static void clients_that_stop(void)
{
	const struct addr to = server();
	size_t before, said;

	world_run(5 * SECOND); /* warm legs are there again */
	before = stage.laptop.program->open_count;
	for (unsigned i = 0; i < CLIENTS_MOST; i++) {
		said = negotiate_until(&clients[i], i);
		world_run(10 * MS);
		world_check(peer_has(&clients[i], said, SECOND), "answers", "client %u", i);
	}
	(void)peer_connect_at(&clients[CLIENTS_MOST], &to);
	world_check(peer_gone(&clients[CLIENTS_MOST], SECOND) && clients[CLIENTS_MOST].reset,
		    "limits", "a client more than max_sessions negotiates");
	world_run(DEADLINE_US - 2 * SECOND);
	for (unsigned i = 0; i < CLIENTS_MOST; i++)
		world_check(!peer_gone(&clients[i], 0), "lives-on",
			    "client %u had ten seconds, and is cut off after eight", i);
	for (unsigned i = 0; i < CLIENTS_MOST; i++)
		world_check(peer_gone(&clients[i], 4 * SECOND), "ends",
			    "client %u stopped in the middle and is kept", i);
	for (unsigned i = 0; i <= CLIENTS_MOST; i++)
		peer_close(&clients[i], false);
	world_run(SECOND);
	world_check(stage.laptop.program->open_count == before, "descriptors",
		    "clients stopped in the middle, and %zu descriptors are open, not %zu",
		    stage.laptop.program->open_count, before);
}

/* ---- talks ---- */

static struct talk *socks_talk(uint64_t most_bytes, bool at_once)
{
	static const char *const names[] = {"talk.home.postern", "TALK.Home.POSTERN"};
	const struct addr to = server();
	struct talk *t = talk_plan(&world_dice, most_bytes);
	struct talk_prelude *p = &t->prelude;
	uint8_t *says = p->says;

	memcpy(says, greeting, sizeof(greeting));
	p->says_len = sizeof(greeting) +
		      by_name(names[dice_below(&world_dice, 2)], 1, says + sizeof(greeting));
	memcpy(p->answers, accepted, sizeof(accepted));
	memcpy(p->answers + sizeof(accepted), succeeded, sizeof(succeeded));
	p->answers_len = sizeof(accepted) + sizeof(succeeded);
	p->at_once = at_once;
	talk_start(t, &stage.at_laptop, &to);
	return t;
}

static void talks_by_socks(void)
{
	unsigned count = (unsigned)dice_between(&world_dice, 2, CLIENTS_MOST);

	for (unsigned i = 0; i < count; i++) {
		(void)socks_talk(100000, i % 2 == 0);
		world_run(dice_below(&world_dice, SECOND));
	}
	(void)world_until(talks_over, NULL, 120 * SECOND);
}

/* A session outlives the time that its client had for asking. */
static void a_long_talk(void)
{
	struct talk *t = socks_talk(1000, true);

	for (unsigned i = 0; i < 2; i++)
		t->side[i].plan = (struct talk_plan){.bytes = 300000,
						     .write_most = 16384,
						     .read_most = 16384,
						     .pause_at = 150000,
						     .pause_us = 2 * DEADLINE_US};
	(void)world_until(talks_over, NULL, 120 * SECOND);
}

/* ---- the world ---- */

static void agent_again(struct world_agent *a, const char *config)
{
	char text[2048];

	snprintf(text, sizeof(text), "%sengine: %s\n", config,
		 dice_chance(&world_dice, 500) ? "io_uring" : "epoll");
	world_agent_stop(a);
	world_agent_start(a, a->who, a->host, text);
}

void world_socks(void)
{
	stage_set(1, "policy:\n  - from: [laptop]\n    to: [home/*, nowhere/*]\n");
	agent_again(&stage.home, HOME_REST);
	agent_again(&stage.laptop, LAPTOP_REST);
	world_check(world_until(stage_linked, NULL, 60 * SECOND), "links",
		    "the agents are not linked after a minute");
	world_run(2 * SECOND);
	for (unsigned i = 0; i <= CLIENTS_MOST; i++)
		peer_start(&clients[i], "client", LAPTOP, stage.laptop_host);
	talks_by_socks();
	refused_greetings();
	refused_requests();
	clients_that_stop();
	if (dice_chance(&world_dice, 300))
		requests_in_vain();
	a_long_talk();
	talks_judge();
	for (unsigned i = 0; i < CLIENTS_MOST; i++)
		(void)negotiate_until(&clients[i], i);
	world_agent_stop(&stage.laptop); /* a client that still negotiates does not hold it up */
	for (unsigned i = 0; i <= CLIENTS_MOST; i++)
		peer_end(&clients[i]);
	stage_clear();
}
