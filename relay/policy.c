/* SPDX-License-Identifier: Apache-2.0 */
/* policy: decides. relay/policy_internal.h tells how. */
#include "relay/policy.h"

#include <stdio.h>
#include <string.h>

#include "relay/policy_internal.h"

/* A question on its way to its answer. */
struct search {
	const struct policy *p;
	int64_t now;
	struct source_number source;
	bool has_source;
	const uint32_t *subjects; /* ascending; the last may be an agent */
	size_t subject_count;

	uint64_t rate, sessions; /* the most generous so far; 0: nothing allows it */
	size_t rule;
	int64_t again;
};

/* ---- one entry ------------------------------------------------------------------------------ */

static bool source_matches(const struct search *s, uint32_t source)
{
	const struct source_range *ranges;
	size_t bytes;

	if (source == DICT_NONE)
		return true;
	ranges = dict_key(&s->p->sources, source, &bytes);
	return s->has_source && source_holds(ranges, bytes / sizeof *ranges, s->source);
}

/* Whether e holds now; *change is when time alone will make that different. */
static bool entry_holds(const struct search *s, const struct policy_entry *e, int64_t *change)
{
	const struct policy_span *spans;
	size_t bytes;
	bool within;

	*change = POLICY_NEVER;
	if (s->now >= e->until || !source_matches(s, e->source))
		return false;
	if (e->hours == DICT_NONE) {
		*change = e->until;
		return true;
	}
	spans = dict_key(&s->p->hours, e->hours, &bytes);
	within = policy_hours_hold(spans, bytes / sizeof *spans, s->now, change);
	if (*change >= e->until)
		*change = within ? e->until : POLICY_NEVER;
	return within;
}

static void try_entry(struct search *s, const struct policy_entry *e)
{
	int64_t change;

	if (entry_holds(s, e, &change)) {
		if (e->rate > s->rate) {
			s->rate = e->rate;
			s->rule = e->rule;
		}
		if (e->sessions > s->sessions)
			s->sessions = e->sessions;
	}
	if (change < s->again)
		s->again = change;
}

/* Entries that are no better than what holds already cannot matter before that ends. */
static void walk_way(struct search *s, const struct policy_way *w)
{
	const struct policy_entry *e = s->p->entries + w->first;

	for (const struct policy_entry *end = e + w->count; e < end; e++) {
		if (e->rate > s->rate || e->sessions > s->sessions)
			try_entry(s, e);
		else if (s->sessions == NO_LIMIT)
			return; /* rates only go down from here */
	}
}

/* ---- finding the ways ----------------------------------------------------------------------- */

static const struct policy_way *find_way(const struct policy_way *ways, size_t count,
					 uint32_t subject)
{
	while (count > 0) {
		size_t half = count / 2;

		if (ways[half].subject == subject)
			return &ways[half];
		if (ways[half].subject < subject) {
			ways += half + 1;
			count -= half + 1;
		} else {
			count = half;
		}
	}
	return NULL;
}

static void walk_target(struct search *s, const struct policy_target *t)
{
	const struct policy_way *w = s->p->ways + t->first, *shared = w + t->shared;
	const uint32_t *subject = s->subjects, *last = subject + s->subject_count - 1;

	/* The asker itself first: rules that name it are likely, and may settle it. */
	if (*last >= s->p->first_agent) {
		const struct policy_way *own = find_way(shared, t->count - t->shared, *last);

		if (own)
			walk_way(s, own);
		last--;
	}
	while (subject <= last && w < shared) {
		if (w->subject == *subject)
			walk_way(s, w);
		if (w->subject <= *subject)
			w++;
		else
			subject++;
	}
}

static void walk_targets(struct search *s, const char *to, const char *service)
{
	uint32_t agents[PATTERNS_MATCH_MAX], services[PATTERNS_MATCH_MAX];
	size_t agent_count = patterns_match(&s->p->to_agents, to, agents);
	size_t service_count = patterns_match(&s->p->to_services, service, services);

	for (size_t a = 0; a < agent_count; a++) {
		for (size_t v = 0; v < service_count; v++) {
			uint32_t key[2] = {agents[a], services[v]};
			uint32_t target = dict_find(&s->p->target_keys, key, sizeof key);

			if (target != DICT_NONE)
				walk_target(s, &s->p->targets[target]);
		}
	}
}

static void find_subjects(struct search *s, const char *from)
{
	static const uint32_t public[] = {SUBJECT_ANYBODY, SUBJECT_PUBLIC};
	uint32_t agent;

	s->subjects = public;
	if (!from[0]) {
		s->subject_count = 2;
		return;
	}
	agent = dict_find(&s->p->agents, from, strlen(from));
	if (agent == DICT_NONE) {
		s->subject_count = 1; /* anybody */
		return;
	}
	s->subjects = s->p->subjects + s->p->subject_first[agent];
	s->subject_count = s->p->subject_first[agent + 1] - s->p->subject_first[agent];
}

/* ---- the answer ----------------------------------------------------------------------------- */

static struct policy_answer answer(const struct search *s, uint64_t running)
{
	struct policy_answer a = {.reason = REASON_OK, .rule = s->rule};

	if (s->again != POLICY_NEVER)
		a.again = (time_t)s->again;
	if (s->rule == SIZE_MAX)
		a.reason = REASON_NOT_ALLOWED;
	else if (running >= s->sessions && s->sessions != NO_LIMIT)
		a.reason = REASON_LIMIT_SESSIONS;
	else if (s->rate != NO_LIMIT)
		a.rate = s->rate;
	return a;
}

struct policy_answer policy_decide(const struct policy *p, const struct policy_question *q)
{
	struct search s = {.p = p, .now = q->now, .rule = SIZE_MAX, .again = POLICY_NEVER};

	if (policy_revoked(p, q->from) || policy_revoked(p, q->to))
		return (struct policy_answer){.reason = REASON_REVOKED, .rule = SIZE_MAX};
	if (!p->exists)
		return (struct policy_answer){.reason = REASON_OK, .rule = SIZE_MAX};
	s.has_source = q->source && source_number(q->source, &s.source);
	find_subjects(&s, q->from);
	walk_targets(&s, q->to, q->service);
	return answer(&s, q->running);
}

bool policy_revoked(const struct policy *p, const char *agent)
{
	return p->revoked.count > 0 && dict_find(&p->revoked, agent, strlen(agent)) != DICT_NONE;
}

const char *const *policy_revoked_names(const struct policy *p, size_t *n)
{
	*n = p->revoked.count;
	return p->revoked_names;
}

const char *policy_rule_path(const struct policy *p, size_t rule, char out[POLICY_PATH_BYTES])
{
	if (rule == SIZE_MAX)
		out[0] = '\0';
	else if (rule < p->rule_count)
		snprintf(out, POLICY_PATH_BYTES, "policy[%zu]", rule);
	else
		snprintf(out, POLICY_PATH_BYTES, "grants[%zu]", rule - p->rule_count);
	return out;
}
