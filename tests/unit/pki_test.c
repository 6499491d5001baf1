/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki_test: what 'postern pki' writes is what the programs load, and says what it should.
 *
 * links: core/key_file.c
 * links: core/engine/owned.c
 * links: core/engine/revocations.c
 * links: core/conf/rows.c
 * links: relay/config/stun.c relay/config/policy.c relay/policy/index.c
 * links: relay/policy/source.c relay/policy/time.c ctl/terminal/arguments.c
 * links: ctl/talk/console_config.c ctl/terminal/files.c core/file.c ctl/pki/bundle.c core/engine/csr.c ctl/pki/make.c
 * links: ctl/pki/pki.c ctl/pki/renew.c ctl/pki/show.c ctl/pki/sign.c ctl/pki/store.c ctl/pki/revoke.c
 * links: core/engine/identity_revocation.c core/parse/revocation.c
 * links: ctl/terminal/units.c core/engine/identity.c core/engine/identity_verify.c
 * links: core/engine/identity_relay.c core/engine/certificate.c relay/config/config.c
 * links: agent/config/config.c core/conf/conf.c core/conf/bind.c
 * links: core/conf/error.c core/conf/value.c core/addr.c core/log*.c core/conf/yaml.c
 * links: core/parse/wire.c tests/support/command_line.c
 * links: core/engine/tls.c core/engine/keyring.c core/parse/signing.c core/parse/keyblock.c
 * links: core/memory.c
 * links: core/engine/browser.c core/engine/brotli.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "agent/config/config.h"
#include "core/engine/owned.h"
#include "core/engine/certificate.h"
#include "core/engine/csr.h"
#include "core/engine/identity.h"
#include "ctl/pki/pki.h"
#include "ctl/talk/console_config.h"
#include "ctl/terminal/files.h"
#include "ctl/pki/store.h"
#include "relay/config/config.h"
#include "tests/support/command_line.h"

#define FILE_MAX 65536

static const struct command *const init = &pki_commands[0], *const issue = &pki_commands[1];

/* Runs a command line, its words separated by spaces. */
static enum status run(const struct command *command, const char *line)
{
	struct arguments a = {.as = NULL};
	char *copy = strdup(line), *rest = copy, *argv[32];
	enum status status = STATUS_USAGE;
	int argc = 0;

	while ((argv[argc] = strtok_r(rest, " ", &rest)))
		argc++;
	if (arguments_parse(command, argc, argv, &a)) {
		status = command->run(&a);
		arguments_free(&a);
	}
	free(copy);
	return status;
}

/* Each test in a directory of its own, with a CA in "ca". */
static int enter(void **state)
{
	char *path = strdup("/tmp/postern-pki-XXXXXX");

	*state = path;
	return mkdtemp(path) && chdir(path) == 0 && run(init, "ca") == STATUS_OK ? 0 : -1;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void assert_has(const char *path, const char *part, bool wanted)
{
	char *text = files_read(path, FILE_MAX);

	assert_non_null(text);
	if ((strstr(text, part) != NULL) != wanted)
		fail_msg("%s: \"%s\" in:\n%s", path, part, text);
	free(text);
}

static X509 *certificate_of(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(x);
	return x;
}

static struct agent_config load_agent(const char *path)
{
	struct conf_errors errors = {0};
	struct agent_config c;

	if (!agent_config_load(path, &c, &errors))
		fail_msg("%s", errors.text);
	conf_errors_free(&errors);
	return c;
}

static struct relay_config load_relay(const char *path)
{
	struct conf_errors errors = {.file = path};
	struct conf_node *root = conf_load(path, CONF_KEYS, &errors);
	struct relay_config c = {0};

	if (!root || !relay_config_bind(root, &c, &errors))
		fail_msg("%s", errors.text);
	conf_node_free(root);
	conf_errors_free(&errors);
	return c;
}

static void test_init(void **state)
{
	char *pem = files_read("ca/ca.pem", FILE_MAX);
	X509 *ca = certificate_of(pem);

	assert_int_equal(mode_of("ca"), 0700);
	assert_int_equal(mode_of("ca/ca.key"), 0600);
	assert_int_equal(mode_of("ca/issued.log"), 0600);
	assert_int_equal(mode_of("ca/ca.pem"), 0644);
	assert_int_equal(X509_check_ca(ca), 1);
	assert_int_equal(X509_get_pathlen(ca), 0);
	assert_true(X509_get_key_usage(ca) & KU_KEY_CERT_SIGN);
	assert_int_equal(run(init, "ca"), STATUS_FAILED);
	assert_int_equal(run(init, "other --name "), STATUS_USAGE);
	free(pem);
	pem = files_read("ca/ca.pem", FILE_MAX);
	X509_free(ca);
	ca = certificate_of(pem); /* still there, still the same kind */
	X509_free(ca);
	free(pem);
}

static void test_agent_loads(void **state)
{
	struct agent_config c;
	const struct agent_publish *p;
	const struct agent_forward *f;
	struct identity_peer self;
	struct identity *id;
	char why[256];
	X509 *x;

	assert_int_equal(run(issue,
			     "ca agent home --relay relay.example.org:443 --relay [::1]:8443 "
			     "--publish ssh=127.0.0.1:22 --publish web=localhost:80 --allow ssh=a "
			     "--allow ssh=b --public web --forward 127.0.0.1:2222=other/null "
			     "--socks5 127.0.0.1:1080 --proxy http://u:p@proxy:3128 --expires 2w"),
			 STATUS_OK);
	assert_int_equal(mode_of("home.yaml"), 0600);
	c = load_agent("home.yaml");
	assert_string_equal(c.name, "home");
	assert_int_equal(c.relays.count, 2);
	assert_int_equal(c.publish.count, 2);
	p = c.publish.items;
	assert_string_equal(p[0].service, "ssh");
	assert_int_equal(p[0].allow.count, 2);
	assert_string_equal(((char **)p[0].allow.items)[1], "b");
	assert_false(p[0].public_access);
	assert_int_equal(p[1].allow.count, 0);
	assert_true(p[1].public_access);
	f = c.forward.items;
	assert_string_equal(f[0].agent, "other");
	assert_string_equal(f[0].service, "null");
	assert_int_equal(addr_port(&c.socks5.listen), 1080);
	assert_string_equal(c.proxy, "http://u:p@proxy:3128");
	assert_int_equal(((struct agent_relay *)c.relays.items)[1].trust, AGENT_TRUST_CA);

	id = identity_new(c.identity.ca, c.identity.certificate, c.identity.key, time(NULL), why,
			  sizeof(why));
	assert_string_equal(why, "");
	assert_true(identity_self(id, &self));
	assert_int_equal(self.role, IDENTITY_AGENT);
	assert_string_equal(self.name, "home");
	assert_in_range(self.not_after, time(NULL) + 14 * 86400 - 60, time(NULL) + 14 * 86400);
	assert_has("ca/issued.log", self.serial, true);
	x = certificate_of(c.identity.certificate);
	assert_true(certificate_time(X509_get0_notBefore(x)) <= time(NULL) - 3600);
	assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_CLIENT | XKU_SSL_SERVER);
	assert_int_equal(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE);
	assert_int_equal(X509_check_ca(x), 0);
	X509_free(x);
	identity_free(id);
	agent_config_free(&c);
}

static void test_console_loads(void **state)
{
	struct conf_errors errors = {.file = "ops.yaml"};
	struct identity_peer self;
	struct agent_config c;
	struct conf_node *root;
	struct identity *id;
	char why[256];

	assert_int_equal(run(issue, "ca console ops --relay relay.example.org:443 "
				    "--relay 192.0.2.1:443 --proxy http://proxy:3128 "
				    "--trust system"),
			 STATUS_OK);
	assert_int_equal(mode_of("ops.yaml"), 0600);
	root = conf_load("ops.yaml", CONF_KEYS, &errors);
	assert_int_equal(console_config_kind(root), BUNDLE_CONSOLE);
	assert_true(console_config_bind(root, &c, &errors));
	assert_string_equal(c.name, "ops");
	assert_int_equal(c.relays.count, 2);
	assert_string_equal(c.proxy, "http://proxy:3128");
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(((struct agent_relay *)c.relays.items)[i].trust,
				 AGENT_TRUST_SYSTEM);
	assert_true(c.dial_ms > 0 && c.open_ms > 0 && c.max_sessions > 0);
	id = identity_new(c.identity.ca, c.identity.certificate, c.identity.key, time(NULL), why,
			  sizeof(why));
	assert_true(identity_self(id, &self));
	assert_int_equal(self.role, IDENTITY_CONSOLE);
	assert_string_equal(self.name, "ops");
	assert_in_range(self.not_after, time(NULL) + 90 * 86400 - 60, time(NULL) + 90 * 86400);
	identity_free(id);
	agent_config_free(&c);
	conf_node_free(root);

	/* Whose is it? */
	assert_int_equal(run(issue, "ca agent home --relay r.example:443"), STATUS_OK);
	root = conf_load("home.yaml", CONF_KEYS, &errors);
	assert_int_equal(console_config_kind(root), BUNDLE_AGENT);
	conf_node_free(root);
	assert_int_equal(console_config_kind(NULL), BUNDLE_OTHER);

	assert_int_equal(run(issue, "ca console ops2"), STATUS_USAGE);
	assert_int_equal(run(issue, "ca console ops2 --relay r.example:443 --trust all"),
			 STATUS_FAILED);
	assert_int_equal(run(issue, "ca relay r2 --host r.example --listen [::]:443 --trust ca"),
			 STATUS_USAGE);
	assert_int_equal(run(issue, "ca console o.p --relay r.example:443"), STATUS_USAGE);
	assert_int_equal(run(issue, "ca console ops2 --relay r.example:443 --publish a=b:1"),
			 STATUS_USAGE);
	assert_int_equal(run(issue, "ca console ops2 --relay r.example:443 --host a"),
			 STATUS_USAGE);
}

static void test_relay_loads(void **state)
{
	struct relay_config c;
	const struct relay_public *p;
	struct identity_peer self;
	struct identity *id;
	char why[256], hosts[256];
	X509 *x;

	assert_int_equal(run(issue,
			     "ca relay main --host Relay.Example.org --host 192.0.2.1 --host "
			     "2001:db8::1 --listen 0.0.0.0:443 --listen [::]:443 --public "
			     "www.example.org=home/web --out r.yaml"),
			 STATUS_OK);
	c = load_relay("r.yaml");
	assert_string_equal(c.name, "main");
	assert_int_equal(c.listen.count, 2);
	p = c.publics.items;
	assert_string_equal(p[0].name, "www.example.org");
	assert_string_equal(p[0].agent, "home");
	id = identity_new(c.identity.ca, c.identity.certificate, c.identity.key, time(NULL), why,
			  sizeof(why));
	assert_string_equal(why, "");
	assert_false(identity_self(id, &self));
	x = certificate_of(c.identity.certificate);
	certificate_hosts(x, hosts, sizeof(hosts));
	assert_string_equal(hosts, "relay.example.org, 192.0.2.1, 2001:db8::1");
	assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_SERVER);
	X509_free(x);
	identity_free(id);
	relay_config_free(&c);
}

/* What any observer can read on the wire does not say postern. */
static void test_a_relays_certificate_tells_nothing(void **state)
{
	struct relay_config c;
	const char *word = "postern";
	uint8_t *der = NULL;
	int len;
	X509 *x;

	assert_int_equal(run(issue, "ca relay postern --host www.example.org --listen [::]:443"),
			 STATUS_OK);
	c = load_relay("postern.yaml");
	x = certificate_of(c.identity.certificate);
	len = i2d_X509(x, &der);
	assert_true(len > 0);
	assert_null(memmem(der, (size_t)len, word, strlen(word)));
	OPENSSL_free(der);
	X509_free(x);
	relay_config_free(&c);
}

static void test_files_are_not_overwritten(void **state)
{
	assert_int_equal(run(issue, "ca agent a --relay r:1"), STATUS_OK);
	assert_int_equal(run(issue, "ca agent b --relay r:1 --out a.yaml"), STATUS_FAILED);
	assert_has("a.yaml", "name: a\n", true);
	assert_has("ca/issued.log", " b ", false);
	assert_int_equal(run(issue, "ca agent b --relay r:1 --out a.yaml --force"), STATUS_OK);
	assert_has("a.yaml", "name: b\n", true);
	assert_int_equal(mode_of("a.yaml"), 0600);
	assert_true(files_write("c", "one", 0600, false));
	assert_false(files_write("c", "two", 0600, false));
	assert_has("c", "one", true);
	assert_null(files_read("c", 2)); /* not a part of it */
}

static void test_usage_errors_write_nothing(void **state)
{
	static const char *const lines[] = {
		"ca agent a",
		"ca agent Home --relay r:1",
		"ca agent a.b --relay r:1",
		"ca gateway a --relay r:1",
		"ca agent a --relay r:1 --host x",
		"ca relay a --listen [::]:1",
		"ca relay a --host x",
		"ca relay a --host -x --listen [::]:1",
		"ca relay a --host x:443 --listen [::]:1",
		"ca relay a --host *.x --listen [::]:1",
		"ca relay a --host x --listen [::]:1 --public www",
		"ca agent a --relay r:1 --publish ssh",
		"ca agent a --relay r:1 --allow ssh=b",
		"ca agent a --relay r:1 --publish ssh=h:22 --public web",
		"ca agent a --relay r:1 --expires 30",
		"ca agent a --relay r:1 --expires 0d",
		"ca agent a --relay r:1 --expires 101y",
		"ca agent a --relay r:1 --out",
		"ca agent a --relay r:1 --out b --out c",
		"ca agent a --relay r:1 --force=1",
		"ca agent a b --relay r:1",
		"ca agent",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (run(issue, lines[i]) != STATUS_USAGE)
			fail_msg("no usage error: %s", lines[i]);
	/* Caught by the schema rather than by the command line. */
	assert_int_equal(run(issue, "ca agent a --relay r:0"), STATUS_FAILED);
	assert_int_equal(run(issue, "nowhere agent a --relay r:1"), STATUS_FAILED);
	assert_int_equal(access("a.yaml", F_OK), -1);
	assert_has("ca/issued.log", " a ", false);
}

static void test_records(void **state)
{
	struct pki_store store;
	struct pki_record *records;
	size_t count;

	assert_int_equal(run(issue, "ca agent a --relay r:1 --expires 12h"), STATUS_OK);
	assert_int_equal(run(issue, "ca relay b --host x --listen [::]:1"), STATUS_OK);
	assert_true(pki_store_open("ca", false, &store));
	assert_true(pki_store_records(&store, &records, &count));
	assert_int_equal(count, 2);
	assert_string_equal(records[0].role, "agent");
	assert_string_equal(records[0].name, "a");
	assert_in_range(records[0].not_after, time(NULL) + 12 * 3600 - 60, time(NULL) + 12 * 3600);
	assert_string_equal(records[1].role, "relay");
	assert_string_not_equal(records[0].serial, records[1].serial);
	free(records);
	pki_store_close(&store);
}

/* ---- what is shown ---- */

static struct command_line ran;

static void shown(const char *line, enum status status)
{
	static const struct command *const tables[] = {pki_commands, NULL};

	command_line_run(&ran, tables, line);
	if (ran.status != status)
		fail_msg("%s: ended with %d\n%s%s", line, ran.status, ran.out, ran.err);
}

static void assert_shown(const char *part)
{
	if (!strstr(ran.out, part))
		fail_msg("\"%s\" is not in:\n%s", part, ran.out);
}

static void test_show(void **state)
{
	shown("pki issue ca agent home --relay r:1", STATUS_OK);
	shown("pki show home.yaml", STATUS_OK);
	assert_shown("role        agent\nname        home\nissuer      Private\n");
	assert_null(strstr(ran.out, "KEY"));
	assert_null(strstr(ran.out, "expired"));
	shown("pki issue ca relay main --host a.example --host 192.0.2.1 --listen [::]:1",
	      STATUS_OK);
	shown("pki show main.yaml", STATUS_OK);
	assert_shown("role        relay\nname        main\nhosts       a.example, 192.0.2.1\n");
	shown("pki show ca", STATUS_OK);
	assert_shown("role        ca\nname        Private\n");
	assert_null(strstr(ran.out, "expired"));
	assert_null(strstr(ran.out, "older CA"));
	shown("pki show ca/ca.pem", STATUS_OK);
	assert_shown("role        ca\n");
	/* A key is never shown, and no part of it is in the error. */
	shown("pki show ca/ca.key", STATUS_FAILED);
	assert_string_equal(ran.out, "");
	assert_null(strstr(ran.err, "MIG"));
	shown("pki show nowhere", STATUS_FAILED);
}

/* No certificate outlives the CA that signed it, and it is said. */
static void test_a_certificate_ends_with_its_ca(void **state)
{
	char *pem = files_read("ca/ca.pem", FILE_MAX);
	X509 *ca = certificate_of(pem), *x;
	struct agent_config c;

	shown("pki issue ca agent home --relay r:1 --expires 20y", STATUS_OK);
	assert_non_null(strstr(ran.err, "the certificate ends with its CA, on "));
	c = load_agent("home.yaml");
	x = certificate_of(c.identity.certificate);
	assert_true(certificate_time(X509_get0_notAfter(x)) ==
		    certificate_time(X509_get0_notAfter(ca)));
	X509_free(x);
	X509_free(ca);
	free(pem);
	agent_config_free(&c);
}

/* Two agents of one name push each other off the relay, over and over. */
static void test_an_earlier_certificate_is_noted(void **state)
{
	shown("pki issue ca console home --relay r:1", STATUS_OK);
	shown("pki issue ca agent home --relay r:1 --out first", STATUS_OK);
	assert_string_equal(ran.err, "");
	shown("pki issue ca agent home --relay r:1 --out second", STATUS_OK);
	assert_non_null(strstr(ran.err, "agent home has an earlier certificate"));
	/* Of what is not issued nothing is noted. */
	shown("pki issue ca agent home --relay r --out third", STATUS_FAILED);
	assert_non_null(strstr(ran.err, "do not make a valid configuration"));
	assert_null(strstr(ran.err, "earlier certificate"));
	shown("pki issue ca agent other --relay r:1", STATUS_OK);
	assert_string_equal(ran.err, "");
}

static void test_standard_output(void **state)
{
	shown("pki issue ca agent home --relay r:1 --out -", STATUS_OK);
	assert_shown("# The Postern agent \"home\" of Private, valid until ");
	assert_shown("# Run it:  postern-agent -c FILE\n");
	assert_shown("name: home\n");
	assert_shown("BEGIN PRIVATE KEY");
	assert_int_equal(access("-", F_OK), -1);
	assert_has("ca/issued.log", " agent home ", true);
	/* A line break in a file's name would end the comment, and begin what the file says. */
	assert_int_equal(run(issue, "ca agent home --relay r:1 --out a\nname:evil"), STATUS_OK);
	assert_has("a\nname:evil", "\nname:evil", false);
}

/* A certificate that no program would believe is not made. */
static void test_a_ca_with_another_key(void **state)
{
	char *key;

	assert_int_equal(run(init, "other"), STATUS_OK);
	key = files_read("other/ca.key", FILE_MAX);
	assert_true(files_write("ca/ca.key", key, 0600, true));
	shown("pki issue ca agent home --relay r:1", STATUS_FAILED);
	assert_non_null(strstr(ran.err, "ca/ca.key is not the key of ca/ca.pem"));
	assert_int_equal(access("home.yaml", F_OK), -1);
	free(key);
}

static void test_keys_that_others_may_read(void **state)
{
	static const char *const files[] = {"ca/ca.key", "ca/tag.keys"};

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(chmod(files[i], 0644), 0);
		shown("pki issue ca agent home --relay r:1", STATUS_FAILED);
		assert_non_null(strstr(ran.err, files[i]));
		assert_non_null(strstr(ran.err, "open to more than "));
		assert_non_null(strstr(ran.err, "chmod 600 ca/"));
		assert_int_equal(access("home.yaml", F_OK), -1);
		assert_int_equal(chmod(files[i], 0600), 0);
	}
	shown("pki issue ca agent home --relay r:1", STATUS_OK);
}

/* A CA that cannot be used is not replaced by another one. */
static void test_a_ca_that_lacks_something(void **state)
{
	shown("pki issue none agent home --relay r:1", STATUS_FAILED);
	assert_non_null(strstr(ran.err, "cannot open none/ca.pem"));
	assert_non_null(strstr(ran.err, "a new network's is made by 'postern pki init none'"));
	assert_int_equal(unlink("ca/ca.key"), 0);
	shown("pki issue ca agent home --relay r:1", STATUS_FAILED);
	assert_non_null(strstr(ran.err, "cannot open ca/ca.key: No such file or directory"));
	assert_null(strstr(ran.err, "pki init"));
}

static X509 *certificate_in(const char *path)
{
	char *text = files_read(path, FILE_MAX);
	const char *at = strstr(text, "\n  certificate: |");
	char flat[8192];
	size_t n = 0;
	X509 *x;

	assert_non_null(at);
	at = strstr(at, "-----BEGIN");
	for (const char *end = strstr(at, "  key:"); at < end && n + 1 < sizeof(flat); at++)
		if (*at != ' ' || (n > 0 && flat[n - 1] != '\n'))
			flat[n++] = *at;
	flat[n] = '\0';
	x = certificate_of_pem(flat);
	assert_non_null(x);
	free(text);
	return x;
}

/* A key that was made elsewhere gets the certificate that the command says, whatever its request
 * asks for. */
static void test_a_request_is_signed(void **state)
{
	static struct csr_hosts hosts;
	char text[256], *pem;
	EVP_PKEY *key = csr_new_key(), *is;
	struct identity_peer peer;
	uint8_t *der;
	size_t len;
	X509 *x;

	assert_true(csr_add_host(&hosts, "evil.example", 12));
	assert_true(csr_make(key, &hosts, &der, &len));
	pem = csr_pem(der, len);
	assert_true(files_write("q", pem, 0644, false));
	shown("pki sign ca relay main q --host One.example --host 192.0.2.1 --out r.pem --expires "
	      "7d",
	      STATUS_OK);
	assert_shown("r.pem: relay main, valid until ");
	free(pem);
	pem = files_read("r.pem", FILE_MAX);
	x = certificate_of_pem(pem);
	assert_non_null(x);
	certificate_hosts(x, text, sizeof(text));
	assert_string_equal(text, "one.example, 192.0.2.1");
	is = X509_get_pubkey(x);
	assert_int_equal(EVP_PKEY_cmp(is, key), 1);
	EVP_PKEY_free(is);
	X509_free(x);
	shown("pki sign ca agent home q", STATUS_OK);
	x = certificate_of_pem(ran.out);
	assert_true(x && identity_of_certificate(x, &peer));
	assert_int_equal(peer.role, IDENTITY_AGENT);
	assert_string_equal(peer.name, "home");
	X509_free(x);
	assert_has("ca/issued.log", " agent home ", true);
	assert_has("ca/issued.log", " relay main ", true);
	shown("pki sign ca relay main q", STATUS_USAGE);
	shown("pki sign ca agent home q --host a.example", STATUS_USAGE);
	shown("pki sign ca router main q --host a.example", STATUS_USAGE);
	shown("pki sign ca agent ho/me q", STATUS_USAGE);
	shown("pki sign ca agent home none", STATUS_FAILED);
	shown("pki sign ca agent home ca/ca.pem", STATUS_FAILED);
	assert_non_null(strstr(ran.err, "is no request for a certificate"));
	shown("pki sign ca relay main q --host a.example --out r.pem", STATUS_FAILED);
	/* A request with another's key in it: its own has not signed it. */
	der[len - 1] ^= 1;
	free(pem);
	pem = csr_pem(der, len);
	assert_true(files_write("q", pem, 0644, true));
	shown("pki sign ca agent home q", STATUS_FAILED);
	free(pem);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
}

/* Another certificate for the same names and the same key; nothing else of the file changes. */
static void test_renewed_for_the_same_key(void **state)
{
	char before[CERTIFICATE_SERIAL_BYTES], after[CERTIFICATE_SERIAL_BYTES], hosts[64];
	struct identity_peer peer;
	struct relay_config c;
	X509 *old, *new;
	EVP_PKEY *key, *was;

	shown("pki issue ca relay r1 --host relay.example.org --listen 0.0.0.0:443", STATUS_OK);
	old = certificate_in("r1.yaml");
	assert_true(certificate_serial(old, before));
	shown("pki renew ca r1.yaml --expires 7d", STATUS_OK);
	assert_shown("relay relay.example.org");
	new = certificate_in("r1.yaml");
	assert_true(certificate_serial(new, after));
	assert_string_not_equal(before, after);
	key = X509_get_pubkey(new);
	was = X509_get_pubkey(old);
	assert_int_equal(EVP_PKEY_cmp(key, was), 1);
	certificate_hosts(new, hosts, sizeof(hosts));
	assert_string_equal(hosts, "relay.example.org");
	assert_in_range(certificate_time(X509_get0_notAfter(new)), time(NULL) + 7 * 86400 - 60,
			time(NULL) + 7 * 86400);
	assert_int_equal(X509_check_ca(new), 0);
	assert_int_equal(mode_of("r1.yaml"), 0600);
	c = load_relay("r1.yaml");
	relay_config_free(&c);
	X509_free(old);
	X509_free(new);
	EVP_PKEY_free(key);
	EVP_PKEY_free(was);
	/* An agent's keeps its role and name; what is printed leaves the file alone. */
	shown("pki issue ca agent home --relay r:1", STATUS_OK);
	shown("pki renew ca home.yaml --out again.yaml", STATUS_OK);
	new = certificate_in("again.yaml");
	assert_true(identity_of_certificate(new, &peer));
	assert_int_equal(peer.role, IDENTITY_AGENT);
	assert_string_equal(peer.name, "home");
	X509_free(new);
	shown("pki renew ca ca/ca.pem", STATUS_FAILED);
	assert_non_null(strstr(ran.err, "has no certificate of a relay, an agent or a console"));
	shown("pki renew ca none.yaml", STATUS_FAILED);
	shown("pki renew ca home.yaml --expires soon", STATUS_FAILED);
}

static struct conf_tag_keys keys_in_store(void)
{
	char *text = files_read("ca/tag.keys", FILE_MAX);
	struct conf_tag_keys keys;

	assert_true(conf_tag_keys_parse(text, &keys));
	free(text);
	return keys;
}

/* A new tag key goes before the others, and into each file that is issued from then on. */
static void test_tag_keys_rotate(void **state)
{
	struct conf_tag_keys first = keys_in_store(), now, issued;
	struct agent_config c;

	assert_int_equal(mode_of("ca/tag.keys"), 0600);
	assert_int_equal(first.count, 1);
	shown("pki rotate ca tag", STATUS_OK);
	assert_shown("ca/tag.keys has 2");
	assert_int_equal(mode_of("ca/tag.keys"), 0600);
	now = keys_in_store();
	assert_int_equal(now.count, 2);
	assert_memory_equal(now.keys[1], first.keys[0], CONF_TAG_KEY_BYTES);
	assert_memory_not_equal(now.keys[0], first.keys[0], CONF_TAG_KEY_BYTES);
	shown("pki issue ca agent home --relay r:1", STATUS_OK);
	c = load_agent("home.yaml");
	assert_true(conf_tag_keys_parse(c.identity.tag_keys, &issued));
	assert_int_equal(issued.count, 2);
	assert_memory_equal(issued.keys, now.keys, sizeof(now.keys));
	agent_config_free(&c);
	for (unsigned i = 0; i < 3; i++)
		shown("pki rotate ca tag", STATUS_OK);
	assert_shown("ca/tag.keys has 4");
	first = now;
	now = keys_in_store();
	assert_memory_equal(now.keys[3], first.keys[0], CONF_TAG_KEY_BYTES);
	shown("pki rotate ca tag --only", STATUS_OK);
	assert_int_equal(keys_in_store().count, 1);
	shown("pki rotate ca tags", STATUS_USAGE);
	shown("pki rotate none tag", STATUS_FAILED);
	assert_true(files_write("ca/tag.keys", "secret\n", 0600, true));
	shown("pki issue ca agent other --relay r:1", STATUS_FAILED);
	assert_non_null(strstr(ran.err, "ca/tag.keys is not 1 to 4 lines of 64 hex digits"));
	assert_null(strstr(ran.err, "secret"));
}

static bool still_is(const char *path, const char *text)
{
	char *now = files_read(path, 65536);
	bool same = now && strcmp(now, text) == 0;

	free(now);
	return same;
}

/* Old agents and new ones believe each other while both CAs are there; the new one suffices later.
 */
static void test_a_ca_is_rotated(void **state)
{
	struct agent_config before, after;
	struct identity_peer self;
	struct identity *id;
	char why[256], *was, *is, *key;

	shown("pki issue ca agent old --relay r:1", STATUS_OK);
	was = files_read("ca/ca.pem", 65536);
	key = files_read("ca/ca.key", 65536);
	shown("pki rotate ca ca", STATUS_OK);
	assert_shown("a new CA, which the old one has signed");
	assert_int_equal(mode_of("ca/ca.key"), 0600);
	assert_int_equal(mode_of("ca/ca.key.old"), 0600);
	is = files_read("ca/ca.key.old", 65536);
	assert_string_equal(is, key);
	free(is);
	is = files_read("ca/ca.pem", 65536);
	assert_true(strlen(is) > strlen(was));
	assert_string_equal(is + strlen(is) - strlen(was), was);
	assert_int_equal(owned_judge_cas(was, is, time(NULL)), OWNED_CAS_FOLLOW);
	shown("pki show ca", STATUS_OK);
	assert_shown("\nolder CA    until ");
	assert_shown("; ca.pem has it still\n");
	shown("pki issue ca agent new --relay r:1", STATUS_OK);
	before = load_agent("old.yaml");
	after = load_agent("new.yaml");
	assert_string_equal(after.identity.ca, is);
	/* Either's certificate is good with both CAs, and the new one's with the new CA alone. */
	id = identity_new(is, before.identity.certificate, before.identity.key, time(NULL), why,
			  sizeof(why));
	assert_non_null(id);
	identity_free(id);
	is[strlen(is) - strlen(was)] = '\0';
	id = identity_new(is, after.identity.certificate, after.identity.key, time(NULL), why,
			  sizeof(why));
	assert_non_null(id);
	assert_true(identity_self(id, &self));
	identity_free(id);
	id = identity_new(was, after.identity.certificate, after.identity.key, time(NULL), why,
			  sizeof(why));
	assert_null(id);
	/* What is in force has to come first: a CA of a CA that none knows cannot be brought in. */
	shown("pki rotate ca ca", STATUS_FAILED);
	assert_non_null(
		strstr(ran.err, "ca/ca.key.old is there: the CA is being replaced already"));
	is[strlen(is)] = was[0];
	assert_true(still_is("ca/ca.pem", is) && still_is("ca/ca.key.old", key));
	/* A file that knows the old CA alone would be none that its program accepts. */
	shown("pki renew ca old.yaml", STATUS_FAILED);
	assert_non_null(strstr(ran.err, "old.yaml: its identity.ca lacks the CA that signs now"));
	shown("pki renew ca new.yaml", STATUS_OK);
	/* A rotation that was cut short before the new key was there is done again. */
	free(key);
	key = files_read("ca/ca.key", 65536);
	assert_true(files_write("ca/ca.key.old", key, 0600, true));
	shown("pki rotate ca ca", STATUS_OK); /* and on */
	shown("pki issue ca agent newest --relay r:1", STATUS_OK);
	shown("pki rotate ca ca --only", STATUS_USAGE);
	shown("pki rotate none ca", STATUS_FAILED);
	agent_config_free(&before);
	agent_config_free(&after);
	free(was);
	free(is);
	free(key);
}

/* The whole way from the command to the relay's judgement of a HELLO. */
static void test_issued_agents_are_believed_until_they_expire(void **state)
{
	static const struct {
		const char *line;
		enum reason reason;
	} rows[] = {
		{"ca agent a --relay r:1 --out f --force", REASON_OK},
		{"ca agent a --relay r:1 --out f --force --expires 1s", REASON_CERT_EXPIRED},
		{"other agent a --relay r:1 --out f --force", REASON_CERT_UNTRUSTED},
	};
	struct identity *relay;
	struct relay_config r;
	char why[256];

	assert_int_equal(run(init, "other"), STATUS_OK);
	assert_int_equal(run(issue, "ca relay r --host x --listen [::]:1"), STATUS_OK);
	r = load_relay("r.yaml");
	relay = identity_new(r.identity.ca, r.identity.certificate, r.identity.key, time(NULL), why,
			     sizeof(why));
	assert_non_null(relay);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t exported[32] = {1}, signature[512];
		struct identity_peer peer;
		struct agent_config c;
		struct identity *id;
		const uint8_t *der;
		size_t der_len, len;

		assert_int_equal(run(issue, rows[i].line), STATUS_OK);
		if (rows[i].reason == REASON_CERT_EXPIRED) {
			sleep(2);
			shown("pki show f", STATUS_OK);
			assert_shown("Z (expired)\n");
			shown("pki show ca", STATUS_OK);
			assert_shown(" expired  ");
		}
		c = load_agent("f");
		id = identity_new(c.identity.ca, c.identity.certificate, c.identity.key, time(NULL),
				  why, sizeof(why));
		assert_non_null(id);
		assert_true(identity_sign(id, IDENTITY_HELLO, exported, signature,
					  sizeof(signature), &len));
		identity_certificate_der(id, &der, &der_len);
		assert_int_equal(identity_verify(relay, IDENTITY_HELLO, der, der_len, signature,
						 len, exported, time(NULL), &peer),
				 rows[i].reason);
		identity_free(id);
		agent_config_free(&c);
	}
	identity_free(relay);
	relay_config_free(&r);
}

#define PKI_TEST(f) cmocka_unit_test_setup_teardown(f, enter, command_line_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PKI_TEST(test_init),
		PKI_TEST(test_agent_loads),
		PKI_TEST(test_console_loads),
		PKI_TEST(test_relay_loads),
		PKI_TEST(test_a_relays_certificate_tells_nothing),
		PKI_TEST(test_files_are_not_overwritten),
		PKI_TEST(test_usage_errors_write_nothing),
		PKI_TEST(test_records),
		PKI_TEST(test_show),
		PKI_TEST(test_a_certificate_ends_with_its_ca),
		PKI_TEST(test_an_earlier_certificate_is_noted),
		PKI_TEST(test_standard_output),
		PKI_TEST(test_a_ca_with_another_key),
		PKI_TEST(test_keys_that_others_may_read),
		PKI_TEST(test_a_ca_that_lacks_something),
		PKI_TEST(test_renewed_for_the_same_key),
		PKI_TEST(test_a_request_is_signed),
		PKI_TEST(test_tag_keys_rotate),
		PKI_TEST(test_a_ca_is_rotated),
		PKI_TEST(test_issued_agents_are_believed_until_they_expire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
