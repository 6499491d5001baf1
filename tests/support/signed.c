/* SPDX-License-Identifier: Apache-2.0 */
/* signed: signed revocations for tests. */
#include "tests/support/signed.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define YEAR_S (365 * 86400)

static size_t signed_need(size_t len)
{
	if (len > 0)
		return len;
	fprintf(stderr, "signed: cannot sign\n");
	abort();
}

struct signed_revocation signed_filled(const struct signed_revocation *r)
{
	struct signed_revocation out = *r;

	if (out.verb == 0)
		out.verb = REVOCATION_REVOKE;
	if (out.kind == 0)
		out.kind = WIRE_REVOKED_NAME;
	if (out.issued == 0)
		out.issued = (uint64_t)time(NULL);
	if (out.counter == 0)
		out.counter = revocation_counter_max(out.issued);
	if (out.before == 0 && out.kind == WIRE_REVOKED_NAME)
		out.before = out.issued;
	if (out.keep_until == 0)
		out.keep_until = out.issued + YEAR_S;
	return out;
}

size_t signed_make(const struct identity *signer, const struct signed_revocation *r,
		   uint8_t out[REVOCATION_MAX])
{
	const struct signed_revocation filled = signed_filled(r);

	return signed_need(identity_sign_revocation(signer, &filled, out));
}

size_t signed_make_by_ca(const struct certs_ca *ca, const struct signed_revocation *r,
			 uint8_t out[REVOCATION_MAX])
{
	const struct signed_revocation filled = signed_filled(r);

	return signed_need(revocation_sign(ca->x, ca->key, &filled, out));
}
