/* SPDX-License-Identifier: Apache-2.0 */
/* names: what a relay knows of names, to tell a slip from a name. */
#include "ctl/change/names.h"

#include <string.h>

#include "core/conf/conf.h"

json_t *known_ask(struct connection *conn, const char *method)
{
	struct rpc_failure failure = {.data = NULL};
	json_t *result = connection_try(conn, method, NULL, &failure);

	rpc_failure_free(&failure);
	return result;
}

void known_add(struct known_names *names, const json_t *name)
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
		json_array_foreach(json_object_get(rule, "from"), k, item) known_add(names, item);
	}
}

void known_add_all(struct known_names *names, const json_t *agents, const json_t *config,
		   bool with_groups)
{
	const json_t *groups = json_object_get(config, "groups");
	json_t *item, *member;
	size_t i, k;

	json_array_foreach(agents, i, item) known_add(names, json_object_get(item, "agent"));
	json_array_foreach(groups, i, item)
	{
		if (with_groups)
			known_add(names, json_object_get(item, "name"));
		json_array_foreach(json_object_get(item, "members"), k, member)
			known_add(names, member);
	}
	add_rule_names(names, json_object_get(config, "policy"));
	add_rule_names(names, json_object_get(config, "grants"));
	json_array_foreach(json_object_get(config, "revoked"), i, item)
		known_add(names, json_object_get(item, "agent"));
}

void known_note(const struct known_names *names, const char *name, const char *what,
		const char *label, const char *then)
{
	const char *near = conf_nearest(name, names->list);

	if (!is_known(names, name))
		complain("note: no %s '%s' is known to %s; %s%s%s%s", what, name, label, then,
			 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}
