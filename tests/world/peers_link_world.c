/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers_link_world: agents' links and consoles at a relay, played by hand: proofs, frames,
 * strangers' limits, names that are revoked.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "relay/control/control_internal.h"
#include "tests/support/signed.h"
#include "tests/world/peers_scene.h"
#include "tests/world/store.h"
#include "tests/world/worlds.h"

/* ---- what they say ---- */

/* HELLO is bound to its connection, and to the name that the certificate gives. */
static void scene_a_hello_needs_its_proof(void)
{
	peers_begin("");
	world_check(peer_dial(&guest, relay_host), "links", "guest cannot dial");
	peer_frame_hello(&guest, 0);
	world_check(peer_dial(&home, relay_host), "links", "home cannot dial");
	memcpy(home.frame + TAG_BYTES, guest.frame + TAG_BYTES, guest.frame_len - TAG_BYTES);
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
	peers_end();
}

/* What comes together with the first message belongs to what the connection is by then. */
static void scene_messages_that_come_together(void)
{
	struct wire_message publish = {.type = WIRE_PUBLISH, .publish.count = 1},
			    open = {.type = WIRE_OPEN};

	publish.publish.services[0] = wire_text("talk");
	open.open.to = wire_text("home");
	open.open.service = wire_text("talk");
	peers_begin("");
	world_check(peer_dial(&home, relay_host), "links", "home cannot dial");
	peer_frame_hello(&home, 0);
	peer_frame(&home, &publish);
	peer_flush(&home);
	(void)peer_expect(&home, WIRE_WELCOME, &heard);
	home.link = heard.welcome.link;
	memcpy(home.secret, heard.welcome.leg_secret, sizeof(home.secret));
	(void)peer_expect(&home, WIRE_PUBLISHED, &heard);
	(void)peer_sign_in(&laptop, relay_host, 0);
	world_check(peer_dial(&asking, relay_host), "links", "a leg cannot dial");
	peer_frame_leg(&asking, &laptop);
	peer_frame(&asking, &open);
	peer_flush(&asking);
	(void)peer_expect(&asking, WIRE_READY, &heard);
	(void)peer_expect(&home, WIRE_OFFER, &heard);
	peers_end();
}

static void stranger(void)
{
	peer_close(&guest, false);
	guest.frame_len = 0;
	world_check(peer_dial(&guest, relay_host), "links", "guest cannot dial");
}

static void scene_frames_in_pieces_and_others(void)
{
	peers_begin("");
	(void)peer_sign_in(&home, relay_host, 0);
	stranger();
	peer_frame_hello(&guest, 0);
	peer_write(&guest, guest.frame, TAG_BYTES + 3);
	(void)peer_hear(&guest, &heard, SECOND);
	peer_write(&guest, guest.frame + TAG_BYTES + 3, guest.frame_len - TAG_BYTES - 3);
	guest.frame_len = 0;
	(void)peer_expect(&guest, WIRE_WELCOME, &heard);
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
	peer_write(&guest, guest.frame, TAG_BYTES + 3);
	guest.frame_len = 0;
	world_check(peer_gone(&guest, 90 * SECOND), "ends", "half a frame is waited for for ever");
	peers_end();
}

/* ---- what they count for ---- */

/* A peer that has proven itself no longer counts as one of those that have not. */
static void scene_the_proven_do_not_count_as_strangers(void)
{
	struct peer legs[6];

	peers_begin("limits:\n  per_source: 2\n");
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
	/* The oldest of those two has to go. */
	world_check(peer_gone(&asking, 5 * SECOND) && !peer_gone(&legs[1], 1), "accounts",
		    "three strangers of one source are served where two may be");
	peer_end(&legs[0]);
	peer_end(&legs[1]);
	peers_end();
}

/* One too many is closed by the worker that has it, whichever accepts the newcomer. */
static void scene_one_stranger_too_many(void)
{
	enum { STRANGERS = 16, MAY = 2 };
	struct peer strangers[STRANGERS];

	peers_begin("limits:\n  per_source: 2\n");
	for (unsigned i = 0; i < STRANGERS; i++) {
		peer_start(&strangers[i], "stranger", GUEST, host[1]);
		world_check(peer_connect(&strangers[i], relay_host), "links",
			    "a stranger cannot connect");
		world_run(SECOND);
		for (unsigned of = 0; of <= i; of++)
			world_check(peer_gone(&strangers[of], 1) == (of + MAY <= i), "accounts",
				    "of %u strangers of one source, number %u is %s", i + 1, of + 1,
				    of + MAY <= i ? "still served" : "gone");
	}
	for (unsigned i = 0; i < STRANGERS; i++)
		peer_end(&strangers[i]);
	peers_end();
}

/* An agent that signs in again takes its older link's place once it has said what it publishes:
 * that one is told, and ends. */
static void scene_the_older_link_ends(void)
{
	struct peer again;

	peers_begin("");
	(void)peer_sign_in(&home, relay_host, 0);
	peer_publish(&home, "talk");
	peer_start(&again, "again", HOME, host[0]);
	(void)peer_sign_in(&again, relay_host, 0);
	world_run(SECOND);
	peers_expect_still_there(&home, "the older link ends before the newer one is complete");
	peer_publish(&again, "talk");
	(void)peer_expect_bye(&home, REASON_REPLACED);
	peers_expect_still_there(&again, "the newer link of an agent is ended, too");
	peer_end(&again);
	peers_end();
}

/* ---- who is revoked ---- */

static void scene_all_revoked_names_are_told(void)
{
	/* Together they are more than the relay lets wait for a link. */
	enum { NAMES = 80 * WIRE_REVOKED_MAX + 7 };
	static char config[NAMES * 80];
	static bool told[NAMES];
	bool first = true, last = false;
	size_t n = (size_t)snprintf(config, sizeof(config), PEERS_LISTEN "revoked:\n"), count = 0;

	for (unsigned i = 0; i < NAMES; i++)
		n += (size_t)snprintf(config + n, sizeof(config) - n, "  - agent: gone%u-%050u\n",
				      i, 0u);
	memset(told, 0, sizeof(told));
	peers_begin("");
	(void)peer_sign_in(&home, relay_host, 0);
	world_relay_write(&relay, config);
	k_signal(relay.program, SIGHUP);
	world_run(SECOND);
	while (!last && peer_expect(&home, WIRE_REVOKED, &heard)) {
		if (heard.revoked.flags == (WIRE_REVOKED_FIRST | WIRE_REVOKED_LAST))
			continue; /* that it was empty at first */
		world_check(first == !!(heard.revoked.flags & WIRE_REVOKED_FIRST), "messages",
			    "the list begins at name %zu", count);
		first = false;
		last = heard.revoked.flags & WIRE_REVOKED_LAST;
		for (size_t i = 0; i < heard.revoked.count; i++) {
			char name[WIRE_NAME_MAX + 1];
			unsigned which;

			wire_bytes_copy(heard.revoked.items[i].value, name, sizeof(name));
			if (sscanf(name, "gone%u", &which) == 1 && which < NAMES && !told[which]) {
				told[which] = true;
				count++;
			}
		}
	}
	world_check(count == NAMES, "messages", "%zu of %u revoked names are told", count, NAMES);
	peers_end();
}

/* How many revocations home knows when it has heard all; lists: how often it was told. */
static size_t count_revoked(size_t known, unsigned *lists)
{
	size_t coming = 0;

	*lists = 0;
	while (peer_hear(&home, &heard, 2 * SECOND)) {
		if (heard.type != WIRE_REVOKED)
			continue;
		if (heard.revoked.flags & WIRE_REVOKED_FIRST)
			coming = 0;
		coming += heard.revoked.count;
		if (heard.revoked.flags & WIRE_REVOKED_LAST) {
			known = coming;
			++*lists;
		}
	}
	return known;
}

/* Agents hear, too, of a name that is let in again. */
static void scene_a_name_is_revoked_no_more(void)
{
	unsigned lists;
	size_t known;

	peers_begin("revoked:\n  - agent: guest\n");
	(void)peer_sign_in(&home, relay_host, 0);
	known = count_revoked(9, &lists);
	world_check(known == 1, "messages", "%zu names are revoked, not one", known);
	peers_reload("revoked:\n  - agent: guest\n    note: for people\n");
	known = count_revoked(known, &lists);
	world_check(lists == 0, "messages", "a list that has not changed is told again");
	peers_reload("revoked:\n  - agent: guest\n    before: 2001-01-01\n  - serial: 0a1b\n");
	known = count_revoked(known, &lists);
	world_check(lists == 1 && known == 2, "messages", "%u lists, the last of %zu", lists,
		    known);
	peers_reload("");
	known = count_revoked(known, &lists);
	world_check(lists == 1 && known == 0, "messages", "a name stays revoked");
	peers_end();
}

/* admin, a console, signs that this name is revoked, and tells the relay. */
static void sign_revoked(unsigned nth)
{
	struct signed_revocation r = {.kind = WIRE_REVOKED_NAME, .before = 1000000};
	uint8_t object[REVOCATION_MAX];
	char name[32], text[REVOCATION_BASE64_BYTES], line[sizeof(text) + 200];

	snprintf(name, sizeof(name), "gone%u", nth);
	r.value = wire_text(name);
	revocation_to_text(object, signed_make(admin.identity, &r, object), text);
	snprintf(line, sizeof(line),
		 "{\"jsonrpc\": \"2.0\", \"method\": \"revoke\", \"params\": {\"signed\": "
		 "\"%s\"}}\n",
		 text);
	peer_write(&admin, line, strlen(line));
	world_run(100 * MS);
}

/* How many of them p hears, each for the first time. */
static unsigned count_signed(struct peer *p, bool told[])
{
	struct signed_revocation r;
	unsigned count = 0, which;
	char name[WIRE_NAME_MAX + 1];

	while (peer_hear(p, &heard, 2 * SECOND)) {
		if (heard.type != WIRE_SIGNED)
			continue;
		world_check(revocation_decode(heard.signed_revocation.object.data,
					      heard.signed_revocation.object.len, &r),
			    "messages", "what is told is no signed revocation");
		wire_bytes_copy(r.value, name, sizeof(name));
		if (!world_check(sscanf(name, "gone%u", &which) == 1 && !told[which], "messages",
				 "%s is told again", name))
			continue;
		told[which] = true;
		count++;
	}
	return count;
}

/* Each agent that is there, or comes, hears of each of them once, also where they are more than may
 * wait for a link. */
static void scene_what_is_signed_is_told(void)
{
	enum { FEW = 2, MANY = 120 };
	bool told[2][MANY] = {{false}};
	unsigned count;

	peers_begin("");
	(void)peer_sign_in(&home, relay_host, 0);
	(void)peer_sign_in(&admin, relay_host, WIRE_HELLO_CONSOLE);
	for (unsigned i = 0; i < FEW; i++)
		sign_revoked(i);
	count = count_signed(&home, told[0]);
	world_check(count == FEW, "messages", "home hears of %u that are signed, not %u", count,
		    FEW);
	for (unsigned i = FEW; i < MANY; i++)
		sign_revoked(i);
	count = count_signed(&home, told[0]);
	world_check(count == MANY - FEW, "messages", "home hears of %u more, not %u", count,
		    MANY - FEW);
	/* Once more: nothing else is revoked by it, and it is told all the same. */
	told[0][0] = false;
	sign_revoked(0);
	count = count_signed(&home, told[0]);
	world_check(count == 1, "messages", "home hears %u times of one that is signed again",
		    count);
	(void)peer_sign_in(&laptop, relay_host, 0);
	count = count_signed(&laptop, told[1]);
	world_check(count == MANY, "messages", "laptop hears of %u that are signed, not %u", count,
		    MANY);
	peers_reload("drain: 7s\n");
	count = count_signed(&laptop, told[1]);
	world_check(count == 0, "messages", "a change of other things tells %u again", count);
	peers_end();
	/* The next scenes' relay has learned of none. */
	store_write("/var/relay-a/" SIGNED_REVOKED_NAME, "[]", 2);
}

/* Within a second, a console as well as an agent. */
static void scene_a_revoked_peer_goes(void)
{
	peers_begin("");
	peers_two_agents();
	peers_cut_through();
	(void)peer_sign_in(&admin, relay_host, WIRE_HELLO_CONSOLE);
	(void)peer_sign_in(&guest, relay_host, 0);
	peers_change("revoked:\n  - agent: admin\n  - agent: laptop\n");
	world_run(SECOND);
	world_check(peer_gone(&admin, 1), "revoked", "a revoked console stays connected");
	world_check(peer_gone(&laptop, 1), "revoked", "a revoked agent stays linked");
	(void)peer_expect_bye(&laptop, REASON_REVOKED);
	world_check(peer_gone(&asking, 1), "revoked", "the session of a revoked agent goes on");
	peers_expect_still_there(&guest, "an agent that is not revoked is sent away");
	world_check(peer_dial(&laptop, relay_host), "links", "laptop cannot dial");
	peer_frame_hello(&laptop, 0);
	peer_flush(&laptop);
	(void)peer_expect_bye(&laptop, REASON_REVOKED);
	peers_end();
}

/* A link or a console that says nothing: only the clock can end it. */
static void scene_a_certificate_ends(void)
{
	struct certs_pair lasting[] = {world_pairs[GUEST], world_pairs[ADMIN]};
	enum { LIVES_S = 60 };
	bool console = dice_chance(&world_dice, 500);
	struct peer *who = console ? &admin : &guest;
	time_t ends = time(NULL) + LIVES_S;

	world_pairs[GUEST] = certs_make_pair(&world_ca, IDENTITY_AGENT, "guest", -86400, LIVES_S);
	world_pairs[ADMIN] = certs_make_pair(&world_ca, IDENTITY_CONSOLE, "admin", -86400, LIVES_S);
	peers_begin("");
	(void)peer_sign_in(who, relay_host, console ? WIRE_HELLO_CONSOLE : 0);
	world_run((uint64_t)(ends - time(NULL) - 1) * SECOND);
	peers_expect_still_there(who, "a certificate that has not ended is refused");
	if (console)
		world_check(peer_gone(who, 2 * SECOND + 100 * MS), "ends",
			    "a console's certificate has ended, and it is still connected");
	else
		(void)peer_expect_bye(who, REASON_CERT_EXPIRED);
	world_check(time(NULL) <= ends + 1, "ends", "an end is noticed %d s late",
		    (int)(time(NULL) - ends));
	peers_end();
	certs_free_pair(&world_pairs[GUEST]);
	certs_free_pair(&world_pairs[ADMIN]);
	world_pairs[GUEST] = lasting[0];
	world_pairs[ADMIN] = lasting[1];
}

/* ---- what goes wrong ---- */

/* A peer that was sent away and neither reads nor closes is not kept. */
static void scene_a_peer_that_does_not_go_is_let_go(void)
{
	struct wire_message ping = {.type = WIRE_PING};
	uint64_t before;

	peers_begin("");
	before = peers_totals().connections;
	(void)peer_sign_in(&guest, relay_host, 0);
	guest.mute = true; /* all that it is told piles up on the way */
	for (unsigned i = 0; i < 8000; i++) {
		peer_frame(&guest, &ping);
		if (guest.frame_len > WIRE_FRAME_MAX || i == 7999) {
			peer_flush(&guest);
			world_run(20 * MS);
		}
	}
	peers_reload("revoked:\n  - agent: guest\n");
	world_run(10 * SECOND);
	world_check(peers_totals().connections == before, "ends",
		    "a peer that was sent away is still connected after ten seconds");
	peers_end();
}

/* A console comes while the relay is short of memory: it is one, or none, and nothing stays. */
static void scene_a_console_in_a_famine(void)
{
	peers_begin("");
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
	peers_end();
}

/* Whether p is told this within a second. */
static bool peer_told(struct peer *p, const char *text)
{
	uint64_t end_us = k_now_us + SECOND;

	while (!memmem(p->got, p->got_len, text, strlen(text)) && k_now_us < end_us && !p->eof &&
	       !p->reset)
		(void)peer_has(p, p->got_len + 1, 100 * MS);
	return memmem(p->got, p->got_len, text, strlen(text)) != NULL;
}

/* Among a relay's 64 consoles there is room for no other: it is told so, and does not wait. */
static void scene_one_console_too_many(void)
{
	static struct peer many[65];
	static const char call[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"schema\"}\n";
	struct peer *last = &many[64];

	peers_begin("");
	for (unsigned i = 0; i < 65; i++) {
		peer_start(&many[i], "console", ADMIN, host[3]);
		(void)peer_sign_in(&many[i], relay_host, WIRE_HELLO_CONSOLE);
	}
	world_check(peer_gone(last, 2 * SECOND), "ends", "a console that is not served waits");
	world_check(peer_told(last, "too many consoles"), "told",
		    "a console that is not served is not told why");
	peer_end(&many[0]);
	world_run(2 * SECOND);
	peer_end(last);
	peer_start(last, "console", ADMIN, host[3]);
	(void)peer_sign_in(last, relay_host, WIRE_HELLO_CONSOLE);
	peer_write(last, call, sizeof(call) - 1);
	world_check(peer_told(last, "\"result\""), "answers",
		    "a console in a free place is not served");
	for (unsigned i = 1; i < 65; i++)
		peer_end(&many[i]);
	peers_end();
}

/* A console that says nothing for an hour is gone, also one that never has; one that asks stays. */
static void scene_a_console_that_says_nothing(void)
{
	static const char call[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"schema\"}\n";
	struct peer silent;

	peers_begin("");
	peer_start(&silent, "silent", ADMIN, host[3]);
	(void)peer_sign_in(&silent, relay_host, WIRE_HELLO_CONSOLE);
	(void)peer_sign_in(&admin, relay_host, WIRE_HELLO_CONSOLE);
	world_run(3000 * SECOND);
	admin.got_len = admin.looked_at = 0;
	peer_write(&admin, call, sizeof(call) - 1);
	world_check(peer_told(&admin, "\"result\""), "answers",
		    "a console that was silent for a while is not served");
	world_check(peer_gone(&silent, 610 * SECOND), "ends", "a silent console is kept");
	world_run(2980 * SECOND);
	peers_expect_still_there(&admin, "a console that asks now and then is let go");
	world_check(peer_gone(&admin, 40 * SECOND), "ends", "a console that is silent now is kept");
	world_check(peers_totals().refused[REASON_DEADLINE_IDLE] == 2, "counted",
		    "two silent consoles count %llu times",
		    (unsigned long long)peers_totals().refused[REASON_DEADLINE_IDLE]);
	peer_end(&silent);
	peers_end();
}

/* An agent's own words fill a trace's line, and the line ends inside one of their characters. */
static void scene_a_trace_of_many_words(void)
{
	static const char call[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"trace\","
				   "\"params\":{\"agent\":\"home\"}}\n";
	char words[WIRE_TEXT_MAX + 1];

	peers_begin("");
	peers_two_agents();
	(void)peer_sign_in(&admin, relay_host, WIRE_HELLO_CONSOLE);
	peer_write(&admin, call, sizeof(call) - 1);
	world_check(peer_told(&admin, "\"result\""), "answers", "a trace is refused");
	for (unsigned shift = 0; shift < 2; shift++) {
		struct wire_message m = {.type = WIRE_REFUSE};
		size_t len = shift;

		admin.got_len = admin.looked_at = 0;
		m.refuse.session = peers_offered();
		memset(words, 'a', len);
		for (; len + 2 <= WIRE_TEXT_MAX; len += 2)
			memcpy(words + len, "\xc3\xa9", 2);
		words[len] = '\0';
		m.refuse.reason = REASON_TARGET_UNREACHABLE;
		m.refuse.text = wire_text(words);
		peer_say(&home, &m);
		world_check(peer_told(&admin, "REFUSE"), "told",
			    "a refusal of many words is missing in the trace");
		peers_renew(&asking);
	}
	peers_end();
}

/* A console calls faster than it is served: it is read no faster, and each call is answered. */
static void scene_calls_without_end(void)
{
	enum { CALLS = 4000 };
	static char calls[CALLS * 3];
	size_t before, answers = 0;

	peers_begin("");
	(void)peer_sign_in(&admin, relay_host, WIRE_HELLO_CONSOLE);
	admin.got_len = admin.looked_at = 0;
	for (unsigned i = 0; i < CALLS; i++)
		memcpy(calls + i * 3, "{}\n", 3);
	before = relay.program->memory_bytes;
	relay.program->memory_most = before;
	peer_write(&admin, calls, sizeof(calls));
	(void)peer_has(&admin, PEER_KEPT, 5 * SECOND);
	for (size_t i = 0; i < admin.got_len; i++)
		answers += admin.got[i] == '\n';
	world_check(answers == CALLS, "answers", "%zu of %u calls are answered", answers,
		    (unsigned)CALLS);
	world_check(relay.program->memory_most - before < 900000, "memory-bounded",
		    "calls that are not served yet take %zu bytes",
		    relay.program->memory_most - before);
	peers_end();
}

/* A console calls while the relay is short of memory: each call is answered, or the connection
 * ends.
 */
static void scene_calls_in_a_famine(void)
{
	static const char call[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sessions\"}\n";

	peers_begin("");
	peers_two_agents();
	peers_cut_through();
	for (unsigned i = 0; i < 8; i++) {
		if (!peer_sign_in(&admin, relay_host, WIRE_HELLO_CONSOLE))
			continue;
		admin.got_len = admin.looked_at = 0;
		relay.program->no_memory = (unsigned)dice_between(&world_dice, 5, 300);
		peer_write(&admin, call, sizeof(call) - 1);
		world_run(SECOND);
		relay.program->no_memory = 0;
		world_check(peer_told(&admin, "\"id\":1") || peer_gone(&admin, 5 * SECOND),
			    "answers", "a call that came while memory was short is never answered");
		world_check(!peer_told(&admin, "\"result\"") || peer_told(&admin, "\"talk\""),
			    "answers", "a list that lacks what runs passes for whole");
		peer_end(&admin);
		peer_start(&admin, "admin", ADMIN, host[3]);
	}
	world_run(5 * SECOND);
	world_check(!relay.relay.control->consoles && relay.relay.control->console_count == 0,
		    "accounts", "a console that has gone is counted");
	peers_end();
}

static const peers_scene scenes[] = {
	scene_a_hello_needs_its_proof,	   scene_messages_that_come_together,
	scene_frames_in_pieces_and_others, scene_the_proven_do_not_count_as_strangers,
	scene_one_stranger_too_many,	   scene_the_older_link_ends,
	scene_all_revoked_names_are_told,  scene_a_name_is_revoked_no_more,
	scene_what_is_signed_is_told,	   scene_a_revoked_peer_goes,
	scene_a_certificate_ends,	   scene_a_peer_that_does_not_go_is_let_go,
	scene_a_console_in_a_famine,	   scene_one_console_too_many,
	scene_a_console_that_says_nothing, scene_a_trace_of_many_words,
	scene_calls_in_a_famine,	   scene_calls_without_end,
};

void world_peers_link(void)
{
	peers_play(scenes, sizeof(scenes) / sizeof(scenes[0]));
}
