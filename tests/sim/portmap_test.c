/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portmap_test: the mapping engine on a fake clock: how it starts, renews, hears no, and ends.
 *
 * links: portmap/engine/engine.c portmap/engine/paths.c portmap/engine/wants.c portmap/engine/proof.c
 * links: portmap/engine/address.c portmap/engine/taking_back.c
 * links: portmap/engine/mapping.c portmap/gateway/driver.c tests/support/portmap_world.c
 * links: core/addr.c core/log*.c
 * links: portmap/engine/truth.c
 */
#include "tests/support/portmap_world.h"

#include <string.h>

/* ---- the start ---- */

static void a_pcp_gateway_maps_within_a_tenth_of_a_second(void **state)
{
	struct world *w = world_home(true, true, true);

	world_pass(w, 100);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_first(w)->protocol, PORTMAP_PCP);
	assert_int_equal(addr_port(&world_first(w)->external), 443);
	assert_int_equal(w->externals, 1);
	world_pass(w, 10 * SECONDS);
	assert_int_equal(w->fakes[PORTMAP_NATPMP].maps, 0);
	assert_int_equal(w->fakes[PORTMAP_UPNP].maps, 0);
	world_free(w);
}

static void upnp_alone_does_not_wait_for_the_silent_ones(void **state)
{
	struct world *w = world_home(false, false, true);

	world_answer_after(w, PORTMAP_UPNP, 1000);
	world_answer_after(w, PORTMAP_PCP, 15000);
	world_answer_after(w, PORTMAP_NATPMP, 15000);
	world_pass(w, 3 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_first(w)->protocol, PORTMAP_UPNP);
	world_free(w);
}

static void a_better_protocol_that_is_a_little_slower_is_waited_for(void **state)
{
	struct world *w = world_home(true, true, false);

	world_answer_after(w, PORTMAP_PCP, 150);
	world_pass(w, SECONDS);
	assert_int_equal(world_first(w)->protocol, PORTMAP_PCP);
	assert_int_equal(w->fakes[PORTMAP_NATPMP].maps, 0);
	world_free(w);
}

static void what_came_first_is_kept_when_a_better_one_appears(void **state)
{
	struct world *w = world_home(true, true, false);

	world_answer_after(w, PORTMAP_PCP, 2000);
	world_pass(w, SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_first(w)->protocol, PORTMAP_NATPMP);
	world_pass(w, 20000 * SECONDS);
	assert_int_equal(world_first(w)->protocol, PORTMAP_NATPMP);
	assert_int_equal(w->fakes[PORTMAP_PCP].maps, 0);
	assert_int_equal(world_entries(w, OURS), 1);
	world_free(w);
}

static void nothing_there_is_said(void **state)
{
	struct world *w = world_home(false, false, false);

	world_pass(w, 5 * SECONDS);
	assert_state(w, MAPPING_UNSUPPORTED);
	assert_non_null(strstr(world_first(w)->why, "PCP, NAT-PMP, UPnP"));
	world_pass(w, 3600 * SECONDS);
	/* once a minute */
	assert_in_range(w->fakes[PORTMAP_PCP].probes, 50, 80);
	w->fakes[PORTMAP_UPNP].there = true;
	world_pass(w, 70 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	world_free(w);
}

static void requests_are_spaced(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want wants[40];

	for (uint16_t i = 0; i < 40; i++)
		wants[i] = world_want(PORTMAP_UDP, (uint16_t)(5000 + i), (uint16_t)(5000 + i));
	w->fakes[PORTMAP_PCP].there = true;
	assert_int_equal(portmap_engine_want(&w->engine, wants, 40), 0);
	world_enter(w);
	world_pass(w, 3 * SECONDS);
	assert_int_equal(world_entries(w, OURS), 40);
	assert_int_equal(w->closest_ms, PORTMAP_SPACING_MS);
	world_free(w);
}

/* ---- renewal ---- */

#define NO_LOOKS UINT32_MAX /* recheck_ms: what is held is not looked at before its renewal */

static void it_is_renewed_before_it_ends(void **state)
{
	struct world *w = world_home(true, false, false);

	w->engine.recheck_ms = NO_LOOKS;
	for (unsigned i = 0; i < 500; i++) {
		world_pass(w, 300 * SECONDS);
		assert_state(w, MAPPING_MAPPED);
		assert_int_equal(world_entries(w, OURS), 1);
	}
	/* every 1/2 to 5/8 of two hours */
	assert_in_range(w->engine.counts.renewals, 500 * 300 / 4500 - 1, 500 * 300 / 3600 + 1);
	world_free(w);
}

static void a_renewal_that_is_lost_is_tried_again(void **state)
{
	struct world *w = world_home(true, false, false);

	w->engine.recheck_ms = NO_LOOKS;
	world_pass(w, SECONDS);
	w->fakes[PORTMAP_PCP].deaf = true;
	world_pass(w, 5000 * SECONDS);
	assert_int_equal(w->engine.counts.renewals, 1);
	w->fakes[PORTMAP_PCP].deaf = false;
	world_pass(w, 2000 * SECONDS);
	assert_int_equal(w->engine.counts.renewals, 2);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_entries(w, OURS), 1);
	world_free(w);
}

static void what_was_dropped_silently_comes_back_with_the_renewal(void **state)
{
	struct world *w = world_home(false, true, false);

	world_pass(w, 5 * SECONDS);
	memset(w->table, 0, sizeof w->table);
	world_pass(w, LIFETIME_S * SECONDS * 5 / 8);
	assert_int_equal(world_entries(w, OURS), 1);
	world_free(w);
}

static void a_permanent_mapping_is_looked_at(void **state)
{
	struct world *w = world_home(false, false, true);

	w->fakes[PORTMAP_UPNP].permanent_only = true;
	world_pass(w, 5 * SECONDS);
	assert_int_equal(world_first(w)->lifetime_s, 0);
	memset(w->table, 0, sizeof w->table);
	world_pass(w, RECHECK_MS + 5 * SECONDS);
	assert_int_equal(world_entries(w, OURS), 1);
	assert_state(w, MAPPING_MAPPED);
	portmap_engine_leave(&w->engine, true, world_nothing, "stopping");
	world_pass(w, SECONDS);
	assert_int_equal(world_entries(w, OURS), 0);
	world_free(w);
}

/* Half of what was granted would be half of a week later. */
static void a_gateway_that_grants_more_is_renewed_at_our_pace(void **state)
{
	struct world *w = world_home(true, false, false);

	w->engine.recheck_ms = NO_LOOKS;
	w->fakes[PORTMAP_PCP].grants_s = 100 * LIFETIME_S;
	world_pass(w, SECONDS);
	assert_int_equal(world_first(w)->lifetime_s, LIFETIME_S);
	world_pass(w, LIFETIME_S * SECONDS);
	assert_int_equal(w->engine.counts.renewals, 1);
	world_free(w);
}

static void a_gateway_that_grants_seconds_is_not_asked_without_a_pause(void **state)
{
	struct world *w = world_home(true, false, false);

	w->fakes[PORTMAP_PCP].grants_s = 8;
	world_pass(w, 60 * SECONDS);
	assert_in_range(w->fakes[PORTMAP_PCP].maps, 10, 16);
	assert_true(w->closest_ms >= 4000);
	assert_state(w, MAPPING_MAPPED);
	world_free(w);
}

/* Renewed without end it would be open now and then. */
static void a_lease_too_short_to_keep_is_a_refusal(void **state)
{
	for (uint32_t lease = 1; lease < 8; lease++) {
		struct world *w = world_home(true, false, false);
		struct fake *k = &w->fakes[PORTMAP_PCP];

		k->grants_s = lease;
		world_pass(w, 60 * SECONDS);
		assert_state(w, MAPPING_REFUSED);
		assert_int_equal(k->maps, 1);
		assert_non_null(strstr(world_first(w)->why, "too short to keep"));
		world_pass(w, 24 * 3600 * SECONDS);
		assert_in_range(k->maps, 24, 64);
		assert_true(mapping_retried(world_first(w)));
		k->grants_s = 0;
		world_pass(w, 2100 * SECONDS);
		assert_state(w, MAPPING_MAPPED);
		/* One that is shortened is mapped until it ends. */
		k->grants_s = lease;
		portmap_engine_renew(&w->engine);
		world_pass(w, 500);
		assert_state(w, MAPPING_MAPPED);
		world_pass(w, 10 * SECONDS);
		assert_state(w, MAPPING_REFUSED);
		world_free(w);
	}
}

static void another_protocol_gives_what_is_not_too_short(void **state)
{
	struct world *w = world_home(true, false, true);

	w->fakes[PORTMAP_PCP].grants_s = 2;
	world_pass(w, 4 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_first(w)->protocol, PORTMAP_UPNP);
	world_pass(w, 24 * 3600 * SECONDS);
	assert_int_equal(w->fakes[PORTMAP_PCP].maps, 1);
	world_free(w);
}

static void renewals_fall_on_different_moments(void **state)
{
	struct portmap_mapping m = {.lifetime_s = LIFETIME_S, .granted_ms = 5000};
	const uint64_t half_ms = LIFETIME_S * SECONDS / 2;

	assert_int_equal(mapping_renewal(&m, 5000, RECHECK_MS, 0), 5000 + half_ms);
	assert_int_equal(mapping_renewal(&m, 5000, RECHECK_MS, 12345), 5000 + half_ms + 12345);
	assert_int_equal(mapping_renewal(&m, 5000, RECHECK_MS, half_ms / 4),
			 5000 + half_ms * 5 / 4);
	assert_int_equal(mapping_renewal(&m, 5000, RECHECK_MS, half_ms / 4 + 1), 5000 + half_ms);
	m.lifetime_s = 0;
	assert_int_equal(mapping_renewal(&m, 5000, RECHECK_MS, 777), 5000 + RECHECK_MS - 777);
}

/* With PREFER_FAILURE an address is as binding as a port, and it may be another one by now. */
static void a_port_that_must_be_it_is_asked_for_without_an_address(void **state)
{
	struct portmap_mapping m = {.want = world_want(PORTMAP_TCP, 443, 443), .ask_port = 443};
	const struct addr source = world_address("192.168.77.2:1");
	struct portmap_request r;

	m.external = world_address("45.0.0.10:443");
	mapping_request(&m, &source, &r);
	assert_true(r.prefer_failure);
	assert_int_equal(r.external.v4.sin_addr.s_addr, 0);
	assert_int_equal(addr_port(&r.external), 443);
	m.want.any = true;
	mapping_request(&m, &source, &r);
	assert_false(r.prefer_failure);
	assert_true(addr_equal(&r.external, &m.external));
}

/* ---- answers ---- */

static void a_request_that_is_never_answered_ends(void **state)
{
	struct world *w = world_home(true, false, false);

	w->fakes[PORTMAP_PCP].deaf = true;
	w->fakes[PORTMAP_PCP].silence_ms = 1000000 * SECONDS;
	world_pass(w, SECONDS);
	assert_int_equal(world_first(w)->step, MAPPING_ASKING);
	world_pass(w, PORTMAP_ANSWER_MS);
	assert_int_equal(world_first(w)->step, MAPPING_WAITING);
	assert_int_equal(w->engine.counts.failures[PORTMAP_SILENT], 1);
	w->fakes[PORTMAP_PCP].deaf = false;
	world_pass(w, 10 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	world_free(w);
}

static void the_answer_of_another_protocol_is_not_ours(void **state)
{
	struct world *w = world_home(true, true, false);
	const struct addr place = world_address("45.0.0.10:443");

	w->fakes[PORTMAP_PCP].delay_ms = 50;
	world_pass(w, 40); /* there, and asked */
	assert_int_equal(world_first(w)->step, MAPPING_ASKING);
	assert_int_equal(world_first(w)->protocol, PORTMAP_PCP);
	w->engine.heard.mapped(&w->engine.heard, PORTMAP_NATPMP, world_first(w)->id, &place, 60);
	assert_state(w, MAPPING_REQUESTED);
	assert_int_equal(world_first(w)->step, MAPPING_ASKING);
	w->engine.heard.failed(
		&w->engine.heard, PORTMAP_NATPMP, world_first(w)->id,
		&(struct portmap_refusal){.failure = PORTMAP_REFUSED, .why = "not mine"});
	assert_int_equal(world_first(w)->step, MAPPING_ASKING);
	world_pass(w, 50);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_first(w)->lifetime_s, LIFETIME_S);
	world_free(w);
}

/* ---- proof ---- */

static void a_proof_is_of_the_mapping_that_was_proven(void **state)
{
	struct world *w = world_home(true, false, false);
	uint32_t id = world_first(w)->id;

	portmap_engine_verified(&w->engine, id, "too early");
	assert_string_equal(world_first(w)->proof, "");
	world_pass(w, SECONDS);
	portmap_engine_verified(&w->engine, id, "it came in");
	assert_state(w, MAPPING_VERIFIED);
	assert_string_equal(world_first(w)->proof, "it came in");
	w->engine.heard.restarted(&w->engine.heard, PORTMAP_PCP, PORTMAP_IPV4, "it forgot");
	assert_state(w, MAPPING_REQUESTED);
	assert_string_equal(world_first(w)->proof, "");
	portmap_engine_verified(&w->engine, id, "too late");
	assert_string_equal(world_first(w)->proof, "");
	world_pass(w, SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_string_equal(world_first(w)->proof, "");
	world_free(w);
}

/* ---- what gateways say no to ---- */

static void a_taken_port_is_left_alone_and_tried_again(void **state)
{
	struct world *w = world_home(true, true, true);

	world_add_entry(w, PORTMAP_TCP, PORTMAP_IPV4, 443, ANOTHER);
	world_pass(w, 10 * SECONDS);
	assert_state(w, MAPPING_CONFLICTING);
	assert_non_null(strstr(world_first(w)->why, "or for any (external: any)"));
	assert_int_equal(w->fakes[PORTMAP_PCP].maps, 1);
	assert_int_equal(w->fakes[PORTMAP_UPNP].maps, 0);
	world_pass(w, 600 * SECONDS);
	assert_in_range(w->fakes[PORTMAP_PCP].maps, 5, 7);
	assert_int_equal(world_entries(w, ANOTHER), 1);
	memset(w->table, 0, sizeof w->table);
	world_pass(w, 1900 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	world_free(w);
}

/* Its owner has changed something there, perhaps not all: what is still refused is not put off for
 * longer each time that is tried. */
static void asking_by_hand_puts_nothing_off(void **state)
{
	struct world *w = world_home(true, false, false);

	w->fakes[PORTMAP_PCP].refuses = PORTMAP_REFUSED;
	world_pass(w, 10 * SECONDS);
	assert_state(w, MAPPING_REFUSED);
	for (unsigned i = 0; i < 6; i++) {
		portmap_engine_renew(&w->engine);
		world_pass(w, 5 * SECONDS);
	}
	w->fakes[PORTMAP_PCP].refuses = PORTMAP_FAILURES;
	world_pass(w, 340 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	world_free(w);
}

static void any_port_will_do_where_that_is_said(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want one = world_want(PORTMAP_TCP, 443, 443);

	one.any = true;
	w->fakes[PORTMAP_UPNP].there = true;
	world_add_entry(w, PORTMAP_TCP, PORTMAP_IPV4, 443, ANOTHER);
	assert_int_equal(portmap_engine_want(&w->engine, &one, 1), 0);
	world_enter(w);
	world_pass(w, 10 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_true(addr_port(&world_first(w)->external) >= 1024);
	uint16_t port = addr_port(&world_first(w)->external);
	world_pass(w, 20000 * SECONDS);
	assert_int_equal(addr_port(&world_first(w)->external), port);
	assert_int_equal(world_entries(w, OURS), 1);
	world_free(w);
}

static void a_port_that_was_not_asked_for_goes_back(void **state)
{
	struct world *w = world_home(false, true, false);

	w->fakes[PORTMAP_NATPMP].picks_another = true;
	world_add_entry(w, PORTMAP_TCP, PORTMAP_IPV4, 443, ANOTHER);
	world_pass(w, 10 * SECONDS);
	assert_state(w, MAPPING_CONFLICTING);
	assert_non_null(strstr(world_first(w)->why, "444"));
	assert_non_null(strstr(world_first(w)->why, "take any with external: any"));
	assert_null(strstr(world_first(w)->why, "or for any"));
	assert_int_equal(world_entries(w, OURS), 0);
	assert_int_equal(w->fakes[PORTMAP_NATPMP].unmaps, 1);
	world_free(w);
}

static void a_port_above_the_low_ones_goes_back_too(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want one = world_want(PORTMAP_TCP, 443, 8443);

	w->fakes[PORTMAP_NATPMP].there = w->fakes[PORTMAP_NATPMP].picks_another = true;
	world_add_entry(w, PORTMAP_TCP, PORTMAP_IPV4, 8443, ANOTHER);
	assert_int_equal(portmap_engine_want(&w->engine, &one, 1), 0);
	world_enter(w);
	world_pass(w, 10 * SECONDS);
	assert_state(w, MAPPING_CONFLICTING);
	assert_int_equal(world_entries(w, OURS), 0);
	world_free(w);
}

/* Any port may be taken, but not one that other programs have by right. */
static void a_low_port_goes_back_where_any_will_do(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want one = world_want(PORTMAP_TCP, 443, 443);

	one.any = true;
	w->fakes[PORTMAP_NATPMP].there = w->fakes[PORTMAP_NATPMP].picks_another = true;
	world_add_entry(w, PORTMAP_TCP, PORTMAP_IPV4, 443, ANOTHER);
	assert_int_equal(portmap_engine_want(&w->engine, &one, 1), 0);
	world_enter(w);
	world_pass(w, SECONDS);
	assert_int_equal(w->fakes[PORTMAP_NATPMP].unmaps, 1);
	assert_int_equal(world_entries(w, OURS), 0);
	/* What is so already is no advice. */
	assert_non_null(strstr(world_first(w)->why, "one below 1024 is only taken"));
	assert_null(strstr(world_first(w)->why, "external: any"));
	world_free(w);
}

static void what_one_refuses_another_may_allow(void **state)
{
	struct world *w = world_home(true, true, true);

	w->fakes[PORTMAP_PCP].refuses = PORTMAP_REFUSED;
	w->fakes[PORTMAP_NATPMP].refuses = PORTMAP_UNSUPPORTED;
	world_pass(w, 2 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_first(w)->protocol, PORTMAP_UPNP);
	world_free(w);
}

static void the_failure_that_says_most_is_shown(void **state)
{
	struct world *w = world_home(true, true, true);

	w->fakes[PORTMAP_PCP].refuses = PORTMAP_NO_EXTERNAL;
	w->fakes[PORTMAP_NATPMP].refuses = PORTMAP_SILENT;
	w->fakes[PORTMAP_UPNP].refuses = PORTMAP_UNSUPPORTED;
	world_pass(w, 2 * SECONDS);
	assert_state(w, MAPPING_REFUSED);
	assert_string_equal(world_first(w)->why, "the gateway says no");
	world_free(w);
}

/* ---- changes of the configuration, networks, the end ---- */

static void only_what_differs_is_changed(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want wants[3] = {world_want(PORTMAP_TCP, 443, 443),
					world_want(PORTMAP_UDP, 443, 443),
					world_want(PORTMAP_TCP, 22, 2222)};

	w->fakes[PORTMAP_PCP].there = true;
	assert_int_equal(portmap_engine_want(&w->engine, wants, 3), 0);
	world_enter(w);
	world_pass(w, SECONDS);
	assert_int_equal(world_entries(w, OURS), 3);
	wants[1] = world_want(PORTMAP_UDP, 443, 8443);
	wants[2] = world_want(PORTMAP_UDP, 53000, 53000);
	assert_int_equal(portmap_engine_want(&w->engine, wants, 3), 0);
	world_pass(w, SECONDS);
	assert_int_equal(world_entries(w, OURS), 3);
	assert_int_equal(w->engine.count, 3);
	assert_int_equal(world_first(w)->changes[MAPPING_MAPPED], 1);
	assert_int_equal(w->fakes[PORTMAP_PCP].maps, 5);
	assert_int_equal(w->fakes[PORTMAP_PCP].unmaps, 2);
	assert_int_equal(portmap_engine_want(&w->engine, wants, 0), 0);
	world_pass(w, SECONDS);
	assert_int_equal(world_entries(w, OURS), 0);
	assert_int_equal(w->engine.count, 0);
	world_free(w);
}

static void leaving_deletes_also_what_was_only_asked_for(void **state)
{
	struct world *w = world_home(true, false, false);

	w->fakes[PORTMAP_PCP].delay_ms = 50;
	world_pass(w, 40); /* there, and asked */
	assert_int_equal(world_first(w)->step, MAPPING_ASKING);
	world_add_entry(w, PORTMAP_TCP, PORTMAP_IPV4, 443, OURS)->internal =
		443; /* granted, not heard */
	portmap_engine_leave(&w->engine, true, world_nothing, "stopping");
	world_pass(w, SECONDS);
	assert_int_equal(w->left, 1);
	assert_int_equal(world_entries(w, OURS), 0);
	world_free(w);
}

/* A driver goes on asking until it is told to forget: it would map again what was just deleted. */
static void what_is_let_go_is_asked_for_no_longer(void **state)
{
	struct world *w = world_home(true, false, false);

	world_pass(w, 2);
	world_answer_after(w, PORTMAP_PCP, 5);
	world_pass(w, 6); /* there, and asked */
	assert_int_equal(world_first(w)->step, MAPPING_ASKING);
	world_answer_after(w, PORTMAP_PCP, 500);
	w->fakes[PORTMAP_PCP].delay_ms = 5;
	portmap_engine_leave(&w->engine, true, world_nothing, "stopping");
	world_pass(w, SECONDS);
	assert_int_equal(w->left, 1);
	assert_int_equal(world_entries(w, OURS), 0);
	world_free(w);
}

static void leaving_ends_in_time(void **state)
{
	struct world *w = world_home(true, false, false);

	world_pass(w, SECONDS);
	w->fakes[PORTMAP_PCP].there = false;
	w->fakes[PORTMAP_PCP].silence_ms = 100000;
	portmap_engine_leave(&w->engine, true, world_nothing, "stopping");
	world_pass(w, PORTMAP_LEAVE_MS - 1);
	assert_int_equal(w->left, 0);
	world_pass(w, 1);
	assert_int_equal(w->left, 1);
	world_free(w);
}

static void a_new_network_begins_anew(void **state)
{
	struct world *w = world_home(true, false, false);

	world_pass(w, SECONDS);
	portmap_engine_leave(&w->engine, false, world_nothing, "the network changed");
	assert_int_equal(w->left, 1);
	assert_state(w, MAPPING_REQUESTED);
	assert_int_equal(w->wake_ms, MAPPING_NEVER);
	memset(w->table, 0, sizeof w->table);
	memset(w->messages, 0, sizeof w->messages);
	w->external = world_address("46.0.0.1:1");
	w->external.v4.sin_port = 0;
	world_enter(w);
	world_pass(w, SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(w->externals, 2);
	world_free(w);
}

static void what_the_change_does_not_touch_stays(void **state)
{
	struct world *w = world_home(false, true, true);

	world_pass(w, SECONDS);
	portmap_engine_verified(&w->engine, world_first(w)->id, "it came in");
	assert_int_equal(world_first(w)->protocol, PORTMAP_NATPMP);
	w->fakes[PORTMAP_PCP].there = true; /* a better one is here by then */
	unsigned changes = w->changes;
	portmap_engine_leave(&w->engine, true, world_ipv4_only, "the network changed");
	assert_int_equal(w->left, 1);
	assert_int_equal(world_entries(w, OURS), 1);
	memset(w->messages, 0, sizeof w->messages);
	world_enter(w);
	world_pass(w, SECONDS);
	assert_state(w, MAPPING_VERIFIED);
	assert_int_equal(w->changes, changes);
	assert_int_equal(w->fakes[PORTMAP_NATPMP].maps, 2);
	assert_int_equal(w->fakes[PORTMAP_NATPMP].unmaps + w->fakes[PORTMAP_PCP].maps, 0);
	/* And when its protocol has gone meanwhile, another one takes over. */
	portmap_engine_leave(&w->engine, true, world_ipv4_only, "the network changed");
	memset(w->messages, 0, sizeof w->messages);
	w->fakes[PORTMAP_NATPMP].there = false;
	world_enter(w);
	world_pass(w, 5 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_first(w)->protocol, PORTMAP_PCP);
	portmap_engine_leave(&w->engine, true, world_nothing, "stopping");
	world_pass(w, SECONDS);
	assert_int_equal(world_entries(w, OURS), 0);
	world_free(w);
}

static void a_pinhole_needs_a_network_that_has_ipv6(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want one = world_want(PORTMAP_TCP, 443, 443);

	one.family = PORTMAP_IPV6;
	w->fakes[PORTMAP_UPNP].there = true;
	assert_int_equal(portmap_engine_want(&w->engine, &one, 1), 0);
	world_enter(w);
	world_pass(w, SECONDS);
	assert_state(w, MAPPING_UNSUPPORTED);
	portmap_engine_leave(&w->engine, false, world_nothing, "the network changed");
	memset(w->messages, 0, sizeof w->messages);
	w->fakes[PORTMAP_UPNP].driver.families[PORTMAP_IPV6] = true;
	world_enter(w);
	world_pass(w, SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_first(w)->external.sa.sa_family, AF_INET6);
	world_free(w);
}

/* A gateway that deletes no pinhole by PCP: its lease is made short, and UPnP may delete it. */
static void a_pinhole_that_pcp_keeps_is_ended_otherwise(void **state)
{
	for (int upnp = 0; upnp < 2; upnp++) {
		struct world *w = world_new(7);
		struct portmap_want one = world_want(PORTMAP_TCP, 443, 443);
		struct fake *pcp = &w->fakes[PORTMAP_PCP];

		one.family = PORTMAP_IPV6;
		pcp->there = pcp->keeps_all = true;
		pcp->driver.families[PORTMAP_IPV6] = true;
		w->fakes[PORTMAP_UPNP].there = upnp;
		w->fakes[PORTMAP_UPNP].driver.families[PORTMAP_IPV6] = true;
		assert_int_equal(portmap_engine_want(&w->engine, &one, 1), 0);
		world_enter(w);
		world_pass(w, 10 * SECONDS);
		assert_state(w, MAPPING_MAPPED);
		assert_int_equal(world_first(w)->protocol, PORTMAP_PCP);
		portmap_engine_leave(&w->engine, true, world_nothing, "stopping");
		world_pass(w, 900);
		assert_int_equal(world_entries(w, OURS), !upnp);
		assert_int_equal(w->left, 1);
		world_pass(w, 2 * SECONDS);
		assert_int_equal(world_entries(w, OURS), 0);
		assert_int_equal(pcp->maps, 2);
		assert_int_equal(pcp->unmaps, 2);
		assert_int_equal(w->fakes[PORTMAP_UPNP].unmaps, upnp);
		world_free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pcp_gateway_maps_within_a_tenth_of_a_second),
		cmocka_unit_test(upnp_alone_does_not_wait_for_the_silent_ones),
		cmocka_unit_test(a_better_protocol_that_is_a_little_slower_is_waited_for),
		cmocka_unit_test(what_came_first_is_kept_when_a_better_one_appears),
		cmocka_unit_test(nothing_there_is_said),
		cmocka_unit_test(requests_are_spaced),
		cmocka_unit_test(it_is_renewed_before_it_ends),
		cmocka_unit_test(a_renewal_that_is_lost_is_tried_again),
		cmocka_unit_test(what_was_dropped_silently_comes_back_with_the_renewal),
		cmocka_unit_test(a_gateway_that_grants_more_is_renewed_at_our_pace),
		cmocka_unit_test(a_gateway_that_grants_seconds_is_not_asked_without_a_pause),
		cmocka_unit_test(a_lease_too_short_to_keep_is_a_refusal),
		cmocka_unit_test(another_protocol_gives_what_is_not_too_short),
		cmocka_unit_test(renewals_fall_on_different_moments),
		cmocka_unit_test(a_port_that_must_be_it_is_asked_for_without_an_address),
		cmocka_unit_test(a_request_that_is_never_answered_ends),
		cmocka_unit_test(the_answer_of_another_protocol_is_not_ours),
		cmocka_unit_test(a_proof_is_of_the_mapping_that_was_proven),
		cmocka_unit_test(a_permanent_mapping_is_looked_at),
		cmocka_unit_test(a_taken_port_is_left_alone_and_tried_again),
		cmocka_unit_test(asking_by_hand_puts_nothing_off),
		cmocka_unit_test(any_port_will_do_where_that_is_said),
		cmocka_unit_test(a_port_that_was_not_asked_for_goes_back),
		cmocka_unit_test(a_port_above_the_low_ones_goes_back_too),
		cmocka_unit_test(a_low_port_goes_back_where_any_will_do),
		cmocka_unit_test(what_one_refuses_another_may_allow),
		cmocka_unit_test(the_failure_that_says_most_is_shown),
		cmocka_unit_test(only_what_differs_is_changed),
		cmocka_unit_test(leaving_deletes_also_what_was_only_asked_for),
		cmocka_unit_test(what_is_let_go_is_asked_for_no_longer),
		cmocka_unit_test(leaving_ends_in_time),
		cmocka_unit_test(a_new_network_begins_anew),
		cmocka_unit_test(what_the_change_does_not_touch_stays),
		cmocka_unit_test(a_pinhole_needs_a_network_that_has_ipv6),
		cmocka_unit_test(a_pinhole_that_pcp_keeps_is_ended_otherwise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
