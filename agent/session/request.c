/* SPDX-License-Identifier: Apache-2.0 */
/* request: the side that asks, from a local connection to a session. */
#include "agent/session/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/session/prove.h"
#include "core/container.h"
#include "core/engine/identity.h"
#include "core/log.h"

struct request {
	struct agent_session session;
	struct request_style style;
	char source[WIRE_ADDRESS_MAX + 1];
	size_t next_link;
	struct leg_call *call;
	struct agent_link *at; /* the call's */
	struct timer deadline;
	struct timer patience; /* while there is a call */
	bool impatient;	       /* the call's relay was asked whether it lives, and is not silent */
	int local;	       /* -1: closed, or the stream's */
	bool streaming;
	enum reason reason; /* why it failed, or the last relay's answer */
	char text[WIRE_TEXT_MAX + 1];
};

static void try_next(struct request *r);

static void call_is_over(struct request *r)
{
	ring_timer_cancel(r->session.worker->ring, &r->patience);
	r->call = NULL;
	r->at = NULL;
	r->session.silent = NULL;
}

/* ---- the end ---- */

static void request_free(struct request *r)
{
	struct request_style style = r->style;
	enum reason reason = r->reason;
	char why[sizeof(r->text)];

	snprintf(why, sizeof(why), "%s", r->session.opened ? r->session.stream.why : r->text);
	ring_timer_cancel(r->session.worker->ring, &r->deadline);
	if (r->call)
		leg_call_cancel(r->call);
	call_is_over(r);
	agent_session_remove(&r->session);
	free(r);
	if (style.ended)
		style.ended(style.owner, reason, why);
}

/* Tells the local side what came out; false when it cannot be told. */
static bool request_answer(const struct request_style *style, int local, enum reason reason)
{
	uint8_t bytes[REQUEST_ANSWER_MAX];
	size_t len = style->answer ? style->answer(reason, bytes) : 0;

	return agent_session_tell(local, bytes, len);
}

static void turn_away(struct ring *ring, const struct request_style *style, int local,
		      enum reason reason)
{
	if (style->answer && request_answer(style, local, reason)) {
		shutdown(local, SHUT_WR);
		ring_close_fd(ring, local);
	} else {
		ring_reset_fd(ring, local);
	}
}

static void fail_by(struct request *r, enum ending_side who, enum reason reason, const char *text)
{
	struct ring *ring = r->session.worker->ring;

	agent_session_refused(&r->session, who, reason, text);
	r->reason = reason;
	if (text != r->text)
		snprintf(r->text, sizeof(r->text), "%s", text);
	ring_timer_cancel(ring, &r->deadline);
	turn_away(ring, &r->style, r->local, reason);
	r->local = -1;
	if (!r->streaming)
		request_free(r);
	else if (r->session.stream.phase == STREAM_HELD)
		stream_finish(&r->session.stream, reason_name(reason));
	else
		stream_abort(&r->session.stream, ending_of_reason(reason), reason_name(reason));
}

/* By the relay or by the other agent. */
static void request_fail(struct request *r, enum reason reason, const char *text)
{
	fail_by(r, ENDING_FAR, reason, text);
}

static void request_over(struct agent_session *s)
{
	request_free(container(s, struct request, session));
}

static void request_stream_ended(struct stream *st)
{
	struct request *r = container(st, struct request, session.stream);

	r->streaming = false;
	if (r->session.opened) {
		r->reason = st->clean ? REASON_OK : REASON_PEER_GONE;
		agent_session_closed(&r->session, request_over);
		return;
	}
	if (r->local >= 0) {
		request_fail(r, REASON_PEER_GONE, st->why);
		return;
	}
	request_free(r);
}

static void request_stop(struct agent_session *s, enum reason reason, const char *why)
{
	struct request *r = container(s, struct request, session);

	if (agent_session_close_now(s, reason, why))
		return;
	if (s->opened || s->refused)
		stream_abort(&s->stream, ending_of_reason(reason), why);
	else
		fail_by(r, ENDING_SELF, reason, why);
}

static void request_deadline_fired(struct timer *t, uint64_t now_ms)
{
	struct request *r = container(t, struct request, deadline);
	char why[sizeof(r->text)] = "";

	if (r->session.wake) {
		agent_links_describe(r->session.all->links, why, sizeof(why));
		request_fail(r, REASON_LINK_GONE, why);
		return;
	}
	if (r->streaming || r->impatient)
		snprintf(why, sizeof(why),
			 "%s has not answered by relay %s in time; check that it is alive",
			 r->session.peer, r->session.relay);
	else
		snprintf(why, sizeof(why), "neither relay %s nor %s has answered in time",
			 r->session.relay, r->session.peer);
	request_fail(r, REASON_TIMEOUT, why);
}

/* The relay may be gone, or only the leg that was warm; or the other agent takes its time. */
static void request_patience_fired(struct timer *t, uint64_t now_ms)
{
	struct request *r = container(t, struct request, patience);

	ring_timer_set(r->session.worker->ring, t, REQUEST_PATIENCE_MS);
	r->impatient = true;
	leg_call_renew(r->call);
	agent_link_ask(r->at);
}

static void request_relay_silent(struct agent_session *s, const struct agent_link *l)
{
	struct request *r = container(s, struct request, session);

	if (r->at != l)
		return;
	leg_call_cancel(r->call);
	call_is_over(r);
	r->reason = REASON_LINK_GONE;
	snprintf(r->text, sizeof(r->text), "relay %s does not answer", r->session.relay);
	try_next(r);
}

/* ---- inside the session ---- */

static void request_stream_ready(struct stream *st)
{
	struct request *r = container(st, struct request, session.stream);
	struct wire_message m = {
		.type = WIRE_REQUEST,
		.request = {.service = wire_text(r->session.service),
			    .source = wire_text(r->source)},
	};
	struct candidates own;
	struct identity_peer peer;
	char text[160];
	const char *why;
	enum reason reason = identity_peer_of(r->session.all->setup->self.identity,
					      tls_ssl(st->inner.tls), &peer);

	if (reason != REASON_OK) {
		snprintf(text, sizeof(text), "%s", reason_sentence(reason));
		request_fail(r, REASON_PEER_IDENTITY, text);
	} else if (peer.role != IDENTITY_AGENT || strcmp(peer.name, r->session.peer) != 0) {
		snprintf(text, sizeof(text), "it is \"%s\"", peer.name);
		request_fail(r, REASON_PEER_IDENTITY, text);
	} else if (!agent_session_proved(&r->session, &peer)) {
		fail_by(r, ENDING_SELF, REASON_LIMIT_MEMORY, "out of memory");
	} else if ((reason = agent_session_judge(&r->session, &why)) != REASON_OK) {
		/* CAs or revocations have changed since the handshake began. */
		fail_by(r, ENDING_SELF, reason, why ? why : "");
	} else {
		r->session.all->events->candidates(r->session.all, &own);
		m.request.candidates = candidates_wire(&own);
		if (!stream_say(st, &m)) /* the stream's end follows */
			log_debug("session", "REQUEST could not be sent");
	}
}

static void request_begin(struct request *r)
{
	int local = r->local;

	ring_timer_cancel(r->session.worker->ring, &r->deadline);
	if (!request_answer(&r->style, local, REASON_OK)) {
		fail_by(r, ENDING_LOCAL, REASON_PEER_GONE, "the local connection is gone");
		return;
	}
	r->local = -1;
	r->text[0] = '\0';
	agent_session_opened(&r->session);
	stream_attach(&r->session.stream, local);
}

static void request_stream_message(struct stream *st, const struct wire_message *m)
{
	struct request *r = container(st, struct request, session.stream);
	char text[WIRE_TEXT_MAX + 1];

	if (m->type != WIRE_RESULT) {
		request_fail(r, REASON_PROTOCOL, "");
		return;
	}
	if (m->extensions.unknown) {
		wire_explain_extension(m, "this agent", text);
		request_fail(r, REASON_EXTENSION, text);
		return;
	}
	if (m->result.reason == REASON_OK) {
		agent_session_candidates(&r->session, &m->result.candidates);
		request_begin(r);
		return;
	}
	wire_bytes_copy(m->result.text, text, sizeof(text));
	request_fail(r, (enum reason)m->result.reason, text);
}

static const struct stream_events request_stream_events = {
	.told = agent_session_tell_relay,
	.ready = request_stream_ready,
	.message = request_stream_message,
	.ended = request_stream_ended,
};

/* ---- the leg ---- */

/* Whether another relay may know better. */
static bool relay_trouble(enum reason reason)
{
	switch (reason) {
	case REASON_AGENT_OFFLINE:
	case REASON_DRAINING:
	case REASON_LINK_GONE:
	case REASON_LINK_ELSEWHERE:
	case REASON_PEER_GONE:
	case REASON_TIMEOUT:
	case REASON_PROOF:
	case REASON_PROTOCOL:
	case REASON_EXTENSION:
	case REASON_SHUTDOWN:
	case REASON_LIMIT_SESSIONS:
	case REASON_LIMIT_LEGS:
	case REASON_LIMIT_MEMORY:
	case REASON_LIMIT_RATE:
		return true;
	default:
		return false;
	}
}

static void request_leg_done(void *owner, struct leg_outcome *o)
{
	struct request *r = owner;
	struct agent_worker *w = r->session.worker;
	SSL_CTX *context = r->session.all->setup->self.inner_client;

	call_is_over(r);
	if (o->reason != REASON_OK) {
		r->reason = o->reason;
		snprintf(r->text, sizeof(r->text), "%s", o->text);
		if (w->stopping || !relay_trouble(o->reason))
			request_fail(r, o->reason, r->text);
		else
			try_next(r);
		return;
	}
	if (!stream_start(&r->session.stream, w, o, context, false, &request_stream_events)) {
		ring_reset_fd(w->ring, o->fd);
		free(o->unread);
		fail_by(r, ENDING_SELF, REASON_LIMIT_MEMORY, "out of memory");
		return;
	}
	r->streaming = true;
	prove_shown(&r->session, o->session);
}

static void request_woken(struct agent_session *s)
{
	struct request *r = container(s, struct request, session);

	s->wake = NULL;
	r->next_link = 0;
	r->reason = REASON_OK;
	try_next(r);
}

/* All that is missing is a link: waits for one, unless none is to be had. */
static void wait_for_link(struct request *r)
{
	enum reason reason;

	if (!agent_links_refused(r->session.all->links, &reason)) {
		r->session.relay[0] = '\0';
		r->session.wake = request_woken;
		return;
	}
	agent_links_describe(r->session.all->links, r->text, sizeof(r->text));
	request_fail(r, reason, r->text);
}

/* The link has it, or is about to: its own words follow, or another link. */
static bool is_links_trouble(enum reason reason)
{
	return reason == REASON_LINK_GONE || reason == REASON_LINK_ELSEWHERE;
}

/* Asks the next relay; with none left, fails with the last answer, or waits. */
static void try_next(struct request *r)
{
	struct agent_links *links = r->session.all->links;
	struct agent_link *l;
	size_t from_start = 0;

	while ((l = agent_links_next(links, &r->next_link))) {
		memcpy(r->session.relay, l->label, sizeof(r->session.relay));
		if (revocations_cover_name(agent_links_revoked(links, l->label), r->session.peer)) {
			r->reason = REASON_REVOKED; /* by the word of this one, for this one */
			snprintf(r->text, sizeof(r->text),
				 "the operator has revoked the agent asked for");
			continue;
		}
		r->call =
			leg_call_open(l, r->session.peer, r->session.service, request_leg_done, r);
		if (r->call) {
			r->at = l;
			r->impatient = false;
			r->session.silent = request_relay_silent;
			ring_timer_set(r->session.worker->ring, &r->patience, REQUEST_PATIENCE_MS);
			return;
		}
		r->reason = REASON_LIMIT_MEMORY;
	}
	if (agent_links_next(links, &from_start) ||
	    (r->reason != REASON_OK && !is_links_trouble(r->reason)))
		fail_by(r, r->reason == REASON_REVOKED ? ENDING_SELF : ENDING_FAR, r->reason,
			r->text);
	else
		wait_for_link(r);
}

/* Gets no place in the table. */
static void request_refuse(struct agent_sessions *all, int local, const char *to_agent,
			   const char *service, const struct request_style *style,
			   enum reason reason, const char *text)
{
	agent_sessions_refused(all, &(struct agent_refusal){.role = "asking",
							    .peer = to_agent,
							    .service = service,
							    .ending = {ENDING_SELF, ENDING_OPENING,
								       ending_of_reason(reason)},
							    .reason = reason,
							    .text = text});
	turn_away(all->worker->ring, style, local, reason);
	if (style->ended)
		style->ended(style->owner, reason, text);
}

void request_start(struct agent_sessions *all, int local, const char *to_agent, const char *service,
		   const char *source, const struct request_style *style)
{
	struct request *r = NULL;
	enum reason reason;
	const char *why;

	if (all->worker->stopping) {
		request_refuse(all, local, to_agent, service, style, REASON_SHUTDOWN,
			       "this agent is shutting down");
		return;
	}
	r = calloc(1, sizeof(*r));
	if (!r || !agent_session_add(all, &r->session)) {
		request_refuse(all, local, to_agent, service, style,
			       r ? REASON_LIMIT_SESSIONS : REASON_LIMIT_MEMORY,
			       r ? "" : "out of memory");
		free(r);
		return;
	}
	r->style = *style;
	r->local = local;
	r->deadline.fire = request_deadline_fired;
	r->patience.fire = request_patience_fired;
	r->session.asking = true;
	r->session.stop = request_stop;
	snprintf(r->session.peer, sizeof(r->session.peer), "%s", to_agent);
	snprintf(r->session.service, sizeof(r->session.service), "%s", service);
	snprintf(r->source, sizeof(r->source), "%s", source);
	ring_timer_set(all->worker->ring, &r->deadline, all->setup->config->open_ms);
	reason = agent_session_judge(&r->session, &why);
	if (reason != REASON_OK)
		fail_by(r, ENDING_SELF, reason, why ? why : "");
	else
		try_next(r);
}
