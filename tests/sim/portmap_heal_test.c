/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portmap_heal_test: what befalls gateways, and the mapping engine on a fake clock mends. A failure
 * prints its seed; SIM_SEED=N runs from it.
 *
 * links: portmap/engine/engine.c portmap/engine/paths.c portmap/engine/wants.c portmap/engine/proof.c
 * links: portmap/engine/address.c portmap/engine/taking_back.c
 * links: portmap/engine/mapping.c portmap/gateway/driver.c tests/support/portmap_world.c
 * links: core/addr.c core/log*.c
 * links: portmap/engine/truth.c
 */
#include "tests/support/portmap_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- what befalls gateways ---- */

static void a_restart_that_is_told_is_healed_within_two_seconds(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want wants[20];

	for (uint16_t i = 0; i < 20; i++)
		wants[i] = world_want(PORTMAP_UDP, (uint16_t)(5000 + i), (uint16_t)(5000 + i));
	w->fakes[PORTMAP_PCP].there = true;
	assert_int_equal(portmap_engine_want(&w->engine, wants, 20), 0);
	world_enter(w);
	world_pass(w, 10 * SECONDS);
	memset(w->table, 0, sizeof w->table);
	w->engine.heard.restarted(&w->engine.heard, PORTMAP_PCP, PORTMAP_IPV4, "the epoch is new");
	assert_state(w, MAPPING_REQUESTED);
	world_pass(w, 2 * SECONDS);
	assert_int_equal(world_entries(w, OURS), 20);
	assert_state(w, MAPPING_MAPPED);
	assert_true(w->closest_ms >= PORTMAP_SPACING_MS);
	world_free(w);
}

/* Any host of the LAN can forge what SSDP tells: it is looked at, and what is there keeps its
 * proof. */
static void a_restart_of_upnp_that_was_none_takes_no_proof(void **state)
{
	struct world *w = world_home(false, false, true);
	struct portmap_heard *h = &w->engine.heard;
	unsigned maps;

	world_pass(w, 10 * SECONDS);
	for (unsigned i = 0; i < 20; i++) {
		portmap_engine_verified(&w->engine, world_first(w)->id, "it came in");
		maps = w->fakes[PORTMAP_UPNP].maps;
		h->restarted(h, PORTMAP_UPNP, PORTMAP_IPV4, "it went away and came back");
		world_pass(w, 2 * SECONDS);
		assert_state(w, MAPPING_VERIFIED);
		if (i == 0) /* whether it was there may not be known: it is renewed, too */
			assert_int_equal(w->fakes[PORTMAP_UPNP].maps, maps + 1);
		world_pass(w, 59 * SECONDS);
		assert_state(w, MAPPING_VERIFIED);
	}
	world_pass(w, 7200 * SECONDS);
	portmap_engine_verified(&w->engine, world_first(w)->id, "it came in");
	memset(w->table, 0, sizeof w->table);
	h->restarted(h, PORTMAP_UPNP, PORTMAP_IPV4, "it has started anew");
	world_pass(w, 2 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_entries(w, OURS), 1);
	world_free(w);
}

static void a_restart_told_for_one_family_heals_the_other(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want one = world_want(PORTMAP_TCP, 443, 443);

	one.family = PORTMAP_IPV6;
	w->fakes[PORTMAP_UPNP].there = true;
	w->fakes[PORTMAP_UPNP].driver.families[PORTMAP_IPV6] = true;
	assert_int_equal(portmap_engine_want(&w->engine, &one, 1), 0);
	world_enter(w);
	world_pass(w, 10 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	memset(w->table, 0, sizeof w->table);
	w->engine.heard.restarted(&w->engine.heard, PORTMAP_PCP, PORTMAP_IPV4, "the epoch is new");
	world_pass(w, 2 * SECONDS);
	assert_int_equal(world_entries(w, OURS), 1);
	assert_state(w, MAPPING_MAPPED);
	world_free(w);
}

static void a_port_that_another_host_took_meanwhile_is_its_own(void **state)
{
	struct world *w = world_home(true, false, false);

	world_pass(w, 10 * SECONDS);
	memset(w->table, 0, sizeof w->table);
	world_add_entry(w, PORTMAP_TCP, PORTMAP_IPV4, 443, ANOTHER);
	w->engine.heard.restarted(&w->engine.heard, PORTMAP_PCP, PORTMAP_IPV4, "the epoch is new");
	world_pass(w, 2 * SECONDS);
	assert_state(w, MAPPING_CONFLICTING);
	assert_int_equal(world_entries(w, ANOTHER), 1);
	portmap_engine_leave(&w->engine, true, world_nothing, "stopping");
	world_pass(w, 5 * SECONDS);
	assert_int_equal(world_entries(w, ANOTHER), 1);
	world_free(w);
}

static void a_lease_that_is_over_is_not_called_mapped(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want one = world_want(PORTMAP_TCP, 443, 443);

	one.lifetime_s = 10;
	w->fakes[PORTMAP_PCP].there = true;
	assert_int_equal(portmap_engine_want(&w->engine, &one, 1), 0);
	world_enter(w);
	world_pass(w, SECONDS);
	assert_state(w, MAPPING_MAPPED);
	w->fakes[PORTMAP_PCP].silence_ms = UINT32_MAX; /* its driver tries for ever */
	w->fakes[PORTMAP_PCP].there = false;
	world_pass(w, 10 * SECONDS);
	assert_int_not_equal(world_first(w)->state, MAPPING_MAPPED);
	world_free(w);
}

static void another_protocol_takes_over(void **state)
{
	struct world *w = world_home(true, true, true);
	struct portmap_heard *h = &w->engine.heard;

	world_pass(w, 10 * SECONDS);
	w->fakes[PORTMAP_PCP].there = false;
	h->unavailable(h, PORTMAP_PCP, PORTMAP_IPV4, PORTMAP_SILENT, "no answer");
	assert_state(w, MAPPING_REQUESTED);
	world_pass(w, SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_first(w)->protocol, PORTMAP_NATPMP);
	assert_int_equal(w->engine.counts.moves, 1);
	/* The first one comes back, and what it held is the same entry: it stays where it is. */
	w->fakes[PORTMAP_PCP].there = true;
	world_pass(w, 3600 * SECONDS);
	assert_int_equal(world_first(w)->protocol, PORTMAP_NATPMP);
	assert_int_equal(world_entries(w, OURS), 1);
	assert_int_equal(w->fakes[PORTMAP_PCP].unmaps, 0);
	portmap_engine_leave(&w->engine, true, world_nothing, "stopping");
	world_pass(w, SECONDS);
	assert_int_equal(world_entries(w, OURS), 0);
	assert_int_equal(w->left, 1);
	world_free(w);
}

static void silence_is_found_out_at_the_renewal(void **state)
{
	struct world *w = world_home(true, false, true);

	world_pass(w, 10 * SECONDS);
	w->fakes[PORTMAP_PCP].there = false;
	world_pass(w, LIFETIME_S * SECONDS * 5 / 8 + 10 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_first(w)->protocol, PORTMAP_UPNP);
	world_free(w);
}

/* Its WAN changes: a renewal fails, and UPnP finds the port taken by what PCP made. */
static void what_another_protocol_of_ours_holds_is_no_conflict(void **state)
{
	struct world *w = world_home(true, false, true);

	w->fakes[PORTMAP_UPNP].apart = true;
	world_pass(w, 10 * SECONDS);
	w->fakes[PORTMAP_PCP].refuses = PORTMAP_NO_EXTERNAL;
	portmap_engine_renew(&w->engine);
	world_pass(w, 2 * SECONDS);
	assert_state(w, MAPPING_MAPPED); /* its lease runs */
	assert_true(world_first(w)->unrenewed);
	assert_non_null(strstr(world_first(w)->why, "PCP did not renew it"));
	assert_true(w->fakes[PORTMAP_UPNP].maps > 0);
	w->fakes[PORTMAP_PCP].refuses = PORTMAP_FAILURES;
	world_pass(w, 30 * SECONDS);
	assert_false(world_first(w)->unrenewed);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_first(w)->protocol, PORTMAP_PCP);
	assert_int_equal(world_first(w)->changes[MAPPING_CONFLICTING], 0);
	assert_int_equal(world_entries(w, OURS), 1);
	world_free(w);
}

static void flapping_does_not_flood(void **state)
{
	struct world *w = world_home(true, false, true);
	struct portmap_heard *h = &w->engine.heard;
	struct portmap_gateway g = {.about = "a fake"};

	world_pass(w, 10 * SECONDS);
	for (unsigned i = 0; i < 100; i++) {
		h->unavailable(h, PORTMAP_PCP, PORTMAP_IPV4, PORTMAP_SILENT, "no answer");
		world_pass(w, 500);
		h->available(h, PORTMAP_PCP, PORTMAP_IPV4, &g);
		world_pass(w, 500);
	}
	/* It moved to what stays, once. */
	assert_int_equal(world_first(w)->protocol, PORTMAP_UPNP);
	assert_state(w, MAPPING_MAPPED);
	assert_true(w->fakes[PORTMAP_PCP].maps + w->fakes[PORTMAP_UPNP].maps < 5);
	world_free(w);
}

static void another_external_address_is_told_and_no_longer_verified(void **state)
{
	struct world *w = world_home(true, false, false);
	struct portmap_heard *h = &w->engine.heard;
	struct addr other = world_address("45.0.0.99:1");

	world_pass(w, 10 * SECONDS);
	portmap_engine_verified(&w->engine, world_first(w)->id, "it came in");
	assert_state(w, MAPPING_VERIFIED);
	world_pass(w, 5000 * SECONDS);
	assert_state(w, MAPPING_VERIFIED); /* a renewal changes world_nothing */
	other.v4.sin_port = 0;
	w->external = other;
	h->external_changed(h, PORTMAP_PCP, &other);
	assert_int_equal(w->externals, 2);
	assert_state(w, MAPPING_MAPPED);
	other.v4.sin_port = htons(443);
	assert_true(addr_equal(&world_first(w)->external, &other));
	h->external_changed(h, PORTMAP_PCP, &w->external);
	assert_int_equal(w->externals, 2);
	world_free(w);
}

static void another_external_address_counts_from_each_source(void **state)
{
	struct world *w = world_home(true, true, false);
	struct portmap_heard *h = &w->engine.heard;
	struct addr other = world_address("45.0.0.99:1");

	world_pass(w, 10 * SECONDS);
	assert_int_equal(world_first(w)->protocol, PORTMAP_PCP);
	other.v4.sin_port = 0;
	w->external = other;
	h->external_changed(h, PORTMAP_NATPMP, &other);
	assert_int_equal(w->externals, 2);
	assert_true(addr_equal(&w->engine.external, &other));
	world_pass(w, SECONDS); /* PCP has been asked and agrees */
	assert_int_equal(w->externals, 2);
	other.v4.sin_port = htons(443);
	assert_true(addr_equal(&world_first(w)->external, &other));
	world_free(w);
}

/* ---- what works no longer ---- */

static void find_dead(struct world *w)
{
	portmap_engine_dead(&w->engine, world_first(w)->id, "what was sent did not arrive");
}

/* Deleted first, since many gateways only update an entry that they have. */
static void what_is_dead_is_deleted_and_asked_for_anew_at_once(void **state)
{
	struct world *w = world_home(false, false, true);
	unsigned maps;

	world_pass(w, 10 * SECONDS);
	portmap_engine_verified(&w->engine, world_first(w)->id, "it came in");
	assert_int_equal(world_first(w)->proven_ms, w->now_ms);
	world_pass(w, 100 * SECONDS);
	maps = w->fakes[PORTMAP_UPNP].maps;
	find_dead(w);
	assert_state(w, MAPPING_REQUESTED);
	assert_int_equal(world_first(w)->unproven_ms, w->now_ms);
	world_pass(w, SECONDS);
	assert_int_equal(w->fakes[PORTMAP_UPNP].unmaps, 1);
	assert_int_equal(w->fakes[PORTMAP_UPNP].maps, maps + 1);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_entries(w, OURS), 1);
	assert_true(world_first(w)->unproven_ms > 0); /* until something comes in */
	portmap_engine_verified(&w->engine, world_first(w)->id, "it came in");
	assert_int_equal(world_first(w)->unproven_ms, 0);
	world_free(w);
}

/* And so is what was mapped in the same way, unless something came in through it since then. */
static void what_shares_a_dead_mappings_fate_is_asked_for_anew(void **state)
{
	for (unsigned proven = 0; proven < 2; proven++) {
		struct world *w = world_new(7);
		struct portmap_want two[] = {world_want(PORTMAP_TCP, 443, 443),
					     world_want(PORTMAP_TCP, 444, 444)};
		struct portmap_mapping *other;

		w->fakes[PORTMAP_UPNP].there = true;
		assert_int_equal(portmap_engine_want(&w->engine, two, 2), 0);
		world_enter(w);
		world_pass(w, 10 * SECONDS);
		other = world_first(w)->next;
		portmap_engine_verified(&w->engine, world_first(w)->id, "it came in");
		world_pass(w, 10 * SECONDS);
		if (proven)
			portmap_engine_verified(&w->engine, other->id, "it came in");
		find_dead(w);
		assert_state(w, MAPPING_REQUESTED);
		assert_int_equal(other->state, proven ? MAPPING_VERIFIED : MAPPING_REQUESTED);
		world_pass(w, 2 * SECONDS);
		assert_int_equal(w->fakes[PORTMAP_UPNP].unmaps, proven ? 1 : 2);
		assert_int_equal(world_entries(w, OURS), 2);
		assert_state(w, MAPPING_MAPPED);
		assert_int_equal(other->state, proven ? MAPPING_VERIFIED : MAPPING_MAPPED);
		world_free(w);
	}
}

static void what_stays_dead_is_asked_for_by_another_protocol(void **state)
{
	static const unsigned minutes[] = {20, 40, 60, 60};
	struct world *w = world_home(true, false, true);

	world_pass(w, 10 * SECONDS);
	portmap_engine_verified(&w->engine, world_first(w)->id, "it came in");
	find_dead(w);
	world_pass(w, SECONDS);
	assert_int_equal(world_first(w)->protocol, PORTMAP_PCP);
	find_dead(w);
	world_pass(w, SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_first(w)->protocol, PORTMAP_UPNP);
	assert_int_equal(world_entries(w, OURS), 1);
	/* All have been tried: it stays, and is tried again later and later. */
	find_dead(w);
	assert_state(w, MAPPING_MAPPED);
	assert_string_equal(world_first(w)->proof, "what was sent did not arrive");
	world_pass(w, RECHECK_MS - 5 * SECONDS);
	find_dead(w);
	assert_state(w, MAPPING_MAPPED);
	world_pass(w, 10 * SECONDS);
	find_dead(w);
	assert_state(w, MAPPING_REQUESTED);
	world_pass(w, SECONDS);
	assert_state(w, MAPPING_MAPPED);
	/* By both once more, and then for 20, 40, 60 and 60 minutes by none. */
	for (unsigned i = 0; i < sizeof minutes / sizeof *minutes; i++) {
		uint64_t rests_ms;

		while (world_first(w)->dead_ms <= w->now_ms) {
			find_dead(w);
			world_pass(w, SECONDS);
		}
		rests_ms = world_first(w)->dead_ms - w->now_ms;
		assert_in_range(rests_ms, (minutes[i] * 60 - 2) * SECONDS,
				minutes[i] * 60 * SECONDS);
		world_pass(w, rests_ms);
	}
	world_free(w);
}

/* What never worked may be kept out by something that is no mapping's. */
static void what_never_worked_is_left_as_it_is(void **state)
{
	struct world *w = world_home(false, false, true);

	world_pass(w, 10 * SECONDS);
	for (unsigned i = 0; i < 5; i++) {
		find_dead(w);
		world_pass(w, RECHECK_MS);
	}
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(w->fakes[PORTMAP_UPNP].unmaps, 0);
	assert_int_equal(world_first(w)->unproven_ms, 0);
	world_free(w);
}

static void a_proof_counts_for_a_day(void **state)
{
	struct world *w = world_home(true, false, false);
	uint32_t id;

	world_pass(w, 10 * SECONDS);
	id = world_first(w)->id;
	portmap_engine_verified(&w->engine, id, "it came in");
	world_pass(w, PORTMAP_PROOF_MS - SECONDS);
	portmap_engine_unproven(&w->engine, id, "nobody came");
	assert_state(w, MAPPING_VERIFIED);
	assert_string_equal(world_first(w)->proof, "it came in");
	world_pass(w, SECONDS);
	portmap_engine_unproven(&w->engine, id, "nobody came");
	assert_state(w, MAPPING_MAPPED);
	assert_non_null(strstr(world_first(w)->proof, "nobody came"));
	assert_int_equal(world_first(w)->unproven_ms, w->now_ms);
	assert_int_equal(w->fakes[PORTMAP_PCP].unmaps, 0);
	world_free(w);
}

/* A proof is of this network's mapping alone. */
static void another_network_knows_nothing_of_the_proof(void **state)
{
	struct world *w = world_home(true, false, false);

	world_pass(w, 10 * SECONDS);
	portmap_engine_verified(&w->engine, world_first(w)->id, "it came in");
	portmap_engine_leave(&w->engine, false, world_nothing, "the network changed");
	assert_int_equal(world_first(w)->proven_ms, 0);
	world_enter(w);
	world_pass(w, 10 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_first(w)->unproven_ms, 0);
	world_free(w);
}

/* ---- looking whether it is there ---- */

/* UPnP's entries are read back, and written only where they are gone. */
static void what_upnp_dropped_is_back_at_the_next_recheck(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want one = world_want(PORTMAP_TCP, 443, 443);

	one.lifetime_s = 7 * 86400; /* or for good */
	w->fakes[PORTMAP_UPNP].there = true;
	for (unsigned i = 0; i < 2; i++) {
		w->fakes[PORTMAP_UPNP].permanent_only = i == 1;
		assert_int_equal(portmap_engine_want(&w->engine, &one, 1), 0);
		if (i == 0)
			world_enter(w);
		else
			portmap_engine_renew(&w->engine);
		world_pass(w, 10 * SECONDS);
		portmap_engine_verified(&w->engine, world_first(w)->id, "it came in");
		w->fakes[PORTMAP_UPNP].maps = w->fakes[PORTMAP_UPNP].looks = 0;
		world_pass(w, 10 * RECHECK_MS);
		assert_in_range(w->fakes[PORTMAP_UPNP].looks, 9, 12);
		assert_int_equal(w->fakes[PORTMAP_UPNP].maps, 0);
		assert_state(w, MAPPING_VERIFIED);
		memset(w->table, 0, sizeof w->table);
		world_pass(w, RECHECK_MS + 2 * SECONDS);
		assert_int_equal(world_entries(w, OURS), 1);
		assert_int_equal(w->fakes[PORTMAP_UPNP].maps, 1);
		assert_state(w, MAPPING_MAPPED); /* what came in came by what is gone */
		assert_true(world_first(w)->unproven_ms > 0);
	}
	world_free(w);
}

/* PCP and NAT-PMP renew, which tells as much for one datagram. */
static void what_pcp_dropped_is_back_at_the_next_recheck(void **state)
{
	for (unsigned p = 0; p < PORTMAP_UPNP; p++) {
		struct world *w = world_home(p == PORTMAP_PCP, p == PORTMAP_NATPMP, false);

		world_pass(w, 10 * SECONDS);
		memset(w->table, 0, sizeof w->table);
		world_pass(w, RECHECK_MS + SECONDS);
		assert_int_equal(world_entries(w, OURS), 1);
		assert_in_range(w->fakes[p].maps, 2, 3);
		world_free(w);
	}
}

/* A gateway that is not there when it is looked at is no mapping lost. */
static void a_look_that_is_not_answered_leaves_it_mapped(void **state)
{
	struct world *w = world_home(false, false, true);

	world_pass(w, RECHECK_MS * 3 / 4);
	w->fakes[PORTMAP_UPNP].deaf = true;
	world_pass(w, RECHECK_MS);
	assert_true(w->fakes[PORTMAP_UPNP].looks > 0);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(w->fakes[PORTMAP_UPNP].maps, 1);
	world_free(w);
}

/* ---- the external address ---- */

static void another_address_is_noticed_within_half_a_minute(void **state)
{
	for (unsigned p = PORTMAP_NATPMP; p <= PORTMAP_UPNP; p++) {
		struct world *w = world_home(true, p == PORTMAP_NATPMP, p == PORTMAP_UPNP);
		struct addr other = world_address("45.0.0.99:443");

		world_pass(w, 100 * SECONDS);
		assert_in_range(w->fakes[p].asks, 3, 4);
		w->external.v4.sin_addr = other.v4.sin_addr;
		world_pass(w, PORTMAP_ADDRESS_MS + SECONDS);
		assert_int_equal(w->externals, 2);
		assert_true(addr_equal(&world_first(w)->external, &other));
		world_free(w);
	}
}

/* Whoever tells it first: one that knows only the old one does not bring that back, neither by what
 * it said before nor by saying so again. */
static void what_is_older_does_not_come_back(void **state)
{
	struct world *w = world_home(true, true, true);
	struct portmap_heard *h = &w->engine.heard;
	struct portmap_gateway late = {.external = w->external, .about = "a fake"};
	struct addr other = world_address("45.0.0.99:1");

	world_pass(w, 10 * SECONDS);
	other.v4.sin_port = 0;
	w->external = other;
	h->external_changed(h, PORTMAP_PCP, &other);
	assert_int_equal(w->externals, 2);
	h->available(h, PORTMAP_UPNP, PORTMAP_IPV4, &late);
	h->available(h, PORTMAP_NATPMP, PORTMAP_IPV4, &late);
	assert_int_equal(w->externals, 2);
	assert_true(addr_equal(&w->engine.external, &other));
	/* The one that told it goes: what the others knew is over all the same. */
	h->unavailable(h, PORTMAP_PCP, PORTMAP_IPV4, PORTMAP_SILENT, "no answer");
	assert_int_equal(w->externals, 2);
	assert_true(addr_equal(&w->engine.external, &other));
	/* A later change is news of any of them. */
	late.external = world_address("45.0.0.77:1");
	h->available(h, PORTMAP_UPNP, PORTMAP_IPV4, &late);
	assert_int_equal(w->externals, 3);
	world_free(w);
}

/* ---- years at a bad gateway ---- */

static uint64_t below(uint64_t *seed, uint64_t n)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (*seed >> 33) % n;
}

static void befall(struct world *w, uint64_t *seed)
{
	struct portmap_heard *h = &w->engine.heard;
	struct fake *k = &w->fakes[below(seed, PORTMAP_PROTOCOLS)];
	struct portmap_gateway g = {.external = w->external, .about = "a fake"};

	switch (below(seed, 12)) {
	case 10:
		for (const struct portmap_mapping *m = w->engine.mappings; m; m = m->next)
			portmap_engine_verified(&w->engine, m->id, "it came in");
		break;
	case 11:
		portmap_engine_dead(&w->engine, w->engine.mappings->id, "it came in no longer");
		break;
	case 0:
		k->there = !k->there;
		break;
	case 1:
		k->deaf = !k->deaf;
		break;
	case 2:
		memset(w->table, 0, sizeof w->table);
		if (k->there)
			h->restarted(h, k->driver.protocol, PORTMAP_IPV4, "it says so");
		break;
	case 3:
		memset(w->table, 0, sizeof w->table);
		break;
	case 4:
		if (k->there)
			h->available(h, k->driver.protocol, PORTMAP_IPV4, &g);
		break;
	case 5:
		h->unavailable(h, k->driver.protocol, PORTMAP_IPV4, PORTMAP_SILENT, "no answer");
		break;
	case 6:
		k->refuses = (enum portmap_failure)below(seed, PORTMAP_FAILURES + 1);
		if (k->refuses == PORTMAP_MISDIRECTED) /* it is not tried again for hours */
			k->refuses = PORTMAP_FAILURES;
		k->keeps_all = below(seed, 4) == 0;
		break;
	case 7:
		k->delay_ms = 1 + below(seed, 5000);
		break;
	case 8:
		w->external.v4.sin_addr.s_addr = htonl(0x2d000000u + (uint32_t)below(seed, 250));
		h->external_changed(h, k->driver.protocol, &w->external);
		break;
	default:
		portmap_engine_renew(&w->engine);
		break;
	}
}

static void run_years(uint64_t seed)
{
	struct world *w = world_new(seed);
	struct portmap_want wants[6];

	for (uint16_t i = 0; i < 6; i++)
		wants[i] = world_want(PORTMAP_TCP, (uint16_t)(443 + i), (uint16_t)(443 + i));
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
		w->fakes[p].there = below(&seed, 2);
	assert_int_equal(portmap_engine_want(&w->engine, wants, 6), 0);
	world_enter(w);
	for (unsigned i = 0; i < 400; i++) {
		world_pass(w, below(&seed, i % 3 == 0 ? 4000000 : 4000));
		befall(w, &seed);
		if (below(&seed, 20) == 0)
			assert_int_equal(
				portmap_engine_want(&w->engine, wants, 1 + below(&seed, 6)), 0);
	}
	/* When all is well again, all is mapped, and in the end world_nothing is
	 * left. */
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		w->fakes[p].there = true;
		w->fakes[p].deaf = false;
		w->fakes[p].refuses = PORTMAP_FAILURES;
		w->fakes[p].keeps_all = false;
		w->fakes[p].delay_ms = 20;
	}
	assert_int_equal(portmap_engine_want(&w->engine, wants, 6), 0);
	world_pass(w, 5000 * SECONDS);
	assert_int_equal(world_entries(w, OURS), 6);
	for (const struct portmap_mapping *m = w->engine.mappings; m; m = m->next)
		assert_true(m->state == MAPPING_MAPPED || m->state == MAPPING_VERIFIED);
	portmap_engine_leave(&w->engine, true, world_nothing, "stopping");
	world_pass(w, PORTMAP_LEAVE_MS);
	assert_int_equal(w->left, 1);
	assert_int_equal(world_entries(w, OURS), 0);
	world_free(w);
}

static void all_faults_heal_and_leave_nothing(void **state)
{
	const char *given = getenv("SIM_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);

	for (unsigned i = 0; i < (given ? 1u : 20u); i++, seed++) {
		print_message("SIM_SEED=%" PRIu64 "\n", seed);
		run_years(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_restart_that_is_told_is_healed_within_two_seconds),
		cmocka_unit_test(a_restart_of_upnp_that_was_none_takes_no_proof),
		cmocka_unit_test(a_restart_told_for_one_family_heals_the_other),
		cmocka_unit_test(a_port_that_another_host_took_meanwhile_is_its_own),
		cmocka_unit_test(a_lease_that_is_over_is_not_called_mapped),
		cmocka_unit_test(another_protocol_takes_over),
		cmocka_unit_test(silence_is_found_out_at_the_renewal),
		cmocka_unit_test(what_another_protocol_of_ours_holds_is_no_conflict),
		cmocka_unit_test(flapping_does_not_flood),
		cmocka_unit_test(another_external_address_is_told_and_no_longer_verified),
		cmocka_unit_test(another_external_address_counts_from_each_source),
		cmocka_unit_test(what_is_dead_is_deleted_and_asked_for_anew_at_once),
		cmocka_unit_test(what_shares_a_dead_mappings_fate_is_asked_for_anew),
		cmocka_unit_test(what_stays_dead_is_asked_for_by_another_protocol),
		cmocka_unit_test(what_never_worked_is_left_as_it_is),
		cmocka_unit_test(a_proof_counts_for_a_day),
		cmocka_unit_test(another_network_knows_nothing_of_the_proof),
		cmocka_unit_test(what_upnp_dropped_is_back_at_the_next_recheck),
		cmocka_unit_test(what_pcp_dropped_is_back_at_the_next_recheck),
		cmocka_unit_test(a_look_that_is_not_answered_leaves_it_mapped),
		cmocka_unit_test(another_address_is_noticed_within_half_a_minute),
		cmocka_unit_test(what_is_older_does_not_come_back),
		cmocka_unit_test(all_faults_heal_and_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
