/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_test: configurations as people edit them, between 'config get' and 'config apply'.
 *
 * links: core/key_file.c core/memory.c
 * links: core/engine/revocations.c
 * links: core/conf/rows.c
 * links: relay/config/stun.c ctl/change/document.c ctl/terminal/arguments.c ctl/terminal/files.c
 * links: core/file.c ctl/terminal/show.c ctl/terminal/units.c relay/config/config.c
 * links: relay/config/policy.c relay/policy/index.c relay/policy/source.c relay/policy/time.c
 * links: agent/config/config.c core/conf/conf.c core/conf/bind.c
 * links: core/conf/diff.c core/conf/error.c core/conf/json.c core/conf/value.c core/conf/yaml.c
 * links: core/addr.c core/log*.c core/parse/wire.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ctl/change/document.h"

#define PEM "\"-----BEGIN CERTIFICATE-----\\n-----END CERTIFICATE-----\\n\""
#define IDENTITY                                                                                   \
	"identity: {ca: " PEM ", certificate: " PEM ", key: (hidden), tag_keys: (hidden)}\n"
#define RELAY "name: main\nlisten: [{address: 0.0.0.0:443}]\n" IDENTITY

static bool parse(const char *text, const struct document_schema *schema, struct document *d,
		  char *errors, size_t room)
{
	struct conf_errors e = {.file = NULL};
	bool ok = document_parse(text, "file", schema, d, &e);

	snprintf(errors, room, "%s", e.text ? e.text : "");
	conf_errors_free(&e);
	return ok;
}

static void test_round_trip(void **state)
{
	char errors[1024], *text = NULL;
	struct document d, again;
	size_t len;
	FILE *to;

	assert_true(parse(RELAY, &document_relay, &d, errors, sizeof(errors)));
	assert_int_equal(d.revision, 0);
	to = open_memstream(&text, &len);
	document_print(to, d.config, 17, "relay.example:443");
	fclose(to);
	assert_true(parse(text, &document_relay, &again, errors, sizeof(errors)));
	assert_int_equal(again.revision, 17);
	assert_true(json_equal(again.config, d.config));
	assert_string_equal(json_string_value(json_object_get(
				    json_object_get(again.config, "identity"), "key")),
			    "(hidden)"); /* and nothing that stood in for it */
	document_free(&again);
	document_free(&d);
	free(text);
}

static void test_revision(void **state)
{
	static const struct {
		const char *head;
		uint64_t revision;
	} rows[] = {
		{"# revision 8\n", 8},
		{"# mine\n# revision 9\n", 9},
		{"# revision\n", 0},
		{"\n# revision 8\n", 0}, /* on top, or it is any comment */
		{"", 0},
	};
	char text[2048], errors[1024];
	struct document d;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "%s%s", rows[i].head, RELAY);
		assert_true(parse(text, &document_relay, &d, errors, sizeof(errors)));
		assert_int_equal(d.revision, rows[i].revision);
		document_free(&d);
	}
}

static void test_json(void **state)
{
	char errors[1024];
	struct document d;

	assert_true(parse("{\"name\": \"main\"}", &document_relay, &d, errors, sizeof(errors)));
	assert_int_equal(d.revision, 0);
	document_free(&d);
	assert_true(parse(" {\"revision\": 5, \"config\": {\"name\": \"main\"}}", &document_relay,
			  &d, errors, sizeof(errors)));
	assert_int_equal(d.revision, 5);
	assert_string_equal(json_string_value(json_object_get(d.config, "name")), "main");
	document_free(&d);
	assert_false(parse("{\n\"key\": \"secret\" \"secret\"}", &document_relay, &d, errors,
			   sizeof(errors)));
	assert_non_null(strstr(errors, "file:2:"));
	assert_null(strstr(errors, "secret"));
}

static void test_errors(void **state)
{
	char errors[1024];
	struct document d;

	assert_false(
		parse(RELAY "limits:\n  legs: 0\n", &document_relay, &d, errors, sizeof(errors)));
	assert_non_null(strstr(errors, "file:5:9: limits.legs: "));
	assert_false(parse(RELAY "nmae: x\n", &document_relay, &d, errors, sizeof(errors)));
	assert_false(parse("name: [\n", &document_relay, &d, errors, sizeof(errors)));
	assert_false(parse("", &document_relay, &d, errors, sizeof(errors)));
	/* A secret's mark is good where a secret stands, and nowhere else. */
	assert_false(parse("name: (hidden)\nlisten: [{address: 0.0.0.0:443}]\n" IDENTITY,
			   &document_relay, &d, errors, sizeof(errors)));
}

static void test_agent_secrets(void **state)
{
	char errors[1024];
	struct document d;

	assert_true(
		parse("name: home\nrelays: [{address: r.example:443}]\nproxy: (hidden)\n" IDENTITY,
		      &document_agent, &d, errors, sizeof(errors)));
	assert_string_equal(json_string_value(json_object_get(d.config, "proxy")), "(hidden)");
	document_free(&d);
}

static void assert_located(const struct document *d, const char *error, const char *expected)
{
	char line[512];

	document_locate(d, error, line, sizeof(line));
	assert_string_equal(line, expected);
}

static void test_locate(void **state)
{
	char errors[1024];
	struct document d;

	assert_true(
		parse(RELAY "limits:\n  legs: 5\n", &document_relay, &d, errors, sizeof(errors)));
	assert_located(&d, "limits.legs: no", "file:5:9: limits.legs: no");
	assert_located(&d, "listen[0].address: no", "file:2:20: listen[0].address: no");
	assert_located(&d, "listen[7].address: no", "file:2:9: listen[7].address: no");
	assert_located(&d, "limits.sessions: no", "file:5:3: limits.sessions: no");
	assert_located(&d, "policy[0]: no", "file: policy[0]: no");
	assert_located(&d, "no colon", "file: no colon");
	assert_located(&d, "", "file: ");
	assert_located(&d, "[: x", "file: [: x");
	assert_located(&d, "a\033[2J: x", "file: a\\x1b[2J: x");
	document_free(&d);
}

static void test_diff(void **state)
{
	json_t *diff = json_pack("[{s:s, s:n, s:i}, {s:s, s:s, s:n}, {s:s, s:s, s:s}]", "path",
				 "limits.legs", "from", "to", 5, "path", "user", "from", "nobody",
				 "to", "path", "site.page", "from", "a\nb\nc\n", "to", "d");
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	document_print_diff(to, diff);
	fclose(to);
	assert_string_equal(text,
			    "+ limits.legs: 5\n- user: nobody\n~ site.page: (3 lines) -> d\n");
	free(text);
	json_decref(diff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_revision),
		cmocka_unit_test(test_json),	      cmocka_unit_test(test_errors),
		cmocka_unit_test(test_agent_secrets), cmocka_unit_test(test_locate),
		cmocka_unit_test(test_diff),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
