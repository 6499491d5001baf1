/* SPDX-License-Identifier: Apache-2.0 */
/* shaper: shares, and who takes part under which limits. */
#include "relay/shaper_internal.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

/* ---- shares: on both sides of the atomics -----------------------------------------------------
 */

static struct share *share_new(void)
{
	/* A cache line each: workers write them at any time. */
	struct share *s = aligned_alloc(64, 64);

	_Static_assert(sizeof *s <= 64, "a share fits a cache line");
	if (!s)
		return NULL;
	atomic_init(&s->allowance, 0);
	atomic_init(&s->hungry, false);
	atomic_init(&s->refs, 2);
	return s;
}

size_t share_take(struct share *s, size_t want)
{
	int64_t have, part;

	if (!s)
		return want;
	have = atomic_load_explicit(&s->allowance, memory_order_relaxed);
	do {
		if (have <= 0) {
			atomic_store_explicit(&s->hungry, true, memory_order_relaxed);
			return 0;
		}
		part = (uint64_t)have < want ? have : (int64_t)want;
	} while (!atomic_compare_exchange_weak_explicit(
		&s->allowance, &have, have - part, memory_order_relaxed, memory_order_relaxed));
	return (size_t)part;
}

void share_return(struct share *s, size_t unused)
{
	if (s && unused > 0)
		atomic_fetch_add_explicit(&s->allowance, (int64_t)unused, memory_order_relaxed);
}

void share_charge(struct share *s, size_t received)
{
	if (s)
		atomic_fetch_sub_explicit(&s->allowance, (int64_t)received, memory_order_relaxed);
}

void share_release(struct share *s)
{
	if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
		free(s);
}

/* ---- limits -----------------------------------------------------------------------------------
 */

static void limit_set(struct limit *l, uint64_t rate)
{
	if (l->rate <= 0) /* what no limit counted is no debt */
		l->credit = (double)rate * TICK_S;
	l->rate = (double)rate;
}

static void shaped_set_limit(struct shaper *sh, struct shaped *s)
{
	uint64_t rate = sh->limits.per_session;

	if (s->rate > 0 && (rate == 0 || s->rate < rate))
		rate = s->rate;
	limit_set(&s->own, rate);
}

/* What each session of a limit may keep ready: all of them together one tick's worth. */
static double reserve_of(const struct limit *l, size_t sessions)
{
	double worth = l->rate * TICK_S;

	if (l->rate <= 0 || worth >= RESERVE_BYTES * (double)sessions)
		return RESERVE_BYTES;
	return worth / (double)sessions;
}

static void shaper_count(struct shaper *sh, size_t sessions)
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
	double groups = least(s->pair->of.account->reserve, s->pair->of.service->reserve);
	double reserve = least(sh->reserve, groups);

	return s->own.rate > 0 ? least(reserve, s->own.rate * TICK_S) : reserve;
}

/* ---- groups and pairs -------------------------------------------------------------------------
 */

static struct group *group_hold(struct shaper *sh, struct group **table, const char *name,
				uint64_t rate)
{
	size_t len = strlen(name);
	struct group *g;

	HASH_FIND(hh, *table, name, len, g);
	if (!g) {
		g = calloc(1, sizeof *g + len + 1);
		if (!g)
			return NULL;
		memcpy(g->name, name, len);
		limit_set(&g->limit, rate);
		HASH_ADD_KEYPTR(hh, *table, g->name, len, g);
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
		free(g);
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

static struct pair *pair_of(struct shaper *sh, struct group *account, struct group *service)
{
	struct pair *p, key = {.of = {account, service}};

	HASH_FIND(hh, sh->pairs, &key.of, sizeof key.of, p);
	if (p)
		return p;
	p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->of = key.of;
	HASH_ADD(hh, sh->pairs, of, sizeof p->of, p);
	DL_APPEND(account->pairs, p);
	DL_APPEND2(service->pairs, p, prev_of_service, next_of_service);
	return p;
}

static void pair_drop(struct shaper *sh, struct pair *p)
{
	if (p->sessions)
		return;
	DL_DELETE(p->of.account->pairs, p);
	DL_DELETE2(p->of.service->pairs, p, prev_of_service, next_of_service);
	HASH_DEL(sh->pairs, p);
	free(p);
}

/* ---- joining and leaving ----------------------------------------------------------------------
 */

struct shaper *shaper_new(void)
{
	return calloc(1, sizeof(struct shaper));
}

static bool shaper_has_limits(const struct shaper *sh)
{
	const struct shaper_limits *l = &sh->limits;

	return l->relay || l->per_agent || l->per_service || l->per_session;
}

/* A tick must not fail, so joining makes its room. */
static bool shaper_make_room(struct shaper *sh)
{
	size_t room = sh->room ? 2 * sh->room : 64;
	struct claim *claims;
	double *wants;

	if (sh->session_count < sh->room)
		return true;
	claims = realloc(sh->claims, room * sizeof *claims);
	if (!claims)
		return false;
	sh->claims = claims;
	wants = realloc(sh->wants, room * sizeof *wants);
	if (!wants)
		return false;
	sh->wants = wants;
	sh->room = room;
	return true;
}

static bool shaped_place(struct shaper *sh, struct shaped *s, const char *account,
			 const char *service)
{
	struct group *a = group_hold(sh, &sh->accounts, account, sh->limits.per_agent);
	struct group *v = group_hold(sh, &sh->services, service, sh->limits.per_service);

	s->pair = a && v ? pair_of(sh, a, v) : NULL;
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

/* The reserve at once, where all limits have it: a new session need not wait for a tick. */
static void shaped_welcome(struct shaper *sh, struct shaped *s)
{
	const struct limit *limits[] = {&s->own, &s->pair->of.account->limit,
					&s->pair->of.service->limit, &sh->relay};
	double ready = shaped_reserve(sh, s);

	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
		if (limits[i]->rate > 0)
			ready = least(ready, limits[i]->credit);
	if (ready < 1)
		return;
	s->left = (int64_t)ready;
	shaped_spend(sh, s, (double)s->left);
	atomic_store_explicit(&s->share->allowance, s->left, memory_order_relaxed);
}

static void shaped_free(struct shaped *s)
{
	if (s)
		free(s->share);
	free(s);
}

struct share *shaper_join(struct shaper *sh, uint64_t session, const char *account,
			  const char *service, uint64_t rate, bool *failed)
{
	struct shaped *s;

	*failed = false;
	if (rate == 0 && !shaper_has_limits(sh))
		return NULL;
	s = calloc(1, sizeof *s);
	if (s)
		s->share = share_new();
	if (!s || !s->share || !shaper_make_room(sh) || !shaped_place(sh, s, account, service)) {
		shaped_free(s);
		*failed = true;
		return NULL;
	}
	if (sh->session_count == 0)
		sh->ticking = sh->empty > 0;
	shaper_count(sh, sh->session_count + 1);
	s->number = session;
	s->rate = rate;
	HASH_ADD(hh, sh->sessions, number, sizeof s->number, s);
	shaped_set_limit(sh, s);
	shaped_welcome(sh, s);
	return s->share;
}

static struct shaped *shaped_find(struct shaper *sh, uint64_t session)
{
	struct shaped *s;

	HASH_FIND(hh, sh->sessions, &session, sizeof session, s);
	return s;
}

void shaper_set_rate(struct shaper *sh, uint64_t session, uint64_t rate)
{
	struct shaped *s = shaped_find(sh, session);

	if (!s)
		return;
	s->rate = rate;
	shaped_set_limit(sh, s);
}

/* What it did not use goes back, what it overdrew is owed by those above. */
static void shaped_settle(struct shaper *sh, struct shaped *s)
{
	int64_t left = atomic_load_explicit(&s->share->allowance, memory_order_relaxed);

	if (!s->free)
		shaped_spend(sh, s, -((double)left + s->owed));
}

void shaper_leave(struct shaper *sh, uint64_t session)
{
	struct shaped *s = shaped_find(sh, session);
	struct pair *p;

	if (!s)
		return;
	p = s->pair;
	shaped_settle(sh, s);
	HASH_DEL(sh->sessions, s);
	shaper_count(sh, sh->session_count - 1);
	DL_DELETE(p->sessions, s);
	group_let_go(sh, p->of.account);
	group_let_go(sh, p->of.service);
	pair_drop(sh, p);
	share_release(s->share);
	free(s);
}

static void table_set_limit(struct shaper *sh, struct group *table, uint64_t rate)
{
	struct group *g, *next;

	HASH_ITER(hh, table, g, next) {
		limit_set(&g->limit, rate);
		group_count(sh, g, g->sessions);
	}
}

void shaper_set_limits(struct shaper *sh, const struct shaper_limits *limits)
{
	struct shaped *s, *next;

	sh->limits = *limits;
	limit_set(&sh->relay, limits->relay);
	shaper_count(sh, sh->session_count);
	table_set_limit(sh, sh->accounts, limits->per_agent);
	table_set_limit(sh, sh->services, limits->per_service);
	HASH_ITER(hh, sh->sessions, s, next) {
		shaped_set_limit(sh, s);
	}
}

size_t shaper_sessions(const struct shaper *sh)
{
	return sh->session_count + sh->empty;
}

void shaper_free(struct shaper *sh)
{
	struct shaped *s, *next;

	if (!sh)
		return;
	HASH_ITER(hh, sh->sessions, s, next) {
		shaper_leave(sh, s->number);
	}
	shaper_set_limits(sh, &(struct shaper_limits){0});
	shaper_sweep(sh);
	free(sh->claims);
	free(sh->wants);
	free(sh);
}
