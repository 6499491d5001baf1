/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leave_world: one of two relays drains and leaves, and comes back. What it carries goes on until
 * its drain's time is over, what is new goes by the other one at once, and no side has to wait for
 * either.
 */
#include <signal.h>

#include "tests/world/stage.h"
#include "tests/world/worlds.h"

#define RATE	   40000u	/* bytes per second of each session: so that they last */
#define DRAIN_S	   10u		/* of the stage's relays */
#define AT_ONCE_US (3 * SECOND) /* for a session by the other relay */

static bool this_over(void *talk)
{
	return talk_over(talk);
}

static void check_new_ones(const char *when)
{
	struct people *const from[] = {&stage.at_laptop, &stage.at_guest};

	for (unsigned i = 0; i < 2; i++) {
		struct talk *t = stage_talk_from(from[i], 300, 3000);

		world_check(world_until(this_over, t, AT_ONCE_US) && t->side[0].eof &&
				    t->side[1].eof,
			    "goes-on", "%s, and a new session is not through after %u s", when,
			    (unsigned)(AT_ONCE_US / SECOND));
	}
}

static bool has_left(void *relay)
{
	return world_ring_stopped(((struct world_relay *)relay)->relay.control_ring);
}

void world_drained(void)
{
	struct world_relay *first = &stage.relays[0], *second = &stage.relays[1];
	struct talk *shorter, *longer;
	uint64_t asked_us;

	stage_set(2, "bandwidth:\n  per_session: 40000B/s\n");
	shorter = stage_talk_from(&stage.at_laptop, 300, (DRAIN_S - 3) * RATE);
	longer = stage_talk_from(&stage.at_guest, 300, (DRAIN_S + 20) * RATE);
	world_run(SECOND);
	world_check(world_relay_sessions_of(first, "home") == 2 &&
			    world_relay_sessions_of(second, "home") == 0,
		    "goes-on", "the first of two relays is not the one that is used");
	longer->disturbed = true; /* it takes longer than the relay has */
	asked_us = k_now_us;
	k_signal(first->program, SIGTERM);
	/* Often the agents have not heard of it yet. */
	world_run(dice_chance(&world_dice, 500) ? dice_below(&world_dice, 50 * MS)
						: dice_size(&world_dice, SECOND));
	check_new_ones("a relay drains");
	world_check(!talk_over(longer), "goes-on", "a drain ends a session before its time");
	(void)world_until(this_over, shorter, DRAIN_S * SECOND);
	world_check(talk_over(shorter) && !has_left(first), "goes-on",
		    "a relay leaves while a session that it carries has time to end");
	world_check(world_until(has_left, first, (DRAIN_S + 1) * SECOND), "ends",
		    "a relay does not leave when its drain's time is over");
	world_check(k_now_us - asked_us >= (DRAIN_S - 1) * SECOND, "goes-on",
		    "a relay leaves %.1f s before its drain's time",
		    DRAIN_S - (double)(k_now_us - asked_us) / SECOND);
	world_relay_stop(first);
	world_check(world_until(this_over, longer, 5 * SECOND), "ends",
		    "a session outlives the relay that carried it");
	check_new_ones("a relay has left");
	world_relay_start(first, first->who, first->host, NULL);
	check_new_ones("a relay starts again");
	world_check(world_until(stage_linked, NULL, 60 * SECOND), "links",
		    "an agent has no link after a relay has come back");
	talks_judge();
	stage_clear();
}
