/* SPDX-License-Identifier: Apache-2.0 */
/* session: the table of sessions, and what log and console hear of them. */
#include "agent/session/session.h"

#include <inttypes.h>
#include <stdlib.h>

#include "agent/control/control.h"
#include "core/log.h"

bool agent_session_add(struct agent *a, struct agent_session *s)
{
	size_t others = a->session_count - a->control_count;

	if (s->control ? a->control_count >= CONTROL_SESSIONS_MAX
		       : others >= a->config->max_sessions)
		return false;
	s->agent = a;
	s->number = ++a->session_number;
	s->started_ms = ring_now_ms(a->ring);
	s->prev = NULL;
	s->next = a->sessions;
	if (s->next)
		s->next->prev = s;
	a->sessions = s;
	a->session_count++;
	a->control_count += s->control;
	agent_hold(a);
	return true;
}

void agent_session_remove(struct agent_session *s)
{
	struct agent *a = s->agent;

	if (s->prev)
		s->prev->next = s->next;
	else
		a->sessions = s->next;
	if (s->next)
		s->next->prev = s->prev;
	a->session_count--;
	a->control_count -= s->control;
	free(s->candidates);
	s->candidates = NULL;
	agent_drop(a);
}

const char *agent_session_role(const struct agent_session *s)
{
	if (s->asking)
		return "asking";
	return s->peer[0] ? "publishing" : "public";
}

static const char *peer_text(const struct agent_session *s)
{
	return s->peer[0] ? s->peer : "-";
}

void agent_session_opened(struct agent_session *s)
{
	s->opened = true;
	s->agent->totals.sessions++;
	log_info("session", "open id=%" PRIu64 " role=%s agent=%s service=%s relay=%s", s->number,
		 agent_session_role(s), peer_text(s), s->service, s->relay);
	agent_event(s->agent, "session.opened", "{s:I, s:s, s:s, s:s, s:s}", "session",
		    (json_int_t)s->number, "role", agent_session_role(s), "peer", s->peer,
		    "service", s->service, "relay", s->relay);
}

void agent_session_closed(struct agent_session *s)
{
	const struct stream *st = &s->stream;

	s->agent->totals.up_bytes += st->up.bytes;
	s->agent->totals.down_bytes += st->down.bytes;
	log_info("session",
		 "closed id=%" PRIu64 " role=%s agent=%s service=%s up=%" PRIu64 " down=%" PRIu64
		 " reason=%s",
		 s->number, agent_session_role(s), peer_text(s), s->service, st->up.bytes,
		 st->down.bytes, st->why);
	agent_event(s->agent, "session.closed", "{s:I, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s}",
		    "session", (json_int_t)s->number, "role", agent_session_role(s), "peer",
		    s->peer, "service", s->service, "relay", s->relay, "up",
		    (json_int_t)st->up.bytes, "down", (json_int_t)st->down.bytes, "ms",
		    (json_int_t)(ring_now_ms(s->agent->ring) - s->started_ms), "reason", st->why);
}

void agent_session_refused(const struct agent_session *s, enum reason reason, const char *text)
{
	s->agent->totals.failed++;
	agent_event(s->agent, "session.refused", "{s:s, s:s, s:s, s:s, s:s}", "role",
		    agent_session_role(s), "peer", s->peer, "service", s->service, "reason",
		    reason_name(reason), "text", text[0] ? text : reason_sentence(reason));
}

void agent_session_candidates(struct agent_session *s, const struct wire_candidates *from)
{
	struct candidates taken;
	char text[WIRE_CANDIDATES_MAX * (WIRE_ADDRESS_MAX + 1)];

	candidates_take(from, &taken);
	if (taken.count == 0 || s->candidates)
		return;
	s->candidates = malloc(sizeof(taken)); /* without memory there is one hint less */
	if (s->candidates)
		*s->candidates = taken;
	candidates_text(&taken, text, sizeof(text));
	log_info("session", "candidates id=%" PRIu64 " agent=%s %s", s->number, peer_text(s), text);
}

void agent_sessions_revoke(struct agent *a)
{
	struct agent_session *next;

	for (struct agent_session *s = a->sessions; s; s = next) {
		next = s->next;
		if (s->peer[0] == '\0' || !revoked_has(&a->revoked, s->peer))
			continue;
		log_notice("session", "agent=%s service=%s is ended: %s is revoked", s->peer,
			   s->service, s->peer);
		s->stop(s, REASON_REVOKED, "the other agent's identity has been revoked");
	}
}
