/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun_credentials: what a link proves itself with where it asks the relay over STUN. Both ends
 * derive the password; it is never sent.
 */
#ifndef POSTERN_CORE_ENGINE_STUN_CREDENTIALS_H
#define POSTERN_CORE_ENGINE_STUN_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

#define STUN_CREDENTIALS_USERNAME 24u /* the numbers of link and round in lower-case hex */
#define STUN_CREDENTIALS_PASSWORD 64u
#define STUN_CREDENTIALS_SECRET	  32u

/* Short-term credentials of RFC 8489 section 9.1. Texts, so that OpaqueString changes nothing. */
struct stun_credentials {
	char username[STUN_CREDENTIALS_USERNAME + 1];
	char password[STUN_CREDENTIALS_PASSWORD + 1]; /* 32 bytes of HKDF in lower-case hex */
};

/* Of the link of this number and leg secret, for round 0, which is none. False without memory; out
 * is untouched then. */
bool stun_credentials_make(uint64_t link, const uint8_t secret[STUN_CREDENTIALS_SECRET],
			   struct stun_credentials *out) MUST_CHECK;
/* For this round of asking: what is sent again in it has the same, and no round before had it. */
void stun_credentials_set_round(struct stun_credentials *c, uint32_t round);
/* The numbers that a USERNAME names; false: it names none. */
bool stun_credentials_read(const uint8_t *username, size_t len, uint64_t *link,
			   uint32_t *round) MUST_CHECK;

#endif
