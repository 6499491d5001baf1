/* SPDX-License-Identifier: Apache-2.0 */
/* signed: signed revocations for tests. Any failure ends the test program. */
#ifndef POSTERN_TESTS_SIGNED_H
#define POSTERN_TESTS_SIGNED_H

#include "core/engine/signed_revocations.h"
#include "tests/support/certs.h"

/* What r leaves 0 is filled in: revoke, a name, up to now; issued now, with the highest counter of
 * that time; kept for a year. */
struct signed_revocation signed_filled(const struct signed_revocation *r);
/* The same, signed; returns the object's size. */
size_t signed_make(const struct identity *signer, const struct signed_revocation *r,
		   uint8_t out[REVOCATION_MAX]);
/* By the CA's own key. */
size_t signed_make_by_ca(const struct certs_ca *ca, const struct signed_revocation *r,
			 uint8_t out[REVOCATION_MAX]);

#endif
