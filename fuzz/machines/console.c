/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console: lines of a console at a relay: calls of every method with odd values, configurations
 * damaged in some places, lines that are none, much at once, in pieces, or not read, revocations
 * that are signed by somebody, new keys and certificates for them, right and wrong, while agents
 * come and go and the file is read again. What is heard is JSON, line by line, and BYE at most in
 * the end; each whole call has one answer; a certificate that is wrong is refused.
 */
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/machines/cast.h"
#include "tests/world/issuer.h"

/* CALLER_OUTPUT_MAX waits for a console that does not read, and is counted twice while a line is
 * made. */
#define MEMORY_MOST (24u << 20)
#define LINE_MOST   (1u << 20)

static json_t *document; /* in force at the beginning */
static char line[LINE_MOST];
static size_t line_len;
static uint8_t bye[WIRE_FRAME_MAX];
static size_t bye_len;
static unsigned asked, answered;
static bool taken;    /* the last answer is no error */
static char *request; /* for a certificate, that the relay has sent; owned */
static bool odd; /* what was said is no whole calls any more, or may not be read: answers are not
		  * counted */

/* ---- what it hears ---- */

static void hear_line(void)
{
	json_t *answer = json_loadb(line, line_len, 0, NULL), *config;
	const char *pem;

	if (!world_check(answer != NULL, "answers", "what a console hears is no JSON: %.*s",
			 (int)(line_len < 200 ? line_len : 200), line))
		return;
	if (json_is_integer(json_object_get(answer, "id"))) {
		answered++;
		taken = json_object_get(answer, "result") != NULL;
	}
	pem = json_string_value(json_object_get(json_object_get(answer, "result"), "request"));
	if (pem) {
		free(request);
		request = strdup(pem);
	}
	config = json_object_get(json_object_get(answer, "result"), "config");
	if (!document && config)
		document = json_deep_copy(config);
	json_decref(answer);
}

/* No line: the relay lets go of it, and says why in a message, the last that it says. */
static void hear_bye(uint8_t byte)
{
	struct wire_message m;
	enum wire_status status;
	size_t used;

	if (bye_len == sizeof(bye))
		return;
	bye[bye_len++] = byte;
	status = wire_decode(bye, bye_len, &m, &used);
	if (status == WIRE_SHORT)
		return;
	world_check(status == WIRE_OK && m.type == WIRE_BYE && used == bye_len, "answers",
		    "a console hears neither JSON nor BYE, or something behind it");
	if (status == WIRE_OK)
		world_tell("console hears %s", wire_type_name(m.type));
	odd = true;
}

static void hear(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bye_len > 0 || (line_len == 0 && bytes[i] == WIRE_VERSION)) {
			hear_bye(bytes[i]);
		} else if (bytes[i] == '\n') {
			hear_line();
			line_len = 0;
		} else if (line_len < LINE_MOST) {
			line[line_len++] = (char)bytes[i];
		}
	}
}

/* ---- values ---- */

static json_t *a_text(void)
{
	static const char *const words[] = {"",
					    "home",
					    "laptop",
					    "guest",
					    "home/talk",
					    "*/*",
					    "public",
					    "(hidden)",
					    "0.0.0.0:443",
					    "198.51.100.0/24",
					    "20MB/s",
					    "10s",
					    "2026-11-27",
					    "debug",
					    "mon-fri 08:00-18:00",
					    "0000000000",
					    "2026-03-02T12:00:10Z"};
	unsigned which = script_byte();
	struct wire_bytes b;
	char text[40];

	if (which % 32 < sizeof(words) / sizeof(words[0]))
		return json_string(words[which % 32]);
	b = script_bytes(sizeof(text));
	/* A zero would make of the line none, which is answered without its id. */
	for (size_t i = 0; i < b.len; i++)
		text[i] = b.data[i] ? (char)b.data[i] : '0';
	return json_stringn(text, b.len); /* NULL, unless it is UTF-8 */
}

static json_t *a_value(unsigned depth)
{
	static const json_int_t numbers[] = {0, 1, -1, 2, 64, 65536, INT64_MAX, INT64_MIN, 1000};
	json_t *value = NULL;
	char key[2] = "";

	switch (script_below(depth < 3 ? 7 : 5)) {
	case 0:
		value = a_text();
		break;
	case 1:
		value = json_integer(numbers[script_below(9)]);
		break;
	case 2:
		value = json_boolean(script_below(2));
		break;
	case 3:
		value = json_real(0.5);
		break;
	case 5:
		value = json_array();
		for (unsigned n = script_below(4); n > 0; n--)
			json_array_append_new(value, a_value(depth + 1));
		break;
	case 6:
		value = json_object();
		for (unsigned n = script_below(4); n > 0; n--) {
			key[0] = (char)('a' + script_below(26));
			json_object_set_new(value, key, a_value(depth + 1));
		}
		break;
	default:
		break;
	}
	return value ? value : json_null();
}

/* Some place of a document, and what stands there: taken away, twice, or another. */
static void damage(json_t *at, unsigned depth)
{
	size_t size = json_is_array(at) ? json_array_size(at) : json_object_size(at), i;
	const char *key = NULL;
	json_t *value;

	if (size == 0)
		return;
	i = script_below(256) % size;
	if (json_is_array(at)) {
		value = json_array_get(at, i);
	} else {
		void *step = json_object_iter(at);

		for (; i > 0; i--)
			step = json_object_iter_next(at, step);
		key = json_object_iter_key(step);
		value = json_object_iter_value(step);
	}
	if ((json_is_object(value) || json_is_array(value)) && depth < 6 && script_below(4) > 0) {
		damage(value, depth + 1);
		return;
	}
	if (key)
		json_object_set_new(at, key, a_value(0));
	else
		json_array_set_new(at, i, a_value(0));
}

/* ---- calls ---- */

static json_t *params_of(const char *method)
{
	static const char *const keys[] = {
		"agent",    "to",     "until",	"hours",       "source",      "rate",
		"sessions", "serial", "key",	"before",      "note",	      "session",
		"level",    "limit",  "for_ms", "deadline_ms", "lines",	      "revision",
		"from",	    "for",    "hosts",	"force",       "certificate", "signed"};
	json_t *params = json_object();

	for (unsigned n = script_below(5); n > 0; n--) {
		const char *key = keys[script_below(sizeof(keys) / sizeof(keys[0]))];

		json_object_set_new(params, key, script_below(4) ? a_text() : a_value(0));
	}
	if (strncmp(method, "config.", 7) == 0 && script_below(8) > 0) {
		json_t *config = json_deep_copy(document);

		for (unsigned n = script_below(4); n > 0; n--)
			damage(config, 0);
		json_object_set_new(params, "config", config);
		json_object_set_new(params, "confirm_ms", json_integer(100 * script_below(64)));
	}
	return params;
}

/* params is taken over. */
static void ask(const char *method, json_t *params)
{
	json_t *call = json_pack("{s:s, s:s, s:i, s:o}", "jsonrpc", "2.0", "method", method, "id",
				 (int)++asked, "params", params);
	char *text = json_dumps(call, JSON_COMPACT);

	world_tell("%s", text);
	cast_say(&players[CONSOLE], text, strlen(text));
	cast_say(&players[CONSOLE], "\n", 1);
	free(text);
	json_decref(call);
}

static void act_call(void)
{
	static const char *const methods[] = {"status",
					      "agents",
					      "sessions",
					      "metrics",
					      "grants",
					      "grant",
					      "ungrant",
					      "revoke",
					      "unrevoke",
					      "kick",
					      "drain",
					      "undrain",
					      "log.level",
					      "events",
					      "audit",
					      "trace",
					      "config.get",
					      "config.check",
					      "config.diff",
					      "config.apply",
					      "config.apply",
					      "config.confirm",
					      "config.rollback",
					      "config.history",
					      "schema",
					      "identity.show",
					      "identity.request",
					      "identity.install"};
	const char *method = methods[script_below(sizeof(methods) / sizeof(methods[0]))];

	ask(method, params_of(method));
}

/* A new key is asked for, and a certificate for it brought, or one that does not fit. */
static void act_renew(void)
{
	bool front = script_below(4) == 3;
	enum issue how = (enum issue)script_below(ISSUES);
	unsigned before;
	char *pem;

	free(request);
	request = NULL;
	ask("identity.request", json_pack("{s:s}", "for", front ? "front" : "identity"));
	cast_run(300 * MS);
	if (!request)
		return;
	pem = issuer_signs(RELAY_A, request, how);
	before = answered;
	ask("identity.install", json_pack("{s:s, s:s, s:b}", "for", front ? "front" : "identity",
					  "certificate", pem, "force", script_below(2)));
	free(pem);
	cast_run(300 * MS);
	if (!front && how != ISSUE_RIGHT && answered == before + 1)
		world_check(!taken, "refused",
			    "a certificate that is wrong in the way %d is put in force", how);
}

static void act_signed(void)
{
	char text[REVOCATION_BASE64_BYTES];
	uint8_t object[REVOCATION_MAX];
	bool revokes;
	size_t len = cast_signed(object, &revokes);

	revocation_to_text(object, len, text);
	if (script_below(4) == 3)
		revokes = !revokes;
	ask(revokes ? "revoke" : "unrevoke", json_pack("{s:s}", "signed", text));
}

static void act_other_keys(void)
{
	odd = true;
	act_update_keys();
}

static void act_many_calls(void)
{
	static const char call[] = "{\"jsonrpc\":\"2.0\",\"method\":\"schema\",\"id\":\"x\"}\n";

	for (unsigned n = script_byte(); n > 0; n--)
		cast_say(&players[CONSOLE], call, sizeof(call) - 1);
}

static void act_odd_line(void)
{
	struct wire_bytes b = script_bytes(600);

	odd = true;
	cast_say(&players[CONSOLE], b.data, b.len);
	if (script_below(4) > 0)
		cast_say(&players[CONSOLE], "\n", 1);
}

static void act_endless_line(void)
{
	static char much[16384];

	odd = true;
	memset(much, 'x', sizeof(much));
	for (unsigned n = script_byte(); n > 0; n--)
		cast_say(&players[CONSOLE], much, sizeof(much));
	cast_run(50 * MS);
}

static void act_deaf(void)
{
	odd = true;
	act_mute();
}

static void act_end(void)
{
	odd = true;
	act_reset();
}

/* ---- who else is there ---- */

static void of_others(void (*act)(void))
{
	cast_parts(HOME_LINK, LAPTOP_LEG_2);
	act();
	cast_parts(CONSOLE, CONSOLE);
}

static void act_others_message(void)
{
	of_others(act_message);
}

static void act_others_close(void)
{
	of_others(act_close);
}

static void act_another_signs_in(void)
{
	cast_parts(STRANGER_1, STRANGER_4);
	act_sign_in();
	cast_parts(CONSOLE, CONSOLE);
}

static void act_reload(void)
{
	k_signal(cast_relay.program, SIGHUP);
	cast_run(20 * MS);
}

/* ---- beginning and end ---- */

static void set(void)
{
	static const char get[] = "{\"jsonrpc\":\"2.0\",\"method\":\"config.get\",\"id\":\"x\"}\n";

	cast_console_hears = hear;
	cast_set("limits:\n  open: 3s\n");
	cast_parts(CONSOLE, CONSOLE);
	cast_say(&players[CONSOLE], get, sizeof(get) - 1);
	cast_run(SECOND);
	if (!document)
		world_broken("the relay tells no configuration");
}

static void clear(void)
{
	if (!odd) {
		for (unsigned i = 0; i < 300; i++)
			cast_run(50 * MS);
		world_check(players[CONSOLE].peer.eof || players[CONSOLE].peer.reset ||
				    answered == asked,
			    "answers", "%u calls have %u answers", asked, answered);
	}
	cast_clear(true, MEMORY_MOST);
	json_decref(document);
	free(request);
}

static const struct act acts[] = {
	{"call", act_call},
	{"call", act_call},
	{"call", act_call},
	{"call", act_call},
	{"time", act_time},
	{"many calls", act_many_calls},
	{"an odd line", act_odd_line},
	{"a line without an end", act_endless_line},
	{"deaf", act_deaf},
	{"the end", act_end},
	{"pair", act_pair},
	{"others' message", act_others_message},
	{"others close", act_others_close},
	{"another signs in", act_another_signs_in},
	{"reload", act_reload},
	{"renew", act_renew},
	{"signed", act_signed},
	{"update keys", act_other_keys},
	{NULL, NULL},
};

const struct machine machine_console = {"console", set, acts, clear, 40};
