/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands_test: what the operator's commands ask of relays and agents, what they print of the
 * answers, and their exit status. The tunnels are the test's: each leads to a script of answers.
 *
 * links: core/engine/revocations.c core/key_file.c core/engine/browser.c core/engine/brotli.c
 * links: tests/support/command_line.c ctl/terminal/[a-z]*.c ctl/change/[a-z]*.c
 * links: ctl/see/[a-z]*.c ctl/pki/[a-z]*.c
 * links: ctl/talk/connection.c ctl/talk/console_config.c ctl/talk/rpc.c
 * links: agent/config/config.c relay/config/config.c relay/config/stun.c
 * links: relay/config/policy.c relay/policy/index.c relay/policy/source.c relay/policy/time.c
 * links: core/conf/[a-z]*.c core/engine/certificate.c core/engine/identity*.c core/parse/jsonrpc.c
 * links: core/parse/revocation.c core/parse/wire.c core/parse/reason.c core/addr.c core/file.c core/log.c
 * links: core/engine/tag.c core/engine/tls.c tests/support/certs.c
 * links: core/engine/csr.c core/engine/keyring.c core/parse/signing.c core/parse/keyblock.c core/memory.c
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include <openssl/mem.h>

#include "agent/worker/connector.h"
#include "core/conf/conf.h"
#include "core/engine/certificate.h"
#include "core/engine/csr.h"
#include "core/engine/identity.h"
#include "core/engine/identity_revocation.h"
#include "core/parse/jsonrpc.h"
#include "core/parse/wire.h"
#include "ctl/change/change.h"
#include "ctl/pki/pki.h"
#include "ctl/see/see.h"
#include "ctl/talk/tunnel.h"
#include "ctl/terminal/files.h"
#include "tests/support/certs.h"
#include "tests/support/command_line.h"

static const struct command *const tables[] = {
	relay_see_commands,
	relay_config_commands,
	relay_act_commands,
	pki_relay_commands,
	grant_commands,
	revoke_commands,
	agent_see_commands,
	agent_config_commands,
	pki_agent_commands,
	pki_commands,
	NULL,
};

/* ---- the other sides ---- */

enum { FIRST, SECOND, AGENT, PLACES };

struct tunnel {
	size_t place;
	int near;
};

struct place {
	char said[16384]; /* the answers, in order, without a look at the calls */
	int answers;
	const char *refuses; /* why it lets no one in, or NULL */
	const char *end;     /* why the tunnel ended, or NULL */
	unsigned opened, closed;
	uint8_t flags;
	char agent[64], service[64];
	int far;
	json_t *asked; /* all lines so far */
};

static struct place places[PLACES];
static struct command_line ran;

static void __attribute__((format(printf, 2, 3))) say(size_t place, const char *format, ...)
{
	struct place *p = &places[place];
	size_t used = strlen(p->said);
	va_list list;

	va_start(list, format);
	vsnprintf(p->said + used, sizeof(p->said) - used, format, list);
	va_end(list);
	assert_true(strlen(p->said) + 1 < sizeof(p->said));
	strcat(p->said, "\n");
}

/* The next call's result. */
static void will_answer(size_t place, const char *result)
{
	say(place, "{\"id\": %d, \"result\": %s}", ++places[place].answers, result);
}

static void will_refuse(size_t place, int code, const char *message, const char *data)
{
	say(place, "{\"id\": %d, \"error\": {\"code\": %d, \"message\": \"%s\", \"data\": %s}}",
	    ++places[place].answers, code, message, data);
}

static void will_tell(size_t place, const char *params)
{
	say(place, "{\"method\": \"event\", \"params\": %s}", params);
}

static struct tunnel *open_place(size_t place)
{
	struct place *p = &places[place];
	struct tunnel *t = calloc(1, sizeof(*t));
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(write(fds[1], p->said, strlen(p->said)), strlen(p->said));
	shutdown(fds[1], SHUT_WR);
	*t = (struct tunnel){place, fds[0]};
	p->far = fds[1];
	p->opened++;
	return t;
}

struct tunnel *tunnel_to_relay(const struct agent_config *config, size_t relay, uint8_t flags)
{
	assert_true(relay < config->relays.count);
	places[relay].flags = flags;
	return open_place(relay);
}

struct tunnel *tunnel_to_agent(const struct agent_config *config, const char *agent,
			       const char *service)
{
	snprintf(places[AGENT].agent, sizeof(places[AGENT].agent), "%s", agent);
	snprintf(places[AGENT].service, sizeof(places[AGENT].service), "%s", service);
	return open_place(AGENT);
}

int tunnel_take_fd(struct tunnel *t)
{
	return t->near;
}

bool tunnel_wait(struct tunnel *t)
{
	return !places[t->place].refuses;
}

const char *tunnel_why(struct tunnel *t)
{
	const struct place *p = &places[t->place];

	return p->refuses ? p->refuses : p->end ? p->end : "";
}

void endpoint_text(const struct endpoint *e, char out[ENDPOINT_TEXT_BYTES])
{
	snprintf(out, ENDPOINT_TEXT_BYTES, "%s:%u", e->host, e->port);
}

/* The near side has closed already: everything that it said is here. */
void tunnel_close(struct tunnel *t)
{
	struct place *p;
	char text[16384], *rest = text, *line;
	size_t len = 0;
	ssize_t n;

	if (!t)
		return;
	p = &places[t->place];
	while ((n = recv(p->far, text + len, sizeof(text) - 1 - len, 0)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	while ((line = strsep(&rest, "\n")))
		if (*line)
			json_array_append_new(p->asked, json_loads(line, 0, NULL));
	close(p->far);
	p->closed++;
	free(t);
}

/* ---- what is common to the tests ---- */

static void forget(void)
{
	for (size_t i = 0; i < PLACES; i++) {
		json_decref(places[i].asked);
		places[i] = (struct place){.asked = json_array()};
	}
}

static void write_file(const char *name, const char *text)
{
	assert_true(files_write(name, text, 0600, true));
}

/* In a directory of its own, with a console's file that knows two relays. */
static int enter(void **state)
{
	char *path = strdup("/tmp/postern-commands-XXXXXX");

	*state = path;
	setenv("TZ", "TST-2", 1); /* east of Greenwich: what is sent is UTC all the same */
	tzset();
	if (!mkdtemp(path) || chdir(path) != 0)
		return -1;
	command_line_run(&ran, tables, "pki init ca");
	command_line_run(&ran, tables,
			 "pki issue ca console ops --relay one.example:443 --relay two.example:443 "
			 "--out c");
	if (ran.status != STATUS_OK)
		return -1;
	command_line_run(&ran, tables, "pki issue ca agent home --relay one.example:443");
	return ran.status == STATUS_OK ? 0 : -1;
}

static int begin(void **state)
{
	forget();
	return 0;
}

static int end(void **state)
{
	for (size_t i = 0; i < PLACES; i++) {
		assert_int_equal(places[i].opened, places[i].closed);
		json_decref(places[i].asked);
		places[i].asked = NULL;
	}
	return 0;
}

static void run(const char *line, enum status status)
{
	command_line_run(&ran, tables, line);
	if (ran.status != status)
		fail_msg("%s: ended with %d, not %d\n%s%s", line, ran.status, status, ran.out,
			 ran.err);
}

static void assert_says(const char *all, const char *part)
{
	if (!strstr(all, part))
		fail_msg("\"%s\" is not in:\n%s", part, all);
}

static void assert_silent_on(const char *all, const char *part)
{
	if (strstr(all, part))
		fail_msg("\"%s\" is in:\n%s", part, all);
}

/* The nth call that a place got: its method, and its params exactly (NULL: none). */
static void assert_asked(size_t place, size_t nth, const char *method, const char *params)
{
	const json_t *call = json_array_get(places[place].asked, nth);
	json_t *expected = params ? json_loads(params, 0, NULL) : NULL;
	json_t *given = json_object_get(call, "params");
	char *shown = json_dumps(call, 0);
	const char *name = json_string_value(json_object_get(call, "method"));

	if (!name || strcmp(name, method) != 0 || !expected != !given ||
	    (expected && !json_equal(expected, given)))
		fail_msg("call %zu is not %s %s but %s", nth, method, params ? params : "",
			 shown ? shown : "none");
	free(shown);
	json_decref(expected);
}

/* Likewise of what is signed; the object is good until the next call. */
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

static void assert_count(size_t place, size_t calls)
{
	assert_int_equal(json_array_size(places[place].asked), calls);
}

/* ---- grants and revocations ---- */

#define PHONE_IS_THERE "{\"agents\": [{\"agent\": \"phone\"}]}"

/* What a relay is asked before a revocation: its configuration, its agents, and what is signed. */
static void will_look_at(size_t place, const char *config, const char *agents)
{
	will_answer(place, config);
	will_answer(place, agents);
	will_answer(place, "{\"signed\": []}");
}

/* A revocation that one relay did not hear of would be none. */
static void test_revoke_tells_every_relay(void **state)
{
	will_look_at(FIRST, "{}", PHONE_IS_THERE);
	will_answer(FIRST, "{\"revision\": 8}");
	will_look_at(SECOND, "{}", PHONE_IS_THERE);
	will_answer(SECOND, "{\"revision\": 3}");
	run("revoke phone --as c --note 'it was stolen'", STATUS_OK);
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
	will_look_at(FIRST, "{}", PHONE_IS_THERE);
	will_refuse(FIRST, JSONRPC_FORBIDDEN, "this console may only read", "null");
	will_look_at(SECOND, "{}", PHONE_IS_THERE);
	will_answer(SECOND, "{\"revision\": 3}");
	run("revoke phone --as c", STATUS_FAILED);
	assert_signed(SECOND, 3, "revoke", REVOCATION_REVOKE, "phone");
	assert_says(ran.err, "this console may only read");
	assert_says(ran.err, "1 of 2 relays have changed; run this again");
	assert_silent_on(ran.out, "one.example:443");

	forget();
	places[FIRST].refuses = "one.example:443: Connection refused";
	will_look_at(SECOND, "{}", PHONE_IS_THERE);
	will_answer(SECOND, "{\"revision\": 3}");
	run("revoke phone --as c", STATUS_FAILED);
	assert_says(ran.err, "one.example:443: Connection refused");
	assert_count(FIRST, 0);
	assert_count(SECOND, 4);
}

static void test_at_names_one_relay(void **state)
{
	will_look_at(SECOND, "{}", PHONE_IS_THERE);
	will_answer(SECOND, "{\"revision\": 3}");
	run("revoke phone --as c --at two.example", STATUS_OK);
	assert_int_equal(places[FIRST].opened, 0);
	assert_signed(SECOND, 3, "revoke", REVOCATION_REVOKE, "phone");
	run("revoke phone --as c --at three.example", STATUS_FAILED);
	assert_says(ran.err, "names no relay three.example");
	assert_says(ran.err, "  two.example:443\n");
	run("revoke phone --as c --at two.example:444", STATUS_FAILED);
	assert_count(SECOND, 4);
}

/* It is done all the same: the agent may be away. */
static void test_revoke_notes_who_is_not_there(void **state)
{
	will_look_at(FIRST, "{}", PHONE_IS_THERE);
	will_answer(FIRST, "{\"revision\": 8}");
	run("revoke phome --as c --at one.example", STATUS_OK);
	assert_says(ran.err, "note: no agent 'phome' is known to one.example:443; it is refused "
			     "when it comes; did you mean 'phone'?");
	assert_signed(FIRST, 3, "revoke", REVOCATION_REVOKE, "phome");
	forget();
	will_look_at(FIRST, "{}", "{\"agents\": []}");
	will_answer(FIRST, "{\"revision\": 8}");
	run("revoke phome --as c --at one.example", STATUS_OK);
	assert_says(ran.err, "it is refused when it comes\n");
	assert_signed(FIRST, 3, "revoke", REVOCATION_REVOKE, "phome");
	forget();
	will_answer(FIRST, "{}");
	will_refuse(FIRST, JSONRPC_FORBIDDEN, "not for you", "null");
	will_refuse(FIRST, JSONRPC_FORBIDDEN, "not for you", "null");
	will_answer(FIRST, "{\"revision\": 8}");
	run("revoke phome --as c --at one.example", STATUS_OK);
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
		will_look_at(FIRST, configs[i], "{\"agents\": []}");
		will_answer(FIRST, "{\"revision\": 8}");
		run("revoke phone --as c --at one.example", STATUS_OK);
		assert_string_equal(ran.err, "");
		forget();
		will_look_at(FIRST, configs[i], "{\"agents\": []}");
		will_answer(FIRST, "{\"revision\": 8}");
		run("revoke phome --as c --at one.example", STATUS_OK);
		assert_says(ran.err, "did you mean 'phone'?");
		forget();
	}
}

#define KEY_TEXT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_revoke_by_serial_key_and_moment(void **state)
{
	struct signed_revocation r;

	will_answer(FIRST, "{}");
	will_answer(FIRST, "{\"revision\": 8}");
	run("revoke --serial 0a1b --as c --at one.example", STATUS_OK);
	r = assert_signed(FIRST, 1, "revoke", REVOCATION_REVOKE, "0a1b");
	assert_int_equal(r.kind, WIRE_REVOKED_SERIAL);
	assert_int_equal(r.before, 0);
	assert_says(ran.out, "the certificate 0a1b is revoked");
	forget();
	will_answer(FIRST, "{}");
	will_answer(FIRST, "{\"revision\": 8, \"signed\": {\"by\": \"console:ops\", \"until\": "
			   "\"2036-01-02T03:04:05Z\"}}");
	run("revoke --key " KEY_TEXT " --as c --at one.example", STATUS_OK);
	r = assert_signed(FIRST, 1, "revoke", REVOCATION_REVOKE, KEY_TEXT);
	assert_int_equal(r.kind, WIRE_REVOKED_KEY);
	assert_says(ran.out, "the key " KEY_TEXT " is revoked");
	assert_says(ran.out, "signed by console:ops, until 2036-01-02T03:04:05Z");
	forget();
	run("revoke --key beef --as c --at one.example", STATUS_FAILED);
	assert_says(ran.err, "'beef' is no SHA-256 of a key");
	assert_count(FIRST, 0);
	forget();
	will_look_at(FIRST, "{}", PHONE_IS_THERE);
	will_answer(FIRST, "{\"revision\": 8}");
	run("revoke phone --before 2019-01-02T03:04:05Z --as c --at one.example", STATUS_OK);
	r = assert_signed(FIRST, 3, "revoke", REVOCATION_REVOKE, "phone");
	assert_int_equal(r.before, 1546398245);
	forget();
	will_look_at(FIRST, "{}", PHONE_IS_THERE);
	run("revoke phone --before 2099-01-02T03:04:05Z --as c --at one.example", STATUS_FAILED);
	assert_says(ran.err, "give a moment that has been");
	assert_count(FIRST, 3);
	forget();
	will_look_at(FIRST, "{}", PHONE_IS_THERE);
	run("revoke phone --until 2019-01-02 --as c --at one.example", STATUS_FAILED);
	assert_says(ran.err, "--until: Wed 2019-01-02 23:59:59 TST is over");
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
		will_look_at(FIRST, "{}", agents);
		will_answer(FIRST, "{\"revision\": 8}");
		run("revoke phone --as c --at one.example", STATUS_OK);
		r = assert_signed(FIRST, 3, "revoke", REVOCATION_REVOKE, "phone");
		assert_int_equal(r.before, i == 1 ? (uint64_t)begins + 1 : r.issued - 3600);
		forget();
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
		will_answer(FIRST, known);
		will_answer(FIRST, "{\"revision\": 8}");
		run("revoke --serial 0a1b --as c --at one.example", STATUS_OK);
		if (i == 1) {
			r = assert_signed(FIRST, 1, "revoke", REVOCATION_REVOKE, "0a1b");
			assert_true(r.counter <= last);
		}
		forget();
	}
}

/* A signature takes back what is signed; of the rest the relay has the word. */
static void test_unrevoke_what_is_signed(void **state)
{
	struct signed_revocation r;

	will_answer(FIRST,
		    "{\"signed\": [{\"agent\": \"phone\", \"revoked\": true, \"counter\": 7, "
		    "\"until\": \"2044-01-02T03:04:05Z\"}]}");
	will_answer(FIRST, "{\"revision\": 9}");
	run("unrevoke phone --as c --at one.example", STATUS_OK);
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
	forget();
	will_answer(FIRST, "{\"signed\": [{\"serial\": \"0a1b\", \"revoked\": false, \"counter\": "
			   "7}]}");
	will_answer(FIRST, "{\"revision\": 9}");
	run("unrevoke --serial 0a1b --as c --at one.example", STATUS_OK);
	assert_asked(FIRST, 1, "unrevoke", "{\"serial\": \"0a1b\"}");
	assert_says(ran.out, "the certificate 0a1b is good again");
}

/* Agents may know of what this relay does not. */
static void test_unrevoke_anyway(void **state)
{
	will_answer(FIRST, "{}");
	will_answer(FIRST, "{\"revision\": 9}");
	run("unrevoke phone --anyway --as c --at one.example", STATUS_OK);
	assert_signed(FIRST, 1, "unrevoke", REVOCATION_TAKE_BACK, "phone");
}

/* What is not signed says so. */
static void test_a_word_says_that_it_is_one(void **state)
{
	will_look_at(FIRST, "{}", PHONE_IS_THERE);
	will_answer(FIRST, "{\"revision\": 8, \"unsigned\": \"it is not signed\"}");
	run("revoke phone --as c --at one.example", STATUS_OK);
	assert_says(ran.err, "note: one.example:443: it is not signed");
}

static void test_unrevoke_and_ungrant(void **state)
{
	will_answer(FIRST, "{}");
	will_answer(FIRST, "{\"revision\": 9}");
	run("unrevoke phone --as c --at one.example", STATUS_OK);
	assert_asked(FIRST, 1, "unrevoke", "{\"agent\": \"phone\"}");
	forget();
	will_answer(FIRST, "{\"revision\": 9}");
	run("ungrant phone home/ssh --as c --at one.example", STATUS_OK);
	assert_asked(FIRST, 0, "ungrant", "{\"agent\": \"phone\", \"to\": \"home/ssh\"}");
	assert_says(ran.out, "phone has lost its grant of home/ssh; revision 9");
	forget();
	will_answer(FIRST, "{\"revision\": 10}");
	run("ungrant phone --as c --at one.example", STATUS_OK);
	assert_asked(FIRST, 0, "ungrant", "{\"agent\": \"phone\"}");
	assert_says(ran.out, "phone has lost its grant of everything");
}

static void will_look(const char *config, const char *agents)
{
	will_answer(FIRST, config);
	will_answer(FIRST, agents);
}

#define ONE_AGENT "{\"agents\": [{\"agent\": \"home\", \"online\": true, \"services\": [\"ssh\"]}]}"

static void test_grant_says_all_that_was_asked(void **state)
{
	will_look("{\"config\": {\"policy\": [], \"groups\": [{\"name\": \"phone\"}]}}", ONE_AGENT);
	will_answer(FIRST, "{\"revision\": 4}");
	run("grant phone home/ssh --as c --at one.example --until 2099-01-02T03:04:05Z "
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
	will_answer(FIRST, "{\"revision\": 4}");
	run("grant hone hom/shh --as c --at one.example", STATUS_OK);
	assert_says(ran.err, "what no rule allows is denied");
	assert_says(ran.err, "no agent or group 'hone' is known to one.example:443; it may when it "
			     "comes; did you mean 'home'?");
	assert_says(ran.err, "no agent 'hom' is known to one.example:443; it counts when it comes; "
			     "did you mean 'home'?");
	assert_asked(FIRST, 2, "grant", "{\"agent\": \"hone\", \"to\": \"hom/shh\"}");
	forget();
	will_look("{\"config\": {\"grants\": []}}", ONE_AGENT);
	will_answer(FIRST, "{\"revision\": 4}");
	run("grant home home/shh --as c --at one.example", STATUS_OK);
	assert_silent_on(ran.err, "denied");
	assert_says(ran.err, "no service 'shh' is known to one.example:443; it counts when it is "
			     "published; did you mean 'ssh'?");
	forget();
	will_look("{\"config\": {\"grants\": []}}", ONE_AGENT);
	will_answer(FIRST, "{\"revision\": 4}");
	run("grant quux home/* --as c --at one.example", STATUS_OK);
	assert_says(ran.err,
		    "no agent or group 'quux' is known to one.example:443; it may when it comes\n");
	forget();
	will_look("{\"config\": {\"grants\": []}}", ONE_AGENT);
	will_answer(FIRST, "{\"revision\": 4}");
	run("grant public home/s* --as c --at one.example", STATUS_OK);
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
		forget();
		will_answer(FIRST, "{}");
		run(lines[i], STATUS_USAGE);
		assert_says(ran.err, "usage: postern ");
		assert_count(FIRST, 0);
		assert_count(SECOND, 0);
	}
}

static void test_grants_lists_rules_and_the_revoked(void **state)
{
	will_answer(FIRST, "{\"grants\": [{\"from\": [\"phone\"], \"to\": [\"home/ssh\"], "
			   "\"until\": \"2099-01-01T00:00:00Z\"}], "
			   "\"policy\": [{\"from\": [\"*\"], \"to\": [\"home/web\"]}], "
			   "\"otherwise\": \"deny\", "
			   "\"revoked\": [{\"agent\": \"old\", \"note\": \"lost\"}]}");
	run("grants --as c", STATUS_OK);
	assert_says(ran.out, "phone  home/ssh  2099-01-01T00:00:00Z  grant\n");
	assert_says(ran.out, "*      home/web                        policy\n");
	assert_says(ran.out, "old      lost\n");
	forget();
	will_answer(FIRST, "{\"grants\": [], \"policy\": [], \"otherwise\": \"deny\"}");
	run("grants --as c", STATUS_OK);
	assert_says(ran.out, "everything is denied");
	forget();
	will_answer(FIRST, "{\"grants\": [], \"policy\": [], \"otherwise\": \"allow\"}");
	run("grants --as c", STATUS_OK);
	assert_says(ran.out, "every agent may reach every service");
}

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
	write_file("r.yaml", RELAY);
	will_answer(FIRST, changes);
	run("relay config diff r.yaml --as c", STATUS_OK);
	assert_asked(
		FIRST, 0, "config.diff",
		"{\"config\": {\"name\": \"main\", \"listen\": [{\"address\": \"0.0.0.0:443\"}], "
		"\"identity\": {\"ca\": " PEM ", \"certificate\": " PEM
		", \"key\": \"(hidden)\", \"tag_keys\": \"(hidden)\"}}}");
	assert_string_equal(ran.out, "+ limits.legs: 5\n- policy[0]: phone\n~ user: a -> b\n");
	forget();
	will_answer(FIRST, "{\"diff\": []}");
	run("relay config diff r.yaml --as c", STATUS_OK);
	assert_string_equal(ran.out, "no difference\n");
}

static void test_apply_sends_what_it_was_given(void **state)
{
	write_file("r.yaml", RELAY);
	will_answer(FIRST, changes);
	run("relay config apply r.yaml --as c --confirm-within 5m --note 'more legs' --force",
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
	forget();
	will_answer(FIRST, changes);
	run("relay config apply r.yaml --as c --revision 21", STATUS_OK);
	assert_int_equal(json_integer_value(param(FIRST, 0, "revision")), 21);
	assert_null(param(FIRST, 0, "force"));
	assert_null(param(FIRST, 0, "confirm_ms"));
	assert_silent_on(ran.out, "goes back");
	forget();
	run("relay config apply r.yaml --as c --revision 2x", STATUS_USAGE);
	run("relay config apply r.yaml --as c --confirm-within 5", STATUS_USAGE);
	assert_count(FIRST, 0);
}

static void test_refusals_are_told_with_their_places(void **state)
{
	write_file("r.yaml", RELAY);
	will_refuse(FIRST, JSONRPC_STALE, "revision 19 is in force",
		    "{\"diff\": [{\"path\": \"user\", \"from\": \"x\", \"to\": null}]}");
	run("relay config apply r.yaml --as c", STATUS_FAILED);
	assert_string_equal(ran.out, "");
	assert_says(ran.err, "revision 19 is in force\n");
	assert_says(ran.err, "What your document would change in the one in force:\n- user: x\n");
	forget();
	will_refuse(FIRST, JSONRPC_CONFIG, "the document has 1 error",
		    "{\"errors\": [\"listen[0].address: is in use\"]}");
	run("relay config check r.yaml --as c", STATUS_FAILED);
	assert_says(ran.err, "r.yaml:3:20: listen[0].address: is in use\n");
	forget();
	will_refuse(FIRST, JSONRPC_REFUSED, "this would cut you off", "{\"diff\": [{}]}");
	run("relay config apply r.yaml --as c", STATUS_FAILED);
	assert_says(ran.err, "this would cut you off\n");
	assert_silent_on(ran.err, "What your document");
	/* What the own reader refuses is not sent. */
	write_file("bad.yaml", RELAY "limits: {legs: 0}\n");
	forget();
	run("relay config apply bad.yaml --as c", STATUS_FAILED);
	assert_says(ran.err, "bad.yaml has 1 error; nothing was sent:\n");
	assert_int_equal(places[FIRST].opened, 0);
	write_file("r.yaml", RELAY);
	will_answer(FIRST, "{}");
	run("relay config check r.yaml --as c", STATUS_OK);
	assert_string_equal(ran.out, "r.yaml: one.example:443 would accept it\n");
}

/* An agent's document is judged by an agent's rules. */
static void test_an_agents_configuration(void **state)
{
	write_file("h.yaml", "# revision 4\nname: home\nrelays: [{address: r.example:443}]\n"
			     "publish: [{service: ssh, target: 127.0.0.1:22}]\n" IDENTITY);
	will_answer(AGENT, "{\"revision\": 5, \"diff\": [{\"path\": \"name\", \"from\": null, "
			   "\"to\": \"home\"}]}");
	run("agent config apply home h.yaml --as c --confirm-within 1m", STATUS_OK);
	assert_int_equal(json_integer_value(param(AGENT, 0, "revision")), 4);
	assert_string_equal(places[AGENT].agent, "home");
	assert_says(ran.out, "home: revision 5 is in force\n");
	assert_says(ran.out, "postern --as c agent config confirm home\n");
	run("relay config apply h.yaml --as c", STATUS_FAILED);
	run("agent config check home r.yaml --as c", STATUS_FAILED);
	assert_int_equal(places[FIRST].opened, 0);
	assert_int_equal(places[AGENT].opened, 1);
	assert_says(ran.err, "nothing was sent");
}

static void test_confirm_and_rollback(void **state)
{
	will_answer(FIRST, "{\"revision\": 18}");
	run("relay config confirm --as c", STATUS_OK);
	assert_asked(FIRST, 0, "config.confirm", NULL);
	assert_says(ran.out, "one.example:443: revision 18 is in force for good\n");
	forget();
	will_answer(FIRST, "{\"revision\": 17}");
	run("relay config rollback --as c", STATUS_OK);
	assert_asked(FIRST, 0, "config.rollback", NULL);
	forget();
	will_refuse(FIRST, JSONRPC_NOT_FOUND, "nothing waits for its confirmation", "null");
	run("relay config confirm --as c", STATUS_FAILED);
	assert_string_equal(ran.out, "");
	/* An agent's own, at the agent. */
	forget();
	will_answer(AGENT, "{\"revision\": 5}");
	run("agent config confirm home --as c", STATUS_OK);
	assert_asked(AGENT, 0, "config.confirm", NULL);
	assert_string_equal(places[AGENT].agent, "home");
	assert_string_equal(places[AGENT].service, WIRE_CONTROL_SERVICE);
	assert_int_equal(places[FIRST].opened, 0);
}

static void test_get_save_and_history(void **state)
{
	const char *in_force = "{\"revision\": 18, \"config\": {\"name\": \"main\", \"identity\": "
			       "{\"key\": \"(hidden)\"}}}";

	will_answer(FIRST, in_force);
	run("relay config get --as c", STATUS_OK);
	assert_says(ran.out, "# revision 18\n# of one.example:443;");
	assert_says(ran.out, "name: main\n");
	forget();
	will_answer(FIRST, in_force);
	run("relay config save --as c", STATUS_OK);
	assert_says(ran.out, "Secrets are hidden");
	assert_says(ran.out, "(hidden)");
	/* With the file that it runs with: its secrets; and refused where that lacks them. */
	forget();
	will_answer(FIRST, in_force);
	write_file("r.yaml", "name: x\nlisten: [{address: 0.0.0.0:443}]\nidentity: {ca: " PEM
			     ", certificate: " PEM ", key: \"-----BEGIN PRIVATE KEY-----\\n"
			     "-----END PRIVATE KEY-----\\n\", tag_keys: " CERTS_TAG_KEYS "}\n");
	run("relay config save r.yaml --as c", STATUS_OK);
	assert_says(ran.out, "BEGIN PRIVATE KEY");
	assert_silent_on(ran.out, "hidden");
	forget();
	will_answer(FIRST, in_force);
	write_file("r.yaml", RELAY);
	run("relay config save r.yaml --as c", STATUS_FAILED);
	assert_string_equal(ran.out, "");
	assert_says(ran.err, "r.yaml does not have what stands for 'key'");
	forget();
	will_answer(FIRST, "{\"history\": [{\"revision\": 18, \"at\": 0, \"who\": \"ops\", "
			   "\"state\": \"in force\", \"note\": \"legs\", \"diff\": [{}, {}]}]}");
	run("relay config history --as c", STATUS_OK);
	assert_says(ran.out, "ops  in force        2  legs\n");
}

static void test_what_is_not_kept_is_told(void **state)
{
	static const char unsaved[] = "could not keep it for its next start (state_dir): No space";

	will_look_at(FIRST, "{}", PHONE_IS_THERE);
	will_answer(FIRST, "{\"revision\": 4, \"unsaved\": \"No space left on device\"}");
	will_look_at(SECOND, "{}", PHONE_IS_THERE);
	will_answer(SECOND, "{\"revision\": 3}");
	run("revoke phone --as c", STATUS_OK);
	assert_says(ran.out, "phone is revoked");
	assert_says(ran.err, unsaved);
	assert_silent_on(ran.err, "two.example");
	forget();
	will_answer(FIRST, "{\"revision\": 18, \"unsaved\": \"No space left on device\"}");
	run("relay config confirm --as c", STATUS_OK);
	assert_says(ran.err, unsaved);
}

/* A console gave the relay another certificate, whose key the file does not have. */
static void test_save_with_another_certificate(void **state)
{
	struct certs_ca ca = certs_make_ca("Example");
	struct certs_pair old = certs_make_pair(&ca, IDENTITY_RELAY, "one.example", -60, 3600);
	struct certs_pair now = certs_make_pair(&ca, IDENTITY_RELAY, "one.example", -60, 7200);
	const char *keys[] = {old.key, now.key};
	json_t *in_force = json_pack("{s:i, s:{s:s, s:{s:s, s:s, s:s}}}", "revision", 18, "config",
				     "name", "main", "identity", "ca", ca.pem, "certificate",
				     now.certificate, "key", "(hidden)");
	char *answer = json_dumps(in_force, JSON_COMPACT);

	for (size_t i = 0; i < 2; i++) {
		json_t *file =
			json_pack("{s:s, s:[{s:s}], s:{s:s, s:s, s:s, s:s}}", "name", "x", "listen",
				  "address", "0.0.0.0:443", "identity", "ca", ca.pem, "certificate",
				  old.certificate, "key", keys[i], "tag_keys", CERTS_TAG_KEYS);
		char *text = json_dumps(file, JSON_COMPACT);

		forget();
		will_answer(FIRST, answer);
		will_answer(FIRST, "{\"identity\": {\"made\": false}}");
		write_file("r.yaml", text);
		run("relay config save r.yaml --as c", i == 0 ? STATUS_FAILED : STATUS_OK);
		if (i == 0) {
			/* An older one has no such method. */
			forget();
			will_answer(FIRST, answer);
			will_refuse(FIRST, JSONRPC_METHOD_NOT_FOUND, "what?", "null");
			run("relay config save r.yaml --as c", STATUS_FAILED);
			assert_string_equal(ran.out, "");
			assert_says(ran.err, "r.yaml has the key of another certificate");
		} else {
			assert_says(ran.out, "BEGIN PRIVATE KEY");
		}
		free(text);
		json_decref(file);
	}
	free(answer);
	json_decref(in_force);
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
	json_t *in_force = json_pack("{s:i, s:{s:s, s:{s:s, s:s, s:s}}}", "revision", 18, "config",
				     "name", "main", "identity", "ca", ca.pem, "certificate",
				     now.certificate, "key", "(hidden)");
	char *answer = json_dumps(in_force, JSON_COMPACT), line[49];
	json_t *file = json_pack("{s:s, s:[{s:s}], s:{s:s, s:s, s:s, s:s}}", "name", "x", "listen",
				 "address", "0.0.0.0:443", "identity", "ca", ca.pem, "certificate",
				 old.certificate, "key", old.key, "tag_keys", CERTS_TAG_KEYS);
	char *text = json_dumps(file, JSON_COMPACT);

	will_answer(FIRST, answer);
	will_answer(FIRST, "{\"identity\": {\"made\": true}}");
	write_file("r.yaml", text);
	run("relay config save r.yaml --as c", STATUS_OK);
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
	json_decref(file);
	json_decref(in_force);
	certs_free_pair(&old);
	certs_free_pair(&now);
	certs_free_ca(&ca);
}

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
	will_answer(place, text);
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

	run("pki issue ca relay main --host one.example --listen [::]:443 --force", STATUS_OK);
	relay = certificate_of("main.yaml");
	before = issued();
	will_request(FIRST, relay);
	will_answer(FIRST, "{\"revision\": 2}");
	run("relay renew ca --expires 7d --as c", STATUS_OK);
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
	/* It could not be kept: told, with what to do. */
	forget();
	will_request(FIRST, relay);
	will_answer(FIRST, "{\"revision\": 2, \"unsaved\": \"No space left on device\"}");
	run("relay renew ca --as c", STATUS_OK);
	assert_says(ran.err, "could not keep it for its next start (state_dir): No space");
	/* What the CA has not signed before it does not sign now, and records nothing. */
	before = issued();
	run("pki init other", STATUS_OK);
	forget();
	will_request(FIRST, relay);
	run("relay renew other --as c", STATUS_FAILED);
	assert_says(ran.err, "was not signed by the CA in other");
	assert_int_equal(json_array_size(places[FIRST].asked), 1);
	forget();
	will_request(FIRST, home);
	run("relay renew ca --as c", STATUS_FAILED);
	assert_says(ran.err, "its certificate is not that of a relay");
	forget();
	will_answer(FIRST, "{\"name\": \"x\", \"request\": \"\", \"certificate\": \"\"}");
	run("relay renew ca --as c", STATUS_FAILED);
	assert_says(ran.err, "sent no request and certificate that can be read");
	forget();
	will_answer(FIRST, "{}");
	run("relay renew ca --as c", STATUS_FAILED);
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
	will_answer(AGENT, "{\"revision\": 2}");
	run("agent renew home ca --as c", STATUS_OK);
	assert_string_equal(places[AGENT].agent, "home");
	x = brought(AGENT, 1);
	assert_true(identity_of_certificate(x, &peer));
	assert_string_equal(peer.name, "home");
	assert_int_equal(peer.role, IDENTITY_AGENT);
	X509_free(x);
	/* One of another name, or a console's: whoever sends it wants more than it has. */
	forget();
	will_request(AGENT, home);
	run("agent renew office ca --as c", STATUS_FAILED);
	assert_says(ran.err, "its certificate is not that of office");
	forget();
	will_request(AGENT, console);
	run("agent renew ops ca --as c", STATUS_FAILED);
	assert_says(ran.err, "its certificate is not that of ops");
	free(home);
	free(console);
}

static void test_a_request_and_its_certificate(void **state)
{
	char *text;

	will_answer(FIRST, "{\"request\": \"PEM\\n\"}");
	run("relay request --front --host A.example --host b.example --out q --as c", STATUS_OK);
	assert_asked(FIRST, 0, "identity.request",
		     "{\"for\": \"front\", \"hosts\": [\"a.example\", \"b.example\"]}");
	text = files_read("q", 64);
	assert_string_equal(text, "PEM\n");
	free(text);
	forget();
	run("relay request --out q --as c", STATUS_FAILED); /* it is there */
	assert_int_equal(places[FIRST].opened, 0);
	will_answer(FIRST, "{\"request\": \"PEM\\n\"}");
	run("relay request --as c", STATUS_OK);
	assert_asked(FIRST, 0, "identity.request", "{\"for\": \"identity\"}");
	assert_string_equal(ran.out, "PEM\n");
	run("relay request --host a.example --as c", STATUS_USAGE);
	run("relay request --front --host *.example --as c", STATUS_USAGE);
	forget();
	write_file("w", "CERT\n");
	will_answer(FIRST, "{\"revision\": 2}");
	run("relay certificate --front --force w --as c", STATUS_OK);
	assert_says(ran.err, "where 'trust: system' stands at this relay");
	assert_asked(FIRST, 0, "identity.install",
		     "{\"for\": \"front\", \"certificate\": \"CERT\\n\", \"force\": true}");
	forget();
	will_refuse(FIRST, JSONRPC_REFUSED, "is for another key", "null");
	run("relay certificate w --as c", STATUS_FAILED);
	assert_says(ran.err, "is for another key");
	run("relay certificate --force w --as c", STATUS_USAGE);
	run("relay certificate none --as c", STATUS_FAILED);
}

/* ---- acting on a relay ---- */

static void test_drain_kick_and_log(void **state)
{
	will_answer(FIRST, "{\"sessions\": 7}");
	run("relay drain --deadline 30s --exit --as c", STATUS_OK);
	assert_asked(FIRST, 0, "drain", "{\"exit\": true, \"deadline_ms\": 30000}");
	assert_says(ran.out, "7 still run, then the relay exits");
	forget();
	will_answer(FIRST, "{\"sessions\": 0}");
	run("relay drain --deadline 0 --as c", STATUS_OK);
	assert_asked(FIRST, 0, "drain", "{\"exit\": false, \"deadline_ms\": 0}");
	assert_says(ran.out, "takes it back");
	forget();
	will_answer(FIRST, "{}");
	run("relay undrain --as c", STATUS_OK);
	assert_asked(FIRST, 0, "undrain", NULL);
	forget();
	will_answer(FIRST, "{\"kicked\": [\"home\", \"7\"]}");
	run("relay kick --agent home --as c", STATUS_OK);
	assert_asked(FIRST, 0, "kick", "{\"agent\": \"home\"}");
	assert_string_equal(ran.out, "ended: home\nended: 7\n");
	forget();
	will_answer(FIRST, "{\"kicked\": []}");
	run("relay kick 7 --as c", STATUS_FAILED);
	assert_asked(FIRST, 0, "kick", "{\"session\": \"7\"}");
	assert_says(ran.err, "there is no session 7");
	forget();
	will_answer(FIRST, "{}");
	run("relay log debug --as c", STATUS_OK);
	assert_asked(FIRST, 0, "log.level", "{\"level\": \"debug\"}");
	run("relay log debgu --as c", STATUS_USAGE);
	assert_says(ran.err, "did you mean debug");
}

/* ---- looking ---- */

static void test_status_has_no_empty_row(void **state)
{
	will_answer(FIRST,
		    "{\"relay\": \"main\", \"draining\": false, \"listen\": [\"[::]:443\"], "
		    "\"isolation\": {\"seccomp\": true, \"landlock\": \"the kernel is old\"}, "
		    "\"refused\": {\"full\": 2}, \"stun\": {\"listen_udp\": [\"[::]:443\"], "
		    "\"listen_tcp\": [], \"udp\": {\"answered\": 5, \"limited\": 0}, "
		    "\"tcp\": {}}}");
	run("relay status --as c", STATUS_OK);
	assert_asked(FIRST, 0, "status", NULL);
	assert_says(ran.out, "relay       main\nstate       serving\nlistens on  [::]:443\n");
	assert_says(ran.out, "seccomp                  holds\n");
	assert_says(ran.out, "landlock                 does not hold: the kernel is old\n");
	assert_says(ran.out, "STUN\nover UDP on  [::]:443\n  udp.answered             5\n");
	assert_silent_on(ran.out, "over TCP");
	assert_silent_on(ran.out, "limited");
	assert_says(ran.out, "refused so far\n  full                     2\n");
	forget();
	will_answer(FIRST, "{\"stun\": {\"listen_udp\": [], \"listen_tcp\": [\"[::]:3478\"]}}");
	run("relay status --as c", STATUS_OK);
	assert_says(ran.out, "STUN\nover TCP only on  [::]:3478\n");
	assert_silent_on(ran.out, "over UDP");
}

/* A time is a number of the unit that its key names; bytes have theirs behind them. */
static void test_audit_names_its_units(void **state)
{
	will_answer(FIRST,
		    "{\"audit\": [{\"number\": 4, \"at\": \"2026-10-05T12:00:00Z\", \"kind\": "
		    "\"session.closed\", \"from\": \"phone\", \"to\": \"home\", \"up\": 1234, "
		    "\"down\": 0, \"ms\": 1523, \"reason\": \"\", \"ending\": \"---\"}]}");
	run("relay audit --as c --limit 5", STATUS_OK);
	assert_asked(FIRST, 0, "audit", "{\"limit\": 5, \"follow\": false}");
	assert_string_equal(ran.out,
			    "2026-10-05T12:00:00Z session.closed from=phone to=home "
			    "up=\"1.23 kB\" down=\"0 B\" ms=1523 reason=\"\" ending=---\n");
}

/* Following ends when the relay does, and says so. */
static void test_following_ends_with_the_connection(void **state)
{
	will_answer(FIRST, "{\"events\": [{\"kind\": \"drain\"}]}");
	will_tell(FIRST, "{\"kind\": \"agent.up\", \"agent\": \"h\\u001b[2Jome\"}");
	places[FIRST].end = "one.example:443: the relay stops";
	run("relay events --follow --as c", STATUS_FAILED);
	assert_asked(FIRST, 0, "events", "{\"limit\": 10, \"follow\": true}");
	assert_says(ran.out, "agent.up agent=h\\x1b[2Jome\n");
	assert_string_equal(ran.err, "postern: one.example:443: the relay stops\n");
	forget();
	will_answer(FIRST, "{\"events\": [{\"kind\": \"drain\"}]}");
	run("relay events --as c", STATUS_OK);
	assert_asked(FIRST, 0, "events", "{\"limit\": 100, \"follow\": false}");
	forget();
	will_answer(AGENT, "{\"events\": [{\"kind\": \"link.up\", \"relay\": \"r\"}]}");
	run("agent events home --as c", STATUS_OK);
	assert_says(ran.out, "link.up relay=r\n");
}

static void test_trace_ends_with_its_last_word(void **state)
{
	will_answer(FIRST, "{}");
	will_tell(FIRST, "{\"at\": \"12:00\", \"text\": \"signs in\"}");
	will_tell(FIRST, "{\"over\": \"its time is up\", \"lines\": 50}");
	run("relay trace home --for 2m --lines 50 --as c", STATUS_OK);
	assert_asked(FIRST, 0, "trace", "{\"agent\": \"home\", \"for_ms\": 120000, \"lines\": 50}");
	assert_string_equal(ran.out, "12:00 signs in\n");
	assert_says(ran.err, "the trace is over: its time is up (50 lines)");
	/* Cut off before it: that is a failure. */
	forget();
	will_answer(FIRST, "{}");
	will_tell(FIRST, "{\"at\": \"12:00\", \"text\": \"signs in\"}");
	run("relay trace --session 7 --as c", STATUS_FAILED);
	assert_asked(FIRST, 0, "trace", "{\"session\": \"7\"}");
	assert_says(ran.err, "the connection ended");
}

static void test_lists(void **state)
{
	will_answer(FIRST,
		    "{\"sessions\": [{\"session\": \"7\", \"from\": \"phone\", \"to\": "
		    "\"home\", \"service\": \"ssh\", \"up\": 1000, \"down\": 5, \"ms\": 61000}]}");
	run("relay sessions --agent home --limit 3 --as c", STATUS_OK);
	assert_asked(FIRST, 0, "sessions", "{\"agent\": \"home\", \"limit\": 3}");
	assert_says(ran.out, "7        phone  home  ssh      1.00 kB   5 B  1m01s\n");
	forget();
	will_answer(FIRST, "{\"sessions\": []}");
	run("relay sessions --as c", STATUS_OK);
	assert_string_equal(ran.out, "no session runs\n");
	forget();
	will_answer(FIRST, "{\"methods\": [{\"method\": \"kick\", \"level\": \"admin\", \"help\": "
			   "\"Ends it.\", \"params\": [{\"name\": \"agent\", \"type\": \"string\", "
			   "\"required\": true, \"help\": \"whose\"}], \"result\": \"{}\"}]}");
	run("relay schema --as c", STATUS_OK);
	assert_says(ran.out, "kick (admin)\n  Ends it.\n");
}

/* What several relays know of the same agents is one list; what one does not tell is said. */
static void test_agents_of_all_relays(void **state)
{
	will_answer(FIRST, "{\"agents\": [{\"agent\": \"home\", \"online\": true, \"sessions\": 2, "
			   "\"services\": [\"ssh\"]}, {\"agent\": \"old\", \"online\": false, "
			   "\"sessions\": 1}]}");
	will_answer(SECOND,
		    "{\"agents\": [{\"agent\": \"home\", \"online\": true, \"sessions\": 3, "
		    "\"services\": [\"ssh\", \"web\"]}]}");
	run("agent list --as c", STATUS_OK);
	assert_says(ran.out,
		    "home   online   one.example:443,two.example:443         5  ssh,web\n");
	assert_says(ran.out, "old    offline                                          1  \n");
	forget();
	will_answer(FIRST, "{\"agents\": []}");
	places[SECOND].refuses = "two.example:443: Connection refused";
	run("agent list --as c", STATUS_FAILED);
	assert_says(ran.out, "no agent is connected");
	assert_says(ran.err, "1 of 2 relays have answered; agents of the others may be missing");
}

static void test_agent_status(void **state)
{
	will_answer(AGENT,
		    "{\"agent\": \"home\", \"uptime_ms\": 61000, \"links\": [{\"relay\": "
		    "\"one.example:443\", \"state\": \"up\", \"legs\": 2}], \"sessions\": [], "
		    "\"nat\": {\"connected\": false, \"verdict\": \"unknown\"}}");
	run("agent status home --as c", STATUS_OK);
	assert_says(ran.out, "runs for  1m01s\n");
	assert_says(ran.out, "postern-natd  is away\n");
	assert_says(ran.out, "one.example:443  up        2\n");
	assert_silent_on(ran.out, "SESSION ");
}

static void test_top_once(void **state)
{
	for (int i = 0; i < 2; i++) {
		will_answer(FIRST, "{\"relay\": \"main\", \"bytes_total\": 0}");
		will_answer(FIRST, "{\"sessions\": [{\"session\": \"7\", \"from\": \"phone\", "
				   "\"to\": \"home\", \"service\": \"ssh\", \"up\": 0, "
				   "\"down\": 0, \"ms\": 5}]}");
	}
	run("relay top --once --as c", STATUS_OK);
	assert_says(ran.out, "phone");
	forget();
	will_answer(FIRST, "{}");
	run("relay top --once --as c", STATUS_FAILED);
}

/* ---- the way there ---- */

static void test_the_way_must_be_said(void **state)
{
	run("relay status", STATUS_FAILED);
	assert_says(ran.err, "which relay? Write 'postern --as console.yaml relay status ...'");
	run("relay status --as c --socket /nowhere", STATUS_FAILED);
	assert_says(ran.err, "two ways to the relay");
	run("relay status --socket /nowhere/relay.sock", STATUS_FAILED);
	assert_says(ran.err, "is postern-relayd running here");
	run("agent status home --socket /nowhere/relay.sock", STATUS_FAILED);
	assert_says(ran.err, "an agent answers to a console only");
	run("agent status Home --as c", STATUS_FAILED);
	assert_says(ran.err, "'Home' is no agent's name");
	/* An agent's file opens nothing: it is said before a connection is made. */
	run("relay status --as home.yaml", STATUS_FAILED);
	assert_says(ran.err, "home.yaml is an agent's file; only a console may do this");
	run("revoke phone --as home.yaml", STATUS_FAILED);
	for (size_t i = 0; i < PLACES; i++)
		assert_int_equal(places[i].opened, 0);
}

/* What the tunnel knows of its end is worth more than that the socket has ended. */
static void test_why_it_ended(void **state)
{
	places[FIRST].end = "one.example:443: this console is revoked";
	run("relay status --as c", STATUS_FAILED);
	assert_string_equal(ran.err, "postern: one.example:443: this console is revoked\n");
	forget();
	run("relay status --as c", STATUS_FAILED);
	assert_says(ran.err, "the connection ended before the answer came");
	forget();
	places[FIRST].refuses = "one.example:443: no";
	will_answer(FIRST, "{\"relay\": \"main\"}");
	run("relay status --as c", STATUS_FAILED);
	assert_string_equal(ran.err, "postern: one.example:443: no\n");
	assert_string_equal(ran.out, "");
	assert_count(FIRST, 0);
}

#define COMMAND_TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		COMMAND_TEST(test_revoke_tells_every_relay),
		COMMAND_TEST(test_revoke_that_a_relay_refuses_has_failed),
		COMMAND_TEST(test_revoke_notes_who_is_not_there),
		COMMAND_TEST(test_revoke_knows_whom_the_configuration_names),
		COMMAND_TEST(test_revoke_by_serial_key_and_moment),
		COMMAND_TEST(test_revoke_what_the_relay_has_seen),
		COMMAND_TEST(test_revoke_once_more),
		COMMAND_TEST(test_unrevoke_what_is_signed),
		COMMAND_TEST(test_unrevoke_anyway),
		COMMAND_TEST(test_a_word_says_that_it_is_one),
		COMMAND_TEST(test_at_names_one_relay),
		COMMAND_TEST(test_unrevoke_and_ungrant),
		COMMAND_TEST(test_grant_says_all_that_was_asked),
		COMMAND_TEST(test_grant_notes_the_first_rule_and_slips),
		COMMAND_TEST(test_wrong_words_send_nothing),
		COMMAND_TEST(test_grants_lists_rules_and_the_revoked),
		COMMAND_TEST(test_diff_shows_every_kind_of_change),
		COMMAND_TEST(test_apply_sends_what_it_was_given),
		COMMAND_TEST(test_refusals_are_told_with_their_places),
		COMMAND_TEST(test_an_agents_configuration),
		COMMAND_TEST(test_confirm_and_rollback),
		COMMAND_TEST(test_get_save_and_history),
		COMMAND_TEST(test_save_with_another_certificate),
		COMMAND_TEST(test_save_with_a_key_of_the_relays),
		COMMAND_TEST(test_a_relay_is_renewed),
		COMMAND_TEST(test_an_agent_is_renewed),
		COMMAND_TEST(test_a_request_and_its_certificate),
		COMMAND_TEST(test_what_is_not_kept_is_told),
		COMMAND_TEST(test_drain_kick_and_log),
		COMMAND_TEST(test_status_has_no_empty_row),
		COMMAND_TEST(test_audit_names_its_units),
		COMMAND_TEST(test_following_ends_with_the_connection),
		COMMAND_TEST(test_trace_ends_with_its_last_word),
		COMMAND_TEST(test_lists),
		COMMAND_TEST(test_agents_of_all_relays),
		COMMAND_TEST(test_agent_status),
		COMMAND_TEST(test_top_once),
		COMMAND_TEST(test_the_way_must_be_said),
		COMMAND_TEST(test_why_it_ended),
	};

	return cmocka_run_group_tests(tests, enter, command_line_leave);
}
