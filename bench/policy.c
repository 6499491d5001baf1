/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: how long a decision takes with 10,000 rules and 5,000 agents, in everyday policies and in
 * the worst ones that we could think of. Prints a table, or JSON with --json; the aims are 10 µs
 * and 100 ms.
 *
 * links: core/engine/revocations.c core/parse/wire.c
 * links: core/engine/entitled.c
 * links: relay/policy/policy.c relay/policy/compile.c relay/policy/index.c relay/policy/source.c
 * links: relay/policy/time.c core/addr.c core/memory.c
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/policy/policy.h"

#define RULES	  10000u
#define AGENTS	  5000u
#define GROUPS	  1000u
#define QUESTIONS 4096u
#define ROUNDS	  16u
#define NOW	  1795773600 /* a Friday at 10:00 */

/* ---- policies ------------------------------------------------------------------------------- */

static uint64_t seed = 88172645463325252u;

static unsigned chance(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed % below);
}

static char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *text(const char *format, ...)
{
	va_list args;
	char *out;

	va_start(args, format);
	if (vasprintf(&out, format, args) < 0)
		abort();
	va_end(args);
	return out;
}

static void list_add(struct conf_array *list, char *item)
{
	list->items = realloc(list->items, (list->count + 1) * sizeof(char *));
	if (!list->items)
		abort();
	((char **)list->items)[list->count++] = item;
}

static struct policy_rule *rule_add(struct policy_conf *c, char *from, char *to)
{
	struct policy_rule *r = c->rules.items;

	if (!r)
		r = c->rules.items = calloc(RULES, sizeof *r);
	if (!r || c->rules.count == RULES)
		abort();
	r += c->rules.count++;
	list_add(&r->from, from);
	list_add(&r->to, to);
	return r;
}

static void groups_add(struct policy_conf *c, unsigned memberships)
{
	struct policy_group *g = calloc(GROUPS, sizeof *g);

	if (!g)
		abort();
	c->groups = (struct conf_array){.items = g, .count = GROUPS};
	for (unsigned i = 0; i < GROUPS; i++)
		g[i].name = text("group-%u", i);
	for (unsigned a = 0; a < AGENTS; a++) {
		for (unsigned m = 0; m < memberships; m++)
			list_add(&g[chance(GROUPS)].members, text("agent-%u", a));
	}
}

/* ---- the constellations: each fills a policy, and asks number n ------------------------------ */

struct question {
	char from[64], to[64], service[64], source[64];
};

static void pairs_make(struct policy_conf *c, unsigned i)
{
	rule_add(c, text("agent-%u", chance(AGENTS)), text("agent-%u/web", chance(AGENTS)));
}

static void any_pair(struct question *q, unsigned n)
{
	snprintf(q->from, sizeof q->from, "agent-%u", chance(AGENTS));
	snprintf(q->to, sizeof q->to, "agent-%u", chance(AGENTS));
	snprintf(q->service, sizeof q->service, "web");
}

static void everyone_make(struct policy_conf *c, unsigned i)
{
	rule_add(c, text("*"), text("agent-%u/*", chance(AGENTS)));
}

static void groups_make(struct policy_conf *c, unsigned i)
{
	if (i == 0)
		groups_add(c, 5);
	rule_add(c, text("group-%u", chance(GROUPS)), text("agent-%u/web", chance(AGENTS)));
}

static void one_asker_make(struct policy_conf *c, unsigned i)
{
	rule_add(c, text("agent-1"), text("agent-%u/svc-%u", chance(AGENTS), i));
}

static void one_asker(struct question *q, unsigned n)
{
	any_pair(q, n);
	snprintf(q->from, sizeof q->from, "agent-1");
	snprintf(q->service, sizeof q->service, "svc-%u", chance(RULES));
}

static void one_service_make(struct policy_conf *c, unsigned i)
{
	rule_add(c, text("agent-%u", i % AGENTS), text("agent-1/web"))->rate = i + 1;
}

static void one_service(struct question *q, unsigned n)
{
	any_pair(q, n);
	snprintf(q->to, sizeof q->to, "agent-1");
}

static void prefixes_make(struct policy_conf *c, unsigned i)
{
	rule_add(c, text("*"), text("%0*u*/web", 1 + (int)chance(40), i));
}

static void prefixes(struct question *q, unsigned n)
{
	any_pair(q, n);
	snprintf(q->to, sizeof q->to, "%060u", chance(RULES));
}

/* An agent in every group, of which each has rules with rates for the same service. */
static void member_of_all_make(struct policy_conf *c, unsigned i)
{
	if (i == 0)
		groups_add(c, 1);
	if (i < GROUPS)
		list_add(&((struct policy_group *)c->groups.items)[i].members, text("agent-1"));
	rule_add(c, text("group-%u", i % GROUPS), text("agent-1/web"))->rate = i + 1;
}

static void agent_1_web(struct question *q, unsigned n)
{
	snprintf(q->from, sizeof q->from, "agent-1");
	snprintf(q->to, sizeof q->to, "agent-1");
	snprintf(q->service, sizeof q->service, "web");
	snprintf(q->source, sizeof q->source, "10.200.%u.%u", chance(256), chance(256));
}

/* Patterns of every length, which all match. */
static void nested_make(struct policy_conf *c, unsigned i)
{
	static const char as[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

	rule_add(c, text("agent-%u", i % 3),
		 text("%.*s*/%.*s*", 1 + (int)(i / 60 % 60), as, 1 + (int)(i % 60), as))
		->rate = i + 1;
}

static void nested(struct question *q, unsigned n)
{
	any_pair(q, n);
	snprintf(q->from, sizeof q->from, "agent-1");
	memset(q->to, 'a', 62);
	memset(q->service, 'a', 62);
	q->to[62] = q->service[62] = '\0';
}

static char *date(unsigned year, unsigned n)
{
	return text("%u-%02u-%02u", year + n / 336, 1 + n / 28 % 12, 1 + n % 28);
}

/* Granted again and again, each time for longer. */
static void renewed_make(struct policy_conf *c, unsigned i)
{
	rule_add(c, text("agent-1"), text("agent-1/web"))->until = date(2026, i);
}

/* Each time for less, too, and almost all is over. */
static void over_make(struct policy_conf *c, unsigned i)
{
	struct policy_rule *r = rule_add(c, text("agent-1"), text("agent-1/web"));

	r->until = date(1998, i);
	r->rate = 2 * RULES - i;
}

static void networks_make(struct policy_conf *c, unsigned i)
{
	struct policy_rule *r = rule_add(c, text("*"), text("agent-1/web"));

	list_add(&r->source, text("10.%u.%u.0/24", i / 256, i % 256));
}

static void one_rule_of_networks_make(struct policy_conf *c, unsigned i)
{
	struct policy_rule *r = c->rules.items;

	if (i == 0)
		r = rule_add(c, text("*"), text("agent-1/web"));
	list_add(&r->source, text("10.%u.%u.0/25", i / 256, i % 256));
}

static void hours_make(struct policy_conf *c, unsigned i)
{
	struct policy_rule *r = rule_add(c, text("*"), text("agent-1/web"));
	unsigned begin = 660 + i % (2 * POLICY_HOURS_MAX), end = begin + 60;

	r->hours = text("%02u:%02u-%02u:%02u", begin / 60, begin % 60, end / 60, end % 60);
}

static const struct constellation {
	const char *name;
	void (*make)(struct policy_conf *c, unsigned i);
	void (*ask)(struct question *q, unsigned n);
} constellations[] = {
	{"agents to services", pairs_make, any_pair},
	{"every agent to agents", everyone_make, any_pair},
	{"groups to services", groups_make, any_pair},
	{"all rules for one asker", one_asker_make, one_asker},
	{"all rules for one service", one_service_make, one_service},
	{"10,000 prefixes", prefixes_make, prefixes},
	{"an asker in 1,000 groups, all for one service", member_of_all_make, agent_1_web},
	{"3,600 patterns, which all match", nested_make, nested},
	{"one grant renewed 10,000 times", renewed_make, agent_1_web},
	{"10,000 grants for one service, most of them over", over_make, agent_1_web},
	{"one rule with 10,000 networks", one_rule_of_networks_make, agent_1_web},
	{"10,000 networks for one service, none right", networks_make, agent_1_web},
	{"as many hours as may be, none now", hours_make, agent_1_web},
};

/* ---- measuring ------------------------------------------------------------------------------ */

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static struct policy_answer ask(const struct policy *p, const struct question *q)
{
	struct policy_question question = {
		.from = q->from, .to = q->to, .service = q->service, .now = NOW};
	struct addr source;

	if (q->source[0] && addr_from_literal(q->source, 1, &source))
		question.source = &source;
	return policy_decide(p, &question);
}

static void print_result(const struct constellation *k, double us, double compile_ms,
			 unsigned allowed, bool json)
{
	if (json)
		printf("%s{\"name\": \"%s\", \"decision_us\": %.3f, \"compile_ms\": %.2f}",
		       k == constellations ? "[" : ",\n ", k->name, us, compile_ms);
	else
		printf("%-49s %9.2f %9.1f %7u%%\n", k->name, us, compile_ms,
		       allowed * 100 / QUESTIONS);
}

static void measure(const struct constellation *k, bool json)
{
	static struct question questions[QUESTIONS];
	struct policy_conf conf = {0};
	unsigned allowed = 0;
	double start, compile_ms, best_us = 1e9;

	for (unsigned i = 0; i < RULES; i++)
		k->make(&conf, i);
	for (unsigned i = 0; i < QUESTIONS; i++)
		k->ask(&questions[i], i);
	start = now_us();
	struct policy *p = policy_new(&conf);
	compile_ms = (now_us() - start) / 1e3;
	if (!p)
		abort();
	for (unsigned round = 0; round < ROUNDS; round++) {
		allowed = 0;
		start = now_us();
		for (unsigned i = 0; i < QUESTIONS; i++)
			allowed += ask(p, &questions[i]).reason == REASON_OK;
		double us = (now_us() - start) / QUESTIONS;
		best_us = us < best_us ? us : best_us;
	}
	print_result(k, best_us, compile_ms, allowed, json);
	policy_free(p);
	/* The configurations are left to the end of the process. */
}

int main(int argc, char **argv)
{
	bool json = argc == 2 && strcmp(argv[1], "--json") == 0;

	if (!json) {
		printf("%-49s %9s %9s %8s\n", "10,000 rules, 5,000 agents", "decision", "compile",
		       "allowed");
		printf("%-49s %9s %9s\n", "", "us", "ms");
	}
	for (size_t i = 0; i < sizeof constellations / sizeof constellations[0]; i++)
		measure(&constellations[i], json);
	if (json)
		puts("]");
	return 0;
}
