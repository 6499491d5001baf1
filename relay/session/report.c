/* SPDX-License-Identifier: Apache-2.0 */
/* report: from workers to the control thread. */
#include "core/memory.h"
#include "relay/session/report.h"

#include <stdio.h>

static struct report *report_new(struct relay *r, const char *kind)
{
	struct report *p = NULL;

	if (!r->control_ring)
		return NULL;
	if (atomic_fetch_add(&r->reports, 1) < REPORTS_MAX)
		p = memory_zeroed(sizeof *p);
	if (!p) {
		atomic_fetch_sub(&r->reports, 1);
		atomic_fetch_add(&r->reports_lost, 1);
		return NULL;
	}
	p->msg.run = r->upward->reported;
	p->relay = r;
	p->kind = kind;
	return p;
}

static void report_post(struct report *p)
{
	ring_post(p->relay->control_ring, &p->msg);
}

uint64_t report_done(struct report *p)
{
	struct relay *r = p->relay;

	atomic_fetch_sub(&r->reports, 1);
	memory_free(p);
	return atomic_exchange(&r->reports_lost, 0);
}

void report_session(const struct session *s, const char *ending, const char *why)
{
	struct report *p = report_new(s->worker->relay, why ? "session.closed" : "session.opened");

	if (!p)
		return;
	p->audit = true;
	p->closed = why != NULL;
	p->number = s->number;
	snprintf(p->from, sizeof p->from, "%s", s->pair.from ? party_name(s->pair.from) : "public");
	snprintf(p->to, sizeof p->to, "%s", party_name(s->pair.to));
	snprintf(p->service, sizeof p->service, "%s", s->service);
	snprintf(p->why, sizeof p->why, "%s", why ? why : "");
	snprintf(p->ending, sizeof p->ending, "%s", ending ? ending : "");
	p->source = s->source;
	p->up = s->flow[0].bytes;
	p->down = s->flow[1].bytes;
	p->ms = ring_now_ms(s->worker->ring) - s->started_ms;
	report_post(p);
}

void report_refused(const struct conn *c, const char *from, const char *to, const char *service,
		    const char *ending, enum reason reason)
{
	struct report *p = report_new(c->worker->relay, "session.refused");

	if (!p)
		return;
	p->audit = true;
	snprintf(p->from, sizeof p->from, "%s", from);
	snprintf(p->to, sizeof p->to, "%s", to);
	snprintf(p->service, sizeof p->service, "%s", service);
	snprintf(p->why, sizeof p->why, "%s", reason_name(reason));
	snprintf(p->ending, sizeof p->ending, "%s", ending);
	p->source = c->peer;
	report_post(p);
}

void report_agent(const struct conn *c, const char *agent, const char *kind, enum reason reason)
{
	struct report *p = report_new(c->worker->relay, kind);

	if (!p)
		return;
	snprintf(p->from, sizeof p->from, "%s", agent ? agent : "");
	snprintf(p->why, sizeof p->why, "%s", reason != REASON_OK ? reason_name(reason) : "");
	p->source = c->peer;
	report_post(p);
}
