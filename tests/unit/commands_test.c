/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands_test: what the operator's commands ask of relays and agents, what they print of the
 * answers, and their exit status (tests/support/command_scene.h). Grants and revocations, and new
 * keys, are in commands_rights_test and commands_renew_test.
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
#include <cmocka.h>

#include "core/engine/certificate.h"
#include "core/engine/identity.h"
#include "core/parse/jsonrpc.h"
#include "core/parse/wire.h"
#include "tests/support/certs.h"
#include "tests/support/command_scene.h"

/* ---- configurations ---- */

#define PEM "\"-----BEGIN CERTIFICATE-----\\n-----END CERTIFICATE-----\\n\""
#define IDENTITY                                                                                   \
	"identity: {ca: " PEM ", certificate: " PEM ", key: (hidden), tag_keys: (hidden)}\n"
#define RELAY "# revision 17\nname: main\nlisten: [{address: 0.0.0.0:443}]\n" IDENTITY

static const char *const changes = "{\"revision\": 18, \"restart\": [\"user\"], \"diff\": ["
				   "{\"path\": \"limits.legs\", \"from\": null, \"to\": 5}, "
				   "{\"path\": \"policy[0]\", \"from\": \"phone\", \"to\": null}, "
				   "{\"path\": \"user\", \"from\": \"a\", \"to\": \"b\"}]}";

static json_t *param(size_t place, size_t nth, const char *key)
{
	const json_t *call = json_array_get(places[place].asked, nth);

	return json_object_get(json_object_get(call, "params"), key);
}

static void test_diff_shows_every_kind_of_change(void **state)
{
	scene_write("r.yaml", RELAY);
	scene_answers(FIRST, changes);
	scene_run("relay config diff r.yaml --as c", STATUS_OK);
	assert_asked(
		FIRST, 0, "config.diff",
		"{\"config\": {\"name\": \"main\", \"listen\": [{\"address\": \"0.0.0.0:443\"}], "
		"\"identity\": {\"ca\": " PEM ", \"certificate\": " PEM
		", \"key\": \"(hidden)\", \"tag_keys\": \"(hidden)\"}}}");
	assert_string_equal(ran.out, "+ limits.legs: 5\n- policy[0]: phone\n~ user: a -> b\n");
	scene_forget();
	scene_answers(FIRST, "{\"diff\": []}");
	scene_run("relay config diff r.yaml --as c", STATUS_OK);
	assert_string_equal(ran.out, "no difference\n");
}

static void test_apply_sends_what_it_was_given(void **state)
{
	scene_write("r.yaml", RELAY);
	scene_answers(FIRST, changes);
	scene_run("relay config apply r.yaml --as c --confirm-within 5m --note 'more legs' --force",
		  STATUS_OK);
	assert_asked(
		FIRST, 0, "config.apply",
		"{\"config\": {\"name\": \"main\", \"listen\": [{\"address\": \"0.0.0.0:443\"}], "
		"\"identity\": {\"ca\": " PEM ", \"certificate\": " PEM
		", \"key\": \"(hidden)\", \"tag_keys\": \"(hidden)\"}}, \"revision\": 17, "
		"\"confirm_ms\": 300000, "
		"\"note\": \"more legs\", \"force\": true}");
	assert_says(ran.out, "- policy[0]: phone\n");
	assert_says(ran.out, "one.example:443: revision 18 is in force\n");
	assert_says(ran.out, "only from the next start on: user\n");
	assert_says(ran.out, "It goes back by itself in 5m00s. To keep it: postern --as c relay "
			     "config confirm\n");
	/* Without options nothing is forced, and nothing goes back. */
	scene_forget();
	scene_answers(FIRST, changes);
	scene_run("relay config apply r.yaml --as c --revision 21", STATUS_OK);
	assert_int_equal(json_integer_value(param(FIRST, 0, "revision")), 21);
	assert_null(param(FIRST, 0, "force"));
	assert_null(param(FIRST, 0, "confirm_ms"));
	assert_silent_on(ran.out, "goes back");
	scene_forget();
	scene_run("relay config apply r.yaml --as c --revision 2x", STATUS_USAGE);
	scene_run("relay config apply r.yaml --as c --confirm-within 5", STATUS_USAGE);
	assert_count(FIRST, 0);
}

static void test_refusals_are_told_with_their_places(void **state)
{
	scene_write("r.yaml", RELAY);
	scene_refuses(FIRST, JSONRPC_STALE, "revision 19 is in force",
		      "{\"diff\": [{\"path\": \"user\", \"from\": \"x\", \"to\": null}]}");
	scene_run("relay config apply r.yaml --as c", STATUS_FAILED);
	assert_string_equal(ran.out, "");
	assert_says(ran.err, "revision 19 is in force\n");
	assert_says(ran.err, "What your document would change in the one in force:\n- user: x\n");
	scene_forget();
	scene_refuses(FIRST, JSONRPC_CONFIG, "the document has 1 error",
		      "{\"errors\": [\"listen[0].address: is in use\"]}");
	scene_run("relay config check r.yaml --as c", STATUS_FAILED);
	assert_says(ran.err, "r.yaml:3:20: listen[0].address: is in use\n");
	scene_forget();
	scene_refuses(FIRST, JSONRPC_REFUSED, "this would cut you off", "{\"diff\": [{}]}");
	scene_run("relay config apply r.yaml --as c", STATUS_FAILED);
	assert_says(ran.err, "this would cut you off\n");
	assert_silent_on(ran.err, "What your document");
	/* What the own reader refuses is not sent. */
	scene_write("bad.yaml", RELAY "limits: {legs: 0}\n");
	scene_forget();
	scene_run("relay config apply bad.yaml --as c", STATUS_FAILED);
	assert_says(ran.err, "bad.yaml has 1 error; nothing was sent:\n");
	assert_int_equal(places[FIRST].opened, 0);
	scene_write("r.yaml", RELAY);
	scene_answers(FIRST, "{}");
	scene_run("relay config check r.yaml --as c", STATUS_OK);
	assert_string_equal(ran.out, "r.yaml: one.example:443 would accept it\n");
}

/* An agent's document is judged by an agent's rules. */
static void test_an_agents_configuration(void **state)
{
	scene_write("h.yaml", "# revision 4\nname: home\nrelays: [{address: r.example:443}]\n"
			      "publish: [{service: ssh, target: 127.0.0.1:22}]\n" IDENTITY);
	scene_answers(AGENT, "{\"revision\": 5, \"diff\": [{\"path\": \"name\", \"from\": null, "
			     "\"to\": \"home\"}]}");
	scene_run("agent config apply home h.yaml --as c --confirm-within 1m", STATUS_OK);
	assert_int_equal(json_integer_value(param(AGENT, 0, "revision")), 4);
	assert_string_equal(places[AGENT].agent, "home");
	assert_says(ran.out, "home: revision 5 is in force\n");
	assert_says(ran.out, "postern --as c agent config confirm home\n");
	scene_run("relay config apply h.yaml --as c", STATUS_FAILED);
	scene_run("agent config check home r.yaml --as c", STATUS_FAILED);
	assert_int_equal(places[FIRST].opened, 0);
	assert_int_equal(places[AGENT].opened, 1);
	assert_says(ran.err, "nothing was sent");
}

static void test_confirm_and_rollback(void **state)
{
	scene_answers(FIRST, "{\"revision\": 18}");
	scene_run("relay config confirm --as c", STATUS_OK);
	assert_asked(FIRST, 0, "config.confirm", NULL);
	assert_says(ran.out, "one.example:443: revision 18 is in force for good\n");
	scene_forget();
	scene_answers(FIRST, "{\"revision\": 17}");
	scene_run("relay config rollback --as c", STATUS_OK);
	assert_asked(FIRST, 0, "config.rollback", NULL);
	scene_forget();
	scene_refuses(FIRST, JSONRPC_NOT_FOUND, "nothing waits for its confirmation", "null");
	scene_run("relay config confirm --as c", STATUS_FAILED);
	assert_string_equal(ran.out, "");
	/* An agent's own, at the agent. */
	scene_forget();
	scene_answers(AGENT, "{\"revision\": 5}");
	scene_run("agent config confirm home --as c", STATUS_OK);
	assert_asked(AGENT, 0, "config.confirm", NULL);
	assert_string_equal(places[AGENT].agent, "home");
	assert_string_equal(places[AGENT].service, WIRE_CONTROL_SERVICE);
	assert_int_equal(places[FIRST].opened, 0);
}

static void test_get_save_and_history(void **state)
{
	const char *in_force = "{\"revision\": 18, \"config\": {\"name\": \"main\", \"identity\": "
			       "{\"key\": \"(hidden)\"}}}";

	scene_answers(FIRST, in_force);
	scene_run("relay config get --as c", STATUS_OK);
	assert_says(ran.out, "# revision 18\n# of one.example:443;");
	assert_says(ran.out, "name: main\n");
	scene_forget();
	scene_answers(FIRST, in_force);
	scene_run("relay config save --as c", STATUS_OK);
	assert_says(ran.out, "Secrets are hidden");
	assert_says(ran.out, "(hidden)");
	/* With the file that it runs with: its secrets; and refused where that lacks them. */
	scene_forget();
	scene_answers(FIRST, in_force);
	scene_write("r.yaml", "name: x\nlisten: [{address: 0.0.0.0:443}]\nidentity: {ca: " PEM
			      ", certificate: " PEM ", key: \"-----BEGIN PRIVATE KEY-----\\n"
			      "-----END PRIVATE KEY-----\\n\", tag_keys: " CERTS_TAG_KEYS "}\n");
	scene_run("relay config save r.yaml --as c", STATUS_OK);
	assert_says(ran.out, "BEGIN PRIVATE KEY");
	assert_silent_on(ran.out, "hidden");
	scene_forget();
	scene_answers(FIRST, in_force);
	scene_write("r.yaml", RELAY);
	scene_run("relay config save r.yaml --as c", STATUS_FAILED);
	assert_string_equal(ran.out, "");
	assert_says(ran.err, "r.yaml does not have what stands for 'key'");
	scene_forget();
	scene_answers(FIRST, "{\"history\": [{\"revision\": 18, \"at\": 0, \"who\": \"ops\", "
			     "\"state\": \"in force\", \"note\": \"legs\", \"diff\": [{}, {}]}]}");
	scene_run("relay config history --as c", STATUS_OK);
	assert_says(ran.out, "ops  in force        2  legs\n");
}

static void test_what_is_not_kept_is_told(void **state)
{
	static const char unsaved[] = "could not keep it for its next start (state_dir): No space";

	scene_answers_looks(FIRST, "{}", PHONE_IS_THERE);
	scene_answers(FIRST, "{\"revision\": 4, \"unsaved\": \"No space left on device\"}");
	scene_answers_looks(SECOND, "{}", PHONE_IS_THERE);
	scene_answers(SECOND, "{\"revision\": 3}");
	scene_run("revoke phone --as c", STATUS_OK);
	assert_says(ran.out, "phone is revoked");
	assert_says(ran.err, unsaved);
	assert_silent_on(ran.err, "two.example");
	scene_forget();
	scene_answers(FIRST, "{\"revision\": 18, \"unsaved\": \"No space left on device\"}");
	scene_run("relay config confirm --as c", STATUS_OK);
	assert_says(ran.err, unsaved);
}

/* What the relay says of itself, and a file of it, as texts; owned. */
static char *in_force_with(const struct certs_ca *ca, const struct certs_pair *pair)
{
	json_t *answer = json_pack("{s:i, s:{s:s, s:{s:s, s:s, s:s}}}", "revision", 18, "config",
				   "name", "main", "identity", "ca", ca->pem, "certificate",
				   pair->certificate, "key", "(hidden)");
	char *text = json_dumps(answer, JSON_COMPACT);

	json_decref(answer);
	return text;
}

static char *file_with(const struct certs_ca *ca, const char *certificate, const char *key)
{
	json_t *file = json_pack("{s:s, s:[{s:s}], s:{s:s, s:s, s:s, s:s}}", "name", "x", "listen",
				 "address", "0.0.0.0:443", "identity", "ca", ca->pem, "certificate",
				 certificate, "key", key, "tag_keys", CERTS_TAG_KEYS);
	char *text = json_dumps(file, JSON_COMPACT);

	json_decref(file);
	return text;
}

/* A console gave the relay another certificate, whose key the file does not have. */
static void test_save_with_another_certificate(void **state)
{
	struct certs_ca ca = certs_make_ca("Example");
	struct certs_pair old = certs_make_pair(&ca, IDENTITY_RELAY, "one.example", -60, 3600);
	struct certs_pair now = certs_make_pair(&ca, IDENTITY_RELAY, "one.example", -60, 7200);
	const char *keys[] = {old.key, now.key};
	char *answer = in_force_with(&ca, &now);

	for (size_t i = 0; i < 2; i++) {
		char *text = file_with(&ca, old.certificate, keys[i]);

		scene_forget();
		scene_answers(FIRST, answer);
		scene_answers(FIRST, "{\"identity\": {\"made\": false}}");
		scene_write("r.yaml", text);
		scene_run("relay config save r.yaml --as c", i == 0 ? STATUS_FAILED : STATUS_OK);
		if (i == 0) {
			/* An older one has no such method. */
			scene_forget();
			scene_answers(FIRST, answer);
			scene_refuses(FIRST, JSONRPC_METHOD_NOT_FOUND, "what?", "null");
			scene_run("relay config save r.yaml --as c", STATUS_FAILED);
			assert_string_equal(ran.out, "");
			assert_says(ran.err, "r.yaml has the key of another certificate");
		} else {
			assert_says(ran.out, "BEGIN PRIVATE KEY");
		}
		free(text);
	}
	free(answer);
	certs_free_pair(&old);
	certs_free_pair(&now);
	certs_free_ca(&ca);
}

/* The key in force was made there: what is printed has a certificate and key that belong together,
 * and says that these are not what is in force. */
static void test_save_with_a_key_of_the_relays(void **state)
{
	struct certs_ca ca = certs_make_ca("Example");
	struct certs_pair old = certs_make_pair(&ca, IDENTITY_RELAY, "one.example", -60, 3600);
	struct certs_pair now = certs_make_pair(&ca, IDENTITY_RELAY, "one.example", -60, 7200);
	char *answer = in_force_with(&ca, &now), line[49];
	char *text = file_with(&ca, old.certificate, old.key);

	scene_answers(FIRST, answer);
	scene_answers(FIRST, "{\"identity\": {\"made\": true}}");
	scene_write("r.yaml", text);
	scene_run("relay config save r.yaml --as c", STATUS_OK);
	assert_asked(FIRST, 1, "identity.show", NULL);
	assert_says(ran.out, "name: main");
	assert_says(ran.out, "key in force was made");
	snprintf(line, sizeof(line), "%s", strchr(old.key, '\n') + 1);
	assert_says(ran.out, line);
	/* Their last lines differ. */
	snprintf(line, sizeof(line), "%s", strstr(old.certificate, "\n-----END") - 40);
	assert_says(ran.out, strrchr(line, '\n') ? strrchr(line, '\n') + 1 : line);
	free(text);
	free(answer);
	certs_free_pair(&old);
	certs_free_pair(&now);
	certs_free_ca(&ca);
}

/* ---- acting on a relay ---- */

static void test_drain_kick_and_log(void **state)
{
	scene_answers(FIRST, "{\"sessions\": 7}");
	scene_run("relay drain --deadline 30s --exit --as c", STATUS_OK);
	assert_asked(FIRST, 0, "drain", "{\"exit\": true, \"deadline_ms\": 30000}");
	assert_says(ran.out, "7 still run, then the relay exits");
	scene_forget();
	scene_answers(FIRST, "{\"sessions\": 0}");
	scene_run("relay drain --deadline 0 --as c", STATUS_OK);
	assert_asked(FIRST, 0, "drain", "{\"exit\": false, \"deadline_ms\": 0}");
	assert_says(ran.out, "takes it back");
	scene_forget();
	scene_answers(FIRST, "{}");
	scene_run("relay undrain --as c", STATUS_OK);
	assert_asked(FIRST, 0, "undrain", NULL);
	scene_forget();
	scene_answers(FIRST, "{\"kicked\": [\"home\", \"7\"]}");
	scene_run("relay kick --agent home --as c", STATUS_OK);
	assert_asked(FIRST, 0, "kick", "{\"agent\": \"home\"}");
	assert_string_equal(ran.out, "ended: home\nended: 7\n");
	scene_forget();
	scene_answers(FIRST, "{\"kicked\": []}");
	scene_run("relay kick 7 --as c", STATUS_FAILED);
	assert_asked(FIRST, 0, "kick", "{\"session\": \"7\"}");
	assert_says(ran.err, "there is no session 7");
	scene_forget();
	scene_answers(FIRST, "{}");
	scene_run("relay log debug --as c", STATUS_OK);
	assert_asked(FIRST, 0, "log.level", "{\"level\": \"debug\"}");
	scene_run("relay log debgu --as c", STATUS_USAGE);
	assert_says(ran.err, "did you mean debug");
}

/* ---- looking ---- */

static void test_status_has_no_empty_row(void **state)
{
	scene_answers(FIRST,
		      "{\"relay\": \"main\", \"draining\": false, \"listen\": [\"[::]:443\"], "
		      "\"isolation\": {\"seccomp\": true, \"landlock\": \"the kernel is old\"}, "
		      "\"refused\": {\"full\": 2}, \"stun\": {\"listen_udp\": [\"[::]:443\"], "
		      "\"listen_tcp\": [], \"udp\": {\"answered\": 5, \"limited\": 0}, "
		      "\"tcp\": {}}}");
	scene_run("relay status --as c", STATUS_OK);
	assert_asked(FIRST, 0, "status", NULL);
	assert_says(ran.out, "relay       main\nstate       serving\nlistens on  [::]:443\n");
	assert_says(ran.out, "seccomp                  holds\n");
	assert_says(ran.out, "landlock                 does not hold: the kernel is old\n");
	assert_says(ran.out, "STUN\nover UDP on  [::]:443\n  udp.answered             5\n");
	assert_silent_on(ran.out, "over TCP");
	assert_silent_on(ran.out, "limited");
	assert_says(ran.out, "refused so far\n  full                     2\n");
	scene_forget();
	scene_answers(FIRST, "{\"stun\": {\"listen_udp\": [], \"listen_tcp\": [\"[::]:3478\"]}}");
	scene_run("relay status --as c", STATUS_OK);
	assert_says(ran.out, "STUN\nover TCP only on  [::]:3478\n");
	assert_silent_on(ran.out, "over UDP");
}

/* A time is a number of the unit that its key names; bytes have theirs behind them. */
static void test_audit_names_its_units(void **state)
{
	scene_answers(FIRST,
		      "{\"audit\": [{\"number\": 4, \"at\": \"2026-10-05T12:00:00Z\", \"kind\": "
		      "\"session.closed\", \"from\": \"phone\", \"to\": \"home\", \"up\": 1234, "
		      "\"down\": 0, \"ms\": 1523, \"reason\": \"\", \"ending\": \"---\"}]}");
	scene_run("relay audit --as c --limit 5", STATUS_OK);
	assert_asked(FIRST, 0, "audit", "{\"limit\": 5, \"follow\": false}");
	assert_string_equal(ran.out,
			    "2026-10-05T12:00:00Z session.closed from=phone to=home "
			    "up=\"1.23 kB\" down=\"0 B\" ms=1523 reason=\"\" ending=---\n");
}

/* Following ends when the relay does, and says so. */
static void test_following_ends_with_the_connection(void **state)
{
	scene_answers(FIRST, "{\"events\": [{\"kind\": \"drain\"}]}");
	scene_tells(FIRST, "{\"kind\": \"agent.up\", \"agent\": \"h\\u001b[2Jome\"}");
	places[FIRST].end = "one.example:443: the relay stops";
	scene_run("relay events --follow --as c", STATUS_FAILED);
	assert_asked(FIRST, 0, "events", "{\"limit\": 10, \"follow\": true}");
	assert_says(ran.out, "agent.up agent=h\\x1b[2Jome\n");
	assert_string_equal(ran.err, "postern: one.example:443: the relay stops\n");
	scene_forget();
	scene_answers(FIRST, "{\"events\": [{\"kind\": \"drain\"}]}");
	scene_run("relay events --as c", STATUS_OK);
	assert_asked(FIRST, 0, "events", "{\"limit\": 100, \"follow\": false}");
	scene_forget();
	scene_answers(AGENT, "{\"events\": [{\"kind\": \"link.up\", \"relay\": \"r\"}]}");
	scene_run("agent events home --as c", STATUS_OK);
	assert_says(ran.out, "link.up relay=r\n");
}

static void test_trace_ends_with_its_last_word(void **state)
{
	scene_answers(FIRST, "{}");
	scene_tells(FIRST, "{\"at\": \"12:00\", \"text\": \"signs in\"}");
	scene_tells(FIRST, "{\"over\": \"its time is up\", \"lines\": 50}");
	scene_run("relay trace home --for 2m --lines 50 --as c", STATUS_OK);
	assert_asked(FIRST, 0, "trace", "{\"agent\": \"home\", \"for_ms\": 120000, \"lines\": 50}");
	assert_string_equal(ran.out, "12:00 signs in\n");
	assert_says(ran.err, "the trace is over: its time is up (50 lines)");
	/* Cut off before it: that is a failure. */
	scene_forget();
	scene_answers(FIRST, "{}");
	scene_tells(FIRST, "{\"at\": \"12:00\", \"text\": \"signs in\"}");
	scene_run("relay trace --session 7 --as c", STATUS_FAILED);
	assert_asked(FIRST, 0, "trace", "{\"session\": \"7\"}");
	assert_says(ran.err, "the connection ended");
}

static void test_lists(void **state)
{
	scene_answers(
		FIRST,
		"{\"sessions\": [{\"session\": \"7\", \"from\": \"phone\", \"to\": "
		"\"home\", \"service\": \"ssh\", \"up\": 1000, \"down\": 5, \"ms\": 61000}]}");
	scene_run("relay sessions --agent home --limit 3 --as c", STATUS_OK);
	assert_asked(FIRST, 0, "sessions", "{\"agent\": \"home\", \"limit\": 3}");
	assert_says(ran.out, "7        phone  home  ssh      1.00 kB   5 B  1m01s\n");
	scene_forget();
	scene_answers(FIRST, "{\"sessions\": []}");
	scene_run("relay sessions --as c", STATUS_OK);
	assert_string_equal(ran.out, "no session runs\n");
	scene_forget();
	scene_answers(FIRST,
		      "{\"methods\": [{\"method\": \"kick\", \"level\": \"admin\", \"help\": "
		      "\"Ends it.\", \"params\": [{\"name\": \"agent\", \"type\": \"string\", "
		      "\"required\": true, \"help\": \"whose\"}], \"result\": \"{}\"}]}");
	scene_run("relay schema --as c", STATUS_OK);
	assert_says(ran.out, "kick (admin)\n  Ends it.\n");
}

/* What several relays know of the same agents is one list; what one does not tell is said. */
static void test_agents_of_all_relays(void **state)
{
	scene_answers(FIRST,
		      "{\"agents\": [{\"agent\": \"home\", \"online\": true, \"sessions\": 2, "
		      "\"services\": [\"ssh\"]}, {\"agent\": \"old\", \"online\": false, "
		      "\"sessions\": 1}]}");
	scene_answers(SECOND,
		      "{\"agents\": [{\"agent\": \"home\", \"online\": true, \"sessions\": 3, "
		      "\"services\": [\"ssh\", \"web\"]}]}");
	scene_run("agent list --as c", STATUS_OK);
	assert_says(ran.out,
		    "home   online   one.example:443,two.example:443         5  ssh,web\n");
	assert_says(ran.out, "old    offline                                          1  \n");
	scene_forget();
	scene_answers(FIRST, "{\"agents\": []}");
	places[SECOND].refuses = "two.example:443: Connection refused";
	scene_run("agent list --as c", STATUS_FAILED);
	assert_says(ran.out, "no agent is connected");
	assert_says(ran.err, "1 of 2 relays have answered; agents of the others may be missing");
}

static void test_agent_status(void **state)
{
	scene_answers(AGENT,
		      "{\"agent\": \"home\", \"uptime_ms\": 61000, \"links\": [{\"relay\": "
		      "\"one.example:443\", \"state\": \"up\", \"legs\": 2}], \"sessions\": [], "
		      "\"nat\": {\"connected\": false, \"verdict\": \"unknown\"}}");
	scene_run("agent status home --as c", STATUS_OK);
	assert_says(ran.out, "runs for  1m01s\n");
	assert_says(ran.out, "postern-natd  is away\n");
	assert_says(ran.out, "one.example:443  up        2\n");
	assert_silent_on(ran.out, "SESSION ");
}

static void test_top_once(void **state)
{
	for (int i = 0; i < 2; i++) {
		scene_answers(FIRST, "{\"relay\": \"main\", \"bytes_total\": 0}");
		scene_answers(FIRST, "{\"sessions\": [{\"session\": \"7\", \"from\": \"phone\", "
				     "\"to\": \"home\", \"service\": \"ssh\", \"up\": 0, "
				     "\"down\": 0, \"ms\": 5}]}");
	}
	scene_run("relay top --once --as c", STATUS_OK);
	assert_says(ran.out, "phone");
	scene_forget();
	scene_answers(FIRST, "{}");
	scene_run("relay top --once --as c", STATUS_FAILED);
}

/* ---- the way there ---- */

static void test_the_way_must_be_said(void **state)
{
	scene_run("relay status", STATUS_FAILED);
	assert_says(ran.err, "which relay? Write 'postern --as console.yaml relay status ...'");
	scene_run("relay status --as c --socket /nowhere", STATUS_FAILED);
	assert_says(ran.err, "two ways to the relay");
	scene_run("relay status --socket /nowhere/relay.sock", STATUS_FAILED);
	assert_says(ran.err, "is postern-relayd running here");
	scene_run("agent status home --socket /nowhere/relay.sock", STATUS_FAILED);
	assert_says(ran.err, "an agent answers to a console only");
	scene_run("agent status Home --as c", STATUS_FAILED);
	assert_says(ran.err, "'Home' is no agent's name");
	/* An agent's file opens nothing: it is said before a connection is made. */
	scene_run("relay status --as home.yaml", STATUS_FAILED);
	assert_says(ran.err, "home.yaml is an agent's file; only a console may do this");
	scene_run("revoke phone --as home.yaml", STATUS_FAILED);
	for (size_t i = 0; i < PLACES; i++)
		assert_int_equal(places[i].opened, 0);
}

/* What the tunnel knows of its end is worth more than that the socket has ended. */
static void test_why_it_ended(void **state)
{
	places[FIRST].end = "one.example:443: this console is revoked";
	scene_run("relay status --as c", STATUS_FAILED);
	assert_string_equal(ran.err, "postern: one.example:443: this console is revoked\n");
	scene_forget();
	scene_run("relay status --as c", STATUS_FAILED);
	assert_says(ran.err, "the connection ended before the answer came");
	scene_forget();
	places[FIRST].refuses = "one.example:443: no";
	scene_answers(FIRST, "{\"relay\": \"main\"}");
	scene_run("relay status --as c", STATUS_FAILED);
	assert_string_equal(ran.err, "postern: one.example:443: no\n");
	assert_string_equal(ran.out, "");
	assert_count(FIRST, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(test_diff_shows_every_kind_of_change),
		SCENE_TEST(test_apply_sends_what_it_was_given),
		SCENE_TEST(test_refusals_are_told_with_their_places),
		SCENE_TEST(test_an_agents_configuration),
		SCENE_TEST(test_confirm_and_rollback),
		SCENE_TEST(test_get_save_and_history),
		SCENE_TEST(test_save_with_another_certificate),
		SCENE_TEST(test_save_with_a_key_of_the_relays),
		SCENE_TEST(test_what_is_not_kept_is_told),
		SCENE_TEST(test_drain_kick_and_log),
		SCENE_TEST(test_status_has_no_empty_row),
		SCENE_TEST(test_audit_names_its_units),
		SCENE_TEST(test_following_ends_with_the_connection),
		SCENE_TEST(test_trace_ends_with_its_last_word),
		SCENE_TEST(test_lists),
		SCENE_TEST(test_agents_of_all_relays),
		SCENE_TEST(test_agent_status),
		SCENE_TEST(test_top_once),
		SCENE_TEST(test_the_way_must_be_said),
		SCENE_TEST(test_why_it_ended),
	};

	return cmocka_run_group_tests(tests, scene_enter, command_line_leave);
}
