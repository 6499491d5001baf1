/* SPDX-License-Identifier: Apache-2.0 */
/*
 * renewed_test: which certificates may take the place of the one in force, and what is said of the
 * others.
 *
 * links: core/engine/renewed.c core/engine/csr.c core/engine/front_certificate.c
 * links: core/engine/certificate.c core/addr.c core/engine/identity.c
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
#include <time.h>
#include <cmocka.h>

#include "core/engine/certificate.h"
#include "core/engine/keyring.h"
#include "core/engine/renewed.h"
#include "tests/support/certs.h"

static struct certs_ca ca, other_ca;
static struct certs_pair before;
static time_t now;

static int make_all(void **state)
{
	now = time(NULL);
	ca = certs_make_ca("Example");
	other_ca = certs_make_ca("Other");
	before = certs_make_pair(&ca, IDENTITY_RELAY, "relay.example.org", -60, 3600);
	return 0;
}

static int free_all(void **state)
{
	certs_free_pair(&before);
	certs_free_ca(&ca);
	certs_free_ca(&other_ca);
	return 0;
}

/* What is said of this one in the place of old; NULL: it may have it. */
static void identity_is(const char *old, struct certs_pair pair, const char *wrong)
{
	uint8_t key[SIGNING_KEY_BYTES] = {0}, id[SIGNING_KEY_BYTES], none[SIGNING_KEY_BYTES] = {0};
	X509 *x = certificate_of_pem(pair.certificate);
	char why[RENEWED_WHY_BYTES] = "";
	bool ok = renewed_identity(ca.pem, old, pair.certificate, now, key, why);

	if (ok != !wrong || (wrong && !strstr(why, wrong)))
		fail_msg("%s, and not %s", why, wrong ? wrong : "right");
	assert_true(keyring_id_of_certificate(x, id));
	assert_memory_equal(key, ok ? id : none, sizeof(key));
	X509_free(x);
	certs_free_pair(&pair);
}

static void an_identity(void **state)
{
	const char *host = "relay.example.org";

	identity_is(before.certificate, certs_make_pair(&ca, IDENTITY_RELAY, host, -60, 7200),
		    NULL);
	identity_is(before.certificate, certs_make_pair(&ca, IDENTITY_RELAY, "x.example", -60, 60),
		    "is not for relay.example.org");
	identity_is(before.certificate, certs_make_pair(&other_ca, IDENTITY_RELAY, host, -60, 60),
		    "is not signed by identity.ca");
	identity_is(before.certificate, certs_make_pair(&ca, IDENTITY_RELAY, host, -7200, -60),
		    "has ended");
	identity_is(before.certificate, certs_make_pair(&ca, IDENTITY_RELAY, host, 3600, 7200),
		    "is not valid yet");
	identity_is(before.certificate, certs_make_pair(&ca, IDENTITY_AGENT, "home", -60, 60),
		    "is that of an agent or console");
	identity_is(before.certificate, certs_make_pair(&ca, IDENTITY_CONSOLE, "ops", -60, 60),
		    "is that of an agent or console");
}

static void an_agent(void **state)
{
	struct certs_pair home = certs_make_pair(&ca, IDENTITY_AGENT, "home", -60, 60);

	identity_is(home.certificate, certs_make_pair(&ca, IDENTITY_AGENT, "home", -60, 7200),
		    NULL);
	identity_is(home.certificate, certs_make_pair(&ca, IDENTITY_AGENT, "office", -60, 7200),
		    "is not that of the agent home");
	identity_is(home.certificate, certs_make_pair(&ca, IDENTITY_CONSOLE, "home", -60, 7200),
		    "is not that of the agent home");
	identity_is(home.certificate, certs_make_pair(&ca, IDENTITY_RELAY, "home", -60, 7200),
		    "is not that of the agent home");
	identity_is(home.certificate, certs_make_pair(&other_ca, IDENTITY_AGENT, "home", -60, 60),
		    "is not signed by identity.ca");
	certs_free_pair(&home);
}

static void no_certificate(void **state)
{
	uint8_t key[SIGNING_KEY_BYTES];
	char why[RENEWED_WHY_BYTES];

	assert_false(renewed_identity(ca.pem, before.certificate, "nothing", now, key, why));
	assert_non_null(strstr(why, "is not a PEM certificate"));
	assert_false(renewed_identity(ca.pem, "nothing", before.certificate, now, key, why));
	assert_non_null(strstr(why, "in force cannot be read"));
	assert_false(renewed_front(before.certificate, "nothing", false, now, key, why));
	assert_non_null(strstr(why, "is no PEM certificate"));
}

static void front_is(const char *pem, bool force, const char *wrong)
{
	uint8_t key[SIGNING_KEY_BYTES];
	char why[RENEWED_WHY_BYTES] = "";
	bool ok = renewed_front(before.certificate, pem, force, now, key, why);

	if (ok != !wrong || (wrong && !strstr(why, wrong)))
		fail_msg("%s, and not %s", why, wrong ? wrong : "right");
}

static void a_front(void **state)
{
	struct certs_pair same =
		certs_make_pair(&other_ca, IDENTITY_RELAY, "relay.example.org", -60, 3600);
	struct certs_pair elsewhere =
		certs_make_pair(&other_ca, IDENTITY_RELAY, "x.example", -60, 60);
	struct certs_pair ended =
		certs_make_pair(&other_ca, IDENTITY_RELAY, "relay.example.org", -7200, -60);
	struct certs_pair later =
		certs_make_pair(&other_ca, IDENTITY_RELAY, "relay.example.org", 3600, 7200);
	char chain[8192];

	front_is(same.certificate, false, NULL); /* of any CA */
	snprintf(chain, sizeof(chain), "%s%s", same.certificate, other_ca.pem);
	front_is(chain, false, NULL);
	snprintf(chain, sizeof(chain), "%s%s", same.certificate, ca.pem);
	front_is(chain, false, "are no chain");
	front_is(elsewhere.certificate, false, "is for no name that this relay has");
	front_is(elsewhere.certificate, true, NULL);
	front_is(ended.certificate, true, "has ended");
	front_is(later.certificate, true, "is not valid yet");
	front_is(other_ca.pem, true, "begins with the certificate of a CA");
	certs_free_pair(&same);
	certs_free_pair(&elsewhere);
	certs_free_pair(&ended);
	certs_free_pair(&later);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_identity),
		cmocka_unit_test(an_agent),
		cmocka_unit_test(no_certificate),
		cmocka_unit_test(a_front),
	};

	return cmocka_run_group_tests(tests, make_all, free_all);
}
