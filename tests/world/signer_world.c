/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signer_world: the relay's signer, which is asked for each handshake: late, silent, and dead.
 */
#include "tests/world/stage.h"
#include "tests/world/strangers.h"
#include "tests/world/worlds.h"

static uint64_t refused(enum reason why)
{
	return relay_totals(&stage.relays[0].relay).refused[why];
}

static struct talk *short_talk(void)
{
	return stage_talk_from(&stage.at_laptop, dice_between(&world_dice, 1, 20000),
			       dice_between(&world_dice, 1, 20000));
}

/* A certificate for a key that the signer has not would leave the relay without a handshake. */
static bool takes_a_certificate_without_its_key(void)
{
	struct certs_pair other = certs_make_pair(
		&world_ca, IDENTITY_RELAY, k_host_address(stage.relay_hosts[0]), -86400, 86400);
	json_t *config = operator_config(&stage.operator);
	bool taken;

	config_set_in(config, "identity", "certificate", json_string(other.certificate));
	taken = operator_apply(&stage.operator, config, 0);
	certs_free_pair(&other);
	return taken;
}

/* It takes its time: handshakes wait for it, and nothing else does. Each ends as its deadline says,
 * and counts as what it is. */
void world_signer_late(void)
{
	struct world_relay *r = &stage.relays[0];
	struct talk *before;
	uint64_t silent_us;

	stage_set(1, "limits: {handshake: 3s}\n"); /* agents have more patience */
	before = stage_talk_from(&stage.at_laptop, 400000, 400000);
	before->side[0].plan.write_most = 3000;
	r->signer_silent = true;
	silent_us = k_now_us;
	/* New links and legs want handshakes; what is open goes on. */
	world_agent_stop(&stage.guest);
	stage_agent_again(&stage.guest);
	world_run(2 * SECOND);
	world_check(refused(REASON_SIGNER) == 0, "counted",
		    "a handshake that has time left is given up");
	world_run(dice_chance(&world_dice, 300) ? 0 : 13 * SECOND);
	world_check(!world_agent_linked(&stage.guest), "signed",
		    "guest is linked by a relay whose signer signs nothing");
	world_check(k_now_us - silent_us < 10 * SECOND || refused(REASON_SIGNER) > 0, "counted",
		    "a handshake that waited for the signer in vain is not counted as such");
	world_check(refused(REASON_DEADLINE_HANDSHAKE) == 0, "counted",
		    "a peer is blamed for the signer's being late");
	world_check(!control_failed(r->relay.control), "goes-on",
		    "a signer that is late ends the relay");
	r->signer_silent = false;
	world_check(world_until(stage_linked, NULL, 120 * SECOND), "links",
		    "guest does not come in when the signer signs again");
	world_check(!takes_a_certificate_without_its_key(), "refused",
		    "a certificate is in force whose key the signer has not");
	(void)short_talk();
	(void)world_until(talks_over, NULL, 400 * SECOND);
	talks_judge();
	stage_clear();
}

/* More handshakes than may be under way at the signer: the others wait in the queue, and none is
 * forgotten there. */
void world_signer_crowd(void)
{
	struct addr to;

	stage_set(1, "");
	to = stage_front_door(0);
	strangers_begin();
	stage.relays[0].signer_silent = true;
	for (unsigned i = 0; i < 150; i++)
		stranger_come(&stage.visitors, STRANGER_HTTPS, &to);
	world_run(SECOND);
	stage.relays[0].signer_silent = false;
	(void)world_until(strangers_gone, NULL, 200 * SECOND);
	world_check(
		refused(REASON_SIGNER) == 0 && refused(REASON_DEADLINE_HANDSHAKE) == 0, "signed",
		"%llu handshakes of 150 were not signed",
		(unsigned long long)(refused(REASON_SIGNER) + refused(REASON_DEADLINE_HANDSHAKE)));
	stage_clear();
}

static bool relay_has_gone(void *context)
{
	return world_ring_stopped(stage.relays[0].relay.control_ring);
}

/* It is gone: sessions may finish, and the relay ends with a failure, to be started again. */
void world_signer_dead(void)
{
	struct world_relay *r = &stage.relays[0];
	uint64_t lines;

	stage_set(1, "");
	short_talk()->disturbed = true;
	world_run(dice_below(&world_dice, SECOND));
	world_signer_kill(r);
	/* Those whose handshake waits are not left in it. */
	lines = dice_between(&world_dice, 1, 5);
	for (uint64_t i = 0; i < lines; i++)
		world_run(SECOND);
	world_check(control_failed(r->relay.control), "fails",
		    "a relay without its signer means to go on");
	world_check(world_until(relay_has_gone, NULL, 40 * SECOND), "ends",
		    "a relay without its signer does not end");
	world_relay_kill(r);
	world_relay_start(r, RELAY_A, stage.relay_hosts[0], NULL);
	world_run(30 * SECOND); /* until none takes its old link for a good one */
	world_check(world_until(stage_linked, NULL, 120 * SECOND), "links",
		    "agents do not come back to a relay that was started again");
	(void)short_talk();
	(void)world_until(talks_over, NULL, 400 * SECOND);
	talks_judge();
	stage_clear();
}
