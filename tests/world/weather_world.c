/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weather_world: all that can happen to a Postern in a few minutes: cables are pulled, relays and
 * agents stop and come again, agents die, memory and descriptors run out for a while, the clock
 * jumps, names do not resolve, an operator kicks, drains, grants and reloads. Talks may fail then,
 * but never wrongly: what arrives is right, no cut looks like an end, and when the weather is over
 * the agents find back, new talks succeed, and nothing is left.
 */
#include <signal.h>
#include <stdio.h>

#include "tests/world/stage.h"
#include "tests/world/worlds.h"

static struct world_agent *some_agent(void)
{
	struct world_agent *agents[] = {&stage.home, &stage.laptop, &stage.guest};

	return agents[dice_below(&world_dice, 3)];
}

static void pull_a_cable(void)
{
	struct k_host *relay = stage.relay_hosts[dice_below(&world_dice, stage.relay_count)];
	struct k_host *host = some_agent()->host;

	k_cable_pull(relay, host, true);
	world_run(dice_size(&world_dice, 90 * SECOND));
	k_cable_pull(relay, host, false);
}

static void restart_an_agent(void)
{
	struct world_agent *a = some_agent();

	world_agent_stop(a);
	world_run(dice_size(&world_dice, 20 * SECOND));
	stage_agent_again(a);
}

static void restart_a_relay(void)
{
	struct world_relay *r = &stage.relays[dice_below(&world_dice, stage.relay_count)];

	if (dice_chance(&world_dice, 500))
		world_relay_stop(r);
	else
		world_relay_kill(r);
	world_run(dice_size(&world_dice, 20 * SECOND));
	world_relay_start(r, r->who, r->host, NULL);
}

/* Descriptors run out: of the relay or an agent. */
static void use_up_descriptors(void)
{
	struct k_program *p =
		dice_chance(&world_dice, 500) ? stage.relays[0].program : some_agent()->program;
	size_t limit = p->limit;

	world_tell("no more descriptors for %s", p->name);
	p->limit = p->open_count + 3 + dice_below(&world_dice, 4);
	world_run(dice_size(&world_dice, 20 * SECOND));
	p->limit = limit;
}

static void jump_the_clock(void)
{
	int64_t by = (int64_t)dice_size(&world_dice, 86400 * (uint64_t)SECOND);

	world_tell("the clock jumps");
	k_realtime_offset_us += dice_chance(&world_dice, 500) ? by : -by / 2;
}

static void operate(void)
{
	static const char *const methods[] = {"status", "agents", "sessions", "config.get",
					      "events.list"};

	switch (dice_below(&world_dice, 5)) {
	case 0:
		(void)operator_call(&stage.operator, "kick",
				    json_pack("{s:s}", "agent", who_name(some_agent()->who)));
		break;
	case 1:
		(void)operator_call(&stage.operator, "drain",
				    json_pack("{s:i}", "deadline_ms", 3000));
		world_run(dice_size(&world_dice, 10 * SECOND));
		(void)operator_call(&stage.operator, "undrain", NULL);
		break;
	case 2:
		k_signal(stage.relays[0].program, SIGHUP);
		break;
	case 3:
		k_signal(some_agent()->program, SIGHUP);
		break;
	default:
		(void)operator_call(&stage.operator, methods[dice_below(&world_dice, 5)], NULL);
		break;
	}
}

static void let_names_fail(void)
{
	k_faults.name_failure = 700;
	world_run(dice_size(&world_dice, 20 * SECOND));
	k_faults.name_failure = 0;
}

/* Memory is short for a while: some of all allocations fail. */
static void be_short_of_memory(void)
{
	struct k_program *p =
		dice_chance(&world_dice, 500) ? stage.relays[0].program : some_agent()->program;

	world_tell("little memory for %s", p->name);
	p->no_memory = (unsigned)dice_between(&world_dice, 5, 300);
	world_run(dice_size(&world_dice, 10 * SECOND));
	p->no_memory = 0;
}

/* From one moment to the next, with all its sockets; often the cable is pulled, too. */
static void kill_an_agent(void)
{
	struct world_agent *a = some_agent();
	struct k_host *relay = stage.relay_hosts[0];
	bool pulled = dice_chance(&world_dice, 500);

	if (pulled)
		k_cable_pull(relay, a->host, true);
	world_agent_crash(a);
	world_run(dice_size(&world_dice, 20 * SECOND));
	k_cable_pull(relay, a->host, false);
	stage_agent_again(a);
}

static void something_happens(void)
{
	static void (*const acts[])(void) = {
		pull_a_cable, restart_an_agent, restart_a_relay, use_up_descriptors, jump_the_clock,
		operate,      let_names_fail,	operate,	 kill_an_agent,	     operate};

	acts[dice_below(&world_dice, sizeof(acts) / sizeof(acts[0]))]();
}

static void disturb_all(void)
{
	for (size_t i = 0; i < talks_count(); i++)
		talk_at(i)->disturbed = true;
}

/* When it is over, everything goes as if nothing had been. */
static void after_the_storm(void)
{
	world_check(world_until(stage_linked, NULL, 120 * SECOND), "links",
		    "an agent has not found back two minutes after the last trouble");
	world_run(5 * SECOND);
	(void)world_until(talks_over, NULL, 300 * SECOND);
	talks_judge();
	(void)stage_talk_from(&stage.at_laptop, 30000, 1000);
	(void)stage_talk_from(&stage.at_guest, 300, 100000);
	(void)stage_talk_from(&stage.visitors, 100, 2000);
	(void)world_until(talks_over, NULL, 60 * SECOND);
	talks_judge();
}

void world_weather(void)
{
	unsigned events = (unsigned)dice_between(&world_dice, 1, 6);

	stage_set((unsigned)dice_between(&world_dice, 1, 2), "");
	for (unsigned i = 0; i < 20; i++)
		(void)stage_talk(60 * SECOND, dice_chance(&world_dice, 200) ? 3000000 : 200000);
	for (unsigned i = 0; i < events; i++) {
		world_run(dice_size(&world_dice, 10 * SECOND));
		something_happens();
		disturb_all();
	}
	world_run(60 * SECOND);
	disturb_all();
	after_the_storm();
	stage_clear();
}

/* Memory runs short again and again; nothing else happens. */
void world_famine(void)
{
	unsigned spells = (unsigned)dice_between(&world_dice, 1, 4);

	stage_set(1, "");
	for (unsigned i = 0; i < 15; i++)
		(void)stage_talk(40 * SECOND, 100000);
	for (unsigned i = 0; i < spells; i++) {
		world_run(dice_size(&world_dice, 10 * SECOND));
		be_short_of_memory();
		disturb_all();
	}
	world_run(40 * SECOND);
	disturb_all();
	after_the_storm();
	stage_clear();
}
