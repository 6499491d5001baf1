/* SPDX-License-Identifier: Apache-2.0 */
/* visitors: a list of peers for each mapping. */
#include "portmap/visitors.h"

#include <stdlib.h>

static void clear(struct visitors_of *of)
{
	free(of->peers);
	*of = (struct visitors_of){0};
}

struct visitors_of *visitors_find(struct visitors *v, const struct portmap_mapping *m, bool *fresh)
{
	struct visitors_of *place = NULL;

	*fresh = false;
	for (size_t i = 0; i < PORTMAP_MAPPINGS_MAX; i++) {
		struct visitors_of *of = &v->of[i];

		if (of->id == m->id && of->since_ms == m->since_ms)
			return of;
		if (of->id == m->id || (of->id == 0 && (!place || place->id != m->id)))
			place = of;
	}
	if (!place)
		return NULL;
	clear(place);
	place->id = m->id;
	place->since_ms = m->since_ms;
	*fresh = true;
	return place;
}

void visitors_prune(struct visitors *v, const struct portmap_mapping *mappings)
{
	for (size_t i = 0; i < PORTMAP_MAPPINGS_MAX; i++) {
		const struct portmap_mapping *m = mappings;

		while (m && m->id != v->of[i].id)
			m = m->next;
		if (!m)
			clear(&v->of[i]);
	}
}

void visitors_add(struct visitors_of *of, const struct addr *peer)
{
	if (of->count == of->room && of->room < VISITORS_MAX) {
		size_t room = of->room ? of->room * 2 : 16;
		struct addr *peers = reallocarray(of->peers, room, sizeof *peers);

		if (peers) {
			of->peers = peers;
			of->room = room;
		}
	}
	if (of->count < of->room)
		of->peers[of->count++] = *peer;
	else
		of->too_many = true;
}

bool visitors_has(const struct visitors_of *of, const struct addr *peer)
{
	for (size_t i = 0; i < of->count; i++)
		if (addr_equal(&of->peers[i], peer))
			return true;
	return of->too_many;
}

void visitors_free(struct visitors *v)
{
	for (size_t i = 0; i < PORTMAP_MAPPINGS_MAX; i++)
		clear(&v->of[i]);
}
