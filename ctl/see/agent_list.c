/* SPDX-License-Identifier: Apache-2.0 */
/* agent_list: the agents that a console's relays know of, in one list. */
#include <string.h>

#include "ctl/commands.h"
#include "ctl/talk/door.h"
#include "ctl/see/show.h"

static const struct show_column columns[] = {
	{"AGENT", "agent", SHOW_TEXT, NULL},
	{"STATE", "online", SHOW_STATE, "online|offline"},
	{"RELAYS", "relays", SHOW_LIST, NULL},
	{"SESSIONS", "sessions", SHOW_COUNT, NULL},
	{"SERVICES", "services", SHOW_LIST, NULL},
	{.title = NULL},
};

static const struct show_shape shape = {"agents", columns, "no agent is connected"};

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
static bool ask(const struct arguments *a, size_t nth, json_t *list)
{
	json_t *result, *item;
	struct door d;
	size_t i;

	if (!door_open_nth(a, nth, &d))
		return false;
	result = door_call(&d, "agents", NULL);
	json_array_foreach(json_object_get(result, "agents"), i, item)
	{
		add_item(list, item, d.label);
	}
	door_close(&d);
	json_decref(result);
	return result != NULL;
}

enum status command_agent_list(const struct arguments *a)
{
	size_t count = door_count(a), answered = 0;
	json_t *all = json_pack("{s:[]}", "agents");

	for (size_t i = 0; i < count; i++)
		answered += ask(a, i, json_object_get(all, "agents"));
	if (answered > 0)
		show_result(a, all, &shape);
	json_decref(all);
	if (answered > 0 && answered < count)
		complain("%zu of %zu relays have answered; agents of the others may be missing",
			 answered, count);
	return count > 0 && answered == count ? STATUS_OK : STATUS_FAILED;
}
