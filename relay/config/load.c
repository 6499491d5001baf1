/* SPDX-License-Identifier: Apache-2.0 */
/* load: what a relay starts with. */
#include "relay/config/load.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/conf/json.h"

/* What is kept, or NULL: nothing, or nothing whole. */
static json_t *load_kept(const char *state_dir)
{
	char path[4096];
	json_error_t error;

	snprintf(path, sizeof path, "%s/" STATE_NAME, state_dir);
	if (access(path, F_OK) != 0)
		return NULL;
	json_t *kept = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (!kept)
		log_error("relay", "%s:%d:%d: %s", path, error.line, error.column, error.text);
	return kept;
}

/* Puts what consoles changed over the file. False without memory; where both do not go together the
 * file counts alone. */
static bool use_kept(const char *path, struct relay_config *config, struct configuring_start *s)
{
	json_t *kept = load_kept(config->state_dir), *file = json_incref(s->file);
	struct conf_errors errors = {.file = "configuration file and consoles' changes together"};
	struct relay_config other;
	struct conf_node *root;
	bool ok;

	configuring_start_free(s);
	ok = configuring_begin(relay_config_fields(), file, kept, s);
	root = ok && s->merged ? conf_from_json(s->document, &errors) : NULL;
	if (root && relay_config_bind(root, &other, &errors)) {
		log_notice("relay",
			   "starting with %s and what consoles changed (%s/" STATE_NAME ")", path,
			   config->state_dir);
		log_lines(LOG_LEVEL_WARNING, "config", errors.warnings.text);
		/* Where to look for it next time is the file's to say. */
		char *state_dir = config->state_dir;
		config->state_dir = other.state_dir;
		other.state_dir = state_dir;
		relay_config_free(config);
		*config = other;
	} else if (ok && s->merged) {
		log_error("relay",
			  "what consoles changed does not go with %s any more; starting with it "
			  "alone",
			  path);
		log_lines(LOG_LEVEL_ERROR, "config", errors.text);
		configuring_start_free(s);
		ok = configuring_begin(relay_config_fields(), file, NULL, s);
	}
	conf_node_free(root);
	conf_errors_free(&errors);
	json_decref(kept);
	json_decref(file);
	return ok;
}

bool load_config(const char *path, struct relay_config *config, struct configuring_start *s,
		 struct conf_errors *errors)
{
	struct conf_node *root;
	json_t *file = NULL;
	bool ok;

	*s = (struct configuring_start){.document = NULL};
	errors->file = path;
	root = conf_load(path, errors);
	ok = root && relay_config_bind(root, config, errors);
	if (ok) {
		file = conf_document(relay_config_fields(), root);
		ok = file && configuring_begin(relay_config_fields(), file, NULL, s) &&
		     (!config->state_dir || use_kept(path, config, s));
		if (!ok) {
			conf_error(errors, NULL, "", "out of memory");
			relay_config_free(config);
		}
	}
	json_decref(file);
	conf_node_free(root);
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
