/* SPDX-License-Identifier: Apache-2.0 */
/* methods_see: what the relay is doing: status, agents, sessions. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/engine/tls.h"
#include "core/engine/tls_library.h"
#include "relay/control/control_internal.h"
#include "relay/session/session.h"

#define SESSIONS_LISTED 1000u /* of one worker, unless asked for more */

static json_t *refusals(const struct relay_totals *t)
{
	json_t *list = json_object();

	for (unsigned code = 0; code < REASON_MAX; code++)
		if (t->refused[code] > 0)
			json_object_set_new(list, reason_name(code),
					    json_integer((json_int_t)t->refused[code]));
	return list;
}

static json_t *isolation_state(const struct isolation_report *report)
{
	json_t *parts = json_object();

	for (unsigned i = 0; i < ISOLATION_PARTS; i++)
		json_object_set_new(parts, isolation_part_name((enum isolation_part)i),
				    report->parts[i].holds ? json_true()
							   : json_string(report->parts[i].why));
	return parts;
}

static json_t *addresses(const struct relay_control *ctl, enum bind_kind kind)
{
	const struct bind_list *d = &ctl->current->binds;
	json_t *list = json_array();

	for (size_t i = 0; i < d->count; i++) {
		char text[ADDR_TEXT_BYTES];

		if (d->items[i].kind != kind || ctl->relay->missing[i])
			continue;
		addr_format(&d->items[i].address, text);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *stun_counts(const uint64_t *counts)
{
	json_t *list = json_object();

	for (unsigned i = 0; i < STUN_COUNTS; i++)
		json_object_set_new(list, stun_count_name(i), json_integer((json_int_t)counts[i]));
	return list;
}

static json_t *stun_state(const struct relay_control *ctl, const struct relay_totals *t)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "listen_udp", addresses(ctl, BIND_UDP),
			 "listen_tcp", addresses(ctl, BIND_STUN), "udp",
			 stun_counts(t->stun[STUN_UDP]), "tcp", stun_counts(t->stun[STUN_TCP]));
}

/* What each class of connections has of what it may have. */
static json_t *places_state(const struct ledger_use *use)
{
	json_t *list = json_object();

	for (unsigned i = 0; i < LEDGER_CLASSES; i++)
		json_object_set_new(list, ledger_class_name((enum ledger_class)i),
				    json_pack("{s:I, s:I}", "used", (json_int_t)use->used[i],
					      "most", (json_int_t)use->places[i]));
	return list;
}

/* How many links have agreed by which key exchange. */
static void see_key_exchange_add(void *context, uint16_t group)
{
	const char *name = tls_group_name(group);

	json_object_set_new(context, name,
			    json_integer(1 + json_integer_value(json_object_get(context, name))));
}

static json_t *see_key_exchanges(struct relay *r)
{
	json_t *counts = json_object();

	relay_lock(r);
	rendezvous_each_key_exchange(r->rendezvous, see_key_exchange_add, counts);
	relay_unlock(r);
	return counts;
}

static json_t *see_memory(const struct memory *m)
{
	int64_t used = m->used;

	return json_pack("{s:I, s:I, s:I}", "used", (json_int_t)(used > 0 ? used : 0), "limit",
			 (json_int_t)m->most, "refused", (json_int_t)m->refused);
}

static void see_status_run(struct call *c)
{
	struct relay_control *ctl = c->owner;
	struct relay *r = ctl->relay;
	struct relay_totals t = relay_totals(r);
	uint64_t due = changes_due(ctl->managed.configuring.changes);
	json_t *result = json_pack(
		"{s:s, s:s, s:s, s:I, s:b, s:o, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, "
		"s:o}",
		"relay", ctl->current->config.name, "version", POSTERN_VERSION, "engine",
		ring_engine_name(ring_engine(r->workers[0].ring)), "revision",
		(json_int_t)changes_revision(ctl->managed.configuring.changes), "draining",
		(int)r->draining, "listen", addresses(ctl, BIND_TLS), "threads",
		(int)r->worker_count, "links", (json_int_t)t.tables.links, "legs",
		(json_int_t)t.tables.legs, "sessions", (json_int_t)t.sessions, "sessions_total",
		(json_int_t)t.sessions_total, "connections", (json_int_t)t.connections,
		"accepted_total", (json_int_t)t.accepted, "handshakes_total",
		(json_int_t)t.handshakes, "bytes_total", (json_int_t)t.bytes, "refused",
		refusals(&t), "isolation", isolation_state(ctl->isolation));

	if (due != UINT64_MAX) {
		uint64_t now = ring_now_ms(ctl->ring);
		json_object_set_new(result, "unconfirmed_ms",
				    json_integer((json_int_t)(due > now ? due - now : 0)));
	}
	tls_library_json(result);
	json_object_set_new(result, "key_exchange", see_key_exchanges(r));
	json_object_set_new(result, "places", places_state(&t.ledger));
	json_object_set_new(result, "memory", see_memory(&r->memory));
	json_object_set_new(result, "signed_revocations",
			    signed_table_json(&ctl->signed_revocations, ctl->signed_refused));
	json_object_set_new(result, "stun", stun_state(ctl, &t));
	if (ctl->nat.socket[0])
		json_object_set_new(result, "nat", nat_view_json(&ctl->nat.view));
	json_object_set_new(result, "certificate_expires",
			    json_integer((json_int_t)identity_not_after(ctl->current->identity)));
	if (ctl->current->front_certificate)
		json_object_set_new(result, "front_certificate_expires",
				    json_integer((json_int_t)front_certificate_validity(
							 ctl->current->front_certificate)
							 .not_after));
	call_answer(c, result);
}

/* ---- agents ---- */

static void agent_add(void *context, const struct rendezvous_agent *a)
{
	json_t *services = json_array();

	for (size_t i = 0; i < a->service_count; i++)
		json_array_append_new(services, json_string(a->services[i]));
	json_t *agent =
		json_pack("{s:s, s:b, s:I, s:I, s:I, s:o}", "agent", a->name, "online", a->online,
			  "links", (json_int_t)a->links, "legs", (json_int_t)a->legs, "sessions",
			  (json_int_t)a->sessions, "services", services);
	if (a->online)
		json_object_set_new(agent, "key_exchange",
				    json_string(tls_group_name(a->key_exchange)));
	if (a->begins > 0)
		json_object_set_new(agent, "certificate_begins",
				    json_integer((json_int_t)a->begins));
	json_array_append_new(context, agent);
}

static void see_agents_run(struct call *c)
{
	struct relay *r = control_of(c)->relay;
	json_t *list = json_array();

	relay_lock(r);
	rendezvous_each_agent(r->rendezvous, agent_add, list);
	relay_unlock(r);
	call_answer(c, json_pack("{s:o}", "agents", list));
}

/* ---- sessions ---- */

static json_t *session_record(const struct session *s, uint64_t now_ms)
{
	char number[20], source[ADDR_TEXT_BYTES];

	snprintf(number, sizeof number, "%016" PRIx64, s->number);
	addr_format(&s->source, source);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "session", number, "from",
			 s->pair.from ? party_name(s->pair.from) : "public", "to",
			 party_name(s->pair.to), "service", s->service, "source", source, "up",
			 (json_int_t)s->flow[0].bytes, "down", (json_int_t)s->flow[1].bytes, "ms",
			 (json_int_t)(now_ms - s->started_ms));
}

static void sessions_collect(struct worker *w, json_t *list, json_t *params)
{
	const char *agent = json_string_value(json_object_get(params, "agent"));
	json_t *limit = json_object_get(params, "limit");
	size_t most = limit && json_integer_value(limit) > 0 ? (size_t)json_integer_value(limit)
							     : SESSIONS_LISTED;
	const struct slab *table = &w->sessions->table;

	for (uint32_t i = 0; i < table->high_water && json_array_size(list) < most; i++) {
		struct session *s = slab_at(table, i);

		if (s && (!agent || session_is_of(s, agent)))
			json_array_append_new(list, session_record(s, ring_now_ms(w->ring)));
	}
}

static void see_sessions_run(struct call *c)
{
	gather(c, "sessions", sessions_collect);
}

static const struct method_param sessions_params[] = {
	{"agent", "string", false, "only sessions that this agent asked for or serves"},
	{"limit", "integer", false, "at most so many of each thread; 1000 when absent"},
	{.name = NULL},
};

const struct method methods_see[] = {
	{.name = "status",
	 .level = CALLER_READ,
	 .run = see_status_run,
	 .help = "the relay in one object: counts, limits, what the kernel enforces",
	 .result = "{relay, version, engine, revision, draining, listen, threads, links, legs, "
		   "sessions, sessions_total, connections, accepted_total, handshakes_total, "
		   "bytes_total, refused, "
		   "isolation, tls_library, tls_library_year, key_exchange: {NAME: links}, places: "
		   "{CLASS: {used, most}}, memory: {used, limit, refused}, "
		   "signed_revocations: {used, most, aside, refused}, stun: "
		   "{listen_udp, listen_tcp, udp, tcp}, nat?: {connected, "
		   "external?, "
		   "verdict, sentence?, advice?, mappings: [{protocol, family, port, external?, "
		   "state}], more?}, certificate_expires, front_certificate_expires?, "
		   "unconfirmed_ms?}"},
	{.name = "agents",
	 .level = CALLER_READ,
	 .run = see_agents_run,
	 .help = "the agents that are connected or have sessions",
	 .result = "{agents: [{agent, online, links, legs, sessions, services, "
		   "key_exchange?, certificate_begins?}]}"},
	{.name = "sessions",
	 .level = CALLER_READ,
	 .run = see_sessions_run,
	 .help = "the running sessions with their bytes so far",
	 .params = sessions_params,
	 .result = "{sessions: [{session, from, to, service, source, up, down, ms}]}"},
	{.name = NULL},
};
