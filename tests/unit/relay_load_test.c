/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay_load_test: what a relay starts with: its file, and what consoles changed over it, unless
 * that is damaged or does not go with the file any more.
 *
 * links: core/key_file.c
 * links: core/engine/owned.c core/engine/front_certificate.c
 * links: core/engine/entitled.c core/engine/revocations.c core/engine/signed_revocations.c core/engine/signed_told.c
 * links: core/engine/identity_revocation.c core/parse/revocation.c
 * links: relay/config/load.c relay/config/config.c relay/config/policy.c relay/config/stun.c
 * links: relay/policy/policy.c relay/policy/compile.c relay/policy/index.c relay/policy/source.c
 * links: relay/policy/time.c core/engine/configuring.c core/engine/changes.c core/conf/merge.c
 * links: core/conf/diff.c core/conf/rows.c core/conf/conf.c core/conf/bind.c core/conf/error.c
 * links: core/conf/json.c core/conf/value.c core/conf/yaml.c core/addr.c core/log*.c
 * links: core/parse/wire.c core/parse/reason.c core/engine/identity.c
 * links: core/engine/identity_relay.c core/engine/identity_verify.c core/engine/certificate.c
 * links: core/engine/tag.c core/engine/tls.c core/engine/csr.c ctl/pki/make.c tests/support/certs.c
 * links: core/engine/keyring.c core/parse/signing.c core/parse/keyblock.c core/memory.c
 * links: core/engine/browser.c core/engine/brotli.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/engine/certificate.h"
#include "core/engine/keyring.h"
#include "core/parse/keyblock.h"
#include "relay/config/load.h"
#include "tests/support/certs.h"

static struct certs_ca ca;
static struct certs_pair first, second, third;
static char dir[64], file[80], kept_path[80];
/* The signer's, which made the key of second. */
static struct keyring *keys;
static char second_reference[4096];

static int make_all(void **state)
{
	ca = certs_make_ca("Example");
	first = certs_make_pair(&ca, IDENTITY_RELAY, "relay.example.org", -60, 3600);
	second = certs_make_pair(&ca, IDENTITY_RELAY, "relay.example.org", -60, 3600);
	third = certs_make_pair(&ca, IDENTITY_RELAY, "relay.example.org", -60, 7200);
	return 0;
}

static int free_all(void **state)
{
	certs_free_pair(&first);
	certs_free_pair(&second);
	certs_free_pair(&third);
	certs_free_ca(&ca);
	return 0;
}

static int make_dir(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/relay-load-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	keys = keyring_new();
	assert_non_null(keys);
	snprintf(second_reference, sizeof(second_reference), "%s", second.key);
	(void)keyring_take(keys, second_reference, strlen(second_reference));
	snprintf(file, sizeof(file), "%s/relay.yaml", dir);
	snprintf(kept_path, sizeof(kept_path), "%s/" STATE_NAME, dir);
	return 0;
}

static int remove_dir(void **state)
{
	keyring_free(keys);
	unlink(file);
	unlink(kept_path);
	return rmdir(dir);
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void write_file(const char *certificate, const char *key)
{
	static char text[16384];
	size_t n = (size_t)snprintf(text, sizeof(text),
				    "name: front\nlisten: [{address: '0.0.0.0:443'}]\n"
				    "state_dir: %s\n",
				    dir);

	certs_yaml(ca.pem, certificate, key, text + n, sizeof(text) - n);
	write_text(file, text);
}

static bool ring_has(void *context, const uint8_t id[SIGNING_KEY_BYTES], enum signing_use use)
{
	return keyring_has(context, id);
}

static char told_state[sizeof(dir)]; /* where the signer was told that its keys lie */

static void ring_state(void *context, const char *state_dir)
{
	snprintf(told_state, sizeof(told_state), "%s", state_dir);
}

/* As the signer reads it. */
static bool load(struct relay_config *c, struct configuring_start *start,
		 struct conf_errors *errors)
{
	static char text[16384];
	FILE *f = fopen(file, "r");

	assert_non_null(f);
	const struct load_source from = {.path = file,
					 .text = text,
					 .len = fread(text, 1, sizeof(text), f),
					 .has_key = ring_has,
					 .state = ring_state,
					 .context = keys};
	fclose(f);
	assert_int_equal(keyring_take(keys, text, from.len), 1);
	told_state[0] = '\0';
	bool ok = load_config(&from, c, start, errors);
	/* Before it is asked for a key of what is kept. */
	assert_true(!ok || strcmp(told_state, dir) == 0);
	return ok;
}

/* What load_config() makes of it; expect: the key in force, and whether what is kept counts. */
static void expect(const char *key, size_t revoked, bool spares)
{
	struct conf_errors errors = {0};
	struct configuring_start start;
	struct relay_config c;
	uint8_t has[KEYBLOCK_ID_BYTES], wanted[KEYBLOCK_ID_BYTES];
	EVP_PKEY *private_key = certificate_key_of_pem(key);

	if (!load(&c, &start, &errors))
		fail_msg("%s", errors.text);
	/* The key itself is the signer's alone. */
	assert_true(private_key && keyring_id(private_key, wanted));
	EVP_PKEY_free(private_key);
	assert_true(keyblock_refers(c.identity.key, has));
	assert_memory_equal(has, wanted, sizeof(has));
	assert_string_equal(c.state_dir, dir);
	assert_int_equal(json_array_size(json_object_get(start.document, "revoked")), revoked);
	assert_int_equal(start.spares, spares);
	relay_config_free(&c);
	configuring_start_free(&start);
	conf_errors_free(&errors);
}

/* As a console that revoked an agent, and gave the relay another identity, or not (NULL). */
static void keep(const struct certs_pair *identity)
{
	struct conf_errors errors = {0};
	struct configuring_start start;
	struct relay_config c;
	json_t *config, *kept;

	assert_true(load(&c, &start, &errors));
	config = json_deep_copy(start.file);
	json_object_set_new(config, "revoked", json_pack("[{s:s}]", "agent", "lost"));
	if (identity)
		json_object_set_new(config, "identity",
				    json_pack("{s:s, s:s, s:s, s:s}", "ca", ca.pem, "certificate",
					      identity->certificate, "key", second_reference,
					      "tag_keys", CERTS_TAG_KEYS));
	kept = json_pack("{s:O, s:o}", "file", start.file, "config", config);
	assert_int_equal(json_dump_file(kept, kept_path, 0), 0);
	json_decref(kept);
	relay_config_free(&c);
	configuring_start_free(&start);
}

/* ---- tests ---- */

static void file_and_consoles_meet(void **state)
{
	write_file(first.certificate, first.key);
	expect(first.key, 0, false);
	keep(NULL);
	expect(first.key, 1, false);
	write_file(third.certificate, first.key); /* renewed */
	expect(first.key, 1, false);
	unlink(kept_path);
	expect(first.key, 0, false);
}

static void what_is_damaged_is_spared(void **state)
{
	static const char *const texts[] = {"", "{\"file\": {", "[]", "{\"file\": 1}",
					    "{\"config\": {\"revoked\": []}}"};

	write_file(first.certificate, first.key);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_text(kept_path, texts[i]);
		expect(first.key, 0, true);
	}
}

/* A key in the clear is no relay's, from wherever it comes. */
static void no_key_in_the_clear(void **state)
{
	struct conf_errors errors = {0};
	struct configuring_start start;
	struct relay_config c;
	json_t *kept, *identity;

	write_file(first.certificate, first.key);
	keep(&second);
	kept = json_load_file(kept_path, 0, NULL);
	identity = json_object_get(json_object_get(kept, "config"), "identity");
	json_object_set_new(identity, "key", json_string(second.key));
	assert_int_equal(json_dump_file(kept, kept_path, 0), 0);
	json_decref(kept);
	expect(first.key, 0, true);

	const struct load_source from = {.path = file,
					 .text = "name: x\nidentity: {ca: '', key: ''}\n",
					 .len = 34,
					 .has_key = ring_has,
					 .state = ring_state,
					 .context = keys};
	assert_false(load_config(&from, &c, &start, &errors));
	conf_errors_free(&errors);
	errors = (struct conf_errors){0};
	c = (struct relay_config){.identity.key = second.key};
	assert_false(load_key_apart(&c, &errors));
	assert_non_null(
		strstr(errors.text, "identity.key: is not a key that the relay's own file"));
	conf_errors_free(&errors);
}

/* The certificate tells which of the signer's keys is meant; where it has none, no relay could
 * start, and what consoles changed is spared. */
static void a_certificate_needs_its_key(void **state)
{
	write_file(first.certificate, first.key);
	keep(&second);
	expect(second.key, 1, false);
	write_file(third.certificate, third.key); /* both anew: what the file says counts */
	expect(third.key, 1, false);
	write_file(first.certificate, first.key);
	keyring_free(keys);
	keys = keyring_new();
	expect(first.key, 0, true);
}

/* Which files the signer reads is the operator's file's to say, now and at the next start. */
static void no_console_names_files(void **state)
{
	struct conf_errors errors = {0};
	struct configuring_start start;
	struct relay_config c;
	json_t *kept;

	write_file(first.certificate, first.key);
	keep(NULL);
	kept = json_load_file(kept_path, 0, NULL);
	json_object_set_new(json_object_get(kept, "config"), "tls",
			    json_pack("{s:s, s:s, s:s}", "certificate_file", "/root/a", "key_file",
				      "/root/b", "acme", "home/acme"));
	assert_int_equal(json_dump_file(kept, kept_path, 0), 0);
	json_decref(kept);
	assert_true(load(&c, &start, &errors));
	assert_string_equal(c.tls.acme.to, "home/acme"); /* what a console changed counts */
	assert_null(c.tls.certificate_file);
	assert_null(c.tls.key_file);
	relay_config_free(&c);
	configuring_start_free(&start);
}

/* What a relay that was taken over might have kept: everything that root would act on. */
static void what_is_kept_has_no_say_about_the_host(void **state)
{
	struct certs_ca other = certs_make_ca("Example");
	struct conf_errors errors = {0};
	struct configuring_start start;
	struct relay_config c;
	json_t *kept, *config;

	write_file(first.certificate, first.key);
	keep(NULL);
	kept = json_load_file(kept_path, 0, NULL);
	config = json_object_get(kept, "config");
	json_object_set_new(config, "user", json_string("daemon"));
	json_object_set_new(config, "state_dir", json_string("/etc"));
	json_object_set_new(config, "control",
			    json_pack("{s:s, s:[i]}", "socket", "/etc/passwd", "admin", 1234));
	json_object_set_new(config, "metrics", json_pack("{s:s}", "listen", "0.0.0.0:1"));
	json_object_set_new(config, "nat", json_pack("{s:s}", "socket", "/run/other"));
	assert_int_equal(json_dump_file(kept, kept_path, 0), 0);
	assert_true(load(&c, &start, &errors));
	assert_null(c.user);
	assert_null(c.control.socket);
	assert_null(c.nat.socket);
	assert_int_equal(c.control.admin.count, 0);
	assert_int_equal(c.metrics.listen.len, 0);
	assert_string_equal(c.state_dir, dir);
	assert_int_equal(json_array_size(start.overruled), 6);
	relay_config_free(&c);
	configuring_start_free(&start);
	expect(first.key, 1, false); /* and the rest counts */
	/* A CA that no CA of the file has signed. */
	json_object_set_new(json_object_get(config, "identity"), "ca",
			    json_sprintf("%s%s", ca.pem, other.pem));
	assert_int_equal(json_dump_file(kept, kept_path, 0), 0);
	expect(first.key, 0, true);
	json_decref(kept);
	conf_errors_free(&errors);
	certs_free_ca(&other);
}

static void what_is_kept_is_a_file(void **state)
{
	char elsewhere[128];

	write_file(first.certificate, first.key);
	keep(NULL);
	snprintf(elsewhere, sizeof(elsewhere), "%s.other", kept_path);
	assert_int_equal(rename(kept_path, elsewhere), 0);
	assert_int_equal(symlink(elsewhere, kept_path), 0);
	expect(first.key, 0, true);
	assert_int_equal(unlink(elsewhere), 0);
}

#define LOAD_TEST(f)                                                                               \
	{                                                                                          \
#f, f, make_dir, remove_dir, NULL                                                  \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOAD_TEST(file_and_consoles_meet),
		LOAD_TEST(what_is_damaged_is_spared),
		LOAD_TEST(no_key_in_the_clear),
		LOAD_TEST(a_certificate_needs_its_key),
		LOAD_TEST(no_console_names_files),
		LOAD_TEST(what_is_kept_has_no_say_about_the_host),
		LOAD_TEST(what_is_kept_is_a_file),
	};

	return cmocka_run_group_tests(tests, make_all, free_all);
}
