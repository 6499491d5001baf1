/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead_line_world: cables are pulled under sessions that run, and readers pause for minutes.
 *
 * A session whose line is dead ends within DEAD_US on both programs, whichever way its bytes
 * flowed, and its record says that it was the line; nobody else's ends. Who pauses lives, and reads
 * all.
 */
#include <stdio.h>
#include <string.h>

#include "tests/world/stage.h"
#include "tests/world/worlds.h"

#define DEAD_US (20 * SECOND)
#define BULK	(256u << 20)
#define LITTLE	200u

/* So that what flows flows for long, and is not much. */
static void slow_cables(void)
{
	struct k_host *hosts[] = {stage.home_host, stage.laptop_host, stage.guest_host,
				  stage.internet};

	for (unsigned i = 0; i < 4; i++)
		k_cable_set(stage.relay_hosts[0], hosts[i],
			    (uint32_t)dice_between(&world_dice, 80 * MS, 150 * MS), 5 * MS);
}

/* Says a little each way, rests, and then says as much again; rest 0: for long. */
static struct talk *resting_talk(struct people *p, uint64_t rest_us)
{
	struct talk *t = stage_talk_from(p, LITTLE, LITTLE);

	for (unsigned i = 0; i < 2; i++) {
		t->side[i].plan.rest_at = LITTLE / 2;
		t->side[i].plan.rest_us = rest_us;
	}
	return t;
}

/* In bulk one way or both, perhaps with the other direction ended. */
static struct talk *flowing_talk(struct people *p)
{
	unsigned way = (unsigned)dice_below(&world_dice, 4);
	struct talk *t = stage_talk_from(p, way == 1 ? LITTLE : BULK, way == 0 ? LITTLE : BULK);

	t->disturbed = true;
	if (way < 2 && dice_chance(&world_dice, 500)) {
		t->side[way == 0].plan.rest_at = LITTLE / 2;
		t->side[way == 0].plan.rest_us = 600 * SECOND;
	}
	return t;
}

static struct world_agent *behind(bool laptop)
{
	return laptop ? &stage.laptop : &stage.home;
}

static unsigned left_there(bool laptop)
{
	return world_relay_sessions_of(&stage.relays[0], laptop ? "laptop" : "home");
}

static unsigned left_at_agents(bool laptop)
{
	return world_agent_sessions_with(&stage.laptop, "home") +
	       world_agent_sessions_with(&stage.home, "laptop") +
	       (laptop ? 0 : world_agent_sessions_with(&stage.home, "guest"));
}

static void check_gone(bool laptop, const char *what)
{
	world_check(left_there(laptop) == 0, "dead-line",
		    "the relay has %u sessions of %s, whose cable was pulled 20 s ago: %s",
		    left_there(laptop), who_name(behind(laptop)->who), what);
	world_check(left_at_agents(laptop) == 0, "dead-line",
		    "agents have %u sessions over the cable of %s, pulled 20 s ago: %s",
		    left_at_agents(laptop), who_name(behind(laptop)->who), what);
}

static void check_record(bool laptop)
{
	const char *why, *code = world_relay_ending(&stage.relays[0], &why);

	world_check(code[0] == (laptop ? 'A' : 'P') && code[2] == 'T', "dead-line-code",
		    "the last session's record is %s (%s), and the cable of %s was pulled", code,
		    why, who_name(behind(laptop)->who));
}

static void pull(bool laptop, bool pulled)
{
	k_cable_pull(stage.relay_hosts[0], behind(laptop)->host, pulled);
}

static void end_of_scene(void)
{
	(void)world_until(stage_linked, NULL, 120 * SECOND);
	(void)world_until(talks_over, NULL, 120 * SECOND);
	talks_judge();
	stage_clear();
}

/* Bytes flow, and then they do not. */
void world_dead_line(void)
{
	bool laptop = dice_chance(&world_dice, 500);
	unsigned count = (unsigned)dice_between(&world_dice, 1, 4);
	struct talk *other;

	stage_set(1, "");
	slow_cables();
	for (unsigned i = 0; i < count; i++)
		(void)flowing_talk(&stage.at_laptop);
	other = resting_talk(&stage.at_guest, 60 * SECOND);
	other->disturbed = !laptop;
	world_run(3 * SECOND + dice_below(&world_dice, 8 * SECOND));
	pull(laptop, true);
	world_run(DEAD_US);
	check_gone(laptop, "bytes flowed");
	check_record(laptop);
	world_check(!laptop || !talk_over(other), "others-unharmed",
		    "a session whose line is well has ended");
	pull(laptop, false);
	end_of_scene();
}

/* Who does not read for ten minutes gets all the same, though a cable was out for a moment. */
void world_reader_pauses(void)
{
	unsigned side = (unsigned)dice_below(&world_dice, 2);
	uint64_t bytes = dice_between(&world_dice, 500000, 2000000);
	struct talk *t;

	stage_set(1, "");
	t = stage_talk_from(dice_chance(&world_dice, 500) ? &stage.at_laptop : &stage.visitors,
			    side == 1 ? bytes : LITTLE, side == 0 ? bytes : LITTLE);
	t->side[side].plan.pause_at = dice_below(&world_dice, 100000);
	t->side[side].plan.pause_us = 600 * SECOND;
	for (unsigned i = 0; i < 5; i++) {
		world_run(60 * SECOND + dice_below(&world_dice, 60 * SECOND));
		pull(i % 2, true);
		world_run(3 * SECOND);
		pull(i % 2, false);
	}
	world_check(!talk_over(t), "backpressure", "the talk ended while its reader paused");
	(void)world_until(talks_over, NULL, 600 * SECOND);
	talks_judge();
	stage_clear();
}
