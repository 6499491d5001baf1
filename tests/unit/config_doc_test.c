/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postern.yaml(5) says of every key what the schemas say, and of no other; its examples load.
 * Runs at the top of the source tree.
 * links: core/key_file.c core/memory.c
 * links: core/engine/revocations.c
 * links: core/conf/rows.c
 * links: relay/config/stun.c relay/config/policy.c relay/policy/index.c
 * links: relay/policy/source.c relay/policy/time.c portmap/config.c portmap/gateway/driver.c
 * links: agent/config/config.c relay/config/config.c core/conf/conf.c core/conf/bind.c
 * links: core/conf/error.c core/conf/value.c core/addr.c core/log*.c
 * links: core/parse/wire.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/config/config.h"
#include "portmap/config.h"
#include "relay/config/config.h"

#define PAGE	   "man/postern.yaml.5"
#define KEY_PREFIX ".It Cm "

static char page[65536];

static int setup(void **state)
{
	FILE *f = fopen(PAGE, "r");

	if (!f)
		return -1;
	page[fread(page, 1, sizeof(page) - 1, f)] = '\0';
	fclose(f);
	return 0;
}

/* The text between two lines that are exactly from and to, beginning the search at *at; *at moves
 * behind it. The caller frees. */
static char *cut(const char **at, const char *from, const char *to)
{
	char begin[64], end[64];
	const char *start, *stop;

	snprintf(begin, sizeof(begin), "\n%s\n", from);
	snprintf(end, sizeof(end), "\n%s\n", to);
	start = strstr(*at, begin);
	assert_non_null(start);
	start += strlen(begin);
	stop = strstr(start, end);
	assert_non_null(stop);
	*at = stop;
	return strndup(start, (size_t)(stop + 1 - start));
}

/* Whether the item of key in section ends with the line "Spec.". */
static void assert_item(const char *section, const char *key, const char *spec)
{
	char head[128], line[256];
	const char *item, *end, *found;

	snprintf(head, sizeof(head), KEY_PREFIX "%s\n", key);
	item = strstr(section, head);
	if (!item)
		fail_msg(PAGE " lacks the key %s", key);
	item += strlen(head);
	end = strstr(item, "\n.It ");
	if (!end)
		end = strstr(item, "\n.El\n");
	assert_non_null(end);
	snprintf(line, sizeof(line), ".br\n%c%s.\n", toupper((unsigned char)spec[0]), spec + 1);
	found = strstr(item, line);
	if (!found || found > end)
		fail_msg(PAGE " should say of %s: %s", key, line);
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
		n++;
	return n;
}

static void compare(const char *heading, const struct conf_field *fields)
{
	const char *at = page;
	char *section = cut(&at, heading, ".El"), *schema = NULL, *rest;
	size_t size, keys = 0;
	FILE *f = open_memstream(&schema, &size);

	/* cut() leaves the list's end out; the last item needs it. */
	section = realloc(section, strlen(section) + 6);
	assert_non_null(section);
	strcat(section, ".El\n");
	conf_describe(f, fields);
	fclose(f);
	for (char *line = strtok_r(schema, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *tab = strchr(line, '\t'), *tab2 = tab ? strchr(tab + 1, '\t') : NULL;
		assert_non_null(tab2);
		*tab = *tab2 = '\0';
		assert_item(section, line, tab + 1);
		assert_true(strlen(tab2 + 1) > 10); /* the help is a sentence */
		keys++;
	}
	if (count(section, "\n" KEY_PREFIX) != keys)
		fail_msg(PAGE ", %s: there are %zu keys, the schema has %zu", heading,
			 count(section, "\n" KEY_PREFIX), keys);
	free(schema);
	free(section);
}

static void test_relay_keys(void **state)
{
	compare(".Sh RELAY KEYS", relay_config_fields());
}

static void test_agent_keys(void **state)
{
	compare(".Sh AGENT KEYS", agent_config_fields());
}

static void test_natd_keys(void **state)
{
	compare(".Sh NATD KEYS", natd_config_fields());
}

static struct conf_node *parse(const char *yaml, struct conf_errors *errors)
{
	struct conf_node *root = conf_parse(yaml, strlen(yaml), errors);

	if (!root)
		fail_msg("%s", errors->text);
	return root;
}

static void test_examples(void **state)
{
	const char *at = strstr(page, "\n.Sh EXAMPLES\n");
	struct conf_errors errors = {.file = PAGE};
	struct relay_config relay;
	struct agent_config agent;
	struct natd_config natd;
	struct conf_node *root;
	char *text, *more;

	assert_non_null(at);
	text = cut(&at, ".Bd -literal -offset indent", ".Ed");
	root = parse(text, &errors);
	if (!relay_config_bind(root, &relay, &errors))
		fail_msg("%s", errors.text);
	relay_config_free(&relay);
	conf_node_free(root);
	free(text);

	text = cut(&at, ".Bd -literal -offset indent", ".Ed");
	more = cut(&at, ".Bd -literal -offset indent", ".Ed");
	text = realloc(text, strlen(text) + strlen(more) + 1);
	assert_non_null(text);
	strcat(text, more);
	root = parse(text, &errors);
	if (!agent_config_bind(root, &agent, &errors))
		fail_msg("%s", errors.text);
	assert_int_equal(agent.forward.count, 1);
	agent_config_free(&agent);
	conf_node_free(root);
	free(more);
	free(text);

	text = cut(&at, ".Bd -literal -offset indent", ".Ed");
	root = parse(text, &errors);
	if (!natd_config_bind(root, &natd, &errors))
		fail_msg("%s", errors.text);
	assert_int_equal(natd.map.count, 2);
	natd_config_free(&natd);
	conf_node_free(root);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_relay_keys),
		cmocka_unit_test(test_agent_keys),
		cmocka_unit_test(test_natd_keys),
		cmocka_unit_test(test_examples),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
