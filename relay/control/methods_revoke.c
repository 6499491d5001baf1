/* SPDX-License-Identifier: Apache-2.0 */
/*
 * methods_revoke: revocations: those of this relay's own word, which are a part of its
 * configuration, and those that a console or a CA has signed.
 *
 * What is signed counts at each agent that hears of it, whichever relay tells it, and no word of
 * this relay takes it back; so it is no part of the configuration, which can be changed by a word,
 * and is kept beside it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/engine/certificate.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/utc.h"
#include "relay/control/control_internal.h"

#define UNSIGNED                                                                                   \
	"it is not signed: it counts at this relay and on its links alone, as long as this relay " \
	"says so; sign it by a console: 'postern --as CONSOLE.yaml'"

/* ---- which ---- */

/* The value of the one kind that the call names, or NULL, and the call has failed. */
static const char *revoked_value(struct call *c, enum wire_revocation_kind *kind)
{
	const char *found = NULL;
	size_t count = 0;

	for (unsigned k = REVOCATION_FIRST; k <= REVOCATION_LAST; k++) {
		const json_t *value = json_object_get(c->params, revocation_word(k));

		if (!value)
			continue;
		found = json_string_value(value);
		*kind = (enum wire_revocation_kind)k;
		count++;
	}
	if (count == 1)
		return found;
	call_fail(c, JSONRPC_INVALID_PARAMS, NULL, "name one of agent, serial and key");
	return NULL;
}

static bool is_of(const json_t *entry, const char *key, const char *value)
{
	const char *other = json_string_value(json_object_get(entry, key));

	return other && strcmp(other, value) == 0;
}

/* Removes what revokes this; how many. */
static size_t revoked_remove(json_t *revoked, enum wire_revocation_kind kind, const char *value)
{
	size_t removed = 0;

	for (size_t i = json_array_size(revoked); i-- > 0;)
		if (is_of(json_array_get(revoked, i), revocation_word(kind), value)) {
			json_array_remove(revoked, i);
			removed++;
		}
	return removed;
}

struct newest {
	const char *name;
	time_t begins; /* of the newest certificate; 0: none is known */
};

static void look_at_newest(void *context, const struct rendezvous_agent *a)
{
	struct newest *n = context;

	if (strcmp(a->name, n->name) == 0)
		n->begins = a->begins;
}

/* All that has been issued of this name by now, and nothing that is issued from now on: "postern
 * pki" sets the beginning back, other CAs need not, and what is here now is seen. */
static void revoked_before(struct call *c, const char *name, json_t *entry)
{
	struct relay *r = control_of(c)->relay;
	struct newest newest = {.name = name};
	time_t before = time(NULL) - CERTIFICATE_BACKDATE_S;
	char text[UTC_TEXT_BYTES];

	relay_lock(r);
	rendezvous_each_agent(r->rendezvous, look_at_newest, &newest);
	relay_unlock(r);
	if (newest.begins >= before)
		before = newest.begins + 1;
	json_object_set_new(entry, "before", json_string(utc_text(before, text)));
}

static bool revokes(const struct caller *caller, const struct revocation *r)
{
	const struct revocations one = {.list = (struct revocation *)(uintptr_t)r, .count = 1};

	return caller->credential && revocations_cover(&one, &caller->credential->peer);
}

/* Whether the entry, which is as the configuration takes it, ends the caller's own right. */
static bool revokes_caller(const struct caller *caller, const json_t *entry)
{
	struct policy_revoked conf = {
		.agent = (char *)(uintptr_t)json_string_value(json_object_get(entry, "agent")),
		.serial = (char *)(uintptr_t)json_string_value(json_object_get(entry, "serial")),
		.key = (char *)(uintptr_t)json_string_value(json_object_get(entry, "key")),
		.before = (char *)(uintptr_t)json_string_value(json_object_get(entry, "before")),
	};
	struct revocation r;

	return policy_revocation(&conf, &r) && revokes(caller, &r);
}

/* ---- signed ---- */

json_t *revoke_signed_list(const struct signed_revocations *all)
{
	json_t *list = json_array(), *one;

	for (size_t i = 0; i < all->count; i++)
		json_array_append_new(list, signed_entry_json(all->entries[i]));
	for (size_t i = 0; i < all->aside_count; i++) {
		if (!signed_revocations_waits(all, all->aside[i]))
			continue;
		one = signed_entry_json(all->aside[i]);
		json_object_set_new(one, "lapsed", json_true());
		json_array_append_new(list, one);
	}
	return list;
}

static void tell_change(struct relay_control *ctl, const char *kind, json_t *data)
{
	if (!data)
		return;
	log_recorded(LOG_LEVEL_WARNING, "control", "%s count=%" JSON_INTEGER_FORMAT ": %s", kind,
		     json_integer_value(json_object_get(data, "count")),
		     json_string_value(json_object_get(data, "text")));
	control_event(ctl, kind, data);
}

void revoke_tell_changes(struct relay_control *ctl, const struct signed_told *told,
			 enum signed_cause cause)
{
	tell_change(ctl, "revocation.lapsed", signed_told_event(told, false, cause));
	tell_change(ctl, "revocation.restored", signed_told_event(told, true, cause));
}

/* Who brought it is told, too: it need not be who signed it. */
static void tell_taken(struct call *c, const struct signed_entry *e)
{
	json_t *data = signed_entry_json(e);
	char by[SIGNED_BY_BYTES];

	json_object_set_new(data, "who", json_string(c->caller->who));
	log_notice("control", "%s has %s %s%s%s by a signature that %s brought",
		   signed_by_text(e, by),
		   signed_entry_revokes(e) ? "revoked" : "taken back the revocation of",
		   e->what.kind == WIRE_REVOKED_NAME ? "" : revocation_word(e->what.kind),
		   e->what.kind == WIRE_REVOKED_NAME ? "" : " ", e->revokes.value, c->caller->who);
	control_event(control_of(c),
		      signed_entry_revokes(e) ? "revocation.signed" : "revocation.taken_back",
		      data);
}

/* NULL, or why it is not kept. */
static const char *signed_keep(struct relay_control *ctl)
{
	json_t *kept = signed_revocations_keep(&ctl->signed_revocations);
	char *text = kept ? json_dumps(kept, JSON_COMPACT) : NULL;
	int error =
		text ? keeper_save(ctl->keeper, SIGNED_REVOKED_NAME, text, strlen(text)) : -ENOMEM;

	memory_free(text);
	json_decref(kept);
	if (error == -ENOTDIR) /* no state_dir: nothing of this relay is kept */
		error = 0;
	return error ? strerror(-error) : NULL;
}

/* Agents judge a signer by what is signed alone; this relay also by its own word. */
static bool signer_is_good_here(const struct relay_control *ctl, const struct signed_entry *e)
{
	const struct credential own = {.peer = e->signer.peer};
	const struct caller signer = {.credential = (struct credential *)(uintptr_t)&own};

	return e->signer.is_ca || control_judge(ctl->current, &signer) == REASON_OK;
}

/* Puts it in force and keeps it: the entry, NULL: the call has failed. *unsaved: NULL, or why it is
 * not kept. */
static const struct signed_entry *signed_take(struct call *c, const uint8_t *bytes, size_t len,
					      const char **unsaved)
{
	struct relay_control *ctl = control_of(c);
	struct signed_revocations before = ctl->signed_revocations, next = {.count = 0};
	enum revocation_outcome o = REVOCATION_NO_MEMORY;
	char why[CONFIGURING_WHY_BYTES] = "";
	const struct signed_entry *taken;
	struct signed_told told;

	*unsaved = NULL;
	signed_told_open(&told);
	if (signed_revocations_copy(&before, &next))
		o = signed_revocations_take(&next, ctl->current->identity, bytes, len, time(NULL),
					    &told.listener);
	if (o == REVOCATION_TAKEN && !signer_is_good_here(ctl, next.entries[next.count - 1]))
		o = REVOCATION_SIGNER_REVOKED;
	if (o == REVOCATION_TAKEN && call_lacks_memory(c))
		o = REVOCATION_NO_MEMORY;
	if (o != REVOCATION_TAKEN) {
		ctl->signed_refused++;
		signed_revocations_free(&next);
		signed_told_free(&told);
		call_fail(c, o == REVOCATION_NO_MEMORY ? JSONRPC_INTERNAL_ERROR : JSONRPC_REFUSED,
			  NULL, "%s", revocation_outcome_sentence(o));
		return NULL;
	}
	ctl->signed_revocations = next;
	if (!change_beside(ctl, why)) {
		ctl->signed_revocations = before;
		signed_revocations_free(&next);
		signed_told_free(&told);
		call_fail(c, JSONRPC_INTERNAL_ERROR, NULL, "%s", why);
		return NULL;
	}
	signed_revocations_free(&before);
	c->part_done = true;
	*unsaved = signed_keep(ctl);
	if (*unsaved)
		log_warning("control", "a signed revocation is in force, and is not kept: %s",
			    *unsaved);
	taken = ctl->signed_revocations.entries[ctl->signed_revocations.count - 1];
	tell_taken(c, taken);
	revoke_tell_changes(ctl, &told, SIGNED_BY_A_THIEF);
	signed_told_free(&told);
	return taken;
}

/* The object of the call, if it is of this verb. 0: the call has failed. */
static size_t signed_param(struct call *c, enum revocation_verb verb, uint8_t out[REVOCATION_MAX],
			   struct signed_revocation *r)
{
	const char *text = json_string_value(json_object_get(c->params, "signed"));
	size_t len = revocation_of_text(text, out);

	if (json_object_size(c->params) > 1) {
		call_fail(c, JSONRPC_INVALID_PARAMS, NULL,
			  "signed says all by itself; give nothing else with it");
		return 0;
	}
	if (len == 0 || !revocation_decode(out, len, r) || r->verb != verb) {
		call_fail(c, JSONRPC_INVALID_PARAMS, NULL, "signed: %s",
			  len > 0 && revocation_decode(out, len, r)
				  ? "it says the opposite of this method"
				  : revocation_outcome_sentence(REVOCATION_UNREADABLE));
		return 0;
	}
	return len;
}

static void signed_answer(struct call *c, const struct signed_entry *e, const char *unsaved)
{
	const struct relay_control *ctl = control_of(c);
	char by[SIGNED_BY_BYTES], until[UTC_TEXT_BYTES];

	call_ask_anew(c); /* what could not be kept is told */
	call_answer(c, json_pack("{s:I, s:{s:s, s:s}, s:s*}", "revision",
				 (json_int_t)changes_revision(ctl->managed.configuring.changes),
				 "signed", "by", signed_by_text(e, by), "until",
				 utc_text((time_t)e->what.keep_until, until), "unsaved", unsaved));
}

static void revoke_signed(struct call *c)
{
	uint8_t bytes[REVOCATION_MAX];
	struct signed_revocation r;
	struct revocation own = {.kind = WIRE_REVOKED_NAME};
	const struct signed_entry *e;
	const char *unsaved;
	size_t len = signed_param(c, REVOCATION_REVOKE, bytes, &r);

	if (len == 0)
		return;
	own.kind = r.kind;
	own.before = (int64_t)r.before;
	wire_bytes_copy(r.value, own.value, sizeof own.value);
	if (revokes(c->caller, &own)) {
		call_fail(c, JSONRPC_REFUSED, NULL, "that is you: another console must do this");
		return;
	}
	e = signed_take(c, bytes, len, &unsaved);
	if (e)
		signed_answer(c, e, unsaved);
}

/* And the relay's own word with it, where it has one: both, or while a change is on trial none. */
static void unrevoke_signed(struct call *c)
{
	uint8_t bytes[REVOCATION_MAX];
	char value[WIRE_REVOCATION_MAX + 1];
	struct signed_revocation r;
	const struct signed_entry *e = NULL;
	const char *unsaved;
	size_t len = signed_param(c, REVOCATION_TAKE_BACK, bytes, &r);
	json_t *document;
	bool word;

	if (len == 0)
		return;
	wire_bytes_copy(r.value, value, sizeof value);
	document = json_deep_copy(changes_document(control_of(c)->managed.configuring.changes));
	word = revoked_remove(json_object_get(document, "revoked"), r.kind, value) > 0;
	if (!word || policy_may(c, document))
		e = signed_take(c, bytes, len, &unsaved);
	if (e && word) {
		policy_apply(c, document, "unrevoke, signed", NULL);
		return;
	}
	json_decref(document);
	if (e)
		signed_answer(c, e, unsaved);
}

/* ---- by this relay's word ---- */

static void revoke_run(struct call *c)
{
	enum wire_revocation_kind kind;
	json_t *document, *revoked, *entry;
	const char *value;
	char text[200];
	bool name;

	if (json_object_get(c->params, "signed")) {
		revoke_signed(c);
		return;
	}
	value = revoked_value(c, &kind);
	if (!value)
		return;
	name = kind == WIRE_REVOKED_NAME;
	entry = json_pack("{s:s}", revocation_word(kind), value);
	if (json_object_get(c->params, "before"))
		policy_copy_param(c, entry, "before");
	else if (name)
		revoked_before(c, value, entry);
	if (revokes_caller(c->caller, entry)) {
		json_decref(entry);
		call_fail(c, JSONRPC_REFUSED, NULL, "that is you: another console must do this");
		return;
	}
	policy_copy_param(c, entry, "note");
	document = json_deep_copy(changes_document(control_of(c)->managed.configuring.changes));
	revoked = policy_list(document, "revoked");
	/* Once more: with another note, and another moment. */
	(void)revoked_remove(revoked, kind, value);
	json_array_append_new(revoked, entry);
	snprintf(text, sizeof text, "revoke %s%s%s", name ? "" : revocation_word(kind),
		 name ? "" : " ", value);
	policy_apply(c, document, text, UNSIGNED);
}

static void unrevoke_run(struct call *c)
{
	const struct signed_entry *e;
	enum wire_revocation_kind kind;
	const char *value;
	json_t *document;
	char text[200], by[SIGNED_BY_BYTES];

	if (json_object_get(c->params, "signed")) {
		unrevoke_signed(c);
		return;
	}
	value = revoked_value(c, &kind);
	if (!value)
		return;
	document = json_deep_copy(changes_document(control_of(c)->managed.configuring.changes));
	e = signed_revocations_find(&control_of(c)->signed_revocations, kind, value);
	if (e && signed_entry_revokes(e)) {
		json_decref(document);
		call_fail(
			c, JSONRPC_REFUSED, NULL,
			"%s has revoked %s by a signature, which no relay's word takes back; sign "
			"it by a console: 'postern --as CONSOLE.yaml unrevoke'",
			signed_by_text(e, by), value);
		return;
	}
	if (revoked_remove(policy_list(document, "revoked"), kind, value) == 0) {
		json_decref(document);
		call_fail(c, JSONRPC_NOT_FOUND, NULL, "%s is not revoked", value);
		return;
	}
	snprintf(text, sizeof text, "unrevoke %s", value);
	policy_apply(c, document, text, NULL);
}

/* ---- the methods ---- */

static const struct method_param revoke_params[] = {
	{"agent", "string", false, "whose certificates end, with link and sessions; or:"},
	{"serial", "string", false, "the serial number of one certificate, in hex; or:"},
	{"key", "string", false, "the SHA-256 of one public key, in hex"},
	{"before", "string", false,
	 "with agent: of certificates that begin before, 2026-11-27T18:00:00Z; when absent, of "
	 "all that are issued by now"},
	{"note", "string", false, "why"},
	{"signed", "string", false,
	 "instead of all others: an object that a console or a CA has signed, in base64"},
	{.name = NULL},
};

static const struct method_param unrevoke_params[] = {
	{"agent", "string", false, "whose certificates are good again; or:"},
	{"serial", "string", false, "the serial number of one certificate, in hex; or:"},
	{"key", "string", false, "the SHA-256 of one public key, in hex"},
	{"signed", "string", false,
	 "instead of all others: an object that a console or a CA has signed, in base64"},
	{.name = NULL},
};

const struct method methods_revoke[] = {
	{.name = "revoke",
	 .level = CALLER_ADMIN,
	 .run = revoke_run,
	 .help = "end certificates: link and sessions of their holder, here and at other agents",
	 .params = revoke_params,
	 .result = "{revision, signed?: {by, until}, unsigned?, unsaved?}"},
	{.name = "unrevoke",
	 .level = CALLER_ADMIN,
	 .run = unrevoke_run,
	 .help = "take a revocation back",
	 .params = unrevoke_params,
	 .result = "{revision, signed?: {by, until}, unsigned?, unsaved?}"},
	{.name = NULL},
};
