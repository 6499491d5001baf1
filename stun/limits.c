/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits: token buckets per prefix.
 *
 * Theory of operation. A prefix belongs into one set of eight neighbouring buckets, which its hash
 * names; so a look-up reads a few cache lines, at any size of the table. A prefix that is not
 * in its set takes an empty bucket there, or that of the one that asked longest ago. The hash has a
 * random key: a sender that chooses its addresses cannot choose a victim's set.
 *
 * Tokens are counted in thousandths, which fill by rate for each millisecond that has passed.
 */
#include "stun/limits.h"

#include <openssl/rand.h>
#include <openssl/siphash.h>

#include "core/memory.h"

#define WAYS	    8u
#define TOKEN	    1000u /* thousandths */
#define PREFIX4	    3u	  /* bytes of a /24 */
#define PREFIX6	    7u	  /* bytes of a /56 */
#define FAMILY_BITS 56

struct bucket {
	uint64_t prefix; /* 0: empty */
	uint64_t asked_ms;
	uint64_t tokens;
};

struct stun_limits {
	uint64_t hash_key[2];
	uint64_t rate, full;
	size_t sets;
	struct bucket buckets[];
};

static size_t sets_for(uint32_t prefixes)
{
	size_t sets = ((size_t)prefixes + WAYS - 1) / WAYS;

	return sets > 0 ? sets : 1;
}

size_t stun_limits_bytes(uint32_t prefixes)
{
	return sizeof(struct stun_limits) + sets_for(prefixes) * WAYS * sizeof(struct bucket);
}

struct stun_limits *stun_limits_new(uint32_t prefixes, uint32_t rate, uint32_t burst)
{
	struct stun_limits *l = memory_zeroed(stun_limits_bytes(prefixes));

	if (!l)
		return NULL;
	RAND_bytes((uint8_t *)l->hash_key, sizeof l->hash_key);
	l->rate = rate;
	l->full = (uint64_t)burst * TOKEN;
	l->sets = sets_for(prefixes);
	return l;
}

void stun_limits_free(struct stun_limits *l)
{
	memory_free(l);
}

/* The family above, the prefix's bytes below: never 0. */
static uint64_t prefix_of(const struct addr *from)
{
	struct addr plain = *from;
	const uint8_t *bytes;
	size_t len;
	uint64_t prefix = 0;

	addr_unmap(&plain);
	if (plain.sa.sa_family == AF_INET) {
		bytes = (const uint8_t *)&plain.v4.sin_addr;
		len = PREFIX4;
	} else {
		bytes = plain.v6.sin6_addr.s6_addr;
		len = PREFIX6;
	}
	for (size_t i = 0; i < len; i++)
		prefix = prefix << 8 | bytes[i];
	return prefix | (uint64_t)(len == PREFIX4 ? 4 : 6) << FAMILY_BITS;
}

/* The prefix's bucket, or the one to give it. */
static struct bucket *find_bucket(struct stun_limits *l, uint64_t prefix)
{
	uint64_t hash = SIPHASH_24(l->hash_key, (const uint8_t *)&prefix, sizeof prefix);
	struct bucket *set = &l->buckets[hash % l->sets * WAYS], *oldest = set;

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].prefix == prefix)
			return &set[i];
		if (oldest->prefix == 0)
			continue;
		if (set[i].prefix == 0 || set[i].asked_ms < oldest->asked_ms)
			oldest = &set[i];
	}
	return oldest;
}

static void refill(const struct stun_limits *l, struct bucket *b, uint64_t now_ms)
{
	uint64_t passed = now_ms > b->asked_ms ? now_ms - b->asked_ms : 0;
	uint64_t missing = l->full - b->tokens;

	if (l->rate > 0 && passed >= (missing + l->rate - 1) / l->rate)
		b->tokens = l->full;
	else
		b->tokens += passed * l->rate;
	if (passed > 0)
		b->asked_ms = now_ms;
}

bool stun_limits_take(struct stun_limits *l, const struct addr *from, uint64_t now_ms)
{
	uint64_t prefix = prefix_of(from);
	struct bucket *b = find_bucket(l, prefix);

	if (b->prefix != prefix)
		*b = (struct bucket){.prefix = prefix, .asked_ms = now_ms, .tokens = l->full};
	else
		refill(l, b, now_ms);
	if (b->tokens < TOKEN)
		return false;
	b->tokens -= TOKEN;
	return true;
}
