/* SPDX-License-Identifier: Apache-2.0 */
/* leg: asking, accepting, and being cut through. */
#include "relay/session/leg_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <openssl/mem.h>
#include <openssl/rand.h>

#include "core/engine/identity.h"
#include "core/log.h"
#include "core/memory.h"
#include "relay/front/charge.h"
#include "relay/session/enforce.h"
#include "relay/session/frames.h"
#include "relay/session/report.h"
#include "relay/session/trace.h"
#include "relay/session/session.h"

static const struct conn_phase phase_leg, phase_opening, phase_cutting;
static void leg_flushed(struct conn *c);
static void leg_judge(struct conn *c);

struct handover {
	struct ring_msg msg; /* first: the ring hands this back */
	struct relay *relay;
	uint64_t session;
	struct rendezvous_pair pair;
	int fd;
	uint32_t place; /* in the ledger */
	struct tls *tls;
};

/* Keeps a copy. False without memory. */
static bool leg_keep_asked(struct conn *c, const struct leg_asked *asked)
{
	struct relay_leg *leg = leg_of(c);

	if (!leg->asked)
		leg->asked = memory_get(sizeof *leg->asked);
	if (!leg->asked)
		return false;
	*leg->asked = *asked;
	return true;
}

static void leg_end_pair(struct relay *r, const struct rendezvous_pair *pair)
{
	relay_lock(r);
	rendezvous_end(r->rendezvous, pair);
	relay_unlock(r);
}

/* ---- becoming a leg ---- */

/* REASON_OK: it counts as the link's, and *credential is the link's, with a reference. */
static enum reason leg_check(struct conn *c, const struct wire_message *m,
			     struct credential **credential)
{
	struct relay *r = c->worker->relay;
	uint8_t exported[TLS_EXPORT_BYTES], secret[WIRE_SECRET_BYTES], proof[WIRE_SECRET_BYTES];
	char agent[WIRE_NAME_MAX + 1] = "";

	if (!tls_export(c->tls, TLS_EXPORT_LEG, exported))
		return REASON_PROOF;
	relay_lock(r);
	enum reason reason = rendezvous_leg_secret(r->rendezvous, m->leg.link, secret);
	relay_unlock(r);
	if (reason != REASON_OK)
		return reason;
	identity_leg_proof(secret, exported, proof);
	OPENSSL_cleanse(secret, sizeof secret);
	if (CRYPTO_memcmp(proof, m->leg.proof, sizeof proof) != 0)
		return REASON_PROOF;
	relay_lock(r);
	const char *name = rendezvous_link_name(r->rendezvous, m->leg.link);
	if (name)
		snprintf(agent, sizeof agent, "%s", name);
	relay_unlock(r);
	if (!agent[0])
		return REASON_LINK_GONE;
	if (!charge_leg(c, agent))
		return REASON_LIMIT_RATE;
	reason = charge_proven(c, agent, false);
	if (reason != REASON_OK)
		return reason;
	relay_lock(r);
	reason = rendezvous_leg_join(r->rendezvous, m->leg.link, credential);
	relay_unlock(r);
	return reason;
}

/* An idle leg is looked at now and then: does its link still live? */
static void leg_idle(struct conn *c)
{
	conn_set_phase(c, &phase_leg);
	conn_set_deadline(c, 2 * c->worker->snap->config.limits.ping_ms);
}

void leg_begin(struct conn *c, const struct wire_message *m)
{
	struct wire_message ready = {.type = WIRE_READY};
	struct credential *credential = NULL;
	enum reason reason =
		c->worker->relay->draining ? REASON_DRAINING : leg_check(c, m, &credential);

	if (reason != REASON_OK) {
		TRACE_LINK(c->worker->relay, m->leg.link, "leg: refused: %s: %s",
			   reason_name(reason), reason_sentence(reason));
		conn_refuse(c, reason);
		return;
	}
	TRACE_LINK(c->worker->relay, m->leg.link, "leg: ready");
	leg_idle(c);
	leg_of(c)->link = m->leg.link;
	leg_of(c)->credential = credential;
	leg_of(c)->counted = true;
	conn_send_message(c, &ready);
	/* The link may live on another worker, whose configuration is another still. */
	leg_judge(c);
}

/* It belongs to a link that may not go on. */
static void leg_judge(struct conn *c)
{
	enum reason reason = REASON_OK;

	if (leg_of(c) && leg_of(c)->credential)
		reason = enforce_peer(c->worker, leg_of(c)->credential);
	if (reason != REASON_OK)
		conn_refuse(c, reason);
}

static void leg_looked_at(struct conn *c, uint64_t now_ms)
{
	struct relay *r = c->worker->relay;

	relay_lock(r);
	bool alive = rendezvous_link_alive(r->rendezvous, leg_of(c)->link);
	relay_unlock(r);
	if (alive)
		leg_idle(c);
	else
		conn_bye(c, REASON_LINK_GONE);
}

/* ---- refusals ---- */

void leg_record_refused(struct conn *c, const struct leg_asked *asked, enum ending_side who,
			enum reason reason)
{
	const struct ending how = {who, ENDING_OPENING, ending_of_reason(reason)};
	const char *from = asked->from[0] ? asked->from : "public";
	char code[ENDING_CODE_BYTES];

	log_info("session", "refused from=%s to=%s/%s ending=%s reason=%s: %s", from, asked->to,
		 asked->service, ending_code(how, code), reason_name(reason),
		 reason_sentence(reason));
	report_refused(c, from, asked->to, asked->service, code, reason);
}

void leg_forget_meeting(struct conn *c)
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

/* A leg hears why, and is idle again. Counted. */
static void leg_fail(struct conn *c, enum reason reason, struct wire_bytes text)
{
	struct wire_message m = {.type = WIRE_FAIL};

	worker_count(c->worker, reason);
	m.fail.reason = (uint16_t)reason;
	m.fail.text = text.len > 0 ? text : wire_text(reason_sentence(reason));
	leg_idle(c);
	conn_send_message(c, &m); /* once it has left, the leg is read again */
}

/* ---- asking ---- */

static void leg_failed(struct conn *c, const struct leg_asked *asked, enum ending_side who,
		       enum reason reason, struct wire_bytes text)
{
	leg_forget_meeting(c);
	leg_record_refused(c, asked, who, reason);
	TRACE_LINK(c->worker->relay, leg_of(c)->link, "leg: FAIL for %s/%s: %s \"%.*s\"", asked->to,
		   asked->service, reason_name(reason), (int)text.len, (const char *)text.data);
	leg_fail(c, reason, text);
}

static void leg_opening_late(struct conn *c, uint64_t now_ms)
{
	leg_failed(c, leg_of(c)->asked, ENDING_PUBLISHING, REASON_TIMEOUT, (struct wire_bytes){0});
}

static void asker_failed(struct conn *c, enum ending_side who, enum reason reason,
			 struct wire_bytes text);

/* Whether the session is to stay in the TLS of both sides is the asker's kind. */
static bool leg_mark(const struct conn *asker, struct wire_message *m)
{
	return asker->phase != &phase_site ||
	       wire_extension_add(m, WIRE_EXTENSION_OUTER_TLS, wire_text(""));
}

void leg_offer(struct conn *asker, const struct rendezvous_offer *offer)
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
	if (!leg_mark(asker, &m) || !conn_tell(asker->worker->relay, offer->publisher, &m, false))
		asker_failed(asker, ENDING_SELF, REASON_LIMIT_MEMORY, (struct wire_bytes){0});
}

/* What became of the question; offer: yes, and it goes to the publishing agent. */
static void leg_trace_asked(const struct conn *c, const char *to, const char *service,
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

static struct enforce_wish leg_wish(struct conn *c, const struct leg_asked *asked)
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
	const struct enforce_wish wish = leg_wish(c, asked);

	snprintf(asked->from, sizeof asked->from, "%s",
		 leg->credential ? leg->credential->peer.name : "");
	relay_lock(r);
	if (reason == REASON_OK && !leg_keep_asked(c, asked))
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
		leg_trace_asked(c, asked->to, asked->service, &grant,
				reason == REASON_OK ? offer : NULL, reason);
	return reason;
}

static void leg_open(struct conn *c, const struct wire_message *m)
{
	struct rendezvous_offer offer;
	struct leg_asked asked;
	char text[WIRE_EXTENSION_TEXT_MAX] = "";
	enum reason reason = REASON_OK;

	wire_bytes_copy(m->open.to, asked.to, sizeof asked.to);
	wire_bytes_copy(m->open.service, asked.service, sizeof asked.service);
	if (m->extensions.unknown) {
		wire_explain_extension(m, "this relay", text);
		reason = REASON_EXTENSION;
	}
	reason = asker_ask(c, &asked, reason, &offer);
	if (reason != REASON_OK) {
		leg_failed(c, &asked, ENDING_SELF, reason,
			   wire_text(reason == REASON_EXTENSION ? text : ""));
		return;
	}
	conn_set_phase(c, &phase_opening);
	conn_set_deadline(c, c->worker->snap->config.limits.open_ms);
	leg_offer(c, &offer);
}

/* ---- failures, from any worker ---- */

struct leg_failure {
	struct ring_msg msg; /* first: the ring hands this back */
	struct relay *relay;
	slab_id asker;
	uint64_t session;
	enum reason reason;
	size_t len;
	uint8_t text[];
};

/* What an asker, of either kind, waited for came to nothing. */
static void asker_failed(struct conn *c, enum ending_side who, enum reason reason,
			 struct wire_bytes text)
{
	const struct leg_asked *asked = leg_of(c)->asked;

	if (c->phase == &phase_public)
		public_failed(c, asked, who, reason);
	else if (c->phase == &phase_site)
		site_failed(c, asked, who, reason);
	else
		leg_failed(c, asked, who, reason, text);
}

static void leg_failure_run(struct ring_msg *msg)
{
	struct leg_failure *f = (struct leg_failure *)msg;
	struct conn *c = conn_find(worker_of(f->relay, f->asker), f->asker);
	struct relay_leg *leg = c ? leg_of(c) : NULL;

	if (leg && leg->meeting == f->session) {
		leg->meeting = 0;
		asker_failed(c, ENDING_PUBLISHING, f->reason, (struct wire_bytes){f->text, f->len});
	}
	memory_free(f);
}

void leg_tell_failed(struct relay *r, slab_id asker, uint64_t session, enum reason reason,
		     struct wire_bytes text)
{
	struct leg_failure *f = memory_zeroed(sizeof *f + text.len);

	if (!f)
		return; /* the asker's deadline tells it */
	*f = (struct leg_failure){.msg.run = leg_failure_run,
				  .relay = r,
				  .asker = asker,
				  .session = session,
				  .reason = reason,
				  .len = text.len};
	if (text.len > 0)
		memcpy(f->text, text.data, text.len);
	ring_post(worker_of(r, asker)->ring, &f->msg);
}

void leg_end_askers(struct worker *w)
{
	for (uint32_t i = 0; i < w->conns.high_water; i++) {
		struct conn *c = slab_at(&w->conns, i);
		const struct relay_leg *leg = c ? leg_of(c) : NULL;

		if (leg && leg->meeting)
			asker_failed(c, ENDING_SELF, REASON_DRAINING, (struct wire_bytes){0});
	}
}

/* ---- cutting through ---- */

/* It is no agent's, and hears nothing of Postern. */
static bool leg_is_stranger(const struct relay_leg *leg)
{
	return leg->side == 0 && !leg->credential;
}

static void leg_cut(struct worker *w, slab_id id, const struct wire_message *go)
{
	struct conn *c = conn_find(w, id);

	if (!c || c->phase != &phase_cutting)
		return;
	if (!leg_is_stranger(leg_of(c)))
		conn_send_message(c, go);
	if (c->phase == &phase_cutting && !conn_sending(c))
		leg_flushed(c);
}

static void leg_join_session(struct conn *c, struct session *s, unsigned side)
{
	struct relay_leg *leg = leg_of(c);

	conn_set_phase(c, &phase_cutting);
	conn_set_deadline(c, c->worker->snap->config.limits.open_ms);
	leg->meeting = 0;
	leg->session = s;
	leg->side = (uint8_t)side;
	s->cutting[side] = c->id;
}

/* Rules, revocations and CAs may be others than when it was asked for, and time has passed. The
 * publishing agent hears the reason, too: its leg is as it was, or has just come from another
 * worker and ends. */
static void leg_pair_refused(struct conn *asker, struct conn *publisher,
			     const struct rendezvous_pair *pair, enum reason reason)
{
	leg_end_pair(asker->worker->relay, pair);
	leg_of(asker)->meeting = 0;
	asker_failed(asker, ENDING_SELF, reason, (struct wire_bytes){0});
	if (publisher->phase == &phase_leg)
		leg_fail(publisher, reason, (struct wire_bytes){0});
	else
		conn_refuse(publisher, reason);
}

/* Both connections are on this worker. */
static void leg_pair(struct conn *asker, struct conn *publisher, uint64_t number,
		     const struct rendezvous_pair *pair)
{
	struct worker *w = asker->worker;
	slab_id ids[2] = {asker->id, publisher->id};
	bool public = asker->phase == &phase_public, site = asker->phase == &phase_site;
	const char *service = leg_of(asker)->asked->service;
	struct policy_answer grant = enforce_begin(w, pair, service, &asker->peer);
	struct session_facts facts = {
		.number = number,
		.pair = *pair,
		.service = service,
		.source = &asker->peer,
		.rate = grant.rate,
		.again = grant.again,
		.granted = grant.granted,
		.public_mark = leg_of(asker)->asked->public_mark,
	};
	struct wire_message go = {.type = WIRE_GO, .go.session = number};
	struct session *s;

	if (public && grant.reason == REASON_OK &&
	    !snapshot_public_leads(w->snap, facts.public_mark, party_name(pair->to), service))
		grant.reason = REASON_NOT_ALLOWED;
	if (grant.reason != REASON_OK) {
		leg_pair_refused(asker, publisher, pair, grant.reason);
		return;
	}
	s = session_new(w, &facts);
	if (!s) {
		leg_end_pair(w->relay, pair);
		conn_close(asker, REASON_LIMIT_MEMORY);
		conn_close(publisher, REASON_LIMIT_MEMORY);
		return;
	}
	bool ready = leg_mark(asker, &go);
	leg_join_session(asker, s, 0);
	leg_join_session(publisher, s, 1);
	RAND_bytes(go.go.secret, sizeof go.go.secret);
	if (public)
		ready = session_wrap_publisher(s, go.go.secret);
	if (site && ready)
		ready = session_keep_tls(s);
	if (!ready) {
		session_abort(s, ENDING_SELF, ENDING_MEMORY, "out of memory");
		return;
	}
	leg_cut(w, ids[0], &go);
	leg_cut(w, ids[1], &go);
}

static struct conn *waiting_asker(struct worker *w, slab_id id, uint64_t session)
{
	struct conn *asker = conn_find(w, id);
	const struct relay_leg *leg = asker ? leg_of(asker) : NULL;

	return leg && leg->meeting == session ? asker : NULL;
}

static void leg_handover_run(struct ring_msg *msg)
{
	struct handover *h = (struct handover *)msg;
	struct relay *r = h->relay;
	struct worker *w = worker_of(r, h->pair.asker);
	struct conn *asker = waiting_asker(w, h->pair.asker, h->session);
	struct conn *c = conn_adopt(w, h->fd, h->place, h->tls, &phase_cutting);

	if (!c) {
		tls_free(h->tls);
		worker_close_fd(w, h->fd, h->place, true);
		leg_end_pair(r, &h->pair);
		if (asker)
			conn_close(asker, REASON_LIMIT_MEMORY);
	} else if (!asker) {
		leg_end_pair(r, &h->pair);
		conn_refuse(c, REASON_PEER_GONE);
	} else {
		leg_pair(asker, c, h->session, &h->pair);
	}
	memory_free(h);
}

static void leg_hand_over(struct conn *c)
{
	struct relay_leg *leg = leg_of(c);
	struct handover *h = leg->handover;

	leg->handover = NULL;
	h->tls = c->tls;
	c->tls = NULL;
	ring_detach_fd(c->worker->ring, c->fd);
	h->fd = conn_release_fd(c, &h->place);
	h->msg.run = leg_handover_run;
	ring_post(worker_of(h->relay, h->pair.asker)->ring, &h->msg);
}

/* Everything that a CUTTING connection had to send has left. */
static void leg_flushed(struct conn *c)
{
	struct relay_leg *leg = leg_of(c);
	struct session *s = leg->session;

	if (leg->handover) {
		leg_hand_over(c);
		return;
	}
	if (!s)
		return;
	/* A public client's hello, or request, goes first to the other side; of a leg nothing but
	 * its last message is kept. */
	uint8_t *head = leg_is_stranger(leg) ? c->in : NULL;
	size_t head_len = head ? c->in_len : 0;
	unsigned side = leg->side;

	if (head) {
		c->in = NULL;
		c->in_len = c->in_room = 0;
	}
	if (s->bridge) {
		s->bridge->tls[side] = c->tls;
		c->tls = NULL;
	}
	leg->session = NULL;
	int fd = conn_release_fd(c, &s->place[side]);
	session_attach(s, side, fd, head, head_len);
}

static void leg_cutting_late(struct conn *c, uint64_t now_ms)
{
	conn_close(c, REASON_TIMEOUT);
}

void leg_session_gone(struct worker *w, slab_id id)
{
	struct conn *c = conn_find(w, id);
	struct relay_leg *leg = c ? leg_of(c) : NULL;

	if (!leg)
		return;
	leg->session = NULL;
	conn_close(c, REASON_PEER_GONE);
}

/* ---- accepting ---- */

static void leg_accept(struct conn *c, const struct wire_message *m)
{
	struct relay *r = c->worker->relay;
	uint64_t session = m->accept.session;
	struct rendezvous_pair pair;

	relay_lock(r);
	enum reason reason = rendezvous_accept(r->rendezvous, leg_of(c)->link, session, &pair);
	relay_unlock(r);
	if (reason != REASON_OK) {
		leg_fail(c, reason, (struct wire_bytes){0});
		return;
	}
	if (worker_of(r, pair.asker) == c->worker) {
		struct conn *asker = waiting_asker(c->worker, pair.asker, session);

		if (asker) {
			leg_pair(asker, c, session, &pair);
		} else {
			leg_end_pair(r, &pair);
			leg_fail(c, REASON_PEER_GONE, (struct wire_bytes){0});
		}
		return;
	}
	struct handover *h = memory_zeroed(sizeof *h);
	if (!h) {
		leg_end_pair(r, &pair);
		leg_fail(c, REASON_LIMIT_MEMORY, (struct wire_bytes){0});
		return;
	}
	*h = (struct handover){.relay = r, .session = session, .pair = pair};
	leg_of(c)->handover = h;
	conn_set_phase(c, &phase_cutting);
	conn_set_deadline(c, c->worker->snap->config.limits.open_ms);
	if (!conn_sending(c))
		leg_flushed(c);
}

static void leg_message(struct conn *c, const struct wire_message *m, bool more)
{
	size_t early = 0;

	/* Nothing may follow OPEN or ACCEPT until GO: it would be lost with the TLS state. */
	tls_unread(c->tls, &early);
	if ((m->type != WIRE_OPEN && m->type != WIRE_ACCEPT) || early > 0 || more) {
		if (m->type == WIRE_BYE)
			conn_finish(c);
		else
			conn_refuse(c, REASON_PROTOCOL);
		return;
	}
	if (m->type == WIRE_OPEN)
		leg_open(c, m);
	else
		leg_accept(c, m);
}

static void leg_input(struct conn *c, const uint8_t *data, size_t len)
{
	frames_input(c, data, len, leg_message);
}

/* ---- the phases ---- */

/* It was about to become its side of the session. */
static void leg_abort_session(const struct relay_leg *leg, enum reason why)
{
	enum ending_side who = leg->side == 0 ? ENDING_ASKING : ENDING_PUBLISHING;

	if (why == REASON_OK)
		session_abort(leg->session, who, ENDING_RESET, "it closed while GO was leaving");
	else
		session_abort(leg->session, why == REASON_LIMIT_MEMORY ? ENDING_SELF : who,
			      ending_of_reason(why), reason_name(why));
}

/* It left before there was an answer. */
static void asker_gone(struct conn *c, const struct leg_asked *asked)
{
	worker_count(c->worker, REASON_PEER_GONE);
	leg_record_refused(c, asked, ENDING_ASKING, REASON_PEER_GONE);
}

static void leg_leave(struct conn *c, enum reason why)
{
	struct relay *r = c->worker->relay;
	struct relay_leg *leg = (struct relay_leg *)c->state;

	if (leg->counted || leg->meeting || leg->handover) {
		relay_lock(r);
		if (leg->counted)
			rendezvous_leg_leave(r->rendezvous, leg->link);
		if (leg->meeting)
			rendezvous_forget(r->rendezvous, leg->meeting);
		if (leg->handover)
			rendezvous_end(r->rendezvous, &leg->handover->pair);
		relay_unlock(r);
	}
	if (leg->session)
		leg_abort_session(leg, why);
	/* It still waited. Where why is told, conn_close() has counted it. */
	if (leg->meeting && why != REASON_OK)
		leg_record_refused(c, leg->asked, ENDING_SELF, why);
	else if (leg->meeting)
		asker_gone(c, leg->asked);
}

static void leg_dispose(struct conn *c)
{
	struct relay_leg *leg = (struct relay_leg *)c->state;

	memory_free(leg->asked);
	web_free(leg->web);
	memory_free(leg->handover);
	credential_release(leg->credential);
}

void asker_judge(struct conn *c)
{
	const struct leg_asked *asked = leg_of(c)->asked;
	const struct enforce_wish wish = leg_wish(c, asked);
	enum reason reason = enforce_waiting(&wish).reason;

	if (reason != REASON_OK)
		asker_failed(c, ENDING_SELF, reason, (struct wire_bytes){0});
	leg_judge(c);
}

static void leg_drain(struct conn *c)
{
	conn_bye(c, REASON_DRAINING);
}

static_assert(sizeof(struct relay_leg) <= CONN_STATE_BYTES, "a leg fits into its connection");

const struct conn_state leg_state = {
	.leave = leg_leave,
	.dispose = leg_dispose,
};

static const struct conn_phase phase_leg = {
	.name = "leg",
	.state = &leg_state,
	.input = leg_input,
	.deadline = leg_looked_at,
	.drain = leg_drain,
	.judge = leg_judge,
};

static const struct conn_phase phase_opening = {
	.name = "opening",
	.state = &leg_state,
	.deadline = leg_opening_late,
	.judge = asker_judge,
};

static const struct conn_phase phase_cutting = {
	.name = "cutting",
	.state = &leg_state,
	.deadline = leg_cutting_late,
	.sent = leg_flushed,
};
