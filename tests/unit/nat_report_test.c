/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat_report_test: the pages of 'postern nat', its sentences, and what follows for connections.
 *
 * links: core/key_file.c core/memory.c
 * links: ctl/nat/report.c ctl/nat/conclude.c portmap/engine/truth.c ctl/terminal/page.c ctl/terminal/show.c ctl/terminal/units.c
 *
 * links: ctl/terminal/arguments.c core/conf/conf.c core/conf/bind.c core/conf/error.c core/conf/value.c
 *
 * links: core/addr.c core/log*.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "ctl/nat/conclude.h"
#include "ctl/nat/report.h"

#define NETWORK                                                                                    \
	"\"network\": {\"up\": true, \"number\": 1, \"interface\": \"eth0\","                      \
	" \"address\": \"192.168.1.2\", \"gateway\": \"192.168.1.1\"}"
#define PROTOCOLS                                                                                  \
	"\"protocols\": [{\"protocol\": \"PCP\", \"family\": \"ipv4\", \"state\": \"available\","  \
	" \"about\": \"PCP version 2\", \"note\": \"two in turn\"}, {\"protocol\": \"UPnP\", "     \
	"\"family\": \"ipv4\","                                                                    \
	" \"state\": \"unavailable\", \"failure\": \"silent\", \"why\": \"no answer\"}]"
#define VERDICT(v)                                                                                 \
	"\"external\": {\"verdict\": \"" v "\", \"sentence\": \"it is so\", \"stun\": "            \
	"\"45.0.0.9\"}"
#define HELD                                                                                       \
	"{\"name\": \"tcp 443\", \"family\": \"ipv4\", \"state\": \"mapped\", \"by\": \"PCP\","    \
	" \"external\": \"45.0.0.9:443\", \"lifetime_s\": 7200, \"left_s\": 3600,"                 \
	" \"why\": \"mapped\", \"unproven\": \"nothing has come in from outside yet\"}"
#define VERIFIED                                                                                   \
	"{\"name\": \"udp 443\", \"family\": \"ipv4\", \"state\": \"verified\", \"by\": \"UPnP\"," \
	" \"external\": \"45.0.0.9:443\", \"lifetime_s\": 0, \"why\": \"w\", \"proof\": \"p\","    \
	" \"proven_s\": 185}"
#define REFUSED                                                                                    \
	"{\"name\": \"tcp 80\", \"family\": \"ipv4\", \"state\": \"refused\","                     \
	" \"why\": \"the gateway says no\", \"again_s\": 40}"
#define PINHOLE                                                                                    \
	"{\"name\": \"tcp 443 (IPv6)\", \"family\": \"ipv6\", \"state\": \"mapped\","              \
	" \"by\": \"PCP\", \"external\": \"[2001:db8::2]:443\", \"lifetime_s\": 60,"               \
	" \"left_s\": 59, \"why\": \"mapped\"}"
#define PROVEN6                                                                                    \
	"{\"name\": \"udp 443 (IPv6)\", \"family\": \"ipv6\", \"state\": \"verified\","            \
	" \"by\": \"PCP\", \"external\": \"[2001:db8::2]:443\", \"proof\": \"p\"}"
#define IDLE                                                                                       \
	"{\"name\": \"udp 443 (IPv6)\", \"family\": \"ipv6\", \"state\": \"unsupported\","         \
	" \"why\": \"this network has no IPv6 gateway\"}"

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *value = json_loads(text, 0, &error);

	if (!value)
		fail_msg("%s: %s", error.text, text);
	return value;
}

/* What fn prints, to be freed. */
static char *printed(void (*fn)(const struct page *p, const json_t *value), const json_t *value,
		     unsigned columns)
{
	char *text = NULL;
	size_t len;
	struct page p = {.to = open_memstream(&text, &len), .columns = columns};

	assert_non_null(p.to);
	fn(&p, value);
	fclose(p.to);
	return text;
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is missing in:\n%s", part, text);
}

static void assert_narrow(const char *text, size_t columns)
{
	for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
		if (strcspn(line, "\n") > columns)
			fail_msg("too wide: %.*s", (int)strcspn(line, "\n"), line);
}

/* ---- pages ---- */

static void test_status(void **state)
{
	json_t *status = parse("{" NETWORK "," PROTOCOLS "," VERDICT(
		"one_nat") ", \"mappings\": [" HELD "," VERIFIED "," REFUSED "," IDLE "]}");
	char *text = printed(nat_report_status, status, 0);

	assert_string_equal(text, "Gateway\n"
				  "  network      eth0: 192.168.1.2, gateway 192.168.1.1\n"
				  "  PCP          yes: version 2\n"
				  "               two in turn\n"
				  "  UPnP         no: no answer\n"
				  "Outside\n"
				  "  address      45.0.0.9\n"
				  "  verdict      one NAT: it is so\n"
				  "\n"
				  "MAPPING  STATE             BY    EXTERNAL      LEFT\n"
				  "tcp 443  mapped            PCP   45.0.0.9:443  1h00m\n"
				  "  not verified: nothing has come in from outside yet\n"
				  "udp 443  verified 3 m ago  UPnP  45.0.0.9:443  for good\n"
				  "tcp 80   refused\n"
				  "  the gateway says no; asked again in 40s\n"
				  "1 pinhole for IPv6 waits: this network has no IPv6 gateway\n");
	free(text);
	json_array_remove(json_object_get(status, "mappings"), 1);
	text = printed(nat_report_status, status, 50);
	assert_narrow(text, 50);
	assert_has(text, "  not verified: nothing has come in from outside\n  yet\n");
	free(text);
	json_decref(status);
}

/* Without a NAT nothing is wrong where nothing is mapped. */
static void test_status_without_nat(void **state)
{
	json_t *status = parse("{" NETWORK "," PROTOCOLS "," VERDICT(
		"no_nat") ", \"mappings\": [" REFUSED "," REFUSED "," IDLE "]}");
	json_t *refused = json_array_get(json_object_get(status, "mappings"), 0);
	char *text = printed(nat_report_status, status, 0);

	assert_has(text, "\n\n2 mappings for IPv4 are not needed: this host's own address is what "
			 "outside sees\n1 pinhole");
	assert_null(strstr(text, "the gateway says no"));
	assert_null(strstr(text, "STATE"));
	free(text);
	json_object_set_new(status, "age_s", json_integer(40));
	text = printed(nat_report_probe, status, 0);
	assert_has(text, "  looked at    40 s ago; natd looks anew once a minute");
	assert_has(text, "none is needed: this host's own address is what outside sees\n");
	free(text);
	/* Another host's is, and so is a pinhole. */
	json_object_set_new(refused, "host", json_string("192.168.1.5"));
	assert_null(nat_conclude_unneeded(status, refused));
	json_object_del(refused, "host");
	json_object_set_new(refused, "family", json_string("ipv6"));
	assert_null(nat_conclude_unneeded(status, refused));
	json_object_set_new(refused, "family", json_string("ipv4"));
	assert_non_null(nat_conclude_unneeded(status, refused));
	json_object_set_new(json_object_get(status, "external"), "verdict",
			    json_string("several_exits"));
	assert_null(nat_conclude_unneeded(status, refused));
	json_object_set_new(json_object_get(status, "network"), "address", json_string("45.0.0.9"));
	assert_non_null(nat_conclude_unneeded(status, refused));
	json_decref(status);
}

/* What was proved has an age, and what is so no longer the moment from which on. */
static void test_ages(void **state)
{
	static const struct {
		unsigned s;
		const char *text;
	} ages[] = {{0, "0 s"},	   {59, "59 s"},    {60, "1 m"},    {3599, "59 m"},
		    {3600, "1 h"}, {86399, "23 h"}, {86400, "1 d"}, {900000, "10 d"}};
	char line[512], since[64], expected[128];
	time_t then = time(NULL) - 7200;
	struct tm at;

	for (size_t i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
		snprintf(line, sizeof(line),
			 "{" NETWORK ", \"mappings\": [{\"name\": \"udp 1\", \"state\": "
			 "\"verified\", \"proven_s\": %u}]}",
			 ages[i].s);
		json_t *status = parse(line);
		char *text = printed(nat_report_status, status, 0);

		snprintf(expected, sizeof(expected), "udp 1    verified %s ago\n", ages[i].text);
		assert_has(text, expected);
		free(text);
		json_decref(status);
	}
	json_t *status =
		parse("{" NETWORK ", \"mappings\": [{\"name\": \"udp 1\", \"state\": \"mapped\", "
		      "\"unproven_s\": 7200, \"unproven\": \"it is deaf\"}]}");
	char *text = printed(nat_report_status, status, 0);

	localtime_r(&then, &at);
	strftime(since, sizeof(since), "%H:%M", &at);
	snprintf(expected, sizeof(expected), "  unproven since %s: it is deaf\n", since);
	assert_has(text, expected);
	free(text);
	json_decref(status);
}

/* It was granted a moment ago. */
static void test_not_yet_proven(void **state)
{
	json_t *status = parse("{" NETWORK "," PROTOCOLS "," VERDICT(
		"one_nat") ", \"mappings\": [{\"name\": \"udp 443\", \"family\": \"ipv4\", "
			   "\"state\": \"mapped\", \"by\": \"PCP\", \"external\": "
			   "\"45.0.0.9:443\", \"why\": \"w\"}]}");
	char *text = printed(nat_report_status, status, 0);

	assert_has(text, "\n  not verified: whether anything comes in is being found out\n");
	free(text);
	json_decref(status);
}

static void test_status_without(void **state)
{
	json_t *status = parse("{\"network\": {\"up\": false}, \"protocols\": [], " VERDICT(
		"unknown") ", \"mappings\": []}");
	char *text = printed(nat_report_status, status, 80);

	assert_has(text, "  network      there is none that leads out\n");
	assert_has(text,
		   "natd keeps no mapping; name one in its configuration (map), or with --map");
	assert_null(strstr(text, "Outside"));
	free(text);
	json_decref(status);
}

/* What a gateway says of itself reaches no terminal as it is. */
static void test_printable(void **state)
{
	json_t *status =
		parse("{" NETWORK ", \"protocols\": [{\"protocol\": \"UPnP\", \"family\":"
		      " \"ipv6\", \"state\": \"available\", \"about\": \"\\u001b[31mRouter\"}"
		      "], " VERDICT("plausible") ", \"mappings\": []}");
	char *text = printed(nat_report_status, status, 80);

	assert_null(strchr(text, '\033'));
	assert_has(text, "  UPnP IPv6    yes: \\x1b[31mRouter\n");
	free(text);
	json_decref(status);
}

/* A word that is wider than the page stands alone, and ends. */
static void test_narrow(void **state)
{
	char *text = NULL;
	size_t len;
	struct page p = {.to = open_memstream(&text, &len), .columns = 20};

	page_row(&p, "key", "one two aaaaaaaaaaaaaaaaaaaaaaaa three");
	page_row(&p, "a key that is long", "x");
	page_marked_row(&p, "key", SHOW_GOOD, "yes", "");
	page_row(&p, "", "");
	fclose(p.to);
	assert_string_equal(text, "  key          one\n"
				  "               two\n"
				  "               aaaaaaaaaaaaaaaaaaaaaaaa\n"
				  "               three\n"
				  "  a key that is long  \n"
				  "               x\n"
				  "  key          yes\n"
				  "               \n");
	free(text);
}

/* ---- conclusions ---- */

/* What follows from the NAT's behaviour and from pinholes; topologies_test has the verdicts. */
struct conclusion {
	const char *verdict, *mappings, *behaviour;
	enum nat_outcome outcome;
	const char *says;
	const char *own;
};

static void test_conclusions(void **state)
{
	static const char symmetric[] =
		"{\"nat\": \"symmetric\", \"server\": \"s:3478\", \"why\": {},"
		" \"meaning\": \"The external port changes.\"}";
	static const char walled[] =
		"{\"nat\": \"firewall\", \"filtering\": \"address-and-port-dependent\","
		" \"server\": \"s:3478\", \"why\": {}, \"meaning\": \"A firewall.\"}";
	static const char open[] =
		"{\"nat\": \"open\", \"filtering\": \"endpoint-independent\","
		" \"server\": \"s:3478\", \"why\": {}, \"meaning\": \"Nothing is in the way.\"}";
	static const char blocked[] = "{\"nat\": \"blocked\", \"server\": \"s:3478\", \"why\": {},"
				      " \"meaning\": \"No answer came.\"}";
	static const char nowhere[] = "{\"server\": null, \"external\": null, \"why\": {}}";
	static const struct conclusion all[] = {
		{"one_nat", VERIFIED, "null", NAT_REACHED, "knows the external address and port",
		 NULL},
		{"one_nat", HELD, "null", NAT_REACHED, "name a STUN server with --stun", NULL},
		/* STUN servers are silent since: no router behind the gateway speaks against it. */
		{"plausible", VERIFIED, "null", NAT_REACHED, "Port mapping works", NULL},
		/* Its own question has just failed: what was so before may not be so now. */
		{"one_nat", HELD, nowhere, NAT_UNPROVEN, "no STUN server told", NULL},
		{"one_nat", VERIFIED, nowhere, NAT_UNPROVEN, "still is not known.", NULL},
		{"one_nat", VERIFIED, blocked, NAT_UNPROVEN, "\n  No answer came.", NULL},
		{"no_nat", REFUSED, blocked, NAT_UNPROVEN, "outside saw, but no STUN server",
		 "45.0.0.9"},
		{"cgnat", VERIFIED, blocked, NAT_UNPROVEN, "came in all the same", NULL},
		{"one_nat", VERIFIED "," PROVEN6, blocked, NAT_UNPROVEN, "came in before", NULL},
		{"offline", VERIFIED, blocked, NAT_NO_WAY, "there is no way to outside.", NULL},
		{"offline", HELD "," PINHOLE, "null", NAT_NO_WAY, "is not proven yet", NULL},
		{"offline", HELD "," PROVEN6, "null", NAT_UNPROVEN, "came in before", NULL},
		{"ipv6_only", PROVEN6, blocked, NAT_REACHED, "reaches this one directly.", NULL},
		{"one_nat", HELD, symmetric, NAT_REACHED,
		 "Ports that are not mapped: the external port changes.", NULL},
		{"cgnat", HELD, symmetric, NAT_UNREACHED, "The external port changes.", NULL},
		{"cgnat", REFUSED, "null", NAT_UNREACHED,
		 "No port can be mapped here: no host outside", NULL},
		{"unknown", REFUSED, symmetric, NAT_UNPROVEN, "\n  The external port changes.",
		 "45.0.0.9"},
		{"unknown", IDLE, "null", NAT_UNREACHED, "unless one is forwarded by hand", NULL},
		{"unknown", "", "null", NAT_UNREACHED, "has not been tried.", NULL},
		{"several_exits", "", "null", NAT_UNPROVEN, "own address is a public one, and one",
		 "45.0.0.9"},
		{"several_exits", REFUSED, walled, NAT_UNREACHED, "a firewall lets in only answers",
		 "45.0.0.9"},
		{"no_nat", REFUSED, open, NAT_REACHED, "needs no port mapping", "45.0.0.9"},
		{"no_nat", REFUSED, walled, NAT_UNREACHED, "a firewall lets in only answers",
		 "45.0.0.9"},
		/* One of them leads through all the same. */
		{"double_nat", VERIFIED, "null", NAT_REACHED, "came in all the same", NULL},
		{"vpn", VERIFIED, "null", NAT_UNREACHED, "is answered through the VPN, and lost.",
		 NULL},
		{"double_nat", REFUSED "," PINHOLE, "null", NAT_UNPROVEN,
		 "Over IPv6 the gateway says that it lets in", NULL},
		{"ipv6_only", PINHOLE, "null", NAT_UNPROVEN, "There is no IPv4 here", NULL},
		{"ipv6_only", PROVEN6, "null", NAT_REACHED, "has IPv6 reaches this one directly.",
		 NULL},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		json_t *probe =
			json_pack("{s:s, s:o, s:o, s:{s:s, s:s}, s:o}", "by", "trial", "network",
				  parse("{\"up\": true, \"gateway\": \"192.168.1.1\"}"), "mappings",
				  json_array(), "external", "verdict", all[i].verdict, "sentence",
				  "it is so", "protocols", json_array());
		char list[1024], *text;

		json_object_set_new(json_object_get(probe, "network"), "address",
				    json_string(all[i].own ? all[i].own : "192.168.1.2"));
		snprintf(list, sizeof(list), "[%s]", all[i].mappings);
		json_object_set_new(probe, "mappings", parse(list));
		if (strcmp(all[i].behaviour, "null") != 0)
			json_object_set_new(probe, "behaviour", parse(all[i].behaviour));
		if (nat_conclude(probe) != all[i].outcome)
			fail_msg("%zu: %s", i, all[i].says);
		text = printed(nat_report_probe, probe, 0);
		assert_has(text, all[i].says);
		assert_int_equal(json_is_true(json_object_get(probe, "reachable")),
				 all[i].outcome == NAT_REACHED || all[i].outcome == NAT_UNPROVEN);
		free(text);
		json_decref(probe);
	}
}

/* Servers that disagree are shown, with what each of them sees. */
static void test_servers_disagree(void **state)
{
	json_t *status =
		parse("{" NETWORK "," PROTOCOLS ", \"external\": {\"verdict\": \"several_exits\", "
		      "\"sentence\": \"it is so\", \"gateway\": \"45.0.0.10\", \"stun_seen\": "
		      "[\"45.0.0.10\", \"45.0.0.20\"]}, \"mappings\": []}");
	char *text = printed(nat_report_status, status, 0);

	assert_has(text, "  address      45.0.0.10 or 45.0.0.20, by whom is asked\n");
	assert_has(text, "  verdict      several ways out: it is so\n");
	free(text);
	json_decref(status);
}

/* natd itself has found that a firewall keeps out what is sent to a public address. */
static void test_walled_off(void **state)
{
	json_t *probe =
		parse("{\"by\": \"trial\", \"network\": {\"up\": true, \"interface\": \"ppp0\", "
		      "\"address\": \"45.0.0.9\"}, \"protocols\": [], \"mappings\": [], " VERDICT(
			      "filtered") "}");
	char *text;

	assert_int_equal(nat_conclude(probe), NAT_UNREACHED);
	text = printed(nat_report_probe, probe, 0);
	assert_has(text, "  network      ppp0: 45.0.0.9, a link without a gateway\n");
	assert_has(text, "a firewall lets in only answers: allow the port in it.");
	free(text);
	json_decref(probe);
}

static void test_no_network(void **state)
{
	json_t *probe =
		parse("{\"by\": \"trial\", \"network\": {\"up\": false}, \"protocols\": [], "
		      "\"mappings\": [], " VERDICT("offline") "}");
	char *text;

	assert_int_equal(nat_conclude(probe), NAT_NO_WAY);
	text = printed(nat_report_probe, probe, 80);
	assert_has(text, "Outside\n  verdict      offline: it is so\n");
	assert_has(text, "There is no way out, and no gateway to ask.");
	assert_null(strstr(text, "STUN"));
	free(text);
	json_decref(probe);
}

/* One screen, however much natd keeps. */
static void test_one_screen(void **state)
{
	json_t *probe = parse("{\"by\": \"natd\", " NETWORK "," PROTOCOLS "," VERDICT(
		"one_nat") ", \"mappings\": [" HELD "," HELD "," HELD "," HELD "," VERIFIED "," IDLE
			   "], \"behaviour\": {\"server\": \"s:3478\", \"external\": "
			   "\"45.0.0.9:7\", \"nat\": \"symmetric\", \"mapping\": null, "
			   "\"filtering\": null, \"hairpinning\": \"no\", \"why\": "
			   "{\"mapping\": "
			   "\"it did not say\"}, \"meaning\": \"That is so.\"}}");
	unsigned lines = 0;
	char *text;

	assert_int_equal(nat_conclude(probe), NAT_REACHED);
	text = printed(nat_report_probe, probe, 80);
	assert_has(text, "and 3 more: 'postern nat status' lists them\n");
	assert_has(text, "  mapping      not known: it did not say\n");
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	assert_true(lines < 24);
	assert_narrow(text, 80);
	free(text);
	json_decref(probe);
}

/* ---- events ---- */

static void test_events(void **state)
{
	static const struct {
		const char *event, *line;
	} all[] = {
		{"{\"at\": \"T\", \"kind\": \"mapping\", \"name\": \"tcp 443\", \"state\": "
		 "\"mapped\","
		 " \"from\": \"requested\", \"why\": \"45.0.0.9:443 by PCP\"}",
		 "T tcp 443 is mapped, was requested: 45.0.0.9:443 by PCP\n"},
		{"{\"at\": \"T\", \"kind\": \"protocol\", \"protocol\": \"PCP\", \"family\": "
		 "\"ipv6\","
		 " \"state\": \"unavailable\", \"why\": \"it is silent\"}",
		 "T PCP IPv6 is not there: it is silent\n"},
		{"{\"at\": \"T\", \"kind\": \"protocol\", \"protocol\": \"UPnP\", \"family\": "
		 "\"ipv4\","
		 " \"state\": \"available\", \"about\": \"Router\"}",
		 "T UPnP is there: Router\n"},
		{"{\"at\": \"T\", \"kind\": \"external\", \"address\": \"45.0.0.9\", \"old\": "
		 "\"45.0.0.8\"}",
		 "T the external address is 45.0.0.9, was 45.0.0.8\n"},
		{"{\"at\": \"T\", \"kind\": \"network\", \"up\": false}",
		 "T network: there is none that leads out\n"},
		{"{\"at\": \"T\", \"kind\": \"verdict\", \"verdict\": \"cgnat\", \"sentence\": "
		 "\"it is\","
		 " \"advice\": \"do so\"}",
		 "T it is; do so\n"},
		{"{\"at\": \"T\", \"kind\": \"lost\", \"sentence\": \"natd has gone\"}",
		 "T natd has gone\n"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		json_t *event = parse(all[i].event);
		char *text = NULL;
		size_t len;
		FILE *to = open_memstream(&text, &len);

		nat_report_event(to, event);
		fclose(to);
		assert_string_equal(text, all[i].line);
		free(text);
		json_decref(event);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_status_without_nat),
		cmocka_unit_test(test_status_without),
		cmocka_unit_test(test_not_yet_proven),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_printable),
		cmocka_unit_test(test_narrow),
		cmocka_unit_test(test_conclusions),
		cmocka_unit_test(test_servers_disagree),
		cmocka_unit_test(test_walled_off),
		cmocka_unit_test(test_no_network),
		cmocka_unit_test(test_one_screen),
		cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
