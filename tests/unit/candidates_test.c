/* SPDX-License-Identifier: Apache-2.0 */
/*
 * candidates: which mappings an agent tells of, in which order, and what it believes of others.
 * links: agent/engine/candidates.c core/addr.c core/parse/wire.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/engine/candidates.h"

#define LONGEST "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535"

static struct nat_view view;

static struct nat_view_mapping *add(const char *place, enum nat_mapping_state state)
{
	struct nat_view_mapping *m = &view.mappings[view.mapping_count++];

	*m = (struct nat_view_mapping){.port = 443, .state = state};
	if (place)
		assert_true(addr_parse(place, &m->external));
	m->ipv6 = place && place[0] == '[';
	return m;
}

static void assert_told(const char *should_be)
{
	char text[1024];
	struct candidates c;

	candidates_of(&view, &c);
	candidates_text(&c, text, sizeof(text));
	assert_string_equal(text, should_be);
}

static int reset(void **state)
{
	memset(&view, 0, sizeof(view));
	strcpy(view.verdict, "one_nat");
	return 0;
}

static void verified_ones_come_first(void **state)
{
	add("45.0.0.10:1", NAT_MAPPING_MAPPED);
	add("45.0.0.10:2", NAT_MAPPING_VERIFIED)->udp = true;
	add("[2001:db8::7]:3", NAT_MAPPING_MAPPED);
	assert_told("udp:45.0.0.10:2 tcp:45.0.0.10:1 tcp:[2001:db8::7]:3");
}

static void what_leads_nowhere_is_not_told(void **state)
{
	add("45.0.0.10:1", NAT_MAPPING_REQUESTED);
	add("45.0.0.10:2", NAT_MAPPING_CONFLICTING);
	add("45.0.0.10:3", NAT_MAPPING_REFUSED);
	add("45.0.0.10:4", NAT_MAPPING_UNSUPPORTED);
	add(NULL, NAT_MAPPING_MAPPED);
	add("0.0.0.0:5", NAT_MAPPING_MAPPED);
	add("[::]:6", NAT_MAPPING_MAPPED);
	add("45.0.0.10:7", NAT_MAPPING_VERIFIED)->other_host = true;
	assert_told("");
}

static void behind_another_nat_only_what_is_proven(void **state)
{
	static const char *const inside[] = {"double_nat", "cgnat",   "filtered",
					     "vpn",	   "blocked", "offline"};

	add("192.168.1.2:1", NAT_MAPPING_MAPPED);
	add("45.0.0.10:2", NAT_MAPPING_VERIFIED);
	add("[2001:db8::7]:3", NAT_MAPPING_MAPPED);
	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
		strcpy(view.verdict, inside[i]);
		assert_told("tcp:45.0.0.10:2 tcp:[2001:db8::7]:3");
	}
}

static struct addr place(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

static void assert_told_beside(const char *const *seen, const char *should_be)
{
	char text[1024];
	struct candidates c;

	candidates_of(&view, &c);
	for (; *seen; seen++) {
		struct addr a = place(*seen);

		candidates_add_reflexive(&c, &a);
	}
	candidates_text(&c, text, sizeof(text));
	assert_string_equal(text, should_be);
}

/* What relays see comes behind what is mapped, each address once. */
static void what_relays_see_is_told_once(void **state)
{
	static const char *const seen[] = {"45.0.0.10:40001",	  "45.0.0.10:40002",
					   "[2001:db8::7]:40003", "45.0.0.11:40004",
					   "[2001:db8::7]:40005", NULL};

	assert_told_beside(seen, "udp:45.0.0.10:40001/srflx udp:[2001:db8::7]:40003/srflx "
				 "udp:45.0.0.11:40004/srflx");
	/* A mapping for datagrams says more than what one has been seen to come from. */
	add("45.0.0.10:1", NAT_MAPPING_VERIFIED);
	assert_told_beside(seen, "tcp:45.0.0.10:1 udp:45.0.0.10:40001/srflx "
				 "udp:[2001:db8::7]:40003/srflx udp:45.0.0.11:40004/srflx");
	add("45.0.0.10:2", NAT_MAPPING_MAPPED)->udp = true;
	assert_told_beside(seen, "tcp:45.0.0.10:1 udp:45.0.0.10:2 udp:[2001:db8::7]:40003/srflx "
				 "udp:45.0.0.11:40004/srflx");
}

static void what_leads_to_no_one_is_not_told(void **state)
{
	static const char *const seen[] = {
		"0.0.0.0:1", "[::]:1", "127.0.0.1:1", "127.255.0.1:1", "[::1]:1",
		/* A relay can say what it likes. */
		"[::ffff:127.0.0.1]:1", "[::ffff:0.0.0.0]:1", "224.0.0.1:1", "239.255.255.250:1900",
		"[ff02::c]:1900", "[::ffff:224.0.0.1]:1", "255.255.255.255:1", "0.1.2.3:1",
		"45.0.0.10:0", NULL};

	assert_told_beside(seen, "");
}

static void they_fit_a_message(void **state)
{
	struct wire_message m = {.type = WIRE_RESULT, .result.text = wire_text("")}, back;
	struct candidates c, taken;
	struct addr seen = place("45.0.0.10:40001");
	uint8_t frame[1024];
	size_t len, used;

	for (unsigned i = 0; i < WIRE_CANDIDATES_MAX + 3; i++)
		add(LONGEST, NAT_MAPPING_MAPPED);
	candidates_of(&view, &c);
	assert_int_equal(c.count, WIRE_CANDIDATES_MAX);
	candidates_add_reflexive(&c, &seen);
	assert_int_equal(c.count, WIRE_CANDIDATES_MAX);
	snprintf(c.items[0], sizeof(c.items[0]), "udp:%s/srflx", LONGEST);
	m.result.candidates = candidates_wire(&c);
	len = wire_encode(&m, frame, sizeof(frame));
	assert_true(len > 0);
	assert_int_equal(wire_decode(frame, len, &back, &used), WIRE_OK);
	candidates_take(&back.result.candidates, &taken);
	assert_int_equal(taken.count, c.count);
	for (size_t i = 0; i < c.count; i++)
		assert_string_equal(taken.items[i], c.items[i]);
}

static void what_is_no_address_is_passed_over(void **state)
{
	static const char *const said[][6] = {
		{"tcp:name.example:443", "tcp:45.0.0.10:443", "udp:45.0.0.10", "sctp:45.0.0.10:443",
		 "udp:0.0.0.0:443", "tcp:[2001:db8::7]:1"},
		{"udp:45.0.0.10:1/host", "udp:45.0.0.10:2/srflx", "tcp:45.0.0.10:3/srflx",
		 "udp:45.0.0.10:4/srflx/srflx", "udp:45.0.0.10:5/", "udp:[2001:db8::7]:1/srflx"}};
	static const char *const taken[][2] = {
		{"tcp:45.0.0.10:443", "tcp:[2001:db8::7]:1"},
		{"udp:45.0.0.10:2/srflx", "udp:[2001:db8::7]:1/srflx"}};
	struct wire_candidates from = {.count = 6};
	struct candidates c;
	json_t *list;

	for (size_t n = 0; n < 2; n++) {
		for (size_t i = 0; i < from.count; i++)
			from.items[i] = wire_text(said[n][i]);
		candidates_take(&from, &c);
		list = candidates_json(&c);
		assert_int_equal(json_array_size(list), 2);
		for (size_t i = 0; i < 2; i++)
			assert_string_equal(json_string_value(json_array_get(list, i)),
					    taken[n][i]);
		json_decref(list);
	}
}

static void text_is_cut_to_its_room(void **state)
{
	struct candidates c = {.count = 2, .items = {"tcp:45.0.0.10:443", "udp:45.0.0.10:443"}};
	char text[24];

	candidates_text(&c, text, sizeof(text));
	assert_string_equal(text, "tcp:45.0.0.10:443 udp:4");
	c.count = 0;
	candidates_text(&c, text, sizeof(text));
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(verified_ones_come_first, reset),
		cmocka_unit_test_setup(what_leads_nowhere_is_not_told, reset),
		cmocka_unit_test_setup(behind_another_nat_only_what_is_proven, reset),
		cmocka_unit_test_setup(what_relays_see_is_told_once, reset),
		cmocka_unit_test_setup(what_leads_to_no_one_is_not_told, reset),
		cmocka_unit_test_setup(they_fit_a_message, reset),
		cmocka_unit_test(what_is_no_address_is_passed_over),
		cmocka_unit_test(text_is_cut_to_its_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
