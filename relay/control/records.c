/* SPDX-License-Identifier: Apache-2.0 */
/*
 * records: events and audits: kept for a while, and sent to the callers that follow.
 *
 * An event says what happened to the relay and its agents; an audit record says who reached what,
 * when, from where, how many bytes, and why it ended. Neither ever has payload. Where the log goes
 * to the journal, both go there too, with their fields (core/journal.h).
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "core/engine/records.h"
#include "core/journal.h"
#include "core/memory.h"
#include "relay/control/control_internal.h"
#include "relay/session/report.h"

void control_event(struct relay_control *ctl, const char *kind, json_t *data)
{
	managed_event(&ctl->managed, kind, data);
}

/* Takes record over; NULL: there was no memory for it. */
static void control_audit(struct relay_control *ctl, json_t *record)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (!records_add(&ctl->audits, record, now)) {
		ctl->managed.lost++;
		json_decref(record);
		return;
	}
	for (struct caller *c = ctl->calls.callers, *next; c; c = next) {
		next = c->next;
		if (c->follows_audit)
			caller_notify(c, "audit", json_incref(record));
	}
	journal_record(LOG_LEVEL_INFO, record);
	json_decref(record);
}

/* ---- what workers report ---- */

static json_t *report_audit(const struct report *p)
{
	char number[20], source[ADDR_TEXT_BYTES];
	json_t *record;

	snprintf(number, sizeof number, "%016" PRIx64, p->number);
	addr_format(&p->source, source);
	record = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "kind", p->kind, "session", number,
			   "from", p->from, "to", p->to, "service", p->service, "source", source);
	if (p->closed)
		json_object_update_new(record,
				       json_pack("{s:I, s:I, s:I}", "up", (json_int_t)p->up, "down",
						 (json_int_t)p->down, "ms", (json_int_t)p->ms));
	if (p->why[0])
		json_object_set_new(record, "reason", json_string(p->why));
	if (p->ending[0])
		json_object_set_new(record, "ending", json_string(p->ending));
	return record;
}

static json_t *report_event(const struct report *p)
{
	char source[ADDR_TEXT_BYTES];
	json_t *data;

	addr_format(&p->source, source);
	data = json_pack("{s:s, s:s}", "agent", p->from, "source", source);
	if (p->why[0])
		json_object_set_new(data, "reason", json_string(p->why));
	return data;
}

void control_reported(struct ring_msg *msg)
{
	struct report *p = (struct report *)msg;
	struct relay_control *ctl = p->relay->control;
	unsigned refusals = memory_refusals();
	json_t *record = p->audit ? report_audit(p) : report_event(p);

	if (memory_refusals() != refusals) { /* it may lack a part: why a session has ended */
		json_decref(record);
		record = NULL;
	}
	if (p->audit)
		control_audit(ctl, record);
	else
		control_event(ctl, p->kind, record);
	managed_tell_lost(&ctl->managed, report_done(p));
}

/* ---- methods ---- */

static void records_events_run(struct call *c)
{
	records_answer(c, &control_of(c)->events, "events", &c->caller->follows_events);
}

static void records_audit_run(struct call *c)
{
	records_answer(c, &control_of(c)->audits, "audit", &c->caller->follows_audit);
}

const struct method methods_events[] = {
	{.name = "events",
	 .level = CALLER_READ,
	 .run = records_events_run,
	 .help = "what happened: agents up and down, changes, limits reached",
	 .params = records_params,
	 .result = "{events: [{number, at, kind, ...}]}; notifications \"event\" when following"},
	{.name = "audit",
	 .level = CALLER_READ,
	 .run = records_audit_run,
	 .help = "who reached what, when, from where, how many bytes, and why it ended",
	 .params = records_params,
	 .result = "{audit: [{number, at, from, to, service, source, up, down, ms, reason, "
		   "ending}]}; "
		   "notifications \"audit\" when following"},
	{.name = NULL},
};
