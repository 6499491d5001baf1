/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flood in simulation: one source opens connections as fast as it can and says nothing, many
 * others come at leisure. The flood must stay within its limit, the others must all get in, and
 * the table must be empty when the last deadline has passed.
 *
 * The clock is virtual and the randomness seeded: a failure prints its seed.
 * links: relay/rendezvous/sources.c core/timer.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/container.h"
#include "core/timer.h"
#include "relay/rendezvous/sources.h"

#define LIMIT	    8u
#define DEADLINE_MS 10000u
#define CONNS	    4096u
#define STEPS	    20000u
#define RUNS	    20u

struct conn {
	struct timer deadline;
	struct addr_key key;
	struct world *world;
	bool hostile, used;
};

struct world {
	uint64_t seed, now_ms;
	struct timers timers;
	struct sources *sources;
	struct conn conns[CONNS];
	size_t held_by_flood, refused_flood, refused_others, admitted_others;
};

static uint64_t chance(struct world *w, uint64_t below)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return w->seed % below;
}

static void on_deadline(struct timer *t, uint64_t now_ms)
{
	struct conn *c = container(t, struct conn, deadline);

	sources_leave(c->world->sources, c->key);
	if (c->hostile)
		c->world->held_by_flood--;
	c->used = false;
}

static struct addr_key key_of(unsigned host)
{
	struct addr a;
	char text[32];

	snprintf(text, sizeof text, "10.%u.%u.%u", host >> 16, host >> 8 & 255, host & 255);
	assert_true(addr_from_literal(text, 1, &a));
	return addr_source_key(&a);
}

static void step(struct world *w)
{
	struct conn *c = &w->conns[chance(w, CONNS)];
	bool hostile = chance(w, 4) > 0;

	if (c->used)
		return;
	c->key = hostile ? key_of(1) : key_of(256 + (unsigned)chance(w, 60000));
	c->hostile = hostile;
	if (!sources_enter(w->sources, c->key)) {
		if (hostile)
			w->refused_flood++;
		else
			w->refused_others++;
		return;
	}
	c->used = true;
	if (hostile)
		w->held_by_flood++;
	else
		w->admitted_others++;
	assert_true(w->held_by_flood <= LIMIT);
	/* The hostile ones stay silent to the deadline; the others soon say who they are. */
	uint64_t stays = hostile ? DEADLINE_MS : 1 + chance(w, 300);
	timers_set(&w->timers, &c->deadline, w->now_ms + stays);
}

static void world_run(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof *w);
	w->seed = seed;
	timers_init(&w->timers);
	w->sources = sources_new(LIMIT);
	assert_non_null(w->sources);
	for (size_t i = 0; i < CONNS; i++) {
		w->conns[i].world = w;
		w->conns[i].deadline.fire = on_deadline;
	}
	for (size_t i = 0; i < STEPS; i++) {
		w->now_ms += chance(w, 3);
		timers_run(&w->timers, w->now_ms);
		step(w);
	}
	timers_run(&w->timers, w->now_ms + DEADLINE_MS);
	assert_int_equal(sources_count(w->sources), 0);
	assert_true(w->refused_flood > 0);
	assert_int_equal(w->refused_others, 0);
	assert_true(w->admitted_others > 0);
	sources_free(w->sources);
}

static void a_flood_keeps_to_its_limit_and_shuts_no_other_out(void **state)
{
	struct world *w = malloc(sizeof *w);

	assert_non_null(w);
	for (uint64_t seed = 1; seed <= RUNS; seed++) {
		fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
		world_run(w, seed * 104729);
	}
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flood_keeps_to_its_limit_and_shuts_no_other_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
