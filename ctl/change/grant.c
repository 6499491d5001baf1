/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grant: who may reach what: grant, grants, ungrant, revoke, unrevoke.
 *
 * Relays share nothing, so a console that knows several changes all of them, one after the other,
 * unless --at names one: a revocation that one relay did not hear of would be none.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/conf/conf.h"
#include "ctl/change/change.h"
#include "ctl/talk/connection.h"
#include "ctl/terminal/show.h"
#include "ctl/terminal/units.h"

#define NAMES_MAX 4096 /* that a slip is compared with */

static const struct option_row grant_options[] = {
	{"--until", "TIME", false, "a day (friday, 2026-11-27), a span (3d) or a moment"},
	{"--hours", "HOURS", false, "when, in UTC: 'mon-fri 08:00-18:00'"},
	{"--source", "NETWORK", true, "where the agent must come from: 203.0.113.0/24"},
	{"--rate", "RATE", false, "of each session: 20MB/s, 100Mbit/s"},
	{"--sessions", "N", false, "at a time"},
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

#define WHICH_OPTIONS                                                                              \
	{"--serial", "HEX", false, "instead of AGENT: one certificate, by its serial number"},     \
	{                                                                                          \
		"--key", "HEX", false, "instead of AGENT: all of one key, by its SHA-256"          \
	}

static const struct option_row revoke_options[] = {
	WHICH_OPTIONS,
	{"--before", "TIME", false, "of AGENT's, those that begin before; else all up to now"},
	{"--note", "TEXT", false, "why, for those who read the list"},
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

static const struct option_row unrevoke_options[] = {
	WHICH_OPTIONS,
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

/* ---- what is good to know before a grant ---- */

/* The result, or NULL: notes are not worth an error. */
static json_t *ask_quietly(struct connection *conn, const char *method)
{
	struct rpc_failure failure = {.data = NULL};
	json_t *result = connection_try(conn, method, NULL, &failure);

	rpc_failure_free(&failure);
	return result;
}

/* As the relay sees it: the keys count, not what is in them. */
static bool config_has_rules(const json_t *config)
{
	return json_object_get(config, "grants") || json_object_get(config, "policy");
}

/* ---- names ---- */

struct known_names {
	const char *list[NAMES_MAX + 1]; /* in the results */
	size_t count;
};

static void add_name(struct known_names *names, const json_t *name)
{
	if (json_is_string(name) && names->count < NAMES_MAX)
		names->list[names->count++] = json_string_value(name);
}

static bool is_known(const struct known_names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->list[i], name) == 0)
			return true;
	return false;
}

/* The agents that rules speak of. */
static void add_rule_names(struct known_names *names, const json_t *rules)
{
	json_t *rule, *item;
	size_t i, k;

	json_array_foreach(rules, i, rule)
	{
		json_array_foreach(json_object_get(rule, "from"), k, item) add_name(names, item);
	}
}

/* Agents that are connected, and whom the configuration names. */
static void add_all(struct known_names *names, const json_t *agents, const json_t *config,
		    bool with_groups)
{
	const json_t *groups = json_object_get(config, "groups");
	json_t *item, *member;
	size_t i, k;

	json_array_foreach(agents, i, item) add_name(names, json_object_get(item, "agent"));
	json_array_foreach(groups, i, item)
	{
		if (with_groups)
			add_name(names, json_object_get(item, "name"));
		json_array_foreach(json_object_get(item, "members"), k, member)
			add_name(names, member);
	}
	add_rule_names(names, json_object_get(config, "policy"));
	add_rule_names(names, json_object_get(config, "grants"));
	json_array_foreach(json_object_get(config, "revoked"), i, item)
		add_name(names, json_object_get(item, "agent"));
}

/* It is done all the same: the agent may be away. then: what holds until it comes. */
static void note_name(const struct known_names *names, const char *name, const char *what,
		      const char *label, const char *then)
{
	const char *near = conf_nearest(name, names->list);

	if (!is_known(names, name))
		complain("note: no %s '%s' is known to %s; %s%s%s%s", what, name, label, then,
			 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
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
			add_name(&names, name);
	}
	if (names.count > 0 && !has_star(service))
		note_name(&names, service, "service", label, "it counts when it is published");
}

/* In from: every agent, or clients without a certificate. */
static bool is_wide(const char *from)
{
	return has_star(from) || strcmp(from, "public") == 0;
}

/* Tells, and hinders nothing: that this is a relay's first rule, and names that look like slips. */
static void grant_notes(const struct arguments *a, struct connection *conn)
{
	static struct known_names names;
	json_t *get = ask_quietly(conn, "config.get"), *list = ask_quietly(conn, "agents");
	const json_t *config = json_object_get(get, "config");
	const json_t *agents = json_object_get(list, "agents");
	const char *slash = strchr(a->words[1], '/');
	char agent[64] = "";

	names = (struct known_names){.count = 0};
	if (config && !config_has_rules(config))
		complain("note: %s had no rule; with this first one, what no rule allows is "
			 "denied",
			 conn->label);
	add_all(&names, agents, config, true);
	if (list && get && !is_wide(a->words[0]))
		note_name(&names, a->words[0], "agent or group", conn->label,
			  "it may when it comes");
	if (slash && (size_t)(slash - a->words[1]) < sizeof(agent)) {
		memcpy(agent, a->words[1], (size_t)(slash - a->words[1]));
		if (list && get && !has_star(agent))
			note_name(&names, agent, "agent", conn->label, "it counts when it comes");
		note_service(agents, agent, slash + 1, conn->label);
	}
	json_decref(get);
	json_decref(list);
}

/* A revocation is of a name, whether its agent is there or not: a slip would revoke nothing. */
static void revoke_notes(const struct arguments *a, struct connection *conn)
{
	static struct known_names names;
	json_t *get, *list;

	if (a->word_count == 0)
		return;
	get = ask_quietly(conn, "config.get");
	list = ask_quietly(conn, "agents");
	names = (struct known_names){.count = 0};
	add_all(&names, json_object_get(list, "agents"), json_object_get(get, "config"), false);
	if (list)
		note_name(&names, a->words[0], "agent", conn->label, "it is refused when it comes");
	json_decref(get);
	json_decref(list);
}

/* ---- at every relay ---- */

struct change {
	const char *method;
	json_t *params;
	const char *done; /* what to say, behind "RELAY: " where there are several */
	/* Looks at the relay before; or NULL. */
	void (*before)(const struct arguments *a, struct connection *conn);
};

static bool change_at(const struct arguments *a, const struct change *c, size_t nth, bool several)
{
	json_t *result;
	struct connection conn;

	if (!connection_open_nth(a, nth, &conn))
		return false;
	if (c->before)
		c->before(a, &conn);
	result = connection_call(&conn, c->method, json_incref(c->params));
	if (result && arguments_flag(a, "--json"))
		show_json(stdout, result);
	else if (result)
		printf("%s%s%s; revision %" JSON_INTEGER_FORMAT "\n", several ? conn.label : "",
		       several ? ": " : "", c->done,
		       json_integer_value(json_object_get(result, "revision")));
	if (result)
		change_tell_unsaved(result, conn.label);
	json_decref(result);
	connection_close(&conn);
	return result != NULL;
}

/* Takes c->params over. */
static enum status change_all(const struct arguments *a, const struct change *c)
{
	size_t count = connection_count(a), done = 0;

	for (size_t i = 0; i < count; i++)
		done += change_at(a, c, i, count > 1);
	json_decref(c->params);
	if (done < count && count > 1)
		complain("%zu of %zu relays have changed; run this again for the others", done,
			 count);
	return count > 0 && done == count ? STATUS_OK : STATUS_FAILED;
}

/* ---- grant ---- */

/* Sets the option's key as the relay reads it; shown gets it in local time. */
static bool take_moment(const struct arguments *a, const char *option, json_t *params,
			char shown[UNITS_MOMENT_BYTES])
{
	const char *text = arguments_text(a, option, NULL);
	char why[256], utc[32];
	struct tm tm;
	time_t moment;

	shown[0] = '\0';
	if (!text)
		return true;
	if (!units_parse_moment(text, time(NULL), &moment, why, sizeof(why))) {
		complain_usage(a->command, "%s: %s", option, why);
		return false;
	}
	gmtime_r(&moment, &tm);
	strftime(utc, sizeof(utc), "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_object_set_new(params, option + 2, json_string(utc));
	units_moment(moment, shown);
	return true;
}

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

static void take_text(const struct arguments *a, const char *option, json_t *params)
{
	const char *text = arguments_text(a, option, NULL);

	if (text)
		json_object_set_new(params, option + 2, json_string(text));
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
	struct change c = {"grant", params, "", grant_notes};
	char until[UNITS_MOMENT_BYTES], done[512];

	if (!strchr(a->words[1], '/')) {
		complain_usage(a->command,
			       "'%s' is not AGENT/SERVICE; write %s/SERVICE, or %s/* "
			       "for all of them",
			       a->words[1], a->words[1], a->words[1]);
		json_decref(params);
		return STATUS_USAGE;
	}
	if (!take_moment(a, "--until", params, until) || !take_sessions(a, params)) {
		json_decref(params);
		return STATUS_USAGE;
	}
	take_text(a, "--hours", params);
	take_text(a, "--rate", params);
	take_sources(a, params);
	describe_grant(a, until, done, sizeof(done));
	c.done = done;
	return change_all(a, &c);
}

/* ---- the others ---- */

static enum status rules_run_ungrant(const struct arguments *a)
{
	const char *to = a->word_count > 1 ? a->words[1] : NULL;
	json_t *params = json_pack("{s:s}", "agent", a->words[0]);
	char done[256];
	const struct change c = {"ungrant", params, done, NULL};

	if (to)
		json_object_set_new(params, "to", json_string(to));
	snprintf(done, sizeof(done), "%s has lost its grant of %s", a->words[0],
		 to ? to : "everything");
	return change_all(a, &c);
}

/* AGENT, --serial or --key, as the relay takes it; shown gets how to speak of it. NULL: it is not
 * one of them. */
static json_t *which_revoked(const struct arguments *a, char *shown, size_t room)
{
	const char *serial = arguments_text(a, "--serial", NULL),
		   *key = arguments_text(a, "--key", NULL);
	json_t *params = json_object();

	if ((a->word_count > 0) + (serial != NULL) + (key != NULL) != 1) {
		complain_usage(a->command, "write an agent's name, or --serial, or --key");
		json_decref(params);
		return NULL;
	}
	if (a->word_count > 0)
		json_object_set_new(params, "agent", json_string(a->words[0]));
	take_text(a, "--serial", params);
	take_text(a, "--key", params);
	snprintf(shown, room, "%s%s",
		 serial ? "the certificate "
		 : key	? "the key "
			: "",
		 serial ? serial
		 : key	? key
			: a->words[0]);
	return params;
}

static enum status rules_run_revoke(const struct arguments *a)
{
	char shown[200], done[300];
	json_t *params = which_revoked(a, shown, sizeof(shown));
	const struct change c = {"revoke", params, done, revoke_notes};

	if (!params || !take_moment(a, "--before", params, (char[UNITS_MOMENT_BYTES]){""})) {
		json_decref(params);
		return STATUS_USAGE;
	}
	if (a->word_count == 0 && json_object_get(params, "before")) {
		complain_usage(a->command, "--before goes with an agent's name");
		json_decref(params);
		return STATUS_USAGE;
	}
	take_text(a, "--note", params);
	snprintf(done, sizeof(done), "%s is revoked, its link and its sessions end", shown);
	return change_all(a, &c);
}

static enum status rules_run_unrevoke(const struct arguments *a)
{
	char shown[200], done[300];
	const struct change c = {"unrevoke", which_revoked(a, shown, sizeof(shown)), done, NULL};

	if (!c.params)
		return STATUS_USAGE;
	snprintf(done, sizeof(done), "%s is good again", shown);
	return change_all(a, &c);
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

static const struct show_column revoked_columns[] = {
	{"REVOKED", "agent", SHOW_TEXT, NULL}, {"IF IT BEGINS BEFORE", "before", SHOW_TEXT, NULL},
	{"SERIAL", "serial", SHOW_TEXT, NULL}, {"KEY", "key", SHOW_TEXT, NULL},
	{"NOTE", "note", SHOW_TEXT, NULL},     {NULL, NULL, SHOW_TEXT, NULL},
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
	const json_t *revoked = json_object_get(result, "revoked");
	json_t *rules = json_array();

	add_rules(rules, json_object_get(result, "grants"), "grant");
	add_rules(rules, json_object_get(result, "policy"), "policy");
	if (json_array_size(rules) > 0)
		show_table(stdout, rules, rule_columns);
	else
		puts(denies ? "there is a policy without a rule: everything is denied"
			    : "there is no policy: every agent may reach every service");
	if (json_array_size(revoked) > 0) {
		putchar('\n');
		show_table(stdout, revoked, revoked_columns);
	}
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
	{"revoke", "[AGENT]", 0, 1, "Ends an identity: its link and sessions, within a second.",
	 revoke_options, rules_run_revoke},
	{"unrevoke", "[AGENT]", 0, 1, "Takes a revocation back.", unrevoke_options,
	 rules_run_unrevoke},
	{.name = NULL},
};
