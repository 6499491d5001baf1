/* SPDX-License-Identifier: Apache-2.0 */
/* revoked: a sorted array of names; relays tell theirs in order, so that most go to its end. */
#include "agent/engine/revoked.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 64u

static int revoked_compare(const void *a, const void *b)
{
	return strcmp(((const struct revoked_name *)a)->name,
		      ((const struct revoked_name *)b)->name);
}

void revoked_free(struct revoked *r)
{
	free(r->names);
	*r = (struct revoked){0};
}

static struct revoked_name *revoked_find(const struct revoked *r, const struct revoked_name *wanted)
{
	return r->count ? bsearch(wanted, r->names, r->count, sizeof(*wanted), revoked_compare)
			: NULL;
}

bool revoked_has(const struct revoked *r, const char *name)
{
	struct revoked_name wanted;
	size_t len = strlen(name);

	if (len == 0 || len > WIRE_NAME_MAX)
		return false;
	memcpy(wanted.name, name, len + 1);
	return revoked_find(r, &wanted) != NULL;
}

/* Room for so many more. */
static bool revoked_make_room(struct revoked *r, size_t more)
{
	struct revoked_name *names;
	size_t room = r->room ? r->room : FIRST_ROOM;

	while (room < r->count + more)
		room *= 2;
	if (room == r->room)
		return true;
	names = realloc(r->names, room * sizeof(*names));
	if (!names)
		return false;
	r->names = names;
	r->room = room;
	return true;
}

/* Puts count sorted names, which are not there yet, where they belong. */
static void revoked_merge(struct revoked *r, const struct revoked_name *fresh, size_t count)
{
	size_t old = r->count, to = old + count;

	r->count = to;
	while (count > 0) {
		if (old > 0 && revoked_compare(&r->names[old - 1], &fresh[count - 1]) > 0)
			r->names[--to] = r->names[--old];
		else
			r->names[--to] = fresh[--count];
	}
}

size_t revoked_add(struct revoked *r, unsigned relay, const struct wire_bytes *names, size_t count)
{
	struct revoked_name fresh[WIRE_SERVICES_MAX];
	uint64_t bit = UINT64_C(1) << relay;
	size_t new_names = 0, kept = 0;

	assert(relay < REVOKED_RELAYS_MAX && count <= WIRE_SERVICES_MAX);
	for (size_t i = 0; i < count; i++) {
		struct revoked_name *wanted = &fresh[new_names], *known;

		wire_bytes_copy(names[i], wanted->name, sizeof(wanted->name));
		wanted->relays = bit;
		known = revoked_find(r, wanted);
		if (known)
			known->relays |= bit;
		else
			new_names++;
	}
	qsort(fresh, new_names, sizeof(fresh[0]), revoked_compare);
	for (size_t i = 0; i < new_names; i++)
		if (kept == 0 || revoked_compare(&fresh[kept - 1], &fresh[i]) != 0)
			fresh[kept++] = fresh[i];
	new_names = kept;
	if (kept > REVOKED_NAMES_MAX - r->count)
		kept = REVOKED_NAMES_MAX - r->count;
	if (!revoked_make_room(r, kept))
		kept = 0;
	r->dropped += new_names - kept;
	revoked_merge(r, fresh, kept);
	return kept;
}

void revoked_forget(struct revoked *r, unsigned relay)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->count; i++) {
		r->names[i].relays &= ~(UINT64_C(1) << relay);
		if (r->names[i].relays)
			r->names[kept++] = r->names[i];
	}
	r->count = kept;
}
