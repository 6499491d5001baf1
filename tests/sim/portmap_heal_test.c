/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portmap_heal_test: what befalls gateways, and the mapping engine on a fake clock mends. A failure
 * prints its seed; SIM_SEED=N runs from it.
 *
 * links: portmap/engine/engine.c portmap/engine/paths.c portmap/engine/wants.c
 * links: portmap/engine/mapping.c portmap/gateway/driver.c tests/support/portmap_world.c
 * links: core/addr.c core/log.c
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
	assert_state(w, MAPPING_REQUESTED);
	assert_true(w->fakes[PORTMAP_UPNP].maps > 0);
	w->fakes[PORTMAP_PCP].refuses = PORTMAP_FAILURES;
	world_pass(w, 10 * SECONDS);
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

	switch (below(seed, 10)) {
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
		w->fakes[p].delay_ms = 20;
	}
	assert_int_equal(portmap_engine_want(&w->engine, wants, 6), 0);
	world_pass(w, 5000 * SECONDS);
	assert_int_equal(world_entries(w, OURS), 6);
	for (const struct portmap_mapping *m = w->engine.mappings; m; m = m->next)
		assert_string_equal(mapping_state_name(m->state), "mapped");
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
		cmocka_unit_test(a_restart_told_for_one_family_heals_the_other),
		cmocka_unit_test(a_port_that_another_host_took_meanwhile_is_its_own),
		cmocka_unit_test(a_lease_that_is_over_is_not_called_mapped),
		cmocka_unit_test(another_protocol_takes_over),
		cmocka_unit_test(silence_is_found_out_at_the_renewal),
		cmocka_unit_test(what_another_protocol_of_ours_holds_is_no_conflict),
		cmocka_unit_test(flapping_does_not_flood),
		cmocka_unit_test(another_external_address_is_told_and_no_longer_verified),
		cmocka_unit_test(another_external_address_counts_from_each_source),
		cmocka_unit_test(all_faults_heal_and_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
