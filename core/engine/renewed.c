/* SPDX-License-Identifier: Apache-2.0 */
/* renewed: the questions, in the order in which a person would ask them. */
#include "core/engine/renewed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "core/engine/csr.h"
#include "core/engine/front_certificate.h"
#include "core/engine/identity_internal.h"

static bool renewed_refuse(char why[RENEWED_WHY_BYTES], const char *sentence)
{
	snprintf(why, RENEWED_WHY_BYTES, "%s", sentence);
	return false;
}

static bool in_its_time(const struct expiry_validity *v, time_t now, char why[RENEWED_WHY_BYTES])
{
	if (now >= v->not_after)
		return renewed_refuse(why, "the certificate, or one of its chain, has ended");
	if (now < v->not_before)
		return renewed_refuse(why, "the certificate is not valid yet; is a clock wrong?");
	return true;
}

/* ---- names ---- */

static bool names_of(X509 *before, X509 *x, struct csr_hosts lists[2], char why[RENEWED_WHY_BYTES])
{
	if (!csr_hosts_of(before, &lists[0]))
		return renewed_refuse(why, "the certificate in force is for something else than "
					   "DNS names and addresses");
	if (!csr_hosts_of(x, &lists[1]))
		return renewed_refuse(why, "the certificate is for something else than DNS names "
					   "and addresses");
	return true;
}

static bool names_stay(X509 *before, X509 *x, char why[RENEWED_WHY_BYTES])
{
	struct csr_hosts *lists = malloc(2 * sizeof(*lists));
	const char *missing = NULL;
	bool ok = lists ? names_of(before, x, lists, why) : renewed_refuse(why, "out of memory");

	if (ok)
		missing = csr_host_missing(&lists[1], &lists[0]);
	if (missing)
		snprintf(why, RENEWED_WHY_BYTES,
			 "the certificate is not for %s, as the one in force is; agents that dial "
			 "this name could not come in",
			 missing);
	free(lists);
	return ok && !missing;
}

static bool peer_stays(const struct identity_peer *before, X509 *x, char why[RENEWED_WHY_BYTES])
{
	struct identity_peer now;

	if (identity_of_certificate(x, &now) && now.role == before->role &&
	    strcmp(now.name, before->name) == 0)
		return true;
	snprintf(why, RENEWED_WHY_BYTES, "the certificate is not that of the %s %s",
		 before->role == IDENTITY_AGENT ? "agent" : "console", before->name);
	return false;
}

static bool same_holder(X509 *before, X509 *x, char why[RENEWED_WHY_BYTES])
{
	struct identity_peer was, is;

	if (identity_of_certificate(before, &was))
		return peer_stays(&was, x, why);
	if (identity_of_certificate(x, &is))
		return renewed_refuse(why,
				      "the certificate is that of an agent or console, not of a "
				      "relay");
	return names_stay(before, x, why);
}

/* ---- our own CA's ---- */

static bool signed_by_ours(const struct identity *id, time_t now, char why[RENEWED_WHY_BYTES])
{
	struct identity_verdict v =
		identity_verify_chain(id->ca, id->leaf, id->chain, X509_PURPOSE_SSL_SERVER, now);

	switch (v.error) {
	case X509_V_OK:
		return true;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return renewed_refuse(why, "the certificate, or one of its chain, has ended");
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return renewed_refuse(why, "the certificate is not valid yet; is a clock wrong?");
	default:
		return renewed_refuse(why, "the certificate is not signed by identity.ca: put "
					   "the certificate of its CA there first");
	}
}

bool renewed_identity(const char *ca_pem, const char *before_pem, const char *pem, time_t now,
		      uint8_t key[SIGNING_KEY_BYTES], char why[RENEWED_WHY_BYTES])
{
	X509 *before = certificate_of_pem(before_pem);
	struct identity *id = NULL;
	char made[RENEWED_WHY_BYTES];
	bool ok = false;

	if (!before) {
		renewed_refuse(why, "the certificate in force cannot be read");
		goto out;
	}
	id = identity_new(ca_pem, pem, NULL, now, made, sizeof(made));
	if (!id) {
		renewed_refuse(why, made);
		goto out;
	}
	ok = signed_by_ours(id, now, why) && same_holder(before, id->leaf, why);
	if (ok)
		identity_key_id(id, key);
out:
	identity_free(id);
	X509_free(before);
	ERR_clear_error();
	return ok;
}

/* ---- a public CA's ---- */

/* Each has signed the one before it. */
static bool chain_in_order(const char *pem)
{
	STACK_OF(X509) *list = certificates_of_pem(pem);
	bool ok = list != NULL;

	for (size_t i = 0; ok && i + 1 < sk_X509_num(list); i++) {
		EVP_PKEY *signer = X509_get_pubkey(sk_X509_value(list, i + 1));

		ok = signer && X509_verify(sk_X509_value(list, i), signer) == 1;
		EVP_PKEY_free(signer);
	}
	sk_X509_pop_free(list, X509_free);
	ERR_clear_error();
	return ok;
}

static bool share_a_name(const struct csr_hosts lists[2])
{
	for (size_t i = 0; i < lists[0].count; i++)
		for (size_t j = 0; j < lists[1].count; j++)
			if (strcmp(lists[0].list[i], lists[1].list[j]) == 0)
				return true;
	return false;
}

static bool some_name_stays(const char *before_pem, const char *pem, char why[RENEWED_WHY_BYTES])
{
	struct csr_hosts *lists = malloc(2 * sizeof(*lists));
	X509 *before = certificate_of_pem(before_pem), *x = certificate_of_pem(pem);
	bool ok = lists && before && x ? names_of(before, x, lists, why)
				       : renewed_refuse(why, "out of memory");

	if (ok && !share_a_name(lists))
		ok = renewed_refuse(why, "the certificate is for no name that this relay has now; "
					 "use force if it is to have others");
	X509_free(before);
	X509_free(x);
	free(lists);
	return ok;
}

bool renewed_front(const char *before_pem, const char *pem, bool force, time_t now,
		   uint8_t key[SIGNING_KEY_BYTES], char why[RENEWED_WHY_BYTES])
{
	char clause[256];
	struct front_certificate *f = front_certificate_new(pem, clause, sizeof(clause));
	struct expiry_validity v;
	bool ok;

	if (!f) {
		snprintf(why, RENEWED_WHY_BYTES, "the text %s", clause);
		return false;
	}
	v = front_certificate_validity(f);
	ok = in_its_time(&v, now, why);
	if (ok && !chain_in_order(pem))
		ok = renewed_refuse(why, "the certificates are no chain: behind the server's own "
					 "stands the one that signed it, and so on");
	ok = ok && (force || some_name_stays(before_pem, pem, why));
	if (ok)
		front_certificate_key_id(f, key);
	front_certificate_free(f);
	return ok;
}
