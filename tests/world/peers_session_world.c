/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers_session_world: what runs between two legs that are played by hand: its bytes and their
 * count, its rate, slow receivers, and the rule that allows it.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/engine/proving.h"
#include "relay/session/session.h"
#include "tests/world/peers_scene.h"
#include "tests/world/worlds.h"

/* ---- bytes ---- */

/* What was received is what is counted, the hello of a public client included. */
static void scene_all_bytes_are_counted(void)
{
	static uint8_t bytes[70000];
	uint64_t before;
	size_t up = dice_size(&world_dice, sizeof(bytes)),
	       down = dice_size(&world_dice, sizeof(bytes));

	peers_begin("");
	peers_two_agents();
	peers_cut_through();
	before = peers_totals().bytes;
	peer_write(&asking, bytes, up);
	peer_write(&accepting, bytes, down);
	(void)peer_has(&accepting, up, 60 * SECOND);
	(void)peer_has(&asking, down, 60 * SECOND);
	world_check(peers_totals().bytes - before == accepting.got_len + asking.got_len, "accounts",
		    "%zu bytes came and %llu are counted", accepting.got_len + asking.got_len,
		    (unsigned long long)(peers_totals().bytes - before));
	peers_end();
}

/* A rule's rate, from the session's first byte on. */
static void scene_a_rate_holds(void)
{
	enum { RATE = 20000, SECONDS = 10 };
	static uint8_t bytes[PEER_KEPT / 2];

	peers_begin("policy:\n  - from: [laptop]\n    to: [home/talk]\n    rate: 20KB/s\n");
	peers_two_agents();
	peers_cut_through();
	peer_write(&asking, bytes, sizeof(bytes));
	peers_push(sizeof(bytes), SECONDS * SECOND);
	world_check(accepting.got_len > RATE * SECONDS / 2, "rates",
		    "%zu bytes in %u s are too few", accepting.got_len, SECONDS);
	world_check(accepting.got_len < RATE * (SECONDS + 2) + 65536, "rates",
		    "%zu bytes in %u s are too many", accepting.got_len, SECONDS);
	peers_reload("policy:\n  - from: [laptop]\n    to: [home/talk]\n");
	peers_push(sizeof(bytes), 10 * SECOND);
	world_check(accepting.got_len == sizeof(bytes), "rates", "a rate that is gone holds on");
	peers_end();
}

/* A bulk transfer whose receiver breaks off while pages are under way: another's bytes are its own.
 */
static void scene_bulk_that_breaks_off(void)
{
	peers_begin("");
	peers_two_agents();
	for (unsigned round = 0; round < 6; round++) {
		peers_cut_through();
		peers_fill_out(&asking, 'a', PEER_KEPT / 2);
		peers_push(PEER_KEPT / 4, 5 * SECOND);
		peer_close(&accepting, true);
		(void)peer_has(&asking, SIZE_MAX, 1);
		k_advance(k_now_us + SECOND); /* bytes and reset are there at once */
		(void)peer_has(&asking, SIZE_MAX, 2 * SECOND);
		peers_renew(&asking);
		peers_renew(&accepting);
	}
	peers_cut_through();
	peers_fill_out(&asking, 'b', PEER_KEPT / 2);
	peers_push(PEER_KEPT / 2, 30 * SECOND);
	world_check(accepting.got_len == PEER_KEPT / 2 &&
			    !memchr(accepting.got, 'a', accepting.got_len),
		    "bytes", "a session's bytes reach another");
	peers_end();
}

/* ---- slow receivers ---- */

enum { SLOW = 4, WINDOW = 2 * 65536, SMALL = RING_SMALL_BYTES };

static struct buffers *large_buffers(unsigned worker)
{
	return &relay.relay.workers[worker].sessions->large;
}

static void slow_pair(struct peer *up, struct peer *down)
{
	uint64_t session;

	peer_start(up, "fast", LAPTOP, host[1]);
	peer_start(down, "slow", HOME, host[0]);
	(void)peer_leg(up, relay_host, &laptop);
	peer_open(up, "home", "talk");
	(void)peer_expect(&home, WIRE_OFFER, &heard);
	session = heard.offer.session;
	(void)peer_leg(down, relay_host, &home);
	peer_accept(down, session);
	(void)peer_go(up);
	(void)peer_go(down);
	down->mute = true;
	/* By small pieces, until there is room for no more than what earns a large buffer. */
	for (unsigned left = WINDOW - 2 * SMALL - 100; left > 0;) {
		unsigned n = left < 1000 ? left : 1000;

		peers_fill_out(up, 'x', n);
		(void)peer_has(up, SIZE_MAX, SECOND / 4);
		left -= n;
	}
	peers_fill_out(up, 'y', WINDOW / 2);
	(void)peer_has(up, SIZE_MAX, SECOND);
}

/* Slow receivers hold half of a thread's large buffers and no more; what they hold comes back. */
static void scene_slow_receivers(void)
{
	struct peer up[SLOW], down[SLOW];
	unsigned short_io = k_faults.short_io;

	k_faults.short_io = 0;
	peers_begin("limits:\n  buffer_bytes: 4MiB\n  ping: 10m\n"); /* links say nothing */
	peers_two_agents();
	for (unsigned i = 0; i < SLOW; i++)
		slow_pair(&up[i], &down[i]);
	for (unsigned i = 0; i < relay.relay.worker_count; i++)
		world_check(large_buffers(i)->made - large_buffers(i)->free_count <=
				    large_buffers(i)->max_count / 2 + 1,
			    "memory", "slow receivers hold %zu of %zu large buffers",
			    large_buffers(i)->made - large_buffers(i)->free_count,
			    large_buffers(i)->max_count);
	for (unsigned i = 0; i < SLOW; i++) {
		down[i].mute = false;
		world_check(peer_has(&down[i], WINDOW - 2 * SMALL - 100 + WINDOW / 2, 30 * SECOND),
			    "bytes", "a slow receiver does not get all");
	}
	for (unsigned i = 0; i < relay.relay.worker_count; i++)
		world_check(large_buffers(i)->made == large_buffers(i)->free_count &&
				    relay.relay.workers[i].sessions->held_bytes == 0,
			    "memory", "what was held for slow receivers does not come back");
	for (unsigned i = 0; i < SLOW; i++) {
		peer_end(&up[i]);
		peer_end(&down[i]);
	}
	peers_end();
	k_faults.short_io = short_io;
}

/* ---- rules ---- */

#define RULE(until) "policy:\n  - from: [laptop]\n    to: [home/talk]\n    until: " until "\n"

/* Time alone ends what a rule allows, also when it was looked at for another reason before. */
static void scene_a_rule_that_ends_ends_its_sessions(void)
{
	time_t ends = time(NULL) + 60;
	char config[512], until[32];
	struct tm tm;

	gmtime_r(&ends, &tm);
	strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ", &tm);
	snprintf(config, sizeof(config), RULE("\"%s\""), until);
	peers_begin(config);
	peers_two_agents();
	peers_cut_through();
	peers_expect_flowing("while it is allowed");
	snprintf(config, sizeof(config), RULE("\"%s\"") "site:\n  page: other\n", until);
	peers_reload(config);
	peers_expect_flowing("after a change of something else");
	if (time(NULL) < ends - 1)
		world_run((uint64_t)(ends - 1 - time(NULL)) * SECOND);
	peers_expect_still_there(&asking, "the session ends before its rule");
	world_check(peer_gone(&asking, 2300 * MS), "rules", "a session outlives its rule");
	peers_end();
}

/* Between two more legs of the same agents. */
static void another_session(const char *service)
{
	peer_publish(&home, service);
	(void)peer_leg(&guest, relay_host, &laptop);
	peer_open(&guest, "home", service);
	(void)peer_expect(&home, WIRE_OFFER, &heard);
	uint64_t session = heard.offer.session;
	(void)peer_leg(&admin, relay_host, &home);
	peer_accept(&admin, session);
	(void)peer_go(&guest);
	(void)peer_go(&admin);
}

static void scene_a_rule_ends_by_itself(void)
{
	time_t ends = time(NULL) + 60;
	char config[512], until[32];
	struct tm tm;

	gmtime_r(&ends, &tm);
	strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ", &tm);
	snprintf(config, sizeof(config),
		 RULE("\"%s\"") "  - from: [laptop]\n    to: [home/chat]\n    until: 2099-01-01\n",
		 until);
	peers_begin(config);
	peers_two_agents();
	peers_cut_through();
	another_session("chat");
	world_run((uint64_t)(ends - 1 - time(NULL)) * SECOND);
	peers_expect_still_there(&asking, "the session ends before its rule");
	world_check(peer_gone(&asking, 2300 * MS), "rules", "a session outlives its rule");
	peers_expect_still_there(&guest, "a session ends with another's rule");
	peers_end();
}

static void scene_a_rule_that_goes_takes_its_sessions(void)
{
	peers_begin(RULE("2099-01-01"));
	peers_two_agents();
	peers_cut_through();
	peer_publish(&home, "talk");
	peers_reload(RULE("2099-01-01") "  - from: [guest]\n    to: [home/talk]\n");
	peers_expect_flowing("after another rule was added");
	peers_change("policy:\n  - from: [guest]\n    to: [home/talk]\n");
	world_run(SECOND);
	world_check(peer_gone(&asking, 1) && peer_gone(&accepting, 1), "rules",
		    "a session outlives its rule");
	(void)peer_leg(&asking, relay_host, &laptop);
	peer_open(&asking, "home", "talk");
	peers_expect_fail(&asking, REASON_NOT_ALLOWED);
	peers_end();
}

static void scene_a_rule_has_room_for_one(void)
{
	peers_begin("policy:\n  - from: [laptop]\n    to: [home/talk]\n    sessions: 1\n");
	peers_two_agents();
	peers_cut_through();
	(void)peer_leg(&guest, relay_host, &laptop);
	peer_open(&guest, "home", "talk");
	peers_expect_fail(&guest, REASON_LIMIT_SESSIONS);
	peer_close(&asking, false);
	peer_close(&accepting, false);
	world_run(5 * SECOND);
	peer_open(&guest, "home", "talk");
	(void)peer_expect(&home, WIRE_OFFER, &heard);
	peers_end();
}

/* The publishing agent takes its time: what was allowed when it was asked is not when it accepts.
 * The clock leaps, so that nothing has looked meanwhile. */
static void scene_a_right_is_asked_for_again_when_a_session_begins(void)
{
	time_t ends = time(NULL) + 3600;
	int64_t offset_us = k_realtime_offset_us;
	char config[512], until[32];
	uint64_t session;
	struct tm tm;

	gmtime_r(&ends, &tm);
	strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ", &tm);
	snprintf(config, sizeof(config), RULE("\"%s\""), until);
	peers_begin(config);
	peers_two_agents();
	(void)peer_leg(&accepting, relay_host, &home);
	session = peers_offered();
	k_realtime_offset_us += 3600 * (int64_t)SECOND;
	peer_accept(&accepting, session);
	peers_expect_fail(&asking, REASON_NOT_ALLOWED);
	world_check(peers_totals().sessions_total == 0, "rules",
		    "a session begins that is not allowed any more");
	peers_end();
	k_realtime_offset_us = offset_us;
}

/* And while the asker waits; its leg stays good. */
static void scene_an_asker_hears_that_its_rule_is_gone(void)
{
	uint64_t session;

	peers_begin(RULE("2099-01-01"));
	peers_two_agents();
	session = peers_offered();
	peers_reload("policy:\n  - from: [guest]\n    to: [home/talk]\n");
	peers_expect_fail(&asking, REASON_NOT_ALLOWED);
	peers_expect_still_there(&asking, "a leg ends with a rule");
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, session);
	peers_expect_fail(&accepting, REASON_PEER_GONE);
	peers_end();
}

/* A link ends with its right, and what belongs to it does, too: it has not to be asked first. */
static void scene_idle_legs_end_with_their_right(void)
{
	peers_begin("");
	peers_two_agents();
	(void)peer_leg(&asking, relay_host, &laptop);
	(void)peer_leg(&accepting, relay_host, &home);
	peers_change("revoked:\n  - agent: laptop\n");
	world_run(SECOND);
	world_check(peer_gone(&laptop, 1) && peer_gone(&asking, 1), "revoked",
		    "a second later a revoked agent has its link or an idle leg");
	(void)peer_expect_bye(&laptop, REASON_REVOKED);
	(void)peer_expect_bye(&asking, REASON_REVOKED);
	peers_expect_still_there(&accepting, "a leg ends with another's revocation");
	peers_end();
}

/* By the clock as well: nothing is said on it. */
static void scene_idle_legs_end_with_their_certificate(void)
{
	struct certs_pair lasting = world_pairs[LAPTOP];
	time_t ends = time(NULL) + 60;

	world_pairs[LAPTOP] = certs_make_pair(&world_ca, IDENTITY_AGENT, "laptop", -86400, 60);
	peers_begin("");
	peers_two_agents();
	(void)peer_leg(&asking, relay_host, &laptop);
	(void)peer_leg(&accepting, relay_host, &home);
	world_run((uint64_t)(ends - 1 - time(NULL)) * SECOND);
	peers_expect_still_there(&asking, "an idle leg ends before its certificate");
	world_run(2300 * MS);
	world_check(peer_gone(&asking, 1), "expires", "an idle leg outlives its certificate");
	(void)peer_expect_bye(&asking, REASON_CERT_EXPIRED);
	peers_expect_still_there(&accepting, "a leg ends with another's certificate");
	peers_end();
	certs_free_pair(&world_pairs[LAPTOP]);
	world_pairs[LAPTOP] = lasting;
}

/* By the relay alone, whose peers do nothing; the links are gone already. */
static void a_session_ends_with_the_certificate_of(enum who who)
{
	struct certs_pair lasting = world_pairs[who];
	time_t ends = time(NULL) + 60;

	world_pairs[who] = certs_make_pair(&world_ca, IDENTITY_AGENT, who_name(who), -86400, 60);
	peers_begin("");
	peers_two_agents();
	peers_cut_through();
	peer_close(&laptop, false);
	peer_close(&home, false);
	world_run((uint64_t)(ends - 1 - time(NULL)) * SECOND);
	peers_expect_still_there(&asking, "a session ends before its certificates");
	world_check(peer_gone(&asking, 2300 * MS) && peer_gone(&accepting, SECOND), "expires",
		    "a session outlives the certificate of %s", who_name(who));
	peers_end();
	certs_free_pair(&world_pairs[who]);
	world_pairs[who] = lasting;
}

static void scene_a_session_ends_with_its_askers_certificate(void)
{
	a_session_ends_with_the_certificate_of(LAPTOP);
}

static void scene_a_session_ends_with_its_publishers_certificate(void)
{
	a_session_ends_with_the_certificate_of(HOME);
}

/* The wall clock goes back to before the hours of a rule. */
static void scene_a_clock_that_goes_back_is_noticed(void)
{
	int64_t offset_us = k_realtime_offset_us;

	k_realtime_offset_us += (86400 - time(NULL) % 86400 + 12 * 3600) * (int64_t)SECOND;
	peers_begin("policy:\n  - from: [laptop]\n    to: [home/talk]\n"
		    "    hours: \"mon-sun 11:30-18:00\"\n");
	peers_two_agents();
	peers_cut_through();
	world_run(20 * SECOND);
	peers_expect_flowing("within the hours of its rule");
	k_realtime_offset_us -= 3600 * (int64_t)SECOND;
	world_check(peer_gone(&asking, 11 * SECOND), "rules",
		    "a session goes on before the hours of its rule");
	peers_end();
	k_realtime_offset_us = offset_us;
}

/* Consoles manage agents by right of their certificate: no rule lets or ends them. */
static void scene_consoles_need_no_rule(void)
{
	peers_begin("");
	(void)peer_sign_in(&home, relay_host, 0);
	peer_publish(&home, "talk");
	(void)peer_sign_in(&admin, relay_host, 0);
	(void)peer_leg(&asking, relay_host, &admin);
	peer_open(&asking, "home", WIRE_CONTROL_SERVICE);
	(void)peer_expect(&home, WIRE_OFFER, &heard);
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, heard.offer.session);
	(void)peer_go(&accepting);
	(void)peer_go(&asking);
	peers_reload("policy:\n  - from: [guest]\n    to: [home/talk]\n");
	peers_expect_flowing("after the rules were changed");
	/* An agent has no such right. */
	(void)peer_sign_in(&laptop, relay_host, 0);
	(void)peer_leg(&guest, relay_host, &laptop);
	peer_open(&guest, "home", WIRE_CONTROL_SERVICE);
	peers_expect_fail(&guest, REASON_NOT_ALLOWED);
	peers_end();
}

/* An idle session of agents goes on, unless a limit says how long. */
static void scene_idle_sessions(void)
{
	peers_begin("limits:\n  public_idle: 10s\n");
	peers_two_agents();
	peers_cut_through();
	world_run(40 * SECOND);
	world_check(peers_totals().sessions == 1, "ends",
		    "the limit of public sessions ends one of agents");
	peers_reload("limits:\n  session_idle: 30s\n");
	world_run(60 * SECOND);
	world_check(peers_totals().sessions == 0 && peer_gone(&asking, 1), "ends",
		    "an idle session is kept for longer than its limit");
	peers_end();
}

/* ---- what one side proves to the other ---- */

static uint64_t the_session(void)
{
	for (unsigned i = 0; i < relay.relay.worker_count; i++) {
		struct slab *table = &relay.relay.workers[i].sessions->table;

		for (uint32_t k = 0; k < table->high_water; k++) {
			struct session *s = slab_at(table, k);

			if (s)
				return s->number;
		}
	}
	world_check(false, "links", "there is no session");
	return 0;
}

static void prove(struct peer *p, uint64_t session, const char *certificate)
{
	peer_say(p, &(struct wire_message){.type = WIRE_PROVE,
					   .prove = {.session = session,
						     .certificate = wire_text(certificate),
						     .signature = wire_text("signed")}});
}

/* How many come. The last is in heard. */
static unsigned proofs_at(struct peer *p)
{
	unsigned count = 0;

	while (peer_hear(p, &heard, 2 * SECOND))
		count += heard.type == WIRE_PROVE;
	return count;
}

/* From one side of a session to the other, whoever asked; from no other agent, of no other session,
 * and not as often as one likes. */
static void scene_a_proof_goes_to_the_far_end(void)
{
	enum { MANY = 400 };
	unsigned came;
	uint64_t number;

	peers_begin("");
	peers_two_agents();
	(void)peer_sign_in(&guest, relay_host, 0);
	peers_cut_through();
	number = the_session();
	prove(&laptop, number, "of laptop");
	world_check(peer_expect(&home, WIRE_PROVE, &heard) && heard.prove.session == number &&
			    wire_bytes_equal(heard.prove.certificate, wire_text("of laptop")) &&
			    wire_bytes_equal(heard.prove.signature, wire_text("signed")),
		    "proof", "what the asker proves does not reach the publisher");
	prove(&home, number, "of home");
	world_check(peer_expect(&laptop, WIRE_PROVE, &heard) &&
			    wire_bytes_equal(heard.prove.certificate, wire_text("of home")),
		    "proof", "what the publisher proves does not reach the asker");
	prove(&guest, number, "of guest");
	prove(&laptop, number + 1, "of laptop");
	world_check(proofs_at(&home) + proofs_at(&laptop) + proofs_at(&guest) == 0, "proof",
		    "what is no part of a session proves something in it");
	for (unsigned i = 0; i < MANY; i++)
		prove(&laptop, number, "of laptop");
	came = proofs_at(&home);
	world_check(came >= PROVING_ONCE - 10 && came <= PROVING_ONCE + 2 * PROVING_SECOND,
		    "limits", "of %u proofs at once %u are handed on", MANY, came);
	peers_expect_flowing("after many proofs");
	peers_end();
}

/* One that is far from its relay, or slow, is not cut off by what another proves without end,
 * whatever links that one says it on. */
static void scene_proofs_cut_no_link(void)
{
	enum { EACH = 200, LINKS = 3 };
	static char certificate[WIRE_CERT_MAX + 1];
	static struct peer more[LINKS];
	unsigned came;
	uint64_t number;

	memset(certificate, 'c', WIRE_CERT_MAX);
	peers_begin("");
	peers_two_agents();
	peers_cut_through();
	number = the_session();
	for (unsigned i = 0; i < LINKS; i++) {
		peer_start(&more[i], "laptop", LAPTOP, host[1]);
		world_check(peer_sign_in(&more[i], relay_host, WIRE_HELLO_TRANSIENT), "links",
			    "laptop has no further link");
	}
	home.mute = true;
	for (unsigned k = 0; k < EACH; k++) {
		for (unsigned i = 0; i < LINKS; i++)
			prove(&more[i], number, certificate);
		world_run(SECOND / 100);
	}
	world_run(2 * SECOND);
	home.mute = false;
	came = proofs_at(&home);
	world_check(came > 0 && came <= PROVING_ONCE + 5 * PROVING_SECOND, "limits",
		    "of %u proofs of one name %u are handed on", EACH * LINKS, came);
	peers_expect_still_there(&home, "proofs of another cut off a link that reads late");
	prove(&laptop, number, "of laptop");
	world_check(peer_expect(&home, WIRE_PROVE, &heard), "proof",
		    "nothing is handed on any more");
	for (unsigned i = 0; i < LINKS * EACH; i++)
		prove(&more[i % LINKS], number, "of laptop");
	came = proofs_at(&home);
	world_check(came > 0 && came <= PROVING_ONCE + 5 * PROVING_SECOND, "limits",
		    "of %u small proofs of one name %u are handed on", EACH * LINKS, came);
	for (unsigned i = 0; i < LINKS; i++)
		peer_end(&more[i]);
	peers_expect_flowing("after many large proofs");
	peers_end();
}

/* ---- what one side ends by itself ---- */

static void say_ended(struct peer *p, uint64_t session, const char *cause, const char *text)
{
	peer_say(p, &(struct wire_message){.type = WIRE_ENDED,
					   .ended = {.session = session,
						     .cause = wire_text(cause),
						     .text = wire_text(text)}});
}

/* It is over on both legs, on record as that side's end for this cause; the other agent is told by
 * the relay's own sentence, and the one that said it is not. */
static void check_ended_by(bool asker, char cause)
{
	struct peer *other = asker ? &home : &laptop, *own = asker ? &laptop : &home;
	const char *why, *recorded;
	char told[WIRE_TEXT_MAX + 1] = "";

	world_check(peer_gone(&asking, SECOND) && peer_gone(&accepting, SECOND) && asking.reset &&
			    accepting.reset,
		    "ends", "a session goes on that its agent has ended");
	if (peer_expect(other, WIRE_ENDED, &heard)) {
		wire_bytes_copy(heard.ended.text, told, sizeof(told));
		world_check(heard.ended.cause.data[0] == (uint8_t)cause, "reason",
			    "the other agent is told %c for %c", heard.ended.cause.data[0], cause);
	}
	world_check(strstr(told, asker ? "the asking agent ended it: "
				       : "the publishing agent ended it: ") == told &&
			    !strstr(told, "trust me"),
		    "reason", "the other agent is told \"%s\"", told);
	while (peer_hear(own, &heard, SECOND))
		world_check(heard.type != WIRE_ENDED, "reason",
			    "an agent is told what it has said");
	recorded = world_relay_ending(&relay, &why);
	world_check(recorded[0] == (asker ? 'A' : 'P') && recorded[2] == cause &&
			    !strstr(why, "trust me"),
		    "reason", "%s (%s) is on record", recorded, why);
}

/* Either side ends its own session, in no words but the relay's; no other agent ends it, nor for a
 * cause that is a relay's own. */
static void scene_an_agent_ends_its_session(void)
{
	static const char *const not_theirs[] = {"K", "D", "W", "S", "-", "R", "?"};
	bool asker = dice_chance(&world_dice, 500);
	uint64_t number;

	peers_begin("");
	peers_two_agents();
	(void)peer_sign_in(&guest, relay_host, 0);
	peers_cut_through();
	number = the_session();
	say_ended(&guest, number, "N", "trust me");
	say_ended(&laptop, number + 1, "N", "trust me");
	for (size_t i = 0; i < sizeof(not_theirs) / sizeof(not_theirs[0]); i++)
		say_ended(asker ? &laptop : &home, number, not_theirs[i], "trust me");
	world_run(2 * SECOND);
	peers_expect_flowing("after ENDED of a stranger to it, and for causes that no agent has");
	peers_expect_still_there(&guest, "ENDED of another session cuts a link");
	say_ended(asker ? &laptop : &home, number, asker ? "V" : "N", "trust me");
	check_ended_by(asker, asker ? 'V' : 'N');
	say_ended(&home, number, "N", "again");
	world_run(SECOND);
	peers_expect_still_there(&home, "ENDED of a session that is over cuts a link");
	peers_end();
}

/* Who says it without end is passed over for a while, costs others nothing and keeps its link. */
static void scene_ends_without_end(void)
{
	enum { EACH = 500, ROUNDS = 12 };
	uint64_t number, before;

	peers_begin("");
	peers_two_agents();
	peers_cut_through();
	number = the_session();
	before = peers_totals().refused[REASON_LIMIT_RATE];
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < EACH; i++)
			say_ended(&laptop, number + 1 + i, "N", "");
		world_run(SECOND / 20);
	}
	world_run(SECOND);
	world_check(peers_totals().refused[REASON_LIMIT_RATE] - before >
			    EACH * ROUNDS - PROVING_ENDS_ONCE - 5 * PROVING_ENDS_SECOND,
		    "limits", "of %u ENDED of one name %llu are passed over", EACH * ROUNDS,
		    (unsigned long long)(peers_totals().refused[REASON_LIMIT_RATE] - before));
	peers_expect_flowing("after ENDED of many other sessions");
	peers_expect_still_there(&laptop, "many ENDED cut the link of who says them");
	say_ended(&home, number, "Y", "");
	check_ended_by(false, 'Y');
	peers_end();
}

/* Nor by what others ask of it while it does not read: they wait for it in vain. */
static void scene_offers_cut_no_link(void)
{
	enum { LEGS = 24, ROUNDS = 140 };
	static struct peer legs[LEGS];
	char service[WIRE_NAME_MAX + 1];
	unsigned offers = 0;

	memset(service, 's', WIRE_NAME_MAX);
	service[WIRE_NAME_MAX] = '\0';
	peers_begin("limits:\n  open: 100ms\n  ping: 10m\n");
	peers_two_agents();
	peer_publish(&home, service);
	world_run(SECOND);
	for (unsigned i = 0; i < LEGS; i++) {
		peer_start(&legs[i], "leg", LAPTOP, host[1]);
		world_check(peer_leg(&legs[i], relay_host, &laptop), "links", "no further leg");
	}
	home.mute = true;
	for (unsigned k = 0; k < ROUNDS; k++) {
		for (unsigned i = 0; i < LEGS; i++)
			peer_open(&legs[i], "home", service);
		for (unsigned i = 0; i < LEGS; i++)
			world_check(peer_hear(&legs[i], &heard, 10 * SECOND) &&
					    heard.type == WIRE_FAIL &&
					    heard.fail.reason == REASON_TIMEOUT,
				    "messages", "who asks one that does not read hears nothing");
	}
	home.mute = false;
	while (peer_hear(&home, &heard, SECOND))
		offers += heard.type == WIRE_OFFER;
	world_check(offers > LEGS, "limits", "%u offers reach one that reads late", offers);
	peers_expect_still_there(&home, "what others ask cut off a link that reads late");
	for (unsigned i = 0; i < LEGS; i++)
		peer_end(&legs[i]);
	peer_publish(&home, "talk");
	peers_reload(""); /* with patience again */
	peers_cut_through();
	peers_expect_flowing("after many offers");
	peers_end();
}

static const peers_scene scenes[] = {
	scene_all_bytes_are_counted,
	scene_a_rate_holds,
	scene_bulk_that_breaks_off,
	scene_slow_receivers,
	scene_a_rule_that_ends_ends_its_sessions,
	scene_a_rule_ends_by_itself,
	scene_a_rule_that_goes_takes_its_sessions,
	scene_a_rule_has_room_for_one,
	scene_a_right_is_asked_for_again_when_a_session_begins,
	scene_an_asker_hears_that_its_rule_is_gone,
	scene_idle_legs_end_with_their_right,
	scene_idle_legs_end_with_their_certificate,
	scene_a_session_ends_with_its_askers_certificate,
	scene_a_session_ends_with_its_publishers_certificate,
	scene_a_clock_that_goes_back_is_noticed,
	scene_consoles_need_no_rule,
	scene_idle_sessions,
	scene_a_proof_goes_to_the_far_end,
	scene_proofs_cut_no_link,
	scene_an_agent_ends_its_session,
	scene_ends_without_end,
	scene_offers_cut_no_link,
};

void world_peers_session(void)
{
	peers_play(scenes, sizeof(scenes) / sizeof(scenes[0]));
}
