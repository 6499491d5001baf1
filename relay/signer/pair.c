/* SPDX-License-Identifier: Apache-2.0 */
/* pair: a certificate of a public CA and its key, which another program renews in files. */
#include "relay/signer/pair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/engine/front_certificate.h"
#include "core/memory.h"

/* text: what came with the error, or NULL. */
static const char *reading_failed(int error, const char *text)
{
	switch (error) {
	case -EKEYREJECTED:
		return text ? text : strerror(EKEYREJECTED);
	case -EINVAL:
		return "is no regular file";
	case -EFBIG:
		return "is larger than 4 MiB";
	case -ENOKEY:
		return "has no private key, as PEM without a password, at its beginning";
	default:
		return strerror(-error);
	}
}

bool pair_place(struct signer *s, const struct pair_paths *paths, char why[PAIR_WHY_BYTES])
{
	int error = signer_place(s, SIGNING_CERTIFICATE, paths->certificate);

	if (error) {
		snprintf(why, PAIR_WHY_BYTES, "tls.certificate_file: %s: %s", paths->certificate,
			 strerror(-error));
		return false;
	}
	error = signer_place(s, SIGNING_KEY, paths->key);
	if (error)
		snprintf(why, PAIR_WHY_BYTES, "tls.key_file: %s: %s", paths->key, strerror(-error));
	return error == 0;
}

/* False: why has a sentence. */
static bool pair_read_key(struct signer *s, const char *path, uint8_t id[SIGNING_KEY_BYTES],
			  char why[PAIR_WHY_BYTES])
{
	char *text = NULL;
	size_t len = 0;
	int error = signer_read(s, SIGNING_KEY, &text, &len);

	if (!error && len != SIGNING_KEY_BYTES)
		error = -EPROTO;
	if (error)
		snprintf(why, PAIR_WHY_BYTES, "tls.key_file: %s: %s", path,
			 reading_failed(error, text));
	else
		memcpy(id, text, SIGNING_KEY_BYTES);
	memory_free(text);
	return error == 0;
}

/* Whether the text is that of a certificate for this key. */
static bool pair_fits(const char *pem, const uint8_t key[SIGNING_KEY_BYTES],
		      const struct pair_paths *paths, char why[PAIR_WHY_BYTES])
{
	char wrong[256];
	uint8_t wanted[SIGNING_KEY_BYTES];
	struct front_certificate *f = front_certificate_new(pem, wrong, sizeof(wrong));
	bool fits;

	if (!f) {
		snprintf(why, PAIR_WHY_BYTES, "tls.certificate_file: %s: %s", paths->certificate,
			 wrong);
		return false;
	}
	front_certificate_key_id(f, wanted);
	front_certificate_free(f);
	fits = memcmp(wanted, key, sizeof(wanted)) == 0;
	if (!fits)
		snprintf(why, PAIR_WHY_BYTES,
			 "tls.key_file: %s: is not the key of the first certificate in %s",
			 paths->key, paths->certificate);
	return fits;
}

char *pair_read(struct signer *s, const struct pair_paths *paths, char why[PAIR_WHY_BYTES])
{
	uint8_t key[SIGNING_KEY_BYTES];
	char *pem = NULL;
	size_t len = 0;
	int error;

	if (!pair_read_key(s, paths->key, key, why))
		return NULL;
	error = signer_read(s, SIGNING_CERTIFICATE, &pem, &len);
	if (error) {
		snprintf(why, PAIR_WHY_BYTES, "tls.certificate_file: %s: %s", paths->certificate,
			 reading_failed(error, pem));
		memory_free(pem);
		return NULL;
	}
	if (pair_fits(pem, key, paths, why))
		return pem;
	memory_free(pem);
	return NULL;
}
