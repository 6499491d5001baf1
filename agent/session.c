/* SPDX-License-Identifier: Apache-2.0 */
/* session: the table of sessions and their two log lines. */
#include "agent/session.h"

#include <inttypes.h>

#include "core/log.h"

bool agent_session_add(struct agent *a, struct agent_session *s)
{
	if (a->session_count >= a->config->max_sessions)
		return false;
	s->agent = a;
	s->number = ++a->session_number;
	s->prev = NULL;
	s->next = a->sessions;
	if (s->next)
		s->next->prev = s;
	a->sessions = s;
	a->session_count++;
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
	agent_drop(a);
}

static const char *role(const struct agent_session *s)
{
	if (s->asking)
		return "asking";
	return s->peer[0] ? "publishing" : "public";
}

void agent_session_log_open(const struct agent_session *s, const char *relay)
{
	s->agent->totals.sessions++;
	log_info("session", "open id=%" PRIu64 " role=%s agent=%s service=%s relay=%s", s->number,
		 role(s), s->peer[0] ? s->peer : "-", s->service, relay);
}

void agent_session_log_closed(struct agent_session *s)
{
	const struct stream *st = &s->stream;

	s->agent->totals.up_bytes += st->up.bytes;
	s->agent->totals.down_bytes += st->down.bytes;
	log_info("session",
		 "closed id=%" PRIu64 " role=%s agent=%s service=%s up=%" PRIu64 " down=%" PRIu64
		 " reason=%s",
		 s->number, role(s), s->peer[0] ? s->peer : "-", s->service, st->up.bytes,
		 st->down.bytes, st->why);
}
