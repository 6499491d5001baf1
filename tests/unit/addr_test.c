/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addr: what is an address, an endpoint and a host name; and which sources are one.
 * links: core/addr.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/addr.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static struct addr parse(const char *text)
{
	struct addr a;

	if (!addr_parse(text, &a))
		fail_msg("not parsed: %s", text);
	return a;
}

static void test_parse_and_format(void **state)
{
	static const char *const same[] = {
		"1.2.3.4:443",
		"0.0.0.0:0",
		"255.255.255.255:65535",
		"[::1]:443",
		"[2001:db8::1]:65535",
		"[fe80::1%2]:53",
		"[1111:2222:3333:4444:5555:6666:7777:8888%4294967295]:65535",
	};
	char text[ADDR_TEXT_BYTES];

	for (size_t i = 0; i < LENGTH(same); i++) {
		struct addr a = parse(same[i]);
		addr_format(&a, text);
		assert_string_equal(text, same[i]);
	}
}

static void test_parse_refuses(void **state)
{
	static const char *const wrong[] = {
		"",
		"1.2.3.4",
		"1.2.3.4:",
		":443",
		"1.2.3.4:65536",
		"1.2.3.4:-1",
		"1.2.3.4:+1",
		"1.2.3.4:443x",
		"1.2.3.4: 443",
		"1.2.3.4:0443",
		"1.2.3:443",
		"01.2.3.4:443",
		"::1:443",
		"[::1]",
		"[::1]443",
		"[::1]:",
		"[::1:443",
		"[1.2.3.4]:443",
		"[]:443",
		"name:443",
		"[fe80::1%]:1",
		"[fe80::1%lo]:1",
		"[::1%4294967296]:1",
		"1.2.3.4:99999999999",
		"[::ffff:1.2.3.4.5]:1",
		"1.2.3.4:1:2",
	};
	struct addr a, before;

	memset(&a, 0x5a, sizeof(a));
	before = a;
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		if (addr_parse(wrong[i], &a))
			fail_msg("parsed: %s", wrong[i]);
		assert_memory_equal(&a, &before, sizeof(a));
	}
}

static void test_endpoint(void **state)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
	} right[] = {
		{"relay.example.org:443", "relay.example.org", 443},
		{"localhost:1", "localhost", 1},
		{"1.2.3.4:65535", "1.2.3.4", 65535},
		{"[2001:db8::1]:443", "2001:db8::1", 443},
		{"a_b-c.1x:8080", "a_b-c.1x", 8080},
	};
	static const char *const wrong[] = {
		"relay.example.org",
		"relay.example.org:0",
		"relay..org:1",
		".org:1",
		"org.:1",
		"-a.org:1",
		"a-.org:1",
		"a b:1",
		"10.0.0.256:1",
		"10.1:1",
		"[name]:1",
		"::1:1",
		"h\xc3\xa9.org:1",
		"http://a:1",
		"a/b:1",
		"user@a:1",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.org:1",
	};
	struct endpoint e;

	for (size_t i = 0; i < LENGTH(right); i++) {
		assert_true(endpoint_parse(right[i].text, &e));
		assert_string_equal(e.host, right[i].host);
		assert_int_equal(e.port, right[i].port);
	}
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		if (endpoint_parse(wrong[i], &e))
			fail_msg("parsed: %s", wrong[i]);
	}
}

static void test_longest_name(void **state)
{
	char name[300];

	memset(name, 'a', sizeof(name));
	for (size_t i = 49; i < sizeof(name); i += 50)
		name[i] = '.';
	name[253] = '\0';
	assert_true(addr_host_name_ok(name));
	name[253] = 'a';
	name[254] = '\0';
	assert_false(addr_host_name_ok(name));
}

static void test_unmap(void **state)
{
	struct addr a = parse("[::ffff:198.51.100.7]:80");
	char text[ADDR_TEXT_BYTES];

	addr_format(&a, text); /* also without unmapping */
	assert_string_equal(text, "198.51.100.7:80");
	addr_unmap(&a);
	assert_int_equal(a.sa.sa_family, AF_INET);
	assert_int_equal(a.len, sizeof(struct sockaddr_in));
	assert_int_equal(addr_port(&a), 80);
	a = parse("[2001:db8::1]:80");
	addr_unmap(&a);
	assert_int_equal(a.sa.sa_family, AF_INET6);
}

static void test_unknown(void **state)
{
	struct addr a = {.len = 0};
	char text[ADDR_TEXT_BYTES];

	addr_format(&a, text);
	assert_string_equal(text, "unknown");
	assert_int_equal(addr_port(&a), 0);
}

static bool same_source(const char *one, const char *other)
{
	struct addr a = parse(one), b = parse(other);
	struct addr_key x = addr_source_key(&a), y = addr_source_key(&b);

	return memcmp(&x, &y, sizeof(x)) == 0;
}

static void test_source_key(void **state)
{
	assert_true(same_source("192.0.2.1:1", "192.0.2.1:2"));
	assert_true(same_source("192.0.2.1:1", "[::ffff:192.0.2.1]:1"));
	assert_false(same_source("192.0.2.1:1", "192.0.2.2:1"));
	assert_true(same_source("[2001:db8::1]:1", "[2001:db8:0:0:ffff::]:9"));
	assert_false(same_source("[2001:db8::1]:1", "[2001:db8:0:1::1]:1"));
	/* The same bytes of another family are another source. */
	assert_false(same_source("192.0.2.1:1", "[c000:0201::]:1"));
}

static void test_set_port(void **state)
{
	static const char *const texts[] = {"192.0.2.1:1", "[2001:db8::1]:1"};
	struct addr a;

	for (size_t i = 0; i < 2; i++) {
		assert_true(addr_parse(texts[i], &a));
		addr_set_port(&a, 40000);
		assert_int_equal(addr_port(&a), 40000);
	}
}

static void test_covers(void **state)
{
	static const struct {
		const char *listener, *local;
		bool covers;
	} rows[] = {
		{"192.0.2.1:443", "192.0.2.1:443", true},
		{"192.0.2.1:443", "192.0.2.1:444", false},
		{"192.0.2.1:443", "192.0.2.2:443", false},
		{"0.0.0.0:443", "192.0.2.1:443", true},
		{"0.0.0.0:443", "192.0.2.1:444", false},
		{"0.0.0.0:443", "[2001:db8::1]:443", false},
		{"[::]:443", "[2001:db8::1]:443", true},
		{"[::]:443", "[2001:db8::1]:444", false},
		{"[::]:443", "192.0.2.1:443", true},
		{"[2001:db8::1]:443", "[2001:db8::2]:443", false},
	};

	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct addr listener = parse(rows[i].listener), local = parse(rows[i].local);

		assert_int_equal(addr_covers(&listener, &local), rows[i].covers);
	}
}

static void test_is_wildcard(void **state)
{
	const struct addr any4 = parse("0.0.0.0:443"), any6 = parse("[::]:0");
	const struct addr one4 = parse("0.0.0.1:443"), one6 = parse("[::1]:0");
	const struct addr none = {.len = 0}, none4 = {.v4.sin_family = AF_INET, .len = 0};

	assert_true(addr_is_wildcard(&any4) && addr_is_wildcard(&any6));
	assert_false(addr_is_wildcard(&one4) || addr_is_wildcard(&one6));
	assert_false(addr_is_wildcard(&none) || addr_is_wildcard(&none4));
}

static void test_equal_is_of_port_and_zone_too(void **state)
{
	static const char *const others[] = {"[fe80::1%2]:444", "[fe80::1%3]:443",
					     "[fe80::2%2]:443", "192.0.2.1:443"};
	struct addr a = parse("[fe80::1%2]:443"), b = parse("[fe80::1%2]:443");

	assert_true(addr_equal(&a, &b));
	for (size_t i = 0; i < LENGTH(others); i++) {
		b = parse(others[i]);
		assert_false(addr_equal(&a, &b));
	}
	a = parse("192.0.2.1:443");
	assert_true(addr_equal(&a, &b));
	b = parse("192.0.2.1:444");
	assert_false(addr_equal(&a, &b));
	b = parse("192.0.2.2:443");
	assert_false(addr_equal(&a, &b));
}

static void test_hosts(void **state)
{
	static const struct {
		const char *address, *host;
	} texts[] = {
		{"192.0.2.1:443", "192.0.2.1"},
		{"[2001:db8::1]:443", "2001:db8::1"},
		{"[fe80::1%2]:0", "fe80::1%2"},
		{"[::ffff:192.0.2.1]:443", "192.0.2.1"},
	};
	char host[ADDR_TEXT_BYTES];
	struct addr a, b, none = {.len = 0};

	for (size_t i = 0; i < LENGTH(texts); i++) {
		assert_true(addr_parse(texts[i].address, &a));
		addr_format_host(&a, host);
		assert_string_equal(host, texts[i].host);
	}
	addr_format_host(&none, host);
	assert_string_equal(host, "unknown");

	assert_true(addr_parse("[fe80::1%2]:443", &a));
	assert_true(addr_parse("[fe80::1%3]:80", &b));
	assert_true(addr_same_host(&a, &b));
	assert_true(addr_parse("[fe80::2%2]:443", &b));
	assert_false(addr_same_host(&a, &b));
	assert_false(addr_same_host(&a, &none));
	assert_false(addr_same_host(&none, &none));
	assert_true(addr_parse("192.0.2.1:443", &a));
	assert_true(addr_parse("192.0.2.1:80", &b));
	assert_true(addr_same_host(&a, &b));
	assert_true(addr_parse("192.0.2.2:443", &b));
	assert_false(addr_same_host(&a, &b));
}

static void test_ranges(void **state)
{
	static const struct {
		const char *range, *within, *outside;
	} rows[] = {
		{"10.1.0.0/16:443", "10.1.255.255:443", "10.1.0.0:80"},
		{"10.1.0.0/16:443", "[::ffff:10.1.2.3]:443", "10.2.0.0:443"},
		{"10.1.0.0/16", "10.1.0.0:1", "10.0.255.255:1"},
		{"127.0.0.1", "127.0.0.1:22", "127.0.0.2:22"},
		{"127.0.0.1:22", "127.0.0.1:22", "127.0.0.1:23"},
		{"0.0.0.0/0", "255.255.255.255:1", "[::1]:1"},
		{"128.0.0.0/1", "128.0.0.1:1", "127.255.255.255:1"},
		{"10.0.0.254/31", "10.0.0.255:1", "10.0.1.0:1"},
		{"::1", "[::1]:1", "[::2]:1"},
		{"[::1]:22", "[::1]:22", "[::1]:23"},
		{"fd00::/8", "[fdff::1]:1", "[fe00::]:1"},
		{"fd00::/8:443", "[fdff::1]:443", "[fdff::1]:444"},
		{"[fd00::]/8:443", "[fdff::1]:443", "[fdff::1]:444"},
		{"[fe80::]/10", "[fe80::1%3]:1", "[fec0::]:1"},
		{"::/0", "[ffff::]:1", "[::ffff:127.0.0.1]:1"}, /* IPv4 is no part of it */
	};
	static const char *const wrong[] = {
		"",
		":",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/8:",
		"10.0.0.0/8:0",
		"10.0.0.0/8:65536",
		"10.1.0.0/8",
		"10.0.0.1/08",
		"10.0.0/8",
		"name.example",
		"name.example:80",
		"10.0.0.1:443/32",
		"10.0.0.1:443x",
		"10.0.0.0/8/8",
		"[10.0.0.1]:1",
		"[::1",
		"[::1]x",
		"[::1]:",
		"::1/129",
		"::1:443:",
		"fe80::1%2",
		"[fe80::1%2]:1",
		"::ffff:10.0.0.1",
		"[::1]/128/1",
		"10.0.0.0/8:+1",
		" 10.0.0.1",
		"10.0.0.1 ",
		"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111"};
	struct addr_range r, untouched;
	struct addr none = {.len = 0};

	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct addr a = parse(rows[i].within);

		if (!addr_range_parse(rows[i].range, &r))
			fail_msg("%s is taken for no range", rows[i].range);
		if (!addr_range_holds(&r, &a))
			fail_msg("%s does not hold %s", rows[i].range, rows[i].within);
		a = parse(rows[i].outside);
		if (addr_range_holds(&r, &a))
			fail_msg("%s holds %s", rows[i].range, rows[i].outside);
		assert_false(addr_range_holds(&r, &none));
	}
	untouched = r;
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		if (addr_range_parse(wrong[i], &r))
			fail_msg("\"%s\" is taken for a range", wrong[i]);
		assert_memory_equal(&r, &untouched, sizeof(r));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_and_format),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_endpoint),
		cmocka_unit_test(test_longest_name),
		cmocka_unit_test(test_unmap),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_source_key),
		cmocka_unit_test(test_set_port),
		cmocka_unit_test(test_covers),
		cmocka_unit_test(test_is_wildcard),
		cmocka_unit_test(test_equal_is_of_port_and_zone_too),
		cmocka_unit_test(test_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
