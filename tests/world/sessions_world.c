/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sessions_world: talks through forwards and by public names, with nothing that disturbs but what
 * the people themselves do: everything arrives, and every end is seen as what it was. In one world
 * the agents renew the keys of their sessions all the time.
 */
#include <stdio.h>

#include "tests/world/people.h"
#include "tests/world/programs.h"
#include "tests/world/worlds.h"

#define RELAY_CONFIG                                                                               \
	"listen:\n  - address: 0.0.0.0:443\n"                                                      \
	"public:\n  - name: www.example\n    to: home/web\n"
#define HOME_CONFIG                                                                                \
	"relays:\n  - address: relay-a:443\n"                                                      \
	"publish:\n  - service: talk\n    target: 127.0.0.1:700\n"                                 \
	"  - service: web\n    target: 127.0.0.1:443\n    public: true\n"
#define LAPTOP_CONFIG                                                                              \
	"relays:\n  - address: relay-a:443\n"                                                      \
	"forward:\n  - listen: 127.0.0.1:800\n    to: home/talk\n"

static struct world_relay relay;
static struct world_agent home, laptop;
static struct people at_home, away, visitors;
static struct k_host *relay_host;

static void begin_talk(void *context, uint64_t argument)
{
	struct talk *t = context;
	struct addr to = t->secure ? k_address(k_host_address(relay_host), 443)
				   : k_address("127.0.0.1", 800);

	talk_start(t, t->secure ? &visitors : &away, &to);
}

static bool both_linked(void *unused)
{
	return world_agent_linked(&home) && world_agent_linked(&laptop);
}

/* Keys that last for a hundred bytes, or for all of a talk. */
static void shorten_keys(struct agent_worker *w)
{
	w->rekey_bytes = dice_size(&world_dice, 100000) + 100;
	w->rekey_ms = dice_size(&world_dice, 20000) + 1;
}

/* How often a side must at least have renewed its keys, by what arrived of it: no key is for more
 * than its bytes, or one write, and each session has its first one. */
static uint64_t renewals(unsigned side, const struct agent_worker *w)
{
	uint64_t most = w->rekey_bytes > 16384 ? w->rekey_bytes : 16384, sum = 0;

	for (size_t i = 0; i < talks_count(); i++) {
		const struct talk *t = talk_at(i);
		uint64_t got = t->side[!side].got;

		if (!t->secure && got > 0)
			sum += (got - 1) / most;
	}
	return sum;
}

static void check_keys(const char *who, unsigned side, const struct agent_worker *w)
{
	uint64_t least = renewals(side, w);

	world_check(w->rekeyed >= least, "rekeyed",
		    "%s renewed %llu keys in %zu talks, at least %llu had to be", who,
		    (unsigned long long)w->rekeyed, talks_count(), (unsigned long long)least);
}

static void plan_talks(void)
{
	unsigned count = (unsigned)dice_between(&world_dice, 1, 12);

	for (unsigned i = 0; i < count; i++) {
		struct talk *t =
			talk_plan(&world_dice, dice_chance(&world_dice, 100) ? 3000000 : 200000);

		t->secure = dice_chance(&world_dice, 300);
		snprintf(t->server_name, sizeof(t->server_name), "www.example");
		world_after(dice_below(&world_dice, 5 * SECOND), begin_talk, t, 0);
	}
}

static void sessions(bool short_keys)
{
	char config[2048];
	struct k_host *hosts[4] = {k_host_new("relay"), k_host_new("home"), k_host_new("away"),
				   k_host_new("internet")};

	relay_host = hosts[0];
	for (unsigned i = 1; i < 4; i++)
		k_cable_set(hosts[0], hosts[i], (uint32_t)dice_size(&world_dice, 200000),
			    (uint32_t)dice_size(&world_dice, 20000));
	k_faults.short_io = (unsigned)dice_below(&world_dice, 300);
	names_set("relay-a", k_host_address(hosts[0]));
	talks_begin();
	snprintf(config, sizeof(config), "%sthreads: %llu\nengine: %s\n", RELAY_CONFIG,
		 (unsigned long long)dice_between(&world_dice, 1, 3),
		 dice_chance(&world_dice, 500) ? "io_uring" : "epoll");
	world_relay_start(&relay, RELAY_A, hosts[0], config);
	snprintf(config, sizeof(config), "%sengine: %s\n", HOME_CONFIG,
		 dice_chance(&world_dice, 500) ? "io_uring" : "epoll");
	world_agent_start(&home, HOME, hosts[1], config);
	world_agent_start(&laptop, LAPTOP, hosts[2], LAPTOP_CONFIG);
	people_start(&at_home, "at-home", hosts[1]);
	people_answer(&at_home, 700, NULL);
	people_answer(&at_home, 443, people_service_context());
	people_start(&away, "away", hosts[2]);
	people_start(&visitors, "visitors", hosts[3]);
	world_check(world_until(both_linked, NULL, 60 * SECOND), "links",
		    "the agents are not linked after a minute");
	world_run(2 * SECOND);
	if (short_keys) {
		shorten_keys(&home.agent.worker);
		shorten_keys(&laptop.agent.worker);
	}
	plan_talks();
	world_run(5 * SECOND);
	(void)world_until(talks_over, NULL, 300 * SECOND);
	talks_judge();
	if (short_keys) {
		check_keys("laptop", 0, &laptop.agent.worker);
		check_keys("home", 1, &home.agent.worker);
	}
	world_run(5 * SECOND);
	world_agent_stop(&laptop);
	world_agent_stop(&home);
	world_run(10 * SECOND);
	world_relay_check_quiet(&relay);
	world_relay_stop(&relay);
	people_stop(&visitors);
	people_stop(&away);
	people_stop(&at_home);
}

void world_sessions(void)
{
	sessions(false);
}

void world_rekeyed(void)
{
	sessions(true);
}
