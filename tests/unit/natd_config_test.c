/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natd_config_test: what natd can be told, by file and on the command line, and the mappings it
 * means; and the nonces of these.
 *
 * links: core/key_file.c core/memory.c
 * links: core/conf/rows.c
 * links: portmap/config.c portmap/config_load.c portmap/gateway/driver.c portmap/nonces.c
 * links: core/conf/conf.c core/conf/bind.c core/conf/error.c core/conf/json.c
 * links: core/conf/value.c core/conf/yaml.c core/addr.c core/file.c core/log*.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "portmap/config.h"
#include "portmap/nonces.h"

static char path[64];

static int setup(void **state)
{
	int fd;

	strcpy(path, "/tmp/postern-natd-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int teardown(void **state)
{
	return unlink(path);
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static struct natd_config load(const struct natd_arguments *a)
{
	struct conf_errors errors = {.file = NULL};
	struct natd_config c;

	if (!natd_config_load(a, &c, &errors))
		fail_msg("%s", errors.text);
	conf_errors_free(&errors);
	return c;
}

/* Loading fails and says this. */
static void assert_refused(const struct natd_arguments *a, const char *says)
{
	struct conf_errors errors = {.file = NULL};
	struct natd_config c;

	if (natd_config_load(a, &c, &errors))
		fail_msg("accepted, instead of: %s", says);
	if (!strstr(errors.text, says))
		fail_msg("\"%s\" does not say: %s", errors.text, says);
	conf_errors_free(&errors);
}

static void the_command_line_is_enough(void **state)
{
	struct natd_arguments a = {
		.maps = {"tcp:443", "udp:443:8443", "udp:5000-5001:6000-6001", "tcp:80:any"},
		.map_count = 4,
		.stun = {"relay.example.org:443"},
		.stun_count = 1,
		.hook = "/bin/true",
		.interface = "eth1",
		.gateway = "192.168.1.254",
	};
	static const struct {
		enum portmap_transport transport;
		uint16_t internal, external;
		bool any;
	} expected[] = {{PORTMAP_TCP, 443, 443, false},
			{PORTMAP_UDP, 443, 8443, false},
			{PORTMAP_UDP, 5000, 6000, false},
			{PORTMAP_UDP, 5001, 6001, false},
			{PORTMAP_TCP, 80, 80, true}};
	struct portmap_want wants[PORTMAP_MAPPINGS_MAX];
	struct natd_config c = load(&a);
	size_t count = natd_config_wants(&c, wants), seen = 0;

	assert_int_equal(count, 10);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(wants[i].lifetime_s, 7200);
		if (wants[i].family == PORTMAP_IPV6) { /* a pinhole leads to the port itself */
			assert_int_equal(wants[i].external, wants[i].internal);
			assert_false(wants[i].any);
			continue;
		}
		assert_int_equal(wants[i].transport, expected[seen].transport);
		assert_int_equal(wants[i].internal, expected[seen].internal);
		assert_int_equal(wants[i].external, expected[seen].external);
		assert_int_equal(wants[i].any, expected[seen].any);
		seen++;
	}
	assert_int_equal(seen, 5);
	assert_string_equal(c.interface, "eth1");
	assert_string_equal(c.gateway, "192.168.1.254");
	assert_string_equal(c.hook, "/bin/true");
	assert_string_equal(c.socket, "/run/postern/natd.sock");
	assert_int_equal(c.stun.count, 1);
	natd_config_free(&c);
}

static void a_gateway_is_an_address(void **state)
{
	static const char *const wrong[] = {"router.lan", "192.168.1.1/24", "0.0.0.0", "192.168.1"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_refused(&(struct natd_arguments){.maps = {"tcp:443"},
							.map_count = 1,
							.gateway = wrong[i]},
			       "is not an IP address; write the router's");
}

static void the_command_line_adds_to_the_file(void **state)
{
	struct natd_arguments a = {
		.config = path, .maps = {"udp:9"}, .map_count = 1, .socket = "/tmp/other.sock"};
	struct portmap_want wants[PORTMAP_MAPPINGS_MAX];
	struct natd_config c;

	write_file("map:\n- {protocol: tcp, port: 443, ipv6: false}\n"
		   "- {protocol: tcp, port: 22, external: 2222, host: 192.168.1.9}\n"
		   "socket: /run/x.sock\nlifetime: 5m\nupnp: false\n");
	c = load(&a);
	/* The literal is IPv4: no pinhole comes of it. */
	assert_int_equal(natd_config_wants(&c, wants), 4);
	assert_int_equal(wants[0].lifetime_s, 300);
	assert_int_equal(wants[1].host.sa.sa_family, AF_INET);
	assert_int_equal(wants[1].external, 2222);
	assert_string_equal(c.socket, "/tmp/other.sock");
	assert_false(c.upnp);
	assert_true(c.pcp);
	natd_config_free(&c);
}

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *file, *says;
	} files[] = {
		{"map:\n- {protocol: tpc, port: 1}\n", ":2:14: map[0].protocol"},
		{"map:\n- {protocol: tcp, port: 0}\n", "map[0].port: \"0\" is no port"},
		{"map:\n- {protocol: tcp, port: 65536}\n", "is no port"},
		{"map:\n- {protocol: tcp, port: 20-10}\n", "is no port"},
		{"map:\n- {protocol: tcp, port: 443, external: 0}\n", "or any"},
		{"map:\n- {protocol: tcp, port: 1-3, external: 5-6}\n", "maps 3 ports to 2"},
		{"map:\n- {protocol: tcp, port: 1-3}\n- {protocol: tcp, port: 2, external: 9}\n",
		 "map[1]: maps a port that is also in map[0]"},
		{"map:\n- {protocol: tcp, port: 1}\n- {protocol: tcp, port: 2, external: 1}\n",
		 "map[1]: asks for an external port that is also in map[0]"},
		{"map:\n- {protocol: tcp, port: 1, ipv4: no, ipv6: no}\n", "neither ipv4 nor ipv6"},
		{"map:\n- {protocol: tcp, port: 1000-1064}\n", "asks for 130 mappings"},
		{"map:\n- {protocol: tcp, port: 1, host: router.lan}\n", "is not an IP address"},
		{"lifetime: 1s\n", "lifetime"},
		{"hook: update-dns\n", "is not an absolute path"},
		{"stun: [relay.example.org]\n", "stun[0]"},
		{"pcp: false\nnatpmp: false\nupnp: false\n",
		 "pcp, natpmp, upnp: all are false, so that no gateway could be asked"},
		{"interface: abcdefghijklmnop\n", "interface: \"abcdefghijklmnop\" is no name"},
		{"interface: eth0:1\n", "of at most 15 bytes, such as eth0"},
		{"interface: eth/0\n", "is no name of an interface"},
		{"interface: \"eth 0\"\n", "is no name of an interface"},
		{"interface: ..\n", "is no name of an interface"},
		{"allow:\n- {ports: [9000]}\n", "allow[0]: names neither a user nor a group"},
		{"allow:\n- {user: a, group: b}\n", "allow[0]: names a user and a group"},
		{"allow:\n- {user: a, ports: [1, 9-8]}\n", "allow[0].ports[1]: \"9-8\" is no port"},
		{"allow:\n- {user: a, protocol: sctp}\n", "allow[0].protocol"},
		{"allow:\n- {user: a, most: 65}\n", "allow[0].most"},
	};
	static const char *const maps[] = {"tcp", "tcp:443:1:2", "443"};
	char where[256];

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		write_file(files[i].file);
		assert_refused(&(struct natd_arguments){.config = path}, files[i].says);
	}
	write_file(files[0].file);
	snprintf(where, sizeof where, "%s%s", path, files[0].says);
	assert_refused(&(struct natd_arguments){.config = path}, where);
	for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
		assert_refused(&(struct natd_arguments){.maps = {maps[i]}, .map_count = 1},
			       "is no mapping; write it like tcp:443");
	assert_refused(&(struct natd_arguments){.maps = {"sctp:443"}, .map_count = 1},
		       "map[0].protocol");
	assert_refused(&(struct natd_arguments){.maps = {"tcp:443", "tcp:443"}, .map_count = 2},
		       "maps a port that is also in");
}

static void a_restart_is_needed_for_some(void **state)
{
	struct natd_arguments a = {.maps = {"tcp:1"}, .map_count = 1};
	struct natd_config one = load(&a), two, three;

	a.maps[0] = "tcp:2";
	two = load(&a);
	a.state_dir = "/var/lib/x";
	three = load(&a);
	assert_false(natd_config_needs_restart(&one, &two));
	assert_true(natd_config_needs_restart(&two, &three));
	natd_config_free(&one);
	natd_config_free(&two);
	natd_config_free(&three);
}

static void what_is_allowed_becomes_rights(void **state)
{
	struct natd_arguments a = {.config = path};
	const struct natd_allow *allow;
	struct ask_right right;
	struct natd_config c;

	write_file("allow:\n- {user: web, ports: [443, 5000-5009], protocol: udp, most: 3}\n"
		   "- {group: '100'}\n");
	c = load(&a);
	assert_int_equal(c.allow.count, 2);
	allow = c.allow.items;
	natd_config_right(&allow[0], &right);
	assert_false(right.transports[PORTMAP_TCP]);
	assert_true(right.transports[PORTMAP_UDP]);
	assert_int_equal(right.port_count, 2);
	assert_int_equal(right.ports[0].last, 443);
	assert_int_equal(right.ports[1].first, 5000);
	assert_int_equal(right.ports[1].last, 5009);
	assert_int_equal(right.most, 3);
	natd_config_right(&allow[1], &right);
	assert_true(right.transports[PORTMAP_TCP] && right.transports[PORTMAP_UDP]);
	assert_int_equal(right.port_count, 0);
	assert_int_equal(right.most, ASKS_OF_USER);
	assert_string_equal(allow[1].group, "100");
	natd_config_free(&c);
}

/* ---- nonces ---- */

static struct portmap_want want(enum portmap_transport t, enum portmap_family f, uint16_t port)
{
	return (struct portmap_want){.transport = t, .family = f, .internal = port};
}

static void nonces_last_and_differ(void **state)
{
	char dir[] = "/tmp/postern-nonces-XXXXXX", file[64], why[256];
	struct portmap_want wants[4] = {
		want(PORTMAP_TCP, PORTMAP_IPV4, 443), want(PORTMAP_UDP, PORTMAP_IPV4, 443),
		want(PORTMAP_TCP, PORTMAP_IPV6, 443), want(PORTMAP_TCP, PORTMAP_IPV4, 444)};
	struct portmap_want again = wants[0];
	struct nonces n;
	struct stat s;

	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof file, "%s/natd.key", dir);
	assert_true(nonces_open(&n, dir, why, sizeof why));
	for (size_t i = 0; i < 4; i++) {
		nonces_fill(&n, &wants[i]);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(wants[i].nonce, wants[j].nonce,
						PORTMAP_NONCE_BYTES);
	}
	assert_int_equal(stat(file, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);

	memset(&n, 0, sizeof n); /* the next start */
	assert_true(nonces_open(&n, dir, why, sizeof why));
	nonces_fill(&n, &again);
	assert_memory_equal(again.nonce, wants[0].nonce, PORTMAP_NONCE_BYTES);

	assert_int_equal(truncate(file, 5), 0);
	assert_false(nonces_open(&n, dir, why, sizeof why));
	assert_non_null(strstr(why, "it is not a key"));
	unlink(file);
	rmdir(dir);
	assert_false(nonces_open(&n, dir, why, sizeof why));
}

/* While natd runs it does not wait for a writer. */
static void a_pipe_is_not_read_again(void **state)
{
	struct natd_arguments a = {.config = path, .again = true};

	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	alarm(10);
	assert_refused(&a, "is no regular file");
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_command_line_is_enough),
		cmocka_unit_test(the_command_line_adds_to_the_file),
		cmocka_unit_test(a_gateway_is_an_address),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(a_restart_is_needed_for_some),
		cmocka_unit_test(what_is_allowed_becomes_rights),
		cmocka_unit_test(nonces_last_and_differ),
		cmocka_unit_test(a_pipe_is_not_read_again),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
