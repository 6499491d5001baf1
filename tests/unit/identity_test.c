/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity_test: who is let in, who is not, and what they are told.
 *
 * links: core/engine/tag.c core/engine/tls.c core/engine/identity.c core/engine/identity_verify.c
 * links: core/engine/identity_relay.c core/engine/certificate.c
 * links: core/parse/wire.c core/parse/reason.c core/engine/csr.c ctl/pki/make.c tests/support/certs.c
 * links: core/engine/keyring.c core/parse/signing.c core/parse/keyblock.c core/memory.c
 * links: core/engine/browser.c core/engine/brotli.c core/addr.c
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "ctl/pki/make.h"
#include "core/engine/csr.h"
#include "core/engine/identity_internal.h"
#include "tests/support/certs.h"

#define HOST "relay.example.org"
#define DAY  86400L

static struct certs_ca ours, theirs;
static time_t now; /* what certificates are judged by */

static int make(void **state)
{
	now = time(NULL);
	unsetenv("SSL_CERT_FILE");
	unsetenv("SSL_CERT_DIR");
	ours = certs_make_ca("Example Ltd");
	theirs = certs_make_ca("Inspector Box");
	return 0;
}

static int unmake(void **state)
{
	certs_free_ca(&ours);
	certs_free_ca(&theirs);
	return 0;
}

/* One of ours, valid now. */
static struct identity *own(enum identity_role role, const char *name)
{
	return certs_identity(&ours, &ours, role, name, -DAY, DAY);
}

static void assert_begins(const char *text, const char *with)
{
	if (strncmp(text, with, strlen(with)) != 0)
		fail_msg("\"%s\" does not begin \"%s\"", text, with);
}

static void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" does not contain \"%s\"", text, part);
}

/* An identity whose certificate has other alternative names ("DNS:...", "URI:..." and "IP:..."
 * are one each) than 'postern pki' would give it. The subject's common name stays. */
static struct identity *with_names(enum identity_role role, const char *common_name,
				   const char *const *names, size_t count)
{
	EVP_PKEY *key = csr_new_key();
	struct pki_request request = {.role = role,
				      .name = common_name,
				      .hosts = &common_name,
				      .host_count = 1,
				      .not_before = time(NULL) - DAY,
				      .not_after = time(NULL) + DAY};
	X509 *x = pki_make_certificate(&request, key, ours.x, ours.key);
	GENERAL_NAMES *list = GENERAL_NAMES_new();
	char why[256], *pem, *key_pem;
	struct identity *id;

	for (size_t i = 0; i < count; i++) {
		GENERAL_NAME *one = GENERAL_NAME_new();
		ASN1_STRING *text = ASN1_STRING_type_new(V_ASN1_IA5STRING);

		assert_true(ASN1_STRING_set(text, names[i] + 4, (int)strlen(names[i] + 4)));
		GENERAL_NAME_set0_value(one, names[i][0] == 'D' ? GEN_DNS : GEN_URI, text);
		assert_true(sk_GENERAL_NAME_push(list, one) > 0);
	}
	X509_EXTENSION_free(X509_delete_ext(x, X509_get_ext_by_NID(x, NID_subject_alt_name, -1)));
	if (count > 0)
		assert_int_equal(X509_add1_ext_i2d(x, NID_subject_alt_name, list, 0, 0), 1);
	assert_true(X509_sign(x, ours.key, EVP_sha256()) > 0);
	pem = pki_certificate_pem(x);
	key_pem = csr_key_pem(key);
	id = identity_new(ours.pem, pem, key_pem, time(NULL), why, sizeof(why));
	assert_string_equal(why, "");
	GENERAL_NAMES_free(list);
	pki_free_secret(key_pem);
	free(pem);
	X509_free(x);
	EVP_PKEY_free(key);
	return id;
}

/* ---- our own side ---- */

static void test_self(void **state)
{
	struct identity *agent = own(IDENTITY_AGENT, "home"),
			*console = own(IDENTITY_CONSOLE, "ops"), *relay = own(IDENTITY_RELAY, HOST);
	struct identity_peer self;

	assert_true(identity_self(agent, &self));
	assert_int_equal(self.role, IDENTITY_AGENT);
	assert_string_equal(self.name, "home");
	assert_int_equal(strlen(self.serial), 32);
	assert_int_equal(self.not_after, identity_not_after(agent));
	assert_in_range(self.not_after, time(NULL) + DAY - 60, time(NULL) + DAY);
	assert_true(identity_self(console, &self));
	assert_int_equal(self.role, IDENTITY_CONSOLE);
	self.name[0] = '!';
	assert_false(identity_self(relay, &self));
	assert_int_equal(self.name[0], '!');
	identity_free(agent);
	identity_free(console);
	identity_free(relay);
}

static void test_refusals_name_the_part(void **state)
{
	struct certs_pair a = certs_make_pair(&ours, IDENTITY_AGENT, "a", -DAY, DAY),
			  b = certs_make_pair(&ours, IDENTITY_AGENT, "b", -DAY, DAY);
	const struct {
		const char *ca, *certificate, *key, *why;
	} rows[] = {
		{"", a.certificate, a.key, "identity.ca: is not a PEM certificate"},
		{a.certificate, a.certificate, a.key,
		 "identity.ca: is not the certificate of a CA"},
		{ours.pem, "-----BEGIN", a.key, "identity.certificate: is not a PEM certificate"},
		{ours.pem, a.certificate, "junk",
		 "identity.key: is not a PEM private key without a password"},
		{ours.pem, a.certificate, b.key,
		 "identity.key: does not match identity.certificate"},
		{theirs.pem, a.certificate, a.key,
		 "identity.certificate: is not signed by identity.ca: put the certificate of its "
		 "CA there first"},
	};
	char why[128];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_null(identity_new(rows[i].ca, rows[i].certificate, rows[i].key, time(NULL),
					 why, sizeof(why)));
		assert_string_equal(why, rows[i].why);
	}
	certs_free_pair(&a);
	certs_free_pair(&b);
}

/* ---- HELLO ---- */

static enum reason hello(const struct identity *judge, const struct identity *who, int spoil,
			 struct identity_peer *out)
{
	uint8_t exported[32], signature[512];
	const uint8_t *der;
	size_t der_len, len;

	memset(exported, 0x5a, sizeof(exported));
	identity_certificate_der(who, &der, &der_len);
	assert_true(
		identity_sign(who, IDENTITY_HELLO, exported, signature, sizeof(signature), &len));
	if (spoil == 1)
		exported[31] ^= 1;
	if (spoil == 2)
		signature[len - 1] ^= 1;
	if (spoil == 5) {
		uint8_t longer[4096] = {0};

		assert_true(der_len < sizeof(longer));
		memcpy(longer, der, der_len);
		return identity_verify(judge, IDENTITY_HELLO, longer, der_len + 1, signature, len,
				       exported, now, out);
	}
	return identity_verify(judge, spoil == 6 ? IDENTITY_PROVE : IDENTITY_HELLO, der,
			       spoil == 3 ? der_len - 1 : der_len, signature, spoil == 4 ? 0 : len,
			       exported, now, out);
}

static void test_hello(void **state)
{
	struct identity *relay = own(IDENTITY_RELAY, HOST), *agent = own(IDENTITY_AGENT, "home"),
			*console = own(IDENTITY_CONSOLE, "ops");
	struct identity_peer peer = {.name = "untouched"};

	assert_int_equal(hello(relay, agent, 1, &peer), REASON_PROOF);
	assert_int_equal(hello(relay, agent, 2, &peer), REASON_PROOF);
	assert_int_equal(hello(relay, agent, 3, &peer), REASON_CERT_UNTRUSTED);
	assert_int_equal(hello(relay, agent, 4, &peer), REASON_PROOF);
	assert_int_equal(hello(relay, agent, 5, &peer), REASON_CERT_UNTRUSTED);
	assert_int_equal(hello(relay, agent, 6, &peer), REASON_PROOF); /* for something else */
	assert_int_equal(hello(relay, relay, 0, &peer), REASON_CERT_ROLE);
	assert_string_equal(peer.name, "untouched");
	assert_int_equal(hello(relay, agent, 0, &peer), REASON_OK);
	assert_string_equal(peer.name, "home");
	assert_int_equal(hello(relay, console, 0, &peer), REASON_OK);
	assert_int_equal(peer.role, IDENTITY_CONSOLE);
	identity_free(relay);
	identity_free(agent);
	identity_free(console);
}

static void test_hello_of_the_expired_and_of_strangers(void **state)
{
	struct identity *relay = own(IDENTITY_RELAY, HOST);
	struct identity *old = certs_identity(&ours, &ours, IDENTITY_AGENT, "old", -2 * DAY, -DAY);
	struct identity *early = certs_identity(&ours, &ours, IDENTITY_AGENT, "new", DAY, 2 * DAY);
	struct identity *other =
		certs_identity(&theirs, &theirs, IDENTITY_AGENT, "home", -DAY, DAY);
	struct identity_peer peer;

	assert_int_equal(hello(relay, old, 0, &peer), REASON_CERT_EXPIRED);
	assert_int_equal(hello(relay, early, 0, &peer), REASON_CERT_EXPIRED);
	assert_int_equal(hello(relay, other, 0, &peer), REASON_CERT_UNTRUSTED);
	identity_free(relay);
	identity_free(old);
	identity_free(early);
	identity_free(other);
}

/* One name, or none: a holder that could pick would pick another's. */
static void test_hello_with_two_names(void **state)
{
	static const char *const two[] = {"URI:postern:agent/home", "URI:postern:agent/office"};
	static const char *const one[] = {"URI:https://example.org/", "URI:postern:agent/office"};
	static const char *const odd[] = {"URI:postern:agent/Office"};
	struct identity *relay = own(IDENTITY_RELAY, HOST);
	struct identity *both = with_names(IDENTITY_AGENT, "home", two, 2);
	struct identity *office = with_names(IDENTITY_AGENT, "home", one, 2);
	struct identity *loud = with_names(IDENTITY_AGENT, "home", odd, 1);
	struct identity_peer peer = {.name = "untouched"};

	assert_int_equal(hello(relay, both, 0, &peer), REASON_CERT_ROLE);
	assert_int_equal(hello(relay, loud, 0, &peer), REASON_CERT_ROLE);
	assert_string_equal(peer.name, "untouched");
	assert_int_equal(hello(relay, office, 0, &peer), REASON_OK);
	assert_string_equal(peer.name, "office");
	identity_free(relay);
	identity_free(both);
	identity_free(office);
	identity_free(loud);
}

/* Keys that 'postern pki' does not make, but an operator's own CA might certify. */
static void test_every_kind_of_key_signs(void **state)
{
	static const int kinds[] = {EVP_PKEY_ED25519, EVP_PKEY_RSA};
	struct identity *relay = own(IDENTITY_RELAY, HOST);

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(kinds[i], NULL);
		EVP_PKEY *key = NULL;
		struct pki_request request = {.role = IDENTITY_AGENT,
					      .name = "home",
					      .not_before = time(NULL) - DAY,
					      .not_after = time(NULL) + DAY};
		struct identity_peer peer;
		struct identity *agent;
		char why[128], *pem, *key_pem;
		X509 *x;

		assert_true(EVP_PKEY_keygen_init(ctx));
		if (kinds[i] == EVP_PKEY_RSA)
			assert_true(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048));
		assert_true(EVP_PKEY_keygen(ctx, &key));
		x = pki_make_certificate(&request, key, ours.x, ours.key);
		pem = pki_certificate_pem(x);
		key_pem = csr_key_pem(key);
		agent = identity_new(ours.pem, pem, key_pem, time(NULL), why, sizeof(why));
		assert_string_equal(why, "");
		assert_int_equal(hello(relay, agent, 0, &peer), REASON_OK);
		assert_int_equal(hello(relay, agent, 2, &peer), REASON_PROOF);
		identity_free(agent);
		pki_free_secret(key_pem);
		free(pem);
		X509_free(x);
		EVP_PKEY_free(key);
		EVP_PKEY_CTX_free(ctx);
	}
	identity_free(relay);
}

/* RFC 4231 has no case with a 32-byte key; this one is of Python's hmac. */
static void test_leg_proof(void **state)
{
	static const uint8_t expected[32] = {
		0x73, 0x21, 0x40, 0x6e, 0x0c, 0x88, 0x0f, 0xd9, 0x25, 0x97, 0x89,
		0x8b, 0xeb, 0x39, 0x3a, 0xf2, 0xae, 0xbe, 0xd5, 0x1a, 0xb5, 0xcd,
		0xf1, 0xd5, 0x2e, 0x59, 0x91, 0xf9, 0xaf, 0xad, 0xd2, 0xde,
	};
	uint8_t secret[32], exported[32], proof[32], again[32];

	memset(secret, 0x01, 32);
	memset(exported, 0x02, 32);
	identity_leg_proof(secret, exported, proof);
	assert_memory_equal(proof, expected, 32);
	secret[31] ^= 1;
	identity_leg_proof(secret, exported, again);
	assert_memory_not_equal(proof, again, 32);
}

/* ---- dialling a relay ---- */

static struct identity_peer shown; /* by the relay that was let in last */

/* Shakes hands with a front of server and asks who's there. */
static bool dial(const struct identity *server, const struct identity *client, const char *host,
		 bool system_trust, char *why, size_t why_size)
{
	SSL_CTX *front = identity_front_context(server), *out = identity_dial_context(client);
	struct tls *s = tls_new(front, true), *c = tls_new(out, false);
	const uint8_t *alpn;
	unsigned len;
	bool ok;

	assert_true(SSL_set_tlsext_host_name(tls_ssl(c), host));
	assert_true(certs_handshake(c, s, 4096));
	SSL_get0_alpn_selected(tls_ssl(c), &alpn, &len);
	assert_int_equal(len, 8);
	assert_memory_equal(alpn, "http/1.1", 8);
	why[0] = '\0';
	memset(&shown, 0xff, sizeof(shown));
	ok = identity_check_relay(client, tls_ssl(c), host, system_trust, now, &shown, why,
				  why_size);
	tls_free(s);
	tls_free(c);
	SSL_CTX_free(front);
	SSL_CTX_free(out);
	return ok;
}

static void test_relay_by_name_and_by_address(void **state)
{
	struct identity *named = own(IDENTITY_RELAY, HOST), *v4 = own(IDENTITY_RELAY, "192.0.2.7"),
			*v6 = own(IDENTITY_RELAY, "2001:db8::7"), *me = own(IDENTITY_AGENT, "home");
	char why[512];

	assert_true(dial(named, me, HOST, false, why, sizeof(why)));
	assert_true(dial(v4, me, "192.0.2.7", false, why, sizeof(why)));
	assert_true(dial(v6, me, "2001:db8:0::7", false, why, sizeof(why)));
	assert_false(dial(named, me, "other.example.org", false, why, sizeof(why)));
	assert_begins(why, "the relay's certificate is for relay.example.org, not for other.ex");
	assert_false(dial(v4, me, "192.0.2.8", false, why, sizeof(why)));
	assert_begins(why, "the relay's certificate is for 192.0.2.7, not for 192.0.2.8");
	identity_free(named);
	identity_free(v4);
	identity_free(v6);
	identity_free(me);
}

/* While a CA is replaced, what the new one has signed rests on that, whoever has signed the CA. */
static void test_a_new_ca_stands_for_itself(void **state)
{
	struct certs_ca next = {.key = csr_new_key()}, both = {0};
	uint8_t exported[32] = {1}, signature[512], key[IDENTITY_KEY_BYTES];
	struct identity *home, *relay;
	struct identity_peer peer;
	const uint8_t *der;
	size_t der_len, len;

	next.x = pki_make_next_ca(next.key, "Example Ltd", now - 2 * DAY, now + 9 * DAY, ours.x,
				  ours.key);
	assert_non_null(next.x);
	next.pem = pki_certificate_pem(next.x);
	assert_true(asprintf(&both.pem, "%s%s", next.pem, ours.pem) > 0);
	home = certs_identity(&next, &both, IDENTITY_AGENT, "home", -DAY, DAY);
	relay = certs_identity(&ours, &both, IDENTITY_RELAY, HOST, -DAY, DAY);
	assert_true(
		identity_sign(home, IDENTITY_HELLO, exported, signature, sizeof(signature), &len));
	identity_certificate_der(home, &der, &der_len);
	assert_int_equal(identity_verify(relay, IDENTITY_HELLO, der, der_len, signature, len,
					 exported, now, &peer),
			 REASON_OK);
	assert_true(identity_key_of(next.x, key));
	assert_memory_equal(peer.ca, key, sizeof(key));
	identity_free(home);
	identity_free(relay);
	free(both.pem);
	certs_free_ca(&next);
}

static void test_interception_is_named(void **state)
{
	struct identity *box = certs_identity(&theirs, &theirs, IDENTITY_RELAY, HOST, -DAY, DAY);
	struct identity *me = own(IDENTITY_AGENT, "home");
	char why[512];

	for (int system_trust = 0; system_trust < 2; system_trust++) {
		assert_false(dial(box, me, HOST, system_trust, why, sizeof(why)));
		assert_begins(why,
			      "TLS is being intercepted by Inspector Box: the certificate for "
			      "relay.example.org was issued by \"Inspector Box CA\" instead of "
			      "by your organisation's CA \"Example Ltd\"");
		assert_contains(why, "an exception for relay.example.org");
		/* Where the system's CAs count already, no word in the file helps. */
		assert_int_equal(strstr(why, "write trust: system") != NULL, !system_trust);
	}
	identity_free(box);
	identity_free(me);
}

/* An old address of the relay's may be another server's by now. */
static void test_another_server_is_not_called_interception(void **state)
{
	struct identity *other =
		certs_identity(&theirs, &theirs, IDENTITY_RELAY, "www.example.net", -DAY, DAY);
	struct identity *me = own(IDENTITY_AGENT, "home");
	char why[512];

	assert_false(dial(other, me, HOST, false, why, sizeof(why)));
	assert_begins(why, "what answers for relay.example.org is another server, with a "
			   "certificate for another name, issued by \"Inspector Box CA\"");
	assert_contains(why, "check that the relay's name still leads to it");
	identity_free(other);
	identity_free(me);
}

static void test_system_trust(void **state)
{
	char path[] = "/tmp/postern-ca-XXXXXX", why[512];
	struct identity *public = certs_identity(&theirs, &theirs, IDENTITY_RELAY, HOST, -DAY, DAY);
	struct identity *mine = own(IDENTITY_RELAY, HOST), *me = own(IDENTITY_AGENT, "home");
	struct identity *old = certs_identity(&ours, &ours, IDENTITY_RELAY, HOST, -2 * DAY, -DAY);
	struct identity *past =
		certs_identity(&theirs, &theirs, IDENTITY_RELAY, HOST, -2 * DAY, -DAY);
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, theirs.pem, strlen(theirs.pem)), strlen(theirs.pem));
	setenv("SSL_CERT_FILE", path, 1);
	assert_true(identity_load_system());
	assert_true(dial(public, me, HOST, true, why, sizeof(why)));
	assert_true(shown.by_system);
	assert_int_equal(shown.not_after, identity_not_after(public));
	assert_true(dial(mine, me, HOST, true, why, sizeof(why)));
	assert_false(shown.by_system);
	assert_int_equal(shown.role, IDENTITY_RELAY);
	assert_string_equal(shown.name, "");
	assert_int_equal(strlen(shown.serial), 32);
	assert_int_equal(shown.not_after, identity_not_after(mine));
	assert_memory_equal(shown.ca, identity_anchors(me)->list[0].key, IDENTITY_KEY_BYTES);
	assert_memory_not_equal(shown.key, shown.ca, IDENTITY_KEY_BYTES);
	assert_false(dial(public, me, HOST, false, why, sizeof(why)));
	/* The organisation's own CA has said what there is to say of its certificates. */
	assert_false(dial(old, me, HOST, true, why, sizeof(why)));
	assert_begins(why, "the certificate of relay.example.org expired on 20");
	assert_contains(why, "'postern pki issue'");
	assert_false(dial(past, me, HOST, true, why, sizeof(why)));
	assert_contains(why, "has its public CA make a new one");
	assert_false(dial(public, me, "www.example.org", true, why, sizeof(why)));
	assert_begins(why, "the relay's certificate is for relay.example.org, not for www");
	/* What is gone by the next time is still known. */
	unlink(path);
	assert_true(identity_load_system());
	assert_true(dial(public, me, HOST, true, why, sizeof(why)));
	unsetenv("SSL_CERT_FILE");
	close(fd);
	identity_free(public);
	identity_free(past);
	identity_free(old);
	identity_free(mine);
	identity_free(me);
}

/* Before a relay presents it. */
static bool foresees(const struct identity *me, const char *pem, const char *host,
		     bool system_trust, char *why, size_t why_size)
{
	STACK_OF(X509) *chain = certificates_of_pem(pem);
	bool ok;

	why[0] = '\0';
	ok = identity_foresees_relay(me, chain, host, system_trust, now, why, why_size);
	sk_X509_pop_free(chain, X509_free);
	return ok;
}

static void test_what_a_relay_will_present(void **state)
{
	char path[] = "/tmp/postern-ca-XXXXXX", why[512];
	struct certs_pair mine = certs_make_pair(&ours, IDENTITY_RELAY, HOST, -DAY, DAY);
	struct certs_pair public = certs_make_pair(&theirs, IDENTITY_RELAY, HOST, -DAY, DAY);
	struct certs_pair old = certs_make_pair(&ours, IDENTITY_RELAY, HOST, -2 * DAY, -DAY);
	struct identity *me = own(IDENTITY_AGENT, "home");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	setenv("SSL_CERT_FILE", path, 1);
	assert_int_equal(write(fd, ours.pem, strlen(ours.pem)), strlen(ours.pem));
	assert_true(identity_load_system());
	assert_true(foresees(me, mine.certificate, HOST, false, why, sizeof(why)));
	assert_false(foresees(me, public.certificate, HOST, false, why, sizeof(why)));
	assert_contains(why, "write 'trust: system' there in its file");
	assert_false(foresees(me, public.certificate, HOST, true, why, sizeof(why)));
	assert_contains(why, "was issued by \"Inspector Box CA\", which is no CA that this system");
	assert_int_equal(write(fd, theirs.pem, strlen(theirs.pem)), strlen(theirs.pem));
	assert_true(identity_load_system());
	assert_true(foresees(me, public.certificate, HOST, true, why, sizeof(why)));
	assert_false(foresees(me, public.certificate, "www.example.org", true, why, sizeof(why)));
	assert_begins(why, "the relay's certificate is for relay.example.org, not for www");
	assert_false(foresees(me, old.certificate, HOST, true, why, sizeof(why)));
	assert_begins(why, "the certificate of relay.example.org expired on 20");
	unsetenv("SSL_CERT_FILE");
	close(fd);
	unlink(path);
	identity_free(me);
	certs_free_pair(&mine);
	certs_free_pair(&public);
	certs_free_pair(&old);
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* As OpenSSL looks into directories: at names made of hashes. */
static void test_system_trust_by_directories(void **state)
{
	static const char *const names[] = {"0123abcd.0", "ca.pem", "0123abcd.r0", "0123abcd."};
	char one[] = "/tmp/postern-ca-XXXXXX", other[] = "/tmp/postern-ca-XXXXXX";
	char list[sizeof(one) + sizeof(other) + 16], why[512], path[PATH_MAX];
	struct identity *public = certs_identity(&theirs, &theirs, IDENTITY_RELAY, HOST, -DAY, DAY);
	struct identity *me = own(IDENTITY_AGENT, "home");

	assert_non_null(mkdtemp(one));
	assert_non_null(mkdtemp(other));
	snprintf(list, sizeof(list), "/nowhere::%s:%s", one, other);
	setenv("SSL_CERT_DIR", list, 1);
	put(one, "0000ffff.1", ours.pem);
	for (size_t i = 1; i < sizeof(names) / sizeof(names[0]); i++)
		put(other, names[i], theirs.pem);
	assert_true(identity_load_system());
	assert_false(dial(public, me, HOST, true, why, sizeof(why)));
	put(other, names[0], theirs.pem);
	assert_true(identity_load_system());
	assert_true(dial(public, me, HOST, true, why, sizeof(why)));
	assert_true(shown.by_system);
	unsetenv("SSL_CERT_DIR");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", other, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/0000ffff.1", one);
	unlink(path);
	rmdir(one);
	rmdir(other);
	identity_free(public);
	identity_free(me);
}

static void test_relays_out_of_time(void **state)
{
	struct identity *old = certs_identity(&ours, &ours, IDENTITY_RELAY, HOST, -2 * DAY, -DAY);
	struct identity *early = certs_identity(&ours, &ours, IDENTITY_RELAY, HOST, DAY, 2 * DAY);
	struct identity *me = own(IDENTITY_AGENT, "home");
	char why[512];

	assert_false(dial(old, me, HOST, false, why, sizeof(why)));
	assert_begins(why, "the certificate of relay.example.org expired on 20");
	assert_false(dial(early, me, HOST, false, why, sizeof(why)));
	assert_begins(why, "the certificate of relay.example.org is valid only from 20");
	assert_contains(why, "set the clock");
	identity_free(old);
	identity_free(early);
	identity_free(me);
}

/* Its CN is the host's name and it may serve TLS; it is an agent's all the same. */
static void test_an_agent_is_no_relay(void **state)
{
	struct identity *agent = own(IDENTITY_AGENT, "relay"), *me = own(IDENTITY_AGENT, "home");
	char why[512];

	assert_false(dial(agent, me, "relay", false, why, sizeof(why)));
	assert_string_equal(why, "the certificate of relay is that of \"relay\", not a relay's");
	identity_free(agent);
	identity_free(me);
}

/* A certificate that could be both is an agent's: an agent is no relay to others. */
static void test_an_agent_with_a_host_name_is_no_relay(void **state)
{
	static const char *const names[] = {"URI:postern:agent/home", "DNS:" HOST};
	struct identity *agent = with_names(IDENTITY_AGENT, "home", names, 2);
	struct identity *me = own(IDENTITY_AGENT, "office");
	char why[512];

	assert_false(dial(agent, me, HOST, false, why, sizeof(why)));
	assert_string_equal(why, "the certificate of " HOST " is that of \"home\", not a relay's");
	identity_free(agent);
	identity_free(me);
}

/* RFC 6125 section 6.4.4; and a wildcard stands for a whole label. */
static void test_a_relays_name_stands_in_the_alternative_names(void **state)
{
	static const char *const part[] = {"DNS:rel*.example.org"}, *const all[] = {
									    "DNS:*.example.org"};
	struct identity *subject = with_names(IDENTITY_RELAY, HOST, NULL, 0);
	struct identity *partial = with_names(IDENTITY_RELAY, "a.example.org", part, 1);
	struct identity *wild = with_names(IDENTITY_RELAY, "a.example.org", all, 1);
	struct identity *me = own(IDENTITY_AGENT, "home");
	char why[512];

	assert_false(dial(subject, me, HOST, false, why, sizeof(why)));
	assert_begins(why, "the relay's certificate is for no name, not for relay.example.org");
	assert_false(dial(partial, me, HOST, false, why, sizeof(why)));
	assert_begins(why, "the relay's certificate is for rel*.example.org, not for relay.ex");
	assert_true(dial(wild, me, HOST, false, why, sizeof(why)));
	assert_false(dial(wild, me, "deep.relay.example.org", false, why, sizeof(why)));
	identity_free(subject);
	identity_free(partial);
	identity_free(wild);
	identity_free(me);
}

static void test_a_ca_made_anew(void **state)
{
	struct certs_ca again = certs_make_ca("Example Ltd");
	struct identity *relay = certs_identity(&again, &again, IDENTITY_RELAY, HOST, -DAY, DAY);
	struct identity *me = own(IDENTITY_AGENT, "home");
	char why[512];

	assert_false(dial(relay, me, HOST, false, why, sizeof(why)));
	assert_contains(why, "was signed with another key");
	identity_free(relay);
	identity_free(me);
	certs_free_ca(&again);
}

/* ---- the inner session ---- */

struct inner {
	SSL_CTX *client_context, *server_context;
	struct tls *client, *server;
	bool ok;
};

static struct tls *inner_tls(SSL_CTX *context, bool server)
{
	struct tls *t = tls_new(context, server);

	assert_true(identity_inner_at(tls_ssl(t), now));
	return t;
}

static struct inner inner_between(const struct identity *client, const struct identity *server)
{
	struct inner in = {.client_context = identity_inner_context(client, false),
			   .server_context = identity_inner_context(server, true)};

	in.client = inner_tls(in.client_context, false);
	in.server = inner_tls(in.server_context, true);
	in.ok = certs_handshake(in.client, in.server, 4096);
	return in;
}

static void free_inner(struct inner *in)
{
	tls_free(in->client);
	tls_free(in->server);
	SSL_CTX_free(in->client_context);
	SSL_CTX_free(in->server_context);
}

static void test_inner_session_tells_both_names(void **state)
{
	struct identity *laptop = own(IDENTITY_AGENT, "laptop"),
			*home = own(IDENTITY_AGENT, "home");
	struct inner in = inner_between(laptop, home);
	struct identity_peer peer;
	size_t n;

	assert_true(in.ok);
	assert_int_equal(identity_peer_of(laptop, tls_ssl(in.client), &peer), REASON_OK);
	assert_string_equal(peer.name, "home");
	assert_int_equal(identity_peer_of(home, tls_ssl(in.server), &peer), REASON_OK);
	assert_string_equal(peer.name, "laptop");
	assert_int_equal(SSL_version(tls_ssl(in.client)), TLS1_3_VERSION);
	/* No tickets: the server's first output is the one record of its first byte. */
	assert_int_equal(tls_write(in.server, (const uint8_t *)"x", 1), TLS_OK);
	tls_output(in.server, &n);
	assert_int_equal(n, 5 + 1 + 1 + 16);
	free_inner(&in);
	identity_free(laptop);
	identity_free(home);
}

/* A refused side is told why, whichever side it is. */
static void refused(struct identity *bad, enum reason reason, const char *told)
{
	struct identity *good = own(IDENTITY_AGENT, "home");
	struct identity_peer peer = {.name = "untouched"};
	struct inner in = inner_between(bad, good);
	uint8_t byte;
	size_t n;

	assert_false(in.ok);
	assert_int_equal(identity_peer_of(good, tls_ssl(in.server), &peer), reason);
	assert_string_equal(tls_error(in.server), "the peer's certificate was refused");
	certs_carry(in.server, in.client, 4096);
	assert_int_equal(tls_read(in.client, &byte, 1, &n), TLS_FAILED);
	assert_string_equal(tls_error(in.client), told);
	free_inner(&in);

	in = inner_between(good, bad);
	assert_false(in.ok);
	assert_int_equal(identity_peer_of(good, tls_ssl(in.client), &peer), reason);
	assert_string_equal(peer.name, "untouched");
	free_inner(&in);
	identity_free(good);
	identity_free(bad);
}

static void test_inner_refusals(void **state)
{
	refused(certs_identity(&ours, &ours, IDENTITY_AGENT, "old", -2 * DAY, -DAY),
		REASON_CERT_EXPIRED, "the peer says that our certificate has expired");
	refused(certs_identity(&ours, &ours, IDENTITY_RELAY, HOST, -DAY, DAY), REASON_CERT_ROLE,
		"the peer refused our certificate");
}

static void test_inner_refuses_another_organisation(void **state)
{
	struct identity *home = own(IDENTITY_AGENT, "home");
	struct identity *other =
		certs_identity(&theirs, &theirs, IDENTITY_AGENT, "home", -DAY, DAY);
	struct identity_peer peer;
	struct inner in = inner_between(other, home);

	assert_false(in.ok);
	/* The client is the first to see a certificate, and refuses it. */
	assert_int_equal(identity_peer_of(other, tls_ssl(in.client), &peer), REASON_CERT_UNTRUSTED);
	assert_string_equal(tls_error(in.server),
			    "the peer does not trust the CA of our certificate");
	free_inner(&in);
	identity_free(home);
	identity_free(other);
}

/* A client that has the CA right but a certificate of elsewhere (or none) gets no further. */
static void test_inner_server_refuses_what_it_cannot_trust(void **state)
{
	struct identity *home = own(IDENTITY_AGENT, "home");
	struct identity *stranger = certs_identity(&theirs, &ours, IDENTITY_RELAY, HOST, -DAY, DAY);
	struct identity_peer peer;
	SSL_CTX *bare = identity_dial_context(home);
	SSL_CTX *context = identity_inner_context(home, true);
	struct inner in = inner_between(stranger, home);
	struct tls *client, *server;

	assert_false(in.ok);
	assert_int_equal(identity_peer_of(home, tls_ssl(in.server), &peer), REASON_CERT_UNTRUSTED);
	free_inner(&in);

	/* No certificate, with the right ALPN. */
	assert_int_equal(SSL_CTX_set_alpn_protos(bare, (const uint8_t *)"\x09postern/2", 10), 0);
	client = tls_new(bare, false);
	server = inner_tls(context, true);
	assert_false(certs_handshake(client, server, 4096));
	assert_int_equal(identity_peer_of(home, tls_ssl(server), &peer), REASON_CERT_UNTRUSTED);
	assert_string_equal(tls_error(server), "the peer presented no certificate");
	tls_free(client);
	tls_free(server);
	SSL_CTX_free(bare);
	SSL_CTX_free(context);
	identity_free(home);
	identity_free(stranger);
}

static void test_inner_requires_its_alpn(void **state)
{
	struct identity *home = own(IDENTITY_AGENT, "home");
	static const uint8_t *const offers[] = {(const uint8_t *)"\x08http/1.1", NULL};

	for (size_t i = 0; i < 2; i++) {
		SSL_CTX *c = identity_inner_context(home, false),
			*s = identity_inner_context(home, true);
		struct tls *client, *server;

		assert_int_equal(SSL_CTX_set_alpn_protos(c, offers[i], offers[i] ? 9 : 0), 0);
		client = inner_tls(c, false);
		server = inner_tls(s, true);
		assert_false(certs_handshake(client, server, 4096));
		tls_free(client);
		tls_free(server);
		SSL_CTX_free(c);
		SSL_CTX_free(s);
	}
	identity_free(home);
}

/* The same certificates at other times; and a session that was told none. */
static void test_time_is_told(void **state)
{
	struct identity *home = own(IDENTITY_AGENT, "home"), *relay = own(IDENTITY_RELAY, HOST);
	SSL_CTX *c = identity_inner_context(home, false), *s = identity_inner_context(home, true);
	const time_t times[] = {now - 3 * DAY, now + 3 * DAY}, before = now;
	struct identity_peer peer;
	struct tls *client, *server;
	struct inner in;
	char why[512];

	for (size_t i = 0; i < 2; i++) {
		now = times[i];
		assert_int_equal(hello(relay, home, 0, &peer), REASON_CERT_EXPIRED);
		in = inner_between(home, home);
		assert_false(in.ok);
		assert_int_equal(identity_peer_of(home, tls_ssl(in.client), &peer),
				 REASON_CERT_EXPIRED);
		free_inner(&in);
		assert_false(dial(relay, home, HOST, false, why, sizeof(why)));
		assert_contains(why, i == 0 ? "set the clock" : "expired on");
	}
	now = before;
	client = tls_new(c, false);
	server = tls_new(s, true);
	assert_false(certs_handshake(client, server, 4096));
	assert_int_equal(identity_peer_of(home, tls_ssl(client), &peer), REASON_CERT_UNTRUSTED);
	tls_free(client);
	tls_free(server);
	SSL_CTX_free(c);
	SSL_CTX_free(s);
	identity_free(home);
	identity_free(relay);
}

/* Contexts and sessions live on when a new configuration replaces the identity. */
static void test_contexts_outlive_the_identity(void **state)
{
	struct identity *home = own(IDENTITY_AGENT, "home");
	SSL_CTX *c = identity_inner_context(home, false), *s = identity_inner_context(home, true);
	struct tls *client, *server;

	identity_free(home);
	client = inner_tls(c, false);
	server = inner_tls(s, true);
	SSL_CTX_free(c);
	SSL_CTX_free(s);
	assert_true(certs_handshake(client, server, 4096));
	tls_free(client);
	tls_free(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_self),
		cmocka_unit_test(test_refusals_name_the_part),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_hello_of_the_expired_and_of_strangers),
		cmocka_unit_test(test_hello_with_two_names),
		cmocka_unit_test(test_every_kind_of_key_signs),
		cmocka_unit_test(test_leg_proof),
		cmocka_unit_test(test_relay_by_name_and_by_address),
		cmocka_unit_test(test_interception_is_named),
		cmocka_unit_test(test_another_server_is_not_called_interception),
		cmocka_unit_test(test_a_new_ca_stands_for_itself),
		cmocka_unit_test(test_system_trust),
		cmocka_unit_test(test_what_a_relay_will_present),
		cmocka_unit_test(test_system_trust_by_directories),
		cmocka_unit_test(test_relays_out_of_time),
		cmocka_unit_test(test_an_agent_is_no_relay),
		cmocka_unit_test(test_an_agent_with_a_host_name_is_no_relay),
		cmocka_unit_test(test_a_relays_name_stands_in_the_alternative_names),
		cmocka_unit_test(test_a_ca_made_anew),
		cmocka_unit_test(test_inner_session_tells_both_names),
		cmocka_unit_test(test_inner_refusals),
		cmocka_unit_test(test_inner_refuses_another_organisation),
		cmocka_unit_test(test_inner_server_refuses_what_it_cannot_trust),
		cmocka_unit_test(test_inner_requires_its_alpn),
		cmocka_unit_test(test_time_is_told),
		cmocka_unit_test(test_contexts_outlive_the_identity),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
