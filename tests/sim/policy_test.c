/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random policies, asked at random and answered twice: by the index, and by looking at every rule
 * in turn. Rules are drawn as numbers and written as the texts that the policy is compiled from;
 * the second answer knows the numbers only. A failure prints its seed.
 *
 * links: core/engine/entitled.c core/engine/revocations.c core/parse/wire.c core/parse/reason.c
 * links: relay/policy/policy.c relay/policy/compile.c relay/policy/index.c relay/policy/source.c
 * links: relay/policy/time.c core/addr.c core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/policy/policy.h"

#define RUNS	  400u
#define QUESTIONS 300u
#define LATER	  12u /* moments at which an answer must still be good */
#define RULES_MAX 40u
#define ITEMS_MAX 3u
#define GROUPS	  4u
#define AGENTS	  8u /* the last two are in no group and no rule */

#define MONDAY	INT64_C(1795996800) /* 2026-11-30T00:00:00Z */
#define DAY	86400
#define MINUTES 1440u
#define FOREVER INT64_MAX

static const char *const agents[AGENTS] = {"db-1",   "db-2", "web-1",  "web-2",
					   "my-web", "desk", "db-web", "z"};
static const char *const services[] = {"ssh", "ssh/admin", "web", "web/admin", "wiki.org"};
static const char *const agent_patterns[] = {"*",  "db-1",  "db-*", "d*",     "*-1",	"*web",
					     "*b", "web-1", "desk", "my-web", "db-web", "*-web"};
static const char *const service_patterns[] = {"*",    "ssh",	 "ssh*",    "ssh/*",
					       "web*", "*admin", "*/admin", "wiki.org"};
/* Where an asker may come from, and networks with how many of their bits count. */
static const char *const sources[] = {"10.1.2.3",	"10.1.9.9",	 "10.200.0.1",
				      "192.0.2.1",	"2001:db8:1::5", "2001:db8:2::5",
				      "::ffff:10.1.2.3"};
static const struct network {
	const char *first;
	unsigned bits;
} networks[] = {
	{"10.1.2.0", 24}, {"10.1.0.0", 16},	{"10.0.0.0", 8},    {"0.0.0.0", 0},
	{"10.1.2.3", 32}, {"2001:db8:1::", 48}, {"2001:db8::", 32}, {"::", 0},
};

#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define FROM_PUBLIC (AGENTS + GROUPS)
#define FROM_ALL    (AGENTS + GROUPS + 1u)

/* ---- a rule as numbers ---------------------------------------------------------------------- */

struct window {
	unsigned first_day, days; /* 0: Monday */
	unsigned begin, minutes;
};

struct rule {
	unsigned from[ITEMS_MAX], from_count; /* agents, groups, public, all */
	unsigned to_agent[ITEMS_MAX], to_service[ITEMS_MAX], to_count;
	int64_t until;
	struct window windows[ITEMS_MAX];
	unsigned window_count;
	unsigned network[ITEMS_MAX], network_count;
	uint64_t rate, sessions;
};

struct world {
	uint64_t first_seed, seed;
	bool member[GROUPS][AGENTS];
	struct rule rules[RULES_MAX];
	size_t rule_count, grant_count; /* grants are the last of them */
	int revoked;			/* an agent, or -1 */
	struct policy_conf conf;
	struct policy *policy;
};

static unsigned chance(struct world *w, unsigned below)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return (unsigned)(w->seed % below);
}

static void draw_rule(struct world *w, struct rule *r)
{
	*r = (struct rule){.until = FOREVER};
	r->from_count = 1 + chance(w, ITEMS_MAX);
	for (unsigned i = 0; i < r->from_count; i++)
		do
			r->from[i] = chance(w, FROM_ALL + 1);
		while (r->from[i] == AGENTS - 1 || r->from[i] == AGENTS - 2);
	r->to_count = 1 + chance(w, ITEMS_MAX);
	for (unsigned i = 0; i < r->to_count; i++) {
		r->to_agent[i] = chance(w, COUNT(agent_patterns));
		r->to_service[i] = chance(w, COUNT(service_patterns));
	}
	if (chance(w, 3) == 0)
		r->until = MONDAY + (int64_t)chance(w, 14) * DAY - 4 * DAY +
			   (chance(w, 2) ? chance(w, DAY) : 0);
	if (chance(w, 3) == 0)
		r->window_count = 1 + chance(w, ITEMS_MAX);
	for (unsigned i = 0; i < r->window_count; i++)
		r->windows[i] = (struct window){chance(w, 7), 1 + chance(w, 7), chance(w, 24) * 60,
						1 + chance(w, MINUTES - 1)};
	if (chance(w, 3) == 0)
		r->network_count = 1 + chance(w, ITEMS_MAX);
	for (unsigned i = 0; i < r->network_count; i++)
		r->network[i] = chance(w, COUNT(networks));
	r->rate = chance(w, 4); /* few values: ties are likely; 0: no limit */
	r->sessions = chance(w, 4);
}

/* ---- the same as texts ---------------------------------------------------------------------- */

static char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *text(const char *format, ...)
{
	va_list args;
	char *out;

	va_start(args, format);
	assert_true(vasprintf(&out, format, args) >= 0);
	va_end(args);
	return out;
}

static void list_add(struct conf_array *list, char *item)
{
	list->items = realloc(list->items, (list->count + 1) * sizeof(char *));
	assert_non_null(list->items);
	((char **)list->items)[list->count++] = item;
}

static char *from_text(unsigned from)
{
	if (from == FROM_ALL)
		return text("*");
	if (from == FROM_PUBLIC)
		return text("public");
	if (from >= AGENTS)
		return text("group-%u", from - AGENTS);
	return text("%s", agents[from]);
}

static char *until_text(int64_t until)
{
	char out[32];
	time_t t = (time_t)until, day = t - 1;
	struct tm tm;

	if (t % DAY == 0)
		strftime(out, sizeof out, "%Y-%m-%d", gmtime_r(&day, &tm));
	else
		strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	return text("%s", out);
}

static char *hours_text(const struct rule *r)
{
	static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
	char out[256];
	size_t used = 0;

	for (unsigned i = 0; i < r->window_count; i++) {
		const struct window *v = &r->windows[i];
		unsigned end = (v->begin + v->minutes) % MINUTES;

		used += (size_t)snprintf(out + used, sizeof out - used,
					 "%s%s-%s %02u:%02u-%02u:%02u", used ? ", " : "",
					 days[v->first_day], days[(v->first_day + v->days - 1) % 7],
					 v->begin / 60, v->begin % 60, end / 60, end % 60);
	}
	return text("%s", out);
}

static void write_rule(const struct rule *r, struct policy_rule *out)
{
	for (unsigned i = 0; i < r->from_count; i++)
		list_add(&out->from, from_text(r->from[i]));
	for (unsigned i = 0; i < r->to_count; i++)
		list_add(&out->to, text("%s/%s", agent_patterns[r->to_agent[i]],
					service_patterns[r->to_service[i]]));
	for (unsigned i = 0; i < r->network_count; i++)
		list_add(&out->source, text("%s/%u", networks[r->network[i]].first,
					    networks[r->network[i]].bits));
	if (r->until != FOREVER)
		out->until = until_text(r->until);
	if (r->window_count > 0)
		out->hours = hours_text(r);
	out->rate = r->rate;
	out->sessions = r->sessions;
}

static void write_conf(struct world *w)
{
	struct policy_conf *c = &w->conf;
	struct policy_group *g = calloc(GROUPS, sizeof *g);
	struct policy_rule *r = calloc(w->rule_count + 1, sizeof *r);
	struct policy_rule *grants = calloc(w->grant_count + 1, sizeof *r);
	struct policy_revoked *revoked = calloc(1, sizeof *revoked);
	size_t rules = w->rule_count - w->grant_count;

	assert_true(g && r && grants && revoked);
	for (unsigned i = 0; i < GROUPS; i++) {
		g[i].name = text("group-%u", i);
		for (unsigned a = 0; a < AGENTS; a++) {
			if (w->member[i][a])
				list_add(&g[i].members, text("%s", agents[a]));
		}
	}
	for (size_t i = 0; i < w->rule_count; i++)
		write_rule(&w->rules[i], i < rules ? &r[i] : &grants[i - rules]);
	c->groups = (struct conf_array){.items = g, .count = GROUPS};
	c->rules = (struct conf_array){.items = r, .count = rules, .present = true};
	c->grants = (struct conf_array){.items = grants, .count = w->grant_count};
	c->revoked = (struct conf_array){.items = revoked, .count = w->revoked >= 0};
	if (w->revoked >= 0)
		revoked->agent = text("%s", agents[w->revoked]);
}

static void free_texts(struct conf_array *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(((char **)list->items)[i]);
	free(list->items);
}

static void free_rules(struct conf_array *list)
{
	struct policy_rule *r = list->items;

	for (size_t i = 0; i < list->count; i++) {
		free_texts(&r[i].from);
		free_texts(&r[i].to);
		free_texts(&r[i].source);
		free(r[i].until);
		free(r[i].hours);
	}
	free(r);
}

static void free_conf(struct policy_conf *c)
{
	struct policy_group *g = c->groups.items;
	struct policy_revoked *revoked = c->revoked.items;

	for (size_t i = 0; i < c->groups.count; i++) {
		free(g[i].name);
		free_texts(&g[i].members);
	}
	free(g);
	free_rules(&c->rules);
	free_rules(&c->grants);
	free(revoked->agent);
	free(revoked);
	*c = (struct policy_conf){0};
}

/* ---- the second answer ---------------------------------------------------------------------- */

/* "*" stands for any characters, anywhere. */
static bool like(const char *pattern, const char *name)
{
	if (*pattern == '*')
		return like(pattern + 1, name) || (*name && like(pattern, name + 1));
	return *pattern == *name && (!*name || like(pattern + 1, name + 1));
}

/* from is an agent, or -1 for the public. */
static bool from_matches(const struct world *w, unsigned item, int from)
{
	if (item == FROM_ALL)
		return true;
	if (item == FROM_PUBLIC || from < 0)
		return item == FROM_PUBLIC && from < 0;
	return item >= AGENTS ? w->member[item - AGENTS][from] : item == (unsigned)from;
}

static bool window_holds(const struct window *v, int64_t now)
{
	unsigned minute = (unsigned)((now - MONDAY + 70 * DAY) / 60 % (7 * MINUTES));

	for (unsigned d = 0; d < v->days; d++) {
		unsigned begin = (v->first_day + d) % 7 * MINUTES + v->begin;

		/* Counted from its begin, around the week. */
		if ((minute + 7 * MINUTES - begin) % (7 * MINUTES) < v->minutes)
			return true;
	}
	return false;
}

static bool network_holds(const struct network *n, const char *source)
{
	uint8_t a[16], b[16];
	const char *v4 = strncmp(source, "::ffff:", 7) == 0 ? source + 7 : source;
	int family = strchr(v4, ':') ? AF_INET6 : AF_INET;

	if ((family == AF_INET6) != (strchr(n->first, ':') != NULL))
		return false;
	assert_int_equal(inet_pton(family, v4, a), 1);
	assert_int_equal(inet_pton(family, n->first, b), 1);
	for (unsigned bit = 0; bit < n->bits; bit++) {
		if ((a[bit / 8] ^ b[bit / 8]) >> (7 - bit % 8) & 1)
			return false;
	}
	return true;
}

struct question {
	int from; /* an agent, or -1 */
	unsigned to, service, source;
	int64_t now;
	uint64_t running;
};

static bool rule_matches(const struct world *w, const struct rule *r, const struct question *q)
{
	bool from = false, to = false, hours = r->window_count == 0,
	     network = r->network_count == 0;

	for (unsigned i = 0; i < r->from_count; i++)
		from |= from_matches(w, r->from[i], q->from);
	for (unsigned i = 0; i < r->to_count; i++)
		to |= like(agent_patterns[r->to_agent[i]], agents[q->to]) &&
		      like(service_patterns[r->to_service[i]], services[q->service]);
	for (unsigned i = 0; i < r->window_count; i++)
		hours |= window_holds(&r->windows[i], q->now);
	for (unsigned i = 0; i < r->network_count; i++)
		network |= network_holds(&networks[r->network[i]], sources[q->source]);
	return from && to && hours && network && q->now < r->until;
}

/* Without again and rule. */
static struct policy_answer answer_slowly(const struct world *w, const struct question *q)
{
	struct policy_answer a = {.reason = REASON_NOT_ALLOWED};
	uint64_t rate = 0, sessions = 0;

	if (w->revoked >= 0 && (q->from == w->revoked || (int)q->to == w->revoked)) {
		a.reason = REASON_REVOKED;
		return a;
	}
	for (size_t i = 0; i < w->rule_count; i++) {
		const struct rule *r = &w->rules[i];

		if (!rule_matches(w, r, q))
			continue;
		if (r->rate == 0 || r->rate > rate)
			rate = r->rate ? r->rate : UINT64_MAX;
		if (r->sessions == 0 || r->sessions > sessions)
			sessions = r->sessions ? r->sessions : UINT64_MAX;
	}
	if (sessions == 0)
		return a;
	a.reason = q->running < sessions ? REASON_OK : REASON_LIMIT_SESSIONS;
	if (a.reason == REASON_OK && rate != UINT64_MAX)
		a.rate = rate;
	return a;
}

/* ---- both ----------------------------------------------------------------------------------- */

static struct policy_answer answer(const struct world *w, const struct question *q)
{
	struct policy_question question = {.from = q->from < 0 ? "" : agents[q->from],
					   .to = agents[q->to],
					   .service = services[q->service],
					   .now = (time_t)q->now,
					   .running = q->running};
	struct addr source;

	assert_true(addr_from_literal(sources[q->source], 40000, &source));
	question.source = &source;
	return policy_decide(w->policy, &question);
}

static void expect(const struct world *w, const struct question *q, const struct policy_answer *a,
		   const char *what)
{
	struct policy_answer slowly = answer_slowly(w, q);

	if (a->reason != slowly.reason || a->rate != slowly.rate)
		fail_msg("seed %llu: %s: from %s to %s/%s of %s at %lld, %llu running: reason %u, "
			 "rate %llu; should be %u, %llu",
			 (unsigned long long)w->first_seed, what,
			 q->from < 0 ? "public" : agents[q->from], agents[q->to],
			 services[q->service], sources[q->source], (long long)q->now,
			 (unsigned long long)q->running, a->reason, (unsigned long long)a->rate,
			 slowly.reason, (unsigned long long)slowly.rate);
}

/* The answer stays what it is until it says, and the rule that it names is one with its rate. */
static void expect_good(struct world *w, struct question q, const struct policy_answer *a)
{
	int64_t end = a->again ? a->again : q.now + 30 * DAY;

	if (a->again && a->again <= q.now)
		fail_msg("seed %llu: again is not later", (unsigned long long)w->first_seed);
	if (a->rule != SIZE_MAX) {
		const struct rule *r = a->rule < w->rule_count ? &w->rules[a->rule] : NULL;

		if (!r || !rule_matches(w, r, &q) || (a->reason == REASON_OK && r->rate != a->rate))
			fail_msg("seed %llu: rule %zu does not allow it",
				 (unsigned long long)w->first_seed, a->rule);
	}
	for (unsigned i = 0; i < LATER && end - q.now > 1; i++) {
		struct question later = q;
		uint64_t span = (uint64_t)(end - q.now);

		later.now = i == 0 ? end - 1 : q.now + chance(w, (unsigned)span);
		expect(w, &later, a, "later");
	}
}

static void play(uint64_t seed, size_t *allowed, size_t *limited)
{
	struct world w = {.first_seed = seed, .seed = seed};

	for (unsigned g = 0; g < GROUPS; g++) {
		for (unsigned a = 0; a < AGENTS - 2; a++)
			w.member[g][a] = chance(&w, 3) == 0;
	}
	w.rule_count = chance(&w, RULES_MAX + 1);
	w.grant_count = chance(&w, (unsigned)w.rule_count + 1);
	w.revoked = chance(&w, 4) == 0 ? (int)chance(&w, AGENTS) : -1;
	for (size_t i = 0; i < w.rule_count; i++)
		draw_rule(&w, &w.rules[i]);
	write_conf(&w);
	w.policy = policy_new(&w.conf);
	assert_non_null(w.policy);
	free_conf(&w.conf);
	for (unsigned i = 0; i < QUESTIONS; i++) {
		struct question q = {.from = (int)chance(&w, AGENTS + 1) - 1,
				     .to = chance(&w, AGENTS),
				     .service = chance(&w, COUNT(services)),
				     .source = chance(&w, COUNT(sources)),
				     .now = MONDAY + chance(&w, 9 * DAY) - 2 * DAY,
				     .running = chance(&w, 4)};
		struct policy_answer a = answer(&w, &q);

		expect(&w, &q, &a, "now");
		expect_good(&w, q, &a);
		*allowed += a.reason == REASON_OK;
		*limited += a.rate > 0 || a.reason == REASON_LIMIT_SESSIONS;
	}
	policy_free(w.policy);
}

static void random_policies(void **state)
{
	size_t allowed = 0, limited = 0;

	for (uint64_t run = 1; run <= RUNS; run++)
		play(run * 0x9e3779b97f4a7c15u, &allowed, &limited);
	/* The dice must not have missed the point. */
	assert_in_range(allowed, RUNS * QUESTIONS / 10, RUNS * QUESTIONS * 9 / 10);
	assert_in_range(limited, RUNS * QUESTIONS / 50, RUNS * QUESTIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_policies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
