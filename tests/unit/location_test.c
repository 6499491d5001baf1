/* SPDX-License-Identifier: Apache-2.0 */
/*
 * location: which URLs of a gateway are followed.
 * links: upnp/location.c core/addr.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "upnp/location.h"

static bool parse(const char *text, struct location *out)
{
	return location_parse(text, strlen(text), out);
}

static void test_literals_are_read(void **state)
{
	static const char *const good[][2] = {
		{"http://192.168.1.1:5000/rootDesc.xml", "http://192.168.1.1:5000/rootDesc.xml"},
		{"HTTP://192.168.1.1", "http://192.168.1.1:80/"},
		{"http://[fe80::1]:49152/a?b=c", "http://[fe80::1]:49152/a?b=c"},
		{"http://[2001:DB8::1]/", "http://[2001:db8::1]:80/"},
		{"http://10.0.0.1:65535/", "http://10.0.0.1:65535/"},
	};
	char text[LOCATION_TEXT_BYTES];
	struct location l;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(parse(good[i][0], &l));
		location_format(&l, text);
		assert_string_equal(text, good[i][1]);
	}
}

static void test_all_else_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"http:/",
		"http://",
		"http:///x",
		"https://192.168.1.1/",
		"ftp://192.168.1.1/",
		"http://router/",
		"http://router.local:80/",
		"http://user@192.168.1.1/",
		"http://192.168.1.1@10.0.0.1/",
		"http://192.168.1.1:80@10.0.0.1/",
		"http://192.168.1.1:0/",
		"http://192.168.1.1:65536/",
		"http://192.168.1.1:/",
		"http://192.168.1.1:+80/",
		"http://192.168.1.1:80x/",
		"http://192.168.1.1?x",
		"http://192.168.1/",
		"http://0x7f.1/",
		"http://2130706433/",
		"http://192.168.1.1/#top",
		"http://192.168.1.1/a b",
		"http://192.168.1.1/a\r\nX: y",
		"http://192.168.1.1/\"",
		"http://[::1",
		"http://::1/",
		"http://[192.168.1.1]/",
		"http://[fe80::1%25eth0]/",
		"http://[fe80::1%2]/",
		"http://[::ffff:192.168.1.1]/",
		"http://[fe80::1]x/",
	};
	struct location l, before;

	memset(&l, 0xa5, sizeof(l));
	before = l;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(bad[i], &l))
			fail_msg("taken: %s", bad[i]);
		assert_memory_equal(&l, &before, sizeof(l));
	}
	assert_false(location_parse("http://1.2.3.4/\0x", 17, &l));
}

static void test_a_path_has_an_end(void **state)
{
	char text[400] = "http://10.0.0.1/";
	size_t used = strlen(text);
	struct location l;

	memset(text + used, 'a', sizeof(text) - used);
	assert_true(location_parse(text, used + LOCATION_PATH_BYTES - 2, &l));
	assert_false(location_parse(text, used + LOCATION_PATH_BYTES - 1, &l));
}

static bool on_link(const char *host, const char *source, unsigned prefix)
{
	struct addr a, s;

	assert_true(addr_from_literal(host, 80, &a) && addr_from_literal(source, 0, &s));
	return location_on_link(&a, &s, prefix);
}

static void test_neighbours(void **state)
{
	assert_true(on_link("192.168.1.1", "192.168.1.2", 24));
	assert_true(on_link("192.168.3.254", "192.168.1.2", 22));
	assert_false(on_link("192.168.4.1", "192.168.1.2", 22));
	assert_false(on_link("192.168.2.1", "192.168.1.2", 24));
	assert_false(on_link("192.168.1.2", "192.168.1.2", 24)); /* ourselves */
	assert_false(on_link("127.0.0.1", "192.168.1.2", 24));
	assert_false(on_link("127.0.0.1", "127.0.0.2", 8));
	assert_false(on_link("224.0.0.1", "192.168.1.2", 1));
	assert_false(on_link("0.0.0.0", "192.168.1.2", 24));
	assert_false(on_link("192.168.1.1", "192.168.1.2", 0));
	assert_false(on_link("::ffff:192.168.1.1", "192.168.1.2", 24));
	assert_true(on_link("fe80::1", "2001:db8::2", 64));
	assert_true(on_link("2001:db8::1", "2001:db8::2", 64));
	assert_false(on_link("2001:db8:0:1::1", "2001:db8::2", 64));
	assert_false(on_link("::1", "2001:db8::2", 64));
	assert_false(on_link("ff02::1", "2001:db8::2", 64));
}

/* ---- whom to follow ---- */

static bool trusted(const char *host, const char *from, const char *gateway, bool alone)
{
	const char *ours = strchr(host, ':') ? "2001:db8:77::2" : "192.168.1.2";
	struct addr h, f, g = {.len = 0}, s;
	struct location_way way = {.source = &s,
				   .gateway = &g,
				   .prefix = strchr(host, ':') ? 64 : 24,
				   .asked_alone = alone};

	assert_true(addr_from_literal(host, 80, &h) && addr_from_literal(from, 1900, &f) &&
		    addr_from_literal(ours, 0, &s) &&
		    (!gateway || addr_from_literal(gateway, 0, &g)));
	return location_trusted(&h, &f, &way);
}

static void test_senders_lead_to_themselves_and_to_the_gateway(void **state)
{
	for (int alone = 0; alone < 2; alone++) {
		assert_true(trusted("192.168.1.1", "192.168.1.1", "192.168.1.1", alone));
		assert_true(trusted("192.168.1.9", "192.168.1.9", "192.168.1.1", alone));
		assert_true(trusted("192.168.1.1", "192.168.1.9", "192.168.1.1", alone));
		assert_true(trusted("192.168.1.9", "192.168.1.9", NULL, alone));
		assert_false(trusted("192.168.1.8", "192.168.1.9", "192.168.1.1", alone));
		assert_false(trusted("192.168.1.8", "192.168.1.1", "192.168.1.1", alone));
		assert_false(trusted("192.168.1.2", "192.168.1.2", "192.168.1.1", alone));
		assert_false(trusted("127.0.0.1", "192.168.1.1", "192.168.1.1", alone));
		assert_false(trusted("10.0.0.1", "10.0.0.1", "192.168.1.1", alone));
		assert_false(trusted("192.168.1.1", "10.0.0.1", "192.168.1.1", alone));
		/* That of the configuration is believed where it is. */
		assert_true(trusted("10.0.0.1", "10.0.0.1", "10.0.0.1", alone));
		assert_false(trusted("10.0.0.1", "192.168.1.9", "10.0.0.1", alone));
	}
}

/* A gateway that is known as fe80::1 answers from, and names, any of its addresses. */
static void test_an_ipv6_gateway_names_its_other_addresses(void **state)
{
	static const char gateway[] = "fe80::1", global[] = "2001:db8:77::1";

	for (int alone = 0; alone < 2; alone++) {
		assert_true(trusted("fe80::1", global, gateway, alone));
		assert_true(trusted(global, global, gateway, alone));
		assert_true(trusted("fd00:77::1", global, gateway, alone));
		assert_true(trusted(global, "fe80::1", gateway, alone));
		assert_false(trusted("::1", global, gateway, alone));
		assert_false(trusted("ff02::1", global, gateway, alone));
		assert_false(trusted("2001:db8:99::1", global, gateway, alone));
		assert_false(trusted("fd00:77::1", "2001:db8:99::1", gateway, alone));
		assert_false(trusted("2001:db8:77::2", global, gateway, alone)); /* ourselves */
	}
	/* Another identifier: only where the gateway alone was asked. */
	assert_true(trusted("fd00:77::abcd", global, gateway, true));
	assert_true(trusted("fe80::abcd", global, gateway, true));
	assert_true(trusted("2001:db8:77::abcd", global, gateway, true));
	assert_false(trusted("fd00:77::abcd", global, gateway, false));
	assert_false(trusted("fe80::abcd", global, gateway, false));
	assert_false(trusted("2001:db8:77::abcd", global, gateway, false));
	assert_false(trusted("fd00:77::1", global, NULL, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_literals_are_read),
		cmocka_unit_test(test_all_else_is_refused),
		cmocka_unit_test(test_a_path_has_an_end),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_senders_lead_to_themselves_and_to_the_gateway),
		cmocka_unit_test(test_an_ipv6_gateway_names_its_other_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
