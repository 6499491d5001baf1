/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_json, conf_diff: documents to trees and back, as YAML, what differs, and without secrets.
 * links: core/key_file.c core/memory.c
 * links: core/engine/revocations.c
 * links: core/conf/rows.c
 * links: relay/config/stun.c core/conf/json.c core/conf/diff.c
 * links: core/conf/yaml.c core/conf/conf.c core/conf/bind.c core/conf/error.c
 * links: core/conf/value.c core/addr.c core/log*.c relay/config/config.c relay/config/policy.c
 * links: relay/policy/index.c relay/policy/source.c relay/policy/time.c agent/config/config.c
 * links: core/parse/wire.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/config/config.h"
#include "core/conf/diff.h"
#include "core/conf/json.h"
#include "relay/config/config.h"

#define CERTIFICATE "-----BEGIN CERTIFICATE-----\\nMA==\\n-----END CERTIFICATE-----\\n"
#define KEY	    "-----BEGIN PRIVATE KEY-----\\nMA==\\n-----END PRIVATE KEY-----\\n"
#define IDENTITY                                                                                   \
	"'identity': {'ca': '" CERTIFICATE "', 'certificate': '" CERTIFICATE "', 'key': '" KEY     \
	"', 'tag_keys': '7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a'}"
#define RELAY                                                                                      \
	"{'name': 'front', 'listen': [{'address': '0.0.0.0:443'}, {'address': '[::]:443', "        \
	"'proxy_protocol': true}], 'drain': '1m', 'threads': 2, 'limits': {'memory': '64MiB', "    \
	"'buffer_bytes': 1048576, 'hello': '500ms'}, 'engine': 'epoll', 'control': {'socket': "    \
	"'/run/postern.sock', 'admin': [1000, 1001]}, " IDENTITY "}"

/* JSON in which ' stands for ". */
static json_t *json(const char *text)
{
	char *copy = strdup(text);
	json_error_t error;
	json_t *value;

	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	value = json_loads(copy, JSON_DECODE_ANY, &error);
	if (!value)
		fail_msg("%s: %s", error.text, copy);
	free(copy);
	return value;
}

static void assert_json(json_t *value, const char *expected)
{
	json_t *wanted = json(expected);
	char *shown = json_dumps(value, JSON_ENCODE_ANY);

	if (!json_equal(value, wanted))
		fail_msg("%s instead of %s", shown, expected);
	free(shown);
	json_decref(wanted);
	json_decref(value);
}

/* ---- trees ---------------------------------------------------------------------------------- */

static void assert_bind_errors(const char *document, const char *lines)
{
	struct conf_errors errors = {0};
	struct relay_config c;
	json_t *value = json(document);
	struct conf_node *root = conf_from_json(value, &errors);

	if (root && relay_config_bind(root, &c, &errors))
		fail_msg("accepted: %s", document);
	assert_string_equal(errors.text, lines);
	conf_errors_free(&errors);
	conf_node_free(root);
	json_decref(value);
}

static void test_json_binds(void **state)
{
	struct conf_errors errors = {0};
	struct relay_config c;
	json_t *value = json(RELAY);
	struct conf_node *root = conf_from_json(value, &errors);

	assert_non_null(root);
	if (!relay_config_bind(root, &c, &errors))
		fail_msg("%s", errors.text);
	assert_string_equal(c.name, "front");
	assert_int_equal(c.listen.count, 2);
	assert_true(((struct relay_listen *)c.listen.items)[1].proxy_protocol);
	assert_int_equal(c.threads, 2);
	assert_int_equal(c.drain_ms, 60000);
	assert_int_equal(c.limits.buffer_bytes, 1 << 20);
	assert_int_equal(c.limits.hello_ms, 500);
	assert_string_equal(c.control.socket, "/run/postern.sock");
	assert_int_equal(((uint64_t *)c.control.admin.items)[1], 1001);
	assert_string_equal(c.identity.key,
			    "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n");
	relay_config_free(&c);
	conf_node_free(root);
	json_decref(value);
}

static void test_errors_name_the_path(void **state)
{
	assert_bind_errors("[]", "configuration: is a list, but should be a map; write \"key: "
				 "value\" lines, indented\n");
	assert_bind_errors(
		"{'listen': [{'address': 443}, {'adress': '[::]:443', 'address': "
		"'[::]:443', 'proxy_protocol': 'true'}], 'name': null, 'drain': -5, "
		"'threads': 1.5, " IDENTITY "}",
		"listen[0].address: \"443\" is not an address with a port of 1 to 65535; "
		"write ADDRESS:PORT, such as 0.0.0.0:443 or \"[::1]:443\" in quotes\n"
		"listen[1].adress: is not a known key; did you mean \"address\"?\n"
		"listen[1].proxy_protocol: \"true\" is not true or false; write true or "
		"false, without quotes\n"
		"name: has no value; write it on one line, or remove it\n"
		"drain: \"-5\" is not a duration; write a number and a unit, such as "
		"500ms, 10s, 5m or 2h\n"
		"threads: \"1.5\" is not a whole number; write decimal digits only\n");
}

static void test_limits(void **state)
{
	struct conf_errors errors = {0};
	json_t *value = json_array(), *deep = json_array();
	struct conf_node *root;

	/* Nodes: a list and its items. */
	for (unsigned i = 0; i < CONF_NODES_MAX - 1; i++)
		json_array_append_new(value, json_integer(1));
	root = conf_from_json(value, &errors);
	assert_non_null(root);
	conf_node_free(root);
	json_array_append_new(value, json_integer(1));
	assert_null(conf_from_json(value, &errors));
	assert_string_equal(errors.text, "configuration: more than 200000 values; make the "
					 "document smaller\n");
	conf_errors_free(&errors);
	json_decref(value);

	/* Bytes, as JSON writes them: many calls may add to a document what no one line has room
	 * for. */
	char *text = malloc(CONF_FILE_MAX + 1);

	memset(text, 'x', CONF_FILE_MAX);
	text[CONF_FILE_MAX] = '\0';
	value = json_pack("[s]", text);
	root = conf_from_json(value, &errors);
	assert_non_null(root);
	conf_node_free(root);
	json_decref(value);
	text[7] = '\n';
	value = json_pack("[s]", text);
	assert_null(conf_from_json(value, &errors));
	assert_string_equal(errors.text,
			    "configuration: more than 4 MiB of text; make the document smaller\n");
	conf_errors_free(&errors);
	json_decref(value);
	free(text);

	for (unsigned i = 1; i < CONF_DEPTH_MAX; i++)
		deep = json_pack("[o]", deep);
	root = conf_from_json(deep, &errors);
	assert_non_null(root);
	conf_node_free(root);
	deep = json_pack("{s:o}", "a", deep);
	assert_null(conf_from_json(deep, &errors));
	assert_non_null(strstr(errors.text, "a[0][0]"));
	assert_non_null(strstr(errors.text, "is nested deeper than 16 levels"));
	conf_errors_free(&errors);
	json_decref(deep);

	value = json_object();
	for (unsigned i = 0; i <= CONF_KEYS_MAX; i++) {
		char key[16];
		snprintf(key, sizeof(key), "k%u", i);
		json_object_set_new(value, key, json_true());
	}
	assert_null(conf_from_json(value, &errors));
	assert_string_equal(errors.text, "configuration: has more than 256 keys; remove some\n");
	conf_errors_free(&errors);
	json_decref(value);

	value = json_pack("{s:o}", "name", json_stringn("a\0b", 3));
	assert_null(conf_from_json(value, &errors));
	assert_string_equal(errors.text, "name: holds a zero byte; remove the \\u0000\n");
	conf_errors_free(&errors);
	json_decref(value);
}

/* ---- documents ------------------------------------------------------------------------------ */

static json_t *document_of(const char *yaml, const struct conf_field *fields)
{
	struct conf_errors errors = {0};
	struct conf_node *root = conf_parse(yaml, strlen(yaml), &errors);
	json_t *document;

	if (!root)
		fail_msg("%s", errors.text);
	document = conf_document(fields, root);
	conf_node_free(root);
	assert_non_null(document);
	return document;
}

static void test_document_is_typed_by_the_schema(void **state)
{
	assert_json(document_of("name: 42\nthreads: 4\ndrain: 30s\nengine: epoll\n"
				"listen: [{address: '[::]:443', proxy_protocol: yes}]\n"
				"limits: {memory: 67108864, hello: 0, agents: 7, connections: "
				"99999999999999999999}\n"
				"control: {admin: [0, 1]}\nmistyped: {deep: [1, true]}\n",
				relay_config_fields()),
		    "{'name': '42', 'threads': 4, 'drain': '30s', 'engine': 'epoll', 'listen': "
		    "[{'address': '[::]:443', 'proxy_protocol': true}], 'limits': {'memory': "
		    "67108864, 'hello': 0, 'agents': 7, 'connections': '99999999999999999999'}, "
		    "'control': {'admin': [0, 1]}, 'mistyped': {'deep': ['1', 'true']}}");
}

/* From JSON to a tree and back, and over YAML: nothing changes. */
static void test_round_trips(void **state)
{
	const struct conf_field *fields = relay_config_fields();
	struct conf_errors errors = {0};
	json_t *value = json(RELAY), *back;
	struct conf_node *root = conf_from_json(value, &errors);
	char *yaml;

	back = conf_document(fields, root);
	assert_true(json_equal(value, back));
	json_decref(back);
	yaml = conf_yaml(value);
	assert_non_null(strstr(yaml, "  key: |\n    -----BEGIN PRIVATE KEY-----\n"));
	assert_non_null(strstr(yaml, "- address: 0.0.0.0:443\n"));
	assert_non_null(strstr(yaml, "proxy_protocol: true\n"));
	back = document_of(yaml, fields);
	assert_true(json_equal(value, back));
	json_decref(back);
	free(yaml);
	conf_node_free(root);
	json_decref(value);
}

static void test_yaml_keeps_every_text(void **state)
{
	static const char *const texts[] = {
		"",
		"null",
		"~",
		"true",
		"No",
		"on",
		"1",
		"-1",
		"+.5",
		"0x1f",
		"1:30",
		"1e3",
		"2026-11-27",
		"[::1]:1",
		"{a: b}",
		"- a",
		"# a",
		"a # b",
		"a: b",
		"a:",
		" a",
		"a ",
		"\ta",
		"a\tb",
		"'",
		"\"",
		"\\n",
		"&a",
		"*a",
		"!a",
		"%a",
		"@a",
		"`a",
		"a\nb",
		"a\n",
		"a\n\n",
		"\na",
		" a\nb",
		"a\n b\n\n",
		"a \nb",
		"a\r\nb",
		"\xc3\xa4",
		"\xe2\x80\xa8",
		"\x7f",
		"\x1b[31m",
		"---",
		"...",
		"---\na",
		"\xef\xbb\xbf"
		"a",
		"<<",
		"?",
		"-",
		"=",
		"a\xc2\x85"
		"b",
		"0.0.0.0:443",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *value = json_pack("{s:s, s:[s, {s:s}]}", "a", texts[i], "b", texts[i], "c",
					  texts[i]);
		char *yaml = conf_yaml(value);
		assert_non_null(yaml);
		json_t *back = document_of(yaml, NULL);
		if (!json_equal(value, back))
			fail_msg("text %zu became %s", i, yaml);
		json_decref(back);
		json_decref(value);
		free(yaml);
	}
	assert_null(conf_yaml(NULL));
	assert_json(document_of("a: []\nb: {}\n", NULL), "{'a': [], 'b': {}}");
}

static void test_yaml_of_keys_and_empty_things(void **state)
{
	json_t *value = json("{'a b': {}, 'true': [], '- x': [[], {}, [1]], 'n': null, 'r': 1.5}");
	char *yaml = conf_yaml(value);

	assert_string_equal(yaml,
			    "a b: {}\ntrue: []\n'- x':\n- []\n- {}\n- - 1\nn: null\nr: 1.5\n");
	free(yaml);
	json_decref(value);
}

/* ---- differences ---------------------------------------------------------------------------- */

static void assert_diff(const char *from, const char *to, const char *expected)
{
	json_t *one = json(from), *other = json(to);

	assert_json(conf_diff(relay_config_fields(), one, other), expected);
	json_decref(one);
	json_decref(other);
}

static void test_diff_of_maps(void **state)
{
	assert_diff("{'name': 'a', 'drain': '1m'}", "{'drain': '1m', 'name': 'a'}", "[]");
	assert_diff("{'name': 'a', 'drain': '1m', 'limits': {'agents': 1, 'legs': 2}}",
		    "{'name': 'b', 'threads': 2, 'limits': {'agents': 1, 'legs': 3}}",
		    "[{'path': 'name', 'from': 'a', 'to': 'b'}, {'path': 'drain', 'from': '1m', "
		    "'to': null}, {'path': 'limits.legs', 'from': 2, 'to': 3}, {'path': "
		    "'threads', 'from': null, 'to': 2}]");
	assert_diff("{'limits': {'agents': 1}}", "{}",
		    "[{'path': 'limits', 'from': {'agents': 1}, 'to': null}]");
	assert_diff("{'limits': {}}", "{'limits': []}",
		    "[{'path': 'limits', 'from': {}, 'to': []}]");
}

static void test_diff_of_lists(void **state)
{
	/* One listener goes, one changes, one comes: the others are as they were. */
	assert_diff("{'listen': [{'address': 'a:1'}, {'address': 'b:1'}, {'address': 'c:1'}]}",
		    "{'listen': [{'address': 'b:1'}, {'address': 'c:1', 'proxy_protocol': true}, "
		    "{'address': 'd:1'}]}",
		    "[{'path': 'listen[a:1]', 'from': {'address': 'a:1'}, 'to': null}, {'path': "
		    "'listen[c:1].proxy_protocol', 'from': null, 'to': true}, {'path': "
		    "'listen[d:1]', 'from': null, 'to': {'address': 'd:1'}}]");
	assert_diff("{'public': [{'name': 'x.org', 'to': 'a/b'}, {'name': 'y.org', 'to': 'a/b'}]}",
		    "{'public': [{'name': 'x.org', 'to': 'a/c'}, {'name': 'y.org', 'to': 'a/b'}]}",
		    "[{'path': 'public[x.org].to', 'from': 'a/b', 'to': 'a/c'}]");
	/* Moved only. */
	assert_diff("{'listen': [{'address': 'a:1'}, {'address': 'b:1'}]}",
		    "{'listen': [{'address': 'b:1'}, {'address': 'a:1'}]}",
		    "[{'path': 'listen', 'from': ['a:1', 'b:1'], 'to': ['b:1', 'a:1']}]");
	/* Without names: by what they say, then by their place. */
	assert_diff("{'control': {'admin': [1, 2, 3, 4]}}", "{'control': {'admin': [2, 3, 4]}}",
		    "[{'path': 'control.admin[0]', 'from': 1, 'to': null}]");
	assert_diff("{'control': {'admin': [1, 2, 3]}}", "{'control': {'admin': [1, 5, 3]}}",
		    "[{'path': 'control.admin[1]', 'from': 2, 'to': 5}]");
	assert_diff("{'control': {'admin': [7, 8, 7]}}", "{'control': {'admin': [8, 7, 7]}}",
		    "[{'path': 'control.admin', 'from': [0, 1], 'to': [1, 0]}]");
	assert_diff("{'x': [{'a': 1, 'b': 1}, {'a': 2}]}", "{'x': [{'a': 1, 'b': 2}, {'a': 2}]}",
		    "[{'path': 'x[0].b', 'from': 1, 'to': 2}]");
}

static void test_diff_hides_secrets(void **state)
{
	assert_diff("{'identity': {'ca': 'C', 'key': 'old'}}",
		    "{'identity': {'ca': 'C', 'key': 'new'}}",
		    "[{'path': 'identity.key', 'from': '(hidden)', 'to': '(hidden)'}]");
	assert_diff("{}", "{'identity': {'ca': 'C', 'key': {'odd': 'new'}}}",
		    "[{'path': 'identity', 'from': null, 'to': {'ca': 'C', 'key': '(hidden)'}}]");
	assert_diff("{'identity': {'key': {'odd': 'old'}}}",
		    "{'identity': {'key': {'odd': 'new'}}}",
		    "[{'path': 'identity.key', 'from': '(hidden)', 'to': '(hidden)'}]");
}

/* Random small documents: a difference is told exactly when there is one. */
static json_t *random_value(unsigned *seed, unsigned depth)
{
	static const char *const keys[] = {"listen", "address", "public", "name", "to", "x"};
	unsigned r = (unsigned)rand_r(seed) % (depth < 3 ? 6 : 3);
	json_t *value;

	if (r < 2)
		return json_integer(rand_r(seed) % 2);
	if (r < 3)
		return json_string(rand_r(seed) % 2 ? "a" : "b");
	value = r < 4 ? json_array() : json_object();
	for (unsigned i = (unsigned)rand_r(seed) % 4; i > 0; i--) {
		json_t *item = random_value(seed, depth + 1);
		if (r < 4)
			json_array_append_new(value, item);
		else
			json_object_set_new(value, keys[rand_r(seed) % 6], item);
	}
	return value;
}

static void test_diff_is_empty_exactly_when_equal(void **state)
{
	for (unsigned i = 0; i < 20000; i++) {
		unsigned seed = i;
		json_t *one = random_value(&seed, 0), *other = random_value(&seed, 0);
		json_t *diff = conf_diff(relay_config_fields(), one, other);
		if (!diff || (json_array_size(diff) == 0) != json_equal(one, other))
			fail_msg("seed %u", i);
		json_decref(diff);
		json_decref(one);
		json_decref(other);
	}
}

/* ---- secrets -------------------------------------------------------------------------------- */

static void test_hide_and_reveal(void **state)
{
	json_t *whole = json("{'name': 'a', 'identity': {'ca': 'C', 'certificate': 'D', 'key': "
			     "'SECRET'}, 'kye': 1}");
	json_t *hidden = conf_hide(relay_config_fields(), whole), *back;

	assert_json(json_incref(hidden),
		    "{'name': 'a', 'identity': {'ca': 'C', 'certificate': 'D', 'key': '(hidden)'}, "
		    "'kye': 1}");
	back = conf_reveal(relay_config_fields(), hidden, whole);
	assert_true(json_equal(back, whole));
	json_decref(back);

	/* A new secret counts; a mark with nothing behind it stays; elsewhere it is just a text. */
	json_object_set_new(json_object_get(hidden, "identity"), "key", json_string("NEW"));
	json_object_set_new(hidden, "name", json_string(CONF_HIDDEN));
	assert_json(conf_reveal(relay_config_fields(), hidden, whole),
		    "{'name': '(hidden)', 'identity': {'ca': 'C', 'certificate': 'D', 'key': "
		    "'NEW'}, 'kye': 1}");
	json_decref(hidden);
	hidden = conf_hide(relay_config_fields(), whole);
	back = json_object();
	assert_json(conf_reveal(relay_config_fields(), hidden, back),
		    "{'name': 'a', 'identity': {'ca': 'C', 'certificate': 'D', 'key': '(hidden)'}, "
		    "'kye': 1}");
	json_decref(back);
	json_decref(hidden);
	json_decref(whole);

	whole = json("{'proxy': 'http://me:password@proxy:3128', 'identity': {'key': 'K'}}");
	assert_json(conf_hide(agent_config_fields(), whole),
		    "{'proxy': '(hidden)', 'identity': {'key': '(hidden)'}}");
	json_decref(whole);
}

/* Secrets in lists follow the items' names. */
static void test_hide_and_reveal_in_lists(void **state)
{
	static const struct conf_field item_fields[] = {
		{.key = "name", .type = CONF_STRING, .required = true},
		{.key = "token", .type = CONF_STRING, .secret = true},
		{.key = NULL},
	};
	static const struct conf_field fields[] = {
		{.key = "doors", .type = CONF_LIST_OF, .fields = item_fields},
		{.key = NULL},
	};
	json_t *whole = json("{'doors': [{'name': 'a', 'token': 'A'}, {'name': 'b', 'token': 'B'}, "
			     "'odd']}");
	json_t *edited = json("{'doors': [{'name': 'b', 'token': '(hidden)'}, {'name': 'c', "
			      "'token': '(hidden)'}]}");

	assert_json(conf_hide(fields, whole),
		    "{'doors': [{'name': 'a', 'token': '(hidden)'}, {'name': 'b', 'token': "
		    "'(hidden)'}, 'odd']}");
	assert_json(conf_reveal(fields, edited, whole),
		    "{'doors': [{'name': 'b', 'token': 'B'}, {'name': 'c', 'token': '(hidden)'}]}");
	json_decref(whole);
	json_decref(edited);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_binds),
		cmocka_unit_test(test_errors_name_the_path),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_document_is_typed_by_the_schema),
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_yaml_keeps_every_text),
		cmocka_unit_test(test_yaml_of_keys_and_empty_things),
		cmocka_unit_test(test_diff_of_maps),
		cmocka_unit_test(test_diff_of_lists),
		cmocka_unit_test(test_diff_hides_secrets),
		cmocka_unit_test(test_diff_is_empty_exactly_when_equal),
		cmocka_unit_test(test_hide_and_reveal),
		cmocka_unit_test(test_hide_and_reveal_in_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
