/* SPDX-License-Identifier: Apache-2.0 */
/* policy_compile: from the configuration's rules to the tables of relay/policy/compile.h. */
#include "relay/policy/compile.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "relay/policy/time.h"

/* An entry that has not found its place yet. */
struct draft {
	uint32_t target, principal, source;
	struct policy_entry entry;
};

struct drafts {
	struct draft *items;
	size_t count;
};

struct compile {
	struct policy *p;
	struct dict groups;
	struct drafts drafts;
};

/* ---- who asks ------------------------------------------------------------------------------- */

static bool add_name(struct dict *d, const char *name)
{
	uint32_t id;

	return dict_add(d, name, strlen(name), &id);
}

static bool is_reserved(const char *from)
{
	return strcmp(from, POLICY_EVERYONE) == 0 || strcmp(from, POLICY_PUBLIC) == 0;
}

/* Gives the agents of rules their numbers, those of groups having theirs. */
static bool number_askers(struct compile *c, const struct conf_array *rules)
{
	const struct policy_rule *r = rules->items;

	for (size_t i = 0; i < rules->count; i++) {
		char *const *from = r[i].from.items;

		for (size_t f = 0; f < r[i].from.count; f++) {
			if (!is_reserved(from[f]) &&
			    dict_find(&c->groups, from[f], strlen(from[f])) == DICT_NONE &&
			    !add_name(&c->p->agents, from[f]))
				return false;
		}
	}
	return true;
}

static bool number_groups(struct compile *c, const struct conf_array *groups)
{
	const struct policy_group *g = groups->items;

	for (size_t i = 0; i < groups->count; i++) {
		char *const *members = g[i].members.items;

		if (!add_name(&c->groups, g[i].name))
			return false;
		for (size_t m = 0; m < g[i].members.count; m++) {
			if (!add_name(&c->p->agents, members[m]))
				return false;
		}
	}
	c->p->first_agent = PRINCIPAL_GROUPS + c->groups.count;
	return true;
}

/* Calls for every membership, group by group: counts it, or adds it to the agent's principals. */
static void each_membership(struct policy *p, const struct conf_array *groups,
			    void (*visit)(struct policy *p, uint32_t agent, uint32_t principal))
{
	const struct policy_group *g = groups->items;

	for (size_t i = 0; i < groups->count; i++) {
		char *const *members = g[i].members.items;

		for (size_t m = 0; m < g[i].members.count; m++)
			visit(p, dict_find(&p->agents, members[m], strlen(members[m])),
			      PRINCIPAL_GROUPS + (uint32_t)i);
	}
}

static void count_membership(struct policy *p, uint32_t agent, uint32_t principal)
{
	p->principal_first[agent + 1]++;
}

/* principal_first[agent] is where the agent's next principal goes. */
static void add_principal(struct policy *p, uint32_t agent, uint32_t principal)
{
	p->principals[p->principal_first[agent]++] = principal;
}

/* Lists of every agent's principals, ascending: any agent, its groups, itself. A name that a group
 * has twice is twice in the list: that costs a step and changes nothing. */
static bool list_principals(struct policy *p, const struct conf_array *groups)
{
	size_t agents = p->agents.count, total;

	p->principal_first = memory_array(agents + 1, sizeof *p->principal_first);
	if (!p->principal_first)
		return false;
	each_membership(p, groups, count_membership);
	for (size_t a = 0; a < agents; a++)
		p->principal_first[a + 1] += p->principal_first[a] + 2;
	total = p->principal_first[agents];
	p->principals = memory_array(total + 1, sizeof *p->principals);
	if (!p->principals)
		return false;
	for (uint32_t a = 0; a < agents; a++)
		add_principal(p, a, PRINCIPAL_ANY);
	each_membership(p, groups, add_principal);
	for (uint32_t a = 0; a < agents; a++)
		add_principal(p, a, p->first_agent + a);
	/* Each now says where the next agent's begin. */
	memmove(p->principal_first + 1, p->principal_first, agents * sizeof *p->principal_first);
	p->principal_first[0] = 0;
	return true;
}

static uint32_t principal_of(const struct compile *c, const char *from)
{
	uint32_t group;

	if (strcmp(from, POLICY_EVERYONE) == 0)
		return PRINCIPAL_ANY;
	if (strcmp(from, POLICY_PUBLIC) == 0)
		return PRINCIPAL_PUBLIC;
	group = dict_find(&c->groups, from, strlen(from));
	if (group != DICT_NONE)
		return PRINCIPAL_GROUPS + group;
	return c->p->first_agent + dict_find(&c->p->agents, from, strlen(from));
}

/* ---- conditions ----------------------------------------------------------------------------- */

static bool compile_hours(struct policy *p, const char *text, uint32_t *id)
{
	struct policy_hours hours;
	const char *remedy;

	*id = DICT_NONE;
	if (!text || !policy_hours_parse(text, &hours, &remedy))
		return true; /* absent: the schema has refused what does not parse */
	return dict_add(&p->hours, hours.spans, hours.count * sizeof hours.spans[0], id);
}

static bool compile_source(struct policy *p, const struct conf_array *source, uint32_t *out)
{
	char *const *texts = source->items;
	struct source_network *networks;
	size_t count = 0;
	uint32_t set;
	bool ok;

	*out = SOURCE_ANY;
	if (source->count == 0)
		return true;
	networks = memory_array(source->count, sizeof *networks);
	if (!networks)
		return false;
	for (size_t i = 0; i < source->count; i++) /* the schema has refused what does not parse */
		count += source_parse(texts[i], &networks[count]) == SOURCE_OK;
	ok = source_set_add(&p->sources, networks, count, &set);
	memory_free(networks);
	if (ok)
		*out = SOURCE_SETS + set;
	return ok;
}

static bool compile_conditions(struct policy *p, const struct policy_rule *r, struct draft *out)
{
	struct policy_entry *e = &out->entry;

	e->rate = r->rate ? r->rate : NO_LIMIT;
	e->sessions = r->sessions ? r->sessions : NO_LIMIT;
	e->until = POLICY_NEVER;
	if (r->until && !policy_until_parse(r->until, &e->until))
		e->until = 0; /* the schema has refused it */
	return compile_hours(p, r->hours, &e->hours) && compile_source(p, &r->source, &out->source);
}

/* ---- entries -------------------------------------------------------------------------------- */

static bool find_target(struct policy *p, const char *to, uint32_t *target)
{
	struct pattern agent, service;
	uint32_t key[2];

	*target = DICT_NONE;
	if (!pattern_split_target(to, &agent, &service))
		return true; /* the schema has refused it */
	return patterns_add(&p->to_agents, &agent, &key[0]) &&
	       patterns_add(&p->to_services, &service, &key[1]) &&
	       dict_add(&p->target_keys, key, sizeof key, target);
}

static bool draft_rule(struct compile *c, const struct policy_rule *r, uint32_t number)
{
	char *const *from = r->from.items, *const *to = r->to.items;
	struct draft d = {.entry.rule = number};

	if (!compile_conditions(c->p, r, &d))
		return false;
	for (size_t t = 0; t < r->to.count; t++) {
		if (!find_target(c->p, to[t], &d.target))
			return false;
		for (size_t f = 0; f < r->from.count && d.target != DICT_NONE; f++) {
			d.principal = principal_of(c, from[f]);
			c->drafts.items[c->drafts.count++] = d;
		}
	}
	return true;
}

static size_t count_pairs(const struct conf_array *rules)
{
	const struct policy_rule *r = rules->items;
	size_t pairs = 0;

	for (size_t i = 0; i < rules->count; i++)
		pairs += r[i].from.count * r[i].to.count;
	return pairs;
}

static bool draft_rules(struct compile *c, const struct policy_conf *conf)
{
	const struct policy_rule *rules = conf->rules.items, *grants = conf->grants.items;
	size_t pairs = count_pairs(&conf->rules) + count_pairs(&conf->grants);
	uint32_t number = 0;

	c->drafts.items = memory_array(pairs + 1, sizeof *c->drafts.items);
	if (!c->drafts.items)
		return false;
	for (size_t i = 0; i < conf->rules.count; i++) {
		if (!draft_rule(c, &rules[i], number++))
			return false;
	}
	for (size_t i = 0; i < conf->grants.count; i++) {
		if (!draft_rule(c, &grants[i], number++))
			return false;
	}
	return true;
}

/* ---- order ---------------------------------------------------------------------------------- */

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int compare_ways(const struct draft *x, const struct draft *y)
{
	int order = COMPARE(x->target, y->target);

	return order ? order : COMPARE(x->principal, y->principal);
}

static int compare_runs(const struct draft *x, const struct draft *y)
{
	int order = compare_ways(x, y);

	return order ? order : COMPARE(x->source, y->source);
}

static int compare_hours(const struct draft *x, const struct draft *y)
{
	int order = compare_runs(x, y);

	return order ? order : COMPARE(x->entry.hours, y->entry.hours);
}

/* The most generous first. */
static int compare_entries(const struct policy_entry *x, const struct policy_entry *y)
{
	int order = COMPARE(y->rate, x->rate);

	order = order ? order : COMPARE(y->sessions, x->sessions);
	order = order ? order : COMPARE(y->until, x->until);
	return order ? order : COMPARE(x->rule, y->rule);
}

static int by_hours(const void *a, const void *b)
{
	const struct draft *x = a, *y = b;
	int order = compare_hours(x, y);

	return order ? order : compare_entries(&x->entry, &y->entry);
}

static int by_run(const void *a, const void *b)
{
	const struct draft *x = a, *y = b;
	int order = compare_runs(x, y);

	return order ? order : compare_entries(&x->entry, &y->entry);
}

/* Drops what an entry of the same block and hours makes pointless: one that is as generous
 * and lasts as long. It is enough to look at the one that lasts longest so far. */
static void policy_prune_drafts(struct drafts *d)
{
	const struct draft *lasting = NULL;
	size_t kept = 0;

	qsort(d->items, d->count, sizeof *d->items, by_hours);
	for (size_t i = 0; i < d->count; i++) {
		const struct draft *item = &d->items[i];
		bool same = lasting && compare_hours(lasting, item) == 0;

		if (same && item->entry.until <= lasting->entry.until &&
		    item->entry.sessions <= lasting->entry.sessions)
			continue;
		if (!same || item->entry.until >= lasting->entry.until)
			lasting = &d->items[kept];
		d->items[kept++] = *item;
	}
	d->count = kept;
}

/* Room for as many acls and blocks as there are entries, which is the most. */
static bool make_tables(struct policy *p, size_t entries)
{
	p->targets = memory_array((size_t)p->target_keys.count + 1, sizeof *p->targets);
	p->acl_principals = memory_array(entries + 1, sizeof *p->acl_principals);
	p->acl_blocks = memory_array(entries + 1, sizeof *p->acl_blocks);
	p->block_sources = memory_array(entries + 1, sizeof *p->block_sources);
	p->block_entries = memory_array(entries + 1, sizeof *p->block_entries);
	p->entries = memory_array(entries + 1, sizeof *p->entries);
	return p->targets && p->acl_principals && p->acl_blocks && p->block_sources &&
	       p->block_entries && p->entries;
}

/* Drafts, sorted, become entries, blocks, acls and targets. */
static bool policy_place_drafts(struct policy *p, const struct drafts *d)
{
	uint32_t acls = 0, blocks = 0;

	if (!make_tables(p, d->count))
		return false;
	for (uint32_t i = 0; i < d->count; i++) {
		const struct draft *item = &d->items[i];
		struct policy_target *t = &p->targets[item->target];

		if (i == 0 || compare_ways(item - 1, item) != 0) {
			if (t->acls.count++ == 0)
				t->acls.first = acls;
			t->shared += item->principal < p->first_agent;
			p->acl_principals[acls] = item->principal;
			p->acl_blocks[acls++].first = blocks;
		}
		if (i == 0 || compare_runs(item - 1, item) != 0) {
			p->acl_blocks[acls - 1].count++;
			p->block_sources[blocks] = item->source;
			p->block_entries[blocks++].first = i;
		}
		p->block_entries[blocks - 1].count++;
		p->entries[i] = item->entry;
	}
	return true;
}

/* ---- the whole ------------------------------------------------------------------------------ */

bool policy_revocation(const struct policy_revoked *conf, struct revocation *out)
{
	struct revocation r = {.kind = WIRE_REVOKED_NAME, .before = REVOCATIONS_ALWAYS};
	const char *value = conf->agent;

	if (!value) {
		r.kind = conf->serial ? WIRE_REVOKED_SERIAL : WIRE_REVOKED_KEY;
		value = conf->serial ? conf->serial : conf->key;
	}
	if (!value || !wire_revocation_ok(r.kind, wire_text(value)) ||
	    (conf->before && !policy_until_parse(conf->before, &r.before)))
		return false;
	memcpy(r.value, value, strlen(value) + 1);
	*out = r;
	return true;
}

static bool compile_revoked(struct policy *p, const struct policy_conf *conf)
{
	const struct policy_revoked *items = conf->revoked.items;
	const struct revocations *also = conf->signed_revoked;
	struct revocation r;

	for (size_t i = 0; i < conf->revoked.count; i++)
		if (!policy_revocation(&items[i], &r) || !revocations_add(&p->revoked, &r))
			return false;
	for (size_t i = 0; also && i < also->count; i++)
		if (!revocations_add(&p->revoked, &also->list[i]))
			return false;
	revocations_finish(&p->revoked);
	return true;
}

static bool policy_compile_conf(struct compile *c, const struct policy_conf *conf)
{
	if (!number_groups(c, &conf->groups) || !number_askers(c, &conf->rules) ||
	    !number_askers(c, &conf->grants) || !list_principals(c->p, &conf->groups) ||
	    !draft_rules(c, conf) || !source_index_finish(&c->p->sources) ||
	    !compile_revoked(c->p, conf))
		return false;
	policy_prune_drafts(&c->drafts);
	qsort(c->drafts.items, c->drafts.count, sizeof *c->drafts.items, by_run);
	return policy_place_drafts(c->p, &c->drafts);
}

struct policy *policy_new(const struct policy_conf *conf)
{
	struct policy *p = memory_zeroed(sizeof *p);
	struct compile c = {.p = p};
	bool ok;

	if (!p)
		return NULL;
	p->exists = conf->rules.present || conf->grants.present || conf->rules.count > 0 ||
		    conf->grants.count > 0;
	p->rule_count = conf->rules.count;
	ok = policy_compile_conf(&c, conf);
	dict_free(&c.groups);
	memory_free(c.drafts.items);
	if (ok)
		return p;
	policy_free(p);
	return NULL;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	dict_free(&p->agents);
	memory_free(p->principal_first);
	memory_free(p->principals);
	patterns_free(&p->to_agents);
	patterns_free(&p->to_services);
	dict_free(&p->target_keys);
	memory_free(p->targets);
	memory_free(p->acl_principals);
	memory_free(p->acl_blocks);
	memory_free(p->block_sources);
	memory_free(p->block_entries);
	memory_free(p->entries);
	dict_free(&p->hours);
	source_index_free(&p->sources);
	revocations_free(&p->revoked);
	memory_free(p);
}
