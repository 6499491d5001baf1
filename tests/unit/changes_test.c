/* SPDX-License-Identifier: Apache-2.0 */
/*
 * changes: revisions, trials, and what the history keeps.
 * links: core/key_file.c core/memory.c
 * links: core/engine/changes.c core/conf/conf.c core/conf/bind.c core/conf/diff.c
 * links: core/conf/error.c core/conf/value.c core/addr.c core/log*.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/engine/changes.h"

#define WALL 1795802400 /* 2026-11-27T18:00:00Z */

static const struct conf_field identity_fields[] = {
	{.key = "key", .type = CONF_TEXT, .secret = true},
	{.key = NULL},
};
static const struct conf_field fields[] = {
	{.key = "name", .type = CONF_NAME},
	{.key = "identity", .type = CONF_STRUCT, .fields = identity_fields},
	{.key = NULL},
};

static json_t *named(const char *name)
{
	return json_pack("{s:s, s:{s:s}}", "name", name, "identity", "key", "SECRET");
}

static struct changes *start(void)
{
	json_t *document = named("one");
	struct changes *ch = changes_new(fields, document, WALL);

	assert_non_null(ch);
	/* A copy of its own. */
	json_object_set_new(document, "name", json_string("changed"));
	json_decref(document);
	return ch;
}

static const char *name_in_force(const struct changes *ch)
{
	return json_string_value(json_object_get(changes_document(ch), "name"));
}

static enum changes_verdict may(const struct changes *ch, uint64_t from, const char *name)
{
	json_t *document = named(name);
	enum changes_verdict v = changes_may(ch, from, document);

	json_decref(document);
	return v;
}

static bool commit_as(struct changes *ch, const json_t *document, const char *who, const char *note,
		      uint64_t confirm_ms, uint64_t now_ms, time_t wall)
{
	return changes_commit(ch, document, changes_prepare(ch, document, who, note, wall),
			      confirm_ms, now_ms);
}

static bool commit(struct changes *ch, const char *name, uint64_t confirm_ms, uint64_t now_ms)
{
	json_t *document = named(name);
	bool ok = commit_as(ch, document, "uid:0", "a note", confirm_ms, now_ms, WALL + 60);

	json_decref(document);
	return ok;
}

/* Key of the history's entry number i, the newest being 0. */
static json_t *history_of(const struct changes *ch, size_t i, const char *key)
{
	json_t *list = changes_history(ch), *value;

	assert_true(i < json_array_size(list));
	value = json_incref(json_object_get(json_array_get(list, i), key));
	json_decref(list);
	return value;
}

static void assert_history(const struct changes *ch, size_t i, const char *key, const char *text)
{
	json_t *value = history_of(ch, i, key);

	if (text)
		assert_string_equal(json_string_value(value), text);
	else
		assert_null(value);
	json_decref(value);
}

static void test_begins_settled(void **state)
{
	struct changes *ch = start();

	assert_int_equal(changes_revision(ch), 1);
	assert_string_equal(name_in_force(ch), "one");
	assert_true(changes_due(ch) == UINT64_MAX);
	assert_null(changes_rollback(ch));
	assert_false(changes_confirm(ch, "uid:0", WALL));
	assert_history(ch, 0, "state", "in force");
	assert_history(ch, 0, "at", "2026-11-27T18:00:00Z");
	assert_history(ch, 0, "who", "start");
	changes_free(ch);
	changes_free(NULL);
}

static void test_revisions(void **state)
{
	struct changes *ch = start();

	assert_int_equal(may(ch, 1, "two"), CHANGES_OK);
	assert_int_equal(may(ch, 0, "two"), CHANGES_OK);
	assert_int_equal(may(ch, 1, "one"), CHANGES_SAME);
	assert_true(commit(ch, "two", 0, 1000));
	assert_int_equal(changes_revision(ch), 2);
	assert_string_equal(name_in_force(ch), "two");
	assert_true(changes_due(ch) == UINT64_MAX);
	/* A change made from revision 1 does not know of this one; even to the same. */
	assert_int_equal(may(ch, 1, "three"), CHANGES_STALE);
	assert_int_equal(may(ch, 1, "two"), CHANGES_STALE);
	assert_int_equal(may(ch, 3, "three"), CHANGES_STALE);
	assert_int_equal(may(ch, 2, "three"), CHANGES_OK);
	assert_int_equal(may(ch, 0, "three"), CHANGES_OK);
	assert_history(ch, 0, "state", "in force");
	assert_history(ch, 0, "who", "uid:0");
	assert_history(ch, 0, "note", "a note");
	assert_history(ch, 0, "at", "2026-11-27T18:01:00Z");
	assert_history(ch, 1, "state", "replaced");
	changes_free(ch);
}

static void test_trial_confirmed(void **state)
{
	struct changes *ch = start();

	assert_true(commit(ch, "two", 60000, 1000));
	assert_int_equal(changes_revision(ch), 2);
	assert_string_equal(name_in_force(ch), "two");
	assert_true(changes_due(ch) == 61000);
	assert_history(ch, 0, "state", "waiting");
	assert_int_equal(may(ch, 2, "three"), CHANGES_BUSY);
	assert_int_equal(may(ch, 0, "two"), CHANGES_BUSY);
	assert_false(commit(ch, "three", 0, 2000));
	assert_false(commit(ch, "one", 5000, 2000));
	assert_int_equal(changes_revision(ch), 2);

	assert_true(changes_confirm(ch, "console:me", WALL + 90));
	assert_true(changes_due(ch) == UINT64_MAX);
	assert_null(changes_rollback(ch));
	assert_int_equal(changes_revision(ch), 2);
	assert_history(ch, 0, "state", "in force");
	assert_history(ch, 0, "confirmed_by", "console:me");
	assert_history(ch, 0, "confirmed_at", "2026-11-27T18:01:30Z");
	assert_history(ch, 1, "state", "replaced");
	assert_false(changes_confirm(ch, "console:me", WALL));
	assert_int_equal(may(ch, 2, "three"), CHANGES_OK);
	changes_free(ch);
}

static void test_trial_rolled_back(void **state)
{
	struct changes *ch = start();

	assert_true(commit(ch, "two", 60000, 1000));
	assert_string_equal(json_string_value(json_object_get(changes_rollback(ch), "name")),
			    "one");
	assert_true(
		commit_as(ch, changes_rollback(ch), "time", "not confirmed", 0, 61000, WALL + 120));
	/* A revision of its own, so that a caller that saw the trial is stale. */
	assert_int_equal(changes_revision(ch), 3);
	assert_string_equal(name_in_force(ch), "one");
	assert_true(changes_due(ch) == UINT64_MAX);
	assert_null(changes_rollback(ch));
	assert_int_equal(may(ch, 2, "two"), CHANGES_STALE);
	assert_int_equal(may(ch, 3, "two"), CHANGES_OK);
	assert_history(ch, 0, "state", "in force");
	assert_history(ch, 0, "who", "time");
	assert_history(ch, 0, "confirmed_by", NULL);
	assert_history(ch, 1, "state", "rolled back");
	assert_history(ch, 2, "state", "replaced");
	changes_free(ch);
}

static void test_a_trial_that_never_ends_is_none(void **state)
{
	struct changes *ch = start();

	assert_true(commit(ch, "two", UINT64_MAX, 1000));
	assert_true(changes_due(ch) == UINT64_MAX - 1);
	changes_free(ch);
}

static void test_what_was_handed_out_stays(void **state)
{
	struct changes *ch = start();
	json_t *list;

	assert_true(commit(ch, "two", 60000, 1000));
	list = changes_history(ch);
	assert_true(changes_confirm(ch, "uid:0", WALL));
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "state")),
			    "waiting");
	json_decref(list);
	changes_free(ch);
}

static void test_history_is_bounded(void **state)
{
	struct changes *ch = start();
	char name[32];
	json_t *list, *first;

	for (unsigned i = 2; i <= 3 * CHANGES_HISTORY_MAX; i++) {
		snprintf(name, sizeof(name), "name-%u", i);
		assert_true(commit(ch, name, 0, i));
		list = changes_history(ch);
		assert_int_equal(json_array_size(list),
				 i < CHANGES_HISTORY_MAX ? i : CHANGES_HISTORY_MAX);
		for (size_t k = 0; k < json_array_size(list); k++) {
			first = json_array_get(list, k);
			assert_int_equal(json_integer_value(json_object_get(first, "revision")),
					 i - k);
		}
		json_decref(list);
	}
	changes_free(ch);
}

/* The path, from or to of entry i in the newest change's diff. */
static json_t *newest_diff(const struct changes *ch, size_t i, const char *key)
{
	json_t *diff = history_of(ch, 0, "diff"), *value;

	value = json_incref(json_object_get(json_array_get(diff, i), key));
	json_decref(diff);
	return value;
}

static void test_history_keeps_no_secrets_and_little_else(void **state)
{
	struct changes *ch = start();
	json_t *document = json_deep_copy(changes_document(ch)), *value, *large = json_object();
	char *page = malloc(5001), *text;

	assert_non_null(page);
	memset(page, 'x', 5000);
	page[5000] = '\0';
	json_object_set_new(json_object_get(document, "identity"), "key", json_string("NEWER"));
	json_object_set_new(document, "site", json_pack("{s:s}", "page", page));
	assert_true(commit_as(ch, document, page, page, 0, 0, WALL));
	value = history_of(ch, 0, "diff");
	text = json_dumps(value, JSON_COMPACT);
	assert_string_equal(text, "[{\"path\":\"identity.key\",\"from\":\"(hidden)\",\"to\":"
				  "\"(hidden)\"},{\"path\":\"site\",\"from\":null,\"to\":"
				  "\"(5011 bytes)\"}]");
	free(text);
	json_decref(value);
	value = history_of(ch, 0, "note");
	assert_true(json_string_length(value) < 512);
	json_decref(value);

	for (unsigned i = 0; i < 150; i++) {
		char key[16];
		snprintf(key, sizeof(key), "k%u", i);
		json_object_set_new(large, key, json_integer(i));
	}
	json_object_set(large, "name", json_object_get(document, "name"));
	json_object_set(large, "site", json_object_get(document, "site"));
	json_object_set(large, "identity", json_object_get(document, "identity"));
	assert_true(commit_as(ch, large, "uid:0", "", 0, 0, WALL));
	value = newest_diff(ch, 99, "path");
	assert_string_equal(json_string_value(value), "k99");
	json_decref(value);
	value = newest_diff(ch, 100, "path");
	assert_string_equal(json_string_value(value), "(50 more)");
	json_decref(value);
	assert_null(newest_diff(ch, 101, "path"));
	json_decref(large);
	json_decref(document);
	free(page);
	changes_free(ch);
}

/* As many lists of short names as a console likes. */
static json_t *with_lists(const json_t *document, unsigned revision)
{
	json_t *copy = json_deep_copy(document), *list;
	char key[16];

	for (unsigned k = 0; k < 100; k++) {
		list = json_array();
		for (unsigned i = 0; i < 200; i++)
			json_array_append_new(list,
					      json_integer(10 + (revision * 7 + k * 3 + i) % 90));
		snprintf(key, sizeof(key), "k%u-%u", revision, k);
		json_object_set_new(copy, key, list);
	}
	return copy;
}

static void test_history_of_large_changes_is_small(void **state)
{
	struct changes *ch = start();
	json_t *base = named("one"), *document, *history;

	for (unsigned i = 0; i < 2 * CHANGES_HISTORY_MAX; i++) {
		document = with_lists(base, i);
		assert_true(commit_as(ch, document, "uid:0", "", 0, i, WALL));
		json_decref(document);
	}
	history = changes_history(ch);
	assert_in_range(json_dumpb(history, NULL, 0, JSON_COMPACT), 1, 2 << 20);
	json_decref(history);
	json_decref(base);
	changes_free(ch);
}

static void test_a_difference_is_let_go(void **state)
{
	struct changes *ch = start();
	json_t *document = named("two");

	json_decref(changes_diff(ch, document));
	assert_int_equal(document->refcount, 2);
	changes_forget_difference(ch);
	assert_int_equal(document->refcount, 1);
	json_decref(document);
	changes_free(ch);
}

/* conf_json_test has what these do. */
static void test_by_the_schema(void **state)
{
	struct changes *ch = start();
	json_t *hidden = changes_hide(ch), *back, *diff;

	assert_string_equal(
		json_string_value(json_object_get(json_object_get(hidden, "identity"), "key")),
		"(hidden)");
	back = changes_reveal(ch, hidden);
	assert_true(json_equal(back, changes_document(ch)));
	diff = changes_diff(ch, hidden);
	assert_int_equal(json_array_size(diff), 1);
	json_decref(diff);
	json_decref(back);
	json_decref(hidden);
	changes_free(ch);
}

/* An answer is kept for the commit of what was compared; it must not outlive that. */
static void test_a_difference_is_from_what_is_in_force(void **state)
{
	struct changes *ch = start();
	json_t *second = named("second"), *third = named("third"), *diff;

	diff = changes_diff(ch, second);
	assert_int_equal(json_array_size(diff), 1);
	json_decref(diff);
	assert_true(commit_as(ch, third, "uid:0", "", 0, 0, WALL));
	diff = changes_diff(ch, second);
	assert_string_equal(json_string_value(json_object_get(json_array_get(diff, 0), "from")),
			    "third");
	json_decref(diff);
	assert_true(commit_as(ch, second, "uid:0", "", 0, 0, WALL));
	diff = changes_diff(ch, second);
	assert_int_equal(json_array_size(diff), 0);
	json_decref(diff);
	json_decref(second);
	json_decref(third);
	changes_free(ch);
}

/* Apply has 100 ms for all that it does; 10,000 rules of which one goes are compared in a part. */
static void test_a_large_policy(void **state)
{
	json_t *document = named("one"), *rules = json_array(), *diff;
	struct changes *ch;
	char from[32];

	for (unsigned i = 0; i < 10000; i++) {
		snprintf(from, sizeof(from), "agent-%u", i);
		json_array_append_new(
			rules, json_pack("{s:[s], s:[s]}", "from", from, "to", "office/wiki"));
	}
	json_object_set_new(document, "policy", rules);
	ch = changes_new(fields, document, WALL);
	json_array_remove(rules, 17);
	assert_true(commit_as(ch, document, "uid:0", "", 0, 0, WALL));
	diff = history_of(ch, 0, "diff");
	assert_int_equal(json_array_size(diff), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(diff, 0), "path")),
			    "policy[17]");
	json_decref(diff);
	json_decref(document);
	changes_free(ch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begins_settled),
		cmocka_unit_test(test_revisions),
		cmocka_unit_test(test_trial_confirmed),
		cmocka_unit_test(test_trial_rolled_back),
		cmocka_unit_test(test_a_trial_that_never_ends_is_none),
		cmocka_unit_test(test_what_was_handed_out_stays),
		cmocka_unit_test(test_history_is_bounded),
		cmocka_unit_test(test_history_keeps_no_secrets_and_little_else),
		cmocka_unit_test(test_history_of_large_changes_is_small),
		cmocka_unit_test(test_a_difference_is_let_go),
		cmocka_unit_test(test_by_the_schema),
		cmocka_unit_test(test_a_difference_is_from_what_is_in_force),
		cmocka_unit_test(test_a_large_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
