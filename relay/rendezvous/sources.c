/* SPDX-License-Identifier: Apache-2.0 */
/* sources: the table of sources with unauthenticated connections. */
#include "relay/rendezvous/sources.h"

#include <stdlib.h>

#include <openssl/rand.h>
#include <openssl/siphash.h>

static uint64_t hash_key[2];

#define HASH_FUNCTION(data, len, hash)                                                             \
	((hash) = (unsigned)SIPHASH_24(hash_key, (const uint8_t *)(data), (len)))
#include "core/table.h"

struct source {
	struct addr_key key;
	uint64_t held;
	UT_hash_handle hh;
};

struct sources {
	uint64_t limit;
	struct source *table;
};

struct sources *sources_new(uint64_t limit)
{
	struct sources *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	if (hash_key[0] == 0)
		RAND_bytes((uint8_t *)hash_key, sizeof hash_key);
	s->limit = limit;
	return s;
}

void sources_free(struct sources *s)
{
	struct source *e, *next;

	if (!s)
		return;
	HASH_ITER(hh, s->table, e, next) {
		HASH_DEL(s->table, e);
		free(e);
	}
	free(s);
}

bool sources_enter(struct sources *s, struct addr_key key)
{
	struct source *e;

	HASH_FIND(hh, s->table, &key, sizeof key, e);
	if (!e) {
		if (s->limit == 0)
			return false;
		e = calloc(1, sizeof *e);
		if (!e)
			return false;
		e->key = key;
		HASH_ADD(hh, s->table, key, sizeof e->key, e);
		if (!table_holds(e)) {
			free(e);
			return false;
		}
	}
	if (e->held >= s->limit)
		return false;
	e->held++;
	return true;
}

void sources_leave(struct sources *s, struct addr_key key)
{
	struct source *e;

	HASH_FIND(hh, s->table, &key, sizeof key, e);
	if (!e || --e->held > 0)
		return;
	HASH_DEL(s->table, e);
	free(e);
}

void sources_set_limit(struct sources *s, uint64_t limit)
{
	s->limit = limit;
}

size_t sources_count(const struct sources *s)
{
	return HASH_COUNT(s->table);
}
