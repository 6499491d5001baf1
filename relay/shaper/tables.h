/* SPDX-License-Identifier: Apache-2.0 */
/* shaper_tables: what is behind relay/shaper/shaper.h; for shaper.c and tick.c only. */
#ifndef POSTERN_RELAY_SHAPER_TABLES_H
#define POSTERN_RELAY_SHAPER_TABLES_H

#include "core/table.h"
#include "relay/shaper/shaper.h"

#define TICK_S	      (SHAPER_TICK_MS / 1000.0)
#define SHARE_FREE    ((int64_t)1 << 60) /* the allowance of a session that no limit touches */
#define RESERVE_BYTES 16384.0		 /* the most that a session may keep ready */
#define CARRY_TICKS   3.0		 /* with the next tick's earnings: bursts of 4 */

/* All amounts are bytes, and fractions of them: small rates must add up, too. */
struct limit {
	double rate;   /* per second; 0: no limit */
	double credit; /* earned and not given out; below 0 after sessions that left in debt */
};

/* An account or a service. */
struct group {
	struct limit limit;
	size_t sessions;
	struct pair *pairs;  /* of an account by next, of a service by next_of_service */
	double reserve;	     /* what each of its sessions may keep ready */
	size_t first, count; /* of an account: its claims of this tick ... */
	double want;	     /* ... and what it can take for them */
	double level;	     /* the most of an account's sessions, or of a service's pairs */
	UT_hash_handle hh;
	char name[];
};

/* The sessions of one account with one service. */
struct pair {
	struct group *account, *service;
	struct shaped *sessions;
	struct pair *next, *prev, *next_of_service, *prev_of_service;
	size_t first, count; /* its claims of this tick */
};

struct shaped {
	struct share *share;
	struct pair *pair;
	struct shaped *next, *prev; /* of the pair */
	struct limit own;	    /* per_session, or by policy where that is less */
	double owed;		    /* given out, but too little to be worth a receive */
	double appetite;	    /* what it used of late, per tick */
	int64_t left;		    /* the allowance after the last tick */
	unsigned waited;	    /* ticks that owed has waited */
	bool hungry, free;	    /* as the last tick saw it */
	uint64_t number, rate;	    /* rate: by policy */
	UT_hash_handle hh;
};

/* What a session asks for in one tick. */
struct claim {
	struct shaped *session;
	double want; /* by its own limit */
	double cap;  /* what its service's limit lets it have of that */
};

struct shaper {
	struct shaper_limits limits;
	struct limit relay;
	struct group *accounts, *services;
	struct shaped *sessions;
	size_t session_count, empty; /* empty: groups that outlive their sessions for a while */
	double reserve;		     /* as in group */
	uint64_t ticked_ms;
	bool ticking;
	struct claim *claims; /* room for one of each session */
	double *wants;	      /* likewise */
	size_t room, claim_count;
};

static inline bool shaped_is_limited(const struct shaper *sh, const struct shaped *s)
{
	return s->own.rate > 0 || s->pair->account->limit.rate > 0 ||
	       s->pair->service->limit.rate > 0 || sh->relay.rate > 0;
}

static inline void limit_spend(struct limit *l, double bytes)
{
	if (l->rate > 0)
		l->credit -= bytes;
}

/* Takes bytes out of every limit of a session; below 0: puts them back. */
static inline void shaped_spend(struct shaper *sh, struct shaped *s, double bytes)
{
	limit_spend(&s->own, bytes);
	limit_spend(&s->pair->account->limit, bytes);
	limit_spend(&s->pair->service->limit, bytes);
	limit_spend(&sh->relay, bytes);
}

static inline double least(double a, double b)
{
	return a < b ? a : b;
}

/* A limit that was none begins with one tick's worth. */
void limit_set(struct limit *l, uint64_t rate);
/* What a session may keep ready while it wants nothing, so that its next bytes need not wait. */
double shaped_reserve(const struct shaper *sh, const struct shaped *s);
/* Puts a session into its account's pair with its service; false without memory. */
bool shaped_place(struct shaper *sh, struct shaped *s, const char *account,
		  const char *service) MUST_CHECK;
void shaped_unplace(struct shaper *sh, struct shaped *s);
/* So many sessions take part now. */
void shaper_count(struct shaper *sh, size_t sessions);
/* sh->limits, to the groups there are. */
void shaper_set_group_limits(struct shaper *sh);
/* A group without sessions goes once it has made up for those that left: no account gets more by
 * coming and going. */
void shaper_sweep(struct shaper *sh);

#endif
