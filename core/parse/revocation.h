/* SPDX-License-Identifier: Apache-2.0 */
/*
 * revocation: a signed revocation, or what takes one back, from bytes to a struct and back.
 * docs/protocol.md is its text.
 *
 * Form alone is judged here: what one object says by itself, and whether its numbers fit together.
 * Who signed it, and whether it still counts, is for core/engine/signed_revocations.h.
 */
#ifndef POSTERN_PARSE_REVOCATION_H
#define POSTERN_PARSE_REVOCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"
#include "core/parse/wire.h"

#define REVOCATION_VERSION  1u
#define REVOCATION_NOTE_MAX 128u
#define REVOCATION_CERT_MAX 3072u
#define REVOCATION_BODY_MAX                                                                        \
	(1 + 1 + 1 + 1 + WIRE_REVOCATION_MAX + 4 * 8 + 1 + REVOCATION_NOTE_MAX + 2 +               \
	 REVOCATION_CERT_MAX)
#define REVOCATION_MAX	      (REVOCATION_BODY_MAX + 2 + WIRE_SIGNATURE_MAX)
#define REVOCATION_LABEL      "postern/2 revocation" /* and its zero byte, before what is signed */
#define REVOCATION_TEXT_MAX   (sizeof(REVOCATION_LABEL) + REVOCATION_BODY_MAX)
#define REVOCATION_TIME_MAX   (UINT64_C(1) << 40) /* seconds of Unix: sums of two do not overflow */
#define REVOCATION_AHEAD_S    3600u		  /* as a certificate begins before it is issued */
#define REVOCATION_KEPT_MAX_S (20u * 366u * 86400u) /* no certificate lasts longer */

enum revocation_verb {
	REVOCATION_REVOKE = 1,
	REVOCATION_TAKE_BACK = 2,
};

struct signed_revocation {
	enum revocation_verb verb;
	enum wire_revocation_kind kind;
	struct wire_bytes value;
	uint64_t before;  /* of a name: certificates that begin before this second; else 0 */
	uint64_t counter; /* of one kind and value the higher one counts */
	uint64_t issued, keep_until;   /* seconds of Unix */
	struct wire_bytes note;	       /* why, for people; may be empty */
	struct wire_bytes certificate; /* DER: the signing console's, or a CA's own */
	struct wire_bytes signature;
	struct wire_bytes body; /* decoded: what is signed, behind the label */
};

/* The highest counter of what is issued then: milliseconds. So a later signer can always take back
 * what was signed before. */
static inline uint64_t revocation_counter_max(uint64_t issued)
{
	return issued * 1000 + 999;
}

/* The whole of in. What is decoded points into it. False: it is none, and *out is untouched. */
bool revocation_decode(const uint8_t *in, size_t len, struct signed_revocation *out) MUST_CHECK;
/* What is to be signed, with the label before it: its size, or 0 when a field breaks a limit or
 * room is too small; REVOCATION_TEXT_MAX is enough. */
size_t revocation_text(const struct signed_revocation *r, uint8_t *out, size_t room) MUST_CHECK;
/* The object, with its signature; likewise, and REVOCATION_MAX is enough. */
size_t revocation_encode(const struct signed_revocation *r, uint8_t *out, size_t room) MUST_CHECK;

#endif
