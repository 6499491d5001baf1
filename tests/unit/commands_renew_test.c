/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands_renew_test: new keys and certificates for relays and agents that run, by the operator's
 * commands (tests/support/command_scene.h).
 *
 * links: core/engine/revocations.c core/key_file.c core/engine/browser.c core/engine/brotli.c
 * links: tests/support/command_line.c tests/support/command_scene.c ctl/terminal/[a-z]*.c ctl/change/[a-z]*.c
 * links: ctl/see/[a-z]*.c ctl/pki/[a-z]*.c
 * links: ctl/talk/connection.c ctl/talk/console_config.c ctl/talk/rpc.c
 * links: agent/config/config.c relay/config/config.c relay/config/stun.c
 * links: relay/config/policy.c relay/policy/index.c relay/policy/source.c relay/policy/time.c
 * links: core/conf/[a-z]*.c core/engine/certificate.c core/engine/identity*.c core/parse/jsonrpc.c
 * links: core/parse/revocation.c core/parse/wire.c core/parse/reason.c core/addr.c core/file.c core/log*.c
 * links: core/engine/tag.c core/engine/tls.c tests/support/certs.c
 * links: core/engine/csr.c core/engine/keyring.c core/parse/signing.c core/parse/keyblock.c core/memory.c
 * links: core/parse/json_read.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/mem.h>

#include "core/conf/conf.h"
#include "core/engine/certificate.h"
#include "core/engine/csr.h"
#include "core/engine/identity.h"
#include "core/parse/jsonrpc.h"
#include "ctl/terminal/files.h"
#include "tests/support/command_scene.h"

/* ---- new keys for what runs ---- */

/* What a relay or agent answers to identity.request: a request for a key of its own, and this
 * certificate as the one in force. */
static void will_request(size_t place, const char *certificate)
{
	static const struct csr_hosts none;
	EVP_PKEY *key = csr_new_key();
	char *pem, *text;
	uint8_t *der;
	json_t *answer;
	size_t len;

	assert_true(csr_make(key, &none, &der, &len));
	pem = csr_pem(der, len);
	answer = json_pack("{s:s, s:s, s:s}", "name", "x", "request", pem, "certificate",
			   certificate);
	text = json_dumps(answer, JSON_COMPACT);
	scene_answers(place, text);
	json_decref(answer);
	OPENSSL_free(der);
	free(text);
	free(pem);
	EVP_PKEY_free(key);
}

/* The certificate in a file that 'pki issue' wrote; owned. */
static char *certificate_of(const char *path)
{
	struct conf_errors errors = {.file = path};
	struct conf_node *root = conf_load(path, 0, &errors);
	const struct conf_node *pem = conf_get(conf_get(root, "identity"), "certificate");
	char *text = pem ? strdup(pem->text) : NULL;

	assert_non_null(text);
	conf_node_free(root);
	conf_errors_free(&errors);
	return text;
}

static size_t issued(void)
{
	char *text = files_read("ca/issued.log", 1 << 20);
	size_t lines = 0;

	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	free(text);
	return lines;
}

/* The certificate that was brought back, as the nth call. */
static X509 *brought(size_t place, size_t nth)
{
	json_t *call = json_array_get(places[place].asked, nth);
	json_t *params = json_object_get(call, "params");

	assert_string_equal(json_string_value(json_object_get(call, "method")), "identity.install");
	return certificate_of_pem(json_string_value(json_object_get(params, "certificate")));
}

static void test_a_relay_is_renewed(void **state)
{
	char *relay, *home = certificate_of("home.yaml"), hosts[64];
	size_t before;
	X509 *x, *old;

	scene_run("pki issue ca relay main --host one.example --listen [::]:443 --force",
		  STATUS_OK);
	relay = certificate_of("main.yaml");
	before = issued();
	will_request(FIRST, relay);
	scene_answers(FIRST, "{\"revision\": 2}");
	scene_run("relay renew ca --expires 7d --as c", STATUS_OK);
	assert_asked(FIRST, 0, "identity.request", NULL);
	x = brought(FIRST, 1);
	old = certificate_of_pem(relay);
	certificate_hosts(x, hosts, sizeof(hosts));
	assert_string_equal(hosts, "one.example");
	EVP_PKEY *key = X509_get_pubkey(x), *was = X509_get_pubkey(old);
	assert_int_not_equal(EVP_PKEY_cmp(key, was), 1);
	EVP_PKEY_free(key);
	EVP_PKEY_free(was);
	X509_free(x);
	X509_free(old);
	assert_int_equal(issued(), before + 1);
	assert_says(ran.out, "its key was made there");
	assert_silent_on(ran.out, "PRIVATE");
	scene_run("pki show ca", STATUS_OK);
	assert_says(ran.out, "relay   x "); /* by its name, which no certificate of a relay has */
	/* It could not be kept: told, with what to do. */
	scene_forget();
	will_request(FIRST, relay);
	scene_answers(FIRST, "{\"revision\": 2, \"unsaved\": \"No space left on device\"}");
	scene_run("relay renew ca --as c", STATUS_OK);
	assert_says(ran.err, "could not keep it for its next start (state_dir): No space");
	/* What the CA has not signed before it does not sign now, and records nothing. */
	before = issued();
	scene_run("pki init other", STATUS_OK);
	scene_forget();
	will_request(FIRST, relay);
	scene_run("relay renew other --as c", STATUS_FAILED);
	assert_says(ran.err, "was not signed by the CA in other");
	assert_int_equal(json_array_size(places[FIRST].asked), 1);
	scene_forget();
	will_request(FIRST, home);
	scene_run("relay renew ca --as c", STATUS_FAILED);
	assert_says(ran.err, "its certificate is not that of a relay");
	scene_forget();
	scene_answers(FIRST, "{\"name\": \"x\", \"request\": \"\", \"certificate\": \"\"}");
	scene_run("relay renew ca --as c", STATUS_FAILED);
	assert_says(ran.err, "sent no request and certificate that can be read");
	scene_forget();
	scene_answers(FIRST, "{}");
	scene_run("relay renew ca --as c", STATUS_FAILED);
	assert_says(ran.err, "its answer has no \"request\"");
	assert_int_equal(issued(), before);
	free(relay);
	free(home);
}

static void test_an_agent_is_renewed(void **state)
{
	char *home = certificate_of("home.yaml"), *console = certificate_of("c");
	struct identity_peer peer;
	X509 *x;

	will_request(AGENT, home);
	scene_answers(AGENT, "{\"revision\": 2}");
	scene_run("agent renew home ca --as c", STATUS_OK);
	assert_string_equal(places[AGENT].agent, "home");
	x = brought(AGENT, 1);
	assert_true(identity_of_certificate(x, &peer));
	assert_string_equal(peer.name, "home");
	assert_int_equal(peer.role, IDENTITY_AGENT);
	X509_free(x);
	/* One of another name, or a console's: whoever sends it wants more than it has. */
	scene_forget();
	will_request(AGENT, home);
	scene_run("agent renew office ca --as c", STATUS_FAILED);
	assert_says(ran.err, "its certificate is not that of office");
	scene_forget();
	will_request(AGENT, console);
	scene_run("agent renew ops ca --as c", STATUS_FAILED);
	assert_says(ran.err, "its certificate is not that of ops");
	free(home);
	free(console);
}

static void test_a_request_and_its_certificate(void **state)
{
	char *text, *at, *trusting;

	scene_answers(FIRST, "{\"request\": \"PEM\\n\"}");
	scene_run("relay request --front --host A.example --host b.example --out q --as c",
		  STATUS_OK);
	assert_asked(FIRST, 0, "identity.request",
		     "{\"for\": \"front\", \"hosts\": [\"a.example\", \"b.example\"]}");
	text = files_read("q", 64);
	assert_string_equal(text, "PEM\n");
	free(text);
	scene_forget();
	scene_run("relay request --out q --as c", STATUS_FAILED); /* it is there */
	assert_int_equal(places[FIRST].opened, 0);
	scene_answers(FIRST, "{\"request\": \"PEM\\n\"}");
	scene_run("relay request --as c", STATUS_OK);
	assert_asked(FIRST, 0, "identity.request", "{\"for\": \"identity\"}");
	assert_string_equal(ran.out, "PEM\n");
	scene_run("relay request --host a.example --as c", STATUS_USAGE);
	scene_run("relay request --front --host *.example --as c", STATUS_USAGE);
	scene_forget();
	scene_write("w", "CERT\n");
	scene_answers(FIRST, "{\"revision\": 2}");
	scene_run("relay certificate --front --force w --as c", STATUS_OK);
	assert_says(ran.err, "where 'trust: system' stands at this relay");
	assert_asked(FIRST, 0, "identity.install",
		     "{\"for\": \"front\", \"certificate\": \"CERT\\n\", \"force\": true}");
	/* One that this console would not accept is not sent; one of its own CA is. */
	scene_forget();
	scene_run("pki init public", STATUS_OK);
	scene_run("pki issue public relay front --host one.example --listen [::]:443", STATUS_OK);
	text = certificate_of("front.yaml");
	scene_write("w", text);
	free(text);
	scene_run("relay certificate --front w --as c", STATUS_FAILED);
	assert_says(ran.err, "this console would be cut off");
	assert_count(FIRST, 0);
	scene_forget();
	text = files_read("c", 1 << 16);
	at = strstr(text, "one.example:443\n");
	assert_non_null(at);
	at += strlen("one.example:443");
	assert_true(asprintf(&trusting, "%.*s\n  trust: system%s", (int)(at - text), text, at) > 0);
	assert_true(files_write("t", trusting, 0600, true));
	free(trusting);
	free(text);
	/* One that trusts the system's CAs knows whether that is among them. */
	assert_true(setenv("SSL_CERT_FILE", "ca/ca.pem", 1) == 0 && identity_load_system());
	scene_run("relay certificate --front w --as t", STATUS_FAILED);
	assert_says(ran.err, "which is no CA that this system trusts");
	assert_count(FIRST, 0);
	scene_forget();
	assert_true(setenv("SSL_CERT_FILE", "public/ca.pem", 1) == 0 && identity_load_system());
	scene_answers(FIRST, "{\"revision\": 2}");
	scene_run("relay certificate --front w --as t", STATUS_OK);
	assert_count(FIRST, 1);
	unsetenv("SSL_CERT_FILE");
	scene_forget();
	/* What is no certificate is the relay's to judge. */
	scene_write("n", "no certificate\n");
	scene_refuses(FIRST, JSONRPC_REFUSED, "the text is none", "null");
	scene_run("relay certificate --front n --as c", STATUS_FAILED);
	assert_says(ran.err, "the text is none");
	scene_forget();
	scene_run("pki issue ca relay front --host one.example --listen [::]:443 --force",
		  STATUS_OK);
	text = certificate_of("front.yaml");
	scene_write("w", text);
	free(text);
	scene_answers(FIRST, "{\"revision\": 2}");
	scene_run("relay certificate --front w --as c", STATUS_OK);
	assert_count(FIRST, 1);
	scene_forget();
	scene_refuses(FIRST, JSONRPC_REFUSED, "is for another key", "null");
	scene_run("relay certificate w --as c", STATUS_FAILED);
	assert_says(ran.err, "is for another key");
	scene_run("relay certificate --force w --as c", STATUS_USAGE);
	scene_run("relay certificate none --as c", STATUS_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(test_a_relay_is_renewed),
		SCENE_TEST(test_an_agent_is_renewed),
		SCENE_TEST(test_a_request_and_its_certificate),
	};

	return cmocka_run_group_tests(tests, scene_enter, command_line_leave);
}
