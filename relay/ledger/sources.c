/* SPDX-License-Identifier: Apache-2.0 */
/* sources: the tree of prefixes, their order by what is unproven, and the oldest of each. */
#include "relay/ledger/sources.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>
#include <openssl/siphash.h>

#include "core/paged.h"

#define NONE 0u

/* Of prefixes: these and the numbers behind them. */
#define KIND_IPV4 1u
#define KIND_IPV6 (KIND_IPV4 + 2)

struct prefix {
	uint64_t bits;
	uint32_t kind;
	uint32_t chain; /* the next with this hash; of those not in use: the next free one */
	uint32_t parent;
	uint32_t unproven, public;
	uint32_t rank;		  /* among its parent's, NONE while it has none unproven */
	uint32_t next, prev;	  /* of its rank, those that came there first in front */
	uint32_t highest, lowest; /* ranks of its own children */
	uint32_t oldest, newest;  /* an address: its unproven connections */
};

/* The prefixes of one parent with the same count. */
struct rank {
	uint32_t count, first, last;
	uint32_t higher, lower; /* lower: of those not in use, the next free one */
};

/* An unproven connection's neighbours at its address. */
struct neighbours {
	uint32_t older, newer;
};

/* What the tables below are charged by. */
struct sources_pages {
	struct paged prefixes, ranks, entries, heads;
};

struct sources {
	uint64_t hash_key[2];
	struct sources_pages pages;
	struct prefix *prefixes; /* [0] is the root */
	struct rank *ranks;	 /* [0] is none */
	struct neighbours *entries;
	uint32_t *heads;
	uint32_t mask;
	uint32_t free_prefix, free_rank; /* lists of those given back */
	uint32_t next_prefix, next_rank; /* never used yet from here on */
	uint32_t count;
};

/* ---- keys ---- */

static uint64_t take_bytes(const uint8_t *bytes, size_t len)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len; i++)
		n = n << 8 | bytes[i];
	return n;
}

void source_key_make(struct source_key *out, const struct addr *from)
{
	struct addr plain = *from;
	const uint8_t *bytes;

	addr_unmap(&plain);
	memset(out, 0, sizeof *out);
	if (plain.len > 0 && plain.sa.sa_family == AF_INET6) {
		bytes = plain.v6.sin6_addr.s6_addr;
		for (unsigned level = 0; level < 3; level++)
			out->bits[level] = take_bytes(bytes, 8 - level);
		out->levels = 3;
		out->kind = KIND_IPV6;
		return;
	}
	out->levels = 2;
	out->kind = KIND_IPV4;
	if (plain.len == 0)
		return; /* what has no address any more counts as 0.0.0.0 */
	bytes = (const uint8_t *)&plain.v4.sin_addr;
	out->bits[0] = take_bytes(bytes, 4);
	out->bits[1] = take_bytes(bytes, 3);
}

static uint32_t *head_of(const struct sources *s, uint64_t bits, uint32_t kind)
{
	const uint64_t key[] = {bits, kind};

	return &s->heads[SIPHASH_24(s->hash_key, (const uint8_t *)key, sizeof key) & s->mask];
}

static uint32_t find(const struct sources *s, uint64_t bits, uint32_t kind)
{
	uint32_t at = *head_of(s, bits, kind);

	while (at != NONE && (s->prefixes[at].bits != bits || s->prefixes[at].kind != kind))
		at = s->prefixes[at].chain;
	return at;
}

/* ---- tables ---- */

static size_t prefixes_for(uint32_t connections)
{
	return ((size_t)connections / 2 + 2) * SOURCE_LEVELS + 1;
}

static size_t heads_for(uint32_t connections)
{
	size_t n = 1;

	while (n < prefixes_for(connections))
		n *= 2;
	return n;
}

struct sources *sources_new(uint32_t connections)
{
	struct sources *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	RAND_bytes((uint8_t *)s->hash_key, sizeof s->hash_key);
	/* One more rank: a prefix that moves makes its new one before its old one goes. */
	if (!paged_init(&s->pages.prefixes, prefixes_for(connections), sizeof *s->prefixes) ||
	    !paged_init(&s->pages.ranks, prefixes_for(connections) + 1, sizeof *s->ranks) ||
	    !paged_init(&s->pages.entries, (size_t)connections + 1, sizeof *s->entries) ||
	    !paged_init(&s->pages.heads, heads_for(connections), sizeof *s->heads)) {
		sources_free(s);
		return NULL;
	}
	s->prefixes = s->pages.prefixes.items;
	s->ranks = s->pages.ranks.items;
	s->entries = s->pages.entries.items;
	s->heads = s->pages.heads.items;
	s->mask = (uint32_t)heads_for(connections) - 1;
	s->next_prefix = s->next_rank = 1;
	return s;
}

void sources_free(struct sources *s)
{
	if (!s)
		return;
	paged_free(&s->pages.prefixes);
	paged_free(&s->pages.ranks);
	paged_free(&s->pages.entries);
	paged_free(&s->pages.heads);
	free(s);
}

/* The tables hold as many as the connections can need: taking never fails. */
static uint32_t take_prefix(struct sources *s)
{
	uint32_t at = s->free_prefix;

	if (at == NONE) {
		at = s->next_prefix++;
		paged_use(&s->pages.prefixes, at);
		return at;
	}
	s->free_prefix = s->prefixes[at].chain;
	return at;
}

static uint32_t take_rank(struct sources *s, uint32_t count)
{
	uint32_t at = s->free_rank;

	if (at != NONE) {
		s->free_rank = s->ranks[at].lower;
	} else {
		at = s->next_rank++;
		paged_use(&s->pages.ranks, at);
	}
	s->ranks[at] = (struct rank){.count = count};
	return at;
}

/* ---- the order ---- */

/* A rank of parent's, between two others. */
static uint32_t rank_insert(struct sources *s, struct prefix *parent, uint32_t count,
			    uint32_t lower, uint32_t higher)
{
	uint32_t at = take_rank(s, count);

	s->ranks[at].lower = lower;
	s->ranks[at].higher = higher;
	if (lower != NONE)
		s->ranks[lower].higher = at;
	else
		parent->lowest = at;
	if (higher != NONE)
		s->ranks[higher].lower = at;
	else
		parent->highest = at;
	return at;
}

static void rank_remove(struct sources *s, struct prefix *parent, uint32_t at)
{
	struct rank *r = &s->ranks[at];

	if (r->lower != NONE)
		s->ranks[r->lower].higher = r->higher;
	else
		parent->lowest = r->higher;
	if (r->higher != NONE)
		s->ranks[r->higher].lower = r->lower;
	else
		parent->highest = r->lower;
	r->lower = s->free_rank;
	s->free_rank = at;
}

static void rank_join(struct sources *s, uint32_t rank, uint32_t prefix)
{
	struct rank *r = &s->ranks[rank];
	struct prefix *p = &s->prefixes[prefix];

	p->rank = rank;
	p->next = NONE;
	p->prev = r->last;
	if (r->last != NONE)
		s->prefixes[r->last].next = prefix;
	else
		r->first = prefix;
	r->last = prefix;
}

static void rank_leave(struct sources *s, uint32_t prefix)
{
	struct prefix *p = &s->prefixes[prefix];
	struct rank *r = &s->ranks[p->rank];

	if (p->prev != NONE)
		s->prefixes[p->prev].next = p->next;
	else
		r->first = p->next;
	if (p->next != NONE)
		s->prefixes[p->next].prev = p->prev;
	else
		r->last = p->prev;
}

/* Its count has changed by one. */
static void rank_again(struct sources *s, uint32_t prefix)
{
	struct prefix *p = &s->prefixes[prefix], *parent = &s->prefixes[p->parent];
	uint32_t old = p->rank, count = p->unproven, at;
	uint32_t lower = NONE, higher = parent->lowest; /* of a prefix that had none */

	if (old != NONE) {
		bool up = count > s->ranks[old].count;

		lower = up ? old : s->ranks[old].lower;
		higher = up ? s->ranks[old].higher : old;
		rank_leave(s, prefix);
		p->rank = NONE;
	}
	if (count > 0) {
		if (higher != NONE && s->ranks[higher].count == count)
			at = higher;
		else if (lower != NONE && s->ranks[lower].count == count)
			at = lower;
		else
			at = rank_insert(s, parent, count, lower, higher);
		rank_join(s, at, prefix);
	}
	if (old != NONE && s->ranks[old].first == NONE)
		rank_remove(s, parent, old);
}

/* ---- prefixes ---- */

static uint32_t enter(struct sources *s, uint64_t bits, uint32_t kind, uint32_t parent)
{
	uint32_t at = find(s, bits, kind), *head;

	if (at != NONE)
		return at;
	at = take_prefix(s);
	head = head_of(s, bits, kind);
	paged_use(&s->pages.heads, (size_t)(head - s->heads));
	s->prefixes[at] =
		(struct prefix){.bits = bits, .kind = kind, .parent = parent, .chain = *head};
	*head = at;
	s->count++;
	return at;
}

static void forget_empty(struct sources *s, uint32_t at)
{
	struct prefix *p = &s->prefixes[at];
	uint32_t *link = head_of(s, p->bits, p->kind);

	if (p->unproven > 0 || p->public > 0)
		return;
	while (*link != at)
		link = &s->prefixes[*link].chain;
	*link = p->chain;
	p->chain = s->free_prefix;
	s->free_prefix = at;
	s->count--;
}

static void count_unproven(struct sources *s, uint32_t at, int by)
{
	for (; at != SOURCES_ALL; at = s->prefixes[at].parent) {
		s->prefixes[at].unproven += (uint32_t)by;
		rank_again(s, at);
	}
	s->prefixes[SOURCES_ALL].unproven += (uint32_t)by;
}

static void count_public(struct sources *s, uint32_t at, int by)
{
	for (; at != SOURCES_ALL; at = s->prefixes[at].parent)
		s->prefixes[at].public += (uint32_t)by;
	s->prefixes[SOURCES_ALL].public += (uint32_t)by;
}

static void forget_all_empty(struct sources *s, uint32_t at)
{
	while (at != SOURCES_ALL) {
		uint32_t parent = s->prefixes[at].parent;

		forget_empty(s, at);
		at = parent;
	}
}

uint32_t sources_add_unproven(struct sources *s, const struct source_key *key, uint32_t entry)
{
	uint32_t at = SOURCES_ALL;

	for (unsigned level = key->levels; level-- > 0;)
		at = enter(s, key->bits[level], key->kind + level, at);
	struct prefix *p = &s->prefixes[at];
	paged_use(&s->pages.entries, entry);
	s->entries[entry] = (struct neighbours){.older = p->newest};
	if (p->newest != NONE)
		s->entries[p->newest].newer = entry;
	else
		p->oldest = entry;
	p->newest = entry;
	count_unproven(s, at, 1);
	return at;
}

static void unlink_entry(struct sources *s, uint32_t source, uint32_t entry)
{
	struct prefix *p = &s->prefixes[source];
	const struct neighbours *n = &s->entries[entry];

	if (n->older != NONE)
		s->entries[n->older].newer = n->newer;
	else
		p->oldest = n->newer;
	if (n->newer != NONE)
		s->entries[n->newer].older = n->older;
	else
		p->newest = n->older;
}

void sources_remove_unproven(struct sources *s, uint32_t source, uint32_t entry)
{
	unlink_entry(s, source, entry);
	count_unproven(s, source, -1);
	forget_all_empty(s, source);
}

void sources_become_public(struct sources *s, uint32_t source, uint32_t entry)
{
	unlink_entry(s, source, entry);
	count_public(s, source, 1);
	count_unproven(s, source, -1);
}

void sources_remove_public(struct sources *s, uint32_t source)
{
	count_public(s, source, -1);
	forget_all_empty(s, source);
}

/* ---- questions ---- */

uint32_t sources_find(const struct sources *s, const struct source_key *key, unsigned level)
{
	return find(s, key->bits[level], key->kind + level);
}

uint32_t sources_wider(const struct sources *s, uint32_t source)
{
	return s->prefixes[source].parent;
}

uint32_t sources_unproven(const struct sources *s, uint32_t source)
{
	return s->prefixes[source].unproven;
}

uint32_t sources_public(const struct sources *s, uint32_t source)
{
	return s->prefixes[source].public;
}

uint32_t sources_oldest(const struct sources *s, uint32_t within)
{
	while (s->prefixes[within].highest != NONE)
		within = s->ranks[s->prefixes[within].highest].first;
	return s->prefixes[within].oldest;
}

size_t sources_count(const struct sources *s)
{
	return s->count;
}
