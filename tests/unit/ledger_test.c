/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger: each class keeps its places, and what has to go is the oldest of the fullest source.
 * links: relay/ledger/ledger.c relay/ledger/sources.c relay/ledger/names.c core/addr.c
 * links: core/area.c core/paged.c core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "relay/ledger/ledger.h"
#include "tests/support/resident.h"

#define ROOM 64u

static struct ledger *make(uint64_t unproven, uint64_t per_source)
{
	const struct ledger_limits limits = {
		.places = {[LEDGER_UNPROVEN] = unproven,
			   [LEDGER_PUBLIC] = 8,
			   [LEDGER_PROVEN] = 4,
			   [LEDGER_CONSOLE] = 2,
			   [LEDGER_DROPPED] = 4},
		.per_source = per_source,
		.public_per_source = 3,
		.public_per_name = 5,
	};
	struct ledger *l = ledger_new(ROOM);

	assert_non_null(l);
	ledger_set_limits(l, &limits);
	return l;
}

static struct addr from(const char *literal)
{
	struct addr a;

	assert_true(addr_from_literal(literal, 1, &a));
	return a;
}

/* Owner 0xTT00000000000000 + n lives on worker TT. */
static struct ledger_entered enter(struct ledger *l, const char *literal, slab_id owner)
{
	struct addr a = from(literal);

	return ledger_enter(l, &a, owner);
}

static uint32_t enter_quietly(struct ledger *l, const char *literal, slab_id owner)
{
	struct ledger_entered e = enter(l, literal, owner);

	assert_int_not_equal(e.place, 0);
	assert_int_equal(e.drop, 0);
	return e.place;
}

static void assert_quiet(struct ledger *l)
{
	struct ledger_use use = ledger_used(l);

	assert_int_equal(use.connections, 0);
	assert_int_equal(use.sources, 0);
	ledger_free(l);
}

/* Whom the next newcomer from there costs a place; it then leaves again, and so does the newcomer.
 */
static slab_id dropped_for(struct ledger *l, const char *literal, uint32_t places[])
{
	struct ledger_entered e = enter(l, literal, 99);
	enum reason why;

	assert_int_not_equal(e.place, 0);
	assert_int_not_equal(e.drop, 0);
	assert_int_equal(ledger_next_dropped(l, 0, &why), e.drop);
	assert_int_equal(ledger_next_dropped(l, 0, &why), 0);
	ledger_leave(l, places[e.drop]);
	ledger_leave(l, e.place);
	return e.drop;
}

static void the_oldest_of_a_full_source_goes(void **state)
{
	struct ledger *l = make(32, 2);
	uint32_t places[8];
	struct ledger_entered e;
	enum reason why = REASON_OK;

	places[1] = enter_quietly(l, "192.0.2.1", 1);
	places[2] = enter_quietly(l, "192.0.2.2", 2);
	places[3] = enter_quietly(l, "192.0.2.1", 3);
	e = enter(l, "192.0.2.1", 4);
	assert_int_equal(e.drop, 1);
	assert_int_equal(ledger_used(l).used[LEDGER_DROPPED], 1);
	assert_int_equal(ledger_used(l).used[LEDGER_UNPROVEN], 3);
	assert_int_equal(ledger_next_dropped(l, 0, &why), 1);
	assert_int_equal(why, REASON_LIMIT_SOURCE);
	/* Told once; counted until its descriptor is closed. */
	assert_int_equal(ledger_next_dropped(l, 0, &why), 0);
	assert_int_equal(ledger_used(l).used[LEDGER_DROPPED], 1);
	for (unsigned i = 1; i <= 3; i++)
		ledger_leave(l, places[i]);
	ledger_leave(l, e.place);
	assert_quiet(l);
}

static void the_fullest_source_pays_for_all(void **state)
{
	struct ledger *l = make(6, 100);
	uint32_t places[8];
	enum reason why;

	places[1] = enter_quietly(l, "192.0.2.1", 1);
	places[2] = enter_quietly(l, "198.51.100.1", 2);
	places[3] = enter_quietly(l, "198.51.100.1", 3);
	places[4] = enter_quietly(l, "203.0.113.1", 4);
	places[5] = enter_quietly(l, "203.0.113.1", 5);
	places[6] = enter_quietly(l, "198.51.100.1", 6);
	/* All from elsewhere: 198.51.100.1 has the most, then as many as the others. */
	assert_int_equal(dropped_for(l, "192.0.2.9", places), 2);
	places[7] = enter_quietly(l, "192.0.2.1", 7);
	struct ledger_entered e = enter(l, "203.0.113.9", 8);
	assert_int_equal(ledger_next_dropped(l, 0, &why), e.drop);
	assert_int_equal(why, REASON_LIMIT_UNPROVEN);
	assert_int_equal(e.drop, 4); /* of those with two it had them first */
	for (unsigned i = 3; i <= 7; i++)
		ledger_leave(l, places[i]);
	ledger_leave(l, places[1]);
	ledger_leave(l, e.place);
	assert_quiet(l);
}

/* A full address pays itself, however much more another network has. */
static void who_is_full_pays_itself(void **state)
{
	struct ledger *l = make(32, 2);
	uint32_t places[8], n = 0;
	enum reason why;

	for (unsigned host = 1; host <= 3; host++) {
		char literal[16];

		snprintf(literal, sizeof literal, "192.0.2.%u", host);
		places[n] = enter_quietly(l, literal, n + 1);
		n++;
		places[n] = enter_quietly(l, literal, n + 1);
		n++;
	}
	places[n++] = enter_quietly(l, "198.51.100.1", 7);
	places[n++] = enter_quietly(l, "198.51.100.1", 8);
	struct ledger_entered e = enter(l, "198.51.100.1", 9);
	assert_int_equal(e.drop, 7);
	assert_int_equal(ledger_next_dropped(l, 0, &why), 7);
	assert_int_equal(why, REASON_LIMIT_SOURCE);
	ledger_leave(l, e.place);
	while (n > 0)
		ledger_leave(l, places[--n]);
	assert_quiet(l);
}

/* A network that is full is judged as a whole, and within it the fullest address. */
static void networks_count_as_one(void **state)
{
	struct ledger *l = make(5, 100);
	uint32_t places[8];

	places[1] = enter_quietly(l, "2001:db8:1:1::1", 1);
	places[2] = enter_quietly(l, "2001:db8:1:1::2", 2); /* the same /64 */
	places[3] = enter_quietly(l, "2001:db8:2:1::1", 3);
	places[4] = enter_quietly(l, "2001:db8:2:100::1", 4); /* another /56, the same /48 */
	places[5] = enter_quietly(l, "2001:db8:2:200::1", 5);
	assert_int_equal(dropped_for(l, "2001:db8:3::1", places), 3);
	for (unsigned i = 1; i <= 5; i++)
		if (i != 3)
			ledger_leave(l, places[i]);
	assert_quiet(l);
}

static void wider_networks_have_limits_of_their_own(void **state)
{
	struct ledger *l = make(32, 1);
	uint32_t places[8];
	char literal[32];

	for (unsigned i = 1; i <= LEDGER_WIDER; i++) {
		snprintf(literal, sizeof literal, "192.0.2.%u", i);
		places[i] = enter_quietly(l, literal, i);
	}
	assert_int_equal(dropped_for(l, "192.0.2.77", places), 1);
	for (unsigned i = 2; i <= LEDGER_WIDER; i++)
		ledger_leave(l, places[i]);
	assert_quiet(l);
}

static void the_proven_have_places_of_their_own(void **state)
{
	struct ledger *l = make(2, 100);
	uint32_t places[8];

	for (unsigned i = 1; i <= 4; i++) {
		places[i] = enter_quietly(l, "192.0.2.1", i);
		assert_int_equal(ledger_prove(l, places[i], "laptop", false), REASON_OK);
	}
	assert_int_equal(ledger_of_name(l, "laptop"), 4);
	assert_int_equal(ledger_of_name(l, "home"), 0);
	places[5] = enter_quietly(l, "192.0.2.1", 5);
	assert_int_equal(ledger_prove(l, places[5], "laptop", false), REASON_LIMIT_PLACES);
	assert_int_equal(ledger_prove(l, places[5], "ops", true), REASON_OK);
	places[6] = enter_quietly(l, "192.0.2.1", 6);
	ledger_leave(l, places[1]);
	assert_int_equal(ledger_prove(l, places[6], "laptop", false), REASON_OK);
	for (unsigned i = 2; i <= 6; i++)
		ledger_leave(l, places[i]);
	assert_int_equal(ledger_of_name(l, "laptop"), 0);
	assert_quiet(l);
}

static void one_that_proves_itself_in_the_last_moment_stays(void **state)
{
	struct ledger *l = make(1, 100);
	uint32_t first = enter_quietly(l, "192.0.2.1", 1);
	struct ledger_entered e = enter(l, "192.0.2.2", 2);
	enum reason why;

	assert_int_equal(e.drop, 1);
	assert_int_equal(ledger_become_public(l, first, "www"), REASON_LIMIT_UNPROVEN);
	assert_int_equal(ledger_prove(l, first, "laptop", false), REASON_OK);
	assert_int_equal(ledger_next_dropped(l, 0, &why), 0);
	/* One that was told has gone. */
	struct ledger_entered third = enter(l, "192.0.2.3", 3);
	assert_int_equal(third.drop, 2);
	assert_int_equal(ledger_next_dropped(l, 0, &why), 2);
	assert_int_equal(ledger_prove(l, e.place, "laptop", false), REASON_LIMIT_PLACES);
	ledger_leave(l, first);
	ledger_leave(l, e.place);
	ledger_leave(l, third.place);
	assert_quiet(l);
}

static void public_sessions_stay_charged(void **state)
{
	struct ledger *l = make(16, 100);
	uint32_t places[16];

	for (unsigned i = 1; i <= 3; i++) {
		places[i] = enter_quietly(l, "192.0.2.1", i);
		assert_int_equal(ledger_become_public(l, places[i], "www"), REASON_OK);
	}
	places[4] = enter_quietly(l, "192.0.2.1", 4);
	assert_int_equal(ledger_become_public(l, places[4], "www"), REASON_LIMIT_PUBLIC_SOURCE);
	assert_int_equal(ledger_used(l).used[LEDGER_PUBLIC], 3);
	/* The name's own limit, and that of all. */
	for (unsigned i = 5; i <= 6; i++) {
		places[i] = enter_quietly(l, "192.0.2.2", i);
		assert_int_equal(ledger_become_public(l, places[i], "www"), REASON_OK);
	}
	places[7] = enter_quietly(l, "192.0.2.2", 7);
	assert_int_equal(ledger_become_public(l, places[7], "www"), REASON_LIMIT_PUBLIC);
	for (unsigned i = 8; i <= 10; i++) {
		places[i] = enter_quietly(l, "198.51.100.1", i);
		assert_int_equal(ledger_become_public(l, places[i], "mail"), REASON_OK);
	}
	assert_int_equal(ledger_become_public(l, places[7], "mail"), REASON_LIMIT_PUBLIC);
	ledger_leave(l, places[8]);
	assert_int_equal(ledger_become_public(l, places[7], "mail"), REASON_OK);
	for (unsigned i = 1; i <= 10; i++)
		if (i != 8)
			ledger_leave(l, places[i]);
	assert_quiet(l);
}

/* Those that have to go are told to their own worker, and there may be only so many. */
static void workers_that_do_not_listen_are_bounded(void **state)
{
	const slab_id other = (slab_id)3 << 56;
	struct ledger *l = make(1, 100);
	uint32_t places[8];
	struct ledger_entered e;
	enum reason why;

	places[0] = enter_quietly(l, "192.0.2.1", other + 1);
	for (unsigned i = 1; i <= 4; i++) {
		e = enter(l, "192.0.2.1", other + 1 + i);
		assert_int_equal(e.drop, other + i);
		places[i] = e.place;
	}
	e = enter(l, "192.0.2.1", other + 9);
	assert_int_equal(e.place, 0);
	assert_int_equal(ledger_next_dropped(l, 0, &why), 0);
	for (unsigned i = 1; i <= 4; i++)
		assert_int_equal(ledger_next_dropped(l, 3, &why), other + i);
	ledger_leave(l, places[0]);
	e = enter(l, "192.0.2.1", other + 9);
	assert_int_not_equal(e.place, 0);
	/* One that closes by itself is not told. */
	ledger_leave(l, places[4]);
	assert_int_equal(ledger_next_dropped(l, 3, &why), 0);
	for (unsigned i = 1; i <= 3; i++)
		ledger_leave(l, places[i]);
	ledger_leave(l, e.place);
	assert_quiet(l);
}

static void a_header_moves_the_charge(void **state)
{
	struct ledger *l = make(8, 1);
	struct addr to = from("192.0.2.1"), proxy = from("10.0.0.1");
	uint32_t first = enter_quietly(l, "192.0.2.1", 1);
	struct ledger_entered e = ledger_enter(l, &proxy, 2);
	enum reason why;

	assert_int_equal(e.drop, 0);
	assert_int_equal(ledger_move(l, e.place, &to), 1);
	assert_int_equal(ledger_next_dropped(l, 0, &why), 1);
	/* The proxy's own is free again. */
	uint32_t third = enter_quietly(l, "10.0.0.1", 3);
	ledger_leave(l, first);
	ledger_leave(l, e.place);
	ledger_leave(l, third);
	assert_quiet(l);
}

static void connections_are_shared_out(void **state)
{
	struct ledger_shares shares = {.connections = 1000};
	struct ledger_limits out = {0};
	uint64_t sum = 0;

	ledger_share_out(&shares, &out);
	assert_int_equal(out.places[LEDGER_UNPROVEN], 250);
	assert_int_equal(out.places[LEDGER_PUBLIC], 250);
	assert_int_equal(out.places[LEDGER_CONSOLE], 80);
	assert_int_equal(out.places[LEDGER_DROPPED], 62);
	assert_int_equal(out.public_per_name, 187);
	for (unsigned i = 0; i < LEDGER_CLASSES; i++)
		sum += out.places[i];
	assert_int_equal(sum, 1000);
	shares = (struct ledger_shares){1000, 100, 9999, 50};
	ledger_share_out(&shares, &out);
	assert_int_equal(out.places[LEDGER_UNPROVEN], 100);
	assert_int_equal(out.places[LEDGER_PUBLIC], 250);
	assert_int_equal(out.places[LEDGER_PROVEN], 1000 - 100 - 250 - 80 - 25);
	assert_int_equal(out.public_per_name, 50);
	assert_string_equal(ledger_class_name(LEDGER_UNPROVEN), "unproven");
}

#define MANY	     60000u
#define CHARGED_EACH 290 /* bytes, in all tables together */

static struct addr one_of_many(unsigned i)
{
	char literal[64];

	if (i % 2)
		snprintf(literal, sizeof(literal), "2001:db8:%x:%x::1", i / 300, i);
	else
		snprintf(literal, sizeof(literal), "10.%u.%u.1", i >> 8 & 255, i & 255);
	return from(literal);
}

/* Its tables are charged as they are touched, as the kernel counts; and given back with them,
 * not before. */
static void what_it_takes_is_charged(void **state)
{
	const struct ledger_limits limits = {
		.places = {MANY, MANY, MANY, MANY, MANY}, MANY, MANY, MANY};
	static struct memory account;
	static uint32_t places[MANY];
	size_t before, grown;

	account = (struct memory){.most = 1u << 30};
	(void)memory_adopt(&account);
	struct ledger *l = ledger_new(10 * MANY);
	assert_non_null(l);
	assert_int_equal(account.used, 0);
	ledger_set_limits(l, &limits);
	memset(places, 1, sizeof(places)); /* resident before that */
	before = resident_bytes();
	for (unsigned i = 0; i < MANY; i++) {
		struct addr a = one_of_many(i);

		places[i] = ledger_enter(l, &a, i).place;
		assert_int_not_equal(places[i], 0);
	}
	/* Not one by one as they come: who has proved what it is leaves its prefixes to others. */
	for (unsigned i = 0; i < MANY; i++) {
		char name[32];

		snprintf(name, sizeof(name), "agent-%u", i);
		assert_int_equal(ledger_prove(l, places[i], name, false), REASON_OK);
	}
	grown = resident_bytes() - before;
	if (before > 0) {
		assert_true(account.used > (int64_t)(grown / 100 * 98));
		assert_true(account.used < (int64_t)(grown / 100 * 102));
	}
	/* Also where a sanitizer takes memory of its own: none of the tables is left out. */
	assert_in_range(account.used / MANY, CHARGED_EACH - 3, CHARGED_EACH + 3);
	for (unsigned i = 0; i < MANY; i++)
		ledger_leave(l, places[i]);
	assert_in_range(account.used / MANY, CHARGED_EACH - 3,
			CHARGED_EACH + 3); /* its pages stay */
	ledger_free(l);
	assert_int_equal(account.used, 0);
	(void)memory_adopt(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oldest_of_a_full_source_goes),
		cmocka_unit_test(the_fullest_source_pays_for_all),
		cmocka_unit_test(who_is_full_pays_itself),
		cmocka_unit_test(networks_count_as_one),
		cmocka_unit_test(wider_networks_have_limits_of_their_own),
		cmocka_unit_test(the_proven_have_places_of_their_own),
		cmocka_unit_test(one_that_proves_itself_in_the_last_moment_stays),
		cmocka_unit_test(public_sessions_stay_charged),
		cmocka_unit_test(workers_that_do_not_listen_are_bounded),
		cmocka_unit_test(a_header_moves_the_charge),
		cmocka_unit_test(connections_are_shared_out),
		cmocka_unit_test(what_it_takes_is_charged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
