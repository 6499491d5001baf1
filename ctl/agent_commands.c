/* SPDX-License-Identifier: Apache-2.0 */
/* agent_commands: what an agent tells of itself, end to end through a relay. */
#include <stdio.h>

#include "ctl/commands.h"
#include "ctl/talk/door.h"
#include "ctl/see/records.h"
#include "ctl/see/show.h"
#include "ctl/see/show_nat.h"

static const struct option_row json_options[] = {
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

static const struct option_row records_options[] = {RECORDS_OPTIONS};

/* ---- status ---- */

static const struct show_column status_columns[] = {
	{"agent", "agent", SHOW_TEXT, NULL},
	{"version", "version", SHOW_TEXT, NULL},
	{"engine", "engine", SHOW_TEXT, NULL},
	{"runs for", "uptime_ms", SHOW_SPAN, NULL},
	{"configuration", "revision", SHOW_COUNT, NULL},
	{"unconfirmed, back in", "unconfirmed_ms", SHOW_SPAN, NULL},
	{"certificate until", "certificate_expires", SHOW_TIME, NULL},
	{"revoked agents", "revoked", SHOW_COUNT, NULL},
	{"sessions", "sessions_open", SHOW_COUNT, NULL},
	{"sessions so far", "sessions_total", SHOW_COUNT, NULL},
	{"failed so far", "failed_total", SHOW_COUNT, NULL},
	{"sent so far", "up_total", SHOW_SIZE, NULL},
	{"received so far", "down_total", SHOW_SIZE, NULL},
	{NULL, NULL, SHOW_TEXT, NULL},
};

static const struct show_column link_columns[] = {
	{"RELAY", "relay", SHOW_TEXT, NULL},	 {"STATE", "state", SHOW_TEXT, NULL},
	{"UP FOR", "up_ms", SHOW_SPAN, NULL},	 {"LEGS", "legs", SHOW_COUNT, NULL},
	{"WARM", "warm_legs", SHOW_COUNT, NULL}, {"WHY", "why", SHOW_TEXT, NULL},
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
	{"REACHABLE AT", "candidates", SHOW_LIST, NULL},
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

static void print_status(const json_t *status)
{
	const json_t *nat = json_object_get(status, "nat");

	show_keys(stdout, status, status_columns);
	if (nat)
		putchar('\n');
	show_nat(nat);
	print_table(status, "links", link_columns);
	print_table(status, "sessions", session_columns);
}

static enum status run_status(const struct arguments *a)
{
	struct door d;
	json_t *result;

	if (!door_open_agent(a, a->words[0], &d))
		return STATUS_FAILED;
	result = door_call(&d, "status", NULL);
	if (result && arguments_flag(a, "--json"))
		show_json(stdout, result);
	else if (result)
		print_status(result);
	json_decref(result);
	door_close(&d);
	return result ? STATUS_OK : STATUS_FAILED;
}

static enum status run_events(const struct arguments *a)
{
	enum status status;
	struct door d;

	if (!door_open_agent(a, a->words[0], &d))
		return STATUS_FAILED;
	status = records_run(a, &d, "events");
	door_close(&d);
	return status;
}

const struct command agent_commands[] = {
	{"agent list", "", 0, 0, "Lists the agents that the console's relays know of.",
	 json_options, command_agent_list},
	{"agent status", "AGENT", 1, 1, "Shows how an agent is, in its own words.", json_options,
	 run_status},
	{"agent events", "AGENT", 1, 1, "Tells what happened at an agent.", records_options,
	 run_events},
	{.name = NULL},
};
