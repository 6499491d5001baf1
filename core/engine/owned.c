/* SPDX-License-Identifier: Apache-2.0 */
/* owned: walks two documents along the schema, and compares two lists of CAs. */
#include "core/engine/owned.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/engine/certificate.h"

/* ---- CAs ---- */

/* check_issued looks at names, key identifiers and whether the issuer's key is for signing
 * certificates; then the signature itself. */
static bool owned_signed_by(X509 *x, X509 *issuer, time_t now)
{
	EVP_PKEY *key = X509_get_pubkey(issuer);
	bool ok = key && X509_check_issued(issuer, x) == X509_V_OK && X509_verify(x, key) == 1 &&
		  (now == 0 || certificate_time(X509_get0_notAfter(issuer)) > now);

	EVP_PKEY_free(key);
	ERR_clear_error();
	return ok;
}

static bool owned_has(const STACK_OF(X509) * list, const X509 *x)
{
	for (size_t i = 0; i < sk_X509_num(list); i++)
		if (X509_cmp(sk_X509_value(list, i), x) == 0)
			return true;
	return false;
}

static bool owned_vouched(const STACK_OF(X509) * list, X509 *x, time_t now)
{
	for (size_t i = 0; i < sk_X509_num(list); i++)
		if (owned_signed_by(x, sk_X509_value(list, i), now))
			return true;
	return false;
}

static enum owned_cas owned_compare(const STACK_OF(X509) * before, const STACK_OF(X509) * after,
				    time_t now)
{
	size_t left = 0;

	for (size_t i = 0; i < sk_X509_num(after); i++) {
		X509 *x = sk_X509_value(after, i);

		if (owned_has(before, x))
			left++;
		else if (!owned_vouched(before, x, now))
			return OWNED_CAS_STRANGER;
	}
	return left > 0 ? OWNED_CAS_FOLLOW : OWNED_CAS_REPLACED;
}

enum owned_cas owned_judge_cas(const char *before, const char *after, time_t now)
{
	STACK_OF(X509) *was = before ? certificates_of_pem(before) : NULL;
	STACK_OF(X509) *is = after ? certificates_of_pem(after) : NULL;
	enum owned_cas answer = was && is ? owned_compare(was, is, now) : OWNED_CAS_STRANGER;

	sk_X509_pop_free(was, X509_free);
	sk_X509_pop_free(is, X509_free);
	return answer;
}

/* ---- documents ---- */

struct owned_walk {
	time_t now;
	struct conf_errors *errors;
};

static void owned_look_cas(const struct owned_walk *w, const char *path, const json_t *before,
			   const json_t *after)
{
	switch (owned_judge_cas(json_string_value(before), json_string_value(after), w->now)) {
	case OWNED_CAS_FOLLOW:
		break;
	case OWNED_CAS_STRANGER:
		conf_error(w->errors, NULL, path,
			   "has a CA that none of those in force has signed, which no console can "
			   "bring in; \"postern pki rotate DIR ca\" makes one that is signed, and "
			   "the program's own file may name any");
		break;
	case OWNED_CAS_REPLACED:
		conf_error(w->errors, NULL, path,
			   "has none of the CAs in force any more; leave one of them beside the "
			   "new one, and take it out when all have certificates of the new one");
		break;
	}
}

static void owned_look(const struct owned_walk *w, const struct conf_field *fields,
		       const char *path, const json_t *before, const json_t *after)
{
	char child[CONF_PATH_BYTES];

	for (const struct conf_field *f = fields; f->key; f++) {
		const json_t *was = json_object_get(before, f->key);
		const json_t *is = json_object_get(after, f->key);

		conf_path_key(child, path, f->key);
		if (f->type == CONF_STRUCT)
			owned_look(w, f->fields, child, was, is);
		else if (was && is ? json_equal(was, is) : was == is)
			continue;
		else if (f->owner == CONF_OF_FILE)
			conf_error(w->errors, NULL, child,
				   "is said by the program's own file alone, and no console "
				   "changes it; write it there, and leave it here as \"config "
				   "get\" shows it");
		else if (f->owner == CONF_OF_CAS)
			owned_look_cas(w, child, was, is);
	}
}

bool owned_may_change(const struct conf_field *fields, const json_t *before, const json_t *after,
		      time_t now, struct conf_errors *errors)
{
	const struct owned_walk w = {.now = now, .errors = errors};
	size_t known = errors->count;

	owned_look(&w, fields, "", before, after);
	return errors->count == known;
}
