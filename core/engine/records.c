/* SPDX-License-Identifier: Apache-2.0 */
/* records: a bounded history of numbered, time-stamped JSON objects, and the methods that list it.
 */
#include "core/engine/records.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_DEFAULT 100

json_t *records_time(struct timespec now)
{
	char seconds[24], text[32];
	struct tm t;

	gmtime_r(&now.tv_sec, &t);
	strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &t);
	snprintf(text, sizeof(text), "%s.%03uZ", seconds, (unsigned)(now.tv_nsec / 1000000) % 1000);
	return json_string(text);
}

bool records_add(struct records *r, json_t *record, struct timespec now)
{
	uint64_t number = r->count + 1;
	json_t **place = &r->kept[number % RECORDS_KEPT];

	if (!record ||
	    json_object_set_new(record, "number", json_integer((json_int_t)number)) < 0 ||
	    json_object_set_new(record, "at", records_time(now)) < 0)
		return false;
	r->count = number;
	json_decref(*place);
	*place = json_incref(record);
	return true;
}

/* Those with a number above after, oldest first; of many, the newest limit. NULL without memory. */
static json_t *records_list(const struct records *r, uint64_t after, uint64_t limit)
{
	uint64_t first = r->count > RECORDS_KEPT ? r->count - RECORDS_KEPT : 0;
	json_t *list = json_array();

	if (after > first)
		first = after;
	if (r->count > first && r->count - first > limit)
		first = r->count - limit;
	for (uint64_t n = first + 1; n <= r->count; n++)
		json_array_append(list, r->kept[n % RECORDS_KEPT]);
	return list;
}

void records_free(struct records *r)
{
	for (size_t i = 0; i < RECORDS_KEPT; i++)
		json_decref(r->kept[i]);
	memset(r, 0, sizeof(*r));
}

/* ---- for callers ---------------------------------------------------------------------------- */

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

bool records_tell_event(struct records *r, struct calls *cs, const char *kind, json_t *data,
			struct timespec now)
{
	if (json_object_set_new(data, "kind", json_string(kind)) < 0 || !records_add(r, data, now))
		return false;
	for (struct caller *c = cs->callers, *next; c; c = next) {
		next = c->next;
		if (c->follows_events)
			caller_notify(c, "event", json_incref(data));
	}
	return true;
}
