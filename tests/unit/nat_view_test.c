/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat_view: what natd tells becomes a view, whole or not at all.
 * links: core/engine/nat_view.c core/addr.c
 * links: core/parse/json_read.c core/memory.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/engine/nat_view.h"

#define MAPPING(id, port, state, more)                                                             \
	"{\"id\": " id ", \"protocol\": \"tcp\", \"family\": \"ipv4\", \"port\": " port            \
	", \"state\": \"" state "\", \"name\": \"tcp 443\"" more "}"
#define AT(place) ", \"external\": \"" place "\""
#define EXTERNAL                                                                                   \
	"{\"verdict\": \"one_nat\", \"sentence\": \"outside sees 45.0.0.10\", \"gateway\": "       \
	"\"45.0.0.10\", \"stun\": \"45.0.0.10\", \"stun_servers\": \"agree\"}"
#define STATUS(external, mappings)                                                                 \
	"{\"jsonrpc\": \"2.0\", \"id\": 2, \"result\": {\"version\": \"1\", "                      \
	"\"external\": " external ", \"mappings\": [" mappings "]}}"
#define EVENT(fields)                                                                              \
	"{\"jsonrpc\": \"2.0\", \"method\": \"event\", \"params\": {\"number\": 7, " fields "}}"

static enum nat_view_news tell(struct nat_view *v, const char *line)
{
	return nat_view_line(v, line, strlen(line));
}

static struct nat_view known(void)
{
	struct nat_view v = {0};

	assert_int_equal(
		tell(&v, STATUS(EXTERNAL, MAPPING("1", "443", "mapped", AT("45.0.0.10:8443")))),
		NAT_VIEW_CHANGED);
	return v;
}

static const char *place(const struct nat_view *v, size_t i)
{
	static char text[ADDR_TEXT_BYTES];

	addr_format(&v->mappings[i].external, text);
	return text;
}

/* ---- what is understood ---- */

static void a_status_fills_the_view(void **state)
{
	struct nat_view v = known();

	assert_true(v.connected);
	assert_string_equal(v.external, "45.0.0.10");
	assert_string_equal(v.verdict, "one_nat");
	assert_string_equal(v.sentence, "outside sees 45.0.0.10");
	assert_string_equal(v.advice, "");
	assert_int_equal(v.mapping_count, 1);
	assert_int_equal(v.mappings[0].port, 443);
	assert_int_equal(v.mappings[0].state, NAT_MAPPING_MAPPED);
	assert_false(v.mappings[0].udp || v.mappings[0].ipv6 || v.mappings[0].other_host);
	assert_string_equal(place(&v, 0), "45.0.0.10:8443");
	assert_false(v.more);
	assert_int_equal(v.malformed, 0);
}

static void the_hello_asks_for_events_and_then_for_status(void **state)
{
	static const char hello[] = NAT_VIEW_HELLO;
	const char *end = strchr(hello, '\n');
	json_t *events = json_loadb(hello, (size_t)(end - hello), 0, NULL);
	json_t *status = json_loads(end + 1, 0, NULL);

	assert_string_equal(json_string_value(json_object_get(events, "method")), "events");
	assert_true(json_is_true(json_object_get(json_object_get(events, "params"), "follow")));
	assert_string_equal(json_string_value(json_object_get(status, "method")), "status");
	assert_true(sizeof(hello) < 256); /* what a feed takes */
	json_decref(events);
	json_decref(status);
}

static void without_nat_the_address_is_the_hosts_own(void **state)
{
	struct nat_view v = {0};

	assert_int_equal(tell(&v, STATUS("{\"verdict\": \"no_nat\", \"sentence\": \"s\", \"stun\": "
					 "\"45.0.0.7\"}",
					 "")),
			 NAT_VIEW_CHANGED);
	assert_string_equal(v.external, "45.0.0.7");
	assert_int_equal(v.mapping_count, 0);
}

static void events_bring_it_up_to_date(void **state)
{
	struct nat_view v = known();

	assert_int_equal(tell(&v, EVENT("\"kind\": \"external\", \"address\": \"45.0.0.11\", "
					"\"old\": \"45.0.0.10\"")),
			 NAT_VIEW_CHANGED);
	assert_string_equal(v.external, "45.0.0.11");
	assert_int_equal(tell(&v, EVENT("\"kind\": \"verdict\", \"verdict\": \"cgnat\", "
					"\"sentence\": \"a\", \"advice\": \"b\", \"gateway\": "
					"\"100.64.0.9\"")),
			 NAT_VIEW_CHANGED);
	assert_string_equal(v.verdict, "cgnat");
	assert_string_equal(v.advice, "b");
	assert_string_equal(v.external, "100.64.0.9");
	assert_int_equal(v.mapping_count, 1);
	assert_int_equal(tell(&v, EVENT("\"kind\": \"network\", \"up\": true")), NAT_VIEW_NOTHING);
	assert_int_equal(tell(&v, EVENT("\"kind\": \"protocol\"")), NAT_VIEW_NOTHING);
	assert_int_equal(tell(&v, EVENT("\"kind\": \"of tomorrow\"")), NAT_VIEW_NOTHING);
}

static void a_mapping_changes_and_another_comes(void **state)
{
	struct nat_view v = known();

	assert_int_equal(tell(&v, EVENT("\"kind\": \"mapping\", \"id\": 1, \"protocol\": \"tcp\", "
					"\"family\": \"ipv4\", \"port\": 443, \"state\": "
					"\"verified\", \"external\": \"45.0.0.10:9443\"")),
			 NAT_VIEW_MAPPINGS);
	assert_int_equal(v.mapping_count, 1);
	assert_int_equal(v.mappings[0].state, NAT_MAPPING_VERIFIED);
	assert_string_equal(place(&v, 0), "45.0.0.10:9443");
	assert_int_equal(tell(&v, EVENT("\"kind\": \"mapping\", \"id\": 2, \"protocol\": \"udp\", "
					"\"family\": \"ipv6\", \"port\": 1, \"state\": \"mapped\", "
					"\"external\": \"[2001:db8::7]:1\", \"host\": "
					"\"2001:db8::7\"")),
			 NAT_VIEW_MAPPINGS);
	assert_int_equal(v.mapping_count, 2);
	assert_true(v.mappings[1].udp && v.mappings[1].ipv6 && v.mappings[1].other_host);
	assert_string_equal(place(&v, 1), "[2001:db8::7]:1");
	assert_int_equal(tell(&v, EVENT("\"kind\": \"mappings\", \"mappings\": [" MAPPING(
					  "2", "80", "refused", "") "]")),
			 NAT_VIEW_MAPPINGS);
	assert_int_equal(v.mapping_count, 1);
	assert_int_equal(v.mappings[0].external.len, 0);
}

static void events_before_the_status_are_passed_over(void **state)
{
	struct nat_view v = {0};

	assert_int_equal(tell(&v, EVENT("\"kind\": \"external\", \"address\": \"45.0.0.11\"")),
			 NAT_VIEW_NOTHING);
	assert_int_equal(
		tell(&v, "{\"jsonrpc\": \"2.0\", \"id\": 1, \"result\": {\"events\": []}}"),
		NAT_VIEW_NOTHING);
	assert_false(v.connected);
	assert_string_equal(v.external, "");
}

static void away_means_unknown(void **state)
{
	struct nat_view v = known();

	assert_int_equal(tell(&v, "rubbish"), NAT_VIEW_MALFORMED);
	assert_true(nat_view_gone(&v));
	assert_false(v.connected);
	assert_string_equal(v.external, "");
	assert_int_equal(v.mapping_count, 0);
	assert_int_equal(v.malformed, 1);
	assert_false(nat_view_gone(&v));
	assert_int_equal(tell(&v, STATUS(EXTERNAL, "")), NAT_VIEW_CHANGED);
}

static void mappings_are_bounded(void **state)
{
	static char line[65536];
	size_t len = (size_t)snprintf(line, sizeof(line),
				      "{\"id\": 2, \"result\": {\"external\": " EXTERNAL
				      ", \"mappings\": [");
	struct nat_view v = {0};

	for (unsigned i = 0; i < 100; i++)
		len += (size_t)snprintf(line + len, sizeof(line) - len,
					"%s{\"id\": %u, \"protocol\": \"tcp\", \"family\": "
					"\"ipv4\", \"port\": 1, \"state\": \"mapped\"}",
					i > 0 ? ", " : "", i);
	snprintf(line + len, sizeof(line) - len, "]}}");
	assert_int_equal(tell(&v, line), NAT_VIEW_CHANGED);
	assert_int_equal(v.mapping_count, NAT_VIEW_MAPPINGS_MAX);
	assert_true(v.more);
	assert_int_equal(tell(&v, STATUS(EXTERNAL, "")), NAT_VIEW_MAPPINGS);
	assert_false(v.more);
}

/* ---- what is not ---- */

#define BAD(m)		      STATUS(EXTERNAL, m)
#define MAPPING_EVENT(fields) EVENT("\"kind\": \"mapping\", " fields)

static const char *const malformed[] = {
	"",
	"rubbish",
	"{\"id\": 2",
	"[]",
	"17",
	"{}",
	"{\"jsonrpc\": \"2.0\", \"id\": 2, \"error\": {\"code\": -32005, \"message\": \"busy\"}}",
	"{\"id\": \"2\", \"result\": {}}",
	"{\"id\": 2, \"result\": {}}",
	"{\"id\": 2, \"result\": {\"external\": " EXTERNAL "}}",
	"{\"id\": 2, \"id\": 2, \"result\": {\"external\": " EXTERNAL ", \"mappings\": []}}",
	STATUS("[]", ""),
	STATUS("{\"sentence\": \"s\"}", ""),
	STATUS("{\"verdict\": \"\", \"sentence\": \"s\"}", ""),
	STATUS("{\"verdict\": 7, \"sentence\": \"s\"}", ""),
	STATUS("{\"verdict\": \"of-thirty-two-letters-or-even-more\", \"sentence\": \"s\"}", ""),
	STATUS("{\"verdict\": \"one_nat\"}", ""),
	STATUS("{\"verdict\": \"one_nat\", \"sentence\": \"a\\u001b[2Jb\"}", ""),
	STATUS("{\"verdict\": \"one_nat\", \"sentence\": \"s\", \"gateway\": \"45.0.0\"}", ""),
	STATUS("{\"verdict\": \"one_nat\", \"sentence\": \"s\", \"gateway\": \"::1\"}", ""),
	STATUS("{\"verdict\": \"one_nat\", \"sentence\": \"s\", \"gateway\": \"45.0.0.1:80\"}", ""),
	STATUS("{\"verdict\": \"one_nat\", \"sentence\": \"s\", \"stun\": 1}", ""),
	BAD("7"),
	BAD("{}"),
	BAD(MAPPING("-1", "443", "mapped", "")),
	BAD(MAPPING("4294967296", "443", "mapped", "")),
	BAD(MAPPING("1.5", "443", "mapped", "")),
	BAD(MAPPING("1", "0", "mapped", "")),
	BAD(MAPPING("1", "65536", "mapped", "")),
	BAD(MAPPING("1", "\"443\"", "mapped", "")),
	BAD(MAPPING("1", "443", "fine", "")),
	BAD(MAPPING("1", "443", "mapped", AT("45.0.0.10"))),
	BAD(MAPPING("1", "443", "mapped", AT("[::1]:443"))),
	BAD(MAPPING("1", "443", "mapped", AT("name.example:443"))),
	BAD(MAPPING("1", "443", "mapped", ", \"external\": 443")),
	BAD(MAPPING("1", "443", "mapped", ", \"host\": []")),
	EVENT("\"address\": \"45.0.0.11\""),
	EVENT("\"kind\": 1"),
	EVENT("\"kind\": \"external\""),
	EVENT("\"kind\": \"external\", \"address\": \"\""),
	EVENT("\"kind\": \"external\", \"address\": \"2001:db8::1\""),
	EVENT("\"kind\": \"verdict\", \"verdict\": \"cgnat\""),
	EVENT("\"kind\": \"mappings\""),
	EVENT("\"kind\": \"mappings\", \"mappings\": [{}]"),
	MAPPING_EVENT("\"id\": 1"),
	MAPPING_EVENT("\"id\": 1, \"protocol\": \"sctp\", \"family\": \"ipv4\", \"port\": 1, "
		      "\"state\": \"mapped\""),
	MAPPING_EVENT("\"id\": 1, \"protocol\": \"tcp\", \"family\": \"ipx\", \"port\": 1, "
		      "\"state\": \"mapped\""),
	"{\"method\": \"event\"}",
	"{\"method\": \"event\", \"params\": []}",
};

static void what_makes_no_sense_changes_nothing(void **state)
{
	for (size_t i = 0; i < sizeof(malformed) / sizeof(*malformed); i++) {
		struct nat_view v = known(), before = v;

		if (tell(&v, malformed[i]) != NAT_VIEW_MALFORMED)
			fail_msg("taken: %s", malformed[i]);
		assert_int_equal(v.malformed, 1);
		v.malformed = 0;
		assert_memory_equal(&v, &before, sizeof(v));
	}
}

static void texts_are_bounded(void **state)
{
	char line[1024], text[NAT_VIEW_TEXT_BYTES + 1];
	struct nat_view v = {0};

	memset(text, 'a', sizeof(text));
	text[NAT_VIEW_TEXT_BYTES] = '\0';
	for (int i = 0; i < 2; i++) {
		snprintf(line, sizeof(line),
			 "{\"id\": 2, \"result\": {\"external\": {\"verdict\": \"v\", "
			 "\"sentence\": \"%s\"}, \"mappings\": []}}",
			 text + i);
		assert_int_equal(tell(&v, line), i == 0 ? NAT_VIEW_MALFORMED : NAT_VIEW_CHANGED);
	}
}

/* ---- what is told of it ---- */

static void assert_json(json_t *is, const char *should_be)
{
	json_t *other = json_loads(should_be, 0, NULL);
	char *text = json_dumps(is, JSON_SORT_KEYS);

	if (!json_equal(is, other))
		fail_msg("%s", text);
	free(text);
	json_decref(other);
	json_decref(is);
}

static void the_view_as_json(void **state)
{
	struct nat_view v = known(), nothing = {0};

	assert_json(nat_view_json(&v),
		    "{\"connected\": true, \"external\": \"45.0.0.10\", \"verdict\": \"one_nat\", "
		    "\"sentence\": \"outside sees 45.0.0.10\", \"mappings\": [{\"protocol\": "
		    "\"tcp\", \"family\": \"ipv4\", \"port\": 443, \"external\": "
		    "\"45.0.0.10:8443\", \"state\": \"mapped\"}]}");
	assert_json(nat_view_summary(&nothing), "{\"connected\": false, \"verdict\": \"unknown\"}");
	v.more = true;
	v.mapping_count = 0;
	assert_json(nat_view_json(&v),
		    "{\"connected\": true, \"external\": \"45.0.0.10\", \"verdict\": \"one_nat\", "
		    "\"sentence\": \"outside sees 45.0.0.10\", \"mappings\": [], \"more\": true}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_status_fills_the_view),
		cmocka_unit_test(the_hello_asks_for_events_and_then_for_status),
		cmocka_unit_test(without_nat_the_address_is_the_hosts_own),
		cmocka_unit_test(events_bring_it_up_to_date),
		cmocka_unit_test(a_mapping_changes_and_another_comes),
		cmocka_unit_test(events_before_the_status_are_passed_over),
		cmocka_unit_test(away_means_unknown),
		cmocka_unit_test(mappings_are_bounded),
		cmocka_unit_test(what_makes_no_sense_changes_nothing),
		cmocka_unit_test(texts_are_bounded),
		cmocka_unit_test(the_view_as_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
