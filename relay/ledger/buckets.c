/* SPDX-License-Identifier: Apache-2.0 */
/* buckets: those of sources and names in a table of sets, and the totals beside it. */
#include "relay/ledger/buckets.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>
#include <openssl/siphash.h>

#include "core/paged.h"
#include "relay/ledger/ledger.h"
#include "relay/ledger/sources.h"

#define WAYS	      8u
#define BUCKETS_LEAST 4096u
#define BUCKETS_MOST  65536u
#define SECOND_NS     1000000000ull
#define MS_NS	      1000000ull
#define PROVED_NS     (86400 * SECOND_NS)

/* Kinds of keys behind those of sources. */
#define KIND_NAME    16u
#define KIND_NAME_AT 17u /* a name at an address */
#define KINDS	     32u

struct key {
	uint64_t bits;
	uint32_t kind; /* with the work: never 0 */
};

struct bucket {
	struct key key;
	uint64_t empty_ns;	  /* when all that was asked for is paid */
	uint64_t little_ns;	  /* likewise at a tenth of the rate, refusals included */
	uint64_t proven_until_ns; /* a name has proved itself here */
};

struct total {
	uint64_t all_ns, busy_ns;
};

struct buckets {
	uint64_t hash_key[2];
	struct buckets_limits limits;
	struct total totals[BUCKETS_WORKS];
	size_t sets;
	struct paged table; /* of sets of struct bucket */
};

/* ---- one time ---- */

/* 0: no limit. */
static uint64_t interval_of(uint64_t rate)
{
	return rate > 0 ? SECOND_NS / rate : 0;
}

static bool time_has_room(uint64_t at_ns, uint64_t interval_ns, uint64_t burst_ns, uint64_t now_ns)
{
	uint64_t ahead = burst_ns > interval_ns ? burst_ns - interval_ns : 0;

	return interval_ns == 0 || at_ns <= now_ns + ahead;
}

static void time_take(uint64_t *at_ns, uint64_t interval_ns, uint64_t now_ns)
{
	*at_ns = (*at_ns > now_ns ? *at_ns : now_ns) + interval_ns;
}

static void time_give_back(uint64_t *at_ns, uint64_t interval_ns)
{
	*at_ns = *at_ns > interval_ns ? *at_ns - interval_ns : 0;
}

/* ---- the table ---- */

static size_t sets_for(uint32_t connections)
{
	size_t buckets = BUCKETS_LEAST;

	while (buckets < connections && buckets < BUCKETS_MOST)
		buckets *= 2;
	return buckets / WAYS;
}

struct buckets *buckets_new(uint32_t connections)
{
	struct buckets *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	if (!paged_init(&r->table, sets_for(connections), WAYS * sizeof(struct bucket))) {
		free(r);
		return NULL;
	}
	RAND_bytes((uint8_t *)r->hash_key, sizeof r->hash_key);
	r->sets = sets_for(connections);
	return r;
}

void buckets_free(struct buckets *r)
{
	if (r)
		paged_free(&r->table);
	free(r);
}

void buckets_set_limits(struct buckets *r, const struct buckets_limits *limits)
{
	r->limits = *limits;
}

static size_t set_number(const struct buckets *r, const struct key *key)
{
	const uint64_t bytes[] = {key->bits, key->kind};
	uint64_t hash = SIPHASH_24(r->hash_key, (const uint8_t *)bytes, sizeof bytes);

	return hash & (r->sets - 1);
}

static struct bucket *set_of(const struct buckets *r, const struct key *key)
{
	return (struct bucket *)r->table.items + set_number(r, key) * WAYS;
}

static struct bucket *find(struct buckets *r, const struct key *key)
{
	struct bucket *set = set_of(r, key);

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].key.kind == key->kind && set[i].key.bits == key->bits)
			return &set[i];
	return NULL;
}

static uint64_t quiet_ns(const struct bucket *b)
{
	return b->empty_ns > b->little_ns ? b->empty_ns : b->little_ns;
}

/* The one that goes first. */
static bool goes_before(const struct bucket *a, const struct bucket *b, uint64_t now_ns)
{
	bool a_proven = a->proven_until_ns > now_ns, b_proven = b->proven_until_ns > now_ns;

	if (a_proven != b_proven)
		return b_proven;
	return quiet_ns(a) < quiet_ns(b);
}

static struct bucket *find_or_make(struct buckets *r, const struct key *key, uint64_t now_ns)
{
	struct bucket *found = find(r, key), *set = set_of(r, key);

	if (found)
		return found;
	found = set;
	for (unsigned i = 1; i < WAYS; i++)
		if (goes_before(&set[i], found, now_ns))
			found = &set[i];
	paged_use(&r->table, set_number(r, key));
	*found = (struct bucket){.key = *key};
	return found;
}

/* ---- keys ---- */

static struct key key_of_source(enum buckets_work work, const struct source_key *source,
				unsigned level)
{
	return (struct key){source->bits[level], (uint32_t)work * KINDS + source->kind + level};
}

static struct key key_of_name(const struct buckets *r, enum buckets_work work, const char *name)
{
	return (struct key){SIPHASH_24(r->hash_key, (const uint8_t *)name, strlen(name)),
			    (uint32_t)work * KINDS + KIND_NAME};
}

static struct key key_of_name_at(const struct buckets *r, const char *name,
				 const struct source_key *source)
{
	uint64_t bytes[] = {key_of_name(r, BUCKETS_SIGN_IN, name).bits, source->bits[0],
			    source->kind};

	return (struct key){SIPHASH_24(r->hash_key, (const uint8_t *)bytes, sizeof bytes),
			    BUCKETS_SIGN_IN * KINDS + KIND_NAME_AT};
}

/* ---- asking ---- */

/* Of a prefix of this level: as the ledger counts. */
static uint64_t level_interval(const struct buckets *r, enum buckets_work work, unsigned level)
{
	uint64_t rate = r->limits.per_source[work];

	for (; level > 0; level--)
		rate *= LEDGER_WIDER;
	return interval_of(rate);
}

static bool bucket_take(struct bucket *b, uint64_t interval_ns, uint64_t now_ns)
{
	if (!time_has_room(b->empty_ns, interval_ns, BUCKETS_BURST_S * SECOND_NS, now_ns))
		return false;
	time_take(&b->empty_ns, interval_ns, now_ns);
	return true;
}

static bool total_take(struct buckets *r, enum buckets_work work, bool little, uint64_t now_ns)
{
	uint64_t interval = interval_of(r->limits.total[work]);
	struct total *t = &r->totals[work];

	if (!time_has_room(t->all_ns, interval, BUCKETS_TOTAL_BURST_S * SECOND_NS, now_ns) ||
	    (!little &&
	     !time_has_room(t->busy_ns, 2 * interval, BUCKETS_TOTAL_BURST_S * SECOND_NS, now_ns)))
		return false;
	time_take(&t->all_ns, interval, now_ns);
	if (!little)
		time_take(&t->busy_ns, 2 * interval, now_ns);
	return true;
}

/* Whether it uses little; goes on counting where it does not, so that it stays so while it asks. */
static bool bucket_is_little(struct bucket *b, uint64_t interval_ns, uint64_t now_ns)
{
	const uint64_t burst = BUCKETS_BURST_S * SECOND_NS;
	bool little = time_has_room(b->little_ns, interval_ns * BUCKETS_LITTLE, burst, now_ns);

	time_take(&b->little_ns, interval_ns * BUCKETS_LITTLE, now_ns);
	if (b->little_ns > now_ns + burst)
		b->little_ns = now_ns + burst;
	return little;
}

/* A source's buckets are charged together or not at all. */
static enum buckets_grant source_take(struct buckets *r, enum buckets_work work,
				      const struct source_key *source, uint64_t now_ns)
{
	bool little = true, room = true;

	for (unsigned level = 0; level < source->levels; level++) {
		const struct key key = key_of_source(work, source, level);
		uint64_t interval = level_interval(r, work, level);
		struct bucket *b = find_or_make(r, &key, now_ns);

		room &= time_has_room(b->empty_ns, interval, BUCKETS_BURST_S * SECOND_NS, now_ns);
		little &= bucket_is_little(b, interval, now_ns);
	}
	if (!room || !total_take(r, work, little, now_ns))
		return BUCKETS_REFUSED;
	for (unsigned level = 0; level < source->levels; level++) {
		const struct key key = key_of_source(work, source, level);

		time_take(&find_or_make(r, &key, now_ns)->empty_ns, level_interval(r, work, level),
			  now_ns);
	}
	return little ? BUCKETS_OF_LITTLE : BUCKETS_OF_BUSY;
}

enum buckets_grant buckets_ask(struct buckets *r, enum buckets_work work, const struct addr *from,
			       uint64_t now_ms)
{
	uint64_t now_ns = now_ms * MS_NS;
	struct source_key source;
	struct bucket *own;

	source_key_make(&source, from);
	const struct key key = key_of_source(work, &source, 0);
	own = find(r, &key);
	if (!own || own->proven_until_ns <= now_ns)
		return source_take(r, work, &source, now_ns);
	return bucket_take(own, level_interval(r, work, 0), now_ns) ? BUCKETS_OF_PROVEN
								    : BUCKETS_REFUSED;
}

enum buckets_grant buckets_ask_sign_in(struct buckets *r, const struct addr *from, const char *name,
				       uint64_t now_ms)
{
	uint64_t now_ns = now_ms * MS_NS;
	struct source_key source;
	struct bucket *own;

	source_key_make(&source, from);
	const struct key key = key_of_name_at(r, name, &source);
	own = find(r, &key);
	if (!own || own->proven_until_ns <= now_ns)
		return source_take(r, BUCKETS_SIGN_IN, &source, now_ns);
	return bucket_take(own, level_interval(r, BUCKETS_SIGN_IN, 0), now_ns) ? BUCKETS_OF_PROVEN
									       : BUCKETS_REFUSED;
}

bool buckets_ask_name(struct buckets *r, enum buckets_work work, const char *name, uint64_t now_ms)
{
	const struct key key = key_of_name(r, work, name);
	uint64_t now_ns = now_ms * MS_NS;

	return bucket_take(find_or_make(r, &key, now_ns),
			   interval_of(r->limits.per_source[work] * BUCKETS_NAME_MORE), now_ns);
}

/* ---- the proven ---- */

/* The reverse of source_take(), as far as the table remembers. */
static void source_give_back(struct buckets *r, enum buckets_work work,
			     const struct source_key *source, enum buckets_grant grant)
{
	uint64_t interval = interval_of(r->limits.total[work]);

	if (grant != BUCKETS_OF_LITTLE && grant != BUCKETS_OF_BUSY)
		return;
	time_give_back(&r->totals[work].all_ns, interval);
	if (grant == BUCKETS_OF_BUSY)
		time_give_back(&r->totals[work].busy_ns, 2 * interval);
	for (unsigned level = 0; level < source->levels; level++) {
		const struct key key = key_of_source(work, source, level);
		struct bucket *b = find(r, &key);

		if (b)
			time_give_back(&b->empty_ns, level_interval(r, work, level));
	}
}

void buckets_proved(struct buckets *r, const struct addr *from, enum buckets_grant handshake,
		    uint64_t now_ms)
{
	uint64_t now_ns = now_ms * MS_NS;
	struct source_key source;
	struct bucket *own;

	source_key_make(&source, from);
	const struct key key = key_of_source(BUCKETS_HANDSHAKE, &source, 0);
	source_give_back(r, BUCKETS_HANDSHAKE, &source, handshake);
	own = find_or_make(r, &key, now_ns);
	own->proven_until_ns = now_ns + PROVED_NS;
	if (handshake == BUCKETS_OF_PROVEN)
		time_give_back(&own->empty_ns, level_interval(r, BUCKETS_HANDSHAKE, 0));
}

void buckets_signed_in(struct buckets *r, const struct addr *from, const char *name,
		       enum buckets_grant sign_in, uint64_t now_ms)
{
	uint64_t now_ns = now_ms * MS_NS;
	struct source_key source;
	struct bucket *own;

	source_key_make(&source, from);
	const struct key key = key_of_name_at(r, name, &source);
	own = find_or_make(r, &key, now_ns);
	own->proven_until_ns = now_ns + PROVED_NS;
	if (sign_in == BUCKETS_OF_PROVEN)
		return; /* charged there already */
	source_give_back(r, BUCKETS_SIGN_IN, &source, sign_in);
	time_take(&own->empty_ns, level_interval(r, BUCKETS_SIGN_IN, 0), now_ns);
}
