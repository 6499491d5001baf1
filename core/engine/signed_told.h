/* SPDX-License-Identifier: Apache-2.0 */
/* signed_told: what consoles and journals are told of signed revocations, the same of relays and
 * agents. */
#ifndef POSTERN_ENGINE_SIGNED_TOLD_H
#define POSTERN_ENGINE_SIGNED_TOLD_H

#include "core/engine/signed_revocations.h"

#define SIGNED_BY_BYTES	  96
#define SIGNED_TOLD_NAMES 32u /* that one event names; it counts all */

/* "console:ops", "the CA"; returns out. */
const char *signed_by_text(const struct signed_entry *e, char out[SIGNED_BY_BYTES]);
/* {agent or serial or key, revoked, by, counter, before?, issued, until, note?}, owned. */
json_t *signed_entry_json(const struct signed_entry *e);
/* For status: {used, most, aside, refused}, owned. */
json_t *signed_table_json(const struct signed_revocations *all, uint64_t refused);

/* ---- what counts no more, or again ---- */

struct signed_told {
	struct signed_listener listener;
	struct signed_changes {
		size_t count;
		json_t *names; /* of the first; NULL: of none */
	} lapsed, restored;
};

enum signed_cause {
	SIGNED_BY_OTHER_CAS, /* identity.ca is another */
	SIGNED_BY_A_THIEF,   /* a CA's own key has revoked a console that had signed */
};

/* Its listener notes what changes. It stays where it is. */
void signed_told_open(struct signed_told *t);
void signed_told_free(struct signed_told *t);
/* Notes as lapsed what waits for its CA, and nothing that counts speaks of. */
void signed_told_waiting(struct signed_told *t, const struct signed_revocations *all);
/* The data of an event "revocation.lapsed", or with counts "revocation.restored": {count, what,
 * text}, owned. NULL: there is none to tell. */
json_t *signed_told_event(const struct signed_told *t, bool counts, enum signed_cause cause);

#endif
