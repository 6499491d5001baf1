/* SPDX-License-Identifier: Apache-2.0 */
/* load: what a relay starts with. */
#include "relay/config/load.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/conf/json.h"

/* NULL where there is none. */
static json_t *load_state(const char *state_dir, const char *name)
{
	char path[4096];
	json_error_t error;

	snprintf(path, sizeof path, "%s/%s", state_dir, name);
	if (access(path, F_OK) != 0)
		return NULL;
	json_t *document = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (!document)
		log_error("relay", "%s:%d:%d: %s", path, error.line, error.column, error.text);
	return document;
}

static void take_over(json_t **to, json_t *document)
{
	json_decref(*to);
	*to = document;
}

static void use_applied(struct relay_config *config, struct loaded *out, const char *file)
{
	json_t *applied = load_state(config->state_dir, STATE_NAME);
	json_t *read = load_state(config->state_dir, STATE_FILE_NAME);
	struct conf_errors errors = {.file = STATE_NAME};
	struct conf_node *root = applied ? conf_from_json(applied, &errors) : NULL;
	struct relay_config other;

	if (root && relay_config_bind(root, &other, &errors)) {
		log_notice("relay",
			   "starting with what was applied last (%s/" STATE_NAME
			   "), not with %s: SIGHUP brings in what has changed there since",
			   config->state_dir, file);
		load_log(LOG_LEVEL_WARNING, errors.warnings.text);
		/* Where to look for it next time is the file's to say. */
		char *state_dir = config->state_dir;
		config->state_dir = other.state_dir;
		other.state_dir = state_dir;
		relay_config_free(config);
		*config = other;
		take_over(&out->document, json_incref(applied));
		if (read)
			take_over(&out->file, json_incref(read));
	} else if (applied) {
		log_error("relay", "what was applied last is not valid; starting with %s", file);
		load_log(LOG_LEVEL_ERROR, errors.text);
	}
	conf_node_free(root);
	conf_errors_free(&errors);
	json_decref(applied);
	json_decref(read);
}

bool load_config(const char *path, struct relay_config *config, struct loaded *out,
		 struct conf_errors *errors)
{
	struct conf_node *root;
	bool ok;

	*out = (struct loaded){NULL, NULL};
	errors->file = path;
	root = conf_load(path, errors);
	ok = root && relay_config_bind(root, config, errors);
	if (ok)
		out->document = conf_document(relay_config_fields(), root);
	conf_node_free(root);
	out->file = json_incref(out->document);
	if (ok && config->state_dir)
		use_applied(config, out, path);
	return ok;
}

json_t *load_document(const char *text, size_t len, struct conf_errors *errors)
{
	struct conf_node *root = conf_parse(text, len, errors);
	struct relay_config config;
	json_t *document = NULL;

	if (root && relay_config_bind(root, &config, errors)) {
		relay_config_free(&config);
		document = conf_document(relay_config_fields(), root);
	}
	conf_node_free(root);
	return document;
}

void load_log(enum log_level level, const char *lines)
{
	while (lines && *lines) {
		size_t len = strcspn(lines, "\n");

		log_at(level, "config", "%.*s", (int)len, lines);
		lines += len + (lines[len] == '\n');
	}
}

void loaded_free(struct loaded *l)
{
	json_decref(l->document);
	json_decref(l->file);
	*l = (struct loaded){NULL, NULL};
}
