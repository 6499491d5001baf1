/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signed_world: revocations that a console has signed: they count at every agent that has heard of
 * them, by whichever relay, over restarts, until a signature takes them back.
 *
 * Of two relays the second plays the liar: it is never told, and says nothing of them.
 */
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
static json_t *by_the_ca(const char *name)
{
	const struct signed_revocation r = {.value = wire_text(name)};
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
	world_check(says("revoke", by_the_ca("gone")), "answers", "what the CA signed is refused");
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
