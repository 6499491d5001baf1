/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shares_world: limits of bandwidth are what the receiver gets: within 5 % over ten seconds, for a
 * session, an agent, a service, and the relay.
 */
#include <stdio.h>

#include "tests/world/stage.h"
#include "tests/world/worlds.h"

#define RATE	    (400u * 1000u) /* bytes per second */
#define WARM_US	    (5 * SECOND)   /* for buffers to fill */
#define MEASURED_US (10 * SECOND)

static uint64_t got(void)
{
	uint64_t n = 0;

	for (size_t i = 0; i < talks_count(); i++)
		n += talk_at(i)->side[0].got + talk_at(i)->side[1].got;
	return n;
}

void world_shares(void)
{
	static const char *const keys[] = {"per_session", "per_agent", "per_service", "relay"};
	unsigned which = (unsigned)dice_below(&world_dice, 4);
	unsigned talks = which == 0 ? 1 : (unsigned)dice_between(&world_dice, 1, 4);
	char config[128];
	uint64_t before;

	snprintf(config, sizeof(config), "bandwidth:\n  %s: %uB/s\n", keys[which], RATE);
	stage_set(1, config);
	k_cable_set(stage.relay_hosts[0], stage.home_host, 2000, 500);
	k_cable_set(stage.relay_hosts[0], stage.laptop_host, 2000, 500);
	k_cable_set(stage.relay_hosts[0], stage.guest_host, 2000, 500);
	for (unsigned i = 0; i < talks; i++) {
		bool up = dice_chance(&world_dice, 500);
		struct talk *t =
			stage_talk_from(which == 3 && i % 2 ? &stage.at_guest : &stage.at_laptop,
					up ? 8u << 20 : 100, up ? 100 : 8u << 20);

		t->disturbed = true; /* it is not waited for */
	}
	world_run(WARM_US);
	before = got();
	world_run(MEASURED_US);
	double rate = (double)(got() - before) / ((double)MEASURED_US / SECOND);
	world_check(rate < RATE * 1.05 && rate > RATE * 0.95, "shares",
		    "%s: %u B/s: %u talks get %.0f B/s", keys[which], RATE, talks, rate);
	(void)world_until(talks_over, NULL, 400 * SECOND);
	talks_judge();
	stage_clear();
}
