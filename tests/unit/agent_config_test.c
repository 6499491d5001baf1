/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/config: a whole configuration, its defaults, and what the cross checks find.
 * links: core/key_file.c core/memory.c
 * links: core/conf/rows.c
 * links: agent/config/config.c core/conf/conf.c core/conf/bind.c
 * links: core/conf/error.c core/conf/value.c core/addr.c core/log*.c core/parse/wire.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/config/config.h"

#define CERTIFICATE "|\n    -----BEGIN CERTIFICATE-----\n    MA==\n    -----END CERTIFICATE-----\n"
#define KEY	    "|\n    -----BEGIN PRIVATE KEY-----\n    MA==\n    -----END PRIVATE KEY-----\n"
#define TAG_KEY	    "7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a"
#define TAG_KEYS    "  tag_keys: " TAG_KEY "\n"
#define IDENTITY                                                                                   \
	"identity:\n  ca: " CERTIFICATE "  certificate: " CERTIFICATE "  key: " KEY TAG_KEYS
#define BASE "name: laptop\nrelays: [{address: 'relay.example.org:443'}]\n" IDENTITY

static bool bind_text(const char *yaml, struct agent_config *c, struct conf_errors *errors)
{
	struct conf_node *root = conf_parse(yaml, strlen(yaml), errors);
	bool ok = root && agent_config_bind(root, c, errors);

	conf_node_free(root);
	return ok;
}

static void test_defaults(void **state)
{
	struct conf_errors errors = {.file = "f"};
	struct agent_config c;
	const struct agent_relay *r;

	if (!bind_text(BASE, &c, &errors))
		fail_msg("%s", errors.text);
	r = c.relays.items;
	assert_string_equal(c.name, "laptop");
	assert_string_equal(r->address.host, "relay.example.org");
	assert_int_equal(r->address.port, 443);
	assert_int_equal(r->trust, 0);
	assert_null(r->server_name);
	assert_int_equal(c.publish.count, 0);
	assert_int_equal(c.forward.count, 0);
	assert_int_equal(c.socks5.listen.len, 0);
	assert_null(c.proxy);
	assert_null(c.user);
	assert_int_equal(c.warm_legs, 2);
	assert_int_equal(c.max_sessions, 10000);
	assert_int_equal(c.dial_ms, 10000);
	assert_int_equal(c.open_ms, 15000);
	assert_int_equal(c.retry_max_ms, 30000);
	assert_int_equal(c.engine, RING_AUTO);
	assert_int_equal(c.log_level, LOG_LEVEL_NOTICE);
	agent_config_free(&c);
	assert_null(c.name);
}

static void test_whole(void **state)
{
	struct conf_errors errors = {.file = "f"};
	struct agent_config c;

	if (!bind_text(BASE "publish:\n"
			    "  - service: web/blue\n"
			    "    target: '[::1]:8080'\n"
			    "    proxy_protocol: yes\n"
			    "    allow: [home, desk]\n"
			    "    public: true\n"
			    "  - {service: ssh, target: 'nas.lan:22'}\n"
			    "forward:\n"
			    "  - {listen: '127.0.0.1:2222', to: home/ssh}\n"
			    "  - {listen: '[::1]:2222', to: home/web/blue}\n"
			    "socks5: {listen: '127.0.0.1:1080'}\n"
			    "proxy: http://joe:s%40fe@proxy.example.org:3128/\n"
			    "warm_legs: 0\nretry_max: 1m\nlog_level: debug\nengine: epoll\n",
		       &c, &errors))
		fail_msg("%s", errors.text);

	const struct agent_publish *p = c.publish.items;
	assert_int_equal(c.publish.count, 2);
	assert_string_equal(p[0].service, "web/blue");
	assert_string_equal(p[0].target.host, "::1");
	assert_true(p[0].proxy_protocol);
	assert_true(p[0].public_access);
	assert_int_equal(p[0].allow.count, 2);
	assert_string_equal(((char **)p[0].allow.items)[1], "desk");
	assert_false(p[1].public_access);
	assert_int_equal(p[1].allow.count, 0);

	const struct agent_forward *f = c.forward.items;
	assert_int_equal(c.forward.count, 2);
	assert_string_equal(f[0].agent, "home");
	assert_string_equal(f[0].service, "ssh");
	assert_string_equal(f[1].service, "web/blue");
	assert_int_equal(addr_port(&c.socks5.listen), 1080);
	assert_string_equal(c.proxy, "http://joe:s%40fe@proxy.example.org:3128/");
	assert_int_equal(c.warm_legs, 0);
	assert_int_equal(c.retry_max_ms, 60000);
	agent_config_free(&c);
}

static void assert_says(const char *yaml, const char *says, const char *never)
{
	struct conf_errors errors = {.file = "f"};
	struct agent_config c;

	assert_false(bind_text(yaml, &c, &errors));
	assert_int_equal(errors.count, 1);
	if (!strstr(errors.text, says))
		fail_msg("\"%s\" does not say: %s", errors.text, says);
	if (never)
		assert_null(strstr(errors.text, never));
	conf_errors_free(&errors);
}

static void test_values(void **state)
{
	static const struct {
		const char *yaml, *says;
	} cases[] = {
		{"publish: [{service: ssh, target: 'a:1'}, {service: ssh, target: 'a:2'}]",
		 "publish[1]: publishes \"ssh\" like publish[0]; give each a name of its own"},
		{"publish: [{service: SSH, target: 'a:1'}]", "\"SSH\" is not a service's name"},
		{"publish: [{service: ssh, target: a}]",
		 "publish[0].target: \"a\" is not an endpoint"},
		{"publish: [{service: ssh}]",
		 "publish[0].target: is missing; add the host and port"},
		{"publish: [{service: ssh, target: 'a:1', allow: []}]",
		 "publish[0].allow: is empty, which would allow every agent"},
		{"publish: [{service: ssh, target: 'a:1', allow: ['']}]",
		 "publish[0].allow[0]: \"\" is not an agent's name"},
		{"publish: [{service: ssh, target: 'a:1', allow: [a/b]}]",
		 "publish[0].allow[0]: \"a/b\" is not an agent's name"},
		{"forward: [{listen: '127.0.0.1:1', to: a/b}, {listen: '127.0.0.1:1', to: a/c}]",
		 "forward[1]: listens on 127.0.0.1:1 like forward[0]"},
		{"forward: [{listen: '127.0.0.1:1', to: a/b}]\nsocks5: {listen: '127.0.0.1:1'}",
		 "socks5.listen: is also the listen address of forward[0]"},
		{"forward: [{listen: '127.0.0.1:1', to: ssh}]",
		 "forward[0].to: \"ssh\" is not AGENT/SERVICE"},
		{"socks5: {}", "socks5.listen: is missing"},
		{"socks5:", "socks5: has no value"},
		{"warm_legs: 65", "warm_legs: \"65\" is too large; the most is 64"},
	};
	char yaml[2048];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(yaml, sizeof(yaml), BASE "%s\n", cases[i].yaml);
		assert_says(yaml, cases[i].says, NULL);
	}
}

static void test_relays(void **state)
{
	assert_says("name: a\nrelays: []\n" IDENTITY, "f:2:9: relays: is empty; add the relays",
		    NULL);
	assert_says("name: a\n" IDENTITY, "f:1:1: relays: is missing; add the relays", NULL);
	assert_says("relays: [{address: 'a:1'}]\n" IDENTITY, "f:1:1: name: is missing", NULL);
	assert_says("name: a\nrelays: [{address: 'a:1'}, {address: 'a:1'}]\n" IDENTITY,
		    "relays[1]: is the same relay as relays[0]", NULL);
	assert_says("name: a\nrelays: [{address: 'a:1', trust: syste}]\n" IDENTITY,
		    "is not one of ca, system; did you mean \"system\"?", NULL);
	assert_says("name: a\nrelays: [{address: 'a:1', server_name: 'x y'}]\n" IDENTITY,
		    "relays[0].server_name: \"x y\" is not a host name", NULL);
}

static void test_proxy(void **state)
{
	static const struct {
		const char *url, *says;
	} cases[] = {
		{"https://joe:hunter2@proxy:3128", "only http:// proxies are supported"},
		{"socks5://joe:hunter2@proxy:1080", "only http:// proxies are supported"},
		{"joe:hunter2@proxy:3128", "does not begin with http://"},
		{"http://joe:hunter2@proxy", "does not end in a host and a port"},
		{"http://joe:hunter2@:3128", "does not end in a host and a port"},
		{"http://hunter2@proxy:3128", "has a user without a password"},
		{"http://joe:hunter2%4@proxy:3128", "has a broken % escape"},
		{"http://joe:hunter2%00@proxy:3128", "has a broken % escape"},
		{"http://joe:hunter2@proxy:3128/x", "has a path"},
		{"http://", "does not end in a host and a port"},
	};
	char yaml[2048];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(yaml, sizeof(yaml), BASE "proxy: %s\n", cases[i].url);
		assert_says(yaml, cases[i].says, "hunter2");
	}
}

static void test_own_names(void **state)
{
	assert_says(BASE "publish: [{service: postern/control, target: '127.0.0.1:1'}]\n",
		    "which is for Postern's own services", NULL);
	assert_says(BASE "state_dir: var/lib/postern\n", "is not an absolute path", NULL);
}

static void test_load(void **state)
{
	char path[] = "/tmp/agent-config-test-XXXXXX";
	int fd = mkstemp(path);
	struct conf_errors errors = {0};
	struct agent_config c;

	assert_int_equal(write(fd, BASE, strlen(BASE)), strlen(BASE));
	close(fd);
	assert_true(agent_config_load(path, &c, &errors));
	agent_config_free(&c);
	unlink(path);
	assert_false(agent_config_load(path, &c, &errors));
	assert_non_null(strstr(errors.text, ": cannot be read: No such file or directory"));
	conf_errors_free(&errors);
}

#define PUBLISH(target) "publish: [{service: a, target: '" target "'}]\n"

/* A ceiling over all that is published. */
static void test_targets(void **state)
{
	struct conf_errors errors = {.file = "f"};
	struct agent_config c;
	struct addr a;

	assert_true(
		bind_text(BASE PUBLISH("10.1.2.3:443") "targets: ['10.1.0.0/16:443', 127.0.0.1]\n",
			  &c, &errors));
	assert_true(addr_parse("10.1.0.1:443", &a) && agent_config_may_reach(&c, &a));
	assert_true(addr_parse("127.0.0.1:1", &a) && agent_config_may_reach(&c, &a));
	assert_true(addr_parse("10.1.0.1:80", &a) && !agent_config_may_reach(&c, &a));
	agent_config_free(&c);
	/* Without it any, with an empty one none. */
	assert_true(bind_text(BASE PUBLISH("10.1.2.3:443"), &c, &errors));
	assert_true(agent_config_may_reach(&c, &a));
	assert_int_equal(c.console, AGENT_CONSOLES_ADMIN);
	agent_config_free(&c);
	assert_true(bind_text(BASE "targets: []\nconsole: off\n", &c, &errors));
	assert_false(agent_config_may_reach(&c, &a));
	assert_int_equal(c.console, AGENT_CONSOLES_OFF);
	agent_config_free(&c);
	assert_says(BASE "targets: []\n" PUBLISH("10.1.2.3:443"),
		    "publish[0].target: is not within targets", NULL);
	assert_says(BASE "targets: ['10.1.0.0/16:443']\n" PUBLISH("10.1.2.3:80"),
		    "publish[0].target: is not within targets", NULL);
	/* A name might lead there, but not at another port. */
	assert_true(bind_text(BASE "targets: ['10.1.0.0/16:443']\n" PUBLISH("a.example:443"), &c,
			      &errors));
	agent_config_free(&c);
	assert_says(BASE "targets: ['10.1.0.0/16:443']\n" PUBLISH("a.example:80"),
		    "publish[0].target: is not within targets", NULL);
	assert_says(BASE "targets: [10.1.0.0/8]\n", "targets[0]: \"10.1.0.0/8\" is no network",
		    NULL);
	assert_says(BASE "console: some\n", "console", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_whole),
		cmocka_unit_test(test_values),	 cmocka_unit_test(test_relays),
		cmocka_unit_test(test_proxy),	 cmocka_unit_test(test_own_names),
		cmocka_unit_test(test_load),	 cmocka_unit_test(test_targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
