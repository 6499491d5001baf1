/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_merge: what a file says anew and what consoles changed, brought together.
 * links: core/key_file.c core/memory.c
 * links: core/conf/merge.c core/conf/diff.c core/conf/conf.c core/conf/bind.c core/conf/error.c
 * links: core/conf/value.c core/addr.c core/log*.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/conf/merge.h"

/* As in the relay's schema. */
static const struct conf_field identity_fields[] = {
	{.key = "key", .type = CONF_TEXT, .secret = true},
	{.key = NULL},
};
static const struct conf_field limits_fields[] = {
	{.key = "sessions", .type = CONF_UINT},
	{.key = "legs", .type = CONF_UINT},
	{.key = NULL},
};
static const struct conf_field listen_fields[] = {
	{.key = "address", .type = CONF_ADDRESS, .required = true},
	{.key = "proxy_protocol", .type = CONF_BOOL},
	{.key = NULL},
};
static const struct conf_field rule_fields[] = {
	{.key = "from", .type = CONF_LIST_OF, .item_type = CONF_NAME, .required = true},
	{.key = "to", .type = CONF_LIST_OF, .item_type = CONF_STRING, .required = true},
	{.key = "rate", .type = CONF_RATE},
	{.key = NULL},
};
static const struct conf_field revoked_fields[] = {
	{.key = "agent", .type = CONF_NAME, .required = true},
	{.key = "note", .type = CONF_STRING},
	{.key = NULL},
};
static const struct conf_field control_fields[] = {
	{.key = "socket", .type = CONF_STRING, .owner = CONF_OF_FILE},
	{.key = "read", .type = CONF_LIST_OF, .item_type = CONF_UINT, .owner = CONF_OF_FILE},
	{.key = "level", .type = CONF_UINT},
	{.key = NULL},
};
static const struct conf_field fields[] = {
	{.key = "user", .type = CONF_STRING, .owner = CONF_OF_FILE},
	{.key = "control", .type = CONF_STRUCT, .fields = control_fields},
	{.key = "log_level", .type = CONF_STRING},
	{.key = "identity", .type = CONF_STRUCT, .fields = identity_fields},
	{.key = "limits", .type = CONF_STRUCT, .fields = limits_fields},
	{.key = "admin", .type = CONF_LIST_OF, .item_type = CONF_NAME},
	{.key = "listen", .type = CONF_LIST_OF, .fields = listen_fields},
	{.key = "grants", .type = CONF_LIST_OF, .fields = rule_fields},
	{.key = "revoked", .type = CONF_LIST_OF, .fields = revoked_fields},
	{.key = NULL},
};

/* Single quotes for double ones. */
static json_t *document(const char *text)
{
	char *copy = strdup(text);
	json_t *value;

	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	value = json_loads(copy, JSON_DECODE_ANY, NULL);
	if (!value)
		fail_msg("%s is no JSON", text);
	free(copy);
	return value;
}

static void assert_same(const json_t *got, const char *text)
{
	json_t *want = document(text);

	if (!json_equal(got, want)) {
		char *shown = json_dumps(got, JSON_COMPACT | JSON_ENCODE_ANY);
		fail_msg("%s, and not %s", shown ? shown : "nothing", text);
	}
	json_decref(want);
}

/* overruled: the paths where ours loses, as a list. */
static void merges(const char *base, const char *ours, const char *theirs, const char *result,
		   const char *overruled)
{
	json_t *b = document(base), *o = document(ours), *t = document(theirs);
	json_t *lost = json_array();
	json_t *merged = conf_merge(fields, b, o, t, lost);

	assert_non_null(merged);
	assert_same(merged, result);
	assert_same(lost, overruled);
	/* The three stay as they were. */
	assert_same(b, base);
	assert_same(o, ours);
	assert_same(t, theirs);
	json_decref(merged);
	json_decref(lost);
	json_decref(b);
	json_decref(o);
	json_decref(t);
}

static void test_nothing_changed(void **state)
{
	merges("{'log_level': 'info'}", "{'log_level': 'info'}", "{'log_level': 'info'}",
	       "{'log_level': 'info'}", "[]");
	merges("{}", "{}", "{}", "{}", "[]");
}

static void test_one_side_only(void **state)
{
	merges("{'log_level': 'info'}", "{'log_level': 'info'}", "{'log_level': 'debug'}",
	       "{'log_level': 'debug'}", "[]");
	merges("{'log_level': 'info'}", "{'log_level': 'debug'}", "{'log_level': 'info'}",
	       "{'log_level': 'debug'}", "[]");
	merges("{'log_level': 'info'}", "{'log_level': 'info'}", "{}", "{}", "[]");
	merges("{'log_level': 'info'}", "{}", "{'log_level': 'info'}", "{}", "[]");
	merges("{}", "{'log_level': 'info'}", "{'limits': {'legs': 1}}",
	       "{'log_level': 'info', 'limits': {'legs': 1}}", "[]");
}

static void test_keys_of_a_map(void **state)
{
	merges("{'limits': {'sessions': 1, 'legs': 1}}", "{'limits': {'sessions': 2, 'legs': 1}}",
	       "{'limits': {'sessions': 1, 'legs': 3}}", "{'limits': {'sessions': 2, 'legs': 3}}",
	       "[]");
	/* The file drops the map; what a console put into it stays. */
	merges("{'limits': {'sessions': 1}}", "{'limits': {'sessions': 1, 'legs': 5}}", "{}",
	       "{'limits': {'legs': 5}}", "[]");
	merges("{}", "{'limits': {'legs': 5}}", "{'limits': {'sessions': 1}}",
	       "{'limits': {'legs': 5, 'sessions': 1}}", "[]");
}

static void test_file_wins(void **state)
{
	merges("{'limits': {'legs': 1}}", "{'limits': {'legs': 2}}", "{'limits': {'legs': 3}}",
	       "{'limits': {'legs': 3}}", "['limits.legs']");
	merges("{'log_level': 'info'}", "{'log_level': 'debug'}", "{}", "{}", "['log_level']");
	merges("{'log_level': 'info'}", "{}", "{'log_level': 'debug'}", "{'log_level': 'debug'}",
	       "['log_level']");
	merges("{}", "{'log_level': 'error'}", "{'log_level': 'debug'}", "{'log_level': 'debug'}",
	       "['log_level']");
	/* Both the same way: neither loses. */
	merges("{}", "{'log_level': 'debug'}", "{'log_level': 'debug'}", "{'log_level': 'debug'}",
	       "[]");
	merges("{'identity': {'key': 'A'}}", "{'identity': {'key': 'B'}}",
	       "{'identity': {'key': 'C'}}", "{'identity': {'key': 'C'}}", "['identity.key']");
}

static void test_revocations_stay(void **state)
{
	merges("{}", "{'revoked': [{'agent': 'mole'}]}", "{'log_level': 'debug'}",
	       "{'log_level': 'debug', 'revoked': [{'agent': 'mole'}]}", "[]");
	merges("{'revoked': [{'agent': 'a'}]}", "{'revoked': [{'agent': 'a'}, {'agent': 'mole'}]}",
	       "{'revoked': [{'agent': 'a'}, {'agent': 'b'}]}",
	       "{'revoked': [{'agent': 'a'}, {'agent': 'mole'}, {'agent': 'b'}]}", "[]");
	/* The file takes back what it said, and nothing else. */
	merges("{'revoked': [{'agent': 'a'}]}", "{'revoked': [{'agent': 'a'}, {'agent': 'mole'}]}",
	       "{}", "{'revoked': [{'agent': 'mole'}]}", "[]");
	merges("{'revoked': [{'agent': 'a'}]}", "{'revoked': [{'agent': 'a', 'note': 'lost'}]}",
	       "{}", "{}", "['revoked[a]']");
	/* A console took it back, and the file goes on saying it. */
	merges("{'revoked': [{'agent': 'a'}]}", "{'revoked': []}",
	       "{'revoked': [{'agent': 'a'}, {'agent': 'b'}]}", "{'revoked': [{'agent': 'b'}]}",
	       "[]");
	/* Both revoke the same one. */
	merges("{}", "{'revoked': [{'agent': 'a', 'note': 'x'}]}",
	       "{'revoked': [{'agent': 'a', 'note': 'y'}]}",
	       "{'revoked': [{'agent': 'a', 'note': 'y'}]}", "['revoked[a].note']");
}

#define RULE(from, to)		  "{'from': ['" from "'], 'to': ['" to "']}"
#define RULE_RATE(from, to, rate) "{'from': ['" from "'], 'to': ['" to "'], 'rate': '" rate "'}"

static void test_grants_stay(void **state)
{
	merges("{}", "{'grants': [" RULE("a", "x/y") "]}", "{'limits': {'legs': 1}}",
	       "{'limits': {'legs': 1}, 'grants': [" RULE("a", "x/y") "]}", "[]");
	merges("{'grants': [" RULE("a", "x/y") "]}",
	       "{'grants': [" RULE("a", "x/y") ", " RULE("b", "x/y") "]}",
	       "{'grants': [" RULE("c", "x/y") "]}",
	       "{'grants': [" RULE("b", "x/y") ", " RULE("c", "x/y") "]}", "[]");
	/* Taken back by a console: it stays so while the file says it as before. */
	merges("{'grants': [" RULE("a", "x/y") "]}", "{'grants': []}",
	       "{'grants': [" RULE("a", "x/y") ", " RULE("b", "x/y") "]}",
	       "{'grants': [" RULE("b", "x/y") "]}", "[]");
	/* The same rule, changed by both. */
	merges("{'grants': [" RULE("a", "x/y") "]}",
	       "{'grants': [" RULE_RATE("a", "x/y", "1MB/s") "]}",
	       "{'grants': [" RULE_RATE("a", "x/y", "2MB/s") "]}",
	       "{'grants': [" RULE_RATE("a", "x/y", "2MB/s") "]}", "['grants[0].rate']");
	merges("{'grants': [" RULE("a", "x/y") "]}", "{'grants': []}",
	       "{'grants': [" RULE_RATE("a", "x/y", "2MB/s") "]}",
	       "{'grants': [" RULE_RATE("a", "x/y", "2MB/s") "]}", "['grants[0]']");
}

static void test_same_rule_twice(void **state)
{
	merges("{'grants': [" RULE("a", "x/y") ", " RULE_RATE("a", "x/y", "1MB/s") "]}",
	       "{'grants': [" RULE_RATE("a", "x/y", "1MB/s") "]}",
	       "{'grants': [" RULE("a", "x/y") ", " RULE_RATE("a", "x/y",
							      "1MB/s") ", " RULE("b", "x/y") "]}",
	       "{'grants': [" RULE_RATE("a", "x/y", "1MB/s") ", " RULE("b", "x/y") "]}", "[]");
}

/* Both stay where the file and a console each add one. */
static void test_same_rule_stays_twice(void **state)
{
	merges("{'grants': [" RULE("a", "x/y") ", " RULE_RATE("a", "x/y", "1MB/s") "]}",
	       "{'grants': [" RULE("a", "x/y") ", " RULE_RATE("a", "x/y",
							      "1MB/s") ", " RULE("c", "x/y") "]}",
	       "{'grants': [" RULE("a", "x/y") ", " RULE_RATE("a", "x/y",
							      "1MB/s") ", " RULE("b", "x/y") "]}",
	       "{'grants': [" RULE("a", "x/y") ", " RULE_RATE("a", "x/y", "1MB/s") ", " RULE(
		       "c", "x/y") ", " RULE("b", "x/y") "]}",
	       "[]");
}

static void test_items_by_name(void **state)
{
	merges("{'listen': [{'address': '0.0.0.0:443'}]}",
	       "{'listen': [{'address': '0.0.0.0:443'}, {'address': '0.0.0.0:8443'}]}",
	       "{'listen': [{'address': '0.0.0.0:443', 'proxy_protocol': true}]}",
	       "{'listen': [{'address': '0.0.0.0:443', 'proxy_protocol': true}, "
	       "{'address': '0.0.0.0:8443'}]}",
	       "[]");
}

static void test_plain_values(void **state)
{
	merges("{'admin': ['a', 'b']}", "{'admin': ['new', 'a', 'b']}", "{'admin': ['b', 'c']}",
	       "{'admin': ['new', 'b', 'c']}", "[]");
	merges("{'admin': ['a']}", "{'admin': 'a'}", "{'admin': ['b']}", "{'admin': ['b']}",
	       "['admin']");
}

/* An empty list is not the same as none: with it, nothing is allowed. */
static void test_empty_lists(void **state)
{
	merges("{}", "{}", "{'grants': []}", "{'grants': []}", "[]");
	merges("{'grants': []}", "{'grants': []}", "{}", "{}", "[]");
	merges("{}", "{'grants': []}", "{'log_level': 'info'}",
	       "{'grants': [], 'log_level': 'info'}", "[]");
	merges("{'grants': [" RULE("a", "x/y") "]}", "{'grants': [" RULE("b", "x/y") "]}",
	       "{'grants': []}", "{'grants': [" RULE("b", "x/y") "]}", "[]");
}

/* Consoles do not change it, so that a change is another's work, and is told. */
static void test_the_files_own(void **state)
{
	merges("{'user': 'a'}", "{'user': 'b'}", "{'user': 'a'}", "{'user': 'a'}", "['user']");
	merges("{'user': 'a'}", "{}", "{'user': 'a'}", "{'user': 'a'}", "['user']");
	merges("{}", "{'user': 'b'}", "{}", "{}", "['user']");
	merges("{'user': 'a'}", "{'user': 'a'}", "{'user': 'c'}", "{'user': 'c'}", "[]");
	merges("{'user': 'a'}", "{'user': 'a'}", "{}", "{}", "[]");
	merges("{}", "{'control': {'socket': '/b', 'level': 1}}", "{}", "{'control': {'level': 1}}",
	       "['control.socket']");
	merges("{'control': {'socket': '/a'}}", "{}", "{'control': {'socket': '/a'}}",
	       "{'control': {'socket': '/a'}}", "['control.socket']");
	merges("{'control': {'read': [1]}}", "{'control': {'read': [1, 2]}}",
	       "{'control': {'read': [1]}}", "{'control': {'read': [1]}}", "['control.read']");
}

/* Ten thousand rules, of which each side changes some. */
static void test_many(void **state)
{
	json_t *base = json_pack("{s:[]}", "grants"), *list = json_object_get(base, "grants");
	json_t *lost = json_array(), *ours, *theirs, *merged;

	for (int i = 0; i < 10000; i++)
		json_array_append_new(list, json_pack("{s:[o], s:[s]}", "from",
						      json_sprintf("a%d", i), "to", "x/y"));
	ours = json_deep_copy(base);
	theirs = json_deep_copy(base);
	json_array_remove(json_object_get(ours, "grants"), 17);
	json_array_remove(json_object_get(theirs, "grants"), 4711);
	merged = conf_merge(fields, base, ours, theirs, lost);
	assert_int_equal(json_array_size(json_object_get(merged, "grants")), 9998);
	assert_int_equal(json_array_size(lost), 0);
	json_decref(merged);
	json_decref(lost);
	json_decref(base);
	json_decref(ours);
	json_decref(theirs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_changed),
		cmocka_unit_test(test_one_side_only),
		cmocka_unit_test(test_keys_of_a_map),
		cmocka_unit_test(test_file_wins),
		cmocka_unit_test(test_revocations_stay),
		cmocka_unit_test(test_grants_stay),
		cmocka_unit_test(test_same_rule_twice),
		cmocka_unit_test(test_same_rule_stays_twice),
		cmocka_unit_test(test_items_by_name),
		cmocka_unit_test(test_plain_values),
		cmocka_unit_test(test_empty_lists),
		cmocka_unit_test(test_the_files_own),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
