/* SPDX-License-Identifier: Apache-2.0 */
/* policy: decides. relay/policy/compile.h tells how. */
#include "relay/policy/policy.h"

#include <stdio.h>
#include <string.h>

#include "core/parse/wire.h"
#include "relay/policy/compile.h"

/* A question on its way to its answer. */
struct policy_search {
	const struct policy *p;
	const struct policy_question *q;
	const uint32_t *principals; /* ascending; the last may be an agent */
	size_t principal_count;
	uint32_t networks[SOURCE_MATCH_MAX]; /* that the source is in, once a rule needs them */
	size_t network_count;
	bool networks_known;

	uint64_t rate, sessions; /* the most generous so far; 0: nothing allows it */
	size_t rule;
	int64_t again;
};

/* Where number is in an ascending list, or DICT_NONE. */
static uint32_t find_number(const uint32_t *list, uint32_t count, uint32_t number)
{
	uint32_t low = 0, high = count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (list[middle] < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && list[low] == number ? low : DICT_NONE;
}

/* ---- entries -------------------------------------------------------------------------------- */

/* Whether e holds now; *change is when time alone will make that different. */
static bool entry_holds(const struct policy_search *s, const struct policy_entry *e,
			int64_t *change)
{
	const struct policy_span *spans;
	size_t bytes;
	bool within;

	*change = POLICY_NEVER;
	if (s->q->now >= e->until)
		return false;
	if (e->hours == DICT_NONE) {
		*change = e->until;
		return true;
	}
	spans = dict_key(&s->p->hours, e->hours, &bytes);
	within = policy_hours_hold(spans, bytes / sizeof *spans, s->q->now, change);
	if (*change >= e->until)
		*change = within ? e->until : POLICY_NEVER;
	return within;
}

static void try_entry(struct policy_search *s, const struct policy_entry *e)
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
static void try_block(struct policy_search *s, const struct policy_part *block)
{
	const struct policy_entry *e = s->p->entries + block->first;

	for (const struct policy_entry *end = e + block->count; e < end; e++) {
		if (e->rate > s->rate || e->sessions > s->sessions)
			try_entry(s, e);
		else if (s->sessions == NO_LIMIT)
			return; /* rates only go down from here */
	}
}

/* ---- blocks: where the asker comes from ------------------------------------------------------ */

static void know_networks(struct policy_search *s)
{
	struct source_number n;

	s->networks_known = true;
	if (s->q->source && source_number(s->q->source, &n))
		s->network_count = source_match(&s->p->sources, n, s->networks);
}

/* The blocks of those given that a network's sets have: looks each of the fewer up in the more. */
static void try_network(struct policy_search *s, struct policy_part blocks, uint32_t network)
{
	const struct policy *p = s->p;
	const uint32_t *sets = p->sources.members + p->sources.first[network];
	uint32_t set_count = p->sources.first[network + 1] - p->sources.first[network];
	const uint32_t *sources = p->block_sources + blocks.first;
	uint32_t at;

	if (set_count < blocks.count) {
		for (uint32_t i = 0; i < set_count; i++) {
			at = find_number(sources, blocks.count, SOURCE_SETS + sets[i]);
			if (at != DICT_NONE)
				try_block(s, &p->block_entries[blocks.first + at]);
		}
	} else {
		for (uint32_t i = 0; i < blocks.count; i++) {
			at = find_number(sets, set_count, sources[i] - SOURCE_SETS);
			if (at != DICT_NONE)
				try_block(s, &p->block_entries[blocks.first + i]);
		}
	}
}

static void try_acl(struct policy_search *s, uint32_t acl)
{
	struct policy_part blocks = s->p->acl_blocks[acl];

	if (s->p->block_sources[blocks.first] == SOURCE_ANY) {
		try_block(s, &s->p->block_entries[blocks.first]);
		blocks.first++;
		blocks.count--;
	}
	if (blocks.count == 0)
		return;
	if (!s->networks_known)
		know_networks(s);
	for (size_t i = 0; i < s->network_count; i++)
		try_network(s, blocks, s->networks[i]);
}

/* ---- access lists: who asks for what --------------------------------------------------------- */

static void try_target(struct policy_search *s, const struct policy_target *t)
{
	const uint32_t *principal = s->principals, *last = principal + s->principal_count - 1;
	uint32_t acl = t->acls.first, shared = acl + t->shared, own;

	/* The asker itself first: rules that name it are likely, and may settle it. */
	if (*last >= s->p->first_agent) {
		own = find_number(s->p->acl_principals + shared, t->acls.count - t->shared, *last);
		if (own != DICT_NONE)
			try_acl(s, shared + own);
		last--;
	}
	while (principal <= last && acl < shared) {
		uint32_t of_acl = s->p->acl_principals[acl];

		if (of_acl == *principal)
			try_acl(s, acl);
		if (of_acl <= *principal)
			acl++;
		else
			principal++;
	}
}

static void try_targets(struct policy_search *s, const char *to, const char *service)
{
	uint32_t agents[PATTERNS_MATCH_MAX], services[PATTERNS_MATCH_MAX];
	size_t agent_count = patterns_match(&s->p->to_agents, to, agents);
	size_t service_count = patterns_match(&s->p->to_services, service, services);

	for (size_t a = 0; a < agent_count; a++) {
		for (size_t v = 0; v < service_count; v++) {
			uint32_t key[2] = {agents[a], services[v]};
			uint32_t target = dict_find(&s->p->target_keys, key, sizeof key);

			if (target != DICT_NONE)
				try_target(s, &s->p->targets[target]);
		}
	}
}

static void find_principals(struct policy_search *s, const char *from)
{
	static const uint32_t public[] = {PRINCIPAL_ANY, PRINCIPAL_PUBLIC};
	uint32_t agent;

	s->principals = public;
	if (!from[0]) {
		s->principal_count = 2;
		return;
	}
	agent = dict_find(&s->p->agents, from, strlen(from));
	if (agent == DICT_NONE) {
		s->principal_count = 1; /* any agent */
		return;
	}
	s->principals = s->p->principals + s->p->principal_first[agent];
	s->principal_count = s->p->principal_first[agent + 1] - s->p->principal_first[agent];
}

/* ---- the answer ----------------------------------------------------------------------------- */

static struct policy_answer policy_answer_of(const struct policy_search *s, uint64_t running)
{
	struct policy_answer a = {.reason = REASON_OK,
				  .rule = s->rule,
				  .granted = s->rule != SIZE_MAX && s->rule >= s->p->rule_count};

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
	struct policy_search s;

	if (strcmp(q->service, WIRE_CONTROL_SERVICE) == 0)
		return (struct policy_answer){.reason = REASON_OK, .rule = SIZE_MAX};
	if (revocations_cover_name(&p->revoked, q->from) ||
	    revocations_cover_name(&p->revoked, q->to))
		return (struct policy_answer){.reason = REASON_REVOKED, .rule = SIZE_MAX};
	if (!p->exists)
		return (struct policy_answer){.reason = REASON_OK, .rule = SIZE_MAX};
	s.p = p;
	s.q = q;
	s.network_count = 0;
	s.networks_known = false;
	s.rate = s.sessions = 0;
	s.rule = SIZE_MAX;
	s.again = POLICY_NEVER;
	find_principals(&s, q->from);
	try_targets(&s, q->to, q->service);
	return policy_answer_of(&s, q->running);
}

struct entitled_rules policy_entitles(const struct policy *p,
				      const struct identity_anchors *anchors)
{
	return (struct entitled_rules){.anchors = anchors, .revoked = &p->revoked};
}

struct policy_answer policy_entitled(const struct policy *p, const struct identity_anchors *anchors,
				     const struct policy_parties *parties,
				     const struct policy_question *q)
{
	const struct entitled_rules rules = policy_entitles(p, anchors);
	struct entitled_answer from = entitled(&parties->from, &rules, q->now),
			       to = entitled(&parties->to, &rules, q->now);
	struct policy_answer a;

	if (from.reason != REASON_OK)
		return (struct policy_answer){
			.reason = from.reason, .rule = SIZE_MAX, .whose = q->from};
	if (to.reason != REASON_OK)
		return (struct policy_answer){
			.reason = to.reason, .rule = SIZE_MAX, .whose = q->to};
	a = policy_decide(p, q);
	a.again = entitled_earlier(a.again, entitled_earlier(from.until, to.until));
	return a;
}

const struct revocations *policy_revocations(const struct policy *p)
{
	return &p->revoked;
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
