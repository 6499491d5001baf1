/* SPDX-License-Identifier: Apache-2.0 */
/* stage: the usual cast. */
#include "tests/world/stage.h"

#include <stdio.h>
#include <string.h>

struct stage stage;

static const char *engine(void)
{
	return dice_chance(&world_dice, 500) ? "io_uring" : "epoll";
}

static void relay_up(unsigned i)
{
	world_relay_start(&stage.relays[i], i == 0 ? RELAY_A : RELAY_B, stage.relay_hosts[i],
			  stage.relay_config);
}

static void set_relays(const char *extra)
{
	static const char *const names[] = {"relay-a", "relay-b"};

	snprintf(stage.relay_config, sizeof(stage.relay_config),
		 "listen:\n  - address: \"%s:443\"\n"
		 "public:\n  - name: www.example\n    to: home/web\n"
		 "%s"
		 "threads: %llu\nengine: %s\ndrain: 10s\n%s",
		 stage.ipv6 ? "[::]" : "0.0.0.0",
		 strstr(extra, "control:") ? "" : "control:\n  socket: " OPERATOR_SOCKET "\n",
		 (unsigned long long)dice_between(&world_dice, 1, 3), engine(), extra);
	for (unsigned i = 0; i < stage.relay_count; i++) {
		if (stage.ipv6)
			names_set(names[i], k_host_address6(stage.relay_hosts[i]));
		if (!stage.ipv6 || dice_chance(&world_dice, 500))
			names_set(names[i], k_host_address(stage.relay_hosts[i]));
		relay_up(i);
	}
}

static void set_agent(struct world_agent *a, enum who who, struct k_host *host, const char *rest)
{
	char config[2048];

	snprintf(config, sizeof(config), "relays:\n  - address: relay-a:443\n%s%sengine: %s\n",
		 stage.relay_count > 1 ? "  - address: relay-b:443\n" : "", rest, engine());
	world_agent_start(a, who, host, config);
}

static void set_hosts(void)
{
	struct k_host **hosts[] = {&stage.relay_hosts[0], &stage.relay_hosts[1], &stage.home_host,
				   &stage.laptop_host,	  &stage.guest_host,	 &stage.internet};
	static const char *const names[] = {"relay-a", "relay-b", "home",
					    "laptop",  "guest",	  "internet"};

	for (unsigned i = 0; i < 6; i++)
		*hosts[i] = k_host_new(names[i]);
	for (unsigned i = 0; i < 2; i++)
		for (unsigned k = 2; k < 6; k++)
			k_cable_set(*hosts[i], *hosts[k], (uint32_t)dice_size(&world_dice, 150000),
				    (uint32_t)dice_size(&world_dice, 20000));
}

void stage_set(unsigned relay_count, const char *extra)
{
	static const char forward[] = "forward:\n  - listen: 127.0.0.1:800\n    to: home/talk\n";

	stage = (struct stage){.relay_count = relay_count, .ipv6 = dice_chance(&world_dice, 300)};
	names_forget_all();
	talks_begin();
	strangers_begin();
	set_hosts();
	k_faults.short_io = (unsigned)dice_below(&world_dice, 200);
	set_relays(extra);
	set_agent(&stage.home, HOME, stage.home_host,
		  "publish:\n  - service: talk\n    target: 127.0.0.1:700\n"
		  "  - service: web\n    target: 127.0.0.1:443\n    public: true\n");
	set_agent(&stage.laptop, LAPTOP, stage.laptop_host, forward);
	set_agent(&stage.guest, GUEST, stage.guest_host, forward);
	people_start(&stage.at_home, "at-home", stage.home_host);
	people_answer(&stage.at_home, TALK_PORT, NULL);
	people_answer(&stage.at_home, 443, people_service_context());
	people_start(&stage.at_laptop, "at-laptop", stage.laptop_host);
	people_start(&stage.at_guest, "at-guest", stage.guest_host);
	people_start(&stage.visitors, "visitors", stage.internet);
	operator_start(&stage.operator, & stage.relays[0]);
	world_check(world_until(stage_linked, NULL, 60 * SECOND), "links",
		    "the agents are not linked after a minute");
	world_run(2 * SECOND);
}

bool stage_linked(void *unused)
{
	return world_agent_linked(&stage.home) && world_agent_linked(&stage.laptop) &&
	       world_agent_linked(&stage.guest);
}

void stage_agent_again(struct world_agent *a)
{
	world_agent_start(a, a->who, a->host, NULL);
}

void stage_clear(void)
{
	operator_stop(&stage.operator);
	world_agent_stop(&stage.laptop);
	world_agent_stop(&stage.guest);
	world_agent_stop(&stage.home);
	people_stop(&stage.visitors);
	/* What was cut off without a word is noticed by keep-alive. */
	world_run(150 * SECOND);
	for (unsigned i = 0; i < stage.relay_count; i++) {
		if (stage.relays[i].up)
			world_relay_check_quiet(&stage.relays[i]);
		if (dice_chance(&world_dice, 500))
			world_relay_stop(&stage.relays[i]);
		else
			world_relay_kill(&stage.relays[i]);
	}
	people_stop(&stage.at_guest);
	people_stop(&stage.at_laptop);
	people_stop(&stage.at_home);
}

struct addr stage_front_door(unsigned relay)
{
	const struct k_host *h = stage.relay_hosts[relay];

	return k_address(stage.ipv6 ? k_host_address6(h) : k_host_address(h), 443);
}

static void start_talk(struct talk *t, struct people *p)
{
	struct addr to = t->secure ? stage_front_door(0) : k_address("127.0.0.1", FORWARD_PORT);

	talk_start(t, p, &to);
}

static void begin_talk(void *context, uint64_t way)
{
	struct people *const people[] = {&stage.at_laptop, &stage.at_guest, &stage.visitors};

	start_talk(context, people[way]);
}

struct talk *stage_talk(uint64_t within_us, uint64_t most_bytes)
{
	struct talk *t = talk_plan(&world_dice, most_bytes);
	uint64_t way = dice_below(&world_dice, 3);

	t->secure = way == 2;
	snprintf(t->server_name, sizeof(t->server_name), "www.example");
	world_after(dice_below(&world_dice, within_us), begin_talk, t, way);
	return t;
}

struct talk *stage_talk_from(struct people *p, uint64_t bytes, uint64_t bytes_back)
{
	struct talk *t = talk_plan(&world_dice, 1);

	for (unsigned i = 0; i < 2; i++)
		t->side[i].plan = (struct talk_plan){.bytes = i == 0 ? bytes : bytes_back,
						     .write_most = 16384,
						     .read_most = 65536};
	t->secure = p == &stage.visitors;
	snprintf(t->server_name, sizeof(t->server_name), "www.example");
	start_talk(t, p);
	return t;
}

struct talk *stage_lasting_talk(struct people *p)
{
	struct talk *t = stage_talk_from(p, 1 << 20, 1 << 20);

	t->side[0].plan.write_most = 2000;
	t->side[1].plan.pause_at = 1 + dice_below(&world_dice, 100000);
	t->side[1].plan.pause_us = 600 * SECOND;
	t->disturbed = true;
	return t;
}

bool stage_talk_over(void *talk)
{
	return talk_over(talk);
}

bool stage_goes_through(struct talk *t)
{
	t->disturbed = true;
	(void)world_until(stage_talk_over, t, 20 * SECOND);
	return t->side[0].eof && t->side[1].eof;
}
