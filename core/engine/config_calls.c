/* SPDX-License-Identifier: Apache-2.0 */
/* config_calls: read, check, compare, apply, confirm. */
#include "core/engine/config_calls.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/conf/json.h"
#include "core/engine/configuring.h"
#include "core/engine/owned.h"

static struct changes *changes_of(const struct call *c)
{
	return c->calls->configuring->changes;
}

/* ---- proposals ------------------------------------------------------------------------------ */

struct proposed {
	json_t *document; /* secrets put back; owned */
	void *proposal;	  /* the program's; NULL: none */
	json_t *warnings;
};

static json_t *lines_of(const char *text)
{
	json_t *list = json_array();
	const char *at = text ? text : "";

	while (*at) {
		size_t len = strcspn(at, "\n");

		json_array_append_new(list, json_stringn(at, len));
		at += len + (at[len] == '\n');
	}
	return list;
}

static void proposed_free(struct calls *cs, struct proposed *p)
{
	json_decref(p->document);
	json_decref(p->warnings);
	changes_forget_difference(cs->configuring->changes);
	if (p->proposal)
		cs->configuring->ops->drop(p->proposal);
}

/* As a file with this in it would be kept: what compares documents and looks into them meets one
 * way to write a thing ("17" for a name, 17 for a number). Takes document over; NULL without
 * memory. */
static json_t *config_call_tidy(const struct configuring *in_force, json_t *document)
{
	struct conf_errors errors = {0};
	struct conf_node *root = conf_from_json(document, &errors);
	json_t *tidy = root ? conf_document(in_force->fields, root) : NULL;

	conf_node_free(root);
	conf_errors_free(&errors);
	json_decref(document);
	return tidy;
}

/* Takes back a proposal that changes what is not a console's; errors tell. */
static void config_call_own(const struct configuring *in_force, struct proposed *p,
			    struct conf_errors *errors)
{
	if (owned_may_change(in_force->fields, changes_document(in_force->changes), p->document,
			     in_force->ops->now(in_force).wall, errors))
		return;
	in_force->ops->drop(p->proposal);
	p->proposal = NULL;
}

/* Takes document over. Fails the call and returns false when it is none, or not a console's to
 * bring. */
static bool config_call_propose(struct call *c, json_t *document, struct proposed *p)
{
	struct calls *cs = c->calls; /* c is gone once it has been answered */
	struct configuring *in_force = cs->configuring;
	struct conf_errors errors = {0};
	char why[CONFIGURING_WHY_BYTES] = JSONRPC_NO_MEMORY;

	*p = (struct proposed){.document = document};
	if (p->document && !call_lacks_memory(c))
		p->proposal = in_force->ops->propose(in_force, p->document, &errors, why);
	if (p->proposal) {
		p->document = config_call_tidy(in_force, p->document);
		if (p->document)
			config_call_own(in_force, p, &errors);
	}
	p->warnings = lines_of(errors.warnings.text);
	if (p->proposal &&
	    (!p->document || call_lacks_memory(c))) { /* some part of it is not what it says */
		in_force->ops->drop(p->proposal);
		p->proposal = NULL;
	}
	if (!p->proposal) {
		if (errors.count > 0)
			call_fail(c, JSONRPC_CONFIG,
				  json_pack("{s:o}", "errors", lines_of(errors.text)),
				  "the configuration has %zu error%s", errors.count,
				  errors.count == 1 ? "" : "s");
		else
			call_fail(c, JSONRPC_CONFIG, NULL, "%s", why);
		proposed_free(cs, p);
	}
	conf_errors_free(&errors);
	return p->proposal != NULL;
}

/* What the caller has sent, with the secrets that are hidden from it. */
static json_t *config_call_document(const struct call *c)
{
	return changes_reveal(changes_of(c), json_object_get(c->params, "config"));
}

/* ---- reading -------------------------------------------------------------------------------- */

static json_int_t config_call_revision(const struct call *c)
{
	return (json_int_t)changes_revision(changes_of(c));
}

static void config_get_run(struct call *c)
{
	call_answer(c, json_pack("{s:I, s:o}", "revision", config_call_revision(c), "config",
				 changes_hide(changes_of(c))));
}

static void config_check_run(struct call *c)
{
	struct calls *cs = c->calls;
	struct proposed p;

	if (!config_call_propose(c, config_call_document(c), &p))
		return;
	call_answer(c, json_pack("{s:b, s:O}", "ok", 1, "warnings", p.warnings));
	proposed_free(cs, &p);
}

static void config_diff_run(struct call *c)
{
	struct calls *cs = c->calls;
	struct proposed p;

	if (!config_call_propose(c, config_call_document(c), &p))
		return;
	call_answer(c, json_pack("{s:I, s:o, s:O}", "revision", config_call_revision(c), "diff",
				 changes_diff(changes_of(c), p.document), "warnings", p.warnings));
	proposed_free(cs, &p);
}

static void config_history_run(struct call *c)
{
	call_answer(c, json_pack("{s:o}", "history", changes_history(changes_of(c))));
}

/* ---- changing ------------------------------------------------------------------------------- */

/* Ends the call and returns false where this is not to be applied. */
static bool apply_may(struct call *c, const struct proposed *p)
{
	struct configuring *in_force = c->calls->configuring;
	struct changes *ch = in_force->changes;
	json_int_t from = json_integer_value(json_object_get(c->params, "revision"));
	bool force = json_is_true(json_object_get(c->params, "force"));
	const char *cut = force ? NULL : in_force->ops->cuts_off(in_force, c->caller, p->proposal);

	switch (changes_may(ch, (uint64_t)from, p->document)) {
	case CHANGES_STALE:
		call_fail(c, JSONRPC_STALE,
			  json_pack("{s:I, s:o}", "revision", config_call_revision(c), "diff",
				    changes_diff(ch, p->document)),
			  "revision %" PRIu64 " is in force, and your change was made from %" PRIu64
			  ": get it again and make your change there",
			  changes_revision(ch), (uint64_t)from);
		return false;
	case CHANGES_BUSY:
		call_fail(c, JSONRPC_BUSY, NULL,
			  "revision %" PRIu64
			  " waits for its confirmation; confirm it or let it roll back",
			  changes_revision(ch));
		return false;
	case CHANGES_SAME:
		configuring_keep_again(in_force);
		call_answer(c, json_pack("{s:I, s:[], s:[], s:O, s:s*}", "revision",
					 config_call_revision(c), "diff", "restart", "warnings",
					 p->warnings, "unsaved", configuring_unsaved(in_force)));
		return false;
	case CHANGES_OK:
		break;
	}
	if (cut)
		call_fail(c, JSONRPC_REFUSED, NULL,
			  "this would cut you off: %s; use force, best with a confirmation", cut);
	return !cut;
}

/* Whether it is in force. */
static bool config_call_apply(struct call *c, struct proposed *p, const char *note,
			      uint64_t confirm_ms)
{
	struct configuring *in_force = c->calls->configuring;
	const struct config_change change = {
		.document = p->document,
		.who = c->caller->who,
		.note = note ? note : "",
		.confirm_ms = confirm_ms,
	};
	json_t *diff = changes_diff(in_force->changes, p->document);
	json_t *restart = in_force->ops->restart(in_force, p->proposal);
	char why[CONFIGURING_WHY_BYTES] = JSONRPC_NO_MEMORY;
	bool ok = false;

	if (!call_lacks_memory(c)) {
		ok = configuring_apply(in_force, p->proposal, &change, why);
		p->proposal = NULL;
	}
	if (ok) {
		call_ask_anew(c); /* what could not be kept is told */
		call_answer(c, json_pack("{s:I, s:O, s:O, s:O, s:s*}", "revision",
					 config_call_revision(c), "diff", diff, "restart", restart,
					 "warnings", p->warnings, "unsaved",
					 confirm_ms ? NULL : configuring_unsaved(in_force)));
	} else {
		call_fail(c, JSONRPC_CONFIG, NULL, "%s", why);
	}
	json_decref(diff);
	json_decref(restart);
	return ok;
}

bool config_call_put(struct call *c, json_t *document, const char *note)
{
	struct calls *cs = c->calls;
	struct proposed p;
	bool ok;

	if (!config_call_propose(c, document, &p))
		return false;
	ok = changes_may(changes_of(c), 0, p.document) == CHANGES_SAME;
	if (apply_may(c, &p))
		ok = config_call_apply(c, &p, note, 0);
	proposed_free(cs, &p);
	return ok && !configuring_unsaved(cs->configuring);
}

static void config_apply_run(struct call *c)
{
	struct calls *cs = c->calls;
	json_int_t ms = json_integer_value(json_object_get(c->params, "confirm_ms"));
	struct proposed p;

	if (ms < 0 || ms > CONFIG_CONFIRM_MS_MAX) {
		call_fail(c, JSONRPC_INVALID_PARAMS, NULL, "confirm_ms is 0 to %d",
			  CONFIG_CONFIRM_MS_MAX);
		return;
	}
	if (!config_call_propose(c, config_call_document(c), &p))
		return;
	if (apply_may(c, &p))
		(void)config_call_apply(
			c, &p, json_string_value(json_object_get(c->params, "note")), (uint64_t)ms);
	proposed_free(cs, &p);
}

static void nothing_waits(struct call *c)
{
	call_fail(c, JSONRPC_NOT_FOUND, NULL, "nothing waits for a confirmation");
}

static void config_confirm_run(struct call *c)
{
	if (!configuring_confirm(c->calls->configuring, c->caller->who)) {
		nothing_waits(c);
		return;
	}
	call_ask_anew(c);
	call_answer(c, json_pack("{s:I, s:s*}", "revision", config_call_revision(c), "unsaved",
				 configuring_unsaved(c->calls->configuring)));
}

static void config_rollback_run(struct call *c)
{
	char why[CONFIGURING_WHY_BYTES];

	if (!changes_rollback(changes_of(c)))
		nothing_waits(c);
	else if (configuring_roll_back(c->calls->configuring, c->caller->who, why))
		call_answer(c, json_pack("{s:I}", "revision", config_call_revision(c)));
	else
		call_fail(c, JSONRPC_CONFIG, NULL, "%s", why);
}

/* ---- the table ------------------------------------------------------------------------------ */

#define DOCUMENT                                                                                   \
	{                                                                                          \
		"config", "object", true,                                                          \
			"the whole configuration; \"(hidden)\" keeps a secret as it is"            \
	}

static const struct method_param document_params[] = {
	DOCUMENT,
	{.name = NULL},
};

static const struct method_param apply_params[] = {
	DOCUMENT,
	{"revision", "integer", false,
	 "the revision it was made from; another one in force refuses"},
	{"confirm_ms", "integer", false, "roll back after so long unless confirmed"},
	{"note", "string", false, "why, for the history"},
	{"force", "boolean", false, "even if it cuts the caller off"},
	{.name = NULL},
};

const struct method methods_of_config[] = {
	{.name = "config.get",
	 .level = CALLER_READ,
	 .run = config_get_run,
	 .help = "the configuration in force, secrets hidden",
	 .result = "{revision, config}"},
	{.name = "config.check",
	 .level = CALLER_READ,
	 .run = config_check_run,
	 .help = "would this configuration be accepted?",
	 .params = document_params,
	 .result = "{ok, warnings}, or an error whose data lists every error"},
	{.name = "config.diff",
	 .level = CALLER_READ,
	 .run = config_diff_run,
	 .help = "what this configuration would change",
	 .params = document_params,
	 .result = "{revision, diff: [{path, from, to}], warnings}"},
	{.name = "config.apply",
	 .level = CALLER_ADMIN,
	 .run = config_apply_run,
	 .help = "put this configuration in force; only what differs is touched",
	 .params = apply_params,
	 .result = "{revision, diff, restart: [keys that wait for the next start], warnings, "
		   "unsaved?: why the next start would not find it}"},
	{.name = "config.confirm",
	 .level = CALLER_ADMIN,
	 .run = config_confirm_run,
	 .help = "keep what was applied on trial",
	 .result = "{revision, unsaved?}"},
	{.name = "config.rollback",
	 .level = CALLER_ADMIN,
	 .run = config_rollback_run,
	 .help = "take back what was applied on trial, now",
	 .result = "{revision}"},
	{.name = "config.history",
	 .level = CALLER_READ,
	 .run = config_history_run,
	 .help = "the changes so far, newest first",
	 .result = "{history: [{revision, at, who, note, state, diff}]}"},
	{.name = NULL},
};
