/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers_world: a relay against peers that are played by hand: who claim another's leg, say more
 * than they may, wait for ever, leave at the wrong moment; and changes while they are connected.
 *
 * Each scene has a relay of its own.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "relay/control/control_internal.h"
#include "relay/session/session.h"
#include "tests/world/peer.h"
#include "tests/world/worlds.h"

#define LISTEN "listen:\n  - address: 0.0.0.0:443\n"

static struct world_relay relay;
static struct k_host *relay_host, *host[4];
static struct peer home, laptop, guest, admin; /* links, and a console */
static struct peer asking, accepting;	       /* legs */
static struct wire_message m;

/* ---- a scene ---- */

static void begin(const char *config)
{
	char text[8192];

	snprintf(text, sizeof(text), LISTEN "threads: %llu\nengine: %s\n%s",
		 (unsigned long long)dice_between(&world_dice, 1, 3),
		 dice_chance(&world_dice, 500) ? "io_uring" : "epoll", config);
	world_relay_start(&relay, RELAY_A, relay_host, text);
	peer_start(&home, "home", HOME, host[0]);
	peer_start(&laptop, "laptop", LAPTOP, host[1]);
	peer_start(&guest, "guest", GUEST, host[2]);
	peer_start(&admin, "admin", ADMIN, host[3]);
	peer_start(&asking, "asking-leg", LAPTOP, host[1]);
	peer_start(&accepting, "accepting-leg", HOME, host[0]);
}

static struct relay_totals totals(void)
{
	struct relay_totals t;

	k_enter(relay.program);
	t = relay_totals(&relay.relay);
	k_enter(NULL);
	return t;
}

static void all_leave(void)
{
	struct peer *const all[] = {&home, &laptop, &guest, &admin, &asking, &accepting};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		peer_end(all[i]);
}

static void end(void)
{
	all_leave();
	world_run(120 * SECOND); /* idle legs are looked at every second ping */
	world_relay_check_quiet(&relay);
	world_check(totals().tables.accounts == 0, "accounts", "%llu accounts are left of nobody",
		    (unsigned long long)totals().tables.accounts);
	world_relay_stop(&relay);
}

/* Another configuration of the relay's file, by SIGHUP. */
static void reload(const char *config)
{
	char text[16384];

	snprintf(text, sizeof(text), LISTEN "%s", config);
	world_relay_write(&relay, text);
	k_signal(relay.program, SIGHUP);
	world_run(2 * SECOND);
}

/* home publishes "talk"; laptop is there, too. */
static void two_agents(void)
{
	(void)peer_sign_in(&home, relay_host, 0);
	peer_publish(&home, "talk");
	(void)peer_sign_in(&laptop, relay_host, 0);
}

/* Asked for and offered; returns the offer's number. */
static uint64_t offered(void)
{
	(void)peer_leg(&asking, relay_host, &laptop);
	peer_open(&asking, "home", "talk");
	if (!peer_expect(&home, WIRE_OFFER, &m))
		return 0;
	world_check(wire_bytes_equal(m.offer.from, wire_text("laptop")), "messages",
		    "the offer does not name who asks");
	return m.offer.session;
}

/* A whole session between the two legs. */
static void cut_through(void)
{
	uint64_t session = offered();

	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, session);
	(void)peer_go(&asking);
	(void)peer_go(&accepting);
}

static void expect_fail(struct peer *p, enum reason reason)
{
	if (peer_expect(p, WIRE_FAIL, &m))
		world_check(m.fail.reason == reason, "messages", "%s hears FAIL for %s, not for %s",
			    p->program->name, reason_name(m.fail.reason), reason_name(reason));
}

static void expect_still_there(struct peer *p, const char *what)
{
	world_check(!peer_gone(p, 1), "ends", "%s", what);
}

/* Bytes go through, both ways. */
static void expect_flowing(const char *when)
{
	asking.got_len = accepting.got_len = 0;
	peer_write(&asking, "there", 5);
	peer_write(&accepting, "back", 4);
	(void)peer_has(&asking, 4, SECOND);
	world_check(peer_has(&accepting, 5, 30 * SECOND) && memcmp(accepting.got, "there", 5) == 0,
		    "bytes", "nothing goes up %s", when);
	world_check(peer_has(&asking, 4, 30 * SECOND) && memcmp(asking.got, "back", 4) == 0,
		    "bytes", "nothing comes down %s", when);
}

/* A ClientHello for the public name, by hand. */
static struct tls *say_public_hello(struct peer *p)
{
	static SSL_CTX *context;
	const uint8_t *hello;
	struct tls *t;
	size_t len;

	if (!context)
		context = SSL_CTX_new(TLS_method());
	t = tls_new(context, false);
	if (!SSL_set_tlsext_host_name(tls_ssl(t), "www.example") || tls_handshake(t) != TLS_AGAIN)
		world_broken("no hello can be made");
	hello = tls_output(t, &len);
	peer_write(p, hello, len);
	return t;
}

static struct tls *public_hello(struct peer *p)
{
	world_check(peer_connect(p, relay_host), "links", "a visitor cannot connect");
	return say_public_hello(p);
}

/* ---- who is who ---- */

/* A leg belongs to who knows the link's secret, on the very connection that it was proven for. */
static void scene_a_leg_needs_its_proof(void)
{
	struct peer liar;

	begin("");
	two_agents();
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
	memcpy(accepting.frame, guest.frame, guest.frame_len);
	accepting.frame_len = guest.frame_len;
	peer_flush(&accepting);
	(void)peer_expect_bye(&accepting, REASON_PROOF);
	/* And of no link at all. */
	liar.link++;
	world_check(peer_dial(&accepting, relay_host), "links", "a leg cannot dial");
	peer_frame_leg(&accepting, &liar);
	peer_flush(&accepting);
	(void)peer_expect_bye(&accepting, REASON_LINK_GONE);
	(void)peer_leg(&accepting, relay_host, &home);
	end();
}

/* HELLO is bound to its connection, and to the name that the certificate gives. */
static void scene_a_hello_needs_its_proof(void)
{
	begin("");
	world_check(peer_dial(&guest, relay_host), "links", "guest cannot dial");
	peer_frame_hello(&guest, 0);
	world_check(peer_dial(&home, relay_host), "links", "home cannot dial");
	memcpy(home.frame, guest.frame, guest.frame_len);
	home.frame_len = guest.frame_len;
	peer_flush(&home);
	(void)peer_expect_bye(&home, REASON_PROOF);
	world_check(peer_dial(&guest, relay_host), "links", "guest cannot dial");
	guest.who = LAPTOP; /* the name alone */
	peer_frame_hello(&guest, 0);
	peer_flush(&guest);
	(void)peer_expect_bye(&guest, REASON_CERT_ROLE);
	guest.who = GUEST;
	world_check(peer_dial(&guest, relay_host), "links", "guest cannot dial");
	peer_frame_hello(&guest, WIRE_HELLO_CONSOLE);
	peer_flush(&guest);
	(void)peer_expect_bye(&guest, REASON_CERT_ROLE);
	end();
}

/* An offer is for its publisher to accept or to refuse, and for nobody else. */
static void scene_an_offer_is_its_publishers(void)
{
	const struct wire_message refuse = {.type = WIRE_REFUSE};
	struct wire_message no = refuse;
	uint64_t session;

	begin("");
	two_agents();
	(void)peer_sign_in(&guest, relay_host, 0);
	session = offered();
	(void)peer_leg(&accepting, relay_host, &guest);
	peer_accept(&accepting, session);
	expect_fail(&accepting, REASON_PEER_GONE);
	no.refuse.session = session;
	no.refuse.reason = REASON_NOT_ALLOWED;
	no.refuse.text = wire_text("");
	peer_say(&guest, &no);
	world_run(SECOND);
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, session);
	(void)peer_go(&accepting);
	(void)peer_go(&asking);
	expect_flowing("after another agent's no");
	end();
}

/* ---- what they say ---- */

static void scene_nothing_may_follow_open(void)
{
	struct wire_message open = {.type = WIRE_OPEN}, ping = {.type = WIRE_PING};

	open.open.to = wire_text("home");
	open.open.service = wire_text("talk");
	begin("");
	two_agents();
	(void)peer_leg(&asking, relay_host, &laptop);
	peer_frame(&asking, &open);
	peer_frame(&asking, &ping);
	peer_flush(&asking); /* in one record */
	(void)peer_expect_bye(&asking, REASON_PROTOCOL);
	(void)peer_leg(&asking, relay_host, &laptop);
	peer_say(&asking, &open); /* and in one segment */
	peer_say(&asking, &ping);
	if (peer_hear(&asking, &m, 5 * SECOND))
		world_check(m.type == WIRE_BYE || m.type == WIRE_FAIL, "messages",
			    "what follows OPEN is passed over");
	end();
}

/* What comes together with the first message belongs to what the connection is by then. */
static void scene_messages_that_come_together(void)
{
	struct wire_message publish = {.type = WIRE_PUBLISH, .publish.count = 1},
			    open = {.type = WIRE_OPEN};

	publish.publish.services[0] = wire_text("talk");
	open.open.to = wire_text("home");
	open.open.service = wire_text("talk");
	begin("");
	world_check(peer_dial(&home, relay_host), "links", "home cannot dial");
	peer_frame_hello(&home, 0);
	peer_frame(&home, &publish);
	peer_flush(&home);
	(void)peer_expect(&home, WIRE_WELCOME, &m);
	home.link = m.welcome.link;
	memcpy(home.secret, m.welcome.leg_secret, sizeof(home.secret));
	(void)peer_expect(&home, WIRE_PUBLISHED, &m);
	(void)peer_sign_in(&laptop, relay_host, 0);
	world_check(peer_dial(&asking, relay_host), "links", "a leg cannot dial");
	peer_frame_leg(&asking, &laptop);
	peer_frame(&asking, &open);
	peer_flush(&asking);
	(void)peer_expect(&asking, WIRE_READY, &m);
	(void)peer_expect(&home, WIRE_OFFER, &m);
	end();
}

/* ---- time ---- */

static void scene_an_offer_is_not_waited_for_for_ever(void)
{
	uint64_t session;

	begin("limits:\n  open: 5s\n");
	two_agents();
	session = offered();
	world_run(3 * SECOND);
	world_check(totals().tables.meetings == 1, "accounts", "nobody waits any more");
	expect_fail(&asking, REASON_TIMEOUT);
	world_check(totals().tables.meetings == 0, "accounts", "a meeting outlives its asker");
	/* Too late; and the leg is idle again, and may ask for something else. */
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, session);
	expect_fail(&accepting, REASON_PEER_GONE);
	peer_open(&asking, "nobody", "talk");
	expect_fail(&asking, REASON_AGENT_OFFLINE);
	peer_open(&asking, "home", "other");
	expect_fail(&asking, REASON_SERVICE_UNKNOWN);
	peer_open(&asking, "home", "talk");
	(void)peer_expect(&home, WIRE_OFFER, &m);
	peer_accept(&accepting, m.offer.session);
	(void)peer_go(&accepting);
	(void)peer_go(&asking);
	/* Longer than all that a relay waits for. */
	world_run(300 * SECOND);
	expect_flowing("after five minutes");
	end();
}

/* Nobody looks at an asker while it waits; what comes of it is a session that is half over. */
static void scene_an_asker_that_leaves_is_found_out(void)
{
	uint64_t session;

	begin("");
	two_agents();
	session = offered();
	peer_close(&asking, dice_chance(&world_dice, 500));
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, session);
	world_check(peer_gone(&accepting, 10 * SECOND), "ends", "a session without an asker lives");
	peer_close(&accepting, false);
	world_run(SECOND);
	world_check(totals().tables.meetings == 0 && totals().sessions == 0, "accounts",
		    "of a session without an asker, %llu meetings and %llu sessions are left",
		    (unsigned long long)totals().tables.meetings,
		    (unsigned long long)totals().sessions);
	end();
}

/* A public client hears an alert when time is up, and its meeting is over. */
static void scene_a_public_client_that_waited_in_vain(void)
{
	struct tls *t;
	uint64_t session;

	begin("limits:\n  open: 2s\npublic:\n  - name: www.example\n    to: home/talk\n");
	(void)peer_sign_in(&home, relay_host, 0);
	peer_publish(&home, "talk");
	t = public_hello(&guest);
	(void)peer_expect(&home, WIRE_OFFER, &m);
	session = m.offer.session;
	world_check(peer_has(&guest, 7, 4 * SECOND) && guest.got[0] == 21, "messages",
		    "a public client hears no alert");
	world_check(peer_gone(&guest, 5 * SECOND), "ends", "a public client is kept");
	world_check(totals().tables.meetings == 0, "accounts", "a meeting outlives its asker");
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, session);
	expect_fail(&accepting, REASON_PEER_GONE);
	tls_free(t);
	end();
}

/* A publisher that is lost is the end of what it was offered. */
static void scene_a_publisher_that_leaves_is_told(void)
{
	begin("");
	two_agents();
	(void)offered();
	peer_close(&home, true);
	expect_fail(&asking, REASON_PEER_GONE);
	end();
}

/* GO may find anybody gone, on either side, at any moment; nothing is left of it. */
static void scene_go_and_gone(void)
{
	uint64_t session;

	begin("");
	two_agents();
	session = offered();
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, session);
	world_run(dice_below(&world_dice, 5) * dice_size(&world_dice, 100000));
	if (dice_chance(&world_dice, 700))
		peer_close(&asking, dice_chance(&world_dice, 500));
	if (dice_chance(&world_dice, 500))
		peer_close(&accepting, dice_chance(&world_dice, 500));
	world_run(60 * SECOND);
	world_check(totals().sessions <= 1 && totals().tables.meetings == 0, "accounts",
		    "a meeting is left");
	end();
}

/* Closed, and as new. */
static void renew(struct peer *p)
{
	peer_close(p, false);
	p->raw = p->eof = p->reset = false;
	p->got_len = p->out_len = p->frame_len = 0;
}

static bool answered(void *context)
{
	return totals().tables.meetings == 0;
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
		    "nobody can connect");
	peer_accept(&accepting, offered());
	(void)world_until(answered, NULL, 10 * SECOND);
	others_speak();
	k_advance(k_now_us + 5 * SECOND);
	late = peer_hear(&asking, &m, 30 * SECOND) && m.type == WIRE_FAIL;
	world_run(5 * SECOND);
	if (late) {
		world_check(!peer_hear(&asking, &m, SECOND), "messages",
			    "%s follows the FAIL of the same OPEN", wire_type_name(m.type));
		peer_open(&asking, "home", "nothing");
		expect_fail(&asking, REASON_SERVICE_UNKNOWN);
		(void)peer_expect_bye(&accepting, REASON_PEER_GONE);
	}
	world_check(totals().tables.meetings == 0, "accounts", "a meeting is left");
	renew(&asking);
	renew(&accepting);
	renew(&guest);
	renew(&admin);
}

static void scene_answers_at_the_last_moment(void)
{
	begin("limits:\n  open: 2s\n");
	two_agents();
	for (unsigned i = 0; i < 8; i++)
		an_answer_at_the_last_moment();
	end();
}

/* Who was sent away and neither reads nor closes is not kept. */
static void scene_who_does_not_go_is_let_go(void)
{
	struct wire_message ping = {.type = WIRE_PING};
	uint64_t before;

	begin("");
	before = totals().connections;
	(void)peer_sign_in(&guest, relay_host, 0);
	guest.mute = true; /* all that it is told piles up on the way */
	for (unsigned i = 0; i < 8000; i++) {
		peer_frame(&guest, &ping);
		if (guest.frame_len > WIRE_FRAME_MAX || i == 7999) {
			peer_flush(&guest);
			world_run(20 * MS);
		}
	}
	reload("revoked:\n  - agent: guest\n");
	world_run(10 * SECOND);
	world_check(totals().connections == before, "ends",
		    "who was sent away is still connected after ten seconds");
	end();
}

/* ---- limits ---- */

/* Who has proven itself no longer counts as one of those who have not. */
static void scene_the_proven_do_not_count_as_strangers(void)
{
	struct peer legs[6];

	begin("limits:\n  per_source: 2\n");
	(void)peer_sign_in(&laptop, relay_host, 0);
	for (unsigned i = 0; i < 6; i++) {
		char name[16];

		snprintf(name, sizeof(name), "leg%u", i);
		peer_start(&legs[i], name, LAPTOP, host[1]);
		(void)peer_leg(&legs[i], relay_host, &laptop);
	}
	for (unsigned i = 0; i < 6; i++)
		peer_end(&legs[i]);
	/* Strangers do count. */
	world_check(peer_connect(&asking, relay_host), "links", "a stranger cannot connect");
	world_check(peer_connect(&accepting, relay_host), "links", "home cannot connect");
	peer_start(&legs[0], "stranger", GUEST, host[1]);
	peer_start(&legs[1], "another", GUEST, host[1]);
	(void)peer_connect(&legs[0], relay_host);
	world_run(SECOND);
	(void)peer_connect(&legs[1], relay_host);
	world_check(peer_gone(&legs[1], 5 * SECOND), "accounts",
		    "three strangers of one source are served where two may be");
	peer_end(&legs[0]);
	peer_end(&legs[1]);
	end();
}

static void scene_legs_and_sessions_have_limits(void)
{
	struct peer more;

	begin("limits:\n  legs: 1\n  sessions: 1\n");
	two_agents();
	cut_through();
	(void)peer_leg(&guest, relay_host, &laptop);
	peer_start(&more, "more", LAPTOP, host[1]);
	world_check(peer_dial(&more, relay_host), "links", "a leg cannot dial");
	peer_frame_leg(&more, &laptop);
	peer_flush(&more);
	(void)peer_expect_bye(&more, REASON_LIMIT_LEGS);
	peer_open(&guest, "home", "talk");
	expect_fail(&guest, REASON_LIMIT_SESSIONS);
	peer_end(&more);
	/* It comes free with the session. */
	peer_close(&asking, false);
	peer_close(&accepting, false);
	world_run(5 * SECOND);
	peer_open(&guest, "home", "talk");
	(void)peer_expect(&home, WIRE_OFFER, &m);
	end();
}

/* ---- changes while they are there ---- */

static void scene_all_revoked_names_are_told(void)
{
	/* Together they are more than the relay lets wait for a link. */
	enum { NAMES = 40 * WIRE_SERVICES_MAX + 7 };
	static char config[NAMES * 80];
	static bool told[NAMES];
	size_t n = (size_t)snprintf(config, sizeof(config), LISTEN "revoked:\n"), count = 0;

	for (unsigned i = 0; i < NAMES; i++)
		n += (size_t)snprintf(config + n, sizeof(config) - n, "  - agent: gone%u-%050u\n",
				      i, 0u);
	memset(told, 0, sizeof(told));
	begin("");
	(void)peer_sign_in(&home, relay_host, 0);
	world_relay_write(&relay, config);
	k_signal(relay.program, SIGHUP);
	world_run(SECOND);
	while (count < NAMES && peer_expect(&home, WIRE_REVOKED, &m))
		for (size_t i = 0; i < m.revoked.count; i++) {
			char name[WIRE_NAME_MAX + 1];
			unsigned which;

			wire_bytes_copy(m.revoked.services[i], name, sizeof(name));
			if (sscanf(name, "gone%u", &which) == 1 && which < NAMES && !told[which]) {
				told[which] = true;
				count++;
			}
		}
	world_check(count == NAMES, "messages", "%zu of %u revoked names are told", count, NAMES);
	end();
}

/* Within a second or two, whoever it is. */
static void scene_who_is_revoked_goes(void)
{
	begin("");
	two_agents();
	cut_through();
	(void)peer_sign_in(&admin, relay_host, WIRE_HELLO_CONSOLE);
	(void)peer_sign_in(&guest, relay_host, 0);
	reload("revoked:\n  - agent: admin\n  - agent: laptop\n");
	world_check(peer_gone(&admin, 2 * SECOND), "revoked", "a revoked console stays connected");
	(void)peer_expect_bye(&laptop, REASON_REVOKED);
	world_check(peer_gone(&asking, 2 * SECOND), "revoked",
		    "the session of a revoked agent goes on");
	expect_still_there(&guest, "who is not revoked is sent away");
	world_check(peer_dial(&laptop, relay_host), "links", "laptop cannot dial");
	peer_frame_hello(&laptop, 0);
	peer_flush(&laptop);
	(void)peer_expect_bye(&laptop, REASON_REVOKED);
	end();
}

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
	begin(config);
	two_agents();
	cut_through();
	expect_flowing("while it is allowed");
	snprintf(config, sizeof(config), RULE("\"%s\"") "site:\n  page: other\n", until);
	reload(config);
	expect_flowing("after a change of something else");
	if (time(NULL) < ends - 1)
		world_run((uint64_t)(ends - 1 - time(NULL)) * SECOND);
	expect_still_there(&asking, "the session ends before its rule");
	world_check(peer_gone(&asking, 4 * SECOND), "rules", "a session outlives its rule");
	end();
}

static void scene_a_rule_that_goes_takes_its_sessions(void)
{
	begin(RULE("2099-01-01"));
	two_agents();
	cut_through();
	peer_publish(&home, "talk");
	reload(RULE("2099-01-01") "  - from: [guest]\n    to: [home/talk]\n");
	expect_flowing("after another rule was added");
	reload("policy:\n  - from: [guest]\n    to: [home/talk]\n");
	world_check(peer_gone(&asking, 2 * SECOND) && peer_gone(&accepting, 2 * SECOND), "rules",
		    "a session outlives its rule");
	(void)peer_leg(&asking, relay_host, &laptop);
	peer_open(&asking, "home", "talk");
	expect_fail(&asking, REASON_NOT_ALLOWED);
	end();
}

/* Consoles manage agents by right of their certificate: no rule lets or ends them. */
static void scene_consoles_need_no_rule(void)
{
	begin("");
	(void)peer_sign_in(&home, relay_host, 0);
	(void)peer_sign_in(&admin, relay_host, 0);
	(void)peer_leg(&asking, relay_host, &admin);
	peer_open(&asking, "home", WIRE_CONTROL_SERVICE);
	(void)peer_expect(&home, WIRE_OFFER, &m);
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, m.offer.session);
	(void)peer_go(&accepting);
	(void)peer_go(&asking);
	reload("policy:\n  - from: [guest]\n    to: [home/talk]\n");
	expect_flowing("after the rules were changed");
	/* An agent has no such right. */
	(void)peer_sign_in(&laptop, relay_host, 0);
	(void)peer_leg(&guest, relay_host, &laptop);
	peer_open(&guest, "home", WIRE_CONTROL_SERVICE);
	expect_fail(&guest, REASON_NOT_ALLOWED);
	end();
}

/* Draining, it takes no new work of any kind; what runs goes on. */
static void drain(void)
{
	k_enter(relay.program);
	control_drain(relay.relay.control, 600000, false);
	k_enter(NULL);
}

static void scene_draining(void)
{
	begin("");
	two_agents();
	cut_through();
	(void)peer_leg(&guest, relay_host, &laptop);
	drain();
	(void)peer_expect(&laptop, WIRE_DRAIN, &m);
	(void)peer_expect_bye(&guest, REASON_DRAINING);
	world_check(peer_dial(&guest, relay_host), "links", "guest cannot dial");
	peer_frame_leg(&guest, &laptop);
	peer_flush(&guest);
	(void)peer_expect_bye(&guest, REASON_DRAINING);
	world_check(peer_dial(&guest, relay_host), "links", "guest cannot dial");
	peer_frame_hello(&guest, 0);
	peer_flush(&guest);
	(void)peer_expect_bye(&guest, REASON_DRAINING);
	(void)peer_sign_in(&admin, relay_host, WIRE_HELLO_CONSOLE);
	expect_flowing("while it drains");
	end();
}

/* What a relay cuts off when its drain's time is over looks cut off, not ended. */
static void scene_a_drain_whose_time_is_over(void)
{
	begin("drain: 5s\n");
	two_agents();
	cut_through();
	world_relay_stop(&relay);
	(void)peer_gone(&asking, SECOND);
	(void)peer_gone(&accepting, SECOND);
	world_check(asking.reset && accepting.reset && !asking.eof && !accepting.eof, "cut-for-end",
		    "a session that a drain cuts off seems to end");
	all_leave();
}

/* A relay that is about to exit does, whatever its drain is told meanwhile: it listens no more. */
static void scene_a_drain_that_leaves_is_not_taken_back(void)
{
	struct relay_control *ctl;
	char why[256] = "";

	begin("drain: 600s\n");
	two_agents();
	cut_through();
	k_signal(relay.program, SIGTERM);
	world_run(SECOND);
	ctl = relay.relay.control;
	k_enter(relay.program);
	control_drain(ctl, 5000, false);
	world_check(!control_undrain(ctl, why, sizeof(why)) && strstr(why, "about to exit"), "ends",
		    "a drain that leaves is taken back: %s", why);
	k_enter(NULL);
	world_check(peer_gone(&asking, 10 * SECOND) && asking.reset, "ends",
		    "a second drain keeps the relay from leaving");
	world_relay_stop(&relay);
	all_leave();
}

/* A console comes while the relay is short of memory: it is one, or none, and nothing stays. */
static void scene_a_console_in_a_famine(void)
{
	begin("");
	for (unsigned i = 0; i < 8; i++) {
		if (!peer_dial(&admin, relay_host))
			continue;
		peer_frame_hello(&admin, WIRE_HELLO_CONSOLE);
		relay.program->no_memory = (unsigned)dice_between(&world_dice, 5, 300);
		peer_flush(&admin);
		world_run(SECOND);
		relay.program->no_memory = 0;
		peer_end(&admin);
		peer_start(&admin, "admin", ADMIN, host[3]);
		world_run(5 * SECOND);
	}
	world_check(!relay.relay.control->consoles, "accounts",
		    "a console that has gone is counted");
	end();
}

/* ---- bytes ---- */

/* What was received is what is counted, the hello of a public client included. */
static void scene_all_bytes_are_counted(void)
{
	static uint8_t bytes[70000];
	uint64_t before;
	size_t up = dice_size(&world_dice, sizeof(bytes)),
	       down = dice_size(&world_dice, sizeof(bytes));

	begin("");
	two_agents();
	cut_through();
	before = totals().bytes;
	peer_write(&asking, bytes, up);
	peer_write(&accepting, bytes, down);
	(void)peer_has(&accepting, up, 60 * SECOND);
	(void)peer_has(&asking, down, 60 * SECOND);
	world_check(totals().bytes - before == accepting.got_len + asking.got_len, "accounts",
		    "%zu bytes came and %llu are counted", accepting.got_len + asking.got_len,
		    (unsigned long long)(totals().bytes - before));
	end();
}

/* A ClientHello of a public name, by hand: what the relay replays is counted, too. */
static void scene_a_public_hello_is_counted(void)
{
	struct tls *t;
	uint64_t before;
	size_t len;

	begin("public:\n  - name: www.example\n    to: home/talk\n");
	(void)peer_sign_in(&home, relay_host, 0);
	peer_publish(&home, "talk");
	before = totals().bytes;
	t = public_hello(&guest);
	(void)tls_output(t, &len);
	(void)peer_expect(&home, WIRE_OFFER, &m);
	world_check(m.offer.kind == WIRE_OFFER_PUBLIC, "messages", "a public offer is another");
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, m.offer.session);
	(void)peer_go(&accepting);
	/* In its envelope: at least as long as it was. */
	world_check(peer_has(&accepting, len, 30 * SECOND), "bytes", "the hello does not arrive");
	world_check(totals().bytes - before == len, "accounts",
		    "%zu bytes of a hello came and %llu are counted", len,
		    (unsigned long long)(totals().bytes - before));
	/* It waits for the server as long as it likes. */
	world_run(120 * SECOND);
	expect_still_there(&guest, "a public session ends by itself");
	tls_free(t);
	end();
}

/* ---- what is told ---- */

static void scene_a_leg_says_bye(void)
{
	begin("");
	two_agents();
	(void)peer_leg(&asking, relay_host, &laptop);
	peer_say(&asking, &(struct wire_message){.type = WIRE_BYE, .bye.reason = REASON_DRAINING});
	world_check(!peer_hear(&asking, &m, 10 * SECOND) && peer_gone(&asking, SECOND), "messages",
		    "who says BYE hears more than the end");
	end();
}

/* What has to be understood and is not: the session is refused, and the leg goes on. */
static void scene_an_extension_that_must_be_known(void)
{
	struct wire_message open = {.type = WIRE_OPEN};

	begin("");
	two_agents();
	(void)peer_leg(&asking, relay_host, &laptop);
	open.open.to = wire_text("home");
	open.open.service = wire_text("talk");
	if (!wire_extension_add(&open, WIRE_EXTENSION_CRITICAL - 1, wire_text("x")))
		world_broken("no room for an extension");
	peer_frame(&asking, &open);
	asking.frame[asking.frame_len - 5] |= 0x80; /* {id, length, "x"}: now a critical one */
	peer_flush(&asking);
	expect_fail(&asking, REASON_EXTENSION);
	world_check(totals().tables.meetings == 0, "messages",
		    "what an asker needs is offered without");
	peer_open(&asking, "home", "talk");
	(void)peer_expect(&home, WIRE_OFFER, &m);
	end();
}

static void refuse(uint64_t session)
{
	struct wire_message no = {.type = WIRE_REFUSE};

	no.refuse.session = session;
	no.refuse.reason = REASON_NOT_ALLOWED;
	no.refuse.text = wire_text("not on a Monday");
	peer_say(&home, &no);
}

static void scene_a_refusal_says_why(void)
{
	begin("");
	two_agents();
	refuse(offered());
	expect_fail(&asking, REASON_NOT_ALLOWED);
	world_check(wire_bytes_equal(m.fail.text, wire_text("not on a Monday")), "messages",
		    "a refusal loses its sentence");
	refuse(12345); /* which nobody asked for */
	peer_open(&asking, "home", "talk");
	(void)peer_expect(&home, WIRE_OFFER, &m);
	end();
}

static void expect_alert(uint8_t description)
{
	if (world_check(peer_has(&guest, 7, 10 * SECOND), "messages",
			"a public client hears no alert"))
		world_check(guest.got[0] == 21 && guest.got[6] == description, "messages",
			    "a public client hears alert %u, not %u", guest.got[6], description);
	world_check(peer_gone(&guest, 5 * SECOND), "ends", "a public client is kept");
}

/* In TLS' words: "unrecognized name" is the client's mistake, "internal error" is ours. */
static void scene_public_clients_are_told(void)
{
	begin("public:\n  - name: www.example\n    to: home/web\n");
	tls_free(public_hello(&guest));
	expect_alert(80); /* home is not there */
	peer_close(&guest, false);
	guest.got_len = 0;
	two_agents();
	tls_free(public_hello(&guest));
	expect_alert(112); /* it has no such service */
	peer_close(&guest, false);
	guest.got_len = 0;
	peer_publish(&home, "web");
	tls_free(public_hello(&guest));
	(void)peer_expect(&home, WIRE_OFFER, &m);
	refuse(m.offer.session);
	expect_alert(112);
	end();
}

/* Who came before the drain and says what it wants after it. */
static void scene_a_public_client_in_a_drain(void)
{
	begin("public:\n  - name: www.example\n    to: home/talk\n");
	two_agents();
	world_check(peer_connect(&guest, relay_host), "links", "guest cannot connect");
	world_run(SECOND);
	drain();
	world_run(SECOND);
	tls_free(say_public_hello(&guest));
	expect_alert(80);
	world_check(!peer_hear(&home, &m, SECOND) || m.type == WIRE_DRAIN, "messages",
		    "home hears %s of a relay that drains", wire_type_name(m.type));
	end();
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

static void scene_an_offer_says_who_asks(void)
{
	begin("public:\n  - name: www.example\n    to: home/talk\n");
	two_agents();
	(void)offered();
	world_check(m.offer.kind == WIRE_OFFER_AGENT, "messages", "an agent's offer is another");
	world_check(wire_bytes_equal(m.offer.service, wire_text("talk")), "messages",
		    "an offer names another service");
	world_check(is_address_of(m.offer.source, &asking, false) &&
			    is_address_of(m.offer.local, &asking, true),
		    "messages", "an offer has another address");
	tls_free(public_hello(&guest));
	(void)peer_expect(&home, WIRE_OFFER, &m);
	world_check(m.offer.kind == WIRE_OFFER_PUBLIC && m.offer.from.len == 0, "messages",
		    "a public offer is another");
	world_check(is_address_of(m.offer.source, &guest, false), "messages",
		    "a public offer has another address");
	end();
}

/* ---- what follows what ---- */

static void scene_idle_legs_follow_their_link(void)
{
	begin("");
	two_agents();
	(void)peer_leg(&asking, relay_host, &laptop);
	for (uint64_t i = 0; i < 30; i++) {
		peer_say(&laptop, &(struct wire_message){.type = WIRE_PING, .ping.token = i});
		if (peer_expect(&laptop, WIRE_PONG, &m))
			world_check(m.pong.token == i, "messages", "PING is answered otherwise");
		world_run(10 * SECOND);
	}
	expect_still_there(&asking, "an idle leg of a live link ends");
	expect_still_there(&laptop, "a link that speaks ends");
	world_check(peer_gone(&home, SECOND), "ends", "a silent link stays");
	peer_close(&laptop, false);
	world_run(60 * SECOND);
	(void)peer_expect_bye(&asking, REASON_LINK_GONE);
	end();
}

/* Lets go up what asking has written; within so long, or until so much has arrived. */
static void push(size_t len, uint64_t at_most_us)
{
	uint64_t end = k_now_us + at_most_us;

	while (accepting.got_len < len && k_now_us < end) {
		(void)peer_has(&accepting, len, SECOND / 20);
		(void)peer_has(&asking, SIZE_MAX, 1);
	}
}

/* A rule's rate, from the session's first byte on. */
static void scene_a_rate_holds(void)
{
	enum { RATE = 20000, SECONDS = 10 };
	static uint8_t bytes[PEER_KEPT / 2];

	begin("policy:\n  - from: [laptop]\n    to: [home/talk]\n    rate: 20KB/s\n");
	two_agents();
	cut_through();
	peer_write(&asking, bytes, sizeof(bytes));
	push(sizeof(bytes), SECONDS * SECOND);
	world_check(accepting.got_len > RATE * SECONDS / 2, "rates",
		    "%zu bytes in %u s are too few", accepting.got_len, SECONDS);
	world_check(accepting.got_len < RATE * (SECONDS + 2) + 65536, "rates",
		    "%zu bytes in %u s are too many", accepting.got_len, SECONDS);
	reload("policy:\n  - from: [laptop]\n    to: [home/talk]\n");
	push(sizeof(bytes), 10 * SECOND);
	world_check(accepting.got_len == sizeof(bytes), "rates", "a rate that is gone holds on");
	end();
}

/* Between two more legs of the same agents. */
static void another_session(const char *service)
{
	peer_publish(&home, service);
	(void)peer_leg(&guest, relay_host, &laptop);
	peer_open(&guest, "home", service);
	(void)peer_expect(&home, WIRE_OFFER, &m);
	uint64_t session = m.offer.session;
	(void)peer_leg(&admin, relay_host, &home);
	peer_accept(&admin, session);
	(void)peer_go(&guest);
	(void)peer_go(&admin);
}

static void scene_a_rule_ends_while_nobody_looks(void)
{
	time_t ends = time(NULL) + 60;
	char config[512], until[32];
	struct tm tm;

	gmtime_r(&ends, &tm);
	strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ", &tm);
	snprintf(config, sizeof(config),
		 RULE("\"%s\"") "  - from: [laptop]\n    to: [home/chat]\n    until: 2099-01-01\n",
		 until);
	begin(config);
	two_agents();
	cut_through();
	another_session("chat");
	world_run((uint64_t)(ends - 1 - time(NULL)) * SECOND);
	expect_still_there(&asking, "the session ends before its rule");
	world_check(peer_gone(&asking, 4 * SECOND), "rules", "a session outlives its rule");
	expect_still_there(&guest, "a session ends with another's rule");
	end();
}

static size_t count_revoked(size_t known)
{
	while (peer_hear(&home, &m, 2 * SECOND))
		if (m.type == WIRE_REVOKED)
			known = m.revoked.count > 0 ? known + m.revoked.count : 0;
	return known;
}

/* Who is let in again is so for agents, too. */
static void scene_a_name_is_revoked_no_more(void)
{
	size_t known;

	begin("revoked:\n  - agent: guest\n");
	(void)peer_sign_in(&home, relay_host, 0);
	known = count_revoked(0);
	world_check(known == 1, "messages", "%zu names are revoked, not one", known);
	reload("");
	known = count_revoked(known);
	world_check(known == 0, "messages", "a name stays revoked");
	end();
}

/* ---- frames ---- */

static void stranger(void)
{
	peer_close(&guest, false);
	guest.frame_len = 0;
	world_check(peer_dial(&guest, relay_host), "links", "guest cannot dial");
}

static void scene_frames_in_pieces_and_others(void)
{
	begin("");
	(void)peer_sign_in(&home, relay_host, 0);
	stranger();
	peer_frame_hello(&guest, 0);
	peer_write(&guest, guest.frame, 3);
	(void)peer_hear(&guest, &m, SECOND);
	peer_write(&guest, guest.frame + 3, guest.frame_len - 3);
	guest.frame_len = 0;
	(void)peer_expect(&guest, WIRE_WELCOME, &m);
	/* Of a later version, where one of ours came before. */
	peer_frame(&guest, &(struct wire_message){.type = WIRE_PING});
	guest.frame[0] = WIRE_VERSION + 1;
	peer_flush(&guest);
	(void)peer_expect_bye(&guest, REASON_VERSION);
	stranger();
	peer_say(&guest, &(struct wire_message){.type = WIRE_PING});
	(void)peer_expect_bye(&guest, REASON_PROTOCOL);
	/* A beginning, and then nothing. */
	stranger();
	peer_frame_hello(&guest, 0);
	peer_write(&guest, guest.frame, 3);
	guest.frame_len = 0;
	world_check(peer_gone(&guest, 60 * SECOND), "ends", "half a frame is waited for for ever");
	end();
}

static void scene_a_rule_has_room_for_one(void)
{
	begin("policy:\n  - from: [laptop]\n    to: [home/talk]\n    sessions: 1\n");
	two_agents();
	cut_through();
	(void)peer_leg(&guest, relay_host, &laptop);
	peer_open(&guest, "home", "talk");
	expect_fail(&guest, REASON_LIMIT_SESSIONS);
	peer_close(&asking, false);
	peer_close(&accepting, false);
	world_run(5 * SECOND);
	peer_open(&guest, "home", "talk");
	(void)peer_expect(&home, WIRE_OFFER, &m);
	end();
}

/* ---- what one session or address leaves to others ---- */

static void fill_out(struct peer *p, uint8_t byte, size_t len)
{
	static uint8_t bytes[PEER_KEPT / 2];

	memset(bytes, byte, len);
	peer_write(p, bytes, len);
}

/* A bulk transfer whose receiver breaks off while pages are under way: another's bytes are its own.
 */
static void scene_bulk_that_breaks_off(void)
{
	begin("");
	two_agents();
	for (unsigned round = 0; round < 6; round++) {
		cut_through();
		fill_out(&asking, 'a', PEER_KEPT / 2);
		push(PEER_KEPT / 4, 5 * SECOND);
		peer_close(&accepting, true);
		(void)peer_has(&asking, SIZE_MAX, 1);
		k_advance(k_now_us + SECOND); /* bytes and reset are there at once */
		(void)peer_has(&asking, SIZE_MAX, 2 * SECOND);
		renew(&asking);
		renew(&accepting);
	}
	cut_through();
	fill_out(&asking, 'b', PEER_KEPT / 2);
	push(PEER_KEPT / 2, 30 * SECOND);
	world_check(accepting.got_len == PEER_KEPT / 2 &&
			    !memchr(accepting.got, 'a', accepting.got_len),
		    "bytes", "a session's bytes reach another");
	end();
}

/* An address that a reload gives up while datagrams come by the dozen. */
static void scene_an_address_given_up_in_a_flood(void)
{
	uint8_t bytes[20] = {0, 1};
	struct iovec all = {bytes, sizeof(bytes)};
	struct addr to = k_address(k_host_address(relay_host), 443);
	struct msghdr one = {
		.msg_name = &to.sa, .msg_namelen = to.len, .msg_iov = &all, .msg_iovlen = 1};
	int fd;

	begin("");
	k_cable_set(relay_host, host[2], 0, 0);
	k_enter(guest.program);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	k_enter(NULL);
	world_relay_write(&relay, LISTEN "stun:\n  enabled: false\n");
	for (unsigned i = 0; i < 600; i++) {
		k_enter(guest.program);
		for (unsigned n = 0; n < 12; n++)
			(void)!sendmsg(fd, &one, MSG_DONTWAIT);
		k_enter(NULL);
		world_run(MS / 2);
		if (i == 50)
			k_signal(relay.program, SIGHUP);
	}
	k_enter(guest.program);
	close(fd);
	k_enter(NULL);
	end();
}

/* What comes after the hello is TLS as well, or it goes to nobody. */
static void scene_a_public_client_that_speaks_no_tls(void)
{
	struct tls *t;

	begin("public:\n  - name: www.example\n    to: home/talk\n");
	(void)peer_sign_in(&home, relay_host, 0);
	peer_publish(&home, "talk");
	t = public_hello(&guest);
	(void)peer_expect(&home, WIRE_OFFER, &m);
	uint64_t session = m.offer.session;
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, session);
	(void)peer_go(&accepting);
	(void)peer_has(&accepting, 1, 10 * SECOND);
	fill_out(&guest, 'G', 100);
	world_check(peer_gone(&guest, 10 * SECOND), "ends",
		    "a public client goes on that speaks no TLS");
	tls_free(t);
	end();
}

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
	(void)peer_expect(&home, WIRE_OFFER, &m);
	session = m.offer.session;
	(void)peer_leg(down, relay_host, &home);
	peer_accept(down, session);
	(void)peer_go(up);
	(void)peer_go(down);
	down->mute = true;
	/* By small pieces, until there is room for no more than what earns a large buffer. */
	for (unsigned left = WINDOW - 2 * SMALL - 100; left > 0;) {
		unsigned n = left < 1000 ? left : 1000;

		fill_out(up, 'x', n);
		(void)peer_has(up, SIZE_MAX, SECOND / 4);
		left -= n;
	}
	fill_out(up, 'y', WINDOW / 2);
	(void)peer_has(up, SIZE_MAX, SECOND);
}

/* Slow receivers hold half of a thread's large buffers and no more; what they hold comes back. */
static void scene_slow_receivers(void)
{
	struct peer up[SLOW], down[SLOW];
	unsigned short_io = k_faults.short_io;

	k_faults.short_io = 0;
	begin("limits:\n  buffer_bytes: 4MiB\n");
	two_agents();
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
	end();
	k_faults.short_io = short_io;
}

static void (*const scenes[])(void) = {
	scene_a_leg_needs_its_proof,
	scene_a_hello_needs_its_proof,
	scene_an_offer_is_its_publishers,
	scene_nothing_may_follow_open,
	scene_messages_that_come_together,
	scene_an_offer_is_not_waited_for_for_ever,
	scene_an_asker_that_leaves_is_found_out,
	scene_a_public_client_that_waited_in_vain,
	scene_a_publisher_that_leaves_is_told,
	scene_go_and_gone,
	scene_go_and_gone,
	scene_answers_at_the_last_moment,
	scene_who_does_not_go_is_let_go,
	scene_the_proven_do_not_count_as_strangers,
	scene_legs_and_sessions_have_limits,
	scene_all_revoked_names_are_told,
	scene_who_is_revoked_goes,
	scene_a_rule_that_ends_ends_its_sessions,
	scene_a_rule_that_goes_takes_its_sessions,
	scene_consoles_need_no_rule,
	scene_draining,
	scene_all_bytes_are_counted,
	scene_a_public_hello_is_counted,
	scene_a_leg_says_bye,
	scene_an_extension_that_must_be_known,
	scene_a_refusal_says_why,
	scene_public_clients_are_told,
	scene_a_public_client_in_a_drain,
	scene_an_offer_says_who_asks,
	scene_idle_legs_follow_their_link,
	scene_a_rate_holds,
	scene_a_rule_ends_while_nobody_looks,
	scene_a_name_is_revoked_no_more,
	scene_frames_in_pieces_and_others,
	scene_a_rule_has_room_for_one,
	scene_bulk_that_breaks_off,
	scene_an_address_given_up_in_a_flood,
	scene_slow_receivers,
	scene_a_drain_whose_time_is_over,
	scene_a_drain_that_leaves_is_not_taken_back,
	scene_a_console_in_a_famine,
	scene_a_public_client_that_speaks_no_tls,
};

void world_peers(void)
{
	const char *only = getenv("SCENE");

	relay_host = k_host_new("relay");
	for (unsigned i = 0; i < 4; i++) {
		static const char *const names[] = {"home", "away", "elsewhere", "office"};

		host[i] = k_host_new(names[i]);
		k_cable_set(relay_host, host[i], (uint32_t)dice_size(&world_dice, 50000),
			    (uint32_t)dice_size(&world_dice, 5000));
	}
	k_faults.short_io = (unsigned)dice_below(&world_dice, 300);
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		if (only && strtoul(only, NULL, 10) != i)
			continue;
		world_tell("---- scene %zu", i);
		scenes[i]();
	}
}
