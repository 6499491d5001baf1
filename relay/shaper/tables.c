/* SPDX-License-Identifier: Apache-2.0 */
/* shaper_tables: who stands below which limits, and what those have. */
#include "relay/shaper/tables.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

/* ---- limits --------------------------------------------------------------------------------- */

void limit_set(struct limit *l, uint64_t rate)
{
	if (l->rate <= 0) /* what no limit counted is no debt */
		l->credit = (double)rate * TICK_S;
	l->rate = (double)rate;
}

/* What each session of a limit may keep ready: all of them together one tick's worth. */
static double reserve_of(const struct limit *l, size_t sessions)
{
	double worth = l->rate * TICK_S;

	if (l->rate <= 0 || worth >= RESERVE_BYTES * (double)sessions)
		return RESERVE_BYTES;
	return worth / (double)sessions;
}

void shaper_count(struct shaper *sh, size_t sessions)
{
	sh->session_count = sessions;
	sh->reserve = reserve_of(&sh->relay, sessions);
}

static void group_count(struct shaper *sh, struct group *g, size_t sessions)
{
	sh->empty += sessions == 0;
	sh->empty -= g->sessions == 0;
	g->sessions = sessions;
	g->reserve = reserve_of(&g->limit, sessions);
}

double shaped_reserve(const struct shaper *sh, const struct shaped *s)
{
	double groups = least(s->pair->account->reserve, s->pair->service->reserve);
	double reserve = least(sh->reserve, groups);

	return s->own.rate > 0 ? least(reserve, s->own.rate * TICK_S) : reserve;
}

/* ---- groups and pairs ----------------------------------------------------------------------- */

static struct group *group_hold(struct shaper *sh, struct group **table, const char *name,
				uint64_t rate)
{
	size_t len = strlen(name);
	struct group *g;

	HASH_FIND(hh, *table, name, len, g);
	if (!g) {
		g = memory_zeroed(sizeof *g + len + 1);
		if (!g)
			return NULL;
		memcpy(g->name, name, len);
		limit_set(&g->limit, rate);
		HASH_ADD_KEYPTR(hh, *table, g->name, len, g);
		if (!table_holds(g)) {
			memory_free(g);
			return NULL;
		}
		sh->empty++;
	}
	group_count(sh, g, g->sessions + 1);
	return g;
}

static void group_let_go(struct shaper *sh, struct group *g)
{
	group_count(sh, g, g->sessions - 1);
}

static void table_sweep(struct shaper *sh, struct group **table)
{
	struct group *g, *next;

	HASH_ITER(hh, *table, g, next) {
		bool owes = g->limit.rate > 0 && g->limit.credit < g->limit.rate * TICK_S;

		if (g->sessions > 0 || owes)
			continue;
		HASH_DEL(*table, g);
		memory_free(g);
		sh->empty--;
	}
}

void shaper_sweep(struct shaper *sh)
{
	if (sh->empty == 0)
		return;
	table_sweep(sh, &sh->accounts);
	table_sweep(sh, &sh->services);
}

static struct pair *pair_of(struct group *account, struct group *service)
{
	struct pair *p = account->pairs;

	while (p && p->service != service)
		p = p->next;
	if (p)
		return p;
	p = memory_zeroed(sizeof *p);
	if (!p)
		return NULL;
	p->account = account;
	p->service = service;
	DL_APPEND(account->pairs, p);
	DL_APPEND2(service->pairs, p, prev_of_service, next_of_service);
	return p;
}

static void pair_drop(struct pair *p)
{
	if (p->sessions)
		return;
	DL_DELETE(p->account->pairs, p);
	DL_DELETE2(p->service->pairs, p, prev_of_service, next_of_service);
	memory_free(p);
}

bool shaped_place(struct shaper *sh, struct shaped *s, const char *account, const char *service)
{
	struct group *a = group_hold(sh, &sh->accounts, account, sh->limits.per_agent);
	struct group *v = group_hold(sh, &sh->services, service, sh->limits.per_service);

	s->pair = a && v ? pair_of(a, v) : NULL;
	if (!s->pair) {
		if (a)
			group_let_go(sh, a);
		if (v)
			group_let_go(sh, v);
		return false;
	}
	DL_APPEND(s->pair->sessions, s);
	return true;
}

void shaped_unplace(struct shaper *sh, struct shaped *s)
{
	struct pair *p = s->pair;

	DL_DELETE(p->sessions, s);
	group_let_go(sh, p->account);
	group_let_go(sh, p->service);
	pair_drop(p);
}

static void table_set_limit(struct shaper *sh, struct group *table, uint64_t rate)
{
	struct group *g, *next;

	HASH_ITER(hh, table, g, next) {
		limit_set(&g->limit, rate);
		group_count(sh, g, g->sessions);
	}
}

void shaper_set_group_limits(struct shaper *sh)
{
	table_set_limit(sh, sh->accounts, sh->limits.per_agent);
	table_set_limit(sh, sh->services, sh->limits.per_service);
}
