/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signed_world: revocations that a console has signed: they count at every agent that has heard of
 * them, by whichever relay, over restarts, until a signature takes them back.
 *
 * Of two relays the second plays the liar: it is never told, and says nothing of them.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/control/control_internal.h"
#include "relay/control/control_internal.h"
#include "tests/support/signed.h"
#include "tests/world/stage.h"
#include "tests/world/worlds.h"

static struct identity *admin;

static void signed_begin(void)
{
	char why[256];

	admin = identity_new(world_ca.pem, world_pairs[ADMIN].certificate, world_pairs[ADMIN].key,
			     time(NULL), why, sizeof(why));
	if (!admin)
		world_broken("the console's identity: %s", why);
}

static json_t *object_text(const uint8_t *object, size_t len)
{
	char text[REVOCATION_BASE64_BYTES];

	revocation_to_text(object, len, text);
	return json_pack("{s:s}", "signed", text);
}

static json_t *text_of(const struct identity *signer, struct signed_revocation r)
{
	uint8_t object[REVOCATION_MAX];

	return object_text(object, signed_make(signer, &r, object));
}

/* Signed by the console, as text. */
static json_t *signed_text(enum revocation_verb verb, const char *name, uint64_t counter)
{
	return text_of(admin, (struct signed_revocation){
				      .verb = verb, .value = wire_text(name), .counter = counter});
}

static uint64_t now_ms(void)
{
	return (uint64_t)time(NULL) * 1000;
}

static bool says(const char *method, json_t *params)
{
	return operator_call(&stage.operator, method, params) != NULL;
}

/* guest's new sessions to home fail, and home has none of it. */
static void check_out(const char *when)
{
	world_check(!stage_goes_through(stage_talk_from(&stage.at_guest, 100, 100)), "revoked",
		    "guest is revoked, and its session goes through %s", when);
	world_run(SECOND);
	world_check(world_agent_sessions_with(&stage.home, "guest") == 0, "revoked",
		    "guest is revoked, and home has %u sessions with it %s",
		    world_agent_sessions_with(&stage.home, "guest"), when);
}

static void check_in(const char *when)
{
	bool through = false;

	for (unsigned i = 0; i < 40 && !through; i++) {
		through = stage_goes_through(stage_talk_from(&stage.at_guest, 100, 100));
		world_run(5 * SECOND);
	}
	world_check(through, "goes-on", "guest cannot reach home %s", when);
	world_check(stage_goes_through(stage_talk_from(&stage.at_laptop, 100, 100)), "goes-on",
		    "laptop cannot reach home %s", when);
}

static bool home_linked(void *unused)
{
	return world_agent_linked(&stage.home);
}

/* home comes again, and the relay that would tell it cannot be reached. */
static void home_again_without_a(void)
{
	k_cable_pull(stage.relay_hosts[0], stage.home_host, true);
	if (dice_chance(&world_dice, 500)) {
		world_agent_stop(&stage.home);
	} else {
		world_run(SECOND); /* what is learned is kept within half of one */
		world_agent_crash(&stage.home);
	}
	stage_agent_again(&stage.home);
	world_check(world_until(home_linked, NULL, 100 * SECOND), "links",
		    "home does not come back by the second relay");
}

/* With talk, guest begins a session meanwhile, which goes by the other relay. */
static void relay_a_again(bool talk)
{
	struct talk *t;

	operator_stop(&stage.operator);
	world_relay_kill(&stage.relays[0]);
	world_run(SECOND + dice_size(&world_dice, 4 * SECOND));
	if (talk) {
		t = stage_talk_from(&stage.at_guest, 1 << 20, 1 << 20);
		t->side[1].plan.pause_at = 1000;
		t->side[1].plan.pause_us = 200 * SECOND;
		t->disturbed = true;
		world_run(3 * SECOND);
	}
	world_relay_start(&stage.relays[0], RELAY_A, stage.relay_hosts[0], NULL);
	operator_start(&stage.operator, & stage.relays[0]);
}

void world_signed(void)
{
	uint64_t first = now_ms(), last;
	const char *ending;
	json_t *revoke;

	signed_begin();
	stage_set(2, "revoked:\n  - agent: stranger\n"); /* each has a word of its own, too */
	revoke = signed_text(REVOCATION_REVOKE, "guest", first);
	check_in("before all");
	relay_a_again(true);
	world_run(40 * SECOND);
	world_check(world_agent_sessions_with(&stage.home, "guest") == 1, "goes-on",
		    "home has %u sessions with guest by the second relay",
		    world_agent_sessions_with(&stage.home, "guest"));
	world_check(says("revoke", json_incref(revoke)), "answers", "guest cannot be revoked");
	world_run(SECOND);
	world_check(!world_relay_links(&stage.relays[0], "guest"), "revoked",
		    "guest is revoked, and linked a second later");
	world_check(world_agent_sessions_with(&stage.home, "guest") == 0, "revoked",
		    "guest is revoked, and home has %u sessions with it a second later",
		    world_agent_sessions_with(&stage.home, "guest"));
	world_check(world_relay_links(&stage.relays[1], "guest"), "links",
		    "the relay that was not told has lost guest");
	ending = world_relay_ending(&stage.relays[1], NULL);
	world_check(
		ending[0] == 'P' && ending[2] == 'V', "reason",
		"home ends a session for what it has heard elsewhere, and its relay has \"%s\" on "
		"record",
		ending);
	check_out("by the relay that hides it");
	home_again_without_a();
	check_out("after home's restart");
	k_cable_pull(stage.relay_hosts[0], stage.home_host, false);
	relay_a_again(false);
	world_run(30 * SECOND);
	world_check(!world_relay_links(&stage.relays[0], "guest"), "revoked",
		    "the relay has forgotten it over its restart");
	/* No word takes it back. */
	world_check(!says("unrevoke", json_pack("{s:s}", "agent", "guest")), "refused",
		    "a word takes a signature back");
	check_out("after a word");
	last = now_ms();
	world_check(says("unrevoke", signed_text(REVOCATION_TAKE_BACK, "guest", last)), "answers",
		    "it cannot be taken back");
	check_in("after it was taken back");
	world_check(!says("revoke", revoke), "refused", "an older one counts");
	check_in("after an older one");
	(void)world_until(talks_over, NULL, 900 * SECOND);
	talks_judge();
	stage_clear();
	identity_free(admin);
}

/* ---- what is refused ---- */

static void check_refused(const char *method, json_t *params, const char *what)
{
	world_check(!says(method, params), "refused", "%s is taken", what);
}

/* The file that was signed by the CA's own key, offline. */
static json_t *by_the_ca(enum revocation_verb verb, const char *name)
{
	const struct signed_revocation r = {.verb = verb, .value = wire_text(name)};
	uint8_t object[REVOCATION_MAX];

	return object_text(object, signed_make_by_ca(&world_ca, &r, object));
}

static size_t words(void)
{
	const json_t *result = operator_call(&stage.operator, "grants", NULL);

	return json_array_size(json_object_get(result, "revoked"));
}

static const json_t *asked_by_word(const char *name)
{
	return operator_call(&stage.operator, "revoke", json_pack("{s:s}", "agent", name));
}

/* While a change is on trial the relay's word cannot go, and so nothing does: the same object takes
 * both back afterwards. */
static void taken_back_on_trial(void)
{
	json_t *config, *back;

	(void)asked_by_word("waiting");
	(void)says("revoke", signed_text(REVOCATION_REVOKE, "waiting", now_ms() - 1000));
	back = signed_text(REVOCATION_TAKE_BACK, "waiting", now_ms());
	config = operator_config(&stage.operator);
	json_object_set_new(config, "log_level", json_string("debug"));
	world_check(operator_apply(&stage.operator, config, 5000), "answers",
		    "a change cannot be tried");
	check_refused("unrevoke", json_incref(back), "what a change on trial keeps from going");
	world_run(6 * SECOND);
	world_check(says("unrevoke", back), "answers",
		    "what was refused on trial cannot be taken back");
	world_check(words() == 1, "answers", "%zu words are left, not one", words());
}

void world_signed_refusals(void)
{
	struct identity *second = certs_identity(&world_ca, &world_ca, IDENTITY_CONSOLE, "second",
						 -7200, 86400),
			*agent = certs_identity(&world_ca, &world_ca, IDENTITY_AGENT, "eve", -7200,
						86400);
	const struct signed_revocation gone = {.value = wire_text("gone")},
				       own = {.value = wire_text(who_name(ADMIN))},
				       other = {.value = wire_text("other")};
	struct operator console;
	const json_t *answer;
	json_t *two;

	signed_begin();
	stage_set(1, "");
	check_refused("revoke", text_of(agent, gone), "what an agent signed");
	check_refused("revoke", json_pack("{s:s}", "signed", "rubbish"), "rubbish");
	check_refused("revoke", signed_text(REVOCATION_TAKE_BACK, "gone", 0),
		      "what takes back, as what revokes,");
	check_refused("unrevoke", text_of(second, gone), "what revokes, as what takes back,");
	two = text_of(second, gone);
	json_object_set_new(two, "agent", json_string("gone"));
	check_refused("revoke", two, "one thing signed, and another said,");
	world_check(says("revoke", by_the_ca(REVOCATION_REVOKE, "gone")), "answers",
		    "what the CA signed is refused");
	/* By the relay's own word: it says that it is none but that, and holds of signers too. */
	answer = asked_by_word("second");
	world_check(json_is_string(json_object_get(answer, "unsigned")), "answers",
		    "a word does not say that it is not signed");
	check_refused("revoke", text_of(second, other),
		      "what a console signed that is revoked here");
	(void)asked_by_word("guest");
	world_check(says("revoke", signed_text(REVOCATION_REVOKE, "guest", 0)), "answers",
		    "what is revoked by a word cannot be signed");
	check_refused("unrevoke", json_pack("{s:s}", "agent", "guest"),
		      "a word against a signature");
	world_check(words() == 2, "answers", "%zu are revoked by the relay's word, not two",
		    words());
	world_run(2 * SECOND);
	world_check(says("unrevoke", signed_text(REVOCATION_TAKE_BACK, "guest", 0)), "answers",
		    "it cannot be taken back");
	world_check(words() == 1, "answers",
		    "the relay's word stays when a signature takes it back");
	taken_back_on_trial();
	/* A console does not cut itself off; another may. */
	operator_start_away(&console, &stage.relays[0], stage.internet);
	(void)world_until(operator_settled, &console, 20 * SECOND);
	world_check(operator_call(&console, "revoke", text_of(admin, own)) == NULL, "refused",
		    "a console revokes itself");
	operator_stop(&console);
	/* What is not kept says so. */
	stage.relays[0].keeper_silent = true;
	answer =
		operator_call(&stage.operator, "revoke", signed_text(REVOCATION_REVOKE, "late", 0));
	world_check(json_is_string(json_object_get(answer, "unsaved")), "answers",
		    "what could not be kept does not say so");
	stage.relays[0].keeper_silent = false;
	(void)world_until(talks_over, NULL, 400 * SECOND);
	talks_judge();
	stage_clear();
	identity_free(second);
	identity_free(agent);
	identity_free(admin);
}

/* ---- what is told ---- */

/* How many of these events there are, of this name and with this in that field. */
static unsigned told_in(const struct records *all, const char *kind, const char *name,
			const char *key, const char *value)
{
	unsigned count = 0;

	for (size_t i = 0; i < RECORDS_KEPT; i++) {
		const json_t *one = all->kept[i], *what = json_object_get(one, "what");
		const char *is = json_string_value(json_object_get(one, "kind")),
			   *agent = json_string_value(json_object_get(one, "agent")),
			   *field = key ? json_string_value(json_object_get(one, key)) : value;

		if (!agent)
			agent = json_string_value(json_array_get(what, 0));
		count += is && strcmp(is, kind) == 0 && agent && strcmp(agent, name) == 0 &&
			 field && strcmp(field, value) == 0;
	}
	return count;
}

static unsigned told_at_relay(const char *kind, const char *name, const char *key,
			      const char *value)
{
	return told_in(&stage.relays[0].relay.control->events, kind, name, key, value);
}

static unsigned told_at_home(const char *kind, const char *name, const char *key, const char *value)
{
	return told_in(&stage.home.agent.control->events, kind, name, key, value);
}

/* At the relay and at home, which hears of it within a second. */
static void check_told(const char *kind, const char *name, const char *key, const char *value)
{
	world_check(told_at_relay(kind, name, key, value) == 1, "told",
		    "the relay tells %s of %s %u times", kind, name,
		    told_at_relay(kind, name, key, value));
	world_check(told_at_home(kind, name, key, value) == 1, "told",
		    "home tells %s of %s %u times", kind, name,
		    told_at_home(kind, name, key, value));
}

static bool revoked_in(const struct signed_revocations *all, const char *name)
{
	const struct signed_entry *e = signed_revocations_find(all, WIRE_REVOKED_NAME, name);

	return e && signed_entry_revokes(e);
}

static void check_revoked(const char *name, bool is, const char *when)
{
	world_check(revoked_in(&stage.relays[0].relay.control->signed_revocations, name) == is,
		    "revoked", "%s is%s revoked at the relay %s", name, is ? " not" : "", when);
	world_check(revoked_in(&stage.home.agent.links.signed_revocations, name) == is, "revoked",
		    "%s is%s revoked at home %s", name, is ? " not" : "", when);
}

static void check_refusals_counted(json_int_t count)
{
	const json_t *table = json_object_get(operator_call(&stage.operator, "status", NULL),
					      "signed_revocations");
	json_int_t is = json_integer_value(json_object_get(table, "refused"));

	world_check(is == count, "answers",
		    "%d signed revocations were refused, and status says %d", (int)count, (int)is);
}

static void check_lapsed_listed(const char *name)
{
	const json_t *list =
		json_object_get(operator_call(&stage.operator, "grants", NULL), "signed");
	const json_t *one = json_array_get(list, 0);
	const char *is = json_string_value(json_object_get(one, "agent"));

	world_check(json_array_size(list) == 1 && is && strcmp(is, name) == 0 &&
			    json_is_true(json_object_get(one, "lapsed")),
		    "answers", "the revocation of %s is not listed as lapsed", name);
}

/* ---- a stolen console ---- */

/* It dates back, which nobody can check, and takes back; until the CA's own key revokes it. */
void world_signed_stolen(void)
{
	struct identity *second =
		certs_identity(&world_ca, &world_ca, IDENTITY_CONSOLE, "second", -7200, 86400);
	struct signed_revocation r = {.value = wire_text("guest"),
				      .issued = (uint64_t)time(NULL) - 3600};
	bool again = dice_chance(&world_dice, 500);

	signed_begin();
	stage_set(1, "");
	check_in("before all");
	world_check(says("revoke", signed_text(REVOCATION_REVOKE, "phone", 0)), "answers",
		    "a console cannot revoke");
	world_run(2 * SECOND);
	world_check(says("revoke", text_of(second, r)), "answers", "a thief cannot revoke");
	r = (struct signed_revocation){.verb = REVOCATION_TAKE_BACK, .value = wire_text("phone")};
	world_check(says("unrevoke", text_of(second, r)), "answers", "a thief cannot take back");
	world_run(SECOND);
	check_revoked("guest", true, "by a thief");
	check_revoked("phone", false, "when a thief took it back");
	check_told("revocation.signed", "guest", "by", "console:second");
	check_told("revocation.signed", "phone", "by", "console:admin");
	check_told("revocation.taken_back", "phone", "by", "console:second");
	check_out("by a thief");
	if (again) {
		world_run(SECOND);
		world_agent_crash(&stage.home);
		stage_agent_again(&stage.home);
		relay_a_again(false);
		world_run(30 * SECOND);
	}
	world_check(says("revoke", by_the_ca(REVOCATION_REVOKE, "second")), "answers",
		    "what the CA signed is refused");
	world_run(SECOND);
	check_revoked("guest", false, "though the CA has revoked the thief");
	check_revoked("phone", true, "though the CA has revoked the thief");
	check_told("revocation.signed", "second", "by", "the CA");
	check_told("revocation.lapsed", "phone (taken back)", NULL, "");
	check_told("revocation.restored", "phone", NULL, "");
	check_in("when the CA has revoked the thief");
	r = (struct signed_revocation){.value = wire_text("guest"),
				       .issued = (uint64_t)time(NULL) - 3600};
	check_refused("revoke", text_of(second, r), "what a thief dates back");
	check_refused("unrevoke", signed_text(REVOCATION_TAKE_BACK, "second", 0),
		      "what a console takes back of the CA's");
	check_revoked("second", true, "by the CA");
	check_refusals_counted(2);
	world_run(2 * SECOND);
	world_check(says("unrevoke", by_the_ca(REVOCATION_TAKE_BACK, "second")), "answers",
		    "what the CA takes back is refused");
	world_run(SECOND);
	check_revoked("second", false, "when the CA took it back");
	check_revoked("guest", false, "when the CA took it back");
	(void)world_until(talks_over, NULL, 400 * SECOND);
	talks_judge();
	stage_clear();
	identity_free(second);
	identity_free(admin);
}

/* ---- a CA that goes ---- */

#define TRIAL_MS 5000u
#define HOME_FILE                                                                                  \
	"relays:\n  - address: relay-a:443\n"                                                      \
	"publish:\n  - service: talk\n    target: 127.0.0.1:700\n"

/* The relay's without the other CA. */
static bool relay_trusts(const char *pem, unsigned trial_ms)
{
	json_t *config = operator_config(&stage.operator);

	config_set_in(config, "identity", "ca", json_string(pem));
	return operator_apply(&stage.operator, config, trial_ms);
}

static void home_trusts(char *pem)
{
	char *all = world_ca.pem;

	world_ca.pem = pem;
	world_agent_write(&stage.home, HOME_FILE);
	world_ca.pem = all;
	k_signal(stage.home.program, SIGHUP);
}

/* What its console has signed counts as long as it is in identity.ca: at once, in a trial, and
 * after a start. */
void world_signed_ca_removed(void)
{
	static char both[8192];
	char *own = world_ca.pem;
	struct certs_ca other = certs_make_ca("Another Ltd");
	struct identity *theirs =
		certs_identity(&other, &other, IDENTITY_CONSOLE, "theirs", -7200, 86400);
	bool home_first = dice_chance(&world_dice, 500);

	snprintf(both, sizeof(both), "%s%s", own, other.pem);
	world_ca.pem = both;
	signed_begin();
	stage_set(1, "");
	check_in("before all");
	world_check(says("revoke",
			 text_of(theirs, (struct signed_revocation){.value = wire_text("guest")})),
		    "answers", "a console of the other CA cannot revoke");
	world_run(SECOND);
	check_revoked("guest", true, "by a console of the other CA");
	check_out("by a console of the other CA");
	/* On trial. */
	world_check(relay_trusts(own, TRIAL_MS), "answers", "a CA cannot be taken out on trial");
	world_check(!revoked_in(&stage.relays[0].relay.control->signed_revocations, "guest") &&
			    told_at_relay("revocation.lapsed", "guest", NULL, "") == 1,
		    "revoked", "a CA is out on trial, and what it vouched for counts");
	world_run(TRIAL_MS * MS + 10 * MS);
	world_check(revoked_in(&stage.relays[0].relay.control->signed_revocations, "guest") &&
			    told_at_relay("revocation.restored", "guest", NULL, "") == 1,
		    "revoked", "a trial is over, and what was signed does not count again");
	world_run(SECOND);
	world_check(!world_relay_links(&stage.relays[0], "guest"), "revoked",
		    "a trial is over, and guest is linked a second later");
	/* For good. */
	if (home_first)
		home_trusts(own);
	world_run(dice_size(&world_dice, 3 * SECOND));
	world_check(relay_trusts(own, 0), "answers", "a CA cannot be taken out");
	if (!home_first)
		home_trusts(own);
	world_run(SECOND);
	check_revoked("guest", false, "though its signer's CA is out");
	world_check(told_at_home("revocation.lapsed", "guest", NULL, "") == 1 &&
			    told_at_relay("revocation.lapsed", "guest", NULL, "") == 2,
		    "told", "a CA is out, and what does not count any more is not told");
	check_in("when its signer's CA is out");
	relay_a_again(false);
	world_check(told_at_relay("revocation.lapsed", "guest", NULL, "") == 1, "told",
		    "a relay starts, and what does not count any more is not told");
	check_lapsed_listed("guest");
	check_in("after the relay's start");
	(void)world_until(talks_over, NULL, 400 * SECOND);
	talks_judge();
	stage_clear();
	world_ca.pem = own;
	certs_free_ca(&other);
	identity_free(theirs);
	identity_free(admin);
}
