/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asker: asks for a session, waits for the answer, and hears it. One story for three kinds of
 * asker, which hear it in their own words: an agent's leg in OPENING (leg.c), and clients in PUBLIC
 * and SITE (public.c).
 */
#include "relay/session/leg_internal.h"

#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/memory.h"
#include "relay/session/enforce.h"
#include "relay/session/report.h"
#include "relay/session/trace.h"

/* ---- refusals ---- */

void asker_record_refused(struct conn *c, const struct leg_asked *asked, enum ending_side who,
			  enum reason reason)
{
	const struct ending how = {who, ENDING_OPENING, ending_of_reason(reason)};
	const char *from = asked->from[0] ? asked->from : "public";
	char code[ENDING_CODE_BYTES];

	log_recorded(LOG_LEVEL_INFO, "session", "refused from=%s to=%s/%s ending=%s reason=%s: %s",
		     from, asked->to, asked->service, ending_code(how, code), reason_name(reason),
		     reason_sentence(reason));
	report_refused(c, from, asked->to, asked->service, code, reason);
}

void asker_forget_meeting(struct conn *c)
{
	struct relay_leg *leg = leg_of(c);
	struct relay *r = c->worker->relay;

	if (!leg->meeting)
		return;
	relay_lock(r);
	rendezvous_forget(r->rendezvous, leg->meeting);
	relay_unlock(r);
	leg->meeting = 0;
}

/* ---- asking ---- */

/* Keeps a copy. False without memory. */
static bool asker_keep(struct conn *c, const struct leg_asked *asked)
{
	struct relay_leg *leg = leg_of(c);

	if (!leg->asked)
		leg->asked = memory_get(sizeof *leg->asked);
	if (!leg->asked)
		return false;
	*leg->asked = *asked;
	return true;
}

bool asker_mark(const struct conn *asker, struct wire_message *m)
{
	return asker->phase != &phase_site ||
	       wire_extension_add(m, WIRE_EXTENSION_OUTER_TLS, wire_text(""));
}

void asker_offer(struct conn *asker, const struct rendezvous_offer *offer)
{
	struct relay_leg *leg = leg_of(asker);
	struct wire_message m = {.type = WIRE_OFFER};
	char source[ADDR_TEXT_BYTES], local[ADDR_TEXT_BYTES];

	leg->meeting = offer->session;
	addr_format(&asker->peer, source);
	addr_format(&asker->local, local);
	m.offer.session = offer->session;
	m.offer.kind = offer->from[0] ? WIRE_OFFER_AGENT : WIRE_OFFER_PUBLIC;
	m.offer.from = wire_text(offer->from);
	m.offer.service = wire_text(leg->asked->service);
	m.offer.source = wire_text(source);
	m.offer.local = wire_text(local);
	/* Where the publisher does not read, the asker's time runs out. */
	if (!asker_mark(asker, &m) || !conn_tell_spare(asker->worker->relay, offer->publisher, &m))
		asker_failed(asker, ENDING_SELF, REASON_LIMIT_MEMORY, (struct wire_bytes){0});
}

/* What became of the question; offer: yes, and it goes to the publishing agent. */
static void asker_trace(const struct conn *c, const char *to, const char *service,
			const struct policy_answer *grant, const struct rendezvous_offer *offer,
			enum reason reason)
{
	const struct policy *policy = c->worker->snap->policy;
	struct relay *r = c->worker->relay;
	char source[ADDR_TEXT_BYTES], rule[POLICY_PATH_BYTES];

	addr_format(&c->peer, source);
	policy_rule_path(policy, grant->rule, rule);
	if (offer)
		trace_asked(r, offer->from, to, offer->session,
			    "%s at %s wants %s/%s: allowed%s%s, OFFER",
			    offer->from[0] ? offer->from : "a public client", source, to, service,
			    rule[0] ? " by " : "", rule);
	else
		trace_asked(r, "", to, 0, "%s wants %s/%s: %s", source, to, service,
			    reason_name(reason));
}

static struct enforce_wish asker_wish(struct conn *c, const struct leg_asked *asked)
{
	return (struct enforce_wish){.asker = c,
				     .credential = leg_of(c)->credential,
				     .to = asked->to,
				     .service = asked->service};
}

enum reason asker_ask(struct conn *c, struct leg_asked *asked, enum reason refused,
		      struct rendezvous_offer *offer)
{
	struct relay *r = c->worker->relay;
	struct relay_leg *leg = leg_of(c);
	struct policy_answer grant = {.reason = refused, .rule = SIZE_MAX};
	enum reason reason = r->draining ? REASON_DRAINING : refused;
	const struct enforce_wish wish = asker_wish(c, asked);

	snprintf(asked->from, sizeof asked->from, "%s",
		 leg->credential ? leg->credential->peer.name : "");
	relay_lock(r);
	if (reason == REASON_OK && !asker_keep(c, asked))
		reason = REASON_LIMIT_MEMORY;
	if (reason == REASON_OK) {
		grant = enforce_open(&wish);
		reason = grant.reason;
	}
	if (reason == REASON_OK)
		reason = rendezvous_open(r->rendezvous, leg->link, asked->to, asked->service, c->id,
					 offer);
	relay_unlock(r);
	if (reason == REASON_OK)
		enforce_watch(c->worker, grant.again);
	if (trace_on(r))
		asker_trace(c, asked->to, asked->service, &grant,
			    reason == REASON_OK ? offer : NULL, reason);
	return reason;
}

/* ---- failures, from any worker ---- */

struct asker_failure {
	struct ring_msg msg; /* first: the ring hands this back */
	struct relay *relay;
	slab_id asker;
	uint64_t session;
	enum reason reason;
	size_t len;
	uint8_t text[];
};

void asker_failed(struct conn *c, enum ending_side who, enum reason reason, struct wire_bytes text)
{
	const struct leg_asked *asked = leg_of(c)->asked;

	if (c->phase == &phase_public)
		public_failed(c, asked, who, reason);
	else if (c->phase == &phase_site)
		site_failed(c, asked, who, reason);
	else
		leg_failed(c, asked, who, reason, text);
}

static void asker_failure_run(struct ring_msg *msg)
{
	struct asker_failure *f = (struct asker_failure *)msg;
	struct conn *c = conn_find(worker_of(f->relay, f->asker), f->asker);
	struct relay_leg *leg = c ? leg_of(c) : NULL;

	if (leg && leg->meeting == f->session) {
		leg->meeting = 0;
		asker_failed(c, ENDING_PUBLISHING, f->reason, (struct wire_bytes){f->text, f->len});
	}
	memory_free(f);
}

void asker_tell_failed(struct relay *r, slab_id asker, uint64_t session, enum reason reason,
		       struct wire_bytes text)
{
	struct asker_failure *f = memory_zeroed(sizeof *f + text.len);

	if (!f)
		return; /* the asker's deadline tells it */
	*f = (struct asker_failure){.msg.run = asker_failure_run,
				    .relay = r,
				    .asker = asker,
				    .session = session,
				    .reason = reason,
				    .len = text.len};
	if (text.len > 0)
		memcpy(f->text, text.data, text.len);
	ring_post(worker_of(r, asker)->ring, &f->msg);
}

void asker_end_all(struct worker *w)
{
	for (uint32_t i = 0; i < w->conns.high_water; i++) {
		struct conn *c = slab_at(&w->conns, i);
		const struct relay_leg *leg = c ? leg_of(c) : NULL;

		if (leg && leg->meeting)
			asker_failed(c, ENDING_SELF, REASON_DRAINING, (struct wire_bytes){0});
	}
}

/* ---- while it waits ---- */

void asker_judge(struct conn *c)
{
	const struct leg_asked *asked = leg_of(c)->asked;
	const struct enforce_wish wish = asker_wish(c, asked);
	enum reason reason = enforce_waiting(&wish).reason;

	if (reason != REASON_OK)
		asker_failed(c, ENDING_SELF, reason, (struct wire_bytes){0});
	leg_judge(c);
}

void asker_gone(struct conn *c, const struct leg_asked *asked)
{
	worker_count(c->worker, REASON_PEER_GONE);
	asker_record_refused(c, asked, ENDING_ASKING, REASON_PEER_GONE);
}
