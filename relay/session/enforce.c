/* SPDX-License-Identifier: Apache-2.0 */
/* enforce: asks what the peers of a worker, and what runs between them, may. */
#include "relay/session/enforce.h"

#include <stdio.h>
#include <time.h>

#include "core/container.h"
#include "relay/session/session.h"

static const struct identity_anchors *anchors_of(const struct worker *w)
{
	return identity_anchors(w->snap->identity);
}

/* ---- one peer ---- */

enum reason enforce_peer(struct worker *w, const struct credential *credential)
{
	const struct entitled_rules rules = policy_entitles(w->snap->policy, anchors_of(w));
	struct entitled_answer a =
		entitled(&(struct entitled_proof){.own = credential}, &rules, time(NULL));

	if (a.reason == REASON_OK)
		enforce_watch(w, a.until);
	return a.reason;
}

/* ---- an asker, and whom it asks for ---- */

static struct policy_answer enforce_wish(const struct enforce_wish *wish, uint64_t running)
{
	struct worker *w = wish->asker->worker;
	const struct policy_parties parties = {.from.own = wish->credential};
	const struct policy_question q = {
		.from = wish->credential ? wish->credential->peer.name : "",
		.to = wish->to,
		.service = wish->service,
		.source = &wish->asker->peer,
		.now = time(NULL),
		.running = running,
	};

	return policy_entitled(w->snap->policy, anchors_of(w), &parties, &q);
}

struct policy_answer enforce_open(const struct enforce_wish *wish)
{
	const struct rendezvous *r = wish->asker->worker->relay->rendezvous;
	const char *from = wish->credential ? wish->credential->peer.name : "";

	return enforce_wish(wish, rendezvous_running(r, from, wish->to, wish->service));
}

struct policy_answer enforce_waiting(const struct enforce_wish *wish)
{
	struct policy_answer a = enforce_wish(wish, 0);

	if (a.reason == REASON_OK)
		enforce_watch(wish->asker->worker, a.again);
	return a;
}

/* What is between two, now: also by the newest that each of them has proved. It counts already. */
static struct policy_answer enforce_pair(struct worker *w, const struct rendezvous_pair *pair,
					 const char *service, const struct addr *source)
{
	struct credential *from = NULL, *to;
	struct policy_parties parties;
	struct policy_answer a;
	const struct policy_question q = {
		.from = pair->from ? party_name(pair->from) : "",
		.to = party_name(pair->to),
		.service = service,
		.source = source,
		.now = time(NULL),
	};

	relay_lock(w->relay);
	if (pair->from)
		from = party_newest(pair->from);
	to = party_newest(pair->to);
	relay_unlock(w->relay);
	parties = (struct policy_parties){
		.from = {pair->from ? party_credential(pair->from) : NULL, from},
		.to = {party_credential(pair->to), to}};
	a = policy_entitled(w->snap->policy, anchors_of(w), &parties, &q);
	credential_release(from);
	credential_release(to);
	return a;
}

struct policy_answer enforce_begin(struct worker *w, const struct rendezvous_pair *pair,
				   const char *service, const struct addr *source)
{
	return enforce_pair(w, pair, service, source);
}

/* ---- what runs ---- */

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
	struct policy_answer a = enforce_pair(w, &s->pair, s->service, &s->source);
	char why[WIRE_NAME_MAX + REASON_SENTENCE_MAX + 3];

	if (s->public_mark &&
	    !snapshot_public_leads(w->snap, s->public_mark, party_name(s->pair.to), s->service)) {
		worker_count(w, REASON_NOT_ALLOWED);
		session_abort(s, ENDING_SELF, ENDING_RULES,
			      "the public name that it came by, or site.to, leads there no more");
		return;
	}
	if (a.reason != REASON_OK) {
		worker_count(w, a.reason);
		snprintf(why, sizeof why, "%s%s%s", a.whose ? a.whose : "", a.whose ? ": " : "",
			 reason_sentence(a.reason));
		session_abort(s, ENDING_SELF, enforce_cause(s, a.reason), why);
		return;
	}
	s->again = a.again;
	s->granted = a.granted;
	if (a.rate != s->rate)
		session_set_rate(s, a.rate);
	enforce_watch(w, a.again);
}

void enforce_all(struct worker *w)
{
	struct sessions *ss = w->sessions;

	look_forget(&ss->look);
	for (uint32_t i = 0; i < ss->table.high_water; i++) {
		struct session *s = slab_at(&ss->table, i);

		if (s && !s->ended)
			enforce_session(w, s);
	}
	for (uint32_t i = 0; i < w->conns.high_water; i++) {
		struct conn *c = slab_at(&w->conns, i);

		if (c && c->phase->judge)
			c->phase->judge(c);
	}
}

/* ---- the clock ---- */

void enforce_watch(struct worker *w, time_t again)
{
	look_until(&w->sessions->look, again);
}

void enforce_look(struct look *l)
{
	enforce_all(container(l, struct sessions, look)->worker);
}
