/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay_stun_test: one gate for all workers, that a change of configuration changes; the rules that
 * a configuration makes; a name for each counter.
 * links: relay/front/stun.c stun/limits.c stun/message.c stun/integrity.c stun/server.c core/addr.c
 * links: core/memory.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "relay/front/stun.h"

static struct addr at(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

static unsigned taken(struct stun_gate *g, const char *from, size_t count, uint64_t now_ms)
{
	struct datagram in[DATAGRAMS_BATCH];
	bool may[DATAGRAMS_BATCH];
	unsigned n = 0;

	for (size_t i = 0; i < count; i++)
		in[i] = (struct datagram){.from = at(from)};
	stun_gate_take(g, in, count, now_ms, may);
	for (size_t i = 0; i < count; i++)
		n += may[i];
	return n;
}

static void the_gate_follows_the_configuration(void **state)
{
	struct relay_stun conf = {.enabled = true, .rate = 1, .burst = 5, .prefixes = 256};
	struct stun_gate g;

	stun_gate_init(&g);
	assert_int_equal(stun_gate_adopt(&g, &conf), 0);
	assert_int_equal(taken(&g, "192.0.2.1:1", 20, 1000), 5);
	assert_int_equal(taken(&g, "192.0.2.9:7", 20, 1000), 0);
	assert_int_equal(taken(&g, "198.51.100.1:1", 20, 1000), 5);
	/* Adopting the same limits gives no source its tokens back. */
	assert_int_equal(stun_gate_adopt(&g, &conf), 0);
	assert_int_equal(taken(&g, "192.0.2.1:1", 20, 1000), 0);
	conf.burst = 9;
	assert_int_equal(stun_gate_adopt(&g, &conf), 0);
	assert_int_equal(taken(&g, "192.0.2.1:1", 20, 1000), 9);
	stun_gate_free(&g);
}

static void rules_of_a_configuration(void **state)
{
	struct addr alternate[] = {at("[2001:db8::9]:3478"), at("192.0.2.9:3479")};
	struct relay_stun conf = {.enabled = true,
				  .alternate = {alternate, 2, true},
				  .behaviour = {at("45.0.0.1:3478"), at("45.0.0.2:3479")}};
	struct stun_rules r;
	struct addr place = at("45.0.0.2:3478");

	stun_rules_make(&r, &conf, true);
	assert_true(r.enabled && r.plain.draining && r.places.draining);
	assert_null(r.plain.behaviour);
	assert_ptr_equal(r.places.behaviour, &r.behaviour);
	assert_true(addr_equal(&r.behaviour.places[1][0], &place));
	assert_true(addr_equal(&r.plain.alternate[0], &alternate[1]));
	assert_true(addr_equal(&r.places.alternate[1], &alternate[0]));
	assert_false(r.links);
	conf = (struct relay_stun){.enabled = false, .links = true};
	stun_rules_make(&r, &conf, false);
	assert_true(r.links);
	assert_false(r.enabled || r.plain.draining);
	assert_null(r.places.behaviour);
	assert_int_equal(r.plain.alternate[0].len, 0);
}

static void every_counter_has_a_name_of_its_own(void **state)
{
	for (unsigned i = 0; i < STUN_COUNTS; i++)
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(stun_count_name(i), stun_count_name(j));
	assert_string_equal(stun_count_name(STUN_LIMITED), "limited");
	assert_string_equal(stun_way_name(STUN_TCP), "tcp");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_gate_follows_the_configuration),
		cmocka_unit_test(rules_of_a_configuration),
		cmocka_unit_test(every_counter_has_a_name_of_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
