/* SPDX-License-Identifier: Apache-2.0 */
/* issuer: what a CA makes of a signing request. */
#include "tests/world/issuer.h"

#include <time.h>

#include "core/engine/certificate.h"
#include "core/engine/csr.h"
#include "ctl/pki/make.h"

#define HOUR_S 3600
#define DAY_S  86400

static X509 *elsewhere(enum identity_role role, EVP_PKEY *key, time_t from, time_t to)
{
	static const char *const other_host[] = {"elsewhere"};
	const struct pki_request r = {
		.role = role,
		.name = "elsewhere",
		.hosts = other_host,
		.host_count = 1,
		.not_before = from,
		.not_after = to,
	};

	return pki_make_certificate(&r, key, world_ca.x, world_ca.key);
}

static char *pem_of(X509 *x)
{
	char *pem = x ? pki_certificate_pem(x) : NULL;

	if (!pem)
		world_broken("no certificate for a request");
	X509_free(x);
	return pem;
}

char *issuer_signs(enum who who, const char *request, enum issue how)
{
	static struct certs_ca stranger;
	enum identity_role role = who == RELAY_A ? IDENTITY_RELAY : IDENTITY_AGENT;
	time_t now = time(NULL), from = now - HOUR_S, to = now + 90 * DAY_S;
	X509 *old = certificate_of_pem(world_pairs[who].certificate), *x;
	EVP_PKEY *key = how == ISSUE_WRONG_KEY ? csr_new_key() : csr_key(request);
	const struct certs_ca *ca = &world_ca;

	if (how == ISSUE_WRONG_CA && !stranger.x)
		stranger = certs_make_ca("Strangers");
	if (how == ISSUE_WRONG_CA)
		ca = &stranger;
	if (how == ISSUE_ENDED)
		to = now - 60;
	if (how == ISSUE_TOO_EARLY)
		from = now + HOUR_S;
	if (how == ISSUE_WRONG_NAME || how == ISSUE_WRONG_ROLE)
		x = elsewhere(how == ISSUE_WRONG_ROLE ? IDENTITY_CONSOLE : role, key, from, to);
	else
		x = pki_make_again(old, key, from, to, ca->x, ca->key);
	X509_free(old);
	EVP_PKEY_free(key);
	return pem_of(x);
}

char *issuer_signs_again(enum who who, long to)
{
	time_t now = time(NULL);
	X509 *old = certificate_of_pem(world_pairs[who].certificate), *x;

	x = pki_make_again(old, NULL, now - HOUR_S, now + to, world_ca.x, world_ca.key);
	X509_free(old);
	return pem_of(x);
}
