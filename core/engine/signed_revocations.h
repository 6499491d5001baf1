/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signed_revocations: what a program has learned of revocations that a console or a CA has signed.
 *
 * Theory of operation
 *
 * An object revokes one name (up to a moment), serial number or key, or takes that back; of each
 * such subject the one with the highest counter counts, and stays, so that an older one that is
 * told again does nothing. A counter is no higher than the milliseconds of its time of issue: what
 * is signed later wins over any console of before.
 *
 * A CA's own key stands above consoles. What it says of a subject has a place of its own, beside
 * what consoles say: it takes back what is older, and no console takes back what it revokes.
 *
 * A relay that carries objects may keep them back, mix them up or repeat them, and can forge none.
 * So what is learned is kept, and doubt leaves a certificate revoked:
 *
 * - what revokes, and no less than what is known, is taken if it was issued in the time of its
 *   signer's certificate, also when that has ended since or was revoked by another console later:
 *   else what it revoked would be let in again with it;
 * - what takes back, or revokes less than what is known, is taken from a signer whose certificate
 *   is good now.
 *
 * When something was signed nobody can check: a stolen console dates back. So where a CA's own key
 * revokes a console, all that this console has signed goes, and what it signs is refused.
 *
 * Objects rest on the CAs of identity.ca. When these change all are verified again: those that
 * verify no more are put aside, where they revoke nothing and are told to no peer, and count again
 * when their CA comes back, as after a trial. No time is asked then.
 *
 * An object says until when what it names could last. After that it makes room where room is wanted
 * and not before, so that a clock that leaps loses none. What is aside makes room first.
 *
 * Bounded: of the places one console has a quarter, and the last quarter is the CAs'. No files: as
 * JSON it is kept by its owner. Entries are shared between copies of a table, and never change.
 */
#ifndef POSTERN_ENGINE_SIGNED_REVOCATIONS_H
#define POSTERN_ENGINE_SIGNED_REVOCATIONS_H

#include <jansson.h>
#include <stdatomic.h>

#include "core/engine/identity_revocation.h"
#include "core/engine/revocations.h"

#define SIGNED_REVOCATIONS_OF_ONE      (REVOCATIONS_SIGNED_MAX / 4)
#define SIGNED_REVOCATIONS_OF_CONSOLES (REVOCATIONS_SIGNED_MAX / 4 * 3)

struct signed_entry {
	_Atomic unsigned refs;
	uint32_t number;	       /* the table's, ascending in the order of being taken */
	struct signed_revocation what; /* points into bytes */
	struct revocation_signer signer;
	struct revocation revokes; /* its subject, and up to when */
	size_t len;
	uint8_t bytes[]; /* the object */
};

struct signed_revocations {
	struct signed_entry **entries; /* that count, by number */
	struct signed_entry **aside;   /* that do not verify with the CAs in force */
	size_t count, aside_count;
	size_t room;		 /* in each of both for all */
	uint32_t last;		 /* number */
	struct revocations list; /* what is revoked by them; at the same address for good */
};

/* Told of each entry, beside the one that was taken, that counts no more, or counts again. */
struct signed_listener {
	void (*changed)(struct signed_listener *l, const struct signed_entry *e, bool counts);
};

/* Zero-initialised is empty. */
void signed_revocations_free(struct signed_revocations *all);
/* Into an empty one. False without memory: it stays empty. */
bool signed_revocations_copy(const struct signed_revocations *all,
			     struct signed_revocations *out) MUST_CHECK;

/* An object that was told. TAKEN: it is the last of the entries; else what counts has not changed.
 * id has the CAs that count; listener may be NULL. */
enum revocation_outcome signed_revocations_take(struct signed_revocations *all,
						const struct identity *id, const uint8_t *bytes,
						size_t len, time_t now,
						struct signed_listener *listener) MUST_CHECK;
/* Other CAs are in force: id's. */
void signed_revocations_review(struct signed_revocations *all, const struct identity *id,
			       struct signed_listener *listener);
/* Of this kind and value: one that revokes it, else one that takes it back; NULL: none. */
const struct signed_entry *signed_revocations_find(const struct signed_revocations *all,
						   enum wire_revocation_kind kind,
						   const char *value);
/* Whether it revokes, for it may take back. */
static inline bool signed_entry_revokes(const struct signed_entry *e)
{
	return e->what.verb == REVOCATION_REVOKE;
}

/* Whether e, which is aside, revokes or takes back what nothing that counts speaks of. */
static inline bool signed_revocations_waits(const struct signed_revocations *all,
					    const struct signed_entry *e)
{
	return !signed_revocations_find(all, e->what.kind, e->revokes.value);
}

/* ---- what is kept ---- */

/* An array of texts, of what is aside, too; NULL without memory. */
json_t *signed_revocations_keep(const struct signed_revocations *all) MUST_CHECK;
/* Takes what this program has kept itself: it was judged when it was told. Of what does not verify
 * any more, as of a CA that is trusted no longer, it returns how many. */
size_t signed_revocations_recall(struct signed_revocations *all, const struct identity *id,
				 const json_t *kept) MUST_CHECK;

#endif
