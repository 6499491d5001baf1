/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers_leg_world: legs at a relay, played by hand: whose they are, what they may say, how long
 * they wait, and peers that leave at each moment of it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/world/peers_scene.h"
#include "tests/world/worlds.h"

/* ---- whose it is ---- */

/* A leg proves that it knows the link's secret, for the very connection that it is on. */
static void scene_a_leg_needs_its_proof(void)
{
	struct peer liar;

	peers_begin("");
	peers_two_agents();
	liar = home;
	liar.secret[7] ^= 1;
	world_check(peer_dial(&guest, relay_host), "links", "guest cannot dial");
	peer_frame_leg(&guest, &liar);
	peer_flush(&guest);
	(void)peer_expect_bye(&guest, REASON_PROOF);
	/* One that was right on another connection. */
	world_check(peer_dial(&guest, relay_host), "links", "guest cannot dial");
	peer_frame_leg(&guest, &home);
	world_check(peer_dial(&accepting, relay_host), "links", "a leg cannot dial");
	memcpy(accepting.frame + TAG_BYTES, guest.frame + TAG_BYTES, guest.frame_len - TAG_BYTES);
	accepting.frame_len = guest.frame_len;
	peer_flush(&accepting);
	(void)peer_expect_bye(&accepting, REASON_PROOF);
	/* And of no link at all. */
	liar.link++;
	world_check(peer_dial(&accepting, relay_host), "links", "a leg cannot dial");
	peer_frame_leg(&accepting, &liar);
	peer_flush(&accepting);
	(void)peer_expect_bye(&accepting, REASON_LINK_GONE);
	/* Or of one that another relay has made. */
	liar.link ^= UINT64_C(1) << 63;
	world_check(peer_dial(&accepting, relay_host), "links", "a leg cannot dial");
	peer_frame_leg(&accepting, &liar);
	peer_flush(&accepting);
	(void)peer_expect_bye(&accepting, REASON_LINK_ELSEWHERE);
	(void)peer_leg(&accepting, relay_host, &home);
	peers_end();
}

/* An offer is for its publisher to accept or to refuse, and for no other agent. */
static void scene_an_offer_is_its_publishers(void)
{
	const struct wire_message refuse = {.type = WIRE_REFUSE};
	struct wire_message no = refuse;
	uint64_t session;

	peers_begin("");
	peers_two_agents();
	(void)peer_sign_in(&guest, relay_host, 0);
	session = peers_offered();
	(void)peer_leg(&accepting, relay_host, &guest);
	peer_accept(&accepting, session);
	peers_expect_fail(&accepting, REASON_PEER_GONE);
	no.refuse.session = session;
	no.refuse.reason = REASON_NOT_ALLOWED;
	no.refuse.text = wire_text("");
	peer_say(&guest, &no);
	world_run(SECOND);
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, session);
	(void)peer_go(&accepting);
	(void)peer_go(&asking);
	peers_expect_flowing("after another agent's no");
	peers_end();
}

/* ---- what it says ---- */

static void scene_nothing_may_follow_open(void)
{
	struct wire_message open = {.type = WIRE_OPEN}, ping = {.type = WIRE_PING};

	open.open.to = wire_text("home");
	open.open.service = wire_text("talk");
	peers_begin("");
	peers_two_agents();
	(void)peer_leg(&asking, relay_host, &laptop);
	peer_frame(&asking, &open);
	peer_frame(&asking, &ping);
	peer_flush(&asking); /* in one record */
	(void)peer_expect_bye(&asking, REASON_PROTOCOL);
	(void)peer_leg(&asking, relay_host, &laptop);
	peer_say(&asking, &open); /* and in one segment */
	peer_say(&asking, &ping);
	if (peer_hear(&asking, &heard, 5 * SECOND))
		world_check(heard.type == WIRE_BYE || heard.type == WIRE_FAIL, "messages",
			    "what follows OPEN is passed over");
	peers_end();
}

/* ---- time ---- */

static void scene_an_offer_has_a_deadline(void)
{
	uint64_t session;

	peers_begin("limits:\n  open: 5s\n");
	peers_two_agents();
	session = peers_offered();
	world_run(3 * SECOND);
	world_check(peers_totals().tables.meetings == 1, "accounts", "no asker waits any more");
	peers_expect_fail(&asking, REASON_TIMEOUT);
	world_check(peers_totals().tables.meetings == 0, "accounts",
		    "a meeting outlives its asker");
	/* Too late; and the leg is idle again, and may ask for something else. */
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, session);
	peers_expect_fail(&accepting, REASON_PEER_GONE);
	peer_open(&asking, "nobody", "talk");
	peers_expect_fail(&asking, REASON_AGENT_OFFLINE);
	peer_open(&asking, "home", "other");
	peers_expect_fail(&asking, REASON_SERVICE_UNKNOWN);
	peer_open(&asking, "home", "talk");
	(void)peer_expect(&home, WIRE_OFFER, &heard);
	peer_accept(&accepting, heard.offer.session);
	(void)peer_go(&accepting);
	(void)peer_go(&asking);
	/* Longer than all that a relay waits for. */
	world_run(300 * SECOND);
	peers_expect_flowing("after five minutes");
	peers_end();
}

/* An asker is not read while it waits: a session with one that has left is half over. */
static void scene_an_asker_that_leaves_is_found_out(void)
{
	uint64_t session;

	peers_begin("");
	peers_two_agents();
	session = peers_offered();
	peer_close(&asking, dice_chance(&world_dice, 500));
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, session);
	world_check(peer_gone(&accepting, 10 * SECOND), "ends", "a session without an asker lives");
	peer_close(&accepting, false);
	world_run(SECOND);
	world_check(peers_totals().tables.meetings == 0 && peers_totals().sessions == 0, "accounts",
		    "of a session without an asker, %llu meetings and %llu sessions are left",
		    (unsigned long long)peers_totals().tables.meetings,
		    (unsigned long long)peers_totals().sessions);
	peers_end();
}

/* A publisher that is lost is the end of what it was offered. */
static void scene_a_publisher_that_leaves_is_told(void)
{
	peers_begin("");
	peers_two_agents();
	(void)peers_offered();
	peer_close(&home, true);
	peers_expect_fail(&asking, REASON_PEER_GONE);
	peers_end();
}

/* GO may find either side gone, at any moment; nothing is left of it. */
static void scene_go_and_gone(void)
{
	uint64_t session;

	peers_begin("");
	peers_two_agents();
	session = peers_offered();
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, session);
	world_run(dice_below(&world_dice, 5) * dice_size(&world_dice, 100000));
	if (dice_chance(&world_dice, 700))
		peer_close(&asking, dice_chance(&world_dice, 500));
	if (dice_chance(&world_dice, 500))
		peer_close(&accepting, dice_chance(&world_dice, 500));
	world_run(60 * SECOND);
	world_check(peers_totals().sessions <= 1 && peers_totals().tables.meetings == 0, "accounts",
		    "a meeting is left");
	peers_end();
}

static bool answered(void *context)
{
	return peers_totals().tables.meetings == 0;
}

/* What lets a worker be busy with others when the answer reaches it. */
static void others_speak(void)
{
	peer_say(&home, &(struct wire_message){.type = WIRE_PING});
	peer_say(&laptop, &(struct wire_message){.type = WIRE_PING});
	peer_write(&guest, "\x16", 1);
	peer_write(&admin, "\x16", 1);
}

/* The answer that comes when time is up, and the asker's worker was busy elsewhere: the asker hears
 * yes or no, and after a no nothing else of it. */
static void an_answer_at_the_last_moment(void)
{
	bool late;

	(void)peer_leg(&accepting, relay_host, &home);
	world_check(peer_connect(&guest, relay_host) && peer_connect(&admin, relay_host), "links",
		    "the others cannot connect");
	peer_accept(&accepting, peers_offered());
	(void)world_until(answered, NULL, 10 * SECOND);
	others_speak();
	k_advance(k_now_us + 5 * SECOND);
	late = peer_hear(&asking, &heard, 30 * SECOND) && heard.type == WIRE_FAIL;
	world_run(5 * SECOND);
	if (late) {
		world_check(!peer_hear(&asking, &heard, SECOND), "messages",
			    "%s follows the FAIL of the same OPEN", wire_type_name(heard.type));
		peer_open(&asking, "home", "nothing");
		peers_expect_fail(&asking, REASON_SERVICE_UNKNOWN);
		(void)peer_expect_bye(&accepting, REASON_PEER_GONE);
	}
	world_check(peers_totals().tables.meetings == 0, "accounts", "a meeting is left");
	peers_renew(&asking);
	peers_renew(&accepting);
	peers_renew(&guest);
	peers_renew(&admin);
}

static void scene_answers_at_the_last_moment(void)
{
	peers_begin("limits:\n  open: 2s\n");
	peers_two_agents();
	for (unsigned i = 0; i < 8; i++)
		an_answer_at_the_last_moment();
	peers_end();
}

/* ---- limits ---- */

static void scene_legs_and_sessions_have_limits(void)
{
	struct peer more;

	peers_begin("limits:\n  legs: 1\n  sessions: 1\n");
	peers_two_agents();
	peers_cut_through();
	(void)peer_leg(&guest, relay_host, &laptop);
	peer_start(&more, "more", LAPTOP, host[1]);
	world_check(peer_dial(&more, relay_host), "links", "a leg cannot dial");
	peer_frame_leg(&more, &laptop);
	peer_flush(&more);
	(void)peer_expect_bye(&more, REASON_LIMIT_LEGS);
	peer_open(&guest, "home", "talk");
	peers_expect_fail(&guest, REASON_LIMIT_SESSIONS);
	peer_end(&more);
	/* It comes free with the session. */
	peer_close(&asking, false);
	peer_close(&accepting, false);
	world_run(5 * SECOND);
	peer_open(&guest, "home", "talk");
	(void)peer_expect(&home, WIRE_OFFER, &heard);
	peers_end();
}

/* A leg asks and asks, each time when the answer must be there, and reads none: soon it is not read
 * either. */
static void scene_a_leg_that_does_not_read(void)
{
	enum { ASKS = 6000, WAITS_MOST = 65536 + 1024 };
	const uint8_t *unsent;
	size_t left = 0, most = 0;

	peers_begin("limits:\n  ping: 10m\n");
	peers_two_agents();
	(void)peer_leg(&asking, relay_host, &laptop);
	k_cable_set(relay_host, host[1], 100, 0); /* faster than it asks */
	asking.mute = true;
	for (unsigned i = 0; i < ASKS && left < 1024; i++) {
		peer_open(&asking, "nobody", "talk");
		world_run(2 * MS);
		if (peers_most_waiting() > most)
			most = peers_most_waiting();
		unsent = tls_output(asking.tls, &left);
		(void)unsent;
	}
	world_check(most > WAITS_MOST / 2, "memory-bounded",
		    "%zu bytes wait: this scene tries nothing", most);
	world_check(most < WAITS_MOST, "memory-bounded",
		    "a leg that does not read makes the relay keep %zu bytes", most);
	peers_end();
}

/* ---- what is told ---- */

static void scene_a_leg_says_bye(void)
{
	peers_begin("");
	peers_two_agents();
	(void)peer_leg(&asking, relay_host, &laptop);
	peer_say(&asking, &(struct wire_message){.type = WIRE_BYE, .bye.reason = REASON_DRAINING});
	world_check(!peer_hear(&asking, &heard, 10 * SECOND) && peer_gone(&asking, SECOND),
		    "messages", "a leg that says BYE hears more than the end");
	peers_end();
}

/* What has to be understood and is not: the session is refused, and the leg goes on. */
static void scene_an_extension_that_must_be_known(void)
{
	struct wire_message open = {.type = WIRE_OPEN};

	peers_begin("");
	peers_two_agents();
	(void)peer_leg(&asking, relay_host, &laptop);
	open.open.to = wire_text("home");
	open.open.service = wire_text("talk");
	if (!wire_extension_add(&open, WIRE_EXTENSION_CRITICAL - 1, wire_text("x")))
		world_broken("no room for an extension");
	peer_frame(&asking, &open);
	asking.frame[asking.frame_len - 5] |= 0x80; /* {id, length, "x"}: now a critical one */
	peer_flush(&asking);
	peers_expect_fail(&asking, REASON_EXTENSION);
	world_check(peers_totals().tables.meetings == 0, "messages",
		    "what an asker needs is offered without");
	peer_open(&asking, "home", "talk");
	(void)peer_expect(&home, WIRE_OFFER, &heard);
	peers_end();
}

static void scene_a_refusal_says_why(void)
{
	peers_begin("");
	peers_two_agents();
	peers_refuse(peers_offered());
	peers_expect_fail(&asking, REASON_NOT_ALLOWED);
	world_check(wire_bytes_equal(heard.fail.text, wire_text("not on a Monday")), "messages",
		    "a refusal loses its sentence");
	peers_refuse(12345); /* which was not asked for */
	peer_open(&asking, "home", "talk");
	(void)peer_expect(&home, WIRE_OFFER, &heard);
	peers_end();
}

static bool is_address_of(struct wire_bytes text, struct peer *p, bool far)
{
	struct addr a = {.len = sizeof(a.v6)};
	char wanted[ADDR_TEXT_BYTES];

	k_enter(p->program);
	if ((far ? getpeername : getsockname)(p->fd, &a.sa, &a.len) < 0)
		world_broken("a peer has no address");
	k_enter(NULL);
	addr_format(&a, wanted);
	return wire_bytes_equal(text, wire_text(wanted));
}

static void scene_an_offer_names_its_asker(void)
{
	peers_begin("public:\n  - name: www.example\n    to: home/talk\n");
	peers_two_agents();
	(void)peers_offered();
	world_check(heard.offer.kind == WIRE_OFFER_AGENT, "messages",
		    "an agent's offer is another");
	world_check(wire_bytes_equal(heard.offer.service, wire_text("talk")), "messages",
		    "an offer names another service");
	world_check(is_address_of(heard.offer.source, &asking, false) &&
			    is_address_of(heard.offer.local, &asking, true),
		    "messages", "an offer has another address");
	tls_free(peers_public_hello(&guest));
	(void)peer_expect(&home, WIRE_OFFER, &heard);
	world_check(heard.offer.kind == WIRE_OFFER_PUBLIC && heard.offer.from.len == 0, "messages",
		    "a public offer is another");
	world_check(is_address_of(heard.offer.source, &guest, false), "messages",
		    "a public offer has another address");
	peers_end();
}

/* ---- idle ---- */

static void scene_idle_legs_follow_their_link(void)
{
	bool sizes[WIRE_PAD_MAX + 1] = {false};
	struct wire_bytes pad;
	unsigned different = 0;

	peers_begin("");
	peers_two_agents();
	(void)peer_leg(&asking, relay_host, &laptop);
	for (uint64_t i = 0; i < 30; i++) {
		peer_say(&laptop, &(struct wire_message){.type = WIRE_PING, .ping.token = i});
		if (peer_expect(&laptop, WIRE_PONG, &heard))
			world_check(heard.pong.token == i, "messages",
				    "PING is answered otherwise");
		if (wire_extension_get(&heard, WIRE_EXTENSION_PAD, &pad) &&
		    pad.len <= WIRE_PAD_MAX) {
			different += !sizes[pad.len];
			sizes[pad.len] = true;
		}
		world_run(10 * SECOND);
	}
	world_check(different > 10, "sizes", "30 PONGs have %u sizes", different);
	peers_expect_still_there(&asking, "an idle leg of a live link ends");
	peers_expect_still_there(&laptop, "a link that speaks ends");
	world_check(peer_gone(&home, SECOND), "ends", "a silent link stays");
	peer_close(&laptop, false);
	world_run(60 * SECOND);
	(void)peer_expect_bye(&asking, REASON_LINK_GONE);
	peers_end();
}

static const peers_scene scenes[] = {
	scene_a_leg_needs_its_proof,
	scene_an_offer_is_its_publishers,
	scene_nothing_may_follow_open,
	scene_an_offer_has_a_deadline,
	scene_an_asker_that_leaves_is_found_out,
	scene_a_publisher_that_leaves_is_told,
	scene_go_and_gone,
	scene_go_and_gone,
	scene_answers_at_the_last_moment,
	scene_legs_and_sessions_have_limits,
	scene_a_leg_that_does_not_read,
	scene_a_leg_says_bye,
	scene_an_extension_that_must_be_known,
	scene_a_refusal_says_why,
	scene_an_offer_names_its_asker,
	scene_idle_legs_follow_their_link,
};

void world_peers_leg(void)
{
	peers_play(scenes, sizeof(scenes) / sizeof(scenes[0]));
}
