/* SPDX-License-Identifier: Apache-2.0 */
/* names: a hash table of counts, made at the start for as many names as there are connections. */
#include "relay/ledger/names.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>
#include <openssl/siphash.h>

#include "core/paged.h"

#define NONE 0u

struct counted {
	uint64_t hash;
	uint32_t chain; /* the next in its row; of those not in use: the next free one */
	uint32_t count;
};

struct names {
	uint64_t hash_key[2][2];     /* for each kind */
	struct paged table, heads;   /* of struct counted; of uint32_t */
	uint32_t mask, free, unused; /* unused: never used yet from here on */
};

static size_t heads_for(uint32_t connections)
{
	size_t n = 1;

	while (n < connections)
		n *= 2;
	return n;
}

struct names *names_new(uint32_t connections)
{
	struct names *n = calloc(1, sizeof *n);

	if (!n)
		return NULL;
	RAND_bytes((uint8_t *)n->hash_key, sizeof n->hash_key);
	n->mask = (uint32_t)heads_for(connections) - 1;
	n->unused = 1;
	if (!paged_init(&n->table, (size_t)connections + 1, sizeof(struct counted)) ||
	    !paged_init(&n->heads, heads_for(connections), sizeof(uint32_t))) {
		names_free(n);
		return NULL;
	}
	return n;
}

void names_free(struct names *n)
{
	if (!n)
		return;
	paged_free(&n->table);
	paged_free(&n->heads);
	free(n);
}

static struct counted *row(const struct names *n, uint32_t at)
{
	return (struct counted *)n->table.items + at;
}

static uint32_t *head_of(const struct names *n, uint64_t hash)
{
	return (uint32_t *)n->heads.items + (hash & n->mask);
}

static uint64_t hash_of(const struct names *n, enum names_kind kind, const char *name)
{
	return SIPHASH_24(n->hash_key[kind], (const uint8_t *)name, strlen(name));
}

static uint32_t find(const struct names *n, uint64_t hash)
{
	uint32_t at = *head_of(n, hash);

	while (at != NONE && row(n, at)->hash != hash)
		at = row(n, at)->chain;
	return at;
}

/* There are as many rows as connections: taking one never fails. */
uint32_t names_add(struct names *n, enum names_kind kind, const char *name)
{
	uint64_t hash = hash_of(n, kind, name);
	uint32_t at = find(n, hash);

	if (at == NONE) {
		at = n->free;
		if (at != NONE)
			n->free = row(n, at)->chain;
		else
			at = n->unused++;
		paged_use(&n->table, at);
		paged_use(&n->heads, hash & n->mask);
		*row(n, at) = (struct counted){.hash = hash, .chain = *head_of(n, hash)};
		*head_of(n, hash) = at;
	}
	row(n, at)->count++;
	return at;
}

void names_remove(struct names *n, uint32_t at)
{
	struct counted *c = row(n, at);
	uint32_t *link = head_of(n, c->hash);

	if (--c->count > 0)
		return;
	while (*link != at)
		link = &row(n, *link)->chain;
	*link = c->chain;
	c->chain = n->free;
	n->free = at;
}

uint32_t names_count(const struct names *n, enum names_kind kind, const char *name)
{
	return row(n, find(n, hash_of(n, kind, name)))->count;
}
