/* SPDX-License-Identifier: Apache-2.0 */
/* report: from workers to the control thread's records. */
#include "relay/control/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "relay/control/control.h"

static _Atomic uint64_t under_way, dropped;

struct report {
	struct ring_msg msg; /* first: the ring hands this back */
	struct relay *relay;
	const char *kind; /* a constant */
	char from[64], to[64], service[64], why[160];
	struct addr source;
	uint64_t number, up, down, ms;
	enum reason reason;
};

static struct report *report_new(struct relay *r, const char *kind, void (*run)(struct ring_msg *))
{
	struct report *p = NULL;

	if (!r->control)
		return NULL;
	if (atomic_fetch_add(&under_way, 1) < REPORTS_MAX)
		p = calloc(1, sizeof *p);
	if (!p) {
		atomic_fetch_sub(&under_way, 1);
		atomic_fetch_add(&dropped, 1);
		return NULL;
	}
	p->relay = r;
	p->kind = kind;
	p->msg.run = run;
	return p;
}

static void report_post(struct report *p)
{
	ring_post(control_ring(p->relay->control), &p->msg);
}

/* Says once how many were lost, when there is room again. */
static void report_done(struct report *p)
{
	uint64_t lost = atomic_exchange(&dropped, 0);

	atomic_fetch_sub(&under_way, 1);
	if (lost > 0)
		control_event(p->relay->control, "records.dropped",
			      json_pack("{s:I}", "count", (json_int_t)lost));
	free(p);
}

/* ---- on the control thread ---- */

static void session_run(struct ring_msg *msg)
{
	struct report *p = (struct report *)msg;
	char number[20], source[ADDR_TEXT_BYTES];

	snprintf(number, sizeof number, "%016" PRIx64, p->number);
	addr_format(&p->source, source);
	json_t *record =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "kind", p->kind, "session", number,
			  "from", p->from, "to", p->to, "service", p->service, "source", source);
	if (strcmp(p->kind, "session.closed") == 0)
		json_object_update_new(record,
				       json_pack("{s:I, s:I, s:I, s:s}", "up", (json_int_t)p->up,
						 "down", (json_int_t)p->down, "ms",
						 (json_int_t)p->ms, "reason", p->why));
	else if (p->why[0])
		json_object_set_new(record, "reason", json_string(p->why));
	control_audit(p->relay->control, record);
	report_done(p);
}

static void agent_run(struct ring_msg *msg)
{
	struct report *p = (struct report *)msg;
	char source[ADDR_TEXT_BYTES];

	addr_format(&p->source, source);
	json_t *data = json_pack("{s:s, s:s}", "agent", p->from, "source", source);
	if (p->reason != REASON_OK)
		json_object_set_new(data, "reason", json_string(reason_name(p->reason)));
	control_event(p->relay->control, p->kind, data);
	report_done(p);
}

/* ---- on the workers ---- */

void report_session(const struct session *s, const char *why)
{
	struct report *p = report_new(s->worker->relay, why ? "session.closed" : "session.opened",
				      session_run);

	if (!p)
		return;
	p->number = s->number;
	snprintf(p->from, sizeof p->from, "%s",
		 s->pair.from ? account_name(s->pair.from) : "public");
	snprintf(p->to, sizeof p->to, "%s", account_name(s->pair.to));
	snprintf(p->service, sizeof p->service, "%s", s->service);
	snprintf(p->why, sizeof p->why, "%s", why ? why : "");
	p->source = s->source;
	p->up = s->flow[0].bytes;
	p->down = s->flow[1].bytes;
	p->ms = ring_now_ms(s->worker->ring) - s->started_ms;
	report_post(p);
}

void report_refused(const struct conn *c, const char *from, const char *to, const char *service,
		    enum reason reason)
{
	struct report *p = report_new(c->worker->relay, "session.refused", session_run);

	if (!p)
		return;
	snprintf(p->from, sizeof p->from, "%s", from[0] ? from : "public");
	snprintf(p->to, sizeof p->to, "%s", to);
	snprintf(p->service, sizeof p->service, "%s", service);
	snprintf(p->why, sizeof p->why, "%s", reason_name(reason));
	p->source = c->peer;
	report_post(p);
}

void report_agent(const struct conn *c, const char *kind, enum reason reason)
{
	struct report *p = report_new(c->worker->relay, kind, agent_run);

	if (!p)
		return;
	snprintf(p->from, sizeof p->from, "%s", c->label ? c->label : "");
	p->source = c->peer;
	p->reason = reason;
	report_post(p);
}
