/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_state_test: what was applied survives, whatever was cut short, until the file is edited.
 *
 * links: agent/control/state.c agent/config/config.c core/conf/conf.c core/conf/bind.c
 * links: core/conf/check.c core/conf/error.c core/conf/json.c core/conf/value.c core/conf/yaml.c
 * links: core/addr.c core/file.c core/log.c core/parse/wire.c core/parse/reason.c
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

#include "agent/control/state.h"

#define ORIGIN	"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define ANOTHER "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

#define PEM(what) "|\n    -----BEGIN " what "-----\n    MA==\n    -----END " what "-----\n"
#define BASE                                                                                       \
	"name: laptop\nrelays: [{address: 'relay.example.org:443'}]\nidentity:\n  ca: " PEM(       \
		"CERTIFICATE") "  certificate: " PEM("CERTIFICATE") "  key: " PEM("PRIVATE KEY")

static char dir[64], file[80];

static int make_dir(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/agent-state-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/agent.yaml", dir);
	return 0;
}

static int remove_dir(void **state)
{
	static const char *const names[] = {"applied-a.json", "applied-b.json", "agent.yaml"};
	char path[128];

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

static struct state *open_state(void)
{
	char why[256] = "";
	struct state *s = state_open(dir, why, sizeof(why));

	if (!s)
		fail_msg("%s", why);
	return s;
}

static void save(const char *origin, int value)
{
	struct state *s = open_state();
	json_t *document = json_pack("{s:i}", "value", value);
	bool changed;

	json_decref(state_load(s, origin, &changed));
	assert_int_equal(state_save(s, document), 0);
	json_decref(document);
	state_close(s);
}

/* The value kept, or -1; *changed as state_load() says. */
static int load(const char *origin, bool *changed)
{
	struct state *s = open_state();
	json_t *document = state_load(s, origin, changed);
	int value = document ? (int)json_integer_value(json_object_get(document, "value")) : -1;

	json_decref(document);
	state_close(s);
	return value;
}

static void cut(const char *name, long len)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(truncate(path, len), 0);
}

static void write_file(const char *text)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* ---- tests ---- */

static void the_newest_counts(void **state)
{
	struct stat st;
	char path[128];
	bool changed;

	assert_int_equal(load(ORIGIN, &changed), -1);
	assert_false(changed);
	for (int i = 1; i <= 5; i++) {
		save(ORIGIN, i);
		assert_int_equal(load(ORIGIN, &changed), i);
	}
	snprintf(path, sizeof(path), "%s/applied-a.json", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_save_that_was_cut_short_leaves_the_one_before(void **state)
{
	bool changed;

	save(ORIGIN, 1); /* b */
	save(ORIGIN, 2); /* a */
	for (long len = 40; len >= 0; len -= 20) {
		cut("applied-a.json", len);
		assert_int_equal(load(ORIGIN, &changed), 1);
	}
	save(ORIGIN, 3);
	assert_int_equal(load(ORIGIN, &changed), 3);
	cut("applied-a.json", 0);
	cut("applied-b.json", 0);
	assert_int_equal(load(ORIGIN, &changed), -1);
	assert_false(changed);
}

static void another_file_does_not_get_it(void **state)
{
	bool changed;

	save(ORIGIN, 1);
	assert_int_equal(load(ANOTHER, &changed), -1);
	assert_true(changed);
	save(ANOTHER, 2);
	assert_int_equal(load(ANOTHER, &changed), 2);
	assert_int_equal(load(ORIGIN, &changed), -1);
}

static void a_directory_is_for_one_agent(void **state)
{
	struct state *s = open_state();
	char why[256] = "";

	assert_null(state_open(dir, why, sizeof(why)));
	assert_non_null(strstr(why, "another agent"));
	state_close(s);
	assert_null(state_open("/nonexistent", why, sizeof(why)));
	assert_non_null(strstr(why, "state_dir"));
}

/* What agent_load() takes from the file and the state; warm_legs, to see which. */
static uint64_t loaded_warm_legs(struct state **s, json_t **document)
{
	struct conf_errors errors = {0};
	struct agent_config c;
	uint64_t legs;

	if (!agent_load(file, &c, document, s, &errors))
		fail_msg("%s", errors.text);
	legs = c.warm_legs;
	agent_config_free(&c);
	conf_errors_free(&errors);
	return legs;
}

static void what_was_applied_counts_until_the_file_is_edited(void **state)
{
	char text[2048];
	struct state *s;
	json_t *document;

	snprintf(text, sizeof(text), BASE "warm_legs: 3\nstate_dir: %s\n", dir);
	write_file(text);
	assert_int_equal(loaded_warm_legs(&s, &document), 3);
	json_object_set_new(document, "warm_legs", json_integer(7));
	assert_int_equal(state_save(s, document), 0);
	state_close(s);
	json_decref(document);

	assert_int_equal(loaded_warm_legs(&s, &document), 7);
	assert_int_equal(json_integer_value(json_object_get(document, "warm_legs")), 7);
	state_close(s);
	json_decref(document);

	/* Another way to write the same is no edit. */
	snprintf(text, sizeof(text), "# mine\nstate_dir: %s\nwarm_legs:   3\n" BASE, dir);
	write_file(text);
	assert_int_equal(loaded_warm_legs(&s, &document), 7);
	state_close(s);
	json_decref(document);

	snprintf(text, sizeof(text), BASE "warm_legs: 4\nstate_dir: %s\n", dir);
	write_file(text);
	assert_int_equal(loaded_warm_legs(&s, &document), 4);
	/* What no longer passes the checks does not keep the agent from starting. */
	json_object_set_new(document, "warm_legs", json_string("many"));
	assert_int_equal(state_save(s, document), 0);
	state_close(s);
	json_decref(document);
	assert_int_equal(loaded_warm_legs(&s, &document), 4);
	state_close(s);
	json_decref(document);
}

#define STATE_TEST(f)                                                                              \
	{                                                                                          \
#f, f, make_dir, remove_dir, NULL                                                  \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STATE_TEST(the_newest_counts),
		STATE_TEST(a_save_that_was_cut_short_leaves_the_one_before),
		STATE_TEST(another_file_does_not_get_it),
		STATE_TEST(a_directory_is_for_one_agent),
		STATE_TEST(what_was_applied_counts_until_the_file_is_edited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
