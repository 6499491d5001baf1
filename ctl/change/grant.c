/* SPDX-License-Identifier: Apache-2.0 */
/* grant: who may reach what: grant, grants, ungrant. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/change/change.h"
#include "ctl/change/names.h"
#include "ctl/change/relays.h"
#include "ctl/talk/connection.h"
#include "ctl/terminal/show.h"
#include "ctl/terminal/units.h"

static const struct option_row grant_options[] = {
	{"--until", "TIME", false, "a day (friday, 2026-11-27), a span (3d) or a moment"},
	{"--hours", "HOURS", false, "when, in UTC: 'mon-fri 08:00-18:00'"},
	{"--source", "NETWORK", true, "where the agent must come from: 203.0.113.0/24"},
	{"--rate", "RATE", false, "of each session: 20MB/s, 100Mbit/s"},
	{"--sessions", "N", false, "at a time"},
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

/* ---- what is good to know before a grant ---- */

/* As the relay sees it: the keys count, not what is in them. */
static bool config_has_rules(const json_t *config)
{
	return json_object_get(config, "grants") || json_object_get(config, "policy");
}

static bool has_star(const char *text)
{
	return strchr(text, '*') != NULL;
}

/* The service of an agent that is connected: then its list is complete. */
static void note_service(const json_t *agents, const char *agent, const char *service,
			 const char *label)
{
	static struct known_names names;
	json_t *item, *name;
	size_t i, k;

	names = (struct known_names){.count = 0};
	json_array_foreach(agents, i, item)
	{
		const char *text = json_string_value(json_object_get(item, "agent"));

		if (!text || strcmp(text, agent) != 0 ||
		    !json_is_true(json_object_get(item, "online")))
			continue;
		json_array_foreach(json_object_get(item, "services"), k, name)
			known_add(&names, name);
	}
	if (names.count > 0 && !has_star(service))
		known_note(&names, service, "service", label, "it counts when it is published");
}

/* In from: every agent, or clients without a certificate. */
static bool is_wide(const char *from)
{
	return has_star(from) || strcmp(from, "public") == 0;
}

/* Tells, and hinders nothing: that this is a relay's first rule, and names that look like slips. */
static json_t *grant_notes(const struct arguments *a, struct connection *conn,
			   const struct relays_change *c)
{
	static struct known_names names;
	json_t *get = known_ask(conn, "config.get"), *list = known_ask(conn, "agents");
	const json_t *config = json_object_get(get, "config");
	const json_t *agents = json_object_get(list, "agents");
	const char *slash = strchr(a->words[1], '/');
	char agent[64] = "";

	names = (struct known_names){.count = 0};
	if (config && !config_has_rules(config))
		complain("note: %s had no rule; with this first one, what no rule allows is "
			 "denied",
			 conn->label);
	known_add_all(&names, agents, config, true);
	if (list && get && !is_wide(a->words[0]))
		known_note(&names, a->words[0], "agent or group", conn->label,
			   "it may when it comes");
	if (slash && (size_t)(slash - a->words[1]) < sizeof(agent)) {
		memcpy(agent, a->words[1], (size_t)(slash - a->words[1]));
		if (list && get && !has_star(agent))
			known_note(&names, agent, "agent", conn->label, "it counts when it comes");
		note_service(agents, agent, slash + 1, conn->label);
	}
	json_decref(get);
	json_decref(list);
	return json_incref(c->params);
}

/* ---- grant ---- */

static bool take_sessions(const struct arguments *a, json_t *params)
{
	const char *text = arguments_text(a, "--sessions", NULL);
	char *end;
	long n;

	if (!text)
		return true;
	n = strtol(text, &end, 10);
	if (n <= 0 || *end != '\0') {
		complain_usage(a->command, "--sessions: '%s' is no number above 0", text);
		return false;
	}
	json_object_set_new(params, "sessions", json_integer(n));
	return true;
}

static void take_sources(const struct arguments *a, json_t *params)
{
	json_t *list = json_array();
	const char *value;
	size_t at = 0;

	while ((value = arguments_next(a, "--source", &at)))
		json_array_append_new(list, json_string(value));
	if (json_array_size(list) > 0)
		json_object_set(params, "source", list);
	json_decref(list);
}

static void describe_grant(const struct arguments *a, const char *until, char *out, size_t room)
{
	const char *hours = arguments_text(a, "--hours", NULL);
	const char *rate = arguments_text(a, "--rate", NULL);

	snprintf(out, room, "%s may reach %s%s%s%s%s%s%s%s", a->words[0], a->words[1],
		 until[0] ? " until " : "", until, hours ? ", " : "", hours ? hours : "",
		 hours ? " UTC" : "", rate ? ", at most " : "", rate ? rate : "");
}

static enum status rules_run_grant(const struct arguments *a)
{
	json_t *params = json_pack("{s:s, s:s}", "agent", a->words[0], "to", a->words[1]);
	struct relays_change c = {"grant", params, "", grant_notes};
	char until[UNITS_MOMENT_BYTES], done[512];

	if (!strchr(a->words[1], '/')) {
		complain_usage(a->command,
			       "'%s' is not AGENT/SERVICE; write %s/SERVICE, or %s/* "
			       "for all of them",
			       a->words[1], a->words[1], a->words[1]);
		json_decref(params);
		return STATUS_USAGE;
	}
	if (!relays_take_moment(a, "--until", false, params, until) || !take_sessions(a, params)) {
		json_decref(params);
		return STATUS_USAGE;
	}
	relays_take_text(a, "--hours", params);
	relays_take_text(a, "--rate", params);
	take_sources(a, params);
	describe_grant(a, until, done, sizeof(done));
	c.done = done;
	return relays_change(a, &c);
}

/* ---- the others ---- */

static enum status rules_run_ungrant(const struct arguments *a)
{
	const char *to = a->word_count > 1 ? a->words[1] : NULL;
	json_t *params = json_pack("{s:s}", "agent", a->words[0]);
	char done[256];
	const struct relays_change c = {"ungrant", params, done, NULL};

	if (to)
		json_object_set_new(params, "to", json_string(to));
	snprintf(done, sizeof(done), "%s has lost its grant of %s", a->words[0],
		 to ? to : "everything");
	return relays_change(a, &c);
}

/* ---- grants ---- */

static const struct show_column rule_columns[] = {
	{"FROM", "from", SHOW_LIST, NULL},
	{"TO", "to", SHOW_LIST, NULL},
	{"UNTIL", "until", SHOW_TEXT, NULL},
	{"HOURS (UTC)", "hours", SHOW_TEXT, NULL},
	{"SOURCE", "source", SHOW_LIST, NULL},
	{"RATE", "rate", SHOW_TEXT, NULL},
	{"AT A TIME", "sessions", SHOW_COUNT, NULL},
	{"BY", "by", SHOW_TEXT, NULL},
	{NULL, NULL, SHOW_TEXT, NULL},
};

/* Appends copies of the rules, each with where it stands. */
static void add_rules(json_t *list, const json_t *rules, const char *by)
{
	json_t *rule;
	size_t i;

	json_array_foreach(rules, i, rule)
	{
		json_t *copy = json_deep_copy(rule);

		json_object_set_new(copy, "by", json_string(by));
		json_array_append_new(list, copy);
	}
}

static void print_grants(const json_t *result)
{
	const char *otherwise = json_string_value(json_object_get(result, "otherwise"));
	bool denies = otherwise && strcmp(otherwise, "deny") == 0;
	json_t *rules = json_array();

	add_rules(rules, json_object_get(result, "grants"), "grant");
	add_rules(rules, json_object_get(result, "policy"), "policy");
	if (json_array_size(rules) > 0)
		show_table(stdout, rules, rule_columns);
	else
		puts(denies ? "there is a policy without a rule: everything is denied"
			    : "there is no policy: every agent may reach every service");
	revoke_print(result);
	json_decref(rules);
}

static enum status rules_run_grants(const struct arguments *a)
{
	struct connection conn;
	json_t *result;

	if (!connection_open_relay(a, &conn))
		return STATUS_FAILED;
	result = connection_call(&conn, "grants", NULL);
	if (result && arguments_flag(a, "--json"))
		show_json(stdout, result);
	else if (result)
		print_grants(result);
	json_decref(result);
	connection_close(&conn);
	return result ? STATUS_OK : STATUS_FAILED;
}

const struct command grant_commands[] = {
	{"grant", "AGENT AGENT/SERVICE", 2, 2, "Lets an agent, or a group, reach a service.",
	 grant_options, rules_run_grant},
	{"grants", "", 0, 0, "Lists who may reach what, and who is revoked.", json_options,
	 rules_run_grants},
	{"ungrant", "AGENT [AGENT/SERVICE]", 1, 2, "Takes grants back; sessions by them end.",
	 json_options, rules_run_ungrant},
	{.name = NULL},
};
