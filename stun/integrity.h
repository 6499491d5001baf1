/* SPDX-License-Identifier: Apache-2.0 */
/*
 * integrity: MESSAGE-INTEGRITY-SHA256 (RFC 8489 section 14.6) with short-term credentials (section
 * 9.1): the key is the password, a text that OpaqueString leaves as it is.
 */
#ifndef POSTERN_STUN_INTEGRITY_H
#define POSTERN_STUN_INTEGRITY_H

#include "core/must_check.h"
#include "stun/message.h"

/* Comes last but for FINGERPRINT. */
void stun_write_integrity_sha256(struct stun_writer *w, struct stun_bytes password);

/* Whether m, decoded from bytes, has one that was made with this password, at its full length: no
 * usage of ours allows a shorter one. Compared in constant time. */
bool stun_integrity_sha256_ok(const struct stun_message *m, const uint8_t *bytes,
			      struct stun_bytes password) MUST_CHECK;

#endif
