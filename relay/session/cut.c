/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut: the two sides of a session come together on the asker's worker, hear GO, and become the
 * session: the phase CUTTING of leg.h.
 *
 * The publishing leg is where its agent has dialled it to. On another worker it has first to send
 * what is on its way, and then moves as a handover: descriptor, TLS state and the pair. Until it
 * has arrived the pair is the handover's to end, and the session's afterwards.
 */
#include "relay/session/leg_internal.h"

#include <openssl/rand.h>

#include "core/memory.h"
#include "relay/session/enforce.h"
#include "relay/session/session.h"

static const struct conn_phase phase_cutting;
static void cut_flushed(struct conn *c);

static void cut_end_pair(struct relay *r, const struct rendezvous_pair *pair)
{
	relay_lock(r);
	rendezvous_end(r->rendezvous, pair);
	relay_unlock(r);
}

/* ---- on one thread ---- */

/* It is no agent's, and hears nothing of Postern. */
static bool cut_is_stranger(const struct relay_leg *leg)
{
	return leg->side == 0 && !leg->credential;
}

static void cut_say_go(struct worker *w, slab_id id, const struct wire_message *go)
{
	struct conn *c = conn_find(w, id);

	if (!c || c->phase != &phase_cutting)
		return;
	if (!cut_is_stranger(leg_of(c)))
		conn_send_message(c, go);
	if (c->phase == &phase_cutting && !conn_sending(c))
		cut_flushed(c);
}

static void cut_join(struct conn *c, struct session *s, unsigned side)
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
static void cut_refuse(struct conn *asker, struct conn *publisher,
		       const struct rendezvous_pair *pair, enum reason reason)
{
	cut_end_pair(asker->worker->relay, pair);
	leg_of(asker)->meeting = 0;
	asker_failed(asker, ENDING_SELF, reason, (struct wire_bytes){0});
	if (publisher->phase == &phase_leg)
		leg_fail(publisher, reason, (struct wire_bytes){0});
	else
		conn_refuse(publisher, reason);
}

/* Both connections are on this worker. */
static void cut_pair(struct conn *asker, struct conn *publisher, uint64_t number,
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

	if (facts.public_mark && grant.reason == REASON_OK &&
	    !snapshot_public_leads(w->snap, facts.public_mark, party_name(pair->to), service))
		grant.reason = REASON_NOT_ALLOWED;
	if (grant.reason != REASON_OK) {
		cut_refuse(asker, publisher, pair, grant.reason);
		return;
	}
	s = session_new(w, &facts);
	if (!s) {
		cut_end_pair(w->relay, pair);
		conn_close(asker, REASON_LIMIT_MEMORY);
		conn_close(publisher, REASON_LIMIT_MEMORY);
		return;
	}
	bool ready = asker_mark(asker, &go);
	cut_join(asker, s, 0);
	cut_join(publisher, s, 1);
	RAND_bytes(go.go.secret, sizeof go.go.secret);
	if (public)
		ready = session_wrap_publisher(s, go.go.secret);
	if (site && ready)
		ready = session_keep_tls(s);
	if (!ready) {
		session_abort(s, ENDING_SELF, ENDING_MEMORY, "out of memory");
		return;
	}
	cut_say_go(w, ids[0], &go);
	cut_say_go(w, ids[1], &go);
}

static struct conn *cut_find_asker(struct worker *w, slab_id id, uint64_t session)
{
	struct conn *asker = conn_find(w, id);
	const struct relay_leg *leg = asker ? leg_of(asker) : NULL;

	return leg && leg->meeting == session ? asker : NULL;
}

/* ---- from another one ---- */

static void cut_handover_run(struct ring_msg *msg)
{
	struct handover *h = (struct handover *)msg;
	struct relay *r = h->relay;
	struct worker *w = worker_of(r, h->pair.asker);
	struct conn *asker = cut_find_asker(w, h->pair.asker, h->session);
	struct conn *c = conn_adopt(w, h->fd, h->place, h->tls, &phase_cutting);

	if (!c) {
		tls_free(h->tls);
		worker_close_fd(w, h->fd, h->place, true);
		cut_end_pair(r, &h->pair);
		if (asker)
			conn_close(asker, REASON_LIMIT_MEMORY);
	} else if (!asker) {
		cut_end_pair(r, &h->pair);
		conn_refuse(c, REASON_PEER_GONE);
	} else {
		cut_pair(asker, c, h->session, &h->pair);
	}
	memory_free(h);
}

static void cut_hand_over(struct conn *c)
{
	struct relay_leg *leg = leg_of(c);
	struct handover *h = leg->handover;

	leg->handover = NULL;
	h->tls = c->tls;
	c->tls = NULL;
	ring_detach_fd(c->worker->ring, c->fd);
	h->fd = conn_release_fd(c, &h->place);
	h->msg.run = cut_handover_run;
	ring_post(worker_of(h->relay, h->pair.asker)->ring, &h->msg);
}

void cut_through(struct conn *leg, uint64_t session, const struct rendezvous_pair *pair)
{
	struct relay *r = leg->worker->relay;

	if (worker_of(r, pair->asker) == leg->worker) {
		struct conn *asker = cut_find_asker(leg->worker, pair->asker, session);

		if (asker) {
			cut_pair(asker, leg, session, pair);
		} else {
			cut_end_pair(r, pair);
			leg_fail(leg, REASON_PEER_GONE, (struct wire_bytes){0});
		}
		return;
	}
	struct handover *h = memory_zeroed(sizeof *h);
	if (!h) {
		cut_end_pair(r, pair);
		leg_fail(leg, REASON_LIMIT_MEMORY, (struct wire_bytes){0});
		return;
	}
	*h = (struct handover){.relay = r, .session = session, .pair = *pair};
	leg_of(leg)->handover = h;
	conn_set_phase(leg, &phase_cutting);
	conn_set_deadline(leg, leg->worker->snap->config.limits.open_ms);
	if (!conn_sending(leg))
		cut_flushed(leg);
}

/* ---- GO has left ---- */

/* Everything that a CUTTING connection had to send has left. */
static void cut_flushed(struct conn *c)
{
	struct relay_leg *leg = leg_of(c);
	struct session *s = leg->session;

	if (leg->handover) {
		cut_hand_over(c);
		return;
	}
	if (!s)
		return;
	/* A public client's hello, or request, goes first to the other side; of a leg nothing but
	 * its last message is kept. */
	uint8_t *head = cut_is_stranger(leg) ? c->in : NULL;
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

static void cut_late(struct conn *c, uint64_t now_ms)
{
	conn_close(c, REASON_TIMEOUT);
}

void cut_session_gone(struct worker *w, slab_id id)
{
	struct conn *c = conn_find(w, id);
	struct relay_leg *leg = c ? leg_of(c) : NULL;

	if (!leg)
		return;
	leg->session = NULL;
	conn_close(c, REASON_PEER_GONE);
}

void cut_abort(const struct relay_leg *leg, enum reason why)
{
	enum ending_side who = leg->side == 0 ? ENDING_ASKING : ENDING_PUBLISHING;

	if (why == REASON_OK)
		session_abort(leg->session, who, ENDING_RESET, "it closed while GO was leaving");
	else
		session_abort(leg->session, why == REASON_LIMIT_MEMORY ? ENDING_SELF : who,
			      ending_of_reason(why), reason_name(why));
}

static const struct conn_phase phase_cutting = {
	.name = "cutting",
	.state = &leg_state,
	.deadline = cut_late,
	.sent = cut_flushed,
};
