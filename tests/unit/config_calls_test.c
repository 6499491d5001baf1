/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_calls_test: the methods config.* as a caller meets them, on a program with a small schema.
 *
 * links: core/key_file.c core/memory.c
 * links: core/engine/config_calls.c core/engine/calls.c core/engine/changes.c
 * links: core/engine/configuring.c core/conf/merge.c
 * links: core/parse/jsonrpc.c core/conf/conf.c core/conf/bind.c core/conf/rows.c
 * links: core/conf/diff.c core/conf/error.c core/conf/json.c core/conf/value.c core/conf/yaml.c
 * links: core/addr.c core/log*.c tests/support/small_program.c core/engine/owned.c
 * links: core/engine/certificate.c
 * links: core/parse/json_read.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/conf/json.h"
#include "core/container.h"
#include "core/engine/config_calls.h"
#include "tests/support/small_program.h"

/* ---- a program ---- */

struct program {
	struct small_program small;
	struct calls calls;
	struct caller caller;
	json_t *answer;
};

/* A method of the program's own, which sets the size of what is in force to 7. */
static bool put_ok;

static void put_run(struct call *c)
{
	struct program *ctl = c->owner;
	json_t *document = json_deep_copy(changes_document(ctl->small.configuring.changes));

	json_object_set_new(document, "size", json_integer(7));
	put_ok = config_call_put(c, document, "by its own method");
}

/* One that is answered later. */
static struct call *kept[CALLER_PENDING_MAX + 1];
static size_t kept_count;

static void keep_run(struct call *c)
{
	assert_true(kept_count < sizeof(kept) / sizeof(kept[0]));
	kept[kept_count++] = c;
}

static const struct method own_methods[] = {
	{.name = "keep", .level = CALLER_READ, .run = keep_run, .help = "", .result = ""},
	{.name = "put", .level = CALLER_ADMIN, .run = put_run, .help = "", .result = ""},
	{.name = NULL},
};

static const struct method *const tables[] = {methods_of_config, own_methods, methods_schema, NULL};

/* ---- a caller ---- */

static bool keep_answer(struct caller *c, char *line, size_t len)
{
	struct program *ctl = container(c, struct program, caller);

	json_decref(ctl->answer);
	ctl->answer = json_loadb(line, len, 0, NULL);
	free(line);
	return true;
}

static int begin(void **state)
{
	struct program *ctl = calloc(1, sizeof(*ctl));
	json_t *document = json_pack("{s:s, s:s, s:{s:s}, s:s}", "name", "one", "key", "hush",
				     "host", "socket", "/run/one", "ca", "no CA, and not changed");
	struct configuring_start start;

	ctl->calls = (struct calls){.tables = tables,
				    .owner = ctl,
				    .admin_remedy = "ask the owner",
				    .configuring = &ctl->small.configuring};
	assert_true(configuring_begin(small_fields, document, NULL, &start));
	assert_true(
		configuring_open(&ctl->small.configuring, &small_ops, small_fields, &start, false));
	configuring_start_free(&start);
	ctl->caller.level = CALLER_ADMIN;
	ctl->caller.send = keep_answer;
	snprintf(ctl->caller.who, sizeof(ctl->caller.who), "console:test");
	caller_add(&ctl->calls, &ctl->caller);
	json_decref(document);
	*state = ctl;
	return 0;
}

static int end(void **state)
{
	struct program *ctl = *state;

	assert_int_equal(ctl->caller.pending, 0);
	assert_null(ctl->calls.list);
	caller_remove(&ctl->calls, &ctl->caller);
	configuring_close(&ctl->small.configuring);
	conf_release(small_fields, &ctl->small.settings);
	json_decref(ctl->answer);
	free(ctl);
	return 0;
}

/* Takes params over. The result, or NULL and the error's code. */
static const json_t *call(struct program *ctl, const char *method, json_t *params, int *code)
{
	json_t *request = json_pack("{s:s, s:i, s:s, s:o}", "jsonrpc", "2.0", "id", 7, "method",
				    method, "params", params ? params : json_object());
	char *line = json_dumps(request, JSON_COMPACT);

	json_decref(ctl->answer);
	ctl->answer = NULL;
	calls_line(&ctl->calls, &ctl->caller, line, strlen(line));
	free(line);
	json_decref(request);
	assert_non_null(ctl->answer);
	assert_int_equal(json_integer_value(json_object_get(ctl->answer, "id")), 7);
	*code = (int)json_integer_value(
		json_object_get(json_object_get(ctl->answer, "error"), "code"));
	return json_object_get(ctl->answer, "result");
}

/* What is as it was in every document: the parts that are no console's. */
#define OWNED	     "s:{s:s}, s:s"
#define OWNED_VALUES "host", "socket", "/run/one", "ca", "no CA, and not changed"

static json_t *config(const char *name, int size)
{
	return json_pack("{s:{s:s, s:s, s:i, " OWNED "}}", "config", "name", name, "key",
			 "(hidden)", "size", size, OWNED_VALUES);
}

static json_t *with(json_t *params, const char *key, json_t *value)
{
	json_object_set_new(params, key, value);
	return params;
}

static json_int_t revision(const json_t *result)
{
	return json_integer_value(json_object_get(result, "revision"));
}

/* ---- tests ---- */

static void secrets_are_hidden_and_put_back(void **state)
{
	struct program *ctl = *state;
	int code;
	const json_t *got = call(ctl, "config.get", NULL, &code);

	assert_string_equal(
		json_string_value(json_object_get(json_object_get(got, "config"), "key")),
		"(hidden)");
	got = call(ctl, "config.apply", config("two", 2), &code);
	assert_int_equal(revision(got), 2);
	assert_string_equal(ctl->small.settings.name, "two");
	assert_string_equal(ctl->small.settings.key, "hush");
}

static void what_could_not_be_kept_is_in_the_answer(void **state)
{
	struct program *ctl = *state;
	const json_t *got;
	int code;

	got = call(ctl, "config.apply", config("two", 2), &code);
	assert_null(json_object_get(got, "unsaved"));
	ctl->small.configuring.keeps = true;
	ctl->small.keep_error = -ENOSPC;
	got = call(ctl, "config.apply", config("two", 3), &code);
	assert_int_equal(revision(got), 3);
	assert_string_equal(json_string_value(json_object_get(got, "unsaved")), strerror(ENOSPC));
	/* A trial is not to be kept before it is confirmed. */
	got = call(ctl, "config.apply", with(config("two", 4), "confirm_ms", json_integer(1000)),
		   &code);
	assert_null(json_object_get(got, "unsaved"));
	got = call(ctl, "config.confirm", NULL, &code);
	assert_string_equal(json_string_value(json_object_get(got, "unsaved")), strerror(ENOSPC));
	/* To do it again is no change, and tries to keep it once more. */
	got = call(ctl, "config.apply", config("two", 4), &code);
	assert_string_equal(json_string_value(json_object_get(got, "unsaved")), strerror(ENOSPC));
	ctl->small.keep_error = 0;
	got = call(ctl, "config.apply", config("two", 4), &code);
	assert_null(json_object_get(got, "unsaved"));
	assert_null(configuring_unsaved(&ctl->small.configuring));
	got = call(ctl, "config.apply", config("two", 5), &code);
	assert_null(json_object_get(got, "unsaved"));
	json_decref(ctl->small.kept);
	ctl->small.kept = NULL;
}

/* Whether it is in force and kept, is what the method hears; and its secrets stay. */
static void another_method_puts_a_document(void **state)
{
	struct program *ctl = *state;
	int code;

	ctl->small.configuring.keeps = true;
	ctl->small.keep_error = -ENOSPC;
	assert_non_null(call(ctl, "put", NULL, &code));
	assert_false(put_ok);
	assert_int_equal(ctl->small.settings.size, 7);
	assert_string_equal(ctl->small.settings.key, "hush");
	ctl->small.keep_error = 0;
	assert_non_null(call(ctl, "put", NULL, &code)); /* nothing new, and kept now */
	assert_true(put_ok);
	assert_non_null(call(ctl, "config.apply", config("two", 3), &code));
	ctl->small.refuses = true;
	assert_null(call(ctl, "put", NULL, &code));
	assert_false(put_ok);
	assert_int_equal(ctl->small.settings.size, 3);
	ctl->small.refuses = false;
	assert_non_null(call(ctl, "config.apply",
			     with(config("two", 4), "confirm_ms", json_integer(1000)), &code));
	assert_null(call(ctl, "put", NULL, &code)); /* a trial runs */
	assert_false(put_ok);
	assert_int_equal(code, JSONRPC_BUSY);
	json_decref(ctl->small.kept);
	ctl->small.kept = NULL;
}

/* A file would say it so; what compares documents need not know two ways to write one thing. */
static void a_document_is_kept_as_a_file_would_give_it(void **state)
{
	struct program *ctl = *state;
	json_t *params = json_pack("{s:{s:i, s:s, s:s, " OWNED "}}", "config", "name", 17, "key",
				   "(hidden)", "size", "3", OWNED_VALUES);
	const json_t *got, *in_force;
	int code;

	got = call(ctl, "config.apply", params, &code);
	assert_int_equal(revision(got), 2);
	assert_string_equal(ctl->small.settings.name, "17");
	in_force = changes_document(ctl->small.configuring.changes);
	assert_string_equal(json_string_value(json_object_get(in_force, "name")), "17");
	assert_string_equal(json_string_value(json_object_get(in_force, "key")), "hush");
	assert_int_equal(json_integer_value(json_object_get(in_force, "size")), 3);
	params = json_pack("{s:{s:s, s:s, s:i, " OWNED "}}", "config", "name", "17", "key",
			   "(hidden)", "size", 3, OWNED_VALUES);
	got = call(ctl, "config.apply", params, &code); /* the same: no change */
	assert_int_equal(revision(got), 2);
}

static void what_is_wrong_is_told_and_nothing_applied(void **state)
{
	struct program *ctl = *state;
	int code;

	assert_null(call(ctl, "config.apply", config("two", 11), &code));
	assert_int_equal(code, JSONRPC_CONFIG);
	assert_int_equal(
		json_array_size(json_object_get(
			json_object_get(json_object_get(ctl->answer, "error"), "data"), "errors")),
		1);
	assert_null(call(ctl, "config.check", config("two", 11), &code));
	assert_int_equal(code, JSONRPC_CONFIG);
	ctl->small.refuses = true;
	assert_null(call(ctl, "config.apply", config("two", 2), &code));
	assert_int_equal(code, JSONRPC_CONFIG);
	assert_int_equal(ctl->small.applied, 0);
	assert_int_equal(revision(call(ctl, "config.get", NULL, &code)), 1);
}

static void checking_and_comparing_change_nothing(void **state)
{
	struct program *ctl = *state;
	int code;

	assert_true(json_is_true(
		json_object_get(call(ctl, "config.check", config("two", 2), &code), "ok")));
	assert_int_equal(json_array_size(json_object_get(
				 call(ctl, "config.diff", config("two", 2), &code), "diff")),
			 2);
	assert_int_equal(ctl->small.applied, 0);
}

static void a_stale_change_is_refused_with_what_differs(void **state)
{
	struct program *ctl = *state;
	const json_t *error;
	int code;

	(void)call(ctl, "config.apply", with(config("two", 2), "revision", json_integer(1)), &code);
	assert_null(call(ctl, "config.apply", with(config("three", 2), "revision", json_integer(1)),
			 &code));
	assert_int_equal(code, JSONRPC_STALE);
	error = json_object_get(ctl->answer, "error");
	assert_int_equal(json_array_size(json_object_get(json_object_get(error, "data"), "diff")),
			 1);
	assert_string_equal(ctl->small.settings.name, "two");
}

static void nothing_new_is_no_revision(void **state)
{
	struct program *ctl = *state;
	json_t *same = json_pack("{s:{s:s, s:s, " OWNED "}}", "config", "name", "one", "key",
				 "(hidden)", OWNED_VALUES);
	int code;

	assert_int_equal(revision(call(ctl, "config.apply", same, &code)), 1);
	assert_int_equal(ctl->small.applied, 0);
}

static void cutting_off_takes_force(void **state)
{
	struct program *ctl = *state;
	int code;

	assert_null(call(ctl, "config.apply", config("two", 0), &code));
	assert_int_equal(code, JSONRPC_REFUSED);
	assert_int_equal(revision(call(ctl, "config.apply",
				       with(config("two", 0), "force", json_true()), &code)),
			 2);
}

static void a_trial_is_confirmed_or_taken_back(void **state)
{
	struct program *ctl = *state;
	int code;

	assert_null(call(ctl, "config.confirm", NULL, &code));
	assert_int_equal(code, JSONRPC_NOT_FOUND);
	assert_null(call(ctl, "config.rollback", NULL, &code));
	assert_int_equal(code, JSONRPC_NOT_FOUND);
	(void)call(ctl, "config.apply", with(config("two", 2), "confirm_ms", json_integer(5000)),
		   &code);
	assert_int_equal(ctl->small.trial_ms, 5000);
	assert_null(call(ctl, "config.apply", config("three", 3), &code));
	assert_int_equal(code, JSONRPC_BUSY);
	assert_int_equal(revision(call(ctl, "config.rollback", NULL, &code)), 3);
	assert_string_equal(ctl->small.settings.name, "one");
	(void)call(ctl, "config.apply", with(config("two", 2), "confirm_ms", json_integer(5000)),
		   &code);
	assert_int_equal(revision(call(ctl, "config.confirm", NULL, &code)), 4);
	assert_int_equal(json_array_size(json_object_get(call(ctl, "config.history", NULL, &code),
							 "history")),
			 4);
}

static void deadlines_have_bounds(void **state)
{
	static const json_int_t wrong[] = {-1, CONFIG_CONFIRM_MS_MAX + 1, INT64_MAX, INT64_MIN};
	struct program *ctl = *state;
	int code;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_null(call(ctl, "config.apply",
				 with(config("two", 2), "confirm_ms", json_integer(wrong[i])),
				 &code));
		assert_int_equal(code, JSONRPC_INVALID_PARAMS);
	}
}

static void a_reader_changes_nothing(void **state)
{
	struct program *ctl = *state;
	int code;

	ctl->caller.level = CALLER_READ;
	assert_non_null(call(ctl, "config.get", NULL, &code));
	assert_null(call(ctl, "config.apply", config("two", 2), &code));
	assert_int_equal(code, JSONRPC_FORBIDDEN);
	assert_non_null(strstr(json_string_value(json_object_get(
				       json_object_get(ctl->answer, "error"), "message")),
			       "ask the owner"));
	assert_int_equal(ctl->small.applied, 0);
}

/* The one error, of a call that failed by it. */
static const char *only_error(const struct program *ctl)
{
	const json_t *errors = json_object_get(
		json_object_get(json_object_get(ctl->answer, "error"), "data"), "errors");

	assert_int_equal(json_array_size(errors), 1);
	return json_string_value(json_array_get(errors, 0));
}

/* So many calls of one caller wait for their answer; one more is told to. */
static void calls_at_once_are_few(void **state)
{
	static const char keep[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"keep\"}";
	struct program *ctl = *state;
	int code;

	assert_int_equal(CALLER_PENDING_MAX, 64); /* as docs/limits.md says */
	kept_count = 0;
	for (unsigned i = 0; i < CALLER_PENDING_MAX; i++)
		calls_line(&ctl->calls, &ctl->caller, keep, sizeof(keep) - 1);
	assert_int_equal(kept_count, CALLER_PENDING_MAX);
	assert_null(ctl->answer);
	assert_null(call(ctl, "keep", NULL, &code));
	assert_int_equal(code, JSONRPC_BUSY);
	assert_int_equal(kept_count, CALLER_PENDING_MAX);
	call_answer(kept[--kept_count], json_true());
	assert_non_null(call(ctl, "config.get", NULL, &code));
	while (kept_count > 0)
		call_answer(kept[--kept_count], json_true());
}

static void keys_of_the_host_are_the_files(void **state)
{
	static const char *const methods[] = {"config.apply", "config.check", "config.diff"};
	struct program *ctl = *state;
	json_t *params, *host;
	int code;

	for (size_t i = 0; i < 4 * sizeof(methods) / sizeof(methods[0]); i++) {
		params = config("two", 2);
		host = json_object_get(json_object_get(params, "config"), "host");
		if (i % 4 == 0)
			json_object_set_new(host, "socket", json_string("/run/another"));
		else if (i % 4 == 1)
			json_object_del(host, "socket");
		else if (i % 4 == 2)
			json_object_del(json_object_get(params, "config"), "host");
		else
			json_object_set_new(host, "socket", json_string(""));
		if (i < 4)
			json_object_set_new(params, "force", json_true());
		assert_null(call(ctl, methods[i / 4], params, &code));
		assert_int_equal(code, JSONRPC_CONFIG);
		assert_non_null(strstr(only_error(ctl),
				       "host.socket: is said by the program's own file alone"));
	}
	assert_int_equal(ctl->small.applied, 0);
	/* What stands beside it is a console's. */
	params = config("two", 2);
	host = json_object_get(json_object_get(params, "config"), "host");
	json_object_set_new(host, "speed", json_integer(7));
	assert_int_equal(revision(call(ctl, "config.apply", params, &code)), 2);
	assert_int_equal(ctl->small.settings.host.speed, 7);
	assert_string_equal(ctl->small.settings.host.socket, "/run/one");
}

/* As "config get" gives it, and with what may be changed. */
static void what_was_got_can_be_applied(void **state)
{
	struct program *ctl = *state;
	json_t *got;
	int code;

	got = json_deep_copy(json_object_get(call(ctl, "config.get", NULL, &code), "config"));
	json_object_set_new(got, "size", json_integer(5));
	assert_int_equal(
		revision(call(ctl, "config.apply", json_pack("{s:o}", "config", got), &code)), 2);
}

static void a_foreign_ca_is_no_consoles(void **state)
{
	struct program *ctl = *state;
	json_t *params = config("two", 2);
	int code;

	json_object_set_new(json_object_get(params, "config"), "ca", json_string("another"));
	assert_null(call(ctl, "config.apply", params, &code));
	assert_int_equal(code, JSONRPC_CONFIG);
	assert_non_null(strstr(only_error(ctl), "ca: has a CA that none of those in force"));
}

#define CONFIG_TEST(f)                                                                             \
	{                                                                                          \
#f, f, begin, end, NULL                                                            \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONFIG_TEST(secrets_are_hidden_and_put_back),
		CONFIG_TEST(what_could_not_be_kept_is_in_the_answer),
		CONFIG_TEST(another_method_puts_a_document),
		CONFIG_TEST(a_document_is_kept_as_a_file_would_give_it),
		CONFIG_TEST(what_is_wrong_is_told_and_nothing_applied),
		CONFIG_TEST(checking_and_comparing_change_nothing),
		CONFIG_TEST(a_stale_change_is_refused_with_what_differs),
		CONFIG_TEST(nothing_new_is_no_revision),
		CONFIG_TEST(cutting_off_takes_force),
		CONFIG_TEST(a_trial_is_confirmed_or_taken_back),
		CONFIG_TEST(deadlines_have_bounds),
		CONFIG_TEST(a_reader_changes_nothing),
		CONFIG_TEST(calls_at_once_are_few),
		CONFIG_TEST(keys_of_the_host_are_the_files),
		CONFIG_TEST(what_was_got_can_be_applied),
		CONFIG_TEST(a_foreign_ca_is_no_consoles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
