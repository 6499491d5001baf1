/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rates_world: who asks more often than one may: for pages, for sign-ins that fail, for sign-ins
 * and legs that are good. Beyond the rate each is refused, and told so where it has a tag; others,
 * and the same after a while, are served as ever.
 *
 * Each scene has a relay of its own (peers_scene.h). Floods come from guest's host, unless said.
 */
#include <stdio.h>
#include <string.h>

#include "relay/ledger/buckets.h"
#include "tests/world/peers_scene.h"
#include "tests/world/worlds.h"

#define SIGN_IN_MOST_US (100 * MS)

/* A flood must be quicker than what it is allowed. */
static void begin(const char *config)
{
	for (unsigned i = 0; i < PEERS_HOSTS; i++)
		k_cable_set(relay_host, host[i], 1000, 100);
	peers_begin(config);
}

static uint64_t refused(enum reason reason)
{
	return peers_totals().refused[reason];
}

/* ---- how long others wait ---- */

static uint64_t sign_in_us(struct peer *p)
{
	uint64_t began = k_now_us;

	peer_close(p, false);
	return peer_sign_in(p, relay_host, WIRE_HELLO_TRANSIENT) ? k_now_us - began : UINT64_MAX;
}

/* The better of two, each of a machine that may stall. */
static uint64_t best_sign_in_us(struct peer *p)
{
	uint64_t a = sign_in_us(p), b = sign_in_us(p);

	return a < b ? a : b;
}

static void check_others(uint64_t alone, const char *flood)
{
	uint64_t took = best_sign_in_us(&laptop);

	world_check(took != UINT64_MAX && took < alone + SIGN_IN_MOST_US, "proven-in-time",
		    "%s: a sign-in takes %.3f s, and %.3f s alone", flood,
		    took == UINT64_MAX ? 9999.0 : (double)took / SECOND, (double)alone / SECOND);
}

/* Of a rate and its burst, so many can have been done since. */
static uint64_t most_since(uint64_t since_us, uint64_t rate)
{
	return rate * BUCKETS_BURST_S + rate * (k_now_us - since_us) / SECOND + 1;
}

/* ---- requests ---- */

static size_t answers_in(const struct peer *p)
{
	static const char begin[] = "HTTP/1.1 ";
	size_t n = 0;

	for (size_t i = 0; i + sizeof(begin) <= p->got_len; i++)
		n += memcmp(p->got + i, begin, sizeof(begin) - 1) == 0;
	return n;
}

static size_t ask(struct peer *p, unsigned times)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

	peer_close(p, false);
	if (!peer_dial(p, relay_host))
		return 0;
	peer_say_no_tag(p);
	for (unsigned i = 0; i < times; i++)
		peer_write(p, request, sizeof(request) - 1);
	(void)peer_has(p, PEER_KEPT, SECOND / 4);
	return answers_in(p);
}

static void scene_requests_without_end(void)
{
	enum { RATE = 20, EACH = 50, CONNECTIONS = 12 };
	uint64_t alone, began;
	size_t answers = 0;

	begin("limits:\n  requests_per_source: 20\n");
	alone = best_sign_in_us(&laptop);
	began = k_now_us;
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		answers += ask(&guest, EACH);
		if (i == CONNECTIONS / 2)
			check_others(alone, "a flood of requests");
	}
	world_check(answers <= most_since(began, RATE) && answers >= RATE * BUCKETS_BURST_S,
		    "rates", "%zu requests of one address are answered in %.1f s", answers,
		    (double)(k_now_us - began) / SECOND);
	world_check(refused(REASON_LIMIT_REQUESTS) >= CONNECTIONS / 2, "counted",
		    "%llu connections are refused for their requests",
		    (unsigned long long)refused(REASON_LIMIT_REQUESTS));
	world_check(ask(&admin, 1) == 1, "served", "another's request is not answered");
	world_run(2 * SECOND);
	world_check(ask(&guest, 1) == 1, "served", "a request of who has waited is not answered");
	peers_end();
}

/* ---- sign-ins that fail ---- */

/* Dials, and signs in with a proof that is none, or with a good one; what came of it. */
static enum reason try_to_sign_in(struct peer *p, bool good)
{
	struct wire_message m;

	peer_close(p, false);
	if (!peer_dial(p, relay_host))
		return REASON_LIMIT_HANDSHAKES;
	peer_frame_hello(p, WIRE_HELLO_TRANSIENT);
	/* Its last bytes are the signature's, before the count of extensions. */
	p->frame[p->frame_len - 3] ^= good ? 0 : 1;
	peer_flush(p);
	if (!peer_hear(p, &m, 5 * SECOND))
		return REASON_TIMEOUT;
	return m.type == WIRE_BYE ? (enum reason)m.bye.reason : REASON_OK;
}

static void scene_sign_ins_that_fail(void)
{
	enum { RATE = 5, TRIES = 80 };
	unsigned judged = 0, turned_away = 0;
	struct peer neighbour;
	uint64_t alone, began;

	begin("limits:\n  sign_ins_per_source: 5\n");
	/* At the address of the flood, where it has been before. */
	peer_start(&neighbour, "neighbour", HOME, host[2]);
	world_check(try_to_sign_in(&neighbour, true) == REASON_OK, "links",
		    "a neighbour is not let in");
	alone = best_sign_in_us(&laptop);
	began = k_now_us;
	for (unsigned i = 0; i < TRIES; i++) {
		enum reason reason = try_to_sign_in(&guest, false);

		judged += reason == REASON_PROOF;
		turned_away += reason == REASON_LIMIT_RATE;
		if (i == TRIES / 2)
			check_others(alone, "a flood of sign-ins");
	}
	world_check(judged <= most_since(began, RATE) && judged >= RATE * BUCKETS_BURST_S, "rates",
		    "%u proofs of one address are looked at in %.1f s", judged,
		    (double)(k_now_us - began) / SECOND);
	world_check(judged + turned_away == TRIES && turned_away > TRIES / 4, "told",
		    "of %u tries %u are judged and %u told that they are too many", TRIES, judged,
		    turned_away);
	world_check(refused(REASON_LIMIT_RATE) == turned_away, "counted",
		    "%llu sign-ins too many are counted",
		    (unsigned long long)refused(REASON_LIMIT_RATE));
	world_check(try_to_sign_in(&neighbour, true) == REASON_OK, "proven-in-time",
		    "who has been at the flood's address before is kept out");
	world_run(SECOND);
	world_check(try_to_sign_in(&guest, true) == REASON_OK, "served",
		    "who was a flood, and has waited, is not let in with a good proof");
	peer_end(&neighbour);
	peers_end();
}

/* ---- those that are good ---- */

static void scene_a_name_that_signs_in_too_often(void)
{
	enum { RATE = 2, TRIES = 40 };
	unsigned let_in = 0, turned_away = 0;
	struct peer neighbour;
	uint64_t began;

	begin("limits:\n  sign_ins_per_source: 2\n");
	peer_start(&neighbour, "neighbour", HOME, host[1]);
	world_check(try_to_sign_in(&neighbour, true) == REASON_OK, "links",
		    "a neighbour is not let in");
	world_check(try_to_sign_in(&laptop, true) == REASON_OK, "links", "laptop is not let in");
	began = k_now_us;
	for (unsigned i = 0; i < TRIES; i++) {
		enum reason reason = try_to_sign_in(&laptop, true);

		let_in += reason == REASON_OK;
		turned_away += reason == REASON_LIMIT_RATE;
	}
	/* It has been let in once before. */
	world_check(let_in <= most_since(began, RATE) && let_in >= RATE * BUCKETS_BURST_S - 1,
		    "rates", "a name is let in %u times in %.1f s", let_in,
		    (double)(k_now_us - began) / SECOND);
	world_check(let_in + turned_away == TRIES && turned_away > 0, "told",
		    "of %u sign-ins %u are let in and %u told that they are too many", TRIES,
		    let_in, turned_away);
	world_check(try_to_sign_in(&neighbour, true) == REASON_OK, "shared",
		    "a name that signs in too often keeps another at its address out");
	peer_end(&neighbour);
	peers_end();
}

static void scene_a_name_with_too_many_legs(void)
{
	enum { RATE = 1 * BUCKETS_NAME_MORE, TRIES = 120 };
	unsigned ready = 0, turned_away = 0;
	struct wire_message m;
	uint64_t began;

	begin("limits:\n  handshakes_per_source: 1\n");
	(void)peer_sign_in(&laptop, relay_host, 0);
	(void)peer_sign_in(&home, relay_host, 0);
	began = k_now_us;
	for (unsigned i = 0; i < TRIES; i++) {
		peer_close(&asking, false);
		if (!peer_dial(&asking, relay_host))
			continue; /* a leg that was refused has had a stranger's handshake */
		peer_frame_leg(&asking, &laptop);
		peer_flush(&asking);
		if (!peer_hear(&asking, &m, 5 * SECOND))
			continue;
		ready += m.type == WIRE_READY;
		turned_away += m.type == WIRE_BYE && m.bye.reason == REASON_LIMIT_RATE;
	}
	world_check(ready <= most_since(began, RATE) && ready >= RATE * BUCKETS_BURST_S / 2,
		    "rates", "a name has %u legs in %.1f s", ready,
		    (double)(k_now_us - began) / SECOND);
	world_check(turned_away > 0 && refused(REASON_LIMIT_RATE) == turned_away, "told",
		    "%u legs are told that they are too many, and %llu counted", turned_away,
		    (unsigned long long)refused(REASON_LIMIT_RATE));
	world_check(peer_leg(&accepting, relay_host, &home), "shared",
		    "a name with too many legs keeps another's out");
	peers_end();
}

static const peers_scene scenes[] = {
	scene_requests_without_end,
	scene_sign_ins_that_fail,
	scene_a_name_that_signs_in_too_often,
	scene_a_name_with_too_many_legs,
};

void world_rates(void)
{
	peers_play(scenes, sizeof(scenes) / sizeof(scenes[0]));
}
