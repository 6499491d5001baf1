/* SPDX-License-Identifier: Apache-2.0 */
/*
 * formers_test: what was mapped under which address: the table, its ages, and the bytes of the
 * file, right and wrong.
 *
 * links: portmap/engine/[a-z]*.c portmap/gateway/driver.c core/addr.c core/log*.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "portmap/engine/formers.h"

#define NOW UINT64_C(1800000000)

static struct formers table;
static uint8_t bytes[FORMERS_BYTES];

static int empty(void **state)
{
	memset(&table, 0, sizeof table);
	return 0;
}

static struct addr address(const char *text, uint16_t port)
{
	struct addr a;

	memset(&a, 0, sizeof a);
	assert_true(addr_from_literal(text, port, &a));
	return a;
}

static struct former mapping(const char *own, uint16_t port, uint16_t external)
{
	return (struct former){
		.protocol = PORTMAP_UPNP,
		.transport = PORTMAP_TCP,
		.family = PORTMAP_IPV4,
		.gateway = {.address = address("192.168.1.1", 0), .card = {2, 1, 2, 3, 4, 5}},
		.internal = address(own, port),
		.external = external,
		.until_s = NOW + 7200,
		.seen_s = NOW};
}

static void a_mapping_is_noted_once(void **state)
{
	struct former one = mapping("192.168.1.7", 443, 8443), other = one;
	char name[MAPPING_NAME_BYTES];

	formers_note(&table, &one);
	assert_true(table.changed);
	table.changed = false;
	formers_note(&table, &one);
	assert_false(table.changed);
	/* Renewed by another protocol, it is the same. */
	other.protocol = PORTMAP_PCP;
	other.until_s += 60;
	formers_note(&table, &other);
	assert_true(table.changed);
	assert_int_equal(table.count, 1);
	assert_int_equal(table.list[0].protocol, PORTMAP_PCP);
	assert_int_equal(table.list[0].until_s, NOW + 7260);
	former_name(&table.list[0], name);
	assert_string_equal(name, "tcp 443 -> 8443");
	/* Of another address, port, transport or gateway it is another one. */
	other = mapping("192.168.1.8", 443, 8443);
	formers_note(&table, &other);
	other = mapping("192.168.1.7", 444, 8443);
	formers_note(&table, &other);
	other = mapping("192.168.1.7", 443, 443);
	formers_note(&table, &other);
	other = one;
	other.transport = PORTMAP_UDP;
	formers_note(&table, &other);
	other = one;
	other.gateway.card[5]++;
	formers_note(&table, &other);
	assert_int_equal(table.count, 6);
	formers_drop(&table, &one);
	formers_drop(&table, &one);
	assert_int_equal(table.count, 5);
	assert_null(formers_find(&table, &one));
}

static void what_is_over_is_forgotten(void **state)
{
	struct former leased = mapping("192.168.1.7", 443, 443);
	struct former forever = mapping("192.168.1.7", 80, 80);

	forever.until_s = 0;
	formers_note(&table, &leased);
	formers_note(&table, &forever);
	formers_age(&table, NOW + 7199);
	assert_int_equal(table.count, 2);
	formers_age(&table, NOW + 7200);
	assert_int_equal(table.count, 1);
	assert_int_equal(table.list[0].external, 80);
	formers_age(&table, NOW + FORMERS_AGE_S - 1);
	assert_int_equal(table.count, 1);
	formers_age(&table, NOW + FORMERS_AGE_S);
	assert_int_equal(table.count, 0);
}

static void what_was_seen_longest_ago_makes_room(void **state)
{
	struct former one = mapping("192.168.1.7", 1, 1);

	for (uint16_t i = 0; i < FORMERS_MAX; i++) {
		one.external = (uint16_t)(1000 + i);
		one.seen_s = NOW + (i == 77 ? 0 : 1 + i);
		formers_note(&table, &one);
	}
	assert_int_equal(table.count, FORMERS_MAX);
	one = mapping("192.168.1.7", 1, 9999);
	formers_note(&table, &one);
	assert_int_equal(table.count, FORMERS_MAX);
	assert_non_null(formers_find(&table, &one));
	one.external = 1077;
	assert_null(formers_find(&table, &one));
	one.external = 1078;
	assert_non_null(formers_find(&table, &one));
	assert_int_equal(formers_encode(&table, bytes), 7 + FORMERS_MAX * 62);
}

static void an_old_one_is_of_this_gateway_and_leads_elsewhere(void **state)
{
	struct former one = mapping("192.168.1.7", 443, 443);
	struct former_gateway here = one.gateway, there = one.gateway, nameless = one.gateway;
	struct addr own = address("192.168.1.7", 0), now = address("192.168.1.9", 0);

	there.card[0] ^= 4;
	memset(nameless.card, 0, sizeof nameless.card);
	assert_true(former_is_old(&one, &here, &now));
	assert_false(former_is_old(&one, &here, &own));
	assert_false(former_is_old(&one, &there, &now));
	assert_false(former_is_old(&one, &nameless, &now));
	here.address = address("192.168.2.1", 0);
	assert_false(former_is_old(&one, &here, &now));
	assert_false(former_is_old(&one, &one.gateway, &(struct addr){.len = 0}));
}

/* The card is known a little later than the first mapping. */
static void a_gateway_gets_its_card(void **state)
{
	struct former early = mapping("192.168.1.7", 443, 443), same = early;
	struct former other = mapping("192.168.1.7", 80, 80);
	struct former_gateway gateway = early.gateway;

	memset(early.gateway.card, 0, sizeof early.gateway.card);
	memset(other.gateway.card, 0, sizeof other.gateway.card);
	other.gateway.address = address("192.168.2.1", 0);
	formers_note(&table, &early);
	formers_note(&table, &other);
	formers_note(&table, &same); /* of an earlier start */
	formers_name_gateway(&table, &gateway);
	assert_int_equal(table.count, 2);
	assert_null(formers_find(&table, &early));
	assert_non_null(formers_find(&table, &same));
	assert_non_null(formers_find(&table, &other));
	formers_forget_nameless(&table);
	assert_int_equal(table.count, 1);
	assert_non_null(formers_find(&table, &same));
}

/* ---- bytes ---- */

static size_t three(void)
{
	struct former one = mapping("192.168.1.7", 443, 8443);
	struct former six = {.protocol = PORTMAP_PCP,
			     .transport = PORTMAP_UDP,
			     .family = PORTMAP_IPV6,
			     .gateway = {.address = address("fe80::1", 0), .card = {2}},
			     .internal = address("2001:db8::7", 5000),
			     .external = 5000,
			     .seen_s = NOW};

	formers_note(&table, &one);
	one = mapping("10.0.0.7", 1, 65535);
	formers_note(&table, &one);
	formers_note(&table, &six);
	return formers_encode(&table, bytes);
}

static void bytes_are_read_as_they_were_written(void **state)
{
	struct formers again = {.count = 99};
	size_t len = three();

	assert_int_equal(len, 7 + 3 * 62);
	assert_false(table.changed);
	assert_true(formers_decode(bytes, len, &again));
	assert_int_equal(again.count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_non_null(formers_find(&again, &table.list[i]));
		assert_int_equal(again.list[i].protocol, table.list[i].protocol);
		assert_true(again.list[i].until_s == table.list[i].until_s);
		assert_true(again.list[i].seen_s == table.list[i].seen_s);
	}
	memset(&table, 0, sizeof table);
	len = formers_encode(&table, bytes);
	assert_true(formers_decode(bytes, len, &again));
	assert_int_equal(again.count, 0);
}

static void other_bytes_are_not(void **state)
{
	/* magic, version, count; protocol, transport, family, zero; port, external; seen */
	static const struct {
		size_t at;
		uint8_t value;
	} wrong[] = {{0, 'Q'}, {4, 2}, {5, 1}, {6, 2}, {6, 4},
		     {7, 3},   {8, 2}, {9, 2}, {9, 1}, {10, 1}};
	struct formers before = {.count = 5}, f = before;
	size_t len = three();
	uint8_t copy[FORMERS_BYTES];

	for (size_t cut = 0; cut < len; cut++) {
		assert_false(formers_decode(bytes, cut, &f));
		assert_memory_equal(&f, &before, sizeof f);
	}
	assert_false(formers_decode(bytes, len + 1, &f));
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		memcpy(copy, bytes, len);
		copy[wrong[i].at] = wrong[i].value;
		assert_false(formers_decode(copy, len, &f));
	}
	memcpy(copy, bytes, len);
	memset(copy + 49, 0, 2); /* the port */
	assert_false(formers_decode(copy, len, &f));
	memcpy(copy, bytes, len);
	memset(copy + 51, 0, 2); /* the external one */
	assert_false(formers_decode(copy, len, &f));
	memcpy(copy, bytes, len);
	memset(copy + 61, 0xff, 8); /* seen when its age would leap over the end of time */
	assert_false(formers_decode(copy, len, &f));
	assert_memory_equal(&f, &before, sizeof f);
}

#define TEST(name) cmocka_unit_test_setup(name, empty)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_mapping_is_noted_once),
		TEST(what_is_over_is_forgotten),
		TEST(what_was_seen_longest_ago_makes_room),
		TEST(an_old_one_is_of_this_gateway_and_leads_elsewhere),
		TEST(a_gateway_gets_its_card),
		TEST(bytes_are_read_as_they_were_written),
		TEST(other_bytes_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
