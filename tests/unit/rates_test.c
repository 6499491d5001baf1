/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rates_test: rates between looks at a relay, and the screen that shows them.
 *
 * links: ctl/see/rates.c ctl/see/top_draw.c ctl/terminal/units.c core/log*.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ctl/see/rates.h"
#include "ctl/see/top_draw.h"

static json_t *session(const char *id, const char *from, const char *to, int up, int down, int ms)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i}", "session", id, "from", from,
			 "to", to, "service", "ssh", "source", "192.0.2.1:5", "up", up, "down",
			 down, "ms", ms);
}

static void look(struct rates *r, int total, json_t *sessions, uint64_t now_ms)
{
	json_t *status = json_pack("{s:i, s:s}", "bytes_total", total, "relay", "main");

	assert_true(rates_look(r, status, sessions, now_ms));
	json_decref(status);
	json_decref(sessions);
}

static void test_rates(void **state)
{
	struct rates r = {.sessions = NULL};

	look(&r, 1000,
	     json_pack("[o, o]", session("02", "laptop", "home", 100, 900, 60000),
		       session("01", "public", "home", 5, 5, 1000)),
	     5000);
	assert_int_equal(r.rate, 0); /* of the first look nothing is known */
	assert_int_equal(r.sessions[0].up_rate, 0);
	rates_sort(&r, RATES_BY_BYTES);
	assert_string_equal(r.sessions[0].id, "02");
	look(&r, 5000,
	     json_pack("[o, o, o]", session("01", "public", "home", 5, 4005, 3000),
		       session("03", "laptop", "office", 50, 0, 500),
		       session("02", "laptop", "home", 300, 900, 62000)),
	     7000);
	assert_int_equal(r.rate, 2000);
	assert_int_equal(r.session_count, 3);
	assert_int_equal(r.sessions[0].down_rate, 2000);
	assert_int_equal(r.sessions[1].up_rate, 100); /* new: since it began */
	assert_int_equal(r.sessions[2].up_rate, 100);
	assert_int_equal(r.sessions[2].down_rate, 0);
	rates_sort(&r, RATES_BY_RATE);
	assert_string_equal(r.sessions[0].id, "01");
	assert_string_equal(r.sessions[1].id, "02"); /* equal: by id */
	rates_sort(&r, RATES_BY_AGENT);
	assert_string_equal(r.sessions[0].id, "02");
	assert_string_equal(r.sessions[2].from, "public");
	assert_int_equal(r.agent_count, 4);
	assert_string_equal(r.agents[0].name, "home");
	assert_int_equal(r.agents[0].sessions, 2);
	assert_int_equal(r.agents[0].rate, 2100);
	assert_int_equal(r.agents[0].bytes, 4010 + 1200);
	rates_free(&r);
}

static void test_backwards(void **state)
{
	struct rates r = {.sessions = NULL};

	look(&r, 1000, json_pack("[o]", session("01", "a", "a", 500, 0, 10)), 1000);
	assert_int_equal(r.agent_count, 1);
	look(&r, 10, json_pack("[o]", session("01", "a", "a", 4, 0, 10)), 1000); /* no time */
	assert_int_equal(r.rate, 0);
	look(&r, 5, json_pack("[o]", session("01", "a", "a", 3, 0, 10)), 2000); /* restarted */
	assert_int_equal(r.rate, 0);
	assert_int_equal(r.sessions[0].up_rate, 0);
	look(&r, 5, json_array(), 3000);
	assert_int_equal(r.session_count + r.agent_count, 0);
	rates_free(&r);
}

static void test_json(void **state)
{
	struct rates r = {.sessions = NULL};
	json_t *json;

	look(&r, 0, json_pack("[o]", session("01", "a", "b", 1, 2, 3)), 1);
	json = rates_json(&r);
	assert_int_equal(json_array_size(json_object_get(json, "agents")), 2);
	assert_int_equal(json_array_size(json_object_get(json, "sessions")), 1);
	json_decref(json);
	rates_free(&r);
}

/* The widest line, without escape sequences, and how many lines there are. */
static void measure(const char *text, size_t *widest, size_t *lines)
{
	size_t width = 0;

	*widest = 0;
	*lines = 1;
	for (const char *c = text; *c; c++) {
		if (*c == '\033') {
			c += strcspn(c, "KJm");
		} else if (*c == '\n') {
			(*lines)++;
			width = 0;
		} else if (*c != '\r' && ++width > *widest) {
			*widest = width;
		}
	}
}

static void test_screen(void **state)
{
	static const size_t sizes[][2] = {{24, 80}, {10, 40}, {5, 20}, {1, 1}, {200, 300}};
	json_t *status = json_pack("{s:s}", "relay", "main\033[2J"), *list = json_array();
	struct rates r = {.sessions = NULL};
	char id[20], name[20];

	for (int i = 0; i < 50; i++) {
		snprintf(id, sizeof(id), "%016x", (unsigned)i);
		snprintf(name, sizeof(name), "agent-%d", i);
		json_array_append_new(list, session(id, name, "home\033c", i, i, i));
	}
	look(&r, 0, list, 1000);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct top_screen s = {.rows = sizes[i][0], .columns = sizes[i][1], .colour = true};
		size_t widest, lines, len;
		char *text = NULL;

		s.to = open_memstream(&text, &len);
		top_draw(&s, "relay.example:443", status, &r, RATES_BY_RATE);
		fclose(s.to);
		measure(text, &widest, &lines);
		assert_true(widest <= sizes[i][1]);
		assert_int_equal(lines, sizes[i][0]);
		assert_null(strstr(text, "\033[2J")); /* no escape sequences but top's */
		assert_null(strstr(text, "\033c"));
		free(text);
	}
	json_decref(status);
	rates_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_backwards),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_screen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
