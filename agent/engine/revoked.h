/* SPDX-License-Identifier: Apache-2.0 */
/*
 * revoked: names that relays have said are revoked.
 *
 * Each relay tells its own; a name counts as long as any of them says so. A relay can keep others
 * away by this, which it could do anyway, and let no agent in.
 */
#ifndef POSTERN_AGENT_ENGINE_REVOKED_H
#define POSTERN_AGENT_ENGINE_REVOKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/parse/wire.h"

#define REVOKED_NAMES_MAX  65536u /* of all relays together */
#define REVOKED_RELAYS_MAX 64u

struct revoked_name {
	char name[WIRE_NAME_MAX + 1];
	uint64_t relays; /* a bit for each that says so; not 0 */
};

struct revoked {
	struct revoked_name *names; /* sorted */
	size_t count, room;
	uint64_t dropped; /* that had no room, ever */
};

/* Zero-initialised is empty. */
void revoked_free(struct revoked *r);

/* This relay (below REVOKED_RELAYS_MAX) says these names, WIRE_SERVICES_MAX at most. Returns how
 * many of them no relay said before. */
size_t revoked_add(struct revoked *r, unsigned relay, const struct wire_bytes *names, size_t count);
/* This relay takes back all that it said. */
void revoked_forget(struct revoked *r, unsigned relay);

bool revoked_has(const struct revoked *r, const char *name) MUST_CHECK;

#endif
