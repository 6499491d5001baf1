/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shaper_tick: who gets what of one tick's earnings.
 *
 * Invariant. No limit gives out more than it has. A session that has less than it wants is held
 * back by a limit that is used up and in which no equal has more: max-min fairness (Bertsekas and
 * Gallager, Data Networks, section 6.5.2). tests/sim/shaper_test.c asks both of random agents,
 * services and limits, and of those that take longest to settle; shaper_exact_test.c holds every
 * limit to five per cent over ten seconds.
 *
 * How. A session that is hungry claims all that its own limit has; another only what it takes to
 * have ready twice what it used of late and its reserve, and what it has beyond that is taken back.
 * Claims are filled like vessels that share a level: the relay's level is the most that an account
 * gets, an account's the most that a session gets. Services cut across: a service's level is the
 * most that an account gets of it, and within that account's part (a pair) sessions share a level
 * again. A session gets what it wants, or the least of its account's level and its pair's. Accounts
 * fill what services let through, then services fill what accounts let through, in turns, until no
 * service's level moves by more than a hundredth.
 *
 * Example, in MB/s (test_example in tests/unit/shaper_test.c). The relay may give 7, each service
 * 4. Agent a has a session with web, b one with web and one with disk; all want all they can get.
 *
 *                            a/web   b/web   b/disk
 *   accounts, of 7            3.5     1.75    1.75     3.5 for each account
 *   services, web of 4        2.25    1.75    1.75     b takes 1.75 of web, a the rest
 *   accounts, of 7            2.25    2.25    2.5      a wants no more than 2.25 now
 *   services, web of 4        2       2       2.5
 *   accounts, of 7            2       2       3        nothing moves any more
 *
 * Both sessions of web are held back by web, where both have the same; b's other one by the relay.
 *
 * Limits. Services have the last word, so no limit is exceeded whenever the turns end, and what
 * accounts have left then, they give in the next tick. Nearly always a few turns do; many are
 * needed only where agents and services pass each other a small difference again and again, and
 * what is missing after TURNS is of that size (test_entangled). Without limits of services there is
 * nothing to settle.
 */
#include "relay/shaper/tables.h"

#include <math.h>

#include "core/table.h"

#define ALL	    1e15 /* more than any tick has, and still exact */
#define LATE_MS	    200u /* a late tick makes up for so much */
#define TURNS	    32u
#define SETTLED	    0.99 /* of the level before */
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
		sh->claims[sh->claim_count++] =
			(struct claim){.session = s, .want = want, .cap = want};
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

static double account_level(struct shaper *sh, const struct group *account, double room)
{
	for (size_t i = 0; i < account->count; i++)
		sh->wants[i] = sh->claims[account->first + i].cap;
	return level_of(sh->wants, account->count, room);
}

/* From what pairs let through. */
static void accounts_set_levels(struct shaper *sh)
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
		account->level = account_level(sh, account, least(account->want, level));
	}
}

/* ---- services ------------------------------------------------------------------------------- */

static double pair_wants(const struct shaper *sh, const struct pair *pair)
{
	double sum = 0;

	for (size_t i = 0; i < pair->count; i++)
		sum += least(sh->claims[pair->first + i].want, pair->account->level);
	return sum;
}

static void pair_fill(struct shaper *sh, const struct pair *pair, double room)
{
	struct claim *claims = sh->claims + pair->first;
	double level;

	for (size_t i = 0; i < pair->count; i++)
		sh->wants[i] = claims[i].want;
	level = level_of(sh->wants, pair->count, room);
	for (size_t i = 0; i < pair->count; i++)
		claims[i].cap = least(claims[i].want, level);
}

/* Returns true when the level moved. */
static bool service_set_level(struct shaper *sh, struct group *service)
{
	double before = service->level;
	struct pair *pair;
	size_t n = 0;

	for (pair = service->pairs; pair; pair = pair->next_of_service)
		sh->wants[n++] = pair_wants(sh, pair);
	service->level = level_of(sh->wants, n, limit_room(&service->limit));
	if (isinf(service->level))
		return false;
	for (pair = service->pairs; pair; pair = pair->next_of_service)
		pair_fill(sh, pair, service->level);
	return service->level < before * SETTLED;
}

/* From what accounts let through. Returns true when any level moved. */
static bool services_set_levels(struct shaper *sh)
{
	struct group *service, *next;
	bool moved = false;

	if (sh->limits.per_service == 0)
		return false;
	HASH_ITER(hh, sh->services, service, next) {
		moved |= service_set_level(sh, service);
	}
	return moved;
}

static void claims_fill(struct shaper *sh)
{
	struct group *service, *next;

	HASH_ITER(hh, sh->services, service, next) {
		service->level = INFINITY;
	}
	accounts_set_levels(sh);
	for (unsigned turn = 0; services_set_levels(sh) && turn < TURNS; turn++)
		accounts_set_levels(sh);
}

/* ---- the tick ------------------------------------------------------------------------------- */

/* Returns true when the session was hungry and got something. */
static bool claim_settle(struct shaper *sh, const struct claim *c)
{
	struct shaped *s = c->session;
	double part = least(c->cap, s->pair->account->level);
	int64_t bytes;

	shaped_spend(sh, s, part);
	s->owed += part;
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
	claims_fill(sh);
	for (size_t i = 0; i < sh->claim_count; i++)
		fed |= claim_settle(sh, &sh->claims[i]);
	return fed;
}
