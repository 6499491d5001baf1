/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki_revoke: a revocation that the CA's own key signs, on the machine that has it.
 *
 * No relay is asked: what is written is passed on by "postern revoke --file", by any console or a
 * relay's control socket, and counts as what a console signs does. So it works when the last
 * console is lost. No console takes it back, and what it revokes of a console ends all that this
 * console has signed: nobody can check when that was, for a thief dates back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/engine/certificate.h"
#include "core/engine/identity_revocation.h"
#include "core/utc.h"
#include "ctl/pki/pki.h"
#include "ctl/terminal/files.h"
#include "ctl/terminal/units.h"

const struct option_row pki_revoke_options[] = {
	{"--serial", "HEX", false, "instead of NAME: one certificate, by its serial number"},
	{"--key", "HEX", false, "instead of NAME: all of one key, by its SHA-256"},
	{"--before", "TIME", false, "of NAME's, those that begin before; else all up to now"},
	{"--note", "TEXT", false, "why, for those who read the list"},
	{"--until", "TIME", false, "when the last of what is revoked ends; else when the CA does"},
	{"--take-back", NULL, false, "the opposite: what was revoked is good again"},
	{"--out", "FILE", false, "what to write; - is standard output (standard output)"},
	{"--force", NULL, false, "replace FILE when it exists"},
	{NULL, NULL, false, NULL},
};

/* ---- what is asked for ---- */

static bool revoke_take_subject(const struct arguments *a, struct signed_revocation *r)
{
	const char *name = a->word_count > 1 ? a->words[1] : NULL,
		   *serial = arguments_text(a, "--serial", NULL),
		   *key = arguments_text(a, "--key", NULL);
	const char *value = name ? name : serial ? serial : key;

	if ((name != NULL) + (serial != NULL) + (key != NULL) != 1) {
		complain_usage(a->command, "write a name, or --serial, or --key");
		return false;
	}
	r->kind = name ? WIRE_REVOKED_NAME : serial ? WIRE_REVOKED_SERIAL : WIRE_REVOKED_KEY;
	r->value = wire_text(value);
	if (wire_revocation_ok(r->kind, r->value))
		return true;
	complain_usage(a->command, "'%s' is no %s", value, revocation_value_words(r->kind));
	return false;
}

/* A moment, also one that has been. False after saying what is wrong. */
static bool revoke_take_moment(const struct arguments *a, const char *option, time_t *out)
{
	const char *text = arguments_text(a, option, NULL);
	char why[256], again[256];

	if (!text || units_parse_moment(text, time(NULL), out, why, sizeof(why)) ||
	    units_parse_moment(text, 0, out, again, sizeof(again)))
		return true;
	complain_usage(a->command, "%s: %s", option, why);
	return false;
}

/* All that this CA has issued of the name by now begins before: "postern pki" sets the beginning
 * back. */
static bool revoke_take_times(const struct arguments *a, time_t now, struct signed_revocation *r)
{
	time_t before = now - CERTIFICATE_BACKDATE_S, until = 0;

	if (!revoke_take_moment(a, "--before", &before) ||
	    !revoke_take_moment(a, "--until", &until))
		return false;
	if (r->kind != WIRE_REVOKED_NAME && arguments_flag(a, "--before")) {
		complain_usage(a->command, "--before goes with a name");
		return false;
	}
	if (before > now) {
		complain_usage(a->command, "--before: what is signed revokes what has been issued, "
					   "so that the name can be issued again; give a moment "
					   "that has been");
		return false;
	}
	if (arguments_flag(a, "--until") && until <= now) {
		complain_usage(a->command, "--until: is over; what is revoked would be good again");
		return false;
	}
	r->before = r->kind == WIRE_REVOKED_NAME ? (uint64_t)before : 0;
	r->keep_until = (uint64_t)until;
	return true;
}

static bool revoke_take(const struct arguments *a, struct signed_revocation *r)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	r->verb = arguments_flag(a, "--take-back") ? REVOCATION_TAKE_BACK : REVOCATION_REVOKE;
	r->note = wire_text(arguments_text(a, "--note", ""));
	r->issued = (uint64_t)now.tv_sec;
	r->counter = r->issued * 1000 + (uint64_t)now.tv_nsec / 1000000;
	if (r->note.len > REVOCATION_NOTE_MAX || !wire_text_ok(r->note)) {
		complain_usage(a->command,
			       "--note: is longer than 128 bytes, or has control characters");
		return false;
	}
	return revoke_take_subject(a, r) && revoke_take_times(a, now.tv_sec, r);
}

/* ---- signing ---- */

/* A slip would revoke nothing, and more goes than its name says where it is a console's. */
static bool note_issued(const struct pki_store *store, const struct signed_revocation *r)
{
	bool known = r->kind == WIRE_REVOKED_KEY; /* no record has those */
	bool console = known;
	struct pki_record *records;
	size_t count;

	if (!pki_store_records(store, &records, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct pki_record *one = &records[i];
		const char *value = r->kind == WIRE_REVOKED_NAME ? one->name : one->serial;

		if (!wire_bytes_equal(r->value, wire_text(value)))
			continue;
		known = true;
		console |= strcmp(one->role, "console") == 0;
	}
	free(records);
	if (!known)
		complain("note: %s has issued nothing for '%.*s'", store->directory,
			 (int)r->value.len, (const char *)r->value.data);
	if (console && r->verb == REVOCATION_REVOKE)
		complain("note: %sall revocations that it has signed end with it at each relay and "
			 "agent that hears of this, whatever date they bear, for nobody can check "
			 "that; sign again with another console what is to stay ('postern grants' "
			 "shows them)",
			 r->kind == WIRE_REVOKED_KEY ? "if that is a console's key, " : "");
	return true;
}

/* Until the CA ends, where nothing else is said: no certificate of its lasts longer. */
static bool revoke_until(const struct pki_store *store, struct signed_revocation *r)
{
	time_t end = certificate_time(X509_get0_notAfter(store->ca));
	char date[UTC_TEXT_BYTES];

	if (end <= (time_t)r->issued) {
		complain("the CA in %s expired on %s, and all that it has issued with it",
			 store->directory, utc_text(end, date));
		return false;
	}
	if (r->keep_until == 0)
		r->keep_until = (uint64_t)end;
	if (r->keep_until > r->issued + REVOCATION_KEPT_MAX_S)
		r->keep_until = r->issued + REVOCATION_KEPT_MAX_S;
	return true;
}

static bool revoke_deliver(const struct arguments *a, const struct pki_store *store,
			   const struct signed_revocation *r)
{
	const char *out = arguments_text(a, "--out", "-");
	char text[REVOCATION_BASE64_BYTES + 1], date[UTC_TEXT_BYTES];
	uint8_t object[REVOCATION_MAX];
	size_t len = revocation_sign(store->ca, store->key, r, object);

	if (len == 0) {
		complain("it cannot be signed: the CA's certificate is longer than %u bytes, or "
			 "its key cannot sign",
			 REVOCATION_CERT_MAX);
		return false;
	}
	revocation_to_text(object, len, text);
	len = strlen(text);
	memcpy(text + len, "\n", 2);
	if (!files_write_out(out, text, 0644, arguments_flag(a, "--force")))
		return false;
	if (strcmp(out, "-") != 0)
		printf("%s: %s '%.*s', until %s. It is in force where 'postern %s --file %s' has "
		       "passed it on.\n",
		       out, r->verb == REVOCATION_REVOKE ? "revokes" : "takes back what revokes",
		       (int)r->value.len, (const char *)r->value.data,
		       utc_text((time_t)r->keep_until, date),
		       r->verb == REVOCATION_REVOKE ? "revoke" : "unrevoke", out);
	return true;
}

enum status pki_revoke_run(const struct arguments *a)
{
	struct signed_revocation r = {.counter = 0};
	struct pki_store store;
	bool ok;

	if (!revoke_take(a, &r))
		return STATUS_USAGE;
	if (!pki_store_open(a->words[0], true, &store))
		return STATUS_FAILED;
	ok = revoke_until(&store, &r) && note_issued(&store, &r) && revoke_deliver(a, &store, &r);
	pki_store_close(&store);
	return ok ? STATUS_OK : STATUS_FAILED;
}
