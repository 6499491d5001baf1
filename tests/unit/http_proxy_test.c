/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_proxy_test: which proxy, for which relay, with which words.
 *
 * links: agent/config/http_proxy.c core/addr.c core/parse/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/config/http_proxy.h"

static int clean_environment(void **state)
{
	unsetenv("https_proxy");
	unsetenv("HTTPS_PROXY");
	unsetenv("no_proxy");
	unsetenv("NO_PROXY");
	return 0;
}

static struct http_proxy from(const char *url)
{
	struct http_proxy p;
	char why[200];

	if (!http_proxy_init(&p, url, why, sizeof(why)))
		fail_msg("%s: %s", url, why);
	return p;
}

static void urls_are_understood(void **state)
{
	struct http_proxy p = from("http://proxy.example:3128");

	assert_string_equal(p.address.host, "proxy.example");
	assert_int_equal(p.address.port, 3128);
	assert_string_equal(p.authorization, "");
	p = from("HTTP://user:pa%40ss@[2001:db8::1]:8080/");
	assert_string_equal(p.address.host, "2001:db8::1");
	assert_int_equal(p.address.port, 8080);
	assert_string_equal(p.authorization, "dXNlcjpwYUBzcw=="); /* user:pa@ss */
	p = from("http://user:p@ss@proxy.example");
	assert_int_equal(p.address.port, 80);
	assert_string_equal(p.authorization, "dXNlcjpwQHNz");
	p = from("proxy.example:8080");
	assert_int_equal(p.address.port, 8080);
}

static void bad_urls_are_refused_without_the_password(void **state)
{
	const char *const urls[] = {"https://u:secret@p:1",   "http://u:secret@",
				    "http://u:secret%4@p:1",  "http://u:secret%zz@p:1",
				    "http://u:secret@p:0",    "http://u:secret@p:65536",
				    "http://u:secret%00@p:1", "socks5://u:secret@p:1"};

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct http_proxy p = {.used = true};
		char why[200] = "";

		assert_false(http_proxy_init(&p, urls[i], why, sizeof(why)));
		assert_true(p.used); /* untouched */
		assert_non_null(strstr(why, "http://[user:password@]host:port"));
		assert_null(strstr(why, "secret"));
	}
}

static void long_credentials_do_not_fit(void **state)
{
	char url[2000] = "http://", why[200];
	struct http_proxy p;
	size_t n = strlen(url);

	memset(url + n, 'a', 511);
	strcpy(url + n + 511, "@proxy:1");
	assert_true(http_proxy_init(&p, url, why, sizeof(why)));
	memset(url + n, 'a', 512);
	strcpy(url + n + 512, "@proxy:1");
	assert_false(http_proxy_init(&p, url, why, sizeof(why)));
}

static void the_environment_counts_where_nothing_is_configured(void **state)
{
	struct http_proxy p = from(NULL);

	assert_false(http_proxy_applies(&p, "relay.example"));
	setenv("HTTPS_PROXY", "http://upper:1", 1);
	p = from(NULL);
	assert_string_equal(p.address.host, "upper");
	setenv("https_proxy", "http://lower:1", 1);
	p = from("");
	assert_string_equal(p.address.host, "lower");
	p = from("http://configured:1");
	assert_string_equal(p.address.host, "configured");
}

static void exceptions_are_names_and_what_lies_below_them(void **state)
{
	struct http_proxy p;

	setenv("https_proxy", "http://proxy:1", 1);
	setenv("no_proxy", "localhost, .lan,*.corp.example,192.0.2.7", 1);
	p = from(NULL);
	assert_false(http_proxy_applies(&p, "localhost"));
	assert_false(http_proxy_applies(&p, "relay.lan"));
	assert_false(http_proxy_applies(&p, "a.b.CORP.example"));
	assert_false(http_proxy_applies(&p, "192.0.2.7"));
	assert_true(http_proxy_applies(&p, "relay.wlan"));
	assert_true(http_proxy_applies(&p, "xcorp.example"));
	assert_true(http_proxy_applies(&p, "relay.example"));
	/* Said in the configuration, a proxy is meant for every relay. */
	p = from("http://configured:1");
	assert_true(http_proxy_applies(&p, "localhost"));
	setenv("no_proxy", "*", 1);
	p = from(NULL);
	assert_false(http_proxy_applies(&p, "relay.example"));
}

static void the_request_is_complete_or_not_made(void **state)
{
	const char *expected = "CONNECT relay.example:443 HTTP/1.1\r\nHost: relay.example:443\r\n"
			       "Proxy-Authorization: Basic dTpw\r\n\r\n";
	struct http_proxy p = from("http://u:p@proxy:1");
	uint8_t out[HTTP_PROXY_HEAD_MAX];
	char target[2000];
	size_t n = http_proxy_connect(&p, "relay.example:443", out);

	assert_int_equal(n, strlen(expected));
	assert_memory_equal(out, expected, n);
	memset(target, 'a', sizeof(target));
	target[sizeof(target) - 1] = '\0';
	assert_int_equal(http_proxy_connect(&p, target, out), 0);
	assert_non_null(strstr(http_proxy_refusal(&p, 407), "does not accept"));
	p = from("http://proxy:1");
	assert_non_null(strstr(http_proxy_refusal(&p, 407), "wants a user"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(urls_are_understood, clean_environment),
		cmocka_unit_test_setup(bad_urls_are_refused_without_the_password,
				       clean_environment),
		cmocka_unit_test_setup(long_credentials_do_not_fit, clean_environment),
		cmocka_unit_test_setup(the_environment_counts_where_nothing_is_configured,
				       clean_environment),
		cmocka_unit_test_setup(exceptions_are_names_and_what_lies_below_them,
				       clean_environment),
		cmocka_unit_test_setup(the_request_is_complete_or_not_made, clean_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
