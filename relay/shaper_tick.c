/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shaper_tick: who gets what of one tick's earnings.
 *
 * A session that is hungry claims all that its own limit has; another only what it takes to have
 * ready twice what it used of late and its reserve, and what it has beyond that is taken back.
 *
 * Claims are filled like vessels that share a level: the relay's level is the most that an account
 * gets, an account's the most that a session gets. Services cut across: a service's level is the
 * most that an account gets of it, and within that account's part (a pair) sessions share a level
 * again. So the two sides settle with each other in turns: a service divides what it has among the
 * pairs that it holds back itself, after what others take that are held back elsewhere; then
 * accounts divide anew what their sessions may still have. Few turns find the levels at which
 * everybody is held back by a limit that is used up and in which nobody has more, which is max-min
 * fairness (Charny's way for networks, here with ranks). Where they do not, services trim what is
 * too much, and a second round gives out what is left. Without limits of services there is nothing
 * to settle.
 */
#include "relay/shaper_tables.h"

#include <math.h>

#include <uthash.h>

#define ALL	    1e15 /* more than any tick has, and still exact */
#define LATE_MS	    200u /* a late tick makes up for so much */
#define ROUNDS	    2u
#define TURNS	    8u
#define ALMOST	    0.99
#define LEAST_CLAIM 0.001
#define CRUMB_BYTES 4096.0 /* less than this to a hungry session waits for more ... */
#define CRUMB_TICKS 5u	   /* ... so long: small sends cost as much as large ones */

/* What was left over is kept in bounds; a debt is kept whole. */
static void limit_earn(struct limit *l, double seconds)
{
	if (l->rate <= 0)
		return;
	l->credit = least(l->credit, l->rate * CARRY_TICKS * TICK_S) + l->rate * seconds;
}

/* What a limit has to give. */
static double limit_room(const struct limit *l)
{
	if (l->rate <= 0)
		return ALL;
	return l->credit > 0 ? l->credit : 0;
}

/* The level to which wants can be filled from room; INFINITY when it is enough for all. Each turn
 * finds more of them below the level, which then rises for the others; few turns do. */
static double level_of(const double *wants, size_t n, double room)
{
	double level = n > 0 ? room / (double)n : 0, before;

	do {
		double full = 0;
		size_t over = 0;

		for (size_t i = 0; i < n; i++) {
			if (wants[i] <= level)
				full += wants[i];
			else
				over++;
		}
		if (over == 0)
			return INFINITY;
		before = level;
		level = (room - full) / (double)over;
	} while (level > before);
	return before;
}

/* ---- claims --------------------------------------------------------------------------------- */

/* No limit touches it any more, or one does again. */
static void shaped_set_free(struct shaped *s, bool is_free)
{
	s->free = is_free;
	s->owed = 0;
	s->appetite = 0;
	s->left = 0;
	atomic_store_explicit(&s->share->allowance, is_free ? SHARE_FREE : 0, memory_order_relaxed);
}

static double shaped_wants(struct shaper *sh, struct shaped *s)
{
	int64_t now = atomic_load_explicit(&s->share->allowance, memory_order_relaxed);
	double used = (double)(s->left - now), want;

	s->left = now;
	s->hungry = atomic_load_explicit(&s->share->hungry, memory_order_relaxed);
	s->appetite = used > s->appetite / 2 ? used : s->appetite / 2;
	if (s->hungry)
		return ALL;
	want = shaped_reserve(sh, s) + 2 * s->appetite - (double)now - s->owed;
	if (want < -1 && now > 0) {
		int64_t back = (int64_t)least(-want, (double)now);

		atomic_fetch_sub_explicit(&s->share->allowance, back, memory_order_relaxed);
		s->left -= back;
		shaped_spend(sh, s, -(double)back);
	}
	return want;
}

/* Returns true when a session that was hungry is free now. */
static bool claim_add(struct shaper *sh, struct shaped *s, double seconds)
{
	double want;

	if (!shaped_is_limited(sh, s)) {
		if (!s->free)
			shaped_set_free(s, true);
		return atomic_exchange_explicit(&s->share->hungry, false, memory_order_relaxed);
	}
	if (s->free)
		shaped_set_free(s, false);
	limit_earn(&s->own, seconds);
	want = least(shaped_wants(sh, s), limit_room(&s->own));
	if (want >= LEAST_CLAIM)
		sh->claims[sh->claim_count++] = (struct claim){.session = s, .want = want};
	return false;
}

static bool claims_collect(struct shaper *sh, double seconds)
{
	struct group *account, *next;
	struct pair *pair;
	struct shaped *s;
	bool freed = false;

	sh->claim_count = 0;
	HASH_ITER(hh, sh->accounts, account, next) {
		account->first = sh->claim_count;
		for (pair = account->pairs; pair; pair = pair->next) {
			pair->first = sh->claim_count;
			for (s = pair->sessions; s; s = s->next)
				freed |= claim_add(sh, s, seconds);
			pair->count = sh->claim_count - pair->first;
		}
		account->count = sh->claim_count - account->first;
	}
	return freed;
}

/* ---- the relay and its accounts ------------------------------------------------------------- */

static double account_wants(const struct shaper *sh, const struct group *account)
{
	double sum = 0;

	for (size_t i = 0; i < account->count; i++)
		sum += sh->claims[account->first + i].cap;
	return least(sum, limit_room(&account->limit));
}

static void account_share(struct shaper *sh, struct group *account, double room)
{
	struct claim *claims = sh->claims + account->first;
	double level;

	for (size_t i = 0; i < account->count; i++)
		sh->wants[i] = claims[i].cap;
	level = level_of(sh->wants, account->count, room);
	for (size_t i = 0; i < account->count; i++)
		claims[i].part = least(claims[i].cap, level);
}

static void relay_share(struct shaper *sh)
{
	struct group *account, *next;
	size_t n = 0;
	double level;

	HASH_ITER(hh, sh->accounts, account, next) {
		if (account->count > 0)
			sh->wants[n++] = account->want = account_wants(sh, account);
	}
	level = level_of(sh->wants, n, limit_room(&sh->relay));
	HASH_ITER(hh, sh->accounts, account, next) {
		if (account->count > 0)
			account_share(sh, account, least(account->want, level));
	}
}

/* ---- services ------------------------------------------------------------------------------- */

struct pair_sums {
	double want, cap, part;
};

static struct pair_sums pair_sum(const struct shaper *sh, const struct pair *pair)
{
	const struct claim *claims = sh->claims + pair->first;
	struct pair_sums sums = {0};

	for (size_t i = 0; i < pair->count; i++) {
		sums.want += claims[i].want;
		sums.cap += claims[i].cap;
		sums.part += claims[i].part;
	}
	return sums;
}

/* What the pair would have if the service had no limit: as much as now when other limits hold it
 * back, and nobody knows how much when the service's does. */
static double pair_demand(const struct shaper *sh, const struct pair *pair)
{
	struct pair_sums sums = pair_sum(sh, pair);

	return sums.part < sums.cap * ALMOST ? sums.part : sums.want;
}

/* Returns true when the level is another than it was. */
static bool pair_set_level(struct shaper *sh, struct pair *pair, double room)
{
	struct claim *claims = sh->claims + pair->first;
	double before = pair->level;

	for (size_t i = 0; i < pair->count; i++)
		sh->wants[i] = claims[i].want;
	pair->level = level_of(sh->wants, pair->count, room);
	for (size_t i = 0; i < pair->count; i++)
		claims[i].cap = least(claims[i].want, pair->level);
	return pair->level < before * ALMOST || before < pair->level * ALMOST;
}

/* Returns true when any level is another than it was. */
static bool service_set_levels(struct shaper *sh, struct group *service)
{
	struct pair *pair;
	bool changed = false;
	size_t n = 0;
	double level;

	for (pair = service->pairs; pair; pair = pair->next_of_service)
		sh->wants[n++] = pair->demand = pair_demand(sh, pair);
	level = level_of(sh->wants, n, limit_room(&service->limit));
	for (pair = service->pairs; pair; pair = pair->next_of_service)
		changed |= pair_set_level(sh, pair, pair->demand > level ? level : INFINITY);
	return changed;
}

/* Each turn tells the services what the accounts give, and the accounts what services let pass.
 * Returns true when that did not settle. */
static bool services_share(struct shaper *sh)
{
	struct group *service, *next;
	bool changed = true;

	for (unsigned turn = 0; changed && turn < TURNS; turn++) {
		changed = false;
		HASH_ITER(hh, sh->services, service, next) {
			changed |= service_set_levels(sh, service);
		}
		if (changed)
			relay_share(sh);
	}
	return changed;
}

/* Takes back what levels that did not settle gave too much. */
static void service_trim(struct shaper *sh, struct group *service)
{
	double sum = 0, room = limit_room(&service->limit);
	struct pair *pair;

	for (pair = service->pairs; pair; pair = pair->next_of_service)
		sum += pair_sum(sh, pair).part;
	if (sum <= room)
		return;
	for (pair = service->pairs; pair; pair = pair->next_of_service)
		for (size_t i = 0; i < pair->count; i++)
			sh->claims[pair->first + i].part *= room / sum;
}

static void services_trim(struct shaper *sh)
{
	struct group *service, *next;

	HASH_ITER(hh, sh->services, service, next) {
		service_trim(sh, service);
	}
}

/* ---- a round -------------------------------------------------------------------------------- */

/* Returns true when there may be something left that another round can give. */
static bool shaper_round(struct shaper *sh)
{
	bool unsettled = false;

	for (size_t i = 0; i < sh->claim_count; i++) {
		sh->claims[i].cap = sh->claims[i].want;
		sh->claims[i].session->pair->level = INFINITY;
	}
	relay_share(sh);
	if (sh->limits.per_service > 0) {
		unsettled = services_share(sh);
		services_trim(sh);
	}
	for (size_t i = 0; i < sh->claim_count; i++) {
		struct claim *c = &sh->claims[i];

		shaped_spend(sh, c->session, c->part);
		c->want -= c->part;
		c->got += c->part;
	}
	return unsettled;
}

/* ---- the tick ------------------------------------------------------------------------------- */

/* Returns true when the session was hungry and got something. */
static bool claim_settle(struct claim *c)
{
	struct shaped *s = c->session;
	int64_t bytes;

	s->owed += c->got;
	if (s->owed < 1 || (s->hungry && s->owed < CRUMB_BYTES && ++s->waited < CRUMB_TICKS))
		return false;
	bytes = (int64_t)s->owed;
	s->owed -= (double)bytes;
	s->left += bytes;
	s->waited = 0;
	/* In this order: a worker that finds nothing in between stays hungry. */
	if (s->hungry)
		atomic_store_explicit(&s->share->hungry, false, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->share->allowance, bytes, memory_order_release);
	return s->hungry;
}

static void shaper_earn(struct shaper *sh, double seconds)
{
	struct group *g, *next;

	limit_earn(&sh->relay, seconds);
	HASH_ITER(hh, sh->accounts, g, next) {
		limit_earn(&g->limit, seconds);
	}
	HASH_ITER(hh, sh->services, g, next) {
		limit_earn(&g->limit, seconds);
	}
}

bool shaper_tick(struct shaper *sh, uint64_t now_ms)
{
	uint64_t ms = sh->ticking ? now_ms - sh->ticked_ms : SHAPER_TICK_MS;
	double seconds = (double)(ms < LATE_MS ? ms : LATE_MS) / 1000.0;
	bool fed;

	sh->ticking = true;
	sh->ticked_ms = now_ms;
	shaper_earn(sh, seconds);
	shaper_sweep(sh);
	fed = claims_collect(sh, seconds);
	for (unsigned i = 0; i < ROUNDS && shaper_round(sh); i++)
		;
	for (size_t i = 0; i < sh->claim_count; i++)
		fed |= claim_settle(&sh->claims[i]);
	return fed;
}
