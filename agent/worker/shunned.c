/* SPDX-License-Identifier: Apache-2.0 */
/* shunned: addresses that could be connected to and were not who was looked for. */
#include "agent/worker/shunned.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* SHUNNED_MAX: it is not there. */
static size_t shunned_find(const struct shunned *s, const char *host, const struct addr *at)
{
	size_t i = 0;

	while (i < SHUNNED_MAX && !(s->list[i].until_ms && addr_equal(&s->list[i].at, at) &&
				    strcasecmp(s->list[i].host, host) == 0))
		i++;
	return i;
}

void shunned_add(struct shunned *s, const char *host, const struct addr *at, uint64_t now_ms)
{
	size_t i = shunned_find(s, host, at);

	if (i == SHUNNED_MAX) {
		i = 0;
		for (size_t k = 1; k < SHUNNED_MAX; k++)
			if (s->list[k].until_ms < s->list[i].until_ms)
				i = k;
	}
	snprintf(s->list[i].host, sizeof(s->list[i].host), "%s", host);
	s->list[i].at = *at;
	s->list[i].until_ms = now_ms + SHUNNED_MS;
}

void shunned_remove(struct shunned *s, const char *host, const struct addr *at)
{
	size_t i = shunned_find(s, host, at);

	if (i < SHUNNED_MAX)
		s->list[i].until_ms = 0;
}

bool shunned_has(const struct shunned *s, const char *host, const struct addr *at, uint64_t now_ms)
{
	size_t i = shunned_find(s, host, at);

	return i < SHUNNED_MAX && now_ms < s->list[i].until_ms;
}

size_t shunned_order(const struct shunned *s, const char *host, struct addr *list, size_t count,
		     uint64_t now_ms)
{
	size_t left = count, last = 0;

	for (size_t i = 0; i < left;) {
		struct addr a = list[i];

		if (!shunned_has(s, host, &a, now_ms)) {
			i++;
			continue;
		}
		/* To the very end, behind those that went there before. */
		memmove(&list[i], &list[i + 1], (count - i - 1) * sizeof(a));
		list[count - 1] = a;
		left--;
		last++;
	}
	return last;
}
