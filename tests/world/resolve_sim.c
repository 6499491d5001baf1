/* SPDX-License-Identifier: Apache-2.0 */
/* resolve_sim: core/program/resolve.h on a table of the world's names, with delays and failures. */
#include "core/program/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/container.h"
#include "tests/world/programs.h"

#define NAMES_MAX  16u
#define SLOWEST_MS 400u

static struct {
	char name[64];
	char literals[RESOLVE_ADDRESSES_MAX][48];
	size_t count;
	bool hangs;
} names[NAMES_MAX];
static size_t name_count;

struct resolve_query {
	struct resolver *resolver;
	struct resolve_query *next, *prev;
	struct timer deliver;
	resolve_done_fn *done;
	void *owner;
	uint16_t port;
	bool hangs;
	char host[64];
};

/* In the place of what c-ares keeps. */
static struct resolve_query **first_of(struct resolver *r)
{
	return (struct resolve_query **)(void *)&r->channels;
}

void names_forget_all(void)
{
	name_count = 0;
}

void names_set(const char *name, const char *literal)
{
	size_t i = 0;

	while (i < name_count && strcmp(names[i].name, name) != 0)
		i++;
	if (i == NAMES_MAX || (i < name_count && names[i].count == RESOLVE_ADDRESSES_MAX))
		abort();
	if (i == name_count) {
		names[i].count = 0;
		names[i].hangs = false;
		name_count++;
	}
	snprintf(names[i].name, sizeof(names[i].name), "%s", name);
	snprintf(names[i].literals[names[i].count++], sizeof(names[i].literals[0]), "%s", literal);
}

static size_t names_find(const char *name)
{
	size_t i = 0;

	while (i < name_count && strcmp(names[i].name, name) != 0)
		i++;
	return i;
}

void names_hang(const char *name, bool hang)
{
	size_t i = names_find(name);

	if (i == name_count)
		abort();
	names[i].hangs = hang;
}

int resolver_open(struct resolver *r, struct ring *ring)
{
	*r = (struct resolver){.ring = ring};
	return 0;
}

static void query_free(struct resolve_query *q)
{
	struct resolver *r = q->resolver;

	ring_timer_cancel(r->ring, &q->deliver);
	if (q->prev)
		q->prev->next = q->next;
	else
		*first_of(r) = q->next;
	if (q->next)
		q->next->prev = q->prev;
	r->queries--;
	free(q);
}

static void query_answered(struct timer *t, uint64_t now_ms)
{
	struct resolve_query *q = container(t, struct resolve_query, deliver);
	struct addr addresses[RESOLVE_ADDRESSES_MAX];
	size_t i = names_find(q->host), count = 0;

	if (!q->resolver->closing && addr_from_literal(q->host, q->port, &addresses[0]))
		count = 1;
	else if (i < name_count && !q->hangs && !q->resolver->closing &&
		 !dice_chance(&k_dice, k_faults.name_failure))
		for (; count < names[i].count; count++)
			if (!addr_from_literal(names[i].literals[count], q->port,
					       &addresses[count]))
				abort();
	if (q->done)
		q->done(q->owner, addresses, count, count ? NULL : "no such name in this world");
	query_free(q);
}

void resolver_close(struct resolver *r)
{
	if (!r->ring || r->closing)
		return;
	r->closing = true;
	for (struct resolve_query *q = *first_of(r); q; q = q->next)
		ring_timer_set(r->ring, &q->deliver, 0);
}

bool resolver_idle(const struct resolver *r)
{
	return r->queries == 0;
}

struct resolve_query *resolve_start(struct resolver *r, const char *host, uint16_t port,
				    resolve_done_fn *done, void *owner)
{
	size_t i = names_find(host);
	struct resolve_query *q =
		r->closing || r->queries >= RESOLVE_QUERIES_MAX ? NULL : calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->resolver = r;
	q->done = done;
	q->owner = owner;
	q->port = port;
	q->deliver.fire = query_answered;
	snprintf(q->host, sizeof(q->host), "%s", host);
	q->next = *first_of(r);
	if (q->next)
		q->next->prev = q;
	*first_of(r) = q;
	r->queries++;
	q->hangs = i < name_count && names[i].hangs;
	ring_timer_set(r->ring, &q->deliver,
		       q->hangs ? RESOLVE_MS : dice_below(&k_dice, SLOWEST_MS));
	return q;
}

/* No program of a world asks for services. */
struct resolve_query *resolve_services_start(struct resolver *r, const char *name,
					     resolve_services_fn *done, void *owner)
{
	world_broken("an unknown name is asked for: %s", name);
}

/* Nothing is kept here. */
void resolver_forget(struct resolver *r, const char *host)
{
}

bool resolve_failed_here(const struct resolve_query *q)
{
	return false;
}

void resolve_cancel(struct resolve_query *q)
{
	q->done = NULL;
	ring_timer_set(q->resolver->ring, &q->deliver, 0);
}
