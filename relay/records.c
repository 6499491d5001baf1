/* SPDX-License-Identifier: Apache-2.0 */
/*
 * records: events and audits: numbered, kept for a while, and sent to whoever follows.
 *
 * An event says what happened to the relay and its agents; an audit record says who reached what,
 * when, from where, how many bytes, and why it ended. Neither ever has payload. Both go to the log
 * too, where journald keeps them with their fields.
 */
#include <string.h>
#include <time.h>

#include "core/log.h"
#include "relay/control_internal.h"

static void time_text(char out[32])
{
	struct timespec now;
	struct tm t;
	char seconds[24];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &t);
	strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &t);
	snprintf(out, 32, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
}

static void records_add(struct records *r, json_t *record)
{
	json_t **place = &r->kept[r->next % EVENTS_KEPT];
	char at[32];

	time_text(at);
	r->next++;
	json_object_set_new(record, "number", json_integer((json_int_t)r->next));
	json_object_set_new(record, "at", json_string(at));
	json_decref(*place);
	*place = json_incref(record);
}

static void records_send(struct control *ctl, json_t *record, const char *method, bool audit)
{
	for (struct caller *c = ctl->callers, *next; c; c = next) {
		size_t len;
		char *line;

		next = c->next;
		if (audit ? !c->follows_audit : !c->follows_events)
			continue;
		json_t *message = jsonrpc_notification(method, json_incref(record));
		line = jsonrpc_line(message, &len);
		json_decref(message);
		if (line)
			c->send(c, line, len);
	}
}

void control_event(struct control *ctl, const char *kind, json_t *data)
{
	if (!data)
		data = json_object();
	json_object_set_new(data, "kind", json_string(kind));
	records_add(&ctl->events, data);
	records_send(ctl, data, "event", false);
	json_decref(data);
}

void control_audit(struct control *ctl, json_t *record)
{
	records_add(&ctl->audits, record);
	records_send(ctl, record, "audit", true);
	json_decref(record);
}

void records_free(struct records *r)
{
	for (size_t i = 0; i < EVENTS_KEPT; i++)
		json_decref(r->kept[i]);
	memset(r, 0, sizeof *r);
}

/* Those with a number above after, oldest first, at most limit. */
static json_t *records_list(const struct records *r, uint64_t after, uint64_t limit)
{
	uint64_t first = r->next > EVENTS_KEPT ? r->next - EVENTS_KEPT : 0;
	json_t *list = json_array();

	if (after > first)
		first = after;
	if (r->next > first && r->next - first > limit)
		first = r->next - limit;
	for (uint64_t n = first; n < r->next; n++)
		json_array_append(list, r->kept[n % EVENTS_KEPT]);
	return list;
}

static void records_answer(struct call *c, const struct records *r, const char *name, bool *follows)
{
	json_int_t after = json_integer_value(json_object_get(c->params, "after"));
	json_t *limit = json_object_get(c->params, "limit");
	json_int_t most = limit ? json_integer_value(limit) : 100;

	if (after < 0 || most < 0) {
		call_fail(c, JSONRPC_INVALID_PARAMS, NULL, "after and limit are not negative");
		return;
	}
	if (json_is_true(json_object_get(c->params, "follow")) && c->caller)
		*follows = true;
	call_answer(c, json_pack("{s:o}", name,
				 records_list(r, (uint64_t)after, (uint64_t)most)));
}

static void events_run(struct call *c)
{
	records_answer(c, &c->control->events, "events", &c->caller->follows_events);
}

static void audit_run(struct call *c)
{
	records_answer(c, &c->control->audits, "audit", &c->caller->follows_audit);
}

static const struct method_param list_params[] = {
	{"after", "integer", false, "only records with a higher number"},
	{"limit", "integer", false, "the newest so many; 100 when absent"},
	{"follow", "boolean", false, "also send what comes from now on, as notifications"},
	{.name = NULL},
};

const struct method methods_events[] = {
	{.name = "events",
	 .level = CALLER_READ,
	 .run = events_run,
	 .help = "what happened: agents up and down, changes, limits reached",
	 .params = list_params,
	 .result = "{events: [{number, at, kind, ...}]}; notifications \"event\" when following"},
	{.name = "audit",
	 .level = CALLER_READ,
	 .run = audit_run,
	 .help = "who reached what, when, from where, how many bytes, and why it ended",
	 .params = list_params,
	 .result = "{audit: [{number, at, from, to, service, source, up, down, ms, reason}]}; "
		   "notifications \"audit\" when following"},
	{.name = NULL},
};
