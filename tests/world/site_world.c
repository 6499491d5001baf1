/* SPDX-License-Identifier: Apache-2.0 */
/*
 * site_world: visitors of a web site behind an agent, whose requests the relay hands over inside
 * the TLS of both sides. In calm, everything arrives, and every end is seen as what it was. In the
 * storm the agent dies, the relay drains or is told another site, a line breaks, and strangers of
 * all kinds come: no byte is another one's, no cut looks like an end, nothing is left.
 */
#include <signal.h>
#include <stdio.h>

#include "tests/world/people.h"
#include "tests/world/programs.h"
#include "tests/world/strangers.h"
#include "tests/world/worlds.h"

#define SITE_PORT 80u
#define HOME_CONFIG                                                                                \
	"relays:\n  - address: relay-a:443\n"                                                      \
	"publish:\n  - service: site\n    target: 127.0.0.1:80\n    public: true\n"                \
	"  - service: talk\n    target: 127.0.0.1:700\n"
#define LAPTOP_CONFIG                                                                              \
	"relays:\n  - address: relay-a:443\n"                                                      \
	"forward:\n  - listen: 127.0.0.1:800\n    to: home/talk\n"

static struct world_relay relay;
static struct world_agent home, laptop;
static struct people at_home, away, visitors;
static struct k_host *relay_host, *home_host;
static char relay_config[1024];

static struct addr front_door(void)
{
	return k_address(k_host_address(relay_host), 443);
}

static void begin_talk(void *context, uint64_t argument)
{
	struct talk *t = context;
	struct addr to = t->site ? front_door() : k_address("127.0.0.1", 800);

	talk_start(t, t->site ? &visitors : &away, &to);
}

static bool both_linked(void *unused)
{
	return world_agent_linked(&home) && world_agent_linked(&laptop);
}

static const char *engine(void)
{
	return dice_chance(&world_dice, 500) ? "io_uring" : "epoll";
}

static void site_set(const char *extra)
{
	struct k_host *hosts[4] = {k_host_new("relay"), k_host_new("home"), k_host_new("away"),
				   k_host_new("internet")};
	char config[2048];

	relay_host = hosts[0];
	home_host = hosts[1];
	for (unsigned i = 1; i < 4; i++)
		k_cable_set(hosts[0], hosts[i], (uint32_t)dice_size(&world_dice, 200000),
			    (uint32_t)dice_size(&world_dice, 20000));
	k_faults.short_io = (unsigned)dice_below(&world_dice, 300);
	names_set("relay-a", k_host_address(hosts[0]));
	talks_begin();
	strangers_begin();
	snprintf(relay_config, sizeof(relay_config),
		 "listen:\n  - address: 0.0.0.0:443\nthreads: %llu\nengine: %s\ndrain: 10s\n%s",
		 (unsigned long long)dice_between(&world_dice, 1, 3), engine(), extra);
	snprintf(config, sizeof(config), "%ssite:\n  to: home/site\n", relay_config);
	world_relay_start(&relay, RELAY_A, hosts[0], config);
	snprintf(config, sizeof(config), "%sengine: %s\n", HOME_CONFIG, engine());
	world_agent_start(&home, HOME, hosts[1], config);
	world_agent_start(&laptop, LAPTOP, hosts[2], LAPTOP_CONFIG);
	people_start(&at_home, "at-home", hosts[1]);
	people_answer_site(&at_home, SITE_PORT);
	people_answer(&at_home, 700, NULL);
	people_start(&away, "away", hosts[2]);
	people_start(&visitors, "visitors", hosts[3]);
	world_check(world_until(both_linked, NULL, 60 * SECOND), "links",
		    "the agents are not linked after a minute");
	world_run(2 * SECOND);
}

static void site_clear(void)
{
	world_run(5 * SECOND);
	world_agent_stop(&laptop);
	world_agent_stop(&home);
	/* What was cut off without a word is noticed by keep-alive. */
	world_run(150 * SECOND);
	if (relay.up) {
		world_relay_check_quiet(&relay);
		world_relay_stop(&relay);
	}
	people_stop(&visitors);
	people_stop(&away);
	people_stop(&at_home);
}

static void plan_talks(unsigned most, bool disturbed)
{
	unsigned count = (unsigned)dice_between(&world_dice, 2, most);

	for (unsigned i = 0; i < count; i++) {
		struct talk *t =
			talk_plan(&world_dice, dice_chance(&world_dice, 100) ? 3000000 : 200000);

		t->site = i == 0 || dice_chance(&world_dice, 800);
		t->disturbed = disturbed;
		t->perhaps_elsewhere = t->site && disturbed;
		snprintf(t->server_name, sizeof(t->server_name), "relay-a");
		world_after(dice_below(&world_dice, 5 * SECOND), begin_talk, t, 0);
	}
}

void world_site(void)
{
	/* With limits of bandwidth the bytes take another way through the relay. */
	bool paced = dice_chance(&world_dice, 300);

	site_set(paced ? "bandwidth:\n  per_session: 200000B/s\n" : "");
	if (dice_chance(&world_dice, 300)) { /* keys that last for a hundred bytes, or for ever */
		home.agent.worker.rekey_bytes = dice_size(&world_dice, 100000) + 100;
		home.agent.worker.rekey_ms = dice_size(&world_dice, 20000) + 1;
	}
	plan_talks(12, false);
	world_run(5 * SECOND);
	(void)world_until(talks_over, NULL, 300 * SECOND);
	talks_judge();
	site_clear();
}

/* ---- a crowd ---- */

#define CROWD	    60u
#define CROWD_BYTES 600000u /* more than all buffers on the way: the session lasts */

/* Clients of the site count as what they are, who have proved nothing: they have places of their
 * own, and agents have theirs. */
void world_site_crowd(void)
{
	unsigned running = 0;
	struct talk *t;

	site_set("limits:\n  connections: 80\n  open: 5s\n");
	for (unsigned i = 0; i < CROWD; i++) {
		t = talk_plan(&world_dice, 1);
		for (unsigned side = 0; side < 2; side++)
			t->side[side].plan = (struct talk_plan){.bytes = side ? CROWD_BYTES : 100,
								.write_most = 16384,
								.read_most = 65536};
		t->side[0].plan.pause_at = 1000;
		t->side[0].plan.pause_us = 60 * SECOND;
		t->site = t->disturbed = t->perhaps_elsewhere = true;
		begin_talk(t, 0);
		world_run(200 * MS);
	}
	for (size_t i = 0; i < talks_count(); i++)
		running += talk_at(i)->side[1].begun && !talk_over(talk_at(i));
	world_check(running > 0 && running <= 20, "public-counted",
		    "%u clients of the site have sessions where 20 of 80 places are theirs",
		    running);
	/* An agent comes again, and asks. */
	world_agent_stop(&laptop);
	world_agent_start(&laptop, LAPTOP, laptop.host, NULL);
	world_check(world_until(both_linked, NULL, 20 * SECOND), "links",
		    "clients of the site keep an agent out");
	t = talk_plan(&world_dice, 1000);
	t->side[0].plan.ending = t->side[1].plan.ending = ENDS_CLEANLY;
	begin_talk(t, 0);
	(void)world_until(talks_over, NULL, 200 * SECOND);
	talks_judge();
	site_clear();
}

/* ---- the storm ---- */

static void home_dies(void)
{
	talks_lose_agent();
	world_agent_crash(&home);
	world_run(dice_below(&world_dice, 10 * SECOND));
	world_agent_start(&home, HOME, home_host, NULL);
}

static void line_breaks(void)
{
	talks_disturb();
	k_cable_pull(relay_host, home_host, true);
	world_run(dice_below(&world_dice, 20 * SECOND));
	k_cable_pull(relay_host, home_host, false);
}

static void relay_drains(void)
{
	talks_disturb();
	k_enter(relay.program);
	control_drain(relay.relay.control, 5000, false);
	k_enter(NULL);
}

static void another_site(void)
{
	char config[2048];

	snprintf(config, sizeof(config), "%ssite:\n  %s\n", relay_config,
		 dice_chance(&world_dice, 500) ? "to: home/site" : "server: apache");
	world_relay_write(&relay, config);
	k_signal(relay.program, SIGHUP);
}

static void stranger_comes(void)
{
	const struct addr to = front_door();

	stranger_come(&visitors, (enum stranger_kind)dice_below(&world_dice, STRANGER_KINDS), &to);
}

void world_site_storm(void)
{
	static void (*const acts[])(void) = {home_dies,	   line_breaks,	   relay_drains,
					     another_site, stranger_comes, stranger_comes};
	unsigned troubles = (unsigned)dice_between(&world_dice, 1, 12);

	site_set("limits:\n  open: 5s\n");
	plan_talks(20, true);
	for (unsigned i = 0; i < troubles; i++) {
		world_run(dice_below(&world_dice, 3 * SECOND));
		acts[dice_below(&world_dice, sizeof(acts) / sizeof(acts[0]))]();
	}
	world_run(20 * SECOND);
	(void)world_until(talks_over, NULL, 300 * SECOND);
	(void)world_until(strangers_gone, NULL, 200 * SECOND);
	talks_judge();
	site_clear();
}
