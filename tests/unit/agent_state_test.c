/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_state_test: what consoles changed survives any write that was cut short, beside an edited
 * file.
 *
 * links: core/key_file.c
 * links: core/engine/owned.c
 * links: core/conf/rows.c
 * links: core/engine/configuring.c core/engine/changes.c core/conf/merge.c core/conf/diff.c
 * links: agent/config/state.c agent/config/load.c agent/config/config.c core/conf/conf.c core/conf/bind.c
 * links: core/conf/error.c core/conf/json.c core/conf/value.c core/conf/yaml.c
 * links: core/addr.c core/file.c core/log*.c core/parse/wire.c core/parse/reason.c
 * links: agent/config/setup.c agent/config/http_proxy.c core/parse/http.c core/parse/text.c
 * links: core/engine/identity.c core/engine/identity_relay.c core/engine/identity_verify.c
 * links: core/engine/certificate.c
 * links: core/engine/tag.c core/engine/tls.c core/engine/csr.c ctl/pki/make.c tests/support/certs.c
 * links: core/engine/keyring.c core/parse/signing.c core/parse/keyblock.c core/memory.c
 * links: core/engine/browser.c core/engine/brotli.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/config/load.h"
#include "tests/support/certs.h"

#define PEM(what) "|\n    -----BEGIN " what "-----\n    MA==\n    -----END " what "-----\n"
#define BASE                                                                                       \
	"name: laptop\nrelays: [{address: 'relay.example.org:443'}]\nidentity:\n  ca: " PEM(       \
		"CERT"                                                                             \
		"IFIC"                                                                             \
		"ATE") "  certificate: " PEM("CERTIFICATE") "  key: " PEM("PRIVATE KEY") "  "      \
											 "tag_"    \
											 "keys: "  \
											 "7a7a7a7" \
											 "a7a7a7a" \
											 "7a7a7a7" \
											 "a7a7a7a" \
											 "7a7a7a7" \
											 "a"       \
											 "7a7a7a7" \
											 "a7a7a7a" \
											 "7a7a7a7" \
											 "a7a7a7a" \
											 "\n"

static char dir[64], file[80];

static int make_dir(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/agent-state-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/agent.yaml", dir);
	return 0;
}

static int remove_dir(void **state)
{
	static const char *const names[] = {"applied-a.json",	  "applied-b.json",
					    "revocations-a.json", "revocations-b.json",
					    "tag-keys.json",	  "agent.yaml"};
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

static struct agent_state *open_state(void)
{
	char why[256] = "";
	struct agent_state *s = state_open(dir, why, sizeof(why));

	if (!s)
		fail_msg("%s", why);
	return s;
}

static void save(int value)
{
	struct agent_state *s = open_state();
	json_t *kept = json_pack("{s:i}", "value", value);

	json_decref(state_load(s));
	assert_int_equal(state_save(s, kept), 0);
	json_decref(kept);
	state_close(s);
}

/* The value kept, or -1. */
static int load(void)
{
	struct agent_state *s = open_state();
	json_t *kept = state_load(s);
	int value = kept ? (int)json_integer_value(json_object_get(kept, "value")) : -1;

	json_decref(kept);
	state_close(s);
	return value;
}

static void cut(const char *name, long len)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(truncate(path, len), 0);
}

static void write_file(const char *text)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* ---- tests ---- */

static void the_newest_counts(void **state)
{
	struct stat st;
	char path[128];

	assert_int_equal(load(), -1);
	for (int i = 1; i <= 5; i++) {
		save(i);
		assert_int_equal(load(), i);
	}
	snprintf(path, sizeof(path), "%s/applied-a.json", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_save_that_was_cut_short_leaves_the_one_before(void **state)
{
	save(1); /* b */
	save(2); /* a */
	for (long len = 40; len >= 0; len -= 20) {
		cut("applied-a.json", len);
		assert_int_equal(load(), 1);
	}
	save(3);
	assert_int_equal(load(), 3);
	cut("applied-a.json", 0);
	cut("applied-b.json", 0);
	assert_int_equal(load(), -1);
}

static void write_text(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void what_is_damaged_is_not_nothing(void **state)
{
	static const char *const texts[] = {"{\"number\": 3, \"kept\": {", "\n", "[1]",
					    "{\"number\": -3, \"kept\": {}}",
					    "{\"number\": 9223372036854775807, \"kept\": {}}"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct agent_state *s;
		json_t *kept;

		write_text("applied-a.json", texts[i]);
		write_text("applied-b.json", "");
		s = open_state();
		kept = state_load(s);
		assert_true(json_is_null(kept));
		json_decref(kept);
		state_close(s);
		save(4); /* and the next save counts */
		assert_int_equal(load(), 4);
	}
}

/* Under a running agent: then nothing is kept, and it knows. */
static void what_others_may_read_is_refused(void **state)
{
	static const char *const names[] = {"applied-a.json", "applied-b.json",
					    "revocations-a.json", "revocations-b.json",
					    "tag-keys.json"};
	char path[128], why[512], wanted[512];

	save(1);
	for (size_t i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		assert_int_equal(chmod(path, 0604), 0);
		assert_null(state_open(dir, why, sizeof(why)));
		snprintf(wanted, sizeof(wanted),
			 "state_dir: %s: holds a key and is open to more than its owner (mode "
			 "0604); type: chmod 600 %s",
			 path, path);
		assert_string_equal(why, wanted);
		assert_int_equal(chmod(path, 0600), 0);
	}
	assert_int_equal(load(), 1);
}

static void what_was_removed_keeps_nothing(void **state)
{
	struct agent_state *s;
	json_t *kept = json_pack("{s:i}", "value", 2);
	char path[128];

	save(1);
	s = open_state();
	json_decref(state_load(s));
	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/applied-%c.json", dir, 'a' + (char)i);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(state_save(s, kept), -ENOENT);
	json_decref(kept);
	state_close(s);
	assert_int_equal(load(), -1);
}

static void a_directory_is_for_one_agent(void **state)
{
	struct agent_state *s = open_state();
	char why[256] = "";

	assert_null(state_open(dir, why, sizeof(why)));
	assert_non_null(strstr(why, "another agent"));
	state_close(s);
	assert_null(state_open("/nonexistent", why, sizeof(why)));
	assert_non_null(strstr(why, "state_dir"));
}

/* What agent_load() makes of the file and the state; warm_legs and max_sessions, to see which. */
static void expect_start(struct agent_state **s, uint64_t warm_legs, uint64_t max_sessions)
{
	struct conf_errors errors = {0};
	struct configuring_start start;
	struct agent_config c;

	if (!agent_load(file, &c, &start, s, &errors))
		fail_msg("%s", errors.text);
	assert_int_equal(c.warm_legs, warm_legs);
	assert_int_equal(c.max_sessions, max_sessions);
	agent_config_free(&c);
	configuring_start_free(&start);
	conf_errors_free(&errors);
}

/* As a console that changed one key since the file said so. */
static void console_changed(struct agent_state *s, const char *key, json_t *value)
{
	struct conf_errors errors = {0};
	json_t *said = agent_load_document(file, &errors), *config = json_deep_copy(said), *kept;

	assert_non_null(said);
	json_object_set_new(config, key, value);
	kept = json_pack("{s:o, s:o}", "file", said, "config", config);
	assert_int_equal(state_save(s, kept), 0);
	json_decref(kept);
	conf_errors_free(&errors);
}

static void file_and_consoles_meet_at_the_start(void **state)
{
	char text[2048];
	struct agent_state *s;

	snprintf(text, sizeof(text), BASE "warm_legs: 3\nmax_sessions: 100\nstate_dir: %s\n", dir);
	write_file(text);
	expect_start(&s, 3, 100);
	console_changed(s, "warm_legs", json_integer(7));
	state_close(s);
	expect_start(&s, 7, 100);
	state_close(s);

	/* Another way to write the same is no edit; an edit elsewhere leaves it. */
	snprintf(text, sizeof(text),
		 "# mine\nstate_dir: %s\nmax_sessions: 200\nwarm_legs:   3\n" BASE, dir);
	write_file(text);
	expect_start(&s, 7, 200);
	state_close(s);

	/* Where both changed the same, the file counts. */
	snprintf(text, sizeof(text), BASE "warm_legs: 4\nmax_sessions: 100\nstate_dir: %s\n", dir);
	write_file(text);
	expect_start(&s, 4, 100);
	/* What no longer passes the checks does not keep the agent from starting. */
	console_changed(s, "warm_legs", json_string("many"));
	state_close(s);
	expect_start(&s, 4, 100);
	state_close(s);
}

/* A file of an agent with this certificate and key. */
/* A shorter one leaves nothing of a longer one; what is none is not taken. */
static void tag_keys_are_kept(void **state)
{
	json_t *two = json_pack("{s:s, s:s}", "a.example:443", CERTS_TAG_KEYS, "b.example:443",
				CERTS_TAG_KEYS);
	json_t *one = json_pack("{s:s}", "a:1", CERTS_TAG_KEYS), *read;
	char why[256];
	struct agent_state *s = state_open(dir, why, sizeof(why));

	assert_non_null(s);
	assert_null(state_load_tag_keys(s));
	assert_int_equal(state_save_tag_keys(s, two), 0);
	state_close(s);
	s = state_open(dir, why, sizeof(why));
	read = state_load_tag_keys(s);
	assert_true(json_equal(read, two));
	json_decref(read);
	assert_int_equal(state_save_tag_keys(s, one), 0);
	read = state_load_tag_keys(s);
	assert_true(json_equal(read, one));
	json_decref(read);
	state_close(s);
	write_text("tag-keys.json", "{\"a:1\": \"7a");
	s = state_open(dir, why, sizeof(why));
	assert_null(state_load_tag_keys(s));
	state_close(s);
	json_decref(one);
	json_decref(two);
}

/* Beside the configuration, and as whole as that. */
static void signed_revocations_are_kept(void **state)
{
	json_t *config = json_pack("{s:s}", "name", "laptop"), *first = json_pack("[s]", "one"),
	       *second = json_pack("[s, s]", "one", "two"), *read;
	struct agent_state *s = open_state();

	assert_null(state_load_revocations(s));
	assert_int_equal(state_save(s, config), 0);
	assert_int_equal(state_save_revocations(s, first), 0);
	assert_int_equal(state_save_revocations(s, second), 0);
	state_close(s);
	s = open_state();
	read = state_load_revocations(s);
	assert_true(json_equal(read, second));
	json_decref(read);
	read = state_load(s);
	assert_true(json_equal(read, config));
	json_decref(read);
	state_close(s);
	write_text("revocations-b.json", "{\"number\": 2, \"ke");
	s = open_state();
	read = state_load_revocations(s);
	assert_false(json_is_null(read));
	assert_true(json_equal(read, first) || json_equal(read, second));
	json_decref(read);
	state_close(s);
	write_text("revocations-a.json", "{\"number\": 1, \"ke");
	s = open_state();
	read = state_load_revocations(s);
	assert_true(json_is_null(read));
	state_close(s);
	json_decref(config);
	json_decref(first);
	json_decref(second);
}

static void write_identity(const struct certs_ca *ca, const char *certificate, const char *key)
{
	static char text[16384];
	size_t n = (size_t)snprintf(text, sizeof(text),
				    "name: laptop\nrelays: [{address: 'relay.example.org:443'}]\n"
				    "state_dir: %s\n",
				    dir);

	certs_yaml(ca->pem, certificate, key, text + n, sizeof(text) - n);
	write_file(text);
}

/* A console renewed certificate and key, then the file got another certificate for its old key:
 * merged they are a certificate and a key of another one, with which no agent could start. */
static void an_identity_is_the_files_or_the_consoles(void **state)
{
	struct certs_ca ca = certs_make_ca("Example");
	struct certs_pair first = certs_make_pair(&ca, IDENTITY_AGENT, "laptop", -60, 3600);
	struct certs_pair second = certs_make_pair(&ca, IDENTITY_AGENT, "laptop", -60, 3600);
	struct certs_pair third = certs_make_pair(&ca, IDENTITY_AGENT, "laptop", -60, 7200);
	struct conf_errors errors = {0};
	struct configuring_start start;
	struct agent_config c;
	struct agent_state *s;
	json_t *identity;

	write_identity(&ca, first.certificate, first.key);
	assert_true(agent_load(file, &c, &start, &s, &errors));
	identity = json_pack("{s:s, s:s, s:s, s:s}", "ca", ca.pem, "certificate",
			     second.certificate, "key", second.key, "tag_keys", CERTS_TAG_KEYS);
	console_changed(s, "identity", identity);
	agent_config_free(&c);
	configuring_start_free(&start);
	state_close(s);

	assert_true(agent_load(file, &c, &start, &s, &errors));
	assert_true(start.merged);
	assert_string_equal(c.identity.key, second.key);
	agent_config_free(&c);
	configuring_start_free(&start);
	state_close(s);

	write_identity(&ca, third.certificate, first.key);
	assert_true(agent_load(file, &c, &start, &s, &errors));
	assert_false(start.merged);
	assert_true(start.spares);
	assert_string_equal(c.identity.certificate, third.certificate);
	assert_string_equal(c.identity.key, first.key);
	agent_config_free(&c);
	configuring_start_free(&start);
	state_close(s);
	conf_errors_free(&errors);
	certs_free_pair(&first);
	certs_free_pair(&second);
	certs_free_pair(&third);
	certs_free_ca(&ca);
}

#define STATE_TEST(f)                                                                              \
	{                                                                                          \
#f, f, make_dir, remove_dir, NULL                                                  \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STATE_TEST(the_newest_counts),
		STATE_TEST(a_save_that_was_cut_short_leaves_the_one_before),
		STATE_TEST(what_is_damaged_is_not_nothing),
		STATE_TEST(an_identity_is_the_files_or_the_consoles),
		STATE_TEST(tag_keys_are_kept),
		STATE_TEST(signed_revocations_are_kept),
		STATE_TEST(what_others_may_read_is_refused),
		STATE_TEST(what_was_removed_keeps_nothing),
		STATE_TEST(a_directory_is_for_one_agent),
		STATE_TEST(file_and_consoles_meet_at_the_start),
	};

	umask(077);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
