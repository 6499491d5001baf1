/* SPDX-License-Identifier: Apache-2.0 */
/* enforce: asks policy for a worker's sessions. */
#include "relay/session/enforce.h"

#include <time.h>

#include "core/container.h"
#include "relay/session/session.h"

#define TICK_MS 250u /* a session outlives its rule by no more */

enum reason enforce_open(const struct conn *c, uint64_t link, const char *to, const char *service,
			 struct policy_answer *grant)
{
	struct worker *w = c->worker;
	struct rendezvous *r = w->relay->rendezvous;
	struct policy_question q = {
		.from = link ? rendezvous_link_name(r, link) : "",
		.to = to,
		.service = service,
		.source = &c->peer,
		.now = time(NULL),
	};

	*grant = (struct policy_answer){.reason = REASON_LINK_GONE, .rule = SIZE_MAX};
	if (!q.from)
		return REASON_LINK_GONE;
	q.running = rendezvous_running(r, q.from, to, service);
	*grant = policy_decide(w->snap->policy, &q);
	return grant->reason;
}

void enforce_watch(struct worker *w, time_t again)
{
	struct sessions *ss = w->sessions;

	if (again == 0)
		return;
	if (ss->look_again == 0 || again < ss->look_again)
		ss->look_again = again;
	if (!timer_pending(&ss->policy_timer))
		ring_timer_set(w->ring, &ss->policy_timer, TICK_MS);
}

/* What has changed since the session was allowed. */
static enum ending_cause enforce_cause(const struct session *s, enum reason reason)
{
	if (reason != REASON_NOT_ALLOWED)
		return ending_of_reason(reason);
	if (s->again && time(NULL) >= s->again)
		return ENDING_TIME;
	return s->granted ? ENDING_UNGRANTED : ENDING_RULES;
}

static void enforce_session(struct worker *w, struct session *s)
{
	struct policy_question q = {
		.from = s->pair.from ? account_name(s->pair.from) : "",
		.to = account_name(s->pair.to),
		.service = s->service,
		.source = &s->source,
		.now = time(NULL),
	};
	struct policy_answer a = policy_decide(w->snap->policy, &q);

	if (a.reason != REASON_OK) {
		worker_count(w, a.reason);
		session_abort(s, ENDING_SELF, enforce_cause(s, a.reason),
			      reason_sentence(a.reason));
		return;
	}
	s->again = a.again;
	s->granted = a.granted;
	if (a.rate != s->rate)
		session_set_rate(s, a.rate);
	enforce_watch(w, a.again);
}

void enforce_sessions(struct worker *w)
{
	struct sessions *ss = w->sessions;

	ss->look_again = 0;
	for (uint32_t i = 0; i < ss->table.high_water; i++) {
		struct session *s = slab_at(&ss->table, i);

		if (s && !s->ended)
			enforce_session(w, s);
	}
}

void enforce_tick(struct timer *t, uint64_t now_ms)
{
	struct sessions *ss = container(t, struct sessions, policy_timer);

	if (ss->look_again && time(NULL) >= ss->look_again)
		enforce_sessions(ss->worker);
	if (ss->look_again)
		ring_timer_set(ss->worker->ring, t, TICK_MS);
}
