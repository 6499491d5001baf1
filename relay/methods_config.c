/* SPDX-License-Identifier: Apache-2.0 */
/* methods_config: read, check, compare, apply, confirm. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/log.h"
#include "relay/control_internal.h"

#define CONFIRM_MS_MAX 3600000

/* What "apply" and "diff" work on. */
struct proposal {
	json_t *document; /* secrets put back; owned */
	struct snapshot *next;
};

static json_t *error_lines(const struct conf_errors *errors)
{
	json_t *list = json_array();
	const char *at = errors->text ? errors->text : "";

	while (*at) {
		size_t len = strcspn(at, "\n");

		json_array_append_new(list, json_stringn(at, len));
		at += len + (at[len] == '\n');
	}
	return list;
}

/* Fails the call and returns false when the document is not one. */
static bool propose(struct call *c, struct proposal *p)
{
	struct control *ctl = c->control;
	struct conf_errors errors = {0};
	char why[256];

	p->document = changes_reveal(ctl->changes, json_object_get(c->params, "config"));
	p->next = p->document ? control_snapshot(ctl, p->document, &errors, why, sizeof why) : NULL;
	if (p->next) {
		conf_errors_free(&errors);
		return true;
	}
	if (!p->document)
		call_fail(c, JSONRPC_INTERNAL_ERROR, NULL, "out of memory");
	else if (errors.count > 0)
		call_fail(c, JSONRPC_CONFIG, json_pack("{s:o}", "errors", error_lines(&errors)),
			  "the configuration has %zu error%s", errors.count,
			  errors.count == 1 ? "" : "s");
	else
		call_fail(c, JSONRPC_CONFIG, NULL, "%s", why);
	conf_errors_free(&errors);
	json_decref(p->document);
	return false;
}

static void proposal_free(struct proposal *p)
{
	json_decref(p->document);
	if (p->next)
		snapshot_release(p->next);
}

/* ---- reading ---- */

static void get_run(struct call *c)
{
	struct changes *ch = c->control->changes;

	call_answer(c, json_pack("{s:I, s:o}", "revision", (json_int_t)changes_revision(ch),
				 "config", changes_hide(ch)));
}

static void check_run(struct call *c)
{
	struct proposal p;

	if (!propose(c, &p))
		return;
	proposal_free(&p);
	call_answer(c, json_pack("{s:b}", "ok", 1));
}

static void diff_run(struct call *c)
{
	struct changes *ch = c->control->changes;
	struct proposal p;

	if (!propose(c, &p))
		return;
	json_t *diff = changes_diff(ch, p.document);
	proposal_free(&p);
	call_answer(c, json_pack("{s:I, s:o}", "revision", (json_int_t)changes_revision(ch), "diff",
				 diff));
}

static void history_run(struct call *c)
{
	call_answer(c, json_pack("{s:o}", "history", changes_history(c->control->changes)));
}

/* ---- changing ---- */

/* A change that takes away the caller's own way in. NULL: it stays. */
static const char *cuts_off(const struct control *ctl, const struct caller *caller,
			    const struct snapshot *next)
{
	const struct relay_listen *items = next->config.listen.items;
	bool heard = false;

	if (caller->address.len == 0)
		return NULL;
	for (size_t i = 0; i < next->config.listen.count && !heard; i++)
		heard = addr_covers(&items[i].address, &caller->listener);
	if (!heard)
		return "no listener would be left where you came in";
	if (strcmp(next->config.identity.ca, ctl->current->config.identity.ca) != 0)
		return "the new CA does not know your certificate";
	if (policy_revoked(next->policy, caller->ca_name))
		return "your own name is revoked";
	return NULL;
}

static bool apply_may(struct call *c, const struct proposal *p)
{
	struct changes *ch = c->control->changes;
	uint64_t from = (uint64_t)json_integer_value(json_object_get(c->params, "revision"));
	bool force = json_is_true(json_object_get(c->params, "force"));
	const char *cut = force ? NULL : cuts_off(c->control, c->caller, p->next);

	switch (changes_may(ch, from, p->document)) {
	case CHANGES_STALE:
		call_fail(c, JSONRPC_STALE,
			  json_pack("{s:I, s:o}", "revision", (json_int_t)changes_revision(ch),
				    "diff", changes_diff(ch, p->document)),
			  "revision %llu is in force, and your change was made from %llu: get it "
			  "again and make your change there",
			  (unsigned long long)changes_revision(ch), (unsigned long long)from);
		return false;
	case CHANGES_BUSY:
		call_fail(
			c, JSONRPC_BUSY, NULL,
			"revision %llu waits for its confirmation; confirm it or let it roll back",
			(unsigned long long)changes_revision(ch));
		return false;
	case CHANGES_SAME:
		call_answer(c, json_pack("{s:I, s:[], s:[]}", "revision",
					 (json_int_t)changes_revision(ch), "diff", "restart"));
		return false;
	case CHANGES_OK:
		break;
	}
	if (cut) {
		call_fail(c, JSONRPC_REFUSED, NULL,
			  "this would cut you off: %s; use force, best with a confirmation", cut);
		return false;
	}
	return true;
}

static bool addr_same(const struct addr *a, const struct addr *b)
{
	return a->len == 0 || b->len == 0 ? a->len == b->len : addr_equal(a, b);
}

/* Keys that take effect with the next start only. */
static json_t *needs_restart(const struct relay_config *was, const struct relay_config *is)
{
	json_t *list = json_array();

	if (was->engine != is->engine)
		json_array_append_new(list, json_string("engine"));
	if (was->threads != is->threads)
		json_array_append_new(list, json_string("threads"));
	if (was->limits.buffer_bytes != is->limits.buffer_bytes)
		json_array_append_new(list, json_string("limits.buffer_bytes"));
	if (!addr_same(&was->metrics.listen, &is->metrics.listen))
		json_array_append_new(list, json_string("metrics"));
	if (strcmp(was->control.socket ? was->control.socket : "",
		   is->control.socket ? is->control.socket : "") != 0)
		json_array_append_new(list, json_string("control.socket"));
	if (strcmp(was->user ? was->user : "", is->user ? is->user : "") != 0)
		json_array_append_new(list, json_string("user"));
	return list;
}

static void apply_run(struct call *c)
{
	struct control *ctl = c->control;
	json_t *confirm = json_object_get(c->params, "confirm_ms");
	const char *note = json_string_value(json_object_get(c->params, "note"));
	json_int_t ms = json_integer_value(confirm);
	char why[256];
	struct proposal p;

	if (ms < 0 || ms > CONFIRM_MS_MAX) {
		call_fail(c, JSONRPC_INVALID_PARAMS, NULL, "confirm_ms is at most %d",
			  CONFIRM_MS_MAX);
		return;
	}
	if (!propose(c, &p))
		return;
	if (!apply_may(c, &p)) {
		proposal_free(&p);
		return;
	}
	json_t *diff = changes_diff(ctl->changes, p.document);
	json_t *restart = needs_restart(&ctl->current->config, &p.next->config);
	bool ok = control_apply(ctl, p.next, p.document, c->caller->who, note ? note : "",
				(uint64_t)ms, why, sizeof why);

	json_decref(p.document);
	if (ok) {
		call_answer(c, json_pack("{s:I, s:o, s:o}", "revision",
					 (json_int_t)changes_revision(ctl->changes), "diff", diff,
					 "restart", restart));
	} else {
		json_decref(diff);
		json_decref(restart);
		call_fail(c, JSONRPC_CONFIG, NULL, "%s", why);
	}
}

static void confirm_run(struct call *c)
{
	struct control *ctl = c->control;

	if (!changes_confirm(ctl->changes, c->caller->who, time(NULL))) {
		call_fail(c, JSONRPC_NOT_FOUND, NULL, "nothing waits for a confirmation");
		return;
	}
	control_confirmed(ctl);
	control_event(ctl, "config.confirmed",
		      json_pack("{s:I, s:s}", "revision",
				(json_int_t)changes_revision(ctl->changes), "who", c->caller->who));
	call_answer(c, json_pack("{s:I}", "revision", (json_int_t)changes_revision(ctl->changes)));
}

static void rollback_run(struct call *c)
{
	struct control *ctl = c->control;

	if (!control_roll_back(ctl, c->caller->who)) {
		call_fail(c, JSONRPC_NOT_FOUND, NULL, "nothing waits for a confirmation");
		return;
	}
	call_answer(c, json_pack("{s:I}", "revision", (json_int_t)changes_revision(ctl->changes)));
}

static const struct method_param document_params[] = {
	{"config", "object", true, "the whole configuration; \"(hidden)\" keeps a secret as it is"},
	{.name = NULL},
};

static const struct method_param apply_params[] = {
	{"config", "object", true, "the whole configuration; \"(hidden)\" keeps a secret as it is"},
	{"revision", "integer", false,
	 "the revision it was made from; another one in force refuses"},
	{"confirm_ms", "integer", false, "roll back after so long unless confirmed"},
	{"note", "string", false, "why, for the history"},
	{"force", "boolean", false, "even if it cuts the caller off"},
	{.name = NULL},
};

const struct method methods_config[] = {
	{.name = "config.get",
	 .level = CALLER_READ,
	 .run = get_run,
	 .help = "the configuration in force, secrets hidden",
	 .result = "{revision, config}"},
	{.name = "config.check",
	 .level = CALLER_READ,
	 .run = check_run,
	 .help = "would this configuration be accepted?",
	 .params = document_params,
	 .result = "{ok}, or an error whose data lists every error"},
	{.name = "config.diff",
	 .level = CALLER_READ,
	 .run = diff_run,
	 .help = "what this configuration would change",
	 .params = document_params,
	 .result = "{revision, diff: [{path, from, to}]}"},
	{.name = "config.apply",
	 .level = CALLER_ADMIN,
	 .run = apply_run,
	 .help = "put this configuration in force; only what differs is touched",
	 .params = apply_params,
	 .result = "{revision, diff, restart: [keys that wait for the next start]}"},
	{.name = "config.confirm",
	 .level = CALLER_ADMIN,
	 .run = confirm_run,
	 .help = "keep what was applied on trial",
	 .result = "{revision}"},
	{.name = "config.rollback",
	 .level = CALLER_ADMIN,
	 .run = rollback_run,
	 .help = "take back what was applied on trial, now",
	 .result = "{revision}"},
	{.name = "config.history",
	 .level = CALLER_READ,
	 .run = history_run,
	 .help = "the changes so far, newest first",
	 .result = "{history: [{revision, at, who, note, state, diff}]}"},
	{.name = NULL},
};
