/* SPDX-License-Identifier: Apache-2.0 */
/*
 * renewed: whether a certificate that comes back may take the place of the one in force. Pure.
 *
 * Judged before anything is changed, as peers would judge it, since one that they refuse would cut
 * the program off from them.
 */
#ifndef POSTERN_ENGINE_RENEWED_H
#define POSTERN_ENGINE_RENEWED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "core/must_check.h"
#include "core/parse/signing.h"

#define RENEWED_WHY_BYTES 512

/* identity.certificate: of one of these CAs, valid now, for all that before is for: of an agent
 * role and name, of a relay each of its names. key: the id of the one that it is for. False: why is
 * a sentence. */
bool renewed_identity(const char *ca_pem, const char *before_pem, const char *pem, time_t now,
		      uint8_t key[SIGNING_KEY_BYTES], char why[RENEWED_WHY_BYTES]) MUST_CHECK;

/* tls.certificate, of any CA: valid now, its chain in order, and for at least one of the DNS names
 * of before, unless force. */
bool renewed_front(const char *before_pem, const char *pem, bool force, time_t now,
		   uint8_t key[SIGNING_KEY_BYTES], char why[RENEWED_WHY_BYTES]) MUST_CHECK;

#endif
