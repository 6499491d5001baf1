/* SPDX-License-Identifier: Apache-2.0 */
/*
 * revocations: a list of certificates that count no more: by serial number, by key, or by name,
 * then all of the name or those that begin before a moment.
 *
 * A name that was revoked with a moment can be issued again: what begins later is good. The list
 * of a relay's configuration is one, and what a relay has told is another at an agent.
 *
 * It is filled, then finished once, then asked. Bounded, and without a clock: what it says does not
 * change with time.
 */
#ifndef POSTERN_ENGINE_REVOCATIONS_H
#define POSTERN_ENGINE_REVOCATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/engine/identity.h"
#include "core/must_check.h"
#include "core/parse/wire.h"

#define REVOCATIONS_MAX	       16384u /* in a relay's configuration */
#define REVOCATIONS_SIGNED_MAX 1024u  /* that a program keeps: core/engine/signed_revocations.h */
#define REVOCATIONS_LIST_MAX   (REVOCATIONS_MAX + REVOCATIONS_SIGNED_MAX)
#define REVOCATIONS_ALWAYS     0 /* before: whenever it begins */

struct revocation {
	enum wire_revocation_kind kind;
	char value[WIRE_REVOCATION_MAX + 1];
	int64_t before; /* certificates that begin before this second; or ALWAYS */
};

struct revocations {
	struct revocation *list; /* once finished: sorted, each kind and value once */
	size_t count, room;
	size_t dropped; /* that had no room */
	/* Another list that counts beside this one; borrowed. NULL: none. */
	const struct revocations *beside;
};

/* Zero-initialised is empty. */
void revocations_free(struct revocations *r);
/* False, and counted as dropped: the list is full, or memory is. */
bool revocations_add(struct revocations *r, const struct revocation *fresh) MUST_CHECK;
/* Sorts. Of several with one kind and value the one that revokes the most is left. */
void revocations_finish(struct revocations *r);

/* ---- NULL is an empty list ---- */

bool revocations_cover(const struct revocations *r, const struct identity_peer *peer) MUST_CHECK;
/* Every certificate of this name: it need not be seen. */
bool revocations_cover_name(const struct revocations *r, const char *name) MUST_CHECK;
/* The same for two lists that are the same, without those beside them, and never 0. */
uint64_t revocations_mark(const struct revocations *r);

/* ---- values ---- */

/* "agent", "serial" or "key": the key of a configuration or call that has the value of this kind.
 * FIRST to LAST are all kinds. */
#define REVOCATION_FIRST WIRE_REVOKED_NAME
#define REVOCATION_LAST	 WIRE_REVOKED_KEY
const char *revocation_word(enum wire_revocation_kind kind);

/* Serial number and key as they stand in a list: digits and a-f. False: that is none. */
bool revocation_is_serial(const char *text) MUST_CHECK;
bool revocation_is_key(const char *text) MUST_CHECK;
/* A key's text. */
void revocation_key_text(const uint8_t key[IDENTITY_KEY_BYTES], char out[WIRE_REVOCATION_MAX + 1]);

#endif
