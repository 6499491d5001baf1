/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socks5: greetings, requests, replies and names.
 * links: core/parse/socks5.c core/parse/wire.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/parse/socks5.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static enum socks5_status greet(const char *in, size_t len, bool *none, size_t *used)
{
	return socks5_greeting_parse((const uint8_t *)in, len, none, used);
}

static enum socks5_status request(const char *in, size_t len, struct socks5_request *out,
				  size_t *used)
{
	struct socks5_request before;
	enum socks5_status status;

	memset(out, 0xa5, sizeof(*out));
	before = *out;
	*used = 4711;
	status = socks5_request_parse((const uint8_t *)in, len, out, used);
	if (status != SOCKS5_OK) {
		assert_memory_equal(out, &before, sizeof(before));
		assert_int_equal(*used, 4711);
	}
	return status;
}

static void test_greeting(void **state)
{
	bool none = false;
	size_t used = 4711;

	assert_int_equal(greet("", 0, &none, &used), SOCKS5_SHORT);
	assert_int_equal(greet("\4", 1, &none, &used), SOCKS5_MALFORMED);
	assert_int_equal(greet("G", 1, &none, &used), SOCKS5_MALFORMED);
	assert_int_equal(greet("\5", 1, &none, &used), SOCKS5_SHORT);
	assert_int_equal(greet("\5\0", 2, &none, &used), SOCKS5_MALFORMED);
	assert_int_equal(greet("\5\2\0", 3, &none, &used), SOCKS5_SHORT);
	assert_int_equal(used, 4711);
	assert_int_equal(greet("\5\2\2\0\5", 5, &none, &used), SOCKS5_OK);
	assert_true(none);
	assert_int_equal(used, 4);
	assert_int_equal(greet("\5\2\1\2", 4, &none, &used), SOCKS5_OK);
	assert_false(none);
}

static void test_request(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		uint8_t command, address_type;
		const char *host;
		uint16_t port;
	} cases[] = {
		{"\5\1\0\3\x10SSH.home.Postern\0\x16", 23, 1, 3, "ssh.home.postern", 22},
		{"\5\1\0\1\x7f\0\0\1\1\xbb", 10, 1, 1, "127.0.0.1", 443},
		{"\5\3\0\4\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\xff\xff", 22, 3, 4, "2001:db8::1",
		 65535},
		{"\5\1\0\2", 4, 1, 2, "", 0}, /* no such address type */
	};
	struct socks5_request r;
	size_t used;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		for (size_t n = 0; n < cases[i].len; n++)
			assert_int_equal(request(cases[i].in, n, &r, &used), SOCKS5_SHORT);
		assert_int_equal(request(cases[i].in, cases[i].len, &r, &used), SOCKS5_OK);
		assert_int_equal(used, cases[i].len);
		assert_int_equal(r.command, cases[i].command);
		assert_int_equal(r.address_type, cases[i].address_type);
		assert_string_equal(r.host, cases[i].host);
		assert_int_equal(r.port, cases[i].port);
	}
}

static void test_longest_name(void **state)
{
	char in[4 + 1 + 255 + 2] = "\5\1\0\3\xff";
	struct socks5_request r;
	size_t used;

	memset(in + 5, 'a', 255);
	assert_int_equal(request(in, sizeof(in), &r, &used), SOCKS5_OK);
	assert_int_equal(strlen(r.host), 255);
}

static void test_request_refused(void **state)
{
	struct socks5_request r;
	size_t used;

	assert_int_equal(request("\4", 1, &r, &used), SOCKS5_MALFORMED);
	assert_int_equal(request("\5\1\1", 3, &r, &used), SOCKS5_MALFORMED);
	assert_int_equal(request("\5\1\0\3\0", 5, &r, &used), SOCKS5_MALFORMED);
	assert_int_equal(request("\5\1\0\3\2a\0", 7, &r, &used), SOCKS5_MALFORMED);
	assert_int_equal(request("\5\1\0\3\2a ", 7, &r, &used), SOCKS5_MALFORMED);
	assert_int_equal(request("\5\1\0\3\2\x7f", 6, &r, &used), SOCKS5_MALFORMED);
}

static void test_replies(void **state)
{
	uint8_t greeting[SOCKS5_GREETING_REPLY_BYTES], reply[SOCKS5_REPLY_BYTES];

	socks5_greeting_reply(true, greeting);
	assert_memory_equal(greeting, "\5\0", 2);
	socks5_greeting_reply(false, greeting);
	assert_memory_equal(greeting, "\5\xff", 2);
	socks5_reply(SOCKS5_REFUSED, reply);
	assert_memory_equal(reply, "\5\5\0\1\0\0\0\0\0\0", 10);
}

static void test_split_name(void **state)
{
	static const char long_name[] =
		"a234567890123456789012345678901234567890123456789012345678901234.home.postern";
	static const char *const bad[] = {"",
					  ".postern",
					  "postern",
					  "home.postern",
					  ".home.postern",
					  "ssh..postern",
					  "ssh.home",
					  "ssh.home.posterns",
					  "ssh.home.postern.",
					  "a..b.home.postern",
					  "ssh.ho/me.postern",
					  "SSH.home.postern",
					  "-ssh.home.postern",
					  long_name};
	char agent[64] = "?", service[64] = "?";

	for (size_t i = 0; i < LENGTH(bad); i++)
		assert_false(socks5_split_name(bad[i], agent, service));
	assert_string_equal(agent, "?");
	assert_string_equal(service, "?");
	assert_true(socks5_split_name("ssh.home.postern", agent, service));
	assert_string_equal(agent, "home");
	assert_string_equal(service, "ssh");
	assert_true(socks5_split_name("web.internal.site_a.POSTERN", agent, service));
	assert_string_equal(agent, "site_a");
	assert_string_equal(service, "web.internal");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greeting),     cmocka_unit_test(test_request),
		cmocka_unit_test(test_longest_name), cmocka_unit_test(test_request_refused),
		cmocka_unit_test(test_replies),	     cmocka_unit_test(test_split_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
