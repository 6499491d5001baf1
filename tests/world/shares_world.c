/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shares_world: limits of bandwidth are what the receiver gets: within 5 % over ten seconds, for a
 * session, an agent, a service, and the relay; and each agent and service has its own.
 */
#include <stdio.h>

#include "tests/world/stage.h"
#include "tests/world/worlds.h"

#define RATE	    (400u * 1000u) /* bytes per second */
#define WARM_US	    (5 * SECOND)   /* for buffers to fill */
#define MEASURED_US (10 * SECOND)
#define LONG	    (8u << 20)

static uint64_t got(void)
{
	uint64_t n = 0;

	for (size_t i = 0; i < talks_count(); i++)
		n += talk_at(i)->side[0].got + talk_at(i)->side[1].got;
	return n;
}

static void quick_cables(void)
{
	k_cable_set(stage.relay_hosts[0], stage.home_host, 2000, 500);
	k_cable_set(stage.relay_hosts[0], stage.laptop_host, 2000, 500);
	k_cable_set(stage.relay_hosts[0], stage.guest_host, 2000, 500);
	k_cable_set(stage.relay_hosts[0], stage.internet, 2000, 500);
}

static struct talk *long_talk(struct people *p)
{
	bool up = dice_chance(&world_dice, 500);
	struct talk *t = stage_talk_from(p, up ? LONG : 100, up ? 100 : LONG);

	t->disturbed = true; /* it is not waited for */
	return t;
}

/* A console sets the limit while sessions run. */
static void limit_from_now_on(const char *key)
{
	json_t *config = json_deep_copy(
		json_object_get(operator_call(&stage.operator, "config.get", NULL), "config"));

	json_object_set_new(config, "bandwidth",
			    json_pack("{s:o}", key, json_sprintf("%uB/s", RATE)));
	world_check(operator_call(&stage.operator, "config.apply",
				  json_pack("{s:o}", "config", config)) != NULL,
		    "answers", "a limit is refused");
}

void world_shares(void)
{
	static const char *const keys[] = {"per_session", "per_agent", "per_service", "relay"};
	unsigned which = (unsigned)dice_below(&world_dice, 4);
	unsigned talks = which == 0 ? 1 : (unsigned)dice_between(&world_dice, 1, 4);
	bool late = dice_chance(&world_dice, 400); /* they run before there is any limit */
	char config[128];
	uint64_t before;

	snprintf(config, sizeof(config), "bandwidth:\n  %s: %uB/s\n", keys[which], RATE);
	stage_set(1, late ? "" : config);
	quick_cables();
	for (unsigned i = 0; i < talks; i++)
		(void)long_talk(which == 3 && i % 2 ? &stage.at_guest : &stage.at_laptop);
	if (late) {
		world_run(100 * MS);
		limit_from_now_on(keys[which]);
	}
	world_run(WARM_US);
	before = got();
	world_run(MEASURED_US);
	double rate = (double)(got() - before) / ((double)MEASURED_US / SECOND);
	world_check(rate < RATE * 1.05 && rate > RATE * 0.95, "shares",
		    "%s%s: %u B/s: %u talks get %.0f B/s", keys[which],
		    late ? ", set while they ran" : "", RATE, talks, rate);
	(void)world_until(talks_over, NULL, 400 * SECOND);
	talks_judge();
	stage_clear();
}

/* The limit is each agent's, or each service's: one does not use up the other's. */
void world_shares_apart(void)
{
	bool per_agent = dice_chance(&world_dice, 500);
	struct talk *talks[2];
	char config[128];
	uint64_t before[2];

	snprintf(config, sizeof(config), "bandwidth:\n  per_%s: %uB/s\n",
		 per_agent ? "agent" : "service", RATE);
	stage_set(1, config);
	quick_cables();
	talks[0] = long_talk(&stage.at_laptop);
	talks[1] = long_talk(per_agent ? &stage.at_guest : &stage.visitors);
	world_run(WARM_US);
	for (unsigned i = 0; i < 2; i++)
		before[i] = talks[i]->side[0].got + talks[i]->side[1].got;
	world_run(MEASURED_US);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t now = talks[i]->side[0].got + talks[i]->side[1].got;
		double rate = (double)(now - before[i]) / ((double)MEASURED_US / SECOND);

		world_check(rate < RATE * 1.05 && rate > RATE * 0.95, "shares",
			    "two %s of %u B/s each: number %u gets %.0f B/s",
			    per_agent ? "agents" : "services", RATE, i, rate);
	}
	(void)world_until(talks_over, NULL, 400 * SECOND);
	talks_judge();
	stage_clear();
}
