/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rights_world: agents that lose their right: revoked, or with a certificate that has ended. Link
 * and sessions end within a second, in each state.
 */
#include <signal.h>

#include "core/engine/certificate.h"
#include "core/engine/revocations.h"
#include "tests/world/stage.h"
#include "tests/world/worlds.h"

/* So much of a second as the way of the news to both ends takes. */
#define AT_ONCE_US (SECOND)

static struct talk *long_talk(struct people *p)
{
	struct talk *t = stage_talk_from(p, 1 << 20, 1 << 20);

	t->side[0].plan.write_most = 2000;
	t->side[1].plan.pause_at = dice_below(&world_dice, 100000);
	t->side[1].plan.pause_us = 300 * SECOND;
	t->disturbed = true;
	return t;
}

void world_revoked(void)
{
	/* The relay needs neither end's help for it: guest's agent would end its sessions at BYE,
	 * home's those with guest at REVOKED, and each alone is enough. */
	bool unheard = dice_chance(&world_dice, 500),
	     unheard_at_home = dice_chance(&world_dice, 500);
	struct talk *talks[3];

	stage_set(1, "");
	for (unsigned i = 0; i < 3; i++) {
		talks[i] = long_talk(&stage.at_guest);
		world_run(dice_size(&world_dice, 3 * SECOND));
	}
	(void)stage_talk_from(&stage.at_laptop, 3000, 3000);
	world_run(3 * SECOND + dice_size(&world_dice, 10 * SECOND));
	k_cable_pull(stage.relay_hosts[0], stage.guest_host, unheard);
	k_cable_pull(stage.relay_hosts[0], stage.home_host, unheard_at_home);
	if (!world_check(operator_call(&stage.operator, "revoke",
				       json_pack("{s:s}", "agent", "guest")) != NULL,
			 "answers", "guest cannot be revoked"))
		return;
	world_run(AT_ONCE_US);
	world_check(world_relay_sessions_of(&stage.relays[0], "guest") == 0, "revoked-at-once",
		    "guest is revoked, and has %u sessions a second later",
		    world_relay_sessions_of(&stage.relays[0], "guest"));
	world_check(!world_relay_links(&stage.relays[0], "guest"), "revoked-at-once",
		    "guest is revoked, and linked a second later");
	world_check(unheard || !world_agent_linked(&stage.guest), "revoked-at-once",
		    "guest is revoked, and has not heard of it a second later");
	world_check(unheard_at_home || world_agent_sessions_with(&stage.home, "guest") == 0,
		    "revoked-at-once",
		    "guest is revoked, and home has %u sessions with it a second later",
		    world_agent_sessions_with(&stage.home, "guest"));
	for (unsigned i = 0; i < 3; i++)
		/* The other side does not read just now, and cannot notice. */
		world_check(unheard || talks[i]->side[0].over, "revoked-at-once",
			    "guest is revoked, and talk %u goes on", talks[i]->id);
	k_cable_pull(stage.relay_hosts[0], stage.guest_host, false);
	k_cable_pull(stage.relay_hosts[0], stage.home_host, false);
	world_run(120 * SECOND);
	world_check(!world_relay_links(&stage.relays[0], "guest"), "revoked-at-once",
		    "guest is revoked, and came in again");
	(void)operator_call(&stage.operator, "unrevoke", json_pack("{s:s}", "agent", "guest"));
	world_check(world_until(stage_linked, NULL, 700 * SECOND), "links",
		    "guest is forgiven, and does not come back");
	(void)world_until(talks_over, NULL, 400 * SECOND);
	talks_judge();
	stage_clear();
}

/* Sessions are in every stage of their making when the word comes. */
void world_revoked_while_opening(void)
{
	stage_set(1, "");
	for (unsigned i = 0; i < 60; i++) {
		(void)long_talk(&stage.at_guest);
		world_run(20 * MS);
	}
	(void)operator_call(&stage.operator, "revoke", json_pack("{s:s}", "agent", "guest"));
	world_run(AT_ONCE_US);
	world_check(world_relay_sessions_of(&stage.relays[0], "guest") == 0, "revoked-at-once",
		    "guest is revoked, and has %u sessions a second later",
		    world_relay_sessions_of(&stage.relays[0], "guest"));
	(void)world_until(talks_over, NULL, 400 * SECOND);
	talks_judge();
	stage_clear();
}

static void revoke_by(const char *key, const char *value)
{
	world_check(operator_call(&stage.operator, "revoke", json_pack("{s:s}", key, value)) !=
			    NULL,
		    "answers", "%s %s cannot be revoked", key, value);
}

/* guest has this certificate from now on. */
static struct identity_peer issue_to_guest(const struct certs_pair *pair)
{
	struct identity_peer peer = {0};
	X509 *x = certificate_of_pem(pair->certificate);

	world_check(x && identity_of_certificate(x, &peer), "links", "no certificate is made");
	X509_free(x);
	world_pairs[GUEST] = *pair;
	world_agent_write(&stage.guest, "relays:\n  - address: relay-a:443\n"
					"forward:\n  - listen: 127.0.0.1:800\n    to: home/talk\n");
	k_signal(stage.guest.program, SIGHUP);
	return peer;
}

/* The laptop was stolen, and its name has a new certificate within the minute: the old one stays
 * out. That one goes by its serial number, the next by its key, the last by its name again. */
void world_issued_again(void)
{
	struct certs_pair stolen = world_pairs[GUEST], fresh[3];
	char key[WIRE_REVOCATION_MAX + 1];
	static const char *const kinds[] = {"serial", "key", "agent"};
	struct identity_peer now;

	stage_set(1, "");
	(void)long_talk(&stage.at_guest);
	world_run(dice_size(&world_dice, 5 * SECOND));
	revoke_by("agent", "guest");
	world_run(AT_ONCE_US);
	world_check(!world_relay_links(&stage.relays[0], "guest") &&
			    world_relay_sessions_of(&stage.relays[0], "guest") == 0,
		    "revoked-at-once", "guest is revoked, and there a second later");
	for (unsigned i = 0; i < 3; i++) {
		/* As "postern pki" makes it; the last as others do, that set no clock back. */
		fresh[i] = certs_make_pair(&world_ca, IDENTITY_AGENT, "guest",
					   i < 2 ? -CERTIFICATE_BACKDATE_S : 0, 86400);
		now = issue_to_guest(&fresh[i]);
		world_check(world_until(stage_linked, NULL, 60 * SECOND), "links",
			    "guest was issued again, and is not let in");
		(void)long_talk(&stage.at_guest);
		world_run(5 * SECOND);
		world_check(world_agent_sessions_with(&stage.home, "guest") == 1, "goes-on",
			    "guest was issued again, and home has %u sessions with it",
			    world_agent_sessions_with(&stage.home, "guest"));
		revocation_key_text(now.key, key);
		revoke_by(kinds[i], i == 0 ? now.serial : i == 1 ? key : "guest");
		world_run(AT_ONCE_US);
		world_check(!world_relay_links(&stage.relays[0], "guest") &&
				    world_agent_sessions_with(&stage.home, "guest") == 0,
			    "revoked-at-once", "guest's %s is revoked, and it is there", kinds[i]);
	}
	world_pairs[GUEST] = stolen;
	(void)issue_to_guest(&stolen);
	world_run(60 * SECOND);
	world_check(!world_relay_links(&stage.relays[0], "guest"), "revoked-at-once",
		    "the stolen certificate is let in again");
	(void)world_until(talks_over, NULL, 900 * SECOND);
	talks_judge();
	stage_clear();
	for (unsigned i = 0; i < 3; i++)
		certs_free_pair(&fresh[i]);
}

/* The contractor's five days are over, and the connection is still there. */
void world_expired(void)
{
	struct certs_pair lasting = world_pairs[GUEST];

	world_pairs[GUEST] = certs_make_pair(&world_ca, IDENTITY_AGENT, "guest", -86400, 120);
	stage_set(1, "");
	(void)long_talk(&stage.at_guest);
	world_run(60 * SECOND);
	world_check(world_agent_linked(&stage.guest), "links", "guest is not linked yet");
	world_run(62 * SECOND);
	world_check(world_relay_sessions_of(&stage.relays[0], "guest") == 0, "expires",
		    "guest's certificate has ended, and its session goes on");
	world_check(!world_relay_links(&stage.relays[0], "guest"), "expires",
		    "guest's certificate has ended, and its link stays");
	(void)world_until(talks_over, NULL, 400 * SECOND);
	talks_judge();
	stage_clear();
	certs_free_pair(&world_pairs[GUEST]);
	world_pairs[GUEST] = lasting;
}
