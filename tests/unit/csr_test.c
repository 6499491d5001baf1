/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csr_test: new keys, requests with names, and requests that others brought.
 *
 * links: core/engine/csr.c core/engine/certificate.c core/addr.c core/engine/identity.c
 * links: core/engine/identity_relay.c core/engine/identity_verify.c core/engine/keyring.c
 * links: core/engine/tag.c core/engine/tls.c core/log*.c core/memory.c core/parse/wire.c
 * links: core/parse/reason.c core/parse/signing.c core/parse/keyblock.c core/engine/browser.c
 * links: core/engine/brotli.c ctl/pki/make.c tests/support/certs.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/mem.h>
#include <openssl/x509v3.h>

#include "core/engine/certificate.h"
#include "core/engine/csr.h"
#include "tests/support/certs.h"

static bool add(struct csr_hosts *hosts, const char *text)
{
	return csr_add_host(hosts, text, strlen(text));
}

static void names_of_hosts(void **state)
{
	static const char *const right[] = {
		"relay.example.org",	 "x",	       "192.0.2.1", "2001:db8::1",
		"xn--bcher-kva.example", "a-b.example"};
	static const char *const wrong[] = {"",	     "*.example.org",	"-x.example", "a..b",
					    "x:443", "10.0.0.256",	"a b",	      "a_b.example",
					    "x/y.z", "\xc3\xa4.example"};
	static struct csr_hosts hosts;
	char longest[CSR_HOST_MAX + 2], name[16];

	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
		assert_true(add(&hosts, right[i]));
	assert_int_equal(hosts.count, sizeof(right) / sizeof(right[0]));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(add(&hosts, wrong[i]));
	assert_false(csr_add_host(&hosts, "a\0b", 3));
	memset(longest, 'a', sizeof(longest));
	for (size_t i = 63; i < sizeof(longest); i += 64)
		longest[i] = '.';
	assert_true(csr_add_host(&hosts, longest, CSR_HOST_MAX));
	assert_false(csr_add_host(&hosts, longest, CSR_HOST_MAX + 1));
	/* Once, whatever its letters. */
	size_t before = hosts.count;
	assert_true(add(&hosts, "Relay.Example.ORG"));
	assert_int_equal(hosts.count, before);
	for (unsigned i = 0; hosts.count < CSR_HOSTS_MAX; i++) {
		snprintf(name, sizeof(name), "h%u.example", i);
		assert_true(add(&hosts, name));
	}
	assert_false(add(&hosts, "one.more.example"));
	assert_true(add(&hosts, "x")); /* it is there */
}

static void what_is_missing(void **state)
{
	static struct csr_hosts all, some;

	assert_true(add(&all, "a.example") && add(&all, "b.example"));
	assert_null(csr_host_missing(&all, &some));
	assert_true(add(&some, "b.example"));
	assert_null(csr_host_missing(&all, &some));
	assert_true(add(&some, "c.example"));
	assert_string_equal(csr_host_missing(&all, &some), "c.example");
}

/* The names of the attribute extensionRequest. */
static GENERAL_NAMES *requested(X509_REQ *r)
{
	STACK_OF(X509_EXTENSION) *list = X509_REQ_get_extensions(r);
	GENERAL_NAMES *names = X509V3_get_d2i(list, NID_subject_alt_name, NULL, NULL);

	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	return names;
}

static void a_request(void **state)
{
	static struct csr_hosts hosts;
	EVP_PKEY *key = csr_new_key(), *found;
	uint8_t *der;
	const uint8_t *at;
	size_t len;
	char *pem;

	assert_true(add(&hosts, "relay.example.org") && add(&hosts, "192.0.2.1"));
	assert_true(csr_make(key, &hosts, &der, &len));
	pem = csr_pem(der, len);
	assert_non_null(strstr(pem, "-----BEGIN CERTIFICATE REQUEST-----\n"));
	assert_null(strstr(pem, "PRIVATE"));
	found = csr_key(pem);
	assert_non_null(found);
	assert_int_equal(EVP_PKEY_cmp(found, key), 1);
	EVP_PKEY_free(found);
	at = der;
	X509_REQ *r = d2i_X509_REQ(NULL, &at, (long)len);
	GENERAL_NAMES *names = requested(r);
	assert_int_equal(sk_GENERAL_NAME_num(names), 2);
	assert_int_equal(sk_GENERAL_NAME_value(names, 0)->type, GEN_DNS);
	assert_int_equal(sk_GENERAL_NAME_value(names, 1)->type, GEN_IPADD);
	assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(r)), 0);
	GENERAL_NAMES_free(names);
	X509_REQ_free(r);
	free(pem);
	/* Whoever changes a bit of it, a name for instance, has not its key. */
	for (size_t i = 0; i < len; i++) {
		der[i] ^= 1;
		pem = csr_pem(der, len);
		found = pem ? csr_key(pem) : NULL;
		assert_null(found);
		free(pem);
		der[i] ^= 1;
	}
	assert_null(csr_pem(der, len - 1));
	OPENSSL_free(der);
	EVP_PKEY_free(key);
}

static void what_is_no_request(void **state)
{
	struct certs_ca ca = certs_make_ca("Example");

	assert_null(csr_key(""));
	assert_null(csr_key("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"
			    "-----END CERTIFICATE REQUEST-----\n"));
	assert_null(csr_key(ca.pem));
	certs_free_ca(&ca);
}

static void a_key_as_pem(void **state)
{
	EVP_PKEY *key = csr_new_key(), *again;
	char *pem = csr_key_pem(key);

	again = certificate_key_of_pem(pem);
	assert_int_equal(EVP_PKEY_cmp(key, again), 1);
	EVP_PKEY_free(again);
	free(pem);
	EVP_PKEY_free(key);
}

static void names_of_a_certificate(void **state)
{
	static struct csr_hosts hosts;
	struct certs_ca ca = certs_make_ca("Example");
	struct certs_pair relay =
		certs_make_pair(&ca, IDENTITY_RELAY, "relay.example.org", -60, 60);
	struct certs_pair agent = certs_make_pair(&ca, IDENTITY_AGENT, "home", -60, 60);
	X509 *x = certificate_of_pem(relay.certificate);

	assert_true(csr_hosts_of(x, &hosts));
	assert_int_equal(hosts.count, 1);
	assert_string_equal(hosts.list[0], "relay.example.org");
	X509_free(x);
	x = certificate_of_pem(agent.certificate);
	assert_false(csr_hosts_of(x, &hosts)); /* a URI */
	X509_free(x);
	certs_free_pair(&relay);
	certs_free_pair(&agent);
	certs_free_ca(&ca);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_hosts), cmocka_unit_test(what_is_missing),
		cmocka_unit_test(a_request),	  cmocka_unit_test(what_is_no_request),
		cmocka_unit_test(a_key_as_pem),	  cmocka_unit_test(names_of_a_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
