/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entitled_world: rights that end while something runs by them: a certificate's time, a CA that is
 * taken out, a list that no longer names an agent; and those that go on, by a newer certificate.
 * Relays look away in some of these worlds: the agents end by themselves then.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/engine/certificate.h"
#include "core/log.h"
#include "relay/control/control_internal.h"
#include "relay/session/session.h"
#include "tests/world/stage.h"
#include "tests/world/worlds.h"

#define AT_ONCE_US SECOND
#define RELAYS	   "relays:\n  - address: relay-a:443\n"
#define FORWARD	   RELAYS "forward:\n  - listen: 127.0.0.1:800\n    to: home/talk\n"
#define TALK	   RELAYS "publish:\n  - service: talk\n    target: 127.0.0.1:700\n"

/* ---- what happens here ---- */

/* A relay that is in other hands: none of its clocks asks anything. */
static void look_away(void *unused, uint64_t again)
{
	const struct relay *r = &stage.relays[0].relay;

	if (!stage.relays[0].up)
		return;
	for (unsigned i = 0; i < r->worker_count; i++)
		r->workers[i].sessions->look.again = 0;
	world_after(100 * MS, look_away, NULL, 0);
}

static unsigned at_home(const char *name)
{
	return world_agent_sessions_with(&stage.home, name);
}

/* home may have a session whose end it cannot notice, as the other side does not read. */
static void expect_ended(bool by_relay, bool by_home, const char *when)
{
	world_check(!by_relay || world_relay_sessions_of(&stage.relays[0], "guest") == 0, "expires",
		    "%s, and guest has %u sessions at the relay", when,
		    world_relay_sessions_of(&stage.relays[0], "guest"));
	world_check(!by_relay || !world_relay_links(&stage.relays[0], "guest"), "expires",
		    "%s, and guest is linked", when);
	world_check(!by_home || at_home("guest") == 0, "expires",
		    "%s, and home has %u sessions with guest", when, at_home("guest"));
}

static void finish(void)
{
	(void)world_until(talks_over, NULL, 900 * SECOND);
	talks_judge();
	stage_clear();
}

/* ---- time ---- */

/* Ends in mid-session, at a relay that sees to it or not; the clock may leap there instead of
 * going. */
void world_contractor(void)
{
	struct certs_pair lasting = world_pairs[GUEST];
	bool hostile = dice_chance(&world_dice, 500), leaps = dice_chance(&world_dice, 300),
	     idle = dice_chance(&world_dice, 250);
	time_t ends = time(NULL) + 120;

	world_pairs[GUEST] = certs_make_pair(&world_ca, IDENTITY_AGENT, "guest", -86400, 120);
	stage_set(1, "");
	if (hostile)
		look_away(NULL, 0);
	if (!idle)
		(void)stage_lasting_talk(&stage.at_guest);
	(void)stage_lasting_talk(&stage.at_laptop);
	world_run(30 * SECOND);
	world_check(at_home("guest") == !idle && at_home("laptop") == 1, "links",
		    "the talks have not begun");
	if (leaps) {
		k_realtime_offset_us += (ends - time(NULL)) * (int64_t)SECOND;
		world_run(11 * SECOND);
	} else {
		world_run((uint64_t)(ends - time(NULL)) * SECOND + AT_ONCE_US);
	}
	expect_ended(!hostile, true, "guest's certificate has ended");
	world_check(world_agent_sessions_with(&stage.guest, "home") == 0, "expires",
		    "guest's own certificate has ended, and its session goes on there");
	world_check(at_home("laptop") == 1, "goes-on", "laptop's session ends with guest's");
	finish();
	certs_free_pair(&world_pairs[GUEST]);
	world_pairs[GUEST] = lasting;
}

static void renew(enum who who, struct world_agent *a, const char *lines, struct certs_pair lasting)
{
	certs_free_pair(&world_pairs[who]);
	world_pairs[who] = lasting;
	world_agent_write(a, lines);
	k_signal(a->program, SIGHUP);
}

/* Newer certificates of the same names, proved to relay and agents, prolong what runs: of the side
 * that asked and of the one that answered, with nothing else between the two but that session. The
 * relay may be away for a while when the first of them comes. */
void world_renewed(void)
{
	bool cut = dice_chance(&world_dice, 300), home_first = dice_chance(&world_dice, 500);
	struct certs_pair guests = world_pairs[GUEST], homes = world_pairs[HOME];

	world_pairs[GUEST] = certs_make_pair(&world_ca, IDENTITY_AGENT, "guest", -86400, 240);
	world_pairs[HOME] = certs_make_pair(&world_ca, IDENTITY_AGENT, "home", -86400, 240);
	stage_set(1, "");
	(void)stage_lasting_talk(&stage.at_guest);
	world_run(30 * SECOND);
	if (cut)
		k_cable_pull(stage.relay_hosts[0], stage.guest_host, true);
	if (home_first)
		renew(HOME, &stage.home, TALK, homes);
	renew(GUEST, &stage.guest, FORWARD, guests);
	world_run(20 * SECOND);
	k_cable_pull(stage.relay_hosts[0], stage.guest_host, false);
	if (!home_first)
		renew(HOME, &stage.home, TALK, homes);
	world_run(220 * SECOND);
	world_check(world_agent_linked(&stage.guest) && world_agent_linked(&stage.home), "links",
		    "an agent is not linked anew");
	world_check(world_relay_sessions_of(&stage.relays[0], "guest") == 1 &&
			    at_home("guest") == 1 &&
			    world_agent_sessions_with(&stage.guest, "home") == 1,
		    "goes-on", "both have newer certificates, and their session has ended");
	finish();
}

/* ---- CAs ---- */

static struct certs_ca other_ca;
static char *own_pem, both_pem[8192];

/* All trust two CAs; the other one has issued for this one. */
static struct certs_pair by_another_ca(enum who who, enum identity_role role)
{
	struct certs_pair before = world_pairs[who];

	other_ca = certs_make_ca("Another Ltd");
	own_pem = world_ca.pem;
	snprintf(both_pem, sizeof(both_pem), "%s%s", own_pem, other_ca.pem);
	world_ca.pem = both_pem;
	world_pairs[who] = certs_make_pair(&other_ca, role, who_name(who), -86400, 86400);
	return before;
}

static void one_ca_again(enum who who, struct certs_pair before)
{
	certs_free_pair(&world_pairs[who]);
	world_pairs[who] = before;
	world_ca.pem = own_pem;
	certs_free_ca(&other_ca);
}

static json_t *without_the_other(json_t *config)
{
	json_t *next = json_deep_copy(config);

	config_set_in(next, "identity", "ca", json_string(own_pem));
	json_decref(config);
	return next;
}

/* Taken out at the relay, or by home's file alone. */
void world_ca_removed(void)
{
	struct certs_pair before = by_another_ca(GUEST, IDENTITY_AGENT);
	bool at_relay = dice_chance(&world_dice, 500);

	stage_set(1, "");
	(void)stage_lasting_talk(&stage.at_guest);
	(void)stage_lasting_talk(&stage.at_laptop);
	world_run(10 * SECOND);
	world_check(at_home("guest") == 1, "links", "guest's talk has not begun");
	if (at_relay) {
		world_check(operator_apply(&stage.operator,
					   without_the_other(operator_config(&stage.operator)), 0),
			    "answers", "a CA cannot be taken out");
	} else {
		world_ca.pem = own_pem;
		world_agent_write(&stage.home, TALK);
		world_ca.pem = both_pem;
		k_signal(stage.home.program, SIGHUP);
	}
	world_run(AT_ONCE_US + 100 * MS);
	expect_ended(at_relay, !at_relay, "guest's CA is taken out");
	world_check(at_home("laptop") == 1, "goes-on", "laptop's session ends with guest's CA");
	world_run(60 * SECOND);
	expect_ended(at_relay, !at_relay, "guest's CA is out since a minute");
	finish();
	one_ca_again(GUEST, before);
}

/* A change that a console may make, of a configuration that has no CA but our own, even if it cuts
 * its caller off. */
static json_t *changed(json_t *config, const char *key, json_t *value)
{
	json_t *next = without_the_other(json_incref(config));

	json_object_set_new(next, key, value);
	return json_pack("{s:o, s:b}", "config", next, "force", true);
}

/* A console whose CA was taken out, by another or by itself, does not put it back, nor does it
 * change anything else, by lines that are on their way neither. */
void world_ca_put_back(void)
{
	struct certs_pair before = by_another_ca(ADMIN, IDENTITY_CONSOLE);
	struct operator console;
	json_t *was, *is;

	stage_set(1, "");
	operator_start_away(&console, &stage.relays[0], stage.internet);
	world_check(world_until(operator_settled, &console, 20 * SECOND) && console.signed_in,
		    "links", "the console is not let in");
	was = operator_config(&stage.operator);
	if (dice_chance(&world_dice, 700)) {
		operator_ask(&console, "config.apply", changed(was, "drain", json_string("7s")));
		for (unsigned i = 0; i < 8; i++)
			operator_ask(&console, "config.apply",
				     changed(was, "drain", json_string("8s")));
		world_run(2 * SECOND);
		world_check(stage.relays[0].relay.control->current->config.drain_ms == 7000,
			    "expires", "a console whose CA was taken out has changed a relay");
	} else {
		operator_ask(&stage.operator, "config.apply",
			     json_pack("{s:o}", "config", without_the_other(json_incref(was))));
	}
	for (unsigned i = 0; i < 20; i++) {
		operator_ask(&console, "config.apply", json_pack("{s:O}", "config", was));
		world_run(dice_below(&world_dice, 50 * MS));
	}
	world_run(AT_ONCE_US);
	is = operator_config(&stage.operator);
	world_check(
		strcmp(json_string_value(json_object_get(json_object_get(is, "identity"), "ca")),
		       own_pem) == 0,
		"expires", "a console whose CA was taken out has put it back");
	world_check(!console.connected || console.line == NULL, "expires",
		    "a console whose CA was taken out is still there");
	json_decref(is);
	json_decref(was);
	operator_stop(&console);
	finish();
	one_ca_again(ADMIN, before);
}

/* The same at an agent, whose operator has edited its file; or the console does it to itself, and
 * its second thought comes in the same breath. Neither puts the CA back, nor changes anything. */
void world_ca_put_back_at_agent(void)
{
	enum { BEFORE = 700, AFTER = 800 };
	struct certs_pair before = by_another_ca(ADMIN, IDENTITY_CONSOLE);
	struct operator console;
	json_t *was;

	stage_set(1, "");
	operator_start_at_agent(&console, &stage.relays[0], stage.internet, "home");
	was = operator_config(&console);
	if (dice_chance(&world_dice, 700)) {
		operator_ask(&console, "config.apply",
			     changed(was, "max_sessions", json_integer(BEFORE)));
		for (unsigned i = 0; i < 8; i++)
			operator_ask(&console, "config.apply",
				     changed(was, "max_sessions", json_integer(AFTER + i)));
		world_run(2 * SECOND);
		world_check(stage.home.agent.setup.config->max_sessions == BEFORE, "expires",
			    "a console whose CA was taken out has changed an agent: %llu sessions",
			    (unsigned long long)stage.home.agent.setup.config->max_sessions);
	} else {
		world_ca.pem = own_pem;
		world_agent_write(&stage.home, TALK);
		world_ca.pem = both_pem;
		k_signal(stage.home.program, SIGHUP);
	}
	for (unsigned i = 0; i < 20; i++) {
		operator_ask(&console, "config.apply", json_pack("{s:O}", "config", was));
		world_run(dice_below(&world_dice, 50 * MS));
	}
	world_run(2 * SECOND);
	world_check(strcmp(stage.home.agent.setup.config->identity.ca, own_pem) == 0, "expires",
		    "a console whose CA was taken out has put it back at an agent");
	json_decref(was);
	operator_stop(&console);
	finish();
	one_ca_again(ADMIN, before);
}

#define NAMED RELAYS "publish:\n  - service: talk\n    target: inside.example:700\n"

/* The ceiling comes down on what runs: a name may be published still, and where it led may not. */
void world_targets_narrowed(void)
{
	stage_set(1, "");
	names_set("inside.example", "127.0.0.1");
	world_agent_write(&stage.home, NAMED "targets: ['127.0.0.1:700', '127.0.0.2:700']\n");
	k_signal(stage.home.program, SIGHUP);
	world_run(SECOND);
	(void)stage_lasting_talk(&stage.at_guest);
	world_run(10 * SECOND);
	world_check(at_home("guest") == 1, "links", "guest's talk has not begun");
	world_agent_write(&stage.home, NAMED "targets: ['127.0.0.1:700']\n");
	k_signal(stage.home.program, SIGHUP);
	world_run(AT_ONCE_US);
	world_check(at_home("guest") == 1, "goes-on", "a session ends whose target still fits");
	world_agent_write(&stage.home, NAMED "targets: ['127.0.0.2:700']\n");
	k_signal(stage.home.program, SIGHUP);
	world_run(AT_ONCE_US);
	world_check(at_home("guest") == 0, "expires",
		    "a session goes on with a target that does not fit any more");
	finish();
}

/* ---- what the two sides hear ---- */

#define LOUD "log_level: info\n" /* in each file: the level is one for all of a world */

static char heard_at[2][4]; /* how the last session ended, in the log of home and of guest */

static void hear_endings(struct k_program *p, const char *line, size_t len)
{
	const char *closed = memmem(line, len, "closed id=", 10), *code;

	if (!closed || (p != stage.home.program && p != stage.guest.program))
		return;
	code = memmem(closed, len - (size_t)(closed - line), " ending=", 8);
	if (code)
		snprintf(heard_at[p == stage.guest.program], 4, "%.3s", code + 8);
}

static json_t *with_policy_for_laptop(json_t *config)
{
	json_t *next = json_deep_copy(config);

	json_object_set_new(next, "policy",
			    json_pack("[{s:[s], s:[s]}]", "from", "laptop", "to", "home/*"));
	json_decref(config);
	return next;
}

/* The relay ends a session, and both agents know why: of the legs they see resets, which are faster
 * than words. */
void world_told_why(void)
{
	static const char causes[] = {'K', 'V', 'C', 'A'};
	unsigned kind = (unsigned)dice_below(&world_dice, 4);
	struct certs_pair before = {0};

	if (kind == 3)
		before = by_another_ca(GUEST, IDENTITY_AGENT);
	stage_set(1, LOUD);
	heard_at[0][0] = heard_at[1][0] = '\0';
	k_log_line = hear_endings;
	log_set_level(LOG_LEVEL_INFO);
	(void)stage_lasting_talk(&stage.at_guest);
	(void)stage_lasting_talk(&stage.at_laptop);
	world_run(5 * SECOND + dice_below(&world_dice, SECOND));
	world_check(at_home("guest") == 1, "links", "guest's talk has not begun");
	if (kind == 0)
		(void)operator_call(&stage.operator, "kick", json_pack("{s:s}", "agent", "guest"));
	else if (kind == 1)
		(void)operator_call(&stage.operator, "revoke",
				    json_pack("{s:s}", "agent", "guest"));
	else if (kind == 2)
		(void)operator_apply(&stage.operator,
				     with_policy_for_laptop(operator_config(&stage.operator)), 0);
	else
		(void)operator_apply(&stage.operator,
				     without_the_other(operator_config(&stage.operator)), 0);
	world_run(AT_ONCE_US);
	for (unsigned i = 0; i < 2; i++)
		world_check(heard_at[i][2] == causes[kind], "reason",
			    "%s is told \"%s\" of a session that ends for %c", i ? "guest" : "home",
			    heard_at[i], causes[kind]);
	world_check(at_home("laptop") == 1, "goes-on", "laptop's session ends with guest's");
	k_log_line = NULL;
	finish();
	if (kind == 3)
		one_ca_again(GUEST, before);
}

/* One agent alone ends a session: for its own lists, for the CAs of its file, or since its relay
 * looks away. The relay has the reason on record, the other agent is told it, and no relay's word
 * is waited for. */
void world_told_by_agent(void)
{
	enum { LIST, GONE, CEILING, CA, TIME, KINDS };
	static const char causes[] = {'N', 'Y', 'N', 'A', 'F'};
	static const char *const files[] = {
		TALK "    allow: [laptop]\n" LOUD,
		RELAYS LOUD,
		NAMED "targets: ['127.0.0.2:700']\n" LOUD,
		TALK LOUD,
	};
	unsigned kind = (unsigned)dice_below(&world_dice, KINDS);
	struct certs_pair before = world_pairs[GUEST];
	const char *recorded, *why;
	time_t ends = time(NULL) + 120;

	if (kind == CA)
		before = by_another_ca(GUEST, IDENTITY_AGENT);
	else if (kind == TIME)
		world_pairs[GUEST] =
			certs_make_pair(&world_ca, IDENTITY_AGENT, "guest", -86400, 120);
	stage_set(1, LOUD);
	heard_at[0][0] = heard_at[1][0] = '\0';
	k_log_line = hear_endings;
	log_set_level(LOG_LEVEL_INFO);
	if (kind == TIME)
		look_away(NULL, 0);
	if (kind == CEILING) {
		names_set("inside.example", "127.0.0.1");
		world_agent_write(&stage.home, NAMED LOUD);
		k_signal(stage.home.program, SIGHUP);
		world_run(SECOND);
	}
	(void)stage_lasting_talk(&stage.at_guest);
	(void)stage_lasting_talk(&stage.at_laptop);
	world_run(5 * SECOND + dice_below(&world_dice, SECOND));
	world_check(at_home("guest") == 1, "links", "guest's talk has not begun");
	if (kind == CA)
		world_ca.pem = own_pem;
	if (kind == TIME)
		world_run((uint64_t)(ends - time(NULL)) * SECOND);
	else
		world_agent_write(&stage.home, files[kind]);
	if (kind == CA)
		world_ca.pem = both_pem;
	if (kind != TIME)
		k_signal(stage.home.program, SIGHUP);
	world_run(AT_ONCE_US);
	for (unsigned i = 0; i < 2; i++)
		world_check(heard_at[i][2] == causes[kind], "reason",
			    "%s is told \"%s\" of a session that ends for %c", i ? "guest" : "home",
			    heard_at[i], causes[kind]);
	recorded = world_relay_ending(&stage.relays[0], &why);
	world_check((recorded[0] == 'P' || (kind == TIME && recorded[0] == 'A')) &&
			    recorded[2] == causes[kind] && strstr(why, "agent ended it: "),
		    "reason", "the relay has \"%s\" (%s) on record of a session that ends for %c",
		    recorded, why, causes[kind]);
	k_log_line = NULL;
	finish();
	if (kind == CA) {
		one_ca_again(GUEST, before);
	} else if (kind == TIME) {
		certs_free_pair(&world_pairs[GUEST]);
		world_pairs[GUEST] = before;
	}
}

/* ---- relays ---- */

/* home's link as it was at the start, also where another one is to take its place. */
static const struct agent_link *home_link_before;

static bool left(void *unused)
{
	return !link_state_live(&home_link_before->state);
}

static void revoke_the_relay(void)
{
	X509 *x = certificate_of_pem(world_pairs[RELAY_A].certificate);
	char serial[CERTIFICATE_SERIAL_BYTES];

	world_check(x && certificate_serial(x, serial) &&
			    operator_call(&stage.operator, "revoke",
					  json_pack("{s:s}", "serial", serial)),
		    "answers", "the relay's own certificate cannot be revoked");
	X509_free(x);
}

/* A relay's certificate ends, by the clock or its leap, its CA is taken out of home's file, or it
 * is revoked: agents leave it, with the reason, and what runs between them goes on. */
void world_relay_ends(void)
{
	static const char *const words[] = {"has expired", "has expired", "identity.ca", "revoked"};
	unsigned kind = (unsigned)dice_below(&world_dice, 4);
	struct certs_pair before = world_pairs[RELAY_A];
	time_t ends = time(NULL) + 120;

	if (kind == 2)
		before = by_another_ca(RELAY_A, IDENTITY_RELAY);
	else if (kind < 2)
		world_pairs[RELAY_A] =
			certs_make_pair(&world_ca, IDENTITY_RELAY, "relay-a", -86400, 120);
	stage_set(1, "");
	(void)stage_lasting_talk(&stage.at_laptop);
	world_run(30 * SECOND);
	home_link_before = stage.home.agent.links.list[0];
	world_check(at_home("laptop") == 1 && !left(NULL), "links", "the talk has not begun");
	if (kind == 0)
		world_run((uint64_t)(ends - time(NULL) - 1) * SECOND);
	else if (kind == 1)
		k_realtime_offset_us += (ends - time(NULL)) * (int64_t)SECOND;
	else if (kind == 3)
		revoke_the_relay();
	if (kind == 2) {
		world_ca.pem = own_pem;
		world_agent_write(&stage.home, TALK);
		world_ca.pem = both_pem;
		k_signal(stage.home.program, SIGHUP);
	}
	world_check(world_until(left, NULL,
				kind == 0   ? SECOND + AT_ONCE_US
				: kind == 1 ? 11 * SECOND
					    : AT_ONCE_US),
		    "expires", "a relay that counts no more (%u) is not left", kind);
	world_check(strstr(home_link_before->state.why, words[kind]) != NULL, "reason",
		    "a relay that counts no more (%u) is left with \"%s\"", kind,
		    home_link_before->state.why);
	world_run(20 * SECOND);
	world_check(kind == 3 || !world_agent_linked(&stage.home), "expires",
		    "a relay that counts no more (%u) is signed in to again", kind);
	world_check(at_home("laptop") == 1, "goes-on",
		    "a session of two agents ends with the right of their relay (%u)", kind);
	finish();
	if (kind == 2) {
		one_ca_again(RELAY_A, before);
	} else if (kind < 2) {
		certs_free_pair(&world_pairs[RELAY_A]);
		world_pairs[RELAY_A] = before;
	}
}

/* A relay renews in time: links outlive what they began with where legs are shown the new one;
 * where there are none, agents leave at the end and come again at once. */
void world_relay_newer(void)
{
	struct certs_pair before = world_pairs[RELAY_A];
	bool cold = dice_chance(&world_dice, 300);
	uint64_t link;

	world_pairs[RELAY_A] =
		certs_make_pair(&world_ca, IDENTITY_RELAY, "relay-a", -86400, 45 * 60);
	stage_set(1, "");
	if (cold) {
		world_agent_write(&stage.home, TALK "warm_legs: 0\n");
		k_signal(stage.home.program, SIGHUP);
	}
	world_run(60 * SECOND);
	link = stage.home.agent.links.list[0]->id;
	certs_free_pair(&world_pairs[RELAY_A]);
	world_pairs[RELAY_A] = before;
	world_relay_write(&stage.relays[0], stage.relay_config);
	k_signal(stage.relays[0].program, SIGHUP);
	world_run(43 * 60 * SECOND);
	world_check(world_agent_linked(&stage.home) && stage.home.agent.links.list[0]->id == link,
		    "goes-on", "home has left its relay before its time");
	world_run(70 * SECOND);
	world_check(world_agent_linked(&stage.home), "links", "home has lost a relay that renewed");
	world_check(cold || stage.home.agent.links.list[0]->id == link, "goes-on",
		    "home has left a relay that has shown a newer certificate");
	world_check(!cold || stage.home.agent.links.list[0]->id != link, "expires",
		    "home stays by a certificate that has ended");
	finish();
}

/* ---- lists ---- */

/* The publishing agent's own list no longer names guest, or the service is gone. */
void world_allow_changed(void)
{
	bool gone = dice_chance(&world_dice, 300);

	stage_set(1, "");
	(void)stage_lasting_talk(&stage.at_guest);
	(void)stage_lasting_talk(&stage.at_laptop);
	world_run(10 * SECOND);
	world_check(at_home("guest") == 1 && at_home("laptop") == 1, "links",
		    "the talks have not begun");
	world_agent_write(&stage.home, gone ? RELAYS : TALK "    allow: [laptop]\n");
	k_signal(stage.home.program, SIGHUP);
	world_run(AT_ONCE_US);
	world_check(at_home("guest") == 0, "expires",
		    "guest may not use the service any more, and does");
	world_check(at_home("laptop") == !gone, "goes-on",
		    "laptop has %u sessions with a service that is %s", at_home("laptop"),
		    gone ? "gone" : "its to use");
	finish();
}
