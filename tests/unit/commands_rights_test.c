/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands_rights_test: grants, revocations and what is signed of them, as the operator's commands
 * ask relays for them, and what they print (tests/support/command_scene.h).
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
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "core/engine/certificate.h"
#include "core/engine/identity_revocation.h"
#include "core/parse/jsonrpc.h"
#include "core/parse/wire.h"
#include "ctl/terminal/files.h"
#include "tests/support/command_scene.h"

/* As assert_asked(), of what is signed; the object is good until the next call. */
static struct signed_revocation assert_signed(size_t place, size_t nth, const char *method,
					      enum revocation_verb verb, const char *value)
{
	static uint8_t object[REVOCATION_MAX];
	const json_t *call = json_array_get(places[place].asked, nth);
	const json_t *params = json_object_get(call, "params");
	const char *name = json_string_value(json_object_get(call, "method"));
	const char *text = json_string_value(json_object_get(params, "signed"));
	struct signed_revocation r;
	size_t len;

	assert_non_null(name);
	assert_string_equal(name, method);
	assert_int_equal(json_object_size(params), 1);
	assert_non_null(text);
	len = revocation_of_text(text, object);
	assert_true(revocation_decode(object, len, &r));
	assert_int_equal(r.verb, verb);
	assert_true(wire_bytes_equal(r.value, wire_text(value)));
	/* Several of one second count on into the next ones. */
	assert_in_range(r.issued, time(NULL) - 60, time(NULL) + 60);
	/* Until the CA ends: ten years. */
	assert_in_range(r.keep_until, time(NULL) + 3600L * 86400, time(NULL) + 3660L * 86400);
	return r;
}

/* ---- grants and revocations ---- */

/* A revocation that one relay did not hear of would be none. */
static void test_revoke_tells_every_relay(void **state)
{
	scene_answers_looks(FIRST, "{}", PHONE_IS_THERE);
	scene_answers(FIRST, "{\"revision\": 8}");
	scene_answers_looks(SECOND, "{}", PHONE_IS_THERE);
	scene_answers(SECOND, "{\"revision\": 3}");
	scene_run("revoke phone --as c --note 'it was stolen'", STATUS_OK);
	for (size_t i = FIRST; i <= SECOND; i++) {
		struct signed_revocation r;

		assert_count(i, 4);
		r = assert_signed(i, 3, "revoke", REVOCATION_REVOKE, "phone");
		assert_int_equal(r.kind, WIRE_REVOKED_NAME);
		assert_true(wire_bytes_equal(r.note, wire_text("it was stolen")));
		/* All that "postern pki" has issued by now. */
		assert_int_equal(r.before, r.issued - 3600);
		assert_int_equal(places[i].flags, WIRE_HELLO_CONSOLE);
	}
	assert_says(ran.out, "one.example:443: phone is revoked");
	assert_says(ran.out, "two.example:443: phone is revoked");
	assert_says(ran.out, "revision 8");
	assert_string_equal(ran.err, "");
}

static void test_revoke_that_a_relay_refuses_has_failed(void **state)
{
	scene_answers_looks(FIRST, "{}", PHONE_IS_THERE);
	scene_refuses(FIRST, JSONRPC_FORBIDDEN, "this console may only read", "null");
	scene_answers_looks(SECOND, "{}", PHONE_IS_THERE);
	scene_answers(SECOND, "{\"revision\": 3}");
	scene_run("revoke phone --as c", STATUS_FAILED);
	assert_signed(SECOND, 3, "revoke", REVOCATION_REVOKE, "phone");
	assert_says(ran.err, "this console may only read");
	assert_says(ran.err, "1 of 2 relays have changed; run this again");
	assert_silent_on(ran.out, "one.example:443");

	scene_forget();
	places[FIRST].refuses = "one.example:443: Connection refused";
	scene_answers_looks(SECOND, "{}", PHONE_IS_THERE);
	scene_answers(SECOND, "{\"revision\": 3}");
	scene_run("revoke phone --as c", STATUS_FAILED);
	assert_says(ran.err, "one.example:443: Connection refused");
	assert_count(FIRST, 0);
	assert_count(SECOND, 4);
}

/* What the CA's key signs, where no relay can be asked, is passed on as it is. */
static void test_the_ca_signs_a_revocation(void **state)
{
	char *ca = files_read("ca/ca.pem", 65536), why[256];
	struct identity *id = identity_new(ca, ca, NULL, time(NULL), why, sizeof(why));
	struct revocation_signer signer;
	struct signed_revocation r;

	assert_non_null(id);
	scene_run("pki revoke ca home --note 'laptop lost' --out lost", STATUS_OK);
	assert_says(ran.out, "lost: revokes 'home', until ");
	assert_says(ran.out, "'postern revoke --file lost'");
	assert_string_equal(ran.err, "");
	scene_run("pki revoke ca home --out lost", STATUS_FAILED); /* nothing is overwritten */
	scene_answers(FIRST,
		      "{\"revision\": 8, \"signed\": {\"by\": \"the CA\", \"until\": \"then\"}}");
	scene_answers(SECOND, "{\"revision\": 9}");
	scene_run("revoke --file lost --as c", STATUS_OK);
	for (size_t i = FIRST; i <= SECOND; i++) {
		assert_count(i, 1);
		r = assert_signed(i, 0, "revoke", REVOCATION_REVOKE, "home");
		assert_int_equal(r.kind, WIRE_REVOKED_NAME);
		assert_int_equal(r.before, r.issued - 3600);
		assert_true(wire_bytes_equal(r.note, wire_text("laptop lost")));
		assert_int_equal(identity_verify_revocation(id, &r, &signer), REVOCATION_TAKEN);
		assert_true(signer.is_ca);
	}
	assert_says(ran.out, "one.example:443: home is revoked");
	assert_says(ran.out, "signed by the CA, until then");
	scene_forget();
	/* The opposite has a command of its own, and says so before a relay is asked. */
	scene_run("unrevoke --file lost --as c", STATUS_FAILED);
	assert_says(ran.err, "lost: says the opposite; pass it on with 'revoke'");
	scene_run("pki revoke ca home --take-back --out found", STATUS_OK);
	assert_says(ran.out, "found: takes back what revokes 'home'");
	scene_run("revoke --file found --as c", STATUS_FAILED);
	assert_count(FIRST, 0);
	scene_answers(FIRST, "{\"revision\": 9}");
	scene_run("unrevoke --file found --as c --at one.example", STATUS_OK);
	r = assert_signed(FIRST, 0, "unrevoke", REVOCATION_TAKE_BACK, "home");
	assert_says(ran.out, "home is good again");
	scene_forget();
	/* One certificate, on standard output. */
	scene_run("pki revoke ca --serial 0a1b --until 2099-01-02", STATUS_OK);
	assert_says(ran.err, "note: ca has issued nothing for '0a1b'");
	assert_true(files_write("one", ran.out, 0644, true));
	scene_answers(FIRST, "{\"revision\": 9}");
	scene_run("revoke --file one --as c --at one.example", STATUS_OK);
	assert_says(ran.out, "the certificate 0a1b is revoked");
	scene_forget();
	/* More goes with a console than its name says. */
	scene_run("pki revoke ca ops --out thief", STATUS_OK);
	assert_says(ran.err, "note: all revocations that it has signed end with it");
	scene_run("pki revoke ca ops --take-back", STATUS_OK);
	assert_string_equal(ran.err, "");
	scene_run("pki revoke ca --key "
		  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		  STATUS_OK);
	assert_says(ran.err, "note: if that is a console's key, all revocations");
	/* A slip of the name, and what cannot be signed. */
	scene_run("pki revoke ca hone", STATUS_OK);
	assert_says(ran.err, "note: ca has issued nothing for 'hone'");
	scene_run("pki revoke ca home --before 2019-01-02T03:04:05Z", STATUS_OK);
	scene_run("pki revoke ca home --before 2099-01-02T03:04:05Z", STATUS_USAGE);
	scene_run("pki revoke ca home --until 2019-01-02T03:04:05Z", STATUS_USAGE);
	scene_run("pki revoke ca --serial 0a1b --before 2019-01-02T03:04:05Z", STATUS_USAGE);
	scene_run("pki revoke ca --key beef", STATUS_USAGE);
	scene_run("pki revoke ca", STATUS_USAGE);
	scene_run("pki revoke ca home --serial 0a1b", STATUS_USAGE);
	scene_run("pki revoke nowhere home", STATUS_FAILED);
	scene_run("revoke phone --file lost --as c", STATUS_USAGE);
	scene_run("revoke --file lost --note more --as c", STATUS_USAGE);
	scene_run("revoke --file ca/ca.pem --as c", STATUS_FAILED);
	assert_says(ran.err, "ca/ca.pem: is not what 'postern pki revoke' writes");
	scene_run("revoke --file none --as c", STATUS_FAILED);
	assert_count(FIRST, 0);
	identity_free(id);
	free(ca);
}

static void test_at_names_one_relay(void **state)
{
	scene_answers_looks(SECOND, "{}", PHONE_IS_THERE);
	scene_answers(SECOND, "{\"revision\": 3}");
	scene_run("revoke phone --as c --at two.example", STATUS_OK);
	assert_int_equal(places[FIRST].opened, 0);
	assert_signed(SECOND, 3, "revoke", REVOCATION_REVOKE, "phone");
	scene_run("revoke phone --as c --at three.example", STATUS_FAILED);
	assert_says(ran.err, "names no relay three.example");
	assert_says(ran.err, "  two.example:443\n");
	scene_run("revoke phone --as c --at two.example:444", STATUS_FAILED);
	assert_count(SECOND, 4);
}

/* It is done all the same: the agent may be away. */
static void test_revoke_notes_who_is_not_there(void **state)
{
	scene_answers_looks(FIRST, "{}", PHONE_IS_THERE);
	scene_answers(FIRST, "{\"revision\": 8}");
	scene_run("revoke phome --as c --at one.example", STATUS_OK);
	assert_says(ran.err, "note: no agent 'phome' is known to one.example:443; it is refused "
			     "when it comes; did you mean 'phone'?");
	assert_signed(FIRST, 3, "revoke", REVOCATION_REVOKE, "phome");
	scene_forget();
	scene_answers_looks(FIRST, "{}", "{\"agents\": []}");
	scene_answers(FIRST, "{\"revision\": 8}");
	scene_run("revoke phome --as c --at one.example", STATUS_OK);
	assert_says(ran.err, "it is refused when it comes\n");
	assert_signed(FIRST, 3, "revoke", REVOCATION_REVOKE, "phome");
	scene_forget();
	scene_answers(FIRST, "{}");
	scene_refuses(FIRST, JSONRPC_FORBIDDEN, "not for you", "null");
	scene_refuses(FIRST, JSONRPC_FORBIDDEN, "not for you", "null");
	scene_answers(FIRST, "{\"revision\": 8}");
	scene_run("revoke phome --as c --at one.example", STATUS_OK);
	assert_string_equal(ran.err, "");
	assert_signed(FIRST, 3, "revoke", REVOCATION_REVOKE, "phome");
}

/* Away, and yet known: by a group, by a rule. */
static void test_revoke_knows_whom_the_configuration_names(void **state)
{
	static const char *const configs[] = {
		"{\"config\": {\"groups\": [{\"name\": \"all\", \"members\": [\"phone\"]}]}}",
		"{\"config\": {\"policy\": [{\"from\": [\"phone\"], \"to\": [\"a/b\"]}]}}",
		"{\"config\": {\"grants\": [{\"from\": [\"phone\"], \"to\": [\"a/b\"]}]}}",
		"{\"config\": {\"revoked\": [{\"agent\": \"phone\"}]}}",
	};

	for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
		scene_answers_looks(FIRST, configs[i], "{\"agents\": []}");
		scene_answers(FIRST, "{\"revision\": 8}");
		scene_run("revoke phone --as c --at one.example", STATUS_OK);
		assert_string_equal(ran.err, "");
		scene_forget();
		scene_answers_looks(FIRST, configs[i], "{\"agents\": []}");
		scene_answers(FIRST, "{\"revision\": 8}");
		scene_run("revoke phome --as c --at one.example", STATUS_OK);
		assert_says(ran.err, "did you mean 'phone'?");
		scene_forget();
	}
}

#define KEY_TEXT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_revoke_by_serial_key_and_moment(void **state)
{
	struct signed_revocation r;

	scene_answers(FIRST, "{}");
	scene_answers(FIRST, "{\"revision\": 8}");
	scene_run("revoke --serial 0a1b --as c --at one.example", STATUS_OK);
	r = assert_signed(FIRST, 1, "revoke", REVOCATION_REVOKE, "0a1b");
	assert_int_equal(r.kind, WIRE_REVOKED_SERIAL);
	assert_int_equal(r.before, 0);
	assert_says(ran.out, "the certificate 0a1b is revoked");
	scene_forget();
	scene_answers(FIRST, "{}");
	scene_answers(FIRST, "{\"revision\": 8, \"signed\": {\"by\": \"console:ops\", \"until\": "
			     "\"2036-01-02T03:04:05Z\"}}");
	scene_run("revoke --key " KEY_TEXT " --as c --at one.example", STATUS_OK);
	r = assert_signed(FIRST, 1, "revoke", REVOCATION_REVOKE, KEY_TEXT);
	assert_int_equal(r.kind, WIRE_REVOKED_KEY);
	assert_says(ran.out, "the key " KEY_TEXT " is revoked");
	assert_says(ran.out, "signed by console:ops, until 2036-01-02T03:04:05Z");
	scene_forget();
	scene_run("revoke --key beef --as c --at one.example", STATUS_FAILED);
	assert_says(ran.err, "'beef' is no SHA-256 of a key");
	assert_count(FIRST, 0);
	scene_forget();
	scene_answers_looks(FIRST, "{}", PHONE_IS_THERE);
	scene_answers(FIRST, "{\"revision\": 8}");
	scene_run("revoke phone --before 2019-01-02T03:04:05Z --as c --at one.example", STATUS_OK);
	r = assert_signed(FIRST, 3, "revoke", REVOCATION_REVOKE, "phone");
	assert_int_equal(r.before, 1546398245);
	scene_forget();
	scene_answers_looks(FIRST, "{}", PHONE_IS_THERE);
	scene_run("revoke phone --before 2099-01-02T03:04:05Z --as c --at one.example",
		  STATUS_FAILED);
	assert_says(ran.err, "give a moment that has been");
	assert_count(FIRST, 3);
	scene_forget();
	scene_answers_looks(FIRST, "{}", PHONE_IS_THERE);
	scene_run("revoke phone --until 2019-01-02 --as c --at one.example", STATUS_FAILED);
	assert_says(ran.err, "--until: Wed 2019-01-02 23:59:59 TST is over");
	scene_run("revoke phone --until 2099-01-02 --socket none", STATUS_USAGE);
	assert_says(ran.err, "--until goes with --as");
	assert_count(FIRST, 3);
}

/* What the relay has seen of the name is revoked with the rest; what it claims of the future is
 * not. */
static void test_revoke_what_the_relay_has_seen(void **state)
{
	const long seen[] = {-7200, -600, 600};
	char agents[200];

	for (unsigned i = 0; i < 3; i++) {
		long begins = (long)time(NULL) + seen[i];
		struct signed_revocation r;

		snprintf(agents, sizeof(agents),
			 "{\"agents\": [{\"agent\": \"phone\", \"certificate_begins\": %ld}]}",
			 begins);
		scene_answers_looks(FIRST, "{}", agents);
		scene_answers(FIRST, "{\"revision\": 8}");
		scene_run("revoke phone --as c --at one.example", STATUS_OK);
		r = assert_signed(FIRST, 3, "revoke", REVOCATION_REVOKE, "phone");
		assert_int_equal(r.before, i == 1 ? (uint64_t)begins + 1 : r.issued - 3600);
		scene_forget();
	}
}

/* The last counter that is known is surpassed, but not a lie of the far future. */
static void test_revoke_once_more(void **state)
{
	char known[200];
	uint64_t last = (uint64_t)time(NULL) * 1000 + 60000;
	struct signed_revocation r;

	for (unsigned i = 0; i < 2; i++) {
		snprintf(known, sizeof(known),
			 "{\"signed\": [{\"serial\": \"0a1b\", \"revoked\": true, \"counter\": "
			 "%" PRIu64 "}]}",
			 i == 0 ? last : last + 86400000);
		scene_answers(FIRST, known);
		scene_answers(FIRST, "{\"revision\": 8}");
		scene_run("revoke --serial 0a1b --as c --at one.example", STATUS_OK);
		r = assert_signed(FIRST, 1, "revoke", REVOCATION_REVOKE, "0a1b");
		if (i == 0)
			assert_int_equal(r.counter, last + 1);
		else
			assert_true(r.counter <= last);
		scene_forget();
	}
}

/* A signature takes back what is signed; of the rest the relay has the word. */
static void test_unrevoke_what_is_signed(void **state)
{
	struct signed_revocation r;

	scene_answers(FIRST,
		      "{\"signed\": [{\"agent\": \"phone\", \"revoked\": true, \"counter\": 7, "
		      "\"until\": \"2044-01-02T03:04:05Z\"}]}");
	scene_answers(FIRST, "{\"revision\": 9}");
	scene_run("unrevoke phone --as c --at one.example", STATUS_OK);
	{
		uint8_t object[REVOCATION_MAX];
		const json_t *call = json_array_get(places[FIRST].asked, 1);
		const char *text = json_string_value(
			json_object_get(json_object_get(call, "params"), "signed"));

		assert_non_null(text);
		assert_true(revocation_decode(object, revocation_of_text(text, object), &r));
		assert_int_equal(r.verb, REVOCATION_TAKE_BACK);
		assert_true(r.counter > 7);
		assert_int_equal(r.keep_until, 2335316645); /* as long as what it takes back */
	}
	scene_forget();
	/* Of one that the CA's key has signed, and another of a console's, the newer one is
	 * surpassed; one that has lapsed revokes nothing. */
	for (unsigned i = 0; i < 2; i++) {
		uint64_t last = (uint64_t)time(NULL) * 1000 + 60000;
		char known[300];

		snprintf(known, sizeof(known),
			 "{\"signed\": [{\"agent\": \"phone\", \"revoked\": true, \"counter\": "
			 "%" PRIu64
			 "%s}, {\"agent\": \"phone\", \"revoked\": false, \"counter\": 7}]}",
			 last, i == 0 ? "" : ", \"lapsed\": true");
		scene_answers(FIRST, known);
		scene_answers(FIRST, "{\"revision\": 9}");
		scene_run("unrevoke phone --as c --at one.example", STATUS_OK);
		if (i == 0)
			assert_true(
				assert_signed(FIRST, 1, "unrevoke", REVOCATION_TAKE_BACK, "phone")
					.counter > last);
		else
			assert_asked(FIRST, 1, "unrevoke", "{\"agent\": \"phone\"}");
		scene_forget();
	}
	scene_answers(FIRST,
		      "{\"signed\": [{\"serial\": \"0a1b\", \"revoked\": false, \"counter\": "
		      "7}]}");
	scene_answers(FIRST, "{\"revision\": 9}");
	scene_run("unrevoke --serial 0a1b --as c --at one.example", STATUS_OK);
	assert_asked(FIRST, 1, "unrevoke", "{\"serial\": \"0a1b\"}");
	assert_says(ran.out, "the certificate 0a1b is good again");
}

/* Agents may know of what this relay does not. */
static void test_unrevoke_anyway(void **state)
{
	scene_answers(FIRST, "{}");
	scene_answers(FIRST, "{\"revision\": 9}");
	scene_run("unrevoke phone --anyway --as c --at one.example", STATUS_OK);
	assert_signed(FIRST, 1, "unrevoke", REVOCATION_TAKE_BACK, "phone");
}

/* What is not signed says so. */
static void test_a_word_says_that_it_is_one(void **state)
{
	scene_answers_looks(FIRST, "{}", PHONE_IS_THERE);
	scene_answers(FIRST, "{\"revision\": 8, \"unsigned\": \"it is not signed\"}");
	scene_run("revoke phone --as c --at one.example", STATUS_OK);
	assert_says(ran.err, "note: one.example:443: it is not signed");
}

static void test_unrevoke_and_ungrant(void **state)
{
	scene_answers(FIRST, "{}");
	scene_answers(FIRST, "{\"revision\": 9}");
	scene_run("unrevoke phone --as c --at one.example", STATUS_OK);
	assert_asked(FIRST, 1, "unrevoke", "{\"agent\": \"phone\"}");
	scene_forget();
	scene_answers(FIRST, "{\"revision\": 9}");
	scene_run("ungrant phone home/ssh --as c --at one.example", STATUS_OK);
	assert_asked(FIRST, 0, "ungrant", "{\"agent\": \"phone\", \"to\": \"home/ssh\"}");
	assert_says(ran.out, "phone has lost its grant of home/ssh; revision 9");
	scene_forget();
	scene_answers(FIRST, "{\"revision\": 10}");
	scene_run("ungrant phone --as c --at one.example", STATUS_OK);
	assert_asked(FIRST, 0, "ungrant", "{\"agent\": \"phone\"}");
	assert_says(ran.out, "phone has lost its grant of everything");
}

static void will_look(const char *config, const char *agents)
{
	scene_answers(FIRST, config);
	scene_answers(FIRST, agents);
}

#define ONE_AGENT "{\"agents\": [{\"agent\": \"home\", \"online\": true, \"services\": [\"ssh\"]}]}"

static void test_grant_says_all_that_was_asked(void **state)
{
	will_look("{\"config\": {\"policy\": [], \"groups\": [{\"name\": \"phone\"}]}}", ONE_AGENT);
	scene_answers(FIRST, "{\"revision\": 4}");
	scene_run("grant phone home/ssh --as c --at one.example --until 2099-01-02T03:04:05Z "
		  "--hours 'mon-fri 08:00-18:00' --source 192.0.2.0/24 --source 2001:db8::/32 "
		  "--rate 20MB/s --sessions 3",
		  STATUS_OK);
	assert_asked(FIRST, 2, "grant",
		     "{\"agent\": \"phone\", \"to\": \"home/ssh\", "
		     "\"until\": \"2099-01-02T03:04:05Z\", \"hours\": \"mon-fri 08:00-18:00\", "
		     "\"source\": [\"192.0.2.0/24\", \"2001:db8::/32\"], \"rate\": \"20MB/s\", "
		     "\"sessions\": 3}");
	assert_says(ran.out, "phone may reach home/ssh until ");
	assert_says(ran.out, "mon-fri 08:00-18:00 UTC, at most 20MB/s; revision 4");
	assert_string_equal(ran.err, "");
}

static void test_grant_notes_the_first_rule_and_slips(void **state)
{
	will_look("{\"config\": {}}", ONE_AGENT);
	scene_answers(FIRST, "{\"revision\": 4}");
	scene_run("grant hone hom/shh --as c --at one.example", STATUS_OK);
	assert_says(ran.err, "what no rule allows is denied");
	assert_says(ran.err, "no agent or group 'hone' is known to one.example:443; it may when it "
			     "comes; did you mean 'home'?");
	assert_says(ran.err, "no agent 'hom' is known to one.example:443; it counts when it comes; "
			     "did you mean 'home'?");
	assert_asked(FIRST, 2, "grant", "{\"agent\": \"hone\", \"to\": \"hom/shh\"}");
	scene_forget();
	will_look("{\"config\": {\"grants\": []}}", ONE_AGENT);
	scene_answers(FIRST, "{\"revision\": 4}");
	scene_run("grant home home/shh --as c --at one.example", STATUS_OK);
	assert_silent_on(ran.err, "denied");
	assert_says(ran.err, "no service 'shh' is known to one.example:443; it counts when it is "
			     "published; did you mean 'ssh'?");
	scene_forget();
	will_look("{\"config\": {\"grants\": []}}", ONE_AGENT);
	scene_answers(FIRST, "{\"revision\": 4}");
	scene_run("grant quux home/* --as c --at one.example", STATUS_OK);
	assert_says(ran.err,
		    "no agent or group 'quux' is known to one.example:443; it may when it comes\n");
	scene_forget();
	will_look("{\"config\": {\"grants\": []}}", ONE_AGENT);
	scene_answers(FIRST, "{\"revision\": 4}");
	scene_run("grant public home/s* --as c --at one.example", STATUS_OK);
	assert_string_equal(ran.err, "");
}

static void test_wrong_words_send_nothing(void **state)
{
	static const char *const lines[] = {
		"grant phone home --as c",
		"grant phone home/ssh --until 2001-01-01 --as c",
		"grant phone home/ssh --until never --as c",
		"grant phone home/ssh --sessions 0 --as c",
		"grant phone home/ssh --sessions 3x --as c",
		"grant phone --as c",
		"revoke --as c",
		"revoke a --serial 0a --as c",
		"revoke --serial 0a --key beef --as c",
		"revoke --serial 0a --before 2099-01-02 --as c",
		"unrevoke --as c",
		"revoke a b --as c",
		"revoke a --not x --as c",
		"revoke a --at-once --as c",
		"relay drain --deadline soon --as c",
		"relay kick --as c",
		"relay kick 7 --agent home --as c",
		"relay log loud --as c",
		"relay sessions --limit 0 --as c",
		"relay events --limit x --as c",
		"relay trace --as c",
		"relay trace home --session 7 --as c",
		"relay trace home --for ever --as c",
		"relay trace home --lines 0 --as c",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		scene_forget();
		scene_answers(FIRST, "{}");
		scene_run(lines[i], STATUS_USAGE);
		assert_says(ran.err, "usage: postern ");
		assert_count(FIRST, 0);
		assert_count(SECOND, 0);
	}
}

static void test_grants_lists_rules_and_the_revoked(void **state)
{
	scene_answers(FIRST, "{\"grants\": [{\"from\": [\"phone\"], \"to\": [\"home/ssh\"], "
			     "\"until\": \"2099-01-01T00:00:00Z\"}], "
			     "\"policy\": [{\"from\": [\"*\"], \"to\": [\"home/web\"]}], "
			     "\"otherwise\": \"deny\", "
			     "\"revoked\": [{\"agent\": \"old\", \"note\": \"lost\"}]}");
	scene_run("grants --as c", STATUS_OK);
	assert_says(ran.out, "phone  home/ssh  2099-01-01T00:00:00Z  grant\n");
	assert_says(ran.out, "*      home/web                        policy\n");
	assert_says(ran.out, "old      lost\n");
	scene_forget();
	scene_answers(FIRST, "{\"grants\": [], \"policy\": [], \"otherwise\": \"deny\"}");
	scene_run("grants --as c", STATUS_OK);
	assert_says(ran.out, "everything is denied");
	scene_forget();
	scene_answers(FIRST, "{\"grants\": [], \"policy\": [], \"otherwise\": \"allow\"}");
	scene_run("grants --as c", STATUS_OK);
	assert_says(ran.out, "every agent may reach every service");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(test_revoke_tells_every_relay),
		SCENE_TEST(test_revoke_that_a_relay_refuses_has_failed),
		SCENE_TEST(test_revoke_notes_who_is_not_there),
		SCENE_TEST(test_revoke_knows_whom_the_configuration_names),
		SCENE_TEST(test_revoke_by_serial_key_and_moment),
		SCENE_TEST(test_revoke_what_the_relay_has_seen),
		SCENE_TEST(test_revoke_once_more),
		SCENE_TEST(test_unrevoke_what_is_signed),
		SCENE_TEST(test_unrevoke_anyway),
		SCENE_TEST(test_a_word_says_that_it_is_one),
		SCENE_TEST(test_the_ca_signs_a_revocation),
		SCENE_TEST(test_at_names_one_relay),
		SCENE_TEST(test_unrevoke_and_ungrant),
		SCENE_TEST(test_grant_says_all_that_was_asked),
		SCENE_TEST(test_grant_notes_the_first_rule_and_slips),
		SCENE_TEST(test_wrong_words_send_nothing),
		SCENE_TEST(test_grants_lists_rules_and_the_revoked),
	};

	return cmocka_run_group_tests(tests, scene_enter, command_line_leave);
}
