/* SPDX-License-Identifier: Apache-2.0 */
/* agent_see: which agents there are, and what each tells of itself, end to end. */
#include <stdio.h>
#include <string.h>

#include "ctl/see/see.h"
#include "ctl/talk/connection.h"
#include "ctl/see/common.h"
#include "ctl/terminal/show.h"

static const struct option_row records_options[] = {RECORDS_OPTIONS};

/* ---- status ---- */

static const struct show_column status_columns[] = {
	{"agent", "agent", SHOW_TEXT, NULL},
	{"version", "version", SHOW_TEXT, NULL},
	{"engine", "engine", SHOW_TEXT, NULL},
	{"TLS by", "tls_library", SHOW_TEXT, NULL},
	{"runs for", "uptime_ms", SHOW_SPAN, NULL},
	{"configuration", "revision", SHOW_COUNT, NULL},
	{"unconfirmed, back in", "unconfirmed_ms", SHOW_SPAN, NULL},
	{"certificate until", "certificate_expires", SHOW_TIME, NULL},
	{"revoked, by relays", "revoked", SHOW_COUNT, NULL},
	{"revoked, signed", "revoked_signed", SHOW_COUNT, NULL},
	{"sessions", "sessions_open", SHOW_COUNT, NULL},
	{"sessions so far", "sessions_total", SHOW_COUNT, NULL},
	{"failed so far", "failed_total", SHOW_COUNT, NULL},
	{"sent so far", "up_total", SHOW_SIZE, NULL},
	{"received so far", "down_total", SHOW_SIZE, NULL},
	{NULL, NULL, SHOW_TEXT, NULL},
};

static const struct show_column link_columns[] = {
	{"RELAY", "relay", SHOW_TEXT, NULL},
	{"STATE", "state", SHOW_TEXT, NULL},
	{"UP FOR", "up_ms", SHOW_SPAN, NULL},
	{"LEGS", "legs", SHOW_COUNT, NULL},
	{"WARM", "warm_legs", SHOW_COUNT, NULL},
	{"KEY EXCHANGE", "key_exchange", SHOW_TEXT, NULL},
	{"SEEN FROM (UDP)", "seen_udp", SHOW_TEXT, NULL},
	{"WHY", "why", SHOW_TEXT, NULL},
	{NULL, NULL, SHOW_TEXT, NULL},
};

static const struct show_column session_columns[] = {
	{"SESSION", "session", SHOW_COUNT, NULL},
	{"ROLE", "role", SHOW_TEXT, NULL},
	{"PEER", "peer", SHOW_TEXT, NULL},
	{"SERVICE", "service", SHOW_TEXT, NULL},
	{"RELAY", "relay", SHOW_TEXT, NULL},
	{"UP", "up", SHOW_SIZE, NULL},
	{"DOWN", "down", SHOW_SIZE, NULL},
	{"FOR", "ms", SHOW_SPAN, NULL},
	{"CANDIDATES", "candidates", SHOW_LIST, NULL},
	{NULL, NULL, SHOW_TEXT, NULL},
};

static void print_table(const json_t *status, const char *key, const struct show_column *columns)
{
	const json_t *list = json_object_get(status, key);

	if (json_array_size(list) == 0)
		return;
	putchar('\n');
	show_table(stdout, list, columns);
}

static void agent_print_status(const json_t *status)
{
	const json_t *nat = json_object_get(status, "nat");

	show_keys(stdout, status, status_columns);
	if (nat)
		putchar('\n');
	show_nat(nat);
	print_table(status, "links", link_columns);
	print_table(status, "sessions", session_columns);
}

static enum status agent_run_status(const struct arguments *a)
{
	struct connection conn;
	json_t *result;

	if (!connection_open_agent(a, a->words[0], &conn))
		return STATUS_FAILED;
	result = connection_call(&conn, "status", NULL);
	if (result && arguments_flag(a, "--json"))
		show_json(stdout, result);
	else if (result)
		agent_print_status(result);
	json_decref(result);
	connection_close(&conn);
	return result ? STATUS_OK : STATUS_FAILED;
}

static enum status agent_run_events(const struct arguments *a)
{
	enum status status;
	struct connection conn;

	if (!connection_open_agent(a, a->words[0], &conn))
		return STATUS_FAILED;
	status = records_run(a, &conn, "events");
	connection_close(&conn);
	return status;
}

/* ---- the agents of all relays ---- */

static const struct show_column list_columns[] = {
	{"AGENT", "agent", SHOW_TEXT, NULL},
	{"STATE", "online", SHOW_STATE, "online|offline"},
	{"RELAYS", "relays", SHOW_LIST, NULL},
	{"SESSIONS", "sessions", SHOW_COUNT, NULL},
	{"SERVICES", "services", SHOW_LIST, NULL},
	{.title = NULL},
};

static const struct show_shape list_shape = {"agents", list_columns, "no agent is connected"};

/* The agent's row in list; made when it is not there. */
static json_t *row_of(json_t *list, const char *agent)
{
	size_t i;
	json_t *row;

	json_array_foreach(list, i, row)
	{
		if (strcmp(json_string_value(json_object_get(row, "agent")), agent) == 0)
			return row;
	}
	row = json_pack("{s:s, s:b, s:[], s:i, s:i, s:i, s:[]}", "agent", agent, "online", 0,
			"relays", "links", 0, "legs", 0, "sessions", 0, "services");
	json_array_append_new(list, row);
	return row;
}

static void add_count(json_t *row, const json_t *item, const char *key)
{
	json_int_t sum = json_integer_value(json_object_get(row, key)) +
			 json_integer_value(json_object_get(item, key));

	json_object_set_new(row, key, json_integer(sum));
}

static void add_service(json_t *services, json_t *service)
{
	size_t i;
	json_t *other;

	json_array_foreach(services, i, other)
	{
		if (json_equal(other, service))
			return;
	}
	json_array_append(services, service);
}

/* What one relay says of one agent. */
static void add_item(json_t *list, const json_t *item, const char *relay)
{
	const char *agent = json_string_value(json_object_get(item, "agent"));
	json_t *row, *service;
	size_t i;

	if (!agent)
		return;
	row = row_of(list, agent);
	add_count(row, item, "links");
	add_count(row, item, "legs");
	add_count(row, item, "sessions");
	if (!json_is_true(json_object_get(item, "online")))
		return;
	json_object_set_new(row, "online", json_true());
	json_array_append_new(json_object_get(row, "relays"), json_string(relay));
	json_array_foreach(json_object_get(item, "services"), i, service)
	{
		add_service(json_object_get(row, "services"), service);
	}
}

/* Returns false when the relay does not answer, which has been told. */
static bool ask_one(const struct arguments *a, size_t nth, json_t *list)
{
	json_t *result, *item;
	struct connection conn;
	size_t i;

	if (!connection_open_nth(a, nth, &conn))
		return false;
	result = connection_call(&conn, "agents", NULL);
	json_array_foreach(json_object_get(result, "agents"), i, item)
	{
		add_item(list, item, conn.label);
	}
	connection_close(&conn);
	json_decref(result);
	return result != NULL;
}

static enum status agent_run_list(const struct arguments *a)
{
	size_t count = connection_count(a), answered = 0;
	json_t *all = json_pack("{s:[]}", "agents");

	for (size_t i = 0; i < count; i++)
		answered += ask_one(a, i, json_object_get(all, "agents"));
	if (answered > 0)
		show_result(a, all, &list_shape);
	json_decref(all);
	if (answered > 0 && answered < count)
		complain("%zu of %zu relays have answered; agents of the others may be missing",
			 answered, count);
	return count > 0 && answered == count ? STATUS_OK : STATUS_FAILED;
}

const struct command agent_see_commands[] = {
	{"agent list", "", 0, 0, "Lists the agents that the console's relays know of.",
	 json_options, agent_run_list},
	{"agent status", "AGENT", 1, 1, "Shows how an agent is, in its own words.", json_options,
	 agent_run_status},
	{"agent events", "AGENT", 1, 1, "Tells what happened at an agent.", records_options,
	 agent_run_events},
	{.name = NULL},
};
