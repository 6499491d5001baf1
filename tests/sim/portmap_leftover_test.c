/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portmap_leftover_test: what is at a gateway and is not wanted any more goes, also where it was
 * dropped while the gateway could not be asked.
 *
 * links: portmap/engine/engine.c portmap/engine/paths.c portmap/engine/wants.c
 * links: portmap/engine/mapping.c portmap/gateway/driver.c tests/support/portmap_world.c
 * links: portmap/engine/proof.c portmap/engine/address.c portmap/engine/taking_back.c core/addr.c core/log*.c
 * links: portmap/engine/truth.c
 */
#include "tests/support/portmap_world.h"

#include <string.h>

static struct world *home_of(enum portmap_protocol p)
{
	return world_home(p == PORTMAP_PCP, p == PORTMAP_NATPMP, p == PORTMAP_UPNP);
}

static void goes_silent(struct world *w, enum portmap_protocol p)
{
	w->fakes[p].there = false;
	w->engine.heard.unavailable(&w->engine.heard, p, PORTMAP_IPV4, PORTMAP_SILENT,
				    "it stopped answering");
	world_pass(w, 5 * SECONDS);
}

static void want_none(struct world *w)
{
	assert_int_equal(portmap_engine_want(&w->engine, NULL, 0), 0);
}

/* The gateway did what it was asked; its answer is lost. */
static void make(struct world *w, enum portmap_protocol p)
{
	struct entry *e = world_add_entry(w, PORTMAP_TCP, PORTMAP_IPV4, 443, OURS);

	e->by = p;
	e->expires_ms = w->now_ms + LIFETIME_S * SECONDS;
}

/* Nothing of ours is there, and nothing is in mind. */
static void assert_clean(const struct world *w)
{
	assert_int_equal(world_entries(w, OURS), 0);
	assert_int_equal(w->engine.leftover_count, 0);
	assert_int_equal(w->engine.count, 0);
}

/* Ours is at this port outside, and nowhere else. */
static void assert_only_at(const struct world *w, uint16_t port)
{
	assert_int_equal(world_entries(w, OURS), 1);
	for (size_t i = 0; i < ENTRIES; i++)
		if (w->table[i].used && w->table[i].expires_ms > w->now_ms)
			assert_int_equal(w->table[i].external, port);
	assert_int_equal(w->engine.leftover_count, 0);
}

static void what_was_done_without_a_word_goes_when_it_is_dropped(void **state)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		struct world *w = home_of((enum portmap_protocol)p);

		w->fakes[p].deaf = true;
		world_pass(w, 2 * SECONDS);
		make(w, (enum portmap_protocol)p);
		world_pass(w, 20 * SECONDS);
		w->fakes[p].deaf = false;
		want_none(w);
		world_pass(w, 30 * SECONDS);
		assert_clean(w);
		world_free(w);
	}
}

static void what_is_dropped_while_the_gateway_is_away_goes_when_it_is_back(void **state)
{
	for (unsigned i = 0; i < 2 * PORTMAP_PROTOCOLS; i++) {
		enum portmap_protocol p = (enum portmap_protocol)(i / 2);
		struct world *w = home_of(p);

		w->fakes[p].permanent_only = i % 2;
		world_pass(w, 5 * SECONDS);
		goes_silent(w, p);
		want_none(w);
		world_pass(w, 900 * SECONDS);
		assert_int_equal(world_entries(w, OURS), 1);
		w->fakes[p].there = true;
		world_pass(w, 90 * SECONDS);
		assert_clean(w);
		world_free(w);
	}
}

/* While its deletion waits to be sent, or is under way. */
static void what_is_being_deleted_when_the_gateway_goes_is_deleted_later(void **state)
{
	struct world *w = home_of(PORTMAP_UPNP);

	world_pass(w, 5 * SECONDS);
	w->fakes[PORTMAP_UPNP].silence_ms = 30 * SECONDS;
	w->fakes[PORTMAP_UPNP].there = false;
	want_none(w);
	world_pass(w, SECONDS);
	assert_int_equal(world_first(w)->step, MAPPING_UNMAPPING);
	goes_silent(w, PORTMAP_UPNP);
	w->fakes[PORTMAP_UPNP].there = true;
	world_pass(w, 90 * SECONDS);
	assert_clean(w);
	world_free(w);
}

static void another_port_is_asked_for_in_flight(void **state)
{
	struct portmap_want other = world_want(PORTMAP_TCP, 443, 8443);

	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		struct world *w = home_of((enum portmap_protocol)p);

		world_pass(w, 1);
		w->fakes[p].delay_ms = 3000;
		for (unsigned i = 0; i < 500 && world_first(w)->step != MAPPING_ASKING; i++)
			world_pass(w, 5);
		assert_int_equal(world_first(w)->step, MAPPING_ASKING);
		make(w, (enum portmap_protocol)p);
		w->table[0].astray = true; /* both are there for a moment */
		assert_int_equal(portmap_engine_want(&w->engine, &other, 1), 0);
		world_pass(w, 60 * SECONDS);
		assert_only_at(w, 8443);
		world_free(w);
	}
}

static void another_port_is_asked_for_while_the_gateway_is_away(void **state)
{
	struct portmap_want other = world_want(PORTMAP_TCP, 443, 8443);

	for (unsigned i = 0; i < 2 * PORTMAP_PROTOCOLS; i++) {
		enum portmap_protocol p = (enum portmap_protocol)(i / 2);
		struct world *w = home_of(p);

		w->fakes[p].permanent_only = i % 2;
		world_pass(w, 5 * SECONDS);
		w->table[0].astray = true;
		goes_silent(w, p);
		assert_int_equal(portmap_engine_want(&w->engine, &other, 1), 0);
		w->fakes[p].there = true;
		world_pass(w, 120 * SECONDS);
		assert_only_at(w, 8443);
		portmap_engine_leave(&w->engine, true, world_nothing, "exit");
		world_pass(w, 10 * SECONDS);
		assert_int_equal(world_entries(w, OURS), 0);
		world_free(w);
	}
}

/* PCP goes, UPnP takes over at another port, and then it is dropped. */
static void what_is_left_at_another_protocol_goes_when_that_is_back(void **state)
{
	struct world *w = world_home(true, false, true);
	struct portmap_want any = world_want(PORTMAP_TCP, 443, 443);

	any.any = true;
	assert_int_equal(portmap_engine_want(&w->engine, &any, 1), 0);
	w->fakes[PORTMAP_UPNP].apart = true;
	world_pass(w, 5 * SECONDS);
	w->table[0].astray = true;
	goes_silent(w, PORTMAP_PCP);
	world_pass(w, 120 * SECONDS);
	assert_int_equal(world_entries(w, OURS), 2);
	want_none(w);
	w->fakes[PORTMAP_PCP].there = true;
	world_pass(w, 120 * SECONDS);
	assert_clean(w);
	world_free(w);
}

/* What is wanted again before it could be deleted is not deleted. */
static void what_is_wanted_again_stays(void **state)
{
	struct portmap_want again = world_want(PORTMAP_TCP, 443, 443);

	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		struct world *w = home_of((enum portmap_protocol)p);

		world_pass(w, 5 * SECONDS);
		goes_silent(w, (enum portmap_protocol)p);
		want_none(w);
		world_pass(w, 5 * SECONDS);
		assert_int_equal(w->engine.leftover_count, 1);
		assert_int_equal(portmap_engine_want(&w->engine, &again, 1), 0);
		w->fakes[p].there = true;
		world_pass(w, 120 * SECONDS);
		assert_state(w, MAPPING_MAPPED);
		assert_only_at(w, 443);
		world_free(w);
	}
}

/* A fault that passes. */
static void a_deletion_that_fails_is_tried_again(void **state)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		struct world *w = home_of((enum portmap_protocol)p);

		w->fakes[p].permanent_only = true;
		world_pass(w, 5 * SECONDS);
		w->fakes[p].keeps_all = true;
		want_none(w);
		world_pass(w, 20 * SECONDS);
		assert_int_equal(w->fakes[p].unmaps, 2);
		w->fakes[p].keeps_all = false;
		world_pass(w, 60 * SECONDS);
		assert_clean(w);
		world_free(w);
	}
}

/* But not without end. */
static void a_gateway_that_deletes_nothing_is_not_asked_for_ever(void **state)
{
	struct world *w = home_of(PORTMAP_UPNP);

	w->fakes[PORTMAP_UPNP].keeps_all = w->fakes[PORTMAP_UPNP].permanent_only = true;
	world_pass(w, 5 * SECONDS);
	want_none(w);
	world_pass(w, 24 * 3600 * SECONDS);
	assert_int_equal(w->engine.leftover_count, 0);
	assert_int_equal(w->fakes[PORTMAP_UPNP].unmaps, 1 + PORTMAP_UNWANTED_MAX);
	world_free(w);
}

/* It is left behind without a proof that it can be deleted; the end is awaited without a turn for
 * nothing. */
static void leaving_deletes_what_is_left_at_another_protocol(void **state)
{
	struct world *w = world_home(true, false, true);
	struct portmap_want any = world_want(PORTMAP_TCP, 443, 443);

	any.any = true;
	assert_int_equal(portmap_engine_want(&w->engine, &any, 1), 0);
	w->fakes[PORTMAP_UPNP].apart = true;
	world_pass(w, 5 * SECONDS);
	w->table[0].astray = true;
	goes_silent(w, PORTMAP_PCP);
	world_pass(w, 120 * SECONDS);
	w->fakes[PORTMAP_UPNP].delay_ms = 500;
	portmap_engine_leave(&w->engine, true, world_nothing, "exit");
	w->fakes[PORTMAP_PCP].there = true;
	w->engine.heard.available(&w->engine.heard, PORTMAP_PCP, PORTMAP_IPV4,
				  &(struct portmap_gateway){.about = "it is back"});
	for (unsigned i = 0; i < 100 && w->left == 0; i++) {
		assert_true(w->wake_ms > w->now_ms || w->now_ms >= w->engine.free_ms);
		world_pass(w, 10);
	}
	world_pass(w, 5 * SECONDS);
	assert_int_equal(w->left, 1);
	assert_int_equal(world_entries(w, OURS), 0);
	world_free(w);
}

/* PCP did it without a word, UPnP took over at the same place, and answers slowly. The fake clock
 * stands while there is something to do: a turn for nothing would be one of very many. */
static void leaving_waits_for_answers_without_a_turn_for_nothing(void **state)
{
	for (unsigned keeps = 0; keeps < 2; keeps++) {
		struct world *w = world_home(true, false, true);
		const bool keep[PORTMAP_FAMILIES] = {keeps, false};

		w->fakes[PORTMAP_PCP].deaf = true;
		world_pass(w, 30 * SECONDS);
		assert_true(world_first(w)->left[PORTMAP_PCP].there);
		w->fakes[PORTMAP_UPNP].delay_ms = 2500;
		portmap_engine_leave(&w->engine, true, keep, "exit");
		world_pass(w, 10 * SECONDS);
		assert_int_equal(w->left, 1);
		assert_int_equal(world_entries(w, OURS), keeps);
		world_free(w);
	}
}

/* A gateway that leads the port elsewhere, and is gone before that was taken back: when its lease
 * is over the mapping goes on by another protocol. */
static void what_was_led_elsewhere_does_not_block_for_ever(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want one = world_want(PORTMAP_TCP, 22, 8443);
	struct fake *k = &w->fakes[PORTMAP_NATPMP];

	k->there = k->leads_to_same_port = k->keeps_all = true;
	assert_int_equal(portmap_engine_want(&w->engine, &one, 1), 0);
	world_enter(w);
	world_pass(w, 10 * SECONDS);
	assert_state(w, MAPPING_MISDIRECTED);
	goes_silent(w, PORTMAP_NATPMP);
	w->fakes[PORTMAP_UPNP].there = true;
	world_pass(w, 2 * LIFETIME_S * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_first(w)->protocol, PORTMAP_UPNP);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_done_without_a_word_goes_when_it_is_dropped),
		cmocka_unit_test(what_is_dropped_while_the_gateway_is_away_goes_when_it_is_back),
		cmocka_unit_test(what_is_being_deleted_when_the_gateway_goes_is_deleted_later),
		cmocka_unit_test(another_port_is_asked_for_in_flight),
		cmocka_unit_test(another_port_is_asked_for_while_the_gateway_is_away),
		cmocka_unit_test(what_is_left_at_another_protocol_goes_when_that_is_back),
		cmocka_unit_test(what_is_wanted_again_stays),
		cmocka_unit_test(a_deletion_that_fails_is_tried_again),
		cmocka_unit_test(a_gateway_that_deletes_nothing_is_not_asked_for_ever),
		cmocka_unit_test(leaving_deletes_what_is_left_at_another_protocol),
		cmocka_unit_test(leaving_waits_for_answers_without_a_turn_for_nothing),
		cmocka_unit_test(what_was_led_elsewhere_does_not_block_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
