/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names_world: a relay's name of which no name server says a word, and which leads first to
 * somebody who accepts and says nothing.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/world/programs.h"
#include "tests/world/worlds.h"

#define CONFIG "dial: 10s\nretry_max: 2s\nrelays:\n  - address: relay-a:443\n"

/* What a dial takes of the whole, with the pause behind it. */
#define A_TRY (12 * SECOND)

/* Listens at the port of relays; its kernel completes connections, and it never looks at them. */
static int mute_listen(struct k_program *p)
{
	struct k_program *before = k_enter(p);
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(443)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, 64) < 0)
		abort();
	(void)k_enter(before);
	return fd;
}

static void mute_close(struct k_program *p, int fd)
{
	struct k_program *before = k_enter(p);

	close(fd);
	(void)k_enter(before);
	k_program_end(p);
}

static bool linked(void *agent)
{
	return world_agent_linked(agent);
}

void world_names(void)
{
	static struct world_relay relay;
	static struct world_agent home, guest;
	struct k_host *elsewhere = k_host_new("mute"), *there = k_host_new("relay"),
		      *here = k_host_new("home"), *away = k_host_new("away");
	struct k_program *mute = k_program_new("mute", elsewhere);
	int fd = mute_listen(mute);

	names_set("relay-a", k_host_address(elsewhere));
	names_set("relay-a", k_host_address(there));
	world_relay_start(&relay, RELAY_A, there,
			  "listen:\n  - address: 0.0.0.0:443\nthreads: 2\n");
	names_hang("relay-a", true);
	world_agent_start(&home, HOME, here, CONFIG);
	world_agent_start(&guest, GUEST, away, CONFIG);
	world_run(5 * SECOND + dice_below(&world_dice, 20 * SECOND));
	world_check(!world_agent_linked(&home), "links",
		    "linked by a name that nobody answers for");
	/* One goes while it waits for the name. */
	world_agent_stop(&guest);
	names_hang("relay-a", false);
	/* What is left of the first try, a mute address, and the one behind it. */
	world_check(world_until(linked, &home, 2 * A_TRY), "links",
		    "a mute address keeps the agent from the relay's other one");
	/* Then it is known, and costs nothing. */
	world_agent_stop(&home);
	world_agent_start(&home, HOME, here, CONFIG);
	world_check(world_until(linked, &home, A_TRY), "links", "not linked after one try");
	world_relay_kill(&relay);
	world_run(3 * SECOND);
	world_relay_start(&relay, RELAY_A, there,
			  "listen:\n  - address: 0.0.0.0:443\nthreads: 2\n");
	/* While the relay was away, the other one may have been tried. */
	world_check(world_until(linked, &home, A_TRY), "links",
		    "the mute address is tried before the relay's again");
	world_agent_stop(&home);
	world_run(10 * SECOND);
	world_relay_check_quiet(&relay);
	world_relay_stop(&relay);
	mute_close(mute, fd);
}
