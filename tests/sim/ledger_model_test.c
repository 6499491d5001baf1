/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger against a plain list: connections come from a few crowded networks and many quiet
 * ones, prove themselves, become public and go, in an order that the seed decides. What has to go
 * for each newcomer is looked for by counting everything, and must be what the ledger says.
 * links: relay/ledger/ledger.c relay/ledger/sources.c relay/ledger/names.c core/addr.c
 * links: core/area.c core/paged.c core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "relay/ledger/ledger.h"

#define ROOM	   256u
#define UNPROVEN   64u
#define PER_SOURCE 12u
#define STEPS	   2000u
#define RUNS	   4u

struct held {
	bool used;
	enum ledger_class class;
	uint32_t place;
	struct addr from;
	uint64_t came;
};

struct model {
	uint64_t state, clock;
	struct ledger *ledger;
	struct held held[ROOM];
};

static uint64_t chance(struct model *m, uint64_t below)
{
	return random_next(&m->state) % below;
}

static struct addr somewhere(struct model *m)
{
	char text[64];
	struct addr a;
	bool crowd = chance(m, 3) > 0;
	unsigned net = crowd ? (unsigned)chance(m, 2) : 2 + (unsigned)chance(m, 60);
	unsigned host = (unsigned)chance(m, crowd ? 3 : 200);

	if (chance(m, 2) > 0)
		snprintf(text, sizeof text, "10.0.%u.%u", net, host);
	else
		snprintf(text, sizeof text, "2001:db8:%u:%x00::%u", net, host, host);
	assert_true(addr_from_literal(text, 1, &a));
	return a;
}

/* Same prefix, which is so many levels wider than an address. */
static bool together(const struct addr *a, const struct addr *b, unsigned level)
{
	static const unsigned bytes4[] = {4, 3}, bytes6[] = {8, 7, 6};

	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return level < 2 && memcmp(&a->v4.sin_addr, &b->v4.sin_addr, bytes4[level]) == 0;
	return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, bytes6[level]) == 0;
}

static unsigned levels_of(const struct addr *a)
{
	return a->sa.sa_family == AF_INET ? 2 : 3;
}

static uint64_t unproven_with(const struct model *m, const struct addr *a, unsigned level)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < ROOM; i++)
		n += m->held[i].used && m->held[i].class == LEDGER_UNPROVEN &&
		     together(&m->held[i].from, a, level);
	return n;
}

/* Is victim the oldest of the fullest, within the prefix of a at that level (9: all)? */
static void check_victim(const struct model *m, const struct held *victim, const struct addr *a,
			 unsigned level)
{
	unsigned inner = level < levels_of(a) ? level : levels_of(&victim->from);

	if (level < levels_of(a))
		assert_true(together(&victim->from, a, level));
	for (unsigned i = 0; i < ROOM; i++) {
		const struct held *h = &m->held[i];

		if (!h->used || h->class != LEDGER_UNPROVEN || h == victim)
			continue;
		if (level == 9) /* the widest networks are compared among each other */
			assert_true(unproven_with(m, &h->from, levels_of(&h->from) - 1) <=
				    unproven_with(m, &victim->from, levels_of(&victim->from) - 1));
		/* Then those in it, down to the address. */
		for (unsigned k = inner; k-- > 0;) {
			unsigned outer = k + 1;

			if (outer < levels_of(&victim->from) &&
			    !together(&h->from, &victim->from, outer))
				break;
			if (outer >= levels_of(&victim->from))
				continue;
			assert_true(unproven_with(m, &h->from, k) <=
				    unproven_with(m, &victim->from, k));
		}
		if (together(&h->from, &victim->from, 0))
			assert_true(h->came > victim->came);
	}
}

static unsigned free_slot(const struct model *m)
{
	for (unsigned i = 1; i < ROOM; i++)
		if (!m->held[i].used)
			return i;
	return 0;
}

static void somebody_comes(struct model *m)
{
	struct addr a = somewhere(m);
	unsigned at = free_slot(m), level = 9;
	uint64_t all = 0, limit = PER_SOURCE;
	enum reason why;

	assert_true(at > 0);
	for (unsigned i = 0; i < ROOM; i++)
		all += m->held[i].used && m->held[i].class == LEDGER_UNPROVEN;
	for (unsigned k = 0; k < levels_of(&a) && level == 9; k++, limit *= LEDGER_WIDER)
		if (unproven_with(m, &a, k) >= limit)
			level = k;
	struct ledger_entered e = ledger_enter(m->ledger, &a, at);
	assert_int_equal(e.drop != 0, level < 9 || all >= UNPROVEN);
	assert_true(e.place > 0);
	if (e.drop) {
		check_victim(m, &m->held[e.drop], &a, level);
		assert_int_equal(ledger_next_dropped(m->ledger, 0, &why), e.drop);
		ledger_leave(m->ledger, m->held[e.drop].place);
		m->held[e.drop].used = false;
	}
	m->held[at] = (struct held){true, LEDGER_UNPROVEN, e.place, a, m->clock++};
}

static void something_happens_to(struct model *m, struct held *h)
{
	if (h->class == LEDGER_UNPROVEN && chance(m, 3) == 0) {
		if (ledger_prove(m->ledger, h->place, "laptop", false) == REASON_OK)
			h->class = LEDGER_PROVEN;
	} else if (h->class == LEDGER_UNPROVEN && chance(m, 3) == 0) {
		if (ledger_become_public(m->ledger, h->place, "www") == REASON_OK)
			h->class = LEDGER_PUBLIC;
	} else {
		ledger_leave(m->ledger, h->place);
		h->used = false;
	}
}

static void run(struct model *m, uint64_t seed)
{
	const struct ledger_limits limits = {
		.places = {UNPROVEN, 60, 60, 4, 8},
		.per_source = PER_SOURCE,
		.public_per_source = 30,
		.public_per_name = 90,
	};

	memset(m, 0, sizeof *m);
	m->state = seed;
	m->ledger = ledger_new(ROOM);
	assert_non_null(m->ledger);
	ledger_set_limits(m->ledger, &limits);
	for (unsigned i = 0; i < STEPS; i++) {
		struct held *h = &m->held[chance(m, ROOM)];

		if (chance(m, 2) > 0)
			somebody_comes(m);
		else if (h->used)
			something_happens_to(m, h);
	}
	for (unsigned i = 0; i < ROOM; i++)
		if (m->held[i].used)
			ledger_leave(m->ledger, m->held[i].place);
	assert_int_equal(ledger_used(m->ledger).connections, 0);
	assert_int_equal(ledger_used(m->ledger).sources, 0);
	assert_int_equal(ledger_of_name(m->ledger, "laptop"), 0);
	ledger_free(m->ledger);
}

static void what_goes_is_the_oldest_of_the_fullest(void **state)
{
	struct model *m = malloc(sizeof *m);

	assert_non_null(m);
	for (uint64_t seed = 1; seed <= RUNS; seed++) {
		fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
		run(m, seed * 104729);
	}
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_is_the_oldest_of_the_fullest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
