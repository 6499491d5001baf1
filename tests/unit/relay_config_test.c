/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay/config: a whole configuration, its defaults, and what the cross checks find.
 * links: core/key_file.c core/memory.c
 * links: core/engine/revocations.c
 * links: core/conf/rows.c
 * links: relay/config/stun.c relay/config/policy.c relay/policy/index.c
 * links: relay/policy/source.c relay/policy/time.c relay/config/config.c core/conf/conf.c
 * links: core/conf/bind.c core/conf/error.c core/conf/value.c core/addr.c
 * links: core/log*.c core/parse/wire.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "relay/config/config.h"

#define CERTIFICATE "|\n    -----BEGIN CERTIFICATE-----\n    MA==\n    -----END CERTIFICATE-----\n"
#define KEY	    "|\n    -----BEGIN PRIVATE KEY-----\n    MA==\n    -----END PRIVATE KEY-----\n"
#define TAG_KEY	    "7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a"
#define TAG_KEYS    "  tag_keys: " TAG_KEY "\n"
#define IDENTITY                                                                                   \
	"identity:\n  ca: " CERTIFICATE "  certificate: " CERTIFICATE "  key: " KEY TAG_KEYS
#define BASE	   "name: front\nlisten: [{address: '0.0.0.0:443'}]\n" IDENTITY
#define BASE_LINES 16

static bool bind_text(const char *yaml, struct relay_config *c, struct conf_errors *errors)
{
	struct conf_node *root = conf_parse(yaml, strlen(yaml), errors);
	bool ok = root && relay_config_bind(root, c, errors);

	conf_node_free(root);
	return ok;
}

static void assert_refused(const char *yaml, const char *lines)
{
	struct conf_errors errors = {.file = "f"};
	struct relay_config c;

	assert_false(bind_text(yaml, &c, &errors));
	assert_string_equal(errors.text, lines);
	conf_errors_free(&errors);
}

static void test_defaults(void **state)
{
	struct conf_errors errors = {.file = "f"};
	struct relay_config c;

	if (!bind_text(BASE, &c, &errors))
		fail_msg("%s", errors.text);
	assert_string_equal(c.name, "front");
	assert_int_equal(c.listen.count, 1);
	assert_int_equal(addr_port(&((struct relay_listen *)c.listen.items)->address), 443);
	assert_false(((struct relay_listen *)c.listen.items)->proxy_protocol);
	assert_int_equal(c.publics.count, 0);
	assert_string_equal(c.identity.key,
			    "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n");
	assert_int_equal(c.engine, RING_AUTO);
	assert_int_equal(c.threads, 0);
	assert_int_equal(c.log_level, LOG_LEVEL_NOTICE);
	assert_null(c.site.page);
	assert_string_equal(c.site.server, "nginx");
	assert_false(c.site.healthz);
	assert_null(c.user);
	assert_int_equal(c.drain_ms, 30000);
	assert_int_equal(c.limits.connections, 0);
	assert_int_equal(c.limits.per_source, 512);
	assert_int_equal(c.limits.agents, 4096);
	assert_int_equal(c.limits.services, 128);
	assert_int_equal(c.limits.legs, 64);
	assert_int_equal(c.limits.sessions, 10000);
	assert_int_equal(c.limits.client_hello_bytes, 16384);
	assert_int_equal(c.limits.hello_ms, 60000);
	assert_int_equal(c.limits.handshake_ms, 60000);
	assert_int_equal(c.limits.first_ms, 60000);
	assert_int_equal(c.limits.open_ms, 15000);
	assert_int_equal(c.limits.ping_ms, 25000);
	assert_int_equal(c.limits.http_idle_ms, 75000);
	assert_int_equal(c.limits.buffer_bytes, 64 << 20);
	assert_int_equal(c.bandwidth.relay, 0);
	assert_int_equal(c.bandwidth.per_session, 0);
	relay_config_free(&c);
	assert_null(c.name);
}

static void test_bandwidth(void **state)
{
	struct conf_errors errors = {.file = "f"};
	struct relay_config c;

	if (!bind_text(BASE "bandwidth:\n  relay: 1Gbit/s\n  per_agent: 100MB/s\n"
			    "  per_service: 512KiB/s\n  per_session: 20MB/s\n",
		       &c, &errors))
		fail_msg("%s", errors.text);
	assert_int_equal(c.bandwidth.relay, 125000000);
	assert_int_equal(c.bandwidth.per_agent, 100000000);
	assert_int_equal(c.bandwidth.per_service, 524288);
	assert_int_equal(c.bandwidth.per_session, 20000000);
	relay_config_free(&c);
	assert_refused(
		BASE "bandwidth: {per_session: 20MB, per_agents: 1MB/s}\n",
		"f:17:26: bandwidth.per_session: \"20MB\" is not a rate; write a number and a "
		"unit, such as 20MB/s or 100Mbit/s\n"
		"f:17:32: bandwidth.per_agents: is not a known key; did you mean "
		"\"per_agent\"?\n");
}

static void test_public(void **state)
{
	struct conf_errors errors = {.file = "f"};
	struct relay_config c;
	const struct relay_public *p;

	if (!bind_text(BASE "public:\n  - {name: WWW.Example.org, to: home/web/blue}\n", &c,
		       &errors))
		fail_msg("%s", errors.text);
	p = c.publics.items;
	assert_string_equal(p->name, "www.example.org");
	assert_string_equal(p->agent, "home");
	assert_string_equal(p->service, "web/blue");
	relay_config_free(&c);
}

static void test_duplicates(void **state)
{
	assert_refused("name: front\n"
		       "listen: [{address: '[::1]:443'}, {address: x}, {address: '[0:0::1]:443'}]\n"
		       "public:\n"
		       "  - {name: www.example.org, to: home/web}\n"
		       "  - {to: home/web}\n"
		       "  - {name: WWW.example.org, to: home/x}\n" IDENTITY,
		       "f:2:44: listen[1].address: \"x\" is not an address with a port of 1 to "
		       "65535; write ADDRESS:PORT, such as 0.0.0.0:443 or \"[::1]:443\" in quotes\n"
		       "f:2:48: listen[2]: listens on [::1]:443 like listen[0]; remove one of "
		       "them\n"
		       "f:5:5: public[1].name: is missing; add the host name that unmodified TLS "
		       "clients ask for\n"
		       "f:6:5: public[2]: has the name \"WWW.example.org\" like public[0]; a name "
		       "leads to one service only\n");
}

static void test_values(void **state)
{
	static const struct {
		const char *yaml, *says;
	} cases[] = {
		{"public: [{name: 192.0.2.1, to: a/b}]", "public[0].name: \"192.0.2.1\" is not a "},
		{"public: [{name: \"*.example.org\", to: a/b}]", "is not a host name"},
		{"public: [{name: a.example, to: home}]", "\"home\" is not AGENT/SERVICE"},
		{"public: [{name: a.example, to: Home/x}]", "\"Home/x\" is not AGENT/SERVICE"},
		{"tls: {certificate_file: /a.pem}", "tls.key_file: is missing"},
		{"tls: {key_file: /a.pem}", "tls.certificate_file: is missing"},
		{"tls: {certificate_file: /a.pem, key_file: b/c}",
		 "tls.key_file: \"b/c\" is not an absolute path"},
		{"site: {to: home}", "site.to: \"home\" is not AGENT/SERVICE"},
		{"site: {to: home/web, page: x}", "site.page: stands beside site.to; remove one"},
		{"user: -x", "user: \"-x\" is not a user name"},
		{"user: \"a b\"", "user: \"a b\" is not a user name"},
		{"drain: 2d", "drain: \"2d\" is too large; the most is 1d"},
		{"threads: 257", "threads: \"257\" is too large; the most is 256"},
		{"limits: {ping: 1500ms}", "limits.ping: is not a whole number of seconds"},
		{"limits: {services: 129}", "the most is 128"},
		{"limits: {client_hello_bytes: 65537}",
		 "\"65537\" is too large; the most is 64KiB"},
		{"limits: {client_hello_bytes: 511}", "\"511\" is too small; the least is 512"},
		{"limits: {legs: 0}", "limits.legs: \"0\" is too small; the least is 1"},
		{"log_level: warn", "did you mean \"warning\"?"},
		{"legs: 3", "legs: is not a key here; move it below \"limits\""},
	};
	char yaml[2048];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conf_errors errors = {.file = "f"};
		struct relay_config c;
		snprintf(yaml, sizeof(yaml), BASE "%s\n", cases[i].yaml);
		assert_false(bind_text(yaml, &c, &errors));
		assert_int_equal(errors.count, 1);
		if (!strstr(errors.text, cases[i].says))
			fail_msg("\"%s\" does not say: %s", errors.text, cases[i].says);
		conf_errors_free(&errors);
	}
}

static void test_stun(void **state)
{
	struct conf_errors errors = {.file = "f"};
	struct relay_config c;

	if (!bind_text(BASE, &c, &errors))
		fail_msg("%s", errors.text);
	assert_false(c.stun.enabled);
	assert_true(c.stun.links && !c.stun.links_asked);
	assert_int_equal(c.stun.rate, 100);
	assert_int_equal(c.stun.burst, 500);
	assert_int_equal(c.stun.prefixes, 65536);
	assert_int_equal(c.stun.listen.count, 0);
	assert_int_equal(c.stun.behaviour.address.len, 0);
	relay_config_free(&c);
	if (!bind_text(BASE "stun:\n  listen: ['0.0.0.0:3478', '[::]:3478']\n"
			    "  behaviour: {address: '45.0.0.1:3478', other: '45.0.0.2:3479'}\n"
			    "  alternate: ['45.0.0.9:3478', '[2001:db8::9]:3478']\n"
			    "  rate: 5\n  links: true\n",
		       &c, &errors))
		fail_msg("%s", errors.text);
	assert_true(c.stun.links_asked);
	assert_int_equal(c.stun.listen.count, 2);
	assert_int_equal(addr_port((struct addr *)c.stun.listen.items + 1), 3478);
	assert_int_equal(addr_port(&c.stun.behaviour.other), 3479);
	assert_int_equal(c.stun.alternate.count, 2);
	assert_int_equal(c.stun.rate, 5);
	relay_config_free(&c);
	assert_refused(
		BASE "stun:\n  listen: ['0.0.0.0:3478', '0.0.0.0:443', '0.0.0.0:3478']\n"
		     "  alternate: ['0.0.0.0:1', '1.2.3.4:1']\n",
		"f:18:43: stun.listen[2]: is 0.0.0.0:3478 like stun.listen[0]; remove one of "
		"them\n"
		"f:19:15: stun.alternate[0]: is no address that clients could be sent to; "
		"write that of one host\n"
		"f:19:28: stun.alternate[1]: is of the same family as stun.alternate[0]; "
		"name one server for IPv4 and one for IPv6\n");
	assert_refused(BASE "stun:\n  listen: ['0.0.0.0:3478', '0.0.0.0:443']\n"
			    "  behaviour: {address: '1.2.3.4:1', other: '1.2.3.4:2'}\n",
		       "f:19:44: stun.behaviour.other: has the same IP address as address; it "
		       "takes two of this host\n"
		       "f:18:28: stun.listen[1]: is listen[0].address; set stun.enabled for "
		       "that, and remove it here\n");
	assert_refused(BASE "stun: {behaviour: {address: '1.2.3.4:1', other: '[::1]:2'}}\n",
		       "f:17:49: stun.behaviour.other: must be of the same family as address\n");
	assert_refused(BASE "stun: {behaviour: {address: '1.2.3.4:1', other: '1.2.3.5:1'}}\n",
		       "f:17:49: stun.behaviour.other: has the same port as address; write "
		       "another\n");
}

static void test_nothing(void **state)
{
	assert_refused(
		"user: x\nlisten: []\n",
		"f:2:9: listen: is empty; add the addresses to accept connections on\n"
		"f:1:1: name: is missing; add the relay's name, as agents and logs show it\n"
		"f:1:1: identity: is missing; add the CA, certificate and keys, as \"postern "
		"pki issue\" writes them\n");
}

static void test_pem(void **state)
{
	static const char begin[] =
		"name: a\nlisten: [{address: '0.0.0.0:443'}]\nidentity:\n"
		"  ca: " CERTIFICATE "  certificate: " CERTIFICATE TAG_KEYS "  key: ";
	static const struct {
		const char *key, *says;
	} cases[] = {
		{"/etc/key.pem", "looks like a file name"},
		{CERTIFICATE, "is a certificate; a private key belongs here"},
		{"hunter2", "is not a PEM text; it must begin with -----BEGIN PRIVATE KEY-----"},
		{"|\n    -----BEGIN ENCRYPTED PRIVATE KEY-----\n",
		 "is encrypted, and a daemon has no way to ask"},
		{"|\n    -----BEGIN EC PRIVATE KEY-----\n    Proc-Type: 4,ENCRYPTED\n"
		 "    -----END EC PRIVATE KEY-----\n",
		 "is encrypted, and a daemon has no way to ask"},
		{"|\n    -----BEGIN RSA PRIVATE KEY-----\n    hunter2\n"
		 "    -----END RSA PRIVATE KEY-----\n",
		 "is a private key of another kind"},
		{"|\n    -----BEGIN PRIVATE KEY-----\n    hunter2\n", "is cut short"},
	};
	char yaml[2048];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conf_errors errors = {.file = "f"};
		struct relay_config c;
		snprintf(yaml, sizeof(yaml), "%s%s\n", begin, cases[i].key);
		assert_false(bind_text(yaml, &c, &errors));
		assert_int_equal(errors.count, 1);
		assert_null(strstr(errors.text, "hunter2"));
		if (!strstr(errors.text, cases[i].says))
			fail_msg("\"%s\" does not say: %s", errors.text, cases[i].says);
		conf_errors_free(&errors);
	}
}

static void test_ec_key(void **state)
{
	struct conf_errors errors = {.file = "f"};
	struct relay_config c;

	if (!bind_text("name: a\nlisten: [{address: '0.0.0.0:443'}]\nidentity:\n  ca: " CERTIFICATE
		       "  certificate: " CERTIFICATE
		       "  key: |\n    -----BEGIN EC PRIVATE KEY-----\n"
		       "    MA==\n    -----END EC PRIVATE KEY-----\n" TAG_KEYS,
		       &c, &errors))
		fail_msg("%s", errors.text);
	relay_config_free(&c);
}

static void test_tag_keys(void **state)
{
	static const char begin[] =
		"name: a\nlisten: [{address: '0.0.0.0:443'}]\nidentity:\n"
		"  ca: " CERTIFICATE "  certificate: " CERTIFICATE "  key: " KEY "  tag_keys: ";
	static const char four[] = "|\n    " TAG_KEY "\n    " TAG_KEY "\n    " TAG_KEY "\n    "
				   "00ff"
				   "0123456789abcdef"
				   "0123456789abcdef"
				   "0123456789abcdef"
				   "00000000ff01\n";
	static const char *const wrong[] = {
		"|\n    " TAG_KEY "\n    " TAG_KEY "\n    " TAG_KEY "\n    " TAG_KEY
		"\n    " TAG_KEY "\n",
		TAG_KEY "7a",
		"7a7a",
		"\"\"",
		"7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A7A",
		"|\n    " TAG_KEY "\n\n    " TAG_KEY "\n",
		"|\n    " TAG_KEY "\n    hunter2\n",
	};
	struct conf_tag_keys keys = {0};
	char yaml[2048];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct conf_errors errors = {.file = "f"};
		struct relay_config c;

		snprintf(yaml, sizeof(yaml), "%s%s\n", begin, wrong[i]);
		assert_false(bind_text(yaml, &c, &errors));
		assert_int_equal(errors.count, 1);
		assert_null(strstr(errors.text, "hunter2"));
		assert_non_null(strstr(errors.text, "identity.tag_keys: "));
		conf_errors_free(&errors);
	}
	struct conf_errors errors = {.file = "f"};
	struct relay_config c;

	snprintf(yaml, sizeof(yaml), "%s%s", begin, four);
	if (!bind_text(yaml, &c, &errors))
		fail_msg("%s", errors.text);
	assert_true(conf_tag_keys_parse(c.identity.tag_keys, &keys));
	assert_int_equal(keys.count, 4);
	assert_int_equal(keys.keys[2][31], 0x7a);
	assert_int_equal(keys.keys[3][1], 0xff);
	assert_int_equal(keys.keys[3][2], 0x01);
	assert_int_equal(keys.keys[3][31], 0x01);
	relay_config_free(&c);
}

static void test_unknown_key(void **state)
{
	char want[128];

	snprintf(want, sizeof(want),
		 "f:%d:1: engin: is not a known key; did you mean \"engine\"?\n", BASE_LINES + 1);
	assert_refused(BASE "engin: auto\n", want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_bandwidth),
		cmocka_unit_test(test_public),	 cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_values),	 cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_stun),	 cmocka_unit_test(test_pem),
		cmocka_unit_test(test_ec_key),	 cmocka_unit_test(test_unknown_key),
		cmocka_unit_test(test_tag_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
