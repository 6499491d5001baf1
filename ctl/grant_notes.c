/* SPDX-License-Identifier: Apache-2.0 */
/* grant_notes: what somebody who grants would want to know before it is too late. */
#include "ctl/grant_notes.h"

#include <string.h>

#include "core/conf/conf.h"

#define NAMES_MAX 4096

/* The result, or NULL: notes are not worth an error. */
static json_t *ask(struct door *d, const char *method)
{
	struct rpc_failure failure = {.data = NULL};
	json_t *result = door_try(d, method, NULL, &failure);

	rpc_failure_free(&failure);
	return result;
}

/* As the relay sees it: the keys count, not what is in them. */
static bool config_has_rules(const json_t *config)
{
	return json_object_get(config, "grants") || json_object_get(config, "policy");
}

/* ---- names ---- */

struct names {
	const char *list[NAMES_MAX + 1]; /* in the results */
	size_t count;
};

static void add_name(struct names *names, const json_t *name)
{
	if (json_is_string(name) && names->count < NAMES_MAX)
		names->list[names->count++] = json_string_value(name);
}

static bool is_known(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->list[i], name) == 0)
			return true;
	return false;
}

/* Agents that are connected, and groups. */
static void add_all(struct names *names, const json_t *agents, const json_t *groups)
{
	json_t *item;
	size_t i;

	json_array_foreach(agents, i, item) add_name(names, json_object_get(item, "agent"));
	json_array_foreach(groups, i, item) add_name(names, json_object_get(item, "name"));
}

static void note_name(const struct names *names, const char *name, const char *what)
{
	const char *near = is_known(names, name) ? NULL : conf_nearest(name, names->list);

	if (near)
		complain("note: no %s '%s' is known here; did you mean '%s'?", what, name, near);
}

/* The service of an agent that is connected: then its list is complete. */
static void note_service(const json_t *agents, const char *agent, const char *service)
{
	static struct names names;
	json_t *item, *name;
	size_t i, k;

	names = (struct names){.count = 0};
	json_array_foreach(agents, i, item)
	{
		const char *text = json_string_value(json_object_get(item, "agent"));

		if (!text || strcmp(text, agent) != 0 ||
		    !json_is_true(json_object_get(item, "online")))
			continue;
		json_array_foreach(json_object_get(item, "services"), k, name)
			add_name(&names, name);
	}
	note_name(&names, service, "service");
}

void grant_notes(const struct arguments *a, struct door *d)
{
	static struct names names;
	json_t *get = ask(d, "config.get"), *list = ask(d, "agents");
	const json_t *config = json_object_get(get, "config");
	const json_t *agents = json_object_get(list, "agents");
	const char *slash = strchr(a->words[1], '/');
	char agent[64] = "";

	names = (struct names){.count = 0};
	if (config && !config_has_rules(config))
		complain("note: %s had no rule; with this first one, whatever no rule allows is "
			 "denied",
			 d->label);
	add_all(&names, agents, json_object_get(config, "groups"));
	note_name(&names, a->words[0], "agent or group");
	if (slash && (size_t)(slash - a->words[1]) < sizeof(agent)) {
		memcpy(agent, a->words[1], (size_t)(slash - a->words[1]));
		note_name(&names, agent, "agent");
		note_service(agents, agent, slash + 1);
	}
	json_decref(get);
	json_decref(list);
}
