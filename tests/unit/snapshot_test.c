/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot: made whole or not at all, found by name, freed by the last.
 * links: core/key_file.c
 * links: core/engine/entitled.c core/engine/revocations.c core/engine/signed_revocations.c core/engine/signed_told.c
 * links: core/engine/identity_revocation.c core/parse/revocation.c
 * links: core/conf/rows.c
 * links: relay/config/stun.c relay/config/bind_list.c relay/config/snapshot.c core/listening.c
 * links: relay/config/config.c relay/config/policy.c relay/policy/policy.c
 * links: relay/policy/compile.c relay/policy/index.c relay/policy/source.c relay/policy/time.c
 * links: core/conf/conf.c core/conf/bind.c core/conf/error.c core/conf/value.c
 * links: core/addr.c core/log*.c core/parse/wire.c core/engine/identity.c
 * links: core/engine/front_certificate.c core/engine/identity_relay.c core/engine/identity_verify.c core/engine/certificate.c
 * links: core/engine/tag.c core/engine/tls.c core/engine/csr.c ctl/pki/make.c tests/support/certs.c
 * links: core/engine/keyring.c core/parse/signing.c core/parse/keyblock.c core/memory.c
 * links: core/engine/browser.c core/engine/brotli.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/engine/certificate.h"
#include "core/engine/keyring.h"
#include "relay/config/snapshot.h"
#include "tests/support/certs.h"

static struct certs_ca ca;
static struct certs_pair relay, other;

static int setup(void **state)
{
	ca = certs_make_ca("Example");
	relay = certs_make_pair(&ca, IDENTITY_RELAY, "relay.example.org", -60, 3600);
	other = certs_make_pair(&ca, IDENTITY_RELAY, "other.example.org", -60, 3600);
	return 0;
}

static int teardown(void **state)
{
	certs_free_pair(&relay);
	certs_free_pair(&other);
	certs_free_ca(&ca);
	return 0;
}

static struct relay_config config_of(const char *yaml, const char *key)
{
	struct conf_errors errors = {0};
	struct conf_node *root = conf_parse(yaml, strlen(yaml), &errors);
	struct relay_config c = {0};
	char *texts[3] = {strdup(ca.pem), strdup(relay.certificate), strdup(key)};

	if (!root || !relay_config_bind(root, &c, &errors))
		fail_msg("%s", errors.text);
	conf_node_free(root);
	/* The texts of real certificates, which indenting into YAML would only obscure. */
	free(c.identity.ca);
	free(c.identity.certificate);
	free(c.identity.key);
	c.identity.ca = texts[0];
	c.identity.certificate = texts[1];
	c.identity.key = texts[2];
	return c;
}

#define CERTIFICATE "|\n    -----BEGIN CERTIFICATE-----\n    MA==\n    -----END CERTIFICATE-----\n"
#define KEY	    "|\n    -----BEGIN PRIVATE KEY-----\n    MA==\n    -----END PRIVATE KEY-----\n"
#define BASE                                                                                       \
	"name: front\nlisten: [{address: '0.0.0.0:443'}]\nidentity:\n  ca: " CERTIFICATE           \
	"  certificate: " CERTIFICATE "  key: " KEY "  tag_keys: " CERTS_TAG_KEYS "\n"

static void test_made_whole(void **state)
{
	struct relay_config c = config_of(
		BASE
		"site: {page: Hello}\npublic:\n  - {name: www.example.org, to: home/web}\n"
		"  - {name: a.example.org, to: home/a}\n  - {name: Z.example.org, to: x/z}\n"
		"  - {name: k.example.org, to: home/k}\n  - {name: l.example.org, to: home/l}\n"
		"  - {name: m.example.org, to: home/m}\n  - {name: n.example.org, to: home/n}\n"
		"  - {name: o.example.org, to: home/o}\n  - {name: p.example.org, to: home/p}\n"
		"revoked: [{agent: mallory}]\n",
		relay.key);
	char why[256] = "";
	struct snapshot *s = snapshot_new(&c, &(struct snapshot_beside){0}, 7, why, sizeof(why));

	if (!s)
		fail_msg("%s", why);
	assert_null(c.name); /* taken over */
	assert_int_equal(s->revision, 7);
	assert_string_equal(s->config.name, "front");
	assert_non_null(s->front);
	assert_string_equal(s->config.site.page, "Hello");
	assert_string_equal(snapshot_public(s, "a.example.org")->service, "a");
	assert_string_equal(snapshot_public(s, "www.example.org")->agent, "home");
	assert_string_equal(snapshot_public(s, "z.example.org")->agent, "x");
	assert_null(snapshot_public(s, "b.example.org"));
	assert_null(snapshot_public(s, ""));
	uint64_t mark = snapshot_public_mark("www.example.org");
	assert_true(snapshot_public_leads(s, mark, "home", "web"));
	assert_false(snapshot_public_leads(s, mark, "home", "a"));
	assert_false(snapshot_public_leads(s, mark, "x", "web"));
	assert_false(snapshot_public_leads(s, mark + 1, "home", "web"));
	for (const char *at = "aklmnop"; *at; at++) {
		const char service[] = {*at, '\0'};
		char name[] = "?.example.org";

		name[0] = *at;
		mark = snapshot_public_mark(name);
		assert_true(snapshot_public_leads(s, mark, "home", service));
	}
	assert_false(snapshot_public_leads(s, snapshot_public_mark(SNAPSHOT_SITE), "", ""));
	assert_true(revocations_cover_name(policy_revocations(s->policy), "mallory"));
	assert_false(revocations_cover_name(policy_revocations(s->policy), "home"));
	snapshot_release(s);
	snapshot_release(NULL);
}

static void test_without_publics(void **state)
{
	struct relay_config c = config_of(BASE, relay.key);
	char why[256] = "";
	struct snapshot *s = snapshot_new(&c, &(struct snapshot_beside){0}, 1, why, sizeof(why));

	assert_non_null(s);
	assert_null(snapshot_public(s, "www.example.org"));
	snapshot_release(s);
}

static void test_or_not_at_all(void **state)
{
	struct relay_config c = config_of(BASE "public: [{name: a.org, to: b/c}]\n", other.key);
	char why[256] = "";

	free(c.identity.certificate);
	c.identity.certificate = strdup("nonsense");
	assert_null(snapshot_new(&c, &(struct snapshot_beside){0}, 1, why, sizeof(why)));
	assert_non_null(strstr(why, "identity.certificate"));
	assert_null(c.name);
}

/* A certificate of its own for the front door: all of its chain is sent. */
static void test_a_front_certificate(void **state)
{
	static const char *const bad[][2] = {
		{"", "is no PEM certificate"},
		{"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n",
		 "is no PEM certificate"},
	};
	struct certs_pair agent = certs_make_pair(&ca, IDENTITY_AGENT, "home", -60, 3600);
	struct relay_config c = config_of(BASE, relay.key);
	char text[16384], why[256] = "";
	uint8_t id[SIGNING_KEY_BYTES], wanted[SIGNING_KEY_BYTES];
	EVP_PKEY *key = certificate_key_of_pem(other.key);
	STACK_OF(X509) *chain = NULL;
	struct expiry_validity v;
	size_t n = 0;

	snprintf(text, sizeof(text), "%s%s", other.certificate, ca.pem);
	struct snapshot *s =
		snapshot_new(&c, &(struct snapshot_beside){.front_pem = text}, 1, why, sizeof(why));
	assert_non_null(s);
	X509 *shown = SSL_CTX_get0_certificate(s->front), *leaf = certificate_of_pem(text);
	assert_int_equal(X509_cmp(shown, leaf), 0);
	assert_int_equal(SSL_CTX_get0_chain_certs(s->front, &chain), 1);
	assert_int_equal(sk_X509_num(chain), 1);
	assert_int_equal(X509_cmp(sk_X509_value(chain, 0), ca.x), 0);
	front_certificate_key_id(s->front_certificate, id);
	assert_true(key && keyring_id(key, wanted));
	assert_memory_equal(id, wanted, sizeof(id));
	v = front_certificate_validity(s->front_certificate);
	assert_true(v.not_after == certificate_time(X509_get0_notAfter(leaf)));
	snapshot_release(s);

	/* What ends first in the chain counts. */
	struct certs_pair lasting = certs_make_pair(&ca, IDENTITY_RELAY, "a.org", -60, 90 * 86400);
	snprintf(text, sizeof(text), "%s%s", lasting.certificate, other.certificate);
	struct front_certificate *f = front_certificate_new(text, why, sizeof(why));
	assert_non_null(f);
	assert_true(front_certificate_validity(f).not_after == v.not_after);
	front_certificate_free(f);
	certs_free_pair(&lasting);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_null(front_certificate_new(bad[i][0], why, sizeof(why)));
		assert_non_null(strstr(why, bad[i][1]));
	}
	/* A damaged one behind a good one: no chain is cut short in silence. */
	snprintf(text, sizeof(text), "%s%.300s", other.certificate, ca.pem);
	assert_null(front_certificate_new(text, why, sizeof(why)));
	assert_null(front_certificate_new(ca.pem, why, sizeof(why)));
	assert_non_null(strstr(why, "comes first"));
	assert_null(front_certificate_new(agent.certificate, why, sizeof(why)));
	assert_non_null(strstr(why, "agent"));
	for (unsigned i = 0; i < FRONT_CHAIN_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", other.certificate);
	f = front_certificate_new(text, why, sizeof(why));
	assert_non_null(f);
	front_certificate_free(f);
	snprintf(text + n, sizeof(text) - n, "%s", other.certificate);
	assert_null(front_certificate_new(text, why, sizeof(why)));
	assert_non_null(strstr(why, "more than 10"));
	c = config_of(BASE, relay.key);
	assert_null(snapshot_new(&c, &(struct snapshot_beside){.front_pem = text}, 1, why,
				 sizeof(why)));
	X509_free(leaf);
	EVP_PKEY_free(key);
	certs_free_pair(&agent);
}

static void *hold_and_release(void *arg)
{
	for (unsigned i = 0; i < 10000; i++)
		snapshot_release(snapshot_hold(arg));
	snapshot_release(arg);
	return NULL;
}

/* The race checker and the leak checker watch this one. */
static void test_freed_by_the_last(void **state)
{
	struct relay_config c = config_of(BASE, relay.key);
	char why[256];
	struct snapshot *s = snapshot_new(&c, &(struct snapshot_beside){0}, 1, why, sizeof(why));
	pthread_t threads[4];

	assert_non_null(s);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, hold_and_release, snapshot_hold(s)), 0);
	snapshot_release(s);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made_whole),
		cmocka_unit_test(test_without_publics),
		cmocka_unit_test(test_or_not_at_all),
		cmocka_unit_test(test_a_front_certificate),
		cmocka_unit_test(test_freed_by_the_last),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
