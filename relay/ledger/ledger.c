/* SPDX-License-Identifier: Apache-2.0 */
/* ledger: entries, their classes, and who has to go. */
#include "relay/ledger/ledger.h"

#include <assert.h>
#include <stdlib.h>

#include "core/paged.h"
#include "relay/ledger/names.h"
#include "relay/ledger/sources.h"

#define NONE	     0u
#define WORKERS	     256u /* tags of a slab_id */
#define CONSOLES     80u  /* more than are served at a time: the next ones hear why */
#define DROPPED_PART 4u	  /* one place for those that have to go, to so many unproven */

struct entry {
	slab_id owner;
	uint32_t source;     /* UNPROVEN, PUBLIC: what it is charged to */
	uint32_t name;	     /* PUBLIC, PROVEN, CONSOLE: likewise */
	uint32_t next, prev; /* of those that have to go; next: of those not in use */
	uint8_t class;
	uint8_t why;  /* DROPPED: enum reason */
	bool waiting; /* DROPPED: its worker has not been told yet */
};

struct dropped {
	uint32_t first, last;
};

struct ledger {
	struct ledger_limits limits;
	struct sources *sources;
	struct names *names;
	struct paged pages;    /* what the entries are charged by */
	struct entry *entries; /* [0] is none */
	uint32_t room, free, unused;
	uint64_t used[LEDGER_CLASSES];
	struct dropped dropped[WORKERS]; /* to be told */
};

const char *ledger_class_name(enum ledger_class class)
{
	static const char *const names[] = {"unproven", "public", "proven", "console", "dropped"};

	static_assert(sizeof names / sizeof names[0] == LEDGER_CLASSES, "a name for each class");
	return names[class];
}

/* ---- tables ---- */

struct ledger *ledger_new(uint32_t connections)
{
	struct ledger *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->sources = sources_new(connections);
	l->names = names_new(connections);
	l->room = connections;
	l->unused = 1;
	if (!l->sources || !l->names ||
	    !paged_init(&l->pages, (size_t)connections + 1, sizeof *l->entries)) {
		ledger_free(l);
		return NULL;
	}
	l->entries = l->pages.items;
	return l;
}

void ledger_free(struct ledger *l)
{
	if (!l)
		return;
	sources_free(l->sources);
	names_free(l->names);
	paged_free(&l->pages);
	free(l);
}

/* ---- limits ---- */

static uint64_t at_least(uint64_t n, uint64_t least)
{
	return n > least ? n : least;
}

static uint64_t at_most(uint64_t n, uint64_t most)
{
	return n < most ? n : most;
}

void ledger_share_out(const struct ledger_shares *shares, struct ledger_limits *out)
{
	uint64_t all = shares->connections, *places = out->places;
	uint64_t quarter = at_least(all / 4, 1), given;

	/* What was asked for, as far as half of all stays for the proven. */
	places[LEDGER_UNPROVEN] =
		shares->unproven > 0 ? at_most(shares->unproven, quarter) : quarter;
	places[LEDGER_PUBLIC] = shares->public > 0 ? at_most(shares->public, quarter) : quarter;
	places[LEDGER_CONSOLE] = at_most(CONSOLES, at_least(all / 8, 1));
	places[LEDGER_DROPPED] = at_least(places[LEDGER_UNPROVEN] / DROPPED_PART, 1);
	given = places[LEDGER_UNPROVEN] + places[LEDGER_PUBLIC] + places[LEDGER_CONSOLE] +
		places[LEDGER_DROPPED];
	places[LEDGER_PROVEN] = all > given ? all - given : 1;
	out->public_per_name = shares->public_per_name > 0
				       ? shares->public_per_name
				       : at_least(places[LEDGER_PUBLIC] * 3 / 4, 1);
}

void ledger_set_limits(struct ledger *l, const struct ledger_limits *limits)
{
	l->limits = *limits;
}

/* Of a prefix: its level counts from the address outwards. */
static uint64_t per_level(uint64_t of_address, unsigned level)
{
	for (; level > 0; level--)
		of_address *= LEDGER_WIDER;
	return of_address;
}

/* ---- entries ---- */

static uint32_t entry_take(struct ledger *l, slab_id owner)
{
	uint32_t at = l->free;

	if (at != NONE)
		l->free = l->entries[at].next;
	else if (l->unused <= l->room)
		at = l->unused++;
	if (at != NONE)
		paged_use(&l->pages, at);
	if (at != NONE)
		l->entries[at] = (struct entry){.owner = owner};
	return at;
}

/* The only place that changes a class. */
static void entry_become(struct ledger *l, struct entry *e, enum ledger_class class)
{
	l->used[e->class]--;
	e->class = (uint8_t) class;
	l->used[class]++;
}

/* ---- those that have to go ---- */

static void dropped_add(struct ledger *l, uint32_t at)
{
	struct entry *e = &l->entries[at];
	struct dropped *d = &l->dropped[slab_id_tag(e->owner)];

	e->waiting = true;
	e->next = NONE;
	e->prev = d->last;
	if (d->last != NONE)
		l->entries[d->last].next = at;
	else
		d->first = at;
	d->last = at;
}

static void dropped_remove(struct ledger *l, uint32_t at)
{
	struct entry *e = &l->entries[at];
	struct dropped *d = &l->dropped[slab_id_tag(e->owner)];

	e->waiting = false;
	if (e->prev != NONE)
		l->entries[e->prev].next = e->next;
	else
		d->first = e->next;
	if (e->next != NONE)
		l->entries[e->next].prev = e->prev;
	else
		d->last = e->prev;
}

slab_id ledger_next_dropped(struct ledger *l, uint8_t tag, enum reason *why)
{
	uint32_t at = l->dropped[tag].first;

	if (at == NONE)
		return 0;
	dropped_remove(l, at);
	*why = (enum reason)l->entries[at].why;
	return l->entries[at].owner;
}

static slab_id drop_oldest(struct ledger *l, uint32_t within, enum reason why)
{
	uint32_t at = sources_oldest(l->sources, within);
	struct entry *e = &l->entries[at];

	sources_remove_unproven(l->sources, e->source, at);
	entry_become(l, e, LEDGER_DROPPED);
	e->why = (uint8_t)why;
	dropped_add(l, at);
	return e->owner;
}

/* Where is there one too many, if one more comes from there? */
static uint32_t too_full(const struct ledger *l, const struct source_key *key, enum reason *why)
{
	*why = REASON_LIMIT_SOURCE;
	for (unsigned level = 0; level < key->levels; level++) {
		uint32_t at = sources_find(l->sources, key, level);

		if (at != SOURCES_ALL &&
		    sources_unproven(l->sources, at) >= per_level(l->limits.per_source, level))
			return at;
	}
	*why = l->used[LEDGER_UNPROVEN] >= l->limits.places[LEDGER_UNPROVEN] ? REASON_LIMIT_UNPROVEN
									     : REASON_OK;
	return SOURCES_ALL;
}

/* ---- coming ---- */

struct ledger_entered ledger_enter(struct ledger *l, const struct addr *from, slab_id owner)
{
	struct ledger_entered out = {0};
	struct source_key key;
	enum reason why;
	uint32_t full;

	source_key_make(&key, from);
	full = too_full(l, &key, &why);
	if (why != REASON_OK && (l->used[LEDGER_DROPPED] >= l->limits.places[LEDGER_DROPPED] ||
				 sources_oldest(l->sources, full) == NONE))
		return out;
	out.place = entry_take(l, owner);
	if (out.place == NONE)
		return out;
	if (why != REASON_OK)
		out.drop = drop_oldest(l, full, why);
	l->used[LEDGER_UNPROVEN]++;
	l->entries[out.place].source = sources_add_unproven(l->sources, &key, out.place);
	return out;
}

slab_id ledger_move(struct ledger *l, uint32_t place, const struct addr *from)
{
	struct entry *e = &l->entries[place];
	struct source_key key;
	enum reason why;
	slab_id drop = 0;
	uint32_t full;

	if (e->class != LEDGER_UNPROVEN)
		return 0; /* it has to go itself */
	sources_remove_unproven(l->sources, e->source, place);
	l->used[LEDGER_UNPROVEN]--;
	source_key_make(&key, from);
	full = too_full(l, &key, &why);
	if (why != REASON_OK && sources_oldest(l->sources, full) != NONE)
		drop = drop_oldest(l, full, why);
	l->used[LEDGER_UNPROVEN]++;
	e->source = sources_add_unproven(l->sources, &key, place);
	return drop;
}

/* ---- becoming something else ---- */

slab_id ledger_make_room(struct ledger *l)
{
	if (l->used[LEDGER_UNPROVEN] == 0 ||
	    l->used[LEDGER_DROPPED] >= l->limits.places[LEDGER_DROPPED])
		return 0;
	return drop_oldest(l, SOURCES_ALL, REASON_LIMIT_MEMORY);
}

enum reason ledger_become_public(struct ledger *l, uint32_t place, const char *name)
{
	struct entry *e = &l->entries[place];
	uint32_t at = e->source;

	if (e->class == LEDGER_PUBLIC)
		return REASON_OK;
	if (e->class != LEDGER_UNPROVEN)
		return REASON_LIMIT_UNPROVEN;
	for (unsigned level = 0; at != SOURCES_ALL; level++, at = sources_wider(l->sources, at))
		if (sources_public(l->sources, at) >= per_level(l->limits.public_per_source, level))
			return REASON_LIMIT_PUBLIC_SOURCE;
	if (l->used[LEDGER_PUBLIC] >= l->limits.places[LEDGER_PUBLIC] ||
	    names_count(l->names, NAMES_PUBLIC, name) >= l->limits.public_per_name)
		return REASON_LIMIT_PUBLIC;
	sources_become_public(l->sources, e->source, place);
	e->name = names_add(l->names, NAMES_PUBLIC, name);
	entry_become(l, e, LEDGER_PUBLIC);
	return REASON_OK;
}

enum reason ledger_prove(struct ledger *l, uint32_t place, const char *name, bool console)
{
	enum ledger_class class = console ? LEDGER_CONSOLE : LEDGER_PROVEN;
	struct entry *e = &l->entries[place];

	if (l->used[class] >= l->limits.places[class])
		return REASON_LIMIT_PLACES;
	if (e->class == LEDGER_UNPROVEN)
		sources_remove_unproven(l->sources, e->source, place);
	else if (e->class == LEDGER_DROPPED && e->waiting)
		dropped_remove(l, place); /* in the last moment */
	else
		return REASON_LIMIT_PLACES;
	e->name = names_add(l->names, NAMES_PROVEN, name);
	entry_become(l, e, class);
	return REASON_OK;
}

/* ---- going ---- */

void ledger_leave(struct ledger *l, uint32_t place)
{
	struct entry *e = &l->entries[place];

	switch ((enum ledger_class)e->class) {
	case LEDGER_UNPROVEN:
		sources_remove_unproven(l->sources, e->source, place);
		break;
	case LEDGER_PUBLIC:
		sources_remove_public(l->sources, e->source);
		names_remove(l->names, e->name);
		break;
	case LEDGER_PROVEN:
	case LEDGER_CONSOLE:
		names_remove(l->names, e->name);
		break;
	case LEDGER_DROPPED:
		if (e->waiting)
			dropped_remove(l, place);
		break;
	case LEDGER_CLASSES:
		break;
	}
	l->used[e->class]--;
	e->next = l->free;
	l->free = place;
}

/* ---- questions ---- */

struct ledger_use ledger_used(const struct ledger *l)
{
	struct ledger_use use = {.sources = sources_count(l->sources)};

	for (unsigned i = 0; i < LEDGER_CLASSES; i++) {
		use.used[i] = l->used[i];
		use.places[i] = l->limits.places[i];
		use.connections += l->used[i];
	}
	return use;
}

uint32_t ledger_of_name(const struct ledger *l, const char *name)
{
	return names_count(l->names, NAMES_PROVEN, name);
}
