/* SPDX-License-Identifier: Apache-2.0 */
/* shaper: shares, and sessions that come and go. */
#include "relay/shaper/shaper.h"

#include <stdlib.h>

#include "core/table.h"
#include "relay/shaper/tables.h"

/* ---- shares: on both sides of the atomics --------------------------------------------------- */

static struct share *share_new(void)
{
	/* A cache line each: workers write them at any time. */
	struct share *s = memory_aligned(64, 64);

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
		memory_free(s);
}

/* ---- joining and leaving -------------------------------------------------------------------- */

struct shaper *shaper_new(void)
{
	return memory_zeroed(sizeof(struct shaper));
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
	claims = memory_resize(sh->claims, room * sizeof *claims);
	if (!claims)
		return false;
	sh->claims = claims;
	wants = memory_resize(sh->wants, room * sizeof *wants);
	if (!wants)
		return false;
	sh->wants = wants;
	sh->room = room;
	return true;
}

static void shaped_set_limit(struct shaper *sh, struct shaped *s)
{
	uint64_t rate = sh->limits.per_session;

	if (s->rate > 0 && (rate == 0 || s->rate < rate))
		rate = s->rate;
	limit_set(&s->own, rate);
}

/* The reserve at once, where all limits have it: a new session need not wait for a tick. */
static void shaped_welcome(struct shaper *sh, struct shaped *s)
{
	const struct limit *limits[] = {&s->own, &s->pair->account->limit, &s->pair->service->limit,
					&sh->relay};
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
		memory_free(s->share);
	memory_free(s);
}

struct share *shaper_join(struct shaper *sh, uint64_t session, const char *account,
			  const char *service, uint64_t rate, bool *failed)
{
	struct shaped *s;

	*failed = false;
	if (rate == 0 && !shaper_has_limits(sh))
		return NULL;
	s = memory_zeroed(sizeof *s);
	if (s)
		s->share = share_new();
	if (!s || !s->share || !shaper_make_room(sh) || !shaped_place(sh, s, account, service)) {
		shaped_free(s);
		*failed = true;
		return NULL;
	}
	s->number = session;
	s->rate = rate;
	HASH_ADD(hh, sh->sessions, number, sizeof s->number, s);
	if (!table_holds(s)) {
		shaped_unplace(sh, s);
		shaped_free(s);
		*failed = true;
		return NULL;
	}
	if (sh->session_count == 0)
		sh->ticking = sh->empty > 0;
	shaper_count(sh, sh->session_count + 1);
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

	if (!s)
		return;
	shaped_settle(sh, s);
	HASH_DEL(sh->sessions, s);
	shaper_count(sh, sh->session_count - 1);
	shaped_unplace(sh, s);
	share_release(s->share);
	memory_free(s);
}

void shaper_set_limits(struct shaper *sh, const struct shaper_limits *limits)
{
	struct shaped *s, *next;

	sh->limits = *limits;
	limit_set(&sh->relay, limits->relay);
	shaper_count(sh, sh->session_count);
	shaper_set_group_limits(sh);
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
	memory_free(sh->claims);
	memory_free(sh->wants);
	memory_free(sh);
}
