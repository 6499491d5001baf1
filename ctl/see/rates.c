/* SPDX-License-Identifier: Apache-2.0 */
/* rates: what flowed between two looks at a relay. */
#include "ctl/see/rates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

/* ---- reading ---- */

static uint64_t number_of(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n > 0 ? (uint64_t)n : 0;
}

/* Made printable: it ends up on a terminal. */
static void text_of(const json_t *object, const char *key, char *out, size_t room)
{
	const char *text = json_string_value(json_object_get(object, key));

	log_escape(text ? text : "", out, room);
}

static void read_session(const json_t *record, struct rates_session *s)
{
	text_of(record, "session", s->id, sizeof(s->id));
	text_of(record, "from", s->from, sizeof(s->from));
	text_of(record, "to", s->to, sizeof(s->to));
	text_of(record, "service", s->service, sizeof(s->service));
	text_of(record, "source", s->source, sizeof(s->source));
	s->up = number_of(record, "up");
	s->down = number_of(record, "down");
	s->ms = number_of(record, "ms");
}

static int by_id(const void *a, const void *b)
{
	const struct rates_session *left = a, *right = b;

	return strcmp(left->id, right->id);
}

/* ---- rates ---- */

static uint64_t rate_of(uint64_t now, uint64_t before, uint64_t ms)
{
	if (now < before || ms == 0)
		return 0;
	return (uint64_t)((double)(now - before) * 1000 / (double)ms);
}

static void rate_session(struct rates_session *s, const struct rates *before, uint64_t elapsed_ms)
{
	static const struct rates_session none;
	const struct rates_session *old = NULL;
	uint64_t ms = elapsed_ms;

	if (before->session_count > 0)
		old = bsearch(s, before->sessions, before->session_count, sizeof(*s), by_id);
	if (!old) {
		/* Began since, or this is the first look: nothing is known of when. */
		if (elapsed_ms == 0)
			return;
		old = &none;
		ms = s->ms < elapsed_ms ? s->ms : elapsed_ms;
	}
	s->up_rate = rate_of(s->up, old->up, ms);
	s->down_rate = rate_of(s->down, old->down, ms);
}

static int by_name(const void *a, const void *b)
{
	const struct rates_agent *left = a, *right = b;

	return strcmp(left->name, right->name);
}

static void name_agent(struct rates *r, const char *name, const struct rates_session *s)
{
	struct rates_agent *a = &r->agents[r->agent_count++];

	memcpy(a->name, name, sizeof(a->name));
	a->sessions = 1;
	a->bytes = s->up + s->down;
	a->rate = s->up_rate + s->down_rate;
}

/* Two for each session, then those of one name become one. */
static void join_agents(struct rates *r)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->session_count; i++) {
		const struct rates_session *s = &r->sessions[i];

		if (strcmp(s->from, s->to) != 0)
			name_agent(r, s->from, s);
		name_agent(r, s->to, s);
	}
	if (r->agent_count == 0)
		return;
	qsort(r->agents, r->agent_count, sizeof(*r->agents), by_name);
	for (size_t i = 1; i < r->agent_count; i++) {
		struct rates_agent *a = &r->agents[kept], *b = &r->agents[i];

		if (strcmp(a->name, b->name) != 0) {
			r->agents[++kept] = *b;
			continue;
		}
		a->sessions += b->sessions;
		a->bytes += b->bytes;
		a->rate += b->rate;
	}
	r->agent_count = kept + 1;
}

bool rates_look(struct rates *r, const json_t *status, const json_t *sessions, uint64_t now_ms)
{
	uint64_t elapsed_ms = r->at_ms ? now_ms - r->at_ms : 0;
	size_t count = json_array_size(sessions), i;
	struct rates next = {.session_count = count,
			     .bytes_total = number_of(status, "bytes_total"),
			     .at_ms = now_ms ? now_ms : 1};
	json_t *record;

	next.sessions = calloc(count + 1, sizeof(*next.sessions));
	next.agents = calloc(2 * count + 1, sizeof(*next.agents));
	if (!next.sessions || !next.agents) {
		rates_free(&next);
		return false;
	}
	if (r->session_count > 0) /* its reader may have sorted it */
		qsort(r->sessions, r->session_count, sizeof(*r->sessions), by_id);
	json_array_foreach(sessions, i, record)
	{
		read_session(record, &next.sessions[i]);
		rate_session(&next.sessions[i], r, elapsed_ms);
	}
	join_agents(&next);
	next.rate = r->at_ms ? rate_of(next.bytes_total, r->bytes_total, elapsed_ms) : 0;
	rates_free(r);
	*r = next;
	return true;
}

void rates_free(struct rates *r)
{
	free(r->sessions);
	free(r->agents);
	*r = (struct rates){.sessions = NULL};
}

/* ---- order ---- */

/* Larger first; equal ones keep their places from look to look by id or name. */
static int larger_first(uint64_t left, uint64_t right, int otherwise)
{
	return left == right ? otherwise : left < right ? 1 : -1;
}

static int sessions_by_bytes(const void *a, const void *b)
{
	const struct rates_session *l = a, *r = b;

	return larger_first(l->up + l->down, r->up + r->down, by_id(a, b));
}

static int sessions_by_rate(const void *a, const void *b)
{
	const struct rates_session *l = a, *r = b;

	return larger_first(l->up_rate + l->down_rate, r->up_rate + r->down_rate, by_id(a, b));
}

static int sessions_by_agent(const void *a, const void *b)
{
	const struct rates_session *l = a, *r = b;
	int from = strcmp(l->from, r->from), to = strcmp(l->to, r->to);

	return from ? from : to ? to : by_id(a, b);
}

static int agents_by_bytes(const void *a, const void *b)
{
	const struct rates_agent *l = a, *r = b;

	return larger_first(l->bytes, r->bytes, by_name(a, b));
}

static int agents_by_rate(const void *a, const void *b)
{
	const struct rates_agent *l = a, *r = b;

	return larger_first(l->rate, r->rate, by_name(a, b));
}

void rates_sort(struct rates *r, enum rates_order order)
{
	static const struct {
		int (*sessions)(const void *a, const void *b);
		int (*agents)(const void *a, const void *b);
	} orders[] = {
		[RATES_BY_BYTES] = {sessions_by_bytes, agents_by_bytes},
		[RATES_BY_RATE] = {sessions_by_rate, agents_by_rate},
		[RATES_BY_AGENT] = {sessions_by_agent, by_name},
	};

	if (r->session_count > 0)
		qsort(r->sessions, r->session_count, sizeof(*r->sessions), orders[order].sessions);
	if (r->agent_count > 0)
		qsort(r->agents, r->agent_count, sizeof(*r->agents), orders[order].agents);
}

json_t *rates_json(const struct rates *r)
{
	json_t *agents = json_array(), *sessions = json_array();

	for (size_t i = 0; i < r->agent_count; i++) {
		const struct rates_agent *a = &r->agents[i];

		json_array_append_new(agents,
				      json_pack("{s:s, s:I, s:I, s:I}", "agent", a->name,
						"sessions", (json_int_t)a->sessions, "bytes",
						(json_int_t)a->bytes, "rate", (json_int_t)a->rate));
	}
	for (size_t i = 0; i < r->session_count; i++) {
		const struct rates_session *s = &r->sessions[i];

		json_array_append_new(
			sessions,
			json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "session",
				  s->id, "from", s->from, "to", s->to, "service", s->service,
				  "source", s->source, "up", (json_int_t)s->up, "down",
				  (json_int_t)s->down, "up_rate", (json_int_t)s->up_rate,
				  "down_rate", (json_int_t)s->down_rate, "ms", (json_int_t)s->ms));
	}
	return json_pack("{s:I, s:o, s:o}", "rate", (json_int_t)r->rate, "agents", agents,
			 "sessions", sessions);
}
