/* SPDX-License-Identifier: Apache-2.0 */
/* stun_credentials: a link's, from its leg secret. Apart, since relay and agent share this alone.
 */
#include "core/engine/stun_credentials.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/hkdf.h>
#include <openssl/mem.h>

#include "core/hex.h"

#define LINK_DIGITS 16u

/* No other use of the secret has this label: the proof of a leg is an HMAC under the secret itself,
 * over bytes that no one can choose. */
static const char label[] = "postern/2 stun";

bool stun_credentials_make(uint64_t link, const uint8_t secret[STUN_CREDENTIALS_SECRET],
			   struct stun_credentials *out)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t key[STUN_CREDENTIALS_PASSWORD / 2];

	if (!HKDF(key, sizeof key, EVP_sha256(), secret, STUN_CREDENTIALS_SECRET, NULL, 0,
		  (const uint8_t *)label, strlen(label))) {
		ERR_clear_error();
		return false;
	}
	snprintf(out->username, sizeof out->username, "%016" PRIx64 "%08" PRIx32, link,
		 (uint32_t)0);
	for (size_t i = 0; i < sizeof key; i++) {
		out->password[2 * i] = digits[key[i] >> 4];
		out->password[2 * i + 1] = digits[key[i] & 15];
	}
	out->password[STUN_CREDENTIALS_PASSWORD] = '\0';
	OPENSSL_cleanse(key, sizeof key);
	return true;
}

void stun_credentials_set_round(struct stun_credentials *c, uint32_t round)
{
	snprintf(c->username + LINK_DIGITS, sizeof c->username - LINK_DIGITS, "%08" PRIx32, round);
}

static bool hex_read(const uint8_t *digits, size_t count, uint64_t *out)
{
	uint64_t number = 0;

	for (size_t i = 0; i < count; i++) {
		uint8_t digit;

		if (!hex_digit(digits[i], &digit))
			return false;
		number = number << 4 | digit;
	}
	*out = number;
	return number != 0;
}

bool stun_credentials_read(const uint8_t *username, size_t len, uint64_t *link, uint32_t *round)
{
	uint64_t of_link, of_round;

	if (len != STUN_CREDENTIALS_USERNAME || !hex_read(username, LINK_DIGITS, &of_link) ||
	    !hex_read(username + LINK_DIGITS, len - LINK_DIGITS, &of_round))
		return false;
	*link = of_link;
	*round = (uint32_t)of_round;
	return true;
}
