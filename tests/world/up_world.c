/* SPDX-License-Identifier: Apache-2.0 */
/* up_world: a relay and two agents come up, find each other, and go. */
#include "tests/world/programs.h"
#include "tests/world/worlds.h"

static bool both_linked(void *context)
{
	struct world_agent *agents = context;

	return world_agent_linked(&agents[0]) && world_agent_linked(&agents[1]);
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
