/* SPDX-License-Identifier: Apache-2.0 */
/* up_world: a relay and two agents come up, find each other, and go. */
#include "tests/world/programs.h"
#include "tests/world/worlds.h"

static bool both_linked(void *context)
{
	struct world_agent *agents = context;

	return world_agent_linked(&agents[0]) && world_agent_linked(&agents[1]);
}

static bool one_linked(void *context)
{
	return world_agent_linked(context);
}

void world_up_and_down(void)
{
	static struct world_relay relay;
	static struct world_agent agents[2];
	struct k_host *there = k_host_new("relay"), *home = k_host_new("home"),
		      *away = k_host_new("away");

	names_set("relay-a", k_host_address(there));
	world_relay_start(&relay, RELAY_A, there,
			  "listen:\n  - address: 0.0.0.0:443\nthreads: 2\n");
	world_agent_start(&agents[0], HOME, home, "relays:\n  - address: relay-a:443\n");
	world_agent_start(&agents[1], LAPTOP, away, "relays:\n  - address: relay-a:443\n");
	world_check(world_until(both_linked, agents, 60 * SECOND), "links",
		    "the agents are not linked after a minute");
	world_run(5 * SECOND);
	world_agent_stop(&agents[0]);
	world_agent_stop(&agents[1]);
	world_run(10 * SECOND);
	world_relay_check_quiet(&relay);
	world_relay_stop(&relay);
}

/* One name leads to two relays that know nothing of each other. Whatever order the addresses come
 * in, the agents meet at one of them. */
void world_one_name(void)
{
	static struct world_relay relays[2];
	static struct world_agent agents[2];
	struct k_host *there[] = {k_host_new("relay"), k_host_new("relay-too")};
	struct k_host *hosts[] = {k_host_new("home"), k_host_new("away")};
	static const enum who names[] = {HOME, LAPTOP};

	for (unsigned i = 0; i < 2; i++)
		world_relay_start(&relays[i], RELAY_A, there[i],
				  "listen:\n  - address: 0.0.0.0:443\nthreads: 1\n");
	for (unsigned i = 0; i < 2; i++) {
		/* The second agent is answered the other way round. */
		names_forget_all();
		names_set("relay-a", k_host_address(there[i]));
		names_set("relay-a", k_host_address(there[1 - i]));
		world_agent_start(&agents[i], names[i], hosts[i],
				  "relays:\n  - address: relay-a:443\n");
		world_check(world_until(one_linked, &agents[i], 60 * SECOND), "links",
			    "an agent is not linked after a minute");
	}
	world_check(addr_same_host(&agents[0].agent.links.list[0]->at,
				   &agents[1].agent.links.list[0]->at),
		    "links", "two agents that dial one name do not meet");
	world_run(5 * SECOND);
	for (unsigned i = 0; i < 2; i++)
		world_agent_stop(&agents[i]);
	world_run(10 * SECOND);
	for (unsigned i = 0; i < 2; i++) {
		world_relay_check_quiet(&relays[i]);
		world_relay_stop(&relays[i]);
	}
}
