/* SPDX-License-Identifier: Apache-2.0 */
/* enforce: policy at work on one worker. */
#include "relay/control/enforce.h"

#include <string.h>
#include <time.h>

#include "core/container.h"
#include "core/log.h"
#include "relay/control/report.h"
#include "relay/session/session.h"

#define TICK_MS 250u /* a session outlives its rule by no more */

static struct policy_answer decide(struct worker *w, const char *from, const char *to,
				   const char *service, const struct addr *source, uint64_t running)
{
	struct policy_question q = {.from = from,
				    .to = to,
				    .service = service,
				    .source = source,
				    .now = time(NULL),
				    .running = running};

	return policy_decide(w->snap->policy, &q);
}

/* Consoles manage agents: their right comes with their certificate, not from rules. */
static bool is_control(const char *service)
{
	return strcmp(service, WIRE_CONTROL_SERVICE) == 0;
}

enum reason enforce_open(struct conn *c, const char *to, const char *service)
{
	struct rendezvous *r = c->worker->relay->rendezvous;
	const char *from = c->link ? rendezvous_link_name(r, c->link) : "";

	c->grant = (struct policy_answer){.reason = REASON_OK, .rule = SIZE_MAX};
	if (!from)
		return REASON_LINK_GONE;
	if (is_control(service))
		return REASON_OK;
	c->grant = decide(c->worker, from, to, service, &c->peer,
			  rendezvous_running(r, from, to, service));
	return c->grant.reason;
}

void enforce_watch(struct worker *w, time_t again)
{
	if (again == 0)
		return;
	if (w->look_again == 0 || again < w->look_again)
		w->look_again = again;
	if (!timer_pending(&w->policy_timer))
		ring_timer_set(w->ring, &w->policy_timer, TICK_MS);
}

static void look_at_session(struct worker *w, struct session *s)
{
	const char *from = s->pair.from ? account_name(s->pair.from) : "";
	const char *to = account_name(s->pair.to);

	if (is_control(s->service))
		return;
	struct policy_answer a = decide(w, from, to, s->service, &s->source, 0);
	if (a.reason != REASON_OK) {
		worker_count(w, a.reason);
		session_abort(s, reason_sentence(a.reason));
		return;
	}
	if (a.rate != s->rate)
		session_set_rate(s, a.rate);
	enforce_watch(w, a.again);
}

void enforce_policy(struct worker *w)
{
	w->look_again = 0;
	for (uint32_t i = 0; i < w->sessions.high_water; i++) {
		struct session *s = slab_at(&w->sessions, i);

		if (s && !s->ended)
			look_at_session(w, s);
	}
	for (uint32_t i = 0; i < w->conns.high_water; i++) {
		struct conn *c = slab_at(&w->conns, i);

		if (!c || (c->phase != CONN_LINK && c->phase != CONN_CONSOLE))
			continue;
		if (policy_revoked(w->snap->policy, c->label))
			conn_refuse(c, REASON_REVOKED);
		else if (c->phase == CONN_LINK)
			link_send_revoked(c);
	}
}

void enforce_tick(struct timer *t, uint64_t now_ms)
{
	struct worker *w = container(t, struct worker, policy_timer);

	if (w->look_again && time(NULL) >= w->look_again)
		enforce_policy(w);
	if (w->look_again)
		ring_timer_set(w->ring, t, TICK_MS);
}
