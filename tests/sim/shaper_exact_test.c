/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shaper_exact: every limit is kept within five per cent over ten seconds, both ways.
 *
 * Each asker is greedy here, so that each limit has something to limit; tests/sim/shaper_test.c
 * asks the rest.
 * links: relay/shaper/shaper.c relay/shaper/tables.c relay/shaper/tick.c
 * links: tests/support/shaper_world.c core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>

#include "tests/support/shaper_world.h"

#define LUMP_BYTES 4096.0 /* a hungry session waits for so many, so as to send no crumbs */

static void check_within(const struct world *w, const char *what, unsigned which, double got,
			 double expected, double off)
{
	if (got > expected + off || got < expected - off)
		fail_msg("seed %llu, %zu sessions: %s %u had %.0f of %.0f bytes a second",
			 (unsigned long long)w->seed, w->count, what, which, got, expected);
}

static void check_near(const struct world *w, const char *what, unsigned which, double got,
		       double expected)
{
	check_within(w, what, which, got, expected, expected * 0.05);
}

/* All are greedy: what is limited has all of its limit. */
static void check_shares(const struct world *w)
{
	const struct shaper_limits *l = &w->limits;
	struct sums sums = sums_of(w);

	if (l->relay > 0)
		check_near(w, "relay", 0, sums.relay, (double)l->relay);
	for (unsigned a = 0; a < ACCOUNTS_MAX; a++)
		if (l->per_agent > 0 && sums.account[a] > 0)
			check_near(w, "agent", a, sums.account[a], (double)l->per_agent);
	for (unsigned v = 0; v < SERVICES_MAX; v++)
		if (l->per_service > 0 && sums.service[v] > 0)
			check_near(w, "service", v, sums.service[v], (double)l->per_service);
}

/* A limit of its own is kept within five per cent; how late each looks moves parts of a common one
 * between equals by a bit more, and by a lump. */
static void check_sessions(const struct world *w, size_t count, double expected, bool own)
{
	double off = own ? expected * 0.05 : expected * 0.1 + LUMP_BYTES * 1000 / RUN_MS;

	for (size_t i = 0; i < count; i++)
		check_within(w, "session", (unsigned)i, rate_of(&w->clients[i]), expected, off);
}

enum kind { OF_SESSION, OF_RULE, OF_AGENT, OF_SERVICE, OF_RELAY, KINDS };

/* Two agents with two services, and of each such pair so many sessions. */
static void measure_kind(enum kind kind, uint64_t rate, unsigned sessions)
{
	const struct shaper_limits limits[KINDS] = {[OF_SESSION] = {.per_session = rate},
						    [OF_AGENT] = {.per_agent = rate},
						    [OF_SERVICE] = {.per_service = rate},
						    [OF_RELAY] = {.relay = rate}};
	const double parts[KINDS] = {1, 1, 2.0 * sessions, 2.0 * sessions, 4.0 * sessions};
	struct world *w = world_new(rate + sessions, limits[kind]);

	for (unsigned i = 0; i < 4 * sessions; i++)
		client_join(w, i % 2, i / 2 % 2, INFINITY, kind == OF_RULE ? rate : 0);
	world_measure(w);
	check_shares(w);
	check_sessions(w, w->count, (double)rate / parts[kind], parts[kind] == 1);
	world_free(w);
}

static void test_each_limit(void **state)
{
	static const uint64_t rates[] = {200000, 2000000, 50000000, 1000000000};
	static const unsigned sessions[] = {1, 5, 50};

	for (enum kind kind = OF_SESSION; kind < KINDS; kind++)
		for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++)
			for (size_t s = 0; s < sizeof sessions / sizeof sessions[0]; s++)
				measure_kind(kind, rates[r], sessions[s]);
}

/* A limit that changes counts from then on, up and down. */
static void test_changed_limit(void **state)
{
	static const uint64_t rates[] = {2000000, 50000000, 500000, 8000000};
	struct world *w = world_new(1, (struct shaper_limits){0});

	for (unsigned i = 0; i < 6; i++)
		client_join(w, i % 3, 0, INFINITY, 1000);
	for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
		for (size_t i = 0; i < w->count; i++)
			shaper_set_rate(w->shaper, w->clients[i].number, rates[r]);
		world_measure(w);
		check_sessions(w, w->count, (double)rates[r], true);
		world_set_limits(w, (struct shaper_limits){.per_agent = rates[r]});
		world_measure(w);
		check_shares(w);
		world_set_limits(w, (struct shaper_limits){.relay = rates[r]});
		world_measure(w);
		check_shares(w);
		world_set_limits(w, (struct shaper_limits){0});
	}
	world_free(w);
}

/* One agent has all the sessions but one: half is its own, in equal parts, and half is the one's.
 */
static void test_thousand_against_one(void **state)
{
	static const struct shaper_limits limits[] = {
		{.relay = 100000000},
		{.per_service = 100000000},
		{.relay = 100000000, .per_session = 60000000}};

	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		struct world *w = world_new(i + 1, limits[i]);

		for (unsigned s = 0; s < 1000; s++)
			client_join(w, 0, 0, INFINITY, 0);
		client_join(w, 1, 0, INFINITY, 0);
		world_measure(w);
		check_shares(w);
		check_near(w, "session", 1000, rate_of(&w->clients[1000]), 50 * MB);
		check_sessions(w, 1000, 0.05 * MB, false);
		world_free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_limit),
		cmocka_unit_test(test_changed_limit),
		cmocka_unit_test(test_thousand_against_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
