/* SPDX-License-Identifier: Apache-2.0 */
/* methods: what the agent is doing: its status. */
#include "agent/control/control_internal.h"
#include "core/engine/tls_library.h"

#define SESSIONS_LISTED 1000u

/* ---- status ---- */

/* What its relay told over STUN. */
static void link_stun_json(const struct agent_link *l, json_t *link)
{
	uint64_t age_ms;
	const struct addr *seen =
		reflexive_address(l->reflexive, ring_now_ms(l->worker->ring), &age_ms);
	char text[ADDR_TEXT_BYTES];

	if (!seen)
		return;
	addr_format(seen, text);
	json_object_set_new(link, "seen_udp", json_string(text));
	json_object_set_new(link, "seen_udp_ms", json_integer((json_int_t)age_ms));
}

static json_t *link_json(const struct agent_link *l)
{
	const struct leg_pool *p = &l->legs;
	size_t legs = 0;
	json_t *link;

	for (size_t i = 0; i < LEG_CLOSING; i++)
		legs += p->count[i];
	link = json_pack("{s:s, s:s, s:I, s:I}", "relay", l->label, "state",
			 link_phase_name(l->state.phase), "warm_legs",
			 (json_int_t)p->count[LEG_WARM], "legs", (json_int_t)legs);
	if (link_state_live(&l->state) && l->channel.tls)
		json_object_set_new(link, "key_exchange",
				    json_string(tls_group_name(tls_group(l->channel.tls))));
	if (link_state_live(&l->state))
		json_object_set_new(link, "up_ms",
				    json_integer((json_int_t)(ring_now_ms(l->worker->ring) -
							      l->state.up_since_ms)));
	else if (l->state.why[0])
		json_object_set_new(link, "why", json_string(l->state.why));
	link_stun_json(l, link);
	return link;
}

static json_t *links_json(const struct agent_links *links)
{
	json_t *list = json_array();

	for (size_t i = 0; i < links->count; i++)
		json_array_append_new(list, link_json(links->list[i]));
	return list;
}

static json_t *session_json(const struct agent_session *s)
{
	json_t *out =
		json_pack("{s:I, s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I}", "session",
			  (json_int_t)s->number, "role", agent_session_role(s), "peer", s->peer,
			  "service", s->service, "relay", s->relay, "open", s->opened, "up",
			  (json_int_t)s->stream.up.bytes, "down", (json_int_t)s->stream.down.bytes,
			  "ms", (json_int_t)(ring_now_ms(s->worker->ring) - s->started_ms));
	if (s->opened && s->stream.inner.tls)
		json_object_set_new(out, "key_exchange",
				    json_string(tls_group_name(tls_group(s->stream.inner.tls))));
	if (s->candidates)
		json_object_set_new(out, "candidates", candidates_json(s->candidates));
	return out;
}

/* The newest come first. */
static json_t *sessions_json(const struct agent_sessions *all)
{
	json_t *list = json_array();

	for (const struct agent_session *s = all->first;
	     s && json_array_size(list) < SESSIONS_LISTED; s = s->next)
		json_array_append_new(list, session_json(s));
	return list;
}

/* Bytes of what has ended and of what runs. */
static void count_bytes(const struct agent_sessions *all, uint64_t *up, uint64_t *down)
{
	*up = all->totals.up_bytes;
	*down = all->totals.down_bytes;
	for (const struct agent_session *s = all->first; s; s = s->next) {
		*up += s->stream.up.bytes;
		*down += s->stream.down.bytes;
	}
}

static void status_run(struct call *c)
{
	struct agent_control *ctl = c->owner;
	const struct agent_setup *setup = ctl->rooms.setup;
	const struct agent_links *links = ctl->rooms.links;
	const struct agent_sessions *all = ctl->rooms.sessions;
	uint64_t due = changes_due(ctl->managed.configuring.changes),
		 now_ms = ring_now_ms(ctl->ring), up, down;
	json_t *result;

	count_bytes(all, &up, &down);
	result = json_pack(
		"{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}",
		"agent", setup->config->name, "version", POSTERN_VERSION, "engine",
		ring_engine_name(ring_engine(ctl->ring)), "uptime_ms",
		(json_int_t)(now_ms - ctl->rooms.worker->started_ms), "revision",
		(json_int_t)changes_revision(ctl->managed.configuring.changes),
		"certificate_expires", (json_int_t)identity_not_after(setup->self.identity),
		"revoked", (json_int_t)agent_links_revocations(links), "revoked_signed",
		(json_int_t)links->signed_revocations.list.count, "sessions_open",
		(json_int_t)all->count, "sessions_total", (json_int_t)all->totals.sessions,
		"failed_total", (json_int_t)all->totals.failed, "up_total", (json_int_t)up,
		"down_total", (json_int_t)down, "links", links_json(links), "sessions",
		sessions_json(all));
	json_object_set_new(result, "signed_revocations",
			    signed_table_json(&links->signed_revocations, links->signed_refused));
	tls_library_json(result);
	if (ctl->nat.socket[0])
		json_object_set_new(result, "nat", nat_view_json(&ctl->nat.view));
	if (due != UINT64_MAX)
		json_object_set_new(result, "unconfirmed_ms",
				    json_integer((json_int_t)(due > now_ms ? due - now_ms : 0)));
	call_answer(c, result);
}

const struct method agent_methods[] = {
	{.name = "status",
	 .level = CALLER_READ,
	 .run = status_run,
	 .help = "the agent in one object: links, sessions, totals",
	 .result = "{agent, version, engine, uptime_ms, revision, certificate_expires, revoked, "
		   "revoked_signed, signed_revocations: {used, most, aside, refused}, "
		   "sessions_open, sessions_total, failed_total, up_total, "
		   "down_total, links: "
		   "[{relay, state, warm_legs, legs, key_exchange?, up_ms?, why?, seen_udp?, "
		   "seen_udp_ms?}], tls_library, "
		   "tls_library_year, sessions: [{session, role, peer, service, relay, open, up, "
		   "down, ms, key_exchange?, candidates?}], nat?: {connected, "
		   "external?, verdict, sentence?, advice?, mappings: [{protocol, family, port, "
		   "external?, state}], more?}, unconfirmed_ms?}"},
	{.name = NULL},
};
