/* SPDX-License-Identifier: Apache-2.0 */
/* integrity: one HMAC over a message's beginning. Apart, since message.c knows no keys. */
#include "stun/integrity.h"

#include <string.h>

#include <openssl/digest.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>

#define TYPE_BYTES   2u
#define BEHIND_BYTES 4u /* of a header: where what follows its length begins */

/* Of the len bytes before the attribute, with the length in the header that they have once the
 * attribute is the last one (section 14.6). */
static bool integrity_make(const uint8_t *bytes, size_t len, struct stun_bytes password,
			   uint8_t out[STUN_SHA256_BYTES])
{
	size_t body = len - STUN_HEADER_BYTES + STUN_ATTRIBUTE_BYTES + STUN_SHA256_BYTES;
	const uint8_t length[] = {(uint8_t)(body >> 8), (uint8_t)body};
	unsigned made = 0;
	HMAC_CTX h;

	HMAC_CTX_init(&h);
	bool ok = body <= UINT16_MAX &&
		  HMAC_Init_ex(&h, password.data, password.len, EVP_sha256(), NULL) &&
		  HMAC_Update(&h, bytes, TYPE_BYTES) && HMAC_Update(&h, length, sizeof length) &&
		  HMAC_Update(&h, bytes + BEHIND_BYTES, len - BEHIND_BYTES) &&
		  HMAC_Final(&h, out, &made) && made == STUN_SHA256_BYTES;
	HMAC_CTX_cleanup(&h);
	return ok;
}

void stun_write_integrity_sha256(struct stun_writer *w, struct stun_bytes password)
{
	uint8_t made[STUN_SHA256_BYTES];

	if (w->failed || !integrity_make(w->bytes, w->len, password, made)) {
		w->failed = true;
		return;
	}
	stun_write_bytes(w, STUN_MESSAGE_INTEGRITY_SHA256, made, sizeof made);
}

bool stun_integrity_sha256_ok(const struct stun_message *m, const uint8_t *bytes,
			      struct stun_bytes password)
{
	uint8_t made[STUN_SHA256_BYTES];

	if (!(m->has & STUN_HAS_MESSAGE_INTEGRITY_SHA256) ||
	    m->integrity_sha256.len != sizeof made || password.len == 0)
		return false;
	size_t before = (size_t)(m->integrity_sha256.data - bytes) - STUN_ATTRIBUTE_BYTES;
	return integrity_make(bytes, before, password, made) &&
	       CRYPTO_memcmp(made, m->integrity_sha256.data, sizeof made) == 0;
}
