/* SPDX-License-Identifier: Apache-2.0 */
/* shaper_world: the simulation's steps. */
#include "tests/support/shaper_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t chance(struct world *w, uint64_t below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random % below;
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

double between(struct world *w, double low, double high)
{
	unsigned octaves = 1;

	while (low * (double)(2u << octaves) <= high)
		octaves++;
	low *= (double)(1u << chance(w, octaves));
	return least(high, low * (1 + (double)chance(w, 1000000) / 1e6));
}

void world_set_limits(struct world *w, struct shaper_limits limits)
{
	w->limits = limits;
	shaper_set_limits(w->shaper, &limits);
}

struct world *world_new(uint64_t seed, struct shaper_limits limits)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	w->seed = seed;
	w->random = seed * 0x9e3779b97f4a7c15u | 1;
	w->shaper = shaper_new();
	assert_non_null(w->shaper);
	world_set_limits(w, limits);
	return w;
}

struct client *client_join(struct world *w, unsigned account, unsigned service, double demand,
			   uint64_t rate)
{
	struct client *c = &w->clients[w->count++];
	char from[16], to[16];
	bool failed;

	assert_true(w->count <= SESSIONS_MAX);
	*c = (struct client){.number = ++w->numbers,
			     .looks_ms = w->now_ms,
			     .account = account,
			     .service = service,
			     .demand = demand,
			     .rate = rate};
	snprintf(from, sizeof from, "agent-%u", account);
	snprintf(to, sizeof to, "home/%u", service);
	c->share = shaper_join(w->shaper, c->number, from, to, rate, &failed);
	assert_false(failed);
	assert_non_null(c->share);
	return c;
}

void client_leave(struct world *w, struct client *c)
{
	shaper_leave(w->shaper, c->number);
	share_release(c->share);
	*c = w->clients[--w->count];
}

void world_free(struct world *w)
{
	while (w->count > 0)
		client_leave(w, w->clients);
	shaper_free(w->shaper);
	free(w);
}

/* A worker: receives what is there and allowed. Paced, it looks again every tick or a bit later; a
 * busy machine may keep it from looking at all for a while. */
static void client_look(struct world *w, struct client *c)
{
	double want = isinf(c->demand) ? 4e6 : (double)(uint64_t)c->here;

	if (want < 1 || (c->paced && w->now_ms < c->looks_ms))
		return;
	size_t take = share_take(c->share, (size_t)want);
	if (take == 0) {
		c->looks_ms = w->now_ms + (w->punctual ? 1 : SHAPER_TICK_MS + chance(w, 3));
		if (!w->punctual && chance(w, 100) == 0)
			c->looks_ms += 30;
		c->paced = true;
		c->waiting++;
		return;
	}
	c->paced = false;
	c->waiting = 0;
	c->got += take;
	c->here -= (double)take;
	if (isinf(c->demand) && chance(w, 4) == 0) { /* less was there than it asked for */
		size_t unused = take / 3;

		share_return(c->share, unused);
		c->got -= unused;
	}
}

void world_run(struct world *w, uint64_t ms)
{
	for (uint64_t end = w->now_ms + ms; w->now_ms < end; w->now_ms++) {
		if (w->now_ms >= w->tick_ms) {
			shaper_tick(w->shaper, w->now_ms);
			w->tick_ms = w->now_ms + SHAPER_TICK_MS + (w->punctual ? 0 : chance(w, 3));
			if (!w->punctual && chance(w, 50) == 0)
				w->tick_ms += chance(w, 100);
		}
		for (size_t i = 0; i < w->count; i++) {
			struct client *c = &w->clients[i];

			if (!isinf(c->demand))
				c->here += c->demand / 1000;
			client_look(w, c);
		}
	}
}

void world_measure(struct world *w)
{
	world_run(w, WARM_MS);
	for (size_t i = 0; i < w->count; i++)
		w->clients[i].got = 0;
	world_run(w, RUN_MS);
}

double rate_of(const struct client *c)
{
	return (double)c->got * 1000 / RUN_MS;
}

struct sums sums_of(const struct world *w)
{
	struct sums s = {0};

	for (size_t i = 0; i < w->count; i++) {
		const struct client *c = &w->clients[i];

		s.relay += rate_of(c);
		s.account[c->account] += rate_of(c);
		s.service[c->service] += rate_of(c);
		s.pair[c->account][c->service] += rate_of(c);
	}
	return s;
}
