/* SPDX-License-Identifier: Apache-2.0 */
/* leg: the life of one leg, from dialling to GO; leg.h tells how legs work together. */
#include "agent/relays/leg.h"

#include <stdlib.h>
#include <string.h>

#include "agent/relays/links.h"
#include "core/container.h"
#include "core/log.h"

void leg_change(struct agent_leg *g, enum leg_state to)
{
	struct leg_pool *p = &g->link->legs;

	p->count[g->state]--;
	p->count[to]++;
	g->state = to;
	p->stale -= g->stale;
	g->stale = false;
}

static void leg_free(struct agent_leg *g)
{
	struct leg_pool *p = &g->link->legs;

	ring_timer_cancel(g->link->worker->ring, &g->deadline);
	p->count[g->state]--;
	if (g->prev)
		g->prev->next = g->next;
	else
		p->legs = g->next;
	if (g->next)
		g->next->prev = g->prev;
	free(g);
}

void leg_close(struct agent_leg *g)
{
	if (g->state == LEG_DIALLING) {
		dial_cancel(g->dial);
		leg_free(g);
		return;
	}
	if (g->state == LEG_CLOSING)
		return;
	ring_timer_cancel(g->link->worker->ring, &g->deadline);
	g->call = NULL;
	leg_change(g, LEG_CLOSING);
	channel_close(&g->channel);
}

/* ---- messages ---- */

static void leg_breaks_protocol(struct agent_leg *g, const struct wire_message *m)
{
	log_debug("leg", "relay=%s sent %s on a leg that did not expect it", g->link->label,
		  wire_type_name(m->type));
	legs_lost(g, REASON_PROTOCOL, reason_sentence(REASON_PROTOCOL));
}

/* The relay ends the leg and says why; what the leg was for is tried as after any other loss. */
static void leg_dismissed(struct agent_leg *g, const struct wire_message *m)
{
	char text[WIRE_TEXT_MAX + 1];
	enum reason reason = m->bye.reason ? (enum reason)m->bye.reason : REASON_LINK_GONE;

	/* Before a call hears of it: it is not to ask by this link again. */
	if (g->state == LEG_PROVING && reason == REASON_LINK_ELSEWHERE)
		agent_link_elsewhere(g->link);
	wire_bytes_copy(m->bye.text, text, sizeof(text));
	legs_lost(g, reason, text[0] ? text : reason_sentence(reason));
}

static void leg_answered_fail(struct agent_leg *g, const struct wire_message *m)
{
	char text[WIRE_TEXT_MAX + 1];
	struct leg_outcome o = {.reason = (enum reason)m->fail.reason, .text = text, .fd = -1};
	struct leg_call *call = g->call;

	wire_bytes_copy(m->fail.text, text, sizeof(text));
	if (g->state == LEG_PROVING) {
		legs_lost(g, o.reason, text[0] ? text : reason_sentence(o.reason));
		return;
	}
	g->call = NULL;
	legs_ready(g, false);
	legs_call_over(call, &o);
}

static void leg_answered_go(struct agent_leg *g, const struct wire_message *m)
{
	const struct wire_message *asked = &g->call->message;
	struct wire_bytes none;
	bool outer_tls = wire_extension_get(m, WIRE_EXTENSION_OUTER_TLS, &none);

	/* What we ask for ourselves is never for the relay to read. */
	if (asked->type == WIRE_ACCEPT ? asked->accept.session != m->go.session : outer_tls) {
		leg_breaks_protocol(g, m);
		return;
	}
	if (!channel_detach(&g->channel)) {
		legs_lost(g, REASON_PROTOCOL, reason_sentence(REASON_PROTOCOL));
		return;
	}
	g->session = m->go.session;
	memcpy(g->secret, m->go.secret, sizeof(g->secret));
	g->outer_tls = outer_tls;
	leg_change(g, LEG_LEAVING);
}

static void leg_channel_message(struct channel *c, const struct wire_message *m)
{
	struct agent_leg *g = container(c, struct agent_leg, channel);

	if (g->state == LEG_PROVING && m->type == WIRE_READY) {
		ring_timer_cancel(g->link->worker->ring, &g->deadline);
		g->waited = false;
		legs_ready(g, true);
	} else if ((g->state == LEG_PROVING || g->state == LEG_ASKED) && m->type == WIRE_FAIL) {
		leg_answered_fail(g, m);
	} else if (g->state == LEG_ASKED && m->type == WIRE_GO) {
		leg_answered_go(g, m);
	} else if (m->type == WIRE_BYE) {
		leg_dismissed(g, m);
	} else {
		leg_breaks_protocol(g, m);
	}
}

/* No BYE: behind GO the far end would take it for bytes of the session. */
static void leg_channel_unacceptable(struct channel *c, enum reason reason, const char *why)
{
	struct agent_leg *g = container(c, struct agent_leg, channel);

	legs_lost(g, reason, why);
}

static void leg_channel_lost(struct channel *c, const char *why)
{
	struct agent_leg *g = container(c, struct agent_leg, channel);

	legs_lost(g, REASON_LINK_GONE, why);
}

/* GO has come and nothing of the channel is in flight any more. */
static void hand_over(struct agent_leg *g)
{
	struct channel_raw raw = channel_take_raw(&g->channel, g->outer_tls);
	struct leg_outcome o = {.reason = REASON_OK,
				.text = "",
				.fd = raw.fd,
				.session = g->session,
				.tls = raw.tls,
				.unread = raw.unread,
				.unread_len = raw.unread_len};
	struct leg_call *call = g->call;
	struct ring *ring = g->link->worker->ring;

	memcpy(o.secret, g->secret, sizeof(o.secret));
	leg_free(g);
	if (raw.fd < 0) {
		o.reason = REASON_LIMIT_MEMORY;
		o.text = "out of memory";
	}
	if (call) {
		legs_call_over(call, &o);
		return;
	}
	if (raw.fd >= 0)
		ring_reset_fd(ring, raw.fd);
	tls_free(raw.tls);
	free(raw.unread);
}

static void leg_channel_closed(struct channel *c)
{
	struct agent_leg *g = container(c, struct agent_leg, channel);
	struct agent_link *l = g->link;

	if (g->state == LEG_LEAVING)
		hand_over(g);
	else
		leg_free(g);
	legs_balance(l);
}

static const struct channel_events leg_channel_events = {
	.message = leg_channel_message,
	.unacceptable = leg_channel_unacceptable,
	.lost = leg_channel_lost,
	.closed = leg_channel_closed,
};

void leg_ask(struct agent_leg *g, struct leg_call *c)
{
	g->waited = g->state == LEG_WARM;
	g->call = c;
	c->leg = g;
	ring_timer_cancel(g->link->worker->ring, &g->deadline);
	leg_change(g, LEG_ASKED);
	/* A failure comes back as a lost channel. */
	(void)channel_send(&g->channel, &c->message);
}

/* ---- dialling ---- */

static void leg_deadline_fired(struct timer *t, uint64_t now_ms)
{
	struct agent_leg *g = container(t, struct agent_leg, deadline);

	if (g->state == LEG_WARM) {
		legs_grew_old(g);
	} else {
		agent_link_ask(g->link);
		legs_lost(g, REASON_TIMEOUT, "the relay did not answer our LEG");
	}
}

static void leg_dialled(void *owner, int fd, struct tls *tls, const struct identity_peer *relay,
			const struct addr *reached, const char *error)
{
	struct agent_leg *g = owner;
	struct agent_link *l = g->link;
	struct wire_message m = {.type = WIRE_LEG, .leg.link = l->id};
	uint8_t exported[TLS_EXPORT_BYTES];

	g->dial = NULL;
	if (error) {
		leg_change(g, LEG_CLOSING);
		agent_link_ask(l);
		legs_lost(g, REASON_LINK_GONE, error);
		leg_free(g);
		return;
	}
	link_trust_renew(l, relay);
	leg_change(g, LEG_PROVING);
	if (!channel_start(&g->channel, l->worker, fd, tls, agent_link_tag_key(l),
			   &leg_channel_events) ||
	    !tls_export(tls, TLS_EXPORT_LEG, exported)) {
		legs_lost(g, REASON_PROTOCOL, "the relay does not speak TLS 1.3");
		return;
	}
	identity_leg_proof(l->secret, exported, m.leg.proof);
	ring_timer_set(l->worker->ring, &g->deadline, LEG_READY_MS);
	(void)channel_send(&g->channel, &m);
}

bool leg_dial(struct agent_link *l)
{
	struct agent_leg *g = calloc(1, sizeof(*g));

	if (!g)
		return false;
	g->link = l;
	g->state = LEG_DIALLING;
	g->deadline.fire = leg_deadline_fired;
	g->dial = dial_start(l->worker, l->set->setup, &l->relay, l->at.len ? &l->at : NULL,
			     leg_dialled, g);
	if (!g->dial) {
		free(g);
		return false;
	}
	g->next = l->legs.legs;
	if (g->next)
		g->next->prev = g;
	l->legs.legs = g;
	l->legs.count[LEG_DIALLING]++;
	return true;
}
