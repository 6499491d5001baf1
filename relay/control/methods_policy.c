/* SPDX-License-Identifier: Apache-2.0 */
/*
 * methods_policy: grants, each a small change of the configuration.
 *
 * They go the way of every other change: a new document, bound and checked whole, a revision of its
 * own in the history.
 */
#include <stdio.h>
#include <string.h>

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

bool policy_may(struct call *c, const json_t *document)
{
	if (changes_may(control_of(c)->managed.configuring.changes, 0, document) != CHANGES_BUSY)
		return true;
	call_fail(c, JSONRPC_BUSY, NULL, "a change waits for its confirmation; confirm it first");
	return false;
}

void policy_apply(struct call *c, json_t *document, const char *note, const char *hint)
{
	struct configuring *in_force = &control_of(c)->managed.configuring;
	const struct config_change change = {document, c->caller->who, note, 0, false};
	struct conf_errors errors = {0};
	char why[CONFIGURING_WHY_BYTES] = JSONRPC_NO_MEMORY;
	void *next = NULL;

	if (!policy_may(c, document)) {
		json_decref(document);
		return;
	}
	if (!call_lacks_memory(c))
		next = in_force->ops->propose(in_force, document, &errors, why);
	if (!next) {
		call_fail(c, JSONRPC_CONFIG, NULL, "%s",
			  errors.text ? join_lines(errors.text) : why);
	} else if (!configuring_apply(in_force, next, &change, why)) {
		call_fail(c, JSONRPC_INTERNAL_ERROR, NULL, "%s", why);
	} else {
		call_ask_anew(c); /* what could not be kept is told */
		call_answer(c, json_pack("{s:I, s:s*, s:s*}", "revision",
					 (json_int_t)changes_revision(in_force->changes), "unsaved",
					 configuring_unsaved(in_force), "unsigned", hint));
	}
	conf_errors_free(&errors);
	json_decref(document);
}

json_t *policy_list(json_t *document, const char *key)
{
	json_t *list = json_object_get(document, key);

	if (!json_is_array(list)) {
		list = json_array();
		json_object_set_new(document, key, list);
	}
	return list;
}

void policy_copy_param(const struct call *c, json_t *to, const char *key)
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

	policy_copy_param(c, rule, "until");
	policy_copy_param(c, rule, "hours");
	policy_copy_param(c, rule, "source");
	policy_copy_param(c, rule, "rate");
	policy_copy_param(c, rule, "sessions");
	json_array_append_new(policy_list(document, "grants"), rule);
	snprintf(note, sizeof note, "grant %s %s",
		 json_string_value(json_object_get(c->params, "agent")),
		 json_string_value(json_object_get(c->params, "to")));
	policy_apply(c, document, note, NULL);
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
	json_t *grants = policy_list(document, "grants");
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
	policy_apply(c, document, note, NULL);
}

static void rules_grants_run(struct call *c)
{
	json_t *document =
		(json_t *)(uintptr_t)changes_document(control_of(c)->managed.configuring.changes);
	json_t *grants = json_object_get(document, "grants");
	json_t *policy = json_object_get(document, "policy");
	json_t *revoked = json_object_get(document, "revoked");

	/* The keys count, not what is in them. */
	call_answer(c, json_pack("{s:s, s:o, s:o, s:o, s:o}", "otherwise",
				 grants || policy ? "deny" : "allow", "grants",
				 grants ? json_deep_copy(grants) : json_array(), "policy",
				 policy ? json_deep_copy(policy) : json_array(), "revoked",
				 revoked ? json_deep_copy(revoked) : json_array(), "signed",
				 revoke_signed_list(&control_of(c)->signed_revocations)));
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

const struct method methods_policy[] = {
	{.name = "grants",
	 .level = CALLER_READ,
	 .run = rules_grants_run,
	 .help = "who may reach what, and who is revoked",
	 .result = "{otherwise: \"deny\", or \"allow\" while there is no policy at all, grants, "
		   "policy, revoked, signed: [{agent or serial or key, revoked, by, counter, "
		   "before?, issued, until, note?, lapsed?: true}]}"},
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
	{.name = NULL},
};
