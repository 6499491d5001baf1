/* SPDX-License-Identifier: Apache-2.0 */
/* resolve_cache: the addresses that names led to, kept as long as the name server lets them. */
#include "core/program/resolve_cache.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void kept_free(struct resolve_kept *k)
{
	free(k->addresses);
	free(k);
}

/* Found, it comes first. */
static struct resolve_kept *kept_find(struct resolve_cache *c, const char *name)
{
	struct resolve_kept **at = &c->first, *k;

	while (*at && strcasecmp((*at)->name, name) != 0)
		at = &(*at)->next;
	k = *at;
	if (!k)
		return NULL;
	*at = k->next;
	k->next = c->first;
	c->first = k;
	return k;
}

static void drop_last(struct resolve_cache *c)
{
	struct resolve_kept **at = &c->first;

	while ((*at)->next)
		at = &(*at)->next;
	kept_free(*at);
	*at = NULL;
	c->count--;
}

/* NULL without memory. */
static struct resolve_kept *kept_of(struct resolve_cache *c, const char *name)
{
	struct resolve_kept *k = kept_find(c, name);
	size_t len = strlen(name) + 1;

	if (k)
		return k;
	k = calloc(1, sizeof(*k) + len);
	if (!k)
		return NULL;
	if (c->count == RESOLVE_CACHE_NAMES)
		drop_last(c);
	memcpy(k->name, name, len);
	k->next = c->first;
	c->first = k;
	c->count++;
	return k;
}

const struct resolve_kept *resolve_cache_find(struct resolve_cache *c, const char *name,
					      uint64_t now_ms)
{
	const struct resolve_kept *k = kept_find(c, name);

	return k && now_ms < k->until_ms ? k : NULL;
}

void resolve_cache_keep(struct resolve_cache *c, const char *name, const struct addr *addresses,
			size_t count, uint32_t ttl_s, uint64_t now_ms)
{
	struct resolve_kept *k = ttl_s > 0 && count > 0 ? kept_of(c, name) : NULL;
	struct addr *copy = k ? calloc(count, sizeof(*copy)) : NULL;

	if (!copy)
		return;
	memcpy(copy, addresses, count * sizeof(*copy));
	for (size_t i = 0; i < count; i++)
		addr_set_port(&copy[i], 0);
	free(k->addresses);
	k->addresses = copy;
	k->count = count;
	k->until_ms = now_ms + (ttl_s < RESOLVE_CACHE_MOST_S ? ttl_s : RESOLVE_CACHE_MOST_S) *
				       UINT64_C(1000);
}

void resolve_cache_note(struct resolve_cache *c, const char *name, bool slow, uint64_t now_ms)
{
	struct resolve_kept *k = slow ? kept_of(c, name) : kept_find(c, name);

	if (k)
		k->slow_until_ms = slow ? now_ms + RESOLVE_SLOW_MS : 0;
}

bool resolve_cache_is_slow(struct resolve_cache *c, const char *name, uint64_t now_ms)
{
	const struct resolve_kept *k = kept_find(c, name);

	return k && now_ms < k->slow_until_ms;
}

void resolve_cache_forget(struct resolve_cache *c, const char *name)
{
	struct resolve_kept *k = kept_find(c, name);

	if (k)
		k->until_ms = 0;
}

void resolve_cache_clear(struct resolve_cache *c)
{
	while (c->first) {
		struct resolve_kept *k = c->first;

		c->first = k->next;
		kept_free(k);
	}
	c->count = 0;
}
