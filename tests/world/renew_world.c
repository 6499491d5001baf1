/* SPDX-License-Identifier: Apache-2.0 */
/*
 * renew_world: new keys for a relay and an agent that run. The key is made where it is used, a
 * request goes out, a certificate comes back: the right one and all kinds of others, while sessions
 * run, with restarts and losses of power between any two steps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/engine/certificate.h"
#include "core/engine/keyring.h"
#include "tests/world/issuer.h"
#include "tests/world/peer.h"
#include "tests/world/stage.h"
#include "tests/world/store.h"
#include "tests/world/worlds.h"

static struct operator console;

/* ---- the operator's part ---- */

/* What the relay or agent sends out, as PEM, owned; NULL: it makes no key. */
static char *requested(struct operator* o, bool front)
{
	json_t *params = front ? json_pack("{s:s}", "for", "front") : NULL;
	json_t *answer = operator_call(o, "identity.request", params);
	const char *pem = json_string_value(json_object_get(answer, "request"));

	return pem ? strdup(pem) : NULL;
}

static bool installed(struct operator* o, bool front, const char *pem)
{
	return operator_call(o, "identity.install",
			     json_pack("{s:s*, s:s}", "for", front ? "front" : NULL, "certificate",
				       pem)) != NULL;
}

static bool made_there(struct operator* o, const char *use)
{
	json_t *shown = operator_call(o, "identity.show", NULL);

	return json_is_true(json_object_get(json_object_get(shown, use), "made"));
}

static void refuse_wrong_ones(struct operator* o, enum who who, const char *request)
{
	for (enum issue wrong = ISSUE_WRONG_KEY; wrong < ISSUES; wrong++) {
		char *pem = issuer_signs(who, request, wrong);

		world_check(!installed(o, false, pem), "refused",
			    "a certificate that is wrong in the way %d is put in force", wrong);
		free(pem);
	}
}

/* ---- what a stranger is shown ---- */

static bool is_shown(struct peer *p, const char *pem)
{
	X509 *wanted = certificate_of_pem(pem), *is;
	bool same;

	if (!world_check(peer_dial(p, stage.relay_hosts[0]), "links", "no handshake succeeds"))
		return false;
	is = SSL_get_peer_certificate(tls_ssl(p->tls));
	same = is && wanted && X509_cmp(is, wanted) == 0;
	X509_free(is);
	X509_free(wanted);
	peer_close(p, false);
	return same;
}

static void expect_shown(struct peer *p, const char *pem, const char *when)
{
	world_check(is_shown(p, pem), "shown", "another certificate is shown %s", when);
}

static void start_again(struct world_relay *r)
{
	operator_stop(&stage.operator);
	world_relay_kill(r);
	store_power_returns();
	world_relay_start(r, RELAY_A, stage.relay_hosts[0], NULL);
	operator_start(&stage.operator, r);
}

/* All agents can be reached: their links are up, and the relay has heard what they publish. */
static void wait_for_agents(void)
{
	world_check(world_until(stage_linked, NULL, 600 * SECOND), "links",
		    "agents do not come to a relay that was renewed");
	world_run(SECOND);
}

static unsigned keys_kept(const struct world_relay *r, const char *use)
{
	char path[128];
	unsigned count = 0;
	size_t len;

	for (unsigned i = 1; i <= MADE_SLOTS; i++) {
		snprintf(path, sizeof(path), "%s/key-%s-%u.pem", r->state_dir, use, i);
		count += store_read(path, &len) != NULL;
	}
	return count;
}

/* ---- a relay ---- */

/* Renewed twice while a talk runs, and perhaps started again between request and certificate; kept
 * over a start; of the keys the one in force is left. */
void world_relay_renewed(void)
{
	struct world_relay *r = &stage.relays[0];
	char *shown = strdup(world_pairs[RELAY_A].certificate), *request, *pem;
	struct peer stranger;
	struct talk *running;

	stage_set(1, "");
	world_check(!made_there(&stage.operator, "identity"), "told",
		    "a key of the relay's file is said to be made by the relay");
	peer_start(&stranger, "stranger", LAPTOP, stage.internet);
	for (unsigned round = 0; round < 2; round++) {
		bool again = dice_chance(&world_dice, 400);

		wait_for_agents();
		running = stage_talk_from(&stage.at_laptop, 400000, 400000);
		running->side[0].plan.write_most = 3000;
		running->disturbed = again;
		request = requested(&stage.operator, false);
		if (!request)
			world_broken("a relay makes no key");
		if (again)
			start_again(r);
		refuse_wrong_ones(&stage.operator, RELAY_A, request);
		expect_shown(&stranger, shown, "after certificates that do not fit");
		pem = issuer_signs(RELAY_A, request, ISSUE_RIGHT);
		world_check(installed(&stage.operator, false, pem), "renewed",
			    "a certificate that fits is refused");
		world_run(SECOND);
		expect_shown(&stranger, pem, "once it is renewed");
		world_check(keys_kept(r, "identity") == 1, "keys", "%u keys are kept",
			    keys_kept(r, "identity"));
		world_check(made_there(&stage.operator, "identity"), "told",
			    "a key of the relay's own is not said to be");
		/* Its key is gone: nothing may rest on it again. */
		if (round > 0)
			world_check(!installed(&stage.operator, false, shown), "refused",
				    "a certificate whose key has gone is put in force");
		(void)world_until(talks_over, NULL, 400 * SECOND);
		talks_judge();
		free(request);
		free(shown);
		shown = pem;
	}
	start_again(r);
	expect_shown(&stranger, shown, "after a start");
	wait_for_agents();
	(void)stage_goes_through(stage_talk_from(&stage.at_laptop, 1000, 1000));
	talks_judge();
	peer_end(&stranger);
	free(shown);
	stage_clear();
}

/* The power goes at any moment of it: the relay starts with the certificate before or with the new
 * one, and can be renewed then. */
void world_relay_renewed_dark(void)
{
	struct world_relay *r = &stage.relays[0];
	const char *before = world_pairs[RELAY_A].certificate;
	char *request, *pem = NULL;
	struct peer stranger;
	bool new;

	stage_set(1, "");
	peer_start(&stranger, "stranger", LAPTOP, stage.internet);
	if (dice_chance(&world_dice, 300)) {
		store_power_goes((unsigned)dice_below(&world_dice, 6));
		request = requested(&stage.operator, false);
	} else {
		request = requested(&stage.operator, false);
		store_power_goes((unsigned)dice_below(&world_dice, 10));
	}
	if (request) {
		pem = issuer_signs(RELAY_A, request, ISSUE_RIGHT);
		(void)installed(&stage.operator, false, pem);
	}
	start_again(r);
	new = pem &&is_shown(&stranger, pem);
	if (!new)
		expect_shown(&stranger, before, "after the power went");
	free(request);
	free(pem);
	request = requested(&stage.operator, false);
	pem = request ? issuer_signs(RELAY_A, request, ISSUE_RIGHT) : NULL;
	world_check(pem && installed(&stage.operator, false, pem), "renewed",
		    "once the power is back, it cannot be renewed");
	if (pem)
		expect_shown(&stranger, pem, "once it is renewed after all");
	world_check(keys_kept(r, "identity") == 1, "keys", "%u keys are kept",
		    keys_kept(r, "identity"));
	wait_for_agents();
	free(request);
	free(pem);
	peer_end(&stranger);
	stage_clear();
}

/* The certificate is in force and cannot be kept: a start finds the one before, with its key.
 * Brought once more, it is kept. */
void world_relay_renewed_unkept(void)
{
	struct world_relay *r = &stage.relays[0];
	char *requests[2], *pems[2];
	struct peer stranger;
	bool again = dice_chance(&world_dice, 500);

	stage_set(1, "");
	peer_start(&stranger, "stranger", LAPTOP, stage.internet);
	for (unsigned i = 0; i < 2; i++) {
		requests[i] = requested(&stage.operator, false);
		if (!requests[i])
			world_broken("a relay makes no key");
		pems[i] = issuer_signs(RELAY_A, requests[i], ISSUE_RIGHT);
		r->keeper_silent = i == 1;
		world_check(installed(&stage.operator, false, pems[i]), "renewed",
			    "a certificate that fits is refused");
		r->keeper_silent = false;
		expect_shown(&stranger, pems[i], "once it is renewed");
	}
	world_check(keys_kept(r, "identity") == 2, "keys",
		    "%u keys are left, of one that is in force and one that is kept",
		    keys_kept(r, "identity"));
	if (again)
		world_check(installed(&stage.operator, false, pems[1]), "renewed",
			    "what could not be kept is refused the second time");
	start_again(r);
	/* The keeper may have done late what it was asked for. */
	if (again || !is_shown(&stranger, pems[0]))
		expect_shown(&stranger, pems[1], "after a start");
	wait_for_agents();
	for (unsigned i = 0; i < 2; i++) {
		free(requests[i]);
		free(pems[i]);
	}
	peer_end(&stranger);
	stage_clear();
}

/* A console asks for key after key between two handshakes, and while a change is on trial: the key
 * that is in force, or would be gone back to, is not among those that give way. */
void world_relay_many_keys(void)
{
	struct world_relay *r = &stage.relays[0];
	struct peer stranger;
	json_t *got, *document;
	char *request, *pem, *trial;

	stage_set(1, "");
	peer_start(&stranger, "stranger", LAPTOP, stage.internet);
	for (unsigned i = 0; i < 2 * KEYRING_MAX; i++)
		free(requested(&stage.operator, i % 2));
	expect_shown(&stranger, world_pairs[RELAY_A].certificate, "after many requests");
	request = requested(&stage.operator, false);
	if (!request)
		world_broken("a relay makes no key");
	pem = issuer_signs(RELAY_A, request, ISSUE_RIGHT);
	world_check(installed(&stage.operator, false, pem), "renewed",
		    "a certificate that fits is refused after many requests");
	world_run(SECOND);
	free(request);
	for (unsigned i = 0; i < 2 * KEYRING_MAX; i++)
		free(requested(&stage.operator, i % 2));
	expect_shown(&stranger, pem, "after many requests more");
	/* Another one on trial. */
	request = requested(&stage.operator, false);
	trial = issuer_signs(RELAY_A, request, ISSUE_RIGHT);
	got = operator_call(&stage.operator, "config.get", NULL);
	document = json_deep_copy(json_object_get(got, "config"));
	json_object_set_new(json_object_get(document, "identity"), "certificate",
			    json_string(trial));
	world_check(operator_call(&stage.operator, "config.apply",
				  json_pack("{s:o, s:i}", "config", document, "confirm_ms",
					    5000)) != NULL,
		    "renewed", "a certificate cannot be tried");
	world_run(SECOND);
	expect_shown(&stranger, trial, "on trial");
	for (unsigned i = 0; i < 2 * MADE_SLOTS; i++)
		free(requested(&stage.operator, false));
	world_run(10 * SECOND);
	expect_shown(&stranger, pem, "after a trial");
	start_again(r);
	expect_shown(&stranger, pem, "after a trial and a start");
	free(request);
	free(trial);
	free(pem);
	peer_end(&stranger);
	stage_clear();
}

/* A certificate of a public CA, for a key that the relay has made. */
void world_front_requested(void)
{
	struct world_relay *r = &stage.relays[0];
	struct peer stranger;
	char *request, *pem;
	json_t *config;

	stage_set(1, "");
	peer_start(&stranger, "stranger", LAPTOP, stage.internet);
	request = requested(&stage.operator, true);
	if (!request)
		world_broken("a relay makes no key for its front door");
	/* Not for the other use. */
	pem = issuer_signs(RELAY_A, request, ISSUE_RIGHT);
	world_check(!installed(&stage.operator, false, pem), "refused",
		    "a key of the front door becomes the identity's");
	free(pem);
	pem = issuer_signs(RELAY_A, request, ISSUE_WRONG_NAME);
	world_check(!installed(&stage.operator, true, pem), "refused",
		    "a certificate for no name of the relay's is shown");
	free(pem);
	pem = issuer_signs(RELAY_A, request, ISSUE_ENDED);
	world_check(!installed(&stage.operator, true, pem), "refused",
		    "a certificate that has ended is shown");
	free(pem);
	/* Nor by another way, for a key that it does not have. */
	pem = issuer_signs(RELAY_A, request, ISSUE_WRONG_KEY);
	config = operator_config(&stage.operator);
	config_set_in(config, "tls", "certificate", json_string(pem));
	world_check(!operator_apply(&stage.operator, config, 0), "refused",
		    "a certificate is shown for a key that the relay does not have");
	free(pem);
	pem = issuer_signs(RELAY_A, request, ISSUE_WRONG_CA); /* any will do */
	world_check(installed(&stage.operator, true, pem), "renewed",
		    "a certificate for the front door is refused");
	world_run(SECOND);
	expect_shown(&stranger, pem, "once it has come");
	world_check(stage_linked(NULL), "lives-on", "an agent has lost its link over it");
	start_again(r);
	expect_shown(&stranger, pem, "after a start");
	free(request);
	free(pem);
	peer_end(&stranger);
	stage_clear();
}

/* ---- an agent ---- */

/* The link moves to the new certificate, sessions go on, and it is kept over a start. */
void world_agent_renewed(void)
{
	struct talk *running;
	char *request, *pem, serial[CERTIFICATE_SERIAL_BYTES];
	bool again = dice_chance(&world_dice, 300);
	struct identity_peer is;
	X509 *x;

	stage_set(1, "");
	running = stage_talk_from(&stage.at_laptop, 400000, 400000);
	running->side[0].plan.write_most = 3000;
	running->disturbed = again;
	operator_start_at_agent(&console, &stage.relays[0], stage.internet, "laptop");
	request = requested(&console, false);
	if (!request)
		world_broken("an agent makes no key");
	refuse_wrong_ones(&console, LAPTOP, request);
	pem = issuer_signs(LAPTOP, request, ISSUE_RIGHT);
	world_check(installed(&console, false, pem), "renewed",
		    "a certificate that fits is refused");
	operator_stop(&console);
	if (again) {
		world_agent_stop(&stage.laptop);
		stage_agent_again(&stage.laptop);
	}
	world_check(world_until(stage_linked, NULL, 600 * SECOND), "links",
		    "an agent that was renewed has no link");
	x = certificate_of_pem(pem);
	world_check(x && certificate_serial(x, serial) &&
			    identity_self(stage.laptop.agent.setup.self.identity, &is) &&
			    strcmp(is.serial, serial) == 0,
		    "shown", "an agent goes on with the certificate before");
	X509_free(x);
	(void)world_until(talks_over, NULL, 400 * SECOND);
	talks_judge();
	free(request);
	free(pem);
	stage_clear();
}
