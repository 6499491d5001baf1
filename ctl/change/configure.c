/* SPDX-License-Identifier: Apache-2.0 */
/*
 * configure: config get, check, diff, apply, confirm, rollback and history. Relays and agents
 * answer them alike, so "relay config X" and "agent config X AGENT" are the same function; what
 * precedes X says whom to ask, and an agent's name is the first word.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/conf/diff.h"
#include "core/engine/identity.h"
#include "core/engine/keyring.h"
#include "core/log.h"
#include "ctl/change/change.h"
#include "ctl/change/document.h"
#include "ctl/talk/connection.h"
#include "ctl/terminal/show.h"
#include "ctl/terminal/units.h"

/* ---- whom to ask ---- */

/* NULL: the relay. */
static const char *agent_of(const struct arguments *a)
{
	return strncmp(a->command->name, "agent ", 6) == 0 ? a->words[0] : NULL;
}

static bool open_connection(const struct arguments *a, struct connection *conn)
{
	const char *agent = agent_of(a);

	return agent ? connection_open_agent(a, agent, conn) : connection_open_relay(a, conn);
}

static enum status with_connection(const struct arguments *a,
				   enum status (*run)(const struct arguments *a,
						      struct connection *conn))
{
	enum status status;
	struct connection conn;

	if (!open_connection(a, &conn))
		return STATUS_FAILED;
	status = run(a, &conn);
	connection_close(&conn);
	return status;
}

/* The document, the last word, is read and checked before the connection is made. */
static enum status with_document(const struct arguments *a,
				 enum status (*run)(const struct arguments *a,
						    struct connection *conn,
						    const struct document *doc))
{
	const struct document_schema *schema = agent_of(a) ? &document_agent : &document_relay;
	enum status status = STATUS_FAILED;
	struct document doc;
	struct connection conn;

	if (!document_load(a->words[a->word_count - 1], schema, &doc))
		return status;
	if (open_connection(a, &conn)) {
		status = run(a, &conn, &doc);
		connection_close(&conn);
	}
	document_free(&doc);
	return status;
}

/* ---- failures ---- */

/* Tells each error with its place in the file; false when there are none to tell. */
static bool tell_errors(const struct document *doc, const json_t *data)
{
	const json_t *errors = json_object_get(data, "errors");
	char line[1400];
	json_t *error;
	size_t i;

	json_array_foreach(errors, i, error)
	{
		const char *text = json_string_value(error);

		document_locate(doc, text ? text : "?", line, sizeof(line));
		fprintf(stderr, "%s\n", line);
	}
	return json_array_size(errors) > 0;
}

static void tell_failure(const struct document *doc, const struct rpc_failure *f)
{
	json_t *diff = json_object_get(f->data, "diff");

	complain("%s", f->message);
	if (doc && tell_errors(doc, f->data))
		return;
	if (f->code != JSONRPC_STALE || json_array_size(diff) == 0)
		return;
	fputs("What your document would change in the one in force:\n", stderr);
	document_print_diff(stderr, diff);
}

static json_t *configure_call(struct connection *conn, const char *method, json_t *params,
			      const struct document *doc)
{
	struct rpc_failure failure = {.data = NULL};
	json_t *result = connection_try(conn, method, params, &failure);

	if (!result)
		tell_failure(doc, &failure);
	rpc_failure_free(&failure);
	return result;
}

/* ---- what the calls answer ---- */

static json_int_t revision_of(const json_t *result)
{
	return json_integer_value(json_object_get(result, "revision"));
}

void change_tell_unsaved(const json_t *result, const char *label)
{
	const char *text = json_string_value(json_object_get(result, "unsaved"));
	char why[256];

	if (!text)
		return;
	log_escape(text, why, sizeof(why));
	complain("%s has this in force, but could not keep it for its next start (state_dir): %s; "
		 "mend that and do it again",
		 label, why);
}

static void print_diff(const json_t *result)
{
	const json_t *diff = json_object_get(result, "diff");

	if (json_array_size(diff) == 0)
		puts("no difference");
	else
		document_print_diff(stdout, diff);
}

static bool as_json(const struct arguments *a, const json_t *result)
{
	if (!arguments_flag(a, "--json"))
		return false;
	show_json(stdout, result);
	return true;
}

/* ---- reading ---- */

static enum status configure_get(const struct arguments *a, struct connection *conn)
{
	json_t *result = configure_call(conn, "config.get", NULL, NULL);

	if (!result)
		return STATUS_FAILED;
	if (!as_json(a, result))
		document_print(stdout, json_object_get(result, "config"),
			       (uint64_t)revision_of(result), conn->label);
	json_decref(result);
	return STATUS_OK;
}

/* A relay takes no private key: what leaves this host is which key it is. */
static void leave_key_at_home(json_t *config)
{
	json_t *identity = json_object_get(config, "identity");
	const char *key = json_string_value(json_object_get(identity, "key"));
	struct keyring *keys = keyring_new();
	char *text = key ? strdup(key) : NULL;

	if (keys && text) {
		(void)keyring_take(keys, text, strlen(text));
		json_object_set_new(identity, "key", json_string(text));
	} else if (key) {
		json_object_del(identity, "key");
	}
	free(text);
	keyring_free(keys);
}

static json_t *with_config(const struct arguments *a, const struct document *doc)
{
	json_t *config = agent_of(a) ? json_incref(doc->config) : json_deep_copy(doc->config);

	if (!agent_of(a))
		leave_key_at_home(config);
	return json_pack("{s:o}", "config", config);
}

static enum status configure_check(const struct arguments *a, struct connection *conn,
				   const struct document *doc)
{
	json_t *result = configure_call(conn, "config.check", with_config(a, doc), doc);

	if (!result)
		return STATUS_FAILED;
	if (!as_json(a, result))
		printf("%s: %s would accept it\n", doc->name, conn->label);
	json_decref(result);
	return STATUS_OK;
}

static enum status configure_diff(const struct arguments *a, struct connection *conn,
				  const struct document *doc)
{
	json_t *result = configure_call(conn, "config.diff", with_config(a, doc), doc);

	if (!result)
		return STATUS_FAILED;
	if (!as_json(a, result))
		print_diff(result);
	json_decref(result);
	return STATUS_OK;
}

static bool pair_fits(const json_t *identity)
{
	const char *ca = json_string_value(json_object_get(identity, "ca"));
	const char *certificate = json_string_value(json_object_get(identity, "certificate"));
	const char *key = json_string_value(json_object_get(identity, "key"));
	struct identity *both = NULL;
	char why[256];

	if (ca && certificate && key)
		both = identity_new(ca, certificate, key, time(NULL), why, sizeof(why));
	identity_free(both);
	return both != NULL;
}

/* A certificate that a console put in force has a key of its own, which the document may not have.
 * False: it has another. */
static bool key_fits(const json_t *whole, const struct document *doc)
{
	const json_t *id = json_object_get(whole, "identity");
	const json_t *old = json_object_get(doc->config, "identity");
	const json_t *certificate = json_object_get(id, "certificate");
	const json_t *old_certificate = json_object_get(old, "certificate");

	return !certificate || !old_certificate || json_equal(certificate, old_certificate) ||
	       pair_fits(id);
}

/* The relay has made the key in force, so that no file has it: then the certificate and key of the
 * document are the file's, and the relay goes on with what it keeps. */
static bool key_is_there_alone(struct connection *conn, json_t *whole, const struct document *doc)
{
	struct rpc_failure failure = {.data = NULL};
	json_t *shown = connection_try(conn, "identity.show", NULL, &failure);
	json_t *id = json_object_get(whole, "identity");
	const json_t *old = json_object_get(doc->config, "identity");
	bool made = json_is_true(json_object_get(json_object_get(shown, "identity"), "made"));

	rpc_failure_free(&failure);
	json_decref(shown);
	if (!made)
		return false;
	json_object_set(id, "certificate", json_object_get(old, "certificate"));
	json_object_set(id, "key", json_object_get(old, "key"));
	return pair_fits(id);
}

/* What is in force with the secrets of the document, or NULL after telling what is missing. *apart:
 * the certificate in force is not among it. */
static json_t *with_secrets(const struct arguments *a, struct connection *conn,
			    const json_t *config, const struct document *doc, bool *apart)
{
	const struct document_schema *schema = agent_of(a) ? &document_agent : &document_relay;
	json_t *whole = conf_reveal(schema->fields(), config, doc->config);
	const char *hidden = whole ? document_hidden(whole) : "out of memory";

	*apart = false;
	if (!hidden && key_fits(whole, doc))
		return whole;
	*apart = !hidden && !agent_of(a) && key_is_there_alone(conn, whole, doc);
	if (*apart)
		return whole;
	if (!hidden)
		complain("%s has the key of another certificate than %s has in force: put the key "
			 "that came with that one into it first",
			 doc->name, conn->label);
	else
		complain("%s does not have what stands for '%s' at %s: take the file that it runs "
			 "with",
			 doc->name, hidden, conn->label);
	json_decref(whole);
	return NULL;
}

/* doc: the file that it runs with now; NULL: secrets stay hidden. */
static enum status configure_save(const struct arguments *a, struct connection *conn,
				  const struct document *doc)
{
	json_t *result = configure_call(conn, "config.get", NULL, NULL), *config, *whole;
	bool apart = false;
	char comment[768];

	if (!result)
		return STATUS_FAILED;
	config = json_object_get(result, "config");
	whole = doc ? with_secrets(a, conn, config, doc, &apart) : json_incref(config);
	if (whole) {
		snprintf(comment, sizeof(comment),
			 "# What %s has in force, revision %" JSON_INTEGER_FORMAT
			 ", as a file of its own.%s%s",
			 conn->label, revision_of(result),
			 apart ? "\n# identity.certificate and identity.key are those of FILE: the "
				 "key in force was made\n# there and is in no file. The relay goes "
				 "on "
				 "with it as long as these two stay as they are."
			       : "",
			 doc ? ""
			     : "\n# Secrets are hidden: 'config save' with FILE, the one that it "
			       "runs "
			       "with, takes them from there.");
		document_print_file(stdout, whole, comment);
		json_decref(whole);
	}
	json_decref(result);
	return whole ? STATUS_OK : STATUS_FAILED;
}

/* ---- changing ---- */

static bool take_revision(const struct arguments *a, const struct document *doc, uint64_t *out)
{
	const char *text = arguments_text(a, "--revision", NULL);
	char *end;

	*out = doc->revision;
	if (!text)
		return true;
	*out = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0')
		return true;
	complain_usage(a->command, "--revision: '%s' is no number", text);
	return false;
}

static bool take_confirm(const struct arguments *a, uint64_t *ms)
{
	const char *text = arguments_text(a, "--confirm-within", NULL);
	uint64_t seconds;

	*ms = 0;
	if (!text)
		return true;
	if (units_parse_span(text, &seconds)) {
		*ms = seconds * 1000;
		return true;
	}
	complain_usage(a->command, "--confirm-within: '%s' is not a time like 60s or 5m", text);
	return false;
}

/* False after saying what is wrong. */
static bool apply_params(const struct arguments *a, const struct document *doc, uint64_t confirm_ms,
			 json_t **out)
{
	const char *note = arguments_text(a, "--note", NULL);
	uint64_t revision;
	json_t *params;

	if (!take_revision(a, doc, &revision))
		return false;
	params = with_config(a, doc);
	if (revision > 0)
		json_object_set_new(params, "revision", json_integer((json_int_t)revision));
	if (confirm_ms > 0)
		json_object_set_new(params, "confirm_ms", json_integer((json_int_t)confirm_ms));
	if (note)
		json_object_set_new(params, "note", json_string(note));
	if (arguments_flag(a, "--force"))
		json_object_set_new(params, "force", json_true());
	*out = params;
	return true;
}

static void print_applied(const struct arguments *a, const struct connection *conn,
			  const json_t *result, uint64_t confirm_ms)
{
	static const struct show_column keys = {"", "", SHOW_LIST, NULL};
	const json_t *restart = json_object_get(result, "restart");
	bool changed = json_array_size(json_object_get(result, "diff")) > 0;
	const char *agent = agent_of(a);
	char span[UNITS_BYTES], words[512], list[512];

	print_diff(result);
	if (!changed)
		return;
	printf("%s: revision %" JSON_INTEGER_FORMAT " is in force\n", conn->label,
	       revision_of(result));
	change_tell_unsaved(result, conn->label);
	if (json_array_size(restart) > 0)
		printf("only from the next start on: %s\n",
		       show_value(restart, &keys, list, sizeof(list)));
	if (confirm_ms > 0)
		printf("It goes back by itself in %s. To keep it: postern %s%s config "
		       "confirm%s%s\n",
		       units_span(confirm_ms, span), connection_words(a, words),
		       agent ? "agent" : "relay", agent ? " " : "", agent ? agent : "");
}

static enum status configure_apply(const struct arguments *a, struct connection *conn,
				   const struct document *doc)
{
	json_t *params, *result;
	uint64_t confirm_ms;

	if (!take_confirm(a, &confirm_ms) || !apply_params(a, doc, confirm_ms, &params))
		return STATUS_USAGE;
	result = configure_call(conn, "config.apply", params, doc);
	if (!result)
		return STATUS_FAILED;
	if (!as_json(a, result))
		print_applied(a, conn, result, confirm_ms);
	json_decref(result);
	return STATUS_OK;
}

/* Confirming and rolling back. */
static enum status configure_settle(const struct arguments *a, struct connection *conn,
				    const char *method)
{
	json_t *result = configure_call(conn, method, NULL, NULL);

	if (!result)
		return STATUS_FAILED;
	if (!as_json(a, result)) {
		printf("%s: revision %" JSON_INTEGER_FORMAT " is in force for good\n", conn->label,
		       revision_of(result));
		change_tell_unsaved(result, conn->label);
	}
	json_decref(result);
	return STATUS_OK;
}

static enum status configure_confirm(const struct arguments *a, struct connection *conn)
{
	return configure_settle(a, conn, "config.confirm");
}

static enum status configure_rollback(const struct arguments *a, struct connection *conn)
{
	return configure_settle(a, conn, "config.rollback");
}

/* The list with how much each entry changed, for the table. */
static json_t *counted(const json_t *history)
{
	json_t *list = json_deep_copy(history), *entry;
	size_t i;

	json_array_foreach(list, i, entry) json_object_set_new(
		entry, "changes",
		json_integer((json_int_t)json_array_size(json_object_get(entry, "diff"))));
	return list;
}

static enum status configure_history(const struct arguments *a, struct connection *conn)
{
	static const struct show_column columns[] = {
		{"REVISION", "revision", SHOW_COUNT, NULL},
		{"AT", "at", SHOW_TIME, NULL},
		{"BY", "who", SHOW_TEXT, NULL},
		{"STATE", "state", SHOW_TEXT, NULL},
		{"CHANGES", "changes", SHOW_COUNT, NULL},
		{"NOTE", "note", SHOW_TEXT, NULL},
		{NULL, NULL, SHOW_TEXT, NULL},
	};
	json_t *result = configure_call(conn, "config.history", NULL, NULL), *list;

	if (!result)
		return STATUS_FAILED;
	if (!as_json(a, result)) {
		list = counted(json_object_get(result, "history"));
		show_table(stdout, list, columns);
		json_decref(list);
	}
	json_decref(result);
	return STATUS_OK;
}

/* ---- the commands ---- */

static enum status configure_run_get(const struct arguments *a)
{
	return with_connection(a, configure_get);
}

static enum status save_hidden(const struct arguments *a, struct connection *conn)
{
	return configure_save(a, conn, NULL);
}

static enum status configure_run_save(const struct arguments *a)
{
	size_t words = agent_of(a) ? 1 : 0;

	return a->word_count > words ? with_document(a, configure_save)
				     : with_connection(a, save_hidden);
}

static enum status configure_run_check(const struct arguments *a)
{
	return with_document(a, configure_check);
}

static enum status configure_run_diff(const struct arguments *a)
{
	return with_document(a, configure_diff);
}

static enum status configure_run_apply(const struct arguments *a)
{
	return with_document(a, configure_apply);
}

static enum status configure_run_confirm(const struct arguments *a)
{
	return with_connection(a, configure_confirm);
}

static enum status configure_run_rollback(const struct arguments *a)
{
	return with_connection(a, configure_rollback);
}

static enum status configure_run_history(const struct arguments *a)
{
	return with_connection(a, configure_history);
}

static const struct option_row no_options[] = {
	{NULL, NULL, false, NULL},
};

static const struct option_row apply_options[] = {
	{"--confirm-within", "TIME", false,
	 "go back by itself after TIME (60s, 5m) unless confirmed"},
	{"--note", "TEXT", false, "why, for the history"},
	{"--force", NULL, false, "even if it cuts you off"},
	{"--revision", "N", false, "made from revision N; counts more than the file's"},
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

const struct command relay_config_commands[] = {
	{"relay config get", "", 0, 0,
	 "Prints the configuration in force, secrets hidden, as YAML.", json_options,
	 configure_run_get},
	{"relay config save", "[FILE]", 0, 1,
	 "Prints what is in force as a file, with the secrets of the file that the relay has.",
	 no_options, configure_run_save},
	{"relay config check", "FILE", 1, 1, "Asks whether the relay would accept a configuration.",
	 json_options, configure_run_check},
	{"relay config diff", "FILE", 1, 1, "Shows what a configuration would change.",
	 json_options, configure_run_diff},
	{"relay config apply", "FILE", 1, 1,
	 "Puts a configuration in force; only what differs is touched.", apply_options,
	 configure_run_apply},
	{"relay config confirm", "", 0, 0, "Keeps what was applied with --confirm-within.",
	 json_options, configure_run_confirm},
	{"relay config rollback", "", 0, 0, "Takes back what was applied with --confirm-within.",
	 json_options, configure_run_rollback},
	{"relay config history", "", 0, 0, "Lists the changes so far, newest first.", json_options,
	 configure_run_history},
	{.name = NULL},
};

const struct command agent_config_commands[] = {
	{"agent config get", "AGENT", 1, 1,
	 "Prints an agent's configuration, secrets hidden, as YAML.", json_options,
	 configure_run_get},
	{"agent config save", "AGENT [FILE]", 1, 2,
	 "Prints what an agent has in force as a file, with the secrets of the file that it has.",
	 no_options, configure_run_save},
	{"agent config check", "AGENT FILE", 2, 2,
	 "Asks whether an agent would accept a configuration.", json_options, configure_run_check},
	{"agent config diff", "AGENT FILE", 2, 2,
	 "Shows what a configuration would change at an agent.", json_options, configure_run_diff},
	{"agent config apply", "AGENT FILE", 2, 2, "Puts a configuration in force at an agent.",
	 apply_options, configure_run_apply},
	{"agent config confirm", "AGENT", 1, 1, "Keeps what was applied with --confirm-within.",
	 json_options, configure_run_confirm},
	{"agent config rollback", "AGENT", 1, 1,
	 "Takes back what was applied with --confirm-within.", json_options,
	 configure_run_rollback},
	{"agent config history", "AGENT", 1, 1, "Lists an agent's changes so far, newest first.",
	 json_options, configure_run_history},
	{.name = NULL},
};
