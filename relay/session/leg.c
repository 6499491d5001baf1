/* SPDX-License-Identifier: Apache-2.0 */
/* leg: agents' legs: they prove whose they are, ask, accept, and are idle in between. */
#include "relay/session/leg_internal.h"

#include <assert.h>
#include <stdio.h>

#include <openssl/mem.h>

#include "core/engine/identity.h"
#include "core/log.h"
#include "core/memory.h"
#include "relay/front/charge.h"
#include "relay/session/enforce.h"
#include "relay/session/frames.h"
#include "relay/session/trace.h"

static const struct conn_phase phase_opening;

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

void leg_judge(struct conn *c)
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

void leg_fail(struct conn *c, enum reason reason, struct wire_bytes text)
{
	struct wire_message m = {.type = WIRE_FAIL};

	worker_count(c->worker, reason);
	m.fail.reason = (uint16_t)reason;
	m.fail.text = text.len > 0 ? text : wire_text(reason_sentence(reason));
	leg_idle(c);
	conn_send_message(c, &m); /* once it has left, the leg is read again */
}

/* ---- asking ---- */

void leg_failed(struct conn *c, const struct leg_asked *asked, enum ending_side who,
		enum reason reason, struct wire_bytes text)
{
	asker_forget_meeting(c);
	asker_record_refused(c, asked, who, reason);
	TRACE_LINK(c->worker->relay, leg_of(c)->link, "leg: FAIL for %s/%s: %s \"%.*s\"", asked->to,
		   asked->service, reason_name(reason), (int)text.len, (const char *)text.data);
	leg_fail(c, reason, text);
}

static void leg_opening_late(struct conn *c, uint64_t now_ms)
{
	leg_failed(c, leg_of(c)->asked, ENDING_PUBLISHING, REASON_TIMEOUT, (struct wire_bytes){0});
}

static void leg_open(struct conn *c, const struct wire_message *m)
{
	struct rendezvous_offer offer;
	struct leg_asked asked = {.public_mark = 0}; /* no public name */
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
	asker_offer(c, &offer);
}

/* ---- accepting ---- */

static void leg_accept(struct conn *c, const struct wire_message *m)
{
	struct relay *r = c->worker->relay;
	struct rendezvous_pair pair;

	relay_lock(r);
	enum reason reason =
		rendezvous_accept(r->rendezvous, leg_of(c)->link, m->accept.session, &pair);
	relay_unlock(r);
	if (reason == REASON_OK)
		cut_through(c, m->accept.session, &pair);
	else
		leg_fail(c, reason, (struct wire_bytes){0});
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
		cut_abort(leg, why);
	/* It still waited. Where why is told, conn_close() has counted it. */
	if (leg->meeting && why != REASON_OK)
		asker_record_refused(c, leg->asked, ENDING_SELF, why);
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

static void leg_drain(struct conn *c)
{
	conn_bye(c, REASON_DRAINING);
}

static_assert(sizeof(struct relay_leg) <= CONN_STATE_BYTES, "a leg fits into its connection");

const struct conn_state leg_state = {
	.leave = leg_leave,
	.dispose = leg_dispose,
};

const struct conn_phase phase_leg = {
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
