/* SPDX-License-Identifier: Apache-2.0 */
/* document: a configuration in a file, YAML or JSON, on its way to a relay or an agent. */
#include "ctl/change/document.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/mem.h>

#include "agent/config/config.h"
#include "core/conf/diff.h"
#include "core/conf/json.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/parse/jsonrpc.h"
#include "ctl/terminal/arguments.h"
#include "ctl/terminal/files.h"
#include "ctl/terminal/show.h"
#include "relay/config/config.h"

#define REVISION_MARK "# revision "
#define VALUE_BYTES   96 /* of one side of a difference */

/* ---- schemas ---- */

static bool document_check_relay(const struct conf_node *root, struct conf_errors *errors)
{
	struct relay_config c;

	if (!relay_config_bind(root, &c, errors))
		return false;
	relay_config_free(&c);
	return true;
}

static bool document_check_agent(const struct conf_node *root, struct conf_errors *errors)
{
	struct agent_config c;

	if (!agent_config_bind(root, &c, errors))
		return false;
	agent_config_free(&c);
	return true;
}

const struct document_schema document_relay = {relay_config_fields, document_check_relay};
const struct document_schema document_agent = {agent_config_fields, document_check_agent};

/* ---- secrets that stay where they are ---- */

/* Puts something that passes the check in the place of every "(hidden)"; it leaves again before
 * anything is sent. False without memory. */
static bool stand_in(struct conf_node *map, const struct conf_field *fields)
{
	for (size_t i = 0; map->kind == CONF_MAP && i < map->count; i++) {
		const struct conf_field *f = conf_find(fields, map->keys[i]->text);
		struct conf_node *n = map->items[i];

		if (f && f->type == CONF_STRUCT && !stand_in(n, f->fields))
			return false;
		if (!f || !f->secret || n->kind != CONF_SCALAR || strcmp(n->text, CONF_HIDDEN) != 0)
			continue;
		memory_free(n->text);
		n->text = memory_text(f->stand_in);
		if (!n->text)
			return false;
	}
	return true;
}

/* ---- reading ---- */

/* The first lines are comments; one of them may say what the document was made from. */
static uint64_t noted_revision(const char *text)
{
	while (*text == '#') {
		if (strncmp(text, REVISION_MARK, strlen(REVISION_MARK)) == 0)
			return strtoull(text + strlen(REVISION_MARK), NULL, 10);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return 0;
}

static bool parse_yaml(const char *text, const struct document_schema *schema, struct document *d,
		       struct conf_errors *errors)
{
	bool ok;

	d->tree = conf_parse(text, strlen(text), errors);
	if (!d->tree)
		return false;
	d->revision = noted_revision(text);
	d->config = conf_document(schema->fields(), d->tree);
	ok = d->config && stand_in(d->tree, schema->fields());
	if (!ok)
		conf_error(errors, NULL, "", "memory is out");
	return ok && schema->check(d->tree, errors);
}

/* As 'config get --json' prints it, or the configuration alone. */
static bool parse_json(const char *text, struct document *d, struct conf_errors *errors)
{
	json_error_t error;
	json_t *whole = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	json_t *config = json_object_get(whole, "config");
	json_t *revision = json_object_get(whole, "revision");
	struct conf_node at = {.kind = CONF_SCALAR};

	if (!whole) {
		at.line = (unsigned)error.line;
		at.column = (unsigned)error.column;
		/* What follows is a piece of the document, which may be a key's. */
		char *near = strstr(error.text, " near ");

		if (near)
			*near = '\0';
		conf_error(errors, &at, "", "is not valid JSON: %s", error.text);
		return false;
	}
	if (json_is_object(config) && json_is_integer(revision)) {
		d->revision = (uint64_t)json_integer_value(revision);
		d->config = json_incref(config);
		json_decref(whole);
	} else {
		d->config = whole;
	}
	return true;
}

bool document_parse(const char *text, const char *name, const struct document_schema *schema,
		    struct document *out, struct conf_errors *errors)
{
	struct document d = {.name = name};
	const char *first = text + strspn(text, " \t\r\n");

	errors->file = name;
	if (*first == '{' ? parse_json(text, &d, errors) : parse_yaml(text, schema, &d, errors)) {
		*out = d;
		return true;
	}
	document_free(&d);
	return false;
}

bool document_load(const char *path, const struct document_schema *schema, struct document *out)
{
	bool is_stdin = strcmp(path, "-") == 0, ok;
	char *text = files_read(is_stdin ? "/dev/stdin" : path, CONF_FILE_MAX);
	struct conf_errors errors = {.file = NULL};

	if (!text)
		return false;
	ok = document_parse(text, is_stdin ? "standard input" : path, schema, out, &errors);
	if (!ok) {
		complain(
			"%s has %zu error%s; nothing was sent:", is_stdin ? "standard input" : path,
			errors.count, errors.count == 1 ? "" : "s");
		fputs(errors.text ? errors.text : "", stderr);
	}
	if (errors.warnings.text)
		fprintf(stderr, "Likely mistakes:\n%s", errors.warnings.text);
	conf_errors_free(&errors);
	OPENSSL_cleanse(text, strlen(text));
	free(text);
	return ok;
}

void document_free(struct document *d)
{
	json_decref(d->config);
	conf_node_free(d->tree);
	*d = (struct document){.name = NULL};
}

/* ---- places ---- */

/* One step of a path, "key" or "[3]", from n; NULL: there is none. *path moves behind it. */
static const struct conf_node *document_step(const struct conf_node *n, const char **path)
{
	char key[CONF_PATH_BYTES];
	size_t len;

	if (**path == '[') {
		char *end;
		unsigned long i = strtoul(*path + 1, &end, 10);

		*path = *end == ']' ? end + 1 : end;
		return n->kind == CONF_LIST && i < n->count ? n->items[i] : NULL;
	}
	*path += **path == '.';
	len = strcspn(*path, ".[");
	if (len == 0 || len >= sizeof(key))
		return NULL;
	memcpy(key, *path, len);
	key[len] = '\0';
	*path += len;
	return conf_get(n, key);
}

/* The node of a path, or the innermost that is there; NULL when not even the first step is. */
static const struct conf_node *document_find(const struct conf_node *root, const char *path)
{
	const struct conf_node *n = root, *found = NULL;

	while (n && *path) {
		n = document_step(n, &path);
		if (n)
			found = n;
	}
	return found;
}

void document_locate(const struct document *d, const char *error, char *out, size_t room)
{
	const struct conf_node *at = NULL;
	char path[CONF_PATH_BYTES], safe[1024];
	const char *colon = strstr(error, ": ");

	log_escape(error, safe, sizeof(safe));
	if (d->tree && colon && (size_t)(colon - error) < sizeof(path)) {
		memcpy(path, error, (size_t)(colon - error));
		path[colon - error] = '\0';
		at = document_find(d->tree, path);
	}
	if (at)
		snprintf(out, room, "%s:%u:%u: %s", d->name, at->line, at->column, safe);
	else
		snprintf(out, room, "%s: %s", d->name, safe);
}

/* ---- printing ---- */

void document_print(FILE *to, const json_t *config, uint64_t revision, const char *whose)
{
	char *yaml = conf_yaml(config);

	fprintf(to,
		REVISION_MARK "%" PRIu64 "\n# of %s; 'config apply' refuses it once another "
			      "revision is in force\n%s",
		revision, whose, yaml ? yaml : "");
	free(yaml);
}

void document_print_file(FILE *to, const json_t *config, const char *comment)
{
	char *yaml = conf_yaml(config);

	fprintf(to, "%s\n%s", comment, yaml ? yaml : "");
	if (yaml)
		OPENSSL_cleanse(yaml, strlen(yaml));
	free(yaml);
}

const char *document_hidden(const json_t *config)
{
	const char *key, *below;
	json_t *value;
	size_t i;

	json_array_foreach(config, i, value)
	{
		below = document_hidden(value);
		if (below)
			return below;
	}
	json_object_foreach((json_t *)(uintptr_t)config, key, value)
	{
		if (json_is_string(value) && strcmp(json_string_value(value), CONF_HIDDEN) == 0)
			return key;
		below = document_hidden(value);
		if (below)
			return below;
	}
	return NULL;
}

/* One side of a difference, on one line. */
static const char *side(const json_t *value, char out[VALUE_BYTES])
{
	char *text = json_is_string(value) ? memory_text(json_string_value(value))
					   : json_dumps(value, JSON_ENCODE_ANY);
	size_t lines = 0;

	for (const char *c = text; c && *c; c++)
		lines += *c == '\n';
	if (!text)
		snprintf(out, VALUE_BYTES, "?");
	else if (lines > 1)
		snprintf(out, VALUE_BYTES, "(%zu lines)", lines);
	else if (log_escape(text, out, VALUE_BYTES) == VALUE_BYTES - 1)
		memcpy(out + VALUE_BYTES - 4, "...", 4);
	memory_free(text);
	return out;
}

void document_print_diff(FILE *to, const json_t *diff)
{
	char path[CONF_PATH_BYTES], left[VALUE_BYTES], right[VALUE_BYTES];
	json_t *entry;
	size_t i;

	json_array_foreach(diff, i, entry)
	{
		const char *text = json_string_value(json_object_get(entry, "path"));
		const json_t *from = json_object_get(entry, "from");
		const json_t *until = json_object_get(entry, "to");
		const char *plain = show_style(to, SHOW_PLAIN);

		log_escape(text ? text : "?", path, sizeof(path));
		if (!from || json_is_null(from))
			fprintf(to, "%s+ %s: %s%s\n", show_style(to, SHOW_GOOD), path,
				side(until, right), plain);
		else if (!until || json_is_null(until))
			fprintf(to, "%s- %s: %s%s\n", show_style(to, SHOW_BAD), path,
				side(from, left), plain);
		else
			fprintf(to, "%s~ %s: %s -> %s%s\n", show_style(to, SHOW_WARN), path,
				side(from, left), side(until, right), plain);
	}
}
