/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: rules as a configuration writes them, and what they decide.
 * links: core/key_file.c
 * links: core/engine/entitled.c core/engine/revocations.c
 * links: core/conf/rows.c
 * links: relay/config/stun.c relay/policy/policy.c relay/policy/compile.c
 * links: relay/policy/index.c relay/policy/source.c relay/policy/time.c relay/config/config.c
 * links: relay/config/policy.c core/conf/conf.c core/conf/bind.c
 * links: core/conf/error.c core/conf/value.c core/addr.c core/log*.c core/parse/wire.c
 * links: core/parse/reason.c core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "relay/config/config.h"

#define PEM(label) "|\n    -----BEGIN " label "-----\n    MA==\n    -----END " label "-----\n"
#define BASE                                                                                                           \
	"name: front\nlisten: [{address: '0.0.0.0:443'}]\nidentity:\n  ca: " PEM("CERTIFICATE") "  certificate: " PEM( \
		"CERTIFICATE") "  key: " PEM("PRIVATE KEY") "  tag_keys: "                                             \
							    "7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a"                     \
							    "7a7a7a7a7a7a7a7a7a7a7a7a7a7a\n"

#define FRIDAY 1795773600 /* 2026-11-27T10:00:00Z */
#define HOUR   3600

/* ---- asking --------------------------------------------------------------------------------- */

static bool bind_text(const char *yaml, struct relay_config *c, struct conf_errors *errors)
{
	static char text[65536];
	struct conf_node *root;
	bool ok;

	snprintf(text, sizeof text, BASE "%s", yaml);
	root = conf_parse(text, strlen(text), errors);
	ok = root && relay_config_bind(root, c, errors);
	conf_node_free(root);
	return ok;
}

static struct policy *policy(const char *yaml)
{
	struct conf_errors errors = {.file = "f"};
	struct relay_config c;
	struct policy *p;

	if (!bind_text(yaml, &c, &errors))
		fail_msg("%s", errors.text);
	conf_errors_free(&errors);
	p = policy_new(&c.policy_conf);
	assert_non_null(p);
	relay_config_free(&c); /* the policy needs nothing of it */
	return p;
}

/* target is AGENT/SERVICE. */
static struct policy_answer ask_at(const struct policy *p, const char *from, const char *target,
				   time_t now, const char *source)
{
	char agent[64];
	struct policy_question q = {
		.from = from, .to = agent, .service = strchr(target, '/') + 1, .now = now};
	struct addr address;

	snprintf(agent, sizeof agent, "%.*s", (int)strcspn(target, "/"), target);
	if (source) {
		assert_true(addr_from_literal(source, 40000, &address));
		q.source = &address;
	}
	return policy_decide(p, &q);
}

static struct policy_answer ask(const struct policy *p, const char *from, const char *target)
{
	return ask_at(p, from, target, FRIDAY, NULL);
}

#define assert_reason(p, from, target, expected)                                                   \
	assert_string_equal(reason_name(ask(p, from, target).reason), #expected)

/* ---- what there is a policy for ------------------------------------------------------------- */

static void without_a_policy_all_is_allowed(void **state)
{
	struct policy *p = policy("groups: [{name: admins, members: [a, b]}]\n");
	struct policy_answer a = ask(p, "a", "home/web");

	assert_int_equal(a.reason, REASON_OK);
	assert_int_equal(a.rate, 0);
	assert_int_equal(a.again, 0);
	assert_int_equal(a.rule, SIZE_MAX);
	assert_reason(p, "", "home/web", OK);
	policy_free(p);
}

static void an_empty_policy_denies(void **state)
{
	static const char *const texts[] = {"policy: []\n", "grants: []\n"};

	for (size_t i = 0; i < 2; i++) {
		struct policy *p = policy(texts[i]);

		assert_reason(p, "a", "home/web", NOT_ALLOWED);
		assert_reason(p, "", "home/web", NOT_ALLOWED);
		policy_free(p);
	}
}

static void askers(void **state)
{
	struct policy *p = policy("groups:\n"
				  "  - {name: admins, members: [laptop, desk]}\n"
				  "  - {name: all, members: [laptop, desk, phone, desk]}\n"
				  "policy:\n"
				  "  - {from: [admins], to: [home/ssh]}\n"
				  "  - {from: [phone, all], to: [home/music]}\n"
				  "  - {from: ['*'], to: [home/time]}\n"
				  "  - {from: [public], to: [home/web]}\n"
				  "grants:\n"
				  "  - {from: [guest], to: [home/ssh]}\n");

	assert_reason(p, "laptop", "home/ssh", OK);
	assert_reason(p, "desk", "home/ssh", OK);
	assert_reason(p, "guest", "home/ssh", OK);
	assert_reason(p, "phone", "home/ssh", NOT_ALLOWED);
	assert_reason(p, "phone", "home/music", OK);
	assert_reason(p, "stranger", "home/music", NOT_ALLOWED);
	assert_reason(p, "stranger", "home/time", OK);
	assert_reason(p, "", "home/time", OK);
	assert_reason(p, "", "home/web", OK);
	assert_reason(p, "laptop", "home/web", NOT_ALLOWED);
	assert_reason(p, "public", "home/web", NOT_ALLOWED); /* an agent that calls itself so */
	assert_reason(p, "admins", "home/ssh", NOT_ALLOWED); /* or like a group */
	assert_reason(p, "laptop", "work/ssh", NOT_ALLOWED);
	policy_free(p);
}

static void targets(void **state)
{
	static const struct {
		const char *to, *target;
		bool matches;
	} cases[] = {
		{"home/web", "home/web", true},
		{"home/web", "home/web2", false},
		{"home/web", "home/web/2", false},
		{"home/web/2", "home/web/2", true},
		{"home/*", "home/web/2", true},
		{"*/web", "home/web", true},
		{"*/web", "home/a/web", false},
		{"*/*", "home/a/web", true},
		{"db-*/ssh", "db-1/ssh", true},
		{"db-*/ssh", "db/ssh", false},
		{"db*/ssh", "db/ssh", true},
		{"*-db/ssh", "my-db/ssh", true},
		{"*-db/ssh", "my-db2/ssh", false},
		{"home/web/*", "home/web/2/3", true},
		{"home/web/*", "home/web", false},
		{"home/*.org", "home/a.org", true},
		{"home/*/admin", "home/x/admin", true},
		{"home/*/admin", "home/admin", false},
		{"*b/ssh", "ab/ssh", true},
		{"a*/ssh", "b/ssh", false},
	};
	char yaml[128];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(yaml, sizeof yaml, "policy: [{from: [a], to: ['%s']}]\n", cases[i].to);
		struct policy *p = policy(yaml);
		bool matches = ask(p, "a", cases[i].target).reason == REASON_OK;

		if (matches != cases[i].matches)
			fail_msg("%s and %s", cases[i].to, cases[i].target);
		policy_free(p);
	}
}

/* ---- conditions ----------------------------------------------------------------------------- */

static void a_rule_ends(void **state)
{
	struct policy *p = policy("policy:\n"
				  "  - {from: [a], to: [home/web], until: 2026-11-27T18:00:00Z}\n"
				  "  - {from: [b], to: [home/web], until: 2026-11-27}\n");
	struct policy_answer a = ask(p, "a", "home/web");

	assert_int_equal(a.reason, REASON_OK);
	assert_int_equal(a.again, FRIDAY + 8 * HOUR);
	a = ask_at(p, "a", "home/web", FRIDAY + 8 * HOUR - 1, NULL);
	assert_int_equal(a.reason, REASON_OK);
	a = ask_at(p, "a", "home/web", FRIDAY + 8 * HOUR, NULL);
	assert_int_equal(a.reason, REASON_NOT_ALLOWED);
	assert_int_equal(a.again, 0);
	assert_int_equal(ask(p, "b", "home/web").again, FRIDAY + 14 * HOUR);
	policy_free(p);
}

static void a_rule_has_hours(void **state)
{
	struct policy *p = policy("policy:\n"
				  "  - from: [a]\n"
				  "    to: [home/web]\n"
				  "    hours: mon-fri 08:00-18:00\n"
				  "    until: 2026-11-30T09:00:00Z\n");
	struct policy_answer a = ask(p, "a", "home/web");

	assert_int_equal(a.reason, REASON_OK);
	assert_int_equal(a.again, FRIDAY + 8 * HOUR);
	a = ask_at(p, "a", "home/web", a.again, NULL);
	assert_int_equal(a.reason, REASON_NOT_ALLOWED);
	assert_int_equal(a.again, FRIDAY + 70 * HOUR); /* Monday at eight */
	a = ask_at(p, "a", "home/web", a.again, NULL);
	assert_int_equal(a.reason, REASON_OK);
	assert_int_equal(a.again, FRIDAY + 71 * HOUR);
	a = ask_at(p, "a", "home/web", a.again, NULL);
	assert_int_equal(a.reason, REASON_NOT_ALLOWED);
	assert_int_equal(a.again, 0);
	policy_free(p);
}

static void a_rule_has_networks(void **state)
{
	struct policy *p = policy("policy:\n"
				  "  - from: ['*']\n"
				  "    to: [home/web]\n"
				  "    source: [203.0.113.0/24, '2001:db8::/32', 192.0.2.1]\n");
	static const struct {
		const char *source;
		enum reason reason;
	} cases[] = {
		{"203.0.113.9", REASON_OK},	     {"203.0.114.9", REASON_NOT_ALLOWED},
		{"::ffff:203.0.113.9", REASON_OK},   {"2001:db8:1::1", REASON_OK},
		{"2001:db9::1", REASON_NOT_ALLOWED}, {"192.0.2.1", REASON_OK},
		{"192.0.2.2", REASON_NOT_ALLOWED},   {NULL, REASON_NOT_ALLOWED},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(ask_at(p, "a", "home/web", FRIDAY, cases[i].source).reason,
				 cases[i].reason);
	policy_free(p);
}

static void the_most_generous_counts(void **state)
{
	struct policy *p = policy("policy:\n"
				  "  - {from: [a], to: [home/web], rate: 2MB/s, sessions: 9}\n"
				  "  - {from: ['*'], to: [home/*], rate: 5MB/s, sessions: 3}\n"
				  "  - {from: [a], to: ['*/*'], rate: 1MB/s, sessions: 1}\n"
				  "grants:\n"
				  "  - {from: [a], to: [home/web], rate: 7MB/s, sessions: 2,\n"
				  "     until: 2026-11-27T12:00:00Z}\n"
				  "  - {from: [b], to: [home/web]}\n");
	struct policy_answer a = ask(p, "a", "home/web");
	char path[POLICY_PATH_BYTES];

	assert_int_equal(a.rate, 7000000);
	assert_int_equal(a.again, FRIDAY + 2 * HOUR);
	assert_string_equal(policy_rule_path(p, a.rule, path), "grants[0]");
	assert_true(a.granted);
	a = ask_at(p, "a", "home/web", a.again, NULL);
	assert_int_equal(a.rate, 5000000);
	assert_int_equal(a.again, 0);
	assert_string_equal(policy_rule_path(p, a.rule, path), "policy[1]");
	assert_false(a.granted);
	a = ask(p, "b", "home/web");
	assert_int_equal(a.rate, 0);
	assert_string_equal(policy_rule_path(p, a.rule, path), "grants[1]");
	assert_true(a.granted);
	assert_string_equal(policy_rule_path(p, SIZE_MAX, path), "");
	policy_free(p);
}

static void sessions_are_bounded(void **state)
{
	struct policy *p =
		policy("policy:\n"
		       "  - {from: [a], to: [home/web], sessions: 2, until: 2026-11-27}\n"
		       "  - {from: [b], to: [home/web], sessions: 2}\n"
		       "  - {from: [b], to: [home/web], rate: 1MB/s}\n");
	struct policy_question q = {
		.from = "a", .to = "home", .service = "web", .now = FRIDAY, .running = 1};
	struct policy_answer a;

	assert_int_equal(policy_decide(p, &q).reason, REASON_OK);
	q.running = 2;
	a = policy_decide(p, &q);
	assert_int_equal(a.reason, REASON_LIMIT_SESSIONS);
	assert_int_equal(a.rule, 0);
	assert_int_equal(a.again, FRIDAY + 14 * HOUR);
	q.from = "b";
	q.running = 1000;
	a = policy_decide(p, &q);
	assert_int_equal(a.reason, REASON_OK);
	assert_int_equal(a.rate, 0);
	policy_free(p);
}

#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void a_revoked_agent_is_denied(void **state)
{
	struct policy *p = policy("policy: [{from: ['*'], to: ['*/*']}]\n"
				  "revoked:\n"
				  "  - {agent: lost, note: left in a train}\n"
				  "  - {agent: sold}\n"
				  "  - {agent: lost}\n");
	const struct revocations *r = policy_revocations(p);

	assert_reason(p, "lost", "home/web", REVOKED);
	assert_reason(p, "laptop", "sold/web", REVOKED);
	assert_reason(p, "laptop", "home/web", OK);
	assert_reason(p, "", "home/web", OK);
	assert_int_equal(r->count, 2);
	assert_string_equal(r->list[0].value, "lost");
	assert_string_equal(r->list[1].value, "sold");
	policy_free(p);
	p = policy("revoked: [{agent: lost}]\n");
	assert_reason(p, "lost", "home/web", REVOKED);
	assert_reason(p, "home", "home/web", OK);
	policy_free(p);
}

/* What counts is the certificate, and that is not asked here. */
static void a_name_that_was_issued_again_is_not_denied(void **state)
{
	struct policy *p = policy("policy: [{from: ['*'], to: ['*/*']}]\n"
				  "revoked:\n"
				  "  - {agent: laptop, before: '1970-01-01T00:01:40Z'}\n"
				  "  - {serial: 0a1b}\n"
				  "  - {key: " KEY "}\n");
	const struct revocations *r = policy_revocations(p);

	assert_reason(p, "laptop", "home/web", OK);
	assert_int_equal(r->count, 3);
	assert_int_equal(r->list[0].before, 100);
	assert_int_equal(r->list[1].kind, WIRE_REVOKED_SERIAL);
	assert_string_equal(r->list[1].value, "0a1b");
	assert_int_equal(r->list[2].kind, WIRE_REVOKED_KEY);
	assert_string_equal(r->list[2].value, KEY);
	policy_free(p);
}

static void names_may_be_as_long_as_they_can(void **state)
{
#define LONG "a23456789-123456789-123456789-123456789-123456789-123456789-12b"
	struct policy *p = policy("policy:\n"
				  "  - {from: [" LONG "], to: [" LONG "/" LONG "]}\n"
				  "  - {from: [a], to: [a23456789-12345678*/*123456789-12b]}\n");

	assert_reason(p, LONG, LONG "/" LONG, OK);
	assert_reason(p, "a", LONG "/" LONG, OK);
	assert_reason(p, "b", LONG "/" LONG, NOT_ALLOWED);
	/* No such name can sign in; it matches nothing all the same. */
	assert_reason(p, "a", LONG "/" LONG LONG, NOT_ALLOWED);
	policy_free(p);
}

/* ---- the configuration ---------------------------------------------------------------------- */

static void wrong_values(void **state)
{
	static const struct {
		const char *yaml, *says;
	} cases[] = {
		{"policy: [{to: [a/b]}]", "policy[0].from: is missing; add who may"},
		{"policy: [{from: [], to: [a/b]}]", "policy[0].from: is empty; add who may"},
		{"policy: [{from: [a]}]", "policy[0].to: is missing; add what they may reach"},
		{"policy: [{from: [a, B], to: [a/b]}]",
		 "policy[0].from[1]: \"B\" is not an agent or a group"},
		{"policy: [{from: ['db-*'], to: [a/b]}]", "\"db-*\" is not an agent or a group"},
		{"policy: [{from: [a], to: ['*']}]", "policy[0].to[0]: \"*\" is not AGENT/SERVICE"},
		{"policy: [{from: [a], to: [home]}]", "\"home\" is not AGENT/SERVICE"},
		{"policy: [{from: [a], to: ['a*b/c']}]", "\"a*b/c\" is not AGENT/SERVICE"},
		{"policy: [{from: [a], to: ['*a*/c']}]", "\"*a*/c\" is not AGENT/SERVICE"},
		{"policy: [{from: [a], to: ['a/']}]", "\"a/\" is not AGENT/SERVICE"},
		{"policy: [{from: [a], to: [a.b/c]}]", "\"a.b/c\" is not AGENT/SERVICE"},
		{"policy: [{from: [a], to: [a//c]}]", "\"a//c\" is not AGENT/SERVICE"},
		{"policy: [{from: [a], to: [A/c]}]", "\"A/c\" is not AGENT/SERVICE"},
		{"policy: [{from: [a], to: [a/b], until: friday}]",
		 "policy[0].until: \"friday\" is not a date; write 2026-11-27"},
		{"policy: [{from: [a], to: [a/b], hours: 8-18}]",
		 "policy[0].hours: \"8-18\" is not right; write days and times of UTC"},
		{"policy: [{from: [a], to: [a/b], source: [10.0.0.1/8]}]",
		 "policy[0].source[0]: \"10.0.0.1/8\" is not the first address of its network"},
		{"policy: [{from: [a], to: [a/b], source: [10/8]}]", "\"10/8\" is not a network"},
		{"policy: [{from: [a], to: [a/b], rate: 20}]", "\"20\" is not a rate"},
		{"grants: [{from: [a], to: [a/b], sessions: -1}]",
		 "grants[0].sessions: \"-1\" is not a whole number"},
		{"groups: [{name: public, members: [a]}]",
		 "groups[0].name: \"public\" stands for clients without a certificate"},
		{"groups: [{name: g, members: [a, public]}]", "groups[0].members[1]: \"public\""},
		{"groups: [{name: g, members: []}]", "groups[0].members: is empty"},
		{"groups: [{name: g, members: [a]}, {name: g, members: [b]}]",
		 "groups[1]: has the name \"g\" like another one"},
		{"revoked: [lost]", "revoked[0]: is a single value, but should be a map"},
		{"revoked: [{agent: Lost}]", "revoked[0].agent: \"Lost\" is not a name"},
		{"revoked: [{note: lost}]", "revoked[0]: needs one of agent, serial and key"},
		{"revoked: [{agent: lost, serial: 0a}]", "revoked[0]: needs one of agent, serial"},
		{"revoked: [{serial: 0A}]", "revoked[0].serial: \"0A\" is not a serial number"},
		{"revoked: [{key: 0a}]", "revoked[0].key: \"0a\" is not the SHA-256 of a key"},
		{"revoked: [{agent: lost, before: noon}]",
		 "revoked[0].before: \"noon\" is not a date"},
		{"revoked: [{serial: 0a, before: '2026-11-27'}]",
		 "revoked[0]: has before, which goes with agent"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct conf_errors errors = {.file = "f"};
		struct relay_config c;

		if (bind_text(cases[i].yaml, &c, &errors))
			fail_msg("%s is taken", cases[i].yaml);
		assert_int_equal(errors.count, 1);
		if (!strstr(errors.text, cases[i].says))
			fail_msg("\"%s\" does not say: %s", errors.text, cases[i].says);
		conf_errors_free(&errors);
	}
}

/* What binding yaml warns of, without places. */
static void assert_warns(const char *yaml, const char *says)
{
	struct conf_errors errors = {.file = "f"};
	struct relay_config c;

	if (!bind_text(yaml, &c, &errors))
		fail_msg("%s", errors.text);
	relay_config_free(&c);
	assert_int_equal(errors.count, 0);
	assert_int_equal(errors.warnings.count, says != NULL);
	if (says && !strstr(errors.warnings.text, says))
		fail_msg("\"%s\" does not say: %s", errors.warnings.text, says);
	conf_errors_free(&errors);
}

#define GROUPS                                                                                     \
	"groups:\n  - {name: laptops, members: [laptop, lapdog]}\n"                                \
	"  - {name: ops, members: [op1]}\n  - {name: web, members: [web1]}\n"

static void slips_are_told(void **state)
{
	assert_warns(GROUPS "policy: [{from: [laptosp, a], to: [a/b]}]\n",
		     "policy[0].from[0]: \"laptosp\" is no group, so it is taken for an agent; did "
		     "you mean \"laptops\"?\n");
	assert_warns(GROUPS "grants: [{from: [a], to: [a/b]}, {from: [opss], to: [a/b]}]\n",
		     "grants[1].from[0]: \"opss\"");
	assert_warns(GROUPS "policy: [{from: [lptop], to: [a/b]}]\n", "did you mean \"laptops\"?");
	assert_warns(GROUPS "policy: [{from: [a], to: [ops/ssh]}]\n",
		     "policy[0].to[0]: \"ops\" is a group, but is taken for an agent here");
	/* Once for each name. */
	assert_warns(GROUPS
		     "policy: [{from: [laptosp], to: [a/b]}, {from: [laptosp], to: [a/c]}]\n",
		     "policy[0]");
}

static void what_is_no_slip_is_not_told(void **state)
{
	assert_warns(GROUPS "policy: [{from: [laptops, ops, laptop], to: ['*/*']}]\n", NULL);
	assert_warns(GROUPS "policy: [{from: [web2, web17, web], to: [a/b]}]\n", NULL);
	assert_warns(GROUPS "policy: [{from: [lapdog, desk, op, oxo], to: [a/b]}]\n", NULL);
	assert_warns("policy: [{from: [laptosp], to: [laptop/b]}]\n", NULL);
	assert_warns(GROUPS "policy: [{from: ['*', public], to: ['ops*/b']}]\n", NULL);
}

static void a_warning_has_its_place(void **state)
{
	struct conf_errors errors = {.file = "f"};
	const char yaml[] = BASE GROUPS "policy:\n  - from: [opss]\n    to: [a/b]\n";
	struct conf_node *root = conf_parse(yaml, strlen(yaml), &errors);
	struct relay_config c;

	assert_true(relay_config_bind(root, &c, &errors));
	assert_string_equal(errors.warnings.text,
			    "f:22:12: policy[0].from[0]: \"opss\" is no group, so it is taken for "
			    "an agent; did you mean \"ops\"?\n");
	relay_config_free(&c);
	conf_node_free(root);
	conf_errors_free(&errors);
	assert_null(errors.warnings.text);
}

static void a_policy_is_bounded(void **state)
{
	static char yaml[60000];
	struct conf_errors errors = {.file = "f"};
	struct relay_config c;
	size_t used = (size_t)snprintf(yaml, sizeof yaml, "policy:\n");

	for (unsigned i = 0; i <= POLICY_HOURS_MAX; i++)
		used += (size_t)snprintf(yaml + used, sizeof yaml - used,
					 "  - {from: [a], to: [a/b], hours: '%02u:%02u-24:00'}\n",
					 i / 60, i % 60);
	assert_false(bind_text(yaml, &c, &errors));
	assert_non_null(strstr(errors.text, "policy: has 257 different hours; the most is 256"));
	conf_errors_free(&errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_policy_all_is_allowed),
		cmocka_unit_test(an_empty_policy_denies),
		cmocka_unit_test(askers),
		cmocka_unit_test(targets),
		cmocka_unit_test(a_rule_ends),
		cmocka_unit_test(a_rule_has_hours),
		cmocka_unit_test(a_rule_has_networks),
		cmocka_unit_test(the_most_generous_counts),
		cmocka_unit_test(sessions_are_bounded),
		cmocka_unit_test(a_revoked_agent_is_denied),
		cmocka_unit_test(a_name_that_was_issued_again_is_not_denied),
		cmocka_unit_test(names_may_be_as_long_as_they_can),
		cmocka_unit_test(wrong_values),
		cmocka_unit_test(slips_are_told),
		cmocka_unit_test(what_is_no_slip_is_not_told),
		cmocka_unit_test(a_warning_has_its_place),
		cmocka_unit_test(a_policy_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
