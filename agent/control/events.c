/* SPDX-License-Identifier: Apache-2.0 */
/* events: what happens in an agent, as consoles and the journal hear it. */
#include <stdarg.h>

#include "agent/control/control_internal.h"
#include "core/engine/records.h"
#include "core/log.h"
#include "core/parse/reason.h"

void agent_control_event(struct agent_control *ctl, const char *kind, const char *format, ...)
{
	json_t *data;
	va_list args;

	va_start(args, format);
	data = json_vpack_ex(NULL, 0, format, args);
	va_end(args);
	managed_event(&ctl->managed, kind, data);
}

/* ---- links ---- */

void agent_control_link_up(struct agent_control *ctl, const struct agent_link *l)
{
	if (ctl)
		agent_control_event(ctl, "link.up", "{s:s}", "relay", l->label);
}

void agent_control_link_down(struct agent_control *ctl, const struct agent_link *l,
			     enum reason reason, const char *why)
{
	if (ctl)
		agent_control_event(ctl, "link.down", "{s:s, s:s, s:s}", "relay", l->label,
				    "reason", reason_name(reason), "text", why);
}

/* ---- signed revocations ---- */

static void tell_change(struct agent_control *ctl, const char *kind, json_t *data)
{
	if (!data)
		return;
	log_recorded(LOG_LEVEL_WARNING, "agent", "%s count=%" JSON_INTEGER_FORMAT ": %s", kind,
		     json_integer_value(json_object_get(data, "count")),
		     json_string_value(json_object_get(data, "text")));
	agent_control_event(ctl, kind, "o", data);
}

void agent_control_signed(struct agent_control *ctl, const struct agent_link *l,
			  const struct signed_told *changes)
{
	enum signed_cause cause = l ? SIGNED_BY_A_THIEF : SIGNED_BY_OTHER_CAS;

	if (!ctl)
		return;
	if (l) {
		const struct signed_revocations *all = &ctl->rooms.links->signed_revocations;
		const struct signed_entry *e = all->entries[all->count - 1];
		json_t *data = signed_entry_json(e);

		json_object_set_new(data, "relay", json_string(l->label));
		agent_control_event(ctl,
				    signed_entry_revokes(e) ? "revocation.signed"
							    : "revocation.taken_back",
				    "o", data);
	}
	tell_change(ctl, "revocation.lapsed", signed_told_event(changes, false, cause));
	tell_change(ctl, "revocation.restored", signed_told_event(changes, true, cause));
}

/* ---- sessions ---- */

void agent_control_session_opened(struct agent_control *ctl, const struct agent_session *s)
{
	if (!ctl)
		return;
	agent_control_event(ctl, "session.opened", "{s:I, s:s, s:s, s:s, s:s}", "session",
			    (json_int_t)s->number, "role", agent_session_role(s), "peer", s->peer,
			    "service", s->service, "relay", s->relay);
}

void agent_control_session_closed(struct agent_control *ctl, const struct agent_session *s)
{
	const struct stream *st = &s->stream;
	char code[ENDING_CODE_BYTES];

	if (!ctl)
		return;
	agent_control_event(ctl, "session.closed",
			    "{s:I, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:s}", "session",
			    (json_int_t)s->number, "role", agent_session_role(s), "peer", s->peer,
			    "service", s->service, "relay", s->relay, "up",
			    (json_int_t)st->up.bytes, "down", (json_int_t)st->down.bytes, "ms",
			    (json_int_t)(ring_now_ms(ctl->ring) - s->started_ms), "reason", st->why,
			    "ending", ending_code(s->ending, code));
}

void agent_control_session_refused(struct agent_control *ctl, const struct agent_refusal *r)
{
	char code[ENDING_CODE_BYTES];

	if (!ctl)
		return;
	agent_control_event(ctl, "session.refused", "{s:s, s:s, s:s, s:s, s:s, s:s}", "role",
			    r->role, "peer", r->peer, "service", r->service, "reason",
			    reason_name(r->reason), "text", r->text, "ending",
			    ending_code(r->ending, code));
}

/* ---- as consoles ask for them ---- */

static void events_run(struct call *c)
{
	struct agent_control *ctl = c->owner;

	records_answer(c, &ctl->events, "events", &c->caller->follows_events);
}

const struct method agent_events_methods[] = {
	{.name = "events",
	 .level = CALLER_READ,
	 .run = events_run,
	 .help = "what happened: links, sessions, refusals, changes",
	 .params = records_params,
	 .result = "{events: [{number, at, kind, ...}]}; notifications \"event\" when following"},
	{.name = NULL},
};
