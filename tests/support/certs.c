/* SPDX-License-Identifier: Apache-2.0 */
/* certs: a CA and certificates for tests, made on the spot. */
#include "core/engine/csr.h"
#include "tests/support/certs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/pki/make.h"

#define DAY_S 86400

static void *need(void *made, const char *what)
{
	if (made)
		return made;
	fprintf(stderr, "certs: cannot make %s\n", what);
	abort();
}

struct certs_ca certs_make_ca(const char *organisation)
{
	struct certs_ca ca = {.key = need(csr_new_key(), "a key")};
	time_t now = time(NULL);

	ca.x = need(pki_make_ca(ca.key, organisation, now - DAY_S, now + 365 * DAY_S), "a CA");
	ca.pem = need(pki_certificate_pem(ca.x), "PEM");
	return ca;
}

void certs_free_ca(struct certs_ca *ca)
{
	EVP_PKEY_free(ca->key);
	X509_free(ca->x);
	free(ca->pem);
}

struct certs_pair certs_make_pair(const struct certs_ca *ca, enum identity_role role,
				  const char *name, long from, long to)
{
	time_t now = time(NULL);
	struct pki_request request = {
		.role = role,
		.name = name,
		.hosts = &name,
		.host_count = 1,
		.not_before = now + from,
		.not_after = now + to,
	};
	EVP_PKEY *key = need(csr_new_key(), "a key");
	X509 *x = need(pki_make_certificate(&request, key, ca->x, ca->key), "a certificate");
	struct certs_pair pair = {
		.certificate = need(pki_certificate_pem(x), "PEM"),
		.key = need(csr_key_pem(key), "PEM"),
	};

	X509_free(x);
	EVP_PKEY_free(key);
	return pair;
}

void certs_free_pair(struct certs_pair *pair)
{
	free(pair->certificate);
	pki_free_secret(pair->key);
}

struct identity *certs_identity(const struct certs_ca *own, const struct certs_ca *trusted,
				enum identity_role role, const char *name, long from, long to)
{
	struct certs_pair pair = certs_make_pair(own, role, name, from, to);
	char why[256];
	struct identity *id = identity_new(trusted->pem, pair.certificate, pair.key, time(NULL),
					   why, sizeof(why));

	if (!id)
		fprintf(stderr, "certs: %s\n", why);
	certs_free_pair(&pair);
	return need(id, "an identity");
}

/* False: there is nothing to carry. */
static bool carry_chunk(struct tls *from, struct tls *to, size_t chunk)
{
	size_t len;
	const uint8_t *bytes = tls_output(from, &len);

	if (!bytes || len == 0)
		return false;
	if (len > chunk)
		len = chunk;
	if (!tls_feed(to, bytes, len))
		need(NULL, "room in a feed");
	tls_output_drop(from, len);
	return true;
}

void certs_carry(struct tls *from, struct tls *to, size_t chunk)
{
	while (carry_chunk(from, to, chunk))
		;
}

/* One chunk at a time with a handshake step after each, so that every boundary is met. */
static enum tls_status step(struct tls *from, struct tls *to, size_t chunk)
{
	enum tls_status status = tls_handshake(to);

	while (status == TLS_AGAIN && carry_chunk(from, to, chunk))
		status = tls_handshake(to);
	return status;
}

bool certs_handshake(struct tls *client, struct tls *server, size_t chunk)
{
	enum tls_status c = TLS_AGAIN, s = TLS_AGAIN;

	for (int turns = 0; turns < 10 && (c == TLS_AGAIN || s == TLS_AGAIN); turns++) {
		c = step(server, client, chunk);
		s = step(client, server, chunk);
	}
	return c == TLS_OK && s == TLS_OK;
}

void certs_tag(struct tls *t, uint8_t out[TAG_BYTES])
{
	uint8_t key[CONF_TAG_KEY_BYTES];

	memset(key, CERTS_TAG_KEY_BYTE, sizeof(key));
	if (!tag_make(t, key, out))
		memset(out, 0, TAG_BYTES);
}

/* A PEM text as a block of YAML. */
static size_t block_yaml(const char *key, const char *pem, char *out, size_t room)
{
	size_t n = (size_t)snprintf(out, room, "  %s: |\n", key);

	while (*pem && n < room) {
		size_t len = strcspn(pem, "\n");

		n += (size_t)snprintf(out + n, room - n, "    %.*s\n", (int)len, pem);
		pem += len + (pem[len] == '\n');
	}
	return n;
}

void certs_yaml(const char *ca, const char *certificate, const char *key, char *out, size_t room)
{
	size_t n = (size_t)snprintf(out, room, "identity:\n");

	n += block_yaml("ca", ca, out + n, room - n);
	n += block_yaml("certificate", certificate, out + n, room - n);
	n += block_yaml("key", key, out + n, room - n);
	(void)block_yaml("tag_keys", CERTS_TAG_KEYS, out + n, room - n);
}
