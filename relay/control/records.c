/* SPDX-License-Identifier: Apache-2.0 */
/*
 * records: events and audits: kept for a while, and sent to whoever follows.
 *
 * An event says what happened to the relay and its agents; an audit record says who reached what,
 * when, from where, how many bytes, and why it ended. Neither ever has payload. Where the log goes
 * to the journal, both go there too, with their fields (core/journal.h).
 */
#include <time.h>

#include "core/engine/records_calls.h"
#include "core/journal.h"
#include "relay/control/control_internal.h"

static struct timespec now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t;
}

void control_event(struct control *ctl, const char *kind, json_t *data)
{
	if (!data)
		data = json_object();
	records_tell_event(&ctl->events, &ctl->calls, kind, data, now());
	journal_record(LOG_LEVEL_NOTICE, data);
	json_decref(data);
}

void control_audit(struct control *ctl, json_t *record)
{
	records_add(&ctl->audits, record, now());
	for (struct caller *c = ctl->calls.callers, *next; c; c = next) {
		next = c->next;
		if (c->follows_audit)
			caller_notify(c, "audit", json_incref(record));
	}
	journal_record(LOG_LEVEL_INFO, record);
	json_decref(record);
}

static void events_run(struct call *c)
{
	records_answer(c, &control_of(c)->events, "events", &c->caller->follows_events);
}

static void audit_run(struct call *c)
{
	records_answer(c, &control_of(c)->audits, "audit", &c->caller->follows_audit);
}

const struct method methods_events[] = {
	{.name = "events",
	 .level = CALLER_READ,
	 .run = events_run,
	 .help = "what happened: agents up and down, changes, limits reached",
	 .params = records_params,
	 .result = "{events: [{number, at, kind, ...}]}; notifications \"event\" when following"},
	{.name = "audit",
	 .level = CALLER_READ,
	 .run = audit_run,
	 .help = "who reached what, when, from where, how many bytes, and why it ended",
	 .params = records_params,
	 .result = "{audit: [{number, at, from, to, service, source, up, down, ms, reason}]}; "
		   "notifications \"audit\" when following"},
	{.name = NULL},
};
