/* SPDX-License-Identifier: Apache-2.0 */
/*
 * revoke: ends identities: revoke, unrevoke.
 *
 * With a console's file what is said is signed by that console's key, so that it counts at every
 * agent that hears of it, and no relay can make it or take it back. By the control socket there is
 * no key: it is the relay's own word; but it passes on what the CA has signed (--file, written by
 * "postern pki revoke").
 *
 * What is signed rests on what the relay tells as little as it can: how high the last counter was,
 * and when the newest certificate of a name begins; neither can make it revoke what is issued
 * later.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/engine/certificate.h"
#include "core/engine/identity_revocation.h"
#include "core/engine/revocations.h"
#include "ctl/change/change.h"
#include "ctl/change/names.h"
#include "ctl/change/relays.h"
#include "ctl/terminal/files.h"
#include "ctl/terminal/show.h"

#define WHICH_OPTIONS                                                                              \
	{"--serial", "HEX", false, "instead of AGENT: one certificate, by its serial number"},     \
	{                                                                                          \
		"--key", "HEX", false, "instead of AGENT: all of one key, by its SHA-256"          \
	}

#define SIGNED_OPTION                                                                              \
	{                                                                                          \
		"--file", "FILE", false, "instead of all others: what 'postern pki revoke' signed" \
	}

static const struct option_row revoke_options[] = {
	WHICH_OPTIONS,
	{"--before", "TIME", false, "of AGENT's, those that begin before; else all up to now"},
	{"--note", "TEXT", false, "why, for those who read the list"},
	{"--until", "TIME", false, "when the last of what is revoked ends; else when the CA does"},
	SIGNED_OPTION,
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

static const struct option_row unrevoke_options[] = {
	WHICH_OPTIONS,
	{"--anyway", NULL, false, "sign it, though the relay knows of no such revocation"},
	SIGNED_OPTION,
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

/* What is to be signed; its texts are borrowed. */
struct wish {
	const char *value; /* an agent's name, or what another kind has */
	struct signed_revocation r;
};

/* ---- what the relay knows ---- */

/* A revocation is of a name, whether its agent is there or not: a slip would revoke nothing.
 * Returns what the relay knows of agents, owned, or NULL. */
static json_t *revoke_notes(const char *name, struct connection *conn)
{
	static struct known_names names;
	json_t *get = known_ask(conn, "config.get"), *list = known_ask(conn, "agents");

	names = (struct known_names){.count = 0};
	known_add_all(&names, json_object_get(list, "agents"), json_object_get(get, "config"),
		      false);
	if (list)
		known_note(&names, name, "agent", conn->label, "it is refused when it comes");
	json_decref(get);
	return list;
}

/* When the newest certificate of the name begins that the relay has seen; 0: of none. */
static time_t newest_begins(const json_t *agents, const char *name)
{
	json_t *item;
	size_t i;

	json_array_foreach(agents, i, item)
	{
		const char *text = json_string_value(json_object_get(item, "agent"));

		if (text && strcmp(text, name) == 0)
			return (time_t)json_integer_value(
				json_object_get(item, "certificate_begins"));
	}
	return 0;
}

/* What was signed last of this subject, of the relay's answer; NULL: nothing. */
static const json_t *known_signed(const json_t *grants, const struct wish *w)
{
	const char *key = revocation_word(w->r.kind);
	const json_t *last = NULL;
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(grants, "signed"), i, item)
	{
		const char *text = json_string_value(json_object_get(item, key));

		if (text && strcmp(text, w->value) == 0 &&
		    (!last || json_integer_value(json_object_get(item, "counter")) >
				      json_integer_value(json_object_get(last, "counter"))))
			last = item;
	}
	return last;
}

static bool is_revoked(const json_t *known)
{
	return json_is_true(json_object_get(known, "revoked")) &&
	       !json_is_true(json_object_get(known, "lapsed"));
}

/* ---- signing ---- */

static bool wish_subject(const struct arguments *a, const json_t *params, struct wish *w)
{
	w->value = "";
	for (unsigned kind = REVOCATION_FIRST; kind <= REVOCATION_LAST; kind++) {
		const char *value =
			json_string_value(json_object_get(params, revocation_word(kind)));

		if (!value)
			continue;
		w->value = value;
		w->r.kind = (enum wire_revocation_kind)kind;
		w->r.value = wire_text(value);
	}
	if (wire_revocation_ok(w->r.kind, w->r.value))
		return true;
	complain("'%s' is no %s", w->value, revocation_value_words(w->r.kind));
	return false;
}

/* Higher than what is known, where that is a counter that others would take. */
static void wish_counter(const json_t *known, struct wish *w)
{
	uint64_t last = (uint64_t)json_integer_value(json_object_get(known, "counter"));
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	w->r.issued = (uint64_t)now.tv_sec;
	w->r.counter = w->r.issued * 1000 + (uint64_t)now.tv_nsec / 1000000;
	if (last < w->r.counter || last > revocation_counter_max(w->r.issued + REVOCATION_AHEAD_S))
		return;
	w->r.counter = last + 1;
	if (w->r.counter > revocation_counter_max(w->r.issued))
		w->r.issued = w->r.counter / 1000;
}

/* Of a text with date, time and zone, also one that has been. */
static bool moment_of(const json_t *text, uint64_t *out)
{
	char why[256];
	time_t moment;

	if (!json_is_string(text) ||
	    !units_parse_moment(json_string_value(text), 0, &moment, why, sizeof(why)))
		return false;
	*out = (uint64_t)moment;
	return true;
}

/* All that has been issued of the name by now: "postern pki" sets the beginning back, other CAs
 * need not, and what the relay has seen is among it. */
static bool wish_before(const json_t *params, const json_t *agents, struct wish *w)
{
	time_t now = time(NULL), before = now - CERTIFICATE_BACKDATE_S, newest;
	const json_t *text = json_object_get(params, "before");
	uint64_t told;

	if (w->r.kind != WIRE_REVOKED_NAME)
		return true;
	if (moment_of(text, &told))
		before = (time_t)told;
	if (before > now) {
		complain("--before: what is signed revokes what has been issued, so that the name "
			 "can be issued again; give a moment that has been");
		return false;
	}
	newest = text ? 0 : newest_begins(agents, w->value);
	if (newest >= before && newest <= now)
		before = newest + 1;
	w->r.before = (uint64_t)before;
	return true;
}

/* Until the CA ends: no certificate of its lasts longer. What takes back lasts as long as what it
 * takes back. */
static bool wish_until(const struct arguments *a, const struct identity *id, const json_t *known,
		       struct wish *w)
{
	const struct identity_anchors *anchors = identity_anchors(id);
	const char *text =
		w->r.verb == REVOCATION_REVOKE ? arguments_text(a, "--until", NULL) : NULL;
	uint64_t until = 0, last;
	time_t moment;
	char why[256];

	for (size_t i = 0; i < anchors->count; i++)
		if ((uint64_t)anchors->list[i].not_after > until)
			until = (uint64_t)anchors->list[i].not_after;
	if (text && !units_parse_moment(text, time(NULL), &moment, why, sizeof(why))) {
		complain("--until: %s", why);
		return false;
	}
	if (text)
		until = (uint64_t)moment;
	if (moment_of(json_object_get(known, "until"), &last) && last > until)
		until = last;
	if (until > w->r.issued + REVOCATION_KEPT_MAX_S)
		until = w->r.issued + REVOCATION_KEPT_MAX_S;
	w->r.keep_until = until;
	if (until > w->r.issued)
		return true;
	complain("--until: is over; what is revoked would be good again");
	return false;
}

static struct identity *console_identity(const struct connection *conn)
{
	const struct conf_identity *own = &conn->config.identity;
	char why[256];
	struct identity *id =
		identity_new(own->ca, own->certificate, own->key, time(NULL), why, sizeof(why));

	if (!id)
		complain("%s", why);
	return id;
}

/* {"signed": ...}; NULL: told why not. */
static json_t *sign_wish(const struct identity *id, const struct wish *w)
{
	uint8_t object[REVOCATION_MAX];
	char text[REVOCATION_BASE64_BYTES];
	size_t len = identity_sign_revocation(id, &w->r, object);

	if (len == 0) {
		complain("it cannot be signed: %s",
			 w->r.note.len > REVOCATION_NOTE_MAX || !wire_text_ok(w->r.note)
				 ? "--note is longer than 128 bytes, or has control characters"
				 : "the console's key cannot sign, or its certificate is too long");
		return NULL;
	}
	revocation_to_text(object, len, text);
	return json_pack("{s:s}", "signed", text);
}

static json_t *sign_for(const struct arguments *a, struct connection *conn, struct wish *w,
			const json_t *params, const json_t *known, const json_t *agents)
{
	struct identity *id = console_identity(conn);
	json_t *out = NULL;

	wish_counter(known, w);
	if (id && wish_before(params, agents, w) && wish_until(a, id, known, w))
		out = sign_wish(id, w);
	identity_free(id);
	return out;
}

/* ---- what was signed elsewhere ---- */

/* What the object in the file says, with its text as the relay takes it, owned. NULL after saying
 * what is wrong. */
static json_t *signed_in_file(const struct arguments *a, enum revocation_verb verb, char *shown,
			      size_t room)
{
	const char *path = arguments_text(a, "--file", NULL);
	char *text = files_read(path, REVOCATION_BASE64_BYTES + 1), *end;
	uint8_t object[REVOCATION_MAX];
	struct signed_revocation r;
	json_t *params = NULL;
	size_t len;

	if (!text)
		return NULL;
	end = text + strcspn(text, "\r\n");
	*end = '\0';
	len = revocation_of_text(text, object);
	if (len == 0 || !revocation_decode(object, len, &r))
		complain("%s: is not what 'postern pki revoke' writes", path);
	else if (r.verb != verb)
		complain("%s: says the opposite; pass it on with '%s'", path,
			 r.verb == REVOCATION_REVOKE ? "revoke" : "unrevoke");
	else
		params = json_pack("{s:s}", "signed", text);
	if (params)
		snprintf(shown, room, "%s%.*s",
			 r.kind == WIRE_REVOKED_SERIAL ? "the certificate "
			 : r.kind == WIRE_REVOKED_KEY  ? "the key "
						       : "",
			 (int)r.value.len, (const char *)r.value.data);
	free(text);
	return params;
}

static bool alone(const struct arguments *a)
{
	for (const struct option_row *o = a->command->options; o->name; o++)
		if (strcmp(o->name, "--file") != 0 && strcmp(o->name, "--json") != 0 &&
		    arguments_flag(a, o->name))
			return false;
	return a->word_count == 0;
}

/* Passes it on to every relay as it is: no key is needed, and none of what the relays know. */
static enum status pass_on(const struct arguments *a, const char *method, enum revocation_verb verb,
			   const char *becomes)
{
	char shown[WIRE_REVOCATION_MAX + 32], done[300];
	struct relays_change c = {method, NULL, done, NULL};

	if (!alone(a)) {
		complain_usage(a->command, "--file says all by itself; give nothing else with it");
		return STATUS_USAGE;
	}
	c.params = signed_in_file(a, verb, shown, sizeof(shown));
	if (!c.params)
		return STATUS_FAILED;
	snprintf(done, sizeof(done), "%s %s", shown, becomes);
	return relays_change(a, &c);
}

/* ---- the commands ---- */

/* The control socket has no key: what goes by it is the relay's word. */
static json_t *revoke_prepare(const struct arguments *a, struct connection *conn,
			      const struct relays_change *c)
{
	struct wish w = {.r.verb = REVOCATION_REVOKE};
	json_t *list, *grants, *params = NULL;

	if (!wish_subject(a, c->params, &w))
		return NULL;
	list = w.r.kind == WIRE_REVOKED_NAME ? revoke_notes(w.value, conn) : NULL;
	if (conn->has_config) {
		grants = known_ask(conn, "grants");
		w.r.note = wire_text(arguments_text(a, "--note", ""));
		params = sign_for(a, conn, &w, c->params, known_signed(grants, &w),
				  json_object_get(list, "agents"));
		json_decref(grants);
	} else {
		params = json_incref(c->params);
	}
	json_decref(list);
	return params;
}

/* What was not signed, or is not revoked, is the relay's to answer; but agents may know of what it
 * does not. */
static json_t *unrevoke_prepare(const struct arguments *a, struct connection *conn,
				const struct relays_change *c)
{
	struct wish w = {.r.verb = REVOCATION_TAKE_BACK};
	const json_t *known;
	json_t *grants, *params;

	if (!wish_subject(a, c->params, &w))
		return NULL;
	grants = conn->has_config ? known_ask(conn, "grants") : NULL;
	known = known_signed(grants, &w);
	if (conn->has_config && (arguments_flag(a, "--anyway") || is_revoked(known)))
		params = sign_for(a, conn, &w, c->params, known, NULL);
	else
		params = json_incref(c->params);
	json_decref(grants);
	return params;
}

/* AGENT, --serial or --key, as the relay takes it; shown gets how to speak of it. NULL: it is not
 * one of them. */
static json_t *which_revoked(const struct arguments *a, char *shown, size_t room)
{
	const char *serial = arguments_text(a, "--serial", NULL),
		   *key = arguments_text(a, "--key", NULL);
	json_t *params = json_object();

	if ((a->word_count > 0) + (serial != NULL) + (key != NULL) != 1) {
		complain_usage(a->command, "write an agent's name, or --serial, or --key");
		json_decref(params);
		return NULL;
	}
	if (a->word_count > 0)
		json_object_set_new(params, "agent", json_string(a->words[0]));
	relays_take_text(a, "--serial", params);
	relays_take_text(a, "--key", params);
	snprintf(shown, room, "%s%s",
		 serial ? "the certificate "
		 : key	? "the key "
			: "",
		 serial ? serial
		 : key	? key
			: a->words[0]);
	return params;
}

static enum status revoke_run_revoke(const struct arguments *a)
{
	char shown[200], done[300];
	json_t *params;

	if (arguments_flag(a, "--file"))
		return pass_on(a, "revoke", REVOCATION_REVOKE,
			       "is revoked, its link and its sessions end");
	params = which_revoked(a, shown, sizeof(shown));
	const struct relays_change c = {"revoke", params, done, revoke_prepare};

	if (!params ||
	    !relays_take_moment(a, "--before", true, params, (char[UNITS_MOMENT_BYTES]){""})) {
		json_decref(params);
		return STATUS_USAGE;
	}
	if (a->word_count == 0 && json_object_get(params, "before")) {
		complain_usage(a->command, "--before goes with an agent's name");
		json_decref(params);
		return STATUS_USAGE;
	}
	if (!a->as && arguments_text(a, "--until", NULL)) {
		complain_usage(a->command, "--until goes with --as: what is not signed is kept "
					   "until it is taken back");
		json_decref(params);
		return STATUS_USAGE;
	}
	relays_take_text(a, "--note", params);
	snprintf(done, sizeof(done), "%s is revoked, its link and its sessions end", shown);
	return relays_change(a, &c);
}

static enum status revoke_run_unrevoke(const struct arguments *a)
{
	char shown[200], done[300];

	if (arguments_flag(a, "--file"))
		return pass_on(a, "unrevoke", REVOCATION_TAKE_BACK, "is good again");
	const struct relays_change c = {"unrevoke", which_revoked(a, shown, sizeof(shown)), done,
					unrevoke_prepare};

	if (!c.params)
		return STATUS_USAGE;
	snprintf(done, sizeof(done), "%s is good again", shown);
	return relays_change(a, &c);
}

/* ---- shown by grants ---- */

static const struct show_column revoked_columns[] = {
	{"REVOKED", "agent", SHOW_TEXT, NULL}, {"IF IT BEGINS BEFORE", "before", SHOW_TEXT, NULL},
	{"SERIAL", "serial", SHOW_TEXT, NULL}, {"KEY", "key", SHOW_TEXT, NULL},
	{"NOTE", "note", SHOW_TEXT, NULL},     {NULL, NULL, SHOW_TEXT, NULL},
};

static const struct show_column signed_columns[] = {
	{"SIGNED", "what", SHOW_TEXT, NULL},
	{"AGENT", "agent", SHOW_TEXT, NULL},
	{"IF IT BEGINS BEFORE", "before", SHOW_TEXT, NULL},
	{"SERIAL", "serial", SHOW_TEXT, NULL},
	{"KEY", "key", SHOW_TEXT, NULL},
	{"BY", "by", SHOW_TEXT, NULL},
	{"UNTIL", "until", SHOW_TEXT, NULL},
	{"NOTE", "note", SHOW_TEXT, NULL},
	{NULL, NULL, SHOW_TEXT, NULL},
};

void revoke_print(const json_t *grants)
{
	const json_t *revoked = json_object_get(grants, "revoked");
	json_t *list = json_deep_copy(json_object_get(grants, "signed")), *item;
	size_t i;

	if (json_array_size(revoked) > 0) {
		putchar('\n');
		show_table(stdout, revoked, revoked_columns);
	}
	json_array_foreach(list, i, item) json_object_set_new(
		item, "what",
		json_string(json_is_true(json_object_get(item, "lapsed")) ? "lapsed"
			    : is_revoked(item)				  ? "revoked"
									  : "taken back"));
	if (json_array_size(list) > 0) {
		putchar('\n');
		show_table(stdout, list, signed_columns);
	}
	json_decref(list);
}

const struct command revoke_commands[] = {
	{"revoke", "[AGENT]", 0, 1, "Ends an identity: its link and sessions, within a second.",
	 revoke_options, revoke_run_revoke},
	{"unrevoke", "[AGENT]", 0, 1, "Takes a revocation back.", unrevoke_options,
	 revoke_run_unrevoke},
	{.name = NULL},
};
