/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity_relay: judges a relay's certificate, and says in words what is wrong with it: the person
 * who reads them sits in a hotel, and the cause may be the hotel.
 */
#include "core/engine/identity_internal.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define DATE_BYTES 32

/* Where distributions keep the system's CAs in one file. */
static const char *const system_files[] = {
	"/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine, Arch */
	"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
	"/etc/ssl/ca-bundle.pem",	      /* openSUSE */
	"/etc/ssl/cert.pem",
};

/* ---- the system's CAs ---- */

/* Of the process: no identity's own. Read again by identity_load_system(), and kept where that
 * finds none. */
static struct {
	pthread_mutex_t lock;
	X509_STORE *store; /* NULL: not read yet, or none found */
} of_system = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* As c_rehash(1) names them: eight hex digits, a dot and a number. */
static bool is_hashed_name(const char *name)
{
	size_t digits = strspn(name, "0123456789abcdef");

	return digits == 8 && name[8] == '.' && name[9] &&
	       strspn(name + 9, "0123456789") == strlen(name + 9);
}

static void read_directory(X509_STORE *store, const char *path)
{
	DIR *dir = opendir(path);
	char file[PATH_MAX];

	for (struct dirent *e; dir && (e = readdir(dir));)
		if (is_hashed_name(e->d_name) &&
		    snprintf(file, sizeof(file), "%s/%s", path, e->d_name) < (int)sizeof(file))
			X509_STORE_load_locations(store, file, NULL);
	if (dir)
		closedir(dir);
}

/* "DIR:DIR" */
static void read_directories(X509_STORE *store, const char *list)
{
	char path[PATH_MAX];

	for (const char *at = list; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL) {
		size_t len = strcspn(at, ":");

		if (len == 0 || len >= sizeof(path))
			continue;
		memcpy(path, at, len);
		path[len] = '\0';
		read_directory(store, path);
	}
}

/* What loading says is not asked: of a file that is not there it says no, or nothing. */
static bool has_any(X509_STORE *store)
{
	return sk_X509_OBJECT_num(X509_STORE_get0_objects(store)) > 0;
}

/* What the environment names counts in place of the system's. */
static X509_STORE *read_system(void)
{
	const char *file = getenv("SSL_CERT_FILE"), *dirs = getenv("SSL_CERT_DIR");
	X509_STORE *store = X509_STORE_new();

	if (store && file)
		X509_STORE_load_locations(store, file, NULL);
	if (store && dirs)
		read_directories(store, dirs);
	for (size_t i = 0; store && !file && !dirs && !has_any(store) &&
			   i < sizeof(system_files) / sizeof(system_files[0]);
	     i++)
		X509_STORE_load_locations(store, system_files[i], NULL);
	ERR_clear_error();
	if (store && has_any(store))
		return store;
	X509_STORE_free(store);
	return NULL;
}

bool identity_load_system(void)
{
	X509_STORE *store = read_system();
	bool known;

	pthread_mutex_lock(&of_system.lock);
	if (store) {
		X509_STORE_free(of_system.store);
		of_system.store = store;
	}
	known = of_system.store != NULL;
	pthread_mutex_unlock(&of_system.lock);
	return known;
}

/* A reference of the caller's, or NULL. */
static X509_STORE *system_store(void)
{
	X509_STORE *store;

	pthread_mutex_lock(&of_system.lock);
	if (!of_system.store)
		of_system.store = read_system();
	store = of_system.store;
	if (store)
		X509_STORE_up_ref(store);
	pthread_mutex_unlock(&of_system.lock);
	return store;
}

/* ---- the sentences ---- */

static const char *date_text(time_t t, char out[DATE_BYTES])
{
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(out, DATE_BYTES, "%Y-%m-%d %H:%M UTC", &tm))
		snprintf(out, DATE_BYTES, "an unreadable date");
	return out;
}

static bool name_matches(X509 *leaf, const char *host)
{
	uint8_t literal[16];

	if (inet_pton(AF_INET, host, literal) == 1 || inet_pton(AF_INET6, host, literal) == 1)
		return X509_check_ip_asc(leaf, host, 0) == 1;
	/* Names stand in the subjectAltName only (RFC 6125 section 6.4.4). */
	return X509_check_host(leaf, host, strlen(host),
			       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
				       X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
			       NULL) == 1;
}

static void explain_foreign(const struct identity *id, X509 *leaf, const char *host,
			    bool system_trust, char *why, size_t why_size)
{
	char organisation[CERTIFICATE_TEXT_BYTES], issuer[CERTIFICATE_TEXT_BYTES];

	certificate_name_text(X509_get_issuer_name(leaf), false, organisation);
	certificate_name_text(X509_get_issuer_name(leaf), true, issuer);
	if (strcmp(organisation, id->ca_name) == 0) {
		snprintf(why, why_size,
			 "the certificate of %s names the CA \"%s\" but was signed with another "
			 "key; if that CA was made anew, issue this side's file again with "
			 "'postern pki issue'",
			 host, id->ca_name);
		return;
	}
	/* Who intercepts makes a certificate for the name that was asked for. */
	if (!name_matches(leaf, host)) {
		snprintf(why, why_size,
			 "what answers for %s is another server, with a certificate for another "
			 "name, issued by \"%s\": check that the relay's name still leads to "
			 "it, and that this network neither intercepts TLS nor wants a login first",
			 host, issuer);
		return;
	}
	snprintf(why, why_size,
		 "TLS is being intercepted by %s: the certificate for %s was issued by \"%s\" "
		 "instead of by your organisation's CA \"%s\"%s; ask the administrator of that "
		 "network for an exception for %s, or for the proxy to pass it through%s",
		 organisation, host, issuer, id->ca_name,
		 system_trust ? " or by a CA that this system trusts" : "", host,
		 system_trust ? ""
			      : "; if the relay has it from a public CA, write "
				"trust: system for it in this side's file");
}

static void explain_time(const struct identity_verdict *v, const char *host, bool by_system,
			 time_t now, char *why, size_t why_size)
{
	char date[DATE_BYTES], here[DATE_BYTES];
	const char *whose = v->is_leaf ? "the certificate" : "the CA above the certificate";

	if (v->error == X509_V_ERR_CERT_HAS_EXPIRED)
		snprintf(why, why_size, "%s of %s expired on %s; the relay's operator %s", whose,
			 host, date_text(v->not_after, date),
			 by_system ? "has its public CA make a new one"
				   : "issues a new one with 'postern pki issue'");
	else
		snprintf(
			why, why_size,
			"%s of %s is valid only from %s, but the clock here says %s; set the clock",
			whose, host, date_text(v->not_before, date), date_text(now, here));
}

static void identity_explain(const struct identity *id, const struct identity_verdict *v,
			     X509 *leaf, const char *host, bool system_trust, bool by_system,
			     time_t now, char *why, size_t why_size)
{
	switch (v->error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		explain_time(v, host, by_system, now, why, why_size);
		break;
	case X509_V_ERR_INVALID_PURPOSE:
		snprintf(why, why_size,
			 "the certificate of %s is not one for a relay; issue one with 'postern "
			 "pki issue DIR relay'",
			 host);
		break;
	case X509_V_ERR_OUT_OF_MEM:
		snprintf(why, why_size, "out of memory");
		break;
	default:
		explain_foreign(id, leaf, host, system_trust, why, why_size);
	}
}

/* ---- the check ---- */

static bool is_foreign(int error)
{
	switch (error) {
	case X509_V_OK:
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
	case X509_V_ERR_INVALID_PURPOSE:
	case X509_V_ERR_OUT_OF_MEM:
		return false;
	default:
		return true;
	}
}

/* One serial number in a million is longer than CAs may make it (RFC 5280 section 4.1.2.2): such a
 * certificate is known by its key alone. False without memory. */
static bool keep_relay(X509 *leaf, const struct identity_verdict *v, bool by_system,
		       struct identity_peer *out)
{
	struct identity_peer peer = {
		.role = IDENTITY_RELAY,
		.not_before = certificate_time(X509_get0_notBefore(leaf)),
		.not_after = v->ends,
		.by_system = by_system,
	};

	memcpy(peer.ca, v->anchor, sizeof(peer.ca));
	if (!certificate_serial(leaf, peer.serial))
		peer.serial[0] = '\0';
	if (!identity_key_of(leaf, peer.key))
		return false;
	*out = peer;
	return true;
}

/* By our CA or, where that has not signed it, by the system's if they count. */
static struct identity_verdict judge_chain(const struct identity *id, STACK_OF(X509) * chain,
					   bool system_trust, time_t now, bool *by_system)
{
	X509 *leaf = sk_X509_value(chain, 0);
	X509_STORE *system = NULL;
	struct identity_verdict v;

	v = identity_verify_chain(id->ca, leaf, chain, X509_PURPOSE_SSL_SERVER, now);
	if (system_trust && is_foreign(v.error))
		system = system_store();
	if (system)
		v = identity_verify_chain(system, leaf, chain, X509_PURPOSE_SSL_SERVER, now);
	X509_STORE_free(system);
	*by_system = system != NULL;
	return v;
}

static bool check_leaf(const struct identity *id, STACK_OF(X509) * chain, const char *host,
		       bool system_trust, time_t now, struct identity_peer *out, char *why,
		       size_t why_size)
{
	X509 *leaf = sk_X509_value(chain, 0);
	struct identity_verdict v;
	struct identity_peer peer;
	char names[512];
	bool by_system;

	v = judge_chain(id, chain, system_trust, now, &by_system);
	if (v.error != X509_V_OK) {
		identity_explain(id, &v, leaf, host, system_trust, by_system, now, why, why_size);
		return false;
	}
	if (identity_of_certificate(leaf, &peer)) {
		snprintf(why, why_size, "the certificate of %s is that of \"%s\", not a relay's",
			 host, peer.name);
		return false;
	}
	if (!name_matches(leaf, host)) {
		certificate_hosts(leaf, names, sizeof(names));
		snprintf(why, why_size,
			 "the relay's certificate is for %s, not for %s; use that name in "
			 "'relays', or issue the relay's certificate with --host %s",
			 names, host, host);
		return false;
	}
	snprintf(why, why_size, "out of memory");
	return keep_relay(leaf, &v, by_system, out);
}

/* After the certificate, which tells who takes TLS apart on the way. */
static bool check_version(const SSL *ssl, const char *host, char *why, size_t why_size)
{
	if (SSL_version(ssl) >= TLS1_3_VERSION)
		return true;
	snprintf(why, why_size,
		 "%s speaks no TLS 1.3, which every relay does; check that the address is that of "
		 "a relay, and that nothing in front of it ends TLS",
		 host);
	return false;
}

bool identity_check_relay(const struct identity *id, SSL *ssl, const char *host, bool system_trust,
			  time_t now, struct identity_peer *out, char *why, size_t why_size)
{
	STACK_OF(X509) *chain = SSL_get_peer_full_cert_chain(ssl);
	struct identity_peer peer;
	bool ok;

	if (!chain || sk_X509_num(chain) == 0) {
		snprintf(why, why_size, "%s presented no certificate", host);
		return false;
	}
	ok = check_leaf(id, chain, host, system_trust, now, &peer, why, why_size) &&
	     check_version(ssl, host, why, why_size);
	ERR_clear_error();
	if (ok)
		*out = peer;
	return ok;
}

/* ---- before it is presented ---- */

static void explain_unknown(STACK_OF(X509) * chain, bool system_trust, char *why, size_t why_size)
{
	X509 *last = sk_X509_value(chain, sk_X509_num(chain) - 1);
	char issuer[CERTIFICATE_TEXT_BYTES];

	if (!system_trust) {
		snprintf(why, why_size,
			 "it accepts no certificate but those of identity.ca at this relay; write "
			 "'trust: system' there in its file, and in those of all agents and "
			 "consoles, before");
		return;
	}
	certificate_name_text(X509_get_issuer_name(last), true, issuer);
	snprintf(why, why_size,
		 "the last of these certificates was issued by \"%s\", which is no CA that this "
		 "system trusts; bring the file that has the whole chain, up to such a one",
		 issuer);
}

bool identity_foresees_relay(const struct identity *id, STACK_OF(X509) * chain, const char *host,
			     bool system_trust, time_t now, char *why, size_t why_size)
{
	struct identity_peer peer;
	bool ok = false, by_system;

	if (is_foreign(judge_chain(id, chain, system_trust, now, &by_system).error))
		explain_unknown(chain, system_trust, why, why_size);
	else
		ok = check_leaf(id, chain, host, system_trust, now, &peer, why, why_size);
	ERR_clear_error();
	return ok;
}
