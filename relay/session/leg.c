/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leg: a connection on its way into a session: warm, opening, cut through.
 *
 * An ACCEPT finds its asker anywhere; the accepting leg then moves to the asker's worker as a
 * *handover* (descriptor, TLS state and what rendezvous_accept() gave), so that both legs of a
 * session are on one thread. There GO leaves on both, and each descriptor passes to the session
 * when its GO has left. A leg in hand is never read, so nothing of what follows GO can be lost.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/mem.h>

#include "core/log.h"
#include "relay/front/conn.h"
#include "relay/control/enforce.h"
#include "relay/control/report.h"
#include "relay/session/session.h"

struct handover {
	struct ring_msg msg; /* first: the ring hands this back */
	struct relay *relay;
	uint64_t session;
	struct rendezvous_pair pair;
	int fd;
	struct tls *tls;
};

static void leg_end_pair(struct relay *r, const struct rendezvous_pair *pair)
{
	relay_lock(r);
	rendezvous_end(r->rendezvous, pair);
	relay_unlock(r);
}

/* ---- becoming a leg ---- */

static enum reason leg_check(struct conn *c, const struct wire_message *m)
{
	struct relay *r = c->worker->relay;
	uint8_t exported[TLS_EXPORT_BYTES], secret[WIRE_SECRET_BYTES], proof[WIRE_SECRET_BYTES];

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
	reason = rendezvous_leg_join(r->rendezvous, m->leg.link);
	relay_unlock(r);
	return reason;
}

/* An idle leg is looked at now and then: does its link still live? */
static void leg_idle(struct conn *c)
{
	conn_set_phase(c, CONN_LEG_IDLE);
	conn_set_deadline(c, 2 * c->worker->snap->config.limits.ping_ms);
}

void leg_begin(struct conn *c, const struct wire_message *m)
{
	enum reason reason = c->worker->relay->draining ? REASON_DRAINING : leg_check(c, m);
	struct wire_message ready = {.type = WIRE_READY};

	if (reason != REASON_OK) {
		conn_refuse(c, reason);
		return;
	}
	c->link = m->leg.link;
	c->leg_counted = true;
	conn_authenticated(c);
	leg_idle(c);
	conn_send_message(c, &ready);
}

void leg_deadline(struct conn *c)
{
	struct relay *r = c->worker->relay;

	relay_lock(r);
	bool alive = rendezvous_link_alive(r->rendezvous, c->link);
	relay_unlock(r);
	if (alive)
		leg_idle(c);
	else
		conn_bye(c, REASON_LINK_GONE);
}

/* ---- asking ---- */

static void leg_fail(struct conn *c, enum reason reason, struct wire_bytes text)
{
	struct wire_message m = {.type = WIRE_FAIL};

	worker_count(c->worker, reason);
	m.fail.reason = (uint16_t)reason;
	m.fail.text = text.len > 0 ? text : wire_text(reason_sentence(reason));
	leg_idle(c);
	conn_send_message(c, &m);
	conn_read_on(c);
}

void leg_failed(struct conn *c, enum reason reason, struct wire_bytes text)
{
	struct relay *r = c->worker->relay;

	if (c->meeting) {
		relay_lock(r);
		rendezvous_forget(r->rendezvous, c->meeting);
		relay_unlock(r);
		c->meeting = 0;
	}
	log_info("session", "refused service=%s reason=%s: %s", c->label ? c->label : "?",
		 reason_name(reason), reason_sentence(reason));
	leg_fail(c, reason, text);
}

void offer_send(struct conn *asker, const struct rendezvous_offer *offer, const char *service)
{
	struct wire_message m = {.type = WIRE_OFFER};
	char source[ADDR_TEXT_BYTES], local[ADDR_TEXT_BYTES];

	asker->meeting = offer->session;
	addr_format(&asker->peer, source);
	addr_format(&asker->local, local);
	m.offer.session = offer->session;
	m.offer.kind = offer->from[0] ? WIRE_OFFER_AGENT : WIRE_OFFER_PUBLIC;
	m.offer.from = wire_text(offer->from);
	m.offer.service = wire_text(service);
	m.offer.source = wire_text(source);
	m.offer.local = wire_text(local);
	tell_send(asker->worker->relay, offer->publisher, &m, false);
}

static void leg_open(struct conn *c, const struct wire_message *m)
{
	struct relay *r = c->worker->relay;
	struct rendezvous_offer offer;
	char to[WIRE_NAME_MAX + 1], service[WIRE_NAME_MAX + 1];
	char text[WIRE_EXTENSION_TEXT_MAX] = "";

	wire_bytes_copy(m->open.to, to, sizeof to);
	wire_bytes_copy(m->open.service, service, sizeof service);
	if (!conn_set_label(c, service)) {
		leg_fail(c, REASON_LIMIT_MEMORY, (struct wire_bytes){0});
		return;
	}
	enum reason reason = REASON_DRAINING;
	if (m->extensions.unknown)
		wire_explain_extension(m, "this relay", text);
	if (!r->draining) {
		relay_lock(r);
		reason = text[0] ? REASON_EXTENSION : enforce_open(c, to, service);
		if (reason == REASON_OK)
			reason =
				rendezvous_open(r->rendezvous, c->link, to, service, c->id, &offer);
		const char *name = rendezvous_link_name(r->rendezvous, c->link);
		if (reason != REASON_OK)
			report_refused(c, name ? name : "?", to, service, reason);
		relay_unlock(r);
	}
	if (reason != REASON_OK) {
		leg_failed(c, reason, wire_text(reason == REASON_EXTENSION ? text : ""));
		return;
	}
	conn_set_phase(c, CONN_LEG_OPENING);
	conn_set_deadline(c, c->worker->snap->config.limits.open_ms);
	offer_send(c, &offer, service);
}

/* ---- cutting through ---- */

static void leg_cut(struct worker *w, slab_id id, uint64_t session)
{
	struct conn *c = conn_find(w, id);
	struct wire_message go = {.type = WIRE_GO};

	if (!c || c->phase != CONN_CUTTING)
		return;
	go.go.session = session;
	if (c->tls)
		conn_send_message(c, &go);
	if (c->phase == CONN_CUTTING && !conn_sending(c))
		leg_flushed(c);
}

static void leg_join_session(struct conn *c, struct session *s, unsigned side)
{
	conn_set_phase(c, CONN_CUTTING);
	conn_set_deadline(c, c->worker->snap->config.limits.hello_ms);
	c->meeting = 0;
	c->session = s;
	c->side = side;
	s->cutting[side] = c->id;
}

/* Both connections are on this worker. */
static void leg_pair(struct conn *asker, struct conn *publisher, uint64_t number,
		     const struct rendezvous_pair *pair)
{
	struct worker *w = asker->worker;
	slab_id ids[2] = {asker->id, publisher->id};
	bool public = asker->phase == CONN_PUBLIC;
	struct session *s = session_new(asker, number, pair);

	if (!s) {
		leg_end_pair(w->relay, pair);
		conn_close(asker, REASON_LIMIT_MEMORY);
		conn_close(publisher, REASON_LIMIT_MEMORY);
		return;
	}
	leg_join_session(asker, s, 0);
	leg_join_session(publisher, s, 1);
	if (public && !session_wrap_publisher(s)) {
		session_abort(s, "out of memory");
		return;
	}
	leg_cut(w, ids[0], number);
	leg_cut(w, ids[1], number);
}

static struct conn *waiting_asker(struct worker *w, slab_id id, uint64_t session)
{
	struct conn *asker = conn_find(w, id);

	return asker && asker->meeting == session ? asker : NULL;
}

static void handover_run(struct ring_msg *msg)
{
	struct handover *h = (struct handover *)msg;
	struct relay *r = h->relay;
	struct worker *w = worker_of(r, h->pair.asker);
	struct conn *asker = waiting_asker(w, h->pair.asker, h->session);
	struct conn *c = conn_adopt(w, h->fd, h->tls, CONN_CUTTING);

	if (!c) {
		conn_drop_tls(r, h->tls);
		worker_close_fd(w, h->fd, true);
		leg_end_pair(r, &h->pair);
		if (asker)
			conn_close(asker, REASON_LIMIT_MEMORY);
	} else if (!asker) {
		leg_end_pair(r, &h->pair);
		conn_refuse(c, REASON_PEER_GONE);
	} else {
		leg_pair(asker, c, h->session, &h->pair);
	}
	free(h);
}

static void leg_hand_over(struct conn *c)
{
	struct handover *h = c->handover;

	c->handover = NULL;
	h->tls = c->tls;
	c->tls = NULL;
	ring_detach_fd(c->worker->ring, c->fd);
	h->fd = conn_release_fd(c);
	h->msg.run = handover_run;
	ring_post(worker_of(h->relay, h->pair.asker)->ring, &h->msg);
}

void leg_flushed(struct conn *c)
{
	struct session *s = c->session;

	if (c->handover) {
		leg_hand_over(c);
		return;
	}
	if (!s)
		return;
	/* A public client's hello goes first to the other side; a leg has nothing kept. */
	uint8_t *head = c->tls ? NULL : c->in;
	size_t head_len = head ? c->in_len : 0;
	unsigned side = c->side;

	if (head) {
		c->in = NULL;
		c->in_len = c->in_room = 0;
	}
	c->session = NULL;
	session_attach(s, side, conn_release_fd(c), head, head_len);
}

/* ---- accepting ---- */

static void leg_accept(struct conn *c, const struct wire_message *m)
{
	struct relay *r = c->worker->relay;
	uint64_t session = m->accept.session;
	struct rendezvous_pair pair;

	relay_lock(r);
	enum reason reason = rendezvous_accept(r->rendezvous, c->link, session, &pair);
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
	struct handover *h = calloc(1, sizeof *h);
	if (!h) {
		leg_end_pair(r, &pair);
		leg_fail(c, REASON_LIMIT_MEMORY, (struct wire_bytes){0});
		return;
	}
	*h = (struct handover){.relay = r, .session = session, .pair = pair};
	c->handover = h;
	conn_set_phase(c, CONN_CUTTING);
	conn_set_deadline(c, c->worker->snap->config.limits.hello_ms);
	if (!conn_sending(c))
		leg_flushed(c);
}

static void leg_message(struct conn *c, const struct wire_message *m)
{
	size_t early = 0;

	/* Nothing may follow OPEN or ACCEPT until GO: it would be lost with the TLS state. */
	tls_unread(c->tls, &early);
	if ((m->type != WIRE_OPEN && m->type != WIRE_ACCEPT) || early > 0 || c->excess) {
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

void leg_input(struct conn *c, const uint8_t *data, size_t len)
{
	frames_input(c, data, len, leg_message);
}

void leg_closed(struct conn *c)
{
	struct relay *r = c->worker->relay;

	if (!c->leg_counted && !c->meeting && !c->handover)
		return;
	relay_lock(r);
	if (c->leg_counted)
		rendezvous_leg_leave(r->rendezvous, c->link);
	if (c->meeting)
		rendezvous_forget(r->rendezvous, c->meeting);
	if (c->handover)
		rendezvous_end(r->rendezvous, &c->handover->pair);
	relay_unlock(r);
	free(c->handover);
	c->handover = NULL;
	c->leg_counted = false;
	c->meeting = 0;
}
