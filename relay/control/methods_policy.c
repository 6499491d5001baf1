/* SPDX-License-Identifier: Apache-2.0 */
/*
 * methods_policy: grants and revocations, each a small change of the configuration.
 *
 * They go the way of every other change: a new document, bound and checked whole, a revision of its
 * own in the history.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/engine/certificate.h"
#include "relay/control/control_internal.h"

/* Of lines one line, since the message of an answer is one. */
static const char *join_lines(char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (text[i] == '\n')
			text[i] = i + 1 < len ? ' ' : '\0';
	return text;
}

/* Applies document (owned) in the caller's name and answers. */
static void apply_and_answer(struct call *c, json_t *document, const char *note)
{
	struct configuring *in_force = &control_of(c)->managed.configuring;
	const struct config_change change = {document, c->caller->who, note, 0, false};
	struct conf_errors errors = {0};
	char why[CONFIGURING_WHY_BYTES] = "";
	void *next = NULL;

	if (changes_may(in_force->changes, 0, document) == CHANGES_BUSY) {
		call_fail(c, JSONRPC_BUSY, NULL,
			  "a change waits for its confirmation; confirm it first");
		json_decref(document);
		return;
	}
	next = in_force->ops->propose(in_force, document, &errors, why);
	if (!next)
		call_fail(c, JSONRPC_CONFIG, NULL, "%s",
			  errors.text ? join_lines(errors.text) : why);
	else if (!configuring_apply(in_force, next, &change, why))
		call_fail(c, JSONRPC_INTERNAL_ERROR, NULL, "%s", why);
	else
		call_answer(c, json_pack("{s:I, s:s*}", "revision",
					 (json_int_t)changes_revision(in_force->changes), "unsaved",
					 configuring_unsaved(in_force)));
	conf_errors_free(&errors);
	json_decref(document);
}

/* A list of the document to add to; made when it is not there. */
static json_t *list_of(json_t *document, const char *key)
{
	json_t *list = json_object_get(document, key);

	if (!json_is_array(list)) {
		list = json_array();
		json_object_set_new(document, key, list);
	}
	return list;
}

static void copy_param(const struct call *c, json_t *to, const char *key)
{
	json_t *value = json_object_get(c->params, key);

	if (value)
		json_object_set(to, key, value);
}

static void rules_grant_run(struct call *c)
{
	json_t *document =
		json_deep_copy(changes_document(control_of(c)->managed.configuring.changes));
	json_t *rule = json_pack("{s:[O], s:[O]}", "from", json_object_get(c->params, "agent"),
				 "to", json_object_get(c->params, "to"));
	char note[200];

	copy_param(c, rule, "until");
	copy_param(c, rule, "hours");
	copy_param(c, rule, "source");
	copy_param(c, rule, "rate");
	copy_param(c, rule, "sessions");
	json_array_append_new(list_of(document, "grants"), rule);
	snprintf(note, sizeof note, "grant %s %s",
		 json_string_value(json_object_get(c->params, "agent")),
		 json_string_value(json_object_get(c->params, "to")));
	apply_and_answer(c, document, note);
}

static bool grant_names(const json_t *rule, const char *key, const char *name)
{
	size_t i;
	json_t *item;

	if (!name)
		return true;
	json_array_foreach(json_object_get(rule, key), i, item)
	{
		if (json_is_string(item) && strcmp(json_string_value(item), name) == 0)
			return true;
	}
	return false;
}

static void rules_ungrant_run(struct call *c)
{
	json_t *document =
		json_deep_copy(changes_document(control_of(c)->managed.configuring.changes));
	json_t *grants = list_of(document, "grants");
	const char *agent = json_string_value(json_object_get(c->params, "agent"));
	const char *to = json_string_value(json_object_get(c->params, "to"));
	size_t removed = 0;
	char note[200];

	for (size_t i = json_array_size(grants); i-- > 0;) {
		const json_t *rule = json_array_get(grants, i);

		if (grant_names(rule, "from", agent) && grant_names(rule, "to", to)) {
			json_array_remove(grants, i);
			removed++;
		}
	}
	if (removed == 0) {
		json_decref(document);
		call_fail(c, JSONRPC_NOT_FOUND, NULL, "%s has no such grant", agent);
		return;
	}
	snprintf(note, sizeof note, "ungrant %s %s", agent, to ? to : "everything");
	apply_and_answer(c, document, note);
}

static void rules_grants_run(struct call *c)
{
	json_t *document =
		(json_t *)(uintptr_t)changes_document(control_of(c)->managed.configuring.changes);
	json_t *grants = json_object_get(document, "grants");
	json_t *policy = json_object_get(document, "policy");
	json_t *revoked = json_object_get(document, "revoked");

	/* The keys count, not what is in them. */
	call_answer(c, json_pack("{s:s, s:o, s:o, s:o}", "otherwise",
				 grants || policy ? "deny" : "allow", "grants",
				 grants ? json_deep_copy(grants) : json_array(), "policy",
				 policy ? json_deep_copy(policy) : json_array(), "revoked",
				 revoked ? json_deep_copy(revoked) : json_array()));
}

/* ---- revocations ---- */

static const char *const revoked_keys[] = {"agent", "serial", "key"};

/* Which of them the call names, or NULL, and the call has failed. */
static const char *revoked_key(struct call *c)
{
	const char *found = NULL;
	size_t count = 0;

	for (size_t i = 0; i < sizeof revoked_keys / sizeof revoked_keys[0]; i++)
		if (json_object_get(c->params, revoked_keys[i])) {
			found = revoked_keys[i];
			count++;
		}
	if (count == 1)
		return found;
	call_fail(c, JSONRPC_INVALID_PARAMS, NULL, "name one of agent, serial and key");
	return NULL;
}

static bool revokes(const json_t *entry, const char *key, const char *value)
{
	const char *other = json_string_value(json_object_get(entry, key));

	return other && strcmp(other, value) == 0;
}

/* Removes what revokes this; how many. */
static size_t revoked_remove(json_t *revoked, const char *key, const char *value)
{
	size_t removed = 0;

	for (size_t i = json_array_size(revoked); i-- > 0;)
		if (revokes(json_array_get(revoked, i), key, value)) {
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
	struct tm utc;
	char text[32];

	relay_lock(r);
	rendezvous_each_agent(r->rendezvous, look_at_newest, &newest);
	relay_unlock(r);
	if (newest.begins >= before)
		before = newest.begins + 1;
	gmtime_r(&before, &utc);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
	json_object_set_new(entry, "before", json_string(text));
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
	const struct revocations one = {.list = &r, .count = 1};

	return caller->credential && policy_revocation(&conf, &r) &&
	       revocations_cover(&one, &caller->credential->peer);
}

static void rules_revoke_run(struct call *c)
{
	const char *key = revoked_key(c), *value;
	json_t *document, *revoked, *entry;
	char text[200];

	if (!key)
		return;
	value = json_string_value(json_object_get(c->params, key));
	entry = json_pack("{s:s}", key, value);
	if (json_object_get(c->params, "before"))
		copy_param(c, entry, "before");
	else if (strcmp(key, "agent") == 0)
		revoked_before(c, value, entry);
	if (revokes_caller(c->caller, entry)) {
		json_decref(entry);
		call_fail(c, JSONRPC_REFUSED, NULL, "that is you: another console must do this");
		return;
	}
	copy_param(c, entry, "note");
	document = json_deep_copy(changes_document(control_of(c)->managed.configuring.changes));
	revoked = list_of(document, "revoked");
	/* Once more: with another note, and another moment. */
	(void)revoked_remove(revoked, key, value);
	json_array_append_new(revoked, entry);
	snprintf(text, sizeof text, "revoke %s%s%s", strcmp(key, "agent") == 0 ? "" : key,
		 strcmp(key, "agent") == 0 ? "" : " ", value);
	apply_and_answer(c, document, text);
}

static void rules_unrevoke_run(struct call *c)
{
	const char *key = revoked_key(c), *value;
	json_t *document;
	char text[200];

	if (!key)
		return;
	value = json_string_value(json_object_get(c->params, key));
	document = json_deep_copy(changes_document(control_of(c)->managed.configuring.changes));
	if (revoked_remove(list_of(document, "revoked"), key, value) == 0) {
		json_decref(document);
		call_fail(c, JSONRPC_NOT_FOUND, NULL, "%s is not revoked", value);
		return;
	}
	snprintf(text, sizeof text, "unrevoke %s", value);
	apply_and_answer(c, document, text);
}

static const struct method_param grant_params[] = {
	{"agent", "string", true, "who may: an agent or a group"},
	{"to", "string", true, "what: AGENT/SERVICE, * within either part"},
	{"until", "string", false, "the last moment, 2026-11-27T18:00:00Z or a day"},
	{"hours", "string", false, "when: mon-fri 08:00-18:00"},
	{"source", "array", false, "networks to come from"},
	{"rate", "string", false, "of each session: 20MB/s"},
	{"sessions", "integer", false, "at a time"},
	{.name = NULL},
};

static const struct method_param ungrant_params[] = {
	{"agent", "string", true, "whose grant ends"},
	{"to", "string", false, "which; every one when absent"},
	{.name = NULL},
};

static const struct method_param revoke_params[] = {
	{"agent", "string", false, "whose certificates end, with link and sessions; or:"},
	{"serial", "string", false, "the serial number of one certificate, in hex; or:"},
	{"key", "string", false, "the SHA-256 of one public key, in hex"},
	{"before", "string", false,
	 "with agent: of certificates that begin before, 2026-11-27T18:00:00Z; when absent, of "
	 "all that are issued by now"},
	{"note", "string", false, "why"},
	{.name = NULL},
};

static const struct method_param unrevoke_params[] = {
	{"agent", "string", false, "whose certificates are good again; or:"},
	{"serial", "string", false, "the serial number of one certificate, in hex; or:"},
	{"key", "string", false, "the SHA-256 of one public key, in hex"},
	{.name = NULL},
};

const struct method methods_policy[] = {
	{.name = "grants",
	 .level = CALLER_READ,
	 .run = rules_grants_run,
	 .help = "who may reach what, and who is revoked",
	 .result = "{otherwise: \"deny\", or \"allow\" while there is no policy at all, grants, "
		   "policy, revoked}"},
	{.name = "grant",
	 .level = CALLER_ADMIN,
	 .run = rules_grant_run,
	 .help = "allow an agent a service",
	 .params = grant_params,
	 .result = "{revision, unsaved?}"},
	{.name = "ungrant",
	 .level = CALLER_ADMIN,
	 .run = rules_ungrant_run,
	 .help = "take grants back; running sessions end",
	 .params = ungrant_params,
	 .result = "{revision, unsaved?}"},
	{.name = "revoke",
	 .level = CALLER_ADMIN,
	 .run = rules_revoke_run,
	 .help = "end certificates: link and sessions of their holder, here and at other agents",
	 .params = revoke_params,
	 .result = "{revision, unsaved?}"},
	{.name = "unrevoke",
	 .level = CALLER_ADMIN,
	 .run = rules_unrevoke_run,
	 .help = "take a revocation back",
	 .params = unrevoke_params,
	 .result = "{revision, unsaved?}"},
	{.name = NULL},
};
