/* SPDX-License-Identifier: Apache-2.0 */
/*
 * records_test: a history as a caller lists it.
 *
 * links: core/engine/records.c core/engine/calls.c core/memory.c
 * links: core/parse/jsonrpc.c core/log*.c
 * links: core/parse/json_read.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/container.h"
#include "core/engine/records.h"

struct program {
	struct calls calls;
	struct caller caller;
	struct records records;
	json_t *answer;
};

static void events_run(struct call *c)
{
	records_answer(c, &((struct program *)c->owner)->records, "events",
		       &c->caller->follows_events);
}

static const struct method methods[] = {
	{.name = "events",
	 .level = CALLER_READ,
	 .run = events_run,
	 .help = "",
	 .params = records_params,
	 .result = ""},
	{.name = NULL},
};
static const struct method *const tables[] = {methods, NULL};

static bool take_answer(struct caller *caller, char *line, size_t len)
{
	struct program *ctl = container(caller, struct program, caller);

	json_decref(ctl->answer);
	ctl->answer = json_loadb(line, len, 0, NULL);
	free(line);
	return true;
}

/* With so many records. */
static void set_up(struct program *ctl, unsigned count)
{
	*ctl = (struct program){.calls.tables = tables, .caller.send = take_answer};
	ctl->calls.owner = ctl;
	caller_add(&ctl->calls, &ctl->caller);
	for (unsigned i = 0; i < count; i++) {
		json_t *record = json_pack("{s:s}", "kind", "test");

		assert_true(records_add(&ctl->records, record, (struct timespec){0}));
		json_decref(record);
	}
}

static void tear_down(struct program *ctl)
{
	caller_remove(&ctl->calls, &ctl->caller);
	records_free(&ctl->records);
	json_decref(ctl->answer);
}

static const json_t *ask(struct program *ctl, const char *params)
{
	char line[256];
	int len = snprintf(line, sizeof(line),
			   "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"events\",\"params\":%s}",
			   params);

	calls_line(&ctl->calls, &ctl->caller, line, (size_t)len);
	return json_object_get(json_object_get(ctl->answer, "result"), "events");
}

/* The records' numbers are first to last, without a gap. */
static void assert_numbers(const json_t *list, json_int_t first, json_int_t last)
{
	assert_int_equal(json_array_size(list), last - first + 1);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *record = json_array_get(list, i);

		assert_int_equal(json_integer_value(json_object_get(record, "number")),
				 first + (json_int_t)i);
	}
}

static void test_the_newest_hundred_come_unless_told_otherwise(void **state)
{
	struct program ctl;

	set_up(&ctl, 150);
	assert_numbers(ask(&ctl, "{}"), 51, 150);
	assert_numbers(ask(&ctl, "{\"limit\":3}"), 148, 150);
	assert_numbers(ask(&ctl, "{\"limit\":0}"), 1, 0);
	assert_numbers(ask(&ctl, "{\"limit\":1000000}"), 1, 150);
	assert_numbers(ask(&ctl, "{\"after\":148}"), 149, 150);
	assert_numbers(ask(&ctl, "{\"after\":150}"), 1, 0);
	tear_down(&ctl);
}

static void test_the_oldest_give_way(void **state)
{
	struct program ctl;

	set_up(&ctl, RECORDS_KEPT + 5);
	assert_numbers(ask(&ctl, "{\"limit\":5000}"), 6, RECORDS_KEPT + 5);
	tear_down(&ctl);
}

static void test_only_callers_that_ask_follow(void **state)
{
	struct program ctl;

	set_up(&ctl, 1);
	assert_non_null(ask(&ctl, "{\"follow\":false}"));
	assert_false(ctl.caller.follows_events);
	assert_non_null(ask(&ctl, "{\"follow\":true}"));
	assert_true(ctl.caller.follows_events);
	tear_down(&ctl);
}

static void test_negative_numbers_are_refused(void **state)
{
	struct program ctl;

	set_up(&ctl, 1);
	assert_null(ask(&ctl, "{\"after\":-1,\"follow\":true}"));
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(ctl.answer, "error"), "code")),
		JSONRPC_INVALID_PARAMS);
	assert_null(ask(&ctl, "{\"limit\":-1}"));
	assert_false(ctl.caller.follows_events);
	tear_down(&ctl);
}

static void test_followers_hear_of_events(void **state)
{
	json_t *data = json_pack("{s:i}", "port", 443);
	const json_t *sent;
	struct program ctl;

	set_up(&ctl, 1);
	assert_true(records_tell_event(&ctl.records, &ctl.calls, "mapping", data,
				       (struct timespec){0}));
	assert_null(ctl.answer);
	ctl.caller.follows_events = true;
	assert_true(records_tell_event(&ctl.records, &ctl.calls, "mapping", data,
				       (struct timespec){0}));
	assert_string_equal(json_string_value(json_object_get(ctl.answer, "method")), "event");
	sent = json_object_get(ctl.answer, "params");
	assert_string_equal(json_string_value(json_object_get(sent, "kind")), "mapping");
	assert_int_equal(json_integer_value(json_object_get(sent, "number")), 3);
	assert_int_equal(json_integer_value(json_object_get(sent, "port")), 443);
	json_decref(data);
	tear_down(&ctl);
}

/* Of jansson's, so many succeed. */
static unsigned blocks_left;

static void *get_few(size_t n)
{
	return blocks_left > 0 && blocks_left-- ? malloc(n) : NULL;
}

/* What finds no room is no record, and takes no number. */
static void test_no_record_lacks_a_part(void **state)
{
	struct program ctl;
	bool kept = false;

	set_up(&ctl, 2);
	json_set_alloc_funcs(get_few, free);
	for (unsigned few = 0; !kept && few < 50; few++) {
		json_t *data;

		blocks_left = 50;
		data = json_pack("{s:i}", "port", 443);
		blocks_left = few;
		kept = records_tell_event(&ctl.records, &ctl.calls, "mapping", data,
					  (struct timespec){0});
		assert_true(few > 3 || !kept);
		assert_int_equal(ctl.records.count, kept ? 3 : 2);
		assert_true(!ctl.records.kept[3] == !kept);
		assert_true(!kept || json_object_size(data) == 4);
		json_decref(data);
	}
	assert_true(kept);
	assert_false(records_add(&ctl.records, NULL, (struct timespec){0}));
	assert_int_equal(ctl.records.count, 3);
	json_set_alloc_funcs(malloc, free);
	tear_down(&ctl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_newest_hundred_come_unless_told_otherwise),
		cmocka_unit_test(test_the_oldest_give_way),
		cmocka_unit_test(test_only_callers_that_ask_follow),
		cmocka_unit_test(test_negative_numbers_are_refused),
		cmocka_unit_test(test_followers_hear_of_events),
		cmocka_unit_test(test_no_record_lacks_a_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
