/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage: what most worlds have in common: hosts and cables, one or two relays, three agents, and
 * people at each of them.
 *
 *   home publishes talk (TCP) and web (public: www.example); laptop and guest forward to talk.
 *
 * Some of these stages have IPv6 as well, some have nothing else.
 */
#ifndef POSTERN_TESTS_WORLD_STAGE_H
#define POSTERN_TESTS_WORLD_STAGE_H

#include "tests/world/operator.h"
#include "tests/world/people.h"
#include "tests/world/programs.h"
#include "tests/world/strangers.h"

#define TALK_PORT    700u /* home's service */
#define FORWARD_PORT 800u /* at laptop and guest */

struct stage {
	unsigned relay_count;
	bool ipv6; /* the front door is reached by it */
	struct k_host *relay_hosts[2], *home_host, *laptop_host, *guest_host, *internet;
	struct world_relay relays[2];
	struct world_agent home, laptop, guest;
	struct people at_home, at_laptop, at_guest, visitors;
	struct operator operator;
	char relay_config[2048]; /* of the first */
};

extern struct stage stage;

/* Everything up and linked. extra: further lines of the relays' configuration, or "". */
void stage_set(unsigned relay_count, const char *extra);
/* Everything down, in order; checks that nothing is left. */
void stage_clear(void);
bool stage_linked(void *unused);
/* Agents that had stopped come again. */
void stage_agent_again(struct world_agent *a);
/* A talk of a random way, at a random moment of the next so many microseconds. */
struct talk *stage_talk(uint64_t within_us, uint64_t most_bytes);
/* A talk from there, now. */
struct talk *stage_talk_from(struct people *p, uint64_t bytes, uint64_t bytes_back);
/* One that lasts until something ends it, or ten minutes. */
struct talk *stage_lasting_talk(struct people *p);
bool stage_talk_over(void *talk);
/* Whether a talk that has begun goes through. One that is refused says nothing about wholeness. */
bool stage_goes_through(struct talk *t);
struct addr stage_front_door(unsigned relay);

#endif
