/* SPDX-License-Identifier: Apache-2.0 */
/* tag: HMACs over what a TLS session exports. */
#include "core/engine/tag.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>

#define TAG_LABEL "postern/2 tag" /* and its zero byte */

/* What a tag's HMAC is of. */
struct tag_message {
	uint8_t bytes[sizeof(TAG_LABEL) + TLS_EXPORT_BYTES];
};

static bool tag_message_make(struct tls *t, struct tag_message *m)
{
	memcpy(m->bytes, TAG_LABEL, sizeof(TAG_LABEL));
	return tls_export(t, TLS_EXPORT_TAG, m->bytes + sizeof(TAG_LABEL));
}

static bool tag_of(const struct tag_message *m, const uint8_t key[CONF_TAG_KEY_BYTES],
		   uint8_t out[TAG_BYTES])
{
	unsigned len;
	bool ok = HMAC(EVP_sha256(), key, CONF_TAG_KEY_BYTES, m->bytes, sizeof(m->bytes), out,
		       &len) != NULL;

	ERR_clear_error();
	return ok;
}

bool tag_make(struct tls *t, const uint8_t key[CONF_TAG_KEY_BYTES], uint8_t out[TAG_BYTES])
{
	struct tag_message m;
	uint8_t tag[TAG_BYTES];

	if (!tag_message_make(t, &m) || !tag_of(&m, key, tag))
		return false;
	memcpy(out, tag, TAG_BYTES);
	return true;
}

size_t tag_find(struct tls *t, const struct conf_tag_keys *keys, const uint8_t *said, size_t len)
{
	struct tag_message m;
	uint8_t tag[TAG_BYTES];
	size_t found = 0;

	if (len < TAG_BYTES || !tag_message_make(t, &m))
		return 0;
	for (size_t i = 0; i < keys->count; i++)
		if (tag_of(&m, keys->keys[i], tag) && CRYPTO_memcmp(tag, said, TAG_BYTES) == 0)
			found = i + 1;
	return found;
}
