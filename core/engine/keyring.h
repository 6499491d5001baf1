/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyring: the private keys of a signer, by the ids of their public halves, and what it does with
 * them. Pure: no files and no sockets.
 */
#ifndef POSTERN_ENGINE_KEYRING_H
#define POSTERN_ENGINE_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/x509.h>

#include "core/must_check.h"
#include "core/parse/signing.h"

#define KEYRING_MAX                                                                                \
	32u /* keys; a further one takes the place of the one that signed longest ago              \
	     */

struct keyring;

struct keyring *keyring_new(void) MUST_CHECK;
void keyring_free(struct keyring *k);

/* Takes every private key out of a text, and leaves a reference (core/parse/keyblock.h) in its
 * place: also in the place of what is no key, to none. References stay. How many keys were
 * taken. */
size_t keyring_take(struct keyring *k, char *text, size_t len);
/* One that was made here: takes it over, and tells its id. False without memory. */
bool keyring_put(struct keyring *k, EVP_PKEY *key, uint8_t id[SIGNING_KEY_BYTES]) MUST_CHECK;
/* Not those that have been retired. */
bool keyring_has(const struct keyring *k, const uint8_t id[SIGNING_KEY_BYTES]) MUST_CHECK;
/* It will be gone: it still signs for handshakes that have begun, and nothing may begin to rest on
 * it. */
void keyring_retire(struct keyring *k, const uint8_t id[SIGNING_KEY_BYTES]);

/* Until it is retired it gives way to no other key: of KEYRING_MAX / 2 at most. Of the others those
 * go first that are retired, and then the one that signed longest ago. */
void keyring_last(struct keyring *k, const uint8_t id[SIGNING_KEY_BYTES]);

enum keyring_status {
	KEYRING_OK,
	KEYRING_NO_KEY,	 /* none has this id */
	KEYRING_REFUSED, /* the text is no server's handshake, or the algorithm not the key's */
	KEYRING_FAILED,	 /* no memory */
};

/* Signs what a server signs in a handshake, and nothing else. *len: of the signature. */
enum keyring_status keyring_sign(struct keyring *k, const uint8_t id[SIGNING_KEY_BYTES],
				 uint16_t algorithm, CBS input,
				 uint8_t signature[SIGNING_SIGNATURE_MAX], size_t *len) MUST_CHECK;

/* The id of a key, or of the key that a certificate is for. False without memory. */
bool keyring_id(EVP_PKEY *key, uint8_t out[SIGNING_KEY_BYTES]) MUST_CHECK;
bool keyring_id_of_certificate(X509 *x, uint8_t out[SIGNING_KEY_BYTES]) MUST_CHECK;

#endif
