/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay_by_hand_world: an agent at relays that are played by hand: who are another, say nothing,
 * say too much or the wrong thing, do not read, or lose a leg at the wrong moment; and behind an
 * HTTP proxy.
 *
 * Each scene starts the agent anew. It publishes talk, and its port 800 leads to laptop/talk.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/control/control_internal.h"
#include "agent/relays/channel.h"
#include "agent/relays/leg.h"
#include "tests/support/signed.h"
#include "tests/world/peer.h"
#include "tests/world/people.h"
#include "tests/world/store.h"
#include "tests/world/worlds.h"

#define LINK	  7u
#define LEGS_MOST 8u
#define PROXY	  3128u

static struct k_host *relay_host, *home_host;
static struct world_agent home;
static struct people at_home;
static struct peer door, proxy_door, proxy; /* the first two listen */
static struct peer the_link, legs[LEGS_MOST];
static bool leg_silent; /* says no READY */
static struct wire_message m;

/* ---- the relay ---- */

static bool on_epoll; /* the agent */

static void agent_file(char config[1024], const char *publish, const char *more)
{
	snprintf(config, 1024,
		 "relays:\n  - address: relay-a:443\n%s"
		 "forward:\n  - listen: 127.0.0.1:800\n    to: laptop/talk\nengine: %s\n%s",
		 publish, on_epoll ? "epoll" : "io_uring", more);
}

static void agent_comes(const char *more)
{
	char config[1024];

	on_epoll = !dice_chance(&world_dice, 500);
	agent_file(config, "publish:\n  - service: talk\n    target: 127.0.0.1:700\n", more);
	world_agent_start(&home, HOME, home_host, config);
}

static void agent_publishes_nothing_more(void)
{
	char config[1024];

	agent_file(config, "", "");
	world_agent_write(&home, config);
	k_signal(home.program, SIGHUP);
}

static bool taken(void *peer)
{
	return peer_take(peer, &door, true);
}

/* A connection comes, and its first message is this one. */
static bool comes_with(struct peer *p, enum wire_type type)
{
	/* One that the agent gave up before it was taken says nothing. */
	do {
		if (!world_check(world_until(taken, p, 60 * SECOND), "links",
				 "the agent does not dial"))
			return false;
	} while (!peer_has(p, 1, 10 * SECOND) && (p->eof || p->reset));
	return peer_expect(p, type, &m);
}

static void say_welcome(struct peer *to, uint16_t max_legs)
{
	struct wire_message w = {.type = WIRE_WELCOME};

	w.welcome.relay = wire_text("by hand");
	w.welcome.your_address = wire_text("10.0.0.2:40000");
	w.welcome.link = LINK;
	memset(w.welcome.leg_secret, 0x5a, sizeof(w.welcome.leg_secret));
	w.welcome.ping_interval_s = 15;
	w.welcome.max_legs = max_legs;
	w.welcome.max_sessions = 100;
	peer_say(to, &w);
}

static void welcome(uint16_t max_legs)
{
	struct wire_message published = {.type = WIRE_PUBLISHED, .published.count = 1};

	leg_silent = false;
	if (!comes_with(&the_link, WIRE_HELLO))
		return;
	world_check(wire_bytes_equal(m.hello.agent, wire_text("home")), "messages",
		    "another agent says HELLO");
	say_welcome(&the_link, max_legs);
	if (peer_expect(&the_link, WIRE_PUBLISH, &m))
		world_check(m.publish.count == 1, "messages", "%zu services are published",
			    m.publish.count);
	peer_say(&the_link, &published);
}

static void check_proof(struct peer *p)
{
	uint8_t exported[TLS_EXPORT_BYTES], secret[WIRE_SECRET_BYTES], proof[WIRE_SECRET_BYTES];

	memset(secret, 0x5a, sizeof(secret));
	if (!tls_export(p->tls, TLS_EXPORT_LEG, exported))
		world_broken("a relay cannot export");
	identity_leg_proof(secret, exported, proof);
	world_check(m.leg.link == LINK && memcmp(m.leg.proof, proof, sizeof(proof)) == 0,
		    "messages", "a leg does not prove whose it is");
}

/* Legs that come are made warm. True: one of them has a message of this type, in m. */
struct awaited {
	enum wire_type type;
	struct peer *leg;
};

static bool legs_turn(void *context)
{
	static const struct wire_message ready = {.type = WIRE_READY};
	struct awaited *a = context;

	for (unsigned i = 0; i < LEGS_MOST; i++)
		if (legs[i].fd < 0 || legs[i].eof || legs[i].reset)
			(void)peer_take(&legs[i], &door, true);
	for (unsigned i = 0; i < LEGS_MOST; i++) {
		if (legs[i].fd < 0 || legs[i].raw || !peer_hear(&legs[i], &m, 0))
			continue;
		if (m.type == a->type) {
			a->leg = &legs[i];
			return true;
		}
		/* An open that has waited for 2 s is said once more, on a fresh leg. */
		if (m.type == WIRE_OPEN)
			continue;
		world_check(m.type == WIRE_LEG, "messages", "a leg says %s",
			    wire_type_name(m.type));
		check_proof(&legs[i]);
		if (!leg_silent)
			peer_say(&legs[i], &ready);
	}
	return false;
}

static struct peer *leg_with(enum wire_type type)
{
	struct awaited a = {.type = type};

	world_check(world_until(legs_turn, &a, 30 * SECOND), "messages", "no leg says %s",
		    wire_type_name(type));
	return a.leg;
}

static void legs_run(uint64_t us)
{
	struct awaited none = {.type = WIRE_REQUEST}; /* no leg says that */

	(void)world_until(legs_turn, &none, us);
}

/* It lives, for so long: its link answers. */
static void live_on(uint64_t us, void (*meanwhile)(uint64_t us))
{
	struct wire_message pong = {.type = WIRE_PONG};

	for (uint64_t passed = 0; passed < us; passed += 200 * MS) {
		meanwhile(200 * MS);
		while (peer_hear(&the_link, &m, 0)) {
			pong.pong.token = m.ping.token;
			if (m.type == WIRE_PING)
				peer_say(&the_link, &pong);
		}
	}
}

static unsigned legs_there(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < LEGS_MOST; i++)
		n += legs[i].fd >= 0 && !peer_gone(&legs[i], 0);
	return n;
}

static void leave(void)
{
	world_agent_stop(&home);
	for (unsigned i = 0; i < LEGS_MOST; i++)
		peer_close(&legs[i], false);
	peer_close(&the_link, false);
	world_run(SECOND);
	while (peer_take(&the_link, &door, false))
		peer_close(&the_link, false);
}

/* ---- what the agent is asked for ---- */

static struct talk *asks(void)
{
	const struct addr to = k_address("127.0.0.1", 800);
	struct talk *t = talk_plan(&world_dice, 1);

	for (unsigned i = 0; i < 2; i++)
		t->side[i].plan = (struct talk_plan){.bytes = 1, .write_most = 9, .read_most = 9};
	t->disturbed = true;
	talk_start(t, &at_home, &to);
	return t;
}

/* What was said to the agent leaves meanwhile. */
static void work_on(void)
{
	(void)peer_gone(&the_link, 0);
	for (unsigned i = 0; i < LEGS_MOST; i++)
		(void)peer_gone(&legs[i], 0);
}

static bool is_over(void *talk)
{
	work_on();
	return talk_over(talk);
}

/* Of three. */
struct turns {
	struct talk *t[3];
	unsigned over;
};

static bool are_over(void *context)
{
	struct turns *w = context;

	work_on();
	return talk_over(w->t[0]) + talk_over(w->t[1]) + talk_over(w->t[2]) == (int)w->over;
}

static void check_over(struct talk *t, uint64_t within_us, const char *what)
{
	world_check(world_until(is_over, t, within_us), "ends", "%s, and talk %u waits", what,
		    t->id);
	world_check(!t->side[0].eof, "cut-for-end", "%s, and talk %u sees an end", what, t->id);
}

static void say_fail(struct peer *leg)
{
	const struct wire_message fail = {.type = WIRE_FAIL,
					  .fail = {REASON_NOT_ALLOWED, wire_text("no")}};

	peer_say(leg, &fail);
}

static void say_go(struct peer *leg, uint64_t session)
{
	const struct wire_message go = {.type = WIRE_GO, .go.session = session};

	peer_say(leg, &go);
}

static void offer(const char *service, uint64_t session)
{
	struct wire_message o = {.type = WIRE_OFFER};

	o.offer.session = session;
	o.offer.from = wire_text("laptop");
	o.offer.service = wire_text(service);
	o.offer.source = wire_text("10.0.0.9:40000");
	o.offer.local = wire_text("10.0.0.1:443");
	peer_say(&the_link, &o);
}

/* ---- a relay of many words ---- */

/* Whether the agent's newest refusal is on record with what was said. */
static bool refusal_is_told(void)
{
	const struct records *events = &home.agent.control->events;
	bool told = false;

	for (uint64_t n = 1; n <= events->count; n++) {
		const json_t *e = events->kept[n % RECORDS_KEPT];
		const char *kind = json_string_value(json_object_get(e, "kind"));

		if (kind && strcmp(kind, "session.refused") == 0)
			told = json_is_string(json_object_get(e, "text"));
	}
	return told;
}

/* It lets no agent in, and says so in as many characters of two bytes as a message holds. */
static void scene_a_relay_of_many_words(void)
{
	for (size_t shift = 0; shift < 2; shift++) {
		struct wire_message bye = {.type = WIRE_BYE};
		char words[WIRE_TEXT_MAX + 1];
		struct talk *t;

		memset(words, 'x', shift);
		for (size_t i = shift; i + 2 <= WIRE_TEXT_MAX; i += 2)
			memcpy(words + i, "\xc3\xa9", 2);
		words[shift + (WIRE_TEXT_MAX - shift) / 2 * 2] = '\0';
		bye.bye.reason = REASON_CERT_ROLE;
		bye.bye.text = wire_text(words);
		agent_comes("");
		if (comes_with(&the_link, WIRE_HELLO))
			peer_say(&the_link, &bye);
		(void)peer_gone(&the_link, 5 * SECOND);
		t = asks();
		check_over(t, 5 * SECOND, "the only relay refuses the agent");
		world_check(refusal_is_told(), "told",
			    "what a relay said at length is missing in the agent's events");
		leave();
	}
}

/* ---- legs ---- */

static void scene_a_leg_that_was_refused_is_used_again(void)
{
	struct peer *leg, *first = NULL;

	agent_comes("warm_legs: 1\n");
	welcome(8);
	for (unsigned i = 0; i < 3; i++) {
		struct talk *t;

		legs_run(3 * SECOND);
		t = asks();
		leg = leg_with(WIRE_OPEN);
		first = i == 0 ? leg : first;
		world_check(leg == first, "legs", "a leg was refused, and another one asks");
		if (leg)
			say_fail(leg);
		check_over(t, 2 * SECOND, "the relay refuses");
	}
	world_check(legs_there() <= 2, "legs", "%u legs are there", legs_there());
	leave();
}

/* A NAT may have forgotten a warm leg: the call is made once more, by one that is fresh. */
static void scene_a_leg_that_is_lost(void)
{
	struct talk *t;
	struct peer *leg;

	agent_comes("warm_legs: 1\n");
	welcome(8);
	legs_run(3 * SECOND);
	t = asks();
	for (unsigned i = 0; i < 2; i++) {
		leg = leg_with(WIRE_OPEN);
		world_check(!talk_over(t), "lives-on", "a warm leg is lost, and talk %u with it",
			    t->id);
		if (leg)
			peer_close(leg, true);
	}
	check_over(t, 2 * SECOND, "two legs are lost");
	leave();
}

/* What follows GO would be bytes of the session, and must not be in the outer TLS. */
static void scene_go_and_more(void)
{
	const struct wire_message go = {.type = WIRE_GO, .go.session = 1},
				  pong = {.type = WIRE_PONG};
	struct talk *t;

	agent_comes("warm_legs: 2\n");
	welcome(8);
	legs_run(3 * SECOND);
	t = asks();
	for (unsigned i = 0; i < 2; i++) {
		struct peer *leg = leg_with(WIRE_OPEN);

		if (!leg)
			break;
		peer_frame(leg, &go);
		peer_frame(leg, &pong);
		peer_flush(leg);
		world_check(peer_gone(leg, SECOND) && leg->got_len == 0, "messages",
			    "something stood behind GO, and the leg is used");
	}
	check_over(t, 2 * SECOND, "something stood behind GO twice");
	leave();
}

/* A session that the agent asks for is never one that the relay reads. */
static void scene_a_relay_that_would_read_along(void)
{
	struct wire_message go = {.type = WIRE_GO, .go.session = 1};
	struct talk *t;

	if (!wire_extension_add(&go, WIRE_EXTENSION_OUTER_TLS, wire_text("")))
		world_broken("no room for an extension");
	agent_comes("warm_legs: 2\n");
	welcome(8);
	legs_run(3 * SECOND);
	t = asks();
	for (unsigned i = 0; i < 2; i++) {
		struct peer *leg = leg_with(WIRE_OPEN);

		if (!leg)
			break;
		peer_say(leg, &go);
		world_check(peer_gone(leg, SECOND) && leg->got_len == 0, "messages",
			    "a relay may read what an agent asks for");
	}
	check_over(t, 2 * SECOND, "a relay would read along twice");
	leave();
}

static void scene_go_for_another_offer(void)
{
	struct peer *leg;

	agent_comes("");
	welcome(8);
	legs_run(3 * SECOND);
	offer("print", 4);
	if (peer_expect(&the_link, WIRE_REFUSE, &m))
		world_check(m.refuse.session == 4 && m.refuse.reason == REASON_SERVICE_UNKNOWN,
			    "messages", "what is not published is refused for %s",
			    reason_name(m.refuse.reason));
	/* The right one first: of who then says nothing, the session ends, too. */
	for (uint64_t session = 5; session < 8; session++) {
		if (session < 7)
			offer("talk", 5);
		leg = leg_with(WIRE_ACCEPT);
		if (!leg)
			break;
		world_check(m.accept.session == 5, "messages", "another offer is accepted");
		say_go(leg, session);
		leg->raw = session == 5;
		world_check(peer_gone(leg, 2 * SECOND) == (session > 5), "messages",
			    "GO of session %u for an offer of session 5", (unsigned)session);
		if (session > 5)
			continue;
		live_on(15 * SECOND, world_run);
		world_check(peer_gone(leg, 0), "ends",
			    "an agent that asks and says nothing is kept");
	}
	world_run(2 * SECOND);
	world_check(home.agent.sessions.count == 0, "ends", "%zu offers are kept",
		    home.agent.sessions.count);
	leave();
}

static void say_ended(uint64_t session, const char *cause)
{
	const struct wire_message ended = {.type = WIRE_ENDED,
					   .ended = {.session = session,
						     .cause = wire_text(cause),
						     .text = wire_text("the relay says so")}};

	peer_say(&the_link, &ended);
}

/* The agent's word of session 5. */
static void expect_ended(char cause)
{
	while (peer_hear(&the_link, &m, SECOND) && m.type != WIRE_ENDED)
		;
	world_check(m.type == WIRE_ENDED && m.ended.session == 5 && m.ended.cause.len == 1 &&
			    m.ended.cause.data[0] == (uint8_t)cause && m.ended.text.len == 0,
		    "reason", "an agent does not say why it ends a session");
}

/* What the agent ends it says on its link, and leaves the reset of the leg to the relay, which may
 * be slow: for half a second, and not for one that never does it. What a relay says of sessions
 * that are none of its, or for no cause that is known, ends nothing. */
static void scene_the_word_is_before_the_reset(void)
{
	bool slow = dice_chance(&world_dice, 500);
	struct peer *leg;

	agent_comes("");
	welcome(8);
	legs_run(3 * SECOND);
	offer("talk", 5);
	leg = leg_with(WIRE_ACCEPT);
	if (!leg)
		return;
	say_go(leg, 5);
	leg->raw = true;
	say_ended(6, "N");
	say_ended(0, "N");
	say_ended(5, "?");
	world_run(SECOND);
	world_check(!peer_gone(leg, 0) && home.agent.sessions.count == 1, "goes-on",
		    "ENDED of another session, or for no cause, ends one");
	agent_publishes_nothing_more();
	expect_ended('Y');
	world_check(!peer_gone(leg, 250 * MS), "reason", "the reset is as fast as the word");
	if (slow) {
		world_check(peer_gone(leg, 500 * MS) && leg->reset, "ends",
			    "a relay that has heard the word keeps the leg");
	} else {
		peer_close(leg, true);
		world_run(150 * MS); /* there, by the longest cable */
	}
	world_run(10 * MS);
	world_check(home.agent.sessions.count == 0, "ends", "a session that was ended is kept");
	leave();
}

/* It has ten seconds, and the link is asked whether the relay lives. */
static void scene_a_leg_that_is_not_answered(void)
{
	unsigned before;

	agent_comes("warm_legs: 2\n");
	welcome(8);
	leg_silent = true;
	legs_run(5 * SECOND);
	before = legs_there();
	world_check(before == 2, "legs", "two legs shall be warm, and %u come", before);
	live_on(LEG_READY_MS * MS - 3 * SECOND, world_run);
	world_check(legs_there() == 0, "ends", "a leg waits for READY for more than %u ms",
		    LEG_READY_MS);
	leg_silent = false;
	live_on(20 * SECOND, legs_run);
	world_check(legs_there() == 2, "legs", "legs come again, and they are %u", legs_there());
	leave();
}

static void scene_a_warm_leg_says_something(void)
{
	const struct wire_message pong = {.type = WIRE_PONG};

	agent_comes("warm_legs: 1\n");
	welcome(8);
	legs_run(3 * SECOND);
	peer_say(&legs[0], &pong);
	world_check(peer_gone(&legs[0], SECOND), "messages", "a warm leg may say what it likes");
	leave();
}

/* One leg may be, so calls wait for their turn, and those that have waited too long leave. */
static void scene_one_leg_for_all(void)
{
	struct turns w = {.over = 0};
	struct peer *leg;
	struct talk *t;

	agent_comes("warm_legs: 3\n");
	welcome(1);
	legs_run(5 * SECOND);
	world_check(legs_there() == 1, "legs", "one leg may be, and there are %u", legs_there());
	for (unsigned i = 0; i < 3; i++)
		w.t[i] = asks();
	while (++w.over <= 3) {
		leg = leg_with(WIRE_OPEN);
		world_check(legs_there() == 1, "legs", "one leg may be, and there are %u",
			    legs_there());
		if (leg)
			say_fail(leg);
		world_check(world_until(are_over, &w, 2 * SECOND), "legs",
			    "one call after the other, and %u are not over", w.over);
	}
	for (unsigned i = 0; i < 3; i++)
		w.t[i] = asks();
	(void)leg_with(WIRE_OPEN);	/* on a leg that was warm, */
	(void)leg_with(WIRE_OPEN);	/* and on a fresh one, since that one is silent */
	live_on(16 * SECOND, legs_run); /* open */
	for (unsigned i = 0; i < 3; i++)
		check_over(w.t[i], SECOND, "nobody answers");
	t = asks();
	leg = leg_with(WIRE_OPEN);
	if (leg)
		say_fail(leg);
	check_over(t, 2 * SECOND, "the relay refuses");
	leave();
}

/* ---- the link ---- */

static void ping(uint64_t token)
{
	const struct wire_message p = {.type = WIRE_PING, .ping.token = token};

	peer_frame(&the_link, &p);
}

/* All of these, in order. */
static void expect_pongs(uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		if (!peer_expect(&the_link, WIRE_PONG, &m) ||
		    !world_check(m.pong.token == i, "messages", "PONG has another token"))
			break;
}

/* A message in several records, and several messages in one. */
static void scene_messages_in_pieces(void)
{
	agent_comes("");
	welcome(8);
	legs_run(SECOND);
	ping(1);
	for (size_t i = 0; i < the_link.frame_len; i++) {
		peer_write(&the_link, the_link.frame + i, 1);
		world_run(dice_below(&world_dice, 100 * MS));
	}
	the_link.frame_len = 0;
	expect_pongs(1, 2);
	for (uint64_t i = 2; i < 50; i++)
		ping(i);
	peer_flush(&the_link);
	expect_pongs(2, 50);
	leave();
}

static void scene_messages_that_are_none(void)
{
	static const struct {
		uint8_t frame[6];
		size_t len;
		enum reason reason;
	} wrong[] = {
		{{WIRE_VERSION, 0x7f, 0, 0}, 4, REASON_PROTOCOL},
		{{WIRE_VERSION, WIRE_PING, 0, 1, 0}, 5, REASON_PROTOCOL},
		{{WIRE_VERSION + 1, WIRE_PING, 0, 1, 0}, 5, REASON_VERSION},
		{{WIRE_VERSION, WIRE_READY, 0, 0}, 4, REASON_PROTOCOL},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		agent_comes("");
		welcome(8);
		legs_run(SECOND);
		peer_write(&the_link, wrong[i].frame, wrong[i].len);
		(void)peer_expect_bye(&the_link, wrong[i].reason);
		world_run(SECOND);
		world_check(legs_there() == 0, "ends", "the link is gone, and %u legs stay",
			    legs_there());
		leave();
	}
}

/* ---- idle for hours ---- */

struct idle {
	uint64_t ping_us;			     /* of the last one */
	uint64_t born[LEGS_MOST], shortest, longest; /* of legs, us; born 0: none is there */
	bool sizes[WIRE_PAD_MAX + 1];
	unsigned pings, renewed, different, fewest;
};

static void note_ping(struct idle *w)
{
	struct wire_message pong = {.type = WIRE_PONG, .pong.token = m.ping.token};
	uint64_t gap_us = k_now_us - w->ping_us;
	struct wire_bytes pad;

	if (w->ping_us)
		world_check(gap_us > 11 * SECOND && gap_us < 19 * SECOND, "messages",
			    "of a ping interval of 15 s, %u ms pass", (unsigned)(gap_us / 1000));
	w->ping_us = k_now_us;
	w->pings++;
	if (wire_extension_get(&m, WIRE_EXTENSION_PAD, &pad) && pad.len <= WIRE_PAD_MAX) {
		w->different += !w->sizes[pad.len];
		w->sizes[pad.len] = true;
	}
	peer_say(&the_link, &pong);
}

static void note_legs(struct idle *w)
{
	unsigned there = 0;

	for (unsigned i = 0; i < LEGS_MOST; i++) {
		bool is = legs[i].fd >= 0 && !legs[i].eof && !legs[i].reset;
		uint64_t age = k_now_us - w->born[i];

		there += is;
		if (is && !w->born[i])
			w->born[i] = k_now_us;
		if (is || !w->born[i])
			continue;
		w->born[i] = 0;
		w->renewed++;
		w->shortest = age < w->shortest ? age : w->shortest;
		w->longest = age > w->longest ? age : w->longest;
	}
	w->fewest = there < w->fewest ? there : w->fewest;
}

static bool idles(void *context)
{
	struct awaited none = {.type = WIRE_REQUEST};
	struct idle *w = context;

	note_legs(w); /* before the place of one that left is taken */
	(void)legs_turn(&none);
	while (peer_hear(&the_link, &m, 0))
		if (m.type == WIRE_PING)
			note_ping(w);
	return false;
}

/* No clock can be read off its keep-alives, and its legs come and go each at its own time. */
static void scene_an_idle_agent_has_no_beat(void)
{
	struct idle w = {.shortest = UINT64_MAX, .fewest = UINT32_MAX};

	agent_comes("warm_legs: 3\n");
	welcome(8);
	legs_run(5 * SECOND);
	(void)world_until(idles, &w, UINT64_C(7200) * SECOND);
	world_check(w.pings > 7200 / 19 && w.different > WIRE_PAD_MAX / 2, "messages",
		    "%u PINGs have %u sizes", w.pings, w.different);
	world_check(w.fewest >= 3, "legs", "of 3 warm legs %u were there", w.fewest);
	world_check(w.renewed >= 9 && w.shortest > 595 * SECOND && w.longest < 1830 * SECOND,
		    "legs", "%u legs were renewed, after %u to %u s", w.renewed,
		    (unsigned)(w.shortest / SECOND), (unsigned)(w.longest / SECOND));
	world_check(w.longest - w.shortest > 60 * SECOND, "legs",
		    "legs were renewed, all after %u s", (unsigned)(w.longest / SECOND));
	leave();
}

/* Where the relay has no place for one more, the old leg goes first. */
static void scene_legs_are_renewed_without_a_place(void)
{
	struct idle w = {.shortest = UINT64_MAX, .fewest = UINT32_MAX};

	agent_comes("warm_legs: 3\n");
	welcome(3);
	legs_run(5 * SECOND);
	(void)world_until(idles, &w, UINT64_C(7200) * SECOND);
	world_check(w.renewed >= 9 && w.longest < 1830 * SECOND && w.fewest >= 1, "legs",
		    "%u legs were renewed, the last after %u s, and %u stayed", w.renewed,
		    (unsigned)(w.longest / SECOND), w.fewest);
	leave();
}

/* What it asks for does not pile up, and it is no stranger for that. */
static void flood(bool agent_leaves)
{
	const unsigned count = 12000;
	size_t before;

	agent_comes("");
	welcome(8);
	legs_run(3 * SECOND);
	before = home.program->memory_bytes;
	home.program->memory_most = before;
	the_link.mute = true;
	for (uint64_t i = 0; i < count; i++) {
		ping(i);
		if (i % 200 == 199)
			peer_flush(&the_link);
	}
	peer_flush(&the_link);
	for (unsigned i = 0; i < 100; i++) {
		world_run(50 * MS);
		peer_flush(&the_link);
	}
	world_check(home.program->memory_most < before + 3 * CHANNEL_OUTPUT_MAX, "output-bounded",
		    "a relay that does not read made the agent keep %zu bytes",
		    home.program->memory_most - before);
	world_check(!the_link.eof && !the_link.reset && world_agent_linked(&home), "lives-on",
		    "a relay that asks much and reads late has lost its link");
	the_link.mute = agent_leaves; /* nor does it hear that the agent goes */
	if (!agent_leaves)
		expect_pongs(0, count);
	leave();
}

static void scene_a_relay_that_asks_and_does_not_read(void)
{
	flood(false);
	flood(true);
}

/* The same of what the agent says by itself: 128 services, again and again. */
static void scene_a_relay_that_does_not_read(void)
{
	static char text[2][32768];
	size_t before, len[2];

	for (unsigned k = 0; k < 2; k++) {
		len[k] = (size_t)snprintf(text[k], sizeof(text[k]),
					  "relays:\n  - address: relay-a:443\npublish:\n");
		for (unsigned i = 0; i < WIRE_SERVICES_MAX; i++)
			len[k] += (size_t)snprintf(
				text[k] + len[k], sizeof(text[k]) - len[k],
				"  - service: %060u-%u\n    target: 127.0.0.1:700\n", i, k);
	}
	agent_comes("");
	welcome(8);
	legs_run(3 * SECOND);
	before = home.program->memory_bytes;
	the_link.mute = true;
	for (unsigned i = 0; i < 80 && world_agent_linked(&home); i++) {
		world_agent_write(&home, text[i % 2]);
		k_signal(home.program, SIGHUP);
		world_run(20 * MS);
	}
	world_check(!world_agent_linked(&home), "output-bounded",
		    "a relay that reads nothing made the agent keep %zu bytes",
		    home.program->memory_bytes - before);
	the_link.mute = false;
	world_check(peer_gone(&the_link, 5 * SECOND), "ends",
		    "the link is lost, and still connected");
	leave();
}

/* Calls wait for a link, and go on by the next one. */
static void scene_a_link_that_is_lost(void)
{
	struct peer *leg;
	struct talk *t;

	agent_comes("");
	welcome(8);
	legs_run(3 * SECOND);
	t = asks();
	(void)leg_with(WIRE_OPEN);
	peer_close(&the_link, dice_chance(&world_dice, 500));
	world_run(500 * MS);
	world_check(legs_there() == 0 && !world_agent_linked(&home), "ends",
		    "the link is gone, and %u legs stay", legs_there());
	world_check(!talk_over(t), "lives-on", "a call does not wait for another link");
	welcome(8);
	leg = leg_with(WIRE_OPEN);
	if (leg)
		say_fail(leg);
	check_over(t, 2 * SECOND, "the relay refuses");
	world_agent_stop(&home);
	(void)peer_expect_bye(&the_link, REASON_SHUTDOWN);
	leave();
}

/* A part of a list with this name; NULL: with none. */
static void say_revoked(uint8_t flags, const char *name)
{
	struct wire_message r = {.type = WIRE_REVOKED};

	r.revoked.flags = flags;
	r.revoked.count = name ? 1 : 0;
	if (name)
		r.revoked.items[0] =
			(struct wire_revocation){WIRE_REVOKED_NAME, wire_text(name), 0};
	peer_say(&the_link, &r);
	legs_run(SECOND);
}

static void check_not_asked(const char *why)
{
	check_over(asks(), SECOND, why); /* an asker waits longer for a relay */
}

static void check_asked(void)
{
	struct talk *t = asks();
	struct peer *leg = leg_with(WIRE_OPEN);

	if (leg)
		say_fail(leg);
	check_over(t, 2 * SECOND, "the relay refuses");
}

static const struct agent_links_events *agents_own;
static unsigned looks;

static void links_told_of_revocations(struct agent_links *set)
{
	looks++;
	agents_own->revoked(set);
}

/* Its sessions are asked about again, by itself, with each list that says something else. */
static void check_looks(unsigned count, const char *when)
{
	world_check(looks == count, "revoked", "%u looks at the sessions where %u are due: %s",
		    looks, count, when);
}

static void revoke_laptop(bool link_is_lost)
{
	const uint8_t whole = WIRE_REVOKED_FIRST | WIRE_REVOKED_LAST;
	struct agent_links_events counting;

	agent_comes("");
	agents_own = home.agent.links.events;
	counting = *agents_own;
	counting.revoked = links_told_of_revocations;
	home.agent.links.events = &counting;
	looks = 0;
	welcome(8);
	legs_run(3 * SECOND);
	say_revoked(WIRE_REVOKED_FIRST, "laptop");
	check_asked(); /* the list is not whole */
	check_looks(0, "half a list");
	say_revoked(WIRE_REVOKED_LAST, "eve");
	check_not_asked("laptop is revoked");
	check_looks(1, "two are revoked");
	/* Another list is on its way, and what was told holds as long: also without the link. */
	say_revoked(WIRE_REVOKED_FIRST, NULL);
	check_not_asked("laptop is revoked while another list comes");
	if (link_is_lost) {
		peer_close(&the_link, false);
		world_run(SECOND);
		welcome(8);
		legs_run(3 * SECOND);
		say_revoked(WIRE_REVOKED_LAST, NULL); /* of a list that this link did not begin */
		check_not_asked("laptop is revoked until a list says otherwise");
		say_revoked(whole, NULL);
	} else {
		say_revoked(WIRE_REVOKED_LAST, "eve");
	}
	check_asked(); /* it is revoked no more */
	check_looks(2, "another list");
	say_revoked(whole, link_is_lost ? NULL : "eve");
	check_looks(2, "the same list again");
	home.agent.links.events = agents_own;
	leave();
}

static void scene_who_is_revoked_is_not_asked(void)
{
	revoke_laptop(false);
	revoke_laptop(true);
}

/* ---- what is signed ---- */

static void say_object(const uint8_t *object, size_t len)
{
	struct wire_message r = {.type = WIRE_SIGNED};

	r.signed_revocation.object = (struct wire_bytes){object, len};
	peer_say(&the_link, &r);
}

/* Each scene has a subject of its own: what is learned is kept from one to the next. */
static const char *subject;

/* Of it, by this signer. */
static void say_signed(enum who by, enum revocation_verb verb, uint64_t counter, uint64_t issued)
{
	const struct signed_revocation r = {
		.verb = verb, .value = wire_text(subject), .counter = counter, .issued = issued};
	uint8_t object[REVOCATION_MAX];
	char why[256];
	struct identity *signer = identity_new(world_ca.pem, world_pairs[by].certificate,
					       world_pairs[by].key, time(NULL), why, sizeof(why));

	if (!signer)
		world_broken("a signer: %s", why);
	say_object(object, signed_make(signer, &r, object));
	identity_free(signer);
	legs_run(SECOND);
}

static void check_signed(bool is_revoked, const char *when)
{
	struct identity_peer peer = {.role = IDENTITY_AGENT};

	snprintf(peer.name, sizeof(peer.name), "%s", subject);
	world_check(revocations_cover(agent_links_revoked(&home.agent.links, "relay-a:443"),
				      &peer) == is_revoked,
		    "revoked", "%s is %srevoked %s", subject, is_revoked ? "not " : "", when);
}

static void comes_up(void)
{
	agent_comes("");
	welcome(8);
	legs_run(3 * SECOND);
}

/* A relay that lies: it can keep back what is signed, and repeat it, and do no more. */
static void scene_what_is_signed_is_not_the_relays(void)
{
	uint64_t now = (uint64_t)time(NULL), first = now * 1000;

	subject = "eve";
	comes_up();
	say_signed(HOME, REVOCATION_REVOKE, first, now);
	check_signed(false, "when an agent has signed");
	say_signed(ADMIN, REVOCATION_REVOKE, first, now);
	check_signed(true, "when a console has");
	say_revoked(WIRE_REVOKED_FIRST | WIRE_REVOKED_LAST, NULL);
	check_signed(true, "when the relay revokes nothing by its word");
	say_signed(HOME, REVOCATION_TAKE_BACK, first + 1, now);
	check_signed(true, "when an agent takes it back");
	say_signed(ADMIN, REVOCATION_TAKE_BACK, first + 2, now);
	check_signed(false, "when a console takes it back");
	say_signed(ADMIN, REVOCATION_REVOKE, first, now);
	say_signed(ADMIN, REVOCATION_REVOKE, first + 1, now);
	check_signed(false, "when an older one is told again");
	leave();
	comes_up();
	say_signed(ADMIN, REVOCATION_REVOKE, first + 1, now);
	check_signed(false, "when an older one is told after a restart");
	say_signed(ADMIN, REVOCATION_REVOKE, first + 3, now);
	check_signed(true, "when a newer one is told");
	leave();
	comes_up();
	check_signed(true, "after a restart");
	leave();
	world_agent_start(&home, HOME, home_host, NULL);
	check_signed(true, "before any relay has said a word");
	leave();
}

/* Some clock is wrong: up to an hour does no harm, and more does not last. */
static void scene_a_console_ahead_of_its_time(void)
{
	uint64_t now = (uint64_t)time(NULL), hours = now + 2 * 3600;

	subject = "adam";
	comes_up();
	say_signed(ADMIN, REVOCATION_REVOKE, 0, hours);
	check_signed(false, "that comes from the future");
	say_signed(ADMIN, REVOCATION_REVOKE, 0, now + 1800);
	check_signed(true, "that is half an hour ahead");
	k_realtime_offset_us += 7200 * (int64_t)SECOND;
	say_signed(ADMIN, REVOCATION_TAKE_BACK, 0, hours);
	check_signed(false, "when the time has come");
	k_realtime_offset_us -= 7200 * (int64_t)SECOND;
	leave();
}

/* One that tells rubbish is listened to so long; what it tells at the last moment is kept. */
static void scene_a_relay_that_signs_without_end(void)
{
	uint64_t now = (uint64_t)time(NULL);

	subject = "cain";
	comes_up();
	for (unsigned i = 0; i < REVOCATIONS_SIGNED_MAX; i++)
		say_object((const uint8_t *)"rubbish", 7);
	legs_run(SECOND);
	say_signed(ADMIN, REVOCATION_REVOKE, 0, now);
	check_signed(false, "behind so much rubbish");
	world_check(home.agent.links.signed_refused == REVOCATIONS_SIGNED_MAX, "bounded",
		    "%llu signed revocations are counted as refused",
		    (unsigned long long)home.agent.links.signed_refused);
	peer_close(&the_link, false);
	world_run(SECOND);
	welcome(8);
	legs_run(3 * SECOND);
	say_object((const uint8_t *)"rubbish", 7);
	say_signed(ADMIN, REVOCATION_REVOKE, 0, now);
	check_signed(true, "when the link has come up again");
	say_signed(ADMIN, REVOCATION_TAKE_BACK, 0, now + 1);
	say_object((const uint8_t *)"rubbish", 7);
	check_signed(false, "when it was taken back");
	{
		const struct signed_revocation r = {.value = wire_text(subject), .issued = now + 2};
		uint8_t object[REVOCATION_MAX];

		say_object(object, signed_make_by_ca(&world_ca, &r, object));
		legs_run(100 * MS);
	}
	check_signed(true, "by the CA's own key");
	leave();
	comes_up();
	check_signed(true, "when the agent was stopped at once");
	leave();
}

/* ---- dialling ---- */

/* Another relay of the same CA, at this one's name: the agent leaves before it says who it is. */
static void scene_another_relay(void)
{
	struct peer other;

	peer_start(&other, "other-relay", RELAY_B, relay_host);
	agent_comes("");
	world_check(world_until(taken, &other, 60 * SECOND), "links", "the agent does not dial");
	world_check(!peer_hear(&other, &m, 5 * SECOND) && peer_gone(&other, SECOND), "proof",
		    "an agent signs in at another relay");
	peer_end(&other);
	welcome(8);
	legs_run(SECOND);
	leave();
}

static void keep_the_link(uint64_t us)
{
	uint64_t end = k_now_us + us;

	while (k_now_us < end && peer_hear(&the_link, &m, end - k_now_us)) {
		struct wire_message pong = {.type = WIRE_PONG, .pong.token = m.ping.token};

		if (m.type == WIRE_PING)
			peer_say(&the_link, &pong);
	}
}

/* Its certificate ends, it shows no newer one, and it tells no list, at which the agent would ask.
 */
static void scene_a_relay_that_outlives_its_certificate(void)
{
	struct certs_pair lasting = world_pairs[RELAY_A];

	peer_end(&the_link);
	world_pairs[RELAY_A] = certs_make_pair(&world_ca, IDENTITY_RELAY, "relay-a", -86400, 60);
	peer_start(&the_link, "link", RELAY_A, relay_host);
	agent_comes("");
	welcome(0);
	keep_the_link(50 * SECOND);
	world_check(!peer_gone(&the_link, 0), "goes-on",
		    "the agent leaves a relay before its time");
	world_check(peer_gone(&the_link, 12 * SECOND), "expires",
		    "the agent stays with a relay whose certificate has ended");
	leave();
	peer_end(&the_link);
	certs_free_pair(&world_pairs[RELAY_A]);
	world_pairs[RELAY_A] = lasting;
	peer_start(&the_link, "link", RELAY_A, relay_host);
}

static bool taken_in_clear(void *peer)
{
	return peer_take(peer, &door, false);
}

/* It has ten seconds for the connection and the handshake together. */
static void scene_a_relay_that_says_nothing(void)
{
	agent_comes("");
	world_check(world_until(taken_in_clear, &the_link, 60 * SECOND), "links",
		    "the agent does not dial");
	world_check(!peer_gone(&the_link, 9 * SECOND), "lives-on", "a relay has ten seconds");
	world_check(peer_gone(&the_link, 2 * SECOND), "ends",
		    "a relay that says nothing is waited for");
	welcome(8);
	legs_run(SECOND);
	leave();
}

/* ---- by a proxy ---- */

static bool taken_by_proxy(void *peer)
{
	return peer_take(peer, &proxy_door, false);
}

/* The agent's request, and our answer in pieces; returns whether it goes on with TLS. */
static bool proxied(const char *answer)
{
	static const char request[] = "CONNECT relay-a:443 HTTP/1.1\r\nHost: relay-a:443\r\n"
				      "Proxy-Authorization: Basic bWU6cHc=\r\n\r\n";
	size_t len = strlen(answer), n;

	if (!world_check(world_until(taken_by_proxy, &proxy, 60 * SECOND), "links",
			 "the agent does not dial the proxy"))
		return false;
	world_check(peer_has(&proxy, sizeof(request) - 1, 10 * SECOND) &&
			    proxy.got_len == sizeof(request) - 1 &&
			    memcmp(proxy.got, request, sizeof(request) - 1) == 0,
		    "messages", "the proxy is asked \"%.*s\"", (int)proxy.got_len,
		    (const char *)proxy.got);
	proxy.got_len = 0;
	for (size_t at = 0; at < len; at += n) {
		n = 1 + dice_below(&world_dice, len - at);
		peer_write(&proxy, answer + at, n);
		world_run(dice_below(&world_dice, 100 * MS));
	}
	return peer_has(&proxy, 1, 2 * SECOND);
}

static void scene_a_proxy(void)
{
	static const char *const refusals[] = {
		"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\nand more",
		"SSH-2.0-OpenSSH_9.2\r\n\r\n",
	};

	agent_comes("proxy: http://me:pw@proxy:3128\n");
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		/* What comes behind the head may come after it, and then is no TLS. */
		world_check((!proxied(refusals[i]) || i == 2) && peer_gone(&proxy, SECOND),
			    "messages", "a proxy answers \"%.12s\", and is used", refusals[i]);
	world_check(!proxied("") && !peer_gone(&proxy, 7 * SECOND), "lives-on",
		    "a proxy has ten seconds");
	world_check(peer_gone(&proxy, 3 * SECOND), "ends", "a proxy is waited for");
	world_check(proxied("HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n"),
		    "links", "a proxy connects, and is not used");
	/* From here on it is the relay itself. */
	world_check(proxy.got[0] == 0x16, "messages", "what goes through the proxy is no TLS");
	proxy.tls = tls_new(proxy.front, true);
	proxy.tag_due = true;
	if (!tls_feed(proxy.tls, proxy.got, proxy.got_len))
		world_broken("no memory for a hello");
	proxy.got_len = 0;
	(void)peer_expect(&proxy, WIRE_HELLO, &m);
	say_welcome(&proxy, 0);
	world_run(SECOND);
	world_check(world_agent_linked(&home), "links", "a link through a proxy is not up");
	/* Its file knows of no proxy any more; what runs still leads to one. */
	agent_publishes_nothing_more();
	world_run(SECOND);
	world_check(world_agent_linked(&home) && !home.agent.links.list[0]->reflexive, "messages",
		    "a proxy is asked over STUN as if it were the relay");
	world_agent_stop(&home);
	world_check(peer_gone(&proxy, 2 * SECOND), "ends", "the agent has left, and not the proxy");
	leave();
}

/* ---- the world ---- */

/* ---- a relay that tells without end ---- */

/* And two seconds, in which the relay is heard. */
static void a_minute_passes(void)
{
	for (unsigned i = 0; i < 2; i++) {
		legs_run(31 * SECOND);
		ping(1);
		peer_flush(&the_link);
	}
	legs_run(100 * MS);
}

/* New tag keys, each of which an agent would keep on its disk before it does anything else. */
static void scene_a_relay_of_many_tag_keys(void)
{
	struct wire_message key = {.type = WIRE_TAGKEY};
	unsigned before, done;

	agent_comes("");
	welcome(8);
	legs_run(3 * SECOND);
	before = store_changes();
	for (unsigned i = 0; i < 500; i++) {
		/* The last is that of the network. */
		memset(key.tagkey.key, CERTS_TAG_KEY_BYTE ^ (int)((499 - i) % 100),
		       sizeof(key.tagkey.key));
		peer_say(&the_link, &key);
		legs_run(20 * MS);
	}
	done = store_changes() - before;
	world_check(done > 0, "kept", "a new tag key is not kept");
	world_check(done <= 12, "disk-bounded", "500 tag keys in 10 s are %u changes of the disk",
		    done);
	before = store_changes();
	a_minute_passes();
	world_check(store_changes() > before, "kept", "the last of many tag keys is not kept");
	before = store_changes();
	peer_say(&the_link, &key);
	a_minute_passes();
	world_check(store_changes() == before, "disk-bounded",
		    "a tag key that is known is kept again");
	leave();
}

/* What cannot be kept when it is told, as on a full disk, is kept when there is room. */
static void scene_a_disk_that_is_full_for_a_while(void)
{
	subject = "abel";
	comes_up();
	store_power_goes(0);
	say_signed(ADMIN, REVOCATION_REVOKE, 0, (uint64_t)time(NULL));
	legs_run(10 * SECOND);
	store_power_returns();
	a_minute_passes();
	store_power_goes(0); /* what it does at its end is too late */
	leave();
	store_power_returns();
	comes_up();
	check_signed(true, "though there was no room when it was told");
	leave();
}

/* ---- a relay that offers without end ---- */

#define OFFERS	     300u
#define OFFERS_TAKEN 256u /* of one relay, before a handshake */

/* It has no agent behind its offers. The agent takes so many, refuses the rest with a reason, and
 * is as before when their time is over. */
static void scene_a_relay_that_offers_without_end(void)
{
	unsigned refused = 0;

	agent_comes("open: 5s\n");
	welcome(1);
	for (uint64_t n = 1; n <= OFFERS; n++)
		offer("talk", n);
	while (peer_hear(&the_link, &m, SECOND))
		refused += m.type == WIRE_REFUSE && m.refuse.reason == REASON_LIMIT_SESSIONS;
	world_check(refused == OFFERS - OFFERS_TAKEN, "shared",
		    "of %u offers without an agent %u are refused for their number", OFFERS,
		    refused);
	world_run(10 * SECOND);
	while (peer_hear(&the_link, &m, 0))
		;
	offer("talk", OFFERS + 1);
	world_check(!peer_hear(&the_link, &m, SECOND) || m.type != WIRE_REFUSE, "served",
		    "an agent that had many offers takes none any more");
	leave();
}

#define LEGS_DIALLED 8u /* at a time */

/* Nor does it take a leg: few are on their way, however many offers wait for one. */
static void scene_a_relay_that_takes_no_leg(void)
{
	size_t before;

	agent_comes("warm_legs: 0\n");
	welcome(1000);
	world_run(SECOND);
	before = home.program->open_count;
	for (uint64_t n = 1; n <= 5 * LEGS_DIALLED; n++)
		offer("talk", n);
	for (unsigned i = 0; i < 10; i++) {
		world_run(SECOND / 5);
		(void)peer_gone(&the_link, 0);
	}
	world_check(home.program->open_count == before + LEGS_DIALLED, "shared",
		    "%u offers make an agent dial %zu legs", 5 * LEGS_DIALLED,
		    home.program->open_count - before);
	leave();
}

static void (*const scenes[])(void) = {
	scene_a_relay_that_offers_without_end,
	scene_a_relay_that_takes_no_leg,
	scene_a_leg_that_was_refused_is_used_again,
	scene_a_leg_that_is_lost,
	scene_go_and_more,
	scene_a_relay_that_would_read_along,
	scene_go_for_another_offer,
	scene_the_word_is_before_the_reset,
	scene_a_leg_that_is_not_answered,
	scene_a_warm_leg_says_something,
	scene_one_leg_for_all,
	scene_messages_in_pieces,
	scene_an_idle_agent_has_no_beat,
	scene_legs_are_renewed_without_a_place,
	scene_messages_that_are_none,
	scene_a_relay_that_asks_and_does_not_read,
	scene_a_relay_that_does_not_read,
	scene_a_link_that_is_lost,
	scene_who_is_revoked_is_not_asked,
	scene_what_is_signed_is_not_the_relays,
	scene_a_console_ahead_of_its_time,
	scene_a_relay_that_signs_without_end,
	scene_a_relay_of_many_tag_keys,
	scene_a_disk_that_is_full_for_a_while,
	scene_another_relay,
	scene_a_relay_that_outlives_its_certificate,
	scene_a_relay_that_says_nothing,
	scene_a_relay_of_many_words,
	scene_a_proxy,
};

void world_relay_by_hand(void)
{
	relay_host = k_host_new("relay-a");
	home_host = k_host_new("home");
	k_cable_set(relay_host, home_host, (uint32_t)dice_size(&world_dice, 50000),
		    (uint32_t)dice_size(&world_dice, 5000));
	k_faults.short_io = (unsigned)dice_below(&world_dice, 200);
	names_forget_all();
	names_set("relay-a", k_host_address(relay_host));
	names_set("proxy", k_host_address(relay_host));
	talks_begin();
	people_start(&at_home, "at-home", home_host);
	people_answer(&at_home, 700, NULL);
	peer_start(&door, "door", RELAY_A, relay_host);
	peer_listen(&door, 443);
	peer_start(&proxy_door, "proxy-door", RELAY_A, relay_host);
	peer_listen(&proxy_door, PROXY);
	peer_start(&proxy, "proxy", RELAY_A, relay_host);
	peer_start(&the_link, "link", RELAY_A, relay_host);
	for (unsigned i = 0; i < LEGS_MOST; i++)
		peer_start(&legs[i], "leg", RELAY_A, relay_host);
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		world_tell("---- scene %zu", i);
		scenes[i]();
	}
	for (unsigned i = 0; i < LEGS_MOST; i++)
		peer_end(&legs[i]);
	peer_end(&the_link);
	peer_end(&proxy);
	peer_end(&proxy_door);
	peer_end(&door);
	people_stop(&at_home);
}
