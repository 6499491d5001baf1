/* SPDX-License-Identifier: Apache-2.0 */
/* publish: the side that is asked: an OFFER becomes a session with a local target, or a refusal. */
#include "agent/session/publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/session/prove.h"
#include "agent/worker/connector.h"
#include "core/container.h"
#include "core/engine/identity.h"
#include "core/log.h"
#include "core/parse/proxy.h"

/* One OFFER and what became of it. */
struct offer {
	struct agent_session session;
	struct agent_link *link; /* until the session has begun */
	uint64_t link_id;	 /* the link may have been made anew meanwhile */
	uint64_t number;	 /* the relay's */
	bool proxy_protocol;
	bool outer_tls; /* the relay's web site: it reads what goes through */
	/* As the relay saw them, which told them with the OFFER; what the asker says of itself does
	 * not go on to the target. */
	char source[WIRE_ADDRESS_MAX + 1], local[WIRE_ADDRESS_MAX + 1];
	char target_text[ENDPOINT_TEXT_BYTES];
	struct leg_call *call;
	struct connector *connector;
	int target;	     /* -1: none, or the stream's */
	struct addr reached; /* where that leads; len 0: nowhere yet */
	struct timer deadline;
	enum reason peer_reason; /* of the inner certificate */
	bool streaming;
};

/* ---- the end ---- */

static void leave_link(struct offer *o)
{
	if (o->link)
		o->link->users--;
	o->link = NULL;
}

static void offer_free(struct offer *o)
{
	struct ring *ring = o->session.worker->ring;

	ring_timer_cancel(ring, &o->deadline);
	if (o->call)
		leg_call_cancel(o->call);
	if (o->connector)
		connector_cancel(o->connector);
	if (o->target >= 0)
		ring_reset_fd(ring, o->target);
	leave_link(o);
	agent_session_remove(&o->session);
	free(o);
}

static void offer_over(struct agent_session *s)
{
	offer_free(container(s, struct offer, session));
}

static void offer_end(struct offer *o, enum ending_side who, enum reason reason, const char *why)
{
	if (!o->session.opened)
		agent_session_refused(&o->session, who, reason, why);
	if (o->streaming)
		stream_abort(&o->session.stream, ending_of_reason(reason), why);
	else
		offer_free(o);
}

static void offer_stop(struct agent_session *s, enum reason reason, const char *why)
{
	if (!agent_session_close_now(s, reason, why))
		offer_end(container(s, struct offer, session), ENDING_SELF, reason, why);
}

static void offer_stream_ended(struct stream *st)
{
	struct offer *o = container(st, struct offer, session.stream);

	o->streaming = false;
	if (o->session.opened) {
		agent_session_closed(&o->session, offer_over);
		return;
	}
	agent_session_refused(&o->session, ENDING_FAR, REASON_PEER_GONE, st->why);
	offer_free(o);
}

/* Before ACCEPT: the relay hears no. */
static void offer_refuse(struct offer *o, enum ending_side who, enum reason reason,
			 const char *text)
{
	agent_session_refused(&o->session, who, reason, text);
	if (o->link->id == o->link_id)
		agent_link_refuse(o->link, o->number, reason, text);
	offer_free(o);
}

/* After REQUEST: the asking agent hears no. */
static void offer_reject(struct offer *o, enum ending_side who, enum reason reason,
			 const char *text)
{
	const struct wire_message m = {
		.type = WIRE_RESULT,
		.result = {.reason = (uint16_t)reason, .text = wire_text(text)},
	};

	agent_session_refused(&o->session, who, reason, text);
	ring_timer_cancel(o->session.worker->ring, &o->deadline);
	if (stream_say(&o->session.stream, &m))
		stream_finish(&o->session.stream, reason_name(reason));
}

static void offer_deadline_fired(struct timer *t, uint64_t now_ms)
{
	struct offer *o = container(t, struct offer, deadline);

	if (o->call)
		offer_refuse(o, ENDING_FAR, REASON_TIMEOUT,
			     "no leg to the relay was ready in time");
	else
		offer_end(o, ENDING_FAR, REASON_TIMEOUT, "the asking agent said nothing in time");
}

/* ---- bytes flow ---- */

/* #syscalls getpeername */
static bool send_proxy_header(const struct offer *o)
{
	struct addr source = {0}, destination = {.len = sizeof(destination.v6)};
	uint8_t header[PROXY_V2_MAX];
	size_t len;

	if (!addr_parse(o->source, &source))
		source.len = 0;
	if (!o->session.public_kind || !addr_parse(o->local, &destination)) {
		destination.len = sizeof(destination.v6);
		if (getpeername(o->target, &destination.sa, &destination.len) < 0)
			destination.len = 0;
	}
	len = proxy_encode(&source, &destination, header);
	return agent_session_tell(o->target, header, len);
}

static void offer_begin(struct offer *o)
{
	int target = o->target;

	ring_timer_cancel(o->session.worker->ring, &o->deadline);
	o->target = -1;
	leave_link(o);
	agent_session_opened(&o->session);
	stream_attach(&o->session.stream, target);
}

/* ---- the target ---- */

static void accept_offer(struct offer *o);

static void target_failed(struct offer *o, const struct connector_result *r)
{
	enum reason reason = r->name_failed ? REASON_TARGET_NAME : REASON_TARGET_UNREACHABLE;
	char text[WIRE_TEXT_MAX + 1];

	snprintf(text, sizeof(text), "connection to %s (service %s): %s", o->target_text,
		 o->session.service, r->error);
	if (o->session.public_kind)
		offer_refuse(o, ENDING_LOCAL, reason, text);
	else
		offer_reject(o, ENDING_LOCAL, reason, text);
}

/* Consoles and those who are refused are told no candidates. */
static bool say_ok(struct offer *o)
{
	struct wire_message ok = {.type = WIRE_RESULT, .result.text = wire_text("")};
	struct candidates own = {.count = 0};

	if (!o->session.control)
		o->session.all->events->candidates(o->session.all, &own);
	ok.result.candidates = candidates_wire(&own);
	return stream_say(&o->session.stream, &ok);
}

/* The ceiling may come down while the session runs. A console's has no target.
 *
 * #syscalls getpeername
 */
static void offer_note_target(struct offer *o)
{
	o->reached.len = sizeof(o->reached.v6);
	if (o->session.control || getpeername(o->target, &o->reached.sa, &o->reached.len) < 0)
		o->reached.len = 0;
}

static void offer_target_connected(void *owner, const struct connector_result *r)
{
	const struct connector_result cut = {.fd = -1, .error = "it closed at once"};
	struct offer *o = owner;

	o->connector = NULL;
	if (r->fd < 0) {
		target_failed(o, r);
		return;
	}
	o->target = r->fd;
	offer_note_target(o);
	if (o->proxy_protocol && !send_proxy_header(o))
		target_failed(o, &cut);
	else if (o->session.public_kind)
		accept_offer(o);
	else if (say_ok(o))
		offer_begin(o);
}

/* Asked of each address just before it is dialled: a name may lead elsewhere than it did. */
static bool offer_may_reach(void *owner, const struct addr *to)
{
	const struct offer *o = owner;

	return agent_config_may_reach(o->session.all->setup->config, to);
}

static void connect_target(struct offer *o, const struct agent_publish *p)
{
	const struct connector_result failed = {.fd = -1, .error = "out of memory"};

	o->proxy_protocol = p->proxy_protocol;
	endpoint_text(&p->target, o->target_text);
	o->connector = connector_start(o->session.worker, &p->target, PUBLISH_TARGET_MS,
				       offer_target_connected, o);
	if (o->connector)
		connector_limit(o->connector, offer_may_reach);
	else
		target_failed(o, &failed);
}

/* ---- who asks, and for what ---- */

static const struct agent_publish *publish_find(const struct agent_setup *setup,
						struct wire_bytes service)
{
	const struct agent_publish *list = setup->config->publish.items;

	for (size_t i = 0; i < setup->config->publish.count && !setup->transient; i++)
		if (wire_bytes_equal(service, wire_text(list[i].service)))
			return &list[i];
	return NULL;
}

#define NO_CONSOLES "this agent's own file lets no console in (console: off)"

static bool consoles_may_come(const struct agent_setup *setup)
{
	return setup->config->console != AGENT_CONSOLES_OFF;
}

static bool publish_allows(const struct agent_publish *p, const char *peer)
{
	char *const *names = p->allow.items;

	for (size_t i = 0; i < p->allow.count; i++)
		if (strcmp(names[i], peer) == 0)
			return true;
	return p->allow.count == 0;
}

/* The list and the service are those of the configuration in force: either may have changed. */
static enum reason offer_allowed(const struct agent_session *s, const char **why)
{
	const struct offer *o = container(s, struct offer, session);
	const struct agent_publish *p;

	if (o->reached.len && !agent_config_may_reach(s->all->setup->config, &o->reached)) {
		*why = "its target lies outside of this agent's targets now";
		return REASON_NOT_ALLOWED;
	}
	if (s->control)
		return consoles_may_come(s->all->setup) ? REASON_OK : REASON_NOT_ALLOWED;
	p = publish_find(s->all->setup, wire_text(s->service));
	if (!p)
		return REASON_SERVICE_UNKNOWN;
	if (s->public_kind)
		return p->public_access ? REASON_OK : REASON_NOT_ALLOWED;
	/* A peer that has proved nothing yet is not asked. */
	return !s->proof.own || publish_allows(p, s->peer) ? REASON_OK : REASON_NOT_ALLOWED;
}

static enum reason judge_role(const struct offer *o, enum identity_role role)
{
	if (o->session.control)
		return role == IDENTITY_CONSOLE ? REASON_OK : REASON_NOT_ALLOWED;
	return role == IDENTITY_AGENT ? REASON_OK : REASON_CERT_ROLE;
}

static void offer_stream_ready(struct stream *st)
{
	struct offer *o = container(st, struct offer, session.stream);
	struct identity_peer peer;

	o->peer_reason = identity_peer_of(o->session.all->setup->self.identity,
					  tls_ssl(st->inner.tls), &peer);
	if (o->peer_reason == REASON_OK) {
		snprintf(o->session.peer, sizeof(o->session.peer), "%s", peer.name);
		o->peer_reason = judge_role(o, peer.role);
	}
	if (o->peer_reason == REASON_OK && !agent_session_proved(&o->session, &peer))
		o->peer_reason = REASON_LIMIT_MEMORY;
	ring_timer_set(o->session.worker->ring, &o->deadline, PUBLISH_REQUEST_MS);
}

static enum reason judge_request(struct offer *o, const struct wire_message *m)
{
	const char *why; /* for this side's log: the other hears the reason */

	if (o->peer_reason != REASON_OK)
		return o->peer_reason;
	if (m->extensions.unknown)
		return REASON_EXTENSION;
	if (!wire_bytes_equal(m->request.service, wire_text(o->session.service)))
		return REASON_PROTOCOL;
	return agent_session_judge(&o->session, &why);
}

/* A relay refuses with the same words: says that it is us. buf is of WIRE_EXTENSION_TEXT_MAX. */
static const char *offer_explain(const struct offer *o, enum reason reason,
				 const struct wire_message *m, char *buf)
{
	if (reason == REASON_EXTENSION) {
		wire_explain_extension(m, "the publishing agent", buf);
		return buf;
	}
	if (reason != REASON_NOT_ALLOWED)
		return "";
	if (o->session.control && !consoles_may_come(o->session.all->setup))
		return NO_CONSOLES;
	return o->session.control ? "the agent talks to consoles only"
				  : "the publishing agent itself does not allow you";
}

static void connect_control(struct offer *o)
{
	struct agent_sessions *all = o->session.all;
	const struct connector_result r = {
		.fd = all->events->console(all, o->session.proof.own, o->session.relay),
		.error = "out of memory or descriptors",
	};

	snprintf(o->target_text, sizeof(o->target_text), "the agent itself");
	offer_target_connected(o, &r);
}

static void offer_stream_message(struct stream *st, const struct wire_message *m)
{
	struct offer *o = container(st, struct offer, session.stream);
	char text[WIRE_EXTENSION_TEXT_MAX];
	enum reason reason;

	if (m->type != WIRE_REQUEST) {
		offer_end(o, ENDING_FAR, REASON_PROTOCOL,
			  "another message came in place of REQUEST");
		return;
	}
	ring_timer_cancel(o->session.worker->ring, &o->deadline); /* the target has its own */
	reason = judge_request(o, m);
	if (reason == REASON_OK)
		agent_session_leave_share(o->session.all, &o->session);
	if (reason == REASON_OK)
		agent_session_candidates(&o->session, &m->request.candidates);
	if (reason != REASON_OK)
		offer_reject(o, ENDING_SELF, reason, offer_explain(o, reason, m, text));
	else if (o->session.control)
		connect_control(o);
	else
		connect_target(o,
			       publish_find(o->session.all->setup, wire_text(o->session.service)));
}

static const struct stream_events offer_stream_events = {
	.told = agent_session_tell_relay,
	.ready = offer_stream_ready,
	.message = offer_stream_message,
	.ended = offer_stream_ended,
};

/* ---- the leg ---- */

static void offer_drop_leg(struct offer *o, struct leg_outcome *g)
{
	ring_reset_fd(o->session.worker->ring, g->fd);
	tls_free(g->tls);
	free(g->unread);
}

static void offer_leg_done(void *owner, struct leg_outcome *g)
{
	struct offer *o = owner;
	struct agent_worker *w = o->session.worker;
	const struct agent_setup *setup = o->session.all->setup;
	SSL_CTX *context = o->session.public_kind ? NULL : setup->self.inner_server;

	o->call = NULL;
	if (g->reason == REASON_LINK_GONE) {
		/* Not the relay's answer but our own trouble in asking. */
		offer_refuse(o, ENDING_FAR, REASON_PEER_GONE, g->text);
		return;
	}
	if (g->reason == REASON_LINK_ELSEWHERE) {
		offer_refuse(o, ENDING_FAR, REASON_LINK_ELSEWHERE,
			     "the publishing agent's legs reach another relay than its link");
		return;
	}
	if (g->reason != REASON_OK) {
		offer_end(o, ENDING_FAR, g->reason, g->text);
		return;
	}
	if (o->outer_tls != (g->tls != NULL)) {
		offer_drop_leg(o, g);
		offer_end(o, ENDING_FAR, REASON_PROTOCOL, "GO is of another kind than OFFER");
		return;
	}
	if (!stream_start(&o->session.stream, w, g, context, true, &offer_stream_events)) {
		offer_drop_leg(o, g);
		offer_end(o, ENDING_SELF, REASON_LIMIT_MEMORY, "out of memory");
		return;
	}
	o->streaming = true;
	prove_shown(&o->session, o->number);
	ring_timer_set(w->ring, &o->deadline, setup->config->open_ms);
	if (o->session.public_kind)
		offer_begin(o);
}

static void accept_offer(struct offer *o)
{
	o->call = leg_call_accept(o->link, o->number, offer_leg_done, o);
	if (o->call)
		ring_timer_set(o->session.worker->ring, &o->deadline,
			       o->session.all->setup->config->open_ms);
	else
		offer_refuse(o, ENDING_SELF, REASON_LIMIT_MEMORY, "out of memory");
}

/* ---- the offer ---- */

/* Gets no place in the table. */
static void publish_refuse(struct agent_sessions *all, struct agent_link *l,
			   const struct wire_message *m, enum reason reason, const char *text)
{
	char service[WIRE_NAME_MAX + 1];

	wire_bytes_copy(m->offer.service, service, sizeof(service));
	agent_sessions_refused(
		all, &(struct agent_refusal){
			     .role = m->offer.kind == WIRE_OFFER_PUBLIC ? "public" : "publishing",
			     .peer = "",
			     .service = service,
			     .ending = {ENDING_SELF, ENDING_OPENING, ending_of_reason(reason)},
			     .reason = reason,
			     .text = text});
	agent_link_refuse(l, m->offer.session, reason, text);
}

void publish_offer(struct agent_sessions *all, struct agent_link *l, const struct wire_message *m)
{
	/* Every agent but a transient one has this service, though none publishes it. */
	bool control = !all->setup->transient && m->offer.kind == WIRE_OFFER_AGENT &&
		       wire_bytes_equal(m->offer.service, wire_text(WIRE_CONTROL_SERVICE));
	const struct agent_publish *p = publish_find(all->setup, m->offer.service);
	enum reason reason = REASON_OK;
	char text[WIRE_EXTENSION_TEXT_MAX] = "";
	struct wire_bytes none;
	bool outer_tls = wire_extension_get(m, WIRE_EXTENSION_OUTER_TLS, &none);
	const char *full;
	struct offer *o;

	if (m->extensions.unknown) {
		reason = REASON_EXTENSION;
		wire_explain_extension(m, "the publishing agent", text);
	} else if (control && !consoles_may_come(all->setup)) {
		reason = REASON_NOT_ALLOWED;
		snprintf(text, sizeof(text), NO_CONSOLES);
	} else if (!control && !p) {
		reason = REASON_SERVICE_UNKNOWN;
	} else if (!control && m->offer.kind == WIRE_OFFER_PUBLIC && !p->public_access) {
		reason = REASON_NOT_ALLOWED;
	} else if (outer_tls && m->offer.kind != WIRE_OFFER_PUBLIC) {
		/* Only what has no client of ours may be for the relay to read. */
		reason = REASON_PROTOCOL;
	}
	if (reason != REASON_OK) {
		publish_refuse(all, l, m, reason, text);
		return;
	}
	o = calloc(1, sizeof(*o));
	if (!o) {
		publish_refuse(all, l, m, REASON_LIMIT_MEMORY, "out of memory");
		return;
	}
	o->session.control = control;
	o->session.public_kind = m->offer.kind == WIRE_OFFER_PUBLIC;
	memcpy(o->session.relay, l->label, sizeof(o->session.relay));
	full = agent_session_take_share(all, &o->session);
	if (full || !agent_session_add(all, &o->session)) {
		agent_session_leave_share(all, &o->session);
		publish_refuse(all, l, m, REASON_LIMIT_SESSIONS, full ? full : "");
		free(o);
		return;
	}
	o->outer_tls = outer_tls;
	o->link = l;
	o->link_id = l->id;
	l->users++;
	o->number = m->offer.session;
	o->target = -1;
	o->deadline.fire = offer_deadline_fired;
	o->session.stop = offer_stop;
	o->session.allowed = offer_allowed;
	wire_bytes_copy(m->offer.service, o->session.service, sizeof(o->session.service));
	wire_bytes_copy(m->offer.source, o->source, sizeof(o->source));
	wire_bytes_copy(m->offer.local, o->local, sizeof(o->local));
	if (o->session.public_kind)
		connect_target(o, p);
	else
		accept_offer(o);
}
