/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shaper_world: sessions below a shaper, on a virtual clock with seeded randomness: workers that
 * look when they get to it, and what each session got. Any failure ends the test.
 */
#ifndef POSTERN_TESTS_SHAPER_WORLD_H
#define POSTERN_TESTS_SHAPER_WORLD_H

#include "relay/shaper/shaper.h"

#define MB	     1e6
#define SESSIONS_MAX 1100u
#define ACCOUNTS_MAX 12u
#define SERVICES_MAX 6u
#define RUN_MS	     10000u
#define WARM_MS	     500u

struct client {
	struct share *share;
	uint64_t number, looks_ms, got, waiting, rate;
	unsigned account, service;
	double demand; /* bytes per second; INFINITY: greedy; 0: idle */
	double here;   /* arrived and not received yet */
	bool paced;
};

struct world {
	uint64_t seed, random, now_ms, tick_ms, numbers;
	struct shaper *shaper;
	struct shaper_limits limits;
	struct client clients[SESSIONS_MAX];
	size_t count;
	bool punctual; /* no tick and no worker is ever late */
};

/* From 0 to below - 1. */
uint64_t chance(struct world *w, uint64_t below);
/* Small ones as likely as large ones: an octave first, then a place in it. */
double between(struct world *w, double low, double high);

struct world *world_new(uint64_t seed, struct shaper_limits limits);
void world_free(struct world *w);
void world_set_limits(struct world *w, struct shaper_limits limits);
/* A session of agent-ACCOUNT with home/SERVICE; rate: its own by policy, 0: none. */
struct client *client_join(struct world *w, unsigned account, unsigned service, double demand,
			   uint64_t rate);
/* The last client takes its place. */
void client_leave(struct world *w, struct client *c);
void world_run(struct world *w, uint64_t ms);
/* Runs until what began with full buckets has settled, then for ten seconds that count. */
void world_measure(struct world *w);

/* Bytes per second in these ten. */
double rate_of(const struct client *c);
struct sums {
	double relay, account[ACCOUNTS_MAX], service[SERVICES_MAX];
	double pair[ACCOUNTS_MAX][SERVICES_MAX];
};

struct sums sums_of(const struct world *w);

#endif
