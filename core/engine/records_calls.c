/* SPDX-License-Identifier: Apache-2.0 */
/* records_calls: the methods that list a history and let their caller follow it; and its events. */
#include "core/engine/records_calls.h"

#define LIMIT_DEFAULT 100

const struct method_param records_params[] = {
	{"after", "integer", false, "only records with a higher number"},
	{"limit", "integer", false, "the newest so many; 100 when absent"},
	{"follow", "boolean", false, "also send what comes from now on, as notifications"},
	{.name = NULL},
};

void records_answer(struct call *c, const struct records *r, const char *name, bool *follows)
{
	json_int_t after = json_integer_value(json_object_get(c->params, "after"));
	json_t *limit = json_object_get(c->params, "limit");
	json_int_t most = limit ? json_integer_value(limit) : LIMIT_DEFAULT;

	if (after < 0 || most < 0) {
		call_fail(c, JSONRPC_INVALID_PARAMS, NULL, "after and limit are not negative");
		return;
	}
	if (json_is_true(json_object_get(c->params, "follow")))
		*follows = true;
	call_answer(c, json_pack("{s:o}", name, records_list(r, (uint64_t)after, (uint64_t)most)));
}

void records_tell_event(struct records *r, struct calls *cs, const char *kind, json_t *data,
			struct timespec now)
{
	json_object_set_new(data, "kind", json_string(kind));
	records_add(r, data, now);
	for (struct caller *c = cs->callers, *next; c; c = next) {
		next = c->next;
		if (c->follows_events)
			caller_notify(c, "event", json_incref(data));
	}
}
